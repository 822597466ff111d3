package private

import (
	"bytes"
	"encoding/hex"

	"earshot/chat"
	"earshot/chat/identity"
	"earshot/chat/seal"
	"earshot/chat/wire"
)

// sealing says what an Append is about that chat/seal makes of a Seal.
type sealing struct {
	room  *conversation
	seal  seal.Seal
	shown bool // to people; else what only devices read
	err   error
}

// run hands chat/seal an input and passes on what it wants. s belongs to a Seal.
func (e *Engine) run(in seal.Input, s *sealing) {
	for _, f := range e.seal.Handle(e.now, in) {
		switch f := f.(type) {
		case seal.Persist:
			e.persist(sealPrefix+f.Key, f.Value)
		case seal.Append:
			a := Append{Room: f.Room, Kind: f.Kind, Epoch: f.Epoch, Payload: f.Payload}
			if s != nil && f.Kind == s.seal.Kind && s.shown {
				a.Ref, a.Plaintext, a.Shown = f.Ref, s.seal.Plaintext, f.Kind
			}
			e.appendTo(e.rooms[f.Room], a)
		case seal.Deny:
			if s != nil {
				s.err = f.Err
			}
		case seal.Opened:
			e.opened(f)
		case seal.Waiting:
			e.emit(Unopened{Room: f.Room, ID: f.ID, Device: f.Device, Epoch: f.Epoch, Reason: e.reason(f.Room, f.ID, "")})
		case seal.Unreadable:
			e.emit(Unopened{Room: f.Room, ID: f.ID, Device: f.Device, Epoch: f.Epoch, Reason: e.reason(f.Room, f.ID, f.Reason)})
		case seal.Learned:
			e.emit(Retry{Room: f.Room, Device: f.Device, Epoch: f.Epoch})
		case seal.Excluded:
			if chat.CodeOf(f.Err) != chat.CodeNotFound { // of which Info.Keyless tells
				e.emit(Notice{Room: f.Room, Text: f.Err.Error()})
			}
		case seal.Alarm:
			e.alarm(f)
		case seal.Refuse:
			e.refuse(f.From, f.Err)
		case seal.Acknowledge:
			if e.connected[f.To] != nil {
				e.emit(Send{To: f.To, Frame: wire.KeyAck{Root: bytes.Clone(f.Root[:])}})
			}
		case seal.Publish:
			e.published = true
		}
	}
}

// reason says what to tell of an entry that is not open, for why. Of one that was
// written before this person was in, nobody needs to know more than that.
func (e *Engine) reason(room chat.RoomID, id chat.EntryID, why seal.Reason) seal.Reason {
	if why != "" && why != seal.NotShared && why != seal.TooEarly {
		return why
	}
	r := e.rooms[room]
	early := e.early[id] || e.at != nil && e.at.Entry.ID == id && r != nil && e.at.Entry.HLC < r.from
	if !early {
		return why
	}
	if why != "" {
		delete(e.early, id)
	} else if len(e.early) < chat.MaxPending {
		e.early[id] = true
	}
	return BeforeJoining
}

// appendTo emits an Append and reckons what clock it will have, if a log has to be
// opened for it.
func (e *Engine) appendTo(r *conversation, a Append) {
	if r == nil || !r.entered {
		return
	}
	a.After = r.clock
	r.clock = r.clock.Next(e.now) + 1
	e.emit(a)
}

// put seals what devices tell each other. That nobody is there to read it, or that it
// can't be sealed, is no harm: devices tell each other the same when they meet.
func (e *Engine) put(r *conversation, kind wire.Kind, plaintext []byte) {
	s := sealing{room: r, seal: seal.Seal{Room: r.id, Kind: kind, Plaintext: plaintext}, shown: kind == wire.KindProfile}
	if len(plaintext) <= seal.MaxPlaintext {
		e.run(s.seal, &s)
	}
}

// alarm tells the person of a device that gave different keys to different members.
func (e *Engine) alarm(f seal.Alarm) {
	who := "A device " + f.Device.Short()
	if p, ok := e.PersonOf(f.Device); ok {
		who = "The device " + f.Device.Short() + " of person " + p.Short()
	}
	e.emit(Notice{Room: f.Room, Text: who + " gave different keys to different people, so not everybody reads the same from it. " +
		"Some of its messages stay closed. Ask that person, and update Earshot there."})
}

// say seals what this person says.
func (e *Engine) say(in Say) {
	r := e.rooms[in.Room]
	if err := e.maySay(r); err != nil {
		e.deny(in.Ref, err)
		return
	}
	if !r.direct() && !within(r.reachable, r.namedTo) {
		e.introduce(r) // to newcomers, who could not read it before
	}
	s := sealing{room: r, seal: seal.Seal{Room: r.id, Kind: in.Kind, Plaintext: in.Plaintext, Ref: in.Ref}, shown: true}
	if e.run(s.seal, &s); s.err != nil {
		e.deny(in.Ref, s.err)
	}
}

// maySay says to the person why nothing can be said in a room.
func (e *Engine) maySay(r *conversation) error {
	switch {
	case r == nil:
		return chat.Errorf(chat.CodeNotFound, "There is no such conversation here. Look at the list of rooms.")
	case e.revoked(e.cfg.Person, e.device):
		return errRevoked
	case !r.entered:
		info := e.info(r)
		switch {
		case info.Invitation != nil:
			return chat.Errorf(chat.CodeNotJoined, "You are invited to this room but not in it. Accept the invitation first.")
		case info.Removed != nil && info.Removed.By == r.me:
			return chat.Errorf(chat.CodeNotJoined, "You have left this room. Ask one of its admins to invite you again.")
		case info.Removed != nil:
			return chat.Errorf(chat.CodeNotJoined, "You were removed from this room. Ask one of its admins to invite you again.")
		}
		return chat.Errorf(chat.CodeNotJoined, "You are not in this room. Ask one of its admins to invite you.")
	}
	if len(r.others) == 0 || len(r.reachable) > 0 {
		return nil
	}
	if r.direct() {
		return chat.Errorf(chat.CodeNoKey, "Nothing can be encrypted for this person yet: none of their devices has been met. Wait until one is near, then send again.")
	}
	return chat.Errorf(chat.CodeNoKey, "Nothing can be encrypted for this room yet: no device of the others in it has been met, the first of whom is %s. Wait until one is near, then send again.", r.others[0].Short())
}

var errRevoked = chat.Errorf(chat.CodeDenied, "This device was revoked by another device of yours, so nobody listens to it. Remove its home and join with it as a new device.")

// within reports whether all of a are in b; both ascend.
func within(a, b []chat.PersonID) bool {
	for _, p := range a {
		for len(b) > 0 && comparePeople(b[0], p) < 0 {
			b = b[1:]
		}
		if len(b) == 0 || b[0] != p {
			return false
		}
	}
	return true
}

// receive takes an entry that the room engine has taken.
func (e *Engine) receive(room chat.RoomID, a Authored) {
	r, en := e.rooms[room], &a.Entry
	if r == nil || !r.entered {
		return
	}
	e.see(r, en.HLC)
	switch {
	case en.Kind == wire.KindOpen:
		e.receiveOpen(a)
		return
	case en.Kind == wire.KindPrekey && en.Epoch == 0:
		if d := e.devices[en.Device]; d != nil {
			e.learnPrekey(d, en.Payload)
		}
		return
	case en.Device != e.device && showsText(en.Kind):
		if why := e.hides(r, a); why != "" {
			e.emit(Unopened{Room: r.id, ID: en.ID, Device: en.Device, Epoch: en.Epoch, Reason: why})
			return
		}
	}
	e.at = &a
	e.run(seal.Receive{Room: r.id, Entry: *en}, nil)
	e.at = nil
}

// receiveOpen learns a device from the first entry of its log.
func (e *Engine) receiveOpen(a Authored) {
	open, err := wire.DecodeOpen(a.Entry.Payload)
	if err != nil {
		return // which the room engine would have refused
	}
	if c, err := identity.Parse(open.Certificate); err == nil && c.Device == a.Entry.Device && c.Person() == a.Person {
		e.learn(c, false)
	}
}

// showsText reports whether entries of a kind are for people: they are opened only if
// their author has a right to be heard.
func showsText(k wire.Kind) bool {
	switch k {
	case wire.KindKeyShare, wire.KindKeyRequest, wire.KindPrekey, wire.KindMembership, wire.KindDevices:
		return false
	}
	return true
}

// hides says why what an entry says is not shown, "" if it is. Its key stays unused, so
// that it can still be opened when its author turns out to have been in the room.
func (e *Engine) hides(r *conversation, a Authored) seal.Reason {
	switch {
	case e.revoked(a.Person, a.Entry.Device):
		return RevokedDevice
	case r.direct() && (a.Person == r.with || a.Person == r.me):
		return ""
	case a.Entry.HLC > r.limits[a.Person]:
		return Outsider
	}
	return ""
}

// authorOf returns whose an entry is that was opened. What waited for its key is its
// device's, unless the device has gone over to somebody who was never in the room:
// then whose it was is not known any more, and it is not shown.
func (e *Engine) authorOf(f seal.Opened) (who chat.PersonID, ok bool) {
	if e.at != nil && e.at.Entry.ID == f.ID {
		return e.at.Person, true
	}
	who, _ = e.PersonOf(f.Device)
	return who, e.MayWrite(f.Room, who)
}

// opened passes on what an entry says, and takes what it tells this device.
func (e *Engine) opened(f seal.Opened) {
	delete(e.early, f.ID)
	who, show := e.authorOf(f)
	e.emit(Opened{Room: f.Room, ID: f.ID, Device: f.Device, Person: who, Kind: f.Kind, Plaintext: f.Plaintext, Show: show && showsText(f.Kind)})
	if f.Device == e.device {
		return
	}
	switch f.Kind {
	case wire.KindMembership:
		ops, err := wire.DecodeOperations(f.Plaintext)
		if err != nil {
			e.refuse(f.Device, err)
			return
		}
		e.later = append(e.later, func() {
			if r := e.rooms[f.Room]; r != nil && !r.direct() {
				e.takeOps(r, ops.Ops, f.Device, true)
			}
		})
	case wire.KindDevices:
		l, err := identity.ParseDevices(f.Plaintext)
		if err != nil {
			e.refuse(f.Device, err)
			return
		}
		if r := e.rooms[f.Room]; r == nil || !r.concerns(l.Person()) && (r.direct() || !r.log.Ever(l.Person())) {
			return // or anybody's could be piled up here
		}
		e.later = append(e.later, func() {
			e.toldBy[f.Room] = true
			e.takeList(l, f.Device)
		})
	}
}

const (
	sealPrefix   = "seal/"
	devicePrefix = "private/device/"
	listPrefix   = "private/list/"
	roomPrefix   = "private/room/"
	opPrefix     = "private/op/"
)

func deviceKey(d chat.DeviceID) string { return devicePrefix + hex.EncodeToString(d[:]) }
func listKey(p chat.PersonID) string   { return listPrefix + hex.EncodeToString(p[:]) }
func roomKey(r chat.RoomID) string     { return roomPrefix + hex.EncodeToString(r[:]) }
