package node

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"earshot/chat"
	"earshot/chat/catchup"
	"earshot/chat/private"
	"earshot/chat/room"
	"earshot/chat/wire"
	"earshot/node/store"
	"earshot/node/stream"
)

// change is what comes of one event: the store takes all of it or nothing, and
// faces and the network are told once it has. The loop fills it; after end only the
// store's writer touches it.
type change struct {
	c        *core
	batch    store.Batch
	messages []chat.Message // of batch.Records; zero where nothing is shown
	mine     []int          // records that were made here, to be published
	ways     []*recipients  // of those of mine; nil for gossip

	post   *post // who waits for it; nil for nobody
	said   int   // the record that is the post's; -1 for none
	denied error // why the post can't be made

	life     *life         // of the private engine, if it has a part in this
	prekey   []byte        // that others may use from now on; nil for no change
	letters  []letter      // to neighbours
	weather  []chat.Event  // for faces
	alarms   []chat.Error  // likewise
	again    []reopening   // what can perhaps be opened now
	touched  []chat.RoomID // sealed rooms of which faces may have to be told
	done     chat.RoomID   // what the post wanted is done, there
	settings []chat.RoomID // direct chats for which it was said how long things are kept
	shared   []chat.RoomID // whom these may be named to may have changed
	listed   bool          // somebody's devices are others now
	bare     []chat.RoomID // sealed rooms in which an entry came without its payload

	forks  []room.Fork   // looked into when what is held is on its way into the store
	parted []room.Parted // of which batch.Splits are

	then   func() // runs in the end, whatever came of it, and not always in the loop
	failed bool   // it was not stored; known when then runs
}

// letter is a frame for a neighbour.
type letter struct {
	to    *stream.Stream
	frame []byte
}

// post is something that a person wants done, on its way into the store.
type post struct {
	clientID string
	done     chan struct{} // closed when what follows is set
	message  chat.Message
	err      error
}

func newPost(clientID string) *post { return &post{clientID: clientID, done: make(chan struct{})} }

// postRef is what engines call the post of a change: there is but one.
const postRef = 1

// life is one of the private engine. What it says is stored in the order in
// which it says it, or its life is over: states that follow one that was not stored
// must not be.
type life struct {
	pending atomic.Int64 // changes on their way into the store
	failure atomic.Pointer[error]
}

// guard refuses what follows a failure.
func (l *life) guard() error {
	if err := l.failure.Load(); err != nil {
		return *err
	}
	return nil
}

func (c *core) begin(p *post) *change { return &change{c: c, post: p, said: -1} }

// room hands an input to the room engine and carries out what it wants.
func (c *core) room(in room.Input) {
	w := c.begin(nil)
	w.rooms(c.rooms.Handle(c.now, in))
	w.end()
}

// rooms takes what the room engine wants.
func (w *change) rooms(effects []room.Effect) {
	c := w.c
	for _, ef := range effects {
		switch ef := ef.(type) {
		case room.Commit:
			for i := range ef.Records {
				w.record(&ef.Records[i])
			}
			if ef.Ref == postRef {
				w.said = len(w.messages) - 1
			}
		case room.Refuse:
			c.refuse(ef.From, ef.Err)
		case room.Lack:
			c.sync(catchup.Gap{Device: ef.From})
		case room.Show:
			c.ahead(ef)
		case room.Deny:
			w.deny(ef.Ref, ef.Err)
		case room.Fork:
			w.forks = append(w.forks, ef)
		case room.Parted:
			w.batch.Splits = append(w.batch.Splits, store.Split{Room: ef.Room, Log: ef.Log, Seq: ef.Seq, Branch: ef.Branch})
			w.parted = append(w.parted, ef)
		case room.Crowded:
			c.crowded(ef)
		case room.Recheck:
			c.recheck(ef)
		}
	}
}

// record takes an entry that the room engine accepted. What is sealed is opened on
// its way, so that text and spent keys are stored with it.
func (w *change) record(r *room.Record) {
	c := w.c
	c.meet(r.Entry.Device, r.Person, r.Name, minTime(r.Entry.HLC.Time(), c.now))
	w.batch.Records = append(w.batch.Records, store.Record{
		Room: r.Room, Entry: r.Entry, Person: r.Person, ReceivedAt: r.ReceivedAt,
		Sort: r.Sort, Mine: r.Person == c.n.person,
	})
	if r.Entry.Device == c.n.device && !r.Mine {
		c.heardSelf(&r.Entry)
	}
	if r.Entry.Kind == wire.KindMessage {
		c.saidWhatTyped(r.Room, r.Entry.Device)
	}
	w.messages = append(w.messages, chat.Message{})
	at := len(w.messages) - 1
	if r.Mine {
		w.mine = append(w.mine, at)
	}
	switch {
	case r.Entry.Payload == nil && r.Entry.Kind.Removable():
		rec := &w.batch.Records[at]
		if rec.Unopened = true; c.rooms.Sealed(r.Room) && c.private.Predates(r.Room, r.Entry.HLC) {
			// Nor could why it was removed be read here.
			rec.Reason, rec.Quiet = string(private.BeforeJoining), true
		} else {
			if rec.Reason = store.Stripped; c.rooms.Sealed(r.Room) {
				w.bare = append(w.bare, r.Room)
			}
		}
	case !c.rooms.Sealed(r.Room):
		w.show(at, r.Said)
	case r.Mine: // by the private engine, which says what it reads
		w.life = c.life
	default:
		w.receive(r)
	}
}

func (w *change) deny(ref uint64, err error) {
	if ref == postRef {
		w.denied = err
	}
}

// end has the store take the change, if there is anything to store.
func (w *change) end() {
	c := w.c
	if len(w.batch.Unopened) > 0 || slices.ContainsFunc(w.batch.Records, func(r store.Record) bool { return r.Unopened }) {
		c.lookForTexts()
	}
	for _, id := range w.touched {
		w.settleRoom(id)
	}
	if w.post != nil && w.denied != nil {
		c.n.posted(w.post, chat.Message{}, w.denied)
		w.post = nil
	}
	if w.post != nil && w.said >= 0 {
		w.batch.Records[w.said].ClientID = w.post.clientID
	}
	w.submit()
	for _, f := range w.forks {
		c.forked(f)
	}
	if len(w.shared) > 0 { // only now: what follows may make changes of its own
		c.offerShared(w.shared)
		c.shareReceipts(w.shared)
	}
	if w.listed { // devices may be in rooms now of which they have not been told
		c.shareReceipts(nil)
	}
	if w.listed || len(w.shared) > 0 {
		c.introduce()
	}
}

// submit hands the change to the store, or does the rest of it at once if there is
// nothing to store and nothing of the private engine's to wait for.
func (w *change) submit() {
	b := &w.batch
	w.ways = make([]*recipients, 0, len(w.mine))
	for _, at := range w.mine {
		w.ways = append(w.ways, w.c.recipientsOf(b.Records[at].Room))
	}
	if len(b.Splits)+len(b.Records)+len(b.Openings)+len(b.Unopened)+len(b.State)+len(b.Rooms)+len(b.Rules)+len(b.Payloads) == 0 && (w.life == nil || w.life.pending.Load() == 0) {
		if w.life != nil {
			if err := w.life.guard(); err != nil { // it speaks of what was not stored
				w.refused(err)
				return
			}
		}
		w.tell(nil)
		if w.then != nil {
			w.then()
		}
		return
	}
	if w.life != nil {
		w.life.pending.Add(1)
		b.Guard = w.life.guard
	}
	w.c.n.store.Commit(*b, w.stored)
}

// refused ends a change of an engine that is about to be made anew.
func (w *change) refused(err error) {
	w.failed = true
	if w.post != nil {
		w.c.n.posted(w.post, chat.Message{}, err)
	}
	if w.then != nil {
		w.then()
	}
}

// stored is told by the store what came of the change.
func (w *change) stored(cursors []chat.Cursor, err error) {
	n := w.c.n
	if w.then != nil {
		defer w.then()
	}
	if w.life != nil {
		defer w.life.pending.Add(-1)
	}
	if err == nil {
		n.storeWorks()
		w.tell(cursors)
		n.took(&w.batch, w.bare, w.parted)
		n.splitRead(w.batch.Splits)
		return
	}
	w.failed = true
	n.rarely("store", slog.LevelError, "storing failed", "err", err)
	if w.life != nil {
		w.life.failure.CompareAndSwap(nil, &err)
	}
	if w.post != nil {
		n.posted(w.post, chat.Message{}, err)
	}
	n.storeFailed(w.concerned(), err)
}

// concerned returns the rooms whose logs the change goes on with.
func (w *change) concerned() (out []chat.RoomID) {
	add := func(id chat.RoomID) {
		if !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	for i := range w.batch.Splits {
		add(w.batch.Splits[i].Room)
	}
	for i := range w.batch.Records {
		add(w.batch.Records[i].Room)
	}
	return out
}

// tell tells faces, who waits for it, and the network, in this order.
func (w *change) tell(cursors []chat.Cursor) {
	n := w.c.n
	w.tellFacts(cursors)
	w.tellWeather()
	for _, a := range w.alarms {
		n.warn(a)
	}
	if w.post != nil {
		var m chat.Message
		if w.said >= 0 {
			m = w.messages[w.said]
		}
		n.confirm(w.post, m)
	}
	for i, at := range w.mine {
		e := &w.batch.Records[at]
		if to := w.ways[i]; to != nil {
			n.give(to, e.Room.Tag(e.ReceivedAt), &e.Entry)
		} else {
			n.publish(e.Room.Tag(e.ReceivedAt), &e.Entry)
		}
	}
	if w.prekey != nil || len(w.letters) > 0 {
		n.store.Sync(w.tellNeighbours)
	}
	for _, r := range w.again {
		n.reopenings.add(r)
	}
	if w.post == nil { // else who said so follows it
		for _, id := range w.settings {
			n.spawn(func(ctx context.Context) {
				if err := n.followSetting(ctx, id); err != nil && ctx.Err() == nil {
					n.rarely("setting", slog.LevelError, "reading how long messages are kept failed", "err", err)
				}
			})
		}
	}
	for _, id := range w.unsettled() {
		n.weighWanted(id)
	}
}

// tellNeighbours tells them what they are going to rely on: that keys have come here, or
// which they may use. Where the disk fails they are not told, as if they were away.
func (w *change) tellNeighbours(err error) {
	if err != nil {
		return
	}
	if w.prekey != nil {
		w.c.n.prekeyNow.Store(&w.prekey)
	}
	for _, l := range w.letters {
		l.to.TrySend(l.frame)
	}
}

// unsettled returns the rooms in which other payloads may be missing now than before.
func (w *change) unsettled() (out []chat.RoomID) {
	b := &w.batch
	add := func(id chat.RoomID, yes bool) {
		if yes && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	excuses := func(id chat.RoomID, s *store.Content) bool {
		return s != nil && (len(s.Remove) > 0 || s.Setting != nil) && w.c.n.wanted.has(id)
	}
	for i := range b.Records {
		r := &b.Records[i]
		add(r.Room, r.Unopened && r.Reason == store.Stripped || excuses(r.Room, r.Content))
	}
	for i := range b.Openings {
		add(b.Openings[i].Room, excuses(b.Openings[i].Room, b.Openings[i].Content))
	}
	for i := range b.Rules {
		add(b.Rules[i].Room, w.c.n.wanted.has(b.Rules[i].Room))
	}
	for i := range b.Payloads {
		add(b.Payloads[i].Room, true)
	}
	return out
}

// tellWeather publishes the rest, and has faces told of what can be read now, or not.
func (w *change) tellWeather() {
	n := w.c.n
	for _, ev := range w.weather {
		if changed, ok := ev.(chat.RoomChangedEvent); ok { // with what only the store counts
			if r, err := n.roomRow(n.ctx, changed.RoomID); err == nil && r != nil {
				changed.Unread, changed.Unreadable, changed.LastAt, changed.ReadUpTo = r.Unread, r.Unreadable, r.LastAt, r.ReadUpTo
				changed.Mentions = r.Mentions
			}
			ev = changed
		}
		n.feed.Publish(ev)
	}
	for i := range w.batch.Records {
		if r := &w.batch.Records[i]; r.Unopened && !r.Quiet && r.Entry.Kind == wire.KindMessage {
			n.reopenings.add(reopening{room: r.Room, counts: true})
		}
	}
	for i := range w.batch.Openings {
		n.reopenings.add(reopening{room: w.batch.Openings[i].Room, counts: true})
	}
	for i := range w.batch.Unopened {
		n.reopenings.add(reopening{room: w.batch.Unopened[i].Room, counts: true})
	}
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
