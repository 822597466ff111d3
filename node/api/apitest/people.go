package apitest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"earshot/chat"
)

// This file is who knows whom.

// Ask makes somebody's contact request arrive.
func (n *Node) Ask(from chat.Author, note string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if c := n.contacts[from.Person]; c != nil && c.Relation == chat.RelationRequested {
		n.befriend(from.Person)
		return
	}
	n.relate(from.Person, chat.RelationAsking, note)
}

// Befriend makes a person appear who is a contact.
func (n *Node) Befriend(name string) chat.Author {
	a := n.Appear(name)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.befriend(a.Person)
	return a
}

// Agree makes somebody accept the request that was made of them.
func (n *Node) Agree(who chat.PersonID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if c := n.contacts[who]; c == nil || c.Relation != chat.RelationRequested {
		panic("apitest: nobody has asked " + who.String())
	}
	n.befriend(who)
}

// Claim makes claimant go by the name of a verified contact: nothing is sent to
// either until DecideClaim.
func (n *Node) Claim(verified, claimant chat.PersonID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.contacts[verified]
	if c == nil || c.Relation != chat.RelationVerified {
		panic("apitest: nobody has verified " + verified.String())
	}
	c.Claimant = &claimant
	n.feed.Publish(chat.ContactEvent{Contact: *c})
}

// relate sets what a person is to this one, and tells. n.mu is held.
func (n *Node) relate(who chat.PersonID, r chat.Relation, note string) *chat.Contact {
	wasAsking := n.contacts[who] != nil && n.contacts[who].Relation == chat.RelationAsking
	n.change(who, func(p *chat.Person) { p.Relation = r })
	p, _ := n.known(who)
	c := &chat.Contact{Person: p, Note: chat.CleanName(note), Since: time.Now().UTC(), Waiting: r == chat.RelationRequested && p.Presence != chat.Here}
	if note == "" {
		c.Note = ""
	}
	if n.contacts[who] = c; r == chat.RelationStranger {
		delete(n.contacts, who)
	}
	n.feed.Publish(chat.ContactEvent{Contact: *c})
	if wasAsking || r == chat.RelationAsking {
		e := chat.TrayEvent{Requests: []chat.Contact{}}
		for _, c := range n.listed() {
			if c.Relation == chat.RelationAsking {
				e.Requests = append(e.Requests, c)
			}
		}
		n.feed.Publish(e)
	}
	return c
}

// befriend makes somebody a contact, with whom there is a direct chat. n.mu is held.
func (n *Node) befriend(who chat.PersonID) *chat.Contact {
	c := n.relate(who, chat.RelationContact, "")
	if n.directWith(who) == nil {
		n.enter(&room{Room: chat.Room{Room: "@" + c.Name, RoomID: newRoomID(), Kind: chat.RoomDirect, Person: &who, Members: 2}})
	}
	return c
}

// part ends a relation. n.mu is held.
func (n *Node) part(who chat.PersonID, r chat.Relation) {
	n.relate(who, r, "")
	if d := n.directWith(who); d != nil {
		p, _ := n.known(who)
		n.exit(d, p.Name+" is no contact any more.")
	}
}

func (n *Node) directWith(who chat.PersonID) *room {
	for _, r := range n.rooms {
		if r.Kind == chat.RoomDirect && *r.Room.Person == who {
			return r
		}
	}
	return nil
}

func (n *Node) known(who chat.PersonID) (chat.Person, bool) {
	i := slices.IndexFunc(n.people, func(p chat.Person) bool { return p.Person == who })
	if i < 0 {
		return chat.Person{}, false
	}
	return n.people[i], true
}

// listed returns the contacts in the order that Contacts promises.
func (n *Node) listed() []chat.Contact {
	var out []chat.Contact
	for _, c := range n.contacts {
		c.Person, _ = n.known(c.Person.Person)
		out = append(out, *c)
	}
	rank := map[chat.Relation]int{chat.RelationVerified: 1, chat.RelationContact: 1, chat.RelationRequested: 2, chat.RelationBlocked: 3}
	slices.SortFunc(out, func(a, b chat.Contact) int {
		return cmp.Or(rank[a.Relation]-rank[b.Relation], strings.Compare(a.Name, b.Name), bytes.Compare(a.Person.Person[:], b.Person.Person[:]))
	})
	return out
}

// minPrefix is how much of an id names something.
const minPrefix = 6

// byName returns the contacts of a name.
func (n *Node) byName(name string) []chat.Person {
	var out []chat.Person
	for _, c := range n.listed() {
		if c.Relation.Known() && strings.EqualFold(c.Name, name) {
			out = append(out, c.Person)
		}
	}
	return out
}

// person returns whom ref means.
func (n *Node) person(ref string) (chat.Person, error) {
	var found []chat.Person
	plain := func(s string) string { return strings.ToUpper(strings.ReplaceAll(s, "-", "")) }
	if begins := plain(ref); len(begins) >= minPrefix {
		for _, p := range n.people {
			if strings.HasPrefix(plain(p.Person.String()), begins) {
				found = append(found, p)
			}
		}
	}
	if len(found) == 0 {
		found = n.byName(ref)
	}
	switch len(found) {
	case 0:
		return chat.Person{}, chat.Errorf(chat.CodeNotFound, "No contact is called %.60q. Give the name of a contact, or the id of the person.", ref)
	case 1:
		return found[0], nil
	}
	return chat.Person{}, several(ref, found, nil)
}

// several is the error of a reference that fits more than one.
func several(ref string, people []chat.Person, rooms []*room) error {
	var list []string
	for _, p := range people {
		list = append(list, fmt.Sprintf("%s (%s)", p.Name, p.Person.Short()))
	}
	for _, r := range rooms {
		list = append(list, fmt.Sprintf("%s (%s)", r.Room.Room, r.RoomID.String()[:8]))
	}
	return chat.Errorf(chat.CodeAmbiguous, "%d fit %.60q: %s. Give the id of the one that is meant.", len(list), ref, strings.Join(list, ", "))
}

func (n *Node) FindPerson(_ context.Context, who string) (chat.Person, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fail != nil {
		return chat.Person{}, n.fail
	}
	return n.person(who)
}

func (n *Node) Contacts(context.Context) ([]chat.Contact, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.listed(), n.fail
}

func (n *Node) AddContact(_ context.Context, who chat.PersonID, note string) (chat.Contact, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p, ok := n.known(who)
	switch {
	case n.fail != nil:
		return chat.Contact{}, n.fail
	case !ok || p.Me:
		return chat.Contact{}, chat.Errorf(chat.CodeNotFound, "Nobody else here has that id. `earshot people` lists whom you have met.")
	case p.Relation == chat.RelationAsking:
		return *n.befriend(who), nil
	case p.Relation != chat.RelationStranger:
		return chat.Contact{}, chat.Errorf(chat.CodeUsage, "%s is %s already. See `earshot contacts`.", p.Name, p.Relation)
	}
	return *n.relate(who, chat.RelationRequested, note), nil
}

// step carries out f on somebody whose relation is one of these.
func (n *Node) step(who chat.PersonID, f func(), from ...chat.Relation) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	p, ok := n.known(who)
	switch {
	case n.fail != nil:
		return n.fail
	case !ok:
		return chat.Errorf(chat.CodeNotFound, "Nobody here has that id. `earshot people` lists whom you have met.")
	case !slices.Contains(from, p.Relation):
		return chat.Errorf(chat.CodeUsage, "%s is %s: that is not possible now. See `earshot contacts`.", p.Name, p.Relation)
	}
	f()
	return nil
}

func (n *Node) AcceptContact(_ context.Context, who chat.PersonID) error {
	return n.step(who, func() { n.befriend(who) }, chat.RelationAsking)
}

func (n *Node) DeclineContact(_ context.Context, who chat.PersonID) error {
	return n.step(who, func() { n.part(who, chat.RelationStranger) }, chat.RelationAsking)
}

func (n *Node) BlockPerson(_ context.Context, who chat.PersonID) error {
	return n.step(who, func() { n.part(who, chat.RelationBlocked) },
		chat.RelationStranger, chat.RelationRequested, chat.RelationAsking, chat.RelationContact, chat.RelationVerified)
}

func (n *Node) UnblockPerson(_ context.Context, who chat.PersonID) error {
	return n.step(who, func() { n.part(who, chat.RelationStranger) }, chat.RelationBlocked)
}

func (n *Node) ForgetContact(_ context.Context, who chat.PersonID) error {
	return n.step(who, func() { n.part(who, chat.RelationStranger) }, chat.RelationRequested, chat.RelationContact, chat.RelationVerified)
}

func (n *Node) DecideClaim(_ context.Context, verified, claimant chat.PersonID, same bool) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.contacts[verified]
	if n.fail != nil {
		return n.fail
	}
	if c == nil || c.Claimant == nil || *c.Claimant != claimant {
		return chat.Errorf(chat.CodeNotFound, "Nobody claims to be this contact. See `earshot contacts`.")
	}
	if c.Claimant = nil; same {
		n.part(verified, chat.RelationStranger)
		n.befriend(claimant)
		return nil
	}
	n.feed.Publish(chat.ContactEvent{Contact: *c})
	return nil
}

func (n *Node) Privacy(context.Context) (chat.Privacy, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.privacy, n.fail
}

func (n *Node) SetPrivacy(_ context.Context, p chat.Privacy) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fail != nil {
		return n.fail
	}
	n.privacy = p
	n.feed.Publish(chat.PrivacyEvent{Privacy: p})
	return nil
}
