package wire

import (
	"time"

	"earshot/chat"
)

// This file is what people say, and what they make of what was said
// (PROTOCOL.md#what-messages-become), and how payloads that were left out are asked
// for.

// Message is the payload of KindMessage.
type Message struct {
	Text string `cbor:"1,keyasint"`
	// Reply is the id of the message that this one answers; nil for none.
	Reply []byte `cbor:"2,keyasint,omitempty"`
	// Mentions are the ids of people whom the text calls, 1 to chat.MaxMentions;
	// nil for none.
	Mentions [][]byte `cbor:"3,keyasint,omitempty"`
	// Expires is how many seconds after its clock the message disappears, up to
	// chat.MaxKeep; 0 for never.
	Expires uint64 `cbor:"4,keyasint,omitempty"`
}

// Edit is the payload of KindEdit: what a message says from now on.
type Edit struct {
	Target   []byte   `cbor:"1,keyasint"` // id of the message
	Text     string   `cbor:"2,keyasint"`
	Mentions [][]byte `cbor:"3,keyasint,omitempty"` // as in Message, in place of those
}

// Delete is the payload of KindDelete.
type Delete struct {
	// Targets are the ids of the messages that are removed, and of their edits as far
	// as the author knew them: 1 to chat.MaxRemoved.
	Targets [][]byte `cbor:"1,keyasint"`
}

// Reaction is the payload of KindReaction.
type Reaction struct {
	Target []byte `cbor:"1,keyasint"` // id of the message
	Sign   string `cbor:"2,keyasint"` // 1 to chat.MaxSign bytes
	Off    bool   `cbor:"3,keyasint,omitempty"`
}

// Setting is the payload of KindSetting. Each is in seconds, up to chat.MaxKeep; 0
// for ever.
type Setting struct {
	Disappear uint64 `cbor:"1,keyasint"` // what is said from now on, after this time
	Keep      uint64 `cbor:"2,keyasint"` // everything, no longer than this
}

// DecodeMessage reads the payload of KindMessage. Its text is as its author wrote
// it: it passes chat.CleanText before a face sees it.
func DecodeMessage(b []byte) (Message, error) {
	m, err := decodePayload[Message](b)
	if err != nil {
		return Message{}, err
	}
	if m.Reply != nil {
		if err := checkID(m.Reply); err != nil {
			return Message{}, err
		}
	}
	if err := checkMentions(m.Mentions); err != nil {
		return Message{}, err
	}
	if err := checkSeconds(m.Expires); err != nil {
		return Message{}, err
	}
	return m, checkString(m.Text, chat.MaxText, "text")
}

// DecodeEdit reads the payload of KindEdit. Its text is as that of a message.
func DecodeEdit(b []byte) (Edit, error) {
	e, err := decodePayload[Edit](b)
	if err != nil {
		return Edit{}, err
	}
	if err := checkID(e.Target); err != nil {
		return Edit{}, err
	}
	if err := checkMentions(e.Mentions); err != nil {
		return Edit{}, err
	}
	return e, checkString(e.Text, chat.MaxText, "text")
}

// DecodeDelete reads the payload of KindDelete.
func DecodeDelete(b []byte) (Delete, error) {
	d, err := decodePayload[Delete](b)
	if err != nil {
		return Delete{}, err
	}
	if len(d.Targets) == 0 || len(d.Targets) > chat.MaxRemoved {
		return Delete{}, invalid("a removal of %d messages", len(d.Targets))
	}
	return d, checkEntryIDs(d.Targets)
}

// DecodeReaction reads the payload of KindReaction. Its sign is as its author wrote
// it: chat/content says what of it is shown.
func DecodeReaction(b []byte) (Reaction, error) {
	r, err := decodePayload[Reaction](b)
	if err != nil {
		return Reaction{}, err
	}
	if err := checkID(r.Target); err != nil {
		return Reaction{}, err
	}
	if r.Sign == "" {
		return Reaction{}, invalid("a reaction without a sign")
	}
	return r, checkString(r.Sign, chat.MaxSign, "sign")
}

// DecodeSetting reads the payload of KindSetting.
func DecodeSetting(b []byte) (Setting, error) {
	s, err := decodePayload[Setting](b)
	if err != nil {
		return Setting{}, err
	}
	if err := checkSeconds(s.Disappear); err != nil {
		return Setting{}, err
	}
	return s, checkSeconds(s.Keep)
}

func decodePayload[T any](b []byte) (T, error) {
	var v T
	if len(b) > chat.MaxPayload {
		return v, invalid("a payload of %d bytes, over %d", len(b), chat.MaxPayload)
	}
	err := Unmarshal(b, &v)
	return v, err
}

func checkID(b []byte) error {
	var id chat.EntryID
	return fixed(id[:], b, "entry id")
}

func checkEntryIDs(list [][]byte) error {
	for _, b := range list {
		if err := checkID(b); err != nil {
			return err
		}
	}
	return nil
}

func checkMentions(list [][]byte) error {
	if len(list) > chat.MaxMentions || list != nil && len(list) == 0 {
		return invalid("%d mentions", len(list))
	}
	for _, b := range list {
		var p chat.PersonID
		if err := fixed(p[:], b, "person"); err != nil {
			return err
		}
	}
	return nil
}

func checkSeconds(s uint64) error {
	if s > uint64(chat.MaxKeep/time.Second) {
		return invalid("a time of %d seconds", s)
	}
	return nil
}

// The frames by which a payload is asked for that an entry came without. On a sync
// session (PROTOCOL.md#earshotsync1).
const (
	TypeWantPayloads FrameType = 30
	TypePayloads     FrameType = 31
)

// WantPayloads asks for payloads of a room that is compared.
type WantPayloads struct {
	Tag    []byte   `cbor:"1,keyasint"` // session tag of the room
	Places []LogSeq `cbor:"2,keyasint"` // 1 to chat.MaxWanted entries
}

// Payload is the payload of an entry.
type Payload struct {
	_     struct{} `cbor:",toarray"`
	Log   []byte   // chat.LogID
	Seq   uint64
	Bytes []byte // at most chat.MaxPayload
}

// Payloads answers WantPayloads, in one or more frames, with those that are held.
type Payloads struct {
	Tag      []byte    `cbor:"1,keyasint"`
	Payloads []Payload `cbor:"2,keyasint"` // at most chat.MaxWanted
}

func (WantPayloads) frameType() FrameType { return TypeWantPayloads }
func (Payloads) frameType() FrameType     { return TypePayloads }

// decodeContent reads the frames of this file.
func decodeContent(t FrameType, body []byte) (Frame, error) {
	switch t {
	case TypeWantPayloads:
		f, err := decodeAs[WantPayloads](body)
		if err == nil {
			err = fixed(make([]byte, len(chat.RoomTag{})), f.Tag, "room tag")
		}
		if err == nil && (len(f.Places) == 0 || len(f.Places) > chat.MaxWanted) {
			err = invalid("%d payloads wanted", len(f.Places))
		}
		for i := 0; err == nil && i < len(f.Places); i++ {
			err = checkPlace(f.Places[i].Log, f.Places[i].Seq)
		}
		return f, err
	case TypePayloads:
		f, err := decodeAs[Payloads](body)
		if err == nil {
			err = fixed(make([]byte, len(chat.RoomTag{})), f.Tag, "room tag")
		}
		if err == nil && len(f.Payloads) > chat.MaxWanted {
			err = invalid("%d payloads in a frame, over %d", len(f.Payloads), chat.MaxWanted)
		}
		for i := 0; err == nil && i < len(f.Payloads); i++ {
			p := &f.Payloads[i]
			if err = checkPlace(p.Log, p.Seq); err == nil && len(p.Bytes) > chat.MaxPayload {
				err = invalid("a payload of %d bytes, over %d", len(p.Bytes), chat.MaxPayload)
			}
		}
		return f, err
	}
	return Unknown{Type: t}, nil
}

func checkPlace(log []byte, seq uint64) error {
	if seq == 0 || seq > MaxSeq {
		return invalid("sequence number %d", seq)
	}
	var id chat.LogID
	return fixed(id[:], log, "log")
}
