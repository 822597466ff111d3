package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"earshot/chat"
	"earshot/node/api/client"
)

// daemonOn runs a daemon with a real node until the test ends, and returns what it
// prints and a client of it.
func daemonOn(t *testing.T, ctx context.Context, home, name string) (next func() ready, c *client.Client) {
	t.Helper()
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(ctx)
	code := make(chan int, 1)
	var errs bytes.Buffer
	go func() {
		a := &app{in: strings.NewReader(""), p: newPrinter(w, &errs), start: startTestNode}
		code <- run(ctx, a, []string{"daemon", "--json", "--home", home, "--name", name})
		w.Close()
	}()
	t.Cleanup(func() {
		cancel()
		r.Close()
		if got := <-code; got != exitOK {
			t.Errorf("the daemon of %s: exit code %d, %s", name, got, errs.String())
		}
	})
	lines := bufio.NewScanner(r)
	next = func() (now ready) {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("the daemon of %s says nothing more: %v", name, lines.Err())
		}
		if err := json.Unmarshal(lines.Bytes(), &now); err != nil {
			t.Fatal(err)
		}
		return now
	}
	next()
	c, err := client.Open(ctx, home)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return next, c
}

// A daemon whose device joins another person goes on as theirs.
func TestADaemonGoesOnAsTheNewPerson(t *testing.T) {
	t.Setenv(meetVariable, filepath.Join(t.TempDir(), "meet"))
	t.Setenv("EARSHOT_KEYRING", "off")
	t.Setenv("EARSHOT_PASSPHRASE_FILE", "")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, ann := daemonOn(t, ctx, filepath.Join(t.TempDir(), "ann"), "Ann")
	again, laptop := daemonOn(t, ctx, filepath.Join(t.TempDir(), "laptop"), "Nobody")
	me, err := ann.Me(ctx)
	if err != nil {
		t.Fatal(err)
	}
	code, err := ann.AddDevice(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var streams []*client.Stream
	for _, c := range []*client.Client{ann, laptop} {
		events := c.Events(ctx, client.EventsFrom{})
		defer events.Close()
		wait(t, ctx, events, func(e chat.Event) bool { _, ok := e.(chat.ReadyEvent); return ok })
		streams = append(streams, events)
	}
	if _, err := laptop.JoinDevice(ctx, code.Code, "laptop"); err != nil {
		t.Fatal(err)
	}
	for i, c := range []*client.Client{ann, laptop} {
		wait(t, ctx, streams[i], func(e chat.Event) bool {
			p, ok := e.(chat.PairingEvent)
			return ok && p.State == chat.PairingConfirm
		})
		if err := c.ConfirmDevice(ctx, true); err != nil {
			t.Fatal(err)
		}
	}
	if now := again(); now.Person != me.Person || now.Name != "Ann" {
		t.Errorf("the daemon goes on as %s (%s), want Ann (%s)", now.Name, now.Person, me.Person)
	}
	if got, err := laptop.Me(ctx); err != nil || got.Person != me.Person {
		t.Errorf("the client is told %s, %v", got.Person, err)
	}
}

// until does something and waits for what comes of it.
func until(t *testing.T, ctx context.Context, c *client.Client, want func(chat.Event) bool, do func()) {
	t.Helper()
	events := c.Events(ctx, client.EventsFrom{})
	defer events.Close()
	wait(t, ctx, events, func(e chat.Event) bool { _, ok := e.(chat.ReadyEvent); return ok })
	do()
	wait(t, ctx, events, want)
}

// wait reads events up to one that is wanted.
func wait(t *testing.T, ctx context.Context, events *client.Stream, want func(chat.Event) bool) {
	t.Helper()
	for {
		e, err := events.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if want(e) {
			return
		}
	}
}
