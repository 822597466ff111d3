// Package catchup is the engine that finds out what neighbours hold and this node
// lacks: it decides whom to tell and whom to ask, and when (Engine), and what two
// nodes then say to each other (Session). It knows no network, no disk, no clock
// and no entry's meaning.
package catchup

import (
	"bytes"
	"crypto/sha256"
	"math/rand/v2"
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

// Timing. All of it carries jitter, so that a room full of nodes does not speak
// at once.
const (
	// askAfter is how long the neighbour with the higher id waits before it asks
	// about a difference that both can see.
	askAfter = 250 * time.Millisecond
	// busyFor is how long after something came a room counts as busy, and a
	// difference as what may be on its way: settleAfter is how long that is given.
	busyFor, settleAfter = time.Second, 100 * time.Millisecond
	// repairAfter is how long a gap may fill by itself before its origin is asked.
	// The live path of a busy room is late by as much without losing anything.
	repairAfter = 100 * time.Millisecond
	// tellAfter is how long the live path must have been quiet towards a
	// neighbour that lost messages before it is told what is held here.
	tellAfter = 300 * time.Millisecond
	// cascadeAfter is how long what was learnt waits before it is offered on.
	cascadeAfter = 200 * time.Millisecond
	// lostAfter bounds how long losses that go on keep that from being told.
	lostAfter = 2 * time.Second
	// retryAfter spaces sessions with a neighbour that failed or brought nothing;
	// it doubles with each, maxBarren times: a difference that cannot be settled
	// (a forked log, a full room) costs one session in 64 s.
	retryAfter = 2 * time.Second
	maxBarren  = 5
	// idleMin and idleMax bound the rounds in which a quiet node compares itself
	// with one neighbour, each in its turn.
	idleMin = 30 * time.Second
	idleMax = 5 * time.Minute
	// maxOthers is how many neighbours beside its origin are asked about a gap
	// before more has to show it: who invents one costs few sessions.
	maxOthers = 2
	// maxSessions bounds the sessions this node has asked for at one time.
	maxSessions = 8
)

// Holdings is what this node holds.
type Holdings interface {
	Rooms() []chat.RoomID // in ascending order
	// Shared returns those of Rooms that may be named to a neighbour, in ascending
	// order. It may change at any time.
	Shared(chat.DeviceID) []chat.RoomID
	Root(chat.RoomID) [32]byte
	// HasHeld reports whether a room was held here, now or a moment ago, as this root
	// sums it up: then whoever holds that has nothing that is not here.
	HasHeld(chat.RoomID, [32]byte) bool
	// MovedAt returns when something of a room was last taken.
	MovedAt(chat.RoomID) time.Time
	// WaitingSince returns when that came which has waited longest for what comes
	// before it; zero if nothing waits.
	WaitingSince(chat.RoomID) time.Time
}

// Engine decides whom to ask and whom to tell (PROTOCOL.md#earshotpeer1). One loop
// owns it.
type Engine struct {
	self     chat.DeviceID
	holdings Holdings
	rng      *rand.Rand
	peers    map[chat.DeviceID]*neighbour
	sessions int       // asked for by this node
	idleAt   time.Time // of the next idle round
	idle     time.Duration
	idled    [32]byte // what was held at the last idle round
	others   int      // neighbours that may still be asked about the gap at hand
}

type neighbour struct {
	toldAt    time.Time
	told      [32]byte  // what was then held of the rooms shared with them
	tellAt    time.Time // zero: nothing to tell
	lostAt    time.Time // of the first loss they have not been told of
	askAt     time.Time // zero: nothing to ask
	gap       bool      // askAt is because of a gap
	have      *wire.Have
	asking    bool
	answering int      // sessions they asked for
	before    [32]byte // what was held of them when this node asked
	barren    int      // sessions in a row that failed or brought nothing
	quiet     time.Time
}

// New returns an engine without neighbours. rng is its only source of chance.
func New(self chat.DeviceID, holdings Holdings, rng *rand.Rand) *Engine {
	return &Engine{self: self, holdings: holdings, rng: rng, peers: map[chat.DeviceID]*neighbour{}, idle: idleMin}
}

// Handle applies one input and returns what must now be done.
func (e *Engine) Handle(now time.Time, in Input) []Effect {
	var out []Effect
	switch in := in.(type) {
	case PeerUp:
		if e.peers[in.Device] == nil {
			e.peers[in.Device] = &neighbour{}
			out = append(out, e.tell(now, in.Device))
		}
	case PeerDown:
		if p := e.peers[in.Device]; p != nil && p.asking {
			e.sessions--
		}
		delete(e.peers, in.Device)
	case Heard:
		e.heard(now, in)
	case Gap:
		e.gap(now, in.Device)
	case Lost:
		if p := e.peers[in.Device]; p != nil {
			if p.lostAt.IsZero() {
				p.lostAt = now
			}
			p.tellAt = earlier(now.Add(tellAfter), p.lostAt.Add(lostAfter))
		}
	case Joined:
		for _, d := range e.devices() {
			out = append(out, e.tell(now, d))
		}
	case Begun:
		if p := e.peers[in.Device]; p != nil {
			p.answering++
			// It brings what they have said they hold, and what a gap wants.
			p.have, p.askAt, p.gap = nil, time.Time{}, false
		}
	case Ended:
		e.ended(now, in)
	}
	return append(out, e.due(now)...)
}

// NextTick returns when Tick is due, zero if there is nobody to talk to.
func (e *Engine) NextTick() time.Time {
	var next time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for _, p := range e.peers {
		sooner(p.tellAt)
		if !p.busy() && e.sessions < maxSessions {
			sooner(p.askAt)
		}
	}
	if len(e.peers) > 0 {
		sooner(e.idleAt)
	}
	return next
}

// ask notes when to ask a neighbour, not before it has had its rest.
func (p *neighbour) ask(at time.Time, gap bool) {
	if p.gap = gap; at.Before(p.quiet) {
		at = p.quiet
	}
	p.askAt = at
}

// gap plans a repair with the neighbour that showed the gap or, if it passes on what
// it is no part of, with one that is.
func (e *Engine) gap(now time.Time, d chat.DeviceID) {
	p := e.peers[d]
	switch {
	case p == nil:
	case !e.pending(d) && slices.ContainsFunc(e.holdings.Rooms(), e.waits):
		planned := func(d chat.DeviceID) bool { p := e.peers[d]; return e.pending(d) && (p.busy() || !p.askAt.IsZero()) }
		if !slices.ContainsFunc(e.devices(), planned) {
			e.others = maxOthers + 1 // the first of them in the origin's place
			e.askAnother(now.Add(e.jitter(repairAfter, 4*repairAfter)), d)
		}
	case !p.asking && p.askAt.IsZero():
		e.others = maxOthers
		p.ask(now.Add(e.jitter(repairAfter, 4*repairAfter)), true)
	}
}

// overdue reports whether something of a room shared with a neighbour has waited too
// long for what comes before it; if not, but something waits, when it will have.
func (e *Engine) overdue(now time.Time, d chat.DeviceID) (bool, time.Time) {
	var oldest time.Time
	for _, id := range e.holdings.Shared(d) {
		if t := e.holdings.WaitingSince(id); !t.IsZero() && (oldest.IsZero() || t.Before(oldest)) {
			oldest = t
		}
	}
	switch {
	case oldest.IsZero():
		return false, oldest
	case now.Before(oldest.Add(repairAfter)):
		// What had shown the gap is no longer waiting, and what waits now came since.
		return false, oldest.Add(e.jitter(repairAfter, 4*repairAfter))
	}
	return true, oldest
}

// busy reports whether a session with the neighbour runs, in which both sides get
// what they lack.
func (p *neighbour) busy() bool { return p.asking || p.answering > 0 }

func (e *Engine) heard(now time.Time, in Heard) {
	p := e.peers[in.Device]
	if p == nil {
		return
	}
	p.have = nil
	if !e.differs(in.Device, &in.Have) {
		e.help(now, in.Device, p, &in.Have)
		return
	}
	p.have = &in.Have
	if e.idle > idleMin { // the network is not as quiet as it seemed
		e.idle = idleMin
		e.idleAt = earlier(e.idleAt, now.Add(e.jitter(idleMin*3/4, idleMin*5/4)))
	}
	e.askAbout(now, in.Device, p)
}

// help plans to tell a neighbour what is held here if it holds less, which only this
// side can see: it may have lost what nobody knows of. Who has many neighbours comes to
// each so seldom in its idle rounds that one might wait for hours.
func (e *Engine) help(now time.Time, d chat.DeviceID, p *neighbour, have *wire.Have) {
	if p.tellAt.IsZero() && !p.busy() && e.behind(d, have) &&
		(e.held(e.holdings.Shared(d)) != p.told || now.Sub(p.toldAt) >= idleMin) {
		p.tellAt = now.Add(e.jitter(cascadeAfter, 4*cascadeAfter))
	}
}

// askAbout plans a session about a difference that both sides can see.
func (e *Engine) askAbout(now time.Time, d chat.DeviceID, p *neighbour) {
	if p.busy() || (!p.askAt.IsZero() && !p.gap) {
		return
	}
	at := now
	switch {
	case bytes.Compare(e.self[:], d[:]) > 0:
		at = now.Add(e.jitter(askAfter, 2*askAfter))
	case slices.ContainsFunc(e.holdings.Shared(d), func(id chat.RoomID) bool { return now.Sub(e.holdings.MovedAt(id)) < busyFor }):
		at = now.Add(e.jitter(settleAfter, 2*settleAfter))
	}
	p.ask(at, false)
}

// due does what the time has come for.
func (e *Engine) due(now time.Time) []Effect {
	var out []Effect
	devices := e.devices()
	for _, d := range devices {
		p := e.peers[d]
		if !p.tellAt.IsZero() && !now.Before(p.tellAt) {
			p.tellAt, p.lostAt = time.Time{}, time.Time{}
			out = append(out, e.tell(now, d))
		}
		if p.askAt.IsZero() || p.busy() || now.Before(p.askAt) || e.sessions >= maxSessions {
			continue
		}
		gap := p.gap
		p.askAt, p.gap = time.Time{}, false
		// What was missing may have come in the meantime.
		if wanted := p.have != nil && e.differs(d, p.have); !wanted && gap {
			late, at := e.overdue(now, d)
			if !late {
				if !at.IsZero() {
					p.ask(at, true)
				}
				continue
			}
		} else if !wanted {
			continue
		}
		p.asking, p.have, p.before = true, nil, e.held(e.holdings.Shared(d))
		e.sessions++
		out = append(out, Open{Device: d})
	}
	switch {
	case len(devices) == 0:
		e.idleAt = time.Time{}
	case e.idleAt.IsZero():
		e.idleAt = now.Add(e.jitter(e.idle*3/4, e.idle*5/4))
	case !now.Before(e.idleAt):
		out = append(out, e.tell(now, e.longestUntold(devices)))
		// It backs off while nothing changes: what was lost unnoticed is found soon.
		if held := e.held(e.holdings.Rooms()); held != e.idled {
			e.idle, e.idled = idleMin, held
		} else {
			e.idle = min(2*e.idle, idleMax)
		}
		e.idleAt = now.Add(e.jitter(e.idle*3/4, e.idle*5/4))
	}
	return out
}

func (e *Engine) ended(now time.Time, in Ended) {
	if p := e.peers[in.Device]; p != nil {
		switch {
		case in.Asked && p.asking:
			p.asking = false
			e.sessions--
			if in.Failed || !in.Declined && (in.Sent == 0 && (in.Received == 0 || e.held(e.holdings.Shared(in.Device)) == p.before)) {
				p.quiet = now.Add(e.jitter(retryAfter, 2*retryAfter) << min(p.barren, maxBarren-1))
				p.barren++
			} else {
				p.barren, p.quiet = 0, time.Time{}
			}
			if in.Failed && p.barren <= maxBarren && p.tellAt.IsZero() {
				p.tellAt = p.quiet // they answer a difference by asking
			}
		case !in.Asked && p.answering > 0:
			p.answering--
		}
		// What they said during the session may be as old as it is, and may be
		// news: another look costs one comparison.
		if p.have != nil && !p.busy() && p.askAt.IsZero() && e.differs(in.Device, p.have) {
			p.ask(now.Add(e.jitter(askAfter, 2*askAfter)), false)
		}
	}
	if in.Received > 0 {
		for _, d := range e.devices() {
			// News of a room is none to who is not in it, and nothing they should see.
			if p := e.peers[d]; p.tellAt.IsZero() && (d != in.Device || in.Failed) && e.held(e.holdings.Shared(d)) != p.told {
				p.tellAt = now.Add(e.jitter(cascadeAfter, 4*cascadeAfter))
			}
		}
	}
	e.askAnother(now.Add(e.jitter(retryAfter/2, retryAfter)), in.Device)
}

// askAnother plans a repair of what is pending, if anything is and enough have not
// been asked, with a neighbour other than the one that could not fill the gap.
func (e *Engine) askAnother(at time.Time, not chat.DeviceID) {
	if e.others == 0 {
		return
	}
	devices := slices.DeleteFunc(e.devices(), func(d chat.DeviceID) bool {
		p := e.peers[d]
		return d == not || p.busy() || !p.askAt.IsZero() || !e.pending(d)
	})
	if len(devices) > 0 {
		e.others--
		e.peers[devices[e.rng.IntN(len(devices))]].ask(at, true)
	}
}

// held sums up what is held of some rooms.
func (e *Engine) held(rooms []chat.RoomID) [32]byte {
	h := sha256.New()
	for _, id := range rooms {
		root := e.holdings.Root(id)
		h.Write(id[:])
		h.Write(root[:])
	}
	return [32]byte(h.Sum(nil))
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// longestUntold returns one of the neighbours that were told least lately.
func (e *Engine) longestUntold(devices []chat.DeviceID) chat.DeviceID {
	first := e.peers[slices.MinFunc(devices, func(a, b chat.DeviceID) int {
		return e.peers[a].toldAt.Compare(e.peers[b].toldAt)
	})].toldAt
	longest := slices.DeleteFunc(slices.Clone(devices), func(d chat.DeviceID) bool { return e.peers[d].toldAt.After(first) })
	return longest[e.rng.IntN(len(longest))]
}

func (e *Engine) tell(now time.Time, d chat.DeviceID) Effect {
	shared := e.holdings.Shared(d)
	e.peers[d].toldAt, e.peers[d].told = now, e.held(shared)
	nonce := make([]byte, wire.NonceSize)
	for i := range nonce {
		nonce[i] = byte(e.rng.Uint32())
	}
	rooms := make([]RoomState, 0, len(shared))
	for _, id := range shared {
		rooms = append(rooms, RoomState{Room: id, Root: e.holdings.Root(id)})
	}
	return Tell{Device: d, Have: wire.Have{Nonce: nonce, Rooms: roots(nonce, rooms)}}
}

// differs reports whether a neighbour may hold something of a shared room that is not
// here. Who has more cannot be seen from a root, unless it was this node's own a
// moment ago.
func (e *Engine) differs(d chat.DeviceID, have *wire.Have) bool {
	return e.anyRoot(d, have, func(id chat.RoomID, root [32]byte) bool { return !e.holdings.HasHeld(id, root) })
}

// behind reports whether a neighbour that has nothing that is not here lacks something.
func (e *Engine) behind(d chat.DeviceID, have *wire.Have) bool {
	return e.anyRoot(d, have, func(id chat.RoomID, root [32]byte) bool { return e.holdings.Root(id) != root })
}

// anyRoot reports whether any root that a neighbour said of a shared room is one that f
// looks for.
func (e *Engine) anyRoot(d chat.DeviceID, have *wire.Have, f func(chat.RoomID, [32]byte) bool) bool {
	theirs := make(map[chat.RoomTag][]byte, len(have.Rooms))
	for _, r := range have.Rooms {
		theirs[chat.RoomTag(r.Tag)] = r.Root
	}
	for _, id := range e.holdings.Shared(d) {
		if their, ok := theirs[id.SessionTag(have.Nonce)]; ok && f(id, [32]byte(their)) {
			return true
		}
	}
	return false
}

// pending reports whether something of a room shared with a neighbour waits for what
// comes before it.
func (e *Engine) pending(d chat.DeviceID) bool {
	return slices.ContainsFunc(e.holdings.Shared(d), e.waits)
}

func (e *Engine) waits(id chat.RoomID) bool { return !e.holdings.WaitingSince(id).IsZero() }

func (e *Engine) devices() []chat.DeviceID {
	out := make([]chat.DeviceID, 0, len(e.peers))
	for d := range e.peers {
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b chat.DeviceID) int { return bytes.Compare(a[:], b[:]) })
	return out
}

func (e *Engine) jitter(from, to time.Duration) time.Duration {
	return from + time.Duration(e.rng.Int64N(int64(to-from)+1))
}
