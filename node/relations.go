package node

import (
	"earshot/chat"
	"earshot/chat/contacts"
)

// This file stands in for what a node knows of people until it has contacts:
// everybody is a stranger.

func (c *core) displayName(who chat.PersonID) string {
	return c.people.author(chat.DeviceID{}, who).Name
}

func (c *core) maySend(who chat.PersonID) error {
	if who == c.n.person {
		return nil
	}
	return noContact(chat.Person{Person: who, Name: c.displayName(who)})
}

func (c *core) may(who chat.PersonID, what contacts.Reach) bool {
	return who == c.n.person && what != contacts.ReachRequest
}
