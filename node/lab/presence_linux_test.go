package lab_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"earshot/node/lab"
)

// Promises about who is seen, and how, kept by real processes.

// soon is how long a busy machine may take for what should take a moment.
const soon = 30 * time.Second

// A sight is what the tests read of how somebody is.
type sight struct {
	Person   string
	Presence string
	Suspect  bool
	Watched  bool
	Status   struct{ State, Text string }
	Devices  []struct{ Device, Presence, State, Address string }
}

// word is the sight in one word.
func (p sight) word() string {
	if p.Suspect {
		return "suspect"
	}
	return p.Presence
}

// words are what is told one after the other, each once.
func words(sights []sight) (out []string) {
	for _, p := range sights {
		out = append(out, p.word())
	}
	return slices.Compact(out)
}

// looks is how this person sees another at this moment.
func (s *station) looks(other *station) (p sight) {
	s.t.Helper()
	s.api(http.MethodGet, "/people/"+other.person, nil, &p)
	return p
}

// upTo reads what the person is told of another until it is as wanted, and returns all
// of that.
func (s *station) upTo(lines *lab.LineReader, other *station, what string, is func(sight) bool) (all []sight) {
	s.t.Helper()
	_, err := lines.Await(within(s.t, 2*soon), func(line string) bool {
		var p sight
		if !strings.HasPrefix(line, `{"type":"person"`) || json.Unmarshal([]byte(line), &p) != nil || p.Person != other.person {
			return false
		}
		all = append(all, p)
		return is(p)
	})
	if err != nil {
		s.t.Fatalf("%s does not see %s %s: %v\nit sees %+v, and saw %+v", s.name, other.name, what, err, s.looks(other), all)
	}
	return all
}

// comesToBe reads until another is seen in a state, and returns how.
func (s *station) comesToBe(lines *lab.LineReader, other *station, state string) sight {
	s.t.Helper()
	all := s.upTo(lines, other, state, func(p sight) bool { return p.Presence == "here" && p.Status.State == state })
	return all[len(all)-1]
}

func isGone(p sight) bool { return p.Presence == "gone" }

func isHere(p sight) bool { return p.Presence == "here" && !p.Suspect }

func TestAContactSeesHowSomebodyIsAndAStrangerDoesNot(t *testing.T) {
	w := newWorld(t)
	ann, bob, cat := w.station("ann", lab.Dual), w.station("bob", lab.Dual), w.station("cat", lab.Dual)
	meet(soon, ann, bob, cat)
	befriend(ann, bob)
	lines := bob.follow.Stdout.Tail()
	for _, l := range []struct{ state, text string }{{"busy", "writing"}, {"dnd", "writing, really"}, {"available", "done"}} {
		begin := time.Now()
		ann.do("status", l.state, "-m", l.text)
		if p := bob.comesToBe(lines, ann, l.state); p.Status.Text != l.text || len(p.Devices) != 1 || p.Devices[0].State != l.state {
			t.Errorf("of %s bob sees %+v", l.state, p)
		}
		t.Logf("%s was seen %v after the command began", l.state, time.Since(begin))
	}
	ann.do("status", "meeting", "--for", "15s", "-m", "the shortest meeting")
	bob.comesToBe(lines, ann, "meeting")
	if p := bob.comesToBe(lines, ann, "available"); p.Status.Text != "" {
		t.Errorf("after its end bob reads %q", p.Status.Text)
	}

	// What comes later comes after all of that.
	ann.send("that is all")
	cat.hears("that is all", soon)
	if p := cat.looks(ann); p.word() != "here" || p.Status.State != "" || p.Status.Text != "" {
		t.Errorf("cat sees %+v", p)
	}
	if all := cat.everything(); strings.Contains(all, "writing") || strings.Contains(all, "shortest") {
		t.Errorf("cat was told how ann is:\n%s", all)
	}
}

func TestWhoAppearsOfflineIsSeenGoneAndReached(t *testing.T) {
	w := newWorld(t)
	ann, bob, cat := w.station("ann", lab.Dual), w.station("bob", lab.Dual), w.station("cat", lab.Dual)
	meet(soon, ann, bob, cat)
	befriend(ann, bob)
	chat := bob.direct(ann)
	ofBob, ofCat := bob.follow.Stdout.Tail(), cat.follow.Stdout.Tail()
	ann.do("status", "offline")
	bob.upTo(ofBob, ann, "gone", isGone)
	cat.upTo(ofCat, ann, "gone", isGone)

	bob.says(chat, "are you there?")
	ann.comesToRead(chat, "are you there?", soon)
	ann.says(chat, "no")
	bob.comesToRead(chat, "no", soon)
	for _, s := range []*station{bob, cat} {
		if p := s.looks(ann); p.word() != "gone" || p.Status.State != "" {
			t.Errorf("%s sees %+v", s.name, p)
		}
	}
	if p := ann.looks(bob); p.word() != "here" {
		t.Errorf("ann sees %+v", p)
	}
	ann.do("status", "available")
	for _, seen := range [][]sight{bob.upTo(ofBob, ann, "here", isHere), cat.upTo(ofCat, ann, "here", isHere)} {
		if got := words(seen); !slices.Equal(got, []string{"here"}) && !slices.Equal(got, []string{"gone", "here"}) {
			t.Errorf("after it she was seen %q", got)
		}
	}
}

func TestTwoDevicesOfAPersonAreSeenAsOne(t *testing.T) {
	w := newWorld(t)
	ann, bob, phone := w.station("ann", lab.Dual), w.station("bob", lab.Dual), w.station("phone", lab.Dual)
	meet(soon, ann, bob, phone)
	ann.join(phone)
	befriend(ann, bob)
	lines := bob.follow.Stdout.Tail()
	here := func(p sight, state string) (n int) {
		for _, d := range p.Devices {
			if d.Presence == "here" && d.State == state {
				n++
			}
		}
		return n
	}
	phone.do("status", "busy", "-m", "writing")
	bob.upTo(lines, ann, "busy on two devices", func(p sight) bool { return here(p, "busy") == 2 })
	var own struct{ Chosen, Text string }
	eventually(t, soon, "it counts on the other device", func() bool {
		ann.api(http.MethodGet, "/status", nil, &own)
		return own.Chosen == "busy" && own.Text == "writing"
	})

	ann.kill()
	for _, p := range bob.upTo(lines, ann, "on one device", func(p sight) bool { return here(p, "busy") == 1 }) {
		if p.word() != "here" || p.Status.State != "busy" {
			t.Errorf("while one device is left bob sees %+v", p)
		}
	}
	phone.stop()
	if got := words(bob.upTo(lines, ann, "gone", isGone)); got[len(got)-1] != "gone" || slices.Contains(got, "suspect") {
		t.Errorf("who says goodbye is seen %q", got)
	}
}

func TestWatchTellsOnceWhenSomebodyIsFree(t *testing.T) {
	w := newWorld(t)
	ann, bob := w.named("host1", "Ann"), w.named("host2", "Bob")
	meet(soon, ann, bob)
	befriend(ann, bob)
	lines := ann.follow.Stdout.Tail()
	told := func() int { return strings.Count(ann.follow.Stdout.String(), `{"type":"free"`) }
	bob.do("status", "dnd")
	ann.comesToBe(lines, bob, "dnd")
	watch, err := ann.host.Start(t.Context(), ann.command("watch", "Bob"))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, soon, "bob is watched", func() bool { return ann.looks(bob).Watched })
	if bob.looks(ann).Watched || strings.Contains(bob.everything(), `"watched":true`) {
		t.Error("bob is told that he is watched")
	}
	bob.do("status", "available")
	if code, err := watch.Wait(within(t, soon)); code != 0 || err != nil || !strings.Contains(watch.Stdout.String(), " is free\n") {
		t.Errorf("watch ended with %d (%v) and %q", code, err, watch.Stdout.String())
	}
	for _, state := range []string{"busy", "available"} {
		bob.do("status", state)
		ann.comesToBe(lines, bob, state)
	}
	if n := told(); n != 1 || ann.looks(bob).Watched {
		t.Errorf("ann was told %d times, and watches on: %v", n, ann.looks(bob).Watched)
	}

	// Who goes and comes back is told of too, to a node whose person has left.
	bob.stop()
	ann.upTo(lines, bob, "gone", isGone)
	ann.do("watch", "Bob", "--leave")
	if n := told(); n != 1 {
		t.Errorf("ann was told %d times of who is gone", n)
	}
	bob.start("--name", "Bob")
	eventually(t, soon, "ann is told that he is back", func() bool { return told() == 2 })
}

func TestAScriptBranchesOnHowSomebodyIs(t *testing.T) {
	w := newWorld(t)
	ann, bob, cat := w.named("host1", "Ann"), w.named("host2", "Bob"), w.named("host3", "Cat")
	meet(soon, ann, bob, cat)
	befriend(ann, bob)
	lines := ann.follow.Stdout.Tail()
	script := func(who string) string {
		t.Helper()
		c := ann.command(who)
		c.Args = []string{"-c", `line=$("$0" presence "$1" --line 2>/dev/null); code=$?
case $code in
	0) echo "free: $line";;
	20) echo "away: $line";;
	21) echo "occupied: $line";;
	22) echo "gone: $line";;
	23) echo "here: $line";;
	*) echo "$code: $line";;
esac`, c.Path, who}
		c.Path = "/bin/sh"
		return strings.TrimSuffix(ann.run(c), "\n")
	}
	says := func(who, want string) {
		t.Helper()
		if got := script(who); got != want {
			t.Errorf("presence %s: %q, want %q", who, got, want)
		}
	}
	bob.do("profile", "set", "email=bob@example.org")
	eventually(t, soon, "bob's address finds him", func() bool {
		return ann.poster().do(within(t, soon), http.MethodGet, "/presence?email=bob@example.org", nil, nil) == nil
	})
	says("bob@example.org", "free: ● Bob available")
	says("cat", "4: ") // a name finds no stranger
	says(cat.person, "here: ◇ Cat here")
	bob.do("status", "dnd", "-m", "really")
	ann.comesToBe(lines, bob, "dnd")
	says("Bob", "occupied: ⊘ Bob do not disturb: really")
	bob.do("status", "away", "-m", "lunch")
	ann.comesToBe(lines, bob, "away")
	if got := script("@Bob"); !strings.HasPrefix(got, "away: ◐ Bob away since ") || !strings.HasSuffix(got, ": lunch") {
		t.Errorf("of one who is away: %q", got)
	}
	bob.kill()
	ann.upTo(lines, bob, "gone", isGone)
	if got := script(bob.person[:6]); !strings.HasPrefix(got, "gone: ○ Bob gone since ") {
		t.Errorf("of one who crashed: %q", got)
	}
	ann.stop()
	says("Bob", "3: ")
}

// ann and cat have no path to each other; bob, whom neither knows, is connected to both.
func TestWhoIsReachedOnlyThroughAStrangerIsSeenHere(t *testing.T) {
	w := newWorld(t)
	other := w.newLAN()
	ann, bob, cat := w.station("ann", lab.Dual), w.station("bob", lab.Dual), w.station("cat", lab.Dual)
	w.attach(bob.host, other, "eth1", lab.Dual)
	w.attach(cat.host, other, "eth1", lab.Dual)
	meet(soon, ann, bob, cat)
	befriend(ann, cat)
	lines := ann.follow.Stdout.Tail()
	cat.stop()
	if got := words(ann.upTo(lines, cat, "gone", isGone)); !slices.Contains([]string{"gone", "here gone"}, strings.Join(got, " ")) {
		t.Errorf("who says goodbye is seen %q", got)
	}
	if err := cat.nic.Unplug(); err != nil {
		t.Fatal(err)
	}
	cat.start()
	cat.do("status", "busy", "-m", "behind the wall")
	begin := time.Now()
	p := ann.comesToBe(lines, cat, "busy")
	t.Logf("what cat shows was seen through another after %v", time.Since(begin))
	if p.Status.Text != "behind the wall" || len(p.Devices) != 1 || p.Devices[0].Address != "" {
		t.Errorf("ann sees %+v", p)
	}
	if p := bob.looks(cat); p.word() != "here" || p.Status.State != "" {
		t.Errorf("bob, through whom it came, sees %+v", p)
	}
	cat.stop()
	ann.upTo(lines, cat, "gone", isGone)
}

// Both who see it see it go once and come back once, also where they tell each other of
// it, and it knows at once how things are now.
func TestASleeperIsSeenGoneOnceAndBackOnce(t *testing.T) {
	if !*long {
		t.Skip("takes a minute; run with -lab.long")
	}
	w := newWorld(t)
	ann, bob, cat := w.station("ann", lab.Dual), w.station("bob", lab.Dual), w.station("cat", lab.Dual)
	meet(soon, ann, bob, cat)
	befriend(ann, bob)
	befriend(cat, bob)
	for _, s := range []*station{ann, cat} {
		eventually(t, soon, s.name+" sees how bob is", func() bool { return s.looks(bob).Status.State == "available" })
	}
	ofAnn, ofCat, ofBob := ann.follow.Stdout.Tail(), cat.follow.Stdout.Tail(), bob.follow.Stdout.Tail()
	if err := bob.daemon.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := bob.nic.Silence(); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	seen := map[*station][]sight{ann: ann.upTo(ofAnn, bob, "gone", isGone), cat: cat.upTo(ofCat, bob, "gone", isGone)}
	t.Logf("he was seen gone by both after %v", time.Since(begin))
	ann.do("status", "busy", "-m", "while you slept")
	time.Sleep(40*time.Second - time.Since(begin)) // the sleep itself; there is nothing to await
	if err := bob.nic.Plug(); err != nil {
		t.Fatal(err)
	}
	if err := bob.daemon.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	begin = time.Now()
	if p := bob.comesToBe(ofBob, ann, "busy"); p.Status.Text != "while you slept" {
		t.Errorf("bob sees %+v", p)
	}
	t.Logf("he knew how others are %v after he woke", time.Since(begin))
	for s, lines := range map[*station]*lab.LineReader{ann: ofAnn, cat: ofCat} {
		seen[s] = append(seen[s], s.upTo(lines, bob, "available again", func(p sight) bool { return isHere(p) && p.Status.State == "available" })...)
		text := fmt.Sprint("and I am awake, ", s.name)
		bob.send(text)
		s.hears(text, soon)
		if p := s.looks(bob); p.word() != "here" || p.Status.State != "available" {
			t.Errorf("%s sees %+v", s.name, p)
		}
		got := slices.DeleteFunc(words(seen[s]), func(w string) bool { return w == "suspect" })
		if got = slices.Compact(got); strings.Join(got, " ") != "gone here" && strings.Join(got, " ") != "here gone here" {
			t.Errorf("%s saw him %q", s.name, words(seen[s]))
		}
	}
}
