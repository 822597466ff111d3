package node

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/protocol"

	"earshot/chat"
	"earshot/chat/catchup"
	"earshot/chat/room"
	"earshot/chat/wire"
	"earshot/node/host"
	"earshot/node/stream"
)

// This file is the live path of small sealed rooms: the author gives an entry
// straight to every device of the room that is here. PROTOCOL.md#earshotlive1.

const directProtocol protocol.ID = "/earshot/live/1"

const (
	// directQueue bounds the entries that wait for one device, which 16 KiB each
	// would make 4 MiB; what does not fit is left to catch-up.
	directQueue = 256
	// directRest is how long a device is reached by gossip after a stream to it
	// broke or was refused, doubling to maxDirectRest as it breaks again (guess).
	directRest, maxDirectRest = time.Second, time.Minute
	// directHeld is how long a stream holds before its end is bad luck, not a habit.
	directHeld = time.Minute
	// maxDirectStreams bounds the streams that others have opened here.
	maxDirectStreams = 1024
	// leftFor is how long after a device was lost from sight it may still be
	// within reach of others, and afarFor how long one counts as there that is
	// heard by gossip and has no connection here (guesses).
	leftFor, afarFor = time.Minute, 24 * time.Hour
	// maxElsewhere bounds the devices remembered as such.
	maxElsewhere = 1024
	// relayJitter spaces the receivers that pass on one entry: the first one's copy
	// keeps the others from it.
	relayDelay, relayJitter = 10 * time.Millisecond, 40 * time.Millisecond
	// passRate and passBurst bound what is passed on, in entries a second, and
	// maxRelays what waits for it; the rest is left to catch-up, which is told once
	// in missedAfter. A person's talk fits.
	passRate, passBurst = 100, 200
	maxRelays           = 256
	missedAfter         = time.Second
)

// direct is what the loop knows about the direct path.
type direct struct {
	// elsewhere are devices that gossip may reach although there is no stream to
	// them, and until when to reckon with that.
	elsewhere map[chat.DeviceID]time.Time

	relays   map[chat.EntryID]relay // to be passed on unless somebody else does
	relayAt  time.Time              // when the first is due; zero for none
	rate     buckets                // of passing on
	missed   map[chat.RoomID]struct{}
	missedAt time.Time // when their holdings are offered; zero for none
}

// relay is an entry that its author may not have given to everybody.
type relay struct {
	room    chat.RoomID
	message []byte
	at      time.Time
}

func newDirect() *direct {
	return &direct{
		elsewhere: map[chat.DeviceID]time.Time{}, relays: map[chat.EntryID]relay{},
		rate: newBuckets(passRate, passBurst), missed: map[chat.RoomID]struct{}{},
	}
}

// recipients is whom an entry is given to directly.
type recipients struct {
	links []*directLink
	cover uint64
}

// recipientsOf returns who is given what is said in a room now; nil if it goes by gossip.
func (c *core) recipientsOf(id chat.RoomID) *recipients {
	if !c.rooms.Sealed(id) {
		return nil
	}
	for d, until := range c.direct.elsewhere {
		if !c.now.Before(until) {
			delete(c.direct.elsewhere, d)
		} else if c.private.Shares(id, d) {
			return nil
		}
	}
	links := make([]*directLink, 0, min(len(c.neighbours), chat.MaxDirect))
	cover := prefix(c.n.device)
	for d, nb := range c.neighbours {
		if !nb.hears() || !c.private.Shares(id, d) {
			continue
		}
		if len(links) == chat.MaxDirect || nb.direct == nil && c.now.Before(nb.directAfter) {
			return nil
		}
		if nb.direct == nil {
			c.openDirect(d, nb)
		}
		links = append(links, nb.direct)
		cover ^= prefix(d)
	}
	if len(links) == 0 {
		return nil // somebody may be there behind others
	}
	return &recipients{links, cover}
}

// hears reports whether entries can be given to a neighbour.
func (nb *neighbour) hears() bool { return nb.peer != nil && !nb.leaving }

// give hands a committed entry to everybody. It never waits: the store's writer
// calls it. What does not fit is left to catch-up.
func (n *Node) give(to *recipients, tag chat.RoomTag, e *wire.Entry) {
	frame := wire.EncodeFrame(wire.Direct{
		Cover: binary.BigEndian.AppendUint64(nil, to.cover), Message: wire.EncodeLive(tag, e),
	})
	for _, l := range to.links {
		if !l.give(frame) {
			n.offer(l.device)
		}
	}
}

// directLink is the stream on which this device gives its entries to another.
type directLink struct {
	device chat.DeviceID

	mu      sync.Mutex
	stream  *stream.Stream // nil until it is open
	waiting [][]byte       // for that
	ended   bool
}

// give queues a frame and returns true, or false if it will not be sent.
func (l *directLink) give(frame []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.ended:
		return false
	case l.stream != nil:
		return l.stream.TrySend(frame)
	case len(l.waiting) == directQueue:
		return false
	}
	l.waiting = append(l.waiting, frame)
	return true
}

// opened sends what has waited, which fits the queue of a new stream.
func (l *directLink) opened(s *stream.Stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stream = s
	for _, frame := range l.waiting {
		s.TrySend(frame)
	}
	l.waiting = nil
}

func (l *directLink) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended, l.waiting = true, nil
}

// openDirect begins to open a stream to a neighbour. What is given meanwhile waits.
func (c *core) openDirect(d chat.DeviceID, nb *neighbour) {
	l := &directLink{device: d}
	nb.direct = l
	begun := c.now
	c.n.spawn(func(ctx context.Context) {
		c.n.keepDirect(ctx, l)
		l.end()
		_ = c.n.tell(ctx, func(c *core) { c.directEnded(l, begun) })
	})
}

// keepDirect opens the stream of a link and returns when it has ended. Nothing comes
// back on it.
func (n *Node) keepDirect(ctx context.Context, l *directLink) {
	s, err := stream.Open(ctx, n.host.Libp2p(), host.PeerID(l.device), directProtocol, stream.Options{Queue: directQueue})
	if err != nil {
		return
	}
	defer s.Reset(stream.ReasonDone)
	stop := context.AfterFunc(ctx, func() { s.Reset(stream.ReasonShutdown) })
	defer stop()
	l.opened(s)
	_, _ = s.Receive()
}

// directEnded: what was on its way may be lost.
func (c *core) directEnded(l *directLink, begun time.Time) {
	nb := c.neighbours[l.device]
	if nb == nil {
		return // it is offered everything when it is back
	}
	if nb.direct == l {
		if nb.direct = nil; c.now.Sub(begun) >= directHeld {
			nb.directRest = 0
		}
		nb.directRest = min(max(2*nb.directRest, directRest), maxDirectRest)
		nb.directAfter = c.now.Add(nb.directRest)
	}
	c.sync(catchup.Lost{Device: l.device})
}

// hearDirect serves a stream on which a device gives what it says.
func (n *Node) hearDirect(ctx context.Context, s *stream.Stream) {
	d, ok := host.DeviceID(s.Peer())
	if !ok {
		s.Reset(stream.ReasonDenied)
		return
	}
	if ok, own := n.directStreams.take(d); !ok {
		s.Reset(stream.ReasonBusy)
		if own {
			n.refuseFrom(d, chat.Errorf(chat.CodeInvalid, "A device opened too many streams at once. They were refused; nothing needs to be done."))
		}
		return
	}
	defer n.directStreams.free(d)
	known := false
	if n.do(ctx, func(c *core) { known = c.sharesAny(d) }) != nil {
		s.Reset(stream.ReasonShutdown)
		return
	}
	if !known {
		// Honest ones may know sooner than this node that both are in a room.
		s.Reset(stream.ReasonDenied)
		if !n.standings.allow(&n.standings.uninvited, time.Now(), d) {
			n.refuseFrom(d, chat.Errorf(chat.CodeInvalid, "A device that shares no room with you wants to speak in one. It was refused; nothing needs to be done."))
		}
		return
	}
	defer s.Reset(stream.ReasonDone)
	stop := context.AfterFunc(ctx, func() { s.Reset(stream.ReasonShutdown) })
	defer stop()
	for {
		f, err := receiveFrame(s)
		if err == nil {
			err = n.given(ctx, d, f)
		}
		if err != nil {
			if chat.CodeOf(err) == chat.CodeInvalid {
				n.refuseFrom(d, err)
			}
			return
		}
	}
}

// given checks a frame of the device d as the validator does what is gossiped, and
// hands its entry to the loop. An error ends the stream.
func (n *Node) given(ctx context.Context, d chat.DeviceID, f wire.Frame) error {
	// Not read, a flood waits at its author's.
	for !n.standings.allow(&n.standings.directs, time.Now(), d) {
		if !sleep(ctx, 10*time.Second/authorRate) {
			return ctx.Err()
		}
	}
	g, ok := f.(wire.Direct)
	if !ok {
		if _, newer := f.(wire.Unknown); newer {
			return nil
		}
		return chat.Errorf(chat.CodeInvalid, "A device sent a frame where it has no place. It was refused; nothing needs to be done.")
	}
	if n.store.Backlog() > maxBacklog {
		n.offer(d)
		return nil
	}
	tag, e, err := wire.DecodeLive(g.Message)
	if err != nil {
		return err
	}
	if e.Device != d {
		return chat.Errorf(chat.CodeInvalid, "A device passed on somebody else's message as its own. It was refused; nothing needs to be done.")
	}
	now := time.Now()
	if e.HLC.Time().Sub(now) > chat.MaxFarFuture {
		return chat.Errorf(chat.CodeInvalid, "A device sent a message from the far future. It was refused; check that device's clock.")
	}
	if err := e.Verify(); err != nil {
		return err
	}
	if e.HLC < chat.HLCOf(now.Add(-maxAge)) {
		return nil // catch-up brings it
	}
	return n.tell(ctx, func(c *core) { c.given(d, tag, &e, g) })
}

// given takes an entry from its author.
func (c *core) given(d chat.DeviceID, tag chat.RoomTag, e *wire.Entry, g wire.Direct) {
	id, ok := c.roomOf(tag, e)
	if !ok {
		return
	}
	if !c.rooms.Sealed(id) {
		c.refuse(d, chat.Errorf(chat.CodeInvalid, "A device whispered what belongs in an open room. It was refused; nothing needs to be done."))
		return
	}
	if !c.covered(id, d, binary.BigEndian.Uint64(g.Cover)) {
		c.relayLater(id, e.ID, g.Message)
	}
	c.room(room.Receive{Room: id, Entry: *e, From: d})
}

// covered reports whether an author has given an entry to everybody in the room whom
// this node could pass it on to, as far as can be told.
func (c *core) covered(id chat.RoomID, author chat.DeviceID, cover uint64) bool {
	if !c.private.Shares(id, author) {
		return true // who is out does not have this node speak for them
	}
	rest := cover ^ prefix(c.n.device) ^ prefix(author)
	for d, nb := range c.neighbours {
		if nb.hears() && d != author && c.private.Shares(id, d) {
			rest ^= prefix(d)
		}
	}
	if rest == 0 {
		return true
	}
	// Where the author has reached one more than this node can, all is well, too.
	for d := range c.people.devices {
		if nb := c.neighbours[d]; prefix(d) == rest && (nb == nil || !nb.hears()) {
			return true
		}
	}
	return false
}

// relayLater has an entry gossiped soon if nobody else does it before.
func (c *core) relayLater(id chat.RoomID, entry chat.EntryID, message []byte) {
	x := c.direct
	if _, again := x.relays[entry]; again {
		return
	}
	if len(x.relays) >= maxRelays {
		c.missRelay(id)
		return
	}
	at := c.now.Add(relayDelay + rand.N(relayJitter))
	x.relays[entry] = relay{room: id, message: message, at: at}
	if x.relayAt.IsZero() || at.Before(x.relayAt) {
		x.relayAt = at
	}
}

// missRelay leaves to catch-up what is not passed on.
func (c *core) missRelay(id chat.RoomID) {
	c.direct.missed[id] = struct{}{}
	if c.direct.missedAt.IsZero() {
		c.direct.missedAt = c.now.Add(missedAfter)
	}
}

// nextDirectTick returns when tickDirect has something to do, zero for never.
func (c *core) nextDirectTick() time.Time {
	x := c.direct
	if x.relayAt.IsZero() || !x.missedAt.IsZero() && x.missedAt.Before(x.relayAt) {
		return x.missedAt
	}
	return x.relayAt
}

// tickDirect passes on what is due.
func (c *core) tickDirect() {
	x := c.direct
	if !x.relayAt.IsZero() && !c.now.Before(x.relayAt) {
		x.relayAt = time.Time{}
		for entry, r := range x.relays {
			switch {
			case !c.now.Before(r.at):
				delete(x.relays, entry)
				if x.rate.take(c.now, c.n.device) {
					c.n.gossip(r.message)
				} else {
					c.missRelay(r.room)
				}
			case x.relayAt.IsZero() || r.at.Before(x.relayAt):
				x.relayAt = r.at
			}
		}
	}
	if !x.missedAt.IsZero() && !c.now.Before(x.missedAt) {
		ids := make([]chat.RoomID, 0, len(x.missed))
		for id := range x.missed {
			ids = append(ids, id)
		}
		x.missedAt = time.Time{}
		clear(x.missed)
		c.offerShared(ids)
	}
}

// gossiped notes that an entry came by gossip: nobody needs to pass it on, and its
// author may be where only gossip reaches.
func (c *core) gossiped(id chat.RoomID, e *wire.Entry) {
	x := c.direct
	delete(x.relays, e.ID)
	if nb := c.neighbours[e.Device]; nb != nil && nb.hears() || !c.rooms.Sealed(id) || !c.private.Shares(id, e.Device) {
		return
	}
	if _, known := x.elsewhere[e.Device]; !known { // else it may just have gone
		c.elsewhere(e.Device, afarFor)
	}
}

// elsewhere notes that a device can't be given anything directly, and may be there
// all the same.
func (c *core) elsewhere(d chat.DeviceID, wait time.Duration) {
	if x := c.direct; len(x.elsewhere) < maxElsewhere {
		x.elsewhere[d] = c.now.Add(wait)
	}
}

// sharesAny reports whether a device is in any sealed room that this one is in.
func (c *core) sharesAny(d chat.DeviceID) bool {
	for _, id := range c.rooms.Rooms() {
		if c.rooms.Sealed(id) && c.private.Shares(id, d) {
			return true
		}
	}
	return false
}
