package room

import (
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

// This file is about devices whose key is in two places: their logs go on in two ways.
// Each way is a log of its own then, named by its first entry, and what they have in
// common ends where they part (PROTOCOL.md#logs).

// Branch says of what a log is a branch.
type Branch struct {
	Of    chat.LogID   // the log that the headers of its entries name
	After uint64       // the number of the entry that its first one follows
	Prev  chat.EntryID // that entry
}

// Split says that a log goes on in two ways behind an entry that is held. What is held
// behind it becomes a branch.
type Split struct {
	Room  chat.RoomID
	Log   chat.LogID   // which the entry is held in: itself a branch, perhaps
	Seq   uint64       // of the last entry that both ways have in common
	Last  chat.EntryID // its id
	HLC   chat.HLC     // its clock
	First chat.EntryID // the one behind it, as it is held
}

// Forked says that a log's device has signed two entries that contradict each other. If it
// is this device's, it is appended to no more.
type Forked struct {
	Room    chat.RoomID
	Log     chat.LogID
	Nothing bool // is common to them: two first entries
}

// Parted says that a Split was carried out: what was held of Log behind Seq is Branch,
// which ends with End.
type Parted struct {
	Room   chat.RoomID
	Log    chat.LogID
	Seq    uint64
	Branch chat.LogID
	Device chat.DeviceID
	Person chat.PersonID
	End    uint64
}

// Fork says that a device has signed two different entries with one number: its
// key or its disk has been copied. Held is the entry that is held, by its number, and
// Other, which From has brought, contradicts it: it has that number, too, or the
// next one and another predecessor.
type Fork struct {
	Room   chat.RoomID
	Device chat.DeviceID
	Log    chat.LogID
	Held   uint64
	Other  wire.Entry
	From   chat.DeviceID
}

// Recheck says that an entry came whose number is held, below the end of its log. If
// another one is held under it, the log is forked.
type Recheck struct {
	Room  chat.RoomID
	Entry wire.Entry
	From  chat.DeviceID // the neighbour that it came from
}

// Crowded says that a log goes on in more ways than are kept: what came of a further
// one was dropped.
type Crowded struct {
	Room   chat.RoomID
	Device chat.DeviceID
	Log    chat.LogID
}

func (Forked) isInput()   {}
func (Split) isInput()    {}
func (Fork) isEffect()    {}
func (Recheck) isEffect() {}
func (Parted) isEffect()  {}
func (Crowded) isEffect() {}

// fork says that a log's device has signed two entries with one number. Where even the
// first one has two versions nothing is common to them: then the log is frozen.
func (e *Engine) fork(r *state, l *log, held uint64, other *wire.Entry, from chat.DeviceID) []Effect {
	if other.Seq == 1 {
		e.freeze(r, l)
	}
	if l == r.own {
		l.closed, r.own = true, nil
	}
	return []Effect{Fork{Room: r.id, Device: l.Device, Log: l.Log.Log, Held: held, Other: *other, From: from}}
}

// IsForked reports whether a log is known to have two versions, and not yet where they
// part.
func (e *Engine) IsForked(id chat.RoomID, log chat.LogID) bool {
	r := e.rooms[id]
	return r != nil && r.logs[log] != nil && (r.logs[log].frozen || r.logs[log].forked)
}

// Knows reports whether a log of a room is held.
func (e *Engine) Knows(id chat.RoomID, log chat.LogID) bool {
	r := e.rooms[id]
	return r != nil && r.logs[log] != nil
}

// Ways returns the logs that what headers call log is held in: that one, and its
// branches in no order. Nil if nothing of it is held.
func (e *Engine) Ways(id chat.RoomID, log chat.LogID) []chat.LogID {
	r := e.rooms[id]
	if r == nil || r.logs[log] == nil {
		return nil
	}
	out := []chat.LogID{log}
	for _, b := range r.branches[log] {
		out = append(out, b.Log.Log)
	}
	return out
}

// MaySplit reports whether one more way of what headers call log could be held.
func (e *Engine) MaySplit(id chat.RoomID, log chat.LogID) bool {
	r := e.rooms[id]
	return r != nil && r.logs[log] != nil && r.mayBranch(log)
}

func (r *state) mayBranch(of chat.LogID) bool {
	return r.ways(of) < chat.MaxBranches && r.devices[r.logs[of].Device] < chat.MaxLogsPerDevice && len(r.logs) < chat.MaxLogsPerRoom
}

// ways counts the ends of a log: the branches with which no others begin.
func (r *state) ways(of chat.LogID) int {
	n := 0
	for _, l := range r.family(of) {
		if !r.parted(l) {
			n++
		}
	}
	return n
}

// family returns a log and its branches.
func (r *state) family(of chat.LogID) []*log {
	out := make([]*log, 0, 1+len(r.branches[of]))
	if l := r.logs[of]; l != nil {
		out = append(out, l)
	}
	return append(out, r.branches[of]...)
}

// parted reports whether branches follow what is held of a log.
func (r *state) parted(l *log) bool {
	for _, b := range r.branches[l.origin()] {
		if b.Branch.Prev == l.LastID {
			return true
		}
	}
	return false
}

// origin returns the log that the headers of a log's entries name.
func (l *log) origin() chat.LogID {
	if l.Branch != nil {
		return l.Branch.Of
	}
	return l.Log.Log
}

// reach returns how far what headers call log is held in any way.
func (r *state) reach(id chat.LogID) uint64 {
	seq := r.head(id)
	for _, b := range r.branches[id] {
		seq = max(seq, b.Seq)
	}
	return seq
}

func (e *Engine) forked(in Forked) {
	r := e.rooms[in.Room]
	if r == nil || r.logs[in.Log] == nil {
		return
	}
	l := r.logs[in.Log]
	if l.forked = len(r.branches[in.Log]) == 0; l.forked && in.Nothing {
		e.freeze(r, l)
	}
	for _, l := range r.family(in.Log) {
		if l.closed = true; l == r.own {
			r.own = nil
		}
	}
}

// split makes a branch of what is held of a log behind where it parts.
func (e *Engine) split(in Split) []Effect {
	r := e.rooms[in.Room]
	if r == nil || r.logs[in.Log] == nil {
		return nil
	}
	l := r.logs[in.Log]
	if l.frozen || in.Seq == 0 || in.Seq >= l.Seq || l.Branch != nil && in.Seq <= l.Branch.After {
		return nil // it has been done
	}
	of := l.origin()
	tail := &log{Log: l.Log, ref: l.ref, closed: true}
	tail.Log.Log = of.Branch(in.First)
	tail.Branch = &Branch{Of: of, After: in.Seq, Prev: in.Last}
	l.Seq, l.LastID, l.HLC, l.Sort = in.Seq, in.Last, in.HLC, 0
	r.addBranch(tail)
	for at := range r.pending[of] { // catch-up brings it, and says of which way it is
		e.drop(r, of, at)
	}
	r.trail, r.rootValid = nil, false
	if _, fresh := r.fresh[in.Log]; fresh {
		delete(r.fresh, in.Log)
		r.fresh[tail.Log.Log] = struct{}{}
	}
	for _, l := range r.family(of) {
		if l.closed, l.forked = true, false; l == r.own {
			r.own = nil
		}
	}
	r.filled(r.logs[of])
	return []Effect{Parted{
		Room: r.id, Log: in.Log, Seq: in.Seq, Branch: tail.Log.Log, Device: tail.Device, Person: tail.Person, End: tail.Seq,
	}}
}

func (r *state) addBranch(l *log) {
	r.logs[l.Log.Log] = l
	r.branches[l.Branch.Of] = append(r.branches[l.Branch.Of], l)
	r.devices[l.Device]++
	r.people[l.Person]++
}

// receiveBranch takes an entry of a log that has branches: only what is next in one of
// them, since nobody goes on with it.
func (e *Engine) receiveBranch(now time.Time, r *state, w *waiting) []Effect {
	en := &w.entry
	of := en.Log
	inside := false
	for _, l := range r.family(of) {
		switch {
		case en.ID == l.LastID:
			return nil
		case en.Prev == l.LastID && en.Seq == l.Seq+1 && !r.parted(l):
			return e.extendBranch(now, r, w, l)
		case en.Prev == l.LastID && en.Seq == l.Seq+1:
			return e.branch(now, r, w, l)
		}
		inside = inside || en.Seq <= l.Seq
	}
	if inside {
		return []Effect{Recheck{Room: r.id, Entry: *en, From: w.from}}
	}
	return []Effect{Lack{Room: r.id, From: w.from}}
}

// branch begins another branch where others have begun.
func (e *Engine) branch(now time.Time, r *state, w *waiting, trunk *log) []Effect {
	en := &w.entry
	of := trunk.origin()
	id := of.Branch(en.ID)
	if r.logs[id] != nil {
		return nil // it is held
	}
	if !r.mayBranch(of) {
		return []Effect{Crowded{Room: r.id, Device: en.Device, Log: of}}
	}
	l := &log{Log: trunk.Log, ref: trunk.ref, closed: true}
	l.Log.Log = id
	l.Branch = &Branch{Of: of, After: trunk.Seq, Prev: trunk.LastID}
	r.addBranch(l)
	effects := e.extendBranch(now, r, w, l)
	if l.Seq == l.Branch.After { // it was refused
		r.dropBranch(l)
	}
	return effects
}

func (r *state) dropBranch(l *log) {
	delete(r.logs, l.Log.Log)
	r.branches[l.Branch.Of] = slices.DeleteFunc(r.branches[l.Branch.Of], func(b *log) bool { return b == l })
	r.devices[l.Device]--
	r.people[l.Person]--
	r.rootValid = false
}

// extendBranch appends the next entry of a branch, under its name.
func (e *Engine) extendBranch(now time.Time, r *state, w *waiting, l *log) []Effect {
	of := w.entry.Log
	w.entry.Log = l.Log.Log
	rec, ok, bad := e.accept(now, r, w)
	if !ok {
		return bad
	}
	records, more := e.settle(now, r, r.wake(of))
	r.filled(r.logs[of])
	return commit(append([]Record{rec}, records...), more)
}

// freeze stops a log of which nothing is common to two versions.
func (e *Engine) freeze(r *state, l *log) {
	l.frozen, l.closed, r.rootValid = true, true, false
	if l == r.own {
		r.own = nil
	}
	for at := range r.pending[l.Log.Log] {
		e.drop(r, l.Log.Log, at)
	}
	r.filled(l)
}

// Parts reports whether an entry may be of another way than is held of its log: it is of
// one that has branches, or not above the number up to which who sent it was told that it
// is held.
func (e *Engine) Parts(id chat.RoomID, en *wire.Entry, told uint64) bool {
	r := e.rooms[id]
	if r == nil || r.logs[en.Log] == nil || r.logs[en.Log].frozen {
		return false
	}
	return len(r.branches[en.Log]) > 0 || en.Seq <= told && en.Seq <= r.head(en.Log)
}
