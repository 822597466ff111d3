package private

import (
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/identity"
	"earshot/chat/seal"
	"earshot/chat/wire"
)

// exchange is what passed between this device and a connected one about the operations
// of a room.
type exchange struct {
	heard, told [32]byte      // roots: theirs and, as they were told, this device's; zero before
	spoke       bool          // they know the room: they said something of it
	introduce   time.Time     // when they are told all if they have not spoken; zero for never
	wantAt      time.Time     // when they were last asked
	wantAgain   bool          // and are to be asked again
	answeredAt  time.Time     // when they were last answered
	asked       *wire.OpsWant // since, to be answered later; nil for nothing
	history     historyState
}

// offer is a room that somebody may have invited this person to. Nothing of it is
// stored before that is certain.
type offer struct {
	room  *conversation
	from  chat.DeviceID
	bytes int
	since time.Time
}

const (
	// tellAfter is how long a change waits for others to be told together with.
	tellAfter = 200 * time.Millisecond
	// introduceAfter is how long a member may be silent about a room before this
	// device takes it that they do not know that it is in (guess: two round trips
	// of the slowest link, and a busy loop).
	introduceAfter = 2 * time.Second
	// wantEvery bounds how often one device is asked for the operations of one room,
	// and answered: all of them are megabytes.
	wantEvery = time.Second
	// offerLife is how long an invitation may take to arrive.
	offerLife = time.Minute
)

func (p *peer) exchange(room chat.RoomID) *exchange {
	x := p.rooms[room]
	if x == nil {
		x = &exchange{}
		p.rooms[room] = x
	}
	return x
}

// visible returns what operations of a room somebody may be sent, in the order of the
// log: all for who is in or invited, what led to their going out for who went, and
// none for anybody else.
func (r *conversation) visible(who chat.PersonID) []Operation {
	switch {
	case r.direct():
		return nil
	case who == r.me || r.concerns(who):
		return r.ops
	}
	var ids []chat.EntryID
	for _, op := range r.log.Exits(who) {
		ids = append(ids, op.ID)
	}
	var out []Operation
	for _, i := range r.log.Past(ids) {
		out = append(out, r.ops[i])
	}
	return out
}

// rootOf sums up operations that visible returned.
func (r *conversation) rootOf(ops []Operation) [32]byte {
	if len(ops) != len(r.ops) {
		return OpsRoot(idsOf(ops))
	}
	if len(r.ids) != len(r.ops) {
		r.ids = idsOf(r.ops)
		r.root = OpsRoot(r.ids)
	}
	return r.root
}

func idsOf(ops []Operation) []chat.EntryID {
	out := make([]chat.EntryID, len(ops))
	for i := range ops {
		out[i] = ops[i].ID
	}
	return out
}

// greet tells a device that has connected what it may know.
func (e *Engine) greet(to chat.DeviceID) {
	p := e.connected[to]
	if e.revoked(p.person, to) {
		return
	}
	e.sendList(to)
	for _, id := range sortedRooms(e.rooms) {
		r := e.rooms[id]
		e.tellTo(to, r)
		if _, in := r.member(p.person); in && r.entered && r.log.State().Creator != r.me {
			x := p.exchange(id)
			x.introduce = e.now.Add(introduceAfter)
			e.due(x.introduce)
		}
		e.askHistory(to, r)
	}
}

func (r *conversation) member(who chat.PersonID) (since chat.EntryID, in bool) {
	if r.direct() {
		return chat.EntryID{}, false
	}
	m, in := r.log.State().Member(who)
	return m.Since, in
}

// gone forgets what was said with a device that is not connected any more.
func (e *Engine) gone(d chat.DeviceID) {
	delete(e.connected, d)
	for _, id := range sortedRooms(e.offers) {
		if e.offers[id].from == d {
			delete(e.offers, id)
		}
	}
}

// tell has everybody told soon that a room's operations are others now.
func (e *Engine) tell(r *conversation) {
	if r.tellAt.IsZero() {
		r.tellAt = e.now.Add(tellAfter)
		e.due(r.tellAt)
	}
}

// tellTo says to a connected device which operations are held here, of those that it
// may know, unless it knows that.
func (e *Engine) tellTo(to chat.DeviceID, r *conversation) {
	p := e.connected[to]
	ops := r.visible(p.person)
	if len(ops) == 0 || e.revoked(p.person, to) {
		return
	}
	x, root := p.exchange(r.id), r.rootOf(ops)
	if x.told == root || x.heard == root {
		return
	}
	x.told = root
	e.emit(Send{To: to, Frame: wire.OpsHave{Room: r.id[:], Root: root[:]}})
}

// push sends operations made here at once to those who may know them.
func (e *Engine) push(r *conversation, ops []Operation) {
	for _, to := range sortedDevices(e.connected) {
		p := e.connected[to]
		may := r.visible(p.person)
		var list []Operation
		for _, o := range ops {
			if slices.ContainsFunc(may, func(v Operation) bool { return v.ID == o.ID }) {
				list = append(list, o)
			}
		}
		if !e.revoked(p.person, to) {
			e.sendOps(to, r, list)
		}
	}
}

// maxOpsFrame bounds the operations in one frame, in bytes: its other fields and the
// heads of byte strings fit in the rest.
const maxOpsFrame = chat.MaxFrame - 512

// sendOps sends operations in as many frames as they need.
func (e *Engine) sendOps(to chat.DeviceID, r *conversation, ops []Operation) {
	for len(ops) > 0 {
		f, size := wire.Ops{Room: r.id[:]}, 0
		for len(ops) > 0 && len(f.Ops) < wire.MaxOperations && size+len(ops[0].raw)+3 <= maxOpsFrame {
			f.Ops = append(f.Ops, ops[0].raw)
			size += len(ops[0].raw) + 3
			ops = ops[1:]
		}
		f.More = len(ops) > 0
		e.emit(Send{To: to, Frame: f})
	}
}

// want asks a device for the operations that it has and this one has not.
func (e *Engine) want(to chat.DeviceID, r *conversation) {
	p := e.connected[to]
	x := p.exchange(r.id)
	if !x.wantAt.IsZero() && e.now.Before(x.wantAt.Add(wantEvery)) && !e.now.Before(x.wantAt) {
		x.wantAgain = true
		e.due(x.wantAt.Add(wantEvery))
		return
	}
	x.wantAt, x.wantAgain = e.now, false
	// What waits is not sent again, but who may not know all must not know of it.
	ids := idsOf(r.visible(p.person))
	if len(ids) == len(r.ops) {
		ids = append(ids, sortedEntries(r.waits)...)
	}
	have := make([]byte, 0, wire.OpPrefix*len(ids))
	for _, id := range ids[:min(len(ids), chat.MaxMembershipOps)] {
		have = append(have, id[:wire.OpPrefix]...)
	}
	e.emit(Send{To: to, Frame: wire.OpsWant{Room: r.id[:], Have: have}})
}

// heard takes a frame from a connected device.
func (e *Engine) heard(in Heard) {
	p := e.connected[in.Device]
	if p == nil || p.person != in.Person {
		return
	}
	switch f := in.Frame.(type) {
	case wire.KeyAck:
		e.run(seal.Acknowledged{From: in.Device, Root: [8]byte(f.Root)}, nil)
	case wire.Devices:
		l, err := identity.ParseDevices(f.List)
		if err == nil && l.Person() != p.person {
			err = invalid("a device list of another person")
		}
		if err != nil {
			e.refuse(in.Device, err)
			return
		}
		e.takeList(l, in.Device)
	}
	if e.revoked(p.person, in.Device) {
		return
	}
	known := in.Known || p.person == e.cfg.Person
	switch f := in.Frame.(type) {
	case wire.OpsHave:
		e.opsHave(in.Device, p, f, known)
	case wire.OpsWant:
		e.opsWant(in.Device, p, f)
	case wire.Ops:
		e.opsCame(in.Device, p, f, known)
	case wire.HistoryWant:
		e.historyWant(in.Device, p, f)
	case wire.History:
		e.historyCame(in.Device, p, f)
	}
}

// opsHave compares. Who may not know the room is not answered: they must not learn that
// this device does.
func (e *Engine) opsHave(from chat.DeviceID, p *peer, f wire.OpsHave, known bool) {
	id := chat.RoomID(f.Room)
	r := e.rooms[id]
	if r == nil {
		if known {
			e.consider(from, p, id)
		}
		return
	}
	ops := r.visible(p.person)
	if len(ops) == 0 {
		return
	}
	x := p.exchange(id)
	x.heard, x.spoke = [32]byte(f.Root), true
	if x.heard != r.rootOf(ops) {
		e.want(from, r)
	}
}

// opsWant answers with what the other lacks, and asks back for what they hold and this
// device does not.
func (e *Engine) opsWant(from chat.DeviceID, p *peer, f wire.OpsWant) {
	r := e.rooms[chat.RoomID(f.Room)]
	if r == nil {
		return
	}
	ops := r.visible(p.person)
	if len(ops) == 0 {
		return
	}
	x := p.exchange(r.id)
	x.spoke = true
	if again := x.answeredAt.Add(wantEvery); !x.answeredAt.IsZero() && e.now.Before(again) && !e.now.Before(x.answeredAt) {
		x.asked = &f
		e.due(again)
		return
	}
	x.answeredAt, x.asked = e.now, nil
	have := map[[wire.OpPrefix]byte]bool{}
	for i := 0; i < len(f.Have); i += wire.OpPrefix {
		have[[wire.OpPrefix]byte(f.Have[i:])] = true
	}
	var lacks []Operation
	for _, o := range ops {
		prefix := [wire.OpPrefix]byte(o.ID[:])
		if !have[prefix] {
			lacks = append(lacks, o)
		}
		delete(have, prefix)
	}
	e.sendOps(from, r, lacks)
	for id := range r.waits {
		delete(have, [wire.OpPrefix]byte(id[:]))
	}
	if len(ops) < len(r.ops) { // they may hold what they are not told again
		for _, o := range r.ops {
			delete(have, [wire.OpPrefix]byte(o.ID[:]))
		}
	}
	if len(have) > 0 {
		e.want(from, r)
	}
}

// opsCame takes operations. Who is not known to be in the room may bring what shows
// that they are.
func (e *Engine) opsCame(from chat.DeviceID, p *peer, f wire.Ops, known bool) {
	id := chat.RoomID(f.Room)
	r := e.rooms[id]
	if r == nil {
		if known {
			e.offered(from, p, id, f)
		}
		return
	}
	if r.direct() {
		return
	}
	before, held := len(r.visible(p.person)) > 0, len(r.ops)
	missing := e.takeOps(r, f.Ops, from, before)
	e.passOn(r, r.ops[held:])
	if len(r.visible(p.person)) == 0 {
		return
	}
	p.exchange(id).spoke = true
	if missing {
		e.want(from, r)
	}
	if !before {
		e.tell(r)
	}
}

// tick does what is due.
func (e *Engine) tick() {
	if t := e.seal.NextTick(); !e.now.Before(t) {
		e.run(seal.Tick{}, nil)
	}
	e.dueAt = time.Time{}
	for _, id := range sortedRooms(e.rooms) {
		r := e.rooms[id]
		switch {
		case r.tellAt.IsZero():
		case e.now.Before(r.tellAt):
			e.due(r.tellAt)
		default:
			r.tellAt = time.Time{}
			for _, to := range sortedDevices(e.connected) {
				e.tellTo(to, r)
				e.askHistory(to, r)
			}
		}
	}
	for _, to := range sortedDevices(e.connected) {
		p := e.connected[to]
		for _, id := range sortedRooms(p.rooms) {
			if r := e.rooms[id]; r != nil && !r.direct() {
				e.tickExchange(to, p, r)
			}
		}
	}
	for _, id := range sortedRooms(e.offers) {
		if end := e.offers[id].since.Add(offerLife); e.now.Before(end) {
			e.due(end)
		} else {
			delete(e.offers, id)
		}
	}
}

func (e *Engine) tickExchange(to chat.DeviceID, p *peer, r *conversation) {
	x := p.exchange(r.id)
	if x.asked != nil {
		e.opsWant(to, p, *x.asked)
	}
	switch {
	case !x.wantAgain:
	case e.now.Before(x.wantAt.Add(wantEvery)):
		e.due(x.wantAt.Add(wantEvery))
	case len(r.visible(p.person)) > 0:
		e.want(to, r)
	}
	if !x.history.askedAt.IsZero() {
		e.askHistory(to, r)
	}
	switch since, in := r.member(r.me); {
	case x.introduce.IsZero():
	case e.now.Before(x.introduce):
		e.due(x.introduce)
	default:
		x.introduce = time.Time{}
		if in && !x.spoke && len(r.visible(p.person)) > 0 {
			e.sendOps(to, r, r.upTo(since))
		}
	}
}

// upTo returns an operation and all that it builds on, in the order of the log.
func (r *conversation) upTo(id chat.EntryID) (out []Operation) {
	for _, i := range r.log.Past([]chat.EntryID{id}) {
		out = append(out, r.ops[i])
	}
	return out
}
