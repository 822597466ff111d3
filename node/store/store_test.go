package store

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"earshot/chat"
	"earshot/chat/wire"
)

func TestMain(m *testing.M) {
	runChild() // does not return in a child process
	goleak.VerifyTestMain(m)
}

func TestWhatIsStoredIsThereAfterReopening(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	lobby, first := putRoom(t, s, "#lobby", true)
	if first != 1 {
		t.Fatalf("first cursor = %d, want 1", first)
	}
	ann, open := opened(lobby, "ann", noon)
	putDevice(t, s, DeviceRow{Device: ann.device, Person: ann.person, Cert: []byte("cert"), Name: "Ann", LastSeen: noon.Time()})
	hello, late := ann.say(noon+5, "hello"), ann.say(noon+9, "from the future")
	hello.ClientID, late.Sort = "click-1", noon+7
	late.Mine = true
	if got := mustStore(t, s, open, hello, late); !slices.Equal(got, []chat.Cursor{0, 2, 3}) {
		t.Fatalf("cursors = %v", got)
	}

	check := func(s *Store) {
		t.Helper()
		ctx := t.Context()
		page := must(s.Messages(ctx, lobby, MessageQuery{}))(t)
		want := []chat.Message{{
			ID: hello.Entry.ID, Room: "#lobby", RoomID: lobby,
			From: chat.Author{Person: ann.person, Name: "Ann", Device: ann.device},
			Text: "hello", SentAt: (noon + 5).Time(), ReceivedAt: (noon + 5).Time(),
		}, {
			ID: late.Entry.ID, Room: "#lobby", RoomID: lobby,
			From: chat.Author{Person: ann.person, Name: "Ann", Device: ann.device},
			Text: "from the future", SentAt: (noon + 9).Time(), ReceivedAt: (noon + 9).Time(), Mine: true, ClockAhead: true,
		}}
		if !reflect.DeepEqual(page, want) {
			t.Fatalf("messages =\n%+v, want\n%+v", page, want)
		}
		if m, found, err := s.ByClientID(ctx, "click-1"); err != nil || !found || m.ID != hello.Entry.ID {
			t.Fatalf("ByClientID = %v, %v, %v", m, found, err)
		}
		if _, found, err := s.ByClientID(ctx, "click-2"); err != nil || found {
			t.Fatalf("ByClientID of an unknown id: %v, %v", found, err)
		}
		logs := must(s.Logs(ctx))(t)
		if want := []LogRow{{lobby, ann.log, ann.device, ann.person, 3, late.Entry.ID, noon + 9, nil}}; !reflect.DeepEqual(logs, want) {
			t.Fatalf("logs = %+v, want %+v", logs, want)
		}
		devices := must(s.Devices(ctx))(t)
		if want := []DeviceRow{{ann.device, ann.person, []byte("cert"), "Ann", noon.Time()}}; !reflect.DeepEqual(devices, want) {
			t.Fatalf("devices = %+v, want %+v", devices, want)
		}
		rooms := must(s.Rooms(ctx))(t)
		if want := []RoomRow{{Room: lobby, Name: "#lobby", Kind: chat.RoomOpen, Joined: true, Unread: 1, LastAt: (noon + 9).Time()}}; !reflect.DeepEqual(rooms, want) {
			t.Fatalf("rooms = %+v, want %+v", rooms, want)
		}
		entries, _, err := s.Missing(ctx, lobby, nil, Position{}, 100, 1<<20)
		if want := []wire.Entry{open.Entry, hello.Entry, late.Entry}; err != nil || !reflect.DeepEqual(entries, want) {
			t.Fatalf("missing = %+v, %v, want %+v", entries, err, want)
		}
		for _, e := range entries {
			if err := e.Verify(); err != nil {
				t.Fatal(err)
			}
		}
		if last := must(s.LastCursor(ctx))(t); last != 3 {
			t.Fatalf("last cursor = %d, want 3", last)
		}
	}
	check(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir)
	check(s)
	// What the writer remembers is read again: the log goes on where it ended.
	if got := mustStore(t, s, ann.say(noon+20, "again")); !slices.Equal(got, []chat.Cursor{4}) {
		t.Fatalf("cursors = %v, want 4", got)
	}
}

func TestAppendSkipsWhatItHolds(t *testing.T) {
	s := openStore(t, t.TempDir())
	lobby, _ := putRoom(t, s, "#lobby", true)
	ann, open := opened(lobby, "ann", noon)
	one, two := ann.say(noon+1, "one"), ann.say(noon+2, "two")
	mustStore(t, s, open, one)
	if got := mustStore(t, s, open, one, two, two); !slices.Equal(got, []chat.Cursor{0, 0, 3, 0}) {
		t.Fatalf("cursors = %v, want only the new message's", got)
	}
	wantTexts(t, must(s.Messages(t.Context(), lobby, MessageQuery{}))(t), "one", "two")
}

func TestAppendIsAllOrNothing(t *testing.T) {
	s := openStore(t, t.TempDir())
	lobby, _ := putRoom(t, s, "#lobby", true)
	ann, open := opened(lobby, "ann", noon)
	one := ann.say(noon+1, "one")
	ann.say(noon+2, "lost")
	three, four := ann.say(noon+3, "three"), one
	if _, err := s.store(open, one, three); chat.CodeOf(err) != chat.CodeInternal {
		t.Fatalf("a hole in a log: %v", err)
	}
	if page := must(s.Messages(t.Context(), lobby, MessageQuery{}))(t); len(page) != 0 {
		t.Fatalf("half an append is stored: %q", texts(page))
	}
	four.Entry.HLC = noon - 1 // a clock that runs backwards would break Missing
	if _, err := s.store(open, four); chat.CodeOf(err) != chat.CodeInternal {
		t.Fatalf("a clock that runs backwards: %v", err)
	}
	one.ClientID = "click"
	mustStore(t, s, open, one)
	bob, bobOpen := opened(lobby, "bob", noon)
	twice := bob.say(noon+1, "twice")
	twice.ClientID = "click"
	if _, err := s.store(bobOpen, twice); chat.CodeOf(err) != chat.CodeUsage {
		t.Fatalf("one client id for two messages: %v", err)
	}
	if logs := must(s.Logs(t.Context()))(t); len(logs) != 1 {
		t.Fatalf("logs = %+v, want Ann's", logs)
	}
}

// One operation that fails among others in one transaction takes none with it,
// and callbacks come in the order of the calls.
func TestAFailureIsNotItsNeighbours(t *testing.T) {
	gate := make(chan struct{})
	s, err := Open(t.Context(), t.TempDir(), Options{Key: testKey, hold: func() { <-gate }})
	if err != nil {
		t.Fatal(err)
	}
	lobby := chat.OpenRoom("#lobby")
	ann, open := opened(lobby, "ann", noon)
	bob := newWriter(lobby, "bob")
	bob.say(noon, "")
	calls := [][]Record{{open}, {ann.say(noon+1, "one")}, {bob.say(noon, "no opening")}, {ann.say(noon+2, "two")}}
	type answer struct {
		call    int
		cursors []chat.Cursor
		failed  bool
	}
	answers := make(chan answer, len(calls))
	s.PutRoom(RoomChange{Room: lobby, Name: "#lobby", Kind: chat.RoomOpen, Joined: true, At: noon.Time()}, nil) // holds the writer at the gate
	for i, recs := range calls {
		s.Append(recs, func(cursors []chat.Cursor, err error) { answers <- answer{i, cursors, err != nil} })
	}
	if got := s.Backlog(); got != 5 {
		t.Fatalf("backlog = %d, want 5", got)
	}
	close(gate)
	for i, want := range []answer{{0, []chat.Cursor{0}, false}, {1, []chat.Cursor{2}, false}, {2, nil, true}, {3, []chat.Cursor{3}, false}} {
		if got := <-answers; !reflect.DeepEqual(got, want) {
			t.Errorf("answer %d = %+v, want %+v", i, got, want)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := s.Backlog(); got != 0 {
		t.Fatalf("backlog after Close = %d", got)
	}
}

func TestCloseStoresWhatWasAskedFor(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	lobby, _ := putRoom(t, s, "#lobby", true)
	ann, open := opened(lobby, "ann", noon)
	s.Append([]Record{open}, nil)
	const n = 2000
	stored := 0
	for i := range n {
		s.Append([]Record{ann.say(noon+1+chat.HLC(i), fmt.Sprint(i))}, func(_ []chat.Cursor, err error) {
			if err == nil {
				stored++
			}
		})
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if stored != n {
		t.Fatalf("stored %d of %d before Close returned", stored, n)
	}
	if _, err := s.store(ann.say(noon+n+9, "late")); chat.CodeOf(err) != chat.CodeStopping {
		t.Fatalf("append after Close: %v", err)
	}
	if _, err := s.Rooms(t.Context()); chat.CodeOf(err) != chat.CodeStopping {
		t.Fatalf("read after Close: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatalf("second Close: %v", err)
	}
	if logs := must(openStore(t, dir).Logs(t.Context()))(t); logs[0].LastSeq != n+1 {
		t.Fatalf("the log ends at %d, want %d", logs[0].LastSeq, n+1)
	}
}

func TestMessagesPageBothWays(t *testing.T) {
	s := openStore(t, t.TempDir())
	ctx := t.Context()
	lobby, _ := putRoom(t, s, "#lobby", true)
	side, _ := putRoom(t, s, "#side", true)
	ann, open := opened(lobby, "ann", noon)
	recs := []Record{open}
	for i := range 10 {
		recs = append(recs, ann.say(noon+chat.HLC(10*i)+10, fmt.Sprint(i)))
	}
	mustStore(t, s, recs...)
	// Bob's come later and stand between.
	bob, bobOpen := opened(lobby, "bob", noon)
	mustStore(t, s, bobOpen, bob.say(noon+35, "bob"))
	id := func(i int) chat.EntryID { return recs[i+1].Entry.ID }
	for name, c := range map[string]struct {
		q    MessageQuery
		want []string
	}{
		"newest":        {MessageQuery{Limit: 3}, []string{"7", "8", "9"}},
		"before":        {MessageQuery{Before: id(4), Limit: 3}, []string{"2", "bob", "3"}},
		"before first":  {MessageQuery{Before: id(0)}, nil},
		"after":         {MessageQuery{After: id(1), Limit: 3}, []string{"2", "bob", "3"}},
		"after last":    {MessageQuery{After: id(9)}, nil},
		"between":       {MessageQuery{After: id(1), Before: id(4)}, []string{"2", "bob", "3"}},
		"default limit": {MessageQuery{Limit: -1}, []string{"0", "1", "2", "bob", "3", "4", "5", "6", "7", "8", "9"}},
	} {
		if got := texts(must(s.Messages(ctx, lobby, c.q))(t)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if _, err := s.Messages(ctx, side, MessageQuery{Before: id(1)}); chat.CodeOf(err) != chat.CodeNotFound {
		t.Errorf("a page before another room's message: %v", err)
	}
	if page, err := s.Messages(ctx, chat.OpenRoom("#nowhere"), MessageQuery{}); err != nil || page != nil {
		t.Errorf("an unknown room: %v, %v", page, err)
	}
}

// Two messages of one microsecond stand in the order of their log ids, whoever
// was stored first.
func TestTiesGoByLogID(t *testing.T) {
	lobby := chat.OpenRoom("#lobby")
	var orders [2][]string
	for i := range orders {
		s := openStore(t, t.TempDir())
		names := []string{"ann", "bob", "cay", "dan"}
		if i == 1 {
			slices.Reverse(names)
		}
		for _, name := range names {
			w, open := opened(lobby, name, noon)
			mustStore(t, s, open, w.say(noon+1, name))
		}
		orders[i] = texts(must(s.Messages(t.Context(), lobby, MessageQuery{}))(t))
	}
	if !slices.Equal(orders[0], orders[1]) {
		t.Fatalf("%q and %q", orders[0], orders[1])
	}
}

func TestNamesAreTodays(t *testing.T) {
	s := openStore(t, t.TempDir())
	lobby, _ := putRoom(t, s, "#lobby", true)
	ann, open := opened(lobby, "ann", noon)
	mustStore(t, s, open, ann.say(noon+1, "hi"))
	name := func() string { return must(s.Messages(t.Context(), lobby, MessageQuery{}))(t)[0].From.Name }
	if got := name(); got != "" {
		t.Fatalf("name before any certificate = %q", got)
	}
	putDevice(t, s, DeviceRow{Device: ann.device, Person: ann.person, Name: "Ann", Cert: []byte("c"), LastSeen: noon.Time()})
	putDevice(t, s, DeviceRow{Device: ann.device, Person: ann.person, Name: "Ann B."})
	if got := name(); got != "Ann B." {
		t.Fatalf("name = %q, want today's", got)
	}
	seen := make(chan error, 1)
	s.TouchDevices(map[chat.DeviceID]time.Time{ann.device: (noon - 9).Time(), {1}: noon.Time()}, func(err error) { seen <- err })
	if err := <-seen; err != nil {
		t.Fatal(err)
	}
	d := must(s.Devices(t.Context()))(t)
	if len(d) != 1 || string(d[0].Cert) != "c" || !d[0].LastSeen.Equal(noon.Time()) {
		t.Fatalf("devices = %+v: a later row without certificate or time must not remove them", d)
	}
	s.TouchDevices(map[chat.DeviceID]time.Time{ann.device: (noon + 9).Time()}, func(err error) { seen <- err })
	<-seen
	if d := must(s.Devices(t.Context()))(t); !d[0].LastSeen.Equal((noon + 9).Time()) {
		t.Fatalf("last seen = %v", d[0].LastSeen)
	}
}

func TestUnreadFollowsTheReadMark(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	lobby, _ := putRoom(t, s, "#lobby", true)
	ann, open := opened(lobby, "ann", noon)
	recs := []Record{open}
	for i := range 6 {
		recs = append(recs, ann.say(noon+10*chat.HLC(i+1), fmt.Sprint(i)))
	}
	recs[2].Mine = true
	mustStore(t, s, recs...)
	mark := func(i int) ReadMark {
		t.Helper()
		done, get := wait[ReadMark]()
		s.MarkRead(lobby, recs[i].Entry.ID, done)
		return get(t)
	}
	check := func(got ReadMark, unread, at int) {
		t.Helper()
		if got.Unread != unread || got.ReadUpTo == nil || *got.ReadUpTo != recs[at].Entry.ID {
			t.Fatalf("mark = %+v, want %d unread at %v", got, unread, recs[at].Entry.ID)
		}
		r := must(s.Rooms(t.Context()))(t)[0]
		if r.Unread != unread || *r.ReadUpTo != *got.ReadUpTo {
			t.Fatalf("room = %+v, want %d unread", r, unread)
		}
	}
	check(mark(3), 3, 3)
	check(mark(1), 3, 3) // never backwards
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir)
	bob, bobOpen := opened(lobby, "bob", noon)
	// It counts where nobody can have read it: behind the mark, and before it if it
	// came late, until something there or later is read.
	mustStore(t, s, bobOpen, bob.say(noon+15, "earlier"), bob.say(noon+35, "later"))
	check(mark(1), 5, 3)
	check(mark(2), 4, 3)
	check(mark(2), 4, 3)
	check(mark(6), 0, 6)
	for _, m := range must(s.Messages(t.Context(), lobby, MessageQuery{}))(t) {
		if m.Late != (m.Text == "earlier") {
			t.Errorf("%q: late %v", m.Text, m.Late)
		}
	}
	failed := make(chan error, 1)
	s.MarkRead(lobby, open.Entry.ID, func(_ ReadMark, err error) { failed <- err })
	if err := <-failed; chat.CodeOf(err) != chat.CodeNotFound {
		t.Fatalf("marking what is no message: %v", err)
	}
}

func TestFactsAreNumberedTogether(t *testing.T) {
	s := openStore(t, t.TempDir())
	ctx := t.Context()
	lobby, _ := putRoom(t, s, "#lobby", true)
	ann, open := opened(lobby, "ann", noon)
	mustStore(t, s, open, ann.say(noon+1, "a"), ann.say(noon+2, "b"))
	if _, again := putRoom(t, s, "#lobby", true); again != 0 {
		t.Fatalf("joining twice made fact %d", again)
	}
	putRoom(t, s, "#lobby", false)
	mustStore(t, s, ann.say(noon+3, "c"))
	putRoom(t, s, "#side", true)
	describe := func(events []chat.Event) (out []string) {
		for _, e := range events {
			switch e := e.(type) {
			case chat.MessageEvent:
				out = append(out, fmt.Sprint(e.Cursor, e.Text))
			case chat.RoomEvent:
				out = append(out, fmt.Sprint(e.Cursor, e.Room, e.Joined))
			}
		}
		return out
	}
	all := []string{"1#lobbytrue", "2a", "3b", "4#lobbyfalse", "5c", "6#sidetrue"}
	if got := describe(must(s.Facts(ctx, 0, 0))(t)); !slices.Equal(got, all) {
		t.Fatalf("facts = %q, want %q", got, all)
	}
	for after := range len(all) {
		for limit := 1; limit <= len(all); limit++ {
			want := all[after:min(after+limit, len(all))]
			if got := describe(must(s.Facts(ctx, chat.Cursor(after), limit))(t)); !slices.Equal(got, want) {
				t.Fatalf("facts after %d, %d at most = %q, want %q", after, limit, got, want)
			}
		}
	}
	if got := must(s.Facts(ctx, 6, 10))(t); len(got) != 0 {
		t.Fatalf("facts behind the last = %v", got)
	}
}

func TestReadsEndWithTheirContext(t *testing.T) {
	s := openStore(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 * readers { // none may get lost from the pool
		if _, err := s.Rooms(ctx); err != context.Canceled {
			t.Fatalf("err = %v, want context.Canceled", err)
		}
		if _, err := s.Facts(ctx, 0, 1); err != context.Canceled {
			t.Fatalf("err = %v, want context.Canceled", err)
		}
	}
	for range 2 * readers {
		if _, err := s.Facts(t.Context(), 0, 1); err != nil {
			t.Fatal(err)
		}
	}
}
