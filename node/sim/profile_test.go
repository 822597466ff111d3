package sim

import (
	"reflect"
	"slices"
	"testing"

	"earshot/chat"
)

// What people tell of themselves, and whom they sort how, on whole nodes.

// profile returns what d is shown of somebody's profile.
func (d *desk) profile(of *desk) chat.Profile {
	d.t.Helper()
	p, ok := d.knows(of.id())
	if !ok || p.Profile == nil {
		return chat.Profile{}
	}
	return *p.Profile
}

// learns waits until d is shown this of somebody's profile.
func (d *desk) learns(of *desk, want chat.Profile) {
	d.t.Helper()
	d.until("shown the profile of "+of.Name(), func() bool { return d.profile(of) == want })
}

func (d *desk) puts(who *desk, groups ...string) {
	d.t.Helper()
	c, err := d.SetGroups(d.ctx, who.id(), groups)
	d.must(err)
	if !slices.Equal(c.Groups, groups) {
		d.t.Errorf("%s is in %q, not %q", who.Name(), c.Groups, groups)
	}
}

var annsProfile = chat.OwnProfile{
	Profile: chat.Profile{Title: "Engineer", Department: "Research", Email: "Ann@Example.org", Location: "Room 4.07", Phone: "+49 30 1234567"},
	For:     map[string]chat.Audience{"title": chat.Everyone, "phone": "groups:board", "location": chat.Nobody},
}

func TestEachPartOfAProfileIsShownToThoseItIsFor(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben, cleo := enter("Ann"), enter("Ben"), enter("Cleo")
	befriend(ann, ben)
	cleo.sees("Ann", chat.Here)
	got, err := ann.SetProfile(ann.ctx, annsProfile)
	ann.must(err)
	if !reflect.DeepEqual(got, annsProfile) {
		t.Errorf("Ann's profile is %+v", got)
	}
	contact := chat.Profile{Title: "Engineer", Department: "Research", Email: "Ann@Example.org"}
	ben.learns(ann, contact)
	cleo.learns(ann, chat.Profile{Title: "Engineer"})

	// An address finds a contact, and nobody else who claims it.
	_, err = cleo.SetProfile(cleo.ctx, chat.OwnProfile{Profile: chat.Profile{Email: "ann@example.org"}, For: map[string]chat.Audience{"email": chat.Everyone}})
	cleo.must(err)
	ben.learns(cleo, chat.Profile{Email: "ann@example.org"})
	found, err := ben.FindEmail(ben.ctx, "ann@EXAMPLE.org")
	if err != nil || len(found) != 1 || found[0].Person != ann.id() {
		t.Errorf("Ben finds %+v (%v)", found, err)
	}
	_, err = cleo.FindEmail(cleo.ctx, "ann@example.org")
	cleo.fails(chat.CodeNotFound, err)

	// Groups count at once, both ways.
	ann.puts(ben, "board", "Sales")
	withPhone := contact
	withPhone.Phone = annsProfile.Phone
	ben.learns(ann, withPhone)
	ann.puts(ben, "Sales")
	ben.learns(ann, contact)

	// What was told is kept while Ann is away, and what has changed meanwhile comes
	// with her.
	ann.must(o.Leave(ann.ctx, ann.Node))
	ben.sees("Ann", chat.Gone)
	if got := ben.profile(ann); got != contact {
		t.Errorf("of Ann, who has left, Ben is shown %+v", got)
	}
	ann = enter("Ann")
	less := annsProfile
	less.For = map[string]chat.Audience{"email": chat.Nobody, "department": "groups:board"}
	_, err = ann.SetProfile(ann.ctx, less)
	ann.must(err)
	ben.learns(ann, chat.Profile{Title: "Engineer", Location: "Room 4.07", Phone: annsProfile.Phone})
	if _, err = ben.FindEmail(ben.ctx, "ann@example.org"); chat.CodeOf(err) != chat.CodeNotFound {
		t.Errorf("what is not shown any more is found: %v", err)
	}
	// Forgotten, Ben is a stranger like Cleo.
	ann.must(ann.ForgetContact(ann.ctx, ben.id()))
	ben.learns(ann, chat.Profile{})
	cleo.learns(ann, chat.Profile{})
}

func TestProfileAndGroupsAreOneOnAllDevices(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	befriend(ann, ben)
	ann.puts(ben, "board")
	_, err := ann.SetProfile(ann.ctx, annsProfile)
	ann.must(err)
	phone := join(o, enter, ann)
	profile := func(d *desk) chat.OwnProfile {
		p, err := d.Profile(d.ctx)
		d.must(err)
		return p
	}
	phone.until("told Ann's profile", func() bool { return reflect.DeepEqual(profile(phone), annsProfile) })
	sorted := func(d *desk, team bool, groups ...string) func() bool {
		return func() bool {
			p, _ := d.knows(ben.id())
			return p.Team == team && slices.Equal(p.Groups, groups)
		}
	}
	phone.until("told that Ben is in the board", sorted(phone, false, "board"))
	ben.learns(ann, chat.Profile{Title: "Engineer", Department: "Research", Email: "Ann@Example.org", Phone: annsProfile.Phone})

	// What the phone decides counts on the other device, and for Ben.
	_, err = phone.SetTeam(phone.ctx, ben.id(), true)
	phone.must(err)
	phone.puts(ben, "sales")
	ann.until("told that Ben is in the team", sorted(ann, true, "sales"))
	next := chat.OwnProfile{Profile: chat.Profile{Department: "Sales"}}
	_, err = phone.SetProfile(phone.ctx, next)
	phone.must(err)
	ann.until("told what the phone says", func() bool { return reflect.DeepEqual(profile(ann), next) })
	ben.learns(ann, chat.Profile{Department: "Sales"})
}

func TestWhoIsHereForAGroupMustNotBeSeenByOtherContacts(t *testing.T) {
	t.Parallel()
	_, enter := newOffice(t)
	ann, ben, cleo := enter("Ann"), enter("Ben"), enter("Cleo")
	befriend(ann, ben)
	befriend(ann, cleo)
	befriend(ben, cleo)
	ann.puts(ben, "board")
	_, err := ann.SetProfile(ann.ctx, annsProfile)
	ann.must(err)
	cleo.learns(ann, chat.Profile{Title: "Engineer", Department: "Research", Email: "Ann@Example.org"})
	p := visible("groups:board")
	p.Typing = chat.OnlyContacts
	ann.must(ann.SetPrivacy(ann.ctx, p))
	cleo.sees("Ann", chat.Gone)
	if p, _ := ben.knows(ann.id()); p.Presence != chat.Here {
		t.Errorf("Ben, who is of the board, sees %+v", p)
	}
	ann.puts(cleo, "board")
	cleo.sees("Ann", chat.Here)
	ann.puts(ben)
	ben.sees("Ann", chat.Gone)
	if p, _ := cleo.knows(ann.id()); p.Presence != chat.Here {
		t.Errorf("Cleo, who is of the board, sees %+v", p)
	}
	// Who shares a private room with Ann has to see her.
	room := ann.create("garden", "")
	ann.must(ann.SetPrivacy(ann.ctx, visible(chat.Everyone)))
	gather(room, ann, ben, cleo)
	ann.puts(cleo)
	ann.must(ann.SetPrivacy(ann.ctx, p))
	ben.tells(room, "in the garden")
	ann.reads(room, "in the garden")
	for _, d := range []*desk{ben, cleo} {
		if p, _ := d.knows(ann.id()); p.Presence != chat.Here {
			t.Errorf("%s, who is in the garden, sees %+v", d.Name(), p)
		}
	}
}

func TestWhoIsExceptedMustNotBeToldWhatIsRead(t *testing.T) {
	t.Parallel()
	_, enter := newOffice(t)
	ann, ben, cleo := enter("Ann"), enter("Ben"), enter("Cleo")
	befriend(ann, ben)
	befriend(ann, cleo)
	room := ann.create("garden", "")
	gather(room, ann, ben, cleo)
	no, yes := false, true
	p := visible(chat.Everyone)
	p.Read = chat.Nobody
	p.Exceptions = []chat.PrivacyException{{Person: ben.id(), Read: &yes}, {Person: cleo.id(), Read: &no}}
	ann.must(ann.SetPrivacy(ann.ctx, p))
	if got, err := ann.Privacy(ann.ctx); err != nil || len(got.Exceptions) != 2 {
		t.Errorf("the settings are %+v (%v)", got, err)
	}
	bens, cleos := ben.tells(room, "by Ben"), cleo.tells(room, "by Cleo")
	ann.readTo(bens)
	ann.readTo(cleos)
	ben.reads(room, "by Cleo")
	cleo.reads(room, "by Ben")
	ben.until("told that Ann has read it", func() bool { return ben.state(bens).Read == 1 })
	if got := cleo.state(cleos); got.Read != 0 {
		t.Errorf("Cleo is told %+v", got)
	}
}
