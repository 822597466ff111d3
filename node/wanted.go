package node

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"earshot/chat"
	"earshot/chat/catchup"
	"earshot/chat/content"
	"earshot/chat/wire"
	"earshot/node/store"
	"earshot/node/stream"
)

// This file asks for payloads that entries came without, so that nobody who passes
// entries on can take away what others said.

// wanted is what is known of payloads that are missing. Any goroutine may ask.
type wanted struct {
	mu     sync.Mutex
	wishes catchup.Wishes
	rooms  map[chat.RoomID][]store.Lack // of those where any is missing
}

// try reports whether asking for the payloads of a room counts now.
func (w *wanted) try(now time.Time, id chat.RoomID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.wishes.Try(now, id)
}

// met is told that a neighbour has come with which rooms are shared.
func (w *wanted) met(now time.Time, rooms []chat.RoomID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wishes.Met(now, rooms)
}

// filled is told that payloads of a room have come.
func (w *wanted) filled(now time.Time, id chat.RoomID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wishes.Filled(now, id)
}

// root returns what is said to others instead of a room's root.
func (w *wanted) root(now time.Time, id chat.RoomID, root [32]byte) [32]byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.wishes.Root(now, id, root)
}

// seeks reports whether payloads of a room are asked for, whatever else is to be
// compared.
func (w *wanted) seeks(now time.Time, id chat.RoomID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.wishes.Seeks(now, id)
}

// has reports whether payloads of a room are missing, asked for or not.
func (w *wanted) has(id chat.RoomID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, has := w.rooms[id]
	return has
}

// lacks returns whose messages came without their content.
func (w *wanted) lacks(id chat.RoomID) []store.Lack {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rooms[id]
}

// list returns the rooms where any payload is missing.
func (w *wanted) list() []chat.RoomID {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Keys(w.rooms))
}

func (w *wanted) any() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.rooms) > 0
}

func (w *wanted) put(id chat.RoomID, l store.Lacking) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wishes.Put(id, len(l.Entries) > 0, l.Asked, catchup.SumWishes(l.Entries))
	if len(l.Entries) == 0 {
		delete(w.rooms, id)
		return
	}
	if w.rooms == nil {
		w.rooms = map[chat.RoomID][]store.Lack{}
	}
	w.rooms[id] = l.Messages
}

// weighWanted looks which payloads of a room are missing. It never waits for the
// store's writer, which may call it.
func (n *Node) weighWanted(id chat.RoomID) {
	lacking, err := n.store.Lacking(n.ctx, id)
	if err != nil {
		if n.ctx.Err() == nil {
			n.rarely("wanted", slog.LevelError, "reading which payloads are missing failed", "err", err)
		}
		return
	}
	n.wanted.put(id, lacking)
}

// wish adds to what is said of rooms in a session which payloads are wanted in them,
// also those for which no session would be begun any more.
func (n *Node) wish(ctx context.Context, ses *session, states []catchup.RoomState) {
	ses.wanted = map[chat.RoomID][]store.StoredEntry{}
	for i := range states {
		s := &states[i]
		if !n.wanted.has(s.Room) {
			continue
		}
		list, err := n.store.Wanted(ctx, s.Room, chat.MaxWanted)
		if err != nil {
			n.rarely("wanted", slog.LevelError, "reading which payloads are missing failed", "err", err)
			return
		}
		ses.wanted[s.Room] = list
		for j := range list {
			e := &list[j].Entry
			s.Wanted = append(s.Wanted, wire.LogSeq{Log: e.Log[:], Seq: e.Seq})
		}
	}
}

// asked notes that the payloads that a room wants were asked for.
func (n *Node) asked(id chat.RoomID, ses *session) {
	if !n.wanted.try(time.Now(), id) {
		return
	}
	var ids []chat.EntryID
	for i := range ses.wanted[id] {
		ids = append(ids, ses.wanted[id][i].Entry.ID)
	}
	n.store.Asked(id, ids, func(err error) {
		if err == nil {
			n.weighWanted(id)
		}
	})
}

// supply sends payloads that a neighbour wants, of those that are held here.
func (n *Node) supply(ctx context.Context, s *stream.Stream, d chat.DeviceID, in *catchup.Supply) error {
	shared, err := inLoop(ctx, n, func(c *core) (bool, error) { return c.shares(in.Room, d), nil })
	if err != nil || !shared {
		return err
	}
	places := make([]store.EntryPlace, 0, len(in.Places))
	for _, p := range in.Places {
		places = append(places, store.EntryPlace{Log: chat.LogID(p.Log), Seq: p.Seq})
	}
	entries, err := n.store.Payloads(ctx, in.Room, places, pageBytes)
	if err != nil {
		return err
	}
	for _, f := range catchup.PayloadFrames(in.Tag, entries) {
		if err := s.Send(ctx, wire.EncodeFrame(f)); err != nil {
			return err
		}
	}
	return nil
}

// fill stores payloads that were wanted, and reads what they say.
func (n *Node) fill(ctx context.Context, in catchup.Fill, ses *session) error {
	type found struct {
		entry wire.Entry
		who   chat.PersonID
	}
	var list []found
	for _, p := range in.Payloads {
		at := slices.IndexFunc(ses.wanted[in.Room], func(s store.StoredEntry) bool {
			return s.Entry.Log == chat.LogID(p.Log) && s.Entry.Seq == p.Seq
		})
		if at < 0 || p.Bytes == nil {
			return broken("sent content that was not asked for")
		}
		s := &ses.wanted[in.Room][at]
		// The header was verified when it came, and names what its payload hashes to.
		e, err := wire.DecodeEntry(s.Entry.Head, s.Entry.Sig[:], p.Bytes)
		if err != nil {
			return err
		}
		list = append(list, found{e, s.Person})
	}
	if len(list) == 0 {
		return nil
	}
	return n.tell(ctx, func(c *core) {
		w := c.begin(nil)
		for _, f := range list {
			w.batch.Payloads = append(w.batch.Payloads, store.Payload{Room: in.Room, Entry: f.entry})
			if c.rooms.Sealed(in.Room) {
				continue
			}
			said, err := content.Read(f.entry.Kind, f.entry.Payload)
			if err != nil {
				c.refuse(f.entry.Device, err) // its author's fault: it will never say anything
			}
			said = w.heard(f.who, said)
			if said.Expires > 0 {
				c.sweepBy(c.now)
			}
			w.batch.Openings = append(w.batch.Openings, store.Opening{ID: f.entry.ID, Room: in.Room, Text: said.Text, Content: c.contentOf(said)})
		}
		if c.rooms.Sealed(in.Room) {
			w.again = append(w.again, reopening{room: in.Room, waiting: true})
		}
		ses.fresh += len(list)
		n.wanted.filled(c.now, in.Room)
		w.end()
	})
}

// fillSealed stores the payloads of entries of a sealed room that are held, where they
// came without, and has them read again.
func (w *change) fillSealed(id chat.RoomID, held []wire.Entry) {
	for _, e := range held {
		if e.Payload != nil {
			w.batch.Payloads = append(w.batch.Payloads, store.Payload{Room: id, Entry: e})
		}
	}
	if len(w.batch.Payloads) > 0 {
		w.again = append(w.again, reopening{room: id, waiting: true})
	}
}
