package room

import (
	"bytes"
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/content"
	"earshot/chat/wire"
)

// post says something in a room. The first time, the log is opened in the same
// commit, so that nobody ever holds one without the other.
func (e *Engine) post(now time.Time, in Post) []Effect {
	r := e.rooms[in.Room]
	if r == nil || !r.entered {
		return []Effect{Deny{Ref: in.Ref, Err: chat.Errorf(chat.CodeNotJoined,
			"You are not in that room. Join it first: earshot room join #name")}}
	}
	if r.sealed {
		return []Effect{Deny{Ref: in.Ref, Err: chat.Errorf(chat.CodeUsage,
			"What is said in this room must be encrypted first, and was not. Nothing was sent; update Earshot and send it again.")}}
	}
	payload, err := content.Compose(chat.Draft{Text: in.Text}, 0)
	if err != nil {
		return []Effect{Deny{Ref: in.Ref, Err: err}}
	}
	records, err := e.open(now, r)
	if err != nil {
		return []Effect{Deny{Ref: in.Ref, Err: err}}
	}
	rec, err := e.append(now, r, wire.KindMessage, 0, payload)
	if err != nil {
		return []Effect{Deny{Ref: in.Ref, Err: err}}
	}
	rec.Said, _ = content.Read(wire.KindMessage, payload)
	return []Effect{Commit{Records: append(records, rec), Ref: in.Ref}}
}

// put appends an entry that another engine has made.
func (e *Engine) put(now time.Time, in Append) []Effect {
	r := e.rooms[in.Room]
	var err error
	switch {
	case r == nil || !r.entered:
		err = chat.Errorf(chat.CodeNotJoined, "You are not in that room. Join it first, or accept its invitation: earshot invitations")
	case in.Kind == 0 || in.Kind == wire.KindOpen || len(in.Payload) == 0:
		err = chat.Errorf(chat.CodeUsage, "Only an entry with a kind and content can be appended. Nothing was sent; update Earshot and try again.")
	case len(in.Payload) > chat.MaxPayload:
		err = chat.Errorf(chat.CodeTooLong, "This takes %d bytes and may take %d. Send it in parts.", len(in.Payload), chat.MaxPayload)
	case r.sealed && in.Epoch == 0 && in.Kind != wire.KindPrekey:
		err = chat.Errorf(chat.CodeUsage, "This would have gone out unencrypted. Nothing was sent; update Earshot and try again.")
	}
	if err != nil {
		return []Effect{Deny{Ref: in.Ref, Err: err}}
	}
	if !ahead(in.After, now) {
		r.seen = max(r.seen, in.After)
	}
	records, err := e.open(now, r)
	if err != nil {
		return []Effect{Deny{Ref: in.Ref, Err: err}}
	}
	var said content.Said
	if !r.sealed {
		if said, err = content.Read(in.Kind, in.Payload); err != nil {
			return []Effect{Deny{Ref: in.Ref, Err: err}}
		}
	}
	rec, err := e.append(now, r, in.Kind, in.Epoch, in.Payload)
	if err != nil {
		return []Effect{Deny{Ref: in.Ref, Err: err}}
	}
	rec.Said = said
	return []Effect{Commit{Records: append(records, rec), Ref: in.Ref}}
}

// rename tells every open room this person has spoken in; the others hear the new name
// when a log is opened there.
func (e *Engine) rename(now time.Time, in Rename) []Effect {
	e.cfg.Name = chat.CleanName(in.Name)
	var out []Effect
	for _, id := range e.Rooms() {
		r := e.rooms[id]
		if r.own == nil || r.sealed {
			continue
		}
		records, err := e.open(now, r)
		if err == nil && len(records) == 0 {
			var rec Record
			if rec, err = e.append(now, r, wire.KindProfile, 0, wire.Marshal(wire.Profile{Name: e.cfg.Name})); err == nil {
				rec.Name = e.cfg.Name
				records = []Record{rec}
			}
		}
		if err != nil {
			out = append(out, Deny{Err: err})
			continue
		}
		out = append(out, Commit{Records: records})
	}
	return out
}

// open makes sure that this device has a log in the room that it may append to,
// and returns the entry that opened it, if one had to be made.
func (e *Engine) open(now time.Time, r *state) ([]Record, error) {
	// A log that ends in the future was written with a clock that has been set
	// right since: going on with it would keep the wrong time for ever.
	if r.own != nil && !ahead(r.own.HLC, now) {
		return nil, nil
	}
	salt := e.cfg.NewSalt()
	before := r.own
	id := chat.NewLogID(e.device, salt[:])
	r.own = &log{Log: Log{Log: id, Device: e.device, Person: e.cfg.Person}, ref: r.id.Ref(id)}
	name := e.cfg.Name
	if r.sealed {
		name = ""
	}
	rec, err := e.append(now, r, wire.KindOpen, 0, wire.Marshal(wire.Open{Certificate: e.cfg.Certificate, Name: name, Salt: salt[:]}))
	if err != nil {
		r.own = before
		return nil, err
	}
	if before != nil {
		before.closed = true
	}
	r.logs[id] = r.own
	r.devices[e.device]++
	r.people[e.cfg.Person]++
	rec.Name = name
	return []Record{rec}, nil
}

// append signs the next entry of this device's log and counts it as held: the
// caller commits it, or restores the room.
func (e *Engine) append(now time.Time, r *state, kind wire.Kind, epoch uint64, payload []byte) (Record, error) {
	h := wire.Header{
		Log: r.own.Log.Log, Ref: r.own.ref, Seq: r.own.Seq + 1, Prev: r.own.LastID,
		HLC: max(r.clock(now), r.own.HLC).Next(now), Kind: kind, Epoch: epoch,
	}
	if kind != wire.KindOpen { // which shows nothing that could have a cause
		h.Deps = r.deps()
	}
	entry, err := wire.Sign(e.cfg.Key, h, payload)
	if err != nil {
		return Record{}, err
	}
	r.advance(r.own, &entry, entry.HLC, now)
	if kind != wire.KindOpen {
		clear(r.fresh)
	}
	return Record{
		Room: r.id, Entry: entry, Person: e.cfg.Person, ReceivedAt: now, Sort: entry.HLC, Mine: true,
	}, nil
}

// clock returns the highest clock seen that may be believed: when our own was set
// back, what it believed before counts no longer.
func (r *state) clock(now time.Time) chat.HLC {
	if ahead(r.seen, now) {
		r.seen = r.highest(now)
	}
	return r.seen
}

// deps names the newest entries of others that came since this device last spoke.
func (r *state) deps() []wire.Dep {
	moved := make([]*log, 0, len(r.fresh))
	for id := range r.fresh {
		moved = append(moved, r.logs[id])
	}
	slices.SortFunc(moved, newerFirst)
	moved = moved[:min(len(moved), chat.MaxDeps)]
	slices.SortFunc(moved, byID)
	var out []wire.Dep
	for _, l := range moved {
		out = append(out, wire.Dep{Log: l.Log.Log, Seq: l.Seq})
	}
	return out
}

// advance counts an entry as held.
func (r *state) advance(l *log, e *wire.Entry, sort chat.HLC, now time.Time) {
	r.went(now, l)
	l.Seq, l.LastID, l.HLC, l.Sort = e.Seq, e.ID, e.HLC, sort
	r.rootValid = false
	r.filled(l)
	// A clock that is ahead must not carry ours with it.
	if !ahead(e.HLC, now) {
		r.seen = max(r.seen, e.HLC)
		if l != r.own {
			r.fresh[l.Log.Log] = struct{}{}
		}
	}
}

// newerFirst orders logs by clock, newest first, then by id.
func newerFirst(a, b *log) int {
	switch {
	case a.HLC > b.HLC:
		return -1
	case a.HLC < b.HLC:
		return 1
	}
	return byID(a, b)
}

func byID(a, b *log) int { return bytes.Compare(a.Log.Log[:], b.Log.Log[:]) }
