package node

import (
	"context"
	crand "crypto/rand"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"time"

	"earshot/chat"
	"earshot/chat/contacts"
	"earshot/chat/identity"
	"earshot/chat/presence"
	"earshot/chat/wire"
	"earshot/node/store"
)

// This file carries the engine that knows who is here: what it is told, and what it
// wants (chat/PROTOCOL.md#presence).

// sight is what the loop knows of who is here.
type sight struct {
	engine *presence.Engine
	own    presence.Own // as the engine was told last
	// storing counts what is on its way into the store. Until it is there, frames
	// wait: what is said counts on what is kept.
	storing int
	waiting []letter
	// kept is what the store is to hold, by key. What it did not take of it is unkept,
	// and tried again at retryAt.
	kept    map[string][]byte
	unkept  map[string]struct{}
	retryAt time.Time
	hopes   map[chat.PersonID]time.Time // see hopeFor
}

// maxWaiting bounds the frames about presence that wait for the store: what is said
// later is lost, and is learnt by asking (guess: a hundred neighbours, and what they
// ask meanwhile).
const maxWaiting = 1024

// loadPresence makes the engine of what the store holds.
func (c *core) loadPresence(ctx context.Context) error {
	n := c.n
	kept, err := n.store.State(ctx, presence.KeyPrefix)
	if err != nil {
		return err
	}
	var seed [32]byte
	_, _ = crand.Read(seed[:]) // never fails
	c.sight = sight{kept: map[string][]byte{}, unkept: map[string]struct{}{}, hopes: map[chat.PersonID]time.Time{}}
	c.sight.engine = presence.New(presence.Config{
		Key: n.keys.Device, Person: n.person,
		May:   func(who chat.PersonID) bool { return c.mayReach(who, contacts.ReachPresence) },
		Owner: c.provenOwner, Cares: c.caresFor,
		Entropy: crand.Reader, Random: rand.New(rand.NewChaCha8(seed)), Kept: kept,
	})
	c.people.view = c.viewOf
	return nil
}

// provenOwner returns whose a device is, unless it is theirs no more.
func (c *core) provenOwner(d chat.DeviceID) (chat.PersonID, bool) {
	who, known := c.ownerOf(d)
	if !known || c.hidden(who) || c.revokedBy(who, d) || who == c.n.person && c.own.registry.Standing(d) == identity.Revoked {
		return chat.PersonID{}, false
	}
	return who, true
}

// caresFor reports whether this person has to do with another.
func (c *core) caresFor(who chat.PersonID) bool {
	if who == c.n.person || c.circle.engine.Relation(who) != contacts.Stranger {
		return true
	}
	for _, id := range c.rooms.Rooms() {
		if c.rooms.Sealed(id) && c.private.MayWrite(id, who) {
			return true
		}
	}
	return false
}

// presence hands an input to the engine and carries out what it wants.
func (c *core) presence(in presence.Input) {
	s := &c.sight
	var keep []store.StateChange
	var show []chat.DeviceID
	for _, ef := range s.engine.Handle(c.now, in) {
		switch ef := ef.(type) {
		case presence.Send:
			if nb := c.neighbours[ef.To]; nb != nil && nb.peer != nil {
				s.wait(letter{nb.peer, wire.EncodeFrame(ef.Frame)})
			}
		case presence.Show:
			show = append(show, ef.Device)
		case presence.Keep:
			keep = append(keep, store.StateChange{Key: ef.Key, Value: ef.Value})
		case presence.Refuse:
			c.refuse(ef.From, ef.Err)
		}
	}
	c.keepPresence(keep)
	c.sendPresence()
	for _, d := range show { // what comes of it may be more for the engine
		c.showDevice(d)
	}
}

// wait has a frame wait for its turn, or forgets it where too many do.
func (s *sight) wait(l letter) {
	if len(s.waiting) < maxWaiting {
		s.waiting = append(s.waiting, l)
	}
}

// keepPresence has the store take what the engine goes on with after a restart.
func (c *core) keepPresence(keep []store.StateChange) {
	if len(keep) == 0 {
		return
	}
	n, s := c.n, &c.sight
	s.storing++
	for _, k := range keep {
		s.kept[k.Key] = k.Value
	}
	n.store.Commit(store.Batch{State: keep}, func(_ []chat.Cursor, err error) {
		n.soon(func(c *core) { c.keptPresence(keep, err) })
	})
}

// keptPresence: the store has taken something, or not.
func (c *core) keptPresence(keep []store.StateChange, err error) {
	s := &c.sight
	s.storing--
	if err != nil {
		c.n.rarely("presence", slog.LevelError, "storing what presence goes on with failed", "err", err)
		for _, k := range keep {
			s.unkept[k.Key] = struct{}{}
		}
		s.retryAt = c.now.Add(saveAgain)
	}
	c.sendPresence()
}

// sendPresence sends what waits, once what it counts on is stored, or can't be: a full
// disk keeps nobody from being seen.
func (c *core) sendPresence() {
	s := &c.sight
	if s.storing > 0 {
		return
	}
	for _, l := range s.waiting {
		l.to.TrySend(l.frame)
	}
	s.waiting = nil
}

// tickPresence does what is due.
func (c *core) tickPresence() {
	s := &c.sight
	if next := s.engine.NextTick(); !next.IsZero() && !c.now.Before(next) {
		c.presence(presence.Tick{})
	}
	if !s.retryAt.IsZero() && !c.now.Before(s.retryAt) {
		s.retryAt = time.Time{}
		var again []store.StateChange
		for key := range s.unkept {
			again = append(again, store.StateChange{Key: key, Value: s.kept[key]}) // perhaps newer by now
		}
		clear(s.unkept)
		c.keepPresence(again)
	}
	c.tickHopes()
}

// nextPresenceTick returns when tickPresence has something to do; zero for never.
func (c *core) nextPresenceTick() time.Time {
	next := c.sight.engine.NextTick()
	for _, t := range []time.Time{c.sight.retryAt, c.nextHope()} {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	return next
}

// tellPresence tells the engine what this device shows, and how far that goes.
func (c *core) tellPresence() {
	own := presence.Own{Status: inUTC(c.status.device), Reach: c.presenceReach(), Near: c.circle.privacy.ShowsAll(contacts.ReachNearby)}
	if at := c.status.at; at > 0 {
		own.Chosen = at.Time()
	}
	if own != c.sight.own {
		c.sight.own = own
		c.presence(own)
	}
}

// presenceReach returns how far it may become known that this device is here. What
// anybody may pass on to anybody reaches the blocked, too: where there are some,
// nothing goes further than to those who are given the key.
func (c *core) presenceReach() presence.Reach {
	p := &c.circle.privacy
	switch {
	case c.circle.hides():
		return presence.ReachNobody
	case len(c.circle.blocked) > 0 || !p.ShowsAll(contacts.ReachNearby):
		return presence.ReachHolders
	case p.ShowsAll(contacts.ReachPresence):
		return presence.ReachEveryone
	}
	return presence.ReachNamed
}

// reviewPresence has what is shown follow who may see it now.
func (c *core) reviewPresence() {
	c.tellPresence()
	c.presence(presence.Review{})
}

// metPresence: frames can be sent to a device, whose person is theirs by all that is
// known. Its clock shows another time.
func (c *core) metPresence(d chat.DeviceID, theirs time.Time) {
	if who, ok := c.provenOwner(d); ok {
		c.people.devices[d].spoken = true
		c.presence(presence.Connected{Device: d, Person: who, Ahead: theirs.Sub(c.now)})
	}
}

// heardPresence takes a frame of a neighbour whose it is known.
func (c *core) heardPresence(d chat.DeviceID, f wire.Frame) {
	if dev := c.people.devices[d]; dev != nil && dev.spoken {
		c.presence(presence.Told{From: d, Frame: f})
	}
}

// leftPresence: they can't be any more.
func (c *core) leftPresence(d chat.DeviceID, clean bool) {
	if dev := c.people.devices[d]; dev != nil && dev.spoken {
		dev.spoken = false
		c.presence(presence.Disconnected{Device: d, Clean: clean})
	}
}

// leaveForGood tells whoever knows of this device that it goes. Nothing follows that
// could count on what is not stored.
func (c *core) leaveForGood() {
	c.presence(presence.Leave{})
	c.sight.storing = 0
	c.sendPresence()
}

// viewOf returns what is known of a device.
func (c *core) viewOf(d *device) presence.View {
	if d.id == c.n.device {
		return presence.View{Here: true, LastSeen: c.now, Status: c.status.device, Chosen: c.sight.own.Chosen}
	}
	direct := presence.View{Here: d.connected, LastSeen: d.lastSeen}
	if c.hidden(d.person.id) {
		return direct
	}
	if _, theirs := c.provenOwner(d.id); !theirs {
		return presence.View{LastSeen: d.lastSeen}
	}
	v, known := c.sight.engine.Device(d.id)
	switch {
	case !known || !d.spoken && d.connected && !v.Here: // it is here, and nothing is said to it
		return direct
	case v.LastSeen.IsZero():
		v.LastSeen = d.lastSeen
	}
	return v
}

// presence fills in how reachable a person is, and what they show.
func (p *people) presence(per *person, out *chat.Person) {
	views := make([]presence.View, 0, len(per.devices))
	for _, d := range per.devices {
		v := p.view(d)
		views = append(views, v)
		dev := chat.Device{Device: d.id, Presence: chat.Gone, State: v.Status.State, LastSeen: utc(v.LastSeen)}
		if v.Here {
			dev.Presence, dev.Address = chat.Here, d.address
		}
		out.Devices = append(out.Devices, dev)
	}
	all := presence.Merge(views)
	if all.Here {
		out.Presence = chat.Here
	}
	out.Suspect, out.Status, out.LastSeen = all.Suspect, inUTC(all.Status), utc(all.LastSeen)
}

// availability orders people who are here: who is free first, those of whom nothing
// is known last.
func availability(p *chat.Person) int {
	for i, a := range chat.Availabilities {
		if p.Status.State == a {
			return i
		}
	}
	return len(chat.Availabilities)
}

// showDevice follows what is known of a device.
func (c *core) showDevice(d chat.DeviceID) {
	if d == c.n.device {
		return
	}
	dev := c.people.devices[d]
	if dev == nil {
		who, ok := c.provenOwner(d) // a contact's, of which only their list has told
		if !ok {
			return
		}
		c.meet(d, who, "", time.Time{})
		if dev = c.people.devices[d]; dev == nil {
			return
		}
	}
	if v := c.viewOf(dev); !v.Here && !v.LastSeen.IsZero() && !dev.lastSeen.Equal(v.LastSeen) {
		dev.lastSeen = v.LastSeen // what they say of themselves counts
		c.keepDevice(d)
	}
	c.showPerson(dev.person.id)
	if dev.person.id == c.n.person {
		c.showOwnStatus()
	}
}

// unchanged reports whether a person looks as faces were told last, and notes how they
// do. Of who is here it does not count when they were last seen: now.
func (per *person) unchanged(p chat.Person) bool {
	if p.Presence == chat.Here {
		p.LastSeen = time.Time{}
	}
	devices := make([]chat.Device, len(p.Devices))
	for i, d := range p.Devices {
		if d.Presence == chat.Here {
			d.LastSeen = time.Time{}
		}
		devices[i] = d
	}
	p.Devices = devices
	if per.shown != nil && reflect.DeepEqual(*per.shown, p) {
		return true
	}
	per.shown = &p
	return false
}
