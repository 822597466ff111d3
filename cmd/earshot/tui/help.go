package tui

const helpTitle = "Help"

func (m *model) openHelp() { m.push(&sheet{title: helpTitle, build: m.helpContent}) }

// answer shows what a command says: above the input if it fits there.
func (m *model) answer(title, text string) {
	f := m.layout()
	if m.sheet() == nil && len(m.meter.wrap(text, f.main-2)) <= m.stateLimit() {
		m.say(text, false)
		return
	}
	m.notice = notice{}
	m.push(&sheet{title: title, build: func() content { return content{text: []para{plain(text)}} }})
}

// helpContent is the help: keys, commands, and what the signs mean.
func (m *model) helpContent() content {
	var c content
	width := m.width - 2
	column := min(26, width/2)
	head := func(s string) {
		if len(c.text) > 0 {
			c.text = append(c.text, plain(""))
		}
		c.text = append(c.text, title(s))
	}
	row := func(left, right string) {
		var drawn []string
		for i, l := range m.meter.wrap(right, width-column-1) {
			if i > 0 {
				left = ""
			}
			drawn = append(drawn, m.meter.fit(left, column-1)+" "+l)
		}
		c.text = append(c.text, para{drawn: drawn})
	}
	head("Keys")
	for _, b := range bindings {
		row(b.keys, b.does)
	}
	head("Commands")
	for _, cmd := range m.opt.Commands {
		left := "/" + cmd.Name
		if cmd.Args != "" {
			left += " " + cmd.Args
		}
		row(left, cmd.Help)
	}
	row("//text", "send a line that begins with a slash")
	head("Signs")
	g := m.glyphs
	row(g.free+" "+g.away+" "+g.busy, "available, away, busy or not to be disturbed")
	row(g.untold+" "+g.gone, "here and telling no more, gone")
	row(g.verified, "behind a name: you have verified that it is them")
	row(g.lock+" #plan", "a private room: only its members can read it")
	row(g.asked+" "+g.asks, "you have asked this stranger, this stranger asks you")
	row(g.blocked, "somebody you have blocked")
	row(g.warning, "another key goes by the name of this verified contact: decide who it is")
	row(g.onlyHere+" here only", "behind what you said in private: on this device, and nowhere else as far as is known")
	row(g.held+" held by 2", "also on devices that hand it on to whom it is for: yours, keepers, contacts, members")
	row(g.delivered+" delivered", "on a device of everybody it is for; then read, as far as they let you know")
	row("@", "before a message: it calls you by name")
	row(g.selected+" @1 "+g.unread+"3", "the room on the screen; not read: what calls you, all")
	return c
}
