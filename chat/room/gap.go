package room

import (
	"bytes"
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

// Gap is what is missing of one log, by what is signed: entries that are here and
// follow it in the log, or name it as seen. What a neighbour merely claims to hold
// makes no gap.
type Gap struct {
	Log    chat.LogID
	Device chat.DeviceID // its author; zero if that is not known
	Person chat.PersonID // likewise
	Have   uint64        // held up to here without a hole
	Want   uint64        // the highest number that is known to have been used
	// Count is how many of those between are not here: neither waiting nor shown
	// early.
	Count uint64
	// Before is the first entry shown that stands after them; zero for none.
	Before chat.EntryID
	Since  time.Time // when it was first known
}

// Settled says that a device has shown, in a session that began at Began, all that
// it holds of a room. What it had signed to be there before then, and could not
// show, is not believed any more.
type Settled struct {
	Room   chat.RoomID
	Device chat.DeviceID
	Began  time.Time
}

// Recall says what stored entries name as seen and is not here: at start.
type Recall struct {
	Room   chat.RoomID
	Claims []Claim
}

// Claim is an entry's word that a log goes further than it does here.
type Claim struct {
	Log   chat.LogID
	Seq   uint64
	By    chat.DeviceID // who signed it
	Entry chat.EntryID  // the message that says so; zero if it is none
}

func (Settled) isInput() {}
func (Recall) isInput()  {}

// claim is a Claim as it is kept.
type claim struct {
	seq   uint64
	entry chat.EntryID // which says so
	shown bool         // that one can be read: the gap stands before it
	since time.Time
}

// claims are those about one log, by the device that signed them.
type claims map[chat.DeviceID]claim

// claim notes that an entry by a device says that a log goes up to seq. Bounded:
// past MaxClaims in a room, or MaxClaimsOf of one device, it is not noted.
func (r *state) claim(now time.Time, log chat.LogID, by chat.DeviceID, c claim) {
	if l := r.logs[log]; l != nil && (r.reach(log) >= c.seq || l.frozen) {
		return
	}
	of := r.claims[log]
	if old, ok := of[by]; ok {
		if old.seq < c.seq {
			c.since = old.since
			of[by] = c
		}
		return
	}
	if r.claimed >= chat.MaxClaims || r.claimedBy[by] >= chat.MaxClaimsOf {
		return
	}
	if of == nil {
		of = claims{}
		r.claims[log] = of
	}
	c.since = now
	of[by] = c
	r.claimed++
	r.claimedBy[by]++
}

// claimDeps notes what an entry that is shown names as seen and is not here.
func (r *state) claimDeps(now time.Time, en *wire.Entry) {
	for _, d := range en.Deps {
		if r.reach(d.Log) < d.Seq {
			r.claim(now, d.Log, en.Device, claim{seq: d.Seq, entry: en.ID, shown: en.Kind == wire.KindMessage})
		}
	}
}

func (r *state) unclaim(log chat.LogID, by chat.DeviceID) {
	of := r.claims[log]
	if delete(of, by); len(of) == 0 {
		delete(r.claims, log)
	}
	r.claimed--
	if r.claimedBy[by]--; r.claimedBy[by] == 0 {
		delete(r.claimedBy, by)
	}
}

// filled forgets what was missing of a log that has moved.
func (r *state) filled(l *log) {
	id := l.Log.Log
	parted := len(r.branches[id]) > 0 // which way an early one is of is not known
	for by, c := range r.claims[id] {
		if c.seq <= r.reach(id) || l.frozen {
			r.unclaim(id, by)
		}
	}
	if of := r.early[id]; of != nil {
		for seq := range of {
			if seq <= l.Seq || parted {
				delete(of, seq)
				r.earlies--
			}
		}
		if len(of) == 0 {
			delete(r.early, id)
		}
	}
}

// recall notes what stored entries say to be missing.
func (e *Engine) recall(now time.Time, in Recall) {
	r := e.rooms[in.Room]
	if r == nil || !r.entered {
		return
	}
	for _, c := range in.Claims {
		r.claim(now, c.Log, c.By, claim{seq: c.Seq, entry: c.Entry, shown: !c.Entry.IsZero()})
	}
}

// settled drops the claims of a device that could not show what it had seen.
func (e *Engine) settled(in Settled) {
	r := e.rooms[in.Room]
	if r == nil || r.claimedBy[in.Device] == 0 {
		return
	}
	for _, log := range sorted(r.claims) {
		if c, ok := r.claims[log][in.Device]; ok && c.since.Before(in.Began) {
			r.unclaim(log, in.Device)
		}
	}
}

// Gaps returns what is known to be missing of a room, in ascending order of log.
func (e *Engine) Gaps(id chat.RoomID) []Gap {
	r := e.rooms[id]
	if r == nil || !r.entered {
		return nil
	}
	var out []Gap
	for _, log := range r.uneven() {
		if g, ok := r.gap(log); ok {
			out = append(out, g)
		}
	}
	return out
}

// Uneven reports whether something may be missing of any room.
func (e *Engine) Uneven() bool {
	for _, r := range e.rooms {
		if r.entered && r.claimed+r.earlies > 0 {
			return true
		}
	}
	return false
}

// uneven returns the logs of which something may be missing, ascending.
func (r *state) uneven() []chat.LogID {
	logs := make(map[chat.LogID]struct{}, len(r.claims)+len(r.early))
	for id := range r.claims {
		logs[id] = struct{}{}
	}
	for id := range r.early {
		logs[id] = struct{}{}
	}
	return sorted(logs)
}

func (r *state) gap(id chat.LogID) (Gap, bool) {
	g := Gap{Log: id}
	if l := r.logs[id]; l != nil {
		if l.frozen {
			return g, false
		}
		g.Device, g.Person, g.Have = l.Device, l.Person, r.reach(id)
	}
	var first *claim // the lowest that can be read
	for _, by := range sortedDevices(r.claims[id]) {
		c := r.claims[id][by]
		g.Want = max(g.Want, c.seq)
		if g.Since.IsZero() || c.since.Before(g.Since) {
			g.Since = c.since
		}
		if c.shown && (first == nil || c.seq < first.seq) {
			first = &c
		}
	}
	if first != nil {
		g.Before = first.entry
	}
	here := make(map[uint64]struct{}, len(r.early[id])+len(r.pending[id]))
	lowest := uint64(0)
	for seq, en := range r.early[id] {
		here[seq] = struct{}{}
		g.Want = max(g.Want, seq)
		if lowest == 0 || seq < lowest {
			lowest, g.Before = seq, en.id
		}
		if g.Device.IsZero() {
			g.Device, g.Person = en.device, en.person
		}
		if g.Since.IsZero() || en.since.Before(g.Since) {
			g.Since = en.since
		}
	}
	if g.Device.IsZero() { // nobody but its author numbers what waits
		g.Device = r.writer(id)
	}
	for at := range r.pending[id] {
		if at.device == g.Device {
			here[at.seq] = struct{}{}
		}
	}
	if g.Want <= g.Have {
		return g, false
	}
	g.Count = g.Want - g.Have
	for seq := range here {
		if seq > g.Have && seq <= g.Want {
			g.Count--
		}
	}
	return g, g.Count > 0
}

// writer returns who seems to write a log that is not open here: the one device that
// has signed an entry of it, zero if there is none or several.
func (r *state) writer(id chat.LogID) (d chat.DeviceID) {
	for at := range r.pending[id] {
		switch {
		case d.IsZero():
			d = at.device
		case d != at.device:
			return chat.DeviceID{}
		}
	}
	return d
}

func sortedDevices(m claims) []chat.DeviceID {
	out := make([]chat.DeviceID, 0, len(m))
	for d := range m {
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b chat.DeviceID) int { return bytes.Compare(a[:], b[:]) })
	return out
}

// WaitingSince returns when that came which has waited longest for a predecessor or
// a cause; zero if nothing waits.
func (e *Engine) WaitingSince(id chat.RoomID) (oldest time.Time) {
	r := e.rooms[id]
	if r == nil || r.count == 0 {
		return oldest
	}
	for _, waits := range r.pending {
		for _, w := range waits {
			if oldest.IsZero() || w.since.Before(oldest) {
				oldest = w.since
			}
		}
	}
	return oldest
}
