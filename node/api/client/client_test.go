package client_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"earshot/chat"
	"earshot/node/api"
	"earshot/node/api/apitest"
	"earshot/node/api/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs a node on home and returns what stops it.
func serve(t *testing.T, home string, n api.Backend) (stop func()) {
	t.Helper()
	s, err := api.Listen(api.Config{Home: home, Backend: n, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		if err := errors.Join(s.Close(), <-served); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return stop
}

func open(t *testing.T, home string) *client.Client {
	t.Helper()
	c, err := client.Open(t.Context(), home)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestEveryRequest(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("long/", 25))
	if err := os.MkdirAll(long, 0o700); err != nil {
		t.Fatal(err)
	}
	for network, home := range map[string]string{"unix": t.TempDir(), "tcp": long} {
		t.Run(network, func(t *testing.T) {
			n := apitest.New("Ann")
			serve(t, home, n)
			everyRequest(t, n, open(t, home), network)
		})
	}
}

func everyRequest(t *testing.T, n *apitest.Node, c *client.Client, network string) {
	ctx := t.Context()
	if e, err := c.Endpoint(); err != nil || e.Network != network {
		t.Fatalf("reached over %v, %v; want %s", e, err, network)
	}
	if me, err := c.Me(ctx); err != nil || me.Name != "Ann" {
		t.Fatalf("Me = %v, %v", me, err)
	}
	if v, err := c.Version(ctx); err != nil || v.Version != "test" || v.API != 1 || v.Run != n.Feed().Run() || v.PID != os.Getpid() {
		t.Fatalf("Version = %+v, %v", v, err)
	}
	bob := n.Appear("Bob")
	if people, err := c.People(ctx); err != nil || len(people) != 2 || people[1].Person != bob.Person {
		t.Fatalf("People = %v, %v", people, err)
	}
	tea, err := c.Join(ctx, "Tea")
	if err != nil || tea.Room != "#tea" || tea.RoomID != chat.OpenRoom("#tea") {
		t.Fatalf("Join = %v, %v", tea, err)
	}
	if rooms, err := c.Rooms(ctx); err != nil || len(rooms) != 2 {
		t.Fatalf("Rooms = %v, %v", rooms, err)
	}
	var ids []chat.EntryID
	for _, ref := range []string{"#tea", "tea", tea.RoomID.String(), "#tea", "#tea"} {
		m, err := c.Send(ctx, ref, chat.Draft{Text: "hello\n世界 \"<&>\""})
		if err != nil || m.Text != "hello\n世界 \"<&>\"" || !m.Mine {
			t.Fatalf("Send = %v, %v", m, err)
		}
		ids = append(ids, m.ID)
	}
	for _, p := range []struct {
		page client.Page
		want []chat.EntryID
	}{
		{client.Page{}, ids},
		{client.Page{Limit: 2}, ids[3:]},
		{client.Page{Limit: 2, Before: ids[3]}, ids[1:3]},
		{client.Page{Limit: 2, After: ids[0]}, ids[1:3]},
	} {
		messages, err := c.Messages(ctx, "#tea", p.page)
		var got []chat.EntryID
		for _, m := range messages {
			got = append(got, m.ID)
		}
		if err != nil || !slices.Equal(got, p.want) {
			t.Errorf("Messages(%+v) = %v, %v; want %v", p.page, got, err, p.want)
		}
	}
	first, err := c.Send(ctx, "#tea", chat.Draft{Text: "once", ClientID: "my id"})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := c.Send(ctx, "#tea", chat.Draft{Text: "once", ClientID: "my id"}); err != nil || again.ID != first.ID {
		t.Errorf("sent twice under one client id: %v, %v", again, err)
	}
	if err := c.Typing(ctx, "#tea", true); err != nil || len(n.Typing()) != 1 || !n.Typing()[0].Typing {
		t.Errorf("Typing: %v, %v", n.Typing(), err)
	}
	if err := c.Read(ctx, "#tea", first.ID); err != nil {
		t.Error(err)
	}
	if err := c.Leave(ctx, "#tea"); err != nil {
		t.Error(err)
	}
	if _, err := c.Send(ctx, "#tea", chat.Draft{Text: "again"}); chat.CodeOf(err) != chat.CodeNotJoined {
		t.Errorf("after leaving: %v", err)
	}
	if left, err := c.Messages(ctx, "#tea", client.Page{}); err != nil || len(left) != 6 {
		t.Errorf("what was said in a room that was left: %v, %v", left, err)
	}
	for _, ref := range []string{"", ".", "..", "a/b", "?"} {
		if err := c.Leave(ctx, ref); chat.CodeOf(err) != chat.CodeNotFound {
			t.Errorf("Leave(%q): %v", ref, err)
		}
	}
	if err := c.Stop(ctx); chat.CodeOf(err) != chat.CodeDenied {
		t.Errorf("Stop: %v", err)
	}
	called, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := c.Me(called); !errors.Is(err, context.Canceled) {
		t.Errorf("called off: %v", err)
	}
}

func TestNobodyThere(t *testing.T) {
	home := t.TempDir()
	if _, err := client.Open(t.Context(), home); chat.CodeOf(err) != chat.CodeUnreachable {
		t.Errorf("empty home: %v", err)
	}
	// A node that was killed leaves its api.json behind.
	for _, left := range []string{
		`{"network":"unix","address":"` + home + `/api.sock"}`,
		`{"network":"tcp","address":"127.0.0.1:1"}`,
	} {
		if err := os.WriteFile(filepath.Join(home, api.EndpointFile), []byte(left), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Open(t.Context(), home); chat.CodeOf(err) != chat.CodeUnreachable {
			t.Errorf("%s: %v", left, err)
		}
	}
	if err := os.WriteFile(filepath.Join(home, api.EndpointFile), []byte(`{"network":"tcp","address":"192.0.2.1:80"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Open(t.Context(), home); chat.CodeOf(err) != chat.CodeDenied {
		t.Errorf("an address elsewhere: %v", err)
	}
}

func next(t *testing.T, s *client.Stream) chat.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	e, err := s.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func expect(t *testing.T, s *client.Stream, types ...string) (last chat.Event) {
	t.Helper()
	for _, want := range types {
		last = next(t, s)
		if last.EventType() != want {
			t.Fatalf("got %s %+v, want %s", last.EventType(), last, want)
		}
	}
	return last
}

func TestStream(t *testing.T) {
	home, n := t.TempDir(), apitest.New("Ann")
	serve(t, home, n)
	c := open(t, home)
	bob := n.Appear("Bob")
	n.Hear(bob, "#lobby", "before")

	live := c.Events(t.Context(), client.EventsFrom{})
	defer live.Close()
	expect(t, live, "ready", "person", "person")
	m := n.Hear(bob, "#lobby", "now")
	if got := expect(t, live, "message").(chat.MessageEvent); got.ID != m.ID || got.Cursor != 3 || got.Text != "now" {
		t.Errorf("got %+v", got)
	}
	all := c.Events(t.Context(), client.EventsFrom{Beginning: true})
	defer all.Close()
	expect(t, all, "ready", "person", "person", "room", "message", "message")
	later := c.Events(t.Context(), client.EventsFrom{Cursor: 2})
	expect(t, later, "ready", "person", "person", "message")
	later.Close()
	if _, err := later.Next(t.Context()); !errors.Is(err, context.Canceled) {
		t.Errorf("after Close: %v", err)
	}
	if _, err := live.Next(canceled(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("called off: %v", err)
	}
}

func canceled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// A node is replaced by another on the same home: each fact comes once, and the
// missed weather is announced.
func TestStreamOutlivesTheNode(t *testing.T) {
	home, n := t.TempDir(), apitest.New("Ann")
	stop := serve(t, home, n)
	c := open(t, home)
	s := c.Events(t.Context(), client.EventsFrom{})
	defer s.Close()
	run := expect(t, s, "ready").(chat.ReadyEvent).Run
	expect(t, s, "person")
	bob := n.Appear("Bob")
	expect(t, s, "person")
	n.Hear(bob, "#lobby", "one")
	expect(t, s, "message")

	stop()
	if w := expect(t, s, "warning").(chat.WarningEvent); w.Warning.Code != chat.CodeUnreachable || w.Clear {
		t.Errorf("got %+v", w)
	}
	n.Hear(bob, "#lobby", "two")
	serve(t, home, n)
	if w := expect(t, s, "warning").(chat.WarningEvent); w.Warning.Code != chat.CodeUnreachable || !w.Clear {
		t.Errorf("got %+v", w)
	}
	if got := expect(t, s, "ready").(chat.ReadyEvent).Run; got != run {
		t.Errorf("run %s, want %s", got, run)
	}
	expect(t, s, "gap", "person", "person")
	if m := expect(t, s, "message").(chat.MessageEvent); m.Text != "two" {
		t.Errorf("got %+v", m)
	}
	if _, err := c.Me(t.Context()); err != nil {
		t.Errorf("a request over the old connection: %v", err)
	}
}

// The node is gone for good: whoever notices first starts another.
func TestOnLost(t *testing.T) {
	home, n := t.TempDir(), apitest.New("Ann")
	stop := serve(t, home, n)
	c := open(t, home)
	var starts atomic.Int32
	c.OnLost(func(context.Context) error {
		starts.Add(1)
		serve(t, home, n)
		return nil
	})
	s := c.Events(t.Context(), client.EventsFrom{})
	defer s.Close()
	expect(t, s, "ready", "person")
	stop()
	if _, err := c.Send(t.Context(), "#lobby", chat.Draft{Text: "to the next one"}); err != nil {
		t.Fatal(err)
	}
	expect(t, s, "ready", "gap", "person", "message")
	if got := starts.Load(); got != 1 {
		t.Errorf("started %d nodes, want 1", got)
	}
}

func TestOnLostThatFails(t *testing.T) {
	home := t.TempDir()
	stop := serve(t, home, apitest.New("Ann"))
	c := open(t, home)
	locked := chat.Errorf(chat.CodeHomeLocked, "Process 7 holds the home. Stop it.")
	c.OnLost(func(context.Context) error { return locked })
	stop()
	if _, err := c.Me(t.Context()); !errors.Is(err, locked) {
		t.Errorf("got %v", err)
	}
}

// A face that does not read holds up nobody, and gets every fact in the end.
func TestSlowFace(t *testing.T) {
	home, n := t.TempDir(), apitest.New("Ann")
	serve(t, home, n)
	c := open(t, home)
	s := c.Events(t.Context(), client.EventsFrom{})
	defer s.Close()
	expect(t, s, "ready")
	bob := n.Appear("Bob")
	const messages = 5000
	text := strings.Repeat("x", 300)
	for range messages {
		n.Hear(bob, "#lobby", text)
	}
	var got chat.Cursor = 1 // the room
	for got < messages+1 {
		if m, ok := next(t, s).(chat.MessageEvent); ok {
			if m.Cursor != got+1 {
				t.Fatalf("fact %d after %d", m.Cursor, got)
			}
			got = m.Cursor
		}
	}
}

func BenchmarkSend(b *testing.B) {
	home := b.TempDir()
	s, err := api.Listen(api.Config{Home: home, Backend: apitest.New("Ann")})
	if err != nil {
		b.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	defer func() { s.Close(); <-served }()
	c, err := client.Open(b.Context(), home)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	for b.Loop() {
		if _, err := c.Send(b.Context(), "#lobby", chat.Draft{Text: "hello"}); err != nil {
			b.Fatal(err)
		}
	}
}
