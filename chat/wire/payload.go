package wire

import (
	"unicode/utf8"

	"earshot/chat"
)

// Open is the payload of KindOpen: who writes this log.
type Open struct {
	Certificate []byte `cbor:"1,keyasint"` // chat/identity's encoding
	Name        string `cbor:"2,keyasint"` // as the person calls themselves
	Salt        []byte `cbor:"3,keyasint"` // SaltSize random bytes that the log's id is made of
}

// SaltSize is the length of Open.Salt in bytes.
const SaltSize = 16

// Profile is the payload of KindProfile.
type Profile struct {
	Name string `cbor:"1,keyasint"`
}

// Operations is what KindMembership says once it is opened: signed membership
// operations (PROTOCOL.md#membership), 1 to MaxOperations, parents first.
type Operations struct {
	Ops [][]byte `cbor:"1,keyasint"`
}

// maxCertificate bounds a device certificate, in bytes; today's take under 300.
const maxCertificate = 1 << 10

// DecodeOpen reads the payload of KindOpen.
func DecodeOpen(b []byte) (Open, error) {
	var o Open
	if err := Unmarshal(b, &o); err != nil {
		return Open{}, err
	}
	if len(o.Certificate) == 0 || len(o.Certificate) > maxCertificate {
		return Open{}, invalid("a certificate of %d bytes", len(o.Certificate))
	}
	if len(o.Salt) != SaltSize {
		return Open{}, invalid("a salt of %d bytes", len(o.Salt))
	}
	return o, checkString(o.Name, chat.MaxName, "name")
}

// DecodeProfile reads the payload of KindProfile.
func DecodeProfile(b []byte) (Profile, error) {
	var p Profile
	if err := Unmarshal(b, &p); err != nil {
		return Profile{}, err
	}
	return p, checkString(p.Name, chat.MaxName, "name")
}

// DecodeOperations reads the plaintext of KindMembership; what an operation says is
// chat/private's to check.
func DecodeOperations(b []byte) (Operations, error) {
	var o Operations
	if err := Unmarshal(b, &o); err != nil {
		return Operations{}, err
	}
	return o, checkOperations(o.Ops)
}

func checkString(s string, limit int, what string) error {
	if len(s) > limit {
		return invalid("a %s of %d bytes, over %d", what, len(s), limit)
	}
	if !utf8.ValidString(s) {
		return invalid("a %s that is not UTF-8", what)
	}
	return nil
}
