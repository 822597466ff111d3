package node

import (
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"

	"earshot/chat"
)

func numbered(i int) (d chat.DeviceID) {
	binary.BigEndian.PutUint64(d[:], uint64(i)+1)
	return d
}

func TestFiveRefusalsAtOnceCutOffForTenMinutes(t *testing.T) {
	now, s, d := time.Now(), newStandings(), numbered(1)
	for i := range 4 {
		if s.refuse(now, d) {
			t.Fatalf("cut off after %d refusals", i+1)
		}
	}
	if s.banned(now, d) || !s.refuse(now, d) || !s.banned(now, d) {
		t.Error("the fifth refusal must cut it off")
	}
	if s.refuse(now, d) {
		t.Error("it is cut off twice")
	}
	if !s.banned(now.Add(banFor-1), d) || s.banned(now.Add(banFor), d) {
		t.Error("it is not cut off for ten minutes")
	}
	if s.refuse(now.Add(banFor), d) {
		t.Error("who comes back has lost its standing at once")
	}
	if s.count() != 7 {
		t.Errorf("%d refusals were counted", s.count())
	}
}

func TestPointsDecay(t *testing.T) {
	now, s, d := time.Now(), newStandings(), numbered(1)
	for i := range 1000 { // one a minute comes to 40 points
		if s.refuse(now.Add(time.Duration(i)*pointsHalfLife), d) {
			t.Fatalf("cut off at the %d", i+1)
		}
	}
	// A clock that is set back is no reason to go on for ever.
	if s.refuse(now.Add(-time.Hour), d) {
		t.Error("cut off by a clock that was set back")
	}
}

func TestNobodyIsBlamedForWhatNobodyIsToBlameFor(t *testing.T) {
	now, s := time.Now(), newStandings()
	for range 100 {
		if s.refuse(now, chat.DeviceID{}) {
			t.Fatal("nobody was cut off")
		}
	}
	if len(s.points) != 0 || s.count() != 100 {
		t.Errorf("%d are remembered, %d were counted", len(s.points), s.count())
	}
}

func TestACrowdOfNewIdentitiesNeitherGrowsMemoryNorFreesWhoIsCutOff(t *testing.T) {
	now, s := time.Now(), newStandings()
	bad, honest := numbered(-10), numbered(-20)
	for range banPoints / refusalPoints {
		s.refuse(now, bad)
	}
	for i := range 3 * maxStandings {
		s.refuse(now, numbered(i))
		if len(s.points) > maxStandings {
			t.Fatalf("%d are remembered", len(s.points))
		}
	}
	if !s.banned(now, bad) {
		t.Error("who was cut off is free")
	}
	if s.banned(now, honest) {
		t.Error("an honest device is cut off")
	}
	// Nothing but those cut off: even then there is room.
	for i := range 2 * maxStandings {
		for range banPoints / refusalPoints {
			s.refuse(now, numbered(i))
		}
	}
	if len(s.points) > maxStandings {
		t.Errorf("%d are remembered", len(s.points))
	}
}

func TestABucketBoundsBurstAndRate(t *testing.T) {
	now, b, d := time.Now(), newBuckets(2, 10), numbered(1)
	took := func(n int) (got int) {
		for range n {
			if b.take(now, d) {
				got++
			}
		}
		return got
	}
	if got := took(100); got != 10 {
		t.Errorf("a burst of %d", got)
	}
	if now = now.Add(3 * time.Second); took(100) != 6 {
		t.Error("not 2 a second")
	}
	if now = now.Add(-time.Hour); took(100) != 0 {
		t.Error("a clock that was set back brings tokens")
	}
	if now = now.Add(2 * time.Hour); took(100) != 10 {
		t.Error("an hour brings more than a burst")
	}
}

func TestAFullTableTurnsNoNewcomerAway(t *testing.T) {
	now, b := time.Now(), newBuckets(1, 10)
	flooder := numbered(-10)
	for range 10 {
		b.take(now, flooder)
	}
	for i := range 3 * maxStandings {
		if !b.take(now, numbered(i)) {
			t.Fatalf("newcomer %d was turned away", i)
		}
		if len(b.held) > maxStandings {
			t.Fatalf("%d are remembered", len(b.held))
		}
	}
	if b.take(now, flooder) {
		t.Error("a crowd has filled the flooder's bucket")
	}
	// Even among equals a newcomer gets room.
	b = newBuckets(1, 2)
	for i := range 2 * maxStandings {
		for range 2 {
			if !b.take(now, numbered(i)) {
				t.Fatalf("newcomer %d was turned away", i)
			}
		}
	}
	if len(b.held) > maxStandings {
		t.Errorf("%d are remembered", len(b.held))
	}
}

func TestPlacesAreForEachAndForAll(t *testing.T) {
	p := newPlaces(2, 3)
	a, b := numbered(1), numbered(2)
	for i, step := range []struct {
		d       chat.DeviceID
		ok, own bool
	}{{a, true, false}, {a, true, false}, {a, false, true}, {b, true, false}, {b, false, false}} {
		if ok, own := p.take(step.d); ok != step.ok || own != step.own {
			t.Errorf("step %d: %v %v", i, ok, own)
		}
	}
	p.free(a)
	if ok, _ := p.take(b); !ok {
		t.Error("a place that was given back is not free")
	}
	p.free(a)
	p.free(b)
	p.free(b)
	if len(p.held) != 0 || p.total != 0 {
		t.Errorf("%v %d are held by nobody", p.held, p.total)
	}
}

func TestAConnectionHasABeginning(t *testing.T) {
	now, s, d := time.Now(), newStandings(), numbered(1)
	if s.connectedSince(d, now) {
		t.Error("it never came")
	}
	s.came(now, d)
	if s.connectedSince(d, now.Add(-1)) || !s.connectedSince(d, now) {
		t.Error("it came now")
	}
	for s.allow(&s.hellos, now, d) {
	}
	s.left(d)
	s.came(now.Add(time.Second), d)
	if s.connectedSince(d, now) || !s.allow(&s.hellos, now, d) {
		t.Error("it came anew")
	}
}

func TestTroubleIsLoggedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, lines := quietNode(t)
		for range 1000 {
			n.rarely("a", 0, "one thing")
			n.rarely("b", 0, "another")
		}
		if len(*lines) != 2 {
			t.Fatalf("%d lines", len(*lines))
		}
		time.Sleep(rareness)
		n.rarely("a", 0, "one thing")
		if got := (*lines)[len(*lines)-1]; got != "one thing unsaid=999" {
			t.Errorf("it says %q", got)
		}
	})
}
