package tui

import (
	"fmt"
	"strconv"

	"earshot/chat"
)

// sidebar draws the rooms and the people in exactly height lines of width cells.
// targets says, line by line, which room a click there means, -1 for none.
func (m *model) sidebar(width, height int) (lines []string, targets []int) {
	put := func(line string, room int) {
		lines, targets = append(lines, line), append(targets, room)
	}
	title := func(s string) { put(styleBold.Styled(m.meter.fit(" "+s, width)), -1) }

	rooms, people := len(m.rooms), len(m.who.people)
	titles := 2
	if height >= rooms+people+3 {
		titles = 3 // and a blank line between
	}
	space := max(0, height-titles)
	roomLines := min(rooms, max(space-people, (space+1)/2))
	peopleLines := min(people, space-roomLines)

	title("Rooms")
	m.roomLines(width, roomLines, put)
	if titles == 3 {
		put(spaces(width), -1)
	}
	if len(lines) < height {
		title(fmt.Sprintf("People: %d here", m.who.here()+one(people > 0)))
	}
	m.peopleLines(width, peopleLines, put)
	for len(lines) < height {
		put(spaces(width), -1)
	}
	return lines[:height], targets[:height]
}

// roomLines draws n lines of rooms around the chosen one.
func (m *model) roomLines(width, n int, put func(string, int)) {
	if n <= 0 {
		return
	}
	from, to := 0, len(m.rooms)
	if to > n { // a line tells of the ones left out
		n--
		from = max(0, min(m.current-n/2, to-n))
		to = from + n
	}
	for i := from; i < to; i++ {
		c := m.rooms[i]
		mark, count := " ", ""
		if i == m.current {
			mark = m.glyphs.selected
		}
		if n := c.room.Unread; n > 0 && i != m.current {
			count = " " + m.glyphs.unread + unreadCount(n)
		}
		line := mark + " " + m.meter.fit(safeName(c.room.Room), width-2-m.meter.width(count)) + count
		switch {
		case i == m.current:
			line = styleReverse.Styled(line)
		case count != "":
			line = styleBold.Styled(line)
		}
		put(line, i)
	}
	if left := len(m.rooms) - (to - from); left > 0 {
		unread := 0
		for i, c := range m.rooms {
			if (i < from || i >= to) && c.room.Unread > 0 {
				unread++
			}
		}
		s := fmt.Sprintf("  %d more", left)
		if unread > 0 {
			s += ", " + m.glyphs.unread + strconv.Itoa(unread)
		}
		put(styleFaint.Styled(m.meter.fit(s, width)), -1)
	}
}

func unreadCount(n int) string {
	if n > 999 {
		return "999+"
	}
	return strconv.Itoa(n)
}

// peopleLines draws n lines of people: those here first.
func (m *model) peopleLines(width, n int, put func(string, int)) {
	people := m.who.list()
	left := 0
	if len(people) > n {
		left = len(people) - max(0, n-1)
		people = people[:max(0, n-1)]
	}
	for i := range people {
		p := &people[i]
		mark := m.glyphs.gone
		if p.Presence == chat.Here || p.Me {
			mark = m.glyphs.here
		}
		name, tail := m.who.call(chat.Author{Person: p.Person, Name: p.Name})
		if p.Me {
			tail = "(you)"
		}
		if tail != "" {
			tail = " " + tail
		}
		name = m.meter.cut(name, width-2-len(tail)) + tail
		line := mark + " " + m.meter.fit(name, width-2)
		if mark == m.glyphs.gone {
			line = styleFaint.Styled(line)
		}
		put(line, -1)
	}
	if left > 0 && n > 0 {
		put(styleFaint.Styled(m.meter.fit(fmt.Sprintf("  %d more", left), width)), -1)
	}
}
