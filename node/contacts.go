package node

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"earshot/chat"
	"earshot/chat/contacts"
	"earshot/chat/wire"
	"earshot/node/store"
)

// This file carries out what the contacts engine wants, and is what others ask of
// it: who may be sent to, and what may be shown.

// circle is who knows whom here, and what goes with it. The loop owns it.
type circle struct {
	engine  *contacts.Engine
	privacy contacts.Privacy
	moved   bool // whom things are for has changed, and what is told has yet to follow
	// chats are the direct chats that have been opened, by contact.
	chats   map[chat.PersonID][32]byte
	blocked map[chat.PersonID]struct{}
	held    map[chat.PersonID]struct{} // verified contacts whose name somebody claims
	// warned are those of whom faces have been warned that they go by such a name.
	warned map[chat.PersonID]struct{}
	// unsaved are relations that the store did not take; they are tried again at
	// retryAt.
	unsaved map[chat.PersonID]struct{}
	retryAt time.Time

	verifications map[chat.PersonID]*verification
}

// maxWarned bounds the people whose warning is remembered, so that it is not said
// each time they come (guess).
const maxWarned = 1024

// saveAgain is how long a relation that the store did not take waits.
const saveAgain = 5 * time.Second

// newCircle builds the circle from what the store holds, and tells people who is
// in it.
func (n *Node) newCircle(ctx context.Context, p *people) (*circle, error) {
	state, err := n.store.State(ctx, "contact")
	if err != nil {
		return nil, err
	}
	c := &circle{
		engine: contacts.New(contacts.Config{
			Key: n.keys.Device, Certificate: n.keys.Cert, Name: n.name, NewNonce: newNonce,
		}),
		chats: map[chat.PersonID][32]byte{}, blocked: map[chat.PersonID]struct{}{}, held: map[chat.PersonID]struct{}{}, warned: map[chat.PersonID]struct{}{},
		unsaved: map[chat.PersonID]struct{}{}, verifications: map[chat.PersonID]*verification{},
	}
	if c.privacy, err = n.loadPrivacy(ctx); err != nil {
		return nil, err
	}
	var restore contacts.Restore
	for key, value := range state {
		if !strings.HasPrefix(key, recordPrefix) {
			continue
		}
		r, err := decodeRecord(value)
		if err != nil {
			return nil, chat.Wrap(chat.CodeHomeBroken, err, "What this home knows of your contacts can't be read.",
				"Restore a backup: earshot restore FILE")
		}
		restore.Records = append(restore.Records, r)
	}
	c.engine.Handle(time.Now(), restore)
	p.relation = c.engine.Relation
	p.sorting = func(who chat.PersonID) contacts.Sorting { return c.engine.Record(who).Sorting }
	for _, r := range restore.Records {
		if r.Relation == contacts.Stranger {
			continue
		}
		per := p.remember(r.Person, r.Name)
		if root := state[rootKey(r.Person)]; len(root) > 0 {
			per.root = root
		}
		if !r.Claimant.IsZero() {
			c.held[r.Person] = struct{}{}
		}
		if r.Relation == contacts.Blocked {
			c.blocked[r.Person] = struct{}{}
		}
	}
	p.takeRenamed() // nobody has been told otherwise
	return c, nil
}

// openChats opens the direct chats of the contacts of earlier runs.
func (c *core) openChats() {
	for _, r := range c.circle.engine.Records() {
		c.settleChat(r)
	}
	c.warnHeld()
	c.warnHidden()
}

// settleChat opens or closes the direct chat of a relation, as it is now.
func (c *core) settleChat(r contacts.Record) {
	id, open := c.circle.chats[r.Person]
	wanted := r.Relation.Known() && r.Chat != [32]byte{}
	if open && (!wanted || id != r.Chat) {
		delete(c.circle.chats, r.Person)
		c.directClosed(r.Person, id)
		open = false
	}
	if wanted && !open {
		c.circle.chats[r.Person] = r.Chat
		c.directOpened(r.Person, r.Chat)
	}
}

// afterwards is what is done about an input once all that it changed is stored, in
// this order. It is not done in the loop.
type afterwards struct {
	events []chat.Event
	frames []letter
	// then, unless nil, is told how it ended: nil, or why nothing was done. It is
	// called exactly once.
	then func(error)
}

// contact hands an input to the contacts engine and carries out what it wants. then
// is as in afterwards.
func (c *core) contact(in contacts.Input, then func(error)) {
	changed, after, denied := c.settle(in)
	after.then = then
	if denied != nil {
		if then != nil {
			then(denied)
		}
		return
	}
	c.save(changed, after)
	c.follow(changed)
}

// settle does what can be done at once of what the engine wants: the rest waits for
// the store to take what changed, the last record of each person.
func (c *core) settle(in contacts.Input) (changed []contacts.Record, after afterwards, denied error) {
	for _, ef := range c.circle.engine.Handle(c.now, in) {
		switch ef := ef.(type) {
		case contacts.Persist:
			if ef.Moved {
				c.circle.moved = true
				c.settleProfile(ef.Record)
				c.settleException(ef.Record)
			}
			changed = slices.DeleteFunc(changed, func(r contacts.Record) bool { return r.Person == ef.Record.Person })
			changed = append(changed, ef.Record)
		case contacts.Send:
			if who, d := ef.Person, ef.Device; c.revokedBy(who, d) { // since they were met
				c.n.soon(func(c *core) { c.contact(contacts.Left{Person: who, Device: d}, nil) })
				continue
			}
			if nb := c.neighbours[ef.Device]; nb != nil && nb.peer != nil {
				after.frames = append(after.frames, letter{nb.peer, wire.EncodeFrame(wire.Contact{Message: ef.Message})})
			}
		case contacts.Confirm:
			if nb := c.neighbours[ef.Device]; nb != nil && nb.peer != nil {
				after.frames = append(after.frames, letter{nb.peer, wire.EncodeFrame(wire.ContactAck{ID: ef.ID[:]})})
			}
		case contacts.Tray:
			ev := chat.TrayEvent{Requests: []chat.Contact{}}
			for _, r := range ef.Requests {
				c.people.remember(r.Person, r.Name)
				ev.Requests = append(ev.Requests, c.contactOf(r))
			}
			after.events = append(after.events, ev)
		case contacts.Claim:
			c.claimed(ef)
		case contacts.Refuse:
			c.refuse(ef.From, ef.Err)
		case contacts.Deny:
			denied = ef.Err
		}
	}
	var related []chat.Event
	for _, r := range changed {
		related = append(related, c.related(r)...)
	}
	after.events = append(related, after.events...)
	after.frames = append(after.frames, c.contactLetters(changed)...)
	return changed, after, denied
}

// follow does what follows from relations that have changed, which may change more:
// what is stored of them is on its way before.
func (c *core) follow(changed []contacts.Record) {
	for _, r := range changed {
		c.settleChat(r)
		c.settleDoors(r)
		c.watchAnew(r.Person)
		if !r.Relation.Known() {
			c.endVerification(r.Person, "You are no contacts any more.")
		}
	}
	if len(changed) > 0 {
		c.introduce()
		c.reviewPresence()
	}
}

// related notes that a relation has changed, and returns what faces are to be told.
func (c *core) related(r contacts.Record) []chat.Event {
	if r.Relation != contacts.Stranger {
		c.people.remember(r.Person, r.Name)
	}
	was := len(c.circle.held)
	delete(c.circle.held, r.Person)
	if !r.Claimant.IsZero() {
		c.circle.held[r.Person] = struct{}{}
	}
	if was+len(c.circle.held) > 0 {
		c.warnHeld()
	}
	events := []chat.Event{chat.ContactEvent{Contact: c.contactOf(r)}}
	if p, ok := c.people.person(r.Person); ok {
		events = append(events, chat.PersonEvent{Person: p})
	}
	return events
}

// save has the store take relations; what is to be done afterwards is done when it
// has, or not at all.
func (c *core) save(changed []contacts.Record, after afterwards) {
	n := c.n
	var changes []store.StateChange
	for _, r := range changed {
		changes = append(changes, c.stored(r)...)
	}
	done := func(err error) {
		if err == nil {
			for _, ev := range after.events {
				n.feed.Publish(ev)
			}
			for _, f := range after.frames {
				f.to.TrySend(f.frame)
			}
		}
		if after.then != nil {
			after.then(err)
		}
	}
	if len(changes) == 0 {
		done(nil)
		return
	}
	n.keep(store.Batch{State: changes}, func(err error) {
		if err != nil {
			n.rarely("contacts", slog.LevelError, "storing what changed about contacts failed", "err", err)
			n.cannotStore(err)
			// The engine goes on with what is true; the disk has to follow.
			n.spawn(func(ctx context.Context) { _ = n.tell(ctx, func(c *core) { c.unsaved(changed) }) })
		} else {
			n.storeWorks()
		}
		done(err)
	})
}

// stored returns how a relation is written down.
func (c *core) stored(r contacts.Record) []store.StateChange {
	record := store.StateChange{Key: recordKey(r.Person)}
	root := store.StateChange{Key: rootKey(r.Person)}
	if r.Kept() {
		record.Value = encodeRecord(r)
		if per := c.people.persons[r.Person]; per != nil && r.Relation != contacts.Stranger {
			root.Value = per.root
		}
	}
	if r.Kept() && root.Value == nil && r.Relation != contacts.Stranger {
		return []store.StateChange{record} // not known yet, or no more: it does not change
	}
	return []store.StateChange{record, root}
}

// keepRoot stores the root key of somebody with whom there is a relation, who has
// shown it only now.
func (c *core) keepRoot(who chat.PersonID) {
	if r := c.circle.engine.Record(who); r.Relation != contacts.Stranger {
		c.save([]contacts.Record{r}, afterwards{})
	}
}

func (c *core) unsaved(some []contacts.Record) {
	for _, r := range some {
		c.circle.unsaved[r.Person] = struct{}{}
	}
	c.circle.retryAt = c.now.Add(saveAgain)
}

// tickContacts does what is due.
func (c *core) tickContacts() {
	if next := c.circle.engine.NextTick(); !next.IsZero() && !c.now.Before(next) {
		c.contact(contacts.Tick{}, nil)
	}
	if at := c.circle.retryAt; !at.IsZero() && !c.now.Before(at) {
		c.circle.retryAt = time.Time{}
		var again []contacts.Record
		for p := range c.circle.unsaved {
			again = append(again, c.circle.engine.Record(p))
		}
		clear(c.circle.unsaved)
		c.save(again, afterwards{})
	}
	c.tickVerifications()
}

// nextContactTick returns when tickContacts has something to do; zero for never.
func (c *core) nextContactTick() time.Time {
	next := c.circle.engine.NextTick()
	for _, t := range []time.Time{c.circle.retryAt, c.nextVerificationTick()} {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	return next
}

// heardContact takes a contact message of a neighbour.
func (c *core) heardContact(d chat.DeviceID, who chat.PersonID, f wire.Contact) {
	if !c.revokedBy(who, d) && c.n.standings.allow(&c.n.standings.contacts, c.now, d) { // else their node says it again, and later
		c.contact(contacts.Receive{From: who, Device: d, Message: f.Message}, nil)
	}
}

// heardContactAck: a contact message has reached them.
func (c *core) heardContactAck(d chat.DeviceID, who chat.PersonID, f wire.ContactAck) {
	if !c.revokedBy(who, d) {
		c.contact(contacts.Delivered{Person: who, ID: contacts.MessageID(f.ID)}, nil)
	}
}

// claimed warns of somebody who goes by the name of a verified contact. Where that
// holds up what is sent, warnHeld says so.
func (c *core) claimed(ef contacts.Claim) {
	if _, before := c.circle.warned[ef.Claimant]; ef.Held || before {
		return
	}
	if len(c.circle.warned) >= maxWarned {
		clear(c.circle.warned)
	}
	c.circle.warned[ef.Claimant] = struct{}{}
	name := c.people.remember(ef.Verified.Person, ef.Verified.Name).name
	c.n.feed.Publish(chat.WarningEvent{Warning: chat.Error{
		Code: chat.CodeAmbiguous,
		Text: "Somebody else, " + ef.Claimant.Short() + ", also goes by the name of " + name + ", whom you have verified.",
		Hint: "Look at the ids: " + name + " is " + ef.Verified.Person.Short() + ".",
	}})
}

// warnHeld tells faces to whom nothing is sent because of claims on their names.
func (c *core) warnHeld() {
	if len(c.circle.held) == 0 {
		c.n.unwarn(chat.CodeHeld)
		return
	}
	all := slices.SortedFunc(maps.Keys(c.circle.held), comparePersons)
	r := c.circle.engine.Record(all[0])
	name := c.displayName(r.Person)
	text := "Somebody with another key, " + r.Claimant.Short() + ", goes by the name of " + name + ", whom you have verified and who is not here. Nothing is sent to either."
	if more := len(all) - 1; more > 0 {
		text += fmt.Sprintf(" The same goes for %d more of your contacts.", more)
	}
	c.n.warn(chat.Error{
		Code: chat.CodeHeld, Text: text,
		Hint: "Ask " + r.Name + " by other means whether that is them, then say so with: earshot decide",
	})
}

// maySend reports, in words for a person, why nothing can be sent to somebody now.
// The error has chat.CodeNotContact, CodeHeld, or CodeDenied for who is blocked.
func (c *core) maySend(who chat.PersonID) error {
	err := c.circle.engine.MaySend(who)
	if err == nil {
		return nil
	}
	e := *chat.AsError(err)
	switch relation := c.circle.engine.Relation(who); {
	case relation.Known():
		e.Code = chat.CodeHeld
	case relation != contacts.Blocked:
		e.Code = chat.CodeNotContact
	}
	return &e
}

// mayReach reports whether something may pass between this person and another, as
// their relation, the privacy settings and the exceptions to them say. Whether the
// two share a room is another question.
func (c *core) mayReach(who chat.PersonID, what contacts.Reach) bool {
	return c.circle.engine.May(who, what, c.circle.privacy)
}

// hidden reports whether what a person says is kept, for all who are in a room must
// hold the same of it, but not shown.
func (c *core) hidden(who chat.PersonID) bool {
	return c.circle.engine.Relation(who) == contacts.Blocked
}

// displayName returns how a person is written beside all others.
func (c *core) displayName(who chat.PersonID) string { return c.people.displayName(who) }

// contactNames returns the contacts, whom names are looked for among.
func (c *core) contactNames() []contacts.Named { return c.circle.engine.Contacts() }

// contactOf returns what faces are told of a relation.
func (c *core) contactOf(r contacts.Record) chat.Contact {
	p, ok := c.people.person(r.Person)
	if !ok {
		p = c.bare(r.Person)
	}
	p.Relation = chat.Relation(r.Relation.String())
	out := chat.Contact{Person: p, Note: r.Note, Since: r.Since.UTC(), Waiting: r.Message != nil}
	if !r.Claimant.IsZero() {
		out.Claimant = &r.Claimant
	}
	return out
}

// bare returns a person of whom nothing but the id is known.
func (c *core) bare(who chat.PersonID) chat.Person {
	return chat.Person{
		Person: who, Name: nameless(who), Relation: chat.RelationStranger, Presence: chat.Gone, Devices: []chat.Device{},
	}
}
