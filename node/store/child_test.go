package store

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"

	"earshot/chat"
)

// childVariable makes the test binary another process that uses a store: its
// value is what to do, a colon, and the directory.
const childVariable = "STORE_TEST_CHILD"

// children are what it can do; build-tagged files add to it.
var children = map[string]func(dir string) error{"append": appendForever, "batches": batchesForever}

func runChild() {
	what, dir, ok := strings.Cut(os.Getenv(childVariable), ":")
	if !ok {
		return
	}
	if err := children[what](dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func child(ctx context.Context, what, dir string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+what+":"+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

// appendForever goes on with Ann's log where the store has it, and prints the
// sequence number of every entry that was acknowledged.
func appendForever(dir string) error {
	s, err := Open(context.Background(), dir, Options{Key: testKey})
	if err != nil {
		return err
	}
	logs, err := s.Logs(context.Background())
	if err != nil {
		return err
	}
	ann, hlc := newWriter(chat.OpenRoom("#lobby"), "ann"), noon
	if len(logs) > 0 {
		ann.seq, ann.prev, hlc = logs[0].LastSeq, logs[0].LastID, logs[0].LastHLC
	}
	room := make(chan struct{}, 200)
	for {
		room <- struct{}{}
		hlc++
		rec := ann.say(hlc, fmt.Sprint("message ", ann.seq))
		s.Append([]Record{rec}, func(_ []chat.Cursor, err error) {
			if err != nil {
				fmt.Println("failed:", err)
			} else {
				fmt.Println(rec.Entry.Seq)
			}
			<-room
		})
	}
}

// However often the process is killed while it stores: what it was told is stored
// is there, whole, and the log goes on.
func TestKillLosesNothingAcknowledged(t *testing.T) {
	dir := t.TempDir()
	lobby := chat.OpenRoom("#lobby")
	last := uint64(0)
	for round := range 10 {
		// Somewhere, each time elsewhere.
		last = uint64(killed(t, child(t.Context(), "append", dir), 7+41*round, int(last)))
		last = checkHistory(t, dir, lobby, last)
	}
}

// batchesForever stores batches that each change everything there is, and prints
// the number of every one that was acknowledged.
func batchesForever(dir string) error {
	s, err := Open(context.Background(), dir, Options{Key: testKey})
	if err != nil {
		return err
	}
	n, entries, err := s.lastBatch(context.Background())
	if err != nil {
		return err
	}
	ann := newWriter(den, "ann")
	b := Batch{}
	if len(entries) == 0 {
		b.Records = []Record{ann.say(noon, "")}
	} else {
		ann.seq, ann.prev = entries[0].Entry.Seq, entries[0].Entry.ID
		b.Openings = []Opening{{ID: ann.prev, Room: den, Text: fmt.Sprint("message ", n)}}
	}
	room := make(chan struct{}, 50)
	for {
		room <- struct{}{}
		n++
		rec := ann.seal(noon+chat.HLC(n), 1)
		b.Records = append(b.Records, rec)
		b.Rooms = []RoomChange{{Room: den, Name: "#den", Kind: chat.RoomPrivate, Topic: fmt.Sprint(n), Joined: true, At: noon.Time()}}
		b.State = []StateChange{
			{"last", fmt.Append(nil, n)},
			{fmt.Sprint("key/", n), bytes.Repeat([]byte{1}, n%5000)},
			{fmt.Sprint("key/", n-1), nil},
		}
		acknowledge := n
		s.Commit(b, func(_ []chat.Cursor, err error) {
			if err != nil {
				fmt.Println("failed:", err)
			} else {
				fmt.Println(acknowledge)
			}
			<-room
		})
		b = Batch{Openings: []Opening{{ID: rec.Entry.ID, Room: den, Text: fmt.Sprint("message ", n)}}}
	}
}

// lastBatch returns the number of the last batch that is stored, and what is
// unopened.
func (s *Store) lastBatch(ctx context.Context) (n int, unopened []StoredEntry, err error) {
	state, err := s.State(ctx, "last")
	if err != nil || len(state) == 0 {
		return 0, nil, err
	}
	if n, err = strconv.Atoi(string(state["last"])); err != nil {
		return 0, nil, err
	}
	unopened, _, err = s.UnopenedEntries(ctx, UnopenedQuery{Room: den})
	return n, unopened, err
}

// However often the process is killed: no batch is stored by half.
func TestKillLeavesNoHalfBatch(t *testing.T) {
	dir := t.TempDir()
	last := 0
	for round := range 6 {
		last = killed(t, child(t.Context(), "batches", dir), 5+31*round, last)
		s := openStore(t, dir)
		n, unopened, err := s.lastBatch(t.Context())
		if err != nil || n < last || len(unopened) != 1 || unopened[0].Entry.Seq != uint64(n)+1 {
			t.Fatalf("round %d: batch %d is acknowledged, %d stored, %d entries are unopened, %v", round, last, n, len(unopened), err)
		}
		last = n
		logs, rooms := must(s.Logs(t.Context()))(t), must(s.Rooms(t.Context()))(t)
		if r := rooms[0]; logs[0].LastSeq != uint64(n)+1 || r.Topic != fmt.Sprint(n) || r.Unreadable != 1 || r.Unread != n-1 {
			t.Fatalf("round %d: after batch %d the log ends at %d and the room is %+v", round, n, logs[0].LastSeq, r)
		}
		if keys := must(s.State(t.Context(), "key/"))(t); len(keys) != 1 || len(keys[fmt.Sprint("key/", n)]) != n%5000 {
			t.Fatalf("round %d: after batch %d there are %d keys", round, n, len(keys))
		}
		if page := must(s.Messages(t.Context(), den, MessageQuery{Limit: 1}))(t); len(page) != 1 || page[0].Text != fmt.Sprint("message ", n-1) {
			t.Fatalf("round %d: after batch %d the newest message is %q", round, n, texts(page))
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// killed runs a child that prints rising numbers, and kills it after so many lines.
// It returns the last number printed; the first may be any above last.
func killed(t *testing.T, cmd *exec.Cmd, after, last int) int {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		got, err := strconv.Atoi(lines.Text())
		if err != nil {
			t.Fatalf("child: %s", lines.Text())
		}
		if got != last+1 && n > 0 || got <= last {
			t.Fatalf("acknowledged %d after %d", got, last)
		}
		last = got
		if n == after {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the child was not killed")
	}
	return last
}

// checkHistory opens a history of one log and checks that entries, messages, index
// and counters agree and reach acknowledged at least. It returns how far they do.
func checkHistory(t *testing.T, dir string, lobby chat.RoomID, acknowledged uint64) uint64 {
	t.Helper()
	s, err := Open(t.Context(), dir, Options{Key: testKey})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	logs := must(s.Logs(t.Context()))(t)
	if len(logs) != 1 || logs[0].LastSeq < acknowledged {
		t.Fatalf("logs = %+v, want one up to %d", logs, acknowledged)
	}
	seq := uint64(0)
	for at := (Position{}); ; {
		entries, next, err := s.Missing(t.Context(), lobby, nil, at, 1000, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) == 0 {
			break
		}
		for _, e := range entries {
			if seq++; e.Seq != seq {
				t.Fatalf("entry %d stands where %d should", e.Seq, seq)
			}
		}
		at = next
	}
	facts, last := uint64(0), chat.Cursor(0)
	for {
		page := must(s.Facts(t.Context(), last, maxPage))(t)
		if len(page) == 0 {
			break
		}
		facts += uint64(len(page))
		last, _ = chat.Fact(page[len(page)-1])
	}
	if err := s.indexAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	var unread, indexed int
	if err := s.read(t.Context(), func(c *conn) error {
		return c.query(func(stmt *sqlite3.Stmt) error {
			unread, indexed = stmt.ColumnInt(0), stmt.ColumnInt(1)
			return nil
		}, `SELECT unread, (SELECT count(*) FROM message_text WHERE message_text MATCH 'text : "message"') FROM room`)
	}); err != nil {
		t.Fatal(err)
	}
	if logs[0].LastSeq != seq || facts != seq-1 || unread != int(seq)-1 || indexed != int(seq)-1 {
		t.Fatalf("the log ends at %d, with %d entries, %d messages, %d unread, %d in the index", logs[0].LastSeq, seq, facts, unread, indexed)
	}
	return seq
}
