package presence

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"earshot/chat/wire"
)

// beat is a proof that a device was alive in a slot: the pre-image of that of the slot
// before. Its device alone knows the next one.
type beat [wire.BeatSize]byte

// link goes into every step of a chain, so that nobody can continue another's.
type link [wire.BeatSize]byte

// ID names a chain, and with it the record that begins it.
type ID [wire.PresenceIDSize]byte

// name stands for a chain beside its beats.
type name [wire.BeatName]byte

func (id ID) name() name { return name(id[:wire.BeatName]) }

const (
	domainBeat   = "earshot/v1 presence-beat\x00"
	domainChain  = "earshot/v1 presence-chain\x00"
	domainLink   = "earshot/v1 presence-link\x00"
	domainRecord = "earshot/v1 presence-record\x00"
	domainPart   = "earshot/v1 presence-part\x00"
	domainSealed = "earshot/v1 presence-sealed\x00"
)

func slotOf(t time.Time) int64 { return t.Unix() / int64(slotLength/time.Second) }

func startOf(slot int64) time.Time { return time.Unix(slot*int64(slotLength/time.Second), 0) }

// before returns the beat of the slot before the one of b.
func before(l link, slot int64, b beat) beat {
	var in [len(domainBeat) + len(l) + 8 + len(b)]byte
	n := copy(in[:], domainBeat)
	n += copy(in[n:], l[:])
	binary.BigEndian.PutUint64(in[n:], uint64(slot))
	copy(in[n+8:], b[:])
	sum := sha256.Sum256(in[:])
	return beat(sum[:len(b)])
}

// leads reports whether a beat of one slot leads back to that of an earlier one, in as
// many hashes as slots lie between them.
func leads(l link, from int64, b beat, to int64, known beat) bool {
	for s := from; s > to; s-- {
		b = before(l, s, b)
	}
	return b == known
}

// newChain returns the beats of the slots from first on, made of the last.
func newChain(l link, first int64, last beat) []beat {
	beats := make([]beat, chainSlots+1)
	beats[chainSlots] = last
	for i := chainSlots; i > 0; i-- {
		beats[i-1] = before(l, first+int64(i), beats[i])
	}
	return beats
}

// nameOf returns the name of the chain that a record begins, which stands for all that
// is in it.
func nameOf(r *wire.PresenceRecord) ID {
	sealed := byte(0)
	if r.Sealed {
		sealed = 1
	}
	h := sha256.New()
	h.Write([]byte(domainChain))
	h.Write([]byte{sealed})
	h.Write(r.Link)
	h.Write(r.Anchor)
	h.Write(binary.BigEndian.AppendUint64(nil, r.First))
	h.Write(r.Body)
	return ID(h.Sum(nil)[:len(ID{})])
}
