package room

import (
	"bytes"
	"cmp"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

// shown returns records in the order a face shows them: Sort, log, seq.
func shown(records []Record) []Record {
	out := slices.Clone(records)
	slices.SortFunc(out, func(a, b Record) int {
		return cmp.Or(cmp.Compare(a.Sort, b.Sort), bytes.Compare(a.Entry.Log[:], b.Entry.Log[:]), cmp.Compare(a.Entry.Seq, b.Entry.Seq))
	})
	return out
}

func want[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestWhatOneSaysAnotherReads(t *testing.T) {
	alice, bob := join(t, "alice"), join(t, "bob")
	out := alice.do(noon, Post{Room: lobby, Text: "hello", Ref: 42})
	want(t, "commits", len(out), 2)
	want(t, "kinds", []wire.Kind{out[0].Entry.Kind, out[1].Entry.Kind}, []wire.Kind{wire.KindOpen, wire.KindMessage})
	want(t, "ref", alice.refs[42], true)
	for _, r := range out {
		want(t, "mine", r.Mine, true)
		if err := r.Entry.Verify(); err != nil {
			t.Error(err)
		}
	}
	got := bob.hears(noon.Add(time.Millisecond), entries(out)...)
	want(t, "bob reads", texts(got), []string{"hello"})
	want(t, "name", got[0].Name, "alice")
	want(t, "person", got[1].Person, personOf("alice"))
	want(t, "mine at bob's", got[1].Mine, false)
	want(t, "roots", alice.Root(lobby), bob.Root(lobby))
	want(t, "nothing waits", bob.NextTick(), time.Time{})
}

func TestTheSameEntryTwiceIsStoredOnce(t *testing.T) {
	alice, bob := join(t, "alice"), join(t, "bob")
	said := alice.says(noon, "once")
	bob.hears(noon, said...)
	want(t, "again", len(bob.hears(noon, said...)), 0)
	want(t, "fetched again", len(bob.fetches(noon, said...)), 0)
	want(t, "her own echo", len(alice.hears(noon, said...)), 0)
	want(t, "the same text twice is two messages", len(alice.says(noon, "once")), 1)
}

func TestOrderOfArrivalDoesNotMatter(t *testing.T) {
	alice, bob := join(t, "alice"), join(t, "bob")
	var said []wire.Entry
	for _, text := range []string{"one", "two", "three"} {
		said = append(said, alice.says(noon, text)...)
	}
	slices.Reverse(said)
	bob.hears(noon, said...)
	want(t, "bob reads", bob.texts(), []string{"one", "two", "three"})
	want(t, "he asked for what was missing", len(bob.lacks), 3)
	want(t, "nothing waits", bob.Pending(lobby), 0)
	want(t, "no tick", bob.NextTick(), time.Time{})
}

func TestAnAnswerWaitsForTheQuestionAtMost3Seconds(t *testing.T) {
	alice, bob, carol := join(t, "alice"), join(t, "bob"), join(t, "carol")
	question := alice.says(noon, "who is there?")
	bob.hears(noon, question...)
	answer := bob.says(noon, "me")
	carol.hears(noon, answer...)
	want(t, "too early", carol.texts(), []string(nil))
	want(t, "asked for the question", carol.lacks, []Lack{{Room: lobby, From: deviceOf("relay")}})

	early := join(t, "carol")
	early.hears(noon, answer...)
	early.hears(noon.Add(time.Second), question...)
	want(t, "question, then answer", early.texts(), []string{"who is there?", "me"})

	for now := noon; now.Before(noon.Add(chat.HoldDeps)); now = carol.NextTick() {
		want(t, "still waits", carol.texts(), []string(nil))
		carol.do(now, Tick{})
	}
	carol.do(noon.Add(chat.HoldDeps), Tick{})
	want(t, "the answer alone", carol.texts(), []string{"me"})
	want(t, "no tick", carol.NextTick(), time.Time{})
	carol.hears(noon.Add(time.Minute), question...)
	want(t, "in their order in the end", carol.texts(), []string{"who is there?", "me"})
}

func TestASolicitedEntryWaitsForNoCause(t *testing.T) {
	alice, bob, carol := join(t, "alice"), join(t, "bob"), join(t, "carol")
	bob.hears(noon, alice.says(noon, "question")...)
	answer := bob.says(noon, "answer")
	carol.hears(noon, answer...)
	carol.fetches(noon, answer...)
	want(t, "carol reads", carol.texts(), []string{"answer"})
	want(t, "nothing waits", carol.Pending(lobby), 0)
}

func TestAChainOfCausesIsLetGoAtOnce(t *testing.T) {
	alice, bob, carol, dave := join(t, "alice"), join(t, "bob"), join(t, "carol"), join(t, "dave")
	question := alice.says(noon, "question")
	bob.hears(noon, question...)
	answer := bob.says(noon, "answer")
	carol.hears(noon, append(question, answer...)...)
	comment := carol.says(noon, "comment")
	dave.hears(noon, append(comment, answer...)...)
	want(t, "too early", dave.texts(), []string(nil))
	dave.hears(noon, question...)
	want(t, "all at once", dave.texts(), []string{"question", "answer", "comment"})
}

func TestAFetchedCopyFreesTheWaitingOne(t *testing.T) {
	alice, bob, carol := join(t, "alice"), join(t, "bob"), join(t, "carol")
	first := bob.says(noon, "first")
	bob.hears(noon, alice.says(noon, "question")...)
	answer := bob.says(noon, "answer")
	carol.hears(noon, answer...) // lacks its predecessor and its cause
	carol.fetches(noon, append(answer, first...)...)
	want(t, "carol reads", carol.texts(), []string{"first", "answer"})
}

func TestWhatWasSeenIsNamedOnce(t *testing.T) {
	alice, bob := join(t, "alice"), join(t, "bob")
	said := alice.says(noon, "question")
	bob.hears(noon, said...)
	want(t, "the first names it", bob.says(noon, "answer")[1].Deps, []wire.Dep{{Log: said[0].Log, Seq: 2}})
	want(t, "the next does not", len(bob.says(noon, "and more")[0].Deps), 0)
}

func TestNextTickStaysWhileOthersSpeak(t *testing.T) {
	alice, bob := join(t, "alice"), join(t, "bob")
	said := append(alice.says(noon, "one"), alice.says(noon, "two")...)
	bob.hears(noon, said[0], said[2])
	due := bob.NextTick()
	if due.IsZero() || due.After(noon.Add(chat.HoldDeps)) {
		t.Fatalf("tick due %v", due)
	}
	bob.hears(noon.Add(200*time.Millisecond), join(t, "carol").says(noon, "hi")...)
	want(t, "due", bob.NextTick(), due)
}

func TestAPredecessorThatNeverComesIsForgottenAfterAMinute(t *testing.T) {
	alice, bob := join(t, "alice"), join(t, "bob")
	said := append(alice.says(noon, "one"), alice.says(noon, "two")...)
	bob.hears(noon, said[2])
	bob.do(noon.Add(staleAfter), Tick{})
	want(t, "waits", bob.Pending(lobby), 1)
	bob.do(noon.Add(staleAfter+time.Second), Tick{})
	want(t, "forgotten", bob.Pending(lobby), 0)
	bob.fetches(noon.Add(2*staleAfter), said...)
	want(t, "catch-up brings it", bob.texts(), []string{"one", "two"})
}

func TestAClock3MinutesAheadIsShownAtArrivalAndCarriesNobodysClock(t *testing.T) {
	alice, bob := join(t, "alice"), join(t, "bob")
	said := alice.says(noon.Add(3*time.Minute), "from the future")
	got := bob.hears(noon, said...)
	want(t, "stands at arrival", got[1].Sort, chat.HLCOf(noon))
	later := noon.Add(time.Second)
	answer := bob.do(later, Post{Room: lobby, Text: "your clock is ahead"})
	want(t, "bob's clock is his own", answer[1].Entry.HLC, chat.HLCOf(later)+1) // +1: after his opening
	want(t, "order", bob.texts(), []string{"from the future", "your clock is ahead"})
	want(t, "not named as seen", len(answer[1].Entry.Deps), 0)
}

func TestAClock1MinuteAheadIsBelieved(t *testing.T) {
	alice, bob := join(t, "alice"), join(t, "bob")
	said := alice.says(noon.Add(time.Minute), "hello")
	got := bob.hears(noon, said...)
	want(t, "stands where she says", got[1].Sort, said[1].HLC)
	answer := bob.says(noon, "hi")
	if answer[1].HLC <= said[1].HLC {
		t.Error("the answer is before the question")
	}
}

func TestTheFarFutureIsRefused(t *testing.T) {
	alice, bob := join(t, "alice"), join(t, "bob")
	said := alice.says(noon.Add(chat.MaxFarFuture+time.Minute), "2027")
	want(t, "stored", len(bob.hears(noon, said[0])), 0)
	want(t, "refused", len(bob.refuse), 1)
	want(t, "a relay whose clock is a minute ahead is not blamed", bob.refuse[0].From, chat.DeviceID{})
	said = join(t, "alice").says(noon.Add(3*chat.MaxFarFuture), "2028")
	want(t, "stored", len(bob.hears(noon, said[0])), 0)
	want(t, "refused", len(bob.refuse), 2)
	want(t, "a relay that must have seen it is", bob.refuse[1].From, deviceOf("relay"))
	bob.do(noon, Receive{Room: lobby, Entry: said[0], From: deviceOf("alice")})
	want(t, "and the author always", bob.refuse[2].From, deviceOf("alice"))
}

func TestAClockSetBackAYearOpensOneNewLog(t *testing.T) {
	alice, bob := join(t, "alice"), join(t, "bob")
	year := noon.AddDate(1, 0, 0)
	wrong := alice.says(year, "wrong clock")
	first := alice.says(noon, "set right")
	want(t, "a new log", len(first), 2)
	if first[0].Log == wrong[0].Log {
		t.Fatal("the old log goes on")
	}
	if h := first[1].HLC; h > chat.HLCOf(noon.Add(chat.MaxFuture)) {
		t.Errorf("the new log is still ahead: %v", h.Time())
	}
	for i := range 100 {
		said := alice.says(noon.Add(time.Duration(i)*time.Second), "more")
		want(t, "entries", len(said), 1)
	}
	// And so it is after a restart.
	again := join(t, "alice")
	again.cfg.NewSalt = salts("alice's second")
	again.do(noon, Restore{Room: lobby, Logs: frontier(alice.stored)})
	want(t, "goes on with the new log", len(again.says(noon.Add(time.Hour), "hello")), 1)
	bob.fetches(noon, first...)
	want(t, "others read it", bob.texts(), []string{"set right"})
}

func TestAnEntryUnderTheTagOfAnotherRoomIsRefusedAndNobodyBlamed(t *testing.T) {
	alice, bob := join(t, "alice"), join(t, "bob")
	other := chat.OpenRoom("#other")
	bob.do(noon, Enter{Room: other})
	said := alice.says(noon, "for the lobby")
	got := bob.do(noon, Receive{Room: other, Entry: said[0], From: deviceOf("relay")})
	want(t, "stored", len(got), 0)
	want(t, "refused", len(bob.refuse), 1)
	want(t, "blamed", bob.refuse[0].From, chat.DeviceID{})
	bob.do(noon, Receive{Room: other, Entry: said[0], From: deviceOf("relay"), Solicited: true})
	want(t, "blamed in a session", bob.refuse[1].From, deviceOf("relay"))
}

func TestWhatTheStoreDidNotTakeLeavesNoHole(t *testing.T) {
	alice, bob := join(t, "alice"), join(t, "bob")
	said := alice.says(noon, "stored")
	kept := frontier(alice.stored)
	alice.says(noon, "not stored") // and so never sent
	alice.do(noon, Restore{Room: lobby, Logs: kept})
	next := alice.says(noon, "stored again")
	want(t, "the number is used again", next[0].Seq, said[1].Seq+1)
	bob.hears(noon, append(said, next...)...)
	want(t, "bob reads", bob.texts(), []string{"stored", "stored again"})
	want(t, "still in the room", alice.Entered(lobby), true)
}

func TestANewNameIsToldWhereThePersonHasSpoken(t *testing.T) {
	alice, bob := join(t, "alice"), join(t, "bob")
	alice.do(noon, Enter{Room: chat.OpenRoom("#silent")})
	bob.hears(noon, alice.says(noon, "hi")...)
	told := alice.do(noon, Rename{Name: "Alice\u202e the Great"})
	want(t, "rooms told", len(told), 1)
	got := bob.hears(noon, entries(told)...)
	want(t, "cleaned", got[0].Name, "Alice the Great")
	long := alice.do(noon, Rename{Name: strings.Repeat("long ", 100)})
	want(t, "others take a long name", len(bob.hears(noon, entries(long)...)), 1)
	want(t, "a log opened later carries it", alice.do(noon, Post{Room: chat.OpenRoom("#silent"), Text: "hi"})[0].Name, chat.CleanName(strings.Repeat("long ", 100)))
}

func TestWhatCannotBeSaidIsDeniedWithAReason(t *testing.T) {
	alice := join(t, "alice")
	for i, c := range []struct {
		room chat.RoomID
		text string
		code chat.Code
	}{
		{chat.OpenRoom("#elsewhere"), "hi", chat.CodeNotJoined},
		{lobby, "", chat.CodeEmpty},
		{lobby, " \n\u200b\x00", chat.CodeEmpty},
		{lobby, strings.Repeat("x", chat.MaxText+1), chat.CodeTooLong},
		{lobby, strings.Repeat("\xffx", chat.MaxText/2), chat.CodeTooLong},
	} {
		want(t, "stored", len(alice.do(noon, Post{Room: c.room, Text: c.text, Ref: uint64(i)})), 0)
		want(t, "ref", alice.denied[i].Ref, uint64(i))
		want(t, "code", chat.CodeOf(alice.denied[i].Err), c.code)
	}
	want(t, "no log was opened", len(alice.Frontier(lobby)), 0)
}

func TestTextThatIsNotUTF8IsMendedBeforeItIsSigned(t *testing.T) {
	alice, bob := join(t, "alice"), join(t, "bob")
	bob.hears(noon, alice.says(noon, "a\xffb")...)
	want(t, "bob reads", bob.texts(), []string{"a\uFFFDb"})
}

func TestARoomThatWasLeftTakesNothing(t *testing.T) {
	alice, bob := join(t, "alice"), join(t, "bob")
	said := append(alice.says(noon, "one"), alice.says(noon, "two")...)
	bob.hears(noon, said[0], said[2])
	bob.do(noon, Exit{Room: lobby})
	want(t, "nothing waits", bob.Pending(lobby), 0)
	want(t, "no tick", bob.NextTick(), time.Time{})
	want(t, "taken", len(bob.hears(noon, said...)), 0)
	want(t, "rooms", len(bob.Rooms()), 0)
	bob.do(noon, Enter{Room: lobby})
	bob.hears(noon, said...)
	want(t, "in it again", bob.texts(), []string{"one", "two"})
	bob.do(noon, Exit{Room: chat.OpenRoom("#never")})
}

func TestEveryInputAndEffectIsOfThePackage(t *testing.T) {
	// A new input must be handled: the engine panics on none and ignores none of
	// these. The lists are the unions; the compiler keeps strangers out.
	for _, in := range []Input{Enter{}, Exit{}, Restore{}, Post{}, Rename{}, Receive{}, Forked{}, Tick{}} {
		in.isInput()
		join(t, "alice").Handle(noon, in)
	}
	for _, ef := range []Effect{Commit{}, Refuse{}, Lack{}, Fork{}, Recheck{}, Deny{}} {
		ef.isEffect()
	}
}

func TestOnlyWhatIsSurelyHeldCountsAsHeld(t *testing.T) {
	alice, bob := join(t, "alice"), join(t, "bob")
	said := alice.says(noon, "one")
	said = append(said, alice.says(noon.Add(time.Second), "two")...)
	bob.hears(noon, said...)
	for i := range said {
		want(t, "held", bob.Held(lobby, &said[i]), true)
	}
	newer := alice.says(noon.Add(2*time.Second), "three")[0]
	want(t, "the next one", bob.Held(lobby, &newer), false)
	other := said[2]
	other.ID[0]++ // another entry with the newest one's number: evidence of a fork
	want(t, "a rival of the newest one", bob.Held(lobby, &other), false)
	want(t, "in a room that is not known", bob.Held(chat.OpenRoom("#elsewhere"), &said[0]), false)
}
