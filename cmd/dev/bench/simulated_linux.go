package bench

import (
	"context"
	"fmt"
	"time"

	"earshot/chat"
	"earshot/chat/chattest"
	"earshot/chat/wire"
)

// simulated measures what takes more devices than one machine can run: the engines on
// a simulated network, in its time. The same sources give the same figures anywhere.
func (b *bench) simulated(ctx context.Context) error {
	spread := chattest.Spread(1, scale(b, 1000, 200), scale(b, 50, 10))
	if spread.Err != nil {
		return spread.Err
	}
	b.add(
		row("simulated_spread", "a simulated open room of 1,000 devices, 5 of 100 copies lost: from the author's disk to another's", "ms",
			milliseconds(spread.Delivered)).maxBelow(500),
		single("simulated_delivered", "deliveries there, of those that must be", "%", 100*float64(len(spread.Delivered))/float64(spread.Expected)).p50Above(99.9),
	)
	var healed []float64
	for seed := range uint64(scale(b, 10, 3)) {
		m := chattest.Heal(seed+1, 100, 3, 300, 30*time.Second)
		if m.Err != nil {
			return m.Err
		}
		healed = append(healed, m.Healed.Seconds())
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	b.add(row("simulated_heal", "100 simulated devices in three parts, 280 entries missing at each: until all hold all, transfer included", "s", healed).maxBelow(3))
	b.add(b.idleComparison()...)
	b.add(b.presenceSimulated()...)
	return nil
}

// presenceSimulated measures what it costs to know who is here: engines up to a thousand
// devices, which take 2.4 GB, and a model of them beyond.
func (b *bench) presenceSimulated() []Row {
	var rows []Row
	add := func(m chattest.PresenceMeasure, what string) {
		name := fmt.Sprint("presence_", m.Devices)
		ages := make([]float64, len(m.Age))
		for i, a := range m.Age {
			ages[i] = float64(a)
		}
		rows = append(rows, single(name+"_bytes", "what each of "+what+" sends in a second, so that all know who is here", "B", m.Bytes),
			row(name+"_age", "and how old the newest sign of life is of one that is no neighbour", "slots of 30 s", ages).
				noted("%d of %d that were here were not known to be", m.Missed, m.Looked))
	}
	const window = 2 * time.Minute
	add(chattest.Presence(1, 100, window), "100 simulated devices of 24 neighbours")
	if b.Quick {
		return rows
	}
	thousand := chattest.Presence(1, 1000, window)
	add(thousand, "1,000")
	rows[2] = rows[2].maxBelow(1024)
	known := make([]float64, len(thousand.Known))
	for i, d := range thousand.Known {
		known[i] = d.Seconds()
	}
	rows = append(rows, row("presence_1000_change", "until another state is known to each of 1,000 devices", "s", known))
	add(chattest.PresenceModel(1, 10_000, time.Minute), "10,000")
	return rows
}

// idleComparison measures what two who hold the same say to each other about it.
func (b *bench) idleComparison() []Row {
	size := func(rooms int) float64 {
		have := wire.Have{Nonce: make([]byte, wire.NonceSize)}
		for range rooms {
			have.Rooms = append(have.Rooms, wire.RoomRoot{Tag: make([]byte, len(chat.RoomTag{})), Root: make([]byte, 32)})
		}
		return float64(len(wire.EncodeFrame(have))) + 4 // its length, on a stream
	}
	return []Row{
		single("idle_one_room", "an idle comparison with a neighbour, one room shared", "B", size(1)).maxBelow(100),
		single("idle_further_room", "for each further room", "B", (size(101)-size(1))/100).maxBelow(100),
	}
}
