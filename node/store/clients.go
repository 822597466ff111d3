package store

import (
	"hash/maphash"
	"sync"

	"github.com/ncruces/go-sqlite3"
)

// maxClients bounds the client ids that are remembered, of 8 bytes and what a map adds
// to them: 2 MiB. A person who has written more waits for a look-up again.
const maxClients = 1 << 16

// clients remembers which client ids are stored. Nearly every message has a new one,
// and a reader that looks for it finds the pages it knew replaced since the message
// before: 0.15 ms on an idle machine.
type clients struct {
	seed maphash.Seed

	mu    sync.Mutex
	ids   map[uint64]struct{} // by their hashes
	known bool                // ids holds all
}

func newClients() *clients {
	return &clients{seed: maphash.MakeSeed(), ids: make(map[uint64]struct{})}
}

// lacks reports whether a client id is certainly not stored.
func (c *clients) lacks(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, has := c.ids[maphash.String(c.seed, id)]
	return c.known && !has
}

// add notes an id that is about to be stored.
func (c *clients) add(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ids == nil {
		return
	}
	if len(c.ids) >= maxClients {
		c.ids, c.known = nil, false
		return
	}
	c.ids[maphash.String(c.seed, id)] = struct{}{}
}

// load adds what is stored. It is the writer's, so that nothing comes in between.
func (c *clients) load(w *writer) error {
	err := w.query(func(s *sqlite3.Stmt) error {
		if c.add(s.ColumnText(0)); c.full() {
			return errEnough
		}
		return nil
	}, `SELECT client FROM message WHERE client IS NOT NULL`)
	if err == errEnough {
		return nil
	}
	if err == nil {
		c.mu.Lock()
		c.known = c.ids != nil
		c.mu.Unlock()
	}
	return err
}

func (c *clients) full() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ids == nil
}
