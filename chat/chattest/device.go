package chattest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"time"

	"earshot/chat"
	"earshot/chat/catchup"
	"earshot/chat/identity"
	"earshot/chat/private"
	"earshot/chat/receipt"
	"earshot/chat/room"
	"earshot/chat/wire"
)

// device is a node without its I/O: its engines, a disk, and what the node's loop
// does between them.
type device struct {
	w     *world
	index int
	id    chat.DeviceID
	key   ed25519.PrivateKey
	cert  identity.Certificate
	skew  time.Duration
	liar  bool
	links []*link                 // in the order in which they were made
	reach map[chat.DeviceID]*link // the same, by the other end

	up       bool
	life     int // counts starts; what an earlier life had planned is void
	rooms    *room.Engine
	catchup  *catchup.Engine
	bases    *catchup.Bases
	wishes   catchup.Wishes
	receipts *receipt.Engine
	keeps    map[statementKey]receipt.Kept // on their way to the disk
	private  *private.Engine
	seen     map[chat.EntryID]bool // on the live path
	tickAt   time.Time
	prekey   []byte                    // of the private engine, as it is stored
	exits    map[chat.RoomID]int       // how often it has left a room
	exited   map[chat.RoomID]time.Time // when it last did
	disk     disk
}

// newDevice makes a device of a person, with a clock that differs from the others',
// but not so much that it is not believed.
func (w *world) newDevice(index, person int) *device {
	root, key := keyOf("person", person), keyOf("device", index)
	d := &device{
		w: w, index: index, key: key, skew: w.clock(),
		reach: map[chat.DeviceID]*link{}, exits: map[chat.RoomID]int{}, exited: map[chat.RoomID]time.Time{},
	}
	copy(d.id[:], key.Public().(ed25519.PublicKey))
	cert, err := identity.Sign(root, d.id, Start, fmt.Sprint("device ", index))
	if err != nil {
		w.fail("device %d gets no certificate: %v", index, err)
	}
	d.cert = cert
	d.disk.reset()
	d.disk.tenures, d.disk.obedient, d.disk.incurious = w.tenures, w.cfg.Obedient, w.cfg.Incurious
	w.byID[d.id] = d
	return d
}

// clock returns how far off a clock is: not so much that another does not believe it.
func (w *world) clock() time.Duration { return w.between(-50*time.Second, 50*time.Second) }

func keyOf(what string, index int) ed25519.PrivateKey {
	seed := sha256.Sum256(fmt.Appendf(nil, "chattest %s %d", what, index))
	return ed25519.NewKeyFromSeed(seed[:])
}

func (d *device) person() chat.PersonID { return d.cert.Person() }

// now is what the device's own clock shows.
func (d *device) now() time.Time { return d.w.now.Add(d.skew) }

// start makes the engines of what the disk holds, as a new process does.
func (d *device) start() {
	d.up = true
	d.life++
	if d.life > 1 && d.w.rng.IntN(3) == 0 {
		d.skew = d.w.clock()
	}
	d.w.note("%d starts", d.index)
	d.seen, d.tickAt = map[chat.EntryID]bool{}, time.Time{}
	d.disk.begin()
	d.bases, d.wishes = catchup.NewBases(), catchup.Wishes{}
	d.rooms = room.New(room.Config{
		Key: d.key, Person: d.person(), Certificate: d.cert.Bytes(), Name: d.name(), Certifier: d.w.certify,
		NewSalt: func() (salt [wire.SaltSize]byte) {
			for i := range salt {
				salt[i] = byte(d.w.rng.Uint32())
			}
			return salt
		},
		Writer: func(id chat.RoomID, who chat.PersonID) bool { return d.private.MayWrite(id, who) },
	})
	d.catchup = catchup.New(d.id, holdings{d.rooms, d}, rand.New(rand.NewPCG(d.w.rng.Uint64(), d.w.rng.Uint64())))
	d.rooms.Handle(d.now(), room.Enter{Room: lobby})
	d.rooms.Handle(d.now(), room.Restore{Room: lobby, Logs: d.disk.frontier(lobby)})
	d.startReceipts()
	d.startPrivate()
}

func (d *device) name() string { return fmt.Sprint("person ", d.person().Short()) }

// holdings is what a device holds. It names sealed rooms only to whom it may.
type holdings struct {
	*room.Engine
	d *device
}

func (h holdings) Shared(with chat.DeviceID) (out []chat.RoomID) {
	for _, id := range h.Rooms() {
		if h.d.shares(id, with) {
			out = append(out, id)
		}
	}
	return out
}

// shares reports whether a room may be named to a device.
func (d *device) shares(id chat.RoomID, with chat.DeviceID) bool {
	return !d.rooms.Sealed(id) || d.w.cfg.NoSecrets || d.private.Shares(id, with)
}

// mayHear fails the run if a summary for the device names a sealed room that its
// person was never asked into.
func (d *device) mayHear(nonce []byte, rooms []wire.RoomRoot) {
	for _, s := range d.w.sealed {
		if s.asked[d.person()] {
			continue
		}
		tag := s.id.SessionTag(nonce)
		for _, r := range rooms {
			if chat.RoomTag(r.Tag) == tag {
				d.w.fail("a sealed room is named to %d, which was never in it", d.index)
			}
		}
	}
}

// crash ends the device at once: what is not on the disk is gone.
func (d *device) crash() {
	if d.w.calm || !d.up {
		return
	}
	d.w.note("%d crashes with %d writes under way", d.index, len(d.disk.writes))
	d.up = false
	d.life++
	d.disk.lose(&d.w.cfg)
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

// post says something in one of the rooms that the device is in.
func (d *device) post(text string) {
	if !d.up {
		return
	}
	rooms := d.rooms.Rooms()
	id := rooms[d.w.rng.IntN(len(rooms))]
	d.act(id, text)
}

// receive hands the room engine entries, as one change, and returns how many records
// that made.
func (d *device) receive(list ...room.Receive) int {
	c := d.begin()
	for _, in := range list {
		c.take(d.rooms.Handle(d.now(), in))
		if n := d.rooms.Pending(in.Room); n > chat.MaxPending {
			d.w.fail("%d keeps %d entries that wait", d.index, n)
		}
	}
	return c.end()
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
			} else if l := d.reach[ef.Device]; l == nil || !l.breaking {
				d.w.fail("%d asks a device it is not connected to", d.index)
			}
		}
	}
	d.arm()
}

// arm plans the next tick, on the device's own clock.
func (d *device) arm() {
	var next time.Time
	for _, t := range []time.Time{d.rooms.NextTick(), d.catchup.NextTick(), d.private.NextTick(), d.receipts.NextTick()} {
		if next.IsZero() || (!t.IsZero() && t.Before(next)) {
			next = t
		}
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
		c := d.begin()
		c.take(d.rooms.Handle(d.now(), room.Tick{}))
		c.end()
		d.sync(catchup.Tick{})
		if t := d.private.NextTick(); !t.IsZero() && !d.now().Before(t) {
			d.seal(private.Tick{})
		}
		if t := d.receipts.NextTick(); !t.IsZero() && !d.now().Before(t) {
			d.receipt(receipt.Tick{})
		}
		d.arm()
	}))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// publish sends an entry of this device's to the room: straight to those who share it,
// as the author of a small sealed room does, or by flooding.
func (d *device) publish(id chat.RoomID, e wire.Entry) {
	if d.rooms.Sealed(id) && d.w.chance(50) {
		for _, l := range d.links {
			if to := l.other(d); l.up && d.private.Shares(id, to.id) {
				e := d.twist(e)
				d.give(l, func() {
					if to.genuine(&e, d) {
						to.receive(room.Receive{Room: id, Entry: e, From: d.id})
					}
				}, e)
			}
		}
		return
	}
	d.flood(id, e, nil)
}

// flood passes an entry on to the neighbours, as gossip does: lost, late, twice.
func (d *device) flood(id chat.RoomID, e wire.Entry, from *device) {
	d.seen[e.ID] = true
	for _, l := range d.links {
		if to := l.other(d); l.up && to != from {
			e := d.twist(e)
			d.give(l, func() {
				if to.genuine(&e, d) {
					to.live(id, e, d)
				}
			}, e)
		}
	}
}

// give has what is done with an entry at the other end of a link happen there: never,
// once or twice.
func (d *device) give(l *link, f func(), e wire.Entry) {
	to := l.other(d)
	copies := 1
	if d.w.chance(5) {
		copies = 2
	}
	if d.w.chance(d.w.loss) {
		copies = 0
		d.w.note("%s is lost between %d and %d", nameOf(&e), d.index, to.index)
		if d.w.chance(50) { // the sender's queue was full, and it knows
			d.sync(catchup.Lost{Device: to.id})
		}
	}
	for range copies {
		d.w.after(d.w.between(time.Millisecond, d.w.delay), l.still(to, f))
	}
}

// live takes an entry from the live path and passes it on, whether it is of a room
// that this device is in or not.
func (d *device) live(id chat.RoomID, e wire.Entry, from *device) {
	again := d.seen[e.ID]
	if !again {
		d.flood(id, e, from)
	}
	if at, stored := d.disk.at[e.ID]; d.w.cfg.NoDedup && again && stored {
		c := d.begin()
		c.records = []record{d.disk.records[at]}
		c.records[0].Mine = false
		c.end()
		return
	}
	d.receive(room.Receive{Room: id, Entry: e, From: from.id})
}

// states is what the device holds of the rooms it shares with another, for a session.
func (d *device) states(with *device, ses *session, end int) []catchup.RoomState {
	var out []catchup.RoomState
	holds := holdings{d.rooms, d}
	ses.wishes[end] = map[chat.RoomID][]wire.LogSeq{}
	for _, id := range holds.Shared(with.id) {
		s := catchup.RoomState{Room: id, Root: holds.Root(id), Base: d.bases.Get(with.id, id), Wanted: d.disk.wanted(id)}
		ses.wishes[end][id] = s.Wanted
		for _, l := range d.rooms.Frontier(id) {
			s.Frontier = append(s.Frontier, wire.HeadOf(l.Log, l.Seq, l.LastID))
		}
		out = append(out, s)
	}
	return out
}
