package room

import (
	"slices"
	"strings"
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

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
	back.cfg.FreshAfter, back.cfg.NewSalt = chat.HLCOf(noon)+10, salts("alice's second")
	back.do(noon, Restore{Room: lobby, Logs: frontier(alice.stored)})
	later := noon.Add(time.Second)
	said := back.says(later, "after")
	want(t, "a new log", len(said), 2)
	want(t, "and then one log", len(back.says(later, "more")), 1)
	again := join(t, "alice")
	again.cfg = back.cfg
	again.do(later, Restore{Room: lobby, Logs: frontier(append(slices.Clone(alice.stored), back.stored...))})
	want(t, "which the next run goes on with", len(again.says(later, "still")), 1)
	if said[0].HLC <= alice.stored[1].Entry.HLC {
		t.Error("the clock went back")
	}
}
