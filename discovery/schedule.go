package discovery

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// ScheduleConfig holds the numbers of a Schedule. Zero fields take the defaults named below.
type ScheduleConfig struct {
	// YieldTo is how long the device with the higher peer id leaves the first dial to the other; up to a quarter is
	// added at random. Default 2 s: a dial on a LAN takes milliseconds, so by then the other one cannot reach us.
	YieldTo time.Duration
	// Fresh is how long after the start, or a change of network, we count as a newcomer, who dials at once or nearly
	// so whatever its peer id, because the others may not have noticed it yet. Default 1 s.
	Fresh time.Duration
	// FreshYield bounds the random time a newcomer with the higher peer id waits: at least half of it, at most all.
	// Default 60 ms: when two start together, the lower one's dial is through by then.
	FreshYield time.Duration
	// QuickRetry bounds the random wait after a first refused dial: at least a third of it, at most all. Default
	// 150 ms: two nodes that start together may meet a port that opens a moment later.
	QuickRetry time.Duration
	// MinBackOff is the back-off after a failure; it doubles with each further one, up to MaxBackOff. The wait is
	// random, at least half of the back-off and at most all of it. Defaults 1 s and 60 s.
	MinBackOff, MaxBackOff time.Duration
	// MaxFailures is how many failures in a row make a device given up. Default 8, which takes one to two minutes.
	MaxFailures int
	// MaxInFlight is how many dials run at once. Default 16.
	MaxInFlight int
	// ReservedInFlight is how many of those are kept for trusted devices. Default a quarter of MaxInFlight: then a
	// flood of invented devices whose addresses swallow packets cannot hold up a reconnect.
	ReservedInFlight int
	// DialBurst and DialsPerSecond bound the dials of untrusted devices over time, so that a stranger who invents
	// devices cannot turn all nodes of a LAN into a flood of connection attempts. Defaults 128 and 16 (guesses: a LAN
	// of 200 where all start together stays within the burst).
	DialBurst, DialsPerSecond int
	// MaxPeers is how many devices are scheduled. Default 4096, as in a Book.
	MaxPeers int
}

func (c ScheduleConfig) withDefaults() ScheduleConfig {
	c.YieldTo = cmp.Or(c.YieldTo, 2*time.Second)
	c.Fresh = cmp.Or(c.Fresh, time.Second)
	c.FreshYield = cmp.Or(c.FreshYield, 60*time.Millisecond)
	c.QuickRetry = cmp.Or(c.QuickRetry, 150*time.Millisecond)
	c.MinBackOff = cmp.Or(c.MinBackOff, time.Second)
	c.MaxBackOff = cmp.Or(c.MaxBackOff, time.Minute)
	c.MaxFailures = cmp.Or(c.MaxFailures, 8)
	c.MaxInFlight = cmp.Or(c.MaxInFlight, 16)
	c.ReservedInFlight = cmp.Or(c.ReservedInFlight, c.MaxInFlight/4)
	c.DialBurst = cmp.Or(c.DialBurst, 128)
	c.DialsPerSecond = cmp.Or(c.DialsPerSecond, 16)
	c.MaxPeers = cmp.Or(c.MaxPeers, 4096)
	return c
}

// A Schedule decides when which device is dialled. It knows neither addresses nor connections; it is told what happens
// and asked for what is due:
//
//	for {
//		due, wake := schedule.Next(now)
//		// dial those that are due; each ends in Connected or Failed
//		// wait for a result, an event of a source, or wake
//	}
//
// Of two devices that find each other the one with the lower peer id dials, because two connections cost twice the
// keep-alives; the other one dials too if nothing came. See PROTOCOL.md#who-dials.
type Schedule struct {
	self     peer.ID
	cfg      ScheduleConfig
	rnd      *rand.Rand
	peers    map[peer.ID]*plan
	started  time.Time // of our time as a newcomer
	inFlight int       // dials that run
	budget   float64   // dials of untrusted devices we may start
	filled   time.Time // when budget was last topped up
}

// A plan is what is intended for one device.
type plan struct {
	state    planState
	due      time.Time // while waiting
	failures int       // in a row
	trusted  bool
}

type planState uint8

const (
	waiting   planState = iota // to be dialled at due
	dialing                    // a dial runs
	connected                  // nothing to do
	parked                     // given up until there is news
)

// NewSchedule returns an empty schedule for the device self, which starts now. rnd is the source of jitter.
func NewSchedule(now time.Time, self peer.ID, cfg ScheduleConfig, rnd *rand.Rand) *Schedule {
	cfg = cfg.withDefaults()
	return &Schedule{
		self: self, cfg: cfg, rnd: rnd, peers: map[peer.ID]*plan{},
		started: now, budget: float64(cfg.DialBurst), filled: now,
	}
}

// Want says that a device was sighted and should be connected to. changed tells that it has addresses it did not have
// before: then failures so far say nothing, and it is dialled as if it were new. A device that was given up and is
// merely mentioned again gets one more try per MaxBackOff. Want reports false if there is no room.
func (s *Schedule) Want(now time.Time, id peer.ID, changed bool) bool {
	p := s.peers[id]
	switch {
	case id == s.self:
		return false
	case p == nil:
		if len(s.peers) >= s.cfg.MaxPeers && !s.evict() {
			return false
		}
		s.peers[id] = &plan{due: now.Add(s.firstWait(now, id))}
	case changed:
		if p.state == waiting && p.failures > 0 || p.state == parked {
			p.state, p.due = waiting, now.Add(s.firstWait(now, id))
		}
		p.failures = 0
	case p.state == parked:
		p.state, p.due = waiting, now.Add(s.between(s.cfg.MaxBackOff/2, s.cfg.MaxBackOff))
	}
	return true
}

// Trust marks a device as one we care about: it uses the reserved dials, is never given up and never displaced.
func (s *Schedule) Trust(id peer.ID, trusted bool) {
	if p := s.peers[id]; p != nil {
		p.trusted = trusted
	}
}

// Forget removes a device, for instance one that said goodbye. The result of a dial that runs is then ignored.
func (s *Schedule) Forget(id peer.ID) {
	if p := s.peers[id]; p != nil {
		s.leave(p)
		delete(s.peers, id)
	}
}

// Connected says that a connection to the device exists, whoever made it.
func (s *Schedule) Connected(id peer.ID) {
	p := s.peers[id]
	if p == nil {
		if id == s.self || len(s.peers) >= s.cfg.MaxPeers && !s.evict() {
			return
		}
		p = &plan{}
		s.peers[id] = p
	}
	s.leave(p)
	p.state, p.failures = connected, 0
}

// Disconnected says that the last connection to the device is gone. It is dialled again: soon by the device with the
// lower peer id, and by the other one if nothing came.
func (s *Schedule) Disconnected(now time.Time, id peer.ID) {
	if p := s.peers[id]; p != nil && p.state == connected {
		p.state, p.due = waiting, now.Add(s.between(s.cfg.QuickRetry/3, s.cfg.QuickRetry)+s.yield(id))
	}
}

// A Failure says why a dial failed, as far as it matters for the next one.
type Failure uint8

// The kinds of Failure.
const (
	// Unreachable is no answer, or none from there: the device is gone, or the network is.
	Unreachable Failure = iota
	// RefusedDial is a machine that answered "nobody listens here": it may be about to, or to stop.
	RefusedDial
	// WrongPeer is an answer by somebody else. The hint was false; trying again is pointless until there is a new one.
	WrongPeer
)

// Failed says that the dial of a device failed. It reports whether the device is given up: until there is news of it
// it is not dialled again, and its hints may be forgotten.
func (s *Schedule) Failed(now time.Time, id peer.ID, why Failure) (givenUp bool) {
	p := s.peers[id]
	if p == nil || p.state != dialing {
		return false
	}
	s.leave(p)
	p.failures++
	switch {
	case why == WrongPeer, p.failures >= s.cfg.MaxFailures && !p.trusted:
		p.state = parked
		return true
	case why == RefusedDial && p.failures == 1:
		p.state, p.due = waiting, now.Add(s.between(s.cfg.QuickRetry/3, s.cfg.QuickRetry))
	default:
		b := s.backOff(max(p.failures-1, 1)) // the second failure is the first that says something
		p.state, p.due = waiting, now.Add(s.between(b/2, b))
	}
	return false
}

// NetworkChanged says that our interfaces or addresses changed: all failures so far were on another network, and we
// are a newcomer on this one.
func (s *Schedule) NetworkChanged(now time.Time) {
	s.started = now
	for _, id := range s.ids() {
		p := s.peers[id]
		p.failures = 0
		if p.state == waiting || p.state == parked {
			p.state, p.due = waiting, now.Add(s.firstWait(now, id))
		}
	}
}

// Next returns the devices to dial now, the most urgent first, and marks them as being dialled. wake is when to ask
// again if nothing happens before; it is zero if nothing waits for time to pass alone.
func (s *Schedule) Next(now time.Time) (dial []peer.ID, wake time.Time) {
	var due []peer.ID
	for id, p := range s.peers {
		switch {
		case p.state != waiting:
		case !p.due.After(now):
			due = append(due, id)
		case wake.IsZero() || p.due.Before(wake):
			wake = p.due
		}
	}
	slices.SortFunc(due, s.urgency)
	s.refill(now)
	for _, id := range due {
		p := s.peers[id]
		limit := s.cfg.MaxInFlight
		if !p.trusted {
			limit -= s.cfg.ReservedInFlight
		}
		if s.inFlight >= limit {
			break // the rest is no more urgent; a result of a dial makes room
		}
		if !p.trusted {
			if s.budget < 1 {
				if more := now.Add(s.untilBudget()); wake.IsZero() || more.Before(wake) {
					wake = more
				}
				break
			}
			s.budget--
		}
		p.state = dialing
		s.inFlight++
		dial = append(dial, id)
	}
	return dial, wake
}

// urgency orders two devices that are due: trusted ones first, then those that failed least.
func (s *Schedule) urgency(a, b peer.ID) int {
	x, y := s.peers[a], s.peers[b]
	return cmp.Or(compareBool(y.trusted, x.trusted), cmp.Compare(x.failures, y.failures), x.due.Compare(y.due), cmp.Compare(a, b))
}

func (s *Schedule) refill(now time.Time) {
	s.budget += max(0, now.Sub(s.filled).Seconds()) * float64(s.cfg.DialsPerSecond)
	s.budget = min(s.budget, float64(s.cfg.DialBurst))
	s.filled = now
}

// untilBudget is how long until one more untrusted dial may start, rounded up.
func (s *Schedule) untilBudget() time.Duration {
	return time.Duration((1-s.budget)/float64(s.cfg.DialsPerSecond)*float64(time.Second)) + time.Millisecond
}

// InFlight returns how many dials run.
func (s *Schedule) InFlight() int { return s.inFlight }

// Len returns how many devices are scheduled, connected and given-up ones included.
func (s *Schedule) Len() int { return len(s.peers) }

func (s *Schedule) ids() []peer.ID {
	out := make([]peer.ID, 0, len(s.peers))
	for id := range s.peers {
		out = append(out, id)
	}
	slices.Sort(out) // jitter is drawn in a fixed order
	return out
}

// leave ends the dialling state.
func (s *Schedule) leave(p *plan) {
	if p.state == dialing {
		s.inFlight--
		p.state = parked
	}
}

// evict makes room by removing untrusted devices, given-up ones and those that failed most first, but none that is
// connected or being dialled. It removes a sixteenth of all at once, so that a flood does not cost a search each time.
func (s *Schedule) evict() bool {
	var ids []peer.ID
	for id, p := range s.peers {
		if !p.trusted && p.state != connected && p.state != dialing {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b peer.ID) int {
		x, y := s.peers[a], s.peers[b]
		return cmp.Or(compareBool(y.state == parked, x.state == parked), s.urgency(b, a))
	})
	ids = ids[:min(len(ids), s.cfg.MaxPeers/16+1)]
	for _, id := range ids {
		delete(s.peers, id)
	}
	return len(ids) > 0
}

// firstWait is how long to leave a device alone that was just sighted.
func (s *Schedule) firstWait(now time.Time, id peer.ID) time.Duration {
	if s.self < id {
		return 0
	}
	if now.Sub(s.started) < s.cfg.Fresh {
		return s.between(s.cfg.FreshYield/2, s.cfg.FreshYield)
	}
	return s.yield(id)
}

// yield is how long the higher peer id leaves the dial to the other.
func (s *Schedule) yield(id peer.ID) time.Duration {
	if s.self < id {
		return 0
	}
	return s.between(s.cfg.YieldTo, s.cfg.YieldTo+s.cfg.YieldTo/4)
}

func (s *Schedule) backOff(failures int) time.Duration {
	b := s.cfg.MinBackOff
	for range failures - 1 {
		if b >= s.cfg.MaxBackOff/2 {
			return s.cfg.MaxBackOff
		}
		b *= 2
	}
	return min(b, s.cfg.MaxBackOff)
}

// between returns a random duration in [low, high].
func (s *Schedule) between(low, high time.Duration) time.Duration {
	return low + time.Duration(s.rnd.Int64N(int64(high-low)+1))
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}
