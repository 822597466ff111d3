package store

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/ncruces/go-sqlite3"

	"earshot/chat"
)

// Bounds of one transaction. An idle writer commits at once; operations gather
// only while a commit is running, and a moment after one that was of several: where
// messages come faster than they are stored, few are sooner stored together. One
// message a transaction was measured at a tenth of the speed of 500.
const (
	maxBatch  = 500                   // rows
	maxHold   = 20 * time.Millisecond // from the first row to the commit
	gatherFor = 2 * time.Millisecond  // from a commit of several operations to the next
)

// maxCached bounds what the writer remembers of logs and of devices, each; past it
// they are read anew.
const maxCached = 1 << 16

// writer is the writing connection and what its goroutine remembers between
// transactions, so that a message costs inserts only. dirty rows are written once
// a transaction. After a rollback everything is forgotten and read again.
type writer struct {
	*conn
	cursor  chat.Cursor // newest given out
	rooms   map[chat.RoomID]*roomState
	logs    map[logKey]*logState
	devices map[chat.DeviceID]int64 // local keys
	dirty   struct {
		rooms []*roomState
		logs  []*logState
	}
	state   stateWrites
	slots   *slots // nil until state is first written
	clients *clients
	// changes are the cursors of messages that the operation under way has changed.
	changes []chat.Cursor
	upkeep  upkeep
	stored  atomic.Uint64 // transactions that changed anything; Sync looks at it
	doubt   doubt
	// failure is why the latest operation was not stored; nil if it was. It is the
	// reason for holes in logs whose next entries were already queued behind it.
	failure error
}

type logKey struct {
	room int64
	log  chat.LogID
}

type roomState struct {
	key        int64
	unread     int
	unreadable int
	early      int // messages that are
	lastSort   chat.HLC
	lastSent   chat.HLC
	read       place
	readID     []byte        // nil where nothing was read
	keep       time.Duration // how long messages are kept; 0 for ever
	awaits     bool          // something was perhaps said about messages that are not here
	dirty      bool
}

type logState struct {
	key     int64
	lastSeq uint64
	lastID  chat.EntryID
	lastHLC chat.HLC
	dirty   bool
}

// reset forgets everything and reads the newest cursor.
func (w *writer) reset() error {
	w.rooms = make(map[chat.RoomID]*roomState)
	w.logs = make(map[logKey]*logState)
	w.devices = make(map[chat.DeviceID]int64)
	w.dirty.rooms, w.dirty.logs = nil, nil
	w.slots, w.state = nil, stateWrites{value: make(map[string][]byte)}
	var err error
	if w.cursor, err = w.lastCursor(); err != nil {
		return err
	}
	if w.upkeep.merge, err = w.queryRow(func(*sqlite3.Stmt) error { return nil }, `SELECT 1 FROM chore WHERE name = ?`, choreMerge); err != nil {
		return err
	}
	w.upkeep.merging = false
	more, err := w.hasUnindexed()
	if more {
		w.upkeep.unindexed.Store(maxUnindexed) // at least one, and now
	}
	return err
}

func (c *conn) lastCursor() (last chat.Cursor, err error) {
	_, err = c.queryRow(func(s *sqlite3.Stmt) error {
		last = chat.Cursor(s.ColumnInt64(0))
		return nil
	}, `SELECT max(ifnull((SELECT max(cursor) FROM message), 0), ifnull((SELECT max(cursor) FROM room_fact), 0),
		ifnull((SELECT max(cursor) FROM change_fact), 0))`)
	return last, err
}

// submit queues an operation. After Close it calls done at once.
func (s *Store) submit(rows int, run func(*writer) error, done func(error)) {
	if done == nil {
		done = func(error) {}
	}
	if !s.queue.put(op{rows: max(rows, 1), run: run, done: done}) {
		done(errStopping())
	}
}

// Backlog returns how many rows wait to be stored. Whoever takes in entries faster
// than the disk does asks for no more while it is high.
func (s *Store) Backlog() int { return s.queue.backlog() }

// write is the writer's goroutine.
func (s *Store) write() {
	defer close(s.ended)
	_ = s.w.clients.load(s.w) // if that fails, each is looked up
	for {
		batch, open := s.queue.take(s.w.upkeep.due())
		if !open {
			return
		}
		if len(batch) == 0 {
			s.keepUp()
			continue
		}
		if s.opt.hold != nil {
			s.opt.hold()
		}
		several := len(batch) > 1
		for len(batch) > 0 {
			n, err := s.w.commit(batch)
			if err != nil && n > 1 {
				// One operation's failure is not its neighbours': each on its own.
				for _, o := range batch[:n] {
					_, err := s.w.commit([]op{o})
					s.finish(o, err)
				}
			} else {
				for _, o := range batch[:n] {
					s.finish(o, err)
				}
			}
			clear(batch[:n]) // the queue's array would keep their records alive
			batch = batch[n:]
		}
		s.keepUp()
		if several {
			s.queue.gather(gatherFor)
		}
	}
}

// keepUp does what waits. That a reader or another program is in the way is not worth
// a word.
func (s *Store) keepUp() {
	if err := s.w.keepUp(time.Now()); err != nil && !errors.Is(err, sqlite3.BUSY) {
		s.trouble(err)
	}
}

func (s *Store) finish(o op, err error) {
	s.queue.finished(o)
	o.done(wrap(s.dir, err))
}

// commit stores the first operations of batch in one transaction: all of them, or
// as many as maxHold allows. It returns how many those were; with an error none of
// them is stored.
func (w *writer) commit(batch []op) (n int, err error) {
	if batch[0].bare { // counts as maxBatch rows, so it is alone
		return 1, batch[0].run(w)
	}
	start, before := time.Now(), w.db.TotalChanges()
	err = w.transaction(func() error {
		for _, o := range batch {
			n++
			if err := o.run(w); err != nil {
				return err
			}
			if time.Since(start) > maxHold {
				break
			}
		}
		return w.flush()
	})
	if err != nil {
		if n == 0 {
			n = len(batch) // not even begun
		}
		if n == 1 && w.failure == nil {
			w.failure = err
		}
		if err := w.reset(); err != nil {
			return n, err
		}
		return n, err
	}
	if w.db.TotalChanges() != before { // else the disk was not asked
		w.failure = nil
		w.stored.Add(1)
	}
	w.upkeep.wrote(start)
	if len(w.logs) > maxCached {
		clear(w.logs)
	}
	if len(w.devices) > maxCached {
		clear(w.devices)
	}
	return n, nil
}

// flush writes what changed in rooms, logs and state.
func (w *writer) flush() error {
	if err := w.flushState(); err != nil {
		return err
	}
	for _, r := range w.dirty.rooms {
		r.dirty = false
		if err := w.exec(`UPDATE room SET unread = ?, unreadable = ?, last_sort = ?, last_sent = ?, read_entry = ?, read_sort = ?, read_log = ?, read_seq = ? WHERE id = ?`,
			r.unread, r.unreadable, uint64(r.lastSort), uint64(r.lastSent), r.readID, uint64(r.read.sort), r.read.log[:], r.read.seq, r.key); err != nil {
			return err
		}
	}
	for _, l := range w.dirty.logs {
		l.dirty = false
		if err := w.exec(`UPDATE log SET last_seq = ?, last_entry = ?, last_hlc = ? WHERE id = ?`,
			l.lastSeq, l.lastID[:], uint64(l.lastHLC), l.key); err != nil {
			return err
		}
	}
	w.dirty.rooms, w.dirty.logs = w.dirty.rooms[:0], w.dirty.logs[:0]
	return nil
}

func (w *writer) touchRoom(r *roomState) {
	if !r.dirty {
		r.dirty = true
		w.dirty.rooms = append(w.dirty.rooms, r)
	}
}

func (w *writer) touchLog(l *logState) {
	if !l.dirty {
		l.dirty = true
		w.dirty.logs = append(w.dirty.logs, l)
	}
}

// room returns a room's state and makes an unnamed one where it is unknown.
func (w *writer) room(id chat.RoomID) (*roomState, error) {
	if r := w.rooms[id]; r != nil {
		return r, nil
	}
	r := &roomState{}
	found, err := w.queryRow(func(s *sqlite3.Stmt) error {
		r.key, r.unread = s.ColumnInt64(0), s.ColumnInt(1)
		r.lastSort, r.lastSent = chat.HLC(s.ColumnInt64(2)), chat.HLC(s.ColumnInt64(3))
		if s.ColumnType(4) != sqlite3.NULL {
			r.readID = s.ColumnBlob(4, nil)
		}
		r.unreadable, r.early = s.ColumnInt(8), s.ColumnInt(9)
		r.keep, r.awaits = time.Duration(s.ColumnInt64(10))*time.Second, s.ColumnBool(11)
		r.read.sort, r.read.seq = chat.HLC(s.ColumnInt64(5)), uint64(s.ColumnInt64(7))
		return fixed(r.read.log[:], s.ColumnRawBlob(6))
	}, `SELECT id, unread, last_sort, last_sent, read_entry, read_sort, read_log, read_seq, unreadable,
		(SELECT count(*) FROM message WHERE message.room = room.id AND early = 1), keep,
		EXISTS (SELECT 1 FROM awaited a WHERE a.room = room.id) FROM room WHERE room = ?`, id[:])
	if err != nil {
		return nil, err
	}
	if !found {
		if err := w.exec(`INSERT INTO room (room, name, joined, unread, last_sort, last_sent, read_sort, read_log, read_seq)
			VALUES (?, '', 0, 0, 0, 0, 0, ?, 0)`, id[:], r.read.log[:]); err != nil {
			return nil, err
		}
		r.key = w.db.LastInsertRowID()
	}
	w.rooms[id] = r
	return r, nil
}

// device returns a device's local key and makes a nameless row where it is unknown.
func (w *writer) device(id chat.DeviceID, person chat.PersonID) (int64, error) {
	if key, ok := w.devices[id]; ok {
		return key, nil
	}
	var key int64
	found, err := w.queryRow(func(s *sqlite3.Stmt) error {
		key = s.ColumnInt64(0)
		return nil
	}, `SELECT id FROM device WHERE device = ?`, id[:])
	if err != nil {
		return 0, err
	}
	if !found {
		// A person goes by one name on all their devices.
		if err := w.exec(`INSERT INTO device (device, person, name, last_seen)
			VALUES (?1, ?2, ifnull((SELECT name FROM device WHERE person = ?2 LIMIT 1), ''), 0)`, id[:], person[:]); err != nil {
			return 0, err
		}
		key = w.db.LastInsertRowID()
	}
	w.devices[id] = key
	return key, nil
}

// log returns a log's state; its key is 0 where nothing of it is stored.
func (w *writer) log(room int64, id chat.LogID) (*logState, error) {
	at := logKey{room, id}
	if l := w.logs[at]; l != nil {
		return l, nil
	}
	l := &logState{}
	_, err := w.queryRow(func(s *sqlite3.Stmt) error {
		l.key, l.lastSeq, l.lastHLC = s.ColumnInt64(0), uint64(s.ColumnInt64(1)), chat.HLC(s.ColumnInt64(3))
		return fixed(l.lastID[:], s.ColumnRawBlob(2))
	}, `SELECT id, last_seq, last_entry, last_hlc FROM log WHERE room = ? AND log = ?`, room, id[:])
	if err != nil {
		return nil, err
	}
	w.logs[at] = l
	return l, nil
}
