package private

import (
	"fmt"
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/membership"
	"earshot/chat/wire"
)

// Members in any number can't have a newcomer go on asking about the past: it takes the
// answers of so many, and asks nobody else, not after a restart either.
func TestANewcomerAsksSoManyAboutThePast(t *testing.T) {
	w := newWorld(t, 1)
	ann := w.add("ann", "")
	id := ann.found("office", membership.HistoryAll)
	heads := ann.rooms[id].log.Heads(ann.id())
	var raw [][]byte
	add := func(n *node, body membership.Body) chat.EntryID {
		o, err := SignOperation(keyOf(n.name), n.cert, id, chat.HLCOf(w.now), heads, body)
		must(t, err)
		raw, heads = append(raw, o.Bytes()), []chat.EntryID{o.ID}
		return o.ID
	}
	var members []*node
	for i := range chat.MaxHistoryAnswers + 1 {
		n := w.add(fmt.Sprint("member ", i), "")
		add(n, membership.Accept{Invite: add(ann, membership.Invite{Person: n.id(), Role: membership.RoleMember})})
		members = append(members, n)
	}
	bob := w.add("bob", "")
	ann.do(Met{Certificate: members[0].cert, Prekey: members[0].Prekey(), Connected: true})
	ann.do(Heard{Device: members[0].dev(), Person: members[0].id(), Frame: wire.Ops{Room: id[:], Ops: raw}})
	if n := len(ann.infos[id].Members); n != len(members)+1 {
		t.Fatalf("%d are in", n)
	}
	bob.knows[ann.id()] = true
	ann.link(bob)
	w.play(time.Second)
	must(t, ann.change(id, membership.Invite{Person: bob.id(), Role: membership.RoleMember}))
	w.play(time.Second)
	ann.cut(bob) // and the founder says nothing of the past
	must(t, bob.accept(id))

	// asked meets somebody and reports whether they are asked; they tell one key.
	asked := func(n *node) (yes bool) {
		bob.do(Met{Certificate: n.cert, Prekey: n.Prekey(), Connected: true})
		for _, f := range bob.effects {
			if s, ok := f.(Send); ok && s.To == n.dev() {
				_, want := s.Frame.(wire.HistoryWant)
				yes = yes || want
			}
		}
		d := ann.dev()
		bob.hears(n, wire.History{Room: id[:], Grants: []wire.HistoryGrant{{Device: d[:], Epoch: 1, Key: make([]byte, 32)}}})
		return yes
	}
	for i, n := range members[:chat.MaxHistoryAnswers] {
		if !asked(n) {
			t.Fatalf("the member after %d answers is not asked", i)
		}
	}
	if asked(members[chat.MaxHistoryAnswers]) {
		t.Error("one more is asked")
	}
	bob.restart()
	if asked(members[0]) {
		t.Error("after a restart it begins again")
	}
}
