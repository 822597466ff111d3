package membership

import (
	"slices"
	"testing"

	"earshot/chat"
)

func TestWhoIsInvitedIsNoMemberBeforeTheyAccept(t *testing.T) {
	s := newStory(t, Create{History: HistoryNone})
	s.has("carol owner")
	i := s.allows("carol", Invite{who("bob"), RoleAdmin})
	s.has("carol owner")
	s.invites("bob admin")
	got, ok := s.log.State().Invitation(who("bob"))
	if want := (Invited{who("bob"), RoleAdmin, who("carol"), i}); !ok || got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	s.refuses("bob", Set{Name: new(string)})
	s.refuses("eve", Accept{i}) // not hers
	a := s.allows("bob", Accept{i})
	s.has("carol owner", "bob admin")
	s.invites()
	if m, _ := s.log.State().Member(who("bob")); m.Since != a || m.Invite != i {
		t.Errorf("%+v", m)
	}
	s.refuses("bob", Accept{i})
}

func TestMembersChangeNothing(t *testing.T) {
	s := room(t)
	s.refuses("mia", Invite{who("bob"), RoleMember})
	s.refuses("mia", Remove{who("anna")})
	s.refuses("mia", SetRole{who("mia"), RoleAdmin})
	s.refuses("mia", named("mia's"))
	s.refuses("mia", Remove{who("mia")})
	s.allows("mia", Leave{})
	s.has("carol owner", "anna admin", "adam admin")
}

func TestOutsidersChangeNothing(t *testing.T) {
	s := room(t)
	for _, b := range []Body{
		Invite{who("eve"), RoleMember},
		Accept{s.now()},
		Leave{},
		Remove{who("mia")},
		Remove{who("eve")},
		SetRole{who("eve"), RoleOwner},
		named("eve's"),
		Unknown{200},
	} {
		s.refuses("eve", b)
	}
	s.has("carol owner", "anna admin", "adam admin", "mia member")
}

func TestNobodyGivesMoreThanTheyHave(t *testing.T) {
	s := room(t)
	s.refuses("anna", Invite{who("bob"), RoleOwner})
	s.refuses("anna", SetRole{who("mia"), RoleAdmin})
	s.allows("anna", Invite{who("bob"), RoleAdmin})
	s.allows("carol", SetRole{who("anna"), RoleOwner})
	s.allows("anna", Invite{who("olga"), RoleOwner})
	s.allows("anna", SetRole{who("mia"), RoleOwner})
	s.has("carol owner", "anna owner", "adam admin", "mia owner")
	s.invites("bob admin", "olga owner")
}

func TestAdminsRemoveMembersAndAdminsButNoOwner(t *testing.T) {
	s := room(t)
	s.joins("otto", RoleOwner)
	s.does("carol", Invite{who("olga"), RoleOwner})
	s.refuses("anna", Remove{who("otto")})
	s.refuses("anna", Remove{who("olga")}) // nor their invitations
	s.refuses("anna", Remove{who("carol")})
	s.refuses("otto", Remove{who("carol")})
	s.refuses("otto", SetRole{who("carol"), RoleMember})
	s.refuses("otto", SetRole{who("bob"), RoleAdmin}) // who is not in the room
	s.allows("anna", Remove{who("adam")})
	s.allows("anna", Remove{who("mia")})
	s.allows("carol", Remove{who("otto")})
	s.has("carol owner", "anna admin")
}

func TestARemovedAdminCannotBackdateAnInvitation(t *testing.T) {
	s := room(t)
	before := s.now()
	s.does("carol", Remove{who("anna")})
	s.branch("anna", "eve", RoleMember, before)
	s.after("anna", SetRole{who("mia"), RoleOwner}, before)
	s.after("anna", named("anna's"), before)
	s.has("carol owner", "adam admin", "mia member")
	s.invites()
	if name := s.log.State().Name; name != "" {
		t.Errorf("the room is called %q", name)
	}
}

// Whom a removed admin brings in beside their removal can do nothing either, nor
// can whom those bring in.
func TestABackdatedInvitationGivesNobodyAnything(t *testing.T) {
	for _, by := range []string{"carol", "adam"} {
		s := room(t)
		before := s.now()
		s.does(by, Remove{who("anna")})
		sock := s.branch("anna", "sock", RoleAdmin, before)
		puppet := s.branch("sock", "puppet", RoleAdmin, sock)
		s.branch("puppet", "eve", RoleMember, puppet)
		s.after("puppet", named("eve's"), puppet)
		if by == "carol" { // the creator's removals stop removals too
			s.after("puppet", Remove{who("adam")}, puppet)
		}
		s.has("carol owner", "adam admin", "mia member")
		s.invites()
	}
}

// What PROTOCOL.md says they still can, so that nobody believes otherwise.
func TestARemovedAdminCanStillBackdateARemoval(t *testing.T) {
	s := room(t)
	before := s.now()
	s.does("adam", Remove{who("anna")})
	s.after("anna", Remove{who("mia")}, before)
	s.has("carol owner", "adam admin")
}

func TestTheCreatorRepairsWhatARemovedAdminDoes(t *testing.T) {
	s := room(t)
	before := s.now()
	s.does("adam", Remove{who("anna")})
	s.after("anna", Remove{who("mia")}, before)
	s.allows("carol", Remove{who("anna")}) // although she is out already
	s.joins("mia", RoleMember)
	s.after("anna", Remove{who("mia")}, before)
	s.after("anna", Remove{who("adam")}, before)
	s.after("anna", Leave{}, before)
	sock := s.branch("anna", "sock", RoleAdmin, before)
	s.after("sock", Remove{who("mia")}, sock)
	s.has("carol owner", "adam admin", "mia member")
}

func TestTwoAdminsWhoRemoveEachOtherAreBothOut(t *testing.T) {
	s := room(t)
	before := s.now()
	s.after("anna", Remove{who("adam")}, before)
	s.after("adam", Remove{who("anna")}, before)
	s.has("carol owner", "mia member")
}

func TestWhomTheCreatorRemovesRemovesNobodyBesideIt(t *testing.T) {
	s := room(t)
	before := s.now()
	s.after("carol", Remove{who("anna")}, before)
	s.after("anna", Remove{who("mia")}, before)
	s.has("carol owner", "adam admin", "mia member")

	s = room(t)
	before = s.now()
	s.after("carol", SetRole{who("anna"), RoleMember}, before)
	s.after("anna", Remove{who("mia")}, before)
	s.has("carol owner", "anna member", "adam admin", "mia member")
}

func TestARemovalBeatsAnInvitationBesideIt(t *testing.T) {
	s := room(t)
	s.does("adam", Invite{who("bob"), RoleMember})
	before := s.now()
	s.after("anna", Remove{who("bob")}, before)
	s.branch("adam", "bob", RoleAdmin, before)
	s.has("carol owner", "anna admin", "adam admin", "mia member")
	s.invites()
}

func TestOnlyALaterInvitationReadmits(t *testing.T) {
	s := room(t)
	old := s.does("carol", Invite{who("bob"), RoleAdmin})
	s.does("bob", Accept{old})
	s.does("anna", Remove{who("bob")})
	s.refuses("bob", Accept{old})
	s.has("carol owner", "anna admin", "adam admin", "mia member")
	if gone := s.log.State().Removed; len(gone) != 1 || gone[0].Person != who("bob") || gone[0].By != who("anna") {
		t.Errorf("%+v", gone)
	}
	bar := s.allows("adam", Remove{who("bob")})
	if gone := s.log.State().Removed; len(gone) != 1 || gone[0].Op != bar || gone[0].By != who("adam") {
		t.Errorf("%+v", gone)
	}
	again := s.allows("adam", Invite{who("bob"), RoleMember})
	s.invites("bob member")
	s.allows("bob", Accept{again})
	s.has("carol owner", "anna admin", "adam admin", "mia member", "bob member")
	if gone := s.log.State().Removed; len(gone) != 0 {
		t.Errorf("%+v", gone)
	}
}

func TestRolesDoNotSurviveAReinvitation(t *testing.T) {
	s := room(t)
	s.does("carol", SetRole{who("anna"), RoleOwner})
	before := s.now()
	s.does("carol", Remove{who("anna")})
	s.joins("anna", RoleMember)
	s.has("carol owner", "anna member", "adam admin", "mia member")
	s.after("carol", SetRole{who("anna"), RoleAdmin}, before) // beside the removal
	s.has("carol owner", "anna member", "adam admin", "mia member")

	s = room(t)
	before = s.now()
	s.after("carol", SetRole{who("anna"), RoleMember}, before)
	removal := s.after("carol", Remove{who("anna")}, before)
	s.branch("carol", "anna", RoleAdmin, removal)
	s.has("carol owner", "anna admin", "adam admin", "mia member")
}

func TestOfRolesBesideEachOtherTheLowerWins(t *testing.T) {
	s := room(t)
	s.joins("otto", RoleOwner)
	before := s.now()
	s.after("carol", SetRole{who("mia"), RoleOwner}, before)
	s.after("otto", SetRole{who("mia"), RoleAdmin}, before)
	s.has("carol owner", "otto owner", "anna admin", "adam admin", "mia admin")
	s.allows("otto", SetRole{who("mia"), RoleOwner}) // whoever has seen both decides
	s.has("carol owner", "otto owner", "anna admin", "adam admin", "mia owner")
}

func TestADemotedAdminsInvitationsBesideItAreVoid(t *testing.T) {
	s := room(t)
	before := s.now()
	s.does("carol", SetRole{who("anna"), RoleMember})
	s.branch("anna", "eve", RoleMember, before)
	s.has("carol owner", "anna member", "adam admin", "mia member")

	s = room(t)
	s.joins("otto", RoleOwner)
	before = s.now()
	s.does("carol", SetRole{who("otto"), RoleAdmin})
	s.after("otto", SetRole{who("mia"), RoleOwner}, before) // needs an owner
	s.branch("otto", "bob", RoleAdmin, before)              // an admin is enough
	s.has("carol owner", "otto admin", "anna admin", "adam admin", "mia member", "bob admin")
}

func TestOwnersWhoDemoteEachOtherAreBothDemoted(t *testing.T) {
	s := room(t)
	s.joins("otto", RoleOwner)
	s.joins("olga", RoleOwner)
	before := s.now()
	s.after("otto", SetRole{who("olga"), RoleMember}, before)
	s.after("olga", SetRole{who("otto"), RoleAdmin}, before)
	s.has("carol owner", "otto admin", "olga member", "anna admin", "adam admin", "mia member")
}

func TestWhatHadNoRightHasNoEffectWhateverComesLater(t *testing.T) {
	s := room(t)
	before := s.now()
	s.does("anna", Remove{who("adam")})
	i := s.does("adam", Invite{who("bob"), RoleMember}) // he knew that he was out
	s.does("bob", Accept{i})
	s.has("carol owner", "anna admin", "mia member")
	s.after("carol", Remove{who("anna")}, before) // so he never was
	s.has("carol owner", "adam admin", "mia member")
	s.invites()
}

func TestLeavingEndsWhatOnesOtherDeviceDoesBesideIt(t *testing.T) {
	s := room(t)
	before := s.now()
	s.after("anna", Leave{}, before)
	s.branch("anna", "bob", RoleMember, before)
	s.has("carol owner", "adam admin", "mia member")
	if gone := s.log.State().Removed; len(gone) != 1 || gone[0].By != who("anna") {
		t.Errorf("%+v", gone)
	}
}

func TestWhoDeclinesIsNotInvitedAnyMore(t *testing.T) {
	s := room(t)
	i := s.does("anna", Invite{who("bob"), RoleMember})
	s.allows("bob", Leave{})
	s.invites()
	s.refuses("bob", Accept{i})
	s.refuses("bob", Leave{})
}

func TestWhenTheLastOwnerLeavesTheLongestStandingAdminIsOwner(t *testing.T) {
	s := room(t)
	s.allows("carol", Leave{})
	s.has("anna owner", "adam admin", "mia member")
	if m, _ := s.log.State().Member(who("anna")); !m.Heir {
		t.Errorf("%+v", m)
	}
	s.refuses("adam", SetRole{who("adam"), RoleOwner})
	s.refuses("adam", Remove{who("anna")}) // she is owner now
	s.allows("anna", SetRole{who("mia"), RoleOwner})
	s.has("anna owner", "adam admin", "mia owner") // and stays it
	if m, _ := s.log.State().Member(who("anna")); m.Heir {
		t.Errorf("%+v", m)
	}
}

func TestAnHeirWhoOnlyTakesAwayStaysHeir(t *testing.T) {
	s := newStory(t, Create{History: HistoryAll})
	s.joins("mia", RoleMember)
	s.joins("anna", RoleAdmin)
	s.joins("adam", RoleAdmin)
	s.does("carol", Leave{})
	s.allows("anna", SetRole{who("adam"), RoleMember})
	s.allows("anna", Remove{who("mia")})
	s.has("anna owner", "adam member")
	if m, _ := s.log.State().Member(who("anna")); !m.Heir {
		t.Errorf("%+v", m)
	}
}

func TestAnHeirDoesNotLoseTheRoomToWhomTheyInvite(t *testing.T) {
	s := newStory(t, Create{History: HistoryAll})
	s.joins("mia", RoleMember)
	s.joins("bob", RoleMember)
	s.does("carol", Leave{})
	s.has("mia owner", "bob member")
	i := s.allows("mia", Invite{who("adam"), RoleAdmin})
	s.allows("adam", Accept{i})
	s.has("mia owner", "adam admin", "bob member")
	s.allows("mia", SetRole{who("bob"), RoleAdmin})
	s.has("mia owner", "adam admin", "bob admin")
}

func TestOfHeirsOfOneStandingTheLowerHashIsOwner(t *testing.T) {
	s := newStory(t, Create{History: HistoryAll})
	i, j := s.does("carol", Invite{who("anna"), RoleAdmin}), s.does("carol", Invite{who("adam"), RoleAdmin})
	a, b := s.after("anna", Accept{i}, j), s.after("adam", Accept{j}, j)
	s.does("carol", Leave{})
	want, other := "anna", "adam"
	if compareIDs(b, a) < 0 {
		want, other = other, want
	}
	s.has(want+" owner", other+" admin")
}

func TestARoomThatEverybodyLeftIsEmpty(t *testing.T) {
	s := newStory(t, Create{History: HistoryNone})
	s.allows("carol", Leave{})
	s.has()
	s.refuses("carol", Invite{who("bob"), RoleMember})
}

func TestACreatorWhoCameBackIsLikeAnybody(t *testing.T) {
	s := room(t)
	s.does("carol", SetRole{who("anna"), RoleOwner})
	s.does("carol", Leave{})
	s.does("carol", Accept{s.does("anna", Invite{who("carol"), RoleAdmin})})
	s.has("anna owner", "adam admin", "carol admin", "mia member")
	before := s.now()
	s.after("carol", Remove{who("adam")}, before)
	s.after("adam", Remove{who("carol")}, before)
	s.has("anna owner", "mia member")
	s.brings("anna", "carol")
	s.allows("anna", Remove{who("carol")})
	s.has("anna owner", "mia member")
}

func TestACreatorWhoLeftBringsNobodyBack(t *testing.T) {
	s := room(t)
	before := s.now()
	removal := s.after("anna", Remove{who("mia")}, before)
	s.after("carol", Leave{}, before)
	s.has("anna owner", "adam admin")
	late := s.after("carol", Remove{who("anna")}, before) // a removal, but no more than anybody's
	s.has("adam owner")
	if at, _ := s.log.At([]chat.EntryID{late, removal}); tell(at.Members) != "adam admin, carol owner, mia member" {
		t.Errorf("before she left there were %s", tell(at.Members))
	}
}

// brings lets by invite somebody as a member, who accepts.
func (s *story) brings(by, name string) {
	s.does(name, Accept{s.does(by, Invite{who(name), RoleMember})})
}

func TestADirectChatIsOfTwoForEver(t *testing.T) {
	s := newStory(t, Create{History: HistoryAll, With: who("anna")})
	s.has("carol owner", "anna owner")
	if !s.log.State().Direct {
		t.Error("not direct")
	}
	for _, name := range []string{"carol", "anna"} {
		s.refuses(name, Invite{who("eve"), RoleMember})
		s.refuses(name, named("a name"))
		s.refuses(name, SetRole{who("anna"), RoleMember})
	}
	s.refuses("carol", Remove{who("anna")})
	s.allows("anna", Leave{})
	s.has("carol owner")
}

func TestTheNewestNameCountsAndOfNamesBesideEachOtherTheLaterClock(t *testing.T) {
	s := room(t)
	s.allows("anna", named("one"))
	topic := "about"
	s.allows("adam", Set{Topic: &topic})
	before := s.now()
	s.after("anna", named("two"), before)
	s.after("adam", named("three"), before)
	if st := s.log.State(); st.Name != "three" || st.Topic != "about" {
		t.Errorf("%q, %q", st.Name, st.Topic)
	}
	s.hlc = 0 // a slow clock does not help against what was seen
	s.does("carol", named("four"))
	if st := s.log.State(); st.Name != "four" || st.Topic != "about" {
		t.Errorf("%q, %q", st.Name, st.Topic)
	}
	s.agrees()
}

func TestAnOperationOfTheFutureHasNoEffectButItsPlace(t *testing.T) {
	s := room(t)
	before := s.log.State()
	op := s.allows("mia", Unknown{200})
	s.has("carol owner", "anna admin", "adam admin", "mia member")
	if heads := s.log.Heads(who("carol")); !slices.Equal(heads, []chat.EntryID{op}) || s.log.State().View == before.View {
		t.Error("what is unknown is not built on")
	}
	s.allows("carol", Remove{who("mia")})
	s.has("carol owner", "anna admin", "adam admin")
}

func TestARoomTakes250People(t *testing.T) {
	s := newStory(t, Create{History: HistoryNone})
	parent := s.root
	name := func(i int) string { return "guest " + string(rune('a'+i/26)) + string(rune('a'+i%26)) }
	for i := range chat.MaxMembers - 1 {
		parent = s.after("carol", Invite{who(name(i)), RoleMember}, parent)
	}
	err := s.log.May(who("carol"), Invite{who("bob"), RoleMember})
	if chat.CodeOf(err) != chat.CodeBusy {
		t.Fatal(err)
	}
	parent = s.after("carol", Invite{who("bob"), RoleMember}, parent)
	if n := len(s.log.State().Invited); n != chat.MaxMembers-1 {
		t.Errorf("%d invited", n)
	}
	s.after("carol", Remove{who(name(0))}, parent)
	if err := s.log.May(who("carol"), Invite{who("bob"), RoleMember}); err != nil {
		t.Error(err)
	}
}
