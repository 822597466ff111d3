package courier

import (
	"cmp"
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

// This file is what of this person's is left with others.

// survey follows what recipients lack.
func (e *Engine) survey(in Survey) {
	clear(e.wants)
	for _, w := range in.Wants {
		e.wants[w.Key] = w
	}
	for _, k := range sortedKeys(e.byKey, compareKeys) {
		e.withdraw(k)
	}
	for k := range e.packedAt {
		if _, lacks := e.wants[k]; !lacks {
			delete(e.packedAt, k)
			delete(e.idle, k)
		}
	}
	e.carrying = in.Carry
	for _, w := range in.Wants {
		if !w.Reachable || in.Carry {
			e.pack(w, in.Carry)
		}
	}
	e.giveAll()
}

// withdraw forgets the parcels of a key of which nothing lacks any more, and those that
// were said to have arrived long ago and lack all the same.
func (e *Engine) withdraw(k Key) {
	w, lacks := e.wants[k]
	for _, id := range slices.Clone(e.byKey[k]) {
		p := e.parcels[id]
		needed := lacks && slices.ContainsFunc(p.Ranges, func(r Range) bool { return len(cut(w.Ranges, []Range{r})) > 0 })
		if needed && (p.Proven.IsZero() || e.now.Sub(p.Proven) < askAgain) {
			continue
		}
		e.takeBack(p)
	}
}

// takeBack has those who hold a parcel and are here let go of it, and forgets it.
func (e *Engine) takeBack(p *Parcel) {
	for _, at := range e.sortedPeers() {
		_, giving := at.giving[p.ID]
		if giving || slices.ContainsFunc(p.Holders, func(h Holder) bool { return h.Device == at.device }) {
			e.send(at, wire.Deposit{Dropped: p.ID[:]})
		}
	}
	e.dropParcel(p.ID)
}

// gone takes back what says something that was removed.
func (e *Engine) gone(in Gone) {
	for _, k := range []Key{{Room: in.Room, Person: e.rooms[in.Room].With}, {Room: in.Room}} {
		for _, id := range slices.Clone(e.byKey[k]) {
			p := e.parcels[id]
			if slices.ContainsFunc(p.Ranges, func(r Range) bool { return r.Log == in.Log && r.From <= in.Seq && in.Seq <= r.To }) {
				e.takeBack(p)
			}
		}
	}
}

func (e *Engine) dropParcel(id ID) {
	p := e.parcels[id]
	delete(e.parcels, id)
	k := p.Key
	if e.byKey[k] = slices.DeleteFunc(e.byKey[k], func(other ID) bool { return other == id }); len(e.byKey[k]) == 0 {
		delete(e.byKey, k)
	}
	for _, at := range e.peers {
		delete(at.giving, id)
		delete(at.denied, id)
	}
	e.do(Drop{Parcel: id})
	e.do(Moved{Room: k.Room})
}

// live returns the parcels of a key that are to be left with others, oldest first.
func (e *Engine) live(k Key) (out []*Parcel) {
	for _, id := range e.byKey[k] {
		if p := e.parcels[id]; p.By == (ID{}) && e.now.Before(p.Expires) {
			out = append(out, p)
		}
	}
	return out
}

// pack has an envelope made of what is in none yet.
func (e *Engine) pack(w Want, now bool) {
	if _, under := e.packing[w.Key]; under {
		return
	}
	live := e.live(w.Key)
	var covered []Range
	for _, p := range live {
		covered = append(covered, p.Ranges...)
	}
	lacks := minus(w.Ranges, covered)
	most := PersonParcels
	if w.Person == (chat.PersonID{}) {
		most = RoomParcels
	}
	switch {
	case len(lacks) == 0, len(live) >= most, len(e.parcels)+len(e.packing) >= MaxParcels, slices.Equal(lacks, e.idle[w.Key]):
		return
	case !now && e.now.Sub(e.packedAt[w.Key]) < packEvery:
		return
	case !now && !e.anyCourier(w):
		return
	}
	ef := Pack{Key: w.Key, Ranges: lacks}
	if n := len(live); n > 0 && live[n-1].Size <= tailSize && live[n-1].Proven.IsZero() {
		tail := live[n-1]
		// What has arrived of it meanwhile need not go again.
		ef.Ranges, ef.Replaces = join(cut(w.Ranges, tail.Ranges), lacks), tail.ID
	}
	e.packing[w.Key] = lacks
	e.packedAt[w.Key] = e.now
	e.do(ef)
}

// Minds reports whether it matters now what a recipient lacks: some of it is in an
// envelope, or somebody is here who may hold it. Who is not minded may be left out of a
// Survey.
func (e *Engine) Minds(k Key) bool {
	return len(e.byKey[k]) > 0 || e.anyCourier(Want{Key: k})
}

// anyCourier reports whether there is anybody here to leave something with.
func (e *Engine) anyCourier(w Want) bool {
	for _, p := range e.peers {
		if e.mayHold(p, w) {
			return true
		}
	}
	return false
}

// packed takes an envelope that was made.
func (e *Engine) packed(in Packed) {
	lacked, under := e.packing[in.Key]
	if !under {
		return
	}
	delete(e.packing, in.Key)
	env := &in.Envelope
	if env.ID == (ID{}) && !in.Failed {
		e.idle[in.Key] = lacked
	}
	w, lacks := e.wants[in.Key]
	if env.ID == (ID{}) || !lacks {
		return
	}
	p := &Parcel{
		ID: env.ID, Key: in.Key, Salt: env.Salt, Tag: env.Tag, Size: int64(len(env.bytes)), Made: env.Made, Expires: env.Expires,
		Ranges: in.Ranges, Messages: in.Messages,
	}
	e.parcels[p.ID] = p
	e.byKey[p.Key] = append(e.byKey[p.Key], p.ID)
	e.do(Save{Parcel: p.clone(), Bytes: env.bytes})
	if old := e.parcels[in.Replaces]; old != nil {
		old.By = p.ID
		if len(old.Holders) == 0 {
			e.dropParcel(old.ID)
		} else {
			e.do(Save{Parcel: old.clone()})
		}
	}
	e.pack(w, e.carrying || p.Size > tailSize) // what did not fit
	e.giveAll()
}

// Packing returns how many envelopes are being made.
func (e *Engine) Packing() int { return len(e.packing) }

// Parcel returns what is known of an envelope of this person's.
func (e *Engine) Parcel(id ID) (Parcel, bool) {
	p := e.parcels[id]
	if p == nil {
		return Parcel{}, false
	}
	return *p.clone(), true
}

// Outgoing returns this person's envelopes that are not known to have arrived, oldest
// first for each recipient.
func (e *Engine) Outgoing() (out []ID) {
	for _, k := range sortedKeys(e.byKey, compareKeys) {
		for _, p := range e.live(k) {
			out = append(out, p.ID)
		}
	}
	return out
}

func (e *Engine) carried(in Carried) {
	for _, id := range in.IDs {
		if p := e.parcels[id]; p != nil {
			p.Carried = e.now
			e.do(Save{Parcel: p.clone()})
			e.do(Moved{Room: p.Key.Room})
		}
	}
}

// mayHold reports whether a device may be given what a recipient lacks.
func (e *Engine) mayHold(p *peer, w Want) bool {
	switch {
	case p.standing == Stranger || p.standing == Own: // own devices hold the room itself
		return false
	case p.person == w.Person || w.Insiders[p.person] || e.now.Before(p.busy):
		return false
	}
	// What is said in a private room is nobody's business but a keeper's.
	return p.keeper && p.standing == Contact || w.Person != chat.PersonID{}
}

// giveAll leaves with others what they may hold, as far as it is with too few.
func (e *Engine) giveAll() {
	if len(e.peers) == 0 || len(e.parcels) == 0 {
		return
	}
	peers := e.sortedPeers()
	for _, k := range sortedKeys(e.wants, compareKeys) {
		w := e.wants[k]
		if w.Reachable {
			continue
		}
		for _, p := range e.live(k) {
			if p.Proven.IsZero() {
				e.give(p, w, peers)
			}
		}
	}
}

// give leaves a parcel with as many as are to hold it, one device of each person.
func (e *Engine) give(parcel *Parcel, w Want, peers []*peer) {
	with := map[chat.PersonID]bool{}
	keeper := false
	for _, h := range parcel.Holders {
		with[h.Person] = true
		keeper = keeper || h.Keeper
	}
	if len(with) >= CouriersAlone {
		return
	}
	var candidates []*peer
	for _, p := range peers {
		if _, under := p.giving[parcel.ID]; under {
			with[p.person] = true
			keeper = keeper || p.keeper
			continue
		}
		at, denied := p.denied[parcel.ID]
		if e.mayHold(p, w) && (!denied || e.now.Sub(at) >= askAgain) && len(p.giving) < giveAtOnce {
			candidates = append(candidates, p)
			keeper = keeper || p.keeper
		}
	}
	rank := func(p *peer) int { // who holds what this one replaces spares another
		switch {
		case p.keeper && p.standing == Contact:
			return 0
		case len(e.replacedAt(parcel.ID, p.device)) > 0:
			return 1
		case p.standing == Contact:
			return 2
		}
		return 3
	}
	slices.SortStableFunc(candidates, func(a, b *peer) int { return cmp.Compare(rank(a), rank(b)) })
	wanted := CouriersAlone
	if keeper {
		wanted = Couriers
	}
	for _, p := range candidates {
		if len(with) >= wanted {
			return
		}
		if with[p.person] {
			continue
		}
		with[p.person] = true
		p.giving[parcel.ID] = e.now
		e.do(Give{To: p.device, ID: parcel.ID, Drop: e.replacedAt(parcel.ID, p.device)})
	}
}

// replacedAt returns the parcels that one replaces and a device holds.
func (e *Engine) replacedAt(id ID, d chat.DeviceID) (out []ID) {
	for _, other := range e.byKey[e.parcels[id].Key] {
		if p := e.parcels[other]; p.By == id && slices.ContainsFunc(p.Holders, func(h Holder) bool { return h.Device == d }) {
			out = append(out, other)
		}
	}
	return out
}

// answered: a device says what became of an envelope.
func (e *Engine) answered(p *peer, f wire.Answer) {
	id := ID(f.ID)
	if f.Says == wire.AnswerNoted {
		if pr := e.proofs[id]; pr != nil && pr.Device == p.device {
			delete(e.proofs, id)
			e.do(Drop{Proof: id})
		}
		return
	}
	if _, asked := p.giving[id]; !asked {
		return
	}
	delete(p.giving, id)
	parcel := e.parcels[id]
	if parcel == nil {
		return
	}
	if f.Says != wire.AnswerKept {
		p.denied[id] = e.now
		if f.Says == wire.AnswerFull || f.Says == wire.AnswerQuota {
			p.busy = e.now.Add(askAgain)
		}
		e.giveAll()
		return
	}
	for _, old := range e.replacedAt(id, p.device) {
		e.release(e.parcels[old], p.device)
	}
	parcel.Holders = slices.DeleteFunc(parcel.Holders, func(h Holder) bool { return h.Device == p.device })
	parcel.Holders = append(parcel.Holders, Holder{Device: p.device, Person: p.person, Standing: p.standing, Keeper: p.keeper, Since: e.now})
	slices.SortFunc(parcel.Holders, func(a, b Holder) int { return compareDevices(a.Device, b.Device) })
	e.do(Save{Parcel: parcel.clone()})
	e.do(Moved{Room: parcel.Key.Room})
	e.giveAll()
}

// release notes that a device does not hold a parcel any more.
func (e *Engine) release(p *Parcel, d chat.DeviceID) {
	n := len(p.Holders)
	p.Holders = slices.DeleteFunc(p.Holders, func(h Holder) bool { return h.Device == d })
	switch {
	case len(p.Holders) == n:
		return
	case len(p.Holders) == 0 && p.By != ID{}:
		e.dropParcel(p.ID)
		return
	}
	e.do(Save{Parcel: p.clone()})
	e.do(Moved{Room: p.Key.Room})
}

// lost: what a device announces does not hold all that was left with it.
func (e *Engine) lost(at *peer) {
	for _, id := range sortedKeys(e.parcels, compareIDs) {
		p := e.parcels[id]
		if _, holds := at.tags[p.Tag]; !holds {
			e.release(p, at.device)
		}
	}
}

func (p *Parcel) clone() *Parcel {
	c := *p
	c.Holders = slices.Clone(p.Holders)
	return &c
}

// proved: the recipient has a parcel, as whoever held it says. It reports whether they
// show the secret that only the recipient could have told them. by is nil if the word
// came on foot.
func (e *Engine) proved(by *peer, p *Parcel, secret [32]byte, reply []byte) bool {
	r, known := e.rooms[p.Key.Room]
	if !known || !r.direct() || secret != r.secret(p.Salt) {
		if by != nil {
			e.refuse(by, invalid("the word of somebody who has not taken an envelope"))
		}
		return false
	}
	ef := Proved{Key: p.Key}
	if plain, ok := r.openReply(p.Salt, reply); ok {
		ef.Reply = plain
	}
	if p.Proven.IsZero() {
		p.Proven = e.now
		e.do(Save{Parcel: p.clone()})
	}
	if by != nil {
		e.release(p, by.device)
	}
	e.do(ef)
	return true
}

// Where says where a parcel that holds an entry is.
type Where struct {
	Holder
	Expires time.Time
	Carried time.Time // if it was carried: Holder is zero then
}

// HoldersOf returns who holds an entry of this person's, in ascending order of device.
func (e *Engine) HoldersOf(room chat.RoomID, log chat.LogID, seq uint64) (out []Where) {
	for _, who := range []chat.PersonID{e.rooms[room].With, {}} {
		k := Key{Room: room, Person: who}
		for _, id := range e.byKey[k] {
			p := e.parcels[id]
			if !slices.ContainsFunc(p.Ranges, func(r Range) bool { return r.Log == log && r.From <= seq && seq <= r.To }) {
				continue
			}
			if !p.Carried.IsZero() {
				out = append(out, Where{Expires: p.Expires, Carried: p.Carried})
			}
			for _, h := range p.Holders {
				if !slices.ContainsFunc(out, func(w Where) bool { return w.Device == h.Device && w.Carried.IsZero() }) {
					out = append(out, Where{Holder: h, Expires: p.Expires})
				}
			}
		}
		if who == (chat.PersonID{}) {
			break
		}
	}
	slices.SortStableFunc(out, func(a, b Where) int { return compareDevices(a.Device, b.Device) })
	return out
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
