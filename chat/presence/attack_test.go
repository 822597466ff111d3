package presence

import (
	"bytes"
	"crypto/ed25519"
	"slices"
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

// relay makes alice and carol, who are contacts, and mallory between them.
func relay(t *testing.T) (w *world, a, m, c *node) {
	w = newWorld(t)
	a, m, c = w.node("alice"), w.node("mallory"), w.node("carol")
	friends(a, c)
	for _, n := range w.nodes {
		n.show(chat.Available)
	}
	w.link(a, m)
	w.link(m, c)
	w.run(2 * time.Minute)
	a.mustSee(c, true, "")
	return w, a, m, c
}

// forge returns what a malicious node makes of a frame.
func (w *world) forge(from *node, f func(to *node, f wire.Frame) wire.Frame) {
	forging := false
	from.mute = func(to *node, frame wire.Frame) bool {
		if forging {
			return false
		}
		forged := f(to, frame)
		if forged == nil {
			return true
		}
		forging = true
		w.send(from, to, forged)
		forging = false
		return true
	}
}

func TestAForgedBeatProvesNothing(t *testing.T) {
	w, a, m, c := relay(t)
	forged := 0
	w.forge(m, func(to *node, f wire.Frame) wire.Frame {
		if d, ok := f.(wire.PresenceDigest); ok && to == a && len(d.Beats) > 0 {
			d.Beats = bytes.Clone(d.Beats)
			for i := range d.Beats {
				if i%wire.BeatLine > wire.BeatName {
					d.Beats[i]++
				}
			}
			forged++
			return d
		}
		return f
	})
	w.unlink(m, c, false)
	w.run(6 * slotLength)
	a.mustSee(c, false, "")
	w.link(m, c) // carol is back, and mallory's lies of her are refused all the same
	w.run(4 * slotLength)
	a.mustSee(c, false, "")
	if forged == 0 || len(a.refused) == 0 || len(a.refused) > forged {
		t.Errorf("%d forgeries, refused %v", forged, a.refused)
	}
	m.mute = nil
	w.run(muteFor + 2*slotLength)
	a.mustSee(c, true, "")
}

// eavesdrop returns all records and beats that go from one node to another.
func (w *world) eavesdrop(from, to *node) *[]wire.Frame {
	var heard []wire.Frame
	w.hear = func(f, t *node, frame wire.Frame) {
		switch frame.(type) {
		case wire.PresenceRecords, wire.PresenceDigest:
			if f == from && t == to {
				heard = append(heard, frame)
			}
		}
	}
	return &heard
}

// replay has a node ask another, which answers with what was heard earlier.
func (w *world) replay(from, to *node, heard []wire.Frame) {
	p := to.peers[from.id]
	for _, f := range heard {
		switch f := f.(type) {
		case wire.PresenceDigest:
			p.asking = to.clock() // as if it had just asked
			w.send(from, to, f)
		case wire.PresenceRecords:
			for i := range f.Records {
				if id := nameOf(&f.Records[i]); p.asked[id.name()] == (question{}) && to.table.byID[id] == nil {
					p.asked[id.name()] = question{line: line{slot: 1}}
				}
			}
			w.send(from, to, f)
		}
		w.run(2 * delay)
	}
}

func TestABeatOfYesterdayProvesNothing(t *testing.T) {
	for _, after := range []time.Duration{5 * time.Minute, 24 * time.Hour} {
		w, a, m, c := relay(t)
		heard := w.eavesdrop(c, m)
		w.run(3 * time.Minute)
		c.show(chat.Busy) // another record, to be replayed with its beats
		w.run(3 * time.Minute)
		w.hear = nil
		if len(*heard) < 5 {
			t.Fatalf("%d frames were heard", len(*heard))
		}
		c.crash()
		w.run(after)
		a.mustSee(c, false, "")
		seen, before := a.sees(c).LastSeen, a.shown[c.id]
		w.replay(m, a, *heard)
		w.run(time.Minute)
		a.mustSee(c, false, "")
		if a.shown[c.id] != before || a.sees(c).LastSeen.After(seen) {
			t.Errorf("after %v it is seen at %v, before it was at %v", after, a.sees(c).LastSeen, seen)
		}
		newcomer := w.node("newcomer")
		newcomer.show(chat.Available)
		w.link(m, newcomer)
		w.replay(m, newcomer, *heard)
		w.run(time.Minute)
		newcomer.mustSee(c, false, "")
	}
}

// A relay that is the only way between two can hold back what it passes on, and so
// stretch a life by as much as clocks may differ.
func TestAWithheldBeatStretchesALifeByTheToleranceOfClocks(t *testing.T) {
	for hold := int64(1); hold <= 8; hold++ {
		w := newWorld(t)
		a, m, c := w.node("alice"), w.node("mallory"), w.node("carol")
		for _, n := range w.nodes {
			n.show(chat.Available)
		}
		// All of mallory's world lies in the past.
		m.skew = -time.Duration(hold) * slotLength
		type late struct {
			at time.Time
			f  wire.Frame
		}
		var held []late
		w.forge(m, func(to *node, f wire.Frame) wire.Frame {
			if _, ok := f.(wire.PresenceDigest); ok && to == a {
				held = append(held, late{w.now.Add(time.Duration(hold) * slotLength), f})
				return wire.PresenceDigest{Slot: f.(wire.PresenceDigest).Slot}
			}
			return f
		})
		w.link(a, m)
		w.link(m, c)
		step := func() {
			w.run(time.Second)
			for len(held) > 0 && !held[0].at.After(w.now) {
				a.peers[m.id].asking = a.clock()
				m.mute, held = nil, slices.Clone(held)
				a.do(Told{From: m.id, Frame: held[0].f})
				held = held[1:]
			}
			if m.mute == nil {
				w.forge(m, func(to *node, f wire.Frame) wire.Frame {
					if _, ok := f.(wire.PresenceDigest); ok && to == a {
						held = append(held, late{w.now.Add(time.Duration(hold) * slotLength), f})
						return wire.PresenceDigest{Slot: f.(wire.PresenceDigest).Slot}
					}
					return f
				})
			}
		}
		for range 600 {
			step()
		}
		c.crash()
		died := w.now
		for range 900 {
			step()
			if a.sees(c).Here && w.now.Sub(died) > time.Duration(aliveSlots+2+maxSkew)*slotLength {
				t.Fatalf("held back by %d slots, it is alive %v after its death", hold, w.now.Sub(died))
			}
		}
	}
}

func TestAnOlderRecordDoesNotReplaceANewerOne(t *testing.T) {
	w, a, m, c := relay(t)
	heard := w.eavesdrop(m, a)
	c.show(chat.Away)
	w.run(time.Minute)
	older := slices.Clone(*heard)
	c.show(chat.Busy)
	w.run(time.Minute)
	seq := a.devices[c.id].st.seq
	w.replay(m, a, older)
	if got := a.devices[c.id].st.seq; got != seq {
		t.Errorf("the record of %d counts, after that of %d", got, seq)
	}
	w.run(2 * slotLength)
	a.mustSee(c, true, "")
	// Who knows neither takes the old one, which nothing proves to be true any more.
	newcomer := w.node("newcomer")
	newcomer.show(chat.Available)
	w.run(3 * time.Minute)
	w.link(m, newcomer)
	for _, f := range older {
		if r, ok := f.(wire.PresenceRecords); ok {
			w.replay(m, newcomer, []wire.Frame{r})
		}
	}
	newcomer.mustSee(c, false, "")
	w.run(time.Minute)
	newcomer.mustSee(c, true, "") // by the newer one
}

// record returns a signed record of n with a chain of its own, as changed.
func (n *node) record(change func(*draft)) (wire.PresenceRecord, []beat) {
	d := draft{key: n.key, seq: uint64(chat.HLCOf(n.clock())), salt: bytes.Repeat([]byte{7}, saltSize), first: slotOf(n.clock()), reach: ReachEveryone, part: &part{State: 1}}
	beats := newChain(linkOf(n.id, d.salt), d.first, beat{1, 2, 3})
	d.anchor = beats[0]
	if change != nil {
		change(&d)
	}
	r, err := d.sign(n.cfg.Entropy)
	if err != nil {
		n.w.t.Fatal(err)
	}
	return r, beats
}

// mustRefuse has a node be told a record that a neighbour passes on.
func (n *node) mustRefuse(from *node, what string, r wire.PresenceRecord) {
	n.w.t.Helper()
	p := n.peers[from.id]
	p.asked[nameOf(&r).name()] = question{line: line{slot: 1}}
	before := len(n.refused)
	n.do(Told{From: from.id, Frame: wire.PresenceRecords{Records: []wire.PresenceRecord{r}}})
	if len(n.refused) != before+1 {
		n.w.t.Errorf("%s: not refused", what)
	}
	if n.table.byID[nameOf(&r)] != nil {
		n.w.t.Errorf("%s: passed on", what)
	}
	p.mutedUntil = time.Time{}
}

func TestRecordsThatBreakTheRulesAreRefused(t *testing.T) {
	w := newWorld(t)
	a, m, c := w.node("alice"), w.node("mallory"), w.node("carol")
	w.link(a, m)
	good, _ := c.record(nil)
	for what, change := range map[string]func(*wire.PresenceRecord){
		"another anchor":         func(r *wire.PresenceRecord) { r.Anchor = bytes.Repeat([]byte{1}, 16) },
		"another beginning":      func(r *wire.PresenceRecord) { r.First++ },
		"another device's chain": func(r *wire.PresenceRecord) { l := linkOf(m.id, bytes.Repeat([]byte{7}, saltSize)); r.Link = l[:] },
		"no body":                func(r *wire.PresenceRecord) { r.Body = []byte{0x80} },
		"another signature":      func(r *wire.PresenceRecord) { r.Body = bytes.Clone(r.Body); r.Body[len(r.Body)-1]++ },
	} {
		r := good
		change(&r)
		a.mustRefuse(m, what, r)
	}
	for what, change := range map[string]func(*draft){
		"no number":                  func(d *draft) { d.seq = 0 },
		"a number without next":      func(d *draft) { d.seq = uint64(chat.MaxHLC) + 1 },
		"a goodbye with a status":    func(d *draft) { d.bye = true },
		"a salt too short":           func(d *draft) { d.salt = d.salt[1:] },
		"a text too long":            func(d *draft) { d.part.Text = string(bytes.Repeat([]byte{'x'}, chat.MaxStatusText+1)) },
		"a time after the year 9999": func(d *draft) { d.part.Until = 1 << 50 },
	} {
		r, _ := c.record(change)
		a.mustRefuse(m, what, r)
	}
	a.mustRefuse(m, "nobody has asked", func() wire.PresenceRecord {
		a.do(Told{From: m.id, Frame: wire.PresenceRecords{Records: []wire.PresenceRecord{good}}})
		if len(a.refused) == 0 || a.table.byID[nameOf(&good)] != nil {
			t.Error("a record that nobody has asked for was taken")
		}
		bad := good
		bad.First += 2
		return bad
	}())
}

// Mallory signs a record of her own with carol's chain: carol's life proves nothing
// about hers.
func TestNobodyClaimsAnothersChain(t *testing.T) {
	w := newWorld(t)
	a, m, c := w.node("alice"), w.node("mallory"), w.node("carol")
	w.link(a, m)
	_, beats := c.record(nil)
	r, _ := m.record(func(d *draft) { d.anchor = beats[0] })
	p := a.peers[m.id]
	first := slotOf(a.clock())
	p.asked[nameOf(&r).name()] = question{line: line{slot: first + 1, beat: beats[1]}}
	a.do(Told{From: m.id, Frame: wire.PresenceRecords{Records: []wire.PresenceRecord{r}}})
	ch := a.table.byID[nameOf(&r)]
	if ch == nil {
		t.Fatal("the record was not taken")
	}
	w.run(2 * slotLength)
	for i := range 3 {
		if _, ok := a.beat(ch.id.name(), line{first + int64(i) + 1, beats[i+1]}); ok || ch.slot != first {
			t.Fatalf("a beat of carol's was taken for mallory's: %v, slot %d", ok, ch.slot-first)
		}
	}
}

func TestARevokedDeviceIsNotSeen(t *testing.T) {
	w, a, _, c := relay(t)
	delete(a.owners, c.id)
	a.do(Review{})
	a.mustSee(c, false, "")
	before := a.shown[c.id]
	c.show(chat.Busy)
	w.run(5 * time.Minute)
	a.mustSee(c, false, "")
	if a.shown[c.id] != before {
		t.Error("it was shown again")
	}
}

func TestARelayThatSaysNothingHidesNobodyWhomOthersSee(t *testing.T) {
	w, a, m, c := relay(t)
	b := w.node("bob")
	b.show(chat.Available)
	w.link(a, b)
	w.link(b, c)
	m.mute = func(*node, wire.Frame) bool { return true }
	before := a.shown[c.id]
	w.run(30 * time.Minute)
	a.mustSee(c, true, "")
	if n := a.shown[c.id] - before; n > 0 {
		t.Errorf("shown anew %d times", n)
	}
}

func TestWhoLiesIsNotHeardForAWhile(t *testing.T) {
	w, a, m, _ := relay(t)
	p := a.peers[m.id]
	lie := wire.PresenceDigest{Slot: uint64(slotOf(w.now)), Beats: make([]byte, 2*wire.BeatLine)}
	n := a.table.list[0].id.name()
	copy(lie.Beats, n[:])
	copy(lie.Beats[wire.BeatLine:], n[:])
	a.table.list[0].slot -= 2 // so that there is a newer one to be told of
	for range 10 {
		p.asking = w.now
		a.do(Told{From: m.id, Frame: lie})
	}
	if len(a.refused) != 1 {
		t.Errorf("refused %d times: each costs up to %d hashes", len(a.refused), chainSlots)
	}
}

func TestOneBeatIsTriedOnFewChains(t *testing.T) {
	var tab table
	tab.init()
	for i := range maxNamesakes + 3 {
		id := ID{1, 2, 3, 4, 5, 6, byte(i)}
		if ok := tab.add(&chain{id: id}); ok != (i < maxNamesakes) {
			t.Errorf("number %d: %v", i, ok)
		}
	}
}

// Identities are free: who invents chains drives out nobody's but what they have
// brought themselves.
func TestAFloodOfInventedChainsDrivesOutItsOwn(t *testing.T) {
	var tab table
	tab.init()
	honest, flooder := chat.DeviceID{1}, chat.DeviceID{2}
	id := func(by byte, i int) ID { return ID{by, byte(i >> 16), byte(i >> 8), byte(i)} }
	for i := range 1000 {
		tab.add(&chain{id: id(1, i), by: honest})
	}
	kept := &device{id: chat.DeviceID{9}, known: true, cared: true}
	tab.add(&chain{id: id(3, 0), by: flooder, device: kept})
	for i := range 2 * maxChains {
		tab.add(&chain{id: id(2, i), by: flooder})
	}
	if len(tab.list) > maxChains || tab.strange > maxChains*maxForeign/100 {
		t.Errorf("%d chains, %d of strangers", len(tab.list), tab.strange)
	}
	if tab.foreign[honest] != 1000 || kept.chain == nil {
		t.Errorf("%d of 1000 honest ones are left, a contact's: %v", tab.foreign[honest], kept.chain != nil)
	}
	// Others find room, in place of what was invented.
	late := 0
	for i := range 500 {
		if tab.add(&chain{id: id(4, i), by: chat.DeviceID{3}}) {
			late++
		}
	}
	for i := range maxChains {
		d := &device{id: chat.DeviceID{8, byte(i >> 8), byte(i)}, known: true, cared: true}
		if ok := tab.add(&chain{id: id(5, i), device: d}); !ok && tab.strange > 0 {
			t.Fatalf("no room for contact %d beside %d strangers", i, tab.strange)
		}
	}
	if late != 500 || len(tab.list) > maxChains {
		t.Errorf("%d of 500 newcomers found room; %d chains", late, len(tab.list))
	}
}

func TestWhatOneNeighbourBringsIsBounded(t *testing.T) {
	w := newWorld(t)
	a, m := w.node("alice"), w.node("mallory")
	w.link(a, m)
	p := a.peers[m.id]
	verified := 0
	a.cfg.Verify = func(_ ed25519.PublicKey, _, _ []byte) bool { verified++; return true }
	base, _ := m.record(nil)
	invent := func(i int) wire.PresenceRecord {
		r := base
		r.Sealed, r.Body = true, []byte{byte(i >> 8), byte(i), 1}
		return r
	}
	for i := range 2 * maxAsked {
		r := invent(i)
		p.asked[nameOf(&r).name()] = question{line: line{slot: 1}}
		a.do(Told{From: m.id, Frame: wire.PresenceRecords{Records: []wire.PresenceRecord{r}}})
	}
	if n := len(a.table.list); n != maxAsked {
		t.Errorf("%d records were taken at once, not %d", n, maxAsked)
	}
	w.run(time.Second)
	for i := range maxAsked {
		r := invent(2*maxAsked + i)
		p.asked[nameOf(&r).name()] = question{line: line{slot: 1}}
		a.do(Told{From: m.id, Frame: wire.PresenceRecords{Records: []wire.PresenceRecord{r}}})
	}
	if n := len(a.table.list) - maxAsked; n > recordRate {
		t.Errorf("%d records were taken in a second, over %d", n, recordRate)
	}
	for i := range 100 * ownBurst { // its own, each newer than the last
		r, _ := m.record(func(d *draft) { d.seq += uint64(i) })
		a.do(Told{From: m.id, Frame: wire.PresenceRecords{Records: []wire.PresenceRecord{r}}})
	}
	if verified > ownBurst {
		t.Errorf("%d of its own were taken, over %d", verified, ownBurst)
	}
	names := make([]byte, 0, 2*maxAsked*wire.BeatName)
	for i := range 2 * maxAsked {
		names = append(names, byte(i>>8), byte(i), 1, 1, 1, 1)
	}
	p.asked = map[name]question{}
	for b := range slices.Chunk(names, wire.BeatName) {
		d := wire.PresenceDigest{Slot: uint64(slotOf(w.now)), Beats: append(slices.Clone(b), make([]byte, wire.BeatLine-wire.BeatName)...)}
		p.asking = w.now
		a.do(Told{From: m.id, Frame: d})
	}
	if len(p.asked) != maxAsked {
		t.Errorf("%d records are waited for, not %d", len(p.asked), maxAsked)
	}
}
