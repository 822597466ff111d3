package node

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/alert"
	"earshot/chat/wire"
	"earshot/node/store"
)

// This file is what this person shows of themselves: what they have chosen, on
// whichever of their devices, and what this machine knows of whoever sits at it.

const (
	// awayAfter is how long nobody may touch a machine before whoever has chosen
	// nothing else is away.
	awayAfter = 5 * time.Minute
	// meetingFor is how long a meeting lasts of which nobody says how long.
	meetingFor = time.Hour
)

// statusKey is the key of State under which stands what this person has chosen.
const statusKey = "status"

// status is what this person shows, and where it comes from. The loop owns it.
type status struct {
	// at is when the person chose, on one of their devices: 0 for never. The latest
	// choice counts.
	at     chat.HLC
	chosen chat.Status // State is Available for what the machine knows

	touched  time.Time // when a face was last
	idle     time.Time // since when the machine is not touched, as the desktop tells; zero: it is
	locked   bool      // the screen is
	lockedAt time.Time
	by       string // what tells; empty: nothing, so faces do
	problem  string

	machine   chat.Availability // Available or Away
	since     time.Time         // when machine became so
	machineAt time.Time         // when it is next looked at; zero for never

	device chat.Status    // as this device showed it last
	shown  chat.OwnStatus // as faces were told last
}

// loadStatus reads what this person had chosen.
func (n *Node) loadStatus(ctx context.Context, now time.Time) (status, error) {
	// Whoever starts Earshot is at it.
	s := status{chosen: chat.Status{State: chat.Available}, touched: now.Round(0), machine: chat.Available, since: now.Round(0)}
	state, err := n.store.State(ctx, statusKey)
	if err != nil {
		return status{}, err
	}
	b, ok := state[statusKey]
	if !ok {
		return s, nil
	}
	f, err := wire.DecodeFrame(b)
	choice, ok := f.(wire.OwnStatus)
	if err != nil || !ok {
		return status{}, chat.Wrap(chat.CodeHomeBroken, err, "The status that this home says you have chosen can't be read.",
			"Restore a backup: earshot restore FILE")
	}
	if !s.take(choice) {
		n.log.Warn("the status that was chosen is of a state that is not known", "state", choice.State)
	}
	return s, nil
}

// frame returns the choice as other devices are told it, and as it is stored.
func (s *status) frame() wire.OwnStatus {
	return wire.OwnStatus{
		At: uint64(s.at), State: string(s.chosen.State), Since: stamp(s.chosen.Since), Until: stamp(s.chosen.Until),
		Text: s.chosen.Text, TextUntil: stamp(s.chosen.TextUntil),
	}
}

// take makes a choice that was made elsewhere, or earlier, the one that counts, if it
// is the latest. It reports whether it is.
func (s *status) take(f wire.OwnStatus) bool {
	state := chat.Availability(f.State)
	if !slices.Contains(chat.Availabilities, state) || chat.HLC(f.At) < s.at {
		return false
	}
	if chat.HLC(f.At) == s.at && bytes.Compare(wire.EncodeFrame(f), wire.EncodeFrame(s.frame())) <= 0 {
		return false
	}
	s.at = chat.HLC(f.At)
	s.chosen = chat.Status{
		State: state, Since: moment(f.Since), Until: moment(f.Until), Text: chat.CleanStatus(f.Text), TextUntil: moment(f.TextUntil),
	}
	return true
}

// choose makes what a person wants at this device the choice that counts.
func (s *status) choose(now time.Time, in chat.StatusChange) error {
	now = now.Round(0) // what ends at a time does so by the clock on the wall
	next := s.chosen.At(now)
	if in.State == nil && !in.Until.IsZero() {
		return chat.Errorf(chat.CodeUsage, "There is no state for this end. Say which it is the end of.")
	}
	if in.Text == nil && !in.TextUntil.IsZero() {
		return chat.Errorf(chat.CodeUsage, "There is no status text for this end. Say which it is the end of.")
	}
	for _, t := range []time.Time{in.Until, in.TextUntil} {
		switch {
		case t.IsZero():
		case !t.After(now):
			return chat.Errorf(chat.CodeUsage, "A status can't end in the past. Choose a time that is yet to come.")
		case t.After(now.Add(chat.MaxStatusFor)):
			return chat.Errorf(chat.CodeUsage, "A status can't be set for more than a year. Leave out the end, or choose an earlier one.")
		}
	}
	if in.State != nil {
		state, until := *in.State, in.Until
		switch {
		case !slices.Contains(chat.Availabilities, state):
			return chat.Errorf(chat.CodeUsage, "There is no state %q. Choose available, away, busy, dnd, meeting or offline.", chat.CleanName(string(state)))
		case state == chat.Available && !until.IsZero():
			return chat.Errorf(chat.CodeUsage, "Available is what everything else ends in. Leave out the end.")
		case state == chat.InMeeting && until.IsZero():
			until = now.Add(meetingFor)
		}
		if state != next.State {
			next.Since = now
		}
		next.State, next.Until = state, until.Round(0)
	}
	if in.Text != nil {
		text := chat.CleanStatus(*in.Text)
		if len(*in.Text) > chat.MaxStatusText {
			return chat.Errorf(chat.CodeUsage, "A status text of %d bytes is too long. Shorten it to %d.", len(*in.Text), chat.MaxStatusText)
		}
		if next.Text, next.TextUntil = text, in.TextUntil.Round(0); text == "" {
			next.TextUntil = time.Time{}
		}
	}
	s.at, s.chosen = s.at.Next(now), next
	return nil
}

// watchMachine looks whether somebody is at the machine.
func (s *status) watchMachine(now time.Time) {
	idle := s.touched
	if s.by != "" && s.idle.After(idle) {
		idle = s.idle
	}
	next, since := chat.Available, now
	s.machineAt = time.Time{}
	switch {
	case s.locked && !s.touched.After(s.lockedAt): // a face that is touched then is elsewhere
		next, since = chat.Away, s.lockedAt
	case s.by != "" && s.idle.IsZero() && !s.locked:
	case now.Sub(idle) >= awayAfter:
		next, since = chat.Away, idle
	default:
		s.machineAt = idle.Add(awayAfter)
	}
	if next != s.machine {
		s.machine, s.since = next, since
	}
}

// now returns what this device shows at a time.
func (s *status) now(now time.Time) chat.Status {
	out := s.chosen.At(now)
	if out.State == chat.Available {
		out.State = s.machine
		if s.since.After(out.Since) { // than when something else ended
			out.Since = s.since
		}
	}
	return out
}

// nextTick returns when something of it ends or begins by itself; zero for never.
func (s *status) nextTick() time.Time {
	next := s.machineAt
	for _, t := range []time.Time{s.device.Until, s.device.TextUntil} {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	return next
}

// appearsOffline reports whether others are shown this person as gone.
func (c *core) appearsOffline() bool { return c.status.device.State == chat.Offline }

// settleStatus tells others and faces what has changed of the own status.
func (c *core) settleStatus() {
	s := &c.status
	now := c.now.Round(0) // also the time that the machine has slept is idle
	s.watchMachine(now)
	was := c.appearsOffline()
	if s.device = s.now(now); c.appearsOffline() != was {
		c.quitAllTyping()
		c.shareReceipts(nil)
	}
	c.tellPresence()
	c.showPerson(c.n.person)
	c.showOwnStatus()
}

// showOwnStatus tells faces the own status, unless they know.
func (c *core) showOwnStatus() {
	if own := c.ownStatus(); own != c.status.shown {
		c.status.shown = own
		c.attend()
		c.alert(alert.Status{Status: own.Status}) // before anything else that comes
		c.n.feed.Publish(chat.StatusEvent{OwnStatus: own})
	}
}

// ownStatus returns what faces are told of the own status.
func (c *core) ownStatus() chat.OwnStatus {
	s := &c.status
	me, _ := c.people.person(c.n.person)
	out := chat.OwnStatus{
		Status: me.Status, Chosen: s.chosen.At(c.now).State, Locked: s.locked, IdleBy: s.by, IdleProblem: s.problem,
	}
	if s.machine == chat.Away {
		out.IdleSince = s.since.UTC()
	}
	return out
}

// inUTC returns a status with its times as faces are told them.
func inUTC(s chat.Status) chat.Status {
	s.Since, s.Until, s.TextUntil = utc(s.Since), utc(s.Until), utc(s.TextUntil)
	return s
}

// utc drops what is no part of a time: equal times are equal values.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.Round(0).UTC()
}

// tickStatus does what is due.
func (c *core) tickStatus() {
	if next := c.status.nextTick(); !next.IsZero() && !c.now.Before(next) {
		c.settleStatus()
	}
}

// idle notes since when nobody has touched the machine, as the desktop tells: zero
// for somebody who is at it.
func (c *core) idle(since time.Time, locked bool) {
	s := &c.status
	if locked && !s.locked {
		s.lockedAt = c.now.Round(0)
	}
	s.idle, s.locked = since, locked
	c.settleStatus()
}

// idleBy notes what tells whether the machine is idle; nothing where by is empty, and
// then problem says why in a sentence. It counts from the next call of idle on.
func (c *core) idleBy(by, problem string) { c.status.by, c.status.problem = by, problem }

// Status returns what this person shows.
func (n *Node) Status(ctx context.Context) (chat.OwnStatus, error) {
	return inLoop(ctx, n, func(c *core) (chat.OwnStatus, error) { return c.ownStatus(), nil })
}

// SetStatus changes it. A meeting of which no end is given lasts an hour. What is
// changed counts at once, on all own devices that can be reached; an error of the disk
// says that it ends with this run of Earshot.
func (n *Node) SetStatus(ctx context.Context, change chat.StatusChange) (chat.OwnStatus, error) {
	stored := make(chan error, 1)
	out, err := inLoop(ctx, n, func(c *core) (chat.OwnStatus, error) {
		if err := c.status.choose(c.now, change); err != nil {
			return chat.OwnStatus{}, err
		}
		c.chosen(chat.DeviceID{}, func(err error) { stored <- err })
		return c.ownStatus(), nil
	})
	if err != nil {
		return chat.OwnStatus{}, err
	}
	select {
	case err = <-stored:
		return out, err
	case <-ctx.Done():
		return out, ctx.Err()
	}
}

// chosen does what follows from a new choice, made here or told by another own device.
// then, unless nil, is told how storing it ended.
func (c *core) chosen(from chat.DeviceID, then func(error)) {
	n := c.n
	b := wire.EncodeFrame(c.status.frame())
	c.settleStatus()
	for d, link := range c.own.links {
		if link.stream != nil && d != from {
			link.stream.TrySend(b) // else it comes with the next stream
		}
	}
	n.store.Commit(store.Batch{State: []store.StateChange{{Key: statusKey, Value: b}}}, func(_ []chat.Cursor, err error) {
		if err != nil {
			n.rarely("status", slog.LevelError, "storing the status failed", "err", err)
		}
		if then != nil {
			then(err)
		}
	})
}

// heardStatus: another own device tells what this person has chosen.
func (c *core) heardStatus(d chat.DeviceID, f wire.OwnStatus) {
	if chat.HLC(f.At).Time().After(c.now.Add(chat.MaxFuture)) {
		c.n.rarely("status", slog.LevelWarn, "a status from the future was left out", "device", d.Short())
		return
	}
	if c.status.take(f) {
		c.chosen(d, nil)
	}
}

// Active says that the person has touched a face.
func (n *Node) Active(ctx context.Context) error {
	return n.do(ctx, func(c *core) {
		c.status.touched = c.now.Round(0)
		c.settleStatus()
	})
}
