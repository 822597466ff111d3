package contacts

import (
	"bytes"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// oneChat fails unless two contacts make their chat of one thing.
func oneChat(t testing.TB, a, b *node) [32]byte {
	t.Helper()
	c := a.Chat(b.id())
	if c == ([32]byte{}) || c != b.Chat(a.id()) {
		t.Fatalf("%s chats in %x, %s in %x", a.name, c, b.name, b.Chat(a.id()))
	}
	return c
}

func TestTheChatIsMadeOfTheRequestThatWasAnswered(t *testing.T) {
	a, b, _ := pair(t)
	request := a.must(Add{Person: b.id()})
	carry(a, b, request)
	for _, n := range []*node{a, b} {
		if n.Chat(a.id()) != ([32]byte{}) || n.Chat(b.id()) != ([32]byte{}) {
			t.Error("a chat with somebody who is no contact")
		}
	}
	carry(b, a, b.must(Accept{Person: a.id()}))
	if c := oneChat(t, a, b); c != request[0].ID {
		t.Errorf("%x", c)
	}
	a.must(Verify{Person: b.id()})
	oneChat(t, a, b)
	// It survives a restart, and ends with the relation.
	again := newNode(t, a.now, 1, "Ann")
	again.stored = a.stored
	again.do(Restore{Records: a.Records()})
	oneChat(t, again, b)
	a.must(Forget{Person: b.id()})
	if a.Chat(b.id()) != ([32]byte{}) {
		t.Error("a chat with a forgotten person")
	}
}

func TestWhenBothHaveAskedTheChatIsTheLowerPersons(t *testing.T) {
	a, b, _ := pair(t)
	fromA, fromB := a.must(Add{Person: b.id()}), b.must(Add{Person: a.id()})
	want := fromA[0].ID
	if compare(b.id(), a.id()) < 0 {
		want = fromB[0].ID
	}
	carry(a, b, fromA)
	carry(b, a, fromB)
	if c := oneChat(t, a, b); c != want {
		t.Errorf("%x", c)
	}
}

func TestAContactWhoAsksAgainIsToldTheChatInUse(t *testing.T) {
	a, b, now := friends(t)
	c := oneChat(t, a, b)
	for _, n := range []*node{a, b} {
		peer := b
		if n == b {
			peer = a
		}
		*now = now.Add(rateTime)
		n.must(Forget{Person: peer.id()})
		carry(n, peer, n.must(Add{Person: peer.id()}))
		if oneChat(t, a, b) != c {
			t.Error("the chat that one of them still has is left")
		}
	}
	// When both have forgotten, there is a new one.
	*now = now.Add(rateTime)
	a.must(Forget{Person: b.id()})
	b.must(Forget{Person: a.id()})
	carry(a, b, a.must(Add{Person: b.id()}))
	carry(b, a, b.must(Accept{Person: a.id()}))
	if oneChat(t, a, b) == c {
		t.Error("a chat that both have forgotten is gone on with")
	}
}

// A contact decides about the chat, but each change costs a room.
func TestAContactCannotMoveTheChatOverAndOver(t *testing.T) {
	a, b, now := friends(t)
	low, high := a, b
	if compare(b.id(), a.id()) < 0 {
		low, high = b, a
	}
	from, to := low.id(), high.id()
	move := func(by *node, at *node, c byte) (answers []Send) {
		person := at.id()
		return at.do(Receive{From: by.id(), Device: by.cert.Device, Message: sign(by.cfg.Key, body{
			Kind: KindAccepted, Certificate: by.cert.Bytes(), To: person[:], Request: make([]byte, 32), Chat: bytes.Repeat([]byte{c}, 32),
		})})
	}
	seen := map[[32]byte]bool{}
	for i := range 20 {
		move(low, high, byte(i+1))
		seen[high.Chat(from)] = true
	}
	if len(seen) != moveLimit {
		t.Errorf("moved %d times in an hour", len(seen))
	}
	*now = now.Add(rateTime)
	// The higher moves nothing, and is told what counts.
	c := low.Chat(to)
	if answers := move(high, low, 99); low.Chat(to) != c || len(answers) != 1 {
		t.Errorf("%d answers", len(answers))
	} else {
		carry(low, high, answers)
	}
	oneChat(t, a, b)
	if len(a.refusals)+len(b.refusals) > 0 {
		t.Error("refused")
	}
}

// bag is a network that loses, delays, doubles and swaps messages.
type bag struct {
	from, to *node
	sends    []Send
}

// settleAll lets time pass and everything arrive until nothing is sent any more.
func settleAll(rt *rapid.T, now *time.Time, nodes ...*node) {
	for range 100 {
		*now = now.Add(maxRetry + time.Hour) // whatever is due, and nothing is counted any more
		quiet := true
		for _, n := range nodes {
			for queue := n.do(Tick{}); len(queue) > 0; queue = queue[1:] {
				quiet = false
				for _, peer := range nodes {
					if s := queue[0]; peer.cert.Device == s.Device {
						answers, confirmed := peer.read(n, s)
						if confirmed {
							n.do(Delivered{Person: peer.id(), ID: s.ID})
						}
						for _, again := range answers {
							back, confirmed := n.read(peer, again)
							if confirmed {
								peer.do(Delivered{Person: n.id(), ID: again.ID})
							}
							queue = append(queue, back...)
						}
					}
				}
			}
		}
		if quiet {
			return
		}
	}
	rt.Fatal("they talk without end")
}

// Two people ask, accept, forget and ask again in any order, while requests and
// answers are lost, late, doubled and swapped: in the end, if each is a contact of
// the other, they have one chat.
func TestTwoContactsAgreeOnTheirChatWhateverHasCrossed(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		now := clock()
		nodes := [2]*node{newNode(t, now, 1, "Ann"), newNode(t, now, 3, "Bob")}
		ways := [2]*bag{{from: nodes[0], to: nodes[1]}, {from: nodes[1], to: nodes[0]}}
		for i, n := range nodes {
			ways[i].sends = n.do(Met{Person: nodes[1-i].id(), Device: nodes[1-i].cert.Device, Name: nodes[1-i].name})
		}
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			i := rapid.IntRange(0, 1).Draw(rt, "who")
			n, peer, way := nodes[i], nodes[1-i], ways[i]
			switch rapid.IntRange(0, 7).Draw(rt, "what") {
			case 0:
				way.sends = append(way.sends, n.do(Add{Person: peer.id()})...)
			case 1:
				way.sends = append(way.sends, n.do(Accept{Person: peer.id()})...)
			case 2:
				way.sends = append(way.sends, n.do(Forget{Person: peer.id()})...)
			case 3:
				*now = now.Add(time.Duration(rapid.IntRange(1, 90).Draw(rt, "minutes")) * time.Minute)
				way.sends = append(way.sends, n.do(Tick{})...)
			default: // anything that was ever sent arrives, and may do so again
				if len(way.sends) == 0 {
					continue
				}
				s := way.sends[rapid.IntRange(0, len(way.sends)-1).Draw(rt, "message")]
				answers, confirmed := peer.read(n, s)
				ways[1-i].sends = append(ways[1-i].sends, answers...)
				if confirmed && rapid.Bool().Draw(rt, "told") {
					n.do(Delivered{Person: peer.id(), ID: s.ID})
				}
			}
			for j, n := range nodes {
				r := n.Record(nodes[1-j].id())
				if (r.Chat == [32]byte{}) == r.Relation.Known() {
					rt.Fatalf("a %s with the chat %x", r.Relation, r.Chat)
				}
			}
		}
		settleAll(rt, now, nodes[:]...)
		a, b := nodes[0], nodes[1]
		if a.Relation(b.id()).Known() && b.Relation(a.id()).Known() && a.Chat(b.id()) != b.Chat(a.id()) {
			rt.Fatalf("%s chats in %x, %s in %x", a.name, a.Chat(b.id()), b.name, b.Chat(a.id()))
		}
		if len(a.refusals)+len(b.refusals) > 0 {
			rt.Fatalf("an honest message was refused: %v %v", a.refusals, b.refusals)
		}
	})
}

// A message that was not read must come again; one that was must not.
func TestWhatWasNotReadIsNotConfirmed(t *testing.T) {
	now := clock()
	b := newNode(t, now, 3, "Bob")
	confirmed := func(in Receive) bool {
		b.confirms = nil
		b.do(in)
		return len(b.confirms) == 1
	}
	var first Receive
	for i := range MaxTray {
		in := stranger(b.id(), i)
		if first = in; !confirmed(in) {
			t.Fatal("a request in the tray is not confirmed")
		}
	}
	if confirmed(stranger(b.id(), 99)) {
		t.Error("a request that found no place is confirmed")
	}
	for range rateLimit - 1 {
		if !confirmed(first) {
			t.Error("a repeated request is not confirmed")
		}
	}
	if confirmed(first) {
		t.Error("a request too many is confirmed")
	}
	b.must(Decline{Person: first.From})
	*now = now.Add(rateTime)
	if !confirmed(first) || b.Relation(first.From) != Stranger {
		t.Error("who was declined is told so")
	}
	b.must(Forget{Person: first.From})
	*now = now.Add(rateTime)
	if !confirmed(first) || b.Relation(first.From) != Asking {
		t.Error("a request in the tray is not confirmed")
	}
	*now = now.Add(rateTime)
	first.Message = bytes.Clone(first.Message)
	first.Message[len(first.Message)-1] ^= 1
	if confirmed(first) {
		t.Error("a message with a bad signature is confirmed")
	}
	b.must(Block{Person: first.From})
	first.Message[len(first.Message)-1] ^= 1
	if confirmed(first) {
		t.Error("a blocked person's message is confirmed")
	}
	// Answers that come too late are read, and change nothing.
	a, b, _ := pair(t)
	a.must(Add{Person: b.id()})
	late := sign(b.cfg.Key, body{
		Kind: KindAccepted, Certificate: b.cert.Bytes(), To: func() []byte { p := a.id(); return p[:] }(),
		Request: make([]byte, 32), Chat: bytes.Repeat([]byte{1}, 32),
	})
	if a.do(Receive{From: b.id(), Device: b.cert.Device, Message: late}); len(a.confirms) != 1 || a.Relation(b.id()) != Requested {
		t.Error("a late answer")
	}
}
