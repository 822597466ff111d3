package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"earshot/node/api/client"
)

// exitsWith runs a program that must end with an exit code: exits CODE PROGRAM ARGS...
func exitsWith(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// keep sets variables to what the named groups of a pattern match in a file:
// keep FILE PATTERN
func keep(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: keep FILE PATTERN")
	}
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	text := ts.ReadFile(args[0])
	found := pattern.FindStringSubmatch(text)
	if found == nil {
		ts.Fatalf("%s has nothing like %s:\n%s", args[0], args[1], text)
	}
	for i, name := range pattern.SubexpNames() {
		if name != "" {
			ts.Setenv(name, found[i])
		}
	}
}

// await waits until a file that a background program writes holds a line of this
// form: await FILE PATTERN
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await FILE PATTERN")
	}
	line, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	var b []byte
	for late := time.Now().Add(30 * time.Second); time.Now().Before(late); time.Sleep(5 * time.Millisecond) {
		if b, _ = os.ReadFile(ts.MkAbs(args[0])); line.Match(b) {
			return
		}
	}
	ts.Fatalf("%s has no line like %s after half a minute:\n%s", args[0], args[1], b)
}

// awaitExec runs a program again and again until it prints a line of this form:
// awaitexec PATTERN PROGRAM ARGS...
func awaitExec(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: awaitexec PATTERN PROGRAM ARGS...")
	}
	line, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	out := ""
	for late := time.Now().Add(30 * time.Second); time.Now().Before(late); time.Sleep(20 * time.Millisecond) {
		if err = ts.Exec(args[1], args[2:]...); err == nil {
			if out = ts.ReadFile("stdout"); line.MatchString(out) {
				return
			}
		}
	}
	ts.Fatalf("%v prints no line like %s: %v\n%s", args[1:], line, err, out)
}

// readsAll has the person of a home read all of a room: reads HOME ROOM
func readsAll(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: reads HOME ROOM")
	}
	ctx := context.Background()
	c, err := client.Open(ctx, ts.MkAbs(args[0]))
	ts.Check(err)
	defer c.Close()
	newest, err := c.Messages(ctx, args[1], client.Page{Limit: 1})
	ts.Check(err)
	ts.Check(c.Read(ctx, args[1], newest[len(newest)-1].ID))
}
