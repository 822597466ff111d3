package room

import (
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

// receive takes an entry from a neighbour: held already, next in its log, or
// waiting for what comes before it.
func (e *Engine) receive(now time.Time, in Receive) []Effect {
	r := e.rooms[in.Room]
	if r == nil || !r.entered {
		return nil
	}
	en := &in.Entry
	if en.Ref != r.id.Ref(en.Log) {
		return refuse(in.From, "an entry of one room under the tag of another")
	}
	if en.HLC > chat.HLCOf(now.Add(chat.MaxFarFuture)) {
		return refuse(in.From, "an entry from the far future")
	}
	l := r.logs[en.Log]
	if l != nil {
		switch {
		case l.Device != en.Device:
			return refuse(in.From, "an entry in another device's log")
		case l.frozen:
			return nil
		case en.Seq == l.Seq && en.ID != l.LastID:
			return r.freeze(l)
		case en.Seq <= l.Seq:
			return nil
		}
	} else if r.devices[en.Device] >= chat.MaxLogsPerDevice || len(r.logs) >= chat.MaxLogsPerRoom {
		return nil
	}
	if en.Device == e.device && l == r.own && r.own != nil {
		// Others hold more of our log than we do: what was here is lost. What
		// they have is ours and welcome, but the log is theirs to end.
		r.own = nil
	}
	if !e.hold(r, waiting{entry: in.Entry, from: in.From, since: now, solicited: in.Solicited}) {
		return []Effect{Lack{Room: r.id, From: in.From}}
	}
	effects := e.settle(now, r, []chat.LogID{en.Log}, false)
	if _, still := r.pending[en.Log][en.Seq]; still {
		effects = append(effects, Lack{Room: r.id, From: in.From})
	}
	return effects
}

// tick lets go of entries that have waited long enough for their causes.
func (e *Engine) tick(now time.Time) []Effect {
	var out []Effect
	for _, id := range e.Rooms() {
		r := e.rooms[id]
		if r.count > 0 {
			clear(r.blocked) // settle writes it anew, without what has been dropped
			out = append(out, e.settle(now, r, keys(r.pending), true)...)
		}
	}
	return out
}

// settle moves what can be moved from pending to the logs, starting with the
// logs in queue, until nothing moves. With expire it also gives up on causes that
// have not come in time.
func (e *Engine) settle(now time.Time, r *state, queue []chat.LogID, expire bool) []Effect {
	var records []Record
	var effects []Effect
	for len(queue) > 0 {
		id := queue[0]
		queue = queue[1:]
		for {
			w, ok := r.pending[id][r.head(id)+1]
			if !ok {
				break
			}
			patient := !w.solicited && now.Sub(w.since) < chat.HoldDeps
			if patient && !r.caused(&w.entry) {
				break
			}
			e.drop(r, id, w.entry.Seq)
			rec, bad := e.accept(now, r, &w)
			if bad != nil {
				effects = append(effects, bad...)
				break
			}
			records = append(records, rec)
			for _, other := range keys(r.blocked[id]) {
				queue = append(queue, other)
			}
			delete(r.blocked, id)
		}
		if expire && len(r.pending[id]) > 0 {
			e.forgetStale(now, r, id)
		}
	}
	if len(records) > 0 {
		effects = append([]Effect{Commit{Records: records}}, effects...)
	}
	return effects
}

// accept appends the next entry of a log, or says what is wrong with it.
func (e *Engine) accept(now time.Time, r *state, w *waiting) (Record, []Effect) {
	en := &w.entry
	l := r.logs[en.Log]
	rec := Record{Room: r.id, Entry: *en, ReceivedAt: now, Sort: en.HLC}
	if en.HLC > chat.HLCOf(now.Add(chat.MaxFuture)) {
		rec.Sort = chat.HLCOf(now)
	}
	if l == nil {
		open, err := wire.DecodeOpen(en.Payload)
		if err != nil {
			return rec, []Effect{Refuse{From: w.from, Err: err}}
		}
		person, device, err := e.cfg.Certifier(open.Certificate)
		if err != nil || device != en.Device {
			return rec, refuse(w.from, "a log whose certificate is not its author's")
		}
		l = &log{Log: Log{Log: en.Log, Device: en.Device, Person: person}}
		r.logs[en.Log] = l
		r.devices[en.Device]++
		rec.Name = chat.CleanName(open.Name)
	} else if en.Prev != l.LastID {
		return rec, r.freeze(l)
	} else if en.HLC <= l.HLC || l.Device != en.Device {
		return rec, refuse(w.from, "an entry older than the one before it")
	}
	switch en.Kind {
	case wire.KindMessage:
		if en.Payload != nil {
			m, err := wire.DecodeMessage(en.Payload)
			if err != nil {
				return rec, []Effect{Refuse{From: w.from, Err: err}}
			}
			rec.Text = chat.CleanText(m.Text)
		}
	case wire.KindProfile:
		if en.Payload != nil {
			p, err := wire.DecodeProfile(en.Payload)
			if err != nil {
				return rec, []Effect{Refuse{From: w.from, Err: err}}
			}
			rec.Name = chat.CleanName(p.Name)
		}
	}
	rec.Person = l.Person
	r.advance(l, en, now)
	return rec, nil
}

// hold puts an entry among those that wait; false if there is no room for it.
func (e *Engine) hold(r *state, w waiting) bool {
	id, seq := w.entry.Log, w.entry.Seq
	if old, ok := r.pending[id][seq]; ok {
		// The same again; a solicited copy frees it from waiting for causes.
		if w.solicited && !old.solicited && old.entry.ID == w.entry.ID {
			old.solicited = true
			r.pending[id][seq] = old
		}
		return true
	}
	size := len(w.entry.Head) + len(w.entry.Payload)
	if r.count >= chat.MaxPending || e.pendingBytes+size > chat.MaxPendingBytes {
		return false
	}
	if r.pending[id] == nil {
		r.pending[id] = map[uint64]waiting{}
	}
	r.pending[id][seq] = w
	r.count++
	e.pendingBytes += size
	return true
}

func (e *Engine) drop(r *state, id chat.LogID, seq uint64) {
	w := r.pending[id][seq]
	delete(r.pending[id], seq)
	if len(r.pending[id]) == 0 {
		delete(r.pending, id)
	}
	r.count--
	e.pendingBytes -= len(w.entry.Head) + len(w.entry.Payload)
}

// caused reports whether everything the entry names as seen is held, and where
// it is not, notes whom to wake.
func (r *state) caused(en *wire.Entry) bool {
	for _, d := range en.Deps {
		if r.head(d.Log) < d.Seq {
			if r.blocked[d.Log] == nil {
				r.blocked[d.Log] = map[chat.LogID]struct{}{}
			}
			r.blocked[d.Log][en.Log] = struct{}{}
			return false
		}
	}
	return true
}

// forgetStale drops entries whose predecessor has not come for a minute: they
// come again with it, by catch-up.
func (e *Engine) forgetStale(now time.Time, r *state, id chat.LogID) {
	for _, seq := range keys(r.pending[id]) {
		if now.Sub(r.pending[id][seq].since) > staleAfter {
			e.drop(r, id, seq)
		}
	}
}

// staleAfter bounds how long an entry waits for its predecessor (guess: catch-up
// fills a gap within seconds, or its holder has left).
const staleAfter = time.Minute

func (r *state) freeze(l *log) []Effect {
	if l.frozen {
		return nil
	}
	l.frozen = true
	if l == r.own {
		r.own = nil
	}
	return []Effect{Fork{Room: r.id, Device: l.Device, Log: l.Log.Log}}
}

func refuse(from chat.DeviceID, what string) []Effect {
	return []Effect{Refuse{From: from, Err: chat.Errorf(chat.CodeInvalid,
		"A device passed on %s. It was refused; nothing needs to be done.", what)}}
}
