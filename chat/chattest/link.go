package chattest

import (
	"time"

	"earshot/chat"
	"earshot/chat/catchup"
	"earshot/chat/room"
	"earshot/chat/wire"
)

// link is a connection between two devices: a peer stream that keeps order, sync
// sessions, and room for live entries, which don't.
type link struct {
	w        *world
	a, b     *device
	up       bool
	age      int // counts ups and downs; what was on its way before is lost
	busy     [2]time.Time
	sessions []*session
}

func (w *world) link(a, b *device) {
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
	l.up = true
	l.age++
	l.w.note("%d and %d are connected", l.a.index, l.b.index)
	for _, d := range []*device{l.a, l.b} {
		to := l.other(d)
		l.send(d, func() { to.sync(catchup.PeerUp{Device: d.id}) })
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
	l.sessions = nil
	for _, s := range sessions {
		s.end(0, true)
		s.end(1, true)
	}
	for _, d := range []*device{l.a, l.b} {
		if d.up {
			d.sync(catchup.PeerDown{Device: l.other(d).id})
		}
	}
}

// send delivers something on the peer stream of d, in order.
func (l *link) send(d *device, f func()) {
	side := 0
	if d == l.b {
		side = 1
	}
	l.busy[side] = later(l.busy[side], l.w.now).Add(l.w.between(time.Millisecond, 20*time.Millisecond))
	l.w.at(l.busy[side], l.still(l.other(d), f))
}

func (l *link) have(d *device, have wire.Have) {
	b := wire.EncodeFrame(have)
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
	at       [2]int // where the page of Load begins
	received [2]int // that were new
	ended    [2]bool
}

// pageSize is small, so that a session takes several pages.
const pageSize = 40

func (l *link) session(asker *device) {
	s := &session{l: l, ends: [2]*device{asker, l.other(asker)}}
	l.w.opened++
	l.w.note("%d asks %d", asker.index, s.ends[1].index)
	l.sessions = append(l.sessions, s)
	nonce := make([]byte, wire.NonceSize)
	for i := range nonce {
		nonce[i] = byte(l.w.rng.Uint32())
	}
	var effects []catchup.SessionEffect
	s.machines[0], effects = catchup.Ask(nonce, asker.states(s.ends[1]))
	s.do(0, effects)
}

func (s *session) do(end int, effects []catchup.SessionEffect) {
	for _, ef := range effects {
		switch ef := ef.(type) {
		case catchup.Send:
			b := wire.EncodeFrame(ef.Frame)
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
			for _, raw := range ef.Entries {
				e, err := wire.DecodeEntry(raw.Head, raw.Sig, raw.Payload)
				if err != nil {
					s.l.w.fail("a stored entry can't be read: %v", err)
					return
				}
				s.received[end] += s.ends[end].tell(room.Receive{Room: ef.Room, Entry: e, From: s.ends[1-end].id, Solicited: true})
			}
		case catchup.Finish:
			s.end(end, false)
		}
	}
}

func (s *session) handle(end int, b []byte) {
	d := s.ends[end]
	if s.machines[end] == nil {
		s.machines[end] = catchup.Answer(d.states(s.ends[0]))
		d.sync(catchup.Begun{Device: s.ends[0].id})
	}
	f, err := wire.DecodeFrame(b)
	if err != nil {
		s.l.w.fail("a frame can't be read: %v", err)
		return
	}
	effects, err := s.machines[end].Handle(f)
	if err != nil {
		s.l.w.fail("%d breaks off: %v", d.index, err)
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
