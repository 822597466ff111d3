package store

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"
)

// This file has the disk confirm what is stored. A commit hands the write-ahead log to
// the operating system, which outlives the process but not a power failure; the disk's
// own word takes from a quarter of a millisecond to tens of them, and every commit would
// wait for it. So the two are apart: a commit is enough for a screen, and whoever
// promises anything waits for Sync. Meanwhile commits go on, and all who have come by
// then share the next turn of the disk.

// disk is what is known of the disk's word. What has no lock is its goroutine's.
type disk struct {
	log    vfs.File // the write-ahead log; its Sync may be called while others write
	wake   chan struct{}
	ended  chan struct{}
	synced uint64 // of writer.stored

	mu      sync.Mutex
	waiting []func(error)
	closed  bool
}

// openDisk finds the log of a connection that has read the file, and syncs it once, with
// the directory where the log is new.
func openDisk(c *conn) (*disk, error) {
	file, err := c.db.FileControl("main", sqlite3.FCNTL_JOURNAL_POINTER)
	if err != nil {
		return nil, err
	}
	log, ok := file.(vfs.File)
	if l, encrypted := file.(*logFile); encrypted {
		log = l.File // which, unlike l, several goroutines may use
	}
	if !ok {
		return nil, fmt.Errorf("store: the log is a %T", file)
	}
	d := &disk{log: log, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	return d, d.sync()
}

func (d *disk) sync() error {
	if err := d.log.Sync(vfs.SYNC_FULL); err != nil {
		return fmt.Errorf("%w: %w", sqlite3.IOERR_FSYNC, err)
	}
	return nil
}

// Sync calls done when all that is stored by now is on the disk itself, so that a power
// failure does not take it either; or with why that is not known, and then it can be
// asked for again. By now is stored what a done function was told of.
//
// It returns at once. done is called by the store's second goroutine, in the order of the
// calls to Sync; it must be quick and must not wait for the store.
func (s *Store) Sync(done func(error)) {
	d := s.disk
	d.mu.Lock()
	closed := d.closed
	if !closed {
		d.waiting = append(d.waiting, done)
	}
	d.mu.Unlock()
	if closed {
		done(errStopping())
		return
	}
	d.ring()
}

func (d *disk) ring() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// syncAsked is the second goroutine.
func (s *Store) syncAsked() {
	d := s.disk
	defer close(d.ended)
	for range d.wake {
		d.mu.Lock()
		waiting, closed := d.waiting, d.closed
		d.waiting = nil
		d.mu.Unlock()
		if len(waiting) > 0 {
			err := wrap(s.dir, s.sync())
			for _, done := range waiting {
				done(err)
			}
		}
		if closed {
			return
		}
	}
}

// close serves who waits, and ends the goroutine.
func (d *disk) close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.ring()
	<-d.ended
}

func (s *Store) sync() error {
	d, doubt := s.disk, &s.w.doubt
	stored := s.w.stored.Load()
	doubtful := doubt.is()
	if stored == d.synced && !doubtful || s.opt.Volatile {
		return nil
	}
	if doubtful {
		if err := s.bare(context.Background(), func(*writer) error { return d.rewrite() }); err != nil {
			return err
		}
	}
	err := doubt.sync(d.sync)
	if err == nil {
		d.synced = stored
	}
	return err
}

// rewrite writes a log that could not be synced once more, with what the system still
// knows of it, which then has something to write. Nobody else may write it meanwhile.
func (d *disk) rewrite() error {
	size, err := d.log.Size()
	for off, buf := int64(0), make([]byte, maxHeld); err == nil && off < size; off += int64(len(buf)) {
		buf = buf[:min(int64(len(buf)), size-off)]
		if _, err = d.log.ReadAt(buf, off); err == nil {
			_, err = d.log.WriteAt(buf, off)
		}
	}
	return err
}

// doubt is whether the log could not be synced: the system says so once, to whoever syncs
// it next, and may have forgotten what it could not write. Such a log must not be folded
// into the file before it was written anew: what the disk has of it may end earlier than
// the file then, and takes it back to there, in part.
type doubt struct {
	mu  sync.Mutex // held while the log is synced: who is told must have noted it before another asks
	yes bool
}

func (d *doubt) is() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.yes
}

// sync syncs a log of which the disk's word is as good as any.
func (d *doubt) sync(sync func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := sync()
	d.yes = err != nil
	return err
}

// fold folds the log into the file, which syncs both, or leaves it where the disk's word
// is not known.
func (d *doubt) fold(fold func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.yes {
		return nil
	}
	err := fold()
	d.yes = errors.Is(err, sqlite3.IOERR_FSYNC)
	return err
}

// settleLog has a log that could not be synced written anew, so that it can be folded.
func (s *Store) settleLog() error {
	if !s.w.doubt.is() {
		return nil
	}
	said := make(chan error, 1)
	s.Sync(func(err error) { said <- err })
	return <-said
}

// closeLog makes sure of a log before it is folded for the last time and removed; where
// the disk does not take it, it is left for the next start.
func (s *Store) closeLog() error {
	if !s.w.doubt.is() {
		return nil
	}
	err := s.disk.rewrite()
	if err == nil {
		err = s.w.doubt.sync(s.disk.sync)
	}
	if err != nil {
		err = errors.Join(err, s.w.keepLog(true))
	}
	return err
}
