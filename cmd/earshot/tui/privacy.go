package tui

import (
	"context"
	"slices"

	tea "charm.land/bubbletea/v2"

	"earshot/chat"
)

// audiences are the settings of privacy, the widest first.
var audiences = []string{chat.Everyone, chat.OnlyContacts, chat.Nobody}

// openPrivacy shows what others may see, and changes it.
func (m *model) openPrivacy() {
	p := &sheet{title: "Privacy"}
	p.build = func() content {
		set := func(change func(*chat.Privacy)) tea.Cmd {
			next := m.privacy
			change(&next)
			return m.setPrivacy(p, next)
		}
		row := func(id, label string, value *string, get func(*chat.Privacy) *string, notes map[string]string) item {
			turn := func(delta int) tea.Cmd {
				n := len(audiences)
				at := max(0, slices.Index(audiences, *value))
				return set(func(pr *chat.Privacy) { *get(pr) = audiences[((at+delta)%n+n)%n] })
			}
			return item{
				id: id, key: id[:1], label: label, tag: audienceWords(*value), note: notes[*value],
				do: func() tea.Cmd { return turn(1) }, turn: turn,
			}
		}
		pr := m.privacy
		tag, note := "no", "Others see what the settings below say."
		if pr.Invisible {
			tag, note = "yes", "As if all three below were nobody. You can still read and write; whoever reads what you write knows that you are here."
		}
		flip := func(int) tea.Cmd { return set(func(pr *chat.Privacy) { pr.Invisible = !pr.Invisible }) }
		return content{
			text: []para{plain("What others may see of you. A change counts at once; blocked people never see anything.")},
			items: []item{
				{id: "invisible", key: "i", label: "Invisible", tag: tag, note: note, do: func() tea.Cmd { return flip(1) }, turn: flip},
				row("nearby", "That I am here at all", &pr.Nearby, func(p *chat.Privacy) *string { return &p.Nearby }, map[string]string{
					chat.Everyone:     "Anyone on this network sees your name among those nearby, and can ask to become a contact.",
					chat.OnlyContacts: "Strangers do not see you. Nobody new can find you here by themselves.",
					chat.Nobody:       "Neither strangers nor contacts see that you are here.",
				}),
				row("presence", "Since when, and in which state", &pr.Presence, func(p *chat.Privacy) *string { return &p.Presence }, map[string]string{
					chat.Everyone:     "Anyone on this network sees when you come and go.",
					chat.OnlyContacts: "Only your contacts see when you come and go.",
					chat.Nobody:       "Nobody sees when you come and go.",
				}),
				row("read", "How far I have read", &pr.Read, func(p *chat.Privacy) *string { return &p.Read }, map[string]string{
					chat.Everyone:     "Whoever writes to you may see whether you have read it.",
					chat.OnlyContacts: "Your contacts may see whether you have read what they write.",
					chat.Nobody:       "Nobody sees what you have read.",
				}),
			},
		}
	}
	m.push(p)
}

func audienceWords(a string) string {
	switch a {
	case chat.Everyone:
		return "everyone here"
	case chat.OnlyContacts:
		return "contacts"
	}
	return "nobody"
}

// setPrivacy changes what others may see.
func (m *model) setPrivacy(p *sheet, next chat.Privacy) tea.Cmd {
	return m.act(p, func(ctx context.Context) error { return m.client.SetPrivacy(ctx, next) }, func() tea.Cmd {
		was := m.privacy
		m.privacy = next
		switch {
		case p != nil:
		case next.Invisible && !was.Invisible:
			m.say("You are invisible: others see you as if you were away. /invisible off ends it.", false)
		case was.Invisible && !next.Invisible:
			m.say("You are visible again, as far as your privacy settings go.", false)
		}
		return nil
	})
}
