package presence

import (
	"bytes"
	"slices"
	"time"

	"earshot/chat"
)

// device is what is known of another one.
type device struct {
	id    chat.DeviceID
	owner chat.PersonID
	known bool // owner is whose it is
	cared bool // this person wants to know of them

	connected bool
	since     time.Time      // when it connected
	told      bool           // it has said something of itself since
	lost      time.Time      // when it was last connected, zero for never or while it is
	until     time.Time      // until when it may come back; zero for no longer
	losses    []time.Time    // the last flaps of them
	grace     time.Duration  // that the last was followed by
	ahead     *time.Duration // of its clock, as it has said

	seen  time.Time // of the newest evidence
	st    statement // of its newest record; seq is 0 before the first
	chain *chain    // of that record, while it is in the table
	key   *key      // to what it shows
	kept  bool      // key is kept for the next start
	shown View      // when Show was last said
}

// deviceOf returns what is known of a device, if need be nothing.
func (e *Engine) deviceOf(id chat.DeviceID) *device {
	d := e.devices[id]
	if d == nil {
		d = &device{id: id}
		e.devices[id] = d
		e.place(d)
	}
	return d
}

// place notes whose a device is.
func (e *Engine) place(d *device) {
	if d.chain != nil && d.chain.foreign() {
		e.table.uncount(d.chain)
	}
	d.owner, d.known = e.cfg.Owner(d.id)
	d.cared = d.known && (d.owner == e.cfg.Person || e.cfg.Cares(d.owner))
	if d.chain != nil && d.chain.foreign() {
		e.table.count(d.chain)
	}
	if !d.cared && !d.connected {
		e.dropKey(d)
	} else if d.key != nil && d.cared != d.kept {
		e.keepKey(d)
	}
}

// forgotten reports whether nothing of a device matters any more: what it said last is
// too old to be passed off as new.
func (d *device) forgotten(now time.Time, full bool) bool {
	return !d.connected && d.chain == nil && !now.Before(d.until) && (!d.cared || full)
}

func (e *Engine) connected(in Connected) {
	d := e.deviceOf(in.Device)
	if d.known && d.owner != in.Person || !d.known {
		e.place(d)
	}
	ahead := in.Ahead
	d.ahead = &ahead
	if d.chain != nil {
		d.chain.skewed(ahead)
	}
	if !d.connected {
		// Who was not here before may be about to say that they appear to be gone.
		d.told = d.view(e.now).Here
		d.connected, d.since, d.until = true, e.now, time.Time{}
		e.timed[d] = struct{}{}
	}
	p := e.peers[in.Device]
	if p == nil {
		p = &peer{id: in.Device, device: d, asked: map[name]question{}, mine: newBucket(ownBurst), keys: newBucket(ownBurst), records: newBucket(maxAsked), given: newBucket(maxAsked)}
		e.peers[in.Device] = p
		i, _ := slices.BinarySearchFunc(e.order, p, comparePeers)
		e.order = slices.Insert(e.order, i, p)
	}
	p.person, p.gave, p.record = in.Person, false, ID{} // what was on its way may be lost
	p.heard, p.said = summary{}, summary{}
	e.introduce(p)
	e.soon()
	e.check(d)
}

func (e *Engine) disconnected(in Disconnected) {
	if p := e.peers[in.Device]; p != nil {
		delete(e.peers, in.Device)
		i, _ := slices.BinarySearchFunc(e.order, p, comparePeers)
		e.order = slices.Delete(e.order, i, i+1)
	}
	d := e.devices[in.Device]
	switch {
	case d == nil || !d.connected && !in.Clean:
		return
	case !d.connected: // what it said was on its way when the connection broke
		d.until = time.Time{}
	default:
		if d.connected, d.lost = false, e.now; !d.st.bye {
			d.seen = e.now
		}
		if !in.Clean {
			d.until = e.now.Add(d.patience(e.now))
			e.timed[d] = struct{}{}
		}
	}
	e.place(d)
	e.soon()
	e.check(d)
}

// patience notes that a connection broke, and returns how long the device may take to
// come back: the longer the more often that has happened.
func (d *device) patience(now time.Time) time.Duration {
	n := len(d.losses)
	wait := grace
	switch {
	case n > 0 && d.grace > grace && now.Sub(d.losses[n-1]) < flapTime+d.grace:
		wait = min(2*d.grace, maxGrace)
	case n >= flaps-1 && now.Sub(d.losses[n-(flaps-1)]) < flapTime:
		wait = firstGrace
	}
	if d.losses = append(d.losses, now); len(d.losses) > flaps {
		d.losses = d.losses[1:]
	}
	d.grace = wait
	return wait
}

// timer returns when the view of a device changes by itself soon; zero for no time.
func (d *device) timer(now time.Time) time.Time {
	for _, t := range []time.Time{d.settles(), d.doubted(), d.until} {
		if t.After(now) {
			return t
		}
	}
	return time.Time{}
}

// settles is when a device counts as here that says nothing of itself.
func (d *device) settles() time.Time {
	if !d.connected {
		return time.Time{}
	}
	return d.since.Add(settling)
}

// doubted is when a device that may come back counts as one that may not.
func (d *device) doubted() time.Time {
	if d.until.IsZero() {
		return time.Time{}
	}
	return d.lost.Add(grace)
}

// Device returns what is known of a device; false for one that was never heard of.
func (e *Engine) Device(id chat.DeviceID) (View, bool) {
	d := e.devices[id]
	if d == nil {
		return View{}, false
	}
	return d.view(e.now), true
}

// view says what the evidence comes to.
func (d *device) view(now time.Time) View {
	v := View{LastSeen: d.seen}
	switch {
	case d.st.bye, !d.known: // whoever holds one that is nobody's any more is a stranger
		return v
	case d.connected:
		v.Here = d.told || !now.Before(d.settles())
	case now.Before(d.until):
		v.Here, v.Suspect = true, !now.Before(d.doubted())
	}
	if c := d.chain; c != nil && !d.connected && c.proves(d.lost) {
		if age := c.age(slotOf(now)); age <= aliveSlots {
			sure := age <= freshSlots || v.Here && !v.Suspect
			v.Here, v.Suspect = true, !sure
		}
	}
	if d.connected && v.Here {
		v.LastSeen = now
	}
	if d.st.part == nil {
		return v
	}
	v.Status = d.st.part.status(now)
	if d.st.part.Chosen > 0 {
		v.Chosen = chat.HLC(d.st.part.Chosen).Time()
	}
	if !v.Here {
		v.Status = chat.Status{Text: v.Status.Text, TextUntil: v.Status.TextUntil}
	}
	return v
}

// check says that a device is shown otherwise than before, if it is.
func (e *Engine) check(d *device) {
	v := d.view(e.now)
	if v.LastSeen = (time.Time{}); v != d.shown {
		d.shown = v
		e.do(Show{Device: d.id})
	}
}

func comparePeers(a, b *peer) int { return bytes.Compare(a.id[:], b.id[:]) }
