package presence

import (
	"testing"
	"time"

	"earshot/chat"
)

// Of three in a row, the one at either end has a clock that is off by as much as
// clocks may be.
func TestClocksTwoMinutesApartDoNotMatter(t *testing.T) {
	for _, skews := range [][3]time.Duration{
		{0, 0, chat.MaxFuture},
		{0, 0, -chat.MaxFuture},
		{chat.MaxFuture, 0, 0},
		{-chat.MaxFuture, 0, 0},
		{0, chat.MaxFuture, 0},
		{0, -chat.MaxFuture, 0},
		{0, 95 * time.Second, 47 * time.Second},
		{0, -29 * time.Second, 14 * time.Second},
	} {
		for seed := range uint64(5) {
			skewed(t, seed, skews)
		}
	}
}

func skewed(t *testing.T, seed uint64, skews [3]time.Duration) {
	w := newWorldOf(t, seed)
	a, b, c := w.node("alice"), w.node("bob"), w.node("carol")
	for i, n := range w.nodes {
		n.skew = skews[i]
		n.show(chat.Available)
	}
	w.link(a, b)
	w.link(b, c)
	w.run(4 * time.Minute)
	a.mustSee(c, true, "")
	c.mustSee(a, true, "")
	before := a.shown[c.id] + c.shown[a.id]
	for range 3600 {
		w.run(time.Second)
		if !a.sees(c).Here || !c.sees(a).Here {
			t.Fatalf("with clocks %v off, at %v somebody is not seen", skews, w.now)
		}
		if seen := a.sees(c).LastSeen; seen.After(a.clock()) {
			t.Fatalf("seen at %v, it is %v", seen, a.clock())
		}
	}
	if n := a.shown[c.id] + c.shown[a.id] - before; n > 0 {
		t.Errorf("with clocks %v off, shown anew %d times in an hour", skews, n)
	}
	c.crash()
	w.run((aliveSlots + 2) * slotLength)
	a.mustSee(c, false, "")
}

func TestAClockThatIsSetMakesNobodyVanish(t *testing.T) {
	for _, by := range []time.Duration{-2 * time.Minute, 2 * time.Minute, -time.Hour, time.Hour} {
		w := newWorld(t)
		n := w.chainOf("alice", "bob", "carol")
		a, c := n[0], n[2]
		for _, n := range n {
			n.skew = by
			n.show(chat.Available)
		}
		w.run(4 * time.Minute)
		a.mustSee(c, true, "")
		for _, n := range n { // everybody's, one after the other
			n.skew = 0
			w.run(slotLength)
		}
		w.run(2 * time.Minute)
		a.mustSee(c, true, "")
		c.mustSee(a, true, "")
		if len(a.refused)+len(c.refused) > 0 {
			t.Error(a.refused, c.refused)
		}
	}
}

func TestAChainThatEndsIsFollowedByAnother(t *testing.T) {
	w := newWorld(t)
	n := w.chainOf("alice", "bob", "carol")
	a, c := n[0], n[2]
	for _, n := range n {
		n.show(chat.Available)
	}
	w.run(2 * time.Minute)
	first := c.own.chain.id
	before := a.shown[c.id]
	w.run(25 * time.Hour)
	if c.own.chain.id == first {
		t.Fatal("the chain has not ended")
	}
	a.mustSee(c, true, "")
	if n := a.shown[c.id] - before; n > 0 {
		t.Errorf("shown anew %d times", n)
	}
}

func TestARestartBeginsAnotherChain(t *testing.T) {
	w, a, b := pair(t)
	old := a.own.chain
	a.crash()
	w.run(time.Minute)
	a.start()
	a.show(chat.Busy)
	w.link(a, b)
	w.run(2 * delay)
	b.mustSee(a, true, chat.Busy)
	if a.own.chain.id == old.id || a.own.chain.record.Link[0] == old.record.Link[0] && a.own.chain.beats[1] == old.beats[1] {
		t.Error("it is the same chain")
	}
}

// A home that was restored from a backup, under a clock that was set back, has
// forgotten what it said.
func TestADeviceThatForgotWhatItSaidIsHeardAgain(t *testing.T) {
	w, a, b := pair(t)
	w.unlink(a, b, false)
	w.run(time.Second)
	a.kept = map[string][]byte{}
	a.skew = -time.Hour
	a.start()
	a.show(chat.Busy)
	w.link(a, b)
	w.run(2*ownEvery + 4*delay)
	b.mustSee(a, true, chat.Busy)
	if seq := b.devices[a.id].st.seq; seq != a.own.seq {
		t.Errorf("bob holds the record %d, alice has said %d", seq, a.own.seq)
	}
}

func TestTheNumberOfARecordOnlyRises(t *testing.T) {
	w, a, _ := pair(t)
	before := a.own.seq
	a.skew = -time.Hour
	a.crash()
	a.start()
	a.show(chat.Busy)
	if a.own.seq <= before {
		t.Error("it has fallen")
	}
	_ = w
}

// After a sleep nobody is shown as here who was before, and those who are come back.
func TestWhoWakesShowsOnlyWhoIsHere(t *testing.T) {
	w := newWorld(t)
	n := w.chainOf("alice", "bob", "carol", "dave")
	a, b, c, d := n[0], n[1], n[2], n[3]
	for _, n := range n {
		n.show(chat.Available)
	}
	w.run(3 * time.Minute)
	a.mustSee(d, true, "")
	a.down = true // it sleeps; the others go on, but for one
	w.unlink(a, b, false)
	w.run(time.Second)
	d.crash()
	w.run(time.Hour)
	a.down = false
	w.link(a, b)
	w.run(3 * time.Second)
	a.mustSee(d, false, "")
	w.run(time.Minute)
	a.mustSee(c, true, "")
	a.mustSee(d, false, "")
}
