package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ncruces/go-sqlite3"

	"earshot/chat"
	"earshot/chat/wire"
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
	selectMessage = `SELECT m.cursor, m.entry, r.name, r.room, d.person, d.name, d.device, ifnull(e.text, m.text), m.sent, m.received, m.mine, m.sort, ifnull(m.late, 2),
			m.gone, m.expired, m.calls, m.expires, m.reply, CASE WHEN e.id IS NULL THEN m.mentions ELSE e.mentions END, b.shown
		FROM message m CROSS JOIN device d ON d.id = m.device CROSS JOIN room r ON r.id = m.room
		LEFT JOIN became b ON b.message = m.cursor LEFT JOIN edit e ON e.id = b.edit `
	pageAfter = selectMessage + `WHERE m.room = ? AND m.expired = 0 AND (m.sort, m.log, m.seq) > (?, ?, ?) AND (m.sort, m.log, m.seq) < (?, ?, ?)
		ORDER BY m.sort, m.log, m.seq LIMIT ?`
	pageBefore = selectMessage + `WHERE m.room = ? AND m.expired = 0 AND (m.sort, m.log, m.seq) < (?, ?, ?)
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
	return m, scanContent(s, &m)
}

// scanContent reads what is shown of a message beyond its text.
func scanContent(s *sqlite3.Stmt, m *chat.Message) error {
	if s.ColumnType(16) != sqlite3.NULL {
		m.ExpiresAt = time.UnixMicro(s.ColumnInt64(16)).UTC()
	}
	gone, expired := s.ColumnBool(13), s.ColumnBool(14)
	if gone || expired {
		m.Text, m.Removed = "", &chat.Removal{At: m.ExpiresAt}
	} else {
		m.MentionsMe, m.Mentions = s.ColumnBool(15), split(s.ColumnRawBlob(18))
		m.ReplyTo = entryID(s.ColumnRawBlob(17))
	}
	if s.ColumnType(19) == sqlite3.NULL || expired {
		return nil
	}
	var row became
	if err := wire.Unmarshal(s.ColumnRawBlob(19), &row); err != nil {
		return fmt.Errorf("%w: %v", errDecode, err)
	}
	if r := row.Removed; r != nil {
		m.Removed = &chat.Removal{At: chat.HLC(r.HLC).Time()}
		if err := fixed(m.Removed.By.Person[:], r.Person); err != nil {
			return err
		}
		return fixed(m.Removed.By.Device[:], r.Device)
	}
	if row.Edited != 0 {
		m.EditedAt = chat.HLC(row.Edited).Time()
	}
	for _, sign := range row.Signs {
		m.Reactions = append(m.Reactions, chat.Reaction{Sign: sign.Sign, People: split(sign.People)})
	}
	return nil
}

// Revisions returns what a message said before it was edited, oldest first: nothing of
// one that was removed.
func (s *Store) Revisions(ctx context.Context, id chat.EntryID) (out []chat.Revision, err error) {
	err = s.read(ctx, func(c *conn) error {
		out = nil
		return c.query(func(stmt *sqlite3.Stmt) error {
			out = append(out, chat.Revision{Text: stmt.ColumnText(0), At: chat.HLC(stmt.ColumnInt64(1)).Time()})
			return nil
		}, `SELECT text, hlc FROM (
				SELECT m.text, m.sent AS hlc, m.log, m.seq, 0 AS edit FROM message m CROSS JOIN became b ON b.message = m.cursor
				WHERE substr(m.entry, 1, 8) = ?1 AND m.entry = ?2 AND m.gone = 0 AND m.expired = 0 AND b.edit IS NOT NULL
			UNION ALL
				SELECT e.text, e.hlc, e.log, e.seq, 1 FROM message m CROSS JOIN became b ON b.message = m.cursor
				CROSS JOIN device d ON d.id = m.device CROSS JOIN edit e ON substr(e.target, 1, 8) = ?1 AND e.target = ?2 AND e.room = m.room
				CROSS JOIN device f ON f.id = e.device
				WHERE substr(m.entry, 1, 8) = ?1 AND m.entry = ?2 AND e.gone = 0 AND f.person = d.person AND e.id <> b.edit
			) ORDER BY edit, hlc, log, seq`, id[:8], id[:])
	})
	return out, err
}

// EditsOf returns the ids of the edits of a message that are here, newest first.
func (s *Store) EditsOf(ctx context.Context, id chat.EntryID, limit int) (out []chat.EntryID, err error) {
	err = s.read(ctx, func(c *conn) error {
		out = nil
		return c.query(func(stmt *sqlite3.Stmt) error {
			var edit chat.EntryID
			err := fixed(edit[:], stmt.ColumnRawBlob(0))
			out = append(out, edit)
			return err
		}, `SELECT eid FROM edit WHERE substr(target, 1, 8) = ? AND target = ? ORDER BY hlc DESC LIMIT ?`, id[:8], id[:], limit)
	})
	return out, err
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

// Texts returns what messages of a room say, for those of ids that are messages here
// and stay: whoever is told no more than the text would keep for ever what is to
// disappear.
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
			}, `SELECT ifnull(e.text, m.text) FROM message m LEFT JOIN became b ON b.message = m.cursor LEFT JOIN edit e ON e.id = b.edit
				WHERE substr(m.entry, 1, 8) = ? AND m.entry = ? AND m.room = ? AND m.gone = 0 AND m.expired = 0 AND m.expires IS NULL`, id[:8], id[:], key); err != nil {
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
	if s.w.clients.lacks(clientID) {
		return m, false, nil
	}
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
// chat.MessageEvent, chat.MessageChangedEvent and chat.RoomEvent, each as it is now. A
// message that has disappeared is one that has changed: it is removed by nobody. limit
// as in MessageQuery.
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
			for _, e := range rooms {
				facts = append(facts, e)
			}
			if err := c.query(func(stmt *sqlite3.Stmt) error {
				m, err := scanMessage(stmt)
				facts = append(facts, chat.MessageEvent{Cursor: chat.Cursor(stmt.ColumnInt64(0)), Message: m})
				return err
			}, selectMessage+`WHERE m.cursor > ? AND m.expired = 0 ORDER BY m.cursor LIMIT ?`, uint64(after), limit); err != nil {
				return err
			}
			return c.query(func(stmt *sqlite3.Stmt) error {
				m, err := scanMessage(stmt)
				facts = append(facts, chat.MessageChangedEvent{Cursor: chat.Cursor(stmt.ColumnInt64(0)), Message: m})
				return err
			}, selectChanged+`WHERE f.cursor > ? ORDER BY f.cursor LIMIT ?`, uint64(after), limit)
		})
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(facts, func(a, b chat.Event) int {
		of, _ := chat.Fact(a)
		other, _ := chat.Fact(b)
		return cmp.Compare(of, other)
	})
	return facts[:min(len(facts), limit)], nil
}

// selectChanged yields the same as selectMessage, of messages that have changed, but
// with the cursors of the changes.
var selectChanged = strings.NewReplacer("SELECT m.cursor", "SELECT f.cursor",
	"FROM message m", "FROM change_fact f CROSS JOIN message m ON m.cursor = f.message").Replace(selectMessage)

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
