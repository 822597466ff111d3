package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is a pseudo-terminal: what a program sees as its terminal, and the
// person before it.
type terminal struct {
	program, person *os.File

	mu    sync.Mutex
	shown bytes.Buffer
	more  chan struct{}
}

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("this system gives no terminals: ", err)
	}
	t.Cleanup(func() { _ = person.Close() })
	raw, err := person.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var number int
	var failed error
	if err := raw.Control(func(fd uintptr) {
		failed = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0)
		if failed == nil {
			number, failed = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	program, err := os.OpenFile(fmt.Sprint("/dev/pts/", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = program.Close() })
	p := &terminal{program: program, person: person, more: make(chan struct{}, 1)}
	go func() { // ends when the terminal is closed
		b := make([]byte, 1024)
		for {
			n, err := person.Read(b)
			if err != nil {
				return
			}
			p.mu.Lock()
			p.shown.Write(b[:n])
			p.mu.Unlock()
			select {
			case p.more <- struct{}{}:
			default:
			}
		}
	}()
	return p
}

// expect waits until text is shown, and forgets what came up to it.
func (p *terminal) expect(t *testing.T, text string) {
	t.Helper()
	late := time.After(10 * time.Second)
	for {
		p.mu.Lock()
		shown := p.shown.String()
		if _, rest, found := strings.Cut(shown, text); found {
			p.shown.Reset()
			p.shown.WriteString(rest)
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
		select {
		case <-p.more:
		case <-late:
			t.Fatalf("waited for %q; the terminal shows %q", text, shown)
		}
	}
}

func (p *terminal) echoes(t *testing.T) bool {
	t.Helper()
	mode, err := unix.IoctlGetTermios(int(p.program.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return mode.Lflag&unix.ECHO != 0
}

// answer types a line once the terminal no longer shows what is typed.
func (p *terminal) answer(t *testing.T, prompt, line string) {
	t.Helper()
	p.expect(t, prompt)
	for late := time.Now().Add(10 * time.Second); p.echoes(t); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("the passphrase would be shown")
		}
	}
	if _, err := p.person.WriteString(line + "\n"); err != nil {
		t.Fatal(err)
	}
}

// A person is asked at the terminal, twice for a new passphrase, and what they type
// is not shown.
func TestAPersonIsAskedForThePassphrase(t *testing.T) {
	t.Setenv("EARSHOT_HOME", t.TempDir()+"/home")
	t.Setenv("EARSHOT_PASSPHRASE_FILE", "")
	p := newTerminal(t)
	command := func(ctx context.Context, args ...string) chan int {
		code := make(chan int, 1)
		pr := newPrinter(p.program, p.program)
		go func() {
			code <- run(ctx, &app{in: p.program, p: pr, start: startNode}, append(args, "--offline"))
		}()
		return code
	}
	ended := func(code chan int, want int) {
		t.Helper()
		select {
		case got := <-code:
			if got != want {
				p.mu.Lock()
				defer p.mu.Unlock()
				t.Fatalf("exit code %d, want %d: %s", got, want, p.shown.String())
			}
		case <-time.After(20 * time.Second):
			t.Fatal("the command does not end")
		}
	}
	code := command(t.Context(), "send", "lobby", "hello")
	ended(code, 0)

	code = command(t.Context(), "passphrase")
	p.answer(t, "Choose a passphrase", "correct horse")
	p.answer(t, "And again", "correct house")
	p.answer(t, "The two differ", "correct horse")
	p.answer(t, "And again", "correct horse")
	ended(code, 0)
	p.expect(t, "The passphrase is set")

	code = command(t.Context(), "history", "lobby")
	p.answer(t, "Passphrase for", "correct house")
	p.expect(t, "That passphrase is wrong")
	p.answer(t, "Passphrase for", "correct horse")
	ended(code, 0)
	p.expect(t, "hello")

	ctx, interrupt := context.WithCancel(t.Context())
	code = command(ctx, "history", "lobby")
	p.expect(t, "Passphrase for")
	for p.echoes(t) {
		time.Sleep(time.Millisecond)
	}
	interrupt() // as Ctrl+C does
	ended(code, exitInterrupted)
	if !p.echoes(t) {
		t.Error("the terminal is left without echo")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.shown.String(); strings.Contains(s, "horse") || strings.Contains(s, "house") {
		t.Errorf("a passphrase was shown: %q", s)
	}
}

// A node that a terminal UI starts while it has the screen asks nothing: the home
// stays locked, and the person is told.
func TestNobodyIsAskedInTheMiddleOfASession(t *testing.T) {
	c := newCLI(t)
	a := c.app(&bytes.Buffer{}, &bytes.Buffer{})
	a.home = os.Getenv("EARSHOT_HOME")
	s, err := a.open(t.Context(), need{lasting: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }() // of a fake
	again := c.cfgs[0]
	if again.Unlock.Notify == nil {
		t.Error("the first node may tell nothing")
	}
	if err := s.mine().server.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Me(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(c.cfgs) != 2 || c.cfgs[1].Unlock.Ask != nil || c.cfgs[1].Unlock.Notify != nil {
		t.Errorf("%d nodes; the second one may ask", len(c.cfgs))
	}
}
