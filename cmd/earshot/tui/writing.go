package tui

import (
	tea "charm.land/bubbletea/v2"

	"earshot/chat"
)

// onInputKey applies a key to what is being written.
func (m *model) onInputKey(c *conversation, k tea.KeyPressMsg) tea.Cmd {
	if words, do := m.barred(c); words != "" {
		return m.onBarredKey(c, k, do)
	}
	in, mt := &c.in, m.meter
	before := in.text
	switch k.String() {
	case "enter":
		return m.submit(c)
	case "alt+enter", "shift+enter", "ctrl+j":
		m.write(c, "\n")
	case "tab":
		return m.tab(c, 1)
	case "shift+tab":
		return m.tab(c, -1)
	case "ctrl+r":
		return m.resend(c)
	case "up":
		m.up(c)
	case "down":
		if !in.move(mt, m.inputWidth(), 1) && in.text == "" {
			m.scroll(1)
		}
	case "home":
		if in.text == "" {
			return m.jump(false)
		}
		in.home()
	case "end":
		if in.text == "" {
			return m.jump(true)
		}
		in.end()
	case "ctrl+y":
		if !in.yank() {
			m.tooLong()
		}
	default:
		if in.edit(k.String(), mt) {
			break
		}
		if k.Text == "?" && in.text == "" {
			m.openHelp()
			return nil
		}
		m.write(c, safeTyped(k.Text))
	}
	if in.text == before {
		return nil
	}
	return m.keepTyping(c)
}

// onBarredKey applies a key where nothing can be sent: reading goes on, a command
// can be written, and what was being written is kept.
func (m *model) onBarredKey(c *conversation, k tea.KeyPressMsg, do func() tea.Cmd) tea.Cmd {
	switch key := k.String(); {
	case key == "enter":
		return do()
	case key == "tab":
		return m.turn(1)
	case key == "shift+tab":
		return m.turn(-1)
	case key == "up":
		m.scroll(-1)
	case key == "down":
		m.scroll(1)
	case key == "home":
		return m.jump(false)
	case key == "end":
		return m.jump(true)
	case k.Text == "/" && c.in.text == "":
		m.write(c, "/")
	case k.Text == "?":
		m.openHelp()
	}
	return nil
}

// write writes text at the cursor.
func (m *model) write(c *conversation, text string) {
	if text != "" && !c.in.insert(text) {
		m.tooLong()
	}
}

func (m *model) tooLong() {
	m.say("A message may have "+thousands(chat.MaxText)+" bytes, and this one has no room for more. Send it and go on in another.", true)
}

// up moves the cursor up; from an empty input it takes back what failed, or
// scrolls.
func (m *model) up(c *conversation) {
	if c.in.move(m.meter, m.inputWidth(), -1) || c.in.text != "" || c.takeBack() {
		return
	}
	m.scroll(-1)
}

// inputWidth is the width at which the input breaks its lines.
func (m *model) inputWidth() int { return m.layout().main - prompt - 1 }

// tab completes the word in front of the cursor; where there is nothing to
// complete it goes to another room.
func (m *model) tab(c *conversation, delta int) tea.Cmd {
	if c.in.text == "" {
		return m.turn(delta)
	}
	if !m.completer.active {
		m.completer = m.complete(&c.in)
	}
	m.completer.next(&c.in, delta)
	return nil
}
