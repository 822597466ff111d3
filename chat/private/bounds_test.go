package private

import (
	"fmt"
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/identity"
	"earshot/chat/membership"
	"earshot/chat/wire"
)

// invites has a contact found a room and hand its invitation of n over.
func (n *node) isInvited(by *node, i int) chat.RoomID {
	n.w.t.Helper()
	id := by.found(fmt.Sprint("room ", i), membership.HistoryNone)
	must(n.w.t, by.change(id, membership.Invite{Person: n.id(), Role: membership.RoleMember}))
	n.w.play(time.Second)
	return id
}

func TestOnePersonsInvitationsAreBounded(t *testing.T) {
	w := newWorld(t, 1)
	ann, bob, cleo := w.add("ann", ""), w.add("bob", ""), w.add("cleo", "")
	w.mesh()
	bob.knows[ann.id()], bob.knows[cleo.id()] = true, true
	w.play(time.Second)
	var first chat.RoomID
	for i := range chat.MaxInvitations + 3 {
		if id := bob.isInvited(ann, i); i == 0 {
			first = id
		}
	}
	if got := len(bob.rooms); got != chat.MaxInvitations {
		t.Errorf("%d invitations by one person", got)
	}
	bob.isInvited(cleo, 0)
	if got := len(bob.rooms); got != chat.MaxInvitations+1 {
		t.Errorf("another person's is not taken: %d", got)
	}
	// What was turned down makes room.
	must(t, bob.try(func(ref uint64) Input { return Decline{Room: first, Ref: ref} }))
	last := bob.isInvited(ann, 99)
	if bob.infos[last].Invitation == nil || bob.rooms[first] != nil || len(bob.rooms) != chat.MaxInvitations+1 {
		t.Error("a new one does not take the place of one that was turned down")
	}
	for k := range bob.state {
		if k == roomKey(first) || k == opKey(first, 0) {
			t.Errorf("%s is still stored", k)
		}
	}
}

// A contact invites and withdraws without end, each time to a room of other people.
func TestInvitationsThatWereWithdrawnLeaveNobodyBehind(t *testing.T) {
	w := newWorld(t, 1)
	ann, bob := w.add("ann", ""), w.add("bob", "")
	w.mesh()
	bob.knows[ann.id()] = true
	w.play(time.Second)
	const each, more = 5, 4
	for i := range chat.MaxInvitations + more {
		id := ann.found(fmt.Sprint("room ", i), membership.HistoryNone)
		for j := range each {
			must(t, ann.change(id, membership.Invite{Person: chat.PersonID{1, byte(i), byte(j)}, Role: membership.RoleMember}))
		}
		must(t, ann.change(id, membership.Invite{Person: bob.id(), Role: membership.RoleMember}))
		w.play(time.Second)
		if bob.infos[id].Invitation == nil {
			t.Fatal("bob was not invited")
		}
		must(t, ann.change(id, membership.Remove{Person: bob.id()}))
		w.play(time.Second)
	}
	if got := len(bob.people); got > chat.MaxInvitations*each+2 {
		t.Errorf("%d people are remembered", got)
	}
	if _, known := bob.PersonOf(ann.dev()); !known {
		t.Error("ann, who is here, is not known any more")
	}
}

func TestRoomsThatAreOnlySpokenOfAreBounded(t *testing.T) {
	w := newWorld(t, 1)
	ann := w.add("ann", "")
	w.add("bob", "")
	for i := range 8 {
		w.add(fmt.Sprint("caller ", i), "")
	}
	w.mesh()
	w.play(time.Second)
	stored := len(ann.state)
	for _, n := range w.nodes[2:] {
		ann.knows[n.id()] = true
		asked := 0
		for i := range 3 * chat.MaxOffersOf {
			asked += len(ann.hears(n, wire.OpsHave{Room: append(n.cert.Root[:31:31], byte(i)), Root: make([]byte, 32)}))
		}
		if asked > chat.MaxOffersOf {
			t.Errorf("%d rooms of one person are asked for", asked)
		}
	}
	if len(ann.offers) != chat.MaxOffers || len(ann.state) != stored {
		t.Errorf("%d rooms are asked for, %d values stored", len(ann.offers), len(ann.state)-stored)
	}
	w.play(2 * time.Minute)
	if len(ann.offers) != 0 {
		t.Errorf("%d are still waited for", len(ann.offers))
	}
}

func TestARoomThatIsOfferedIsBoundedInBytes(t *testing.T) {
	w := newWorld(t, 1)
	ann, bob := w.add("ann", ""), w.add("bob", "")
	w.mesh()
	w.play(time.Second)
	ann.knows[bob.id()] = true
	id := chat.RoomID{1}
	ann.hears(bob, wire.OpsHave{Room: id[:], Root: make([]byte, 32)})
	full := wire.Ops{Room: id[:], More: true}
	for range 31 {
		full.Ops = append(full.Ops, make([]byte, wire.MaxOperation))
	}
	frames := 0
	for len(ann.offers) > 0 && frames < 1000 {
		ann.hears(bob, full)
		frames++
	}
	if got := frames * 31 * wire.MaxOperation; got > chat.MaxOfferBytes+chat.MaxFrame {
		t.Errorf("%d bytes are listened to", got)
	}
}

func TestDevicesOfOnePersonAreBounded(t *testing.T) {
	w := newWorld(t, 1)
	ann, bob := w.add("ann", ""), w.add("bob", "")
	w.mesh()
	w.befriend(ann, bob)
	w.rest()
	for i := range chat.MaxKnownDevices + 10 {
		c, err := identity.Sign(keyOf("person of bob"), deviceOf(fmt.Sprint("copy ", i)), noon.Add(time.Duration(i)*time.Second), "")
		must(t, err)
		ann.do(Met{Certificate: c})
	}
	if got := len(ann.people[bob.id()].devices); got != chat.MaxKnownDevices {
		t.Errorf("%d devices of one person", got)
	}
	if got := len(ann.InUse(bob.id())); got != identity.MaxDevices {
		t.Errorf("%d of them are given keys", got)
	}
	if _, known := ann.PersonOf(bob.dev()); !known {
		t.Error("the one that is here was driven out")
	}
}

func TestStrangersAreBoundedAndNothingOfThemIsStored(t *testing.T) {
	w := newWorld(t, 1)
	ann, bob := w.add("ann", ""), w.add("bob", "")
	w.mesh()
	w.befriend(ann, bob)
	w.rest()
	stored := len(ann.state)
	for i := range chat.MaxStrangers + 20 {
		name := fmt.Sprint("stranger ", i)
		c, err := identity.Sign(keyOf("person of "+name), deviceOf(name), noon, "")
		must(t, err)
		ann.Handle(w.now, Met{Certificate: c})
	}
	if got := len(ann.people); got > chat.MaxStrangers+2 {
		t.Errorf("%d people are remembered", got)
	}
	if _, known := ann.PersonOf(bob.dev()); !known || len(ann.state) != stored || len(ann.devices) > chat.MaxStrangers+2 {
		t.Errorf("bob is known: %v, %d devices, %d values stored", known, len(ann.devices), len(ann.state)-stored)
	}
}

func TestRoomsAreBounded(t *testing.T) {
	w := newWorld(t, 1)
	ann := w.add("ann", "")
	for i := range chat.MaxSealedRooms {
		ann.rooms[chat.RoomID{1, byte(i), byte(i >> 8)}] = &conversation{me: ann.id(), with: ann.id()}
	}
	for _, f := range ann.Handle(w.now, Found{History: membership.HistoryNone, Ref: 1}) {
		if d, ok := f.(Deny); ok && chat.CodeOf(d.Err) == chat.CodeBusy {
			return
		}
	}
	t.Error("there is room for another")
}

func TestOneDeviceIsAskedForOperationsOnceASecond(t *testing.T) {
	o := newOffice(t, membership.HistoryNone)
	asked := 0
	for i := range 100 {
		root := make([]byte, 32)
		root[0] = byte(i)
		for _, f := range o.ann.hears(o.cleo, wire.OpsHave{Room: o.id[:], Root: root}) {
			if _, ok := f.(wire.OpsWant); ok {
				asked++
			}
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	asked = 0
	o.watch = func(from, to *node, f wire.Frame) {
		if _, ok := f.(wire.OpsWant); ok && from == o.ann && to == o.cleo {
			asked++
		}
	}
	o.play(10 * time.Second)
	if asked != 1 {
		t.Errorf("asked %d times later", asked)
	}
}

func TestOneDeviceIsToldAllOperationsOnceASecond(t *testing.T) {
	o := newOffice(t, membership.HistoryNone)
	o.play(2 * time.Second)
	answered := 0
	for range 100 {
		answered += len(o.ann.hears(o.bob, wire.OpsWant{Room: o.id[:]}))
	}
	if answered != 1 {
		t.Errorf("answered %d times", answered)
	}
	answered = 0
	o.watch = func(from, to *node, f wire.Frame) {
		if _, ok := f.(wire.Ops); ok && from == o.ann && to == o.bob {
			answered++
		}
	}
	o.play(10 * time.Second)
	if answered != 1 {
		t.Errorf("answered %d times later", answered)
	}
}

func TestAnswersAboutThePastAreBounded(t *testing.T) {
	o := newOffice(t, membership.HistoryAll)
	o.play(2 * time.Minute)
	answered := 0
	for range 100 {
		answered += len(o.ann.hears(o.bob, wire.HistoryWant{Room: o.id[:]}))
	}
	if answered != 1 {
		t.Errorf("answered %d times", answered)
	}
}

// A name at its longest and sixteen parents fit, and so does a change of all there is.
func TestTheLargestOperationFits(t *testing.T) {
	ann := newWorld(t, 1).add("ann", "")
	var parents []chat.EntryID
	for i := range chat.MaxMembershipParents {
		parents = append(parents, chat.EntryID{byte(i + 1)})
	}
	name, topic := string(make([]byte, chat.MaxRoomName)), string(make([]byte, chat.MaxTopic))
	c, err := identity.Sign(keyOf("person of ann"), ann.dev(), time.Unix(1<<35, 0), string(make([]byte, identity.MaxLabel)))
	must(t, err)
	o, err := SignOperation(keyOf("ann"), c, chat.RoomID{1}, chat.MaxHLC, parents, membership.Set{Name: &name, Topic: &topic})
	if err != nil || len(o.Bytes()) > wire.MaxOperation {
		t.Errorf("%d bytes: %v", len(o.Bytes()), err)
	}
}

func TestOperationsThatWaitAreBounded(t *testing.T) {
	o := newOffice(t, membership.HistoryNone)
	stored := len(o.ann.state)
	for i := range 2 * chat.MaxMembershipWaiting {
		missing := []chat.EntryID{{1, byte(i), byte(i >> 8)}}
		op, err := SignOperation(keyOf("cleo"), o.cleo.cert, o.id, chat.HLC(i), missing, membership.Leave{})
		must(t, err)
		o.ann.Handle(o.now, Heard{Device: o.cleo.dev(), Person: o.cleo.id(), Frame: wire.Ops{Room: o.id[:], Ops: [][]byte{op.Bytes()}}})
	}
	if got := len(o.ann.rooms[o.id].waits); got > chat.MaxMembershipWaiting || got == 0 {
		t.Errorf("%d operations wait", got)
	}
	if len(o.ann.state) != stored {
		t.Error("what waits is stored")
	}
}
