package wire

import "earshot/chat"

// TypeOwnStatus is a frame between the devices of one person
// (PROTOCOL.md#earshotown1).
const TypeOwnStatus FrameType = 53

// maxAvailability bounds the word for one, in bytes: one from a newer version may be
// longer than today's.
const maxAvailability = 32

// OwnStatus is what a person has chosen to show, at whichever of their devices. The
// choice with the latest At counts on all of them.
type OwnStatus struct {
	At        uint64 `cbor:"1,keyasint"`           // chat.HLC of the choice; not 0
	State     string `cbor:"2,keyasint"`           // a chat.Availability
	Since     uint64 `cbor:"3,keyasint,omitempty"` // microseconds since 1970 when State was chosen; 0 if nobody said
	Until     uint64 `cbor:"4,keyasint,omitempty"` // likewise, when it ends; 0 for never
	Text      string `cbor:"5,keyasint,omitempty"`
	TextUntil uint64 `cbor:"6,keyasint,omitempty"` // when Text ends; 0 for never
}

func (OwnStatus) frameType() FrameType { return TypeOwnStatus }

func decodeOwnStatus(body []byte) (Frame, error) {
	f, err := decodeAs[OwnStatus](body)
	if err == nil && (f.At == 0 || f.At > uint64(chat.MaxHLC)) {
		err = invalid("a status of the time %d", f.At)
	}
	for _, t := range []uint64{f.Since, f.Until, f.TextUntil} {
		if err == nil && t > uint64(chat.MaxHLC) {
			err = invalid("a status with the time %d", t)
		}
	}
	return f, first(err, checkString(f.State, maxAvailability, "state"), checkString(f.Text, chat.MaxStatusText, "status text"))
}
