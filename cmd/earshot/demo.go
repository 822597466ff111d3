package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/mattn/go-isatty"

	"earshot/chat"
	"earshot/cmd/earshot/demo"
	"earshot/cmd/earshot/tui"
	"earshot/node/api"
	"earshot/node/api/client"
)

// demoLength is how long the demo goes on where nobody can watch it in a
// terminal: until everybody has spoken.
const demoLength = 56 * time.Second

// runDemo shows Earshot alive on this machine, with no network. It has a home of
// its own, which it removes again.
func runDemo(ctx context.Context, a *app, _ []string) (err error) {
	dir, err := os.MkdirTemp("", "earshot-demo-")
	if err != nil {
		return chat.Wrap(chat.CodeHomeBroken, err, "The demo found no place for its files.", "Set TMPDIR to a directory that you can write to.")
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	name := a.opt.name
	if name == "" {
		name = "You"
	}
	show, err := demo.Start(ctx, dir, name, 1, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() {
		stop, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		err = errors.Join(err, show.Close(stop))
	}()
	me, err := show.You().Me(ctx)
	if err != nil {
		return err
	}
	server, err := api.Listen(api.Config{Home: me.Home, Backend: show.You(), Version: version()})
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve() }()
	defer func() { err = errors.Join(err, server.Close(), <-served) }()
	c, err := client.Open(ctx, me.Home)
	if err != nil {
		return err
	}
	defer c.Close()
	if isatty.IsTerminal(os.Stdin.Fd()) && a.p.terminal && !a.p.json {
		return tui.Run(ctx, tui.Connect(c), tui.Options{Commands: slashCommands(c), Title: "Earshot demo"})
	}
	ctx, cancel := context.WithTimeout(ctx, demoLength)
	defer cancel()
	err = follow(ctx, a.p, c)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// follow shows everything that happens, from the beginning, until ctx ends.
func follow(ctx context.Context, p *printer, c *client.Client) error {
	f := newFollower(p)
	events := c.Events(ctx, client.EventsFrom{Beginning: true})
	defer events.Close()
	for {
		e, err := events.Next(ctx)
		if err != nil {
			return err
		}
		if err := f.show(e); err != nil {
			return err
		}
	}
}
