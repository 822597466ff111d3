package chattest

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/membership"
	"earshot/chat/wire"
)

// confirmed is an entry that some device has stored.
type confirmed struct {
	room chat.RoomID
	id   chat.EntryID
	name string
	by   *device // the first
}

// confirm notes that a device has stored an entry: from now on it must not be lost.
func (w *world) confirm(d *device, r *record) {
	w.records++
	w.arrived(&r.Entry)
	if !w.stored[r.Entry.ID] {
		w.stored[r.Entry.ID] = true
		w.ledger = append(w.ledger, confirmed{r.Room, r.Entry.ID, nameOf(&r.Entry), d})
	}
}

// nameOf returns how the trace names an entry. Its id is no name: what is sealed is
// sealed with other random numbers in each run.
func nameOf(e *wire.Entry) string { return fmt.Sprintf("%s/%d", e.Log.Short(), e.Seq) }

// taking returns the honest devices that take part in a room.
func (w *world) taking(id chat.RoomID) (out []*device) {
	for _, d := range w.devices {
		if d.up && !d.liar && d.rooms.Entered(id) {
			out = append(out, d)
		}
	}
	return out
}

// ids returns every room there is.
func (w *world) ids() []chat.RoomID {
	out := []chat.RoomID{lobby}
	for _, s := range w.sealed {
		out = append(out, s.id)
	}
	return out
}

// agreed reports whether the devices of every room hold the same, and have read what
// they were given the keys of.
func (w *world) agreed() bool {
	for _, d := range w.devices {
		if len(d.disk.writes) > 0 || d.disk.failed || len(d.disk.retries) > 0 {
			return false
		}
	}
	for _, id := range w.ids() {
		var first *device
		for _, d := range w.taking(id) {
			if first == nil {
				first = d
			}
			if d.rooms.Root(id) != first.rooms.Root(id) || d.rooms.Pending(id) > 0 {
				return false
			}
		}
	}
	for _, s := range w.sealed {
		if w.memberships(s) != nil {
			return false
		}
	}
	return w.unread() == nil
}

// wishing reports whether anybody asks for payloads that nobody may have: who could not
// read why they are gone asks for a while.
func (w *world) wishing() bool {
	return slices.ContainsFunc(w.devices, func(d *device) bool {
		return slices.ContainsFunc(d.rooms.Rooms(), func(id chat.RoomID) bool { d.weigh(id); return d.wishes.Open(d.now(), id) })
	})
}

// why says what the devices do not agree about, as far as it can be said.
func (w *world) why() string {
	for _, id := range w.ids() {
		var first *device
		for _, d := range w.taking(id) {
			switch {
			case first == nil:
				first = d
			case d.rooms.Root(id) != first.rooms.Root(id):
				return fmt.Sprintf(": %d and %d hold different entries of %s", first.index, d.index, id.Short())
			}
			if n := d.rooms.Pending(id); n > 0 {
				return fmt.Sprintf(": %d entries of %s wait at %d", n, id.Short(), d.index)
			}
		}
	}
	for _, s := range w.sealed {
		if err := w.memberships(s); err != nil {
			return ": " + err.Error()
		}
	}
	if err := w.unread(); err != nil {
		return ": " + err.Error()
	}
	return ""
}

// check looks whether every promise was kept.
func (w *world) check() error {
	for _, id := range w.ids() {
		var first []chat.EntryID
		for _, d := range w.taking(id) {
			order, err := d.shown(id)
			if err != nil {
				return err
			}
			held := map[chat.EntryID]bool{}
			for _, e := range order {
				held[e] = true
			}
			for _, c := range w.ledger {
				if c.room == id && !c.by.liar && c.by.rooms.Entered(id) && !held[c.id] {
					return fmt.Errorf("device %d lost %s, which had been stored", d.index, c.name)
				}
			}
			if first == nil {
				first = order
			}
			if !slices.Equal(order, first) {
				return fmt.Errorf("device %d shows another order of room %s", d.index, id.Short())
			}
		}
	}
	for _, s := range w.sealed {
		if err := w.memberships(s); err != nil {
			return err
		}
	}
	for _, id := range w.ids() {
		if err := w.sameFaces(id); err != nil {
			return err
		}
	}
	if err := w.unread(); err != nil {
		return err
	}
	if err := w.overread(); err != nil {
		return err
	}
	return w.aware()
}

// shown returns the entries of a room as a face shows them, each once.
func (d *device) shown(id chat.RoomID) ([]chat.EntryID, error) {
	var in []*record
	seen := map[chat.EntryID]bool{}
	for i := range d.disk.records {
		r := &d.disk.records[i]
		if r.Room != id {
			continue
		}
		if seen[r.Entry.ID] {
			return nil, fmt.Errorf("device %d stored %s twice", d.index, nameOf(&r.Entry))
		}
		seen[r.Entry.ID] = true
		in = append(in, r)
	}
	slices.SortStableFunc(in, func(a, b *record) int {
		if d.w.cfg.OrderOfArrival {
			return 0 // which they are in
		}
		return cmp.Or(cmp.Compare(a.Sort, b.Sort), bytes.Compare(a.Entry.Log[:], b.Entry.Log[:]), cmp.Compare(a.Entry.Seq, b.Entry.Seq))
	})
	var out []chat.EntryID
	for _, r := range in {
		out = append(out, r.Entry.ID)
	}
	return out, nil
}

// memberships looks whether all who are in a room agree who is, and nobody else thinks
// to be. A room's founder never goes.
func (w *world) memberships(s *sealedRoom) error {
	if s.founder == nil { // a chat of two
		return nil
	}
	known, ok := s.founder.private.Info(s.id)
	if !ok {
		return fmt.Errorf("room %s is lost", s.id.Short())
	}
	in := map[chat.PersonID]bool{}
	for _, m := range known.Members {
		in[m.Person] = true
	}
	for _, d := range w.devices {
		info, _ := d.private.Info(s.id)
		switch {
		case d.liar: // may be told nothing by those it has told too much
		case info.Entered != in[d.person()]:
			return fmt.Errorf("device %d takes part in room %s: %v, and is a member: %v", d.index, s.id.Short(), info.Entered, in[d.person()])
		case info.Entered && !slices.EqualFunc(info.Members, known.Members, sameMember):
			return fmt.Errorf("device %d does not agree who is in room %s", d.index, s.id.Short())
		}
	}
	return nil
}

// unread looks whether everybody reads what they were given the key of and is still in
// the room for. Of whom the room has thrown out nothing is shown that is disputable.
func (w *world) unread() error {
	for _, s := range w.said {
		for _, d := range w.devices {
			if got := d.disk.text(s.id); got != "" && got != s.text {
				return fmt.Errorf("device %d reads something else than %d said in %s", d.index, s.by.index, s.name)
			}
		}
		for _, d := range w.devices {
			gone := d.disk.gone(s.id)
			if gone && !w.removable[s.id] {
				return fmt.Errorf("device %d has removed %s for somebody who may not", d.index, s.name)
			}
			if s.room == lobby && !d.liar && !s.by.liar && !gone && d.disk.text(s.id) != s.text {
				return fmt.Errorf("device %d does not read %s of %d", d.index, s.name, s.by.index)
			}
		}
		if s.readers == nil || s.by.liar || !s.by.rooms.Entered(s.room) {
			continue
		}
		for _, d := range w.devices {
			exits, given := s.readers[d]
			if given && !d.liar && d.rooms.Entered(s.room) && d.exits[s.room] == exits && d.disk.text(s.id) != s.text && !d.disk.gone(s.id) && !w.takenFrom(d, s.id) {
				return fmt.Errorf("device %d was given the key of %s by %d and does not read it: %s", d.index, s.name, s.by.index, d.disk.why(s.id))
			}
		}
	}
	return nil
}

// takenFrom reports whether a message came to a device without what it says because
// others had removed it, as they may. Who was not given the key of the removal, which
// says so, sees the message as missing.
func (w *world) takenFrom(d *device, id chat.EntryID) bool {
	at, there := d.disk.at[id]
	return there && d.disk.records[at].Entry.Payload == nil && slices.ContainsFunc(w.devices, func(o *device) bool {
		return !o.liar && o.disk.gone(id)
	})
}

// overread looks whether anybody reads what is not for them.
func (w *world) overread() error {
	for _, s := range w.said {
		of := w.sealedRoom(s.room)
		if of == nil {
			continue
		}
		for _, d := range w.devices {
			if _, given := s.readers[d]; given || d == s.by || of.history == membership.HistoryAll && d.in(s.room, s.at) {
				continue
			}
			if d.disk.text(s.id) != "" {
				return fmt.Errorf("device %d reads %s of %d, who gave it no key", d.index, s.name, s.by.index)
			}
		}
	}
	for _, r := range w.removals {
		for _, s := range w.said {
			if !r.over && !r.at.IsZero() && s.by == r.by && s.room == r.room && s.at.After(r.at) && r.who.disk.text(s.id) != "" {
				return fmt.Errorf("device %d reads %s of %d, who had thrown it out", r.who.index, s.name, s.by.index)
			}
		}
	}
	return nil
}

// in reports whether a device took part in a room at any time after at.
func (d *device) in(id chat.RoomID, at time.Time) bool {
	return d.rooms.Entered(id) || d.exited[id].After(at)
}

func (w *world) sealedRoom(id chat.RoomID) *sealedRoom {
	for _, s := range w.sealed {
		if s.id == id {
			return s
		}
	}
	return nil
}

func sameMember(a, b membership.Member) bool { return a.Person == b.Person && a.Role == b.Role }

// text returns what is read of an entry, "" for nothing.
func (k *disk) text(id chat.EntryID) string {
	if at, ok := k.at[id]; ok {
		return k.records[at].said.Text
	}
	return ""
}

// gone reports whether a message was removed by somebody who may.
func (k *disk) gone(id chat.EntryID) bool {
	at, ok := k.at[id]
	return ok && k.removed(&k.records[at])
}

// why says why an entry is not read.
func (k *disk) why(id chat.EntryID) string {
	u, closed := k.unopened[id]
	switch _, there := k.at[id]; {
	case !there:
		return "it is not there"
	case !closed:
		return "it is open, and says something else"
	case u.Reason == "":
		return "it waits for its key"
	}
	return string(u.Reason)
}
