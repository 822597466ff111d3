package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"earshot/chat"
)

// create makes a private room.
func (d *desk) create(name, history string) chat.RoomID {
	d.t.Helper()
	r, err := d.CreateRoom(d.ctx, name, history)
	if err != nil {
		d.t.Fatal(err)
	}
	if r.Kind != chat.RoomPrivate || r.Open || r.Role != chat.RoleOwner || r.Members != 1 || r.Room != "#"+name {
		d.t.Errorf("the new room is %+v", r)
	}
	return r.RoomID
}

// brings has contacts join a private room.
func (d *desk) brings(room chat.RoomID, others ...*desk) {
	d.t.Helper()
	for _, o := range others {
		if err := d.Invite(d.ctx, room, o.id(), ""); err != nil {
			d.t.Fatal(err)
		}
		o.until("invited", func() bool { return o.invited(room) })
		if _, err := o.AcceptInvitation(o.ctx, room); err != nil {
			o.t.Fatal(err)
		}
	}
	for _, o := range others {
		d.until(o.Name()+" is in", func() bool { return d.has(room, o.id()) })
	}
}

func (d *desk) invited(room chat.RoomID) bool {
	list, err := d.Invitations(d.ctx)
	if err != nil {
		d.t.Fatal(err)
	}
	return slices.ContainsFunc(list, func(i chat.Invitation) bool { return i.RoomID == room })
}

// has reports whether somebody is a member of a room, as far as is known here.
func (d *desk) has(room chat.RoomID, who chat.PersonID) bool {
	list, err := d.Members(d.ctx, room)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(list, func(m chat.Member) bool { return m.Person == who && !m.Invited })
}

// isIn reports whether this person takes part in a room.
func (d *desk) isIn(room chat.RoomID) bool {
	list, err := d.Rooms(d.ctx)
	if err != nil {
		d.t.Fatal(err)
	}
	return slices.ContainsFunc(list, func(r chat.Room) bool { return r.RoomID == room && !r.Left })
}

func TestNobodyOutsideAPrivateRoomHoldsAnythingOfIt(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben, cleo, eve := enter("Ann"), enter("Ben"), enter("Cleo"), enter("Eve")
	befriend(ann, ben)
	befriend(ann, cleo)
	befriend(ann, eve)
	room := ann.create("garden", "")
	ann.brings(room, ben, cleo)
	all := []*desk{ann, ben, cleo}
	for _, d := range all {
		d.tells(room, d.Name()+" was here")
	}
	for _, d := range all {
		for _, other := range all {
			d.reads(room, other.Name()+" was here")
		}
	}
	if err := ben.RenameRoom(ben.ctx, room, "shed"); chat.CodeOf(err) != chat.CodeDenied {
		t.Errorf("a member renamed the room: %v", err)
	}
	if err := ann.RenameRoom(ann.ctx, room, "shed"); err != nil {
		t.Fatal(err)
	}
	if err := ann.SetTopic(ann.ctx, room, "Rakes and hoes"); err != nil {
		t.Fatal(err)
	}
	cleo.until("the new name and topic", func() bool {
		r, err := cleo.FindRoom(cleo.ctx, "#shed")
		return err == nil && r.RoomID == room && r.Topic == "Rakes and hoes" && r.Members == 3 && r.Role == chat.RoleMember
	})
	ann.say("Hello, all")
	eve.hears("Hello, all")
	if eve.isIn(room) || eve.invited(room) {
		t.Error("Eve knows of the room")
	}
	o.leave(eve)
	if o.holds(t, "Eve", room) {
		t.Error("Eve's home holds something of the room")
	}
}

func TestARemovedMemberReadsNothingSentAfterwards(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben, eve := enter("Ann"), enter("Ben"), enter("Eve")
	befriend(ann, ben)
	befriend(ann, eve)
	room := ann.create("garden", "")
	ann.brings(room, ben, eve)
	ann.tells(room, "with Eve")
	eve.reads(room, "with Eve")
	if err := ann.Remove(ann.ctx, room, eve.id()); err != nil {
		t.Fatal(err)
	}
	ben.until("Eve is out", func() bool { return !ben.has(room, eve.id()) })
	eve.until("out", func() bool { return !eve.isIn(room) })
	ann.tells(room, "without Eve")
	ben.reads(room, "without Eve")
	ben.tells(room, "nor this")
	ann.reads(room, "nor this")
	if _, err := eve.Send(eve.ctx, room, chat.Draft{Text: "still here"}); chat.CodeOf(err) != chat.CodeNotJoined {
		t.Errorf("Eve can still say something: %v", err)
	}
	ann.say("Hello, all")
	eve.hears("Hello, all")
	if got := eve.texts(room); !slices.Equal(got, []string{"with Eve"}) {
		t.Errorf("Eve has %q", got)
	}
	// Nor after a restart, nor once she is near those who have it.
	o.leave(eve)
	eve = enter("Eve")
	eve.sees("Ann", chat.Here)
	ann.say("Welcome back")
	eve.hears("Welcome back")
	if got := eve.texts(room); !slices.Equal(got, []string{"with Eve"}) {
		t.Errorf("Eve has %q after a restart", got)
	}
	// What she has read is hers.
	if r, err := eve.FindRoom(eve.ctx, "#garden"); err != nil || r.RoomID != room || !r.Left || r.Ended != "Ann removed you." || r.Role != "" {
		t.Errorf("Eve finds %+v (%v)", r, err)
	}
}

func TestWhoLeftReadsNothingSentAfterwards(t *testing.T) {
	t.Parallel()
	_, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	befriend(ann, ben)
	room := ann.create("garden", "")
	ann.brings(room, ben)
	ann.tells(room, "together")
	ben.reads(room, "together")
	if err := ben.LeaveRoom(ben.ctx, room); err != nil {
		t.Fatal(err)
	}
	if ben.isIn(room) {
		t.Error("Ben is still in the room")
	}
	if r, err := ben.FindRoom(ben.ctx, "garden"); err != nil || r.RoomID != room || r.Ended != "You left." {
		t.Errorf("Ben finds %+v (%v)", r, err)
	}
	ann.until("Ben is out", func() bool { return !ann.has(room, ben.id()) })
	ann.tells(room, "alone")
	ann.say("Hello, all")
	ben.hears("Hello, all")
	if got := ben.texts(room); !slices.Equal(got, []string{"together"}) {
		t.Errorf("Ben has %q", got)
	}
	// An invitation leads back.
	ann.brings(room, ben)
	ann.tells(room, "together again")
	ben.reads(room, "together again")
}

func TestADeclinedInvitationLeadsNowhere(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	befriend(ann, ben)
	room := ann.create("garden", "")
	if err := ann.Invite(ann.ctx, room, ben.id(), chat.RoleAdmin); err != nil {
		t.Fatal(err)
	}
	ben.until("invited", func() bool { return ben.invited(room) })
	// It waits across a restart.
	o.leave(ben)
	ben = enter("Ben")
	list, err := ben.Invitations(ben.ctx)
	if err != nil || len(list) != 1 || list[0].Room != "#garden" || list[0].By.Name != "Ann" || list[0].Role != chat.RoleAdmin {
		t.Fatalf("Ben's invitations are %+v (%v)", list, err)
	}
	if err := ben.DeclineInvitation(ben.ctx, room); err != nil {
		t.Fatal(err)
	}
	if ben.invited(room) || ben.isIn(room) {
		t.Error("the invitation is still there")
	}
	if _, err := ben.AcceptInvitation(ben.ctx, room); err == nil {
		t.Error("Ben accepted what he had declined")
	}
	ann.until("declined", func() bool {
		members, err := ann.Members(ann.ctx, room)
		return err == nil && len(members) == 1
	})
}

func TestAMemberThatWasAwayMissesNothing(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben, cleo := enter("Ann"), enter("Ben"), enter("Cleo")
	befriend(ann, ben)
	befriend(ann, cleo)
	room := ann.create("garden", "")
	ann.brings(room, ben, cleo)
	o.leave(cleo)
	ann.tells(room, "while Cleo is away")
	ben.reads(room, "while Cleo is away")
	o.leave(ann) // Ben, who is not the author, passes it on
	cleo = enter("Cleo")
	cleo.reads(room, "while Cleo is away")
	cleo.tells(room, "back")
	ben.reads(room, "back")
	ann = enter("Ann")
	ann.reads(room, "back")
}

func TestARemovalBehindASplitHoldsOnceItHeals(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben, eve := enter("Ann"), enter("Ben"), enter("Eve")
	befriend(ann, ben)
	befriend(ann, eve)
	room := ann.create("garden", "")
	ann.brings(room, ben, eve)
	ann.tells(room, "all together")
	ben.reads(room, "all together")
	eve.reads(room, "all together")
	alone, rest := []netip.Addr{netip.MustParseAddr("10.9.0.4")}, []netip.Addr{netip.MustParseAddr("10.9.0.2"), netip.MustParseAddr("10.9.0.3")}
	o.Net.Cut(alone, rest)
	ann.sees("Eve", chat.Gone)
	if err := ann.Remove(ann.ctx, room, eve.id()); err != nil {
		t.Fatal(err)
	}
	ben.until("Eve is out", func() bool { return !ben.has(room, eve.id()) })
	ann.tells(room, "without Eve")
	ben.reads(room, "without Eve")
	eve.tells(room, "said in ignorance")
	o.Net.Heal()
	eve.until("out", func() bool { return !eve.isIn(room) })
	ann.say("Hello, all")
	eve.hears("Hello, all")
	if got := eve.texts(room); slices.Contains(got, "without Eve") {
		t.Errorf("Eve has %q", got)
	}
	for _, d := range []*desk{ann, ben} {
		if got := d.texts(room); slices.Contains(got, "said in ignorance") {
			t.Errorf("%s is shown what was said after the removal: %q", d.Name(), got)
		}
	}
}

func TestANewcomerReadsNoMoreThanTheHistorySettingAllows(t *testing.T) {
	t.Parallel()
	for history, want := range map[string][]string{
		chat.HistoryNone:         {"after joining"},
		chat.HistorySinceInvited: {"since the invitation", "after joining"},
		chat.HistoryAll:          {"from the beginning", "since the invitation", "after joining"},
	} {
		t.Run(history, func(t *testing.T) {
			t.Parallel()
			_, enter := newOffice(t)
			ann, ben := enter("Ann"), enter("Ben")
			befriend(ann, ben)
			room := ann.create("garden", history)
			ann.tells(room, "from the beginning")
			if err := ann.Invite(ann.ctx, room, ben.id(), ""); err != nil {
				t.Fatal(err)
			}
			ben.until("invited", func() bool { return ben.invited(room) })
			list, err := ben.Invitations(ben.ctx)
			if err != nil || len(list) != 1 || list[0].History != history {
				t.Errorf("the invitation says %+v (%v)", list, err)
			}
			ann.tells(room, "since the invitation")
			if _, err := ben.AcceptInvitation(ben.ctx, room); err != nil {
				t.Fatal(err)
			}
			ann.until("Ben is in", func() bool { return ann.has(room, ben.id()) })
			ann.tells(room, "after joining")
			for _, text := range want {
				ben.reads(room, text)
			}
			if got := ben.texts(room); !slices.Equal(got, want) {
				t.Errorf("Ben has %q, not %q", got, want)
			}
			if r, err := ben.FindRoom(ben.ctx, "#garden"); err != nil || r.Unreadable != 0 {
				t.Errorf("Ben misses %d messages that were not for him (%v)", r.Unreadable, err)
			}
		})
	}
}

func TestRoomsOfOneNameAreNotTakenForEachOther(t *testing.T) {
	t.Parallel()
	_, enter := newOffice(t)
	ann := enter("Ann")
	first, second := ann.create("garden", ""), ann.create("garden", chat.HistoryNone)
	_, err := ann.FindRoom(ann.ctx, "#garden")
	if chat.CodeOf(err) != chat.CodeAmbiguous || !strings.Contains(err.Error(), first.Short()) || !strings.Contains(err.Error(), second.Short()) {
		t.Errorf("#garden is %v", err)
	}
	for _, id := range []chat.RoomID{first, second} {
		for _, s := range []string{id.String(), id.Short(), id.String()[:6]} {
			if r, err := ann.FindRoom(ann.ctx, s); err != nil || r.RoomID != id {
				t.Errorf("%s is %v (%v)", s, r.RoomID.Short(), err)
			}
		}
	}
	if _, err := ann.FindRoom(ann.ctx, "#shed"); chat.CodeOf(err) != chat.CodeNotFound {
		t.Errorf("#shed is %v", err)
	}
}

func TestARoomIsNotTakenForAContactOfItsName(t *testing.T) {
	t.Parallel()
	_, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	befriend(ann, ben)
	direct := ann.chatWith(ben.id())
	for _, s := range []string{"Ben", "@Ben", ben.id().String(), ben.id().Short()} {
		if r, err := ann.FindRoom(ann.ctx, s); err != nil || r.RoomID != direct.RoomID {
			t.Errorf("%s is %q (%v)", s, r.Room, err)
		}
	}
	room := ann.create("ben", "")
	if _, err := ann.FindRoom(ann.ctx, "ben"); chat.CodeOf(err) != chat.CodeAmbiguous {
		t.Errorf("ben is %v", err)
	}
	if r, err := ann.FindRoom(ann.ctx, "#ben"); err != nil || r.RoomID != room {
		t.Errorf("#ben is %q (%v)", r.Room, err)
	}
	if r, err := ann.FindRoom(ann.ctx, "@ben"); err != nil || r.RoomID != direct.RoomID {
		t.Errorf("@ben is %q (%v)", r.Room, err)
	}
}

func TestARestartAtAnyPointLosesNothing(t *testing.T) {
	t.Parallel()
	for _, who := range []string{"Ann", "Ben"} {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			o, enter := newOffice(t)
			desks := map[string]*desk{"Ann": enter("Ann"), "Ben": enter("Ben")}
			befriend(desks["Ann"], desks["Ben"])
			var room chat.RoomID
			said := []string{}
			say := func(name, text string) {
				desks[name].tells(room, text)
				said = append(said, text)
			}
			for _, step := range []func(ann, ben *desk){
				func(ann, _ *desk) { room = ann.create("garden", chat.HistoryAll) },
				func(ann, _ *desk) { say("Ann", "to nobody yet") },
				func(ann, ben *desk) {
					if err := ann.Invite(ann.ctx, room, ben.id(), chat.RoleAdmin); err != nil {
						t.Fatal(err)
					}
				},
				func(ann, _ *desk) { say("Ann", "to whom was invited") },
				func(_, ben *desk) {
					ben.until("invited", func() bool { return ben.invited(room) })
					if _, err := ben.AcceptInvitation(ben.ctx, room); err != nil {
						t.Fatal(err)
					}
				},
				func(_, ben *desk) { say("Ben", "thank you") },
				func(ann, ben *desk) {
					ann.until("Ben is in", func() bool { return ann.has(room, ben.id()) })
					say("Ann", "welcome")
				},
				func(_, ben *desk) {
					ben.until("admin", func() bool {
						r, err := ben.FindRoom(ben.ctx, "#garden")
						return err == nil && r.Role == chat.RoleAdmin
					})
					if err := ben.RenameRoom(ben.ctx, room, "shed"); err != nil {
						t.Fatal(err)
					}
				},
				func(_, _ *desk) { say("Ben", "last") },
			} {
				step(desks["Ann"], desks["Ben"])
				o.leave(desks[who])
				desks[who] = enter(who)
			}
			for _, d := range desks {
				for _, text := range said {
					d.reads(room, text)
				}
				d.until("the new name", func() bool {
					r, err := d.FindRoom(d.ctx, "#shed")
					return err == nil && r.RoomID == room && r.Members == 2 && r.Unreadable == 0
				})
				if got := d.texts(room); len(got) != len(said) {
					t.Errorf("%s has %q", d.Name(), got)
				}
			}
		})
	}
}

func TestAllSpeakingAtOnceLosesNothing(t *testing.T) {
	t.Parallel()
	const each = 100
	_, enter := newOffice(t)
	ann, ben, cleo, dan := enter("Ann"), enter("Ben"), enter("Cleo"), enter("Dan")
	all := []*desk{ann, ben, cleo, dan}
	for _, d := range all[1:] {
		befriend(ann, d)
	}
	room := ann.create("garden", "")
	ann.brings(room, ben, cleo, dan)
	for _, d := range all {
		for _, other := range all {
			d.until(other.Name()+" is in", func() bool { return d.has(room, other.id()) })
		}
	}
	var wg sync.WaitGroup
	for _, d := range all { // each with keys that nobody has yet
		wg.Go(func() {
			for i := range each {
				if _, err := d.Send(d.ctx, room, chat.Draft{Text: fmt.Sprint(d.Name(), " ", i)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for _, d := range all {
		d.until("has it all", func() bool { return len(d.texts(room)) == len(all)*each })
		if r, err := d.FindRoom(d.ctx, "#garden"); err != nil || r.Unreadable != 0 || r.Members != len(all) {
			t.Errorf("%s has %+v (%v)", d.Name(), r, err)
		}
	}
}
