package tui

import (
	"context"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"earshot/chat"
)

// This file is the sheets about rooms.

// openThis shows what can be done about the conversation on the screen.
func (m *model) openThis() tea.Cmd {
	c := m.conv()
	switch {
	case c == nil:
	case c.room.Kind == chat.RoomDirect:
		m.openPerson(c.with())
	default:
		m.openRoom(c)
		if c.room.Kind == chat.RoomPrivate {
			return m.loadMembers(c.room.RoomID)
		}
	}
	return nil
}

// openRoom shows who can read a room and what can be done about it.
func (m *model) openRoom(c *conversation) {
	p := &sheet{title: m.roomName(c.room)}
	p.build = func() content {
		r := c.room
		leave := item{id: "leave", key: "l", label: "Leave this room" + m.glyphs.pending, do: func() tea.Cmd { return m.askLeave(c) }}
		if r.Kind != chat.RoomPrivate {
			text := []para{
				plain("An open room: anyone on this network who knows its name can be in it, and read what is said, also what was said before."),
				plain(""), plain("For what is not meant for everyone make a private room (/create), or write to a contact."),
			}
			if r.Room == chat.Lobby {
				text = append(text, plain(""), plain("Everyone is in the lobby, always: it is where people find each other."))
				return content{text: text, items: []item{m.levelItem(p, c)}}
			}
			return content{text: text, items: []item{m.levelItem(p, c), leave}}
		}
		text := []para{plain("A private room: only its members can read what is said, its name and its topic.")}
		if long, _ := newcomers(r.History); long != "" {
			text = append(text, plain("When it was made it was decided that "+long+"."))
		}
		if r.Topic != "" {
			text = append(text, plain(""), plain("Topic: "+oneLine(safeText(r.Topic))))
		}
		if words := lastingWords(r); words != "" {
			text = append(text, plain(capital(words)+", for everybody in it."))
		}
		text = append(text, plain(""))
		if r.Left || r.Role == "" {
			return content{text: append(text, strong(m.endedWords(r)), plain(""),
				plain("You keep what you have read, and read nothing that is said since. Only a new invitation leads back: it would stand among what waits for you (F4)."))}
		}
		may := r.Role == chat.RoleAdmin || r.Role == chat.RoleOwner
		text = append(text, faint("You are "+article(r.Role)+" here. "+roleWords(r.Role)), faint("room "+r.RoomID.Short()))
		items := []item{{id: "members", key: "m", label: "Members", tag: count(r.Members, "member"), do: func() tea.Cmd { return m.openMembers(c) }}}
		if may {
			items = append(items,
				item{id: "invite", key: "i", label: "Invite a contact" + m.glyphs.pending, do: func() tea.Cmd { return m.openInvite(c) }},
				item{id: "rename", key: "r", label: "Rename" + m.glyphs.pending, do: func() tea.Cmd { m.openRename(c); return nil }},
				item{id: "topic", key: "t", label: "Change the topic" + m.glyphs.pending, do: func() tea.Cmd { m.openTopic(c); return nil }},
				m.lastingItem(c))
		}
		return content{text: text, items: append(items, m.levelItem(p, c), leave)}
	}
	m.push(p)
}

func roleWords(role string) string {
	switch role {
	case chat.RoleOwner:
		return "Owners may do everything: also give roles, and remove owners."
	case chat.RoleAdmin:
		return "Admins invite and remove people, and change name and topic."
	}
	return "Members read and write."
}

// openCreate makes a private room.
func (m *model) openCreate(name string) {
	p := &sheet{title: "A new private room", field: newField("Name", name), chosen: chat.HistoryNone}
	p.field.bytes = chat.MaxRoomName
	p.field.empty = "#plan"
	p.build = func() content {
		c := content{text: []para{
			plain("Only those whom you invite can read what is said in it, and its name. You are its owner."), plain(""),
			plain("Choose now what somebody who joins later can read of what was said before. It is shown to all and can't be changed."),
		}}
		for _, h := range []struct{ id, label, note string }{
			{chat.HistoryNone, "Nothing", "They begin at the moment they join. Whoever joins later learns nothing of today."},
			{chat.HistorySinceInvited, "What is said since they were invited", "Also while they have not accepted yet."},
			{chat.HistoryAll, "Everything", "Whoever is ever invited reads all of it, from the first message on."},
		} {
			c.items = append(c.items, item{id: h.id, label: h.label, note: h.note, do: func() tea.Cmd {
				room := strings.TrimSpace(p.field.in.text)
				if strings.Trim(room, "# ") == "" {
					p.problem = "A room needs a name. Write one, then press Enter on what newcomers can read."
					return nil
				}
				var made chat.Room
				return m.act(p, func(ctx context.Context) (err error) {
					made, err = m.client.CreateRoom(ctx, room, h.id)
					return err
				}, func() tea.Cmd {
					cmd := m.goTo(made)
					m.say("Nobody but you is in it yet. Write /invite to ask somebody in.", false)
					return cmd
				})
			}})
		}
		return c
	}
	m.push(p)
}

// askLeave leaves a room, after saying what that means where it can't be undone.
func (m *model) askLeave(c *conversation) tea.Cmd {
	name := m.roomName(c.room)
	switch {
	case c.room.Kind == chat.RoomDirect:
		m.openPerson(c.with())
		m.say("A direct chat is not left: forget or block the person.", false)
		return nil
	case c.room.Room == chat.Lobby && c.room.Kind != chat.RoomPrivate:
		m.say("Everyone is in the lobby, always: it is where people find each other. Go to another room with Tab.", true)
		return nil
	case c.room.Left:
		m.say(m.endedWords(c.room)+" There is nothing to leave.", false)
		return nil
	case c.room.Kind != chat.RoomPrivate || c.room.Role == "":
		return m.leaveNow(m.sheet(), c)
	}
	will := "You read nothing that is said in it from now on, and only a new invitation leads back. The others see that you left. " +
		"What you have read stays on this device."
	if c.room.Members <= 1 {
		will = "You are the only one in it: once you are out, nobody is, and nobody can ever be invited again. What was said stays on this device."
	}
	m.question("Leave "+name+"?", will, "leave "+name, func(p *sheet) tea.Cmd { return m.leaveNow(p, c) })
	return nil
}

func (m *model) leaveNow(p *sheet, c *conversation) tea.Cmd {
	name, id := m.roomName(c.room), c.room.RoomID
	return m.act(p, func(ctx context.Context) error { return m.client.Leave(ctx, id) },
		func() tea.Cmd {
			var cmd tea.Cmd
			if m.conv() == c {
				cmd = m.enter(m.lobby())
			}
			return tea.Batch(cmd, m.doneAll("You have left "+name+".")())
		})
}

// membersMsg answers loadMembers.
type membersMsg struct {
	room    chat.RoomID
	members []chat.Member
	err     error
}

func (m *model) loadMembers(room chat.RoomID) tea.Cmd {
	return m.call(callTimeout, func(ctx context.Context) tea.Msg {
		members, err := m.client.Members(ctx, room)
		return membersMsg{room, members, err}
	})
}

func (m *model) onMembers(r membersMsg) {
	if r.err != nil {
		m.say(sentence(r.err), true)
		return
	}
	if c := m.find(r.room); c != nil {
		m.setMembers(c, r.members)
	}
}

func (m *model) setMembers(c *conversation, members []chat.Member) {
	c.members, c.membersKnown = members, true
	for i := range members {
		if _, known := m.who.called[members[i].Person]; !known {
			m.who.meet(members[i].Person, members[i].Name)
		}
	}
	if p := m.sheet(); p != nil {
		m.sheetTop(p)
	}
}

// openMembers lists who can read a private room, and who is invited.
func (m *model) openMembers(c *conversation) tea.Cmd {
	p := &sheet{title: "Members of " + m.roomName(c.room)}
	p.build = func() content {
		if !c.membersKnown {
			return content{text: []para{plain("Reading who is in it" + m.glyphs.pending)}}
		}
		var in, invited []item
		for _, mb := range c.members {
			tag := mb.Role
			if mb.Invited && mb.By != nil {
				tag = "invited by " + m.who.of(*mb.By)
			}
			it := item{
				id: string(mb.Person[:]), label: m.personLabel(mb.Person), tag: tag,
				do: func() tea.Cmd { m.openMember(c, mb.Person); return nil },
			}
			if mb.Invited {
				invited = append(invited, it)
			} else {
				in = append(in, it)
			}
		}
		text := []para{plain("These people can read what is said in " + m.roomName(c.room) + "; " + longNewcomers(c.room.History) + ".")}
		items := append([]item{{id: "in", label: count(len(in), "member")}}, in...)
		if len(invited) > 0 {
			items = append(items, item{id: "invited", label: "Invited, have not answered"})
			items = append(items, invited...)
		}
		return content{text: text, items: items}
	}
	m.push(p)
	return m.loadMembers(c.room.RoomID)
}

func longNewcomers(history string) string {
	long, _ := newcomers(history)
	return long
}

// openMember shows a member and what the user may do about them.
func (m *model) openMember(c *conversation, who chat.PersonID) {
	p := &sheet{title: m.who.of(who) + " in " + m.roomName(c.room)}
	p.build = func() content {
		i := slices.IndexFunc(c.members, func(mb chat.Member) bool { return mb.Person == who })
		name := m.who.of(who)
		if i < 0 {
			return content{text: []para{plain(name + " is not in this room any more.")}}
		}
		mb := c.members[i]
		words := name + " is " + article(mb.Role) + ". " + roleWords(mb.Role)
		if mb.Invited {
			words = name + " is invited as " + article(mb.Role) + " and has not answered."
		}
		card := item{id: "card", key: "c", label: "What " + name + " is to you", do: func() tea.Cmd { m.openPerson(who); return nil }}
		return content{text: []para{plain(words), faint("id " + who.String())}, items: append(m.memberItems(p, c, mb), card)}
	}
	m.push(p)
}

func (m *model) memberItems(p *sheet, c *conversation, mb chat.Member) []item {
	var items []item
	if mb.Me || mb.Person == m.me.Person {
		return nil
	}
	who, name, room := mb.Person, m.who.of(mb.Person), c.room.RoomID
	if c.room.Role == chat.RoleOwner && !mb.Invited {
		for _, role := range []string{chat.RoleMember, chat.RoleAdmin, chat.RoleOwner} {
			if role == mb.Role {
				continue
			}
			items = append(items, item{
				id: role, key: role[:1], label: "Make them " + article(role), note: roleWords(role),
				do: func() tea.Cmd { return m.setRole(p, room, who, role) },
			})
		}
	}
	if c.room.Role == chat.RoleOwner || c.room.Role == chat.RoleAdmin && mb.Role != chat.RoleOwner {
		label := "Remove " + name + m.glyphs.pending
		if mb.Invited {
			label = "Take the invitation back" + m.glyphs.pending
		}
		items = append(items, item{id: "remove", key: "r", label: label, do: func() tea.Cmd { m.askRemove(c, mb); return nil }})
	}
	return items
}

func (m *model) setRole(p *sheet, room chat.RoomID, who chat.PersonID, role string) tea.Cmd {
	name := m.who.of(who)
	give := func(p *sheet) tea.Cmd {
		return m.act(p, func(ctx context.Context) error { return m.client.SetRole(ctx, room, who, role) }, func() tea.Cmd {
			m.drop(p)
			m.say(name+" is "+article(role)+" now.", false)
			return tea.Batch(m.refresh(), m.loadMembers(room))
		})
	}
	if role != chat.RoleOwner {
		return give(p)
	}
	m.question("Make "+name+" an owner?", name+" may then do everything here that you may: remove people, give and take roles, also yours unless you made the room.",
		"make "+name+" an owner", give)
	return nil
}

// askRemove removes a member, after saying what that can do and what it can't.
func (m *model) askRemove(c *conversation, mb chat.Member) {
	who, name, room := mb.Person, m.who.of(mb.Person), c.room.RoomID
	title, will, yes := "Remove "+name+" from "+m.roomName(c.room)+"?",
		name+" reads nothing that is said from now on: before the next message every member's device makes new keys, and "+name+" gets none of them.\n\n"+
			"What "+name+" has received until now they keep: nothing can take it back. A device that is away may go on using the old keys until it learns of this.\n\n"+
			"All members see that you did it. Only a new invitation leads "+name+" back.",
		"remove "+name
	if mb.Invited {
		title, will, yes = "Take back the invitation of "+name+"?",
			name+" can't join with it any more. All members see that you did it.", "take it back"
		if c.room.History == chat.HistorySinceInvited {
			will += " What was said since they were invited may have reached their devices already."
		}
	}
	m.question(title, will, yes, func(p *sheet) tea.Cmd {
		return m.act(p, func(ctx context.Context) error { return m.client.Remove(ctx, room, who) }, func() tea.Cmd {
			m.sheets = nil
			m.say(name+" is out of "+m.roomName(c.room)+".", false)
			return tea.Batch(m.refresh(), m.loadMembers(room))
		})
	})
}

// openInvite chooses a contact to ask into a private room.
func (m *model) openInvite(c *conversation) tea.Cmd {
	m.pickContact("Invite into "+m.roomName(c.room), "Whom?", func(who chat.PersonID) bool {
		return slices.ContainsFunc(c.members, func(mb chat.Member) bool { return mb.Person == who })
	}, func(who chat.PersonID) tea.Cmd { m.openInviteAs(c, who); return nil })
	return m.loadMembers(c.room.RoomID)
}

// openInviteAs chooses what a contact may do in a room, and invites them.
func (m *model) openInviteAs(c *conversation, who chat.PersonID) {
	name, room := m.who.of(who), c.room.RoomID
	p := &sheet{title: "Invite " + name + " into " + m.roomName(c.room)}
	p.build = func() content {
		words := name + " gets the invitation when their device is here, and decides. "
		switch c.room.History {
		case chat.HistoryNone:
			words += "Once they accept they read what is said from then on, and nothing from before."
		case chat.HistorySinceInvited:
			words += "Once they accept they read everything said from this invitation on."
		case chat.HistoryAll:
			words += "Once they accept they read everything that was ever said here."
		}
		text := []para{plain(words)}
		if !m.who.verified[who] {
			text = append(text, plain(""), faint("You have not verified "+name+"."))
		}
		content := content{text: text}
		for _, role := range []string{chat.RoleMember, chat.RoleAdmin, chat.RoleOwner} {
			if role == chat.RoleOwner && c.room.Role != chat.RoleOwner {
				continue
			}
			content.items = append(content.items, item{
				id: role, key: role[:1], label: "Invite as " + article(role), note: roleWords(role),
				do: func() tea.Cmd { return m.invite(p, room, who, role) },
			})
		}
		return content
	}
	m.push(p)
}

func (m *model) invite(p *sheet, room chat.RoomID, who chat.PersonID, role string) tea.Cmd {
	name := m.who.of(who)
	return m.act(p, func(ctx context.Context) error { return m.client.Invite(ctx, room, who, role) }, func() tea.Cmd {
		m.sheets = nil
		m.say(name+" is invited. They are in once they accept.", false)
		return tea.Batch(m.refresh(), m.loadMembers(room))
	})
}

// openRename and openTopic change what a private room is called and about.
func (m *model) openRename(c *conversation) {
	m.openSet("Rename "+m.roomName(c.room), "Name", strings.TrimPrefix(safeName(c.room.Room), "#"), chat.MaxRoomName,
		"All members see the new name. It exists only inside the encryption.",
		func(ctx context.Context, text string) error { return m.client.RenameRoom(ctx, c.room.RoomID, text) }, "The room has another name now.")
}

func (m *model) openTopic(c *conversation) {
	m.openSet("The topic of "+m.roomName(c.room), "Topic", oneLine(safeText(c.room.Topic)), chat.MaxTopic,
		"All members see it below the header. Leave it empty to have none.",
		func(ctx context.Context, text string) error { return m.client.SetTopic(ctx, c.room.RoomID, text) }, "The topic is changed.")
}

func (m *model) openSet(title, label, text string, most int, words string, set func(context.Context, string) error, done string) {
	p := &sheet{title: title, field: newField(label, text)}
	p.field.bytes = most
	p.build = func() content {
		return content{text: []para{plain(words)}, items: []item{{
			id: "save", label: "Save", do: func() tea.Cmd {
				text := strings.TrimSpace(p.field.in.text)
				return m.act(p, func(ctx context.Context) error { return set(ctx, text) }, m.doneAll(done))
			},
		}}}
	}
	m.push(p)
}
