package chattest

import (
	"errors"
	"time"

	"earshot/chat"
	"earshot/chat/catchup"
	"earshot/chat/private"
	"earshot/chat/receipt"
	"earshot/chat/room"
	"earshot/chat/wire"
)

// link is a connection between two devices: a peer stream that keeps order, sync
// sessions, and room for live entries, which don't.
type link struct {
	w        *world
	a, b     *device
	up       bool
	age      int     // counts ups and downs; what was on its way before is lost
	greeted  [2]bool // whether each end has heard the other's hello
	busy     [2]time.Time
	sessions []*session
	breaking bool // sessions have ended, and nobody knows yet that the link has
}

// link connects two devices as soon as both are there; again is no harm.
func (w *world) link(a, b *device) {
	if a == b || w.linkOf(a, b) != nil {
		return
	}
	l := &link{w: w, a: a, b: b}
	w.links = append(w.links, l)
	a.links, b.links = append(a.links, l), append(b.links, l)
	a.reach[b.id], b.reach[a.id] = l, l
}

func (w *world) linkOf(a, b *device) *link { return a.reach[b.id] }

// linkTo returns the link from d to a device if it is up.
func (w *world) linkTo(d *device, id chat.DeviceID) *link {
	if l := d.reach[id]; l != nil && l.up {
		return l
	}
	return nil
}

// other returns the other end, nil if d is not at one.
func (l *link) other(d *device) *device {
	switch d {
	case l.a:
		return l.b
	case l.b:
		return l.a
	}
	return nil
}

// side returns which end d is.
func (l *link) side(d *device) int {
	if d == l.b {
		return 1
	}
	return 0
}

// still runs f for a device unless the link or the device went down since.
func (l *link) still(d *device, f func()) func() {
	age := l.age
	return d.alive(func() {
		if l.up && l.age == age {
			f()
		}
	})
}

// join brings the link up: both say hello, and whoever hears it knows a neighbour.
func (l *link) join() {
	l.up, l.greeted = true, [2]bool{}
	l.age++
	l.w.note("%d and %d are connected", l.a.index, l.b.index)
	for _, d := range []*device{l.a, l.b} {
		to := l.other(d)
		l.send(d, func() {
			l.greeted[l.side(to)] = true
			to.wishes.Met(to.now(), holdings{to.rooms, to}.Shared(d.id))
			to.sync(catchup.PeerUp{Device: d.id})
			to.met(d)
			to.receipt(receipt.PeerUp{Device: d.id})
			to.arm()
		})
	}
}

func (l *link) cut() {
	if !l.up {
		return
	}
	l.w.note("%d and %d are cut off", l.a.index, l.b.index)
	l.up = false
	l.age++
	sessions := l.sessions
	l.sessions, l.breaking = nil, true
	for _, s := range sessions {
		s.end(0, true)
		s.end(1, true)
	}
	l.breaking = false
	for _, d := range []*device{l.a, l.b} {
		if d.up {
			d.sync(catchup.PeerDown{Device: l.other(d).id})
			d.seal(private.Gone{Device: l.other(d).id})
			d.receipt(receipt.PeerDown{Device: l.other(d).id})
		}
	}
}

// send delivers something on the peer stream of d, in order.
func (l *link) send(d *device, f func()) {
	side := l.side(d)
	l.busy[side] = later(l.busy[side], l.w.now).Add(l.w.between(time.Millisecond, 20*time.Millisecond))
	l.w.at(l.busy[side], l.still(l.other(d), f))
}

func (l *link) have(d *device, have wire.Have) {
	f, _ := d.lie(have)
	b := wire.EncodeFrame(f)
	l.w.note("%d tells %d, %d bytes", d.index, l.other(d).index, len(b))
	to := l.other(d)
	to.mayHear(have.Nonce, have.Rooms)
	l.send(d, func() {
		f, err := wire.DecodeFrame(b)
		if err != nil {
			l.w.fail("a summary can't be read: %v", err)
			return
		}
		to.sync(catchup.Heard{Device: d.id, Have: f.(wire.Have)})
	})
}

// session is one sync session; end 0 has asked.
type session struct {
	l        *link
	ends     [2]*device
	machines [2]*catchup.Session
	busy     [2]time.Time
	at       [2]int                           // where the page of Load begins
	received [2]int                           // that were new
	wishes   [2]map[chat.RoomID][]wire.LogSeq // payloads that are wanted at each end
	ended    [2]bool
}

// pageSize is small, so that a session takes several pages.
const pageSize = 40

func (l *link) session(asker *device) {
	s := &session{l: l, ends: [2]*device{asker, l.other(asker)}}
	if asker.liar || l.other(asker).liar {
		l.w.vain++
	} else {
		l.w.opened++
	}
	l.w.note("%d asks %d", asker.index, s.ends[1].index)
	l.sessions = append(l.sessions, s)
	nonce := make([]byte, wire.NonceSize)
	for i := range nonce {
		nonce[i] = byte(l.w.rng.Uint32())
	}
	var effects []catchup.SessionEffect
	s.machines[0], effects = catchup.Ask(nonce, asker.states(s.ends[1], s, 0))
	s.do(0, effects)
}

func (s *session) do(end int, effects []catchup.SessionEffect) {
	for _, ef := range effects {
		switch ef := ef.(type) {
		case catchup.Send:
			frame, said := s.ends[end].lie(ef.Frame)
			if !said {
				s.mute()
				return
			}
			b := wire.EncodeFrame(frame)
			if len(b) > chat.MaxFrame {
				s.l.w.fail("a frame of %d bytes", len(b))
			}
			to := 1 - end
			if c, ok := ef.Frame.(wire.Compare); ok {
				s.ends[to].mayHear(c.Nonce, c.Rooms)
			}
			s.busy[end] = later(s.busy[end], s.l.w.now).Add(s.l.w.between(time.Millisecond, 20*time.Millisecond))
			s.l.w.at(s.busy[end], s.l.still(s.ends[to], func() { s.handle(to, b) }))
		case catchup.Load:
			if ef.First {
				s.at[end] = 0
			}
			s.l.w.after(time.Millisecond, s.l.still(s.ends[end], func() {
				page, next := s.ends[end].disk.missing(ef.Room, ef.Have, s.at[end], pageSize)
				s.at[end] = next
				s.do(end, s.machines[end].Loaded(page, len(page) == pageSize))
			}))
		case catchup.Take:
			var batch []room.Receive
			for _, raw := range ef.Entries {
				e, err := wire.DecodeEntry(raw.Head, raw.Sig, raw.Payload)
				if err == nil && !s.ends[end].genuine(&e, s.ends[1-end]) {
					err = errors.New("an entry that is not genuine")
				}
				if err != nil {
					s.breakOff(s.ends[end], s.ends[1-end], err)
					return
				}
				batch = append(batch, room.Receive{Room: ef.Room, Entry: e, From: s.ends[1-end].id, Solicited: true})
			}
			s.received[end] += s.ends[end].receive(batch...)
		case catchup.Asked:
			s.asked(end, ef.Room)
		case catchup.Supply:
			s.do(end, s.supply(end, ef))
		case catchup.Fill:
			if err := s.fill(end, ef); err != nil {
				s.breakOff(s.ends[end], s.ends[1-end], err)
				return
			}
		case catchup.Remember:
			s.ends[end].bases.Put(s.ends[1-end].id, ef.Room, ef.Base)
		case catchup.Finish:
			s.end(end, false)
		}
	}
}

func (s *session) handle(end int, b []byte) {
	d := s.ends[end]
	if s.ended[end] {
		return
	}
	if s.machines[end] == nil {
		s.machines[end] = catchup.Answer(d.states(s.ends[0], s, end))
		d.sync(catchup.Begun{Device: s.ends[0].id})
	}
	f, err := wire.DecodeFrame(b)
	var effects []catchup.SessionEffect
	if err == nil {
		effects, err = s.machines[end].Handle(f)
	}
	if err != nil {
		s.breakOff(d, s.ends[1-end], err)
		return
	}
	s.do(end, effects)
}

// end tells a device that its side of the session is over.
func (s *session) end(end int, failed bool) {
	d := s.ends[end]
	if s.ended[end] || s.machines[end] == nil || !d.up {
		return
	}
	s.ended[end] = true
	if s.ended[1-end] {
		s.l.forget(s)
	}
	s.l.w.note("%d is done with %d: %d new, %d sent, failed %v", d.index, s.ends[1-end].index, s.received[end], s.machines[end].Sent(), failed)
	d.sync(catchup.Ended{
		Device: s.ends[1-end].id, Asked: end == 0, Received: s.received[end], Sent: s.machines[end].Sent(), Failed: failed,
	})
}

func (l *link) forget(s *session) {
	for i, other := range l.sessions {
		if other == s {
			l.sessions = append(l.sessions[:i:i], l.sessions[i+1:]...)
			return
		}
	}
}
