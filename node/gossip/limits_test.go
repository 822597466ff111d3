package gossip

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"
)

// stranger is a peer that a test drives by hand; it never reads. The node has a stream
// to it.
type stranger struct {
	t    *testing.T
	host host.Host
	to   *node
	s    network.Stream
}

func newStranger(t *testing.T, to *node) *stranger {
	t.Helper()
	x := &stranger{t: t, host: plainHost(t), to: to}
	known := make(chan peer.ID, 16)
	x.host.SetStreamHandler(pubsub.GossipSubID_v11, func(network.Stream) { known <- to.host.ID() })
	if err := x.host.Connect(t.Context(), peer.AddrInfo{ID: to.host.ID(), Addrs: to.host.Addrs()}); err != nil {
		t.Fatal(err)
	}
	receive(t, "stream to the stranger", known)
	x.open()
	return x
}

func (x *stranger) open() {
	x.t.Helper()
	var err error
	if x.s, err = x.host.NewStream(x.t.Context(), x.to.host.ID(), pubsub.GossipSubID_v11); err != nil {
		x.t.Fatal(err)
	}
}

func (x *stranger) send(rpc *pb.RPC) {
	x.t.Helper()
	b, err := proto.Marshal(rpc)
	if err != nil {
		x.t.Fatal(err)
	}
	if _, err := x.s.Write(append(binary.AppendUvarint(nil, uint64(len(b))), b...)); err != nil {
		x.t.Fatal(err)
	}
}

func publish(numbers ...uint64) *pb.RPC {
	topic, rpc := topicName, &pb.RPC{}
	for _, i := range numbers {
		rpc.Publish = append(rpc.Publish, &pb.Message{Topic: &topic, Data: message(i)})
	}
	return rpc
}

func subscribe(topics ...string) (subs []*pb.RPC_SubOpts) {
	yes := true
	for _, topic := range topics {
		subs = append(subs, &pb.RPC_SubOpts{Subscribe: &yes, Topicid: &topic})
	}
	return subs
}

func TestAStrangersSubscriptionsAreBounded(t *testing.T) {
	n := newNode(t, nil)
	x := newStranger(t, n)
	topics := []string{topicName}
	for i := range maxSubscriptions {
		topics = append(topics, fmt.Sprint("another ", i))
	}
	for i, c := range []struct {
		topics []string
		taken  bool
	}{{topics, false}, {topics[:maxSubscriptions], true}} {
		x.send(&pb.RPC{Subscriptions: subscribe(c.topics...)})
		x.send(publish(uint64(i))) // which is handled behind it
		n.await(t, "what comes behind", func(h []uint64) bool { return len(h) == i+1 })
		if got := slices.Contains(n.Subscribers(), x.host.ID()); got != c.taken {
			t.Errorf("of %d subscriptions one is taken: %v", len(c.topics), got)
		}
	}
}

// Nothing larger is read into memory: its stream ends.
func TestAStrangersRPCIsBounded(t *testing.T) {
	n := newNode(t, nil)
	x := newStranger(t, n)
	of := func(size int, number uint64) *pb.RPC {
		rpc := publish(number)
		rpc.Subscriptions = subscribe(strings.Repeat("x", size-proto.Size(rpc)-20))
		topic := rpc.Subscriptions[0].GetTopicid() + strings.Repeat("x", size-proto.Size(rpc))
		rpc.Subscriptions[0].Topicid = &topic
		if got := proto.Size(rpc); got != size {
			t.Fatalf("made one of %d bytes, want %d", got, size)
		}
		return rpc
	}
	x.send(of(maxRPC, 1))
	n.await(t, "the largest", func(h []uint64) bool { return len(h) == 1 })
	x.send(of(maxRPC+1, 2))
	if err := x.s.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := x.s.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "deadline") {
		t.Errorf("the stream goes on: %v", err)
	}
	x.open()
	x.send(publish(3))
	if heard := n.await(t, "what comes after", func(h []uint64) bool { return len(h) > 1 }); !slices.Equal(heard, []uint64{1, 3}) {
		t.Errorf("heard %v", heard)
	}
}

// A flood that nobody looks at takes so much memory; what it loses is counted.
func TestWhatWaitsToBeValidatedOrDeliveredIsBounded(t *testing.T) {
	const more = 300
	for name, queue := range map[string]int{"validated": validateQueue, "delivered": deliverQueue} {
		t.Run(name, func(t *testing.T) {
			gate := make(chan struct{})
			var looked, lost atomic.Int64
			news := make(chan struct{}, 1)
			count := func(c *atomic.Int64, k int) {
				c.Add(int64(k))
				select {
				case news <- struct{}{}:
				default:
				}
			}
			n := newNode(t, func(c *Config) {
				if name == "validated" {
					c.Validate = func(peer.ID, []byte) Verdict {
						<-gate
						count(&looked, 1)
						return Ignore
					}
				} else {
					c.Deliver = func(peer.ID, []byte) {
						<-gate
						count(&looked, 1)
					}
				}
				c.Lost = func(_ peer.ID, how Loss, k int) {
					if how == LostReceiving {
						count(&lost, k)
					}
				}
			})
			open := sync.OnceFunc(func() { close(gate) })
			t.Cleanup(open) // before Close, which waits for Deliver
			x := newStranger(t, n)
			total := uint64(queue + 1 + more) // one is looked at
			for from := uint64(0); from < total; from += 256 {
				var numbers []uint64
				for i := from; i < min(from+256, total); i++ {
					numbers = append(numbers, i)
				}
				x.send(publish(numbers...))
			}
			await := func(what string, c *atomic.Int64, want int) {
				t.Helper()
				for timeout := time.After(20 * time.Second); c.Load() < int64(want); {
					select {
					case <-news:
					case <-timeout:
						t.Fatalf("%s: %d, want %d", what, c.Load(), want)
					}
				}
			}
			await("lost", &lost, more)
			open()
			await(name, &looked, queue)
			if lost.Load() > more+1 {
				t.Errorf("%d of %d are lost", lost.Load(), total)
			}
		})
	}
}

// Who subscribes and never reads has so many messages wait here, and no more.
func TestWhatWaitsForOnePeerIsBounded(t *testing.T) {
	dropped := make(chan struct{}, 1)
	n := newNode(t, func(c *Config) {
		c.Lost = func(_ peer.ID, how Loss, k int) {
			if how == LostSending && k > 0 {
				select {
				case dropped <- struct{}{}:
				default:
				}
			}
		}
	})
	x := newStranger(t, n)
	x.send(&pb.RPC{Subscriptions: subscribe(topicName)})
	receive(t, "subscription", n.joined)
	filling := make([]byte, 4<<10)
	for i := range uint64(2 * outboundQueue) {
		if err := n.Publish(t.Context(), append(message(i), filling...)); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-dropped:
	case <-time.After(10 * time.Second):
		t.Fatal("nothing is dropped")
	}
	n.tracer.mu.Lock()
	queued := n.tracer.queued[x.host.ID()]
	n.tracer.mu.Unlock()
	if queued > outboundQueue+1 || queued < publishRoom { // one is being written
		t.Errorf("%d wait", queued)
	}
}
