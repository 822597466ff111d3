// Package gossip floods opaque messages over one topic to every subscribed peer,
// near or far. It knows peers and bytes; it does not know what a message means,
// who wrote it, or how to repair a loss: it reports each one.
//
// gossipsub drops without an error: where a peer's queue is full, where the
// subscriber is slow, where a stream breaks. Each of these is counted and told
// through Config.Lost, so that catch-up can be started with that peer.
//
// Goroutines: Join starts the pump, which hands received messages to
// Config.Deliver, the watch, which reports who subscribes, and the reviver, which
// has broken streams opened again; Close waits for them. All others belong to
// go-libp2p-pubsub and end soon after Close.
package gossip

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

const (
	// MaxMessage bounds one message, in bytes.
	MaxMessage = 64 << 10
	// maxRPC leaves room for the topic and the framing around one message.
	maxRPC = MaxMessage + 1<<10

	// outboundQueue bounds the RPCs that wait for one peer: the default of 32
	// loses a third of a burst of 1000 messages.
	outboundQueue = 1024
	// validateQueue bounds the received messages that wait for validation: with
	// 1024 a burst of 5000 lost 161 of them to a reader who kept up.
	validateQueue = 8192
	// deliverQueue bounds the validated messages that wait for Deliver.
	deliverQueue = 4096
	// maxSubscriptions bounds the topics one RPC of a stranger may name: 8 shards
	// joined and left.
	maxSubscriptions = 16

	// publishRoom is how full a peer's queue may be for Publish to go ahead
	// at once, and publishPatience how long it otherwise waits: one stuck peer
	// must not hold up all others for long.
	publishRoom     = outboundQueue / 2
	publishPatience = 50 * time.Millisecond

	// reviveAfter is how long a connected peer may be without our stream before
	// gossipsub is asked to open one. gossipsub itself tries four times within 10
	// minutes (closing a duplicate connection costs one), then never again.
	reviveAfter = 2 * time.Second
	// hangUpPatience is how long gossipsub's loop waits for a stream to be reset,
	// which takes no time unless the connection is stuck.
	hangUpPatience = 10 * time.Millisecond
)

// ErrTooLarge is returned by Publish for a message above MaxMessage.
var ErrTooLarge = errors.New("gossip: the message is larger than 64 KiB; send it in parts or by its hash")

// Verdict is a validator's decision about a received message.
type Verdict int

const (
	// Accept delivers the message and relays it.
	Accept Verdict = iota
	// Ignore drops the message without blaming whoever sent it.
	Ignore
	// Reject drops the message as one that no honest peer would relay.
	Reject
)

// Loss says how messages went missing between us and a peer.
type Loss int

const (
	// LostSending: messages to the peer were dropped because it reads too
	// slowly, its stream broke with messages still queued, or we had nothing but
	// its subscription when others' messages came that only we could relay.
	LostSending Loss = iota
	// LostReceiving: messages from the peer were dropped because we validate or
	// consume too slowly.
	LostReceiving
)

// Config says what to gossip about. Topic and MessageID are required.
type Config struct {
	Topic string
	// MessageID names a message; two with one id are the same message, of which
	// only the first within two minutes is delivered. It must be quick.
	MessageID func(data []byte) string
	// Validate decides about each message received from a peer before it is
	// delivered or relayed. It is called from one goroutine, so a sender's
	// messages stay in order, and must not block. Nil accepts all.
	Validate func(from peer.ID, data []byte) Verdict
	// Deliver receives each accepted message of others once, in the order of
	// validation, from one goroutine. While it blocks, up to 4096 messages wait;
	// more are lost and reported. Nil relays only. The data is shared: read it.
	Deliver func(from peer.ID, data []byte)
	// Lost reports n messages that went missing between us and a peer (n is 0
	// where the number is unknown). It is called from gossip's own loop and must
	// not block or call back into Topic.
	Lost func(p peer.ID, how Loss, n int)
	// Joined and Left report that a peer (un)subscribed; before Joined nothing
	// reaches it. They are called from one goroutine and must not block.
	Joined, Left func(p peer.ID)
	// Logger receives what this package has to say. Nil discards it.
	Logger *slog.Logger

	grafted func(p peer.ID) // for tests: a peer joined our mesh
}

// Topic is a joined topic. Its methods may be called concurrently.
type Topic struct {
	cfg     Config
	self    peer.ID
	ps      *pubsub.PubSub
	topic   *pubsub.Topic
	sub     *pubsub.Subscription
	events  *pubsub.TopicEventHandler
	blocked *blocklist
	tracer  *tracer
	cancel  context.CancelFunc // ends gossipsub
	stop    context.CancelFunc // ends our goroutines
	running sync.WaitGroup
}

// Join starts gossip on the host. Call it before the host listens, once per host.
func Join(h host.Host, cfg Config) (*Topic, error) {
	if cfg.Topic == "" || cfg.MessageID == nil {
		return nil, errors.New("gossip: Topic and MessageID are required")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t := &Topic{cfg: cfg, self: h.ID(), blocked: newBlocklist(), tracer: newTracer(cfg, h.ID()), cancel: cancel}
	t.tracer.hangUp = func(p peer.ID) { t.hangUp(h.Network(), p) }
	if err := t.join(ctx, h); err != nil {
		cancel()
		return nil, fmt.Errorf("gossip: joining %s: %w", cfg.Topic, err)
	}
	revive, err := h.EventBus().Emitter(new(event.EvtPeerProtocolsUpdated))
	if err != nil {
		cancel()
		return nil, fmt.Errorf("gossip: joining %s: %w", cfg.Topic, err)
	}
	running, stop := context.WithCancel(ctx)
	t.stop = stop
	t.running.Go(func() { t.pump(running) })
	t.running.Go(func() { t.revive(running, h.Network(), revive) })
	if t.events != nil {
		t.running.Go(func() { t.watch(running) })
	}
	return t, nil
}

func (t *Topic) join(ctx context.Context, h host.Host) (err error) {
	params := pubsub.DefaultGossipSubParams()
	// A LAN's links are short: a thinner mesh gives 2.0 duplicates for each
	// delivery where the default gives 5.9, and still reaches everyone.
	params.D, params.Dlo, params.Dhi, params.Dout, params.Dscore, params.Dlazy = 4, 3, 6, 1, 2, 4

	topics := pubsub.NewAllowlistSubscriptionFilter(t.cfg.Topic)
	t.ps, err = pubsub.NewGossipSub(ctx, h,
		pubsub.WithGossipSubParams(params),
		// Messages carry their author's signature inside.
		pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign),
		pubsub.WithMessageIdFn(func(m *pb.Message) string { return t.cfg.MessageID(m.GetData()) }),
		// Our own messages go to every subscriber we are connected to: without
		// it the first message after a peer shows up is lost.
		pubsub.WithFloodPublish(true),
		pubsub.WithMaxMessageSize(maxRPC),
		pubsub.WithPeerOutboundQueueSize(outboundQueue),
		pubsub.WithValidateQueueSize(validateQueue),
		// Several workers would reorder a sender's messages.
		pubsub.WithValidateWorkers(1),
		pubsub.WithSubscriptionFilter(pubsub.WrapLimitSubscriptionFilter(topics, maxSubscriptions)),
		pubsub.WithBlacklist(t.blocked),
		pubsub.WithAppSpecificRpcInspector(inspect),
		pubsub.WithRawTracer(t.tracer))
	if err != nil {
		return err
	}
	if err = t.ps.RegisterTopicValidator(t.cfg.Topic, t.validate, pubsub.WithValidatorInline(true)); err != nil {
		return err
	}
	if t.topic, err = t.ps.Join(t.cfg.Topic); err != nil {
		return err
	}
	if t.cfg.Joined != nil || t.cfg.Left != nil {
		if t.events, err = t.topic.EventHandler(); err != nil {
			return err
		}
	}
	t.sub, err = t.topic.Subscribe(pubsub.WithBufferSize(deliverQueue),
		pubsub.WithMessageFilter(func(m *pubsub.Message) bool { return m.ReceivedFrom != t.self }))
	return err
}

// inspect takes the addresses out of PRUNE: gossipsub would dial them, so any
// peer could make this node connect to places of its choice.
func inspect(_ peer.ID, rpc *pubsub.RPC) error {
	for _, prune := range rpc.GetControl().GetPrune() {
		prune.Peers = nil
	}
	return nil
}

func (t *Topic) validate(_ context.Context, from peer.ID, m *pubsub.Message) pubsub.ValidationResult {
	switch {
	case from == t.self: // Publish was given it by us
		return pubsub.ValidationAccept
	case len(m.GetData()) > MaxMessage:
		return pubsub.ValidationReject
	case t.cfg.Validate == nil:
		return pubsub.ValidationAccept
	}
	switch t.cfg.Validate(from, m.GetData()) {
	case Accept:
		return pubsub.ValidationAccept
	case Ignore:
		return pubsub.ValidationIgnore
	}
	return pubsub.ValidationReject
}

// pump hands messages over until Close.
func (t *Topic) pump(ctx context.Context) {
	for {
		m, err := t.sub.Next(ctx)
		if err != nil || ctx.Err() != nil {
			return // only Close ends it
		}
		t.tracer.delivered.Add(1)
		if t.cfg.Deliver != nil {
			t.cfg.Deliver(m.ReceivedFrom, m.GetData())
		}
	}
}

// watch reports who subscribes, until Close.
func (t *Topic) watch(ctx context.Context) {
	for {
		ev, err := t.events.NextPeerEvent(ctx)
		if err != nil {
			return
		}
		switch {
		case ev.Type == pubsub.PeerJoin && t.cfg.Joined != nil:
			t.cfg.Joined(ev.Peer)
		case ev.Type == pubsub.PeerLeave && t.cfg.Left != nil:
			t.cfg.Left(ev.Peer)
		}
	}
}

// hangUp resets the gossip streams that a peer opened to us, when ours to it broke
// although it is connected (both happen to streams on a duplicate connection that
// is closed). gossipsub has just forgotten what the peer subscribes to and would
// never ask again, so we would send it nothing: hanging up makes it open a new
// stream, which begins with its subscriptions. It must be done before our own new
// stream is opened, or the peer would in turn forget ours.
func (t *Topic) hangUp(n network.Network, p peer.ID) {
	var streams []network.Stream
	for _, c := range n.ConnsToPeer(p) {
		for _, s := range c.GetStreams() {
			if s.Stat().Direction == network.DirInbound && strings.HasPrefix(string(s.Protocol()), "/meshsub/") {
				streams = append(streams, s)
			}
		}
	}
	if len(streams) == 0 {
		return
	}
	done := make(chan struct{})
	go func() { // ends within the connection's write timeout
		defer close(done)
		for _, s := range streams {
			_ = s.Reset() // it may be closed already, which is as good
		}
	}()
	timer := time.NewTimer(hangUpPatience)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}

// revive has gossipsub open a stream to peers that are connected but have lost
// it, by telling it again what it was told when they came.
func (t *Topic) revive(ctx context.Context, n network.Network, tell event.Emitter) {
	defer tell.Close()
	for {
		select {
		case <-t.tracer.broke:
		case <-ctx.Done():
			return
		}
		timer := time.NewTimer(reviveAfter)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		for _, p := range t.tracer.streamless() {
			if n.Connectedness(p) != network.Connected || t.blocked.Contains(p) {
				t.tracer.forget(p)
				continue
			}
			ev := event.EvtPeerProtocolsUpdated{Peer: p, Added: []protocol.ID{pubsub.GossipSubID_v12}}
			if err := tell.Emit(ev); err != nil {
				t.cfg.Logger.Warn("cannot have a gossip stream reopened", "peer", p, "err", err)
			}
		}
	}
}

// Publish sends a message to every subscriber that can be reached. Nil means that
// it was queued, not that it arrived. Messages published from one goroutine
// leave in order. Where a peer's queue runs full, Publish waits for room, 50 ms at
// most, then goes on and waits for that peer no more until it caught up; what it
// loses, Config.Lost reports. The data must not be changed afterwards.
func (t *Topic) Publish(ctx context.Context, data []byte) error {
	if len(data) > MaxMessage {
		return ErrTooLarge
	}
	if err := t.tracer.awaitRoom(ctx); err != nil {
		return fmt.Errorf("gossip: publishing: %w", err)
	}
	if err := t.topic.Publish(ctx, data); err != nil {
		return fmt.Errorf("gossip: publishing: %w", err)
	}
	return nil
}

// Subscribers returns the connected peers that subscribe to the topic.
func (t *Topic) Subscribers() []peer.ID { return t.topic.ListPeers() }

// Block drops all gossip from a peer and sends it none, until Unblock. Its
// connection is left alone: close it to make Unblock take effect afterwards.
func (t *Topic) Block(p peer.ID) {
	t.blocked.block(p)
	t.ps.BlacklistPeer(p) // closes what is open
}

// Unblock takes Block back, for the peer's next connection.
func (t *Topic) Unblock(p peer.ID) { t.blocked.remove(p) }

// Close leaves the topic and ends gossip on the host. It waits for a Deliver in
// progress; no callback is made after it returns, except that Lost may still
// report streams that are being closed.
func (t *Topic) Close() {
	t.stop()
	t.running.Wait()
	if t.events != nil {
		t.events.Cancel()
	}
	t.sub.Cancel()
	if err := t.topic.Close(); err != nil {
		t.cfg.Logger.Debug("leaving a topic", "topic", t.cfg.Topic, "err", err)
	}
	t.cancel()
}

// Counters returns what went through since Join.
func (t *Topic) Counters() Counters { return t.tracer.counters() }

// blocklist is a pubsub.Blacklist from which peers can be removed.
type blocklist struct {
	mu    sync.RWMutex
	peers map[peer.ID]struct{}
}

func newBlocklist() *blocklist { return &blocklist{peers: make(map[peer.ID]struct{})} }

// Add does nothing: gossipsub calls it from its loop some time after Block, when
// Unblock may have been called already.
func (b *blocklist) Add(peer.ID) bool { return true }

func (b *blocklist) block(p peer.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.peers[p] = struct{}{}
}

func (b *blocklist) Contains(p peer.ID) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	_, ok := b.peers[p]
	return ok
}

func (b *blocklist) remove(p peer.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.peers, p)
}
