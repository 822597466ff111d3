package tui

import (
	"context"
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"earshot/chat"
)

// This file is what waits for the user: requests, invitations, people who want to
// compare keys, and names that another key goes by.

// requests returns who asks to become a contact, the oldest first.
func (m *model) requests() []chat.Contact {
	return m.contactsWhere(func(k chat.Contact) bool { return k.Relation == chat.RelationAsking })
}

func (m *model) contactsWhere(fits func(chat.Contact) bool) []chat.Contact {
	var list []chat.Contact
	for _, k := range m.contacts {
		if fits(k) {
			list = append(list, k)
		}
	}
	slices.SortFunc(list, func(a, b chat.Contact) int {
		if c := a.Since.Compare(b.Since); c != 0 {
			return c
		}
		return slices.Compare(a.Person.Person[:], b.Person.Person[:])
	})
	return list
}

// waiting counts what waits for the user.
func (m *model) waiting() int {
	n := len(m.invitations)
	for _, k := range m.contacts {
		n += one(k.Relation == chat.RelationAsking) + one(k.Claimant != nil)
	}
	for _, v := range m.checks {
		n += one(v.State == chat.VerificationAsked)
	}
	return n
}

// openTray lists what waits for the user.
func (m *model) openTray() {
	m.push(&sheet{title: "Waiting for you", build: func() content {
		var c content
		heading := func(title string, n int) {
			if n > 0 {
				c.items = append(c.items, item{id: title, label: title})
			}
		}
		held := m.contactsWhere(func(k chat.Contact) bool { return k.Claimant != nil })
		heading("Another key goes by the name of a verified contact", len(held))
		for _, k := range held {
			who := k.Person.Person
			c.items = append(c.items, item{
				id: "held " + string(who[:]), label: m.personLabel(who), tag: who.Short(), note: "Nothing is sent to them until you decide.",
				do: func() tea.Cmd { m.openClaim(who); return nil },
			})
		}
		requests := m.requests()
		heading("Requests to become a contact", len(requests))
		for _, k := range requests {
			who := k.Person.Person
			note := "They wrote nothing with it."
			if k.Note != "" {
				note = "\"" + oneLine(safeText(k.Note)) + "\""
			}
			c.items = append(c.items, item{
				id: "ask " + string(who[:]), label: m.personLabel(who), tag: who.Short(), note: note,
				do: func() tea.Cmd { m.openPerson(who); return nil },
			})
		}
		heading("Invitations to private rooms", len(m.invitations))
		for _, inv := range m.invitations {
			c.items = append(c.items, item{
				id: "room " + string(inv.RoomID[:]), label: m.glyphs.lock + shownName(inv.Room), tag: "from " + m.who.of(inv.By.Person),
				do: func() tea.Cmd { m.openInvitation(inv.RoomID); return nil },
			})
		}
		checks := m.asked()
		heading("To verify each other", len(checks))
		for _, who := range checks {
			c.items = append(c.items, item{
				id: "check " + string(who[:]), label: m.personLabel(who), tag: who.Short(), note: "They want to compare symbols with you now.",
				do: func() tea.Cmd { return m.openVerify(who) },
			})
		}
		if len(c.items) == 0 {
			c.text = []para{plain("Nothing waits for you. Requests and invitations stand here until you answer them.")}
		}
		return c
	}})
}

// asked returns who wants to compare keys with the user.
func (m *model) asked() []chat.PersonID {
	var list []chat.PersonID
	for who, v := range m.checks {
		if v.State == chat.VerificationAsked {
			list = append(list, who)
		}
	}
	slices.SortFunc(list, m.compareNames)
	return list
}

func (m *model) invitation(room chat.RoomID) (chat.Invitation, bool) {
	i := slices.IndexFunc(m.invitations, func(v chat.Invitation) bool { return v.RoomID == room })
	if i < 0 {
		return chat.Invitation{}, false
	}
	return m.invitations[i], true
}

// openInvitation puts the decision about a private room.
func (m *model) openInvitation(room chat.RoomID) {
	first, _ := m.invitation(room)
	p := &sheet{title: "An invitation to " + shownName(first.Room)}
	p.build = func() content {
		inv, stands := m.invitation(room)
		if !stands {
			return content{text: []para{plain("This invitation does not stand any more.")}}
		}
		name, by := shownName(inv.Room), m.who.of(inv.By.Person)
		if m.who.verified[inv.By.Person] {
			by += " " + m.glyphs.verified
		}
		long, _ := newcomers(inv.History)
		return content{
			text: []para{
				plain(fmt.Sprintf("%s asks you into the private room %s, as %s.", by, name, article(inv.Role))), plain(""),
				plain("It has " + count(inv.Members, "member") + ". When it was made it was decided that " + long + "."),
				faint("room " + room.Short() + ", invited " + m.when(inv.At)),
			},
			items: []item{
				{
					id: "accept", key: "a", label: "Accept", note: "Its members see that you are in, read what you write there, and may see your name.",
					do: func() tea.Cmd {
						var joined chat.Room
						return m.act(p, func(ctx context.Context) (err error) {
							joined, err = m.client.AcceptInvitation(ctx, room)
							return err
						}, func() tea.Cmd {
							m.endInvitation(room)
							return m.goTo(joined)
						})
					},
				},
				{
					id: "decline", key: "d", label: "Decline", note: "The invitation goes away, and the members can see that. Only a new invitation leads there.",
					do: func() tea.Cmd {
						return m.act(p, func(ctx context.Context) error { return m.client.DeclineInvitation(ctx, room) }, func() tea.Cmd {
							m.endInvitation(room)
							return m.done(p, "The invitation to "+name+" is declined.")()
						})
					},
				},
				{
					id: "who", key: "w", label: "Who is " + m.who.of(inv.By.Person) + "?",
					do: func() tea.Cmd { m.openPerson(inv.By.Person); return nil },
				},
			},
		}
	}
	m.push(p)
}

func (m *model) endInvitation(room chat.RoomID) {
	m.invitations = slices.DeleteFunc(m.invitations, func(v chat.Invitation) bool { return v.RoomID == room })
}

// article puts a or an before a role.
func article(role string) string {
	if role == "" {
		role = chat.RoleMember
	}
	if strings.ContainsRune("aeiou", rune(role[0])) {
		return "an " + role
	}
	return "a " + role
}
