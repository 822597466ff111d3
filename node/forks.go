package node

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"earshot/chat"
	"earshot/chat/catchup"
	"earshot/chat/room"
	"earshot/chat/wire"
	"earshot/node/store"
)

// This file is about devices whose key is in two places: a home that was copied and
// runs twice, or one that was put back to what it was. Their logs come in two
// versions sooner or later (PROTOCOL.md#devices-in-trouble).

const (
	// forkState begins the keys of the state that holds the evidence; a room and a log
	// follow.
	forkState = "fork/"
	// warnForks is for how long faces are warned of a device, from when the evidence
	// came (guess: who did it knows by then).
	warnForks = 7 * 24 * time.Hour
	// recheckRate and recheckBurst bound how often what comes again of one device's is
	// compared with what is held, each a look into the history.
	recheckRate, recheckBurst = 1, 20
	// evidenceRate and evidenceBurst bound the evidence heard of one neighbour, each
	// two signatures to check: all that a room may have at once, then few.
	evidenceRate, evidenceBurst = 0.1, chat.MaxForks
)

// forks is what the loop knows of logs that go on in several ways.
type forks struct {
	known             map[chat.LogID]fork
	rechecks, hearing buckets
	asking            map[unclear]struct{}
	// begun is when the node started, or the newest clock held then: what this device
	// says later, it says here.
	begun chat.HLC
}

// fork is the evidence about one log.
type fork struct {
	room   chat.RoomID
	device chat.DeviceID
	pairs  []pair // at most chat.MaxBranches
	at     time.Time
}

// pair is two headers that contradict each other.
type pair struct {
	_   struct{} `cbor:",toarray"`
	One wire.SignedHeader
	Two wire.SignedHeader
}

// storedFork is its layout in the state.
type storedFork struct {
	One  wire.SignedHeader `cbor:"1,keyasint"`
	Two  wire.SignedHeader `cbor:"2,keyasint"`
	At   uint64            `cbor:"3,keyasint"` // microseconds since 1970
	More []pair            `cbor:"4,keyasint,omitempty"`
}

// exact reports whether two entries show where their ways part: both follow the same one.
func exact(one, two *wire.Entry) bool { return one.Seq == two.Seq && one.Prev == two.Prev }

// beginnings reports whether two entries are both the first of a log.
func beginnings(one, two *wire.Entry) bool { return one.Seq == 1 && two.Seq == 1 }

// headers returns the entries of a pair, without payloads and unverified.
func (p *pair) headers() (one, two wire.Entry, err error) {
	if one, err = wire.DecodeEntry(p.One.Head, p.One.Sig, nil); err == nil {
		two, err = wire.DecodeEntry(p.Two.Head, p.Two.Sig, nil)
	}
	return one, two, err
}

// with returns the evidence with a pair more, false if that is no news: of those that do
// not show where ways part one is enough, until there is one that does.
func (f *fork) with(one, two *wire.Entry) ([]pair, bool) {
	var left []pair
	known := map[chat.EntryID]bool{}
	for _, p := range f.pairs {
		if a, b, err := p.headers(); err == nil && exact(&a, &b) {
			left, known[a.ID], known[b.ID] = append(left, p), true, true
		}
	}
	if exact(one, two) {
		if known[one.ID] && known[two.ID] || len(left) == chat.MaxBranches {
			return nil, false
		}
	} else if len(f.pairs) > 0 {
		return nil, false
	}
	ev := wire.NewEvidence(chat.RoomTag{}, one, two)
	return append(left, pair{One: ev.One, Two: ev.Two}), true
}

// loadForks reads what was stored. What is damaged is left out: it is found again
// where it matters.
func (n *Node) loadForks(ctx context.Context, logs []store.LogRow, now time.Time) (*forks, error) {
	x := &forks{
		known: map[chat.LogID]fork{}, asking: map[unclear]struct{}{},
		rechecks: newBuckets(recheckRate, recheckBurst), hearing: newBuckets(evidenceRate, evidenceBurst),
		begun: chat.HLCOf(now),
	}
	for _, l := range logs {
		if l.LastHLC <= chat.HLCOf(now.Add(chat.MaxFuture)) {
			x.begun = max(x.begun, l.LastHLC)
		}
	}
	state, err := n.store.State(ctx, forkState)
	for key, value := range state {
		var s storedFork
		var f fork
		var log chat.LogID
		id := strings.TrimPrefix(key, forkState)
		if len(id) != len(f.room)+len(log) || wire.Unmarshal(value, &s) != nil || len(s.More) >= chat.MaxBranches {
			continue
		}
		copy(log[:], id[copy(f.room[:], id):])
		f.pairs, f.at = append([]pair{{One: s.One, Two: s.Two}}, s.More...), moment(s.At)
		one, _, err := f.pairs[0].headers()
		if err != nil {
			continue
		}
		f.device = one.Device
		x.known[log] = f
	}
	return x, err
}

// of returns the forked logs of a room, and whether their versions have nothing in common.
func (x *forks) of(id chat.RoomID) map[chat.LogID]bool {
	out := map[chat.LogID]bool{}
	for log, f := range x.known {
		if f.room == id {
			one, two, err := f.pairs[0].headers()
			out[log] = err == nil && beginnings(&one, &two)
		}
	}
	return out
}

// startForks warns of what was found lately.
func (c *core) startForks() {
	for _, f := range c.forks.known {
		if c.now.Sub(f.at) < warnForks {
			c.warnCloned(f.device)
		}
	}
}

// convict keeps evidence, which others have told of or what is held shows, says what it
// means and passes it on. The log's own device goes on with it no more; see room.Forked.
// It reports whether this was news.
func (c *core) convict(id chat.RoomID, one, two *wire.Entry) bool {
	c.rooms.Handle(c.now, room.Forked{Room: id, Log: one.Log, Nothing: beginnings(one, two)})
	f, known := c.forks.known[one.Log]
	if !known {
		c.proclaim(id, one)
		if len(c.forks.of(id)) >= chat.MaxForks {
			return true
		}
		f = fork{room: id, device: one.Device, at: c.now}
	}
	c.forgetState(id, one.Log)
	pairs, news := f.with(one, two)
	if !news {
		return false
	}
	f.pairs = pairs
	c.forks.known[one.Log] = f
	w := c.begin(nil)
	w.batch.State = append(w.batch.State, store.StateChange{
		Key:   forkState + string(id[:]) + string(one.Log[:]),
		Value: wire.Marshal(storedFork{One: f.pairs[0].One, Two: f.pairs[0].Two, At: stamp(f.at), More: f.pairs[1:]}),
	})
	w.end()
	for d := range c.neighbours {
		c.showEvidence(d, id)
	}
	return true
}

// proclaim says what a forked log means.
func (c *core) proclaim(id chat.RoomID, one *wire.Entry) {
	c.n.rarely("fork", slog.LevelWarn, "a device has gone on with one log in two ways; both are kept, and it is not continued",
		"device", one.Device.Short(), "log", one.Log.Short())
	c.warnCloned(one.Device)
	if one.Device == c.n.device {
		c.renew(id)
	}
}

// renew begins new keys of a sealed room: who holds the other version of this device's
// log does not get those that were announced in this one.
func (c *core) renew(id chat.RoomID) {
	if !c.rooms.Sealed(id) {
		return
	}
	var err error = chat.Errorf(chat.CodeCloned, "This device goes on anew in this room, since it runs in two places. Send it again.")
	c.life.failure.CompareAndSwap(nil, &err)
	select {
	case c.n.failed <- id:
	default: // as many rooms wait already, and all keys are made anew with any
	}
}

// showEvidence tells a neighbour what is known of the rooms that it shares: of one, or of
// all if that is zero. It may hold one version only.
func (c *core) showEvidence(d chat.DeviceID, only chat.RoomID) {
	nb := c.neighbours[d]
	if nb == nil || nb.peer == nil || nb.leaving || len(c.forks.known) == 0 {
		return
	}
	shared := holdings{c}.Shared(d)
	for _, f := range c.forks.known {
		if !slices.Contains(shared, f.room) || only != (chat.RoomID{}) && only != f.room {
			continue
		}
		tag := f.room.Tag(c.now)
		for _, p := range f.pairs {
			nb.peer.TrySend(wire.EncodeFrame(wire.Evidence{Tag: tag[:], One: p.One, Two: p.Two}))
		}
	}
}

// heardEvidence takes what a neighbour shows of a log that is held here.
func (c *core) heardEvidence(d chat.DeviceID, f wire.Evidence) {
	id, ok := c.tags[chat.RoomTag(f.Tag)]
	if !ok || !slices.Contains(holdings{c}.Shared(d), id) || !c.forks.hearing.take(c.now, d) {
		return
	}
	p := pair{One: f.One, Two: f.Two}
	one, two, err := p.headers()
	if err == nil {
		known := c.forks.known[one.Log]
		if _, news := known.with(&one, &two); !news || !c.rooms.Knows(id, one.Log) {
			return // it is no news, or shown again when the log has come
		}
		one, two, err = f.Headers()
	}
	if err == nil && (!c.rooms.Fits(id, &one) || !c.rooms.Fits(id, &two)) {
		err = chat.Errorf(chat.CodeInvalid, "A device showed what belongs to another room. It was refused; nothing needs to be done.")
	}
	if err != nil {
		c.refuse(d, err)
		return
	}
	if c.convict(id, &one, &two) {
		c.lookUp(id, one, d)
		c.lookUp(id, two, d)
	}
}

// warnCloned says in plain words that a device's key is in two places. Of this device
// it is said before all others.
func (c *core) warnCloned(d chat.DeviceID) {
	if d == c.n.device {
		c.forks.self(c.n)
		return
	}
	who := "somebody"
	if dev := c.people.devices[d]; dev != nil {
		who = c.displayName(dev.person.id)
	}
	c.n.warnUnless(chat.Error{
		Code: chat.CodeCloned,
		Text: "A device of " + who + "'s (" + d.Short() + ") speaks from two places: its home was copied, or put back. What it says in both is kept, and from now on each begins anew.",
		Hint: "Tell " + who + ": end one of the two, or, if it was stolen, revoke it with `earshot device revoke`.",
	}, ownClone)
}

const ownClone = "This device speaks from two places: a copy of this home runs somewhere else."

func (x *forks) self(n *Node) {
	n.warn(chat.Error{
		Code: chat.CodeCloned, Text: ownClone,
		Hint: "End one of the two. What was said since they parted is kept, of both, and from now on each begins anew. To use Earshot on two computers, link the second with `earshot device add`; if somebody stole the copy, revoke this device from another of yours.",
	})
}

// heardSelf: an entry of this device's came that was not made in this run. It was lost
// here, or another makes them.
func (c *core) heardSelf(e *wire.Entry) {
	h := e.HLC
	if h > c.forks.begun && h <= chat.HLCOf(c.now.Add(chat.MaxFuture)) {
		c.warnCloned(c.n.device)
		return
	}
	c.n.warn(chat.Error{
		Code: chat.CodeRolledBack,
		Text: "This home had lost something that this device has said before, and got it back from others. Restoring a backup does that, or a power failure.",
		Hint: "Nothing needs to be done, if you know why. Otherwise check the disk.",
	})
}

// echo: an entry came by gossip that claims to be this device's. Mostly others pass on
// what it has just said.
func (c *core) echo(from chat.DeviceID, tag chat.RoomTag, e *wire.Entry) {
	id, ok := c.roomOf(tag, e)
	if !ok || c.rooms.Held(id, e) || !c.forks.rechecks.take(c.now, from) || e.Verify() != nil {
		return
	}
	c.heardSelf(e)
	c.sync(catchup.Lost{Device: from}) // they may be held there
}
