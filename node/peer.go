package node

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/protocol"

	"earshot/chat"
	"earshot/chat/catchup"
	"earshot/chat/contacts"
	"earshot/chat/identity"
	"earshot/chat/receipt"
	"earshot/chat/wire"
	"earshot/node/host"
	"earshot/node/stream"
)

// The streams of chat/PROTOCOL.md.
const (
	peerProtocol protocol.ID = "/earshot/peer/1"
	syncProtocol protocol.ID = "/earshot/sync/1"
)

// neighbour is a device this node has a connection to.
type neighbour struct {
	address string
	peer    *stream.Stream // nil until it has said hello
	// cert and prekey are what its newest hello showed.
	cert   identity.Certificate
	prekey []byte
	// showsCode is since when it says that it shows a pairing code; zero if not.
	showsCode time.Time
	full      bool      // its disk, as it says
	profile   []byte    // the frame that has told it of this person last; nil for none
	fetched   time.Time // when it last had space again
	leave     func()    // ends keepPeerStream; nil if it does not run
	leaving   bool      // it has said goodbye
	// direct is what entries are given to it on, nil for no stream; none is opened
	// before directAfter.
	direct      *directLink
	directAfter time.Time
	directRest  time.Duration
	// silent is since when a device that had said hello has no peer stream
	// although it is connected; zero otherwise.
	silent time.Time
}

// watchPeers tells the loop who comes and goes, until the host closes.
func (n *Node) watchPeers(ctx context.Context) {
	for ev := range n.host.Events() {
		if n.tell(ctx, func(c *core) { c.connection(ev) }) != nil {
			return
		}
	}
}

// connection notes that a device came within reach or went out of it.
func (c *core) connection(ev host.PeerEvent) {
	if !ev.Up {
		if nb := c.neighbours[ev.Device]; nb != nil && nb.leave != nil {
			nb.leave()
		}
		delete(c.neighbours, ev.Device)
		delete(c.helloed, ev.Device)
		c.n.standings.left(ev.Device)
		c.gone(ev.Device)
		c.leftCourier(ev.Device)
		c.lostSight(ev.Device)
		return
	}
	nb := c.neighbours[ev.Device]
	if nb == nil {
		nb = &neighbour{}
		c.neighbours[ev.Device] = nb
	}
	c.n.standings.came(c.now, ev.Device)
	if ev.Addr != nil {
		nb.address = ev.Addr.String()
		if dev := c.people.devices[ev.Device]; dev != nil && nb.peer != nil {
			dev.address = nb.address
		}
	}
	c.inSight(ev)
	// One of the two opens the stream that both speak on.
	if bytes.Compare(c.n.device[:], ev.Device[:]) < 0 && nb.leave == nil {
		ctx, leave := context.WithCancel(c.n.ctx)
		nb.leave = leave
		c.n.spawn(func(context.Context) { c.n.keepPeerStream(ctx, ev.Device) })
	}
}

// keepPeerStream opens the peer stream, again if it breaks, until ctx ends: when
// the device is no longer connected. For each neighbour it runs once, or the two
// sides would not agree on which of two streams to speak.
func (n *Node) keepPeerStream(ctx context.Context, d chat.DeviceID) {
	for wait := time.Second / 4; ctx.Err() == nil && n.host.Connected(d); wait = min(2*wait, 30*time.Second) {
		s, err := stream.Open(ctx, n.host.Libp2p(), host.PeerID(d), peerProtocol, stream.Options{})
		if err == nil {
			n.talk(ctx, s, d)
		}
		sleep(ctx, wait)
	}
}

// hearPeer serves a peer stream that a device has opened.
func (n *Node) hearPeer(ctx context.Context, s *stream.Stream) {
	d, ok := host.DeviceID(s.Peer())
	if !ok {
		s.Reset(stream.ReasonDenied)
		return
	}
	if ok, own := n.peerStreams.take(d); !ok {
		s.Reset(stream.ReasonBusy)
		if own {
			n.refuseFrom(d, chat.Errorf(chat.CodeInvalid, "A device opened too many streams at once. They were refused; nothing needs to be done."))
		}
		return
	}
	defer n.peerStreams.free(d)
	n.talk(ctx, s, d)
}

// talk says hello, or that it will not be said yet, and listens, until the stream
// ends. Both sides run it.
func (n *Node) talk(ctx context.Context, s *stream.Stream, d chat.DeviceID) {
	defer s.Reset(stream.ReasonDone)
	stop := context.AfterFunc(ctx, func() { s.Reset(stream.ReasonShutdown) })
	defer stop()

	if n.do(ctx, func(c *core) { c.open(d, s) }) != nil {
		return
	}
	defer func() { _ = n.tell(n.ctx, func(c *core) { c.ended(d, s) }) }()
	if err := n.awaitHello(ctx, s, d); err != nil {
		if chat.CodeOf(err) == chat.CodeInvalid {
			n.refuseFrom(d, err)
		}
		return
	}
	for paced := 0; ; {
		f, err := receiveFrame(s)
		if err != nil {
			if chat.CodeOf(err) == chat.CodeInvalid {
				n.refuseFrom(d, err)
			}
			break
		}
		waited := false
		for !n.standings.allow(&n.standings.frames, time.Now(), d) {
			// Not read, a flood waits at its sender's.
			if waited = true; !sleep(ctx, time.Second/frameRate) {
				break
			}
		}
		if waited {
			paced++
		} else {
			paced = max(0, paced-1)
		}
		if paced == pacedPerRefusal {
			paced = 0
			n.refuseFrom(d, chat.Errorf(chat.CodeInvalid, "A device sends more than anybody has to say. It is heard slowly; nothing needs to be done."))
		}
		if n.tell(ctx, func(c *core) { c.heard(d, s, f) }) != nil {
			break
		}
	}
}

// ended: a peer stream is no more.
func (c *core) ended(d chat.DeviceID, s *stream.Stream) {
	q := c.quiet[s]
	delete(c.quiet, s)
	nb := c.neighbours[d]
	if nb == nil || nb.peer != s && (q == nil || q.theirs == nil) {
		return
	}
	// Two that dial each other at once close one of two connections, and with it
	// perhaps this stream: the next one is about to come.
	nb.silent = c.now
	if nb.peer == s {
		nb.peer = nil
		c.leftPresence(d, nb.leaving)
		c.sync(catchup.PeerDown{Device: d})
		c.leftOff(d)
	}
}

// greeting is what the other end of a peer stream says of itself.
type greeting struct {
	cert  identity.Certificate // verified, and the device's own
	hello wire.Hello
}

// hello is what this node says of itself.
func (c *core) hello() wire.Hello {
	return wire.Hello{
		Certificate: c.n.keys.Cert.Bytes(), Name: c.n.Name(), Now: uint64(chat.HLCOf(c.now)), Agent: "earshot " + c.n.cfg.Version,
		Prekey: c.n.prekey(),
	}
}

// awaitHello has the first frame say who is at the other end; who does not is not
// listened to. Who has knocked may say it whenever they like.
func (n *Node) awaitHello(ctx context.Context, s *stream.Stream, d chat.DeviceID) error {
	var silent atomic.Bool
	late := time.AfterFunc(helloTimeout, func() {
		silent.Store(true)
		s.Reset(stream.ReasonProtocol)
	})
	defer late.Stop()
	f, err := receiveFrame(s)
	if _, knocked := f.(wire.Knock); err == nil && knocked && late.Stop() {
		if err := n.tell(ctx, func(c *core) { c.knocked(d, s) }); err != nil {
			return err
		}
		f, err = receiveFrame(s)
	}
	switch {
	case silent.Load():
		return chat.Errorf(chat.CodeInvalid, "A device opened a stream and said nothing. It was closed; nothing needs to be done.")
	case err != nil:
		return err
	}
	hello, ok := f.(wire.Hello)
	if !ok {
		return chat.Errorf(chat.CodeInvalid, "A device did not say who it is. It was refused; nothing needs to be done.")
	}
	cert, err := identity.Parse(hello.Certificate)
	if err == nil {
		err = cert.Verify()
	}
	if err != nil || cert.Device != d {
		return chat.Errorf(chat.CodeInvalid, "A device showed a certificate that is not its own. It was refused; nothing needs to be done.")
	}
	if !n.standings.allow(&n.standings.hellos, time.Now(), d) {
		return chat.Errorf(chat.CodeInvalid, "A device introduces itself again and again. It was refused; nothing needs to be done.")
	}
	return n.tell(ctx, func(c *core) { c.greeted(d, s, greeting{cert, hello}) })
}

// sleep waits for a while, and reports whether ctx lasted so long.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func receiveFrame(s *stream.Stream) (wire.Frame, error) {
	b, err := s.Receive()
	if errors.Is(err, stream.ErrFrame) {
		return nil, chat.Wrap(chat.CodeInvalid, err, "A device announced a frame of a length that is not allowed.",
			"It was refused; nothing needs to be done.")
	}
	if err != nil {
		return nil, err
	}
	return wire.DecodeFrame(b)
}

// greeted: a neighbour has proved who it is and whose.
func (c *core) greeted(d chat.DeviceID, s *stream.Stream, g greeting) {
	who := g.cert.Person()
	if c.hidden(who) {
		c.shutOut(d, who)
		return
	}
	nb := c.neighbours[d]
	switch {
	case nb == nil && c.n.host.Connected(d): // its stream was faster than the news of its connection
		nb = &neighbour{}
		c.neighbours[d] = nb
	case nb == nil:
		return
	}
	known := c.people.devices[d] != nil
	c.leaves(d, who)
	news := c.people.move(d, who)
	news = c.people.meet(d, who, chat.CleanName(g.hello.Name), c.now) || news
	dev := c.people.devices[d]
	if dev.person.root == nil {
		dev.person.root = g.cert.Root[:]
		c.keepRoot(who)
	}
	news = news || !dev.connected || dev.address != nb.address
	dev.connected, dev.address, dev.lastSeen = true, nb.address, c.now
	nb.silent = time.Time{}
	if news {
		c.keepDevice(d)
	}
	if q := c.quiet[s]; q != nil {
		if !c.greets(d) { // shown here, and told nothing
			q.theirs = &g
			c.showPerson(who)
			return
		}
		c.sayHello(s)
	} else if !c.greets(d) { // it was told before it became somebody who may not know
		c.hangUp(d)
		return
	}
	if nb.peer != nil { // it has opened another one
		c.sync(catchup.PeerDown{Device: d})
		old := nb.peer
		c.n.spawn(func(context.Context) { old.Reset(stream.ReasonDone) })
	}
	nb.peer, nb.cert, nb.prekey = s, g.cert, g.hello.Prekey
	nb.leaving, nb.full, nb.profile = false, false, nil
	delete(c.direct.elsewhere, d)
	c.metPresence(d, chat.HLC(g.hello.Now).Time())
	c.showPerson(who)
	c.checkClock(who, chat.HLC(g.hello.Now).Time())
	c.trust(d)
	// Where connections must be closed, those that say nothing go first, then
	// those of newcomers.
	value := saidHello
	if known {
		value += knownBefore
	}
	c.n.host.Value(d, "known", value)
	c.sync(catchup.PeerUp{Device: d})
	c.lostDevice(d) // what was on its way on an earlier stream is lost
	c.metDevice(nb)
	c.n.wanted.met(c.now, holdings{c}.Shared(d))
	if !c.revokedBy(who, d) { // else a stranger has it
		c.contact(contacts.Met{Person: who, Device: d, Name: dev.person.name}, nil)
	}
	c.metForDevices(nb)
	c.metCourier(d)
	c.receipt(receipt.PeerUp{Device: d})
	c.tellProfile(d, nb)
	c.showEvidence(d, chat.RoomID{})
	if c.n.full.Load() {
		c.tellFull(d, true)
	}
}

// leaves ends what is under way with whoever a device was of, if it shows that it is
// somebody else's now.
func (c *core) leaves(d chat.DeviceID, who chat.PersonID) {
	dev := c.people.devices[d]
	if dev == nil || dev.person.id == who {
		return
	}
	c.contact(contacts.Left{Person: dev.person.id, Device: d}, nil)
	c.endVerificationWith(d, "This device is somebody else's now. Start again with another one of theirs.")
	c.stopTypingOn(d)
}

// leftOff: nothing can be sent to a device now.
func (c *core) leftOff(d chat.DeviceID) {
	c.lostDevice(d)
	c.stopTypingOn(d)
	c.receipt(receipt.PeerDown{Device: d})
	if nb := c.neighbours[d]; nb == nil || !nb.leaving {
		c.elsewhere(d, leftFor)
	}
	c.lostForPairing(d)
	c.linkOwn(d)
	c.leftCourier(d)
	if dev := c.people.devices[d]; dev != nil {
		c.contact(contacts.Left{Person: dev.person.id, Device: d}, nil)
		c.endVerificationWith(d, "The connection to them was lost. Start again when they are back.")
	}
}

// heard takes a frame of a neighbour that has said hello.
func (c *core) heard(d chat.DeviceID, s *stream.Stream, f wire.Frame) {
	nb := c.neighbours[d]
	if nb == nil || nb.peer != s || c.n.refuses(d) {
		return
	}
	who := nb.cert.Person()
	switch f := f.(type) {
	case wire.Have:
		c.sync(catchup.Heard{Device: d, Have: f})
	case wire.Typing:
		c.typed(d, f)
	case wire.CodeShown, wire.Pairing, wire.Confirm, wire.Welcome:
		c.heardPairing(d, f)
	case wire.Devices:
		c.heardDevices(nb, f)
	case wire.KeyAck, wire.OpsHave, wire.OpsWant, wire.Ops, wire.History, wire.HistoryWant:
		c.heardPrivate(nb, f)
	case wire.Receipt, wire.ReceiptHave, wire.ReceiptWant:
		c.heardReceipt(d, f)
	case wire.PresenceRecords, wire.PresenceDigest, wire.PresenceWant, wire.PresenceKey:
		c.heardPresence(d, f)
	case wire.Full:
		c.heardFull(d, nb, f)
	case wire.Evidence:
		c.heardEvidence(d, f)
	case wire.Goodbye:
		nb.leaving = true
		c.gone(d)
	case wire.Contact:
		c.heardContact(d, who, f)
	case wire.ContactAck:
		c.heardContactAck(d, who, f)
	case wire.Verify:
		c.heardVerify(d, who, f)
	case wire.ShownProfile:
		c.heardProfile(d, who, f)
	case wire.Unknown:
		// From a newer version; it knows that we may not understand.
	default:
		c.refuse(d, chat.Errorf(chat.CodeInvalid, "A device sent a frame where it has no place. It was refused; nothing needs to be done."))
	}
}

// giveUpSilent shows as gone whose peer stream has broken and does not come back.
func (c *core) giveUpSilent() {
	for d, nb := range c.neighbours {
		if !nb.silent.IsZero() && c.now.Sub(nb.silent) >= silence {
			nb.silent = time.Time{}
			c.gone(d)
		}
	}
}

// gone: a neighbour took its leave, or its stream or connection is no more.
func (c *core) gone(d chat.DeviceID) {
	c.sync(catchup.PeerDown{Device: d})
	dev := c.people.devices[d]
	if dev == nil || !dev.connected {
		return
	}
	dev.connected, dev.address, dev.lastSeen = false, "", c.now
	nb := c.neighbours[d]
	c.leftPresence(d, nb != nil && nb.leaving)
	dev.lastSeen = c.viewOf(dev).LastSeen
	c.leftOff(d)
	c.leftProfile(dev.person.id)
	c.keepDevice(d)
	c.showPerson(dev.person.id)
}

// checkClock warns when this clock and a neighbour's are far apart: what either
// says would stand at the wrong time.
func (c *core) checkClock(who chat.PersonID, theirs time.Time) {
	off := theirs.Sub(c.now)
	if off.Abs() <= chat.MaxFuture {
		c.clockIsRight()
		return
	}
	name := c.displayName(who)
	side := "behind"
	if off < 0 {
		side = "ahead of"
	}
	c.n.warn(chat.Error{
		Code: chat.CodeClock,
		Text: "This computer's clock is " + off.Abs().Round(time.Minute).String() + " " + side + " " + name + "'s.",
		Hint: "Set the clock of whichever is wrong; messages may stand at the wrong time until then.",
	})
}
