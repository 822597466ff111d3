// Package receipt is the engine of honest message states: it knows how far each device
// of a sealed room says that it holds and has read what was said there, and tells
// neighbours how far this one does. It does not know what a message is, who it is for,
// or why somebody may or may not be told of reading; it knows no network, no disk and
// no clock, and starts no goroutine.
//
// What devices say are statements: one of each kind for a device and a room, signed,
// of which the newest counts. So what nodes know of a room comes to be the same, in
// whatever order, how often and by whom they were told. A device can lie about itself
// only.
//
// PROTOCOL.md#receipts says who may be given which statement.
package receipt

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
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
	// Gives reports whether statements of this person's devices, of kind HeldKept or
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
	cfg   Config
	self  chat.DeviceID
	rooms map[chat.RoomID]*room
	near  map[chat.DeviceID]*neighbour
	due   map[chat.RoomID]*room // that have something to say or to spread
	size  int                   // bytes of marks, over all rooms

	now     time.Time // of the input being handled
	effects []Effect
}

// New returns an engine that knows nothing.
func New(cfg Config) *Engine {
	e := &Engine{
		cfg: cfg, rooms: map[chat.RoomID]*room{}, near: map[chat.DeviceID]*neighbour{},
		due: map[chat.RoomID]*room{},
	}
	copy(e.self[:], cfg.Key[ed25519.PrivateKeySize-ed25519.PublicKeySize:])
	return e
}

// key names a statement in its room.
type key struct {
	device chat.DeviceID
	kind   Kind
}

func compareKeys(a, b key) int {
	if d := bytes.Compare(a.device[:], b.device[:]); d != 0 {
		return d
	}
	return int(a.kind) - int(b.kind)
}

// slot is the newest statement of its key.
type slot struct {
	Statement
	person chat.PersonID // whose the device was when the statement came
	marks  []Mark        // of the statement, ascending
}

// room is what is known of one.
type room struct {
	id      chat.RoomID
	slots   map[key]*slot
	devices map[chat.DeviceID]int // that have slots, and how many
	// holds is what this device has on disk; read is what its statements of reading
	// should say, by kind.
	holds track
	read  map[Kind]track
	// unsaid are the kinds of own statements that may have to be made anew; Held
	// stands for HeldKept too.
	unsaid map[Kind]bool
	mute   bool      // nobody hears what is unsaid, and it is not to be kept either
	floor  uint64    // the highest version that others have shown to be this device's
	sayAt  time.Time // no own statement before
	// contradicts says that somebody else has spoken with this device's key, or that it
	// has forgotten what it said; restateAt is before when it does not contradict that
	// again.
	contradicts bool
	restateAt   time.Time
	spreadAt    time.Time // when others are asked to compare; zero for never
	restAt      time.Time // not before
}

// neighbour is a device that frames can be sent to.
type neighbour struct {
	person chat.PersonID
	rooms  map[chat.RoomID]*exchange
}

// exchange is what passes between this device and a neighbour about a room.
type exchange struct {
	stale    bool      // they may lack what is here
	askAt    time.Time // they are not asked before
	answerAt time.Time // they are not answered before
}

func (e *Engine) room(id chat.RoomID) *room {
	r := e.rooms[id]
	if r == nil {
		r = &room{
			id: id, slots: map[key]*slot{}, devices: map[chat.DeviceID]int{}, holds: track{}, read: map[Kind]track{},
			unsaid: map[Kind]bool{},
		}
		e.rooms[id] = r
	}
	return r
}

func (nb *neighbour) in(id chat.RoomID) *exchange {
	x := nb.rooms[id]
	if x == nil {
		x = &exchange{}
		nb.rooms[id] = x
	}
	return x
}

// Handle applies one input and returns what must now be done, in order. It never
// blocks, and does not depend on map order.
func (e *Engine) Handle(now time.Time, in Input) []Effect {
	e.now, e.effects = now, nil
	switch in := in.(type) {
	case Restore:
		e.restore(in)
	case Holds:
		r := e.room(in.Room)
		if r.holds.raise(in.Marks) {
			r.unsaid[Held] = true
			e.say(r)
		}
	case Reads:
		r := e.room(in.Room)
		if r.reading(in.Kind).raise(in.Marks) {
			r.unsaid[in.Kind] = true
			e.say(r)
		}
	case PeerUp:
		e.peerUp(in.Device)
	case PeerDown:
		delete(e.near, in.Device)
	case Lost:
		if nb := e.near[in.Device]; nb != nil {
			for _, id := range e.cfg.World.Shared(in.Device) {
				e.mayLack(nb, id)
			}
		}
	case Shared:
		e.shared(in.Rooms)
	case Told:
		e.told(in)
	case Compared:
		e.compared(in)
	case Asked:
		e.asked(in)
	case Write:
		e.write(in)
	case Letter:
		e.letter(in)
	case Last:
		e.last()
	case Tick:
		e.tick()
	}
	return e.effects
}

// NextTick returns when Tick is due next, zero for never.
func (e *Engine) NextTick() (next time.Time) {
	for _, r := range e.due {
		for _, t := range []time.Time{r.sayTime(), r.spreadAt} {
			if !t.IsZero() && (next.IsZero() || t.Before(next)) {
				next = t
			}
		}
	}
	return next
}

// sayTime returns when there is something to be said, zero for never.
func (r *room) sayTime() time.Time {
	if len(r.unsaid) == 0 || r.mute {
		return time.Time{}
	}
	return r.sayAt
}

func (e *Engine) tick() {
	var spread []*room
	for _, id := range e.dueRooms() {
		r := e.due[id]
		if t := r.sayTime(); !t.IsZero() && !e.now.Before(t) {
			e.say(r)
		}
		if !r.spreadAt.IsZero() && !e.now.Before(r.spreadAt) {
			spread = append(spread, r)
		}
		e.settle(r)
	}
	e.spread(spread)
}

// last signs what was read and not said yet.
func (e *Engine) last() {
	for _, id := range e.dueRooms() {
		r := e.due[id]
		for _, k := range kinds {
			if k.Reads() && r.unsaid[k] {
				delete(r.unsaid, k)
				e.state(r, k)
			}
		}
	}
}

func (e *Engine) dueRooms() []chat.RoomID {
	return slices.SortedFunc(maps.Keys(e.due), func(a, b chat.RoomID) int { return bytes.Compare(a[:], b[:]) })
}

// settle keeps due what it is to be: what was read is signed, and so kept, although
// nobody hears it.
func (e *Engine) settle(r *room) {
	reading := len(r.unsaid) > 1 || len(r.unsaid) == 1 && !r.unsaid[Held]
	r.mute = !reading && len(r.unsaid) > 0 && !e.heard(r)
	if len(r.unsaid) > 0 && !r.mute || !r.spreadAt.IsZero() {
		e.due[r.id] = r
	} else {
		delete(e.due, r.id)
	}
}

// restore goes on with what the store holds.
func (e *Engine) restore(in Restore) {
	r := e.room(in.Room)
	said := track{}
	for i := range in.Statements {
		k := &in.Statements[i]
		marks, err := DecodeMarks(k.Marks)
		if err != nil || !k.Kind.Known() {
			continue // damaged, or of a newer version: it comes again
		}
		e.put(r, &slot{Statement: k.Statement, person: k.Person, marks: marks})
		if k.Device == e.self && k.Kind.Reads() {
			r.reading(k.Kind).raise(marks)
			said.raise(marks)
		}
	}
	r.holds.raise(in.Holds)
	r.unsaid[Held] = true // perhaps it is what was said last
	// What was read in the moment of a crash, nobody knows under which setting.
	if missed := said.above(in.Read); len(missed) > 0 && r.reading(ReadOwn).raise(missed) {
		r.unsaid[ReadOwn] = true
	}
	e.settle(r)
}

// put keeps a statement in place of the one that it replaces.
func (e *Engine) put(r *room, s *slot) {
	k := key{s.Device, s.Kind}
	if old := r.slots[k]; old != nil {
		e.size -= len(old.Marks)
	} else {
		r.devices[s.Device]++
	}
	r.slots[k] = s
	e.size += len(s.Marks)
}

func (e *Engine) drop(r *room, k key) {
	e.size -= len(r.slots[k].Marks)
	delete(r.slots, k)
	if r.devices[k.device]--; r.devices[k.device] == 0 {
		delete(r.devices, k.device)
	}
}

func (e *Engine) emit(ef Effect) { e.effects = append(e.effects, ef) }

// neighbours returns those who are in a room, in a stable order.
func (e *Engine) neighbours(id chat.RoomID) []chat.DeviceID {
	out := make([]chat.DeviceID, 0, len(e.near))
	for d := range e.near {
		if e.cfg.World.Shares(id, d) {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b chat.DeviceID) int { return bytes.Compare(a[:], b[:]) })
	return out
}

// heard reports whether anybody near is in a room.
func (e *Engine) heard(r *room) bool {
	for d := range e.near {
		if e.cfg.World.Shares(r.id, d) {
			return true
		}
	}
	return false
}

// may reports whether a statement may be given to a neighbour, which is also whether
// both may hold it.
func (e *Engine) may(s *slot, nb *neighbour) bool {
	switch {
	case nb.person == e.cfg.Person || s.Kind.PassedOn():
		return true
	case s.Kind == ReadOwn:
		return false
	case s.person == e.cfg.Person:
		return e.cfg.World.Gives(s.Kind, nb.person)
	}
	return s.person == nb.person
}

// both returns the statements about a room that both this device and a neighbour may
// hold, ascending.
func (e *Engine) both(r *room, nb *neighbour) []*slot {
	keys := make([]key, 0, len(r.slots))
	for k, s := range r.slots {
		if e.may(s, nb) {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, compareKeys)
	out := make([]*slot, len(keys))
	for i, k := range keys {
		out[i] = r.slots[k]
	}
	return out
}

func (e *Engine) sum(r *room, nb *neighbour) (sum Sum, empty bool) {
	h := sha256.New()
	slots := e.both(r, nb)
	var b [8 + 1 + 8]byte
	for _, s := range slots {
		copy(b[:8], s.Device[:])
		b[8] = byte(s.Kind)
		binary.BigEndian.PutUint64(b[9:], s.Version)
		h.Write(b[:])
	}
	sum.Room = r.id
	copy(sum.Sum[:], h.Sum(nil)[:wire.ReceiptSum])
	return sum, len(slots) == 0
}

func prefix(d chat.DeviceID) uint64 { return binary.BigEndian.Uint64(d[:]) }

// Holds returns up to which entry a device has said that it holds a log, 0 if nothing
// is known.
func (e *Engine) Holds(id chat.RoomID, device chat.DeviceID, log chat.LogID) uint64 {
	// Both kinds say the same: that which was said last counts.
	last := Held
	if r := e.rooms[id]; r != nil {
		if s := r.slots[key{device, HeldKept}]; s != nil && s.Version > r.version(key{device, Held}) {
			last = HeldKept
		}
	}
	return e.upTo(id, device, log, last)
}

// version returns that of a statement, 0 if there is none.
func (r *room) version(k key) uint64 {
	if s := r.slots[k]; s != nil {
		return s.Version
	}
	return 0
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

// Devices returns the devices that have said anything about a room, and whose they
// were, in a stable order.
func (e *Engine) Devices(id chat.RoomID) (out []Speaker) {
	r := e.rooms[id]
	if r == nil {
		return nil
	}
	who := make(map[chat.DeviceID]chat.PersonID, len(r.devices))
	for k, s := range r.slots {
		who[k.device] = s.person
	}
	out = make([]Speaker, 0, len(who))
	for d, p := range who {
		out = append(out, Speaker{d, p})
	}
	slices.SortFunc(out, func(a, b Speaker) int { return bytes.Compare(a.Device[:], b.Device[:]) })
	return out
}

// Speaker is a device and whose it is.
type Speaker struct {
	Device chat.DeviceID
	Person chat.PersonID
}
