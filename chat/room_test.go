package chat

import (
	"encoding/hex"
	"testing"
)

// The id of a direct chat depends on all three of what it is made of, and not on who
// of the two computes it.
func TestADirectRoomIsOfTwoPeopleAndTheirSecret(t *testing.T) {
	a, b, c := PersonID{1}, PersonID{2}, PersonID{3}
	secret := [32]byte{9}
	room := DirectRoom(a, b, secret)
	const want = "9eb5ecaf0fcc0496f562f1c790f57c79b76a60a9f77f6f4fc5b76b330e2ba05a"
	if got := hex.EncodeToString(room[:]); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if DirectRoom(b, a, secret) != room {
		t.Error("the two are in different rooms")
	}
	for name, other := range map[string]RoomID{
		"another secret": DirectRoom(a, b, [32]byte{8}), "another person": DirectRoom(a, c, secret), "an open room": OpenRoom(Lobby),
	} {
		if other == room {
			t.Errorf("%s: the same room", name)
		}
	}
}
