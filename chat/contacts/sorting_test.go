package contacts

import (
	"slices"
	"testing"
	"time"

	"earshot/chat"
)

func (n *node) sorted(t *testing.T, p *node, groups []string, team, watched bool) {
	t.Helper()
	r := n.Record(p.id())
	if !slices.Equal(r.Groups, groups) || r.Team != team || r.Watched != watched {
		t.Errorf("%s is to %s in %q, team %v, watched %v", p.name, n.name, r.Groups, r.Team, r.Watched)
	}
}

func TestAContactIsInGroupsUntilForgotten(t *testing.T) {
	a, b, now := friends(t)
	eve := newNode(t, now, 9, "Eve")
	for _, in := range []Input{Group{Person: eve.id(), Groups: []string{"x"}}, SetTeam{Person: eve.id(), Team: true}, Watch{Person: eve.id(), Watched: true}} {
		a.cannot(chat.CodeNotContact, in)
	}
	a.cannot(chat.CodeUsage, Group{Person: b.id(), Groups: []string{"a,b"}})
	if out := a.must(Group{Person: b.id(), Groups: []string{"Sales", "board"}}); len(out) != 0 {
		t.Errorf("others are told of it: %+v", out)
	}
	a.must(SetTeam{Person: b.id(), Team: true})
	a.must(Watch{Person: b.id(), Watched: true})
	a.sorted(t, b, []string{"board", "Sales"}, true, true)
	before := a.effects
	a.must(SetTeam{Person: b.id(), Team: true})
	a.must(Group{Person: b.id(), Groups: []string{"board", "SALES"}})
	if a.effects != before {
		t.Error("what is so already is stored again")
	}
	a.must(Verify{Person: b.id()})
	a.sorted(t, b, []string{"board", "Sales"}, true, true)
	for _, part := range []Input{Forget{Person: b.id()}, Block{Person: b.id()}} {
		a, b, now := friends(t)
		a.must(Group{Person: b.id(), Groups: []string{"board"}})
		a.must(SetTeam{Person: b.id(), Team: true})
		a.must(Watch{Person: b.id(), Watched: true})
		*now = now.Add(time.Hour)
		a.must(part)
		a.sorted(t, b, nil, false, false)
		a.do(Unblock{Person: b.id()})
		b.must(Forget{Person: a.id()})
		*now = now.Add(rateTime)
		carry(a, b, a.must(Add{Person: b.id()}))
		carry(b, a, b.must(Accept{Person: a.id()}))
		a.is(b, Contact)
		a.sorted(t, b, nil, false, false)
	}
}

func TestAGroupIsWrittenAsItWasFirst(t *testing.T) {
	a, b, now := friends(t)
	c := newNode(t, now, 9, "Cleo")
	meet(a, c)
	carry(a, c, a.must(Add{Person: c.id()}))
	carry(c, a, c.must(Accept{Person: a.id()}))
	a.must(Group{Person: b.id(), Groups: []string{"Sales"}})
	a.must(Group{Person: c.id(), Groups: []string{"board", "SALES"}})
	a.sorted(t, c, []string{"board", "Sales"}, false, false)
}

func TestTheRelationAndTheGroupsSayThatSomebodySeesMoreOrLess(t *testing.T) {
	a, b, _ := friends(t)
	moved := func(in Input) (out bool) {
		t.Helper()
		for _, ef := range a.Handle(*a.now, in) {
			if p, is := ef.(Persist); is {
				out = out || p.Moved
			}
		}
		return out
	}
	for _, step := range []struct {
		in   Input
		want bool
	}{
		{Group{Person: b.id(), Groups: []string{"x"}}, true},
		{SetTeam{Person: b.id(), Team: true}, false},
		{Watch{Person: b.id(), Watched: true}, false},
		{Met{Person: b.id(), Device: b.cert.Device, Name: "Bobby"}, false},
		{Group{Person: b.id()}, true},
		{Verify{Person: b.id()}, true},
		{Block{Person: b.id()}, true},
		{Unblock{Person: b.id()}, true},
	} {
		if got := moved(step.in); got != step.want {
			t.Errorf("%T: %v", step.in, got)
		}
	}
}

// What one device has sorted the other holds, each part as it was decided last, and a
// clock that was set back loses nothing.
func TestWhatAContactIsSortedAsHoldsOnAllDevices(t *testing.T) {
	a1, a2, b, now := siblings(t)
	carry(a1, b, a1.must(Add{Person: b.id()}))
	carry(b, a1, b.must(Accept{Person: a1.id()}))
	tell(a1, a2)
	a1.must(Group{Person: b.id(), Groups: []string{"Sales"}})
	*now = now.Add(time.Second)
	a2.must(SetTeam{Person: b.id(), Team: true})
	a2.must(Watch{Person: b.id(), Watched: true})
	a1.must(Verify{Person: b.id()}) // a later word on the relation decides nothing of it
	tell(a1, a2)
	tell(a2, a1)
	for _, n := range []*node{a1, a2} {
		n.sorted(t, b, []string{"Sales"}, true, true)
		n.is(b, Verified)
	}
	*now = now.Add(-time.Hour)
	a2.must(Group{Person: b.id()})
	a2.must(Watch{Person: b.id()})
	tell(a1, a2)
	tell(a2, a1)
	for _, n := range []*node{a1, a2} {
		n.sorted(t, b, nil, true, false)
	}
	before := a1.effects + a2.effects
	tell(a1, a2)
	tell(a2, a1)
	if a1.effects+a2.effects != before {
		t.Error("what is known already is stored again")
	}
	// Groups that nobody could have made are not taken.
	r := a1.Record(b.id())
	r.Groups, r.GroupsAt = []string{"a,b"}, now.Add(24*time.Hour)
	a2.do(Merge{Record: r})
	a2.sorted(t, b, nil, true, false)
}

// A device that has not heard that somebody was forgotten brings no group of theirs
// back, not even one that it has put them in since.
func TestTheGroupsOfAForgottenPersonAreNotBroughtBackByAnotherDevice(t *testing.T) {
	a1, a2, b, now := siblings(t)
	befriend := func() {
		*now = now.Add(rateTime)
		carry(a1, b, a1.must(Add{Person: b.id()}))
		if a1.Relation(b.id()) != Contact {
			carry(b, a1, b.must(Accept{Person: a1.id()}))
		}
		a1.is(b, Contact)
	}
	befriend()
	a1.must(Group{Person: b.id(), Groups: []string{"board"}})
	tell(a1, a2)
	*now = now.Add(time.Minute)
	a1.must(Forget{Person: b.id()})
	*now = now.Add(time.Minute)
	a2.must(SetTeam{Person: b.id(), Team: true})
	tell(a2, a1)
	a1.is(b, Stranger)
	a1.sorted(t, b, nil, false, false)
	befriend()
	tell(a2, a1)
	tell(a1, a2)
	for _, n := range []*node{a1, a2} {
		n.sorted(t, b, nil, false, false)
		n.is(b, Contact)
	}
}
