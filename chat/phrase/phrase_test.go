package phrase_test

import (
	"strings"
	"testing"
	"time"
	"unicode"

	"earshot/chat"
	"earshot/chat/phrase"
)

func at(t *testing.T, s string, zone *time.Location) time.Time {
	t.Helper()
	out, err := time.ParseInLocation("2006-01-02 15:04", s, zone)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestMomentsAsPeopleSayThem(t *testing.T) {
	berlin := time.FixedZone("", 3600)
	now := at(t, "2026-11-23 14:30", berlin)
	for when, want := range map[string]string{
		"2026-11-23 00:00": "00:00",
		"2026-11-23 23:59": "23:59",
		"2026-11-22 23:59": "yesterday 23:59",
		"2026-11-22 00:00": "yesterday 00:00",
		"2026-11-24 09:00": "tomorrow 09:00",
		"2026-11-21 23:59": "21 Nov 23:59",
		"2026-12-01 09:00": "1 Dec 09:00",
		"2025-11-23 14:30": "23 Nov 2025 14:30",
		"2027-01-02 09:00": "2 Jan 2027 09:00",
	} {
		if got := phrase.When(at(t, when, berlin).UTC(), now); got != want {
			t.Errorf("%s is %q, want %q", when, got, want)
		}
	}
}

// Where clocks are set, days have 23 and 25 hours; yesterday stays yesterday.
func TestYesterdayWhereClocksWereSet(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("this system knows no zones: ", err)
	}
	for now, then := range map[string]string{
		"2026-03-30 00:10": "2026-03-29 00:05", "2026-03-29 23:50": "2026-03-28 00:05",
		"2026-10-26 00:10": "2026-10-25 00:05", "2026-10-25 23:50": "2026-10-24 23:55",
	} {
		if got := phrase.When(at(t, then, zone), at(t, now, zone)); !strings.HasPrefix(got, "yesterday ") {
			t.Errorf("at %s, %s is %q", now, then, got)
		}
	}
}

func TestHowPeopleAre(t *testing.T) {
	now := at(t, "2026-11-23 14:30", time.UTC)
	soon, before, ago := now.Add(30*time.Minute), now.Add(-25*time.Minute), now.Add(-21*time.Hour)
	for _, c := range []struct {
		p    chat.Person
		want string
	}{
		{chat.Person{Presence: chat.Here, Status: chat.Status{State: chat.Available, Since: before}}, "● Ann available"},
		{chat.Person{Presence: chat.Here, Status: chat.Status{State: chat.Available, Text: "lunch", TextUntil: soon}}, "● Ann available: lunch until 15:00"},
		{chat.Person{Presence: chat.Here, Status: chat.Status{State: chat.Away, Since: before}}, "◐ Ann away since 14:05"},
		{chat.Person{Presence: chat.Here, Status: chat.Status{State: chat.Away}}, "◐ Ann away"},
		{chat.Person{Presence: chat.Here, Status: chat.Status{State: chat.Busy, Since: before}}, "⊘ Ann busy"},
		{chat.Person{Presence: chat.Here, Status: chat.Status{State: chat.InMeeting, Until: soon}}, "⊘ Ann in a meeting until 15:00"},
		{chat.Person{Presence: chat.Here, Status: chat.Status{State: chat.DoNotDisturb, Text: "writing"}}, "⊘ Ann do not disturb: writing"},
		{chat.Person{Presence: chat.Here, Status: chat.Status{State: chat.Offline}, Me: true}, "○ Ann appears offline"},
		{chat.Person{Presence: chat.Here, Status: chat.Status{State: "from the future"}}, "◇ Ann here"},
		{chat.Person{Presence: chat.Here}, "◇ Ann here"},
		{chat.Person{Presence: chat.Here, Status: chat.Status{State: chat.Available}, Suspect: true}, "● Ann available (connection lost?)"},
		{chat.Person{Presence: chat.Gone}, "○ Ann gone"},
		{chat.Person{Presence: chat.Gone, LastSeen: before}, "○ Ann gone since 14:05"},
		{chat.Person{Presence: chat.Gone, LastSeen: ago, Suspect: true}, "○ Ann last seen yesterday 17:30"},
		{chat.Person{Presence: chat.Gone, LastSeen: ago, Status: chat.Status{Text: "back on Monday"}}, "○ Ann last seen yesterday 17:30: back on Monday"},
		// What is over is not told, whoever has not been told so yet.
		{chat.Person{Presence: chat.Here, Status: chat.Status{State: chat.InMeeting, Until: before, Text: "budget", TextUntil: now}}, "● Ann available"},
	} {
		c.p.Name = "Ann"
		if got := phrase.Line(c.p, now); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestEveryAvailabilityHasAWordAndAMarkButGoneAndHereHaveTheirOwn(t *testing.T) {
	for _, a := range chat.Availabilities {
		p := chat.Person{Presence: chat.Here, Status: chat.Status{State: a}}
		if phrase.State(a) == "" || phrase.Mark(p) == phrase.MarkHere {
			t.Errorf("%s is told as %q %s", a, phrase.State(a), phrase.Mark(p))
		}
		if p.Presence = chat.Gone; phrase.Mark(p) != phrase.MarkGone {
			t.Errorf("somebody gone who was %s has the mark %s", a, phrase.Mark(p))
		}
	}
}

// Whatever others call themselves and say, a line is one line, and commands no
// terminal.
func FuzzALineIsOneLine(f *testing.F) {
	f.Add("Ann", "lunch")
	f.Add("A\x1b[31mnn\n", "\u202elunch\r\n\x9b2J")
	now := time.Date(2026, 11, 23, 14, 30, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, name, text string) {
		p := chat.Person{Name: name, Presence: chat.Here, Status: chat.Status{State: chat.Busy, Text: text, TextUntil: now.Add(time.Hour)}}
		got := phrase.Line(p, now)
		if strings.ContainsFunc(got, unicode.IsControl) || strings.ContainsRune(got, '\u202e') || !strings.HasPrefix(got, phrase.MarkBusy+" ") {
			t.Errorf("%q", got)
		}
	})
}
