package apitest

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"earshot/chat"
)

// This file is what becomes of single messages.

// story is what is known of a message beside what is shown.
type story struct {
	to        []chat.Recipient // of one's own in a sealed room
	holders   []chat.Holder
	was       []chat.Revision
	removedOn int
	removedOf int
}

// at returns a message and where it is. n.mu is held.
func (n *Node) at(id chat.EntryID) (*room, *chat.Message, *story) {
	for _, r := range slices.Concat(n.rooms, n.left) {
		if i := slices.IndexFunc(r.messages, func(m chat.Message) bool { return m.ID == id }); i >= 0 {
			s := n.stories[id]
			if s == nil {
				s = &story{}
				n.stories[id] = s
			}
			return r, &r.messages[i], s
		}
	}
	return nil, nil, nil
}

// must is at for a message that a test knows to be there.
func (n *Node) must(id chat.EntryID) (*room, *chat.Message, *story) {
	r, m, s := n.at(id)
	if r == nil {
		panic("apitest: there is no message " + id.String())
	}
	return r, m, s
}

// whole returns a message as a face is told it. n.mu is held.
func (n *Node) whole(m chat.Message) chat.Message {
	s := n.stories[m.ID]
	if s == nil || len(s.to) == 0 {
		return m
	}
	st := chat.MessageState{State: chat.StateHere, Of: len(s.to), Held: len(s.holders)}
	for _, to := range s.to {
		switch to.State {
		case chat.StateRead:
			st.Read++
			st.Delivered++
		case chat.StateDelivered:
			st.Delivered++
		}
	}
	switch {
	case st.Read == st.Of:
		st.State = chat.StateRead
	case st.Delivered == st.Of:
		st.State = chat.StateDelivered
	case st.Held > 0:
		st.State = chat.StateHeld
	}
	m.State = &st
	return m
}

// addressed says whom a message of one's own in a sealed room is for. n.mu is held.
func (n *Node) addressed(r *room, id chat.EntryID) {
	if !r.Kind.Sealed() {
		return
	}
	s := &story{}
	for _, m := range n.membersOf(r) {
		if m.Me || m.Invited {
			continue
		}
		to := chat.Recipient{Person: m.Person, Name: m.Name, State: chat.StateHere}
		if p, ok := n.known(m.Person); ok {
			for _, d := range p.Devices {
				to.Devices = append(to.Devices, chat.DeviceState{Device: d.Device})
			}
		}
		s.to = append(s.to, to)
	}
	slices.SortFunc(s.to, func(a, b chat.Recipient) int { return strings.Compare(a.Name, b.Name) })
	n.stories[id] = s
}

// Delivered has a message of this person's, and those before it, arrive with
// somebody; ReadBy has them read.
func (n *Node) Delivered(who chat.PersonID, id chat.EntryID) { n.reach(who, id, chat.StateDelivered) }

// ReadBy is Delivered, and more.
func (n *Node) ReadBy(who chat.PersonID, id chat.EntryID) { n.reach(who, id, chat.StateRead) }

func (n *Node) reach(who chat.PersonID, id chat.EntryID, state string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r, _, _ := n.must(id)
	now := time.Now().UTC()
	for _, m := range r.messages {
		if s := n.stories[m.ID]; s != nil {
			for i := range s.to {
				to := &s.to[i]
				if to.Person != who || to.State == state || to.State == chat.StateRead {
					continue
				}
				to.State, to.At, to.Why = state, now, ""
				for d := range to.Devices {
					to.Devices[d].Holds, to.Devices[d].At = true, now
				}
			}
		}
		if m.ID == id {
			break
		}
	}
	n.feed.Publish(chat.StatesEvent{Room: r.Room.Room, RoomID: r.RoomID})
}

// Hold has a device of somebody's hold a message for others; kind is as in
// chat.Holder.
func (n *Node) Hold(by chat.Author, kind string, id chat.EntryID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r, _, s := n.must(id)
	now := time.Now().UTC()
	s.holders = append(s.holders, chat.Holder{Person: by.Person, Name: by.Name, Device: by.Device, Kind: kind, Since: now, Until: now.Add(7 * 24 * time.Hour)})
	n.feed.Publish(chat.StatesEvent{Room: r.Room.Room, RoomID: r.RoomID})
}

// Hinder says what stands between a message and somebody.
func (n *Node) Hinder(who chat.PersonID, id chat.EntryID, why string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r, _, s := n.must(id)
	for i := range s.to {
		if s.to[i].Person == who {
			s.to[i].Why = why
		}
	}
	n.feed.Publish(chat.StatesEvent{Room: r.Room.Room, RoomID: r.RoomID})
}

// HearDraft is Hear for a message that answers another, or calls somebody.
func (n *Node) HearDraft(from chat.Author, roomName string, d chat.Draft) chat.Message {
	n.mu.Lock()
	defer n.mu.Unlock()
	r, err := n.find(roomName)
	if err != nil {
		panic("apitest: " + err.Error())
	}
	return n.store(r, from, d, time.Now().UTC())
}

// HearLate is Hear for a message that was said at another time than now: it stands
// where it belongs.
func (n *Node) HearLate(from chat.Author, roomName, text string, at time.Time) chat.Message {
	n.mu.Lock()
	defer n.mu.Unlock()
	r, err := n.find(roomName)
	if err != nil {
		panic("apitest: " + err.Error())
	}
	return n.store(r, from, chat.Draft{Text: text}, at.UTC())
}

// called returns whom a text calls: as asked for, and by "@" and a whole name that
// only one of them bears. n.mu is held.
func (n *Node) called(r *room, d chat.Draft) []chat.PersonID {
	names := map[string][]chat.PersonID{}
	if r.Kind.Sealed() {
		for _, m := range n.membersOf(r) {
			names[strings.ToLower(m.Name)] = append(names[strings.ToLower(m.Name)], m.Person)
		}
	} else {
		for _, p := range n.people {
			names[strings.ToLower(p.Name)] = append(names[strings.ToLower(p.Name)], p.Person)
		}
	}
	out := slices.Clone(d.Mentions)
	text := strings.ToLower(d.Text)
	for i, c := range text {
		if c != '@' {
			continue
		}
		longest := ""
		for name, people := range names {
			rest, ok := strings.CutPrefix(text[i+1:], name)
			if next, _ := utf8.DecodeRuneInString(rest); ok && (rest == "" || !unicode.IsLetter(next) && !unicode.IsDigit(next)) && len(people) == 1 && len(name) > len(longest) {
				longest = name
			}
		}
		if longest != "" && !slices.Contains(out, names[longest][0]) {
			out = append(out, names[longest][0])
		}
	}
	return out
}

// alter tells that a message has changed: of one message only the newest change is
// kept. n.mu is held.
func (n *Node) alter(m *chat.Message) chat.Message {
	for i, e := range n.facts {
		if c, ok := e.(chat.MessageChangedEvent); ok && c.ID == m.ID {
			n.facts[i] = nil
		}
	}
	n.record(func(c chat.Cursor) chat.Event { return chat.MessageChangedEvent{Cursor: c, Message: *m} })
	return n.whole(*m)
}

// EditedBy has the author of a message change what it says.
func (n *Node) EditedBy(id chat.EntryID, text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, m, s := n.must(id)
	n.edit(m, s, text)
}

func (n *Node) edit(m *chat.Message, s *story, text string) chat.Message {
	s.was = append(s.was, chat.Revision{Text: m.Text, At: written(*m)})
	m.Text, m.EditedAt = chat.CleanText(text), time.Now().UTC()
	return n.alter(m)
}

// written returns when a message was given the text it has.
func written(m chat.Message) time.Time {
	if m.EditedAt.IsZero() {
		return m.SentAt
	}
	return m.EditedAt
}

// RemovedBy has somebody take a message away, or, with nobody, its time be over.
func (n *Node) RemovedBy(by chat.Author, id chat.EntryID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r, m, s := n.must(id)
	n.remove(r, m, s, by)
}

func (n *Node) remove(r *room, m *chat.Message, s *story, by chat.Author) chat.Message {
	m.Text, m.EditedAt, m.Reactions, m.Mentions, m.MentionsMe = "", time.Time{}, nil, nil, false
	m.Removed = &chat.Removal{By: by, At: time.Now().UTC()}
	s.was, s.removedOn, s.removedOf = nil, 1, max(1, r.Members)
	return n.alter(m)
}

// RemovedOn says on how many devices a removed message is known to be gone.
func (n *Node) RemovedOn(id chat.EntryID, devices, of int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r, _, s := n.must(id)
	s.removedOn, s.removedOf = devices, of
	n.feed.Publish(chat.StatesEvent{Room: r.Room.Room, RoomID: r.RoomID})
}

// ReactedBy has somebody put a sign under a message, or take it away.
func (n *Node) ReactedBy(who chat.PersonID, id chat.EntryID, sign string, on bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, m, _ := n.must(id)
	n.sign(m, who, sign, on)
}

func (n *Node) sign(m *chat.Message, who chat.PersonID, sign string, on bool) chat.Message {
	signs := slices.Clone(m.Reactions)
	i := slices.IndexFunc(signs, func(r chat.Reaction) bool { return r.Sign == sign })
	if i < 0 {
		i = len(signs)
		signs = append(signs, chat.Reaction{Sign: sign})
	}
	s := &signs[i]
	had := slices.Contains(s.People, who)
	if had == on {
		return n.whole(*m)
	}
	if s.People = slices.DeleteFunc(slices.Clone(s.People), func(p chat.PersonID) bool { return p == who }); on {
		s.People = append(s.People, who)
	}
	if s.Mine = slices.Contains(s.People, n.me.Person); len(s.People) == 0 {
		signs = slices.Delete(signs, i, i+1)
	}
	m.Reactions = signs
	return n.alter(m)
}

// Lack says that entries of somebody are known to exist and are not here; a count
// of 0 that they are. before is the first message that stands after them, or none.
func (n *Node) Lack(roomName string, from chat.Author, count int, before chat.EntryID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r, err := n.find(roomName)
	if err != nil {
		panic("apitest: " + err.Error())
	}
	r.missing = slices.DeleteFunc(slices.Clone(r.missing), func(m chat.Missing) bool { return m.From.Device == from.Device })
	if count > 0 {
		m := chat.Missing{Room: r.Room.Room, RoomID: r.RoomID, From: from, Count: count}
		if !before.IsZero() {
			m.Before = &before
		}
		r.missing = append(r.missing, m)
	}
	n.feed.Publish(chat.MissingEvent{Room: r.Room.Room, RoomID: r.RoomID, Missing: slices.Concat([]chat.Missing{}, r.missing)})
}

// Viewed returns the rooms that were said to be on a screen, in order.
func (n *Node) Viewed() []chat.RoomID {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.viewed)
}

func (n *Node) FindMessage(_ context.Context, ref string) (chat.EntryID, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fail != nil {
		return chat.EntryID{}, n.fail
	}
	if _, err := chat.ParseEntryID(ref); err != nil && len(ref) < minPrefix {
		return chat.EntryID{}, chat.Errorf(chat.CodeBadID, "%.60q is no message. Give its id, or at least the first %d characters of it.", ref, minPrefix)
	}
	var found []chat.EntryID
	for _, r := range slices.Concat(n.rooms, n.left) {
		for _, m := range r.messages {
			if strings.HasPrefix(m.ID.String(), strings.ToLower(ref)) {
				found = append(found, m.ID)
			}
		}
	}
	switch len(found) {
	case 0:
		return chat.EntryID{}, unknownMessage(ref)
	case 1:
		return found[0], nil
	}
	return chat.EntryID{}, chat.Errorf(chat.CodeAmbiguous, "%d messages begin with %.60q. Give more of the id.", len(found), ref)
}

func unknownMessage(ref string) error {
	return chat.Errorf(chat.CodeNotFound, "There is no message %.60q here. `earshot history --json` shows their ids.", ref)
}

func (n *Node) Message(_ context.Context, id chat.EntryID) (chat.MessageDetail, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r, m, s := n.at(id)
	if n.fail != nil || r == nil {
		return chat.MessageDetail{}, firstOf(n.fail, unknownMessage(id.String()))
	}
	d := chat.MessageDetail{
		Message: n.whole(*m), Recipients: slices.Clone(s.to), Holders: slices.Clone(s.holders), Revisions: slices.Clone(s.was),
		RemovedOn: s.removedOn, RemovedOf: s.removedOf,
	}
	for i := range d.Recipients {
		d.Recipients[i].Devices = slices.Clone(d.Recipients[i].Devices)
	}
	return d, nil
}

// mine returns a message that this person may change: their own, or with admin, if
// they are one there, anybody's. n.mu is held.
func (n *Node) mine(id chat.EntryID, admin bool) (*room, *chat.Message, *story, error) {
	r, m, s := n.at(id)
	admin = admin && r != nil && r.Kind == chat.RoomPrivate && (r.Role == chat.RoleAdmin || r.Role == chat.RoleOwner)
	switch {
	case n.fail != nil:
		return nil, nil, nil, n.fail
	case r == nil:
		return nil, nil, nil, unknownMessage(id.String())
	case r.Left:
		return nil, nil, nil, chat.Errorf(chat.CodeNotJoined, "You are not in %s any more, so nothing changes there.", r.Room.Room)
	case m.Removed != nil:
		return nil, nil, nil, chat.Errorf(chat.CodeNotFound, "That message was removed already. Nothing is left to change.")
	case !m.Mine && !admin:
		return nil, nil, nil, chat.Errorf(chat.CodeDenied, "That message is %s's. Only they can change it, and admins of a private room can delete it.", m.From.Name)
	}
	return r, m, s, nil
}

func (n *Node) Edit(_ context.Context, id chat.EntryID, text string) (chat.Message, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, m, s, err := n.mine(id, false)
	switch {
	case err != nil:
		return chat.Message{}, err
	case checkText(text) != nil:
		return chat.Message{}, checkText(text)
	case m.Text == chat.CleanText(text):
		return n.whole(*m), nil
	}
	return n.edit(m, s, text), nil
}

func (n *Node) Delete(_ context.Context, id chat.EntryID) (chat.Message, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, m, _ := n.at(id); m != nil && m.Removed != nil && n.fail == nil {
		return *m, nil
	}
	r, m, s, err := n.mine(id, true)
	if err != nil {
		return chat.Message{}, err
	}
	return n.remove(r, m, s, chat.Author{Person: n.me.Person, Name: n.me.Name, Device: n.me.Device}), nil
}

func (n *Node) React(_ context.Context, id chat.EntryID, sign string, on bool) (chat.Message, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r, m, _ := n.at(id)
	switch {
	case n.fail != nil || r == nil:
		return chat.Message{}, firstOf(n.fail, unknownMessage(id.String()))
	case r.Left || m.Removed != nil:
		return chat.Message{}, chat.Errorf(chat.CodeDenied, "Nothing can be put under that message any more.")
	case sign == "" || utf8.RuneCountInString(sign) > 10 || strings.ContainsFunc(sign, func(c rune) bool { return c < 0x80 && !unicode.IsDigit(c) && c != '#' && c != '*' }):
		return chat.Message{}, chat.Errorf(chat.CodeUsage, "A reaction is one emoji, and %.20q is none. Give one such as 👍.", sign)
	}
	return n.sign(m, n.me.Person, sign, on), nil
}

func (n *Node) Missing(_ context.Context, id chat.RoomID) ([]chat.Missing, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r, err := n.readable(id)
	if err != nil || n.fail != nil {
		return nil, firstOf(n.fail, err)
	}
	return slices.Clone(r.missing), nil
}

func (n *Node) View(_ context.Context, id chat.RoomID) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, err := n.readable(id)
	if err == nil && n.fail == nil {
		n.viewed = append(n.viewed, id)
	}
	return firstOf(n.fail, err)
}

// set changes how long messages of a sealed room last. n.mu is held.
func (n *Node) set(id chat.RoomID, what string, f func(*room)) error {
	r, err := n.byRoomID(id)
	switch {
	case err != nil || n.fail != nil:
		return firstOf(n.fail, err)
	case !r.Kind.Sealed():
		return chat.Errorf(chat.CodeUsage, "%s is open: anyone could keep what is said there, so nothing can promise that it goes. Use a private room.", r.Room.Room)
	case r.Kind == chat.RoomPrivate && r.Role != chat.RoleAdmin && r.Role != chat.RoleOwner:
		return chat.Errorf(chat.CodeDenied, "Your role in %s does not allow that. Ask an owner.", r.Room.Room)
	}
	f(r)
	n.changed(r, n.me.Name, what)
	return nil
}

func (n *Node) SetDisappear(_ context.Context, id chat.RoomID, after time.Duration) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.set(id, "changed when new messages disappear", func(r *room) { r.DisappearAfter = int64(after / time.Second) })
}

func (n *Node) SetRetention(_ context.Context, id chat.RoomID, keep time.Duration) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.set(id, "changed how long messages are kept", func(r *room) { r.KeepFor = int64(keep / time.Second) })
}

// place returns where a message of this time belongs.
func (r *room) place(at time.Time) int {
	i, _ := slices.BinarySearchFunc(r.messages, at, func(m chat.Message, at time.Time) int {
		return cmp.Or(m.SentAt.Compare(at), -1)
	})
	return i
}
