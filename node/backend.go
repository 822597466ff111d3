package node

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"earshot/chat"
	"earshot/chat/catchup"
	"earshot/chat/content"
	"earshot/chat/room"
	"earshot/chat/wire"
	"earshot/node/api"
	"earshot/node/feed"
	"earshot/node/keyring"
	"earshot/node/store"
)

// This file is what the local API asks of a node.

var _ api.Backend = (*Node)(nil)

// Feed returns the events of this run.
func (n *Node) Feed() *feed.Feed { return n.feed }

// Name returns what this person is called now.
func (n *Node) Name() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.name
}

// Me returns who and where this node is.
func (n *Node) Me(context.Context) (chat.Me, error) {
	me := chat.Me{
		Person: n.person, Device: n.device, Home: n.cfg.Home, Version: n.cfg.Version,
		Addresses: []string{}, Refused: n.Refused(), StartedAt: n.started.UTC(),
	}
	protection, err := keyring.Protected(n.cfg.Home) // `earshot passphrase` may have changed it
	if err != nil {
		return chat.Me{}, err
	}
	me.Protected = protection.Any()
	if n.host != nil {
		me.Port = n.host.Port()
		for _, a := range n.host.Addrs() {
			me.Addresses = append(me.Addresses, a.String())
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	me.Name, me.Networks = n.name, append([]string{}, n.networks...)
	for _, w := range n.warnings {
		me.Warnings = append(me.Warnings, w)
	}
	slices.SortFunc(me.Warnings, func(a, b chat.Error) int { return strings.Compare(string(a.Code), string(b.Code)) })
	return me, nil
}

// People returns everybody this node has met or read, this person first, then
// who is here.
func (n *Node) People(ctx context.Context) ([]chat.Person, error) {
	return inLoop(ctx, n, func(c *core) ([]chat.Person, error) { return c.people.all(), nil })
}

// JoinRoom enters the open room of that name, or makes it: the two are the same.
func (n *Node) JoinRoom(ctx context.Context, name string) (chat.Room, error) {
	name, err := chat.CanonicalRoomName(name)
	if err != nil {
		return chat.Room{}, err
	}
	id := chat.OpenRoom(name)
	var full error
	if err := n.do(ctx, func(c *core) {
		if !c.rooms.Entered(id) {
			full = c.roomLeft()
		}
	}); err != nil {
		return chat.Room{}, err
	}
	if full != nil {
		return chat.Room{}, full
	}
	if err := n.putRoom(ctx, id, name, true); err != nil {
		return chat.Room{}, err
	}
	if err := n.do(ctx, func(c *core) { c.enter(id, name) }); err != nil {
		return chat.Room{}, err
	}
	return n.FindRoom(ctx, id.String())
}

// LeaveRoom stops taking part. What was said stays in the home.
func (n *Node) LeaveRoom(ctx context.Context, id chat.RoomID) error {
	var name string
	sealed := false
	if err := n.do(ctx, func(c *core) {
		if c.rooms.Entered(id) {
			name, sealed = c.names[id], c.rooms.Sealed(id)
		}
	}); err != nil {
		return err
	}
	switch {
	case name == "":
		return notIn()
	case sealed:
		return n.handOver(ctx, func(w *change) { w.leave(id) })
	case name == chat.Lobby:
		return chat.Errorf(chat.CodeDenied, "%s can't be left: it is where people find each other. Just ignore it.", chat.Lobby)
	}
	if err := n.putRoom(ctx, id, name, false); err != nil {
		return err
	}
	return n.do(ctx, func(c *core) { c.exit(id) })
}

// putRoom stores that a room was joined or left, and tells faces.
func (n *Node) putRoom(ctx context.Context, id chat.RoomID, name string, joined bool) error {
	now := time.Now()
	stored := make(chan error, 1)
	n.store.PutRoom(store.RoomChange{Room: id, Name: name, Kind: chat.RoomOpen, Joined: joined, At: now}, func(cursor chat.Cursor, err error) {
		if err == nil && cursor != 0 {
			n.feed.Publish(chat.RoomEvent{Cursor: cursor, Room: name, RoomID: id, Joined: joined, At: now.UTC()})
		}
		if err != nil {
			stored <- err
			return
		}
		n.store.Sync(func(err error) { stored <- err })
	})
	select {
	case err := <-stored:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Send says something in a room. It returns when the message is stored here, from
// where it reaches the others. The same client id again, unless it is empty,
// returns the message that the first call made.
func (n *Node) Send(ctx context.Context, id chat.RoomID, d chat.Draft) (chat.Message, error) {
	p, first := n.posting(d.ClientID)
	if first {
		n.send(ctx, id, d, p)
	}
	return n.await(ctx, p)
}

// await waits for what becomes of a post.
func (n *Node) await(ctx context.Context, p *post) (chat.Message, error) {
	select {
	case <-p.done:
		return p.message, p.err
	case <-ctx.Done():
		return chat.Message{}, ctx.Err()
	case <-n.loopDone:
		return chat.Message{}, errStopping()
	}
}

// send puts a post on its way, or ends it.
func (n *Node) send(ctx context.Context, id chat.RoomID, d chat.Draft, p *post) {
	if p.clientID != "" {
		if m, ok, err := n.store.ByClientID(ctx, p.clientID); err != nil || ok {
			if err == nil {
				n.confirm(p, m)
			} else {
				n.posted(p, m, err)
			}
			return
		}
	}
	err := n.callPeople(ctx, id, &d)
	if err == nil {
		err = n.tell(ctx, func(c *core) {
			w := c.begin(p)
			if payload, err := content.Compose(d, c.disappearing(id)); err != nil {
				w.deny(postRef, err)
			} else {
				w.say(id, wire.KindMessage, payload)
			}
			w.end()
		})
	}
	if err != nil {
		n.posted(p, chat.Message{}, err)
	}
}

// posting returns the post of a client id that is on its way, or a new one, which
// the caller sends. A second entry with one client id would be refused by the
// store, and with it what this device says next.
func (n *Node) posting(clientID string) (p *post, first bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p := n.posts[clientID]; p != nil {
		return p, false
	}
	p = newPost(clientID)
	if clientID != "" {
		n.posts[clientID] = p
	}
	return p, true
}

// confirm ends a post that the store has taken, once the disk itself has it: by then it
// may long be with others.
func (n *Node) confirm(p *post, m chat.Message) {
	n.store.Sync(func(err error) {
		if err != nil {
			n.syncFailed(err)
			m = chat.Message{}
		}
		n.posted(p, m, err)
	})
}

// keep stores what a person, or another device, is going to be told is kept. done is
// called once the disk itself has it, or with why it has not.
func (n *Node) keep(b store.Batch, done func(error)) {
	n.store.Commit(b, func(_ []chat.Cursor, err error) {
		if err != nil {
			done(err)
			return
		}
		n.store.Sync(done)
	})
}

// posted ends a post: who waits for it is told.
func (n *Node) posted(p *post, m chat.Message, err error) {
	n.mu.Lock()
	delete(n.posts, p.clientID)
	n.mu.Unlock()
	p.message, p.err = m, err
	close(p.done)
}

// Messages returns a page of a room, oldest first.
func (n *Node) Messages(ctx context.Context, id chat.RoomID, p api.Page) ([]chat.Message, error) {
	page, err := n.store.Messages(ctx, id, store.MessageQuery{Before: p.Before, After: p.After, Limit: p.Limit})
	if err != nil {
		return nil, err
	}
	n.names.sign(page)
	return page, n.states(ctx, page)
}

// MarkRead notes that the person has read a room up to a message.
func (n *Node) MarkRead(ctx context.Context, id chat.RoomID, upTo chat.EntryID) error {
	room, err := n.FindRoom(ctx, id.String())
	if err != nil {
		return err
	}
	stored := make(chan error, 1)
	var logs []store.LogMark
	n.store.MarkRead(id, upTo, func(mark store.ReadMark, err error) {
		if err == nil {
			logs = mark.Logs
			n.feed.Publish(chat.ReadEvent{Room: room.Room, RoomID: id, Unread: mark.Unread, ReadUpTo: mark.ReadUpTo})
		}
		stored <- err
	})
	select {
	case err := <-stored:
		if err == nil && len(logs) > 0 {
			err = n.tell(n.ctx, func(c *core) { c.didRead(id, logs) })
		}
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Facts returns up to limit facts after a cursor, in order.
func (n *Node) Facts(ctx context.Context, after chat.Cursor, limit int) ([]chat.Event, error) {
	facts, err := n.store.Facts(ctx, after, limit)
	if err != nil {
		return nil, err
	}
	n.names.signFacts(facts)
	return facts, nil
}

// Backup writes an encrypted copy of keys and history, as of one moment.
func (n *Node) Backup(ctx context.Context, passphrase string, w io.Writer) (err error) {
	snapshot, err := n.store.Snapshot(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	keys := n.keys
	keys.Name = n.Name()
	return keyring.WriteBackup(w, keys, []byte(passphrase), snapshot, snapshot.Size, time.Now())
}

// enter makes the engines take part in a room.
func (c *core) enter(id chat.RoomID, name string) {
	c.names[id] = name
	c.room(room.Enter{Room: id})
	c.retag()
	c.sync(catchup.Joined{})
}

func (c *core) exit(id chat.RoomID) {
	c.room(room.Exit{Room: id})
	c.retag()
}

// Refused returns how much that breaks the protocol was refused since the start.
func (n *Node) Refused() uint64 { return n.standings.count() }
