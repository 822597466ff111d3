package node

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/identity"
	"earshot/chat/private"
	"earshot/chat/room"
	"earshot/chat/wire"
	"earshot/node/store"
)

// This file keeps the list of this person's devices.

// What is stored, as state.
const (
	stateDevices = "device/"
	stateList    = stateDevices + "list"     // identity.Registry.Snapshot
	stateRoot    = stateDevices + "root"     // the device that holds the root key
	stateJoining = stateDevices + "joining"  // promised
	stateWelcome = stateDevices + "welcome/" // and the new device: what to say to it
)

// own is what this node knows of its person's devices. The loop owns it.
type own struct {
	registry *identity.Registry
	signing  bool          // a list is on its way to the disk
	namedAt  time.Time     // since when this person is called what they are
	root     chat.DeviceID // holds the root key; zero while that is not known
	welcomes map[chat.DeviceID]identity.Certificate
	links    map[chat.DeviceID]*ownLink
}

// newOwn reads what was stored. What belongs to the person that this device was of
// before it joined another is left alone.
func (n *Node) newOwn(ctx context.Context) (*own, *promised, error) {
	o := &own{
		registry: identity.NewRegistry(n.keys.Cert.Root), namedAt: n.keys.NamedAt, welcomes: map[chat.DeviceID]identity.Certificate{}, links: map[chat.DeviceID]*ownLink{},
	}
	if n.keys.Root != nil {
		o.root = n.device
	}
	state, err := n.store.State(ctx, stateDevices)
	if err != nil {
		return nil, nil, err
	}
	if b := state[stateList]; b != nil {
		r, err := identity.LoadRegistry(b)
		if err != nil {
			return nil, nil, err
		}
		if r.List().Root == n.keys.Cert.Root {
			o.registry = r
		}
	}
	if b := state[stateRoot]; len(b) == len(o.root) && n.keys.Root == nil {
		o.root = chat.DeviceID(b)
	}
	var p *promised
	if b := state[stateJoining]; b != nil {
		if p, err = decodePromised(b); err != nil {
			return nil, nil, err
		}
	}
	for key, b := range state {
		d, err := chat.ParseDeviceID(key[min(len(key), len(stateWelcome)):])
		if err != nil || key != stateWelcome+d.String() {
			continue
		}
		if cert, err := identity.Parse(b); err == nil {
			o.welcomes[d] = cert
		}
	}
	return o, p, nil
}

// Devices returns this person's devices, this one first, revoked ones last.
func (n *Node) Devices(ctx context.Context) ([]chat.OwnDevice, error) {
	rows, err := n.store.Devices(ctx)
	if err != nil {
		return nil, err
	}
	certs := map[chat.DeviceID]identity.Certificate{}
	for _, r := range rows {
		if cert, err := identity.Parse(r.Cert); err == nil && cert.Root == n.keys.Cert.Root {
			certs[r.Device] = cert
		}
	}
	return inLoop(ctx, n, func(c *core) ([]chat.OwnDevice, error) {
		r := c.own.registry
		out := []chat.OwnDevice{{
			Device: n.device, Label: c.ownLabel(), This: true, AddedAt: n.keys.Cert.IssuedAt, Presence: chat.Here,
			LastSeen: c.now.UTC(), Revoked: r.Standing(n.device) == identity.Revoked,
		}}
		add := func(d chat.DeviceID, label string, revoked bool) {
			if d == n.device {
				return
			}
			dev := chat.OwnDevice{Device: d, Label: chat.CleanName(label), AddedAt: certs[d].IssuedAt, Presence: chat.Gone, Revoked: revoked}
			if known := c.people.devices[d]; known != nil {
				if dev.LastSeen = known.lastSeen.UTC(); known.connected {
					dev.Presence = chat.Here
				}
			}
			out = append(out, dev)
		}
		for _, d := range r.InUse() {
			add(d.Device, d.Label, false)
		}
		for _, d := range r.Revoked() {
			add(d, certs[d].Label, true)
		}
		return out, nil
	})
}

// ownLabel is what this device is called in the list.
func (c *core) ownLabel() string {
	for _, d := range c.own.registry.InUse() {
		if d.Device == c.n.device && d.Label != "" {
			return chat.CleanName(d.Label)
		}
	}
	if c.n.keys.Cert.Label != "" {
		return chat.CleanName(c.n.keys.Cert.Label)
	}
	return hostLabel()
}

// RevokeDevice ends a device of this person's for good: it reads nothing that is said
// from now on.
func (n *Node) RevokeDevice(ctx context.Context, d chat.DeviceID) error {
	stored, err := inLoop(ctx, n, func(c *core) (<-chan error, error) {
		if err := c.mayChangeDevices("revoke"); err != nil {
			return nil, err
		}
		r := c.own.registry
		switch r.Standing(d) {
		case identity.Revoked:
			return nil, nil
		case identity.Unlisted:
			return nil, chat.Errorf(chat.CodeNotFound, "You have no device %s. `earshot device list` lists yours.", d.Short())
		}
		if d == n.device {
			return nil, chat.Errorf(chat.CodeDenied,
				"This device holds your root key, which the others don't have, so it can't be revoked. If it was stolen, restore a backup elsewhere and tell your contacts.")
		}
		kept := slices.DeleteFunc(r.InUse(), func(o identity.ListedDevice) bool { return o.Device == d })
		return c.sign(kept, store.StateChange{Key: stateWelcome + d.String()}, func(c *core) { delete(c.own.welcomes, d) })
	})
	if err != nil || stored == nil {
		return err
	}
	return n.wait(ctx, stored)
}

// mayChangeDevices reports why this device can't add or revoke others.
func (c *core) mayChangeDevices(what string) error {
	if c.revoked() {
		return errRevoked()
	}
	if c.n.keys.Root != nil {
		return nil
	}
	where := "the device that you began with"
	for _, d := range c.own.registry.InUse() {
		if d.Device == c.own.root {
			where = chat.CleanName(d.Label) + " (" + d.Device.Short() + ")"
		}
	}
	return chat.Errorf(chat.CodeDenied, "Only the device that holds your root key can %s devices. Do it on %s.", what, where)
}

func errRevoked() error {
	return chat.Errorf(chat.CodeRevoked,
		"This device was revoked on another of yours: it takes no part in what is encrypted. To use it again, start with an empty home and `earshot device join`.")
}

// sign makes the next list of these devices, stores it together with more, and only
// then believes it and lets it out. The channel yields what came of it; then, unless
// nil, runs in the loop when it is stored.
func (c *core) sign(devices []identity.ListedDevice, more store.StateChange, then func(*core)) (<-chan error, error) {
	if c.own.signing {
		return nil, chat.Errorf(chat.CodeBusy, "Your list of devices is just being changed. Try again in a moment.")
	}
	l, err := c.own.registry.Sign(c.n.keys.Root, c.now, devices)
	if err != nil {
		return nil, err
	}
	next := c.own.registry.Clone()
	if _, err := next.Take(l); err != nil {
		return nil, err
	}
	c.own.signing = true
	out := make(chan error, 1)
	batch := store.Batch{State: []store.StateChange{{Key: stateList, Value: next.Snapshot()}, more}}
	c.n.keep(batch, func(err error) {
		c.n.soon(func(c *core) {
			c.own.signing = false
			if err == nil {
				err = c.heardOwnList(l)
			}
			if err == nil && then != nil {
				then(c)
			}
			out <- err
		})
	})
	return out, nil
}

// soon has f run in the loop, without waiting: the store's writer calls it.
func (n *Node) soon(f func(*core)) {
	n.spawn(func(ctx context.Context) { _ = n.tell(ctx, f) })
}

// heardOwnList takes a list of this person's devices from wherever it came.
func (c *core) heardOwnList(l identity.DeviceList) error {
	r := c.own.registry
	news, err := r.Take(l)
	if err != nil {
		return err
	}
	if news.Alarm != nil {
		c.n.warn(chat.Error{
			Code: chat.CodeDeviceLists, Text: "Two lists of your own devices contradict each other: somebody else may hold your root key, or an old backup of it is in use.",
			Hint: "Use one of them only. If it is not you who did this, start as a new person and tell your contacts.",
		})
	}
	if !news.Newer && news.Revoked == nil && news.Alarm == nil {
		return nil
	}
	c.n.store.Commit(store.Batch{State: []store.StateChange{{Key: stateList, Value: r.Snapshot()}}}, func(_ []chat.Cursor, err error) {
		if err != nil {
			c.n.warn(*chat.AsError(err)) // it comes again with the next stream between own devices
		}
	})
	c.listChanged(l)
	return nil
}

// heardDevices takes a list that a neighbour has sent.
func (c *core) heardDevices(nb *neighbour, f wire.Devices) {
	c.heardPrivate(nb, f)
	if nb.cert.Person() != c.n.person {
		return // whose it is, the private engine knows: see followList
	}
	l, err := identity.ParseDevices(f.List)
	if err == nil && l.Person() == c.n.person {
		err = c.heardOwnList(l)
	}
	if err != nil {
		c.refuse(nb.cert.Device, err)
	}
}

// listChanged: this person's devices are others than before, by a list that is not
// always the newest. What the private engine makes of it is stored before anybody is
// told.
func (c *core) listChanged(l identity.DeviceList) {
	w := c.begin(nil)
	w.seal(private.Lists{List: l})
	frame := wire.EncodeFrame(wire.Devices{List: l.Bytes()})
	for d, nb := range c.neighbours {
		// Also whom it revokes: they are to know.
		if dev := c.people.devices[d]; dev != nil && dev.person.id == c.n.person && nb.peer != nil {
			w.letters = append(w.letters, letter{nb.peer, frame})
		}
	}
	w.end()
	c.checkStanding()
	c.setDoors()
	c.warnHidden()
	c.introduce()
	for _, d := range c.people.persons[c.n.person].devices {
		c.linkOwn(d.id)
	}
}

// startOwn goes on with what is known of own devices.
func (c *core) startOwn() {
	if l := c.own.registry.List(); l.Bytes() != nil {
		c.seal(private.Lists{List: l})
	}
	c.checkStanding()
}

// revoked reports whether this device was revoked.
func (c *core) revoked() bool {
	return c.own.registry.Standing(c.n.device) == identity.Revoked
}

// checkStanding has a device that was revoked say so plainly, and take no part in
// sealed rooms any more.
func (c *core) checkStanding() {
	if !c.revoked() {
		return
	}
	c.n.warn(*chat.AsError(errRevoked()))
	for _, id := range c.rooms.Rooms() {
		if c.rooms.Sealed(id) {
			c.room(room.Exit{Room: id})
		}
	}
	c.retag()
}

// followList takes up a list of this person's devices that the private engine has
// learnt. It asks the engine anew, since it runs some time after.
func (c *core) followList() {
	if l, ok := c.private.List(c.n.person); ok && l.Hash() != c.own.registry.List().Hash() {
		if err := c.heardOwnList(l); err != nil {
			c.n.rarely("devices", slog.LevelError, "a list of own devices is refused", "err", err)
		}
	}
}

// metForDevices: a neighbour has said hello.
func (c *core) metForDevices(nb *neighbour) {
	d := nb.cert.Device
	if nb.cert.Person() == c.n.person {
		c.setDoors()
		c.n.store.PutDevice(store.DeviceRow{Device: d, Person: c.n.person, Cert: nb.cert.Bytes(), LastSeen: c.now}, nil)
		if l := c.own.registry.List(); l.Bytes() != nil {
			// They may not know yet that they are revoked, or that this one is theirs.
			c.tellDevice(d, wire.Devices{List: l.Bytes()})
		}
	}
	c.metForPairing(d)
	c.linkOwn(d)
}

// ofOwn reports whether a neighbour is a device of this person that is to be talked to
// as such.
func (c *core) ofOwn(d chat.DeviceID) bool {
	dev := c.people.devices[d]
	if d == c.n.device || dev == nil || dev.person.id != c.n.person {
		return false
	}
	r := c.own.registry
	return r.Standing(d) == identity.InUse && r.Standing(c.n.device) == identity.InUse
}
