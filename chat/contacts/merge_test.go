package contacts

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"earshot/chat"
)

// siblings returns two devices of Ann, and Bob, of whom only Bob and the first have
// met.
func siblings(t testing.TB) (a1, a2, b *node, now *time.Time) {
	now = clock()
	a1, a2 = newNode(t, now, 1, "Ann"), newNodeOf(t, now, keyOf(1), keyOf(7), "Ann")
	b = newNode(t, now, 3, "Bob")
	meet(a1, b)
	return a1, a2, b, now
}

// tell gives one device everything that another holds.
func tell(from, to *node) {
	for _, r := range from.Records() {
		to.do(Merge{Record: r})
	}
}

func TestWhatOneDeviceDecidesTheOtherHolds(t *testing.T) {
	a1, a2, b, now := siblings(t)
	bob := b.id()
	same := func(want Relation) {
		t.Helper()
		tell(a1, a2)
		tell(a2, a1)
		x, y := a1.Record(bob), a2.Record(bob)
		x.Message, x.Tries, x.NextTry = nil, 0, time.Time{}
		y.Message, y.Tries, y.NextTry = nil, 0, time.Time{}
		if want == Stranger { // whom each knows by the name they meet
			x.Name, y.Name = "", ""
		}
		if !reflect.DeepEqual(x, y) || x.Relation != want {
			t.Fatalf("one holds\n%+v, the other\n%+v, not %s", x, y, want)
		}
		*now = now.Add(time.Second)
	}
	a1.must(Add{Person: bob, Note: "hi"})
	same(Requested)
	if a2.Record(bob).Message != nil {
		t.Error("what one device has signed waits on another")
	}
	// The answer goes to whichever device is there.
	carry(a1, b, []Send{a1.sends[0]})
	*now = now.Add(time.Minute)
	part(a1, b)
	meet(a2, b)
	carry(b, a2, b.must(Accept{Person: a1.id()}))
	same(Contact)
	oneChat(t, a1, b)
	oneChat(t, a2, b)
	a1.must(Verify{Person: bob})
	same(Verified)
	a2.must(Block{Person: bob})
	same(Blocked)
	a1.must(Unblock{Person: bob})
	same(Stranger)
	if a1.stored[bob].Since.IsZero() || len(a1.Contacts()) != 0 {
		t.Errorf("%+v", a1.stored[bob])
	}
}

func TestAForgottenPersonIsNotBroughtBackByAnotherDevice(t *testing.T) {
	a1, a2, b, now := siblings(t)
	carry(a1, b, a1.must(Add{Person: b.id()}))
	carry(b, a1, b.must(Accept{Person: a1.id()}))
	tell(a1, a2)
	*now = now.Add(time.Hour)
	a1.must(Forget{Person: b.id()})
	again := newNode(t, now, 1, "Ann") // nor after a restart
	again.stored = a1.stored
	again.do(Restore{Records: a1.Records()})
	tell(a2, again)
	again.is(b, Stranger)
	tell(again, a2)
	a2.is(b, Stranger)
	if a2.Chat(b.id()) != ([32]byte{}) {
		t.Error("the chat stays")
	}
	// They can come back as anybody can.
	*now = now.Add(rateTime)
	carry(b, again, []Send{{Person: again.id(), Device: again.cert.Device, Message: requestOf(b, again)}})
	again.is(b, Asking)
	again.cannot(chat.CodeNotFound, Forget{Person: personID("nobody")})
}

func TestTheNamesakesThatWereDecidedHoldOnAllDevices(t *testing.T) {
	a1, a2, b, now := siblings(t)
	carry(a1, b, a1.must(Add{Person: b.id()}))
	carry(b, a1, b.must(Accept{Person: a1.id()}))
	a1.must(Verify{Person: b.id()})
	tell(a1, a2)
	part(a1, b)
	eve := newNode(t, now, 9, "Bob")
	for _, n := range []*node{a1, a2} {
		n.do(Met{Person: eve.id(), Device: eve.cert.Device, Name: "Bob"})
		if n.MaySend(b.id()) == nil {
			t.Fatal("nothing is held")
		}
	}
	// A later word of another device about the contact decides nothing about that.
	*now = now.Add(time.Minute)
	later := a1.Record(b.id())
	later.Claimant, later.Since = chat.PersonID{}, *now
	a2.do(Merge{Record: later})
	if a2.MaySend(b.id()) == nil {
		t.Error("the hold ended by itself")
	}
	a1.must(Decide{Verified: b.id(), Claimant: eve.id()})
	tell(a1, a2)
	if err := a2.MaySend(b.id()); err != nil {
		t.Error(err)
	}
	before := a2.effects
	tell(a1, a2)
	if a2.effects != before {
		t.Error("what is known already is stored again")
	}
}

func TestWhatIsMergedIsBounded(t *testing.T) {
	a1, _, b, now := siblings(t)
	for i := range 2 * MaxTray {
		a1.Handle(*now, Merge{Record: Record{Person: personID(fmt.Sprint("asking", i)), Relation: Asking, Since: *now}})
	}
	for i := range maxRemembered + 100 {
		a1.Handle(*now, Merge{Record: Record{Person: personID(fmt.Sprint("forgotten", i)), Forgotten: true, Since: now.Add(time.Duration(i))}})
	}
	if a1.asking != MaxTray || a1.remembered != maxRemembered || len(a1.people) != MaxTray+maxRemembered {
		t.Errorf("%d asking, %d remembered, %d people", a1.asking, a1.remembered, len(a1.people))
	}
	for name, r := range map[string]Record{
		"oneself":               {Person: a1.id(), Relation: Contact, Since: *now},
		"nobody":                {Relation: Contact, Since: *now},
		"a relation to come":    {Person: b.id(), Relation: Blocked + 1, Since: *now},
		"a stranger as another": {Person: b.id(), Since: *now},
	} {
		if out := a1.Handle(*now, Merge{Record: r}); len(out) != 0 {
			t.Errorf("%s: %v", name, out)
		}
	}
}

// Two devices of one person and somebody else do anything in any order, and hear of
// each other late, doubled and in any order: in the end both devices hold the same
// relation, and if it is mutual, all three the same chat.
func TestTheDevicesOfAPersonComeToHoldTheSame(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a1, a2, b, now := siblings(t)
		nodes := []*node{a1, a2, b}
		for _, n := range nodes {
			n.do(Left{Person: b.id(), Device: b.cert.Device})
		}
		for _, n := range nodes[:2] {
			n.do(Met{Person: b.id(), Device: b.cert.Device, Name: b.name})
			b.do(Met{Person: n.id(), Device: n.cert.Device, Name: n.name})
		}
		type message struct {
			from *node
			Send
		}
		var sent []message
		keep := func(from *node, sends []Send) {
			for _, s := range sends {
				sent = append(sent, message{from, s})
			}
		}
		to := func(d chat.DeviceID) *node {
			return nodes[slices.IndexFunc(nodes, func(n *node) bool { return n.cert.Device == d })]
		}
		var records [2][]Record // ever held by each of Ann's devices
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			*now = now.Add(time.Duration(rapid.IntRange(0, 1).Draw(rt, "ticks")) * time.Millisecond)
			i := rapid.IntRange(0, 2).Draw(rt, "who")
			n, peer := nodes[i], b.id()
			if n == b {
				peer = a1.id()
			}
			switch rapid.IntRange(0, 9).Draw(rt, "what") {
			case 0:
				keep(n, n.do(Add{Person: peer}))
			case 1:
				keep(n, n.do(Accept{Person: peer}))
			case 2:
				keep(n, n.do(Forget{Person: peer}))
			case 3:
				*now = now.Add(time.Duration(rapid.IntRange(1, 90).Draw(rt, "minutes")) * time.Minute)
				keep(n, n.do(Tick{}))
			case 4:
				keep(n, n.do([]Input{Block{Person: peer}, Unblock{Person: peer}, Decline{Person: peer}, Verify{Person: peer}}[rapid.IntRange(0, 3).Draw(rt, "which")]))
			case 9:
				keep(n, n.do([]Input{
					Group{Person: peer, Groups: drawGroups(rt)},
					Group{Person: peer},
					SetTeam{Person: peer, Team: rapid.Bool().Draw(rt, "team")},
					Watch{Person: peer, Watched: rapid.Bool().Draw(rt, "watched")},
				}[rapid.IntRange(0, 3).Draw(rt, "sorted")]))
			case 5, 6:
				if n != b && len(records[1-i]) > 0 {
					keep(n, n.do(Merge{Record: records[1-i][rapid.IntRange(0, len(records[1-i])-1).Draw(rt, "record")]}))
				}
			default:
				if len(sent) > 0 {
					m := sent[rapid.IntRange(0, len(sent)-1).Draw(rt, "message")]
					at := to(m.Device)
					answers, confirmed := at.read(m.from, m.Send)
					keep(at, answers)
					if confirmed {
						m.from.do(Delivered{Person: at.id(), ID: m.ID})
					}
				}
			}
			for i, n := range nodes[:2] {
				if r := n.Record(b.id()); r.Kept() {
					records[i] = append(records[i], r)
				}
			}
		}
		for range 5 { // they hear of each other while messages arrive
			settleAll(rt, now, nodes...)
			tell(a1, a2)
			tell(a2, a1)
		}
		x, y := a1.Record(b.id()), a2.Record(b.id())
		if later(x, y) != 0 || !x.Sorting.same(y.Sorting) {
			rt.Fatalf("one holds\n%+v, the other\n%+v", x, y)
		}
		if x.Relation.Known() && b.Relation(a1.id()).Known() && x.Chat != b.Chat(a1.id()) {
			rt.Fatalf("Ann chats in %x, Bob in %x", x.Chat, b.Chat(a1.id()))
		}
	})
}
