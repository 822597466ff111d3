package node

import (
	"context"
	"log/slog"
	"slices"
	"sync"

	"earshot/chat"
	"earshot/chat/contacts"
	"earshot/chat/courier"
	"earshot/chat/identity"
	"earshot/chat/wire"
	"earshot/discovery"
	"earshot/node/host"
	"earshot/node/store"
	"earshot/node/stream"
)

// This file is who may know that this person is here (chat/PROTOCOL.md#privacy).

// doors are whom the host lets in, and how much this node does to find others and
// be found. Safe for concurrent use: the connection gater asks from its own
// goroutines.
type doors struct {
	mu      sync.RWMutex
	blocked map[chat.DeviceID]struct{} // of blocked persons
	own     map[chat.DeviceID]struct{} // other devices of this person
	shut    bool                       // only own devices are let in, and only those this one calls
	changed chan struct{}              // closed when shut or own change
}

func newDoors() *doors {
	return &doors{blocked: map[chat.DeviceID]struct{}{}, own: map[chat.DeviceID]struct{}{}, changed: make(chan struct{})}
}

// setDoors makes the doors what people and their relations say.
func (c *core) setDoors() {
	blocked, own := map[chat.DeviceID]struct{}{}, map[chat.DeviceID]struct{}{}
	for id, dev := range c.people.devices {
		switch {
		case dev.person.id == c.n.person:
			if c.own.registry.Standing(id) != identity.Revoked {
				own[id] = struct{}{}
			}
		case c.hidden(dev.person.id):
			blocked[id] = struct{}{}
		}
	}
	for _, d := range c.own.registry.InUse() { // also one that was never met
		own[d.Device] = struct{}{}
	}
	c.n.doors.set(blocked, own, c.circle.hides())
}

func (d *doors) set(blocked, own map[chat.DeviceID]struct{}, shut bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	news := d.shut != shut || len(own) != len(d.own)
	d.blocked, d.own, d.shut = blocked, own, shut
	if news {
		close(d.changed)
		d.changed = make(chan struct{})
	}
}

// refuses reports whether there is to be no connection to a device.
func (d *doors) refuses(id chat.DeviceID) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if _, own := d.own[id]; own {
		return false
	}
	_, blocked := d.blocked[id]
	return blocked || d.shut
}

// hidden reports whether nobody may call this node.
func (d *doors) hidden() bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.shut
}

// seeking returns whether to look for others at all, whether to be found by them,
// and what is closed when that may have changed. Who hides asks the network only
// for devices of their own.
func (d *doors) seeking() (look, announce bool, changed <-chan struct{}) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return !d.shut || len(d.own) > 1, !d.shut, d.changed // this device is one
}

// hides reports whether nobody but this person's own devices may have a connection.
func (c *circle) hides() bool { return c.privacy.Invisible || c.privacy.Nearby.Kind == contacts.Nobody }

// refuses reports whether a device is to have no connection to this one.
func (n *Node) refuses(d chat.DeviceID) bool { return n.doors.refuses(d) }

// announcer is a source of sightings that can leave out to announce this node. The
// setting counts from the next Run on.
type announcer interface{ Announce(bool) }

// seekBy runs a source, as far as this person may be seen, until ctx ends.
func (n *Node) seekBy(ctx context.Context, s discovery.Source) {
	for ctx.Err() == nil {
		look, announce, changed := n.doors.seeking()
		if a, ok := s.(announcer); ok {
			a.Announce(announce)
		} else if !announce {
			look = false
		}
		if !look {
			select {
			case <-changed:
			case <-ctx.Done():
			}
			continue
		}
		run, stop := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() {
			ended <- s.Run(run, func(ev discovery.Event) { _ = n.tell(ctx, func(c *core) { c.sighted(ev) }) })
		}()
		var err error
		over := false
		select {
		case err = <-ended:
			over = true
		case <-changed:
			stop()
			err = <-ended
		}
		stop()
		if err != nil {
			n.log.Error("looking for others failed", "source", s.Name(), "err", err)
		}
		if over {
			return
		}
	}
}

// greets reports whether a device may know who is here: it gets a Hello, and may
// ask for sync sessions.
func (c *core) greets(d chat.DeviceID) bool {
	who, known := c.ownerOf(d)
	switch {
	case known && who == c.n.person && c.own.registry.Standing(d) != identity.Revoked:
		return true
	case c.circle.hides() || known && c.hidden(who):
		return false
	case c.circle.privacy.Nearby.Kind == contacts.EveryoneHere || c.pairsWith(d):
		return true
	case !known || c.revokedBy(who, d):
		return false
	}
	switch c.circle.engine.Relation(who) {
	case contacts.Requested, contacts.Asking: // the answer could not pass
		return true
	}
	return c.mayReach(who, contacts.ReachNearby) || c.sharesSealed(d)
}

// ownerOf returns whose a device is: somebody who was met with it, or a contact whose
// device list tells of it.
func (c *core) ownerOf(d chat.DeviceID) (chat.PersonID, bool) {
	if dev := c.people.devices[d]; dev != nil {
		return dev.person.id, true
	}
	if c.own.registry.Standing(d) == identity.InUse {
		return c.n.person, true
	}
	for who := range c.circle.chats {
		if slices.Contains(c.private.InUse(who), d) {
			return who, true
		}
	}
	return chat.PersonID{}, false
}

// revokedBy reports whether a list of a person's devices says that one is theirs no
// more: whoever holds it now is a stranger.
func (c *core) revokedBy(who chat.PersonID, d chat.DeviceID) bool {
	return c.private.Revoked(who, d)
}

// sharesSealed reports whether a device is in a private room of this person's.
// Direct chats do not count: who is in one is a contact, and may be shut out as one.
func (c *core) sharesSealed(d chat.DeviceID) bool {
	direct := map[chat.RoomID]struct{}{}
	for _, id := range c.directs {
		direct[id] = struct{}{}
	}
	for _, id := range c.rooms.Rooms() {
		if _, is := direct[id]; !is && c.rooms.Sealed(id) && c.shares(id, d) {
			return true
		}
	}
	return false
}

// quietStream is a peer stream on which this node has not said who it is.
type quietStream struct {
	device chat.DeviceID
	theirs *greeting // what they have said, nil for nothing yet
}

// greetsFirst reports whether a device is told who is here before it has said who it
// is. Where anybody is blocked, a device that is not known may be theirs.
func (c *core) greetsFirst(d chat.DeviceID) bool {
	if !c.greets(d) || len(c.circle.blocked) == 0 {
		return c.greets(d)
	}
	_, known := c.ownerOf(d)
	return known
}

// open says hello on a new peer stream, or that it will not be said yet.
func (c *core) open(d chat.DeviceID, s *stream.Stream) {
	if c.greetsFirst(d) {
		c.helloed[d] = struct{}{}
		s.TrySend(wire.EncodeFrame(c.hello()))
		return
	}
	c.quiet[s] = &quietStream{device: d}
	s.TrySend(wire.EncodeFrame(wire.Knock{}))
}

// introduce says hello to those who may know by now who this is, and hangs up on
// those who may no longer.
func (c *core) introduce() {
	for s, q := range c.quiet {
		if !c.greetsFirst(q.device) {
			continue
		}
		c.sayHello(s)
		if q.theirs != nil {
			c.greeted(q.device, s, *q.theirs)
		}
	}
	for d := range c.neighbours {
		if c.n.refuses(d) {
			c.hangUp(d)
		}
	}
	for d := range c.helloed { // also who has not said hello themselves
		switch {
		case c.neighbours[d] == nil && !c.n.host.Connected(d):
			delete(c.helloed, d)
		case !c.greets(d):
			c.hangUp(d)
		}
	}
}

// sayHello says on a quiet stream who is here.
func (c *core) sayHello(s *stream.Stream) {
	c.helloed[c.quiet[s].device] = struct{}{}
	delete(c.quiet, s)
	s.TrySend(wire.EncodeFrame(c.hello()))
}

// knocked: they do not say who they are yet. Two who both wait for the other's hello
// would wait for ever, so whoever has no reason of their own to wait speaks.
func (c *core) knocked(d chat.DeviceID, s *stream.Stream) {
	if c.quiet[s] != nil && c.greets(d) {
		c.sayHello(s)
	}
}

func (c *core) hangUp(d chat.DeviceID) {
	c.n.spawn(func(context.Context) { _ = c.n.host.Disconnect(d) })
}

// settleDoors shuts out who is blocked now, and lets in who is no more.
func (c *core) settleDoors(r contacts.Record) {
	_, was := c.circle.blocked[r.Person]
	if is := r.Relation == contacts.Blocked; is != was {
		delete(c.circle.blocked, r.Person)
		if is {
			c.circle.blocked[r.Person] = struct{}{}
			c.stopTypingBy(r.Person)
			c.courier(courier.Forget{Person: r.Person})
		}
		c.setDoors()
		c.seekAgain(r.Person)
		c.invitationsOf(r.Person)
	}
}

// seekAgain dials the devices of a person who was blocked before.
func (c *core) seekAgain(who chat.PersonID) {
	per := c.people.persons[who]
	if per == nil || c.n.host == nil || c.hidden(who) {
		return
	}
	for _, dev := range per.devices {
		if p := host.PeerID(dev.id); !dev.connected && len(c.book.Addrs(p)) > 0 {
			c.schedule.Want(c.now, p, true)
		}
	}
	c.seek()
}

// loadPrivacy returns the settings that the store holds.
func (n *Node) loadPrivacy(ctx context.Context) (contacts.Privacy, error) {
	state, err := n.store.State(ctx, privacyKey)
	if err != nil {
		return contacts.Privacy{}, err
	}
	b, ok := state[privacyKey]
	if !ok {
		return contacts.DefaultPrivacy(), nil
	}
	p, err := decodePrivacy(b)
	if err != nil {
		return contacts.Privacy{}, chat.Wrap(chat.CodeHomeBroken, err, "The privacy settings of this home can't be read.",
			"Restore a backup: earshot restore FILE")
	}
	return p, nil
}

// Privacy returns what this person lets others see.
func (n *Node) Privacy(ctx context.Context) (chat.Privacy, error) {
	return inLoop(ctx, n, func(c *core) (chat.Privacy, error) { return c.circle.privacy.Face(), nil })
}

// SetPrivacy changes what others may see. It returns when that is stored and in force:
// connections that may no longer be are being closed. Who leaves Typing empty does not
// know of it: it becomes Nobody with Presence, and else stays as it is.
func (n *Node) SetPrivacy(ctx context.Context, in chat.Privacy) error {
	return n.changePrivacy(ctx, func(old contacts.Privacy) (contacts.Privacy, error) {
		switch {
		case in.Typing != "":
		case in.Presence == chat.Nobody:
			in.Typing = chat.Nobody
		default:
			in.Typing = old.Typing.String()
		}
		return contacts.ParsePrivacy(in)
	})
}

// changePrivacy makes the settings what change makes of them.
func (n *Node) changePrivacy(ctx context.Context, change func(contacts.Privacy) (contacts.Privacy, error)) error {
	n.settingPrivacy.Lock() // what is stored last must be what is in force
	defer n.settingPrivacy.Unlock()
	p, err := inLoop(ctx, n, func(c *core) (contacts.Privacy, error) { return change(c.circle.privacy) })
	if err != nil {
		return err
	}
	stored := make(chan error, 1)
	n.keep(store.Batch{State: []store.StateChange{{Key: privacyKey, Value: encodePrivacy(p)}}}, func(err error) { stored <- err })
	if err := <-stored; err != nil {
		return err
	}
	return n.do(ctx, func(c *core) {
		hid := c.circle.hides()
		c.circle.privacy = p
		c.setDoors()
		c.warnHidden()
		c.n.feed.Publish(chat.PrivacyEvent{Privacy: p.Face()})
		if c.n.host == nil {
			return
		}
		c.reviewAudiences()
		if hid && !c.circle.hides() {
			c.schedule.NetworkChanged(c.now)
			c.seek()
		}
	})
}

// reviewAudiences has everything of this person's that others may see follow whom it
// is for now, since settings, relations or groups have changed.
func (c *core) reviewAudiences() {
	c.introduce()
	c.shareReceipts(nil)
	c.tellProfiles()
	c.reviewPresence()
}

// settleException ends the exception for somebody of whom nothing is to be left.
func (c *core) settleException(r contacts.Record) {
	if _, is := c.circle.privacy.Without(r.Person); !is || !r.Forgotten && r.Relation != contacts.Blocked {
		return
	}
	n, who := c.n, r.Person
	n.spawn(func(ctx context.Context) {
		if err := n.changePrivacy(ctx, func(p contacts.Privacy) (contacts.Privacy, error) {
			p, _ = p.Without(who)
			return p, nil
		}); err != nil && ctx.Err() == nil {
			n.rarely("privacy", slog.LevelError, "storing that an exception has ended failed", "err", err)
		}
	})
}

// warnHidden says that nobody sees this person, as long as that is so.
func (c *core) warnHidden() {
	if !c.circle.hides() {
		c.n.unwarn(chat.CodeInvisible)
		return
	}
	end := "End it with: earshot invisible off"
	if !c.circle.privacy.Invisible {
		end = "End it with: earshot privacy nearby everyone"
	}
	text := "You are invisible: nobody sees you, and nothing reaches you or leaves until you end it."
	if len(c.own.registry.InUse()) > 1 {
		text = "You are invisible: nobody sees this device but your other ones, through which what you say still leaves."
	}
	c.n.warn(chat.Error{Code: chat.CodeInvisible, Text: text, Hint: end})
}

// shutOut: a device that was not known shows that it is a blocked person's. It is
// remembered as theirs, and refused from now on.
func (c *core) shutOut(d chat.DeviceID, who chat.PersonID) {
	c.people.meet(d, who, "", c.now)
	c.keepDevice(d)
	c.setDoors()
	c.n.log.Log(c.n.ctx, slog.LevelDebug, "a device of a blocked person was refused", "device", d.Short())
	c.hangUp(d)
}
