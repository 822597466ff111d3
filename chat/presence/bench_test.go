package presence

import (
	"encoding/binary"
	"testing"

	"earshot/chat/wire"
)

// A beat of a device that was not heard of for a day costs most.
func BenchmarkBeatAfterADay(b *testing.B) {
	beats := newChain(link{1}, 0, beat{2})
	for b.Loop() {
		if !leads(link{1}, chainSlots, beats[chainSlots], 0, beats[0]) {
			b.Fatal("it does not lead to the anchor")
		}
	}
}

// Answering a neighbour that knows the same thousand devices.
func BenchmarkAnswerAmongAThousand(b *testing.B) {
	w := newWorld(b)
	a, o := w.node("alice"), w.node("other")
	a.show("available")
	w.link(a, o)
	for i := range uint64(1000) {
		var id ID
		binary.BigEndian.PutUint64(id[:], i<<20)
		a.table.add(&chain{id: id, slot: slotOf(w.now), heard: 2})
	}
	p := a.peers[o.id]
	f := wire.PresenceWant{Salt: 1}
	p.salt = f.Salt
	f.Cells = a.cellsFor(p)
	b.ReportAllocs()
	for b.Loop() {
		a.answer(p, f.Salt, f.Cells)
		a.out = nil
	}
}
