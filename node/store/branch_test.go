package store

import (
	"fmt"
	"strings"
	"testing"

	"earshot/chat"
)

// on returns a record under the name of a branch that it is of.
func (r Record) on(branch chat.LogID) Record {
	r.Entry.Log = branch
	return r
}

// forkedLog returns who writes a log that is stored up to entry 4, another log before it,
// and a copy of the writer that stands behind entry 2.
func forkedLog(t *testing.T, s *Store) (ann, copied *writerOf, recs []Record) {
	t.Helper()
	putRoom(t, s, "#lobby", true)
	lobby := chat.OpenRoom("#lobby")
	_, other := opened(lobby, "bob", noon-1)
	ann, open := opened(lobby, "ann", noon)
	recs = []Record{open, ann.say(noon+10, "common")}
	twin := *ann
	recs = append(recs, ann.say(noon+20, "one"), ann.say(noon+30, "two"))
	mustStore(t, s, append([]Record{other}, recs...)...)
	return ann, &twin, recs
}

func TestALogIsPartedWithAllThatIsKnownOfIt(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	ann, copied, recs := forkedLog(t, s)
	lobby := ann.room
	done, get := wait[ReadMark]()
	s.MarkRead(lobby, recs[3].Entry.ID, done)
	get(t)
	split := []Split{{Room: lobby, Log: ann.log, Seq: 2, Branch: ann.log.Branch(recs[2].Entry.ID)}}
	one := split[0].Branch
	mustCommit(t, s, Batch{Splits: split})
	if split[0].Read != 4 {
		t.Errorf("the branch was read up to %d", split[0].Read)
	}
	// The other way comes, and the first one goes on.
	first := copied.say(noon+25, "three")
	two := ann.log.Branch(first.Entry.ID)
	mustStore(t, s, first.on(two), copied.say(noon+35, "four").on(two), ann.say(noon+40, "five").on(one))
	if _, err := s.store(copied.say(noon+50, "nowhere")); err == nil {
		t.Error("a log goes on behind where it parted")
	}
	wrong := copied.say(noon+60, "nor here")
	if _, err := s.store(wrong.on(ann.log.Branch(wrong.Entry.Prev))); err == nil {
		t.Error("a branch begins with another entry than it is named by")
	}
	check := func(s *Store) {
		t.Helper()
		wantTexts(t, must(s.Messages(t.Context(), lobby, MessageQuery{}))(t), "common", "one", "three", "two", "four", "five")
		held := map[chat.LogID]LogRow{}
		for _, l := range must(s.Logs(t.Context()))(t) {
			held[l.Log] = l
		}
		for log, want := range map[chat.LogID]uint64{ann.log: 2, one: 5, two: 4} {
			l := held[log]
			if l.LastSeq != want || (l.Branch != nil) != (log != ann.log) {
				t.Errorf("held: %+v, want up to %d", l, want)
			}
			if b := l.Branch; b != nil && (b.Of != ann.log || b.After != 2 || b.Prev != recs[1].Entry.ID) {
				t.Errorf("it branches off %+v", b)
			}
		}
		for _, c := range []struct {
			have map[chat.LogID]uint64
			want string
		}{
			{nil, "1 1 2 3 3 4 4 5"},
			{map[chat.LogID]uint64{ann.log: 2, one: 5}, "1 3 4"},
			{map[chat.LogID]uint64{ann.log: 4, one: 3}, "1 3 4 4 5"},
		} {
			var got []string
			at := Position{}
			for {
				page, next, err := s.Missing(t.Context(), lobby, c.have, at, 2, 1<<20)
				if err != nil {
					t.Fatal(err)
				}
				if at = next; len(page) == 0 {
					break
				}
				for _, e := range page {
					got = append(got, fmt.Sprint(e.Seq))
					if e.Seq > 2 && (e.Log == ann.log || e.Origin() != ann.log) {
						t.Errorf("entry %d is of %s", e.Seq, e.Log.Short())
					}
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("missing with %v: %s, want %s", c.have, got, c.want)
			}
		}
		if e, found, err := s.Entry(t.Context(), lobby, EntryPlace{Log: two, Seq: 3}); err != nil || !found || e.ID != first.Entry.ID {
			t.Errorf("by its place: %v, %v, %v", e, found, err)
		}
		for id, log := range map[chat.EntryID]chat.LogID{recs[1].Entry.ID: ann.log, recs[2].Entry.ID: one, first.Entry.ID: two} {
			if at := must(s.Stands(t.Context(), []chat.EntryID{id}))(t)[id]; at.Log != log {
				t.Errorf("a message stands in %s, not in %s", at.Log.Short(), log.Short())
			}
		}
	}
	check(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir)
	check(s)
	// Below, where a third way parts: what is common to two is a branch then, too.
	third := Split{Room: lobby, Log: ann.log, Seq: 1, Branch: ann.log.Branch(recs[1].Entry.ID)}
	mustCommit(t, s, Batch{Splits: []Split{third}})
	wantTexts(t, must(s.Messages(t.Context(), lobby, MessageQuery{}))(t), "common", "one", "three", "two", "four", "five")
	for _, l := range must(s.Logs(t.Context()))(t) {
		if l.Log == third.Branch && (l.LastSeq != 2 || l.Branch == nil || l.Branch.After != 1) || l.Log == one && l.Branch.After != 2 {
			t.Errorf("held: %+v", l)
		}
	}
	if _, err := s.commit(Batch{Splits: []Split{third}}); err == nil {
		t.Error("a log parts twice at one place")
	}
}

// Rows that move leave copies behind, which no removal would find.
func TestTextThatIsRemovedFromABranchMustNotStandInTheHome(t *testing.T) {
	dir := t.TempDir()
	s := plainStore(t, dir)
	ann, _, recs := forkedLog(t, s)
	lobby := ann.room
	for i := range 200 { // keys that take one byte are in use, and two
		_, open := opened(lobby, fmt.Sprint("somebody ", i), noon+chat.HLC(i))
		mustStore(t, s, open)
	}
	var ids []chat.EntryID
	for i := range 300 {
		rec := ann.say(noon+chat.HLC(1000+i), fmt.Sprintf("w%xq %s", 0xabcdef0123+i, strings.Repeat("and more ", i%40)))
		mustStore(t, s, rec)
		ids = append(ids, rec.Entry.ID)
	}
	branch := ann.log.Branch(recs[2].Entry.ID)
	mustCommit(t, s, Batch{Splits: []Split{{Room: lobby, Log: ann.log, Seq: 2, Branch: branch}}})
	for len(ids) > 0 {
		n := min(len(ids), 50)
		mustStore(t, s, ann.remove(noon+chat.HLC(5000-len(ids)), ids[:n]...).on(branch))
		ids = ids[n:]
	}
	if err := s.bare(t.Context(), func(w *writer) error {
		if err := w.index(); err != nil {
			return err
		}
		for w.upkeep.merge {
			if err := w.mergeIndex(); err != nil {
				return err
			}
		}
		return w.emptyLog()
	}); err != nil {
		t.Fatal(err)
	}
	for name, b := range contents(t, dir) {
		for i := range 300 {
			if word := fmt.Sprintf("w%xq", 0xabcdef0123+i); strings.Contains(string(b), word) {
				t.Fatalf("%s stands in %s", word, name)
			}
		}
	}
}

// A log may be parted while it is walked, also the first of all, whose branches have keys
// above its own.
func TestALogThatIsPartedMeanwhileMustNotBeSentTwice(t *testing.T) {
	s := openStore(t, t.TempDir())
	putRoom(t, s, "#lobby", true)
	lobby := chat.OpenRoom("#lobby")
	ann, open := opened(lobby, "ann", noon)
	recs := []Record{open}
	for i := range 5 {
		recs = append(recs, ann.say(noon+chat.HLC(10*i+10), fmt.Sprint("message ", i)))
	}
	mustStore(t, s, recs...)
	sent := map[chat.EntryID]bool{}
	at := Position{}
	for page := 0; ; page++ {
		entries, next, err := s.Missing(t.Context(), lobby, nil, at, 2, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) == 0 {
			break
		}
		for _, e := range entries {
			if sent[e.ID] {
				t.Errorf("entry %d was sent before", e.Seq)
			}
			sent[e.ID] = true
		}
		if at = next; page == 1 { // entries 1 to 4 are sent
			mustCommit(t, s, Batch{Splits: []Split{{Room: lobby, Log: ann.log, Seq: 2, Branch: ann.log.Branch(recs[2].Entry.ID)}}})
		}
	}
	if len(sent) != len(recs) {
		t.Errorf("%d of %d entries were sent", len(sent), len(recs))
	}
}
