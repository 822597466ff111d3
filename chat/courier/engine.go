package courier

import (
	"bytes"
	"io"
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

// Config is what an engine is made of.
type Config struct {
	Device chat.DeviceID // this one
	Person chat.PersonID // this one
	Random io.Reader
}

// Engine holds what is known of envelopes on one node. It is not safe for concurrent
// use; one loop owns it.
type Engine struct {
	cfg   Config
	rooms map[chat.RoomID]Room
	tags  map[Tag][]Room // of what is for this person
	week  uint64         // of tags
	peers map[chat.DeviceID]*peer

	keeper   bool
	space    int64
	held     map[ID]*Held
	order    map[Tag][]ID // of held, as they came
	keeping  map[ID]keeping
	used     int64
	usedBy   map[Standing]int64
	countBy  map[Standing]int
	countOf  map[chat.PersonID]int
	proofs   map[ID]*Proof
	expireAt time.Time // when something held, or remembered, expires

	parcels  map[ID]*Parcel
	byKey    map[Key][]ID // in the order in which they were made
	wants    map[Key]Want
	packing  map[Key][]Range // what lacked when it began
	idle     map[Key][]Range // likewise, where it was worth no envelope
	packedAt map[Key]time.Time
	carrying bool

	arrivals map[ID]*Arrival
	opening  map[ID]opening
	tried    map[ID]time.Time // what was not whole

	now time.Time
	out []Effect
}

// peer is a device that is here.
type peer struct {
	device   chat.DeviceID
	person   chat.PersonID
	standing Standing
	keeper   bool
	announce time.Time // when fresh is said; zero for never
	fresh    map[Tag]struct{}

	tags   map[Tag]struct{} // it holds something under them
	whole  bool             // tags are all that it has announced
	found  []wire.FoundEnvelope
	taking map[ID]time.Time // asked for, and when
	giving map[ID]time.Time // likewise deposited, and not answered yet
	denied map[ID]time.Time // not taken
	busy   time.Time        // until when nothing is given to it
}

// keeping is an envelope on its way to the disk.
type keeping struct {
	from    chat.DeviceID // zero if it was carried
	evicted []*Held
	// forgotten are those who have been blocked meanwhile: nothing of theirs stays.
	forgotten []chat.PersonID
}

// opening is an envelope for this person on its way to the disk.
type opening struct {
	from    chat.DeviceID // zero if it was carried
	by      chat.DeviceID // who deposited it, if it was carried
	room    Room
	salt    Salt
	expires time.Time
}

// New returns an engine that holds nothing.
func New(cfg Config) *Engine {
	return &Engine{
		cfg: cfg, rooms: map[chat.RoomID]Room{}, tags: map[Tag][]Room{}, peers: map[chat.DeviceID]*peer{}, space: DefaultSpace,
		held: map[ID]*Held{}, order: map[Tag][]ID{}, keeping: map[ID]keeping{}, usedBy: map[Standing]int64{},
		countBy: map[Standing]int{}, countOf: map[chat.PersonID]int{}, proofs: map[ID]*Proof{},
		parcels: map[ID]*Parcel{}, byKey: map[Key][]ID{}, wants: map[Key]Want{}, packing: map[Key][]Range{}, idle: map[Key][]Range{},
		packedAt: map[Key]time.Time{}, arrivals: map[ID]*Arrival{}, opening: map[ID]opening{}, tried: map[ID]time.Time{},
	}
}

// Handle applies one input and returns what must now be done, in order. It never
// blocks, and does not depend on map order.
func (e *Engine) Handle(now time.Time, in Input) []Effect {
	e.now = now
	if w := weekOf(now); w != e.week {
		e.retag()
	}
	switch in := in.(type) {
	case Restore:
		e.restore(in)
	case Settings:
		e.settle(in)
	case Rooms:
		clear(e.rooms)
		for _, r := range in.Rooms {
			e.rooms[r.ID] = r
		}
		e.retag()
		e.seekAgain()
	case Met:
		e.met(in)
	case Left:
		e.left(in.Device)
	case Ready:
		if p := e.peers[in.Device]; p != nil {
			clear(p.denied)
			p.busy = time.Time{}
			e.giveAll()
		}
	case Heard:
		if p := e.peers[in.Device]; p != nil {
			e.heard(p, in.Frame)
		}
	case Survey:
		e.survey(in)
	case Packed:
		e.packed(in)
	case Kept:
		e.kept(in)
	case Opened:
		e.opened(in)
	case CarriedIn:
		e.carriedIn(in)
	case CarriedProof:
		e.taken(nil, in.Taken)
	case Gone:
		e.gone(in)
	case Carried:
		e.carried(in)
	case Forget:
		e.forget(in.Person)
	case Tick:
		e.tick()
	}
	out := e.out
	e.out = nil
	return out
}

func (e *Engine) do(ef Effect) { e.out = append(e.out, ef) }

func (e *Engine) send(p *peer, f wire.Frame) { e.do(Send{To: p.device, Frame: f}) }

func (e *Engine) refuse(p *peer, err error) { e.do(Refuse{From: p.device, Err: err}) }

// retag computes under which tags there may be something for this person.
func (e *Engine) retag() {
	e.week = weekOf(e.now)
	clear(e.tags)
	for _, id := range sortedKeys(e.rooms, compareRooms) {
		r := e.rooms[id]
		for w := -weeksBack; w <= weeksAhead; w++ {
			t := r.TagOf(e.cfg.Person, e.now.Add(time.Duration(w)*week))
			e.tags[t] = append(e.tags[t], r)
		}
	}
}

func (e *Engine) restore(in Restore) {
	for i := range in.Held {
		e.add(&in.Held[i])
	}
	for i := range in.Parcels {
		p := &in.Parcels[i]
		e.parcels[p.ID] = p
		e.byKey[p.Key] = append(e.byKey[p.Key], p.ID)
	}
	for i := range in.Proofs {
		e.proofs[in.Proofs[i].ID] = &in.Proofs[i]
	}
	for i := range in.Arrived {
		e.arrivals[in.Arrived[i].ID] = &in.Arrived[i]
	}
	e.expireAt = e.now
}

func (e *Engine) met(in Met) {
	if p := e.peers[in.Device]; p != nil {
		p.standing = in.Standing
		if p.person == in.Person {
			return
		}
		e.left(in.Device) // it is somebody else's now
	}
	p := &peer{
		device: in.Device, person: in.Person, standing: in.Standing, fresh: map[Tag]struct{}{}, tags: map[Tag]struct{}{},
		taking: map[ID]time.Time{}, giving: map[ID]time.Time{}, denied: map[ID]time.Time{},
	}
	e.peers[in.Device] = p
	if e.keeper || len(e.held) > len(e.keeping) {
		e.announceAll(p)
	}
	for _, id := range sortedKeys(e.proofs, compareIDs) {
		if pr := e.proofs[id]; pr.Device == p.device {
			e.pass(p, pr)
		}
	}
	e.giveAll()
}

func (e *Engine) left(d chat.DeviceID) {
	if e.peers[d] == nil {
		return
	}
	delete(e.peers, d)
	for _, p := range e.sortedPeers() { // what it was asked for may be had elsewhere
		e.takeMore(p)
	}
	e.giveAll()
}

// heard takes a frame of a device that is here.
func (e *Engine) heard(p *peer, f wire.Frame) {
	switch f := f.(type) {
	case wire.Announce:
		e.announced(p, f)
	case wire.Seek:
		e.sought(p, f)
	case wire.Found:
		e.foundAt(p, f)
	case wire.Take:
		e.asked(p, f)
	case wire.HandOver:
		e.handedOver(p, f)
	case wire.Deposit:
		e.deposited(p, f)
	case wire.Answer:
		e.answered(p, f)
	case wire.Taken:
		e.taken(p, f)
	case wire.Unknown:
	default:
		e.refuse(p, invalid("a frame where it has no place"))
	}
}

// NextTick returns when Tick is due next, zero for never.
func (e *Engine) NextTick() time.Time {
	var next time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	if len(e.held)+len(e.proofs)+len(e.parcels)+len(e.arrivals) > 0 {
		sooner(e.expireAt)
	}
	for _, p := range e.peers {
		sooner(p.announce)
		for _, at := range p.taking {
			sooner(at.Add(takeTimeout))
		}
		for _, at := range p.giving {
			sooner(at.Add(giveTimeout))
		}
	}
	return next
}

// expireEvery is how late something may be forgotten that has expired.
const expireEvery = time.Minute

func (e *Engine) tick() {
	for _, p := range e.sortedPeers() {
		if !p.announce.IsZero() && !e.now.Before(p.announce) {
			e.announceFresh(p)
		}
		for id, at := range p.giving {
			if e.now.Sub(at) >= giveTimeout {
				delete(p.giving, id)
				p.denied[id] = e.now
			}
		}
		late := false
		for id, at := range p.taking {
			if e.now.Sub(at) >= takeTimeout {
				delete(p.taking, id)
				late = true
			}
		}
		if late { // it brings nothing; whoever else has these may
			p.found = nil
			for _, q := range e.sortedPeers() {
				e.takeMore(q)
			}
		}
	}
	if !e.now.Before(e.expireAt) {
		e.expireAt = e.now.Add(expireEvery)
		e.expire()
	}
}

// expire forgets what nobody is waiting for any more.
func (e *Engine) expire() {
	n := len(e.held)
	for _, id := range sortedKeys(e.held, compareIDs) {
		if _, storing := e.keeping[id]; !storing && !e.now.Before(e.held[id].Expires) {
			e.remove(id)
			e.do(Drop{Held: id})
		}
	}
	if len(e.held) != n {
		e.do(Changed{})
	}
	for _, id := range sortedKeys(e.proofs, compareIDs) {
		if !e.now.Before(e.proofs[id].Expires) {
			delete(e.proofs, id)
			e.do(Drop{Proof: id})
		}
	}
	for _, id := range sortedKeys(e.arrivals, compareIDs) {
		if !e.now.Before(e.arrivals[id].Expires) {
			delete(e.arrivals, id)
			e.do(Drop{Arrival: id})
		}
	}
	for _, id := range sortedKeys(e.parcels, compareIDs) {
		if !e.now.Before(e.parcels[id].Expires) {
			e.dropParcel(id)
		}
	}
}

func (e *Engine) sortedPeers() []*peer {
	out := make([]*peer, 0, len(e.peers))
	for _, d := range sortedKeys(e.peers, compareDevices) {
		out = append(out, e.peers[d])
	}
	return out
}

func sortedKeys[K comparable, V any](m map[K]V, compare func(a, b K) int) []K {
	out := make([]K, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.SortFunc(out, compare)
	return out
}

func compareIDs(a, b ID) int                { return bytes.Compare(a[:], b[:]) }
func compareTags(a, b Tag) int              { return bytes.Compare(a[:], b[:]) }
func compareRooms(a, b chat.RoomID) int     { return bytes.Compare(a[:], b[:]) }
func compareDevices(a, b chat.DeviceID) int { return bytes.Compare(a[:], b[:]) }
func compareKeys(a, b Key) int {
	if c := bytes.Compare(a.Room[:], b.Room[:]); c != 0 {
		return c
	}
	return bytes.Compare(a.Person[:], b.Person[:])
}
