package catchup

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"

	"earshot/chat"
	"earshot/chat/wire"
)

// Base is what two nodes held of a room together when they last compared it. The
// next time each says only where it differs from that.
type Base struct {
	ID       [wire.BaseSize]byte
	Frontier []wire.LogHead // in ascending order of log
}

const (
	domainBase = "earshot/v1 frontier-base\x00"
	// minBase is from how many logs on a base is worth remembering: what it saves is
	// 36 bytes for each.
	minBase = 4
	// maxBaseLines bounds the lines of all bases: about 6 MiB.
	maxBaseLines = 1 << 17
	// maxBases bounds how many are remembered, shared ones too: anybody can come back
	// as another device and compare the same (guess: the rooms of 512 neighbours).
	maxBases = 8192
)

// union returns the base that two frontiers make, nil if it is too small to be of use.
func union(a []wire.LogHead, theirs map[chat.LogID]uint64, lasts map[chat.LogID][]byte, order []chat.LogID) *Base {
	out := make([]wire.LogHead, 0, len(a)+len(order))
	for len(a) > 0 || len(order) > 0 {
		c := 0
		var their wire.LogHead
		if len(order) > 0 {
			their = wire.LogHead{Log: order[0][:], Seq: theirs[order[0]], Last: lasts[order[0]]}
		}
		switch {
		case len(a) == 0:
			c = 1
		case len(order) == 0:
			c = -1
		default:
			c = bytes.Compare(a[0].Log, order[0][:])
		}
		switch {
		case c < 0:
			out, a = append(out, a[0]), a[1:]
		case c > 0:
			out, order = append(out, their), order[1:]
		default:
			if a[0].Seq > their.Seq || a[0].Seq == their.Seq && bytes.Compare(a[0].Last, their.Last) > 0 {
				their = a[0]
			}
			out = append(out, their)
			a, order = a[1:], order[1:]
		}
	}
	if len(out) < minBase {
		return nil
	}
	h := sha256.New()
	h.Write([]byte(domainBase))
	var seq [8]byte
	for _, l := range out {
		h.Write(l.Log)
		binary.BigEndian.PutUint64(seq[:], l.Seq)
		h.Write(seq[:])
		h.Write(l.Last)
	}
	return &Base{ID: [wire.BaseSize]byte(h.Sum(nil)[:wire.BaseSize]), Frontier: out}
}

// delta returns the lines by which a frontier differs from a base; false if that can't
// be said in lines, since a log of the base is not in it.
func (b *Base) delta(frontier []wire.LogHead) (lines []wire.LogHead, ok bool) {
	base := b.Frontier
	for _, l := range frontier {
		switch {
		case len(base) > 0 && bytes.Equal(base[0].Log, l.Log):
			if base[0].Seq != l.Seq || !bytes.Equal(base[0].Last, l.Last) {
				lines = append(lines, l)
			}
			base = base[1:]
		case len(base) > 0 && bytes.Compare(base[0].Log, l.Log) < 0:
			return nil, false
		default:
			lines = append(lines, l)
		}
	}
	return lines, len(base) == 0
}

// Bases remembers, in memory, what was last compared with whom. Neighbours with whom
// the same was compared share it. It is not safe for concurrent use.
type Bases struct {
	of    map[baseKey]*baseUse
	lines int
	uses  uint64
}

type baseKey struct {
	device chat.DeviceID
	room   chat.RoomID
}

type baseUse struct {
	base *Base
	at   uint64
}

// NewBases remembers nothing.
func NewBases() *Bases { return &Bases{of: map[baseKey]*baseUse{}} }

// Get returns what was last compared with a device of a room, nil if that is not known.
func (b *Bases) Get(d chat.DeviceID, room chat.RoomID) *Base {
	u := b.of[baseKey{d, room}]
	if u == nil {
		return nil
	}
	b.uses++
	u.at = b.uses
	return u.base
}

// Put remembers what was compared with a device of a room, in place of what was
// compared before. What was used least lately goes if it is too much.
func (b *Bases) Put(d chat.DeviceID, room chat.RoomID, base *Base) {
	key := baseKey{d, room}
	b.remove(key)
	if base == nil || len(base.Frontier) > maxBaseLines/4 {
		return
	}
	if len(b.of) == maxBases {
		b.remove(b.oldest())
	}
	shared := false
	for k, u := range b.of {
		if k.room == room && u.base.ID == base.ID {
			base, shared = u.base, true
			break
		}
	}
	for !shared && b.lines+len(base.Frontier) > maxBaseLines {
		b.remove(b.oldest())
	}
	if !shared {
		b.lines += len(base.Frontier)
	}
	b.uses++
	b.of[key] = &baseUse{base, b.uses}
}

func (b *Bases) oldest() (key baseKey) {
	first := ^uint64(0)
	for k, u := range b.of {
		if u.at < first {
			key, first = k, u.at
		}
	}
	return key
}

func (b *Bases) remove(key baseKey) {
	u := b.of[key]
	if u == nil {
		return
	}
	delete(b.of, key)
	for k, other := range b.of {
		if k.room == key.room && other.base == u.base {
			return
		}
	}
	b.lines -= len(u.base.Frontier)
}
