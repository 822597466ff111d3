package wire

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"

	"earshot/chat"
)

// TypeNext is a frame of the live stream (PROTOCOL.md#earshotlive1).
const TypeNext FrameType = 38

// Next is an entry by the device at the other end, the next in its log after the one
// that came last on the stream: all of it that does not follow from that one. What was
// signed is made of the two, so nothing is taken on trust.
type Next struct {
	// Cover is as in Direct, nil if it is as in the frame before.
	Cover []byte `cbor:"1,keyasint,omitempty"`
	// Later is by how much its clock is ahead of the one before, in microseconds.
	Later uint64 `cbor:"2,keyasint"`
	// Kind is 0 and Epoch nil if they are as before. An Epoch of 0 is none.
	Kind    uint8    `cbor:"3,keyasint,omitempty"`
	Epoch   *uint64  `cbor:"4,keyasint,omitempty"`
	Deps    []rawDep `cbor:"5,keyasint,omitempty"`
	Sig     []byte   `cbor:"6,keyasint"`
	Payload []byte   `cbor:"7,keyasint"`
}

func (Next) frameType() FrameType { return TypeNext }

// NextAfter returns what to send of an entry to who holds the entry before, of which
// the header and the id are needed. It reports false where the entry does not follow
// from that one in this way; then all of it must be sent. Cover is the caller's.
func NextAfter(before, e *Entry) (Next, bool) {
	if e.Device != before.Device || e.Log != before.Log || e.Ref != before.Ref || e.Seq != before.Seq+1 || e.Prev != before.ID ||
		e.HLC <= before.HLC || len(e.Payload) == 0 || !bytes.Equal(e.encode(), e.Head) {
		return Next{}, false
	}
	n := Next{Later: uint64(e.HLC - before.HLC), Deps: rawDeps(e.Deps), Sig: e.Sig[:], Payload: e.Payload}
	if e.Kind != before.Kind {
		n.Kind = uint8(e.Kind)
	}
	if e.Epoch != before.Epoch {
		n.Epoch = &e.Epoch
	}
	return n, true
}

// Entry returns the entry, checked as DecodeEntry does, given the one before. Verify
// says whether it is the one that its author signed.
func (n *Next) Entry(before *Entry) (Entry, error) {
	if n.Later > uint64(chat.MaxHLC) {
		return Entry{}, invalid("a clock out of range")
	}
	h := Header{
		Device: before.Device, Log: before.Log, Ref: before.Ref, Seq: before.Seq + 1, Prev: before.ID,
		HLC: before.HLC + chat.HLC(n.Later), Kind: before.Kind, Epoch: before.Epoch,
		PayloadHash: sha256.Sum256(n.Payload), PayloadSize: uint32(len(n.Payload)),
	}
	if n.Kind != 0 {
		h.Kind = Kind(n.Kind)
	}
	if n.Epoch != nil {
		h.Epoch = *n.Epoch
	}
	if n.Later == 0 {
		return Entry{}, invalid("an entry no newer than the one before it")
	}
	e := Entry{Payload: n.Payload}
	err := first(h.takeDeps(n.Deps), check(&h), fixed(e.Sig[:], n.Sig, "signature"))
	if err != nil {
		return Entry{}, err
	}
	e.Header, e.Head = h, h.encode()
	e.ID = entryID(e.Head)
	return e, nil
}

func decodeNext(body []byte) (Frame, error) {
	f, err := decodeAs[Next](body)
	if err == nil && f.Cover != nil {
		err = exactly(f.Cover, CoverSize, "cover")
	}
	if err == nil {
		err = first(exactly(f.Sig, ed25519.SignatureSize, "signature"), between(f.Payload, 1, chat.MaxPayload, "payload"))
	}
	return f, err
}
