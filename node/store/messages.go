package store

import (
	"context"
	"slices"
	"time"

	"github.com/ncruces/go-sqlite3"

	"earshot/chat"
)

// Bounds of one page of messages or facts.
const (
	defaultPage = 50
	maxPage     = 1000
)

func pageSize(n int) int {
	if n <= 0 {
		return defaultPage
	}
	return min(n, maxPage)
}

// MessageQuery asks for a page of a room's messages: the newest; with Before, the
// newest before that message; with After, the oldest after it; with both, the
// oldest between them. Limit is 50 where it is not positive, and 1,000 at most.
type MessageQuery struct {
	Before, After chat.EntryID
	Limit         int
}

// selectMessage yields what scanMessage reads. Its tables are joined in the order
// written, whatever SQLite thinks of them.
const (
	selectMessage = `SELECT m.cursor, m.entry, r.name, r.room, d.person, d.name, d.device, m.text, m.sent, m.received, m.mine, m.sort, m.late
		FROM message m CROSS JOIN device d ON d.id = m.device CROSS JOIN room r ON r.id = m.room `
	pageAfter = selectMessage + `WHERE m.room = ? AND (m.sort, m.log, m.seq) > (?, ?, ?) AND (m.sort, m.log, m.seq) < (?, ?, ?)
		ORDER BY m.sort, m.log, m.seq LIMIT ?`
	pageBefore = selectMessage + `WHERE m.room = ? AND (m.sort, m.log, m.seq) < (?, ?, ?)
		ORDER BY m.sort DESC, m.log DESC, m.seq DESC LIMIT ?`
)

func scanMessage(s *sqlite3.Stmt) (chat.Message, error) {
	sent, sort := chat.HLC(s.ColumnInt64(8)), chat.HLC(s.ColumnInt64(11))
	m := chat.Message{
		Room: s.ColumnText(2), Text: s.ColumnText(7), SentAt: sent.Time(), ReceivedAt: time.UnixMicro(s.ColumnInt64(9)).UTC(),
		Mine: s.ColumnBool(10), ClockAhead: sort != sent, From: chat.Author{Name: s.ColumnText(5)},
		Late: s.ColumnInt(12) != 0,
	}
	for _, f := range []struct {
		column int
		dst    []byte
	}{{1, m.ID[:]}, {3, m.RoomID[:]}, {4, m.From.Person[:]}, {6, m.From.Device[:]}} {
		if err := fixed(f.dst, s.ColumnRawBlob(f.column)); err != nil {
			return chat.Message{}, err
		}
	}
	return m, nil
}

// lastPlace is behind every message.
var lastPlace = place{sort: 1<<63 - 1}

// Messages returns a page of a room's messages, oldest first, in the order shown.
// An author's name is today's. An unknown Before or After is CodeNotFound.
func (s *Store) Messages(ctx context.Context, room chat.RoomID, q MessageQuery) ([]chat.Message, error) {
	var page []chat.Message
	err := s.read(ctx, func(c *conn) error {
		key, found, err := c.roomKey(room)
		if err != nil || !found {
			return err
		}
		before, after := lastPlace, place{}
		if !q.Before.IsZero() {
			if before, err = c.find(key, q.Before); err != nil {
				return err
			}
		}
		if !q.After.IsZero() {
			if after, err = c.find(key, q.After); err != nil {
				return err
			}
		}
		add := func(stmt *sqlite3.Stmt) error {
			m, err := scanMessage(stmt)
			page = append(page, m)
			return err
		}
		if !q.After.IsZero() {
			return c.query(add, pageAfter, key, uint64(after.sort), after.log[:], after.seq,
				uint64(before.sort), before.log[:], before.seq, pageSize(q.Limit))
		}
		err = c.query(add, pageBefore, key, uint64(before.sort), before.log[:], before.seq, pageSize(q.Limit))
		slices.Reverse(page)
		return err
	})
	if err != nil {
		return nil, err
	}
	return page, nil
}

func (c *conn) roomKey(id chat.RoomID) (key int64, found bool, err error) {
	found, err = c.queryRow(func(s *sqlite3.Stmt) error {
		key = s.ColumnInt64(0)
		return nil
	}, `SELECT id FROM room WHERE room = ?`, id[:])
	return key, found, err
}

// find returns where a message stands. The index holds the first 8 bytes of ids.
func (c *conn) find(room int64, id chat.EntryID) (place, error) {
	var p place
	found, err := c.queryRow(func(s *sqlite3.Stmt) error {
		p.sort, p.seq = chat.HLC(s.ColumnInt64(0)), uint64(s.ColumnInt64(2))
		return fixed(p.log[:], s.ColumnRawBlob(1))
	}, `SELECT sort, log, seq FROM message WHERE substr(entry, 1, 8) = ? AND entry = ? AND room = ?`, id[:8], id[:], room)
	if err == nil && !found {
		err = chat.Errorf(chat.CodeNotFound, "This room holds no message %s. Copy its id whole, from this room's history.", id)
	}
	return p, err
}

// Texts returns what messages of a room say, for those of ids that are messages here.
func (s *Store) Texts(ctx context.Context, room chat.RoomID, ids []chat.EntryID) (map[chat.EntryID]string, error) {
	texts := make(map[chat.EntryID]string, len(ids))
	err := s.read(ctx, func(c *conn) error {
		key, found, err := c.roomKey(room)
		if err != nil || !found {
			return err
		}
		for _, id := range ids {
			if _, err := c.queryRow(func(stmt *sqlite3.Stmt) error {
				texts[id] = stmt.ColumnText(0)
				return nil
			}, `SELECT text FROM message WHERE substr(entry, 1, 8) = ? AND entry = ? AND room = ?`, id[:8], id[:], key); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return texts, nil
}

// ByClientID returns the message that the user's action with this id made, and
// whether there is one.
func (s *Store) ByClientID(ctx context.Context, clientID string) (m chat.Message, found bool, err error) {
	err = s.read(ctx, func(c *conn) (err error) {
		found, err = c.queryRow(func(stmt *sqlite3.Stmt) (err error) {
			m, err = scanMessage(stmt)
			return err
		}, selectMessage+`WHERE m.client = ?`, clientID)
		return err
	})
	return m, found && err == nil, err
}

// LastCursor returns the newest fact's number, 0 if there is none.
func (s *Store) LastCursor(ctx context.Context) (last chat.Cursor, err error) {
	err = s.read(ctx, func(c *conn) (err error) {
		last, err = c.lastCursor()
		return err
	})
	return last, err
}

// Facts returns the facts behind a cursor in the order in which they were stored:
// chat.MessageEvent and chat.RoomEvent. limit as in MessageQuery.
func (s *Store) Facts(ctx context.Context, after chat.Cursor, limit int) ([]chat.Event, error) {
	limit = pageSize(limit)
	var facts []chat.Event
	err := s.read(ctx, func(c *conn) error {
		var rooms []chat.RoomEvent
		// One transaction: else a fact stored between the two queries could be
		// returned while an older one is not.
		return c.snapshot(func() error {
			if err := c.query(func(stmt *sqlite3.Stmt) error {
				e := chat.RoomEvent{
					Cursor: chat.Cursor(stmt.ColumnInt64(0)), Room: stmt.ColumnText(1),
					Joined: stmt.ColumnBool(3), At: time.UnixMicro(stmt.ColumnInt64(4)).UTC(),
				}
				err := fixed(e.RoomID[:], stmt.ColumnRawBlob(2))
				rooms = append(rooms, e)
				return err
			}, `SELECT f.cursor, r.name, r.room, f.joined, f.at FROM room_fact f CROSS JOIN room r ON r.id = f.room
				WHERE f.cursor > ? ORDER BY f.cursor LIMIT ?`, uint64(after), limit); err != nil {
				return err
			}
			if err := c.query(func(stmt *sqlite3.Stmt) error {
				m, err := scanMessage(stmt)
				if err != nil {
					return err
				}
				e := chat.MessageEvent{Cursor: chat.Cursor(stmt.ColumnInt64(0)), Message: m}
				for len(rooms) > 0 && rooms[0].Cursor < e.Cursor {
					facts = append(facts, rooms[0])
					rooms = rooms[1:]
				}
				facts = append(facts, e)
				return nil
			}, selectMessage+`WHERE m.cursor > ? ORDER BY m.cursor LIMIT ?`, uint64(after), limit); err != nil {
				return err
			}
			for _, e := range rooms {
				facts = append(facts, e)
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return facts[:min(len(facts), limit)], nil
}

// snapshot runs reads that must all see the same state.
func (c *conn) snapshot(f func() error) error {
	if err := c.exec("BEGIN"); err != nil {
		return err
	}
	err := f()
	// The end must not be interrupted, or the connection would keep the snapshot.
	ctx := c.db.SetInterrupt(context.Background())
	defer c.db.SetInterrupt(ctx)
	if end := c.exec("COMMIT"); err == nil {
		err = end
	}
	return err
}
