package chattest

import (
	"fmt"
	"slices"
	"strings"

	"earshot/chat"
	"earshot/chat/content"
	"earshot/chat/private"
	"earshot/chat/room"
	"earshot/chat/wire"
)

// This file is what devices do to messages that were said, and what becomes of them.

// act does something in a room: mostly it says something.
func (d *device) act(id chat.RoomID, text string) {
	target := d.anyMessage(id)
	what := d.w.rng.IntN(100)
	if target == nil || what < 60 {
		d.say(id, text)
		return
	}
	e := &target.Entry
	switch {
	case what < 75 && target.Person == d.person():
		payload, err := content.ComposeEdit(e.ID, text+", better", nil)
		if err != nil {
			d.w.fail("%v", err)
			return
		}
		d.put(id, wire.KindEdit, payload)
	case what < 85: // also what others said, which must not count unless they may
		if s := d.w.sealedRoom(id); target.Person == d.person() || s != nil && s.founder == d {
			d.w.removable[e.ID] = true
		}
		d.put(id, wire.KindDelete, content.ComposeDelete(append([]chat.EntryID{e.ID}, d.disk.edits[e.ID]...)))
	default:
		payload, err := content.ComposeReaction(content.React{Target: e.ID, Sign: []string{"👍", "🎉"}[what%2], Off: what%3 == 0})
		if err != nil {
			d.w.fail("%v", err)
			return
		}
		d.put(id, wire.KindReaction, payload)
	}
}

// anyMessage returns a message that the device reads in a room, nil if there is none.
func (d *device) anyMessage(id chat.RoomID) *record {
	var all []*record
	for i := range d.disk.records {
		if r := &d.disk.records[i]; r.Room == id && r.said.IsMessage() {
			all = append(all, r)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all[d.w.rng.IntN(len(all))]
}

// put posts an entry that is no message.
func (d *device) put(id chat.RoomID, kind wire.Kind, payload []byte) {
	c := d.begin()
	if d.rooms.Sealed(id) {
		c.seal(private.Say{Room: id, Kind: kind, Plaintext: payload, Ref: postRef})
	} else {
		c.take(d.rooms.Handle(d.now(), room.Append{Room: id, Kind: kind, Payload: payload, Ref: postRef}))
	}
	c.end()
}

// say says something.
func (d *device) say(id chat.RoomID, text string) {
	payload, err := content.Compose(chat.Draft{Text: text}, 0)
	if err != nil {
		d.w.fail("%v", err)
		return
	}
	c := d.begin()
	c.said = &saying{room: id, by: d, at: d.w.now, text: text}
	if d.rooms.Sealed(id) {
		c.seal(private.Say{Room: id, Kind: wire.KindMessage, Plaintext: payload, Ref: postRef})
		c.said.readers = d.readers(id)
	} else {
		c.take(d.rooms.Handle(d.now(), room.Append{Room: id, Kind: wire.KindMessage, Payload: payload, Ref: postRef}))
	}
	c.end()
}

// read notes what a stored entry turned out to say, and what that does to others.
func (k *disk) read(r *record, said content.Said) {
	r.said = said
	for _, target := range said.Remove {
		k.removals[target] = append(k.removals[target], content.Removal{By: r.Person, Device: r.Entry.Device, At: content.PlaceOf(&r.Entry.Header)})
		if at, ok := k.at[target]; ok && k.records[at].Room == r.Room {
			k.strip(&k.records[at])
		}
	}
	if said.Edit != nil {
		k.edits[*said.Edit] = append(k.edits[*said.Edit], r.Entry.ID)
	}
	k.strip(r)
}

// strip takes away what a message said, and its edits, if somebody removed it who may.
func (k *disk) strip(r *record) {
	target := r
	if r.said.Edit != nil {
		at, ok := k.at[*r.said.Edit]
		if !ok {
			return
		}
		target = &k.records[at]
	}
	if !k.removed(target) {
		return
	}
	target.Entry.Payload, target.said = nil, content.Said{}
	for _, id := range k.edits[target.Entry.ID] {
		if edit := &k.records[k.at[id]]; edit.Person == target.Person {
			edit.Entry.Payload, edit.said.Text = nil, ""
		}
	}
}

// removed reports whether a message or an edit was removed by its author or by who
// founded the room.
func (k *disk) removed(r *record) bool {
	return r.Entry.Kind.Removable() && slices.ContainsFunc(k.removals[r.Entry.ID], func(x content.Removal) bool {
		return k.obedient || content.Counts(x, r.Person, k.tenures(r.Room))
	})
}

// face returns what is shown of each message of a room.
func (k *disk) face(id chat.RoomID) map[chat.EntryID]string {
	about := map[chat.EntryID]*content.About{}
	last := map[string]content.Reaction{}
	var keys []string
	of := map[string]chat.EntryID{}
	at := func(id chat.EntryID) *content.About {
		if about[id] == nil {
			about[id] = &content.About{Tenures: nil}
		}
		return about[id]
	}
	for i := range k.records {
		r := &k.records[i]
		if r.Room != id {
			continue
		}
		place := content.PlaceOf(&r.Entry.Header)
		switch s := &r.said; {
		case s.Edit != nil:
			at(*s.Edit).Edits = append(at(*s.Edit).Edits, content.Edit{By: r.Person, At: place, Text: s.Text})
		case s.React != nil:
			key := fmt.Sprintf("%x %x %s", s.React.Target, r.Person, s.React.Sign)
			if old, had := last[key]; !had {
				keys, of[key] = append(keys, key), s.React.Target
			} else if old.At.Compare(place) > 0 {
				continue
			}
			last[key] = content.Reaction{By: r.Person, Sign: s.React.Sign, Off: s.React.Off, At: place}
		}
	}
	for _, key := range keys {
		at(of[key]).Reactions = append(at(of[key]).Reactions, last[key])
	}
	out := map[chat.EntryID]string{}
	for i := range k.records {
		r := &k.records[i]
		if r.Room != id || r.Entry.Kind != wire.KindMessage {
			continue
		}
		a := *at(r.Entry.ID)
		a.Author, a.Removals, a.Tenures = r.Person, k.removals[r.Entry.ID], k.tenures(id)
		out[r.Entry.ID] = describe(r, a)
	}
	return out
}

func describe(r *record, a content.About) string {
	shown := content.Fold(a)
	if shown.Removed != nil {
		return "removed by " + shown.Removed.By.Short()
	}
	var b strings.Builder
	b.WriteString(r.said.Text)
	for _, i := range shown.Before {
		b.WriteString(", before " + a.Edits[i].Text)
	}
	if shown.Edit >= 0 {
		b.WriteString(", now " + a.Edits[shown.Edit].Text)
	}
	for _, s := range shown.Signs {
		fmt.Fprintf(&b, ", %s of %d", s.Sign, len(s.People))
	}
	return b.String()
}

// sameFaces looks whether a room looks the same to everybody who reads all of it.
func (w *world) sameFaces(id chat.RoomID) error {
	var first *device
	var want map[chat.EntryID]string
	for _, d := range w.taking(id) {
		if d.disk.lacks(id) {
			continue
		}
		got := d.disk.face(id)
		if first == nil {
			first, want = d, got
			continue
		}
		for i := range d.disk.records {
			if r := &d.disk.records[i]; r.Room == id && got[r.Entry.ID] != want[r.Entry.ID] {
				return fmt.Errorf("devices %d and %d show %s as %q and %q", first.index, d.index, nameOf(&r.Entry), want[r.Entry.ID], got[r.Entry.ID])
			}
		}
	}
	return nil
}

// lacks reports whether anything that was said in a room is closed here.
func (k *disk) lacks(id chat.RoomID) bool {
	for i := range k.records {
		if r := &k.records[i]; r.Room == id {
			if _, closed := k.unopened[r.Entry.ID]; closed {
				return true
			}
		}
	}
	return false
}

// tenures says that who has founded a room may remove what others say there.
func (w *world) tenures(id chat.RoomID) []content.Tenure {
	if s := w.sealedRoom(id); s != nil && s.founder != nil {
		return []content.Tenure{{Person: s.founder.person(), Until: chat.MaxHLC}}
	}
	return nil
}
