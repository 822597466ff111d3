package room

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

// Frontier returns what is held of a room, in ascending order of log. A log that
// has two versions with nothing in common counts as held up to wire.MaxSeq: nothing more of
// it is wanted, and two nodes that hold different ones need not compare them for ever.
func (e *Engine) Frontier(id chat.RoomID) []Log {
	r := e.rooms[id]
	if r == nil {
		return nil
	}
	out := make([]Log, 0, len(r.logs))
	for _, id := range sorted(r.logs) {
		l := r.logs[id].Log
		if r.logs[id].frozen {
			l.Seq = wire.MaxSeq
		}
		out = append(out, l)
	}
	return out
}

// Root sums up the frontier of a room: two nodes with one root hold the same.
func (e *Engine) Root(id chat.RoomID) [32]byte {
	r := e.rooms[id]
	if r == nil {
		return [32]byte{}
	}
	if !r.rootValid {
		r.root, r.rootValid = RootOf(e.Frontier(id)), true
	}
	return r.root
}

// RootOf returns the root of a frontier that is in ascending order of log.
func RootOf(frontier []Log) [32]byte {
	h := sha256.New()
	h.Write([]byte("earshot/v1 frontier\x00"))
	var b [56]byte
	for _, l := range frontier {
		copy(b[:], l.Log[:])
		binary.BigEndian.PutUint64(b[16:], l.Seq)
		if copy(b[24:], l.LastID[:]); l.Seq == wire.MaxSeq {
			clear(b[24:])
		}
		h.Write(b[:])
	}
	return [32]byte(h.Sum(nil))
}

// step is one log's move from a number, 0 if there was no such log, to the next held.
type step struct {
	log  chat.LogID
	from uint64
	last chat.EntryID // of from
}

const (
	// maxTrail bounds the steps that are remembered of a room: what a busy one takes
	// while a summary is on its way. trailCost bounds what is hashed to look through
	// them, in lines of a frontier: under 2 ms.
	maxTrail  = 64
	trailCost = 1 << 15
)

// went notes that a log moves.
func (r *state) went(now time.Time, l *log) {
	if len(r.trail) == 2*maxTrail {
		r.trail = r.trail[:copy(r.trail, r.trail[maxTrail:])]
	}
	r.trail = append(r.trail, step{l.Log.Log, l.Seq, l.LastID})
	r.movedAt = now
}

// HasHeld reports whether the room was held as a root sums it up, now or some steps
// ago.
func (e *Engine) HasHeld(id chat.RoomID, root [32]byte) bool {
	if e.Root(id) == root {
		return true
	}
	r := e.rooms[id]
	if r == nil {
		return false
	}
	frontier := e.Frontier(id)
	for n := range min(len(r.trail), maxTrail) {
		if n*len(frontier) > trailCost {
			break
		}
		s := r.trail[len(r.trail)-1-n]
		i, ok := slices.BinarySearchFunc(frontier, s.log, func(l Log, id chat.LogID) int { return bytes.Compare(l.Log[:], id[:]) })
		switch {
		case !ok || frontier[i].Seq == wire.MaxSeq: // frozen since: it counts as held whole
			return false
		case s.from == 0 || frontier[i].Branch != nil && s.from == frontier[i].Branch.After:
			frontier = slices.Delete(frontier, i, i+1)
		default:
			frontier[i].Seq, frontier[i].LastID = s.from, s.last
		}
		if RootOf(frontier) == root {
			return true
		}
	}
	return false
}

// MovedAt returns when something of a room was last taken, zero for not since it was
// restored.
func (e *Engine) MovedAt(id chat.RoomID) time.Time {
	if r := e.rooms[id]; r != nil {
		return r.movedAt
	}
	return time.Time{}
}
