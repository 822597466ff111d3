package store

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/ncruces/go-sqlite3"

	"earshot/chat"
)

func init() { children["block log"] = blockLogHistory }

// blockMessages is how many messages blockLogHistory writes.
const blockMessages = 300

// blockLogHistory writes a history as versions did that encrypted the log in blocks,
// and dies with a part of it in the log.
func blockLogHistory(dir string) error {
	ctx := context.Background()
	c, err := openVFS(ctx, filepath.Join(dir, FileName), blockVFS, testKey, sqlite3.OPEN_READWRITE|sqlite3.OPEN_CREATE)
	if err != nil {
		return err
	}
	if err := c.setUp(); err != nil {
		return err
	}
	s, err := start(dir, Options{Key: testKey}, c)
	if err != nil {
		return err
	}
	ann, open := opened(chat.OpenRoom("#lobby"), "ann", noon)
	recs := []Record{open}
	for i := range blockMessages {
		recs = append(recs, ann.say(noon+chat.HLC(i)+1, fmt.Sprint("message ", i)))
	}
	if _, err := s.store(recs...); err != nil {
		return err
	}
	return die()
}

// What an earlier version was killed with in its log is there in the next start, and
// in the one after a start that was killed, too.
func TestTheLogOfAnEarlierVersionIsNotLost(t *testing.T) {
	for step := range 2 {
		dir := t.TempDir()
		if err := child(t.Context(), "block log", dir).Run(); err == nil {
			t.Fatal("the child did not die")
		}
		path := filepath.Join(dir, FileName)
		if is, err := isBlockLog(path, testKey); err != nil || !is {
			t.Fatalf("there is no such log to lose (%v)", err)
		}
		cmd := child(t.Context(), "encrypt", dir)
		cmd.Env = append(cmd.Env, stepVariable+"="+strconv.Itoa(step))
		if died := cmd.Run() != nil; died != (step == 0) {
			t.Errorf("step %d: died: %v", step, died)
		}
		if got := checkHistory(t, dir, chat.OpenRoom("#lobby"), blockMessages+1); got != blockMessages+1 {
			t.Errorf("step %d: %d entries, want %d", step, got, blockMessages+1)
		}
	}
}

// What a killed process left in its log stays there when the history is refused.
func TestARefusedHistoryKeepsItsLog(t *testing.T) {
	for name, kind := range map[string]string{"new": "append", "of an earlier version": "block log"} {
		t.Run("a log "+name, func(t *testing.T) {
			dir := t.TempDir()
			if kind == "append" {
				killed(t, child(t.Context(), kind, dir), 50, 0)
			} else if err := child(t.Context(), kind, dir).Run(); err == nil {
				t.Fatal("the child did not die")
			}
			before := contents(t, dir)
			if len(before[FileName+"-wal"]) == 0 {
				t.Fatal("there is no log to lose")
			}
			other := bytes.Repeat([]byte{1}, KeySize)
			if _, err := Open(t.Context(), dir, Options{Key: other}); chat.CodeOf(err) != chat.CodeHomeBroken {
				t.Fatal(err)
			}
			for file, b := range contents(t, dir) {
				if !bytes.Equal(b, before[file]) {
					t.Errorf("%s was changed", file)
				}
				delete(before, file)
			}
			if len(before) > 0 {
				t.Errorf("%d files were removed: %v", len(before), slices.Sorted(maps.Keys(before)))
			}
			checkHistory(t, dir, chat.OpenRoom("#lobby"), 50)
		})
	}
}
