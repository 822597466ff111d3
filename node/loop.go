package node

import (
	"context"
	"time"

	"earshot/chat"
	"earshot/chat/catchup"
	"earshot/chat/content"
	"earshot/chat/private"
	"earshot/chat/profile"
	"earshot/chat/room"
	"earshot/discovery"
	"earshot/node/store"
	"earshot/node/stream"
)

// core is the state that only the loop touches: a function that is handed a
// *core runs in the loop.
type core struct {
	n       *Node
	now     time.Time // of the event being handled
	clock   clock     // whether to believe it
	rooms   *room.Engine
	catchup *catchup.Engine
	people  *people
	names   map[chat.RoomID]string // of every room this node has ever been in
	tags    map[chat.RoomTag]chat.RoomID
	tagDay  int64
	foreign map[chat.LogID]struct{} // logs of rooms that this node is not in

	remembered int // devices that the store remembers, or more

	neighbours map[chat.DeviceID]*neighbour
	quiet      map[*stream.Stream]*quietStream
	helloed    map[chat.DeviceID]struct{} // connected devices that have been told who is here
	circle     *circle
	direct     *direct
	couriers   *couriers
	receipts   *receipts
	typing     typing
	status     status
	alerts     alerts
	profile    profile.Own
	sight      sight
	viewed     chat.RoomID           // on a screen; zero for none
	sessions   map[*session]struct{} // that run
	bases      *catchup.Bases
	supplies   supplies
	forks      *forks
	missed     map[chat.RoomID][]chat.Missing // as faces were last told; none where nothing is
	missingAt  time.Time                      // when they may be told again; zero for never

	own     *own
	pairing *pairing // nil for none

	private     *private.Engine
	life        *life // of private
	started     bool  // private has begun to do its work
	prekey      []byte
	directs     map[chat.PersonID]chat.RoomID    // the chats with contacts
	rows        map[chat.RoomID]store.RoomChange // sealed rooms as they were last stored
	told        map[chat.RoomID]private.Info     // as faces were last told of them
	invitations map[chat.RoomID]chat.Invitation
	keeping     map[chat.RoomID]content.Setting // how long things are kept, where not for ever
	sweepAt     time.Time                       // when what is over is next taken away; zero: never
	reopenAt    time.Time                       // when what waits for keys is handed over again

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
	c.showRenamed()
	if c.circle.moved { // once for all that has happened: a new device hears of everybody
		c.circle.moved = false
		c.reviewAudiences()
	}
}

func (c *core) tick() {
	c.room(room.Tick{})
	c.sync(catchup.Tick{})
	c.seek()
	c.tickPrivate()
	c.pairingTick()
	c.lapseTyping()
	c.giveUpSilent()
	c.tickContacts()
	c.tickDirect()
	c.tickSweep()
	c.tickClock()
	c.tickCouriers()
	c.tickReceipts()
	c.tickMissing()
	c.tickSupplies()
	c.tickStatus()
	c.tickAlerts()
	c.tickPresence()
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
	sooner(c.private.NextTick())
	sooner(c.reopenAt)
	sooner(c.sweepAt)
	sooner(c.clock.storeAt)
	sooner(c.nextContactTick())
	sooner(c.nextPairingTick())
	sooner(c.nextDirectTick())
	sooner(c.nextCourierTick())
	sooner(c.nextReceiptTick())
	sooner(c.nextMissingTick())
	sooner(c.supplies.next())
	sooner(c.status.nextTick())
	sooner(c.nextPresenceTick())
	sooner(c.nextTypingTick())
	sooner(c.alerts.engine.NextTick())
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
		c.tag(id)
	}
}

// tag adds the tags of a room that was entered.
func (c *core) tag(id chat.RoomID) {
	clear(c.foreign)
	for days := -1; days <= 1; days++ {
		c.tags[id.Tag(c.now.AddDate(0, 0, days))] = id
	}
}
