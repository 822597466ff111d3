package membership

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"earshot/chat"
)

func exits(l *Log, name string) (out []chat.EntryID) {
	for _, op := range l.Exits(who(name)) {
		out = append(out, op.ID)
	}
	return out
}

func TestOnlyWhoWentOutIsToldHow(t *testing.T) {
	s := room(t)
	if got := exits(s.log, "mia"); got != nil {
		t.Errorf("of who is in: %v", got)
	}
	first := s.does("carol", Remove{who("mia")})
	s.does("anna", Remove{who("eve")})
	if got := exits(s.log, "eve"); got != nil || s.log.Ever(who("eve")) {
		t.Error("who was never invited is told of their removal")
	}
	s.does("adam", Remove{who("mia")})
	if got := exits(s.log, "mia"); !slices.Equal(got, []chat.EntryID{first}) || !s.log.Ever(who("mia")) {
		t.Errorf("by what came after they were out: %v", got)
	}
	invite := s.does("carol", Invite{who("mia"), RoleMember})
	second := s.does("mia", Leave{})
	if got := exits(s.log, "mia"); !slices.Equal(got, []chat.EntryID{second}) {
		t.Errorf("declined: %v", got)
	}
	places := s.log.Past([]chat.EntryID{first})
	if len(places) == 0 || s.log.ID(places[len(places)-1]) != first || slices.ContainsFunc(places, func(i int) bool { return s.log.ID(i) == invite }) {
		t.Errorf("the past of the removal: %v", places)
	}
}

// A removal beside the invitation that brings somebody back is news to them, though
// they were out by what its author knew.
func TestARemovalBesideAReturnIsAnExit(t *testing.T) {
	s := room(t)
	first := s.does("carol", Remove{who("mia")})
	s.branch("carol", "mia", RoleMember, first)
	beside := s.after("adam", Remove{who("mia")}, first)
	if _, in := s.log.State().Member(who("mia")); in {
		t.Fatal("the removal does not count")
	}
	if got := exits(s.log, "mia"); !slices.Equal(got, []chat.EntryID{beside}) {
		t.Errorf("%v", got)
	}
}

func TestWhatIsOfferedWithoutARightIsNotKept(t *testing.T) {
	s := room(t)
	held := s.log.Len()
	for name, op := range map[string]Op{
		"an outsider's invitation": {Author: who("eve"), Parents: s.log.Heads(who("eve")), Body: Invite{who("sock"), RoleMember}},
		"an outsider's invention":  {Author: who("eve"), Parents: s.log.Heads(who("eve")), Body: Unknown{200}},
		"a member's invitation":    {Author: who("mia"), Parents: s.log.Heads(who("mia")), Body: Invite{who("sock"), RoleMember}},
		"on something unknown":     {Author: who("carol"), Parents: []chat.EntryID{id(7)}, Body: Invite{who("sock"), RoleMember}},
	} {
		op = seal(op, 1)
		if _, err := s.log.Offer(op); chat.CodeOf(err) != chat.CodeDenied {
			t.Errorf("%s: %v", name, err)
		}
		if s.log.Has(op.ID) || s.log.Waits(op.ID) {
			t.Errorf("%s is kept", name)
		}
	}
	op := seal(Op{Author: who("carol"), Parents: s.log.Heads(who("carol")), Body: Invite{who("bob"), RoleMember}}, 1)
	if changed, err := s.log.Offer(op); !changed || err != nil || s.log.Len() != held+1 {
		t.Errorf("what its author has a right to: %v %v", changed, err)
	}
	if got, ok := s.log.Op(op.ID); !ok || got.Author != who("carol") || s.log.ID(held) != op.ID {
		t.Errorf("%+v %v", got, ok)
	}
}

func TestARestoredLogHoldsTheSame(t *testing.T) {
	s := room(t)
	s.does("carol", Remove{who("mia")})
	s.fill("adam", func(int) Body { return Unknown{200} }, s.now())
	l := NewLog(s.log.room)
	for i := range s.log.Len() {
		op, _ := s.log.Op(s.log.ID(i))
		if err := l.Restore(op); err != nil {
			t.Fatal(err)
		}
	}
	if l.State().View != s.log.State().View || l.Len() != s.log.Len() {
		t.Error("another state than before")
	}
	if err := l.Restore(s.ops[0]); chat.CodeOf(err) != chat.CodeInvalid {
		t.Errorf("twice: %v", err)
	}
}

// void makes the operations of a person void that are not in the past of vouched.
func void(l *Log, name string, vouched ...chat.EntryID) bool {
	places := l.Past(vouched)
	kept := map[chat.EntryID]bool{}
	for _, i := range places {
		kept[l.ID(i)] = true
	}
	return l.Weigh(func(op Op) bool { return op.Author == who(name) && !kept[op.ID] })
}

func TestARevokedDeviceGivesNothingButStillTakes(t *testing.T) {
	s := room(t)
	s.joinsBy("anna", "bob")
	attest := s.does("anna", Attest{})
	s.joinsBy("anna", "eve")
	name := "stolen"
	s.does("anna", Set{Name: &name})
	s.does("anna", Leave{})
	s.after("anna", Remove{who("mia")}, attest)
	if !void(s.log, "anna", attest) {
		t.Fatal("nothing changes")
	}
	st := s.log.State()
	for person, want := range map[string]bool{"anna": true, "bob": true, "eve": false, "mia": false, "adam": true} {
		if _, in := st.Member(who(person)); in != want {
			t.Errorf("%s is in: %v", person, in)
		}
	}
	if st.Name == name {
		t.Error("the thief names the room")
	}
	if void(s.log, "anna", attest) {
		t.Error("the same again changes something")
	}
	changed := s.log.Weigh(func(Op) bool { return false })
	if _, in := s.log.State().Member(who("anna")); !changed || in {
		t.Error("what is not void any more does not count again")
	}
}

// joinsBy lets somebody be invited by an admin.
func (s *story) joinsBy(admin, name string) chat.EntryID {
	return s.does(name, Accept{s.does(admin, Invite{who(name), RoleMember})})
}

func TestOnlyMembersAttest(t *testing.T) {
	s := room(t)
	if err := s.log.May(who("mia"), Attest{}); err != nil {
		t.Error(err)
	}
	if err := s.log.May(who("eve"), Attest{}); chat.CodeOf(err) != chat.CodeDenied {
		t.Errorf("who is not in: %v", err)
	}
}

func TestWhateverIsVoidTheLogAgreesWithTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWar(t, false)
		w.rages(30)
		l := w.ends()
		off := map[chat.EntryID]bool{}
		for i := range w.all {
			if rapid.IntRange(0, 3).Draw(t, "void") == 0 {
				w.all[i].Void, off[w.all[i].ID] = true, true
			}
		}
		l.Weigh(func(op Op) bool { return off[op.ID] })
		if got, want := summary(l.State()), newModel(w.all).state(); got != want {
			t.Fatalf("the log says\n%s\nthe model\n%s", got, want)
		}
	})
}
