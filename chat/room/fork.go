package room

import (
	"earshot/chat"
	"earshot/chat/wire"
)

// This file is about devices whose key is in two places.

// Forked says that a log's device has signed two different entries with one number, as
// others have shown, or what is held: the log is not continued.
type Forked struct {
	Room chat.RoomID
	Log  chat.LogID
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
	if l := r.logs[in.Log]; l != nil && !l.frozen {
		e.freeze(r, l)
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
