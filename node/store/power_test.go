package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"github.com/ncruces/go-sqlite3/vfs"
	"github.com/ncruces/go-sqlite3/vfs/adiantum"

	"earshot/chat"
)

func init() {
	vfs.Register(powerName, historyVFS{adiantum.Wrap(power, &keys), power})
}

// powerName is the file system of encrypted histories on a disk that may lose power.
const powerName = "earshot-power"

// power notes what such a disk must hold and what it may. One test at a time uses it.
var power = &powerVFS{VFS: vfs.Find(""), files: map[string]*diskFile{}}

type powerVFS struct {
	vfs.VFS
	mu     sync.Mutex
	files  map[string]*diskFile // by path
	broken bool                 // what is synced next is not written, said once, and forgotten
}

// diskFile is a file as the disk has it.
type diskFile struct {
	durable []byte       // synced
	pending []diskChange // since then, in their order
}

// diskChange is a write of data at off, or where data is nil a truncation to off.
type diskChange struct {
	off  int64
	data []byte
}

// sector is the length in bytes of what a disk writes whole or not at all.
const sector = 512

// apply makes a change, or where r is not nil any part of it.
func (c diskChange) apply(b []byte, r *rand.Rand) []byte {
	if c.data == nil {
		if r != nil && r.IntN(2) == 0 {
			return b
		}
		return append(b[:min(c.off, int64(len(b)))], make([]byte, max(0, c.off-int64(len(b))))...)
	}
	how := 0 // whole; 1: not at all; 2: some sectors of it
	if r != nil {
		how = r.IntN(3)
	}
	if end := c.off + int64(len(c.data)); how != 1 && end > int64(len(b)) {
		b = append(b, make([]byte, end-int64(len(b)))...)
	}
	for n := 0; n < len(c.data) && how != 1; {
		at := c.off + int64(n)
		m := min(int(sector-at%sector), len(c.data)-n)
		if how == 0 || r.IntN(2) == 0 {
			copy(b[at:], c.data[n:n+m])
		}
		n += m
	}
	return b
}

func (v *powerVFS) change(name string, c diskChange) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f := v.files[name]
	f.pending = append(f.pending, c)
}

// pending returns how many changes of a file a sync that begins now is about.
func (v *powerVFS) pending(name string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.files[name].pending)
}

func (v *powerVFS) synced(name string, n int) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	f := v.files[name]
	if v.broken {
		v.broken, f.pending = false, f.pending[n:]
		return syscall.EIO
	}
	for _, c := range f.pending[:n] {
		f.durable = c.apply(f.durable, nil)
	}
	f.pending = f.pending[n:]
	return nil
}

// lost returns a directory as it may be found when the power comes back.
func (v *powerVFS) lost(t *testing.T, dir string, r *rand.Rand) string {
	t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	to := t.TempDir()
	for name, f := range v.files {
		if filepath.Dir(name) != dir {
			continue
		}
		b := append([]byte{}, f.durable...)
		for _, c := range f.pending {
			b = c.apply(b, r)
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(name)), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func (v *powerVFS) Delete(name string, syncDir bool) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.files, name)
	return v.VFS.Delete(name, syncDir)
}

// OpenFilename implements vfs.VFSFilename.
func (v *powerVFS) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	file, out, err := vfsutil.WrapOpenFilename(v.VFS, name, flags)
	if err != nil {
		return nil, out, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.files[name.String()] == nil {
		v.files[name.String()] = &diskFile{}
	}
	return &powerFile{file, name.String()}, out, nil
}

type powerFile struct {
	vfs.File
	name string
}

func (f *powerFile) WriteAt(p []byte, off int64) (int, error) {
	power.change(f.name, diskChange{off, append([]byte{}, p...)})
	return f.File.WriteAt(p, off)
}

func (f *powerFile) Truncate(size int64) error {
	power.change(f.name, diskChange{off: size})
	return f.File.Truncate(size)
}

func (f *powerFile) Sync(flags vfs.SyncFlag) error {
	n := power.pending(f.name)
	if err := f.File.Sync(flags); err != nil {
		return err
	}
	return power.synced(f.name, n)
}

// SharedMemory implements vfs.FileSharedMemory.
func (f *powerFile) SharedMemory() vfs.SharedMemory { return vfsutil.WrapSharedMemory(f.File) }

// openPower opens a history in dir on a disk that may lose power.
func openPower(t *testing.T, dir string) *Store {
	t.Helper()
	c, err := openVFS(t.Context(), filepath.Join(dir, FileName), powerName, testKey, sqlite3.OPEN_READWRITE|sqlite3.OPEN_CREATE)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.setUp(); err != nil {
		t.Fatal(err)
	}
	return must(start(dir, Options{Key: testKey}, c))(t)
}

// synced waits for the disk's word.
func synced(s *Store) error {
	said := make(chan error, 1)
	s.Sync(func(err error) { said <- err })
	return <-said
}

// Whenever the power fails, and whatever the disk then has of what was not synced, even
// halves of it: all is there that was folded into the file or confirmed, perhaps more,
// and nothing is damaged.
func TestAPowerFailureDamagesNothingAndTakesNothingConfirmed(t *testing.T) {
	lobby := chat.OpenRoom("#lobby")
	r := rand.New(rand.NewPCG(7, 11))
	for range 4 {
		dir := t.TempDir()
		s := openPower(t, dir)
		ann, open := opened(lobby, "ann", noon)
		mustStore(t, s, open)
		safe := uint64(0)
		say := func() {
			for range 1 + r.IntN(5) {
				mustStore(t, s, ann.say(noon+chat.HLC(ann.seq), fmt.Sprint("message ", ann.seq)))
				if r.IntN(4) == 0 {
					if err := synced(s); err != nil {
						t.Fatal(err)
					}
					safe = ann.seq
				}
			}
		}
		fold := func() {
			if err := s.bare(t.Context(), func(w *writer) error {
				logged, done, err := w.db.WALCheckpoint("main", sqlite3.CHECKPOINT_PASSIVE)
				if err == nil && logged == done {
					safe = ann.seq
				}
				return errors.Join(err, w.emptyLog())
			}); err != nil && !errors.Is(err, sqlite3.BUSY) {
				t.Error(err)
			}
		}
		fold()
		for range 6 {
			say()
			// With a reader in the way, the log goes on behind what was folded.
			if err := s.read(t.Context(), func(c *conn) error {
				return c.snapshot(func() error {
					_, err := c.lastCursor()
					if r.IntN(2) == 0 {
						say()
					}
					fold()
					say()
					return err
				})
			}); err != nil {
				t.Fatal(err)
			}
			checkHistory(t, power.lost(t, dir, r), lobby, safe)
			if r.IntN(3) == 0 {
				fold()
				checkHistory(t, power.lost(t, dir, r), lobby, safe)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		checkHistory(t, power.lost(t, dir, r), lobby, ann.seq)
	}
}

// Whatever the disk says while messages come and are confirmed at once: none of those
// it has confirmed is lost.
func TestWhatIsConfirmedWhileOthersAreStoredIsNotLost(t *testing.T) {
	lobby := chat.OpenRoom("#lobby")
	r := rand.New(rand.NewPCG(3, 5))
	dir := t.TempDir()
	s := openPower(t, dir)
	ann, open := opened(lobby, "ann", noon)
	mustStore(t, s, open)
	var confirmed atomic.Uint64
	var told sync.WaitGroup
	for range 8 {
		for range 30 {
			rec := ann.say(noon+chat.HLC(ann.seq), fmt.Sprint("message ", ann.seq))
			told.Add(1)
			s.Append([]Record{rec}, func(_ []chat.Cursor, err error) {
				if err != nil {
					t.Error(err)
				}
				s.Sync(func(err error) {
					if was := confirmed.Swap(rec.Entry.Seq); err != nil || was >= rec.Entry.Seq {
						t.Errorf("message %d is confirmed behind %d: %v", rec.Entry.Seq, was, err)
					}
					told.Done()
				})
			})
		}
		least := confirmed.Load()
		checkHistory(t, power.lost(t, dir, r), lobby, least)
	}
	told.Wait()
	checkHistory(t, power.lost(t, dir, r), lobby, ann.seq)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// A system that could not write what was to be synced says so once, and may have
// forgotten it: what is confirmed afterwards was written anew.
func TestASyncThatFailedMustNotPassForDoneLater(t *testing.T) {
	lobby := chat.OpenRoom("#lobby")
	dir := t.TempDir()
	s := openPower(t, dir)
	ann, open := opened(lobby, "ann", noon)
	mustStore(t, s, open, ann.say(noon+1, "message before"))
	if err := synced(s); err != nil {
		t.Fatal(err)
	}
	mustStore(t, s, ann.say(noon+2, "message lost on its way"))
	power.mu.Lock()
	power.broken = true
	power.mu.Unlock()
	if err := synced(s); chat.CodeOf(err) != chat.CodeHomeBroken {
		t.Fatalf("a disk that fails says %v", err)
	}
	if err := synced(s); err != nil {
		t.Fatal(err)
	}
	checkHistory(t, power.lost(t, dir, rand.New(rand.NewPCG(1, 2))), lobby, ann.seq)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := synced(s); chat.CodeOf(err) != chat.CodeStopping {
		t.Errorf("a history that is closed says %v", err)
	}
}

// What could not be synced must not be folded into the file before it was written anew:
// a log on the disk that ends earlier than the file takes the file back to there, in part.
func TestALogThatCouldNotBeSyncedMustNotBeFoldedIntoTheFile(t *testing.T) {
	lobby := chat.OpenRoom("#lobby")
	for name, keepUp := range map[string]func(*Store, *writer) error{
		"in passing": func(s *Store, w *writer) error {
			w.upkeep.logPages = maxLogPages
			w.upkeep.since = time.Time{}
			return w.keepUp(time.Now())
		},
		"with the log": func(s *Store, w *writer) error { return w.keepUp(time.Now().Add(time.Hour)) },
	} {
		for who, breaks := range map[string]func(*Store){
			"who confirms": func(s *Store) {
				if err := synced(s); err == nil {
					t.Error("a disk that fails says nothing")
				}
			},
			"who folds": func(s *Store) {
				if err := s.bare(t.Context(), func(w *writer) error { return keepUp(s, w) }); err == nil {
					t.Error("a disk that fails says nothing")
				}
			},
		} {
			t.Run(name+", said to "+who, func(t *testing.T) {
				dir := t.TempDir()
				s := openPower(t, dir)
				ann, open := opened(lobby, "ann", noon)
				say := func(n int) {
					for range n {
						mustStore(t, s, ann.say(noon+chat.HLC(ann.seq), fmt.Sprint("message ", ann.seq)))
					}
				}
				mustStore(t, s, open)
				say(200)
				if err := s.bare(t.Context(), (*writer).emptyLog); err != nil {
					t.Fatal(err)
				}
				say(20)
				if err := synced(s); err != nil {
					t.Fatal(err)
				}
				safe := ann.seq
				say(200)
				power.mu.Lock()
				power.broken = true
				power.mu.Unlock()
				breaks(s)
				_ = s.bare(t.Context(), func(w *writer) error { return keepUp(s, w) })
				checkHistory(t, power.lost(t, dir, rand.New(rand.NewPCG(1, 2))), lobby, safe)
				if snap, err := s.Snapshot(t.Context()); err != nil {
					t.Error(err)
				} else if err := snap.Close(); err != nil {
					t.Error(err)
				}
				checkHistory(t, power.lost(t, dir, rand.New(rand.NewPCG(1, 2))), lobby, ann.seq)
				if err := synced(s); err != nil {
					t.Fatal(err)
				}
				say(1)
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				checkHistory(t, power.lost(t, dir, rand.New(rand.NewPCG(1, 2))), lobby, ann.seq)
			})
		}
	}
}
