package node

import (
	"context"
	"encoding/binary"
	"log/slog"
	"math/rand/v2"
	"time"

	crand "crypto/rand"

	"earshot/chat"
	"earshot/chat/contacts"
	"earshot/chat/receipt"
	"earshot/chat/wire"
	"earshot/node/store"
)

// This file carries the engine of message states: what it is told, and what it wants
// (chat/PROTOCOL.md#receipts).

const (
	// keepEach is how often what others say is stored: what a crash takes, they say
	// again.
	keepEach = time.Second
	// showEach is how often faces are told of a room that messages have come further.
	showEach = 250 * time.Millisecond
)

// receipts is what the loop knows of how far others hold and have read sealed rooms.
type receipts struct {
	engine *receipt.Engine
	// logs are those of each sealed room whose entries are stored here, by what
	// stands for them in marks.
	logs map[chat.RoomID]map[receipt.LogPrefix]knownLog

	keep   map[receiptKey]store.Receipt // to be stored
	steps  []store.ReceiptStep
	keptAt time.Time

	show    map[chat.RoomID]struct{} // of which faces are to be told
	shownAt map[chat.RoomID]time.Time

	elsewhere map[chat.RoomID]map[receipt.LogPrefix]uint64 // read on other devices of this person
	reread    map[chat.RoomID]struct{}                     // rooms where that may count now
}

type receiptKey struct {
	room   chat.RoomID
	device chat.DeviceID
	kind   uint8
}

type knownLog struct {
	log  chat.LogID
	mine bool // a device of this person writes it
}

// holds returns up to which entry a device has said that it holds a log, 0 if nothing
// is known.
func (r *receipts) holds(room chat.RoomID, device chat.DeviceID, log chat.LogID) uint64 {
	return r.engine.Holds(room, device, log)
}

// loadReceipts makes the engine of what the store holds.
func (c *core) loadReceipts(ctx context.Context) error {
	n := c.n
	rows, err := n.store.Receipts(ctx)
	if err != nil {
		return err
	}
	read, err := n.store.ReadHere(ctx)
	if err != nil {
		return err
	}
	var seed [32]byte
	_, _ = crand.Read(seed[:]) // never fails
	r := &receipts{
		engine: receipt.New(receipt.Config{
			Key: n.keys.Device, Person: n.person, World: listeners{c}, Random: rand.New(rand.NewChaCha8(seed)),
		}),
		logs: map[chat.RoomID]map[receipt.LogPrefix]knownLog{}, keep: map[receiptKey]store.Receipt{},
		show: map[chat.RoomID]struct{}{}, shownAt: map[chat.RoomID]time.Time{},
		elsewhere: map[chat.RoomID]map[receipt.LogPrefix]uint64{}, reread: map[chat.RoomID]struct{}{},
	}
	c.receipts = r
	restore := map[chat.RoomID]*receipt.Restore{}
	of := func(id chat.RoomID) *receipt.Restore {
		if restore[id] == nil {
			restore[id] = &receipt.Restore{Room: id}
		}
		return restore[id]
	}
	for id := range c.rows {
		held, lacking, err := n.store.HeldIn(ctx, id)
		if err != nil {
			return err
		}
		for _, l := range held {
			r.meetLog(id, l.Log, l.Person == n.person)
			if l.Device != n.device && l.Seq > 0 {
				of(id).Holds = append(of(id).Holds, receipt.Mark{Log: receipt.PrefixOf(l.Log), Seq: l.Seq})
			}
		}
		if lacking {
			n.taken.lacks(id, true)
		}
	}
	for _, row := range rows {
		s, ok := statementOf(row.Device, row.Kind, row.Version, row.Marks, row.Sig)
		if !ok {
			continue // damaged: it comes again
		}
		of(row.Room).Statements = append(of(row.Room).Statements, receipt.Kept{Statement: s, Person: row.Person})
		if marks, err := receipt.DecodeMarks(s.Marks); err == nil && s.Kind.Reads() && row.Person == n.person && s.Device != n.device {
			r.readElsewhere(row.Room, marks)
		}
	}
	for id, marks := range read {
		for _, m := range marks {
			of(id).Read = append(of(id).Read, receipt.Mark{Log: receipt.PrefixOf(m.Log), Seq: m.Seq})
		}
	}
	for _, in := range restore {
		c.receipt(*in)
	}
	return nil
}

func statementOf(device chat.DeviceID, kind uint8, version uint64, marks, sig []byte) (receipt.Statement, bool) {
	s := receipt.Statement{Device: device, Kind: receipt.Kind(kind), Version: version, Marks: marks}
	return s, copy(s.Sig[:], sig) == len(s.Sig) && len(sig) == len(s.Sig)
}

func (r *receipts) meetLog(room chat.RoomID, log chat.LogID, mine bool) {
	if r.logs[room] == nil {
		r.logs[room] = map[receipt.LogPrefix]knownLog{}
	}
	r.logs[room][receipt.PrefixOf(log)] = knownLog{log, mine}
}

// readElsewhere notes what was read on another device of this person's.
func (r *receipts) readElsewhere(room chat.RoomID, marks []receipt.Mark) {
	if r.elsewhere[room] == nil {
		r.elsewhere[room] = map[receipt.LogPrefix]uint64{}
	}
	for _, m := range marks {
		r.elsewhere[room][m.Log] = max(r.elsewhere[room][m.Log], m.Seq)
	}
	r.reread[room] = struct{}{}
}

// listeners is what the engine asks of rooms and people.
type listeners struct{ c *core }

func (l listeners) Shared(d chat.DeviceID) (out []chat.RoomID) {
	for _, id := range l.c.rooms.Rooms() {
		if l.Shares(id, d) {
			out = append(out, id)
		}
	}
	return out
}

func (l listeners) Shares(id chat.RoomID, d chat.DeviceID) bool {
	return l.c.rooms.Sealed(id) && l.c.private.Shares(id, d)
}

func (l listeners) Person(d chat.DeviceID) (chat.PersonID, bool) {
	if d == l.c.n.device {
		return l.c.n.person, true
	}
	return l.c.private.PersonOf(d)
}

// HeldKind: where somebody blocked is in a room, others are told, and do not tell them.
// Who is invisible says nothing.
func (l listeners) HeldKind(id chat.RoomID) receipt.Kind {
	switch {
	case l.c.circle.hides():
		return 0
	case l.c.blockedIn(id):
		return receipt.HeldKept
	}
	return receipt.Held
}

func (l listeners) Gives(k receipt.Kind, to chat.PersonID) bool {
	if k == receipt.HeldKept {
		return !l.c.hidden(to)
	}
	if l.c.appearsOffline() && to != l.c.n.person { // it is given when that is over
		return false
	}
	return l.c.mayReach(to, contacts.ReachRead)
}

// blockedIn reports whether somebody blocked is, or ever was, in a sealed room.
func (c *core) blockedIn(id chat.RoomID) bool {
	for who := range c.circle.blocked {
		if c.private.MayWrite(id, who) {
			return true
		}
	}
	return false
}

// readKind is what may become known of what this person reads in a room now.
func (c *core) readKind(id chat.RoomID) receipt.Kind {
	switch {
	case !c.circle.privacy.Shows(contacts.ReachRead) || c.circle.hides():
		return receipt.ReadOwn
	case !c.circle.privacy.ShowsAll(contacts.ReachRead) || c.blockedIn(id) || c.appearsOffline():
		return receipt.ReadKept
	}
	return receipt.Read
}

// writeReceipts returns what this device says of a room, to be brought to a person
// there by somebody else.
func (c *core) writeReceipts(id chat.RoomID, to chat.PersonID) []receipt.Statement {
	return c.receipt(receipt.Write{Room: id, To: to})
}

// receipt hands an input to the engine and carries out what it wants. It returns what
// was written, where that was asked for.
func (c *core) receipt(in receipt.Input) (written []receipt.Statement) {
	var lost []chat.DeviceID
	for _, ef := range c.receipts.engine.Handle(c.now, in) {
		switch ef := ef.(type) {
		case receipt.Written:
			written = ef.Statements
		case receipt.Tell:
			if !c.sendReceipt(ef.To, tellFrame(ef, c.now)) {
				lost = append(lost, ef.To)
			}
		case receipt.Compare:
			var f wire.ReceiptHave
			for _, s := range ef.Sums {
				tag := s.Room.Tag(c.now)
				f.Rooms = append(f.Rooms, wire.ReceiptRoot{Tag: tag[:], Sum: s.Sum[:]})
			}
			if !c.sendReceipt(ef.To, f) {
				lost = append(lost, ef.To)
			}
		case receipt.Ask:
			tag := ef.Room.Tag(c.now)
			f := wire.ReceiptWant{Tag: tag[:]}
			for _, l := range ef.Lines {
				f.Lines = append(f.Lines, wire.ReceiptLine{Device: l.Device[:], Kind: uint8(l.Kind), Version: l.Version})
			}
			if !c.sendReceipt(ef.To, f) {
				lost = append(lost, ef.To)
			}
		case receipt.Keep:
			c.keepReceipt(ef)
		case receipt.ReadElsewhere:
			c.receipts.readElsewhere(ef.Room, ef.Marks)
			c.reread()
		case receipt.Refuse:
			c.refuse(ef.From, ef.Err)
		}
	}
	for _, d := range lost {
		c.receipt(receipt.Lost{Device: d})
	}
	return written
}

func tellFrame(ef receipt.Tell, now time.Time) wire.Receipt {
	tag := ef.Room.Tag(now)
	f := wire.Receipt{Tag: tag[:], Statements: make([]wire.Statement, 0, len(ef.Statements))}
	for i := range ef.Statements {
		s := &ef.Statements[i]
		w := wire.Statement{Device: []byte{}, Kind: uint8(s.Kind), Version: s.Version, Marks: s.Marks, Sig: s.Sig[:]}
		if !ef.Covered {
			w.Device = s.Device[:]
		}
		f.Statements = append(f.Statements, w)
	}
	if ef.Covered {
		f.Cover = binary.BigEndian.AppendUint64(nil, ef.Cover)
	}
	return f
}

// sendReceipt reports whether a frame will be sent, unless the connection is lost.
func (c *core) sendReceipt(to chat.DeviceID, f wire.Frame) bool {
	nb := c.neighbours[to]
	if nb == nil || nb.peer == nil {
		return true // it will be told when it is back
	}
	return nb.peer.TrySend(wire.EncodeFrame(f))
}

// heardReceipt takes a frame of a neighbour that has said whose it is. What is said of
// rooms that are not known here, or not shared with it, is not listened to.
func (c *core) heardReceipt(d chat.DeviceID, f wire.Frame) {
	switch f := f.(type) {
	case wire.Receipt:
		id, ok := c.tags[chat.RoomTag(f.Tag)]
		if !ok {
			return
		}
		in := receipt.Told{From: d, Room: id, Covered: f.Cover != nil}
		if in.Covered {
			in.Cover = binary.BigEndian.Uint64(f.Cover)
		}
		for _, w := range f.Statements {
			device := d
			copy(device[:], w.Device)
			if s, ok := statementOf(device, w.Kind, w.Version, w.Marks, w.Sig); ok {
				in.Statements = append(in.Statements, s)
			}
		}
		c.receipt(in)
	case wire.ReceiptHave:
		in := receipt.Compared{From: d}
		for _, r := range f.Rooms {
			if id, ok := c.tags[chat.RoomTag(r.Tag)]; ok {
				in.Sums = append(in.Sums, receipt.Sum{Room: id, Sum: [wire.ReceiptSum]byte(r.Sum)})
			}
		}
		c.receipt(in)
	case wire.ReceiptWant:
		id, ok := c.tags[chat.RoomTag(f.Tag)]
		if !ok {
			return
		}
		in := receipt.Asked{From: d, Room: id}
		for _, l := range f.Lines {
			in.Lines = append(in.Lines, receipt.Line{Device: [wire.ReceiptPrefix]byte(l.Device), Kind: receipt.Kind(l.Kind), Version: l.Version})
		}
		c.receipt(in)
	}
}

// keepReceipt stores a statement soon, and tells faces if a message of one's own has
// come further by it.
func (c *core) keepReceipt(ef receipt.Keep) {
	r := c.receipts
	s := ef.Statement
	r.keep[receiptKey{ef.Room, s.Device, uint8(s.Kind)}] = store.Receipt{
		Room: ef.Room, Device: s.Device, Person: ef.Person, Kind: uint8(s.Kind), Version: s.Version, Marks: s.Marks, Sig: s.Sig[:],
	}
	for _, m := range ef.Rose {
		l, ok := r.logs[ef.Room][m.Log]
		if !ok || !l.mine {
			continue
		}
		r.show[ef.Room] = struct{}{}
		r.steps = append(r.steps, store.ReceiptStep{
			Room: ef.Room, Log: l.log, Device: s.Device, Person: ef.Person, Read: s.Kind.Reads(), Seq: m.Seq, At: c.now,
		})
	}
	if s.Device == c.n.device && s.Kind.Reads() || !c.now.Before(r.keptAt.Add(keepEach)) {
		c.storeReceipts()
	}
	c.showStates()
}

// storeReceipts has the store take what is to be kept.
func (c *core) storeReceipts() {
	r := c.receipts
	if len(r.keep) == 0 {
		return
	}
	rows := make([]store.Receipt, 0, len(r.keep))
	for _, row := range r.keep {
		rows = append(rows, row)
	}
	n := c.n
	n.store.PutReceipts(rows, r.steps, func(err error) {
		if err != nil {
			n.rarely("receipts", slog.LevelWarn, "storing how far messages have come failed", "err", err)
		}
	})
	clear(r.keep)
	r.steps, r.keptAt = nil, c.now
}

// lastReceipts has the store take everything before the node stops.
func (c *core) lastReceipts() {
	c.receipt(receipt.Last{})
	c.storeReceipts()
}

// settleReceipts returns when what was told of others is stored, or can't be.
func (n *Node) settleReceipts(ctx context.Context) error {
	stored := make(chan struct{})
	if err := n.do(ctx, func(c *core) {
		c.storeReceipts()
		n.store.PutReceipts(nil, nil, func(error) { close(stored) })
	}); err != nil {
		return err
	}
	select {
	case <-stored:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// showStates tells faces which rooms' messages have come further.
func (c *core) showStates() {
	r := c.receipts
	for id := range r.show {
		if c.now.Before(r.shownAt[id].Add(showEach)) {
			continue
		}
		delete(r.show, id)
		r.shownAt[id] = c.now
		c.n.feed.Publish(chat.StatesEvent{Room: c.names[id], RoomID: id})
	}
}

// nextReceiptTick returns when tickReceipts has something to do, zero for never.
func (c *core) nextReceiptTick() time.Time {
	r := c.receipts
	next := r.engine.NextTick()
	sooner := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	if len(r.keep) > 0 {
		sooner(r.keptAt.Add(keepEach))
	}
	for id := range r.show {
		sooner(r.shownAt[id].Add(showEach))
	}
	return next
}

func (c *core) tickReceipts() {
	r := c.receipts
	if next := r.engine.NextTick(); !next.IsZero() && !c.now.Before(next) {
		c.receipt(receipt.Tick{})
	}
	if len(r.keep) > 0 && !c.now.Before(r.keptAt.Add(keepEach)) {
		c.storeReceipts()
	}
	c.showStates()
}

// shareReceipts: who is in sealed rooms, or may know what is held there, has changed.
// nil stands for all of them.
func (c *core) shareReceipts(ids []chat.RoomID) {
	if c.receipts == nil {
		return // not loaded yet
	}
	if ids == nil {
		ids = c.rooms.Rooms()
	}
	in := receipt.Shared{}
	for _, id := range ids {
		if c.rooms.Sealed(id) {
			in.Rooms = append(in.Rooms, id)
		}
	}
	if len(in.Rooms) > 0 {
		c.receipt(in)
	}
}
