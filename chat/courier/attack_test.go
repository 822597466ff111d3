package courier

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

// What must not happen, whatever others do.

// offer has b bring an envelope to a, and returns what a answers.
func (w *world) offer(a, b *node, env Envelope) uint8 {
	w.t.Helper()
	n := len(a.sent)
	a.in(Heard{Device: b.device, Frame: wire.Deposit{Envelope: env.Bytes()}})
	w.run()
	for _, f := range a.sent[n:] {
		if f, ok := f.(wire.Answer); ok && ID(f.ID) == env.ID {
			return f.Says
		}
	}
	return 0
}

func TestARemovedMemberMustNotTakeAwayWhatIsForOthers(t *testing.T) {
	w := newWorld(t)
	ann, ben, kim, mal := w.node("Ann"), w.node("Ben"), w.node("Kim"), w.node("Mallory")
	room := w.join("the room", false, ann, ben, mal) // who was in it knows its id for ever
	kim.in(Settings{Keeper: true, Space: KeeperSpace})
	w.meet(ann, kim, Contact)
	ann.say(Key{Room: room}, "for all")
	w.pass(20 * time.Second)
	kim.holds(1)
	w.meet(mal, kim, Stranger)
	id := kim.e.HeldIDs()[0]
	h := kim.e.held[id]
	r, direct := Room{ID: room}, Room{ID: room, With: ben.person}
	for _, secret := range [][32]byte{r.secret(h.Salt), r.proof(h.Salt), r.key(h.Salt), direct.proof(h.Salt), h.Lock, lockOf(h.Lock), {}} {
		kim.in(Heard{Device: mal.device, Frame: wire.Taken{ID: id[:], Secret: secret[:]}})
		kim.in(CarriedProof{Taken: wire.Taken{ID: id[:], Secret: secret[:]}})
		w.run()
	}
	kim.in(Heard{Device: mal.device, Frame: wire.Deposit{Dropped: id[:]}})
	w.run()
	kim.holds(1)
	if kim.blamed[mal] == 0 {
		t.Error("nobody is blamed")
	}
	w.meet(ben, kim, Stranger)
	if !slices.Equal(ben.read, []string{"for all"}) {
		t.Errorf("Ben reads %q", ben.read)
	}
}

func TestAThirdMustNotTakeAwayWhatIsForSomebody(t *testing.T) {
	w := newWorld(t)
	ann, ben, cat, mal := w.node("Ann"), w.node("Ben"), w.node("Cat"), w.node("Mallory")
	room := w.join("Ann and Ben", true, ann, ben)
	w.meet(ann, cat, Contact)
	ann.say(Key{room, ben.person}, "one")
	w.pass(20 * time.Second)
	w.meet(mal, cat, Contact)
	id := cat.e.HeldIDs()[0]
	h := cat.e.held[id]
	proof := Room{ID: room, With: ben.person}.proof(h.Salt) // were it overheard
	for _, secret := range [][32]byte{h.Lock, proof, {}, mac(h.Salt[:], domainSecret)} {
		cat.in(Heard{Device: mal.device, Frame: wire.Taken{ID: id[:], Secret: secret[:]}})
	}
	w.run()
	cat.holds(1)
}

func TestWhoShowsNoProofMustNotBeHandedAnything(t *testing.T) {
	w := newWorld(t)
	ann, ben, cat, eve := w.node("Ann"), w.node("Ben"), w.node("Cat"), w.node("Eve")
	room := w.join("Ann and Ben", true, ann, ben)
	w.meet(ann, cat, Contact)
	ann.say(Key{room, ben.person}, "one")
	w.pass(20 * time.Second)
	w.meet(eve, cat, Contact)
	id := cat.e.HeldIDs()[0]
	h := cat.e.held[id]
	n := len(cat.sent)
	for _, proof := range [][32]byte{h.Lock, lockOf(h.Lock), {}} {
		cat.in(Heard{Device: eve.device, Frame: wire.Take{Envelopes: []wire.TakeEnvelope{{ID: id[:], Proof: proof[:]}}}})
	}
	w.run()
	if len(cat.sent) != n || cat.blamed[eve] != 3 {
		t.Errorf("Cat sends %v and blames Eve %d times", cat.sent[n:], cat.blamed[eve])
	}
}

func TestACourierMustLearnNothingButTagSizeTimesAndDepositor(t *testing.T) {
	w := newWorld(t)
	ann, ben := w.node("Ann"), w.node("Ben")
	room := w.join("Ann and Ben", true, ann, ben)
	r := Room{ID: room, With: ben.person}
	short, long := ann.envelope(r, ben.person, "Tuesday"), ann.envelope(r, ben.person, "Tuesday"+strings.Repeat(".", 600))
	for _, secret := range [][]byte{[]byte("Tuesday"), room[:], room[:8], ben.person[:], []byte("a header"), []byte("a signature")} {
		if bytes.Contains(short.Bytes(), secret) {
			t.Errorf("an envelope shows %q", secret)
		}
	}
	if len(short.Bytes()) != len(long.Bytes()) {
		t.Errorf("%d bytes or %d tell how much was said", len(short.Bytes()), len(long.Bytes()))
	}
	// Who is not in the conversation can tie neither recipients nor weeks together.
	seen := map[Tag]string{}
	for _, r := range []Room{r, {ID: chat.RoomID{1}, With: ben.person}} {
		for _, who := range []chat.PersonID{ann.person, ben.person} {
			for _, at := range []time.Time{w.now, w.now.Add(week)} {
				tag := r.TagOf(who, at)
				if seen[tag] != "" {
					t.Errorf("one tag for %s and for another", seen[tag])
				}
				seen[tag] = fmt.Sprint(r.ID.Short(), who.Short(), at)
			}
		}
	}
	// Nor does a recipient learn more than they know, or anybody the depositor from
	// what is handed over.
	over := wire.EncodeFrame(short.HandOver())
	for _, secret := range [][]byte{ann.device[:], ann.person[:], ann.by.Certificate.Bytes()} {
		if bytes.Contains(over, secret) {
			t.Errorf("what is handed over shows %x", secret)
		}
	}
}

func TestAnEnvelopeThatWasChangedMustNotOpen(t *testing.T) {
	w := newWorld(t)
	ann, ben := w.node("Ann"), w.node("Ben")
	r := Room{ID: w.join("Ann and Ben", true, ann, ben), With: ann.person}
	env := ann.envelope(r, ben.person, "one")
	if _, err := r.Open(&env); err != nil {
		t.Fatal(err)
	}
	if _, err := (Room{ID: chat.RoomID{1}, With: ann.person}).Open(&env); err == nil {
		t.Error("it opens in another room")
	}
	changed := 0
	for i := range env.Bytes() {
		b := bytes.Clone(env.Bytes())
		b[i] ^= 1
		other, err := Parse(b)
		if err != nil {
			continue
		}
		changed++
		if other.Verify() == nil {
			t.Fatalf("with another byte %d it has a signature", i)
		}
	}
	if changed < 100 {
		t.Fatalf("only %d changes were looked at", changed)
	}
	for _, change := range []func(*Envelope){
		func(e *Envelope) { e.Tag[0] ^= 1 },
		func(e *Envelope) { e.Salt[0] ^= 1 },
		func(e *Envelope) { e.Lock[0] ^= 1 },
		func(e *Envelope) { e.Made = e.Made.Add(time.Second) },
		func(e *Envelope) { e.Expires = e.Expires.Add(time.Second) },
		func(e *Envelope) { e.Box = bytes.Clone(e.Box); e.Box[7] ^= 1 },
	} {
		other := env
		change(&other)
		if _, err := r.Open(&other); err == nil {
			t.Errorf("%+v opens", other)
		}
		if f := other.HandOver(); ID(f.ID) == env.ID {
			if _, err := handedOver(&f); err == nil {
				t.Error("another thing under its name is taken")
			}
		}
	}
}

// A courier that brings one envelope under the name of another would else have the
// other one taken for read wherever it is.
func TestOneEnvelopeMustNotPassForAnother(t *testing.T) {
	w := newWorld(t)
	ann, ben, cat, mal := w.node("Ann"), w.node("Ben"), w.node("Cat"), w.node("Mallory")
	room := w.join("Ann and Ben", true, ann, ben)
	r := Room{ID: room, With: ben.person}
	w.meet(ann, cat, Contact)
	ann.say(Key{room, ben.person}, "the true one")
	w.pass(20 * time.Second)
	id := cat.e.HeldIDs()[0]
	old := ann.envelope(r, ben.person, "an old one")
	w.meet(ben, mal, Contact)
	tag := r.TagOf(ben.person, w.now)
	ben.in(Heard{Device: mal.device, Frame: wire.Announce{Tags: tag[:]}})
	ben.in(Heard{Device: mal.device, Frame: wire.Found{Envelopes: []wire.FoundEnvelope{{ID: id[:], Tag: old.Tag[:], Salt: old.Salt[:]}}}})
	f := old.HandOver()
	f.ID = id[:]
	ben.in(Heard{Device: mal.device, Frame: f})
	w.run()
	if ben.blamed[mal] == 0 || len(ben.read) > 0 {
		t.Errorf("Ben takes %q and blames Mallory %d times", ben.read, ben.blamed[mal])
	}
	w.meet(ben, cat, Contact)
	if !slices.Equal(ben.read, []string{"the true one"}) {
		t.Errorf("Ben reads %q", ben.read)
	}
}

func TestWhatNobodyAskedForMustNotBeOpened(t *testing.T) {
	w := newWorld(t)
	ann, ben, mal := w.node("Ann"), w.node("Ben"), w.node("Mallory")
	r := Room{ID: w.join("Ann and Ben", true, ann, ben), With: ben.person}
	w.meet(ben, mal, Contact)
	env := ann.envelope(r, ben.person, "one")
	ben.in(Heard{Device: mal.device, Frame: env.HandOver()})
	w.run()
	if len(ben.read) > 0 {
		t.Errorf("Ben reads %q", ben.read)
	}
}

func TestSomebodyElsesEnvelopeMustNotUseUpTheirQuota(t *testing.T) {
	w := newWorld(t)
	ann, cat, mal := w.node("Ann"), w.node("Cat"), w.node("Mallory")
	w.meet(cat, mal, Contact)
	if says := w.offer(cat, mal, ann.envelope(Room{ID: chat.RoomID{1}, With: ann.person}, ann.person, "one")); says != 0 || cat.blamed[mal] == 0 {
		t.Errorf("Cat answers %d", says)
	}
	// Nor what pretends to be, with a signature of the one who brings it.
	env := ann.envelope(Room{ID: chat.RoomID{1}, With: ann.person}, ann.person, "two")
	forger := mal.by
	forger.Certificate = ann.by.Certificate
	forged, err := forger.Seal(w.now, Room{ID: chat.RoomID{1}, With: ann.person}, ann.person, wire.Marshal(wire.Packet{}))
	if err != nil {
		t.Fatal(err)
	}
	w.meet(cat, ann, Contact)
	if says := w.offer(cat, ann, forged); says != 0 {
		t.Errorf("Cat answers %d to a forgery", says)
	}
	if _, _, err := CarriedFrom(wire.Deposit{Envelope: forged.Bytes()}); err == nil {
		t.Error("a forgery is carried in")
	}
	cat.holds(0)
	if says := w.offer(cat, ann, env); says != wire.AnswerKept {
		t.Errorf("Cat answers %d to Ann's own", says)
	}
}

func TestEachLeavesAsManyAsTheirStandingAllows(t *testing.T) {
	for s, want := range map[Standing]int{Stranger: StrangerQuota, Member: MemberQuota, Contact: ContactQuota, Own: ContactQuota + 20} {
		w := newWorld(t)
		ann, cat := w.node("Ann"), w.node("Cat")
		w.meet(cat, ann, s)
		r := Room{ID: chat.RoomID{1}, With: ann.person}
		var last uint8
		for i := range ContactQuota + 20 {
			last = w.offer(cat, ann, ann.envelope(r, ann.person, fmt.Sprint("word ", i)))
		}
		cat.holds(want)
		if s != Own && last != wire.AnswerQuota {
			t.Errorf("standing %d is told %d", s, last)
		}
		if s != Own { // another device is the same person
			other := w.node("Ann2")
			w.meet(cat, other, s)
			if says := w.offer(cat, other, other.envelope(r, ann.person, "more")); says != wire.AnswerQuota {
				t.Errorf("another device of standing %d is told %d", s, says)
			}
		}
	}
}

func TestStrangersMustNotFillACourier(t *testing.T) {
	w := newWorld(t)
	cat := w.node("Cat")
	cat.in(Settings{Space: MinSpace})
	content := strings.Repeat("all that fits ", 3000)
	full := false
	for i := range 30 {
		n := w.node("Stranger " + string(rune('A'+i)))
		w.meet(cat, n, Stranger)
		for range StrangerQuota {
			says := w.offer(cat, n, n.envelope(Room{ID: chat.RoomID{1}, With: n.person}, n.person, content))
			full = full || says == wire.AnswerFull
			cat.balanced()
		}
		w.part(cat, n)
	}
	if k := cat.e.Keeper(); !full || k.Used > k.Space*StrangerShare/100 || k.Used == 0 {
		t.Errorf("strangers fill %d bytes of %d", k.Used, k.Space)
	}
	// Strangers go first when somebody who matters more needs the room, and somebody of
	// one standing never goes for another.
	ann, ben := w.node("Ann"), w.node("Ben")
	w.meet(cat, ann, Contact)
	w.meet(cat, ben, Contact)
	last := uint8(wire.AnswerKept)
	kept := 0
	for last == wire.AnswerKept {
		if last = w.offer(cat, ann, ann.envelope(Room{ID: chat.RoomID{1}, With: ann.person}, ann.person, content)); last == wire.AnswerKept {
			kept++
		}
		cat.balanced()
	}
	if last != wire.AnswerFull {
		t.Errorf("Ann is told %d", last)
	}
	cat.holds(kept)
	if cat.e.usedBy[Stranger] != 0 {
		t.Errorf("strangers still fill %d bytes", cat.e.usedBy[Stranger])
	}
	if says := w.offer(cat, ben, ben.envelope(Room{ID: chat.RoomID{1}, With: ben.person}, ben.person, content)); says != wire.AnswerFull {
		t.Errorf("Ben is told %d", says)
	}
	cat.holds(kept)
	own := w.node("Cat2")
	w.meet(cat, own, Own)
	if says := w.offer(cat, own, own.envelope(Room{ID: chat.RoomID{1}, With: ben.person}, ben.person, content)); says != wire.AnswerKept {
		t.Errorf("Cat's other device is told %d", says)
	}
	cat.holds(kept)
}

func TestADiskThatTakesNothingLosesNothingAndIsSaid(t *testing.T) {
	w := newWorld(t)
	ann, dan, cat := w.node("Ann"), w.node("Dan"), w.node("Cat")
	cat.in(Settings{Space: MinSpace})
	w.meet(cat, dan, Stranger)
	w.meet(cat, ann, Contact)
	r := Room{ID: chat.RoomID{1}, With: ann.person}
	content := strings.Repeat("all that fits ", 3000)
	for range 4 {
		w.offer(cat, dan, dan.envelope(r, ann.person, content))
	}
	for cat.e.used+64<<10 < cat.e.space {
		w.offer(cat, ann, ann.envelope(r, ann.person, content))
	}
	before := cat.e.HeldIDs()
	cat.full = true
	if says := w.offer(cat, ann, ann.envelope(r, ann.person, content)); says != wire.AnswerFull {
		t.Errorf("Ann is told %d", says)
	}
	if !slices.Equal(cat.e.HeldIDs(), before) {
		t.Error("Cat has let go of what is still on the disk")
	}
	cat.balanced()
	cat.full = false
	if says := w.offer(cat, ann, ann.envelope(r, ann.person, content)); says != wire.AnswerKept {
		t.Errorf("Ann is told %d when there is room again", says)
	}
	cat.balanced()
}

func TestACourierThatWasFullIsAskedAgainWhenItSaysSo(t *testing.T) {
	w := newWorld(t)
	ann, ben, cat := w.node("Ann"), w.node("Ben"), w.node("Cat")
	room := w.join("Ann and Ben", true, ann, ben)
	w.meet(ann, cat, Contact)
	cat.full = true
	ann.say(Key{room, ben.person}, "one")
	w.pass(20 * time.Second)
	cat.holds(0)
	cat.full = false
	w.pass(time.Minute)
	cat.holds(0) // it may be full for long, and is left in peace
	ann.in(Ready{Device: ben.device})
	w.run()
	cat.holds(0)
	ann.in(Ready{Device: cat.device})
	w.run()
	cat.holds(1)
}

func TestAnEnvelopeForTooLongOrTooLateIsRefused(t *testing.T) {
	w := newWorld(t)
	ann, cat := w.node("Ann"), w.node("Cat")
	w.meet(cat, ann, Contact)
	env := ann.envelope(Room{ID: chat.RoomID{1}, With: ann.person}, ann.person, "one")
	w.now = w.now.Add(Lifetime)
	if says := w.offer(cat, ann, env); says != wire.AnswerRefused {
		t.Errorf("an expired one is answered with %d", says)
	}
	w.now = w.now.Add(-2 * MaxLifetime)
	if says := w.offer(cat, ann, env); says != wire.AnswerRefused {
		t.Errorf("one from the far future is answered with %d", says)
	}
	if b := wire.Marshal(rawBody{
		Version: version, Tag: env.Tag[:], Salt: env.Salt[:], Lock: env.Lock[:], Made: 1, Expires: 2 + uint64(MaxLifetime/time.Second),
		Box: env.Box, Certificate: ann.by.Certificate.Bytes(),
	}); true {
		if _, err := Parse(wire.Marshal(rawEnvelope{Body: b, Sig: make([]byte, 64)})); err == nil {
			t.Error("one that is to be held for over a month is taken")
		}
	}
}

func TestNothingOfABlockedPersonIsHeld(t *testing.T) {
	w := newWorld(t)
	ann, ben, cat := w.node("Ann"), w.node("Ben"), w.node("Cat")
	for _, n := range []*node{ann, ben} {
		w.meet(cat, n, Contact)
		w.offer(cat, n, n.envelope(Room{ID: chat.RoomID{1}, With: n.person}, n.person, "one"))
	}
	cat.holds(2)
	cat.in(Forget{Person: ann.person})
	cat.holds(1)
}

func TestNothingOfABlockedPersonStaysThatWasOnItsWayToTheDisk(t *testing.T) {
	for _, full := range []bool{false, true} {
		w := newWorld(t)
		ann, ben, cat := w.node("Ann"), w.node("Ben"), w.node("Cat")
		w.meet(cat, ann, Contact)
		r := Room{ID: chat.RoomID{1}, With: ben.person}
		old, fresh := ann.envelope(r, ben.person, "old"), ann.envelope(r, ben.person, "new")
		w.offer(cat, ann, old)
		cat.holds(1)
		cat.full = full
		cat.in(Heard{Device: ann.device, Frame: wire.Deposit{Envelope: fresh.Bytes(), Dropped: old.ID[:]}})
		cat.holds(0) // neither: one has gone for the other, which the disk is yet to take
		cat.in(Forget{Person: ann.person})
		w.run()
		cat.holds(0)
		if len(cat.e.held) != 0 || cat.disk["held"+string(old.ID[:])] != nil || cat.disk["held"+string(fresh.ID[:])] != nil {
			t.Errorf("with a full disk (%v), something of Ann's is left", full)
		}
	}
}

func TestWhoIsBlockedIsNotCountedOnAnyMore(t *testing.T) {
	w := newWorld(t)
	ann, ben, cat := w.node("Ann"), w.node("Ben"), w.node("Cat")
	room := w.join("Ann and Ben", true, ann, ben)
	w.meet(ann, cat, Contact)
	ann.say(Key{room, ben.person}, "one")
	w.pass(20 * time.Second)
	log := ann.wants[0].Ranges[0].Log
	if len(ann.e.HoldersOf(room, log, 1)) != 1 {
		t.Fatal("nobody holds it")
	}
	w.part(ann, cat)
	ann.in(Forget{Person: cat.person})
	if at := ann.e.HoldersOf(room, log, 1); len(at) != 0 {
		t.Errorf("Ann believes that %+v hold it", at)
	}
}

func TestAFloodOfTagsAndLinesIsBounded(t *testing.T) {
	w := newWorld(t)
	ann, ben, mal := w.node("Ann"), w.node("Ben"), w.node("Mallory")
	r := Room{ID: w.join("Ann and Ben", true, ann, ben), With: ben.person}
	w.meet(ben, mal, Stranger)
	var tags []byte
	for i := range wire.MaxAnnounced {
		tags = append(tags, fmt.Sprintf("%08d", i)...)
	}
	for range 10 {
		tags[0]++
		ben.in(Heard{Device: mal.device, Frame: wire.Announce{Tags: bytes.Clone(tags)}})
	}
	tag := r.TagOf(ben.person, w.now)
	for i := range 20 {
		f := wire.Found{}
		for j := range wire.MaxFound {
			f.Envelopes = append(f.Envelopes, wire.FoundEnvelope{ID: fmt.Appendf(nil, "%08d%08d", i, j), Tag: tag[:], Salt: make([]byte, 16)})
		}
		ben.in(Heard{Device: mal.device, Frame: f})
	}
	p := ben.e.peers[mal.device]
	if len(p.tags) > maxTagsOf || len(p.found) > maxFoundOf || len(p.taking) > takeAtOnce {
		t.Errorf("Ben remembers %d tags, %d lines, and waits for %d", len(p.tags), len(p.found), len(p.taking))
	}
	w.queue = nil
	w.pass(takeTimeout + 10*time.Second)
	if len(p.taking) > 0 || len(p.found) > 0 {
		t.Errorf("Ben still waits for %d and wants %d", len(p.taking), len(p.found))
	}
}

func TestProofsAreBounded(t *testing.T) {
	w := newWorld(t)
	cat := w.node("Cat")
	for i := range 3 * ProofsOf {
		cat.e.now = w.now
		cat.e.note(Proof{ID: ID(fmt.Appendf(nil, "%016d", i)), Device: chat.DeviceID{1}, Expires: w.now.Add(time.Duration(i) * time.Second)})
	}
	if n := len(cat.e.proofs); n != ProofsOf {
		t.Errorf("%d proofs are kept for one device", n)
	}
	for i := range 2 * MaxProofs {
		cat.e.note(Proof{ID: ID(fmt.Appendf(nil, "%016d", i)), Device: chat.DeviceID{2, byte(i), byte(i >> 8)}, Expires: w.now.Add(time.Duration(i) * time.Second)})
	}
	if n := len(cat.e.proofs); n > MaxProofs {
		t.Errorf("%d proofs are kept", n)
	}
}
