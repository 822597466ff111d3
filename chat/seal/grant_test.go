package seal

import (
	"slices"
	"strings"
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

// keep is share in a room that keeps its history.
func (m *member) keep(room chat.RoomID, with ...*member) []wire.Entry {
	m.t.Helper()
	m.keeps = true
	defer func() { m.keeps = false }()
	return m.share(room, with...)
}

// archive is a room that keeps its history, with two who have talked in three epochs,
// and one who comes later and has all that was said, and no key.
func archive(t testing.TB) (alice, bob, carol *member, past []wire.Entry) {
	alice, bob, carol = newMember(t, "alice"), newMember(t, "bob"), newMember(t, "carol")
	alice.keep(office, alice, bob)
	bob.keep(office, alice, bob)
	past = append(past, alice.say(office, "one")...)
	past = append(past, alice.say(office, "two")...)
	alice.do(Rotate{Room: office})
	past = append(past, alice.say(office, "three")...)
	bob.hear(office, past...)
	past = append(past, bob.say(office, "four")...)
	alice.hear(office, past[len(past)-2:]...)
	bob.wantRead("one", "two", "three")
	for _, m := range []*member{alice, bob, carol} {
		m.keep(office, alice, bob, carol)
	}
	carol.hear(office, past...)
	carol.wantRead()
	return alice, bob, carol, past
}

// again hands over what a device has not opened, as its node does after Learned.
func (m *member) again(room chat.RoomID, entries ...wire.Entry) {
	m.t.Helper()
	opened := map[chat.EntryID]bool{}
	for _, f := range m.effects {
		if o, ok := f.(Opened); ok {
			opened[o.ID] = true
		}
	}
	for _, en := range entries {
		if en.Kind == wire.KindMessage && !opened[en.ID] {
			m.hear(room, en)
		}
	}
}

func TestANewcomerReadsTheHistoryThatAMemberGrants(t *testing.T) {
	alice, bob, carol, past := archive(t)
	grants := bob.Grants(office)
	if len(grants) != 3 {
		t.Fatalf("%d grants of three epochs", len(grants))
	}
	carol.do(Granted{Room: office, From: bob.device, Grants: grants})
	if count[Learned](carol) != 3 || count[Refuse](carol) != 0 {
		t.Fatalf("learned %d epochs, refused %d", count[Learned](carol), count[Refuse](carol))
	}
	carol.again(office, past...)
	carol.wantRead("one", "two", "three", "four")
	carol.wantPersisted()
	// What was granted to it, it grants.
	if got := carol.Grants(office); !slices.Equal(got, grants) {
		t.Errorf("it passes on %d grants of %d", len(got), len(grants))
	}
	// The same again costs nothing.
	before := len(carol.effects)
	carol.do(Granted{Room: office, From: alice.device, Grants: grants})
	if len(carol.effects) != before {
		t.Errorf("a second grant: %+v", carol.effects[before:])
	}
	// And the room goes on.
	carol.hear(office, alice.say(office, "five")...)
	carol.wantRead("one", "two", "three", "four", "five")
}

func TestAGrantThatItsAuthorDidNotAnnounceIsRefusedAndCostsNothing(t *testing.T) {
	_, bob, carol, past := archive(t)
	state := carol.Snapshot()
	for _, g := range bob.Grants(office) {
		for what, forged := range map[string]Grant{
			"another key":   {Device: g.Device, Epoch: g.Epoch, N: g.N, Key: [32]byte{1}},
			"no key":        {Device: g.Device, Epoch: g.Epoch, N: g.N},
			"another point": {Device: g.Device, Epoch: g.Epoch, N: g.N + 1, Key: g.Key},
			"another epoch": {Device: g.Device, Epoch: g.Epoch + 1, N: g.N, Key: g.Key},
			"another room's": {
				Device: g.Device, Epoch: g.Epoch, N: g.N,
				Key: [32]byte(nextPoint(g.Key)),
			},
		} {
			carol.do(Granted{Room: office, From: bob.device, Grants: []Grant{forged}})
			if count[Learned](carol) != 0 {
				t.Fatalf("%s was believed", what)
			}
		}
	}
	carol.wantRefused(bob.device)
	after := carol.Snapshot()
	for k := range after {
		if strings.HasPrefix(k, stateGrant+"/") { // of a point that is not announced, perhaps not yet
			delete(after, k)
		}
	}
	sameState(t, "carol's keys", after, state)
	carol.again(office, past...)
	carol.wantRead()
	// The true keys are as welcome as before.
	carol.do(Granted{Room: office, From: bob.device, Grants: bob.Grants(office)})
	carol.again(office, past...)
	carol.wantRead("one", "two", "three", "four")
}

func TestAGranterCannotPutItsOwnChainUnderAnothersName(t *testing.T) {
	alice, bob, carol, past := archive(t)
	mallory := newMember(t, "mallory")
	mallory.keep(office, alice, bob, carol)
	mallory.say(office, "forged")
	own := mallory.Grants(office)[0]
	epoch := past[0].Epoch
	carol.do(Granted{Room: office, From: mallory.device, Grants: []Grant{{Device: alice.device, Epoch: epoch, Key: own.Key}}})
	carol.wantRefused(mallory.device)
	forged := carol.Grants(office)
	if len(forged) != 0 {
		t.Fatalf("it holds %+v", forged)
	}
}

func TestAGrantBeforeItsShareWaits(t *testing.T) {
	_, bob, carol, past := archive(t)
	late := newMember(t, "late")
	late.keep(office, carol, bob)
	late.do(Granted{Room: office, From: carol.device, Grants: []Grant{{Device: past[0].Device, Epoch: past[0].Epoch, Key: [32]byte{9}}}})
	late.do(Granted{Room: office, From: bob.device, Grants: bob.Grants(office)})
	if late.grants.count != 4 || count[Learned](late) != 0 {
		t.Fatalf("%d wait", late.grants.count)
	}
	late.hear(office, past...)
	late.wantRead("one", "two", "three", "four")
	late.wantRefused(carol.device) // hers was not the key
	if late.grants.count != 0 || len(late.grants.of) != 0 || len(late.grants.waiting) != 0 {
		t.Errorf("%d still wait", late.grants.count)
	}
	late.wantPersisted()
}

func TestAGrantThatWaitsOutlivesARestart(t *testing.T) {
	_, bob, carol, past := archive(t)
	late := newMember(t, "late")
	late.keep(office, carol, bob)
	late.do(Granted{Room: office, From: bob.device, Grants: bob.Grants(office)})
	late.wantPersisted()
	late.start()
	late.keep(office, carol, bob)
	late.hear(office, past...)
	late.wantRead("one", "two", "three", "four")
	late.wantPersisted()
	// What nobody ever announced is forgotten, from the disk too.
	late.do(Granted{Room: office, From: bob.device, Grants: []Grant{{Device: bob.device, Epoch: 1}}})
	late.start()
	late.now = late.now.Add(grantLife)
	late.do(Tick{})
	late.wantPersisted()
	if late.grants.count != 0 {
		t.Error("it waits for ever")
	}
}

func TestAFloodOfGrantsOfUnknownEpochsIsBounded(t *testing.T) {
	_, bob, carol, _ := archive(t)
	for from := range 6 {
		giver := deviceOf(string(rune('a' + from)))
		for i := range 2 * maxGrantsOf {
			carol.do(Granted{Room: office, From: giver, Grants: []Grant{{Device: bob.device, Epoch: uint64(i + 1)}}})
		}
		if carol.grants.of[giver] > maxGrantsOf {
			t.Fatalf("%d of one giver wait", carol.grants.of[giver])
		}
	}
	if carol.grants.count != maxGrants {
		t.Fatalf("%d wait", carol.grants.count)
	}
	carol.now = carol.now.Add(grantLife)
	carol.do(Tick{})
	if carol.grants.count != 0 || len(carol.grants.of) != 0 {
		t.Errorf("%d wait after a day", carol.grants.count)
	}
	carol.do(Granted{Room: office, From: bob.device, Grants: []Grant{{Device: bob.device, Epoch: 1}}})
	carol.do(Leave{Room: office})
	if carol.grants.count != 0 {
		t.Error("grants wait for a room that was left")
	}
}

func TestARoomThatKeepsNothingGrantsNothingAndTakesNothing(t *testing.T) {
	alice, bob, carol := trio(t)
	sent := alice.say(office, "for bob and carol")
	bob.hear(office, sent...)
	if got := bob.Grants(office); got != nil {
		t.Fatalf("it grants %+v", got)
	}
	if got := alice.Grants(office); got != nil {
		t.Fatalf("its author grants %+v", got)
	}
	// After opening the key is gone, from the disk too.
	ep := bob.rooms[office].epoch(alice.device, sent[0].Epoch)
	if ep.first != (secret{}) || ep.ck == alice.rooms[office].own[sent[0].Epoch].start || len(ep.skipped) != 0 {
		t.Error("the key of what was opened is still there")
	}
	dave := newMember(t, "dave")
	dave.share(office, alice, bob, carol)
	dave.hear(office, sent...)
	start := Grant{Device: alice.device, Epoch: sent[0].Epoch, Key: alice.rooms[office].own[sent[0].Epoch].start}
	dave.do(Granted{Room: office, From: alice.device, Grants: []Grant{start}})
	dave.again(office, sent...)
	dave.wantRead()
	if count[Learned](dave) != 0 {
		t.Error("a room without history took a grant")
	}
}

func TestLeavingForgetsWhatWasKept(t *testing.T) {
	_, bob, _, _ := archive(t)
	bob.do(Leave{Room: office})
	bob.wantPersisted()
	if got := bob.Grants(office); got != nil {
		t.Errorf("it grants %+v", got)
	}
	for k := range bob.state {
		if path := k[:4]; path == "own/" || path == "epoc" || path == "keep" || path == "skip" {
			t.Errorf("%s is still on the disk", k)
		}
	}
}

func TestWhatWasKeptIsForgottenWhenTheRoomKeepsNothingAnyMore(t *testing.T) {
	alice, bob, carol, _ := archive(t)
	bob.share(office, alice, bob, carol)
	if got := bob.Grants(office); got != nil {
		t.Errorf("it grants %+v", got)
	}
	for _, list := range bob.rooms[office].epochs {
		for _, ep := range list {
			if ep.first != (secret{}) {
				t.Error("the start of a chain is still held")
			}
		}
	}
	bob.wantPersisted()
	bob.keep(office, alice, bob, carol)
	for _, g := range bob.Grants(office) {
		if g.Device != bob.device {
			t.Errorf("it found the start of %s's epoch again", g.Device.Short())
		}
	}
}

func TestHistoryIsStillThereAfterAYearAndARestart(t *testing.T) {
	_, bob, carol, past := archive(t)
	want := bob.Grants(office)
	for range 12 {
		bob.now = bob.now.Add(31 * 24 * time.Hour)
		bob.start()
	}
	bob.wantPersisted()
	if got := bob.Grants(office); !slices.Equal(got, want) {
		t.Fatalf("%d grants of %d are left", len(got), len(want))
	}
	carol.now = bob.now
	carol.start()
	carol.do(Granted{Room: office, From: bob.device, Grants: bob.Grants(office)})
	carol.again(office, past...)
	carol.wantRead("one", "two", "three", "four")
	carol.start()
	if got := carol.Grants(office); !slices.Equal(got, want) {
		t.Errorf("%d grants of %d survive a restart", len(got), len(want))
	}
	// Whom it gave its own epochs to is forgotten like anywhere.
	for _, o := range bob.rooms[office].own {
		if len(o.to) != 0 {
			t.Error("it still answers for an epoch of a year ago")
		}
	}
}

func TestAnEarlierPointIsGrantedToWhoCameInTheMiddle(t *testing.T) {
	alice, bob, carol := newMember(t, "alice"), newMember(t, "bob"), newMember(t, "carol")
	alice.keep(office, alice, bob)
	bob.keep(office, alice, bob)
	past := append(alice.say(office, "one"), alice.say(office, "two")...)
	bob.hear(office, past...)
	alice.keep(office, alice, bob, carol)
	carol.keep(office, alice, bob, carol)
	past = append(past, alice.say(office, "three")...)
	carol.hear(office, past...)
	carol.wantRead("three")
	carol.wantReason(NotShared)
	if g := carol.Grants(office); len(g) != 1 || g[0].N != 2 {
		t.Fatalf("she grants %+v", g)
	}
	carol.do(Granted{Room: office, From: bob.device, Grants: bob.Grants(office)})
	carol.again(office, past...)
	carol.wantRead("three", "one", "two")
	carol.wantPersisted()
	if g := carol.Grants(office); len(g) != 1 || g[0].N != 0 {
		t.Errorf("she grants %+v", g)
	}
}

func TestAnAuthorWhoAnnouncedTwoChainsIsFoundOutByAGrant(t *testing.T) {
	_, bob, carol, past := archive(t)
	// Bob signs a commitment to a point of another chain, and grants that one.
	epoch := past[len(past)-1].Epoch
	own := bob.rooms[office].own[epoch]
	fork := func(n uint64, ck secret, slots ...slot) wire.Entry {
		s := share{N: n, Commit: commitment(office, bob.device, epoch, n, ck), View: own.view, Slots: slots}
		return bob.sign(office, wire.KindKeyShare, epoch, encodeShare(office, s)[0])
	}
	point := advance(own.start, 1)
	commit := commitment(office, bob.device, epoch, 1, point)
	pair, err := bob.pair(bob.now, Recipient{Certificate: carol.cert, Prekey: carol.Prekey()})
	if err != nil {
		t.Fatal(err)
	}
	carol.hear(office, fork(1, point, bob.slot(pair, office, point, commit, own.view)))
	if count[Learned](carol) != 1 {
		t.Fatal("she was not given the chain")
	}
	// The chain that the first commitment is of does not lead there.
	other := bob.rooms[office].own[epoch].start
	carol.rooms[office].epoch(bob.device, epoch).ck = secret{7}
	carol.do(Granted{Room: office, From: bob.device, Grants: []Grant{{Device: bob.device, Epoch: epoch, Key: other}}})
	if alarm, ok := last[Alarm](carol); !ok || alarm.Device != bob.device || alarm.Epoch != epoch {
		t.Fatalf("no alarm: %+v", alarm)
	}
	if got := carol.Grants(office); len(got) != 0 {
		t.Errorf("she passes on %+v", got)
	}
	carol.wantPersisted()
}

func TestAMemberWhoFloodsEpochsDrivesOutItsOwn(t *testing.T) {
	alice, bob, carol, _ := archive(t)
	mallory := deviceOf("mallory")
	for i := range maxKeptOf + 10 {
		s := share{Commit: hash("x", uint64Bytes(uint64(i)))}
		carol.do(Receive{Room: office, Entry: wire.Entry{
			Header:  wire.Header{Device: mallory, Kind: wire.KindKeyShare, Epoch: uint64(i + 1)},
			Payload: encodeShare(office, s)[0],
		}})
	}
	if got := len(carol.rooms[office].epochs[mallory]); got != maxKeptOf {
		t.Errorf("%d epochs of one device are known", got)
	}
	for i := range maxKeptOf + 10 {
		bob.do(Rotate{Room: office})
		if err := bob.begin(bob.now.Add(time.Duration(i)*time.Minute), bob.rooms[office]); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(bob.rooms[office].own); got != maxKeptOf {
		t.Errorf("%d own epochs are known", got)
	}
	carol.do(Granted{Room: office, From: alice.device, Grants: alice.Grants(office)})
	if count[Learned](carol) != 3 {
		t.Errorf("%d epochs of the others are known", count[Learned](carol))
	}
}

func TestTheEpochsOfAllRoomsAreBoundedTogether(t *testing.T) {
	m := newMember(t, "carol")
	m.keep(office, m)
	r := m.rooms[office]
	const devices = maxKept/maxKeptOf + 2
	for d := range devices {
		device := chat.DeviceID{byte(d), byte(d >> 8), 1}
		for i := range maxKeptOf - d%2 {
			m.Engine.newEpoch(r, device, uint64(i+1))
		}
	}
	total := 0
	for _, list := range r.epochs {
		if total += len(list); len(list) < maxKept/devices {
			t.Errorf("one device is left %d", len(list))
		}
	}
	if total != maxKept {
		t.Errorf("%d epochs are known", total)
	}
}
