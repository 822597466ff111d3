package chattest

import (
	"crypto/ed25519"
	"errors"
	"math/rand/v2"
	"time"

	"earshot/chat"
	"earshot/chat/catchup"
	"earshot/chat/room"
	"earshot/chat/wire"
)

// device is a node without its I/O: two engines, a disk, and what the node's loop
// does between them.
type device struct {
	w     *world
	index int
	id    chat.DeviceID
	key   ed25519.PrivateKey
	skew  time.Duration
	rooms []chat.RoomID
	links []*link                 // in the order in which they were made
	reach map[chat.DeviceID]*link // the same, by the other end
	// knows holds the members of side, as far as it has come to know them.
	knows map[chat.PersonID]bool

	up      bool
	life    int // counts starts; what an earlier life had planned is void
	engine  *room.Engine
	catchup *catchup.Engine
	seen    map[chat.EntryID]bool // on the live path
	tickAt  time.Time
	disk    disk
}

// now is what the device's own clock shows.
func (d *device) now() time.Time { return d.w.now.Add(d.skew) }

func (d *device) start() {
	d.up = true
	d.life++
	d.w.note("%d starts", d.index)
	d.seen, d.tickAt = map[chat.EntryID]bool{}, time.Time{}
	d.engine = room.New(room.Config{
		Key: d.key, Person: personOf(d.id), Certificate: d.id[:], Name: "somebody", Certifier: certify,
		NewSalt: func() (salt [wire.SaltSize]byte) {
			for i := range salt {
				salt[i] = byte(d.w.rng.Uint32())
			}
			return salt
		},
		Writer: func(_ chat.RoomID, p chat.PersonID) bool { return d.knows[p] },
	})
	d.catchup = catchup.New(d.id, holdings{d.engine, d}, rand.New(rand.NewPCG(d.w.rng.Uint64(), d.w.rng.Uint64())))
	for _, id := range d.rooms {
		d.engine.Handle(d.now(), room.Enter{Room: id, Sealed: id == side})
		d.engine.Handle(d.now(), room.Restore{Room: id, Logs: d.disk.frontier(id)})
	}
	d.disk.seal()
}

// acquaint has a member of side hear of the others, one after the other, as
// membership operations come.
func (d *device) acquaint() {
	d.knows = map[chat.PersonID]bool{personOf(d.id): true}
	for _, peer := range d.w.devices {
		if len(peer.rooms) < len(d.w.rooms) {
			continue
		}
		d.w.after(d.w.between(0, d.w.cfg.Trouble), func() {
			d.knows[personOf(peer.id)] = true
			if d.up {
				d.sync(catchup.Joined{})
			}
		})
	}
}

// holdings is what a device holds. It names side only to whom it knows for a member.
type holdings struct {
	*room.Engine
	d *device
}

func (h holdings) Shared(d chat.DeviceID) (out []chat.RoomID) {
	for _, id := range h.Rooms() {
		if id != side || h.d.knows[personOf(d)] {
			out = append(out, id)
		}
	}
	return out
}

// mayHear fails the run if a summary for the device names a room that it is not in and
// that is sealed.
func (d *device) mayHear(nonce []byte, rooms []wire.RoomRoot) {
	tag := side.SessionTag(nonce)
	for _, r := range rooms {
		if len(d.rooms) < len(d.w.rooms) && chat.RoomTag(r.Tag) == tag {
			d.w.fail("a sealed room is named to %d, which is not in it", d.index)
		}
	}
}

// personOf returns whose a device is: each is another person's.
func personOf(d chat.DeviceID) chat.PersonID { return chat.PersonID(d[:20]) }

// certify stands for chat/identity: a device's certificate is its own id.
func certify(b []byte) (chat.PersonID, chat.DeviceID, error) {
	if len(b) != len(chat.DeviceID{}) {
		return chat.PersonID{}, chat.DeviceID{}, errors.New("not a certificate")
	}
	return personOf(chat.DeviceID(b)), chat.DeviceID(b), nil
}

// crash ends the device at once: what is not on the disk is gone.
func (d *device) crash() {
	if d.w.calm || !d.up {
		return
	}
	d.w.note("%d crashes with %d writes under way", d.index, len(d.disk.writes))
	d.up = false
	d.life++
	d.disk.lose(d.w.cfg.ForgetfulStore)
	for _, l := range d.links {
		l.cut()
	}
	d.w.after(d.w.between(200*time.Millisecond, 6*time.Second), func() {
		if !d.up {
			d.start()
			d.w.connect()
		}
	})
}

// alive runs f unless the device has crashed since.
func (d *device) alive(f func()) func() {
	life := d.life
	return func() {
		if d.life == life && d.up {
			f()
		}
	}
}

func (d *device) post(text string) {
	if d.up {
		id := d.rooms[d.w.rng.IntN(len(d.rooms))]
		if id == side {
			d.tell(room.Append{Room: id, Kind: wire.KindMessage, Epoch: 1, Payload: []byte(text)})
		} else {
			d.tell(room.Post{Room: id, Text: text})
		}
	}
}

// tell hands the room engine an input, carries out what it wants and returns how
// many records that made.
func (d *device) tell(in room.Input) (records int) {
	for _, ef := range d.engine.Handle(d.now(), in) {
		switch ef := ef.(type) {
		case room.Commit:
			records += len(ef.Records)
			d.write(ef)
		case room.Lack:
			if l := d.w.linkTo(d, ef.From); l != nil {
				d.sync(catchup.Gap{Device: ef.From})
			}
		case room.Refuse:
			d.w.fail("%d refuses: %v", d.index, ef.Err)
		case room.Fork:
			d.w.fail("%d sees a fork in %s", d.index, ef.Log.Short())
		case room.Deny:
			d.w.fail("%d can't post: %v", d.index, ef.Err)
		}
	}
	d.arm()
	return records
}

// sync hands the catch-up engine an input and carries out what it wants.
func (d *device) sync(in catchup.Input) {
	if d.w.cfg.NoCatchUp {
		return
	}
	for _, ef := range d.catchup.Handle(d.now(), in) {
		switch ef := ef.(type) {
		case catchup.Tell:
			if l := d.w.linkTo(d, ef.Device); l != nil {
				l.have(d, ef.Have)
			}
		case catchup.Open:
			if l := d.w.linkTo(d, ef.Device); l != nil {
				l.session(d)
			} else {
				d.w.fail("%d asks a device it is not connected to", d.index)
			}
		}
	}
	d.arm()
}

// arm plans the next tick, on the device's own clock.
func (d *device) arm() {
	next := d.engine.NextTick()
	if t := d.catchup.NextTick(); next.IsZero() || (!t.IsZero() && t.Before(next)) {
		next = t
	}
	if next.IsZero() || (!d.tickAt.IsZero() && !next.Before(d.tickAt)) {
		return
	}
	if next.Before(d.now()) {
		next = d.now()
	}
	d.tickAt = next
	d.w.at(next.Add(-d.skew), d.alive(func() {
		if !d.tickAt.Equal(next) {
			return // an earlier one took its place
		}
		d.tickAt = time.Time{}
		d.tell(room.Tick{})
		d.sync(catchup.Tick{})
	}))
}

// write has the disk take records, after those before them.
func (d *device) write(c room.Commit) {
	if len(c.Records) == 0 {
		d.w.fail("a commit of nothing")
		return
	}
	d.disk.writes = append(d.disk.writes, c.Records)
	d.disk.free = later(d.disk.free, d.w.now).Add(d.w.between(time.Millisecond, 30*time.Millisecond))
	epoch := d.disk.epoch
	d.w.at(d.disk.free, d.alive(func() {
		if epoch != d.disk.epoch {
			return
		}
		records := d.disk.writes[0]
		d.disk.writes = d.disk.writes[1:]
		if d.w.chance(1) {
			// Nothing behind a failed write may be stored, or there were a hole.
			d.w.note("%d fails to write %d and %d more", d.index, len(records), len(d.disk.writes))
			d.disk.writes = nil
			d.disk.epoch++
			for _, id := range d.rooms {
				d.tell(room.Restore{Room: id, Logs: d.disk.frontier(id)})
			}
			return
		}
		for _, r := range records {
			if err := d.disk.store(r, d.w.cfg.NoDedup); err != nil {
				d.w.fail("%d: %v", d.index, err)
			}
			d.w.ledger[r.Entry.ID] = r.Room
			d.w.note("%d stores %s", d.index, r.Entry.String())
			if r.Mine {
				d.publish(r.Room, r.Entry, nil)
			}
		}
	}))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// publish floods an entry to the neighbours, as gossip does: lost, late, twice.
func (d *device) publish(id chat.RoomID, e wire.Entry, from *device) {
	d.seen[e.ID] = true
	for _, l := range d.links {
		to := l.other(d)
		if !l.up || to == from {
			continue
		}
		copies := 1
		if d.w.chance(5) {
			copies = 2
		}
		if d.w.chance(20) {
			copies = 0
			d.w.note("%s is lost between %d and %d", e.String(), d.index, to.index)
			if d.w.chance(50) { // the sender's queue was full, and it knows
				d.sync(catchup.Lost{Device: to.id})
			}
		}
		for range copies {
			d.w.after(d.w.between(time.Millisecond, 120*time.Millisecond), l.still(to, func() { to.live(id, e, d) }))
		}
	}
}

// live takes an entry from the live path and passes it on.
func (d *device) live(id chat.RoomID, e wire.Entry, from *device) {
	again := d.seen[e.ID]
	if !again {
		d.publish(id, e, from)
	}
	if d.w.cfg.NoDedup && again && d.engine.Entered(id) {
		d.write(room.Commit{Records: []room.Record{{Room: id, Entry: e}}})
		return
	}
	d.tell(room.Receive{Room: id, Entry: e, From: from.id})
}

// states is what the device holds of the rooms it shares with another, for a session.
func (d *device) states(with *device) []catchup.RoomState {
	var out []catchup.RoomState
	for _, id := range (holdings{d.engine, d}).Shared(with.id) {
		s := catchup.RoomState{Room: id, Root: d.engine.Root(id)}
		for _, l := range d.engine.Frontier(id) {
			s.Frontier = append(s.Frontier, wire.LogSeq{Log: l.Log[:], Seq: l.Seq})
		}
		out = append(out, s)
	}
	return out
}
