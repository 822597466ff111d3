package node

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"earshot/chat"
	"earshot/node/store"
)

// people is who this node has met or read, and which of their devices are
// connected. The loop owns it.
type people struct {
	self    chat.PersonID
	persons map[chat.PersonID]*person
	devices map[chat.DeviceID]*device
}

type person struct {
	id      chat.PersonID
	name    string
	namedAt time.Time // of the evidence for name: newer evidence wins
	devices []*device
}

type device struct {
	id        chat.DeviceID
	person    *person
	connected bool // its peer stream is open and its certificate checked
	address   string
	lastSeen  time.Time
}

func newPeople(self chat.PersonID, rows []store.DeviceRow) *people {
	p := &people{self: self, persons: map[chat.PersonID]*person{}, devices: map[chat.DeviceID]*device{}}
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
	per := p.persons[who]
	fresh := per == nil
	if fresh {
		per = &person{id: who}
		p.persons[who] = per
	}
	if p.devices[id] == nil {
		d := &device{id: id, person: per}
		p.devices[id] = d
		per.devices = append(per.devices, d)
		slices.SortFunc(per.devices, func(a, b *device) int { return bytes.Compare(a.id[:], b.id[:]) })
		fresh = true
	}
	return p.rename(who, name, at) || fresh
}

// maxPeople bounds the devices and the persons remembered, since identities are
// free (guess: 16 times what one network holds).
const maxPeople = 16384

// forget makes room: of the devices of others that are not connected, the quarter
// that was last seen or read longest ago goes, and whoever has no other.
func (p *people) forget() {
	var old []*device
	for _, d := range p.devices {
		if !d.connected && d.person.id != p.self {
			old = append(old, d)
		}
	}
	latest := func(d *device) time.Time {
		if d.person.namedAt.After(d.lastSeen) {
			return d.person.namedAt
		}
		return d.lastSeen
	}
	slices.SortFunc(old, func(a, b *device) int {
		return cmp.Or(latest(a).Compare(latest(b)), bytes.Compare(a.id[:], b.id[:]))
	})
	for _, d := range old[:min(len(old), maxPeople/4)] {
		delete(p.devices, d.id)
		d.person.devices = slices.DeleteFunc(d.person.devices, func(other *device) bool { return other == d })
	}
	for id, per := range p.persons {
		if len(per.devices) == 0 && id != p.self {
			delete(p.persons, id)
		}
	}
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
	per.name = name
	return true
}

// author returns how messages of a device are signed in what faces show.
func (p *people) author(id chat.DeviceID, who chat.PersonID) chat.Author {
	a := chat.Author{Person: who, Device: id}
	if per := p.persons[who]; per != nil {
		a.Name = per.name
	}
	return a
}

// person returns what faces are told of one person.
func (p *people) person(who chat.PersonID) (chat.Person, bool) {
	per := p.persons[who]
	if per == nil {
		return chat.Person{}, false
	}
	out := chat.Person{Person: who, Name: per.name, Me: who == p.self, Presence: chat.Gone, Devices: []chat.Device{}}
	for _, d := range per.devices {
		dev := chat.Device{Device: d.id, Presence: chat.Gone, LastSeen: d.lastSeen.UTC(), Address: d.address}
		if d.connected {
			dev.Presence, out.Presence = chat.Here, chat.Here
		}
		if d.lastSeen.After(out.LastSeen) {
			out.LastSeen = d.lastSeen.UTC()
		}
		out.Devices = append(out.Devices, dev)
	}
	return out, true
}

// all returns everybody: who is here first, then by name.
func (p *people) all() []chat.Person {
	out := make([]chat.Person, 0, len(p.persons))
	for id := range p.persons {
		per, _ := p.person(id)
		out = append(out, per)
	}
	rank := func(p chat.Person) int {
		switch {
		case p.Me:
			return 0
		case p.Presence == chat.Here:
			return 1
		}
		return 2
	}
	slices.SortFunc(out, func(a, b chat.Person) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		if a.Name != b.Name {
			if a.Name < b.Name {
				return -1
			}
			return 1
		}
		return bytes.Compare(a.Person[:], b.Person[:])
	})
	return out
}
