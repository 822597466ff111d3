package discovery

import (
	"cmp"
	"container/list"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// BookConfig bounds a Book. Zero fields take the defaults named below.
type BookConfig struct {
	// MaxPeers is how many devices are remembered in all; default 4096. One takes about 2 KiB.
	MaxPeers int
	// MaxPerSource is how many unconfirmed devices one source may have in the book; default half of MaxPeers.
	MaxPerSource int
	// MaxConfirmed is how many devices are kept because we once connected to them; default a quarter of MaxPeers.
	MaxConfirmed int
	// MaxAddrs is how many addresses one device has; default 16.
	MaxAddrs int
	// HintTTL is how long a sighting lives without being refreshed; default 1 h, well over three of the longest
	// browse windows (15 min and a quarter each).
	HintTTL time.Duration
	// ConfirmedTTL is how long a confirmed address lives after it last worked; default 24 h, so that a machine that
	// was closed for the night is tried again in the morning.
	ConfirmedTTL time.Duration
}

func (c BookConfig) withDefaults() BookConfig {
	c.MaxPeers = cmp.Or(c.MaxPeers, 4096)
	c.MaxPerSource = cmp.Or(c.MaxPerSource, c.MaxPeers/2)
	c.MaxConfirmed = cmp.Or(c.MaxConfirmed, c.MaxPeers/4)
	c.MaxAddrs = cmp.Or(c.MaxAddrs, 16)
	c.HintTTL = cmp.Or(c.HintTTL, time.Hour)
	c.ConfirmedTTL = cmp.Or(c.ConfirmedTTL, 24*time.Hour)
	return c
}

// A Book remembers where devices were sighted: a bounded number of them, for a bounded time. It does not know which
// are connected.
//
// Identities cost nothing, so a stranger can report as many devices as the network carries. Three rules keep such a
// flood from doing harm: a source can only displace unconfirmed devices of its own, a device we once connected to is
// never displaced by a sighting, and an address that worked is never displaced by one that was merely heard.
type Book struct {
	cfg       BookConfig
	peers     map[peer.ID]*bookEntry
	sources   map[string]*list.List // of unconfirmed *bookEntry by the source that brought them, the longest unheard first
	confirmed *list.List            // of confirmed *bookEntry, the longest unconfirmed first
	refused   uint64
}

type bookEntry struct {
	id        peer.ID
	hints     []hint      // at most one per source
	proven    []provenHit // addresses that worked, the latest first
	confirmed time.Time   // when we last connected; zero if never or too long ago
	owner     string      // the source whose quota the entry counts against, while unconfirmed
	in        *list.List  // the list it is in, one of the source's or the confirmed one
	elem      *list.Element
}

type hint struct {
	via   string
	addrs []ma.Multiaddr
	seen  time.Time
}

type provenHit struct {
	addr ma.Multiaddr
	at   time.Time
}

// maxProven is how many addresses that worked are kept for one device: a laptop has a wire and a radio, each with two
// families.
const maxProven = 4

// maxSources bounds how many sources may speak of one device; there are only a handful of sources.
const maxSources = 8

// NewBook returns an empty book.
func NewBook(cfg BookConfig) *Book {
	return &Book{cfg: cfg.withDefaults(), peers: map[peer.ID]*bookEntry{}, sources: map[string]*list.List{}, confirmed: list.New()}
}

// A Change says what an Event meant for the book.
type Change uint8

// The kinds of Change.
const (
	// Unchanged: nothing that was not known.
	Unchanged Change = iota
	// Added: the device is new to the book.
	Added
	// Moved: the device has an address it did not have before.
	Moved
	// Removed: nothing is left that leads to the device.
	Removed
	// Refused: there is no room, or the event is empty.
	Refused
)

// Apply takes in one event of a source. Making room for a new device can remove another one without a word: its Addrs
// are then nil.
func (b *Book) Apply(now time.Time, ev Event) Change {
	e := b.peers[ev.Peer]
	if ev.Kind == Lost {
		if e == nil {
			return Unchanged
		}
		e.hints = slices.DeleteFunc(e.hints, func(h hint) bool { return h.via == ev.Via })
		if b.settle(e) {
			return Removed
		}
		return Unchanged
	}
	addrs := ev.Addrs[:min(len(ev.Addrs), b.cfg.MaxAddrs)]
	if ev.Peer == "" || len(addrs) == 0 {
		b.refused++
		return Refused
	}
	change := Unchanged
	if e == nil {
		if !b.makeRoom(ev.Via) {
			b.refused++
			return Refused
		}
		e = &bookEntry{id: ev.Peer, owner: ev.Via}
		b.peers[ev.Peer] = e
		change = Added
	} else if slices.ContainsFunc(addrs, func(a ma.Multiaddr) bool { return !e.has(a) }) {
		change = Moved
	}
	i := slices.IndexFunc(e.hints, func(h hint) bool { return h.via == ev.Via })
	if i < 0 {
		if len(e.hints) == maxSources {
			b.refused++
			return Refused
		}
		i = len(e.hints)
		e.hints = append(e.hints, hint{via: ev.Via})
	}
	e.hints[i].addrs, e.hints[i].seen = slices.Clone(addrs), now
	if e.confirmed.IsZero() {
		b.place(e, b.source(e.owner))
	}
	return change
}

// Confirm records that we are connected to the device, as the handshake proved. addr is the address we dialled; it is
// nil for a connection the device made, whose remote port is no listening one.
func (b *Book) Confirm(now time.Time, id peer.ID, addr ma.Multiaddr) {
	e := b.peers[id]
	if e == nil {
		if addr == nil {
			return // nothing leads to it
		}
		if len(b.peers) >= b.cfg.MaxPeers && !b.evictAny() {
			return
		}
		e = &bookEntry{id: id}
		b.peers[id] = e
	}
	if addr != nil {
		e.proven = slices.DeleteFunc(e.proven, func(p provenHit) bool { return p.addr.Equal(addr) })
		e.proven = slices.Insert(e.proven, 0, provenHit{addr, now})
		e.proven = e.proven[:min(len(e.proven), maxProven)]
	}
	e.confirmed = now
	b.place(e, b.confirmed)
	for b.confirmed.Len() > b.cfg.MaxConfirmed {
		b.demote(b.confirmed.Front().Value.(*bookEntry))
	}
}

// Reject records that addr does not lead to the device: somebody else answered there, or nobody often enough. It
// reports whether nothing is left that leads to the device, which is then forgotten.
func (b *Book) Reject(id peer.ID, addr ma.Multiaddr) bool {
	e := b.peers[id]
	if e == nil {
		return true
	}
	for i := range e.hints {
		e.hints[i].addrs = slices.DeleteFunc(e.hints[i].addrs, addr.Equal)
	}
	e.hints = slices.DeleteFunc(e.hints, func(h hint) bool { return len(h.addrs) == 0 })
	e.proven = slices.DeleteFunc(e.proven, func(p provenHit) bool { return p.addr.Equal(addr) })
	return b.settle(e)
}

// Forget removes a device.
func (b *Book) Forget(id peer.ID) {
	if e := b.peers[id]; e != nil {
		b.remove(e)
	}
}

// Expire removes what is too old and returns the devices to which nothing leads any more, in order. To be called about
// once a minute.
func (b *Book) Expire(now time.Time) []peer.ID {
	var gone []peer.ID
	for _, id := range b.Peers() {
		e := b.peers[id]
		if e == nil {
			gone = append(gone, id) // displaced by one that settled before it
			continue
		}
		if now.Sub(e.confirmed) >= b.cfg.ConfirmedTTL {
			e.confirmed = time.Time{}
		}
		e.hints = slices.DeleteFunc(e.hints, func(h hint) bool { return now.Sub(h.seen) >= b.cfg.HintTTL })
		e.proven = slices.DeleteFunc(e.proven, func(p provenHit) bool { return now.Sub(p.at) >= b.cfg.ConfirmedTTL })
		if b.settle(e) {
			gone = append(gone, id)
		}
	}
	return gone
}

// Addrs returns the addresses to dial for a device: those that worked, the latest first, then those of the source
// heard last, as it ordered them. It returns nil for an unknown device.
func (b *Book) Addrs(id peer.ID) []ma.Multiaddr {
	e := b.peers[id]
	if e == nil {
		return nil
	}
	var out []ma.Multiaddr
	add := func(a ma.Multiaddr) {
		if len(out) < b.cfg.MaxAddrs && !slices.ContainsFunc(out, a.Equal) {
			out = append(out, a)
		}
	}
	for _, p := range e.proven {
		add(p.addr)
	}
	hints := slices.Clone(e.hints)
	slices.SortStableFunc(hints, func(x, y hint) int { return y.seen.Compare(x.seen) })
	for _, h := range hints {
		for _, a := range h.addrs {
			add(a)
		}
	}
	return out
}

// Sighting returns what is known of a device: all addresses as in Addrs, and the source and time it was last heard by.
// Via is empty and Seen the time of the last connection if only connections are known.
func (b *Book) Sighting(id peer.ID) (Sighting, bool) {
	e := b.peers[id]
	if e == nil {
		return Sighting{}, false
	}
	s := Sighting{Peer: id, Addrs: b.Addrs(id)}
	for _, h := range e.hints {
		if h.seen.After(s.Seen) {
			s.Via, s.Seen = h.via, h.seen
		}
	}
	if len(e.hints) == 0 && len(e.proven) > 0 {
		s.Seen = e.proven[0].at
	}
	return s, true
}

// Confirmed reports whether we were connected to the device lately.
func (b *Book) Confirmed(id peer.ID) bool {
	e := b.peers[id]
	return e != nil && !e.confirmed.IsZero()
}

// Peers returns all devices, in order.
func (b *Book) Peers() []peer.ID {
	out := make([]peer.ID, 0, len(b.peers))
	for id := range b.peers {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}

// Len returns how many devices are known.
func (b *Book) Len() int { return len(b.peers) }

// RefusedEvents returns how many events found no room or were empty.
func (b *Book) RefusedEvents() uint64 { return b.refused }

func (e *bookEntry) has(a ma.Multiaddr) bool {
	return slices.ContainsFunc(e.proven, func(p provenHit) bool { return p.addr.Equal(a) }) ||
		slices.ContainsFunc(e.hints, func(h hint) bool { return slices.ContainsFunc(h.addrs, a.Equal) })
}

func (b *Book) source(via string) *list.List {
	l := b.sources[via]
	if l == nil {
		l = list.New()
		b.sources[via] = l
	}
	return l
}

// place moves e to the end of l, from wherever it was.
func (b *Book) place(e *bookEntry, l *list.List) {
	if e.in == l {
		l.MoveToBack(e.elem)
		return
	}
	if e.in != nil {
		e.in.Remove(e.elem)
	}
	e.in, e.elem = l, l.PushBack(e)
}

// makeRoom lets via bring one more device, at the cost of the one it has not mentioned for longest if need be.
func (b *Book) makeRoom(via string) bool {
	l := b.source(via)
	if l.Len() < b.cfg.MaxPerSource && len(b.peers) < b.cfg.MaxPeers {
		return true
	}
	if l.Len() == 0 {
		return false
	}
	b.remove(l.Front().Value.(*bookEntry))
	return true
}

// evictAny removes an unconfirmed device of the source that has the most.
func (b *Book) evictAny() bool {
	var most *list.List
	name := ""
	for via, l := range b.sources {
		if most == nil || l.Len() > most.Len() || l.Len() == most.Len() && via < name {
			most, name = l, via
		}
	}
	if most == nil || most.Len() == 0 {
		return false
	}
	b.remove(most.Front().Value.(*bookEntry))
	return true
}

// demote makes a confirmed device an ordinary one, or removes it if no source speaks of it.
func (b *Book) demote(e *bookEntry) {
	e.proven, e.confirmed = nil, time.Time{}
	b.settle(e)
}

// settle puts e where it belongs after it lost something, and reports whether it was removed.
func (b *Book) settle(e *bookEntry) bool {
	if b.dropIfEmpty(e) {
		return true
	}
	if !e.confirmed.IsZero() {
		return false
	}
	e.proven = nil
	if len(e.hints) == 0 {
		b.remove(e)
		return true
	}
	if !slices.ContainsFunc(e.hints, func(h hint) bool { return h.via == e.owner }) {
		e.owner = e.hints[0].via
	}
	if l := b.source(e.owner); e.in != l {
		if l.Len() >= b.cfg.MaxPerSource {
			b.remove(l.Front().Value.(*bookEntry))
		}
		b.place(e, l)
	}
	return false
}

func (b *Book) dropIfEmpty(e *bookEntry) bool {
	if len(e.hints) > 0 || len(e.proven) > 0 {
		return false
	}
	b.remove(e)
	return true
}

func (b *Book) remove(e *bookEntry) {
	e.in.Remove(e.elem)
	delete(b.peers, e.id)
}
