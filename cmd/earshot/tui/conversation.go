package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"earshot/chat"
)

// groupGap is how long a person may pause before their name is shown again.
const groupGap = 5 * time.Minute

// conversation is one room as the interface holds it: what is loaded, where the
// reader is, what is being written and what is on its way out.
type conversation struct {
	room chat.Room
	tl   timeline

	members      []chat.Member // of a sealed room, once they were asked for
	membersKnown bool

	in  input
	out []outgoing

	// What is loaded, and the calls for more that are under way.
	loaded       bool // the first page is there
	opening      bool
	loadingOlder bool
	loadingNewer bool
	stale        bool           // the newest page must be read again
	broken       bool           // a call failed: those under way wait for the retry
	early        []chat.Message // arrived while a page was being read

	// Where the reader is.
	follow bool // at the newest message
	anchor anchor

	// What was read.
	firstNew   chat.EntryID // the "new messages" line stands above it
	readKnown  bool
	reading    bool      // the mark is on its way
	readAt     time.Time // when the newest message read was shown
	readBefore time.Time // the same before the mark that is on its way

	missed  bool                  // stop following when firstNew would leave the screen
	history bool                  // there was something before what arrives now
	late    map[chat.EntryID]bool // came in among messages that were read already

	// Who types.
	typingOn bool // the room was told that the user types
	typedAt  time.Time
	typists  map[chat.PersonID]typist

	look   look
	blocks map[blockKey][]string // drawn messages
}

// outgoing is a message on its way to the node, or that did not get there.
type outgoing struct {
	clientID string
	text     string
	at       time.Time
	failed   string // the sentence, "" while under way
}

// typist is somebody who is typing.
type typist struct {
	author chat.Author
	until  time.Time
}

// anchor holds the top of the screen to a message: rest lines of that message's
// block are on the screen. Counted from the block's end, it stays true when a day
// or a name appears or vanishes above the text.
type anchor struct {
	id   chat.EntryID
	at   time.Time
	rest int
}

// look is everything, besides the message itself, that decides what a block looks
// like and is the same for all; when it changes, no block is kept.
type look struct {
	width int
	meter meter
	airy  bool // blank lines between groups
	whole bool // long messages are not folded
	today int  // day number, for "today" in separators
	names int  // generation of the names shown
	style *glyphs
}

// blockKey names a drawn message; the rest depends on its neighbours.
type blockKey struct {
	id                chat.EntryID
	first, day, fresh bool
	late              bool
}

// foldLines is how many lines of a message are shown before it is folded (guess:
// longer than what people write, shorter than what they paste).
const foldLines = 24

// missedAge is how old a message is that was not said just now but missed: a
// device that comes back gets many at once (guess: longer than delivery ever
// takes, shorter than an absence).
const missedAge = 10 * time.Second

// maxEarly bounds the messages kept while a page is read; past it, reading the
// newest page again finds them.
const maxEarly = 1024

// maxBlocks bounds the drawn messages kept per room.
const maxBlocks = 2 * windowMessages

// place is a line of the conversation: line off of block i.
type place struct{ i, off int }

func newConversation(room chat.Room) *conversation {
	return &conversation{
		room: room, follow: true, typists: map[chat.PersonID]typist{}, late: map[chat.EntryID]bool{},
		blocks: map[blockKey][]string{}, in: input{goal: -1},
	}
}

// setLook drops what was drawn for another look.
func (c *conversation) setLook(l look) {
	if c.look != l || len(c.blocks) > maxBlocks {
		c.look = l
		clear(c.blocks)
	}
}

// count returns the number of blocks: messages, and behind them what is going out.
func (c *conversation) count() int {
	if c.tl.newer {
		return len(c.tl.msgs)
	}
	return len(c.tl.msgs) + len(c.out)
}

// block returns the lines of block i, at least one.
func (c *conversation) block(i int, who *directory) []string {
	if i >= len(c.tl.msgs) {
		return c.drawOutgoing(i-len(c.tl.msgs), who)
	}
	m := &c.tl.msgs[i]
	key := blockKey{id: m.ID, first: true, day: true, fresh: m.ID == c.firstNew, late: c.late[m.ID]}
	if i > 0 {
		prev := &c.tl.msgs[i-1]
		key.day = !sameDay(shownAt(prev), shownAt(m), who.local)
		key.first = key.day || key.fresh || prev.From.Person != m.From.Person || prev.Mine != m.Mine ||
			shownAt(m).Sub(shownAt(prev)) > groupGap || m.ClockAhead != prev.ClockAhead || key.late != c.late[prev.ID]
	}
	if lines, ok := c.blocks[key]; ok {
		return lines
	}
	lines := c.draw(m, key, who)
	c.blocks[key] = lines
	return lines
}

// end returns the place at the top of a screen whose last line is the newest.
func (c *conversation) end(height int, who *directory) place {
	for i := c.count() - 1; i >= 0; i-- {
		n := len(c.block(i, who))
		if n >= height {
			return place{i, n - height}
		}
		height -= n
	}
	return place{}
}

// top returns the place at the top of the screen, and whether the newest message
// is on it.
func (c *conversation) top(height int, who *directory) (place, bool) {
	if c.follow || len(c.tl.msgs) == 0 {
		return c.end(height, who), true
	}
	i, _ := c.tl.find(chat.Message{ID: c.anchor.id, SentAt: c.anchor.at})
	i = min(i, len(c.tl.msgs)-1)
	p := place{i, max(0, len(c.block(i, who))-c.anchor.rest)}
	left := height + p.off
	for ; i < c.count(); i++ {
		if left -= len(c.block(i, who)); left < 0 {
			return p, false
		}
	}
	return c.end(height, who), true
}

// scroll moves the screen by delta lines, down for positive ones.
func (c *conversation) scroll(delta, height int, who *directory) {
	p, atEnd := c.top(height, who)
	if delta > 0 && atEnd {
		c.toEnd()
		return
	}
	p.off += delta
	for p.off < 0 && p.i > 0 {
		p.i--
		p.off += len(c.block(p.i, who))
	}
	p.off = max(0, p.off)
	for p.i < c.count()-1 && p.off >= len(c.block(p.i, who)) {
		p.off -= len(c.block(p.i, who))
		p.i++
	}
	c.hold(p, who)
	if delta > 0 {
		if _, atEnd := c.top(height, who); atEnd {
			c.toEnd()
		}
	}
}

// hold keeps place p at the top of the screen from now on.
func (c *conversation) hold(p place, who *directory) {
	if len(c.tl.msgs) == 0 {
		return
	}
	if p.i >= len(c.tl.msgs) { // what is going out has no lasting name
		p = place{len(c.tl.msgs) - 1, len(c.block(len(c.tl.msgs)-1, who)) - 1}
	}
	m := &c.tl.msgs[p.i]
	c.follow = false
	c.anchor = anchor{id: m.ID, at: shownAt(m), rest: len(c.block(p.i, who)) - p.off}
}

// holdMissed stops following where the reader would otherwise lose sight of the
// first message that was missed.
func (c *conversation) holdMissed(height int, who *directory) {
	if !c.missed || !c.follow {
		return
	}
	i := c.tl.index(c.firstNew)
	if i < 0 {
		c.missed = false
		return
	}
	if p, _ := c.top(height, who); p.i > i || p.i == i && p.off > 0 {
		c.missed = false
		c.hold(place{i, 0}, who)
	}
}

// seen forgets where the new messages began: the reader has dealt with them.
func (c *conversation) seen() { c.firstNew, c.missed = chat.EntryID{}, false }

// unseen counts the messages of others that are newer than what was read.
func (c *conversation) unseen() int {
	if c.tl.newer || !c.readKnown { // not all of them are here to be counted
		return c.room.Unread
	}
	n := 0
	for i := len(c.tl.msgs) - 1; i >= 0 && shownAt(&c.tl.msgs[i]).After(c.readAt); i-- {
		if !c.tl.msgs[i].Mine {
			n++
		}
	}
	return n
}

// rest makes a conversation small while another is on the screen.
func (c *conversation) rest() {
	clear(c.blocks)
	if c.follow {
		c.tl.limit = 2 * pageSize
		c.tl.dropOldest()
		c.tl.msgs = slices.Clone(c.tl.msgs) // let go of what was dropped
	}
}

// wake undoes rest, and begins at the first message that is new.
func (c *conversation) wake() {
	c.tl.limit = 0
	switch {
	case !c.follow || c.firstNew.IsZero():
	case c.tl.index(c.firstNew) >= 0:
		c.missed = true
	default: // it is no longer loaded: open the room as if for the first time
		c.loaded = false
		c.seen()
	}
}

// toEnd goes to the newest message, unless it isn't loaded.
func (c *conversation) toEnd() {
	if !c.tl.newer {
		c.follow, c.missed = true, false
	}
}

// screen returns exactly height lines, the first message on them and the last one
// that is there to its end, -1 if none is.
func (c *conversation) screen(height int, who *directory) (lines []string, first, last int) {
	p, _ := c.top(height, who)
	first, last = p.i, -1
	for i, off := p.i, p.off; i < c.count() && len(lines) < height; i, off = i+1, 0 {
		lines = append(lines, c.block(i, who)[off:]...)
		if i < len(c.tl.msgs) && len(lines) <= height {
			last = i
		}
	}
	lines = lines[:min(len(lines), height)]
	if missing := height - len(lines); missing > 0 { // short histories stand at the bottom
		lines = append(slices.Repeat([]string{spaces(c.look.width)}, missing), lines...)
	}
	return lines, first, last
}

// draw makes the lines of a message, each exactly as wide as the conversation.
func (c *conversation) draw(m *chat.Message, key blockKey, who *directory) []string {
	var lines []string
	at := shownAt(m).In(who.local)
	if key.day {
		lines = append(lines, c.rule(c.look.dayName(at), styleFaint.Styled))
	}
	if key.fresh {
		lines = append(lines, c.rule("new messages", styleMark.Styled))
	}
	if key.first {
		if c.look.airy && !key.day && !key.fresh {
			lines = append(lines, spaces(c.look.width))
		}
		when := at.Format("15:04")
		if m.ClockAhead {
			when += " (their clock is ahead)"
		}
		if key.late {
			when += " (arrived late)"
		}
		lines = append(lines, c.heading(m.From, m.Mine, when, who))
	}
	return append(lines, c.fold(c.body(safeText(m.Text)))...)
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
