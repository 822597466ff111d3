// Package room is the engine that decides what belongs to a conversation and in
// which order: it takes entries from anywhere, keeps each log without holes, and
// says what must be stored, shown and passed on. It knows no network, no disk, no
// clock and no randomness but what it is given, and starts no goroutine.
package room

import (
	"bytes"
	"crypto/ed25519"
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/content"
	"earshot/chat/wire"
)

// Certifier reads the certificate in a log's first entry: which person vouches
// for which device. It is chat/identity's Parse and Verify, given by the node.
type Certifier func(certificate []byte) (chat.PersonID, chat.DeviceID, error)

// Config is what an engine is made of.
type Config struct {
	Key         ed25519.PrivateKey // this device's
	Person      chat.PersonID      // this person
	Certificate []byte             // this device's, for the logs it opens
	Name        string             // as this person calls themselves
	Certifier   Certifier
	// NewSalt returns wire.SaltSize fresh random bytes, for the name of a log.
	NewSalt func() [wire.SaltSize]byte
	// Writer reports whether a person may open logs in a sealed room now; nil lets
	// everybody. Who may not is not blamed: the operation that makes a member of
	// them may be on its way, and then catch-up brings their log. A person who may
	// once should always, or two who hold the same never agree that they do.
	Writer func(chat.RoomID, chat.PersonID) bool
	// FreshAfter makes the device open new logs instead of going on with those
	// that end at it or before: after a restored backup or a crash of the machine,
	// what was already sent may be missing here, and a number must never be used
	// twice. 0 for none.
	FreshAfter chat.HLC
}

// Input is what an engine is told. A sealed union.
type Input interface{ isInput() }

// Effect is what an engine wants done. A sealed union.
type Effect interface{ isEffect() }

// Enter makes the engine take part in a room, or in it again. Of a sealed room it
// reads nothing but who writes a log, and puts no name in the clear: payloads go
// through it as they are.
type Enter struct {
	Room   chat.RoomID
	Sealed bool
}

// Exit makes it stop. What it holds of the room stays, untouched.
type Exit struct {
	Room chat.RoomID
}

// Restore says what the store holds of a room: at start, and after it failed to
// take what it was given. It replaces what the engine believed.
type Restore struct {
	Room  chat.RoomID
	Logs  []Log
	Early []Early // what is shown before its turn
	// Forked are logs that have two versions, and whether those have nothing in common.
	// This device goes on with none of its own.
	Forked map[chat.LogID]bool
}

// Post is something this person says in an open room. Ref comes back in its Commit.
type Post struct {
	Room chat.RoomID
	Text string
	Ref  uint64
}

// Append puts an entry into this device's log, which is opened first if need be.
// Payload is 1 to chat.MaxPayload bytes and goes out as it is. Ref comes back in
// its Commit, whose last record it is, or in Deny.
type Append struct {
	Room    chat.RoomID
	Kind    wire.Kind // any but KindOpen
	Epoch   uint64    // of end-to-end encryption; 0 for none
	Payload []byte
	After   chat.HLC // its clock is later than this, unless that is ahead
	Ref     uint64
}

// Rename changes what this person is called, in every open room they have spoken
// in.
type Rename struct {
	Name string
}

// Receive is an entry from another device, whose signature has been verified.
// Solicited ones come oldest first from a sync session; their causes may be
// pruned there, so they do not wait for any.
type Receive struct {
	Room      chat.RoomID
	Entry     wire.Entry
	From      chat.DeviceID // the neighbour it came from, not its author
	Solicited bool
}

// Tick says that time has passed; due when NextTick says so.
type Tick struct{}

func (Enter) isInput()   {}
func (Exit) isInput()    {}
func (Restore) isInput() {}
func (Post) isInput()    {}
func (Append) isInput()  {}
func (Rename) isInput()  {}
func (Receive) isInput() {}
func (Tick) isInput()    {}

// Commit says: store these, all or none and in this order, then show them; those
// that are Mine then go out to the room.
type Commit struct {
	Records []Record
	Ref     uint64 // of the Post or Append that caused it, else 0
}

// Record is an entry on its way into the store.
type Record struct {
	Room       chat.RoomID
	Entry      wire.Entry
	Person     chat.PersonID // the author
	ReceivedAt time.Time
	// Sort is where it stands in what is shown (PROTOCOL.md#clocks-and-order): its HLC, or its arrival where
	// the author's clock was ahead.
	Sort chat.HLC
	// Said is what it says to people in an open room; nothing in a sealed one, or
	// where the payload was removed.
	Said content.Said
	Name string // that the author goes by from here on in an open room, cleaned; else ""
	Mine bool   // made here, to be published
}

// Refuse says that something was refused that no honest node makes. From is the
// device to blame: the neighbour it came from if that could see the fault, else
// its author, else zero, since a tag is not signed and a relay can't check it.
type Refuse struct {
	From chat.DeviceID
	Err  error
}

// Lack says that something is missing here that From seems to have.
type Lack struct {
	Room chat.RoomID
	From chat.DeviceID
}

// Deny says that a Post or Append cannot be made.
type Deny struct {
	Ref uint64
	Err error
}

func (Commit) isEffect() {}
func (Refuse) isEffect() {}
func (Lack) isEffect()   {}
func (Deny) isEffect()   {}

// Log is how much of a log is held without a hole.
type Log struct {
	// Log is its name, which the headers of its entries bear unless it is a branch.
	Log    chat.LogID
	Device chat.DeviceID
	Person chat.PersonID
	Seq    uint64
	LastID chat.EntryID
	HLC    chat.HLC // of Seq
	Sort   chat.HLC // of Seq's Record; zero if it is not remembered
	Branch *Branch  // nil for what begins with a first entry
}

// Engine holds the state of every room of one node. It is not safe for
// concurrent use; one loop owns it.
type Engine struct {
	cfg          Config
	device       chat.DeviceID
	rooms        map[chat.RoomID]*state
	pendingBytes int
	tickAt       time.Time // when Tick is due, zero if nothing waits
}

// state is one room.
type state struct {
	id      chat.RoomID
	entered bool
	sealed  bool
	logs    map[chat.LogID]*log
	// branches are those of logs, by what the headers of their entries name.
	branches map[chat.LogID][]*log
	// barred holds the logs whose authors may not write here yet: what follows
	// their first entry is not waited for.
	barred  map[chat.LogID]struct{}
	devices map[chat.DeviceID]int // logs of each
	people  map[chat.PersonID]int // likewise
	own     *log                  // the log this device appends to, nil until it speaks
	seen    chat.HLC              // highest, of clocks that were not ahead
	// fresh holds the logs of others that moved since this device last spoke.
	fresh map[chat.LogID]struct{}
	// pending holds entries that wait for a predecessor or a cause. Their author
	// is part of the key: before a log is open, anyone can claim to write it.
	pending map[chat.LogID]map[slot]waiting
	count   int // of entries in pending
	// blocked says, for a log, which others wait for it to move.
	blocked map[chat.LogID]map[chat.LogID]struct{}
	// claims are what is known to be missing, claimed how many, claimedBy of whom.
	claims    map[chat.LogID]claims
	claimed   int
	claimedBy map[chat.DeviceID]int
	// early are the entries shown before their turn, earlies how many.
	early   map[chat.LogID]map[uint64]early
	earlies int

	root      [32]byte
	rootValid bool
	movedAt   time.Time
	// trail is how the logs last moved, the newest step last: undone one by one they
	// lead back through what was held before.
	trail []step
}

type log struct {
	Log
	ref    chat.RoomRef
	frozen bool // it has two versions with nothing in common: not continued
	closed bool // this device appends to it no more: others hold more of it, or another version
	forked bool // it has two versions, and it is not known where they part
}

type slot struct {
	device chat.DeviceID
	seq    uint64
}

type waiting struct {
	entry     wire.Entry
	from      chat.DeviceID
	since     time.Time
	solicited bool
	shown     bool // early
}

// New returns an engine in no room.
func New(cfg Config) *Engine {
	cfg.Name = chat.CleanName(cfg.Name)
	e := &Engine{cfg: cfg, rooms: map[chat.RoomID]*state{}}
	copy(e.device[:], cfg.Key.Public().(ed25519.PublicKey))
	return e
}

// Handle applies one input and returns what must now be done, in order. It never
// blocks, and does not depend on map order.
func (e *Engine) Handle(now time.Time, in Input) []Effect {
	var out []Effect
	switch in := in.(type) {
	case Enter:
		r := e.room(in.Room)
		r.entered, r.sealed = true, in.Sealed
	case Exit:
		e.exit(in.Room)
	case Restore:
		e.restore(now, in)
	case Post:
		out = e.post(now, in)
	case Append:
		out = e.put(now, in)
	case Rename:
		out = e.rename(now, in)
	case Receive:
		out = e.receive(now, in)
	case Ahead:
		out = e.ahead(now, in)
	case Shown:
		e.shown(now, in)
	case Settled:
		e.settled(in)
	case Recall:
		e.recall(now, in)
	case Forked:
		e.forked(in)
	case Split:
		out = e.split(in)
	case Tick:
		e.tickAt = time.Time{}
		out = e.tick(now)
	}
	e.schedule(now)
	return out
}

func (e *Engine) room(id chat.RoomID) *state {
	r := e.rooms[id]
	if r == nil {
		r = &state{
			id: id, logs: map[chat.LogID]*log{}, devices: map[chat.DeviceID]int{}, people: map[chat.PersonID]int{},
			fresh: map[chat.LogID]struct{}{}, pending: map[chat.LogID]map[slot]waiting{},
			blocked: map[chat.LogID]map[chat.LogID]struct{}{}, barred: map[chat.LogID]struct{}{},
			branches: map[chat.LogID][]*log{}, claims: map[chat.LogID]claims{}, claimedBy: map[chat.DeviceID]int{}, early: map[chat.LogID]map[uint64]early{},
		}
		e.rooms[id] = r
	}
	return r
}

func (e *Engine) exit(id chat.RoomID) {
	r := e.rooms[id]
	if r == nil {
		return
	}
	r.entered = false
	for log, waits := range r.pending {
		for at := range waits {
			e.drop(r, log, at)
		}
	}
	clear(r.blocked)
	clear(r.barred)
	clear(r.claims)
	clear(r.claimedBy)
	r.claimed = 0
}

func (e *Engine) restore(now time.Time, in Restore) {
	r := e.room(in.Room)
	entered, old := r.entered, r.logs
	e.exit(in.Room)
	r.trail = nil
	r.entered, r.rootValid, r.own, r.seen = entered, false, nil, 0
	r.logs = make(map[chat.LogID]*log, len(in.Logs))
	clear(r.devices)
	clear(r.people)
	clear(r.fresh)
	clear(r.branches)
	parted := map[chat.LogID]bool{}
	for _, l := range in.Logs {
		if l.Branch != nil {
			parted[l.Branch.Of] = true
		}
	}
	for _, l := range in.Logs {
		held := &log{Log: l}
		of := held.origin()
		held.ref = in.Room.Ref(of)
		if was := old[l.Log]; was != nil {
			held.frozen, held.closed, held.forked = was.frozen, was.closed, was.forked
		}
		nothing, forked := in.Forked[of]
		held.forked = (held.forked || forked) && !parted[of]
		held.closed, held.frozen = held.closed || forked || parted[of], held.frozen || nothing
		if l.Branch != nil {
			r.branches[of] = append(r.branches[of], held)
		}
		r.logs[l.Log] = held
		r.devices[l.Device]++
		r.people[l.Person]++
		if e.mayContinue(now, held) && (r.own == nil || l.HLC > r.own.HLC) {
			r.own = held
		}
	}
	r.seen = r.highest(now)
	clear(r.early)
	r.earlies = 0
	for _, at := range in.Early {
		r.noteEarly(now, at)
	}
}

// mayContinue reports whether this device may append to a log it finds.
func (e *Engine) mayContinue(now time.Time, l *log) bool {
	return l.Device == e.device && l.HLC > e.cfg.FreshAfter && !l.frozen && !l.closed && !ahead(l.HLC, now)
}

// highest returns the highest clock among the logs that is not ahead of ours.
func (r *state) highest(now time.Time) chat.HLC {
	var out chat.HLC
	for _, l := range r.logs {
		if !ahead(l.HLC, now) {
			out = max(out, l.HLC)
		}
	}
	return out
}

// ahead reports whether a clock is so far ahead of ours that it must not be
// believed.
func ahead(h chat.HLC, now time.Time) bool { return h > chat.HLCOf(now.Add(chat.MaxFuture)) }

// Rooms returns the rooms the engine takes part in, in a stable order.
func (e *Engine) Rooms() []chat.RoomID {
	var out []chat.RoomID
	for id, r := range e.rooms {
		if r.entered {
			out = append(out, id)
		}
	}
	slices.SortFunc(out, func(a, b chat.RoomID) int { return bytes.Compare(a[:], b[:]) })
	return out
}

// Entered reports whether the engine takes part in a room.
func (e *Engine) Entered(id chat.RoomID) bool {
	r := e.rooms[id]
	return r != nil && r.entered
}

// Sealed reports whether the engine takes part in a room, and it is a sealed one.
func (e *Engine) Sealed(id chat.RoomID) bool {
	r := e.rooms[id]
	return r != nil && r.entered && r.sealed
}

// Held reports whether an entry is no news: it, or what stands in its place, is
// held already. Its signature need not have been checked.
func (e *Engine) Held(id chat.RoomID, en *wire.Entry) bool {
	r := e.rooms[id]
	if r == nil {
		return false
	}
	l := r.logs[en.Log]
	if len(r.branches[en.Log]) > 0 { // of which way it is only its id tells
		return slices.ContainsFunc(r.family(en.Log), func(l *log) bool { return en.ID == l.LastID })
	}
	return l != nil && l.Device == en.Device && (en.Seq < l.Seq || (en.Seq == l.Seq && en.ID == l.LastID))
}

// Fits reports whether an entry was written for a room, which must be entered.
func (e *Engine) Fits(id chat.RoomID, en *wire.Entry) bool {
	r := e.rooms[id]
	return r != nil && r.entered && en.Ref == r.ref(r.logs[en.Log], en.Log)
}

// RoomOf returns the room, of those entered, that an entry was written for. Its
// header says so under its author's signature; the tag that it travels under is
// not signed, and whoever relays it could have put another in its place.
func (e *Engine) RoomOf(en *wire.Entry) (chat.RoomID, bool) {
	for id, r := range e.rooms { // at most one fits
		if r.entered && en.Ref == r.ref(r.logs[en.Log], en.Log) {
			return id, true
		}
	}
	return chat.RoomID{}, false
}

// Pending returns how many entries wait for a predecessor or a cause.
func (e *Engine) Pending(id chat.RoomID) int {
	if r := e.rooms[id]; r != nil {
		return r.count
	}
	return 0
}

// NextTick returns when Tick is due next, zero if nothing waits. It stays the same
// until Tick is handled.
func (e *Engine) NextTick() time.Time { return e.tickAt }

// tickEvery bounds how late an entry is let go (guess: a twelfth of HoldDeps).
const tickEvery = 250 * time.Millisecond

// schedule sets when Tick is due.
func (e *Engine) schedule(now time.Time) {
	switch {
	case e.pendingBytes == 0:
		e.tickAt = time.Time{}
	case e.tickAt.IsZero():
		e.tickAt = now.Add(tickEvery)
	}
}

func (r *state) head(id chat.LogID) uint64 {
	if l := r.logs[id]; l != nil {
		return l.Seq
	}
	return 0
}

// sorted returns the keys of m in ascending order.
func sorted[V any](m map[chat.LogID]V) []chat.LogID {
	out := make([]chat.LogID, 0, len(m))
	for id := range m {
		out = append(out, id)
	}
	slices.SortFunc(out, func(a, b chat.LogID) int { return bytes.Compare(a[:], b[:]) })
	return out
}
