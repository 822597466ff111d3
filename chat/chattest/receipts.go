package chattest

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/receipt"
)

// This file carries a device's engine of message states, as package node does, and
// looks whether anybody is told of more than is true, or in the end of less.

// keepEach is how often what others say is stored: what a crash takes, they say again.
const keepEach = time.Second

// statementKey names a statement on a disk, where the newest stays.
type statementKey struct {
	room   chat.RoomID
	device chat.DeviceID
	kind   receipt.Kind
}

// listeners is what the engine of message states asks of rooms and people.
type listeners struct{ d *device }

func (l listeners) Shared(with chat.DeviceID) (out []chat.RoomID) {
	for _, id := range l.d.rooms.Rooms() {
		if l.Shares(id, with) {
			out = append(out, id)
		}
	}
	return out
}

func (l listeners) Shares(id chat.RoomID, with chat.DeviceID) bool {
	return l.d.rooms.Sealed(id) && l.d.private.Shares(id, with)
}

func (l listeners) Person(d chat.DeviceID) (chat.PersonID, bool) {
	if d == l.d.id {
		return l.d.person(), true
	}
	return l.d.private.PersonOf(d)
}

func (l listeners) HeldKind(chat.RoomID) receipt.Kind          { return receipt.Held }
func (l listeners) Gives(k receipt.Kind, _ chat.PersonID) bool { return k == receipt.HeldKept }

// startReceipts makes the engine of what the disk holds.
func (d *device) startReceipts() {
	d.keeps = map[statementKey]receipt.Kept{}
	d.receipts = receipt.New(receipt.Config{
		Key: d.key, Person: d.person(), World: listeners{d}, Random: rand.New(rand.NewPCG(d.w.rng.Uint64(), d.w.rng.Uint64())),
	})
	restore := map[chat.RoomID]*receipt.Restore{}
	for _, s := range d.w.sealed {
		restore[s.id] = &receipt.Restore{Room: s.id, Holds: d.disk.held(s.id, d.id), Read: d.disk.readIn(s.id)}
	}
	for _, k := range slices.SortedFunc(maps.Keys(d.disk.statements), compareStatements) {
		if r := restore[k.room]; r != nil {
			r.Statements = append(r.Statements, d.disk.statements[k])
		}
	}
	for _, s := range d.w.sealed {
		d.receipt(*restore[s.id])
	}
}

func compareStatements(a, b statementKey) int {
	return cmp.Or(slices.Compare(a.room[:], b.room[:]), slices.Compare(a.device[:], b.device[:]), cmp.Compare(a.kind, b.kind))
}

// held returns how far the logs of others are held in a room.
func (k *disk) held(id chat.RoomID, self chat.DeviceID) (out []receipt.Mark) {
	for _, l := range k.frontier(id) {
		if seq := k.heldUpTo(l.Log); seq > 0 && l.Device != self {
			out = append(out, receipt.Mark{Log: receipt.PrefixOf(l.Log), Seq: seq})
		}
	}
	return out
}

// heldUpTo returns the entry of a log before the first that is not here, or not with
// what it says for no reason that is known.
func (k *disk) heldUpTo(log chat.LogID) uint64 {
	seq := k.heads[log].Seq
	for _, at := range k.stripped {
		if r := &k.records[at]; r.Entry.Log == log && k.bare(r) {
			seq = min(seq, r.Entry.Seq-1)
		}
	}
	return seq
}

// readIn returns what the person has read in a room.
func (k *disk) readIn(id chat.RoomID) (out []receipt.Mark) {
	for _, l := range k.frontier(id) {
		if seq := k.seen[l.Log]; seq > 0 {
			out = append(out, receipt.Mark{Log: receipt.PrefixOf(l.Log), Seq: seq})
		}
	}
	return out
}

// holds tells the engine of message states what the disk has taken, or will: that is a
// defect.
func (c *change) holds(taken bool) {
	d := c.d
	if taken == d.w.cfg.Boastful {
		return
	}
	for _, s := range d.w.sealed {
		of := map[receipt.LogPrefix]uint64{}
		for i := range c.records {
			if e := &c.records[i].Entry; c.records[i].Room == s.id && e.Device != d.id {
				of[receipt.PrefixOf(e.Log)] = max(of[receipt.PrefixOf(e.Log)], e.Seq)
			}
		}
		if taken && len(d.disk.stripped) > 0 && c.touches(s.id) { // some of it is held only in part, or was
			clear(of)
			for _, m := range d.disk.held(s.id, d.id) {
				of[m.Log] = m.Seq
			}
		}
		if len(of) == 0 {
			continue
		}
		in := receipt.Holds{Room: s.id}
		for log, seq := range of {
			in.Marks = append(in.Marks, receipt.Mark{Log: log, Seq: seq})
		}
		d.receipt(in)
		if d.w.chance(20) {
			d.look(s.id)
		}
	}
}

// touches reports whether a change takes or opens anything of a room.
func (c *change) touches(id chat.RoomID) bool {
	return slices.ContainsFunc(c.records, func(r record) bool { return r.Room == id }) ||
		slices.ContainsFunc(c.filled, func(f filling) bool { return f.room == id }) ||
		len(c.openings) > 0
}

// look has the person read all that is held in a room.
func (d *device) look(id chat.RoomID) {
	in := receipt.Reads{Room: id, Kind: receipt.Read}
	for _, l := range d.disk.frontier(id) {
		if seq := d.disk.heldUpTo(l.Log); seq > d.disk.seen[l.Log] && l.Device != d.id {
			d.disk.seen[l.Log] = seq
			in.Marks = append(in.Marks, receipt.Mark{Log: receipt.PrefixOf(l.Log), Seq: seq})
		}
	}
	if len(in.Marks) > 0 {
		d.receipt(in)
	}
}

// receipt hands an input to the engine of message states and carries out what it wants.
func (d *device) receipt(in receipt.Input) {
	for _, ef := range d.receipts.Handle(d.now(), in) {
		switch ef := ef.(type) {
		case receipt.Tell:
			d.letKnow(ef.To, receipt.Told{From: d.id, Room: ef.Room, Statements: d.boast(ef.Room, ef.Statements), Cover: ef.Cover, Covered: ef.Covered})
		case receipt.Compare:
			if !d.w.cfg.Incomparable {
				d.letKnow(ef.To, receipt.Compared{From: d.id, Sums: ef.Sums})
			}
		case receipt.Ask:
			d.letKnow(ef.To, receipt.Asked{From: d.id, Room: ef.Room, Lines: ef.Lines})
		case receipt.Keep:
			d.keep(ef)
		case receipt.Refuse:
			d.w.blame(d, ef.From, ef.Err)
		}
	}
}

// letKnow sends something about message states to a neighbour: its stream may have no
// room for it, which is known.
func (d *device) letKnow(id chat.DeviceID, in receipt.Input) {
	l := d.w.linkTo(d, id)
	if l == nil {
		return
	}
	if d.w.chance(2) {
		d.w.note("%d does not tell %d how far it is", d.index, l.other(d).index)
		d.w.after(time.Millisecond, l.still(d, func() { d.receipt(receipt.Lost{Device: id}); d.arm() }))
		return
	}
	to := l.other(d)
	l.send(d, func() { to.receipt(in); to.arm() })
}

// keep takes what a device says of itself, which must be true, on its way to the disk.
func (d *device) keep(ef receipt.Keep) {
	by := d.w.byID[ef.Device]
	if by == nil {
		d.w.fail("%d keeps what nobody said", d.index)
		return
	}
	for _, m := range ef.Rose {
		if most := by.disk.upTo(m.Log, ef.Kind); m.Seq > most && !by.liar {
			d.w.fail("%d believes that %d has got to %d of a log, and it never got beyond %d", d.index, by.index, m.Seq, most)
		}
	}
	d.w.note("%d knows how far %d is in %s", d.index, by.index, ef.Room.Short())
	if len(d.keeps) == 0 {
		d.w.after(keepEach, d.alive(func() {
			maps.Copy(d.disk.statements, d.keeps)
			clear(d.keeps)
		}))
	}
	k := statementKey{ef.Room, ef.Device, ef.Kind}
	if d.keeps[k] = ef.Kept; ef.Device == d.id && ef.Kind.Reads() {
		d.disk.statements[k] = ef.Kept
	}
}

// upTo returns how far a log is held or was read.
func (k *disk) upTo(log receipt.LogPrefix, kind receipt.Kind) uint64 {
	for id := range k.heads {
		if receipt.PrefixOf(id) != log {
			continue
		}
		if kind.Reads() {
			return k.seen[id]
		}
		return k.heldUpTo(id)
	}
	return 0
}

// saidRead returns up to where a device has said that its person has read a log.
func (k *disk) saidRead(id chat.RoomID, by chat.DeviceID, log chat.LogID) uint64 {
	marks, err := receipt.DecodeMarks(k.statements[statementKey{id, by, receipt.Read}].Marks)
	if err != nil {
		return 0
	}
	for _, m := range marks {
		if m.Log == receipt.PrefixOf(log) {
			return m.Seq
		}
	}
	return 0
}

// boast has a liar claim of itself what is not true, and of others what they never
// signed.
func (d *device) boast(id chat.RoomID, list []receipt.Statement) []receipt.Statement {
	out := slices.Clone(list)
	for i := range out {
		s := &out[i]
		switch n := 5; {
		case !d.liar:
		case s.Device == d.id && d.w.rng.IntN(n) == 0:
			marks, err := receipt.DecodeMarks(s.Marks)
			if err != nil {
				d.w.fail("%v", err)
			}
			for j := range marks {
				marks[j].Seq += 1000
			}
			*s = receipt.Sign(d.key, id, s.Kind, s.Version+1, receipt.EncodeMarks(marks))
		case d.w.rng.IntN(n) == 0:
			s.Sig = [len(s.Sig)]byte(flip(s.Sig[:], d.w.rng.IntN(1<<16)))
		case d.w.rng.IntN(n) == 0:
			s.Marks = flip(s.Marks, d.w.rng.IntN(1<<16))
		}
	}
	return out
}

// aware looks whether all who are in a sealed room know how far the others hold it, and
// have said that they have read it. What somebody read in the moment of a crash stays
// with them: nobody knows any more whom it may be told.
func (w *world) aware() error {
	for _, s := range w.sealed {
		in := w.taking(s.id)
		for _, by := range in {
			for _, l := range by.disk.frontier(s.id) {
				if l.Device == by.id {
					continue
				}
				held, read := by.disk.heldUpTo(l.Log), by.disk.saidRead(s.id, by.id, l.Log)
				for _, d := range in {
					if got := d.receipts.Holds(s.id, by.id, l.Log); d != by && got != held {
						return fmt.Errorf("device %d believes that %d holds %d of log %s, and it holds %d", d.index, by.index, got, l.Log.Short(), held)
					}
					if got := d.receipts.HasRead(s.id, by.id, l.Log); d != by && got != read {
						return fmt.Errorf("device %d believes that %d has read %d of log %s, and it said %d", d.index, by.index, got, l.Log.Short(), read)
					}
				}
			}
		}
	}
	return nil
}
