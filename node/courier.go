package node

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"time"

	"earshot/chat"
	"earshot/chat/courier"
	"earshot/chat/identity"
	"earshot/chat/wire"
	"earshot/node/store"
)

// This file carries the engine of envelopes: what is left with others for somebody who
// is away, and what is held here for others. PROTOCOL.md#couriers.

const (
	// surveyEvery is how often what others lack is looked at.
	surveyEvery = 5 * time.Second
	// awayFor is how long somebody must be out of reach before what they lack is left
	// with others: a roaming laptop is back by then (guess).
	awayFor = 10 * time.Second
	// maxEarly bounds the devices whose first frames wait for their hello, and
	// maxEarlyFrames the frames of one.
	maxEarly, maxEarlyFrames = 64, 8
	// maxOpenings bounds the envelopes that wait to be opened: what 32 couriers bring
	// at a time.
	maxOpenings = 256
)

// couriers is what the loop knows about envelopes.
type couriers struct {
	engine   *courier.Engine
	links    map[chat.DeviceID]*courierLink
	early    map[chat.DeviceID][]wire.Frame
	met      map[chat.DeviceID]bool
	surveyAt time.Time             // zero while offline
	rooms    []courier.Room        // as the engine was last told
	unsaved  map[courier.ID][]byte // own envelopes on their way to the disk
	judged   map[courier.ID]chan carriedIn
	packed   []chan struct{} // closed when no envelope is being made
	carrying bool            // all that lacks is put into envelopes
}

// newCouriers makes the engine of what the store holds.
func (n *Node) newCouriers(ctx context.Context, now time.Time) (*couriers, error) {
	x := &couriers{
		engine: courier.New(courier.Config{Device: n.device, Person: n.person, Random: rand.Reader}),
		links:  map[chat.DeviceID]*courierLink{}, early: map[chat.DeviceID][]wire.Frame{}, met: map[chat.DeviceID]bool{},
		unsaved: map[courier.ID][]byte{}, judged: map[courier.ID]chan carriedIn{},
	}
	restore, err := n.loadCouriers(ctx)
	if err != nil {
		return nil, err
	}
	settings, err := n.loadKeeper(ctx)
	if err != nil {
		return nil, err
	}
	x.engine.Handle(now, restore)
	x.engine.Handle(now, settings)
	return x, nil
}

// courier hands an input to the engine and carries out what it wants.
func (c *core) courier(in courier.Input) {
	x, n := c.couriers, c.n
	var changes []store.CourierChange
	var fresh []courier.ID
	for _, ef := range x.engine.Handle(c.now, in) {
		switch ef := ef.(type) {
		case courier.Send:
			c.toCourier(ef.To, courierJob{frame: ef.Frame})
		case courier.Bring:
			c.toCourier(ef.To, courierJob{bring: ef.IDs})
		case courier.Give:
			c.toCourier(ef.To, courierJob{give: ef.ID, bytes: x.unsaved[ef.ID], drop: ef.Drop})
		case courier.Keep:
			c.keepEnvelope(ef)
		case courier.Pack:
			n.spawn(func(ctx context.Context) { n.packEnvelope(ctx, ef) })
		case courier.Open:
			c.openEnvelope(ef)
		case courier.Save:
			changes = append(changes, courierSave(ef))
			if ef.Parcel != nil && ef.Bytes != nil {
				x.unsaved[ef.Parcel.ID] = ef.Bytes
				fresh = append(fresh, ef.Parcel.ID)
			}
		case courier.Drop:
			changes = append(changes, courierDrop(ef))
		case courier.Proved:
			c.provedEnvelope(ef)
		case courier.Judged:
			c.judged(ef.ID, carriedIn{says: ef.Says})
		case courier.Changed:
			n.feed.Publish(chat.KeeperEvent{Keeper: x.engine.Keeper()})
		case courier.Moved:
			n.feed.Publish(chat.StatesEvent{Room: c.names[ef.Room], RoomID: ef.Room})
		case courier.Refuse:
			if !ef.From.IsZero() {
				c.refuse(ef.From, ef.Err)
			}
		}
	}
	if len(changes) > 0 {
		n.store.PutCourier(changes, func(err error) {
			if err != nil {
				// What is not remembered is made, given or taken once more.
				n.rarely("couriers", slog.LevelError, "storing what is left with others failed", "err", err)
				n.cannotStore(err)
			}
			if len(fresh) > 0 {
				n.soon(func(c *core) {
					for _, id := range fresh {
						delete(c.couriers.unsaved, id)
					}
				})
			}
		})
	}
	if len(x.packed) > 0 && x.engine.Packing() == 0 {
		for _, bell := range x.packed {
			close(bell)
		}
		x.packed = nil
	}
}

// keepEnvelope stores an envelope for others. It is confirmed once the disk itself has it:
// who hears that may drop it.
func (c *core) keepEnvelope(ef courier.Keep) {
	n := c.n
	changes := []store.CourierChange{heldChange(&ef.Held, ef.Bytes)}
	for _, id := range ef.Drop {
		changes = append(changes, courierDrop(courier.Drop{Held: id}))
	}
	n.store.PutCourier(changes, func(err error) {
		if err != nil {
			n.cannotStore(err)
		}
		n.spawn(func(ctx context.Context) {
			// What the disk has taken, it may yet confirm: then that is said.
			if err == nil && !n.awaitSync(ctx) {
				return
			}
			_ = n.tell(ctx, func(c *core) {
				if err != nil { // who carries it in is told why
					c.judged(ef.Held.ID, carriedIn{says: wire.AnswerFull, err: err})
				}
				c.courier(courier.Kept{ID: ef.Held.ID, Err: err})
			})
		})
	})
}

// provedEnvelope takes what a recipient says that has got an envelope.
func (c *core) provedEnvelope(ef courier.Proved) {
	if list := decodeReply(ef.Reply); list != nil {
		c.heardStatements(ef.Key.Room, list)
	}
	c.couriers.surveyAt = c.now // nothing may be lacking any more
}

// takeBack has no envelope say any longer what was removed.
func (n *Node) takeBack(gone []chat.EntryID) {
	if len(gone) == 0 {
		return
	}
	stands, err := n.store.Stands(n.ctx, gone)
	if err != nil {
		n.rarely("couriers", slog.LevelError, "looking for envelopes with what was removed failed", "err", err)
		return
	}
	n.soon(func(c *core) {
		for _, s := range stands {
			c.courier(courier.Gone{Room: s.Room, Log: s.Log, Seq: s.Seq})
		}
	})
}

// nextCourierTick returns when tickCouriers has something to do, zero for never.
func (c *core) nextCourierTick() time.Time {
	next := c.couriers.engine.NextTick()
	if at := c.couriers.surveyAt; !at.IsZero() && (next.IsZero() || at.Before(next)) {
		next = at
	}
	return next
}

func (c *core) tickCouriers() {
	x := c.couriers
	if next := x.engine.NextTick(); !next.IsZero() && !c.now.Before(next) {
		c.courier(courier.Tick{})
	}
	if !x.surveyAt.IsZero() && !c.now.Before(x.surveyAt) {
		c.surveyCouriers()
	}
}

// surveyCouriers looks who is here, what to them is this person, and what those lack
// who are not.
func (c *core) surveyCouriers() {
	x := c.couriers
	if c.n.host != nil {
		x.surveyAt = c.now.Add(surveyEvery)
	} else {
		x.surveyAt = time.Time{}
	}
	if !c.started {
		return // the rooms are yet to come, and what nobody lacks is taken back
	}
	c.settleCourierRooms()
	for d := range c.neighbours {
		c.metCourier(d)
	}
	for d := range x.met {
		if nb := c.neighbours[d]; nb == nil || nb.peer == nil || !c.greets(d) {
			c.leftCourier(d)
		}
	}
	c.courier(courier.Survey{Wants: c.wants(), Carry: x.carrying})
}

// settleCourierRooms tells the engine in which sealed rooms this device is.
func (c *core) settleCourierRooms() {
	var rooms []courier.Room
	if !c.revoked() {
		for _, id := range c.rooms.Rooms() {
			if info, ok := c.private.Info(id); ok && c.rooms.Sealed(id) {
				rooms = append(rooms, courier.Room{ID: id, With: info.With})
			}
		}
	}
	same := len(rooms) == len(c.couriers.rooms)
	for i := 0; same && i < len(rooms); i++ {
		same = rooms[i] == c.couriers.rooms[i]
	}
	if !same {
		c.couriers.rooms = rooms
		c.courier(courier.Rooms{Rooms: rooms})
	}
}

// metCourier tells the engine of a neighbour that may know that this node is here.
func (c *core) metCourier(d chat.DeviceID) {
	x, nb := c.couriers, c.neighbours[d]
	if nb == nil || nb.peer == nil || nb.leaving || !c.greets(d) || !c.started {
		return
	}
	if len(x.rooms) == 0 {
		c.settleCourierRooms()
	}
	who := nb.cert.Person()
	standing := c.courierStanding(who)
	if who == c.n.person && c.own.registry.Standing(d) == identity.Revoked || who != c.n.person && c.revokedBy(who, d) {
		standing = courier.Stranger
	}
	x.met[d] = true
	c.courier(courier.Met{Device: d, Person: who, Standing: standing})
	early := x.early[d]
	delete(x.early, d)
	for _, f := range early {
		c.courier(courier.Heard{Device: d, Frame: f})
	}
}

func (c *core) leftCourier(d chat.DeviceID) {
	x := c.couriers
	delete(x.early, d)
	if l := x.links[d]; l != nil { // its stream is dead, or will be
		delete(x.links, d)
		l.end()
	}
	if x.met[d] {
		delete(x.met, d)
		c.courier(courier.Left{Device: d})
	}
}

// courierStanding returns what somebody is to this person, as far as it matters to what
// is held for them.
func (c *core) courierStanding(who chat.PersonID) courier.Standing {
	switch {
	case who == c.n.person:
		return courier.Own
	case c.circle.engine.Relation(who).Known():
		return courier.Contact
	}
	for _, id := range c.rooms.Rooms() {
		if info, ok := c.private.Info(id); ok && !info.Direct && info.Entered {
			for _, m := range info.Members {
				if m.Person == who {
					return courier.Member
				}
			}
		}
	}
	return courier.Stranger
}

// heardCourier takes a frame that a device has sent on a stream of its own. It may come
// before the hello on the other stream.
func (c *core) heardCourier(d chat.DeviceID, f wire.Frame) {
	x := c.couriers
	switch {
	case x.met[d]:
		c.courier(courier.Heard{Device: d, Frame: f})
	case len(x.early[d]) < maxEarlyFrames && (len(x.early) < maxEarly || x.early[d] != nil):
		x.early[d] = append(x.early[d], f)
	}
}

// wants returns what those lack who are, or are not, here.
func (c *core) wants() []courier.Want {
	x := c.couriers
	var out []courier.Want
	for _, room := range x.rooms {
		if !x.carrying && !x.engine.Minds(courier.Key{Room: room.ID, Person: room.With}) {
			continue
		}
		if room.With != (chat.PersonID{}) {
			if c.maySend(room.With) == nil {
				if w, ok := c.directWant(room); ok {
					out = append(out, w)
				}
			}
		} else if w, ok := c.roomWant(room); ok {
			out = append(out, w)
		}
	}
	return out
}

// reachable reports whether somebody is here, or was until just now, as far as this
// node has been there to see.
func (c *core) reachable(who chat.PersonID) bool {
	for d, nb := range c.neighbours {
		if nb.hears() && nb.cert.Person() == who && !c.revokedBy(who, d) {
			return true
		}
	}
	last := c.n.started
	if p := c.people.persons[who]; p != nil {
		for _, d := range p.devices {
			if d.lastSeen.After(last) && !d.lastSeen.After(c.now) && !c.revokedBy(who, d.id) {
				last = d.lastSeen
			}
		}
	}
	return c.now.Sub(last) < awayFor
}

func (c *core) directWant(room courier.Room) (courier.Want, bool) {
	w := courier.Want{Key: courier.Key{Room: room.ID, Person: room.With}}
	w.Ranges = c.lacks(room.ID, func(log chat.LogID) uint64 { return c.heldBy(room.ID, room.With, log) })
	if len(w.Ranges) == 0 {
		return w, false
	}
	w.Reachable = c.reachable(room.With)
	return w, true
}

func (c *core) roomWant(room courier.Room) (courier.Want, bool) {
	w := courier.Want{Key: courier.Key{Room: room.ID}, Insiders: map[chat.PersonID]bool{}, Reachable: true}
	info, ok := c.private.Info(room.ID)
	if !ok {
		return w, false
	}
	for _, m := range info.Members {
		w.Insiders[m.Person] = true
	}
	w.Ranges = c.lacks(room.ID, func(log chat.LogID) uint64 {
		least := uint64(wire.MaxSeq)
		for _, m := range info.Members {
			if m.Person != c.n.person {
				least = min(least, c.heldBy(room.ID, m.Person, log))
			}
		}
		return least
	})
	if len(w.Ranges) == 0 {
		return w, false
	}
	for _, m := range info.Members {
		if m.Person != c.n.person && !c.reachable(m.Person) {
			w.Reachable = false
		}
	}
	return w, true
}

// heldBy returns up to which entry any device of somebody holds a log.
func (c *core) heldBy(room chat.RoomID, who chat.PersonID, log chat.LogID) uint64 {
	var held uint64
	for _, d := range c.private.InUse(who) {
		held = max(held, c.receipts.holds(room, d, log))
	}
	return held
}

// lacks returns what of this person's logs others hold only up to held. What another
// device of theirs has written that is here, that one sees to.
func (c *core) lacks(room chat.RoomID, held func(chat.LogID) uint64) (out []courier.Range) {
	for _, l := range c.rooms.Frontier(room) {
		if l.Person != c.n.person || l.Seq >= wire.MaxSeq {
			continue
		}
		if nb := c.neighbours[l.Device]; l.Device != c.n.device && nb != nil && nb.hears() {
			continue
		}
		if from := held(l.Log) + 1; from <= l.Seq {
			out = append(out, courier.Range{Log: l.Log, From: from, To: l.Seq})
		}
	}
	return out
}

// courierHolders returns who beside the room's members holds an entry of one's own for
// those it has not reached.
func (c *core) courierHolders(room chat.RoomID, log chat.LogID, seq uint64) (out []chat.Holder) {
	for _, w := range c.couriers.engine.HoldersOf(room, log, seq) {
		h := chat.Holder{Device: w.Device, Person: w.Person, Since: w.Since.UTC(), Until: w.Expires.UTC()}
		switch {
		case !w.Carried.IsZero():
			h.Kind, h.Since, h.Person, h.Name = "carried", w.Carried.UTC(), c.n.person, c.displayName(c.n.person)
		case w.Keeper:
			h.Kind = "keeper"
		case w.Standing == courier.Contact:
			h.Kind = "contact"
		default:
			h.Kind = "member"
		}
		if h.Name == "" {
			h.Name = c.displayName(h.Person)
		}
		out = append(out, h)
	}
	return out
}

// Keeper says what this node holds for others.
func (n *Node) Keeper(ctx context.Context) (chat.Keeper, error) {
	return inLoop(ctx, n, func(c *core) (chat.Keeper, error) { return c.couriers.engine.Keeper(), nil })
}

// SetKeeper has this node hold sealed entries for its contacts, in up to space bytes
// (0 for the usual), or no longer. It returns when that is stored and in force.
func (n *Node) SetKeeper(ctx context.Context, on bool, space int64) (chat.Keeper, error) {
	switch {
	case !on:
		space = courier.DefaultSpace
	case space == 0:
		space = courier.KeeperSpace
	case space < courier.MinSpace || space > courier.MaxSpace:
		return chat.Keeper{}, chat.Errorf(chat.CodeUsage, "A keeper gives between %d MiB and %d GiB. Choose a space within that.",
			courier.MinSpace>>20, courier.MaxSpace>>30)
	}
	n.settingKeeper.Lock() // what is stored last must be what is in force
	defer n.settingKeeper.Unlock()
	s := courier.Settings{Keeper: on, Space: space}
	stored := make(chan error, 1)
	n.keep(store.Batch{State: []store.StateChange{{Key: keeperKey, Value: encodeKeeper(s)}}}, func(err error) { stored <- err })
	if err := <-stored; err != nil {
		return chat.Keeper{}, err
	}
	return inLoop(ctx, n, func(c *core) (chat.Keeper, error) {
		c.courier(s)
		return c.couriers.engine.Keeper(), nil
	})
}

// courierJob is something for one device: a frame, or what has to be read first.
type courierJob struct {
	frame wire.Frame
	bring []courier.ID // held for others
	give  courier.ID   // of this person's
	bytes []byte       // of give, if it is not on the disk yet
	drop  []courier.ID
}

// courierLink is the stream on which this device tells another about envelopes. It is
// opened when there is something to say, and closed when there is nothing for a while.
type courierLink struct {
	device chat.DeviceID
	wake   chan struct{} // capacity 1

	mu    sync.Mutex
	jobs  []courierJob
	ended bool
}
