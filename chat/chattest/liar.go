package chattest

import (
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/room"
	"earshot/chat/wire"
)

// A liar runs honest engines and twists what they say on its way out: it claims to
// hold what it does not, withholds, alters, goes silent, and floods others with
// entries that wait for what never comes. What it says under its own key in the
// regular way is true.

// silence is how long a session waits for a frame.
const silence = 30 * time.Second

// lie twists a frame; false swallows it.
func (d *device) lie(f wire.Frame) (wire.Frame, bool) {
	if !d.liar {
		return f, true
	}
	rng := d.w.rng
	switch g := f.(type) {
	case wire.Have:
		g.Rooms = d.lieRoots(g.Rooms)
		return g, true
	case wire.Compare:
		g.Rooms = d.lieRoots(g.Rooms)
		return g, rng.IntN(20) > 0
	case wire.Frontier:
		var logs []wire.LogHead
		for _, l := range g.Logs {
			switch rng.IntN(6) {
			case 0: // claims more than there is
				l.Seq = min(l.Seq+1+rng.Uint64N(1000), wire.MaxSeq)
			case 1: // not to know the log
				continue
			case 2: // what can't be
				l.Seq *= rng.Uint64N(2)
			}
			logs = append(logs, l)
		}
		g.Logs = logs
		return g, true
	case wire.Entries:
		g.Entries = slices.Clone(g.Entries)
		at := rng.IntN(len(g.Entries))
		e := &g.Entries[at]
		switch rng.IntN(10) {
		case 0, 1: // withholds one
			g.Entries = slices.Delete(g.Entries, at, at+1)
		case 2:
			e.Payload = flip(e.Payload, rng.IntN(1<<16))
		case 3:
			e.Sig = flip(e.Sig, rng.IntN(1<<16))
		case 5, 6: // takes away what somebody said
			if whole, err := wire.DecodeEntry(e.Head, e.Sig, e.Payload); err == nil && whole.Kind.Removable() {
				e.Payload = nil
			}
		case 4:
			e.Head = flip(e.Head, rng.IntN(1<<16))
		}
		return g, len(g.Entries) > 0
	case wire.Payloads: // has nothing of it
		return g, rng.IntN(2) == 0
	}
	return f, true
}

func (d *device) lieRoots(rooms []wire.RoomRoot) []wire.RoomRoot {
	out := slices.Clone(rooms)
	for i := range out {
		if d.w.rng.IntN(3) == 0 {
			out[i].Root = flip(out[i].Root, d.w.rng.IntN(1<<16))
		}
	}
	return out
}

// flip returns b with one bit of it flipped.
func flip(b []byte, at int) []byte {
	out := slices.Clone(b)
	if len(out) > 0 {
		out[at/8%len(out)] ^= 1 << (at % 8)
	}
	return out
}

// twist alters an entry on the live path.
func (d *device) twist(e wire.Entry) wire.Entry {
	if !d.liar {
		return e
	}
	switch d.w.rng.IntN(5) {
	case 0:
		e.Sig = [len(e.Sig)]byte(flip(e.Sig[:], d.w.rng.IntN(1<<16)))
	case 1:
		e.Payload = flip(e.Payload, d.w.rng.IntN(1<<16))
	}
	return e
}

// genuine checks an entry that came from a neighbour as a node does before its engines
// see it.
func (d *device) genuine(e *wire.Entry, from *device) bool {
	if !from.liar || d.w.cfg.Gullible {
		return true // its engines have let it in by the same check
	}
	whole, err := wire.DecodeEntry(e.Head, e.Sig[:], e.Payload)
	if err == nil {
		err = whole.Verify()
	}
	if err != nil {
		d.w.note("%d refuses what %d says", d.index, from.index)
	}
	return err == nil
}

// blame fails the run unless a liar is to blame, or may be where nobody is.
func (w *world) blame(d *device, guilty chat.DeviceID, err error) {
	if g := w.byID[guilty]; g != nil && g.liar || guilty.IsZero() && w.cfg.Liar {
		w.note("%d blames the liar", d.index)
		return
	}
	w.fail("%d refuses: %v", d.index, err)
}

// besiege sends the neighbours entries in the liar's name that wait for others which do
// not exist, more than a room may keep.
func (d *device) besiege() {
	if !d.up || d.w.calm {
		return
	}
	rng := d.w.rng
	var salt [wire.SaltSize]byte
	salt[0], salt[1] = byte(rng.Uint32()), byte(rng.Uint32())
	log := chat.NewLogID(d.id, salt[:])
	n := []int{3, 50, chat.MaxPending + 100}[rng.IntN(3)]
	d.w.note("%d besieges the others with %d entries", d.index, n)
	for i := range n {
		h := wire.Header{
			Log: log, Ref: lobby.Ref(log), Seq: 2 + rng.Uint64N(1_000_000), Prev: chat.EntryID{1, byte(i), byte(i >> 8)},
			HLC: chat.HLCOf(d.now()), Kind: wire.KindMessage,
		}
		if other := d.w.anyDevice(); other.up && rng.IntN(2) == 0 {
			if logs := other.rooms.Frontier(lobby); len(logs) > 0 && logs[0].Log != log {
				h.Deps = []wire.Dep{{Log: logs[0].Log, Seq: logs[0].Seq + 1 + rng.Uint64N(1000)}}
			}
		}
		e, err := wire.Sign(d.key, h, wire.Marshal(wire.Message{Text: "nothing"}))
		if err != nil {
			d.w.fail("the liar can't sign: %v", err)
			return
		}
		for _, l := range d.links {
			if l.up {
				to := l.other(d)
				d.w.after(d.w.between(time.Millisecond, time.Second), l.still(to, func() {
					to.receive(room.Receive{Room: lobby, Entry: e, From: d.id})
				}))
			}
		}
	}
}

// mute ends a session in which the liar does not answer.
func (s *session) mute() {
	s.l.w.after(silence, func() {
		s.end(0, true)
		s.end(1, true)
	})
}

// breakOff ends a session whose other side does not keep to the protocol.
func (s *session) breakOff(d, other *device, err error) {
	if !other.liar {
		s.l.w.fail("%d breaks off: %v", d.index, err)
		return
	}
	s.l.w.note("%d breaks off with the liar", d.index)
	s.end(0, true)
	s.end(1, true)
}
