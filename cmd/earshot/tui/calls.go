package tui

import (
	"context"
	"slices"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"earshot/chat"
)

// Every call to the node is a command with a time limit; its answer comes back as
// one of these messages.

const (
	callTimeout = 5 * time.Second  // a local call takes milliseconds (guess)
	sendTimeout = 15 * time.Second // a send waits for the disk (guess)
	endTimeout  = 2 * time.Second  // for messages under way when the user quits (guess)
	retryAfter  = time.Second
	pageSize    = 100 // messages: several screens (guess)
)

type (
	// allMsg answers loadAll.
	allMsg struct {
		me          chat.Me
		people      []chat.Person
		contacts    []chat.Contact
		rooms       []chat.Room
		invitations []chat.Invitation
		privacy     chat.Privacy
		status      chat.OwnStatus
		alerts      chat.Alerts
		err         error
	}
	// pageMsg answers the three ways to load history.
	pageMsg struct {
		room         chat.RoomID
		how          pageKind
		msgs         []chat.Message
		older, newer bool
		jump         bool // the reader asked to see it
		err          error
	}
	// sentMsg answers send.
	sentMsg struct {
		room     chat.RoomID
		clientID string
		message  chat.Message
		err      error
	}
	// readMsg answers markRead.
	readMsg struct {
		room chat.RoomID
		err  error
	}
	// joinedMsg answers join.
	joinedMsg struct {
		room chat.Room
		err  error
	}
	// ranMsg answers a slash command that is not built in.
	ranMsg struct {
		title string // the command
		text  string
		err   error
	}
	// endMsg says that the end has waited long enough for messages under way.
	endMsg struct{}
	// retryMsg says that it is time to try again.
	retryMsg struct{}
	// tickMsg says that time passed; only the last one that was asked for counts.
	tickMsg struct{ n int }
)

type pageKind int

const (
	pageOpen pageKind = iota
	pageOlder
	pageNewer
)

// running counts the commands that run, so that Run leaves none behind: bubbletea
// does not wait for them.
type running struct {
	mu   sync.Mutex
	over bool
	wg   sync.WaitGroup
}

// track makes a command of f that wait waits for.
func (r *running) track(f func() tea.Msg) tea.Cmd {
	return func() tea.Msg {
		r.mu.Lock()
		if r.over {
			r.mu.Unlock()
			return nil
		}
		r.wg.Add(1)
		r.mu.Unlock()
		defer r.wg.Done()
		return f()
	}
}

// wait lets no further command begin and waits for those that run; their context
// must be over.
func (r *running) wait() {
	r.mu.Lock()
	r.over = true
	r.mu.Unlock()
	r.wg.Wait()
}

// call makes a command of f with a time limit.
func (m *model) call(limit time.Duration, f func(ctx context.Context) tea.Msg) tea.Cmd {
	return m.running.track(func() tea.Msg {
		ctx, cancel := context.WithTimeout(m.ctx, limit)
		defer cancel()
		return f(ctx)
	})
}

// wake is the clock that wakes the model. Unlike tea.Tick it ends with m.ctx.
func (m *model) wake(d time.Duration, msg tea.Msg) tea.Cmd {
	return m.running.track(func() tea.Msg {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			return msg
		case <-m.ctx.Done():
			return nil
		}
	})
}

func (m *model) loadAll() tea.Cmd {
	return m.call(callTimeout, func(ctx context.Context) tea.Msg {
		var r allMsg
		if r.me, r.err = m.client.Me(ctx); r.err != nil {
			return r
		}
		if r.people, r.err = m.client.People(ctx); r.err != nil {
			return r
		}
		if r.contacts, r.err = m.client.Contacts(ctx); r.err != nil {
			return r
		}
		if r.invitations, r.err = m.client.Invitations(ctx); r.err != nil {
			return r
		}
		if r.privacy, r.err = m.client.Privacy(ctx); r.err != nil {
			return r
		}
		if r.status, r.err = m.client.Status(ctx); r.err != nil {
			return r
		}
		if r.alerts, r.err = m.client.Alerts(ctx); r.err != nil {
			return r
		}
		r.rooms, r.err = m.client.Rooms(ctx)
		return r
	})
}

// open reads the page a conversation opens with: the newest one, or, when more is
// unread than that holds, the one around the newest message read.
func (m *model) open(c *conversation) tea.Cmd {
	c.opening = true
	room := c.room
	return m.call(callTimeout, func(ctx context.Context) tea.Msg {
		r := pageMsg{room: room.RoomID, how: pageOpen}
		r.msgs, r.err = m.client.Messages(ctx, room.RoomID, Page{Limit: pageSize})
		r.older = len(r.msgs) == pageSize
		if r.err != nil || room.ReadUpTo == nil || !r.older ||
			slices.ContainsFunc(r.msgs, func(msg chat.Message) bool { return msg.ID == *room.ReadUpTo }) {
			return r
		}
		// What is unread is asked anew: catching up may have brought more than
		// there was when the rooms were read.
		rooms, err := m.client.Rooms(ctx)
		if err != nil || !slices.ContainsFunc(rooms, func(o chat.Room) bool { return o.RoomID == room.RoomID && o.Unread > 0 }) {
			return r
		}
		unread, err := m.client.Messages(ctx, room.RoomID, Page{After: *room.ReadUpTo, Limit: pageSize})
		if err != nil || len(unread) == 0 {
			return r // the newest page is better than none
		}
		read, err := m.client.Messages(ctx, room.RoomID, Page{Before: unread[0].ID, Limit: pageSize})
		if err != nil {
			return r
		}
		r.msgs = append(read, unread...)
		r.older, r.newer = len(read) == pageSize, len(unread) == pageSize
		return r
	})
}

// openEnd reads the newest page in place of what is loaded; jump says that the
// reader wants to go there.
func (m *model) openEnd(c *conversation, jump bool) tea.Cmd {
	c.opening = true
	room := c.room
	return m.call(callTimeout, func(ctx context.Context) tea.Msg {
		r := pageMsg{room: room.RoomID, how: pageOpen, jump: jump}
		r.msgs, r.err = m.client.Messages(ctx, room.RoomID, Page{Limit: pageSize})
		r.older = len(r.msgs) == pageSize
		return r
	})
}

// loadMore reads the page before or behind what is loaded, if the reader is near
// that end and there may be one.
func (m *model) loadMore(c *conversation, first, last int) tea.Cmd {
	const near = pageSize / 2
	var cmds []tea.Cmd
	n := len(c.tl.msgs)
	if !c.loaded || c.opening || n == 0 {
		return nil
	}
	if c.tl.older && first < near && !c.loadingOlder {
		c.loadingOlder = true
		cmds = append(cmds, m.page(c.room, pageOlder, Page{Before: c.tl.msgs[0].ID, Limit: pageSize}))
	}
	if c.tl.newer && last >= n-near && !c.loadingNewer {
		c.loadingNewer = true
		cmds = append(cmds, m.page(c.room, pageNewer, Page{After: c.tl.msgs[n-1].ID, Limit: pageSize}))
	}
	return tea.Batch(cmds...)
}

func (m *model) page(room chat.Room, how pageKind, p Page) tea.Cmd {
	return m.call(callTimeout, func(ctx context.Context) tea.Msg {
		msgs, err := m.client.Messages(ctx, room.RoomID, p)
		more := len(msgs) == p.Limit
		return pageMsg{room: room.RoomID, how: how, msgs: msgs, older: more, newer: more, err: err}
	})
}

func (m *model) send(room chat.Room, o outgoing) tea.Cmd {
	return m.call(sendTimeout, func(ctx context.Context) tea.Msg {
		msg, err := m.client.Send(ctx, room.RoomID, chat.Draft{Text: o.text, ClientID: o.clientID, ReplyTo: o.replyTo})
		return sentMsg{room: room.RoomID, clientID: o.clientID, message: msg, err: err}
	})
}

func (m *model) markRead(c *conversation, upTo chat.EntryID) tea.Cmd {
	c.reading = true
	room := c.room
	return m.call(callTimeout, func(ctx context.Context) tea.Msg {
		return readMsg{room.RoomID, m.client.Read(ctx, room.RoomID, upTo)}
	})
}

// typing tells the room that the user types, or stopped. Nobody is told when that
// fails: it is only a courtesy.
func (m *model) typing(room chat.RoomID, on bool) tea.Cmd {
	return m.call(callTimeout, func(ctx context.Context) tea.Msg {
		_ = m.client.Typing(ctx, room, on)
		return nil
	})
}

func (m *model) join(name string) tea.Cmd {
	return m.call(callTimeout, func(ctx context.Context) tea.Msg {
		room, err := m.client.Join(ctx, name)
		return joinedMsg{room, err}
	})
}

// retry wakes the model to try again what failed.
func (m *model) retry() tea.Cmd {
	if m.retrying {
		return nil
	}
	m.retrying = true
	return m.after(retryAfter, retryMsg{})
}

// tick wakes the model when what is shown may change by time alone: a typing sign
// that lapses, or midnight.
func (m *model) tick() tea.Cmd {
	m.ticks++
	wait := time.Minute
	now := m.now()
	for _, c := range m.rooms {
		for _, t := range c.typists {
			wait = min(wait, max(50*time.Millisecond, t.until.Sub(now)))
		}
	}
	return m.after(wait, tickMsg{m.ticks})
}
