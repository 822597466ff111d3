package store

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"earshot/chat"
	"earshot/chat/wire"
)

// walkAll collects a walk's pages and checks each page's bounds.
func walkAll(t *rapid.T, s *Store, room chat.RoomID, have map[chat.LogID]uint64, maxEntries, maxBytes int, between func()) (all []wire.Entry) {
	var at Position
	for {
		page, next, err := s.Missing(t.Context(), room, have, at, maxEntries, maxBytes)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			return all
		}
		bytes := 0
		for _, e := range page {
			bytes += len(e.Head) + len(e.Sig) + len(e.Payload)
		}
		if len(page) > maxEntries || (bytes > maxBytes && len(page) > 1) {
			t.Fatalf("a page of %d entries and %d bytes, over %d and %d", len(page), bytes, maxEntries, maxBytes)
		}
		all, at = append(all, page...), next
		between()
	}
}

// Whatever is held and whatever the other side has: a walk returns exactly what is
// missing, once, each log in order and clocks rising.
func TestMissingReturnsExactlyWhatIsMissing(t *testing.T) {
	s := openStore(t, t.TempDir())
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		room := chat.OpenRoom(fmt.Sprintf("#room%d", run))
		var writers []*writerOf
		for i := range rapid.IntRange(1, 5).Draw(t, "writers") {
			writers = append(writers, newWriter(room, fmt.Sprint(i)))
		}
		clocks := map[*writerOf]chat.HLC{}
		held := map[chat.LogID][]chat.EntryID{}
		var all []Record
		for range rapid.IntRange(1, 60).Draw(t, "entries") {
			w := rapid.SampledFrom(writers).Draw(t, "writer")
			clocks[w] += chat.HLC(rapid.IntRange(1, 4).Draw(t, "pause")) // ties between logs
			rec := w.say(noon+clocks[w], "text")
			all = append(all, rec)
			held[w.log] = append(held[w.log], rec.Entry.ID)
		}
		if _, err := s.store(all...); err != nil {
			t.Fatal(err)
		}
		have := map[chat.LogID]uint64{{99}: 7} // a log that we lack
		want := map[chat.EntryID]bool{}
		for _, w := range writers {
			n := len(held[w.log])
			has := rapid.IntRange(0, n+1).Draw(t, "has") // may know more than we do
			if has > 0 {
				have[w.log] = uint64(has)
			}
			for _, id := range held[w.log][min(has, n):] {
				want[id] = true
			}
		}
		maxEntries := rapid.IntRange(1, 20).Draw(t, "most entries")
		maxBytes := rapid.IntRange(1, 4000).Draw(t, "most bytes")
		got := walkAll(t, s, room, have, maxEntries, maxBytes, func() {})
		if len(got) != len(want) {
			t.Fatalf("got %d entries, want %d", len(got), len(want))
		}
		for i, e := range got {
			if !want[e.ID] {
				t.Fatalf("entry %v was not missing, or came twice", &e)
			}
			delete(want, e.ID)
			if i > 0 && cmp.Compare(got[i-1].HLC, e.HLC) > 0 {
				t.Fatal("clocks do not rise")
			}
			if e.Seq > have[e.Log]+1 && !slices.ContainsFunc(got[:i], func(p wire.Entry) bool { return p.ID == e.Prev }) {
				t.Fatalf("entry %v before its predecessor", &e)
			}
		}
	})
}

// A walk past many entries that the other side has does not lose its way: here
// the missing ones lie further apart than a scan may skip.
func TestMissingLeapsOverWhatIsHeld(t *testing.T) {
	s := openStore(t, t.TempDir())
	room := chat.OpenRoom("#lobby")
	loud, quiet := newWriter(room, "loud"), newWriter(room, "quiet")
	var recs []Record
	var want []string
	for i := range 3 * maxSkip {
		hlc := noon + chat.HLC(2*i)
		recs = append(recs, loud.say(hlc, "held"))
		if i%(maxSkip+100) == 0 {
			rec := quiet.say(hlc+1, "missing")
			recs = append(recs, rec)
			want = append(want, rec.Entry.ID.String())
		}
	}
	mustStore(t, s, recs...)
	have := map[chat.LogID]uint64{loud.log: loud.seq}
	for _, page := range []int{1, 100} {
		var got []string
		for at := (Position{}); ; {
			entries, next, err := s.Missing(t.Context(), room, have, at, page, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			if len(entries) == 0 {
				break
			}
			for _, e := range entries {
				got = append(got, e.ID.String())
			}
			at = next
		}
		if !slices.Equal(got, want) {
			t.Errorf("pages of %d: %d entries, want %d", page, len(got), len(want))
		}
	}
}

func TestMissingOfAnUnknownRoomIsNothing(t *testing.T) {
	s := openStore(t, t.TempDir())
	entries, next, err := s.Missing(t.Context(), chat.OpenRoom("#nowhere"), nil, Position{}, 10, 1000)
	if len(entries) != 0 || next != (Position{}) || err != nil {
		t.Fatalf("%v, %v, %v", entries, next, err)
	}
}
