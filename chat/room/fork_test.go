package room

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"earshot/chat"
	"earshot/chat/wire"
)

// branches returns a log's beginning, and two versions of how it goes on.
func branches(t testing.TB) (open wire.Entry, one, other []wire.Entry) {
	t.Helper()
	open, _ = opening(t, "alice", chat.HLCOf(noon))
	return open, grow(t, open, "a1", "a2", "a3"), grow(t, open, "b1", "b2", "b3")
}

// grow returns how a log goes on behind an entry.
func grow(t testing.TB, last wire.Entry, texts ...string) (out []wire.Entry) {
	t.Helper()
	for _, text := range texts {
		last = forge(t, "alice", after(last, wire.KindMessage), wire.Message{Text: text})
		out = append(out, last)
	}
	return out
}

// part does what a node does about an entry that contradicts what is held: where both
// follow the same one, that is where they part.
func (m *member) part(other *wire.Entry) bool {
	m.t.Helper()
	of := logOf(other)
	for i := range m.stored {
		held := &m.stored[i].Entry
		if logOf(held) != of || held.Seq != other.Seq || held.Prev != other.Prev || held.ID == other.ID {
			continue
		}
		for j := range m.stored {
			if trunk := &m.stored[j].Entry; trunk.ID == held.Prev && trunk.Log == held.Log {
				m.do(noon, Split{Room: lobby, Log: held.Log, Seq: trunk.Seq, Last: trunk.ID, HLC: trunk.HLC, First: held.ID})
				return true
			}
		}
	}
	return false
}

// meets takes entries from a session, and parts what contradicts what is held.
func (m *member) meets(list ...wire.Entry) {
	m.t.Helper()
	for _, e := range list {
		if slices.ContainsFunc(m.stored, func(r Record) bool { return r.Entry.ID == e.ID }) {
			continue
		}
		m.part(&e)
		m.fetches(noon, e)
	}
}

func TestTheWaysOfAForkedLogAreLogsOfTheirOwn(t *testing.T) {
	open, one, other := branches(t)
	bob, carol := join(t, "bob"), join(t, "carol")
	bob.hears(noon, append([]wire.Entry{open}, one...)...)
	carol.hears(noon, append([]wire.Entry{open}, other...)...)
	want(t, "as much of it is held", bob.Frontier(lobby)[0].Seq, carol.Frontier(lobby)[0].Seq)
	if bob.Root(lobby) == carol.Root(lobby) {
		t.Fatal("nobody sees that it is not the same")
	}
	bob.meets(other...)
	carol.meets(one...)
	want(t, "roots", bob.Root(lobby), carol.Root(lobby))
	want(t, "what is shown", bob.texts(), carol.texts())
	want(t, "messages", len(bob.texts()), 6)
	var names []chat.LogID
	for _, l := range bob.Frontier(lobby) {
		names = append(names, l.Log)
		if l.Log == open.Log {
			want(t, "what they have in common", l.Seq, uint64(1))
		} else {
			want(t, "each way", l.Seq, uint64(4))
		}
	}
	for _, id := range []chat.LogID{open.Log, open.Log.Branch(one[0].ID), open.Log.Branch(other[0].ID)} {
		if !slices.Contains(names, id) {
			t.Errorf("no log %s in %v", id.Short(), names)
		}
	}
	// The same after a restart, and what comes again is no news.
	back := join(t, "bob")
	back.do(noon, Restore{Room: lobby, Logs: frontier(bob.stored)})
	want(t, "root after a restart", back.Root(lobby), bob.Root(lobby))
	back.stored = bob.stored
	back.fetches(noon, append(append([]wire.Entry{open}, one...), other...)...)
	want(t, "stored", len(back.stored), 7)
	more := grow(t, other[2], "b4")
	back.hears(noon, more...)
	want(t, "both ways go on", len(back.texts()), 7)
	want(t, "nobody is blamed", len(back.refuse), 0)
}

// A tree of ways reaches everybody in another order, each way in its own.
func TestAllHoldAllWaysInWhateverOrderTheyCome(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		open, _ := opening(t, "alice", chat.HLCOf(noon))
		all := []wire.Entry{open}
		var leaves [][]wire.Entry
		for w := range rapid.IntRange(1, chat.MaxBranches).Draw(rt, "ways") {
			trunk := []wire.Entry{open}
			if len(leaves) > 0 {
				from := leaves[rapid.IntRange(0, len(leaves)-1).Draw(rt, "from")]
				// Where it parts: not behind the end, or it would be no other way.
				trunk = slices.Clone(from[:rapid.IntRange(1, len(from)-1).Draw(rt, "at")])
			}
			for i := range rapid.IntRange(1, 4).Draw(rt, "length") {
				trunk = append(trunk, grow(t, trunk[len(trunk)-1], fmt.Sprintf("%d.%d", w, i))...)
				all = append(all, trunk[len(trunk)-1])
			}
			leaves = append(leaves, trunk)
		}
		var first *member
		for range 3 {
			m := join(t, "bob")
			for i, way := range rapid.Permutation(leaves).Draw(rt, "order") {
				m.meets(way[:rapid.IntRange(0, len(way)).Draw(rt, "part")]...)
				if i == 1 {
					stored := m.stored
					m = join(t, "bob")
					m.do(noon, Restore{Room: lobby, Logs: frontier(stored)})
					m.stored = stored
				}
			}
			for _, way := range leaves {
				m.meets(way...)
			}
			if len(m.stored) != len(all) || len(m.refuse) > 0 {
				rt.Fatalf("%d of %d entries, refused %v", len(m.stored), len(all), m.refuse)
			}
			if first == nil {
				first = m
				continue
			}
			if m.Root(lobby) != first.Root(lobby) {
				rt.Fatalf("held %v and %v", m.Frontier(lobby), first.Frontier(lobby))
			}
			if !slices.Equal(m.texts(), first.texts()) {
				rt.Fatalf("shown %v and %v", m.texts(), first.texts())
			}
		}
	})
}

func TestAForkIsSaidAndStopsNothing(t *testing.T) {
	open, one, other := branches(t)
	for name, list := range map[string][]wire.Entry{
		"two with one number":         {open, one[0], other[0]},
		"a successor of the other":    {open, one[0], other[1]},
		"the successor waited for it": {other[1], open, one[0]},
	} {
		bob := join(t, "bob")
		bob.hears(noon, list...)
		if len(bob.forks) != 1 || bob.forks[0].Log != open.Log || bob.forks[0].Device != deviceOf("alice") || bob.forks[0].From != deviceOf("relay") {
			t.Fatalf("%s: forks %+v", name, bob.forks)
		}
		held := bob.stored[bob.forks[0].Held-1].Entry
		want(t, name+": what is shown contradicts what is held", wire.Contradict(&held, &bob.forks[0].Other), true)
		bob.do(noon, Forked{Room: lobby, Log: open.Log})
		want(t, name+": it is known", bob.IsForked(lobby, open.Log), true)
		bob.hears(noon, one[1:]...)
		want(t, name+": what follows what is held", bob.texts(), []string{"a1", "a2", "a3"})
	}
}

func TestAForkBelowTheEndOfALogIsLookedInto(t *testing.T) {
	open, one, other := branches(t)
	bob := join(t, "bob")
	bob.hears(noon, open, one[0], one[1], other[0])
	want(t, "asked about", bob.rechecks, []Recheck{{Room: lobby, Entry: other[0], From: deviceOf("relay")}})
	want(t, "not taken for a fork before it is known", len(bob.forks), 0)
	want(t, "it parts", bob.part(&other[0]), true)
	bob.do(noon, Split{Room: lobby, Log: open.Log, Seq: 1, Last: open.ID, HLC: open.HLC, First: one[0].ID})
	want(t, "once", len(bob.Ways(lobby, open.Log)), 2)
	want(t, "it is known from where", bob.IsForked(lobby, open.Log), false)
}

// Only who holds a device's key can do this, and gains nothing.
func TestFurtherWaysOfALogAreDroppedAndSaid(t *testing.T) {
	open, _ := opening(t, "alice", chat.HLCOf(noon))
	bob := join(t, "bob")
	bob.hears(noon, open)
	var last wire.Entry
	for i := range chat.MaxBranches + 2 {
		way := grow(t, open, fmt.Sprint("way ", i))
		bob.meets(way...)
		last = way[0]
	}
	want(t, "ways", len(bob.texts()), chat.MaxBranches)
	want(t, "said", bob.crowded, slices.Repeat([]Crowded{{Room: lobby, Device: deviceOf("alice"), Log: open.Log}}, 2))
	bob.hears(noon, grow(t, last, "more")...)
	want(t, "nor what follows", len(bob.texts()), chat.MaxBranches)
	want(t, "nobody is blamed", len(bob.refuse), 0)
}

// A log whose first entry has two versions is frozen: nothing is common to them.
func TestALogWithTwoBeginningsIsFrozen(t *testing.T) {
	open, h := opening(t, "alice", chat.HLCOf(noon))
	h.HLC++
	salt := salts("alice forged")()
	other := forge(t, "alice", h, wire.Open{Certificate: certificateOf("alice"), Name: "alice", Salt: salt[:]})
	bob, carol := join(t, "bob"), join(t, "carol")
	bob.hears(noon, open, other)
	carol.hears(noon, other, open)
	want(t, "said", len(bob.forks)+len(carol.forks), 2)
	want(t, "nothing more is asked for", bob.Frontier(lobby)[0].Seq, uint64(wire.MaxSeq))
	want(t, "roots", bob.Root(lobby), carol.Root(lobby))
	want(t, "it does not go on", len(bob.hears(noon, grow(t, open, "more")...)), 0)
	for name, in := range map[string][]Input{
		"after a restart": {Restore{Room: lobby, Logs: frontier(bob.stored), Forked: map[chat.LogID]bool{open.Log: true}}},
		"as is told":      {Restore{Room: lobby, Logs: frontier(bob.stored)}, Forked{Room: lobby, Log: open.Log, Nothing: true}},
	} {
		back := join(t, "bob")
		for _, in := range in {
			back.do(noon, in)
		}
		want(t, "root "+name, back.Root(lobby), bob.Root(lobby))
	}
}

func TestADeviceMustNotAppendToItsForkedLog(t *testing.T) {
	open, one, other := branches(t)
	var held []Record
	for _, e := range append([]wire.Entry{open}, one[0]) {
		held = append(held, Record{Room: lobby, Entry: e, Person: personOf("alice"), Sort: e.HLC})
	}
	split := Split{Room: lobby, Log: open.Log, Seq: 1, Last: open.ID, HLC: open.HLC, First: one[0].ID}
	restore := Restore{Room: lobby, Logs: frontier(held)}
	for name, in := range map[string][]Input{
		"as what came shows":   {restore, Receive{Room: lobby, Entry: other[0], Solicited: true}},
		"as others have shown": {restore, Forked{Room: lobby, Log: open.Log}, restore}, // as after a failing store
		"after a restart":      {Restore{Room: lobby, Logs: frontier(held), Forked: map[chat.LogID]bool{open.Log: false}}},
		"where it parted":      {restore, split},
	} {
		alice := join(t, "alice")
		for _, in := range in {
			alice.do(noon, in)
		}
		for _, e := range alice.says(noon.Add(time.Second), "again") {
			if e.Log == open.Log || e.Prev == one[0].ID {
				t.Error(name + ": the forked log goes on")
			}
		}
	}
	// Nor once the ways are told apart and it has restarted.
	alice := join(t, "alice")
	alice.stored = held
	alice.do(noon, restore)
	alice.meets(other...)
	back := join(t, "alice")
	back.do(noon, Restore{Room: lobby, Logs: frontier(alice.stored)})
	if next := back.says(noon.Add(time.Second), "again"); len(next) != 2 || next[1].Prev != next[0].ID {
		t.Errorf("it goes on with %v", next)
	}
}

// What names a number of a forked log as seen is answered by any of its ways.
func TestWhatNamesAForkedLogAsSeenMissesNothingThatIsHeld(t *testing.T) {
	open, one, other := branches(t)
	bob := join(t, "bob")
	bob.hears(noon, open)
	dana, _ := opening(t, "dana", chat.HLCOf(noon))
	h := after(dana, wire.KindMessage)
	h.Deps = []wire.Dep{{Log: open.Log, Seq: one[2].Seq}}
	bob.fetches(noon, dana, forge(t, "dana", h, wire.Message{Text: "as you said"}))
	want(t, "missing", len(bob.Gaps(lobby)), 1)
	bob.meets(one[0])
	bob.meets(other[0])
	want(t, "still missing", bob.Gaps(lobby)[0].Count, uint64(2))
	bob.meets(other...)
	want(t, "all is here", len(bob.Gaps(lobby)), 0)
}
