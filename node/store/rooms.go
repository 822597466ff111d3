package store

import (
	"context"
	"time"

	"github.com/ncruces/go-sqlite3"

	"earshot/chat"
)

// RoomRow is a room this node is or was in.
type RoomRow struct {
	Room   chat.RoomID
	Name   string // as shown, with its #
	Kind   chat.RoomKind
	Person *chat.PersonID // whom a direct chat is with; nil in others
	Topic  string
	Joined bool
	// Keep is how long messages are kept, Disappear after what time new ones
	// disappear; 0 for ever.
	Keep, Disappear time.Duration
	// Mentions counts the messages behind the read mark that call this person, up to
	// maxMentions.
	Mentions int
	// Unread counts the messages of others behind the read mark, and those that came
	// to stand before it and were not read since.
	Unread int
	// Unreadable counts the messages that can't be read here, yet or for ever.
	Unreadable int
	// LastAt is when the newest message in the order shown was sent; zero if none.
	LastAt time.Time
	// ReadUpTo is the read mark; nil if nothing was read.
	ReadUpTo *chat.EntryID
}

// RoomChange is what a room is from At on.
type RoomChange struct {
	Room   chat.RoomID
	Name   string // as shown, with its # or @; never ""
	Kind   chat.RoomKind
	Person *chat.PersonID
	Topic  string
	Joined bool
	At     time.Time
}

// PutRoom stores what a room is. That this node joined or left it is a fact, of
// which done gets the cursor; 0 where Joined is what it was. See Append for when
// done is called.
func (s *Store) PutRoom(r RoomChange, done func(chat.Cursor, error)) {
	s.Commit(Batch{Rooms: []RoomChange{r}}, func(cursors []chat.Cursor, err error) {
		switch {
		case done == nil:
		case err != nil:
			done(0, err)
		default:
			done(cursors[0], nil)
		}
	})
}

func (w *writer) putRoom(r *RoomChange) (chat.Cursor, error) {
	room, err := w.room(r.Room)
	if err != nil {
		return 0, err
	}
	var was bool
	if _, err := w.queryRow(func(s *sqlite3.Stmt) error {
		was = s.ColumnBool(0)
		return nil
	}, `SELECT joined FROM room WHERE id = ?`, room.key); err != nil {
		return 0, err
	}
	var person any
	if r.Person != nil {
		person = r.Person[:]
	}
	if err := w.exec(`UPDATE room SET name = ?, kind = ?, person = ?, topic = ?, joined = ? WHERE id = ?`,
		r.Name, string(r.Kind), person, r.Topic, r.Joined, room.key); err != nil {
		return 0, err
	}
	if was == r.Joined {
		return 0, nil
	}
	w.cursor++
	return w.cursor, w.exec(`INSERT INTO room_fact (cursor, room, joined, at) VALUES (?, ?, ?, ?)`,
		uint64(w.cursor), room.key, r.Joined, r.At.UnixMicro())
}

// ReadMark is how far a room was read.
type ReadMark struct {
	Unread   int
	ReadUpTo *chat.EntryID
	// Logs is how far the logs of others are read by this: those that have moved.
	Logs []LogMark
}

// MarkRead moves a room's read mark forward to a message; it never moves back. What
// came late and stands there or before is read too, wherever the mark is. An
// unknown message is CodeNotFound. done gets the mark as it now stands; see Append
// for when it is called.
func (s *Store) MarkRead(room chat.RoomID, upTo chat.EntryID, done func(ReadMark, error)) {
	var mark ReadMark
	s.submit(1, func(w *writer) (err error) {
		mark, err = w.markRead(room, upTo)
		return err
	}, func(err error) {
		if done == nil {
			return
		}
		if err != nil {
			mark = ReadMark{}
		}
		done(mark, err)
	})
}

func (w *writer) markRead(id chat.RoomID, upTo chat.EntryID) (ReadMark, error) {
	room, err := w.room(id)
	if err != nil {
		return ReadMark{}, err
	}
	at, err := w.find(room.key, upTo)
	if err != nil {
		return ReadMark{}, err
	}
	logs, err := w.readLogs(room, room.read, at)
	if err != nil {
		return ReadMark{}, err
	}
	if err := w.readLate(room, at); err != nil {
		return ReadMark{}, err
	}
	if at.compare(room.read) > 0 {
		// The count costs what was just read, not what is left.
		var read int
		if _, err := w.queryRow(func(s *sqlite3.Stmt) error {
			read = s.ColumnInt(0)
			return nil
		}, `SELECT count(*) FROM message WHERE room = ? AND mine = 0 AND gone = 0 AND expired = 0
			AND (sort, log, seq) > (?, ?, ?) AND (sort, log, seq) <= (?, ?, ?)`,
			room.key, uint64(room.read.sort), room.read.log[:], room.read.seq, uint64(at.sort), at.log[:], at.seq); err != nil {
			return ReadMark{}, err
		}
		room.unread = max(0, room.unread-read)
		room.read, room.readID = at, upTo[:]
		w.touchRoom(room)
	}
	return ReadMark{Unread: room.unread, ReadUpTo: entryID(room.readID), Logs: logs}, nil
}

func entryID(b []byte) *chat.EntryID {
	var id chat.EntryID
	if fixed(id[:], b) != nil {
		return nil
	}
	return &id
}

// maxMentions bounds what is counted of messages that call this person.
const maxMentions = 1000

// Rooms returns every room ever joined, in the order of joining. It counts nothing
// but mentions, and is as quick with a million messages as with none.
func (s *Store) Rooms(ctx context.Context) ([]RoomRow, error) {
	var rows []RoomRow
	err := s.read(ctx, func(c *conn) error {
		rows = nil
		return c.query(func(stmt *sqlite3.Stmt) error {
			r := RoomRow{
				Name: stmt.ColumnText(1), Kind: chat.RoomKind(stmt.ColumnText(2)), Joined: stmt.ColumnBool(3), Unread: stmt.ColumnInt(4),
				Topic: stmt.ColumnText(7), Unreadable: stmt.ColumnInt(8), Keep: time.Duration(stmt.ColumnInt64(10)) * time.Second,
				Disappear: time.Duration(stmt.ColumnInt64(11)) * time.Second, Mentions: stmt.ColumnInt(12),
			}
			if stmt.ColumnType(9) != sqlite3.NULL {
				r.Person = new(chat.PersonID)
				if err := fixed(r.Person[:], stmt.ColumnRawBlob(9)); err != nil {
					return err
				}
			}
			if sent := chat.HLC(stmt.ColumnInt64(5)); sent != 0 {
				r.LastAt = sent.Time()
			}
			r.ReadUpTo = entryID(stmt.ColumnRawBlob(6))
			rows = append(rows, r)
			return fixed(rows[len(rows)-1].Room[:], stmt.ColumnRawBlob(0))
		}, `SELECT room, name, kind, joined, unread, last_sent, read_entry, topic, unreadable, person, keep, disappear,
			(SELECT count(*) FROM (SELECT 1 FROM message m INDEXED BY message_calls WHERE m.room = room.id AND m.calls = 1 AND m.gone = 0 AND m.expired = 0
				AND (m.sort, m.log, m.seq) > (read_sort, read_log, read_seq) AND m.mine = 0 LIMIT ?))
			FROM room WHERE name <> '' ORDER BY id`, maxMentions)
	})
	return rows, err
}
