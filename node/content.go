package node

import (
	"context"
	"slices"
	"strings"
	"time"

	"earshot/chat"
	"earshot/chat/content"
	"earshot/chat/membership"
	"earshot/chat/wire"
	"earshot/node/store"
)

// This file is what people make of what was said, and how long it is kept.

// show notes what a record of the change says.
func (w *change) show(at int, said content.Said) {
	rec := &w.batch.Records[at]
	said = w.heard(rec.Person, said)
	rec.Text, rec.Content = said.Text, w.contentOf(rec.Room, said)
	if said.IsMessage() {
		w.messages[at] = w.c.messageOf(rec, said)
	}
}

// messageOf returns what faces are told of a message.
func (c *core) messageOf(rec *store.Record, said content.Said) chat.Message {
	m := chat.Message{
		ID: rec.Entry.ID, Room: c.names[rec.Room], RoomID: rec.Room,
		From: c.people.author(rec.Entry.Device, rec.Person), Text: said.Text,
		SentAt: rec.Entry.HLC.Time(), ReceivedAt: rec.ReceivedAt.UTC(),
		Mine: rec.Mine, ClockAhead: rec.Sort != rec.Entry.HLC,
		ReplyTo: said.ReplyTo, Mentions: said.Mentions, MentionsMe: slices.Contains(said.Mentions, c.n.person),
	}
	if said.Expires > 0 {
		m.ExpiresAt = m.SentAt.Add(said.Expires)
		c.sweepBy(m.ExpiresAt)
	}
	return m
}

// heard returns what counts of what somebody says: of who is blocked, only that they
// remove what they said before.
func (w *change) heard(who chat.PersonID, said content.Said) content.Said {
	if w.c.hidden(who) {
		return content.Said{Remove: said.Remove}
	}
	return said
}

// contentOf returns what the store keeps of something said beyond its text; nil for
// nothing.
func (w *change) contentOf(id chat.RoomID, s content.Said) *store.Content {
	if s.Setting != nil {
		w.settings = append(w.settings, id)
	}
	return w.c.contentOf(s)
}

func (c *core) contentOf(s content.Said) *store.Content {
	if s.ReplyTo == nil && s.Mentions == nil && s.Expires == 0 && s.Edit == nil && s.Remove == nil && s.React == nil && s.Setting == nil {
		return nil
	}
	return &store.Content{
		ReplyTo: s.ReplyTo, Mentions: s.Mentions, MentionsMe: slices.Contains(s.Mentions, c.n.person), Expires: s.Expires,
		Edit: s.Edit, Remove: s.Remove, React: s.React, Setting: s.Setting,
	}
}

// callPeople adds to a draft whom its text calls by name.
func (n *Node) callPeople(ctx context.Context, id chat.RoomID, d *chat.Draft) error {
	called, err := n.called(ctx, id, d.Text)
	if err != nil || len(called) == 0 {
		return err
	}
	d.Mentions = slices.Clone(d.Mentions) // the caller's
	for _, who := range called {
		if !slices.Contains(d.Mentions, who) {
			d.Mentions = append(d.Mentions, who)
		}
	}
	return nil
}

func (n *Node) called(ctx context.Context, id chat.RoomID, text string) ([]chat.PersonID, error) {
	if !strings.Contains(text, "@") {
		return nil, nil
	}
	var present []content.Named
	err := n.do(ctx, func(c *core) {
		add := func(who chat.PersonID, name string) {
			if who != n.person {
				present = append(present, content.Named{Person: who, Name: name})
			}
		}
		if info, ok := c.private.Info(id); ok {
			for _, m := range info.Members {
				add(m.Person, c.displayName(m.Person))
			}
			return
		}
		for _, p := range c.people.all() {
			add(p.Person, p.Name)
		}
	})
	return content.Called(text, present), err
}

// Edit changes what a message of one's own says.
func (n *Node) Edit(ctx context.Context, id chat.EntryID, text string) (chat.Message, error) {
	m, err := n.store.MessageByID(ctx, id)
	switch {
	case err != nil:
		return chat.Message{}, err
	case !m.Mine:
		return chat.Message{}, chat.Errorf(chat.CodeDenied, "Only who wrote a message can change it. Answer it instead.")
	case m.Removed != nil:
		return chat.Message{}, chat.Errorf(chat.CodeDenied, "This message was removed, so it can't be changed. Write a new one.")
	}
	mentions, err := n.called(ctx, m.RoomID, text)
	if err != nil {
		return chat.Message{}, err
	}
	payload, err := content.ComposeEdit(id, text, mentions)
	if err != nil {
		return chat.Message{}, err
	}
	return n.about(ctx, m, wire.KindEdit, payload)
}

// Delete removes a message of one's own, or as an admin of its room anybody's. What it
// said is gone from here, and from every device that hears of it.
func (n *Node) Delete(ctx context.Context, id chat.EntryID) (chat.Message, error) {
	m, err := n.store.MessageByID(ctx, id)
	if err != nil {
		return chat.Message{}, err
	}
	if m.Removed != nil {
		return n.signed(m), nil
	}
	if !m.Mine {
		may, err := inLoop(ctx, n, func(c *core) (bool, error) {
			info, ok := c.private.Info(m.RoomID)
			return ok && !info.Direct && info.Role >= membership.RoleAdmin, nil
		})
		if err != nil {
			return chat.Message{}, err
		}
		if !may {
			return chat.Message{}, chat.Errorf(chat.CodeDenied, "Only who wrote a message can remove it, or an admin of a private room. Ask one of them.")
		}
	}
	edits, err := n.store.EditsOf(ctx, id, chat.MaxRemoved-1)
	if err != nil {
		return chat.Message{}, err
	}
	return n.about(ctx, m, wire.KindDelete, content.ComposeDelete(append([]chat.EntryID{id}, edits...)))
}

// React puts a sign under a message, or takes one's own away.
func (n *Node) React(ctx context.Context, id chat.EntryID, sign string, on bool) (chat.Message, error) {
	m, err := n.store.MessageByID(ctx, id)
	if err != nil {
		return chat.Message{}, err
	}
	if m.Removed != nil {
		return chat.Message{}, chat.Errorf(chat.CodeDenied, "This message was removed, so nothing can be put under it. Choose another one.")
	}
	payload, err := content.ComposeReaction(content.React{Target: id, Sign: sign, Off: !on})
	if err != nil {
		return chat.Message{}, err
	}
	m = n.signed(m)
	if slices.ContainsFunc(m.Reactions, func(r chat.Reaction) bool { return r.Sign == sign && r.Mine }) == on {
		return m, nil // it is so already
	}
	return n.about(ctx, m, wire.KindReaction, payload)
}

// about says something about a message, and returns what it became.
func (n *Node) about(ctx context.Context, m chat.Message, kind wire.Kind, payload []byte) (chat.Message, error) {
	if err := n.handOver(ctx, func(w *change) { w.say(m.RoomID, kind, payload) }); err != nil {
		return chat.Message{}, err
	}
	m, err := n.store.MessageByID(ctx, m.ID)
	return n.signed(m), err
}

// tellChanges tells what a message said before, or where it has been removed.
func (n *Node) tellChanges(ctx context.Context, m *chat.MessageDetail) (err error) {
	if m.Removed == nil {
		if !m.EditedAt.IsZero() {
			m.Revisions, err = n.store.Revisions(ctx, m.ID)
		}
		return err
	}
	log, seq, ok, err := n.store.RemovalOf(ctx, m.RoomID, m.ID)
	if err != nil || !ok {
		return err
	}
	return n.do(ctx, func(c *core) { m.RemovedOn, m.RemovedOf = c.removedOn(m.RoomID, log, seq) })
}

// signed returns a message as faces are told it.
func (n *Node) signed(m chat.Message) chat.Message {
	one := []chat.Message{m}
	n.names.sign(one)
	return one[0]
}

// SetDisappear has what is said in a sealed room from now on disappear after a time, 0
// for never.
func (n *Node) SetDisappear(ctx context.Context, id chat.RoomID, after time.Duration) error {
	return n.setKeeping(ctx, id, after, func(s *content.Setting) *time.Duration { return &s.Disappear },
		func(seconds *uint64) membership.Retain { return membership.Retain{Disappear: seconds} })
}

// SetRetention has everything in a sealed room kept no longer than that, 0 for ever.
func (n *Node) SetRetention(ctx context.Context, id chat.RoomID, keep time.Duration) error {
	return n.setKeeping(ctx, id, keep, func(s *content.Setting) *time.Duration { return &s.Keep },
		func(seconds *uint64) membership.Retain { return membership.Retain{Keep: seconds} })
}

func (n *Node) setKeeping(ctx context.Context, id chat.RoomID, d time.Duration, field func(*content.Setting) *time.Duration, body func(*uint64) membership.Retain) error {
	if d < 0 || d > chat.MaxKeep || d > 0 && d < time.Second {
		return chat.Errorf(chat.CodeUsage, "Messages can be kept from a second to ten years, or for ever. Give a time such as 1d, or off.")
	}
	d = d.Truncate(time.Second)
	err := n.handOver(ctx, func(w *change) {
		c := w.c
		info, ok := c.private.Info(id)
		switch {
		case ok && info.Direct:
			s := c.keeping[id]
			*field(&s) = d
			w.say(id, wire.KindSetting, content.ComposeSetting(s))
		case ok:
			seconds := uint64(d / time.Second)
			w.alter(id, body(&seconds))
		case c.rooms.Entered(id):
			w.deny(postRef, chat.Errorf(chat.CodeUsage, "%s is open: what is said there is kept by everybody as they like. Make a private room: earshot room create #name", c.names[id]))
		default:
			w.deny(postRef, notIn())
		}
	})
	if err != nil {
		return err
	}
	return n.followSetting(ctx, id) // what is said next already disappears
}
