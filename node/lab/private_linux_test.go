package lab_test

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"earshot/node/lab"
)

// What nobody else may find: each word is nowhere but where the test puts it.
const (
	annsName  = "annabellina"
	bobsName  = "bobolinko"
	noteWord  = "kumquatnote"
	directly  = "periwinkled"
	answered  = "marzipanova"
	roomName  = "thistledown"
	topicWord = "zanzibarium"
	inRoom    = "quokkaberry"
	again     = "flibbertine"
	newName   = "dandelionic"
)

var (
	nicknames = []string{annsName, bobsName}
	secrets   = []string{noteWord, directly, answered, roomName, topicWord, inRoom, again, newName}
)

// named makes a person with a name on the world's LAN and starts their daemon.
func (w *world) named(host, name string) *station {
	w.t.Helper()
	h := w.bare(host)
	nic := w.attach(h, w.lan, "eth0", lab.Dual)
	s := w.settle(h, "home")
	s.nic = nic
	s.start("--name", name)
	return s
}

// confide has two people who have met become contacts and say things to each other,
// directly and in a private room, whose id it returns.
func confide(ann, bob *station) string {
	ann.t.Helper()
	ann.post("/people/"+bob.person+"/add", map[string]string{"note": noteWord}, nil)
	eventually(ann.t, 5*time.Second, "bob is asked", func() bool { return bob.relation(ann) == "asking" })
	if !strings.Contains(bob.everything(), noteWord) {
		ann.t.Error("bob does not see the note")
	}
	bob.post("/people/"+ann.person+"/accept", nil, nil)
	eventually(ann.t, 5*time.Second, "ann has a contact", func() bool { return ann.relation(bob) == "contact" })
	chat := ann.direct(bob)
	ann.says(chat, directly+" one")
	bob.hears(directly+" one", 10*time.Second)
	bob.says(bob.direct(ann), answered+" two")
	ann.hears(answered+" two", 10*time.Second)

	id := ann.create(roomName, "none")
	ann.takeIn(id, bob)
	ann.post("/rooms/"+id+"/topic", map[string]string{"topic": topicWord}, nil)
	ann.post("/rooms/"+id+"/typing", map[string]bool{"typing": true}, nil)
	ann.says(id, inRoom+" three")
	bob.hears(inRoom+" three", 10*time.Second)
	ann.post("/rooms/"+id+"/rename", map[string]string{"name": newName}, nil)
	bob.says(id, again+" four")
	ann.hears(again+" four", 10*time.Second)
	eventually(ann.t, 10*time.Second, "bob sees the new name and the topic", func() bool {
		all := bob.everything()
		return strings.Contains(all, newName) && strings.Contains(all, topicWord)
	})
	return id
}

func TestNothingOfAPrivateConversationCanBeReadOnTheWire(t *testing.T) {
	w := newWorld(t)
	file := filepath.Join(t.TempDir(), "wire.pcap")
	capture, err := w.lan.Capture(file)
	if err != nil {
		t.Fatal(err)
	}
	ann, bob, eve := w.named("host1", annsName), w.named("host2", bobsName), w.station("host3", lab.Dual)
	meet(5*time.Second, ann, bob, eve)
	id := confide(ann, bob)
	for _, s := range []*station{ann, bob, eve} {
		s.stop()
	}
	if err := capture.Close(); err != nil {
		t.Fatal(err)
	}
	wire, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(wire, []byte("_earshot")) || capture.Frames() < 200 {
		t.Fatalf("%d frames were captured, and discovery is not among them", capture.Frames())
	}
	noTrace(t, "the wire", wire, slices.Concat(secrets, nicknames, []string{id, ann.person, bob.person})...)
}

// A third node is a neighbour of both, relays what they say and answers catch-up.
func TestAThirdNodeGetsNothingOfAPrivateConversation(t *testing.T) {
	w := newWorld(t)
	ann, bob, eve := w.named("host1", annsName), w.named("host2", bobsName), w.station("host3", lab.Dual)
	meet(5*time.Second, ann, bob, eve)
	id := confide(ann, bob)
	// What is said in the lobby afterwards comes after all of it.
	ann.send("in the open")
	eve.hears("in the open", 5*time.Second)

	told := eve.everything()
	if !strings.Contains(told, "in the open") || !strings.Contains(told, annsName) {
		t.Fatal("eve's node does not tell what it may")
	}
	noTrace(t, "what eve is told", []byte(told), append(secrets, id)...)
	for name, b := range files(t, eve.host.Dir()) {
		noTrace(t, "eve's "+name, b, append(secrets, id)...)
	}
	// Bob's memory shows that looking finds it.
	found := false
	memory(t, bob.daemon, func(b []byte) { found = found || bytes.Contains(b, []byte(inRoom)) })
	if !found {
		t.Error("bob's memory does not hold what bob has read: looking finds nothing")
	}
	memory(t, eve.daemon, func(b []byte) { noTrace(t, "eve's memory", b, secrets...) })
}

func TestNoHomeHoldsAPrivateConversationInClear(t *testing.T) {
	w := newWorld(t)
	ann, bob := w.named("host1", annsName), w.named("host2", bobsName)
	meet(5*time.Second, ann, bob)
	id := confide(ann, bob)
	look := func(when string, logged bool) {
		t.Helper()
		for _, s := range []*station{ann, bob} {
			all := files(t, s.host.Dir())
			wal := 0
			for name, b := range all {
				noTrace(t, when+", "+name+" of "+s.name, b, slices.Concat(secrets, nicknames, []string{id})...)
				if strings.HasSuffix(name, "-wal") {
					wal += len(b)
				}
			}
			if logged && wal == 0 {
				t.Errorf("%s: %s has no write-ahead log with anything in it", when, s.name)
			}
		}
	}
	// A write-ahead log is emptied soon after a write.
	ann.send("in the open")
	bob.hears("in the open", 5*time.Second)
	look("while they run", true)
	ann.kill()
	bob.stop()
	look("afterwards", false)
	// It is all there for its owners.
	ann.start()
	bob.start()
	for _, s := range []*station{ann, bob} {
		if got := s.reads(id); !slices.Equal(got, []string{inRoom + " three", again + " four"}) {
			t.Errorf("%s reads %q", s.name, got)
		}
	}
}

// knowsNothingOf fails the test if a person can read in a room, was told or holds in
// memory one of the words. What it has heard last shows that looking finds things.
func (s *station) knowsNothingOf(id, heard string, words ...string) {
	s.t.Helper()
	var raw rawAnswer
	err := s.poster().do(within(s.t, 20*time.Second), http.MethodGet, "/rooms/"+id+"/messages?limit=500", nil, &raw)
	// Who is out may be told that there is no such room.
	if refused := (*refusal)(nil); err != nil && !errors.As(err, &refused) {
		s.t.Fatal(err)
	}
	noTrace(s.t, "what "+s.name+" reads", raw, words...)
	noTrace(s.t, "what "+s.name+" is told", []byte(s.everything()), words...)
	found := false
	memory(s.t, s.daemon, func(b []byte) {
		found = found || bytes.Contains(b, []byte(heard))
		noTrace(s.t, "the memory of "+s.name, b, words...)
	})
	if !found {
		s.t.Errorf("the memory of %s does not hold %q, which it has heard: looking finds nothing", s.name, heard)
	}
}

// three are contacts in a private room of ann's.
func three(t *testing.T) (w *world, ann, bob, eve *station, id string) {
	t.Helper()
	w = newWorld(t)
	ann, bob, eve = w.station("ann", lab.Dual), w.station("bob", lab.Dual), w.station("eve", lab.Dual)
	meet(5*time.Second, ann, bob, eve)
	befriend(ann, bob)
	befriend(ann, eve)
	id = ann.create("inner", "none")
	ann.takeIn(id, bob)
	ann.takeIn(id, eve)
	eventually(t, 10*time.Second, "bob sees eve in the room", func() bool { return bob.in(id, eve) && eve.in(id, bob) })
	for _, s := range []*station{ann, bob, eve} {
		text := "all read " + s.name
		s.says(id, text)
		for _, other := range []*station{ann, bob, eve} {
			other.comesToRead(id, text, 10*time.Second)
		}
	}
	return w, ann, bob, eve, id
}

func TestARemovedMemberReadsNothingSaidAfterwards(t *testing.T) {
	_, ann, bob, eve, id := three(t)
	ann.post("/rooms/"+id+"/remove", map[string]string{"who": eve.person}, nil)
	ann.says(id, "thereafter1 from ann")
	bob.comesToRead(id, "thereafter1 from ann", 10*time.Second)
	eventually(t, 10*time.Second, "bob has heard of the removal", func() bool { return !bob.in(id, eve) })
	bob.says(id, "thereafter2 from bob")
	ann.comesToRead(id, "thereafter2 from bob", 10*time.Second)
	// What is said in the open afterwards comes after it.
	for _, s := range []*station{ann, bob} {
		s.send("opened " + s.host.Name)
		eve.hears("opened "+s.host.Name, 10*time.Second)
	}
	eve.knowsNothingOf(id, "opened bob", "thereafter1", "thereafter2")
	// Nor after a restart, when it catches up with all that it lacks.
	eve.stop()
	eve.start()
	meet(10*time.Second, ann, bob, eve)
	ann.says(id, "thereafter3 from ann")
	bob.comesToRead(id, "thereafter3 from ann", 10*time.Second)
	ann.send("after the restart")
	eve.hears("after the restart", 10*time.Second)
	eve.knowsNothingOf(id, "after the restart", "thereafter1", "thereafter2", "thereafter3")
}

// The removal is made on one side of a split, and said on both: what was said by who
// could not know of it is read by all, and nothing else.
func TestARemovalAndAMessageMeetWhenTheNetworkHeals(t *testing.T) {
	w, ann, bob, eve, id := three(t)
	if err := w.lan.Split(ann.nic); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*station{bob, eve} {
		ann.sees(s, false, 40*time.Second)
		s.sees(ann, false, 40*time.Second)
	}
	ann.post("/rooms/"+id+"/remove", map[string]string{"who": eve.person}, nil)
	ann.says(id, "beyond1 by who removes")
	bob.says(id, "unaware by who does not know")
	eve.comesToRead(id, "unaware by who does not know", 10*time.Second)
	if err := w.lan.Heal(); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*station{bob, eve} {
		ann.sees(s, true, 30*time.Second)
	}
	bob.comesToRead(id, "beyond1 by who removes", 30*time.Second)
	ann.comesToRead(id, "unaware by who does not know", 30*time.Second)
	eventually(t, 30*time.Second, "bob has heard of the removal", func() bool { return !bob.in(id, eve) })
	bob.says(id, "beyond2 by who knows now")
	ann.comesToRead(id, "beyond2 by who knows now", 10*time.Second)
	for _, s := range []*station{ann, bob} {
		s.send("healed " + s.host.Name)
		eve.hears("healed "+s.host.Name, 20*time.Second)
	}
	eve.knowsNothingOf(id, "healed bob", "beyond1", "beyond2")
}
