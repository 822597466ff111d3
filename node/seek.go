package node

import (
	"context"

	"github.com/libp2p/go-libp2p/core/peer"

	"earshot/chat"
	"earshot/discovery"
	"earshot/node/host"
)

// This file is how a node comes by its neighbours: sources report sightings, the
// book keeps them, the schedule says whom to dial when.

// sighted takes what a source reports.
func (c *core) sighted(ev discovery.Event) {
	change := c.book.Apply(c.now, ev)
	if ev.Kind != discovery.Lost && change != discovery.Refused {
		c.schedule.Want(c.now, ev.Peer, change == discovery.Added || change == discovery.Moved)
	}
	c.seek()
}

// seek dials whoever is due.
func (c *core) seek() {
	due, wake := c.schedule.Next(c.now)
	c.seekAt = wake
	for _, p := range due {
		d, ok := host.DeviceID(p)
		addrs := c.book.Addrs(p)
		if !ok || len(addrs) == 0 || c.n.standings.banned(c.now, d) {
			c.schedule.Failed(c.now, p, discovery.Unreachable)
			continue
		}
		c.n.spawn(func(ctx context.Context) {
			err := c.n.host.Dial(ctx, d, addrs)
			_ = c.n.tell(ctx, func(c *core) { c.dialled(p, d, err) })
		})
	}
}

func (c *core) dialled(p peer.ID, d chat.DeviceID, err error) {
	if err == nil {
		c.seek()
		return // the host reports the connection
	}
	c.n.log.Debug("could not reach a device", "device", d.Short(), "err", err)
	why := discovery.Unreachable
	switch {
	case host.WrongDevice(err):
		why = discovery.WrongPeer
	case host.Refused(err):
		why = discovery.RefusedDial
	}
	if c.schedule.Failed(c.now, p, why) {
		c.book.Forget(p)
		c.schedule.Forget(p)
	}
	c.seek()
}

// inSight: a connection to the device is there.
func (c *core) inSight(d chat.DeviceID) {
	p := host.PeerID(d)
	c.schedule.Connected(p)
	c.book.Confirm(c.now, p, nil)
	c.seek()
}

// lostSight: the last connection to it is gone.
func (c *core) lostSight(d chat.DeviceID) {
	c.schedule.Disconnected(c.now, host.PeerID(d))
	c.seek()
}

// networkChanged: interfaces or their addresses came or went.
func (c *core) networkChanged(usable []discovery.Interface) {
	c.n.setNetworks(usable)
	none := chat.Error{
		Code: chat.CodeNoNetwork,
		Text: "This computer is on no network that Earshot can use.",
		Hint: "Plug in a cable or join a Wi-Fi; Earshot notices by itself.",
	}
	if len(usable) == 0 {
		c.n.warn(none)
	} else {
		c.n.unwarn(none.Code)
	}
	c.n.host.NetworkChanged()
	c.schedule.NetworkChanged(c.now)
	c.seek()
}
