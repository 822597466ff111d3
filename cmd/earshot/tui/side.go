package tui

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"earshot/chat"
)

// sideRow is something that can be chosen in the side column: what waits for the
// user, a conversation, or a person without one.
type sideRow struct {
	tray   bool
	conv   *conversation
	person chat.PersonID
}

// sideCursor is where the user is in the side column while the keys go there.
type sideCursor struct {
	on bool
	at sideRow
}

// section is a group of rows under a title.
type section struct {
	title string
	rows  []sideRow
}

// sections returns what the side column holds, in order.
func (m *model) sections() []section {
	var private, open, nearby, ended section
	chats := map[chat.PersonID]*conversation{}
	for _, c := range m.rooms {
		switch {
		case c.room.Left:
			ended.rows = append(ended.rows, sideRow{conv: c})
		case c.room.Kind == chat.RoomDirect:
			chats[c.with()] = c
		case c.room.Kind == chat.RoomPrivate:
			private.rows = append(private.rows, sideRow{conv: c})
		default:
			open.rows = append(open.rows, sideRow{conv: c})
		}
	}
	strangers := 0
	var known []chat.PersonID
	people := m.who.list()
	for i := range people {
		p := &people[i]
		r := m.contacts[p.Person].Relation
		switch {
		case r.Known() || chats[p.Person] != nil:
			known = append(known, p.Person)
		case r != chat.RelationBlocked:
			strangers += one(p.Presence == chat.Here || p.Me)
			nearby.rows = append(nearby.rows, sideRow{person: p.Person})
		}
	}
	for _, c := range m.rooms { // with people whom the node did not list
		if who := c.with(); !c.room.Left && c.room.Kind == chat.RoomDirect && !m.who.listed(who) {
			known = append(known, who)
		}
	}
	var list []section
	for _, g := range m.arranged(known, false) {
		s := section{title: fmt.Sprintf("%s: %d here", g.title, g.here)}
		for _, who := range g.people {
			s.rows = append(s.rows, sideRow{conv: chats[who], person: who})
		}
		list = append(list, s)
	}
	private.title = "Private rooms"
	open.title = "Open to anyone"
	nearby.title = fmt.Sprintf("Nearby: %d here", strangers)
	ended.title = "Ended"
	list = append(list, private, open, nearby, ended)
	return slices.DeleteFunc(list, func(s section) bool { return len(s.rows) == 0 })
}

func (m *model) compareNames(a, b chat.PersonID) int {
	if c := strings.Compare(m.who.called[a].folded, m.who.called[b].folded); c != 0 {
		return c
	}
	return slices.Compare(a[:], b[:])
}

// sidebar draws the side column in exactly height lines of width cells. targets
// says, line by line, what a click there means, nil for nothing.
func (m *model) sidebar(width, height int) (lines []string, targets []*sideRow) {
	put := func(line string, row *sideRow) {
		lines, targets = append(lines, line), append(targets, row)
	}
	list := m.sections()
	need := 0
	for _, s := range list {
		need += 1 + len(s.rows)
	}
	waiting := m.waiting()
	space := height - one(waiting > 0) - len(list)
	gaps := need+len(list)-1+one(waiting > 0) <= height // a blank line between
	if waiting > 0 {
		row := sideRow{tray: true}
		s := m.meter.fit(fmt.Sprintf(" %s %d waiting: F4", m.glyphs.warning, waiting), width)
		if m.side.on && m.side.at == row {
			put(styleReverse.Styled(s), &row)
		} else {
			put(styleMark.Styled(s), &row)
		}
	}
	shares := share(list, space)
	for i, s := range list {
		if gaps && i > 0 {
			put(spaces(width), nil)
		}
		put(styleBold.Styled(m.meter.fit(" "+s.title, width)), nil)
		m.sectionLines(s, width, shares[i], put)
	}
	for len(lines) < height {
		put(spaces(width), nil)
	}
	return lines[:height], targets[:height]
}

// share gives each section its part of space lines: all it needs while there is
// room, and no section less than another for being longer.
func share(list []section, space int) []int {
	out := make([]int, len(list))
	for given := true; given && space > 0; {
		given = false
		for i := range list {
			if out[i] < len(list[i].rows) && space > 0 {
				out[i]++
				space--
				given = true
			}
		}
	}
	return out
}

// sectionLines draws n lines of a section, around the row that counts in it.
func (m *model) sectionLines(s section, width, n int, put func(string, *sideRow)) {
	if n <= 0 {
		return
	}
	from, to := 0, len(s.rows)
	if to > n { // a line tells of the ones left out
		n--
		from = max(0, min(m.sideAt(s.rows)-n/2, to-n))
		to = from + n
	}
	for i := from; i < to; i++ {
		put(m.sideLine(s.rows[i], width), &s.rows[i])
	}
	if left := len(s.rows) - (to - from); left > 0 {
		unread := 0
		for i, r := range s.rows {
			if (i < from || i >= to) && r.conv != nil && r.conv.room.Unread > 0 {
				unread++
			}
		}
		words := fmt.Sprintf("   %d more", left)
		if unread > 0 {
			words += ", " + m.glyphs.unread + strconv.Itoa(unread)
		}
		put(styleFaint.Styled(m.meter.fit(words, width)), nil)
	}
}

// sideAt returns which row must be in sight: the one under the cursor, else the
// conversation on the screen, else the first.
func (m *model) sideAt(rows []sideRow) int {
	if m.side.on {
		if i := slices.Index(rows, m.side.at); i >= 0 {
			return i
		}
	}
	c := m.conv()
	return max(0, slices.IndexFunc(rows, func(r sideRow) bool { return r.conv != nil && r.conv == c }))
}

// sideLine draws a row: the mark of what is on the screen, of presence or of a
// room that is not open, the name with what is to be known about it, and how much
// is unread.
func (m *model) sideLine(r sideRow, width int) string {
	current := r.conv != nil && r.conv == m.conv()
	mark, kind, name, tail, count, beside := " ", "  ", "", "", "", ""
	faintly := false
	if current {
		mark = m.glyphs.selected
	}
	if r.conv != nil && r.conv.room.Unread > 0 && !current {
		count = " " + m.glyphs.unread + unreadCount(r.conv.room.Unread)
		if n := r.conv.room.Mentions; n > 0 { // somebody calls the user
			count = " @" + unreadCount(n) + count
		}
	}
	switch {
	case !r.person.IsZero():
		p, _ := m.who.person(r.person)
		kind = m.mark(&p) + " "
		faintly = r.conv == nil && p.Presence != chat.Here && !p.Me
		name, tail = m.who.call(chat.Author{Person: r.person, Name: p.Name})
		if p.Me {
			tail = "(you)"
		}
		if sign := m.sign(r.person); sign != "" {
			tail = strings.TrimPrefix(tail+" "+sign, " ")
		}
		if tail != "" {
			tail = " " + tail
		}
		beside = m.beside(&p, width)
	case r.conv.room.Kind == chat.RoomPrivate && !r.conv.room.Left:
		kind, name = m.glyphs.lock, m.roomName(r.conv.room)
	default:
		name = m.roomName(r.conv.room)
		faintly = r.conv.room.Left
	}
	space := width - 3 - m.meter.width(count)
	name = m.meter.cut(name, space-m.meter.width(tail)) + tail
	said := ""
	if left := space - m.meter.width(name); beside != "" && left >= minBeside {
		said = m.meter.cut(": "+beside, left)
	}
	line := mark + kind + m.meter.fit(name+said, space) + count
	switch {
	case m.side.on && m.side.at == r, current && !m.side.on:
		return styleReverse.Styled(line)
	case count != "" || current:
		return styleBold.Styled(line)
	case faintly:
		return styleFaint.Styled(line)
	case said != "":
		return mark + kind + name + styleFaint.Styled(m.meter.fit(said, space-m.meter.width(name)))
	}
	return line
}

// sign is what stands behind somebody's name: what they are to the user.
func (m *model) sign(p chat.PersonID) string {
	k := m.contacts[p]
	switch {
	case k.Claimant != nil:
		return m.glyphs.warning
	case k.Relation == chat.RelationVerified:
		return m.glyphs.verified
	case k.Relation == chat.RelationRequested:
		return m.glyphs.asked
	case k.Relation == chat.RelationAsking:
		return m.glyphs.asks
	case k.Relation == chat.RelationBlocked:
		return m.glyphs.blocked
	}
	return ""
}

func unreadCount(n int) string {
	if n > 999 {
		return "999+"
	}
	return strconv.Itoa(n)
}

// sideRows returns all that can be chosen, from the top.
func (m *model) sideRows() []sideRow {
	var rows []sideRow
	if m.waiting() > 0 {
		rows = append(rows, sideRow{tray: true})
	}
	for _, s := range m.sections() {
		rows = append(rows, s.rows...)
	}
	return rows
}

// openSide gives the keys to the side column, or takes them back.
func (m *model) openSide() {
	if m.side.on {
		m.side.on, m.roster = false, false
		return
	}
	rows := m.sideRows()
	if len(rows) == 0 {
		return
	}
	m.side.on, m.roster = true, m.width < sideFrom
	m.side.at = rows[m.sideAt(rows)]
	if i := slices.IndexFunc(rows, func(r sideRow) bool { return r.conv != nil && r.conv == m.conv() }); i >= 0 {
		m.side.at = rows[i]
	}
}

// onSideKey applies a key to the side column.
func (m *model) onSideKey(k tea.KeyPressMsg) tea.Cmd {
	rows := m.sideRows()
	if len(rows) == 0 {
		m.side.on, m.roster = false, false
		return nil
	}
	at := max(0, slices.Index(rows, m.side.at))
	switch key := k.String(); key {
	case "up", "shift+tab":
		at--
	case "down", "tab":
		at++
	case "home":
		at = 0
	case "end":
		at = len(rows) - 1
	case "enter":
		return m.choose(rows[at])
	default:
		if c := m.conv(); c != nil && k.Text != "" {
			// Who begins to write means the conversation that is open: what is lost
			// here, its end would be said in whatever Enter opens.
			m.side.on, m.roster = false, false
			return m.onInputKey(c, k)
		}
		return nil
	}
	m.side.at = rows[(at+len(rows))%len(rows)]
	return nil
}

// choose does what a row of the side column is for.
func (m *model) choose(r sideRow) tea.Cmd {
	m.side.on, m.roster = false, false
	switch {
	case r.tray:
		m.openTray()
	case r.conv != nil:
		return m.enter(slices.Index(m.rooms, r.conv))
	case m.contacts[r.person].Relation.Known():
		return m.openChat(nil, r.person)
	default:
		m.openPerson(r.person)
	}
	return nil
}
