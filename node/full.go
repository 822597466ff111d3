package node

import (
	"context"
	"log/slog"
	"time"

	"earshot/chat"
	"earshot/chat/catchup"
	"earshot/chat/wire"
)

// This file is about full disks, this device's and its neighbours'. Nothing that can't
// be stored is taken or confirmed; those who wait for it are told why
// (PROTOCOL.md#devices-in-trouble).

// spaceEvery is how often a full disk is looked at again.
const spaceEvery = 2 * time.Second

// diskFull notes that the store could not take something for want of space. It is
// called by the store's writer, which must not wait.
func (n *Node) diskFull() {
	if !n.full.CompareAndSwap(false, true) {
		return
	}
	n.spawn(func(ctx context.Context) {
		if n.tell(ctx, func(c *core) { c.showFull(true) }) != nil {
			return
		}
		for n.store.Space() != nil {
			if !sleep(ctx, spaceEvery) {
				return
			}
		}
		n.full.Store(false)
		n.unwarn(chat.CodeDiskFull)
		n.log.Info("the disk has space again")
		_ = n.tell(ctx, func(c *core) {
			c.showFull(false)
			for d, nb := range c.neighbours { // what was not taken is fetched, with new patience
				if nb.hears() {
					c.sync(catchup.PeerDown{Device: d})
					c.sync(catchup.PeerUp{Device: d})
				}
			}
		})
	})
}

// showFull tells those who wait for this device to store something.
func (c *core) showFull(full bool) {
	for d := range c.neighbours {
		c.tellFull(d, full)
	}
}

// tellFull tells one of them.
func (c *core) tellFull(d chat.DeviceID, full bool) {
	if nb := c.neighbours[d]; nb != nil && nb.hears() && c.sharesAny(d) {
		nb.peer.TrySend(wire.EncodeFrame(wire.Full{Full: full}))
	}
}

// heardFull: a neighbour's disk is full, or no more.
func (c *core) heardFull(d chat.DeviceID, nb *neighbour, f wire.Full) {
	if nb.full == f.Full || !c.sharesAny(d) {
		return
	}
	nb.full = f.Full
	if !f.Full && c.now.Sub(nb.fetched) >= spaceEvery { // sessions were in vain, and are held ever less often
		nb.fetched = c.now
		c.sync(catchup.PeerDown{Device: d})
		c.sync(catchup.PeerUp{Device: d})
	}
	c.n.log.LogAttrs(c.n.ctx, slog.LevelDebug, "a neighbour's disk", slog.String("device", d.Short()), slog.Bool("full", f.Full))
	for _, id := range c.rooms.Rooms() {
		if c.rooms.Sealed(id) && c.private.Shares(id, d) {
			c.n.feed.Publish(chat.StatesEvent{Room: c.names[id], RoomID: id})
		}
	}
}

// isFull reports whether a device has said that it can store nothing now.
func (c *core) isFull(d chat.DeviceID) bool {
	nb := c.neighbours[d]
	return nb != nil && nb.full && nb.hears()
}

// fullSentence says whose disk is full.
func (c *core) fullSentence(who chat.PersonID, d chat.DeviceID) string {
	device := "device"
	if label := c.neighbours[d].cert.Label; label != "" {
		device = chat.CleanName(label)
	}
	return "The disk of " + c.displayName(who) + "'s " + device + " is full: it takes nothing until there is space."
}
