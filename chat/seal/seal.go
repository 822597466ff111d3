// Package seal is the engine of end-to-end encryption: it seals what this device
// says so that only the devices it was given can read it, hands them the keys, and
// opens what they sealed. It does not know who is a member of what, nor why: the
// caller names the recipients and vouches for every entry's signature. It knows no
// network, no disk, no clock, and starts no goroutine.
//
// Every device has a chain of keys for each room, an epoch, that only goes
// forward; its start is wrapped to each recipient with a key that the pair of
// devices shares for a week. PROTOCOL.md#sealed-rooms has the layouts and rules.
//
// Its randomness is Config.Random, but for the encapsulations of crypto/hpke, which
// takes the system's.
package seal

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/identity"
	"earshot/chat/wire"
)

// Config is what an engine is made of.
type Config struct {
	Key    ed25519.PrivateKey // this device's
	Random io.Reader          // of cryptographic quality, such as crypto/rand.Reader
}

// Input is what an engine is told. A sealed union.
type Input interface{ isInput() }

// Effect is what an engine wants done. A sealed union. Effects are carried out in
// their order, and each one durably before the next: then a crash at any moment
// costs at most what was not yet said, and never a key or a nonce used twice. If
// one fails, the engine is thrown away and made anew from what was persisted. An
// entry whose effects were not all carried out is handed over again.
type Effect interface{ isEffect() }

// Recipients says who reads what is sealed in a room from now on: every device of
// every member, with View, which stands for the state of membership and device
// lists that they were computed from. It is given at the start, before entries, and
// whenever it changes. This device itself need not be in it.
type Recipients struct {
	Room    chat.RoomID
	View    [32]byte
	Devices []Recipient
	// Keep says that newcomers to the room are given its history: the start of
	// every chain stays, for Grants, until the room is left or Keep is taken back.
	// What has been said can be read again by who gets hold of this device.
	Keep bool
}

// Recipient is a device to wrap keys to. A zero Prekey says that none is known.
type Recipient struct {
	Certificate identity.Certificate
	Prekey      Prekey
}

// Leave makes the engine forget a room and all keys of it.
type Leave struct {
	Room chat.RoomID
}

// Rotate makes the next message of a room start a new epoch, as do a recipient
// who is gone, seven days, MaxMessages, and every start of the engine.
type Rotate struct {
	Room chat.RoomID
}

// Seal is something to be said in a room: the payload of an entry of this kind,
// of at most MaxPlaintext bytes. Ref comes back with it.
type Seal struct {
	Room      chat.RoomID
	Kind      wire.Kind
	Plaintext []byte
	Ref       uint64
}

// Receive is an entry of a room: a sealed one, a key share, or a key request. Its
// signature has been verified and its author is, or was, a member. Entries of a
// log come in the log's order, this device's own included.
type Receive struct {
	Room  chat.RoomID
	Entry wire.Entry
}

// Acknowledged says that From has stored a pair root that this device made for it.
// Noise has proved who From is.
type Acknowledged struct {
	From chat.DeviceID
	Root [idSize]byte
}

// Granted brings keys of past epochs from a member, of a room that keeps them. Each
// counts only with its author's own signed commitment to that very point: From can
// withhold a key, and cannot forge one. A grant that comes before its author's share
// waits, for a day and within bounds.
type Granted struct {
	Room   chat.RoomID
	From   chat.DeviceID // who handed them over; Refuse names it
	Grants []Grant
}

// Grant is a point of a chain: who has it reads what Device sealed in the epoch from
// message N on. It is secret.
type Grant struct {
	Device chat.DeviceID
	Epoch  uint64
	N      uint64
	Key    [32]byte
}

// Tick says that time has passed; due when NextTick says so.
type Tick struct{}

func (Recipients) isInput()   {}
func (Leave) isInput()        {}
func (Rotate) isInput()       {}
func (Seal) isInput()         {}
func (Receive) isInput()      {}
func (Acknowledged) isInput() {}
func (Granted) isInput()      {}
func (Tick) isInput()         {}

// Persist says: store Value under Key in place of what was there, or, if Value is
// nil, remove it so that it can't be restored. Values are secret. Their keys tell
// rooms and devices.
type Persist struct {
	Key   string
	Value []byte
}

// Append says: sign an entry with this kind, epoch and payload in this device's log
// of the room, and let it out. Ref is that of the Seal it carries out, or 0.
type Append struct {
	Room    chat.RoomID
	Kind    wire.Kind
	Epoch   uint64
	Payload []byte
	Ref     uint64
}

// Deny says that a Seal cannot be done.
type Deny struct {
	Ref uint64
	Err error
}

// Opened gives what an entry says. It is stored in one transaction with the Persist
// that follows, or before it: the key is gone then.
type Opened struct {
	Room      chat.RoomID
	ID        chat.EntryID
	Device    chat.DeviceID
	Kind      wire.Kind
	Plaintext []byte
	// View is the membership that the author had last announced. It tells what
	// was sealed before its author knew of a removal.
	View [32]byte
}

// Waiting says that an entry can't be opened yet. Opened or Unreadable may follow;
// if neither has in a day, there were too many to wait in memory, and it is to be
// handed over again.
type Waiting struct {
	Room   chat.RoomID
	ID     chat.EntryID
	Device chat.DeviceID // its author
	Epoch  uint64
}

// Unreadable says that an entry can't be opened here.
type Unreadable struct {
	Room   chat.RoomID
	ID     chat.EntryID
	Device chat.DeviceID // its author
	Epoch  uint64
	Reason Reason
}

// Learned says that this device can now open what Device sealed in an epoch. Opened
// follows for what waits in memory; the other entries of the epoch that were not
// opened are to be handed over again, even those that were Unreadable.
type Learned struct {
	Room   chat.RoomID
	Device chat.DeviceID
	Epoch  uint64
}

// Excluded says that a recipient can't be given the key, and why. The others are.
// It is said once, until the device has another prekey.
type Excluded struct {
	Room   chat.RoomID
	Device chat.DeviceID
	Err    error
}

// Alarm says that a device gave different keys of one epoch to different members.
// It signed them, so it is to blame. The epoch is not opened any more.
type Alarm struct {
	Room   chat.RoomID
	Device chat.DeviceID
	Epoch  uint64
}

// Refuse says that something was refused that no honest node makes; From signed it.
type Refuse struct {
	From chat.DeviceID
	Err  error
}

// Acknowledge says: tell To, if it is connected, that its pair root is stored. If
// it is not, the next share brings another.
type Acknowledge struct {
	To   chat.DeviceID
	Root [idSize]byte
}

// Publish says: this is the device's prekey from now on; make it known to all who
// share a room with it.
type Publish struct {
	Prekey Prekey
}

func (Persist) isEffect()     {}
func (Append) isEffect()      {}
func (Deny) isEffect()        {}
func (Opened) isEffect()      {}
func (Waiting) isEffect()     {}
func (Unreadable) isEffect()  {}
func (Learned) isEffect()     {}
func (Excluded) isEffect()    {}
func (Alarm) isEffect()       {}
func (Refuse) isEffect()      {}
func (Acknowledge) isEffect() {}
func (Publish) isEffect()     {}

// Reason says why an entry is not readable.
type Reason string

const (
	NotShared Reason = "not_shared" // its author did not give this device the epoch's key
	TooEarly  Reason = "too_early"  // sealed before this device was given the key
	Replayed  Reason = "replayed"   // this number of the epoch was opened before, or its key is gone
	Broken    Reason = "broken"     // it breaks the protocol; Refuse goes with it
	Disputed  Reason = "disputed"   // its author raised an Alarm with this epoch
	Removed   Reason = "removed"    // its payload is gone
)

// Engine holds the keys of one device. It is not safe for concurrent use; one loop
// owns it.
type Engine struct {
	cfg     Config
	device  chat.DeviceID
	prekey  *ownPrekey // the current one
	prekeys map[shortID]*ownPrekey
	to      map[chat.DeviceID]*pairTo
	from    map[chat.DeviceID][]*pairFrom // oldest first
	rooms   map[chat.RoomID]*room
	skipped int // keys, over all chains
	waiting waiting
	grants  grants
	asks    map[chat.DeviceID]*budget
	answers map[chat.DeviceID]*budget
	pruneAt time.Time
	out     []Effect // of the input at hand
}

// room is what is known of one conversation.
type room struct {
	id         chat.RoomID
	known      bool // Recipients were given
	keep       bool // as they said last
	view       [32]byte
	recipients []Recipient // without this device, ascending by device
	members    map[chat.DeviceID]bool
	excluded   map[chat.DeviceID]shortID // and the prekey that did not serve
	own        map[uint64]*ownEpoch
	current    *sending // nil until the first Seal of this run
	rotate     bool
	epochs     map[chat.DeviceID][]*epoch // of others, oldest first
}

// New returns an engine that goes on with what was persisted, which is empty at
// first. It does not go on with an epoch of its own: state that was rolled back, by
// a backup or a crash, must not use a key twice. The caller hands it a Tick before
// anything else; if state is empty, because it was lost, every entry of its rooms is
// handed over again. The error says which value is damaged; without that value, the
// engine works, and the keys in it are lost.
func New(cfg Config, state map[string][]byte) (*Engine, error) {
	e := &Engine{
		cfg: cfg, prekeys: map[shortID]*ownPrekey{}, to: map[chat.DeviceID]*pairTo{}, from: map[chat.DeviceID][]*pairFrom{},
		rooms: map[chat.RoomID]*room{}, waiting: newWaiting(), grants: newGrants(), asks: map[chat.DeviceID]*budget{}, answers: map[chat.DeviceID]*budget{},
	}
	copy(e.device[:], cfg.Key.Public().(ed25519.PublicKey))
	if err := e.restore(state); err != nil {
		return nil, err
	}
	return e, nil
}

// Handle applies one input and returns what must now be done, in order. It never
// blocks, and does not depend on map order.
func (e *Engine) Handle(now time.Time, in Input) []Effect {
	e.out = nil
	// Without randomness nothing is sealed, and seal says so; the rest goes on.
	_ = e.renewPrekey(now)
	switch in := in.(type) {
	case Recipients:
		e.recipients(in)
	case Leave:
		e.leave(in.Room)
	case Rotate:
		e.room(in.Room).rotate = true
	case Seal:
		e.seal(now, in)
	case Receive:
		e.receive(now, in)
	case Acknowledged:
		e.acknowledged(in)
	case Granted:
		e.granted(now, in)
	case Tick:
		e.tick(now)
	}
	out := e.out
	e.out = nil
	return out
}

// Prekey returns this device's prekey of now; zero before the first input.
func (e *Engine) Prekey() Prekey {
	if e.prekey == nil {
		return Prekey{}
	}
	return e.prekey.signed
}

// NextTick returns when Tick is due next.
func (e *Engine) NextTick() time.Time { return e.pruneAt }

func (e *Engine) emit(f Effect) { e.out = append(e.out, f) }

func (e *Engine) persist(key string, value []byte) { e.emit(Persist{Key: key, Value: value}) }

func (e *Engine) refuse(from chat.DeviceID, err error) { e.emit(Refuse{From: from, Err: err}) }

// random fills b, or fails in words for a person.
func (e *Engine) random(b []byte) error {
	if _, err := io.ReadFull(e.cfg.Random, b); err != nil {
		return chat.Wrap(chat.CodeInternal, fmt.Errorf("no randomness: %w", err),
			"This computer gives no random numbers, so nothing can be encrypted.", "Restart it, then try again.")
	}
	return nil
}

func (e *Engine) room(id chat.RoomID) *room {
	r := e.rooms[id]
	if r == nil {
		r = &room{
			id: id, members: map[chat.DeviceID]bool{}, excluded: map[chat.DeviceID]shortID{},
			own: map[uint64]*ownEpoch{}, epochs: map[chat.DeviceID][]*epoch{},
		}
		e.rooms[id] = r
	}
	return r
}

// recipients replaces who reads a room. Who is new gets the key with the next
// message; when somebody is gone, the next message starts a new epoch, even if
// they are back by then.
func (e *Engine) recipients(in Recipients) {
	r := e.room(in.Room)
	e.setKeep(r, in.Keep)
	r.known, r.view = true, in.View
	r.recipients, r.members = nil, map[chat.DeviceID]bool{}
	for _, d := range in.Devices {
		id := d.Certificate.Device
		if id == e.device || r.members[id] {
			continue
		}
		r.members[id] = true
		r.recipients = append(r.recipients, d)
	}
	slices.SortFunc(r.recipients, func(a, b Recipient) int {
		return bytes.Compare(a.Certificate.Device[:], b.Certificate.Device[:])
	})
	for id := range r.excluded {
		if !r.members[id] {
			delete(r.excluded, id)
		}
	}
	if r.current != nil {
		for id := range r.current.to {
			r.rotate = r.rotate || !r.members[id]
		}
	}
}

// leave forgets a room.
func (e *Engine) leave(id chat.RoomID) {
	r := e.rooms[id]
	if r == nil {
		return
	}
	for _, n := range sortedKeys(r.own) {
		e.persist(ownKey(id, n), nil)
	}
	for _, d := range sortedDevices(r.epochs) {
		for _, ep := range slices.Clone(r.epochs[d]) {
			e.forget(r, ep)
		}
	}
	if r.keep {
		e.persist(keepKey(id), nil)
	}
	e.waiting.leave(id)
	e.leaveGrants(id)
	delete(e.rooms, id)
}

// tick makes the next prekey, forgets old keys, and asks again for missing ones.
func (e *Engine) tick(now time.Time) {
	e.prune(now)
	e.askAgain(now)
	e.expireGrants(now)
	e.pruneAt = now.Add(pruneEvery)
}

var errNoRoom = chat.Errorf(chat.CodeNotJoined,
	"Earshot does not know yet who is in that room. Wait until it has heard from another member, then send again.")

var errRandomTwice = errors.New("the source of randomness repeats itself")
