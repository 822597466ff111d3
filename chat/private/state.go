package private

import (
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"earshot/chat"
	"earshot/chat/identity"
	"earshot/chat/seal"
	"earshot/chat/wire"
)

// opKey names the operation in a place of a room's log. In the order of their keys,
// operations come behind those that they build on.
func opKey(r chat.RoomID, place int) string {
	return fmt.Sprintf("%s%s/%08x", opPrefix, hex.EncodeToString(r[:]), place)
}

type deviceState struct {
	Certificate []byte `cbor:"1,keyasint"`
	Prekey      []byte `cbor:"2,keyasint,omitempty"`
}

type roomState struct {
	With    []byte   `cbor:"1,keyasint,omitempty"` // of a direct chat
	Order   uint64   `cbor:"2,keyasint"`
	Inviter []byte   `cbor:"3,keyasint,omitempty"`
	Posted  []byte   `cbor:"4,keyasint,omitempty"`
	Named   string   `cbor:"5,keyasint,omitempty"`
	NamedTo [][]byte `cbor:"6,keyasint,omitempty"`
	Begun   bool     `cbor:"7,keyasint,omitempty"` // to ask for history
	Since   uint64   `cbor:"8,keyasint,omitempty"` // when it was wanted, in seconds since 1970
}

func (d *device) encode() []byte {
	return wire.Marshal(deviceState{Certificate: d.cert.Bytes(), Prekey: d.prekey.Bytes()})
}

func (r *conversation) encode() []byte {
	s := roomState{
		Order: r.order, Named: r.named, NamedTo: peopleBytes(r.namedTo),
		Begun: r.history.begun,
	}
	if !r.history.since.IsZero() {
		s.Since = uint64(max(1, r.history.since.Unix()))
	}
	if r.direct() {
		s.With = r.with[:]
	}
	if !r.inviter.IsZero() {
		s.Inviter = r.inviter[:]
	}
	if r.posted != [32]byte{} {
		s.Posted = r.posted[:]
	}
	return wire.Marshal(s)
}

func (e *Engine) keepRoom(r *conversation) { e.persist(roomKey(r.id), r.encode()) }

func peopleBytes(list []chat.PersonID) (out [][]byte) {
	for i := range list {
		out = append(out, list[i][:])
	}
	return out
}

// Snapshot returns everything that is persisted, for a backup or to compare with.
func (e *Engine) Snapshot() map[string][]byte {
	out := map[string][]byte{}
	for k, v := range e.seal.Snapshot() {
		out[sealPrefix+k] = v
	}
	for _, p := range e.people {
		if !p.kept {
			continue
		}
		for _, d := range p.devices {
			if d.id != e.device {
				out[deviceKey(d.id)] = d.encode()
			}
		}
		if p.registry != nil {
			out[listKey(p.id)] = p.registry.Snapshot()
		}
	}
	for id, r := range e.rooms {
		out[roomKey(id)] = r.encode()
		for i := range r.ops {
			out[opKey(id, i)] = r.ops[i].raw
		}
	}
	return out
}

// restore reads what was persisted. Operations were verified before they were stored,
// and what is stored is this device's own, so they are not verified again.
func (e *Engine) restore(state map[string][]byte) error {
	sealed, damaged := map[string][]byte{}, error(nil)
	keys := slices.Sorted(maps.Keys(state))
	for _, prefix := range []string{sealPrefix, listPrefix, devicePrefix, roomPrefix, opPrefix} {
		for _, k := range keys {
			rest, ok := strings.CutPrefix(k, prefix)
			if !ok {
				continue
			}
			if prefix == sealPrefix {
				sealed[rest] = state[k]
				continue
			}
			if err := e.restoreOne(prefix, rest, state[k]); err != nil && damaged == nil {
				damaged = chat.Wrap(chat.CodeHomeBroken, fmt.Errorf("state %q: %w", k, err),
					"Something that Earshot keeps about a private conversation is damaged.", "Restore a backup, or ask to be invited again.")
			}
		}
	}
	var err error
	if e.seal, err = seal.New(seal.Config{Key: e.cfg.Key, Random: e.cfg.Random}, sealed); err != nil {
		return err
	}
	for id, r := range e.rooms {
		if !r.direct() && len(r.ops) == 0 {
			delete(e.rooms, id)
		}
	}
	return damaged
}

var errMalformed = errors.New("it is malformed")

func (e *Engine) restoreOne(prefix, rest string, value []byte) error {
	name, place, _ := strings.Cut(rest, "/")
	id, err := hex.DecodeString(name)
	if err != nil {
		return err
	}
	switch prefix {
	case listPrefix:
		registry, err := identity.LoadRegistry(value)
		if err != nil {
			return err
		}
		p := e.person(registry.List().Person())
		p.registry, p.kept = registry, true
	case devicePrefix:
		return e.restoreDevice(value)
	case roomPrefix:
		if len(id) != len(chat.RoomID{}) {
			return errMalformed
		}
		return e.restoreRoom(chat.RoomID(id), value)
	case opPrefix:
		if len(id) != len(chat.RoomID{}) {
			return errMalformed
		}
		return e.restoreOp(chat.RoomID(id), place, value)
	}
	return nil
}

func (e *Engine) restoreDevice(value []byte) error {
	var s deviceState
	if err := wire.Unmarshal(value, &s); err != nil {
		return err
	}
	c, err := identity.Parse(s.Certificate)
	if err != nil || c.Device == e.device {
		return err
	}
	e.met++
	d := &device{id: c.Device, person: c.Person(), cert: c, met: e.met}
	if s.Prekey != nil {
		if d.prekey, err = seal.ParsePrekey(s.Prekey); err != nil {
			return err
		}
	}
	p := e.person(d.person)
	p.kept = true
	p.devices[d.id], e.devices[d.id] = d, d
	return nil
}

func (e *Engine) restoreRoom(id chat.RoomID, value []byte) error {
	var s roomState
	if err := wire.Unmarshal(value, &s); err != nil {
		return err
	}
	r := newRoom(id, e.cfg.Person)
	r.kept, r.order, r.named = true, s.Order, s.Named
	e.joined = max(e.joined, s.Order)
	ok := true
	if s.With != nil {
		r.log, r.waits = nil, nil
		ok = fill(r.with[:], s.With)
	}
	ok = ok && (s.Inviter == nil || fill(r.inviter[:], s.Inviter)) && (s.Posted == nil || fill(r.posted[:], s.Posted))
	people := func(list [][]byte) (out []chat.PersonID) {
		for _, b := range list {
			var p chat.PersonID
			ok = ok && fill(p[:], b)
			out = append(out, p)
		}
		return out
	}
	r.namedTo = people(s.NamedTo)
	r.history.begun = s.Begun
	if s.Since != 0 {
		r.history.since = time.Unix(int64(min(s.Since, math.MaxInt64/2)), 0).UTC()
	}
	if !ok {
		return errMalformed
	}
	e.rooms[id] = r
	return nil
}

func (e *Engine) restoreOp(id chat.RoomID, place string, value []byte) error {
	r := e.rooms[id]
	o, err := ParseOperation(value)
	switch {
	case err != nil:
		return err
	case r == nil || r.direct() || o.Room != id || place != strings.TrimPrefix(opKey(id, len(r.ops)), opPrefix+hex.EncodeToString(id[:])+"/"):
		return errMalformed
	}
	if err := r.log.Restore(o.Op()); err != nil {
		return err
	}
	r.ops = append(r.ops, o)
	return nil
}

func fill(dst, src []byte) bool {
	if len(src) != len(dst) {
		return false
	}
	copy(dst, src)
	return true
}
