package sim

import (
	"context"
	"slices"
	"testing"
	"time"

	"earshot/chat"
	"earshot/node/api"
)

// Who may know that somebody is here, on whole nodes.

// never fails the test if an event that bad accepts is among those that came
// before one that last accepts.
func (d *desk) never(what string, bad, last func(chat.Event) bool) {
	d.t.Helper()
	d.await("the end of the wait for "+what, func(e chat.Event) bool {
		if bad(e) {
			d.t.Errorf("%s saw %s: %+v", d.Name(), what, e)
		}
		return last(e)
	})
}

// catchUp passes over what was told before something that this person says now.
func (d *desk) catchUp() {
	d.t.Helper()
	d.hears(d.say("nothing in particular").Text)
}

func hearing(text string) func(chat.Event) bool {
	return func(e chat.Event) bool {
		m, ok := e.(chat.MessageEvent)
		return ok && m.Text == text
	}
}

// of accepts whatever faces are told of somebody.
func of(who chat.PersonID) func(chat.Event) bool {
	return func(e chat.Event) bool {
		switch e := e.(type) {
		case chat.PersonEvent:
			return e.Person.Person == who
		case chat.TypingEvent:
			return e.From.Person == who
		case chat.MessageEvent:
			return e.From.Person == who
		case chat.ContactEvent:
			return e.Person.Person == who
		}
		return false
	}
}

// knows returns what a node's people list says of somebody.
func (d *desk) knows(who chat.PersonID) (chat.Person, bool) {
	d.t.Helper()
	people, err := d.People(d.ctx)
	d.must(err)
	for _, p := range people {
		if p.Person == who {
			return p, true
		}
	}
	return chat.Person{}, false
}

func visible(nearby string) chat.Privacy {
	return chat.Privacy{Nearby: nearby, Presence: chat.OnlyContacts, Read: chat.OnlyContacts}
}

func TestABlockedPersonMustSeeNothingThatOfSomebodyAbsentIsNotSeen(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben, cleo := enter("Ann"), enter("Ben"), enter("Cleo")
	befriend(ann, ben)
	befriend(ben, cleo)
	befriend(ann, cleo)
	ben.must(ben.SetTyping(ben.ctx, lobby, true))
	ann.await("Ben typing", func(e chat.Event) bool { ty, ok := e.(chat.TypingEvent); return ok && ty.Typing })

	ann.must(ann.BlockPerson(ann.ctx, ben.id()))
	ben.sees("Ann", chat.Gone)
	p, _ := ben.knows(ann.id())
	if p.Relation != chat.RelationContact || p.LastSeen.IsZero() || p.Devices[0].Address != "" {
		t.Errorf("Ben sees %+v", p)
	}
	// Cleo leaves for comparison: what Ben is told of the two is the same.
	cleo.must(o.Leave(cleo.ctx, cleo.Node))
	ben.sees("Cleo", chat.Gone)
	absent, _ := ben.knows(cleo.id())
	if absent.Presence != p.Presence || absent.Relation != p.Relation || len(absent.Devices) != len(p.Devices) || absent.Devices[0].Presence != p.Devices[0].Presence {
		t.Errorf("of Ann Ben sees %+v, of Cleo, who is gone, %+v", p, absent)
	}
	// Both ask again; neither request arrives, and both wait.
	for _, who := range []chat.PersonID{ann.id(), cleo.id()} {
		ben.must(ben.ForgetContact(ben.ctx, who))
		got, err := ben.AddContact(ben.ctx, who, "hello?")
		ben.must(err)
		if !got.Waiting {
			t.Errorf("%+v does not wait", got)
		}
	}
	if r := ann.relation(ben.id()); r != chat.RelationBlocked {
		t.Errorf("to Ann, Ben is %s", r)
	}
}

func TestNothingOfABlockedPersonMustReachWhoBlockedThem(t *testing.T) {
	t.Parallel()
	_, enter := newOffice(t)
	ann, ben, cleo := enter("Ann"), enter("Ben"), enter("Cleo")
	for _, d := range []*desk{ann, ben, cleo} {
		for _, other := range []*desk{ann, ben, cleo} {
			if other != d {
				d.sees(other.Name(), chat.Here)
			}
		}
	}
	befriend(ann, ben)
	ben.say("before")
	ann.hears("before")
	ann.must(ann.BlockPerson(ann.ctx, ben.id()))
	ann.sees("Ben", chat.Gone)
	cleo.say("he is blocked")
	ann.hears("he is blocked") // and what she was told of that is behind her
	ben.must(ben.SetTyping(ben.ctx, lobby, true))
	ben.say("psst")
	cleo.hears("psst")
	cleo.say("what Ben said is held by all by now")
	ann.never("something of Ben", of(ben.id()), hearing("what Ben said is held by all by now"))
	page, err := ann.Messages(ann.ctx, lobby, api.Page{Limit: 10})
	ann.must(err)
	for _, m := range page {
		if m.Text == "psst" {
			t.Error("it stands in Ann's history")
		}
	}
	// What was kept without being shown is no reason to part: all hold the same.
	ben.say("once more")
	cleo.hears("once more")
	room, err := ann.FindRoom(ann.ctx, chat.Lobby)
	ann.must(err)
	if room.Unread != 3 { // "before" and Cleo's
		t.Errorf("%d are unread", room.Unread)
	}
	// Unblocked, they meet again.
	ann.must(ann.UnblockPerson(ann.ctx, ben.id()))
	ann.sees("Ben", chat.Here)
	ben.sees("Ann", chat.Here)
	ben.say("thank you")
	ann.hears("thank you")
}

func TestABlockedPersonMustStayBlockedAfterARestart(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	ann.sees("Ben", chat.Here)
	ben.sees("Ann", chat.Here)
	ann.must(ann.BlockPerson(ann.ctx, ben.id()))
	ben.sees("Ann", chat.Gone)
	ann.must(o.Leave(ann.ctx, ann.Node))
	ann = enter("Ann")
	enter("Cleo") // who comes later is seen by both
	ann.sees("Cleo", chat.Here)
	ben.sees("Cleo", chat.Here)
	if p, _ := ben.knows(ann.id()); p.Presence != chat.Gone {
		t.Errorf("Ben sees %+v", p)
	}
	if p, _ := ann.knows(ben.id()); p.Presence != chat.Gone || p.Relation != chat.RelationBlocked {
		t.Errorf("Ann sees %+v", p)
	}
}

func TestWhoShowsThemselvesToContactsMustNotBeSeenByStrangers(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben, cleo := enter("Ann"), enter("Ben"), enter("Cleo")
	befriend(ann, ben)
	ann.sees("Cleo", chat.Here)
	cleo.sees("Ann", chat.Here)
	ann.must(ann.SetPrivacy(ann.ctx, visible(chat.OnlyContacts)))
	cleo.sees("Ann", chat.Gone) // she was seen before
	if p, _ := ben.knows(ann.id()); p.Presence != chat.Here {
		t.Errorf("Ben, a contact, sees %+v", p)
	}
	// Who comes now never hears of her, but she of them: it is she who may not be seen.
	dora := enter("Dora")
	ann.sees("Dora", chat.Here)
	dora.sees("Cleo", chat.Here)
	ben.say("everybody is here")
	dora.hears("everybody is here")
	if p, known := dora.knows(ann.id()); known {
		t.Errorf("Dora, a stranger, knows %+v", p)
	}
	// The setting outlives a restart.
	ann.must(o.Leave(context.Background(), ann.Node))
	ann = enter("Ann")
	ben.sees("Ann", chat.Here)
	ann.sees("Dora", chat.Here)
	if p, known := dora.knows(ann.id()); known {
		t.Errorf("after the restart, Dora knows %+v", p)
	}
	// Whom she asks may know that she is here; they find out by her asking.
	_, err := ann.AddContact(ann.ctx, dora.id(), "hello")
	ann.must(err)
	dora.becomes(ann, chat.RelationAsking)
	dora.sees("Ann", chat.Here)
	if p, _ := cleo.knows(ann.id()); p.Presence != chat.Gone {
		t.Errorf("Cleo sees %+v", p)
	}
	ann.must(ann.SetPrivacy(ann.ctx, visible(chat.Everyone)))
	cleo.sees("Ann", chat.Here)
}

func TestTwoWhoShowThemselvesToContactsOnlyMustNotSeeEachOther(t *testing.T) {
	t.Parallel()
	_, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	ann.must(ann.SetPrivacy(ann.ctx, visible(chat.OnlyContacts)))
	ben.must(ben.SetPrivacy(ben.ctx, visible(chat.OnlyContacts)))
	cleo := enter("Cleo")
	for _, d := range []*desk{ann, ben} {
		d.sees("Cleo", chat.Here)
		_, err := d.AddContact(d.ctx, cleo.id(), "")
		d.must(err)
		cleo.becomes(d, chat.RelationAsking)
		cleo.must(cleo.AcceptContact(cleo.ctx, d.id()))
		d.becomes(cleo, chat.RelationContact)
	}
	// They may have met before they chose so; then it ends, and does not begin again.
	for _, pair := range [][2]*desk{{ann, ben}, {ben, ann}} {
		pair[0].until("without "+pair[1].Name(), func() bool {
			p, known := pair[0].knows(pair[1].id())
			return !known || p.Presence == chat.Gone
		})
	}
	cleo.say("both are here")
	ann.hears("both are here")
	ben.hears("both are here")
	for _, pair := range [][2]*desk{{ann, ben}, {ben, ann}} {
		if p, known := pair[0].knows(pair[1].id()); known && p.Presence == chat.Here {
			t.Errorf("%s sees %+v", pair[0].Name(), p)
		}
	}
	ben.must(ben.SetPrivacy(ben.ctx, visible(chat.Everyone)))
	ann.sees("Ben", chat.Here)
}

func TestWhoIsInvisibleMustBeSeenByNobodyAndSendNothing(t *testing.T) { // alone: time is measured
	o, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	befriend(ann, ben)
	p := visible(chat.Everyone)
	p.Invisible = true
	ann.must(ann.SetPrivacy(ann.ctx, p))
	ben.sees("Ann", chat.Gone)
	ann.sees("Ben", chat.Gone)
	me, err := ann.Me(ann.ctx)
	if err != nil || len(me.Warnings) != 1 || me.Warnings[0].Code != chat.CodeInvisible {
		t.Errorf("Ann is told %+v (%v)", me.Warnings, err)
	}
	ann.say("a note to myself")
	ben.say("is she there?")
	cleo := enter("Cleo")
	ben.sees("Cleo", chat.Here)
	cleo.hears("is she there?")
	// After a restart it is still so.
	ann.must(o.Leave(context.Background(), ann.Node))
	ann = enter("Ann")
	if me, _ := ann.Me(ann.ctx); len(me.Warnings) != 1 {
		t.Errorf("after the restart Ann is told %+v", me.Warnings)
	}
	ben.say("really not?")
	cleo.never("something of Ann", of(ann.id()), hearing("really not?"))
	if who, _ := ann.knows(ben.id()); who.Presence != chat.Gone {
		t.Errorf("Ann sees %+v", who)
	}
	if _, known := cleo.knows(ann.id()); known {
		t.Error("Cleo knows Ann")
	}
	p.Invisible = false
	start := time.Now()
	ann.must(ann.SetPrivacy(ann.ctx, p))
	ben.sees("Ann", chat.Here)
	inTime(t, "for Ben to see Ann", time.Since(start), 5*time.Second)
	ben.hears("a note to myself")
	ann.hears("really not?")
	if me, _ := ann.Me(ann.ctx); len(me.Warnings) != 0 {
		t.Errorf("Ann is still told %+v", me.Warnings)
	}
}

func TestSettingsThatAreNoneAreRefused(t *testing.T) {
	t.Parallel()
	_, enter := newOffice(t)
	ann := enter("Ann")
	for _, p := range []chat.Privacy{{}, {Nearby: "all", Presence: chat.Nobody, Read: chat.Nobody}, {Nearby: chat.Nobody, Presence: chat.Nobody}} {
		ann.fails(chat.CodeUsage, ann.SetPrivacy(ann.ctx, p), chat.Everyone)
	}
}

func TestOwnDevicesMustNotLoseEachOtherWhileOneIsInvisible(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, cleo := enter("Ann"), enter("Cleo")
	phone := join(o, enter, ann)
	p := visible(chat.Everyone)
	p.Invisible = true
	ann.must(ann.SetPrivacy(ann.ctx, p))
	ann.sees("Cleo", chat.Gone)
	phone.say("the phone is not invisible")
	ann.hears("the phone is not invisible")
	cleo.hears("the phone is not invisible")
	me, _ := ann.Me(ann.ctx)
	cleo.until("the laptop is gone", func() bool {
		who, _ := cleo.knows(ann.id())
		for _, d := range who.Devices {
			if d.Device == me.Device && d.Presence == chat.Here {
				return false
			}
		}
		return who.Presence == chat.Here
	})
	// Also when the invisible one comes back, for it is it who calls the other.
	ann = o.reboot(ann, "Ann")
	phone.say("and again")
	ann.hears("and again")
}

func TestARevokedDeviceMustNotBeTakenForItsPersons(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	phone := join(o, enter, ben)
	befriend(ann, ben)
	ann.must(ann.SetPrivacy(ann.ctx, visible(chat.OnlyContacts)))
	phone.sees("Ann", chat.Here)
	lost, err := phone.Me(phone.ctx)
	ben.must(err)
	ben.must(ben.RevokeDevice(ben.ctx, lost.Device))
	phone.sees("Ann", chat.Gone)
	phone = o.reboot(phone, "phone")
	cleo := enter("Cleo")
	phone.sees("Cleo", chat.Here)
	if who, _ := phone.knows(ann.id()); who.Presence == chat.Here {
		t.Errorf("whoever holds the revoked device sees %+v", who)
	}
	ben.sees("Ann", chat.Here)
	cleo.sees("Ben", chat.Here)
}

func TestARevokedDeviceMustNotAnswerForItsPerson(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	phone := join(o, enter, ben)
	befriend(ann, ben)
	ann.must(ann.SetPrivacy(ann.ctx, visible(chat.OnlyContacts)))
	phone.sees("Ann", chat.Here)
	lost, err := phone.Me(phone.ctx)
	ben.must(err)
	ben.must(ben.RevokeDevice(ben.ctx, lost.Device))
	phone.isGone(ann) // she knows
	ann.must(o.Leave(ann.ctx, ben.Node))
	ann.must(ann.SetPrivacy(ann.ctx, visible(chat.Everyone)))
	before := time.Now()
	phone = o.reboot(phone, "phone")
	phone.sees("Ann", chat.Here)
	ann.until("it is connected", func() bool {
		p, err := ann.FindPerson(ann.ctx, ben.id().String())
		return err == nil && slices.ContainsFunc(p.Devices, func(d chat.Device) bool { return d.Device == lost.Device && d.LastSeen.After(before) })
	})
	if p, _ := ann.knows(ben.id()); p.Presence != chat.Gone {
		t.Errorf("Ann sees %+v by a revoked device", p)
	}
	if v := ann.verify(ben); v.State != chat.VerificationEnded {
		t.Errorf("Ann compares symbols with a revoked device: %+v", v)
	}
}

func TestWhoSharesARoomMaySeeWhoShowsThemselvesToContacts(t *testing.T) {
	t.Parallel()
	_, enter := newOffice(t)
	ann, ben, cleo := enter("Ann"), enter("Ben"), enter("Cleo")
	befriend(ann, ben)
	befriend(ben, cleo)
	cleo.sees("Ann", chat.Here)
	ann.must(ann.SetPrivacy(ann.ctx, visible(chat.OnlyContacts)))
	cleo.sees("Ann", chat.Gone)
	room := ben.create("plans", "")
	ben.brings(room, ann, cleo)
	cleo.sees("Ann", chat.Here)
	ann.must(ann.LeaveRoom(ann.ctx, room))
	cleo.sees("Ann", chat.Gone)
}

func TestAnInvitationBySomebodyBlockedMustNotBeShown(t *testing.T) {
	t.Parallel()
	_, ann, ben, _ := friends(t)
	room := ann.create("garden", "")
	ann.must(ann.Invite(ann.ctx, room, ben.id(), ""))
	ben.until("invited", func() bool { return ben.invited(room) })
	ben.must(ben.BlockPerson(ben.ctx, ann.id()))
	ben.until("not shown any more", func() bool { return !ben.invited(room) })
	ben.must(ben.UnblockPerson(ben.ctx, ann.id()))
	ben.until("shown again", func() bool { return ben.invited(room) })
}
