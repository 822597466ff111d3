package wire

// The frames of this file say who is here (PROTOCOL.md#presence). On a peer stream.
const (
	TypePresenceRecords FrameType = 48
	TypePresenceDigest  FrameType = 49
	TypePresenceWant    FrameType = 50
	TypePresenceKey     FrameType = 51
)

// Sizes of what these frames hold, in bytes.
const (
	// BeatSize is that of a proof of life, and of what it is checked against.
	BeatSize = 16
	// PresenceIDSize is that of the name of a chain of beats, BeatName of the beginning
	// of it that stands for it beside a beat.
	PresenceIDSize, BeatName = 8, 6
	// BeatLine is that of one beat in a digest: name, slot, proof.
	BeatLine = BeatName + 1 + BeatSize
	// PresenceKeySize is that of the key to what a device shows.
	PresenceKeySize = 32
)

// Limits of these frames.
const (
	// MaxPresenceRecord bounds the body of one record, in bytes: a text of
	// chat.MaxStatusText, sealed twice, takes under 600.
	MaxPresenceRecord = 1 << 10
	// MaxPresenceRecords bounds the records of one frame: usual ones fill it.
	MaxPresenceRecords = 256
	// MaxBeats bounds the beats of one digest, MaxPresenceCells the cells of a summary:
	// so many chains a node knows at the most.
	MaxBeats         = 2048
	MaxPresenceCells = 16384
	// MaxPresenceNames bounds the records asked for in one frame.
	MaxPresenceNames = 256
	// MaxSlot bounds the number of a slot, which is 30 s long: the year 9999.
	MaxSlot = maxNamedAt / 30
)

// PresenceRecord is what a device says of itself, with the beginning of a chain of
// beats that proves for how long it goes on saying so. What Body is stands in
// PROTOCOL.md.
type PresenceRecord struct {
	_      struct{} `cbor:",toarray"`
	Sealed bool     // Body can be read by holders of the device's key only
	Link   []byte   // 16 bytes that go into every step of the chain
	Anchor []byte   // the beat of First
	First  uint64   // slot
	Body   []byte
}

// PresenceRecords brings records: its sender's own, or those that were asked for.
type PresenceRecords struct {
	Records []PresenceRecord `cbor:"1,keyasint"`
}

// PresenceDigest brings beats that the other side lacks.
type PresenceDigest struct {
	Slot uint64 `cbor:"1,keyasint"` // that lines count from, backwards
	// Beats are lines of BeatLine bytes: the first BeatName bytes of the chain's name,
	// how many slots before Slot, and the beat.
	Beats []byte `cbor:"2,keyasint"`
	// Ask has a bit for each cell of the summary that this answers, the lowest of a
	// byte first: send what stands there. Absent for none.
	Ask []byte `cbor:"3,keyasint,omitempty"`
}

// PresenceWant sums up what its sender knows, or asks for records.
type PresenceWant struct {
	// Root is the exclusive or of the names of all chains that are alive to its sender.
	Root []byte `cbor:"1,keyasint,omitempty"`
	// Near says that all of them are its own neighbours', and all neighbours know as
	// much: it needs no beats, and has none to bring.
	Near bool `cbor:"2,keyasint,omitempty"`
	// Relays says that it, or a neighbour of its, needs those of the receiver.
	Relays bool `cbor:"6,keyasint,omitempty"`
	// Salt and Cells sum up the chains: see PROTOCOL.md. Absent for none.
	Salt  uint64 `cbor:"3,keyasint,omitempty"`
	Cells []byte `cbor:"4,keyasint,omitempty"` // two to a byte
	// Records names chains whose records are asked for: the first BeatName bytes of
	// each, one behind the other.
	Records []byte `cbor:"5,keyasint,omitempty"`
}

// PresenceKey gives the key to what its sender shows of itself.
type PresenceKey struct {
	Key []byte `cbor:"1,keyasint"`
}

func (PresenceRecords) frameType() FrameType { return TypePresenceRecords }
func (PresenceDigest) frameType() FrameType  { return TypePresenceDigest }
func (PresenceWant) frameType() FrameType    { return TypePresenceWant }
func (PresenceKey) frameType() FrameType     { return TypePresenceKey }

// decodePresence reads the frames of this file.
func decodePresence(t FrameType, body []byte) (Frame, error) {
	switch t {
	case TypePresenceRecords:
		f, err := decodeAs[PresenceRecords](body)
		return f, first(err, checkPresenceRecords(f.Records))
	case TypePresenceDigest:
		f, err := decodeAs[PresenceDigest](body)
		if err == nil && (f.Slot > MaxSlot || len(f.Beats)%BeatLine != 0 || len(f.Beats) > MaxBeats*BeatLine || len(f.Ask) > MaxPresenceCells/8) {
			err = invalid("a digest of %d bytes and %d, of the slot %d", len(f.Beats), len(f.Ask), f.Slot)
		}
		return f, err
	case TypePresenceWant:
		f, err := decodeAs[PresenceWant](body)
		if err == nil && f.Root != nil {
			err = exactly(f.Root, PresenceIDSize, "root")
		}
		if err == nil && (len(f.Cells)%4 != 0 || len(f.Cells) > MaxPresenceCells/2 || len(f.Records)%BeatName != 0 || len(f.Records) > MaxPresenceNames*BeatName) {
			err = invalid("a summary of %d bytes that asks for %d", len(f.Cells), len(f.Records))
		}
		return f, err
	case TypePresenceKey:
		f, err := decodeAs[PresenceKey](body)
		return f, first(err, exactly(f.Key, PresenceKeySize, "presence key"))
	}
	return Unknown{Type: t}, nil
}

func checkPresenceRecords(records []PresenceRecord) error {
	if len(records) == 0 || len(records) > MaxPresenceRecords {
		return invalid("%d presence records, not between 1 and %d", len(records), MaxPresenceRecords)
	}
	for i := range records {
		r := &records[i]
		err := first(exactly(r.Link, BeatSize, "link"), exactly(r.Anchor, BeatSize, "anchor"), between(r.Body, 1, MaxPresenceRecord, "presence record"))
		if err == nil && r.First > MaxSlot {
			err = invalid("a presence record of the slot %d", r.First)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
