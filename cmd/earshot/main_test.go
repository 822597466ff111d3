package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"earshot/chat"
	"earshot/node"
	"earshot/node/api"
	"earshot/node/api/apitest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"earshot": func() {
		os.Exit(runProcess(startTestNode, nil))
	}})
}

// TestScripts runs the real program, with real nodes that stay off the network or
// meet on loopback.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("EARSHOT_HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("EARSHOT_KEYRING", "off") // that of whoever runs the tests
			examples, err := filepath.Abs("examples")
			env.Setenv("EXAMPLES", examples)
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exitsWith, "await": await, "awaitexec": awaitExec, "keep": keep, "reads": readsAll},
	})
}

// fakeNode is a node in memory that a command line may start and end.
type fakeNode struct {
	*apitest.Node
	done chan struct{}
	once sync.Once
}

func (n *fakeNode) Close(context.Context) error {
	n.once.Do(func() { close(n.done) })
	return nil
}

func (n *fakeNode) Done() <-chan struct{} { return n.done }
func (n *fakeNode) Adopted() bool         { return false }

// cli runs command lines on one home.
type cli struct {
	t    *testing.T
	node *apitest.Node
	in   string
	cfgs []node.Config // of the nodes that were started
}

func newCLI(t *testing.T) *cli {
	t.Setenv("EARSHOT_HOME", t.TempDir())
	return &cli{t: t, node: apitest.New("Ann")}
}

// daemon serves the node on the home as another process would.
func (c *cli) daemon() {
	s, err := api.Listen(api.Config{Home: os.Getenv("EARSHOT_HOME"), Backend: c.node})
	if err != nil {
		c.t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	c.t.Cleanup(func() {
		if err := s.Close(); err != nil {
			c.t.Error(err)
		}
		<-served
	})
}

func (c *cli) app(out, errs io.Writer) *app {
	p := newPrinter(out, errs)
	p.zone = time.UTC
	return &app{in: strings.NewReader(c.in), p: p, start: func(_ context.Context, cfg node.Config) (running, error) {
		c.cfgs = append(c.cfgs, cfg)
		return &fakeNode{Node: c.node, done: make(chan struct{})}, nil
	}}
}

func (c *cli) run(args ...string) (out, errs string, code int) {
	c.t.Helper()
	var o, e bytes.Buffer
	code = run(c.t.Context(), c.app(&o, &e), args)
	return o.String(), e.String(), code
}

// ok runs a command line that must work, and returns what it prints.
func (c *cli) ok(args ...string) string {
	c.t.Helper()
	out, errs, code := c.run(args...)
	if code != 0 {
		c.t.Fatalf("earshot %s: exit code %d, %s", strings.Join(args, " "), code, errs)
	}
	return out
}

// follow runs a command line until the test ends and returns the lines it prints.
func (c *cli) follow(args ...string) *bufio.Scanner {
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(c.t.Context())
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, c.app(w, io.Discard), args)
		w.Close()
	}()
	c.t.Cleanup(func() {
		cancel()
		r.Close()
		if got := <-code; got != exitInterrupted && got != exitFailure { // the pipe may break first
			c.t.Errorf("earshot %s: exit code %d", strings.Join(args, " "), got)
		}
	})
	return bufio.NewScanner(r)
}

func wantLine(t *testing.T, lines *bufio.Scanner, pattern string) string {
	t.Helper()
	if !lines.Scan() {
		t.Fatalf("the end came before a line like %s: %v", pattern, lines.Err())
	}
	if !regexp.MustCompile("^" + pattern + "$").MatchString(lines.Text()) {
		t.Fatalf("got line %q, want %s", lines.Text(), pattern)
	}
	return lines.Text()
}

// Exit codes are promised to scripts: this table does not change, it only grows.
func TestExitCodes(t *testing.T) {
	want := map[chat.Code]int{
		chat.CodeInternal: 1, chat.CodeInvalid: 1, chat.CodeClock: 1, chat.CodeInvisible: 1, chat.CodeCloned: 1, chat.CodeRolledBack: 1, "from the future": 1,
		chat.CodeUsage: 2, chat.CodeBadID: 2, chat.CodeEmpty: 2,
		chat.CodeUnreachable: 3, chat.CodeNoNetwork: 3, chat.CodeNoInterface: 3, chat.CodePortTaken: 3, chat.CodeStopping: 3,
		chat.CodeNotFound: 4, chat.CodeNotJoined: 4,
		chat.CodeTooLong: 5, chat.CodeDenied: 5, chat.CodeBusy: 5,
		chat.CodeHomeLocked: 6, chat.CodeHomeBroken: 6, chat.CodeHomeNewer: 6, chat.CodeDiskFull: 6, chat.CodeBackup: 6,
		chat.CodePassphrase: 7, chat.CodeAmbiguous: 8, chat.CodeHeld: 9, chat.CodeNoKey: 9, chat.CodeNotContact: 5, chat.CodeRevoked: 5, chat.CodeDeviceLists: 9, chat.CodeNotYet: 10,
	}
	for code, exit := range want {
		if got := exitCode(code); got != exit {
			t.Errorf("%s ends with %d, want %d", code, got, exit)
		}
	}
	source, err := os.ReadFile("../../chat/error.go")
	if err != nil {
		t.Fatal(err)
	}
	declared := regexp.MustCompile(`Code = "(\w+)"`).FindAllSubmatch(source, -1)
	for _, m := range declared {
		if _, ok := want[chat.Code(m[1])]; !ok {
			t.Errorf("%s has no row in this test", m[1])
		}
	}
	if len(declared) != len(want)-1 {
		t.Errorf("found %d codes in package chat, and %d rows here", len(declared), len(want)-1)
	}
	help := exitHelp()
	for _, e := range exits {
		for _, code := range e.codes {
			if _, ok := want[code]; !ok {
				t.Errorf("%s has no row in this test", code)
			}
			if !strings.Contains(help, string(code)) {
				t.Errorf("the help does not explain %s", code)
			}
		}
	}
}

// Every row of the table is complete, and what is completed works.
func TestCommandTable(t *testing.T) {
	for _, c := range commands() {
		switch {
		case c.run == nil || c.short == "" || strings.HasSuffix(c.short, "."):
			t.Errorf("%s: a row has what runs and one line of help without its full stop", c.name)
		case (c.about == "") != strings.Contains(c.name, " "):
			t.Errorf("%s: a command of one word stands under a heading, %q", c.name, c.about)
		case c.max >= 0 && c.max < c.min:
			t.Errorf("%s: takes from %d to %d arguments", c.name, c.min, c.max)
		case (c.max == 0) != (c.args == ""):
			t.Errorf("%s: help says %q, but it takes up to %d", c.name, c.args, c.max)
		}
		cli := newCLI(t)
		if help := cli.ok(append(strings.Fields(c.name), "--help")...); !strings.Contains(help, c.short) && !strings.Contains(help, c.long) {
			t.Errorf("%s: --help does not show its help: %s", c.name, help)
		}
	}
}

func TestErrorsAreSentencesThatSayWhatToDo(t *testing.T) {
	c := newCLI(t)
	c.daemon()
	long := strings.Repeat("x", chat.MaxText+1)
	id := "b" + strings.Repeat("a", 51)
	for _, l := range []struct {
		exit int
		args []string
	}{
		{exitUsage, []string{"bogus"}},
		{exitUsage, []string{"me", "too"}},
		{exitUsage, []string{"send"}},
		{exitUsage, []string{"room"}},
		{exitUsage, []string{"room", "burn"}},
		{exitUsage, []string{"--bogus"}},
		{exitUsage, []string{"history", "lobby", "-n", "many"}},
		{exitUsage, []string{"history", "lobby", "-n", "0"}},
		{exitUsage, []string{"history", "lobby", "--before", "zz"}},
		{exitUsage, []string{"follow", "-n", "1", "--since", "1"}},
		{exitUsage, []string{"follow", "--since", "zz"}},
		{exitUsage, []string{"room", "join", "a b"}},
		{exitUsage, []string{"send", "lobby", " "}},
		{exitUsage, []string{"me", "--log-level", "loud"}},
		{exitUsage, []string{"me", "--log", "/no/such/place"}},
		{exitNotFound, []string{"send", "nowhere", "x"}},
		{exitNotFound, []string{"history", "nowhere"}},
		{exitNotFound, []string{"history", "lobby", "--before", id}},
		{exitNotFound, []string{"follow", "nowhere"}},
		{exitNotFound, []string{"follow", "--since", id}},
		{exitNotFound, []string{"room", "leave", "nowhere"}},
		{exitNotFound, []string{"people", "nobody"}},
		{exitRefused, []string{"room", "leave", "lobby"}},
		{exitRefused, []string{"send", "lobby", long}},
		{exitRefused, []string{"stop"}},
		{exitHome, []string{"daemon"}},
	} {
		out, errs, code := c.run(l.args...)
		if code != l.exit || out != "" || !strings.HasPrefix(errs, "earshot: ") || strings.Count(errs, "\n") != 1 || strings.Count(errs, ". ") == 0 {
			t.Errorf("earshot %.60s: %d, %q, %q; want %d and two sentences on one line", l.args, code, out, errs, l.exit)
		}
		out, errs, code = c.run(append([]string{"--json"}, l.args...)...)
		var e struct{ Error chat.Error }
		stream := l.args[0] == "follow" && out != "" // it had begun
		if err := json.Unmarshal([]byte(errs), &e); err != nil || code != l.exit || out != "" && !stream || e.Error.Text == "" || exitCode(e.Error.Code) != code {
			t.Errorf("earshot --json %.60s: %d, %q, %q, %v", l.args, code, out, errs, err)
		}
	}
}

func TestNobodyToStop(t *testing.T) {
	if _, errs, code := newCLI(t).run("stop"); code != exitUnreachable || !strings.Contains(errs, "No Earshot node runs") {
		t.Errorf("%d %s", code, errs)
	}
}

func TestSend(t *testing.T) {
	c := newCLI(t)
	c.daemon()
	texts := []string{"two words", "from standard\ninput", "dash"}
	first := strings.TrimSpace(c.ok("send", "#lobby", "two", "words"))
	if _, err := chat.ParseEntryID(first); err != nil {
		t.Errorf("send printed %q: %v", first, err)
	}
	c.in = "from standard\ninput\n"
	c.ok("send", "lobby")
	c.in = "dash"
	var m map[string]any
	if err := json.Unmarshal([]byte(c.ok("send", "lobby", "-", "--json")), &m); err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"type", "id", "room", "from", "text", "sent_at", "received_at"} {
		if m[field] == nil {
			t.Errorf("the message has no %s: %v", field, m)
		}
	}
	var got []string
	for line := range strings.Lines(c.ok("history", "lobby", "--json")) {
		var m chat.Message
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		got = append(got, m.Text)
	}
	if !slices.Equal(got, texts) {
		t.Errorf("history is %q, want %q", got, texts)
	}
	c.in = strings.Repeat("x", 10*chat.MaxText)
	if _, errs, code := c.run("send", "lobby"); code != exitRefused || !strings.Contains(errs, "head -c") {
		t.Errorf("a huge input: %d %s", code, errs)
	}
}

// A node started for one message stays until somebody near had time to take it.
func TestSendFromACommandOfItsOwn(t *testing.T) {
	c := newCLI(t)
	c.node.Appear("Bob")
	// It says so where it has stayed to the end.
	if _, errs, code := c.run("send", "lobby", "hello"); code != 0 || errs != "" {
		t.Errorf("with somebody near: %d %q", code, errs)
	}
	if len(c.cfgs) != 1 || c.cfgs[0].Offline {
		t.Errorf("started %+v, want one node with a network", c.cfgs)
	}
	c.node = apitest.New("Ann")
	if _, errs, code := c.run("send", "lobby", "hello"); code != 0 || !strings.Contains(errs, "Nobody was near") {
		t.Errorf("with nobody near: %d %q", code, errs)
	}
	c.ok("rooms")
	if len(c.cfgs) != 3 || !c.cfgs[2].Offline {
		t.Errorf("started %+v for rooms, want a node without a network", c.cfgs)
	}
}

func TestHistory(t *testing.T) {
	c := newCLI(t)
	c.daemon()
	bob := c.node.Appear("Bob")
	var ids []chat.EntryID
	const all = 1200
	for range all {
		ids = append(ids, c.node.Hear(bob, "#lobby", "one\x1b[31m\ntwo").ID)
	}
	want := "[0-9:]{5} Bob: one(\\[31m)?\n      two\n"
	if out := c.ok("history", "lobby", "-n", "1"); !regexp.MustCompile("^" + want + "$").MatchString(out) {
		t.Errorf("got %q, want %s", out, want)
	}
	for n, lines := range map[string]int{"3": 3, "1100": 1100, "9999": all} {
		if got := strings.Count(c.ok("history", "lobby", "--json", "-n", n), "\n"); got != lines {
			t.Errorf("-n %s printed %d, want %d", n, got, lines)
		}
	}
	out := c.ok("history", "lobby", "--json", "-n", "2", "--before", ids[2].String())
	if strings.Count(out, "\n") != 2 || strings.Index(out, ids[0].String()) > strings.Index(out, ids[1].String()) {
		t.Errorf("before the third: %s", out)
	}
}

func TestTablesAreAlignedByWidth(t *testing.T) {
	c := newCLI(t)
	c.daemon()
	c.node.Appear("世界")
	c.node.Appear("Zoë\u202e👩‍👩‍👧")
	out := c.ok("people")
	want := []string{
		"     NAME   STATE      RELATION  PERSON", "You", "  ●  Ann    available  you       ......",
		"Nearby, not known", "  ◇  世界   here       stranger  ......", "  ◇  Zoë👩‍👩‍👧  here       stranger  ......",
	}
	got := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if len(got) != len(want) {
		t.Fatalf("got\n%s", out)
	}
	for i := range want {
		if !regexp.MustCompile("^" + want[i] + "$").MatchString(got[i]) {
			t.Errorf("got %q, want %s", got[i], want[i])
		}
	}
	if out := c.ok("people", "世界"); !strings.Contains(out, "Device") {
		t.Errorf("one person: %s", out)
	}
}

func TestFollowForPeople(t *testing.T) {
	c := newCLI(t)
	c.daemon()
	bob := c.node.Appear("Bob")
	c.node.Hear(bob, "#lobby", "before")
	all := c.follow("follow", "-n", "5")
	wantLine(t, all, `[0-9:]{5} Bob in #lobby: before`)
	wantLine(t, all, `[0-9:]{5} Bob is here`)
	c.node.Hear(bob, "#lobby", "two\nlines")
	wantLine(t, all, `[0-9:]{5} Bob in #lobby: two`)
	wantLine(t, all, `      lines`)
	c.ok("room", "join", "tea")
	wantLine(t, all, `[0-9:]{5} You joined #tea`)

	tea := c.follow("follow", "tea", "-n", "1")
	c.node.Hear(bob, "#tea", "first")
	wantLine(t, tea, `[0-9:]{5} Bob: first`)
	c.node.Hear(bob, "#lobby", "elsewhere")
	c.node.Hear(bob, "#tea", "second")
	wantLine(t, tea, `[0-9:]{5} Bob: second`)
}

func TestFollowForPrograms(t *testing.T) {
	c := newCLI(t)
	c.daemon()
	bob := c.node.Appear("Bob")
	one := c.node.Hear(bob, "#lobby", "one")
	c.node.Hear(bob, "#lobby", "two")
	for _, since := range []string{"2", one.ID.String()} {
		lines := c.follow("follow", "--json", "--since", since)
		wantLine(t, lines, `\{"type":"ready",.*`)
		wantLine(t, lines, `\{"type":"person",.*"me":true.*`)
		wantLine(t, lines, `\{"type":"person",.*"Bob".*`)
		wantLine(t, lines, `\{"type":"message","cursor":3,.*"text":"two".*`)
	}
	lines := c.follow("follow", "--json", "lobby", "--since", "0")
	wantLine(t, lines, `\{"type":"ready",.*`)
	wantLine(t, lines, `\{"type":"room","cursor":1,.*`)
	wantLine(t, lines, `\{"type":"message","cursor":2,.*`)
	wantLine(t, lines, `\{"type":"message","cursor":3,.*`)
}

func TestCompletion(t *testing.T) {
	c := newCLI(t)
	if out := c.ok("__complete", "send", ""); !strings.HasPrefix(out, ":4") {
		t.Errorf("without a node: %q", out)
	}
	if len(c.cfgs) != 0 {
		t.Error("completion started a node")
	}
	c.daemon()
	c.node.Appear("Bob")
	c.ok("room", "join", "tea")
	for words, want := range map[string]string{
		"send|":       "#lobby\nlobby\n#tea\ntea\n:4\n",
		"send|lobby|": ":4\n",
		"history|":    "#lobby\nlobby\n#tea\ntea\n:4\n",
		"people|":     "Ann\tavailable\nBob\there\n:4\n",
		"me|":         ":4\n",
	} {
		if out := c.ok(append([]string{"__complete"}, strings.Split(words, "|")...)...); out != want {
			t.Errorf("%s: %q, want %q", words, out, want)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if out := c.ok("completion", shell); !strings.Contains(out, "earshot") {
			t.Errorf("%s: no script", shell)
		}
	}
}

func TestSlashCommands(t *testing.T) {
	c := newCLI(t)
	c.daemon()
	bob, dan := c.node.Appear("Bob"), c.node.Befriend("Dan")
	a := c.app(io.Discard, io.Discard)
	a.home = os.Getenv("EARSHOT_HOME")
	s, err := a.open(t.Context(), need{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	said := map[string]string{}
	for _, cmd := range slashCommands(s.Client) {
		if cmd.Help == "" {
			t.Errorf("/%s has no help", cmd.Name)
		}
		if cmd.Run != nil {
			args := ""
			switch {
			case cmd.Name == "watch":
				args = dan.Person.Short()
			case cmd.Args != "" && cmd.Args[0] != '[':
				if _, err := cmd.Run(t.Context(), chat.OpenRoom(chat.Lobby), ""); chat.CodeOf(err) != chat.CodeUsage {
					t.Errorf("/%s without more: %v", cmd.Name, err)
				}
				args = bob.Person.Short()
				c.node.Ask(bob, "")
			}
			text, err := cmd.Run(t.Context(), chat.OpenRoom(chat.Lobby), args)
			if err != nil {
				t.Errorf("/%s: %v", cmd.Name, err)
			}
			said[cmd.Name] = text
		}
	}
	for name, want := range map[string]string{"me": "You are Ann", "people": "Bob (here", "rooms": "#lobby (0 unread)", "accept": "Bob", "decline": "dropped", "status": "shown as: available", "watch": "told once when Dan"} {
		if !strings.Contains(said[name], want) {
			t.Errorf("/%s says %q, want %q in it", name, said[name], want)
		}
	}
}
