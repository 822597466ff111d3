package alert

import (
	"time"

	"earshot/chat"
)

// Input is what an engine is told. A sealed union.
type Input interface{ isInput() }

// Settings says how the person wants to be alerted, and by what time zone quiet hours
// count. Before the first of them nothing alerts.
type Settings struct {
	chat.Alerts
	Zone *time.Location
}

// Status says what the person shows of themselves.
type Status struct{ chat.Status }

// Message is one of somebody else's that was stored. Whoever is blocked has none.
type Message struct {
	ID     chat.EntryID
	Room   string // as shown
	RoomID chat.RoomID
	Kind   chat.RoomKind
	From   chat.Author
	// Known says that its author is a contact or a member of the same sealed room, and
	// no stranger; Team that their mentions break through.
	Known, Team bool
	Mention     bool // it calls this person
	Text        string
	Fleeting    bool // it disappears, and so must not stay in a list of the desktop's
	SentAt      time.Time
	Late        bool // it stands before what had been read
}

// Read says how much is unread in a room, on whatever device it was read.
type Read struct {
	Room   chat.RoomID
	Unread int
}

// Removed says that what a message said was taken away or changed.
type Removed struct {
	Room chat.RoomID
	ID   chat.EntryID
}

// View says which room is before the eyes of the person; zero for none.
type View struct{ Room chat.RoomID }

// Left says that a room is no conversation of this person's any more.
type Left struct{ Room chat.RoomID }

// Requests are the people who wait to become contacts, all of them.
type Requests struct{ From []chat.Author }

// Invited says that somebody invites this person to a private room.
type Invited struct {
	Room   string
	RoomID chat.RoomID
	By     chat.Author
}

// Free says that somebody who was watched is free now.
type Free struct{ Person chat.Author }

// Tick says that time has passed; due when NextTick says so.
type Tick struct{}

func (Settings) isInput() {}
func (Status) isInput()   {}
func (Message) isInput()  {}
func (Read) isInput()     {}
func (Removed) isInput()  {}
func (View) isInput()     {}
func (Left) isInput()     {}
func (Requests) isInput() {}
func (Invited) isInput()  {}
func (Free) isInput()     {}
func (Tick) isInput()     {}

// Effect is what an engine wants done. A sealed union.
type Effect interface{ isEffect() }

// Tell says: tell faces.
type Tell struct{ chat.AlertEvent }

// Notify says: have the desktop show this in place of what it shows under Key. Silent
// says that nothing new has come that is worth a sound or a bubble.
type Notify struct {
	Key         string
	Title, Body string // each one line of plain text, which may hold a stranger's words
	Silent      bool
}

// Withdraw says: have the desktop show no longer what it shows under Key.
type Withdraw struct{ Key string }

func (Tell) isEffect()     {}
func (Notify) isEffect()   {}
func (Withdraw) isEffect() {}
