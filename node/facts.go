package node

import (
	"cmp"
	"log/slog"
	"slices"

	"earshot/chat"
)

// This file tells faces what became a fact: in the order of the numbers that the store
// gave, in its writer's goroutine.

// fact is one that is to be told; without an event it is read from the store.
type fact struct {
	cursor chat.Cursor
	event  chat.Event
}

// tellFacts publishes what became a fact of a change. cursors are of records, then of
// openings, then of rooms, then of what else has changed; see store.Commit.
func (w *change) tellFacts(cursors []chat.Cursor) {
	n, b := w.c.n, &w.batch
	if len(cursors) == 0 {
		return
	}
	facts := make([]fact, 0, len(cursors))
	add := func(cursor chat.Cursor, event func(chat.Cursor) chat.Event) {
		if cursor == 0 { // nothing to show, or shown before
			return
		}
		f := fact{cursor: cursor}
		if event != nil {
			f.event = event(cursor)
		}
		facts = append(facts, f)
	}
	for i, cursor := range cursors[:len(b.Records)] {
		add(cursor, func(at chat.Cursor) chat.Event {
			w.messages[i].Late = b.Records[i].Late
			return chat.MessageEvent{Cursor: at, Message: w.messages[i]}
		})
	}
	cursors = cursors[len(b.Records):]
	for _, cursor := range cursors[:len(b.Openings)] {
		add(cursor, nil) // only the store knows whose they are and when they came
	}
	cursors = cursors[len(b.Openings):]
	for i, cursor := range cursors[:len(b.Rooms)] {
		add(cursor, func(at chat.Cursor) chat.Event {
			r := &b.Rooms[i]
			return chat.RoomEvent{Cursor: at, Room: r.Name, RoomID: r.Room, Joined: r.Joined, At: r.At.UTC()}
		})
	}
	for _, cursor := range cursors[len(b.Rooms):] {
		add(cursor, nil)
	}
	n.publishFacts(facts)
}

// publishFacts publishes facts in the order of their cursors.
func (n *Node) publishFacts(facts []fact) {
	slices.SortFunc(facts, func(a, b fact) int { return cmp.Compare(a.cursor, b.cursor) })
	var stored []chat.Cursor
	for _, f := range facts {
		if f.event == nil {
			stored = append(stored, f.cursor)
			continue
		}
		n.publishStored(stored)
		stored = stored[:0]
		n.feed.Publish(f.event)
	}
	n.publishStored(stored)
}

// publishStored publishes facts, whose cursors ascend, as the store holds them. It is
// asked in the writer's goroutine, which reads never wait for. One that is not there
// any more is of a message that has changed again: that is told next.
func (n *Node) publishStored(cursors []chat.Cursor) {
	var fewer []chat.RoomID // rooms where less may be unread
	var gone []chat.EntryID // of this person's, that say nothing any more
	defer func() {
		n.tellUnread(fewer)
		n.takeBack(gone)
	}()
	for len(cursors) > 0 {
		facts, err := n.store.Facts(n.ctx, cursors[0]-1, len(cursors))
		if err != nil {
			n.rarely("facts", slog.LevelError, "reading what is to be told failed", "err", err)
			return
		}
		if len(facts) == 0 {
			return
		}
		n.names.signFacts(facts)
		var last chat.Cursor
		for _, ev := range facts {
			last, _ = chat.Fact(ev)
			if _, ok := slices.BinarySearch(cursors, last); !ok {
				continue
			}
			n.feed.Publish(ev)
			e, ok := ev.(chat.MessageChangedEvent)
			switch {
			case !ok || e.Removed == nil:
			case e.Mine:
				gone = append(gone, e.ID)
			case !slices.Contains(fewer, e.RoomID):
				fewer = append(fewer, e.RoomID)
			}
		}
		at, _ := slices.BinarySearch(cursors, last+1)
		cursors = cursors[at:]
	}
}

// tellUnread tells faces how much is unread in rooms.
func (n *Node) tellUnread(ids []chat.RoomID) {
	if len(ids) == 0 {
		return
	}
	rows, err := n.store.Rooms(n.ctx)
	if err != nil {
		n.rarely("facts", slog.LevelError, "reading what is unread failed", "err", err)
		return
	}
	for i := range rows {
		if r := &rows[i]; slices.Contains(ids, r.Room) {
			n.feed.Publish(chat.ReadEvent{Room: r.Name, RoomID: r.Room, Unread: r.Unread, ReadUpTo: r.ReadUpTo})
		}
	}
}
