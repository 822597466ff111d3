package chattest

import (
	"cmp"
	"errors"
	"slices"

	"earshot/chat"
	"earshot/chat/catchup"
	"earshot/chat/private"
	"earshot/chat/wire"
)

// This file asks for payloads that entries came without, as package node does: what
// others said must not go because somebody passed it on without.

// bare reports whether an entry came without its payload and it is not known why.
func (k *disk) bare(r *record) bool {
	return r.Entry.Payload == nil && r.Entry.Kind.Removable() && r.stripped && !k.removed(r)
}

// wanted returns the entries of a room whose payloads are asked for, those first that
// were asked for least often.
func (k *disk) wanted(id chat.RoomID) (out []wire.LogSeq) {
	for _, r := range k.lacking(id) {
		if len(out) < chat.MaxWanted {
			out = append(out, wire.LogSeq{Log: r.Entry.Log[:], Seq: r.Entry.Seq})
		}
	}
	return out
}

// lacking returns the entries of a room whose payloads are missing.
func (k *disk) lacking(id chat.RoomID) (out []*record) {
	if k.incurious {
		return nil
	}
	for _, at := range k.stripped {
		if r := &k.records[at]; r.Room == id && k.bare(r) {
			out = append(out, r)
		}
	}
	slices.SortStableFunc(out, func(a, b *record) int { return cmp.Compare(a.tries, b.tries) })
	return out
}

// weigh has the wishes of a room be what is missing now.
func (d *device) weigh(id chat.RoomID) {
	var ids []chat.EntryID
	asked := false
	for _, r := range d.disk.lacking(id) {
		ids = append(ids, r.Entry.ID)
		asked = asked || r.tries < chat.MaxWantedTries
	}
	d.wishes.Put(id, len(ids) > 0, asked, catchup.SumWishes(ids))
}

// place returns the record of an entry of a room, nil if it is not there.
func (k *disk) place(id chat.RoomID, at wire.LogSeq) *record {
	for i := range k.records {
		if r := &k.records[i]; r.Room == id && r.Entry.Log == chat.LogID(at.Log) && r.Entry.Seq == at.Seq {
			return r
		}
	}
	return nil
}

// Root is another one while payloads are wanted: who has them holds more.
func (h holdings) Root(id chat.RoomID) [32]byte {
	h.d.weigh(id)
	return h.d.wishes.Root(h.d.now(), id, h.Engine.Root(id))
}

func (h holdings) HasHeld(id chat.RoomID, root [32]byte) bool {
	return root == h.Root(id) || !h.d.wishes.Seeks(h.d.now(), id) && h.Engine.HasHeld(id, root)
}

// asked notes that payloads were asked for.
func (s *session) asked(end int, id chat.RoomID) {
	d := s.ends[end]
	if !d.wishes.Try(d.now(), id) {
		return
	}
	for _, at := range s.wishes[end][id] {
		if r := d.disk.place(id, at); r != nil {
			r.tries++
		}
	}
}

// supply returns the frames with payloads that the other side wants.
func (s *session) supply(end int, ef catchup.Supply) (out []catchup.SessionEffect) {
	d := s.ends[end]
	var entries []wire.Entry
	for _, at := range ef.Places {
		if r := d.disk.place(ef.Room, at); r != nil && r.Entry.Payload != nil && d.shares(ef.Room, s.ends[1-end].id) {
			entries = append(entries, r.Entry)
		}
	}
	for _, f := range catchup.PayloadFrames(ef.Tag, entries) {
		out = append(out, catchup.Send{Frame: f})
	}
	return out
}

// fill takes payloads that were wanted.
func (s *session) fill(end int, ef catchup.Fill) error {
	d := s.ends[end]
	c := d.begin()
	for _, p := range ef.Payloads {
		r := d.disk.place(ef.Room, wire.LogSeq{Log: p.Log, Seq: p.Seq})
		if r == nil || p.Bytes == nil {
			return errors.New("content that was not asked for")
		}
		e, err := wire.DecodeEntry(r.Entry.Head, r.Entry.Sig[:], p.Bytes)
		if err != nil {
			return err
		}
		c.filled = append(c.filled, filling{ef.Room, e})
	}
	s.received[end] += len(c.filled)
	d.wishes.Filled(d.now(), ef.Room)
	c.end()
	return nil
}

// filling is an entry that came stripped, whole.
type filling struct {
	room  chat.RoomID
	entry wire.Entry
}

// fill stores a payload that was wanted, and reads it where it is not sealed.
func (k *disk) fill(d *device, f filling) {
	at, ok := k.at[f.entry.ID]
	if !ok || k.records[at].Entry.Payload != nil || k.removed(&k.records[at]) {
		return
	}
	r := &k.records[at]
	r.Entry.Payload, r.stripped = f.entry.Payload, false
	if d.w.isSealed(f.room) {
		k.unopened[f.entry.ID] = private.Unopened{Room: f.room, ID: f.entry.ID, Device: f.entry.Device, Epoch: f.entry.Epoch}
		return
	}
	k.read(r, d.understand(f.entry.Kind, f.entry.Payload))
}

func (w *world) isSealed(id chat.RoomID) bool { return id != lobby }
