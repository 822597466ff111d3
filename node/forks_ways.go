package node

import (
	"context"
	"log/slog"

	"earshot/chat"
	"earshot/chat/catchup"
	"earshot/chat/receipt"
	"earshot/chat/room"
	"earshot/chat/wire"
	"earshot/node/store"
)

// This file finds out where the ways of a forked log part, so that all of them can be
// held (PROTOCOL.md#logs).

// maxUnclear bounds the logs of which neighbours are asked for all: what comes beyond
// that waits for the next contradiction.
const maxUnclear = 256

// unclear is a log of which a neighbour holds another way, and it is not known from
// where: they are asked for all of it.
type unclear struct {
	room   chat.RoomID
	log    chat.LogID
	device chat.DeviceID
}

func (x *forks) unclear(id chat.RoomID, log chat.LogID, d chat.DeviceID) bool {
	_, is := x.asking[unclear{id, log, d}]
	return is
}

// asked returns what a session with a neighbour asks for all of.
func (x *forks) asked(d chat.DeviceID) map[unclear]struct{} {
	out := map[unclear]struct{}{}
	for u := range x.asking {
		if u.device == d {
			out[u] = struct{}{}
		}
	}
	return out
}

// answered notes that a session has brought what it was asked for.
func (x *forks) answered(of map[unclear]struct{}) {
	for u := range of {
		delete(x.asking, u)
	}
}

// originOf returns what the headers of a log's entries name.
func originOf(l *room.Log) chat.LogID {
	if l.Branch != nil {
		return l.Branch.Of
	}
	return l.Log
}

// tip is the newest entry of one way of a log that came in a session.
type tip struct {
	id, prev chat.EntryID // prev is what the first one followed
	seq      uint64
}

// follows notes an entry that came in a session. Each comes once and behind what it
// follows, or an endless session would cost nothing; false if it does not.
func (ses *session) follows(e *wire.Entry) bool {
	tips := ses.came[e.Log]
	at := -1
	for i := range tips {
		switch {
		case tips[i].id == e.ID || tips[i].prev == e.ID:
			return false
		case tips[i].id == e.Prev:
			at = i
		case at < 0 && e.Seq > tips[i].seq:
			at = i
		}
	}
	switch {
	case at >= 0:
		tips[at].id, tips[at].seq = e.ID, e.Seq
	case len(tips) >= chat.MaxBranches || len(tips) == 0 && len(ses.came) >= maxCame:
		return false
	default:
		ses.came[e.Log] = append(tips, tip{id: e.ID, prev: e.Prev, seq: e.Seq})
	}
	return true
}

// told returns how far the neighbour of a session was told that a log is held here:
// what it sends of it all the same is of another way.
func (ses *session) told(id chat.RoomID, log chat.LogID) uint64 {
	if _, all := ses.unclear[unclear{id, log, ses.device}]; all {
		return wire.MaxSeq
	}
	return ses.machine.Said(id, log)
}

// look is what the history says about an entry whose number may be held in another way.
type look struct {
	ways []chat.LogID // that its log is held in
	held bool         // it is held
	// parts: it follows last, which in is held in, as first does. apart: it contradicts
	// first, and it is not held what both come from.
	parts, apart bool
	in           chat.LogID
	last, first  wire.Entry
	other        wire.Entry // itself
}

// lookAt reads what is held where an entry stands.
func (n *Node) lookAt(ctx context.Context, id chat.RoomID, e *wire.Entry, l *look) error {
	l.other = *e
	next := false // it can be taken as it is
	for _, way := range l.ways {
		here, found, err := n.store.Entry(ctx, id, store.EntryPlace{Log: way, Seq: e.Seq})
		if err != nil {
			return err
		}
		if found && here.ID == e.ID {
			*l = look{ways: l.ways, held: true, other: *e}
			return nil
		}
		before, known, err := n.store.Entry(ctx, id, store.EntryPlace{Log: way, Seq: e.Seq - 1})
		if err != nil {
			return err
		}
		follows := known && before.ID == e.Prev
		switch {
		case found && follows:
			l.parts, l.in, l.last, l.first = true, way, before, here
		case follows:
			next = true
		case found && !l.parts:
			l.apart, l.first = true, here
		case known && !l.parts && !l.apart:
			l.apart, l.first = true, before
		}
	}
	l.apart = l.apart && !l.parts && !next
	l.first.Log = l.first.Origin()
	return nil
}

// lookAtAll does for those of a list that it is told, and returns it without what is
// held.
func (n *Node) lookAtAll(ctx context.Context, id chat.RoomID, list []wire.Entry, looks map[chat.EntryID]*look) ([]wire.Entry, error) {
	if len(looks) == 0 {
		return list, nil
	}
	left := list[:0]
	for i := range list {
		if l := looks[list[i].ID]; l != nil {
			if err := n.lookAt(ctx, id, &list[i], l); err != nil {
				return nil, err
			}
			if l.held {
				continue
			}
		}
		left = append(left, list[i])
	}
	return left, nil
}

// forked: an entry came that contradicts what is held.
func (c *core) forked(ef room.Fork) {
	if c.forks.rechecks.take(c.now, ef.Device) {
		c.lookUp(ef.Room, ef.Other, ef.From)
	}
}

// recheck compares an entry with what is held under its number.
func (c *core) recheck(ef room.Recheck) {
	if c.forks.rechecks.take(c.now, ef.Entry.Device) {
		c.lookUp(ef.Room, ef.Entry, ef.From)
	}
}

// lookUp compares an entry that a neighbour has shown with what is held of its log, which
// may be on its way into the store.
func (c *core) lookUp(id chat.RoomID, e wire.Entry, from chat.DeviceID) {
	n := c.n
	l := &look{ways: c.rooms.Ways(id, e.Log)}
	n.spawn(func(ctx context.Context) {
		settled := make(chan struct{})
		n.store.TouchDevices(nil, func(error) { close(settled) })
		select {
		case <-settled:
		case <-ctx.Done():
			return
		}
		err := n.lookAt(ctx, id, &e, l)
		switch {
		case err != nil && ctx.Err() == nil:
			n.rarely("fork", slog.LevelError, "looking into the history failed", "err", err)
		case err == nil && (l.parts || l.apart):
			_ = n.tell(ctx, func(c *core) {
				if l.parts {
					c.part(id, l)
				} else {
					c.apart(id, l, from)
				}
			})
		}
	})
}

// part has what is held of a log go on as a branch from where another way of it parts.
func (c *core) part(id chat.RoomID, l *look) {
	of := l.other.Log
	if !c.rooms.MaySplit(id, of) {
		c.crowded(room.Crowded{Room: id, Device: l.other.Device, Log: of})
		return
	}
	w := c.begin(nil)
	w.rooms(c.rooms.Handle(c.now, room.Split{Room: id, Log: l.in, Seq: l.last.Seq, Last: l.last.ID, HLC: l.last.HLC, First: l.first.ID}))
	w.end()
	c.convict(id, &l.first, &l.other)
	for d := range c.neighbours { // they may hold another way, or need to be told of this
		if c.shares(id, d) {
			c.sync(catchup.Lost{Device: d})
		}
	}
}

// apart asks the neighbour that has shown another way of a log for all of it.
func (c *core) apart(id chat.RoomID, l *look, from chat.DeviceID) {
	c.convict(id, &l.first, &l.other)
	if u := (unclear{id, l.other.Log, from}); !from.IsZero() && len(c.forks.asking) < maxUnclear {
		c.forks.asking[u] = struct{}{}
		c.sync(catchup.Lost{Device: from})
	}
}

// crowded says that a log goes on in more ways than are kept.
func (c *core) crowded(ef room.Crowded) {
	c.n.rarely("crowded", slog.LevelWarn, "a device has gone on with one log in more ways than are kept; what it says in a further one is not shown here",
		"device", ef.Device.Short(), "log", ef.Log.Short(), "kept", chat.MaxBranches)
}

// splitRead tells others of this person's devices, and of the room, what was read of
// logs that were parted. The store's writer calls it.
func (n *Node) splitRead(splits []store.Split) {
	for _, s := range splits {
		if s.Read > 0 {
			n.soon(func(c *core) { c.didRead(s.Room, []store.LogMark{{Log: s.Branch, Seq: s.Read}}) })
		}
	}
}

// forgetState has faces told of one's own messages of a log of which it is now known that
// it is forked, or where it parts: how far they have come has changed.
func (c *core) forgetState(id chat.RoomID, log chat.LogID) {
	if l, ok := c.receipts.logs[id][receipt.PrefixOf(log)]; ok && l.mine {
		c.receipts.show[id] = struct{}{}
		c.showStates()
	}
}

// maxCame bounds the logs that entries of one session may be of.
const maxCame = 16 * chat.MaxLogsPerRoom
