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
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"earshot/chat"
	"earshot/node"
	"earshot/node/desktop"
	"earshot/node/keyring"
)

func main() { os.Exit(runProcess(startNode, atDesktop)) }

// atDesktop returns the desktop that this process runs on; nil for none.
func atDesktop(log *slog.Logger) node.Desktop {
	if os.Getenv(desktop.Variable) == "off" {
		return nil
	}
	return desktop.New(log)
}

// runProcess carries out this process's command line. What lasts is shown on a desktop,
// unless that is nil.
func runProcess(start starter, at func(*slog.Logger) node.Desktop) int {
	// A reader that has seen enough (earshot follow | head) is no reason to die
	// with the store open: writing fails instead, and the command ends.
	signal.Ignore(syscall.SIGPIPE)
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, restore) // the second one kills
	a := &app{in: os.Stdin, p: newPrinter(os.Stdout, os.Stderr), start: start, desktop: at, keys: keyring.SystemKeyring()}
	return run(ctx, a, os.Args[1:])
}

// run carries out one command line and returns the exit code.
func run(ctx context.Context, a *app, args []string) int {
	root := newRoot(a)
	root.SetArgs(args)
	root.SetOut(a.p.out)
	root.SetErr(a.p.errs)
	err := root.ExecuteContext(ctx)
	var said outcome
	switch {
	case errors.As(err, &said):
		return int(said)
	case err == nil, errors.Is(err, syscall.EPIPE):
		return exitOK
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return exitInterrupted
	case errors.Is(err, errDeclined):
		a.p.note("Nothing was done.")
		return exitFailure
	}
	// The flags may be what is wrong.
	a.p.json = a.p.json || slices.Contains(args, "--json")
	e := chat.AsError(err)
	a.p.fail(e)
	return exitCode(e.Code)
}
