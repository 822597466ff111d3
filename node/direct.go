package node

import (
	"math/rand/v2"
	"time"

	"github.com/libp2p/go-libp2p/core/protocol"

	"earshot/chat"
	"earshot/chat/room"
	"earshot/chat/wire"
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

// given takes an entry from its author.
func (c *core) given(d chat.DeviceID, tag chat.RoomTag, e *wire.Entry, cover uint64) {
	id, ok := c.roomOf(tag, e)
	if !ok {
		return
	}
	if !c.rooms.Sealed(id) {
		c.refuse(d, chat.Errorf(chat.CodeInvalid, "A device whispered what belongs in an open room. It was refused; nothing needs to be done."))
		return
	}
	if !c.covered(id, d, cover) {
		c.relayLater(id, tag, e)
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
func (c *core) relayLater(id chat.RoomID, tag chat.RoomTag, e *wire.Entry) {
	x := c.direct
	if _, again := x.relays[e.ID]; again {
		return
	}
	if len(x.relays) >= maxRelays {
		c.missRelay(id)
		return
	}
	at := c.now.Add(relayDelay + rand.N(relayJitter))
	// The very bytes that its author would gossip, so that all who pass it on are heard once.
	x.relays[e.ID] = relay{room: id, message: wire.EncodeLive(tag, e), at: at}
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
