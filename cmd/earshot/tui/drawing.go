package tui

import (
	"fmt"
	"strings"
	"time"

	"earshot/chat"
	"earshot/cmd/earshot/wording"
)

// This file draws messages.

// draw makes the lines of a message, each exactly as wide as the conversation.
func (c *conversation) draw(m *chat.Message, key blockKey, who *directory) []string {
	var lines []string
	at := shownAt(m).In(who.local)
	if key.day {
		lines = append(lines, c.rule(c.look.dayName(at), styleFaint.Styled))
	}
	if key.lacks != "" {
		lines = append(lines, c.rule(key.lacks, styleAlert.Styled))
	}
	if key.fresh {
		lines = append(lines, c.rule("new messages", styleMark.Styled))
	}
	if key.first {
		if c.look.airy && !key.day && !key.fresh && key.lacks == "" {
			lines = append(lines, spaces(c.look.width))
		}
		when := at.Format("15:04")
		if m.ClockAhead {
			when += " (their clock is ahead)"
		}
		if key.late {
			when += " (came late)"
		}
		lines = append(lines, c.heading(m.From, m.Mine, when, who))
	}
	if key.quote != "" {
		lines = append(lines, c.quoted(key.quote))
	}
	text := c.fold(c.body(safeText(m.Text)))
	if m.Removed != nil {
		text = c.note("("+wording.Removed(remover(m, who), 0, 0)+")", styleFaint.Styled)
	}
	if m.MentionsMe && m.Removed == nil {
		text[0] = styleMark.Styled("@") + text[0][1:]
	}
	lines = append(lines, c.behind(text, key.tail)...)
	return append(lines, c.signs(m, who)...)
}

// fold cuts the lines of a long message short unless the reader wants them all:
// nobody's message pushes the others' off the screen.
func (c *conversation) fold(lines []string) []string {
	if c.look.whole || len(lines) <= foldLines {
		return lines
	}
	more := c.note(fmt.Sprintf("%s %d more lines, Ctrl+O shows them", c.look.style.pending, len(lines)-foldLines+1), styleFaint.Styled)
	return append(lines[:foldLines-1:foldLines-1], more...)
}

func (c *conversation) drawOutgoing(k int, who *directory) []string {
	o := &c.out[k]
	var lines []string
	first := true
	if k > 0 {
		first = o.at.Sub(c.out[k-1].at) > groupGap
	} else if n := len(c.tl.msgs); n > 0 {
		prev := &c.tl.msgs[n-1]
		first = !prev.Mine || o.at.Sub(shownAt(prev)) > groupGap
	}
	if first {
		if c.look.airy && c.count() > 1 {
			lines = append(lines, spaces(c.look.width))
		}
		lines = append(lines, c.heading(who.me, true, o.at.In(who.local).Format("15:04"), who))
	}
	if quote := c.quote(o.replyTo, who); quote != "" {
		lines = append(lines, c.quoted(quote))
	}
	lines = append(lines, c.body(safeText(o.text))...)
	if o.failed == "" { // the mark stands in the free last column, so that nothing moves when it goes
		last := &lines[len(lines)-1]
		*last = (*last)[:len(*last)-1] + styleFaint.Styled(c.look.style.pending)
		return lines
	}
	return append(lines, c.note(c.look.style.warning+" Not sent. "+safeText(o.failed)+
		" Ctrl+R sends it again, Up takes it back to edit.", styleAlert.Styled)...)
}

// heading is the line with the author's name and the time.
func (c *conversation) heading(a chat.Author, mine bool, when string, who *directory) string {
	l := c.look
	name, tail := who.name(a), ""
	switch {
	case mine:
		tail = " (you)"
	case who.verified[a.Person]:
		tail = " " + l.style.verified
	}
	margin := l.margin()
	name = l.meter.cut(name, max(1, l.width-margin-len(when)-2-l.meter.width(tail))) + tail
	used := margin + l.meter.width(name) + 2
	when = l.meter.cut(when, l.width-used)
	return spaces(margin) + nameStyle(a.Person).Styled(name) + "  " + styleFaint.Styled(when) +
		spaces(l.width-used-l.meter.width(when))
}

// body is text, wrapped and indented.
func (c *conversation) body(text string) []string {
	return c.indented(text, func(s string) string { return s })
}

// note is a remark of the interface's own under a message.
func (c *conversation) note(text string, style func(string) string) []string {
	return c.indented(text, style)
}

func (c *conversation) indented(text string, style func(string) string) []string {
	l := c.look
	indent := l.margin() + 1
	wrapped := l.meter.wrap(text, l.width-indent-1)
	lines := make([]string, len(wrapped))
	for i, s := range wrapped {
		lines[i] = spaces(indent) + style(s) + spaces(l.width-indent-l.meter.width(s))
	}
	return lines
}

// rule is a line across the conversation with words in it.
func (c *conversation) rule(words string, style func(string) string) string {
	l := c.look
	words = " " + l.meter.cut(words, l.width-6) + " "
	line := strings.Repeat(l.style.horizontal, 2) + words
	return style(line + strings.Repeat(l.style.horizontal, max(0, l.width-l.meter.width(line))))
}

// margin is the space at the left of names.
func (l look) margin() int {
	if l.width < 44 { // no side column, and no cell to spare
		return 0
	}
	return 1
}

func (l look) dayName(at time.Time) string {
	date := at.Format("Monday, 2 January 2006")
	switch l.today - dayNumber(at) {
	case 0:
		return "Today, " + at.Format("2 January")
	case 1:
		return "Yesterday, " + at.Format("2 January")
	}
	return date
}

// dayNumber counts local days, so that two times can be compared.
func dayNumber(at time.Time) int {
	y, m, d := at.Date()
	return int(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

func sameDay(a, b time.Time, loc *time.Location) bool {
	return dayNumber(a.In(loc)) == dayNumber(b.In(loc))
}
