package node

import (
	"context"
	"log/slog"
	"time"

	"earshot/chat"
	"earshot/chat/catchup"
	"earshot/chat/room"
	"earshot/discovery"
	"earshot/node/store"
)

// core is the state that only the loop touches: a function that is handed a
// *core runs in the loop.
type core struct {
	n       *Node
	now     time.Time // of the event being handled
	rooms   *room.Engine
	catchup *catchup.Engine
	people  *people
	names   map[chat.RoomID]string // of every room this node has ever been in
	tags    map[chat.RoomTag]chat.RoomID
	tagDay  int64

	neighbours map[chat.DeviceID]*neighbour
	typing     map[typingKey]typingState
	posts      map[uint64]*post
	nextRef    uint64

	book      *discovery.Book
	schedule  *discovery.Schedule
	expireAt  time.Time // when the book is next cleared of what is too old
	trusted   int       // devices that are looked for without end
	rescanned time.Time // when the sources were last asked to look at once
	seekAt    time.Time // when the schedule has something to do; zero: never
}

// do runs f in the loop and waits until it has run. It fails if the node stops or
// ctx ends first; then f may still run, or never.
func (n *Node) do(ctx context.Context, f func(*core)) error {
	done := make(chan struct{})
	if err := n.tell(ctx, func(c *core) { defer close(done); f(c) }); err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-n.loopDone:
		return errStopping()
	}
}

// tell has f run in the loop soon, in the order of the calls from one goroutine.
// It blocks while the inbox is full.
func (n *Node) tell(ctx context.Context, f func(*core)) error {
	select {
	case n.inbox <- f:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-n.loopDone:
		return errStopping()
	}
}

func errStopping() error {
	return chat.Errorf(chat.CodeStopping, "Earshot is shutting down. Start it again and repeat the command.")
}

// loop owns c until the context ends and what had been told before has run.
func (n *Node) loop(ctx context.Context, c *core) {
	defer close(n.loopDone)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case f := <-n.inbox:
			c.run(f)
			// What waits is handled before timers are set anew: that walks all
			// neighbours, and a burst need not pay for it each time.
			// It ends, though: a flood must not keep timers from their turn.
			for range inboxSize {
				select {
				case f := <-n.inbox:
					c.run(f)
					continue
				default:
				}
				break
			}
		case <-timer.C:
			c.run((*core).tick)
		case <-ctx.Done():
			return
		}
		if next := c.nextTick(); next.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(max(0, time.Until(next)))
		}
	}
}

func (c *core) run(f func(*core)) {
	c.now = time.Now()
	c.turnTags()
	f(c)
}

func (c *core) tick() {
	c.room(room.Tick{})
	c.sync(catchup.Tick{})
	c.seek()
	c.lapseTyping()
	c.giveUpSilent()
}

func (c *core) nextTick() time.Time {
	next := c.rooms.NextTick()
	sooner := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	sooner(c.catchup.NextTick())
	sooner(c.seekAt)
	for _, t := range c.typing {
		sooner(t.until)
	}
	for _, nb := range c.neighbours {
		if !nb.silent.IsZero() {
			sooner(nb.silent.Add(silence))
		}
	}
	return next
}

// turnTags keeps the tags by which the live path names rooms: of today, and of
// the days beside it for neighbours whose clock is elsewhere.
func (c *core) turnTags() {
	if day := c.now.Unix() / 86400; day != c.tagDay {
		c.tagDay = day
		c.retag()
	}
}

func (c *core) retag() {
	clear(c.tags)
	for _, id := range c.rooms.Rooms() {
		for days := -1; days <= 1; days++ {
			c.tags[id.Tag(c.now.AddDate(0, 0, days))] = id
		}
	}
}

// room hands an input to the room engine and carries out what it wants.
func (c *core) room(in room.Input) {
	c.carryOut(c.rooms.Handle(c.now, in), nil)
}

// carryOut does what the room engine wants. then, if it is not nil, runs when all
// of it is stored, or has failed to be, and not in the loop.
func (c *core) carryOut(effects []room.Effect, then func()) {
	last := -1
	for i, ef := range effects {
		if _, ok := ef.(room.Commit); ok {
			last = i
		}
	}
	for i, ef := range effects {
		switch ef := ef.(type) {
		case room.Commit:
			if i == last {
				c.commit(ef, then)
			} else {
				c.commit(ef, nil)
			}
		case room.Refuse:
			c.refuse(ef.From, ef.Err)
		case room.Lack:
			c.sync(catchup.Gap{Device: ef.From})
		case room.Deny:
			if p := c.posts[ef.Ref]; p != nil {
				delete(c.posts, ef.Ref)
				c.n.posted(p, chat.Message{}, ef.Err)
			}
		case room.Fork:
			c.n.rarely("fork", slog.LevelWarn, "a device has signed two different entries with one number; its log is not continued",
				"device", ef.Device.Short(), "log", ef.Log.Short())
		}
	}
	if last < 0 && then != nil {
		then()
	}
}

// commit has the store take what the engine accepted. When it is stored, faces
// are told, and then, if it was made here, the network.
func (c *core) commit(ef room.Commit, then func()) {
	n := c.n
	p := c.posts[ef.Ref]
	delete(c.posts, ef.Ref)
	records := make([]store.Record, 0, len(ef.Records))
	messages := make([]chat.Message, len(ef.Records)) // zero where nothing is shown
	for i, r := range ef.Records {
		if c.people.meet(r.Entry.Device, r.Person, r.Name, minTime(r.Entry.HLC.Time(), c.now)) {
			c.keepDevice(r.Entry.Device)
			c.showPerson(r.Person)
		}
		rec := store.Record{
			Room: r.Room, Entry: r.Entry, Person: r.Person, ReceivedAt: r.ReceivedAt,
			Sort: r.Sort, Text: r.Text, Mine: r.Person == n.person,
		}
		if r.Mine && p != nil {
			rec.ClientID = p.clientID
		}
		records = append(records, rec)
		if r.Text != "" {
			messages[i] = chat.Message{
				ID: r.Entry.ID, Room: c.names[r.Room], RoomID: r.Room,
				From: c.people.author(r.Entry.Device, r.Person), Text: r.Text,
				SentAt: r.Entry.HLC.Time(), ReceivedAt: r.ReceivedAt.UTC(),
				Mine: rec.Mine, ClockAhead: r.Sort != r.Entry.HLC,
			}
		}
	}
	tag := ef.Records[0].Room.Tag(c.now)
	n.store.Append(records, func(cursors []chat.Cursor, err error) {
		if then != nil {
			defer then()
		}
		if err != nil {
			n.rarely("store", slog.LevelError, "storing failed", "err", err)
			if p != nil {
				n.posted(p, chat.Message{}, err)
			}
			n.storeFailed(ef.Records[0].Room, err)
			return
		}
		n.storeWorks()
		for i := range ef.Records {
			if cursors[i] == 0 {
				continue // nothing to show, or shown before
			}
			n.feed.Publish(chat.MessageEvent{Cursor: cursors[i], Message: messages[i]})
		}
		if p != nil {
			n.posted(p, messages[len(messages)-1], nil)
		}
		for i := range ef.Records {
			if ef.Records[i].Mine {
				n.publish(tag, &ef.Records[i].Entry)
			}
		}
	})
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
