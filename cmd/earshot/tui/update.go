package tui

import (
	"fmt"
	"strconv"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"earshot/chat"
)

// noticeStays is how long a notice stands at least; then the next key removes it.
const noticeStays = 3 * time.Second

// wheelLines is how far one notch of the mouse wheel scrolls (as in most programs).
const wheelLines = 3

// Update applies one message. It never waits: whatever takes time is in the
// command it returns.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	cmd := m.apply(msg)
	return m, tea.Batch(cmd, m.settle())
}

func (m *model) apply(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.ModeReportMsg:
		// The renderer decides by the same report how it measures.
		if msg.Mode == ansi.ModeUnicodeCore &&
			(msg.Value == ansi.ModeReset || msg.Value == ansi.ModeSet || msg.Value == ansi.ModePermanentlySet) {
			m.meter = meter{ansi.GraphemeWidth}
		}
	case tea.FocusMsg:
		m.focused = true
	case tea.BlurMsg:
		m.focused = false
		if c := m.conv(); c != nil && c.follow {
			c.seen() // what comes from now on is new
		}
	case tea.KeyPressMsg:
		return tea.Batch(m.noteActive(), m.onKey(msg))
	case tea.PasteMsg:
		return tea.Batch(m.noteActive(), m.onPaste(msg.Content))
	case tea.MouseWheelMsg:
		switch msg.Button {
		case tea.MouseWheelUp:
			m.scroll(-wheelLines)
		case tea.MouseWheelDown:
			m.scroll(wheelLines)
		}
	case tea.MouseClickMsg:
		return tea.Batch(m.noteActive(), m.onClick(msg))
	case eventsMsg:
		return m.onEvents(msg)
	case allMsg:
		return m.onAll(msg)
	case pageMsg:
		return m.onPage(msg)
	case sentMsg:
		return m.onSent(msg)
	case readMsg:
		if c := m.find(msg.room); c != nil {
			if msg.err != nil {
				c.broken = true
				return m.retry()
			}
			c.reading = false
		}
	case joinedMsg:
		return m.onJoined(msg)
	case didMsg:
		return m.onDid(msg)
	case membersMsg:
		m.onMembers(msg)
	case statesMsg:
		return m.gotStates(msg)
	case statesDueMsg:
		return m.statesDue(msg.room)
	case lookedMsg:
		m.onLooked(msg)
	case quoteMsg:
		m.onQuote(msg)
	case ranMsg:
		if msg.err != nil {
			m.say(sentence(msg.err), true)
		} else {
			m.answer(msg.title, safeText(msg.text))
		}
	case endMsg:
		if m.ending {
			return tea.Quit
		}
	case retryMsg:
		return m.onRetry()
	case tickMsg:
		if msg.n != m.ticks {
			return nil
		}
		now := m.now()
		for _, c := range m.rooms {
			for p, t := range c.typists {
				if !t.until.After(now) {
					delete(c.typists, p)
				}
			}
		}
		return m.tick()
	}
	return nil
}

// onRetry tries again what failed.
func (m *model) onRetry() tea.Cmd {
	m.retrying = false
	for _, c := range m.rooms {
		if !c.broken {
			continue
		}
		if c.reading {
			c.readAt = c.readBefore
		}
		c.broken, c.opening, c.loadingOlder, c.loadingNewer, c.reading = false, false, false, false, false
	}
	if m.reload {
		m.reload = false
		return m.refresh()
	}
	return nil
}

// settle asks for what the screen now lacks, and tells the node what was read.
func (m *model) settle() tea.Cmd {
	c := m.conv()
	if c == nil || m.width < minWidth || m.height < minHeight {
		return nil
	}
	if !c.loaded && !c.opening {
		return m.open(c)
	}
	var look tea.Cmd
	if c.loaded && m.viewed != c.room.RoomID {
		look = m.lookAt(c)
	}
	if c.stale && !c.opening {
		c.stale = false
		return tea.Batch(look, m.openEnd(c, false))
	}
	if !c.loaded || len(c.tl.msgs) == 0 {
		return look
	}
	f := m.layout()
	m.refreshLook(f)
	c.holdMissed(f.talk, m.who)
	_, first, last := c.screen(f.talk, m.who)
	var states tea.Cmd
	if c.again && !c.asking {
		states = m.askStates(c)
	}
	return tea.Batch(look, m.loadMore(c, first, last), m.noteRead(c, first, last), m.askQuotes(c, first, last), states)
}

// noteRead sends the read mark when the user has had a newer message in sight.
func (m *model) noteRead(c *conversation, first, last int) tea.Cmd {
	if last < 0 || !m.focused || m.sheet() != nil || m.roster || !c.readKnown {
		return nil
	}
	newest := last == len(c.tl.msgs)-1 && !c.tl.newer
	at := shownAt(&c.tl.msgs[last])
	if newest && !at.After(c.readAt) {
		c.room.Unread, c.room.Mentions = 0, 0 // a count from before the mark arrived
	}
	if c.reading {
		return nil
	}
	id := c.tl.msgs[last].ID
	if !at.After(c.readAt) {
		if c.seesLate(first, last) { // unread as well, although the mark stands behind it
			return m.markRead(c, id)
		}
		return nil
	}
	if c.room.Unread == 0 && c.tl.msgs[last].Mine { // nothing that the node would want to know
		c.readAt = at
		return nil
	}
	c.readBefore, c.readAt = c.readAt, at
	c.room.ReadUpTo = &id
	if newest {
		c.room.Unread, c.room.Mentions = 0, 0
	}
	return m.markRead(c, id)
}

// say puts a notice above the input.
func (m *model) say(text string, alert bool) { m.notice = notice{text, alert, m.now()} }

// onKey applies one key. Keys of the whole interface come first, the rest belongs
// to what is being written.
func (m *model) onKey(k tea.KeyPressMsg) tea.Cmd {
	key := k.String()
	if key == "ctrl+q" || key == "ctrl+c" && m.quitArmed {
		return m.end()
	}
	m.quitArmed = key == "ctrl+c"
	if m.quitArmed {
		return nil
	}
	if p := m.sheet(); p != nil {
		return m.onSheetKey(p, k)
	}
	if m.notice.text != "" && m.now().Sub(m.notice.at) >= noticeStays {
		m.notice = notice{}
	}
	if key != "tab" && key != "shift+tab" {
		m.completer = completer{}
	}
	c := m.conv()
	if c != nil && !c.picked.IsZero() && !m.side.on {
		if cmd, done := m.onPickKey(c, k); done {
			return cmd
		}
	}
	switch key {
	case "f1":
		m.openHelp()
		return nil
	case "f2":
		m.openSide()
		return nil
	case "f4":
		m.openTray()
		return nil
	case "f5":
		return m.openThis()
	case "f6":
		m.pick()
		return nil
	case "f9":
		m.openMenu()
		return nil
	case "f3":
		if m.mouse = !m.mouse; m.mouse {
			m.say("The mouse scrolls and chooses rooms.", false)
		} else {
			m.say("The mouse selects text now. F3 lets it scroll again.", false)
		}
		return nil
	case "ctrl+o":
		m.whole = !m.whole
		return nil
	case "ctrl+l":
		return tea.ClearScreen
	case "ctrl+z":
		return tea.Suspend
	case "ctrl+n", "alt+down":
		return m.turn(1)
	case "ctrl+p", "alt+up":
		return m.turn(-1)
	case "pgup":
		m.scroll(-m.screenful())
		return nil
	case "pgdown":
		m.scroll(m.screenful())
		return nil
	case "ctrl+home":
		return m.jump(false)
	case "ctrl+end":
		return m.jump(true)
	case "esc":
		return m.onEsc()
	}
	switch {
	case m.side.on:
		return m.onSideKey(k)
	case c == nil:
		return nil
	}
	return m.onInputKey(c, k)
}

// onEsc closes or forgets one thing at a time.
func (m *model) onEsc() tea.Cmd {
	switch c := m.conv(); {
	case m.side.on:
		m.side.on, m.roster = false, false
	case m.notice.text != "":
		m.notice = notice{}
	case c != nil && c.editing != nil:
		c.stopEditing()
	case c != nil && c.replying != nil:
		c.replying = nil
	case c != nil && !c.follow:
		return m.jump(true)
	}
	return nil
}

// screenful is how far a page goes: one line is kept for the eye to hold on to.
func (m *model) screenful() int { return max(1, m.layout().talk-1) }

func (m *model) scroll(delta int) {
	if p := m.sheet(); p != nil {
		m.scrollSheet(p, delta)
		return
	}
	c := m.conv()
	if c == nil || m.width < minWidth || m.height < minHeight {
		return
	}
	f := m.layout()
	m.refreshLook(f)
	if c.loaded && c.count() > 0 {
		c.scroll(delta, f.talk, m.who)
	}
}

// jump goes to the newest message, or to the oldest that is loaded.
func (m *model) jump(newest bool) tea.Cmd {
	c := m.conv()
	if c == nil || !c.loaded {
		return nil
	}
	f := m.layout()
	m.refreshLook(f)
	switch {
	case !newest:
		if end := c.end(f.talk, m.who); end != (place{}) {
			c.hold(place{}, m.who)
		}
	case c.tl.newer:
		if !c.opening {
			return m.openEnd(c, true)
		}
	default:
		c.toEnd()
	}
	return nil
}

// turn goes to another room, by delta in the list; what has ended is passed over.
func (m *model) turn(delta int) tea.Cmd {
	n := len(m.rooms)
	for i, at := 0, m.current; i < n; i++ {
		at = ((at+delta)%n + n) % n
		if !m.rooms[at].room.Left {
			return m.enter(at)
		}
	}
	return nil
}

// enter shows the room with this number.
func (m *model) enter(i int) tea.Cmd {
	old := m.conv()
	if i == m.current || old == nil {
		return nil
	}
	cmd := m.stopTyping(old)
	if old.follow {
		old.seen()
	}
	old.rest()
	m.current = i
	m.side.on, m.roster = false, false
	m.conv().wake()
	m.notice = notice{}
	return cmd
}

func (m *model) onClick(msg tea.MouseClickMsg) tea.Cmd {
	if msg.Button != tea.MouseLeft || m.width < minWidth || m.height < minHeight {
		return nil
	}
	if p := m.sheet(); p != nil {
		return m.clickSheet(p, msg.Y)
	}
	side := m.layout().side
	if m.roster && side == 0 {
		side = m.width
	}
	_, rows := m.sidebar(side, m.height-2)
	if y := msg.Y - 1; msg.X < side && y >= 0 && y < len(rows) && rows[y] != nil {
		return m.choose(*rows[y])
	}
	return nil
}

// onPaste puts pasted text into the input; newlines in it do not send.
func (m *model) onPaste(text string) tea.Cmd {
	c := m.conv()
	if p := m.sheet(); p != nil {
		if p.field != nil {
			p.field.write(m, text)
			m.sheetTop(p)
		}
		return nil
	}
	if c == nil {
		return nil
	}
	m.side.on, m.roster = false, false
	if words, _ := m.barred(c); words != "" {
		return nil
	}
	tooLong := len(text) > chat.MaxText
	size := len(text)
	if !tooLong {
		text = safeTyped(text)
		size = len(text) + len(c.in.text)
		tooLong = !c.in.insert(text)
	}
	if tooLong {
		m.say(fmt.Sprintf("That would make %s bytes; a message may have %s. Paste a shorter part, or send it as several messages.",
			thousands(size), thousands(chat.MaxText)), true)
		return nil
	}
	return m.keepTyping(c)
}

// thousands writes a number with a comma after every three digits.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
