package node

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/content"
	"earshot/chat/private"
	"earshot/node/store"
)

// This file takes messages away whose time is over, by this device's clock
// as far as that is believed.

// Bounds of how late a message may go that is older than its room keeps any: a
// sixteenth of that time, within these.
const (
	sweepSoonest = time.Second
	sweepLatest  = 10 * time.Minute
	// sweepRetry is when it is tried again after it has failed.
	sweepRetry = time.Minute
)

// disappearing returns after what time a message disappears that is said in a room
// now, 0 for never.
func (c *core) disappearing(id chat.RoomID) time.Duration { return c.keeping[id].Disappear }

// sweepBy sees to it that what is over by then is taken away.
func (c *core) sweepBy(at time.Time) {
	if c.sweepAt.IsZero() || at.Before(c.sweepAt) {
		c.sweepAt = at
	}
}

// tickSweep takes away what is over.
func (c *core) tickSweep() {
	if c.sweepAt.IsZero() || c.now.Before(c.sweepAt) {
		return
	}
	c.sweepAt = time.Time{}
	n := c.n
	sure, leap := c.sureTime()
	n.store.Sweep(sure, func(changes []chat.Cursor, next time.Time, err error) {
		if err != nil {
			n.rarely("sweep", slog.LevelError, "taking away messages whose time is over failed; it is tried again", "err", err)
			next = time.Now().Add(sweepRetry)
		}
		slices.Sort(changes)
		n.publishStored(changes)
		for _, id := range n.wanted.list() { // some of it may be gone for good by now
			n.weighWanted(id)
		}
		n.soon(func(c *core) {
			switch {
			case leap > 0: // then next is by another clock
				if len(c.keeping) > 0 || !next.IsZero() && !c.now.Before(next) {
					c.holdBack(leap)
				}
				c.sweepBy(c.now.Add(sweepRetry))
			case !next.IsZero():
				c.sweepBy(next)
			}
			c.sweepKept()
		})
	})
}

// sweepKept sees to it that rooms are looked through that keep messages for a time.
func (c *core) sweepKept() {
	for _, s := range c.keeping {
		if s.Keep > 0 {
			c.sweepBy(c.now.Add(min(max(s.Keep/16, sweepSoonest), sweepLatest)))
		}
	}
}

// keep notes how long things are kept in a room.
func (c *core) keep(id chat.RoomID, s content.Setting) {
	if s.Keep > 0 && c.keeping[id].Keep != s.Keep {
		c.sweepBy(c.now)
	}
	if s == (content.Setting{}) {
		delete(c.keeping, id)
		return
	}
	c.keeping[id] = s
}

// loadKeeping reads how long things are kept.
func (c *core) loadKeeping(rows []store.RoomRow) {
	for _, r := range rows {
		c.keep(r.Room, content.Setting{Disappear: r.Disappear, Keep: r.Keep})
	}
	c.sweepBy(c.now)
}

// followSetting takes up how long things are kept in a direct chat, as it is stored.
func (n *Node) followSetting(ctx context.Context, id chat.RoomID) error {
	row, err := n.roomRow(ctx, id)
	if err != nil || row == nil {
		return err
	}
	return n.do(ctx, func(c *core) {
		c.keep(id, content.Setting{Disappear: row.Disappear, Keep: row.Keep})
		if info, ok := c.private.Info(id); ok && info.Direct {
			n.feed.Publish(chat.RoomChangedEvent{Room: c.faceRoom(*row), Members: c.members(info), What: howLong(c.keeping[id])})
		}
	})
}

// settleRules tells the store what a private room's membership says of its messages.
func (w *change) settleRules(told, now private.Info) {
	if now.Direct || !now.Entered ||
		told.Entered && told.Disappear == now.Disappear && told.Keep == now.Keep &&
			slices.Equal(told.Retentions, now.Retentions) && slices.Equal(told.Tenures, now.Tenures) {
		return
	}
	rules := store.Rules{Room: now.Room, Setting: content.Setting{Disappear: now.Disappear, Keep: now.Keep}}
	for _, r := range now.Retentions {
		rules.Settings = append(rules.Settings, content.Setting{At: content.Place{HLC: r.At}, Disappear: r.Disappear, Keep: r.Keep})
	}
	for _, t := range now.Tenures {
		rules.Tenures = append(rules.Tenures, content.Tenure(t))
	}
	w.batch.Rules = append(w.batch.Rules, rules)
	w.c.keep(now.Room, rules.Setting)
}

// howLong says how long things are kept from now on.
func howLong(s content.Setting) string {
	switch {
	case s.Disappear > 0 && s.Keep > 0:
		return "new messages disappear after " + spell(s.Disappear) + " now, and none is kept longer than " + spell(s.Keep)
	case s.Disappear > 0:
		return "new messages disappear after " + spell(s.Disappear) + " now"
	case s.Keep > 0:
		return "messages are kept for " + spell(s.Keep) + " now"
	}
	return "messages are kept for ever now"
}

// spell writes a time in words, in the largest unit that it is a whole number of.
func spell(d time.Duration) string {
	for _, u := range []struct {
		of   time.Duration
		name string
	}{{7 * 24 * time.Hour, "week"}, {24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		if n := int(d / u.of); d%u.of == 0 && n > 0 {
			if n == 1 {
				return "one " + u.name
			}
			return fmt.Sprintf("%d %ss", n, u.name)
		}
	}
	return d.String()
}
