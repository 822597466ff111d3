package tui

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"earshot/chat"
	"earshot/chat/contacts"
)

// This file is the sheets about one person, and about choosing one.

// openChat goes to the direct chat with a contact.
func (m *model) openChat(p *sheet, who chat.PersonID) tea.Cmd {
	for i, c := range m.rooms {
		if c.with() == who && !c.room.Left {
			m.sheets = nil
			return m.enter(i)
		}
	}
	var room chat.Room
	return m.act(p, func(ctx context.Context) (err error) {
		room, err = m.client.DirectChat(ctx, who)
		return err
	}, func() tea.Cmd { return m.goTo(room) })
}

// goTo shows a conversation that may be new.
func (m *model) goTo(room chat.Room) tea.Cmd {
	m.sheets = nil
	m.addRoom(room)
	return tea.Batch(m.enter(slices.Index(m.rooms, m.find(room.RoomID))), m.refresh())
}

// openPerson shows what is known of somebody and what can be done.
func (m *model) openPerson(who chat.PersonID) {
	p := &sheet{title: m.who.of(who)}
	p.build = func() content {
		return content{text: m.personText(who), items: m.personItems(p, who)}
	}
	m.push(p)
}

func (m *model) personText(who chat.PersonID) []para {
	person, _ := m.who.person(who)
	k := m.contacts[who]
	name := m.who.of(who)
	text := []para{plain(m.relationWords(who)), plain("")}
	if k.Relation == chat.RelationAsking {
		if k.Note != "" {
			text = append(text, plain("They wrote:"), strong("\""+oneLine(safeText(k.Note))+"\""), plain(""))
		} else {
			text = append(text, plain("They wrote nothing with it."), plain(""))
		}
	}
	if person.Presence != "" {
		text = append(text, m.howText(&person)...)
	}
	text = append(text, faint("id "+who.String()))
	if !k.Since.IsZero() && k.Relation.Known() {
		text = append(text, faint("Contact since "+k.Since.In(m.who.local).Format("2 January 2006")+"."))
	}
	if !person.Me && !k.Relation.Known() {
		text = append(text, plain(""), faint("Anyone can call themselves "+name+". Only the id is theirs alone."))
	}
	return text
}

// relationWords says what somebody is to the user.
func (m *model) relationWords(who chat.PersonID) string {
	name := m.who.of(who)
	k := m.contacts[who]
	if who == m.me.Person {
		return "This is you, as others here see you."
	}
	switch k.Relation {
	case chat.RelationRequested:
		if person, _ := m.who.person(who); k.Waiting && person.Presence == chat.Here {
			return "You have asked " + name + " to become a contact. The request is on its way."
		} else if k.Waiting {
			return "You have asked " + name + " to become a contact. The request has not reached them: it goes out when they are here."
		}
		return "You have asked " + name + " to become a contact. The request has reached them; they have not answered. Should they decline, you are not told."
	case chat.RelationAsking:
		return name + " asks to become your contact. Until you accept, nothing else of theirs reaches you."
	case chat.RelationContact:
		words := name + " is your contact. You have not verified that it is really them."
		if k.Waiting {
			words += " Your answer has not reached them yet."
		}
		return words
	case chat.RelationVerified:
		if k.Claimant != nil {
			return name + " is a contact whom you have verified, but somebody with another key goes by that name: nothing is sent until you decide who it is."
		}
		return name + " is your contact, and you have verified that it is really them."
	case chat.RelationBlocked:
		return "You have blocked " + name + ". Nothing of theirs reaches you, and they see of you what they would see of somebody who is away."
	}
	return name + " is a stranger: somebody on this network, not known to you. Nothing of theirs reaches you but one request, and what they say in open rooms."
}

func (m *model) personItems(p *sheet, who chat.PersonID) []item {
	name := m.who.of(who)
	if who == m.me.Person {
		return []item{
			{id: "status", key: "s", label: "Status", do: func() tea.Cmd { m.openStatus(); return nil }},
			{id: "profile", key: "y", label: "Profile", do: m.openProfile},
			{id: "privacy", key: "p", label: "Privacy", note: "Who may see that you are here, and what you have read.", do: func() tea.Cmd { m.openPrivacy(); return nil }},
			{id: "devices", key: "d", label: "Devices", do: func() tea.Cmd { return m.openDevices() }},
		}
	}
	block := item{
		id: "block", key: "b", label: "Block " + name + m.glyphs.pending,
		do: func() tea.Cmd { m.askBlock(who); return nil },
	}
	k := m.contacts[who]
	switch k.Relation {
	case chat.RelationAsking:
		return append(m.requestItems(p, who), block)
	case chat.RelationRequested:
		return []item{
			{id: "again", key: "a", label: "Ask again" + m.glyphs.pending, do: func() tea.Cmd { m.openAsk(who); return nil }},
			{
				id: "withdraw", key: "w", label: "Withdraw the request", note: "They are a stranger again. If the request has reached them and they are here, it leaves their tray.",
				do: func() tea.Cmd {
					return m.act(p, func(ctx context.Context) error { return m.client.ForgetContact(ctx, who) },
						m.done(p, "The request to "+name+" is withdrawn."))
				},
			},
			block,
		}
	case chat.RelationContact, chat.RelationVerified:
		var items []item
		if k.Claimant != nil {
			items = append(items, item{
				id: "claim", key: "d", label: "Decide who it is" + m.glyphs.pending,
				do: func() tea.Cmd { m.openClaim(who); return nil },
			})
		}
		items = append(items,
			item{id: "write", key: "w", label: "Write to " + name, do: func() tea.Cmd { return m.openChat(p, who) }},
			item{id: "verify", key: "v", label: m.verifyLabel(who), do: func() tea.Cmd { return m.openVerify(who) }})
		items = append(items, m.sortItems(p, who)...)
		if c := m.chatWith(who); c != nil {
			items = append(items, m.levelItem(p, c), m.lastingItem(c))
		}
		items = append(items,
			item{id: "forget", key: "f", label: "Forget " + name + m.glyphs.pending, do: func() tea.Cmd { m.askForget(who); return nil }},
			block)
		return items
	case chat.RelationBlocked:
		return []item{{
			id: "unblock", key: "u", label: "Unblock " + name,
			note: "They are a stranger again: they can ask you to become a contact.",
			do: func() tea.Cmd {
				return m.act(p, func(ctx context.Context) error { return m.client.UnblockPerson(ctx, who) },
					m.done(p, name+" is not blocked any more."))
			},
		}}
	}
	return []item{
		{
			id: "ask", key: "a", label: "Ask " + name + " to become a contact" + m.glyphs.pending,
			note: "Contacts can write to each other and invite each other into private rooms.",
			do:   func() tea.Cmd { m.openAsk(who); return nil },
		},
		block,
	}
}

func (m *model) verifyLabel(who chat.PersonID) string {
	if m.who.verified[who] {
		return "Compare keys again" + m.glyphs.pending
	}
	return "Verify that it is really them" + m.glyphs.pending
}

// requestItems answer a request.
func (m *model) requestItems(p *sheet, who chat.PersonID) []item {
	name := m.who.of(who)
	return []item{
		{
			id: "accept", key: "a", label: "Accept",
			note: "You become contacts: you can write to each other, see whether the other is here as far as your privacy settings go, and invite each other into private rooms.",
			do: func() tea.Cmd {
				return m.act(p, func(ctx context.Context) error { return m.client.AcceptContact(ctx, who) },
					m.done(p, name+" is your contact now: choose them in the side column to write."))
			},
		},
		{
			id: "decline", key: "d", label: "Decline",
			note: "The request goes away and they are not told. They stay a stranger; their next requests are not shown for a while.",
			do: func() tea.Cmd {
				return m.act(p, func(ctx context.Context) error { return m.client.DeclineContact(ctx, who) },
					m.done(p, "The request of "+name+" is declined. They are not told."))
			},
		},
	}
}

// done closes a sheet when what it began has succeeded, and says so.
func (m *model) done(p *sheet, words string) func() tea.Cmd {
	return func() tea.Cmd {
		m.drop(p)
		m.say(words, false)
		return m.refresh()
	}
}

// doneAll is done for a sheet that lies on others which are of no more use.
func (m *model) doneAll(words string) func() tea.Cmd {
	return func() tea.Cmd {
		m.sheets = nil
		m.say(words, false)
		return m.refresh()
	}
}

func (m *model) askBlock(who chat.PersonID) {
	name := m.who.of(who)
	m.question("Block "+name+"?",
		name+" will see of you what they would see of somebody who is away, and is not told.\n\n"+
			"Nothing of theirs reaches you any more: no message, no request, no invitation, no sign that they type. "+
			"If they are a contact they stop being one, and the chat with them stands still; what was said stays on this device.\n\n"+
			"In private rooms that you share you both stay members: to keep them out there, remove them or leave. "+
			"Open rooms can be read by anyone, also by them.\n\nYou can unblock them later; they are a stranger then.",
		"block "+name, func(p *sheet) tea.Cmd {
			return m.act(p, func(ctx context.Context) error { return m.client.BlockPerson(ctx, who) },
				m.doneAll(name+" is blocked."))
		})
}

func (m *model) askForget(who chat.PersonID) {
	name := m.who.of(who)
	will := name + " becomes a stranger: neither of you can write to the other directly any more. " +
		"What was said stays on this device. They can ask you again, and you can ask them."
	if m.who.verified[who] {
		will += " That you verified them is forgotten too."
	}
	m.question("Forget "+name+"?", will, "forget "+name, func(p *sheet) tea.Cmd {
		return m.act(p, func(ctx context.Context) error { return m.client.ForgetContact(ctx, who) },
			m.doneAll(name+" is a stranger now."))
	})
}

// openAsk writes a request to a stranger.
func (m *model) openAsk(who chat.PersonID) {
	name := m.who.of(who)
	p := &sheet{title: "Ask " + name + " to become a contact", field: newField("A note to go with it (optional)", "")}
	p.field.most = contacts.MaxNote
	p.field.empty = "such as: I sit by the window on the third floor"
	p.build = func() content {
		return content{
			text: []para{
				plain(name + " gets your name, your id and this note, and decides. Until they accept, nothing else of yours reaches them, and nothing of theirs reaches you."),
				faint("id " + who.String()),
			},
			items: []item{{
				id: "send", label: "Send the request", note: "If they are away it waits here and goes out when they come. Should they decline, you are not told.",
				do: func() tea.Cmd {
					var k chat.Contact
					note := strings.TrimSpace(p.field.in.text)
					return m.act(p, func(ctx context.Context) (err error) {
						k, err = m.client.AddContact(ctx, who, note)
						return err
					}, func() tea.Cmd {
						m.setContact(k)
						m.sheets = nil
						m.say(m.relationWords(who), false)
						return m.refresh()
					})
				},
			}},
		}
	}
	m.push(p)
}

// openClaim puts the decision about somebody who goes by a verified contact's name.
func (m *model) openClaim(who chat.PersonID) {
	name := m.who.of(who)
	p := &sheet{title: "Who is " + name + "?"}
	p.build = func() content {
		k := m.contacts[who]
		if k.Claimant == nil {
			return content{text: []para{plain("There is nothing to decide about " + name + " any more.")}}
		}
		other := *k.Claimant
		decide := func(p *sheet, same bool, words string) tea.Cmd {
			return m.act(p, func(ctx context.Context) error { return m.client.DecideClaim(ctx, who, other, same) }, m.doneAll(words))
		}
		return content{
			text: []para{
				alarm("Somebody with another key goes by the name of " + name + ", whom you have verified."), plain(""),
				plain("verified  " + who.String()), plain("the other  " + other.String()), plain(""),
				plain("Perhaps " + name + " has a new computer or lost their keys. Perhaps somebody wants to be taken for them. Earshot can't know: " +
					"ask them by other means, in person or by a call, before you answer. Until then nothing is sent to either."),
			},
			items: []item{
				{
					id: "two", key: "o", label: "It is somebody else",
					note: name + " stays your verified contact. The other is a stranger, told apart by the id.",
					do: func() tea.Cmd {
						return decide(p, false, "The other is a stranger; "+name+" stays verified. You can write again.")
					},
				},
				{
					id: "same", key: "s", label: "It is " + name + ", with a new key" + m.glyphs.pending,
					do: func() tea.Cmd {
						m.question("Give up "+name+"'s old key?",
							"The key that you verified is given up, for good, and with it that they are verified. "+
								"Whoever holds the new key has to be verified anew before you can be sure of them. "+
								"If it is not really them, you let a stranger take their place.",
							"it is "+name, func(p *sheet) tea.Cmd {
								return decide(p, true, name+"'s old key is given up. Verify the new one before you trust it.")
							})
						return nil
					},
				},
			},
		}
	}
	m.push(p)
}

// maxListed bounds the people of one list: beyond it nobody looks, they type.
const maxListed = 200

// peopleItems lists people to choose from.
func (m *model) peopleItems(people []chat.PersonID, do func(chat.PersonID) tea.Cmd) []item {
	left := len(people) - maxListed
	var items []item
	for _, who := range people[:min(len(people), maxListed)] {
		items = append(items, item{
			id: string(who[:]), label: m.personLabel(who), tag: who.Short(), do: func() tea.Cmd { return do(who) },
		})
	}
	if left > 0 {
		items = append(items, item{id: "more", label: fmt.Sprintf("%d more: write a part of the name to find them", left)})
	}
	return items
}

// related returns the people of some relations who fit what was typed, those who are
// free first, by name.
func (m *model) related(typed string, in func(chat.Relation) bool) []chat.PersonID {
	var people []chat.PersonID
	list := m.who.list()
	for i := range list {
		p := &list[i]
		if k, related := m.contacts[p.Person]; related && in(k.Relation) && m.fits(p, typed) {
			people = append(people, p.Person)
		}
	}
	return people
}

// personLabel is a person in a list: presence, name, sign.
func (m *model) personLabel(who chat.PersonID) string {
	person, _ := m.who.person(who)
	label := m.mark(&person) + " " + m.who.of(who)
	if person.Me {
		return label + " (you)"
	}
	if sign := m.sign(who); sign != "" {
		label += " " + sign
	}
	if words := m.beside(&person, m.width); words != "" {
		label += ": " + words
	}
	return label
}

// pickContact lets the user choose among contacts.
func (m *model) pickContact(title, label string, without func(chat.PersonID) bool, do func(chat.PersonID) tea.Cmd) {
	p := &sheet{title: title, field: newField(label, "")}
	p.field.empty = "type to find"
	p.build = func() content {
		people := m.related(p.field.in.text, chat.Relation.Known)
		if without != nil {
			people = slices.DeleteFunc(people, without)
		}
		c := content{items: m.peopleItems(people, do)}
		if len(c.items) == 0 {
			c.text = []para{plain("None of your contacts fits. Only contacts can be chosen here: ask somebody to become one first (F2, then choose them).")}
		}
		return c
	}
	m.push(p)
}

// when says a time as people do.
func (m *model) when(t time.Time) string {
	at, now := t.In(m.who.local), m.now().In(m.who.local)
	switch days := dayNumber(now) - dayNumber(at); {
	case days == 0:
		return "today at " + at.Format("15:04")
	case days == 1:
		return "yesterday at " + at.Format("15:04")
	case days < 7 && days > 0:
		return at.Format("on Monday at 15:04")
	}
	return fmt.Sprintf("on %s", at.Format("2 January 2006"))
}
