// Package private is the engine of conversations that only chosen people can read:
// direct chats and private rooms. It decides who is in, which of their devices are
// given keys, seals what this person says and opens what others said. It composes
// chat/seal, chat/membership and the device lists of chat/identity; it does not keep
// logs or sign entries, which chat/room does, and knows no network, no disk and no
// clock, and starts no goroutine.
//
// PROTOCOL.md#private-rooms says what is posted when.
package private

import (
	"crypto/ed25519"
	"io"
	"time"

	"earshot/chat"
	"earshot/chat/identity"
	"earshot/chat/membership"
	"earshot/chat/seal"
	"earshot/chat/wire"
)

// Config is what an engine is made of.
type Config struct {
	Key         ed25519.PrivateKey // this device's
	Person      chat.PersonID      // this person
	Certificate identity.Certificate
	Name        string    // as this person calls themselves
	Random      io.Reader // of cryptographic quality, such as crypto/rand.Reader
}

// Input is what an engine is told. A sealed union.
type Input interface{ isInput() }

// Effect is what an engine wants done. A sealed union. All effects of one Handle are
// stored in one transaction: the records made of its Appends, the values of its
// Persists, the texts of its Openeds. Only then are the Sends sent and faces told. If
// that fails, the engine is thrown away and made anew from what was stored.
type Effect interface{ isEffect() }

// Start begins. It comes first, before any entry.
type Start struct{}

// Tick says that time has passed; due when NextTick says so.
type Tick struct{}

// Rename changes what this person is called.
type Rename struct {
	Name string
}

// OpenDirect says that there is a direct chat with a person: at the start for every
// contact, and when somebody becomes one. Again is no harm.
type OpenDirect struct {
	Room chat.RoomID // chat.DirectRoom
	With chat.PersonID
}

// CloseDirect says that a person is no contact any more: nothing is sealed to them,
// and the keys of the chat are forgotten.
type CloseDirect struct {
	Room chat.RoomID
}

// Found makes a private room, enters it, and answers with Done or Deny.
type Found struct {
	Name, Topic string // as in membership.Set; "" for none
	History     membership.History
	Ref         uint64
}

// Change does something to a private room: Invite, Leave, Remove, SetRole or Set. It
// is answered with Done or Deny.
type Change struct {
	Room chat.RoomID
	Body membership.Body
	Ref  uint64
}

// Accept follows the invitation to a room, which this device then takes part in. It is
// answered with Done or Deny.
type Accept struct {
	Room chat.RoomID
	Ref  uint64
}

// Decline answers an invitation with no; of one that was withdrawn it is no harm. It is
// answered with Done or Deny.
type Decline struct {
	Room chat.RoomID
	Ref  uint64
}

// Say seals what this person says: the payload of an entry of this kind, of at most
// seal.MaxPlaintext bytes. An Append that carries its Ref follows, perhaps after
// others, or Deny.
type Say struct {
	Room      chat.RoomID
	Kind      wire.Kind
	Plaintext []byte
	Ref       uint64
}

// Authored is an entry and whose it is.
type Authored struct {
	Entry  wire.Entry
	Person chat.PersonID
}

// Receive is an entry that the room engine has taken into a sealed room, this device's
// own included where its log came back to it, but not those of this engine's Appends.
// The entries of a log come in the log's order.
type Receive struct {
	Room chat.RoomID
	Authored
}

// Again hands entries over that were Unopened, after Retry.
type Again struct {
	Room    chat.RoomID
	Entries []Authored
}

// Met says what a device has shown of itself: in its Hello, where Noise has proved
// that it is the device.
type Met struct {
	Certificate identity.Certificate
	Prekey      []byte // nil if it showed none
	Connected   bool   // it is at the other end of a connection from now on
}

// Gone says that a device is not connected any more.
type Gone struct {
	Device chat.DeviceID
}

// Heard is a frame from a connected device that this engine is to handle: KeyAck,
// OpsHave, OpsWant, Ops, Devices, History, HistoryWant. Others are ignored.
type Heard struct {
	Device chat.DeviceID
	Person chat.PersonID
	Frame  wire.Frame
	// Known says that this person may invite: what a stranger says of a room that
	// is not known here is not listened to.
	Known bool
}

// Lists is a device list that was learnt in another way, such as this person's own
// that has just been signed.
type Lists struct {
	List identity.DeviceList
}

func (Start) isInput()       {}
func (Tick) isInput()        {}
func (Rename) isInput()      {}
func (OpenDirect) isInput()  {}
func (CloseDirect) isInput() {}
func (Found) isInput()       {}
func (Change) isInput()      {}
func (Accept) isInput()      {}
func (Decline) isInput()     {}
func (Say) isInput()         {}
func (Receive) isInput()     {}
func (Again) isInput()       {}
func (Met) isInput()         {}
func (Gone) isInput()        {}
func (Heard) isInput()       {}
func (Lists) isInput()       {}

// Persist says: store Value under Key in place of what was there, or, if Value is nil,
// remove it so that it can't be restored. Values are secret, and keys tell rooms and
// people: they begin with "seal/" or "private/".
type Persist struct {
	Key   string
	Value []byte
}

// Append says: hand this to the room engine, which signs it. Plaintext is what it says,
// so that one's own words need not be opened, and Shown the kind of it; both are zero
// for what only devices read.
type Append struct {
	Room      chat.RoomID
	Kind      wire.Kind
	Epoch     uint64
	Payload   []byte
	After     chat.HLC // its clock is to be later than all that was seen of the room, operations too
	Ref       uint64   // of the Say that caused it, else 0
	Plaintext []byte
	Shown     wire.Kind
}

// Enter says: take part in the sealed room, with its log, its tags and catch-up.
type Enter struct {
	Room chat.RoomID
}

// Exit says: take part no more. It stands behind the room's last Append.
type Exit struct {
	Room chat.RoomID
}

// Opened gives what an entry says. Show tells whether that is for people: what devices
// tell each other is not.
type Opened struct {
	Room      chat.RoomID
	ID        chat.EntryID
	Device    chat.DeviceID
	Person    chat.PersonID
	Kind      wire.Kind
	Plaintext []byte
	Show      bool
}

// Unopened says that an entry can't be opened, or not yet. Opened may still follow, or
// Unopened for another reason.
type Unopened struct {
	Room   chat.RoomID
	ID     chat.EntryID
	Device chat.DeviceID // its author
	Epoch  uint64
	Reason seal.Reason // "" while it waits for a key
}

// Reasons why this engine leaves an entry closed, besides those of chat/seal. Such an
// entry is not to be counted as something that the person is missing.
const (
	// Outsider: its author is not in the room by what is known here, or was removed
	// before they wrote it. Retry follows if that turns out otherwise.
	Outsider seal.Reason = "outsider"
	// RevokedDevice: its device was revoked before it came.
	RevokedDevice seal.Reason = "revoked_device"
	// BeforeJoining: it was written before this person was in, or invited where
	// newcomers read from then on, so nobody had to give them its key.
	BeforeJoining seal.Reason = "before_joining"
)

// Retry says: hand over again, with Again, what is Unopened of a device's epoch; of all
// its epochs if Epoch is 0; of all devices if Device is zero too.
type Retry struct {
	Room   chat.RoomID
	Device chat.DeviceID
	Epoch  uint64
}

// Send says: send a frame to a device if it is connected; if not, nothing is lost.
type Send struct {
	To    chat.DeviceID
	Frame wire.Frame
}

// Changed says what faces show of a room from now on; also an invitation that came or
// ended, and a room that is forgotten, which has nothing but its Room set.
type Changed struct {
	Info Info
}

// Done says that what carried Ref is done, and in which room.
type Done struct {
	Ref  uint64
	Room chat.RoomID
}

// Notice is something that the person has to know, in words for them.
type Notice struct {
	Room chat.RoomID
	Text string
}

// Deny says that what carried Ref can't be done.
type Deny struct {
	Ref uint64
	Err error
}

// Refuse says that something was refused that no honest node makes; From made it.
type Refuse struct {
	From chat.DeviceID
	Err  error
}

func (Persist) isEffect()  {}
func (Append) isEffect()   {}
func (Enter) isEffect()    {}
func (Exit) isEffect()     {}
func (Opened) isEffect()   {}
func (Unopened) isEffect() {}
func (Retry) isEffect()    {}
func (Send) isEffect()     {}
func (Changed) isEffect()  {}
func (Done) isEffect()     {}
func (Notice) isEffect()   {}
func (Deny) isEffect()     {}
func (Refuse) isEffect()   {}

// Info is what there is to show of a sealed room.
type Info struct {
	Room   chat.RoomID
	Direct bool
	With   chat.PersonID // of a direct chat
	// The rest of a direct chat is its two Members and Entered.
	Creator     chat.PersonID
	History     membership.History
	Name, Topic string // cleaned; "" for none
	// Disappear is after what time new messages disappear, Keep how long any is kept,
	// 0 for ever; Retentions are all that ever counted. Tenures says who might remove
	// what others say, and when. They must not be changed.
	Disappear, Keep time.Duration
	Retentions      []membership.Retention
	Tenures         []membership.Tenure
	Members         []membership.Member
	Invited         []membership.Invited
	Removed         *membership.Removed // set if this person is out
	Role            membership.Role     // this person's, 0 for who is no member
	Invitation      *membership.Invited // that waits for this person's answer
	InvitedAt       chat.HLC            // by the clock of who invited; 0 without Invitation
	Entered         bool                // this device takes part
	// Keyless are devices of the room that can't be given keys, since too little is
	// known of them. Ascending.
	Keyless []chat.DeviceID
}

// Engine holds all sealed conversations of one device. It is not safe for concurrent
// use; one loop owns it.
type Engine struct {
	cfg       Config
	device    chat.DeviceID
	seal      *seal.Engine
	people    map[chat.PersonID]*person
	devices   map[chat.DeviceID]*device
	connected map[chat.DeviceID]*peer
	rooms     map[chat.RoomID]*conversation
	offers    map[chat.RoomID]*offer
	met       uint64                // counts devices met, to tell which was met last
	joined    uint64                // counts rooms learnt of, likewise
	dirty     map[chat.RoomID]bool  // to be looked at anew
	toldBy    map[chat.RoomID]bool  // a device list, in the input at hand
	early     map[chat.EntryID]bool // BeforeJoining, and waiting all the same
	at        *Authored             // what is being received
	later     []func()              // what an entry that was opened says, behind the effects of opening it
	published bool                  // the prekey is another one than the rooms were told
	dueAt     time.Time             // when something of this engine's own is due, zero if nothing is
	now       time.Time
	out       []Effect // of the input at hand
}

// New returns an engine that goes on with what was persisted, which is empty at first.
// Start comes next. The error says which value is damaged; without that value, the
// engine works.
func New(cfg Config, state map[string][]byte) (*Engine, error) {
	cfg.Name = chat.CleanName(cfg.Name)
	e := &Engine{
		cfg: cfg, device: cfg.Certificate.Device,
		people: map[chat.PersonID]*person{}, devices: map[chat.DeviceID]*device{}, connected: map[chat.DeviceID]*peer{},
		rooms: map[chat.RoomID]*conversation{}, offers: map[chat.RoomID]*offer{}, dirty: map[chat.RoomID]bool{}, early: map[chat.EntryID]bool{}, toldBy: map[chat.RoomID]bool{},
	}
	own := &device{id: e.device, person: cfg.Person, cert: cfg.Certificate}
	e.devices[e.device], e.people[cfg.Person] = own, &person{id: cfg.Person, devices: map[chat.DeviceID]*device{e.device: own}, kept: true}
	return e, e.restore(state)
}

// Handle applies one input and returns what must now be done, in order. It never
// blocks, and does not depend on map order.
func (e *Engine) Handle(now time.Time, in Input) []Effect {
	e.now, e.out = now, nil
	switch in := in.(type) {
	case Start:
		e.start()
	case Tick:
		e.tick()
	case Rename:
		e.rename(in)
	case OpenDirect:
		e.openDirect(in)
	case CloseDirect:
		e.closeDirect(in)
	case Found:
		e.found(in)
	case Change:
		e.change(in)
	case Accept:
		e.accept(in)
	case Decline:
		e.decline(in)
	case Say:
		e.say(in)
	case Receive:
		e.receive(in.Room, in.Authored)
	case Again:
		for _, a := range in.Entries {
			e.receive(in.Room, a)
		}
	case Met:
		e.meet(in)
	case Gone:
		e.gone(in.Device)
	case Heard:
		e.heard(in)
	case Lists:
		e.takeList(in.List, e.device)
	}
	e.settle()
	clear(e.toldBy)
	out := e.out
	e.out = nil
	return out
}

// settle follows up what the input at hand has changed, until nothing changes any more.
func (e *Engine) settle() {
	for len(e.later) > 0 || len(e.dirty) > 0 || e.published {
		later := e.later
		e.later = nil
		for _, f := range later {
			f()
		}
		dirty := sortedRooms(e.dirty)
		clear(e.dirty)
		for _, id := range dirty {
			if r := e.rooms[id]; r != nil {
				e.update(r)
			}
		}
		if e.published {
			e.published = false
			for _, id := range sortedRooms(e.rooms) {
				e.postPrekey(e.rooms[id])
			}
		}
	}
}

// due has NextTick say t, unless something is due before.
func (e *Engine) due(t time.Time) {
	if !t.IsZero() && (e.dueAt.IsZero() || t.Before(e.dueAt)) {
		e.dueAt = t
	}
}

// NextTick returns when Tick is due next, zero before Start.
func (e *Engine) NextTick() time.Time {
	if t := e.seal.NextTick(); e.dueAt.IsZero() || t.Before(e.dueAt) {
		return t
	}
	return e.dueAt
}

func (e *Engine) emit(f Effect) { e.out = append(e.out, f) }

func (e *Engine) persist(key string, value []byte) { e.emit(Persist{Key: key, Value: value}) }

func (e *Engine) refuse(from chat.DeviceID, err error) { e.emit(Refuse{From: from, Err: err}) }

func (e *Engine) deny(ref uint64, err error) { e.emit(Deny{Ref: ref, Err: err}) }
