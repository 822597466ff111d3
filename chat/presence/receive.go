package presence

import (
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	"earshot/chat"
	"earshot/chat/wire"
)

// told takes a frame of a neighbour.
func (e *Engine) told(p *peer, f wire.Frame) {
	switch f := f.(type) {
	case wire.PresenceKey:
		e.takeKey(p, key(f.Key))
	case wire.PresenceRecords:
		for i := range f.Records {
			if !e.record(p, &f.Records[i]) {
				return
			}
		}
	case wire.PresenceDigest:
		e.digest(p, f)
	case wire.PresenceWant:
		e.wanted(p, f)
	case wire.Unknown:
	default:
		e.refuse(p, invalid("a frame where it has no place"))
	}
}

// takeKey takes the key to what a device shows.
func (e *Engine) takeKey(p *peer, k key) {
	d := p.device
	if d.key != nil && *d.key == k || !p.keys.take(e.now, 1/ownEvery.Seconds(), ownBurst) {
		return
	}
	e.dropKey(d)
	e.setKey(d, k)
	e.keepKey(d)
	if d.chain != nil {
		d.st.unlock(&d.chain.record, d.key)
		e.expires(d)
	}
	for _, c := range slices.Clone(e.table.list) {
		if c.device != nil || !c.record.Sealed {
			continue
		}
		if r, ok := openRecord(&c.record, d.key); ok {
			e.table.remove(c)
			e.opened(p, &c.record, &r, d, line{c.slot, c.beat})
		}
	}
	e.check(d)
}

func (e *Engine) setKey(d *device, k key) {
	d.key = &k
	i, _ := slices.BinarySearchFunc(e.keyed, d, compareDevices)
	e.keyed = slices.Insert(e.keyed, i, d)
}

func (e *Engine) dropKey(d *device) {
	if d.key == nil {
		return
	}
	d.key = nil
	e.keepKey(d)
	if i, ok := slices.BinarySearchFunc(e.keyed, d, compareDevices); ok {
		e.keyed = slices.Delete(e.keyed, i, i+1)
	}
}

// keyPrefix begins where the keys of others' devices are kept, in hexadecimal.
const keyPrefix = KeyPrefix + "key/"

// keepKey keeps the key of a device, or does so no more.
func (e *Engine) keepKey(d *device) {
	switch k := keyPrefix + hex.EncodeToString(d.id[:]); {
	case d.key != nil && d.cared && (d.kept || e.kept < maxKeys):
		if !d.kept {
			d.kept = true
			e.kept++
		}
		e.do(Keep{Key: k, Value: slices.Clone(d.key[:])})
	case d.kept:
		d.kept = false
		e.kept--
		e.do(Keep{Key: k})
	}
}

// begin takes up what was kept.
func (e *Engine) begin() {
	for _, k := range slices.Sorted(maps.Keys(e.cfg.Kept)) {
		name, ok := strings.CutPrefix(k, keyPrefix)
		id, err := hex.DecodeString(name)
		value := e.cfg.Kept[k]
		if !ok || err != nil || len(id) != len(chat.DeviceID{}) || len(value) != len(key{}) {
			continue
		}
		d := e.deviceOf(chat.DeviceID(id))
		e.setKey(d, key(value))
		d.kept = true
		e.kept++
		if !d.cared {
			e.dropKey(d)
		}
	}
	if e.cfg.Kept[holdersKey] != nil {
		e.do(Keep{Key: holdersKey})
	}
	e.cfg.Kept = nil
	e.reviewOwn()
}

// record takes one record, and reports whether to go on with those behind it.
func (e *Engine) record(p *peer, r *wire.PresenceRecord) bool {
	id := nameOf(r)
	asked, solicited := p.asked[id.name()]
	pending := asked.line
	delete(p.asked, id.name())
	switch {
	case e.own.chain != nil && id == e.own.chain.id, e.table.byID[id] != nil:
		return true
	case solicited:
		if !p.records.take(e.now, recordRate, maxAsked) {
			return false
		}
	case !p.mine.take(e.now, 1/ownEvery.Seconds(), ownBurst):
		return false
	}
	if !r.Sealed {
		return e.opened(p, r, r, nil, pending)
	}
	for _, d := range e.keyed {
		if !solicited && d != p.device {
			continue
		}
		if open, ok := openRecord(r, d.key); ok {
			return e.opened(p, r, &open, d, pending)
		}
	}
	if solicited && e.timely(int64(r.First)) {
		e.put(p, r, nil, pending)
	}
	return true
}

// timely reports whether a chain that begins in a slot can have beats now.
func (e *Engine) timely(first int64) bool {
	slot := slotOf(e.now)
	return first <= slot+maxSkew && first+chainSlots >= slot-aliveSlots-maxSkew
}

// opened takes a record that can be read, which travels as carried. by is whose key
// has opened it, nil if it was open; a neighbour's own record was not asked for.
func (e *Engine) opened(p *peer, carried, r *wire.PresenceRecord, by *device, pending line) bool {
	st, env, err := read(r)
	mine := st.device == p.id
	switch {
	case err != nil:
	case by != nil && by.id != st.device:
		err = invalid("a record under another device's key")
	case pending == (line{}) && !mine && by == nil && st.device != e.self:
		err = invalid("a record that nobody has asked for")
	case e.known(p, &st):
		return true
	default:
		err = st.verify(e.cfg.Verify, r, env)
	}
	if err != nil {
		if carried.Sealed && pending != (line{}) {
			return true // who has passed it on could not know
		}
		e.refuse(p, err)
		p.mutedUntil = e.now.Add(muteFor)
		return false
	}
	if st.device == e.self {
		e.mentioned(st.seq)
		return true
	}
	if !mine && !e.timely(int64(r.First)) {
		return true
	}
	d := e.deviceOf(st.device)
	wasBye, was := d.st.bye, d.view(e.now)
	if d.chain != nil {
		e.table.remove(d.chain)
	}
	st.unlock(r, d.key)
	d.st = st
	if mine {
		d.told = true
	}
	switch {
	case st.bye && !wasBye && d.connected && was.Here:
		d.seen = e.now
	case st.bye && !wasBye:
		if at := chat.HLC(st.seq).Time(); at.After(d.seen) && !at.After(e.now) {
			d.seen = at
		}
	}
	e.put(p, carried, d, pending)
	e.expires(d)
	e.check(d)
	return true
}

// known reports whether a record is no newer than the one that is held of its device.
// Who is behind itself is shown what it has said.
func (e *Engine) known(p *peer, st *statement) bool {
	d := e.devices[st.device]
	if d == nil || st.seq > d.st.seq || st.device == e.self {
		return false
	}
	if d.chain == nil && (st.seq == d.st.seq || st.device == p.id) {
		return false // it was forgotten; or the device itself knows best
	}
	if st.device == p.id && st.seq < d.st.seq {
		e.send(p, wire.PresenceRecords{Records: []wire.PresenceRecord{d.chain.record}})
	}
	return true
}

// put has a record's chain in the table, with a beat that came before the record.
func (e *Engine) put(p *peer, r *wire.PresenceRecord, d *device, pending line) {
	c := &chain{
		id: nameOf(r), record: *r, link: link(r.Link), first: int64(r.First), slot: int64(r.First), beat: beat(r.Anchor),
		device: d, by: p.id,
	}
	if !e.table.add(c) {
		return
	}
	if d != nil && d.ahead != nil {
		c.skewed(*d.ahead)
	}
	if e.plausible(c, pending.slot) && leads(c.link, pending.slot, pending.beat, c.slot, c.beat) {
		c.advance(pending.slot, pending.beat, slotOf(e.now))
	}
	e.heardBeat(c)
	e.soon()
}

// plausible reports whether a beat of a slot can be a newer one of a chain.
func (e *Engine) plausible(c *chain, slot int64) bool {
	return slot > c.slot && slot <= c.first+chainSlots && slot <= slotOf(e.now)+2*maxSkew
}

// heardBeat notes until when a chain shows its device to have been here.
func (e *Engine) heardBeat(c *chain) {
	d := c.device
	if d == nil || d.st.bye || !c.proves(d.lost) || c.age(slotOf(e.now)) > aliveSlots {
		return
	}
	at := startOf(c.slot + c.off)
	if at.After(e.now) {
		at = e.now
	}
	if at.After(d.seen) {
		d.seen = at
	}
}
