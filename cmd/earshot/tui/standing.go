package tui

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"

	"earshot/chat"
)

// This file keeps who is who and which rooms there are as the node tells it.

// setContacts replaces what is known of relations.
func (m *model) setContacts(list []chat.Contact) {
	clear(m.contacts)
	for _, k := range list {
		m.setContact(k)
	}
	for who := range m.who.verified {
		m.who.setVerified(who, m.contacts[who].Relation == chat.RelationVerified)
	}
}

// setContact replaces what is known of a relation.
func (m *model) setContact(k chat.Contact) {
	who := k.Person.Person
	if k.Relation == "" || k.Relation == chat.RelationStranger {
		delete(m.contacts, who)
	} else {
		m.contacts[who] = k
	}
	if _, known := m.who.person(who); !known || k.Name != "" && m.who.called[who].name != shownName(k.Name) {
		m.who.setPerson(k.Person)
	}
	m.who.setVerified(who, k.Relation == chat.RelationVerified)
}

// onContact takes in a relation that has changed, and says what the user did not do
// themselves.
func (m *model) onContact(k chat.Contact) tea.Cmd {
	who := k.Person.Person
	old := m.contacts[who]
	m.setContact(k)
	name := m.who.of(who)
	switch {
	case old.Relation == chat.RelationRequested && k.Relation == old.Relation && old.Waiting && !k.Waiting:
		m.say("Your request has reached "+name+".", false)
	case old.Relation == chat.RelationRequested && k.Relation.Known():
		m.say(name+" has accepted: you are contacts, and can write to each other.", false)
	case old.Claimant == nil && k.Claimant != nil:
		m.say("Somebody with another key goes by the name of "+name+", whom you verified. Nothing is sent to them until you decide: F4.", true)
	}
	if p := m.sheet(); p != nil {
		m.sheetTop(p)
	}
	if old.Relation.Known() != k.Relation.Known() {
		return m.refresh() // the chat with them has begun or ended
	}
	return nil
}

// onTray replaces the requests that wait.
func (m *model) onTray(requests []chat.Contact) {
	news := chat.PersonID{}
	asking := map[chat.PersonID]bool{}
	for _, k := range requests {
		k.Relation = chat.RelationAsking
		who := k.Person.Person
		asking[who] = true
		if m.contacts[who].Relation != chat.RelationAsking {
			news = who
		}
		m.setContact(k)
	}
	for who, k := range m.contacts {
		if k.Relation == chat.RelationAsking && !asking[who] {
			delete(m.contacts, who)
		}
	}
	if !news.IsZero() {
		m.say(m.who.of(news)+" asks to become your contact. F4 shows it.", false)
	}
	if p := m.sheet(); p != nil {
		m.sheetTop(p)
	}
}

// onInvitation takes in an invitation that came or went.
func (m *model) onInvitation(e chat.InvitationEvent) {
	_, known := m.invitation(e.RoomID)
	m.endInvitation(e.RoomID)
	if !e.Gone {
		m.invitations = append(m.invitations, e.Invitation)
		m.meetInviter(e.Invitation)
		if !known {
			m.say(m.who.of(e.By.Person)+" asks you into the private room "+shownName(e.Room)+". F4 shows it.", false)
		}
	}
	if p := m.sheet(); p != nil {
		m.sheetTop(p)
	}
}

func (m *model) meetInviter(v chat.Invitation) {
	if _, known := m.who.called[v.By.Person]; !known {
		m.who.meet(v.By.Person, v.By.Name)
	}
}

// onRoomChanged takes in what changed about a sealed room.
func (m *model) onRoomChanged(e chat.RoomChangedEvent) tea.Cmd {
	c := m.find(e.RoomID)
	if c == nil {
		return m.refresh()
	}
	// An event tells of the room itself; what is in it is asked for below.
	e.LastAt, e.Unreadable = c.room.LastAt, c.room.Unreadable
	c.update(e.Room)
	if e.Members != nil {
		m.setMembers(c, e.Members)
	}
	words := oneLine(safeText(e.What))
	if e.By != "" {
		words = shownName(e.By) + " " + words
	}
	if e.What != "" {
		out := e.Left || e.Kind == chat.RoomPrivate && e.Role == ""
		switch {
		case c == m.conv():
			m.say(capital(words)+".", out)
		case out:
			m.say(m.roomName(c.room)+": "+words+".", true)
		}
	}
	return m.refresh() // its name decides where it stands
}

// capital begins a sentence.
func capital(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[size:]
}

// setRooms keeps the conversations of the rooms that are still there, in the order
// of the side column: direct chats, private rooms, open ones, and sealed ones that
// have ended; each kind in the order of its names, the lobby before other open rooms.
func (m *model) setRooms(rooms []chat.Room) {
	shown := m.conv()
	rooms = slices.DeleteFunc(slices.Clone(rooms), func(r chat.Room) bool {
		return r.Left && (!r.Kind.Sealed() || r.LastAt.IsZero()) // nobody looks for a room with nothing in it
	})
	slices.SortStableFunc(rooms, func(a, b chat.Room) int {
		if c := rank(a) - rank(b); c != 0 {
			return c
		}
		if a.Person != nil && b.Person != nil {
			return m.compareNames(*a.Person, *b.Person)
		}
		if c := strings.Compare(a.Room, b.Room); c != 0 {
			return c
		}
		return slices.Compare(a.RoomID[:], b.RoomID[:])
	})
	var list []*conversation
	for _, r := range rooms {
		c := m.find(r.RoomID)
		if c == nil {
			c = newConversation(r)
		} else {
			c.update(r)
			c.setRead(r.Unread, r.ReadUpTo)
		}
		list = append(list, c)
	}
	m.rooms = list
	m.current = slices.Index(list, shown)
	if m.current < 0 { // at the start, and when a room is left: where nothing private is said by mistake or seen by others
		m.current = m.lobby()
	}
}

// lobby returns the position of the lobby.
func (m *model) lobby() int {
	return max(0, slices.IndexFunc(m.rooms, func(c *conversation) bool { return rank(c.room) == lobbyRank }))
}

const lobbyRank = 2

// endedRank is the place of what has ended: behind everything.
const endedRank = lobbyRank + 2

// rank is the place of a room's kind in the side column.
func rank(r chat.Room) int {
	switch {
	case r.Left:
		return endedRank
	case r.Kind == chat.RoomDirect:
		return 0
	case r.Kind == chat.RoomPrivate:
		return 1
	case r.Room == chat.Lobby:
		return lobbyRank
	}
	return lobbyRank + 1
}

// update takes over what the node says of a room, but for what has been read.
func (c *conversation) update(r chat.Room) {
	if c.room.Unreadable > r.Unreadable {
		c.stale = c.loaded // what could not be read stands in its place now
	}
	unread, readUpTo := c.room.Unread, c.room.ReadUpTo
	c.room = r
	c.room.Unread, c.room.ReadUpTo = unread, readUpTo
}
