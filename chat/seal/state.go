package seal

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

// What is persisted, by the first part of its key. The rest of the key are ids in
// hexadecimal digits and numbers, between slashes.
const (
	statePrekey  = "prekey"  // prekey id
	statePairTo  = "to"      // device
	statePairFr  = "from"    // device, root id
	stateOwn     = "own"     // room, epoch
	stateEpoch   = "epoch"   // room, device, epoch
	stateSkipped = "skipped" // room, device, epoch, block
	stateKeep    = "keep"    // room
	stateGrant   = "grant"   // room, author, epoch, giver
)

func prekeyKey(id shortID) string      { return statePrekey + "/" + hex.EncodeToString(id[:]) }
func pairToKey(d chat.DeviceID) string { return statePairTo + "/" + hex.EncodeToString(d[:]) }
func number(n uint64) string           { return strconv.FormatUint(n, 16) }
func ownKey(r chat.RoomID, n uint64) string {
	return stateOwn + "/" + hex.EncodeToString(r[:]) + "/" + number(n)
}

func keepKey(r chat.RoomID) string { return stateKeep + "/" + hex.EncodeToString(r[:]) }

func grantKey(id epochID, from chat.DeviceID) string {
	return stateGrant + "/" + hex.EncodeToString(id.room[:]) + "/" + hex.EncodeToString(id.device[:]) + "/" + number(id.epoch) + "/" + hex.EncodeToString(from[:])
}

func pairFromKey(d chat.DeviceID, id shortID) string {
	return statePairFr + "/" + hex.EncodeToString(d[:]) + "/" + hex.EncodeToString(id[:])
}

func epochPath(r chat.RoomID, ep *epoch) string {
	return hex.EncodeToString(r[:]) + "/" + hex.EncodeToString(ep.device[:]) + "/" + number(ep.id)
}

func epochKey(r chat.RoomID, ep *epoch) string { return stateEpoch + "/" + epochPath(r, ep) }

func skippedKey(r chat.RoomID, ep *epoch, block uint64) string {
	return stateSkipped + "/" + epochPath(r, ep) + "/" + number(block)
}

type prekeyState struct {
	Seed     []byte `cbor:"1,keyasint"`
	Created  int64  `cbor:"2,keyasint"` // times in seconds since 1970
	Replaced int64  `cbor:"3,keyasint,omitempty"`
}

type pairToState struct {
	ID      []byte `cbor:"1,keyasint"`
	Root    []byte `cbor:"2,keyasint"`
	Enc     []byte `cbor:"3,keyasint,omitempty"`
	Prekey  []byte `cbor:"4,keyasint"`
	Created int64  `cbor:"5,keyasint"`
}

type pairFromState struct {
	Root []byte `cbor:"1,keyasint"`
	Used int64  `cbor:"2,keyasint"`
}

type ownState struct {
	Start   []byte       `cbor:"1,keyasint"`
	Created int64        `cbor:"2,keyasint"`
	View    []byte       `cbor:"3,keyasint"`
	To      []ownToState `cbor:"4,keyasint"`
}

type ownToState struct {
	_      struct{} `cbor:",toarray"`
	Device []byte
	From   uint64
}

type epochState struct {
	Points   []pointState `cbor:"1,keyasint"`
	View     []byte       `cbor:"2,keyasint"`
	Last     uint64       `cbor:"3,keyasint"`
	Disputed bool         `cbor:"4,keyasint,omitempty"`
	Touched  int64        `cbor:"5,keyasint"`
	Key      []byte       `cbor:"6,keyasint,omitempty"` // absent if the chain is not held
	Start    uint64       `cbor:"7,keyasint"`
	N        uint64       `cbor:"8,keyasint"`
	Order    uint64       `cbor:"9,keyasint"` // among its device's epochs
	Lost     bool         `cbor:"10,keyasint,omitempty"`
	First    []byte       `cbor:"11,keyasint,omitempty"` // the point at Start, if it is kept
}

type pointState struct {
	_      struct{} `cbor:",toarray"`
	N      uint64
	Commit []byte
}

// keepState says that a room keeps the starts of its chains.
type keepState struct {
	Keep bool `cbor:"1,keyasint"`
}

// grantState is a grant that waits for its author's share.
type grantState struct {
	N     uint64 `cbor:"1,keyasint"`
	Key   []byte `cbor:"2,keyasint"`
	Since int64  `cbor:"3,keyasint"`
}

func (w *waitingGrant) encode() []byte {
	return wire.Marshal(grantState{N: w.n, Key: w.key[:], Since: w.since.Unix()})
}

// skippedState holds the keys of a block; where there is none, an empty string.
type skippedState struct {
	Keys [][]byte `cbor:"1,keyasint"`
}

func (p *ownPrekey) encode() []byte {
	s := prekeyState{Seed: p.seed, Created: p.created.Unix()}
	if !p.replaced.IsZero() {
		s.Replaced = p.replaced.Unix()
	}
	return wire.Marshal(s)
}

func (p *pairTo) encode() []byte {
	return wire.Marshal(pairToState{
		ID: p.id[:], Root: p.root[:], Enc: p.enc, Prekey: p.prekey.Bytes(), Created: p.created.Unix(),
	})
}

func (p *pairFrom) encode() []byte {
	return wire.Marshal(pairFromState{Root: p.root[:], Used: p.used.Unix()})
}

func (o *ownEpoch) encode() []byte {
	s := ownState{Start: o.start[:], Created: o.created.Unix(), View: o.view[:], To: []ownToState{}}
	for _, d := range sortedDevices(o.to) {
		s.To = append(s.To, ownToState{Device: d[:], From: o.to[d]})
	}
	return wire.Marshal(s)
}

func (ep *epoch) encode() []byte {
	s := epochState{
		Points: []pointState{}, View: ep.view[:], Last: ep.last, Disputed: ep.disputed, Touched: ep.touched.Unix(),
		Start: ep.start, N: ep.n, Order: ep.order, Lost: ep.lost,
	}
	for _, p := range ep.points {
		s.Points = append(s.Points, pointState{N: p.n, Commit: p.commit[:]})
	}
	if ep.held {
		s.Key = ep.ck[:]
	}
	if ep.first != (secret{}) {
		s.First = ep.first[:]
	}
	return wire.Marshal(s)
}

func encodeKeep() []byte { return wire.Marshal(keepState{Keep: true}) }

// blocks returns which blocks of skipped keys there are, ascending.
func (ep *epoch) blocks() []uint64 {
	seen := map[uint64]bool{}
	for n := range ep.skipped {
		seen[n/skipBlock] = true
	}
	return sortedKeys(seen)
}

func (ep *epoch) encodeBlock(b uint64) []byte {
	s := skippedState{Keys: make([][]byte, skipBlock)}
	found := false
	for i := range s.Keys {
		s.Keys[i] = []byte{}
		if mk, ok := ep.skipped[b*skipBlock+uint64(i)]; ok {
			s.Keys[i], found = mk[:], true
		}
	}
	if !found {
		return nil
	}
	return wire.Marshal(s)
}

// persistSkipped writes the blocks that the messages from first to last lie in.
func (e *Engine) persistSkipped(r *room, ep *epoch, first, last uint64) {
	for b := first / skipBlock; b <= last/skipBlock; b++ {
		e.persist(skippedKey(r.id, ep, b), ep.encodeBlock(b))
	}
}

// Snapshot returns everything that is persisted, for a backup or to compare with.
func (e *Engine) Snapshot() map[string][]byte {
	out := map[string][]byte{}
	for id, p := range e.prekeys {
		out[prekeyKey(id)] = p.encode()
	}
	for d, p := range e.to {
		out[pairToKey(d)] = p.encode()
	}
	for d, list := range e.from {
		for _, p := range list {
			out[pairFromKey(d, p.id)] = p.encode()
		}
	}
	for id, list := range e.grants.waiting {
		for i := range list {
			out[grantKey(id, list[i].from)] = list[i].encode()
		}
	}
	for id, r := range e.rooms {
		if r.keep {
			out[keepKey(id)] = encodeKeep()
		}
		for n, o := range r.own {
			out[ownKey(id, n)] = o.encode()
		}
		for _, list := range r.epochs {
			for _, ep := range list {
				out[epochKey(id, ep)] = ep.encode()
				for _, b := range ep.blocks() {
					out[skippedKey(id, ep, b)] = ep.encodeBlock(b)
				}
			}
		}
	}
	return out
}

// restore reads what was persisted. Epochs come before the keys they skipped,
// since their keys sort so.
func (e *Engine) restore(state map[string][]byte) error {
	for _, k := range slices.Sorted(maps.Keys(state)) {
		if err := e.restoreOne(strings.Split(k, "/"), state[k]); err != nil {
			return chat.Wrap(chat.CodeHomeBroken, fmt.Errorf("key state %q: %w", k, err),
				"A key that Earshot keeps is damaged.", "Messages that need it stay closed; restore a backup to read them.")
		}
	}
	for _, p := range e.prekeys {
		if p.replaced.IsZero() && (e.prekey == nil || p.created.After(e.prekey.created)) {
			e.prekey = p
		}
	}
	for _, list := range e.from {
		slices.SortFunc(list, func(a, b *pairFrom) int {
			return cmp.Or(a.used.Compare(b.used), bytes.Compare(a.id[:], b.id[:]))
		})
	}
	for _, r := range e.rooms {
		for _, list := range r.epochs {
			slices.SortFunc(list, func(a, b *epoch) int { return cmp.Compare(a.order, b.order) })
		}
	}
	return nil
}

func (e *Engine) restoreOne(path []string, value []byte) error {
	d := stateReader{path: path[1:]}
	switch path[0] {
	case statePrekey:
		var s prekeyState
		id := shortID(d.id(idSize))
		d.read(value, &s)
		if d.err != nil {
			return d.err
		}
		p, err := newOwnPrekey(e.cfg.Key, s.Seed, seconds(s.Created))
		if err != nil {
			return err
		}
		if s.Replaced != 0 {
			p.replaced = seconds(s.Replaced)
		}
		e.prekeys[id] = p
	case statePairTo:
		var s pairToState
		p := &pairTo{device: chat.DeviceID(d.id(32))}
		d.read(value, &s)
		p.id, p.root = shortID(d.fixed(s.ID, idSize)), secret(d.fixed(s.Root, secretSize))
		if s.Enc != nil {
			p.enc = d.fixed(s.Enc, encSize)
		}
		p.created = seconds(s.Created)
		var err error
		if p.prekey, err = ParsePrekey(s.Prekey); err != nil {
			d.fail("%w", err)
		}
		e.to[p.device] = p
	case statePairFr:
		var s pairFromState
		p := &pairFrom{device: chat.DeviceID(d.id(32)), id: shortID(d.id(idSize))}
		d.read(value, &s)
		p.root, p.used = secret(d.fixed(s.Root, secretSize)), seconds(s.Used)
		e.from[p.device] = append(e.from[p.device], p)
	case stateOwn:
		var s ownState
		r := e.room(chat.RoomID(d.id(32)))
		o := &ownEpoch{id: d.number(), to: map[chat.DeviceID]uint64{}}
		d.read(value, &s)
		o.start, o.view, o.created = secret(d.fixed(s.Start, secretSize)), [32]byte(d.fixed(s.View, 32)), seconds(s.Created)
		for _, t := range s.To {
			o.to[chat.DeviceID(d.fixed(t.Device, 32))] = d.below(t.From, MaxMessages)
		}
		r.own[o.id] = o
	case stateEpoch:
		var s epochState
		r := e.room(chat.RoomID(d.id(32)))
		ep := &epoch{device: chat.DeviceID(d.id(32)), id: d.number(), skipped: map[uint64]secret{}}
		d.read(value, &s)
		ep.view, ep.touched = [32]byte(d.fixed(s.View, 32)), seconds(s.Touched)
		ep.last, ep.order, ep.disputed, ep.lost = s.Last, s.Order, s.Disputed, s.Lost
		for _, p := range s.Points {
			ep.points = append(ep.points, point{n: p.N, commit: [32]byte(d.fixed(p.Commit, 32))})
		}
		if s.Key != nil {
			ep.held, ep.ck = true, secret(d.fixed(s.Key, secretSize))
		}
		if s.First != nil {
			if ep.first = secret(d.fixed(s.First, secretSize)); !ep.held {
				d.fail("the start of a chain that is not held")
			}
		}
		ep.start, ep.n = d.below(s.Start, MaxMessages+1), d.below(s.N, MaxMessages+1)
		r.epochs[ep.device] = append(r.epochs[ep.device], ep)
	case stateGrant:
		var s grantState
		id := epochID{room: chat.RoomID(d.id(32)), device: chat.DeviceID(d.id(32)), epoch: d.number()}
		w := waitingGrant{from: chat.DeviceID(d.id(32))}
		d.read(value, &s)
		w.n, w.key, w.since = d.below(s.N, MaxMessages), secret(d.fixed(s.Key, secretSize)), seconds(s.Since)
		if !e.grants.add(id, w) {
			d.fail("there are too many of them")
		}
	case stateKeep:
		var s keepState
		r := e.room(chat.RoomID(d.id(32)))
		d.read(value, &s)
		if r.keep = s.Keep; !s.Keep {
			d.fail("it says nothing")
		}
	case stateSkipped:
		var s skippedState
		r := e.room(chat.RoomID(d.id(32)))
		ep := r.epoch(chat.DeviceID(d.id(32)), d.number())
		block := d.below(d.number(), MaxMessages/skipBlock+1)
		d.read(value, &s)
		if ep == nil || len(s.Keys) != skipBlock {
			return errors.New("keys that belong nowhere")
		}
		for i, k := range s.Keys {
			n := block*skipBlock + uint64(i)
			// A crash may have come before the epoch was stored that skipped it:
			// then the chain still leads there, and no message has two keys.
			if len(k) > 0 && n >= ep.start && n < ep.n {
				ep.skipped[n] = secret(d.fixed(k, secretSize))
				e.skipped++
			}
		}
	default:
		return errors.New("nobody knows this name")
	}
	if len(d.path) != 0 {
		d.fail("its name is too long")
	}
	return d.err
}

// stateReader takes values apart and remembers the first thing that was wrong.
type stateReader struct {
	path []string
	err  error
}

func (d *stateReader) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf(format, args...)
	}
}

func (d *stateReader) next() string {
	if len(d.path) == 0 {
		d.fail("its name is too short")
		return ""
	}
	s := d.path[0]
	d.path = d.path[1:]
	return s
}

func (d *stateReader) id(size int) []byte {
	b, err := hex.DecodeString(d.next())
	if err != nil {
		d.fail("its name is not hexadecimal")
	}
	return d.fixed(b, size)
}

func (d *stateReader) number() uint64 {
	n, err := strconv.ParseUint(d.next(), 16, 64)
	if err != nil {
		d.fail("its name has no number")
	}
	return n
}

func (d *stateReader) read(b []byte, v any) {
	if err := wire.Unmarshal(b, v); err != nil {
		d.fail("%w", err)
	}
}

// fixed returns b if it has the size, else something of that size.
func (d *stateReader) fixed(b []byte, size int) []byte {
	if len(b) != size {
		d.fail("a field of %d bytes instead of %d", len(b), size)
		return make([]byte, size)
	}
	return b
}

func (d *stateReader) below(n, limit uint64) uint64 {
	if n >= limit {
		d.fail("a number %d out of range", n)
		return 0
	}
	return n
}

func seconds(n int64) time.Time { return time.Unix(n, 0).UTC() }

// Maps are gone through in the order of their keys: one input, one outcome.

func sortedKeys[V any](m map[uint64]V) []uint64 { return slices.Sorted(maps.Keys(m)) }

func sortedDevices[V any](m map[chat.DeviceID]V) []chat.DeviceID {
	return slices.SortedFunc(maps.Keys(m), func(a, b chat.DeviceID) int { return bytes.Compare(a[:], b[:]) })
}

func sortedRooms[V any](m map[chat.RoomID]V) []chat.RoomID {
	return slices.SortedFunc(maps.Keys(m), func(a, b chat.RoomID) int { return bytes.Compare(a[:], b[:]) })
}

func sortedIDs[V any](m map[shortID]V) []shortID {
	return slices.SortedFunc(maps.Keys(m), func(a, b shortID) int { return bytes.Compare(a[:], b[:]) })
}

func sortedEpochs[V any](m map[epochID]V) []epochID {
	return slices.SortedFunc(maps.Keys(m), func(a, b epochID) int {
		return cmp.Or(bytes.Compare(a.room[:], b.room[:]), bytes.Compare(a.device[:], b.device[:]), cmp.Compare(a.epoch, b.epoch))
	})
}
