package node

import (
	"context"
	"log/slog"
	"math"
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/room"
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

// missing returns what a person can be told of the gaps of a room. What may still be on
// its way is given a moment, unless something behind it is shown already.
func (c *core) missing(id chat.RoomID) []chat.Missing {
	out := []chat.Missing{}
	for _, g := range c.rooms.Gaps(id) {
		if g.Before.IsZero() && c.now.Sub(g.Since) < chat.HoldDeps {
			continue
		}
		m := chat.Missing{Room: c.names[id], RoomID: id, Count: int(min(g.Count, math.MaxInt32))}
		if !g.Device.IsZero() {
			who := g.Person
			if dev := c.people.devices[g.Device]; who.IsZero() && dev != nil {
				who = dev.person.id
			}
			// Before a log is open here anybody can say that it is there.
			if who.IsZero() || c.hidden(who) || c.rooms.Sealed(id) && !c.private.MayWrite(id, who) {
				continue
			}
			m.From = c.people.author(g.Device, who)
		}
		if !g.Before.IsZero() {
			before := g.Before
			m.Before = &before
		}
		out = append(out, m)
	}
	for _, l := range c.n.wanted.lacks(id) { // what they say was left out by who passed them on
		out = append(out, chat.Missing{Room: c.names[id], RoomID: id, From: c.people.author(l.Device, l.Person), Count: l.Count})
	}
	return out
}

// missingEvery is how often faces are told of what is missing, while that changes.
const missingEvery = time.Second

// nextMissingTick returns when faces may have to be told of what is missing, zero if
// nothing is.
func (c *core) nextMissingTick() time.Time {
	if len(c.missed) == 0 && !c.rooms.Uneven() && !c.n.wanted.any() {
		c.missingAt = time.Time{}
	} else if c.missingAt.IsZero() {
		c.missingAt = c.now.Add(missingEvery)
	}
	return c.missingAt
}

// tickMissing tells faces of what is missing where that is something else now.
func (c *core) tickMissing() {
	if c.missingAt.IsZero() || c.now.Before(c.missingAt) {
		return
	}
	c.missingAt = time.Time{}
	for _, id := range c.rooms.Rooms() {
		now := c.missing(id)
		if slices.EqualFunc(now, c.missed[id], sameMissing) {
			continue
		}
		if c.missed[id] = now; len(now) == 0 {
			delete(c.missed, id)
		}
		c.n.feed.Publish(chat.MissingEvent{Room: c.names[id], RoomID: id, Missing: now})
	}
	for id := range c.missed {
		if !c.rooms.Entered(id) {
			delete(c.missed, id)
		}
	}
}

func sameMissing(a, b chat.Missing) bool {
	return a.From == b.From && a.Count == b.Count && (a.Before == b.Before || a.Before != nil && b.Before != nil && *a.Before == *b.Before)
}

// recallMissing finds what entries of earlier runs name as seen and is not here.
func (n *Node) recallMissing(ctx context.Context) {
	var ids []chat.RoomID
	if n.do(ctx, func(c *core) { ids = c.rooms.Rooms() }) != nil {
		return
	}
	for _, id := range ids {
		unmet, err := n.store.Unmet(ctx, id)
		if ctx.Err() != nil {
			return // the node is closing: the next start looks again
		}
		if err != nil {
			n.rarely("missing", slog.LevelError, "looking for what is missing failed", "err", err)
			return
		}
		in := room.Recall{Room: id}
		for _, u := range unmet {
			in.Claims = append(in.Claims, room.Claim{Log: u.Log, Seq: u.Seq, By: u.By, Entry: u.Entry})
		}
		if len(unmet) > 0 && n.tell(ctx, func(c *core) { c.rooms.Handle(c.now, in) }) != nil {
			return
		}
	}
}

// earlyPlaces returns what is shown before its turn, by room.
func (n *Node) earlyPlaces(ctx context.Context) (map[chat.RoomID][]room.Early, error) {
	places, err := n.store.EarlyPlaces(ctx)
	out := map[chat.RoomID][]room.Early{}
	for _, p := range places {
		out[p.Room] = append(out[p.Room], room.Early{Log: p.Log, Device: p.Device, Person: p.Person, Seq: p.Seq, ID: p.ID})
	}
	return out, err
}

// View says which room is on a screen: what is missing there comes first. Zero for
// none.
func (n *Node) View(ctx context.Context, id chat.RoomID) error {
	return n.do(ctx, func(c *core) { c.view(id) })
}
