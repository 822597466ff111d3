package node

import (
	"context"

	"earshot/chat"
	"earshot/chat/room"
	"earshot/discovery"
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
		n.log.Warn(w.Text, "code", w.Code)
		n.feed.Publish(chat.WarningEvent{Warning: w})
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

// storeFailed notes that entries of a room were not stored, although the engine
// counts them as held. It is called by the store's writer, which must not wait.
func (n *Node) storeFailed(id chat.RoomID, err error) {
	if code := chat.CodeOf(err); code != chat.CodeStopping {
		n.writeFailed.Store(true)
		n.warn(*chat.AsError(err))
	}
	select {
	case n.failed <- id:
	default: // as many rooms wait already; this one fails again with its next entry
	}
}

// storeWorks notes that an entry was stored.
func (n *Node) storeWorks() {
	if n.writeFailed.Load() && n.writeFailed.CompareAndSwap(true, false) {
		for _, code := range []chat.Code{chat.CodeDiskFull, chat.CodeHomeBroken, chat.CodeInternal} {
			n.unwarn(code)
		}
	}
}

// restoreFailed brings the engine back to what the store holds of a room.
func (n *Node) restoreFailed(ctx context.Context) {
	for {
		select {
		case id := <-n.failed:
			// In the loop: an entry that were accepted between reading and
			// restoring would be forgotten, and its number used twice.
			if n.do(ctx, func(c *core) {
				logs, err := n.store.Logs(ctx)
				if err != nil {
					n.log.Error("reading the history failed", "err", err)
					return
				}
				c.room(room.Restore{Room: id, Logs: byRoom(logs)[id]})
			}) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}
