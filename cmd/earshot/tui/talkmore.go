package tui

import (
	"fmt"
	"slices"
	"strings"

	"earshot/chat"
	"earshot/cmd/earshot/wording"
)

// This file is what stands beside a message: where it is, what it answers, what was
// put under it, and what is missing before it.

// talkMore is what a conversation knows beyond the messages themselves.
type talkMore struct {
	missing []chat.Missing
	// quotes are messages that others answer; nil ones are being asked for, or are
	// not here.
	quotes map[chat.EntryID]*chat.Message

	replying *chat.Message // the message that what is written answers
	editing  *chat.Message // the message that what is written takes the place of
	kept     string        // what was being written before

	picked chat.EntryID // the message under the cursor, while there is one

	lateSeen map[chat.EntryID]bool // the node was told that they were read

	asking bool // how far messages have come is being asked for
	again  bool // and has changed meanwhile
}

func newTalkMore() talkMore {
	return talkMore{quotes: map[chat.EntryID]*chat.Message{}, lateSeen: map[chat.EntryID]bool{}}
}

// maxQuotes bounds the messages kept for being answered (guess: several windows').
const maxQuotes = 1024

// maxRun bounds how many messages are looked at for the next one of the user's own.
const maxRun = 200

func (c *conversation) cameLate(m *chat.Message) bool { return m.Late || c.late[m.ID] }

// seesLate reports whether what is on the screen came late and was not read before.
func (c *conversation) seesLate(first, last int) (sees bool) {
	for i := max(0, first); i <= last && i < len(c.tl.msgs); i++ {
		m := &c.tl.msgs[i]
		if !c.cameLate(m) || m.Mine || c.lateSeen[m.ID] {
			continue
		}
		if len(c.lateSeen) > windowMessages {
			clear(c.lateSeen)
		}
		c.lateSeen[m.ID], sees = true, true
	}
	return sees
}

// unsettled reports whether the window holds a message of the user's that may come
// further.
func (c *conversation) unsettled() bool {
	for i := len(c.tl.msgs) - 1; i >= 0; i-- {
		if m := &c.tl.msgs[i]; m.Mine && m.Removed == nil && (m.State == nil || m.State.State != chat.StateRead) {
			return true
		}
	}
	return false
}

// tail is what stands behind the message with this number: "edited", when it
// disappears, and where it is.
func (c *conversation) tail(i int, who *directory) string {
	m := &c.tl.msgs[i]
	if m.Removed != nil || m.EditedAt.IsZero() && m.ExpiresAt.IsZero() && m.State == nil {
		return ""
	}
	var words []string
	if !m.EditedAt.IsZero() {
		words = append(words, "edited")
	}
	if !m.ExpiresAt.IsZero() {
		at := m.ExpiresAt.In(who.local)
		if dayNumber(at) == c.look.today {
			words = append(words, "until "+at.Format("15:04"))
		} else {
			words = append(words, "until "+at.Format("2 January"))
		}
	}
	if state := c.state(m); state != "" && c.endsRun(i, state) {
		words = append(words, state)
	}
	return strings.Join(words, " "+wording.MarkHere+" ")
}

// state says how far a message of the user's has come.
func (c *conversation) state(m *chat.Message) string {
	if m.State == nil || m.State.Of == 0 || m.Removed != nil {
		return ""
	}
	return c.look.style.mark(*m.State) + " " + wording.State(*m.State)
}

// endsRun reports whether the next message of the user's has come as far as this
// one: then it is said there, once for all of them.
func (c *conversation) endsRun(i int, state string) bool {
	for _, next := range c.tl.msgs[i+1 : min(len(c.tl.msgs), i+1+maxRun)] {
		if s := c.state(&next); s != "" {
			return s != state
		}
	}
	return true
}

// behind puts words behind the last line of a message, or below it.
func (c *conversation) behind(lines []string, words string) []string {
	if words == "" {
		return lines
	}
	l := c.look
	last := &lines[len(lines)-1]
	bare := strings.TrimRight(*last, " ")
	if free := l.width - l.meter.width(bare); free >= l.meter.width(words)+3 {
		*last = bare + "  " + styleFaint.Styled(words) + spaces(free-2-l.meter.width(words))
		return lines
	}
	return append(lines, c.note(words, styleFaint.Styled)...)
}

// signs are the lines with what people have put under a message.
func (c *conversation) signs(m *chat.Message, who *directory) []string {
	if len(m.Reactions) == 0 || m.Removed != nil {
		return nil
	}
	var words []string
	for _, r := range m.Reactions {
		sign := oneLine(safeText(r.Sign))
		switch n := len(r.People); {
		case n <= 2:
			var names []string
			for _, p := range r.People {
				names = append(names, c.reactor(p, who))
			}
			words = append(words, sign+" "+strings.Join(names, ", "))
		case r.Mine:
			words = append(words, fmt.Sprintf("%s %d with you", sign, n))
		default:
			words = append(words, fmt.Sprintf("%s %d", sign, n))
		}
	}
	return c.note(strings.Join(words, "   "), styleFaint.Styled)
}

func (c *conversation) reactor(p chat.PersonID, who *directory) string {
	if p == who.me.Person {
		return "you"
	}
	return who.of(p)
}

// remover is how whoever removed a message is called, "" for nobody.
func remover(m *chat.Message, who *directory) string {
	switch by := m.Removed.By; {
	case by.Person.IsZero():
		return ""
	case by.Person == who.me.Person:
		return "You"
	default:
		return who.name(by)
	}
}

// quote is the beginning of a message that is answered, "" for none.
func (c *conversation) quote(id *chat.EntryID, who *directory) string {
	if id == nil {
		return ""
	}
	m, known := c.quotes[*id]
	if !known {
		if i := c.tl.index(*id); i >= 0 {
			found := c.tl.msgs[i]
			m = &found
			c.remember(*id, m)
		}
	}
	switch {
	case m == nil:
		return "an earlier message"
	case m.Removed != nil:
		return who.name(m.From) + ": (removed)"
	}
	return who.name(m.From) + ": " + oneLine(safeText(m.Text))
}

// remember keeps a message for those that answer it.
func (c *conversation) remember(id chat.EntryID, m *chat.Message) {
	if len(c.quotes) >= maxQuotes {
		clear(c.quotes)
	}
	c.quotes[id] = m
}

// quoted is the line above an answer.
func (c *conversation) quoted(words string) string {
	l := c.look
	indent := l.margin() + 1
	words = l.meter.cut(l.style.answers+" "+words, l.width-indent-1)
	return spaces(indent) + styleFaint.Styled(words) + spaces(l.width-indent-l.meter.width(words))
}

// lacksBefore says what is missing before a message that is here.
func (c *conversation) lacksBefore(id chat.EntryID, who *directory) string {
	if len(c.missing) == 0 {
		return ""
	}
	return c.lacks(who, func(m chat.Missing) bool { return m.Before != nil && *m.Before == id })
}

// lacksElsewhere says what is missing behind all that is here, or before what is not
// loaded.
func (c *conversation) lacksElsewhere(who *directory) string {
	return c.lacks(who, func(m chat.Missing) bool { return m.Before == nil || c.tl.index(*m.Before) < 0 })
}

// lacks says how much of whom is missing, of what is wanted.
func (c *conversation) lacks(who *directory, wanted func(chat.Missing) bool) string {
	counts := map[chat.PersonID]int{}
	var people []chat.PersonID
	total := 0
	for _, m := range c.missing {
		if !wanted(m) {
			continue
		}
		if counts[m.From.Person] == 0 {
			people = append(people, m.From.Person)
		}
		counts[m.From.Person] += m.Count
		total += m.Count
	}
	if total == 0 {
		return ""
	}
	names := make([]string, 0, len(people))
	for _, p := range people {
		if p.IsZero() {
			names = append(names, "somebody unknown")
			continue
		}
		names = append(names, c.lacker(p, who))
	}
	slices.Sort(names)
	return count(total, "message") + " from " + wording.Names(names) + " not received yet"
}

func (c *conversation) lacker(p chat.PersonID, who *directory) string {
	if p == who.me.Person {
		return "your other device"
	}
	for _, m := range c.missing {
		if m.From.Person == p {
			return who.name(m.From)
		}
	}
	return who.of(p)
}

// mark is the sign for how far a message has come.
func (g *glyphs) mark(s chat.MessageState) string {
	switch wording.Mark(s) {
	case wording.MarkDelivered:
		return g.delivered
	case wording.MarkHeld:
		return g.held
	}
	return g.onlyHere
}

// missingLines say, below the conversation, what is missing of it and has no place in
// it yet.
func (m *model) missingLines(width int) []string {
	c := m.conv()
	if c == nil || len(c.missing) == 0 {
		return nil
	}
	words := c.lacksElsewhere(m.who)
	if words == "" {
		return nil
	}
	return []string{" " + styleMark.Styled(m.meter.fit(m.glyphs.warning+" "+words, width-1))}
}
