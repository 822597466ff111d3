// Package sim runs whole nodes on a simulated LAN inside one process, in real
// time or under testing/synctest. It knows wires, latency and cuts; it does not
// know what nodes say to each other: they use their real transport security,
// multiplexing and gossip on top of it.
//
// Goroutines: a wire has none. Whoever reads waits for the bytes to be due.
package sim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/transport"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

const (
	// dialTimeout is how long a dial into the void takes, as with TCP in host.
	dialTimeout = 5 * time.Second
	// backlog bounds the connections that wait to be accepted.
	backlog = 128
	// firstEphemeral is where the ports of dialling sides begin.
	firstEphemeral = 49152
)

// Net is one simulated LAN. Its methods may be called concurrently, also while
// nodes talk.
type Net struct {
	mu        sync.Mutex
	hosts     map[netip.Addr]bool // those that ever listened: the rest do not answer
	listeners map[netip.AddrPort]*listener
	conns     map[*conn]struct{}
	latency   func(from, to netip.Addr) time.Duration
	cuts      []cut
	changed   chan struct{} // closed, and made anew, when cuts change
	nextPort  uint16
	closed    bool
}

// cut separates two groups of hosts.
type cut struct{ a, b []netip.Addr }

func (c cut) separates(x, y netip.Addr) bool {
	return slices.Contains(c.a, x) && slices.Contains(c.b, y) ||
		slices.Contains(c.a, y) && slices.Contains(c.b, x)
}

// New returns a LAN without hosts and without latency.
func New() *Net {
	return &Net{
		hosts:     make(map[netip.Addr]bool),
		listeners: make(map[netip.AddrPort]*listener),
		conns:     make(map[*conn]struct{}),
		changed:   make(chan struct{}),
		nextPort:  firstEphemeral,
	}
}

// SetLatency sets the function that says how long one write travels one way, for
// all that is written from now on. It is called by one goroutine at a time, so it
// may use a seeded random source, and must not call the Net. Bytes of one connection never overtake each other.
func (n *Net) SetLatency(oneWay func(from, to netip.Addr) time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.latency = oneWay
}

// Cut separates every host in a from every host in b until Heal, as a pulled
// cable does: nobody is told, dials go unanswered, and what is on its way arrives
// after Heal if both sides still wait for it.
func (n *Net) Cut(a, b []netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cuts = append(n.cuts, cut{slices.Clone(a), slices.Clone(b)})
	n.rewire()
}

// Heal takes all cuts back.
func (n *Net) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cuts = nil
	n.rewire()
}

// rewire tells all who wait about changed cuts. The caller holds mu.
func (n *Net) rewire() {
	for c := range n.conns {
		c.in.hold(n.separated(c.local.Addr(), c.remote.Addr()))
	}
	close(n.changed)
	n.changed = make(chan struct{})
}

// separated reports whether a cut lies between two hosts. The caller holds mu.
func (n *Net) separated(x, y netip.Addr) bool {
	return slices.ContainsFunc(n.cuts, func(c cut) bool { return c.separates(x, y) })
}

// CloseAll breaks every connection at once and refuses new ones. Inside a
// synctest bubble call it before closing hosts: a graceful close waits on a mutex
// while another goroutine waits on a timer, and since a mutex does not count as
// waiting for time, the bubble's clock would stand still.
func (n *Net) CloseAll() {
	n.mu.Lock()
	n.closed = true
	conns := n.conns
	n.conns = make(map[*conn]struct{})
	close(n.changed)
	n.changed = make(chan struct{})
	n.mu.Unlock()
	for c := range conns {
		c.in.fail(syscall.ECONNRESET)
		c.out.fail(syscall.ECONNRESET)
	}
}

// Transport returns what host.Config.Transport needs to put one host on this LAN.
// The host has the IP address that it first listens on; before that it cannot
// dial.
func (n *Net) Transport() func(transport.Upgrader, network.ResourceManager) (transport.Transport, error) {
	return func(u transport.Upgrader, rm network.ResourceManager) (transport.Transport, error) {
		return &wire{net: n, upgrader: u, resources: rm}, nil
	}
}

// wire is one host's transport.
type wire struct {
	net       *Net
	upgrader  transport.Upgrader
	resources network.ResourceManager

	mu   sync.Mutex
	self netip.Addr // zero before Listen
}

var _ transport.Transport = (*wire)(nil)

func (w *wire) CanDial(a ma.Multiaddr) bool {
	_, err := addrPort(a)
	return err == nil
}
func (w *wire) Protocols() []int { return []int{ma.P_TCP} }
func (w *wire) Proxy() bool      { return false }
func (w *wire) String() string   { return "sim" }

// Dial connects and does the real handshakes.
func (w *wire) Dial(ctx context.Context, a ma.Multiaddr, p peer.ID) (transport.CapableConn, error) {
	scope, err := w.resources.OpenConnection(network.DirOutbound, false, a)
	if err != nil {
		return nil, err
	}
	c, err := w.dial(ctx, a, p, scope)
	if err != nil {
		scope.Done()
		return nil, err
	}
	return c, nil
}

func (w *wire) dial(ctx context.Context, a ma.Multiaddr, p peer.ID, scope network.ConnManagementScope) (transport.CapableConn, error) {
	if err := scope.SetPeer(p); err != nil {
		return nil, err
	}
	to, err := addrPort(a)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	self := w.self
	w.mu.Unlock()
	if !self.IsValid() {
		return nil, errors.New("sim: a host must listen before it dials, to have an address")
	}
	raw, err := w.net.connect(ctx, self, to)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "sim", Addr: net.TCPAddrFromAddrPort(to), Err: err}
	}
	wrapped, err := manet.WrapNetConn(raw)
	if err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	return w.upgrader.Upgrade(ctx, w, wrapped, network.DirOutbound, p, scope)
}

// connect does what SYN and SYN-ACK do: one round trip.
func (n *Net) connect(ctx context.Context, from netip.Addr, to netip.AddrPort) (*conn, error) {
	timeout := time.NewTimer(dialTimeout)
	defer timeout.Stop()
	for trip := true; ; {
		n.mu.Lock()
		unheard := !n.closed && (n.separated(from, to.Addr()) || !n.hosts[to.Addr()])
		delay := n.travel(from, to.Addr()) + n.travel(to.Addr(), from)
		changed := n.changed
		n.mu.Unlock()
		switch {
		case unheard: // SYNs are repeated until somebody answers
			select {
			case <-changed:
				continue
			case <-timeout.C:
				return nil, os.ErrDeadlineExceeded
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		case trip && delay > 0:
			if err := sleep(ctx, delay); err != nil {
				return nil, err
			}
			trip = false
			continue
		}
		return n.accept(from, to)
	}
}

// travel returns the latency between two hosts. The caller holds mu.
func (n *Net) travel(from, to netip.Addr) time.Duration {
	if n.latency == nil {
		return 0
	}
	return n.latency(from, to)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// accept makes both ends of a connection and hands one to the listener.
func (n *Net) accept(from netip.Addr, to netip.AddrPort) (*conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.listeners[to]
	if l == nil || n.closed {
		return nil, syscall.ECONNREFUSED
	}
	n.nextPort++
	if n.nextPort < firstEphemeral {
		n.nextPort = firstEphemeral
	}
	source := netip.AddrPortFrom(from, n.nextPort)
	there, back := newPipe(), newPipe()
	near := &conn{net: n, local: source, remote: to, in: back, out: there}
	far := &conn{net: n, local: to, remote: source, in: there, out: back}
	accepted, err := manet.WrapNetConn(far)
	if err != nil {
		return nil, err
	}
	select {
	case l.incoming <- accepted:
	default: // its backlog is full
		return nil, syscall.ECONNREFUSED
	}
	n.conns[near], n.conns[far] = struct{}{}, struct{}{}
	if n.separated(from, to.Addr()) { // cut while the SYN was on its way
		near.in.hold(true)
		far.in.hold(true)
	}
	return near, nil
}

// Listen takes an address that no other host has. Port 0 means any free one.
func (w *wire) Listen(a ma.Multiaddr) (transport.Listener, error) {
	at, err := addrPort(a)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if at.Addr().IsUnspecified() || w.self.IsValid() && at.Addr() != w.self {
		return nil, &net.OpError{Op: "listen", Net: "sim", Addr: net.TCPAddrFromAddrPort(at), Err: syscall.EADDRNOTAVAIL}
	}
	l, err := w.net.listen(at)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: "sim", Addr: net.TCPAddrFromAddrPort(at), Err: err}
	}
	w.self = at.Addr()
	return w.upgrader.UpgradeGatedMaListener(w, w.upgrader.GateMaListener(l)), nil
}

func (n *Net) listen(at netip.AddrPort) (*listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for port := uint16(1024); at.Port() == 0; port++ {
		if try := netip.AddrPortFrom(at.Addr(), port); n.listeners[try] == nil {
			at = try
		}
	}
	if n.listeners[at] != nil {
		return nil, syscall.EADDRINUSE
	}
	addr, err := manet.FromNetAddr(net.TCPAddrFromAddrPort(at))
	if err != nil {
		return nil, err
	}
	l := &listener{net: n, at: at, addr: addr, incoming: make(chan manet.Conn, backlog), done: make(chan struct{})}
	n.listeners[at] = l
	n.hosts[at.Addr()] = true
	return l, nil
}

// listener implements manet.Listener.
type listener struct {
	net      *Net
	at       netip.AddrPort
	addr     ma.Multiaddr
	incoming chan manet.Conn
	once     sync.Once
	done     chan struct{}
}

func (l *listener) Accept() (manet.Conn, error) {
	select {
	case c := <-l.incoming:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close refuses further connections and breaks those not accepted yet.
func (l *listener) Close() error {
	l.once.Do(func() {
		l.net.mu.Lock()
		delete(l.net.listeners, l.at)
		close(l.done)
		l.net.mu.Unlock()
		for {
			select {
			case c := <-l.incoming:
				_ = c.Close() // in memory, it cannot fail
			default:
				return
			}
		}
	})
	return nil
}

func (l *listener) Multiaddr() ma.Multiaddr { return l.addr }
func (l *listener) Addr() net.Addr          { return net.TCPAddrFromAddrPort(l.at) }

// addrPort returns the address of an IP and TCP multiaddr.
func addrPort(a ma.Multiaddr) (netip.AddrPort, error) {
	na, err := manet.ToNetAddr(a)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("sim: %s: %w", a, err)
	}
	t, ok := na.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("sim: %s is not a TCP address", a)
	}
	at := t.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), nil
}
