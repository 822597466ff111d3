package catchup

import (
	"bytes"
	"slices"

	"earshot/chat"
	"earshot/chat/wire"
)

// part has all of a log sent of which both sides hold as much and not the same: where it
// began to go on in two ways nobody knows yet.
func (r *sessionRoom) part() {
	for _, l := range r.state.Frontier {
		if id := chat.LogID(l.Log); r.theirs[id] == l.Seq && !bytes.Equal(r.lasts[id], l.Last) {
			r.theirs[id] = 0
		}
	}
}

// Said returns how far this side has said that it holds a log of a room, 0 for nothing.
func (s *Session) Said(room chat.RoomID, log chat.LogID) uint64 {
	r := s.rooms[room.SessionTag(s.nonce)]
	if r == nil {
		return 0
	}
	at, found := slices.BinarySearchFunc(r.state.Frontier, log, func(l wire.LogHead, id chat.LogID) int { return bytes.Compare(l.Log, id[:]) })
	if !found {
		return 0
	}
	return r.state.Frontier[at].Seq
}
