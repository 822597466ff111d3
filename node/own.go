package node

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/protocol"

	"earshot/chat"
	"earshot/chat/contacts"
	"earshot/chat/identity"
	"earshot/chat/private"
	"earshot/chat/room"
	"earshot/chat/wire"
	"earshot/node/host"
	"earshot/node/keyring"
	"earshot/node/store"
	"earshot/node/stream"
)

// This file is what the devices of one person tell each other:
// PROTOCOL.md#earshotown1.

const ownProtocol protocol.ID = "/earshot/own/1"

const (
	// lookAfter is how long messages that can't be read are left to their keys
	// before another own device is asked what they say.
	lookAfter = time.Second
	// textsTimeout bounds how long it may take to answer.
	textsTimeout = 30 * time.Second
	// textsFrame is how much text goes into one frame, in bytes: one more of the
	// longest fits.
	textsFrame = 32 << 10
)

// ownLink is the connection to another device of this person, from the moment in
// which both have shown whose they are. The loop owns it.
type ownLink struct {
	stream *stream.Stream // nil until it has said hello
	leave  func()         // ends keepOwnLink; nil where the other side opens
	look   chan struct{}  // capacity 1; rung when there may be something to ask
}

// linkOwn sees to it that there is a stream to another device of this person's while
// there is to be one, and no longer.
func (c *core) linkOwn(d chat.DeviceID) {
	nb, link := c.neighbours[d], c.own.links[d]
	if nb == nil || nb.peer == nil || !c.ofOwn(d) {
		if link == nil {
			return
		}
		delete(c.own.links, d)
		if link.leave != nil {
			link.leave()
		}
		if s := link.stream; s != nil {
			c.n.spawn(func(context.Context) { s.Reset(stream.ReasonDone) })
		}
		return
	}
	if link != nil {
		return
	}
	link = &ownLink{look: make(chan struct{}, 1)}
	c.own.links[d] = link
	if c.n.opens(d) {
		ctx, leave := context.WithCancel(c.n.ctx)
		link.leave = leave
		c.n.spawn(func(context.Context) { c.n.keepOwnLink(ctx, d) })
	}
}

// keepOwnLink opens the stream, again if it breaks, until ctx ends.
func (n *Node) keepOwnLink(ctx context.Context, d chat.DeviceID) {
	for wait := time.Second / 4; ctx.Err() == nil && n.host.Connected(d); wait = min(2*wait, 30*time.Second) {
		s, err := stream.Open(ctx, n.host.Libp2p(), host.PeerID(d), ownProtocol, stream.Options{})
		if err == nil {
			n.talkOwn(ctx, s, d)
		}
		sleep(ctx, wait)
	}
}

// hearOwn serves a stream that another device of this person's has opened.
func (n *Node) hearOwn(ctx context.Context, s *stream.Stream) {
	d, ok := host.DeviceID(s.Peer())
	if !ok {
		s.Reset(stream.ReasonDenied)
		return
	}
	if ok, _ := n.ownStreams.take(d); !ok {
		s.Reset(stream.ReasonBusy)
		return
	}
	defer n.ownStreams.free(d)
	n.talkOwn(ctx, s, d)
}

// ownTalk is what the goroutines of one stream hand to each other. The one that
// listens must never wait for the other side to read.
type ownTalk struct {
	wants   chan wire.OwnWant  // to the one that answers; capacity 1, since one question is asked at a time
	answers chan wire.OwnTexts // to the one that asks
	asking  atomic.Bool        // it waits for some
}

// talkOwn says hello and listens, until the stream ends. Both sides run it. Two more
// goroutines, of which one asks and one answers, end before it returns.
func (n *Node) talkOwn(ctx context.Context, s *stream.Stream, d chat.DeviceID) {
	defer s.Reset(stream.ReasonDone)
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { s.Reset(stream.ReasonShutdown) })
	defer stop()

	hello, err := inLoop(ctx, n, func(c *core) (wire.OwnHello, error) {
		if !c.ofOwn(d) {
			// Their hello on the other stream, or the list that names them, may be
			// yet to come: they try again.
			return wire.OwnHello{}, errNotOwn()
		}
		return c.ownHello(), nil
	})
	if err != nil || !s.TrySend(wire.EncodeFrame(hello)) {
		return
	}
	late := time.AfterFunc(helloTimeout, func() { s.Reset(stream.ReasonDone) })
	f, err := receiveFrame(s)
	late.Stop()
	theirs, ok := f.(wire.OwnHello)
	if err != nil || !ok {
		return
	}
	link, err := inLoop(ctx, n, func(c *core) (*ownLink, error) { return c.metOwn(d, s, theirs) })
	if err != nil {
		return
	}
	t := &ownTalk{wants: make(chan wire.OwnWant, 1), answers: make(chan wire.OwnTexts)}
	for _, work := range []func() error{
		func() error { return n.askTexts(ctx, s, link, t) },
		func() error { return n.answerAll(ctx, s, d, t) },
	} {
		wg.Go(func() {
			if err := work(); err != nil && ctx.Err() == nil {
				n.log.Debug("a stream between own devices ended", "device", d.Short(), "err", err)
				s.Reset(stream.ReasonDone)
			}
		})
	}
	for {
		if f, err = receiveFrame(s); err == nil {
			err = n.heardOwn(ctx, d, f, t)
		}
		if err != nil {
			if chat.CodeOf(err) == chat.CodeInvalid {
				n.refuseFrom(d, err)
			}
			return
		}
	}
}

func errNotOwn() error {
	return chat.Errorf(chat.CodeDenied, "A device that is not one of yours wanted to talk as if it were. It was refused; nothing needs to be done.")
}

// opens reports whether this side of a pair of devices opens what both speak on.
func (n *Node) opens(d chat.DeviceID) bool {
	return string(n.device[:]) < string(d[:])
}

func (c *core) ownHello() wire.OwnHello {
	sum := c.contactsSum()
	h := wire.OwnHello{Root: c.n.keys.Root != nil, List: c.own.registry.List().Bytes(), Contacts: sum[:], Name: c.n.Name()}
	if at := c.own.namedAt; !at.IsZero() {
		h.NamedAt = uint64(max(0, at.Unix()))
	}
	return h
}

// metOwn: another device of this person's has said hello on its stream.
func (c *core) metOwn(d chat.DeviceID, s *stream.Stream, h wire.OwnHello) (*ownLink, error) {
	if h.List != nil {
		l, err := identity.ParseDevices(h.List)
		if err == nil {
			err = c.heardOwnList(l)
		}
		if err != nil {
			c.refuse(d, err)
			return nil, err
		}
	}
	link := c.own.links[d]
	if link == nil || !c.ofOwn(d) {
		return nil, errNotOwn()
	}
	if old := link.stream; old != nil {
		c.n.spawn(func(context.Context) { old.Reset(stream.ReasonDone) })
	}
	link.stream = s
	if h.Root && c.own.root != d && c.n.keys.Root == nil {
		c.own.root = d
		c.n.store.Commit(store.Batch{State: []store.StateChange{{Key: stateRoot, Value: d[:]}}}, nil)
	}
	if at := time.Unix(int64(h.NamedAt), 0); h.NamedAt > 0 && at.After(c.own.namedAt) && !at.After(c.now.Add(chat.MaxFuture)) {
		c.renameSelf(chat.CleanName(h.Name), at)
	}
	if sum := c.contactsSum(); string(sum[:]) != string(h.Contacts) {
		c.sayContacts(s)
	}
	if c.status.at > 0 {
		s.TrySend(wire.EncodeFrame(c.status.frame()))
	}
	if c.profile.Version > 0 {
		s.TrySend(wire.EncodeFrame(c.profile.Frame()))
	}
	return link, nil
}

// renameSelf takes what this person calls themselves from another device of theirs.
func (c *core) renameSelf(name string, at time.Time) {
	n := c.n
	c.own.namedAt = at
	n.spawn(func(context.Context) {
		if err := keyring.SetName(n.cfg.Home, n.keys, name, at); err != nil {
			n.rarely("name", slog.LevelError, "storing the new name failed", "err", err)
		}
	})
	n.mu.Lock()
	same := n.name == name
	n.name = name
	n.mu.Unlock()
	if same {
		return
	}
	c.meet(n.device, n.person, name, c.now)
	c.room(room.Rename{Name: name})
	c.seal(private.Rename{Name: name})
	c.contact(contacts.Rename{Name: name}, nil)
}

// heardOwn takes a frame of another device of this person's.
func (n *Node) heardOwn(ctx context.Context, d chat.DeviceID, f wire.Frame, t *ownTalk) error {
	switch f := f.(type) {
	case wire.OwnContacts:
		return n.tell(ctx, func(c *core) {
			if c.ofOwn(d) { // it may have been revoked while the frame was on its way
				c.heardContacts(d, f)
			}
		})
	case wire.OwnStatus:
		return n.tell(ctx, func(c *core) {
			if c.ofOwn(d) {
				c.heardStatus(d, f)
			}
		})
	case wire.OwnProfile:
		return n.tell(ctx, func(c *core) {
			if c.ofOwn(d) {
				c.heardOwnProfile(d, f)
			}
		})
	case wire.OwnWant:
		select {
		case t.wants <- f:
			return nil
		default:
			return chat.Errorf(chat.CodeInvalid, "Another device of yours asks before it was answered. Update Earshot on it.")
		}
	case wire.OwnTexts:
		if !t.asking.Load() {
			break
		}
		select {
		case t.answers <- f:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	case wire.Unknown:
		return nil // from a newer version; it knows that we may not understand
	}
	return chat.Errorf(chat.CodeInvalid, "A device sent a frame where it has no place. It was refused; nothing needs to be done.")
}

// lookForTexts has the other devices asked about what can't be read here.
func (c *core) lookForTexts() {
	for _, link := range c.own.links {
		select {
		case link.look <- struct{}{}:
		default: // it is rung already
		}
	}
}

// askTexts asks another device of this person's what messages say that can't be read
// here: those from before this device joined, above all. It asks about each once in
// the life of a stream. What was answered is stored, so it goes on where it was after
// any end.
func (n *Node) askTexts(ctx context.Context, s *stream.Stream, link *ownLink, t *ownTalk) error {
	asked := map[chat.RoomID]uint64{} // up to which entry
	for {
		rooms, err := inLoop(ctx, n, func(c *core) (out []chat.RoomID, _ error) {
			for _, id := range c.rooms.Rooms() {
				if c.rooms.Sealed(id) {
					out = append(out, id)
				}
			}
			return out, nil
		})
		if err != nil {
			return err
		}
		for _, id := range rooms {
			if asked[id], err = n.askRoom(ctx, s, id, asked[id], t); err != nil {
				return err
			}
		}
		select {
		case <-link.look:
		case <-ctx.Done():
			return ctx.Err()
		}
		if !sleep(ctx, lookAfter) { // for their keys, and for the store
			return ctx.Err()
		}
	}
}

// askRoom asks about the messages of a room behind after, and returns up to where it
// came.
func (n *Node) askRoom(ctx context.Context, s *stream.Stream, id chat.RoomID, after uint64, t *ownTalk) (uint64, error) {
	for {
		page, next, err := n.store.UnopenedEntries(ctx, store.UnopenedQuery{Room: id, After: after, Limit: wire.MaxOwnIDs})
		if err != nil || len(page) == 0 {
			return after, err
		}
		want := wire.OwnWant{Room: id[:]}
		closed := map[chat.EntryID]chat.PersonID{} // and whose they are
		for i := range page {
			if e := &page[i].Entry; e.Kind == wire.KindMessage {
				want.IDs = append(want.IDs, e.ID[:]...)
				closed[e.ID] = page[i].Person
			}
		}
		if len(closed) > 0 {
			t.asking.Store(true)
			if err := s.Send(ctx, wire.EncodeFrame(want)); err != nil {
				return after, err
			}
			if err := n.takeTexts(ctx, id, closed, t); err != nil {
				return after, err
			}
		}
		after = next
	}
}

// takeTexts stores what is answered to one question.
func (n *Node) takeTexts(ctx context.Context, id chat.RoomID, closed map[chat.EntryID]chat.PersonID, t *ownTalk) error {
	timeout := time.NewTimer(textsTimeout)
	defer timeout.Stop()
	for more := true; more; {
		var got wire.OwnTexts
		select {
		case got = <-t.answers:
		case <-timeout.C:
			return errors.New("no answer")
		case <-ctx.Done():
			return ctx.Err()
		}
		if chat.RoomID(got.Room) != id {
			return errors.New("an answer about another room")
		}
		if more = got.More; !more {
			t.asking.Store(false)
		}
		err := n.handOver(ctx, func(w *change) {
			for _, said := range got.Texts {
				e := chat.EntryID(said.ID)
				who, asked := closed[e]
				if !asked {
					continue
				}
				delete(closed, e) // it is answered
				o := store.Opening{ID: e, Room: id, Text: chat.CleanText(said.Text)}
				if w.c.hidden(who) {
					o.Text = ""
				}
				w.batch.Openings = append(w.batch.Openings, o)
			}
			w.touch(id)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// answerAll answers one question after the other until ctx ends.
func (n *Node) answerAll(ctx context.Context, s *stream.Stream, d chat.DeviceID, t *ownTalk) error {
	for {
		select {
		case want := <-t.wants:
			// It may have been revoked while the question was on its way.
			own, err := inLoop(ctx, n, func(c *core) (bool, error) { return c.ofOwn(d), nil })
			if err == nil && !own {
				err = errNotOwn()
			}
			if err == nil {
				err = n.answerTexts(ctx, s, want)
			}
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// answerTexts tells another device of this person's what messages say.
func (n *Node) answerTexts(ctx context.Context, s *stream.Stream, want wire.OwnWant) error {
	const size = len(chat.EntryID{})
	var ids []chat.EntryID
	for b := want.IDs; len(b) > 0; b = b[size:] {
		ids = append(ids, chat.EntryID(b[:size]))
	}
	texts, err := n.store.Texts(ctx, chat.RoomID(want.Room), ids)
	if err != nil {
		return err
	}
	out := wire.OwnTexts{Room: want.Room}
	held := 0
	for _, id := range ids {
		text, ok := texts[id]
		if !ok {
			continue
		}
		delete(texts, id) // it may have been asked for twice
		out.Texts = append(out.Texts, wire.OwnText{ID: id[:], Text: text})
		if held += len(text) + size + 8; held >= textsFrame {
			out.More = true
			if err := s.Send(ctx, wire.EncodeFrame(out)); err != nil {
				return err
			}
			out.Texts, out.More, held = nil, false, 0
		}
	}
	return s.Send(ctx, wire.EncodeFrame(out))
}
