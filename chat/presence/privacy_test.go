package presence

import (
	"bytes"
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

// heardBy returns the bytes of every frame that a node is sent, one behind the other.
func (w *world) heardBy(n *node) *[]byte {
	var all []byte
	w.hear = func(_, to *node, f wire.Frame) {
		if to == n {
			all = append(all, wire.EncodeFrame(f)...)
		}
	}
	return &all
}

func TestAStrangerLearnsNoStatus(t *testing.T) {
	w := newWorld(t)
	a, s := w.node("alice"), w.node("stranger")
	heard := w.heardBy(s)
	a.showTo(ReachNamed, chat.Status{State: chat.Busy, Text: "a secret of mine"})
	s.show(chat.Available)
	w.link(a, s)
	w.run(time.Minute)
	s.mustSee(a, true, "")
	if bytes.Contains(*heard, []byte("secret")) || bytes.Contains(*heard, a.own.key[:]) {
		t.Error("a stranger was sent it")
	}
	// Where presence is for everyone, they do.
	a.showTo(ReachEveryone, chat.Status{State: chat.Busy, Text: "no secret"})
	w.run(2*ownEvery + delay)
	s.mustSee(a, true, chat.Busy)
}

func TestWhoBecomesAContactSeesTheStatus(t *testing.T) {
	w := newWorld(t)
	a, b := w.node("alice"), w.node("bob")
	a.show(chat.Busy)
	b.show(chat.Busy)
	w.link(a, b)
	w.run(time.Minute)
	b.mustSee(a, true, "")
	a.may[b.person] = true
	a.do(Review{})
	w.run(delay)
	b.mustSee(a, true, chat.Busy)
	a.mustSee(b, true, "")
}

func TestWhoMayNoLongerSeeLearnsNothingNew(t *testing.T) {
	w := newWorld(t)
	a, b, c := w.node("alice"), w.node("bob"), w.node("carol")
	friends(a, b, c)
	a.show(chat.Available)
	w.linkAll(a, b, c)
	w.run(time.Second)
	b.mustSee(a, true, chat.Available)
	old := *a.own.key

	heard := w.heardBy(b)
	a.may[b.person] = false
	a.do(Review{})
	a.showTo(ReachNamed, chat.Status{State: chat.InMeeting, Text: "about bob"})
	w.run(2*ownEvery + delay)
	c.mustSee(a, true, chat.InMeeting)
	b.mustSee(a, true, "")
	if *a.own.key == old || bytes.Contains(*heard, a.own.key[:]) || bytes.Contains(*heard, []byte("about bob")) {
		t.Error("the key is not another one, or was given to who may not have it")
	}
	ch := b.devices[a.id].chain
	st, _, err := read(&ch.record)
	if err != nil {
		t.Fatal(err)
	}
	if st.unlock(&ch.record, &old); st.part != nil {
		t.Error("the old key opens the new status")
	}
}

// Who shows themselves to contacts only is passed on by strangers who can't tell whose
// life they pass on.
func TestARecordForHoldersTellsOthersNothing(t *testing.T) {
	w := newWorld(t)
	// a - b - s - c: bob and carol are alice's contacts, s is not.
	a, b, s, c := w.node("alice"), w.node("bob"), w.node("stranger"), w.node("carol")
	friends(a, b, c)
	heard := w.heardBy(s)
	for _, n := range []*node{b, s, c} {
		n.show(chat.Available)
	}
	a.showTo(ReachHolders, chat.Status{State: chat.Busy, Text: "a secret of mine"})
	w.link(a, c) // who is given the key
	w.run(time.Second)
	w.unlink(a, c, false)
	w.link(a, b)
	w.link(b, s)
	w.link(s, c)
	w.run(6 * time.Minute)
	b.mustSee(a, true, chat.Busy)
	c.mustSee(a, true, chat.Busy)
	if _, known := s.Device(a.id); known {
		t.Error("a stranger knows of her device")
	}
	for what, secret := range map[string][]byte{"device": a.id[:], "person": a.person[:], "text": []byte("secret"), "key": a.own.key[:]} {
		if bytes.Contains(*heard, secret) {
			t.Errorf("a stranger was sent her %s", what)
		}
	}
	var passed bool
	for _, ch := range s.table.list {
		passed = passed || ch.record.Sealed
	}
	if !passed {
		t.Error("the stranger passes nothing on")
	}
	a.crash()
	w.run(6 * slotLength)
	c.mustSee(a, false, "")
}

// The device gives its own sealed record and beats to nobody but holders: else whom
// they come from would tell whose they are.
func TestWhoMayNotKnowIsGivenNothingByTheDeviceItself(t *testing.T) {
	w := newWorld(t)
	a, s := w.node("alice"), w.node("stranger")
	heard := w.heardBy(s)
	a.showTo(ReachHolders, chat.Status{State: chat.Busy})
	s.show(chat.Available)
	w.link(a, s)
	w.run(5 * time.Minute)
	id := a.own.chain.id
	if bytes.Contains(*heard, id[:wire.BeatName]) || bytes.Contains(*heard, a.own.chain.record.Body) {
		t.Error("a stranger was given her record")
	}
}

func TestNothingIsSaidToAnybodyByWhoIsInvisible(t *testing.T) {
	w := newWorld(t)
	a, b, s := w.node("alice"), w.node("bob"), w.node("stranger")
	friends(a, b)
	for _, n := range w.nodes {
		n.show(chat.Available)
	}
	w.linkAll(a, b, s)
	w.run(time.Minute)
	a.showTo(ReachNobody, chat.Status{State: chat.Available})
	w.run(delay)
	b.mustSee(a, false, "") // told goodbye
	s.mustSee(a, false, "")
	said := a.own.seq
	var heard int
	w.hear = func(from, _ *node, f wire.Frame) {
		if _, ok := f.(wire.PresenceRecords); ok && from == a {
			heard++
		}
	}
	a.showTo(ReachNobody, chat.Status{State: chat.Busy})
	w.run(10 * time.Minute)
	if a.own.seq != said || a.own.chain != nil || heard > 0 {
		t.Error("it says something all the same")
	}
}

// A device that shows itself to fewer says goodbye to the others, and they can't tell
// its next chain from any other.
func TestWhoIsNoLongerShownSeesAGoodbye(t *testing.T) {
	w := newWorld(t)
	a, b, s := w.node("alice"), w.node("bob"), w.node("stranger")
	friends(a, b)
	for _, n := range w.nodes {
		n.show(chat.Available)
	}
	w.linkAll(a, b, s)
	w.run(time.Minute)
	before := b.shown[a.id]
	a.showTo(ReachHolders, chat.Status{State: chat.Busy})
	w.run(2*ownEvery + delay)
	s.mustSee(a, false, "")
	b.mustSee(a, true, chat.Busy)
	w.run(5 * time.Minute)
	s.mustSee(a, false, "")
	if n := b.shown[a.id] - before; n != 1 {
		t.Errorf("who still may know was shown it anew %d times", n)
	}
}

func TestChainsOfOneDeviceCannotBeLinked(t *testing.T) {
	w := newWorld(t)
	a, b := w.node("alice"), w.node("bob")
	friends(a, b)
	w.link(a, b)
	seen := map[string]bool{}
	for range 5 {
		a.showTo(ReachHolders, chat.Status{State: chat.Busy, Since: w.now})
		w.run(time.Minute)
		r := a.own.chain.record
		id := a.own.chain.id
		for _, part := range [][]byte{id[:], r.Link, r.Anchor, r.Body[:12]} {
			if seen[string(part)] {
				t.Errorf("%x occurs twice", part)
			}
			seen[string(part)] = true
		}
		if len(r.Body) != len(a.own.chain.record.Body) {
			t.Error("the length tells")
		}
		a.start() // its key is another one after a restart
		w.unlink(a, b, false)
		w.link(a, b)
	}
}

// Who was given the key before a restart of either reads on after it, however far away
// they are by then; unless they may no longer, or it is not known who has it.
func TestTheKeyIsTheSameAfterACleanRestart(t *testing.T) {
	for _, c := range []struct {
		what  string
		end   func(a *node)
		reads bool
	}{
		{"a clean end", func(a *node) { a.leaveAll() }, true},
		{"a crash", (*node).crash, false},
		{"an end, and bob may no longer", func(a *node) { a.leaveAll(); a.may[personOf("bob")] = false }, false},
	} {
		w := newWorld(t)
		a, s, b := w.node("alice"), w.node("stranger"), w.node("bob")
		friends(a, b)
		for _, n := range w.nodes {
			n.show(chat.Available)
		}
		w.link(a, b)
		w.run(time.Second)
		c.end(a)
		b.leaveAll()
		w.run(time.Minute)
		for _, n := range []*node{a, b} {
			n.start()
			n.show(chat.Busy)
		}
		if _, kept := a.kept[holdersKey]; kept && a.kept[holdersKey] != nil {
			t.Errorf("after %s: the key is kept while it is in use", c.what)
		}
		w.link(a, s)
		w.link(s, b)
		w.run(2 * time.Minute)
		if v := b.sees(a); !v.Here || (v.Status.State == chat.Busy) != c.reads {
			t.Errorf("after %s: seen as %+v", c.what, v)
		}
	}
}

func TestKeysOfOthersAreKeptWithinBounds(t *testing.T) {
	w := newWorld(t)
	a := w.node("alice")
	for i := range maxKeys + 10 {
		d := a.deviceOf(chat.DeviceID{1, byte(i >> 8), byte(i)})
		d.cared = true
		a.setKey(d, key{1})
		a.keepKey(d)
	}
	if a.Engine.kept != maxKeys {
		t.Errorf("%d keys are kept", a.Engine.kept)
	}
	d := a.devices[chat.DeviceID{1, 0, 1}]
	a.dropKey(d)
	n := 0
	for _, ef := range a.out {
		if k, ok := ef.(Keep); ok && k.Value == nil {
			n++
		}
	}
	if a.Engine.kept != maxKeys-1 || n != 1 {
		t.Errorf("%d keys are kept, %d were forgotten", a.Engine.kept, n)
	}
}

// Until another record may be signed there is no key to give.
func TestWhoIsMetWhileTheKeyIsChangedIsGivenTheNextOne(t *testing.T) {
	w := newWorld(t)
	a, b, c := w.node("alice"), w.node("bob"), w.node("carol")
	friends(a, b, c)
	w.link(a, b)
	for _, s := range []chat.Availability{chat.Busy, chat.Available, chat.Away, chat.Available} {
		a.show(s)
	}
	a.may[b.person] = false
	a.do(Review{})
	if a.own.key != nil {
		t.Fatal("a record could be signed at once")
	}
	w.link(a, c)
	w.run(2*ownEvery + 2*delay)
	c.mustSee(a, true, chat.Available)
	b.mustSee(a, true, "")
}

// A stream that replaces another one begins anew: what was on its way on the old one
// may be lost, and with it the key.
func TestWhoIsMetAgainIsGivenTheKeyAgain(t *testing.T) {
	w := newWorld(t)
	a, b := w.node("alice"), w.node("bob")
	friends(a, b)
	a.show(chat.Busy)
	a.mute = func(*node, wire.Frame) bool { return true } // it is lost with the stream
	w.link(a, b)
	w.run(delay)
	a.mute = nil
	a.do(Connected{Device: b.id, Person: b.person})
	w.run(delay)
	b.mustSee(a, true, chat.Busy)
}

// Who may know from the connection that a device is here is not told that it has gone,
// and is not left with what it showed before.
func TestWhoSeesNoMoreThanTheConnectionIsNotShownAGoodbye(t *testing.T) {
	w := newWorld(t)
	a, b, s := w.node("alice"), w.node("bob"), w.node("stranger")
	friends(a, b)
	a.showTo(ReachEveryone, chat.Status{State: chat.Available, Text: "here"})
	w.linkAll(a, b, s)
	w.run(time.Minute)
	s.mustSee(a, true, chat.Available)
	before := s.shown[a.id]
	a.do(Own{Status: chat.Status{State: chat.Busy}, Reach: ReachHolders, Near: true})
	w.run(2*ownEvery + delay)
	s.mustSee(a, true, "")
	b.mustSee(a, true, chat.Busy)
	w.run(5 * time.Minute)
	s.mustSee(a, true, "")
	if n := s.shown[a.id] - before; n != 1 {
		t.Errorf("the stranger was shown it anew %d times", n)
	}
	w.unlink(a, s, false)
	w.run(grace + delay)
	s.mustSee(a, false, "")
}

func TestWhoMayNoLongerSeeIsNotLeftWithAnOldStatus(t *testing.T) {
	w := newWorld(t)
	a, b, c := w.node("alice"), w.node("bob"), w.node("carol")
	friends(a, b, c)
	a.showTo(ReachHolders, chat.Status{State: chat.Available, Text: "for friends"})
	w.linkAll(a, b, c)
	w.run(time.Minute)
	b.mustSee(a, true, chat.Available)
	a.may[b.person] = false
	a.do(Review{})
	w.run(2*ownEvery + delay)
	b.mustSee(a, true, "")
	c.mustSee(a, true, chat.Available)
	if text := b.sees(a).Status.Text; text != "" {
		t.Errorf("Bob still reads %q", text)
	}
}
