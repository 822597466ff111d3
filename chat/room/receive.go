package room

import (
	"time"

	"earshot/chat"
	"earshot/chat/content"
	"earshot/chat/wire"
)

// receive takes an entry from a neighbour: held already, next in its log, or
// waiting for what comes before it.
func (e *Engine) receive(now time.Time, in Receive) []Effect {
	r := e.rooms[in.Room]
	if r == nil || !r.entered {
		return nil
	}
	w := waiting{entry: in.Entry, from: in.From, since: now, solicited: in.Solicited}
	en := &w.entry
	l := r.logs[en.Log]
	if en.Ref != r.ref(l, en.Log) {
		var guilty chat.DeviceID // whoever put the tag on it, which nobody signed
		if in.Solicited {
			guilty = in.From
		}
		return refuse(guilty, "an entry of one room under the tag of another")
	}
	if en.HLC > chat.HLCOf(now.Add(chat.MaxFarFuture)) {
		// A relay whose clock is a little ahead of ours took it honestly.
		var guilty chat.DeviceID
		if in.From == en.Device || en.HLC > chat.HLCOf(now.Add(2*chat.MaxFarFuture)) {
			guilty = in.From
		}
		return refuse(guilty, "an entry from the far future")
	}
	switch {
	case l == nil && r.isBarred(en):
		return nil
	case l == nil:
		if r.devices[en.Device] >= chat.MaxLogsPerDevice || len(r.logs) >= chat.MaxLogsPerRoom {
			return nil
		}
	case l.Device != en.Device:
		return refuse(w.guilty(), "an entry in another device's log")
	case l.frozen:
		return nil
	case len(r.branches[en.Log]) > 0:
		return e.receiveBranch(now, r, &w)
	case en.Seq == l.Seq && en.ID != l.LastID:
		return e.fork(r, l, l.Seq, en, in.From)
	case en.Seq < l.Seq:
		return []Effect{Recheck{Room: r.id, Entry: *en, From: in.From}}
	case en.Seq == l.Seq:
		return nil
	case l == r.own:
		// Others hold more of our log than we do: what was here is lost. What
		// they have is ours and welcome, but no number may be used twice.
		l.closed, r.own = true, nil
	}
	// An entry that opens a log shows nothing, and does not wait for causes.
	if en.Seq == r.head(en.Log)+1 && (w.solicited || l == nil || r.caused(en)) {
		return e.extend(now, r, &w)
	}
	held := e.hold(r, w)
	switch {
	case held && l != nil && en.Seq == l.Seq+1:
		r.await(en)
	case held: // its author has signed that there are those before it
		r.claim(now, en.Log, en.Device, claim{seq: en.Seq, entry: en.ID})
	}
	return []Effect{Lack{Room: r.id, From: in.From}}
}

// ref returns what the entries of a log must carry as their room.
func (r *state) ref(l *log, id chat.LogID) chat.RoomRef {
	if l != nil {
		return l.ref
	}
	return r.id.Ref(id)
}

// extend appends an entry that is next in its log, and what waited for it.
func (e *Engine) extend(now time.Time, r *state, w *waiting) []Effect {
	en := &w.entry
	rec, ok, effects := e.accept(now, r, w)
	if !ok {
		return effects
	}
	at := slot{device: en.Device, seq: en.Seq}
	if copied, ok := r.pending[en.Log][at]; ok {
		e.drop(r, en.Log, at)
		if copied.entry.ID != en.ID {
			effects = e.fork(r, r.logs[en.Log], en.Seq, &copied.entry, copied.from)
		}
	}
	records, more := e.settle(now, r, append(r.wake(en.Log), en.Log))
	return commit(append([]Record{rec}, records...), append(effects, more...))
}

// tick lets go of entries that have waited long enough for their causes, and
// forgets those whose predecessor does not come.
func (e *Engine) tick(now time.Time) []Effect {
	var out []Effect
	for _, id := range e.Rooms() {
		r := e.rooms[id]
		if r.count == 0 {
			continue
		}
		clear(r.blocked) // settle writes it anew, without what has been dropped
		out = append(out, commit(e.settle(now, r, sorted(r.pending)))...)
		out = append(out, e.showWaiting(now, r)...)
		for id, waits := range r.pending {
			for at, w := range waits {
				if now.Sub(w.since) > staleAfter {
					e.drop(r, id, at)
				}
			}
		}
	}
	return out
}

// staleAfter bounds how long an entry waits for its predecessor (guess: catch-up
// fills a gap within seconds and brings the entry again, or its holder has left).
const staleAfter = time.Minute

func commit(records []Record, effects []Effect) []Effect {
	if len(records) == 0 {
		return effects
	}
	return append([]Effect{Commit{Records: records}}, effects...)
}

// settle moves what can be moved from pending to the logs, starting with the
// logs in queue, until nothing moves.
func (e *Engine) settle(now time.Time, r *state, queue []chat.LogID) (records []Record, effects []Effect) {
	for ; len(queue) > 0; queue = queue[1:] {
		id := queue[0]
		for {
			l := r.logs[id]
			if l == nil {
				break
			}
			at := slot{device: l.Device, seq: l.Seq + 1}
			w, ok := r.pending[id][at]
			if !ok {
				break
			}
			patient := !w.solicited && now.Sub(w.since) < chat.HoldDeps
			if patient && !r.caused(&w.entry) {
				r.await(&w.entry)
				break
			}
			e.drop(r, id, at)
			rec, ok, bad := e.accept(now, r, &w)
			if !ok {
				effects = append(effects, bad...)
				break
			}
			records = append(records, rec)
			queue = append(queue, r.wake(id)...)
		}
	}
	return records, effects
}

// accept appends the next entry of a log, or does not and says what is wrong with it
// (PROTOCOL.md#logs).
func (e *Engine) accept(now time.Time, r *state, w *waiting) (rec Record, ok bool, bad []Effect) {
	en := &w.entry
	rec = Record{Room: r.id, Entry: *en, ReceivedAt: now, Sort: en.HLC}
	l := r.logs[en.Log]
	if ahead(en.HLC, now) {
		rec.Sort = chat.HLCOf(now)
	}
	if l != nil {
		rec.Sort = max(rec.Sort, l.Sort) // never before its predecessor
	}
	switch {
	case l == nil:
		return e.begin(now, r, w, rec)
	case en.Prev != l.LastID:
		return rec, false, e.fork(r, l, l.Seq, en, w.from)
	case en.HLC <= l.HLC:
		return rec, false, refuse(w.guilty(), "an entry older than the one before it")
	}
	switch {
	case en.Payload == nil && !en.Kind.Removable():
		return rec, false, refuse(w.guilty(), "an entry without its content, which nobody removes")
	case en.Payload == nil: // removed: there is nothing to show
	case r.sealed: // what it says is not for this engine
	case en.Kind == wire.KindProfile:
		p, err := wire.DecodeProfile(en.Payload)
		if err != nil {
			return rec, false, []Effect{Refuse{From: w.guilty(), Err: err}}
		}
		rec.Name = chat.CleanName(p.Name)
	default:
		var err error
		if rec.Said, err = content.Read(en.Kind, en.Payload); err != nil {
			return rec, false, []Effect{Refuse{From: w.guilty(), Err: err}}
		}
	}
	rec.Person = l.Person
	r.claimDeps(now, en)
	r.advance(l, en, rec.Sort, now)
	return rec, true, nil
}

// begin opens a log with its first entry, which proves whose it is.
func (e *Engine) begin(now time.Time, r *state, w *waiting, rec Record) (Record, bool, []Effect) {
	en := &w.entry
	open, person, err := e.opening(en)
	if err != nil {
		return rec, false, []Effect{Refuse{From: w.guilty(), Err: err}}
	}
	if !e.mayOpen(r, person) {
		e.bar(r, en.Log)
		return rec, false, nil
	}
	delete(r.barred, en.Log)
	l := &log{Log: Log{Log: en.Log, Device: en.Device, Person: person}, ref: en.Ref}
	r.logs[en.Log] = l
	r.devices[en.Device]++
	r.people[person]++
	for at := range r.pending[en.Log] {
		if at.device != en.Device { // squatters, who could not be told before
			e.drop(r, en.Log, at)
		}
	}
	rec.Person = person
	if !r.sealed {
		rec.Name = chat.CleanName(open.Name)
	}
	r.advance(l, en, rec.Sort, now)
	return rec, true, nil
}

// opening reads the first entry of a log, and whose log that is.
func (e *Engine) opening(en *wire.Entry) (open wire.Open, person chat.PersonID, err error) {
	if open, err = wire.DecodeOpen(en.Payload); err != nil {
		return open, person, err
	}
	if chat.NewLogID(en.Device, open.Salt) != en.Log {
		return open, person, refused("a log under a name that is not its own")
	}
	person, device, err := e.cfg.Certifier(open.Certificate)
	if err != nil || device != en.Device {
		return open, person, refused("a log whose certificate is not its author's")
	}
	return open, person, nil
}

// mayOpen reports whether a person may open one more log. A member can certify any
// number of devices; in an open room persons are free, too.
func (e *Engine) mayOpen(r *state, who chat.PersonID) bool {
	return !r.sealed || r.people[who] < chat.MaxLogsPerPerson && (e.cfg.Writer == nil || e.cfg.Writer(r.id, who))
}

// bar notes that a log's author may not write here now, and forgets what came of it
// before its first entry.
func (e *Engine) bar(r *state, id chat.LogID) {
	if len(r.barred) < chat.MaxLogsPerRoom {
		r.barred[id] = struct{}{}
	}
	for at := range r.pending[id] {
		e.drop(r, id, at)
	}
}

// isBarred reports whether an entry follows a first one that was not taken. The
// first itself is looked at anew each time: its author may be a member by now.
func (r *state) isBarred(en *wire.Entry) bool {
	_, barred := r.barred[en.Log]
	return barred && en.Seq > 1
}

// hold puts an entry among those that wait; false if there is no room for it.
func (e *Engine) hold(r *state, w waiting) bool {
	id, at := w.entry.Log, slot{device: w.entry.Device, seq: w.entry.Seq}
	if old, ok := r.pending[id][at]; ok {
		// The same again; a solicited copy frees it from waiting for causes.
		if w.solicited && !old.solicited && old.entry.ID == w.entry.ID {
			old.solicited = true
			r.pending[id][at] = old
		}
		return true
	}
	if r.count >= chat.MaxPending || e.pendingBytes+w.size() > chat.MaxPendingBytes {
		return false
	}
	if r.pending[id] == nil {
		r.pending[id] = map[slot]waiting{}
	}
	r.pending[id][at] = w
	r.count++
	e.pendingBytes += w.size()
	return true
}

func (e *Engine) drop(r *state, id chat.LogID, at slot) {
	w := r.pending[id][at]
	delete(r.pending[id], at)
	if len(r.pending[id]) == 0 {
		delete(r.pending, id)
	}
	r.count--
	e.pendingBytes -= w.size()
}

func (w *waiting) size() int { return len(w.entry.Head) + len(w.entry.Payload) }

// guilty returns whom to blame for a fault that can be seen only by who holds the
// log: a neighbour that had it in its store, or the author, who signed it; but
// not a neighbour that merely relayed it.
func (w *waiting) guilty() chat.DeviceID {
	if w.solicited {
		return w.from
	}
	return w.entry.Device
}

// missing returns the first log that has not moved as far as the entry's author
// had seen.
func (r *state) missing(en *wire.Entry) (chat.LogID, bool) {
	for _, d := range en.Deps {
		if r.reach(d.Log) < d.Seq {
			return d.Log, true
		}
	}
	return chat.LogID{}, false
}

// caused reports whether everything the entry names as seen is held.
func (r *state) caused(en *wire.Entry) bool {
	_, lacks := r.missing(en)
	return !lacks
}

// await notes that an entry's log waits for another to move.
func (r *state) await(en *wire.Entry) {
	on, lacks := r.missing(en)
	if !lacks {
		return
	}
	if r.blocked[on] == nil {
		r.blocked[on] = map[chat.LogID]struct{}{}
	}
	r.blocked[on][en.Log] = struct{}{}
}

// wake returns, in a stable order, the logs that wait for id, which has moved.
func (r *state) wake(id chat.LogID) []chat.LogID {
	if len(r.blocked[id]) == 0 {
		return nil
	}
	out := sorted(r.blocked[id])
	delete(r.blocked, id)
	return out
}

func refuse(guilty chat.DeviceID, what string) []Effect {
	return []Effect{Refuse{From: guilty, Err: refused(what)}}
}

func refused(what string) error {
	return chat.Errorf(chat.CodeInvalid, "A device passed on %s. It was refused; nothing needs to be done.", what)
}
