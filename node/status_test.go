package node

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"earshot/chat"
	"earshot/chat/wire"
)

// noon is when the clocks of these tests begin.
var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func newStatus() status {
	return status{chosen: chat.Status{State: chat.Available}, touched: noon, machine: chat.Available, since: noon}
}

// at looks at a status at a time, as the loop does.
func (s *status) lookAt(now time.Time) chat.Status {
	s.watchMachine(now)
	s.device = s.now(now)
	return s.device
}

func chosen(state chat.Availability, until time.Time) chat.StatusChange {
	return chat.StatusChange{State: &state, Until: until}
}

func saying(text string, until time.Time) chat.StatusChange {
	return chat.StatusChange{Text: &text, TextUntil: until}
}

func TestAStatusEndsByItself(t *testing.T) {
	s := newStatus()
	half, one := noon.Add(30*time.Minute), noon.Add(time.Hour)
	for _, in := range []chat.StatusChange{chosen(chat.Busy, one), saying("lunch", half)} {
		if err := s.choose(noon, in); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		now  time.Time
		want chat.Status
		next time.Time
	}{
		{noon, chat.Status{State: chat.Busy, Since: noon, Until: one, Text: "lunch", TextUntil: half}, half},
		{half, chat.Status{State: chat.Busy, Since: noon, Until: one}, one},
	} {
		s.touched = c.now
		if got := s.lookAt(c.now); got != c.want {
			t.Errorf("at %v it is %+v, not %+v", c.now, got, c.want)
		}
		s.machineAt = time.Time{}
		if got := s.nextTick(); !got.Equal(c.next) {
			t.Errorf("at %v something ends at %v, not %v", c.now, got, c.next)
		}
	}
	s.touched = one
	if got := s.lookAt(one); got != (chat.Status{State: chat.Available, Since: one}) {
		t.Errorf("in the end it is %+v", got)
	}
	// A meeting ends also if nobody says when.
	if err := s.choose(one, chosen(chat.InMeeting, time.Time{})); err != nil {
		t.Fatal(err)
	}
	if got := s.lookAt(one); got.State != chat.InMeeting || !got.Until.Equal(one.Add(meetingFor)) {
		t.Errorf("a meeting is %+v", got)
	}
}

func TestWhoTouchesNothingIsAwayUnlessTheyChoseSomethingElse(t *testing.T) {
	s := newStatus()
	expect := func(after time.Duration, state chat.Availability, since time.Time) {
		t.Helper()
		if got := s.lookAt(noon.Add(after)); got.State != state || !got.Since.Equal(since) {
			t.Errorf("after %v it is %+v, not %s since %v", after, got, state, since)
		}
	}
	expect(awayAfter-1, chat.Available, noon)
	if got := s.nextTick(); !got.Equal(noon.Add(awayAfter)) {
		t.Errorf("it is looked at again at %v", got)
	}
	expect(awayAfter, chat.Away, noon)
	back := awayAfter + time.Minute
	s.touched = noon.Add(back)
	expect(back, chat.Available, s.touched)
	if err := s.choose(s.touched, chosen(chat.Busy, time.Time{})); err != nil {
		t.Fatal(err)
	}
	expect(time.Hour, chat.Busy, s.touched)
	// Who comes out of it while nobody is there is away since they left.
	if err := s.choose(noon.Add(time.Hour), chosen(chat.Available, time.Time{})); err != nil {
		t.Fatal(err)
	}
	expect(2*time.Hour, chat.Away, noon.Add(time.Hour))
}

func TestTheDesktopTellsWhetherSomebodyIsThere(t *testing.T) {
	s := newStatus()
	s.by = "logind"
	if got := s.lookAt(noon.Add(time.Hour)); got.State != chat.Available || !s.nextTick().IsZero() {
		t.Errorf("who is at the machine, and not at Earshot, is %+v", got)
	}
	s.idle = noon.Add(time.Hour)
	if got := s.lookAt(s.idle.Add(awayAfter)); got.State != chat.Away || !got.Since.Equal(s.idle) {
		t.Errorf("who has left is %+v", got)
	}
	s.touched = noon.Add(2 * time.Hour) // over the network
	if got := s.lookAt(s.touched); got.State != chat.Available {
		t.Errorf("who is at a face and not at the machine is %+v", got)
	}
	s.idle, s.locked, s.lockedAt = time.Time{}, true, noon.Add(3*time.Hour)
	if got := s.lookAt(s.lockedAt); got.State != chat.Away || !got.Since.Equal(s.lockedAt) {
		t.Errorf("who has locked the screen is %+v", got)
	}
	s.touched = s.lockedAt.Add(time.Hour)
	if got := s.lookAt(s.touched); got.State != chat.Available {
		t.Errorf("who is at a face elsewhere is %+v", got)
	}
	if got := s.lookAt(s.touched.Add(awayAfter)); got.State != chat.Away {
		t.Errorf("who has left that, too, is %+v", got)
	}
}

func TestAStatusThatCanNotBeIsRefused(t *testing.T) {
	s := newStatus()
	if err := s.choose(noon, chosen(chat.Busy, noon.Add(chat.MaxStatusFor))); err != nil {
		t.Fatal(err)
	}
	if err := s.choose(noon, saying(strings.Repeat("x", chat.MaxStatusText), time.Time{})); err != nil {
		t.Fatal(err)
	}
	before := s
	for name, in := range map[string]chat.StatusChange{
		"no state":         chosen("sleeping", time.Time{}),
		"an empty state":   chosen("", time.Time{}),
		"in the past":      chosen(chat.Busy, noon),
		"too far ahead":    chosen(chat.Busy, noon.Add(chat.MaxStatusFor+1)),
		"an end of free":   chosen(chat.Available, noon.Add(1)),
		"an end of what":   {Until: noon.Add(1)},
		"a text's past":    saying("x", noon.Add(-1)),
		"a text's end":     {TextUntil: noon.Add(1)},
		"a text's future":  saying("x", noon.Add(chat.MaxStatusFor+1)),
		"a long text":      saying(strings.Repeat("x", chat.MaxStatusText+1), time.Time{}),
		"a long text of ü": saying(strings.Repeat("ü", chat.MaxStatusText/2+1), time.Time{}),
	} {
		if err := s.choose(noon, in); chat.CodeOf(err) != chat.CodeUsage {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s != before {
		t.Errorf("what was refused has changed it: %+v", s)
	}
}

func TestTheLatestChoiceCountsWhateverComesFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		choice := rapid.Custom(func(t *rapid.T) wire.OwnStatus {
			return wire.OwnStatus{
				At:    rapid.Uint64Range(1, 3).Draw(t, "at"),
				State: rapid.SampledFrom([]string{"available", "busy", "dnd", "of tomorrow"}).Draw(t, "state"),
				Text:  rapid.SampledFrom([]string{"", "lunch", "tea"}).Draw(t, "text"),
				Until: rapid.Uint64Range(0, 1).Draw(t, "until"),
			}
		})
		all := rapid.SliceOfN(choice, 1, 6).Draw(t, "choices")
		one, other := newStatus(), newStatus()
		for _, f := range all {
			one.take(f)
		}
		for _, f := range rapid.Permutation(all).Draw(t, "in another order") {
			other.take(f)
		}
		if one.frame() != other.frame() {
			t.Fatalf("%+v and %+v", one.frame(), other.frame())
		}
		if one.take(one.frame()) {
			t.Fatal("the same is news")
		}
	})
}

// statusOf returns the own status of a node that has nothing left to do.
func statusOf(t *testing.T, n *Node) chat.OwnStatus {
	t.Helper()
	synctest.Wait()
	s, err := n.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAStatusOutlivesARestartAndEndsInTime(t *testing.T) {
	home := t.TempDir()
	at(t, home, 0, func(t *testing.T, n *Node) {
		if _, err := n.SetStatus(t.Context(), chosen(chat.DoNotDisturb, time.Now().Add(time.Hour))); err != nil {
			t.Fatal(err)
		}
		if got, err := n.SetStatus(t.Context(), saying(" in\nthe zone ", time.Time{})); err != nil || got.Text != "in the zone" || got.State != chat.DoNotDisturb {
			t.Errorf("it is %+v (%v)", got, err)
		}
	})
	at(t, home, time.Minute, func(t *testing.T, n *Node) {
		if got := statusOf(t, n); got.Chosen != chat.DoNotDisturb || got.State != chat.DoNotDisturb || got.Text != "in the zone" {
			t.Errorf("after a restart it is %+v", got)
		}
		sub := n.Feed().Subscribe(n.Feed().Newest(), nil)
		defer sub.Close()
		time.Sleep(time.Hour)
		if got := statusOf(t, n); got.Chosen != chat.Available || got.State != chat.Away || got.Text != "in the zone" {
			t.Errorf("after an hour in which nobody came it is %+v", got)
		}
		var told []chat.Availability
		for len(told) == 0 || told[len(told)-1] != chat.Away {
			events, err := sub.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range events {
				if s, ok := e.(chat.StatusEvent); ok {
					told = append(told, s.State)
				}
			}
		}
	})
}

func TestAnIdleMachineIsToldAndActivityTakesItBack(t *testing.T) {
	at(t, t.TempDir(), 0, func(t *testing.T, n *Node) {
		desktop := func(f func(*core)) {
			t.Helper()
			if err := n.do(t.Context(), f); err != nil {
				t.Fatal(err)
			}
		}
		desktop(func(c *core) {
			c.idleBy("logind", "")
			c.idle(time.Time{}, false)
		})
		time.Sleep(time.Hour)
		if got := statusOf(t, n); got.State != chat.Available || got.IdleBy != "logind" || !got.IdleSince.IsZero() {
			t.Errorf("who is at the machine is %+v", got)
		}
		desktop(func(c *core) { c.idle(time.Now(), false) })
		time.Sleep(awayAfter - time.Second)
		if got := statusOf(t, n); got.State != chat.Available {
			t.Errorf("who has just left is %+v", got)
		}
		time.Sleep(2 * time.Second)
		if got := statusOf(t, n); got.State != chat.Away || time.Since(got.IdleSince) != awayAfter+time.Second {
			t.Errorf("who has left is %+v", got)
		}
		desktop(func(c *core) { c.idle(time.Now(), true) })
		time.Sleep(time.Second)
		if got := statusOf(t, n); got.State != chat.Away || !got.Locked {
			t.Errorf("who has locked the screen is %+v", got)
		}
		if err := n.Active(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := statusOf(t, n); got.State != chat.Available || !got.IdleSince.IsZero() {
			t.Errorf("who is at a face is %+v", got)
		}
		desktop(func(c *core) {
			c.idleBy("", "Nothing tells.")
			c.idle(time.Time{}, false)
		})
		if got := statusOf(t, n); got.State != chat.Available || got.Locked || got.IdleProblem != "Nothing tells." {
			t.Errorf("where nothing tells it is %+v", got)
		}
		time.Sleep(awayAfter)
		if got := statusOf(t, n); got.State != chat.Away {
			t.Errorf("who is at no face is %+v", got)
		}
	})
}
