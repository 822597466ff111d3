package seal

import (
	"bytes"
	"fmt"
	"slices"

	"earshot/chat"
	"earshot/chat/wire"
)

// sealed is the payload of an entry that is sealed (PROTOCOL.md#sealed-rooms).
type sealed struct {
	Suite uint8  `cbor:"1,keyasint"`
	N     uint64 `cbor:"2,keyasint"`
	Box   []byte `cbor:"3,keyasint"`
}

// decodeSealed reads a sealed payload; its caller has bounded the length.
func decodeSealed(b []byte) (sealed, error) {
	var s sealed
	if err := wire.Unmarshal(b, &s); err != nil {
		return sealed{}, err
	}
	switch size := len(s.Box) - nonceSize - tagSize; {
	case s.Suite != Suite:
		return sealed{}, invalid("encryption suite %d, this is %d", s.Suite, Suite)
	case s.N >= MaxMessages:
		return sealed{}, invalid("message %d of an epoch of %d", s.N, MaxMessages)
	case size < 1 || size > MaxPlaintext+1 || size != bucket(size-1):
		return sealed{}, invalid("a sealed text of %d bytes", len(s.Box))
	}
	return s, nil
}

// share is the payload of wire.KindKeyShare: a public commitment to a point of a
// chain, and that point wrapped to some of its recipients.
type share struct {
	N      uint64
	Commit [32]byte
	View   [32]byte
	Slots  []slot // ascending by To
}

// slot is a chain point for one device. Key says which pair root wraps it: 8
// bytes name one that the recipient has; else they name the recipient's prekey,
// and the encapsulation follows.
type slot struct {
	To  shortID
	Key []byte
	Box []byte
}

type rawShare struct {
	Suite  uint8     `cbor:"1,keyasint"`
	N      uint64    `cbor:"2,keyasint"`
	Commit []byte    `cbor:"3,keyasint"`
	View   []byte    `cbor:"4,keyasint"`
	Slots  []rawSlot `cbor:"5,keyasint"`
}

type rawSlot struct {
	_   struct{} `cbor:",toarray"`
	To  []byte
	Key []byte
	Box []byte
}

const (
	boxSize    = secretSize + tagSize
	freshSize  = idSize + encSize
	maxHeading = 128 // of a share without its slots, in bytes: 90 are used
)

// size returns how many bytes a slot takes at the most.
func (s slot) size() int { return 1 + 3 + len(s.To) + 3 + len(s.Key) + 3 + len(s.Box) }

// encodeShare writes a share in as many payloads as its slots need, at least one:
// an epoch without recipients is announced too.
func encodeShare(room chat.RoomID, s share) [][]byte {
	view := veil(room, s.Commit, s.View)
	slices.SortFunc(s.Slots, func(a, b slot) int { return bytes.Compare(a.To[:], b.To[:]) })
	var out [][]byte
	for rest := s.Slots; ; {
		raw := rawShare{Suite: Suite, N: s.N, Commit: s.Commit[:], View: view[:], Slots: []rawSlot{}}
		size := maxHeading
		for len(rest) > 0 && size+rest[0].size() <= chat.MaxPayload {
			size += rest[0].size()
			raw.Slots = append(raw.Slots, rawSlot{To: rest[0].To[:], Key: rest[0].Key, Box: rest[0].Box})
			rest = rest[1:]
		}
		out = append(out, wire.Marshal(raw))
		if len(rest) == 0 {
			return out
		}
	}
}

// decodeShare reads the payload of a key share; its caller has bounded the length.
func decodeShare(room chat.RoomID, b []byte) (share, error) {
	var raw rawShare
	if err := wire.Unmarshal(b, &raw); err != nil {
		return share{}, err
	}
	switch {
	case raw.Suite != Suite:
		return share{}, invalid("encryption suite %d, this is %d", raw.Suite, Suite)
	case raw.N >= MaxMessages:
		return share{}, invalid("point %d of an epoch of %d", raw.N, MaxMessages)
	case len(raw.Commit) != 32 || len(raw.View) != 32:
		return share{}, invalid("a commitment or view that has not 32 bytes")
	case raw.Slots == nil:
		return share{}, invalid("a key share without a list of slots")
	}
	commit := [32]byte(raw.Commit)
	s := share{N: raw.N, Commit: commit, View: veil(room, commit, [32]byte(raw.View)), Slots: make([]slot, 0, len(raw.Slots))}
	for i, r := range raw.Slots {
		if len(r.To) != idSize || (len(r.Key) != idSize && len(r.Key) != freshSize) || len(r.Box) != boxSize {
			return share{}, invalid("a slot with lengths %d, %d, %d", len(r.To), len(r.Key), len(r.Box))
		}
		// One slot a recipient: it costs the recipient at most one decapsulation.
		if i > 0 && bytes.Compare(raw.Slots[i-1].To, r.To) >= 0 {
			return share{}, invalid("slots that do not ascend")
		}
		s.Slots = append(s.Slots, slot{To: shortID(r.To), Key: r.Key, Box: r.Box})
	}
	return s, nil
}

// slotFor returns the slot of one device.
func (s *share) slotFor(room chat.RoomID, to chat.DeviceID) (slot, bool) {
	want := slotTo(room, s.Commit, to)
	for _, sl := range s.Slots {
		if sl.To == want {
			return sl, true
		}
	}
	return slot{}, false
}

// request is the payload of wire.KindKeyRequest: wrap me the epoch of this
// entry's header, with this key of mine.
type request struct {
	Suite  uint8  `cbor:"1,keyasint"`
	Prekey []byte `cbor:"2,keyasint"`
}

func decodeRequest(b []byte) (Prekey, error) {
	var r request
	if err := wire.Unmarshal(b, &r); err != nil {
		return Prekey{}, err
	}
	if r.Suite != Suite {
		return Prekey{}, invalid("encryption suite %d, this is %d", r.Suite, Suite)
	}
	return ParsePrekey(r.Prekey)
}

// invalid makes the error for bytes that break PROTOCOL.md.
func invalid(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return chat.Wrap(chat.CodeInvalid, err, "A device sent something that breaks the protocol: "+err.Error()+".",
		"Nothing is lost; if it goes on, update Earshot on that device.")
}
