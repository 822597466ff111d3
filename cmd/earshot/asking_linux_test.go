package main

import (
	"bytes"
	"context"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"earshot/chat"
	"earshot/node/api/apitest"
)

// seat is somebody at a terminal on a home of their own.
type seat struct {
	*terminal
	home  string
	start starter
}

// run runs a command line at the terminal.
func (s *seat) run(ctx context.Context, args ...string) chan int {
	code := make(chan int, 1)
	p := newPrinter(s.program, s.program)
	p.zone = time.UTC
	go func() {
		code <- run(ctx, &app{in: s.program, p: p, start: s.start}, append(args, "--home", s.home))
	}()
	return code
}

// types types a line once a prompt is shown.
func (s *seat) types(t *testing.T, prompt, line string) {
	t.Helper()
	s.expect(t, prompt)
	if _, err := s.person.WriteString(line + "\n"); err != nil {
		t.Fatal(err)
	}
}

func (s *seat) ended(t *testing.T, code chan int, want int) {
	t.Helper()
	select {
	case got := <-code:
		if got != want {
			s.mu.Lock()
			defer s.mu.Unlock()
			t.Fatalf("exit code %d, want %d: %s", got, want, s.shown.String())
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the command does not end")
	}
}

// seated is somebody whose node is in memory.
func seated(t *testing.T) (*seat, *apitest.Node) {
	c := newCLI(t)
	s := &seat{terminal: newTerminal(t), home: t.TempDir()}
	s.start = c.app(&bytes.Buffer{}, &bytes.Buffer{}).start
	return s, c.node
}

func TestWhatIsDangerousIsAskedAboutFirst(t *testing.T) {
	s, n := seated(t)
	bob := n.Befriend("Bob")
	relation := func() chat.Relation {
		people, err := n.People(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return people[1].Relation
	}
	code := s.run(t.Context(), "block", "Bob")
	s.types(t, "You will hear nothing more from Bob ("+bob.Person.Short()+")", "perhaps")
	s.types(t, "Go on? [y/n]", "n")
	s.expect(t, "Nothing was done.")
	s.ended(t, code, exitFailure)
	if got := relation(); got != chat.RelationContact {
		t.Errorf("said no, and Bob is %s", got)
	}
	code = s.run(t.Context(), "block", "Bob")
	s.types(t, "Go on? [y/n]", "\x04") // the end of input is no
	s.ended(t, code, exitFailure)
	code = s.run(t.Context(), "block", "Bob")
	s.types(t, "Go on? [y/n]", "yes")
	s.expect(t, "is blocked.")
	s.ended(t, code, exitOK)
	if got := relation(); got != chat.RelationBlocked {
		t.Errorf("said yes, and Bob is %s", got)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	code = s.run(ctx, "forget", bob.Person.String())
	s.expect(t, "Go on? [y/n]")
	interrupt()
	s.ended(t, code, exitInterrupted)
}

// compared plays a comparison from the side of the person at the terminal, up to
// the question.
func compared(t *testing.T, s *seat, n *apitest.Node, bob chat.Author) (code chan int) {
	t.Helper()
	code = s.run(t.Context(), "verify", "Bob")
	s.expect(t, "  00001 00002 00003 00004\r\n  00005")
	s.expect(t, "\x1b[38;5;16;48;5;231m  ") // the margin of the code, white on any terminal
	s.expect(t, apitest.QR)
	s.expect(t, "Waiting for Bob")
	n.Compare(bob.Person)
	for _, symbol := range apitest.Symbols {
		s.expect(t, symbol)
	}
	return code
}

func TestSymbolsAreCompared(t *testing.T) {
	s, n := seated(t)
	bob := n.Befriend("Bob")

	code := compared(t, s, n, bob)
	s.types(t, "Are they the same? [y/n]", "well")
	s.types(t, "say y or n", "y")
	s.expect(t, "Waiting for Bob")
	n.Says(bob.Person, true)
	s.expect(t, "is verified")
	s.ended(t, code, exitOK)

	code = compared(t, s, n, bob)
	s.types(t, "Are they the same? [y/n]", "n")
	s.expect(t, "somebody may stand between you")
	s.ended(t, code, exitRefused)

	// They see something else while this person still looks.
	code = compared(t, s, n, bob)
	s.expect(t, "Are they the same? [y/n]")
	n.Says(bob.Person, false)
	s.expect(t, "\r\nearshot: What you and Bob")
	s.ended(t, code, exitRefused)

	n.Depart(bob.Person)
	code = s.run(t.Context(), "verify", "Bob")
	s.expect(t, "Bob is not here. Nothing is verified.")
	s.ended(t, code, exitUnreachable)
}

func TestWhoLeavesCallsTheComparisonOff(t *testing.T) {
	s, n := seated(t)
	bob := n.Befriend("Bob")
	ctx, interrupt := context.WithCancel(t.Context())
	code := s.run(ctx, "verify", "Bob")
	s.expect(t, "Waiting for Bob")
	interrupt()
	s.ended(t, code, exitInterrupted)
	if v, err := n.Verification(t.Context(), bob.Person); err != nil || v.State != "" {
		t.Errorf("the comparison is %q, %v", v.State, err)
	}
}

func TestADeviceIsConfirmedAtTheTerminal(t *testing.T) {
	s, n := seated(t)
	code := s.run(t.Context(), "device", "add")
	s.expect(t, "within 5 minutes: earshot device join "+apitest.Code)
	s.expect(t, apitest.PairingQR)
	n.Pair("laptop")
	s.types(t, `calls itself "laptop"`, "y")
	s.expect(t, "Waiting for the same on the other device.")
	n.Confirms(true)
	s.expect(t, "is a device of yours now.")
	s.ended(t, code, exitOK)

	code = s.run(t.Context(), "device", "add")
	s.expect(t, "Waiting for it.")
	n.Pair("stranger's")
	s.types(t, "Add it? [y/n]", "n")
	s.expect(t, "Nothing was done.")
	s.ended(t, code, exitFailure)
	if devices, err := n.Devices(t.Context()); err != nil || len(devices) != 2 {
		t.Errorf("%d devices, %v; want this one and the laptop", len(devices), err)
	}
}

func TestANewDeviceAsksBeforeItBecomesAnothers(t *testing.T) {
	s, n := seated(t)
	code := s.run(t.Context(), "device", "join", "1111", "2222")
	s.expect(t, "No device of yours shows that code.")
	s.ended(t, code, exitRefused)

	code = s.run(t.Context(), "device", "join", apitest.Code, "--label", "desk")
	s.expect(t, "Looking for the device")
	n.Pair("laptop")
	s.types(t, "and Ann (", "n")
	s.expect(t, "Nothing was done.")
	s.ended(t, code, exitFailure)

	code = s.run(t.Context(), "device", "join", apitest.Code)
	s.expect(t, "Looking for the device")
	n.Pair("laptop")
	s.types(t, "who it belonged to, ends. Go on? [y/n]", "y")
	n.Confirms(true)
	s.expect(t, "This is a device of theirs now.")
	s.ended(t, code, exitOK)
}

// Two real nodes, each with a person at a terminal who reads the symbols.
func TestTwoPeopleSeeTheSameSymbols(t *testing.T) {
	t.Setenv(meetVariable, filepath.Join(t.TempDir(), "meet"))
	t.Setenv("EARSHOT_KEYRING", "off")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	meet := func(name string) (*seat, *session, chat.PersonID) {
		s := &seat{terminal: newTerminal(t), home: filepath.Join(t.TempDir(), name), start: startTestNode}
		a := &app{in: strings.NewReader(""), p: newPrinter(&bytes.Buffer{}, &bytes.Buffer{}), start: s.start, home: s.home}
		a.opt.name = name
		session, err := a.open(ctx, need{network: true, lasting: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = session.Close() }) // what it says is the test of others
		me, err := session.Me(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return s, session, me.Person
	}
	ann, annNode, annID := meet("Ann")
	bob, bobNode, bobID := meet("Bob")
	until(t, ctx, annNode.Client, func(e chat.Event) bool {
		p, ok := e.(chat.PersonEvent)
		return ok && p.Person.Person == bobID && p.Presence == chat.Here
	}, func() {})
	until(t, ctx, bobNode.Client, func(e chat.Event) bool { _, ok := e.(chat.TrayEvent); return ok }, func() {
		if _, err := annNode.Add(ctx, bobID.String(), ""); err != nil {
			t.Fatal(err)
		}
	})
	until(t, ctx, annNode.Client, func(e chat.Event) bool {
		c, ok := e.(chat.ContactEvent)
		return ok && c.Relation == chat.RelationContact
	}, func() {
		if err := bobNode.Accept(ctx, annID.String()); err != nil {
			t.Fatal(err)
		}
	})

	// Bob's command has to start a node of its own, Ann's has one.
	if err := bobNode.Close(); err != nil {
		t.Fatal(err)
	}
	bobCode := bob.run(ctx, "verify", "Ann")
	bob.expect(t, "Waiting for Ann")
	annCode := ann.run(ctx, "verify", "Bob")
	symbols := regexp.MustCompile(`(?m)^  (\S+ [a-z]+)\r$`)
	var seen [2]string
	for i, s := range []*seat{ann, bob} {
		s.expect(t, "in this order?")
		late := time.After(10 * time.Second)
		for {
			s.mu.Lock()
			found := symbols.FindAllString(s.shown.String(), -1)
			s.mu.Unlock()
			if len(found) == 7 {
				seen[i] = strings.Join(found, "")
				break
			}
			select {
			case <-s.more:
			case <-late:
				t.Fatalf("saw %q", found)
			}
		}
	}
	if seen[0] != seen[1] {
		t.Fatalf("Ann sees %q, Bob sees %q", seen[0], seen[1])
	}
	ann.types(t, "Are they the same? [y/n]", "y")
	ann.expect(t, "Waiting for Bob")
	bob.types(t, "Are they the same? [y/n]", "y")
	ann.expect(t, "is verified")
	bob.expect(t, "is verified")
	ann.ended(t, annCode, exitOK)
	bob.ended(t, bobCode, exitOK)
	if p, err := annNode.Person(ctx, "Bob"); err != nil || p.Relation != chat.RelationVerified {
		t.Errorf("Bob is %q, %v", p.Relation, err)
	}
}
