package tui

import (
	"context"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"earshot/chat"
)

// builtin returns what a command of the interface's own does, or why it can't.
func (m *model) builtin(c *conversation, name, args string) (do func() tea.Cmd, problem string) {
	sheet := func(open func()) func() tea.Cmd {
		return func() tea.Cmd { open(); return nil }
	}
	switch name {
	case "chat", "add", "person", "verify", "block", "unblock", "forget", "watch":
		return m.aboutPerson(c, name, args)
	case "invite", "members", "remove", "role", "rename", "topic":
		return m.aboutRoom(c, name, args)
	case "requests", "invitations":
		return sheet(m.openTray), ""
	case "contacts":
		by, known := arrangements[strings.ToLower(args)]
		if args != "" && !known {
			return nil, "Write /contacts group, /contacts department or /contacts name."
		}
		return sheet(func() {
			if known {
				m.arrange = by
			}
			m.openContacts()
		}), ""
	case "status":
		return sheet(m.openStatus), ""
	case "alerts":
		return sheet(m.openAlerts), ""
	case "profile":
		return m.openProfile, ""
	case "create":
		return sheet(func() { m.openCreate(args) }), ""
	case "join":
		room, problem := roomToJoin(args)
		return func() tea.Cmd { return m.join(room) }, problem
	case "leave":
		return func() tea.Cmd { return m.askLeave(c) }, ""
	case "disappear":
		if !c.room.Kind.Sealed() {
			return nil, m.roomName(c.room) + " is open: anyone may keep what is said in it, so nothing can promise that it goes. Use a private room, or a chat with a contact."
		}
		if !mayLast(c.room) {
			return nil, "Only admins and owners of " + m.roomName(c.room) + " decide how long messages last in it."
		}
		return sheet(func() { m.openLasting(c) }), ""
	case "messages":
		return sheet(m.pick), ""
	case "unreadable":
		return sheet(m.openUnreadable), ""
	case "privacy":
		return sheet(m.openPrivacy), ""
	case "invisible":
		next := m.privacy
		switch strings.ToLower(args) {
		case "":
			next.Invisible = !next.Invisible
		case "on", "off":
			next.Invisible = strings.ToLower(args) == "on"
		default:
			return nil, "Write /invisible on, or /invisible off."
		}
		return func() tea.Cmd { return m.setPrivacy(nil, next) }, ""
	case "devices":
		return m.openDevices, ""
	case "help":
		return sheet(m.openHelp), ""
	}
	return m.end, ""
}

// aboutPerson returns what a command about somebody does. Without a person it is
// about whom this chat is with, or lets the user choose.
func (m *model) aboutPerson(c *conversation, name, args string) (func() tea.Cmd, string) {
	do := func(who chat.PersonID) tea.Cmd {
		switch r := m.contacts[who].Relation; {
		case name == "chat" && r.Known():
			return m.openChat(nil, who)
		case name == "verify" && r.Known():
			return m.openVerify(who)
		case name == "watch" && r.Known():
			return m.watch(nil, who, true)
		case name == "forget" && r != "":
			m.askForget(who)
		case name == "block" && r != chat.RelationBlocked && who != m.me.Person:
			m.askBlock(who)
		case name == "add" && (r == "" || r == chat.RelationStranger || r == chat.RelationRequested) && who != m.me.Person:
			m.openAsk(who)
		default: // says what they are, and what can be done instead
			m.openPerson(who)
		}
		return nil
	}
	switch with := c.with(); {
	case args != "":
		return func() tea.Cmd { return m.findPerson(args, do) }, ""
	case !with.IsZero():
		return func() tea.Cmd { return do(with) }, ""
	}
	if title := map[string]string{
		"watch": "Tell me when somebody is free", "chat": "Write to a contact", "verify": "Verify a contact", "forget": "Forget a contact", "person": "About a contact",
	}[name]; title != "" {
		return func() tea.Cmd {
			m.pickContact(title, "Whom?", nil, do)
			return nil
		}, ""
	}
	return nil, "Say who is meant: write a contact's name or the id of anybody behind /" + name + ", or choose them in the side column with F2."
}

// findPerson asks the node whom the user means: names lead to contacts only.
func (m *model) findPerson(who string, do func(chat.PersonID) tea.Cmd) tea.Cmd {
	var found chat.Person
	return m.act(nil, func(ctx context.Context) (err error) {
		found, err = m.client.FindPerson(ctx, strings.TrimPrefix(who, "@"))
		return err
	}, func() tea.Cmd {
		if _, known := m.who.person(found.Person); !known {
			m.who.setPerson(found)
		}
		return do(found.Person)
	})
}

// aboutRoom returns what a command about a private room does.
func (m *model) aboutRoom(c *conversation, name, args string) (func() tea.Cmd, string) {
	if c.room.Kind != chat.RoomPrivate {
		return nil, m.roomName(c.room) + " is not a private room, so there is nothing of that kind here. Go to one, or make one with /create."
	}
	room := c.room.RoomID
	switch name {
	case "members":
		return func() tea.Cmd { return m.openMembers(c) }, ""
	case "rename", "topic":
		if args == "" {
			return func() tea.Cmd {
				if name == "rename" {
					m.openRename(c)
				} else {
					m.openTopic(c)
				}
				return nil
			}, ""
		}
		return func() tea.Cmd {
			return m.act(nil, func(ctx context.Context) error {
				if name == "rename" {
					return m.client.RenameRoom(ctx, room, args)
				}
				return m.client.SetTopic(ctx, room, args)
			}, m.refresh)
		}, ""
	}
	who, role := splitRole(args)
	if name == "role" && (who == "" || role == "") {
		return nil, "Write /role, the person and what they are to be: owner, admin or member."
	}
	if who == "" {
		if name == "invite" {
			return func() tea.Cmd { return m.openInvite(c) }, ""
		}
		return func() tea.Cmd { return m.openMembers(c) }, ""
	}
	return func() tea.Cmd {
		return m.findPerson(who, func(p chat.PersonID) tea.Cmd {
			switch name {
			case "invite":
				if role == "" {
					m.openInviteAs(c, p)
					return nil
				}
				return m.invite(nil, room, p, role)
			case "role":
				return m.setRole(nil, room, p, role)
			}
			return m.removeFound(c, p)
		})
	}, ""
}

// removeFound asks before somebody is removed, once it is known whether they are in
// or only invited.
func (m *model) removeFound(c *conversation, who chat.PersonID) tea.Cmd {
	room := c.room.RoomID
	var members []chat.Member
	return m.act(nil, func(ctx context.Context) (err error) {
		members, err = m.client.Members(ctx, room)
		return err
	}, func() tea.Cmd {
		m.setMembers(c, members)
		i := slices.IndexFunc(members, func(mb chat.Member) bool { return mb.Person == who })
		if i < 0 {
			m.say(m.who.of(who)+" is not in "+m.roomName(c.room)+", nor invited. /members shows who is.", true)
			return nil
		}
		m.askRemove(c, members[i])
		return nil
	})
}

// splitRole takes a role from the end of what was written.
func splitRole(args string) (who, role string) {
	i := strings.LastIndexByte(args, ' ')
	switch last := strings.ToLower(args[i+1:]); last {
	case chat.RoleMember, chat.RoleAdmin, chat.RoleOwner:
		return strings.TrimSpace(args[:max(0, i)]), last
	}
	return args, ""
}
