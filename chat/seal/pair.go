package seal

import (
	"errors"
	"slices"
	"time"

	"earshot/chat"
)

// pairTo is the root of the keys that this device wraps to another with.
type pairTo struct {
	device  chat.DeviceID
	id      shortID
	root    secret
	enc     []byte // nil once the other has said that it has the root
	prekey  Prekey // of the other, that enc was made with: the newest known
	created time.Time
}

// pairFrom is the root of the keys that another wraps to this device with.
type pairFrom struct {
	device chat.DeviceID
	id     shortID
	root   secret
	used   time.Time
}

// The reasons of Excluded end with what to do, as they are shown in the room.
var (
	errNoPrekey = chat.Errorf(chat.CodeNotFound,
		"This device has not said yet how to encrypt for it. It can read what is said here once it has been online.")
	errFuturePrekey = chat.Errorf(chat.CodeClock,
		"The clock of this device is far ahead, so its encryption key is not valid yet. Set its clock.")
)

// pair returns the root to wrap with for a device, a new one if there is none, the
// old one has served its time, or the device has a newer prekey. An older prekey,
// whose private half may have been stolen since, is never gone back to.
func (e *Engine) pair(now time.Time, to Recipient) (*pairTo, error) {
	device := to.Certificate.Device
	p := e.to[device]
	if p.outdates(now, to.Prekey) {
		if within(now, p.created, PairLife) {
			return p, nil
		}
		to.Prekey = p.prekey
	}
	if to.Prekey.IsZero() {
		return nil, errNoPrekey
	}
	if err := to.Certificate.Verify(); err != nil {
		return nil, err
	}
	return e.newPair(now, device, to.Prekey)
}

// outdates reports whether p was made with a prekey that is as new as k or newer.
func (p *pairTo) outdates(now time.Time, k Prekey) bool {
	return p != nil && (k.IsZero() || !k.CreatedAt.After(p.prekey.CreatedAt)) && p.prekey.CreatedAt.Sub(now) <= MaxFuturePrekey
}

// newPair makes a root with a device's prekey, which is checked first, and puts it
// in the place of the last.
func (e *Engine) newPair(now time.Time, device chat.DeviceID, k Prekey) (*pairTo, error) {
	switch {
	case k.Device != device:
		return nil, invalid("a prekey of another device")
	case k.CreatedAt.Sub(now) > MaxFuturePrekey:
		return nil, errFuturePrekey
	}
	if err := k.Verify(); err != nil {
		return nil, err
	}
	enc, root, err := encapsulate(k.public, e.device, device)
	if err != nil {
		return nil, invalid("a prekey that is no key: %v", err)
	}
	p := &pairTo{device: device, id: rootID(enc), root: root, enc: enc, prekey: k, created: now}
	e.to[device] = p
	e.persist(pairToKey(device), p.encode())
	return p, nil
}

// slot wraps a point of a chain of this device.
func (e *Engine) slot(p *pairTo, room chat.RoomID, ck secret, commit, view [32]byte) slot {
	s := slot{To: slotTo(room, commit, p.device), Key: p.id[:], Box: wrap(p.root, ck, commit, view, e.device, p.device)}
	if p.enc != nil {
		s.Key = append(append(make([]byte, 0, freshSize), p.prekey.id[:]...), p.enc...)
	}
	return s
}

// acknowledged stops sending an encapsulation that has arrived. Who says so falsely
// harms only itself.
func (e *Engine) acknowledged(in Acknowledged) {
	if p := e.to[in.From]; p != nil && p.enc != nil && p.id == in.Root {
		p.enc = nil
		e.persist(pairToKey(in.From), p.encode())
	}
}

// errLost says that the root of a slot is not, or no longer, known here.
var errLost = errors.New("unknown pair root")

// rootOf returns the root that a slot from a device is wrapped with. A root that
// comes with the slot is to be kept only once the slot has opened.
func (e *Engine) rootOf(from chat.DeviceID, s slot) (p *pairFrom, fresh bool, err error) {
	if len(s.Key) == idSize {
		for _, p := range e.from[from] {
			if p.id == shortID(s.Key) {
				return p, false, nil
			}
		}
		return nil, false, errLost
	}
	enc := s.Key[idSize:]
	id := rootID(enc)
	for _, p := range e.from[from] {
		if p.id == id {
			return p, true, nil
		}
	}
	own := e.prekeys[shortID(s.Key[:idSize])]
	if own == nil {
		return nil, false, errLost
	}
	root, err := decapsulate(own.key, enc, from, e.device)
	if err != nil {
		return nil, false, invalid("an encapsulation that is none: %v", err)
	}
	return &pairFrom{device: from, id: id, root: root}, true, nil
}

// keep remembers a root that has proved itself, in the place of the one unused for
// longest if there are too many.
func (e *Engine) keep(now time.Time, p *pairFrom) {
	list := slices.DeleteFunc(e.from[p.device], func(q *pairFrom) bool { return q == p })
	if len(list) >= maxPairs {
		e.persist(pairFromKey(p.device, list[0].id), nil)
		list = slices.Delete(list, 0, 1)
	}
	p.used = now
	e.from[p.device] = append(list, p)
	e.persist(pairFromKey(p.device, p.id), p.encode())
}
