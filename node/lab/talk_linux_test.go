package lab_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"earshot/node/lab"
)

func TestTwoHostsFindEachOtherAndTalk(t *testing.T) {
	w := newWorld(t)
	ann := w.station("ann", lab.Dual)
	bob := w.station("bob", lab.Dual)
	meet(2*time.Second, ann, bob)

	// The very first message after two nodes meet arrives.
	id := ann.send("hello from ann")
	if e, _ := bob.hears("hello from ann", 2*time.Second); e.ID != id || e.Room != lobby ||
		e.From.Person != ann.person || e.From.Device != ann.device || e.From.Name == "" {
		t.Errorf("bob was told %+v of the message %s", e, id)
	}
	bob.send("hello from bob")
	ann.hears("hello from bob", 2*time.Second)

	// Text of several lines from standard input is one message.
	c := bob.command("send", lobby)
	c.Stdin = "two\nlines\n"
	bob.run(c)
	ann.hears("two\nlines", 2*time.Second)
	agree(ann, bob)
}

func TestThreeHostsOnIPv6Only(t *testing.T) {
	w := newWorld(t)
	all := []*station{w.station("ann", lab.OnlyIPv6), w.station("bob", lab.OnlyIPv6), w.station("cid", lab.OnlyIPv6)}
	meet(5*time.Second, all...)
	for _, s := range all {
		text := s.name + " is on IPv6 only"
		s.send(text)
		for _, other := range all {
			other.hears(text, 2*time.Second)
		}
	}
	agree(all...)
}

func TestALateJoinerReadsWhatWasSaid(t *testing.T) {
	w := newWorld(t)
	ann := w.station("ann", lab.Dual)
	bob := w.station("bob", lab.Dual)
	meet(5*time.Second, ann, bob)
	for i := range 3 {
		ann.send(fmt.Sprintf("ann's message %d", i))
	}
	bob.hears("ann's message 2", 2*time.Second)
	bob.send("bob's message")
	ann.hears("bob's message", 2*time.Second)
	want := bob.history()

	// From the author, and from others.
	cid := w.station("cid", lab.Dual)
	eventually(t, 5*time.Second, "cid reads what ann and bob said", func() bool { return len(cid.history()) >= len(want) })
	agree(bob, cid)

	// From others only: the author is gone.
	ann.stop()
	dan := w.station("dan", lab.Dual)
	eventually(t, 5*time.Second, "dan reads what was said, the author gone", func() bool { return len(dan.history()) >= len(want) })
	agree(bob, dan)
	if got := texts(dan.history()); !slices.Equal(got, texts(want)) {
		t.Errorf("dan reads %q, want %q", got, texts(want))
	}
}

func TestARestartLosesNothing(t *testing.T) {
	w := newWorld(t)
	ann := w.station("ann", lab.Dual)
	bob := w.station("bob", lab.Dual)
	meet(5*time.Second, ann, bob)
	for i := range 10 {
		ann.send(fmt.Sprintf("before the restart %d", i))
	}
	bob.hears("before the restart 9", 5*time.Second)
	eventually(t, 5*time.Second, "bob has all", func() bool { return len(bob.history()) == 10 })
	before := ann.history()
	ann.stop()
	bob.stop()

	ann.start()
	bob.start()
	for _, s := range []*station{ann, bob} {
		if got := s.history(); !slices.Equal(ids(got), ids(before)) {
			t.Errorf("%s shows %d messages after the restart, and %d before", s.name, len(got), len(before))
		}
	}
	meet(5*time.Second, ann, bob)
	bob.send("after the restart")
	ann.hears("after the restart", 2*time.Second)
	agree(ann, bob)
}

func TestTwoNodesOnOneHost(t *testing.T) {
	w := newWorld(t)
	ann := w.station("ann", lab.Dual)
	eve := w.settle(ann.host, "second")
	eve.start()
	if eve.person == ann.person || eve.port == ann.port {
		t.Fatalf("two homes are persons %s and %s on ports %d and %d", ann.person, eve.person, ann.port, eve.port)
	}
	bob := w.station("bob", lab.Dual)
	meet(5*time.Second, ann, eve, bob)
	ann.send("to the same host and another")
	eve.hears("to the same host and another", 2*time.Second)
	bob.hears("to the same host and another", 2*time.Second)
	eve.send("from the second home")
	ann.hears("from the second home", 2*time.Second)
	bob.hears("from the second home", 2*time.Second)
	agree(ann, eve, bob)
}

func TestTheSameTextTwiceIsTwoMessages(t *testing.T) {
	w := newWorld(t)
	ann := w.station("ann", lab.Dual)
	bob := w.station("bob", lab.Dual)
	meet(5*time.Second, ann, bob)
	first, second := ann.send("yes"), ann.send("yes")
	if first == second {
		t.Fatal("both have the same id")
	}
	bob.send("yes")
	eventually(t, 5*time.Second, "both have three messages", func() bool {
		return len(ann.history()) == 3 && len(bob.history()) == 3
	})
	bob.holds([]string{first, second})
	agree(ann, bob)
}

func TestTenNodesAllHearEachOther(t *testing.T) {
	w := newWorld(t)
	var all []*station
	for i := range 10 {
		all = append(all, w.station(fmt.Sprintf("n%d", i), lab.Dual))
	}
	meet(10*time.Second, all...)
	for _, s := range all {
		s.send("this is " + s.name)
	}
	for _, s := range all {
		for _, other := range all {
			s.hears("this is "+other.name, 10*time.Second)
		}
	}
	agree(all...)
}

// burst has ann say so many things at once, and waits until bob was told each
// once.
func burst(t *testing.T, ann, bob *station, size int, patience time.Duration) {
	t.Helper()
	begin := time.Now()
	sent := ann.poster().sendMany(t, size, func(i int) string { return fmt.Sprintf("burst %d", i) })
	confirmed := time.Since(begin)
	told := 0
	ctx, reader := within(t, patience), bob.follow.Stdout.Reader()
	for seen := map[string]bool{}; told < size; told++ {
		e, _, err := lab.AwaitJSON(ctx, reader, func(e event) bool { return e.Type == "message" })
		if err != nil {
			t.Fatalf("bob was told %d of %d: %v", told, size, err)
		}
		if seen[e.ID] {
			t.Fatalf("bob was told %s twice", e.ID)
		}
		seen[e.ID] = true
	}
	t.Logf("%d messages confirmed after %v, arrived after %v", size, confirmed, time.Since(begin))
	bob.holds(sent)
	agree(ann, bob)
}

func TestABurstOf5000Arrives(t *testing.T) {
	w := newWorld(t)
	ann := w.station("ann", lab.Dual)
	bob := w.station("bob", lab.Dual)
	meet(5*time.Second, ann, bob)
	burst(t, ann, bob, 5000, 60*time.Second)
}

func TestABurstOf5000ArrivesOverASlowLink(t *testing.T) {
	w := newWorld(t)
	ann := w.station("ann", lab.Dual)
	bob := w.station("bob", lab.Dual)
	meet(5*time.Second, ann, bob)
	// The burst is about 16 Mbit on the wire and is sent in a few seconds, so
	// queues overflow and catching up has to repair what the live path lost.
	if err := bob.nic.Limit(2_000_000); err != nil {
		t.Fatal(err)
	}
	burst(t, ann, bob, 5000, 90*time.Second)
}

func TestWhatIsSaidDoesNotCrossTheWireInClear(t *testing.T) {
	w := newWorld(t)
	file := filepath.Join(t.TempDir(), "wire.pcap")
	capture, err := w.lan.Capture(file)
	if err != nil {
		t.Fatal(err)
	}
	ann := w.bare("ann")
	w.attach(ann, w.lan, "eth0", lab.Dual)
	alias := w.settle(ann, "home")
	alias.start("--name", "Annabella of the wire")
	bob := w.station("bob", lab.Dual)
	meet(5*time.Second, alias, bob)
	const secret = "a sentence that nobody else on the wire may read"
	alias.send(secret)
	if e, _ := bob.hears(secret, 2*time.Second); e.From.Name != "Annabella of the wire" {
		t.Errorf("bob was told that %q wrote it", e.From.Name)
	}
	alias.stop()
	bob.stop()
	if err := capture.Close(); err != nil {
		t.Fatal(err)
	}
	wire, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(wire, []byte("_earshot")) || capture.Frames() < 50 {
		t.Fatalf("%d frames were captured, and discovery is not among them", capture.Frames())
	}
	for what, clear := range map[string]string{
		"the text": "nobody else on the wire", "the name": "Annabella", "the room": "#lobby",
		"the person's id": alias.person, "the host's name": "ann.local",
	} {
		if bytes.Contains(wire, []byte(clear)) {
			t.Errorf("%s can be read on the wire", what)
		}
	}
}
