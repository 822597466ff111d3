package gossip

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// Counters are totals since Join, in messages.
type Counters struct {
	Delivered  uint64 // accepted messages of others handed to Deliver
	Duplicates uint64 // received again, and dropped
	Rejected   uint64 // refused by Validate or malformed
	Ignored    uint64 // dropped by Validate without blame
	// LostSending and LostReceiving count losses as Config.Lost reports them.
	LostSending, LostReceiving uint64
}

// tracer is where gossipsub admits what its API does not tell. Its methods are
// called from gossipsub's loops and only count.
type tracer struct {
	cfg  Config
	self peer.ID
	// hangUp is called when our stream to a peer has ended.
	hangUp func(peer.ID)

	delivered, duplicates, rejected, ignored atomic.Uint64
	lostSending, lostReceiving               atomic.Uint64

	mu sync.Mutex
	// queued counts the messages in each open peer's outbound queue.
	queued map[peer.ID]int
	// slow holds the peers that Publish waited for in vain.
	slow map[peer.ID]bool
	// broken holds the peers whose stream ended, until they have one again or are
	// forgotten; broke is the doorbell of the reviver, capacity 1.
	broken map[peer.ID]bool
	broke  chan struct{}
	// heard counts accepted messages of others, and before holds what it was when
	// a peer came that is not in our mesh yet.
	heard  uint64
	before map[peer.ID]uint64
	// room is closed, and made anew, when some queue has room again.
	room chan struct{}
}

var _ pubsub.RawTracer = (*tracer)(nil)

func newTracer(cfg Config, self peer.ID) *tracer {
	return &tracer{
		cfg: cfg, self: self,
		queued: make(map[peer.ID]int), slow: make(map[peer.ID]bool), room: make(chan struct{}),
		broken: make(map[peer.ID]bool), broke: make(chan struct{}, 1),
		before: make(map[peer.ID]uint64),
	}
}

func (t *tracer) counters() Counters {
	return Counters{
		Delivered: t.delivered.Load(), Duplicates: t.duplicates.Load(),
		Rejected: t.rejected.Load(), Ignored: t.ignored.Load(),
		LostSending: t.lostSending.Load(), LostReceiving: t.lostReceiving.Load(),
	}
}

func (t *tracer) lost(p peer.ID, how Loss, n int) {
	if how == LostSending {
		t.lostSending.Add(uint64(n))
	} else {
		t.lostReceiving.Add(uint64(n))
	}
	if t.cfg.Lost != nil {
		t.cfg.Lost(p, how, n)
	}
}

// awaitRoom waits until every peer that keeps up has fewer than publishRoom
// messages queued. One that has not after publishPatience is not waited for
// again before it has.
func (t *tracer) awaitRoom(ctx context.Context) error {
	var timeout <-chan time.Time
	for {
		t.mu.Lock()
		full := t.full()
		room := t.room
		t.mu.Unlock()
		if len(full) == 0 {
			return ctx.Err()
		}
		if timeout == nil {
			timer := time.NewTimer(publishPatience)
			defer timer.Stop()
			timeout = timer.C
		}
		select {
		case <-room:
		case <-timeout:
			t.mu.Lock()
			for _, p := range t.full() {
				t.slow[p] = true
			}
			t.mu.Unlock()
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// full returns the peers to wait for. The caller holds mu.
func (t *tracer) full() (peers []peer.ID) {
	for p, n := range t.queued {
		if n >= publishRoom && !t.slow[p] {
			peers = append(peers, p)
		}
	}
	return peers
}

// enqueue notes that a peer's queue grew by n, or shrank by -n.
func (t *tracer) enqueue(p peer.ID, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before, ok := t.queued[p]
	if !ok {
		return // its stream is closed
	}
	t.queued[p] = before + n
	if before >= publishRoom && before+n < publishRoom {
		delete(t.slow, p)
		t.knock()
	}
}

// knock wakes everyone in awaitRoom. The caller holds mu.
func (t *tracer) knock() {
	close(t.room)
	t.room = make(chan struct{})
}

func (t *tracer) OnNewOutboundStream(p peer.ID, _ protocol.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queued[p] = 0
	delete(t.broken, p)
	t.before[p] = t.heard
}

// Graft closes a gap of gossipsub: a message of others goes to mesh members at
// once and is announced to all the rest at the next heartbeat, which counts a
// peer it has just grafted among the members. What came in the second between
// is for catch-up.
func (t *tracer) Graft(p peer.ID, _ string) {
	t.mu.Lock()
	before, fresh := t.before[p]
	delete(t.before, p)
	missed := fresh && t.heard > before
	t.mu.Unlock()
	if missed {
		t.lost(p, LostSending, 0)
	}
	if t.cfg.grafted != nil {
		t.cfg.grafted(p)
	}
}

func (t *tracer) DeliverMessage(m *pubsub.Message) {
	if m.ReceivedFrom == t.self {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.heard++
}

// OnClosedOutboundStream loses what was queued: gossipsub throws it away. The
// number is at least what is told, for bytes may also die in the connection.
func (t *tracer) OnClosedOutboundStream(p peer.ID) {
	t.mu.Lock()
	n := max(t.queued[p], 0)
	delete(t.queued, p)
	delete(t.slow, p)
	delete(t.before, p)
	t.broken[p] = true
	t.ringReviver()
	t.knock()
	t.mu.Unlock()
	t.hangUp(p)
	t.lost(p, LostSending, n)
}

func (t *tracer) ringReviver() {
	select {
	case t.broke <- struct{}{}:
	default:
	}
}

// streamless returns the peers that lost their stream and have no new one. As
// long as there are any, the reviver is rung again.
func (t *tracer) streamless() (peers []peer.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for p := range t.broken {
		peers = append(peers, p)
	}
	if len(peers) > 0 {
		t.ringReviver()
	}
	return peers
}

func (t *tracer) forget(p peer.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.broken, p)
}

func (t *tracer) SendRPC(rpc *pubsub.RPC, p peer.ID) {
	if n := len(rpc.GetPublish()); n > 0 {
		t.enqueue(p, n)
	}
}

func (t *tracer) SendRPCCompleted(rpc *pubsub.RPC, p peer.ID, _ time.Duration) {
	if n := len(rpc.GetPublish()); n > 0 {
		t.enqueue(p, -n)
	}
}

func (t *tracer) DropRPC(rpc *pubsub.RPC, p peer.ID) {
	if n := len(rpc.GetPublish()); n > 0 {
		t.lost(p, LostSending, n)
	}
}

func (t *tracer) UndeliverableMessage(m *pubsub.Message) {
	t.lost(m.ReceivedFrom, LostReceiving, 1)
}

func (t *tracer) RejectMessage(m *pubsub.Message, reason string) {
	switch reason {
	case pubsub.RejectValidationQueueFull, pubsub.RejectValidationThrottled:
		t.lost(m.ReceivedFrom, LostReceiving, 1)
	case pubsub.RejectValidationIgnored:
		t.ignored.Add(1)
	default:
		if m.ReceivedFrom != t.self {
			t.rejected.Add(1)
		}
	}
}

func (t *tracer) DuplicateMessage(*pubsub.Message) { t.duplicates.Add(1) }

func (t *tracer) Join(string)                     {}
func (t *tracer) Leave(string)                    {}
func (t *tracer) Prune(peer.ID, string)           {}
func (t *tracer) ValidateMessage(*pubsub.Message) {}
func (t *tracer) ThrottlePeer(peer.ID)            {}
func (t *tracer) RecvRPC(*pubsub.RPC)             {}
