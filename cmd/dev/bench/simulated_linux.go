package bench

import (
	"context"
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
	return nil
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
