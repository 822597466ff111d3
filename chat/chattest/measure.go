package chattest

import (
	"fmt"
	"math/rand/v2"
	"time"

	"earshot/chat/wire"
)

// A Measure is how one network without any trouble but what is asked for does.
type Measure struct {
	Expected  int             // entries times the devices that were to store them, their authors aside
	Delivered []time.Duration // from the author's disk to another's, in simulated time
	Healed    time.Duration   // from the end of a split until all hold the same
	Missing   int             // entries times devices that lacked them at the end of the split
	Sessions  int
	Err       error
}

// Lively is the network of the measurements: what a neighbour is sent arrives within
// so long, and some of it never.
const (
	livelyDelay = 20 * time.Millisecond
	livelyLoss  = 5 // of 100
	// livelyLinks is how many neighbours a device picks; as many pick it.
	livelyLinks = 4
)

// Spread has one device after the other say something in an open room of all, and
// measures when it reaches the others.
func Spread(seed uint64, devices, posts int) Measure {
	w := lively(seed, devices)
	for i := range posts {
		d := w.anyDevice()
		w.after(time.Duration(i)*100*time.Millisecond, func() { d.say(lobby, fmt.Sprint("message ", i)) })
	}
	w.play(w.now.Add(time.Duration(posts) * 100 * time.Millisecond))
	m := Measure{}
	w.heal()
	m.Expected = len(w.ledger) * (devices - 1)
	m.Delivered, m.Sessions, m.Err = w.delivered, w.opened, w.end()
	return m
}

// Heal splits a network into parts that go on talking for a while, and measures how
// long they take to agree when it is whole again.
func Heal(seed uint64, devices, parts, posts int, apart time.Duration) Measure {
	w := lively(seed, devices)
	part := make([]int, devices)
	for i := range part {
		part[i] = i % parts
	}
	for _, l := range w.links {
		if part[l.a.index] != part[l.b.index] {
			l.cut()
		}
	}
	for i := range posts {
		d := w.anyDevice()
		w.after(w.between(0, apart), func() { d.say(lobby, fmt.Sprint("message ", i)) })
	}
	w.play(w.now.Add(apart))
	m := Measure{}
	for _, d := range w.devices {
		m.Missing += len(w.ledger) - len(d.disk.records)
	}
	w.connect()
	m.Healed = w.heal()
	m.Sessions, m.Err = w.opened, w.end()
	return m
}

// end looks whether every promise was kept.
func (w *world) end() error {
	if w.err == nil {
		w.err = w.check()
	}
	return w.err
}

// lively makes a network of devices that each have some neighbours, and starts them.
func lively(seed uint64, devices int) *world {
	w := newWorld(Config{Seed: seed, Devices: devices, Heal: 5 * time.Minute}, rand.New(rand.NewPCG(seed, 0x11e1)))
	w.plain, w.loss, w.delay = true, livelyLoss, livelyDelay
	for i := range w.cfg.Devices {
		d := w.newDevice(i, i)
		w.devices = append(w.devices, d)
		if i > 0 {
			w.link(w.devices[w.rng.IntN(i)], d)
		}
	}
	for _, d := range w.devices {
		for range livelyLinks {
			w.link(d, w.anyDevice())
		}
	}
	for _, d := range w.devices {
		d.start()
	}
	w.connect()
	w.play(Start.Add(5 * time.Second))
	return w
}

// arrived notes when an entry that somebody said came to another's disk.
func (w *world) arrived(e *wire.Entry) {
	if !w.plain {
		return
	}
	if w.stored[e.ID] {
		w.delivered = append(w.delivered, w.now.Sub(w.storedAt[e.ID]))
	} else {
		w.storedAt[e.ID] = w.now
	}
}
