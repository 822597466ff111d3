// Package desktop is the leaf that knows the desktop of this machine: whether somebody
// is at it, whether its screen is locked, and how to show a notification. It does not
// know who is told of either, or what a notification is about.
//
// It needs no cgo. A desktop that is not there, is not there yet or goes away is no
// failure: it is looked for again, and Idle.Problem says so meanwhile.
package desktop

import "time"

// Idle is whether somebody is at this machine.
type Idle struct {
	// Since is when the last key was pressed or the mouse last moved; zero while
	// that is less than Rest ago, or where it can't be known.
	Since  time.Time
	Locked bool   // the screen is
	By     string // what tells Since: "logind", "x11", ...; empty for nothing
	// Problem says in a sentence why Since can't be known; empty where it is.
	Problem string
}

// Rest is how long nobody touches a machine before that is worth telling.
const Rest = time.Minute

// Note is a notification.
type Note struct {
	Key string // the next one with the same Key takes its place
	// Title and Body are one line of plain text each. They may hold a stranger's words
	// and are shown as they stand: no markup, no links, no actions.
	Title, Body string
	Silent      bool // only changes what is still shown, without a sound
}
