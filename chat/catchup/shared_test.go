package catchup

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

var secret = chat.RoomID{0x5e, 0xc7}

// sharedHoldings is a node in the lobby and in a room that only some neighbours are
// in.
type sharedHoldings struct {
	members map[chat.DeviceID]bool
	roots   map[chat.RoomID][32]byte
	gaps    map[chat.RoomID]int
}

func (h *sharedHoldings) Rooms() []chat.RoomID {
	return slices.SortedFunc(slices.Values([]chat.RoomID{lobby, secret}), func(a, b chat.RoomID) int { return bytes.Compare(a[:], b[:]) })
}

func (h *sharedHoldings) Shared(d chat.DeviceID) []chat.RoomID {
	if h.members[d] {
		return h.Rooms()
	}
	return []chat.RoomID{lobby}
}

func (h *sharedHoldings) Root(id chat.RoomID) [32]byte  { return h.roots[id] }
func (h *sharedHoldings) MovedAt(chat.RoomID) time.Time { return time.Time{} }

func (h *sharedHoldings) HasHeld(id chat.RoomID, root [32]byte) bool { return h.roots[id] == root }

func (h *sharedHoldings) WaitingSince(id chat.RoomID) time.Time {
	if h.gaps[id] == 0 {
		return time.Time{}
	}
	return noon
}

// insider returns a node whose neighbours are in the secret room, and others that
// are not.
func insider(members, others []chat.DeviceID) (*node, *sharedHoldings) {
	h := &sharedHoldings{members: map[chat.DeviceID]bool{}, roots: map[chat.RoomID][32]byte{}, gaps: map[chat.RoomID]int{}}
	for _, d := range members {
		h.members[d] = true
	}
	n := &node{id: peer(1), Engine: New(peer(1), h, rand.New(rand.NewPCG(1, 1)))}
	for _, d := range slices.Concat(members, others) {
		n.do(noon, PeerUp{Device: d})
	}
	n.tells = nil
	return n, h
}

// names reports whether a summary names a room, by its tag or by its root.
func names(have wire.Have, id chat.RoomID, root [32]byte) bool {
	tag := id.SessionTag(have.Nonce)
	return slices.ContainsFunc(have.Rooms, func(r wire.RoomRoot) bool {
		return bytes.Equal(r.Tag, tag[:]) || bytes.Equal(r.Root, root[:])
	})
}

func TestARoomIsNotNamedToWhoIsNotInIt(t *testing.T) {
	member, other := peer(2), peer(3)
	n, h := insider([]chat.DeviceID{member}, []chat.DeviceID{other})
	rng := rand.New(rand.NewPCG(7, 7))
	now, told := noon, map[chat.DeviceID]int{}
	inputs := []Input{
		Joined{},
		Tick{},
		Lost{Device: other},
		Lost{Device: member},
		Gap{Device: other},
		PeerDown{Device: other},
		PeerUp{Device: other},
		Ended{Device: member, Received: 1},
		Ended{Device: other, Asked: true},
		Heard{Device: other, Have: wire.Have{Nonce: nonce}},
	}
	for range 3000 {
		now = now.Add(time.Duration(rng.IntN(5000)) * time.Millisecond)
		root := [32]byte{1, byte(rng.IntN(250))}
		h.roots[secret] = root
		h.roots[lobby] = [32]byte{2, byte(rng.IntN(2))}
		h.gaps[secret] = rng.IntN(2)
		for _, ef := range n.Handle(now, inputs[rng.IntN(len(inputs))]) {
			if tell, ok := ef.(Tell); ok {
				told[tell.Device]++
				if got := names(tell.Have, secret, root); got != (tell.Device == member) {
					t.Fatalf("told to %v: %v", tell.Device[0], got)
				}
			}
		}
	}
	if told[member] < 10 || told[other] < 10 {
		t.Errorf("told %v", told)
	}
}

// Who is not in a room can't find out by guessing: a summary that names it is like
// one that names a room that nobody knows.
func TestAnOutsiderWhoNamesTheRoomLearnsNothing(t *testing.T) {
	other := peer(3)
	n, h := insider(nil, []chat.DeviceID{other})
	h.roots[secret] = [32]byte{1}
	tag, root := secret.SessionTag(nonce), [32]byte{9}
	n.do(noon, Heard{Device: other, Have: wire.Have{Nonce: nonce, Rooms: []wire.RoomRoot{{Tag: tag[:], Root: root[:]}}}})
	n.pass(t, noon, noon.Add(20*time.Second))
	check(t, "asked", n.opens, nil)

	// Nor in a session: this is what the node gives it of the rooms shared with them.
	var states []RoomState
	for _, id := range h.Shared(other) {
		states = append(states, RoomState{Room: id, Root: h.Root(id)})
	}
	lobbyTag, held := lobby.SessionTag(nonce), h.Root(lobby)
	effects, err := Answer(states).Handle(wire.Compare{Nonce: nonce, Rooms: []wire.RoomRoot{
		{Tag: tag[:], Root: root[:]}, {Tag: lobbyTag[:], Root: held[:]},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, ef := range effects {
		send, ok := ef.(Send)
		if c, compare := send.Frame.(wire.Compare); !ok || compare && len(c.Rooms) > 0 {
			t.Errorf("answered with %+v", ef)
		}
	}
}

// News of a room go only to who is in it: otherwise the mere summary told others that
// somebody speaks.
func TestNewsOfARoomAreNotOfferedToWhoIsNotInIt(t *testing.T) {
	n, h := insider(devices(2, 4), devices(3, 5))
	h.roots[secret] = [32]byte{1}
	n.do(noon, Ended{Device: peer(2), Received: 1})
	n.pass(t, noon, noon.Add(4*cascadeAfter))
	check(t, "told", n.tells, devices(4))
	h.roots[lobby] = [32]byte{2}
	n.tells = nil
	n.do(noon.Add(time.Second), Ended{Device: peer(2), Received: 1})
	n.pass(t, noon.Add(time.Second), noon.Add(time.Second+4*cascadeAfter))
	slices.SortFunc(n.tells, func(a, b chat.DeviceID) int { return bytes.Compare(a[:], b[:]) })
	check(t, "told of the lobby", n.tells, devices(3, 4, 5))
}

// What shows a gap may come through somebody who is not in the room.
func TestAGapShownByAnOutsiderIsAskedOfAMember(t *testing.T) {
	n, h := insider(devices(4), devices(2, 3))
	h.gaps[secret] = 1
	for range 20 {
		n.do(noon, Gap{Device: peer(2)})
	}
	n.pass(t, noon, noon.Add(4*repairAfter))
	check(t, "asked", n.opens, devices(4))
	// They could not fill it, and nobody else is in the room.
	n.do(noon.Add(time.Second), Ended{Device: peer(4), Asked: true})
	n.pass(t, noon.Add(time.Second), noon.Add(10*time.Second))
	check(t, "asked then", n.opens, devices(4))
	// Who is told of the room can be asked.
	h.members[peer(3)] = true
	now := noon.Add(time.Minute)
	n.do(now, Gap{Device: peer(2)})
	n.pass(t, now, now.Add(time.Second))
	if len(n.opens) != 2 || n.opens[1] == peer(2) {
		t.Errorf("asked %v", short(n.opens))
	}
}

func TestANewMemberIsToldOfTheRoom(t *testing.T) {
	n, h := insider(nil, devices(2))
	h.roots[secret] = [32]byte{1}
	h.members[peer(2)] = true
	for _, ef := range n.do(noon, Joined{}) {
		if tell, ok := ef.(Tell); ok && !names(tell.Have, secret, h.Root(secret)) {
			t.Error("the room is not named")
		}
	}
	check(t, "told", n.tells, devices(2))
}
