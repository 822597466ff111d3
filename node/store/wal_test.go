package store

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/ncruces/go-sqlite3/vfs"
	"pgregory.net/rapid"
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

func frames(below *memoryFile) *frameFile {
	blocks := &blockFile{File: below}
	return &frameFile{File: blocks, below: blocks}
}

// header returns that of a frame.
func header(commits bool) []byte {
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
		const page = 64
		below, model := &memoryFile{}, &memoryFile{}
		f := frames(below)
		write := func(p []byte, off int64) {
			n, err := f.WriteAt(p, off)
			if err != nil || n != len(p) {
				t.Fatal(n, err)
			}
			_, _ = model.WriteAt(p, off)
		}
		end := int64(0)
		fill := byte(0)
		content := func(n int) []byte { fill++; return bytes.Repeat([]byte{fill}, n) }
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 6).Draw(t, "step") {
			case 0: // the file's header
				write(content(32), 0)
				end = 32
			case 1, 2, 3: // a frame
				commits := rapid.Bool().Draw(t, "commits")
				write(header(commits), end)
				write(content(page), end+frameHeader)
				end += frameHeader + page
				if commits && !bytes.Equal(below.data, model.data) {
					t.Fatal("a transaction is not in the file")
				}
			case 4: // somewhere
				off := rapid.Int64Range(0, end+10).Draw(t, "offset")
				write(content(rapid.SampledFrom([]int{8, frameHeader, page}).Draw(t, "size")), off)
			case 5: // from an earlier place on, as after a rollback
				end = rapid.Int64Range(0, end).Draw(t, "end")
			case 6:
				p, want := make([]byte, page), make([]byte, page)
				off := rapid.Int64Range(0, end+10).Draw(t, "offset")
				n, err := f.ReadAt(p, off)
				m, wantErr := model.ReadAt(want, off)
				if n != m || err != wantErr || !bytes.Equal(p[:n], want[:m]) {
					t.Fatalf("read %d bytes, %v, want %d, %v", n, err, m, wantErr)
				}
			}
			if size, err := f.Size(); rapid.IntRange(0, 9).Draw(t, "look") == 0 && (err != nil || size != int64(len(model.data))) {
				t.Fatal(size, err)
			}
		}
		if err := f.Close(); err != nil || !bytes.Equal(below.data, model.data) {
			t.Fatal("after Close the file holds something else")
		}
	})
}

func TestATransactionIsOneWrite(t *testing.T) {
	below := &memoryFile{}
	f := frames(below)
	off := int64(32)
	if _, err := f.WriteAt(make([]byte, 32), 0); err != nil {
		t.Fatal(err)
	}
	below.writes = 0
	for i := range 10 {
		for _, p := range [][]byte{header(i == 9), make([]byte, 4096)} {
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
	f := frames(below)
	frame := func(b byte) (err error) {
		if _, err = f.WriteAt(header(true), 32); err == nil {
			_, err = f.WriteAt(bytes.Repeat([]byte{b}, 64), 32+frameHeader)
		}
		return err
	}
	if _, err := f.WriteAt(make([]byte, 32), 0); err != nil {
		t.Fatal(err)
	}
	below.fail = errors.New("no space")
	if err := frame(1); !errors.Is(err, below.fail) {
		t.Fatalf("err = %v", err)
	}
	below.fail = nil
	if err := frame(2); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil || bytes.Contains(below.data, []byte{1, 1, 1}) || !bytes.Contains(below.data, []byte{2, 2, 2}) {
		t.Errorf("the file holds %v, %v", below.data, err)
	}
}
