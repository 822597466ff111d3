package node

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"earshot/chat"
	"earshot/chat/contacts"
)

// This file is what the local API asks about other people.

// FindPerson returns whom a person means: anybody by a whole id, whoever is known
// here by at least its first 6 characters, a contact by name too.
func (n *Node) FindPerson(ctx context.Context, who string) (chat.Person, error) {
	return inLoop(ctx, n, func(c *core) (chat.Person, error) {
		id, err := c.findPerson(who)
		if err != nil {
			return chat.Person{}, err
		}
		if p, ok := c.people.person(id); ok {
			return p, nil
		}
		return c.bare(id), nil
	})
}

// findPerson resolves what a person typed. A name finds contacts only.
func (c *core) findPerson(who string) (chat.PersonID, error) {
	if id, err := chat.ParsePersonID(who); err == nil {
		return id, nil // also of somebody who has never been here
	}
	known := c.contactNames()
	if prefix := typedPrefix(who); prefix != "" {
		// A stranger has no name here, just an id.
		for id := range c.people.persons {
			if strings.HasPrefix(strings.ReplaceAll(id.String(), "-", ""), prefix) && !c.circle.engine.Relation(id).Known() {
				known = append(known, contacts.Named{Person: id, Name: c.people.persons[id].name})
			}
		}
	}
	found, err := contacts.Resolve(who, known)
	var ambiguous *contacts.Ambiguous
	if errors.As(err, &ambiguous) {
		e := *chat.AsError(err)
		e.Code = chat.CodeAmbiguous
		return chat.PersonID{}, &e
	}
	if err != nil {
		if asking := c.askingAs(who); asking != nil {
			return chat.PersonID{}, asking
		}
	}
	return found.Person, err
}

// askingAs returns, as an error, that somebody by a name waits in the tray: a name is
// no address of theirs before they are accepted. Nil if nobody does.
func (c *core) askingAs(name string) error {
	for _, r := range c.circle.engine.Tray() {
		if contacts.Alike(name, r.Name) {
			return chat.Errorf(chat.CodeNotContact, "%s (%s) has asked to become a contact, and a name finds contacts only. Accept them first: earshot accept %s",
				r.Name, r.Person.Short(), r.Person.Short())
		}
	}
	return nil
}

// typedPrefix returns the beginning of an id as somebody types it, "" if s is none.
func typedPrefix(s string) string {
	s = strings.NewReplacer("-", "", " ", "", "0", "O", "1", "I", "8", "B").Replace(strings.ToUpper(s))
	if len(s) < len(chat.PersonID{}.Short()) {
		return ""
	}
	return s
}

// Contacts returns everybody with whom there is a relation: first who is asking,
// then contacts, requested and blocked, each by name.
func (n *Node) Contacts(ctx context.Context) ([]chat.Contact, error) {
	out, err := inLoop(ctx, n, func(c *core) ([]chat.Contact, error) {
		all := []chat.Contact{}
		for _, r := range c.circle.engine.Records() {
			if r.Relation != contacts.Stranger {
				all = append(all, c.contactOf(r))
			}
		}
		return all, nil
	})
	rank := map[chat.Relation]int{chat.RelationAsking: 0, chat.RelationContact: 1, chat.RelationVerified: 1, chat.RelationRequested: 2, chat.RelationBlocked: 3}
	slices.SortStableFunc(out, func(a, b chat.Contact) int {
		return cmp.Or(rank[a.Relation]-rank[b.Relation], strings.Compare(a.Name, b.Name))
	})
	return out, err
}

// decide has the contacts engine take a decision of this person's, and waits until
// it is stored.
func (n *Node) decide(ctx context.Context, in contacts.Input) error {
	decided := make(chan error, 1)
	if err := n.tell(ctx, func(c *core) { c.contact(in, func(err error) { decided <- err }) }); err != nil {
		return err
	}
	select {
	case err := <-decided:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-n.loopDone:
		return errStopping()
	}
}

// AddContact asks somebody to become a contact, or takes their request if they have
// asked.
func (n *Node) AddContact(ctx context.Context, who chat.PersonID, note string) (chat.Contact, error) {
	return n.decideOn(ctx, who, contacts.Add{Person: who, Note: note})
}

// AcceptContact takes a request in the tray.
func (n *Node) AcceptContact(ctx context.Context, who chat.PersonID) error {
	return n.decide(ctx, contacts.Accept{Person: who})
}

// DeclineContact drops a request. They are not told.
func (n *Node) DeclineContact(ctx context.Context, who chat.PersonID) error {
	return n.decide(ctx, contacts.Decline{Person: who})
}

// BlockPerson ends every relation: they see what they would of one who is away.
func (n *Node) BlockPerson(ctx context.Context, who chat.PersonID) error {
	return n.decide(ctx, contacts.Block{Person: who})
}

// UnblockPerson makes a blocked person a stranger.
func (n *Node) UnblockPerson(ctx context.Context, who chat.PersonID) error {
	return n.decide(ctx, contacts.Unblock{Person: who})
}

// ForgetContact makes a contact a stranger, or withdraws a request.
func (n *Node) ForgetContact(ctx context.Context, who chat.PersonID) error {
	return n.decide(ctx, contacts.Forget{Person: who})
}

// SetGroups puts a contact into these groups and no others.
func (n *Node) SetGroups(ctx context.Context, who chat.PersonID, groups []string) (chat.Contact, error) {
	return n.decideOn(ctx, who, contacts.Group{Person: who, Groups: groups})
}

// SetTeam says whether a contact is of the team.
func (n *Node) SetTeam(ctx context.Context, who chat.PersonID, team bool) (chat.Contact, error) {
	return n.decideOn(ctx, who, contacts.SetTeam{Person: who, Team: team})
}

// decideOn decides something about somebody, and returns them as they are then.
func (n *Node) decideOn(ctx context.Context, who chat.PersonID, in contacts.Input) (chat.Contact, error) {
	if err := n.decide(ctx, in); err != nil {
		return chat.Contact{}, err
	}
	return inLoop(ctx, n, func(c *core) (chat.Contact, error) { return c.contactOf(c.circle.engine.Record(who)), nil })
}

// DecideClaim says whether the claimant is the verified contact with a new root key,
// who is then asked to be a contact again, or somebody else of that name.
func (n *Node) DecideClaim(ctx context.Context, verified, claimant chat.PersonID, same bool) error {
	err := n.decide(ctx, contacts.Decide{Verified: verified, Claimant: claimant, Same: same})
	if err != nil || !same {
		return err
	}
	err = n.decide(ctx, contacts.Add{Person: claimant})
	if chat.CodeOf(err) == chat.CodeUsage || chat.CodeOf(err) == chat.CodeBusy {
		return nil // a contact already, or just asked
	}
	return err
}
