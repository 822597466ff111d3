package sim

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"earshot/chat"
	proto "earshot/chat/wire"
)

// Who is free, on whole nodes.

// showing waits until somebody is seen in a state, and returns how they are seen.
func (d *desk) showing(who *desk, state chat.Availability) chat.Person {
	d.t.Helper()
	var p chat.Person
	d.until(fmt.Sprintf("%s is seen %s", who.Name(), state), func() bool {
		p, _ = d.knows(who.id())
		return p.Presence == chat.Here && p.Status.State == state
	})
	return p
}

// isGone waits until somebody is seen to be gone.
func (d *desk) isGone(who *desk) chat.Person {
	d.t.Helper()
	var p chat.Person
	d.until(who.Name()+" is seen gone", func() bool {
		p, _ = d.knows(who.id())
		return p.Presence == chat.Gone
	})
	return p
}

func (d *desk) says(state chat.Availability, text string) {
	d.t.Helper()
	_, err := d.SetStatus(d.ctx, chat.StatusChange{State: &state, Text: &text})
	d.must(err)
}

func TestAContactSeesWhoIsFreeAtOnce(t *testing.T) {
	t.Parallel()
	_, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	befriend(ann, ben)
	ben.showing(ann, chat.Available)
	ann.showing(ben, chat.Available)
	for _, state := range []chat.Availability{chat.Busy, chat.DoNotDisturb, chat.Away, chat.Available} {
		ann.says(state, "on "+string(state))
		p := ben.showing(ann, state)
		if p.Status.Text != "on "+string(state) || len(p.Devices) != 1 || p.Devices[0].State != state {
			t.Errorf("Ben sees %+v", p)
		}
	}
	until := time.Now().Add(time.Hour).Truncate(time.Microsecond)
	meeting := chat.InMeeting
	if _, err := ann.SetStatus(ann.ctx, chat.StatusChange{State: &meeting, Until: until}); err != nil {
		t.Fatal(err)
	}
	if p := ben.showing(ann, chat.InMeeting); p.Status.Until.Sub(until).Abs() > time.Second {
		t.Errorf("the meeting ends at %v, not %v", p.Status.Until, until)
	}
}

func TestAStatusEndsAtTheOtherEndToo(t *testing.T) {
	t.Parallel()
	_, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	befriend(ann, ben)
	busy, text := chat.Busy, "back in a second"
	end := time.Now().Add(2 * time.Second)
	_, err := ann.SetStatus(ann.ctx, chat.StatusChange{State: &busy, Until: end, Text: &text, TextUntil: end})
	ann.must(err)
	ben.showing(ann, chat.Busy)
	if p := ben.showing(ann, chat.Available); p.Status.Text != "" {
		t.Errorf("Ben still reads %q", p.Status.Text)
	}
}

// Nothing that a stranger's node is sent says how somebody is.
func TestAStrangerMustNotLearnHowSomebodyIs(t *testing.T) {
	s := besiege(t)
	befriend(s.ann, s.ben)
	x := s.stranger(nil)
	raw := x.open(peerProtocol)
	if _, err := raw.Write(frames(x.hello())); err != nil {
		t.Fatal(err)
	}
	s.ann.sees("Mallory", chat.Here)
	const secret = "at the dentist's"
	s.ann.says(chat.Busy, secret)
	if p := s.ben.showing(s.ann, chat.Busy); p.Status.Text != secret {
		t.Errorf("Ben sees %+v", p)
	}
	// What goes to one neighbour keeps its order.
	if _, err := s.ann.AddContact(s.ann.ctx, x.person(), "and who are you?"); err != nil {
		t.Fatal(err)
	}
	_ = raw.SetReadDeadline(time.Now().Add(patience))
	for last := false; !last; {
		f, err := readFrame(raw)
		if err != nil {
			t.Fatal(err)
		}
		if b := proto.EncodeFrame(f); bytes.Contains(b, []byte("dentist")) || bytes.Contains(b, []byte(chat.Busy)) {
			t.Errorf("a stranger is told %T %q", f, b)
		}
		switch f.(type) {
		case proto.PresenceKey:
			t.Error("a stranger is given the key")
		case proto.Contact:
			last = true
		}
	}
	x.vanish()
}

// Who was a contact has the key to what was shown then, and gets no other.
func TestWhoIsExceptedMustNotBeGivenTheNextKey(t *testing.T) {
	s := besiege(t)
	x := s.stranger(nil)
	raw := x.open(peerProtocol)
	if _, err := raw.Write(frames(x.hello(), proto.Contact{Message: x.request("Mallory", "it's me")})); err != nil {
		t.Fatal(err)
	}
	s.ann.until("he has asked", func() bool { return len(s.ann.tray()) == 1 })
	s.ann.must(s.ann.AcceptContact(s.ann.ctx, x.person()))
	_ = raw.SetReadDeadline(time.Now().Add(patience))
	next := func() proto.Frame {
		f, err := readFrame(raw)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	for {
		if _, given := next().(proto.PresenceKey); given {
			break
		}
	}
	no := false
	p, err := s.ann.Privacy(s.ann.ctx)
	s.ann.must(err)
	p.Exceptions = []chat.PrivacyException{{Person: x.person(), Presence: &no}}
	s.ann.must(s.ann.SetPrivacy(s.ann.ctx, p))
	s.ann.says(chat.Busy, "at the dentist's")
	// What goes to one neighbour keeps its order.
	s.ann.types(lobby)
	for {
		f := next()
		if _, last := f.(proto.Typing); last {
			break
		}
		if _, given := f.(proto.PresenceKey); given || bytes.Contains(proto.EncodeFrame(f), []byte("dentist")) {
			t.Errorf("who is excepted is told %+v", f)
		}
	}
	x.vanish()
}

func TestWhoMayNotSeeAnyMoreIsToldNothingNew(t *testing.T) {
	for name, ends := range map[string]func(ann, ben *desk) error{
		"forgotten": func(ann, ben *desk) error { return ann.ForgetContact(ann.ctx, ben.id()) },
		"excepted": func(ann, ben *desk) error {
			no := false
			p, err := ann.Privacy(ann.ctx)
			ann.must(err)
			p.Exceptions = []chat.PrivacyException{{Person: ben.id(), Presence: &no}}
			return ann.SetPrivacy(ann.ctx, p)
		},
		"by a setting": func(ann, _ *desk) error {
			p, err := ann.Privacy(ann.ctx)
			ann.must(err)
			p.Presence = chat.Nobody
			return ann.SetPrivacy(ann.ctx, p)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, enter := newOffice(t)
			ann, ben := enter("Ann"), enter("Ben")
			befriend(ann, ben)
			ann.says(chat.Busy, "before")
			ben.showing(ann, chat.Busy)
			ann.must(ends(ann, ben))
			ben.until("nothing is shown to Ben", func() bool {
				p, _ := ben.knows(ann.id())
				return p.Presence == chat.Here && p.Status.State == "" && p.Status.Text == ""
			})
			ann.says(chat.DoNotDisturb, "after")
			ann.say("all is said") // on a stream of its own, and later
			ben.never("how Ann is", func(e chat.Event) bool {
				p, ok := e.(chat.PersonEvent)
				return ok && p.Person.Person == ann.id() && p.Status.Text == "after"
			}, hearing("all is said"))
			if p, _ := ben.knows(ann.id()); p.Status != (chat.Status{}) {
				t.Errorf("Ben sees %+v", p.Status)
			}
		})
	}
}

func TestWhoAppearsOfflineIsSeenGoneAndReached(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben, cleo := enter("Ann"), enter("Ben"), enter("Cleo")
	befriend(ann, ben)
	ben.showing(ann, chat.Available)
	cleo.sees("Ann", chat.Here)
	began := time.Now()
	ann.chooses(chat.Offline)
	for _, other := range []*desk{ben, cleo} { // a stranger, too
		p := other.isGone(ann)
		if p.Status.State != "" || p.LastSeen.Sub(began).Abs() > 5*time.Second {
			t.Errorf("%s sees %+v", other.Name(), p)
		}
	}
	first, _ := ben.knows(ann.id())
	room := ben.chatWith(ann.id()).RoomID
	m := ben.tells(room, "are you there?")
	ann.reads(room, m.Text)
	ann.readTo(m)
	ben.reaches(m, delivered(1, 1)) // and not read
	ann.tells(room, "I am not")
	ben.reads(room, "I am not")
	if p, _ := ben.knows(ann.id()); p.Presence != chat.Gone || !p.LastSeen.Equal(first.LastSeen) {
		t.Errorf("after she spoke Ben sees %+v, before that %+v", p, first)
	}
	// Nor do they see her come who come later, or when she does.
	ben.catchUp()
	ann = o.reboot(ann, "Ann")
	ann.say("still not")
	ben.never("Ann here", func(e chat.Event) bool {
		p, ok := e.(chat.PersonEvent)
		return ok && p.Person.Person == ann.id() && p.Presence == chat.Here
	}, hearing("still not"))
	if me, err := ann.Status(ann.ctx); err != nil || me.State != chat.Offline {
		t.Errorf("Ann is told %+v (%v)", me, err)
	}
	ann.chooses(chat.Available)
	ben.showing(ann, chat.Available)
	cleo.sees("Ann", chat.Here)
	ben.reaches(m, chat.MessageState{State: chat.StateRead, Of: 1, Delivered: 1, Read: 1})
}

func TestAStatusChosenOnOneDeviceCountsOnAll(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	phone := join(o, enter, ann)
	befriend(ann, ben)
	phone.until("the phone knows Ben", func() bool { return phone.relation(ben.id()).Known() })
	ann.says(chat.Busy, "writing")
	var own chat.OwnStatus
	phone.until("it counts on the phone", func() bool {
		var err error
		own, err = phone.Status(phone.ctx)
		return err == nil && own.Chosen == chat.Busy && own.Text == "writing"
	})
	ben.until("both devices show it", func() bool {
		p, _ := ben.knows(ann.id())
		return len(p.Devices) == 2 && p.Devices[0].State == chat.Busy && p.Devices[1].State == chat.Busy
	})
	phone.chooses(chat.Available)
	ann.until("it is taken back", func() bool {
		s, err := ann.Status(ann.ctx)
		return err == nil && s.Chosen == chat.Available && s.Text == "writing"
	})
	ben.showing(ann, chat.Available)
	// One of the two leaves: she is still here.
	ann.must(o.Leave(ann.ctx, phone.Node))
	ben.until("one device is left", func() bool {
		p, _ := ben.knows(ann.id())
		here := 0
		for _, d := range p.Devices {
			if d.Presence == chat.Here {
				here++
			}
		}
		return here == 1 && p.Presence == chat.Here && p.Status.State == chat.Available
	})
	// What was chosen while it was away it learns when it is back.
	ann.chooses(chat.DoNotDisturb)
	phone = enter("phone")
	phone.until("it has learnt", func() bool {
		s, err := phone.Status(phone.ctx)
		return err == nil && s.Chosen == chat.DoNotDisturb
	})
}

func TestWhoIsReachedOnlyThroughAStrangerIsSeenHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, enter := newOffice(t)
		ann, ben := enter("Ann"), enter("Ben")
		cleo := enter("Cleo") // knows neither
		befriend(ann, ben)
		cleo.sees("Ann", chat.Here)
		cleo.sees("Ben", chat.Here)
		ann.showing(ben, chat.Available)
		o.Net.Cut(o.hosts(1, 1), o.hosts(2, 2))
		ann.isGone(ben) // for all that she can tell
		ben.says(chat.Busy, "behind the wall")
		p := ann.showing(ben, chat.Busy)
		if p.Status.Text != "behind the wall" || p.Devices[0].Address != "" {
			t.Errorf("Ann sees %+v", p)
		}
		if p, _ := cleo.knows(ben.id()); p.Status != (chat.Status{}) {
			t.Errorf("Cleo, through whom it came, sees %+v", p.Status)
		}
		ann.must(o.Leave(ann.ctx, ben.Node))
		ann.isGone(ben)
		o.Net.CloseAll()
	})
}

func TestWhoHasRestartedIsSeenThroughAStrangerLikewise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, enter := newOffice(t)
		ann, ben := enter("Ann"), enter("Ben")
		enter("Cleo") // knows neither
		befriend(ann, ben)
		ann.showing(ben, chat.Available)
		ann.must(o.Leave(ann.ctx, ben.Node))
		ann.isGone(ben)
		o.Net.Cut(o.hosts(1, 1), o.hosts(4, 4))
		ben = enter("Ben") // at the address from which Ann can't be reached
		ben.says(chat.Busy, "behind the wall")
		if p := ann.showing(ben, chat.Busy); p.Status.Text != "behind the wall" || p.Devices[0].Address != "" {
			t.Errorf("Ann sees %+v", p)
		}
		o.Net.CloseAll()
	})
}

func TestABlockedPersonMustNotSeeThroughOthersWhoIsHere(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben, cleo := enter("Ann"), enter("Ben"), enter("Cleo")
	befriend(ann, ben)
	befriend(ann, cleo)
	befriend(ben, cleo)
	p, err := ann.Privacy(ann.ctx)
	ann.must(err)
	p.Presence = chat.Everyone
	ann.must(ann.SetPrivacy(ann.ctx, p))
	ann.must(ann.BlockPerson(ann.ctx, ben.id()))
	ben.isGone(ann)
	ann.says(chat.Busy, "not for Ben")
	cleo.showing(ann, chat.Busy)
	// Also after he comes back, and has been told by Cleo all that she tells.
	ben = o.reboot(ben, "Ben")
	ben.sees("Cleo", chat.Here)
	cleo.says(chat.Busy, "for Ben")
	ben.showing(cleo, chat.Busy)
	if p, _ := ben.knows(ann.id()); p.Presence != chat.Gone || p.Status != (chat.Status{}) {
		t.Errorf("Ben sees %+v", p)
	}
}

func TestWhoIsWatchedIsToldOfOnce(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben, cleo := enter("Ann"), enter("Ben"), enter("Cleo")
	befriend(ann, ben)
	ann.sees("Cleo", chat.Here)
	ann.fails(chat.CodeNotContact, ann.Watch(ann.ctx, cleo.id(), true))
	ben.chooses(chat.DoNotDisturb)
	ann.showing(ben, chat.DoNotDisturb)
	ann.must(ann.Watch(ann.ctx, ben.id(), true))
	if p, _ := ann.knows(ben.id()); !p.Watched {
		t.Errorf("Ann sees %+v", p)
	}
	ann = o.reboot(ann, "Ann") // she goes on waiting
	ann.showing(ben, chat.DoNotDisturb)
	ben.chooses(chat.Available)
	free := func(e chat.Event) bool {
		f, ok := e.(chat.FreeEvent)
		return ok && f.Person.Person == ben.id() && !f.Watched && f.Status.State == chat.Available
	}
	ann.await("Ben being free", free)
	ben.chooses(chat.Busy)
	ann.showing(ben, chat.Busy)
	ben.chooses(chat.Available)
	ann.showing(ben, chat.Available)
	ben.say("again")
	ann.never("Ben being free once more", free, hearing("again"))
	// Of who is free already it is told at once.
	ann.must(ann.Watch(ann.ctx, ben.id(), true))
	ann.await("Ben being free already", free)
	if p, _ := ann.knows(ben.id()); p.Watched {
		t.Errorf("Ann still watches %+v", p)
	}
}

func TestWhoIsWatchedAndHidesHowTheyAreIsToldOfWhenHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, enter := newOffice(t)
		ann, ben := enter("Ann"), enter("Ben")
		befriend(ann, ben)
		p, err := ben.Privacy(ben.ctx)
		ben.must(err)
		p.Presence = chat.Nobody
		ben.must(ben.SetPrivacy(ben.ctx, p))
		ben.must(o.Leave(ben.ctx, ben.Node))
		ann.isGone(ben)
		ann.must(ann.Watch(ann.ctx, ben.id(), true))
		ben = enter("Ben")
		ann.await("Ben being free for all that is known", func(e chat.Event) bool {
			f, ok := e.(chat.FreeEvent)
			return ok && f.Person.Person == ben.id() && f.Status.State == ""
		})
		o.Net.CloseAll()
	})
}

// Where nothing changes, faces hear nothing, however much is said about it below.
func TestWhereNothingChangesNobodyIsToldOfAnybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, enter := newOfficeFor(t, time.Hour)
		ann, ben, cleo := enter("Ann"), enter("Ben"), enter("Cleo")
		all := []*desk{ann, ben, cleo}
		befriend(ann, ben)
		ann.showing(ben, chat.Available)
		ben.showing(ann, chat.Available)
		o.Net.Cut(o.hosts(1, 1), o.hosts(2, 2))
		time.Sleep(2 * time.Minute) // until they know each other through Cleo
		if p, _ := ann.knows(ben.id()); p.Presence != chat.Here || p.Suspect || p.Status.State != chat.Available {
			t.Errorf("Ann sees %+v", p)
		}
		for _, d := range all {
			for len(d.events) > 0 {
				<-d.events
			}
		}
		for range 40 { // and none goes away for doing nothing
			time.Sleep(30 * time.Second)
			for _, d := range all {
				d.must(d.Active(d.ctx))
			}
		}
		synctest.Wait()
		for _, d := range all {
			for len(d.events) > 0 {
				if e, ok := (<-d.events).(chat.PersonEvent); ok {
					t.Errorf("%s is told of %+v", d.Name(), e)
				}
			}
		}
		o.Net.CloseAll()
	})
}

func TestWhoIsFreeStandsFirst(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann := enter("Ann")
	others := map[string]*desk{}
	for _, name := range []string{"Busy", "Free", "Gone"} {
		others[name] = enter(name)
		befriend(ann, others[name])
	}
	stranger := enter("Anybody")
	ann.sees(stranger.Name(), chat.Here)
	others["Busy"].chooses(chat.Busy)
	ann.showing(others["Busy"], chat.Busy)
	ann.must(o.Leave(ann.ctx, others["Gone"].Node))
	ann.isGone(others["Gone"])
	people, err := ann.People(ann.ctx)
	ann.must(err)
	for i, want := range []string{"Ann", "Free", "Busy", "Anybody", "Gone"} {
		if i >= len(people) || people[i].Name != want {
			t.Fatalf("%d is not %s: %+v", i, want, people)
		}
	}
}
