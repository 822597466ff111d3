package presence

import (
	"bytes"
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

// chain is a record that is passed on, and the newest beat of its chain.
type chain struct {
	id     ID
	record wire.PresenceRecord
	link   link
	first  int64
	slot   int64 // of beat
	beat   beat
	device *device       // whose it is; nil where that can't be read
	by     chat.DeviceID // who brought it

	at int // in table.list
	// off is by how many slots its device's clock seems to be behind this one, at the
	// most maxSkew either way: the least that a beat was late, once two have come.
	off, late int64
	heard     int // beats, up to 2
}

// age returns how old the newest beat is in a slot, in slots; more than counts for one
// from further ahead than clocks may be.
func (c *chain) age(slot int64) int64 {
	age := slot - c.slot - c.off
	if age < -1 {
		return aliveSlots + maxSkew + 1
	}
	return age
}

// young reports whether the newest beat may be of use to somebody: while it is not
// known how far its device's clock is behind, an older one may be too.
func (c *chain) young(slot int64) bool {
	most := int64(aliveSlots)
	if c.heard < 2 {
		most += maxSkew
	}
	return c.age(slot) <= most
}

// proves reports whether the newest beat is of a slot that began after a connection
// was lost, by whatever clock.
func (c *chain) proves(lost time.Time) bool {
	if lost.IsZero() {
		return true
	}
	began := startOf(c.slot + c.off)
	if c.device != nil && c.device.ahead != nil {
		if told := startOf(c.slot).Add(-*c.device.ahead); told.Before(began) {
			began = told
		}
	}
	return began.After(lost.Add(margin))
}

// skewed learns how far its device's clock is ahead.
func (c *chain) skewed(ahead time.Duration) {
	behind := int64((-ahead).Round(slotLength) / slotLength)
	c.late, c.heard = behind, 2
	c.off = min(max(behind, -maxSkew), maxSkew)
}

// advance takes a newer beat, in a slot.
func (c *chain) advance(s int64, b beat, slot int64) {
	c.slot, c.beat = s, b
	late := slot - s
	if c.heard == 0 {
		c.late = late
	}
	c.late = min(c.late, late)
	c.heard = min(c.heard+1, 2)
	if c.off = min(max(c.late, -maxSkew), maxSkew); c.heard == 1 {
		c.off = min(c.off, 0) // the first may have been long on its way
	}
}

// table is all chains that are known, but for one's own.
type table struct {
	list    []*chain // in no order that matters, but always the same
	byID    map[ID]*chain
	byName  map[name][]*chain
	foreign map[chat.DeviceID]int // chains of people who do not matter, by who brought them
	strange int                   // their sum
}

func (t *table) init() {
	t.byID, t.byName, t.foreign = map[ID]*chain{}, map[name][]*chain{}, map[chat.DeviceID]int{}
}

func (c *chain) foreign() bool { return c.device == nil || !c.device.cared }

// add puts a chain in, and reports whether there is room for it. Where there is none,
// whoever has brought the most strangers loses one.
func (t *table) add(c *chain) bool {
	if len(t.byName[c.id.name()]) >= maxNamesakes {
		return false
	}
	full := len(t.list) >= maxChains
	if full || c.foreign() && t.strange >= maxChains*maxForeign/100 {
		if !t.makeRoom(c) {
			return false
		}
	}
	c.at = len(t.list)
	t.list = append(t.list, c)
	t.byID[c.id] = c
	t.byName[c.id.name()] = append(t.byName[c.id.name()], c)
	if c.foreign() {
		t.count(c)
	}
	if c.device != nil {
		c.device.chain = c
	}
	return true
}

// makeRoom removes a chain of a stranger's for another one, and reports whether there
// was one that had to give way.
func (t *table) makeRoom(c *chain) bool {
	most, n := chat.DeviceID{}, 0
	for by, has := range t.foreign {
		if has > n || has == n && bytes.Compare(by[:], most[:]) < 0 {
			most, n = by, has
		}
	}
	if c.foreign() && t.foreign[c.by] >= n {
		return false
	}
	for _, o := range t.list {
		if o.foreign() && o.by == most {
			t.remove(o)
			return true
		}
	}
	return false
}

func (t *table) remove(c *chain) {
	last := t.list[len(t.list)-1]
	t.list[c.at], last.at = last, c.at
	t.list = t.list[:len(t.list)-1]
	delete(t.byID, c.id)
	n := c.id.name()
	if t.byName[n] = slices.DeleteFunc(t.byName[n], func(o *chain) bool { return o == c }); len(t.byName[n]) == 0 {
		delete(t.byName, n)
	}
	if c.foreign() {
		t.uncount(c)
	}
	if c.device != nil && c.device.chain == c {
		c.device.chain = nil
	}
}

func (t *table) count(c *chain) {
	t.strange++
	t.foreign[c.by]++
}

func (t *table) uncount(c *chain) {
	t.strange--
	if t.foreign[c.by]--; t.foreign[c.by] == 0 {
		delete(t.foreign, c.by)
	}
}

// forgetSkew unlearns how far others' clocks are from this one.
func (t *table) forgetSkew() {
	for _, c := range t.list {
		c.off, c.late, c.heard = 0, 0, 0
	}
}
