package catchup

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// fakeHoldings is what a node holds of the lobby: a set, summed up by its bits.
type fakeHoldings struct {
	set   uint64
	gaps  int
	since time.Time // of the gaps; noon if zero
	was   []uint64  // sets held a moment ago
	moved time.Time
}

func (h *fakeHoldings) Rooms() []chat.RoomID               { return []chat.RoomID{lobby} }
func (h *fakeHoldings) Shared(chat.DeviceID) []chat.RoomID { return h.Rooms() }
func (h *fakeHoldings) Root(chat.RoomID) [32]byte          { return setRoot(h.set) }
func (h *fakeHoldings) MovedAt(chat.RoomID) time.Time      { return h.moved }

func (h *fakeHoldings) HasHeld(_ chat.RoomID, root [32]byte) bool {
	return setRoot(h.set) == root || slices.ContainsFunc(h.was, func(set uint64) bool { return setRoot(set) == root })
}

func (h *fakeHoldings) WaitingSince(chat.RoomID) time.Time {
	switch {
	case h.gaps == 0:
		return time.Time{}
	case h.since.IsZero():
		return noon
	}
	return h.since
}

func setRoot(set uint64) (r [32]byte) {
	copy(r[:], fmt.Sprint(set))
	return r
}

// node is an engine under fake time, with what it wanted done.
type node struct {
	*Engine
	*fakeHoldings
	id    chat.DeviceID
	tells []chat.DeviceID
	opens []chat.DeviceID
}

func newNode(id byte, set uint64) *node {
	n := &node{fakeHoldings: &fakeHoldings{set: set}, id: chat.DeviceID{id}}
	n.Engine = New(n.id, n.fakeHoldings, rand.New(rand.NewPCG(uint64(id), 1)))
	return n
}

func (n *node) do(now time.Time, in Input) []Effect {
	out := n.Handle(now, in)
	for _, ef := range out {
		switch ef := ef.(type) {
		case Tell:
			n.tells = append(n.tells, ef.Device)
		case Open:
			n.opens = append(n.opens, ef.Device)
		}
	}
	return out
}

// pass lets time go by until end, ticking whenever it is due.
func (n *node) pass(t *testing.T, now, end time.Time) {
	t.Helper()
	for range 10_000 {
		next := n.NextTick()
		if next.IsZero() || next.After(end) {
			return
		}
		if !next.After(now) {
			next = now.Add(time.Millisecond)
		}
		now = next
		n.do(now, Tick{})
	}
	t.Fatal("it ticks without end")
}

// have is what a neighbour that holds set says.
func have(set uint64) wire.Have {
	h := &fakeHoldings{set: set}
	return wire.Have{Nonce: nonce, Rooms: roots(nonce, []RoomState{{Room: lobby, Root: h.Root(lobby)}})}
}

func peer(b byte) chat.DeviceID { return chat.DeviceID{b} }

func devices(ids ...byte) (out []chat.DeviceID) {
	for _, b := range ids {
		out = append(out, peer(b))
	}
	return out
}

func check(t *testing.T, what string, got, want []chat.DeviceID) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", what, short(got), short(want))
	}
}

func short(ids []chat.DeviceID) (out []byte) {
	for _, d := range ids {
		out = append(out, d[0])
	}
	return out
}

func TestANewNeighbourIsToldOnce(t *testing.T) {
	n := newNode(1, 5)
	n.do(noon, PeerUp{Device: peer(2)})
	n.do(noon, PeerUp{Device: peer(2)})
	check(t, "told", n.tells, devices(2))
}

func TestEqualNeighboursDoNotAsk(t *testing.T) {
	n := newNode(1, 5)
	n.do(noon, PeerUp{Device: peer(2)})
	n.do(noon, Heard{Device: peer(2), Have: have(5)})
	n.pass(t, noon, noon.Add(20*time.Second))
	check(t, "asked", n.opens, nil)
}

// pair is two nodes that have just met and told each other what they hold.
func pair(low, high uint64) (a, b *node) {
	a, b = newNode(1, low), newNode(2, high)
	for _, ends := range [][2]*node{{a, b}, {b, a}} {
		ends[0].do(noon, PeerUp{Device: ends[1].id})
	}
	a.do(noon, Heard{Device: b.id, Have: have(high)})
	b.do(noon, Heard{Device: a.id, Have: have(low)})
	return a, b
}

func TestTwoWhoMeetHoldOneSessionNotTwo(t *testing.T) {
	for name, c := range map[string]struct{ low, high uint64 }{
		"the lower id lacks": {0, 7}, "the higher id lacks": {7, 0}, "both lack": {3, 12},
	} {
		a, b := pair(c.low, c.high)
		check(t, name+": the lower id asks at once", a.opens, devices(2))
		check(t, name+": the higher waits", b.opens, nil)
		b.do(noon, Begun{Device: a.id})
		end := noon.Add(5 * time.Second) // a long one
		b.pass(t, noon, end)
		union := c.low | c.high
		got := func(n *node) int {
			if n.set == union {
				return 0
			}
			n.set = union
			return 3
		}
		ra, rb := got(a), got(b)
		a.do(end, Ended{Device: b.id, Asked: true, Received: ra, Sent: rb})
		b.do(end, Ended{Device: a.id, Received: rb, Sent: ra})
		a.pass(t, end, end.Add(20*time.Second))
		b.pass(t, end, end.Add(20*time.Second))
		check(t, name+": one session", append(a.opens, b.opens...), devices(2))
	}
}

func TestTheHigherIDAsksWhereTheLowerDoesNot(t *testing.T) {
	_, b := pair(0, 7)
	b.pass(t, noon, noon.Add(askAfter-1))
	check(t, "too early", b.opens, nil)
	b.pass(t, noon, noon.Add(2*askAfter))
	check(t, "asked", b.opens, devices(1))
}

func TestADifferenceThatWentAwayIsNotAskedAbout(t *testing.T) {
	_, b := pair(0, 7)
	b.set = 0 // what differed came or went by the live path
	b.pass(t, noon, noon.Add(10*time.Second))
	check(t, "asked", b.opens, nil)
}

func TestAGapIsAskedOfItsOriginAndThenOfAnother(t *testing.T) {
	n := newNode(1, 5)
	for _, d := range devices(2, 3, 4) {
		n.do(noon, PeerUp{Device: d})
	}
	n.gaps = 1
	n.do(noon, Gap{Device: peer(3)})
	n.do(noon, Gap{Device: peer(3)})
	n.pass(t, noon, noon.Add(repairAfter-1))
	check(t, "it may fill by itself", n.opens, nil)
	n.pass(t, noon, noon.Add(4*repairAfter))
	check(t, "its origin", n.opens, devices(3))
	now := noon.Add(time.Second)
	n.do(now, Ended{Device: peer(3), Asked: true})
	n.pass(t, now, now.Add(retryAfter))
	if len(n.opens) != 2 || n.opens[1] == peer(3) {
		t.Errorf("then asked %v", short(n.opens))
	}
	n.gaps = 0
	n.do(now.Add(3*time.Second), Ended{Device: n.opens[1], Asked: true, Received: 1})
	n.pass(t, now, now.Add(20*time.Second))
	if len(n.opens) != 2 {
		t.Errorf("asked on: %v", short(n.opens))
	}
}

func TestAGapThatFilledByItselfIsNotAskedAbout(t *testing.T) {
	n := newNode(1, 5)
	n.do(noon, PeerUp{Device: peer(2)})
	n.gaps = 1
	n.do(noon, Gap{Device: peer(2)})
	n.gaps = 0
	n.pass(t, noon, noon.Add(time.Second))
	check(t, "asked", n.opens, nil)
}

func TestAGapThatNobodyFillsCostsLittle(t *testing.T) {
	n := newNode(1, 5)
	n.gaps = 1
	n.do(noon, PeerUp{Device: peer(2)})
	n.do(noon, PeerUp{Device: peer(3)})
	hour := noon.Add(time.Hour)
	for now := noon; now.Before(hour); now = now.Add(100 * time.Millisecond) {
		before := len(n.opens)
		n.do(now, Gap{Device: peer(2)}) // a stranger sends more of them all the time
		for _, d := range n.opens[before:] {
			n.do(now, Ended{Device: d, Asked: true})
		}
	}
	if got := len(n.opens); got < 20 || got > 300 {
		t.Errorf("%d sessions in an hour", got)
	}
}

func TestADifferenceThatNothingSettlesCostsLittle(t *testing.T) {
	n := newNode(1, 5)
	n.do(noon, PeerUp{Device: peer(2)})
	hour := noon.Add(time.Hour)
	for now := noon; now.Before(hour); now = now.Add(100 * time.Millisecond) {
		before := len(n.opens)
		n.do(now, Heard{Device: peer(2), Have: have(9)})
		for _, d := range n.opens[before:] {
			// They send what is refused here, again and again.
			n.do(now, Ended{Device: d, Asked: true, Received: 3})
		}
	}
	if got := len(n.opens); got < 10 || got > 150 {
		t.Errorf("%d sessions in an hour", got)
	}
	if got := len(n.tells); got > 200 {
		t.Errorf("%d tells in an hour", got)
	}
}

func TestWhoLostSomethingIsToldWhenItIsQuiet(t *testing.T) {
	n := newNode(1, 5)
	n.do(noon, PeerUp{Device: peer(2)})
	n.tells = nil
	n.do(noon, Lost{Device: peer(2)})
	n.do(noon.Add(tellAfter/2), Lost{Device: peer(2)})
	n.pass(t, noon, noon.Add(tellAfter+tellAfter/2-1))
	check(t, "not yet", n.tells, nil)
	n.pass(t, noon, noon.Add(2*tellAfter))
	check(t, "told", n.tells, devices(2))
}

func TestWhoLosesAllTheTimeIsToldAllTheSame(t *testing.T) {
	n := newNode(1, 5)
	n.do(noon, PeerUp{Device: peer(2)})
	n.tells = nil
	for now := noon; now.Before(noon.Add(10 * time.Second)); now = now.Add(tellAfter / 3) {
		n.do(now, Lost{Device: peer(2)})
	}
	if len(n.tells) < 4 || len(n.tells) > 6 {
		t.Errorf("told %d times in 10 s", len(n.tells))
	}
}

func TestWhatWasLearntIsOfferedOn(t *testing.T) {
	n := newNode(1, 5)
	for _, d := range devices(2, 3, 4) {
		n.do(noon, PeerUp{Device: d})
	}
	n.do(noon, Heard{Device: peer(2), Have: have(7)})
	n.tells = nil
	n.set = 7
	n.do(noon, Ended{Device: peer(2), Asked: true, Received: 1})
	n.pass(t, noon, noon.Add(cascadeAfter-1))
	check(t, "not at once", n.tells, nil)
	n.pass(t, noon, noon.Add(4*cascadeAfter))
	slices.SortFunc(n.tells, func(a, b chat.DeviceID) int { return bytes.Compare(a[:], b[:]) })
	check(t, "the others are told", n.tells, devices(3, 4))
	n.tells = nil
	n.do(noon.Add(time.Second), Ended{Device: peer(2), Received: 0})
	n.do(noon.Add(time.Second), Ended{Device: peer(2), Received: 9}) // of which nothing is kept
	n.pass(t, noon.Add(time.Second), noon.Add(5*time.Second))
	check(t, "nothing new, nothing told", n.tells, nil)
}

func TestJoiningARoomIsToldToAll(t *testing.T) {
	n := newNode(1, 5)
	n.do(noon, PeerUp{Device: peer(2)})
	n.do(noon, PeerUp{Device: peer(3)})
	n.tells = nil
	n.do(noon, Joined{})
	check(t, "told", n.tells, devices(2, 3))
}

func TestNewsDuringASessionIsNotForgotten(t *testing.T) {
	n := newNode(1, 5)
	n.do(noon, PeerUp{Device: peer(2)})
	n.do(noon, Heard{Device: peer(2), Have: have(7)})
	check(t, "asked", n.opens, devices(2))
	n.do(noon, Heard{Device: peer(2), Have: have(15)})
	n.set = 7
	n.do(noon.Add(time.Second), Ended{Device: peer(2), Asked: true, Received: 1})
	n.pass(t, noon.Add(time.Second), noon.Add(3*time.Second))
	check(t, "asked again", n.opens, devices(2, 2))
}

func TestAFailedSessionIsTriedAgainAFewTimes(t *testing.T) {
	n := newNode(1, 5)
	n.do(noon, PeerUp{Device: peer(2)})
	n.do(noon, Heard{Device: peer(2), Have: have(7)})
	n.tells = nil
	now := noon
	failures := 0
	for range 100 {
		if len(n.opens) > failures {
			failures++
			n.do(now, Ended{Device: peer(2), Asked: true, Failed: true})
		}
		before := len(n.tells)
		now = now.Add(time.Second)
		n.do(now, Tick{})
		if len(n.tells) > before { // which they answer
			n.do(now, Heard{Device: peer(2), Have: have(7)})
		}
	}
	if failures < 3 || failures > 2+maxBarren {
		t.Errorf("%d sessions", failures)
	}
}

func TestSessionsAreBounded(t *testing.T) {
	n := newNode(1, 5)
	for b := range byte(30) {
		n.do(noon, PeerUp{Device: peer(b + 2)})
		n.do(noon, Heard{Device: peer(b + 2), Have: have(7)})
	}
	if len(n.opens) != maxSessions {
		t.Fatalf("%d sessions", len(n.opens))
	}
	if next := n.NextTick(); next.Before(noon.Add(time.Second)) {
		t.Error("it ticks for sessions that it may not open")
	}
	n.do(noon, Ended{Device: n.opens[0], Asked: true})
	if len(n.opens) != maxSessions+1 {
		t.Errorf("%d sessions after one ended", len(n.opens))
	}
	n.do(noon, PeerDown{Device: n.opens[1]})
	if len(n.opens) != maxSessions+2 {
		t.Errorf("%d sessions after a neighbour left", len(n.opens))
	}
}

func TestNeighboursComeAndGo(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	n := newNode(1, 5)
	running := map[chat.DeviceID]bool{}
	now := noon
	for range 20_000 {
		now = now.Add(time.Duration(rng.IntN(300)) * time.Millisecond)
		d := peer(byte(2 + rng.IntN(12)))
		var effects []Effect
		switch rng.IntN(8) {
		case 0:
			effects = n.do(now, PeerUp{Device: d})
		case 1:
			if running[d] { // its session ends before its PeerDown
				delete(running, d)
				effects = append(effects, n.do(now, Ended{Device: d, Asked: true, Failed: true})...)
				for _, ef := range effects {
					if o, ok := ef.(Open); ok {
						running[o.Device] = true
					}
				}
			}
			delete(running, d)
			effects = n.do(now, PeerDown{Device: d})
		case 2, 3:
			effects = n.do(now, Heard{Device: d, Have: have(rng.Uint64N(3) + 4)})
		case 4:
			effects = n.do(now, Gap{Device: d})
		case 5:
			n.gaps = rng.IntN(2)
			effects = n.do(now, Lost{Device: d})
		case 6:
			if running[d] {
				delete(running, d)
				effects = n.do(now, Ended{Device: d, Asked: true, Received: rng.IntN(2)})
			}
		case 7:
			effects = n.do(now, Tick{})
		}
		for _, ef := range effects {
			if o, ok := ef.(Open); ok {
				if running[o.Device] {
					t.Fatal("two sessions with one neighbour")
				}
				running[o.Device] = true
			}
		}
		if n.sessions != len(running) || n.sessions > maxSessions {
			t.Fatalf("it counts %d sessions, %d run", n.sessions, len(running))
		}
		if len(n.peers) > 12 {
			t.Fatal("too many neighbours")
		}
	}
	for b := range byte(12) {
		n.do(now, PeerDown{Device: peer(b + 2)})
	}
	if next := n.NextTick(); !next.IsZero() || n.sessions != 0 {
		t.Errorf("alone, it still ticks at %v, with %d sessions", next, n.sessions)
	}
}

func TestAQuietNodeSaysLittleAndLessAndLess(t *testing.T) {
	n := newNode(1, 5)
	for b := range byte(9) {
		n.do(noon, PeerUp{Device: peer(b + 2)})
	}
	n.tells = nil
	size := len(wire.EncodeFrame(n.tell(noon, peer(2)).(Tell).Have))
	n.pass(t, noon, noon.Add(10*time.Minute))
	first := len(n.tells)
	n.pass(t, noon.Add(10*time.Minute), noon.Add(70*time.Minute))
	then := len(n.tells) - first
	if first < 4 || first > 9 || then < 9 || then > 17 {
		t.Errorf("%d rounds in 10 minutes, %d in the next hour", first, then)
	}
	if size > 100 {
		t.Errorf("a round takes %d bytes", size)
	}
	// And one that hears news goes back to the short interval.
	n.tells = nil
	now := noon.Add(70 * time.Minute)
	n.do(now, Heard{Device: peer(2), Have: have(6)})
	n.pass(t, now, now.Add(idleMin*5/4))
	if len(n.tells) == 0 {
		t.Error("no round soon after news")
	}
}

func TestWhoIsNotANeighbourIsNotAsked(t *testing.T) {
	n := newNode(1, 5)
	for _, in := range []Input{
		Heard{Device: peer(2), Have: have(7)},
		Gap{Device: peer(2)},
		Lost{Device: peer(2)},
		Joined{},
		Begun{Device: peer(2)},
		Ended{Device: peer(2), Asked: true, Received: 1},
		PeerDown{Device: peer(2)},
		Tick{},
	} {
		in.isInput()
		if out := n.do(noon, in); len(out) > 0 {
			t.Errorf("%T: %v", in, out)
		}
	}
	if !n.NextTick().IsZero() {
		t.Error("it ticks for nobody")
	}
}
