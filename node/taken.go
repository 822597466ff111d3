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
	rung  chan struct{} // capacity 1
}

type takenLog struct {
	seq  uint64
	own  bool // this device's
	mine bool // this person's
}

func newTaken() *taken {
	return &taken{rooms: map[chat.RoomID]map[chat.LogID]takenLog{}, rung: make(chan struct{}, 1)}
}

// add notes that a batch is on disk.
func (t *taken) add(self chat.DeviceID, b *store.Batch) {
	if len(b.Records)+len(b.Openings) == 0 {
		return
	}
	t.mu.Lock()
	for i := range b.Records {
		r := &b.Records[i]
		logs := t.room(r.Room)
		logs[r.Entry.Log] = takenLog{max(r.Entry.Seq, logs[r.Entry.Log].seq), r.Entry.Device == self, r.Mine}
	}
	for i := range b.Openings {
		t.room(b.Openings[i].Room) // it may have been read elsewhere before it could be read here
	}
	t.mu.Unlock()
	select {
	case t.rung <- struct{}{}:
	default:
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
