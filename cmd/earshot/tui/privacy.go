package tui

import (
	"context"
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"earshot/chat"
)

// audiences are who may be chosen to see something, the widest first: groups stand each
// for itself; several at once can be chosen on the command line, and are kept.
func (m *model) audiences(now string) []string {
	list := []string{chat.Everyone, chat.OnlyContacts}
	for _, g := range m.groups() {
		list = append(list, chat.InGroups+g)
	}
	if !slices.Contains(list, now) && now != chat.Nobody && now != "" {
		list = append(list, now)
	}
	return append(list, chat.Nobody)
}

// nextAudience is what comes after an audience, or before it.
func (m *model) nextAudience(now string, delta int) string {
	list := m.audiences(now)
	n := len(list)
	return list[((max(0, slices.Index(list, now))+delta)%n+n)%n]
}

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
				next := m.nextAudience(*value, delta)
				return set(func(pr *chat.Privacy) { *get(pr) = next })
			}
			return item{
				id: id, key: id[:1], label: label, tag: audienceWords(*value), note: notes[*value],
				do: func() tea.Cmd { return turn(1) }, turn: turn,
			}
		}
		pr := m.privacy
		tag, note := "no", "Others see what the settings below say."
		if pr.Invisible {
			tag, note = "yes", "Nobody sees you, and nothing reaches you or leaves this device until you end it. What you write waits here."
		}
		flip := func(int) tea.Cmd { return set(func(pr *chat.Privacy) { pr.Invisible = !pr.Invisible }) }
		text := []para{plain("What others may see of you. A change counts at once; blocked people never see anything.")}
		if n := len(pr.Exceptions); n > 0 {
			text = append(text, plain(fmt.Sprintf("For %s something else counts: their own page (F5 in the chat with them) says what.", persons(n))))
		}
		return content{
			text: text,
			items: []item{
				{id: "invisible", key: "i", label: "Invisible", tag: tag, note: note, do: func() tea.Cmd { return flip(1) }, turn: flip},
				row("nearby", "That I am here at all", &pr.Nearby, func(p *chat.Privacy) *string { return &p.Nearby }, map[string]string{
					chat.Everyone:     "Anyone on this network sees your name among those nearby, and can ask to become a contact.",
					chat.OnlyContacts: "Strangers do not see who you are. Nobody new can find you here by themselves.",
					chat.Nobody:       "The same as invisible: nobody sees you, and nothing reaches you or leaves.",
				}),
				row("presence", "Whether I am free", &pr.Presence, func(p *chat.Privacy) *string { return &p.Presence }, map[string]string{
					chat.Everyone:     "Anyone on this network sees your status and its text.",
					chat.OnlyContacts: "Your contacts see your status and its text; others at most that you are here.",
					chat.Nobody:       "Nobody sees your status; that you are here they may see all the same.",
				}),
				row("typing", "That I type", &pr.Typing, func(p *chat.Privacy) *string { return &p.Typing }, map[string]string{
					chat.Everyone:     "Your contacts, and members of private rooms: strangers never see it.",
					chat.OnlyContacts: "Your contacts see it while you write to them.",
					chat.Nobody:       "Nobody sees it.",
				}),
				row("read", "How far I have read", &pr.Read, func(p *chat.Privacy) *string { return &p.Read }, map[string]string{
					chat.Everyone:     "Whoever writes to you sees when you have read it.",
					chat.OnlyContacts: "Your contacts see when you have read what they wrote.",
					chat.Nobody:       "Nobody sees it; that it has arrived they see all the same.",
				}),
			},
		}
	}
	m.push(p)
}

func persons(n int) string {
	if n == 1 {
		return "1 person"
	}
	return fmt.Sprintf("%d people", n)
}

func audienceWords(a string) string {
	switch a {
	case chat.Everyone:
		return "everyone here"
	case chat.OnlyContacts:
		return "contacts"
	}
	if groups, ok := strings.CutPrefix(a, chat.InGroups); ok {
		return "contacts in " + oneLine(safeText(strings.ReplaceAll(groups, ",", ", ")))
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
			m.say("You are invisible: nobody sees you, and nothing reaches you or leaves until you end it with /invisible off.", false)
		case was.Invisible && !next.Invisible:
			m.say("You are visible again, as far as your privacy settings go.", false)
		}
		return nil
	})
}
