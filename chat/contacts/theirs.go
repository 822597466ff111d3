package contacts

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"earshot/chat"
)

// This file is what others do.

// rate counts the requests of a device.
type rate struct {
	at   [rateLimit]time.Time // of the last ones
	next int
}

// allow reports whether one more may be read now, and counts it.
func (r *rate) allow(now time.Time) bool {
	if oldest := r.at[r.next]; !oldest.IsZero() && now.Sub(oldest) < rateTime {
		return false
	}
	r.at[r.next] = now
	r.next = (r.next + 1) % rateLimit
	return true
}

func (r *rate) last() time.Time { return r.at[(r.next+rateLimit-1)%rateLimit] }

// rateOf returns the count of a device, making room for it if there is none.
func (e *Engine) rateOf(d chat.DeviceID) *rate {
	r := e.rates[d]
	if r != nil {
		return r
	}
	if len(e.rates) >= maxRates {
		delete(e.rates, slices.MinFunc(slices.Collect(maps.Keys(e.rates)), func(a, b chat.DeviceID) int {
			if c := e.rates[a].last().Compare(e.rates[b].last()); c != 0 {
				return c
			}
			return bytes.Compare(a[:], b[:])
		}))
	}
	r = &rate{}
	e.rates[d] = r
	return r
}

func (e *Engine) receive(now time.Time, in Receive) {
	if in.From == e.me {
		return // another device of this person's; nothing is asked among them
	}
	r := e.get(in.From)
	if r.Relation == Blocked {
		return
	}
	m, err := DecodeMessage(in.Message)
	switch {
	case err != nil:
	case m.From() != in.From || m.Certificate.Device != in.Device:
		err = invalid("a contact message of another person or device")
	case m.To != e.me:
		err = invalid("a contact message to another person")
	}
	if err != nil {
		e.emit(Refuse{From: in.Device, Err: err})
		return
	}
	// What would change nothing is not worth two signatures.
	switch m.Kind {
	case KindRequest:
		switch {
		case !e.rateOf(in.Device).allow(now):
			return
		case r.Relation == Stranger && now.Before(r.DeclinedUntil):
			e.confirm(in, m) // who was declined is not told so
			return
		case !e.hears(now, r):
			return
		}
	case KindAccepted:
		switch {
		case r.Relation == Requested && r.Request == m.Request:
		case r.Relation.Known() && r.Chat != m.Chat:
			if !e.people[in.From].moves.allow(now) {
				return
			}
		default:
			e.confirm(in, m)
			return
		}
	case KindWithdrawn:
		if r.Relation != Asking || r.Request != m.Request {
			e.confirm(in, m)
			return
		}
	default:
		return // the future's
	}
	if err := m.Verify(); err != nil {
		e.emit(Refuse{From: in.Device, Err: err})
		return
	}
	e.confirm(in, m)
	switch m.Kind {
	case KindRequest:
		e.asked(now, in, r, m)
	case KindAccepted:
		if r.Relation.Known() {
			e.settle(now, r, m)
			return
		}
		next := r.become(Contact, now)
		next.Device, next.Chat = in.Device, m.Chat
		e.set(next)
	case KindWithdrawn:
		e.set(Record{Person: in.From, Since: now})
	}
}

func (e *Engine) confirm(in Receive, m Message) {
	e.emit(Confirm{Device: in.Device, ID: m.ID})
}

// settle ends that two contacts make their chat of different ids, as can be when
// requests, answers and changes of mind have crossed: that of the lower person
// counts. This one says what it holds now, until both say the same.
func (e *Engine) settle(now time.Time, r Record, m Message) {
	if compare(r.Person, e.me) < 0 {
		r.Chat, r.Since = m.Chat, now
	}
	e.repeat(now, r)
}

// repeat answers a contact's request once more.
func (e *Engine) repeat(now time.Time, r Record) {
	r.Message, r.Tries, r.NextTry = e.answer(KindAccepted, r), 0, now
	e.deliver(now, e.set(r))
}

// hears reports whether a request of a person would change anything, and makes
// room in the tray by dropping the oldest that is past TrayLife.
func (e *Engine) hears(now time.Time, r Record) bool {
	if r.Relation != Stranger {
		return true
	}
	if len(e.people) >= 2*MaxPeople {
		return false
	}
	if e.asking < MaxTray {
		return true
	}
	oldest := e.Tray()[0]
	if now.Sub(oldest.Since) < TrayLife {
		return false
	}
	e.set(Record{Person: oldest.Person, Since: now})
	return true
}

// asked takes a request.
func (e *Engine) asked(now time.Time, in Receive, r Record, m Message) {
	asked := r.Request
	r.Request, r.Device = m.ID, in.Device
	if r.Name == "" || r.Relation == Stranger {
		r.Name = chat.CleanName(m.Name)
	}
	switch r.Relation {
	case Stranger:
		next := r.become(Asking, now)
		next.Note = plainNote(m.Note)
		e.set(next)
		e.claims(now, in.From, next.Name)
	case Requested: // both have asked; what was decided when this person asked, holds
		if compare(in.From, e.me) < 0 {
			asked = m.ID
		}
		e.befriend(now, r, asked)
	case Asking: // the words of the first one stand: a request is no conversation
		e.set(r)
	case Contact, Verified: // they have not heard that they are
		e.repeat(now, r)
	}
}

func (e *Engine) met(now time.Time, in Met) {
	if in.Person == e.me {
		return
	}
	name := chat.CleanName(in.Name)
	g := e.here[in.Person]
	if g == nil {
		if len(e.here) >= maxHere {
			return
		}
		g = &guest{}
		e.here[in.Person] = g
	}
	g.name = name
	if !slices.Contains(g.devices, in.Device) {
		g.devices = append(g.devices, in.Device)
	}
	known := e.people[in.Person]
	if known == nil {
		e.claims(now, in.Person, name)
		return
	}
	switch r := known.Record; r.Relation {
	case Blocked:
		return
	case Stranger, Asking: // what the tray shows does not change under the reader's eyes
		e.claims(now, in.Person, name)
		return
	case Requested, Contact, Verified:
		if r.Name != name || !r.Claimant.IsZero() {
			r.Name, r.Claimant = name, chat.PersonID{} // the old key is alive: nobody has taken its place
			known = e.set(r)
		}
		if r.Relation == Requested {
			e.claims(now, in.Person, name)
		}
	}
	e.deliver(now, known)
}

// claims notes that a person who is no contact goes by a name, and warns if it is a
// verified contact's.
func (e *Engine) claims(now time.Time, p chat.PersonID, name string) {
	for _, v := range e.likeVerified(p, name) {
		if slices.Contains(v.Namesakes, p) || !v.Claimant.IsZero() {
			continue
		}
		hold := e.here[v.Person] == nil && !now.Before(v.QuietUntil)
		if hold {
			v.Claimant = p
			e.set(v)
		}
		e.emit(Claim{Verified: v, Claimant: p, Name: name, Held: hold})
	}
}

func (e *Engine) left(in Left) {
	g := e.here[in.Person]
	if g == nil {
		return
	}
	g.devices = slices.DeleteFunc(g.devices, func(d chat.DeviceID) bool { return d == in.Device })
	if len(g.devices) == 0 {
		delete(e.here, in.Person)
	}
}

// device returns the device to talk to: the one preferred, or the newest.
func (g *guest) device(preferred chat.DeviceID) chat.DeviceID {
	if slices.Contains(g.devices, preferred) {
		return preferred
	}
	return g.devices[len(g.devices)-1]
}

// deliver sends what waits for a person, if they are here and it is time.
func (e *Engine) deliver(now time.Time, known *entry) {
	if known == nil || known.Message == nil || known.Tries >= maxTries || now.Before(known.NextTry) {
		return
	}
	g := e.here[known.Person]
	if g == nil {
		return
	}
	r := known.Record
	r.Tries++
	r.NextTry = now.Add(retryAfter(r.Tries))
	e.set(r)
	e.send(r.Person, g.device(r.Device), r.Message)
}

func (e *Engine) send(p chat.PersonID, d chat.DeviceID, message []byte) {
	m, err := DecodeMessage(message)
	if err != nil {
		return // from a damaged store: there is nothing to send
	}
	e.emit(Send{Person: p, Device: d, ID: m.ID, Message: message})
}

// retryAfter returns how long the try after this many waits.
func retryAfter(tries int) time.Duration {
	if tries == 1 {
		return firstRetry
	}
	wait := secondRetry
	for i := 2; i < tries && wait < maxRetry; i++ {
		wait *= 2
	}
	return min(wait, maxRetry)
}

func (e *Engine) delivered(in Delivered) {
	known := e.people[in.Person]
	if known == nil || known.Message == nil {
		return
	}
	m, err := DecodeMessage(known.Message)
	if err != nil || m.ID != in.ID {
		return
	}
	r := known.Record
	r.Message, r.Tries, r.NextTry = nil, 0, time.Time{}
	e.set(r)
}
