package tui

import (
	"slices"
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

	talkMore // what else is known of what was said, and what is about to be said of it

	// Who types.
	typingOn bool // the room was told that the user types
	typedAt  time.Time
	typists  map[chat.PersonID]typist

	look   look
	blocks map[chat.EntryID]drawn // messages as they were drawn last
}

// outgoing is a message on its way to the node, or that did not get there.
type outgoing struct {
	clientID string
	text     string
	at       time.Time
	replyTo  *chat.EntryID
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

// blockKey is what decides, besides the message itself, how it is drawn.
type blockKey struct {
	first, day, fresh bool
	late              bool
	lacks             string // what is missing before it
	tail              string // what stands behind it
	quote             string // what it answers
}

// drawn is a message as it was drawn.
type drawn struct {
	key   blockKey
	lines []string
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
		blocks: map[chat.EntryID]drawn{}, talkMore: newTalkMore(), in: input{goal: -1},
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
	key := blockKey{
		first: true, day: true, fresh: m.ID == c.firstNew, late: c.cameLate(m),
		lacks: c.lacksBefore(m.ID, who), tail: c.tail(i, who), quote: c.quote(m.ReplyTo, who),
	}
	if i > 0 {
		prev := &c.tl.msgs[i-1]
		key.day = !sameDay(shownAt(prev), shownAt(m), who.local)
		key.first = key.day || key.fresh || prev.From.Person != m.From.Person || prev.Mine != m.Mine ||
			shownAt(m).Sub(shownAt(prev)) > groupGap || m.ClockAhead != prev.ClockAhead || key.late != c.cameLate(prev) || key.lacks != ""
	}
	if d, ok := c.blocks[m.ID]; ok && d.key == key {
		return d.lines
	}
	lines := c.draw(m, key, who)
	c.blocks[m.ID] = drawn{key, lines}
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
