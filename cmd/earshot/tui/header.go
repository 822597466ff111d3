package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"earshot/chat"
	"earshot/cmd/earshot/wording"
)

// This file is what is always said about the conversation on the screen: whose it
// is, who can read it, what of it can't be read here, and why nothing can be sent.

// with returns whom a direct chat is with.
func (c *conversation) with() chat.PersonID {
	if c.room.Kind != chat.RoomDirect || c.room.Person == nil {
		return chat.PersonID{}
	}
	return *c.room.Person
}

// roomName is what a conversation is called on this screen. Two private rooms of
// one name, or one with the name of an open room, are told apart by their ids.
func (m *model) roomName(r chat.Room) string {
	if r.Kind == chat.RoomDirect && r.Person != nil {
		if _, known := m.who.called[*r.Person]; known {
			return m.who.of(*r.Person)
		}
		return shownName(strings.TrimPrefix(r.Room, "@"))
	}
	name := shownName(r.Room)
	if r.Kind == chat.RoomPrivate {
		for _, c := range m.rooms {
			if c.room.RoomID != r.RoomID && c.room.Kind != chat.RoomDirect && fold(c.room.Room) == fold(r.Room) {
				return name + " [" + r.RoomID.Short() + "]"
			}
		}
	}
	return name
}

// readers says who can read a conversation, the longest way first.
func (m *model) readers(r chat.Room) []string {
	if r.Left {
		return []string{m.endedWords(r), "ended"}
	}
	switch r.Kind {
	case chat.RoomDirect:
		name, state := m.roomName(r), "not verified"
		if r.Person != nil && m.loaded {
			switch k := m.contacts[*r.Person]; {
			case k.Claimant != nil:
				state = "held"
			case k.Relation == chat.RelationBlocked:
				return []string{"you have blocked them: nothing is sent", "blocked"}
			case !k.Relation.Known():
				return []string{"not your contact: nothing is sent", "not your contact", "no contact"}
			case k.Relation == chat.RelationVerified:
				state = "verified"
			}
		}
		list := []string{
			"only you and " + name + " can read this · " + state, "only you and " + name + " · " + state,
			"only you two · " + state, state,
		}
		return withLasting(r, list)
	case chat.RoomPrivate:
		people := count(r.Members, "member")
		if r.Role == "" {
			return []string{m.endedWords(r), "ended"}
		}
		list := []string{people}
		if long, short := newcomers(r.History); long != "" {
			list = []string{people + " can read this · " + long, people + " · " + long, people + " · " + short, people}
		}
		return withLasting(r, list)
	}
	return []string{
		"open: anyone on this network can read this", "open: anyone on this network can read", "open: anyone here can read",
		"open to anyone", "open",
	}
}

// withLasting puts before what is said of a conversation that messages do not last in
// it, as long as there is space for that.
func withLasting(r chat.Room, list []string) []string {
	words := ""
	switch {
	case r.DisappearAfter > 0:
		words = wording.Lasting(time.Duration(r.DisappearAfter) * time.Second)
	case r.KeepFor > 0:
		words = wording.Lasting(time.Duration(r.KeepFor) * time.Second)
	default:
		return list
	}
	var out []string
	for _, s := range list {
		out = append(out, s+" · messages last "+words)
	}
	return append(out, slices.Concat([]string{"last " + words}, list)...)
}

// endedWords says why a conversation has ended.
func (m *model) endedWords(r chat.Room) string {
	switch {
	case r.Ended != "":
		return oneLine(safeText(r.Ended))
	case r.Kind == chat.RoomPrivate:
		return "You are not a member any more."
	}
	return "This conversation has ended."
}

// newcomers says what somebody who joins a private room later can read of what was
// said before.
func newcomers(history string) (long, short string) {
	switch history {
	case chat.HistoryNone:
		return "newcomers read nothing from before", "no history for newcomers"
	case chat.HistorySinceInvited:
		return "newcomers read what was said since they were invited", "history since invited"
	case chat.HistoryAll:
		return "newcomers read everything from before", "all history for newcomers"
	}
	return "", ""
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// header names the conversation and says who can read it.
func (m *model) header(width int) string {
	c := m.conv()
	if c == nil {
		return styleReverse.Styled(m.meter.fit(" "+m.opt.Title, width))
	}
	right := ""
	elsewhere := 0
	for _, other := range m.rooms {
		if other != c {
			elsewhere += other.room.Unread
		}
	}
	if width < sideFrom { // the side column isn't there to tell
		if n := m.waiting(); n > 0 {
			right = fmt.Sprintf(" %s%d F4", m.glyphs.warning, n)
		}
		if elsewhere > 0 {
			right += " " + m.glyphs.unread + unreadCount(elsewhere)
		}
		right += " "
	}
	own := m.ownStatus(width)
	right = m.meter.cut(own[len(own)-1]+strings.TrimPrefix(right, " "), width/3)
	space := width - m.meter.width(right)
	left, tail := m.roomName(c.room), ""
	switch c.room.Kind {
	case chat.RoomDirect:
		if sign := m.sign(c.with()); sign != "" {
			tail = " " + sign
		}
	case chat.RoomPrivate:
		left = m.glyphs.lock + left
	}
	shortest := ""
	if words := m.readers(c.room); len(words) > 0 {
		shortest = words[len(words)-1]
	}
	left = " " + m.meter.cut(left, max(8, space-m.meter.width(shortest)-m.meter.width(tail)-4)) + tail
	for _, words := range m.readers(c.room) {
		if m.meter.width(left)+2+m.meter.width(words) <= space {
			left += "  " + words
			break
		}
	}
	for _, words := range own { // who can read is more than what one knows of oneself
		if left := m.meter.width(left) + 1 + m.meter.width(words); width >= sideFrom && left <= width && m.meter.width(words) <= width/2 {
			right, space = words, width-m.meter.width(words)
			break
		}
	}
	return styleReverse.Styled(m.meter.fit(left, space) + right)
}

// banner is a line below the header: what a private room is about.
func (m *model) banner() string {
	c := m.conv()
	if c == nil || c.room.Topic == "" || m.height < 14 {
		return ""
	}
	return oneLine(safeText(c.room.Topic))
}

// bannerLine draws the banner.
func (m *model) bannerLine(width int) string {
	return " " + styleFaint.Styled(m.meter.fit(m.banner(), width-1))
}

// unreadableLines say, below the conversation, that not all of it is there.
func (m *model) unreadableLines(width int) []string {
	c := m.conv()
	if c == nil || c.room.Unreadable <= 0 {
		return nil
	}
	for _, words := range []string{
		" can't be read here (yet): its key has not come. /unreadable says why", " can't be read here (yet): /unreadable says why",
		" can't be read here (yet): /unreadable", " can't be read: /unreadable",
	} {
		if c.room.Unreadable > 1 {
			words = strings.Replace(words, "its key has", "their keys have", 1)
		}
		words = m.glyphs.warning + " " + count(c.room.Unreadable, "message") + words
		if m.meter.width(words) <= width-2 || width < minWidth {
			return []string{" " + styleMark.Styled(m.meter.fit(words, width-1))}
		}
	}
	return []string{" " + styleMark.Styled(m.meter.fit(fmt.Sprintf("%s %d unreadable: /unreadable", m.glyphs.warning, c.room.Unreadable), width-1))}
}

// openUnreadable explains what can't be read.
func (m *model) openUnreadable() {
	c := m.conv()
	if c == nil {
		return
	}
	m.push(&sheet{title: "What can't be read here", build: func() content {
		if c.room.Unreadable == 0 {
			return content{text: []para{plain("Every message in " + m.roomName(c.room) + " that has reached this device can be read.")}}
		}
		text := []para{
			strong(fmt.Sprintf("%s in %s can't be read on this device.", count(c.room.Unreadable, "message"), m.roomName(c.room))), plain(""),
			plain("They are here, encrypted, and signed by members, but this device does not have their keys. There are these reasons:"), plain(""),
			plain("- Their keys are still on the way. The device that wrote them is asked for them whenever it is here, and then the messages appear by themselves, in their place."),
		}
		if c.room.Kind == chat.RoomPrivate {
			if long, _ := newcomers(c.room.History); long != "" {
				text = append(text, plain("- They were said before you were invited. Of this room it was decided when it was made: "+long+"."))
			}
		}
		text = append(text,
			plain("- They were said before this device was one of yours. Your other devices pass on what they can."),
			plain("- Whoever wrote them has lost what could open them, for instance with a home brought back from a backup."), plain(""),
			plain("Ask whoever wrote them to say it again if they do not appear."))
		return content{text: text}
	}})
}

// barred says why nothing can be sent in a conversation, "" if something can, and
// what Enter does about it. A command can be written all the same.
func (m *model) barred(c *conversation) (words string, do func() tea.Cmd) {
	if !m.loaded || strings.HasPrefix(c.in.text, "/") {
		return "", nil
	}
	switch c.room.Kind {
	case chat.RoomPrivate:
		if c.room.Left || c.room.Role == "" {
			return m.endedWords(c.room) + " Nothing you write reaches " + m.roomName(c.room) + ", and you read nothing that is said since. What was said before stays here.",
				func() tea.Cmd { m.openRoom(c); return nil }
		}
	case chat.RoomDirect:
		who := c.with()
		k, name := m.contacts[who], m.roomName(c.room)
		card := func() tea.Cmd { m.openPerson(who); return nil }
		switch {
		case k.Claimant != nil:
			return "Sending is held: somebody with another key goes by the name of " + name + ", whom you verified. Press Enter and decide who it is.",
				func() tea.Cmd { m.openClaim(who); return nil }
		case k.Relation == chat.RelationBlocked:
			return "You have blocked " + name + ": nothing is sent to them, and nothing of theirs reaches you. Enter shows what can be done.", card
		case !k.Relation.Known():
			return name + " is not your contact: nothing can be sent. Enter shows what can be done.", card
		case c.room.Left:
			return m.endedWords(c.room) + " What was said stays here. Enter shows what can be done.", card
		}
	}
	return "", nil
}
