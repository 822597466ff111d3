package wire

import (
	"bytes"

	"earshot/chat"
)

// The frames of this file say that something is wrong with a device
// (PROTOCOL.md#devices-in-trouble). On a peer stream.
const (
	TypeFull     FrameType = 36
	TypeEvidence FrameType = 37
)

// Full says whether its sender's disk is full, so that it can store nothing. Told to
// devices that share a sealed room with it, which wait for it to store something.
type Full struct {
	Full bool `cbor:"1,keyasint"`
}

// SignedHeader is the signed part of an entry.
type SignedHeader struct {
	_    struct{} `cbor:",toarray"`
	Head []byte
	Sig  []byte
}

// Evidence shows that a device has gone on with one log in two ways: its key is in two
// places. Told to devices that are in the room.
type Evidence struct {
	Tag []byte       `cbor:"1,keyasint"` // chat.RoomTag of the day
	One SignedHeader `cbor:"2,keyasint"`
	// Two has the number of One, or the next one and names a predecessor that is not
	// One.
	Two SignedHeader `cbor:"3,keyasint"`
}

func (Full) frameType() FrameType     { return TypeFull }
func (Evidence) frameType() FrameType { return TypeEvidence }

// decodeTrouble reads the frames of this file.
func decodeTrouble(t FrameType, body []byte) (Frame, error) {
	switch t {
	case TypeFull:
		return decodeAs[Full](body)
	case TypeEvidence:
		f, err := decodeAs[Evidence](body)
		if err == nil {
			err = checkTag(f.Tag)
		}
		if err == nil {
			_, _, err = f.headers()
		}
		return f, err
	}
	return Unknown{Type: t}, nil
}

// NewEvidence shows that one and two contradict each other, as Contradict says.
func NewEvidence(tag chat.RoomTag, one, two *Entry) Evidence {
	return Evidence{Tag: tag[:], One: SignedHeader{Head: one.Head, Sig: one.Sig[:]}, Two: SignedHeader{Head: two.Head, Sig: two.Sig[:]}}
}

// Headers returns the two headers, without payloads. They contradict each other, and
// both signatures are their device's.
func (f *Evidence) Headers() (one, two Entry, err error) {
	if one, two, err = f.headers(); err == nil {
		err = one.Verify()
	}
	if err == nil {
		err = two.Verify()
	}
	return one, two, err
}

func (f *Evidence) headers() (one, two Entry, err error) {
	if one, err = DecodeEntry(f.One.Head, f.One.Sig, nil); err != nil {
		return one, two, err
	}
	if two, err = DecodeEntry(f.Two.Head, f.Two.Sig, nil); err != nil {
		return one, two, err
	}
	if !Contradict(&one, &two) {
		err = invalid("evidence of nothing")
	}
	return one, two, err
}

// Contradict reports whether no device that has kept its log can have signed both: two
// entries with one number, or an entry whose predecessor is another than the one.
func Contradict(one, two *Entry) bool {
	if one.Device != two.Device || one.Log != two.Log || bytes.Equal(one.Head, two.Head) {
		return false
	}
	return one.Seq == two.Seq || one.Seq+1 == two.Seq && two.Prev != one.ID
}
