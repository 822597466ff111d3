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
	want(t, "blamed", bob.refuse[0].From, deviceOf("relay"))
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

func TestTheRoomOfAnEntryIsWhatItsAuthorSigned(t *testing.T) {
	alice, bob := join(t, "alice"), join(t, "bob")
	for _, name := range []string{"#a", "#b", "#c"} {
		bob.do(noon, Enter{Room: chat.OpenRoom(name)})
	}
	said := alice.says(noon, "for the lobby")
	for range 2 {
		id, ok := bob.RoomOf(&said[0])
		want(t, "room", id, lobby)
		want(t, "known", ok, true)
		bob.hears(noon, said...)
	}
	bob.do(noon, Exit{Room: lobby})
	_, ok := bob.RoomOf(&said[0])
	want(t, "after leaving", ok, false)
}

func TestNobodyWritesInAnothersLog(t *testing.T) {
	alice, bob := join(t, "alice"), join(t, "bob")
	said := alice.says(noon, "mine")
	bob.hears(noon, said...)
	h := after(said[1], wire.KindMessage)
	got := bob.hears(noon, forge(t, "mallory", h, wire.Message{Text: "also alice's"}))
	want(t, "stored", len(got), 0)
	want(t, "blamed", bob.refuse[0].From, deviceOf("mallory"))
	want(t, "forks", len(bob.forks), 0)
	want(t, "alice goes on", len(bob.hears(noon, alice.says(noon, "still mine")...)), 1)
}

func TestNobodyTakesTheNameOfAnothersLog(t *testing.T) {
	alice, bob := join(t, "alice"), join(t, "bob")
	said := alice.says(noon, "mine")
	h := said[0].Header
	for _, salt := range [][]byte{make([]byte, wire.SaltSize), alicesSalt(t, said[0])} {
		squat := forge(t, "mallory", h, wire.Open{Certificate: certificateOf("mallory"), Name: "mallory", Salt: salt})
		want(t, "stored", len(bob.hears(noon, squat)), 0)
	}
	want(t, "refused", len(bob.refuse), 2)
	want(t, "alice is heard", len(bob.hears(noon, said...)), 2)
}

func alicesSalt(t *testing.T, e wire.Entry) []byte {
	t.Helper()
	open, err := wire.DecodeOpen(e.Payload)
	if err != nil {
		t.Fatal(err)
	}
	return open.Salt
}

func TestAWaitingForgeryNeitherFreezesNorDelaysTheTrueLog(t *testing.T) {
	alice, bob := join(t, "alice"), join(t, "bob")
	said := append(alice.says(noon, "one"), alice.says(noon, "two")...)
	// Mallory claims the second and third place before the first has come.
	for _, e := range said[1:] {
		h := e.Header
		h.Prev[0] ^= 1
		bob.hears(noon, forge(t, "mallory", h, wire.Message{Text: "forged"}))
	}
	bob.hears(noon, said[2], said[1], said[0])
	want(t, "bob reads", bob.texts(), []string{"one", "two"})
	want(t, "forks", len(bob.forks), 0)
	want(t, "nothing waits", bob.Pending(lobby), 0)
}

func TestALogWithoutItsOwnCertificateIsRefused(t *testing.T) {
	bob := join(t, "bob")
	open, h := opening(t, "mallory", chat.HLCOf(noon))
	payload, err := wire.DecodeOpen(open.Payload)
	if err != nil {
		t.Fatal(err)
	}
	payload.Certificate = certificateOf("alice")
	want(t, "another's", len(bob.hears(noon, forge(t, "mallory", h, payload))), 0)
	payload.Certificate = []byte("none")
	want(t, "none", len(bob.hears(noon, forge(t, "mallory", h, payload))), 0)
	want(t, "no opening", len(bob.hears(noon, forge(t, "mallory", h, wire.Message{Text: "x"}))), 0)
	want(t, "blamed", []chat.DeviceID{bob.refuse[0].From, bob.refuse[1].From, bob.refuse[2].From}, []chat.DeviceID{deviceOf("mallory"), deviceOf("mallory"), deviceOf("mallory")})
	want(t, "her own", len(bob.hears(noon, open)), 1)
}

func TestAnEntryNoNewerThanTheOneBeforeItIsRefused(t *testing.T) {
	bob := join(t, "bob")
	open, _ := opening(t, "mallory", chat.HLCOf(noon))
	h := after(open, wire.KindMessage)
	h.HLC = open.HLC
	bob.hears(noon, open, forge(t, "mallory", h, wire.Message{Text: "same time"}))
	want(t, "stored", len(bob.stored), 1)
	want(t, "blamed", bob.refuse[0].From, deviceOf("mallory"))
}

func TestAMalformedPayloadIsRefusedAndTheLogStopsThere(t *testing.T) {
	for name, payload := range map[wire.Kind]any{
		wire.KindMessage: wire.Message{Text: strings.Repeat("x", chat.MaxText+1)},
		wire.KindProfile: wire.Profile{Name: strings.Repeat("x", chat.MaxName+1)},
	} {
		bob := join(t, "bob")
		open, _ := opening(t, "mallory", chat.HLCOf(noon))
		bad := forge(t, "mallory", after(open, name), payload)
		next := forge(t, "mallory", after(bad, wire.KindMessage), wire.Message{Text: "next"})
		bob.hears(noon, open, bad, next)
		want(t, "stored", len(bob.stored), 1)
		want(t, "refused", len(bob.refuse), 1)
	}
}

func TestAKindFromTheFutureIsKeptAndShowsNothing(t *testing.T) {
	bob := join(t, "bob")
	open, _ := opening(t, "alice", chat.HLCOf(noon))
	future := forge(t, "alice", after(open, 200), []int{1, 2, 3})
	said := forge(t, "alice", after(future, wire.KindMessage), wire.Message{Text: "hello"})
	bob.hears(noon, open, future, said)
	want(t, "stored", len(bob.stored), 3)
	want(t, "shown", bob.texts(), []string{"hello"})
}

func TestARemovedPayloadLeavesTheLogWhole(t *testing.T) {
	alice, bob := join(t, "alice"), join(t, "bob")
	said := append(alice.says(noon, "regretted"), alice.says(noon, "kept")...)
	said[1].Payload = nil
	bob.fetches(noon, said...)
	want(t, "stored", len(bob.stored), 3)
	want(t, "shown", bob.texts(), []string{"kept"})
}

func TestAForkedLogIsFrozen(t *testing.T) {
	open, _ := opening(t, "alice", chat.HLCOf(noon))
	one := forge(t, "alice", after(open, wire.KindMessage), wire.Message{Text: "one"})
	other := forge(t, "alice", after(open, wire.KindMessage), wire.Message{Text: "other"})
	afterOther := forge(t, "alice", after(other, wire.KindMessage), wire.Message{Text: "after other"})
	for name, list := range map[string][]wire.Entry{
		"two with one number":         {open, one, other},
		"a successor of the other":    {open, one, afterOther},
		"both before the first":       {other, open, one},
		"the successor waited for it": {afterOther, open, one},
	} {
		bob := join(t, "bob")
		bob.hears(noon, list...)
		if name == "both before the first" {
			bob.hears(noon, one)
		}
		want(t, name+": forks", bob.forks, []Fork{{Room: lobby, Device: deviceOf("alice"), Log: open.Log}})
		want(t, name+": nothing waits", bob.Pending(lobby), 0)
		last := bob.stored[len(bob.stored)-1].Entry
		want(t, name+": it does not go on", len(bob.hears(noon, forge(t, "alice", after(last, wire.KindMessage), wire.Message{Text: "more"}))), 0)
		want(t, name+": nothing more is asked for", bob.Frontier(lobby)[0].Seq, uint64(wire.MaxSeq))
		want(t, name+": one alarm", len(bob.forks), 1)
	}
}

func TestTwoWhoHoldDifferentBranchesAgreeOnTheRoot(t *testing.T) {
	open, _ := opening(t, "alice", chat.HLCOf(noon))
	one := forge(t, "alice", after(open, wire.KindMessage), wire.Message{Text: "one"})
	other := forge(t, "alice", after(open, wire.KindMessage), wire.Message{Text: "other"})
	bob, carol := join(t, "bob"), join(t, "carol")
	bob.hears(noon, open, one, other)
	carol.hears(noon, open, other, one)
	want(t, "roots", bob.Root(lobby), carol.Root(lobby))
}

func TestAClonedDeviceOpensANewLog(t *testing.T) {
	alice := join(t, "alice")
	clone := join(t, "alice")
	clone.cfg.NewSalt = salts("the clone's")
	said := alice.says(noon, "hello")
	clone.do(noon, Restore{Room: lobby, Logs: frontier(alice.stored)})
	mine := alice.says(noon, "from the one")
	theirs := clone.says(noon, "from the other")
	alice.hears(noon, theirs...)
	want(t, "alarm", len(alice.forks), 1)
	next := alice.says(noon, "again")
	want(t, "a new log", len(next), 2)
	if next[0].Log == said[0].Log {
		t.Error("the forked log goes on")
	}
	// A failing store does not bring the forked log back.
	alice.do(noon, Restore{Room: lobby, Logs: frontier(alice.stored[:3])})
	want(t, "still not the forked log", len(alice.says(noon, "third")), 2)
	want(t, "what was said stays", mine[0].Log, said[0].Log)
}

func TestWhatWasLostHereAndIsHeldByOthersIsWelcomeAndEndsTheLog(t *testing.T) {
	alice, bob := join(t, "alice"), join(t, "bob")
	bob.hears(noon, alice.says(noon, "kept")...)
	kept := frontier(alice.stored)
	bob.hears(noon, alice.says(noon, "lost with the disk")...)
	back := join(t, "alice")
	back.cfg.NewSalt = salts("alice's second")
	back.do(noon, Restore{Room: lobby, Logs: kept})
	back.fetches(noon, entries(bob.stored)...)
	want(t, "alice reads what she said", back.texts(), []string{"lost with the disk"})
	said := back.says(noon.Add(time.Second), "back")
	want(t, "a new log", len(said), 2)
	bob.hears(noon.Add(time.Second), said...)
	want(t, "no fork", len(bob.forks), 0)
	want(t, "bob reads all", bob.texts(), []string{"kept", "lost with the disk", "back"})
}

func TestFreshLogsNeverGoOnWithOldOnes(t *testing.T) {
	alice := join(t, "alice")
	alice.says(noon, "before")
	back := join(t, "alice")
	back.cfg.FreshLogs, back.cfg.NewSalt = true, salts("alice's second")
	back.do(noon, Restore{Room: lobby, Logs: frontier(alice.stored)})
	said := back.says(noon, "after")
	want(t, "a new log", len(said), 2)
	want(t, "and then one log", len(back.says(noon, "more")), 1)
	if said[0].HLC <= alice.stored[1].Entry.HLC {
		t.Error("the clock went back")
	}
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
	for _, in := range []Input{Enter{}, Exit{}, Restore{}, Post{}, Rename{}, Receive{}, Tick{}} {
		in.isInput()
		join(t, "alice").Handle(noon, in)
	}
	for _, ef := range []Effect{Commit{}, Refuse{}, Lack{}, Fork{}, Deny{}} {
		ef.isEffect()
	}
}
