package node

import (
	"sync"
	"time"

	"earshot/chat"
)

// What neighbours can do to a node is bounded here: points for what breaks the
// protocol, which decay, and tokens for what is merely too much.
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
	// authorBurst and authorRate bound what one author's entries may take of the
	// live path; what exceeds them is left to catch-up, which the receiver paces.
	// A person pasting a log, or a script, fits; a flood does not.
	authorBurst = 6000
	authorRate  = 500 // entries a second
	// typingBurst and typingRate bound typing signs from one neighbour.
	typingBurst = 10
	typingRate  = 2
	// maxStandings bounds the devices remembered; the ones longest in good
	// standing are forgotten first.
	maxStandings = 4096
)

// standings remembers how devices behave. Safe for concurrent use: the gossip
// validator and the connection gater ask it from their own goroutines.
type standings struct {
	mu      sync.Mutex
	points  map[chat.DeviceID]*points
	authors map[chat.DeviceID]*bucket
	typing  map[chat.DeviceID]*bucket
	refused uint64
}

type points struct {
	score  float64
	at     time.Time
	banned time.Time // until
}

// bucket is a token bucket.
type bucket struct {
	tokens float64
	at     time.Time
}

func newStandings() *standings {
	return &standings{
		points: map[chat.DeviceID]*points{}, authors: map[chat.DeviceID]*bucket{}, typing: map[chat.DeviceID]*bucket{},
	}
}

// refuse counts something refused from d and reports whether d is now cut off.
func (s *standings) refuse(now time.Time, d chat.DeviceID) (banned bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused++
	p := s.points[d]
	if p == nil {
		if len(s.points) >= maxStandings {
			s.forget(now)
		}
		p = &points{at: now}
		s.points[d] = p
	}
	p.decay(now)
	if p.score += refusalPoints; p.score < banPoints {
		return false
	}
	p.score, p.banned = 0, now.Add(banFor)
	return true
}

// replayed counts an entry that had been heard before, which nobody is blamed for.
func (s *standings) replayed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused++
}

// banned reports whether d is cut off.
func (s *standings) banned(now time.Time, d chat.DeviceID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.points[d]
	return p != nil && now.Before(p.banned)
}

// allowAuthor takes a token for one live entry of an author.
func (s *standings) allowAuthor(now time.Time, d chat.DeviceID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return take(s.authors, now, d, authorRate, authorBurst)
}

// allowTyping takes a token for one typing sign of a neighbour.
func (s *standings) allowTyping(now time.Time, d chat.DeviceID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return take(s.typing, now, d, typingRate, typingBurst)
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

// forget makes room: everybody in good standing goes, and if that is nobody, all.
func (s *standings) forget(now time.Time) {
	for d, p := range s.points {
		if p.decay(now); p.score == 0 && !now.Before(p.banned) {
			delete(s.points, d)
		}
	}
	if len(s.points) >= maxStandings {
		clear(s.points)
	}
}

func take(m map[chat.DeviceID]*bucket, now time.Time, d chat.DeviceID, rate, burst float64) bool {
	b := m[d]
	if b == nil {
		if len(m) >= maxStandings {
			for d, b := range m { // full buckets tell nothing
				if b.tokens+now.Sub(b.at).Seconds()*rate >= burst {
					delete(m, d)
				}
			}
			if len(m) >= maxStandings {
				return false
			}
		}
		b = &bucket{tokens: burst, at: now}
		m[d] = b
	}
	b.tokens, b.at = min(burst, b.tokens+max(0, now.Sub(b.at).Seconds())*rate), now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
