package node

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"time"

	"earshot/chat"
	"earshot/chat/identity"
	"earshot/chat/receipt"
	"earshot/node/store"
)

// This file is where messages are: for each of one's own in a sealed room, who is known
// to hold it and to have read it.

// maxFound bounds the messages that are looked at for one beginning of an id.
const maxFound = 16

// FindMessage returns the message that a person means by its id or the beginning of it.
func (n *Node) FindMessage(ctx context.Context, ref string) (chat.EntryID, error) {
	ref = strings.ToLower(strings.TrimSpace(ref))
	if id, err := chat.ParseEntryID(ref); err == nil {
		_, err = n.store.MessageByID(ctx, id)
		return id, err
	}
	from, to, ok := idRange(ref)
	if !ok || len(ref) < minIDPrefix {
		return chat.EntryID{}, chat.Errorf(chat.CodeBadID, "%.60q is no message. Give its id, or at least the first %d characters of it.", ref, minIDPrefix)
	}
	ids, err := n.store.MessagesBetween(ctx, from, to, maxFound)
	if err != nil {
		return chat.EntryID{}, err
	}
	ids = slices.DeleteFunc(ids, func(id chat.EntryID) bool { return !strings.HasPrefix(id.String(), ref) })
	switch len(ids) {
	case 0:
		return chat.EntryID{}, chat.Errorf(chat.CodeNotFound, "There is no message %s here. Copy its id from the history of its room.", ref)
	case 1:
		return ids[0], nil
	}
	list := make([]string, 0, len(ids))
	for _, id := range ids {
		list = append(list, id.String()[:min(len(ref)+4, len(id.String()))])
	}
	return chat.EntryID{}, chat.Errorf(chat.CodeAmbiguous, "%s could be %s. Give more of the id.", ref, strings.Join(list, ", "))
}

// idRange returns the first and the last beginning of ids that are written so, false if
// none is.
func idRange(s string) (from, to [8]byte, ok bool) {
	const digits = "abcdefghijklmnopqrstuvwxyz234567"
	to = [8]byte(bytes.Repeat([]byte{0xff}, 8))
	for i := range len(s) {
		v := strings.IndexByte(digits, s[i])
		if v < 0 {
			return from, to, false
		}
		for bit := range 5 {
			at := 5*i + bit
			if at >= 8*len(from) {
				break
			}
			mask := byte(0x80) >> (at % 8)
			if v>>(4-bit)&1 == 1 {
				from[at/8] |= mask
			} else {
				to[at/8] &^= mask
			}
		}
	}
	return from, to, true
}

// Message tells the whole story of one message.
func (n *Node) Message(ctx context.Context, id chat.EntryID) (chat.MessageDetail, error) {
	m, err := n.store.MessageByID(ctx, id)
	if err != nil {
		return chat.MessageDetail{}, err
	}
	one := []chat.Message{m}
	n.names.sign(one)
	out := chat.MessageDetail{Message: one[0]}
	if err := n.tellChanges(ctx, &out); err != nil {
		return chat.MessageDetail{}, err
	}
	stands, err := n.store.Stands(ctx, []chat.EntryID{id})
	if err != nil {
		return chat.MessageDetail{}, err
	}
	s, ok := stands[id]
	if !ok || !m.Mine {
		return out, nil
	}
	if err := n.settleReceipts(ctx); err != nil {
		return chat.MessageDetail{}, err
	}
	steps, err := n.store.ReceiptSteps(ctx, s.Room, s.Log, s.Seq)
	if err != nil {
		return chat.MessageDetail{}, err
	}
	err = n.do(ctx, func(c *core) {
		if !c.sealed(s.Room) {
			return // it is for nobody in particular
		}
		w, audience := c.whereabouts(s.Room), c.audienceOf(s)
		out.State, out.Holders = w.state(s), w.holders(s, audience)
		out.Recipients = w.recipients(s, audience, steps, len(out.Holders) > 0)
		for i := range out.Holders {
			if h := &out.Holders[i]; h.Since.IsZero() {
				h.Since = learnt(steps, h.Device, false)
			}
		}
	})
	return out, err
}

// states fills in where messages of one's own are.
func (n *Node) states(ctx context.Context, list []chat.Message) error {
	var ids []chat.EntryID
	for i := range list {
		if list[i].Mine {
			ids = append(ids, list[i].ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	stands, err := n.store.Stands(ctx, ids)
	if err != nil {
		return err
	}
	return n.do(ctx, func(c *core) {
		rooms := map[chat.RoomID]*whereabouts{}
		for i := range list {
			s, ok := stands[list[i].ID]
			if !ok || !list[i].Mine || !c.sealed(s.Room) {
				continue
			}
			if rooms[s.Room] == nil {
				rooms[s.Room] = c.whereabouts(s.Room)
			}
			list[i].State = rooms[s.Room].state(s)
		}
	})
}

// whereabouts is how far devices hold and have read one sealed room, for a look at
// several messages. The loop owns it for as long as that takes.
type whereabouts struct {
	c    *core
	room chat.RoomID
	said []receipt.Speaker // devices that have said anything
	logs map[chat.LogID]*logWhere
}

// logWhere is the same of one log.
type logWhere struct {
	people  map[chat.PersonID]*reach
	devices []deviceReach
}

// reach is up to which entry a log has come.
type reach struct{ held, read uint64 }

type deviceReach struct {
	receipt.Speaker
	reach
}

func (c *core) whereabouts(id chat.RoomID) *whereabouts {
	return &whereabouts{c: c, room: id, said: c.receipts.engine.Devices(id), logs: map[chat.LogID]*logWhere{}}
}

func (w *whereabouts) log(log chat.LogID) *logWhere {
	l := w.logs[log]
	if l != nil {
		return l
	}
	l = &logWhere{people: map[chat.PersonID]*reach{}}
	w.logs[log] = l
	if w.c.rooms.IsForked(w.room, log) {
		return l // who says that they hold a number may hold what the other copy has said
	}
	for _, sp := range w.said {
		r := reach{read: w.c.receipts.engine.HasRead(w.room, sp.Device, log)}
		// Who has a revoked device is not the person that it was of.
		if !w.c.revokedDevice(sp.Person, sp.Device) {
			r.held = max(w.c.receipts.holds(w.room, sp.Device, log), r.read)
		}
		l.devices = append(l.devices, deviceReach{sp, r})
		p := l.people[sp.Person]
		if p == nil {
			p = &reach{}
			l.people[sp.Person] = p
		}
		p.held, p.read = max(p.held, r.held, r.read), max(p.read, r.read)
	}
	return l
}

func (c *core) revokedDevice(who chat.PersonID, d chat.DeviceID) bool {
	if who == c.n.person {
		return c.own.registry.Standing(d) == identity.Revoked
	}
	return c.revokedBy(who, d)
}

// of returns how far a message has come with a person.
func (w *whereabouts) of(s store.Stand, who chat.PersonID) (delivered, read bool) {
	if p := w.log(s.Log).people[who]; p != nil {
		return p.held >= s.Seq, p.read >= s.Seq
	}
	return false, false
}

// audienceOf returns whom a message is for: the other one of a direct chat, or whoever
// is in the room and was when it was said, by the clocks of both.
func (c *core) audienceOf(s store.Stand) []chat.PersonID {
	if row, ok := c.rows[s.Room]; ok && row.Person != nil {
		return []chat.PersonID{*row.Person}
	}
	return c.private.InSince(s.Room, s.Sent)
}

// state sums up where a message of one's own is.
func (w *whereabouts) state(s store.Stand) *chat.MessageState {
	audience := w.c.audienceOf(s)
	out := &chat.MessageState{State: chat.StateHere, Of: len(audience), Held: len(w.holders(s, audience))}
	for _, who := range audience {
		delivered, read := w.of(s, who)
		if delivered {
			out.Delivered++
		}
		if read {
			out.Read++
		}
	}
	switch {
	case out.Of > 0 && out.Read == out.Of:
		out.State = chat.StateRead
	case out.Of > 0 && out.Delivered == out.Of:
		out.State = chat.StateDelivered
	case out.Held > 0 || out.Delivered > 0: // who has it hands it on
		out.State = chat.StateHeld
	}
	return out
}

// holders returns what holds an entry for whom it is for, beside this device: devices
// that have said so, and couriers.
func (w *whereabouts) holders(s store.Stand, audience []chat.PersonID) (out []chat.Holder) {
	c := w.c
	recipients := make(map[chat.PersonID]bool, len(audience))
	for _, who := range audience {
		recipients[who] = true
	}
	for _, d := range w.log(s.Log).devices {
		if d.Device == c.n.device || d.held < s.Seq || recipients[d.Person] {
			continue
		}
		kind := "member"
		if d.Person == c.n.person {
			kind = "own"
		}
		out = append(out, chat.Holder{Person: d.Person, Name: c.displayName(d.Person), Device: d.Device, Kind: kind})
	}
	for _, h := range c.courierHolders(s.Room, s.Log, s.Seq) {
		if !slices.ContainsFunc(out, func(other chat.Holder) bool { return other.Device == h.Device }) {
			out = append(out, h)
		}
	}
	return out
}

// learnt returns when this node learnt that a device holds an entry, or that its person
// has read it; zero if that is not remembered.
func learnt(steps []store.ReceiptStep, d chat.DeviceID, read bool) time.Time {
	for _, st := range steps {
		if st.Device == d && st.Read == read {
			return st.At
		}
	}
	return time.Time{}
}

// recipients tells of everybody whom a message is for, in the order of their names.
func (w *whereabouts) recipients(s store.Stand, audience []chat.PersonID, steps []store.ReceiptStep, held bool) []chat.Recipient {
	c := w.c
	out := []chat.Recipient{}
	for _, who := range audience {
		r := chat.Recipient{Person: who, Name: c.displayName(who), State: chat.StateHere}
		if held {
			r.State = chat.StateHeld
		}
		reached := map[chat.DeviceID]reach{}
		for _, d := range w.log(s.Log).devices {
			if d.Person == who {
				reached[d.Device] = d.reach
			}
		}
		devices := c.private.InUse(who)
		for _, sp := range w.said {
			if sp.Person == who && !slices.Contains(devices, sp.Device) && !c.revokedDevice(who, sp.Device) {
				devices = append(devices, sp.Device)
			}
		}
		for _, d := range devices {
			ds := chat.DeviceState{Device: d, Holds: reached[d].held >= s.Seq}
			ds.Full = !ds.Holds && c.isFull(d)
			if ds.Holds {
				ds.At = earliest(learnt(steps, d, false), learnt(steps, d, true))
			}
			r.Devices = append(r.Devices, ds)
		}
		switch delivered, read := w.of(s, who); {
		case read:
			r.State = chat.StateRead
			for d := range reached {
				r.At = earliest(r.At, learnt(steps, d, true))
			}
		case delivered:
			r.State = chat.StateDelivered
			for d := range reached {
				r.At = earliest(r.At, learnt(steps, d, false))
			}
		case c.rooms.IsForked(s.Room, s.Log):
			r.Why = "Two copies of the device that sent this wrote at once: what has arrived may be what the other one wrote."
		default:
			r.Why = c.whyNot(s.Room, who, devices)
		}
		out = append(out, r)
	}
	slices.SortStableFunc(out, func(a, b chat.Recipient) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// earliest returns the earlier of two moments, of which zero is none.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// whyNot says what stands between a message and somebody, as far as anything is known
// to; "" for nothing.
func (c *core) whyNot(id chat.RoomID, who chat.PersonID, devices []chat.DeviceID) string {
	name := c.displayName(who)
	info, _ := c.private.Info(id)
	switch {
	case c.circle.hides():
		return "You are invisible: what you say leaves by your other devices only."
	case info.Direct && c.maySend(who) != nil:
		return chat.AsError(c.maySend(who)).Error()
	case !info.Entered:
		return "You are not in this room any more."
	}
	here, keyless := false, len(devices) > 0
	var seen time.Time
	for _, d := range devices {
		dev := c.people.devices[d]
		here = here || dev != nil && dev.connected
		keyless = keyless && slices.Contains(info.Keyless, d)
		if dev != nil && dev.lastSeen.After(seen) {
			seen = dev.lastSeen
		}
	}
	switch {
	case keyless:
		return name + " has no device here that could be given the keys of this room yet."
	case here:
		for _, d := range devices {
			if c.isFull(d) {
				return c.fullSentence(who, d)
			}
		}
		return ""
	}
	return name + " is not here."
}

// removedOn counts the devices that take part in a sealed room and are known to hold
// the entry by which a message was removed: who has it has removed it.
func (c *core) removedOn(id chat.RoomID, log chat.LogID, seq uint64) (on, of int) {
	info, ok := c.private.Info(id)
	if !ok || !info.Entered { // of an open room nobody says what they hold
		return 0, 0
	}
	forked := c.rooms.IsForked(id, log)
	var author chat.DeviceID
	for _, l := range c.rooms.Frontier(id) {
		if l.Log == log {
			author = l.Device
		}
	}
	for _, m := range info.Members {
		for _, d := range c.private.InUse(m.Person) {
			of++
			if d == c.n.device || d == author || !forked && !c.revokedDevice(m.Person, d) && c.receipts.holds(id, d, log) >= seq {
				on++
			}
		}
	}
	return on, of
}
