package store

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/ncruces/go-sqlite3"
)

// What can wait is not done with every message: words go into the full-text index
// in batches, which makes a message cost half as much, and the write-ahead log is
// folded into the file, which waits for the disk, when nobody waits for it. Both
// are done a while after the first write that was not followed by them, once no
// write has come for a moment, or at last however many come.
const (
	upkeepAfter = 5 * time.Second
	upkeepQuiet = 200 * time.Millisecond
	upkeepLast  = 30 * time.Second
)

// Bounds of what upkeep leaves for later; past them it is done after the next write.
const (
	maxUnindexed = 500  // messages
	maxLogPages  = 4000 // in the write-ahead log: 16 MB
)

// patience is how long upkeep waits for readers to leave the write-ahead log.
const patience = 20 * time.Millisecond

// upkeep is what the writer knows of the work that waits.
type upkeep struct {
	since    time.Time // of the first write that waits; zero if none does
	last     time.Time // of the newest write
	logPages int       // in the write-ahead log
	held     bool      // a snapshot is read: the file must not change
	merge    bool      // the full-text index holds words that are to be gone
	merging  bool      // and that is under way
	// unindexed counts messages behind the end of the full-text index, or a few
	// more. Searches look at it, too.
	unindexed atomic.Int64
}

// wrote notes that something was stored.
func (u *upkeep) wrote(now time.Time) {
	if u.last = now; u.since.IsZero() {
		u.since = now
	}
}

// due returns when upkeep is to be done; zero means never.
func (u *upkeep) due() time.Time {
	if u.since.IsZero() {
		return time.Time{}
	}
	due, last := u.since.Add(upkeepAfter), u.since.Add(upkeepLast)
	if quiet := u.last.Add(upkeepQuiet); quiet.After(due) {
		due = quiet
	}
	if due.After(last) {
		return last
	}
	return due
}

// keepUp does what is due, or too much to wait. What fails is tried again later:
// nothing depends on it but a search, which then says so.
func (w *writer) keepUp(now time.Time) (err error) {
	due := w.upkeep.due()
	all := !due.IsZero() && !now.Before(due)
	if all || w.upkeep.unindexed.Load() >= maxUnindexed {
		err = w.index()
	}
	switch {
	case all:
		err = errors.Join(err, w.mergeIndex(), w.emptyLog())
		w.upkeep.since = time.Time{}
		if w.upkeep.merge || w.upkeep.unindexed.Load() > 0 || w.upkeep.logPages > 0 {
			w.upkeep.since = now
		}
	case w.upkeep.logPages >= maxLogPages && !w.upkeep.held:
		err = errors.Join(err, w.foldLog(sqlite3.CHECKPOINT_PASSIVE))
	}
	return err
}

// emptyLog folds the write-ahead log into the file and cuts it to nothing, so that
// it does not keep what the file no longer holds.
func (w *writer) emptyLog() error {
	if w.upkeep.held {
		return nil
	}
	if err := w.db.BusyTimeout(patience); err != nil {
		return err
	}
	err := w.foldLog(sqlite3.CHECKPOINT_TRUNCATE)
	return errors.Join(err, w.db.BusyTimeout(busyTimeout))
}

// foldLog folds the write-ahead log into the file, unless it could not be synced.
func (w *writer) foldLog(how sqlite3.CheckpointMode) error {
	return w.doubt.fold(func() error {
		_, _, err := w.db.WALCheckpoint("main", how)
		if err == nil {
			w.upkeep.logPages = 0
		}
		return err
	})
}

// index adds the words of new messages to the full-text index, oldest first, each
// batch in a transaction: the index ends at its newest message.
func (w *writer) index() error {
	for more := true; more; {
		end, err := w.indexEnd()
		if err != nil {
			return err
		}
		indexed := 0
		if err := w.transaction(func() error {
			return w.query(func(s *sqlite3.Stmt) error {
				indexed++
				return w.exec(`INSERT INTO message_text (rowid, text, room) VALUES (?, ?, ?)`,
					s.ColumnInt64(0), spaced(s.ColumnText(2)), roomToken(s.ColumnInt64(1)))
			}, `SELECT m.cursor, m.room, ifnull(e.text, m.text) FROM message m LEFT JOIN became b ON b.message = m.cursor LEFT JOIN edit e ON e.id = b.edit
				WHERE m.cursor > ? AND m.gone = 0 AND m.expired = 0 ORDER BY m.cursor LIMIT ?`, end, maxBatch)
		}); err != nil {
			return err
		}
		more = indexed == maxBatch
	}
	w.upkeep.unindexed.Store(0)
	return nil
}

// indexEnd returns the cursor of the newest message in the full-text index.
func (c *conn) indexEnd() (end int64, err error) {
	_, err = c.queryRow(func(s *sqlite3.Stmt) error {
		end = s.ColumnInt64(0)
		return nil
	}, `SELECT ifnull((SELECT rowid FROM message_text ORDER BY rowid DESC LIMIT 1), 0)`)
	return end, err
}

// hasUnindexed reports whether there are messages behind the end of the index.
func (c *conn) hasUnindexed() (bool, error) {
	end, err := c.indexEnd()
	if err != nil {
		return false, err
	}
	return c.queryRow(func(*sqlite3.Stmt) error { return nil }, `SELECT 1 FROM message WHERE cursor > ? AND gone = 0 AND expired = 0 LIMIT 1`, end)
}

// unindex takes a message out of the full-text index. Its words stay there until
// upkeep has merged the index.
func (w *writer) unindex(cursor int64) error {
	indexed, err := w.queryRow(func(*sqlite3.Stmt) error { return nil }, `SELECT 1 FROM message_text WHERE rowid = ?`, cursor)
	if err != nil || !indexed {
		return err
	}
	w.upkeep.merging = false
	if err := w.exec(`DELETE FROM message_text WHERE rowid = ?`, cursor); err != nil || w.upkeep.merge {
		return err
	}
	w.upkeep.merge = true
	return w.exec(`INSERT OR IGNORE INTO chore (name) VALUES (?)`, choreMerge)
}

// reindex puts what a message says now in the place of what it said.
func (w *writer) reindex(cursor int64) error {
	end, err := w.indexEnd()
	if err != nil || cursor > end {
		return err
	}
	if err := w.unindex(cursor); err != nil {
		return err
	}
	return w.query(func(s *sqlite3.Stmt) error {
		return w.exec(`INSERT INTO message_text (rowid, text, room) VALUES (?, ?, ?)`, cursor, spaced(s.ColumnText(1)), roomToken(s.ColumnInt64(0)))
	}, `SELECT m.room, ifnull(e.text, m.text) FROM message m LEFT JOIN became b ON b.message = m.cursor LEFT JOIN edit e ON e.id = b.edit WHERE m.cursor = ?`, cursor)
}

// choreMerge is the chore to merge the full-text index.
const choreMerge = "merge"

const (
	mergePages  = 256                    // of a step
	mergeBudget = 100 * time.Millisecond // of one upkeep: then others have their turn
)

// mergeIndex rewrites the full-text index, in steps, so that it holds no more the words
// of messages that were removed.
func (w *writer) mergeIndex() error {
	if !w.upkeep.merge || w.upkeep.held {
		return nil
	}
	for start := time.Now(); time.Since(start) < mergeBudget; {
		pages := mergePages
		if !w.upkeep.merging {
			pages = -pages // from the beginning
		}
		before := w.db.TotalChanges()
		if err := w.transaction(func() error {
			return w.exec(`INSERT INTO message_text (message_text, rank) VALUES ('merge', ?)`, pages)
		}); err != nil {
			return err
		}
		w.upkeep.merging = true
		if w.db.TotalChanges()-before >= 2 {
			continue // that is how it says that more is left
		}
		w.upkeep.merge, w.upkeep.merging = false, false
		return w.transaction(func() error { return w.exec(`DELETE FROM chore WHERE name = ?`, choreMerge) })
	}
	return nil
}
