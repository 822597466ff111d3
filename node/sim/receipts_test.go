package sim

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"earshot/chat"
	"earshot/node/api"
)

// These are promises about where messages are, kept by whole nodes.

// detail returns the whole story of a message.
func (d *desk) detail(m chat.Message) chat.MessageDetail {
	d.t.Helper()
	out, err := d.Message(d.ctx, m.ID)
	if err != nil {
		d.t.Fatal(err)
	}
	return out
}

// state returns where a message is, which must be the same in its room's history.
func (d *desk) state(m chat.Message) chat.MessageState {
	d.t.Helper()
	page, err := d.Messages(d.ctx, m.RoomID, api.Page{Limit: 500})
	if err != nil {
		d.t.Fatal(err)
	}
	for _, other := range page {
		if other.ID != m.ID {
			continue
		}
		if other.State == nil {
			d.t.Fatalf("%s is not told where %q is", d.Name(), m.Text)
		}
		return *other.State
	}
	d.t.Fatalf("%s does not hold %q", d.Name(), m.Text)
	return chat.MessageState{}
}

// reaches waits until a message is where it should be.
func (d *desk) reaches(m chat.Message, want chat.MessageState) {
	d.t.Helper()
	var got chat.MessageState
	there := false
	defer func() {
		if !there {
			d.t.Logf("to %s, %q is %+v, not %+v", d.Name(), m.Text, got, want)
		}
	}()
	d.until(fmt.Sprintf("told that %q is %s", m.Text, want.State), func() bool {
		got = d.state(m)
		there = got == want
		return there
	})
}

// readTo has somebody read a room up to a message.
func (d *desk) readTo(m chat.Message) {
	d.t.Helper()
	d.reads(m.RoomID, m.Text)
	d.must(d.MarkRead(d.ctx, m.RoomID, m.ID))
}

// shows sets who may know what somebody has read.
func (d *desk) shows(read string) {
	d.t.Helper()
	p, err := d.Privacy(d.ctx)
	d.must(err)
	p.Read = read
	d.must(d.SetPrivacy(d.ctx, p))
}

func (d *desk) unread(room chat.RoomID) int {
	d.t.Helper()
	rooms, err := d.Rooms(d.ctx)
	d.must(err)
	for _, r := range rooms {
		if r.RoomID == room {
			return r.Unread
		}
	}
	return 0
}

// gather has the first bring the others into a room, and waits until all know it.
func gather(room chat.RoomID, all ...*desk) {
	all[0].t.Helper()
	all[0].brings(room, all[1:]...)
	for _, d := range all {
		for _, other := range all {
			d.until("has "+other.Name(), func() bool { return d.has(room, other.id()) })
		}
	}
}

func delivered(n, of int) chat.MessageState {
	s := chat.MessageState{State: chat.StateHeld, Of: of, Delivered: n}
	if n == of {
		s.State = chat.StateDelivered
	}
	return s
}

func TestAMessageIsDeliveredAndThenRead(t *testing.T) { // alone: time is measured
	_, ann, ben, _ := friends(t)
	room := ann.chatWith(ben.id()).RoomID
	ann.tells(room, "Hello")
	ben.reads(room, "Hello")
	m := ann.tells(room, "Are you there?")
	start := time.Now()
	ann.reaches(m, delivered(1, 1))
	inTime(t, "for the sender to see that it has arrived", time.Since(start), 300*time.Millisecond)
	ben.readTo(m)
	ann.reaches(m, chat.MessageState{State: chat.StateRead, Of: 1, Delivered: 1, Read: 1})

	full := ann.detail(m)
	if len(full.Recipients) != 1 || len(full.Holders) != 0 {
		t.Fatalf("the story is %+v", full)
	}
	r := full.Recipients[0]
	if r.Person != ben.id() || r.Name != "Ben" || r.State != chat.StateRead || r.At.IsZero() || len(r.Devices) != 1 || !r.Devices[0].Holds || r.Devices[0].At.After(r.At) || r.Why != "" {
		t.Errorf("of Ben it says %+v", r)
	}
	// Whoever received it is told nothing about others.
	if got := ben.detail(m); got.State != nil || got.Recipients != nil {
		t.Errorf("Ben is told %+v", got)
	}
	short, err := ann.FindMessage(ann.ctx, m.ID.String()[:6])
	if err != nil || short != m.ID {
		t.Errorf("its first characters find %v (%v)", short, err)
	}
}

func TestNothingIsSaidToBeDeliveredToWhoIsAway(t *testing.T) {
	t.Parallel()
	o, ann, ben, _ := friends(t)
	room := ann.chatWith(ben.id()).RoomID
	ben.reads(room, ann.tells(room, "Hello").Text)
	o.leave(ben)
	ann.sees("Ben", chat.Gone)
	m := ann.tells(room, "Are you there?")
	if got, want := ann.state(m), (chat.MessageState{State: chat.StateHere, Of: 1}); got != want {
		t.Errorf("it is %+v, not %+v", got, want)
	}
	if r := ann.detail(m).Recipients; len(r) != 1 || r[0].State != chat.StateHere || !r[0].At.IsZero() || r[0].Why != "Ben is not here." {
		t.Errorf("of Ben it says %+v", r)
	}
}

func TestInARoomItIsCountedWhoHasRead(t *testing.T) {
	t.Parallel()
	_, enter := newOffice(t)
	ann, ben, cleo := enter("Ann"), enter("Ben"), enter("Cleo")
	befriend(ann, ben)
	befriend(ann, cleo)
	room := ann.create("garden", "")
	early := ann.tells(room, "Nobody is here yet")
	gather(room, ann, ben, cleo)
	for _, d := range []*desk{ben, cleo} {
		d.shows(chat.Everyone)
	}
	m := ann.tells(room, "Who is for tea?")
	ann.reaches(m, delivered(2, 2))
	ben.readTo(m)
	ann.reaches(m, chat.MessageState{State: chat.StateDelivered, Of: 2, Delivered: 2, Read: 1})
	cleo.readTo(m)
	ann.reaches(m, chat.MessageState{State: chat.StateRead, Of: 2, Delivered: 2, Read: 2})
	// Whoever came later is nobody it was for.
	if got := ann.state(early); got.Of != 0 || got.Delivered != 0 || got.Read != 0 {
		t.Errorf("what was said before they came is %+v", got)
	}
}

func TestReadingIsToldOnlyToWhomItMayBe(t *testing.T) {
	t.Parallel()
	_, enter := newOffice(t)
	ann, ben, cleo := enter("Ann"), enter("Ben"), enter("Cleo")
	befriend(ann, ben)
	befriend(ann, cleo)
	room := ann.create("garden", "")
	gather(room, ann, ben, cleo)
	said := func(d *desk, text string) chat.Message {
		m := d.tells(room, text)
		for _, other := range []*desk{ann, ben, cleo} {
			if other != d {
				other.reads(room, text)
			}
		}
		d.reaches(m, delivered(2, 2))
		return m
	}
	// As it is at first: to contacts. Ben and Cleo are none of each other.
	first := said(ben, "to contacts")
	ann.readTo(first)
	cleo.readTo(first)
	ben.reaches(first, chat.MessageState{State: chat.StateDelivered, Of: 2, Delivered: 2, Read: 1})

	// To nobody, from now on.
	ann.shows(chat.Nobody)
	second := said(ben, "to nobody")
	ann.readTo(second)
	cleo.readTo(second)
	// To everyone: what Cleo says now comes behind what must not be said.
	cleo.shows(chat.Everyone)
	third := said(ben, "to everyone")
	ann.readTo(third)
	cleo.readTo(third)
	ben.reaches(third, chat.MessageState{State: chat.StateDelivered, Of: 2, Delivered: 2, Read: 1})
	for _, r := range ben.detail(third).Recipients {
		if want := map[string]string{"Ann": chat.StateDelivered, "Cleo": chat.StateRead}[r.Name]; r.State != want {
			t.Errorf("of %s it says %s, not %s", r.Name, r.State, want)
		}
	}
	if got := ben.state(second); got.Read != 1 {
		t.Errorf("what Ann has read in silence is %+v", got)
	}
	if got := ben.state(first); got.Read != 2 {
		t.Errorf("what was read before is %+v", got)
	}
}

func TestReceiptsArriveThroughAThird(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben, cleo := enter("Ann"), enter("Ben"), enter("Cleo")
	befriend(ann, ben)
	befriend(ann, cleo)
	room := ann.create("garden", "")
	gather(room, ann, ben, cleo)
	cleo.shows(chat.Everyone)
	// Ann and Cleo never meet again: Ben stands between them.
	a, c := netip.MustParseAddr("10.9.0.2"), netip.MustParseAddr("10.9.0.4")
	o.Net.Cut([]netip.Addr{a}, []netip.Addr{c})
	ann.sees("Cleo", chat.Gone)
	cleo.sees("Ann", chat.Gone)
	m := ann.tells(room, "Pass it on")
	cleo.readTo(m)
	ann.reaches(m, chat.MessageState{State: chat.StateDelivered, Of: 2, Delivered: 2, Read: 1})

	// Nor do they when each is there while the other is not.
	last := ann.tells(room, "One more")
	ben.reads(room, "One more")
	o.leave(ann)
	cleo.readTo(last)
	ann = enter("Ann")
	o.Net.Cut([]netip.Addr{netip.MustParseAddr("10.9.0.5")}, []netip.Addr{c})
	ann.reaches(last, chat.MessageState{State: chat.StateDelivered, Of: 2, Delivered: 2, Read: 1})
}

func TestStatesSurviveARestart(t *testing.T) {
	t.Parallel()
	o, ann, ben, enter := friends(t)
	room := ann.chatWith(ben.id()).RoomID
	m := ann.tells(room, "Hello")
	ben.readTo(m)
	want := chat.MessageState{State: chat.StateRead, Of: 1, Delivered: 1, Read: 1}
	ann.reaches(m, want)
	before := ann.detail(m).Recipients[0]
	o.leave(ben)
	ann = o.reboot(ann, "Ann")
	if got := ann.state(m); got != want {
		t.Errorf("after a restart it is %+v, not %+v", got, want)
	}
	if after := ann.detail(m).Recipients[0]; !after.At.Truncate(time.Millisecond).Equal(before.At.Truncate(time.Millisecond)) {
		t.Errorf("it was read at %v, and after a restart at %v", before.At, after.At)
	}
	// What is said while nobody hears it is said when they are back.
	later := ann.tells(room, "Are you back?")
	if got := ann.state(later); got != (chat.MessageState{State: chat.StateHere, Of: 1}) {
		t.Errorf("what Ben has not heard is %+v", got)
	}
	ben = enter("Ben")
	ben.readTo(later)
	ann.reaches(later, want)
}

func TestWhatIsReadOnOneDeviceIsReadOnTheOthers(t *testing.T) {
	t.Parallel()
	o, ann, ben, enter := friends(t)
	phone := join(o, enter, ann)
	ben.shows(chat.Nobody) // nobody else's business
	ann.shows(chat.Nobody)
	room := ann.chatWith(ben.id()).RoomID
	phone.until("a contact of Ben's", func() bool { return phone.relation(ben.id()) == chat.RelationContact })
	phone.until("in the chat", func() bool { return phone.chatWith(ben.id()).RoomID == room })
	m := ben.tells(room, "Hello, both of you")
	ann.reads(room, m.Text)
	phone.reads(room, m.Text)
	phone.until("one unread", func() bool { return phone.unread(room) == 1 })
	ann.readTo(m)
	phone.until("none unread", func() bool { return phone.unread(room) == 0 })
	if got := ben.state(m); got.Read != 0 {
		t.Errorf("Ben is told %+v", got)
	}
	// The phone has it before it comes to it, too.
	o.leave(phone)
	away := ben.tells(room, "And now?")
	ann.readTo(away)
	phone = reenter(t, o, ann, "phone")
	phone.reads(room, away.Text)
	phone.until("none unread", func() bool { return phone.unread(room) == 0 })
}

func TestABlockedPersonLearnsNothingOfWhatIsHeldAndRead(t *testing.T) {
	t.Parallel()
	_, enter := newOffice(t)
	ann, ben, cleo := enter("Ann"), enter("Ben"), enter("Cleo")
	befriend(ann, ben)
	befriend(ann, cleo)
	room := ann.create("garden", "")
	gather(room, ann, ben, cleo)
	for _, d := range []*desk{ann, ben, cleo} {
		d.shows(chat.Everyone)
	}
	before := cleo.tells(room, "Before")
	ben.readTo(before)
	ann.readTo(before)
	cleo.reaches(before, chat.MessageState{State: chat.StateRead, Of: 2, Delivered: 2, Read: 2})
	ben.must(ben.BlockPerson(ben.ctx, cleo.id()))
	cleo.sees("Ben", chat.Gone)
	m := cleo.tells(room, "Can you see me?")
	ann.readTo(m)
	n := ann.tells(room, "I can")
	ben.readTo(n)
	ann.until("told that Ben has read it", func() bool {
		s := ann.state(n)
		return s.Read == 1 || s.Read == 2
	})
	cleo.readTo(n)
	ann.reaches(n, chat.MessageState{State: chat.StateRead, Of: 2, Delivered: 2, Read: 2})
	// By then Ann knows all of Ben; what she passes on of it comes with what she says of herself.
	cleo.until("told that Ann has read it", func() bool { return cleo.state(m).Read > 0 })
	if got := cleo.state(m); got.Delivered != 1 || got.Read != 1 {
		t.Errorf("Cleo, whom Ben has blocked, is told %+v", got)
	}
}

func TestItIsCountedWhereAMessageIsRemoved(t *testing.T) {
	t.Parallel()
	o, ann, ben, enter := friends(t)
	room := ann.chatWith(ben.id()).RoomID
	m := ann.tells(room, "I should not have said this")
	ann.reaches(m, delivered(1, 1))
	o.leave(ben)
	_, err := ann.Delete(ann.ctx, m.ID)
	ann.must(err)
	if d := ann.detail(m); d.RemovedOn != 1 || d.RemovedOf != 2 || d.Text != "" {
		t.Errorf("while Ben is away it is removed on %d of %d devices", d.RemovedOn, d.RemovedOf)
	}
	enter("Ben")
	ann.until("removed everywhere", func() bool { d := ann.detail(m); return d.RemovedOn == 2 && d.RemovedOf == 2 })
}
