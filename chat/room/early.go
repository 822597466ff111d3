package room

import (
	"bytes"
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/content"
	"earshot/chat/wire"
)

// Ahead is a page of entries that are not in the order of their logs: the newest
// ones, and of logs that are not held the first. Their signatures have been
// verified.
type Ahead struct {
	Room    chat.RoomID
	Entries []wire.Entry
	From    chat.DeviceID // the neighbour they came from
}

// Show says: these may be shown now although entries before them in their logs are
// missing. They are no part of what is held: each comes again, in a Commit, when its
// log has reached it.
type Show struct {
	Room    chat.RoomID
	Records []Record
	// Shares are the key shares that came with them, in the order of each log.
	Shares []wire.Entry
}

// Shown says which of a Show's are shown: they are not missing any more. Those that
// can't be read yet are.
type Shown struct {
	Room   chat.RoomID
	Places []Early
}

func (Ahead) isInput() {}
func (Shown) isInput() {}
func (Show) isEffect() {}

// Early is the place of an entry that is shown early.
type Early struct {
	Log    chat.LogID
	Device chat.DeviceID
	Person chat.PersonID
	Seq    uint64
	ID     chat.EntryID
}

type early struct {
	id     chat.EntryID
	device chat.DeviceID
	person chat.PersonID
	since  time.Time
}

// mayShow reports whether an entry can be shown early: it was not, and there is room
// for it beside more others.
func (r *state) mayShow(en *wire.Entry, more int) bool {
	_, was := r.early[en.Log][en.Seq]
	return !was && r.earlies+more < chat.MaxEarly
}

// noteEarly remembers an entry that is shown early.
func (r *state) noteEarly(now time.Time, at Early) {
	if _, was := r.early[at.Log][at.Seq]; was || r.earlies >= chat.MaxEarly || r.head(at.Log) >= at.Seq || len(r.branches[at.Log]) > 0 {
		return
	}
	if r.early[at.Log] == nil {
		r.early[at.Log] = map[uint64]early{}
	}
	r.early[at.Log][at.Seq] = early{at.ID, at.Device, at.Person, now}
	r.earlies++
}

// shown notes what is shown early.
func (e *Engine) shown(now time.Time, in Shown) {
	if r := e.rooms[in.Room]; r != nil && r.entered {
		for _, at := range in.Places {
			r.noteEarly(now, at)
		}
	}
}

// ahead takes a page out of order. Each entry has to stand as it would in its place,
// but for its predecessor.
func (e *Engine) ahead(now time.Time, in Ahead) []Effect {
	r := e.rooms[in.Room]
	if r == nil || !r.entered {
		return nil
	}
	show := Show{Room: r.id}
	opened := map[chat.LogID]Log{}
	names := map[chat.LogID]string{} // in an open room
	for i := range in.Entries {
		en := &in.Entries[i]
		if en.Ref != r.id.Ref(en.Log) {
			return refuse(in.From, "an entry of one room under the tag of another")
		}
		if en.HLC > chat.HLCOf(now.Add(chat.MaxFarFuture)) {
			continue // it may have been taken a little earlier by a clock ahead of ours
		}
		if en.Seq == 1 {
			if l, name, ok := e.wouldOpen(r, en); ok {
				opened[en.Log], names[en.Log] = l, name
			}
			continue
		}
		l, ok := opened[en.Log]
		if held := r.logs[en.Log]; held != nil {
			l, ok = held.Log, !held.frozen && len(r.branches[en.Log]) == 0
		}
		if !ok || l.Device != en.Device || en.Seq <= l.Seq || en.HLC <= l.HLC {
			continue
		}
		switch en.Kind {
		case wire.KindKeyShare:
			show.Shares = append(show.Shares, *en)
		case wire.KindMessage:
			if rec, ok := e.early(now, r, en, l.Person); ok && r.mayShow(en, len(show.Records)) {
				rec.Name = names[en.Log]
				show.Records = append(show.Records, rec)
			}
		}
	}
	if len(show.Records) == 0 {
		return nil
	}
	slices.SortStableFunc(show.Shares, func(a, b wire.Entry) int {
		if c := bytes.Compare(a.Log[:], b.Log[:]); c != 0 {
			return c
		}
		return int(int64(a.Seq) - int64(b.Seq))
	})
	return []Effect{show}
}

// wouldOpen returns the log that a first entry would open here now, and the name that
// its author goes by in an open room.
func (e *Engine) wouldOpen(r *state, en *wire.Entry) (Log, string, bool) {
	if r.logs[en.Log] != nil || r.devices[en.Device] >= chat.MaxLogsPerDevice || len(r.logs) >= chat.MaxLogsPerRoom {
		return Log{}, "", false
	}
	open, person, err := e.opening(en)
	if err != nil || !e.mayOpen(r, person) {
		return Log{}, "", false
	}
	name := ""
	if !r.sealed {
		name = chat.CleanName(open.Name)
	}
	return Log{Log: en.Log, Device: en.Device, Person: person, Seq: 1, HLC: en.HLC}, name, true
}

// early returns the record of a message that is shown before its turn.
func (e *Engine) early(now time.Time, r *state, en *wire.Entry, who chat.PersonID) (Record, bool) {
	rec := Record{Room: r.id, Entry: *en, Person: who, ReceivedAt: now, Sort: en.HLC}
	if ahead(en.HLC, now) {
		rec.Sort = chat.HLCOf(now)
	}
	if en.Payload == nil {
		return rec, false
	}
	if !r.sealed {
		var err error
		if rec.Said, err = content.Read(en.Kind, en.Payload); err != nil {
			return rec, false // refused when its turn comes
		}
	}
	return rec, true
}

// showWaiting shows what has waited for its predecessor as long as it should.
func (e *Engine) showWaiting(now time.Time, r *state) []Effect {
	show := Show{Room: r.id}
	for _, id := range sorted(r.pending) {
		l := r.logs[id]
		if l == nil || l.frozen {
			continue
		}
		for _, at := range sortedSlots(r.pending[id]) {
			w := r.pending[id][at]
			if at.device != l.Device {
				continue
			}
			if w.entry.Kind == wire.KindKeyShare {
				show.Shares = append(show.Shares, w.entry)
			}
			if w.shown || now.Sub(w.since) < chat.HoldDeps || w.entry.Kind != wire.KindMessage || !r.mayShow(&w.entry, len(show.Records)) {
				continue
			}
			w.shown = true
			r.pending[id][at] = w
			if rec, ok := e.early(now, r, &w.entry, l.Person); ok {
				show.Records = append(show.Records, rec)
			}
		}
	}
	if len(show.Records) == 0 {
		return nil
	}
	return []Effect{show}
}

func sortedSlots(m map[slot]waiting) []slot {
	out := make([]slot, 0, len(m))
	for at := range m {
		out = append(out, at)
	}
	slices.SortFunc(out, func(a, b slot) int {
		if a.seq != b.seq {
			return int(int64(a.seq) - int64(b.seq))
		}
		return bytes.Compare(a.device[:], b.device[:])
	})
	return out
}
