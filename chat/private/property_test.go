package private

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"earshot/chat"
	"earshot/chat/membership"
	"earshot/chat/wire"
)

// story is a world in which things happen at random, with an account of what must be
// true in the end.
type story struct {
	*world
	rt      *rapid.T
	id      chat.RoomID
	history membership.History
	said    map[chat.EntryID]*saying
	order   []chat.EntryID
	asked   map[chat.PersonID]bool // who was ever invited, and the creator
	out     map[*node]int          // how often a device has left the room's engine
	roots   roots
	stolen  *node // the device that was revoked
}

// saying is a message and who was given its key.
type saying struct {
	by   *node
	text string
	to   map[chat.DeviceID]int // and how often that device had left by then
}

func newStory(rt *rapid.T, h membership.History) *story {
	s := &story{
		world: newWorld(rt, rapid.Uint64().Draw(rt, "seed")), rt: rt, history: h, said: map[chat.EntryID]*saying{},
		asked: map[chat.PersonID]bool{}, out: map[*node]int{}, roots: roots{},
	}
	s.watch = func(from, to *node, f wire.Frame) {
		switch f.(type) {
		case wire.OpsHave, wire.OpsWant, wire.Ops, wire.History, wire.HistoryWant:
			if !s.asked[to.id()] {
				rt.Errorf("%s sends %T to %s, who was never invited", from.name, f, to.name)
			}
		}
	}
	for _, name := range []string{"ann", "bob", "cleo", "dan", "eve"} {
		s.add(name, "")
	}
	phone := s.add("bob", "/phone")
	for _, n := range s.nodes {
		for _, o := range s.nodes {
			n.knows[o.id()] = true
		}
	}
	s.mesh()
	s.play(time.Second)
	if rapid.Bool().Draw(rt, "lists") {
		s.roots.sign(rt, s.nodes[1], s.nodes[1], phone)
		s.play(time.Second)
	}
	s.loss = rapid.SampledFrom([]int{0, 20, 60}).Draw(rt, "loss")
	s.asked[s.nodes[0].id()] = true
	s.id = s.nodes[0].found("office", h)
	return s
}

func (s *story) someone(what string) *node {
	return s.nodes[rapid.IntRange(0, len(s.nodes)-1).Draw(s.rt, what)]
}

// step has something happen. What a person may not do is denied, which is no harm.
func (s *story) step() {
	n := s.someone("who")
	before := map[*node]bool{}
	for _, m := range s.nodes {
		before[m] = m.infos[s.id].Entered
	}
	switch what := rapid.IntRange(0, 16).Draw(s.rt, "what"); what {
	case 0, 1, 2, 3:
		s.says(n)
	case 4, 5:
		who := s.someone("whom")
		role := rapid.SampledFrom([]membership.Role{membership.RoleMember, membership.RoleAdmin, membership.RoleOwner}).Draw(s.rt, "role")
		s.asked[who.id()] = true // before the frame that tells
		_ = n.change(s.id, membership.Invite{Person: who.id(), Role: role})
	case 6, 7:
		for _, m := range s.nodes {
			if m.infos[s.id].Invitation != nil {
				_ = m.accept(s.id)
			}
		}
	case 8:
		_ = n.change(s.id, membership.Remove{Person: s.someone("whom").id()})
	case 9:
		if rapid.IntRange(0, 3).Draw(s.rt, "sure") == 0 {
			_ = n.change(s.id, membership.Leave{})
		}
	case 10:
		name := fmt.Sprint("room of ", n.name)
		_ = n.change(s.id, membership.Set{Name: &name})
	case 11, 12:
		s.split()
	case 13:
		s.mesh()
	case 14:
		n.restart()
	case 15:
		s.catchUp()
	case 16:
		if bob := s.nodes[1]; s.stolen == nil && rapid.IntRange(0, 3).Draw(s.rt, "stolen") == 0 {
			s.stolen = s.nodes[5]
			s.roots.sign(s.rt, bob, bob, s.stolen)
			s.roots.sign(s.rt, bob, bob)
		}
	}
	s.play(time.Duration(rapid.IntRange(0, 4000).Draw(s.rt, "ms")) * time.Millisecond)
	for _, m := range s.nodes {
		if before[m] && !m.infos[s.id].Entered {
			s.out[m]++
		}
	}
}

func (s *story) says(n *node) {
	text := fmt.Sprintf("%s says %d", n.name, len(s.order))
	en, err := n.say(s.id, text)
	if err != nil {
		return
	}
	w := &saying{by: n, text: text, to: map[chat.DeviceID]int{}}
	for _, d := range n.rooms[s.id].recipients {
		if !d.Prekey.IsZero() {
			w.to[d.Certificate.Device] = s.out[s.byDevice(d.Certificate.Device)]
		}
	}
	s.said[en] = w
	s.order = append(s.order, en)
}

// split cuts the network in two.
func (s *story) split() {
	side := map[*node]bool{}
	for _, n := range s.nodes {
		side[n] = rapid.Bool().Draw(s.rt, "side")
	}
	for _, n := range s.nodes {
		for _, o := range s.nodes {
			if side[n] != side[o] {
				n.cut(o)
			}
		}
	}
}

// ends heals the network and looks whether every promise was kept.
func (s *story) ends() {
	s.loss = 0
	s.mesh()
	s.rest()
	s.rest()
	var room *conversation // whose log knows all; who is out is told no more
	for _, n := range s.nodes {
		if r := n.rooms[s.id]; r != nil && r.entered && n != s.stolen && (room == nil || len(r.ops) > len(room.ops)) {
			room = r
		}
	}
	var members []*node
	for _, n := range s.nodes {
		if room == nil {
			break
		}
		if n == s.stolen {
			continue
		}
		r := n.rooms[s.id]
		_, in := room.log.State().Member(n.id())
		switch {
		case r == nil && in:
			s.rt.Errorf("%s does not know that they are a member", n.name)
		case r != nil && in != r.entered:
			s.rt.Errorf("%s takes part: %v, and by the log that knows most is in: %v", n.name, r.entered, in)
		case in:
			members = append(members, n)
		}
	}
	for _, n := range members {
		r := n.rooms[s.id]
		if first := members[0].rooms[s.id]; r.log.State().View != first.log.State().View || OpsRoot(idsOf(r.ops)) != OpsRoot(idsOf(first.ops)) {
			s.rt.Errorf("%s and %s do not agree who is in: %d and %d operations", n.name, members[0].name, len(r.ops), len(first.ops))
		}
		if len(r.waits) > 0 {
			s.rt.Errorf("%s waits for operations", n.name)
		}
	}
	for _, en := range s.order {
		s.checkSaying(en, members)
	}
	for _, n := range s.nodes {
		for _, err := range n.refusals {
			s.rt.Errorf("%s refuses: %v", n.name, err)
		}
	}
}

func (s *story) checkSaying(en chat.EntryID, members []*node) {
	w := s.said[en]
	var hlc chat.HLC
	for _, a := range w.by.records[s.id] {
		if a.Entry.ID == en {
			hlc = a.Entry.HLC
		}
	}
	for _, n := range s.nodes {
		if n == w.by || w.by == s.stolen {
			continue
		}
		text, read := n.read[en]
		if read && text != w.text {
			s.rt.Errorf("%s reads %q and not %q", n.name, text, w.text)
		}
		left, given := w.to[n.dev()]
		switch {
		case s.history != membership.HistoryAll && read && !given:
			s.rt.Errorf("%s reads %q and was given no key", n.name, text)
		case !given || read || left != s.out[n] || !slices.Contains(members, n):
		case hlc <= n.rooms[s.id].limits[w.by.id()] && s.heldBy(en, members):
			s.rt.Errorf("%s was given the key of %q and does not read it: %s", n.name, w.text, n.closed(en))
		}
	}
	if s.history == membership.HistoryAll && w.by != s.stolen && slices.ContainsFunc(members, func(n *node) bool { return n.read[en] != "" }) {
		for _, n := range members {
			if n.read[en] == "" && hlc <= n.rooms[s.id].limits[w.by.id()] {
				s.rt.Errorf("%s came later and does not read %q: %s", n.name, w.text, n.closed(en))
			}
		}
	}
}

// heldBy reports whether any member has an entry, so that all must.
func (s *story) heldBy(en chat.EntryID, members []*node) bool {
	return slices.ContainsFunc(members, func(n *node) bool { return n.stored[en] == s.id })
}

// Everybody who is a member at the end, and connected, holds the same operations, knows
// the same members, and reads what they were given the key of; nobody else reads it, and
// nobody hears of the room who was not invited.
func TestWhateverHappensTheMembersAgreeAndNobodyElseReads(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newStory(rt, rapid.SampledFrom([]membership.History{membership.HistoryNone, membership.HistoryInvited, membership.HistoryAll}).Draw(rt, "history"))
		for range rapid.IntRange(5, 35).Draw(rt, "steps") {
			s.step()
		}
		s.ends()
	})
}

func TestAnEngineMadeAnewAtAnyMomentKnowsTheSame(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newStory(rt, rapid.SampledFrom([]membership.History{membership.HistoryNone, membership.HistoryAll}).Draw(rt, "history"))
		s.anew = true
		for range rapid.IntRange(1, 15).Draw(rt, "steps") {
			s.step()
		}
		s.ends()
	})
}
