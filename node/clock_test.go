package node

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"earshot/chat"
)

const year = 365 * 24 * time.Hour

// at runs f with a node whose computer's clock shows so long after midnight of
// 2000-01-01.
func at(t *testing.T, home string, clock time.Duration, f func(t *testing.T, n *Node)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(clock)
		n := alone(t, home)
		f(t, n)
		if err := n.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// warnedOf returns what the node says of something, once it has nothing left to do.
func warnedOf(t *testing.T, n *Node, code chat.Code) (text string) {
	t.Helper()
	synctest.Wait()
	me, err := n.Me(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range me.Warnings {
		if w.Code == code {
			text += w.Error()
		}
	}
	return text
}

func sayIn(t *testing.T, n *Node, id chat.RoomID, text string) {
	t.Helper()
	if _, err := n.Send(t.Context(), id, chat.Draft{Text: text}); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
}

func TestAClockSetBackAYearIsSaidAndLosesNothing(t *testing.T) {
	home := t.TempDir()
	var id chat.RoomID
	at(t, home, year, func(t *testing.T, n *Node) {
		id = create(t, n, "garden")
		sayIn(t, n, id, "sealed before")
		say(t, n, "before")
		if said := warnedOf(t, n, chat.CodeClock); said != "" {
			t.Errorf("a right clock is said to be wrong: %s", said)
		}
	})
	at(t, home, time.Hour, func(t *testing.T, n *Node) {
		if said := warnedOf(t, n, chat.CodeClock); !strings.Contains(said, "behind") || !strings.Contains(said, "set it") {
			t.Errorf("it says %q", said)
		}
		say(t, n, "after")
		sayIn(t, n, id, "sealed after")
	})
	at(t, home, year+time.Hour, func(t *testing.T, n *Node) {
		say(t, n, "set right")
		if got, want := texts(t, n), []string{"before", "after", "set right"}; !sameTexts(got, want) {
			t.Errorf("there is %q, want %q", got, want)
		}
		if got, want := textsIn(t, n, id), []string{"sealed before", "sealed after"}; !sameTexts(got, want) {
			t.Errorf("there is %q, want %q", got, want)
		}
	})
}

// sameTexts compares in any order: what was said with a wrong clock stands where that says.
func sameTexts(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

func TestAClockAYearAheadMustNotTakeMessagesAwayInSilence(t *testing.T) {
	home := t.TempDir()
	var id, kept chat.RoomID
	at(t, home, 0, func(t *testing.T, n *Node) {
		id, kept = create(t, n, "garden"), create(t, n, "archive")
		if err := n.SetDisappear(t.Context(), id, 30*24*time.Hour); err != nil {
			t.Fatal(err)
		}
		if err := n.SetRetention(t.Context(), kept, 30*24*time.Hour); err != nil {
			t.Fatal(err)
		}
		sayIn(t, n, id, "before")
		sayIn(t, n, kept, "before")
	})
	there := func(t *testing.T, n *Node, want int) {
		t.Helper()
		synctest.Wait()
		for _, id := range []chat.RoomID{id, kept} {
			if got := textsIn(t, n, id); len(got) != want {
				t.Errorf("there is %q, want %d", got, want)
			}
		}
	}
	at(t, home, year, func(t *testing.T, n *Node) {
		there(t, n, 1)
		if said := warnedOf(t, n, chat.CodeClock); !strings.Contains(said, "ahead") || !strings.Contains(said, time.Now().Add(leapHold).Format("15:04")) {
			t.Errorf("it says %q", said)
		}
		time.Sleep(leapHold - time.Minute)
		there(t, n, 1)
	})
	// Somebody has set it right in time.
	at(t, home, time.Hour, func(t *testing.T, n *Node) {
		there(t, n, 1)
		if said := warnedOf(t, n, chat.CodeClock); said != "" {
			t.Errorf("it says %q", said)
		}
	})
	// It is right.
	at(t, home, year, func(t *testing.T, n *Node) {
		there(t, n, 1)
		time.Sleep(leapHold + sweepRetry)
		there(t, n, 0)
	})
	at(t, home, year+12*time.Hour, func(t *testing.T, n *Node) {
		if said := warnedOf(t, n, chat.CodeClock); said != "" {
			t.Errorf("it says %q", said)
		}
	})
}

// A neighbour's clock that agrees ends the doubt.
func TestAClockThatANeighbourAgreesWithIsBelieved(t *testing.T) {
	home := t.TempDir()
	var id chat.RoomID
	at(t, home, 0, func(t *testing.T, n *Node) {
		id = create(t, n, "garden")
		if err := n.SetDisappear(t.Context(), id, time.Hour); err != nil {
			t.Fatal(err)
		}
		sayIn(t, n, id, "before")
	})
	at(t, home, year, func(t *testing.T, n *Node) {
		hears := func(off time.Duration) (left int) {
			if err := n.do(t.Context(), func(c *core) { c.checkClock(n.person, c.now.Add(off)) }); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			return len(textsIn(t, n, id))
		}
		if got := hears(-year); got != 1 {
			t.Errorf("%d messages are left by the word of a clock that disagrees", got)
		}
		if got := hears(time.Minute); got != 0 {
			t.Errorf("%d messages are left", got)
		}
	})
}

func TestAReckoningFollowsSleepAndDoubtsLeaps(t *testing.T) {
	start := time.Unix(1e9, 0)
	type reading struct {
		wall, ran time.Duration // since the start
		sure      time.Duration
		leap      time.Duration
	}
	for name, readings := range map[string][]reading{
		"a right clock":         {{0, 0, 0, 0}, {time.Hour, time.Hour, time.Hour, 0}, {year, year, year, 0}},
		"a night's sleep":       {{0, 0, 0, 0}, {9 * time.Hour, time.Hour, 9 * time.Hour, 0}},
		"a leap and its end":    {{0, 0, 0, 0}, {year, time.Minute, time.Minute, year - time.Minute}, {year + time.Hour, time.Hour, year + time.Hour, year}},
		"a leap that is undone": {{0, 0, 0, 0}, {year, time.Minute, time.Minute, year - time.Minute}, {time.Hour, time.Hour, time.Hour, 0}},
		"set back":              {{0, 0, 0, 0}, {-year, time.Hour, -year, -year - time.Hour}, {time.Hour - year, 2 * time.Hour, time.Hour - year, 0}},
		"a leap after another": {
			{0, 0, 0, 0},
			{year, 0, 0, year},
			{2 * year, 5 * time.Minute, 5 * time.Minute, 2*year - 5*time.Minute},
			{2 * year, 10*time.Minute + 1, 2 * year, 2*year - 10*time.Minute - 1},
		},
	} {
		var r reckoning
		for i, s := range readings {
			sure, leap := r.read(start.Add(s.wall), s.ran)
			if sure.Sub(start) != s.sure || leap != s.leap {
				t.Errorf("%s, reading %d: %v and %v, want %v and %v", name, i, sure.Sub(start), leap, s.sure, s.leap)
			}
		}
	}
}
