package private

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/membership"
	"earshot/chat/wire"
)

// office is ann's room, with bob and cleo in it and dan beside it.
type office struct {
	*world
	ann, bob, cleo, dan *node
	id                  chat.RoomID
}

func newOffice(t failure, h membership.History) *office {
	w := newWorld(t, 1)
	o := &office{world: w, ann: w.add("ann", ""), bob: w.add("bob", ""), cleo: w.add("cleo", ""), dan: w.add("dan", "")}
	w.mesh()
	for _, n := range w.nodes {
		n.knows[o.ann.id()] = true
	}
	w.play(time.Second)
	o.id = o.ann.found("office", h)
	o.join(o.bob)
	o.join(o.cleo)
	return o
}

// join has ann invite somebody, who accepts.
func (o *office) join(n *node) {
	must(o.t, o.ann.change(o.id, membership.Invite{Person: n.id(), Role: membership.RoleMember}))
	o.rest()
	must(o.t, n.accept(o.id))
	o.rest()
}

func TestARoomIsFoundedJoinedAndTalkedIn(t *testing.T) {
	o := newOffice(t, membership.HistoryNone)
	one, two, three := o.ann.mustSay(o.id, "one"), o.bob.mustSay(o.id, "two"), o.cleo.mustSay(o.id, "three")
	o.rest()
	for _, n := range []*node{o.ann, o.bob, o.cleo} {
		for _, en := range []chat.EntryID{one, two, three} {
			if n.read[en] == "" {
				t.Errorf("%s: %s", n.name, n.closed(en))
			}
		}
		info := n.infos[o.id]
		if info.Name != "office" || len(info.Members) != 3 || !info.Entered || info.Direct || info.History != membership.HistoryNone || len(info.Keyless) != 0 {
			t.Errorf("%s: %+v", n.name, info)
		}
	}
	if o.ann.infos[o.id].Role != membership.RoleOwner || o.bob.infos[o.id].Role != membership.RoleMember {
		t.Error("roles are not shown")
	}
	if len(o.dan.records) != 0 || len(o.dan.infos) != 0 {
		t.Error("dan knows of it")
	}
}

func TestAnInvitationIsShownAndDeclined(t *testing.T) {
	o := newOffice(t, membership.HistoryNone)
	must(t, o.ann.change(o.id, membership.Invite{Person: o.dan.id(), Role: membership.RoleAdmin}))
	o.rest()
	i := o.dan.infos[o.id]
	if i.Invitation == nil || i.Invitation.By != o.ann.id() || i.Invitation.Role != membership.RoleAdmin || i.Entered || i.Name != "office" {
		t.Fatalf("%+v", i)
	}
	if _, err := o.dan.say(o.id, "hello"); chat.CodeOf(err) != chat.CodeNotJoined {
		t.Errorf("who is invited talks: %v", err)
	}
	must(t, o.dan.try(func(ref uint64) Input { return Decline{Room: o.id, Ref: ref} }))
	o.rest()
	if i := o.dan.infos[o.id]; i.Invitation != nil {
		t.Errorf("%+v", i)
	}
	if len(o.ann.infos[o.id].Invited) != 0 {
		t.Error("ann was not told")
	}
}

func TestARemovedMemberOpensNothingSealedAfterwards(t *testing.T) {
	o := newOffice(t, membership.HistoryNone)
	before := o.bob.mustSay(o.id, "before")
	o.rest()
	spy := o.copyOf(o.cleo)
	still := o.bob.mustSay(o.id, "still")
	o.rest()
	old := map[chat.EntryID]bool{}
	for _, n := range []*node{o.ann, o.bob} {
		for _, a := range n.records[o.id] {
			old[a.Entry.ID] = true
		}
	}
	must(t, o.ann.change(o.id, membership.Remove{Person: o.cleo.id()}))
	o.rest()
	after := o.ann.mustSay(o.id, "after")
	too := o.bob.mustSay(o.id, "too")
	o.rest()
	info := o.cleo.infos[o.id]
	if info.Removed == nil || info.Removed.By != o.ann.id() || info.Entered {
		t.Errorf("cleo is not told: %+v", info)
	}
	if o.cleo.read[before] == "" || o.bob.read[after] == "" || o.ann.read[too] == "" {
		t.Error("somebody does not read what they may")
	}
	// Even if every byte of it reaches her, and she went on with a copy of her disk;
	// the entry that says that she is removed is no exception.
	opened := spy.overhears(o.ann, o.bob)
	if opened[still] != "still" {
		t.Error("the spy can read nothing at all: this test shows nothing")
	}
	for en, text := range opened {
		if !old[en] {
			t.Errorf("cleo reads %q", text)
		}
	}
	if _, err := o.cleo.say(o.id, "hello"); chat.CodeOf(err) != chat.CodeNotJoined {
		t.Errorf("who was removed talks: %v", err)
	}
}

// spy is an engine that goes on with a copy of somebody's disk, and does not hear what
// that person is told.
type spy struct {
	*office
	of *node
	e  *Engine
}

func (o *office) copyOf(n *node) *spy {
	e, err := New(Config{Key: keyOf(n.name), Person: n.id(), Certificate: n.cert, Name: n.person, Random: rand.NewChaCha8([32]byte{1})}, maps.Clone(n.state))
	must(o.t, err)
	s := &spy{o, n, e}
	e.Handle(o.now, Start{})
	return s
}

// overhears hands the spy everything that the rooms of others hold, and returns what
// they read.
func (s *spy) overhears(from ...*node) map[chat.EntryID]string {
	out := map[chat.EntryID]string{}
	for _, n := range from {
		for _, a := range n.records[s.id] {
			for _, f := range s.e.Handle(s.now, Receive{Room: s.id, Authored: a}) {
				if f, ok := f.(Opened); ok {
					out[f.ID] = string(f.Plaintext)
				}
			}
		}
	}
	return out
}

func TestWhoLeavesIsOutAndMayBeInvitedAgain(t *testing.T) {
	o := newOffice(t, membership.HistoryNone)
	must(t, o.cleo.change(o.id, membership.Leave{}))
	o.rest()
	if i := o.cleo.infos[o.id]; i.Entered || i.Removed == nil || i.Removed.By != o.cleo.id() {
		t.Errorf("%+v", i)
	}
	for _, n := range []*node{o.ann, o.bob} {
		if len(n.infos[o.id].Members) != 2 {
			t.Errorf("%s was not told", n.name)
		}
	}
	secret := o.bob.mustSay(o.id, "secret")
	o.rest()
	o.join(o.cleo)
	again := o.bob.mustSay(o.id, "again")
	mine := o.cleo.mustSay(o.id, "back")
	o.rest()
	if o.cleo.read[again] == "" || o.bob.read[mine] == "" {
		t.Errorf("cleo: %s, bob: %s", o.cleo.closed(again), o.bob.closed(mine))
	}
	if o.cleo.read[secret] != "" {
		t.Error("cleo reads what was said while she was out")
	}
}

func TestNewcomersReadWhatTheSettingSays(t *testing.T) {
	for h, want := range map[membership.History][2]bool{
		membership.HistoryNone: {false, false}, membership.HistoryInvited: {false, true}, membership.HistoryAll: {true, true},
	} {
		o := newOffice(t, h)
		past := o.bob.mustSay(o.id, "past")
		o.rest()
		must(t, o.ann.change(o.id, membership.Invite{Person: o.dan.id(), Role: membership.RoleMember}))
		o.rest()
		between := o.bob.mustSay(o.id, "between")
		o.rest()
		if o.dan.read[between] != "" || len(o.dan.records[o.id]) != 0 {
			t.Errorf("%v: who is only invited is given entries", h)
		}
		must(t, o.dan.accept(o.id))
		o.rest()
		now := o.bob.mustSay(o.id, "now")
		o.rest()
		for i, en := range []chat.EntryID{past, between} {
			if u, closed := o.dan.unopened[en]; closed && (want[i] || u.Reason != BeforeJoining) {
				t.Errorf("%v: %s", h, o.dan.closed(en))
			}
		}
		if got := [2]bool{o.dan.read[past] != "", o.dan.read[between] != ""}; got != want || o.dan.read[now] == "" {
			t.Errorf("%v: past %s, since invited %s, now %s", h, o.dan.closed(past), o.dan.closed(between), o.dan.closed(now))
		}
	}
}

func TestANewcomerLearnsTheNamesOfWhoSpeaks(t *testing.T) {
	o := newOffice(t, membership.HistoryNone)
	o.join(o.dan)
	var kinds []wire.Kind
	o.bob.mustSay(o.id, "hello")
	for _, f := range o.bob.effects {
		if a, ok := f.(Append); ok && a.Shown != 0 {
			kinds = append(kinds, a.Shown)
		}
	}
	if !slices.Equal(kinds, []wire.Kind{wire.KindProfile, wire.KindMessage}) {
		t.Errorf("the first message since dan came: %v", kinds)
	}
	o.bob.mustSay(o.id, "again")
	for _, f := range o.bob.effects {
		if a, ok := f.(Append); ok && a.Kind == wire.KindProfile {
			t.Error("and with every message")
		}
	}
	o.rest()
	o.bob.do(Rename{Name: "robert"})
	named := false
	for _, f := range o.bob.effects {
		if a, ok := f.(Append); ok && a.Kind == wire.KindProfile {
			p, err := wire.DecodeProfile(a.Plaintext)
			named = err == nil && p.Name == "robert"
		}
	}
	if !named {
		t.Error("a new name is not said")
	}
}

func TestNameAndTopicAreShownWholeAndOnOneLine(t *testing.T) {
	o := newOffice(t, membership.HistoryNone)
	name, topic := "of\u202efice\x1b[2J", strings.TrimSpace(strings.Repeat("long words ", chat.MaxTopic/12))
	said := topic + "\n\u200bx"
	must(t, o.ann.change(o.id, membership.Set{Name: &name, Topic: &said}))
	o.rest()
	if i := o.bob.infos[o.id]; i.Name != "office[2J" || i.Topic != topic+" x" {
		t.Errorf("%q, %q", i.Name, i.Topic)
	}
}
