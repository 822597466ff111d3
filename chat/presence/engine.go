package presence

import (
	"bytes"
	"crypto/ed25519"
	"maps"
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

// Engine holds what one node knows of who is here. It is not safe for concurrent use;
// one loop owns it.
type Engine struct {
	cfg     Config
	self    chat.DeviceID
	own     own
	devices map[chat.DeviceID]*device
	peers   map[chat.DeviceID]*peer
	order   []*peer // of peers, by device
	table   table

	swept    int64                // slot in which all was last looked through
	roundAt  time.Time            // when a neighbour is asked next; zero for never
	expireAt time.Time            // when something that a device shows ends, or before
	timed    map[*device]struct{} // whose view changes by itself soon
	keyed    []*device            // that have given their keys, by id
	kept     int                  // keys of others
	begun    bool

	now time.Time // of the input being handled
	out []Effect
}

// New returns an engine that knows of nobody.
func New(cfg Config) *Engine {
	if cfg.Verify == nil {
		cfg.Verify = ed25519.Verify
	}
	e := &Engine{cfg: cfg, devices: map[chat.DeviceID]*device{}, peers: map[chat.DeviceID]*peer{}, timed: map[*device]struct{}{}}
	copy(e.self[:], cfg.Key[ed25519.PrivateKeySize-ed25519.PublicKeySize:])
	e.table.init()
	e.own.restore(cfg.Kept)
	return e
}

// Handle applies one input and returns what must now be done, in order. It never
// blocks, and does not depend on map order.
func (e *Engine) Handle(now time.Time, in Input) []Effect {
	// What beats are measured by is the wall clock alone.
	leap := now.Round(0).Sub(e.now.Round(0))
	asleep := !e.now.IsZero() && (leap < -time.Second || leap > 2*slotLength+roundEvery)
	if e.now = now; asleep { // or the clock was set
		e.forgetSkew()
	}
	if !e.begun {
		e.begun = true
		e.begin()
	}
	switch in := in.(type) {
	case Connected:
		e.connected(in)
	case Disconnected:
		e.disconnected(in)
	case Told:
		if p := e.peers[in.From]; p != nil {
			e.told(p, in.Frame)
		}
	case Own:
		e.setOwn(in)
	case Review:
		e.review()
	case Leave:
		e.leave()
	case Tick:
	}
	e.tick()
	out := e.out
	e.out = nil
	return out
}

func (e *Engine) do(ef Effect) { e.out = append(e.out, ef) }

func (e *Engine) send(p *peer, f wire.Frame) { e.do(Send{To: p.id, Frame: f}) }

func (e *Engine) refuse(p *peer, err error) { e.do(Refuse{From: p.id, Err: err}) }

// NextTick returns when Tick is due next, zero for never.
func (e *Engine) NextTick() time.Time {
	var next time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	sooner(e.roundAt)
	sooner(e.expireAt)
	sooner(e.own.signAt)
	if e.own.chain != nil || len(e.table.list) > 0 {
		sooner(startOf(slotOf(e.now) + 1))
	}
	for d := range e.timed {
		sooner(d.timer(e.now))
	}
	return next
}

// tick does what is due.
func (e *Engine) tick() {
	for _, d := range e.sortedTimed() {
		if e.check(d); d.timer(e.now).IsZero() {
			delete(e.timed, d)
		}
	}
	if slot := slotOf(e.now); slot != e.swept {
		e.swept = slot
		e.sweep()
	} else if !e.expireAt.IsZero() && !e.now.Before(e.expireAt) {
		e.expire()
	}
	e.tickOwn()
	e.round()
}

// sweep looks all through, once in a slot: beats age by slots.
func (e *Engine) sweep() {
	slot := slotOf(e.now)
	for _, c := range slices.Clone(e.table.list) {
		d := c.device
		held := d != nil && (d.connected || !d.lost.IsZero() && slot <= slotOf(d.lost)+aliveSlots)
		if !held && !c.young(slot) {
			e.table.remove(c)
		}
	}
	e.expire()
	for _, p := range e.order {
		maps.DeleteFunc(p.asked, func(_ name, q question) bool { return e.now.Sub(q.at) >= answerWithin })
	}
	full := len(e.devices) > maxDevices
	for id, d := range e.devices {
		if d.forgotten(e.now, full) {
			e.dropKey(d)
			delete(e.devices, id)
			delete(e.timed, d)
		}
	}
	e.soon()
}

// expire looks through all devices, and finds out when something they show ends.
func (e *Engine) expire() {
	e.expireAt = time.Time{}
	for _, d := range e.sorted() {
		e.check(d)
		e.expires(d)
	}
}

// expires notes when something that a device shows ends.
func (e *Engine) expires(d *device) {
	if d.st.part == nil {
		return
	}
	s := d.st.part.status(e.now)
	for _, t := range []time.Time{s.Until, s.TextUntil} {
		if !t.IsZero() && (e.expireAt.IsZero() || t.Before(e.expireAt)) {
			e.expireAt = t
		}
	}
}

// forgetSkew unlearns how far others' clocks are from this one, and what was to be
// waited for by the old one.
func (e *Engine) forgetSkew() {
	for _, p := range e.order {
		p.asking, p.offered, p.answered, p.differs = time.Time{}, time.Time{}, time.Time{}, time.Time{}
		clear(p.asked)
		p.restsTo, p.mutedUntil, p.met = time.Time{}, time.Time{}, time.Time{}
	}
	for _, d := range e.devices {
		d.ahead = nil
	}
	e.table.forgetSkew()
	e.roundAt = time.Time{}
	e.soon()
}

// review asks anew who may know what, and who matters.
func (e *Engine) review() {
	for _, d := range e.sorted() {
		e.place(d)
		e.check(d)
	}
	e.reviewOwn()
}

func (e *Engine) sorted() []*device {
	out := make([]*device, 0, len(e.devices))
	for _, d := range e.devices {
		out = append(out, d)
	}
	slices.SortFunc(out, compareDevices)
	return out
}

func (e *Engine) sortedTimed() []*device {
	out := make([]*device, 0, len(e.timed))
	for d := range e.timed {
		out = append(out, d)
	}
	slices.SortFunc(out, compareDevices)
	return out
}

func compareDevices(a, b *device) int { return bytes.Compare(a.id[:], b.id[:]) }
