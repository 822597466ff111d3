package node

import (
	"context"
	"time"

	"earshot/chat"
	"earshot/chat/contacts"
	"earshot/chat/wire"
)

// Typing signs go to the neighbours over their peer streams and are forgotten:
// never stored, never queued, never sent again. Strangers are told none, and none of
// theirs is shown.

type typingKey struct {
	room chat.RoomID
	who  chat.PersonID
}

type typingState struct {
	device chat.DeviceID
	until  time.Time
}

// typing is who types, and where this person does. The loop owns it.
type typing struct {
	others map[typingKey]typingState
	own    map[chat.RoomID]time.Time // when what neighbours were told lapses
}

func newTyping() typing {
	return typing{others: map[typingKey]typingState{}, own: map[chat.RoomID]time.Time{}}
}

// SetTyping tells those who may know that this person types in a room, or stopped.
// Call it again every chat.TypingRenew while keys are pressed. What is said in the
// room takes it back.
func (n *Node) SetTyping(ctx context.Context, id chat.RoomID, typing bool) error {
	return n.do(ctx, func(c *core) {
		switch {
		case !typing:
			c.quitTyping(id)
		case !c.rooms.Entered(id) || c.appearsOffline():
		case c.n.standings.allow(&c.n.standings.typing, c.now, c.n.device): // else neighbours would not listen, either
			c.typing.own[id] = c.now.Add(chat.TypingExpiry)
			c.tellTyping(id, true)
		}
	})
}

// quitTyping takes back in a room that this person types, if anybody was told.
func (c *core) quitTyping(id chat.RoomID) {
	if _, told := c.typing.own[id]; told {
		delete(c.typing.own, id)
		c.tellTyping(id, false)
	}
}

// quitAllTyping does so in all rooms.
func (c *core) quitAllTyping() {
	for id := range c.typing.own {
		c.quitTyping(id)
	}
}

func (c *core) tellTyping(id chat.RoomID, typing bool) {
	tag := id.Tag(c.now)
	frame := wire.EncodeFrame(wire.Typing{Room: tag[:], Typing: typing})
	for d, nb := range c.neighbours {
		if nb.peer != nil && c.typesTo(id, d) {
			nb.peer.TrySend(frame)
		}
	}
}

// typesTo reports whether a device may know where this person types. In a private
// room, its members are told as if they were contacts.
func (c *core) typesTo(id chat.RoomID, d chat.DeviceID) bool {
	dev := c.people.devices[d]
	if dev == nil || dev.person.id == c.n.person || c.revokedBy(dev.person.id, d) || !c.shares(id, d) {
		return false
	}
	r := c.circle.engine.Record(dev.person.id)
	switch {
	case r.Relation.Known() || r.Relation == contacts.Blocked:
	case !c.rooms.Sealed(id):
		return false
	default:
		r.Relation = contacts.Contact
	}
	return contacts.May(r, contacts.ReachOwnTyping, c.circle.privacy)
}

// typed: a neighbour's person types, or stopped.
func (c *core) typed(d chat.DeviceID, f wire.Typing) {
	dev := c.people.devices[d]
	id, ok := c.tags[chat.RoomTag(f.Room)]
	if !ok || dev == nil || dev.person.id == c.n.person || !c.shares(id, d) {
		return
	}
	key := typingKey{id, dev.person.id}
	if !f.Typing {
		c.stopTyping(func(k typingKey, t typingState) bool { return k == key && t.device == d })
		return
	}
	// Members of a private room need not be contacts.
	if known := c.mayReach(key.who, contacts.ReachTyping) && !c.revokedBy(key.who, d); !known && !c.rooms.Sealed(id) || c.hidden(key.who) {
		return
	}
	if c.n.standings.allow(&c.n.standings.typing, c.now, d) {
		c.typing.others[key] = typingState{device: d, until: c.now.Add(chat.TypingExpiry)}
		c.showTyping(key, d)
	}
}

// stopTyping withdraws the signs that are over.
func (c *core) stopTyping(over func(typingKey, typingState) bool) {
	for key, t := range c.typing.others {
		if over(key, t) {
			delete(c.typing.others, key)
			c.showTyping(key, t.device)
		}
	}
}

// stopTypingBy: a person may not be seen any more.
func (c *core) stopTypingBy(who chat.PersonID) {
	c.stopTyping(func(key typingKey, _ typingState) bool { return key.who == who })
}

// stopTypingOn: a device can't be heard now.
func (c *core) stopTypingOn(d chat.DeviceID) {
	c.stopTyping(func(_ typingKey, t typingState) bool { return t.device == d })
}

// saidWhatTyped: what was typed on a device has come, or goes.
func (c *core) saidWhatTyped(id chat.RoomID, d chat.DeviceID) {
	if d == c.n.device {
		c.quitTyping(id)
		return
	}
	c.stopTyping(func(key typingKey, t typingState) bool { return key.room == id && t.device == d })
}

// lapseTyping forgets signs that were not renewed.
func (c *core) lapseTyping() {
	c.stopTyping(func(_ typingKey, t typingState) bool { return !c.now.Before(t.until) })
	for id, until := range c.typing.own {
		if !c.now.Before(until) {
			delete(c.typing.own, id) // neighbours do the same
		}
	}
}

// nextTypingTick returns when lapseTyping has something to do; zero for never.
func (c *core) nextTypingTick() (next time.Time) {
	for _, t := range c.typing.others {
		if next.IsZero() || t.until.Before(next) {
			next = t.until
		}
	}
	return next
}

func (c *core) showTyping(key typingKey, d chat.DeviceID) {
	t, typing := c.typing.others[key]
	ev := chat.TypingEvent{Room: c.names[key.room], RoomID: key.room, From: c.people.author(d, key.who), Typing: typing}
	if typing {
		ev.Until = t.until.UTC()
	}
	c.n.feed.Publish(ev)
}
