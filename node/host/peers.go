package host

import (
	"log/slog"
	"sync"
	"time"

	"earshot/chat"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// supplantAfter is how long two connections to one peer are left alone before
// one is closed: by then both sides have finished both handshakes, so neither is
// left without any.
const supplantAfter = 500 * time.Millisecond

// PeerEvent says that a device came or went.
type PeerEvent struct {
	Device chat.DeviceID
	// Up is true where the first connection to the device came, false where the
	// last one went.
	Up bool
	// Addr is the device's address on that first connection.
	Addr ma.Multiaddr
	// Inbound is true where the device dialled us.
	Inbound bool
}

// tracker turns connections into PeerEvents and gets rid of duplicate ones.
type tracker struct {
	net  network.Network
	log  *slog.Logger
	self peer.ID
	out  chan PeerEvent
	wake chan struct{} // doorbell, capacity 1
	stop chan struct{}
	done chan struct{}
	once sync.Once

	mu    sync.Mutex
	peers map[peer.ID]*peerState
	// dirty lists peers that may have something to report, each at most once.
	dirty []peer.ID
	// doubled holds when to look at a peer with more than one connection.
	doubled map[peer.ID]time.Time
}

// peerState is what is true of a peer, and what was last said of it. A session
// is a time of uninterrupted connection; sessions are numbered from 1.
type peerState struct {
	conns    map[network.Conn]struct{}
	session  uint64 // the newest session, live or over
	reported uint64 // the session last reported Up and not Down since, or 0
	up       PeerEvent
	queued   bool
}

func (s *peerState) live() bool { return len(s.conns) > 0 }

func newTracker(n network.Network, log *slog.Logger) *tracker {
	t := &tracker{
		net: n, log: log, self: n.LocalPeer(),
		out: make(chan PeerEvent), wake: make(chan struct{}, 1),
		stop: make(chan struct{}), done: make(chan struct{}),
		peers: make(map[peer.ID]*peerState), doubled: make(map[peer.ID]time.Time),
	}
	n.Notify((*notifiee)(t))
	for _, c := range n.Conns() { // those that came before Notify
		t.connected(c)
		if c.IsClosed() {
			t.disconnected(c)
		}
	}
	go t.run()
	return t
}

// close ends the reporter and waits for it. The connections are closed already.
func (t *tracker) close() {
	t.once.Do(func() { close(t.stop) })
	<-t.done
}

// run is the reporter: the only sender on out.
func (t *tracker) run() {
	defer close(t.done)
	defer close(t.out)
	defer t.net.StopNotify((*notifiee)(t))
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		ev, session, ok := t.next()
		out := t.out
		if !ok {
			out = nil
		}
		if at, any := t.nextCheck(); any {
			timer.Reset(time.Until(at))
		} else {
			timer.Stop()
		}
		select {
		case out <- ev:
			t.sent(ev, session)
		case <-t.wake:
		case <-timer.C:
			t.supplant(time.Now())
		case <-t.stop:
			return
		}
	}
}

// next returns the event to report, and the session it is about.
func (t *tracker) next() (PeerEvent, uint64, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.dirty) > 0 {
		p := t.dirty[0]
		s := t.peers[p]
		switch {
		case s.reported != 0 && (!s.live() || s.reported != s.session):
			ev := s.up
			ev.Up = false
			return ev, s.reported, true
		case s.reported == 0 && s.live():
			return s.up, s.session, true
		}
		t.dirty = t.dirty[1:]
		s.queued = false
		if !s.live() { // and nothing is owed: forget it
			delete(t.peers, p)
		}
	}
	return PeerEvent{}, 0, false
}

// sent notes that an event was read. What happened to the peer since next was
// called does not matter: the next call compares anew.
func (t *tracker) sent(ev PeerEvent, session uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := PeerID(ev.Device)
	s := t.peers[p] // only next forgets peers, and it did not run since
	s.reported = 0
	if ev.Up {
		s.reported = session
	}
	t.mark(p, s)
}

// mark puts p on the dirty list. The caller holds mu.
func (t *tracker) mark(p peer.ID, s *peerState) {
	if !s.queued {
		s.queued = true
		t.dirty = append(t.dirty, p)
	}
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

func (t *tracker) connected(c network.Conn) {
	p := c.RemotePeer()
	device, ok := DeviceID(p)
	if !ok {
		return // the gater lets none through
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.peers[p]
	if s == nil {
		s = &peerState{}
		t.peers[p] = s
	}
	if !s.live() {
		s.conns = make(map[network.Conn]struct{})
		s.session++
		s.up = PeerEvent{Device: device, Up: true, Addr: c.RemoteMultiaddr(), Inbound: c.Stat().Direction == network.DirInbound}
		t.mark(p, s)
	}
	s.conns[c] = struct{}{}
	if len(s.conns) > 1 {
		t.double(p)
	}
}

func (t *tracker) disconnected(c network.Conn) {
	p := c.RemotePeer()
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.peers[p]
	if s == nil {
		return
	}
	if _, ok := s.conns[c]; !ok {
		return
	}
	delete(s.conns, c)
	if !s.live() {
		t.mark(p, s)
	}
}

// double asks for a later look at a peer with several connections. The caller
// holds mu.
func (t *tracker) double(p peer.ID) {
	if _, ok := t.doubled[p]; !ok {
		t.doubled[p] = time.Now().Add(supplantAfter)
	}
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

func (t *tracker) nextCheck() (at time.Time, any bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, due := range t.doubled {
		if !any || due.Before(at) {
			at, any = due, true
		}
	}
	return at, any
}

// supplant closes our side's share of duplicate connections.
func (t *tracker) supplant(now time.Time) {
	t.mu.Lock()
	var victims []network.Conn
	for p, due := range t.doubled {
		if due.After(now) {
			continue
		}
		delete(t.doubled, p)
		if s := t.peers[p]; s != nil {
			victims = append(victims, duplicates(t.self, p, s.conns)...)
		}
	}
	t.mu.Unlock()
	for _, c := range victims {
		t.log.Debug("closing duplicate connection", "peer", c.RemotePeer(), "addr", c.RemoteMultiaddr())
		_ = c.CloseWithError(network.ConnSupplanted) // the peer may have closed it first
	}
}

// duplicates returns the connections that self must close. The connection that
// the peer with the lower id dialled is kept, and of several the newest. Only
// whoever dialled a connection closes it, for that side knows that it holds a
// better one; a stale connection from before a peer's restart thus never costs
// the fresh one.
func duplicates(self, other peer.ID, conns map[network.Conn]struct{}) []network.Conn {
	var out, in []network.Conn
	for c := range conns {
		switch {
		case c.IsClosed():
		case c.Stat().Direction == network.DirOutbound:
			out = append(out, c)
		default:
			in = append(in, c)
		}
	}
	if other < self && len(in) > 0 {
		return out
	}
	var newest network.Conn
	for _, c := range out {
		if newest == nil || c.Stat().Opened.After(newest.Stat().Opened) {
			newest = c
		}
	}
	var victims []network.Conn
	for _, c := range out {
		if c != newest {
			victims = append(victims, c)
		}
	}
	return victims
}

// notifiee hides go-libp2p's callbacks from the tracker's own method set.
type notifiee tracker

func (n *notifiee) Connected(_ network.Network, c network.Conn)    { (*tracker)(n).connected(c) }
func (n *notifiee) Disconnected(_ network.Network, c network.Conn) { (*tracker)(n).disconnected(c) }
func (n *notifiee) Listen(network.Network, ma.Multiaddr)           {}
func (n *notifiee) ListenClose(network.Network, ma.Multiaddr)      {}
