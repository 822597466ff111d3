// Package wire turns entries and frames into bytes and back. It knows the layout
// of PROTOCOL.md and which limits a stranger's bytes meet before they cost
// anything; it knows no rooms' rules, no network and no disk.
package wire

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"

	"earshot/chat"
)

// Version is the version of the entry format, in every header.
const Version = 1

// MaxSeq bounds sequence numbers. In a frontier it says that nothing more of a log
// is wanted.
const MaxSeq = 1 << 62

// Domains separate what is signed and hashed here from everything else.
const (
	domainEntry   = "earshot/v1 entry\x00"
	domainEntryID = "earshot/v1 entry-id\x00"
)

// Kind says what an entry's payload is. Unknown kinds are stored and passed on,
// not acted on.
type Kind uint8

const (
	// KindOpen is the first entry of every log, and only that: it certifies the
	// log by carrying its device's certificate.
	KindOpen Kind = 1
	// KindMessage is text said in the room.
	KindMessage Kind = 2
	// KindProfile changes the name that its author goes by.
	KindProfile Kind = 3
	// KindEdit changes what a message of its author's says.
	KindEdit Kind = 4
	// KindDelete removes messages.
	KindDelete Kind = 5
	// KindReaction puts a sign under a message, or takes it away.
	KindReaction Kind = 6
	// KindSetting says for how long what is said in a direct chat is kept.
	KindSetting Kind = 7
	// KindKeyShare hands keys of a sealed room to some of its devices; chat/seal
	// has its layout.
	KindKeyShare Kind = 16
	// KindKeyRequest asks for such a key; likewise.
	KindKeyRequest Kind = 17
	// KindPrekey says, in clear, under which key its author can be given keys of a
	// sealed room; its payload is the prekey, 1 to MaxPrekey bytes.
	KindPrekey Kind = 18
	// KindMembership carries signed operations of a private room, sealed; see
	// Operations.
	KindMembership Kind = 19
	// KindDevices carries its author's device list, sealed, as chat/identity
	// encodes it.
	KindDevices Kind = 20
)

// Dep names an entry of another log that the author had seen.
type Dep struct {
	Log chat.LogID
	Seq uint64
}

// Removable reports whether the payload of an entry of this kind may be removed:
// of what people have said, and of kinds that this version does not know.
func (k Kind) Removable() bool {
	switch k {
	case KindOpen, KindProfile, KindDelete, KindReaction, KindSetting,
		KindKeyShare, KindKeyRequest, KindPrekey, KindMembership, KindDevices:
		return false
	}
	return true
}

// Header is the signed part of an entry (PROTOCOL.md#entries).
type Header struct {
	Device chat.DeviceID // author
	Log    chat.LogID
	Ref    chat.RoomRef // the room, blinded by the log
	Seq    uint64       // from 1, without holes
	Prev   chat.EntryID // id of Seq-1; zero for the first
	Deps   []Dep        // at most chat.MaxDeps, in ascending order of log
	HLC    chat.HLC     // later than Prev's and every dep's
	Kind   Kind
	Epoch  uint64 // of end-to-end encryption; 0 in open rooms

	PayloadHash [32]byte // SHA-256
	PayloadSize uint32   // bytes, at most chat.MaxPayload
}

// Entry is one signed item of a log, together with the exact bytes that were
// signed: they are stored and passed on, never encoded again.
type Entry struct {
	Header
	ID      chat.EntryID
	Head    []byte
	Sig     [ed25519.SignatureSize]byte
	Payload []byte // nil where it was removed
}

// rawHeader is the layout of the header: a map with integer keys.
type rawHeader struct {
	Version uint8    `cbor:"1,keyasint"`
	Device  []byte   `cbor:"2,keyasint"`
	Log     []byte   `cbor:"3,keyasint"`
	Ref     []byte   `cbor:"4,keyasint"`
	Seq     uint64   `cbor:"5,keyasint"`
	Prev    []byte   `cbor:"6,keyasint,omitempty"`
	Deps    []rawDep `cbor:"7,keyasint,omitempty"`
	HLC     uint64   `cbor:"8,keyasint"`
	Kind    uint8    `cbor:"9,keyasint"`
	Epoch   *uint64  `cbor:"10,keyasint,omitempty"`
	Hash    []byte   `cbor:"11,keyasint"`
	Size    uint32   `cbor:"12,keyasint"`
}

type rawDep struct {
	_   struct{} `cbor:",toarray"`
	Log []byte
	Seq uint64
}

// Origin returns the log that the header names, which is not Log where that is the name
// of a branch.
func (e *Entry) Origin() chat.LogID {
	var raw rawHeader
	if err := Unmarshal(e.Head, &raw); err != nil || len(raw.Log) != len(e.Log) {
		return e.Log
	}
	return chat.LogID(raw.Log)
}

// Sign makes an entry of h and payload with the device's key. It sets the fields
// of h that follow from them: Device, PayloadHash, PayloadSize.
func Sign(key ed25519.PrivateKey, h Header, payload []byte) (Entry, error) {
	if len(payload) > chat.MaxPayload {
		return Entry{}, chat.Errorf(chat.CodeTooLong, "This is %d bytes and may be %d. Send it in parts.", len(payload), chat.MaxPayload)
	}
	copy(h.Device[:], key.Public().(ed25519.PublicKey))
	h.PayloadHash, h.PayloadSize = sha256.Sum256(payload), uint32(len(payload))
	e := Entry{Header: h, Head: h.encode(), Payload: payload}
	if err := check(&e.Header); err != nil {
		return Entry{}, err
	}
	e.ID = entryID(e.Head)
	copy(e.Sig[:], ed25519.Sign(key, signedBytes(e.Head)))
	return e, nil
}

// encode returns the bytes that are signed.
func (h *Header) encode() []byte {
	raw := rawHeader{
		Version: Version, Device: h.Device[:], Log: h.Log[:], Ref: h.Ref[:], Seq: h.Seq, Deps: rawDeps(h.Deps),
		HLC: uint64(h.HLC), Kind: uint8(h.Kind), Hash: h.PayloadHash[:], Size: h.PayloadSize,
	}
	if h.Epoch != 0 {
		raw.Epoch = &h.Epoch
	}
	if !h.Prev.IsZero() {
		raw.Prev = h.Prev[:]
	}
	return Marshal(raw)
}

func rawDeps(deps []Dep) (out []rawDep) {
	for i := range deps {
		out = append(out, rawDep{Log: deps[i].Log[:], Seq: deps[i].Seq})
	}
	return out
}

// takeDeps fills the header's dependencies.
func (h *Header) takeDeps(raw []rawDep) error {
	if raw != nil && len(raw) == 0 {
		return invalid("an empty list of dependencies instead of none")
	}
	if len(raw) > chat.MaxDeps {
		return invalid("%d dependencies, over %d", len(raw), chat.MaxDeps)
	}
	for _, d := range raw {
		dep := Dep{Seq: d.Seq}
		if err := fixed(dep.Log[:], d.Log, "dependency"); err != nil {
			return err
		}
		h.Deps = append(h.Deps, dep)
	}
	return nil
}

// DecodeEntry reads an entry from its three parts and checks everything but the
// signature, which Verify does and which costs more. payload is nil where it was
// removed. The entry keeps head and payload: the caller must not change them.
func DecodeEntry(head, sig, payload []byte) (Entry, error) {
	if len(head) > chat.MaxHeader {
		return Entry{}, invalid("a header of %d bytes, over %d", len(head), chat.MaxHeader)
	}
	if len(payload) > chat.MaxPayload {
		return Entry{}, invalid("a payload of %d bytes, over %d", len(payload), chat.MaxPayload)
	}
	var e Entry
	if err := fixed(e.Sig[:], sig, "signature"); err != nil {
		return Entry{}, err
	}
	var raw rawHeader
	if err := Unmarshal(head, &raw); err != nil {
		return Entry{}, err
	}
	if raw.Version != Version {
		return Entry{}, invalid("entry version %d, this is version %d", raw.Version, Version)
	}
	h := Header{Seq: raw.Seq, HLC: chat.HLC(raw.HLC), Kind: Kind(raw.Kind), PayloadSize: raw.Size}
	for _, f := range []struct {
		dst, src []byte
		name     string
	}{
		{h.Device[:], raw.Device, "device"},
		{h.Log[:], raw.Log, "log"},
		{h.Ref[:], raw.Ref, "room reference"},
		{h.PayloadHash[:], raw.Hash, "payload hash"},
	} {
		if err := fixed(f.dst, f.src, f.name); err != nil {
			return Entry{}, err
		}
	}
	if raw.Epoch != nil {
		if h.Epoch = *raw.Epoch; h.Epoch == 0 {
			return Entry{}, invalid("an epoch 0 instead of none")
		}
	}
	if raw.Prev != nil {
		if err := fixed(h.Prev[:], raw.Prev, "previous entry"); err != nil {
			return Entry{}, err
		}
	}
	if err := h.takeDeps(raw.Deps); err != nil {
		return Entry{}, err
	}
	if err := check(&h); err != nil {
		return Entry{}, err
	}
	if payload != nil && (len(payload) != int(h.PayloadSize) || sha256.Sum256(payload) != h.PayloadHash) {
		return Entry{}, invalid("a payload that its header does not name")
	}
	e.Header, e.Head, e.Payload, e.ID = h, head, payload, entryID(head)
	return e, nil
}

// Verify reports whether the author's device signed the header.
func (e *Entry) Verify() error {
	if !ed25519.Verify(e.Device[:], signedBytes(e.Head), e.Sig[:]) {
		return invalid("an entry whose signature is not its author's")
	}
	return nil
}

// check holds the rules that need nothing but the header.
func check(h *Header) error {
	switch {
	case h.Seq == 0:
		return invalid("sequence number 0")
	case h.Seq > MaxSeq || h.HLC > chat.MaxHLC:
		return invalid("a sequence number or clock out of range")
	case (h.Seq == 1) != h.Prev.IsZero():
		return invalid("only a log's first entry has no predecessor")
	case (h.Seq == 1) != (h.Kind == KindOpen):
		return invalid("a log opens with its certificate and has one only there")
	case h.Kind == 0:
		return invalid("kind 0")
	case h.PayloadSize > chat.MaxPayload:
		return invalid("a payload of %d bytes, over %d", h.PayloadSize, chat.MaxPayload)
	case len(h.Deps) > chat.MaxDeps:
		return invalid("%d dependencies, over %d", len(h.Deps), chat.MaxDeps)
	}
	for i, d := range h.Deps {
		if d.Seq == 0 || d.Seq > MaxSeq || d.Log == h.Log || (i > 0 && string(h.Deps[i-1].Log[:]) >= string(d.Log[:])) {
			return invalid("dependencies out of order or on itself")
		}
	}
	return nil
}

func entryID(head []byte) chat.EntryID {
	return sha256.Sum256(append([]byte(domainEntryID), head...))
}

func signedBytes(head []byte) []byte { return append([]byte(domainEntry), head...) }

// fixed copies src to dst if its length is exactly dst's.
func fixed(dst, src []byte, name string) error {
	if len(src) != len(dst) {
		return invalid("a %s of %d bytes instead of %d", name, len(src), len(dst))
	}
	copy(dst, src)
	return nil
}

// String names the entry for logs.
func (e *Entry) String() string {
	return fmt.Sprintf("%s %s/%d", e.ID.Short(), e.Log.Short(), e.Seq)
}
