package gossip

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// gossipsub says again after up to a second what did not fit a queue, and only
	// then looks whether it has been closed.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/libp2p/go-libp2p-pubsub.(*PubSub).announceRetry"))
}

const topicName = "earshot/1/shard/0"

var libp2pAddr = ma.StringCast("/ip4/127.0.0.1/tcp/0")

// node is a libp2p host on loopback with gossip, and what it heard.
type node struct {
	host host.Host
	*Topic

	joined, left, grafted chan peer.ID
	lost                  atomic.Int64

	mu    sync.Mutex
	heard []uint64
	news  chan struct{} // doorbell
}

func newNode(t testing.TB, change func(*Config)) *node {
	t.Helper()
	h, err := libp2p.New(
		libp2p.NoListenAddrs,
		libp2p.Transport(tcp.NewTCPTransport, tcp.DisableReuseport()),
		libp2p.Security(noise.ID, noise.New),
		libp2p.DisableRelay(), libp2p.DisableMetrics(), libp2p.ForceReachabilityPrivate(), libp2p.DisableIdentifyAddressDiscovery())
	if err != nil {
		t.Fatal(err)
	}
	n := &node{host: h, joined: make(chan peer.ID, 64), left: make(chan peer.ID, 64), grafted: make(chan peer.ID, 64), news: make(chan struct{}, 1)}
	cfg := Config{
		Topic:     topicName,
		MessageID: func(b []byte) string { sum := sha256.Sum256(b); return string(sum[:]) },
		Deliver:   func(_ peer.ID, b []byte) { n.hear(b) },
		Joined:    func(p peer.ID) { n.joined <- p },
		Left:      func(p peer.ID) { n.left <- p },
		grafted:   func(p peer.ID) { n.grafted <- p },
		Lost:      func(_ peer.ID, _ Loss, k int) { n.lost.Add(int64(k)) },
	}
	if change != nil {
		change(&cfg)
	}
	if n.Topic, err = Join(h, cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		n.Close()
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := h.Network().Listen(libp2pAddr); err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *node) hear(b []byte) {
	n.mu.Lock()
	n.heard = append(n.heard, binary.BigEndian.Uint64(b))
	n.mu.Unlock()
	select {
	case n.news <- struct{}{}:
	default:
	}
}

// count waits until enough says that what was heard is enough.
func (n *node) await(t testing.TB, what string, enough func(heard []uint64) bool) []uint64 {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		n.mu.Lock()
		heard := append([]uint64(nil), n.heard...)
		n.mu.Unlock()
		if enough(heard) {
			return heard
		}
		select {
		case <-n.news:
		case <-timeout:
			t.Fatalf("heard %d messages while waiting for %s (counters %+v)", len(heard), what, n.Counters())
		}
	}
}

func message(i uint64) []byte { return binary.BigEndian.AppendUint64(nil, i) }

func connect(t testing.TB, a, b *node) {
	t.Helper()
	if err := a.host.Connect(t.Context(), peer.AddrInfo{ID: b.host.ID(), Addrs: b.host.Addrs()}); err != nil {
		t.Fatal(err)
	}
}

// link connects two nodes and waits until each knows that the other listens.
func link(t testing.TB, a, b *node) {
	t.Helper()
	connect(t, a, b)
	receive(t, "join of a peer", a.joined, b.joined)
}

// mesh links two nodes and waits until both relay to each other.
func mesh(t testing.TB, a, b *node) {
	t.Helper()
	link(t, a, b)
	receive(t, "graft of a peer", a.grafted, b.grafted)
}

func receive(t testing.TB, what string, from ...chan peer.ID) {
	t.Helper()
	for _, c := range from {
		select {
		case <-c:
		case <-time.After(10 * time.Second):
			t.Fatal("no ", what)
		}
	}
}

func TestFirstMessageAfterJoinArrives(t *testing.T) {
	for range 10 {
		a, b := newNode(t, nil), newNode(t, nil)
		link(t, a, b)
		if err := a.Publish(t.Context(), message(7)); err != nil {
			t.Fatal(err)
		}
		b.await(t, "the first message", func(h []uint64) bool { return len(h) == 1 && h[0] == 7 })
	}
}

func TestBurstOf5000ArrivesInOrder(t *testing.T) {
	a, b := newNode(t, nil), newNode(t, nil)
	link(t, a, b)
	const n = 5000
	for i := range uint64(n) {
		if err := a.Publish(t.Context(), message(i)); err != nil {
			t.Fatal(err)
		}
	}
	heard := b.await(t, "the burst", func(h []uint64) bool {
		return int64(len(h))+a.lost.Load()+b.lost.Load() >= n
	})
	for i := 1; i < len(heard); i++ {
		if heard[i] <= heard[i-1] {
			t.Fatalf("message %d after %d", heard[i], heard[i-1])
		}
	}
	if len(heard) != n {
		t.Errorf("%d of %d arrived although the reader kept up; reported lost: %d sending, %d receiving",
			len(heard), n, a.lost.Load(), b.lost.Load())
	}
}

// A subscriber that stops reading loses messages, and every one is reported.
func TestNoLossToASlowSubscriberIsSilent(t *testing.T) {
	gate := make(chan struct{})
	var delivered atomic.Int64
	news := make(chan struct{}, 1)
	ring := func() {
		select {
		case news <- struct{}{}:
		default:
		}
	}
	a := newNode(t, nil)
	var lost atomic.Int64
	b := newNode(t, func(c *Config) {
		c.Deliver = func(peer.ID, []byte) {
			<-gate
			delivered.Add(1)
			ring()
		}
		c.Lost = func(_ peer.ID, how Loss, n int) {
			if how == LostReceiving {
				lost.Add(int64(n))
				ring()
			}
		}
	})
	open := sync.OnceFunc(func() { close(gate) })
	t.Cleanup(open) // before Close, which waits for Deliver
	link(t, a, b)
	const n = 5000
	for i := range uint64(n) {
		if err := a.Publish(t.Context(), message(i)); err != nil {
			t.Fatal(err)
		}
	}
	settled := func(want func() bool) {
		timeout := time.After(20 * time.Second)
		for !want() {
			select {
			case <-news:
			case <-timeout:
				t.Fatalf("delivered %d, reported lost %d by the receiver and %d by the sender, of %d",
					delivered.Load(), lost.Load(), a.lost.Load(), n)
			}
		}
	}
	settled(func() bool { return lost.Load() > 0 })
	open()
	settled(func() bool { return delivered.Load()+lost.Load()+a.lost.Load() == n })
	if got := b.Counters().LostReceiving; got != uint64(lost.Load()) {
		t.Errorf("counted %d lost, reported %d", got, lost.Load())
	}
}

func TestOversizeIsAnError(t *testing.T) {
	a, b := newNode(t, nil), newNode(t, nil)
	link(t, a, b)
	if err := a.Publish(t.Context(), make([]byte, MaxMessage+1)); !errors.Is(err, ErrTooLarge) {
		t.Fatalf("Publish(64 KiB + 1) = %v, want ErrTooLarge", err)
	}
	largest := append(message(1), make([]byte, MaxMessage-8)...)
	if err := a.Publish(t.Context(), largest); err != nil {
		t.Fatal(err)
	}
	b.await(t, "the largest message", func(h []uint64) bool { return len(h) == 1 && h[0] == 1 })
}

func TestValidatorDecides(t *testing.T) {
	verdicts := map[uint64]Verdict{1: Reject, 2: Ignore, 3: Accept}
	a := newNode(t, nil)
	b := newNode(t, func(c *Config) {
		c.Validate = func(from peer.ID, data []byte) Verdict {
			if from != a.host.ID() {
				t.Errorf("validating a message from %s", from)
			}
			return verdicts[binary.BigEndian.Uint64(data)]
		}
	})
	c := newNode(t, nil)
	mesh(t, a, b)
	mesh(t, b, c)
	for i := uint64(1); i <= 3; i++ {
		if err := a.Publish(t.Context(), message(i)); err != nil {
			t.Fatal(err)
		}
	}
	only3 := func(h []uint64) bool { return len(h) == 1 && h[0] == 3 }
	b.await(t, "the accepted message", only3)
	c.await(t, "the relayed message", only3)
	if got := b.Counters(); got.Rejected != 1 || got.Ignored != 1 || got.Delivered != 1 {
		t.Errorf("counters %+v, want one each", got)
	}
}

// Ten nodes in a line: only neighbours are connected, and all hear.
func TestSparseOverlay(t *testing.T) {
	var nodes []*node
	for range 10 {
		nodes = append(nodes, newNode(t, nil))
	}
	for i := range nodes[1:] {
		mesh(t, nodes[i], nodes[i+1])
	}
	for i, from := range []*node{nodes[0], nodes[9], nodes[4]} {
		if err := from.Publish(t.Context(), message(uint64(i))); err != nil {
			t.Fatal(err)
		}
		for _, n := range nodes {
			if n != from {
				n.await(t, "a message along the line", func(h []uint64) bool {
					return slices.Contains(h, uint64(i))
				})
			}
		}
	}
}

// What comes before a relay's next heartbeat does not pass it, which it reports.
func TestNoLossBeforeTheMeshIsSilent(t *testing.T) {
	lost := make(chan peer.ID, 16)
	a, c := newNode(t, nil), newNode(t, nil)
	b := newNode(t, func(cfg *Config) {
		cfg.Lost = func(p peer.ID, how Loss, _ int) {
			if how == LostSending {
				lost <- p
			}
		}
	})
	link(t, a, b)
	link(t, b, c)
	if err := a.Publish(t.Context(), message(1)); err != nil {
		t.Fatal(err)
	}
	for timeout := time.After(10 * time.Second); ; {
		select {
		case p := <-lost:
			if p == c.host.ID() {
				return
			}
		case <-c.news: // the heartbeat was quicker than the test
			return
		case <-timeout:
			t.Fatal("neither delivered nor reported")
		}
	}
}

// A blocked peer is told nothing and not heard. Unblocked, it is heard from its
// next connection on, also right after it was blocked.
func TestBlockedPeerIsNotHeard(t *testing.T) {
	a, b := newNode(t, nil), newNode(t, nil)
	link(t, a, b)
	b.Block(a.host.ID())
	receive(t, "leave at both sides", a.left, b.left)
	if err := a.Publish(t.Context(), message(1)); err != nil {
		t.Fatal(err)
	}
	if got := b.Counters().Delivered; got != 0 {
		t.Errorf("%d messages of a blocked peer were delivered", got)
	}
	b.Unblock(a.host.ID())
	b.Block(a.host.ID())
	b.Unblock(a.host.ID())

	changes, err := a.host.EventBus().Subscribe(new(event.EvtPeerConnectednessChanged))
	if err != nil {
		t.Fatal(err)
	}
	defer changes.Close()
	if err := b.host.Network().ClosePeer(a.host.ID()); err != nil {
		t.Fatal(err)
	}
	for closed := false; !closed; {
		change := (<-changes.Out()).(event.EvtPeerConnectednessChanged)
		closed = change.Connectedness == network.NotConnected
	}
	link(t, a, b)
	if err := a.Publish(t.Context(), message(2)); err != nil {
		t.Fatal(err)
	}
	b.await(t, "a message after unblocking", func(h []uint64) bool { return slices.Contains(h, 2) })
}

// gossipsub gives a stream up after it broke five times; we do not.
func TestBrokenStreamsAreReopenedWithoutEnd(t *testing.T) {
	a, b := newNode(t, nil), newNode(t, nil)
	mesh(t, a, b)
	for range 5 {
		broken := 0
		for _, c := range a.host.Network().ConnsToPeer(b.host.ID()) {
			for _, s := range c.GetStreams() {
				if s.Stat().Direction == network.DirOutbound && strings.HasPrefix(string(s.Protocol()), "/meshsub/") {
					broken++
					if err := s.Reset(); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		if broken == 0 {
			t.Fatal("no gossip stream to break")
		}
		receive(t, "graft over a new stream", a.grafted)
	}
	if err := a.Publish(t.Context(), message(1)); err != nil {
		t.Fatal(err)
	}
	b.await(t, "a message over the new stream", func(h []uint64) bool { return len(h) == 1 })
}

func TestJoinNeedsTopicAndMessageID(t *testing.T) {
	for _, cfg := range []Config{{}, {Topic: topicName}, {MessageID: func([]byte) string { return "" }}} {
		if _, err := Join(nil, cfg); err == nil {
			t.Errorf("Join(%+v) succeeded", cfg)
		}
	}
}

func TestPublishAfterCancelFails(t *testing.T) {
	a := newNode(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Publish(ctx, message(1)); !errors.Is(err, context.Canceled) {
		t.Fatalf("Publish = %v, want context.Canceled", err)
	}
}
