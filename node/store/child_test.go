package store

import (
	"bufio"
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
var children = map[string]func(dir string) error{"append": appendForever}

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
		cmd := child(t.Context(), "append", dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			seq, err := strconv.ParseUint(lines.Text(), 10, 64)
			if err != nil {
				t.Fatalf("child: %s", lines.Text())
			}
			if seq != last+1 && n > 0 {
				t.Fatalf("acknowledged %d after %d", seq, last)
			}
			last = seq
			if n == 7+41*round { // somewhere, each time elsewhere
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("the child was not killed")
		}
		last = checkHistory(t, dir, lobby, last)
	}
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
