package node

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"earshot/chat"
	"earshot/chat/catchup"
	"earshot/chat/receipt"
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

// forks is what the loop knows of logs that go on in two ways.
type forks struct {
	known             map[chat.LogID]fork
	rechecks, hearing buckets
	// begun is when the node started, or the newest clock held then: what this device
	// says later, it says here.
	begun chat.HLC
}

// fork is the evidence about one log.
type fork struct {
	room   chat.RoomID
	device chat.DeviceID
	seq    uint64 // of one, the lower
	one    wire.SignedHeader
	two    wire.SignedHeader
	at     time.Time
}

// storedFork is its layout in the state.
type storedFork struct {
	One wire.SignedHeader `cbor:"1,keyasint"`
	Two wire.SignedHeader `cbor:"2,keyasint"`
	At  uint64            `cbor:"3,keyasint"` // microseconds since 1970
}

// loadForks reads what was stored. What is damaged is left out: it is found again
// where it matters.
func (n *Node) loadForks(ctx context.Context, logs []store.LogRow, now time.Time) (*forks, error) {
	x := &forks{
		known:    map[chat.LogID]fork{},
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
		if len(id) != len(f.room)+len(log) || wire.Unmarshal(value, &s) != nil {
			continue
		}
		copy(log[:], id[copy(f.room[:], id):])
		one, err := wire.DecodeEntry(s.One.Head, s.One.Sig, nil)
		if err != nil {
			continue
		}
		f.device, f.seq, f.one, f.two, f.at = one.Device, one.Seq, s.One, s.Two, moment(s.At)
		x.known[log] = f
	}
	return x, err
}

// of returns the forked logs of a room, and the numbers from which they are.
func (x *forks) of(id chat.RoomID) map[chat.LogID]uint64 {
	out := map[chat.LogID]uint64{}
	for log, f := range x.known {
		if f.room == id {
			out[log] = f.seq
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

// forked: an entry came that contradicts what is held. The engine goes on with the log
// no more.
func (c *core) forked(ef room.Fork) {
	c.lookUp(ef.Room, store.EntryPlace{Log: ef.Log, Seq: ef.Held}, ef.Other)
}

// recheck compares an entry with what is held under its number.
func (c *core) recheck(ef room.Recheck) {
	if !c.settledFork(ef.Room, ef.Entry.Log) && c.forks.rechecks.take(c.now, ef.Entry.Device) {
		c.lookUp(ef.Room, store.EntryPlace{Log: ef.Entry.Log, Seq: ef.Entry.Seq}, ef.Entry)
	}
}

// lookUp reads an entry, which may be on its way into the store, and takes it and the
// other as evidence if they contradict each other.
func (c *core) lookUp(id chat.RoomID, at store.EntryPlace, other wire.Entry) {
	n := c.n
	n.spawn(func(ctx context.Context) {
		settled := make(chan struct{})
		n.store.TouchDevices(nil, func(error) { close(settled) })
		select {
		case <-settled:
		case <-ctx.Done():
			return
		}
		held, found, err := n.store.Entry(ctx, id, at)
		switch {
		case err != nil && ctx.Err() == nil:
			n.rarely("fork", slog.LevelError, "looking into the history failed", "err", err)
		case found && wire.Contradict(&held, &other):
			_ = n.tell(ctx, func(c *core) { c.convict(id, &held, &other, false) })
		}
	})
}

// settledFork reports whether nothing more need be known of a log: it is known to be
// forked and not continued.
func (c *core) settledFork(id chat.RoomID, log chat.LogID) bool {
	_, known := c.forks.known[log]
	return known && c.rooms.Frozen(id, log)
}

// convict keeps evidence, which others have told of or what is held shows, says what it
// means and passes it on. The log is not continued; see room.Forked.
func (c *core) convict(id chat.RoomID, one, two *wire.Entry, told bool) {
	c.rooms.Handle(c.now, room.Forked{Room: id, Log: one.Log, Seq: one.Seq, Told: told})
	old, known := c.forks.known[one.Log]
	if !known {
		c.proclaim(id, one)
	}
	if known && old.seq <= one.Seq || !known && len(c.forks.of(id)) >= chat.MaxForks {
		return
	}
	ev := wire.NewEvidence(chat.RoomTag{}, one, two)
	f := fork{room: id, device: one.Device, seq: one.Seq, one: ev.One, two: ev.Two, at: c.now}
	c.forks.known[one.Log] = f
	w := c.begin(nil)
	w.batch.State = append(w.batch.State, store.StateChange{
		Key: forkState + string(id[:]) + string(one.Log[:]), Value: wire.Marshal(storedFork{One: f.one, Two: f.two, At: stamp(f.at)}),
	})
	w.end()
	for d := range c.neighbours {
		c.showEvidence(d, id)
	}
}

// proclaim says what a forked log means.
func (c *core) proclaim(id chat.RoomID, one *wire.Entry) {
	c.n.rarely("fork", slog.LevelWarn, "a device has gone on with one log in two ways; it is not continued",
		"device", one.Device.Short(), "log", one.Log.Short())
	c.warnCloned(one.Device)
	if one.Device == c.n.device {
		c.renew(id)
	}
	if l, ok := c.receipts.logs[id][receipt.PrefixOf(one.Log)]; ok && l.mine {
		c.receipts.show[id] = struct{}{} // how far its messages have come is not known any more
		c.showStates()
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
		if slices.Contains(shared, f.room) && (only == chat.RoomID{} || only == f.room) {
			tag := f.room.Tag(c.now)
			nb.peer.TrySend(wire.EncodeFrame(wire.Evidence{Tag: tag[:], One: f.one, Two: f.two}))
		}
	}
}

// heardEvidence takes what a neighbour shows of a log that is held here.
func (c *core) heardEvidence(d chat.DeviceID, f wire.Evidence) {
	id, ok := c.tags[chat.RoomTag(f.Tag)]
	if !ok || !slices.Contains(holdings{c}.Shared(d), id) || !c.forks.hearing.take(c.now, d) {
		return
	}
	one, err := wire.DecodeEntry(f.One.Head, f.One.Sig, nil)
	if err != nil {
		c.refuse(d, err)
		return
	}
	if c.settledFork(id, one.Log) || !c.rooms.Knows(id, one.Log) {
		return // who shows it does so again when the log has come
	}
	one, two, err := f.Headers()
	if err == nil && (!c.rooms.Fits(id, &one) || !c.rooms.Fits(id, &two)) {
		err = chat.Errorf(chat.CodeInvalid, "A device showed what belongs to another room. It was refused; nothing needs to be done.")
	}
	if err != nil {
		c.refuse(d, err)
		return
	}
	_, known := c.forks.known[one.Log]
	c.convict(id, &one, &two, true)
	if !known {
		c.sync(catchup.Lost{Device: d}) // it may hold more
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
		Text: "A device of " + who + "'s (" + d.Short() + ") speaks from two places: its home was copied, or put back. Some of what it said may not reach everybody; from now on it begins anew.",
		Hint: "Tell " + who + ": end one of the two, or, if it was stolen, revoke it with `earshot device revoke`.",
	}, ownClone)
}

const ownClone = "This device speaks from two places: a copy of this home runs somewhere else."

func (x *forks) self(n *Node) {
	n.warn(chat.Error{
		Code: chat.CodeCloned, Text: ownClone,
		Hint: "End one of the two. What was said here since they parted may not reach everybody; from now on each begins anew. To use Earshot on two computers, link the second with `earshot device add`; if somebody stole the copy, revoke this device from another of yours.",
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
