package private

import (
	"bytes"
	"cmp"
	"maps"
	"math"
	"slices"

	"earshot/chat"
	"earshot/chat/identity"
	"earshot/chat/seal"
	"earshot/chat/wire"
)

// person is what is known of somebody's devices.
type person struct {
	id       chat.PersonID
	registry *identity.Registry // nil while no list is known
	devices  map[chat.DeviceID]*device
	kept     bool // they share a conversation with this person: what is known is stored
}

// device is one that has shown its certificate itself: in its Hello, in a log or in an
// operation.
type device struct {
	id     chat.DeviceID
	person chat.PersonID
	cert   identity.Certificate
	prekey seal.Prekey // the newest; zero while none is known
	met    uint64      // Engine.met then
}

// peer is a connected device.
type peer struct {
	person chat.PersonID
	rooms  map[chat.RoomID]*exchange
	list   identity.ListHash // of this person's devices, as it was sent last
}

// person returns what is known of somebody, which is nothing at first.
func (e *Engine) person(id chat.PersonID) *person {
	p := e.people[id]
	if p == nil {
		p = &person{id: id, devices: map[chat.DeviceID]*device{}}
		e.people[id] = p
	}
	return p
}

// learn takes a device's certificate, which the device itself has shown: now, or in
// what it once signed. It returns nil if it does not verify, or is of a person whom the
// device has left since to join another. What it shows now counts, whatever the clocks
// of those say who signed; else the newer.
func (e *Engine) learn(c identity.Certificate, now bool) *device {
	d := e.devices[c.Device]
	if d != nil && d.person != c.Person() {
		if d.id == e.device || !now && !c.IssuedAt.After(d.cert.IssuedAt) || c.Verify() != nil {
			return nil
		}
		e.touch(d.person)
		e.dropDevice(d)
		d = nil
	}
	switch {
	case d != nil && !c.IssuedAt.After(d.cert.IssuedAt):
		return d
	case c.Verify() != nil:
		return nil
	}
	p := e.person(c.Person())
	if d == nil {
		if d = e.admit(p, c); d == nil {
			return nil
		}
	}
	d.cert = c
	if p.registry != nil {
		for _, l := range p.registry.List().Devices {
			if l.Device == d.id {
				e.learnPrekey(d, l.Prekey)
			}
		}
	}
	e.keepDevice(d)
	e.touch(p.id)
	return d
}

// admit makes room for a device of a person, nil if there is none for it: those that
// are in use stay, then those whose certificates are newest.
func (e *Engine) admit(p *person, c identity.Certificate) *device {
	d := &device{id: c.Device, person: p.id, cert: c}
	if len(p.devices) >= chat.MaxKnownDevices {
		last := slices.MinFunc(slices.Collect(maps.Values(p.devices)), e.byUse)
		if e.byUse(d, last) <= 0 {
			return nil
		}
		e.dropDevice(last)
	}
	p.devices[d.id], e.devices[d.id] = d, d
	e.met++
	d.met = e.met
	e.boundStrangers(p)
	return d
}

// byUse orders devices of a person: those that keys may be wrapped to come last.
func (e *Engine) byUse(a, b *device) int {
	use := func(d *device) int {
		_, here := e.connected[d.id]
		switch p := e.people[d.person]; {
		case d.id == e.device:
			return 3
		case p.registry != nil && p.registry.Standing(d.id) == identity.InUse:
			return 2
		case here && (p.registry == nil || p.registry.Standing(d.id) != identity.Revoked):
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(use(a), use(b)), a.cert.IssuedAt.Compare(b.cert.IssuedAt), bytes.Compare(a.id[:], b.id[:]))
}

// boundStrangers forgets the people met longest ago with whom this person shares
// nothing, when there are too many. The one given stays.
func (e *Engine) boundStrangers(but *person) {
	if len(e.people) <= chat.MaxStrangers {
		return
	}
	var last *person
	var met uint64
	strangers := 0
	for _, p := range e.people {
		if p.kept {
			continue
		}
		strangers++
		newest := uint64(0)
		for id, d := range p.devices {
			newest = max(newest, d.met)
			if e.connected[id] != nil {
				newest = math.MaxUint64
			}
		}
		if p != but && (last == nil || cmp.Or(cmp.Compare(newest, met), comparePeople(p.id, last.id)) < 0) {
			last, met = p, newest
		}
	}
	if last == nil || strangers <= chat.MaxStrangers {
		return
	}
	for id := range last.devices {
		delete(e.devices, id)
	}
	delete(e.people, last.id)
}

func (e *Engine) dropDevice(d *device) {
	p := e.people[d.person]
	delete(p.devices, d.id)
	delete(e.devices, d.id)
	if p.kept {
		e.persist(deviceKey(d.id), nil)
	}
}

// learnPrekey takes the prekey that a device has shown, if it is newer than the one
// that is known. One from the future is not to stand in the way of true ones.
func (e *Engine) learnPrekey(d *device, b []byte) {
	if len(b) == 0 || bytes.Equal(b, d.prekey.Bytes()) {
		return
	}
	k, err := seal.ParsePrekey(b)
	if err != nil || k.Device != d.id {
		return
	}
	ahead := d.prekey.CreatedAt.Sub(e.now) > seal.MaxFuturePrekey
	if !d.prekey.IsZero() && !ahead && !k.CreatedAt.After(d.prekey.CreatedAt) || k.Verify() != nil {
		return
	}
	d.prekey = k
	e.keepDevice(d)
	e.touch(d.person)
}

// keep stores what is known of somebody, from now on.
func (e *Engine) keep(id chat.PersonID) {
	p := e.person(id)
	if p.kept {
		return
	}
	p.kept = true
	for _, d := range sortedDevices(p.devices) {
		e.keepDevice(p.devices[d])
	}
	e.keepList(p)
}

func (e *Engine) keepDevice(d *device) {
	if e.people[d.person].kept && d.id != e.device {
		e.persist(deviceKey(d.id), d.encode())
	}
}

func (e *Engine) keepList(p *person) {
	if p.kept && p.registry != nil {
		e.persist(listKey(p.id), p.registry.Snapshot())
	}
}

// takeList takes a device list, which from has brought. Signed and numbered by its
// root, it may come from anywhere.
func (e *Engine) takeList(l identity.DeviceList, from chat.DeviceID) {
	p := e.person(l.Person())
	registry := p.registry
	if registry == nil {
		registry = identity.NewRegistry(l.Root)
	}
	news, err := registry.Take(l)
	if err != nil {
		if p.registry == nil && len(p.devices) == 0 && !p.kept {
			delete(e.people, p.id)
		}
		e.refuse(from, err)
		return
	}
	p.registry = registry
	e.boundStrangers(p)
	for _, listed := range l.Devices {
		if d := p.devices[listed.Device]; d != nil {
			e.learnPrekey(d, listed.Prekey)
		}
	}
	if news.Alarm != nil {
		for _, id := range sortedRooms(e.rooms) {
			if r := e.rooms[id]; r.entered && r.concerns(p.id) {
				e.emit(Notice{Room: id, Text: news.Alarm.Error()})
			}
		}
	}
	if !news.Newer && news.Revoked == nil && news.Alarm == nil {
		return
	}
	e.keepList(p)
	if p.id == e.cfg.Person && from == e.device {
		e.attest(news.Revoked)
	}
	e.touch(p.id)
	if news.Revoked != nil {
		for id := range e.rooms {
			e.dirty[id] = true // what these devices did there weighs less
		}
	}
	if p.id == e.cfg.Person && news.Newer {
		e.settle()
		e.spreadList(from == e.device)
	}
}

// spreadList tells whom this person talks to which devices are theirs: those who are
// connected and, if the list was signed here, the rooms.
func (e *Engine) spreadList(signedHere bool) {
	for _, d := range sortedDevices(e.connected) {
		e.sendList(d)
	}
	if !signedHere {
		return // the device that signed it posts it
	}
	list := e.people[e.cfg.Person].registry.List().Bytes()
	for _, id := range sortedRooms(e.rooms) {
		if r := e.rooms[id]; r.entered && e.speaksTo(r) {
			e.put(r, wire.KindDevices, list)
		}
	}
}

// sendList sends this person's device list to a connected device of somebody they talk
// to, if there is one that was not sent.
func (e *Engine) sendList(to chat.DeviceID) {
	l, known := e.List(e.cfg.Person)
	p := e.connected[to]
	if known && p.list != l.Hash() && e.inCircle(p.person) {
		p.list = l.Hash()
		e.emit(Send{To: to, Frame: wire.Devices{List: l.Bytes()}})
	}
}

// inCircle reports whether somebody shares a conversation with this person now, or has
// invited them to one: a device that was revoked since may have accepted.
func (e *Engine) inCircle(who chat.PersonID) bool {
	if who == e.cfg.Person {
		return true
	}
	for _, r := range e.rooms {
		if r.entered && r.concerns(who) {
			return true
		}
		if !r.direct() {
			if i, invited := r.log.State().Invitation(r.me); invited && i.By == who {
				return true
			}
		}
	}
	return false
}

// touch has the conversations looked at anew that somebody's devices are given keys of.
func (e *Engine) touch(who chat.PersonID) {
	for id, r := range e.rooms {
		if r.concerns(who) {
			e.dirty[id] = true
		}
	}
}

// revoked reports whether a device was revoked by its person.
func (e *Engine) revoked(who chat.PersonID, d chat.DeviceID) bool {
	p := e.people[who]
	return p != nil && p.registry != nil && p.registry.Standing(d) == identity.Revoked
}

// uses reports whether a device is its person's by their list, or they have none.
func (e *Engine) uses(who chat.PersonID, d chat.DeviceID) bool {
	p := e.people[who]
	return p != nil && (p.registry == nil || p.registry.Standing(d) == identity.InUse)
}

// InUse returns the devices that a person uses, as far as is known, ascending: those
// of their newest device list, or, while there is none, those that were met, this one
// included.
func (e *Engine) InUse(who chat.PersonID) []chat.DeviceID {
	p := e.people[who]
	if p == nil {
		return nil
	}
	var out []chat.DeviceID
	if p.registry != nil {
		for _, d := range p.registry.InUse() {
			out = append(out, d.Device)
		}
		return out
	}
	met := slices.SortedFunc(maps.Values(p.devices), e.byUse)
	for _, d := range met[max(0, len(met)-identity.MaxDevices):] {
		out = append(out, d.id)
	}
	slices.SortFunc(out, compareDevices)
	return out
}

// List returns the device list of a person that counts; false if none is known.
func (e *Engine) List(who chat.PersonID) (identity.DeviceList, bool) {
	p := e.people[who]
	if p == nil || p.registry == nil {
		return identity.DeviceList{}, false
	}
	return p.registry.List(), true
}

// Revoked reports whether any list of a person's that has come, also one that another
// contradicts, revokes a device.
func (e *Engine) Revoked(who chat.PersonID, d chat.DeviceID) bool { return e.revoked(who, d) }

// PersonOf returns whose a device is; false for one that is not known.
func (e *Engine) PersonOf(device chat.DeviceID) (chat.PersonID, bool) {
	d := e.devices[device]
	if d == nil {
		return chat.PersonID{}, false
	}
	return d.person, true
}

// meet takes what a device has shown of itself.
func (e *Engine) meet(in Met) {
	d := e.learn(in.Certificate, true)
	if d == nil {
		return
	}
	e.met++
	d.met = e.met
	e.learnPrekey(d, in.Prekey)
	if !in.Connected || d.id == e.device {
		return
	}
	e.settle()
	e.connected[d.id] = &peer{person: d.person, rooms: map[chat.RoomID]*exchange{}}
	e.greet(d.id)
}

// reachable reports whether somebody has a device that can be given keys.
func (e *Engine) reachable(who chat.PersonID) bool {
	return slices.ContainsFunc(e.InUse(who), func(id chat.DeviceID) bool {
		d := e.deviceOf(who, id)
		return d != nil && !d.prekey.IsZero()
	})
}

// deviceOf returns a device that somebody's list names, nil if it has not shown that
// it is theirs: else a member could keep one in the room whose person was removed.
func (e *Engine) deviceOf(who chat.PersonID, id chat.DeviceID) *device {
	if p := e.people[who]; p != nil {
		return p.devices[id]
	}
	return nil
}

func compareDevices(a, b chat.DeviceID) int { return bytes.Compare(a[:], b[:]) }

func comparePeople(a, b chat.PersonID) int { return bytes.Compare(a[:], b[:]) }

// Maps are gone through in the order of their keys: one input, one outcome.

func sortedDevices[V any](m map[chat.DeviceID]V) []chat.DeviceID {
	return slices.SortedFunc(maps.Keys(m), compareDevices)
}

func sortedPeople[V any](m map[chat.PersonID]V) []chat.PersonID {
	return slices.SortedFunc(maps.Keys(m), comparePeople)
}

func sortedRooms[V any](m map[chat.RoomID]V) []chat.RoomID {
	return slices.SortedFunc(maps.Keys(m), func(a, b chat.RoomID) int { return bytes.Compare(a[:], b[:]) })
}
