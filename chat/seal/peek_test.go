package seal

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"earshot/chat/wire"
)

func (m *member) peek(entries ...wire.Entry) (out []string) {
	for _, p := range m.Peek(office, ofKind(entries, wire.KindKeyShare), ofKind(entries, wire.KindMessage)) {
		out = append(out, string(p.Plaintext))
	}
	return out
}

func (m *member) wantPeek(want []string, entries ...wire.Entry) {
	m.t.Helper()
	if got := m.peek(entries...); !slices.Equal(got, want) {
		m.t.Fatalf("%s sees %q, want %q", m.name, got, want)
	}
}

// Whatever is opened before its turn, in whatever order: nothing changes, and
// everything opens in its turn.
func TestPeekingSpendsNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		alice, bob, _ := trio(t)
		var sent []wire.Entry
		for i := range rapid.IntRange(2, 12).Draw(rt, "messages") {
			if rapid.IntRange(0, 4).Draw(rt, "a new epoch") == 0 {
				alice.start()
				alice.share(office, alice, bob)
			}
			sent = append(sent, alice.say(office, string(rune('a'+i)))...)
		}
		read := 0
		for i, en := range sent {
			if rapid.Bool().Draw(rt, "peek") {
				before, effects := maps.Clone(bob.state), len(bob.effects)
				ahead := sent[i:]
				var want []string
				for j := range ofKind(ahead, wire.KindMessage) {
					want = append(want, string(rune('a'+read+j)))
				}
				if got := bob.peek(ahead...); !slices.Equal(got, want) {
					rt.Fatalf("sees %q, want %q", got, want)
				}
				sameState(rt, "what peeking leaves", bob.state, before)
				bob.wantPersisted()
				if len(bob.effects) != effects {
					rt.Fatal("peeking has effects")
				}
			}
			bob.hear(office, en)
			if en.Kind == wire.KindMessage {
				read++
			}
		}
		if len(bob.read) != read {
			rt.Fatalf("has read %q", bob.read)
		}
	})
}

func TestPeekingShowsNothingThatWouldNotOpen(t *testing.T) {
	alice, bob, carol := trio(t)
	sent := append(alice.say(office, "one"), alice.say(office, "two")...)
	eve := newMember(t, "eve")
	meet(office, eve, bob)
	eve.wantPeek(nil, sent...)     // she has no slot
	bob.wantPeek(nil, sent[1:]...) // no share
	share, one := sent[0], sent[1]
	forged := share
	forged.Device, one.Device = carol.device, carol.device
	bob.wantPeek(nil, forged, one) // another's
	bob.wantPeek([]string{"one"}, share, sent[1], sent[1])
	bob.hear(office, sent...)
	bob.wantPeek(nil, sent...) // their keys are spent
	if !HasSlot(office, &share, bob.device) || HasSlot(office, &share, eve.device) || HasSlot(cellar, &share, bob.device) || HasSlot(office, &sent[1], bob.device) {
		t.Error("slots are found where they are not, or not where they are")
	}
	// A chain that its author has announced otherwise is not followed.
	again := alice.say(office, "three")
	lie := alice.forge(share.Epoch, secret{1}, bob)
	bob.hear(office, lie...)
	bob.wantPeek(nil, again...)
}

func TestOnesOwnWordsAreSeenWhenTheyComeBack(t *testing.T) {
	alice, _, _ := trio(t)
	sent := alice.say(office, "mine")
	alice.wantPeek([]string{"mine"}, sent...)
}
