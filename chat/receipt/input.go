package receipt

import "earshot/chat"

// Input is what an engine is told. A sealed union.
type Input interface{ isInput() }

// Restore says what the store holds of a room: at start, before anything else about
// it. Statements were checked when they came.
type Restore struct {
	Room       chat.RoomID
	Statements []Kept
	Holds      []Mark // as in Holds: all of them
	Read       []Mark // all that this person has read here
}

// Kept is a statement with whose device it is of.
type Kept struct {
	Statement
	Person chat.PersonID
}

// Holds says that logs of others have grown on this device's disk: for good, so not
// before the store has said so.
type Holds struct {
	Room  chat.RoomID
	Marks []Mark
}

// Reads says that this person has read logs of others, on this device, up to Marks.
// Kind is what they let others know of it: Read, ReadKept or ReadOwn.
type Reads struct {
	Room  chat.RoomID
	Kind  Kind
	Marks []Mark
}

// PeerUp says that frames can be sent to a device. PeerDown takes it back.
type PeerUp struct{ Device chat.DeviceID }

// PeerDown says that frames can't be sent to a device any more.
type PeerDown struct{ Device chat.DeviceID }

// Lost says that a frame to a device may not have been sent.
type Lost struct{ Device chat.DeviceID }

// Shared says that rooms may be named to others than before, or that others may learn
// what is held and read there.
type Shared struct{ Rooms []chat.RoomID }

// Told is a frame Receipt from a neighbour.
type Told struct {
	From       chat.DeviceID
	Room       chat.RoomID
	Statements []Statement
	Cover      uint64
	Covered    bool // Cover is set
}

// Compared is a frame ReceiptHave from a neighbour, as far as its rooms are known here.
type Compared struct {
	From chat.DeviceID
	Sums []Sum
}

// Asked is a frame ReceiptWant from a neighbour.
type Asked struct {
	From  chat.DeviceID
	Room  chat.RoomID
	Lines []Line
}

// Last says that the node is about to stop: what was read is to be kept.
type Last struct{}

// Tick says that time has passed; due when NextTick says so.
type Tick struct{}

func (Restore) isInput()  {}
func (Holds) isInput()    {}
func (Reads) isInput()    {}
func (PeerUp) isInput()   {}
func (PeerDown) isInput() {}
func (Lost) isInput()     {}
func (Shared) isInput()   {}
func (Told) isInput()     {}
func (Compared) isInput() {}
func (Asked) isInput()    {}
func (Last) isInput()     {}
func (Tick) isInput()     {}

// Effect is what an engine wants done. A sealed union.
type Effect interface{ isEffect() }

// Tell says: give statements to a neighbour, which fit one frame.
type Tell struct {
	To         chat.DeviceID
	Room       chat.RoomID
	Statements []Statement
	Cover      uint64
	Covered    bool // the statements are this device's own, and Cover is set
}

// Compare says: have a neighbour see whether it holds the same statements.
type Compare struct {
	To   chat.DeviceID
	Sums []Sum
}

// Sum sums up the statements about a room that two devices may both hold.
type Sum struct {
	Room chat.RoomID
	Sum  [16]byte
}

// Ask says: ask a neighbour for what is newer than Lines.
type Ask struct {
	To    chat.DeviceID
	Room  chat.RoomID
	Lines []Line
}

// Line names a statement that is held: the beginning of its device's id, its kind and
// version.
type Line struct {
	Device  [8]byte
	Kind    Kind
	Version uint64
}

// Keep says: a statement counts from now on; store it in place of what it replaces.
// It is safe to store only the latest of several, and later: what was lost comes
// again, and of this device's own none is forgotten that a neighbour holds.
type Keep struct {
	Room chat.RoomID
	Kept
	Rose []Mark // of its marks those that are higher than before
}

// ReadElsewhere says that this person has read logs on another device, up to Marks, or
// on this one in a life that it has forgotten.
type ReadElsewhere struct {
	Room  chat.RoomID
	Marks []Mark
}

// Refuse says that something was refused that no honest node sends.
type Refuse struct {
	From chat.DeviceID
	Err  error
}

func (Tell) isEffect()          {}
func (Compare) isEffect()       {}
func (Ask) isEffect()           {}
func (Keep) isEffect()          {}
func (ReadElsewhere) isEffect() {}
func (Refuse) isEffect()        {}
