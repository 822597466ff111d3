package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"

	"earshot/chat"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/transport"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
)

const (
	// dialTimeout bounds one dial with its handshake: on a LAN whoever has not
	// answered after 5 s will not.
	dialTimeout = 5 * time.Second
	// dialStagger is the head start of one address over the next: long enough
	// that a live one wins alone, short enough that a dead one costs nothing.
	dialStagger = 30 * time.Millisecond
	// maxDialAddrs bounds the addresses of one dial; a stranger named them.
	maxDialAddrs = 16
)

// Dial connects to the device at any of the addresses, or returns at once if it
// is connected already. It tries exactly these addresses, at most 16, and no
// back-off of an earlier failure applies: when to retry is the caller's to say.
// The error is a *chat.Error whose text says what stood in the way.
func (h *Host) Dial(ctx context.Context, d chat.DeviceID, addrs []ma.Multiaddr) error {
	p := PeerID(d)
	if h.Connected(d) {
		return nil
	}
	if d == h.device {
		return unreachable(d, "that is this device itself", "Choose another device.", swarm.ErrDialToSelf)
	}
	dialable := make([]ma.Multiaddr, 0, len(addrs))
	for _, a := range addrs[:min(len(addrs), maxDialAddrs)] {
		dialable = append(dialable, encodeLinkLocal(a))
	}
	h.inner.Peerstore().ClearAddrs(p)
	h.swarm.Backoff().Clear(p)
	err := h.inner.Connect(ctx, peer.AddrInfo{ID: p, Addrs: dialable})
	switch {
	case h.Connected(d): // it may have dialled us meanwhile
		return nil
	case err == nil: // it took our handshake and then refused us
		err = io.ErrUnexpectedEOF
	}
	return explain(d, err)
}

// explain turns a failed dial into a sentence. Where the addresses failed in
// different ways, the most telling one is told.
func explain(d chat.DeviceID, err error) error {
	var timeout net.Error
	is := func(targets ...error) bool {
		return slices.ContainsFunc(targets, func(t error) bool { return errors.Is(err, t) })
	}
	switch {
	case WrongDevice(err):
		return unreachable(d, "another device answers at its address",
			"It has probably moved; its new address will be found when it announces itself.", err)
	case is(swarm.ErrGaterDisallowedConnection):
		return chat.Wrap(chat.CodeDenied, err, fmt.Sprintf("Connecting to %s is not allowed: it is blocked, or its address is not on the local network.", d.Short()),
			"Unblock it, or bring both devices onto one network.")
	case is(network.ErrResourceLimitExceeded):
		return chat.Wrap(chat.CodeBusy, err, "There are too many connections to open one to "+d.Short()+".",
			"Try again in a few seconds.")
	case is(swarm.ErrNoAddresses, swarm.ErrNoGoodAddresses, network.ErrNoRemoteAddrs):
		return unreachable(d, "no usable address of it is known", "Wait until it announces itself on this network.", err)
	case is(swarm.ErrDialToSelf):
		return unreachable(d, "its address is our own", "Wait until it announces its new address.", err)
	case is(context.Canceled):
		return unreachable(d, "the attempt was called off", "Try again.", err)
	case Refused(err):
		return unreachable(d, "its machine answers, but Earshot does not run there",
			"Start Earshot on it, or check its firewall.", err)
	case is(syscall.ENETUNREACH, syscall.EHOSTUNREACH) || isErrno(err, 10051, 10065):
		return unreachable(d, "there is no route to it",
			"Check that both devices are on the same network.", err)
	case is(context.DeadlineExceeded, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout():
		return unreachable(d, "it did not answer in time",
			"It may be asleep, gone, or behind a firewall that drops TCP; Earshot keeps trying.", err)
	case is(io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET):
		return unreachable(d, "it closed the connection while we said hello",
			"It may block this device, use another --network secret, or run another program on that port.", err)
	}
	return unreachable(d, "the connection failed", "Earshot keeps trying; the log has the details.", err)
}

func unreachable(d chat.DeviceID, why, hint string, cause error) error {
	return chat.Wrap(chat.CodeUnreachable, cause, fmt.Sprintf("Device %s cannot be reached: %s.", d.Short(), why), hint)
}

// isErrno knows the numbers Windows' sockets use.
func isErrno(err error, numbers ...syscall.Errno) bool {
	var errno syscall.Errno
	return errors.As(err, &errno) && slices.Contains(numbers, errno)
}

// rankAddrs orders the addresses of one dial, each a little after the one before:
// IPv4 first, as the version every switch and access point forwards well, then
// routable IPv6, link-local ones, and loopback last, which is only right where
// both nodes share a machine.
func rankAddrs(addrs []ma.Multiaddr) []network.AddrDelay {
	rank := func(a ma.Multiaddr) int {
		ip, ok := ipOf(a)
		switch {
		case !ok:
			return 3 // an encoded link-local address
		case ip.IsLoopback():
			return 4
		case ip.IsLinkLocalUnicast():
			return 2
		case ip.Is4():
			return 0
		}
		return 1
	}
	addrs = slices.Clone(addrs)
	slices.SortStableFunc(addrs, func(a, b ma.Multiaddr) int { return cmp.Compare(rank(a), rank(b)) })
	out := make([]network.AddrDelay, len(addrs))
	for i, a := range addrs {
		out[i] = network.AddrDelay{Addr: a, Delay: time.Duration(i) * dialStagger}
	}
	return out
}

func portOf(a ma.Multiaddr) int {
	s, err := a.ValueForProtocol(ma.P_TCP)
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

// go-libp2p's swarm refuses to dial IPv6 link-local addresses, which are all that
// two machines on a bare cable have. So they pass it in disguise, as a host name
// /dns6/fe80::1%eth0/tcp/9327 that no resolver ever sees, and lanTCP takes the
// disguise off.

func encodeLinkLocal(a ma.Multiaddr) ma.Multiaddr {
	ip, ok := ipOf(a)
	port := portOf(a)
	if !ok || port == 0 || !ip.Is6() || !ip.IsLinkLocalUnicast() || ip.Zone() == "" {
		return a
	}
	name, err := ma.NewComponent("dns6", ip.String())
	if err != nil {
		return a
	}
	tcpPart, err := ma.NewComponent("tcp", strconv.Itoa(port))
	if err != nil {
		return a
	}
	return ma.Multiaddr{*name, *tcpPart}
}

// decodeLinkLocal returns the true address of one that encodeLinkLocal made.
func decodeLinkLocal(a ma.Multiaddr) (ma.Multiaddr, bool) {
	if len(a) != 2 || a[0].Protocol().Code != ma.P_DNS6 || a[1].Protocol().Code != ma.P_TCP {
		return nil, false
	}
	ip, err := netip.ParseAddr(a[0].Value())
	if err != nil || !ip.Is6() || !ip.IsLinkLocalUnicast() || ip.Zone() == "" {
		return nil, false
	}
	zone, err := ma.NewComponent("ip6zone", ip.Zone())
	if err != nil {
		return nil, false
	}
	bare, err := ma.NewComponent("ip6", ip.WithZone("").String())
	if err != nil {
		return nil, false
	}
	return ma.Multiaddr{*zone, *bare, a[1]}, true
}

// lanTCP is go-libp2p's TCP transport that also dials link-local addresses.
type lanTCP struct {
	*tcp.TcpTransport
}

// newTCP makes a transport without port reuse: with it two processes share a
// port unnoticed, and two peers who dial each other at once mostly both fail.
func newTCP(u transport.Upgrader, rm network.ResourceManager) (transport.Transport, error) {
	t, err := tcp.NewTCPTransport(probing{u}, rm, nil, tcp.DisableReuseport(), tcp.WithConnectionTimeout(dialTimeout))
	if err != nil {
		return nil, fmt.Errorf("host: TCP transport: %w", err)
	}
	return &lanTCP{t}, nil
}

func (t *lanTCP) CanDial(a ma.Multiaddr) bool {
	_, ok := decodeLinkLocal(a)
	return ok || t.TcpTransport.CanDial(a)
}

// SkipResolve keeps the disguise from being asked of DNS.
func (t *lanTCP) SkipResolve(_ context.Context, a ma.Multiaddr) bool {
	_, ok := decodeLinkLocal(a)
	return ok
}

func (t *lanTCP) Dial(ctx context.Context, a ma.Multiaddr, p peer.ID) (transport.CapableConn, error) {
	return t.DialWithUpdates(ctx, a, p, nil)
}

func (t *lanTCP) DialWithUpdates(ctx context.Context, a ma.Multiaddr, p peer.ID, updates chan<- transport.DialUpdate) (transport.CapableConn, error) {
	if link, ok := decodeLinkLocal(a); ok {
		// The updates would carry an address that the swarm did not ask for.
		return t.TcpTransport.Dial(ctx, link, p)
	}
	return t.TcpTransport.DialWithUpdates(ctx, a, p, updates)
}
