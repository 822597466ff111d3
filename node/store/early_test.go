package store

import (
	"slices"
	"testing"

	"earshot/chat"
	"earshot/chat/wire"
)

func earlyOf(rec Record) Early {
	return Early{Room: rec.Room, Entry: rec.Entry, Person: rec.Person, ReceivedAt: rec.ReceivedAt, Sort: rec.Sort, Text: rec.Text, Mine: rec.Mine}
}

func mustPutEarly(t *testing.T, s *Store, recs ...Record) []chat.Cursor {
	t.Helper()
	var list []Early
	for _, rec := range recs {
		list = append(list, earlyOf(rec))
	}
	done, get := wait[[]chat.Cursor]()
	s.PutEarly(list, done)
	return get(t)
}

func TestWhatCameEarlyBecomesOrdinaryInItsTurn(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	ctx := t.Context()
	lobby, _ := putRoom(t, s, "#lobby", true)
	ann, open := opened(lobby, "ann", noon)
	recs := []Record{open}
	for i, text := range []string{"one", "two", "three", "four"} {
		recs = append(recs, ann.say(noon+10*chat.HLC(i+1), text))
	}
	mustStore(t, s, recs[:2]...)
	if got := mustPutEarly(t, s, recs[4], recs[3], recs[1]); !slices.Equal(got, []chat.Cursor{3, 4, 0}) {
		t.Fatalf("cursors = %v", got)
	}
	if got := mustPutEarly(t, s, recs[4]); !slices.Equal(got, []chat.Cursor{0}) {
		t.Fatalf("again: cursors = %v", got)
	}
	row := func() RoomRow { t.Helper(); return must(s.Rooms(ctx))(t)[0] }
	check := func(unread int, shown ...string) {
		t.Helper()
		wantTexts(t, must(s.Messages(ctx, lobby, MessageQuery{}))(t), shown...)
		if r := row(); r.Unread != unread {
			t.Fatalf("%d unread, want %d", r.Unread, unread)
		}
	}
	check(3, "one", "three", "four")
	wantTexts(t, must(s.Search(ctx, "three", nil, 0))(t), "three")
	places := must(s.EarlyPlaces(ctx))(t)
	if len(places) != 2 || places[0].Seq != 5 || places[0].Log != ann.log || places[0].Device != ann.device || places[0].Person != ann.person || places[0].ID != recs[4].Entry.ID || places[0].Room != lobby {
		t.Fatalf("places = %+v", places)
	}
	// Nothing of it counts as held.
	if logs := must(s.Logs(ctx))(t); logs[0].LastSeq != 2 {
		t.Fatalf("logs = %+v", logs)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir)
	check(3, "one", "three", "four")
	done, get := wait[ReadMark]()
	s.MarkRead(lobby, recs[3].Entry.ID, done)
	get(t)
	check(1, "one", "three", "four")
	// Its turn: no second fact, no second unread. What filled the gap is late.
	if got := mustStore(t, s, recs[2:]...); !slices.Equal(got, []chat.Cursor{5, 0, 0}) {
		t.Fatalf("cursors = %v", got)
	}
	check(2, "one", "two", "three", "four")
	for _, m := range must(s.Messages(ctx, lobby, MessageQuery{}))(t) {
		if m.Late != (m.Text == "two") {
			t.Errorf("%q: late %v", m.Text, m.Late)
		}
	}
	if places := must(s.EarlyPlaces(ctx))(t); len(places) != 0 {
		t.Errorf("places = %+v", places)
	}
	if facts := must(s.Facts(ctx, 0, 0))(t); len(facts) != 5 {
		t.Errorf("%d facts", len(facts))
	}
}

func TestASealedMessageThatWasShownEarlyIsNotUnreadableInItsTurn(t *testing.T) {
	s := openStore(t, t.TempDir())
	ann, recs := sealedRoom(t, s, 1)
	last := ann.seal(noon+1000, 7)
	last.Unopened, last.Text = false, "shown"
	mustPutEarly(t, s, last)
	last.Unopened, last.Text = true, ""
	mustStore(t, s, last)
	wantTexts(t, must(s.Messages(t.Context(), den, MessageQuery{}))(t), "shown")
	if r := must(s.Rooms(t.Context()))(t)[0]; r.Unreadable != len(recs) {
		t.Errorf("room = %+v", r)
	}
}

func TestTheNewestComeWithWhatOpensThem(t *testing.T) {
	s := openStore(t, t.TempDir())
	ctx := t.Context()
	lobby, _ := putRoom(t, s, "#lobby", true)
	ann, annOpen := opened(lobby, "ann", noon)
	bob, bobOpen := opened(lobby, "bob", noon)
	recs := []Record{annOpen, bobOpen}
	share := func(w *writerOf, hlc chat.HLC, epoch uint64) Record { return w.entry(hlc, wire.KindKeyShare, epoch) }
	for i := range 10 {
		if i%5 == 0 {
			recs = append(recs, share(ann, noon+100*chat.HLC(i+1)-1, uint64(i/5+1)))
		}
		recs = append(recs, ann.entry(noon+100*chat.HLC(i+1), wire.KindMessage, uint64(i/5+1)), bob.say(noon+100*chat.HLC(i+1)+1, "bob"))
	}
	mustStore(t, s, recs...)
	q := NewestQuery{Before: noon + 10_000, Limit: 4, MaxEntries: 100, MaxBytes: 1 << 20}
	seqs := func(q NewestQuery) (out []uint64) {
		t.Helper()
		for _, e := range must(s.Newest(ctx, lobby, q))(t) {
			if e.Device == ann.device {
				out = append(out, e.Seq)
			} else {
				out = append(out, 1000+e.Seq)
			}
		}
		return out
	}
	check := func(what string, q NewestQuery, want ...uint64) {
		t.Helper()
		if got := seqs(q); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	// ann: 1 opens, 2 shares epoch 1, 3-7, 8 shares epoch 2, 9-13; bob: 1 opens, 2-11.
	check("all", q, 1001, 1, 8, 12, 1010, 13, 1011)
	q.Have = map[chat.LogID]uint64{ann.log: 8, bob.log: 10}
	check("what is held needs nothing", q, 11, 12, 13, 1011)
	q.Have = map[chat.LogID]uint64{ann.log: 13, bob.log: 11}
	check("nothing", q)
	q.Have, q.Before = nil, noon+900
	check("not what is dated later", q, 1, 8, 1001, 1008, 11, 1009, 12)
	q.Before, q.MaxEntries = noon+10_000, 4
	check("what does not fit is left out", q, 1001, 1009, 1010, 1011)
	q.MaxEntries, q.Shares = 100, func(*wire.Entry) bool { return false }
	check("shares of no use", q, 1001, 1, 12, 1010, 13, 1011)
	q.MaxBytes = 10
	check("no room", q)
}

func TestWhatStoredEntriesNameAndIsNotStoredIsFound(t *testing.T) {
	s := openStore(t, t.TempDir())
	lobby, _ := putRoom(t, s, "#lobby", true)
	ann, open := opened(lobby, "ann", noon)
	mustStore(t, s, open)
	if got := must(s.Unmet(t.Context(), lobby))(t); len(got) != 0 {
		t.Fatalf("%+v", got)
	}
	bob, bobOpen := opened(lobby, "bob", noon)
	rec := bob.naming(noon+1, wire.Dep{Log: ann.log, Seq: 5})
	mustStore(t, s, bobOpen, rec)
	if got := must(s.Unmet(t.Context(), lobby))(t); len(got) != 1 || got[0] != (Unmet{Log: ann.log, Seq: 5, By: bob.device, Entry: rec.Entry.ID}) {
		t.Fatalf("%+v", got)
	}
}
