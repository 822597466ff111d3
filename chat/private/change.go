package private

import (
	"bytes"
	"io"
	"maps"
	"slices"

	"earshot/chat"
	"earshot/chat/membership"
	"earshot/chat/wire"
)

// takeOps adds signed operations to a room's log. entitled says that who brought them
// is, or was, in the room; of anybody else only what has an effect is taken. It reports
// whether something that these build on is not here.
func (e *Engine) takeOps(r *conversation, raw [][]byte, from chat.DeviceID, entitled bool) (missing bool) {
	held, idle := len(r.ops), 0
	for _, b := range raw {
		if idle == maxIdleOffers {
			break
		}
		o, err := ParseOperation(b)
		if err == nil && o.Room != r.id {
			err = invalid("a membership operation of another room")
		}
		if _, waits := r.waits[o.ID]; err == nil && (waits || r.log.Has(o.ID)) {
			missing = missing || waits
			continue
		}
		if err == nil {
			err = o.Verify()
		}
		if err != nil {
			e.refuse(from, err)
			break
		}
		if o.HLC > chat.HLCOf(e.now.Add(chat.MaxFarFuture)) {
			continue // it comes again, and its day with it
		}
		lacks, err := e.takeOp(r, o, entitled)
		missing = missing || lacks
		if err != nil && !entitled {
			idle++
		}
		if chat.CodeOf(err) == chat.CodeInvalid {
			e.refuse(from, err)
			break
		}
	}
	if len(r.ops) > held {
		e.dirty[r.id] = true
		e.tell(r)
	}
	return missing
}

// maxIdleOffers is how many operations that have no effect are looked at in a frame of
// somebody who is not known to be in the room: each costs the check of two signatures,
// and who has come by an invitation brings none (guess).
const maxIdleOffers = 8

// takeOp adds one, whose signatures have been verified.
func (e *Engine) takeOp(r *conversation, o Operation, entitled bool) (missing bool, err error) {
	if !entitled {
		if _, err := r.log.Offer(o.Op()); err != nil {
			return false, err
		}
	} else {
		_, lacks, err := r.log.Add(o.Op())
		if err != nil {
			return false, err
		}
		missing = len(lacks) > 0
	}
	if !r.log.Has(o.ID) {
		if len(r.waits) >= chat.MaxMembershipWaiting {
			maps.DeleteFunc(r.waits, func(id chat.EntryID, _ Operation) bool { return !r.log.Waits(id) })
		}
		r.waits[o.ID] = o
		return true, nil
	}
	r.waits[o.ID] = o
	e.place(r)
	return missing, nil
}

// place lines the operations up that the log has put in their place: the one at hand,
// and those that waited for it.
func (e *Engine) place(r *conversation) {
	for i := len(r.ops); i < r.log.Len(); i++ {
		id := r.log.ID(i)
		o := r.waits[id]
		delete(r.waits, id)
		r.ops = append(r.ops, o)
		e.see(r, o.HLC)
		if r.kept {
			e.persist(opKey(r.id, i), o.raw)
			e.learn(o.Certificate, false)
		}
	}
}

// passOn posts into the room that those whom this device invited have accepted, as a
// connected device says: their own log is not let in anywhere before that is known.
func (e *Engine) passOn(r *conversation, ops []Operation) {
	if !r.entered {
		return
	}
	ops = slices.DeleteFunc(slices.Clone(ops), func(o Operation) bool {
		a, ok := o.Body.(membership.Accept)
		if !ok {
			return true
		}
		i, _ := r.log.Op(a.Invite)
		return i.Device != e.device
	})
	if len(ops) > 0 {
		e.later = append(e.later, func() {
			e.shareWith(r)
			e.post(r, ops)
		})
	}
}

// post seals operations for the room, if there is anybody to read them.
func (e *Engine) post(r *conversation, ops []Operation) {
	if !r.entered || !e.speaksTo(r) {
		return
	}
	for ; len(ops) > 0; ops = ops[1:] { // each fits for sure; several are rare
		e.put(r, wire.KindMembership, wire.Marshal(wire.Operations{Ops: [][]byte{ops[0].raw}}))
	}
}

// act makes an operation of this person's, if they may.
func (e *Engine) act(r *conversation, b membership.Body) (Operation, error) {
	if e.revoked(e.cfg.Person, e.device) {
		return Operation{}, errRevoked
	}
	if _, founds := b.(membership.Create); !founds {
		if err := r.log.May(r.me, b); err != nil {
			return Operation{}, err
		}
	}
	r.clock = r.clock.Next(e.now)
	o, err := SignOperation(e.cfg.Key, e.cfg.Certificate, r.id, r.clock, r.log.Heads(r.me), b)
	if err != nil {
		return Operation{}, err
	}
	_, err = e.takeOp(r, o, true)
	return o, err
}

// announce lets everybody know of operations made here: those who are in, before and
// after, by the room and by what is connected; who is out by the latter alone.
func (e *Engine) announce(r *conversation, ops []Operation) {
	e.weigh(r)
	if r.entered {
		e.shareWith(r)
		e.post(r, ops)
	}
	e.update(r)
	e.push(r, ops)
	e.tell(r)
}

// found makes a private room.
func (e *Engine) found(in Found) {
	if len(e.rooms) >= chat.MaxSealedRooms {
		e.deny(in.Ref, chat.Errorf(chat.CodeBusy, "There are %d private rooms and chats here already. Leave one first.", len(e.rooms)))
		return
	}
	c := membership.Create{History: in.History}
	if _, err := io.ReadFull(e.cfg.Random, c.Nonce[:]); err != nil {
		e.deny(in.Ref, chat.Wrap(chat.CodeInternal, err, "This computer gives no random numbers, so no private room can be made.", "Restart it, then try again."))
		return
	}
	r := newRoom(membership.RoomOf(e.cfg.Person, c), e.cfg.Person)
	bodies := []membership.Body{c}
	if set := (membership.Set{}); in.Name != "" || in.Topic != "" {
		if in.Name != "" {
			set.Name = &in.Name
		}
		if in.Topic != "" {
			set.Topic = &in.Topic
		}
		bodies = append(bodies, set)
	}
	var ops []Operation
	for _, b := range bodies {
		o, err := e.act(r, b)
		if err != nil {
			e.deny(in.Ref, err)
			return
		}
		ops = append(ops, o)
	}
	e.adopt(r)
	e.announce(r, ops)
	e.emit(Done{Ref: in.Ref, Room: r.id})
}

// adopt makes a room one of this device's: from now on it is stored.
func (e *Engine) adopt(r *conversation) {
	e.joined++
	r.order, r.kept = e.joined, true
	e.rooms[r.id] = r
	for i := range r.ops {
		e.persist(opKey(r.id, i), r.ops[i].raw)
		e.learn(r.ops[i].Certificate, false)
	}
	e.keepRoom(r)
	e.dirty[r.id] = true
}

func newRoom(id chat.RoomID, me chat.PersonID) *conversation {
	return &conversation{id: id, me: me, log: membership.NewLog(id), waits: map[chat.EntryID]Operation{}}
}

// private returns a private room, or says to the person why there is none.
func (e *Engine) private(id chat.RoomID) (*conversation, error) {
	switch r := e.rooms[id]; {
	case r == nil:
		return nil, chat.Errorf(chat.CodeNotFound, "There is no such room here. Look at the list of rooms.")
	case r.direct():
		return nil, chat.Errorf(chat.CodeDenied, "This is a direct chat between two people, and stays that. Create a room instead.")
	default:
		return r, nil
	}
}

// change does something to a private room.
func (e *Engine) change(in Change) {
	switch in.Body.(type) {
	case membership.Invite, membership.Leave, membership.Remove, membership.SetRole, membership.Set, membership.Retain:
	default:
		e.deny(in.Ref, chat.Errorf(chat.CodeUsage, "That is nothing that can be done to a room. Report these words."))
		return
	}
	r, err := e.private(in.Room)
	if err == nil {
		err = e.do(r, in.Body)
	}
	e.answer(in.Ref, in.Room, err)
}

func (e *Engine) do(r *conversation, b membership.Body) error {
	o, err := e.act(r, b)
	if err == nil {
		e.announce(r, []Operation{o})
	}
	return err
}

func (e *Engine) answer(ref uint64, room chat.RoomID, err error) {
	if err != nil {
		e.deny(ref, err)
		return
	}
	e.emit(Done{Ref: ref, Room: room})
}

// accept follows an invitation.
func (e *Engine) accept(in Accept) {
	r, err := e.private(in.Room)
	if err == nil {
		if i, ok := r.log.State().Invitation(r.me); ok {
			err = e.do(r, membership.Accept{Invite: i.Invite})
		} else {
			err = r.log.May(r.me, membership.Accept{Invite: r.lastInvite()})
		}
	}
	e.answer(in.Ref, in.Room, err)
}

// lastInvite returns the newest invitation of this person, for May to say why it does
// not hold.
func (r *conversation) lastInvite() chat.EntryID {
	for _, o := range slices.Backward(r.ops) {
		if i, ok := o.Body.(membership.Invite); ok && i.Person == r.me {
			return o.ID
		}
	}
	return r.ops[0].ID
}

// decline turns an invitation down; where it was withdrawn, nothing is left to do.
func (e *Engine) decline(in Decline) {
	r, err := e.private(in.Room)
	if err != nil {
		e.deny(in.Ref, err)
		return
	}
	s := r.log.State()
	if _, invited := s.Invitation(r.me); invited {
		err = e.do(r, membership.Leave{})
	} else if _, in := s.Member(r.me); in {
		err = chat.Errorf(chat.CodeUsage, "You are in this room already. To go out again, leave it.")
	}
	e.answer(in.Ref, in.Room, err)
}

// weigh tells the room's log which operations are void: those of revoked devices that
// no other device of their person has vouched for. Who has stolen one can otherwise
// backdate what they do to when it was not revoked.
// It returns whose they are, of those that were not void before, ascending.
func (e *Engine) weigh(r *conversation) (newly []chat.PersonID) {
	vouched := map[chat.PersonID]map[chat.EntryID]bool{}
	authors := map[chat.PersonID]bool{}
	r.log.Weigh(func(op membership.Op) bool {
		if !e.revoked(op.Author, op.Device) {
			return false
		}
		if vouched[op.Author] == nil {
			vouched[op.Author] = e.vouchedBy(r, op.Author)
		}
		void := !vouched[op.Author][op.ID]
		if void && !op.Void {
			authors[op.Author] = true
		}
		return void
	})
	return sortedPeople(authors)
}

// passListsOn posts the device lists of others by which operations became void, unless
// the room has told this device itself: all have to come to the same members.
func (e *Engine) passListsOn(r *conversation, of []chat.PersonID) {
	for _, who := range of {
		if l, known := e.List(who); known && who != r.me && !e.toldBy[r.id] && e.speaksTo(r) {
			e.put(r, wire.KindDevices, l.Bytes())
		}
	}
}

// vouchedBy returns what is in the past of what somebody did with devices that are not
// revoked.
func (e *Engine) vouchedBy(r *conversation, who chat.PersonID) map[chat.EntryID]bool {
	var by []chat.EntryID
	for _, o := range r.ops {
		if c := o.Certificate; c.Person() == who && !e.revoked(who, c.Device) {
			by = append(by, o.ID)
		}
	}
	out := map[chat.EntryID]bool{}
	for _, i := range r.log.Past(by) {
		out[r.ops[i].ID] = true
	}
	return out
}

// attest vouches in every room for what this person's devices did that are revoked from
// now on. It comes before the revocation: nobody is to take it for void meanwhile.
func (e *Engine) attest(revoked []chat.DeviceID) {
	for _, id := range sortedRooms(e.rooms) {
		r := e.rooms[id]
		if r.direct() || !r.entered {
			continue
		}
		vouched := e.vouchedBy(r, r.me)
		if !slices.ContainsFunc(r.ops, func(o Operation) bool {
			return slices.Contains(revoked, o.Certificate.Device) && !vouched[o.ID]
		}) {
			continue
		}
		if o, err := e.act(r, membership.Attest{}); err == nil {
			e.announce(r, []Operation{o})
		}
	}
}

func sortedEntries[V any](m map[chat.EntryID]V) []chat.EntryID {
	return slices.SortedFunc(maps.Keys(m), func(a, b chat.EntryID) int { return bytes.Compare(a[:], b[:]) })
}
