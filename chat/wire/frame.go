package wire

import (
	"bytes"

	"earshot/chat"
)

// Frame is what travels on a stream (PROTOCOL.md#streams): one type byte, then the deterministic CBOR
// of the rest. A sealed union; a type this version does not know is Unknown.
type Frame interface{ frameType() FrameType }

// FrameType is a frame's first byte. The numbers are append-only.
type FrameType uint8

const (
	TypeHello    FrameType = 1
	TypeHave     FrameType = 2
	TypeTyping   FrameType = 3
	TypeGoodbye  FrameType = 4
	TypeCompare  FrameType = 16
	TypeFrontier FrameType = 17
	TypeEntries  FrameType = 18
	TypeDone     FrameType = 19
	TypeDirect   FrameType = 24
)

// MaxLogs bounds the lines of one Frontier frame: 36 bytes each at the most.
const MaxLogs = 1792

// NonceSize is the length in bytes of the nonce that session tags are made with.
const NonceSize = 16

// Hello opens a peer stream, both ways: who is at the other end.
type Hello struct {
	Certificate []byte `cbor:"1,keyasint"`
	Name        string `cbor:"2,keyasint"` // "" where the person is not to be named
	Now         uint64 `cbor:"3,keyasint"` // sender's clock, microseconds since the Unix epoch
	Agent       string `cbor:"4,keyasint"` // program and version, for people
	// Prekey is the device's current one (PROTOCOL.md#keys-of-a-device-of-a-pair);
	// nil for none.
	Prekey []byte `cbor:"5,keyasint,omitempty"`
}

// RoomRoot sums up what a node holds of a room: equal roots, equal holdings.
type RoomRoot struct {
	_    struct{} `cbor:",toarray"`
	Tag  []byte   // chat.RoomTag made with the frame's nonce
	Root []byte   // 32 bytes
}

// Have tells a neighbour what its sender holds, so that it can see that it lacks
// something. On a peer stream.
type Have struct {
	Nonce []byte     `cbor:"1,keyasint"`
	Rooms []RoomRoot `cbor:"2,keyasint"`
}

// Typing says that the person at the other end types, or stopped. On a peer
// stream; lapses after chat.TypingExpiry.
type Typing struct {
	Room   []byte `cbor:"1,keyasint"` // chat.RoomTag of the day
	Typing bool   `cbor:"2,keyasint"`
}

// Goodbye says that its sender leaves on purpose. On a peer stream.
type Goodbye struct{}

// Compare opens a sync session, both ways: the asker names the rooms it wants
// to compare, the answerer those of them that it is in and holds differently.
type Compare struct {
	Nonce []byte     `cbor:"1,keyasint"`
	Rooms []RoomRoot `cbor:"2,keyasint"`
	// Bases names, for each of Rooms, the frontier that the sender remembers to have
	// compared with the other side: BaseSize bytes, or none. The answerer names it
	// only if it remembers the same. nil if there is nothing to name.
	Bases [][]byte `cbor:"3,keyasint,omitempty"`
}

// BaseSize is the length in bytes of the name of a frontier.
const BaseSize = 8

// LogSeq names an entry by its log and number.
type LogSeq struct {
	_   struct{} `cbor:",toarray"`
	Log []byte   // chat.LogID
	Seq uint64
}

// LogHead is one line of a frontier: the log is held without a hole up to Seq.
type LogHead struct {
	_   struct{} `cbor:",toarray"`
	Log []byte   // chat.LogID
	Seq uint64
	// Last is the beginning of that entry's id, HeadSize bytes: so two see that they
	// hold as much of a log, and not the same. Empty where Seq is MaxSeq.
	Last []byte
}

// HeadSize is how many bytes of the id of a log's last entry a frontier names: who
// would have two that look alike, in logs of their own, has 2^32 to make.
const HeadSize = 8

// HeadOf returns the line of a log that is held up to the entry last.
func HeadOf(log chat.LogID, seq uint64, last chat.EntryID) LogHead {
	h := LogHead{Log: log[:], Seq: seq, Last: last[:HeadSize]}
	if seq == MaxSeq {
		h.Last = []byte{}
	}
	return h
}

// Frontier says what its sender holds of a room, in one or more frames whose logs
// ascend. A Seq of MaxSeq says that its sender wants no more of a log.
type Frontier struct {
	Tag  []byte    `cbor:"1,keyasint"`
	Logs []LogHead `cbor:"2,keyasint"`
	More bool      `cbor:"3,keyasint,omitempty"`
	// Delta says that only those logs are named that differ from the base of the room,
	// which both sides remember.
	Delta bool `cbor:"4,keyasint,omitempty"`
}

// RawEntry is an entry as three byte strings; Payload is nil where it was removed.
type RawEntry struct {
	_       struct{} `cbor:",toarray"`
	Head    []byte
	Sig     []byte
	Payload []byte
}

// Entries carries what the other side lacks of a room, oldest first.
type Entries struct {
	Tag     []byte     `cbor:"1,keyasint"`
	Entries []RawEntry `cbor:"2,keyasint"`
}

// Done says that its sender has sent everything the other side lacked.
type Done struct {
	Sent uint64 `cbor:"1,keyasint"` // entries in this session
}

// Unknown is a frame from the future. It is skipped.
type Unknown struct{ Type FrameType }

// Direct is an entry from its author straight to the devices of a sealed room
// (PROTOCOL.md#earshotlive1).
type Direct struct {
	// Cover is the exclusive or of the first CoverSize bytes of the ids of all
	// devices that are given the entry, and of its author's.
	Cover   []byte `cbor:"1,keyasint"`
	Message []byte `cbor:"2,keyasint"` // what would be gossiped: EncodeLive
}

// CoverSize is the length of Direct's Cover in bytes.
const CoverSize = 8

func (Direct) frameType() FrameType    { return TypeDirect }
func (Hello) frameType() FrameType     { return TypeHello }
func (Have) frameType() FrameType      { return TypeHave }
func (Typing) frameType() FrameType    { return TypeTyping }
func (Goodbye) frameType() FrameType   { return TypeGoodbye }
func (Compare) frameType() FrameType   { return TypeCompare }
func (Frontier) frameType() FrameType  { return TypeFrontier }
func (Entries) frameType() FrameType   { return TypeEntries }
func (Done) frameType() FrameType      { return TypeDone }
func (u Unknown) frameType() FrameType { return u.Type }

// EncodeFrame returns the bytes of f, at most chat.MaxFrame of them if the
// caller kept to the limits of its fields.
func EncodeFrame(f Frame) []byte {
	// A list of nothing is an empty list: null means nothing here.
	switch v := f.(type) {
	case Have:
		v.Rooms = list(v.Rooms)
		f = v
	case Compare:
		v.Rooms = list(v.Rooms)
		f = v
	case Frontier:
		v.Logs = list(v.Logs)
		f = v
	case Entries:
		v.Entries = list(v.Entries)
		f = v
	case Newest:
		v.Entries = list(v.Entries)
		f = v
	case OpsWant:
		v.Have = list(v.Have)
		f = v
	case History:
		v.Grants = list(v.Grants)
		f = v
	case OwnTexts:
		v.Texts = list(v.Texts)
		f = v
	case Found:
		v.Envelopes = list(v.Envelopes)
		f = v
	case Payloads:
		v.Payloads = list(v.Payloads)
		f = v
	case ReceiptWant:
		v.Lines = list(v.Lines)
		f = v
	case OwnProfile:
		v.Parts = list(v.Parts)
		f = v
	case PresenceDigest:
		v.Beats = list(v.Beats)
		f = v
	}
	return append([]byte{byte(f.frameType())}, Marshal(f)...)
}

func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// DecodeFrame reads a frame and checks every length and count in it; what an
// entry in it says is checked by DecodeEntry.
func DecodeFrame(b []byte) (Frame, error) {
	if len(b) == 0 || len(b) > chat.MaxFrame {
		return nil, invalid("a frame of %d bytes", len(b))
	}
	body := b[1:]
	switch t := FrameType(b[0]); t {
	case TypeHello:
		f, err := decodeAs[Hello](body)
		if err == nil && (len(f.Certificate) == 0 || len(f.Certificate) > maxCertificate) {
			err = invalid("a certificate of %d bytes", len(f.Certificate))
		}
		if err == nil {
			err = checkString(f.Name, chat.MaxName, "name")
		}
		if err == nil {
			err = checkString(f.Agent, chat.MaxName, "agent")
		}
		if err == nil && f.Prekey != nil {
			err = between(f.Prekey, 1, MaxPrekey, "prekey")
		}
		return f, err
	case TypeHave:
		f, err := decodeAs[Have](body)
		if err == nil {
			err = checkRooms(f.Nonce, f.Rooms)
		}
		return f, err
	case TypeTyping:
		f, err := decodeAs[Typing](body)
		if err == nil {
			err = fixed(make([]byte, len(chat.RoomTag{})), f.Room, "room tag")
		}
		return f, err
	case TypeGoodbye:
		return decodeAs[Goodbye](body)
	case TypeCompare:
		f, err := decodeAs[Compare](body)
		if err == nil {
			err = checkRooms(f.Nonce, f.Rooms)
		}
		if err == nil && f.Bases != nil && len(f.Bases) != len(f.Rooms) {
			err = invalid("%d bases of %d rooms", len(f.Bases), len(f.Rooms))
		}
		for i := 0; err == nil && i < len(f.Bases); i++ {
			if n := len(f.Bases[i]); n != 0 && n != BaseSize {
				err = invalid("a base of %d bytes", n)
			}
		}
		return f, err
	case TypeFrontier:
		f, err := decodeAs[Frontier](body)
		if err == nil {
			err = fixed(make([]byte, len(chat.RoomTag{})), f.Tag, "room tag")
		}
		if err == nil && len(f.Logs) > MaxLogs {
			err = invalid("%d logs in a frame, over %d", len(f.Logs), MaxLogs)
		}
		for i := 0; err == nil && i < len(f.Logs); i++ {
			l := &f.Logs[i]
			if last := len(l.Last); len(l.Log) != len(chat.LogID{}) || l.Seq == 0 || l.Seq > MaxSeq || last != HeadSize && (last > 0 || l.Seq < MaxSeq) {
				err = invalid("a frontier with a malformed log")
			} else if i > 0 && bytes.Compare(f.Logs[i-1].Log, l.Log) >= 0 {
				err = invalid("a frontier whose logs do not ascend")
			}
		}
		return f, err
	case TypeEntries:
		f, err := decodeAs[Entries](body)
		if err == nil {
			err = fixed(make([]byte, len(chat.RoomTag{})), f.Tag, "room tag")
		}
		if err == nil && len(f.Entries) > chat.MaxBatch {
			err = invalid("%d entries in a frame, over %d", len(f.Entries), chat.MaxBatch)
		}
		return f, err
	case TypeDone:
		return decodeAs[Done](body)
	case TypeDirect:
		f, err := decodeAs[Direct](body)
		if err == nil {
			err = fixed(make([]byte, CoverSize), f.Cover, "cover")
		}
		if err == nil {
			err = between(f.Message, 1, MaxLive, "live message")
		}
		return f, err
	case TypeNext:
		return decodeNext(body)
	case TypeWantNewest, TypeNewest, TypeEnough:
		return decodeNewest(t, body)
	case TypeReceipt, TypeReceiptHave, TypeReceiptWant:
		return decodeReceipt(t, body)
	case TypeFull, TypeEvidence:
		return decodeTrouble(t, body)
	case TypePresenceRecords, TypePresenceDigest, TypePresenceWant, TypePresenceKey:
		return decodePresence(t, body)
	default:
		return decodePeople(t, body)
	}
}

func decodeAs[F Frame](b []byte) (F, error) {
	var f F
	err := Unmarshal(b, &f)
	return f, err
}

func checkRooms(nonce []byte, rooms []RoomRoot) error {
	if len(nonce) != NonceSize {
		return invalid("a nonce of %d bytes", len(nonce))
	}
	if len(rooms) > chat.MaxRooms {
		return invalid("%d rooms, over %d", len(rooms), chat.MaxRooms)
	}
	for _, r := range rooms {
		if len(r.Tag) != len(chat.RoomTag{}) || len(r.Root) != 32 {
			return invalid("a malformed room")
		}
	}
	return nil
}

// live is the layout of what is gossiped (PROTOCOL.md#the-live-path): an entry under its room's tag.
type live struct {
	_       struct{} `cbor:",toarray"`
	Tag     []byte
	Head    []byte
	Sig     []byte
	Payload []byte
}

// MaxLive bounds what is gossiped, in bytes: an entry at its largest and its frame.
const MaxLive = chat.MaxHeader + chat.MaxPayload + 256

// EncodeLive returns the gossip message that carries e under tag.
func EncodeLive(tag chat.RoomTag, e *Entry) []byte {
	return Marshal(live{Tag: tag[:], Head: e.Head, Sig: e.Sig[:], Payload: e.Payload})
}

// DecodeLive reads a gossip message and checks everything but the signature.
func DecodeLive(b []byte) (chat.RoomTag, Entry, error) {
	var tag chat.RoomTag
	if len(b) > MaxLive {
		return tag, Entry{}, invalid("a gossip message of %d bytes, over %d", len(b), MaxLive)
	}
	var l live
	if err := Unmarshal(b, &l); err != nil {
		return tag, Entry{}, err
	}
	if err := fixed(tag[:], l.Tag, "room tag"); err != nil {
		return tag, Entry{}, err
	}
	if l.Payload == nil {
		return tag, Entry{}, invalid("a live entry without its payload")
	}
	e, err := DecodeEntry(l.Head, l.Sig, l.Payload)
	return tag, e, err
}
