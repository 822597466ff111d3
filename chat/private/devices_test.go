package private

import (
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/identity"
	"earshot/chat/membership"
	"earshot/chat/wire"
)

// roots holds what each person's root has signed.
type roots map[string]*identity.Registry

// sign makes the next device list of a person, of these devices, on one of them.
func (r roots) sign(t failure, on *node, devices ...*node) identity.DeviceList {
	t.Helper()
	root := keyOf("person of " + on.person)
	if r[on.person] == nil {
		r[on.person] = identity.NewRegistry(on.cert.Root)
	}
	var listed []identity.ListedDevice
	for _, d := range devices {
		listed = append(listed, identity.ListedDevice{Device: d.dev(), Label: d.name, Prekey: d.Prekey()})
	}
	l, err := r[on.person].Sign(root, on.w.now, listed)
	must(t, err)
	_, err = r[on.person].Take(l)
	must(t, err)
	on.do(Lists{List: l})
	return l
}

func TestBothDevicesOfAPersonTakePart(t *testing.T) {
	w := newWorld(t, 1)
	ann, bob, phone := w.add("ann", ""), w.add("bob", ""), w.add("bob", "/phone")
	w.mesh()
	id := w.befriend(ann, bob)
	for _, n := range w.nodes {
		n.knows[ann.id()] = true
	}
	w.rest()
	room := ann.found("office", membership.HistoryNone)
	must(t, ann.change(room, membership.Invite{Person: bob.id(), Role: membership.RoleMember}))
	w.rest()
	must(t, bob.accept(room))
	w.rest()
	for _, r := range []chat.RoomID{id, room} {
		one, two := ann.mustSay(r, "to both"), bob.mustSay(r, "from one")
		w.rest()
		if phone.read[one] == "" || phone.read[two] == "" || bob.read[one] == "" {
			t.Errorf("phone: %s, %s; bob: %s", phone.closed(one), phone.closed(two), bob.closed(one))
		}
		three := phone.mustSay(r, "from the other")
		w.rest()
		if bob.read[three] == "" || ann.read[three] == "" {
			t.Errorf("bob: %s, ann: %s", bob.closed(three), ann.closed(three))
		}
	}
	if info := phone.infos[room]; !info.Entered || info.Invitation != nil {
		t.Errorf("%+v", info)
	}
}

func TestARevokedDeviceReadsNothingAndIsNotHeard(t *testing.T) {
	w, r := newWorld(t, 1), roots{}
	ann, bob, phone := w.add("ann", ""), w.add("bob", ""), w.add("bob", "/phone")
	w.mesh()
	id := w.befriend(ann, bob)
	w.rest()
	r.sign(t, bob, bob, phone)
	w.rest()
	if l, ok := ann.List(bob.id()); !ok || l.Seq != 1 || len(ann.InUse(bob.id())) != 2 {
		t.Fatalf("ann is not told: %v %d", ok, l.Seq)
	}
	before := phone.mustSay(id, "before")
	w.rest()
	// The thief cuts the phone off, so that it does not hear.
	phone.cut(bob)
	r.sign(t, bob, bob)
	w.rest()
	phone.cut(ann)
	late := phone.mustSay(id, "late")
	after := ann.mustSay(id, "after")
	w.rest()
	phone.link(ann)
	w.rest()
	for _, a := range phone.records[id] { // even if it is passed on to her
		ann.take(id, a.Entry, bob, true)
	}
	for _, a := range ann.records[id] {
		phone.take(id, a.Entry, bob, true)
	}
	if ann.read[before] == "" {
		t.Errorf("what was said before: %s", ann.closed(before))
	}
	if got := ann.closed(late); got != `closed "revoked_device"` {
		t.Errorf("what is said after: %s", got)
	}
	if phone.read[after] != "" || ann.Shares(id, phone.dev()) {
		t.Error("the thief reads on")
	}
	if bob.read[after] == "" {
		t.Errorf("bob: %s", bob.closed(after))
	}
	for _, n := range []*node{phone} {
		n.do(Lists{List: r["bob"].List()})
		if _, err := n.say(id, "still here"); chat.CodeOf(err) != chat.CodeDenied {
			t.Errorf("who knows that it was revoked talks: %v", err)
		}
	}
}

// Whoever holds a revoked device of an admin signs an invitation that claims to be from
// before, for an accomplice who accepts it.
func TestARevokedDeviceInvitesNobody(t *testing.T) {
	o := newOffice(t, membership.HistoryNone)
	r := roots{}
	phone := o.add("bob", "/phone")
	o.mesh()
	o.rest()
	must(t, o.ann.change(o.id, membership.SetRole{Person: o.bob.id(), Role: membership.RoleAdmin}))
	o.rest()
	r.sign(t, o.bob, o.bob, phone)
	must(t, phone.change(o.id, membership.Invite{Person: o.dan.id(), Role: membership.RoleMember}))
	o.dan.knows[o.bob.id()] = true
	o.rest()
	must(t, o.dan.accept(o.id))
	o.rest()
	mallory := o.add("mallory", "")
	mallory.knows[o.bob.id()] = true
	for _, n := range o.nodes {
		phone.cut(n)
	}
	r.sign(t, o.bob, o.bob)
	o.rest()
	if len(o.ann.infos[o.id].Members) != 4 {
		t.Fatalf("what the phone did before it was revoked: %+v", o.ann.infos[o.id].Members)
	}
	// The thief's phone does not know of the revocation.
	must(t, phone.change(o.id, membership.Invite{Person: mallory.id(), Role: membership.RoleMember}))
	mallory.link(phone)
	o.rest()
	must(t, mallory.accept(o.id))
	o.rest()
	for _, n := range []*node{o.ann, o.bob, o.cleo} {
		mallory.link(n)
	}
	o.rest()
	for _, n := range []*node{o.ann, o.bob, o.cleo} { // even if somebody is fooled into passing it on
		var all [][]byte
		for _, op := range mallory.rooms[o.id].ops {
			all = append(all, op.Bytes())
		}
		n.do(Heard{Device: o.dan.dev(), Person: o.dan.id(), Frame: wire.Ops{Room: o.id[:], Ops: all}})
		if got := n.infos[o.id].Members; len(got) != 4 {
			t.Errorf("%s takes in the thief's friend: %d members", n.name, len(got))
		}
	}
	secret := o.ann.mustSay(o.id, "secret")
	o.rest()
	for _, a := range o.ann.records[o.id] {
		mallory.take(o.id, a.Entry, phone, true)
	}
	if mallory.read[secret] != "" || len(o.ann.rooms[o.id].recipients) != 3 {
		t.Errorf("the thief's friend is given keys: %s", mallory.closed(secret))
	}
}

func TestContradictingDeviceListsAreSaidToThePerson(t *testing.T) {
	w := newWorld(t, 1)
	ann, bob, phone := w.add("ann", ""), w.add("bob", ""), w.add("bob", "/phone")
	ann.link(bob)
	w.befriend(ann, bob)
	w.rest()
	one, two := roots{}, roots{}
	ann.do(Lists{List: one.sign(t, bob, bob)})
	ann.do(Lists{List: two.sign(t, phone, bob, phone)})
	if len(ann.notices) != 1 {
		t.Errorf("%q", ann.notices)
	}
}

func TestOnlyThePersonsOwnListIsTakenFromThem(t *testing.T) {
	w, r := newWorld(t, 1), roots{}
	ann, bob, cleo := w.add("ann", ""), w.add("bob", ""), w.add("cleo", "")
	w.mesh()
	w.befriend(ann, bob)
	w.rest()
	l := r.sign(t, cleo, cleo)
	ann.do(Heard{Device: bob.dev(), Person: bob.id(), Frame: wire.Devices{List: l.Bytes()}})
	if _, ok := ann.List(cleo.id()); ok || len(ann.refusals) != 1 {
		t.Errorf("bob speaks for cleo: %v", ann.refusals)
	}
	bob.do(Tick{})
	if _, ok := bob.List(cleo.id()); ok {
		t.Error("a stranger is told a device list")
	}
}

func TestANewPrekeyIsPostedAndUsed(t *testing.T) {
	w := newWorld(t, 1)
	ann, bob := w.add("ann", ""), w.add("bob", "")
	ann.link(bob)
	id := w.befriend(ann, bob)
	w.rest()
	ann.cut(bob)
	old := string(bob.Prekey())
	w.play(8 * 24 * time.Hour)
	if string(bob.Prekey()) == old {
		t.Fatal("no new prekey in a week")
	}
	ann.link(bob)
	w.rest()
	posted := 0
	for _, a := range ann.records[id] {
		if a.Entry.Kind == wire.KindPrekey && a.Entry.Device == bob.dev() {
			posted++
		}
	}
	en := ann.mustSay(id, "hello")
	w.rest()
	if posted != 2 || bob.read[en] == "" {
		t.Errorf("%d prekeys posted; %s", posted, bob.closed(en))
	}
}

// A revoked device accepts an invitation where nobody knows yet that it was revoked, nor
// meets anybody who does: those who hear of it tell the others in the room.
func TestOneMemberWhoKnowsOfARevocationTellsTheRoom(t *testing.T) {
	o := newOffice(t, membership.HistoryNone)
	r := roots{}
	laptop, phone := o.add("eve", ""), o.add("eve", "/phone")
	phone.knows[o.ann.id()], laptop.knows[o.ann.id()] = true, true
	for _, n := range []*node{o.ann, o.bob, o.cleo} {
		phone.link(n)
	}
	r.sign(t, laptop, laptop, phone)
	r.sign(t, laptop, laptop)
	must(t, o.ann.change(o.id, membership.Invite{Person: laptop.id(), Role: membership.RoleMember}))
	o.rest()
	must(t, phone.accept(o.id))
	o.rest()
	if len(o.cleo.infos[o.id].Members) != 4 {
		t.Fatal("the thief is not in: this test shows nothing")
	}
	for _, n := range o.nodes {
		phone.cut(n)
	}
	laptop.link(o.ann)
	o.rest()
	for _, n := range []*node{o.ann, o.bob, o.cleo} {
		if got := n.infos[o.id]; len(got.Members) != 3 || len(got.Invited) != 1 {
			t.Errorf("%s takes the thief for a member", n.name)
		}
	}
	secret := o.cleo.mustSay(o.id, "secret")
	for _, a := range o.cleo.records[o.id] {
		phone.take(o.id, a.Entry, o.bob, true)
	}
	if phone.read[secret] != "" {
		t.Error("the thief reads on")
	}
	posted := 0
	for _, n := range []*node{o.ann, o.bob, o.cleo} {
		for _, a := range n.records[o.id] {
			if a.Entry.Kind == wire.KindDevices && a.Entry.Device == n.dev() {
				posted++
			}
		}
	}
	if posted != 1 {
		t.Errorf("the list is posted %d times", posted)
	}
}
