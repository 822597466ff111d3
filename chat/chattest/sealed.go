package chattest

import (
	"bytes"
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/content"
	"earshot/chat/membership"
	"earshot/chat/private"
	"earshot/chat/room"
	"earshot/chat/wire"
)

// This file carries a device's engine of sealed rooms, as package node does.

// sealedRoom is what the world knows of a private room or a direct chat.
type sealedRoom struct {
	id      chat.RoomID
	history membership.History
	founder *device                // nil for a direct chat
	asked   map[chat.PersonID]bool // who is or ever was asked in
}

// saying is something that was said and confirmed.
type saying struct {
	room chat.RoomID
	id   chat.EntryID
	name string // of the entry in the trace
	by   *device
	at   time.Time
	text string
	// readers are the devices that were given its key, nil in an open room, and
	// how often each had left the room by then: -1 for one that was out, of which the
	// author did not know, and that may have no use for the key.
	readers map[*device]int
}

// startPrivate makes the engine of what the disk holds, and sets it going.
func (d *device) startPrivate() {
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(d.w.rng.Uint32())
	}
	e, err := private.New(private.Config{
		Key: d.key, Person: d.person(), Certificate: d.cert, Name: d.name(), Random: rand.NewChaCha8(seed),
	}, maps.Clone(d.disk.state))
	if err != nil {
		d.w.fail("%d does not start: %v", d.index, err)
		return
	}
	d.private = e
	for _, id := range d.rooms.Rooms() {
		if id != lobby { // those that it takes part in, it enters
			d.rooms.Handle(d.now(), room.Exit{Room: id})
		}
	}
	d.seal(private.Start{})
	for _, with := range d.w.contacts[d.person()] {
		d.seal(private.OpenDirect{Room: directRoom(d.person(), with), With: with})
	}
	for _, key := range slices.SortedFunc(maps.Keys(d.disk.retries), compareRetries) {
		d.reopen(key)
	}
	for _, id := range d.rooms.Rooms() {
		if d.rooms.Sealed(id) {
			d.reopenWaiting(id)
		}
	}
}

func directRoom(a, b chat.PersonID) chat.RoomID {
	return chat.DirectRoom(a, b, [32]byte{1})
}

// met says that a device is connected and has shown what it is.
func (d *device) met(other *device) {
	d.seal(private.Met{Certificate: other.cert, Prekey: other.prekey, Connected: true})
}

// seal hands the private engine an input and carries out what it wants.
func (d *device) seal(in private.Input) {
	c := d.begin()
	c.seal(in)
	c.end()
}

func (c *change) seal(in private.Input) {
	c.sealed = true
	for _, ef := range c.d.private.Handle(c.d.now(), in) {
		c.private(ef)
	}
	c.prekey = c.d.private.Prekey()
}

// private takes what the private engine wants.
func (c *change) private(ef private.Effect) {
	d := c.d
	switch ef := ef.(type) {
	case private.Persist:
		c.state = append(c.state, ef)
	case private.Append:
		c.append(ef)
	case private.Enter:
		d.w.note("%d enters %s", d.index, ef.Room.Short())
		c.take(d.rooms.Handle(d.now(), room.Enter{Room: ef.Room, Sealed: true}))
		c.take(d.rooms.Handle(d.now(), room.Restore{Room: ef.Room, Logs: d.disk.frontier(ef.Room)}))
		c.share(ef.Room)
	case private.Exit:
		d.w.note("%d exits %s", d.index, ef.Room.Short())
		d.exits[ef.Room]++
		d.exited[ef.Room] = d.w.now
		c.take(d.rooms.Handle(d.now(), room.Exit{Room: ef.Room}))
		c.share(ef.Room)
	case private.Opened:
		c.opened(ef)
	case private.Unopened:
		if r := c.find(ef.ID); r != nil {
			r.unopened = &ef
		} else {
			c.unopened = append(c.unopened, ef)
		}
	case private.Retry:
		c.retries = append(c.retries, ef)
	case private.Send:
		c.letters = append(c.letters, ef)
	case private.Changed:
		c.share(ef.Info.Room)
		if ef.Info.Invitation != nil {
			d.w.after(d.w.between(0, 3*time.Second), d.alive(func() { d.accept(ef.Info.Room) }))
		}
	case private.Notice:
		d.w.fail("%d warns: %s", d.index, ef.Text)
	case private.Deny:
		c.removed = nil
		if code := chat.CodeOf(ef.Err); code != chat.CodeNoKey && code != chat.CodeNotJoined && code != chat.CodeNotFound {
			d.w.fail("%d is denied: %v", d.index, ef.Err)
		}
	case private.Refuse:
		d.w.blame(d, ef.From, ef.Err)
	}
}

func (c *change) share(id chat.RoomID) {
	if !slices.Contains(c.shared, id) {
		c.shared = append(c.shared, id)
	}
}

// append puts what the private engine has sealed into the device's log.
func (c *change) append(ef private.Append) {
	d, before := c.d, len(c.records)
	c.take(d.rooms.Handle(d.now(), room.Append{Room: ef.Room, Kind: ef.Kind, Epoch: ef.Epoch, Payload: ef.Payload, Ref: ef.Ref}))
	if at := len(c.records) - 1; at >= before && ef.Shown != 0 {
		c.records[at].said = d.understand(ef.Shown, ef.Plaintext)
	}
}

func (c *change) opened(ef private.Opened) {
	if r := c.find(ef.ID); r == nil {
		c.openings = append(c.openings, ef)
	} else if r.unopened = nil; ef.Show {
		r.said = c.d.understand(ef.Kind, ef.Plaintext)
	}
}

// understand reads what an honest device has said.
func (d *device) understand(kind wire.Kind, plaintext []byte) content.Said {
	said, err := content.Read(kind, plaintext)
	if err != nil {
		d.w.fail("%d does not understand what was said: %v", d.index, err)
	}
	return said
}

// deliver sends a frame on the peer stream, if there is one.
func (d *device) deliver(s private.Send) {
	l := d.w.linkTo(d, s.To)
	if l == nil {
		return
	}
	b := wire.EncodeFrame(s.Frame)
	if len(b) > chat.MaxFrame {
		d.w.fail("a frame of %d bytes", len(b))
	}
	to := l.other(d)
	l.send(d, func() {
		f, err := wire.DecodeFrame(b)
		if err != nil {
			d.w.fail("a frame can't be read: %v", err)
			return
		}
		to.seal(private.Heard{Device: d.id, Person: d.person(), Frame: f, Known: true})
	})
}

// reopen hands entries over again that could not be read.
func (d *device) reopen(q private.Retry) {
	d.w.after(d.w.between(time.Millisecond, 50*time.Millisecond), d.alive(func() {
		c := d.begin()
		if list := d.disk.closed(func(u *private.Unopened) bool {
			return u.Room == q.Room && (q.Device.IsZero() || u.Device == q.Device) && (q.Epoch == 0 || u.Epoch == q.Epoch)
		}); len(list) > 0 {
			c.seal(private.Again{Room: q.Room, Entries: list})
		}
		c.retried = append(c.retried, q)
		c.end()
	}))
}

// reopenWaiting does so with what waits for keys: an engine that was made anew does
// not know of it.
func (d *device) reopenWaiting(id chat.RoomID) {
	d.w.after(d.w.between(time.Millisecond, 50*time.Millisecond), d.alive(func() {
		if list := d.disk.closed(func(u *private.Unopened) bool { return u.Room == id && u.Reason == "" }); len(list) > 0 {
			d.seal(private.Again{Room: id, Entries: list})
		}
	}))
}

// readers returns the devices that are given the keys of what is said now.
func (d *device) readers(id chat.RoomID) map[*device]int {
	info, ok := d.private.Info(id)
	if !ok {
		return nil
	}
	people := make([]chat.PersonID, 0, len(info.Members)+len(info.Invited))
	for _, m := range info.Members {
		people = append(people, m.Person)
	}
	if info.History == membership.HistoryInvited {
		for _, i := range info.Invited {
			people = append(people, i.Person)
		}
	}
	out := map[*device]int{}
	for _, who := range people {
		for _, id := range d.private.InUse(who) {
			if other := d.w.byID[id]; other != d && !slices.Contains(info.Keyless, id) {
				if out[other] = other.exits[info.Room]; out[other] > 0 && !other.rooms.Entered(info.Room) {
					out[other] = -1
				}
			}
		}
	}
	return out
}

// found makes a private room.
func (d *device) found(s *sealedRoom) {
	c := d.begin()
	c.sealed = true
	for _, ef := range d.private.Handle(d.now(), private.Found{Name: "office", History: s.history, Ref: postRef}) {
		if done, ok := ef.(private.Done); ok {
			s.id = done.Room
		}
		c.private(ef)
	}
	d.w.note("%d founds %s", d.index, s.id.Short())
	c.end()
}

// invite asks a person in.
func (d *device) invite(s *sealedRoom, who chat.PersonID) {
	if !d.up {
		return
	}
	s.asked[who] = true // before the frame that tells
	d.w.note("%d asks %s in", d.index, who.Short())
	for _, r := range d.w.removals {
		if r.room == s.id && r.who.person() == who {
			r.over = true
		}
	}
	d.seal(private.Change{Room: s.id, Body: membership.Invite{Person: who, Role: membership.RoleMember}, Ref: postRef})
}

// accept follows an invitation, if it still stands.
func (d *device) accept(id chat.RoomID) {
	if info, ok := d.private.Info(id); ok && info.Invitation != nil {
		d.w.note("%d accepts", d.index)
		d.seal(private.Accept{Room: id, Ref: postRef})
	}
}

// removal is that somebody was thrown out, and that this was stored.
type removal struct {
	room chat.RoomID
	by   *device
	who  *device
	at   time.Time // zero until it is stored
	over bool      // they were asked in again
}

// remove throws somebody out, or has them go by themselves.
func (d *device) remove(s *sealedRoom, other *device) {
	by, body := d, membership.Body(membership.Remove{Person: other.person()})
	if d.w.rng.IntN(3) == 0 {
		by, body = other, membership.Leave{}
	}
	info, ok := by.private.Info(s.id)
	if !by.up || !ok || !info.Entered {
		return
	}
	d.w.note("%d has %d go", by.index, other.index)
	d.w.gone[other] = true
	c := by.begin()
	if by != other {
		c.removed = &removal{room: s.id, by: by, who: other}
		d.w.removals = append(d.w.removals, c.removed)
	}
	if by == other || !d.w.cfg.DeafToRemoval {
		c.seal(private.Change{Room: s.id, Body: body, Ref: postRef})
	}
	c.end()
}

func compareRetries(a, b private.Retry) int {
	return cmp.Or(bytes.Compare(a.Room[:], b.Room[:]), bytes.Compare(a.Device[:], b.Device[:]), cmp.Compare(a.Epoch, b.Epoch))
}
