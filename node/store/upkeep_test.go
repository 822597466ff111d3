package store

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"earshot/chat"
)

// pending returns what waits for upkeep: messages that are not in the index, and
// bytes in the write-ahead log.
func pending(t *testing.T, s *Store, dir string) (unindexed bool, logged int64) {
	t.Helper()
	if err := s.read(t.Context(), func(c *conn) (err error) {
		unindexed, err = c.hasUnindexed()
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return unindexed, size(filepath.Join(dir, FileName) + "-wal")
}

func TestWhatCanWaitIsDoneInAQuietMoment(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := must(Open(t.Context(), dir, Options{Key: testKey}))(t)
		lobby := chat.OpenRoom("#lobby")
		ann, open := opened(lobby, "ann", noon)
		mustStore(t, s, open, ann.say(noon+1, "hello"))
		time.Sleep(upkeepAfter - time.Millisecond)
		if unindexed, logged := pending(t, s, dir); !unindexed || logged == 0 {
			t.Errorf("done at once: %v, %d bytes", unindexed, logged)
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if unindexed, logged := pending(t, s, dir); unindexed || logged != 0 {
			t.Errorf("not done after %v: %v, %d bytes", upkeepAfter, unindexed, logged)
		}
		// However many messages come, it is done some time.
		begin, step := time.Now(), upkeepQuiet/2
		for n := chat.HLC(2); ; n++ {
			mustStore(t, s, ann.say(noon+n, "and on"))
			time.Sleep(step)
			synctest.Wait()
			if unindexed, logged := pending(t, s, dir); !unindexed && logged == 0 {
				break
			}
			if time.Since(begin) > upkeepLast+time.Second {
				t.Fatal("never done while messages come")
			}
		}
		if took := time.Since(begin); took < upkeepAfter {
			t.Errorf("done after %v, while messages came", took)
		}
		// Nothing to do is no reason to wake up.
		synctest.Wait()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// A snapshot needs the file as it is.
func TestUpkeepLeavesASnapshotAlone(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := must(Open(t.Context(), dir, Options{Key: testKey}))(t)
		snap := must(s.Snapshot(t.Context()))(t)
		ann, open := opened(den, "ann", noon)
		mustStore(t, s, open, ann.say(noon+1, "hello"))
		time.Sleep(2 * upkeepLast)
		synctest.Wait()
		if unindexed, logged := pending(t, s, dir); unindexed || logged == 0 {
			t.Errorf("during a snapshot: %v, %d bytes", unindexed, logged)
		}
		if err := snap.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * upkeepAfter)
		synctest.Wait()
		if _, logged := pending(t, s, dir); logged != 0 {
			t.Errorf("after the snapshot: %d bytes", logged)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// A crash leaves words that are not in the index, and a write-ahead log that may
// hold what was removed: both are seen to after the next start.
func TestUpkeepIsDoneAfterACrash(t *testing.T) {
	dir := t.TempDir()
	if err := child(t.Context(), "unindexed", dir).Run(); err == nil {
		t.Fatal("the child did not die")
	}
	synctest.Test(t, func(t *testing.T) {
		s := must(Open(t.Context(), dir, Options{Key: testKey}))(t)
		if unindexed, logged := pending(t, s, dir); !unindexed || logged == 0 {
			t.Fatalf("the child left nothing to do: %v, %d bytes", unindexed, logged)
		}
		time.Sleep(upkeepAfter + time.Millisecond)
		synctest.Wait()
		if unindexed, logged := pending(t, s, dir); unindexed || logged != 0 {
			t.Errorf("not done: %v, %d bytes", unindexed, logged)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func init() { children["unindexed"] = leaveUnindexed }

func leaveUnindexed(dir string) error {
	s, err := Open(context.Background(), dir, Options{Key: testKey})
	if err != nil {
		return err
	}
	ann, open := opened(den, "ann", noon)
	if _, err := s.store(open, ann.say(noon+1, "hello")); err != nil {
		return err
	}
	return die()
}

// Many messages do not wait in memory, or in a log that grows: but what was stored
// without a pause is indexed in between, and the log is folded in.
func TestMuchIsNotLeftToUpkeep(t *testing.T) {
	dir := t.TempDir()
	// In a bubble no time passes while it writes, so that nothing becomes due.
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t, dir)
		lobby, _ := putRoom(t, s, "#lobby", true)
		ann, open := opened(lobby, "ann", noon)
		mustStore(t, s, open)
		for i := range 2 * maxUnindexed {
			mustStore(t, s, ann.say(noon+chat.HLC(i)+1, fmt.Sprint("message ", i)))
		}
		if err := s.bare(t.Context(), func(*writer) error { return nil }); err != nil { // behind the upkeep
			t.Fatal(err)
		}
		if waits := s.w.upkeep.unindexed.Load(); waits >= maxUnindexed {
			t.Errorf("%d messages are not in the index", waits)
		}
		recs := make([]Record, 0, maxBatch)
		for logged := int64(0); ; {
			recs = recs[:0]
			for range maxBatch {
				recs = append(recs, ann.say(noon+1_000_000+chat.HLC(ann.seq), fmt.Sprint("message ", ann.seq)))
			}
			mustStore(t, s, recs...)
			_, now := pending(t, s, dir)
			if now == logged { // it is written from its beginning again
				break
			}
			if logged = now; logged > 3*maxLogPages*4096 {
				t.Fatalf("the log has grown to %d MB", logged>>20)
			}
		}
	})
}
