package tui

import (
	"context"
	"slices"

	tea "charm.land/bubbletea/v2"

	"earshot/chat"
	"earshot/cmd/earshot/wording"
)

// This file is how a message is chosen, and what can be done with it.

// pick puts the cursor on the newest message on the screen, or takes it away.
func (m *model) pick() {
	c := m.conv()
	if c == nil || !c.loaded || len(c.tl.msgs) == 0 {
		return
	}
	if !c.picked.IsZero() {
		c.picked = chat.EntryID{}
		return
	}
	f := m.layout()
	m.refreshLook(f)
	_, first, last := c.screen(f.talk, m.who)
	i := last
	if i < 0 {
		i = first
	}
	c.picked = c.tl.msgs[min(max(0, i), len(c.tl.msgs)-1)].ID
}

// onPickKey applies a key while a message is under the cursor, and reports whether it
// was for that.
func (m *model) onPickKey(c *conversation, k tea.KeyPressMsg) (tea.Cmd, bool) {
	i := c.tl.index(c.picked)
	if i < 0 {
		c.picked = chat.EntryID{}
		return nil, false
	}
	msg := c.tl.msgs[i]
	switch k.String() {
	case "up", "k":
		m.movePick(c, i-1)
	case "down", "j":
		m.movePick(c, i+1)
	case "enter", "space":
		return m.openMessage(msg), true
	case "esc", "f6":
		c.picked = chat.EntryID{}
	case "r":
		m.reply(c, msg)
	case "e":
		m.edit(c, msg)
	case "d", "delete":
		m.askDelete(c, msg)
	case "+":
		m.openReact(msg)
	case "pgup", "pgdown", "ctrl+home", "ctrl+end":
		return nil, false
	default:
		c.picked = chat.EntryID{}
		return nil, false
	}
	return nil, true
}

// movePick puts the cursor on the message with this number, and that on the screen.
func (m *model) movePick(c *conversation, i int) {
	if i < 0 || i >= len(c.tl.msgs) {
		return
	}
	c.picked = c.tl.msgs[i].ID
	f := m.layout()
	m.refreshLook(f)
	for range c.count() { // each turn brings at least one line closer
		_, first, last := c.screen(f.talk, m.who)
		switch {
		case i < first:
			c.hold(place{i, 0}, m.who)
			return
		case last >= 0 && i > last:
			c.scroll(1, f.talk, m.who)
		default:
			return
		}
	}
}

// withPick puts the cursor's sign on the lines of the screen that are the message
// under it.
func (m *model) withPick(c *conversation, lines []string, height int) []string {
	at := c.tl.index(c.picked)
	if c.picked.IsZero() || at < 0 {
		return lines
	}
	p, _ := c.top(height, m.who)
	total := 0
	for i, off := p.i, p.off; i < c.count() && total < height; i, off = i+1, 0 {
		total += len(c.block(i, m.who)) - off
	}
	from := max(0, height-total) // short histories stand at the bottom
	for i, off := p.i, p.off; i < at; i, off = i+1, 0 {
		from += len(c.block(i, m.who)) - off
	}
	n := len(c.block(at, m.who))
	if at == p.i {
		n -= p.off
	}
	if at < p.i || from >= len(lines) {
		return lines
	}
	to := min(from+n, len(lines))
	return slices.Concat(lines[:from], m.pickMark(lines[from:to]), lines[to:])
}

// pickMark puts the cursor's sign before the lines of a message.
func (m *model) pickMark(lines []string) []string {
	out := slices.Clone(lines)
	for i, l := range out {
		if len(l) > 0 && l[0] == ' ' && l != spaces(len(l)) {
			out[i] = styleMark.Styled(m.glyphs.selected) + l[1:]
		}
	}
	return out
}

// reply makes what is written next an answer.
func (m *model) reply(c *conversation, msg chat.Message) {
	c.stopEditing()
	c.replying, c.picked = &msg, chat.EntryID{}
	m.sheets = nil
}

// edit puts the text of a message of the user's where the next would be written.
func (m *model) edit(c *conversation, msg chat.Message) {
	if !msg.Mine || msg.Removed != nil {
		m.say("Only what you wrote yourself can be edited.", true)
		return
	}
	c.stopEditing()
	c.kept, c.editing, c.replying, c.picked = c.in.text, &msg, nil, chat.EntryID{}
	c.in.set(safeTyped(msg.Text))
	m.sheets = nil
}

// stopEditing leaves a message as it was, and goes on with what was being written.
func (c *conversation) stopEditing() {
	if c.editing != nil {
		c.in.set(c.kept)
		c.editing, c.kept = nil, ""
	}
}

// composing says what is about to be written, "" for a message like any other.
func (m *model) composing() string {
	c := m.conv()
	switch {
	case c == nil:
	case c.editing != nil:
		return "Editing what you said. Enter changes it for everybody, Esc leaves it as it was."
	case c.replying != nil:
		return "Answering " + m.who.name(c.replying.From) + ": " + m.meter.cut(oneLine(safeText(c.replying.Text)), 60) + " (Esc: no answer)"
	}
	return ""
}

// saveEdit gives a message its new text.
func (m *model) saveEdit(c *conversation, text string) tea.Cmd {
	id := c.editing.ID
	was := c.editing.Text
	c.stopEditing()
	if text == was {
		return nil
	}
	var edited chat.Message
	return m.act(nil, func(ctx context.Context) (err error) {
		edited, err = m.client.Edit(ctx, id, text)
		return err
	}, func() tea.Cmd { return m.onChanged(edited) })
}

// deleteWords says what deleting a message does.
func deleteWords(msg chat.Message, name string) string {
	whose := "The message of " + name
	if msg.Mine {
		whose = "Your message"
	}
	return whose + " is removed on every device that hears of it, also what it said before it was edited. All see that you removed it.\n\n" +
		"Whoever has read it has read it, and may have copied it. A device that stays away keeps it until it comes back; this message then tells on how many it is gone."
}

// mayDelete reports whether the user may remove a message.
func (c *conversation) mayDelete(msg chat.Message) bool {
	admin := c.room.Kind == chat.RoomPrivate && (c.room.Role == chat.RoleAdmin || c.room.Role == chat.RoleOwner)
	return msg.Removed == nil && !c.room.Left && (msg.Mine || admin)
}

func (m *model) askDelete(c *conversation, msg chat.Message) {
	if !c.mayDelete(msg) {
		m.say("Only "+m.who.name(msg.From)+" can remove that, or an admin of a private room.", true)
		return
	}
	m.question("Remove this message for everybody?", "\""+m.meter.cut(oneLine(safeText(msg.Text)), 120)+"\"\n\n"+deleteWords(msg, m.who.name(msg.From)), "remove it for everybody",
		func(p *sheet) tea.Cmd {
			var gone chat.Message
			return m.act(p, func(ctx context.Context) (err error) {
				gone, err = m.client.Delete(ctx, msg.ID)
				return err
			}, func() tea.Cmd {
				m.sheets, c.picked = nil, chat.EntryID{}
				return m.onChanged(gone)
			})
		})
}

// signsOffered are put under a message with one key each.
var signsOffered = []string{"👍", "❤️", "😂", "🎉", "😮", "😢", "✅"}

// openReact lets the user choose an emoji to put under a message, or to take away.
func (m *model) openReact(msg chat.Message) {
	p := &sheet{title: "React", field: newField("Any emoji", "")}
	p.field.empty = "🍀"
	mine := func(sign string) bool {
		return slices.ContainsFunc(msg.Reactions, func(r chat.Reaction) bool { return r.Sign == sign && r.Mine })
	}
	offered := slices.Clone(signsOffered)
	for _, r := range msg.Reactions {
		if sign := oneLine(safeText(r.Sign)); !slices.Contains(offered, sign) {
			offered = append(offered, sign)
		}
	}
	do := func(sign string, on bool) func() tea.Cmd {
		return func() tea.Cmd {
			var now chat.Message
			return m.act(p, func(ctx context.Context) (err error) {
				now, err = m.client.React(ctx, msg.ID, sign, on)
				return err
			}, func() tea.Cmd {
				m.sheets = nil
				if c := m.find(msg.RoomID); c != nil {
					c.picked = chat.EntryID{}
				}
				return m.onChanged(now)
			})
		}
	}
	p.build = func() content {
		var c content
		if sign := p.field.in.text; sign != "" {
			c.items = append(c.items, item{id: "this", label: "Put " + sign + " under it", do: do(sign, true)})
			return c
		}
		for _, sign := range offered {
			if mine(sign) {
				c.items = append(c.items, item{id: sign, label: sign, tag: "take yours away", do: do(sign, false)})
			} else {
				c.items = append(c.items, item{id: sign, label: sign, do: do(sign, true)})
			}
		}
		return c
	}
	m.push(p)
}

// openMessage shows the story of a message and what can be done with it.
func (m *model) openMessage(msg chat.Message) tea.Cmd {
	story := chat.MessageDetail{Message: msg}
	p := &sheet{title: "A message of " + m.who.name(msg.From)}
	if msg.Mine {
		p.title = "A message of yours"
	}
	p.about = func() tea.Cmd {
		return m.call(callTimeout, func(ctx context.Context) tea.Msg {
			d, err := m.client.Message(ctx, msg.ID)
			return didMsg{p, err, func() tea.Cmd { story = d; return nil }}
		})
	}
	p.build = func() content {
		c := m.find(story.RoomID)
		out := content{text: m.storyText(story)}
		if c == nil || c.room.Left {
			return out
		}
		if words, _ := m.barred(&conversation{room: c.room, talkMore: newTalkMore()}); words != "" {
			return out
		}
		if story.Removed == nil {
			out.items = append(out.items,
				item{id: "reply", key: "r", label: "Answer it", do: func() tea.Cmd { m.reply(c, story.Message); return nil }},
				item{id: "react", key: "+", label: "React with an emoji" + m.glyphs.pending, do: func() tea.Cmd { m.openReact(story.Message); return nil }})
		}
		if story.Mine && story.Removed == nil {
			out.items = append(out.items, item{id: "edit", key: "e", label: "Edit it" + m.glyphs.pending, do: func() tea.Cmd { m.edit(c, story.Message); return nil }})
		}
		if c.mayDelete(story.Message) {
			out.items = append(out.items, item{id: "delete", key: "d", label: "Remove it for everybody" + m.glyphs.pending, do: func() tea.Cmd { m.askDelete(c, story.Message); return nil }})
		}
		return out
	}
	m.push(p)
	return tea.Batch(p.about(), m.needDevices())
}

// needDevices asks for the user's own devices, whose names stories tell, once.
func (m *model) needDevices() tea.Cmd {
	if m.devices != nil {
		return nil
	}
	return m.loadDevices(nil)
}

// storyText tells all that is known of a message.
func (m *model) storyText(d chat.MessageDetail) []para {
	stamp := m.when
	var text []para
	if d.Removed != nil {
		text = append(text, strong(wording.Removed(remover(&d.Message, m.who), d.RemovedOn, d.RemovedOf)+"."))
	} else {
		text = append(text, strong(safeText(d.Text)))
	}
	text = append(text, plain(""), faint("Said "+stamp(d.SentAt)+"."))
	if d.Late {
		text = append(text, faint("It came late, "+stamp(d.ReceivedAt)+": what follows it had been read."))
	}
	if !d.ExpiresAt.IsZero() && d.Removed == nil {
		text = append(text, faint("It disappears "+stamp(d.ExpiresAt)+", on every device."))
	}
	for i, r := range d.Revisions {
		if i == 0 {
			text = append(text, plain(""), title("It was edited "+stamp(d.EditedAt)+". Before, it said"))
		}
		text = append(text, plain(safeText(r.Text)), faint("from "+stamp(r.At)))
	}
	for i, r := range d.Reactions {
		if i == 0 {
			text = append(text, plain(""))
		}
		var names []string
		for _, p := range r.People {
			if p == m.me.Person {
				names = append(names, "you")
			} else {
				names = append(names, m.who.of(p))
			}
		}
		text = append(text, plain(oneLine(safeText(r.Sign))+" "+wording.Names(names)))
	}
	if d.State == nil || d.State.Of == 0 || d.Removed != nil {
		return text
	}
	text = append(text, plain(""), title(m.glyphs.mark(*d.State)+" "+capital(wording.State(*d.State))))
	if held := wording.Held(d, m.deviceLabel); held != "" {
		text = append(text, plain(capital(oneLine(safeText(held)))+"."))
	}
	for _, r := range d.Recipients {
		at := ""
		if !r.At.IsZero() {
			at = stamp(r.At)
		}
		text = append(text, plain(shownName(r.Name)+": "+oneLine(safeText(wording.Recipient(r, at)))))
	}
	return text
}

// deviceLabel names a device of the user's.
func (m *model) deviceLabel(id chat.DeviceID) string {
	for _, d := range m.devices {
		if d.Device == id {
			return oneLine(safeText(d.Label))
		}
	}
	return ""
}
