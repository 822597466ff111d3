package room

import (
	"fmt"
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

func TestARoomKnowsWhatItHasJustHeld(t *testing.T) {
	alice, carol, bob := join(t, "alice"), join(t, "carol"), join(t, "bob")
	now := noon
	var roots [][32]byte
	for range 20 {
		for _, m := range []*member{alice, carol} {
			now = now.Add(time.Millisecond)
			for _, en := range m.says(now, "hi") {
				roots = append(roots, bob.Root(lobby))
				bob.hears(now, en)
			}
		}
	}
	for i, root := range roots {
		if !bob.HasHeld(lobby, root) {
			t.Fatalf("step %d is forgotten", i)
		}
	}
	want(t, "now", bob.HasHeld(lobby, bob.Root(lobby)), true)
	want(t, "never", bob.HasHeld(lobby, [32]byte{1}), false)
	alice.says(now, "more")
	want(t, "ahead", bob.HasHeld(lobby, alice.Root(lobby)), false)
	want(t, "moved", bob.MovedAt(lobby), now)
}

func TestAGapIsCountedExactlyAndGoesWhenItFills(t *testing.T) {
	alice, bob := join(t, "alice"), join(t, "bob")
	said := alice.says(noon, "0")
	for range 6 {
		said = append(said, alice.says(noon, "more")...)
	}
	bob.hears(noon, said[:2]...)
	want(t, "none", len(bob.Gaps(lobby)), 0)
	bob.hears(noon, said[5], said[7]) // 6 and 8; 3, 4, 5 and 7 are missing
	gaps := bob.Gaps(lobby)
	if len(gaps) != 1 || gaps[0].Count != 4 || gaps[0].Have != 2 || gaps[0].Want != 8 || gaps[0].Device != deviceOf("alice") || gaps[0].Person != personOf("alice") {
		t.Fatalf("%+v", gaps)
	}
	// Nothing more is known when what showed it is forgotten.
	bob.do(noon.Add(staleAfter+time.Second), Tick{})
	want(t, "waits", bob.Pending(lobby), 0)
	want(t, "then 6 and 8 are shown early", bob.Gaps(lobby)[0].Count, 4)
	bob.fetches(noon.Add(2*staleAfter), said[2:5]...)
	want(t, "one is left", bob.Gaps(lobby)[0].Count, 1)
	bob.fetches(noon.Add(2*staleAfter), said[5:7]...)
	want(t, "filled", len(bob.Gaps(lobby)), 0)
}

func TestWhatAnEntryNamesAsSeenIsMissing(t *testing.T) {
	alice, carol, bob := join(t, "alice"), join(t, "carol"), join(t, "bob")
	question := alice.says(noon, "question")
	carol.hears(noon, question...)
	answer := carol.says(noon.Add(time.Second), "answer")
	bob.fetches(noon.Add(time.Second), answer...)
	gaps := bob.Gaps(lobby)
	if len(gaps) != 1 || gaps[0].Log != question[0].Log || gaps[0].Count != 2 || !gaps[0].Device.IsZero() || gaps[0].Before != answer[1].ID {
		t.Fatalf("%+v", gaps)
	}
	// Whoever has signed that can show it, or is not believed.
	began := noon.Add(2 * time.Second)
	bob.do(began, Settled{Room: lobby, Device: deviceOf("alice"), Began: began})
	want(t, "another says nothing about it", len(bob.Gaps(lobby)), 1)
	bob.do(began, Settled{Room: lobby, Device: deviceOf("carol"), Began: noon})
	want(t, "nor a session that began before", len(bob.Gaps(lobby)), 1)
	bob.do(began, Settled{Room: lobby, Device: deviceOf("carol"), Began: began})
	want(t, "not believed", len(bob.Gaps(lobby)), 0)
}

func TestWhatIsMissingOfARoomIsBoundedWhoeverSaysSo(t *testing.T) {
	bob := join(t, "bob")
	for i := range chat.MaxClaims/chat.MaxClaimsOf + 3 {
		liar := join(t, fmt.Sprint("liar ", i))
		bob.fetches(noon, liar.says(noon, "hi")...)
		for j := range chat.MaxClaimsOf {
			bob.fetches(noon, liar.lies(noon, wire.Dep{Log: chat.LogID{byte(i), byte(j), 1}, Seq: 1 << 40}))
		}
	}
	want(t, "bounded", len(bob.Gaps(lobby)), chat.MaxClaims)
}

// lies says something that names entries as seen which are nowhere.
func (m *member) lies(now time.Time, deps ...wire.Dep) wire.Entry {
	m.t.Helper()
	r := m.rooms[lobby]
	en, err := wire.Sign(keyOf(m.name), wire.Header{
		Log: r.own.Log.Log, Ref: r.own.ref, Seq: r.own.Seq + 1, Prev: r.own.LastID, HLC: r.own.HLC + 1, Kind: wire.KindMessage, Deps: deps,
	}, wire.Marshal(wire.Message{Text: "lies"}))
	if err != nil {
		m.t.Fatal(err)
	}
	r.advance(r.own, &en, en.HLC, now)
	return en
}

func TestWhoInventsEntriesMustNotHideWhatOthersMiss(t *testing.T) {
	bob, alice, mallory := join(t, "bob"), join(t, "alice"), join(t, "mallory")
	bob.fetches(noon, mallory.says(noon, "hi")...)
	for i := range 200 {
		var deps []wire.Dep
		for j := range chat.MaxDeps {
			deps = append(deps, wire.Dep{Log: chat.LogID{byte(i), byte(j + 1)}, Seq: 1 << 40})
		}
		bob.fetches(noon, mallory.lies(noon, deps...))
	}
	want(t, "bounded", len(bob.Gaps(lobby)), chat.MaxClaimsOf)
	said := append(alice.says(noon, "one"), alice.says(noon, "two")...)
	bob.hears(noon, said[0], said[2])
	want(t, "and alice's is known", len(bob.Gaps(lobby)), chat.MaxClaimsOf+1)
	bob.do(noon.Add(time.Second), Settled{Room: lobby, Device: deviceOf("mallory"), Began: noon.Add(time.Second)})
	want(t, "and alone in the end", len(bob.Gaps(lobby)), 1)
}
