package node

import (
	"context"
	"encoding/binary"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"earshot/chat"
	"earshot/chat/private"
	"earshot/node/store"
)

// reopening says that entries which could not be read are to be handed to the
// private engine again: keys came, or the engine was made anew.
type reopening struct {
	room    chat.RoomID
	device  chat.DeviceID // whose; zero: everybody's
	epoch   uint64        // 0: all
	waiting bool          // only those that wait for a key
	// counts, instead, has faces told how many can't be read now.
	counts bool
}

// reopenState begins the keys of the state that remembers reopenings from the
// moment in which keys came: the entries may be many, and the node may end before
// they are through.
const reopenState = "reopen/"

func (r reopening) key() string {
	b := append([]byte(reopenState), r.room[:]...)
	b = append(b, r.device[:]...)
	return string(binary.BigEndian.AppendUint64(b, r.epoch))
}

func parseReopening(key string) (r reopening, ok bool) {
	b := []byte(key[len(reopenState):])
	if len(b) != len(r.room)+len(r.device)+8 {
		return r, false
	}
	n := copy(r.room[:], b)
	n += copy(r.device[:], b[n:])
	r.epoch = binary.BigEndian.Uint64(b[n:])
	return r, true
}

// reopenings is the queue of them. Any goroutine adds, one takes.
type reopenings struct {
	mu    sync.Mutex
	queue []reopening
	bell  chan struct{} // capacity 1
}

func newReopenings() *reopenings { return &reopenings{bell: make(chan struct{}, 1)} }

// maxReopenings bounds the queue. What does not fit is found at the next start:
// the store remembers it.
const maxReopenings = 4096

func (q *reopenings) add(r reopening) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.queue) < maxReopenings && !slices.Contains(q.queue, r) {
		q.queue = append(q.queue, r)
	}
	select {
	case q.bell <- struct{}{}:
	default:
	}
}

func (q *reopenings) take() (r reopening, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.queue) == 0 {
		q.queue = nil
		return r, false
	}
	r, q.queue = q.queue[0], q.queue[1:]
	return r, true
}

// reopenPage bounds the entries handed over at a time, each of which costs about
// 10 us to open: the loop must not be held up for long.
const reopenPage = chat.MaxBatch

// reopenAll hands entries over again, one reopening at a time, beside the loop.
func (n *Node) reopenAll(ctx context.Context) {
	for {
		r, ok := n.reopenings.take()
		if ok {
			if err := n.reopen(ctx, r); err != nil && ctx.Err() == nil {
				n.rarely("reopen", slog.LevelError, "opening what was not readable failed; it is tried again at the next start", "err", err)
			}
			continue
		}
		select {
		case <-n.reopenings.bell:
		case <-ctx.Done():
			return
		}
	}
}

// reopen reads a page, hands it over, and reads the next one when what came of it
// is stored.
func (n *Node) reopen(ctx context.Context, r reopening) error {
	switch {
	case r == (reopening{}):
		return n.recall(ctx)
	case r.counts:
		return n.showCounts(ctx, r.room)
	}
	q := store.UnopenedQuery{Room: r.room, Waiting: r.waiting, Limit: reopenPage}
	if !r.device.IsZero() {
		q.Device = &r.device
	}
	if r.epoch != 0 {
		q.Epoch = &r.epoch
	}
	for {
		page, next, err := n.store.UnopenedEntries(ctx, q)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		q.After = next
		in := private.Again{Room: r.room}
		for i := range page {
			in.Entries = append(in.Entries, private.Authored{Entry: page[i].Entry, Person: page[i].Person})
		}
		if err := n.handOver(ctx, func(w *change) { w.seal(in) }); err != nil {
			return err
		}
	}
	if r.waiting {
		return nil // nothing remembers it
	}
	return n.handOver(ctx, func(w *change) {
		w.batch.State = append(w.batch.State, store.StateChange{Key: r.key()})
	})
}

// recall adds the reopenings that the store remembers.
func (n *Node) recall(ctx context.Context) error {
	state, err := n.store.State(ctx, reopenState)
	for _, key := range slices.Sorted(maps.Keys(state)) {
		if r, ok := parseReopening(key); ok {
			n.reopenings.add(r)
		}
	}
	return err
}

// showCounts tells faces how much of a room is unread and can't be read.
func (n *Node) showCounts(ctx context.Context, id chat.RoomID) error {
	row, err := n.roomRow(ctx, id)
	if err != nil || row == nil {
		return err
	}
	return n.do(ctx, func(c *core) {
		info, _ := c.private.Info(id)
		n.feed.Publish(chat.RoomChangedEvent{Room: c.faceRoom(*row), Members: c.members(info)})
	})
}

// handOver has the loop make a change, and waits until it is stored or has failed.
func (n *Node) handOver(ctx context.Context, fill func(*change)) error {
	p := newPost("")
	if err := n.tell(ctx, func(c *core) {
		w := c.begin(p)
		fill(w)
		w.end()
	}); err != nil {
		return err
	}
	_, err := n.await(ctx, p)
	return err
}

// reopenWaiting has everything handed over again that waits for a key, or was about
// to be when the engine was made anew: what it kept in memory is gone.
func (c *core) reopenWaiting() {
	c.reopenAt = c.now.Add(maxWait)
	c.n.reopenings.add(reopening{}) // what the store remembers
	for _, id := range c.rooms.Rooms() {
		if c.rooms.Sealed(id) {
			c.n.reopenings.add(reopening{room: id, waiting: true})
		}
	}
}

// maxWait is how long an entry waits in the engine's memory before it is handed over
// again, for the case that there were too many to keep there.
const maxWait = 24 * time.Hour
