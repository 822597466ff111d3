// Command earshot is a messenger for the people within earshot of you, with no
// server. It turns arguments into calls of one node's local API and prints what
// they answer; it knows nothing of protocols, networks or storage.
//
// Everything it can do is a row of the table in commands.go. Everything printed to
// a person goes through print.go. Whether a node runs already, or is started for
// the length of a command, is decided in session.go.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"earshot/chat"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, startNode))
}

// run carries out one command line and returns the exit code.
func run(args []string, in io.Reader, out, errs io.Writer, start starter) int {
	// A reader that has seen enough (earshot follow | head) is no reason to die
	// with the store open: writing fails instead, and the command ends.
	signal.Ignore(syscall.SIGPIPE)
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer restore()
	context.AfterFunc(ctx, restore) // the second one kills

	a := &app{in: in, p: newPrinter(out, errs), start: start}
	root := newRoot(a)
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil, errors.Is(err, syscall.EPIPE):
		return exitOK
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return exitInterrupted
	}
	// The flags may be what is wrong.
	a.p.json = a.p.json || slices.Contains(args, "--json")
	e := chat.AsError(err)
	a.p.fail(e)
	return exitCode(e.Code)
}
