package node

import (
	"context"
	"errors"
	"strconv"
	"strings"

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
	c.expire()
	due, wake := c.schedule.Next(c.now)
	c.seekAt = wake
	for _, p := range due {
		d, ok := host.DeviceID(p)
		if c.n.refuses(d) {
			c.schedule.Forget(p) // until it is seen again, and welcome
			continue
		}
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
func (c *core) inSight(ev host.PeerEvent) {
	p := host.PeerID(ev.Device)
	c.schedule.Connected(p)
	if ev.Inbound {
		c.book.Confirm(c.now, p, nil) // their port is not one they listen on
	} else {
		c.book.Confirm(c.now, p, ev.Addr)
	}
	c.seek()
}

// trust has a device that has said who it is be looked for without end. A flood
// of strangers who do so gets no more than a share of that.
func (c *core) trust(d chat.DeviceID) {
	if c.trusted < maxTrusted {
		c.trusted++
		c.schedule.Trust(host.PeerID(d), true)
	}
}

// lostSight: the last connection to it is gone. Who is alone now asks the network
// once more, since its next question may be minutes away; if all asked whenever
// one left, a large network would be busy with that.
func (c *core) lostSight(d chat.DeviceID) {
	c.schedule.Disconnected(c.now, host.PeerID(d))
	if len(c.neighbours) == 0 && c.now.Sub(c.rescanned) > rescanEvery {
		c.rescanned = c.now
		for _, s := range c.n.sources {
			if r, ok := s.(interface{ Rescan() }); ok {
				r.Rescan()
			}
		}
	}
	c.seek()
}

// expire forgets hints that are too old.
func (c *core) expire() {
	if c.now.Before(c.expireAt) {
		return
	}
	c.expireAt = c.now.Add(expireEvery)
	for _, p := range c.book.Expire(c.now) {
		if d, ok := host.DeviceID(p); ok && c.neighbours[d] == nil {
			c.schedule.Forget(p)
		}
	}
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
	if all, err := discovery.SystemInterfaces(); err == nil {
		var unknown *discovery.UnknownInterfaceError
		if errors.As(c.n.selection.Check(all), &unknown) {
			c.n.warn(chat.Error{
				Code: chat.CodeNoInterface,
				Text: "There is no network interface called " + strconv.Quote(unknown.Name) + ".",
				Hint: "This computer has: " + strings.Join(unknown.Have, ", ") + ". Check the spelling, or plug it in: it is used as soon as it is there.",
			})
		} else {
			c.n.unwarn(chat.CodeNoInterface)
		}
	}
	c.n.host.NetworkChanged()
	c.schedule.NetworkChanged(c.now)
	c.seek()
}
