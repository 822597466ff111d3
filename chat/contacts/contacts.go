// Package contacts is the engine of who knows whom: it takes what this person
// decides and what others ask, and says what must be stored, sent and shown, and
// what of another person's may reach this one at all. It knows no network, no
// disk, no clock and no randomness but what it is given, no rooms and no content,
// and starts no goroutine.
package contacts

import (
	"crypto/ed25519"
	"time"

	"earshot/chat"
	"earshot/chat/identity"
)

// Relation is what a person is to this one. Its text is stable.
type Relation uint8

const (
	Stranger  Relation = iota // nearby perhaps, but not known
	Requested                 // this person has asked them
	Asking                    // they have asked, and wait in the tray
	Contact
	Verified // a contact whose root key has been compared
	Blocked  // sees of this person what they would see of one who is away
)

var relationNames = [...]string{"stranger", "requested", "asking", "contact", "verified", "blocked"}

// String returns the relation's stable name.
func (r Relation) String() string {
	if int(r) < len(relationNames) {
		return relationNames[r]
	}
	return "unknown"
}

// MarshalText lets a relation stand as a string in JSON.
func (r Relation) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// Known reports whether the relation is a contact's, verified or not.
func (r Relation) Known() bool { return r == Contact || r == Verified }

// Config is what an engine is made of.
type Config struct {
	Key         ed25519.PrivateKey // this device's
	Certificate identity.Certificate
	Name        string // as this person calls themselves
	// NewNonce returns NonceSize fresh random bytes, which tell requests apart.
	NewNonce func() [NonceSize]byte
}

// Input is what an engine is told. A sealed union. Ref comes back in Deny.
type Input interface{ isInput() }

// Effect is what an engine wants done. A sealed union.
type Effect interface{ isEffect() }

// Restore says, at start, what was persisted.
type Restore struct{ Records []Record }

// Rename changes what this person is called in requests that are yet to be made.
type Rename struct{ Name string }

// Add asks a person to become a contact, or takes their request if they have asked.
// The note is at most MaxNote characters.
type Add struct {
	Person chat.PersonID
	Note   string
	Ref    uint64
}

// Accept takes a request in the tray.
type Accept struct {
	Person chat.PersonID
	Ref    uint64
}

// Decline drops a request from the tray. They are not told, and their next ones are
// not shown for DeclineLife.
type Decline struct {
	Person chat.PersonID
	Ref    uint64
}

// Block ends every relation and answers nothing from now on.
type Block struct {
	Person chat.PersonID
	Ref    uint64
}

// Unblock makes a blocked person a stranger again.
type Unblock struct {
	Person chat.PersonID
	Ref    uint64
}

// Forget ends a relation without blocking: a contact becomes a stranger, a request
// of this person's is withdrawn.
type Forget struct {
	Person chat.PersonID
	Ref    uint64
}

// Verify says that this person has compared a contact's root key.
type Verify struct {
	Person chat.PersonID
	Ref    uint64
}

// Decide answers a Claim. Same: the claimant is the verified person with a new
// root key, which takes the place of the old; it is not verified yet. Otherwise it
// is another person who happens to have that name.
type Decide struct {
	Verified, Claimant chat.PersonID
	Same               bool
	Ref                uint64
}

// Receive is a message (PROTOCOL.md#contacts) from the device at the other end of a
// connection, whose person its certificate has shown.
type Receive struct {
	From    chat.PersonID
	Device  chat.DeviceID
	Message []byte
}

// Met says that a device of a person has connected, or goes by another name now.
type Met struct {
	Person chat.PersonID
	Device chat.DeviceID
	Name   string
}

// Left says that a device has no connection any more.
type Left struct {
	Person chat.PersonID
	Device chat.DeviceID
}

// Delivered says that a Send has reached the other node.
type Delivered struct {
	Person chat.PersonID
	ID     MessageID
}

// Merge is what another device of this person holds of somebody, as its engine
// persisted it. The one that was decided later counts, so that all devices of a
// person come to hold the same; each delivers what it has written itself.
type Merge struct{ Record Record }

// Tick says that time has passed; due when NextTick says so.
type Tick struct{}

func (Restore) isInput()   {}
func (Rename) isInput()    {}
func (Add) isInput()       {}
func (Accept) isInput()    {}
func (Decline) isInput()   {}
func (Block) isInput()     {}
func (Unblock) isInput()   {}
func (Forget) isInput()    {}
func (Verify) isInput()    {}
func (Decide) isInput()    {}
func (Receive) isInput()   {}
func (Met) isInput()       {}
func (Left) isInput()      {}
func (Delivered) isInput() {}
func (Merge) isInput()     {}
func (Tick) isInput()      {}

// Persist says: store this, in place of what was stored of the person, before the
// effects behind it are carried out; faces are then told. A Record of a Stranger
// that is not Kept is to be deleted.
type Persist struct {
	Record Record
	// Moved says that the relation or the groups are others than before: who may see
	// something of this person's may have changed.
	Moved bool
}

// Send says: give this message to a device that is connected, and say Delivered
// when it has it. Without Delivered it is sent again, later and later.
type Send struct {
	Person  chat.PersonID
	Device  chat.DeviceID
	ID      MessageID
	Message []byte
}

// Confirm says: tell the device that its message was read, so that it is not sent
// again. What is not read now, because there is no place for it or too much comes,
// is not confirmed, nor is anything of a blocked person's; what is not shown because
// its author was declined is.
type Confirm struct {
	Device chat.DeviceID
	ID     MessageID
}

// Tray is the whole tray, whenever it has changed, oldest first.
type Tray struct{ Requests []Record }

// Claim says that somebody with another root key goes by the name of a verified
// contact who is away: nothing is sent to either until Decide, or until the
// verified one is met. With Held false there is only the warning.
type Claim struct {
	Verified Record
	Claimant chat.PersonID
	Name     string // as the claimant writes it, cleaned
	Held     bool
}

// Refuse says that something was refused that no honest node sends.
type Refuse struct {
	From chat.DeviceID
	Err  error
}

// Deny says why what this person wanted can't be done.
type Deny struct {
	Ref uint64
	Err error
}

func (Persist) isEffect() {}
func (Send) isEffect()    {}
func (Confirm) isEffect() {}
func (Tray) isEffect()    {}
func (Claim) isEffect()   {}
func (Refuse) isEffect()  {}
func (Deny) isEffect()    {}

// Record is what is known of a relation: all that must survive a restart.
type Record struct {
	Person   chat.PersonID
	Relation Relation
	Since    time.Time // when the relation, or Chat, became what it is
	Name     string    // as last heard, cleaned; "" if never
	// Note is what whoever asked has written, safe to show as plain text: cleaned,
	// on one line, and without anything that a terminal would make a link of.
	Note string
	// Device is the device of theirs that was heard of this relation last.
	Device chat.DeviceID
	// Request is the request that stands: this person's or theirs.
	Request MessageID
	// Chat is what the direct chat with this contact is made of (chat.DirectRoom):
	// the id of a request, known to the two of them only. Zero while they are no
	// contact. Once both have the other's answer, both hold the same.
	Chat [32]byte
	// Message waits to be delivered; nil for nothing. Tries have been made, the
	// next is due at NextTry.
	Message []byte
	Tries   int
	NextTry time.Time
	// DeclinedUntil is until when a stranger's requests are not shown.
	DeclinedUntil time.Time
	// Forgotten is true of a stranger of whom this person has decided that they
	// are one: what other devices hold of them from before does not count.
	Forgotten bool
	// Claimant goes by this verified contact's name; zero for nobody. While it is
	// set nothing is sent to either.
	Claimant chat.PersonID
	// Namesakes have been decided to be others of this name.
	Namesakes []chat.PersonID
	// QuietUntil is until when further claims only warn.
	QuietUntil time.Time
	Sorting
}

// Kept reports whether the record says anything that a stranger's would not.
func (r Record) Kept() bool {
	return r.Relation != Stranger || r.Forgotten || !r.DeclinedUntil.IsZero()
}
