package presence

import (
	"encoding/binary"
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

// peer is a device that frames can be sent to.
type peer struct {
	id     chat.DeviceID
	device *device
	person chat.PersonID
	gave   bool // it has the key of this device
	record ID   // of this device that it was given

	mine, keys, records, given bucket

	heard, said summary // what it said that it knows, and what it was told
	differs     time.Time

	met      time.Time // when beats were last to be exchanged with it
	asking   time.Time // when it was sent a summary; zero once it has answered
	salt     uint64    // of that
	cells    int       // likewise
	offered  time.Time // when it was asked for beats; zero once it has brought them
	silent   int       // summaries that it has not answered
	restsTo  time.Time
	answered time.Time // when its last summary was answered

	asked      map[name]question // for records
	mutedUntil time.Time         // nothing is taken from it before
}

// question is for a record of which a beat has told.
type question struct {
	line
	at time.Time
}

// summary stands for all devices that a node knows to be alive.
type summary struct {
	valid bool
	root  ID
	near  bool
	// relays says that the node brings beats from some neighbours to others.
	relays bool
}

// line is a beat of a slot.
type line struct {
	slot int64
	beat beat
}

// offer is a chain as it is passed on: of this device, or another's.
type offer struct {
	id ID
	line
	cared bool
}

// soon has neighbours compared with, if they are not yet.
func (e *Engine) soon() {
	if e.roundAt.IsZero() && len(e.order) > 0 {
		e.roundAt = e.now.Add(time.Duration((0.2 + 0.8*e.cfg.Random.Float64()) * float64(roundEvery)))
	}
}

// live reports whether a device is here as far as its chain or its connection tells.
func (c *chain) live(slot int64) bool {
	d := c.device
	switch {
	case d != nil && d.st.bye:
		return false
	case d != nil && d.connected:
		return true
	}
	return c.age(slot) <= aliveSlots && (d == nil || c.proves(d.lost))
}

// sum returns the root of all that is alive here but this device, and whether all
// of it is in sight.
func (e *Engine) sum() (root ID, near bool) {
	slot := slotOf(e.now)
	near = true
	for _, c := range e.table.list {
		if c.live(slot) {
			root = root.xor(c.id)
			near = near && c.device != nil && c.device.connected
		}
	}
	return root, near
}

func (id ID) xor(o ID) ID {
	for i := range id {
		id[i] ^= o[i]
	}
	return id
}

// summaries works out what every neighbour would be told, each with this device or
// without it, and whether this node has to bring beats from some neighbours to others:
// it, or one of them, knows of devices out of its sight.
func (e *Engine) summaries() (of func(*peer) summary, active bool) {
	root, near := e.sum()
	rootFor := func(p *peer) ID {
		if e.shares(p) && !e.own.chain.bye {
			return root.xor(e.own.chain.id)
		}
		return root
	}
	for _, p := range e.order {
		active = active || p.heard.valid && !p.heard.near
		if !p.heard.valid || p.heard.root == rootFor(p) {
			p.differs = time.Time{}
			continue
		}
		if p.differs.IsZero() {
			p.differs = e.now
		}
		near = near && e.now.Sub(p.differs) < differFor
	}
	active = active || !near
	return func(p *peer) summary { return summary{true, rootFor(p), near, active} }, active
}

// settled reports whether a neighbour and this node know the same, and know that, and
// neither needs the beats of the other.
func (p *peer) settled(mine summary) bool {
	return !mine.relays && p.said == mine && p.heard.valid && p.heard.root == mine.root && !p.heard.relays
}

// round asks one neighbour what it knows, if it is time, and there is anything to learn
// or to tell.
func (e *Engine) round() {
	if e.roundAt.IsZero() || e.now.Before(e.roundAt) {
		return
	}
	e.roundAt = time.Time{}
	of, relays := e.summaries()
	var open []*peer
	var rest time.Time
	for _, p := range e.order {
		switch {
		case p.settled(of(p)):
		case e.now.Before(p.restsTo):
			if rest.IsZero() || p.restsTo.Before(rest) {
				rest = p.restsTo
			}
		default:
			open = append(open, p)
		}
	}
	if len(open) == 0 {
		e.roundAt = rest
		return
	}
	e.roundAt = e.now.Add(time.Duration((0.75 + 0.5*e.cfg.Random.Float64()) * float64(roundEvery)))
	if !relays { // what has changed takes a few bytes to tell, and may be known to all
		told := false
		for _, p := range open {
			if mine := of(p); p.heard.valid && p.said != mine {
				told = true
				e.compare(p, mine)
			}
		}
		if told {
			return
		}
	}
	// Whoever was met the longest ago; of several, any.
	turn := e.cfg.Random.IntN(len(open))
	p := open[turn]
	for i := range open {
		if o := open[(turn+i)%len(open)]; o.met.Before(p.met) {
			p = o
		}
	}
	if !p.asking.IsZero() {
		if p.silent++; p.silent >= patience {
			p.silent, p.asking, p.restsTo = 0, time.Time{}, e.now.Add(restFor)
			return
		}
	}
	p.met = e.now
	if mine := of(p); relays || p.heard.valid {
		e.ask(p, mine)
	} else {
		p.asking = e.now
		e.compare(p, mine)
	}
}

// compare tells a neighbour in brief what is known here.
func (e *Engine) compare(p *peer, mine summary) {
	p.said = mine
	e.send(p, wire.PresenceWant{Root: mine.root[:], Near: mine.near, Relays: mine.relays})
}

// ask tells a neighbour what is known here, to be told what is not.
func (e *Engine) ask(p *peer, mine summary) {
	p.said, p.asking, p.salt = mine, e.now, e.cfg.Random.Uint64()
	f := wire.PresenceWant{Root: mine.root[:], Near: mine.near, Relays: mine.relays, Salt: p.salt, Cells: e.cellsFor(p)}
	p.cells = 2 * len(f.Cells)
	e.send(p, f)
}

// each calls f for every chain whose beats a neighbour may be given, with its newest.
func (e *Engine) each(p *peer, f func(offer)) {
	slot := slotOf(e.now)
	if e.shares(p) {
		if l, ok := e.own.chain.line(slot); ok {
			f(offer{e.own.chain.id, l, true})
		}
	}
	for _, c := range e.table.list {
		if c.young(slot) && (c.device == nil || c.device != p.device) {
			f(offer{c.id, line{c.slot, c.beat}, !c.foreign()})
		}
	}
}

const (
	cellsPer = 8  // cells are a multiple of
	spare    = 31 // cells, so that few share one where there are few
	modulus  = 15 // a cell is 0 for nothing, or one more than a slot modulo this
)

// cellsFor sums up what is known here, under the salt of p: for each cell, the newest
// slot among the chains that fall into it.
func (e *Engine) cellsFor(p *peer) []byte {
	n := 0
	e.each(p, func(offer) { n++ })
	n = min((n+n/4+spare)/cellsPer*cellsPer, wire.MaxPresenceCells)
	newest := make([]int64, n)
	e.each(p, func(k offer) {
		i := cellOf(k.id, p.salt, n)
		newest[i] = max(newest[i], k.slot)
	})
	cells := make([]byte, n/2)
	for i, s := range newest {
		if s > 0 {
			cells[i/2] |= byte(1+s%modulus) << (4 * (i % 2))
		}
	}
	return cells
}

// cellOf returns into which of n cells a chain falls.
func cellOf(id ID, salt uint64, n int) int {
	x := binary.BigEndian.Uint64(id[:]) ^ salt
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return int((x ^ x>>31) % uint64(n))
}

// ahead returns by how many slots s is newer than what stands in a cell; less than 0
// if the cell is newer.
func ahead(s int64, cell byte) int64 {
	d := (s - int64(cell-1)) % modulus
	if d < 0 {
		d += modulus
	}
	if d > modulus/2 {
		return d - modulus
	}
	return d
}

// wanted takes a summary, and gives what its sender lacks.
func (e *Engine) wanted(p *peer, f wire.PresenceWant) {
	if len(f.Root) == len(ID{}) {
		p.heard = summary{true, ID(f.Root), f.Near, f.Relays}
		p.asking, p.silent, p.restsTo = time.Time{}, 0, time.Time{}
		e.soon()
	}
	if len(f.Records) > 0 {
		e.giveRecords(p, f.Records)
	}
	if len(f.Cells) > 0 {
		if e.now.Sub(p.answered) >= answerEvery {
			p.answered, p.met = e.now, e.now
			e.answer(p, f.Salt, f.Cells)
		}
		return
	}
	of, _ := e.summaries()
	if mine := of(p); len(f.Root) > 0 && p.said != mine {
		e.compare(p, mine)
	}
}

// answer gives what is newer here than in a summary, and asks for what is newer there.
func (e *Engine) answer(p *peer, salt uint64, cells []byte) {
	n := 2 * len(cells)
	at := func(i int) byte { return cells[i/2] >> (4 * (i % 2)) & 15 }
	newest := make([]int64, n)
	var give []offer
	e.each(p, func(k offer) {
		i := cellOf(k.id, salt, n)
		newest[i] = max(newest[i], k.slot)
		if c := at(i); c == 0 || ahead(k.slot, c) > 0 {
			give = append(give, k)
		}
	})
	ask := make([]byte, n/8)
	some := false
	for i, s := range newest {
		if c := at(i); c != 0 && (s == 0 || ahead(s, c) < 0) {
			ask[i/8] |= 1 << (i % 8)
			some = true
		}
	}
	f := e.pack(give)
	if some {
		f.Ask, p.offered = ask, e.now
	}
	e.send(p, f)
}

// pack makes a digest; where not all fits, of those whom this person wants to know of.
func (e *Engine) pack(give []offer) wire.PresenceDigest {
	if len(give) > wire.MaxBeats {
		turn := e.cfg.Random.IntN(len(give))
		give = slices.Concat(give[turn:], give[:turn])
		slices.SortStableFunc(give, func(a, b offer) int {
			switch {
			case a.cared == b.cared:
				return 0
			case a.cared:
				return -1
			}
			return 1
		})
		give = give[:wire.MaxBeats]
	}
	base := int64(0)
	for _, k := range give {
		base = max(base, k.slot)
	}
	f := wire.PresenceDigest{Slot: uint64(base), Beats: make([]byte, 0, len(give)*wire.BeatLine)}
	for _, k := range give {
		if base-k.slot > 255 {
			continue
		}
		n := k.id.name()
		f.Beats = append(f.Beats, n[:]...)
		f.Beats = append(f.Beats, byte(base-k.slot))
		f.Beats = append(f.Beats, k.beat[:]...)
	}
	return f
}

// digest takes beats that were asked for, and brings those that are asked for in turn.
func (e *Engine) digest(p *peer, f wire.PresenceDigest) {
	answer := !p.asking.IsZero() && e.now.Sub(p.asking) < answerWithin
	bringing := !p.offered.IsZero() && e.now.Sub(p.offered) < answerWithin
	if e.now.Before(p.mutedUntil) {
		p.asking, p.offered = time.Time{}, time.Time{}
	}
	if !answer && !bringing || e.now.Before(p.mutedUntil) {
		return
	}
	if bringing && f.Ask == nil {
		p.offered = time.Time{}
	} else {
		p.asking = time.Time{}
	}
	p.silent = 0
	var ask []byte
	for b := f.Beats; len(b) > 0; b = b[wire.BeatLine:] {
		n := name(b)
		l := line{int64(f.Slot) - int64(b[wire.BeatName]), beat(b[wire.BeatName+1 : wire.BeatLine])}
		switch unknown, ok := e.beat(n, l); {
		case !ok:
			e.refuse(p, invalid("a sign of life that is not true"))
			p.mutedUntil = e.now.Add(muteFor)
			return
		case unknown && len(p.asked) < maxAsked:
			at := p.asked[n].at
			if e.now.Sub(at) >= askAgain { // the answer was lost, or there was none
				ask, at = append(ask, n[:]...), e.now
			}
			p.asked[n] = question{l, at}
		}
	}
	for batch := range slices.Chunk(ask, wire.MaxPresenceNames*wire.BeatName) {
		e.send(p, wire.PresenceWant{Records: batch})
	}
	if answer && len(f.Ask) > 0 && len(f.Ask)*8 == p.cells {
		e.bring(p, f.Ask)
	}
}

// beat takes one. It reports whether its chain is not known here, and whether it is
// true as far as that can be told.
func (e *Engine) beat(n name, l line) (unknown, ok bool) {
	if c := e.own.chain; c != nil && c.id.name() == n {
		return false, true
	}
	chains := e.table.byName[n]
	if len(chains) == 0 {
		return l.slot <= slotOf(e.now)+2*maxSkew, true
	}
	for _, c := range chains {
		if !e.plausible(c, l.slot) {
			ok = true // old, or for others to judge
		} else if leads(c.link, l.slot, l.beat, c.slot, c.beat) {
			c.advance(l.slot, l.beat, slotOf(e.now))
			e.heardBeat(c)
			if c.device != nil {
				e.check(c.device)
			}
			return false, true
		}
	}
	return false, ok
}

// bring gives the newest beat of every cell that is asked for.
func (e *Engine) bring(p *peer, ask []byte) {
	best := make([]offer, p.cells)
	e.each(p, func(k offer) {
		i := cellOf(k.id, p.salt, p.cells)
		if ask[i/8]&(1<<(i%8)) != 0 && k.slot > best[i].slot {
			best[i] = k
		}
	})
	best = slices.DeleteFunc(best, func(k offer) bool { return k.slot == 0 })
	if len(best) > 0 {
		e.send(p, e.pack(best))
	}
}

// giveRecords gives records that are asked for by the names of their chains.
func (e *Engine) giveRecords(p *peer, names []byte) {
	var out []wire.PresenceRecord
	size := 0
	flush := func() {
		if len(out) > 0 {
			e.send(p, wire.PresenceRecords{Records: out})
		}
		out, size = nil, 0
	}
	give := func(r wire.PresenceRecord) {
		if !p.given.take(e.now, recordRate, maxAsked) {
			return
		}
		n := len(r.Body) + 64
		if size+n > chat.MaxFrame-64 || len(out) == wire.MaxPresenceRecords {
			flush()
		}
		out, size = append(out, r), size+n
	}
	for b := names; len(b) > 0; b = b[wire.BeatName:] {
		n := name(b)
		if e.shares(p) && e.own.chain.id.name() == n {
			give(e.own.chain.record)
		}
		for _, c := range e.table.byName[n] {
			give(c.record)
		}
	}
	flush()
}
