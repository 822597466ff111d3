package tui

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"earshot/chat"
)

// This file is what one person sees of the user, whatever others see.

// exceptionPart is one thing for which a person can be an exception.
type exceptionPart struct {
	id, label, short string
	of               func(*chat.PrivacyException) **bool
}

var exceptionParts = []exceptionPart{
	{"presence", "Whether I am free", "status", func(e *chat.PrivacyException) **bool { return &e.Presence }},
	{"typing", "That I type", "typing", func(e *chat.PrivacyException) **bool { return &e.Typing }},
	{"read", "How far I have read", "reading", func(e *chat.PrivacyException) **bool { return &e.Read }},
}

// exception returns what counts for somebody alone.
func (m *model) exception(who chat.PersonID) chat.PrivacyException {
	for _, e := range m.privacy.Exceptions {
		if e.Person == who {
			return e
		}
	}
	return chat.PrivacyException{Person: who}
}

// exceptionItem leads to what one person sees of the user.
func (m *model) exceptionItem(who chat.PersonID) item {
	e := m.exception(who)
	var words []string
	for _, part := range exceptionParts {
		if v := *part.of(&e); v != nil {
			words = append(words, part.short+": "+yesNo(*v))
		}
	}
	tag := "as your privacy says"
	if len(words) > 0 {
		tag = strings.Join(words, ", ")
	}
	return item{id: "exception", key: "s", label: "What they see of you" + m.glyphs.pending, tag: tag, do: func() tea.Cmd { m.openException(who); return nil }}
}

// openException lets one person see more or less than others.
func (m *model) openException(who chat.PersonID) {
	p := &sheet{title: "What " + m.who.of(who) + " sees of you"}
	p.build = func() content {
		e := m.exception(who)
		c := content{text: []para{plain("Left and Right choose whether " + m.who.of(who) + " sees more or less of you than your privacy settings say. They are not told.")}}
		for _, part := range exceptionParts {
			now := *part.of(&e)
			at, tag := 0, "as your privacy says"
			if now != nil {
				at, tag = 1+one(!*now), yesNo(*now)
			}
			turn := func(delta int) tea.Cmd {
				next := e
				switch ((at+delta)%3 + 3) % 3 {
				case 0:
					*part.of(&next) = nil
				case 1:
					yes := true
					*part.of(&next) = &yes
				default:
					no := false
					*part.of(&next) = &no
				}
				return m.setException(p, next)
			}
			c.items = append(c.items, item{id: part.id, key: part.id[:1], label: part.label, tag: tag, do: func() tea.Cmd { return turn(1) }, turn: turn})
		}
		return c
	}
	m.push(p)
}

// setException has what counts for one person be e, and nothing if it says nothing.
func (m *model) setException(p *sheet, e chat.PrivacyException) tea.Cmd {
	next := m.privacy
	next.Exceptions = slices.DeleteFunc(slices.Clone(next.Exceptions), func(o chat.PrivacyException) bool { return o.Person == e.Person })
	if e.Presence != nil || e.Typing != nil || e.Read != nil {
		next.Exceptions = append(next.Exceptions, e)
	}
	return m.setPrivacy(p, next)
}
