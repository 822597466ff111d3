// Package chat holds the nouns of a conversation: who speaks (PersonID,
// DeviceID), where (RoomID), what was said (Message), what a face is told
// (Event) and how a failure is put to a person (Error). It knows no network, no
// disk, no clock, no goroutine and no terminal: everything in it and below it
// can be simulated with a seed.
//
// The rules of conversation are engines in the packages below it. Each takes one
// input at a time together with the time it happened, and returns what must now
// be done; the node carries that out.
package chat
