package catchup

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

// In a busy room something waits at every moment, and never for long: entries overtake
// those that they name as seen.
func TestABusyRoomWithoutLossesHoldsNoSessions(t *testing.T) {
	n := newNode(1, 5)
	for _, d := range devices(2, 3, 4) {
		n.do(noon, PeerUp{Device: d})
	}
	n.gaps = 1
	for now := noon; now.Before(noon.Add(30 * time.Second)); now = now.Add(20 * time.Millisecond) {
		n.since, n.moved = now.Add(-10*time.Millisecond), now
		n.do(now, Gap{Device: peer(byte(2 + now.UnixMilli()/20%3))})
		n.do(now, Tick{})
	}
	check(t, "asked", n.opens, nil)
	// One that stays is asked about all the same.
	now := noon.Add(30 * time.Second)
	n.since = now
	n.do(now, Gap{Device: peer(3)})
	n.pass(t, now, now.Add(8*repairAfter))
	if len(n.opens) == 0 {
		t.Error("a gap that stays is not asked about")
	}
}

func TestWhatANeighbourIsBehindInIsNotAskedOfIt(t *testing.T) {
	n := newNode(1, 7)
	n.do(noon, PeerUp{Device: peer(2)})
	n.was = []uint64{5, 6}
	n.do(noon, Heard{Device: peer(2), Have: have(5)})
	n.pass(t, noon, noon.Add(10*time.Second))
	check(t, "asked", n.opens, nil)
	n.do(noon.Add(10*time.Second), Heard{Device: peer(2), Have: have(3)})
	check(t, "what was never held", n.opens, devices(2))
}

// What was lost on its way to a neighbour without anybody's notice only this side can
// see, when the neighbour says what it holds.
func TestWhoIsBehindIsTold(t *testing.T) {
	n := newNode(1, 5)
	for _, d := range devices(2, 3, 4, 5, 6, 7, 8) {
		n.do(noon, PeerUp{Device: d})
	}
	n.tells = nil
	n.do(noon, Heard{Device: peer(2), Have: have(5)})
	n.was = []uint64{4}
	n.do(noon, Heard{Device: peer(2), Have: have(4)})
	n.pass(t, noon, noon.Add(10*time.Second))
	check(t, "who was just told the same, or holds the same", n.tells, nil)
	n.was, n.set = []uint64{4, 5}, 7
	now := noon.Add(10 * time.Second)
	n.do(now, Heard{Device: peer(2), Have: have(5)})
	n.do(now, Heard{Device: peer(2), Have: have(5)})
	n.do(now, Heard{Device: peer(3), Have: have(7)})
	n.pass(t, now, now.Add(4*cascadeAfter))
	check(t, "who is behind", n.tells, devices(2))
	n.do(now.Add(time.Second), Heard{Device: peer(2), Have: have(5)})
	n.pass(t, now.Add(time.Second), now.Add(10*time.Second))
	check(t, "who is still behind", n.tells, devices(2))
	now = now.Add(4*cascadeAfter + idleMin)
	n.pass(t, now.Add(-idleMin), now)
	n.tells = nil
	n.do(now, Heard{Device: peer(2), Have: have(5)})
	n.pass(t, now, now.Add(4*cascadeAfter))
	if !slices.Contains(n.tells, peer(2)) {
		t.Error("who is behind for long is not told again")
	}
	check(t, "asked", n.opens, nil)
}

func TestADifferenceInABusyRoomIsGivenAMoment(t *testing.T) {
	n := newNode(1, 5)
	n.do(noon, PeerUp{Device: peer(2)})
	n.moved = noon
	n.do(noon, Heard{Device: peer(2), Have: have(7)})
	n.pass(t, noon, noon.Add(settleAfter-1))
	check(t, "at once", n.opens, nil)
	n.was, n.set = []uint64{5, 7}, 15 // it came, and more
	n.pass(t, noon, noon.Add(10*time.Second))
	check(t, "asked", n.opens, nil)
	n.moved = noon.Add(10 * time.Second)
	n.do(n.moved, Heard{Device: peer(2), Have: have(31)})
	n.pass(t, n.moved, n.moved.Add(2*settleAfter))
	check(t, "what does not come", n.opens, devices(2))
}

func TestAnInventedGapMakesThreeSessions(t *testing.T) {
	n := newNode(1, 5)
	for _, d := range devices(2, 3, 4, 5, 6, 7, 8) {
		n.do(noon, PeerUp{Device: d})
	}
	n.gaps = 1
	n.do(noon, Gap{Device: peer(2)})
	now := noon
	for range 600 {
		now = now.Add(100 * time.Millisecond)
		before := len(n.opens)
		n.do(now, Tick{})
		for _, d := range n.opens[before:] {
			n.do(now, Ended{Device: d, Asked: true})
		}
	}
	if len(n.opens) != 1+maxOthers || n.opens[0] != peer(2) {
		t.Errorf("asked %v", short(n.opens))
	}
}

// Two who hold the same and meet in an idle round say this, and nothing else: the one
// whose turn it is says it, the other finds no difference.
func TestAnIdleRoundTakesUnder100BytesForEachSharedRoom(t *testing.T) {
	for _, rooms := range []int{1, 10, chat.MaxRooms} {
		h := &manyHoldings{}
		for i := range rooms {
			h.rooms = append(h.rooms, chat.RoomID{byte(i >> 8), byte(i)})
		}
		quiet := func(id byte) *Engine { return New(peer(id), h, rand.New(rand.NewPCG(uint64(id), 1))) }
		a, b := quiet(1), quiet(2)
		a.Handle(noon, PeerUp{Device: peer(2)})
		b.Handle(noon, PeerUp{Device: peer(1)})
		said, rounds := 0, 0
		for now := noon; now.Before(noon.Add(time.Hour)); now = now.Add(time.Second) {
			for _, ef := range a.Handle(now, Tick{}) {
				tell, ok := ef.(Tell)
				if !ok {
					t.Fatalf("%T", ef)
				}
				rounds++
				said += 4 + len(wire.EncodeFrame(tell.Have)) // with the frame's length
				if effects := b.Handle(now, Heard{Device: peer(1), Have: tell.Have}); slices.ContainsFunc(effects, isOpen) {
					t.Fatal("equal nodes hold a session")
				}
			}
		}
		if rounds < 10 || rounds > 20 {
			t.Errorf("%d rounds in an hour", rounds)
		}
		each := said / rounds / rooms
		if t.Logf("%d rooms: %d bytes for each", rooms, each); each >= 100 {
			t.Errorf("%d rooms: %d bytes for each", rooms, each)
		}
	}
}

func isOpen(ef Effect) bool { _, ok := ef.(Open); return ok }

// manyHoldings is a node in many rooms, with nothing in them.
type manyHoldings struct{ rooms []chat.RoomID }

func (h *manyHoldings) Rooms() []chat.RoomID                       { return h.rooms }
func (h *manyHoldings) Shared(chat.DeviceID) []chat.RoomID         { return h.rooms }
func (h *manyHoldings) Root(id chat.RoomID) [32]byte               { return id }
func (h *manyHoldings) HasHeld(id chat.RoomID, root [32]byte) bool { return id == root }
func (h *manyHoldings) MovedAt(chat.RoomID) time.Time              { return time.Time{} }
func (h *manyHoldings) WaitingSince(chat.RoomID) time.Time         { return time.Time{} }
