package store

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/content"
	"earshot/chat/wire"
)

// A message disappears when its time has come, by its own account or by what is kept
// in its room; so does what can't be read.
func TestMessagesDisappear(t *testing.T) {
	s := openStore(t, t.TempDir())
	mustCommit(t, s, Batch{Rooms: []RoomChange{denChange(true)}})
	ann, open := opened(den, "ann", noon)
	hour := chat.HLC(time.Hour / time.Microsecond)
	short := ann.draft(noon+1, chat.Draft{Text: "short"}, time.Hour)
	long := ann.draft(noon+2, chat.Draft{Text: "long"}, 3*time.Hour)
	stays := ann.draft(noon+3, chat.Draft{Text: "stays"}, 0)
	sealed := ann.seal(noon+4, 1)
	mustStore(t, s, open, short, long, stays, sealed)
	if n, next := sweep(t, s, (noon + hour).Time()); n != 0 || !next.Equal((noon + 1 + hour).Time()) {
		t.Errorf("%d changes, next at %v", n, next)
	}
	if n, next := sweep(t, s, (noon + 1 + hour).Time()); n != 1 || !next.Equal((noon + 2 + 3*hour).Time()) {
		t.Errorf("%d changes, next at %v", n, next)
	}
	wantTexts(t, shownIn(t, s, den), "long", "stays")
	if row := roomOf(t, s, den); row.Unread != 2 || row.Unreadable != 1 {
		t.Errorf("%d unread, %d unreadable", row.Unread, row.Unreadable)
	}
	// Everything is kept for two hours, says a setting, and new messages for one.
	rule := content.Setting{At: content.Place{HLC: noon + 5}, Keep: 2 * time.Hour, Disappear: time.Hour}
	mustCommit(t, s, Batch{Rules: []Rules{{Room: den, Setting: rule, Settings: []content.Setting{rule}}}})
	if row := roomOf(t, s, den); row.Keep != rule.Keep || row.Disappear != rule.Disappear {
		t.Errorf("kept for %v, disappears after %v", row.Keep, row.Disappear)
	}
	if n, _ := sweep(t, s, (noon + 3 + 2*hour).Time()); n != 2 {
		t.Errorf("%d changes", n)
	}
	sweep(t, s, (noon + 4 + 2*hour).Time())
	wantTexts(t, shownIn(t, s, den))
	if row := roomOf(t, s, den); row.Unread != 0 || row.Unreadable != 0 {
		t.Errorf("%d unread, %d unreadable", row.Unread, row.Unreadable)
	}
	// What comes too late is not shown at all.
	late := ann.draft(noon+10, chat.Draft{Text: "late"}, 0)
	late.ReceivedAt = (noon + 10 + 3*hour).Time()
	if cursors := mustStore(t, s, late); cursors[0] != 0 {
		t.Error("it became a fact")
	}
	for i, e := range entriesOf(t, s, den) {
		if gone := e.Payload == nil; gone != (i > 0) {
			t.Errorf("entry %d: its payload is gone: %v", i, gone)
		}
	}
}

func roomOf(t testing.TB, s *Store, id chat.RoomID) RoomRow {
	t.Helper()
	for _, r := range must(s.Rooms(t.Context()))(t) {
		if r.Room == id {
			return r
		}
	}
	t.Fatal("no such room")
	return RoomRow{}
}

func entriesOf(t testing.TB, s *Store, id chat.RoomID) []wire.Entry {
	t.Helper()
	entries, _, err := s.Missing(t.Context(), id, nil, Position{}, 10000, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// Who passes on entries without their payloads makes nothing vanish: they are wanted
// until somebody gives them, or it turns out why they are gone.
func TestAStrippedPayloadIsWanted(t *testing.T) {
	s := openStore(t, t.TempDir())
	lobby, _ := putRoom(t, s, "#lobby", true)
	ann, open := opened(lobby, "ann", noon)
	hello := ann.draft(noon+1, chat.Draft{Text: "hello"}, 0)
	secret := ann.draft(noon+2, chat.Draft{Text: "secret"}, 0)
	edit := ann.edit(noon+3, hello.Entry.ID, "hello, all")
	mustStore(t, s, open, stripped(hello), stripped(secret), stripped(edit))
	wantTexts(t, shownIn(t, s, lobby))
	lacking, err := s.Lacking(t.Context(), lobby)
	if m := lacking.Messages; err != nil || !lacking.Asked || len(m) != 1 || m[0].Count != 2 || m[0].Device != ann.device || m[0].Person != ann.person {
		t.Fatalf("lacking are %+v, %v", lacking, err)
	}
	if got := lacking.Entries; len(got) != 3 || !slices.Contains(got, hello.Entry.ID) || !slices.Contains(got, edit.Entry.ID) {
		t.Errorf("lacking are %v", got)
	}
	list := must(s.Wanted(t.Context(), lobby, 10))(t)
	if len(list) != 3 || list[0].Entry.ID != hello.Entry.ID || list[0].Entry.Payload != nil || list[0].Person != ann.person {
		t.Fatalf("wanted are %+v", list)
	}
	give := func(r Record) {
		t.Helper()
		mustCommit(t, s, Batch{
			Payloads: []Payload{{Room: lobby, Entry: r.Entry}},
			Openings: []Opening{{ID: r.Entry.ID, Room: lobby, Text: r.Text, Content: r.Content}},
		})
	}
	give(edit)
	give(hello)
	wantTexts(t, shownIn(t, s, lobby), "hello, all")
	mustStore(t, s, ann.remove(noon+4, secret.Entry.ID))
	if l := must(s.Lacking(t.Context(), lobby))(t); len(l.Messages) != 0 || len(l.Entries) != 0 || l.Asked {
		t.Errorf("lacking are %+v", l)
	}
	wantTexts(t, shownIn(t, s, lobby), "hello, all", "")
	give(secret) // too late
	for _, e := range entriesOf(t, s, lobby) {
		if has := e.Payload != nil; has == (e.ID == secret.Entry.ID) {
			t.Errorf("entry %d: has a payload: %v", e.Seq, has)
		}
	}
	// One that comes after its removal is nothing to want.
	later := ann.draft(noon+5, chat.Draft{Text: "later"}, 0)
	mustStore(t, s, stripped(later))
	for range chat.MaxWantedTries {
		c := make(chan error, 1)
		s.Asked(lobby, []chat.EntryID{later.Entry.ID}, func(err error) { c <- err })
		if err := <-c; err != nil {
			t.Fatal(err)
		}
	}
	if l := must(s.Lacking(t.Context(), lobby))(t); len(l.Messages) != 1 || l.Asked { // it counts, and nobody is asked for it alone
		t.Errorf("lacking are %+v", l)
	}
	if list := must(s.Wanted(t.Context(), lobby, 10))(t); len(list) != 1 { // but whoever is spoken to may come with it
		t.Errorf("wanted are %+v", list)
	}
	bob, bobOpen := opened(lobby, "bob", noon+6)
	gone := bob.draft(noon+7, chat.Draft{Text: "gone"}, 0)
	mustStore(t, s, bobOpen, stripped(gone), bob.remove(noon+8, gone.Entry.ID))
	cat, catOpen := opened(lobby, "cat", noon+9)
	first := cat.draft(noon+10, chat.Draft{Text: "first"}, 0)
	other := newWriter(lobby, "cat")
	other.log[0]++ // another of her logs
	open2 := other.say(noon+11, "")
	mustStore(t, s, catOpen, open2, other.remove(noon+12, first.Entry.ID), stripped(first))
	if l := must(s.Lacking(t.Context(), lobby))(t); len(l.Messages) != 1 {
		t.Errorf("lacking are %+v", l)
	}
}

func TestMentionsAreCountedUntilTheyAreRead(t *testing.T) {
	s := openStore(t, t.TempDir())
	lobby, _ := putRoom(t, s, "#lobby", true)
	ann, open := opened(lobby, "ann", noon)
	me := chat.PersonID{1}
	call := func(r Record) Record {
		r.Content.MentionsMe = true
		return r
	}
	first := call(ann.draft(noon+1, chat.Draft{Text: "@me", Mentions: []chat.PersonID{me}}, 0))
	plain := ann.draft(noon+2, chat.Draft{Text: "hello", ReplyTo: &first.Entry.ID}, 0)
	second := call(ann.draft(noon+3, chat.Draft{Text: "@me again", Mentions: []chat.PersonID{me}}, 0))
	mustStore(t, s, open, first, plain, second)
	page := shownIn(t, s, lobby)
	if !page[0].MentionsMe || !slices.Equal(page[0].Mentions, []chat.PersonID{me}) || page[1].MentionsMe || *page[1].ReplyTo != first.Entry.ID {
		t.Errorf("shown is %+v", page)
	}
	if row := roomOf(t, s, lobby); row.Mentions != 2 || row.Unread != 3 {
		t.Errorf("%d mentions, %d unread", row.Mentions, row.Unread)
	}
	done, get := wait[ReadMark]()
	s.MarkRead(lobby, plain.Entry.ID, done)
	get(t)
	if row := roomOf(t, s, lobby); row.Mentions != 1 {
		t.Errorf("%d mentions", row.Mentions)
	}
	mustStore(t, s, ann.edit(noon+4, second.Entry.ID, "nobody"))
	if row := roomOf(t, s, lobby); row.Mentions != 0 || row.Unread != 1 {
		t.Errorf("%d mentions, %d unread", row.Mentions, row.Unread)
	}
	mustStore(t, s, ann.remove(noon+5, second.Entry.ID))
	if row := roomOf(t, s, lobby); row.Unread != 0 {
		t.Errorf("%d unread", row.Unread)
	}
}

// What is sealed waits to be opened once its payload has come, and counts as unreadable
// only then.
func TestAStrippedSealedEntryIsOpenedOnceItsPayloadComes(t *testing.T) {
	s := openStore(t, t.TempDir())
	ann, recs := sealedRoom(t, s, 1)
	before := roomOf(t, s, den).Unreadable
	last := ann.seal(noon+1000, 7)
	mustStore(t, s, stripped(last))
	if row := roomOf(t, s, den); row.Unreadable != before {
		t.Errorf("%d unreadable, and were %d", row.Unreadable, before)
	}
	waiting := func() []StoredEntry {
		page, _, err := s.UnopenedEntries(t.Context(), UnopenedQuery{Room: den, Waiting: true})
		if err != nil {
			t.Fatal(err)
		}
		return page
	}
	n := len(waiting())
	mustCommit(t, s, Batch{Payloads: []Payload{{Room: den, Entry: last.Entry}, {Room: den, Entry: recs[0].Entry}}})
	page := waiting()
	if len(page) != n+1 || string(page[n].Entry.Payload) != string(last.Entry.Payload) {
		t.Fatalf("waiting are %+v", page)
	}
	if row := roomOf(t, s, den); row.Unreadable != before+1 {
		t.Errorf("%d unreadable, and were %d", row.Unreadable, before)
	}
	mustCommit(t, s, Batch{Openings: []Opening{opening(last, "in the den")}})
	if row := roomOf(t, s, den); row.Unreadable != before || len(shownIn(t, s, den)) != 1 {
		t.Errorf("%d unreadable, and were %d", row.Unreadable, before)
	}
}

// A message that was shown before its turn and then removed does not come back with its
// turn.
func TestWhatWasRemovedEarlyDoesNotComeBackInItsTurn(t *testing.T) {
	s := openStore(t, t.TempDir())
	lobby, _ := putRoom(t, s, "#lobby", true)
	ann, open := opened(lobby, "ann", noon)
	first, last := ann.say(noon+1, "first"), ann.draft(noon+2, chat.Draft{Text: "last"}, 0)
	mustStore(t, s, open)
	mustPutEarly(t, s, last)
	wantTexts(t, shownIn(t, s, lobby), "last")
	again := newWriter(lobby, "ann")
	again.log[0]++ // another log of hers
	mustStore(t, s, again.say(noon, ""), again.remove(noon+3, last.Entry.ID))
	wantTexts(t, shownIn(t, s, lobby), "")
	mustStore(t, s, first, last)
	wantTexts(t, shownIn(t, s, lobby), "first", "")
	for _, e := range entriesOf(t, s, lobby) {
		if e.ID == last.Entry.ID && e.Payload != nil {
			t.Error("its payload is kept")
		}
	}
	if row := roomOf(t, s, lobby); row.Unread != 1 {
		t.Errorf("%d unread", row.Unread)
	}
}

// However much is said about one message, what is kept of it is bounded; the newest
// counts.
func TestWhatIsSaidAboutAMessageIsBounded(t *testing.T) {
	s := openStore(t, t.TempDir())
	lobby, _ := putRoom(t, s, "#lobby", true)
	ann, open := opened(lobby, "ann", noon)
	hello := ann.draft(noon+1, chat.Draft{Text: "hello"}, 0)
	recs := []Record{open, hello}
	clock := noon + 1
	next := func() chat.HLC { clock++; return clock }
	for i := range 2 * chat.MaxRevisions {
		recs = append(recs, ann.edit(next(), hello.Entry.ID, fmt.Sprint("edit ", i)))
	}
	mustStore(t, s, recs...)
	before := must(s.Revisions(t.Context(), hello.Entry.ID))(t)
	if len(before) != chat.MaxRevisions+1 || before[0].Text != "hello" || before[1].Text != fmt.Sprint("edit ", chat.MaxRevisions-1) {
		t.Errorf("%d revisions, of %+v", len(before), before[:2])
	}
	if got := shownIn(t, s, lobby)[0].Text; got != fmt.Sprint("edit ", 2*chat.MaxRevisions-1) {
		t.Errorf("it says %q", got)
	}
	// One that comes late, and is older than all that are kept, changes nothing.
	mustStore(t, s, ann.edit(next(), hello.Entry.ID, "last"))
	for person := range chat.MaxReactions + 50 {
		r := ann.react(next(), hello.Entry.ID, "👍", true)
		r.Person = chat.PersonID{byte(person >> 8), byte(person), 1}
		mustStore(t, s, r)
	}
	m := shownIn(t, s, lobby)[0]
	if len(m.Reactions) != 1 || len(m.Reactions[0].People) != chat.MaxReactions || m.Reactions[0].People[0] != (chat.PersonID{0, 50, 1}) {
		t.Errorf("%d reactions, the first by %x", len(m.Reactions[0].People), m.Reactions[0].People[0])
	}
	if m.Text != "last" {
		t.Errorf("it says %q", m.Text)
	}
	// Of settings the newest are remembered.
	var settings []Record
	for i := range chat.MaxSettings + 20 {
		settings = append(settings, ann.write(next(), wire.KindSetting, content.ComposeSetting(content.Setting{Disappear: time.Duration(i+1) * time.Second})))
	}
	mustStore(t, s, settings...)
	if row := roomOf(t, s, lobby); row.Disappear != (chat.MaxSettings+20)*time.Second {
		t.Errorf("messages disappear after %v", row.Disappear)
	}
	if err := s.bare(t.Context(), func(w *writer) error {
		room, err := w.room(lobby)
		if err != nil {
			return err
		}
		list, err := w.settings(room)
		if len(list) != chat.MaxSettings || list[0].Disappear != 21*time.Second {
			t.Errorf("%d settings, the first %+v", len(list), list[0])
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// What has been removed stays so after the death of the process, and what upkeep had
// still to do is done.
func TestARestartGoesOnTakingAway(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	lobby, _ := putRoom(t, s, "#lobby", true)
	ann, open := opened(lobby, "ann", noon)
	hello := ann.draft(noon+1, chat.Draft{Text: "hello"}, 0)
	mustStore(t, s, open, hello)
	if err := s.bare(t.Context(), (*writer).index); err != nil {
		t.Fatal(err)
	}
	orphan := ann.edit(noon+2, chat.EntryID{9}, "about what is not here")
	mustStore(t, s, orphan, ann.remove(noon+3, hello.Entry.ID))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir)
	if err := s.bare(t.Context(), func(w *writer) error {
		if !w.upkeep.merge {
			t.Error("it is forgotten that words are to be gone")
		}
		room, err := w.room(lobby)
		if err == nil && !room.awaits {
			t.Error("it is forgotten that something was said about what is not here")
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if m := shownIn(t, s, lobby)[0]; m.Removed == nil || m.Text != "" {
		t.Errorf("shown is %+v", m)
	}
}
