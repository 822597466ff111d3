package node

import (
	"time"

	"earshot/chat"
	"earshot/chat/catchup"
)

// supplies says which session brings much of which room: many neighbours hold what
// this node lacks after a while, and one of them is enough. The loop owns it.
type supplies map[chat.RoomID]*supply

type supply struct {
	ses   *session
	count int       // entries that have come since
	since time.Time // when so many had come the last time, or it began
}

// Who brings less than supplyLeast in supplyTime does not keep others from bringing it
// (guess: a bad link does more).
const (
	supplyLeast = chat.MaxBatch
	supplyTime  = 2 * time.Second
)

// take reports whether a session is to bring what is missing of a room: no other one
// does.
func (s supplies) take(now time.Time, ses *session, id chat.RoomID) bool {
	if by := s[id]; by != nil && by.ses != ses && now.Before(by.since.Add(supplyTime)) {
		if ses.declined == nil {
			ses.declined = map[chat.RoomID]bool{}
		}
		ses.declined[id] = true
		return false
	}
	s[id] = &supply{ses: ses, since: now}
	return true
}

// came counts what a session has brought.
func (s supplies) came(now time.Time, ses *session, id chat.RoomID, fresh int) {
	if by := s[id]; by != nil && by.ses == ses {
		if by.count += fresh; by.count >= supplyLeast {
			by.count, by.since = 0, now
		}
	}
}

func (s supplies) end(ses *session) {
	for id, by := range s {
		if by.ses == ses {
			delete(s, id)
		}
	}
}

// next returns when the first of them has taken too long, zero if there are none.
func (s supplies) next() (at time.Time) {
	for _, by := range s {
		if end := by.since.Add(supplyTime); at.IsZero() || end.Before(at) {
			at = end
		}
	}
	return at
}

// tickSupplies has others bring what comes too slowly.
func (c *core) tickSupplies() {
	for id, by := range c.supplies {
		if c.now.Before(by.since.Add(supplyTime)) {
			continue
		}
		delete(c.supplies, id)
		for d := range c.neighbours {
			if d != by.ses.device && c.shares(id, d) {
				c.sync(catchup.Lost{Device: d}) // they answer a difference by asking
			}
		}
	}
}
