package tui

import (
	"fmt"
	"slices"
	"strings"

	"earshot/chat"
)

func joinLines(lines []string) string { return strings.Join(lines, "\n") }

// screen draws everything and says where the cursor stands.
func (m *model) screen() (lines []string, x, y int) {
	f := m.layout()
	m.refreshLook(f)
	body := m.height - 2
	lines = append(lines, m.header(m.width))
	if m.roster && f.side == 0 {
		side, _ := m.sidebar(m.width, body)
		return append(append(lines, side...), m.helpLine(m.width)), 0, 0
	}
	var main []string
	if f.banner {
		main = append(main, m.bannerLine(f.main))
	}
	main = append(main, m.talkLines(f)...)
	main = append(main, m.unreadableLines(f.main)...)
	main = append(main, m.missingLines(f.main)...)
	main = append(main, m.stateLines(f.main, f.state)...)
	typed, cx, cy := m.inputLines(f)
	x, y = cx, 1+len(main)+cy
	main = append(main, typed...)
	if f.side > 0 {
		side, _ := m.sidebar(f.side, body)
		for i := range main {
			main[i] = side[i] + styleFaint.Styled(m.glyphs.vertical) + main[i]
		}
		x += f.side + 1
	}
	lines = append(lines, main...)
	return append(lines, m.helpLine(m.width)), x, y
}

// talkLines is the conversation, or what to do while there is none.
func (m *model) talkLines(f frame) []string {
	c := m.conv()
	if c != nil && c.loaded && c.count() > 0 {
		lines, _, _ := c.screen(f.talk, m.who)
		return m.withPick(c, lines, f.talk)
	}
	var words []string
	switch {
	case m.lost != "" && !m.loaded:
		words = []string{"Earshot's node does not answer yet. This window keeps trying by itself."}
	case c == nil || !c.loaded:
		words = []string{"Reading what is here" + m.glyphs.pending}
	case c.room.Kind == chat.RoomDirect:
		words = []string{
			"Nothing has been said between you and " + m.roomName(c.room) + " yet.",
			"What you write here is encrypted for the two of you. It arrives at once if they are here, else when they come.",
		}
		if !m.who.verified[c.with()] {
			words = append(words, "Verify them with /verify, and nobody can stand between you unnoticed.")
		}
	case c.room.Kind == chat.RoomPrivate:
		words = []string{
			"Nothing has been said in " + m.roomName(c.room) + " yet.",
			"Only its members can read it, its name and its topic. /invite asks somebody in.",
		}
	case m.who.here() > 0 && c.room.Room == chat.Lobby:
		words = []string{
			"Nothing has been said in " + m.roomName(c.room) + " yet.",
			"Write a line and press Enter: those here see it at once, the others when they come.",
		}
	case m.who.here() > 0:
		words = []string{
			"Nothing has been said in " + m.roomName(c.room) + " yet.",
			"Others read it once they are in the room too: tell them to write /join " + m.roomName(c.room) + ".",
		}
	default:
		words = []string{
			"Nobody else is here yet.",
			"Start Earshot on another computer in this network: you will see each other within seconds.",
			"You can write already: what you say here reaches those who come later.",
		}
	}
	indent := 2
	var lines []string
	for _, w := range words {
		for _, l := range m.meter.wrap(w, f.main-2*indent) {
			lines = append(lines, spaces(indent)+m.meter.fit(l, f.main-indent))
		}
	}
	lines = lines[:min(len(lines), f.talk)]
	above := (f.talk - len(lines)) / 2
	lines = append(slices.Repeat([]string{spaces(f.main)}, above), lines...)
	return append(lines, slices.Repeat([]string{spaces(f.main)}, f.talk-len(lines))...)
}

// stateLines are the lines above the input, at most limit: what needs to be said
// now, who types, and how much is below.
func (m *model) stateLines(width, limit int) []string {
	text, alert := m.stateText()
	tail := ""
	if c := m.conv(); c != nil && !c.follow {
		tail = " End " + m.glyphs.down
		if n := c.unseen(); n > 0 {
			tail = fmt.Sprintf(" %s new below, End %s", unreadCount(n), m.glyphs.down)
		}
	}
	room := width - m.meter.width(tail) - 2
	lines := m.meter.wrap(text, room)
	if len(lines) > limit {
		lines = lines[:limit]
		lines[limit-1] = m.meter.cut(lines[limit-1]+" "+m.glyphs.pending, room)
	}
	for i, l := range lines {
		style := styleFaint
		if alert {
			style = styleAlert
		}
		lines[i] = " " + style.Styled(m.meter.fit(l, room+1))
		if i == len(lines)-1 {
			lines[i] += styleMark.Styled(tail)
		} else {
			lines[i] += spaces(m.meter.width(tail))
		}
	}
	return lines
}

// stateText is the most important thing to say now.
func (m *model) stateText() (text string, alert bool) {
	switch {
	case m.quitArmed:
		return "Press Ctrl+C again to quit.", false
	case m.notice.text != "":
		return m.notice.text, m.notice.alert
	case m.lost != "":
		return m.lost, true
	}
	if words := m.composing(); words != "" {
		return words, false
	}
	if typing := m.typingText(); typing != "" {
		return typing, false
	}
	for i := len(m.warnings) - 1; i >= 0; i-- {
		if w := m.warnings[i]; w.Code != chat.CodeInvisible { // the last line says that, always
			return m.glyphs.warning + " " + safeText(w.Error()), true
		}
	}
	if m.syncing > 0 {
		return fmt.Sprintf("Catching up: %d received%s", m.syncing, m.glyphs.pending), false
	}
	return "", false
}

// typingText says who is typing in this room.
func (m *model) typingText() string {
	c := m.conv()
	if c == nil {
		return ""
	}
	now := m.now()
	var names []string
	for _, t := range c.typists {
		if t.until.After(now) {
			names = append(names, m.who.name(t.author))
		}
	}
	slices.Sort(names)
	switch len(names) {
	case 0:
		return ""
	case 1:
		return names[0] + " is typing" + m.glyphs.pending
	case 2:
		return names[0] + " and " + names[1] + " are typing" + m.glyphs.pending
	}
	return fmt.Sprintf("%d people are typing%s", len(names), m.glyphs.pending)
}

// inputLines is what is being written, and where the cursor stands in it.
func (m *model) inputLines(f frame) (lines []string, x, y int) {
	c := m.conv()
	if c == nil {
		return []string{m.meter.fit(m.glyphs.pointer, f.main)}, m.width, 0
	}
	if words, _ := m.barred(c); words != "" {
		for i, l := range m.meter.wrap(words, f.main-prompt-1) {
			if i == f.input {
				break
			}
			lines = append(lines, m.glyphs.warning+" "+styleAlert.Styled(m.meter.fit(l, f.main-prompt)))
		}
		return lines, m.width, 0
	}
	lines, x, y = c.in.view(m.meter, f.main-prompt, f.input)
	if c.in.text == "" {
		words := "Write to " + m.roomName(c.room)
		if m.hides() {
			words += " (it waits until you are visible)"
		}
		lines[0] = styleFaint.Styled(m.meter.fit(words, f.main-prompt))
	}
	for i := range lines {
		p := spaces(prompt)
		if i == 0 {
			p = styleBold.Styled(m.glyphs.pointer) + " "
		}
		lines[i] = p + lines[i]
	}
	return lines, x + prompt, y
}

// helpLine is the last line: the keys that matter now, as many as fit.
func (m *model) helpLine(width int) string {
	items := []string{"Enter send", "F1 help", "F9 menu", "Tab next room", "F2 people", "PgUp back", "Ctrl+Q quit", "F6 choose a message"}
	c := m.conv()
	switch {
	case m.side.on:
		items = []string{"Up Down choose", "Enter open", "F2 back", "F1 help"}
	case c != nil && m.bars(c):
		items = []string{"Enter what now", "F1 help", "Tab next room", "PgUp back", "Ctrl+Q quit"}
	case c != nil && !c.picked.IsZero():
		items = []string{"Up Down choose", "Enter what now", "r answer", "+ react", "e edit", "d remove", "Esc back"}
	case c != nil && c.editing != nil:
		items = []string{"Enter change it", "Esc leave it as it was", "F1 help"}
	case c != nil && !c.follow:
		items = []string{"End newest", "PgUp PgDn scroll", "F1 help", "Ctrl+Q quit"}
	case c != nil && c.in.text != "":
		items = []string{"Enter send", "Alt+Enter new line", "F1 help", "Ctrl+Q quit"}
	}
	if width < sideFrom && !m.side.on {
		items = slices.Insert(items, 2, "F2 rooms")
	}
	line := ""
	space := width - m.meter.width(m.hidden())
	for _, item := range items {
		if next := line + "  " + item; len(next) <= space {
			line = next
		}
	}
	return m.status(line, width)
}

// status draws the last line of every screen: words, and at its end what must never
// be forgotten while it lasts.
func (m *model) status(words string, width int) string {
	tail := m.hidden()
	return styleFaint.Styled(m.meter.fit(words, width-m.meter.width(tail))) + styleBold.Styled(tail)
}

// hidden says that others can't see the user, "" while they can.
func (m *model) hidden() string {
	switch {
	case !m.hides():
		return ""
	case m.width >= 110:
		return " you are invisible: nothing comes or goes "
	}
	return " you are invisible "
}

// hides reports whether the user lets nobody see them. Then nothing is sent, either.
func (m *model) hides() bool { return m.privacy.Invisible || m.privacy.Nearby == chat.Nobody }

// bars reports whether nothing can be sent in a conversation.
func (m *model) bars(c *conversation) bool {
	words, _ := m.barred(c)
	return words != ""
}

// sentence is an error as a person is told it.
func sentence(err error) string { return safeText(chat.AsError(err).Error()) }
