package gossip

import (
	"context"
	"encoding/binary"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
)

// benchPair returns a sender linked to a receiver that counts on got.
func benchPair(b *testing.B) (from *node, got chan uint64) {
	got = make(chan uint64, 1024)
	from = newNode(b, nil)
	to := newNode(b, func(c *Config) {
		c.Deliver = func(_ peer.ID, data []byte) { got <- binary.BigEndian.Uint64(data) }
	})
	link(b, from, to)
	return from, got
}

func payload(i int) []byte { return append(message(uint64(i)), make([]byte, 192)...) }

// BenchmarkLatency is the floor of the live path: one message of 200 bytes from
// Publish to Deliver over loopback, nothing else going on.
func BenchmarkLatency(b *testing.B) {
	from, got := benchPair(b)
	ctx := context.Background()
	i := 0
	for b.Loop() {
		if err := from.Publish(ctx, payload(i)); err != nil {
			b.Fatal(err)
		}
		<-got
		i++
	}
}

// BenchmarkThroughput publishes as fast as Publish lets it; a loss fails it.
func BenchmarkThroughput(b *testing.B) {
	from, got := benchPair(b)
	ctx := context.Background()
	sent := make(chan error, 1)
	b.ResetTimer()
	go func() {
		for i := range b.N {
			if err := from.Publish(ctx, payload(i)); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for i := range b.N {
		select {
		case n := <-got:
			if n != uint64(i) {
				b.Fatalf("message %d where %d was due (lost %d)", n, i, from.lost.Load())
			}
		case err := <-sent:
			if err != nil {
				b.Fatal(err)
			}
			sent = nil
			if n := <-got; n != uint64(i) {
				b.Fatalf("message %d where %d was due (lost %d)", n, i, from.lost.Load())
			}
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}
