package membership

import (
	"bytes"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"

	"earshot/chat"
	"earshot/chat/wire"
)

// The kinds of operations on the wire. A number keeps its meaning for ever.
const (
	kindCreate uint8 = iota + 1
	kindInvite
	kindAccept
	kindLeave
	kindRemove
	kindSetRole
	kindSet
	kindAttest
	kindRetain
	kindEnd // the first that is not known
)

// rawOp is the layout of a payload: what the operation's author had seen, and
// what it does. The layout of Body follows from Kind.
type rawOp struct {
	Parents [][]byte        `cbor:"1,keyasint,omitempty"`
	Kind    uint8           `cbor:"2,keyasint"`
	Body    cbor.RawMessage `cbor:"3,keyasint"`
}

type rawCreate struct {
	Nonce   []byte `cbor:"1,keyasint"`
	With    []byte `cbor:"2,keyasint,omitempty"`
	History uint8  `cbor:"3,keyasint"`
}

// rawGrant is the layout of Invite and SetRole.
type rawGrant struct {
	Person []byte `cbor:"1,keyasint"`
	Role   uint8  `cbor:"2,keyasint"`
}

type rawAccept struct {
	Invite []byte `cbor:"1,keyasint"`
}

// rawNothing is the layout of Leave and Attest.
type rawNothing struct{}

type rawRemove struct {
	Person []byte `cbor:"1,keyasint"`
}

type rawSet struct {
	Name  *string `cbor:"1,keyasint,omitempty"`
	Topic *string `cbor:"2,keyasint,omitempty"`
}

type rawRetain struct {
	Disappear *uint64 `cbor:"1,keyasint,omitempty"`
	Keep      *uint64 `cbor:"2,keyasint,omitempty"`
}

// encode returns the layout of a body, nil for one that has none.
func encode(b Body) any {
	switch b := b.(type) {
	case Create:
		raw := rawCreate{Nonce: b.Nonce[:], History: uint8(b.History)}
		if !b.With.IsZero() {
			raw.With = b.With[:]
		}
		return raw
	case Invite:
		return rawGrant{Person: b.Person[:], Role: uint8(b.Role)}
	case Accept:
		return rawAccept{Invite: b.Invite[:]}
	case Leave, Attest:
		return rawNothing{}
	case Remove:
		return rawRemove{Person: b.Person[:]}
	case SetRole:
		return rawGrant{Person: b.Person[:], Role: uint8(b.Role)}
	case Set:
		return rawSet(b)
	case Retain:
		return rawRetain(b)
	}
	return nil
}

// kindOf returns a body's number on the wire, 0 for one that has none.
func kindOf(b Body) uint8 {
	switch b := b.(type) {
	case Create:
		return kindCreate
	case Invite:
		return kindInvite
	case Accept:
		return kindAccept
	case Leave:
		return kindLeave
	case Remove:
		return kindRemove
	case SetRole:
		return kindSetRole
	case Set:
		return kindSet
	case Attest:
		return kindAttest
	case Retain:
		return kindRetain
	case Unknown:
		return b.Kind
	}
	return 0
}

// Encode returns the payload of an operation's entry. The order of parents does
// not matter; Log.Heads gives them. An Unknown can't be encoded: its bytes are
// passed on as they came.
func Encode(parents []chat.EntryID, b Body) ([]byte, error) {
	parents = slices.Clone(parents)
	slices.SortFunc(parents, compareIDs)
	if err := wellFormed(parents, b); err != nil {
		return nil, err
	}
	body := encode(b)
	if body == nil {
		return nil, invalid("an operation of kind %d, which this version can't write", kindOf(b))
	}
	raw := rawOp{Kind: kindOf(b), Body: wire.Marshal(body)}
	for i := range parents {
		raw.Parents = append(raw.Parents, parents[i][:])
	}
	return wire.Marshal(raw), nil
}

// Decode reads what Encode wrote, or what a later version did: map keys that this
// one does not know are skipped, except in a Create, which has one encoding. The
// error is of chat.CodeInvalid.
func Decode(payload []byte) (parents []chat.EntryID, b Body, err error) {
	if len(payload) > chat.MaxPayload {
		return nil, nil, invalid("a membership operation of %d bytes, over %d", len(payload), chat.MaxPayload)
	}
	var raw rawOp
	if err := wire.Unmarshal(payload, &raw); err != nil {
		return nil, nil, err
	}
	if n := len(raw.Parents); n > chat.MaxMembershipParents || (raw.Parents != nil && n == 0) {
		return nil, nil, invalid("a membership operation with %d parents", n)
	}
	for _, p := range raw.Parents {
		var id chat.EntryID
		if err := fixed(id[:], p, "parent"); err != nil {
			return nil, nil, err
		}
		parents = append(parents, id)
	}
	if b, err = decodeBody(raw.Kind, raw.Body); err != nil {
		return nil, nil, err
	}
	return parents, b, wellFormed(parents, b)
}

func decodeBody(kind uint8, body []byte) (Body, error) {
	switch kind {
	case kindCreate:
		var raw rawCreate
		if err := wire.Unmarshal(body, &raw); err != nil {
			return nil, err
		}
		c := Create{History: History(raw.History)}
		if err := fixed(c.Nonce[:], raw.Nonce, "nonce"); err != nil {
			return nil, err
		}
		if raw.With != nil {
			if err := fixed(c.With[:], raw.With, "person"); err != nil {
				return nil, err
			}
		}
		if !bytes.Equal(wire.Marshal(encode(c)), body) {
			return nil, invalid("a creation that is not in its one encoding") // RoomOf hashes that
		}
		return c, nil
	case kindInvite, kindSetRole:
		var raw rawGrant
		if err := wire.Unmarshal(body, &raw); err != nil {
			return nil, err
		}
		var p chat.PersonID
		if err := fixed(p[:], raw.Person, "person"); err != nil {
			return nil, err
		}
		if kind == kindInvite {
			return Invite{Person: p, Role: Role(raw.Role)}, nil
		}
		return SetRole{Person: p, Role: Role(raw.Role)}, nil
	case kindAccept:
		var raw rawAccept
		if err := wire.Unmarshal(body, &raw); err != nil {
			return nil, err
		}
		var a Accept
		err := fixed(a.Invite[:], raw.Invite, "invitation")
		return a, err
	case kindLeave:
		return Leave{}, wire.Unmarshal(body, &rawNothing{})
	case kindRemove:
		var raw rawRemove
		if err := wire.Unmarshal(body, &raw); err != nil {
			return nil, err
		}
		var r Remove
		err := fixed(r.Person[:], raw.Person, "person")
		return r, err
	case kindSet:
		var raw rawSet
		err := wire.Unmarshal(body, &raw)
		return Set(raw), err
	case kindRetain:
		var raw rawRetain
		err := wire.Unmarshal(body, &raw)
		return Retain(raw), err
	case kindAttest:
		return Attest{}, wire.Unmarshal(body, &rawNothing{})
	}
	return Unknown{Kind: kind}, nil
}

// wellFormed reports whether an operation keeps the rules that need nothing but
// itself.
func wellFormed(parents []chat.EntryID, b Body) error {
	if _, founds := b.(Create); founds != (len(parents) == 0) {
		return invalid("a room is founded once, and everything else has a past")
	}
	if len(parents) > chat.MaxMembershipParents {
		return invalid("a membership operation with %d parents, over %d", len(parents), chat.MaxMembershipParents)
	}
	for i := range parents {
		if parents[i].IsZero() || (i > 0 && compareIDs(parents[i-1], parents[i]) >= 0) {
			return invalid("parents of a membership operation that do not ascend")
		}
	}
	return checkBody(b)
}

func checkBody(b Body) error {
	person, role := chat.PersonID{1}, RoleMember // where a body has none
	switch b := b.(type) {
	case Create:
		if b.History < HistoryNone || b.History > HistoryAll {
			return invalid("history setting %d", b.History)
		}
	case Invite:
		person, role = b.Person, b.Role
	case SetRole:
		person, role = b.Person, b.Role
	case Remove:
		person = b.Person
	case Accept:
		if b.Invite.IsZero() {
			return invalid("the acceptance of nothing")
		}
	case Leave, Attest:
	case Set:
		if b.Name == nil && b.Topic == nil {
			return invalid("a change of nothing")
		}
		if err := checkString(b.Name, chat.MaxRoomName, "room name"); err != nil {
			return err
		}
		return checkString(b.Topic, chat.MaxTopic, "topic")
	case Retain:
		if b.Disappear == nil && b.Keep == nil {
			return invalid("a change of nothing")
		}
		for _, s := range []*uint64{b.Disappear, b.Keep} {
			if s != nil && *s > uint64(chat.MaxKeep/time.Second) {
				return invalid("a time of %d seconds", *s)
			}
		}
	case Unknown:
		if b.Kind < kindEnd {
			return invalid("a membership operation of kind %d", b.Kind)
		}
	default:
		return invalid("a membership operation without a body")
	}
	if person.IsZero() {
		return invalid("a membership operation about nobody")
	}
	if role < RoleMember || role > RoleOwner {
		return invalid("role %d", role)
	}
	return nil
}

func checkString(s *string, limit int, what string) error {
	switch {
	case s == nil:
		return nil
	case len(*s) > limit:
		return invalid("a %s of %d bytes, over %d", what, len(*s), limit)
	case !utf8.ValidString(*s):
		return invalid("a %s that is not UTF-8", what)
	}
	return nil
}

// fixed copies src to dst if its length is exactly dst's.
func fixed(dst, src []byte, name string) error {
	if len(src) != len(dst) {
		return invalid("a %s of %d bytes instead of %d", name, len(src), len(dst))
	}
	copy(dst, src)
	return nil
}

// invalid makes the error for bytes that break PROTOCOL.md.
func invalid(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return chat.Wrap(chat.CodeInvalid, err, "A device sent something that breaks the protocol: "+err.Error()+".",
		"Nothing is lost; if it goes on, update Earshot on that device.")
}

func compareIDs(a, b chat.EntryID) int { return bytes.Compare(a[:], b[:]) }
