package catchup

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"earshot/chat"
)

// This file decides when payloads that entries came without are worth a session of their
// own (PROTOCOL.md#what-messages-become).

const (
	domainWishes = "earshot/v1 wanting\x00"
	// tryEach is how often asking for payloads counts: who opens one session after the
	// other must not have them given up before anybody else was asked.
	tryEach = 30 * time.Second
	// stirFor is how long payloads that were given up are asked for again when somebody
	// may have brought them (guess: a session begins within seconds).
	stirFor = time.Minute
)

// Wishes is which payloads are missing here, by room. Two that lack the same have
// nothing to ask each other; any others may. It is not safe for concurrent use.
type Wishes struct {
	rooms map[chat.RoomID]roomWishes // of rooms where any are, or were in this run
}

type roomWishes struct {
	lacks   bool
	asked   bool      // some were not asked for often enough yet
	sum     [32]byte  // of all that are missing
	stirred time.Time // until when they are asked for all the same
	filled  uint64    // how often some have come
	tried   time.Time // when asking for them last counted
}

// SumWishes sums up the entries of a room whose payloads are missing. It sorts ids.
func SumWishes(ids []chat.EntryID) [32]byte {
	slices.SortFunc(ids, func(a, b chat.EntryID) int { return bytes.Compare(a[:], b[:]) })
	h := sha256.New()
	for _, id := range ids {
		h.Write(id[:])
	}
	return [32]byte(h.Sum(nil))
}

// Put says which payloads of a room are missing now, summed up; asked, whether any of
// them was asked for less than chat.MaxWantedTries times.
func (w *Wishes) Put(id chat.RoomID, lacks, asked bool, sum [32]byte) {
	of, known := w.rooms[id]
	if of.lacks, of.asked, of.sum = lacks, asked, sum; lacks || known {
		w.put(id, of)
	}
}

func (w *Wishes) put(id chat.RoomID, of roomWishes) {
	if w.rooms == nil {
		w.rooms = map[chat.RoomID]roomWishes{}
	}
	w.rooms[id] = of
}

// Met is told that a neighbour has come that may share some rooms: what was given up
// there is asked of it, too.
func (w *Wishes) Met(now time.Time, rooms []chat.RoomID) {
	for _, id := range rooms {
		if of := w.rooms[id]; of.lacks {
			of.stirred = now.Add(stirFor)
			w.put(id, of)
		}
	}
}

// Filled is told that payloads of a room have come: for a while it is to differ from
// those who have given them up, and now get them here, also from what it was when it
// lacked them: who was told that then is told again.
func (w *Wishes) Filled(now time.Time, id chat.RoomID) {
	of := w.rooms[id]
	of.stirred = now.Add(stirFor)
	of.filled++
	w.put(id, of)
}

// Try reports whether asking for the payloads of a room counts now.
func (w *Wishes) Try(now time.Time, id chat.RoomID) bool {
	of := w.rooms[id]
	if !of.lacks || now.Sub(of.tried) < tryEach {
		return false
	}
	of.tried = now
	w.put(id, of)
	return true
}

// Open reports whether sessions are begun for payloads of a room: those that are
// missing, or that others may still miss.
func (w *Wishes) Open(now time.Time, id chat.RoomID) bool {
	of := w.rooms[id]
	return of.asked || now.Before(of.stirred)
}

// Seeks reports whether whoever says another root than Root may be asked for payloads.
func (w *Wishes) Seeks(now time.Time, id chat.RoomID) bool {
	return w.rooms[id].lacks && w.Open(now, id)
}

// Root returns what is said instead of a room's root: another one while sessions are
// begun for payloads, so that it differs from that of all who don't lack the same.
func (w *Wishes) Root(now time.Time, id chat.RoomID, root [32]byte) [32]byte {
	if !w.Open(now, id) {
		return root
	}
	h := sha256.New()
	h.Write([]byte(domainWishes))
	h.Write(root[:])
	of := w.rooms[id]
	h.Write(of.sum[:])
	if of.filled > 0 && now.Before(of.stirred) {
		var filled [8]byte
		binary.BigEndian.PutUint64(filled[:], of.filled)
		h.Write(filled[:])
	}
	return [32]byte(h.Sum(nil))
}
