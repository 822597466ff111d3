package node

import (
	"context"
	"encoding/binary"
	"sync"
	"time"

	"earshot/chat"
	"earshot/chat/catchup"
	"earshot/chat/wire"
	"earshot/node/host"
	"earshot/node/stream"
)

// This file is the streams of the live path of small sealed rooms, and what is on them.

// give hands a committed entry to everybody. It never waits: the store's writer
// calls it. What does not fit is left to catch-up.
func (n *Node) give(to *recipients, tag chat.RoomTag, e *wire.Entry) {
	g := gift{cover: to.cover, tag: tag, entry: e}
	for _, l := range to.links {
		if !l.give(&g) {
			n.offer(l.device)
		}
	}
}

// gift is an entry on its way to some devices, and the frames that it travels in:
// mostly all have the same before it.
type gift struct {
	cover uint64
	tag   chat.RoomTag
	entry *wire.Entry
	whole []byte
	next  [2][]byte // without and with its cover; nil until made
}

// on returns the frame for a stream on which this came last.
func (g *gift) on(last *lastDirect) []byte {
	if last.tag == g.tag && last.entry.ID == g.entry.Prev {
		frame := &g.next[0]
		if last.cover != g.cover {
			frame = &g.next[1]
		}
		if *frame == nil {
			if next, ok := wire.NextAfter(&last.entry, g.entry); ok {
				if last.cover != g.cover {
					next.Cover = binary.BigEndian.AppendUint64(nil, g.cover)
				}
				*frame = wire.EncodeFrame(next)
			}
		}
		if *frame != nil {
			return *frame
		}
	}
	if g.whole == nil {
		g.whole = wire.EncodeFrame(wire.Direct{
			Cover: binary.BigEndian.AppendUint64(nil, g.cover), Message: wire.EncodeLive(g.tag, g.entry),
		})
	}
	return g.whole
}

// lastDirect is what the newest frame on a live stream said; zero before the first.
type lastDirect struct {
	cover uint64
	tag   chat.RoomTag
	entry wire.Entry // its header and id only
}

func newLastDirect(cover uint64, tag chat.RoomTag, e *wire.Entry) lastDirect {
	return lastDirect{cover, tag, wire.Entry{Header: e.Header, ID: e.ID}}
}

// directLink is the stream on which this device gives its entries to another.
type directLink struct {
	device chat.DeviceID

	mu      sync.Mutex
	stream  *stream.Stream // nil until it is open
	waiting [][]byte       // for that
	last    lastDirect     // of what is queued
	ended   bool
}

// give queues an entry and returns true, or false if it will not be sent.
func (l *directLink) give(g *gift) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	frame := g.on(&l.last)
	switch {
	case l.ended:
		return false
	case l.stream != nil:
		if !l.stream.TrySend(frame) {
			return false
		}
	case len(l.waiting) == directQueue:
		return false
	default:
		l.waiting = append(l.waiting, frame)
	}
	l.last = newLastDirect(g.cover, g.tag, g.entry)
	return true
}

// opened sends what has waited, which fits the queue of a new stream.
func (l *directLink) opened(s *stream.Stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stream = s
	for _, frame := range l.waiting {
		s.TrySend(frame)
	}
	l.waiting = nil
}

func (l *directLink) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended, l.waiting = true, nil
}

// openDirect begins to open a stream to a neighbour. What is given meanwhile waits.
func (c *core) openDirect(d chat.DeviceID, nb *neighbour) {
	l := &directLink{device: d}
	nb.direct = l
	begun := c.now
	c.n.spawn(func(ctx context.Context) {
		c.n.keepDirect(ctx, l)
		l.end()
		_ = c.n.tell(ctx, func(c *core) { c.directEnded(l, begun) })
	})
}

// keepDirect opens the stream of a link and returns when it has ended. Nothing comes
// back on it.
func (n *Node) keepDirect(ctx context.Context, l *directLink) {
	s, err := stream.Open(ctx, n.host.Libp2p(), host.PeerID(l.device), directProtocol, stream.Options{Queue: directQueue})
	if err != nil {
		return
	}
	defer s.Reset(stream.ReasonDone)
	stop := context.AfterFunc(ctx, func() { s.Reset(stream.ReasonShutdown) })
	defer stop()
	l.opened(s)
	_, _ = s.Receive()
}

// directEnded: what was on its way may be lost.
func (c *core) directEnded(l *directLink, begun time.Time) {
	nb := c.neighbours[l.device]
	if nb == nil {
		return // it is offered everything when it is back
	}
	if nb.direct == l {
		if nb.direct = nil; c.now.Sub(begun) >= directHeld {
			nb.directRest = 0
		}
		nb.directRest = min(max(2*nb.directRest, directRest), maxDirectRest)
		nb.directAfter = c.now.Add(nb.directRest)
	}
	c.sync(catchup.Lost{Device: l.device})
}

// hearDirect serves a stream on which a device gives what it says.
func (n *Node) hearDirect(ctx context.Context, s *stream.Stream) {
	d, ok := host.DeviceID(s.Peer())
	if !ok {
		s.Reset(stream.ReasonDenied)
		return
	}
	if ok, own := n.directStreams.take(d); !ok {
		s.Reset(stream.ReasonBusy)
		if own {
			n.refuseFrom(d, chat.Errorf(chat.CodeInvalid, "A device opened too many streams at once. They were refused; nothing needs to be done."))
		}
		return
	}
	defer n.directStreams.free(d)
	known := false
	if n.do(ctx, func(c *core) { known = c.sharesAny(d) }) != nil {
		s.Reset(stream.ReasonShutdown)
		return
	}
	if !known {
		// Honest ones may know sooner than this node that both are in a room.
		s.Reset(stream.ReasonDenied)
		if !n.standings.allow(&n.standings.uninvited, time.Now(), d) {
			n.refuseFrom(d, chat.Errorf(chat.CodeInvalid, "A device that shares no room with you wants to speak in one. It was refused; nothing needs to be done."))
		}
		return
	}
	defer s.Reset(stream.ReasonDone)
	stop := context.AfterFunc(ctx, func() { s.Reset(stream.ReasonShutdown) })
	defer stop()
	var last lastDirect
	for {
		f, err := receiveFrame(s)
		if err == nil {
			err = n.given(ctx, d, f, &last)
		}
		if err != nil {
			if chat.CodeOf(err) == chat.CodeInvalid {
				n.refuseFrom(d, err)
			}
			return
		}
	}
}

// given checks a frame of the device d as the validator does what is gossiped, and
// hands its entry to the loop. An error ends the stream, on which last came before.
func (n *Node) given(ctx context.Context, d chat.DeviceID, f wire.Frame, last *lastDirect) error {
	// Not read, a flood waits at its author's.
	for !n.standings.allow(&n.standings.directs, time.Now(), d) {
		if !sleep(ctx, 10*time.Second/authorRate) {
			return ctx.Err()
		}
	}
	tag, e, cover, err := last.read(f)
	if err != nil {
		return err
	}
	if e == nil {
		return nil // from the future
	}
	if e.Device != d {
		return chat.Errorf(chat.CodeInvalid, "A device passed on somebody else's message as its own. It was refused; nothing needs to be done.")
	}
	*last = newLastDirect(cover, tag, e)
	if n.store.Backlog() > maxBacklog {
		n.offer(d)
		return nil
	}
	now := time.Now()
	if e.HLC.Time().Sub(now) > chat.MaxFarFuture {
		return chat.Errorf(chat.CodeInvalid, "A device sent a message from the far future. It was refused; check that device's clock.")
	}
	if err := e.Verify(); err != nil {
		return err
	}
	if e.HLC < chat.HLCOf(now.Add(-maxAge)) {
		return nil // catch-up brings it
	}
	return n.tell(ctx, func(c *core) { c.given(d, tag, e, cover) })
}

// read returns the entry of the frame that comes next, which is nil for one of a kind
// that is not known. Its signature has not been checked.
func (last *lastDirect) read(f wire.Frame) (tag chat.RoomTag, e *wire.Entry, cover uint64, err error) {
	switch f := f.(type) {
	case wire.Direct:
		e = new(wire.Entry)
		tag, *e, err = wire.DecodeLive(f.Message)
		return tag, e, binary.BigEndian.Uint64(f.Cover), err
	case wire.Next:
		if last.entry.Seq == 0 {
			return tag, nil, 0, chat.Errorf(chat.CodeInvalid, "A device sent the rest of a message without its beginning. It was refused; nothing needs to be done.")
		}
		e, cover = new(wire.Entry), last.cover
		if f.Cover != nil {
			cover = binary.BigEndian.Uint64(f.Cover)
		}
		*e, err = f.Entry(&last.entry)
		return last.tag, e, cover, err
	case wire.Unknown:
		return tag, nil, 0, nil
	}
	return tag, nil, 0, chat.Errorf(chat.CodeInvalid, "A device sent a frame where it has no place. It was refused; nothing needs to be done.")
}
