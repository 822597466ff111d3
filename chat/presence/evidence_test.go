package presence

import (
	"testing"
	"time"

	"earshot/chat"
)

func pair(t *testing.T) (w *world, a, b *node) {
	w = newWorld(t)
	a, b = w.node("alice"), w.node("bob")
	friends(a, b)
	a.show(chat.Available)
	b.show(chat.Available)
	w.link(a, b)
	w.run(time.Second)
	a.mustSee(b, true, chat.Available)
	return w, a, b
}

func TestAGoodbyeIsSeenAtOnce(t *testing.T) {
	w, a, b := pair(t)
	b.leaveAll()
	a.mustSee(b, false, "")
	if seen := a.sees(b).LastSeen; w.now.Sub(seen) > 3*delay {
		t.Errorf("last seen %v, it is %v", seen, w.now)
	}
}

func TestACleanEndWithoutARecordIsSeenAtOnce(t *testing.T) {
	w, a, b := pair(t)
	w.unlink(b, a, true)
	a.mustSee(b, false, "")
	b.mustSee(a, true, chat.Available) // it has heard no goodbye
	w.run(grace)
	b.mustSee(a, false, "")
}

func TestACrashIsSeenAfterTwoSeconds(t *testing.T) {
	w, a, b := pair(t)
	lost := w.now
	b.crash()
	w.run(grace - time.Millisecond)
	a.mustSee(b, true, chat.Available)
	w.run(time.Millisecond)
	a.mustSee(b, false, "")
	if seen := a.sees(b).LastSeen; !seen.Equal(lost) {
		t.Errorf("last seen %v, it was lost at %v", seen, lost)
	}
}

func TestAFlapIsNotShown(t *testing.T) {
	w, a, b := pair(t)
	before := a.shown[b.id]
	for range 10 {
		w.unlink(a, b, false)
		w.run(grace / 2)
		w.link(a, b)
		w.run(time.Minute)
	}
	if n := a.shown[b.id] - before; n != 0 {
		t.Errorf("shown anew %d times", n)
	}
}

func TestWhoFlapsOftenMayStayAwayLonger(t *testing.T) {
	w, a, b := pair(t)
	gone := func() time.Duration { // from a loss until it is shown
		w.unlink(a, b, false)
		at := w.now
		for a.sees(b).Here {
			w.run(time.Second)
		}
		d := w.now.Sub(at)
		w.link(a, b)
		w.run(2 * time.Second)
		return d
	}
	for i, want := range []time.Duration{grace, grace, firstGrace, 2 * firstGrace, 4 * firstGrace, maxGrace} {
		if got := gone(); got != want {
			t.Errorf("loss %d is shown after %v, want %v", i+1, got, want)
		}
	}
	w.run(flapTime + maxGrace)
	if got := gone(); got != grace {
		t.Errorf("after a quiet time a loss is shown after %v", got)
	}
}

func TestALongGraceIsShownAsDoubt(t *testing.T) {
	w, a, b := pair(t)
	for range flaps {
		w.unlink(a, b, false)
		w.run(grace / 2)
		if a.sees(b).Suspect {
			t.Fatal("a flap is shown as doubt")
		}
		w.link(a, b)
		w.run(grace)
	}
	w.unlink(a, b, false)
	w.run(grace)
	if v := a.sees(b); !v.Here || !v.Suspect {
		t.Errorf("seen as %+v", v)
	}
}

// An older version says nothing of itself, and is here as long as it is connected.
func TestWhoSaysNothingIsHereWhileConnected(t *testing.T) {
	w := newWorld(t)
	a, old := w.node("alice"), w.node("old")
	w.link(a, old)
	a.mustSee(old, false, "")
	w.run(settling)
	a.mustSee(old, true, "")
	old.crash()
	w.run(grace)
	a.mustSee(old, false, "")
}

func TestLossIsOverturnedOnlyByALaterBeat(t *testing.T) {
	w := newWorld(t)
	n := []*node{w.node("alice"), w.node("bob"), w.node("carol")}
	for _, n := range n {
		n.show(chat.Available)
	}
	a, b, c := n[0], n[1], n[2]
	w.link(a, b)
	w.link(b, c)
	w.link(a, c)
	w.run(20 * time.Minute)
	w.unlink(a, c, false)
	lost := w.now
	w.run(grace)
	a.mustSee(c, false, "")
	for !a.sees(c).Here {
		w.run(time.Second)
		if w.now.Sub(lost) > 5*time.Minute {
			t.Fatal("it is here, and not shown")
		}
	}
	if next := startOf(slotOf(lost) + 1); w.now.Before(next) {
		t.Errorf("shown at %v by a beat of the slot in which the connection was lost", w.now)
	}
	if a.sees(c).LastSeen.Before(lost) {
		t.Error("last seen before it was lost")
	}
}

func TestWhoAppearsToBeGoneIsSilentAndShownSo(t *testing.T) {
	w := newWorld(t)
	n := w.chainOf("alice", "bob", "carol")
	a, b, c := n[0], n[1], n[2]
	friends(a, b, c)
	for _, n := range n {
		n.show(chat.Available)
	}
	w.run(2 * time.Minute)
	a.mustSee(c, true, "")
	since := w.now
	c.show(chat.Offline)
	w.run(delay)
	b.mustSee(c, false, "")
	if seen := b.sees(c).LastSeen; seen.After(since.Add(delay)) {
		t.Errorf("last seen %v, that began at %v", seen, since)
	}
	w.run(time.Minute)
	a.mustSee(c, false, "")

	// Whoever meets it now sees no more, not for a moment.
	d := w.node("dave")
	d.show(chat.Available)
	friends(c, d)
	w.link(c, d)
	w.run(10 * time.Minute)
	for _, o := range []*node{a, b, d} {
		o.mustSee(c, false, "")
	}
	if d.shown[c.id] != 0 {
		t.Error("it was shown to a newcomer")
	}
	if seen := b.sees(c).LastSeen; seen.After(since.Add(delay)) {
		t.Errorf("it is seen to have been here at %v, after %v", seen, since)
	}
	c.show(chat.Available)
	w.run(2 * delay)
	b.mustSee(c, true, chat.Available)
}

func TestAStatusEndsByItself(t *testing.T) {
	w, a, b := pair(t)
	until := w.now.Add(10 * time.Minute).Truncate(time.Second)
	b.showTo(ReachNamed, chat.Status{State: chat.InMeeting, Since: w.now, Until: until, Text: "review", TextUntil: until.Add(time.Minute)})
	w.run(delay)
	a.mustSee(b, true, chat.InMeeting)
	before := a.shown[b.id]
	w.run(until.Sub(w.now))
	a.mustSee(b, true, chat.Available)
	if a.sees(b).Status.Text != "review" {
		t.Error("the text has ended too early")
	}
	w.run(time.Minute)
	if a.sees(b).Status.Text != "" {
		t.Error("the text has not ended")
	}
	if n := a.shown[b.id] - before; n != 2 {
		t.Errorf("shown anew %d times", n)
	}
}

func TestChangesOfMindAreBounded(t *testing.T) {
	w, a, b := pair(t)
	before := a.shown[b.id]
	states := []chat.Availability{chat.Busy, chat.Available}
	for i := range 600 {
		b.show(states[i%2])
		w.run(100 * time.Millisecond)
	}
	if n := a.shown[b.id] - before; n < 5 || n > 60/4+ownBurst {
		t.Errorf("in a minute it was shown %d times", n)
	}
	b.show(chat.DoNotDisturb)
	w.run(2*ownEvery + delay)
	a.mustSee(b, true, chat.DoNotDisturb)
	if len(a.refused) > 0 {
		t.Error(a.refused)
	}
}

func TestTheMostAvailableDeviceCounts(t *testing.T) {
	at := func(state chat.Availability, since int64) View {
		return View{Here: true, LastSeen: time.Unix(since, 0), Status: chat.Status{State: state, Since: time.Unix(since, 0)}}
	}
	gone := View{LastSeen: time.Unix(9, 0), Status: chat.Status{Text: "back at nine"}}
	chosen := func(v View, at int64) View { v.Chosen = time.Unix(at, 0); return v }
	for _, c := range []struct {
		name  string
		views []View
		here  bool
		state chat.Availability
	}{
		{"away on one, at another", []View{at(chat.Away, 1), at(chat.Available, 2)}, true, chat.Available},
		{"busy was chosen last", []View{chosen(at(chat.Available, 9), 1), chosen(at(chat.Busy, 2), 2)}, true, chat.Busy},
		{"free was chosen last", []View{chosen(at(chat.Available, 9), 3), chosen(at(chat.Busy, 2), 2)}, true, chat.Available},
		{"away and free again by itself", []View{chosen(at(chat.Away, 9), 3), chosen(at(chat.Available, 4), 3)}, true, chat.Available},
		{"one is gone", []View{gone, at(chat.Away, 1)}, true, chat.Away},
		{"one shows nothing", []View{{Here: true}, at(chat.Away, 1)}, true, chat.Away},
		{"all gone", []View{gone, {}}, false, ""},
		{"none", nil, false, ""},
	} {
		for range 2 {
			if v := Merge(c.views); v.Here != c.here || v.Status.State != c.state {
				t.Errorf("%s: %+v", c.name, v)
			}
			if len(c.views) == 2 { // the order does not matter
				c.views[0], c.views[1] = c.views[1], c.views[0]
			}
		}
	}
	if v := Merge([]View{gone, at(chat.Away, 1)}); !v.LastSeen.Equal(time.Unix(9, 0)) || v.Status.Text != "" {
		t.Errorf("got %+v", v)
	}
	if v := Merge([]View{{}, gone}); v.Status.Text != "back at nine" {
		t.Errorf("got %+v", v)
	}
	doubtful := at(chat.Available, 1)
	doubtful.Suspect = true
	if !Merge([]View{doubtful, gone}).Suspect || Merge([]View{doubtful, at(chat.Away, 1)}).Suspect {
		t.Error("doubt of one is not doubt of all")
	}
}

// Whoever starts later must not show that somebody has only just gone who appears to be
// gone since long.
func TestWhoAppearsToBeGoneIsSoSinceTheyAre(t *testing.T) {
	w := newWorld(t)
	a, b := w.node("alice"), w.node("bob")
	friends(a, b)
	w.run(time.Minute)
	a.show(chat.Offline)
	began := w.now
	w.run(2 * time.Hour)
	w.link(a, b)
	w.run(time.Second)
	if v := b.sees(a); v.Here || !v.LastSeen.Truncate(time.Second).Equal(began.Truncate(time.Second)) {
		t.Errorf("Bob sees %+v, not gone since %v", v, began)
	}
}
