package lab_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"earshot/node/lab"
)

// Promises about people who are away, kept by real processes.

// envelopes is how many this person's node holds for others.
func (s *station) envelopes() int {
	s.t.Helper()
	var k struct{ Held int }
	s.api(http.MethodGet, "/keeper", nil, &k)
	return k.Held
}

// state is where a message of this person's is.
func (s *station) state(id string) string {
	s.t.Helper()
	var m struct{ State struct{ State string } }
	s.api(http.MethodGet, "/messages/"+id, nil, &m)
	return m.State.State
}

func TestTheSenderLeavesBeforeTheRecipientComesAndAThirdDelivers(t *testing.T) {
	w := newWorld(t)
	ann, bob, cat := w.station("ann", lab.Dual), w.station("bob", lab.Dual), w.station("cat", lab.Dual)
	for _, pair := range [][2]*station{{ann, bob}, {ann, cat}, {bob, cat}} {
		pair[0].sees(pair[1], true, 20*time.Second)
		befriend(pair[0], pair[1])
	}
	chat := ann.direct(bob)
	before := ann.says(chat, "before")
	eventually(t, 10*time.Second, "bob has it", func() bool { return ann.state(before) == "delivered" })

	bob.stop()
	ann.kill() // so that she goes on in a log of which bob has not even the beginning
	ann.start()
	id := ann.says(chat, "while you were away")
	eventually(t, 40*time.Second, "cat holds it", func() bool { return cat.envelopes() == 1 && ann.state(id) == "held" })
	ann.stop()
	cat.kill() // whoever has said that they hold it does, whatever happens
	cat.start()
	if n := cat.envelopes(); n != 1 {
		t.Fatalf("after SIGKILL cat holds %d envelopes", n)
	}
	bob.start()
	bob.comesToRead(chat, "while you were away", 30*time.Second)
	if got := bob.reads(chat); !slices.Equal(got, []string{"before", "while you were away"}) {
		t.Errorf("bob reads %q", got)
	}
	eventually(t, 10*time.Second, "cat lets go of it", func() bool { return cat.envelopes() == 0 })

	// ann and bob have not met; cat tells her.
	bob.stop()
	cat.kill()
	cat.start()
	ann.start()
	eventually(t, 30*time.Second, "ann knows that it has arrived", func() bool { return ann.state(id) == "delivered" })
}

func TestMessagesAreCarriedBetweenHostsThatNoNetworkJoins(t *testing.T) {
	w := newWorld(t)
	ann, bob := w.station("ann", lab.Dual), w.station("bob", lab.Dual)
	ann.sees(bob, true, 20*time.Second)
	befriend(ann, bob)
	chat := ann.direct(bob)
	before := ann.says(chat, "before")
	eventually(t, 10*time.Second, "bob has it", func() bool { return ann.state(before) == "delivered" })
	bob.stop()
	// A third has never seen a network with any of them in it.
	elsewhere := w.newLAN()
	host := w.bare("cat")
	cat := w.settle(host, "home")
	cat.nic = w.attach(host, elsewhere, "eth0", lab.Dual)
	cat.start()

	id := ann.says(chat, "by hand")
	stick := filepath.Join(t.TempDir(), "stick")
	ann.run(ann.command("carry", "out", "--yes", stick))
	if got := ann.state(id); got != "held" {
		t.Errorf("what is on its way on foot is %q", got)
	}
	ann.stop()
	cat.run(cat.command("carry", "in", stick))
	if n := cat.envelopes(); n != 1 {
		t.Fatalf("cat holds %d envelopes", n)
	}
	onward := filepath.Join(t.TempDir(), "onward")
	cat.run(cat.command("carry", "out", "--yes", onward))
	cat.stop()

	bob.start()
	whole, err := os.ReadFile(onward)
	if err != nil {
		t.Fatal(err)
	}
	torn := filepath.Join(t.TempDir(), "torn")
	if err := os.WriteFile(torn, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	bob.fails("carry", "in", torn)
	if got := bob.reads(chat); !slices.Equal(got, []string{"before"}) {
		t.Errorf("of half of it bob reads %q", got)
	}
	bob.run(bob.command("carry", "in", onward))
	if got := bob.reads(chat); !slices.Equal(got, []string{"before", "by hand"}) {
		t.Errorf("bob reads %q", got)
	}
}
