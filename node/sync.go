package node

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"earshot/chat"
	"earshot/chat/catchup"
	"earshot/chat/room"
	"earshot/chat/seal"
	"earshot/chat/wire"
	"earshot/node/host"
	"earshot/node/store"
	"earshot/node/stream"
)

const (
	// pageEntries and pageBytes bound what is read from the store at a time to be
	// sent: a few frames.
	pageEntries = 2 * chat.MaxBatch
	pageBytes   = 512 << 10
	// uncommitted bounds the batches of a session that wait for the disk: the
	// other side is not read faster than this side can store.
	uncommitted = 4
)

// What is queued counts as said, so it must not take a slow link long.
var syncOptions = stream.Options{Queue: 8}

// roomStates is what this node holds of the rooms it shares with a neighbour, for a
// session.
func (c *core) roomStates(d chat.DeviceID) []catchup.RoomState {
	ids := holdings{c}.Shared(d)
	if at := slices.Index(ids, c.viewed); at > 0 { // what is on a screen comes first
		copy(ids[1:], ids[:at])
		ids[0] = c.viewed
	}
	out := make([]catchup.RoomState, 0, len(ids))
	for _, id := range ids {
		s := catchup.RoomState{Room: id, Root: holdings{c}.Root(id), Base: c.bases.Get(d, id)}
		for _, l := range c.rooms.Frontier(id) {
			if !c.forks.unclear(id, originOf(&l), d) { // else they send all of it
				s.Frontier = append(s.Frontier, wire.HeadOf(l.Log, l.Seq, l.LastID))
			}
		}
		out = append(out, s)
	}
	return out
}

// session is one sync session and what comes of it.
type session struct {
	device chat.DeviceID
	asked  bool // by this node
	// during is the peer stream that was there when the session began: with
	// another one the catch-up engine has begun anew, too.
	during  *stream.Stream
	machine *catchup.Session
	came    map[chat.LogID][]tip // the newest entry of each way of each log that came
	// unclear are the logs of which the neighbour was asked for all, see forks.
	unclear map[unclear]struct{}
	fresh   int              // entries that were new here; the loop counts them
	began   time.Time        // when it was said what is held here
	views   chan chat.RoomID // capacity 1: what is on a screen now
	// declined are rooms of which another session brings what this one could; the loop
	// writes it.
	declined map[chat.RoomID]bool
	wanted   map[chat.RoomID][]store.StoredEntry
}

// enrol notes a session that begins, and returns what is held here for it.
func (c *core) enrol(ses *session) []catchup.RoomState {
	ses.began, ses.views = c.now, make(chan chat.RoomID, 1)
	ses.views <- c.viewed
	c.sessions[ses] = struct{}{}
	ses.unclear = c.forks.asked(ses.device)
	return c.roomStates(ses.device)
}

// view has running sessions bring what is newest of a room first.
func (c *core) view(id chat.RoomID) {
	c.viewed, c.alerts.viewedAt = id, c.now
	c.attend()
	for ses := range c.sessions {
		select {
		case <-ses.views: // the loop alone fills it
		default:
		}
		ses.views <- id
	}
}

// askSession catches up with a neighbour that seems to hold something else.
func (n *Node) askSession(ctx context.Context, ses *session, states []catchup.RoomState) {
	s, err := stream.Open(ctx, n.host.Libp2p(), host.PeerID(ses.device), syncProtocol, syncOptions)
	if err == nil {
		n.wish(ctx, ses, states)
		nonce := make([]byte, wire.NonceSize)
		_, _ = rand.Read(nonce)
		var effects []catchup.SessionEffect
		ses.machine, effects = catchup.Ask(nonce, states)
		err = n.runSession(ctx, s, ses, effects)
	}
	n.sessionEnded(ctx, ses, err)
}

// answerSession is the other side of askSession.
func (n *Node) answerSession(ctx context.Context, s *stream.Stream) {
	d, ok := host.DeviceID(s.Peer())
	if !ok {
		s.Reset(stream.ReasonDenied)
		return
	}
	if ok, own := n.answering.take(d); !ok {
		s.Reset(stream.ReasonBusy)
		if own {
			n.refuseFrom(d, chat.Errorf(chat.CodeInvalid, "A device opened too many sync sessions at once. They were refused; nothing needs to be done."))
		}
		return
	}
	defer n.answering.free(d)
	ses := &session{device: d}
	var states []catchup.RoomState
	greeted := false
	if n.do(ctx, func(c *core) {
		if greeted = c.greets(d); !greeted {
			return
		}
		// Their hello may still be on its way on the other stream.
		if nb := c.neighbours[d]; nb != nil && nb.peer != nil {
			ses.during = nb.peer
			c.sync(catchup.Begun{Device: d})
		}
		states = c.enrol(ses)
	}) != nil {
		s.Reset(stream.ReasonShutdown)
		return
	}
	if !greeted { // who may not know who is here is told nothing
		s.Reset(stream.ReasonDenied)
		return
	}
	n.wish(ctx, ses, states)
	ses.machine = catchup.Answer(states)
	n.sessionEnded(ctx, ses, n.runSession(ctx, s, ses, nil))
}

func (n *Node) sessionEnded(ctx context.Context, ses *session, err error) {
	if err != nil {
		n.log.Debug("a sync session ended early", "device", ses.device.Short(), "err", err)
		if chat.CodeOf(err) == chat.CodeInvalid {
			n.refuseFrom(ses.device, err)
		}
	}
	sent := 0
	if ses.machine != nil {
		sent = ses.machine.Sent()
	}
	_ = n.tell(ctx, func(c *core) {
		delete(c.sessions, ses)
		c.supplies.end(ses)
		if err == nil { // what they have signed to be there they have shown, or can't
			for _, id := range (holdings{c}).Shared(ses.device) {
				if ses.declined[id] {
					continue
				}
				c.rooms.Handle(c.now, room.Settled{Room: id, Device: ses.device, Began: ses.began})
			}
			c.forks.answered(ses.unclear)
		}
		if nb := c.neighbours[ses.device]; nb != nil && ses.during != nil && nb.peer == ses.during {
			if err == nil && ses.fresh+sent > 0 { // they may have the log only now
				c.showEvidence(ses.device, chat.RoomID{})
			}
			c.sync(catchup.Ended{Device: ses.device, Asked: ses.asked, Received: ses.fresh, Sent: sent, Declined: len(ses.declined) > 0, Failed: err != nil})
		}
		if err == nil || ses.fresh > 0 {
			n.feed.Publish(chat.SyncEvent{Device: ses.device, Received: ses.fresh, Done: true})
		}
	})
}

// outgoing is work for a session's sender: frames, then perhaps the newest to give, and
// a page to read.
type outgoing struct {
	frames []wire.Frame
	give   *catchup.Give
	supply *catchup.Supply
	load   *catchup.Load
}

// outcome is what came of it.
type outcome struct {
	loaded  bool
	entries []wire.Entry
	err     error
}

// maxOutgoing bounds the jobs that wait for a session's sender. The machine makes
// no more than these at a time: a comparison, one page, the end.
const maxOutgoing = 16

// runSession drives one session until both sides are done. Three goroutines take
// part, all of which end before it returns: this one owns the machine, a reader
// hands it frames, a sender writes and reads the store. Were this one to write,
// two nodes with much to say could wait for each other for ever.
func (n *Node) runSession(ctx context.Context, s *stream.Stream, ses *session, effects []catchup.SessionEffect) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	defer func() {
		if err != nil {
			s.Reset(stream.ReasonDone)
		} else {
			_ = s.Close()
		}
	}()
	stop := context.AfterFunc(ctx, func() { s.Reset(stream.ReasonShutdown) })
	defer stop()

	frames := make(chan wire.Frame)
	readErr := make(chan error, 1)
	wg.Go(func() { readErr <- receiveFrames(ctx, s, frames) })
	jobs := make(chan outgoing, maxOutgoing)
	outcomes := make(chan outcome, maxOutgoing)
	wg.Go(func() { n.sendSession(ctx, s, ses.device, jobs, outcomes) })
	defer close(jobs)

	ses.came = map[chat.LogID][]tip{}
	credits := make(chan struct{}, uncommitted)
	waiting := 0 // jobs without an outcome
	finished := false
	silent := time.NewTimer(sessionIdle)
	defer silent.Stop()
	if !ses.asked { // who asks has something to say
		silent.Reset(helloTimeout)
	}
	select {
	case id := <-ses.views:
		effects = append(effects, ses.machine.View(id)...)
	default:
	}
	for {
		var job outgoing
		for _, ef := range effects {
			switch ef := ef.(type) {
			case catchup.Send:
				job.frames = append(job.frames, ef.Frame)
			case catchup.Load:
				job.load = &ef
			case catchup.Give:
				job.give = &ef
			case catchup.Supply:
				job.supply = &ef
			case catchup.Asked:
				n.asked(ef.Room, ses)
			case catchup.Fill:
				if err := n.fill(ctx, ef, ses); err != nil {
					return err
				}
			case catchup.Show:
				if err := n.ahead(ctx, ef, ses); err != nil {
					return err
				}
			case catchup.Coming:
				mine, err := inLoop(ctx, n, func(c *core) (bool, error) { return c.supplies.take(c.now, ses, ef.Room), nil })
				if err != nil {
					return err
				}
				if !mine {
					for _, ef := range ses.machine.Enough(ef.Room) {
						job.frames = append(job.frames, ef.(catchup.Send).Frame)
					}
				}
			case catchup.Remember:
				if err := n.tell(ctx, func(c *core) { c.bases.Put(ses.device, ef.Room, ef.Base) }); err != nil {
					return err
				}
			case catchup.Take:
				if err := n.ingest(ctx, ef, ses, credits); err != nil {
					return err
				}
			case catchup.Finish:
				finished = true
			}
		}
		if len(job.frames) > 0 || job.load != nil || job.give != nil || job.supply != nil {
			if waiting++; waiting > maxOutgoing {
				return broken("made this node say more than it can")
			}
			jobs <- job
		}
		if finished && waiting == 0 {
			return s.CloseSend(ctx)
		}
		effects = nil
		select {
		case f := <-frames:
			// Frames of a future version must not keep a session open for ever.
			if _, unknown := f.(wire.Unknown); !unknown {
				silent.Reset(sessionIdle)
			}
			effects, err = ses.machine.Handle(f)
		case out := <-outcomes:
			waiting--
			silent.Reset(sessionIdle)
			if err = out.err; err == nil && out.loaded {
				effects = ses.machine.Loaded(out.entries, len(out.entries) > 0)
			}
		case err = <-readErr:
			if finished { // the other side has all and is gone
				err, readErr = nil, nil
			} else if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
		case id := <-ses.views:
			effects = ses.machine.View(id)
		case <-silent.C:
			if silent.Reset(sessionIdle); waiting == 0 { // it is their turn
				err = broken("fell silent")
			}
		}
		if err != nil {
			return err
		}
	}
}

func broken(what string) error {
	return chat.Errorf(chat.CodeInvalid, "A device %s while catching up. The session was ended; it is tried again by itself.", what)
}

// receiveFrames hands over what comes until the stream or ctx ends.
func receiveFrames(ctx context.Context, s *stream.Stream, frames chan<- wire.Frame) error {
	for {
		f, err := receiveFrame(s)
		if err != nil {
			return err
		}
		select {
		case frames <- f:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// sendSession writes frames and reads pages, one job after the other, until one
// fails or there are no more. There is room for every outcome.
func (n *Node) sendSession(ctx context.Context, s *stream.Stream, d chat.DeviceID, jobs <-chan outgoing, outcomes chan<- outcome) {
	var at store.Position
	for job := range jobs {
		var out outcome
		for _, f := range job.frames {
			if out.err == nil {
				out.err = s.Send(ctx, wire.EncodeFrame(f))
			}
		}
		if job.give != nil && out.err == nil {
			out.err = n.giveNewest(ctx, s, d, job.give)
		}
		if job.supply != nil && out.err == nil {
			out.err = n.supply(ctx, s, d, job.supply)
		}
		if job.load != nil && out.err == nil {
			if job.load.First {
				at = store.Position{}
			}
			out.loaded = true
			// Who was removed since the session began is given no more.
			var shared bool
			if shared, out.err = inLoop(ctx, n, func(c *core) (bool, error) { return c.shares(job.load.Room, d), nil }); shared {
				out.entries, at, out.err = n.store.Missing(ctx, job.load.Room, job.load.Have, at, pageEntries, pageBytes)
			}
		}
		outcomes <- out
		if out.err != nil {
			return
		}
	}
}

// giveNewest sends the newest messages of a room that a device lacks.
func (n *Node) giveNewest(ctx context.Context, s *stream.Stream, d chat.DeviceID, give *catchup.Give) error {
	shared, err := inLoop(ctx, n, func(c *core) (bool, error) { return c.shares(give.Room, d), nil })
	if err != nil {
		return err
	}
	frame := wire.Newest{Tag: give.Tag}
	if shared {
		entries, err := n.store.Newest(ctx, give.Room, store.NewestQuery{
			Have: give.Have, Before: chat.HLCOf(time.Now().Add(chat.MaxFuture)), Limit: give.Limit,
			MaxEntries: chat.MaxBatch, MaxBytes: chat.MaxFrame - 256,
			Shares: func(e *wire.Entry) bool { return seal.HasSlot(give.Room, e, d) },
		})
		if err != nil {
			return err
		}
		for i := range entries {
			e := &entries[i]
			frame.Entries = append(frame.Entries, wire.RawEntry{Head: e.Head, Sig: e.Sig[:], Payload: e.Payload})
		}
	}
	return s.Send(ctx, wire.EncodeFrame(frame))
}

// ingest checks the entries of a frame and hands them to the loop. It waits while
// too many batches are on their way to the disk.
func (n *Node) ingest(ctx context.Context, in catchup.Take, ses *session, credits chan struct{}) error {
	entries := make([]wire.Entry, 0, len(in.Entries))
	for _, raw := range in.Entries {
		e, err := wire.DecodeEntry(raw.Head, raw.Sig, raw.Payload)
		if err != nil {
			return err
		}
		// Each entry comes once, or an endless session would cost nothing.
		if !ses.follows(&e) {
			return broken("sent entries again or out of order")
		}
		entries = append(entries, e)
	}
	// While people speak much of it has come by gossip in the meantime, and a
	// signature costs more to check than everything else about an entry.
	looks := map[chat.EntryID]*look{}
	if err := n.do(ctx, func(c *core) {
		entries = slices.DeleteFunc(entries, func(e wire.Entry) bool {
			if c.rooms.Parts(in.Room, &e, ses.told(in.Room, e.Log)) {
				looks[e.ID] = &look{ways: c.rooms.Ways(in.Room, e.Log)}
				return false
			}
			return c.rooms.Held(in.Room, &e)
		})
	}); err != nil {
		return err
	}
	entries, err := n.lookAtAll(ctx, in.Room, entries, looks)
	if err != nil {
		return err
	}
	if err := verifyAll(entries); err != nil || len(entries) == 0 {
		return err
	}
	select {
	case credits <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	return n.tell(ctx, func(c *core) {
		w, fresh := c.begin(nil), 0
		for i := range entries {
			l := looks[entries[i].ID]
			if l != nil && l.parts {
				fresh += len(w.batch.Records)
				w.end()
				c.part(in.Room, l)
				w = c.begin(nil)
			}
			before := len(w.batch.Records)
			w.rooms(c.rooms.Handle(c.now, room.Receive{Room: in.Room, Entry: entries[i], From: ses.device, Solicited: true}))
			if l != nil && l.apart && len(w.batch.Records) == before {
				c.apart(in.Room, l, ses.device)
			}
		}
		fresh += len(w.batch.Records)
		ses.fresh += fresh
		c.supplies.came(c.now, ses, in.Room, fresh)
		w.then = func() { <-credits }
		w.end()
		if fresh > 0 {
			n.feed.Publish(chat.SyncEvent{Device: ses.device, Received: ses.fresh})
		}
	})
}

// sync hands an input to the catch-up engine and carries out what it wants.
func (c *core) sync(in catchup.Input) {
	for _, ef := range c.catchup.Handle(c.now, in) {
		switch ef := ef.(type) {
		case catchup.Tell:
			if nb := c.neighbours[ef.Device]; nb != nil && nb.peer != nil {
				nb.peer.TrySend(wire.EncodeFrame(ef.Have))
			}
		case catchup.Open:
			nb := c.neighbours[ef.Device]
			if nb == nil {
				continue
			}
			ses := &session{device: ef.Device, asked: true, during: nb.peer}
			states := c.enrol(ses)
			c.n.spawn(func(ctx context.Context) { c.n.askSession(ctx, ses, states) })
		}
	}
}
