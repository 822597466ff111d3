package node

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/contacts"
	"earshot/chat/presence"
	"earshot/node/store"
)

// people is who this node has met or read, and which of their devices are
// connected. The loop owns it.
type people struct {
	self    chat.PersonID
	persons map[chat.PersonID]*person
	devices map[chat.DeviceID]*device
	// relation says what a person is to this one: whoever is more than a stranger
	// is not forgotten.
	relation func(chat.PersonID) contacts.Relation
	// sorting says what this person has made of a contact.
	sorting func(chat.PersonID) contacts.Sorting
	told    map[chat.PersonID]told // of themselves, this person too
	// view says what is known of a device.
	view    func(*device) presence.View
	looks   [2]lookalikes
	names   *displayNames   // the same for those outside the loop
	renamed []chat.PersonID // whose display name has changed since takeRenamed
}

type person struct {
	id      chat.PersonID
	name    string    // as they call themselves
	namedAt time.Time // of the evidence for name: newer evidence wins
	looks   [2]string // of name; see lookalikes
	odd     bool      // the name bears its id even when it is alone
	display string    // how the name is written beside all others
	root    []byte    // their root key, nil while no certificate was seen
	devices []*device
	shown   *chat.Person // as faces were told last; see unchanged
}

type device struct {
	id        chat.DeviceID
	person    *person
	connected bool // its peer stream is open and its certificate checked
	spoken    bool // the presence engine has been told so: something may be said to it
	address   string
	lastSeen  time.Time
}

func newPeople(self chat.PersonID, rows []store.DeviceRow) *people {
	p := &people{
		self: self, persons: map[chat.PersonID]*person{}, devices: map[chat.DeviceID]*device{},
		relation: func(chat.PersonID) contacts.Relation { return contacts.Stranger },
		sorting:  func(chat.PersonID) contacts.Sorting { return contacts.Sorting{} },
		told:     map[chat.PersonID]told{},
		view:     func(d *device) presence.View { return presence.View{Here: d.connected, LastSeen: d.lastSeen} },
		looks:    [2]lookalikes{{}, {}},
		names:    &displayNames{self: self, of: map[chat.PersonID]string{}},
	}
	for _, row := range rows {
		p.meet(row.Device, row.Person, row.Name, row.LastSeen)
		p.devices[row.Device].lastSeen = row.LastSeen
	}
	return p
}

// meet notes that a device belongs to a person who goes by name, as of at. It
// reports whether anything is new.
func (p *people) meet(id chat.DeviceID, who chat.PersonID, name string, at time.Time) bool {
	if len(p.devices) >= maxPeople && p.devices[id] == nil || len(p.persons) >= maxPeople && p.persons[who] == nil {
		p.forget()
	}
	fresh := p.persons[who] == nil
	per := p.know(who, name, at)
	if p.devices[id] == nil {
		if len(per.devices) >= maxDevicesEach {
			p.forgetOneOf(per)
		}
		d := &device{id: id, person: per}
		p.devices[id] = d
		per.devices = append(per.devices, d)
		slices.SortFunc(per.devices, func(a, b *device) int { return bytes.Compare(a.id[:], b.id[:]) })
		fresh = true
	}
	return p.rename(who, name, at) || fresh
}

// move makes a device another person's, as it has shown of itself: it has joined them.
// What others relay of earlier days does not. It reports whether the device was
// somebody else's.
func (p *people) move(id chat.DeviceID, who chat.PersonID) bool {
	d := p.devices[id]
	if d == nil || d.person.id == who {
		return false
	}
	p.drop(d)
	p.forgetIfNobody(d.person)
	p.meet(id, who, "", d.lastSeen)
	p.devices[id].lastSeen = d.lastSeen
	return true
}

const (
	// maxPeople bounds the devices and the persons remembered, since identities are
	// free (guess: 16 times what one network holds).
	maxPeople = 16384
	// maxDevicesEach bounds the devices remembered of one person, in devices: a
	// device list has room for 16 in use and 48 revoked.
	maxDevicesEach = 64
)

// know returns a person. Whoever is new goes by name, as of at; nobody knows them by
// any if it is "".
func (p *people) know(who chat.PersonID, name string, at time.Time) *person {
	per := p.persons[who]
	if per == nil {
		per = &person{id: who}
		if name != "" {
			per.namedAt = at
		}
		p.persons[who] = per
		p.setName(per, name)
	}
	return per
}

// remember returns a person of whom something is stored: the name counts until
// there is evidence of another.
func (p *people) remember(who chat.PersonID, name string) *person {
	per := p.know(who, name, time.Time{})
	if per.name == "" {
		p.rename(who, name, time.Time{})
	}
	return per
}

// latest is when a device was last seen or read.
func (d *device) latest() time.Time {
	if d.person.namedAt.After(d.lastSeen) {
		return d.person.namedAt
	}
	return d.lastSeen
}

func longerAgo(a, b *device) int {
	return cmp.Or(a.latest().Compare(b.latest()), bytes.Compare(a.id[:], b.id[:]))
}

// forget makes room: of the devices of others that are not connected, the quarter
// that was last seen or read longest ago goes, and whoever has no other. Strangers
// go before those with whom there is a relation.
func (p *people) forget() {
	var old []*device
	for _, d := range p.devices {
		if !d.connected && d.person.id != p.self {
			old = append(old, d)
		}
	}
	kept := func(d *device) int {
		if p.relation(d.person.id) == contacts.Stranger {
			return 0
		}
		return 1
	}
	slices.SortFunc(old, func(a, b *device) int { return cmp.Or(kept(a)-kept(b), longerAgo(a, b)) })
	for _, d := range old[:min(len(old), maxPeople/4)] {
		p.drop(d)
	}
	for _, per := range p.persons {
		p.forgetIfNobody(per)
	}
}

// forgetIfNobody forgets a person without devices with whom there is no relation.
func (p *people) forgetIfNobody(per *person) {
	if len(per.devices) == 0 && per.id != p.self && p.relation(per.id) == contacts.Stranger {
		p.unplace(per)
		p.names.drop(per.id)
		delete(p.persons, per.id)
	}
}

// forgetOneOf makes room among the devices of one person, if it can.
func (p *people) forgetOneOf(per *person) {
	var old []*device
	for _, d := range per.devices {
		if !d.connected {
			old = append(old, d)
		}
	}
	if len(old) > 0 {
		p.drop(slices.MinFunc(old, longerAgo))
	}
}

func (p *people) drop(d *device) {
	delete(p.devices, d.id)
	d.person.devices = slices.DeleteFunc(d.person.devices, func(other *device) bool { return other == d })
}

// rename notes what a person goes by, as of at, and reports whether that is new.
func (p *people) rename(who chat.PersonID, name string, at time.Time) bool {
	per := p.persons[who]
	if per == nil || name == "" || at.Before(per.namedAt) {
		return false
	}
	per.namedAt = at
	if per.name == name {
		return false
	}
	p.setName(per, name)
	return true
}

// displayName returns how a person is written beside all others.
func (p *people) displayName(who chat.PersonID) string {
	if per := p.persons[who]; per != nil {
		return per.display
	}
	return nameless(who)
}

// author returns how messages of a device are signed in what faces show.
func (p *people) author(id chat.DeviceID, who chat.PersonID) chat.Author {
	return chat.Author{Person: who, Device: id, Name: p.displayName(who)}
}

// person returns what faces are told of one person.
func (p *people) person(who chat.PersonID) (chat.Person, bool) {
	per := p.persons[who]
	if per == nil {
		return chat.Person{}, false
	}
	out := chat.Person{Person: who, Name: per.display, Me: who == p.self, Presence: chat.Gone, Devices: []chat.Device{}}
	if !out.Me {
		out.Relation = chat.Relation(p.relation(who).String())
		s := p.sorting(who)
		out.Groups, out.Team, out.Watched = slices.Clone(s.Groups), s.Team, s.Watched
	}
	if t := p.told[who]; t.profile != (chat.Profile{}) {
		out.Profile = &t.profile
	}
	p.presence(per, &out)
	return out, true
}

// all returns everybody: who is free first, then who else is here, then by name.
func (p *people) all() []chat.Person {
	out := make([]chat.Person, 0, len(p.persons))
	for id := range p.persons {
		per, _ := p.person(id)
		out = append(out, per)
	}
	rank := func(p *chat.Person) int {
		switch {
		case p.Me:
			return 0
		case p.Presence == chat.Here:
			return 1 + availability(p)
		}
		return math.MaxInt
	}
	slices.SortFunc(out, func(a, b chat.Person) int {
		return cmp.Or(cmp.Compare(rank(&a), rank(&b)), cmp.Compare(a.Name, b.Name), bytes.Compare(a.Person[:], b.Person[:]))
	})
	return out
}

// keepDevice has the store remember a device, its person and their name.
func (c *core) keepDevice(d chat.DeviceID) {
	if c.remembered >= chat.MaxRememberedDevices {
		c.remembered = chat.MaxRememberedDevices / 4 * 3
		c.n.store.ForgetDevices(c.n.person, c.acquainted(), c.remembered, nil)
	}
	c.remembered++
	dev := c.people.devices[d]
	c.n.store.PutDevice(store.DeviceRow{Device: d, Person: dev.person.id, Name: dev.person.name, LastSeen: dev.lastSeen}, nil)
}

// acquainted returns who is more than a stranger, or in a private room with this person.
func (c *core) acquainted() map[chat.PersonID]struct{} {
	out := map[chat.PersonID]struct{}{}
	for _, r := range c.circle.engine.Records() {
		if r.Relation != contacts.Stranger {
			out[r.Person] = struct{}{}
		}
	}
	for _, info := range c.private.Infos() {
		for _, m := range info.Members {
			out[m.Person] = struct{}{}
		}
	}
	return out
}

// showPerson tells faces how a person is now, unless they know.
func (c *core) showPerson(who chat.PersonID) {
	p, ok := c.people.person(who)
	if !ok || c.people.persons[who].unchanged(p) {
		return
	}
	c.n.feed.Publish(chat.PersonEvent{Person: p})
	c.watch(&p)
}

// meet notes whose a device is and what they go by, as of at. Of somebody blocked
// nothing new is noted.
func (c *core) meet(d chat.DeviceID, who chat.PersonID, name string, at time.Time) {
	if c.hidden(who) {
		return
	}
	fresh := c.people.devices[d] == nil
	if c.people.meet(d, who, name, at) {
		c.keepDevice(d)
		c.showPerson(who)
	}
	if fresh && who == c.n.person {
		c.setDoors()
	}
}

// showRenamed follows whoever goes by another name, or is written otherwise because
// somebody else does.
func (c *core) showRenamed() {
	for _, who := range c.people.takeRenamed() {
		c.showPerson(who)
		c.directRenamed(who)
		if d, here := c.deviceOf(who); here {
			c.contact(contacts.Met{Person: who, Device: d, Name: c.people.persons[who].name}, nil)
		}
	}
}
