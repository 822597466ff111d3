package node

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"log/slog"
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
	// maxBacklog bounds the rows that wait for the disk before the live path is
	// left to catch-up, which takes no more than the disk does: at 16 KiB each,
	// 128 MiB, at the usual 300 bytes a hundredth of that.
	maxBacklog = 8192
)

// joinLive enters the gossip topic.
func (n *Node) joinLive(ctx context.Context) (*gossip.Topic, error) {
	v := newValidator(n.device, n.standings, n.refuseFrom)
	v.echo = func(from chat.DeviceID, tag chat.RoomTag, e *wire.Entry) {
		_ = n.tell(ctx, func(c *core) { c.echo(from, tag, e) })
	}
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
		Lost:   func(p peer.ID, _ gossip.Loss, _ int) { n.offerPeer(p) },
		Joined: n.offerPeer,
		Logger: n.log,
	})
}

func (n *Node) offerPeer(p peer.ID) {
	if d, ok := host.DeviceID(p); ok {
		n.offer(d)
	}
}

// offer has a neighbour told what is held here. It is called from gossip's
// goroutines, which must not wait.
func (n *Node) offer(d chat.DeviceID) {
	select {
	case n.offers <- d:
	default: // the idle round finds what an overflow forgets
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
// and of now. It runs in one goroutine of gossip's.
//
// A neighbour is blamed only for what it could see: what it passes on may be new
// to it and old here, or be of now by its clock and of the future by ours. Else
// anybody could have an honest relay cut off by feeding it.
type validator struct {
	self      chat.DeviceID
	standings *standings
	refuse    func(chat.DeviceID, error)
	// echo takes what claims to be this device's, unchecked.
	echo   func(from chat.DeviceID, tag chat.RoomTag, e *wire.Entry)
	recent map[chat.EntryID]heard
	ring   []chat.EntryID // the keys of recent, oldest at next
	next   int
}

// heard is where an entry came from when it was accepted: the first bytes of the
// neighbour's id, and the second.
type heard struct {
	from uint64
	at   int64 // seconds since the Unix epoch
}

func newValidator(self chat.DeviceID, s *standings, refuse func(chat.DeviceID, error)) *validator {
	return &validator{self: self, standings: s, refuse: refuse, echo: func(chat.DeviceID, chat.RoomTag, *wire.Entry) {}, recent: map[chat.EntryID]heard{}}
}

func (v *validator) validate(from peer.ID, data []byte) gossip.Verdict {
	d, ok := host.DeviceID(from)
	if !ok {
		return gossip.Reject
	}
	now := time.Now()
	if v.standings.banned(now, d) || !v.standings.allow(&v.standings.relays, now, d) {
		return gossip.Ignore
	}
	tag, e, err := wire.DecodeLive(data)
	if err != nil {
		v.refuse(d, err)
		return gossip.Reject
	}
	if e.Device == v.self {
		v.echo(d, tag, &e)
		return gossip.Ignore // passing it on again would look like playing it again
	}
	if before, again := v.recent[e.ID]; again {
		// The same under another tag, or played again.
		blamed := chat.DeviceID{}
		if before.from == prefix(d) && v.standings.connectedSince(d, time.Unix(before.at, 0)) {
			blamed = d
		}
		v.refuse(blamed, chat.Errorf(chat.CodeInvalid, "A device played an old message again. It was refused; nothing needs to be done."))
		return gossip.Ignore
	}
	if ahead := e.HLC.Time().Sub(now); ahead > chat.MaxFarFuture {
		blamed := chat.DeviceID{}
		if d == e.Device || ahead > 2*chat.MaxFarFuture {
			blamed = d
		}
		v.refuse(blamed, chat.Errorf(chat.CodeInvalid, "A device passed on a message from the far future. It was refused; check that device's clock."))
		return gossip.Reject
	}
	if err := e.Verify(); err != nil {
		v.refuse(d, err)
		return gossip.Reject
	}
	if e.HLC < chat.HLCOf(now.Add(-maxAge)) || !v.standings.allow(&v.standings.authors, now, e.Device) {
		return gossip.Ignore
	}
	v.remember(e.ID, heard{prefix(d), now.Unix()})
	return gossip.Accept
}

func prefix(d chat.DeviceID) uint64 { return binary.BigEndian.Uint64(d[:]) }

func (v *validator) remember(id chat.EntryID, h heard) {
	if len(v.ring) < recentIDs {
		v.ring = append(v.ring, id)
	} else {
		delete(v.recent, v.ring[v.next])
		v.ring[v.next] = id
		v.next = (v.next + 1) % recentIDs
	}
	v.recent[id] = h
}

// deliver hands a message that was accepted to the loop, if it is of a room this
// node is in. What the disk can't keep up with is left to catch-up.
func (n *Node) deliver(ctx context.Context, from chat.DeviceID, data []byte) {
	if n.store.Backlog() > maxBacklog {
		n.offer(from)
		return
	}
	tag, e, err := wire.DecodeLive(data)
	if err != nil {
		return
	}
	_ = n.tell(ctx, func(c *core) {
		if id, ok := c.roomOf(tag, &e); ok {
			c.gossiped(id, &e)
			c.room(room.Receive{Room: id, Entry: e, From: from})
		}
	})
}

// maxForeign bounds the logs that are remembered as of no room of this node's.
const maxForeign = 1 << 14

// roomOf returns which of this node's rooms a live entry is for. The tag is whoever
// passed it on's to choose, so it is only where to look first; the reference in the
// entry's header is signed. To compare that with every room costs a hash for each,
// which is done once for a log that is another room's.
func (c *core) roomOf(tag chat.RoomTag, e *wire.Entry) (chat.RoomID, bool) {
	if id, ok := c.tags[tag]; ok && c.rooms.Fits(id, e) {
		return id, true
	}
	if _, foreign := c.foreign[e.Log]; foreign {
		return chat.RoomID{}, false
	}
	id, ok := c.rooms.RoomOf(e)
	if !ok {
		if len(c.foreign) >= maxForeign {
			clear(c.foreign)
		}
		c.foreign[e.Log] = struct{}{}
	}
	return id, ok
}

// publish queues a committed entry for gossip. It never waits: the store's
// writer calls it. What does not fit is left to catch-up.
func (n *Node) publish(tag chat.RoomTag, e *wire.Entry) {
	if n.live != nil {
		n.gossip(wire.EncodeLive(tag, e))
	}
}

// gossip queues a message for the topic, or leaves it to catch-up.
func (n *Node) gossip(message []byte) {
	select {
	case n.outbox <- message:
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
				n.rarely("gossip", slog.LevelWarn, "gossip failed; catch-up will carry the message", "err", err)
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
