package node

import (
	"context"
	"log/slog"
	"sync"

	"earshot/chat"
)

// This file asks for payloads that entries came without, so that nobody who passes
// entries on can take away what others said.

// wanted says in which rooms payloads are wanted. Any goroutine may ask.
type wanted struct {
	mu    sync.Mutex
	rooms map[chat.RoomID]bool
}

func (w *wanted) in(id chat.RoomID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rooms[id]
}

func (w *wanted) put(id chat.RoomID, is bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !is {
		delete(w.rooms, id)
		return
	}
	if w.rooms == nil {
		w.rooms = map[chat.RoomID]bool{}
	}
	w.rooms[id] = true
}

// weighWanted looks in which of these rooms payloads are wanted. It never waits for the
// store's writer, which may call it.
func (n *Node) weighWanted(ids []chat.RoomID) {
	for _, id := range ids {
		_, is, err := n.store.Lacking(n.ctx, id)
		if err != nil {
			if n.ctx.Err() == nil {
				n.rarely("wanted", slog.LevelError, "reading which payloads are missing failed", "err", err)
			}
			return
		}
		n.wanted.put(id, is)
	}
}

// loadWanted does so for all rooms.
func (n *Node) loadWanted(ctx context.Context) error {
	rows, err := n.store.Rooms(ctx)
	if err != nil {
		return err
	}
	for _, r := range rows {
		n.weighWanted([]chat.RoomID{r.Room})
	}
	return nil
}
