package contacts

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"earshot/chat"
)

// Two people do anything in any order while messages are lost, late, doubled and
// replayed: nobody becomes a contact who did not want the other, a blocked one is
// never written to, and two who want each other and meet become contacts.
func TestNobodyBecomesAContactWithoutWantingTo(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		now := clock()
		nodes := [2]*node{newNode(t, now, 1, "Ann"), newNode(t, now, 3, "Bob")}
		wants := [2]bool{}  // this one has asked or accepted since it last refused
		wanted := [2]bool{} // this one has ever asked or accepted
		var sent [2][]Send  // ever, by each
		act := func(i int, in Input) {
			out := nodes[i].do(in)
			if len(out) > 0 && nodes[i].Relation(nodes[1-i].id()) == Blocked {
				rt.Fatal("a blocked person is written to")
			}
			sent[i] = append(sent[i], out...)
		}
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			i := rapid.IntRange(0, 1).Draw(rt, "who")
			me, peer := nodes[i], nodes[1-i]
			switch rapid.IntRange(0, 9).Draw(rt, "what") {
			case 0:
				act(i, Add{Person: peer.id()})
				if me.denied == nil {
					wants[i], wanted[i] = true, true
				}
			case 1:
				act(i, Accept{Person: peer.id()})
				if me.denied == nil {
					wants[i], wanted[i] = true, true
				}
			case 2:
				act(i, Decline{Person: peer.id()})
			case 3:
				act(i, Forget{Person: peer.id()})
				if me.denied == nil {
					wants[i] = false
				}
			case 4:
				act(i, Block{Person: peer.id()})
				wants[i] = false
			case 5:
				act(i, Unblock{Person: peer.id()})
			case 6:
				act(i, Met{Person: peer.id(), Device: peer.cert.Device, Name: peer.name})
			case 7:
				act(i, Left{Person: peer.id(), Device: peer.cert.Device})
			case 8:
				*now = now.Add(time.Duration(rapid.IntRange(1, 3000).Draw(rt, "minutes")) * time.Minute)
				act(i, Tick{})
			case 9: // something the other has ever sent arrives, with or without word of it
				if n := len(sent[1-i]); n > 0 {
					s := sent[1-i][rapid.IntRange(0, n-1).Draw(rt, "message")]
					act(i, Receive{From: peer.id(), Device: peer.cert.Device, Message: s.Message})
					if rapid.Bool().Draw(rt, "told") {
						act(1-i, Delivered{Person: me.id(), ID: s.ID})
					}
				}
			}
			for i, n := range nodes {
				known := n.Relation(nodes[1-i].id()).Known()
				if known && (!wants[i] || !wanted[1-i]) {
					rt.Fatalf("%s holds %s for a contact", n.name, nodes[1-i].name)
				}
				if len(n.refusals) > 0 {
					rt.Fatalf("an honest message was refused: %v", n.refusals)
				}
			}
		}
		// In the end both want each other, and the network works.
		for i, n := range nodes {
			peer := nodes[1-i].id()
			n.do(Unblock{Person: peer})
			n.do(Left{Person: peer, Device: nodes[1-i].cert.Device})
			n.do(Forget{Person: peer})
		}
		*now = now.Add(rateTime)
		meet(nodes[0], nodes[1])
		carry(nodes[0], nodes[1], nodes[0].must(Add{Person: nodes[1].id()}))
		if nodes[0].Relation(nodes[1].id()) != Contact {
			carry(nodes[1], nodes[0], nodes[1].must(Add{Person: nodes[0].id()}))
		}
		nodes[0].is(nodes[1], Contact)
		nodes[1].is(nodes[0], Contact)
	})
}

func BenchmarkRequestOfAStranger(b *testing.B) {
	now := clock()
	n := newNode(b, now, 3, "Bob")
	in := stranger(n.id(), 1)
	for b.Loop() {
		*now = now.Add(time.Hour)
		n.Handle(*now, in)
		n.people = map[chat.PersonID]*entry{}
		n.asking = 0
	}
}

func BenchmarkRequestAtAFullTray(b *testing.B) {
	now := clock()
	n := newNode(b, now, 3, "Bob")
	for i := range MaxTray {
		n.do(stranger(n.id(), i))
	}
	in := stranger(n.id(), 99)
	for b.Loop() {
		n.Handle(*now, in)
	}
}
