package bench

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"time"
)

// room measures the live path of a private room of ten whose devices are all here:
// what one message at a time takes to each of the nine others, what it costs on the
// wire and in processors, and how many messages the room can take when all speak at
// once. Ten nodes share what a room of ten people has tenfold, so what a delivery costs
// says more than how many there are in a second.
func (b *bench) room(ctx context.Context) error {
	const size = 10
	f, err := newFleet(ctx, b.program, size)
	if err != nil {
		return err
	}
	defer f.close()
	nodes, private, err := f.startRoom(ctx, size)
	defer func() { _ = stopAll(ctx, nodes) }()
	if err != nil {
		return err
	}

	count := scale(b, 600, 100)
	before, err := f.spent(nodes)
	if err != nil {
		return err
	}
	spoken, err := speak(ctx, nodes, []string{private}, count)
	if err != nil {
		return err
	}
	after, err := f.spent(nodes)
	if err != nil {
		return err
	}
	var oneWay []time.Duration
	for _, n := range nodes[1:] {
		n.seen.mu.Lock()
		for id, begin := range spoken[0].sent {
			oneWay = append(oneWay, n.seen.arrived[id].Sub(begin))
		}
		n.seen.mu.Unlock()
	}
	ms := milliseconds(oneWay)
	what := fmt.Sprintf("message of %d B in a private room of %d at %d/s, send to event", messageSize, size, rate)
	deliveries := float64(count * (size - 1))
	b.add(
		row("room_latency", what, "ms", ms).p50Below(0.7).
			noted("author, nine others and this program share %d CPUs", machine().CPUs),
		single("room_latency_p99", "the same, what 99 of 100 need at the most", "ms", quantile(ms, 0.99)).p50Below(3),
		single("room_wire", "the same, sent by all nodes for each delivery", "B", float64(after.bytes-before.bytes)/deliveries).p50Below(800).
			noted("with TCP's acknowledgements, and all else that nodes say meanwhile"),
		single("room_cpu", "the same, CPU of all nodes for each delivery", "us", micros(after.cpu-before.cpu)/deliveries).
			noted("mostly waking up: goroutines, threads, caches; limits the latency above"),
	)

	each := scale(b, 500, 100)
	if before, err = f.spent(nodes); err != nil {
		return err
	}
	told, stored, err := allSpeak(ctx, nodes, private, each)
	if err != nil {
		return err
	}
	if after, err = f.spent(nodes); err != nil {
		return err
	}
	total := float64(size * (size - 1) * each)
	cost, check, cpus := micros(after.cpu-before.cpu)/total, micros(checking()), machine().CPUs
	b.add(
		single("room_throughput", "the same room, all speak: messages delivered", "1/s", total/told.Seconds()).p50Above(roomAim).
			noted("lost 0; all stored by their authors after %.1f s; limited by %d CPUs, on which the aim leaves %.0f us for each", stored.Seconds(), cpus, float64(cpus)*1e6/roomAim),
		single("room_throughput_wire", "sent by all nodes for each of these", "B", float64(after.bytes-before.bytes)/total).p50Below(800),
		single("room_throughput_cpu", "CPU of all nodes for each of these", "us", cost).
			noted("of which checking its signature takes %.0f; package bench says where the rest goes", check),
		single("room_throughput_core", "deliveries of these for each second of one CPU", "1/s", 1e6/cost),
	)
	return nil
}

// roomAim is how many deliveries a second a room of ten is to take.
const roomAim = 40_000

// checking returns what it takes to check a signature: the part of a delivery that
// nothing spares and no batch makes less.
func checking() time.Duration {
	const times = 100
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	public, head := key.Public().(ed25519.PublicKey), make([]byte, 300)
	sig := ed25519.Sign(key, head)
	best := time.Hour
	for range 20 {
		begin := time.Now()
		for range times {
			ed25519.Verify(public, head, sig)
		}
		best = min(best, time.Since(begin)/times)
	}
	return best
}

// spent is what all nodes have used of the machine so far.
type spent struct {
	bytes uint64        // on the wire
	cpu   time.Duration // of all processors
}

func (f *fleet) spent(nodes []*node) (s spent, err error) {
	if s.bytes, err = f.sent(); err != nil {
		return s, err
	}
	for _, n := range nodes {
		used, err := n.proc.CPU()
		if err != nil {
			return s, err
		}
		s.cpu += used
	}
	return s, nil
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// sent returns how many bytes all hosts have sent so far.
func (f *fleet) sent() (total uint64, err error) {
	for _, nic := range f.nics {
		c, err := nic.Counters()
		if err != nil {
			return 0, err
		}
		total += c.TxBytes
	}
	return total, nil
}
