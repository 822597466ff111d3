package courier

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"earshot/chat"
	"earshot/chat/identity"
	"earshot/chat/wire"
)

// Domains separate what is keyed, hashed and signed here from everything else.
const (
	domainTag      = "earshot/v1 envelope-tag\x00"
	domainKey      = "earshot/v1 envelope-key\x00"
	domainSecret   = "earshot/v1 envelope-secret\x00"
	domainProof    = "earshot/v1 envelope-proof\x00"
	domainMember   = "earshot/v1 envelope-member\x00"
	domainLock     = "earshot/v1 envelope-lock\x00"
	domainReply    = "earshot/v1 envelope-reply\x00"
	domainEnvelope = "earshot/v1 envelope\x00"
	domainBy       = "earshot/v1 envelope-by\x00"
	domainID       = "earshot/v1 envelope-id\x00"
)

// version is that of the layout of an envelope.
const version = 1

// week is how long a tag names one recipient in one conversation.
const week = 7 * 24 * time.Hour

// ID names an envelope: the hash of all that its depositor signed. Who takes it can
// compute it, too: under one name comes one thing.
type ID [wire.EnvelopeIDSize]byte

// Short returns the beginning, for logs; it is not unique.
func (id ID) Short() string { return fmt.Sprintf("%x", id[:4]) }

// Tag names a recipient in a conversation for a week, to those who are in it and to
// nobody else.
type Tag [wire.EnvelopeTagSize]byte

// Salt makes the keys of one envelope its own.
type Salt [wire.EnvelopeSaltSize]byte

// Room is a conversation whose envelopes are this person's business.
type Room struct {
	ID chat.RoomID
	// With is whom a direct chat is with; zero for a private room, whose envelopes are
	// for whoever is in it and stay with their courier until they expire.
	With chat.PersonID
}

func (r Room) direct() bool { return r.With != chat.PersonID{} }

// Envelope is entries of a conversation on their way to somebody who is away. Only
// Seal and Parse make one with Bytes.
type Envelope struct {
	ID      ID
	Tag     Tag
	Salt    Salt
	Lock    [32]byte
	Made    time.Time // whole seconds, UTC
	Expires time.Time // likewise
	Box     []byte
	By      identity.Certificate // of the device that deposited it

	bytes, body, sig []byte
}

// rawEnvelope is the layout of an envelope: an array of body and signature.
type rawEnvelope struct {
	_    struct{} `cbor:",toarray"`
	Body []byte
	Sig  []byte
}

// rawBody is the signed part.
type rawBody struct {
	Version     uint8  `cbor:"1,keyasint"`
	Tag         []byte `cbor:"2,keyasint"`
	Salt        []byte `cbor:"3,keyasint"`
	Lock        []byte `cbor:"4,keyasint"`
	Made        uint64 `cbor:"5,keyasint"`
	Expires     uint64 `cbor:"6,keyasint"`
	Box         []byte `cbor:"7,keyasint"`
	Certificate []byte `cbor:"8,keyasint"`
}

// MaxContent bounds what an envelope holds, encoded, in bytes: what else an envelope
// has takes less than a KiB, its padding at most another.
const MaxContent = wire.MaxEnvelope - 2<<10

// sizeStep is what the sizes of boxes are multiples of, so that they tell little of
// what is in them, in bytes.
const sizeStep = 1 << 10

// TagOf returns the tag under which a person looks for what is for them in a
// conversation, in the week of at. In a private room it is the same for all.
func (r Room) TagOf(recipient chat.PersonID, at time.Time) Tag {
	if !r.direct() {
		recipient = chat.PersonID{}
	}
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], weekOf(at))
	m := mac(r.ID[:], domainTag, recipient[:], n[:])
	return Tag(m[:len(Tag{})])
}

func weekOf(at time.Time) uint64 { return uint64(max(0, at.Unix())) / uint64(week/time.Second) }

// secret returns what only the two of a direct chat know of an envelope. Of one for a
// private room there is none.
func (r Room) secret(s Salt) [32]byte { return mac(r.ID[:], domainSecret, s[:]) }

// proof returns what shows a courier that an envelope may be taken. In a direct chat it
// follows from the secret, so that who knows that can show it; in a private room, where
// who was removed knows all that members do, it follows from nothing, and so nobody can
// show a courier what makes it let go of the envelope.
func (r Room) proof(s Salt) [32]byte {
	if r.direct() {
		return proofOf(r.secret(s))
	}
	return mac(r.ID[:], domainMember, s[:])
}

func proofOf(secret [32]byte) [32]byte { return hash(domainProof, secret[:]) }
func lockOf(proof [32]byte) [32]byte   { return hash(domainLock, proof[:]) }

// key is that of one envelope. It encrypts once, so the nonce may be fixed.
func (r Room) key(s Salt) [32]byte { return mac(r.ID[:], domainKey, s[:]) }

func mac(key []byte, domain string, parts ...[]byte) [32]byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(domain))
	for _, p := range parts {
		h.Write(p)
	}
	return [32]byte(h.Sum(nil))
}

func hash(domain string, b []byte) [32]byte {
	return sha256.Sum256(append([]byte(domain), b...))
}

func seconds(t time.Time) uint64 { return uint64(max(0, t.Unix())) }

// associated binds a box to what stands around it.
func (e *Envelope) associated() []byte {
	b := append([]byte(domainEnvelope), version)
	b = append(b, e.Tag[:]...)
	b = append(b, e.Salt[:]...)
	b = append(b, e.Lock[:]...)
	b = binary.BigEndian.AppendUint64(b, seconds(e.Made))
	return binary.BigEndian.AppendUint64(b, seconds(e.Expires))
}

// blindDepositor stands for the depositor where they are not to be named.
func (e *Envelope) blindDepositor() [32]byte {
	return hash(domainBy, append(append([]byte{}, e.Salt[:]...), e.By.Bytes()...))
}

func (e *Envelope) id(by [32]byte) ID {
	box := sha256.Sum256(e.Box)
	h := hash(domainID, append(append(e.associated(), box[:]...), by[:]...))
	return ID(h[:len(ID{})])
}

// Depositor is who makes envelopes.
type Depositor struct {
	Key         ed25519.PrivateKey // of this device
	Certificate identity.Certificate
	Random      io.Reader
}

// Seal makes an envelope of entries for somebody in a conversation. Their encoding, a
// wire.Packet, has at most MaxContent bytes.
func (d Depositor) Seal(now time.Time, r Room, recipient chat.PersonID, content []byte) (Envelope, error) {
	if len(content) == 0 || len(content) > MaxContent {
		return Envelope{}, fmt.Errorf("courier: %d bytes for an envelope", len(content))
	}
	e := Envelope{
		Tag: r.TagOf(recipient, now), Made: now.UTC().Truncate(time.Second),
		Expires: now.UTC().Truncate(time.Second).Add(Lifetime), By: d.Certificate,
	}
	if _, err := io.ReadFull(d.Random, e.Salt[:]); err != nil {
		return Envelope{}, fmt.Errorf("courier: no randomness: %w", err)
	}
	e.Lock = lockOf(r.proof(e.Salt))
	size := 4 + len(content)
	padded := make([]byte, (size+sizeStep-1)/sizeStep*sizeStep)
	binary.BigEndian.PutUint32(padded, uint32(len(content)))
	copy(padded[4:], content)
	e.Box = aead(r.key(e.Salt)).Seal(nil, make([]byte, chacha20poly1305.NonceSize), padded, e.associated())
	body := wire.Marshal(rawBody{
		Version: version, Tag: e.Tag[:], Salt: e.Salt[:], Lock: e.Lock[:], Made: seconds(e.Made), Expires: seconds(e.Expires),
		Box: e.Box, Certificate: d.Certificate.Bytes(),
	})
	sig := ed25519.Sign(d.Key, append([]byte(domainEnvelope), body...))
	return Parse(wire.Marshal(rawEnvelope{Body: body, Sig: sig}))
}

func aead(key [32]byte) interface {
	Seal(dst, nonce, plaintext, additionalData []byte) []byte
	Open(dst, nonce, ciphertext, additionalData []byte) ([]byte, error)
} {
	a, err := chacha20poly1305.New(key[:])
	if err != nil {
		panic(err) // a key of another length
	}
	return a
}

// Parse reads what Bytes returned and checks everything but the signatures, which
// Verify does and which cost more. It keeps b.
func Parse(b []byte) (Envelope, error) {
	if len(b) > wire.MaxEnvelope {
		return Envelope{}, invalid("an envelope of %d bytes, over %d", len(b), wire.MaxEnvelope)
	}
	var raw rawEnvelope
	if err := wire.Unmarshal(b, &raw); err != nil {
		return Envelope{}, err
	}
	var in rawBody
	if err := wire.Unmarshal(raw.Body, &in); err != nil {
		return Envelope{}, err
	}
	if in.Version != version || len(raw.Sig) != ed25519.SignatureSize {
		return Envelope{}, invalid("an envelope of another version")
	}
	cert, err := identity.Parse(in.Certificate)
	if err != nil {
		return Envelope{}, err
	}
	e, err := assemble(in.Tag, in.Salt, in.Lock, in.Made, in.Expires, in.Box)
	if err != nil {
		return Envelope{}, err
	}
	if e.Expires.Sub(e.Made) > MaxLifetime {
		return Envelope{}, invalid("an envelope that is to be held for %d days", e.Expires.Sub(e.Made)/(24*time.Hour))
	}
	e.By, e.bytes, e.body, e.sig = cert, b, raw.Body, raw.Sig
	e.ID = e.id(e.blindDepositor())
	return e, nil
}

// assemble makes an envelope of its fields, without who deposited it.
func assemble(tag, salt, lock []byte, made, expires uint64, box []byte) (Envelope, error) {
	var e Envelope
	const last = 253402300799 // the end of the year 9999
	switch {
	case len(tag) != len(e.Tag), len(salt) != len(e.Salt), len(lock) != len(e.Lock):
		return e, invalid("an envelope with a field of another length")
	case made > expires || expires > last:
		return e, invalid("an envelope from the second %d to %d", made, expires)
	case len(box) < sizeStep || len(box)%sizeStep != chacha20poly1305.Overhead:
		return e, invalid("a box of %d bytes", len(box))
	}
	e.Tag, e.Salt, e.Lock = Tag(tag), Salt(salt), [32]byte(lock)
	e.Made, e.Expires, e.Box = time.Unix(int64(made), 0).UTC(), time.Unix(int64(expires), 0).UTC(), box
	return e, nil
}

// Verify reports whether a device of the person who certified it signed the envelope.
func (e *Envelope) Verify() error {
	if err := e.By.Verify(); err != nil {
		return err
	}
	if !ed25519.Verify(e.By.Device[:], append([]byte(domainEnvelope), e.body...), e.sig) {
		return invalid("an envelope whose signature is not its depositor's")
	}
	return nil
}

// Bytes returns the envelope as it is deposited; the caller must not change it.
func (e *Envelope) Bytes() []byte { return e.bytes }

// HandOver returns the frame that brings an envelope to who may take it.
func (e *Envelope) HandOver() wire.HandOver {
	by := e.blindDepositor()
	return wire.HandOver{
		ID: e.ID[:], Tag: e.Tag[:], Salt: e.Salt[:], Lock: e.Lock[:], Made: seconds(e.Made), Expires: seconds(e.Expires),
		Box: e.Box, By: by[:],
	}
}

// handedOver reads what brings an envelope; it has no depositor and no Bytes.
func handedOver(f *wire.HandOver) (Envelope, error) {
	e, err := assemble(f.Tag, f.Salt, f.Lock, f.Made, f.Expires, f.Box)
	if err != nil {
		return e, err
	}
	if e.ID = e.id([32]byte(f.By)); e.ID != ID(f.ID) {
		return e, invalid("another envelope than the one that was asked for")
	}
	return e, nil
}

// Open returns the content of an envelope of a conversation.
func (r Room) Open(e *Envelope) (wire.Packet, error) {
	padded, err := aead(r.key(e.Salt)).Open(nil, make([]byte, chacha20poly1305.NonceSize), e.Box, e.associated())
	if err != nil {
		return wire.Packet{}, invalid("an envelope that does not open")
	}
	size := binary.BigEndian.Uint32(padded)
	if uint64(size)+4 > uint64(len(padded)) || len(padded)-int(size)-4 >= sizeStep {
		return wire.Packet{}, invalid("an envelope with another padding")
	}
	return wire.DecodePacket(padded[4 : 4+size])
}

// sealReply encrypts what who has taken an envelope says back to its depositor. More
// than one device may, so each draws a nonce.
func (r Room) sealReply(random io.Reader, s Salt, reply []byte) ([]byte, error) {
	a, err := chacha20poly1305.NewX(replyKey(r, s))
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, chacha20poly1305.NonceSizeX, chacha20poly1305.NonceSizeX+len(reply)+a.Overhead())
	if _, err := io.ReadFull(random, nonce); err != nil {
		return nil, fmt.Errorf("courier: no randomness: %w", err)
	}
	return a.Seal(nonce, nonce, reply, nil), nil
}

func (r Room) openReply(s Salt, b []byte) ([]byte, bool) {
	a, err := chacha20poly1305.NewX(replyKey(r, s))
	if err != nil || len(b) < chacha20poly1305.NonceSizeX {
		return nil, false
	}
	reply, err := a.Open(nil, b[:chacha20poly1305.NonceSizeX], b[chacha20poly1305.NonceSizeX:], nil)
	return reply, err == nil
}

func replyKey(r Room, s Salt) []byte {
	k := mac(r.ID[:], domainReply, s[:])
	return k[:]
}

// invalid makes the error for bytes that break PROTOCOL.md#couriers.
func invalid(format string, args ...any) error {
	return chat.Wrap(chat.CodeInvalid, fmt.Errorf(format, args...),
		"A device sent something that breaks the protocol: "+fmt.Sprintf(format, args...)+".",
		"Nothing is lost; if it goes on, update Earshot on that device.")
}
