package presence

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"earshot/chat"
	"earshot/chat/wire"
)

func office(t failer, n int) (*world, []*node) {
	w := newWorld(t)
	for i := range n {
		w.node(fmt.Sprint("number ", i))
	}
	for _, n := range w.nodes {
		n.show(chat.Available)
	}
	return w, w.nodes
}

func TestASmallNetworkInSightIsSilent(t *testing.T) {
	w, nodes := office(t, 10)
	w.linkAll(nodes...)
	w.run(5 * time.Minute)
	w.bytes = 0
	w.run(time.Hour)
	if w.bytes > 0 {
		t.Errorf("%d bytes in an hour in which nothing has happened", w.bytes)
	}
	nodes[3].show(chat.Busy)
	w.run(5 * time.Minute)
	if each := w.bytes / len(nodes); each > 2000 {
		t.Errorf("a change has cost each device %d bytes", each)
	}
	w.bytes = 0
	w.run(time.Hour)
	if w.bytes > 0 {
		t.Errorf("%d bytes in the hour after a change", w.bytes)
	}
}

func TestOneWhoIsOutOfSightOfOneIsSeenThroughTheOthers(t *testing.T) {
	w, nodes := office(t, 6)
	w.linkAll(nodes...)
	w.run(10 * time.Minute)
	x, y := nodes[0], nodes[1]
	w.unlink(x, y, false)
	w.run(2 * time.Minute)
	x.mustSee(y, true, "")
	y.mustSee(x, true, "")
	before := x.shown[y.id] + y.shown[x.id]
	w.bytes = 0
	w.run(30 * time.Minute)
	x.mustSee(y, true, "")
	if n := x.shown[y.id] + y.shown[x.id] - before; n > 0 {
		t.Errorf("shown anew %d times", n)
	}
	if rate := w.bytes / 1800 / len(nodes); rate > 30 {
		t.Errorf("it costs each device %d bytes in a second", rate)
	}
	w.link(x, y)
	w.run(5 * time.Minute)
	w.bytes = 0
	w.run(time.Hour)
	if w.bytes > 0 {
		t.Errorf("%d bytes in the hour after they were back in sight", w.bytes)
	}
}

func TestAnOlderVersionIsAskedSeldom(t *testing.T) {
	w := newWorld(t)
	a, old := w.node("alice"), w.node("old")
	a.show(chat.Available)
	old.mute = func(*node, wire.Frame) bool { return true }
	asked := 0
	w.hear = func(from, _ *node, f wire.Frame) {
		if _, ok := f.(wire.PresenceWant); ok && from == a {
			asked++
		}
	}
	w.link(a, old)
	w.run(time.Hour)
	if most := int(time.Hour/restFor)*(patience+1) + patience; asked > most {
		t.Errorf("asked %d times in an hour, over %d", asked, most)
	}
}

func TestWhatIsNotAskedForIsNotTaken(t *testing.T) {
	w := newWorld(t)
	n := w.chainOf("alice", "bob", "carol")
	a, b, c := n[0], n[1], n[2]
	for _, n := range n {
		n.show(chat.Available)
	}
	w.run(2 * time.Minute)
	ch := a.devices[c.id].chain
	slot := ch.slot
	w.now = w.now.Add(5 * time.Second)
	l, _ := c.own.chain.line(slotOf(w.now) + 1)
	f := wire.PresenceDigest{Slot: uint64(l.slot)}
	name := ch.id.name()
	f.Beats = append(append(append(f.Beats, name[:]...), 0), l.beat[:]...)
	p := a.peers[b.id]
	p.asking, p.offered = time.Time{}, time.Time{}
	a.do(Told{From: b.id, Frame: f})
	if ch.slot != slot {
		t.Error("it was")
	}
	p.asking = w.now
	a.do(Told{From: b.id, Frame: f})
	if ch.slot != l.slot {
		t.Error("what was asked for is not taken")
	}
}

// A stranger's questions are answered, and no more often than an honest one asks.
func TestAFloodOfQuestionsIsAnsweredSeldom(t *testing.T) {
	w, a, b := pair(t)
	answers := 0
	w.hear = func(from, _ *node, f wire.Frame) {
		if _, ok := f.(wire.PresenceDigest); ok && from == a {
			answers++
		}
	}
	for range 1000 {
		w.run(10 * time.Millisecond)
		a.do(Told{From: b.id, Frame: wire.PresenceWant{Root: make([]byte, 8), Salt: 1, Cells: make([]byte, wire.MaxPresenceCells/2)}})
	}
	if most := int(10*time.Second/answerEvery) + 1; answers == 0 || answers > most {
		t.Errorf("%d answers in 10 s", answers)
	}
}

func TestALargeDigestFitsAFrame(t *testing.T) {
	w, a, b := pair(t)
	for i := range wire.MaxBeats + 500 {
		a.table.add(&chain{id: ID{1, byte(i >> 8), byte(i)}, slot: slotOf(w.now), link: link{1}})
	}
	sent := 0
	w.hear = func(from, _ *node, f wire.Frame) {
		if d, ok := f.(wire.PresenceDigest); ok && from == a {
			sent = len(d.Beats) / wire.BeatLine
		}
	}
	a.do(Told{From: b.id, Frame: wire.PresenceWant{Root: make([]byte, 8), Salt: 1, Cells: make([]byte, 8)}})
	if sent != wire.MaxBeats {
		t.Errorf("%d beats were sent, not %d", sent, wire.MaxBeats)
	}
	if d := b.peers[a.id].device; d == nil || len(b.refused) > 0 {
		t.Error(b.refused)
	}
}

// Whatever connections come and go, whoever lives, dies, lies low or speaks up: what
// one device shows of another changes as often as there was cause, and no more.
func TestDisagreeingNeighboursNeverFlicker(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, nodes := office(t, 4)
		for i, n := range nodes[1:] {
			w.link(nodes[i], n)
		}
		w.run(2 * time.Minute)
		causes := map[*node]int{} // what happened that concerns a device
		linked := func(a, b *node) bool { return w.links[[2]chat.DeviceID{a.id, b.id}] }
		for range rapid.IntRange(1, 8).Draw(t, "events") {
			a := nodes[rapid.IntRange(0, 3).Draw(t, "a")]
			b := nodes[rapid.IntRange(0, 3).Draw(t, "b")]
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				if a != b && !a.down && !b.down && !linked(a, b) {
					w.link(a, b)
				}
			case 1:
				if linked(a, b) {
					w.unlink(a, b, false)
					for _, n := range nodes { // it may split the network
						causes[n]++
					}
				}
			case 2:
				if !a.down {
					a.crash()
					for _, n := range nodes {
						causes[n]++
					}
				}
			case 3:
				a.show(rapid.SampledFrom([]chat.Availability{chat.Available, chat.Busy, chat.Offline}).Draw(t, "state"))
				causes[a]++
			}
			w.run(time.Duration(rapid.IntRange(1, 200).Draw(t, "seconds")) * time.Second)
		}
		w.run(10 * time.Minute)
		quiet := map[*node]map[*node]int{}
		for _, a := range nodes {
			quiet[a] = map[*node]int{}
			for _, b := range nodes {
				// Gone, back by a beat, in doubt and sure again: four for each cause.
				if most := 4*causes[b] + 3; a.shown[b.id] > most {
					t.Fatalf("%s showed %s anew %d times, for %d causes", a.name, b.name, a.shown[b.id], causes[b])
				}
				quiet[a][b] = a.shown[b.id]
			}
		}
		w.run(20 * time.Minute)
		for _, a := range nodes {
			for _, b := range nodes {
				if n := a.shown[b.id] - quiet[a][b]; n > 0 && !a.down {
					t.Fatalf("%s showed %s anew %d times when nothing happened", a.name, b.name, n)
				}
			}
		}
		// All agree with the truth, as far as they are in one network.
		for _, a := range nodes {
			reach := map[*node]bool{a: true}
			for range nodes {
				for _, x := range nodes {
					for _, y := range nodes {
						if reach[x] && linked(x, y) {
							reach[y] = true
						}
					}
				}
			}
			for _, b := range nodes {
				here := reach[b] && !b.down && b.own.want.Status.State != chat.Offline
				if a != b && !a.down && a.sees(b).Here != here {
					t.Fatalf("%s sees %s here: %v, want %v", a.name, b.name, a.sees(b).Here, here)
				}
			}
		}
	})
}

// A record that was asked for and did not come is asked for again.
func TestWhatIsLostIsAskedForAgain(t *testing.T) {
	w := newWorld(t)
	n := w.chainOf("alice", "bob", "carol")
	a, b, c := n[0], n[1], n[2]
	lost := 0
	b.mute = func(to *node, f wire.Frame) bool {
		r, ok := f.(wire.PresenceRecords)
		if ok && to == a && len(r.Records) > 0 && nameOf(&r.Records[0]) != b.own.chain.id && lost < 3 {
			lost++
			return true
		}
		return false
	}
	for _, n := range n {
		n.show(chat.Available)
	}
	w.run(3 * time.Minute)
	a.mustSee(c, true, "")
	if lost != 3 {
		t.Errorf("%d were lost", lost)
	}
}
