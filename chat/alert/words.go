package alert

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"earshot/chat"
)

// This file is what the person reads. How much of it there is, Preview says: a
// desktop shows it to whoever passes by, and may keep it.

// maxLine bounds what an alert shows of a message, in bytes (guess: two lines of a
// bubble).
const maxLine = 240

// line returns what an alert shows of a text: one line, cut where it is long.
func line(text string) string {
	if len(text) > 4*maxLine {
		text = cut(text, 4*maxLine) // not all of it is looked through for white space
	}
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= maxLine {
		return text
	}
	return cut(text, maxLine-len("…")) + "…"
}

// cut returns the longest prefix of s of at most n bytes that ends with a character.
func cut(s string, n int) string {
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// The keys under which the desktop shows notifications.
const (
	sumKey     = "all"
	requestKey = "requests"
)

func roomKey(id chat.RoomID) string { return "room " + id.String() }

// appName stands where nothing else may.
const appName = "Earshot"

// previewed returns an alert with no more than the person wants shown.
func (e *Engine) previewed(a chat.Alert) chat.Alert {
	if e.settings.Preview != chat.PreviewText {
		a.Text = ""
	}
	return a
}

// bubble returns how the desktop shows an alert.
func (e *Engine) bubble(a chat.Alert) Effect {
	n := Notify{Key: roomKey(a.RoomID), Title: a.From.Name, Body: a.Text, Silent: a.Silent}
	if e.settings.Preview != chat.PreviewText && e.settings.Preview != chat.PreviewName {
		n.Title, n.Body = appName, "You have new messages."
		return n
	}
	if !strings.HasPrefix(a.Room, "@") {
		n.Title += " in " + a.Room
	}
	if n.Body == "" {
		n.Body = messages(a.Count)
		if a.Mention {
			n.Body = "You are called. " + n.Body
		}
		return n
	}
	if a.Count > 1 {
		n.Title += fmt.Sprintf(" (%d)", a.Count)
	}
	return n
}

// sum returns how the desktop shows many alerts at once.
func (e *Engine) sum(alerts []chat.Alert) Effect {
	if e.settings.Preview != chat.PreviewText && e.settings.Preview != chat.PreviewName {
		return Notify{Key: sumKey, Title: appName, Body: "You have new messages."}
	}
	n, mentions := 0, 0
	for _, a := range alerts {
		if n += a.Count; a.Mention {
			mentions++
		}
	}
	out := Notify{Key: sumKey, Title: messages(n), Body: fmt.Sprintf("In %d conversations.", len(alerts))}
	if mentions > 0 {
		out.Body = fmt.Sprintf("In %d conversations; you are called in %d.", len(alerts), mentions)
	}
	return out
}

func messages(n int) string {
	if n == 1 {
		return "1 new message."
	}
	return fmt.Sprintf("%d new messages.", n)
}

// named returns how somebody is called in what the desktop shows.
func (e *Engine) named(who chat.Author) string {
	if e.settings.Preview != chat.PreviewText && e.settings.Preview != chat.PreviewName {
		return "Somebody"
	}
	return who.Name
}

func (e *Engine) requested(who []chat.Author) Effect {
	out := Notify{Key: requestKey, Title: appName, Body: e.named(who[0]) + " asks to be your contact."}
	if len(who) > 1 {
		out.Body = fmt.Sprintf("%d people ask to be your contacts.", len(who))
	}
	return out
}

func (e *Engine) invites(in Invited) Effect {
	n := Notify{Key: roomKey(in.RoomID), Title: appName, Body: e.named(in.By) + " invites you to a room."}
	if e.named(in.By) == in.By.Name {
		n.Body = in.By.Name + " invites you to " + in.Room + "."
	}
	return n
}

func (e *Engine) isFree(who chat.Author) Effect {
	return Notify{Key: "free " + who.Person.String(), Title: appName, Body: e.named(who) + " is free now."}
}
