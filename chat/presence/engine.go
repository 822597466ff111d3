package presence

import (
	"bytes"
	"crypto/ed25519"
	"slices"
	"time"

	"earshot/chat"
)

// Engine holds what one node knows of who is here. It is not safe for concurrent use;
// one loop owns it.
type Engine struct {
	cfg     Config
	self    chat.DeviceID
	devices map[chat.DeviceID]*device

	now time.Time // of the input being handled
	out []Effect
}

// device is what is known of another.
type device struct {
	id        chat.DeviceID
	connected bool
	lostAt    time.Time // when the connection was lost without a goodbye; zero otherwise
	seen      time.Time
}

// New returns an engine that knows of nobody.
func New(cfg Config) *Engine {
	e := &Engine{cfg: cfg, devices: map[chat.DeviceID]*device{}}
	copy(e.self[:], cfg.Key[ed25519.PrivateKeySize-ed25519.PublicKeySize:])
	return e
}

// Handle applies one input and returns what must now be done, in order. It never
// blocks, and does not depend on map order.
func (e *Engine) Handle(now time.Time, in Input) []Effect {
	e.now = now
	switch in := in.(type) {
	case Connected:
		d := e.devices[in.Device]
		if d == nil {
			d = &device{id: in.Device}
			e.devices[in.Device] = d
		}
		d.connected, d.lostAt, d.seen = true, time.Time{}, now
		e.do(Show{Device: in.Device})
	case Disconnected:
		if d := e.devices[in.Device]; d != nil && d.connected {
			d.connected, d.seen = false, now
			if !in.Clean {
				d.lostAt = now
			}
			e.do(Show{Device: in.Device})
		}
	case Tick:
		for _, d := range e.sorted() {
			if !d.lostAt.IsZero() && !now.Before(d.lostAt.Add(grace)) {
				d.lostAt = time.Time{}
				e.do(Show{Device: d.id})
			}
		}
	}
	out := e.out
	e.out = nil
	return out
}

const grace = 2 * time.Second

func (e *Engine) do(ef Effect) { e.out = append(e.out, ef) }

func (e *Engine) sorted() []*device {
	out := make([]*device, 0, len(e.devices))
	for _, d := range e.devices {
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b *device) int { return bytes.Compare(a.id[:], b.id[:]) })
	return out
}

// NextTick returns when Tick is due next, zero for never.
func (e *Engine) NextTick() time.Time {
	var next time.Time
	for _, d := range e.devices {
		if at := d.lostAt.Add(grace); !d.lostAt.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

// Device returns what is known of a device; false for one that was never heard of.
func (e *Engine) Device(id chat.DeviceID) (View, bool) {
	d := e.devices[id]
	if d == nil {
		return View{}, false
	}
	v := View{Here: d.connected || !d.lostAt.IsZero(), LastSeen: d.seen}
	if d.connected {
		v.LastSeen = e.now
	}
	return v, true
}
