package private

import (
	"slices"
	"strings"
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/identity"
	"earshot/chat/membership"
	"earshot/chat/wire"
)

// sends returns what an input has a node send to another.
func (n *node) sends(to *node, in Input) (out []wire.Frame) {
	n.do(in)
	for _, f := range n.effects {
		if s, ok := f.(Send); ok && s.To == to.dev() {
			out = append(out, s.Frame)
		}
	}
	return out
}

func (n *node) hears(from *node, f wire.Frame) []wire.Frame {
	return n.sends(from, Heard{Device: from.dev(), Person: from.id(), Frame: f, Known: n.knows[from.id()]})
}

func TestWhoIsNotInvitedIsSentNothing(t *testing.T) {
	o := newOffice(t, membership.HistoryAll)
	root := o.ann.rooms[o.id].rootOf(o.ann.rooms[o.id].ops)
	for _, n := range []*node{o.ann, o.bob} {
		n.knows[o.dan.id()] = true // a contact, and yet
		for _, f := range []wire.Frame{
			wire.OpsHave{Room: o.id[:], Root: make([]byte, 32)},
			wire.OpsHave{Room: o.id[:], Root: root[:]},
			wire.OpsWant{Room: o.id[:]},
			wire.OpsWant{Room: o.id[:], Have: make([]byte, 8)},
			wire.HistoryWant{Room: o.id[:]},
		} {
			if got := n.hears(o.dan, f); len(got) != 0 {
				t.Errorf("%s answers %T with %v", n.name, f, got)
			}
		}
		if n.Shares(o.id, o.dan.dev()) || n.MayWrite(o.id, o.dan.id()) {
			t.Errorf("%s gives dan the room", n.name)
		}
		o.dan.cut(n)
		o.dan.link(n)
		o.watch = func(_, to *node, f wire.Frame) {
			if to == o.dan {
				t.Errorf("dan is sent %T", f)
			}
		}
		o.rest()
	}
	// Barring somebody who was never in tells them nothing either.
	must(t, o.ann.change(o.id, membership.Remove{Person: o.dan.id()}))
	o.rest()
	if got := o.ann.hears(o.dan, wire.OpsWant{Room: o.id[:]}); len(got) != 0 {
		t.Errorf("who is barred is told: %v", got)
	}
}

func TestWhoWasRemovedIsToldNothingLater(t *testing.T) {
	o := newOffice(t, membership.HistoryAll)
	must(t, o.ann.change(o.id, membership.Remove{Person: o.cleo.id()}))
	o.rest()
	told := len(o.cleo.rooms[o.id].ops)
	if o.cleo.infos[o.id].Removed == nil {
		t.Fatal("cleo was not told of her removal")
	}
	name := "without cleo"
	must(t, o.ann.change(o.id, membership.Set{Name: &name}))
	o.join(o.dan)
	o.rest()
	if got := len(o.cleo.rooms[o.id].ops); got != told || o.cleo.infos[o.id].Name == name {
		t.Errorf("cleo holds %d operations and had %d", got, told)
	}
	for _, f := range o.ann.hears(o.cleo, wire.OpsWant{Room: o.id[:]}) {
		if ops, ok := f.(wire.Ops); ok && len(ops.Ops) != told {
			t.Errorf("cleo is given %d operations on asking, not %d", len(ops.Ops), told)
		}
	}
	if got := o.ann.hears(o.cleo, wire.HistoryWant{Room: o.id[:]}); len(got) != 0 {
		t.Errorf("and the past: %v", got)
	}
}

func TestAStrangersInvitationIsNotListenedTo(t *testing.T) {
	w := newWorld(t, 1)
	ann, bob := w.add("ann", ""), w.add("bob", "")
	ann.link(bob)
	w.play(time.Second)
	id := ann.found("office", membership.HistoryNone)
	stored := len(bob.state)
	w.watch = func(from, _ *node, f wire.Frame) {
		if from == bob {
			t.Errorf("bob answers with %T", f)
		}
	}
	must(t, ann.change(id, membership.Invite{Person: bob.id(), Role: membership.RoleMember}))
	w.rest()
	if len(bob.infos) != 0 || len(bob.offers) != 0 || len(bob.state) != stored {
		t.Errorf("%+v, %d values stored", bob.infos, len(bob.state)-stored)
	}
}

// Bob is a contact and cleo is not: her invitation does not come by way of him.
func TestAnInvitationComesFromWhoInvites(t *testing.T) {
	w := newWorld(t, 1)
	bob, cleo, dan := w.add("bob", ""), w.add("cleo", ""), w.add("dan", "")
	w.mesh()
	w.play(time.Second)
	bob.knows[cleo.id()], cleo.knows[bob.id()], dan.knows[bob.id()] = true, true, true
	id := bob.found("office", membership.HistoryNone)
	must(t, bob.change(id, membership.Invite{Person: cleo.id(), Role: membership.RoleAdmin}))
	w.rest()
	must(t, cleo.accept(id))
	w.rest()
	stored := len(dan.state)
	must(t, cleo.change(id, membership.Invite{Person: dan.id(), Role: membership.RoleMember}))
	w.rest()
	if len(dan.infos) != 0 || len(dan.state) != stored || len(dan.offers) != 0 {
		t.Errorf("%+v", dan.infos)
	}
	dan.knows[cleo.id()] = true
	dan.cut(cleo)
	dan.link(cleo)
	w.rest()
	if i := dan.infos[id].Invitation; i == nil || i.By != cleo.id() {
		t.Errorf("%+v", dan.infos)
	}
}

func TestForgedOperationsAreRefused(t *testing.T) {
	o := newOffice(t, membership.HistoryNone)
	r := o.ann.rooms[o.id]
	sign := func(n, as *node, room chat.RoomID) []byte {
		op, err := SignOperation(keyOf(n.name), as.cert, room, chat.HLCOf(o.now), r.log.Heads(o.ann.id()), membership.Invite{Person: o.dan.id(), Role: membership.RoleMember})
		must(t, err)
		return op.Bytes()
	}
	flipped := slices.Clone(sign(o.ann, o.ann, o.id))
	flipped[len(flipped)-1] ^= 1
	for name, b := range map[string][]byte{
		"signed by another device":     sign(o.cleo, o.ann, o.id),
		"of another room":              sign(o.ann, o.ann, chat.OpenRoom("#other")),
		"with another signature":       flipped,
		"no operation":                 {1, 2, 3},
		"a beginning of another room":  otherBeginning(t, o),
		"with a certificate of nobody": withoutRoot(t, o, r),
	} {
		n, held := o.bob, len(o.bob.rooms[o.id].ops)
		n.refusals = nil
		n.hears(o.ann, wire.Ops{Room: o.id[:], Ops: [][]byte{b}})
		if len(n.refusals) != 1 || chat.CodeOf(n.refusals[0]) != chat.CodeInvalid || len(n.rooms[o.id].ops) != held || len(n.rooms[o.id].waits) != 0 {
			t.Errorf("%s: %v, %d operations more", name, n.refusals, len(n.rooms[o.id].ops)-held)
		}
	}
}

func otherBeginning(t *testing.T, o *office) []byte {
	op, err := SignOperation(keyOf("ann"), o.ann.cert, o.id, 1, nil, membership.Create{Nonce: [16]byte{9}, History: membership.HistoryAll})
	must(t, err)
	return op.Bytes()
}

// withoutRoot signs with a certificate whose signature is not its root's.
func withoutRoot(t *testing.T, o *office, r *conversation) []byte {
	body := wire.Marshal(rawOperationBody{
		Version: 1, Room: o.id[:], Certificate: slices.Concat(o.ann.cert.Bytes()[:len(o.ann.cert.Bytes())-1], []byte{0}), HLC: 1,
		Payload: encoded(t, r.log.Heads(o.ann.id()), membership.Leave{}),
	})
	return wire.Marshal(rawOperation{Body: body, Sig: edSign("ann", signedOp(body))})
}

func TestAnOutsiderCannotFillTheLogOfARoom(t *testing.T) {
	o := newOffice(t, membership.HistoryNone)
	r := o.ann.rooms[o.id]
	held := len(o.ann.state)
	for i := range 100 {
		op, err := SignOperation(keyOf("dan"), o.dan.cert, o.id, chat.HLC(i), r.log.Heads(o.dan.id()), membership.Leave{})
		must(t, err)
		parents := []chat.EntryID{op.ID}
		child, err := SignOperation(keyOf("dan"), o.dan.cert, o.id, chat.HLC(i), parents, membership.Leave{})
		must(t, err)
		if got := o.ann.hears(o.dan, wire.Ops{Room: o.id[:], Ops: [][]byte{child.Bytes(), op.Bytes()}}); len(got) != 0 {
			t.Fatalf("dan is answered: %v", got)
		}
	}
	if len(o.ann.state) != held || len(r.waits) != 0 {
		t.Errorf("%d values are stored, %d wait", len(o.ann.state)-held, len(r.waits))
	}
}

func TestAnOutsidersOperationsAreNotCheckedWithoutEnd(t *testing.T) {
	o := newOffice(t, membership.HistoryNone)
	heads := o.ann.rooms[o.id].log.Heads(o.ann.id())
	sign := func(n *node, i int, b membership.Body) []byte {
		op, err := SignOperation(keyOf(n.name), n.cert, o.id, chat.HLCOf(o.now)+chat.HLC(i), heads, b)
		must(t, err)
		return op.Bytes()
	}
	good := sign(o.ann, 0, membership.Invite{Person: o.dan.id(), Role: membership.RoleMember})
	f := wire.Ops{Room: o.id[:]}
	for i := range maxIdleOffers {
		f.Ops = append(f.Ops, sign(o.dan, i, membership.Leave{}))
	}
	f.Ops = append(f.Ops, good)
	held := len(o.bob.rooms[o.id].ops)
	o.bob.hears(o.dan, f)
	if len(o.bob.rooms[o.id].ops) != held {
		t.Error("what stands behind much that has no effect is looked at")
	}
	o.bob.hears(o.dan, wire.Ops{Room: o.id[:], Ops: f.Ops[1:]})
	if len(o.bob.rooms[o.id].ops) != held+1 {
		t.Error("what has an effect is not taken")
	}
}

// A newcomer whom only some members know of makes themselves known to the others.
func TestANewcomerWhomAMemberDoesNotKnowOfIntroducesThemselves(t *testing.T) {
	o := newOffice(t, membership.HistoryNone)
	for _, n := range o.nodes {
		o.bob.cut(n)
	}
	o.join(o.dan)
	for _, n := range o.nodes {
		o.ann.cut(n)
		o.cleo.cut(n)
	}
	o.dan.link(o.bob)
	o.rest()
	if len(o.bob.infos[o.id].Members) != 4 {
		t.Fatalf("bob knows of %d members", len(o.bob.infos[o.id].Members))
	}
	en := o.bob.mustSay(o.id, "welcome")
	o.rest()
	if o.dan.read[en] == "" {
		t.Error(o.dan.closed(en))
	}
}

// Cleo writes while she is removed in another part of the network.
func TestWhatWasWrittenAfterARemovalIsNotShown(t *testing.T) {
	o := newOffice(t, membership.HistoryNone)
	must(t, o.ann.change(o.id, membership.SetRole{Person: o.bob.id(), Role: membership.RoleAdmin}))
	o.rest()
	for _, n := range o.nodes {
		o.cleo.cut(n)
	}
	before := o.cleo.mustSay(o.id, "before")
	o.play(time.Second)
	must(t, o.bob.change(o.id, membership.Remove{Person: o.cleo.id()}))
	o.play(time.Second)
	after := o.cleo.mustSay(o.id, "after")
	for _, a := range o.cleo.records[o.id] {
		o.ann.take(o.id, a.Entry, o.bob, true)
	}
	if o.ann.read[before] == "" || o.ann.closed(after) != `closed "outsider"` {
		t.Fatalf("before %s, after %s", o.ann.closed(before), o.ann.closed(after))
	}
	// The creator had removed bob beside it: cleo was never out.
	o.bob.cut(o.ann)
	ops := o.bob.rooms[o.id].ops
	beside := ops[len(ops)-2].ID
	op, err := SignOperation(keyOf("ann"), o.ann.cert, o.id, chat.HLCOf(o.now), []chat.EntryID{beside}, membership.Remove{Person: o.bob.id()})
	must(t, err)
	o.cleo.link(o.ann)
	o.play(time.Second)
	o.ann.hears(o.cleo, wire.Ops{Room: o.id[:], Ops: [][]byte{op.Bytes()}})
	o.rest()
	if o.ann.read[after] == "" {
		t.Errorf("what cleo wrote while she was in: %s", o.ann.closed(after))
	}
}

func TestWhoIsNoContactAnyMoreIsSealedNothing(t *testing.T) {
	w := newWorld(t, 1)
	ann, bob := w.add("ann", ""), w.add("bob", "")
	ann.link(bob)
	id := w.befriend(ann, bob)
	w.rest()
	ann.mustSay(id, "hello")
	w.rest()
	ann.do(CloseDirect{Room: id})
	if _, err := ann.say(id, "more"); chat.CodeOf(err) != chat.CodeNotFound {
		t.Errorf("said all the same: %v", err)
	}
	for k := range ann.state {
		if !strings.HasPrefix(k, "seal/prekey/") && !strings.HasPrefix(k, "seal/to/") && !strings.HasPrefix(k, "seal/from/") && !strings.HasPrefix(k, devicePrefix) {
			t.Errorf("%s is kept", k)
		}
	}
	bob.mustSay(id, "are you there?")
	w.rest()
	if ann.Shares(id, bob.dev()) || ann.MayWrite(id, bob.id()) {
		t.Error("the chat goes on")
	}
	ann.restart()
	w.rest()
	if len(ann.Infos()) != 0 {
		t.Error("it is back after a restart")
	}
}

func TestADamagedStateIsSaidAndTheRestWorks(t *testing.T) {
	o := newOffice(t, membership.HistoryNone)
	for k := range o.ann.state {
		state := map[string][]byte{}
		for k, v := range o.ann.state {
			state[k] = v
		}
		state[k] = []byte{0xff}
		if _, err := New(o.ann.cfg, state); chat.CodeOf(err) != chat.CodeHomeBroken {
			t.Errorf("%s: %v", k, err)
		}
	}
}

func TestAnOperationFromTheFarFutureWaitsForItsDay(t *testing.T) {
	o := newOffice(t, membership.HistoryNone)
	name, held := "tomorrow", len(o.bob.rooms[o.id].ops)
	at := o.now.Add(chat.MaxFarFuture + time.Hour)
	op, err := SignOperation(keyOf("ann"), o.ann.cert, o.id, chat.HLCOf(at), o.ann.rooms[o.id].log.Heads(o.ann.id()), membership.Set{Name: &name})
	must(t, err)
	f := wire.Ops{Room: o.id[:], Ops: [][]byte{op.Bytes()}}
	o.bob.hears(o.ann, f)
	if len(o.bob.rooms[o.id].ops) != held || len(o.bob.refusals) != 0 {
		t.Errorf("it is taken, or its bringer blamed: %v", o.bob.refusals)
	}
	o.play(2 * time.Hour)
	o.bob.hears(o.ann, f)
	if o.bob.infos[o.id].Name != name {
		t.Error("its day has come, and it is not taken")
	}
	// And it carries nobody's clock.
	if o.bob.rooms[o.id].clock > chat.HLCOf(o.now.Add(chat.MaxFuture)) {
		t.Error("bob's clock goes along")
	}
}

// Bob's list names cleo's device as one of his own.
func TestAnAccomplicesListDoesNotKeepARemovedDeviceIn(t *testing.T) {
	o := newOffice(t, membership.HistoryNone)
	o.ann.mustSay(o.id, "before")
	o.rest()
	list, err := identity.NewRegistry(o.bob.cert.Root).Sign(keyOf("person of bob"), o.now, []identity.ListedDevice{
		{Device: o.bob.dev(), Prekey: o.bob.Prekey()}, {Device: o.cleo.dev(), Prekey: o.cleo.Prekey()},
	})
	must(t, err)
	o.ann.hears(o.bob, wire.Devices{List: list.Bytes()})
	o.rest()
	must(t, o.ann.change(o.id, membership.Remove{Person: o.cleo.id()}))
	o.rest()
	after := o.ann.mustSay(o.id, "after")
	o.rest()
	for _, a := range o.ann.records[o.id] {
		o.cleo.do(Receive{Room: o.id, Authored: a})
	}
	for _, d := range o.ann.rooms[o.id].recipients {
		if d.Certificate.Device == o.cleo.dev() {
			t.Error("cleo's device is given keys")
		}
	}
	if o.bob.read[after] == "" {
		t.Errorf("bob: %s", o.bob.closed(after))
	}
}

// Cleo's device says that it is eve's now, whom nobody has blocked, before the key of
// what it has said comes.
func TestADeviceThatGoesOverDoesNotTakeWhatItSaidAlong(t *testing.T) {
	for _, waits := range []bool{false, true} {
		o := newOffice(t, membership.HistoryNone)
		o.cleo.restart() // the next epoch is a new one
		o.rest()
		o.cleo.cut(o.ann)
		o.play(time.Second)
		en := o.cleo.mustSay(o.id, "from cleo")
		log := slices.Clone(o.cleo.records[o.id])
		if waits { // the message first, then the share that it needs
			o.ann.do(Receive{Room: o.id, Authored: log[len(log)-1]})
		}
		eve, err := identity.Sign(keyOf("person of eve"), o.cleo.dev(), o.now.Add(time.Hour), "")
		must(t, err)
		o.ann.do(Met{Certificate: eve})
		found := false
		for _, a := range log {
			o.ann.do(Receive{Room: o.id, Authored: a})
			for _, f := range o.ann.effects {
				if f, ok := f.(Opened); ok && f.ID == en {
					if found = true; f.Show && f.Person != o.cleo.id() {
						t.Errorf("waited %v: it is shown as %s's", waits, f.Person.Short())
					}
				}
			}
		}
		if !found {
			t.Errorf("waited %v: it was never opened", waits)
		}
	}
}
