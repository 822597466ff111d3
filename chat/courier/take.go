package courier

import (
	"slices"

	"earshot/chat"
	"earshot/chat/identity"
	"earshot/chat/wire"
)

// This file is what others hold for this person.

// announced: a device holds something under tags.
func (e *Engine) announced(p *peer, f wire.Announce) {
	p.keeper = f.Keeper
	if !f.Full {
		p.busy = minTime(p.busy, e.now)
	}
	if f.Anew {
		clear(p.tags)
		p.whole = true
	}
	var mine []byte
	for b := f.Tags; len(b) > 0; b = b[len(Tag{}):] {
		t := Tag(b[:len(Tag{})])
		if len(p.tags) < maxTagsOf {
			p.tags[t] = struct{}{}
		} else {
			p.whole = false
		}
		if len(e.tags[t]) > 0 {
			mine = append(mine, t[:]...)
		}
	}
	e.seek(p, mine)
	if p.whole && !f.More {
		e.lost(p)
	}
	e.giveAll()
}

// seek asks a device what it holds under tags.
func (e *Engine) seek(p *peer, tags []byte) {
	for len(tags) > 0 {
		n := min(len(tags), wire.MaxSought*len(Tag{}))
		e.send(p, wire.Seek{Tags: tags[:n]})
		tags = tags[n:]
	}
}

// seekAgain asks for what was announced before it was known to be this person's.
func (e *Engine) seekAgain() {
	for _, p := range e.sortedPeers() {
		var mine []byte
		for _, t := range sortedKeys(p.tags, compareTags) {
			if len(e.tags[t]) > 0 {
				mine = append(mine, t[:]...)
			}
		}
		e.seek(p, mine)
	}
}

// foundAt: a device says what it holds.
func (e *Engine) foundAt(p *peer, f wire.Found) {
	for _, l := range f.Envelopes {
		id := ID(l.ID)
		if len(e.tags[Tag(l.Tag)]) == 0 || e.parcels[id] != nil {
			continue // nobody asked, or it is what this person left for others
		}
		if a := e.arrivals[id]; a != nil {
			e.thank(p, a)
			continue
		}
		if at, again := e.tried[id]; again && e.now.Sub(at) < retryTake || len(p.found) >= maxFoundOf {
			continue
		}
		if !slices.ContainsFunc(p.found, func(have wire.FoundEnvelope) bool { return ID(have.ID) == id }) {
			p.found = append(p.found, l)
		}
	}
	e.takeMore(p)
}

// thank tells who holds an envelope that it has arrived, if they are to know.
func (e *Engine) thank(p *peer, a *Arrival) {
	if a.Secret != ([32]byte{}) {
		e.send(p, wire.Taken{ID: a.ID[:], Secret: a.Secret[:], Reply: a.Reply})
	}
}

// takeMore asks a device for the next envelopes, as long as few are on their way. What
// another brings is not asked for.
func (e *Engine) takeMore(p *peer) {
	var lines []wire.TakeEnvelope
	var rest []wire.FoundEnvelope
	for _, l := range p.found {
		id := ID(l.ID)
		rooms := e.tags[Tag(l.Tag)]
		switch {
		case e.arrivals[id] != nil:
			e.thank(p, e.arrivals[id])
		case len(rooms) == 0: // no room of this person's any more
		case len(p.taking) >= takeAtOnce || e.underWay(id):
			rest = append(rest, l)
		default:
			// Of two rooms with one tag, which is one chance in 2^64, the first is tried.
			proof := rooms[0].proof(Salt(l.Salt))
			lines = append(lines, wire.TakeEnvelope{ID: l.ID, Proof: proof[:]})
			p.taking[id] = e.now
		}
	}
	p.found = rest
	if len(lines) > 0 {
		e.send(p, wire.Take{Envelopes: lines})
	}
}

// underWay reports whether an envelope is being brought, or stored.
func (e *Engine) underWay(id ID) bool {
	if _, yes := e.opening[id]; yes {
		return true
	}
	for _, p := range e.peers {
		if _, yes := p.taking[id]; yes {
			return true
		}
	}
	return false
}

// handedOver takes an envelope that was asked for.
func (e *Engine) handedOver(p *peer, f wire.HandOver) {
	id := ID(f.ID)
	if _, asked := p.taking[id]; !asked {
		return // for too long: it has been asked for elsewhere
	}
	if f.Box == nil {
		delete(p.taking, id)
		e.takeMore(p)
		return
	}
	env, err := handedOver(&f)
	if err == nil {
		err = e.open(&env, opening{from: p.device})
	}
	delete(p.taking, id)
	if err != nil {
		e.refuse(p, err)
		e.takeMore(p)
	}
}

// open has the entries of an envelope stored.
func (e *Engine) open(env *Envelope, o opening) error {
	err := error(invalid("an envelope for nobody here"))
	for _, r := range e.tags[env.Tag] {
		var content wire.Packet
		if content, err = r.Open(env); err != nil {
			continue
		}
		if lockOf(r.proof(env.Salt)) != env.Lock {
			return invalid("an envelope with another's lock")
		}
		o.room, o.salt, o.expires = r, env.Salt, minTime(env.Expires, e.now.Add(MaxLifetime))
		e.opening[env.ID] = o
		e.do(Open{From: o.from, ID: env.ID, Room: r.ID, Entries: content.Entries})
		return nil
	}
	return err
}

// forMe takes an envelope that was brought here to be held, and is for this person.
func (e *Engine) forMe(env *Envelope, from chat.DeviceID) bool {
	if len(e.tags[env.Tag]) == 0 {
		return false
	}
	if e.arrivals[env.ID] != nil || e.underWay(env.ID) {
		return true
	}
	if err := e.open(env, opening{from: from, by: env.By.Device}); err != nil {
		if p := e.peers[from]; p != nil {
			e.refuse(p, err)
		}
	}
	return true
}

// opened: what came in an envelope is on the disk.
func (e *Engine) opened(in Opened) {
	o, ok := e.opening[in.ID]
	if !ok {
		return
	}
	delete(e.opening, in.ID)
	if in.Whole {
		e.arrived(in, o)
	} else {
		if len(e.tried) >= maxFoundOf {
			clear(e.tried)
		}
		e.tried[in.ID] = e.now
	}
	for _, p := range e.sortedPeers() {
		e.takeMore(p)
	}
}

// arrived remembers an envelope, and has whoever holds it let go of it.
func (e *Engine) arrived(in Opened, o opening) {
	a := Arrival{ID: in.ID, Expires: o.expires}
	if o.room.direct() {
		a.Secret = o.room.secret(o.salt)
		if in.Reply != nil && len(in.Reply) <= MaxPlainReply {
			if sealed, err := o.room.sealReply(e.cfg.Random, o.salt, in.Reply); err == nil {
				a.Reply = sealed
			}
		}
	}
	if len(e.arrivals) >= MaxArrivals {
		ids := sortedKeys(e.arrivals, compareIDs)
		first := slices.MinFunc(ids, func(a, b ID) int { return e.arrivals[a].Expires.Compare(e.arrivals[b].Expires) })
		delete(e.arrivals, first)
		e.do(Drop{Arrival: first})
	}
	e.arrivals[a.ID] = &a
	e.do(Save{Arrival: &a})
	if p := e.peers[o.from]; p != nil {
		e.thank(p, &a)
	}
	if !o.by.IsZero() && a.Secret != ([32]byte{}) { // there is no courier who passes it on
		e.note(Proof{ID: a.ID, Device: o.by, Secret: a.Secret, Reply: a.Reply, Expires: a.Expires})
	}
}

// carriedIn takes an envelope that came on foot, verified.
func (e *Engine) carriedIn(in CarriedIn) {
	env := &in.Envelope
	_, storing := e.keeping[env.ID]
	switch {
	case env.By.Device == e.cfg.Device || e.held[env.ID] != nil && !storing:
		e.do(Judged{ID: env.ID, Says: wire.AnswerNoted}) // nothing new
	case storing:
		e.do(Judged{ID: env.ID, Says: wire.AnswerNoted})
	case len(e.tags[env.Tag]) > 0:
		if e.arrivals[env.ID] != nil || e.underWay(env.ID) {
			e.do(Judged{ID: env.ID, Says: wire.AnswerNoted})
			return
		}
		if err := e.open(env, opening{by: env.By.Device}); err != nil {
			e.do(Judged{ID: env.ID, Says: wire.AnswerRefused})
		}
	default:
		says, evicted := e.judge(env, in.Standing, nil)
		if says != wire.AnswerKept {
			e.do(Judged{ID: env.ID, Says: says})
			return
		}
		e.keep(env, in.Standing, chat.DeviceID{}, evicted)
	}
}

// CarriedFrom reads what a Deposit in a carried file brings, with all signatures
// checked, and who left it.
func CarriedFrom(f wire.Deposit) (Envelope, identity.Certificate, error) {
	env, err := Parse(f.Envelope)
	if err == nil {
		err = env.Verify()
	}
	return env, env.By, err
}
