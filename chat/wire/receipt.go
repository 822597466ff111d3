package wire

import "earshot/chat"

// The frames of this file tell how far devices hold and have read a sealed room
// (PROTOCOL.md#receipts). On a peer stream, between devices that share the room. What
// statements say is read by chat/receipt.
const (
	TypeReceipt     FrameType = 25
	TypeReceiptHave FrameType = 26
	TypeReceiptWant FrameType = 27
)

// Lengths of their fields, in bytes.
const (
	// ReceiptSum is the length of a sum of statements: nothing is gained by making
	// two that are equal but missing each other's statements.
	ReceiptSum = 16
	// ReceiptPrefix is how much of a log's or a device's id stands for it: another
	// of the same beginning takes 2^64 tries.
	ReceiptPrefix = 8
	// MaxMarkBytes bounds the marks of one statement: each is ReceiptPrefix bytes
	// and a number of up to 9.
	MaxMarkBytes = chat.MaxReceiptMarks * (ReceiptPrefix + 9)
)

// Statement is how far one device says that it holds or has read what was said.
type Statement struct {
	_       struct{} `cbor:",toarray"`
	Device  []byte   // chat.DeviceID; empty for the one that sends the frame
	Kind    uint8
	Version uint64 // microseconds since the Unix epoch, by the device's clock, and rising
	Marks   []byte
	Sig     []byte
}

// Receipt passes on statements about a room.
type Receipt struct {
	Tag        []byte      `cbor:"1,keyasint"` // chat.RoomTag of the day
	Statements []Statement `cbor:"2,keyasint"`
	// Cover is the exclusive or of the first CoverSize bytes of the ids of all
	// devices that are given the statements, and of their author's, where that is
	// the sender; absent where they are passed on.
	Cover []byte `cbor:"3,keyasint,omitempty"`
}

// ReceiptRoot sums up the statements about a room that both sides may hold.
type ReceiptRoot struct {
	_   struct{} `cbor:",toarray"`
	Tag []byte   // chat.RoomTag of the day
	Sum []byte
}

// ReceiptHave lets a neighbour see whether it holds the same statements.
type ReceiptHave struct {
	Rooms []ReceiptRoot `cbor:"1,keyasint"`
}

// ReceiptLine names a statement.
type ReceiptLine struct {
	_       struct{} `cbor:",toarray"`
	Device  []byte   // the first ReceiptPrefix bytes of its id
	Kind    uint8
	Version uint64
}

// ReceiptWant asks for every statement about a room that is newer than the sender's.
type ReceiptWant struct {
	Tag   []byte        `cbor:"1,keyasint"`
	Lines []ReceiptLine `cbor:"2,keyasint"` // what it holds, ascending by device and kind
}

func (Receipt) frameType() FrameType     { return TypeReceipt }
func (ReceiptHave) frameType() FrameType { return TypeReceiptHave }
func (ReceiptWant) frameType() FrameType { return TypeReceiptWant }

// decodeReceipt reads the frames of this file.
func decodeReceipt(t FrameType, body []byte) (Frame, error) {
	switch t {
	case TypeReceipt:
		f, err := decodeAs[Receipt](body)
		if err == nil && f.Cover != nil {
			err = exactly(f.Cover, CoverSize, "cover")
		}
		return f, first(err, checkTag(f.Tag), checkStatements(f.Statements))
	case TypeReceiptHave:
		f, err := decodeAs[ReceiptHave](body)
		if err == nil && (len(f.Rooms) == 0 || len(f.Rooms) > chat.MaxRooms) {
			err = invalid("the statements of %d rooms, not between 1 and %d", len(f.Rooms), chat.MaxRooms)
		}
		for i := 0; err == nil && i < len(f.Rooms); i++ {
			err = first(checkTag(f.Rooms[i].Tag), exactly(f.Rooms[i].Sum, ReceiptSum, "sum of statements"))
		}
		return f, err
	case TypeReceiptWant:
		f, err := decodeAs[ReceiptWant](body)
		return f, first(err, checkTag(f.Tag), checkLines(f.Lines))
	}
	return Unknown{Type: t}, nil
}

func checkTag(tag []byte) error { return exactly(tag, len(chat.RoomTag{}), "room tag") }

func checkStatements(list []Statement) error {
	if len(list) == 0 || len(list) > chat.MaxReceipts {
		return invalid("%d statements, not between 1 and %d", len(list), chat.MaxReceipts)
	}
	for i := range list {
		s := &list[i]
		if s.Device == nil || len(s.Device) != 0 && len(s.Device) != len(chat.DeviceID{}) {
			return invalid("a device of %d bytes", len(s.Device))
		}
		if s.Kind == 0 || s.Version == 0 || s.Version > MaxSeq {
			return invalid("a statement of kind %d and version %d", s.Kind, s.Version)
		}
		if len(s.Marks) > MaxMarkBytes {
			return invalid("marks of %d bytes, over %d", len(s.Marks), MaxMarkBytes)
		}
		if err := exactly(s.Sig, 64, "signature"); err != nil {
			return err
		}
	}
	return nil
}

func checkLines(lines []ReceiptLine) error {
	if len(lines) > chat.MaxReceipts {
		return invalid("%d lines, over %d", len(lines), chat.MaxReceipts)
	}
	for i := range lines {
		l := &lines[i]
		if len(l.Device) != ReceiptPrefix || l.Kind == 0 || l.Version == 0 || l.Version > MaxSeq {
			return invalid("a malformed line of statements")
		}
		if i == 0 {
			continue
		}
		if p := &lines[i-1]; string(p.Device) > string(l.Device) || string(p.Device) == string(l.Device) && p.Kind >= l.Kind {
			return invalid("lines of statements that do not ascend")
		}
	}
	return nil
}
