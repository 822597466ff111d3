// Package host is this device's presence on the wire: a go-libp2p host tuned for
// a LAN, who is connected to it, and how to reach those who are not. It knows
// devices, addresses and connections; it does not know what is said over them,
// how addresses are found, or what is stored.
//
// Goroutines: New starts one, the reporter, which turns connections into
// PeerEvents and closes duplicate connections; Close waits for it. All others
// belong to go-libp2p and end with Close.
package host

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"syscall"
	"time"

	"earshot/chat"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/transport"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	ma "github.com/multiformats/go-multiaddr"
)

// DefaultPort is the TCP port a node listens on where nobody chose another:
// "9-EAR" on a phone keypad, unassigned at IANA.
const DefaultPort = 9327

const (
	// protocolVersion is what identify tells: two nodes that differ in it would
	// still connect, it is for people who read a dump.
	protocolVersion = "earshot/1"

	// connLow and connHigh bound the connections the manager keeps: above high
	// it closes unprotected ones down to low. A connection costs about 51 KiB
	// and 7 goroutines; gossip needs far fewer than 48.
	connLow, connHigh = 48, 96
	// connGrace spares a new connection from the manager.
	connGrace = 30 * time.Second

	// pingEvery is how often yamux asks whether the program at the other end
	// lives (see keepalive.go for the machine), and pingTimeout how long that or
	// a write may take. On a simulated wire, which has no kernel to ask, it asks
	// every simPing.
	pingEvery, simPing, pingTimeout = 90 * time.Second, 5 * time.Second, 5 * time.Second

	// closeLinger lets what was just written leave before connections are
	// reset: go-libp2p sets TCP linger to 0, which throws unsent bytes away.
	closeLinger = 200 * time.Millisecond
)

// TransportFunc makes the transport a host uses in place of TCP.
type TransportFunc func(transport.Upgrader, network.ResourceManager) (transport.Transport, error)

// Config says how a host is to be. Only Key is required.
type Config struct {
	// Key is the device's key; its public half is the DeviceID.
	Key ed25519.PrivateKey
	// Port is the TCP port to listen on. 0 means DefaultPort, or any free one
	// where that is taken; another number is used or Listen fails.
	Port int
	// ListenAddrs replaces Port and its wildcard addresses.
	ListenAddrs []ma.Multiaddr
	// Transport replaces TCP by a simulated wire. The host then asks neither
	// the resource manager nor this machine's interfaces.
	Transport TransportFunc
	// InterfaceAllowed reports whether addresses of the named network interface
	// are told to others and may be connected to. Nil allows all. Loopback is
	// never asked about.
	InterfaceAllowed func(name string) bool
	// Blocked reports whether a device is refused. It is called on every
	// connection attempt and must be quick. Nil blocks nobody.
	Blocked func(chat.DeviceID) bool
	// Hidden reports whether every connection from outside is refused, before
	// anything is said on it. It must be quick. Nil never hides.
	Hidden func() bool
	// NetworkKey, 32 bytes, closes the network to those without it. Nil is open.
	NetworkKey []byte
	// UserAgent is told to peers by identify, e.g. "earshot/0.1".
	UserAgent string
	// Logger receives what this package and go-libp2p have to say. Nil discards
	// it. go-libp2p's loggers are global: the last host made decides.
	Logger *slog.Logger
}

// Host is one device on the network. Its methods may be called concurrently.
type Host struct {
	cfg    Config
	device chat.DeviceID
	inner  host.Host
	swarm  *swarm.Swarm
	lan    *lan
	peers  *tracker
}

// New makes a host that neither listens nor dials yet: register every stream
// handler first, then call Listen. (Identify tells a peer our protocols when it
// connects, and go-libp2p rate-limits telling it about later ones.)
func New(cfg Config) (*Host, error) {
	if len(cfg.Key) != ed25519.PrivateKeySize {
		return nil, errors.New("host: the device key is not an Ed25519 private key")
	}
	if n := len(cfg.NetworkKey); n != 0 && n != 32 {
		return nil, fmt.Errorf("host: the network key has %d bytes, not 32", n)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	routeLibraryLogs(cfg.Logger)

	key, err := crypto.UnmarshalEd25519PrivateKey(cfg.Key)
	if err != nil {
		return nil, fmt.Errorf("host: device key: %w", err)
	}
	h := &Host{cfg: cfg, device: chat.DeviceID(cfg.Key.Public().(ed25519.PublicKey))}
	h.lan = newLAN(cfg.Transport != nil, cfg.InterfaceAllowed)
	opts, err := h.options(key)
	if err != nil {
		return nil, err
	}
	if h.inner, err = libp2p.New(opts...); err != nil {
		return nil, fmt.Errorf("host: %w", err)
	}
	var ok bool
	if h.swarm, ok = h.inner.Network().(*swarm.Swarm); !ok {
		_ = h.inner.Close()
		return nil, fmt.Errorf("host: unexpected libp2p network %T", h.inner.Network())
	}
	h.peers = newTracker(h.inner.Network(), cfg.Logger)
	return h, nil
}

func (h *Host) options(key crypto.PrivKey) ([]libp2p.Option, error) {
	cm, err := connmgr.NewConnManager(connLow, connHigh, connmgr.WithGracePeriod(connGrace))
	if err != nil {
		return nil, fmt.Errorf("host: connection manager: %w", err)
	}
	rm, err := resourceManager(h.cfg.Transport != nil)
	if err != nil {
		return nil, err
	}
	mux := *yamux.DefaultTransport
	mux.KeepAliveInterval, mux.ConnectionWriteTimeout = simPing, pingTimeout
	newTransport := h.cfg.Transport
	if newTransport == nil {
		newTransport = newTCP
		mux.KeepAliveInterval = pingEvery
		mux.MeasureRTTInterval = time.Hour // on a LAN it does not change, and each asks each
	}
	opts := []libp2p.Option{
		libp2p.Identity(key),
		libp2p.NoListenAddrs,
		libp2p.Transport(newTransport),
		libp2p.Security(noise.ID, noise.New),
		libp2p.Muxer(yamux.ID, &mux),
		libp2p.ResourceManager(rm),
		libp2p.ConnectionManager(cm),
		libp2p.ConnectionGater(&gater{lan: h.lan, blocked: h.cfg.Blocked, hidden: h.cfg.Hidden}),
		libp2p.SwarmOpts(swarm.WithDialRanker(rankAddrs)),
		libp2p.WithDialTimeout(dialTimeout),
		libp2p.AddrsFactory(h.lan.told),
		libp2p.UserAgent(h.cfg.UserAgent),
		libp2p.ProtocolVersion(protocolVersion),
		// A node on a LAN talks to nobody outside it.
		libp2p.DisableRelay(),
		libp2p.ForceReachabilityPrivate(),
		libp2p.DisableIdentifyAddressDiscovery(),
		libp2p.DisableMetrics(),
		// The black-hole detectors learn from failures on the internet. Here an
		// absent neighbour would make them refuse all of IPv6.
		libp2p.IPv6BlackHoleSuccessCounter(nil),
		libp2p.UDPBlackHoleSuccessCounter(nil),
	}
	if h.cfg.NetworkKey != nil {
		opts = append(opts, libp2p.PrivateNetwork(h.cfg.NetworkKey))
	}
	return opts, nil
}

// Device returns our own name.
func (h *Host) Device() chat.DeviceID { return h.device }

// Libp2p returns the host underneath, for packages gossip and stream.
func (h *Host) Libp2p() host.Host { return h.inner }

// Listen opens the port. Call it once, after every stream handler is registered.
// A pinned port that is taken gives a *chat.Error with CodePortTaken.
func (h *Host) Listen() error {
	if len(h.cfg.ListenAddrs) > 0 {
		return h.listenOn(h.cfg.ListenAddrs)
	}
	if h.cfg.Port != 0 {
		return h.listenPort(h.cfg.Port)
	}
	err := h.listenPort(DefaultPort)
	// A free port found for IPv4 may be taken for IPv6: try a few.
	for try := 0; chat.CodeOf(err) == chat.CodePortTaken && try < 8; try++ {
		err = h.listenPort(0)
	}
	return err
}

// listenPort listens on one port for IPv4 and IPv6. A machine without one of
// them is served by the other; a port that is half taken is not used at all.
func (h *Host) listenPort(port int) error {
	var failed error
	for _, wildcard := range []string{"/ip4/0.0.0.0", "/ip6/::"} {
		err := h.swarm.AddListenAddr(ma.StringCast(fmt.Sprintf("%s/tcp/%d", wildcard, port)))
		switch {
		case err == nil:
			port = h.Port() // where it was 0, IPv6 follows IPv4
		case isAddrInUse(err):
			h.swarm.ListenClose(h.swarm.ListenAddresses()...)
			return portTaken(port, err)
		default:
			failed = errors.Join(failed, err)
		}
	}
	if len(h.swarm.ListenAddresses()) == 0 {
		return cannotListen(failed)
	}
	if failed != nil {
		h.cfg.Logger.Info("listening on one IP version only", "err", failed)
	}
	return nil
}

func (h *Host) listenOn(addrs []ma.Multiaddr) error {
	for _, a := range addrs {
		if err := h.swarm.AddListenAddr(a); err != nil {
			h.swarm.ListenClose(h.swarm.ListenAddresses()...)
			if isAddrInUse(err) {
				return portTaken(portOf(a), err)
			}
			return cannotListen(err)
		}
	}
	return nil
}

func portTaken(port int, cause error) error {
	return chat.Wrap(chat.CodePortTaken, cause,
		fmt.Sprintf("TCP port %d is already in use by another program.", port),
		"Choose another with --port, or leave --port out to let Earshot take a free one.")
}

func cannotListen(cause error) error {
	return chat.Wrap(chat.CodeNoNetwork, cause, "This machine refuses to open a TCP port.",
		"Check that a firewall or sandbox does not forbid Earshot to listen.")
}

// isAddrInUse knows Windows' WSAEADDRINUSE as well, which is not syscall.EADDRINUSE.
func isAddrInUse(err error) bool {
	var errno syscall.Errno
	return errors.Is(err, syscall.EADDRINUSE) ||
		runtime.GOOS == "windows" && errors.As(err, &errno) && errno == 10048
}

// Port returns the TCP port we listen on, 0 before Listen.
func (h *Host) Port() int {
	for _, a := range h.swarm.ListenAddresses() {
		if port := portOf(a); port != 0 {
			return port
		}
	}
	return 0
}

// Addrs returns the addresses on which others on the LAN can reach us.
func (h *Host) Addrs() []ma.Multiaddr { return h.inner.Addrs() }

// Events returns the stream of connections coming and going. For each device
// Up and Down alternate, starting with Up; none is lost, however slowly they are
// read, but a device that comes and goes unread is not reported at all. The
// channel is closed by Close.
func (h *Host) Events() <-chan PeerEvent { return h.peers.out }

// Connected reports whether there is a connection to the device now.
func (h *Host) Connected(d chat.DeviceID) bool {
	return h.swarm.Connectedness(PeerID(d)) == network.Connected
}

// Peers returns the devices that are connected now, in no order.
func (h *Host) Peers() []chat.DeviceID {
	var out []chat.DeviceID
	for _, p := range h.swarm.Peers() {
		if d, ok := DeviceID(p); ok {
			out = append(out, d)
		}
	}
	return out
}

// Disconnect closes all connections to the device. It is not kept from coming
// back: Config.Blocked is for that.
func (h *Host) Disconnect(d chat.DeviceID) error {
	if err := h.swarm.ClosePeer(PeerID(d)); err != nil {
		return fmt.Errorf("host: closing the connection to %s: %w", d.Short(), err)
	}
	return nil
}

// Protect keeps the connection manager from closing connections to the device
// as long as any tag protects it.
func (h *Host) Protect(d chat.DeviceID, tag string) {
	h.inner.ConnManager().Protect(PeerID(d), tag)
}

// Unprotect takes one tag's protection back.
func (h *Host) Unprotect(d chat.DeviceID, tag string) {
	h.inner.ConnManager().Unprotect(PeerID(d), tag)
}

// Value sets what a connection to the device is worth to the connection manager
// under one tag; where it must close some, those with the lowest sum go first.
func (h *Host) Value(d chat.DeviceID, tag string, value int) {
	h.inner.ConnManager().TagPeer(PeerID(d), tag, value)
}

// NetworkChanged tells the host that interfaces or their addresses changed. It
// forgets dial back-offs and closes connections whose own address is gone, so
// that neither has to time out.
func (h *Host) NetworkChanged() {
	h.lan.refresh()
	for _, c := range h.swarm.Conns() {
		h.swarm.Backoff().Clear(c.RemotePeer())
		if h.lan.gone(c.LocalMultiaddr()) {
			h.cfg.Logger.Debug("address gone, closing connection", "addr", c.LocalMultiaddr(), "peer", c.RemotePeer())
			_ = c.Close() // a dead connection has no better error to give
		}
	}
	for _, p := range h.inner.Peerstore().PeersWithAddrs() {
		h.swarm.Backoff().Clear(p)
	}
}

// Close waits 200 ms, or until ctx ends, for what was just written (a goodbye)
// to leave, then closes every connection and the Events channel.
func (h *Host) Close(ctx context.Context) error {
	if len(h.swarm.Conns()) > 0 {
		linger := time.NewTimer(closeLinger)
		defer linger.Stop()
		select {
		case <-linger.C:
		case <-ctx.Done():
		}
	}
	err := h.inner.Close()
	h.peers.close()
	if err != nil {
		return fmt.Errorf("host: closing: %w", err)
	}
	return nil
}

// PeerID returns the name go-libp2p has for a device.
func PeerID(d chat.DeviceID) peer.ID {
	key, err := crypto.UnmarshalEd25519PublicKey(slices.Clone(d[:]))
	if err != nil {
		panic("host: 32 bytes are not an Ed25519 public key: " + err.Error()) // its only check is the length
	}
	id, err := peer.IDFromPublicKey(key)
	if err != nil {
		panic("host: no peer id for an Ed25519 key: " + err.Error())
	}
	return id
}

// DeviceID is the inverse of PeerID. It reports false for a peer whose key is
// not Ed25519, which no Earshot device is.
func DeviceID(p peer.ID) (chat.DeviceID, bool) {
	key, err := p.ExtractPublicKey()
	if err != nil || key.Type() != crypto.Ed25519 {
		return chat.DeviceID{}, false
	}
	raw, err := key.Raw()
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return chat.DeviceID{}, false
	}
	return chat.DeviceID(raw), true
}
