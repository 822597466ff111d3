package lab_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"earshot/node/lab"
)

// The tests in this package named after promises run the real program on small
// networks, and use it as scripts do: by its command line.

var long = flag.Bool("lab.long", false, "also run the promises that take minutes")

const lobby = "#lobby"

// earshot builds the program once for all tests.
var earshot = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "earshot-lab-test-")
	if err != nil {
		return "", err
	}
	builtInto = dir
	return lab.Build(context.Background(), dir, "earshot/cmd/earshot")
})

// builtInto is removed when all tests have run.
var builtInto string

// A world is a laboratory with one LAN, in which a promise is tested.
type world struct {
	t   *testing.T
	lab *lab.Lab
	lan *lab.LAN
}

func newWorld(t *testing.T) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("runs the real program; without -short")
	}
	t.Parallel()
	if _, err := earshot(); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, lab: newLab(t)}
	w.lan = w.newLAN()
	return w
}

func (w *world) newLAN() *lab.LAN {
	w.t.Helper()
	lan, err := w.lab.NewLAN()
	if err != nil {
		w.t.Fatal(err)
	}
	return lan
}

// bare makes a host without a network.
func (w *world) bare(name string) *lab.Host {
	w.t.Helper()
	h, err := w.lab.NewHost(name)
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}

// attach plugs a new adapter of the host into the LAN.
func (w *world) attach(h *lab.Host, lan *lab.LAN, name string, family lab.Family) *lab.NIC {
	w.t.Helper()
	nic, err := h.Attach(lan, name, family)
	if err != nil {
		w.t.Fatal(err)
	}
	return nic
}

// A station is a person with a computer: a host, a home, and a daemon with a
// face that follows it, while it runs.
type station struct {
	t    *testing.T
	host *lab.Host
	nic  *lab.NIC // nil if it was made otherwise
	home string
	disk string // the thread that sees the disk of the home, in /proc; "" if all do

	daemon *lab.Process
	follow *lab.Process
	events *lab.LineReader // of follow, as far as presence has been read
	here   map[string]bool // persons who are here, as far as events have been read
	person string          // this person's id
	device string
	port   int
	name   string
}

// station makes a person with a computer on the world's LAN and starts their
// daemon.
func (w *world) station(name string, family lab.Family) *station {
	w.t.Helper()
	h := w.bare(name)
	nic := w.attach(h, w.lan, "eth0", family)
	s := w.settle(h, "home")
	s.nic = nic
	s.start()
	return s
}

// settle makes a person at an existing host; their daemon does not run yet.
func (w *world) settle(h *lab.Host, home string) *station {
	return &station{t: w.t, host: h, home: filepath.Join(h.Dir(), home), name: h.Name + "/" + home}
}

// command is a call of the program with this person's home.
func (s *station) command(args ...string) lab.Command {
	s.t.Helper()
	program, err := earshot()
	if err != nil {
		s.t.Fatal(err)
	}
	c := lab.Command{Path: program, Args: args, Env: []string{"EARSHOT_HOME=" + s.home}}
	if s.disk != "" {
		c = inside(s.disk, c)
	}
	return c
}

// start runs the daemon and a follower, and returns how long the daemon took to
// be ready.
func (s *station) start(args ...string) time.Duration {
	s.t.Helper()
	p, err := s.host.Start(s.t.Context(), s.command(append([]string{"daemon"}, args...)...))
	if err != nil {
		s.t.Fatal(err)
	}
	s.daemon = p
	ready, err := p.Await(within(s.t, 20*time.Second), func(string) bool { return true })
	if err != nil {
		s.t.Fatal(err)
	}
	var me struct {
		Person, Device string
		Port           int
	}
	s.read(&me, "me")
	if me.Person == "" || me.Device == "" || (s.person != "" && me.Person != s.person) {
		s.t.Fatalf("%s was person %q and is now %+v", s.name, s.person, me)
	}
	s.person, s.device, s.port = me.Person, me.Device, me.Port
	s.listen()
	return ready.At.Sub(p.Started())
}

// listen follows what happens from now on.
func (s *station) listen() {
	s.t.Helper()
	p, err := s.host.Start(s.t.Context(), s.command("follow", "--json"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.follow, s.events, s.here = p, p.Stdout.Reader(), map[string]bool{}
	// The first event says that the stream is open: nothing from now on is missed.
	if _, err := p.Await(within(s.t, 10*time.Second), func(line string) bool { return strings.Contains(line, `"ready"`) }); err != nil {
		s.t.Fatal(err)
	}
}

// kill ends the follower, and the daemon as a power cut would.
func (s *station) kill() {
	s.t.Helper()
	s.hush()
	if err := s.daemon.Kill(); err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.daemon.Wait(within(s.t, 10*time.Second)); err != nil {
		s.t.Fatal(err)
	}
}

// stop ends the follower, and the daemon cleanly. It returns how long the daemon
// took.
func (s *station) stop() time.Duration {
	s.t.Helper()
	s.hush()
	took, err := s.daemon.Terminate(within(s.t, 10*time.Second))
	if err != nil {
		s.t.Fatal(err)
	}
	return took
}

// hush ends the follower, which would start a node of its own if it found the
// daemon gone.
func (s *station) hush() {
	if s.follow.Kill() == nil {
		<-s.follow.Done()
	}
}

// run calls the program, which must succeed, and returns what it printed.
func (s *station) run(c lab.Command) string {
	s.t.Helper()
	r, err := s.host.Run(within(s.t, 20*time.Second), c)
	if err != nil {
		s.t.Fatal(err)
	}
	if r.Code != 0 {
		s.t.Fatalf("%s: earshot %s: exit code %d\n%s", s.name, strings.Join(c.Args, " "), r.Code, r.Stderr)
	}
	return r.Stdout
}

// read calls the program and decodes the one JSON object that it prints.
func (s *station) read(into any, args ...string) {
	s.t.Helper()
	out := s.run(s.command(append(args, "--json")...))
	if err := json.Unmarshal([]byte(out), into); err != nil {
		s.t.Fatalf("%s: earshot %s --json: %v\n%s", s.name, strings.Join(args, " "), err, out)
	}
}

// send says something in the lobby and returns the message's id.
func (s *station) send(text string) string {
	s.t.Helper()
	id := strings.TrimSpace(s.run(s.command("send", lobby, text)))
	if id == "" || strings.ContainsAny(id, " \n") {
		s.t.Fatalf("earshot send printed %q, which is no id", id)
	}
	return id
}

// An event is what the tests read of one: a message or a person.
type event struct {
	Type string
	ID   string
	Text string
	// From is the author of a message.
	From struct{ Person, Name, Device string }
	Room string
	// Person and Presence say who came or went.
	Person   string
	Presence string
}

// hears waits until the follower has been told the text, and returns when.
func (s *station) hears(text string, patience time.Duration) (event, time.Time) {
	s.t.Helper()
	e, line, err := lab.AwaitJSON(within(s.t, patience), s.follow.Stdout.Reader(),
		func(e event) bool { return e.Type == "message" && e.Text == text })
	if err != nil {
		s.t.Fatalf("%s did not hear %q within %v: %v\nit sees %s", s.name, text, patience, err, s.run(s.command("people")))
	}
	return e, line.At
}

// sees waits until the other person is shown as here (or not), and returns when
// that was told.
func (s *station) sees(other *station, here bool, patience time.Duration) time.Time {
	s.t.Helper()
	ctx := within(s.t, patience)
	at := time.Now()
	for s.here[other.person] != here {
		e, line, err := lab.AwaitJSON(ctx, s.events, func(e event) bool { return e.Type == "person" })
		if err != nil {
			s.t.Fatalf("%s did not see %s as %s within %v: %v\nit sees %s", s.name, other.name, presence(here), patience, err,
				s.run(s.command("people")))
		}
		s.here[e.Person], at = e.Presence == "here", line.At
	}
	return at
}

func presence(here bool) string {
	if here {
		return "here"
	}
	return "gone"
}

// meet waits until all see all.
func meet(patience time.Duration, all ...*station) {
	for _, s := range all {
		s.t.Helper()
		for _, other := range all {
			if other != s {
				s.sees(other, true, patience)
			}
		}
	}
}

// A message is what history tells of one.
type message struct {
	ID   string
	Text string
	From struct{ Person string }
}

// history is what the person can read in the lobby, oldest first.
func (s *station) history() []message {
	s.t.Helper()
	out := s.run(s.command("history", lobby, "-n", "100000", "--json"))
	var all []message
	for lines := json.NewDecoder(strings.NewReader(out)); ; {
		var m message
		err := lines.Decode(&m)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			s.t.Fatalf("%s: earshot history printed what is not JSON: %v", s.name, err)
		}
		all = append(all, m)
	}
}

func ids(all []message) []string {
	var out []string
	for _, m := range all {
		out = append(out, m.ID)
	}
	return out
}

func texts(all []message) []string {
	var out []string
	for _, m := range all {
		out = append(out, m.Text)
	}
	return out
}

// holds fails the test unless the person's history has every one of the ids, and
// no id twice.
func (s *station) holds(want []string) {
	s.t.Helper()
	got := ids(s.history())
	seen := map[string]int{}
	for _, id := range got {
		seen[id]++
		if seen[id] > 1 {
			s.t.Errorf("%s has message %s %d times", s.name, id, seen[id])
		}
	}
	missing := 0
	for _, id := range want {
		if seen[id] == 0 {
			missing++
		}
	}
	if missing > 0 {
		s.t.Errorf("%s lacks %d of %d messages", s.name, missing, len(want))
	}
}

// agree fails the test unless all show the same messages in the same order.
func agree(all ...*station) {
	first := ids(all[0].history())
	for _, s := range all[1:] {
		s.t.Helper()
		if other := ids(s.history()); !slices.Equal(first, other) {
			s.t.Errorf("%s shows %d messages and %s %d, or in another order", all[0].name, len(first), s.name, len(other))
		}
	}
}

// eventually waits until a condition that nothing announces is true.
func eventually(t *testing.T, patience time.Duration, what string, condition func() bool) {
	t.Helper()
	ctx := within(t, patience)
	for !condition() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, context.Cause(ctx))
		case <-time.After(100 * time.Millisecond):
		}
	}
}
