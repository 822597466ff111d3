// Package receipt is the engine of honest message states: it knows how far each device
// of a sealed room says that it holds and has read what was said there, and tells
// neighbours how far this one does. It does not know what a message is, who a message
// is for, or why somebody may or may not be told of reading; it knows no network, no
// disk and no clock, and starts no goroutine.
//
// What devices say are statements: one of each kind for a device and a room, signed,
// of which the newest counts. So what a node knows of a room only grows, and is the
// same in whatever order, how often and by whom it was told. A device can lie, about
// itself only.
package receipt

import (
	"bytes"
	"crypto/ed25519"
	"math/rand/v2"
	"time"

	"earshot/chat"
)

// World is what the node knows of rooms and people. Its methods are called from Handle
// only.
type World interface {
	// Shared returns the sealed rooms that this device takes part in and that may be
	// named to a device, in a stable order.
	Shared(device chat.DeviceID) []chat.RoomID
	// Shares reports the same of one room.
	Shares(room chat.RoomID, device chat.DeviceID) bool
	// Person returns whose a device is; false for one that is not known.
	Person(device chat.DeviceID) (chat.PersonID, bool)
	// HeldKind is the kind under which to say what is held in a room: Held, or
	// HeldKept where somebody there is not to learn it.
	HeldKind(room chat.RoomID) Kind
	// Gives reports whether statements of this person's, of kind HeldKept or
	// ReadKept, may be given to another person now.
	Gives(k Kind, to chat.PersonID) bool
}

// Config is what an engine is made of.
type Config struct {
	Key    ed25519.PrivateKey // this device's
	Person chat.PersonID      // this person
	World  World
	Random *rand.Rand // spaces what several devices would do at one time
}

// Engine holds the statements about every sealed room of one node. It is not safe for
// concurrent use; one loop owns it.
type Engine struct {
	cfg     Config
	self    chat.DeviceID
	rooms   map[chat.RoomID]*room
	near    map[chat.DeviceID]*neighbour
	bytes   int // of marks, over all rooms
	effects []Effect
	now     time.Time
}

// New returns an engine that knows nothing.
func New(cfg Config) *Engine {
	e := &Engine{cfg: cfg, rooms: map[chat.RoomID]*room{}, near: map[chat.DeviceID]*neighbour{}}
	copy(e.self[:], cfg.Key[ed25519.PrivateKeySize-ed25519.PublicKeySize:])
	return e
}

// key names a statement in its room.
type key struct {
	device chat.DeviceID
	kind   Kind
}

func (a key) compare(b key) int {
	if d := bytes.Compare(a.device[:], b.device[:]); d != 0 {
		return d
	}
	return int(a.kind) - int(b.kind)
}

// slot is the newest statement of its key.
type slot struct {
	Statement
	person chat.PersonID // of the device, as it was when the statement came
	marks  []Mark
}

// room is what is known of one.
type room struct {
	slots   map[key]*slot
	devices int // that have slots
	// holds is what this device has on disk, and turns in which order its logs last
	// grew.
	holds map[LogPrefix]held
	turn  uint64
	// unsaid are the kinds of own statements that are not what they should be, with
	// what is to be added to those of reading.
	unsaidHeld bool
	unsaid     map[Kind]map[LogPrefix]uint64
	floor      uint64    // own versions must be above it
	sayAt      time.Time // not before; zero for at once
	restateAt  time.Time // not before
	spreadAt   time.Time // zero for nothing to spread
	restAt     time.Time // no spreading before
}

type held struct {
	seq  uint64
	turn uint64
}

// neighbour is a device that frames can be sent to.
type neighbour struct {
	person chat.PersonID
	// stale are the rooms in which it may lack statements that are here.
	stale map[chat.RoomID]struct{}
	// answerAt is before when it gets no further answer about a room; asked says
	// that it has wanted one.
	answered map[chat.RoomID]answer
}

type answer struct {
	after time.Time
	again bool
}

// Holds returns up to which entry a device has said that it holds a log, 0 if nothing
// is known.
func (e *Engine) Holds(id chat.RoomID, device chat.DeviceID, log chat.LogID) uint64 {
	return max(e.upTo(id, device, log, Held), e.upTo(id, device, log, HeldKept))
}

// HasRead returns up to which entry the person of a device has read a log, as the
// device has said, 0 if nothing is known.
func (e *Engine) HasRead(id chat.RoomID, device chat.DeviceID, log chat.LogID) uint64 {
	return max(e.upTo(id, device, log, Read), e.upTo(id, device, log, ReadKept), e.upTo(id, device, log, ReadOwn))
}

func (e *Engine) upTo(id chat.RoomID, device chat.DeviceID, log chat.LogID, k Kind) uint64 {
	if r := e.rooms[id]; r != nil {
		if s := r.slots[key{device, k}]; s != nil {
			return find(s.marks, PrefixOf(log))
		}
	}
	return 0
}
