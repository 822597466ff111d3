package store

import (
	"context"
	"slices"

	"github.com/ncruces/go-sqlite3"

	"earshot/chat"
	"earshot/chat/wire"
)

// This file turns what a person has read, which is a place in what is shown, into
// numbers of logs, which other devices understand, and back.

// ReadHere returns how far this person has read the logs of others on this device.
func (s *Store) ReadHere(ctx context.Context) (map[chat.RoomID][]LogMark, error) {
	out := map[chat.RoomID][]LogMark{}
	err := s.read(ctx, func(c *conn) error {
		return c.query(func(stmt *sqlite3.Stmt) error {
			var room chat.RoomID
			m := LogMark{Seq: uint64(stmt.ColumnInt64(2))}
			if err := fixed(room[:], stmt.ColumnRawBlob(0)); err != nil {
				return err
			}
			if err := fixed(m.Log[:], stmt.ColumnRawBlob(1)); err != nil {
				return err
			}
			out[room] = append(out[room], m)
			return nil
		}, `SELECT r.room, l.log, t.seq FROM log_read t CROSS JOIN room r ON r.id = t.room CROSS JOIN log l ON l.id = t.log`)
	})
	return out, err
}

// HeldLog is how far a log is held with what it says.
type HeldLog struct {
	Log    chat.LogID
	Device chat.DeviceID
	Person chat.PersonID
	Seq    uint64
}

// readLogs notes and returns how far the logs of others are read now that the mark of
// a room moves from one place to another.
func (w *writer) readLogs(room *roomState, from, to place) ([]LogMark, error) {
	var marks []LogMark
	add := func(s *sqlite3.Stmt) error {
		m := LogMark{Seq: uint64(s.ColumnInt64(1))}
		if err := fixed(m.Log[:], s.ColumnRawBlob(0)); err != nil {
			return err
		}
		if i := slices.IndexFunc(marks, func(n LogMark) bool { return n.Log == m.Log }); i >= 0 {
			marks[i].Seq = max(marks[i].Seq, m.Seq)
			return nil
		}
		marks = append(marks, m)
		return nil
	}
	// An early message says nothing about those before it.
	if from.compare(to) < 0 {
		if err := w.query(add, `SELECT log, max(seq) FROM message WHERE room = ? AND mine = 0 AND early = 0 AND expired = 0
			AND (sort, log, seq) > (?, ?, ?) AND (sort, log, seq) <= (?, ?, ?) GROUP BY log`,
			room.key, uint64(from.sort), from.log[:], from.seq, uint64(to.sort), to.log[:], to.seq); err != nil {
			return nil, err
		}
	}
	if err := w.query(add, `SELECT log, max(seq) FROM message WHERE room = ? AND late = 1 AND mine = 0 AND early = 0
		AND (sort, log, seq) <= (?, ?, ?) GROUP BY log`, room.key, uint64(to.sort), to.log[:], to.seq); err != nil {
		return nil, err
	}
	if err := w.readBehind(room, to, add); err != nil {
		return nil, err
	}
	if err := w.readUpToGaps(room, &marks); err != nil {
		return nil, err
	}
	for _, m := range marks {
		log, err := w.log(room.key, m.Log)
		if err != nil {
			return nil, err
		}
		if err := w.exec(`INSERT INTO log_read (room, log, seq) VALUES (?, ?, ?)
			ON CONFLICT DO UPDATE SET seq = max(seq, excluded.seq)`, room.key, log.key, m.Seq); err != nil {
			return nil, err
		}
	}
	return marks, nil
}

// readBehind adds what follows in its log on messages that came late and are read now,
// up to a place: it may have been read while they were missing, and was not counted.
func (w *writer) readBehind(room *roomState, to place, add func(*sqlite3.Stmt) error) error {
	const late = `FROM message WHERE room = ? AND late = 1 AND mine = 0 AND early = 0 AND (sort, log, seq) <= (?, ?, ?)`
	upTo := []any{room.key, uint64(to.sort), to.log[:], to.seq}
	var first place
	found, err := w.queryRow(func(s *sqlite3.Stmt) error {
		first.sort, first.seq = chat.HLC(s.ColumnInt64(0)), uint64(s.ColumnInt64(2))
		return fixed(first.log[:], s.ColumnRawBlob(1))
	}, `SELECT sort, log, seq `+late+` ORDER BY sort, log, seq LIMIT 1`, upTo...)
	if err != nil || !found {
		return err
	}
	return w.query(add, `SELECT log, max(seq) FROM message WHERE room = ? AND mine = 0 AND early = 0 AND expired = 0
		AND (sort, log, seq) >= (?, ?, ?) AND (sort, log, seq) <= (?, ?, ?) AND log IN (SELECT log `+late+`) GROUP BY log`,
		append([]any{room.key, uint64(first.sort), first.log[:], first.seq, uint64(to.sort), to.log[:], to.seq}, upTo...)...)
}

// readUpToGaps has marks end before the first message of their log that came without
// what it says: nobody has read that, whatever follows it.
func (w *writer) readUpToGaps(room *roomState, marks *[]LogMark) error {
	if len(*marks) == 0 {
		return nil
	}
	gaps := map[chat.LogID]uint64{}
	if err := w.query(func(s *sqlite3.Stmt) error {
		var log chat.LogID
		err := fixed(log[:], s.ColumnRawBlob(0))
		gaps[log] = uint64(s.ColumnInt64(1))
		return err
	}, `SELECT l.log, min(e.seq) FROM unopened u INDEXED BY unopened_stripped CROSS JOIN entry e ON e.id = u.entry CROSS JOIN log l ON l.id = e.log
		WHERE u.room = ? AND u.reason = 'stripped' AND u.kind = ? GROUP BY l.id`, room.key, int(wire.KindMessage)); err != nil {
		return err
	}
	*marks = slices.DeleteFunc(*marks, func(m LogMark) bool { return gaps[m.Log] == 1 })
	for i := range *marks {
		if m := &(*marks)[i]; gaps[m.Log] > 0 {
			m.Seq = min(m.Seq, gaps[m.Log]-1)
		}
	}
	return nil
}

// MarkReadElsewhere takes what this person has read on another device: messages up to
// marks count as read here, and the mark of the room moves on to the last of them.
// What stands before it and was not there to be read is late. done gets the mark as it
// now stands and whether anything has changed; see Append for when it is called.
func (s *Store) MarkReadElsewhere(room chat.RoomID, marks []LogMark, done func(mark ReadMark, changed bool, err error)) {
	var mark ReadMark
	var changed bool
	s.submit(1, func(w *writer) (err error) {
		mark, changed, err = w.markReadElsewhere(room, marks)
		return err
	}, func(err error) {
		if err != nil {
			mark, changed = ReadMark{}, false
		}
		done(mark, changed, err)
	})
}

func (w *writer) markReadElsewhere(id chat.RoomID, marks []LogMark) (ReadMark, bool, error) {
	room, err := w.room(id)
	if err != nil {
		return ReadMark{}, false, err
	}
	covered := make(map[chat.LogID]uint64, len(marks))
	last, lastID := room.read, room.readID
	for _, m := range marks {
		covered[m.Log] = m.Seq
		id, at, err := w.lastMessage(room.key, m)
		if err != nil {
			return ReadMark{}, false, err
		}
		if id != nil && at.compare(last) > 0 {
			last, lastID = at, id
		}
	}
	type row struct {
		cursor int64
		late   any // as in the column
	}
	var rows []row
	read := 0
	scan := func(s *sqlite3.Stmt) error {
		var log chat.LogID
		if err := fixed(log[:], s.ColumnRawBlob(1)); err != nil {
			return err
		}
		late := s.ColumnInt(3)
		if uint64(s.ColumnInt64(2)) <= covered[log] {
			read++
			if late == 1 {
				rows = append(rows, row{s.ColumnInt64(0), nil})
			}
		} else if late == 0 {
			rows = append(rows, row{s.ColumnInt64(0), 1})
		}
		return nil
	}
	if err := w.query(scan, `SELECT cursor, log, seq, ifnull(late, 2) FROM message WHERE room = ? AND late = 1 AND mine = 0 AND gone = 0 AND expired = 0
		AND (sort, log, seq) <= (?, ?, ?)`, room.key, uint64(room.read.sort), room.read.log[:], room.read.seq); err != nil {
		return ReadMark{}, false, err
	}
	if err := w.query(scan, `SELECT cursor, log, seq, ifnull(late, 2) FROM message WHERE room = ? AND mine = 0 AND gone = 0 AND expired = 0
		AND (sort, log, seq) > (?, ?, ?) AND (sort, log, seq) <= (?, ?, ?)`, room.key, uint64(room.read.sort), room.read.log[:],
		room.read.seq, uint64(last.sort), last.log[:], last.seq); err != nil {
		return ReadMark{}, false, err
	}
	for _, r := range rows {
		if err := w.exec(`UPDATE message SET late = ? WHERE cursor = ?`, r.late, r.cursor); err != nil {
			return ReadMark{}, false, err
		}
	}
	changed := read > 0 || last != room.read
	if changed {
		room.unread = max(0, room.unread-read)
		room.read, room.readID = last, lastID
		w.touchRoom(room)
	}
	return ReadMark{Unread: room.unread, ReadUpTo: entryID(room.readID)}, changed, nil
}

// lastSteps is how many entries of a log are looked through for a message: between two
// of them may be what only devices read.
const lastSteps = 16

// lastMessage returns the last message of a log up to a number, nil for none nearby.
func (w *writer) lastMessage(room int64, m LogMark) (id []byte, at place, err error) {
	log, err := w.log(room, m.Log)
	if err != nil || log.key == 0 {
		return nil, place{}, err
	}
	var ids []chat.EntryID
	if err := w.query(func(s *sqlite3.Stmt) error {
		e, _, err := scanEntry(s, 0)
		ids = append(ids, e.ID)
		return err
	}, `SELECT head, sig, payload FROM entry WHERE log = ? AND seq <= ? ORDER BY seq DESC LIMIT ?`, log.key, m.Seq, lastSteps); err != nil {
		return nil, place{}, err
	}
	for _, e := range ids {
		found, err := w.queryRow(func(s *sqlite3.Stmt) error {
			at.sort, at.seq = chat.HLC(s.ColumnInt64(0)), uint64(s.ColumnInt64(2))
			return fixed(at.log[:], s.ColumnRawBlob(1))
		}, `SELECT sort, log, seq FROM message WHERE substr(entry, 1, 8) = ? AND entry = ? AND room = ?`, e[:8], e[:], room)
		if err != nil || found {
			return e[:], at, err
		}
	}
	return nil, place{}, nil
}

// Stand is where a message stands in its log.
type Stand struct {
	Room chat.RoomID
	Log  chat.LogID
	Seq  uint64
	Sent chat.HLC
}
