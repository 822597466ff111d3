package courier

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

// A test at each limit that others, or a long absence, can reach.

// numbered returns the name of the nth of many.
func numbered(n int) (id ID) {
	binary.BigEndian.PutUint64(id[:], uint64(n)+1)
	return id
}

func TestACourierHoldsSoManyEnvelopesAndNoMore(t *testing.T) {
	w := newWorld(t)
	cat, ann := w.node("Cat"), w.node("Ann")
	cat.in(Settings{Keeper: true, Space: KeeperSpace})
	var r Restore
	for i := range MaxHeld - 1 {
		id := numbered(i)
		cat.disk["held"+string(id[:])] = []byte("a box")
		r.Held = append(r.Held, Held{
			ID: id, Tag: Tag(id[:8]), Person: chat.PersonID{byte(i), byte(i >> 8)}, Standing: Contact, Size: 1000, Expires: w.now.Add(time.Hour),
		})
	}
	cat.in(r)
	w.meet(cat, ann, Contact)
	room := Room{ID: chat.RoomID{1}, With: ann.person}
	if says := w.offer(cat, ann, ann.envelope(room, ann.person, "the last")); says != wire.AnswerKept {
		t.Errorf("the last is answered with %d", says)
	}
	if says := w.offer(cat, ann, ann.envelope(room, ann.person, "one too many")); says != wire.AnswerFull {
		t.Errorf("one too many is answered with %d", says)
	}
	cat.holds(MaxHeld)
	// All of them are announced, in frames of which each fits.
	n := 0
	for _, f := range cat.sent {
		if f, ok := f.(wire.Announce); ok {
			n += len(f.Tags) / len(Tag{})
		}
	}
	if n != MaxHeld-1 {
		t.Errorf("%d tags are announced", n)
	}
	w.pass(2 * time.Hour)
	cat.holds(1)
}

func TestForOneRecipientSoManyEnvelopesAreMade(t *testing.T) {
	for _, direct := range []bool{true, false} {
		w := newWorld(t)
		ann, ben, kim := w.node("Ann"), w.node("Ben"), w.node("Kim")
		kim.in(Settings{Keeper: true, Space: KeeperSpace})
		k, most := Key{Room: w.join("a room", direct, ann, ben)}, RoomParcels
		if direct {
			k.Person, most = ben.person, PersonParcels
		}
		w.meet(ann, kim, Contact)
		var long []string
		for i := range 3 * most {
			long = append(long, fmt.Sprint(i, strings.Repeat(" and on", 2000)))
		}
		for range 2 {
			ann.say(k, long...)
			w.pass(30 * time.Minute)
		}
		if n := len(ann.e.parcels); n != most {
			t.Errorf("direct %v: %d envelopes are made", direct, n)
		}
		kim.balanced()
	}
}

func TestSoManyEnvelopesAreOnTheirWayAtOneTime(t *testing.T) {
	w := newWorld(t)
	ann, cat := w.node("Ann"), w.node("Cat")
	w.meet(ann, cat, Contact)
	for i := range 3 * giveAtOnce {
		ben := w.node("Ben" + string(rune('a'+i)))
		ann.say(Key{w.join(ben.name, true, ann, ben), ben.person}, "one")
	}
	ann.in(Survey{Wants: ann.wants})
	most := 0
	for len(w.queue) > 0 {
		next := w.queue[0]
		w.queue = w.queue[1:]
		next()
		most = max(most, len(ann.e.peers[cat.device].giving))
	}
	if most != giveAtOnce {
		t.Errorf("%d wait for an answer", most)
	}
	cat.holds(3 * giveAtOnce)
}

func TestACourierThatNeverAnswersIsNotWaitedFor(t *testing.T) {
	w := newWorld(t)
	ann, ben, mal, cat := w.node("Ann"), w.node("Ben"), w.node("Mallory"), w.node("Cat")
	room := w.join("Ann and Ben", true, ann, ben)
	w.meet(ann, mal, Contact)
	mal.deaf = true
	ann.say(Key{room, ben.person}, "one")
	for i := range CouriersAlone {
		other := w.node("Silent" + string(rune('a'+i)))
		w.meet(ann, other, Contact)
		other.deaf = true
	}
	w.pass(30 * time.Second)
	w.meet(ann, cat, Contact)
	cat.holds(0) // enough are asked already
	w.pass(giveTimeout + time.Minute)
	cat.holds(1)
}

func TestWhatHasComeIsRememberedUpToABound(t *testing.T) {
	w := newWorld(t)
	ben, ann := w.node("Ben"), w.node("Ann")
	r := Room{ID: w.join("Ann and Ben", true, ann, ben), With: ben.person}
	var restore Restore
	for i := range MaxArrivals {
		restore.Arrived = append(restore.Arrived, Arrival{ID: numbered(i), Expires: w.now.Add(time.Hour + time.Duration(i)*time.Second)})
	}
	ben.in(restore)
	env := ann.envelope(r, ben.person, "one")
	ben.in(CarriedIn{Envelope: env, Standing: Contact})
	w.run()
	if len(ben.e.arrivals) != MaxArrivals || ben.e.arrivals[env.ID] == nil || ben.e.arrivals[numbered(0)] != nil {
		t.Errorf("%d are remembered", len(ben.e.arrivals))
	}
}

func TestAReplyIsBounded(t *testing.T) {
	for size, want := range map[int]bool{MaxPlainReply: true, MaxPlainReply + 1: false} {
		w := newWorld(t)
		ann, ben := w.node("Ann"), w.node("Ben")
		r := Room{ID: w.join("Ann and Ben", true, ann, ben), With: ben.person}
		ben.reply = make([]byte, size)
		ben.in(CarriedIn{Envelope: ann.envelope(r, ben.person, "one"), Standing: Contact})
		w.run()
		for _, f := range ben.e.Proofs() {
			if (f.Reply != nil) != want {
				t.Errorf("of %d bytes, %d are said", size, len(f.Reply))
			}
			if _, err := wire.DecodeFrame(wire.EncodeFrame(f)); err != nil {
				t.Error(err)
			}
		}
	}
}

// However many recipients are away, so many envelopes of one's own there are, those
// that are just being made included.
func TestOnesOwnEnvelopesAreBounded(t *testing.T) {
	w := newWorld(t)
	ann := w.node("Ann")
	var r Restore
	var s Survey
	for i := range MaxParcels + 10 {
		k := Key{Room: chat.RoomID{1, byte(i), byte(i >> 8)}, Person: chat.PersonID{1, byte(i), byte(i >> 8)}}
		said := []Range{{Log: chat.LogID{1, byte(i), byte(i >> 8)}, From: 1, To: 1}}
		s.Wants = append(s.Wants, Want{Key: k, Ranges: said})
		if i < MaxParcels-1 {
			r.Parcels = append(r.Parcels, Parcel{ID: numbered(i), Key: k, Size: tailSize + 1, Made: w.now, Expires: w.now.Add(time.Hour), Ranges: said})
		}
	}
	ann.in(r)
	for _, carry := range []bool{true, false, true} {
		s.Carry = carry
		ann.in(s)
		if n := len(ann.e.parcels) + ann.e.Packing(); n != MaxParcels {
			t.Errorf("there are %d, with those being made", n)
		}
		w.run()
	}
	if n := len(ann.e.parcels); n != MaxParcels {
		t.Errorf("there are %d", n)
	}
	// What has arrived makes room.
	s.Wants = s.Wants[1:]
	ann.in(s)
	w.run()
	if n := len(ann.e.parcels); n != MaxParcels || ann.e.parcels[numbered(0)] != nil {
		t.Errorf("there are %d after one has arrived", n)
	}
}
