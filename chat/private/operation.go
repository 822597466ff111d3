package private

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"slices"

	"earshot/chat"
	"earshot/chat/identity"
	"earshot/chat/membership"
	"earshot/chat/wire"
)

// OperationVersion is the version of the layout of signed operations.
const OperationVersion = 1

// Domains separate what is hashed and signed here from everything else.
const (
	domainOp   = "earshot/v1 membership-op\x00"
	domainOpID = "earshot/v1 membership-op-id\x00"
	domainRoot = "earshot/v1 ops-root\x00"
	domainView = "earshot/v1 sealed-view\x00"
)

// Operation is a signed membership operation: it proves by itself who did what in
// which room, so anybody can pass it on to anybody. Only SignOperation and
// ParseOperation make one.
type Operation struct {
	ID          chat.EntryID
	Room        chat.RoomID
	Certificate identity.Certificate // of the device that signed
	HLC         chat.HLC
	Parents     []chat.EntryID
	Body        membership.Body

	raw  []byte // the whole encoding
	body []byte // what was signed
	sig  []byte
}

type rawOperation struct {
	_    struct{} `cbor:",toarray"`
	Body []byte
	Sig  []byte
}

type rawOperationBody struct {
	Version     uint8  `cbor:"1,keyasint"`
	Room        []byte `cbor:"2,keyasint"`
	Certificate []byte `cbor:"3,keyasint"`
	HLC         uint64 `cbor:"4,keyasint"`
	Payload     []byte `cbor:"5,keyasint"`
}

// SignOperation makes an operation of a device. The error is of chat.CodeInvalid for
// parents or a body that break a rule, and of chat.CodeTooLong.
func SignOperation(key ed25519.PrivateKey, cert identity.Certificate, room chat.RoomID, hlc chat.HLC, parents []chat.EntryID, b membership.Body) (Operation, error) {
	payload, err := membership.Encode(parents, b)
	if err != nil {
		return Operation{}, err
	}
	body := wire.Marshal(rawOperationBody{
		Version: OperationVersion, Room: room[:], Certificate: cert.Bytes(), HLC: uint64(hlc), Payload: payload,
	})
	raw := wire.Marshal(rawOperation{Body: body, Sig: ed25519.Sign(key, signedOp(body))})
	if len(raw) > wire.MaxOperation {
		return Operation{}, chat.Errorf(chat.CodeTooLong, "This change takes %d bytes and may take %d. Choose a shorter name or topic.", len(raw), wire.MaxOperation)
	}
	return ParseOperation(raw)
}

// ParseOperation reads what Bytes returned and checks everything but the two
// signatures, which Verify does and which cost more. The error is of
// chat.CodeInvalid.
func ParseOperation(b []byte) (Operation, error) {
	if len(b) > wire.MaxOperation {
		return Operation{}, invalid("a membership operation of %d bytes, over %d", len(b), wire.MaxOperation)
	}
	var env rawOperation
	if err := wire.Unmarshal(b, &env); err != nil {
		return Operation{}, err
	}
	var in rawOperationBody
	if err := wire.Unmarshal(env.Body, &in); err != nil {
		return Operation{}, err
	}
	switch {
	case len(env.Sig) != ed25519.SignatureSize:
		return Operation{}, invalid("a membership operation with a signature of %d bytes", len(env.Sig))
	case in.Version != OperationVersion:
		return Operation{}, invalid("membership operation version %d, this is version %d", in.Version, OperationVersion)
	case len(in.Room) != len(chat.RoomID{}):
		return Operation{}, invalid("a membership operation of a room of %d bytes", len(in.Room))
	case in.HLC > uint64(chat.MaxHLC):
		return Operation{}, invalid("a membership operation with a clock out of range")
	}
	cert, err := identity.Parse(in.Certificate)
	if err != nil {
		return Operation{}, err
	}
	parents, body, err := membership.Decode(in.Payload)
	if err != nil {
		return Operation{}, err
	}
	id := sha256.Sum256(append([]byte(domainOpID), env.Body...))
	return Operation{
		ID: id, Room: chat.RoomID(in.Room), Certificate: cert, HLC: chat.HLC(in.HLC), Parents: parents, Body: body,
		raw: bytes.Clone(b), body: env.Body, sig: env.Sig,
	}, nil
}

// Verify reports, with chat.CodeInvalid, if the device did not sign the operation, or
// its person did not sign the device.
func (o Operation) Verify() error {
	if !ed25519.Verify(o.Certificate.Device[:], signedOp(o.body), o.sig) {
		return invalid("a membership operation whose signature is not its device's")
	}
	return o.Certificate.Verify()
}

// Bytes returns the exact encoding, to be stored and sent. The caller must not change
// it.
func (o Operation) Bytes() []byte { return o.raw }

// Op returns what the operation says to chat/membership, if it verifies.
func (o Operation) Op() membership.Op {
	return membership.Op{
		ID: o.ID, Author: o.Certificate.Person(), Device: o.Certificate.Device, HLC: o.HLC, Parents: o.Parents, Body: o.Body,
	}
}

// OpsRoot sums up a set of operations: equal roots, equal operations.
func OpsRoot(ids []chat.EntryID) [32]byte {
	ids = slices.Clone(ids)
	slices.SortFunc(ids, func(a, b chat.EntryID) int { return bytes.Compare(a[:], b[:]) })
	h := sha256.New()
	h.Write([]byte(domainRoot))
	for _, id := range ids {
		h.Write(id[:])
	}
	return [32]byte(h.Sum(nil))
}

func signedOp(body []byte) []byte { return append([]byte(domainOp), body...) }

// invalid makes the error for bytes that break PROTOCOL.md.
func invalid(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return chat.Wrap(chat.CodeInvalid, err, "A device sent something that breaks the protocol: "+err.Error()+".",
		"Nothing is lost; if it goes on, update Earshot on that device.")
}
