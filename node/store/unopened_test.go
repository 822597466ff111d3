package store

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"

	"earshot/chat"
)

// sealedRoom stores Ann's log of n sealed messages, of which each ten are an epoch.
func sealedRoom(t testing.TB, s *Store, n int) (ann *writerOf, recs []Record) {
	t.Helper()
	ann, open := opened(den, "ann", noon)
	mustCommit(t, s, Batch{Records: []Record{open}, Rooms: []RoomChange{denChange(true)}})
	for i := range n {
		recs = append(recs, ann.seal(noon+10*chat.HLC(i+1), 1+uint64(i/10)))
	}
	mustStore(t, s, recs...)
	return ann, recs
}

func opening(rec Record, text string) Opening {
	return Opening{ID: rec.Entry.ID, Room: den, Text: text}
}

// A message that is opened late stands where it would have stood, and is told as
// what is new now.
func TestALateOpeningTakesItsPlace(t *testing.T) {
	s := openStore(t, t.TempDir())
	ctx := t.Context()
	_, recs := sealedRoom(t, s, 5)
	bob, bobOpen := opened(den, "bob", noon)
	mine := bob.say(noon+35, "mine")
	mine.Mine = true
	if got := mustStore(t, s, bobOpen, mine, bob.say(noon+36, "bob")); !slices.Equal(got, []chat.Cursor{0, 2, 3}) {
		t.Fatalf("cursors = %v", got)
	}
	room := func() RoomRow { t.Helper(); return must(s.Rooms(ctx))(t)[0] }
	if r := room(); r.Unreadable != 5 || r.Unread != 1 || !r.LastAt.Equal((noon + 36).Time()) {
		t.Fatalf("room = %+v", r)
	}
	done, get := wait[ReadMark]()
	s.MarkRead(den, mine.Entry.ID, done)
	get(t)
	// The one before the mark is late: it could not be read when the mark was set.
	cursors := mustCommit(t, s, Batch{Openings: []Opening{opening(recs[4], "fifth"), opening(recs[0], "first"), opening(recs[2], "")}})
	if !slices.Equal(cursors, []chat.Cursor{4, 5, 0}) {
		t.Fatalf("cursors = %v", cursors)
	}
	wantTexts(t, must(s.Messages(ctx, den, MessageQuery{}))(t), "first", "mine", "bob", "fifth")
	if r := room(); r.Unreadable != 2 || r.Unread != 3 || !r.LastAt.Equal((noon + 50).Time()) {
		t.Fatalf("room = %+v", r)
	}
	var facts []string
	for _, e := range must(s.Facts(ctx, 0, 0))(t) {
		if m, ok := e.(chat.MessageEvent); ok {
			facts = append(facts, fmt.Sprint(m.Cursor, m.Text))
		}
	}
	if want := []string{"2mine", "3bob", "4fifth", "5first"}; !slices.Equal(facts, want) {
		t.Errorf("facts = %q, want %q", facts, want)
	}
	wantTexts(t, must(s.Search(ctx, "first", nil, 0))(t), "first")
	// Nothing happens twice.
	again := Batch{Openings: []Opening{opening(recs[4], "again"), opening(recs[2], "again"), {ID: recs[1].Entry.ID, Room: chat.OpenRoom("#lobby"), Text: "elsewhere"}}}
	if cursors := mustCommit(t, s, again); !slices.Equal(cursors, []chat.Cursor{0, 0, 0}) {
		t.Errorf("cursors = %v", cursors)
	}
	if r := room(); r.Unreadable != 2 || r.Unread != 3 {
		t.Errorf("room = %+v", r)
	}
	want := chat.Message{
		ID: recs[4].Entry.ID, Room: "#den", RoomID: den, From: chat.Author{Person: recs[4].Person, Device: recs[4].Entry.Device},
		Text: "fifth", SentAt: (noon + 50).Time(), ReceivedAt: recs[4].ReceivedAt.UTC(),
	}
	if page := must(s.Messages(ctx, den, MessageQuery{Limit: 1}))(t); !reflect.DeepEqual(page[0], want) {
		t.Errorf("message = %+v, want %+v", page[0], want)
	}
}

// What a person misses nothing by is kept, and does not count.
func TestQuietEntriesDoNotCount(t *testing.T) {
	s := openStore(t, t.TempDir())
	ann, _ := sealedRoom(t, s, 3)
	quiet, loud := ann.seal(noon+100, 1), ann.seal(noon+101, 1)
	quiet.Quiet, quiet.Reason = true, "outsider"
	unreadable := func(want int) {
		t.Helper()
		if r := must(s.Rooms(t.Context()))(t)[0]; r.Unreadable != want {
			t.Fatalf("%d count as unreadable, want %d", r.Unreadable, want)
		}
	}
	mustStore(t, s, quiet, loud)
	unreadable(4)
	put := func(rec Record, quiet bool) {
		t.Helper()
		mustCommit(t, s, Batch{Unopened: []Unopened{{ID: rec.Entry.ID, Room: den, Reason: "outsider", Quiet: quiet}}})
	}
	put(loud, true)
	unreadable(3)
	put(loud, true)
	unreadable(3)
	put(quiet, false)
	unreadable(4)
	put(loud, false)
	unreadable(5)
	put(loud, true)
	mustCommit(t, s, Batch{Openings: []Opening{opening(quiet, ""), opening(loud, "loud")}})
	unreadable(3)
}

func TestUnopenedEntriesArePagedInTheirOrder(t *testing.T) {
	s := openStore(t, t.TempDir())
	ann, recs := sealedRoom(t, s, 30)
	bob, bobOpen := opened(den, "bob", noon)
	bobs := bob.seal(noon+5, 1)
	mustStore(t, s, bobOpen, bobs)
	var b Batch
	for i := 10; i < 15; i++ {
		b.Unopened = append(b.Unopened, Unopened{ID: recs[i].Entry.ID, Room: den, Reason: "too_early"})
	}
	b.Openings = []Opening{opening(recs[0], "opened")}
	mustCommit(t, s, b)
	ids := func(q UnopenedQuery) (out []chat.EntryID) {
		t.Helper()
		for q.Room = den; ; {
			page, next, err := s.UnopenedEntries(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				return out
			}
			for _, e := range page {
				if err := e.Entry.Verify(); err != nil {
					t.Fatal(err)
				}
				out = append(out, e.Entry.ID)
			}
			q.After = next
		}
	}
	of := func(recs ...Record) (out []chat.EntryID) {
		for _, r := range recs {
			out = append(out, r.Entry.ID)
		}
		return out
	}
	second, nobody := uint64(2), newWriter(den, "nobody").device
	for name, c := range map[string]struct {
		q    UnopenedQuery
		want []chat.EntryID
	}{
		"all":              {UnopenedQuery{Limit: 7}, append(of(recs[1:]...), bobs.Entry.ID)},
		"Ann's":            {UnopenedQuery{Device: &ann.device}, of(recs[1:]...)},
		"of an epoch":      {UnopenedQuery{Device: &ann.device, Epoch: &second, Limit: 3}, of(recs[10:20]...)},
		"waiting":          {UnopenedQuery{Waiting: true, Limit: 4}, append(of(slices.Concat(recs[1:10], recs[15:])...), bobs.Entry.ID)},
		"waiting in epoch": {UnopenedQuery{Device: &ann.device, Epoch: &second, Waiting: true}, of(recs[15:20]...)},
		"nobody's":         {UnopenedQuery{Device: &nobody}, nil},
	} {
		if got := ids(c.q); !slices.Equal(got, c.want) {
			t.Errorf("%s: %d entries, want %d", name, len(got), len(c.want))
		}
	}
	page, _, err := s.UnopenedEntries(t.Context(), UnopenedQuery{Room: den, Limit: 1})
	if want := (StoredEntry{Entry: recs[1].Entry, Person: ann.person, ReceivedAt: recs[1].ReceivedAt.UTC(), Sort: recs[1].Sort}); err != nil || !reflect.DeepEqual(page[0], want) {
		t.Errorf("entry = %+v, %v, want %+v", page[0], err, want)
	}
}

// A page of large entries is bounded in bytes, and goes on.
func TestUnopenedEntriesAreBoundedInBytes(t *testing.T) {
	s := openStore(t, t.TempDir())
	ann, open := opened(den, "ann", noon)
	recs := []Record{open}
	for i := range 150 {
		rec := ann.say(noon+chat.HLC(i)+1, strings.Repeat("x", 16_000))
		rec.Text, rec.Unopened = "", true
		recs = append(recs, rec)
	}
	mustStore(t, s, recs...)
	total := 0
	for q := (UnopenedQuery{Room: den, Limit: 1000}); ; {
		page, next, err := s.UnopenedEntries(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		if len(page) > maxUnopenedPage/16_000 {
			t.Fatalf("a page of %d entries", len(page))
		}
		total, q.After = total+len(page), next
	}
	if total != 150 {
		t.Fatalf("%d entries, want 150", total)
	}
}

// Not readable may be very much; what is asked of it must not cost all of it.
func TestUnopenedEntriesAreFoundByIndex(t *testing.T) {
	s := openStore(t, t.TempDir())
	ann, _ := sealedRoom(t, s, 10)
	epoch := uint64(1)
	for name, c := range map[string]struct {
		q    UnopenedQuery
		want string
	}{
		"all":         {UnopenedQuery{Room: den}, "SEARCH u USING PRIMARY KEY (room=? AND entry>?)"},
		"of an epoch": {UnopenedQuery{Room: den, Device: &ann.device, Epoch: &epoch}, "SEARCH u USING INDEX unopened_epoch (room=? AND device=? AND epoch=? AND entry>?)"},
		"waiting":     {UnopenedQuery{Room: den, Waiting: true}, "SEARCH u USING INDEX unopened_waiting (room=? AND entry>?)"},
	} {
		sql, args := c.q.sql(1)
		plan := explain(t, s, sql, args...)
		if !strings.Contains(plan, c.want) || strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("%s: the plan is\n%s\nwant %s", name, plan, c.want)
		}
	}
	if plan := explain(t, s, selectUnopened, []byte{1}, []byte{1}, 1); !strings.Contains(plan, "INDEX unopened_id") {
		t.Errorf("an opening is found by\n%s", plan)
	}
}

func explain(t *testing.T, s *Store, sql string, args ...any) string {
	t.Helper()
	var plan strings.Builder
	if err := s.read(t.Context(), func(c *conn) error {
		return c.query(func(stmt *sqlite3.Stmt) error {
			plan.WriteString(stmt.ColumnText(3) + "\n")
			return nil
		}, "EXPLAIN QUERY PLAN "+sql, args...)
	}); err != nil {
		t.Fatal(err)
	}
	return plan.String()
}
