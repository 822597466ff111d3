package store

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"github.com/ncruces/go-sqlite3/vfs"
	"github.com/ncruces/go-sqlite3/vfs/adiantum"

	"earshot/chat"
)

func init() {
	children["fold"] = foldForever
	disk := &faultyVFS{VFS: vfs.Find("")}
	vfs.Register(faultyName, historyVFS{adiantum.Wrap(disk, &keys), disk})
}

// foldForever does what appendForever does, and all the while reads, and folds the log
// into the file.
func foldForever(dir string) error {
	ctx := context.Background()
	s, err := Open(ctx, dir, Options{Key: testKey})
	if err != nil {
		return err
	}
	lobby := chat.OpenRoom("#lobby")
	ann, hlc := newWriter(lobby, "ann"), noon
	logs, err := s.Logs(ctx)
	if err != nil {
		return err
	}
	if len(logs) > 0 {
		ann.seq, ann.prev, hlc = logs[0].LastSeq, logs[0].LastID, logs[0].LastHLC
	}
	go func() {
		for {
			if _, err := s.Messages(ctx, lobby, MessageQuery{Limit: 100}); err != nil {
				fmt.Println("reading:", err)
				return
			}
		}
	}()
	for {
		hlc++
		rec := ann.say(hlc, fmt.Sprint("message ", ann.seq))
		if _, err := s.store(rec); err != nil {
			return err
		}
		fmt.Println(rec.Entry.Seq)
		if ann.seq%7 == 0 {
			_ = s.bare(ctx, (*writer).emptyLog) // a reader may be in the way
		}
	}
}

// However often the process is killed while the log is folded into the file and begins
// anew: what it was told is stored is there, and nothing is damaged.
func TestKillWhileTheLogIsFoldedLosesNothing(t *testing.T) {
	dir := t.TempDir()
	last := uint64(0)
	for round := range 5 {
		last = uint64(killed(t, child(t.Context(), "fold", dir), 3+37*round, int(last)))
		last = checkHistory(t, dir, chat.OpenRoom("#lobby"), last)
	}
}

// faultyName is the file system of encrypted histories on a disk that fails.
const faultyName = "earshot-faulty"

// faults is how that disk fails next; the zero value is a good disk. One test at a
// time uses it.
var faults struct {
	after atomic.Int64 // so many writes, syncs and truncations are left
	count atomic.Int64 // so many fail then
}

// fault returns the error of the next change of the disk.
func fault() error {
	if faults.after.Add(-1) < 0 && faults.count.Add(-1) >= 0 {
		return syscall.ENOSPC
	}
	return nil
}

type faultyVFS struct{ vfs.VFS }

// OpenFilename implements vfs.VFSFilename.
func (v *faultyVFS) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	file, out, err := vfsutil.WrapOpenFilename(v.VFS, name, flags)
	if err != nil {
		return nil, out, err
	}
	return &faultyFile{file}, out, nil
}

type faultyFile struct{ vfs.File }

// WriteAt writes half of p when it fails, as a disk does that has become full.
func (f *faultyFile) WriteAt(p []byte, off int64) (int, error) {
	if err := fault(); err != nil {
		n, _ := f.File.WriteAt(p[:len(p)/2], off)
		return n, err
	}
	return f.File.WriteAt(p, off)
}

func (f *faultyFile) Truncate(size int64) error {
	if err := fault(); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *faultyFile) Sync(flags vfs.SyncFlag) error {
	if err := fault(); err != nil {
		return err
	}
	return f.File.Sync(flags)
}

// SharedMemory implements vfs.FileSharedMemory.
func (f *faultyFile) SharedMemory() vfs.SharedMemory { return vfsutil.WrapSharedMemory(f.File) }

// Whichever change of the disk fails, be it once or several times in a row: what was
// acknowledged is there after a crash, what was not is stored when it is tried again,
// and nothing is damaged.
func TestAFailingDiskLosesNothingAcknowledged(t *testing.T) {
	lobby := chat.OpenRoom("#lobby")
	failures := 0
	for after := range int64(20) {
		dir := t.TempDir()
		c, err := openVFS(t.Context(), filepath.Join(dir, FileName), faultyName, testKey, sqlite3.OPEN_READWRITE|sqlite3.OPEN_CREATE)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.setUp(); err != nil {
			t.Fatal(err)
		}
		s := must(start(dir, Options{Key: testKey}, c))(t)
		ann, open := opened(lobby, "ann", noon)
		mustStore(t, s, open)
		faults.after.Store(after)
		faults.count.Store(1 + after%3)
		for range 12 {
			rec := ann.say(noon+chat.HLC(ann.seq), fmt.Sprint("message ", ann.seq))
			for tries := 0; ; tries++ {
				if _, err := s.store(rec); err == nil {
					break
				} else if tries == 5 {
					t.Fatalf("after %d changes: %v", after, err)
				}
				failures++
			}
			if ann.seq%4 == 0 {
				if err := s.bare(t.Context(), (*writer).emptyLog); err != nil {
					failures++
				}
			}
			if _, err := s.Messages(t.Context(), lobby, MessageQuery{}); err != nil {
				t.Fatalf("reading after %d changes: %v", after, err)
			}
		}
		checkHistory(t, crashed(t, dir), lobby, ann.seq)
		faults.count.Store(0)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		checkHistory(t, dir, lobby, ann.seq)
	}
	if failures < 15 {
		t.Errorf("the disk failed only %d times", failures)
	}
}
