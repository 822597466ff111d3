package private

import (
	"slices"
	"testing"
	"time"

	"earshot/chat/identity"
)

func TestADeviceThatJoinsAnotherPersonIsTheirsOnceItShowsSo(t *testing.T) {
	w := newWorld(t, 1)
	ann, bob, phone := w.add("ann", ""), w.add("bob", ""), w.add("nobody", "/phone")
	ann.link(bob)
	id := w.befriend(ann, bob)
	bob.link(phone)
	w.rest()
	old := phone.cert
	if got, _ := bob.PersonOf(phone.dev()); got != old.Person() {
		t.Fatal("bob has not met the phone")
	}
	cert, err := identity.Sign(keyOf("person of ann"), phone.dev(), noon, "phone") // issued in the same second
	if err != nil {
		t.Fatal(err)
	}
	bob.cut(phone)
	phone.cert, phone.person = cert, "ann"
	bob.do(Met{Certificate: cert, Prekey: phone.Prekey(), Connected: true})
	if got, _ := bob.PersonOf(phone.dev()); got != ann.id() {
		t.Error("bob takes the phone for its old person's")
	}
	if !bob.Shares(id, phone.dev()) || !slices.Contains(bob.InUse(ann.id()), phone.dev()) || len(bob.InUse(old.Person())) != 0 {
		t.Error("it is not given what ann's devices are given")
	}
	// What it signed in its earlier life does not take it back, nor does a certificate
	// that somebody else made up for it.
	bob.learn(old, false)
	later, err := identity.Sign(keyOf("person of eve"), phone.dev(), noon.Add(time.Hour), "")
	if err != nil {
		t.Fatal(err)
	}
	forged := later
	forged.Root = [32]byte{1}
	bob.learn(forged, false)
	if got, _ := bob.PersonOf(phone.dev()); got != ann.id() {
		t.Error("it went back")
	}
	// A device of one's own is not taken away.
	bob.learn(func() identity.Certificate {
		c, err := identity.Sign(keyOf("person of eve"), bob.dev(), noon.Add(time.Hour), "")
		if err != nil {
			t.Fatal(err)
		}
		return c
	}(), true)
	if got, _ := bob.PersonOf(bob.dev()); got != bob.id() {
		t.Error("bob believes that he is eve")
	}
}
