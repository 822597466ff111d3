package tui

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"earshot/chat"
	"earshot/chat/phrase"
)

// This file is how people are: their marks and words, and what tells the node and the
// user of it.

const (
	// activeEvery is how often the node is told at most that the user is here.
	activeEvery = 30 * time.Second
	// minBeside is how many cells must be left behind a name for words there, and
	// wordyFrom how wide a list must be to say more than a status text.
	minBeside, wordyFrom = 6, 36
)

// distance orders people by how well they can be reached: who is free comes first.
func distance(p *chat.Person) int {
	switch phrase.Mark(*p) {
	case phrase.MarkAvailable, phrase.MarkHere:
		return 0
	case phrase.MarkGone:
		return 2
	}
	return 1
}

// asNow is what is left of how somebody is, who may be the user, at this moment.
func (m *model) asNow(p *chat.Person) chat.Person {
	now := *p
	if p.Me {
		now.Presence, now.Status = chat.Here, m.own.Status
	}
	now.Status = now.Status.At(m.now())
	return now
}

// mark is the sign for how somebody is, with a shape of its own.
func (m *model) mark(p *chat.Person) string {
	if p.Me && m.own.State == "" {
		return m.glyphs.here
	}
	switch phrase.Mark(m.asNow(p)) {
	case phrase.MarkAvailable:
		return m.glyphs.free
	case phrase.MarkAway:
		return m.glyphs.away
	case phrase.MarkBusy:
		return m.glyphs.busy
	case phrase.MarkHere:
		return m.glyphs.untold
	}
	return m.glyphs.gone
}

// local is the time now in the zone in which times are told.
func (m *model) local() time.Time { return m.now().In(m.who.local) }

// howWords says how somebody is: "busy until 15:00", "gone since 14:05".
func (m *model) howWords(p *chat.Person) string { return phrase.Person(m.asNow(p), m.local()) }

// textWords is somebody's status text with its end, "" for none.
func (m *model) textWords(p *chat.Person) string {
	return phrase.Text(m.asNow(p).Status, m.local())
}

// withText puts somebody's status text behind how they are; an end that both have is
// said once.
func (m *model) withText(p *chat.Person, how string) string {
	status := m.asNow(p).Status
	if status.TextUntil.Equal(status.Until) {
		status.TextUntil = time.Time{}
	}
	if text := phrase.Text(status, m.local()); text != "" {
		return how + ": " + text
	}
	return how
}

// beside is what stands behind somebody's name in a list of a width: their status text,
// or how they are where there is room to say it.
func (m *model) beside(p *chat.Person, width int) string {
	if text := m.textWords(p); text != "" && (p.Me || !p.Suspect) {
		if width < wordyFrom {
			text = phrase.Text(chat.Status{Text: m.asNow(p).Status.Text}, m.local())
		}
		return text
	}
	if p.Me {
		return ""
	}
	if p.Suspect && p.Presence == chat.Here {
		return "connection lost?"
	}
	if width < wordyFrom || p.Presence == "" {
		return ""
	}
	switch words := m.howWords(p); words {
	case "here", "gone", phrase.State(chat.Available):
		return ""
	default:
		return words
	}
}

// ownStatus is what the header says of the user, the longest way first.
func (m *model) ownStatus(width int) []string {
	me := chat.Person{Me: true, Presence: chat.Here}
	status := m.asNow(&me).Status
	word := phrase.State(status.State)
	if word == "" || width < sideFrom {
		return []string{" " + m.mark(&me) + " "}
	}
	name := m.mark(&me) + " "
	if width >= 100 && !m.me.Person.IsZero() {
		name = m.who.of(m.me.Person) + " " + name
	}
	whole := phrase.Status(status, m.local())
	forms := []string{name + m.withText(&me, whole), name + whole, name + word, m.mark(&me)}
	for i := range forms {
		forms[i] = " " + forms[i] + " "
	}
	return forms
}

// noteActive tells the node that the user is here, now and then.
func (m *model) noteActive() tea.Cmd {
	now := m.now()
	if since := now.Sub(m.activeAt); !m.activeAt.IsZero() && since >= 0 && since < activeEvery {
		return nil
	}
	m.activeAt = now
	return m.call(callTimeout, func(ctx context.Context) tea.Msg {
		_ = m.client.Active(ctx) // the next one says the same
		return nil
	})
}

// bell rings the terminal's bell, if the user wants it.
func (m *model) bell() tea.Cmd {
	if !m.alerts.Bell {
		return nil
	}
	return tea.Raw("\a")
}

// onAlert rings for what the node says shall interrupt, unless the user is looking at it.
func (m *model) onAlert(e chat.AlertEvent) tea.Cmd {
	c := m.find(e.RoomID)
	if e.Gone || e.Silent || c != nil && c == m.conv() && m.focused && c.follow && m.sheet() == nil {
		return nil
	}
	return m.bell()
}

// onFree says that somebody whom the user waited for is free.
func (m *model) onFree(p chat.Person) tea.Cmd {
	m.who.setPerson(p)
	words := m.who.of(p.Person) + " is free now"
	if text := m.textWords(&p); text != "" {
		words += ": " + text
	}
	m.say(words+".", false)
	return m.bell()
}

// watch has the user told once when somebody is free, or calls that off.
func (m *model) watch(p *sheet, who chat.PersonID, on bool) tea.Cmd {
	return m.act(p, func(ctx context.Context) error { return m.client.Watch(ctx, who, on) }, func() tea.Cmd {
		person, known := m.who.person(who)
		if !known {
			return nil
		}
		free := person.Presence == chat.Here && person.Status.State.Free()
		person.Watched = on && !free
		m.who.setPerson(person)
		switch name := m.who.of(who); {
		case on && free: // the event says so
		case on:
			m.say("You are told once when "+name+" is free.", false)
		default:
			m.say("You are not told when "+name+" is free.", false)
		}
		return nil
	})
}

// watchItem leads to being told when a contact is free.
func (m *model) watchItem(p *sheet, who chat.PersonID) item {
	person, _ := m.who.person(who)
	it := item{
		id: "watch", key: "t", label: "Tell me when they are free", note: "Once, on this device, with a notification if you have those.",
		do: func() tea.Cmd { return m.watch(p, who, !person.Watched) },
	}
	if person.Watched {
		it.tag, it.note = "you will be told", "Enter calls it off."
	}
	return it
}
