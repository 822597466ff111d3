package private

import (
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/membership"
	"earshot/chat/wire"
)

// consider asks somebody who may invite this person for a room that they speak of and
// that is not known here.
func (e *Engine) consider(from chat.DeviceID, p *peer, id chat.RoomID) {
	if o := e.offers[id]; o != nil {
		return
	}
	of := 0
	for _, o := range e.offers {
		if e.connected[o.from].person == p.person {
			of++
		}
	}
	if of >= chat.MaxOffersOf || len(e.offers) >= chat.MaxOffers || len(e.rooms) >= chat.MaxSealedRooms {
		return
	}
	e.offers[id] = &offer{room: newRoom(id, e.cfg.Person), from: from, since: e.now}
	e.due(e.now.Add(offerLife))
	e.emit(Send{To: from, Frame: wire.OpsWant{Room: id[:]}})
}

// offered takes operations of a room that is not known here, and the room with them
// once they show that this person is invited by who brings them, or is in.
func (e *Engine) offered(from chat.DeviceID, p *peer, id chat.RoomID, f wire.Ops) {
	o := e.offers[id]
	if o == nil {
		e.consider(from, p, id)
		return // all of them are on their way
	}
	if o.from != from {
		return
	}
	for _, b := range f.Ops {
		o.bytes += len(b)
	}
	if o.bytes > chat.MaxOfferBytes {
		delete(e.offers, id)
		e.refuse(from, invalid("a room of over %d bytes of membership operations", chat.MaxOfferBytes))
		return
	}
	e.takeOps(o.room, f.Ops, from, true)
	if f.More {
		return
	}
	delete(e.offers, id)
	delete(e.dirty, id)
	if inviter, ok := o.room.invites(p.person); ok && e.makeRoomFor(inviter) {
		o.room.inviter, o.room.tellAt = inviter, time.Time{} // nobody was told before
		e.adopt(o.room)
		p.exchange(id).spoke = true
		e.tell(o.room)
	}
}

// invites reports whether a room that somebody has brought is this person's business:
// they invite this person, or share the room with them already, as after a loss of
// what was stored. inviter is zero where this person is a member.
func (r *conversation) invites(by chat.PersonID) (inviter chat.PersonID, ok bool) {
	s := r.log.State()
	if s.Creator.IsZero() || s.Direct {
		return inviter, false
	}
	_, knows := s.Member(by)
	if by == r.me {
		knows = true
	}
	if _, in := s.Member(r.me); in {
		return inviter, knows
	}
	i, invited := s.Invitation(r.me)
	return i.By, invited && (i.By == by || by == r.me)
}

// makeRoomFor reports whether another invitation by somebody can be taken. Those that
// this person turned down, or that were withdrawn, are forgotten for it.
func (e *Engine) makeRoomFor(inviter chat.PersonID) bool {
	if inviter.IsZero() {
		return true
	}
	var list []*conversation
	for _, r := range e.rooms {
		if r.inviter == inviter {
			list = append(list, r)
		}
	}
	if len(list) < chat.MaxInvitations {
		return true
	}
	slices.SortFunc(list, func(a, b *conversation) int { return int(a.order) - int(b.order) })
	for _, r := range list {
		if _, open := r.log.State().Invitation(r.me); !open && !r.entered {
			e.forget(r)
			return true
		}
	}
	return false
}

// joinedAt notes that this person is a member of a room now.
func (e *Engine) joinedAt(r *conversation) {
	if r.direct() {
		return
	}
	r.inviter = chat.PersonID{}
	if r.log.State().History == membership.HistoryAll && r.log.State().Creator != r.me && !r.history.begun {
		r.history = history{begun: true, since: e.now}
		e.tell(r) // first who this person is, then what is wanted
	}
	e.keepRoom(r)
}
