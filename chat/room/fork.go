package room

import (
	"earshot/chat"
	"earshot/chat/wire"
)

// This file is about devices whose key is in two places.

// Forked says that a log's device has signed two different entries with one number. The
// log is not continued: at once where what is held has shown so, else when a session
// with who goes on with it no more has brought the rest of what is held there.
type Forked struct {
	Room chat.RoomID
	Log  chat.LogID
	Seq  uint64 // the lower number of the two entries
	Told bool   // by others; else what is held has shown so
}

// Fork says that a device has signed two different entries with one number: its
// key or its disk has been copied. The log is not continued. Held is the entry that
// is held, by its number, and Other contradicts it: it has that number, too, or the
// next one and another predecessor.
type Fork struct {
	Room   chat.RoomID
	Device chat.DeviceID
	Log    chat.LogID
	Held   uint64
	Other  wire.Entry
}

// Recheck says that an entry came whose number is held, below the end of its log. If
// another one is held under it, the log is Forked.
type Recheck struct {
	Room  chat.RoomID
	Entry wire.Entry
}

func (Forked) isInput()   {}
func (Fork) isEffect()    {}
func (Recheck) isEffect() {}

// fork stops a log whose device has signed two entries with one number.
func (e *Engine) fork(r *state, l *log, held uint64, other *wire.Entry) []Effect {
	if l.frozen {
		return nil
	}
	e.freeze(r, l)
	return []Effect{Fork{Room: r.id, Device: l.Device, Log: l.Log.Log, Held: held, Other: *other}}
}

// Frozen reports whether a log is not continued.
func (e *Engine) Frozen(id chat.RoomID, log chat.LogID) bool {
	r := e.rooms[id]
	return r != nil && r.logs[log] != nil && r.logs[log].frozen
}

// IsForked reports whether a log is known to have two versions.
func (e *Engine) IsForked(id chat.RoomID, log chat.LogID) bool {
	r := e.rooms[id]
	return r != nil && r.logs[log] != nil && (r.logs[log].frozen || r.logs[log].until > 0)
}

// Knows reports whether a log of a room is held.
func (e *Engine) Knows(id chat.RoomID, log chat.LogID) bool {
	r := e.rooms[id]
	return r != nil && r.logs[log] != nil
}

func (e *Engine) forked(in Forked) {
	r := e.rooms[in.Room]
	if r == nil {
		return
	}
	l := r.logs[in.Log]
	switch {
	case l == nil || l.frozen:
		return
	case !in.Told && l.Seq >= in.Seq:
		e.freeze(r, l)
		return
	case l.until == 0 || in.Seq < l.until:
		l.until = in.Seq
	}
	if l.closed = true; l == r.own {
		r.own = nil
	}
}

// fetched stops the forked logs of which a device that goes on with them no more has
// now given what it holds. Below the numbers that show the fork it can't have.
func (e *Engine) fetched(r *state, ended []chat.LogID) {
	for _, id := range ended {
		if l := r.logs[id]; l != nil && !l.frozen && l.until > 0 && l.Seq >= l.until {
			e.freeze(r, l)
		}
	}
}

// freeze stops a log.
func (e *Engine) freeze(r *state, l *log) {
	l.frozen, r.rootValid = true, false
	if l == r.own {
		r.own = nil
	}
	for at := range r.pending[l.Log.Log] {
		e.drop(r, l.Log.Log, at)
	}
	r.filled(l)
}
