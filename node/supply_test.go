package node

import (
	"testing"
	"time"

	"earshot/chat"
)

func TestWhoBringsTooLittleKeepsNobodyFromIt(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s, room := supplies{}, chat.OpenRoom(chat.Lobby)
	one, other := &session{}, &session{}
	if !s.take(now, one, room) || s.take(now, other, room) || !other.declined[room] {
		t.Error("not the first brings it")
	}
	if !s.take(now, other, chat.OpenRoom("#other")) {
		t.Error("another room is kept from it, too")
	}
	if at := s.next(); !at.Equal(now.Add(supplyTime)) {
		t.Errorf("looked at again at %v", at)
	}
	// Steadily enough.
	for range 10 {
		now = now.Add(supplyTime / 2)
		s.came(now, one, room, supplyLeast)
		s.came(now, other, room, supplyLeast) // what comes otherwise does not count
	}
	if s.take(now, other, room) {
		t.Error("taken from who brings enough")
	}
	// A trickle.
	for range 10 {
		now = now.Add(supplyTime / 10)
		s.came(now, one, room, 1)
	}
	if !s.take(now, other, room) {
		t.Error("not taken from who brings too little")
	}
	s.end(other)
	if len(s) != 0 || !s.next().IsZero() {
		t.Errorf("%d are left", len(s))
	}
}
