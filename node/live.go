package node

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"earshot/chat"
	"earshot/chat/catchup"
	"earshot/chat/room"
	"earshot/chat/wire"
	"earshot/node/gossip"
	"earshot/node/host"
)

// liveTopic is the one topic of chat/PROTOCOL.md that carries all rooms.
const liveTopic = "earshot/1/shard/0"

const (
	// recentIDs bounds the entries that the validator remembers, to refuse what
	// is played again after gossipsub has forgotten it: an hour of a busy network.
	recentIDs = 1 << 16
	// maxAge is how old an entry may be on the live path, which is for what is
	// said now; older ones come by catch-up. A wrong time zone passes.
	maxAge = 25 * time.Hour
)

// joinLive enters the gossip topic.
func (n *Node) joinLive(ctx context.Context) (*gossip.Topic, error) {
	v := &validator{n: n, recent: map[chat.EntryID]struct{}{}}
	return gossip.Join(n.host.Libp2p(), gossip.Config{
		Topic:     liveTopic,
		MessageID: liveID,
		Validate:  v.validate,
		Deliver: func(from peer.ID, data []byte) {
			if d, ok := host.DeviceID(from); ok {
				n.deliver(ctx, d, data)
			}
		},
		// What gossip lost, or could not yet send, is offered once more.
		Lost:   func(p peer.ID, _ gossip.Loss, _ int) { n.offer(ctx, p) },
		Joined: func(p peer.ID) { n.offer(ctx, p) },
		Logger: n.log,
	})
}

// offer has a neighbour told what is held here. It is called from gossip's own
// loop, which must not wait.
func (n *Node) offer(ctx context.Context, p peer.ID) {
	if d, ok := host.DeviceID(p); ok {
		select {
		case n.offers <- d:
		default: // the idle round finds what an overflow forgets
		}
	}
}

// passOffers hands to the loop what gossip's loop could not wait to.
func (n *Node) passOffers(ctx context.Context) {
	for {
		select {
		case d := <-n.offers:
			if n.tell(ctx, func(c *core) { c.sync(catchup.Lost{Device: d}) }) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// liveID names a gossip message by all of its bytes. gossipsub takes an id as seen
// before it asks the validator: were it the entry's, a copy with a broken signature
// would keep the true one from everybody.
func liveID(data []byte) string {
	sum := sha256.Sum256(data)
	return string(sum[:])
}

// validator decides what is passed on: what is well formed, signed by its author
// and of now. It runs in one goroutine of gossip's; take runs in another.
type validator struct {
	n      *Node
	recent map[chat.EntryID]struct{}
	ring   []chat.EntryID // the keys of recent, oldest at next
	next   int
}

func (v *validator) validate(from peer.ID, data []byte) gossip.Verdict {
	d, ok := host.DeviceID(from)
	if !ok {
		return gossip.Reject
	}
	now := time.Now()
	_, e, err := wire.DecodeLive(data)
	if err == nil {
		if _, again := v.recent[e.ID]; again {
			// The same under another tag, or played again: who began it can't be
			// told from who passed it on.
			v.n.standings.replayed()
			return gossip.Ignore
		}
		if e.HLC > chat.HLCOf(now.Add(chat.MaxFarFuture)) {
			err = chat.Errorf(chat.CodeInvalid, "A device passed on a message from the far future. It was refused; check that device's clock.")
		} else {
			err = e.Verify()
		}
	}
	if err != nil {
		v.n.refuseFrom(d, err)
		return gossip.Reject
	}
	if e.HLC < chat.HLCOf(now.Add(-maxAge)) || !v.n.standings.allowAuthor(now, e.Device) {
		return gossip.Ignore
	}
	v.remember(e.ID)
	return gossip.Accept
}

func (v *validator) remember(id chat.EntryID) {
	if len(v.ring) < recentIDs {
		v.ring = append(v.ring, id)
	} else {
		delete(v.recent, v.ring[v.next])
		v.ring[v.next] = id
		v.next = (v.next + 1) % recentIDs
	}
	v.recent[id] = struct{}{}
}

// deliver hands a message that was accepted to the loop, if it is of a room this
// node is in.
func (n *Node) deliver(ctx context.Context, from chat.DeviceID, data []byte) {
	_, e, err := wire.DecodeLive(data)
	if err != nil {
		return
	}
	_ = n.tell(ctx, func(c *core) {
		// The tag is whoever passed the entry on's to choose; the reference in
		// its header is signed.
		if id, ok := c.rooms.RoomOf(&e); ok {
			c.room(room.Receive{Room: id, Entry: e, From: from})
		}
	})
}

// publish queues a committed entry for the live path. It never waits: the store's
// writer calls it. What does not fit is left to catch-up.
func (n *Node) publish(tag chat.RoomTag, e *wire.Entry) {
	if n.live == nil {
		return
	}
	select {
	case n.outbox <- wire.EncodeLive(tag, e):
	default:
		n.overflowed.Store(true)
	}
}

// publishAll gossips what is queued, in order.
func (n *Node) publishAll(ctx context.Context) {
	for {
		select {
		case data := <-n.outbox:
			if err := n.live.Publish(ctx, data); err != nil && ctx.Err() == nil {
				n.log.Warn("gossip failed; catch-up will carry the message", "err", err)
				n.overflowed.Store(true)
			}
		case <-ctx.Done():
			return
		}
		if len(n.outbox) == 0 && n.overflowed.CompareAndSwap(true, false) {
			_ = n.tell(ctx, func(c *core) {
				for d := range c.neighbours {
					c.sync(catchup.Lost{Device: d})
				}
			})
		}
	}
}
