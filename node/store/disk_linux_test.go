package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"

	"earshot/chat"
	"earshot/node/disktest"
)

func init() {
	children["full"] = fillDisk
	children["read-only"] = readOnlyDisk
	children["stop"] = stopDisk
}

func TestAFullDiskIsSaidAndSurvived(t *testing.T) { mounting(t, "full") }

func TestAReadOnlyDiskIsSaid(t *testing.T) { mounting(t, "read-only") }

func TestADiskThatStopsIsSaidAndTriedAgain(t *testing.T) { mounting(t, "stop") }

// mounting runs a child that may mount a small disk.
func mounting(t *testing.T, what string) { disktest.Run(t, child(t.Context(), what, t.TempDir())) }

// smallDisk is the size of a disk, in bytes.
const smallDisk = 4 << 20

// readOnlyDisk opens an old and a new history on a disk that takes no writes.
func readOnlyDisk(dir string) error {
	if err := disktest.Mount(dir, smallDisk); err != nil {
		return err
	}
	old := filepath.Join(dir, "old")
	s, err := Open(context.Background(), old, Options{Key: testKey})
	if err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	if err := disktest.ReadOnly(dir); err != nil {
		return err
	}
	for _, home := range []string{old, filepath.Join(dir, "new")} {
		_, err := Open(context.Background(), home, Options{Key: testKey})
		if chat.CodeOf(err) != chat.CodeHomeBroken || !strings.Contains(err.Error(), "may not write") {
			return fmt.Errorf("opening %s: %w", home, err)
		}
	}
	// What is left of the cause where the disk has become so while the file was open.
	if err := wrap(old, sqlite3.IOERR_WRITE); chat.CodeOf(err) != chat.CodeHomeBroken || !strings.Contains(err.Error(), "may not write") {
		return fmt.Errorf("on a disk that became read-only: %w", err)
	}
	return nil
}

// stopDisk has a disk take nothing while the history is open, then nothing but of what
// is open, as one that is back after it was away, and then all again.
func stopDisk(dir string) error {
	ctx := context.Background()
	if err := disktest.Mount(dir, smallDisk); err != nil {
		return err
	}
	s, err := Open(ctx, dir, Options{Key: testKey})
	if err != nil {
		return err
	}
	ann := newWriter(chat.OpenRoom("#lobby"), "ann")
	if _, err := s.store(ann.say(noon, "message before")); err != nil {
		return err
	}
	if err := s.Works(ctx); err != nil {
		return fmt.Errorf("on a good disk: %w", err)
	}
	stopped, err := disktest.Stop(dir, FileName, FileName+"-wal")
	if err != nil {
		return err
	}
	rec := ann.say(noon+1, "message after")
	_, err = s.store(rec)
	for _, err := range []error{err, s.Works(ctx)} {
		if chat.CodeOf(err) != chat.CodeHomeBroken || !strings.Contains(err.Error(), "read-only") || Damaged(err) {
			return fmt.Errorf("on a disk that takes nothing: %w", err)
		}
	}
	if err := stopped.Return(); err != nil {
		return err
	}
	if err := s.Works(ctx); chat.CodeOf(err) != chat.CodeHomeBroken || !strings.Contains(err.Error(), "restart") {
		return fmt.Errorf("on a disk that was away: %w", err)
	}
	if err := stopped.Resume(); err != nil {
		return err
	}
	if err := s.Works(ctx); err != nil {
		return fmt.Errorf("on a disk that works again: %w", err)
	}
	if _, err := s.store(rec); err != nil {
		return err
	}
	return s.Close()
}

// fillDisk appends until a disk of 4 MB is full, makes room, and goes on.
func fillDisk(dir string) error {
	if err := disktest.Mount(dir, smallDisk); err != nil {
		return err
	}
	ballast := filepath.Join(dir, "ballast")
	if err := disktest.Fill(ballast); err != nil {
		return err
	}
	home := filepath.Join(dir, "home")
	if _, err := Open(context.Background(), home, Options{Key: testKey}); chat.CodeOf(err) != chat.CodeDiskFull {
		return fmt.Errorf("opening on a full disk: %w", err)
	}
	if err := os.Truncate(ballast, 2<<20); err != nil {
		return err
	}
	s, err := Open(context.Background(), home, Options{Key: testKey})
	if err != nil {
		return fmt.Errorf("opening after space returned: %w", err)
	}
	lobby := chat.OpenRoom("#lobby")
	ann := newWriter(lobby, "ann")
	text := make([]byte, 1000)
	for i := range text {
		text[i] = "abcdefghij "[i*7%11]
	}
	// In batches, so that operations behind the first one to fail are under way.
	var stored uint64
	var failed []Record
	for failed == nil {
		if ann.seq > 10_000 {
			return errors.New("a disk of 4 MB took 10 MB")
		}
		answers := make(chan error, 20)
		recs := make([]Record, 0, cap(answers)) // never moved: the store writes to them until it answers
		for range cap(answers) {
			recs = append(recs, ann.say(noon+chat.HLC(ann.seq), string(text)))
			// What is remembered says how far the log goes.
			b := Batch{Records: recs[len(recs)-1:], State: []StateChange{{"seal/last", fmt.Append(nil, ann.seq)}}}
			s.Commit(b, func(_ []chat.Cursor, err error) { answers <- err })
		}
		for i := range recs {
			err := <-answers
			if err == nil && failed == nil {
				stored++
				continue
			}
			if chat.CodeOf(err) != chat.CodeDiskFull {
				return fmt.Errorf("entry %d on a full disk: %w", recs[i].Entry.Seq, err)
			}
			failed = append(failed, recs[i])
		}
	}
	if state, err := s.State(context.Background(), ""); err != nil || string(state["seal/last"]) != fmt.Sprint(stored) {
		return fmt.Errorf("on a full disk the state is of entry %s, %w, and the log ends at %d", state["seal/last"], err, stored)
	}
	// It finds everything, or says why it can't.
	if hits, err := s.Search(context.Background(), "gcjfbieahd", nil, maxPage); chat.CodeOf(err) != chat.CodeDiskFull &&
		(err != nil || uint64(len(hits)) != min(stored-1, maxPage)) {
		return fmt.Errorf("searching on a full disk: %d hits of %d messages, %w", len(hits), stored-1, err)
	}
	if page, err := s.Messages(context.Background(), lobby, MessageQuery{}); err != nil || len(page) != defaultPage {
		return fmt.Errorf("reading on a full disk: %d messages, %w", len(page), err)
	}
	if err := os.Truncate(ballast, 0); err != nil {
		return err
	}
	if _, err := s.store(failed...); err != nil {
		return fmt.Errorf("after space returned: %w", err)
	}
	stored += uint64(len(failed))
	if err := s.Close(); err != nil {
		return err
	}
	if s, err = Open(context.Background(), home, Options{Key: testKey}); err != nil {
		return err
	}
	logs, err := s.Logs(context.Background())
	if err != nil || len(logs) != 1 || logs[0].LastSeq != stored || stored != ann.seq {
		return fmt.Errorf("logs = %+v, %w, want %d entries stored of %d", logs, err, stored, ann.seq)
	}
	return s.Close()
}
