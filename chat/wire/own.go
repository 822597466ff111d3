package wire

import "earshot/chat"

// The frames of this file go between a new device and the one that brings it home
// (PROTOCOL.md#pairing), and between the devices of one person (PROTOCOL.md#earshotown1).
const (
	TypeCodeShown   FrameType = 22
	TypeConfirm     FrameType = 23
	TypeOwnHello    FrameType = 32
	TypeOwnContacts FrameType = 33
	TypeOwnWant     FrameType = 34
	TypeOwnTexts    FrameType = 35
)

// Limits of these frames.
const (
	// MaxOwnRecords bounds the contact records of one frame, MaxOwnRecord one of
	// them, in bytes: its own message takes up to MaxContact, namesakes 20 each.
	MaxOwnRecords = 64
	MaxOwnRecord  = 8 << 10
	// maxNamedAt bounds the time of a name, in seconds since 1970: the end of the
	// year 9999.
	maxNamedAt = 253402300799
	// MaxOwnIDs bounds the entries asked for at one time.
	MaxOwnIDs = 256
)

// CodeShown says that its sender shows a pairing code, or does so no more. On a peer
// stream.
type CodeShown struct {
	Shown bool `cbor:"1,keyasint"`
}

// Confirm says what the person at the sender's end has decided, once both devices
// have proved the code. On a peer stream.
type Confirm struct {
	Yes bool `cbor:"1,keyasint"`
}

// OwnHello opens a stream between two devices of one person, both ways.
type OwnHello struct {
	// Root says that the sender holds the person's root key.
	Root bool `cbor:"1,keyasint"`
	// List is the newest device list that the sender has; nil for none.
	List []byte `cbor:"2,keyasint,omitempty"`
	// Contacts sums up what the sender knows of other people, in 32 bytes: who has
	// the same needs none of it.
	Contacts []byte `cbor:"3,keyasint"`
	// Name is what the person calls themselves since NamedAt, in seconds since 1970
	// (0: nobody said when). The later one counts on all devices.
	Name    string `cbor:"4,keyasint,omitempty"`
	NamedAt uint64 `cbor:"5,keyasint,omitempty"`
}

// OwnContacts carries relations to other people, each in its stored form.
type OwnContacts struct {
	Records [][]byte `cbor:"1,keyasint"`
}

// OwnWant asks what messages say that the sender holds and can't open.
type OwnWant struct {
	Room []byte `cbor:"1,keyasint"`
	IDs  []byte `cbor:"2,keyasint"` // chat.EntryIDs, one behind the other
}

// OwnText is what a message says.
type OwnText struct {
	_    struct{} `cbor:",toarray"`
	ID   []byte   // chat.EntryID
	Text string   // "" where nothing is to be shown
}

// OwnTexts answers OwnWant, as far as its sender knows.
type OwnTexts struct {
	Room  []byte    `cbor:"1,keyasint"`
	Texts []OwnText `cbor:"2,keyasint"`
	More  bool      `cbor:"3,keyasint,omitempty"` // another frame follows
}

func (CodeShown) frameType() FrameType   { return TypeCodeShown }
func (Confirm) frameType() FrameType     { return TypeConfirm }
func (OwnHello) frameType() FrameType    { return TypeOwnHello }
func (OwnContacts) frameType() FrameType { return TypeOwnContacts }
func (OwnWant) frameType() FrameType     { return TypeOwnWant }
func (OwnTexts) frameType() FrameType    { return TypeOwnTexts }

// decodeOwn reads the frames of this file; any other type is a courier's.
func decodeOwn(t FrameType, body []byte) (Frame, error) {
	switch t {
	case TypeCodeShown:
		return decodeAs[CodeShown](body)
	case TypeConfirm:
		return decodeAs[Confirm](body)
	case TypeOwnHello:
		f, err := decodeAs[OwnHello](body)
		if err == nil && f.List != nil {
			err = between(f.List, 1, MaxDeviceList, "device list")
		}
		if err == nil && f.NamedAt > maxNamedAt {
			err = invalid("a name of the second %d", f.NamedAt)
		}
		return f, first(err, exactly(f.Contacts, 32, "sum of contacts"), checkString(f.Name, chat.MaxName, "name"))
	case TypeOwnContacts:
		f, err := decodeAs[OwnContacts](body)
		return f, first(err, checkRecords(f.Records))
	case TypeOwnWant:
		f, err := decodeAs[OwnWant](body)
		return f, first(err, checkRoom(f.Room), checkIDs(f.IDs))
	case TypeOwnTexts:
		f, err := decodeAs[OwnTexts](body)
		return f, first(err, checkRoom(f.Room), checkTexts(f.Texts))
	case TypeOwnStatus:
		return decodeOwnStatus(body)
	case TypeShownProfile, TypeOwnProfile:
		return decodeProfiles(t, body)
	}
	return decodeCourier(t, body)
}

func checkRecords(records [][]byte) error {
	if len(records) == 0 || len(records) > MaxOwnRecords {
		return invalid("%d contact records, not between 1 and %d", len(records), MaxOwnRecords)
	}
	for _, r := range records {
		if err := between(r, 1, MaxOwnRecord, "contact record"); err != nil {
			return err
		}
	}
	return nil
}

func checkIDs(ids []byte) error {
	const size = len(chat.EntryID{})
	if len(ids) == 0 || len(ids)%size != 0 || len(ids) > MaxOwnIDs*size {
		return invalid("%d bytes of entries asked for", len(ids))
	}
	return nil
}

func checkTexts(texts []OwnText) error {
	if len(texts) > MaxOwnIDs {
		return invalid("%d texts, over %d", len(texts), MaxOwnIDs)
	}
	for _, t := range texts {
		if err := first(exactly(t.ID, len(chat.EntryID{}), "entry id"), checkString(t.Text, chat.MaxText, "text")); err != nil {
			return err
		}
	}
	return nil
}
