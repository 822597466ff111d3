package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"
	"lukechampine.com/adiantum"
	"pgregory.net/rapid"

	"earshot/chat"
)

// memoryFile is a file in memory that counts what is written.
type memoryFile struct {
	vfs.File // nil: other methods are not called
	data     []byte
	writes   int
	fail     error
}

func (f *memoryFile) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(f.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memoryFile) WriteAt(p []byte, off int64) (int, error) {
	if f.fail != nil {
		return 0, f.fail
	}
	f.writes++
	if end := off + int64(len(p)); end > int64(len(f.data)) {
		f.data = append(f.data, make([]byte, end-int64(len(f.data)))...)
	}
	return copy(f.data[off:], p), nil
}

func (f *memoryFile) Truncate(size int64) error { f.data = f.data[:size]; return nil }
func (f *memoryFile) Sync(vfs.SyncFlag) error   { return nil }
func (f *memoryFile) Size() (int64, error)      { return int64(len(f.data)), nil }
func (f *memoryFile) Close() error              { return nil }

func logOn(below *memoryFile) *logFile {
	return &logFile{File: below, cipher: adiantum.New(testKey)}
}

// plainLog returns what the file below a log holds, decrypted part by part.
func plainLog(t rapid.TB, below *memoryFile) []byte {
	t.Helper()
	cipher, plain := adiantum.New(testKey), bytes.Clone(below.data)
	for at, n := 0, logHeader; at < len(plain); at, n = at+n, frameSize {
		if at+n > len(plain) {
			t.Fatalf("the file ends within a part, at %d", len(plain))
		}
		cipher.Decrypt(plain[at:at+n], binary.LittleEndian.AppendUint64(nil, uint64(at)|1<<63))
	}
	return plain
}

// wholeParts adds zeros to what a log should hold, up to the end of its last part.
func (f *memoryFile) wholeParts() {
	n := max(len(f.data)-logHeader, 0)
	f.data = append(f.data, make([]byte, logHeader+(n+frameSize-1)/frameSize*frameSize-len(f.data))...)
}

// headerOfLog returns the log's own header.
func headerOfLog(fill byte) []byte {
	h := bytes.Repeat([]byte{fill}, logHeader)
	binary.BigEndian.PutUint32(h[8:], dbPage)
	return h
}

// headerOf returns that of a frame.
func headerOf(commits bool) []byte {
	h := bytes.Repeat([]byte{9}, frameHeader)
	if !commits {
		clear(h[4:8])
	}
	return h
}

// Whatever is written in whatever order: what is read is what was written, and when
// a transaction's last frame has come, all of it stands in the file.
func TestFramesAreWrittenAtOnceAndLoseNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		below, model := &memoryFile{}, &memoryFile{}
		f := logOn(below)
		write := func(p []byte, off int64) {
			n, err := f.WriteAt(p, off)
			if err != nil || n != len(p) {
				t.Fatal(n, err)
			}
			_, _ = model.WriteAt(p, off)
			model.wholeParts()
		}
		fill := byte(0)
		content := func(n int) []byte { fill++; return bytes.Repeat([]byte{fill}, n) }
		write(headerOfLog(0), 0)
		end := int64(logHeader)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 6).Draw(t, "step") {
			case 0: // the log begins anew
				fill++
				write(headerOfLog(fill), 0)
				end = logHeader
			case 1, 2, 3: // a frame
				commits := rapid.Bool().Draw(t, "commits")
				h := headerOf(commits)
				if rapid.IntRange(0, 9).Draw(t, "of this log") > 0 {
					copy(h[8:], model.data[16:24])
				}
				write(h, end)
				write(content(dbPage), end+frameHeader)
				end += frameSize
				if commits && !bytes.Equal(plainLog(t, below), model.data) {
					t.Fatal("a transaction is not in the file")
				}
			case 4: // somewhere
				off := rapid.Int64Range(0, end).Draw(t, "offset")
				write(content(rapid.SampledFrom([]int{8, frameHeader, dbPage}).Draw(t, "size")), off)
			case 5: // from an earlier place on, as after a rollback
				end = logHeader + frameSize*rapid.Int64Range(0, (end-logHeader)/frameSize).Draw(t, "frames")
				if rapid.Bool().Draw(t, "misaligned") {
					end = rapid.Int64Range(0, end).Draw(t, "end")
				}
			case 6:
				p, want := make([]byte, rapid.SampledFrom([]int{frameHeader, dbPage, frameSize}).Draw(t, "size")), make([]byte, frameSize)
				off := rapid.Int64Range(0, end+10).Draw(t, "offset")
				n, err := f.ReadAt(p, off)
				m, wantErr := model.ReadAt(want[:len(p)], off)
				if start, _ := f.part(off); start > 0 && off >= start+frameHeader && m > 0 && !bytes.Equal(model.data[start+8:start+16], model.data[16:24]) {
					m, wantErr = 0, sqlite3.IOERR_DATA // a page of another log
				}
				if n != m || err != wantErr || !bytes.Equal(p[:n], want[:m]) {
					t.Fatalf("read %d bytes, %v, want %d, %v", n, err, m, wantErr)
				}
			}
			if size, err := f.Size(); rapid.IntRange(0, 9).Draw(t, "look") == 0 && (err != nil || size != int64(len(model.data))) {
				t.Fatal(size, err)
			}
		}
		if err := f.Close(); err != nil || !bytes.Equal(plainLog(t, below), model.data) {
			t.Fatal("after Close the file holds something else")
		}
	})
}

func TestATransactionIsOneWrite(t *testing.T) {
	below := &memoryFile{}
	f := logOn(below)
	off := int64(logHeader)
	if _, err := f.WriteAt(headerOfLog(1), 0); err != nil {
		t.Fatal(err)
	}
	below.writes = 0
	for i := range 10 {
		for _, p := range [][]byte{headerOf(i == 9), make([]byte, dbPage)} {
			if _, err := f.WriteAt(p, off); err != nil {
				t.Fatal(err)
			}
			off += int64(len(p))
		}
	}
	if below.writes != 1 || int64(len(below.data)) != off {
		t.Errorf("%d writes, %d bytes", below.writes, len(below.data))
	}
}

// A write that fails is told before the transaction counts as committed, and what
// it held is forgotten: the next transaction is written in its place.
func TestAFailedFrameIsNotWrittenLater(t *testing.T) {
	below := &memoryFile{}
	f := logOn(below)
	frame := func(b byte) (err error) {
		if _, err = f.WriteAt(headerOf(true), logHeader); err == nil {
			_, err = f.WriteAt(bytes.Repeat([]byte{b}, dbPage), logHeader+frameHeader)
		}
		return err
	}
	if _, err := f.WriteAt(headerOfLog(7), 0); err != nil {
		t.Fatal(err)
	}
	below.fail = errors.New("no space")
	if err := frame(1); err != below.fail { // unwrapped, so that SQLite learns its code
		t.Fatalf("err = %v", err)
	}
	below.fail = nil
	if err := frame(2); err != nil {
		t.Fatal(err)
	}
	err := f.Close()
	if got := plainLog(t, below); err != nil || bytes.Contains(got, []byte{1, 1, 1}) || !bytes.Contains(got, []byte{2, 2, 2}) {
		t.Errorf("the file holds %v, %v", got, err)
	}
}

func TestALogOfOtherPagesIsRefused(t *testing.T) {
	h := headerOfLog(1)
	binary.BigEndian.PutUint32(h[8:], 2*dbPage)
	below := &memoryFile{}
	if _, err := logOn(below).WriteAt(h, 0); err == nil || below.writes > 0 {
		t.Errorf("%d writes, %v", below.writes, err)
	}
}

// What others may read of the log is never written again before the log begins anew.
// Else a reader could come upon a page of which only a part is new, which is noise.
func TestAppendingNeverRewritesAFrameThatOthersRead(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	keepTheLog(t, s)
	ann, open := opened(chat.OpenRoom("#lobby"), "ann", noon)
	mustStore(t, s, open)
	var before []byte
	for i := range 100 {
		after := must(os.ReadFile(filepath.Join(dir, FileName+"-wal")))(t)
		if len(after) <= len(before) && i > 0 {
			t.Fatalf("the log has %d bytes, and had %d", len(after), len(before))
		}
		if !bytes.Equal(after[:len(before)], before) {
			t.Fatalf("message %d changed the %d bytes of the log before its own", i, len(before))
		}
		before = after
		mustStore(t, s, ann.say(noon+chat.HLC(i)+1, fmt.Sprint("message ", i)))
	}
}

// keepTheLog has upkeep leave the log alone, however long a test takes.
func keepTheLog(t *testing.T, s *Store) {
	t.Helper()
	if err := s.bare(t.Context(), func(w *writer) error { w.upkeep.held = true; return nil }); err != nil {
		t.Fatal(err)
	}
}

// crashed returns a copy of a history's files as a crash at this moment leaves them.
func crashed(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	for name, b := range contents(t, dir) {
		if err := os.WriteFile(filepath.Join(to, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// After a crash the first page, which says that there are checksums, may stand in the
// log alone. What is folded into the file before that page has checksums all the same.
func TestPagesFoldedAfterACrashAreNotTakenForDamaged(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	lobby := chat.OpenRoom("#lobby")
	ann, open := opened(lobby, "ann", noon)
	recs := []Record{open}
	say := func() Record { return ann.say(noon+chat.HLC(ann.seq), fmt.Sprint("message ", ann.seq)) }
	for range 200 {
		recs = append(recs, say())
	}
	mustStore(t, s, recs...)
	dir = crashed(t, dir)
	s = must(Open(t.Context(), dir, Options{Key: testKey}))(t)
	if err := s.read(t.Context(), func(c *conn) error {
		return c.snapshot(func() error {
			if _, err := c.lastCursor(); err != nil {
				return err
			}
			recs = nil
			for range 400 {
				recs = append(recs, say())
			}
			mustStore(t, s, recs...)
			// A reader is in the way of the newest pages.
			if err := s.bare(t.Context(), (*writer).emptyLog); !errors.Is(err, sqlite3.BUSY) {
				t.Errorf("emptying the log: %v", err)
			}
			return nil
		})
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	checkHistory(t, dir, lobby, ann.seq)
}
