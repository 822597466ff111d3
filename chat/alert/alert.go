// Package alert is the engine that decides what may interrupt this person now, and how
// often. It does not know how an alert looks or sounds, who is a contact or blocked,
// or what is unread; it knows no network, no disk and no clock, and starts no
// goroutine.
//
// What is not to interrupt (a level, quiet hours, do not disturb) does not do so later
// either: it counts in the next alert of its conversation, and stays unread there.
package alert

import (
	"bytes"
	"slices"
	"time"

	"earshot/chat"
)

const (
	// burst is how long messages of one conversation are one alert, and how long
	// after the last of those that come together, because this device was away,
	// they alert.
	burst = 3 * time.Second
	// maxBurst bounds how long messages that come together are waited for.
	maxBurst = 15 * time.Second
	// rest is how long a conversation that has rung does not ring again.
	rest = 30 * time.Second
	// old is how long ago a message was sent that comes because this device was away,
	// and not because somebody writes now.
	old = time.Minute
	// maxBubbles bounds the conversations that one burst shows one by one: more are
	// summed up.
	maxBubbles = 3
)

// Engine holds what calls this person, of one node. It is not safe for concurrent use;
// one loop owns it.
type Engine struct {
	settings chat.Alerts
	zone     *time.Location
	status   chat.Status
	viewed   chat.RoomID
	rooms    map[chat.RoomID]*room

	gathering        bool // messages that come together are waited for, until due
	gathered, newest time.Time

	asking   map[chat.PersonID]struct{} // who waits to become a contact
	asked    []chat.Author              // of them, those of whom the person was not told
	askedAt  time.Time                  // when the person was last told; zero for never
	invited  map[chat.RoomID]struct{}   // told of
	summedUp bool                       // the desktop shows the sum of several conversations
}

// room is what calls this person to one conversation, and when it last did. Nothing
// does where alert counts nothing.
type room struct {
	kind     chat.RoomKind
	alert    chat.Alert
	id       chat.EntryID // of the newest message
	told     bool         // faces know of the alert
	due      time.Time    // when faces and the desktop are told what has changed; zero for nothing
	gathers  bool         // waits for others that come together with it
	news     bool         // there is a message that they were not told of
	calls    bool         // and one that calls this person, where none did before
	team     bool         // and one in which somebody of the team does
	rangAt   time.Time    // zero for never
	calledAt time.Time    // when calls made it ring; zero for never
}

// rested reports whether a time is long enough ago to ring again.
func rested(now, rang time.Time) bool { return rang.IsZero() || now.Sub(rang) >= rest }

// New returns an engine that nothing calls anybody to.
func New() *Engine {
	return &Engine{
		rooms: map[chat.RoomID]*room{}, asking: map[chat.PersonID]struct{}{}, invited: map[chat.RoomID]struct{}{},
	}
}

// Handle takes an input and returns what is to be done, in this order.
func (e *Engine) Handle(now time.Time, in Input) []Effect {
	var out []Effect
	switch in := in.(type) {
	case Settings:
		out = e.set(in)
	case Status:
		e.status = in.Status
	case Message:
		e.message(now, in)
	case Read:
		out = e.read(now, in)
	case Removed:
		e.removed(now, in)
	case View:
		e.viewed = in.Room
		out = e.drop(in.Room)
	case Left:
		out = e.drop(in.Room)
		delete(e.rooms, in.Room)
	case Requests:
		e.requests(in)
	case Invited:
		out = e.invitation(now, in)
	case Free:
		out = e.free(now, in)
	}
	return append(out, e.tick(now)...)
}

// NextTick returns when Tick is due; zero for never.
func (e *Engine) NextTick() (next time.Time) {
	sooner := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	for _, r := range e.rooms {
		switch {
		case r.gathers:
			sooner(e.gatheredBy())
		case !r.due.IsZero():
			sooner(r.due)
		}
	}
	if len(e.asked) > 0 {
		sooner(e.askedAt.Add(rest))
	}
	return next
}

func (e *Engine) gatheredBy() time.Time {
	by, last := e.newest.Add(burst), e.gathered.Add(maxBurst)
	if last.Before(by) {
		return last
	}
	return by
}

// set changes how the person is alerted. What the desktop shows is taken back where it
// is to show less than before.
func (e *Engine) set(in Settings) (out []Effect) {
	less := e.settings.Desktop && !in.Desktop || e.settings.Preview != in.Preview
	e.settings, e.zone = in.Alerts, in.Zone
	for _, id := range e.order(func(r *room) bool { return r.alert.Count > 0 && !e.level(r.alert, r.kind) }) {
		out = append(out, e.drop(id)...)
	}
	if !less {
		return out
	}
	for _, id := range e.order(func(r *room) bool { return r.told }) {
		out = append(out, Withdraw{Key: roomKey(id)})
	}
	return append(out, e.unsum()...)
}

// message notes what was said, and whether it calls this person.
func (e *Engine) message(now time.Time, m Message) {
	if !m.Known || m.RoomID == e.viewed || !e.level(chat.Alert{RoomID: m.RoomID, Mention: m.Mention}, m.Kind) {
		return
	}
	r := e.rooms[m.RoomID]
	if r == nil {
		r = &room{}
		e.rooms[m.RoomID] = r
	}
	if m.Mention && !r.alert.Mention && rested(now, r.calledAt) {
		r.calls = true
	}
	r.kind, r.id = m.Kind, m.ID
	r.alert = chat.Alert{
		Room: m.Room, RoomID: m.RoomID, From: m.From, Count: r.alert.Count + 1,
		Text: line(m.Text), Mention: r.alert.Mention || m.Mention,
	}
	if m.Fleeting {
		r.alert.Text = ""
	}
	if !e.mayInterrupt(now, m.Mention && m.Team) {
		return
	}
	r.news, r.team = true, r.team || m.Mention && m.Team
	switch {
	case m.Late || now.Sub(m.SentAt) > old:
		if !e.gathering {
			e.gathering, e.gathered = true, now
		}
		if e.newest = now; r.due.IsZero() {
			r.due, r.gathers = now, true
		}
	case r.calls || rested(now, r.rangAt):
		r.due, r.gathers = now, false
	case !r.told:
		r.due, r.gathers = r.rangAt.Add(rest), false
	case r.due.IsZero():
		r.due = now.Add(burst)
	}
}

// level reports whether the level of a conversation lets through what there is of it.
func (e *Engine) level(a chat.Alert, kind chat.RoomKind) bool {
	switch e.Level(a.RoomID, kind) {
	case chat.AlertAll:
		return true
	case chat.AlertMentions:
		return a.Mention
	}
	return false
}

// Level returns what of a conversation may alert.
func (e *Engine) Level(id chat.RoomID, kind chat.RoomKind) string {
	if level, ok := e.settings.Rooms[id]; ok {
		return level
	}
	return Usual(kind)
}

// Usual returns what of a conversation may alert as long as the person has not chosen.
func Usual(kind chat.RoomKind) string {
	if kind.Sealed() {
		return chat.AlertAll
	}
	return chat.AlertMentions
}

// mayInterrupt reports whether the person may be interrupted at all; team says that
// it is somebody of the team who calls.
func (e *Engine) mayInterrupt(now time.Time, team bool) bool {
	if e.zone == nil {
		return false // how, the person has not said
	}
	quiet := e.status.At(now).State.Quiet() || InQuiet(now.In(e.zone), e.settings.QuietFrom, e.settings.QuietTo)
	return !quiet || team && e.settings.TeamMentions
}

// read: less is unread in a room than before, or all of it is read.
func (e *Engine) read(now time.Time, in Read) []Effect {
	r := e.rooms[in.Room]
	switch {
	case r == nil:
		return nil
	case in.Unread <= 0:
		return e.drop(in.Room)
	case in.Unread < r.alert.Count:
		r.alert.Count = in.Unread
		e.correct(now, r)
	}
	return nil
}

// removed: what a message said does not count any more.
func (e *Engine) removed(now time.Time, in Removed) {
	if r := e.rooms[in.Room]; r != nil && r.id == in.ID {
		r.alert.Text = ""
		e.correct(now, r)
	}
}

// correct has those told who were told otherwise.
func (e *Engine) correct(now time.Time, r *room) {
	if r.told && r.due.IsZero() {
		r.due = now
	}
}

// drop: nothing calls to a room any more. When it last rang is remembered.
func (e *Engine) drop(id chat.RoomID) (out []Effect) {
	r := e.rooms[id]
	if r == nil {
		return nil
	}
	if r.told {
		gone := chat.Alert{Room: r.alert.Room, RoomID: id}
		out = append(out, Tell{chat.AlertEvent{Alert: gone, Gone: true}}, Withdraw{Key: roomKey(id)})
	}
	*r = room{rangAt: r.rangAt, calledAt: r.calledAt}
	if len(e.order(func(r *room) bool { return r.told })) == 0 {
		out = append(out, e.unsum()...)
	}
	return out
}

// tick tells what is due.
func (e *Engine) tick(now time.Time) (out []Effect) {
	if e.gathering && !now.Before(e.gatheredBy()) {
		e.gathering = false
		for _, r := range e.rooms {
			r.gathers = false
		}
	}
	due := e.order(func(r *room) bool { return !r.gathers && !r.due.IsZero() && !now.Before(r.due) })
	var bubbles []Effect
	var rang []chat.Alert
	for _, id := range due {
		r := e.rooms[id]
		if r.news && !e.mayInterrupt(now, r.team) { // no more
			r.news, r.calls, r.team, r.due = false, false, false, time.Time{}
			continue
		}
		rings := r.news && (r.calls || rested(now, r.rangAt))
		if !rings && !r.told { // nothing is shown that could be changed without a sound
			r.due = r.rangAt.Add(rest)
			continue
		}
		a := e.previewed(r.alert)
		a.Silent = !rings
		out = append(out, Tell{chat.AlertEvent{Alert: a}})
		bubbles = append(bubbles, e.bubble(a))
		if rings {
			rang = append(rang, a)
			if r.rangAt = now; r.calls {
				r.calledAt = now
			}
		}
		r.told, r.news, r.calls, r.team, r.due = true, false, false, false, time.Time{}
	}
	if len(rang) > maxBubbles {
		bubbles = append([]Effect{e.sum(rang)}, silent(bubbles)...)
		e.summedUp = true
	}
	if e.settings.Desktop {
		out = append(out, bubbles...)
	}
	return append(out, e.tellRequests(now)...)
}

// silent returns those bubbles that only change what is shown.
func silent(bubbles []Effect) []Effect {
	return slices.DeleteFunc(bubbles, func(b Effect) bool { return !b.(Notify).Silent })
}

// order returns the rooms that a condition holds for, always in one order.
func (e *Engine) order(holds func(*room) bool) (ids []chat.RoomID) {
	for id, r := range e.rooms {
		if holds(r) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b chat.RoomID) int { return bytes.Compare(a[:], b[:]) })
	return ids
}

// unsum takes back the sum of several conversations, if it is shown.
func (e *Engine) unsum() []Effect {
	if !e.summedUp {
		return nil
	}
	e.summedUp = false
	return []Effect{Withdraw{Key: sumKey}}
}
