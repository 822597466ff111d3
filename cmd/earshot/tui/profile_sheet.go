package tui

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"earshot/chat"
	"earshot/cmd/earshot/wording"
)

// This file is what people tell of themselves, and what the user makes of a contact:
// groups and the team.

// howText says how somebody is and what they tell of themselves.
func (m *model) howText(p *chat.Person) []para {
	text := []para{strong(m.mark(p) + " " + m.withText(p, capital(m.howWords(p))))}
	if len(p.Devices) > 1 {
		for _, d := range p.Devices {
			one := chat.Person{Presence: d.Presence, Status: chat.Status{State: d.State}, LastSeen: d.LastSeen}
			text = append(text, faint(m.mark(&one)+" device "+d.Device.Short()+": "+m.howWords(&one)))
		}
	}
	if p.Profile != nil {
		width := 0
		for _, part := range wording.ProfileParts {
			width = max(width, len(part.Label))
		}
		for _, part := range wording.ProfileParts {
			if s := oneLine(safeText(*part.Of(p.Profile))); s != "" {
				text = append(text, plain(fmt.Sprintf("%-*s  %s", width, part.Label, s)))
			}
		}
		if p.Profile.Email != "" && !m.contacts[p.Person].Relation.Known() {
			text = append(text, faint("Anyone can write any e-mail address there: it counts for contacts only."))
		}
	}
	return append(text, plain(""))
}

// sortItems are what the user makes of a contact.
func (m *model) sortItems(p *sheet, who chat.PersonID) []item {
	person, _ := m.who.person(who)
	var names []string
	for _, g := range person.Groups {
		names = append(names, oneLine(safeText(g)))
	}
	flip := func(int) tea.Cmd {
		return m.sort(p, func(ctx context.Context) (chat.Contact, error) {
			return m.client.SetTeam(ctx, who, !person.Team)
		}, nil)
	}
	return []item{
		m.watchItem(p, who),
		{
			id: "groups", key: "g", label: "Groups" + m.glyphs.pending, tag: cmp.Or(strings.Join(names, ", "), "none"),
			do: func() tea.Cmd { m.openGroups(who); return nil },
		},
		m.exceptionItem(who),
		{id: "team", key: "m", label: "Of your team", tag: yesNo(person.Team), note: "Mentions by your team come through when you are not to be disturbed.", do: func() tea.Cmd { return flip(1) }, turn: flip},
	}
}

// sort makes a call that changes what the user has made of a contact, and goes on with
// then.
func (m *model) sort(p *sheet, f func(ctx context.Context) (chat.Contact, error), then func()) tea.Cmd {
	var k chat.Contact
	return m.act(p, func(ctx context.Context) (err error) {
		k, err = f(ctx)
		return err
	}, func() tea.Cmd {
		m.setContact(k)
		if person, known := m.who.person(k.Person.Person); known {
			person.Groups, person.Team = k.Groups, k.Team
			m.who.setPerson(person)
		}
		if then != nil {
			then()
		}
		return nil
	})
}

// openGroups puts a contact into groups: existing ones, or one that is written.
func (m *model) openGroups(who chat.PersonID) {
	p := &sheet{title: "Groups of " + m.who.of(who), field: newField("A new group", "")}
	p.field.bytes = chat.MaxGroupName
	p.field.empty = "sales"
	p.build = func() content {
		person, _ := m.who.person(who)
		set := func(groups []string) tea.Cmd {
			return m.sort(p, func(ctx context.Context) (chat.Contact, error) { return m.client.SetGroups(ctx, who, groups) },
				func() { p.field.in.set("") })
		}
		c := content{text: []para{plain("Groups put contacts together in your lists, and can be allowed to see more of you (F9, Privacy). Nobody else sees them; your other devices have them too.")}}
		c.items = append(c.items, item{id: "new", label: "Put into the new group", do: func() tea.Cmd {
			name := strings.TrimSpace(p.field.in.text)
			if name == "" {
				p.problem = "A group needs a name. Write one, or choose a group below."
				return nil
			}
			return set(append(slices.Clone(person.Groups), name))
		}})
		for _, g := range m.groups() {
			in := slices.Contains(person.Groups, g)
			it := item{id: "group " + g, label: oneLine(safeText(g)), tag: yesNo(in)}
			it.do = func() tea.Cmd {
				if in {
					return set(slices.DeleteFunc(slices.Clone(person.Groups), func(o string) bool { return o == g }))
				}
				return set(append(slices.Clone(person.Groups), g))
			}
			c.items = append(c.items, it)
		}
		return c
	}
	m.push(p)
}

// groups are all that any contact is in, by name.
func (m *model) groups() []string {
	all := map[string]bool{}
	list := m.who.list()
	for i := range list {
		for _, g := range list[i].Groups {
			all[g] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// openProfile shows what the user tells of themselves, once the node has said it.
func (m *model) openProfile() tea.Cmd {
	var own chat.OwnProfile
	return m.act(nil, func(ctx context.Context) (err error) {
		own, err = m.client.Profile(ctx)
		return err
	}, func() tea.Cmd {
		p := &sheet{title: "Your profile"}
		p.build = func() content {
			c := content{text: []para{plain("What you tell of yourself; Left and Right choose who may see a part. What is empty nobody sees.")}}
			for _, part := range wording.ProfileParts {
				audience := cmp.Or(own.For[part.Name], chat.OnlyContacts)
				save := func(text, audience string) tea.Cmd {
					next := chat.OwnProfile{Profile: own.Profile, For: maps.Clone(own.For)}
					if next.For == nil {
						next.For = map[string]chat.Audience{}
					}
					*part.Of(&next.Profile), next.For[part.Name] = text, audience
					var now chat.OwnProfile
					return m.act(m.sheet(), func(ctx context.Context) (err error) {
						now, err = m.client.SetProfile(ctx, next)
						return err
					}, func() tea.Cmd {
						own = now
						m.sheets = m.sheets[:slices.Index(m.sheets, p)+1]
						return nil
					})
				}
				text := oneLine(safeText(*part.Of(&own.Profile)))
				c.items = append(c.items, item{
					id: part.Name, key: part.Name[:1], label: part.Label + ": " + text, tag: "for " + audienceWords(audience),
					do: func() tea.Cmd {
						m.openPart(part, text, func(s string) tea.Cmd { return save(s, audience) })
						return nil
					},
					turn: func(delta int) tea.Cmd { return save(text, m.nextAudience(audience, delta)) },
				})
			}
			return c
		}
		m.push(p)
		return nil
	})
}

// openPart asks for one part of the user's profile.
func (m *model) openPart(part wording.ProfilePart, now string, save func(string) tea.Cmd) {
	p := &sheet{title: "Your profile", field: newField(part.Label, now)}
	p.field.bytes = chat.MaxProfilePart
	p.build = func() content {
		return content{items: []item{{id: "save", label: "Keep it", do: func() tea.Cmd { return save(strings.TrimSpace(p.field.in.text)) }}}}
	}
	m.push(p)
}
