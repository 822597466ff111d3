package node

import (
	"context"
	"crypto/rand"
	"log/slog"
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/courier"
	"earshot/chat/receipt"
	"earshot/chat/room"
	"earshot/chat/wire"
	"earshot/node/store"
)

// This file makes envelopes of entries, and entries of envelopes.

// packEnvelope makes an envelope of what somebody lacks.
func (n *Node) packEnvelope(ctx context.Context, ef courier.Pack) {
	out := courier.Packed{Key: ef.Key, Replaces: ef.Replaces}
	content, err := n.packEntries(ctx, &ef, &out)
	if err == nil && content != nil {
		d := courier.Depositor{Key: n.keys.Device, Certificate: n.keys.Cert, Random: rand.Reader}
		out.Envelope, err = d.Seal(time.Now(), courier.Room{ID: ef.Key.Room, With: ef.Key.Person}, ef.Key.Person, content)
	}
	if err != nil {
		out.Failed = true
		n.rarely("couriers", slog.LevelError, "making an envelope for somebody who is away failed", "err", err)
	}
	_ = n.tell(ctx, func(c *core) { c.courier(out) })
}

// packEntries returns the first of the entries that fit, encoded, or nil if none of
// them says anything to a person.
func (n *Node) packEntries(ctx context.Context, ef *courier.Pack, out *courier.Packed) ([]byte, error) {
	first, last := map[chat.LogID]uint64{}, map[chat.LogID]uint64{}
	for _, r := range ef.Ranges {
		if from, known := first[r.Log]; !known || r.From < from {
			first[r.Log] = r.From
		}
		last[r.Log] = max(last[r.Log], r.To)
	}
	have := map[chat.LogID]uint64{}
	logs, err := n.store.Logs(ctx)
	if err != nil {
		return nil, err
	}
	for _, l := range logs {
		if l.Room == ef.Key.Room {
			have[l.Log] = wire.MaxSeq
		}
	}
	for log, from := range first {
		have[log] = from - 1
	}
	// Each entry comes behind those it builds on.
	entries, _, err := n.store.Missing(ctx, ef.Key.Room, have, store.Position{}, wire.MaxPacketEntries, courier.MaxContent)
	if err != nil {
		return nil, err
	}
	var p wire.Packet
	size, speaks := 16, false
	to := map[chat.LogID]uint64{}
	for i := range entries {
		e := &entries[i]
		if e.Seq > last[e.Log] {
			continue
		}
		raw := wire.RawEntry{Head: e.Head, Sig: e.Sig[:], Payload: e.Payload}
		if size += len(raw.Head) + len(raw.Sig) + len(raw.Payload) + 16; size > courier.MaxContent {
			speaks = true // there is more, which may
			break
		}
		p.Entries = append(p.Entries, raw)
		to[e.Log] = e.Seq
		speaks = speaks || speaking(e.Kind)
		if e.Kind == wire.KindMessage {
			out.Messages++
		}
	}
	if len(p.Entries) == 0 || !speaks && len(p.Entries) < wire.MaxPacketEntries {
		return nil, nil
	}
	for _, r := range ef.Ranges { // in their order
		if end := min(to[r.Log], r.To); end >= r.From {
			out.Ranges = append(out.Ranges, courier.Range{Log: r.Log, From: r.From, To: end})
		}
	}
	return wire.Marshal(p), nil
}

// speaking reports whether an entry of a kind is worth an envelope: keys and names go
// along with what is said, and not alone.
func speaking(k wire.Kind) bool {
	switch k {
	case wire.KindOpen, wire.KindProfile, wire.KindKeyShare, wire.KindKeyRequest, wire.KindPrekey, wire.KindDevices:
		return false
	}
	return true
}

// openEnvelope has the entries of an envelope stored, behind those that came before it.
func (c *core) openEnvelope(ef courier.Open) {
	select {
	case c.n.openings <- ef:
	default: // it stays where it is, and is taken again
		c.n.soon(func(c *core) { c.openedEnvelope(ef, carriedIn{says: wire.AnswerFull}, false) })
	}
}

// openEnvelopes opens one envelope after the other until ctx ends.
func (n *Node) openEnvelopes(ctx context.Context) {
	for {
		select {
		case ef := <-n.openings:
			n.openOne(ctx, ef)
		case <-ctx.Done():
			return
		}
	}
}

// openOne checks the entries of an envelope as those of a catch-up, and has them
// stored.
func (n *Node) openOne(ctx context.Context, ef courier.Open) {
	entries := make([]wire.Entry, 0, len(ef.Entries))
	bad := 0 // who sealed them may have made them up; who brought them can't know
	for _, raw := range ef.Entries {
		e, err := wire.DecodeEntry(raw.Head, raw.Sig, raw.Payload)
		if err != nil {
			bad++
			continue
		}
		entries = append(entries, e)
	}
	all := slices.Clone(entries)
	var held []wire.Entry
	looks := map[chat.EntryID]*look{}
	if n.do(ctx, func(c *core) { // a signature costs more than all else about an entry
		entries = slices.DeleteFunc(entries, func(e wire.Entry) bool {
			if ways := c.rooms.Ways(ef.Room, e.Log); len(ways) > 1 {
				looks[e.ID] = &look{ways: ways}
				return false
			}
			has := c.rooms.Held(ef.Room, &e)
			if has {
				held = append(held, e)
			}
			return has
		})
	}) != nil {
		return
	}
	entries, err := n.lookAtAll(ctx, ef.Room, entries, looks)
	if err != nil {
		return // the node ends, or its disk does
	}
	entries = slices.DeleteFunc(entries, func(e wire.Entry) bool {
		err := e.Verify()
		if err != nil {
			bad++
			all = slices.DeleteFunc(all, func(other wire.Entry) bool { return other.ID == e.ID })
		}
		return err != nil
	})
	if bad > 0 {
		n.log.Debug("an envelope held entries that break the protocol", "envelope", ef.ID.Short(), "entries", bad)
	}
	var out carriedIn
	stored := make(chan struct{})
	var w *change
	taken := map[chat.EntryID]bool{}
	err = n.do(ctx, func(c *core) {
		w = c.begin(nil)
		for i := range entries {
			// Nobody is blamed: the courier has only carried it.
			w.rooms(c.rooms.Handle(c.now, room.Receive{Room: ef.Room, Entry: entries[i], Solicited: true}))
		}
		out.entries, out.room = len(w.batch.Records), ef.Room
		for i := range w.batch.Records {
			e := &w.batch.Records[i].Entry
			if taken[e.ID] = true; e.Kind == wire.KindMessage {
				out.messages++
			}
		}
		if n.wanted.has(ef.Room) {
			w.fillSealed(ef.Room, held)
		}
		w.then = func() { close(stored) }
		w.end()
	})
	if err != nil {
		return // the node ends
	}
	settled := make(chan struct{}) // what came another way just before is on the disk, too
	n.store.PutCourier(nil, func(error) { close(settled) })
	for _, bell := range []chan struct{}{stored, settled} {
		select {
		case <-bell:
		case <-ctx.Done():
			return
		}
	}
	safe := n.secure(ctx) == nil // who is told that it has come drops it
	// If the store has failed, the room engine has gone back by the time that this runs,
	// or will; then what is held is not what came.
	_ = n.tell(ctx, func(c *core) {
		whole := safe && !w.failed && !n.writeFailed.Load()
		for i := range all {
			e := &all[i]
			l := looks[e.ID]
			whole = whole && (taken[e.ID] || l != nil && l.held || c.rooms.Held(ef.Room, e))
		}
		c.openedEnvelope(ef, out, whole)
	})
}

// openedEnvelope tells the engine what came of an envelope.
func (c *core) openedEnvelope(ef courier.Open, out carriedIn, whole bool) {
	in := courier.Opened{ID: ef.ID, Whole: whole}
	if with := c.rows[ef.Room].Person; with != nil && whole {
		c.heldMore() // what it says is to cover what has just come
		in.Reply = encodeReply(c.ownStatements(ef.Room, *with))
	}
	c.courier(in)
	c.judged(ef.ID, out)
}

// encodeReply and decodeReply are what goes back to a depositor: how far this device
// holds and has read the conversation, as it signs for everybody in it.
func encodeReply(list []wire.Statement) []byte {
	for len(list) > 0 {
		if b := wire.EncodeFrame(wire.Receipt{Tag: make([]byte, len(chat.RoomTag{})), Statements: list}); len(b) <= courier.MaxPlainReply {
			return b
		}
		list = list[:len(list)-1]
	}
	return nil
}

func decodeReply(b []byte) []wire.Statement {
	if len(b) == 0 {
		return nil
	}
	f, err := wire.DecodeFrame(b)
	if r, ok := f.(wire.Receipt); err == nil && ok {
		return r.Statements
	}
	return nil
}

// ownStatements returns what this device holds and has read of a room by now, as far as
// a person in it may know.
func (c *core) ownStatements(id chat.RoomID, to chat.PersonID) (out []wire.Statement) {
	for _, s := range c.writeReceipts(id, to) {
		out = append(out, wire.Statement{Device: s.Device[:], Kind: uint8(s.Kind), Version: s.Version, Marks: s.Marks, Sig: s.Sig[:]})
	}
	return out
}

// heardStatements takes statements about a room that somebody in it has sealed.
func (c *core) heardStatements(id chat.RoomID, list []wire.Statement) {
	in := receipt.Letter{Room: id}
	for _, w := range list {
		if len(w.Device) != len(chat.DeviceID{}) {
			continue
		}
		if s, ok := statementOf(chat.DeviceID(w.Device), w.Kind, w.Version, w.Marks, w.Sig); ok {
			in.Statements = append(in.Statements, s)
		}
	}
	c.receipt(in)
}
