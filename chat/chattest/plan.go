package chattest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/identity"
	"earshot/chat/membership"
)

// maxOffice bounds the members of the private room: a new key is wrapped for each.
const maxOffice = 12

// build makes the devices and a connected graph of links between them. The members of
// a sealed room who stay in it are connected among themselves, as nodes see to:
// catch-up goes from member to member.
func (w *world) build() {
	for i := range w.cfg.Devices {
		d := w.newDevice(i, i)
		w.devices = append(w.devices, d)
		if i > 0 {
			w.link(w.devices[w.rng.IntN(i)], d)
		}
	}
	for range w.cfg.Devices / 2 {
		w.link(w.anyDevice(), w.anyDevice())
	}
	if last := w.devices[len(w.devices)-1]; w.cfg.Liar && w.cfg.Devices > 2 {
		// Nobody depends on it: the others are connected without.
		last.liar = true
		w.link(last, w.anyDevice())
		w.link(last, w.anyDevice())
	}
	w.planOffice()
	w.planChat()
	for _, d := range w.devices {
		d.start()
	}
	w.connect()
}

func (w *world) anyDevice() *device { return w.devices[w.rng.IntN(len(w.devices))] }

// planOffice makes a private room, who is to be in it, and who is to go out again.
func (w *world) planOffice() {
	order := w.rng.Perm(len(w.devices))
	if w.devices[order[0]].liar {
		order[0], order[1] = order[1], order[0]
	}
	members := order[:2+w.rng.IntN(min(len(order), maxOffice)-1)]
	s := &sealedRoom{
		founder: w.devices[members[0]], asked: map[chat.PersonID]bool{},
		history: []membership.History{membership.HistoryNone, membership.HistoryInvited, membership.HistoryAll}[w.rng.IntN(3)],
	}
	s.asked[s.founder.person()] = true
	w.sealed = append(w.sealed, s)
	w.office = s
	staying := 1
	for i, at := range members[1:] {
		d := w.devices[at]
		w.link(w.devices[members[w.rng.IntN(staying)]], d)
		w.after(time.Second+w.between(0, w.cfg.Trouble/2), func() { s.founder.invite(s, d.person()) })
		w.invited = append(w.invited, d)
		if i == staying-1 && !d.liar && w.rng.IntN(4) > 0 {
			staying++
			continue
		}
		// Behind the first that goes nobody stays, so that those who do are connected.
		w.after(w.cfg.Trouble/2+w.between(0, w.cfg.Trouble/2), func() { s.founder.remove(s, d) })
	}
	var found func()
	found = func() {
		if s.founder.up {
			if info, ok := s.founder.private.Info(s.id); !ok || !info.Entered {
				s.founder.found(s)
			}
		}
		if !w.calm { // until it is stored
			w.after(time.Second, found)
		}
	}
	w.after(0, found)
}

// inviteAll asks everybody in again who was to be in and is not: a crash may have
// swallowed it.
func (w *world) inviteAll() {
	s := w.office
	if info, ok := s.founder.private.Info(s.id); !ok || !info.Entered {
		s.founder.found(s)
	}
	info, _ := s.founder.private.Info(s.id)
	for _, d := range w.invited {
		in := slices.ContainsFunc(info.Members, func(m membership.Member) bool { return m.Person == d.person() })
		asked := slices.ContainsFunc(info.Invited, func(i membership.Invited) bool { return i.Person == d.person() })
		if !in && !asked && (!w.gone[d] || w.rng.IntN(3) == 0) {
			s.founder.invite(s, d.person())
		}
	}
}

// planChat makes two people contacts.
func (w *world) planChat() {
	a, b := w.anyDevice(), w.anyDevice()
	if a == b {
		return
	}
	w.link(a, b)
	w.contacts[a.person()] = append(w.contacts[a.person()], b.person())
	w.contacts[b.person()] = append(w.contacts[b.person()], a.person())
	w.sealed = append(w.sealed, &sealedRoom{
		id: directRoom(a.person(), b.person()), asked: map[chat.PersonID]bool{a.person(): true, b.person(): true},
	})
}

// plan schedules what is said and what goes wrong.
func (w *world) plan() {
	within := func() time.Duration { return w.between(0, w.cfg.Trouble) }
	for i := range w.cfg.Posts {
		d := w.anyDevice()
		w.after(within(), func() { d.post(fmt.Sprintf("message %d of %d", i, d.index)) })
	}
	for range 2 {
		w.after(within(), w.partition)
	}
	for range 3 {
		d := w.anyDevice()
		w.after(within(), func() { d.crash() })
	}
	if d := w.devices[len(w.devices)-1]; d.liar {
		w.after(within(), d.besiege)
	}
}

// certify reads a certificate, once for all.
func (w *world) certify(b []byte) (chat.PersonID, chat.DeviceID, error) {
	c, known := w.certified[string(b)]
	if !known {
		var err error
		if c, err = identity.Parse(b); err == nil {
			err = c.Verify()
		}
		if err != nil {
			return chat.PersonID{}, chat.DeviceID{}, errors.New("not a certificate")
		}
		w.certified[string(b)] = c
	}
	return c.Person(), c.Device, nil
}
