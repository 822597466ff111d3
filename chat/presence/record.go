package presence

import (
	"bytes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"earshot/chat"
	"earshot/chat/wire"
)

// signed is what a body is, once it is open: what was signed, and the signature.
type signed struct {
	_    struct{} `cbor:",toarray"`
	Body []byte
	Sig  []byte
}

// body is what a device says of itself.
type body struct {
	Version uint8  `cbor:"1,keyasint"` // of the format
	Device  []byte `cbor:"2,keyasint"`
	Seq     uint64 `cbor:"3,keyasint"` // only rises: the device's clock in microseconds
	Salt    []byte `cbor:"4,keyasint"` // the link is made of it
	Bye     bool   `cbor:"5,keyasint,omitempty"`
	Part    []byte `cbor:"6,keyasint,omitempty"` // what the device shows of itself
	Box     []byte `cbor:"7,keyasint,omitempty"` // the same, for holders of its key
}

// part is what a device shows of itself. Times are seconds since 1970, but for Chosen.
type part struct {
	State     uint8  `cbor:"1,keyasint,omitempty"`
	Since     uint64 `cbor:"2,keyasint,omitempty"`
	Until     uint64 `cbor:"3,keyasint,omitempty"`
	Text      string `cbor:"4,keyasint,omitempty"`
	TextUntil uint64 `cbor:"5,keyasint,omitempty"`
	Chosen    uint64 `cbor:"6,keyasint,omitempty"` // microseconds
}

const (
	bodyVersion = 1
	saltSize    = 16
	// padTo is the multiple of which a sealed part or record is long, in bytes, so
	// that its length tells little.
	padTo = 128
)

// states by their numbers, which are append-only.
var states = []chat.Availability{1: chat.Available, 2: chat.Away, 3: chat.Busy, 4: chat.InMeeting, 5: chat.DoNotDisturb}

// statement is a record that has been read and checked.
type statement struct {
	device chat.DeviceID
	seq    uint64
	bye    bool
	part   *part  // nil for none, or none that can be read yet
	box    []byte // nil for none
	salt   []byte
}

// key opens what a device shows of itself.
type key [wire.PresenceKeySize]byte

// sub derives a key for one use.
func (k *key) sub(use string) cipher.AEAD {
	h := hmac.New(sha256.New, k[:])
	h.Write([]byte(use))
	a, err := chacha20poly1305.New(h.Sum(nil))
	if err != nil {
		panic(err) // the key has the right length
	}
	return a
}

// seal encrypts b, padded, under a fresh nonce.
func seal(a cipher.AEAD, random io.Reader, b, associated []byte) ([]byte, error) {
	nonce := make([]byte, a.NonceSize(), a.NonceSize()+len(b)+padTo+a.Overhead())
	if _, err := io.ReadFull(random, nonce); err != nil {
		return nil, fmt.Errorf("no randomness: %w", err)
	}
	padded := append(slices.Clone(b), 0x80)
	padded = append(padded, make([]byte, (padTo-len(padded)%padTo)%padTo)...)
	return a.Seal(nonce, nonce, padded, associated), nil
}

func open(a cipher.AEAD, box, associated []byte) ([]byte, bool) {
	if len(box) < a.NonceSize() {
		return nil, false
	}
	b, err := a.Open(nil, box[:a.NonceSize()], box[a.NonceSize():], associated)
	if err != nil {
		return nil, false
	}
	b = bytes.TrimRight(b, "\x00")
	if len(b) == 0 || b[len(b)-1] != 0x80 {
		return nil, false
	}
	return b[:len(b)-1], true
}

// linkOf returns what goes into the steps of a device's chain.
func linkOf(device chat.DeviceID, salt []byte) link {
	h := sha256.New()
	h.Write([]byte(domainLink))
	h.Write(device[:])
	h.Write(salt)
	return link(h.Sum(nil)[:len(link{})])
}

// signedBytes is what the device signs: all that is in the record, wherever it stands.
func signedBytes(anchor []byte, first uint64, body []byte) []byte {
	b := make([]byte, 0, len(domainRecord)+len(anchor)+8+len(body))
	b = append(b, domainRecord...)
	b = append(b, anchor...)
	b = binary.BigEndian.AppendUint64(b, first)
	return append(b, body...)
}

// outside is what the sealed body of a record is bound to.
func outside(link, anchor []byte, first uint64) []byte {
	return binary.BigEndian.AppendUint64(slices.Concat(link, anchor), first)
}

// draft is a record that is about to be signed.
type draft struct {
	key    ed25519.PrivateKey
	seq    uint64
	salt   []byte
	first  int64
	anchor beat
	bye    bool
	part   *part // nil for none
	reach  Reach
	holder *key // seals the part, or all of it, as reach says
}

// sign makes the record.
func (d *draft) sign(random io.Reader) (wire.PresenceRecord, error) {
	var id chat.DeviceID
	copy(id[:], d.key[ed25519.PrivateKeySize-ed25519.PublicKeySize:])
	l := linkOf(id, d.salt)
	b := body{Version: bodyVersion, Device: id[:], Seq: d.seq, Salt: d.salt, Bye: d.bye}
	if d.part != nil {
		p := wire.Marshal(d.part)
		if d.reach == ReachNamed {
			box, err := seal(d.holder.sub(domainPart), random, p, l[:])
			if err != nil {
				return wire.PresenceRecord{}, err
			}
			b.Box = box
		} else {
			b.Part = p
		}
	}
	raw := wire.Marshal(b)
	r := wire.PresenceRecord{Link: l[:], Anchor: d.anchor[:], First: uint64(d.first)}
	r.Body = wire.Marshal(signed{Body: raw, Sig: ed25519.Sign(d.key, signedBytes(r.Anchor, r.First, raw))})
	if d.reach == ReachHolders {
		box, err := seal(d.holder.sub(domainSealed), random, r.Body, outside(r.Link, r.Anchor, r.First))
		if err != nil {
			return wire.PresenceRecord{}, err
		}
		r.Sealed, r.Body = true, box
	}
	return r, nil
}

// openRecord returns a sealed record as it was before, if k opens it.
func openRecord(r *wire.PresenceRecord, k *key) (wire.PresenceRecord, bool) {
	b, ok := open(k.sub(domainSealed), r.Body, outside(r.Link, r.Anchor, r.First))
	if !ok {
		return wire.PresenceRecord{}, false
	}
	out := *r
	out.Sealed, out.Body = false, b
	return out, true
}

// read checks a record that is not sealed, but for its signature.
func read(r *wire.PresenceRecord) (st statement, env signed, err error) {
	var b body
	if err = wire.Unmarshal(r.Body, &env); err == nil {
		err = wire.Unmarshal(env.Body, &b)
	}
	switch {
	case err != nil:
	case b.Version != bodyVersion:
		err = invalid("a record of another version")
	case len(b.Device) != len(chat.DeviceID{}), len(b.Salt) != saltSize, len(env.Sig) != ed25519.SignatureSize:
		err = invalid("a malformed record")
	case b.Seq == 0 || b.Seq > uint64(chat.MaxHLC):
		err = invalid("a record with an impossible number")
	case b.Bye && (b.Part != nil || b.Box != nil), b.Part != nil && b.Box != nil:
		err = invalid("a record that contradicts itself")
	}
	if err != nil {
		return st, env, err
	}
	st = statement{device: chat.DeviceID(b.Device), seq: b.Seq, bye: b.Bye, box: b.Box, salt: b.Salt}
	if linkOf(st.device, b.Salt) != link(r.Link) {
		return st, env, invalid("a record with another device's chain")
	}
	if b.Part != nil {
		st.part, err = readPart(b.Part)
	}
	return st, env, err
}

// verify reports, with chat.CodeInvalid, if the device did not sign the record.
func (st *statement) verify(check func(ed25519.PublicKey, []byte, []byte) bool, r *wire.PresenceRecord, env signed) error {
	if !check(st.device[:], signedBytes(r.Anchor, r.First, env.Body), env.Sig) {
		return invalid("a record that its device did not sign")
	}
	return nil
}

// unlock reads the part with its device's key. What can't be read is not shown.
func (st *statement) unlock(r *wire.PresenceRecord, k *key) {
	if st.part != nil || st.box == nil || k == nil {
		return
	}
	if b, ok := open(k.sub(domainPart), st.box, r.Link); ok {
		st.part, _ = readPart(b)
	}
}

func readPart(b []byte) (*part, error) {
	var p part
	if err := wire.Unmarshal(b, &p); err != nil {
		return nil, err
	}
	if len(p.Text) > chat.MaxStatusText || p.Since > wire.MaxSlot*30 || p.Until > wire.MaxSlot*30 || p.TextUntil > wire.MaxSlot*30 || p.Chosen > uint64(chat.MaxHLC) {
		return nil, invalid("a status out of bounds")
	}
	p.Text = chat.CleanStatus(p.Text)
	return &p, nil
}

// newPart returns what travels of a status.
func newPart(o *Own) *part {
	p := &part{
		State: uint8(max(0, slices.Index(states, o.Status.State))), Since: seconds(o.Status.Since), Until: seconds(o.Status.Until),
		Text: chat.CleanStatus(o.Status.Text), TextUntil: seconds(o.Status.TextUntil),
	}
	if !o.Chosen.IsZero() {
		p.Chosen = uint64(chat.HLCOf(o.Chosen))
	}
	return p
}

// status returns what a part says at a time. A state of a later version is none.
func (p *part) status(now time.Time) chat.Status {
	s := chat.Status{Text: p.Text, Since: moment(p.Since), Until: moment(p.Until), TextUntil: moment(p.TextUntil)}
	if int(p.State) < len(states) {
		s.State = states[p.State]
	}
	if s.State == "" {
		s.Since, s.Until = time.Time{}, time.Time{}
	}
	s = s.At(now)
	if s.Since.After(now) {
		s.Since = now.Truncate(time.Second).UTC()
	}
	return s
}

func seconds(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(min(max(0, t.Unix()), wire.MaxSlot*30))
}

func moment(s uint64) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(int64(s), 0).UTC()
}

// invalid makes the error for what breaks PROTOCOL.md#presence.
func invalid(what string) error {
	return chat.Errorf(chat.CodeInvalid, "A device passed on %s. It was refused; nothing needs to be done.", what)
}
