package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"earshot/node/gossip"
	"earshot/node/host"

	"github.com/libp2p/go-libp2p/core/peer"
)

// When two hosts dial each other at once and the duplicate connection is closed,
// gossip goes both ways afterwards: the streams that died with it come back.
func TestGossipSurvivesTheClosingOfADuplicate(t *testing.T) {
	for round := range 10 {
		synctest.Test(t, func(t *testing.T) {
			n := New()
			rng := rand.New(rand.NewPCG(uint64(round), 1))
			n.SetLatency(func(_, _ netip.Addr) time.Duration {
				return 200*time.Microsecond + time.Duration(rng.IntN(800))*time.Microsecond
			})
			var hosts [2]*host.Host
			var topics [2]*gossip.Topic
			var heard [2]chan string
			for i, self := range []netip.Addr{alpha, beta} {
				heard[i] = make(chan string, 16)
				h, topic := gossiper(t, n, self, byte(2*round+i+1), heard[i])
				hosts[i], topics[i] = h, topic
			}
			dialled := make(chan error, 2)
			for i, h := range hosts {
				other := hosts[1-i]
				go func() { dialled <- h.Dial(t.Context(), other.Device(), other.Addrs()) }()
			}
			for range hosts {
				if err := <-dialled; err != nil {
					t.Error(err)
				}
			}
			if ups := <-hosts[0].Events(); !ups.Up {
				t.Errorf("event %+v", ups)
			}
			time.Sleep(5 * time.Second) // of the bubble's time: duplicates are gone, streams are back
			for i, topic := range topics {
				text := fmt.Sprint("from ", i)
				if err := topic.Publish(t.Context(), []byte(text)); err != nil {
					t.Error(err)
				}
				select {
				case got := <-heard[1-i]:
					if got != text {
						t.Errorf("round %d: host %d heard %q", round, 1-i, got)
					}
				case <-time.After(10 * time.Second):
					t.Errorf("round %d: host %d hears nothing", round, 1-i)
				}
			}
			for i := range topics {
				topics[i].Close()
			}
			n.CloseAll()
			for _, h := range hosts {
				if err := h.Close(context.Background()); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// gossiper is startHost with gossip, joined before the host listens.
func gossiper(t *testing.T, n *Net, self netip.Addr, seed byte, heard chan<- string) (*host.Host, *gossip.Topic) {
	t.Helper()
	h := newHost(t, n, self, seed)
	topic, err := gossip.Join(h.Libp2p(), gossip.Config{
		Topic:     "earshot/1/shard/0",
		MessageID: func(b []byte) string { return string(b) },
		Deliver:   func(_ peer.ID, b []byte) { heard <- string(b) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Listen(); err != nil {
		t.Fatal(err)
	}
	return h, topic
}
