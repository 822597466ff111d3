package tui

import (
	"fmt"

	tea "charm.land/bubbletea/v2"
)

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

// helpScreen is the whole screen while help shows.
func (m *model) helpScreen() []string {
	all := m.helpLines(m.width)
	space := m.height - 2
	m.helpTop = max(0, min(m.helpTop, len(all)-space))
	lines := []string{styleReverse.Styled(m.meter.fit(" Help", m.width))}
	for i := range space {
		if at := m.helpTop + i; at < len(all) {
			lines = append(lines, all[at])
		} else {
			lines = append(lines, spaces(m.width))
		}
	}
	foot := "  Esc back"
	if len(all) > space {
		foot = fmt.Sprintf("  Esc back  Up Down scroll (%d%%)", 100*m.helpTop/max(1, len(all)-space))
	}
	return append(lines, styleFaint.Styled(m.meter.fit(foot, m.width)))
}

func (m *model) onHelpKey(key string) tea.Cmd {
	page := max(1, m.height-3)
	switch key {
	case "up":
		m.scrollHelp(-1)
	case "down":
		m.scrollHelp(1)
	case "pgup":
		m.scrollHelp(-page)
	case "pgdown", "space":
		m.scrollHelp(page)
	case "home":
		m.helpTop = 0
	case "end":
		m.scrollHelp(1 << 20)
	case "?":
		m.help = false
		if c := m.conv(); c != nil { // the second one was meant for the message
			m.write(c, "?")
		}
	case "esc", "f1", "q", "enter":
		m.help = false
	}
	return nil
}

func (m *model) scrollHelp(delta int) {
	m.helpTop = max(0, min(m.helpTop+delta, len(m.helpLines(m.width))-(m.height-2)))
}
