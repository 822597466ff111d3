package tui

import (
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"earshot/chat"
)

// onEvents applies what happened and waits for more.
func (m *model) onEvents(msg eventsMsg) tea.Cmd {
	cmds := []tea.Cmd{nextEvents(m.events)}
	for _, e := range msg.events {
		m.lost = ""
		cmds = append(cmds, m.onEvent(e))
	}
	if msg.lost != nil {
		m.lose(msg.lost)
	}
	return tea.Batch(cmds...)
}

// lose notes that the node does not answer, and forgets what only it could end.
func (m *model) lose(err error) {
	m.lost = safeText(chat.AsError(err).Text) + " Earshot keeps trying; what you write waits here."
	m.syncing = 0
	for _, c := range m.rooms {
		clear(c.typists)
	}
}

func (m *model) onEvent(e chat.Event) tea.Cmd {
	switch e := e.(type) {
	case chat.ReadyEvent:
		return m.reloadAll() // what came before it was not told
	case chat.GapEvent:
		return m.reloadAll()
	case chat.MessageEvent:
		if c := m.find(e.RoomID); c != nil && c.room.Unreadable > 0 { // it may be one of those
			return tea.Batch(m.onMessage(e.Message), m.refresh())
		}
		return m.onMessage(e.Message)
	case chat.MessageChangedEvent:
		return m.onChanged(e.Message)
	case chat.StatesEvent:
		return m.onStates(e.RoomID)
	case chat.MissingEvent:
		if c := m.find(e.RoomID); c != nil {
			m.setMissing(c, e.Missing)
		}
	case chat.KeeperEvent:
		m.keeper = e.Keeper
	case chat.RoomEvent:
		return m.refresh()
	case chat.ContactEvent:
		return m.onContact(e.Contact)
	case chat.TrayEvent:
		m.onTray(e.Requests)
	case chat.InvitationEvent:
		m.onInvitation(e)
	case chat.RoomChangedEvent:
		return m.onRoomChanged(e)
	case chat.VerificationEvent:
		m.onVerification(e.Verification)
	case chat.PairingEvent:
		m.pairing = e.Pairing
		if p := m.sheet(); p != nil {
			m.sheetTop(p)
		}
		if e.State == chat.PairingDone {
			return m.loadDevices(nil)
		}
	case chat.PrivacyEvent:
		m.privacy = e.Privacy
	case chat.StatusEvent:
		m.own = e.OwnStatus
	case chat.AlertsEvent:
		m.alerts = e.Alerts
	case chat.AlertEvent:
		return m.onAlert(e)
	case chat.FreeEvent:
		return m.onFree(e.Person)
	case chat.PersonEvent:
		m.who.setPerson(e.Person)
		if e.Person.Me {
			m.me.Name = e.Person.Name
		}
	case chat.TypingEvent:
		return m.onTyping(e)
	case chat.ReadEvent:
		if c := m.find(e.RoomID); c != nil {
			c.setRead(max(0, e.Unread), e.ReadUpTo)
		}
	case chat.WarningEvent:
		if e.Warning.Code == chat.CodeUnreachable { // said by our side of the connection
			if !e.Clear {
				m.lose(&e.Warning)
			}
			return nil
		}
		m.warnings = slices.DeleteFunc(m.warnings, func(w chat.Error) bool { return w.Code == e.Warning.Code })
		if !e.Clear {
			m.warnings = append(m.warnings, e.Warning)
		}
	case chat.SyncEvent:
		m.syncing = e.Received
		if e.Done {
			m.syncing = 0
		}
	}
	return nil
}

// onMessage puts a message in its place, whoever wrote it.
func (m *model) onMessage(msg chat.Message) tea.Cmd {
	c := m.find(msg.RoomID)
	if c == nil {
		return m.refresh() // a room joined elsewhere
	}
	m.who.meetAuthors([]chat.Message{msg})
	delete(c.typists, msg.From.Person)
	if msg.Mine && msg.From.Device == m.me.Device {
		c.confirm(msg)
	}
	if shownAt(&msg).After(c.room.LastAt) {
		c.room.LastAt = shownAt(&msg)
	}
	watched := c == m.conv() && m.focused && c.follow
	if c.opening || c.loadingNewer { // the page under way may have been read before
		if len(c.early) < maxEarly {
			c.early = append(c.early, msg)
		} else {
			c.stale = true
		}
	}
	if !c.loaded {
		if !msg.Mine {
			c.unread(&msg)
		}
		return nil
	}
	_, known := c.tl.find(msg)
	inside := c.tl.insert(msg, c.follow)
	if known {
		return nil
	}
	newest := inside && c.tl.msgs[len(c.tl.msgs)-1].ID == msg.ID
	if inside && !newest && !msg.Mine && c.readKnown && !shownAt(&msg).After(c.readAt) {
		c.setLate(msg.ID)
	}
	if newest && !msg.Mine && c.history && c.firstNew.IsZero() && m.now().Sub(shownAt(&msg)) > missedAge {
		c.firstNew, c.missed = msg.ID, true
	}
	if !msg.Mine && !watched {
		if c.readKnown && shownAt(&msg).After(c.readAt) {
			c.unread(&msg)
		}
		if newest && c.firstNew.IsZero() {
			c.firstNew = msg.ID
		}
	}
	return nil
}

// unread counts a message that has not been read.
func (c *conversation) unread(msg *chat.Message) {
	c.room.Unread++
	c.room.Mentions += one(msg.MentionsMe)
}

// setLate notes a message that took its place among some that were read already.
func (c *conversation) setLate(id chat.EntryID) {
	if len(c.late) > windowMessages {
		clear(c.late)
	}
	c.late[id] = true
}

// confirm takes the outgoing message that msg is off the list: it was stored
// before the call that sent it returned.
func (c *conversation) confirm(msg chat.Message) {
	for i := range c.out {
		o := &c.out[i]
		if safeText(o.text) == msg.Text && !msg.SentAt.Before(o.at.Add(-time.Second)) {
			c.out = slices.Delete(c.out, i, i+1)
			return
		}
	}
}

func (m *model) onTyping(e chat.TypingEvent) tea.Cmd {
	c := m.find(e.RoomID)
	if c == nil || e.From.Person == m.me.Person {
		return nil
	}
	if !e.Typing {
		delete(c.typists, e.From.Person)
		return nil
	}
	limit := m.now().Add(chat.TypingExpiry)
	if e.Until.IsZero() || e.Until.After(limit) {
		e.Until = limit
	}
	c.typists[e.From.Person] = typist{e.From, e.Until}
	return m.tick()
}

// setRead notes what the node says about reading.
func (c *conversation) setRead(unread int, upTo *chat.EntryID) {
	c.room.Unread, c.room.ReadUpTo = unread, upTo
	c.room.Mentions = min(c.room.Mentions, unread)
	if upTo == nil {
		return
	}
	if i := c.tl.index(*upTo); i >= 0 && shownAt(&c.tl.msgs[i]).After(c.readAt) {
		c.readAt, c.readKnown = shownAt(&c.tl.msgs[i]), true
	}
}

func (m *model) find(id chat.RoomID) *conversation {
	for _, c := range m.rooms {
		if c.room.RoomID == id {
			return c
		}
	}
	return nil
}

// refresh reads rooms and people again; calls that overlap become one.
func (m *model) refresh() tea.Cmd {
	if m.loading {
		m.reload = true
		return nil
	}
	m.loading = true
	return m.loadAll()
}

// reloadAll reads everything again after events may have been missed. A reader
// who is up in history stays there; what follows is loaded on the way down.
func (m *model) reloadAll() tea.Cmd {
	for _, c := range m.rooms {
		clear(c.typists)
		c.again = true
		switch {
		case !c.loaded:
		case c.follow:
			c.stale = true
		default:
			c.tl.newer = true
		}
	}
	m.syncing, m.viewed = 0, chat.RoomID{}
	if m.devices != nil {
		return tea.Batch(m.refresh(), m.loadDevices(nil))
	}
	return m.refresh()
}

// onAll takes over what the node says about itself, people and rooms.
func (m *model) onAll(r allMsg) tea.Cmd {
	m.loading = false
	if r.err != nil {
		m.lose(r.err)
		m.reload = true
		return m.retry()
	}
	m.lost, m.me = "", r.me
	m.warnings = slices.Clone(r.me.Warnings)
	m.who.me = chat.Author{Person: r.me.Person, Name: r.me.Name, Device: r.me.Device}
	m.who.meet(r.me.Person, r.me.Name)
	m.who.setPeople(r.people)
	m.setContacts(r.contacts)
	m.invitations, m.privacy = r.invitations, r.privacy
	m.own, m.alerts = r.status, r.alerts
	for _, v := range m.invitations {
		m.meetInviter(v)
	}
	m.setRooms(r.rooms)
	m.loaded = true
	if m.reload {
		m.reload = false
		return m.refresh()
	}
	return nil
}

// onPage puts a page of history in its place.
func (m *model) onPage(r pageMsg) tea.Cmd {
	c := m.find(r.room)
	if c == nil {
		return nil
	}
	if chat.CodeOf(r.err) == chat.CodeNotFound && r.how != pageOpen {
		// What the page was to begin or end with has disappeared while nobody told.
		c.loadingOlder, c.loadingNewer = false, false
		c.follow, c.stale = true, true
		return nil
	}
	if r.err != nil {
		m.say(sentence(r.err), true)
		c.broken = true
		return m.retry()
	}
	m.lost = ""
	m.who.meetAuthors(r.msgs)
	switch r.how {
	case pageOpen:
		c.opening = false
		m.opened(c, r)
	case pageOlder:
		c.loadingOlder = false
		c.tl.prepend(r.msgs, r.older)
	case pageNewer:
		c.loadingNewer = false
		c.tl.extend(r.msgs, r.newer)
		c.takeEarly()
	}
	return nil
}

// takeEarly puts what arrived while a page was being read in its place.
func (c *conversation) takeEarly() {
	for _, msg := range c.early {
		if i := c.tl.index(msg.ID); i >= 0 && disappeared(&msg) {
			c.tl.remove(i)
		}
		if !disappeared(&msg) {
			c.tl.insert(msg, c.follow)
		}
	}
	c.early = nil
}

// noteMissed finds where the unseen begins in a page that was read again after
// events were missed; a reader who jumped to the end has chosen not to know.
func (c *conversation) noteMissed(jumped bool) {
	if jumped || !c.firstNew.IsZero() || !c.readKnown {
		return
	}
	for i := range c.tl.msgs {
		if m := &c.tl.msgs[i]; !m.Mine && shownAt(m).After(c.readAt) {
			c.firstNew, c.missed = m.ID, true
			return
		}
	}
}

// opened shows the page a room opens with, at the first unread message.
func (m *model) opened(c *conversation, r pageMsg) {
	again := c.loaded
	if again && !c.follow && !r.jump { // the reader has gone up meanwhile
		c.tl.newer = true
		c.early = nil
		return
	}
	c.tl.reset(r.msgs, r.older, r.newer)
	c.loaded, c.follow = true, true
	c.takeEarly()
	for i := range r.msgs {
		if r.msgs[i].Mine {
			c.confirm(r.msgs[i])
		}
	}
	if again {
		c.noteMissed(r.jump)
		return
	}
	c.readKnown, c.history = true, len(c.tl.msgs) > 0
	from := 0
	if id := c.room.ReadUpTo; id != nil {
		if i := c.tl.index(*id); i >= 0 {
			c.readAt, from = shownAt(&c.tl.msgs[i]), i+1
		}
	}
	f := m.layout()
	if from == 0 || f.talk <= 0 {
		return // everything is new, or nothing was ever read
	}
	for i := from; i < len(c.tl.msgs); i++ {
		if c.tl.msgs[i].Mine {
			continue
		}
		c.firstNew = c.tl.msgs[i].ID
		c.setLook(m.lookFor(f))
		c.hold(place{i, 0}, m.who)
		if _, atEnd := c.top(f.talk, m.who); atEnd {
			c.toEnd()
			c.missed = true // more of them may be on the way
		} else {
			c.scroll(-min(3, f.talk/3), f.talk, m.who) // a little of what went before
		}
		return
	}
}
