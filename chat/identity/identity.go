// Package identity says who a person is: a root key, its fingerprint, the
// certificates and lists by which it makes devices its own, and the ways in which
// two people find out that they hold each other's true root (SafetyNumber,
// Comparison) or one person brings a new device home (Pairing). It knows no rooms,
// no entries, no network, no disk, no clock and no randomness but what it is
// given, and does not decide whom to trust.
package identity

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"

	"earshot/chat"
)

// Version is the version of the certificate format, in every certificate.
const Version = 1

// Domains separate what is hashed and signed here from everything else.
const (
	domainPerson      = "earshot/v1 person\x00"
	domainCertificate = "earshot/v1 device-cert\x00"
)

// Bounds of a certificate, in bytes. The largest one possible takes 219.
const (
	MaxCertificate = 256
	MaxLabel       = 64
)

// maxIssued bounds the time of issue, in seconds since the Unix epoch: the last
// second of the year 9999, which RFC 3339 can still write.
const maxIssued = 253402300799

// Person returns the fingerprint of a root public key, which must have
// ed25519.PublicKeySize bytes.
func Person(root ed25519.PublicKey) chat.PersonID {
	h := sha256.Sum256(append([]byte(domainPerson), root...))
	return chat.PersonID(h[:20])
}

// Certificate is the statement of a root key that a device is its person's. Only
// Sign and Parse make one that can be encoded.
type Certificate struct {
	Root     [ed25519.PublicKeySize]byte
	Device   chat.DeviceID
	IssuedAt time.Time // by the issuer's clock; whole seconds, UTC
	// Label is what the person calls the device; "" for nothing. It is as the
	// signer wrote it: it passes chat.CleanName before a face sees it.
	Label string

	raw  []byte // the whole encoding
	body []byte // what was signed
	sig  []byte
}

// envelope is the encoding of a certificate: an array of body and signature.
type envelope struct {
	_    struct{} `cbor:",toarray"`
	Body []byte
	Sig  []byte
}

// body is the signed part: a map with integer keys.
type body struct {
	Version uint8  `cbor:"1,keyasint"`
	Root    []byte `cbor:"2,keyasint"`
	Device  []byte `cbor:"3,keyasint"`
	Issued  uint64 `cbor:"4,keyasint"`
	Label   string `cbor:"5,keyasint,omitempty"`
}

var (
	encMode = must(cbor.CoreDetEncOptions().EncMode())
	decMode = must(cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField, MaxNestedLevels: 4, MaxArrayElements: maxUnion + 16, MaxMapPairs: 16,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Sign makes root's certificate for a device. issuedAt is cut to seconds; label is
// UTF-8 of at most MaxLabel bytes.
func Sign(root ed25519.PrivateKey, device chat.DeviceID, issuedAt time.Time, label string) (Certificate, error) {
	if len(root) != ed25519.PrivateKeySize {
		return Certificate{}, fmt.Errorf("a root key of %d bytes instead of %d", len(root), ed25519.PrivateKeySize)
	}
	public := root.Public().(ed25519.PublicKey)
	signed := must(encMode.Marshal(body{
		Version: Version, Root: public, Device: device[:], Issued: uint64(max(0, issuedAt.Unix())), Label: label,
	}))
	return Parse(must(encMode.Marshal(envelope{
		Body: signed, Sig: ed25519.Sign(root, append([]byte(domainCertificate), signed...)),
	})))
}

// Parse reads what Bytes returned and checks everything but the signature, which
// Verify does and which costs more. There is exactly one encoding of every
// certificate; any other bytes are refused with chat.CodeInvalid.
func Parse(b []byte) (Certificate, error) {
	if len(b) > MaxCertificate {
		return Certificate{}, invalid("a certificate of %d bytes, over %d", len(b), MaxCertificate)
	}
	var env envelope
	if err := strict("a certificate", b, &env); err != nil {
		return Certificate{}, err
	}
	var in body
	if err := strict("a certificate", env.Body, &in); err != nil {
		return Certificate{}, err
	}
	switch {
	case len(env.Sig) != ed25519.SignatureSize:
		return Certificate{}, invalid("a certificate with a signature of %d bytes", len(env.Sig))
	case in.Version != Version:
		return Certificate{}, invalid("certificate version %d, this is version %d", in.Version, Version)
	case len(in.Root) != ed25519.PublicKeySize:
		return Certificate{}, invalid("a certificate with a root key of %d bytes", len(in.Root))
	case len(in.Device) != len(chat.DeviceID{}):
		return Certificate{}, invalid("a certificate with a device key of %d bytes", len(in.Device))
	case in.Issued > maxIssued:
		return Certificate{}, invalid("a certificate issued after the year 9999")
	case len(in.Label) > MaxLabel || !utf8.ValidString(in.Label):
		return Certificate{}, invalid("a certificate with a label that is too long or not UTF-8")
	}
	return Certificate{
		Root: [ed25519.PublicKeySize]byte(in.Root), Device: chat.DeviceID(in.Device),
		IssuedAt: time.Unix(int64(in.Issued), 0).UTC(), Label: in.Label,
		raw: bytes.Clone(b), body: env.Body, sig: env.Sig,
	}, nil
}

// strict decodes b, which the error calls what, into v and refuses b if v would be
// encoded otherwise.
func strict[T any](what string, b []byte, v *T) error {
	if err := decMode.Unmarshal(b, v); err != nil {
		return invalid("%s that can't be read: %v", what, err)
	}
	again, err := encMode.Marshal(*v)
	if err != nil || !bytes.Equal(again, b) {
		return invalid("%s that is not in its one encoding", what)
	}
	return nil
}

// Verify reports, with chat.CodeInvalid, if the root did not sign the certificate.
func (c Certificate) Verify() error {
	if !ed25519.Verify(c.Root[:], append([]byte(domainCertificate), c.body...), c.sig) {
		return invalid("a certificate whose signature is not its root's")
	}
	return nil
}

// Bytes returns the exact encoding, to be stored and sent. It is nil for the zero
// Certificate. The caller must not change it.
func (c Certificate) Bytes() []byte { return c.raw }

// Person returns who the device belongs to, if the certificate verifies.
func (c Certificate) Person() chat.PersonID { return Person(c.Root[:]) }

// invalid makes the error for bytes that break PROTOCOL.md.
func invalid(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return chat.Wrap(chat.CodeInvalid, err, "A device sent something that breaks the protocol: "+err.Error()+".",
		"Nothing is lost; if it goes on, update Earshot on that device.")
}
