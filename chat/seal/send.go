package seal

import (
	"encoding/binary"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

// ownEpoch is what this device must know of an epoch of its own to give its key
// again to who lost it.
type ownEpoch struct {
	id      uint64
	start   secret // point 0
	created time.Time
	view    [32]byte                 // as last announced
	to      map[chat.DeviceID]uint64 // from which point on a device may read
}

// sending is the epoch in use, with the point of its chain that comes next. The
// point is not persisted: a new run starts a new epoch.
type sending struct {
	*ownEpoch
	ck        secret
	n         uint64
	announced bool
}

// seal seals a message: in a new epoch if it must be, in the current one, shared
// with who is new, otherwise.
func (e *Engine) seal(now time.Time, in Seal) {
	r := e.rooms[in.Room]
	switch {
	case r == nil || !r.known:
		e.emit(Deny{Ref: in.Ref, Err: errNoRoom})
		return
	case in.Kind == wire.KindOpen || in.Kind == wire.KindKeyShare || in.Kind == wire.KindKeyRequest || in.Kind == 0:
		e.emit(Deny{Ref: in.Ref, Err: chat.Errorf(chat.CodeUsage,
			"An entry of kind %d is never sealed. Report these words.", in.Kind)})
		return
	case len(in.Plaintext) > MaxPlaintext:
		e.emit(Deny{Ref: in.Ref, Err: chat.Errorf(chat.CodeTooLong,
			"This is %d bytes and may be %d. Send it in parts.", len(in.Plaintext), MaxPlaintext)})
		return
	case len(r.recipients) > MaxDevices:
		e.emit(Deny{Ref: in.Ref, Err: chat.Errorf(chat.CodeBusy,
			"This room has %d devices and may have %d. Remove members, or talk in several rooms.", len(r.recipients)+1, MaxDevices+1)})
		return
	}
	var random [nonceSize]byte
	err := e.random(random[:])
	if err == nil && r.stale(now) {
		err = e.begin(now, r)
	}
	if err != nil {
		e.emit(Deny{Ref: in.Ref, Err: err})
		return
	}
	e.extend(now, r)
	c := r.current
	box := sealBox(c.ck, random, in.Plaintext, sealedAD(r.id, e.device, c.id, c.n, in.Kind))
	e.emit(Append{
		Room: r.id, Kind: in.Kind, Epoch: c.id, Ref: in.Ref,
		Payload: wire.Marshal(sealed{Suite: Suite, N: c.n, Box: box}),
	})
	c.ck, c.n = nextPoint(c.ck), c.n+1
}

// stale reports whether the next message must start a new epoch.
func (r *room) stale(now time.Time) bool {
	c := r.current
	return c == nil || r.rotate || c.n >= MaxMessages || !within(now, c.created, EpochLife)
}

// begin starts an epoch that nobody has been given yet.
func (e *Engine) begin(now time.Time, r *room) error {
	var b [8 + secretSize]byte
	if err := e.random(b[:]); err != nil {
		return err
	}
	id := binary.BigEndian.Uint64(b[:8])
	if _, used := r.own[id]; used || id == 0 {
		return chat.AsError(errRandomTwice)
	}
	own := &ownEpoch{id: id, start: secret(b[8:]), created: now, to: map[chat.DeviceID]uint64{}}
	r.own[id], r.current, r.rotate = own, &sending{ownEpoch: own, ck: own.start}, false
	for len(r.own) > r.maxOwn() {
		e.dropOwn(r, oldestOwn(r.own))
	}
	return nil
}

// extend shares the chain, from its current point on, with who does not have it.
// An epoch without recipients is announced, too: its commitment must be first.
func (e *Engine) extend(now time.Time, r *room) {
	c := r.current
	commit := commitment(r.id, e.device, c.id, c.n, c.ck)
	var slots []slot
	for _, to := range r.recipients {
		device := to.Certificate.Device
		if _, has := c.to[device]; has {
			continue
		}
		p, err := e.pair(now, to)
		if err != nil {
			if with, said := r.excluded[device]; !said || with != to.Prekey.id {
				e.emit(Excluded{Room: r.id, Device: device, Err: err})
			}
			r.excluded[device] = to.Prekey.id
			continue
		}
		delete(r.excluded, device)
		c.to[device] = c.n
		slots = append(slots, e.slot(p, r.id, c.ck, commit, r.view))
	}
	if len(slots) == 0 && c.announced && c.view == r.view {
		return
	}
	c.view, c.announced = r.view, true
	e.persist(ownKey(r.id, c.id), c.encode())
	e.announce(r, c.id, share{N: c.n, Commit: commit, View: r.view, Slots: slots})
}

func (e *Engine) announce(r *room, epoch uint64, s share) {
	for _, payload := range encodeShare(r.id, s) {
		e.emit(Append{Room: r.id, Kind: wire.KindKeyShare, Epoch: epoch, Payload: payload})
	}
}

// answer gives a device again what it was given of an epoch, with a fresh pair
// root: to devices that were, and still are, recipients, and to no others.
func (e *Engine) answer(now time.Time, r *room, en *wire.Entry) {
	own := r.own[en.Epoch]
	if own == nil || !r.members[en.Device] {
		return
	}
	point, given := own.to[en.Device]
	if !given {
		return
	}
	b := budgetOf(e.answers, en.Device)
	if !b.mayRepeat(now, en.Epoch) || !b.take(now, maxAnswersOf) {
		return
	}
	k, err := decodeRequest(en.Payload)
	if err != nil {
		e.refuse(en.Device, err)
		return
	}
	// A request that took long may bring an older prekey than is known by now.
	p := e.to[en.Device]
	if k.Device != en.Device || !p.outdates(now, k) || !k.CreatedAt.Before(p.prekey.CreatedAt) {
		if p, err = e.newPair(now, en.Device, k); err != nil {
			e.refuse(en.Device, err)
			return
		}
	}
	b.repeated(now, en.Epoch)
	ck := advance(own.start, point)
	commit := commitment(r.id, e.device, own.id, point, ck)
	e.announce(r, own.id, share{
		N: point, Commit: commit, View: own.view,
		Slots: []slot{e.slot(p, r.id, ck, commit, own.view)},
	})
}

func (e *Engine) dropOwn(r *room, id uint64) {
	delete(r.own, id)
	e.persist(ownKey(r.id, id), nil)
}
