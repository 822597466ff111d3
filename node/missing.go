package node

import (
	"context"

	"earshot/chat"
)

// This file is what faces are told of what is missing here.

// Missing returns what is known to be missing in a room.
func (n *Node) Missing(ctx context.Context, id chat.RoomID) (out []chat.Missing, err error) {
	doErr := n.do(ctx, func(c *core) {
		if !c.rooms.Entered(id) {
			err = notIn()
			return
		}
		out = c.missing(id)
	})
	if doErr != nil {
		err = doErr
	}
	return out, err
}

// missing returns what a person can be told of the gaps of a room.
func (c *core) missing(id chat.RoomID) []chat.Missing {
	out := []chat.Missing{}
	for _, g := range c.rooms.Gaps(id) {
		m := chat.Missing{Room: c.names[id], RoomID: id, Count: int(min(g.Count, 1<<31-1))}
		if !g.Device.IsZero() {
			who := g.Person
			if dev := c.people.devices[g.Device]; dev != nil {
				who = dev.person.id
			}
			m.From = c.people.author(g.Device, who)
		}
		if !g.Before.IsZero() {
			before := g.Before
			m.Before = &before
		}
		out = append(out, m)
	}
	return out
}

// View says which room is on a screen: what is missing there comes first. Zero for
// none.
func (n *Node) View(ctx context.Context, id chat.RoomID) error {
	return n.do(ctx, func(c *core) { c.viewed = id })
}
