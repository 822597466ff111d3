package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"earshot/chat"
	"earshot/node/api/client"
)

// This file is what is done about other people: requests, contacts, privacy.

// relation is how a person's relation is shown: a mark and words, so that neither
// colour nor a font with the mark is needed to tell.
func relation(p chat.Person) string {
	switch p.Relation {
	case chat.RelationVerified:
		return "✓ verified"
	case chat.RelationContact:
		return "• contact"
	case chat.RelationRequested:
		return "… you asked"
	case chat.RelationAsking:
		return "? asks you"
	case chat.RelationBlocked:
		return "✗ blocked"
	case chat.RelationStranger:
		return "stranger"
	}
	return string(p.Relation)
}

// called is a person as sentences name them: nobody can pass for another.
func called(p chat.Person) string {
	if strings.HasSuffix(p.Name, ")") { // bears its id already
		return cell(p.Name)
	}
	return cell(p.Name) + " (" + p.Person.Short() + ")"
}

// findPerson returns whom ref means. When it is the name of people who are no
// contacts, the error lists them with their ids.
func findPerson(ctx context.Context, c *client.Client, ref string) (chat.Person, error) {
	p, err := c.Person(ctx, strings.TrimPrefix(ref, "@"))
	if chat.CodeOf(err) != chat.CodeNotFound {
		return p, err
	}
	people, e := c.People(ctx)
	if e != nil {
		return p, err
	}
	var list []string
	for _, p := range findPeople(people, ref) {
		if !p.Me {
			list = append(list, called(p)+", "+relation(p))
		}
	}
	if len(list) == 0 {
		return p, err
	}
	return p, chat.Errorf(chat.CodeNotFound, "A name finds contacts only, since anybody can call themselves anything. Not a contact: %s. Give the id of the one you mean.", strings.Join(list[:min(len(list), 8)], "; "))
}

func runContacts(ctx context.Context, a *app, _ []string) error {
	return a.with(ctx, need{}, func(s *session) error {
		contacts, err := s.Contacts(ctx)
		if err != nil {
			return err
		}
		var rows [][]string
		asking := 0
		for _, c := range contacts {
			if a.p.json {
				if err := a.p.object(c); err != nil {
					return err
				}
				continue
			}
			what := relation(c.Person)
			if c.Waiting {
				what += ", not delivered yet"
			}
			if c.Relation == chat.RelationAsking {
				asking++
			}
			if c.Relation.Known() { // what was said to become one
				c.Note = ""
			}
			rows = append(rows, []string{c.Name, what, a.p.state(c.Person), c.Person.Person.Short(), c.Note})
		}
		if a.p.json {
			return nil
		}
		if err := a.p.table([]string{"NAME", "RELATION", "STATE", "PERSON", "NOTE"}, rows, "You have no contacts yet. `earshot people` lists who is here; ask with: earshot add PERSON"); err != nil {
			return err
		}
		for _, c := range contacts {
			if c.Claimant != nil {
				a.p.note("%s", claimed(c))
			}
		}
		if asking > 0 {
			a.p.note("Answer with: earshot accept PERSON, or: earshot decline PERSON")
		}
		return nil
	})
}

// claimed says that somebody goes by a verified contact's name.
func claimed(c chat.Contact) string {
	return fmt.Sprintf("Somebody with another key (%s) goes by the name of %s, whom you have verified: nothing is sent to either. Ask them by voice or face to face, then: earshot decide %s same, or: other",
		c.Claimant.Short(), cell(c.Name), c.Person.Person.Short())
}

func runAdd(ctx context.Context, a *app, args []string) error {
	return a.with(ctx, need{network: true}, func(s *session) error {
		p, err := findPerson(ctx, s.Client, args[0])
		if err != nil {
			return err
		}
		return s.passing(ctx, p, func() error {
			c, err := s.Add(ctx, p.Person.String(), a.opt.note)
			if err != nil {
				return err
			}
			if a.p.json {
				return a.p.object(c)
			}
			return a.p.line("%s", added(c))
		})
	})
}

// added says what a request has come to.
func added(c chat.Contact) string {
	switch {
	case c.Relation.Known():
		return called(c.Person) + " is a contact now."
	case c.Waiting && c.Presence != chat.Here:
		return called(c.Person) + " is asked to be a contact as soon as they can be reached."
	}
	return called(c.Person) + " has been asked to be a contact."
}

// passing does something of which another person must hear. A node that ends with
// this command stays until they have, but no longer than for a message.
func (s *session) passing(ctx context.Context, to chat.Person, do func() error) error {
	e, err := s.Endpoint()
	if err != nil {
		return err
	}
	if !e.Transient || s.app.opt.offline {
		return do()
	}
	events := s.Events(ctx, client.EventsFrom{})
	defer events.Close()
	if err := do(); err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, stay)
	defer cancel()
	for {
		contacts, err := s.Contacts(wait)
		i := slices.IndexFunc(contacts, func(c chat.Contact) bool { return c.Person.Person == to.Person })
		if err == nil && (i < 0 || !contacts[i].Waiting) {
			return nil
		}
		for {
			e, err := events.Next(wait)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				s.app.p.note("%s is not near. They are told the next time Earshot runs with them around.", called(to))
				return nil
			}
			if c, ok := e.(chat.ContactEvent); ok && c.Person.Person == to.Person {
				break
			}
		}
	}
}

// personAct is a thing to do to a person that needs no further words.
type personAct struct {
	// warn says what will happen, of what is dangerous; %s is the person.
	warn string
	do   func(c *client.Client, ctx context.Context, who string) error
	done string // says what has happened; %s is the person
	tell bool   // they must hear of it
}

var (
	accepting = personAct{do: (*client.Client).Accept, done: "%s is a contact now.", tell: true}
	declining = personAct{do: (*client.Client).Decline, done: "The request of %s is dropped. They are not told."}
	blocking  = personAct{
		warn: "You will hear nothing more from %s, and they see you as away. Your chat with them closes, and what was said stays here. They are not told.",
		do:   (*client.Client).Block, done: "%s is blocked.",
	}
	unblocking = personAct{do: (*client.Client).Unblock, done: "%s is a stranger again, and can ask to be a contact."}
	forgetting = personAct{
		warn: "%s becomes a stranger: your chat closes, and what was said stays here. To talk in private again, one of you has to ask anew. They are not told.",
		do:   (*client.Client).Forget, done: "%s is a stranger now.",
	}
)

func (act personAct) run(ctx context.Context, a *app, args []string) error {
	return a.with(ctx, need{network: act.tell}, func(s *session) error {
		p, err := findPerson(ctx, s.Client, args[0])
		if err != nil {
			return err
		}
		if act.warn != "" {
			if err := a.sure(ctx, fmt.Sprintf(act.warn, called(p))); err != nil {
				return err
			}
		}
		do := func() error {
			if err := act.do(s.Client, ctx, p.Person.String()); err != nil {
				return err
			}
			if !a.p.json {
				return a.p.line(act.done, called(p))
			}
			if p, err = s.Person(ctx, p.Person.String()); err != nil {
				return err
			}
			return a.p.object(p)
		}
		if act.tell {
			return s.passing(ctx, p, do)
		}
		return do()
	})
}

// sayAccept and sayDecline answer invitations to rooms too.
func sayAccept(ctx context.Context, c *client.Client, room, args string) (string, error) {
	if !strings.HasPrefix(args, "#") {
		return accepting.say(ctx, c, room, args)
	}
	r, err := c.AcceptInvitation(ctx, args)
	if err != nil {
		return "", err
	}
	return entered(r), nil
}

func sayDecline(ctx context.Context, c *client.Client, room, args string) (string, error) {
	if !strings.HasPrefix(args, "#") {
		return declining.say(ctx, c, room, args)
	}
	if err := c.DeclineInvitation(ctx, args); err != nil {
		return "", err
	}
	return "You have declined.", nil
}

// say carries out a slash command of what is not dangerous.
func (act personAct) say(ctx context.Context, c *client.Client, _, args string) (string, error) {
	p, err := findPerson(ctx, c, args)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(act.done, called(p)), act.do(c, ctx, p.Person.String())
}

func runDecide(ctx context.Context, a *app, args []string) error {
	same := args[1] == "same"
	if !same && args[1] != "other" {
		return chat.Errorf(chat.CodeUsage, "Is it the same person with a new key, or another one? Say same or other, not %q.", cell(args[1]))
	}
	return a.with(ctx, need{}, func(s *session) error {
		p, err := findPerson(ctx, s.Client, args[0])
		if err != nil {
			return err
		}
		contacts, err := s.Contacts(ctx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(contacts, func(c chat.Contact) bool {
			return c.Claimant != nil && (c.Person.Person == p.Person || *c.Claimant == p.Person)
		})
		if i < 0 {
			return chat.Errorf(chat.CodeNotFound, "Nobody goes by the name of %s with another key. See `earshot contacts`.", called(p))
		}
		c := contacts[i]
		if same {
			what := fmt.Sprintf("The new key (%s) takes the place of the one you have verified (%s): what you send %s goes to the new one. It is not verified.",
				c.Claimant.Short(), c.Person.Person.Short(), cell(c.Name))
			if err := a.sure(ctx, what); err != nil {
				return err
			}
		}
		if err := s.Decide(ctx, c.Person.Person.String(), c.Claimant.String(), same); err != nil {
			return err
		}
		who := c.Person.Person
		if same {
			who = *c.Claimant
		}
		if a.p.json {
			if p, err = s.Person(ctx, who.String()); err != nil {
				return err
			}
			return a.p.object(p)
		}
		if same {
			return a.p.line("%s has a new key (%s). Verify it: earshot verify %s", cell(c.Name), who.Short(), who.Short())
		}
		return a.p.line("%s is another person of that name. You can send to %s again.", c.Claimant.Short(), called(c.Person))
	})
}
