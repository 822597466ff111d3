package chattest

import (
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/catchup"
	"earshot/chat/content"
	"earshot/chat/private"
	"earshot/chat/receipt"
	"earshot/chat/room"
)

// change is what comes of one event, as in a node: the disk takes all of it or
// nothing, and only then are others told.
type change struct {
	d        *device
	records  []record
	state    []private.Persist
	openings []private.Opened   // of entries that were stored before
	filled   []filling          // payloads that came later
	unopened []private.Unopened // likewise
	letters  []private.Send
	retries  []private.Retry
	retried  []private.Retry // that are over
	said     *saying         // that it makes true
	removed  *removal        // likewise
	shared   []chat.RoomID   // whom these may be named to may have changed
	sealed   bool            // the private engine has a part in it
	prekey   []byte          // that others may use from now on; nil for no change
}

// record is an entry on its way to the disk, and what was opened of it.
type record struct {
	room.Record
	said     content.Said // to people, as far as it is open
	unopened *private.Unopened
	stripped bool // it came without its payload
	tries    int  // how often that was asked for
}

// postRef is what engines call the post of a change: there is but one.
const postRef = 1

func (d *device) begin() *change { return &change{d: d} }

// take takes what the room engine wants.
func (c *change) take(effects []room.Effect) {
	d := c.d
	for _, ef := range effects {
		switch ef := ef.(type) {
		case room.Commit:
			if len(ef.Records) == 0 {
				d.w.fail("a commit of nothing")
			}
			for _, r := range ef.Records {
				c.record(r)
			}
			if ef.Ref == postRef && c.said != nil {
				e := &ef.Records[len(ef.Records)-1].Entry
				c.said.id, c.said.name = e.ID, nameOf(e)
			}
		case room.Lack:
			if l := d.w.linkTo(d, ef.From); l != nil {
				d.sync(catchup.Gap{Device: ef.From})
			}
		case room.Refuse:
			d.w.blame(d, ef.From, ef.Err)
		case room.Fork:
			d.w.fail("%d sees a fork in %s", d.index, ef.Log.Short())
		case room.Deny:
			d.w.fail("%d can't post: %v", d.index, ef.Err)
		}
	}
}

// record takes an entry that the room engine accepted, and has it opened if it is
// sealed and another device's.
func (c *change) record(r room.Record) {
	c.records = append(c.records, record{Record: r, said: r.Said})
	switch {
	case r.Entry.Payload == nil && r.Entry.Kind.Removable():
		// Of what was not for this person nothing is missing.
		c.records[len(c.records)-1].stripped = !c.d.rooms.Sealed(r.Room) || !c.d.private.Predates(r.Room, r.Entry.HLC)
	case !c.d.rooms.Sealed(r.Room):
	case r.Mine:
		c.sealed = true
	default:
		c.seal(private.Receive{Room: r.Room, Authored: private.Authored{Entry: r.Entry, Person: r.Person}})
	}
}

// find returns the record of an entry, nil if it is not of this change.
func (c *change) find(id chat.EntryID) *record {
	for i := len(c.records) - 1; i >= 0; i-- {
		if c.records[i].Entry.ID == id {
			return &c.records[i]
		}
	}
	return nil
}

// end has the disk take the change, after those before it, or tells at once if there
// is nothing to take. It returns the number of records.
func (c *change) end() int {
	d := c.d
	switch {
	case len(c.records)+len(c.state)+len(c.openings)+len(c.unopened)+len(c.retries)+len(c.retried)+len(c.filled) > 0,
		c.sealed && (len(d.disk.writes) > 0 || d.disk.failed):
		d.write(c)
	default:
		c.tell()
	}
	if len(c.shared) > 0 {
		d.receipt(receipt.Shared{Rooms: slices.DeleteFunc(slices.Clone(c.shared), func(id chat.RoomID) bool { return id == lobby })})
	}
	for _, id := range c.shared {
		for _, l := range d.links {
			if to := l.other(d); l.up && d.rooms.Entered(id) && d.shares(id, to.id) {
				d.sync(catchup.Lost{Device: to.id})
			}
		}
	}
	d.arm()
	return len(c.records)
}

// write puts a change on its way to the disk.
func (d *device) write(c *change) {
	if d.disk.failed {
		return // until the engines have gone back to what is stored
	}
	d.disk.writes = append(d.disk.writes, c)
	c.holds(false)
	d.disk.free = later(d.disk.free, d.w.now).Add(d.w.between(time.Millisecond, 30*time.Millisecond))
	epoch := d.disk.epoch
	d.w.at(d.disk.free, d.alive(func() {
		if epoch != d.disk.epoch {
			return
		}
		c := d.disk.writes[0]
		d.disk.writes = d.disk.writes[1:]
		if !d.w.plain && d.w.chance(1) {
			d.failWrites(c)
			return
		}
		c.stored()
	}))
}

// failWrites loses a change and all that were behind it, or there were a hole, and has
// the engines go back to what the disk holds, some time later.
func (d *device) failWrites(c *change) {
	d.w.note("%d fails to write %d and %d changes more", d.index, len(c.records), len(d.disk.writes))
	d.disk.stop()
	d.disk.failed = true
	d.w.after(d.w.between(0, 20*time.Millisecond), d.alive(func() {
		d.disk.failed = false
		d.rooms.Handle(d.now(), room.Restore{Room: lobby, Logs: d.disk.frontier(lobby)})
		d.startPrivate()
		for _, l := range d.links {
			if l.up && l.greeted[l.side(d)] {
				d.met(l.other(d))
			}
		}
	}))
}

// stored is told that the disk has taken the change.
func (c *change) stored() {
	d := c.d
	if err := d.disk.take(c, &d.w.cfg); err != nil {
		d.w.fail("%d: %v", d.index, err)
		return
	}
	for i := range c.records {
		r := &c.records[i]
		d.w.confirm(d, r)
		d.w.note("%d stores %s", d.index, nameOf(&r.Entry))
	}
	c.holds(true)
	c.tell()
}

// tell tells others what is now true.
func (c *change) tell() {
	d := c.d
	if c.prekey != nil {
		d.prekey = c.prekey
	}
	if c.said != nil && c.said.id != (chat.EntryID{}) {
		d.w.said = append(d.w.said, c.said)
	}
	if r := c.removed; r != nil {
		r.at = d.w.now
	}
	for i := range c.records {
		if r := &c.records[i]; r.Mine {
			d.publish(r.Room, r.Entry)
		}
	}
	for _, l := range c.letters {
		d.deliver(l)
	}
	for _, r := range c.retries {
		d.reopen(r)
	}
	for _, f := range c.filled {
		if f.room != lobby {
			d.reopenWaiting(f.room)
		}
	}
}
