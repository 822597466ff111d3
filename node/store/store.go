// Package store keeps what was said: signed entries, the messages read from them,
// rooms, devices, a full-text index, and what engines remember, in one encrypted
// SQLite file. It holds the only SQL of Earshot. It knows no network and no protocol
// rule: whoever appends has already checked signatures, causality and membership, and
// opened what is sealed. Nor does it know where the key of the file comes from.
//
// # Promises
//
// A batch is stored whole or not at all. What a done function was told is stored
// survives the death of the process at any moment (kill -9). A power failure may take
// what was stored in the last moments before it, up to about 30 seconds, but nothing
// that Sync has confirmed, and never the file. Writes happen in the order in which they
// were asked for. Readers never wait for the writer, and see nothing uncommitted; only
// Search may wait until it has indexed what is new.
//
// State that was removed or replaced can't be read from the file any more, even with
// the file's key: each value has a key of its own, which is overwritten where it
// stands. The write-ahead log still holds that key until it is emptied: about 5
// seconds later, 30 where writes don't cease, when the store is closed, and after a
// crash within 5 seconds of the next start; but later where something keeps the log
// from being emptied, which are snapshots, a full disk, and other programs that read
// the file. What the disk keeps of blocks that were overwritten or cut off is beyond
// this package.
//
// # Goroutines
//
// Two, started by Open and owned by the Store. The writer ends in Close after it has
// emptied the queue; it owns the only connection that writes, and calls every done
// function but Sync's. Those the other one calls, which waits for the disk and ends when
// nobody asks for that any more. Reads run in the caller's goroutine on pooled connections.
package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/ncruces/go-sqlite3"

	"earshot/chat"
)

// FileName is the database's name in the home; SQLite puts two more beside it,
// ending in -wal and -shm, while it is open.
const FileName = "history.db"

// readers is how many reads may run at once. Each connection takes about 1 MB
// when busy and is made when first needed.
const readers = 3

// KeySize is the length of a history's key, in bytes.
const KeySize = 32

// Options say how a Store works. Only Key is required.
type Options struct {
	// Key is what the file is encrypted under, KeySize random bytes.
	Key []byte
	// Notify tells the person about work that takes a while. It may be nil.
	Notify func(text string)
	// Trouble is told why a read failed, or work that nobody waits for. It may be
	// nil, and is called by several goroutines at once.
	Trouble func(error)
	// Volatile says that the history need not survive a power failure, as in a
	// simulation: Sync does not ask the disk.
	Volatile bool
	// Hold, in tests, runs in the writer before each transaction.
	hold func()
	// Step, in tests, is told what comes next while a history is encrypted.
	step func(name string)
}

// Store is one home's history. All methods are safe for concurrent use. One
// process at a time may open a directory: whoever calls Open holds the home's
// lock.
type Store struct {
	dir   string
	opt   Options
	queue *queue
	pool  chan *conn    // cap readers; nil stands for a connection not yet made
	stop  chan struct{} // closed once reads are refused
	ended chan struct{} // closed by the writer when it has ended
	disk  *disk
	w     *writer // the writer's own; but for its atomics untouched by others before ended

	snapshots sync.Mutex // held while one is read
}

// Open opens the history in dir and makes directory and file where they are
// missing. A file by a newer version, a damaged one or another program's is
// refused and left as it is: CodeHomeNewer, CodeHomeBroken. It costs a few
// milliseconds, whatever the history holds; but one that an earlier version left in
// plain text is encrypted first.
func Open(ctx context.Context, dir string, opt Options) (*Store, error) {
	if len(opt.Key) != KeySize {
		return nil, fmt.Errorf("store: a key of %d bytes, want %d", len(opt.Key), KeySize)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, wrap(dir, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, wrap(dir, err)
	}
	path := filepath.Join(dir, FileName)
	if err := encrypt(ctx, path, opt); err != nil {
		return nil, wrap(dir, err)
	}
	if err := checkFiles(path); err != nil {
		return nil, wrap(dir, err)
	}
	if err := private(path); err != nil {
		return nil, wrap(dir, err)
	}
	if err := foldBlockLog(ctx, path, opt); err != nil {
		return nil, wrap(dir, err)
	}
	c, err := openWriter(ctx, path, opt.Key)
	if err != nil {
		return nil, wrap(dir, err)
	}
	return start(dir, opt, c)
}

// start makes a Store of its writing connection.
func start(dir string, opt Options, c *conn) (*Store, error) {
	s := &Store{
		dir: dir, opt: opt, queue: newQueue(), pool: make(chan *conn, readers),
		stop: make(chan struct{}), ended: make(chan struct{}), w: &writer{conn: c, clients: newClients()},
	}
	err := s.w.reset()
	if err == nil {
		err = c.keepLog(false)
	}
	if err == nil {
		s.disk, err = openDisk(c)
	}
	if err != nil {
		return nil, wrap(dir, errors.Join(err, c.close()))
	}
	// SQLite's own way folds the log into the file while a commit waits for it.
	c.db.WALHook(func(_ *sqlite3.Conn, _ string, pages int) error {
		s.w.upkeep.logPages = pages
		return nil
	})
	s.w.upkeep.wrote(time.Now()) // perhaps, before a crash
	for range readers {
		s.pool <- nil
	}
	go s.write()
	go s.syncAsked()
	return s, nil
}

// Close stores what was asked for before it, ends the writer, waits for reads and a
// snapshot under way and closes the file. Later calls fail with CodeStopping. Only the
// first Close does anything.
func (s *Store) Close() error {
	s.snapshots.Lock()
	defer s.snapshots.Unlock()
	if !s.queue.close() {
		<-s.ended
		return nil
	}
	<-s.ended
	s.disk.close() // those who ask are told of by the writer
	close(s.stop)
	var errs []error
	for range readers {
		errs = append(errs, (<-s.pool).close())
	}
	// The writer's is the last connection, so that closing it folds the
	// write-ahead log into the file.
	errs = append(errs, s.closeLog(), s.w.close())
	return wrap(s.dir, errors.Join(errs...))
}

// read runs f with a pooled connection; what f does is interrupted when ctx ends.
func (s *Store) read(ctx context.Context, f func(*conn) error) error {
	select {
	case <-s.stop: // Close takes what is in the pool, so do not race it for one
		return errStopping()
	default:
	}
	var c *conn
	select {
	case c = <-s.pool:
	case <-s.stop:
		return errStopping()
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { s.pool <- c }()
	if c == nil {
		fresh, err := openReader(ctx, filepath.Join(s.dir, FileName), s.opt.Key)
		if err != nil {
			return s.failed(ctx, err)
		}
		c = fresh
	}
	old := c.db.SetInterrupt(ctx)
	defer c.db.SetInterrupt(old)
	if err := f(c); err != nil {
		return s.failed(ctx, err)
	}
	return nil
}

// failed turns the error of a read into one for its caller.
func (s *Store) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, sqlite3.INTERRUPT) {
		return ctx.Err()
	}
	if foreign(err) {
		s.trouble(err)
	}
	return wrap(s.dir, err)
}

func (s *Store) trouble(err error) {
	if s.opt.Trouble != nil {
		s.opt.Trouble(wrap(s.dir, err))
	}
}

// checkFiles refuses what SQLite would repair by throwing data away: it deletes
// a write-ahead log whose database is missing or empty.
func checkFiles(path string) error {
	if size(path) > 0 || size(path+"-wal") <= 0 {
		return nil
	}
	return chat.Errorf(chat.CodeHomeBroken, "The history's file %s is missing or empty, but %s-wal beside it still holds messages. "+
		"If you have moved the file, put it back; else move both away, and restore a backup or start with an empty history.", path, FileName)
}

// private makes the file where it is missing, for its owner only: SQLite would let
// everybody read it.
func private(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// size returns a file's size, or -1 where there is none.
func size(path string) int64 {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return -1
	}
	if err != nil {
		return 0
	}
	return info.Size()
}
