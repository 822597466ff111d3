package wire

import "earshot/chat"

// The frames of this file hand sealed entries to those who hold them for somebody
// who is away, and from them on (PROTOCOL.md#earshotcourier1).
const (
	TypeAnnounce FrameType = 40
	TypeSeek     FrameType = 41
	TypeFound    FrameType = 42
	TypeTake     FrameType = 43
	TypeHandOver FrameType = 44
	TypeDeposit  FrameType = 45
	TypeAnswer   FrameType = 46
	TypeTaken    FrameType = 47
)

// Sizes in bytes, and limits, of these frames.
const (
	EnvelopeIDSize   = 16
	EnvelopeTagSize  = 8
	EnvelopeSaltSize = 16
	EnvelopeProof    = 32
	// MaxEnvelope bounds an envelope with its signature, in bytes: one fits a frame
	// together with what else a Deposit says.
	MaxEnvelope = 60 << 10
	// MaxAnnounced bounds the tags of one Announce, MaxSought those of one Seek,
	// MaxFound the lines of one Found, MaxTakes those of one Take, and MaxDropped
	// the envelopes that one Deposit takes back.
	MaxAnnounced = 4096
	MaxSought    = 256
	MaxFound     = 256
	MaxTakes     = 64
	MaxDropped   = 64
	// MaxReply bounds what who takes an envelope says back to its depositor, in
	// bytes: a receipt of a conversation of two, sealed.
	MaxReply = 4 << 10
)

// Announce says under which tags its sender holds envelopes for others.
type Announce struct {
	// Keeper says that the sender has agreed to hold what its contacts bring.
	Keeper bool `cbor:"1,keyasint,omitempty"`
	// Tags are EnvelopeTagSize bytes each, one behind the other.
	Tags []byte `cbor:"2,keyasint,omitempty"`
	// Anew says that what was announced before is to be forgotten; More, that
	// another frame follows before all has been said.
	Anew bool `cbor:"3,keyasint,omitempty"`
	More bool `cbor:"4,keyasint,omitempty"`
	// Full says that the sender has no room for more at present.
	Full bool `cbor:"5,keyasint,omitempty"`
}

// Seek asks what is held under tags.
type Seek struct {
	Tags []byte `cbor:"1,keyasint"` // as in Announce
}

// FoundEnvelope is a line of Found.
type FoundEnvelope struct {
	_    struct{} `cbor:",toarray"`
	ID   []byte
	Tag  []byte
	Salt []byte // by which the recipient proves that it may take it
}

// Found answers Seek, in one or more frames, in the order in which the envelopes were
// brought.
type Found struct {
	Envelopes []FoundEnvelope `cbor:"1,keyasint"`
	More      bool            `cbor:"2,keyasint,omitempty"`
}

// TakeEnvelope is a line of Take.
type TakeEnvelope struct {
	_     struct{} `cbor:",toarray"`
	ID    []byte
	Proof []byte // hashes to the envelope's lock
}

// Take asks for envelopes.
type Take struct {
	Envelopes []TakeEnvelope `cbor:"1,keyasint"`
}

// HandOver brings what is asked for: an envelope without who deposited it, which is
// nobody's business but the courier's.
type HandOver struct {
	ID      []byte `cbor:"1,keyasint"`
	Tag     []byte `cbor:"2,keyasint,omitempty"` // absent, as all that follows, where it is gone
	Salt    []byte `cbor:"3,keyasint,omitempty"`
	Lock    []byte `cbor:"4,keyasint,omitempty"`
	Made    uint64 `cbor:"5,keyasint,omitempty"` // seconds since 1970
	Expires uint64 `cbor:"6,keyasint,omitempty"` // likewise
	Box     []byte `cbor:"7,keyasint,omitempty"`
	By      []byte `cbor:"8,keyasint,omitempty"` // hash that stands for the depositor
}

// Deposit brings an envelope to be held, and takes others back that its sender
// brought before. One of the two may be missing.
type Deposit struct {
	Envelope []byte `cbor:"1,keyasint,omitempty"`
	Dropped  []byte `cbor:"2,keyasint,omitempty"` // ids, one behind the other
}

// What an Answer says of an envelope.
const (
	AnswerKept    = 1 // it is on the disk
	AnswerFull    = 2 // there is no room for it
	AnswerQuota   = 3 // its depositor has brought as many as they may
	AnswerRefused = 4 // it is expired, or not the sender's, or malformed
	AnswerNoted   = 5 // what was said of it has been noted
)

// Answer answers Deposit and Taken.
type Answer struct {
	ID   []byte `cbor:"1,keyasint"`
	Says uint8  `cbor:"2,keyasint"` // one of the above; others are of the future
}

// Taken says that an envelope has arrived, to who holds it, and from them to its
// depositor.
type Taken struct {
	ID     []byte `cbor:"1,keyasint"`
	Secret []byte `cbor:"2,keyasint"` // known to recipient and depositor only
	// Reply is for the depositor, sealed; nil for none.
	Reply []byte `cbor:"3,keyasint,omitempty"`
}

func (Announce) frameType() FrameType { return TypeAnnounce }
func (Seek) frameType() FrameType     { return TypeSeek }
func (Found) frameType() FrameType    { return TypeFound }
func (Take) frameType() FrameType     { return TypeTake }
func (HandOver) frameType() FrameType { return TypeHandOver }
func (Deposit) frameType() FrameType  { return TypeDeposit }
func (Answer) frameType() FrameType   { return TypeAnswer }
func (Taken) frameType() FrameType    { return TypeTaken }

// decodeCourier reads the frames of this file; any other type is Unknown.
func decodeCourier(t FrameType, body []byte) (Frame, error) {
	switch t {
	case TypeAnnounce:
		f, err := decodeAs[Announce](body)
		return f, first(err, several(f.Tags, EnvelopeTagSize, 0, MaxAnnounced, "tags"))
	case TypeSeek:
		f, err := decodeAs[Seek](body)
		return f, first(err, several(f.Tags, EnvelopeTagSize, 1, MaxSought, "tags"))
	case TypeFound:
		f, err := decodeAs[Found](body)
		return f, first(err, checkFound(f.Envelopes))
	case TypeTake:
		f, err := decodeAs[Take](body)
		return f, first(err, checkTakes(f.Envelopes))
	case TypeHandOver:
		f, err := decodeAs[HandOver](body)
		return f, first(err, checkHandOver(&f))
	case TypeDeposit:
		f, err := decodeAs[Deposit](body)
		if err == nil && f.Envelope != nil {
			err = between(f.Envelope, 1, MaxEnvelope, "envelope")
		}
		return f, first(err, several(f.Dropped, EnvelopeIDSize, 0, MaxDropped, "envelopes taken back"))
	case TypeAnswer:
		f, err := decodeAs[Answer](body)
		return f, first(err, exactly(f.ID, EnvelopeIDSize, "envelope id"))
	case TypeTaken:
		f, err := decodeAs[Taken](body)
		if err == nil && f.Reply != nil {
			err = between(f.Reply, 1, MaxReply, "reply")
		}
		return f, first(err, exactly(f.ID, EnvelopeIDSize, "envelope id"), exactly(f.Secret, EnvelopeProof, "secret"))
	}
	return decodeContent(t, body)
}

// several checks things of one size that stand one behind the other.
func several(b []byte, size, least, most int, what string) error {
	if len(b)%size != 0 || len(b) < least*size || len(b) > most*size {
		return invalid("%d bytes of %s", len(b), what)
	}
	return nil
}

func checkFound(lines []FoundEnvelope) error {
	if len(lines) > MaxFound {
		return invalid("%d envelopes found, over %d", len(lines), MaxFound)
	}
	for _, l := range lines {
		if len(l.ID) != EnvelopeIDSize || len(l.Tag) != EnvelopeTagSize || len(l.Salt) != EnvelopeSaltSize {
			return invalid("a malformed line about an envelope")
		}
	}
	return nil
}

func checkTakes(lines []TakeEnvelope) error {
	if len(lines) == 0 || len(lines) > MaxTakes {
		return invalid("%d envelopes asked for, not between 1 and %d", len(lines), MaxTakes)
	}
	for _, l := range lines {
		if len(l.ID) != EnvelopeIDSize || len(l.Proof) != EnvelopeProof {
			return invalid("a malformed question for an envelope")
		}
	}
	return nil
}

func checkHandOver(f *HandOver) error {
	err := exactly(f.ID, EnvelopeIDSize, "envelope id")
	if err != nil || f.Box == nil {
		return err
	}
	return first(exactly(f.Tag, EnvelopeTagSize, "envelope tag"), exactly(f.Salt, EnvelopeSaltSize, "envelope salt"),
		exactly(f.Lock, EnvelopeProof, "lock"), exactly(f.By, EnvelopeProof, "depositor's hash"), between(f.Box, 1, MaxEnvelope, "box"),
		checkLifetime(f.Made, f.Expires))
}

func checkLifetime(made, expires uint64) error {
	if made > maxNamedAt || expires > maxNamedAt || expires < made {
		return invalid("an envelope from the second %d to %d", made, expires)
	}
	return nil
}

// Packet is what an envelope holds, sealed: entries of a conversation, each log's in
// order.
type Packet struct {
	Entries []RawEntry `cbor:"1,keyasint"`
}

// MaxPacketEntries bounds the entries of one envelope: short ones fill it with fewer.
const MaxPacketEntries = chat.MaxBatch

// DecodePacket reads a Packet; what its entries say is checked by DecodeEntry.
func DecodePacket(b []byte) (Packet, error) {
	var p Packet
	if len(b) > MaxEnvelope {
		return p, invalid("the content of an envelope of %d bytes", len(b))
	}
	if err := Unmarshal(b, &p); err != nil {
		return p, err
	}
	if len(p.Entries) == 0 || len(p.Entries) > MaxPacketEntries {
		return p, invalid("%d entries in an envelope", len(p.Entries))
	}
	return p, nil
}
