package node

import (
	"context"
	"time"

	"earshot/chat"
	"earshot/chat/contacts"
)

// This file tells once when somebody is free for whom this person waits. That they
// wait is kept with the relation, and travels with it between own devices.

// hopeFor is how long somebody is here who does not show whether they are free until
// they count as free: what they show comes a moment after they do.
const hopeFor = 10 * time.Second

// Watch has one FreeEvent come when a contact is free, at once if they are, or ends
// that.
func (n *Node) Watch(ctx context.Context, who chat.PersonID, on bool) error {
	return n.decide(ctx, contacts.Watch{Person: who, Watched: on})
}

// watchAnew looks after somebody of whom something has changed here.
func (c *core) watchAnew(who chat.PersonID) {
	if p, ok := c.people.person(who); ok {
		c.watch(&p)
	}
}

// watch looks whether somebody is free who is watched.
func (c *core) watch(p *chat.Person) {
	hopes := c.sight.hopes
	if !p.Watched || p.Presence != chat.Here || p.Suspect {
		delete(hopes, p.Person)
		return
	}
	if p.Status.State == "" {
		if _, waits := hopes[p.Person]; !waits {
			hopes[p.Person] = c.now.Add(hopeFor)
		}
		return
	}
	delete(hopes, p.Person)
	if p.Status.State.Free() {
		c.free(p)
	}
}

// free tells that somebody is, and watches them no more.
func (c *core) free(p *chat.Person) {
	n := c.n
	told := *p
	told.Watched = false
	c.contact(contacts.Watch{Person: p.Person}, func(error) { // a full disk is no reason to keep silent
		n.feed.Publish(chat.FreeEvent{Person: told})
	})
}

// tickHopes takes as free who has been here for a while and does not show it.
func (c *core) tickHopes() {
	for who, due := range c.sight.hopes {
		if c.now.Before(due) {
			continue
		}
		delete(c.sight.hopes, who)
		if p, ok := c.people.person(who); ok && p.Watched && p.Presence == chat.Here && p.Status.State == "" {
			c.free(&p)
		}
	}
}

// nextHope returns when tickHopes has something to do; zero for never.
func (c *core) nextHope() (next time.Time) {
	for _, due := range c.sight.hopes {
		if next.IsZero() || due.Before(next) {
			next = due
		}
	}
	return next
}
