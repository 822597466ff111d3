package node

import (
	"context"
	"time"

	"earshot/chat"
	"earshot/chat/contacts"
	"earshot/chat/wire"
)

// Typing signs go to the neighbours over their peer streams and are forgotten:
// never stored, never queued, never sent again.

type typingKey struct {
	room chat.RoomID
	who  chat.PersonID
}

type typingState struct {
	device chat.DeviceID
	until  time.Time
}

// SetTyping tells the neighbours that this person types in a room, or stopped.
// Call it again every chat.TypingRenew while keys are pressed.
func (n *Node) SetTyping(ctx context.Context, id chat.RoomID, typing bool) error {
	return n.do(ctx, func(c *core) {
		if !c.circle.privacy.Shows(contacts.ReachOwnTyping) {
			return
		}
		if !c.rooms.Entered(id) || !c.n.standings.allow(&c.n.standings.typing, c.now, c.n.device) {
			return // neighbours would not listen, either
		}
		tag := id.Tag(c.now)
		frame := wire.EncodeFrame(wire.Typing{Room: tag[:], Typing: typing})
		for d, nb := range c.neighbours {
			if nb.peer != nil && c.mayType(id, d) {
				nb.peer.TrySend(frame)
			}
		}
	})
}

// mayType reports whether typing signs in a room pass between this device and
// another: in an open one among all, in a sealed one among its members.
func (c *core) mayType(id chat.RoomID, d chat.DeviceID) bool {
	return !c.rooms.Sealed(id) || c.shares(id, d)
}

// typed: a neighbour's person types, or stopped.
func (c *core) typed(d chat.DeviceID, f wire.Typing) {
	dev := c.people.devices[d]
	id, ok := c.tags[chat.RoomTag(f.Room)]
	if !ok || dev == nil || !c.mayType(id, d) {
		return // a room that is not shared
	}
	key := typingKey{id, dev.person.id}
	if f.Typing {
		c.typing[key] = typingState{device: d, until: c.now.Add(chat.TypingExpiry)}
	} else {
		delete(c.typing, key)
	}
	c.showTyping(key, d)
}

// stopTyping: a person left, or what they typed has come.
func (c *core) stopTyping(who chat.PersonID) {
	for key, t := range c.typing {
		if key.who == who {
			delete(c.typing, key)
			c.showTyping(key, t.device)
		}
	}
}

func (c *core) lapseTyping() {
	for key, t := range c.typing {
		if !c.now.Before(t.until) {
			delete(c.typing, key)
			c.showTyping(key, t.device)
		}
	}
}

func (c *core) showTyping(key typingKey, d chat.DeviceID) {
	t, typing := c.typing[key]
	ev := chat.TypingEvent{Room: c.names[key.room], RoomID: key.room, From: c.people.author(d, key.who), Typing: typing}
	if typing {
		ev.Until = t.until.UTC()
	}
	c.n.feed.Publish(ev)
}
