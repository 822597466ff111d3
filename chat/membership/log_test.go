package membership

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"earshot/chat"
)

func mustAdd(t testing.TB, l *Log, op Op) bool {
	t.Helper()
	changed, missing, err := l.Add(op)
	if err != nil || len(missing) > 0 {
		t.Fatalf("missing %v, %v", missing, err)
	}
	return changed
}

func TestWhatComesTooEarlyWaits(t *testing.T) {
	s := room(t)
	l := NewLog(s.log.room)
	last := s.ops[len(s.ops)-1]
	changed, missing, err := l.Add(last)
	if err != nil || changed || !slices.Equal(missing, last.Parents) {
		t.Fatalf("%v, missing %v, %v", changed, missing, err)
	}
	if _, missing, _ := l.Add(last); !slices.Equal(missing, last.Parents) || len(l.waiting) != 1 {
		t.Errorf("told twice: missing %v, %d wait", missing, len(l.waiting))
	}
	for _, op := range slices.Backward(s.ops[1 : len(s.ops)-1]) {
		if changed, missing, err := l.Add(op); changed || len(missing) != 1 || err != nil {
			t.Fatalf("%v, missing %v, %v", changed, missing, err)
		}
	}
	if got := l.Missing(); !slices.Equal(got, []chat.EntryID{s.root}) {
		t.Errorf("missing %v", got)
	}
	if l.State().Members != nil || l.May(who("carol"), Leave{}) == nil {
		t.Error("a room without a beginning has members")
	}
	if !mustAdd(t, l, s.ops[0]) {
		t.Error("everything came, and nothing changed")
	}
	if len(l.Missing()) != 0 || len(l.waiting) != 0 || len(l.wanted) != 0 || len(l.waits) != 0 {
		t.Error("something is still waited for")
	}
	if l.State().View != s.log.State().View {
		t.Error("another state than in order")
	}
	if mustAdd(t, l, last) {
		t.Error("what was there changed something")
	}
}

func TestOnlyItsCreationFoundsARoom(t *testing.T) {
	c := Create{Nonce: [16]byte{1}, History: HistoryAll}
	l := NewLog(RoomOf(who("carol"), c))
	for name, op := range map[string]Op{
		"another creator":  {Author: who("eve"), Body: c},
		"another nonce":    {Author: who("carol"), Body: Create{Nonce: [16]byte{2}, History: HistoryAll}},
		"another history":  {Author: who("carol"), Body: Create{Nonce: [16]byte{1}, History: HistoryNone}},
		"made a chat":      {Author: who("carol"), Body: Create{Nonce: [16]byte{1}, With: who("eve"), History: HistoryAll}},
		"with a past":      {Author: who("carol"), Body: c, Parents: []chat.EntryID{id(1)}},
		"without a past":   {Author: who("carol"), Body: Leave{}},
		"without a body":   {Author: who("carol"), Parents: []chat.EntryID{id(1)}},
		"without author":   {Body: Leave{}, Parents: []chat.EntryID{id(1)}},
		"of a known kind":  {Author: who("carol"), Body: Unknown{3}, Parents: []chat.EntryID{id(1)}},
		"parents unsorted": {Author: who("carol"), Body: Leave{}, Parents: []chat.EntryID{id(2), id(1)}},
	} {
		op.ID = id(9)
		if _, _, err := l.Add(op); chat.CodeOf(err) != chat.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	self := Op{ID: id(9), Author: who("carol"), Body: Leave{}, Parents: []chat.EntryID{id(9)}}
	if _, _, err := l.Add(self); chat.CodeOf(err) != chat.CodeInvalid {
		t.Errorf("on itself: %v", err)
	}
	alone := Create{With: who("carol"), History: HistoryAll}
	if _, _, err := NewLog(RoomOf(who("carol"), alone)).Add(seal(Op{Author: who("carol"), Body: alone}, 0)); chat.CodeOf(err) != chat.CodeInvalid {
		t.Errorf("a chat with oneself: %v", err)
	}
	mustAdd(t, l, seal(Op{Author: who("carol"), Body: c}, 0))
}

// The creator may sign the creation twice; it is still one room, and nobody gets
// back in through the other one.
func TestACreationSignedTwiceIsOneRoom(t *testing.T) {
	s := newStory(t, Create{History: HistoryAll})
	again := s.after("carol", Create{History: HistoryAll})
	s.has("carol owner")
	s.after("carol", Leave{}, s.branch("carol", "anna", RoleAdmin, s.root))
	s.has("anna owner")
	s.after("carol", Invite{who("eve"), RoleMember}, again)
	s.has("anna owner")
	s.invites()
}

func TestTheStateInTheCausalPastNeverChanges(t *testing.T) {
	s := room(t)
	before := s.now()
	then, missing := s.log.At([]chat.EntryID{before})
	if len(missing) != 0 || then.View != s.log.State().View {
		t.Fatal("the state at the end is not the state")
	}
	s.after("carol", Remove{who("anna")}, before)
	s.after("anna", Remove{who("mia")}, before)
	clear(s.log.past) // not from memory
	now, _ := s.log.At([]chat.EntryID{before})
	if summary(now) != summary(then) || now.View != then.View {
		t.Errorf("it was\n%s\nand is\n%s", summary(then), summary(now))
	}
	half, missing := s.log.At([]chat.EntryID{before, id(7)})
	if !slices.Equal(missing, []chat.EntryID{id(7)}) || summary(half) != summary(then) {
		t.Errorf("missing %v", missing)
	}
	if none, _ := s.log.At(nil); none.Members != nil || !none.Creator.IsZero() {
		t.Errorf("%+v", none)
	}
	if root, _ := s.log.At([]chat.EntryID{s.root}); tell(root.Members) != "carol owner" {
		t.Errorf("%+v", root)
	}
	for range 2 * maxRemembered {
		s.log.At([]chat.EntryID{s.does("carol", named("x"))})
	}
	if len(s.log.past) > maxRemembered {
		t.Errorf("%d states are remembered", len(s.log.past))
	}
}

func TestTheViewIsOfHeadsAndMembers(t *testing.T) {
	s := room(t)
	seen := map[[32]byte]bool{s.log.State().View: true}
	for _, b := range []Body{named("x"), SetRole{who("mia"), RoleAdmin}, Invite{who("bob"), RoleMember}, Remove{who("bob")}} {
		s.does("carol", b)
		if view := s.log.State().View; seen[view] {
			t.Errorf("%T leaves the view as it was", b)
		} else {
			seen[view] = true
		}
	}
}

// fill adds operations beside each other until the log refuses one, and returns
// how many it took.
func (s *story) fill(author string, b func(i int) Body, parent chat.EntryID) int {
	s.t.Helper()
	for i := range chat.MaxMembershipOps + 1 {
		op := seal(Op{Author: who(author), Parents: []chat.EntryID{parent}, Body: b(i)}, 1000+i)
		if _, _, err := s.log.Add(op); chat.CodeOf(err) == chat.CodeBusy {
			return i
		} else if err != nil {
			s.t.Fatal(err)
		}
	}
	s.t.Fatal("there is no bound")
	return 0
}

func TestOnePersonCannotFillARoom(t *testing.T) {
	s := room(t)
	parent := s.now()
	if n := s.fill("anna", func(int) Body { return named("x") }, parent); n != chat.MaxMembershipOpsPerPerson-1 {
		t.Errorf("anna could do %d things", n)
	}
	if err := s.log.May(who("anna"), named("y")); chat.CodeOf(err) != chat.CodeBusy {
		t.Errorf("anna may go on: %v", err)
	}
	if err := s.log.May(who("adam"), named("y")); err != nil {
		t.Errorf("adam may not: %v", err)
	}
	if n := len(s.log.Heads(who("adam"))); n != chat.MaxMembershipParents {
		t.Errorf("%d parents", n)
	}
}

func TestStrangersCannotFillARoom(t *testing.T) {
	s := room(t)
	parent := s.now()
	before := s.log.State().View
	total := 0
	for i := range 10 {
		total += s.fill(fmt.Sprint("stranger ", i), func(int) Body { return named("x") }, parent)
	}
	if total != chat.MaxMembershipIdle {
		t.Errorf("strangers could leave %d operations", total)
	}
	if s.log.State().View != before {
		t.Error("to some effect")
	}
	s.does("anna", named("y"))
}

func TestTheCreatorCanActInARoomThatIsFull(t *testing.T) {
	s := room(t)
	for i := range 10 {
		s.joins(fmt.Sprint("guest ", i), RoleAdmin)
	}
	parent := s.now()
	for i := range 10 {
		s.fill(fmt.Sprint("guest ", i), func(int) Body { return named("x") }, parent)
	}
	if free := chat.MaxMembershipOps - len(s.log.nodes); free != chat.MaxMembershipOpsPerPerson {
		t.Fatalf("%d are free", free)
	}
	if err := s.log.May(who("anna"), named("y")); chat.CodeOf(err) != chat.CodeBusy {
		t.Error(err)
	}
	for i := range 10 {
		s.allows("carol", Remove{who(fmt.Sprint("guest ", i))})
	}
	if got := tell(s.log.State().Members); got != "adam admin, anna admin, carol owner, mia member" {
		t.Error(got)
	}
	if n := s.fill("carol", func(int) Body { return named("x") }, parent); n != chat.MaxMembershipOpsPerPerson-10 {
		t.Errorf("carol could do %d things", n)
	}
}

// What another device already built on is taken although its author has used up
// their share: else two devices would part for ever.
func TestWhatOthersBuildOnIsTakenBeyondTheShare(t *testing.T) {
	s := room(t)
	parent := s.now()
	s.fill("anna", func(int) Body { return named("x") }, parent)
	far := seal(Op{Author: who("anna"), Parents: []chat.EntryID{parent}, Body: named("far")}, 0)
	on := seal(Op{Author: who("anna"), Parents: []chat.EntryID{far.ID}, Body: named("on")}, 0)
	for range 2 { // her own asking for it does not help
		if _, _, err := s.log.Add(far); chat.CodeOf(err) != chat.CodeBusy {
			t.Fatal(err)
		}
		if _, _, err := s.log.Add(on); err != nil {
			t.Fatal(err)
		}
	}
	adam := seal(Op{Author: who("adam"), Parents: []chat.EntryID{on.ID}, Body: named("adam's")}, 0)
	if _, missing, err := s.log.Add(adam); err != nil || len(missing) != 0 {
		t.Fatalf("missing %v, %v", missing, err)
	}
	mustAdd(t, s.log, far)
	if s.log.index[adam.ID] == nil || len(s.log.waiting) != 0 {
		t.Error("adam's still waits")
	}
}

func TestWhatWaitsIsBounded(t *testing.T) {
	s := room(t)
	early := func(author string, i int) Op {
		return seal(Op{Author: who(author), Parents: []chat.EntryID{seal(Op{}, i).ID}, Body: Leave{}}, i)
	}
	var busy *chat.Error
	for i := range chat.MaxMembershipWaiting/4 + 1 {
		if _, _, err := s.log.Add(early("eve", i)); (err != nil) != (i == chat.MaxMembershipWaiting/4) {
			t.Fatalf("%d: %v", i, err)
		} else if err != nil && (!errors.As(err, &busy) || busy.Code != chat.CodeBusy) {
			t.Fatal(err)
		}
	}
	for i := range 2 * chat.MaxMembershipWaiting {
		s.log.Add(early(fmt.Sprint("stranger ", i), i))
	}
	if n := len(s.log.waiting); n != chat.MaxMembershipWaiting {
		t.Fatalf("%d wait", n)
	}
	anna := early("anna", 1)
	if _, _, err := s.log.Add(anna); err != nil || len(s.log.waiting) != chat.MaxMembershipWaiting {
		t.Errorf("strangers keep anna out: %v", err)
	}
	if _, ok := s.log.waiting[anna.ID]; !ok {
		t.Error("anna's does not wait")
	}
}

// Of more heads than an operation can name, those that make the author what they
// are come first, or what they do would have no authority.
func TestOfManyHeadsThoseAnAuthorStandsOnComeFirst(t *testing.T) {
	s := room(t)
	base := s.now()
	parent := base
	for range 3 {
		parent = s.after("carol", named("deep"), parent)
	}
	for range 2 * chat.MaxMembershipParents {
		s.after("carol", named("deeper"), parent)
	}
	i := s.after("adam", Invite{who("bob"), RoleAdmin}, base)
	s.after("bob", Accept{i}, i)
	op := seal(Op{Author: who("bob"), Parents: s.log.Heads(who("bob")), Body: named("bob's")}, 0)
	if len(op.Parents) != chat.MaxMembershipParents {
		t.Errorf("%d parents", len(op.Parents))
	}
	mustAdd(t, s.log, op)
	if !s.log.index[op.ID].authorised {
		t.Error("what bob may do has no authority")
	}
}
