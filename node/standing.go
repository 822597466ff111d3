package node

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"earshot/chat"
)

// What neighbours can do to a node is bounded here: points for what breaks the
// protocol, which decay, tokens for what is merely too much, and places for what
// may be open at a time.
const (
	// refusalPoints is what one refused entry or frame costs its sender.
	refusalPoints = 20
	// banPoints is the standing at which a neighbour is cut off: five refusals
	// at once, since an honest node of another version may be wrong now and then.
	banPoints = 100
	// pointsHalfLife is how fast points decay.
	pointsHalfLife = time.Minute
	// banFor is how long a neighbour stays cut off (guess).
	banFor = 10 * time.Minute
	// maxStandings bounds the devices remembered in each of the tables below.
	maxStandings = 4096
)

// The rates, in tokens a second, and bursts of what devices may do.
const (
	// authorRate and authorBurst bound what one author's entries may take of the
	// live path; what exceeds them is left to catch-up, which the receiver paces.
	// A person pasting a log, or a script, fits; a flood does not.
	authorRate, authorBurst = 500, 6000
	// relayRate and relayBurst bound what one neighbour passes on of all authors:
	// identities are free, and each entry costs the check of a signature. It is
	// what several busy authors at once may say.
	relayRate, relayBurst = 2000, 12000
	// uninvitedRate and uninvitedBurst bound the streams for entries that a device
	// opens which is in no room with this one: an honest one does so while the news
	// of its being in are on their way, ever less often.
	uninvitedRate, uninvitedBurst = 0.1, 20
	// frameRate and frameBurst bound the frames heard on peer streams; faster ones
	// are read later. Honest nodes send a few a minute, and one more for each room
	// they join.
	frameRate, frameBurst = 100, 300
	// pacedPerRefusal is how many frames that had to wait, less those that had not,
	// count as one refusal: who goes on for five seconds is no honest node.
	pacedPerRefusal = 100
	// typingRate and typingBurst bound typing signs from one neighbour.
	typingRate, typingBurst = 2, 10
	// helloRate and helloBurst bound how often a neighbour may introduce itself on
	// one connection; once is enough.
	helloRate, helloBurst = 0.5, 10
	// contactRate and contactBurst bound contact messages from one neighbour: an
	// honest one sends a few at the first meeting, and repeats them after minutes.
	contactRate, contactBurst = 0.1, 10
	// verifyRate and verifyBurst bound messages of verifications from one
	// neighbour: three are one, and two people hardly start one a minute.
	verifyRate, verifyBurst = 0.1, 20
	// profileRate and profileBurst bound what one neighbour tells of its person: an
	// honest one does so when they meet, and when the person changes something.
	profileRate, profileBurst = 0.1, 20
	// courierRate and courierBurst bound the frames about envelopes that are heard of
	// one neighbour, each of which may bring 60 KiB to be stored: a contact's whole
	// quota comes at once, and a flood of them waits at its sender's.
	courierRate, courierBurst = 20, 300
)

// standings remembers how devices behave. Safe for concurrent use: the gossip
// validator and the connection gater ask it from their own goroutines.
type standings struct {
	mu      sync.Mutex
	points  map[chat.DeviceID]*points
	since   map[chat.DeviceID]time.Time // when those connected now came
	refused uint64

	authors, relays, directs, uninvited, frames, typing, hellos, contacts, verifies, profiles, couriers buckets
}

type points struct {
	score  float64
	at     time.Time
	banned time.Time // until
}

func newStandings() *standings {
	return &standings{
		points: map[chat.DeviceID]*points{}, since: map[chat.DeviceID]time.Time{},
		authors: newBuckets(authorRate, authorBurst), relays: newBuckets(relayRate, relayBurst),
		directs: newBuckets(authorRate, authorBurst), uninvited: newBuckets(uninvitedRate, uninvitedBurst),
		frames: newBuckets(frameRate, frameBurst), typing: newBuckets(typingRate, typingBurst),
		hellos: newBuckets(helloRate, helloBurst), contacts: newBuckets(contactRate, contactBurst),
		verifies: newBuckets(verifyRate, verifyBurst), couriers: newBuckets(courierRate, courierBurst),
		profiles: newBuckets(profileRate, profileBurst),
	}
}

// refuse counts something refused from d, nobody if d is zero, and reports whether
// that has cut d off.
func (s *standings) refuse(now time.Time, d chat.DeviceID) (banned bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused++
	if d.IsZero() {
		return false
	}
	p := s.points[d]
	if p == nil {
		if len(s.points) >= maxStandings {
			s.forget(now)
		}
		p = &points{at: now}
		s.points[d] = p
	}
	if now.Before(p.banned) {
		return false // what was on its way when it was cut off
	}
	p.decay(now)
	if p.score += refusalPoints; p.score < banPoints {
		return false
	}
	p.score, p.banned = 0, now.Add(banFor)
	return true
}

// banned reports whether d is cut off.
func (s *standings) banned(now time.Time, d chat.DeviceID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.points[d]
	return p != nil && now.Before(p.banned)
}

// came notes that d is connected from now on, left that it no longer is.
func (s *standings) came(now time.Time, d chat.DeviceID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since[d] = now
	delete(s.hellos.held, d)
}

func (s *standings) left(d chat.DeviceID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.since, d)
}

// connectedSince reports whether d has been connected without a break since at.
func (s *standings) connectedSince(d chat.DeviceID, at time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	since, ok := s.since[d]
	return ok && !at.Before(since)
}

// allow takes a token from d's bucket, which is one of s.
func (s *standings) allow(b *buckets, now time.Time, d chat.DeviceID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return b.take(now, d)
}

// count returns how much was refused since the start.
func (s *standings) count() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

func (p *points) decay(now time.Time) {
	for ; p.score >= 1 && now.Sub(p.at) >= pointsHalfLife; p.at = p.at.Add(pointsHalfLife) {
		p.score /= 2
	}
	if p.score < 1 {
		p.score, p.at = 0, now
	}
}

// forget makes room. Who is cut off stays so as long as there is room for anybody
// else: points of a crowd of new identities must not set an old one free.
func (s *standings) forget(now time.Time) {
	for d, p := range s.points {
		if p.decay(now); p.score == 0 && !now.Before(p.banned) {
			delete(s.points, d)
		}
	}
	if len(s.points) < maxStandings {
		return
	}
	for d, p := range s.points {
		if !now.Before(p.banned) {
			delete(s.points, d)
		}
	}
	if len(s.points) < maxStandings {
		return
	}
	clear(s.points)
}

// buckets are token buckets, one for each device that lately took a token.
type buckets struct {
	rate, burst float64
	held        map[chat.DeviceID]bucket
}

type bucket struct {
	tokens float64
	at     time.Time
}

func newBuckets(rate, burst float64) buckets {
	return buckets{rate: rate, burst: burst, held: map[chat.DeviceID]bucket{}}
}

func (b *buckets) level(now time.Time, k bucket) float64 {
	return min(b.burst, k.tokens+max(0, now.Sub(k.at).Seconds())*b.rate)
}

// take takes a token, if there is one.
func (b *buckets) take(now time.Time, d chat.DeviceID) bool {
	k, ok := b.held[d]
	if !ok {
		if len(b.held) >= maxStandings {
			b.forget(now)
		}
		k = bucket{tokens: b.burst, at: now}
	}
	k.tokens, k.at = b.level(now, k), now
	ok = k.tokens >= 1
	if ok {
		k.tokens--
	}
	b.held[d] = k
	return ok
}

// forget makes room: full buckets tell nothing, and if there is none, the fuller
// half goes. A newcomer is never turned away because of others.
func (b *buckets) forget(now time.Time) {
	sum := 0.0
	for d, k := range b.held {
		level := b.level(now, k)
		if sum += level; level >= b.burst {
			delete(b.held, d)
		}
	}
	if len(b.held) < maxStandings {
		return
	}
	mean := sum / float64(len(b.held))
	for d, k := range b.held {
		if b.level(now, k) >= mean {
			delete(b.held, d)
		}
	}
}

// places bounds how much of something is open at a time, for each device and
// altogether. Safe for concurrent use.
type places struct {
	each, all int

	mu    sync.Mutex
	total int
	held  map[chat.DeviceID]int
}

func newPlaces(each, all int) *places {
	return &places{each: each, all: all, held: map[chat.DeviceID]int{}}
}

// take takes a place. If there is none, it reports whether d itself has too many.
func (p *places) take(d chat.DeviceID) (ok, own bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.held[d] >= p.each:
		return false, true
	case p.total >= p.all:
		return false, false
	}
	p.held[d]++
	p.total++
	return true, false
}

// free gives a place back.
func (p *places) free(d chat.DeviceID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total--
	if p.held[d]--; p.held[d] == 0 {
		delete(p.held, d)
	}
}

// refuse counts something that no honest device would have sent, and cuts off who
// does it again and again.
func (c *core) refuse(d chat.DeviceID, err error) { c.n.refuseFrom(d, err) }

func (n *Node) refuseFrom(d chat.DeviceID, err error) {
	n.log.Debug("refused", "device", d.Short(), "err", err)
	if d == n.device {
		d = chat.DeviceID{} // somebody plays with what is ours
	}
	if !n.standings.refuse(time.Now(), d) {
		return
	}
	n.rarely("banned", slog.LevelWarn, "a device breaks the protocol again and again; it is not listened to for a while",
		"device", d.Short(), "minutes", banFor.Minutes(), "last", err)
	n.spawn(func(context.Context) { _ = n.host.Disconnect(d) })
}
