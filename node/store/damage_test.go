package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"

	"earshot/chat"
)

// someHistory makes a closed history of n messages by Ann.
func someHistory(t testing.TB, dir string, n int) (lobby chat.RoomID) {
	t.Helper()
	s, err := Open(t.Context(), dir, Options{Key: testKey})
	if err != nil {
		t.Fatal(err)
	}
	lobby, _ = putRoom(t, s, "#lobby", true)
	ann, open := opened(lobby, "ann", noon)
	recs := []Record{open}
	for i := range n {
		recs = append(recs, ann.say(noon+chat.HLC(i)+1, fmt.Sprint("message ", i)))
	}
	mustStore(t, s, recs...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return lobby
}

// refused checks that Open refuses a directory and changes no file in it.
func refused(t *testing.T, dir string, code chat.Code, says string) {
	t.Helper()
	before := contents(t, dir)
	s, err := Open(t.Context(), dir, Options{Key: testKey})
	if err == nil {
		_ = s.Close()
		t.Fatal("it was opened")
	}
	if chat.CodeOf(err) != code || !strings.Contains(err.Error(), says) {
		t.Fatalf("error = %v (%s), want %s that says %q", err, chat.CodeOf(err), code, says)
	}
	for name, b := range before {
		if after := contents(t, dir)[name]; !bytes.Equal(after, b) {
			t.Fatalf("%s was changed: %d bytes, were %d", name, len(after), len(b))
		}
	}
}

// contents reads all files but SQLite's shared memory, which is no data.
func contents(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if strings.HasSuffix(f.Name(), "-shm") {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[f.Name()] = b
	}
	return all
}

func sql(t *testing.T, dir, script string) {
	t.Helper()
	c, err := open(t.Context(), filepath.Join(dir, FileName), testKey, sqlite3.OPEN_READWRITE|sqlite3.OPEN_CREATE)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.db.Exec(script); err != nil {
		t.Fatal(err)
	}
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefusesWhatIsNotItsOwn(t *testing.T) {
	t.Run("newer", func(t *testing.T) {
		dir := t.TempDir()
		someHistory(t, dir, 3)
		sql(t, dir, fmt.Sprintf("PRAGMA user_version = %d", len(migrations)+1))
		refused(t, dir, chat.CodeHomeNewer, "Update Earshot")
	})
	t.Run("another program's", func(t *testing.T) {
		dir := t.TempDir()
		sql(t, dir, "CREATE TABLE recipe (cake TEXT)")
		refused(t, dir, chat.CodeHomeBroken, "another program's")
	})
	t.Run("no database", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, FileName), bytes.Repeat([]byte("text "), 1000), 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, dir, chat.CodeHomeBroken, "damaged")
	})
	t.Run("a directory in its place", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, FileName), 0o700); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), dir, Options{Key: testKey}); chat.CodeOf(err) != chat.CodeHomeBroken {
			t.Fatal(err)
		}
	})
	t.Run("a log without its database", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, FileName+"-wal"), []byte("messages"), 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, dir, chat.CodeHomeBroken, "still holds messages")
	})
	t.Run("half of it", func(t *testing.T) {
		dir := t.TempDir()
		someHistory(t, dir, 1000)
		path := filepath.Join(dir, FileName)
		if err := os.Truncate(path, size(path)/2); err != nil {
			t.Fatal(err)
		}
		before := contents(t, dir)
		s, err := Open(t.Context(), dir, Options{Key: testKey})
		if err == nil {
			_, err = s.Messages(t.Context(), chat.OpenRoom("#lobby"), MessageQuery{Limit: 1000})
			if e := s.Close(); e != nil {
				t.Log("close: ", e)
			}
		}
		if chat.CodeOf(err) != chat.CodeHomeBroken {
			t.Fatalf("error = %v", err)
		}
		if !bytes.Equal(contents(t, dir)[FileName], before[FileName]) {
			t.Fatal("the file was changed")
		}
	})
	t.Run("a directory that is not ours", func(t *testing.T) {
		if runtime.GOOS == "windows" || os.Getuid() == 0 {
			t.Skip("this user may write everywhere")
		}
		dir := t.TempDir()
		someHistory(t, dir, 1)
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(dir, 0o700) // for its removal
		refused(t, dir, chat.CodeHomeBroken, "may not write")
	})
}

// No flipped byte is read as if nothing had happened: either what is returned is
// right, or it is said that the file is damaged.
func TestNoDamageIsReadSilently(t *testing.T) {
	dir := t.TempDir()
	lobby := someHistory(t, dir, 300)
	path := filepath.Join(dir, FileName)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := openStore(t, dir)
	want := texts(must(s.Messages(t.Context(), lobby, MessageQuery{Limit: maxPage}))(t))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	said := 0
	const page = 4096
	for p := 0; p < len(good)/page; p++ {
		bad := bytes.Clone(good)
		bad[p*page+200+p*37%3500] ^= 0x10
		copyDir := t.TempDir()
		if err := os.WriteFile(filepath.Join(copyDir, FileName), bad, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(t.Context(), copyDir, Options{Key: testKey})
		var got []string
		if err == nil {
			var hits []chat.Message
			var msgs []chat.Message
			if msgs, err = s.Messages(t.Context(), lobby, MessageQuery{Limit: maxPage}); err == nil {
				got = texts(msgs)
				_, _, err = s.Missing(t.Context(), lobby, nil, Position{}, maxPage, 1<<20)
			}
			if err == nil {
				hits, err = s.Search(t.Context(), "message", nil, maxPage)
			}
			if err == nil && len(hits) != len(want) {
				t.Errorf("page %d: found %d of %d, and nothing said", p+1, len(hits), len(want))
			}
			if e := s.Close(); e != nil && err == nil {
				err = e
			}
		}
		switch {
		case err == nil && !slices.Equal(got, want):
			t.Errorf("page %d: wrong messages, and nothing said", p+1)
		case err != nil && chat.CodeOf(err) != chat.CodeHomeBroken:
			t.Errorf("page %d: %v", p+1, err)
		case err != nil:
			said++
		}
	}
	if said < len(good)/page/2 {
		t.Errorf("of %d damaged pages %d were noticed; is anything checked?", len(good)/page, said)
	}
}

// Nor is a flipped byte of the write-ahead log.
func TestNoDamageOfTheLogIsReadSilently(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	keepTheLog(t, s)
	lobby := chat.OpenRoom("#lobby")
	ann, first := opened(lobby, "ann", noon)
	mustStore(t, s, first)
	for i := range 60 {
		mustStore(t, s, ann.say(noon+chat.HLC(i)+1, fmt.Sprint("message ", i)))
	}
	want := texts(must(s.Messages(t.Context(), lobby, MessageQuery{}))(t))
	path := filepath.Join(dir, FileName)
	log, err := os.OpenFile(path+"-wal", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	flip := func(at int64) {
		var b [1]byte
		if _, err := log.ReadAt(b[:], at); err != nil {
			t.Fatal(err)
		}
		b[0] ^= 0x10
		if _, err := log.WriteAt(b[:], at); err != nil {
			t.Fatal(err)
		}
	}
	said := 0
	for n := range (size(path+"-wal") - logHeader) / frameSize {
		at := logHeader + n*frameSize + n*997%frameSize
		flip(at)
		// Somebody who has read nothing yet.
		fresh := &Store{dir: dir, opt: s.opt, pool: make(chan *conn, 1), stop: make(chan struct{})}
		fresh.pool <- nil
		page, err := fresh.Messages(t.Context(), lobby, MessageQuery{})
		switch {
		case err == nil && !slices.Equal(texts(page), want):
			t.Errorf("frame %d: wrong messages, and nothing said", n)
		case err != nil && chat.CodeOf(err) != chat.CodeHomeBroken:
			t.Errorf("frame %d: %v", n, err)
		case err != nil:
			said++
		}
		if err := (<-fresh.pool).close(); err != nil {
			t.Error(err)
		}
		flip(at)
	}
	if said < 5 {
		t.Errorf("%d damaged frames were noticed; is anything checked?", said)
	}
}

// A maintainer who reads a log learns what a person need not know: which of SQLite's
// errors it was.
func TestWhyAReadFailedIsTold(t *testing.T) {
	dir := t.TempDir()
	lobby := someHistory(t, dir, 1000)
	path := filepath.Join(dir, FileName)
	var told []error
	s, err := Open(t.Context(), dir, Options{Key: testKey, Trouble: func(err error) { told = append(told, err) }})
	if err != nil {
		t.Fatal(err)
	}
	left, leave := context.WithCancel(t.Context())
	leave()
	if _, err := s.Messages(left, lobby, MessageQuery{}); !errors.Is(err, context.Canceled) || len(told) != 0 {
		t.Errorf("whoever asked has left: %v, told %v", err, told)
	}
	if err := os.Truncate(path, size(path)/2); err != nil {
		t.Fatal(err)
	}
	_, err = s.Messages(t.Context(), lobby, MessageQuery{Limit: 1000})
	if chat.CodeOf(err) != chat.CodeHomeBroken || len(told) != 1 {
		t.Fatalf("error = %v, told %v", err, told)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Error("reading", "err", told[0])
	if line := log.String(); !strings.Contains(line, "is damaged") || !strings.Contains(line, "SQLite's code ") {
		t.Errorf("the log says %q", line)
	}
	if err := s.Close(); err != nil {
		t.Log("close: ", err)
	}
}
