package tui

import (
	"fmt"

	tea "charm.land/bubbletea/v2"
)

// overlay is what covers the whole screen until it is closed: the help, or what a
// command had to say at length.
type overlay struct {
	title string // "" while nothing covers the screen
	text  string // "" for the help
	top   int    // the first line on the screen
}

const helpTitle = "Help"

func (o *overlay) open() bool { return o.title != "" }

func (m *model) openHelp() { m.overlay = overlay{title: helpTitle} }

// answer shows what a command says: above the input if it fits there.
func (m *model) answer(title, text string) {
	f := m.layout()
	if len(m.meter.wrap(text, f.main-2)) <= m.stateLimit() {
		m.say(text, false)
		return
	}
	m.notice = notice{}
	m.overlay = overlay{title: title, text: text}
}

// overlayLines is all that the overlay has to say, at a width.
func (m *model) overlayLines(width int) []string {
	if m.overlay.text == "" {
		return m.helpLines(width)
	}
	lines := m.meter.wrap(m.overlay.text, width-3)
	for i, l := range lines {
		lines[i] = "  " + m.meter.fit(l, width-2)
	}
	return lines
}

// helpLines is the help at a width: keys, commands, and what the signs mean.
func (m *model) helpLines(width int) []string {
	var lines []string
	title := func(s string) {
		if len(lines) > 0 {
			lines = append(lines, spaces(width))
		}
		lines = append(lines, styleBold.Styled(m.meter.fit(" "+s, width)))
	}
	column := min(26, width/2)
	row := func(left, right string) {
		for i, l := range m.meter.wrap(right, width-column-1) {
			if i > 0 {
				left = ""
			}
			lines = append(lines, "  "+m.meter.fit(left, column-2)+m.meter.fit(l, width-column))
		}
	}
	title("Keys")
	for _, b := range bindings {
		row(b.keys, b.does)
	}
	title("Commands")
	for _, c := range m.opt.Commands {
		left := "/" + c.Name
		if c.Args != "" {
			left += " " + c.Args
		}
		row(left, c.Help)
	}
	row("//text", "send a line that begins with a slash")
	title("Signs")
	row(m.glyphs.here+" "+m.glyphs.gone, "a person who is here, one who is gone")
	row(m.glyphs.selected+" "+m.glyphs.unread+"3", "the room on the screen, messages not read yet")
	return lines
}

// overlayScreen is the whole screen while something covers it.
func (m *model) overlayScreen() []string {
	all := m.overlayLines(m.width)
	space := m.height - 2
	top := max(0, min(m.overlay.top, len(all)-space))
	lines := []string{styleReverse.Styled(m.meter.fit(" "+m.overlay.title, m.width))}
	for i := range space {
		if at := top + i; at < len(all) {
			lines = append(lines, all[at])
		} else {
			lines = append(lines, spaces(m.width))
		}
	}
	foot := "  Esc back"
	if len(all) > space {
		foot += fmt.Sprintf("  Up Down scroll  %d%%", 100*top/(len(all)-space))
	}
	return append(lines, styleFaint.Styled(m.meter.fit(foot, m.width)))
}

func (m *model) onOverlayKey(key string) tea.Cmd {
	page := max(1, m.height-3)
	switch key {
	case "up":
		m.scrollOverlay(-1)
	case "down":
		m.scrollOverlay(1)
	case "pgup":
		m.scrollOverlay(-page)
	case "pgdown", "space":
		m.scrollOverlay(page)
	case "home":
		m.overlay.top = 0
	case "end":
		m.scrollOverlay(1 << 20)
	case "?":
		help := m.overlay.text == ""
		m.overlay = overlay{}
		if c := m.conv(); c != nil && help { // the second one was meant for the message
			m.write(c, "?")
		}
	case "esc", "f1", "q", "enter":
		m.overlay = overlay{}
	}
	return nil
}

func (m *model) scrollOverlay(delta int) {
	most := len(m.overlayLines(m.width)) - (m.height - 2)
	m.overlay.top = max(0, min(m.overlay.top+delta, most))
}
