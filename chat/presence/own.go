package presence

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

// own is what this device says of itself.
type own struct {
	want  *Own // what is to be said; nil for nothing any more
	dirty bool // it is not what was said
	seq   uint64
	chain *ownChain // nil while nothing is said
	// key opens the status; it is another one whenever somebody who has it may no
	// longer, and after an end that was not clean. holders are those who have it.
	key     *key
	holders map[chat.PersonID]struct{}

	bucket bucket
	signAt time.Time // when more may be said; zero if it may
}

// ownChain is what is said, and proves that it still is.
type ownChain struct {
	id       ID
	record   wire.PresenceRecord
	reach    Reach
	first    int64
	beats    []beat // from first on; the anchor alone after a goodbye
	bye      bool
	revealed int64 // the last slot whose beat may be known to others
}

const (
	// seqKey is where the number of the newest record is kept, in 8 bytes.
	seqKey = KeyPrefix + "seq"
	// holdersKey is where, from a clean end to the next start, the key is kept and who
	// has it. While the engine runs it is not: after a crash it might not be known of
	// somebody that they have it.
	holdersKey = KeyPrefix + "holders"
)

func (o *own) restore(kept map[string][]byte) {
	o.holders = map[chat.PersonID]struct{}{}
	o.bucket = newBucket(ownBurst / 2)
	if b := kept[seqKey]; len(b) == 8 {
		o.seq = min(binary.BigEndian.Uint64(b), uint64(chat.MaxHLC)-1)
	}
	const each = len(chat.PersonID{})
	if b := kept[holdersKey]; len(b) >= len(key{}) && (len(b)-len(key{}))%each == 0 {
		k := key(b)
		o.key = &k
		for b = b[len(k):]; len(b) > 0; b = b[each:] {
			o.holders[chat.PersonID(b)] = struct{}{}
		}
	}
}

// keepHolders has the key kept for the next start.
func (e *Engine) keepHolders() {
	if e.own.key == nil {
		return
	}
	b := slices.Clone(e.own.key[:])
	for _, who := range slices.SortedFunc(maps.Keys(e.own.holders), func(a, b chat.PersonID) int { return bytes.Compare(a[:], b[:]) }) {
		b = append(b, who[:]...)
	}
	e.do(Keep{Key: holdersKey, Value: b})
}

// setOwn takes what is to be said from now on.
func (e *Engine) setOwn(in Own) {
	if w := e.own.want; w != nil && w.Reach == in.Reach && w.Near == in.Near && w.offline() == in.offline() && *newPart(w) == *newPart(&in) {
		return
	}
	e.own.want, e.own.dirty = &in, true
}

func (o *Own) offline() bool { return o.Status.State == chat.Offline }

// tickOwn says what has changed, and begins a new chain where the old one can't go on.
func (e *Engine) tickOwn() {
	o := &e.own
	o.signAt = time.Time{}
	if o.want == nil {
		return
	}
	if c := o.chain; c != nil && !c.bye {
		slot := slotOf(e.now)
		// With the clock set back, beats of slots to come are known to others.
		if slot >= c.first+chainSlots-renewSlots || slot < c.revealed {
			o.dirty = true
		}
	}
	if !o.dirty {
		return
	}
	const rate = 1 / (2 * float64(ownEvery/time.Second))
	if !o.bucket.take(e.now, rate, ownBurst/2) {
		o.signAt = e.now.Add(time.Duration((1-o.bucket.tokens)/rate*float64(time.Second)) + time.Millisecond)
		return
	}
	if c := o.chain; c != nil && !c.bye && c.reach > o.want.Reach && o.want.Reach <= ReachHolders {
		e.farewell(!o.want.Near || o.want.offline())
	}
	if o.want.Reach == ReachNobody {
		o.chain, o.dirty = nil, false
		return
	}
	o.dirty = false
	if err := e.say(o.want.Reach, o.want.offline()); err != nil {
		o.dirty, o.signAt = true, e.now.Add(2*ownEvery)
	}
}

// farewell tells those who have learnt what this device shows, and are not to be told
// what follows, that it shows nothing any more; with bye, that it is gone.
func (e *Engine) farewell(bye bool) {
	c, err := e.newRecord(e.own.chain.reach, bye, nil)
	if err != nil {
		return // they find out by themselves
	}
	for _, p := range e.order {
		if e.shares(p) && (e.own.want.Reach == ReachNobody || !e.mayHold(p)) {
			p.record = c.id
			e.send(p, wire.PresenceRecords{Records: []wire.PresenceRecord{c.record}})
		}
	}
}

func (e *Engine) leave() {
	if c := e.own.chain; c != nil && !c.bye {
		_ = e.say(c.reach, true) // without randomness they find out by themselves
	}
	e.own.want = nil
	e.keepHolders()
}

// say signs a new record and gives it to all who may have it.
func (e *Engine) say(reach Reach, bye bool) error {
	var shown *part
	if !bye {
		shown = newPart(e.own.want)
	}
	c, err := e.newRecord(reach, bye, shown)
	if err != nil {
		return err
	}
	e.own.chain = c
	for _, p := range e.order {
		e.introduce(p)
	}
	e.soon()
	return nil
}

// newRecord signs a record of what is shown, nil for nothing, or of a goodbye.
func (e *Engine) newRecord(reach Reach, bye bool, shown *part) (*ownChain, error) {
	o := &e.own
	d := draft{key: e.cfg.Key, reach: reach, bye: bye, part: shown, first: slotOf(e.now), salt: make([]byte, saltSize)}
	var last beat
	if _, err := io.ReadFull(e.cfg.Entropy, d.salt); err != nil {
		return nil, fmt.Errorf("no randomness: %w", err)
	}
	if _, err := io.ReadFull(e.cfg.Entropy, last[:]); err != nil {
		return nil, fmt.Errorf("no randomness: %w", err)
	}
	if err := e.needKey(); err != nil {
		return nil, err
	}
	d.holder = o.key
	beats := []beat{last}
	if !bye {
		beats = newChain(linkOf(e.self, d.salt), d.first, last)
	}
	d.anchor = beats[0]
	d.seq = max(o.seq+1, uint64(chat.HLCOf(e.now)))
	r, err := d.sign(e.cfg.Entropy)
	if err != nil {
		return nil, err
	}
	o.seq = d.seq
	e.do(Keep{Key: seqKey, Value: binary.BigEndian.AppendUint64(nil, o.seq)})
	return &ownChain{id: nameOf(&r), record: r, reach: reach, first: d.first, beats: beats, bye: bye, revealed: d.first}, nil
}

func (e *Engine) needKey() error {
	if e.own.key != nil {
		return nil
	}
	var k key
	if _, err := io.ReadFull(e.cfg.Entropy, k[:]); err != nil {
		return fmt.Errorf("no randomness: %w", err)
	}
	e.own.key = &k
	return nil
}

// shares reports whether a neighbour may be given this device's record and beats.
func (e *Engine) shares(p *peer) bool {
	c := e.own.chain
	return c != nil && (c.reach >= ReachNamed || p.gave)
}

// mayHold reports whether a neighbour may have this device's key.
func (e *Engine) mayHold(p *peer) bool { return p.person == e.cfg.Person || e.cfg.May(p.person) }

// introduce gives a neighbour what it may have of this device and has not.
func (e *Engine) introduce(p *peer) {
	c := e.own.chain
	if c == nil {
		return
	}
	if !p.gave && c.reach < ReachEveryone && e.mayHold(p) {
		e.giveKey(p)
	}
	if e.shares(p) && p.record != c.id {
		p.record = c.id
		e.send(p, wire.PresenceRecords{Records: []wire.PresenceRecord{c.record}})
	}
}

// giveKey gives a neighbour the key, if there is one: else it comes with the next record.
func (e *Engine) giveKey(p *peer) {
	o := &e.own
	if _, has := o.holders[p.person]; !has && len(o.holders) >= maxHolders {
		e.dropOwnKey()
	}
	if o.key == nil {
		return
	}
	p.gave = true
	if p.person != e.cfg.Person {
		o.holders[p.person] = struct{}{}
	}
	e.send(p, wire.PresenceKey{Key: o.key[:]})
}

// dropOwnKey has another key made for the next record, which is due now.
func (e *Engine) dropOwnKey() {
	o := &e.own
	clear(o.holders)
	o.key, o.dirty = nil, o.want != nil
	for _, p := range e.order {
		p.gave = false
	}
}

// reviewOwn makes a new key where somebody who has the old one may no longer.
func (e *Engine) reviewOwn() {
	o := &e.own
	for who := range o.holders {
		if !e.cfg.May(who) {
			if c := o.chain; c != nil && !c.bye && c.reach == ReachHolders && o.want != nil {
				e.farewell(false) // what follows they can't read
			}
			e.dropOwnKey()
			break
		}
	}
	if o.key != nil {
		for _, p := range e.order {
			e.introduce(p)
		}
	}
}

// line returns the beat of this slot; false where there is none to give.
func (c *ownChain) line(slot int64) (line, bool) {
	if c.bye {
		return line{c.first, c.beats[0]}, slot-c.first <= aliveSlots
	}
	s := min(slot, c.first+chainSlots)
	if s < c.first {
		return line{}, false
	}
	c.revealed = max(c.revealed, s)
	return line{s, c.beats[s-c.first]}, true
}

// mentioned: somebody holds a record of this device that is newer than its own: a
// backup was restored, or the clock set back. The next one is newer still.
func (e *Engine) mentioned(seq uint64) {
	if seq > e.own.seq && seq < uint64(chat.MaxHLC) {
		e.own.seq, e.own.dirty = seq, e.own.want != nil
	}
}

// bucket is a token bucket.
type bucket struct {
	tokens float64
	at     time.Time
}

func newBucket(burst float64) bucket { return bucket{tokens: burst} }

// take takes a token, of which rate come in a second up to burst.
func (b *bucket) take(now time.Time, rate, burst float64) bool {
	if passed := now.Sub(b.at).Seconds(); !b.at.IsZero() && passed > 0 {
		b.tokens = min(burst, b.tokens+passed*rate)
	}
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
