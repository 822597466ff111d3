package tui

import (
	"crypto/rand"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"earshot/chat"
)

// This file is the way of a message out: written, on the screen at once with a
// mark, stored by the node or kept with the reason why not.

// session makes client ids of this run different from those of any other.
var session = rand.Text()

func (m *model) clientID() string { return "tui-" + session + "-" + strconv.Itoa(m.ids) }

// submit sends what is written, or carries it out as a command.
func (m *model) submit(c *conversation) tea.Cmd {
	if c.in.blank() {
		c.in.set("")
		return m.stopTyping(c)
	}
	text := safeText(c.in.text)
	if name, args, ok := parseCommand(text); ok {
		return m.runCommand(c, name, args)
	}
	if strings.HasPrefix(c.in.text, "/") { // no command after all: would it be sent?
		barred := *c
		barred.in.text = ""
		if words, _ := m.barred(&barred); words != "" {
			m.say(words, true)
			return nil
		}
	}
	if len(text) > 1 && text[0] == '/' && text[1] == '/' {
		text = text[1:] // two slashes stand for one
	}
	if c.editing != nil {
		return tea.Batch(m.stopTyping(c), m.saveEdit(c, text))
	}
	c.in.set("")
	m.notice = notice{}
	m.ids++
	o := outgoing{clientID: m.clientID(), text: text, at: m.now()}
	if c.replying != nil {
		o.replyTo = &c.replying.ID
		c.remember(c.replying.ID, c.replying)
		c.replying = nil
	}
	c.out = append(c.out, o)
	c.seen()
	c.history = true
	c.typingOn, c.typedAt = false, time.Time{} // the message itself says it
	cmds := []tea.Cmd{m.send(c.room, o)}
	if c.tl.newer && !c.opening {
		cmds = append(cmds, m.openEnd(c, true))
	}
	c.toEnd()
	return tea.Batch(cmds...)
}

// onSent takes a message that was stored into the conversation, or says why not.
func (m *model) onSent(r sentMsg) tea.Cmd {
	c := m.find(r.room)
	if c == nil {
		return nil
	}
	for i := range c.out {
		if c.out[i].clientID != r.clientID {
			continue
		}
		if r.err != nil {
			c.out[i].failed = sentence(r.err)
			m.ending = false // let it be seen
			return nil
		}
		c.out = append(c.out[:i:i], c.out[i+1:]...)
		break
	}
	if r.err == nil && c.loaded {
		c.tl.insert(r.message, c.follow)
	}
	if m.ending && !m.sending() {
		return tea.Quit
	}
	return nil
}

// end ends the interface; a message that is under way is let through first, unless
// it takes long or the user insists.
func (m *model) end() tea.Cmd {
	if m.ending || !m.sending() {
		return tea.Quit
	}
	m.ending = true
	m.say("Sending what was written last. Press the same again to quit at once.", false)
	return m.after(endTimeout, endMsg{})
}

// sending says whether any message is under way.
func (m *model) sending() bool {
	for _, c := range m.rooms {
		for i := range c.out {
			if c.out[i].failed == "" {
				return true
			}
		}
	}
	return false
}

// resend sends once more what failed, under the same client ids: what did get
// through after all is not said twice.
func (m *model) resend(c *conversation) tea.Cmd {
	var cmds []tea.Cmd
	for i := range c.out {
		if c.out[i].failed != "" {
			c.out[i].failed = ""
			cmds = append(cmds, m.send(c.room, c.out[i]))
		}
	}
	return tea.Batch(cmds...)
}

// takeBack puts the newest message that failed back into the empty input.
func (c *conversation) takeBack() bool {
	for i := len(c.out) - 1; i >= 0; i-- {
		if c.out[i].failed != "" {
			c.in.set(c.out[i].text)
			c.out = append(c.out[:i:i], c.out[i+1:]...)
			return true
		}
	}
	return false
}

// keepTyping tells the room, now and then, that the user is typing.
func (m *model) keepTyping(c *conversation) tea.Cmd {
	now := m.now()
	if c.in.blank() || c.in.text[0] == '/' {
		return m.stopTyping(c)
	}
	if c.typingOn && now.Sub(c.typedAt) < chat.TypingRenew {
		return nil
	}
	c.typingOn, c.typedAt = true, now
	return m.typing(c.room.RoomID, true)
}

func (m *model) stopTyping(c *conversation) tea.Cmd {
	if !c.typingOn {
		return nil
	}
	c.typingOn, c.typedAt = false, time.Time{}
	return m.typing(c.room.RoomID, false)
}
