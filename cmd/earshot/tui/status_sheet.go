package tui

import (
	"context"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"earshot/chat"
	"earshot/chat/phrase"
	"earshot/cmd/earshot/wording"
)

// This file is what the user shows of whether they are free.

// stateNotes say what choosing a state means.
var stateNotes = map[chat.Availability]string{
	chat.Available:    "Away comes and goes by itself, as you leave this machine and come back.",
	chat.Busy:         "Alerts reach you as ever.",
	chat.DoNotDisturb: "Nothing alerts you, but mentions by your team if you let them.",
	chat.InMeeting:    "As do not disturb, until a time: after an hour if you give none.",
	chat.Offline:      "You are shown as gone; messages arrive. People with another program can tell that this machine is connected: /invisible hides it, and then nothing reaches you.",
}

// endings are after how long a status may end, 0 for never; /status takes any time.
var endings = []time.Duration{0, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 24 * time.Hour}

const usualMeeting = time.Hour

// openStatus shows what the user shows of themselves, and changes it.
func (m *model) openStatus() {
	p := &sheet{title: "Your status", field: newField("What you are doing (optional)", m.own.At(m.now()).Text)}
	p.field.bytes = chat.MaxStatusText
	p.field.empty = "such as: lunch"
	ending := 0
	p.build = func() content {
		c := content{text: []para{strong(m.statusWords()), faint(m.machineWords())}}
		for _, state := range chat.Availabilities {
			it := item{
				id: string(state), label: capital(phrase.State(state)), note: stateNotes[state],
				do: func() tea.Cmd { return m.chooseStatus(p, state, endings[ending]) },
			}
			if state == chat.Offline {
				it.label = "Appear offline"
			}
			if state == m.own.Chosen {
				it.tag = "chosen"
			}
			c.items = append(c.items, it)
		}
		end := "until you choose another"
		if d := endings[ending]; d > 0 {
			end = "after " + wording.Lasting(d)
		}
		return content{text: c.text, items: append(c.items, item{
			id: "end", label: "It ends", tag: end, note: "Press Enter for another time, then choose what you are; /status busy --until 14:00 takes any.",
			do: func() tea.Cmd { ending = (ending + 1) % len(endings); return nil },
		})}
	}
	m.push(p)
	p.chosen = string(m.own.Chosen)
	m.sheetTop(p)
}

// statusWords says what others see of the user.
func (m *model) statusWords() string {
	me := chat.Person{Me: true, Presence: chat.Here}
	words := m.withText(&me, "You are shown as "+phrase.Status(m.asNow(&me).Status, m.local()))
	if m.own.Chosen == chat.Offline {
		words = "You are shown as gone" // and no text goes out
	}
	switch {
	case m.privacy.Invisible:
		return words + ", to nobody: you are invisible."
	case m.privacy.Presence == chat.Nobody:
		return words + ", to nobody: your privacy settings say so."
	}
	return words + "."
}

// machineWords says how it is known whether the user is at this machine.
func (m *model) machineWords() string {
	how := "Whether you are at this machine is known from " + oneLine(safeText(m.own.IdleBy)) + "."
	if m.own.IdleBy == "" {
		how = "Whether you are at this machine is known only while you use Earshot."
	}
	if m.own.IdleProblem != "" {
		how += " " + oneLine(safeText(m.own.IdleProblem))
	}
	return how
}

// chooseStatus shows a state, and the text on the sheet, until their end.
func (m *model) chooseStatus(p *sheet, state chat.Availability, lasts time.Duration) tea.Cmd {
	was := m.own.At(m.now())
	change := chat.StatusChange{State: &state}
	until := func(lasts time.Duration) time.Time {
		if lasts == 0 {
			return time.Time{}
		}
		return m.now().Add(lasts).UTC()
	}
	if text := strings.TrimSpace(p.field.in.text); text != was.Text || text != "" && lasts > 0 {
		change.Text = &text
		if text != "" {
			change.TextUntil = until(lasts)
		}
	}
	if state == chat.InMeeting && lasts == 0 {
		lasts = usualMeeting
	}
	if state != chat.Available {
		change.Until = until(lasts)
	}
	var now chat.OwnStatus
	return m.act(p, func(ctx context.Context) (err error) {
		now, err = m.client.SetStatus(ctx, change)
		return err
	}, func() tea.Cmd {
		m.own = now
		m.drop(p)
		m.say(m.statusWords(), false)
		return nil
	})
}
