package presence

import (
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

// Input is what an engine is told. A sealed union.
type Input interface{ isInput() }

// Effect is what an engine wants done. A sealed union.
type Effect interface{ isEffect() }

// Reach is how far what a device shows of itself goes.
type Reach uint8

const (
	// ReachNobody: nothing is said at all, not even to own devices.
	ReachNobody Reach = iota
	// ReachHolders: whoever holds this device's key learns that it is here, and its
	// status. Others pass on what they can't read, without learning whose it is.
	ReachHolders
	// ReachNamed: everybody on this network learns that the device is here, and
	// holders of its key its status.
	ReachNamed
	// ReachEveryone: everybody on this network learns both.
	ReachEveryone
)

// Connected says that frames can be sent to a device, which has proved whose it is,
// and which may know that this one is here. Once more for one that is connected
// says that what it was sent before may be lost, and changes what is known of it.
type Connected struct {
	Device chat.DeviceID
	Person chat.PersonID
	// Ahead is how far its clock is ahead of this one's, as it says.
	Ahead time.Duration
}

// Disconnected says that frames can't be sent to a device any more. Clean says that
// it has said goodbye.
type Disconnected struct {
	Device chat.DeviceID
	Clean  bool
}

// Told is a frame from a device that is connected: one of wire.PresenceRecords,
// PresenceDigest, PresenceWant and PresenceKey.
type Told struct {
	From  chat.DeviceID
	Frame wire.Frame
}

// Own says what this device shows of itself, and to whom. It replaces what was said
// before; until the first, nothing is said.
type Own struct {
	// Status is what is shown; State is not empty. chat.Offline shows nothing but that
	// the device is gone, since now.
	Status chat.Status
	// Chosen is when the person last chose a state, on whichever device; zero for
	// never. Of two devices that show different ones the later choice counts.
	Chosen time.Time
	Reach  Reach
	// Near says that neighbours may know that the device is here whatever Reach is:
	// those whom it leaves out are shown that it is, without a status.
	Near bool
}

// Review says that Config.May, Owner or Cares may answer otherwise than before.
type Review struct{}

// Leave says that this device is about to go: whoever knows of it is told.
type Leave struct{}

// Tick says that time has passed; due when NextTick says so.
type Tick struct{}

func (Connected) isInput()    {}
func (Disconnected) isInput() {}
func (Told) isInput()         {}
func (Own) isInput()          {}
func (Review) isInput()       {}
func (Leave) isInput()        {}
func (Tick) isInput()         {}

// Send is a frame for a device that is connected. What can't be sent may be lost.
type Send struct {
	To    chat.DeviceID
	Frame wire.Frame
}

// Show says that Device may answer otherwise than before.
type Show struct {
	Device chat.DeviceID
}

// Keep says: store Value under Key, before what follows is done; nil to forget it.
// Kept together, all of it is Config.Kept of the next start.
type Keep struct {
	Key   string // begins with KeyPrefix
	Value []byte
}

// Refuse says that something was refused that no honest node sends.
type Refuse struct {
	From chat.DeviceID
	Err  error
}

func (Send) isEffect()   {}
func (Show) isEffect()   {}
func (Keep) isEffect()   {}
func (Refuse) isEffect() {}
