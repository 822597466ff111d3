package tui

import (
	"context"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"earshot/chat"
)

// This file asks the node about messages that are on the screen already, and takes in
// what becomes of them.

// statesPause is what must pass between two questions how far messages have come: in
// a busy room they do so all the time.
const statesPause = 300 * time.Millisecond

type (
	// statesMsg answers askStates.
	statesMsg struct {
		room chat.RoomID
		msgs []chat.Message
		err  error
	}
	// statesDueMsg says that they may be asked for again.
	statesDueMsg struct{ room chat.RoomID }
	// lookedMsg answers lookAt.
	lookedMsg struct {
		room    chat.RoomID
		missing []chat.Missing
		err     error
	}
	// quoteMsg answers askQuotes.
	quoteMsg struct {
		room chat.RoomID
		id   chat.EntryID
		said *chat.Message // nil if it is not here
	}
)

// lookAt tells the node which room is on the screen, and asks what is missing there.
func (m *model) lookAt(c *conversation) tea.Cmd {
	m.viewed = c.room.RoomID
	id, left := c.room.RoomID, c.room.Left
	return m.call(callTimeout, func(ctx context.Context) tea.Msg {
		if left {
			return nil // nothing comes any more
		}
		_ = m.client.View(ctx, id) // it decides what comes first, not whether it comes
		missing, err := m.client.Missing(ctx, id)
		return lookedMsg{id, missing, err}
	})
}

func (m *model) onLooked(r lookedMsg) {
	if c := m.find(r.room); c != nil && r.err == nil { // else an event will tell
		m.setMissing(c, r.missing)
	}
}

func (m *model) setMissing(c *conversation, missing []chat.Missing) {
	c.missing = slices.DeleteFunc(slices.Clone(missing), func(m chat.Missing) bool { return m.Count <= 0 })
	for _, x := range c.missing {
		if _, known := m.who.called[x.From.Person]; !known && !x.From.Person.IsZero() {
			m.who.meet(x.From.Person, x.From.Name)
		}
	}
}

// onStates hears that messages of the user's have come further.
func (m *model) onStates(room chat.RoomID) tea.Cmd {
	c := m.find(room)
	var cmds []tea.Cmd
	if p := m.sheet(); p != nil && p.about != nil {
		cmds = append(cmds, p.about())
	}
	switch {
	case c == nil || !c.loaded:
	case c != m.conv():
		c.again = true
	default:
		cmds = append(cmds, m.askStates(c))
	}
	return tea.Batch(cmds...)
}

// askStates reads again the messages that the reader sees.
func (m *model) askStates(c *conversation) tea.Cmd {
	if c.asking {
		c.again = true
		return nil
	}
	if c.again = false; !c.unsettled() {
		return nil
	}
	c.asking = true
	page := Page{Limit: pageSize}
	if i, _ := c.tl.find(chat.Message{ID: c.anchor.id, SentAt: c.anchor.at}); !c.follow && i+pageSize < len(c.tl.msgs) {
		page.Before = c.tl.msgs[i+pageSize].ID
	}
	id := c.room.RoomID
	return m.call(callTimeout, func(ctx context.Context) tea.Msg {
		msgs, err := m.client.Messages(ctx, id, page)
		return statesMsg{id, msgs, err}
	})
}

func (m *model) gotStates(r statesMsg) tea.Cmd {
	c := m.find(r.room)
	if c == nil {
		return nil
	}
	for _, msg := range r.msgs { // none after an error: the next event asks again
		if i := c.tl.index(msg.ID); i >= 0 {
			c.retell(i, msg)
		}
	}
	return m.after(statesPause, statesDueMsg{r.room})
}

// statesDue asks again if something has changed since.
func (m *model) statesDue(room chat.RoomID) tea.Cmd {
	c := m.find(room)
	if c == nil {
		return nil
	}
	c.asking = false
	if c.again && c == m.conv() {
		return m.askStates(c)
	}
	return nil
}

// retell puts a message as it is now in the place of what it was.
func (c *conversation) retell(i int, msg chat.Message) {
	old := &c.tl.msgs[i]
	if msg.State == nil {
		msg.State = old.State
	}
	c.tl.size += len(msg.Text) - len(old.Text)
	*old = msg
	delete(c.blocks, msg.ID)
	delete(c.quotes, msg.ID)
}

// onChanged takes in what has become of a message.
func (m *model) onChanged(msg chat.Message) tea.Cmd {
	var cmds []tea.Cmd
	if p := m.sheet(); p != nil && p.about != nil {
		cmds = append(cmds, p.about())
	}
	c := m.find(msg.RoomID)
	if c == nil {
		return tea.Batch(cmds...)
	}
	if c.opening || c.loadingNewer || c.loadingOlder { // the page under way may have been read before
		if len(c.early) < maxEarly {
			c.early = append(c.early, msg)
		} else {
			c.stale = true
		}
	}
	switch i := c.tl.index(msg.ID); {
	case i < 0:
	case disappeared(&msg):
		c.tl.remove(i)
		delete(c.blocks, msg.ID)
	default:
		m.who.meetAuthors([]chat.Message{msg})
		c.retell(i, msg)
	}
	if q, known := c.quotes[msg.ID]; known && q != nil {
		c.quotes[msg.ID] = &msg
	}
	return tea.Batch(cmds...)
}

// disappeared reports whether the time of a message is over: then the node knows it no
// more, and no page begins or ends with it.
func disappeared(msg *chat.Message) bool {
	return msg.Removed != nil && msg.Removed.By.Person.IsZero()
}

// askQuotes asks for messages that visible ones answer and that are not loaded.
func (m *model) askQuotes(c *conversation, first, last int) tea.Cmd {
	var cmds []tea.Cmd
	for i := max(0, first); i <= last && i < len(c.tl.msgs); i++ {
		id := c.tl.msgs[i].ReplyTo
		if id == nil {
			continue
		}
		if _, known := c.quotes[*id]; known || c.tl.index(*id) >= 0 {
			continue
		}
		c.remember(*id, nil)
		room, want := c.room.RoomID, *id
		cmds = append(cmds, m.call(callTimeout, func(ctx context.Context) tea.Msg {
			d, err := m.client.Message(ctx, want)
			if err != nil || d.RoomID != room {
				return nil
			}
			return quoteMsg{room, want, &d.Message}
		}))
	}
	return tea.Batch(cmds...)
}

func (m *model) onQuote(r quoteMsg) {
	if c := m.find(r.room); c != nil {
		m.who.meetAuthors([]chat.Message{*r.said})
		c.remember(r.id, r.said)
	}
}
