package store

import (
	"context"
	"time"

	"github.com/ncruces/go-sqlite3"

	"earshot/chat"
	"earshot/chat/content"
	"earshot/chat/wire"
)

// This file takes away what was said.

// purge overwrites everything that a message said: its text and payload, and those of
// its edits. flag is the column that says why, "gone" or "expired".
func (w *writer) purge(room *roomState, m *subject, id chat.EntryID, flag string) error {
	if w.unread(room, m) {
		room.unread = max(0, room.unread-1)
		w.touchRoom(room)
	}
	if err := w.exec(`UPDATE message SET `+flag+` = 1, late = CASE late WHEN 1 THEN NULL ELSE late END, text = CAST(zeroblob(length(CAST(text AS BLOB))) AS TEXT), mentions = zeroblob(length(mentions)) WHERE cursor = ?`,
		m.cursor); err != nil {
		return err
	}
	if flag == "gone" {
		m.gone = true
	} else {
		m.expired = true
	}
	if err := w.exec(`UPDATE entry SET payload = zeroblob(length(payload)) WHERE log = (SELECT id FROM log WHERE room = ? AND log = ?) AND seq = ?`,
		room.key, m.at.log[:], m.at.seq); err != nil {
		return err
	}
	if err := w.purgeEdits(room, id); err != nil {
		return err
	}
	if err := w.exec(`DELETE FROM reaction WHERE room = ? AND target = ?`, room.key, id[:]); err != nil {
		return err
	}
	return w.unindex(m.cursor)
}

// unread reports whether a message counts as unread.
func (w *writer) unread(room *roomState, m *subject) bool {
	return !m.mine && !m.gone && !m.expired && (m.late == 1 || m.at.compare(room.read) > 0)
}

// purgeEdits overwrites the edits of a message, and their payloads.
func (w *writer) purgeEdits(room *roomState, target chat.EntryID) error {
	return w.purgeEditsBy(`substr(target, 1, 8) = ? AND target = ? AND room = ?`, target[:8], target[:], room.key)
}

func (w *writer) purgeEditsBy(where string, args ...any) error {
	type row struct{ id, entry int64 }
	var rows []row
	if err := w.query(func(s *sqlite3.Stmt) error {
		rows = append(rows, row{s.ColumnInt64(0), s.ColumnInt64(1)})
		return nil
	}, `SELECT id, entry FROM edit WHERE `+where, args...); err != nil {
		return err
	}
	for _, r := range rows {
		if err := w.forgetEdit(r.id); err != nil {
			return err
		}
		if err := w.strip(r.entry); err != nil {
			return err
		}
	}
	return nil
}

// strip overwrites the payload of an entry.
func (w *writer) strip(entry int64) error {
	return w.exec(`UPDATE entry SET payload = zeroblob(length(payload)) WHERE id = ?`, entry)
}

// removeUnread carries out a removal of a message that can't be read here, if it
// counts, and shows who removed it. taken says that nothing is waited for any more.
func (w *writer) removeUnread(room *roomState, id chat.EntryID) (taken bool, err error) {
	u, err := w.findUnopened(room, id)
	if err != nil || u == nil || !u.kind.Removable() {
		return false, err
	}
	var author chat.PersonID
	if _, err := w.queryRow(func(s *sqlite3.Stmt) error { return fixed(author[:], s.ColumnRawBlob(0)) },
		`SELECT person FROM device WHERE id = ?`, u.device); err != nil {
		return false, err
	}
	if removed, err := w.isRemoved(room, id, author); err != nil || !removed {
		return false, err
	}
	if err := w.dropUnopened(room, u); err != nil {
		return false, err
	}
	if u.kind != wire.KindMessage {
		return true, nil
	}
	cursor, err := w.addTombstone(room, &message{
		device: u.device, id: id, at: place{u.sort, u.log, u.seq}, sent: u.hlc, received: u.received, mine: u.mine,
	})
	if err == nil {
		w.changes = append(w.changes, cursor)
	}
	return true, err
}

// dropUnopened gives an entry up that can't be read: its payload is to be gone.
func (w *writer) dropUnopened(room *roomState, u *unopened) error {
	w.uncount(room, u)
	if err := w.exec(`DELETE FROM unopened WHERE room = ? AND entry = ?`, room.key, u.entry); err != nil {
		return err
	}
	return w.strip(u.entry)
}

// isRemoved reports whether a removal of something that author wrote counts.
func (w *writer) isRemoved(room *roomState, id chat.EntryID, author chat.PersonID) (bool, error) {
	removals, err := w.removals(room, id)
	if err != nil || len(removals) == 0 {
		return false, err
	}
	tenures, err := w.tenures(room)
	for _, r := range removals {
		if content.Counts(r, author, tenures) {
			return true, err
		}
	}
	return false, err
}

// addTombstone stores that there was a message, and who removed it.
func (w *writer) addTombstone(room *roomState, m *message) (chat.Cursor, error) {
	w.cursor++
	cursor := w.cursor
	if err := w.insertMessage(room, cursor, m); err != nil {
		return 0, err
	}
	s, err := w.subject(room, m.id)
	if err != nil {
		return 0, err
	}
	if s == nil {
		return 0, errDecode
	}
	s.mine = true // it was never counted as unread
	if _, err := w.fold(room, s, m.id); err != nil {
		return 0, err
	}
	return cursor, w.exec(`DELETE FROM awaited WHERE room = ? AND target = ?`, room.key, m.id[:])
}

// Sweep overwrites messages whose time is over at now, by their own account or by
// what is kept in their room, a bounded number of them. done gets the cursors of the
// changes, and when there is something to do next: now if more are left, zero if
// nothing expires by its own account. See Append for when it is called.
func (s *Store) Sweep(now time.Time, done func(changes []chat.Cursor, next time.Time, err error)) {
	var changes []chat.Cursor
	var next time.Time
	s.submit(1, func(w *writer) (err error) {
		w.changes = nil
		next, err = w.sweep(now)
		changes = w.changes
		return err
	}, func(err error) {
		if err != nil {
			changes, next = nil, time.Time{}
		}
		done(changes, next, err)
	})
}

// maxSweep bounds the messages of one sweep: the writer must not be held up.
const maxSweep = 200

func (w *writer) sweep(now time.Time) (next time.Time, err error) {
	type victim struct {
		room   chat.RoomID
		id     chat.EntryID
		cursor int64
	}
	var victims []victim
	add := func(s *sqlite3.Stmt) error {
		v := victim{cursor: s.ColumnInt64(2)}
		err := fixed(v.room[:], s.ColumnRawBlob(0))
		if err == nil {
			err = fixed(v.id[:], s.ColumnRawBlob(1))
		}
		victims = append(victims, v)
		return err
	}
	if err := w.query(add, `SELECT r.room, m.entry, m.cursor FROM message m INDEXED BY message_expires CROSS JOIN room r ON r.id = m.room
		WHERE m.expires <= ? AND m.expires IS NOT NULL AND m.expired = 0 ORDER BY m.expires LIMIT ?`, now.UnixMicro(), maxSweep); err != nil {
		return next, err
	}
	type kept struct {
		id     chat.RoomID
		before chat.HLC
	}
	var rooms []kept
	if err := w.query(func(s *sqlite3.Stmt) error {
		k := kept{before: chat.HLCOf(now.Add(-time.Duration(s.ColumnInt64(1)) * time.Second))}
		rooms = append(rooms, k)
		return fixed(rooms[len(rooms)-1].id[:], s.ColumnRawBlob(0))
	}, `SELECT room, keep FROM room WHERE keep > 0`); err != nil {
		return next, err
	}
	more := false
	for _, k := range rooms {
		room, err := w.room(k.id)
		if err != nil {
			return next, err
		}
		if err := w.query(add, `SELECT r.room, m.entry, m.cursor FROM message m INDEXED BY message_order CROSS JOIN room r ON r.id = m.room
			WHERE m.room = ? AND m.sort <= ? AND m.expired = 0 ORDER BY m.sort LIMIT ?`, room.key, uint64(k.before), maxSweep); err != nil {
			return next, err
		}
		if err := w.purgeEditsBy(`id IN (SELECT id FROM edit INDEXED BY edit_kept WHERE room = ? AND gone = 0 AND hlc <= ? LIMIT ?)`, room.key, uint64(k.before), maxSweep); err != nil {
			return next, err
		}
		n, err := w.dropUnopenedBefore(room, k.before)
		if err != nil {
			return next, err
		}
		more = more || n == maxSweep
	}
	for _, v := range victims {
		room, err := w.room(v.room)
		if err != nil {
			return next, err
		}
		m, err := w.subjectBy(`m.cursor = ?`, v.cursor)
		if err != nil {
			return next, err
		}
		if m == nil || m.expired {
			continue
		}
		if err := w.expire(room, m, v.id); err != nil {
			return next, err
		}
	}
	if err := w.dropOver(now); err != nil {
		return next, err
	}
	if more || len(victims) >= maxSweep {
		return now, nil
	}
	_, err = w.queryRow(func(s *sqlite3.Stmt) error {
		if s.ColumnType(0) != sqlite3.NULL {
			next = time.UnixMicro(s.ColumnInt64(0))
		}
		return nil
	}, `SELECT min(expires) FROM message INDEXED BY message_expires WHERE expires IS NOT NULL AND expired = 0`)
	return next, err
}

// expire takes a message away whose time is over.
func (w *writer) expire(room *roomState, m *subject, id chat.EntryID) error {
	if err := w.purge(room, m, id, "expired"); err != nil {
		return err
	}
	if err := w.exec(`DELETE FROM became WHERE message = ?`, m.cursor); err != nil {
		return err
	}
	return w.changed(m.cursor)
}

// dropUnopenedBefore gives up what can't be read and is kept no longer.
func (w *writer) dropUnopenedBefore(room *roomState, before chat.HLC) (n int, err error) {
	var ids []chat.EntryID
	if err := w.query(func(s *sqlite3.Stmt) error {
		var id chat.EntryID
		err := fixed(id[:], s.ColumnRawBlob(0))
		ids = append(ids, id)
		return err
	}, `SELECT id FROM unopened INDEXED BY unopened_kept WHERE room = ? AND sort <= ? AND kind IN (2, 4) LIMIT ?`, room.key, uint64(before), maxSweep); err != nil {
		return 0, err
	}
	for _, id := range ids {
		u, err := w.findUnopened(room, id)
		if err != nil {
			return 0, err
		}
		if err := w.dropUnopened(room, u); err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}

// RemovalOf returns where the entry stands by which a message was removed; ok is
// false if it was not.
func (s *Store) RemovalOf(ctx context.Context, room chat.RoomID, id chat.EntryID) (log chat.LogID, seq uint64, ok bool, err error) {
	err = s.read(ctx, func(c *conn) error {
		key, found, err := c.roomKey(room)
		if err != nil || !found {
			return err
		}
		_, err = c.queryRow(func(stmt *sqlite3.Stmt) error {
			var row became
			if err := wire.Unmarshal(stmt.ColumnRawBlob(0), &row); err != nil || row.Removed == nil {
				return err
			}
			seq, ok = row.Removed.Seq, true
			return fixed(log[:], row.Removed.Log)
		}, `SELECT b.shown FROM message m CROSS JOIN became b ON b.message = m.cursor
			WHERE substr(m.entry, 1, 8) = ? AND m.entry = ? AND m.room = ?`, id[:8], id[:], key)
		return err
	})
	return log, seq, ok && err == nil, err
}
