package store

import (
	"bytes"
	"fmt"

	"github.com/ncruces/go-sqlite3"

	"earshot/chat"
	"earshot/chat/wire"
)

// schemaBranch is logs that go on in several ways: each way is a log of its own. origin
// is what the headers of its entries name as their log, NULL where that is log.
const schemaBranch = `
ALTER TABLE log ADD COLUMN origin BLOB;
`

// LogBranch says of what a log is a branch.
type LogBranch struct {
	Of    chat.LogID   // what the headers of its entries name
	After uint64       // the number of the entry that its first one follows
	Prev  chat.EntryID // that entry
}

// Split makes a branch of what is stored of a log behind an entry: whoever wrote it has
// gone on from there in two ways.
type Split struct {
	Room   chat.RoomID
	Log    chat.LogID
	Seq    uint64     // of the last entry that stays
	Branch chat.LogID // which the others become
	// Read is set by the store, before done is called, to how far this person has read
	// the branch on this device; 0 for nothing.
	Read uint64
}

// placed are the tables whose rows name a log itself and a number.
var placed = []string{
	`UPDATE message SET log = ? WHERE room = ? AND log = ? AND seq > ? AND early = 0`,
	`UPDATE edit SET log = ? WHERE room = ? AND log = ? AND seq > ?`,
	`UPDATE removal SET log = ? WHERE room = ? AND log = ? AND seq > ?`,
	`UPDATE reaction SET log = ? WHERE room = ? AND log = ? AND seq > ?`,
	`UPDATE setting SET log = ? WHERE room = ? AND log = ? AND seq > ?`,
}

func (w *writer) split(s *Split) error {
	room, err := w.room(s.Room)
	if err != nil {
		return err
	}
	log, err := w.log(room.key, s.Log)
	if err != nil {
		return err
	}
	branch, err := w.log(room.key, s.Branch)
	if err != nil {
		return err
	}
	if log.key == 0 || branch.key != 0 || s.Seq >= log.lastSeq {
		if w.failure != nil {
			return w.failure
		}
		return fmt.Errorf("log %s does not part behind %d into %s", s.Log.Short(), s.Seq, s.Branch.Short())
	}
	var last wire.Entry
	found, err := w.queryRow(func(stmt *sqlite3.Stmt) error {
		last, _, err = scanEntry(stmt, 0)
		return err
	}, `SELECT head, sig, payload FROM entry WHERE log = ? AND seq = ?`, log.key, s.Seq)
	if err == nil && !found {
		err = fmt.Errorf("%w: entry %d of log %s has no row", errDecode, s.Seq, s.Log.Short())
	}
	if err != nil {
		return err
	}
	if err := w.addBranch(branch, log, s); err != nil {
		return err
	}
	log.lastSeq, log.lastID, log.lastHLC = last.Seq, last.ID, last.HLC
	w.touchLog(log)
	for _, sql := range placed {
		if err := w.exec(sql, s.Branch[:], room.key, s.Log[:], s.Seq); err != nil {
			return err
		}
	}
	if room.read.log == s.Log && room.read.seq > s.Seq {
		room.read.log = s.Branch
		w.touchRoom(room)
	}
	return w.splitRead(room, log, branch, s)
}

// addBranch makes a row for what a log holds behind where it parts, and moves it there.
func (w *writer) addBranch(branch, log *logState, s *Split) error {
	key, err := w.keyLike(log.key)
	if err != nil {
		return err
	}
	if err := w.exec(`INSERT INTO log (id, room, log, device, last_seq, last_entry, last_hlc, origin)
		SELECT ?, room, ?, device, ?, ?, ?, ifnull(origin, log) FROM log WHERE id = ?`,
		key, s.Branch[:], log.lastSeq, log.lastID[:], uint64(log.lastHLC), log.key); err != nil {
		return err
	}
	branch.key, branch.lastSeq, branch.lastID, branch.lastHLC = w.db.LastInsertRowID(), log.lastSeq, log.lastID, log.lastHLC
	if err := w.exec(`UPDATE entry SET log = ? WHERE log = ? AND seq > ?`, branch.key, log.key, s.Seq); err != nil {
		return err
	}
	return w.exec(`UPDATE key_share SET log = ?1 WHERE log = ?2 AND entry IN (SELECT id FROM entry WHERE log = ?1)`, branch.key, log.key)
}

// splitRead notes how far what is now a branch was read.
func (w *writer) splitRead(room *roomState, log, branch *logState, s *Split) error {
	var read uint64
	if _, err := w.queryRow(func(stmt *sqlite3.Stmt) error {
		read = uint64(stmt.ColumnInt64(0))
		return nil
	}, `SELECT seq FROM log_read WHERE room = ? AND log = ?`, room.key, log.key); err != nil || read <= s.Seq {
		return err
	}
	s.Read = min(read, branch.lastSeq)
	if err := w.exec(`UPDATE log_read SET seq = ? WHERE room = ? AND log = ?`, s.Seq, room.key, log.key); err != nil {
		return err
	}
	return w.exec(`INSERT INTO log_read (room, log, seq) VALUES (?, ?, ?)`, room.key, branch.key, s.Read)
}

// keyLike returns a free key for a log that takes as much room in a row as another does,
// so that the entries that are given it stay where they are in the file: see
// schemaContent. Those of logs that are no branches are above 0. nil leaves it to SQLite:
// for the first log of all, whose key takes no room, and where all are in use.
func (w *writer) keyLike(key int64) (any, error) {
	low, high := int64(0), int64(-1)
	for _, bits := range []uint{8, 16, 24, 32, 48} {
		low = -1 << (bits - 1)
		if key >= low && key < -low {
			break
		}
		high = low - 1
	}
	if key == 1 {
		return nil, nil
	}
	free := high
	_, err := w.queryRow(func(s *sqlite3.Stmt) error {
		if s.ColumnType(0) != sqlite3.NULL {
			free = s.ColumnInt64(0) - 1
		}
		return nil
	}, `SELECT min(id) FROM log WHERE id BETWEEN ? AND ?`, low, high)
	if err != nil || free < low {
		return nil, err
	}
	return free, nil
}

// begin makes a row for a log of which the first entry comes, which is that of a branch
// if its header names another log.
func (w *writer) begin(log *logState, room, device int64, e *wire.Entry) error {
	var origin any
	if of := e.Origin(); of != e.Log {
		origin = of[:]
	}
	if err := w.exec(`INSERT INTO log (room, log, device, last_seq, last_entry, last_hlc, origin) VALUES (?, ?, ?, 0, ?, 0, ?)`,
		room, e.Log[:], device, log.lastID[:], origin); err != nil {
		return err
	}
	log.key = w.db.LastInsertRowID()
	return nil
}

// follows reports whether an entry is the next of a log: the first of a branch follows
// what is held of another.
func follows(log *logState, e *wire.Entry) bool {
	if log.key == 0 && e.Seq > 1 {
		of := e.Origin()
		return of != e.Log && e.Log == of.Branch(e.ID)
	}
	return e.Seq == log.lastSeq+1 && (e.Seq == 1 || e.HLC > log.lastHLC)
}

// branchOf reads of what a log is a branch.
func (c *conn) branchOf(log int64, origin []byte) (*LogBranch, error) {
	b := &LogBranch{}
	if err := fixed(b.Of[:], origin); err != nil {
		return nil, err
	}
	found, err := c.queryRow(func(s *sqlite3.Stmt) error {
		first, _, err := scanEntry(s, 0)
		b.After, b.Prev = first.Seq-1, first.Prev
		return err
	}, `SELECT head, sig, payload FROM entry WHERE log = ? ORDER BY seq LIMIT 1`, log)
	if err == nil && !found {
		err = fmt.Errorf("%w: a branch has no entry", errDecode)
	}
	return b, err
}

// originOf copies the column origin, nil for none.
func originOf(s *sqlite3.Stmt, column int) []byte { return bytes.Clone(s.ColumnRawBlob(column)) }
