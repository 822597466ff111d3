package node

import (
	"bytes"
	"context"
	"crypto/rand"
	"maps"
	"slices"
	"strings"
	"time"

	"earshot/chat"
	"earshot/chat/catchup"
	"earshot/chat/contacts"
	"earshot/chat/content"
	"earshot/chat/private"
	"earshot/chat/room"
	"earshot/chat/wire"
	"earshot/node/store"
)

// This file carries the engine of sealed rooms: what it is told, and what it wants.
// See change for how its effects are stored.

// stateOfPrivate are the beginnings of the keys under which the engine's state is
// stored.
var stateOfPrivate = []string{"private/", "seal/"}

// listsOfPrivate begins the keys of device lists among them.
const listsOfPrivate = "private/list/"

// loadPrivate makes the engine of what the store holds.
func (c *core) loadPrivate(ctx context.Context) error {
	state := map[string][]byte{}
	for _, prefix := range stateOfPrivate {
		part, err := c.n.store.State(ctx, prefix)
		if err != nil {
			return err
		}
		maps.Copy(state, part)
	}
	rows, err := c.n.store.Rooms(ctx)
	if err != nil {
		return err
	}
	engine, err := private.New(private.Config{
		Key: c.n.keys.Device, Person: c.n.person, Certificate: c.n.keys.Cert, Name: c.n.Name(), Random: rand.Reader,
	}, state)
	if err != nil {
		return err
	}
	c.private, c.life, c.prekey = engine, &life{}, nil
	clear(c.rows)
	for _, r := range rows {
		if r.Kind.Sealed() {
			c.names[r.Room] = r.Name
			c.rows[r.Room] = store.RoomChange{Room: r.Room, Name: r.Name, Kind: r.Kind, Person: r.Person, Topic: r.Topic, Joined: r.Joined}
		}
	}
	return nil
}

// startPrivate sets the engine going: at start, and when it was made anew.
func (c *core) startPrivate() {
	c.seal(private.Start{})
	for _, info := range c.private.Infos() {
		if info.Direct && c.directs[info.With] != info.Room { // no contact any more
			c.seal(private.CloseDirect{Room: info.Room})
		}
	}
	for _, who := range slices.SortedFunc(maps.Keys(c.directs), comparePersons) {
		c.seal(private.OpenDirect{Room: c.directs[who], With: who})
	}
	for _, nb := range c.neighbours {
		if nb.peer != nil {
			c.metDevice(nb)
		}
	}
	for _, id := range c.rooms.Rooms() {
		if c.rooms.Sealed(id) && !c.takesPart(id) {
			c.room(room.Exit{Room: id})
			c.retag()
		}
	}
	c.started = true
	c.reopenWaiting()
}

func comparePersons(a, b chat.PersonID) int { return bytes.Compare(a[:], b[:]) }

// takesPart reports whether this device is in a sealed room.
func (c *core) takesPart(id chat.RoomID) bool {
	info, ok := c.private.Info(id)
	return ok && info.Entered
}

// tickPrivate does what the time has come for.
func (c *core) tickPrivate() {
	if next := c.private.NextTick(); !next.IsZero() && !c.now.Before(next) {
		c.seal(private.Tick{})
	}
	if !c.reopenAt.IsZero() && !c.now.Before(c.reopenAt) {
		c.reopenWaiting()
	}
}

// seal hands an input to the private engine and carries out what it wants.
func (c *core) seal(in private.Input) {
	w := c.begin(nil)
	w.seal(in)
	w.end()
}

// seal hands an input to the private engine as part of a change.
func (w *change) seal(in private.Input) {
	c := w.c
	if c.revoked() {
		switch in.(type) {
		case private.Found, private.Change, private.Accept, private.Decline, private.Say:
			w.deny(postRef, errRevoked())
			return
		}
	}
	w.life = c.life
	for _, ef := range c.private.Handle(c.now, in) {
		w.private(ef)
	}
	if l, ok := c.private.List(c.n.person); ok && l.Hash() != c.own.registry.List().Hash() {
		c.n.soon((*core).followList)
	}
	if key := c.private.Prekey(); !bytes.Equal(key, c.prekey) {
		c.prekey, w.prekey = key, key
	}
}

// receive has the private engine read an entry of a sealed room.
func (w *change) receive(r *room.Record) {
	w.seal(private.Receive{Room: r.Room, Authored: private.Authored{Entry: r.Entry, Person: r.Person}})
}

// private takes what the private engine wants.
func (w *change) private(ef private.Effect) {
	c := w.c
	switch ef := ef.(type) {
	case private.Persist:
		w.listed = w.listed || strings.HasPrefix(ef.Key, listsOfPrivate)
		w.batch.State = append(w.batch.State, store.StateChange{Key: ef.Key, Value: ef.Value})
	case private.Append:
		w.append(ef)
	case private.Enter:
		if c.revoked() {
			return
		}
		w.rooms(c.rooms.Handle(c.now, room.Enter{Room: ef.Room, Sealed: true}))
		c.tag(ef.Room)
		w.touch(ef.Room)
	case private.Exit:
		w.rooms(c.rooms.Handle(c.now, room.Exit{Room: ef.Room}))
		c.retag()
		w.touch(ef.Room)
	case private.Opened:
		w.opened(&ef)
	case private.Unopened:
		w.unopened(&ef)
	case private.Retry:
		r := reopening{room: ef.Room, device: ef.Device, epoch: ef.Epoch}
		w.batch.State = append(w.batch.State, store.StateChange{Key: r.key(), Value: []byte{1}})
		w.again = append(w.again, r)
	case private.Send:
		if nb := c.neighbours[ef.To]; nb != nil && nb.peer != nil {
			w.letters = append(w.letters, letter{to: nb.peer, frame: wire.EncodeFrame(ef.Frame)})
		}
	case private.Changed:
		w.touch(ef.Info.Room)
	case private.Notice:
		w.alarms = append(w.alarms, chat.Error{Code: chat.CodeInvalid, Text: ef.Text})
	case private.Done:
		w.done = ef.Room
	case private.Deny:
		w.deny(ef.Ref, ef.Err)
	case private.Refuse:
		c.refuse(ef.From, ef.Err)
	}
}

// append puts an entry that the private engine has sealed into this device's log.
func (w *change) append(ef private.Append) {
	c := w.c
	before := len(w.messages)
	w.rooms(c.rooms.Handle(c.now, room.Append{Room: ef.Room, Kind: ef.Kind, Epoch: ef.Epoch, Payload: ef.Payload, After: ef.After, Ref: ef.Ref}))
	if at := len(w.messages) - 1; at >= before && ef.Shown != 0 {
		rec := &w.batch.Records[at]
		w.show(at, w.read(rec.Room, ef.Shown, ef.Plaintext, rec.Entry.Device, rec.Person, rec.Entry.HLC))
	}
}

// read returns what an entry's plaintext says to people, and notes the name it tells.
func (w *change) read(id chat.RoomID, kind wire.Kind, plaintext []byte, d chat.DeviceID, who chat.PersonID, at chat.HLC) content.Said {
	c := w.c
	if kind == wire.KindProfile {
		p, err := wire.DecodeProfile(plaintext)
		if err != nil {
			c.refuse(d, err)
			return content.Said{}
		}
		c.meet(d, who, chat.CleanName(p.Name), minTime(at.Time(), c.now))
		return content.Said{}
	}
	said, err := content.Read(kind, plaintext)
	if err != nil {
		c.refuse(d, err)
	}
	if said.Setting != nil && c.rows[id].Person == nil { // a private room's is a matter of membership
		return content.Said{}
	}
	return said
}

// say says something in a room: an entry of a kind that is for people.
func (w *change) say(id chat.RoomID, kind wire.Kind, payload []byte) {
	c := w.c
	if !c.sealed(id) {
		w.rooms(c.rooms.Handle(c.now, room.Append{Room: id, Kind: kind, Payload: payload, Ref: postRef}))
		return
	}
	if with := c.rows[id].Person; with != nil {
		if err := c.maySend(*with); err != nil {
			w.deny(postRef, err)
			return
		}
	}
	w.seal(private.Say{Room: id, Kind: kind, Plaintext: payload, Ref: postRef})
}

// opened takes what an entry says: one of this change, or one that was stored
// before.
func (w *change) opened(ef *private.Opened) {
	at := w.find(ef.ID)
	var hlc chat.HLC // of an old name it is not known, so it replaces none
	if at >= 0 {
		hlc = w.batch.Records[at].Entry.HLC
	}
	said := w.read(ef.Room, ef.Kind, ef.Plaintext, ef.Device, ef.Person, hlc)
	if !ef.Show {
		said = content.Said{}
	}
	if at >= 0 {
		rec := &w.batch.Records[at]
		rec.Unopened, rec.Reason, rec.Quiet = false, "", false
		w.show(at, said)
		return
	}
	said = w.heard(ef.Person, said)
	if said.Expires > 0 { // since when, only the store knows
		w.c.sweepBy(w.c.now.Add(sweepSoonest))
	}
	w.batch.Openings = append(w.batch.Openings, store.Opening{ID: ef.ID, Room: ef.Room, Text: said.Text, Content: w.contentOf(ef.Room, said)})
}

// unopened notes that an entry can't be read, and why.
func (w *change) unopened(ef *private.Unopened) {
	// Of what was never meant for this person nothing is missing.
	quiet := ef.Reason == private.Outsider || ef.Reason == private.RevokedDevice || ef.Reason == private.BeforeJoining
	if at := w.find(ef.ID); at >= 0 {
		rec := &w.batch.Records[at]
		rec.Unopened, rec.Reason, rec.Quiet = true, string(ef.Reason), quiet
		return
	}
	w.batch.Unopened = append(w.batch.Unopened, store.Unopened{
		ID: ef.ID, Room: ef.Room, Device: ef.Device, Epoch: ef.Epoch, Reason: string(ef.Reason), Quiet: quiet,
	})
}

// find returns which record of the change an entry is, -1 for none. Mostly it is
// the last.
func (w *change) find(id chat.EntryID) int {
	for at := len(w.batch.Records) - 1; at >= 0; at-- {
		if w.batch.Records[at].Entry.ID == id {
			return at
		}
	}
	return -1
}

// touch notes that faces may have to be told of a sealed room.
func (w *change) touch(id chat.RoomID) {
	if !slices.Contains(w.touched, id) {
		w.touched = append(w.touched, id)
	}
}

// What others tell the private engine through the loop.

// directOpened opens the chat with a contact, under the id that the two agree on.
// Calling it again changes nothing.
func (c *core) directOpened(who chat.PersonID, chatID [32]byte) {
	id := chat.DirectRoom(c.n.person, who, chatID)
	old, had := c.directs[who]
	if had && old == id {
		return
	}
	c.directs[who] = id
	if !c.started {
		return // startPrivate opens it
	}
	if had {
		c.seal(private.CloseDirect{Room: old})
	}
	c.seal(private.OpenDirect{Room: id, With: who})
	for d, nb := range c.neighbours { // met before it mattered
		if dev := c.people.devices[d]; dev != nil && dev.person.id == who && nb.peer != nil {
			c.metDevice(nb)
		}
	}
}

// directClosed closes the chat with somebody who is a contact no more. What was
// said stays in the home.
func (c *core) directClosed(who chat.PersonID, chatID [32]byte) {
	id := chat.DirectRoom(c.n.person, who, chatID)
	if c.directs[who] == id {
		delete(c.directs, who)
	}
	if c.started {
		c.seal(private.CloseDirect{Room: id})
	}
}

// directRenamed follows what a person is called.
func (c *core) directRenamed(who chat.PersonID) {
	id, ok := c.directs[who]
	if !ok || !c.started {
		return
	}
	w := c.begin(nil)
	w.touch(id)
	w.end()
}

// metDevice says that a neighbour has shown its certificate and prekey, which may be
// nil, and can be talked to.
func (c *core) metDevice(nb *neighbour) {
	if c.started {
		c.seal(private.Met{Certificate: nb.cert, Prekey: nb.prekey, Connected: true})
	}
}

// lostDevice says that a device can't be talked to any more.
func (c *core) lostDevice(d chat.DeviceID) {
	if c.started {
		c.seal(private.Gone{Device: d})
	}
}

// heardPrivate takes a frame of a neighbour that has said whose it is.
func (c *core) heardPrivate(nb *neighbour, f wire.Frame) {
	if c.started {
		who := nb.cert.Person()
		c.seal(private.Heard{Device: nb.cert.Device, Person: who, Frame: f, Known: c.mayReach(who, contacts.ReachInvitation)})
	}
}

// shares reports whether a room may be named to a device, and what is said there
// passed on to it on request.
func (c *core) shares(id chat.RoomID, d chat.DeviceID) bool {
	return !c.rooms.Sealed(id) || c.private.Shares(id, d)
}

// holdings is what this node holds, for the catch-up engine.
type holdings struct{ c *core }

func (h holdings) Rooms() []chat.RoomID { return h.c.rooms.Rooms() }

// Root is another one while payloads are wanted: who has them holds more.
func (h holdings) Root(id chat.RoomID) [32]byte {
	return h.c.n.wanted.root(h.c.now, id, h.c.rooms.Root(id))
}

func (h holdings) HasHeld(id chat.RoomID, root [32]byte) bool {
	return root == h.Root(id) || !h.c.n.wanted.seeks(h.c.now, id) && h.c.rooms.HasHeld(id, root)
}
func (h holdings) MovedAt(id chat.RoomID) time.Time      { return h.c.rooms.MovedAt(id) }
func (h holdings) WaitingSince(id chat.RoomID) time.Time { return h.c.rooms.WaitingSince(id) }

// Shared returns the rooms that may be named to a neighbour.
func (h holdings) Shared(d chat.DeviceID) []chat.RoomID {
	return slices.DeleteFunc(h.c.rooms.Rooms(), func(id chat.RoomID) bool { return !h.c.shares(id, d) })
}

// offerShared has those whom rooms may be named to hear what is held of them: they
// may be new there. Nobody else is to see that something goes on.
func (c *core) offerShared(ids []chat.RoomID) {
	devices := slices.SortedFunc(maps.Keys(c.neighbours), func(a, b chat.DeviceID) int { return bytes.Compare(a[:], b[:]) })
	for _, d := range devices {
		if slices.ContainsFunc(ids, func(id chat.RoomID) bool { return c.rooms.Entered(id) && c.shares(id, d) }) {
			c.sync(catchup.Lost{Device: d})
		}
	}
}

// prekey returns the key that others wrap theirs to, which Hello tells.
func (n *Node) prekey() []byte {
	if key := n.prekeyNow.Load(); key != nil {
		return *key
	}
	return nil
}
