package main

import (
	"context"
	"io"
	"strings"
	"time"

	"earshot/chat"
	"earshot/node/api/client"
)

const (
	// passOn is how long a node that was started for one message stays to give it
	// to others.
	passOn = 2 * time.Second
	// passGrace is what a neighbour gets to take the message once it is here, if
	// the node does not say sooner that it has caught up (guess).
	passGrace = 500 * time.Millisecond
)

func runSend(ctx context.Context, a *app, args []string) error {
	text := strings.Join(args[1:], " ")
	if len(args) == 1 || len(args) == 2 && args[1] == "-" {
		var err error
		if text, err = a.readText(); err != nil {
			return err
		}
	}
	return a.with(ctx, need{network: true}, func(s *session) error {
		// A node that ends soon must be watched until somebody has the message.
		e, err := s.Endpoint()
		if err != nil {
			return err
		}
		var events *client.Stream
		if e.Transient && !a.opt.offline {
			events = s.Events(ctx, client.EventsFrom{})
			defer events.Close()
		}
		m, err := s.Send(ctx, args[0], text, "")
		if err != nil {
			return err
		}
		if a.p.json {
			err = a.p.message(m, false)
		} else {
			err = a.p.line("%s", m.ID)
		}
		if err != nil {
			return err
		}
		if events == nil || passedOn(ctx, events) {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		a.p.note("Nobody was near. The message is kept here and is passed on the next time Earshot runs with others around.")
		return nil
	})
}

// passedOn waits until a neighbour has had the time to take what was sent.
func passedOn(ctx context.Context, events *client.Stream) bool {
	ctx, cancel := context.WithTimeout(ctx, passOn)
	defer cancel()
	grace := ctx
	for {
		e, err := events.Next(grace)
		if err != nil {
			return grace != ctx && ctx.Err() == nil
		}
		switch e := e.(type) {
		case chat.SyncEvent:
			if e.Done {
				return true
			}
		case chat.PersonEvent:
			if grace == ctx && !e.Me && e.Presence == chat.Here {
				var done context.CancelFunc
				grace, done = context.WithTimeout(ctx, passGrace)
				defer done()
			}
		}
	}
}

// readText reads a message from standard input.
func (a *app) readText() (string, error) {
	if isTerminal(a.in) {
		a.p.note("Type the message, then press Ctrl+D on a line of its own.")
	}
	b, err := io.ReadAll(io.LimitReader(a.in, chat.MaxText+1))
	if err != nil {
		return "", chat.Wrap(chat.CodeUsage, err, "Standard input can't be read: "+err.Error()+".", "Give the text as an argument.")
	}
	if len(b) > chat.MaxText {
		return "", chat.Errorf(chat.CodeTooLong, "The text is longer than %d bytes, the most that one message holds. Send a part of it, for example with head -c %d.", chat.MaxText, chat.MaxText)
	}
	return string(b), nil
}
