package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"

	"earshot/chat"
)

func init() {
	children["plain"] = plainHistory
	children["encrypt"] = encryptUntil
}

// plainMessages is how many messages plainHistory writes: enough for some to stand
// in the write-ahead log only.
const plainMessages = 700

// stepVariable is the number of the step at which encryptUntil dies.
const stepVariable = "STORE_TEST_STEP"

// plainHistory writes a history as versions did that did not encrypt, and dies with
// a part of it in the write-ahead log.
func plainHistory(dir string) error {
	c, err := openWriter(context.Background(), filepath.Join(dir, FileName), nil)
	if err != nil {
		return err
	}
	s, err := start(dir, Options{}, c)
	if err != nil {
		return err
	}
	lobby := chat.OpenRoom("#lobby")
	ann, open := opened(lobby, "ann", noon)
	recs := []Record{open}
	for i := range plainMessages {
		recs = append(recs, ann.say(noon+chat.HLC(i)+1, fmt.Sprint("message plainword ", i)))
	}
	if _, err := s.store(recs...); err != nil {
		return err
	}
	return die()
}

// encryptUntil opens a history that is in plain text, and dies at a step.
func encryptUntil(dir string) error {
	left, err := strconv.Atoi(os.Getenv(stepVariable))
	if err != nil {
		return err
	}
	s, err := Open(context.Background(), dir, Options{Key: testKey, step: func(string) {
		if left--; left < 0 {
			_ = die()
		}
	}})
	if err != nil {
		return err
	}
	return s.Close()
}

func die() error {
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	if err := self.Kill(); err != nil {
		return err
	}
	select {}
}

// grep reports in which files of dir, their names included, a word stands.
func grep(t *testing.T, dir string, words ...string) {
	t.Helper()
	for name, b := range contents(t, dir) {
		for _, word := range words {
			if bytes.Contains(b, []byte(word)) || strings.Contains(name, word) {
				t.Errorf("%q stands in %s", word, name)
			}
		}
		if bytes.HasPrefix(b, []byte("SQLite format")) {
			t.Errorf("%s is in plain text", name)
		}
	}
}

// Whenever taking a plain history over is cut short: the next start has all that
// was stored, and no plain text is left.
func TestAPlainHistoryIsTakenOverWhereverItWasCut(t *testing.T) {
	for step := 0; ; step++ {
		dir := t.TempDir()
		if err := child(t.Context(), "plain", dir).Run(); err == nil {
			t.Fatal("the child did not die")
		}
		if size(filepath.Join(dir, FileName)+"-wal") <= 0 {
			t.Fatal("there is no write-ahead log to lose")
		}
		cmd := child(t.Context(), "encrypt", dir)
		cmd.Env = append(cmd.Env, stepVariable+"="+strconv.Itoa(step))
		died := cmd.Run() != nil
		if got := checkHistory(t, dir, chat.OpenRoom("#lobby"), plainMessages+1); got != plainMessages+1 {
			t.Errorf("step %d: %d entries, want %d", step, got, plainMessages+1)
		}
		grep(t, dir, "plainword")
		c := must(open(t.Context(), filepath.Join(dir, FileName), testKey, sqlite3.OPEN_READWRITE))(t)
		if _, err := c.queryRow(func(s *sqlite3.Stmt) error {
			if !s.ColumnBool(0) {
				t.Error("the copy has no checksums")
			}
			return nil
		}, "PRAGMA checksum_verification"); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(c.keepLog(false), c.close()); err != nil {
			t.Fatal(err)
		}
		files := contents(t, dir)
		for name := range files {
			if name != FileName {
				t.Errorf("step %d: %s is left", step, name)
			}
		}
		if !died {
			if step < 5 {
				t.Errorf("there were only %d steps", step)
			}
			return
		}
	}
}

func TestAPlainHistoryThatIsNotReadableIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	if err := child(t.Context(), "plain", dir).Run(); err == nil {
		t.Fatal("the child did not die")
	}
	c, err := open(t.Context(), filepath.Join(dir, FileName), nil, sqlite3.OPEN_READWRITE)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.db.Exec(fmt.Sprintf("PRAGMA user_version = %d; PRAGMA wal_checkpoint(TRUNCATE)", len(migrations)+1)); err != nil {
		t.Fatal(err)
	}
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	refused(t, dir, chat.CodeHomeNewer, "Update Earshot")
}

// What is said, and where and by whom, stands in no file: while the store is open,
// after the process was killed, and after it was closed.
func TestNoFileHoldsPlainText(t *testing.T) {
	dir := t.TempDir()
	words := []string{"plainword", "#hideout", "Annabel", "certificate"}
	s := openStore(t, dir)
	room, _ := putRoom(t, s, "#hideout", true)
	ann, first := opened(room, "ann", noon)
	putDevice(t, s, DeviceRow{Device: ann.device, Person: ann.person, Cert: []byte("certificate"), Name: "Annabel", LastSeen: noon.Time()})
	mustStore(t, s, first)
	for i := range 1500 {
		mustStore(t, s, ann.say(noon+chat.HLC(i)+1, fmt.Sprint("a plainword and ", i)))
	}
	grep(t, dir, words...)
	if hits := must(s.Search(t.Context(), "plainword", nil, 10))(t); len(hits) != 10 {
		t.Fatalf("%d hits", len(hits))
	}
	grep(t, dir, words...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	grep(t, dir, words...)

	dir = t.TempDir()
	cmd := child(t.Context(), "append", dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 2000)); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	grep(t, dir, "message", "lobby")
}

func TestAnotherKeyOpensNothing(t *testing.T) {
	dir := t.TempDir()
	someHistory(t, dir, 10)
	before := contents(t, dir)
	other := bytes.Repeat([]byte{1}, KeySize)
	if _, err := Open(t.Context(), dir, Options{Key: other}); chat.CodeOf(err) != chat.CodeHomeBroken {
		t.Fatal(err)
	}
	if after := contents(t, dir); !bytes.Equal(before[FileName], after[FileName]) {
		t.Fatal("the file was changed")
	}
	if _, err := Open(t.Context(), t.TempDir(), Options{}); err == nil {
		t.Fatal("a history was opened with no key")
	}
}

func TestAHomeMayHaveAnyName(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a%20b #c")
	if runtime.GOOS != "windows" {
		dir += "?d&vfs=memdb"
	}
	someHistory(t, dir, 3)
	if size(filepath.Join(dir, FileName)) <= 0 {
		t.Fatal("the history is elsewhere")
	}
	openStore(t, dir)
}

// A snapshot is the whole history of one moment, however much is stored while it
// is read.
func TestASnapshotIsOfOneMoment(t *testing.T) {
	s := openStore(t, t.TempDir())
	lobby := chat.OpenRoom("#lobby")
	ann, first := opened(lobby, "ann", noon)
	mustStore(t, s, first)
	for i := range 200 {
		mustStore(t, s, ann.say(noon+chat.HLC(i)+1, fmt.Sprint("message ", i)))
	}
	for round := range 2 {
		held := ann.seq
		snap := must(s.Snapshot(t.Context()))(t)
		var copied bytes.Buffer
		if _, err := io.CopyN(&copied, snap, 8192); err != nil {
			t.Fatal(err)
		}
		for range 1500 { // more than SQLite lets the log hold before it folds it in
			mustStore(t, s, ann.say(noon+chat.HLC(ann.seq), fmt.Sprint("message ", ann.seq)))
		}
		if _, err := io.Copy(&copied, snap); err != nil {
			t.Fatal(err)
		}
		if err := snap.Close(); err != nil {
			t.Fatal(err)
		}
		if int64(copied.Len()) != snap.Size {
			t.Fatalf("%d bytes, want %d", copied.Len(), snap.Size)
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, FileName), copied.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := checkHistory(t, dir, lobby, held); got != held {
			t.Errorf("round %d: the snapshot holds %d entries, want %d", round, got, held)
		}
	}
}

func TestCloseWaitsForASnapshot(t *testing.T) {
	dir := t.TempDir()
	someHistory(t, dir, 300)
	s := must(Open(t.Context(), dir, Options{Key: testKey}))(t)
	snap := must(s.Snapshot(t.Context()))(t)
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	b, err := io.ReadAll(snap)
	if err != nil || int64(len(b)) != snap.Size {
		t.Fatal(len(b), err)
	}
	select {
	case <-closed:
		t.Fatal("closed while a snapshot was read")
	default:
	}
	if err := snap.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	if _, err := s.Snapshot(t.Context()); chat.CodeOf(err) != chat.CodeStopping {
		t.Fatal(err)
	}
}
