package courier

import (
	"cmp"
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

// This file is what is held here for others.

// Keeper says what is held for others and on the disk; the space counts as used before.
func (e *Engine) Keeper() chat.Keeper {
	return chat.Keeper{On: e.keeper, Space: e.space, Used: e.used, Held: len(e.held) - len(e.keeping)}
}

// HeldIDs returns what is held for others and on the disk, in ascending order.
func (e *Engine) HeldIDs() []ID {
	return slices.DeleteFunc(sortedKeys(e.held, compareIDs), func(id ID) bool {
		_, storing := e.keeping[id]
		return storing
	})
}

func (e *Engine) settle(in Settings) {
	e.keeper, e.space = in.Keeper, in.Space
	var gone []ID
	for _, h := range e.evictable(Own + 1) {
		if e.used <= e.space {
			break
		}
		e.remove(h.ID)
		gone = append(gone, h.ID)
	}
	for _, id := range gone {
		e.do(Drop{Held: id})
	}
	for _, p := range e.sortedPeers() {
		e.announceAll(p)
	}
	e.do(Changed{})
}

// evictable returns what may go for somebody of a standing, in the order in which it
// goes: that of those who matter least, and what would expire first.
func (e *Engine) evictable(below Standing) []*Held {
	var out []*Held
	for id, h := range e.held {
		if _, storing := e.keeping[id]; !storing && h.Standing < below {
			out = append(out, h)
		}
	}
	slices.SortFunc(out, func(a, b *Held) int {
		return cmp.Or(cmp.Compare(a.Standing, b.Standing), a.Expires.Compare(b.Expires), compareIDs(a.ID, b.ID))
	})
	return out
}

func (e *Engine) add(h *Held) {
	e.held[h.ID] = h
	e.order[h.Tag] = append(e.order[h.Tag], h.ID)
	e.used += h.Size
	e.usedBy[h.Standing] += h.Size
	e.countBy[h.Standing]++
	e.countOf[h.Person]++
}

func (e *Engine) remove(id ID) {
	h := e.held[id]
	delete(e.held, id)
	if e.order[h.Tag] = slices.DeleteFunc(e.order[h.Tag], func(other ID) bool { return other == id }); len(e.order[h.Tag]) == 0 {
		delete(e.order, h.Tag)
	}
	e.used -= h.Size
	e.usedBy[h.Standing] -= h.Size
	e.countBy[h.Standing]--
	if e.countOf[h.Person]--; e.countOf[h.Person] == 0 {
		delete(e.countOf, h.Person)
	}
}

// deposited takes an envelope into keeping, or does not, and lets go of others.
func (e *Engine) deposited(p *peer, f wire.Deposit) {
	var dropped []ID
	for b := f.Dropped; len(b) > 0; b = b[len(ID{}):] {
		id := ID(b[:len(ID{})])
		_, storing := e.keeping[id]
		if h := e.held[id]; h != nil && h.Device == p.device && !storing && !slices.Contains(dropped, id) {
			dropped = append(dropped, id)
		}
	}
	if f.Envelope == nil {
		e.letGo(dropped)
		return
	}
	env, err := Parse(f.Envelope)
	if err != nil {
		e.refuse(p, err)
		return
	}
	// What others have signed comes on foot only: else whoever once held an envelope
	// could use up its depositor's quota everywhere.
	if env.By.Device != p.device || env.By.Person() != p.person {
		e.refuse(p, invalid("an envelope of somebody else's"))
		return
	}
	if _, again := e.held[env.ID]; again {
		if _, storing := e.keeping[env.ID]; !storing {
			e.letGo(dropped)
			e.answer(p.device, env.ID, wire.AnswerKept)
		}
		return
	}
	says, evicted := e.judge(&env, p.standing, dropped)
	if says == wire.AnswerKept {
		if err := env.Verify(); err != nil { // last, since it costs most
			e.refuse(p, err)
			return
		}
		if e.forMe(&env, p.device) {
			return
		}
		e.keep(&env, p.standing, p.device, append(evicted, dropped...))
		return
	}
	e.answer(p.device, env.ID, says)
}

func (e *Engine) letGo(ids []ID) {
	for _, id := range ids {
		e.remove(id)
		e.do(Drop{Held: id})
	}
	if len(ids) > 0 {
		e.do(Changed{})
	}
}

// answer tells a device, or who carries in if it is zero, what became of an envelope.
func (e *Engine) answer(d chat.DeviceID, id ID, says uint8) {
	if d.IsZero() {
		e.do(Judged{ID: id, Says: says})
		return
	}
	if p := e.peers[d]; p != nil {
		e.send(p, wire.Answer{ID: id[:], Says: says})
	}
}

// judge says whether an envelope is kept, and what goes for it. What is dropped goes in
// any case, if it is.
func (e *Engine) judge(env *Envelope, s Standing, dropped []ID) (says uint8, evicted []ID) {
	size := int64(len(env.bytes)) + overhead
	switch {
	case !e.now.Before(env.Expires), env.Expires.Sub(e.now) > MaxLifetime+chat.MaxFarFuture:
		return wire.AnswerRefused, nil
	case size > e.space:
		return wire.AnswerFull, nil
	}
	used, count, of := e.used, len(e.held), e.countOf[env.By.Person()]
	for _, id := range dropped {
		used, count, of = used-e.held[id].Size, count-1, of-1
	}
	if of >= quota(s) {
		return wire.AnswerQuota, nil
	}
	if s == Stranger && (e.usedBy[Stranger]+size > e.space*StrangerShare/100 || e.countBy[Stranger] >= MaxHeld*StrangerShare/100) {
		return wire.AnswerFull, nil
	}
	if used+size <= e.space && count < MaxHeld {
		return wire.AnswerKept, nil
	}
	for _, h := range e.evictable(s) {
		if slices.Contains(dropped, h.ID) {
			continue
		}
		evicted = append(evicted, h.ID)
		if used, count = used-h.Size, count-1; used+size <= e.space && count < MaxHeld {
			return wire.AnswerKept, evicted
		}
	}
	return wire.AnswerFull, nil
}

func quota(s Standing) int {
	switch s {
	case Own:
		return MaxHeld
	case Contact:
		return ContactQuota
	case Member:
		return MemberQuota
	}
	return StrangerQuota
}

// keep has an envelope stored. Its place is taken from now on.
func (e *Engine) keep(env *Envelope, s Standing, from chat.DeviceID, drop []ID) {
	h := Held{
		ID: env.ID, Tag: env.Tag, Salt: env.Salt, Lock: env.Lock, Device: env.By.Device, Person: env.By.Person(), Standing: s,
		Size: int64(len(env.bytes)) + overhead, Since: e.now, Expires: env.Expires,
	}
	k := keeping{from: from}
	for _, id := range drop {
		k.evicted = append(k.evicted, e.held[id])
		e.remove(id)
	}
	kept := h
	e.add(&kept)
	e.keeping[h.ID] = k
	e.do(Keep{Held: h, Bytes: env.bytes, Drop: drop})
}

// kept: an envelope is on the disk, or the disk did not take it.
func (e *Engine) kept(in Kept) {
	k, ok := e.keeping[in.ID]
	if !ok {
		return
	}
	delete(e.keeping, in.ID)
	h := e.held[in.ID]
	if in.Err != nil {
		e.remove(in.ID)
		var gone []ID
		for _, old := range k.evicted { // the disk still has them
			e.add(old)
			if slices.Contains(k.forgotten, old.Person) {
				gone = append(gone, old.ID)
			}
		}
		e.letGo(gone)
		e.answer(k.from, in.ID, wire.AnswerFull)
		return
	}
	if slices.Contains(k.forgotten, h.Person) {
		e.letGo([]ID{in.ID})
		e.answer(k.from, in.ID, wire.AnswerRefused)
		return
	}
	e.answer(k.from, in.ID, wire.AnswerKept)
	for _, p := range e.sortedPeers() {
		if p.device == h.Device || p.person == h.Person {
			continue
		}
		p.fresh[h.Tag] = struct{}{}
		if p.announce.IsZero() {
			p.announce = e.now.Add(announceAfter)
		}
	}
	e.do(Changed{})
}

// forget lets go of all that somebody has left here, who has been blocked, and does not
// count on them any more.
func (e *Engine) forget(who chat.PersonID) {
	for _, id := range sortedKeys(e.parcels, compareIDs) {
		for _, h := range slices.Clone(e.parcels[id].Holders) {
			if h.Person == who && e.parcels[id] != nil {
				e.release(e.parcels[id], h.Device)
			}
		}
	}
	var gone []ID
	for _, id := range sortedKeys(e.held, compareIDs) {
		if _, storing := e.keeping[id]; e.held[id].Person == who && !storing {
			gone = append(gone, id)
		}
	}
	e.letGo(gone)
	for id, k := range e.keeping { // what the disk is about to have goes once it has it
		k.forgotten = append(k.forgotten, who)
		e.keeping[id] = k
	}
}

// announceAll tells a device under which tags there is something here.
func (e *Engine) announceAll(p *peer) {
	p.announce = time.Time{}
	clear(p.fresh)
	tags := sortedKeys(e.order, compareTags)
	e.announce(p, tags, true)
}

func (e *Engine) announceFresh(p *peer) {
	p.announce = time.Time{}
	tags := sortedKeys(p.fresh, compareTags)
	clear(p.fresh)
	e.announce(p, tags, false)
}

func (e *Engine) announce(p *peer, tags []Tag, anew bool) {
	for first := true; first || len(tags) > 0; first = false {
		f := wire.Announce{Keeper: e.keeper, Anew: anew && first, Full: e.used >= e.space}
		n := min(len(tags), wire.MaxAnnounced)
		for _, t := range tags[:n] {
			f.Tags = append(f.Tags, t[:]...)
		}
		tags = tags[n:]
		f.More = len(tags) > 0
		e.send(p, f)
	}
}

// sought says what is held under tags.
func (e *Engine) sought(p *peer, f wire.Seek) {
	var lines []wire.FoundEnvelope
	for b := f.Tags; len(b) > 0; b = b[len(Tag{}):] {
		for _, id := range e.order[Tag(b[:len(Tag{})])] {
			if _, storing := e.keeping[id]; storing || len(lines) == maxFoundOf {
				continue
			}
			h := e.held[id]
			lines = append(lines, wire.FoundEnvelope{ID: id[:], Tag: h.Tag[:], Salt: h.Salt[:]})
		}
	}
	for len(lines) > 0 {
		n := min(len(lines), wire.MaxFound)
		e.send(p, wire.Found{Envelopes: lines[:n], More: n < len(lines)})
		lines = lines[n:]
	}
}

// asked hands envelopes over to who can show that they are theirs.
func (e *Engine) asked(p *peer, f wire.Take) {
	var ids []ID
	for _, l := range f.Envelopes {
		id := ID(l.ID)
		h := e.held[id]
		if _, storing := e.keeping[id]; h == nil || storing {
			e.send(p, wire.HandOver{ID: id[:]})
			continue
		}
		if lockOf([32]byte(l.Proof)) != h.Lock {
			e.refuse(p, invalid("a question for somebody else's envelope"))
			return
		}
		ids = append(ids, id)
	}
	if len(ids) > 0 {
		e.do(Bring{To: p.device, IDs: ids})
	}
}

// taken: who an envelope was for has it. p is nil if the word came on foot.
func (e *Engine) taken(p *peer, f wire.Taken) {
	id, secret := ID(f.ID), [32]byte(f.Secret)
	h := e.held[id]
	_, storing := e.keeping[id]
	switch {
	case storing:
		return // it is said again
	case e.parcels[id] != nil:
		if !e.proved(p, e.parcels[id], secret, f.Reply) {
			return
		}
	case h == nil: // let go of before
	case lockOf(proofOf(secret)) != h.Lock:
		if p != nil {
			e.refuse(p, invalid("the word of somebody who has not taken an envelope"))
		}
		return
	default:
		e.letGo([]ID{id})
		e.note(Proof{ID: id, Device: h.Device, Secret: secret, Reply: f.Reply, Expires: h.Expires})
	}
	if p != nil {
		e.send(p, wire.Answer{ID: id[:], Says: wire.AnswerNoted})
	}
}

// note remembers a proof until its depositor has it. Those that would expire first go
// for it.
func (e *Engine) note(pr Proof) {
	of := 0
	for _, other := range e.proofs {
		if other.Device == pr.Device {
			of++
		}
	}
	if of >= ProofsOf || len(e.proofs) >= MaxProofs {
		var first *Proof
		for _, p := range e.proofs {
			if of >= ProofsOf && p.Device != pr.Device {
				continue
			}
			if first == nil || cmp.Or(p.Expires.Compare(first.Expires), compareIDs(p.ID, first.ID)) < 0 {
				first = p
			}
		}
		delete(e.proofs, first.ID)
		e.do(Drop{Proof: first.ID})
	}
	e.proofs[pr.ID] = &pr
	e.do(Save{Proof: &pr})
	if p := e.peers[pr.Device]; p != nil {
		e.pass(p, &pr)
	}
}

// pass hands a proof to the depositor.
func (e *Engine) pass(p *peer, pr *Proof) {
	e.send(p, wire.Taken{ID: pr.ID[:], Secret: pr.Secret[:], Reply: pr.Reply})
}

// Proofs returns the proofs that wait for their depositors, in ascending order of
// envelope.
func (e *Engine) Proofs() (out []wire.Taken) {
	for _, id := range sortedKeys(e.proofs, compareIDs) {
		pr := e.proofs[id]
		out = append(out, wire.Taken{ID: pr.ID[:], Secret: pr.Secret[:], Reply: pr.Reply})
	}
	return out
}
