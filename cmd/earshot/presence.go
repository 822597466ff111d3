package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"earshot/chat"
	"earshot/chat/phrase"
	"earshot/node/api/client"
)

// This file is whether others are free.

// watchTimeout is what calling off may take, when the command itself was called off.
const watchTimeout = 2 * time.Second

// outcome ends a command that has said all there is to say, with an exit code for
// scripts.
type outcome int

func (o outcome) Error() string { return fmt.Sprintf("exit code %d", int(o)) }

// outcomeOf is the exit code that tells how somebody is.
func outcomeOf(p client.Presence) outcome {
	if p.Presence != chat.Here {
		return exitGone
	}
	switch p.Status.State {
	case chat.Available:
		return exitOK
	case chat.Away:
		return exitAway
	case chat.Busy, chat.InMeeting, chat.DoNotDisturb:
		return exitOccupied
	case chat.Offline: // only this person is told so
		return exitGone
	}
	return exitUntold
}

// runPresence asks the node that runs, and starts none: a status bar asks every few
// seconds, and a node that has just begun knows of nobody.
func runPresence(ctx context.Context, a *app, args []string) (err error) {
	c, err := client.Open(ctx, a.home)
	if err != nil {
		return err
	}
	defer c.Close()
	p, err := whose(ctx, c, args[0])
	if err != nil {
		return err
	}
	if !a.opt.following {
		if err := a.p.presence(p, a.opt.line); err != nil {
			return err
		}
		if code := outcomeOf(p); code != exitOK {
			return code
		}
		return nil
	}
	ctx, done := untilReaderGone(ctx, a.p.out)
	defer func() { err = done(err) }()
	return c.FollowPresence(ctx, client.Whose{Who: p.Person.String()}, func(now []client.Presence) error {
		for _, p := range now {
			if err := a.p.presence(p, a.opt.line); err != nil {
				return err
			}
		}
		return nil
	})
}

// whose returns how the one is whom ref means: an e-mail address, or else what
// findPerson takes. What looks like an address is never a name, since contacts can call
// themselves by the address of another.
func whose(ctx context.Context, c *client.Client, ref string) (client.Presence, error) {
	ask := client.Whose{Email: ref}
	if strings.IndexByte(ref, '@') < 1 { // "@Bob" is a name
		p, err := findPerson(ctx, c, ref)
		if err != nil {
			return client.Presence{}, err
		}
		ask = client.Whose{Who: p.Person.String()}
	}
	found, err := c.Presence(ctx, ask)
	switch {
	case err != nil:
		return client.Presence{}, err
	case len(found) == 0:
		return client.Presence{}, chat.Errorf(chat.CodeNotFound, "Nobody is %q any more. Ask again.", cell(ref))
	case len(found) > 1:
		return client.Presence{}, severalHave(ref, found)
	}
	return found[0], nil
}

// severalHave is the error of an e-mail address that several contacts say is theirs.
func severalHave(email string, found []client.Presence) error {
	var list []string
	for _, p := range found[:min(len(found), maxMissing)] {
		who := chat.Person{Person: p.Person, Name: p.Name, Relation: p.Relation}
		list = append(list, called(who)+", "+relation(who))
	}
	return chat.Errorf(chat.CodeAmbiguous, "%d contacts say that %s is theirs: %s. Give the id of the one you mean.", len(found), cell(email), strings.Join(list, "; "))
}

// presence prints how somebody is.
func (p *printer) presence(now client.Presence, line bool) error {
	switch {
	case p.json:
		return p.object(now)
	case line:
		return p.line("%s", cell(now.Line))
	}
	who := chat.Person{
		Person: now.Person, Name: now.Name, Relation: now.Relation, Presence: now.Presence,
		Status: now.Status, Suspect: now.Suspect, LastSeen: now.LastSeen,
	}
	rows := append([][2]string{{"Name", now.Name}, {"Person", now.Person.String()}}, p.stateFields(who)...)
	if now.Email != "" {
		rows = append(rows, [2]string{"E-mail", now.Email})
	}
	return p.fields(rows)
}

// stateFields says how somebody is.
func (p *printer) stateFields(who chat.Person) [][2]string {
	now := p.now().In(p.zone)
	rows := [][2]string{{"State", phrase.Mark(who) + " " + phrase.Person(who, now)}}
	if text := phrase.Text(who.Status.At(now), now); text != "" {
		rows = append(rows, [2]string{"Text", text})
	}
	return rows
}

func runWatch(ctx context.Context, a *app, args []string) error {
	if a.opt.patience < 0 || a.opt.leave && a.opt.patience != 0 {
		return chat.Errorf(chat.CodeUsage, "--timeout %v says not how long to wait here. Give a time such as 2h, and no --leave beside it.", a.opt.patience)
	}
	return a.with(ctx, need{network: true, lasting: !a.opt.leave}, func(s *session) error {
		p, err := findPerson(ctx, s.Client, args[0])
		if err != nil {
			return err
		}
		if a.opt.leave {
			return s.leaveWatching(ctx, p)
		}
		return s.waitFor(ctx, p)
	})
}

// leaveWatching has the node tell that somebody is free, after this command.
func (s *session) leaveWatching(ctx context.Context, p chat.Person) error {
	e, err := s.Endpoint()
	switch {
	case err != nil:
		return err
	case e.Transient:
		return chat.Errorf(chat.CodeUnreachable, "No node goes on running that could tell you. Start one with `earshot daemon`, or wait here without --leave.")
	}
	if err := s.Watch(ctx, p.Person.String()); err != nil {
		return err
	}
	if s.app.p.json {
		if p, err = s.Person(ctx, p.Person.String()); err != nil {
			return err
		}
		return s.app.p.object(p)
	}
	return s.app.p.line("%s", watching(p))
}

func watching(p chat.Person) string { return "You are told once when " + called(p) + " is free." }

// waitFor returns once somebody is free, or the time is up.
func (s *session) waitFor(ctx context.Context, p chat.Person) (err error) {
	wait, cancel := ctx, context.CancelFunc(func() {})
	if s.app.opt.patience > 0 {
		wait, cancel = context.WithTimeout(ctx, s.app.opt.patience)
	}
	defer cancel()
	events := s.Events(wait, client.EventsFrom{})
	defer events.Close()
	id := p.Person.String()
	told := false
	defer func() {
		if told || p.Watched { // by another face, which goes on waiting
			return
		}
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), watchTimeout)
		defer cancel()
		if e := s.Unwatch(end, id); e != nil && chat.CodeOf(e) != chat.CodeUnreachable {
			err = errors.Join(err, e)
		}
	}()
	free, err := s.nextFree(wait, events, id)
	switch {
	case err == nil:
		told = true
		return s.app.p.free(free)
	case ctx.Err() == nil && wait.Err() != nil:
		return chat.Errorf(chat.CodeNotYet, "%s was not free within %v. Wait longer, or have the node tell you: earshot watch %s --leave", called(p), s.app.opt.patience, p.Person.Short())
	}
	return err
}

// nextFree watches somebody and returns when they are free.
func (s *session) nextFree(ctx context.Context, events *client.Stream, who string) (chat.FreeEvent, error) {
	for {
		e, err := events.Next(ctx)
		if err != nil {
			return chat.FreeEvent{}, err
		}
		switch e := e.(type) {
		case chat.ReadyEvent: // also of a node that has taken over
			if err := s.Watch(ctx, who); err != nil {
				return chat.FreeEvent{}, err
			}
		case chat.FreeEvent:
			if e.Person.Person.String() == who {
				return e, nil
			}
		}
	}
}

// free says that somebody is free who was waited for.
func (p *printer) free(e chat.FreeEvent) error {
	if p.json {
		return p.event(e)
	}
	now := p.now().In(p.zone)
	text := phrase.Text(e.Status.At(now), now)
	if text != "" {
		text = ": " + text
	}
	return p.line("%s %s is free%s", p.stamp(now), called(e.Person), text)
}

func sayWatch(ctx context.Context, c *client.Client, _, args string) (string, error) {
	p, err := findPerson(ctx, c, args)
	if err != nil {
		return "", err
	}
	return watching(p), c.Watch(ctx, p.Person.String())
}
