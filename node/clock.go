package node

import (
	"context"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
	"earshot/node/store"
)

// This file is what a node makes of its computer's clock. A clock may be set to any
// year, and comes back; a message that it had taken away does not. So nothing is taken
// away by a clock that has leapt ahead until a neighbour's agrees, or there was time to
// set it right (PROTOCOL.md#devices-in-trouble).

const (
	// maxLeap is how far a clock may be from what was expected of it without a word:
	// most computers are off for less, and no time zone is further away.
	maxLeap = 24 * time.Hour
	// leapHold is how long a clock that has leapt ahead is doubted if nobody is there
	// who agrees: time to read the warning, and short beside what is kept for days.
	leapHold = 10 * time.Minute
	// clockEvery is how often it is stored what time it is.
	clockEvery = time.Hour
)

// clockKey is the key of State under which stands what time it was last, in
// microseconds since 1970.
const clockKey = "clock"

// reckoning follows a computer's clock by one that nobody sets, which says for how long
// the node has run. That one stands still while the computer sleeps.
type reckoning struct {
	last    time.Time     // believed; zero before the first reading
	ran     time.Duration // how long the node had run then
	doubted time.Duration // how long it had run when doubt began; 0 while there is none
}

// read returns what time it is at the least, and how far the clock is from what was
// expected of it where that is too far, else 0. A clock that has leapt ahead is not
// believed for a while; one that was set back is at once: it takes nothing away.
func (r *reckoning) read(wall time.Time, ran time.Duration) (sure time.Time, leap time.Duration) {
	if r.last.IsZero() {
		r.believe(wall, ran)
	}
	sure = r.last.Add(ran - r.ran)
	leap = wall.Round(0).Sub(sure)
	if leap.Abs() <= maxLeap {
		leap = 0
	}
	switch {
	case leap > 0 && r.doubted == 0:
		r.doubted = max(ran, 1)
	case leap <= 0 || ran-r.doubted >= leapHold:
		r.believe(wall, ran)
		sure = r.last
	}
	return sure, leap
}

// believe takes the clock as right.
func (r *reckoning) believe(wall time.Time, ran time.Duration) {
	r.last, r.ran, r.doubted = wall.Round(0), ran, 0
}

// clock is what the loop knows of the computer's clock.
type clock struct {
	reckoning
	storeAt time.Time
	said    string // the warning about a leap; empty where none stands
}

// loadClock reads what time it was when the node last ran.
func (n *Node) loadClock(ctx context.Context) (clock, error) {
	state, err := n.store.State(ctx, clockKey)
	if err != nil {
		return clock{}, err
	}
	b, ok := state[clockKey]
	if !ok {
		return clock{}, nil
	}
	var micros uint64
	if err := wire.Unmarshal(b, &micros); err != nil {
		return clock{}, chat.Wrap(chat.CodeHomeBroken, err, "What time it was when Earshot last ran can't be read.", "Restore a backup: earshot restore FILE")
	}
	return clock{reckoning: reckoning{last: moment(micros)}}, nil
}

// sureTime returns up to what time messages may be taken away, and how far ahead of
// that the clock has leapt, 0 if it is believed.
func (c *core) sureTime() (sure time.Time, leap time.Duration) {
	doubted := c.clock.doubted > 0
	sure, leap = c.clock.read(c.now, c.now.Sub(c.n.started))
	switch {
	case c.clock.doubted > 0:
		return sure, leap
	case leap < 0:
		c.warnOfClock("This computer's clock is "+spell(-leap.Round(time.Hour))+" behind what it was when Earshot last looked.",
			"If it is wrong, set it: what you write stands at the wrong time until then. If it has been set right, nothing needs to be done.")
	case doubted && leap == 0: // it was set right
		c.clockIsRight()
	}
	return sure, 0
}

// holdBack says why messages are not taken away now that are over by the clock.
func (c *core) holdBack(leap time.Duration) {
	c.warnOfClock("This computer's clock is "+spell(leap.Round(time.Hour))+" ahead of what it was when Earshot last looked.",
		"If it is wrong, set it: by that clock messages disappear from "+c.now.Add(leapHold).Format("15:04")+
			" on, or once a neighbour's agrees with it. If it is right, nothing needs to be done.")
}

func (c *core) warnOfClock(text, hint string) {
	c.clock.said = text
	c.n.warn(chat.Error{Code: chat.CodeClock, Text: text, Hint: hint})
}

// clockIsRight ends all doubt about it.
func (c *core) clockIsRight() {
	if c.clock.doubted > 0 {
		c.sweepBy(c.now)
	}
	c.clock.believe(c.now, c.now.Sub(c.n.started))
	if c.clock.said != "" {
		c.n.unwarnOf(chat.CodeClock, c.clock.said)
		c.clock.said = ""
	}
}

// tickClock stores what time it is, now and then.
func (c *core) tickClock() {
	if c.now.Before(c.clock.storeAt) {
		return
	}
	c.clock.storeAt = c.now.Add(clockEvery)
	c.storeClock()
}

func (c *core) storeClock() {
	sure, _ := c.sureTime()
	c.n.store.Commit(store.Batch{State: []store.StateChange{{Key: clockKey, Value: wire.Marshal(stamp(sure))}}}, nil)
}
