// Package wording says in plain words where messages are, what has become of them and
// how long they last, the same way wherever a face shows it. It does not know who
// reads it, on what, or how any of it came about.
//
// Names are given as the caller wants them shown; what it returns holds nothing else
// that others wrote.
package wording

import (
	"fmt"
	"slices"
	"strings"

	"earshot/chat"
)

// Marks for how far a message has come: each with a shape of its own, so that
// nothing depends on colour. MarkRead is MarkDelivered with a word behind it.
const (
	MarkHere      = "·"
	MarkHeld      = "✓"
	MarkDelivered = "✓✓"
)

// Mark returns the sign for a state. One that has come to some of several recipients
// is as one that is held: others have it, not all for whom it is.
func Mark(s chat.MessageState) string {
	switch {
	case s.State == chat.StateRead, s.State == chat.StateDelivered:
		return MarkDelivered
	case s.State == chat.StateHeld, s.Delivered > 0:
		return MarkHeld
	}
	return MarkHere
}

// State says how far a message has come, in a few words: "here only", "held by 2",
// "delivered to 5 of 9", "read by 7 of 9".
func State(s chat.MessageState) string {
	switch {
	case s.Of == 1 && s.Read > 0:
		return "read"
	case s.Of == 1 && s.Delivered > 0:
		return "delivered"
	case s.Read > 0 && s.Read == s.Of:
		return fmt.Sprintf("read by all %d", s.Of)
	case s.Read > 0:
		return fmt.Sprintf("read by %d of %d", s.Read, s.Of)
	case s.Delivered > 0 && s.Delivered == s.Of:
		return fmt.Sprintf("delivered to all %d", s.Of)
	case s.Delivered > 0:
		return fmt.Sprintf("delivered to %d of %d", s.Delivered, s.Of)
	case s.Held > 0:
		return fmt.Sprintf("held by %d", s.Held)
	}
	return "here only"
}

// Reached reports whether a message has come as far as wanted with everybody.
func Reached(s chat.MessageState, wanted string) bool {
	return s.State == chat.StateRead || s.State == wanted
}

// maxNamed bounds the names in one sentence.
const maxNamed = 3

// Names joins names as a sentence does, and counts those beyond the first few.
func Names(names []string) string {
	rest := 0
	if len(names) > maxNamed {
		rest = len(names) - maxNamed + 1
		names = names[:maxNamed-1]
	}
	switch {
	case rest > 0:
		return strings.Join(names, ", ") + fmt.Sprintf(" and %d others", rest)
	case len(names) < 2:
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// Held says who holds a message that has not come to all of its recipients, and what
// follows from that; "" where nobody does or nobody needs to. device names a device
// of one's own, "" where that is not known.
func Held(d chat.MessageDetail, device func(chat.DeviceID) string) string {
	var missing, by []string
	for _, r := range d.Recipients {
		if r.State == chat.StateHere || r.State == chat.StateHeld {
			missing = append(missing, r.Name)
		}
	}
	stick := false
	for _, h := range d.Holders {
		if stick = stick || h.Kind == "carried"; h.Kind == "carried" {
			continue
		}
		if name := Holder(h, device); !slices.Contains(by, name) {
			by = append(by, name)
		}
	}
	switch {
	case len(missing) == 0 || len(by) == 0 && !stick:
		return ""
	case len(by) == 0:
		return fmt.Sprintf("carried out by hand; it reaches %s where that is carried in", Names(missing))
	}
	when := "when one of these meets " + Names(missing)
	switch {
	case len(missing) > 1:
		when = "as they meet"
	case len(by) == 1:
		when = "when they meet"
	}
	if stick {
		when += ", or where it is carried in by hand"
	}
	return fmt.Sprintf("held by %s; it reaches %s %s", Names(by), Names(missing), when)
}

// Holder names who holds a message: "your phone", "Carol", "Dan's keeper".
func Holder(h chat.Holder, device func(chat.DeviceID) string) string {
	switch h.Kind {
	case "own":
		if label := device(h.Device); label != "" {
			return "your " + label
		}
		return "another device of yours"
	case "keeper":
		return h.Name + "'s keeper"
	case "carried":
		return "what was carried out by hand"
	}
	return h.Name
}

// Recipient says where a message is with one of its recipients; stamp puts a time in
// words.
func Recipient(r chat.Recipient, at string) string {
	switch r.State {
	case chat.StateRead:
		return strings.TrimSpace("read " + at)
	case chat.StateDelivered:
		return strings.TrimSpace("delivered "+at) + devices(r)
	}
	why := "not delivered yet"
	for _, d := range r.Devices {
		if d.Full {
			why += "; their disk is full"
			break
		}
	}
	if r.Why != "" {
		why += ": " + r.Why
	}
	return why
}

// devices says on how many of somebody's devices a message is, where that differs.
func devices(r chat.Recipient) string {
	n := 0
	for _, d := range r.Devices {
		if d.Holds {
			n++
		}
	}
	if n == 0 || n == len(r.Devices) {
		return ""
	}
	return fmt.Sprintf(", on %d of %d devices", n, len(r.Devices))
}

// Removed says who took a message away, and on how many devices it is known to be
// gone. by is how its remover is called, "" for the time that it was given.
func Removed(by string, on, of int) string {
	what := by + " removed this message"
	if by == "" {
		what = "This message has disappeared: its time was over"
	}
	if of > 0 {
		what += fmt.Sprintf(" (gone on %d of %d devices)", on, of)
	}
	return what
}

// Missing says what is known to be missing from one author.
func Missing(m chat.Missing, name string) string {
	from := "from " + name
	if m.From.Person.IsZero() {
		from = "from somebody unknown"
	}
	return fmt.Sprintf("%s %s not received yet", Count(m.Count, "message"), from)
}

// Count is a number of things.
func Count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
