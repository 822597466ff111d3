package discovery

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"pgregory.net/rapid"
)

func newTestSchedule(self peer.ID, cfg ScheduleConfig) *Schedule {
	return NewSchedule(t0, self, cfg, rand.New(rand.NewPCG(1, 2)))
}

// dialedAt advances a schedule until it dials id, and returns when.
func dialedAt(t testing.TB, s *Schedule, now time.Time, id peer.ID) time.Time {
	t.Helper()
	for range 10_000 {
		dial, wake := s.Next(now)
		if slices.Contains(dial, id) {
			return now
		}
		if wake.IsZero() {
			t.Fatalf("%s will never be dialled", id)
		}
		if !wake.After(now) {
			t.Fatalf("wake at %v is not after now", wake)
		}
		now = wake
	}
	t.Fatalf("%s was not dialled", id)
	return now
}

func between(t testing.TB, what string, got, low, high time.Duration) {
	t.Helper()
	if got < low || got > high {
		t.Errorf("%s: after %v, want %v to %v", what, got, low, high)
	}
}

func TestFirstDial(t *testing.T) {
	const low, high = peer.ID("a"), peer.ID("z")
	later := t0.Add(time.Hour)
	for _, c := range []struct {
		what     string
		self, of peer.ID
		sighted  time.Time
		min, max time.Duration
	}{
		{"the lower id dials at once", low, high, later, 0, 0},
		{"the higher id leaves it to the other", high, low, later, 2 * time.Second, 2500 * time.Millisecond},
		{"a newcomer with the lower id dials at once", low, high, t0, 0, 0},
		{"a newcomer with the higher id hardly waits", high, low, t0.Add(5 * time.Millisecond), 30 * time.Millisecond, 60 * time.Millisecond},
	} {
		s := newTestSchedule(c.self, ScheduleConfig{})
		s.Want(c.sighted, c.of, true)
		between(t, c.what, dialedAt(t, s, c.sighted, c.of).Sub(c.sighted), c.min, c.max)
	}
}

func TestHigherIDDoesNotDialWhenTheOtherDid(t *testing.T) {
	s := newTestSchedule("z", ScheduleConfig{})
	s.Want(t0, "a", true)
	s.Connected("a")
	if dial, wake := s.Next(t0.Add(time.Hour)); len(dial) != 0 || !wake.IsZero() {
		t.Errorf("dials %v, wakes at %v", dial, wake)
	}
}

func TestBackOff(t *testing.T) {
	for _, c := range []struct {
		why  Failure
		want []time.Duration // the longest wait after each failure; the shortest is half of it
	}{
		{Unreachable, []time.Duration{1, 1, 2, 4, 8, 16, 32}},
		{RefusedDial, []time.Duration{0, 1, 2, 4, 8, 16, 32}},
	} {
		s, now := newTestSchedule("a", ScheduleConfig{}), t0
		s.Want(now, "b", true)
		now = dialedAt(t, s, now, "b")
		for i, want := range c.want {
			if s.Failed(now, "b", c.why) {
				t.Fatalf("given up after %d failures", i+1)
			}
			high := want * time.Second
			low := high / 2
			if want == 0 {
				low, high = 50*time.Millisecond, 150*time.Millisecond
			}
			next := dialedAt(t, s, now, "b")
			between(t, fmt.Sprintf("failure %d of kind %d", i+1, c.why), next.Sub(now), low, high)
			now = next
		}
		if !s.Failed(now, "b", c.why) {
			t.Error("not given up after 8 failures")
		}
		if dial, wake := s.Next(now.Add(time.Hour)); len(dial) != 0 || !wake.IsZero() {
			t.Errorf("a device that was given up is dialled: %v, %v", dial, wake)
		}
		s.Want(now, "b", false)
		between(t, "given up and mentioned again", dialedAt(t, s, now, "b").Sub(now), 30*time.Second, time.Minute)
		s.Failed(now, "b", c.why)
		s.Want(now, "b", true)
		between(t, "given up and moved", dialedAt(t, s, now, "b").Sub(now), 0, 0)
	}
}

func TestTrustedDeviceIsNeverGivenUp(t *testing.T) {
	s, now := newTestSchedule("a", ScheduleConfig{}), t0
	s.Want(now, "b", true)
	s.Trust("b", true)
	for i := range 50 {
		next := dialedAt(t, s, now, "b")
		if i > 10 {
			between(t, "back-off at its longest", next.Sub(now), 30*time.Second, time.Minute)
		}
		if now = next; s.Failed(now, "b", Unreachable) {
			t.Fatal("given up")
		}
	}
}

func TestWrongPeerIsGivenUpAtOnce(t *testing.T) {
	s := newTestSchedule("a", ScheduleConfig{})
	s.Want(t0, "b", true)
	s.Trust("b", true)
	s.Next(t0)
	if !s.Failed(t0, "b", WrongPeer) {
		t.Error("not given up")
	}
}

func TestSuccessResetsBackOff(t *testing.T) {
	s, now := newTestSchedule("a", ScheduleConfig{}), t0
	s.Want(now, "b", true)
	for range 5 {
		now = dialedAt(t, s, now, "b")
		s.Failed(now, "b", Unreachable)
	}
	now = dialedAt(t, s, now, "b")
	s.Connected("b")
	s.Disconnected(now, "b")
	next := dialedAt(t, s, now, "b")
	between(t, "lost connection", next.Sub(now), 50*time.Millisecond, 150*time.Millisecond)
	s.Failed(next, "b", Unreachable)
	between(t, "first failure after it", dialedAt(t, s, next, "b").Sub(next), 500*time.Millisecond, time.Second)
}

func TestNetworkChangeResetsAllBackOffs(t *testing.T) {
	s, now := newTestSchedule("m", ScheduleConfig{}), t0
	for _, id := range []peer.ID{"a", "z"} {
		s.Want(now, id, true)
		for range 7 {
			now = dialedAt(t, s, now, id)
			s.Failed(now, id, Unreachable)
		}
	}
	now = dialedAt(t, s, now, "z")
	s.Failed(now, "z", Unreachable) // given up
	s.Failed(now, "a", Unreachable) // was dialled meanwhile
	s.NetworkChanged(now)
	between(t, "the higher one", dialedAt(t, s, now, "z").Sub(now), 0, 0)
	between(t, "the lower one", dialedAt(t, s, now, "a").Sub(now), 30*time.Millisecond, 60*time.Millisecond)
	s.Failed(now, "z", Unreachable)
	between(t, "first failure after it", dialedAt(t, s, now, "z").Sub(now), 500*time.Millisecond, time.Second)
}

// A flood of invented devices neither holds up a reconnect nor makes us dial without limit.
func TestDialFlood(t *testing.T) {
	s := newTestSchedule("a", ScheduleConfig{})
	s.Connected("friend")
	s.Trust("friend", true)
	for i := range 20_000 {
		if !s.Want(t0, peer.ID(fmt.Sprint("invented ", i)), true) {
			t.Fatal("no room for a new device")
		}
	}
	if s.Len() > 4096 {
		t.Errorf("%d devices", s.Len())
	}
	first, _ := s.Next(t0)
	if len(first) != 12 {
		t.Errorf("%d dials of strangers at once, want all but the 4 reserved", len(first))
	}
	s.Disconnected(t0, "friend")
	if d := dialedAt(t, s, t0, "friend").Sub(t0); d > 150*time.Millisecond {
		t.Errorf("the friend was dialled after %v", d)
	}
	for _, id := range append(first, "friend") {
		s.Failed(t0, id, RefusedDial)
	}
	dials, now := 0, t0
	for now.Before(t0.Add(10 * time.Second)) {
		dial, wake := s.Next(now)
		for _, id := range dial {
			dials++
			s.Failed(now, id, RefusedDial)
		}
		if wake.IsZero() || !wake.After(now) {
			t.Fatalf("wake %v at %v", wake, now)
		}
		now = wake
	}
	if dials < 100 || dials > 128+16*10 {
		t.Errorf("%d dials of invented devices in 10 s", dials)
	}
}

// Two nodes that start together connect, soon and mostly once, even if the first dial of either is refused.
func TestColdStart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := []peer.ID{"a", "b"}
		seed := rapid.Uint64().Draw(t, "seed")
		offset := time.Duration(rapid.Int64Range(0, int64(400*time.Millisecond)).Draw(t, "offset"))
		refused := rapid.Bool().Draw(t, "refused")
		start := []time.Time{t0, t0.Add(offset)}
		if rapid.Bool().Draw(t, "b first") {
			start[0], start[1] = start[1], start[0]
		}
		both := t0.Add(offset) // when both are up and sight each other
		var s [2]*Schedule
		for i := range s {
			s[i] = NewSchedule(start[i], ids[i], ScheduleConfig{}, rand.New(rand.NewPCG(seed, uint64(i))))
			s[i].Want(both, ids[1-i], true)
		}
		attempts := 0
		for now := both; now.Before(both.Add(500 * time.Millisecond)); now = now.Add(time.Millisecond) {
			for i := range s {
				dial, _ := s[i].Next(now)
				if len(dial) == 0 {
					continue
				}
				if attempts++; refused && attempts == 1 {
					s[i].Failed(now, dial[0], RefusedDial)
					continue
				}
				return // connected
			}
		}
		t.Fatal("not connected within 0.5 s")
	})
}

// Whatever happens, the schedule keeps its bounds, dials nobody twice at once, and never forgets a waiting device.
func TestScheduleInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := ScheduleConfig{MaxPeers: 10, MaxInFlight: 4, DialBurst: 5}
		s, now := newTestSchedule("m", cfg), t0
		running := map[peer.ID]bool{}
		id := rapid.Map(rapid.IntRange(0, 25), func(i int) peer.ID { return peer.ID(rune('a' + i)) })
		t.Repeat(map[string]func(*rapid.T){
			"want": func(t *rapid.T) { s.Want(now, id.Draw(t, "id"), rapid.Bool().Draw(t, "changed")) },
			"trust": func(t *rapid.T) {
				s.Trust(id.Draw(t, "id"), rapid.Bool().Draw(t, "trusted"))
			},
			"forget":       func(t *rapid.T) { i := id.Draw(t, "id"); delete(running, i); s.Forget(i) },
			"connected":    func(t *rapid.T) { i := id.Draw(t, "id"); delete(running, i); s.Connected(i) },
			"disconnected": func(t *rapid.T) { s.Disconnected(now, id.Draw(t, "id")) },
			"failed": func(t *rapid.T) {
				i := id.Draw(t, "id")
				delete(running, i)
				s.Failed(now, i, Failure(rapid.IntRange(0, 2).Draw(t, "why")))
			},
			"network changed": func(*rapid.T) { s.NetworkChanged(now) },
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.Int64Range(0, int64(2*time.Minute)).Draw(t, "wait")))
			},
			"next": func(t *rapid.T) {
				dial, wake := s.Next(now)
				for _, d := range dial {
					if running[d] || d == "m" {
						t.Fatalf("%s is dialled twice, or is ourselves", d)
					}
					running[d] = true
				}
				if !wake.IsZero() && !wake.After(now) {
					t.Fatalf("wake %v is not after %v", wake, now)
				}
				for i, p := range s.peers {
					if p.state == waiting && wake.IsZero() && s.InFlight() == 0 {
						t.Fatalf("%s waits and nothing will wake us", i)
					}
				}
			},
			"": func(t *rapid.T) {
				if s.Len() > cfg.MaxPeers || s.InFlight() > cfg.MaxInFlight || s.InFlight() != len(running) {
					t.Fatalf("%d devices, %d in flight, %d expected", s.Len(), s.InFlight(), len(running))
				}
			},
		})
	})
}

// The same inputs give the same decisions, whatever order maps are walked in.
func TestScheduleIsDeterministic(t *testing.T) {
	trace := func() string {
		s, out := newTestSchedule("m", ScheduleConfig{MaxPeers: 40, DialBurst: 10}), ""
		now := t0
		for i := range 300 {
			s.Want(now, peer.ID(fmt.Sprint(i%70)), i%3 == 0)
			if i%50 == 49 {
				s.NetworkChanged(now)
			}
			dial, wake := s.Next(now)
			for j, id := range dial {
				if j%2 == 0 {
					s.Failed(now, id, Unreachable)
				} else {
					s.Connected(id)
				}
			}
			out += fmt.Sprintln(dial, wake)
			now = now.Add(20 * time.Millisecond)
		}
		return out
	}
	first := trace()
	for range 5 {
		if trace() != first {
			t.Fatal("two runs with one seed differ")
		}
	}
}
