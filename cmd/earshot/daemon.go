package main

import (
	"context"
	"errors"
	"os"

	"github.com/mattn/go-isatty"

	"earshot/chat"
	"earshot/cmd/earshot/tui"
	"earshot/node/api/client"
)

// ready is what `earshot daemon --json` prints when others can reach it.
type ready struct {
	Ready     bool          `json:"ready"`
	PID       int           `json:"pid"`
	Device    chat.DeviceID `json:"device"`
	Person    chat.PersonID `json:"person"`
	Name      string        `json:"name"`
	Addresses []string      `json:"addresses"`
	API       string        `json:"api"`
}

func runDaemon(ctx context.Context, a *app, _ []string) (err error) {
	closeLog, err := a.openLog("")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLog()) }()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s, err := a.open(ctx, need{network: true, lasting: true, alone: true, stop: stop})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for {
		if err := s.ready(ctx); err != nil {
			return err
		}
		own := s.mine()
		select {
		case <-ctx.Done():
			return nil // asked to stop: that is how a daemon ends well
		case <-own.ended: // with its server, which would answer for it otherwise
		}
		if !own.node.Adopted() {
			return chat.Errorf(chat.CodeInternal, "The node ended by itself. Start it again with --log-level debug and report what it says.")
		}
		c, err := s.reach(ctx)
		if err != nil {
			return err
		}
		c.Close()
	}
}

// ready says that others can reach the daemon, and who it is.
func (s *session) ready(ctx context.Context) error {
	me, err := s.Me(ctx)
	if err != nil {
		return err
	}
	e, err := s.Endpoint()
	if err != nil {
		return err
	}
	if s.app.p.json {
		return s.app.p.object(ready{true, os.Getpid(), me.Device, me.Person, me.Name, me.Addresses, e.String()})
	}
	return s.app.p.line("Earshot is ready: %s (%s) on port %d. Stop it with Ctrl+C or `earshot stop`.", cell(me.Name), me.Person.Short(), me.Port)
}

func runStop(ctx context.Context, a *app, _ []string) error {
	if err := stopNode(ctx, a.home); err != nil {
		return err
	}
	if a.p.json {
		return a.p.object(map[string]bool{"stopped": true})
	}
	return a.p.line("The node has stopped.")
}

// stopNode stops the node that runs on a home, and waits for its end.
func stopNode(ctx context.Context, home string) error {
	c, err := client.Open(ctx, home)
	if err != nil {
		return err
	}
	defer c.Close()
	// The stream of events ends when the node does.
	gone := c.Events(ctx, client.EventsFrom{})
	defer gone.Close()
	if _, err := gone.Next(ctx); err != nil {
		return err
	}
	if err := c.Stop(ctx); err != nil {
		return err
	}
	for {
		e, err := gone.Next(ctx)
		if err != nil {
			return err
		}
		// Either nobody answers, or the next node does already.
		w, lost := e.(chat.WarningEvent)
		_, next := e.(chat.ReadyEvent)
		if next || lost && w.Warning.Code == chat.CodeUnreachable {
			return nil
		}
	}
}

// runUI opens the terminal UI.
func runUI(ctx context.Context, a *app, _ []string) (err error) {
	if !isatty.IsTerminal(os.Stdin.Fd()) || !isTerminal(a.p.out) {
		return chat.Errorf(chat.CodeUsage, "The terminal UI needs a terminal. Use `earshot follow` and `earshot send` in scripts, or `earshot daemon`; `earshot --help` shows all there is.")
	}
	closeLog, err := a.openLog("earshot.log")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLog()) }()
	s, err := a.open(ctx, need{network: true, lasting: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return tui.Run(ctx, tui.Connect(s.Client), tui.Options{Commands: slashCommands(s.Client)})
}
