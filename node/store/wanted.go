package store

import (
	"context"
	"time"

	"github.com/ncruces/go-sqlite3"

	"earshot/chat"
	"earshot/chat/content"
	"earshot/chat/wire"
)

// This file keeps account of payloads that entries came without, so that nobody who
// relays can take away what others said.

// placeholder bounds what is kept free for a payload that may come, in bytes: with it
// the row need not grow then, and move. Most messages are shorter.
const placeholder = 1 << 10

// addStripped takes an entry that came without its payload. It has cost its author
// nothing if a reason is known for that; else the payload is wanted.
func (w *writer) addStripped(rec *Record, room *roomState, device int64) (chat.Cursor, error) {
	e := &rec.Entry
	removed, err := w.isRemoved(room, e.ID, rec.Person)
	if err != nil {
		return 0, err
	}
	if removed {
		if e.Kind != wire.KindMessage {
			return 0, nil
		}
		cursor, err := w.addTombstone(room, &message{
			device: device, id: e.ID, at: place{rec.Sort, e.Log, e.Seq}, sent: e.HLC, received: rec.ReceivedAt.UnixMicro(), mine: rec.Mine,
		})
		w.changes = append(w.changes, cursor)
		return 0, err
	}
	over, err := w.over(room, e.HLC, rec.ReceivedAt)
	if err != nil || over {
		return 0, err
	}
	return 0, w.addUnopened(rec, room, device)
}

// over reports whether what was said at h may be gone by now.
func (w *writer) over(room *roomState, h chat.HLC, now time.Time) (bool, error) {
	settings, err := w.settings(room)
	return content.Over(h, now, room.keep, settings), err
}

// payloadOf returns what is stored as an entry's payload.
func payloadOf(e *wire.Entry) any {
	switch {
	case e.Payload != nil:
		return e.Payload
	case e.PayloadSize > 0 && e.PayloadSize <= placeholder:
		return make([]byte, e.PayloadSize)
	}
	return nil
}

// dropOver gives up waiting for payloads of what may be gone by now.
func (w *writer) dropOver(now time.Time) error {
	type stripped struct {
		room chat.RoomID
		id   chat.EntryID
		hlc  chat.HLC
	}
	var list []stripped
	if err := w.query(func(s *sqlite3.Stmt) error {
		v := stripped{hlc: chat.HLC(s.ColumnInt64(2))}
		err := fixed(v.room[:], s.ColumnRawBlob(0))
		if err == nil {
			err = fixed(v.id[:], s.ColumnRawBlob(1))
		}
		list = append(list, v)
		return err
	}, `SELECT r.room, u.id, e.hlc FROM unopened u INDEXED BY unopened_stripped CROSS JOIN room r ON r.id = u.room CROSS JOIN entry e ON e.id = u.entry
		WHERE u.reason = 'stripped' AND EXISTS (SELECT 1 FROM setting s WHERE s.room = u.room) LIMIT ?`, maxSweep); err != nil {
		return err
	}
	for _, v := range list {
		room, err := w.room(v.room)
		if err != nil {
			return err
		}
		over, err := w.over(room, v.hlc, now)
		if err != nil || !over {
			if err != nil {
				return err
			}
			continue
		}
		u, err := w.findUnopened(room, v.id)
		if err != nil {
			return err
		}
		if err := w.dropUnopened(room, u); err != nil {
			return err
		}
	}
	return nil
}

// putPayload stores a payload that was wanted: the entry waits to be opened then.
func (w *writer) putPayload(p *Payload) error {
	room, err := w.room(p.Room)
	if err != nil {
		return err
	}
	u, err := w.findUnopened(room, p.Entry.ID)
	if err != nil || u == nil || u.reason != Stripped {
		return err
	}
	if err := w.exec(`UPDATE entry SET payload = ? WHERE id = ?`, p.Entry.Payload, u.entry); err != nil {
		return err
	}
	u.reason = ""
	if u.counts() {
		room.unreadable++
		w.touchRoom(room)
	}
	return w.exec(`UPDATE unopened SET reason = '' WHERE room = ? AND entry = ?`, room.key, u.entry)
}

// Wanted returns entries of a room whose payloads are wanted, those that were asked for
// least often first, at most limit. Their Payload is nil.
func (s *Store) Wanted(ctx context.Context, room chat.RoomID, limit int) ([]StoredEntry, error) {
	var out []StoredEntry
	err := s.read(ctx, func(c *conn) error {
		key, found, err := c.roomKey(room)
		if err != nil || !found {
			return err
		}
		return c.query(func(stmt *sqlite3.Stmt) error {
			e := StoredEntry{ReceivedAt: time.UnixMicro(stmt.ColumnInt64(0)).UTC(), Sort: chat.HLC(stmt.ColumnInt64(1)), Reason: Stripped}
			if err := fixed(e.Person[:], stmt.ColumnRawBlob(2)); err != nil {
				return err
			}
			if e.Entry, _, err = scanEntry(stmt, 3); err != nil {
				return err
			}
			err := fixed(e.Entry.Log[:], stmt.ColumnRawBlob(6))
			out = append(out, e)
			return err
		}, `SELECT u.received, u.sort, d.person, e.head, e.sig, e.payload, l.log
			FROM unopened u INDEXED BY unopened_stripped CROSS JOIN device d ON d.id = u.device CROSS JOIN entry e ON e.id = u.entry
			CROSS JOIN log l ON l.id = e.log
			WHERE u.room = ? AND u.reason = 'stripped' ORDER BY u.tries, u.entry LIMIT ?`, key, limit)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Asked notes that payloads were asked for: after chat.MaxWantedTries times each is
// worth no session of its own any more.
func (s *Store) Asked(room chat.RoomID, ids []chat.EntryID, done func(error)) {
	s.submit(len(ids), func(w *writer) error {
		state, err := w.room(room)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := w.exec(`UPDATE unopened SET tries = tries + 1 WHERE substr(id, 1, 8) = ? AND id = ? AND room = ? AND reason = 'stripped'`,
				id[:8], id[:], state.key); err != nil {
				return err
			}
		}
		return nil
	}, done)
}

// Lack is how many messages of one device came without what they say, at least 1.
type Lack struct {
	Device chat.DeviceID
	Person chat.PersonID
	Count  int
}

// Lacking is which payloads of a room are missing, for no reason that is known.
type Lacking struct {
	Messages []Lack         // by device
	Entries  []chat.EntryID // messages and whatever else, in no order
	Asked    bool           // some were asked for less than chat.MaxWantedTries times
}

// Lacking returns which payloads of a room are missing.
func (s *Store) Lacking(ctx context.Context, room chat.RoomID) (out Lacking, err error) {
	err = s.read(ctx, func(c *conn) error {
		key, found, err := c.roomKey(room)
		if err != nil || !found {
			return err
		}
		if err := c.query(func(stmt *sqlite3.Stmt) error {
			l := Lack{Count: stmt.ColumnInt(2)}
			out.Asked = out.Asked || stmt.ColumnBool(3)
			if err := fixed(l.Device[:], stmt.ColumnRawBlob(0)); err != nil {
				return err
			}
			if err := fixed(l.Person[:], stmt.ColumnRawBlob(1)); err != nil {
				return err
			}
			if l.Count > 0 {
				out.Messages = append(out.Messages, l)
			}
			return nil
		}, `SELECT d.device, d.person, sum(u.kind = ?), max(u.tries < ?) FROM unopened u INDEXED BY unopened_stripped CROSS JOIN device d ON d.id = u.device
			WHERE u.room = ? AND u.reason = 'stripped' GROUP BY d.id ORDER BY d.id`, int(wire.KindMessage), chat.MaxWantedTries, key); err != nil {
			return err
		}
		return c.query(func(stmt *sqlite3.Stmt) error {
			var id chat.EntryID
			err := fixed(id[:], stmt.ColumnRawBlob(0))
			out.Entries = append(out.Entries, id)
			return err
		}, `SELECT u.id FROM unopened u INDEXED BY unopened_stripped WHERE u.room = ? AND u.reason = 'stripped'`, key)
	})
	if err != nil {
		return Lacking{}, err
	}
	return out, nil
}

// Payloads returns entries of a room with their payloads, of those of ids that are
// here with it, together of at most maxBytes.
func (s *Store) Payloads(ctx context.Context, room chat.RoomID, places []EntryPlace, maxBytes int) ([]wire.Entry, error) {
	var out []wire.Entry
	err := s.read(ctx, func(c *conn) error {
		key, found, err := c.roomKey(room)
		if err != nil || !found {
			return err
		}
		bytes := 0
		for _, p := range places {
			if _, err := c.queryRow(func(stmt *sqlite3.Stmt) error {
				e, size, err := scanEntry(stmt, 0)
				e.Log = p.Log
				if err == nil && e.Payload != nil && bytes+size <= maxBytes {
					out, bytes = append(out, e), bytes+size
				}
				return err
			}, `SELECT e.head, e.sig, e.payload FROM log l CROSS JOIN entry e ON e.log = l.id WHERE l.room = ? AND l.log = ? AND e.seq = ?`,
				key, p.Log[:], p.Seq); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// EntryPlace names an entry by its log and number.
type EntryPlace struct {
	Log chat.LogID
	Seq uint64
}
