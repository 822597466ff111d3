// Package courier is the engine that decides which sealed entries are left with whom
// while somebody is away, which are held here for others and for how long, and which
// of those that others hold are for this person. It knows no network, no disk, no
// clock and no randomness but what it is given, starts no goroutine, and does not know
// what the entries say (PROTOCOL.md#couriers).
package courier

import (
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

// Standing is what somebody is to this person, as far as it matters to what is held
// for them. The higher, the more.
type Standing uint8

const (
	Stranger Standing = iota
	Member            // in a private room with this person
	Contact           //
	Own               // a device of this person's
)

// Input is what an engine is told. A sealed union.
type Input interface{ isInput() }

// Effect is what an engine wants done. A sealed union.
type Effect interface{ isEffect() }

// Restore says what the store holds, at start.
type Restore struct {
	Held    []Held
	Parcels []Parcel
	Proofs  []Proof
	Arrived []Arrival
}

// Settings says how much this node holds for others.
type Settings struct {
	Keeper bool  // for contacts, as a service
	Space  int64 // bytes
}

// Rooms says in which sealed conversations this device takes part: all of them.
type Rooms struct {
	Rooms []Room
}

// Met says that a device is here and may know that this one is, or that its standing
// is another now. Left, that it is gone, or may know it no longer.
type Met struct {
	Device   chat.DeviceID
	Person   chat.PersonID
	Standing Standing
}

type Left struct {
	Device chat.DeviceID
}

// Heard is a frame of a device that was met. What a Deposit carries has not been
// looked at.
type Heard struct {
	Device chat.DeviceID
	Frame  wire.Frame
}

// Survey says what lacks a recipient who is out of reach: all of it. What a former
// survey named and this one does not has arrived, or is no more.
type Survey struct {
	Wants []Want
	// Carry has envelopes made of all of it at once, whoever is here.
	Carry bool
}

// Want is what one recipient lacks.
type Want struct {
	Key
	Ranges []Range // in ascending order of log
	// Insiders hold the conversation anyway and are no couriers for it.
	Insiders map[chat.PersonID]bool
	// Reachable says that the recipient is here: nothing new is left with others.
	Reachable bool
}

// Key names a recipient in a conversation; of a private room Person is zero.
type Key struct {
	Room   chat.RoomID
	Person chat.PersonID
}

// Range is entries of one log, both ends included.
type Range struct {
	Log      chat.LogID
	From, To uint64
}

// Packed answers Pack. A zero ID says that there was nothing worth an envelope, or,
// with Failed, that none could be made.
type Packed struct {
	Key      Key
	Envelope Envelope
	Ranges   []Range // what it holds
	Messages int     // among them
	Replaces ID      // as in Pack
	Failed   bool
}

// Kept answers Keep: an envelope is on the disk, or could not be put there.
type Kept struct {
	ID  ID
	Err error
}

// Opened answers Open: what of it is new is on the disk. Whole says that all of it is
// held now, so that its courier may let go of it.
type Opened struct {
	ID    ID
	Whole bool
	// Reply is told to the depositor, at most MaxPlainReply bytes; nil for nothing.
	Reply []byte
}

// CarriedIn is an envelope that came on foot, with whoever signed it judged by
// Standing. Blocked ones are not handed in.
type CarriedIn struct {
	Envelope Envelope
	Standing Standing
}

// CarriedProof is a proof that came on foot.
type CarriedProof struct {
	Taken wire.Taken
}

// Gone says that what an entry of this person's said was removed, or is over. An
// envelope that says it is taken back, and made anew.
type Gone struct {
	Room chat.RoomID
	Log  chat.LogID
	Seq  uint64
}

// Carried says that envelopes were written to be carried.
type Carried struct {
	IDs []ID
}

// Forget says that a person has been blocked: nothing of theirs is held any more.
type Forget struct {
	Person chat.PersonID
}

// Ready says that the disk of a device that was met takes something again: what it did
// not take, it may be given now.
type Ready struct{ Device chat.DeviceID }

// Tick says that time has passed; due when NextTick says so.
type Tick struct{}

func (Restore) isInput()      {}
func (Settings) isInput()     {}
func (Rooms) isInput()        {}
func (Met) isInput()          {}
func (Left) isInput()         {}
func (Heard) isInput()        {}
func (Survey) isInput()       {}
func (Packed) isInput()       {}
func (Kept) isInput()         {}
func (Opened) isInput()       {}
func (CarriedIn) isInput()    {}
func (CarriedProof) isInput() {}
func (Gone) isInput()         {}
func (Carried) isInput()      {}
func (Forget) isInput()       {}
func (Ready) isInput()        {}
func (Tick) isInput()         {}

// Send is a frame for a device that was met.
type Send struct {
	To    chat.DeviceID
	Frame wire.Frame
}

// Keep says: store this envelope for others and forget those in place of it, all or
// nothing, and say with Kept what came of it.
type Keep struct {
	Held  Held
	Bytes []byte
	Drop  []ID
}

// Bring says: hand envelopes that are held for others to a device, in this order.
type Bring struct {
	To  chat.DeviceID
	IDs []ID
}

// Give says: deposit an envelope of one's own with a device, and have it forget
// others.
type Give struct {
	To   chat.DeviceID
	ID   ID
	Drop []ID
}

// Pack says: make an envelope of the first entries of Ranges that fit, and answer with
// Packed. Nothing is to be made where no entry says anything to a person.
type Pack struct {
	Key      Key
	Ranges   []Range
	Replaces ID // whose entries are among them; zero for none
}

// Open says: an envelope for this person has come. Take its entries in, which a member
// of the room has sealed, as those of a catch-up, and answer with Opened. The author of
// each has still to be checked.
type Open struct {
	From    chat.DeviceID // zero if it was carried
	ID      ID
	Room    chat.RoomID
	Entries []wire.RawEntry
}

// Proved says that an envelope of this person's has been taken by its recipient, and
// what their device says.
type Proved struct {
	Key   Key
	Reply []byte // nil for nothing
}

// Save and Drop change what is stored; exactly one field is set in each.
type Save struct {
	Parcel  *Parcel
	Bytes   []byte // of Parcel, where it is new
	Proof   *Proof
	Arrival *Arrival
}

type Drop struct {
	Held    ID
	Parcel  ID
	Proof   ID
	Arrival ID
}

// Changed says that what is held for others is other than it was; Moved, that what is
// held elsewhere of a room's is.
type Changed struct{}

type Moved struct {
	Room chat.RoomID
}

// Judged says what became of an envelope that was carried in: one of wire's answers.
type Judged struct {
	ID   ID
	Says uint8
}

// Refuse says that a device has sent what no honest one does.
type Refuse struct {
	From chat.DeviceID
	Err  error
}

func (Send) isEffect()    {}
func (Keep) isEffect()    {}
func (Bring) isEffect()   {}
func (Give) isEffect()    {}
func (Pack) isEffect()    {}
func (Open) isEffect()    {}
func (Proved) isEffect()  {}
func (Save) isEffect()    {}
func (Drop) isEffect()    {}
func (Changed) isEffect() {}
func (Moved) isEffect()   {}
func (Judged) isEffect()  {}
func (Refuse) isEffect()  {}

// Held is an envelope that is held for others, without its box.
type Held struct {
	ID       ID
	Tag      Tag
	Salt     Salt
	Lock     [32]byte
	Device   chat.DeviceID // who deposited it
	Person   chat.PersonID // likewise
	Standing Standing      // of Person, when it came
	Size     int64         // bytes
	Since    time.Time
	Expires  time.Time
}

// Parcel is an envelope of this person's own, wherever it is.
type Parcel struct {
	ID      ID
	Key     Key
	Salt    Salt
	Tag     Tag
	Size    int64
	Made    time.Time
	Expires time.Time
	Ranges  []Range
	// Messages counts those among its entries.
	Messages int
	Holders  []Holder  // in ascending order of device
	Carried  time.Time // when it was last written to be carried; zero for never
	// By is what took its place; zero for nothing. It is forgotten when nobody holds it
	// any more.
	By ID
	// Proven is when its recipient was first said to have it; zero for never. What they
	// hold is another matter: only their device's own receipt says that.
	Proven time.Time
}

// Holder is who holds a parcel.
type Holder struct {
	Device   chat.DeviceID
	Person   chat.PersonID
	Standing Standing
	Keeper   bool
	Since    time.Time
}

// Proof is the word of a recipient that an envelope has arrived, on its way to its
// depositor.
type Proof struct {
	ID      ID
	Device  chat.DeviceID // the depositor's
	Secret  [32]byte
	Reply   []byte
	Expires time.Time
}

// Arrival is an envelope that was for this person and has come. Secret is zero for one
// of a private room.
type Arrival struct {
	ID      ID
	Secret  [32]byte
	Reply   []byte
	Expires time.Time
}
