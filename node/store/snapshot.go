package store

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/ncruces/go-sqlite3"
)

// Snapshot is a copy of the whole history as it stood at one moment, encrypted as
// it lies on the disk. Read it to its end, and close it: until then nothing is
// folded from the write-ahead log into the file, so that the log grows. One at a
// time; Close of the Store waits for it.
type Snapshot struct {
	io.Reader
	Size int64 // bytes

	s    *Store
	file *os.File
}

// Snapshot begins a snapshot of what has been stored. Reading it does not keep the
// writer from storing more.
func (s *Store) Snapshot(ctx context.Context) (*Snapshot, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := s.settleLog(); err != nil {
		return nil, wrap(s.dir, err)
	}
	s.snapshots.Lock()
	// A checkpoint is all that writes to the file itself; none happens while a
	// snapshot is read.
	size := int64(0)
	err := s.bare(context.WithoutCancel(ctx), func(w *writer) error {
		w.upkeep.held = true
		logged, done := 0, -1
		err := w.doubt.fold(func() (err error) {
			logged, done, err = w.db.WALCheckpoint("main", sqlite3.CHECKPOINT_FULL)
			return err
		})
		if err == nil && logged != done {
			err = sqlite3.BUSY
		}
		if err != nil {
			return errors.Join(err, w.release())
		}
		_, err = w.queryRow(func(stmt *sqlite3.Stmt) error {
			size = stmt.ColumnInt64(0)
			return nil
		}, `SELECT page_count * page_size FROM pragma_page_count, pragma_page_size`)
		return err
	})
	if err != nil {
		s.snapshots.Unlock()
		return nil, wrap(s.dir, err)
	}
	snap := &Snapshot{Size: size, s: s}
	if snap.file, err = os.Open(filepath.Join(s.dir, FileName)); err != nil {
		return nil, wrap(s.dir, errors.Join(err, snap.Close()))
	}
	snap.Reader = io.LimitReader(snap.file, size)
	return snap, nil
}

// Close ends a snapshot.
func (p *Snapshot) Close() error {
	defer p.s.snapshots.Unlock()
	err := p.s.bare(context.Background(), (*writer).release)
	if p.file != nil {
		err = errors.Join(err, p.file.Close())
	}
	return wrap(p.s.dir, err)
}

// release lets the log be folded into the file again.
func (w *writer) release() error {
	w.upkeep.held = false
	return nil
}

// bare runs an operation in the writer, in no transaction, and waits for it. When
// ctx ends first, the writer still does it.
func (s *Store) bare(ctx context.Context, run func(*writer) error) error {
	done := make(chan error, 1)
	if !s.queue.put(op{rows: maxBatch, run: run, bare: true, done: func(err error) { done <- err }}) {
		return errStopping()
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
