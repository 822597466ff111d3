package store

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"earshot/chat"
	"earshot/chat/content"
	"earshot/chat/wire"
)

// entry returns the next entry of the log, with what it says as the node would.
func (w *writerOf) write(hlc chat.HLC, kind wire.Kind, payload []byte) Record {
	w.seq++
	h := wire.Header{Log: w.log, Ref: w.room.Ref(w.log), Seq: w.seq, Prev: w.prev, HLC: hlc, Kind: kind}
	e, err := wire.Sign(w.key, h, payload)
	if err != nil {
		panic(err)
	}
	w.prev = e.ID
	said, err := content.Read(kind, payload)
	if err != nil {
		panic(err)
	}
	rec := Record{Room: w.room, Entry: e, Person: w.person, ReceivedAt: hlc.Time(), Sort: hlc, Text: said.Text, Content: contentOf(said)}
	return rec
}

func contentOf(s content.Said) *Content {
	return &Content{
		ReplyTo: s.ReplyTo, Mentions: s.Mentions, Expires: s.Expires, Edit: s.Edit, Remove: s.Remove, React: s.React, Setting: s.Setting,
	}
}

func (w *writerOf) draft(hlc chat.HLC, d chat.Draft, disappear time.Duration) Record {
	return w.write(hlc, wire.KindMessage, must2(content.Compose(d, disappear)))
}

func (w *writerOf) edit(hlc chat.HLC, target chat.EntryID, text string) Record {
	return w.write(hlc, wire.KindEdit, must2(content.ComposeEdit(target, text, nil)))
}

func (w *writerOf) remove(hlc chat.HLC, targets ...chat.EntryID) Record {
	return w.write(hlc, wire.KindDelete, content.ComposeDelete(targets))
}

func (w *writerOf) react(hlc chat.HLC, target chat.EntryID, sign string, on bool) Record {
	return w.write(hlc, wire.KindReaction, must2(content.ComposeReaction(content.React{Target: target, Sign: sign, Off: !on})))
}

func must2[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// stripped returns a record as it comes from who has removed its payload.
func stripped(r Record) Record {
	r.Entry.Payload = nil
	r.Text, r.Content, r.Unopened, r.Reason = "", nil, true, Stripped
	return r
}

// sweep takes away what is over, and returns how many changes that made.
func sweep(t testing.TB, s *Store, now time.Time) (n int, next time.Time) {
	t.Helper()
	for {
		type answer struct {
			changes []chat.Cursor
			next    time.Time
			err     error
		}
		c := make(chan answer, 1)
		s.Sweep(now, func(changes []chat.Cursor, next time.Time, err error) { c <- answer{changes, next, err} })
		a := <-c
		if a.err != nil {
			t.Fatal(a.err)
		}
		n += len(a.changes)
		if a.next.After(now) || a.next.IsZero() {
			return n, a.next
		}
	}
}

func shownIn(t testing.TB, s *Store, room chat.RoomID) []chat.Message {
	t.Helper()
	page := must(s.Messages(t.Context(), room, MessageQuery{Limit: 1000}))(t)
	for i := range page { // what differs between devices
		page[i].ReceivedAt = time.Time{}
	}
	return page
}

// Whatever the order in which messages, edits, removals and reactions come, every
// device shows the same.
func TestWhatIsShownDoesNotDependOnTheOrderOfArrival(t *testing.T) {
	stores := []*Store{openStore(t, t.TempDir()), openStore(t, t.TempDir()), openStore(t, t.TempDir())}
	rooms := 0
	rapid.Check(t, func(rt *rapid.T) {
		rooms++
		lobby := chat.OpenRoom(fmt.Sprint("#room-", rooms))
		var logs [][]Record
		var writers []*writerOf
		clock := noon
		for _, name := range []string{"ann", "bob", "cat"} {
			w, open := opened(lobby, name, clock)
			clock++
			writers, logs = append(writers, w), append(logs, []Record{open})
		}
		var said []chat.EntryID
		n := rapid.IntRange(3, 25).Draw(rt, "entries")
		for i := range n {
			at := rapid.IntRange(0, 2).Draw(rt, "who")
			w := writers[at]
			clock += chat.HLC(rapid.IntRange(1, 2).Draw(rt, "tick"))
			what := rapid.IntRange(0, 4).Draw(rt, "what")
			if len(said) == 0 {
				what = 0
			}
			var rec Record
			target := chat.EntryID{}
			if what > 0 {
				target = rapid.SampledFrom(said).Draw(rt, "target")
			}
			switch what {
			case 0:
				rec = w.draft(clock, chat.Draft{Text: fmt.Sprint("message ", i)}, 0)
				said = append(said, rec.Entry.ID)
			case 1:
				rec = w.edit(clock, target, fmt.Sprint("edit ", i))
			case 2:
				rec = w.remove(clock, target)
			default:
				rec = w.react(clock, target, rapid.SampledFrom([]string{"👍", "❤️", "🎉"}).Draw(rt, "sign"), what == 3)
			}
			logs[at] = append(logs[at], rec)
		}
		var want []chat.Message
		for device, s := range stores {
			before := must(s.LastCursor(t.Context()))(t)
			next := make([]int, len(logs))
			for {
				var open []int
				for at := range logs {
					if next[at] < len(logs[at]) {
						open = append(open, at)
					}
				}
				if len(open) == 0 {
					break
				}
				at := open[0]
				if device > 0 {
					at = rapid.SampledFrom(open).Draw(rt, "arrives")
				}
				mustStore(t, s, logs[at][next[at]])
				next[at]++
			}
			got := shownIn(t, s, lobby)
			if device == 0 {
				want = got
				checkFacts(rt, t, s, before, got)
			} else if !reflect.DeepEqual(got, want) {
				rt.Fatalf("device %d shows\n%+v\nand another\n%+v", device, got, want)
			}
		}
	})
}

// checkFacts follows the facts, as a face does that resumes at each, and compares what
// it then knows with what is shown.
func checkFacts(rt *rapid.T, t *testing.T, s *Store, after chat.Cursor, want []chat.Message) {
	known := map[chat.EntryID]chat.Message{}
	for {
		facts := must(s.Facts(t.Context(), after, 1))(t)
		if len(facts) == 0 {
			break
		}
		var m chat.Message
		switch e := facts[0].(type) {
		case chat.MessageEvent:
			m = e.Message
		case chat.MessageChangedEvent:
			m = e.Message
		}
		cursor, _ := chat.Fact(facts[0])
		if cursor <= after {
			rt.Fatalf("fact %d after %d", cursor, after)
		}
		after = cursor
		m.ReceivedAt = time.Time{}
		known[m.ID] = m
	}
	for _, m := range want {
		if !reflect.DeepEqual(known[m.ID], m) {
			rt.Fatalf("by the facts it is\n%+v\nand shown is\n%+v", known[m.ID], m)
		}
	}
}

func TestOthersMustNotEditOrRemoveWhatSomebodySaid(t *testing.T) {
	s := openStore(t, t.TempDir())
	lobby, _ := putRoom(t, s, "#lobby", true)
	ann, annOpen := opened(lobby, "ann", noon)
	eve, eveOpen := opened(lobby, "eve", noon+1)
	hello := ann.draft(noon+2, chat.Draft{Text: "hello"}, 0)
	early := eve.remove(noon+5, hello.Entry.ID) // before what it is about
	mustStore(t, s, annOpen, eveOpen, early, hello, eve.edit(noon+6, hello.Entry.ID, "I am a fool"), eve.remove(noon+7, hello.Entry.ID))
	if m := shownIn(t, s, lobby)[0]; m.Text != "hello" || m.Removed != nil || !m.EditedAt.IsZero() {
		t.Errorf("shown is %+v", m)
	}
	// By Ann both count, the edit first.
	mustStore(t, s, ann.edit(noon+8, hello.Entry.ID, "hello, all"))
	if m := shownIn(t, s, lobby)[0]; m.Text != "hello, all" || m.EditedAt != (noon+8).Time() {
		t.Errorf("shown is %+v", m)
	}
	if got := must(s.Revisions(t.Context(), hello.Entry.ID))(t); len(got) != 1 || got[0].Text != "hello" {
		t.Errorf("it said %+v before", got)
	}
	wantTexts(t, must(s.Search(t.Context(), "all", nil, 0))(t), "hello, all")
	gone := ann.remove(noon+9, hello.Entry.ID)
	mustStore(t, s, gone)
	m := shownIn(t, s, lobby)[0]
	if m.Text != "" || m.Removed == nil || m.Removed.By.Person != ann.person || m.Removed.At != (noon+9).Time() || !m.EditedAt.IsZero() {
		t.Errorf("shown is %+v", m)
	}
	if log, seq, ok, err := s.RemovalOf(t.Context(), lobby, hello.Entry.ID); log != ann.log || seq != gone.Entry.Seq || !ok || err != nil {
		t.Errorf("removed by %v/%d, %v, %v", log, seq, ok, err)
	}
	wantTexts(t, must(s.Search(t.Context(), "hello", nil, 0))(t))
}

// Who is an admin removes what others say; who was one, or will be, does not.
func TestARemovedAdminMustNotRemoveWhatOthersSay(t *testing.T) {
	s := openStore(t, t.TempDir())
	mustCommit(t, s, Batch{Rooms: []RoomChange{denChange(true)}})
	ann, annOpen := opened(den, "ann", noon)
	eve, eveOpen := opened(den, "eve", noon+1)
	var said []Record
	for i := range chat.HLC(4) {
		said = append(said, ann.draft(noon+2+i, chat.Draft{Text: fmt.Sprint("message ", i)}, 0))
	}
	mustStore(t, s, append([]Record{annOpen, eveOpen}, said...)...)
	tenure := []content.Tenure{{Person: eve.person, From: noon + 20, Until: noon + 30}}
	mustCommit(t, s, Batch{Rules: []Rules{{Room: den, Tenures: tenure}}})
	mustStore(t, s, eve.remove(noon+19, said[0].Entry.ID), eve.remove(noon+20, said[1].Entry.ID), eve.remove(noon+30, said[2].Entry.ID))
	wantTexts(t, shownIn(t, s, den), "message 0", "", "message 2", "message 3")
	// That she was one longer is heard later: then it counts. What she has removed
	// stays so when it is heard that she was none.
	mustStore(t, s, eve.remove(noon+33, said[3].Entry.ID))
	tenure[0].From, tenure[0].Until = noon+32, noon+40
	cursors := mustCommit(t, s, Batch{Rules: []Rules{{Room: den, Tenures: tenure}}})
	if len(cursors) != 1 {
		t.Errorf("%d changes", len(cursors))
	}
	wantTexts(t, shownIn(t, s, den), "message 0", "", "message 2", "")
}

// What is deleted, edited away or over stands nowhere in the home, as soon as upkeep is
// done: not in the database, its full-text index, free pages, or write-ahead log.
func TestRemovedTextMustNotStandInTheHome(t *testing.T) {
	dir := t.TempDir()
	s := plainStore(t, dir)
	r := rand.New(rand.NewPCG(7, 11))
	lobby, _ := putRoom(t, s, "#lobby", true)
	ann, open := opened(lobby, "ann", noon)
	mustStore(t, s, open)
	word := func(n int) string { return fmt.Sprintf("w%xq", 0xabcdef0123+uint64(n)*0x10001) }
	clock, words := noon, 0
	says := func(size int) (text string, of []string) {
		for range 1 + r.IntN(size) {
			of = append(of, word(words))
			text += word(words) + " "
			words++
		}
		return text, of
	}
	kept := map[chat.EntryID][]string{}
	var ids []chat.EntryID
	var gone []string
	far := 0
	for round := range 30 {
		var recs []Record
		for range 1 + r.IntN(60) {
			clock += 1000
			switch what := r.IntN(10); {
			case what < 6 || len(ids) == 0:
				text, of := says(1 << r.IntN(8))
				rec := ann.draft(clock, chat.Draft{Text: text}, time.Duration(r.IntN(2))*time.Hour)
				recs, kept[rec.Entry.ID], ids = append(recs, rec), of, append(ids, rec.Entry.ID)
			case what < 8:
				id := ids[r.IntN(len(ids))]
				text, of := says(1 << r.IntN(8))
				recs, kept[id] = append(recs, ann.edit(clock, id, text)), append(kept[id], of...)
			default:
				at := r.IntN(len(ids))
				id := ids[at]
				ids = slices.Delete(ids, at, at+1)
				recs, gone = append(recs, ann.remove(clock, id)), append(gone, kept[id]...)
				delete(kept, id)
			}
		}
		mustStore(t, s, recs...)
		if round%4 == 3 {
			if err := s.bare(t.Context(), (*writer).index); err != nil {
				t.Fatal(err)
			}
		}
		if round%10 != 9 {
			continue
		}
		if round == 29 { // all that was to disappear does
			sweep(t, s, clock.Time().Add(2*time.Hour))
			stay := map[chat.EntryID]bool{}
			for _, m := range shownIn(t, s, lobby) {
				stay[m.ID] = true
			}
			for id, of := range kept {
				if !stay[id] {
					gone = append(gone, of...)
					delete(kept, id)
					far++
				}
			}
		}
		if err := s.bare(t.Context(), func(w *writer) error {
			for w.upkeep.merge {
				if err := w.mergeIndex(); err != nil {
					return err
				}
			}
			return w.emptyLog()
		}); err != nil {
			t.Fatal(err)
		}
		files := contents(t, dir)
		for name, file := range files {
			for _, w := range gone {
				if bytes.Contains(file, []byte(w)) {
					t.Fatalf("round %d: %q stands in %s, at %d", round, w, name, bytes.Index(file, []byte(w)))
				}
			}
		}
		found := 0
		for _, of := range kept {
			if bytes.Contains(files[FileName], []byte(of[0])) {
				found++
			}
		}
		if found < len(kept)*9/10 { // some stand on two pages
			t.Fatalf("of %d messages that stay %d are in the file: is this the file?", len(kept), found)
		}
	}
	if len(gone) < 1000 || len(kept) < 100 || far < 50 {
		t.Errorf("only %d words are gone, %d messages are left, %d disappeared", len(gone), len(kept), far)
	}
	entries, _, err := s.Missing(t.Context(), lobby, nil, Position{}, 10000, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	removed := 0
	for i, e := range entries {
		if e.Seq != uint64(i+1) || e.Verify() != nil {
			t.Fatalf("entry %d is %v", i, e)
		}
		if e.Payload == nil {
			removed++
		}
	}
	if uint64(len(entries)) != ann.seq || removed < 100 {
		t.Errorf("%d entries of %d, %d without payload", len(entries), ann.seq, removed)
	}
}
