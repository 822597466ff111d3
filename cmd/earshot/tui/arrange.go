package tui

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"earshot/chat"
)

// This file is how contacts are listed: in the user's groups, by departments, or all
// together.

// arrangement is how contacts are put together.
type arrangement int

const (
	byGroup arrangement = iota // as long as nobody is in one, all together
	byDepartment
	byName
)

// groupsFrom is how high the screen must be for groups in the side column: their titles
// take lines.
const groupsFrom = 16

var arrangements = map[string]arrangement{"group": byGroup, "department": byDepartment, "name": byName}

// after is the arrangement that comes next, and how it is called.
func (a arrangement) after() (next arrangement, label string) {
	switch a {
	case byGroup:
		return byDepartment, "by department"
	case byDepartment:
		return byName, "all together"
	}
	return byGroup, "by group"
}

// gathered are some people under a title.
type gathered struct {
	title  string
	people []chat.PersonID
	here   int
}

// arranged puts people into the groups of the arrangement that the user chose, in the
// order they are given: groups by name, those in none behind. With all somebody in
// several groups stands in each; else, for the side column, in the first.
func (m *model) arranged(people []chat.PersonID, all bool) []gathered {
	const rest = "" // of those in no group
	by := m.arrange
	if !all && m.height < groupsFrom {
		by = byName
	}
	at := map[string]int{}
	var list []gathered
	put := func(title string, who chat.PersonID, here bool) {
		key := fold(title)
		i, ok := at[key]
		if !ok {
			i = len(list)
			at[key], list = i, append(list, gathered{title: title})
		}
		list[i].people = append(list[i].people, who)
		list[i].here += one(here)
	}
	for _, who := range people {
		p := m.who.byID[who] // nil for whom the node did not list
		if p == nil {
			p = &chat.Person{}
		}
		here := p.Presence == chat.Here
		titles := []string{rest}
		switch {
		case by == byGroup && len(p.Groups) > 0 && all:
			titles = p.Groups
		case by == byGroup && len(p.Groups) > 0:
			titles = p.Groups[:1]
		case by == byDepartment && p.Profile != nil:
			titles[0] = p.Profile.Department
		}
		for _, title := range titles {
			put(strings.TrimSpace(oneLine(safeText(title))), who, here)
		}
	}
	slices.SortStableFunc(list, func(a, b gathered) int {
		if c := one(a.title == rest) - one(b.title == rest); c != 0 {
			return c
		}
		return strings.Compare(fold(a.title), fold(b.title))
	})
	for i := range list {
		if list[i].title == rest {
			list[i].title = "Contacts"
			if len(list) > 1 {
				list[i].title = "Others"
			}
		}
	}
	return list
}

// openContacts lists whoever there is a relation with, and strangers nearby apart.
func (m *model) openContacts() {
	p := &sheet{title: "Contacts", field: newField("Find", "")}
	p.field.empty = "a name, a title, a department, an e-mail address"
	p.also = &item{do: func() tea.Cmd {
		m.arrange, _ = m.arrange.after()
		_, p.also.label = m.arrange.after()
		p.chosen = ""
		m.sheetTop(p)
		return nil
	}}
	_, p.also.label = m.arrange.after()
	p.build = func() content {
		var c content
		list := func(title string, people []chat.PersonID) {
			if len(people) == 0 {
				return
			}
			c.items = append(c.items, item{id: title, label: title})
			for _, it := range m.peopleItems(people, func(who chat.PersonID) tea.Cmd { m.openPerson(who); return nil }) {
				it.id = title + it.id // somebody may be in several groups
				c.items = append(c.items, it)
			}
		}
		is := func(r chat.Relation) func(chat.Relation) bool {
			return func(o chat.Relation) bool { return o == r }
		}
		typed := p.field.in.text
		list("They ask you", m.related(typed, is(chat.RelationAsking)))
		for _, g := range m.arranged(m.related(typed, chat.Relation.Known), true) {
			list(g.title, g.people)
		}
		list("You have asked", m.related(typed, is(chat.RelationRequested)))
		list("Nearby, not known to you", m.strangers(typed))
		list("Blocked", m.related(typed, is(chat.RelationBlocked)))
		if len(c.items) == 0 {
			c.text = []para{plain("You have no contacts here. Choose somebody nearby in the side column (F2) and ask them.")}
			if typed != "" {
				c.text = []para{plain("Nobody fits.")}
			}
		}
		return c
	}
	m.push(p)
}

// strangers returns those nearby whom the user does not know and whose names hold what
// was typed.
func (m *model) strangers(typed string) []chat.PersonID {
	var people []chat.PersonID
	list := m.who.list()
	for i := range list {
		p := &list[i]
		if _, related := m.contacts[p.Person]; !related && !p.Me && p.Presence == chat.Here && m.fits(p, typed) {
			people = append(people, p.Person)
		}
	}
	return people
}

// fits reports whether somebody is looked for: what was typed stands in their name, or
// in what they tell of themselves.
func (m *model) fits(p *chat.Person, typed string) bool {
	typed = fold(strings.TrimSpace(typed))
	has := func(s string) bool { return strings.Contains(fold(s), typed) }
	if strings.Contains(m.who.called[p.Person].folded, typed) || slices.ContainsFunc(p.Groups, has) {
		return true
	}
	q := p.Profile
	return q != nil && (has(q.Title) || has(q.Department) || has(q.Email) || has(q.Location))
}
