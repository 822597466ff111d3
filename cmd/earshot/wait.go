package main

import (
	"context"
	"fmt"
	"strings"

	"earshot/chat"
	"earshot/cmd/earshot/wording"
	"earshot/node/api/client"
)

// This file is how send waits until a message has arrived.

// checkWait says what is wrong with --wait and --timeout.
func (a *app) checkWait() error {
	switch {
	case a.opt.wait == "" && a.opt.timeout != defaultWait:
		return chat.Errorf(chat.CodeUsage, "--timeout says how long to wait, and nothing is waited for. Add --wait %s or --wait %s.", chat.StateDelivered, chat.StateRead)
	case a.opt.wait == "":
		return nil
	case a.opt.wait != chat.StateDelivered && a.opt.wait != chat.StateRead:
		return chat.Errorf(chat.CodeUsage, "A message can't be waited for until it is %q. Say %s or %s.", cell(a.opt.wait), chat.StateDelivered, chat.StateRead)
	case a.opt.timeout <= 0:
		return chat.Errorf(chat.CodeUsage, "--timeout %v is no time to wait. Give one such as 30s or 5m.", a.opt.timeout)
	case a.opt.offline:
		return chat.Errorf(chat.CodeUsage, "Nothing is delivered with --offline. Leave out one of --wait and --offline.")
	}
	return nil
}

// sendAndWait sends a message, says which it is, and returns once it has come as far
// as was asked for with everybody it is for.
func (s *session) sendAndWait(ctx context.Context, room chat.Room, d chat.Draft) error {
	p, wanted := s.app.p, s.app.opt.wait
	switch {
	case !room.Kind.Sealed():
		return chat.Errorf(chat.CodeUsage, "%s is open: anyone may come and read, so nobody keeps count of who has it. --wait works with contacts and in private rooms.", cell(room.Room))
	case room.Kind == chat.RoomPrivate && room.Members < 2:
		return chat.Errorf(chat.CodeUsage, "You are alone in %s: there is nobody to wait for. Invite somebody with: earshot room invite", cell(room.Room))
	}
	// The stream begins before the message is sent, so that nothing falls between.
	events := s.Events(ctx, client.EventsFrom{})
	defer events.Close()
	sent, err := s.Send(ctx, room.RoomID.String(), d)
	if err != nil {
		return err
	}
	if !p.json { // whatever follows, this one is said
		if err := p.line("%s", sent.ID); err != nil {
			return err
		}
	}
	m, err := s.arrival(ctx, events, sent)
	if err != nil {
		return err
	}
	if p.json {
		if err := p.object(m); err != nil {
			return err
		}
	}
	if m.State == nil || !wording.Reached(*m.State, wanted) {
		return s.notYet(ctx, m)
	}
	if !p.json {
		return p.line("%s", wording.State(*m.State))
	}
	return nil
}

// arrival returns the message once it has come as far as wanted, or the time is up.
func (s *session) arrival(ctx context.Context, events *client.Stream, sent chat.Message) (chat.MessageDetail, error) {
	opt := s.app.opt
	wait, cancel := context.WithTimeout(ctx, opt.timeout)
	defer cancel()
	last := chat.MessageDetail{Message: sent}
	for {
		m, err := s.Message(ctx, sent.ID.String())
		if err != nil {
			return last, err
		}
		if last = m; m.State != nil && wording.Reached(*m.State, opt.wait) || m.Removed != nil {
			return last, nil
		}
		if err := nextAbout(wait, events, sent); err != nil {
			if ctx.Err() == nil && wait.Err() != nil {
				err = nil
			}
			return last, err
		}
	}
}

// nextAbout waits for an event after which a message may have come further.
func nextAbout(ctx context.Context, events *client.Stream, m chat.Message) error {
	for {
		e, err := events.Next(ctx)
		if err != nil {
			return err
		}
		switch e := e.(type) {
		case chat.ReadyEvent, chat.GapEvent: // some may have been missed
			return nil
		case chat.StatesEvent:
			if e.RoomID == m.RoomID {
				return nil
			}
		case chat.MessageChangedEvent:
			if e.ID == m.ID {
				return nil
			}
		}
	}
}

// notYet says how far a message came before the time was up, and who is missing.
func (s *session) notYet(ctx context.Context, m chat.MessageDetail) error {
	if m.Removed != nil {
		return chat.Errorf(chat.CodeNotYet, "The message was removed before it was %s. Nothing more happens to it.", s.app.opt.wait)
	}
	how := "it is not known where it is"
	if m.State != nil {
		how = "it is " + wording.State(*m.State)
	}
	var missing []string
	for _, r := range m.Recipients {
		if r.State == chat.StateRead || r.State == s.app.opt.wait {
			continue
		}
		at := ""
		if !r.At.IsZero() {
			at = s.app.p.stamp(r.At)
		}
		missing = append(missing, cell(r.Name)+": "+strings.TrimSuffix(cell(wording.Recipient(r, at)), "."))
	}
	if more := len(missing) - maxMissing; more > 0 {
		missing = append(missing[:maxMissing], fmt.Sprintf("and %d more", more))
	}
	text := fmt.Sprintf("After %v %s.", s.app.opt.timeout, how)
	if len(missing) > 0 {
		text += " " + strings.Join(missing, "; ") + "."
	}
	if held := wording.Held(m, deviceLabels(ctx, s.Client)); held != "" {
		text += " It is " + cell(held) + "."
	}
	return chat.Errorf(chat.CodeNotYet, "%s It goes on by itself; see `earshot message %s`.", text, m.ID.Short())
}

// maxMissing bounds the people that one sentence lists.
const maxMissing = 8
