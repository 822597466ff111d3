package wire

import "earshot/chat"

// The frames of this file go between people who know each other, or want to, and
// between the devices of one person (PROTOCOL.md#earshotpeer1). What their
// messages say is read by the engines: chat/contacts, chat/identity, chat/seal
// and chat/private.
const (
	TypeKeyAck     FrameType = 5
	TypeContact    FrameType = 6
	TypeContactAck FrameType = 7
	TypeOpsHave    FrameType = 8
	TypeOpsWant    FrameType = 9
	TypeOps        FrameType = 10
	TypeDevices    FrameType = 11
	TypeVerify     FrameType = 12
	TypePairing    FrameType = 13
	TypeWelcome    FrameType = 14
	TypeHistory    FrameType = 15

	TypeHistoryWant FrameType = 20
	TypeKnock       FrameType = 21
)

// Limits of these frames. What they carry has the same in its own package.
const (
	// MaxPrekey bounds a prekey, in bytes; today's take 1,336.
	MaxPrekey = 1400
	// MaxContact bounds a contact message, in bytes; the largest takes under 1,150.
	MaxContact = 1200
	// MaxOperation bounds a signed membership operation, in bytes: a certificate,
	// 16 parents, and a name and a topic at their longest take under 1,400.
	MaxOperation = 2048
	// MaxOperations bounds the operations of one frame and of one entry. Fewer of
	// the largest fit: a frame is chat.MaxFrame at the most.
	MaxOperations = 64
	// OpPrefix is how much of an operation's id names it in OpsWant, in bytes:
	// another of the same beginning takes 2^64 tries, and would come later.
	OpPrefix = 8
	// MaxDeviceList bounds a device list, in bytes.
	MaxDeviceList = 32 << 10
	// MaxVerify bounds a message of a comparison of symbols, in bytes; the
	// largest takes 71.
	MaxVerify = 128
	// MaxPairing bounds a message of a pairing, in bytes; the largest takes under
	// 400.
	MaxPairing = 512
	// MaxGrants bounds the keys in one History frame: 82 bytes each at the most.
	MaxGrants = 512
)

// KeyAck says that its sender holds a pair root (PROTOCOL.md#keys-of-a-device-of-a-pair).
type KeyAck struct {
	Root []byte `cbor:"1,keyasint"` // its id, 8 bytes
}

// Contact carries a contact message (PROTOCOL.md#contacts).
type Contact struct {
	Message []byte `cbor:"1,keyasint"`
}

// ContactAck says that a contact message has come and need not be repeated.
type ContactAck struct {
	ID []byte `cbor:"1,keyasint"` // of the message, 32 bytes
}

// OpsHave says which membership operations of a room its sender holds. It names the
// room: only members and those invited are told.
type OpsHave struct {
	Room []byte `cbor:"1,keyasint"`
	Root []byte `cbor:"2,keyasint"` // 32 bytes, over the ids
}

// OpsWant asks for the operations of a room that its sender lacks.
type OpsWant struct {
	Room []byte `cbor:"1,keyasint"`
	Have []byte `cbor:"2,keyasint"` // OpPrefix bytes of the id of each that is held
}

// Ops carries signed membership operations of a room, parents first.
type Ops struct {
	Room []byte   `cbor:"1,keyasint"`
	Ops  [][]byte `cbor:"2,keyasint"`
	More bool     `cbor:"3,keyasint,omitempty"` // another frame follows
}

// Devices carries a person's device list (PROTOCOL.md#device-lists).
type Devices struct {
	List []byte `cbor:"1,keyasint"`
}

// Verify carries a message of a comparison (PROTOCOL.md#comparing-symbols).
type Verify struct {
	Message []byte `cbor:"1,keyasint"`
}

// Pairing carries a message between a new device and one that shows a code
// (PROTOCOL.md#pairing).
type Pairing struct {
	Message []byte `cbor:"1,keyasint"`
}

// Welcome makes a new device one of the sender's person, once both sides have
// confirmed the pairing.
type Welcome struct {
	Certificate []byte `cbor:"1,keyasint"`
	List        []byte `cbor:"2,keyasint"` // the device list that names it
	Name        string `cbor:"3,keyasint"` // as the person calls themselves
}

// HistoryGrant is a key of a past epoch: who holds it opens the messages from N on.
type HistoryGrant struct {
	_      struct{} `cbor:",toarray"`
	Device []byte   // the author
	Epoch  uint64
	N      uint64
	Key    []byte // 32 bytes
}

// History hands keys of a room's past to a newcomer. Each is checked against what its
// author has committed to.
type History struct {
	Room   []byte         `cbor:"1,keyasint"`
	Grants []HistoryGrant `cbor:"2,keyasint"`
	More   bool           `cbor:"3,keyasint,omitempty"` // another frame follows
}

// Knock stands in the place of the Hello that opens a peer stream: its sender does not
// say who it is yet, and takes its time.
type Knock struct{}

// HistoryWant asks for the keys of a room's past.
type HistoryWant struct {
	Room []byte `cbor:"1,keyasint"`
}

func (KeyAck) frameType() FrameType      { return TypeKeyAck }
func (Contact) frameType() FrameType     { return TypeContact }
func (ContactAck) frameType() FrameType  { return TypeContactAck }
func (OpsHave) frameType() FrameType     { return TypeOpsHave }
func (OpsWant) frameType() FrameType     { return TypeOpsWant }
func (Ops) frameType() FrameType         { return TypeOps }
func (Devices) frameType() FrameType     { return TypeDevices }
func (Verify) frameType() FrameType      { return TypeVerify }
func (Pairing) frameType() FrameType     { return TypePairing }
func (Welcome) frameType() FrameType     { return TypeWelcome }
func (History) frameType() FrameType     { return TypeHistory }
func (HistoryWant) frameType() FrameType { return TypeHistoryWant }
func (Knock) frameType() FrameType       { return TypeKnock }

// decodePeople reads the frames of this file; any other type is Unknown.
func decodePeople(t FrameType, body []byte) (Frame, error) {
	switch t {
	case TypeKeyAck:
		f, err := decodeAs[KeyAck](body)
		return f, first(err, exactly(f.Root, 8, "key id"))
	case TypeContact:
		f, err := decodeAs[Contact](body)
		return f, first(err, between(f.Message, 1, MaxContact, "contact message"))
	case TypeContactAck:
		f, err := decodeAs[ContactAck](body)
		return f, first(err, exactly(f.ID, 32, "message id"))
	case TypeOpsHave:
		f, err := decodeAs[OpsHave](body)
		return f, first(err, checkRoom(f.Room), exactly(f.Root, 32, "root"))
	case TypeOpsWant:
		f, err := decodeAs[OpsWant](body)
		return f, first(err, checkRoom(f.Room), checkPrefixes(f.Have))
	case TypeOps:
		f, err := decodeAs[Ops](body)
		return f, first(err, checkRoom(f.Room), checkOperations(f.Ops))
	case TypeDevices:
		f, err := decodeAs[Devices](body)
		return f, first(err, between(f.List, 1, MaxDeviceList, "device list"))
	case TypeVerify:
		f, err := decodeAs[Verify](body)
		return f, first(err, between(f.Message, 1, MaxVerify, "message of a comparison"))
	case TypePairing:
		f, err := decodeAs[Pairing](body)
		return f, first(err, between(f.Message, 1, MaxPairing, "message of a pairing"))
	case TypeWelcome:
		f, err := decodeAs[Welcome](body)
		return f, first(err, between(f.Certificate, 1, maxCertificate, "certificate"),
			between(f.List, 1, MaxDeviceList, "device list"), checkString(f.Name, chat.MaxName, "name"))
	case TypeHistory:
		f, err := decodeAs[History](body)
		return f, first(err, checkRoom(f.Room), checkGrants(f.Grants))
	case TypeHistoryWant:
		f, err := decodeAs[HistoryWant](body)
		return f, first(err, checkRoom(f.Room))
	case TypeKnock:
		return decodeAs[Knock](body)
	}
	return decodeOwn(t, body)
}

// first returns the first of errs that is one.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func exactly(b []byte, n int, what string) error {
	if len(b) != n {
		return invalid("a %s of %d bytes instead of %d", what, len(b), n)
	}
	return nil
}

func between(b []byte, least, most int, what string) error {
	if len(b) < least || len(b) > most {
		return invalid("a %s of %d bytes, not between %d and %d", what, len(b), least, most)
	}
	return nil
}

func checkRoom(b []byte) error { return exactly(b, len(chat.RoomID{}), "room") }

func checkPrefixes(b []byte) error {
	if len(b)%OpPrefix != 0 || len(b) > OpPrefix*chat.MaxMembershipOps {
		return invalid("%d bytes of operations held", len(b))
	}
	return nil
}

func checkOperations(ops [][]byte) error {
	if len(ops) == 0 || len(ops) > MaxOperations {
		return invalid("%d membership operations, not between 1 and %d", len(ops), MaxOperations)
	}
	for _, op := range ops {
		if err := between(op, 1, MaxOperation, "membership operation"); err != nil {
			return err
		}
	}
	return nil
}

func checkGrants(grants []HistoryGrant) error {
	if len(grants) > MaxGrants {
		return invalid("%d keys of the past, over %d", len(grants), MaxGrants)
	}
	for _, g := range grants {
		if len(g.Device) != len(chat.DeviceID{}) || g.Epoch == 0 || len(g.Key) != 32 {
			return invalid("a malformed key of the past")
		}
	}
	return nil
}
