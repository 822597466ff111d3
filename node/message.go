package node

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"time"

	"earshot/chat"
	"earshot/chat/identity"
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
	if out.Revisions, err = n.store.Revisions(ctx, id); err != nil {
		return chat.MessageDetail{}, err
	}
	log, seq, removed, err := n.store.RemovalOf(ctx, m.RoomID, id)
	if err != nil {
		return chat.MessageDetail{}, err
	}
	if removed {
		if err := n.do(ctx, func(c *core) { out.RemovedOn, out.RemovedOf = c.removedOn(m.RoomID, log, seq) }); err != nil {
			return chat.MessageDetail{}, err
		}
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
		if out.State = c.stateOf(s); out.State == nil {
			return
		}
		out.Recipients = c.recipients(s, steps)
		out.Holders = c.holders(s, steps)
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
		for i := range list {
			if s, ok := stands[list[i].ID]; ok && list[i].Mine {
				list[i].State = c.stateOf(s)
			}
		}
	})
}

// progress is how far a message has come with one person.
type progress struct {
	person          chat.PersonID
	delivered, read bool
}

// stateOf sums up where a message of one's own is, nil where nobody in particular is to
// get it.
func (c *core) stateOf(s store.Stand) *chat.MessageState {
	if !c.sealed(s.Room) {
		return nil
	}
	out := &chat.MessageState{State: chat.StateHere, Held: len(c.holding(s))}
	for _, p := range c.progressOf(s) {
		out.Of++
		if p.delivered {
			out.Delivered++
		}
		if p.read {
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

// audienceOf returns whom a message is for: the other one of a direct chat, or whoever
// is in the room and was when it was said, by the clocks of both.
func (c *core) audienceOf(s store.Stand) []chat.PersonID {
	if row, ok := c.rows[s.Room]; ok && row.Person != nil {
		return []chat.PersonID{*row.Person}
	}
	return c.private.InSince(s.Room, s.Sent)
}

func (c *core) progressOf(s store.Stand) (out []progress) {
	for _, who := range c.audienceOf(s) {
		p := progress{person: who}
		for _, d := range c.speakers(s.Room, who) {
			read := c.receipts.engine.HasRead(s.Room, d, s.Log) >= s.Seq
			p.read = p.read || read
			p.delivered = p.delivered || read || c.holdsNow(s, who, d)
		}
		out = append(out, p)
	}
	return out
}

// holdsNow reports whether a device has said that it holds an entry. Who has a revoked
// device is not the person that it was of.
func (c *core) holdsNow(s store.Stand, who chat.PersonID, d chat.DeviceID) bool {
	return !c.revokedDevice(who, d) && c.receipts.holds(s.Room, d, s.Log) >= s.Seq
}

func (c *core) revokedDevice(who chat.PersonID, d chat.DeviceID) bool {
	if who == c.n.person {
		return c.own.registry.Standing(d) == identity.Revoked
	}
	return c.revokedBy(who, d)
}

// speakers returns the devices of a person that have said anything about a room.
func (c *core) speakers(id chat.RoomID, who chat.PersonID) (out []chat.DeviceID) {
	for _, sp := range c.receipts.engine.Devices(id) {
		if sp.Person == who {
			out = append(out, sp.Device)
		}
	}
	return out
}

// holding returns what holds an entry for whom it is for, beside this device: devices
// that have said so, and couriers.
func (c *core) holding(s store.Stand) (out []chat.Holder) {
	audience := c.audienceOf(s)
	for _, sp := range c.receipts.engine.Devices(s.Room) {
		if sp.Device == c.n.device || slices.Contains(audience, sp.Person) || !c.holdsNow(s, sp.Person, sp.Device) {
			continue
		}
		kind := "member"
		if sp.Person == c.n.person {
			kind = "own"
		}
		out = append(out, chat.Holder{Person: sp.Person, Name: c.displayName(sp.Person), Device: sp.Device, Kind: kind})
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

func (c *core) holders(s store.Stand, steps []store.ReceiptStep) []chat.Holder {
	out := c.holding(s)
	for i := range out {
		if out[i].Since.IsZero() {
			out[i].Since = learnt(steps, out[i].Device, false)
		}
	}
	return out
}

// recipients tells of everybody whom a message is for, in the order of their names.
func (c *core) recipients(s store.Stand, steps []store.ReceiptStep) []chat.Recipient {
	out := []chat.Recipient{}
	held := len(c.holding(s)) > 0
	for _, p := range c.progressOf(s) {
		r := chat.Recipient{Person: p.person, Name: c.displayName(p.person), State: chat.StateHere}
		if held {
			r.State = chat.StateHeld
		}
		devices := c.private.InUse(p.person)
		for _, d := range c.speakers(s.Room, p.person) {
			if !slices.Contains(devices, d) && !c.revokedDevice(p.person, d) {
				devices = append(devices, d)
			}
		}
		for _, d := range devices {
			ds := chat.DeviceState{Device: d, Holds: c.holdsNow(s, p.person, d) || c.receipts.engine.HasRead(s.Room, d, s.Log) >= s.Seq}
			if ds.Holds {
				ds.At = earliest(learnt(steps, d, false), learnt(steps, d, true))
			}
			r.Devices = append(r.Devices, ds)
		}
		switch {
		case p.read:
			r.State = chat.StateRead
			for _, st := range steps {
				if st.Read && slices.Contains(c.speakers(s.Room, p.person), st.Device) {
					r.At = earliest(r.At, st.At)
				}
			}
		case p.delivered:
			r.State = chat.StateDelivered
			for _, ds := range r.Devices {
				r.At = earliest(r.At, ds.At)
			}
		default:
			r.Why = c.whyNot(s.Room, p.person, devices)
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
		return ""
	}
	return name + " is not here."
}

// removedOn counts the devices that take part in a sealed room and are known to hold
// the entry by which a message was removed: who has it has removed it.
func (c *core) removedOn(id chat.RoomID, log chat.LogID, seq uint64) (on, of int) {
	info, ok := c.private.Info(id)
	if !ok {
		return 0, 0
	}
	var author chat.DeviceID
	for _, l := range c.rooms.Frontier(id) {
		if l.Log == log {
			author = l.Device
		}
	}
	for _, m := range info.Members {
		for _, d := range c.private.InUse(m.Person) {
			of++
			if d == c.n.device || d == author || c.receipts.holds(id, d, log) >= seq {
				on++
			}
		}
	}
	return on, of
}
