package courier

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

func TestWhatSomebodyAwayLacksComesThroughAThird(t *testing.T) {
	w := newWorld(t)
	ann, ben, cat := w.node("Ann"), w.node("Ben"), w.node("Cat")
	room := w.join("Ann and Ben", true, ann, ben)
	ben.reply = []byte("Ben's receipt")
	w.meet(ann, cat, Contact)
	ann.say(Key{room, ben.person}, "one", "two")
	w.pass(20 * time.Second)
	cat.holds(1)
	if at := ann.e.HoldersOf(room, ann.wants[0].Ranges[0].Log, 2); len(at) != 1 || at[0].Device != cat.device {
		t.Errorf("Ann believes that %+v hold it", at)
	}
	w.part(ann, cat)
	w.meet(cat, ben, Stranger)
	if !slices.Equal(ben.read, []string{"one", "two"}) {
		t.Errorf("Ben reads %q", ben.read)
	}
	cat.holds(0)
	if len(ann.proved) != 0 {
		t.Error("Ann knows what nobody has told her")
	}
	w.meet(ann, cat, Contact)
	if len(ann.proved) != 1 || string(ann.proved[0]) != "Ben's receipt" {
		t.Errorf("Ann is shown %q", ann.proved)
	}
	if len(cat.e.proofs) != 0 {
		t.Error("Cat keeps a proof that has been delivered")
	}
	for _, n := range w.nodes {
		if len(n.blamed) > 0 {
			t.Errorf("%s blames %v", n.name, n.blamed)
		}
	}
}

func TestTwoWhoHoldOneEnvelopeBringItOnce(t *testing.T) {
	w := newWorld(t)
	ann, ben, cat, dan := w.node("Ann"), w.node("Ben"), w.node("Cat"), w.node("Dan")
	room := w.join("Ann and Ben", true, ann, ben)
	w.meet(ann, cat, Contact)
	w.meet(ann, dan, Contact)
	ann.say(Key{room, ben.person}, "one")
	w.pass(20 * time.Second)
	cat.holds(1)
	dan.holds(1)
	w.meet(ben, cat, Contact)
	w.part(ben, cat)
	w.meet(ben, dan, Contact)
	if !slices.Equal(ben.read, []string{"one"}) {
		t.Errorf("Ben reads %q", ben.read)
	}
	cat.holds(0)
	dan.holds(0)
}

func TestWhoBringsItWhileAnotherDoesIsThankedToo(t *testing.T) {
	w := newWorld(t)
	ann, ben, cat, dan := w.node("Ann"), w.node("Ben"), w.node("Cat"), w.node("Dan")
	room := w.join("Ann and Ben", true, ann, ben)
	w.meet(ann, cat, Contact)
	w.meet(ann, dan, Contact)
	ann.say(Key{room, ben.person}, "one")
	w.pass(20 * time.Second)
	for _, n := range []*node{cat, dan} { // both at once
		ben.near[n], n.near[ben] = Contact, Contact
		ben.in(Met{Device: n.device, Person: n.person, Standing: Contact})
		n.in(Met{Device: ben.device, Person: ben.person, Standing: Contact})
	}
	w.run()
	if !slices.Equal(ben.read, []string{"one"}) {
		t.Errorf("Ben reads %q", ben.read)
	}
	cat.holds(0)
	dan.holds(0)
}

func TestManyEnvelopesComeInOrder(t *testing.T) {
	w := newWorld(t)
	ann, ben, cat := w.node("Ann"), w.node("Ben"), w.node("Cat")
	room := w.join("Ann and Ben", true, ann, ben)
	w.meet(ann, cat, Contact)
	var want []string
	for i := range 40 {
		want = append(want, fmt.Sprint(i, strings.Repeat(" and on", 1500)))
	}
	ann.say(Key{room, ben.person}, want...)
	w.pass(2 * time.Minute)
	if got := cat.e.Keeper().Held; got < 8 {
		t.Fatalf("Cat holds %d envelopes", got)
	}
	w.meet(cat, ben, Stranger)
	if !slices.Equal(ben.read, want) {
		t.Errorf("Ben reads %d entries, not %d in order", len(ben.read), len(want))
	}
	cat.holds(0)
}

func TestWhatIsSaidLaterReplacesASmallEnvelope(t *testing.T) {
	w := newWorld(t)
	ann, ben, cat := w.node("Ann"), w.node("Ben"), w.node("Cat")
	room := w.join("Ann and Ben", true, ann, ben)
	w.meet(ann, cat, Contact)
	var want []string
	for i := range 30 {
		want = append(want, fmt.Sprint("word ", i))
		ann.say(Key{room, ben.person}, want[i])
		w.pass(15 * time.Second)
	}
	cat.holds(1)
	if n := len(ann.e.parcels); n != 1 {
		t.Errorf("Ann remembers %d envelopes", n)
	}
	w.meet(cat, ben, Stranger)
	if !slices.Equal(ben.read, want) {
		t.Errorf("Ben reads %q", ben.read)
	}
}

func TestKeepersComeFirstAndThreeAreEnough(t *testing.T) {
	w := newWorld(t)
	ann, ben := w.node("Ann"), w.node("Ben")
	room := w.join("Ann and Ben", true, ann, ben)
	var others []*node
	for i := range 8 {
		n := w.node(fmt.Sprint("Cat", string(rune('a'+i))))
		if i == 5 {
			n.in(Settings{Keeper: true, Space: KeeperSpace})
		}
		s := Contact
		if i == 0 {
			s = Stranger
		}
		others = append(others, n)
		w.meet(ann, n, s)
	}
	ann.say(Key{room, ben.person}, "one")
	w.pass(time.Minute)
	held := 0
	for _, n := range others {
		held += n.e.Keeper().Held
	}
	if held != Couriers {
		t.Errorf("%d hold it, not %d", held, Couriers)
	}
	others[5].holds(1)
	others[0].holds(0)
	w.part(ann, others[5])
	ann.say(Key{room, ben.person}, "two")
	w.pass(time.Minute)
	others[0].holds(0)
}

func TestWithoutAKeeperFiveHoldIt(t *testing.T) {
	w := newWorld(t)
	ann, ben := w.node("Ann"), w.node("Ben")
	room := w.join("Ann and Ben", true, ann, ben)
	for i := range 8 {
		w.meet(ann, w.node(fmt.Sprint("Cat", string(rune('a'+i)))), Contact)
	}
	ann.say(Key{room, ben.person}, "one")
	w.pass(time.Minute)
	held := 0
	for _, n := range w.nodes[2:] {
		held += n.e.Keeper().Held
	}
	if held != CouriersAlone {
		t.Errorf("%d hold it, not %d", held, CouriersAlone)
	}
}

func TestAPrivateRoomIsLeftWithKeepersWhoAreNotInIt(t *testing.T) {
	w := newWorld(t)
	ann, ben, cat, kim, mel := w.node("Ann"), w.node("Ben"), w.node("Cat"), w.node("Kim"), w.node("Mel")
	room := w.join("the room", false, ann, ben, mel)
	kim.in(Settings{Keeper: true, Space: KeeperSpace})
	mel.in(Settings{Keeper: true, Space: KeeperSpace})
	w.meet(ann, cat, Contact)
	w.meet(ann, kim, Contact)
	w.meet(ann, mel, Contact)
	ann.say(Key{Room: room}, "for all")
	ann.wants[0].Insiders = map[chat.PersonID]bool{ann.person: true, ben.person: true, mel.person: true}
	w.pass(time.Minute)
	cat.holds(0)
	mel.holds(0)
	kim.holds(1)
	w.meet(ben, kim, Stranger)
	if !slices.Equal(ben.read, []string{"for all"}) {
		t.Errorf("Ben reads %q", ben.read)
	}
	kim.holds(1) // others may be away still
	w.part(ben, kim)
	w.meet(ben, kim, Stranger)
	if len(ben.read) != 1 {
		t.Error("what has come is taken over and over")
	}
	w.pass(Lifetime + time.Minute)
	if h := kim.e.HeldIDs(); len(h) > 0 && !w.now.Before(kim.e.held[h[0]].Expires) {
		t.Error("Kim holds what has expired")
	}
}

func TestWhatHasArrivedIsTakenBack(t *testing.T) {
	w := newWorld(t)
	ann, ben, cat := w.node("Ann"), w.node("Ben"), w.node("Cat")
	room := w.join("Ann and Ben", true, ann, ben)
	w.meet(ann, cat, Contact)
	ann.say(Key{room, ben.person}, "one")
	w.pass(20 * time.Second)
	cat.holds(1)
	ann.wants = nil // they have met
	w.pass(10 * time.Second)
	cat.holds(0)
	if len(ann.e.parcels) != 0 {
		t.Error("Ann keeps an envelope that nobody lacks")
	}
}

// What was removed is in no envelope any more, here or with others.
func TestWhatWasRemovedIsTakenBack(t *testing.T) {
	w := newWorld(t)
	ann, ben, cat := w.node("Ann"), w.node("Ben"), w.node("Cat")
	room := w.join("Ann and Ben", true, ann, ben)
	k := Key{room, ben.person}
	w.meet(ann, cat, Contact)
	ann.say(k, "one", "two")
	w.pass(20 * time.Second)
	cat.holds(1)
	said := cat.e.HeldIDs()[0]
	log := ann.wants[0].Ranges[0].Log
	ann.in(Gone{Room: room, Log: log, Seq: 9}) // not in it
	w.run()
	if cat.e.held[said] == nil || ann.e.parcels[said] == nil {
		t.Fatal("an envelope is taken back that says nothing of it")
	}
	ann.in(Gone{Room: room, Log: log, Seq: 1})
	w.run()
	if cat.e.held[said] != nil || ann.e.parcels[said] != nil {
		t.Fatal("what says it is held still")
	}
	w.pass(20 * time.Second) // and the rest is left with her anew
	cat.holds(1)
}

func TestWhoIsMindedIsWhoMayBeServed(t *testing.T) {
	w := newWorld(t)
	ann, ben, cat, kim := w.node("Ann"), w.node("Ben"), w.node("Cat"), w.node("Kim")
	room := w.join("Ann and Ben", true, ann, ben)
	direct, private := Key{room, ben.person}, Key{Room: chat.RoomID{1}}
	minds := func(what string, d, p bool) {
		t.Helper()
		if ann.e.Minds(direct) != d || ann.e.Minds(private) != p {
			t.Errorf("%s: %v, %v", what, ann.e.Minds(direct), ann.e.Minds(private))
		}
	}
	minds("alone", false, false)
	w.meet(ann, ben, Contact)
	minds("with whom it is for", false, false)
	w.part(ann, ben)
	w.meet(ann, cat, Contact)
	minds("with a contact", true, false)
	kim.in(Settings{Keeper: true, Space: KeeperSpace})
	w.meet(ann, kim, Contact)
	minds("with a keeper", true, true)
	ann.say(direct, "one")
	w.pass(20 * time.Second)
	w.part(ann, cat)
	w.part(ann, kim)
	minds("when it is held", true, false)
}

func TestNothingIsLeftWhileTheyAreHere(t *testing.T) {
	w := newWorld(t)
	ann, ben, cat := w.node("Ann"), w.node("Ben"), w.node("Cat")
	room := w.join("Ann and Ben", true, ann, ben)
	w.meet(ann, cat, Contact)
	ann.say(Key{room, ben.person}, "one")
	ann.wants[0].Reachable = true
	w.pass(time.Minute)
	cat.holds(0)
}

func TestAProofWithoutAReceiptIsNotBelievedForEver(t *testing.T) {
	w := newWorld(t)
	ann, ben, cat := w.node("Ann"), w.node("Ben"), w.node("Cat")
	room := w.join("Ann and Ben", true, ann, ben)
	w.meet(ann, cat, Contact)
	ann.say(Key{room, ben.person}, "one")
	w.pass(20 * time.Second)
	// Whoever has stolen a device of Ben's knows what Ben knows.
	thief := w.node("Thief")
	thief.person = ben.person
	thief.e = New(Config{Device: thief.device, Person: ben.person, Random: thief.by.Random})
	w.join("Ann and Ben", true, thief, ann)
	w.meet(thief, cat, Stranger)
	cat.holds(0)
	w.part(thief, cat)
	w.pass(askAgain + time.Minute) // Ben's devices still do not say that they have it
	cat.holds(1)
	w.meet(ben, cat, Stranger)
	if !slices.Equal(ben.read, []string{"one"}) {
		t.Errorf("Ben reads %q", ben.read)
	}
}

func TestWhatIsNotWholeIsKeptByItsCourier(t *testing.T) {
	w := newWorld(t)
	ann, ben, cat := w.node("Ann"), w.node("Ben"), w.node("Cat")
	room := w.join("Ann and Ben", true, ann, ben)
	w.meet(ann, cat, Contact)
	ann.say(Key{room, ben.person}, "one")
	w.pass(20 * time.Second)
	ben.whole = false
	w.meet(cat, ben, Stranger)
	cat.holds(1)
	if len(ben.read) != 1 {
		t.Errorf("Ben takes it %d times", len(ben.read))
	}
	ben.whole = true
	w.part(cat, ben)
	w.pass(retryTake + time.Minute)
	w.meet(cat, ben, Stranger)
	cat.holds(0)
}

func TestAHolderThatLostItIsNotBelievedAnyMore(t *testing.T) {
	w := newWorld(t)
	ann, ben, cat := w.node("Ann"), w.node("Ben"), w.node("Cat")
	room := w.join("Ann and Ben", true, ann, ben)
	cat.in(Settings{Keeper: true, Space: KeeperSpace})
	w.meet(ann, cat, Contact)
	ann.say(Key{room, ben.person}, "one")
	w.pass(20 * time.Second)
	cat.holds(1)
	w.part(ann, cat)
	cat.in(Forget{Person: ann.person})
	cat.holds(0)
	w.meet(ann, cat, Contact)
	cat.holds(1) // it was left there anew
	if at := ann.e.HoldersOf(room, ann.wants[0].Ranges[0].Log, 1); len(at) != 1 {
		t.Errorf("Ann believes that %+v hold it", at)
	}
}

func TestAfterARestartAllGoesOn(t *testing.T) {
	w := newWorld(t)
	ann, ben, cat := w.node("Ann"), w.node("Ben"), w.node("Cat")
	room := w.join("Ann and Ben", true, ann, ben)
	w.meet(ann, cat, Contact)
	ann.say(Key{room, ben.person}, "one")
	w.pass(20 * time.Second)
	restart := func(n *node) {
		var r Restore
		for _, id := range sortedKeys(n.e.held, compareIDs) {
			r.Held = append(r.Held, *n.e.held[id])
		}
		for _, id := range sortedKeys(n.e.parcels, compareIDs) {
			r.Parcels = append(r.Parcels, *n.e.parcels[id])
		}
		for _, p := range n.e.proofs {
			r.Proofs = append(r.Proofs, *p)
		}
		for _, a := range n.e.arrivals {
			r.Arrived = append(r.Arrived, *a)
		}
		n.e = New(n.e.cfg)
		n.in(r)
		n.in(Rooms{Rooms: n.rooms})
		for _, other := range w.nodes {
			if s, here := n.near[other]; here {
				n.in(Met{Device: other.device, Person: other.person, Standing: s})
			}
		}
		w.run()
	}
	restart(cat)
	restart(ann)
	cat.holds(1)
	w.pass(20 * time.Second)
	cat.holds(1)
	w.part(ann, cat)
	w.meet(cat, ben, Stranger)
	restart(ben)
	restart(cat)
	if !slices.Equal(ben.read, []string{"one"}) {
		t.Errorf("Ben reads %q", ben.read)
	}
	w.meet(ann, cat, Contact)
	if len(ann.proved) != 1 {
		t.Errorf("Ann is shown %d proofs", len(ann.proved))
	}
}

func TestWhatIsCarriedInIsTakenOrHeld(t *testing.T) {
	w := newWorld(t)
	ann, ben, cat := w.node("Ann"), w.node("Ben"), w.node("Cat")
	room := w.join("Ann and Ben", true, ann, ben)
	ann.say(Key{room, ben.person}, "one")
	ann.in(Survey{Wants: ann.wants, Carry: true})
	w.run()
	out := ann.e.Outgoing()
	if len(out) != 1 || ann.e.Packing() != 0 {
		t.Fatalf("Ann has %d envelopes to carry", len(out))
	}
	ann.in(Carried{IDs: out})
	if at := ann.e.HoldersOf(room, ann.wants[0].Ranges[0].Log, 1); len(at) != 1 || at[0].Carried.IsZero() {
		t.Errorf("Ann believes that %+v hold it", at)
	}
	env, _, err := CarriedFrom(wire.Deposit{Envelope: ann.disk["parcel"+string(out[0][:])]})
	if err != nil {
		t.Fatal(err)
	}
	cat.in(CarriedIn{Envelope: env, Standing: Contact})
	w.run()
	cat.holds(1)
	cat.in(CarriedIn{Envelope: env, Standing: Contact})
	cat.holds(1)
	if !slices.Equal(cat.judged, []uint8{wire.AnswerKept, wire.AnswerNoted}) {
		t.Errorf("Cat's carrier is told %d", cat.judged)
	}
	ann.in(CarriedIn{Envelope: env, Standing: Own})
	if !slices.Equal(ann.judged, []uint8{wire.AnswerNoted}) {
		t.Errorf("Ann's carrier is told %d of her own envelope", ann.judged)
	}
	ben.reply = []byte("Ben's receipt")
	ben.in(CarriedIn{Envelope: env, Standing: Contact})
	w.run()
	if !slices.Equal(ben.read, []string{"one"}) {
		t.Errorf("Ben reads %q", ben.read)
	}
	for _, f := range ben.e.Proofs() { // carried on to Cat, and from there to Ann
		cat.in(CarriedProof{Taken: f})
	}
	cat.holds(0)
	for _, f := range cat.e.Proofs() {
		ann.in(CarriedProof{Taken: f})
	}
	if len(ann.proved) != 1 || string(ann.proved[0]) != "Ben's receipt" {
		t.Errorf("Ann is shown %q", ann.proved)
	}
}
