package contacts

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"earshot/chat"
)

// bereft returns Ann, who has verified Bob, who is away; and one with another root
// key who goes by that name.
func bereft(t testing.TB) (ann, bob, other *node, now *time.Time) {
	ann, bob, now = friends(t)
	ann.must(Verify{Person: bob.id()})
	part(ann, bob)
	return ann, bob, newNode(t, now, 7, "Bоb"), now // a Cyrillic о
}

func TestANewKeyUnderAVerifiedNameStopsSending(t *testing.T) {
	ann, bob, other, now := bereft(t)
	if err := ann.MaySend(bob.id()); err != nil {
		t.Fatal(err)
	}
	meet(ann, other)
	if len(ann.claims) != 1 || !ann.claims[0].Held || ann.claims[0].Claimant != other.id() || ann.claims[0].Verified.Person != bob.id() {
		t.Fatalf("%+v", ann.claims)
	}
	err := ann.MaySend(bob.id())
	if chat.CodeOf(err) != chat.CodeDenied || !strings.Contains(err.Error(), other.id().Short()) || !strings.Contains(err.Error(), "Bob") {
		t.Errorf("sending goes on: %v", err)
	}
	// Nor can the claimant be made a contact without a decision.
	carry(other, ann, other.must(Add{Person: ann.id()}))
	ann.is(other, Asking)
	ann.cannot(chat.CodeDenied, Accept{Person: other.id()})
	ann.cannot(chat.CodeDenied, Add{Person: other.id()})
	if len(ann.claims) != 1 {
		t.Errorf("warned %d times", len(ann.claims))
	}
	// A restart does not forget it.
	again := newNode(t, now, 1, "Ann")
	again.stored, again.tray = ann.stored, ann.tray
	again.do(Restore{Records: ann.Records()})
	if again.MaySend(bob.id()) == nil {
		t.Error("a restart lets go")
	}

	t.Run("the same person", func(t *testing.T) {
		ann, bob, other, _ := bereft(t)
		meet(ann, other)
		carry(other, ann, other.must(Add{Person: ann.id()}))
		ann.must(Decide{Verified: bob.id(), Claimant: other.id(), Same: true})
		ann.is(bob, Stranger)
		carry(ann, other, ann.must(Accept{Person: other.id()}))
		ann.is(other, Contact) // and not verified
		if err := ann.MaySend(other.id()); err != nil {
			t.Error(err)
		}
	})
	t.Run("another of that name", func(t *testing.T) {
		ann, bob, other, _ := bereft(t)
		meet(ann, other)
		carry(other, ann, other.must(Add{Person: ann.id()}))
		ann.must(Decide{Verified: bob.id(), Claimant: other.id()})
		ann.is(bob, Verified)
		carry(ann, other, ann.must(Accept{Person: other.id()}))
		for _, p := range []*node{bob, other} {
			if err := ann.MaySend(p.id()); err != nil {
				t.Error(err)
			}
		}
		names := DisplayAll(ann.Contacts())
		if len(names) != 2 || names[0] == names[1] || !strings.Contains(names[0], "(") {
			t.Errorf("%q", names)
		}
		part(ann, other)
		if meet(ann, other); len(ann.claims) != 1 {
			t.Error("a namesake is taken for a claimant")
		}
	})
	t.Run("an impostor", func(t *testing.T) {
		ann, bob, other, _ := bereft(t)
		meet(ann, other)
		ann.must(Block{Person: other.id()})
		if err := ann.MaySend(bob.id()); err != nil {
			t.Error(err)
		}
	})
	t.Run("the old key comes back", func(t *testing.T) {
		ann, bob, other, _ := bereft(t)
		meet(ann, other)
		meet(ann, bob)
		if err := ann.MaySend(bob.id()); err != nil {
			t.Error(err)
		}
	})
	t.Run("asked by id before the name was known", func(t *testing.T) {
		ann, _, other, _ := bereft(t)
		ann.must(Add{Person: other.id()})
		meet(ann, other)
		carry(other, ann, other.must(Accept{Person: ann.id()}))
		ann.is(other, Contact)
		if ann.MaySend(other.id()) == nil {
			t.Error("the claimant can be written to")
		}
	})
	t.Run("nothing to decide", func(t *testing.T) {
		ann, bob, other, now := bereft(t)
		eve := newNode(t, now, 11, "Eve")
		meet(ann, eve)
		ann.cannot(chat.CodeUsage, Decide{Verified: bob.id(), Claimant: eve.id(), Same: true})
		ann.cannot(chat.CodeUsage, Decide{Verified: eve.id(), Claimant: other.id(), Same: true})
		ann.is(bob, Verified)
	})
}

func TestTakingANameDoesNotKeepTwoFromTalking(t *testing.T) {
	ann, bob, _, now := bereft(t)
	meet(ann, bob)
	for i := range 20 { // while he is here
		ann.do(Met{Person: personID(fmt.Sprint(i)), Device: chat.DeviceID{byte(i)}, Name: "BOB"})
		if err := ann.MaySend(bob.id()); err != nil {
			t.Fatal(err)
		}
	}
	if len(ann.claims) != 20 || ann.claims[7].Held {
		t.Errorf("%d warnings", len(ann.claims))
	}
	part(ann, bob)
	claimant := personID("claimant")
	ann.do(Met{Person: claimant, Device: chat.DeviceID{99}, Name: "Bob"})
	if ann.MaySend(bob.id()) == nil {
		t.Error("not held")
	}
	ann.must(Decide{Verified: bob.id(), Claimant: claimant})
	for i := range 20 { // once it was decided
		ann.do(Met{Person: personID(fmt.Sprint("x", i)), Device: chat.DeviceID{byte(i)}, Name: "Bob"})
		ann.must(Decide{Verified: bob.id(), Claimant: personID(fmt.Sprint("x", i))})
		if err := ann.MaySend(bob.id()); err != nil {
			t.Fatal(err)
		}
	}
	if n := ann.Record(bob.id()).Namesakes; len(n) != maxNamesakes || slices.Contains(n, claimant) {
		t.Errorf("%d namesakes", len(n))
	}
	*now = now.Add(quietAfter)
	ann.do(Met{Person: claimant, Device: chat.DeviceID{99}, Name: "Bob"})
	if ann.MaySend(bob.id()) == nil {
		t.Error("quiet for ever")
	}
}
