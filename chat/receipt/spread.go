package receipt

import (
	"encoding/binary"
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

const (
	// A device that was told something by somebody who may not reach all of its
	// neighbours has them compare after spreadDelay to spreadDelay+spreadJitter, and
	// then again after spreadEach for each device of the room at the soonest.
	spreadDelay, spreadJitter = 50 * time.Millisecond, 200 * time.Millisecond
	spreadEach                = 100 * time.Millisecond
	leastRest, mostRest       = 2 * time.Second, time.Minute
	// Where the author reaches everybody, the others compare all the same, after
	// sureDelay to twice that: a connection may have broken meanwhile. Whoever was
	// asked first has nothing left to ask.
	sureDelay = 30 * time.Second
	// exchangeRest is how often one neighbour is asked and answered about a room: an
	// answer may be many times as long as the question.
	exchangeRest = time.Second
)

func (r *room) rest() time.Duration {
	return min(max(spreadEach*time.Duration(len(r.devices)), leastRest), mostRest)
}

// peerUp compares with a device that has come.
func (e *Engine) peerUp(d chat.DeviceID) {
	who, ok := e.cfg.World.Person(d)
	if !ok {
		return
	}
	nb := &neighbour{person: who, rooms: map[chat.RoomID]*exchange{}}
	e.near[d] = nb
	var sums []Sum
	for _, id := range e.cfg.World.Shared(d) {
		r := e.room(id)
		e.say(r) // perhaps there was nobody to hear it
		if s, empty := e.sum(r, nb); !empty {
			sums = append(sums, s)
		}
	}
	e.compareWith(d, sums)
}

func (e *Engine) compareWith(d chat.DeviceID, sums []Sum) {
	for len(sums) > 0 {
		n := min(len(sums), chat.MaxRooms)
		e.emit(Compare{To: d, Sums: sums[:n:n]})
		sums = sums[n:]
	}
}

// shared: others may be told of rooms, or of more in them.
func (e *Engine) shared(ids []chat.RoomID) {
	for _, id := range ids {
		r := e.room(id)
		if len(r.holds) > 0 {
			r.unsaid[Held] = true
		}
		e.say(r)
		if len(r.slots) == 0 {
			continue
		}
		for _, d := range e.neighbours(id) {
			e.mayLack(e.near[d], id)
		}
	}
}

// mayLack has a neighbour compare soon: it may lack something, or have more.
func (e *Engine) mayLack(nb *neighbour, id chat.RoomID) {
	e.compareIn(nb, id, spreadDelay, spreadJitter)
}

func (e *Engine) compareIn(nb *neighbour, id chat.RoomID, delay, jitter time.Duration) {
	r := e.room(id)
	nb.in(id).stale = true
	at := later(e.now.Add(delay+time.Duration(e.cfg.Random.Int64N(int64(jitter)))), r.restAt)
	if r.spreadAt.IsZero() || at.Before(r.spreadAt) {
		r.spreadAt = at
		e.settle(r)
	}
}

// spread has the neighbours who may lack something of rooms compare.
func (e *Engine) spread(rooms []*room) {
	sums := map[chat.DeviceID][]Sum{}
	var order []chat.DeviceID
	for _, r := range rooms {
		r.spreadAt, r.restAt = time.Time{}, e.now.Add(r.rest())
		e.settle(r)
		for _, d := range e.neighbours(r.id) {
			nb := e.near[d]
			if x := nb.in(r.id); !x.stale {
				continue
			}
			nb.in(r.id).stale = false
			s, _ := e.sum(r, nb)
			if sums[d] == nil {
				order = append(order, d)
			}
			sums[d] = append(sums[d], s)
		}
	}
	for _, d := range order {
		e.compareWith(d, sums[d])
	}
}

// compared asks a neighbour for what it holds and this device does not.
func (e *Engine) compared(in Compared) {
	nb := e.near[in.From]
	if nb == nil {
		return
	}
	done := make(map[chat.RoomID]struct{}, len(in.Sums))
	for _, theirs := range in.Sums {
		// A sum costs more to make than to name: each room has one.
		if _, again := done[theirs.Room]; again || !e.cfg.World.Shares(theirs.Room, in.From) {
			continue
		}
		done[theirs.Room] = struct{}{}
		r := e.room(theirs.Room)
		if mine, _ := e.sum(r, nb); mine == theirs {
			nb.in(r.id).stale = false
			continue
		}
		e.ask(r, in.From, nb)
	}
}

func (e *Engine) ask(r *room, d chat.DeviceID, nb *neighbour) {
	x := nb.in(r.id)
	if e.now.Before(x.askAt) {
		e.mayLack(nb, r.id) // they will ask, and are asked in return
		return
	}
	x.askAt = e.now.Add(exchangeRest)
	slots := e.both(r, nb)
	lines := make([]Line, 0, min(len(slots), chat.MaxReceipts))
	for _, s := range slots[:min(len(slots), chat.MaxReceipts)] {
		lines = append(lines, Line{Device: [8]byte(s.Device[:8]), Kind: s.Kind, Version: s.Version})
	}
	e.emit(Ask{To: d, Room: r.id, Lines: lines})
}

// asked answers a neighbour who wants what is newer than what it names, and asks in
// return for what is newer there.
func (e *Engine) asked(in Asked) {
	nb := e.near[in.From]
	if nb == nil || !e.cfg.World.Shares(in.Room, in.From) {
		return
	}
	r := e.room(in.Room)
	x := nb.in(r.id)
	if e.now.Before(x.answerAt) {
		e.mayLack(nb, r.id)
		return
	}
	x.answerAt = e.now.Add(exchangeRest)
	type line struct {
		device [8]byte
		kind   Kind
	}
	theirs := make(map[line]uint64, len(in.Lines))
	for _, l := range in.Lines {
		theirs[line{l.Device, l.Kind}] = l.Version
	}
	var newer []Statement
	behind := false
	for _, s := range e.both(r, nb) {
		l := line{[8]byte(s.Device[:8]), s.Kind}
		switch v := theirs[l]; {
		case v < s.Version:
			newer = append(newer, s.Statement)
		case v > s.Version:
			behind = true
		}
		delete(theirs, l)
	}
	x.stale = false
	e.tell(Tell{To: in.From, Room: r.id, Statements: newer})
	for l := range theirs {
		behind = behind || l.kind.Known()
	}
	if behind {
		e.ask(r, in.From, nb)
	}
}

// told takes statements from a neighbour.
func (e *Engine) told(in Told) {
	nb := e.near[in.From]
	if nb == nil || !e.cfg.World.Shares(in.Room, in.From) {
		return
	}
	r := e.room(in.Room)
	var fresh []*slot
	own := in.Covered // of the neighbour's own statements only it knows who has been given them
	named := make(map[key]struct{}, len(in.Statements))
	for i := range in.Statements {
		// A signature costs more to check than to make up: of each key there is one.
		k := key{in.Statements[i].Device, in.Statements[i].Kind}
		if _, again := named[k]; again {
			e.emit(Refuse{From: in.From, Err: chat.Errorf(chat.CodeInvalid, "A device told the same thing twice at once. It was refused; nothing needs to be done.")})
			break
		}
		named[k] = struct{}{}
		own = own && in.Statements[i].Device == in.From
		s, err := e.take(r, nb, &in.Statements[i])
		if err != nil {
			e.emit(Refuse{From: in.From, Err: err})
			break
		}
		if s != nil {
			fresh = append(fresh, s)
		}
	}
	if len(fresh) == 0 {
		return
	}
	covered := own && e.covered(r, in.From, in.Cover)
	for _, d := range e.neighbours(r.id) {
		other := e.near[d]
		if d == in.From || !slices.ContainsFunc(fresh, func(s *slot) bool { return e.may(s, other) }) {
			continue
		}
		if covered {
			e.compareIn(other, r.id, sureDelay, sureDelay)
		} else {
			e.mayLack(other, r.id)
		}
	}
}

// take checks a statement and keeps it if it is news; nil if it is none, or not to be
// taken from that neighbour.
func (e *Engine) take(r *room, nb *neighbour, s *Statement) (*slot, error) {
	who, ok := e.cfg.World.Person(s.Device)
	if !ok || !s.Kind.Known() || s.Device != e.self && !e.cfg.World.Shares(r.id, s.Device) {
		return nil, nil // news of them, or of a newer version, may be on their way
	}
	// What is kept comes from its person's devices, or from one's own.
	if !s.Kind.PassedOn() && nb.person != who && nb.person != e.cfg.Person && who != e.cfg.Person {
		return nil, nil
	}
	if s.Kind == ReadOwn && (who != e.cfg.Person || nb.person != who) {
		return nil, nil
	}
	k := key{s.Device, s.Kind}
	old := r.slots[k]
	if old != nil && old.compare(s) >= 0 {
		return nil, nil
	}
	marks, err := DecodeMarks(s.Marks)
	if err == nil {
		err = s.Verify(r.id)
	}
	if err != nil {
		return nil, err
	}
	if s.Device == e.self {
		e.returned(r, s, marks)
		return nil, nil
	}
	var before []Mark
	had := 0
	if old != nil {
		before, had = old.marks, len(old.Marks)
	}
	if old == nil && !e.makeRoom(r) || e.size-had+len(s.Marks) > chat.MaxReceiptBytes {
		return nil, nil
	}
	fresh := &slot{Statement: *s, person: who, marks: marks}
	e.put(r, fresh)
	news := rose(before, marks)
	e.emit(Keep{Room: r.id, Kept: Kept{fresh.Statement, who}, Rose: news})
	if who == e.cfg.Person && s.Kind.Reads() && len(news) > 0 {
		e.emit(ReadElsewhere{Room: r.id, Marks: news})
	}
	return fresh, nil
}

// makeRoom lets go of what a device says that is not in the room any more, if there is
// no place for another statement.
func (e *Engine) makeRoom(r *room) bool {
	if len(r.slots) < chat.MaxReceipts {
		return true
	}
	var gone *key
	for k, s := range r.slots {
		if s.person == e.cfg.Person || e.cfg.World.Shares(r.id, k.device) {
			continue
		}
		if gone == nil || compareKeys(k, *gone) < 0 {
			gone = &k
		}
	}
	if gone == nil {
		return false
	}
	e.drop(r, *gone)
	return true
}

// covered reports whether the author of statements has given them to every neighbour
// that this device could pass them on to, as far as can be told.
func (e *Engine) covered(r *room, author chat.DeviceID, cover uint64) bool {
	rest := cover ^ prefix(e.self) ^ prefix(author)
	for _, d := range e.neighbours(r.id) {
		if d != author {
			rest ^= prefix(d)
		}
	}
	if rest == 0 {
		return true
	}
	// They may reach one more than this device does.
	var b [wire.CoverSize]byte
	binary.BigEndian.PutUint64(b[:], rest)
	for d := range r.devices {
		if [wire.CoverSize]byte(d[:wire.CoverSize]) == b && e.near[d] == nil {
			return true
		}
	}
	return false
}
