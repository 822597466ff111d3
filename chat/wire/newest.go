package wire

import "earshot/chat"

// The frames of this file bring, in a sync session, the end of a long history
// before its beginning (PROTOCOL.md#newest-first).
const (
	TypeWantNewest FrameType = 28
	TypeNewest     FrameType = 29
	TypeEnough     FrameType = 39
)

// MaxNewest bounds the messages that are asked for at one time: several screens.
const MaxNewest = 128

// WantNewest asks for the newest messages of a room that its sender lacks by the
// frontier it has told, before all that comes in order.
type WantNewest struct {
	Tag   []byte `cbor:"1,keyasint"`
	Limit uint64 `cbor:"2,keyasint"` // messages, 1 to MaxNewest
}

// Newest answers WantNewest. Its entries are the messages and what is needed to
// check and open them: of a log that the asker does not hold its first entry, of a
// sealed message the key shares of its epoch. They do not count as sent: each comes
// in its place all the same.
type Newest struct {
	Tag     []byte     `cbor:"1,keyasint"`
	Entries []RawEntry `cbor:"2,keyasint"` // at most chat.MaxBatch
}

// Enough says that its sender wants no more of a room in this session: another one
// brings it. It may come behind its sender's Done.
type Enough struct {
	Tag []byte `cbor:"1,keyasint"`
}

func (Enough) frameType() FrameType     { return TypeEnough }
func (WantNewest) frameType() FrameType { return TypeWantNewest }
func (Newest) frameType() FrameType     { return TypeNewest }

// decodeNewest reads the frames of this file.
func decodeNewest(t FrameType, body []byte) (Frame, error) {
	if t == TypeWantNewest {
		f, err := decodeAs[WantNewest](body)
		if err == nil && (f.Limit == 0 || f.Limit > MaxNewest) {
			err = invalid("a wish for %d messages, not between 1 and %d", f.Limit, MaxNewest)
		}
		return f, first(err, exactly(f.Tag, len(chat.RoomTag{}), "room tag"))
	}
	if t == TypeEnough {
		f, err := decodeAs[Enough](body)
		return f, first(err, exactly(f.Tag, len(chat.RoomTag{}), "room tag"))
	}
	f, err := decodeAs[Newest](body)
	if err == nil && len(f.Entries) > chat.MaxBatch {
		err = invalid("%d entries in a frame, over %d", len(f.Entries), chat.MaxBatch)
	}
	return f, first(err, exactly(f.Tag, len(chat.RoomTag{}), "room tag"))
}
