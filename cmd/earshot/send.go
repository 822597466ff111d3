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
	// stay is how long a node that was started for one message stays to give it
	// to others.
	stay = 2 * time.Second
	// passGrace is what a neighbour gets to take the message once it is here, if
	// the node does not say sooner that it has caught up (guess).
	passGrace = 500 * time.Millisecond
)

func runSend(ctx context.Context, a *app, args []string) error {
	if err := a.checkWait(); err != nil {
		return err
	}
	text, err := a.textOf(args[1:])
	if err != nil {
		return err
	}
	return a.with(ctx, need{network: true}, func(s *session) error {
		room, err := s.Room(ctx, args[0])
		if err != nil {
			return notContact(ctx, s.Client, args[0], err)
		}
		draft := chat.Draft{Text: text}
		if a.opt.reply != "" {
			m, err := s.Message(ctx, a.opt.reply)
			if err != nil {
				return err
			}
			draft.ReplyTo = &m.ID
		}
		if a.opt.wait != "" {
			return s.sendAndWait(ctx, room, draft)
		}
		return s.passOn(ctx, room, func() error {
			m, err := s.Send(ctx, room.RoomID.String(), draft)
			switch {
			case err != nil:
				return err
			case a.p.json:
				return a.p.message(m, false)
			}
			return a.p.line("%s", m.ID)
		})
	})
}

// passOn does something of which those in a room must hear. A node that ends with
// this command stays until somebody had the time to take it.
func (s *session) passOn(ctx context.Context, room chat.Room, do func() error) error {
	e, err := s.Endpoint()
	if err != nil {
		return err
	}
	if !e.Transient || s.app.opt.offline {
		return do()
	}
	events := s.Events(ctx, client.EventsFrom{})
	defer events.Close()
	if err := do(); err != nil || passedOn(ctx, events, room.Person) {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	nobody := "Nobody was near."
	if room.Person != nil {
		nobody = cell(strings.TrimPrefix(room.Room, "@")) + " was not near."
	}
	s.app.p.note("%s It is kept here and passed on the next time Earshot runs with others around.", nobody)
	return nil
}

// notContact makes more of the error that nothing is called ref, if people are who
// are no contacts.
func notContact(ctx context.Context, c *client.Client, ref string, err error) error {
	if chat.CodeOf(err) != chat.CodeNotFound || strings.HasPrefix(ref, "#") {
		return err
	}
	p, e := findPerson(ctx, c, ref)
	switch {
	case e == nil: // an id finds anybody
		return chat.Errorf(chat.CodeNotContact, "%s is not a contact. Ask with: earshot add %s", called(p), p.Person.Short())
	case strings.Contains(e.Error(), "Not a contact: "):
		return e
	}
	return err
}

// passedOn waits until a neighbour has had the time to take what was sent: to, or
// anybody where that is nil.
func passedOn(ctx context.Context, events *client.Stream, to *chat.PersonID) bool {
	ctx, cancel := context.WithTimeout(ctx, stay)
	defer cancel()
	grace := ctx
	theirs := map[chat.DeviceID]bool{}
	for {
		e, err := events.Next(grace)
		if err != nil {
			return grace != ctx && ctx.Err() == nil
		}
		switch e := e.(type) {
		case chat.SyncEvent:
			if e.Done && (to == nil || theirs[e.Device]) {
				return true
			}
		case chat.PersonEvent:
			wanted := !e.Me && (to == nil || e.Person.Person == *to)
			for _, d := range e.Devices {
				theirs[d.Device] = wanted
			}
			if grace == ctx && wanted && e.Presence == chat.Here {
				var done context.CancelFunc
				grace, done = context.WithTimeout(ctx, passGrace)
				defer done()
			}
		}
	}
}

// textOf returns what is to be said: the arguments or, without any or with -, what
// stands on standard input.
func (a *app) textOf(args []string) (string, error) {
	if len(args) == 0 || len(args) == 1 && args[0] == "-" {
		return a.readText()
	}
	return strings.Join(args, " "), nil
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
