package seal

import (
	"bytes"
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

func TestWhoIsNamedReadsAndTheWireShowsNothing(t *testing.T) {
	alice, bob, carol := trio(t)
	sent := alice.say(office, "the salaries are in the drawer")
	for _, m := range []*member{bob, carol} {
		m.hear(office, sent...)
		m.wantRead("the salaries are in the drawer")
		m.wantPersisted()
	}
	for _, en := range sent {
		for _, secret := range [][]byte{[]byte("salaries"), office[:], bob.device[:], carol.device[:]} {
			if bytes.Contains(append(en.Head, en.Payload...), secret) {
				t.Errorf("an entry of kind %d shows %x", en.Kind, secret)
			}
		}
	}
	opened, _ := last[Opened](bob)
	if opened.View != viewOf(alice, bob, carol) || opened.Device != alice.device || opened.Kind != wire.KindMessage {
		t.Errorf("opened as %+v", opened)
	}
	alice.wantPersisted()
	// Answers go the same way, and an author's own entries open for itself.
	bob.hear(office, sent...)
	alice.hear(office, bob.say(office, "which drawer?")...)
	alice.hear(office, alice.logs[office]...)
	alice.wantRead("which drawer?", "the salaries are in the drawer")
}

func TestAnOutsiderReadsNothing(t *testing.T) {
	alice, _, _ := trio(t)
	eve := newMember(t, "eve")
	eve.share(office, alice, eve)
	eve.hear(office, alice.say(office, "secret")...)
	eve.wantRead()
	eve.wantReason(NotShared)
}

func TestARemovedMemberReadsNoLaterMessage(t *testing.T) {
	alice, bob, carol := trio(t)
	before := alice.say(office, "before")
	alice.share(office, alice, bob) // Carol is removed
	after := alice.say(office, "after")
	for _, m := range []*member{bob, carol} {
		m.hear(office, before...)
		m.hear(office, after...)
	}
	bob.wantRead("before", "after")
	carol.wantRead("before")
	carol.wantReason(NotShared)
	if before[1].Epoch == after[1].Epoch {
		t.Error("the epoch went on after a removal")
	}
	// Nor by asking.
	epoch := after[1].Epoch
	ask := carol.sign(office, wire.KindKeyRequest, epoch, wire.Marshal(request{Suite: Suite, Prekey: carol.Prekey().Bytes()}))
	if got := alice.hear(office, ask); len(got) != 0 {
		t.Error("a removed member was answered")
	}
	// Nor what it was entitled to once: it is not a recipient any more.
	ask = carol.sign(office, wire.KindKeyRequest, before[1].Epoch, wire.Marshal(request{Suite: Suite, Prekey: carol.Prekey().Bytes()}))
	if got := alice.hear(office, ask); len(got) != 0 {
		t.Error("a removed member was answered for the past")
	}
}

func TestARemovalThatIsTakenBackStartsANewEpochAllTheSame(t *testing.T) {
	alice, bob, carol := trio(t)
	first := alice.say(office, "one")
	alice.share(office, alice, bob)
	alice.share(office, alice, bob, carol)
	second := alice.say(office, "two")
	if first[0].Epoch == second[0].Epoch {
		t.Error("an epoch survived the removal of a recipient")
	}
}

func TestARevokedDeviceReadsNothingSaidAfterwards(t *testing.T) {
	// Alice's other device is a recipient as everybody else's.
	alice, bob, _ := trio(t)
	laptop := newMember(t, "alice's laptop")
	meet(office, alice, bob, laptop)
	first := alice.say(office, "from the desk")
	laptop.hear(office, first...)
	laptop.wantRead("from the desk")
	for _, m := range []*member{alice, bob} {
		m.share(office, alice, bob)
	}
	laptop.hear(office, alice.say(office, "the laptop was stolen")...)
	laptop.hear(office, bob.say(office, "oh no")...)
	laptop.wantRead("from the desk")
}

func TestANewcomerReadsFromTheCurrentPointOnly(t *testing.T) {
	alice, bob, carol := trio(t)
	alice.share(office, alice, bob)
	var early []wire.Entry
	for _, text := range []string{"one", "two", "three"} {
		early = append(early, alice.say(office, text)...)
	}
	meet(office, alice, bob, carol)
	late := alice.say(office, "welcome")
	if early[0].Epoch != late[0].Epoch || len(late) != 2 {
		t.Fatal("a newcomer costs a new epoch")
	}
	for _, m := range []*member{bob, carol} {
		m.hear(office, early...)
		m.hear(office, late...)
	}
	bob.wantRead("one", "two", "three", "welcome")
	carol.wantRead("welcome")
	carol.hear(office, early[1:]...)
	carol.wantRead("welcome")
	carol.wantReason(TooEarly)
}

func TestAReplayIsNotOpenedTwice(t *testing.T) {
	alice, bob, _ := trio(t)
	sent := alice.say(office, "pay 100")
	bob.hear(office, sent...)
	bob.hear(office, sent...)
	// Its author signs the same box again under another number of its log.
	m := sent[len(sent)-1]
	bob.hear(office, alice.sign(office, m.Kind, m.Epoch, m.Payload))
	bob.wantRead("pay 100")
	bob.wantReason(Replayed)
}

func TestMessagesOpenInAnyOrderOnce(t *testing.T) {
	alice, bob, _ := trio(t)
	var sent []wire.Entry
	for _, text := range []string{"a", "b", "c", "d"} {
		sent = append(sent, alice.say(office, text)...)
	}
	bob.hear(office, sent[0], sent[3], sent[1], sent[4], sent[3], sent[2], sent[1])
	bob.wantRead("c", "a", "d", "b")
	if bob.skipped != 0 {
		t.Errorf("%d skipped keys are left", bob.skipped)
	}
	bob.wantPersisted()
}

func TestAMessageDoesNotOpenInAnotherRoom(t *testing.T) {
	alice, bob, carol := trio(t)
	meet(cellar, alice, bob, carol)
	sent := alice.say(office, "yes")
	bob.hear(cellar, sent...)
	bob.wantRead()
	bob.hear(office, sent...)
	// Not even if Alice gives the chain of one room to the other.
	elsewhere := alice.say(cellar, "no")[1]
	bob.hear(office, alice.forge(elsewhere.Epoch, alice.rooms[cellar].current.start, bob)...)
	bob.hear(office, elsewhere)
	bob.wantRead("yes")
	bob.wantReason(Broken)
	// A share is bound to its room by the name of the slot and by the commitment.
	if s, err := decodeShare(cellar, sent[0].Payload); err != nil {
		t.Fatal(err)
	} else if _, found := s.slotFor(cellar, bob.device); found {
		t.Error("a slot is found in another room")
	}
}

func TestStrippedAndSignedAgainItDoesNotOpen(t *testing.T) {
	alice, bob, carol := trio(t)
	sent := alice.say(office, "my own words")
	bob.hear(office, sent...)
	// Bob signs Alice's share and message as his own.
	stolen := []wire.Entry{
		bob.sign(office, wire.KindKeyShare, sent[0].Epoch, sent[0].Payload),
		bob.sign(office, wire.KindMessage, sent[1].Epoch, sent[1].Payload),
	}
	dave := newMember(t, "dave")
	meet(office, alice, bob, carol, dave)
	carol.hear(office, stolen...)
	carol.wantRead()
	carol.wantRefused(bob.device)
	// Better: he knows the key, and shares it in an epoch of his own.
	ck := alice.rooms[office].current.start
	dave.hear(office, bob.forge(sent[1].Epoch, ck, dave)...)
	dave.hear(office, bob.sign(office, wire.KindMessage, sent[1].Epoch, sent[1].Payload))
	dave.wantRead()
	dave.wantReason(Broken)
	dave.wantRefused(bob.device)
	// It hurts nobody but him.
	carol.hear(office, sent...)
	carol.wantRead("my own words")
}

// forge makes a share of a chain point 0 that m may have from elsewhere.
func (m *member) forge(epoch uint64, ck secret, to ...*member) []wire.Entry {
	m.t.Helper()
	commit := commitment(office, m.device, epoch, 0, ck)
	return m.forgeCommitted(epoch, ck, commit, to...)
}

func (m *member) forgeCommitted(epoch uint64, ck secret, commit [32]byte, to ...*member) (out []wire.Entry) {
	m.t.Helper()
	s := share{Commit: commit}
	for _, o := range to {
		p, err := m.newPair(m.now, o.device, o.Prekey())
		if err != nil {
			m.t.Fatalf("%v", err)
		}
		s.Slots = append(s.Slots, m.slot(p, office, ck, commit, s.View))
	}
	for _, payload := range encodeShare(office, s) {
		out = append(out, m.sign(office, wire.KindKeyShare, epoch, payload))
	}
	return out
}

func TestDifferentKeysForDifferentMembersAreFoundOut(t *testing.T) {
	one, two := secret{1}, secret{2}
	t.Run("the key is not the announced one", func(t *testing.T) {
		alice, bob, carol := trio(t)
		commit := commitment(office, alice.device, 7, 0, one)
		entries := append(alice.forgeCommitted(7, one, commit, bob), alice.forgeCommitted(7, two, commit, carol)...)
		bob.hear(office, entries...)
		carol.hear(office, entries...)
		if a, ok := last[Alarm](carol); !ok || a != (Alarm{Room: office, Device: alice.device, Epoch: 7}) {
			t.Errorf("Carol's alarm is %+v", a)
		}
		carol.wantPersisted()
	})
	t.Run("two announcements of one point", func(t *testing.T) {
		alice, bob, carol := trio(t)
		dave := newMember(t, "dave")
		entries := append(alice.forge(7, one, bob), alice.forge(7, two, carol)...)
		for _, m := range []*member{bob, carol, dave} { // also who is given neither
			m.hear(office, entries...)
			if count[Alarm](m) != 1 {
				t.Errorf("%s raised %d alarms", m.name, count[Alarm](m))
			}
		}
		bob.hear(office, alice.sign(office, wire.KindMessage, 7, message(alice, 7, 0, one, "hi")))
		bob.wantRead()
		bob.wantReason(Disputed)
	})
	t.Run("another chain for a newcomer", func(t *testing.T) {
		alice, bob, _ := trio(t)
		bob.hear(office, alice.forge(7, one, bob)...)
		bob.hear(office, alice.sign(office, wire.KindMessage, 7, message(alice, 7, 0, one, "hi")))
		commit := commitment(office, alice.device, 7, 3, two)
		payload := encodeShare(office, share{N: 3, Commit: commit})[0]
		bob.hear(office, alice.sign(office, wire.KindKeyShare, 7, payload))
		bob.wantRead("hi")
		if count[Alarm](bob) != 1 {
			t.Error("nobody noticed")
		}
	})
	t.Run("another chain before the one that is held", func(t *testing.T) {
		alice, bob, _ := trio(t)
		late := func(ck secret, n uint64) wire.Entry {
			commit := commitment(office, alice.device, 7, n, ck)
			p, err := alice.newPair(alice.now, bob.device, bob.Prekey())
			if err != nil {
				t.Fatal(err)
			}
			s := share{N: n, Commit: commit, Slots: []slot{alice.slot(p, office, ck, commit, [32]byte{})}}
			return alice.sign(office, wire.KindKeyShare, 7, encodeShare(office, s)[0])
		}
		first := alice.sign(office, wire.KindMessage, 7, message(alice, 7, 1, advance(one, 1), "first"))
		bob.hear(office, late(advance(one, 3), 3), first)
		bob.wantReason(TooEarly)
		bob.hear(office, late(one, 0), first) // its author lets Bob read what was before
		bob.wantRead("first")
		bob.wantPersisted()
		carol := newMember(t, "bob")
		carol.hear(office, late(advance(one, 3), 3), late(two, 0), first)
		carol.wantRead()
		if count[Alarm](carol) != 1 {
			t.Error("nobody noticed")
		}
	})
	t.Run("an honest newcomer raises none", func(t *testing.T) {
		alice, bob, carol := trio(t)
		alice.share(office, alice, bob)
		sent := alice.say(office, "one")
		alice.share(office, alice, bob, carol)
		sent = append(sent, alice.say(office, "two")...)
		bob.hear(office, sent...)
		if count[Alarm](bob) != 0 {
			t.Error("an alarm without reason")
		}
	})
}

// message seals a text under a chain point, as m could for any key it knows.
func message(m *member, epoch, n uint64, ck secret, text string) []byte {
	box := sealBox(ck, [nonceSize]byte{}, []byte(text), sealedAD(office, m.device, epoch, n, wire.KindMessage))
	return wire.Marshal(sealed{Suite: Suite, N: n, Box: box})
}

func TestAnEpochEndsAfterAWeekOrManyMessagesOrOnRequest(t *testing.T) {
	alice, bob, _ := trio(t)
	epoch := func() uint64 {
		sent := alice.say(office, "x")
		return sent[len(sent)-1].Epoch
	}
	first := epoch()
	alice.now = alice.now.Add(EpochLife - time.Second)
	if epoch() != first {
		t.Error("it ended early")
	}
	alice.now = alice.now.Add(time.Second)
	second := epoch()
	if second == first {
		t.Error("an epoch outlived its week")
	}
	alice.do(Rotate{Room: office})
	third := epoch()
	if third == second {
		t.Error("a request was not heeded")
	}
	for range MaxMessages - 1 {
		if epoch() != third {
			t.Fatal("it ended early")
		}
	}
	if epoch() == third {
		t.Error("an epoch had too many messages")
	}
	alice.start()
	alice.share(office, alice, bob)
	fifth := epoch()
	alice.now = alice.now.Add(-time.Hour) // the clock is set back
	if epoch() == fifth {
		t.Error("an epoch from the future went on")
	}
}

func TestSealingWithoutKnowingForWhomIsDenied(t *testing.T) {
	alice := newMember(t, "alice")
	check := func(code chat.Code) {
		t.Helper()
		if d, ok := last[Deny](alice); !ok || d.Ref != 1 || chat.CodeOf(d.Err) != code {
			t.Errorf("denied with %+v, want %s", d, code)
		}
	}
	alice.say(office, "anybody?")
	check(chat.CodeNotJoined)
	alice.share(office, alice)
	alice.say(office, string(make([]byte, MaxPlaintext+1)))
	check(chat.CodeTooLong)
	alice.do(Seal{Room: office, Kind: wire.KindKeyShare, Ref: 1})
	check(chat.CodeUsage)
	alice.share(office, make([]*member, 0)...)
	if sent := alice.say(office, string(make([]byte, MaxPlaintext))); len(sent) != 2 || len(sent[1].Payload) > chat.MaxPayload {
		t.Error("alone in a room, the longest text is not sealed")
	}
	if count[Deny](alice) != 3 {
		t.Error("denied too often")
	}
}

func TestAnEntryInClearIsRefusedInASealedRoom(t *testing.T) {
	alice, bob, _ := trio(t)
	bob.hear(office, alice.sign(office, wire.KindMessage, 0, wire.Marshal(wire.Message{Text: "trust me"})))
	bob.wantRead()
	bob.wantReason(Broken)
	bob.wantRefused(alice.device)
	removed := alice.say(office, "x")[1]
	removed.Payload = nil
	bob.hear(office, removed)
	bob.wantReason(Removed)
}
