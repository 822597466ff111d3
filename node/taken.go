package node

import (
	"context"
	"log/slog"
	"sync"

	"earshot/chat"
	"earshot/chat/receipt"
	"earshot/node/store"
)

// This file is how the loop learns what is on disk, and what this person has read.

// taken is what the store has taken and the loop has not been told of. The store's
// writer fills it, which must not wait.
type taken struct {
	mu    sync.Mutex
	rooms map[chat.RoomID]map[chat.LogID]takenLog
	// lacking are the rooms in which an entry has come without what it says.
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
		rooms: map[chat.RoomID]map[chat.LogID]takenLog{}, lacking: map[chat.RoomID]struct{}{}, rung: make(chan struct{}, 1),
	}
}

// took notes that a batch is on disk. The store's writer calls it.
func (n *Node) took(b *store.Batch) {
	if len(b.Records)+len(b.Openings)+len(b.Payloads) == 0 {
		return
	}
	t := n.taken
	t.mu.Lock()
	for i := range b.Records {
		r := &b.Records[i]
		logs := t.room(r.Room)
		logs[r.Entry.Log] = takenLog{max(r.Entry.Seq, logs[r.Entry.Log].seq), r.Entry.Device == n.device, r.Mine}
		if r.Unopened && r.Reason == store.Stripped {
			t.lacking[r.Room] = struct{}{}
		}
	}
	for i := range b.Openings {
		t.room(b.Openings[i].Room) // it may have been read elsewhere before it could be read here
	}
	for i := range b.Payloads {
		t.room(b.Payloads[i].Room)
	}
	for id, logs := range t.rooms {
		if _, lacks := t.lacking[id]; lacks {
			n.weighHeld(id, logs)
		}
	}
	t.mu.Unlock()
	select {
	case t.rung <- struct{}{}:
	default:
	}
}

// weighHeld puts right what is held in a room where texts may be lacking: what came
// without what it says is not held yet, whoever took that away. Reads never wait for
// the store's writer.
func (n *Node) weighHeld(id chat.RoomID, logs map[chat.LogID]takenLog) {
	held, lacking, err := n.store.HeldIn(n.ctx, id)
	if err != nil {
		clear(logs) // the next entry tries again
		return
	}
	if !lacking {
		delete(n.taken.lacking, id)
	}
	for _, h := range held {
		logs[h.Log] = takenLog{h.Seq, h.Device == n.device, h.Person == n.person}
	}
}

func (t *taken) room(id chat.RoomID) map[chat.LogID]takenLog {
	m := t.rooms[id]
	if m == nil {
		m = map[chat.LogID]takenLog{}
		t.rooms[id] = m
	}
	return m
}

func (t *taken) take() map[chat.RoomID]map[chat.LogID]takenLog {
	t.mu.Lock()
	defer t.mu.Unlock()
	rooms := t.rooms
	t.rooms = map[chat.RoomID]map[chat.LogID]takenLog{}
	return rooms
}

// passTaken tells the loop what is on disk.
func (n *Node) passTaken(ctx context.Context) {
	for {
		select {
		case <-n.taken.rung:
			if n.tell(ctx, (*core).heldMore) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// heldMore: entries are on disk that were not before.
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
