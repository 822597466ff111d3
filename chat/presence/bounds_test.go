package presence

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

// What a neighbour may have done at once is bounded: each key is tried on every record
// that nobody has opened yet.
func TestAFloodOfKeysIsNotTried(t *testing.T) {
	w := newWorld(t)
	a, m := w.node("alice"), w.node("mallory")
	w.link(a, m)
	taken := 0
	for i := range 1000 {
		var k key
		binary.BigEndian.PutUint64(k[:], uint64(i+1))
		a.do(Told{From: m.id, Frame: wire.PresenceKey{Key: k[:]}})
		if got := a.devices[m.id].key; got != nil && *got == k {
			taken++
		}
	}
	if taken == 0 || taken > ownBurst {
		t.Errorf("%d keys were taken at once, want up to %d", taken, ownBurst)
	}
	w.run(ownEvery + time.Second)
	k := key{9}
	a.do(Told{From: m.id, Frame: wire.PresenceKey{Key: k[:]}})
	if *a.devices[m.id].key != k {
		t.Error("no key is taken any more")
	}
}

// Where everybody may see the status, anybody can come to have the key, by any number
// of names.
func TestThoseWhoHaveTheKeyAreBounded(t *testing.T) {
	w := newWorld(t)
	a, b := w.node("alice"), w.node("bob")
	friends(a, b)
	a.show(chat.Busy)
	w.link(a, b)
	w.run(time.Second)
	for i := range maxHolders + 10 {
		var who chat.PersonID
		binary.BigEndian.PutUint64(who[:], uint64(i+1))
		var d chat.DeviceID
		copy(d[:], who[:])
		a.may[who] = true
		for _, in := range []Input{Connected{Device: d, Person: who}, Disconnected{Device: d}} {
			a.carryOut(slices.DeleteFunc(a.Handle(a.clock(), in), func(ef Effect) bool {
				f, sent := ef.(Send)
				return sent && f.To == d
			}))
		}
		if i%64 == 0 {
			w.run(2 * grace)
		}
		if len(a.own.holders) > maxHolders {
			t.Fatalf("%d have the key", len(a.own.holders))
		}
	}
	a.show(chat.Available)
	w.run(2*ownEvery + 2*delay)
	b.mustSee(a, true, chat.Available)
}

// Of whom nothing new is heard, no more is remembered than there is room for.
func TestDevicesThatAreRememberedAreBounded(t *testing.T) {
	w := newWorld(t)
	a, b := w.node("alice"), w.node("bob")
	friends(a, b)
	b.show(chat.Busy)
	w.link(a, b)
	w.run(time.Second)
	for i := range maxDevices + 10 {
		var d chat.DeviceID
		binary.BigEndian.PutUint64(d[:], uint64(i+1))
		a.deviceOf(d).cared = true
	}
	a.sweep()
	if n := len(a.devices); n > maxDevices {
		t.Errorf("%d are remembered", n)
	}
	a.mustSee(b, true, chat.Busy)
}
