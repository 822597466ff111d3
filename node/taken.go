package node

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"earshot/chat"
	"earshot/chat/receipt"
	"earshot/chat/room"
	"earshot/node/store"
)

// This file is how the loop learns what is on disk, and what this person has read.

// taken is what the store has taken and the loop has not been told of. The store's
// writer fills it, which must not wait.
type taken struct {
	asking sync.Mutex // what is taken from rooms is asked for in the same order

	mu    sync.Mutex
	rooms heldIn
	safe  heldIn // the same, of what a power failure does not take either
	// lacking are the sealed rooms in which an entry has come without what it says.
	lacking map[chat.RoomID]struct{}
	rung    chan struct{} // capacity 1
}

type takenLog struct {
	seq  uint64
	own  bool // this device's
	mine bool // this person's
}

func newTaken() *taken {
	return &taken{
		rooms: heldIn{}, safe: heldIn{}, lacking: map[chat.RoomID]struct{}{}, rung: make(chan struct{}, 1),
	}
}

// took notes that a batch is on disk, with entries of these sealed rooms that came
// without what they say, and logs that were parted. The store's writer calls it.
func (n *Node) took(b *store.Batch, bare []chat.RoomID, parted []room.Parted) {
	if len(b.Records)+len(b.Openings)+len(b.Payloads)+len(parted) == 0 {
		return
	}
	t, fresh := n.taken, heldIn{}
	for _, p := range parted {
		fresh.room(p.Room)[p.Branch] = takenLog{p.End, p.Device == n.device, p.Person == n.person}
	}
	for i := range b.Records {
		r := &b.Records[i]
		logs := fresh.room(r.Room)
		logs[r.Entry.Log] = takenLog{max(r.Entry.Seq, logs[r.Entry.Log].seq), r.Entry.Device == n.device, r.Mine}
	}
	for i := range b.Openings {
		fresh.room(b.Openings[i].Room) // it may have been read elsewhere before it could be read here
	}
	for i := range b.Payloads {
		fresh.room(b.Payloads[i].Room)
	}
	for _, id := range bare {
		t.lacks(id, true)
	}
	for id, logs := range fresh { // before the loop can see it, which must not wait for a read
		if t.mayLack(id) {
			n.weighHeld(id, logs)
		}
	}
	t.mu.Lock()
	t.rooms.add(fresh)
	t.mu.Unlock()
	t.ring()
}

func (t *taken) ring() {
	select {
	case t.rung <- struct{}{}:
	default:
	}
}

// weighHeld puts right what is held in a room where texts may be lacking: what came
// without what it says is not held yet, whoever took that away. Reads never wait for
// the store's writer.
func (n *Node) weighHeld(id chat.RoomID, logs map[chat.LogID]takenLog) {
	clear(logs)
	held, lacking, err := n.store.HeldIn(n.ctx, id)
	if err != nil {
		return // the next entry tries again
	}
	if !lacking {
		n.taken.lacks(id, false)
	}
	for _, h := range held {
		logs[h.Log] = takenLog{h.Seq, h.Device == n.device, h.Person == n.person}
	}
}

// heldIn is up to where logs are on disk, by room.
type heldIn map[chat.RoomID]map[chat.LogID]takenLog

func (h heldIn) room(id chat.RoomID) map[chat.LogID]takenLog {
	m := h[id]
	if m == nil {
		m = map[chat.LogID]takenLog{}
		h[id] = m
	}
	return m
}

// add adds what has come since.
func (h heldIn) add(more heldIn) {
	for id, logs := range more {
		all := h.room(id)
		for log, l := range logs {
			l.seq = max(l.seq, all[log].seq)
			all[log] = l
		}
	}
}

func (t *taken) lacks(id chat.RoomID, yes bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if delete(t.lacking, id); yes {
		t.lacking[id] = struct{}{}
	}
}

func (t *taken) mayLack(id chat.RoomID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, lacks := t.lacking[id]
	return lacks
}

// take returns what the loop may be told of.
func (t *taken) take() heldIn {
	t.mu.Lock()
	defer t.mu.Unlock()
	safe := t.safe
	t.safe = heldIn{}
	return safe
}

// secure returns when what the store has taken by now is safe from a power failure, so
// that the loop may be told of it: others act upon what is said to be held here, and
// couriers drop it.
func (n *Node) secure(ctx context.Context) error {
	t := n.taken
	said := make(chan error, 1)
	t.asking.Lock()
	t.mu.Lock()
	rooms := t.rooms
	t.rooms = heldIn{}
	t.mu.Unlock()
	n.store.Sync(func(err error) {
		t.mu.Lock()
		if err == nil {
			t.safe.add(rooms)
		} else {
			t.rooms.add(rooms)
			t.ring() // it is asked for again
		}
		t.mu.Unlock()
		said <- err
	})
	t.asking.Unlock()
	select {
	case err := <-said:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// secureEach is how often at most the disk is asked to confirm what comes from others.
const secureEach = 200 * time.Millisecond

// passTaken tells the loop what is on disk.
func (n *Node) passTaken(ctx context.Context) {
	for {
		select {
		case <-n.taken.rung:
		case <-ctx.Done():
			return
		}
		wait := secureEach
		if err := n.secure(ctx); err == nil {
			if n.tell(ctx, (*core).heldMore) != nil {
				return
			}
		} else if ctx.Err() == nil {
			n.syncFailed(err)
			wait = spaceEvery
		}
		if !sleep(ctx, wait) {
			return
		}
	}
}

// heldMore: entries are on disk that were not before, and safe there.
func (c *core) heldMore() {
	for id, logs := range c.n.taken.take() {
		if !c.rooms.Sealed(id) {
			continue
		}
		in := receipt.Holds{Room: id}
		elsewhere := c.receipts.elsewhere[id]
		for log, t := range logs {
			p := receipt.PrefixOf(log)
			c.receipts.meetLog(id, log, t.mine)
			if !t.own {
				in.Marks = append(in.Marks, receipt.Mark{Log: p, Seq: t.seq})
			}
			if elsewhere[p] > 0 {
				c.receipts.reread[id] = struct{}{}
			}
		}
		if len(logs) == 0 && elsewhere != nil {
			c.receipts.reread[id] = struct{}{}
		}
		c.receipt(in)
	}
	c.reread()
}

// didRead: this person has read logs of others on this device.
func (c *core) didRead(id chat.RoomID, logs []store.LogMark) {
	if !c.rooms.Sealed(id) || len(logs) == 0 {
		return
	}
	in := receipt.Reads{Room: id, Kind: c.readKind(id)}
	for _, m := range logs {
		in.Marks = append(in.Marks, receipt.Mark{Log: receipt.PrefixOf(m.Log), Seq: m.Seq})
	}
	c.receipt(in)
}

// reread counts as read here what was read on another device of this person's.
func (c *core) reread() {
	r, n := c.receipts, c.n
	for id := range r.reread {
		delete(r.reread, id)
		var marks []store.LogMark
		for p, seq := range r.elsewhere[id] {
			if l, ok := r.logs[id][p]; ok && !l.mine {
				marks = append(marks, store.LogMark{Log: l.log, Seq: seq})
			}
		}
		if len(marks) == 0 {
			continue
		}
		name := c.names[id]
		n.store.MarkReadElsewhere(id, marks, func(mark store.ReadMark, changed bool, err error) {
			switch {
			case err != nil:
				n.rarely("read", slog.LevelWarn, "storing what was read on another device failed", "err", err)
			case changed:
				n.feed.Publish(chat.ReadEvent{Room: name, RoomID: id, Unread: mark.Unread, ReadUpTo: mark.ReadUpTo})
			}
		})
	}
}
