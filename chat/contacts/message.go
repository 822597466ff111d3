package contacts

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"unicode/utf8"

	"earshot/chat"
	"earshot/chat/identity"
	"earshot/chat/wire"
)

const (
	domainRequest = "earshot/v1 contact-request\x00"
	domainAnswer  = "earshot/v1 contact-answer\x00"
	domainID      = "earshot/v1 contact-id\x00"
)

// MessageID names one message: the hash of what was signed. An answer carries that
// of its request, and so is bound to both persons, the device and the words.
type MessageID [32]byte

// Kind is what a message is about. The numbers are append-only.
type Kind uint8

const (
	KindRequest   Kind = 1 // may I be a contact?
	KindAccepted  Kind = 2 // yes
	KindWithdrawn Kind = 3 // I take my request back
)

// Message is a request, or an answer to one (PROTOCOL.md#contacts). Only
// DecodeMessage and the engine make one with an ID.
type Message struct {
	ID   MessageID
	Kind Kind
	// Certificate is of the device that signed, and says whose it is.
	Certificate identity.Certificate
	To          chat.PersonID

	// Of a request. Name and Note are as their author wrote them.
	Nonce [NonceSize]byte
	Name  string
	Note  string

	// Request is what an answer is about. Chat, of KindAccepted, is what its author
	// makes the direct chat of.
	Request MessageID
	Chat    [32]byte

	raw, body, sig []byte
}

// signed is the layout of a message: what was signed, and the signature.
type signed struct {
	_    struct{} `cbor:",toarray"`
	Body []byte
	Sig  []byte
}

type body struct {
	Version     uint8  `cbor:"1,keyasint"`
	Kind        Kind   `cbor:"2,keyasint"`
	Certificate []byte `cbor:"3,keyasint"`
	To          []byte `cbor:"4,keyasint"`
	Nonce       []byte `cbor:"5,keyasint,omitempty"`
	Name        string `cbor:"6,keyasint,omitempty"`
	Note        string `cbor:"7,keyasint,omitempty"`
	Request     []byte `cbor:"8,keyasint,omitempty"`
	Chat        []byte `cbor:"9,keyasint,omitempty"`
}

const version = 1

// domain returns what separates the signatures of a kind from all others.
func (k Kind) domain() []byte {
	if k == KindRequest {
		return []byte(domainRequest)
	}
	return []byte(domainAnswer)
}

// sign makes the bytes of a message from its kind's fields.
func sign(key ed25519.PrivateKey, b body) []byte {
	b.Version = version
	raw := wire.Marshal(b)
	return wire.Marshal(signed{Body: raw, Sig: ed25519.Sign(key, append(b.Kind.domain(), raw...))})
}

func idOf(body []byte) MessageID { return sha256.Sum256(append([]byte(domainID), body...)) }

// DecodeMessage reads a message and checks everything but the two signatures,
// which Verify does. Errors have chat.CodeInvalid. A kind that this version does not
// know is no error: it is skipped.
func DecodeMessage(b []byte) (Message, error) {
	if len(b) > MaxMessage {
		return Message{}, invalid("a contact message of %d bytes, over %d", len(b), MaxMessage)
	}
	var s signed
	if err := wire.Unmarshal(b, &s); err != nil {
		return Message{}, err
	}
	var in body
	if err := wire.Unmarshal(s.Body, &in); err != nil {
		return Message{}, err
	}
	switch {
	case in.Version != version:
		return Message{}, invalid("contact message version %d, this is version %d", in.Version, version)
	case in.Kind == 0:
		return Message{}, invalid("a contact message without a kind")
	case len(s.Sig) != ed25519.SignatureSize:
		return Message{}, invalid("a contact message with a signature of %d bytes", len(s.Sig))
	case len(in.To) != len(chat.PersonID{}):
		return Message{}, invalid("a contact message to a person of %d bytes", len(in.To))
	}
	c, err := identity.Parse(in.Certificate)
	if err != nil {
		return Message{}, err
	}
	m := Message{
		ID: idOf(s.Body), Kind: in.Kind, Certificate: c, To: chat.PersonID(in.To), Name: in.Name, Note: in.Note,
		raw: b, body: s.Body, sig: s.Sig,
	}
	switch in.Kind {
	case KindRequest:
		switch {
		case len(in.Nonce) != NonceSize || in.Request != nil || in.Chat != nil:
			return Message{}, invalid("a contact request with a nonce of %d bytes", len(in.Nonce))
		case len(in.Name) > chat.MaxName || !utf8.ValidString(in.Name):
			return Message{}, invalid("a contact request with a name that is too long or not UTF-8")
		case len(in.Note) > maxNoteBytes || utf8.RuneCountInString(in.Note) > MaxNote || !utf8.ValidString(in.Note):
			return Message{}, invalid("a contact request with a note that is too long or not UTF-8")
		}
		m.Nonce = [NonceSize]byte(in.Nonce)
	case KindAccepted, KindWithdrawn:
		if len(in.Request) != len(MessageID{}) || in.Nonce != nil || in.Name != "" || in.Note != "" {
			return Message{}, invalid("a contact answer to a request of %d bytes", len(in.Request))
		}
		m.Request = MessageID(in.Request)
		switch {
		case in.Kind == KindWithdrawn && in.Chat == nil:
		case in.Kind == KindWithdrawn || len(in.Chat) != len(m.Chat) || [32]byte(in.Chat) == [32]byte{}:
			return Message{}, invalid("a contact answer with a chat of %d bytes", len(in.Chat))
		default:
			m.Chat = [32]byte(in.Chat)
		}
	}
	return m, nil
}

// From returns who sent the message, if it verifies.
func (m Message) From() chat.PersonID { return m.Certificate.Person() }

// Bytes returns the exact encoding. The caller must not change it.
func (m Message) Bytes() []byte { return m.raw }

// Verify reports, with chat.CodeInvalid, if the root did not certify the device or
// the device did not sign the message.
func (m Message) Verify() error {
	if err := m.Certificate.Verify(); err != nil {
		return err
	}
	if !ed25519.Verify(m.Certificate.Device[:], append(m.Kind.domain(), m.body...), m.sig) {
		return invalid("a contact message whose signature is not its device's")
	}
	return nil
}

// invalid makes the error for bytes that break PROTOCOL.md.
func invalid(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return chat.Wrap(chat.CodeInvalid, err, "A device sent something that breaks the protocol: "+err.Error()+".",
		"Nothing is lost; if it goes on, update Earshot on that device.")
}
