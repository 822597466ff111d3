// Package phrase says in plain words how people are: whether they may be interrupted,
// until when, and since when they are gone. It does not know who reads that, on what,
// or how any of it came about.
//
// The zone of the time that is given as now is the one in which times are told.
package phrase

import (
	"strings"
	"time"

	"earshot/chat"
)

// Marks for how a person is: each with a shape of its own, so that nothing depends on
// colour.
const (
	MarkAvailable = "●"
	MarkAway      = "◐"
	MarkBusy      = "⊘" // and in a meeting, and not to be disturbed
	MarkHere      = "◇" // here, and not telling more
	MarkGone      = "○"
)

// Mark returns the sign for how a person is.
func Mark(p chat.Person) string {
	if p.Presence != chat.Here {
		return MarkGone
	}
	switch p.Status.State {
	case chat.Available:
		return MarkAvailable
	case chat.Away:
		return MarkAway
	case chat.Busy, chat.InMeeting, chat.DoNotDisturb:
		return MarkBusy
	case chat.Offline:
		return MarkGone
	}
	return MarkHere
}

// State names what a person can be, "" for what is none.
func State(a chat.Availability) string {
	switch a {
	case chat.Available, chat.Away, chat.Busy:
		return string(a)
	case chat.InMeeting:
		return "in a meeting"
	case chat.DoNotDisturb:
		return "do not disturb"
	case chat.Offline:
		return "appears offline"
	}
	return ""
}

// Status says what of a status is no text: "away since 14:05", "in a meeting until
// 15:00"; "" where it is not known.
func Status(s chat.Status, now time.Time) string {
	word := State(s.State)
	switch {
	case word == "":
		return ""
	case !s.Until.IsZero():
		return word + " until " + When(s.Until, now)
	case s.State == chat.Away && !s.Since.IsZero():
		return word + " since " + When(s.Since, now)
	}
	return word
}

// Text is the status text and when it ends: "lunch until 13:30"; "" for none.
func Text(s chat.Status, now time.Time) string {
	text := line(s.Text)
	if text == "" || s.TextUntil.IsZero() {
		return text
	}
	return text + " until " + When(s.TextUntil, now)
}

// Person says how somebody is, without their status text: "available", "here" where
// they do not tell, "gone since 14:05".
func Person(p chat.Person, now time.Time) string {
	p.Status = p.Status.At(now)
	word := Status(p.Status, now)
	switch {
	case p.Presence != chat.Here:
		return Gone(p.LastSeen, now)
	case word == "":
		word = "here"
	}
	if p.Suspect {
		word += " (connection lost?)"
	}
	return word
}

// Gone says since when somebody is gone: "gone since 14:05", "last seen yesterday
// 17:20".
func Gone(lastSeen, now time.Time) string {
	switch {
	case lastSeen.IsZero():
		return "gone"
	case day(lastSeen, now) == 0:
		return "gone since " + When(lastSeen, now)
	}
	return "last seen " + When(lastSeen, now)
}

// Line is all that matters of somebody on one short line without control characters:
// "● Ann available: lunch until 13:30".
func Line(p chat.Person, now time.Time) string {
	p.Status = p.Status.At(now)
	out := Mark(p) + " " + line(p.Name) + " " + Person(p, now)
	if text := Text(p.Status, now); text != "" {
		out += ": " + text
	}
	return out
}

// line is text from others for one line.
func line(s string) string { return strings.Join(strings.Fields(chat.CleanText(s)), " ") }

// When is a moment as people say it, the shorter the nearer it is to now: "14:05",
// "yesterday 17:20", "tomorrow 09:00", "24 Nov 09:00", "24 Nov 2027 09:00".
func When(t, now time.Time) string {
	t = t.In(now.Location())
	switch d := day(t, now); {
	case d == 0:
		return t.Format("15:04")
	case d == -1:
		return "yesterday " + t.Format("15:04")
	case d == 1:
		return "tomorrow " + t.Format("15:04")
	case t.Year() == now.Year():
		return t.Format("2 Jan 15:04")
	}
	return t.Format("2 Jan 2006 15:04")
}

// day is how many days after now a moment is, by the calendar of now's zone: days are
// not all of 24 hours.
func day(t, now time.Time) int {
	noon := func(t time.Time) time.Time {
		y, m, d := t.In(now.Location()).Date()
		return time.Date(y, m, d, 12, 0, 0, 0, time.UTC)
	}
	return int(noon(t).Sub(noon(now)) / (24 * time.Hour))
}
