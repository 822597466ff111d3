package seal

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

func requestOf(m *member, epoch uint64) wire.Entry {
	return m.sign(office, wire.KindKeyRequest, epoch, wire.Marshal(request{Suite: Suite, Prekey: m.Prekey().Bytes()}))
}

func TestAnOutsidersRequestIsNotAnswered(t *testing.T) {
	alice, bob, carol := trio(t)
	sent := alice.say(office, "x")
	epoch := sent[0].Epoch
	eve := newMember(t, "eve")
	if got := alice.hear(office, requestOf(eve, epoch)); got != nil {
		t.Error("an outsider was answered")
	}
	// A member now, but not given this epoch.
	alice.share(office, alice, bob, carol, eve)
	if got := alice.hear(office, requestOf(eve, epoch)); got != nil {
		t.Error("somebody who was not given this epoch was answered")
	}
	// With a recipient's prekey, under her own name.
	ask := eve.sign(office, wire.KindKeyRequest, epoch, wire.Marshal(request{Suite: Suite, Prekey: bob.Prekey().Bytes()}))
	if got := alice.hear(office, ask); got != nil {
		t.Error("an outsider was answered")
	}
	// A recipient with the outsider's prekey.
	ask = bob.sign(office, wire.KindKeyRequest, epoch, wire.Marshal(request{Suite: Suite, Prekey: eve.Prekey().Bytes()}))
	if got := alice.hear(office, ask); got != nil {
		t.Error("a key was wrapped to somebody else's prekey")
	}
	alice.wantRefused(bob.device)
	// Of nobody's epoch, and of none.
	if got := alice.hear(office, requestOf(bob, epoch+1), requestOf(bob, 0)); got != nil {
		t.Error("an unknown epoch was answered")
	}
	eve.hear(office, alice.logs[office]...)
	eve.wantRead()
}

func TestLostStateIsAnsweredWithAFreshEncapsulation(t *testing.T) {
	for _, acked := range []bool{false, true} {
		t.Run(fmt.Sprint("acknowledged ", acked), func(t *testing.T) {
			alice, bob, carol := trio(t)
			first := alice.say(office, "one")
			bob.hear(office, first...)
			if ack, ok := last[Acknowledge](bob); ok && acked {
				alice.do(Acknowledged{From: bob.device, Root: ack.Root})
			}
			bob.state = map[string][]byte{} // all keys but the device's are lost
			bob.start()
			bob.share(office, alice, bob, carol)
			second := alice.say(office, "two")
			asked := bob.hear(office, append(first, second...)...)
			if len(asked) != 1 || asked[0].Kind != wire.KindKeyRequest || count[Waiting](bob) != 2 {
				t.Fatalf("asked %d times, %d wait", len(asked), count[Waiting](bob))
			}
			answer := alice.hear(office, asked...)
			if len(answer) != 1 || len(mustSlot(t, answer[0], bob).Key) != freshSize {
				t.Fatal("the answer brings no fresh encapsulation")
			}
			bob.read = nil
			bob.hear(office, answer...)
			bob.wantRead("one", "two")
			if l, ok := last[Learned](bob); !ok || l != (Learned{Room: office, Device: alice.device, Epoch: first[0].Epoch}) {
				t.Errorf("learned %+v", l)
			}
			if len(bob.waiting.wanted)+len(bob.waiting.of)+len(bob.waiting.epochs)+bob.waiting.count+bob.waiting.bytes != 0 {
				t.Error("something still waits")
			}
			bob.hear(office, alice.say(office, "three")...)
			bob.wantRead("one", "two", "three")
			alice.wantPersisted()
			bob.wantPersisted()
		})
	}
}

func TestARequestThatTookLongIsAnsweredAllTheSame(t *testing.T) {
	alice, bob, carol := trio(t)
	sent := alice.say(office, "x")
	bob.state = map[string][]byte{}
	bob.start()
	asked := bob.hear(office, sent...)
	// Before it arrives, Alice has used a newer prekey of Bob's.
	bob.now = bob.now.Add(PrekeyLife)
	bob.do(Tick{})
	alice.share(office, alice, bob, carol)
	alice.do(Rotate{Room: office})
	alice.say(office, "y")
	bob.hear(office, alice.hear(office, asked...)...)
	bob.wantRead("x")
	if count[Refuse](alice) != 0 {
		t.Error("Bob is blamed for the delay")
	}
}

func TestAnAnswerIsFromThePointThatWasGivenOnly(t *testing.T) {
	alice, bob, carol := trio(t)
	alice.share(office, alice, bob)
	early := alice.say(office, "before Carol")
	alice.share(office, alice, bob, carol)
	late := alice.say(office, "after")
	carol.state = map[string][]byte{}
	carol.start()
	asked := carol.hear(office, append(early, late...)...)
	carol.hear(office, alice.hear(office, asked...)...)
	carol.wantRead("after")
	carol.wantReason(NotShared)
	carol.hear(office, early...)
	carol.wantRead("after")
	carol.wantReason(TooEarly)
}

func TestARequestIsAnsweredAfterARestartToo(t *testing.T) {
	alice, bob, carol := trio(t)
	sent := alice.say(office, "x")
	alice.start()
	alice.share(office, alice, bob, carol)
	bob.state = map[string][]byte{}
	bob.start()
	bob.hear(office, alice.hear(office, bob.hear(office, sent...)...)...)
	bob.wantRead("x")
}

func TestAFloodOfUnknownEpochsIsBounded(t *testing.T) {
	alice, bob, carol := trio(t)
	payload := message(alice, 1, 0, secret{}, "x")
	flood := func(m *member, from, n int) (asked int) {
		for i := range n {
			asked += len(bob.hear(office, m.sign(office, wire.KindMessage, uint64(from+i), payload)))
		}
		return asked
	}
	if asked := flood(alice, 1, 5000); asked != maxWantedOf {
		t.Errorf("asked %d times", asked)
	}
	w := &bob.waiting
	if w.count > maxWaitingOf || len(w.wanted) > maxWantedOf || len(bob.rooms[office].epochs) != 0 {
		t.Errorf("%d wait for %d epochs", w.count, len(w.wanted))
	}
	bob.hear(office, alice.logs[office][0]) // one that waits already
	if w.count != maxWantedOf {
		t.Errorf("%d wait", w.count)
	}
	for range 2000 { // all of one epoch
		bob.hear(office, alice.sign(office, wire.KindMessage, 1, payload))
	}
	if w.count != maxWaitingOf || w.bytes != maxWaitingOf*len(payload) {
		t.Errorf("%d wait, %d bytes", w.count, w.bytes)
	}
	// Nobody else's message is lost for it.
	sent := carol.say(office, "hello")
	bob.hear(office, sent...)
	bob.wantRead("hello")
	// It ends.
	for range 5 {
		bob.now = bob.now.Add(askAgain)
		bob.do(Tick{})
	}
	if w.count+w.bytes+len(w.wanted)+len(w.of)+len(w.epochs) != 0 {
		t.Errorf("%d still wait", w.count)
	}
	// Announced epochs: the flood drives out its own.
	before := bob.skipped
	for i := range 100 {
		commit := commitment(office, alice.device, uint64(10_000+i), 0, secret{})
		bob.hear(office, alice.sign(office, wire.KindKeyShare, uint64(10_000+i), encodeShare(office, share{Commit: commit})[0]))
	}
	if n := len(bob.rooms[office].epochs[alice.device]); n != maxEpochs || bob.skipped != before {
		t.Errorf("%d epochs are known", n)
	}
	bob.hear(office, carol.say(office, "still here")...)
	bob.wantRead("hello", "still here")
	bob.wantPersisted()
}

func TestRequestsAndAnswersAreBounded(t *testing.T) {
	alice, bob, _ := trio(t)
	epoch := alice.say(office, "x")[0].Epoch
	answers := 0
	for range 100 {
		answers += len(alice.hear(office, requestOf(bob, epoch)))
	}
	if answers != 1 {
		t.Errorf("%d answers at once", answers)
	}
	for range 100 {
		alice.now = alice.now.Add(answerAgain)
		answers += len(alice.hear(office, requestOf(bob, epoch)))
	}
	if answers != maxAnswersOf {
		t.Errorf("%d answers a day", answers)
	}
	alice.now = alice.now.Add(budgetTime)
	if len(alice.hear(office, requestOf(bob, epoch))) != 1 {
		t.Error("no answer the next day")
	}

	payload := message(alice, 1, 0, secret{}, "x")
	asked := len(bob.hear(office, alice.sign(office, wire.KindMessage, 1, payload)))
	for range 100 {
		bob.now = bob.now.Add(askAgain / 24)
		asked += len(bob.do(Tick{}))
	}
	if asked != maxAsks {
		t.Errorf("asked %d times for one epoch", asked)
	}
	bob.wantReason(NotShared)
	asked = 0
	for i := range 100 { // each is given up at once
		asked += len(bob.hear(office, alice.sign(office, wire.KindMessage, uint64(100+i), payload)))
		bob.waiting.leave(office)
	}
	if asked != maxAsksOf {
		t.Errorf("asked one author %d times a day", asked)
	}
}

func TestSkippingAheadIsBounded(t *testing.T) {
	alice, bob, _ := trio(t)
	sent := alice.say(office, "x")
	bob.hear(office, sent...)
	epoch, ck := sent[0].Epoch, alice.rooms[office].current.start
	before := bob.Snapshot()
	for _, n := range []uint64{MaxMessages, 1 << 40, 1<<64 - 1} {
		bob.hear(office, alice.sign(office, wire.KindMessage, epoch, message(alice, epoch, n, ck, "far")))
		bob.wantRefused(alice.device)
	}
	sameState(t, "after far numbers", bob.Snapshot(), before)
	// As far as it may: what it skips is kept, and bounded over all chains.
	far := func(epoch uint64, start secret) {
		n := uint64(MaxMessages - 1)
		bob.hear(office, alice.sign(office, wire.KindMessage, epoch, message(alice, epoch, n, advance(start, n), "far")))
	}
	far(epoch, ck)
	if bob.skipped != MaxMessages-2 {
		t.Errorf("%d keys are kept", bob.skipped)
	}
	bob.wantPersisted()
	for i := range uint64(12) {
		bob.now = bob.now.Add(time.Second)
		bob.hear(office, alice.forge(100+i, secret{byte(i)}, bob)...)
		far(100+i, secret{byte(i)})
	}
	if len(bob.read) != 14 || bob.skipped > maxSkipped || bob.skipped < maxSkipped-MaxMessages {
		t.Errorf("read %d, %d keys are kept", len(bob.read), bob.skipped)
	}
	if ep := bob.rooms[office].epoch(alice.device, epoch); len(ep.skipped) != 0 {
		t.Error("the oldest keys were not the first to go")
	}
	bob.wantPersisted()
}

func TestWhatDoesNotOpenChangesNothing(t *testing.T) {
	alice, bob, _ := trio(t)
	sent := alice.say(office, "zero")
	for _, text := range []string{"one", "two", "three"} {
		sent = append(sent, alice.say(office, text)...)
	}
	bob.hear(office, sent[0], sent[1], sent[4]) // "one" and "two" are skipped
	before := bob.Snapshot()
	for _, en := range sent[2:] {
		s, err := decodeSealed(en.Payload)
		if err != nil {
			t.Fatal(err)
		}
		s.Box[len(s.Box)-1] ^= 1
		if s.N == 3 {
			s.N = 900
		}
		bob.hear(office, alice.sign(office, en.Kind, en.Epoch, wire.Marshal(s)))
		bob.wantRefused(alice.device)
	}
	// A kind that it was not sealed for.
	bob.hear(office, alice.sign(office, wire.KindProfile, sent[2].Epoch, sent[2].Payload))
	bob.wantReason(Broken)
	sameState(t, "after forgeries", bob.Snapshot(), before)
	bob.hear(office, sent[2:]...)
	bob.wantRead("zero", "three", "one", "two")
}

// broken is a source of randomness that has failed.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("no entropy") }

func TestWithoutRandomnessNothingIsSealed(t *testing.T) {
	alice, bob, _ := trio(t)
	sent := alice.say(office, "x")
	bob.cfg.Random = broken{}
	if out := bob.say(office, "y"); out != nil {
		t.Error("something was sealed")
	}
	if d, ok := last[Deny](bob); !ok || chat.CodeOf(d.Err) != chat.CodeInternal {
		t.Errorf("denied with %+v", d)
	}
	bob.hear(office, sent...)
	bob.wantRead("x")
	e, err := New(Config{Key: keyOf("new"), Random: broken{}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if out := e.Handle(noon, Receive{Room: office, Entry: sent[1]}); len(out) != 1 || !e.Prekey().IsZero() {
		t.Errorf("%d effects", len(out))
	}
}

// A new input or effect must not be forgotten where they are told apart.
func TestEveryInputIsHandled(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "seal.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared, handled := map[string]bool{}, map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Name.Name == "isInput" {
				declared[n.Recv.List[0].Type.(*ast.Ident).Name] = true
			}
		case *ast.CaseClause:
			for _, c := range n.List {
				if id, ok := c.(*ast.Ident); ok {
					handled[id.Name] = true
				}
			}
		}
		return true
	})
	if len(declared) != 8 {
		t.Errorf("%d inputs", len(declared))
	}
	for name := range declared {
		if !handled[name] {
			t.Errorf("Handle forgets %s", name)
		}
	}
}
