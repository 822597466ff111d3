package tui

import (
	tea "charm.land/bubbletea/v2"

	"earshot/chat/phrase"
)

// openMenu offers what can be done, for those who know no command by heart.
func (m *model) openMenu() {
	m.push(&sheet{title: m.opt.Title, build: func() content {
		sheet := func(key, label, note string, open func()) item {
			return item{id: label, key: key, label: label, note: note, do: func() tea.Cmd { open(); return nil }}
		}
		c := content{items: []item{
			sheet("w", "Waiting for you", "", m.openTray),
			sheet("c", "Contacts", "", m.openContacts),
			sheet("r", "New private room"+m.glyphs.pending, "", func() { m.openCreate("") }),
			sheet("o", "Join an open room"+m.glyphs.pending, "", m.openJoin),
			{id: "this", key: "t", label: "About this conversation", note: "Who can read it, members, leaving it.", do: m.openThis},
			sheet("s", "Your status", "Available, busy, away, and what you are doing.", m.openStatus),
			sheet("a", "Alerts", "", m.openAlerts),
			sheet("p", "Privacy", "", m.openPrivacy),
			{id: "devices", key: "d", label: "Your devices", do: m.openDevices},
			{id: "profile", key: "y", label: "Your profile", do: m.openProfile},
			{id: "keeper", key: "k", label: "For people who are away", do: m.openKeeper},
			sheet("h", "Help: keys and commands", "", m.openHelp),
		}}
		if n := m.waiting(); n > 0 {
			c.items[0].tag = count(n, "thing")
		}
		c.items[5].tag = phrase.State(m.own.State)
		if m.privacy.Invisible {
			c.items[7].tag = "invisible"
		}
		if conv := m.conv(); conv != nil {
			c.items[4].tag = m.roomName(conv.room)
		}
		return c
	}})
}

// openJoin asks for the name of an open room.
func (m *model) openJoin() {
	p := &sheet{title: "Join an open room", field: newField("Name", "")}
	p.field.empty = "#coffee"
	p.build = func() content {
		return content{
			text: []para{plain("Anyone on this network who knows its name can read what is said in an open room. A room that is not there yet begins with you.")},
			items: []item{{id: "join", label: "Join", do: func() tea.Cmd {
				name, problem := roomToJoin(p.field.in.text)
				if problem != "" {
					p.problem = problem
					return nil
				}
				m.sheets = nil
				return m.join(name)
			}}},
		}
	}
	m.push(p)
}
