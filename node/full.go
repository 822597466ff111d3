package node

import (
	"context"
	"log/slog"
	"time"

	"earshot/chat"
	"earshot/chat/catchup"
	"earshot/chat/courier"
	"earshot/chat/wire"
)

// This file is about disks that take nothing, this device's and its neighbours': full
// ones, and those that have become read-only or fail. Nothing that can't be stored is
// taken or confirmed; those who wait for it are told why
// (PROTOCOL.md#devices-in-trouble).

// A full disk is looked at again every spaceEvery; one that takes nothing for another
// reason, which mostly takes a person, ever less often, up to mostWait.
const (
	spaceEvery = 2 * time.Second
	mostWait   = 16 * time.Second
)

// diskStops notes that the disk takes nothing, for want of space or for another reason.
// The store calls it, which must not wait.
func (n *Node) diskStops(why chat.Code) {
	if n.full.CompareAndSwap(false, true) {
		n.spawn(func(ctx context.Context) { n.awaitDisk(ctx, why) })
	}
}

// awaitDisk tries until the disk takes something.
func (n *Node) awaitDisk(ctx context.Context, why chat.Code) {
	if n.tell(ctx, func(c *core) { c.showFull(true) }) != nil {
		return
	}
	wait := spaceEvery
	if why == chat.CodeDiskFull {
		wait = 0 // space may have returned by now
	}
	for sleep(ctx, wait) {
		err := n.store.Works(ctx)
		if err == nil {
			n.unwarn(why)
			n.diskWorks(ctx)
			return
		}
		if ctx.Err() != nil {
			return
		}
		if now := chat.CodeOf(err); now != why { // what was said is true no more
			n.unwarn(why)
			why = now
		}
		n.warn(*chat.AsError(err))
		if wait = min(max(2*wait, spaceEvery), mostWait); why == chat.CodeDiskFull {
			wait = spaceEvery
		}
	}
}

// diskWorks takes up what the disk did not take.
func (n *Node) diskWorks(ctx context.Context) {
	n.full.Store(false)
	n.storeWorks()
	n.log.Info("the disk takes what is stored again")
	_ = n.tell(ctx, func(c *core) {
		c.showFull(false)
		for d, nb := range c.neighbours { // it is fetched, with new patience
			if nb.hears() {
				c.sync(catchup.PeerDown{Device: d})
				c.sync(catchup.PeerUp{Device: d})
			}
		}
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

// heardFull: a neighbour's disk takes nothing, or does again.
func (c *core) heardFull(d chat.DeviceID, nb *neighbour, f wire.Full) {
	if nb.full == f.Full || !c.sharesAny(d) {
		return
	}
	nb.full = f.Full
	if !f.Full && c.now.Sub(nb.fetched) >= spaceEvery { // sessions were in vain, and are held ever less often
		nb.fetched = c.now
		c.sync(catchup.PeerDown{Device: d})
		c.sync(catchup.PeerUp{Device: d})
		c.courier(courier.Ready{Device: d})
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

// fullSentence says whose disk takes nothing.
func (c *core) fullSentence(who chat.PersonID, d chat.DeviceID) string {
	device := "device"
	if label := c.neighbours[d].cert.Label; label != "" {
		device = chat.CleanName(label)
	}
	return "The disk of " + c.displayName(who) + "'s " + device + " is full, or takes nothing: what is sent waits until it does."
}
