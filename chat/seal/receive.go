package seal

import (
	"errors"
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

// epoch is what this device knows of an epoch of another.
type epoch struct {
	id       uint64
	device   chat.DeviceID
	points   []point  // commitments seen, ascending by number
	view     [32]byte // as last announced
	last     uint64   // the point that view came with
	disputed bool
	lost     bool // there was a slot for this device that it has no pair root for
	touched  time.Time
	order    uint64 // among its device's epochs: the later known, the higher

	held    bool   // the chain is known here
	start   uint64 // from here on
	n       uint64 // ck is the key of this message
	ck      secret
	first   secret            // the point at start, in a room that keeps it
	skipped map[uint64]secret // keys of messages before n that have not come
}

type point struct {
	n      uint64
	commit [32]byte
}

// receive dispatches an entry by its kind.
func (e *Engine) receive(now time.Time, in Receive) {
	r, en := e.room(in.Room), &in.Entry
	asks, shares := en.Kind == wire.KindKeyRequest, en.Kind == wire.KindKeyShare
	switch {
	case en.Epoch == 0 && (asks || shares):
		e.refuse(en.Device, invalid("keys of no epoch"))
	case en.Epoch == 0:
		// Whoever reads it as if it were sealed is misled about who else does.
		e.broken(r, en, invalid("an entry in clear in a sealed room"))
	case en.Payload == nil && (asks || shares):
	case en.Payload == nil:
		e.unreadable(r, en, Removed)
	case asks && en.Device != e.device:
		e.answer(now, r, en)
	case shares && en.Device != e.device:
		e.share(now, r, en)
	case asks, shares:
	case en.Device == e.device:
		e.openOwn(r, en)
	default:
		e.message(now, r, en)
	}
}

func (e *Engine) unreadable(r *room, en *wire.Entry, why Reason) {
	e.emit(Unreadable{Room: r.id, ID: en.ID, Device: en.Device, Epoch: en.Epoch, Reason: why})
}

func (e *Engine) broken(r *room, en *wire.Entry, err error) {
	e.refuse(en.Device, err)
	e.unreadable(r, en, Broken)
}

// openOwn opens what this device sealed itself, when its log comes back to it.
func (e *Engine) openOwn(r *room, en *wire.Entry) {
	own := r.own[en.Epoch]
	s, err := decodeSealed(en.Payload)
	if own == nil || err != nil {
		e.unreadable(r, en, NotShared)
		return
	}
	ck := advance(own.start, s.N)
	text, err := openBox(messageKey(ck), s.Box, sealedAD(r.id, en.Device, en.Epoch, s.N, en.Kind))
	if err != nil {
		e.unreadable(r, en, Broken)
		return
	}
	e.emit(Opened{Room: r.id, ID: en.ID, Device: en.Device, Kind: en.Kind, Plaintext: text, View: own.view})
}

// message opens a sealed entry, or lets it wait for its key.
func (e *Engine) message(now time.Time, r *room, en *wire.Entry) {
	s, err := decodeSealed(en.Payload)
	if err != nil {
		e.broken(r, en, err)
		return
	}
	ep := r.epoch(en.Device, en.Epoch)
	switch {
	case ep == nil || (!ep.held && !ep.disputed && (ep.lost || e.waiting.wants(r.id, en))):
		e.wait(now, r, en)
	case ep.disputed:
		e.unreadable(r, en, Disputed)
	case !ep.held:
		e.unreadable(r, en, NotShared)
	default:
		e.open(now, r, ep, en, s)
	}
}

// open opens a message of a chain that is held. Nothing changes before it has
// opened: neither the chain nor what is kept of it.
func (e *Engine) open(now time.Time, r *room, ep *epoch, en *wire.Entry, s sealed) {
	ad := sealedAD(r.id, en.Device, en.Epoch, s.N, en.Kind)
	if s.N < ep.n {
		mk, ok := ep.skipped[s.N]
		switch {
		case s.N < ep.start:
			e.unreadable(r, en, TooEarly)
			return
		case !ok:
			e.unreadable(r, en, Replayed)
			return
		}
		text, err := openBox(mk, s.Box, ad)
		if err != nil {
			e.broken(r, en, invalid("a message that does not open"))
			return
		}
		e.opened(r, ep, en, text)
		delete(ep.skipped, s.N)
		e.skipped--
		e.persistSkipped(r, ep, s.N, s.N)
		return
	}
	ck := advance(ep.ck, s.N-ep.n) // at most MaxMessages
	text, err := openBox(messageKey(ck), s.Box, ad)
	if err != nil {
		e.broken(r, en, invalid("a message that does not open"))
		return
	}
	e.opened(r, ep, en, text)
	e.skip(r, ep, ep.n, ep.ck, s.N)
	ep.ck, ep.n, ep.touched = nextPoint(ck), s.N+1, now
	e.persist(epochKey(r.id, ep), ep.encode())
}

func (e *Engine) opened(r *room, ep *epoch, en *wire.Entry, text []byte) {
	e.emit(Opened{Room: r.id, ID: en.ID, Device: en.Device, Kind: en.Kind, Plaintext: text, View: ep.view})
}

// skip keeps the keys of messages that were passed over: from first, whose point is
// ck, to the one before end.
func (e *Engine) skip(r *room, ep *epoch, first uint64, ck secret, end uint64) {
	if first == end {
		return
	}
	for n := first; n < end; n++ {
		ep.skipped[n] = messageKey(ck)
		e.skipped++
		ck = nextPoint(ck)
	}
	e.persistSkipped(r, ep, first, end-1)
	for e.skipped > maxSkipped {
		e.dropSkipped(ep)
	}
}

// share takes an announcement: its commitment always, the key if there is a slot
// for this device.
func (e *Engine) share(now time.Time, r *room, en *wire.Entry) {
	s, err := decodeShare(r.id, en.Payload)
	if err != nil {
		e.refuse(en.Device, err)
		return
	}
	ep := r.epoch(en.Device, en.Epoch)
	if ep == nil {
		ep = e.newEpoch(r, en.Device, en.Epoch)
	}
	if ep.disputed {
		return
	}
	ep.touched = now
	if ep.contradicts(r.id, &s) {
		e.dispute(now, r, ep)
		return
	}
	ep.note(&s)
	sl, mine := s.slotFor(r.id, e.device)
	learned := false
	if mine && (!ep.held || s.N < ep.start) {
		learned, err = e.learn(now, r, ep, &s, sl)
	}
	switch {
	case errors.Is(err, errLost):
		ep.lost = true
		e.want(now, r, en)
	case err != nil:
		e.refuse(en.Device, err)
	}
	if ep.disputed {
		return
	}
	learned = e.takeWaiting(now, r, ep) || learned
	if ep.disputed {
		return
	}
	e.persist(epochKey(r.id, ep), ep.encode())
	if learned {
		e.emit(Learned{Room: r.id, Device: ep.device, Epoch: ep.id})
		e.release(now, r, ep)
	}
}

// note remembers a commitment.
func (ep *epoch) note(s *share) {
	if s.N >= ep.last {
		ep.view, ep.last = s.View, s.N
	}
	i, seen := ep.find(s.N)
	if !seen && len(ep.points) < maxPoints {
		ep.points = slices.Insert(ep.points, i, point{n: s.N, commit: s.Commit})
	}
}

func (ep *epoch) find(n uint64) (int, bool) {
	return slices.BinarySearchFunc(ep.points, n, func(p point, n uint64) int {
		switch {
		case p.n < n:
			return -1
		case p.n > n:
			return 1
		}
		return 0
	})
}

// contradicts reports whether an announcement can't be of the chain that was
// announced before, or that is held: its author tells different members different
// things.
func (ep *epoch) contradicts(id chat.RoomID, s *share) bool {
	if i, seen := ep.find(s.N); seen && ep.points[i].commit != s.Commit {
		return true
	}
	if !ep.held || s.N < ep.n {
		return false
	}
	ck := advance(ep.ck, s.N-ep.n) // at most MaxMessages
	return commitment(id, ep.device, ep.id, s.N, ck) != s.Commit
}

// dispute gives an epoch up whose author is caught lying.
func (e *Engine) dispute(now time.Time, r *room, ep *epoch) {
	e.forgetSkipped(r, ep)
	ep.disputed, ep.held, ep.ck, ep.first = true, false, secret{}, secret{}
	e.dropGrants(epochID{r.id, ep.device, ep.id})
	e.persist(epochKey(r.id, ep), ep.encode())
	e.emit(Alarm{Room: r.id, Device: ep.device, Epoch: ep.id})
	e.release(now, r, ep)
}

// learn unwraps a slot and takes the chain from its point on. The key counts only
// with its author's public commitment to it.
func (e *Engine) learn(now time.Time, r *room, ep *epoch, s *share, sl slot) (bool, error) {
	p, fresh, err := e.rootOf(ep.device, sl)
	if err != nil {
		return false, err
	}
	ck, err := unwrap(p.root, sl.Box, s.Commit, s.View, ep.device, e.device)
	if err != nil {
		return false, invalid("a slot that does not open")
	}
	e.keep(now, p)
	if fresh {
		e.emit(Acknowledge{To: ep.device, Root: p.id})
	}
	if commitment(r.id, ep.device, ep.id, s.N, ck) != s.Commit {
		e.dispute(now, r, ep)
		return false, nil
	}
	return e.hold(now, r, ep, s.N, ck), nil
}

// hold takes point n of a chain, which its author has committed to and which lies
// before what is held, if anything is. It reports whether more can be read now.
func (e *Engine) hold(now time.Time, r *room, ep *epoch, n uint64, ck secret) bool {
	if !ep.held {
		ep.held, ep.lost, ep.start, ep.n, ep.ck = true, false, n, n, ck
	} else {
		// An earlier point of a chain that is held: it must lead to the same place.
		if advance(ck, ep.n-n) != ep.ck {
			e.dispute(now, r, ep)
			return false
		}
		end := ep.start
		ep.start = n
		e.skip(r, ep, n, ck, end)
	}
	if r.keep {
		ep.first = ck
	}
	return true
}

// epoch returns what is known of an epoch, nil if nothing is.
func (r *room) epoch(device chat.DeviceID, id uint64) *epoch {
	for _, ep := range r.epochs[device] {
		if ep.id == id {
			return ep
		}
	}
	return nil
}

// newEpoch makes room for an epoch of a device; its oldest one has to go if there
// are too many.
func (e *Engine) newEpoch(r *room, device chat.DeviceID, id uint64) *epoch {
	ep := &epoch{id: id, device: device, skipped: map[uint64]secret{}}
	if list := r.epochs[device]; len(list) > 0 {
		ep.order = list[len(list)-1].order + 1
		if len(list) >= r.maxEpochs() {
			e.forget(r, list[0])
		}
	}
	r.epochs[device] = append(r.epochs[device], ep)
	e.boundKept(r, ep)
	return ep
}

// forget removes an epoch of another device with all its keys.
func (e *Engine) forget(r *room, ep *epoch) {
	e.forgetSkipped(r, ep)
	e.persist(epochKey(r.id, ep), nil)
	list := slices.DeleteFunc(r.epochs[ep.device], func(q *epoch) bool { return q == ep })
	if r.epochs[ep.device] = list; len(list) == 0 {
		delete(r.epochs, ep.device)
	}
}

// forgetSkipped removes the keys that an epoch has skipped.
func (e *Engine) forgetSkipped(r *room, ep *epoch) {
	blocks := ep.blocks()
	e.skipped -= len(ep.skipped)
	clear(ep.skipped)
	for _, b := range blocks {
		e.persist(skippedKey(r.id, ep, b), nil)
	}
}

// dropSkipped makes room for keys of skipped messages: those of the epoch that has
// been quiet for longest go, or of keep itself if it has no rival.
func (e *Engine) dropSkipped(keep *epoch) {
	var in *room
	var oldest *epoch
	for _, id := range sortedRooms(e.rooms) {
		r := e.rooms[id]
		for _, d := range sortedDevices(r.epochs) {
			for _, ep := range r.epochs[d] {
				if len(ep.skipped) == 0 || (ep == keep && oldest != nil) {
					continue
				}
				if oldest == nil || oldest == keep || ep.touched.Before(oldest.touched) {
					in, oldest = r, ep
				}
			}
		}
	}
	e.forgetSkipped(in, oldest)
}

// prune forgets keys that nothing is expected for any more.
func (e *Engine) prune(now time.Time) {
	for _, id := range sortedIDs(e.prekeys) {
		if e.prekeys[id].dead(now) {
			delete(e.prekeys, id)
			e.persist(prekeyKey(id), nil)
		}
	}
	for _, d := range sortedDevices(e.from) {
		kept := e.from[d][:0]
		for _, p := range e.from[d] {
			if now.Sub(p.used) < KeyLife {
				kept = append(kept, p)
				continue
			}
			e.persist(pairFromKey(d, p.id), nil)
		}
		if e.from[d] = kept; len(kept) == 0 {
			delete(e.from, d)
		}
	}
	for _, d := range sortedDevices(e.to) {
		if now.Sub(e.to[d].created) >= KeyLife {
			delete(e.to, d)
			e.persist(pairToKey(d), nil)
		}
	}
	for _, id := range sortedRooms(e.rooms) {
		r := e.rooms[id]
		for _, n := range sortedKeys(r.own) {
			if now.Sub(r.own[n].created) >= EpochLife+AnswerLife {
				if r.current != nil && r.current.id == n {
					r.current = nil
				}
				e.retire(r, r.own[n])
			}
		}
		for _, d := range sortedDevices(r.epochs) {
			for _, ep := range slices.Clone(r.epochs[d]) {
				if !r.keep && now.Sub(ep.touched) >= KeyLife {
					e.forget(r, ep)
				}
			}
		}
	}
}
