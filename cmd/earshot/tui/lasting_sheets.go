package tui

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"earshot/chat"
	"earshot/cmd/earshot/wording"
)

// This file is how long messages last.

// lastings are what is offered; any other time can be set on the command line.
var lastings = []time.Duration{0, time.Hour, 24 * time.Hour, 7 * 24 * time.Hour, 30 * 24 * time.Hour, 90 * 24 * time.Hour, 365 * 24 * time.Hour}

// mayLast reports whether the user decides how long messages last in a room.
func mayLast(r chat.Room) bool {
	return !r.Left && (r.Kind == chat.RoomDirect || r.Kind == chat.RoomPrivate && (r.Role == chat.RoleAdmin || r.Role == chat.RoleOwner))
}

// lastingWords says how long messages last in a room, "" for ever.
func lastingWords(r chat.Room) string {
	seconds := func(n int64) string { return wording.Lasting(time.Duration(n) * time.Second) }
	switch {
	case r.DisappearAfter > 0 && r.KeepFor > 0:
		return "new messages disappear after " + seconds(r.DisappearAfter) + ", all after " + seconds(r.KeepFor)
	case r.DisappearAfter > 0:
		return "new messages disappear after " + seconds(r.DisappearAfter)
	case r.KeepFor > 0:
		return "messages are kept for " + seconds(r.KeepFor)
	}
	return ""
}

// lastingItem leads to how long messages last.
func (m *model) lastingItem(c *conversation) item {
	it := item{id: "lasting", key: "h", label: "How long messages last" + m.glyphs.pending, tag: "for ever", do: func() tea.Cmd { m.openLasting(c); return nil }}
	if words := lastingWords(c.room); words != "" {
		it.tag, it.note = "", capital(words)+"."
	}
	return it
}

// openLasting offers how long messages are to last.
func (m *model) openLasting(c *conversation) {
	p := &sheet{title: "How long messages last in " + m.roomName(c.room)}
	p.build = func() content {
		r := c.room
		out := content{text: []para{plain("Both hold for everybody in it, on every device, and all see them. Whoever reads a message in time can copy it.")}}
		list := func(head, id string, now int64, set func(time.Duration)) {
			out.items = append(out.items, item{id: id, label: head})
			for _, d := range lastings {
				it := item{id: id + d.String(), label: wording.Lasting(d), do: func() tea.Cmd { set(d); return nil }}
				if d == time.Duration(now)*time.Second {
					it.tag = "now"
				}
				out.items = append(out.items, it)
			}
		}
		list("What is said from now on disappears after", "new", r.DisappearAfter, func(d time.Duration) { m.askDisappear(c, d) })
		list("Everything is kept no longer than", "all", r.KeepFor, func(d time.Duration) { m.askKeep(c, d) })
		out.items[1].label = "never"
		return out
	}
	m.push(p)
}

func (m *model) askDisappear(c *conversation, d time.Duration) {
	id := c.room.RoomID
	will := "What anybody says here from now on is removed on every device " + wording.Lasting(d) + " after it was said. It can be read, and copied, until then. What was said before stays."
	if d == 0 {
		will = "What is said from now on does not disappear. What was said before keeps the time it was given."
	}
	m.question("Change it for everybody?", will, "change it", func(p *sheet) tea.Cmd {
		return m.act(p, func(ctx context.Context) error { return m.client.SetDisappear(ctx, id, d) }, m.doneAll("How long new messages last has changed."))
	})
}

func (m *model) askKeep(c *conversation, d time.Duration) {
	id := c.room.RoomID
	will := "Everything here that is older than " + wording.Lasting(d) + " is removed on every device, at once and from now on. It does not come back."
	if d == 0 {
		will = "What is here now, and comes, is kept. What was removed does not come back."
	}
	m.question("Change it for everybody?", will, "change it", func(p *sheet) tea.Cmd {
		return m.act(p, func(ctx context.Context) error { return m.client.SetRetention(ctx, id, d) }, m.doneAll("How long messages are kept has changed."))
	})
}

// chatWith returns the chat with a contact, nil where there is none.
func (m *model) chatWith(who chat.PersonID) *conversation {
	for _, c := range m.rooms {
		if c.with() == who && !c.room.Left {
			return c
		}
	}
	return nil
}
