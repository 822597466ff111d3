package node

import (
	"context"
	"log/slog"
	"time"

	"earshot/chat"
	"earshot/chat/room"
	"earshot/discovery"
	"earshot/node/store"
)

// This file is what a node does about what goes wrong: it tells faces in plain
// words, and brings the engines back to what the disk holds.

// warn tells faces that something is wrong, until unwarn.
func (n *Node) warn(w chat.Error) {
	n.mu.Lock()
	old, had := n.warnings[w.Code]
	n.warnings[w.Code] = w
	n.mu.Unlock()
	if !had || old.Text != w.Text {
		n.rarely(string(w.Code), slog.LevelWarn, w.Text, "code", w.Code, "cause", w.Err)
		n.feed.Publish(chat.WarningEvent{Warning: w})
	}
}

// warnUnless warns, unless what stands there already is more important.
func (n *Node) warnUnless(w chat.Error, important string) {
	n.mu.Lock()
	old := n.warnings[w.Code].Text
	n.mu.Unlock()
	if old != important {
		n.warn(w)
	}
}

// unwarn tells faces that it no longer is.
func (n *Node) unwarn(code chat.Code) {
	n.mu.Lock()
	w, had := n.warnings[code]
	delete(n.warnings, code)
	n.mu.Unlock()
	if had {
		n.feed.Publish(chat.WarningEvent{Warning: w, Clear: true})
	}
}

// unwarnOf does, if that is what stands there.
func (n *Node) unwarnOf(code chat.Code, text string) {
	n.mu.Lock()
	stands := n.warnings[code].Text == text
	n.mu.Unlock()
	if stands {
		n.unwarn(code)
	}
}

// setNetworks notes which interfaces the node uses.
func (n *Node) setNetworks(usable []discovery.Interface) {
	names := make([]string, 0, len(usable))
	for _, i := range usable {
		names = append(names, i.Name)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.networks = names
}

// storeFailed notes that a change was not stored, although the engines count it as
// done: entries of these rooms, and perhaps what the private engine keeps. It is
// called by the store's writer, which must not wait.
func (n *Node) storeFailed(ids []chat.RoomID, err error) {
	n.cannotStore(err)
	if len(ids) == 0 {
		ids = []chat.RoomID{{}} // the private engine's own
	}
	for _, id := range ids {
		select {
		case n.failed <- id:
		default: // as many rooms wait already; this one fails again with its next entry
		}
	}
}

// syncFailed notes that the disk did not confirm what the store has taken.
func (n *Node) syncFailed(err error) {
	n.rarely("sync", slog.LevelError, "the disk did not confirm what was stored", "err", err)
	n.cannotStore(err)
}

// awaitSync returns when the disk has confirmed what is stored by now, however long that
// takes; false if ctx ends before.
func (n *Node) awaitSync(ctx context.Context) bool {
	for {
		said := make(chan error, 1)
		n.store.Sync(func(err error) { said <- err })
		select {
		case err := <-said:
			if err == nil {
				return true
			}
			n.syncFailed(err)
		case <-ctx.Done():
			return false
		}
		if !sleep(ctx, spaceEvery) {
			return false
		}
	}
}

// cannotStore warns that the disk did not take something, or did not confirm it.
func (n *Node) cannotStore(err error) {
	code := chat.CodeOf(err)
	if code == chat.CodeStopping {
		return
	}
	n.writeFailed.Store(true)
	n.warn(*chat.AsError(err))
	if code == chat.CodeDiskFull || code == chat.CodeHomeBroken && !store.Damaged(err) {
		n.diskStops(code)
	}
}

// historyFailed logs why the history could not be read, or kept in order. Whoever
// asked is told in plain words; a log has the cause.
func (n *Node) historyFailed(err error) {
	n.rarely("history", slog.LevelError, "the history", "err", err)
}

// storeWorks notes that an entry was stored.
func (n *Node) storeWorks() {
	// A little may fit a disk that is full all the same, or be stored and not confirmed.
	if n.writeFailed.Load() && !n.full.Load() && n.writeFailed.CompareAndSwap(true, false) {
		for _, code := range []chat.Code{chat.CodeDiskFull, chat.CodeHomeBroken, chat.CodeInternal} {
			n.unwarn(code)
		}
	}
}

// settleTimeout bounds how long the loop waits for the store before it restores
// rooms, and then leaves it in peace.
const settleTimeout = time.Second

// restoreFailed brings the engines back to what the store holds of the rooms whose
// entries it did not take. The private engine is made anew whenever a change of its
// was not stored: what it had spent of keys in memory stays spent, and no key or
// nonce is ever used twice.
func (n *Node) restoreFailed(ctx context.Context) {
	rooms := map[chat.RoomID]bool{}
	for {
		select {
		case id := <-n.failed:
			rooms[id] = true
			continue // until all that wait are known
		case <-ctx.Done():
			return
		default:
		}
		if len(rooms) == 0 {
			select {
			case id := <-n.failed:
				rooms[id] = true
			case <-ctx.Done():
				return
			}
			continue
		}
		// In the loop: an entry that were accepted between reading and restoring
		// would be forgotten, and its number used twice.
		done := false
		if n.do(ctx, func(c *core) { done = c.restore(ctx, rooms) }) != nil {
			return
		}
		if done {
			clear(rooms)
		} else if !sleep(ctx, settleTimeout) {
			return
		}
	}
}

// restore restores rooms, unless the store takes too long to say what it holds.
func (c *core) restore(ctx context.Context, rooms map[chat.RoomID]bool) bool {
	// What the engine accepted before must be stored, or have failed, for the
	// store to say what is true. Only the loop adds to it.
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	settled := make(chan struct{})
	c.n.store.TouchDevices(nil, func(error) { close(settled) })
	select {
	case <-settled:
	case <-ctx.Done():
		return false
	}
	logs, err := c.n.store.Logs(ctx)
	if err != nil {
		c.n.rarely("logs", slog.LevelError, "reading the history failed", "err", err)
		return false
	}
	early, err := c.n.earlyPlaces(ctx)
	if err != nil {
		c.n.rarely("logs", slog.LevelError, "reading the history failed", "err", err)
		return false
	}
	failed := c.life.failure.Load() != nil
	if failed {
		if err := c.loadPrivate(ctx); err != nil {
			c.n.rarely("private", slog.LevelError, "reading the keys of sealed rooms failed", "err", err)
			return false
		}
		for _, id := range c.rooms.Rooms() {
			if c.rooms.Sealed(id) {
				rooms[id] = true
			}
		}
	}
	held := byRoom(logs)
	for id := range rooms {
		if id != (chat.RoomID{}) {
			c.room(room.Restore{Room: id, Logs: held[id], Early: early[id]})
		}
	}
	if failed {
		c.startPrivate()
	}
	return true
}

// rareness is how long a kind of trouble is not logged again: what others do, or a
// full disk, must not fill the log.
const rareness = time.Minute

// rarely logs a kind of trouble, at most once in a while, and then how often it
// was not logged since.
func (n *Node) rarely(kind string, level slog.Level, msg string, args ...any) {
	n.mu.Lock()
	now, q := time.Now(), n.quiet[kind]
	if now.Before(q.until) {
		q.unsaid++
		n.quiet[kind] = q
		n.mu.Unlock()
		return
	}
	n.quiet[kind] = quiet{until: now.Add(rareness)}
	n.mu.Unlock()
	if q.unsaid > 0 {
		args = append(args, "unsaid", q.unsaid)
	}
	n.log.Log(n.ctx, level, msg, args...)
}

// quiet says until when a kind of trouble is not logged, and how often it was not.
type quiet struct {
	until  time.Time
	unsaid int
}
