// Package catchup is the engine that finds out what neighbours hold and this node
// lacks: it decides whom to tell and whom to ask, and when (Engine), and what two
// nodes then say to each other (Session). It knows no network, no disk, no clock
// and no entry's meaning.
package catchup

import (
	"bytes"
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
	// repairAfter is how long a gap may fill by itself before its origin is asked.
	repairAfter = 50 * time.Millisecond
	// tellAfter is how long the live path must have been quiet towards a
	// neighbour that lost messages before it is told what is held here.
	tellAfter = 300 * time.Millisecond
	// cascadeAfter is how long what was learnt waits before it is offered on.
	cascadeAfter = 200 * time.Millisecond
	// retryAfter spaces the attempts to repair a gap.
	retryAfter = 2 * time.Second
	// idleMin and idleMax bound the rounds in which a quiet node compares itself
	// with one random neighbour.
	idleMin = 30 * time.Second
	idleMax = 5 * time.Minute
	// maxSessions bounds the sessions this node has asked for at one time.
	maxSessions = 8
)

// Holdings is what this node holds; room.Engine is one.
type Holdings interface {
	Rooms() []chat.RoomID
	Root(chat.RoomID) [32]byte
	Pending(chat.RoomID) int
}

// Input is what the engine is told. A sealed union.
type Input interface{ isInput() }

// Effect is what the engine wants done. A sealed union.
type Effect interface{ isEffect() }

// PeerUp: a neighbour can be talked to.
type PeerUp struct{ Device chat.DeviceID }

// PeerDown: it can no longer.
type PeerDown struct{ Device chat.DeviceID }

// Heard: a neighbour said what it holds.
type Heard struct {
	Device chat.DeviceID
	Have   wire.Have
}

// Gap: something is missing here that the neighbour seems to have.
type Gap struct{ Device chat.DeviceID }

// Lost: the live path had to drop something on its way to the neighbour.
type Lost struct{ Device chat.DeviceID }

// Joined: the node entered a room, of which neighbours may hold everything.
type Joined struct{}

// Ended: a session with the neighbour is over, whoever had asked.
type Ended struct {
	Device   chat.DeviceID
	Asked    bool // by this node
	Received int
	Failed   bool
}

// Tick: time has passed; due when NextTick says so.
type Tick struct{}

func (PeerUp) isInput()   {}
func (PeerDown) isInput() {}
func (Heard) isInput()    {}
func (Gap) isInput()      {}
func (Lost) isInput()     {}
func (Joined) isInput()   {}
func (Ended) isInput()    {}
func (Tick) isInput()     {}

// Tell says: send the neighbour this summary.
type Tell struct {
	Device chat.DeviceID
	Have   wire.Have
}

// Open says: start a session with the neighbour.
type Open struct{ Device chat.DeviceID }

func (Tell) isEffect() {}
func (Open) isEffect() {}

// Engine decides whom to ask and whom to tell. One loop owns it.
type Engine struct {
	self     chat.DeviceID
	holdings Holdings
	rng      *rand.Rand
	peers    map[chat.DeviceID]*neighbour
	sessions int       // asked for by this node
	idleAt   time.Time // of the next idle round
	idle     time.Duration
}

type neighbour struct {
	tellAt  time.Time // zero: nothing to tell
	askAt   time.Time // zero: nothing to ask
	asking  bool
	gap     bool // askAt is because of a gap
	have    *wire.Have
	retries int
}

// New returns an engine without neighbours. rng is its only source of chance.
func New(self chat.DeviceID, holdings Holdings, rng *rand.Rand) *Engine {
	return &Engine{self: self, holdings: holdings, rng: rng, peers: map[chat.DeviceID]*neighbour{}, idle: idleMin}
}

// Handle applies one input and returns what must now be done.
func (e *Engine) Handle(now time.Time, in Input) []Effect {
	switch in := in.(type) {
	case PeerUp:
		if e.peers[in.Device] != nil {
			return nil
		}
		e.peers[in.Device] = &neighbour{}
		return append([]Effect{e.tell(in.Device)}, e.due(now)...)
	case PeerDown:
		if p := e.peers[in.Device]; p != nil && p.asking {
			e.sessions--
		}
		delete(e.peers, in.Device)
	case Heard:
		return e.heard(now, in)
	case Gap:
		if p := e.peers[in.Device]; p != nil && !p.asking && p.askAt.IsZero() {
			p.askAt, p.gap = now.Add(e.jitter(repairAfter, 4*repairAfter)), true
		}
	case Lost:
		if p := e.peers[in.Device]; p != nil {
			p.tellAt = now.Add(tellAfter)
		}
	case Joined:
		return e.tellAll(now, 0)
	case Ended:
		return e.ended(now, in)
	}
	return e.due(now)
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
		if !p.asking && e.sessions < maxSessions {
			sooner(p.askAt)
		}
	}
	if len(e.peers) > 0 {
		sooner(e.idleAt)
	}
	return next
}

func (e *Engine) heard(now time.Time, in Heard) []Effect {
	p := e.peers[in.Device]
	if p == nil {
		return nil
	}
	if !e.differs(&in.Have) {
		p.have = nil
		return nil
	}
	e.idle = idleMin // the network is not as quiet as it seemed
	p.have = &in.Have
	if p.asking || (!p.askAt.IsZero() && !p.gap) {
		return nil
	}
	p.gap = false
	if p.askAt = now; bytes.Compare(e.self[:], in.Device[:]) > 0 {
		p.askAt = now.Add(e.jitter(askAfter, 2*askAfter))
	}
	return e.due(now)
}

// due does what the time has come for.
func (e *Engine) due(now time.Time) []Effect {
	var out []Effect
	for _, d := range e.devices() {
		p := e.peers[d]
		if !p.tellAt.IsZero() && !now.Before(p.tellAt) {
			p.tellAt = time.Time{}
			out = append(out, e.tell(d))
		}
		if p.askAt.IsZero() || p.asking || now.Before(p.askAt) || e.sessions >= maxSessions {
			continue
		}
		p.askAt = time.Time{}
		// What was missing may have come in the meantime.
		if p.gap && !e.pending() {
			continue
		}
		if !p.gap && (p.have == nil || !e.differs(p.have)) {
			continue
		}
		p.asking, p.gap, p.have = true, false, nil
		e.sessions++
		out = append(out, Open{Device: d})
	}
	if e.idleAt.IsZero() {
		e.idleAt = now.Add(e.jitter(e.idle*3/4, e.idle*5/4))
	} else if !now.Before(e.idleAt) && len(e.peers) > 0 {
		devices := e.devices()
		out = append(out, e.tell(devices[e.rng.IntN(len(devices))]))
		e.idle = min(2*e.idle, idleMax)
		e.idleAt = now.Add(e.jitter(e.idle*3/4, e.idle*5/4))
	}
	return out
}

func (e *Engine) ended(now time.Time, in Ended) []Effect {
	p := e.peers[in.Device]
	if in.Asked && p != nil && p.asking {
		p.asking = false
		e.sessions--
	}
	var out []Effect
	if in.Received > 0 {
		out = e.tellAll(now, cascadeAfter)
	}
	switch {
	case p == nil:
	case !in.Failed:
		p.retries = 0
	case in.Asked && p.retries < 5:
		p.retries++
		p.tellAt = now.Add(e.jitter(retryAfter, 2*retryAfter)) // they answer a difference by asking
	}
	if e.pending() {
		e.askAnother(now, in.Device)
	}
	return append(out, e.due(now)...)
}

// askAnother schedules a repair with a neighbour other than the one that could
// not fill the gap.
func (e *Engine) askAnother(now time.Time, not chat.DeviceID) {
	devices := slices.DeleteFunc(e.devices(), func(d chat.DeviceID) bool {
		p := e.peers[d]
		return d == not || p.asking || !p.askAt.IsZero()
	})
	if len(devices) == 0 {
		return
	}
	p := e.peers[devices[e.rng.IntN(len(devices))]]
	p.askAt, p.gap = now.Add(e.jitter(retryAfter/2, retryAfter)), true
}

func (e *Engine) tellAll(now time.Time, after time.Duration) []Effect {
	var out []Effect
	for _, d := range e.devices() {
		if after == 0 {
			out = append(out, e.tell(d))
		} else if p := e.peers[d]; p.tellAt.IsZero() {
			p.tellAt = now.Add(e.jitter(after, 4*after))
		}
	}
	return out
}

func (e *Engine) tell(d chat.DeviceID) Effect {
	nonce := make([]byte, wire.NonceSize)
	for i := range nonce {
		nonce[i] = byte(e.rng.Uint32())
	}
	var rooms []RoomState
	for _, id := range e.holdings.Rooms() {
		rooms = append(rooms, RoomState{Room: id, Root: e.holdings.Root(id)})
	}
	return Tell{Device: d, Have: wire.Have{Nonce: nonce, Rooms: roots(nonce, rooms)}}
}

// differs reports whether a neighbour holds some shared room otherwise than this
// node. Who has more cannot be seen from a root.
func (e *Engine) differs(have *wire.Have) bool {
	theirs := make(map[chat.RoomTag][]byte, len(have.Rooms))
	for _, r := range have.Rooms {
		theirs[chat.RoomTag(r.Tag)] = r.Root
	}
	for _, id := range e.holdings.Rooms() {
		root := e.holdings.Root(id)
		if their, ok := theirs[id.SessionTag(have.Nonce)]; ok && !bytes.Equal(their, root[:]) {
			return true
		}
	}
	return false
}

func (e *Engine) pending() bool {
	return slices.ContainsFunc(e.holdings.Rooms(), func(id chat.RoomID) bool { return e.holdings.Pending(id) > 0 })
}

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
