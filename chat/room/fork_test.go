package room

import (
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

// branches returns a log's beginning, and two versions of how it goes on.
func branches(t *testing.T) (open wire.Entry, one, other []wire.Entry) {
	t.Helper()
	open, _ = opening(t, "alice", chat.HLCOf(noon))
	grow := func(texts ...string) (out []wire.Entry) {
		last := open
		for _, text := range texts {
			last = forge(t, "alice", after(last, wire.KindMessage), wire.Message{Text: text})
			out = append(out, last)
		}
		return out
	}
	return open, grow("a1", "a2", "a3"), grow("b1", "b2", "b3")
}

func TestEvidenceMustNotKeepAMemberFromWhatOthersHold(t *testing.T) {
	open, one, _ := branches(t)
	bob, carol := join(t, "bob"), join(t, "carol")
	bob.hears(noon, append([]wire.Entry{open}, one...)...)
	bob.do(noon, Forked{Room: lobby, Log: open.Log, Seq: 2}) // found deep in the log
	carol.hears(noon, open)
	carol.do(noon, Forked{Room: lobby, Log: open.Log, Seq: 2, Told: true})
	want(t, "it is known to be forked", carol.IsForked(lobby, open.Log), true)
	want(t, "what is held is said", carol.Frontier(lobby)[0].Seq, uint64(1))
	if carol.Root(lobby) == bob.Root(lobby) {
		t.Fatal("no session would bring the rest")
	}
	settled := func(from string, ended ...chat.LogID) {
		carol.do(noon, Settled{Room: lobby, Device: deviceOf(from), Began: noon, Ended: ended})
	}
	settled("bob", open.Log)
	want(t, "a session that brought nothing ends nothing", carol.Frozen(lobby, open.Log), false)
	carol.fetches(noon, one[0])
	settled("dora")
	want(t, "nor does one with who takes the log, too", carol.Frozen(lobby, open.Log), false)
	carol.fetches(noon, one[1:]...)
	want(t, "the whole branch", carol.texts(), []string{"a1", "a2", "a3"})
	settled("bob", open.Log)
	want(t, "it is not continued", carol.Frozen(lobby, open.Log), true)
	want(t, "no session is needed", carol.Root(lobby), bob.Root(lobby))
	more := forge(t, "alice", after(one[2], wire.KindMessage), wire.Message{Text: "more"})
	want(t, "it does not go on", len(carol.hears(noon, more)), 0)
}

func TestAForkedLogThatIsStillTakenStopsAtAContradiction(t *testing.T) {
	open, one, other := branches(t)
	carol := join(t, "carol")
	carol.hears(noon, open, one[0])
	carol.do(noon, Forked{Room: lobby, Log: open.Log, Seq: 4, Told: true})
	carol.fetches(noon, other[1])
	want(t, "it is seen", len(carol.forks), 1)
	want(t, "it is not continued", carol.Frozen(lobby, open.Log), true)
	want(t, "one version", carol.texts(), []string{"a1"})
}

func TestALowerContradictionEndsAForkedLogSooner(t *testing.T) {
	open, one, _ := branches(t)
	carol := join(t, "carol")
	carol.hears(noon, open, one[0])
	carol.do(noon, Forked{Room: lobby, Log: open.Log, Seq: 9, Told: true})
	carol.do(noon, Forked{Room: lobby, Log: open.Log, Seq: 3, Told: true})
	carol.fetches(noon, one[1])
	carol.do(noon, Settled{Room: lobby, Device: deviceOf("bob"), Began: noon, Ended: []chat.LogID{open.Log}})
	want(t, "it is not continued", carol.Frozen(lobby, open.Log), true)
}

func TestARestartMustNotStopAForkedLogBelowTheContradiction(t *testing.T) {
	open, one, _ := branches(t)
	carol := join(t, "carol")
	carol.hears(noon, open)
	back := join(t, "carol")
	back.do(noon, Restore{Room: lobby, Logs: frontier(carol.stored), Forked: map[chat.LogID]uint64{open.Log: 3}})
	back.fetches(noon, one[:2]...)
	want(t, "what others hold", back.texts(), []string{"a1", "a2"})
	again := join(t, "carol")
	again.do(noon, Restore{Room: lobby, Logs: frontier(append(carol.stored, back.stored...)), Forked: map[chat.LogID]uint64{open.Log: 3}})
	want(t, "it is not continued", again.Frozen(lobby, open.Log), true)
}

func TestADeviceMustNotAppendToItsForkedLogThatIsStillTaken(t *testing.T) {
	open, one, _ := branches(t)
	held := []Record{{Room: lobby, Entry: open, Person: personOf("alice"), Sort: open.HLC}}
	for name, in := range map[string][]Input{
		"as others have shown": {
			Restore{Room: lobby, Logs: frontier(held)},
			Forked{Room: lobby, Log: open.Log, Seq: 4, Told: true},
			Restore{Room: lobby, Logs: frontier(held)}, // as after a failing store
		},
		"after a restart": {Restore{Room: lobby, Logs: frontier(held), Forked: map[chat.LogID]uint64{open.Log: 4}}},
	} {
		alice := join(t, "alice")
		for _, in := range in {
			alice.do(noon, in)
		}
		alice.fetches(noon, one[:2]...)
		want(t, name+": what others hold", alice.texts(), []string{"a1", "a2"})
		for _, e := range alice.says(noon.Add(time.Second), "again") {
			if e.Log == open.Log {
				t.Error(name + ": the forked log goes on")
			}
		}
	}
}
