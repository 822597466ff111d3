package seal

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hpke"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

// MaxPrekey bounds the encoding of a prekey, in bytes. Today's take 1,336.
const MaxPrekey = 1400

// maxSeconds bounds times, in seconds since the Unix epoch: the end of the year
// 9999, which RFC 3339 can still write.
const maxSeconds = 253402300799

// Prekey is a KEM key that a device has signed, for others to wrap keys to it
// while it is away. The zero Prekey stands for one that is not known.
type Prekey struct {
	Device    chat.DeviceID
	CreatedAt time.Time // by the device's clock; whole seconds, UTC

	id     shortID
	public []byte
	raw    []byte // the whole encoding
	body   []byte // what was signed
	sig    []byte
}

type rawPrekey struct {
	_    struct{} `cbor:",toarray"`
	Body []byte
	Sig  []byte
}

type rawPrekeyBody struct {
	Suite   uint8  `cbor:"1,keyasint"`
	Device  []byte `cbor:"2,keyasint"`
	Public  []byte `cbor:"3,keyasint"`
	Created uint64 `cbor:"4,keyasint"`
}

// signPrekey certifies a KEM public key through the device's key.
func signPrekey(key ed25519.PrivateKey, public []byte, created time.Time) (Prekey, error) {
	body := wire.Marshal(rawPrekeyBody{
		Suite: Suite, Device: key.Public().(ed25519.PublicKey), Public: public, Created: uint64(max(0, created.Unix())),
	})
	return ParsePrekey(wire.Marshal(rawPrekey{Body: body, Sig: ed25519.Sign(key, append([]byte(domainPrekey), body...))}))
}

// ParsePrekey reads what Bytes returned and checks everything but the signature
// and the KEM key itself, which cost more and are checked before a key is wrapped
// with it. Errors have chat.CodeInvalid.
func ParsePrekey(b []byte) (Prekey, error) {
	if len(b) > MaxPrekey {
		return Prekey{}, invalid("a prekey of %d bytes, over %d", len(b), MaxPrekey)
	}
	var raw rawPrekey
	if err := wire.Unmarshal(b, &raw); err != nil {
		return Prekey{}, err
	}
	var in rawPrekeyBody
	if err := wire.Unmarshal(raw.Body, &in); err != nil {
		return Prekey{}, err
	}
	switch {
	case in.Suite != Suite:
		return Prekey{}, invalid("encryption suite %d, this is %d", in.Suite, Suite)
	case len(raw.Sig) != ed25519.SignatureSize:
		return Prekey{}, invalid("a prekey with a signature of %d bytes", len(raw.Sig))
	case len(in.Device) != len(chat.DeviceID{}):
		return Prekey{}, invalid("a prekey with a device key of %d bytes", len(in.Device))
	case len(in.Public) != kemPublic:
		return Prekey{}, invalid("a prekey of %d bytes instead of %d", len(in.Public), kemPublic)
	case in.Created > maxSeconds:
		return Prekey{}, invalid("a prekey made after the year 9999")
	}
	id := hash(domainPrekeyID, in.Public)
	return Prekey{
		Device: chat.DeviceID(in.Device), CreatedAt: time.Unix(int64(in.Created), 0).UTC(),
		id: shortID(id[:idSize]), public: in.Public, raw: bytes.Clone(b), body: raw.Body, sig: raw.Sig,
	}, nil
}

// Verify reports, with chat.CodeInvalid, if the device did not sign the prekey.
func (p Prekey) Verify() error {
	if !ed25519.Verify(p.Device[:], append([]byte(domainPrekey), p.body...), p.sig) {
		return invalid("a prekey whose signature is not its device's")
	}
	return nil
}

// Bytes returns the exact encoding, to be stored and sent; nil for the zero
// Prekey. The caller must not change it.
func (p Prekey) Bytes() []byte { return p.raw }

// IsZero reports whether p stands for a prekey that is not known.
func (p Prekey) IsZero() bool { return p.raw == nil }

// ownPrekey is a prekey of this device with its private half.
type ownPrekey struct {
	seed     []byte
	created  time.Time
	replaced time.Time // zero for the current one
	key      hpke.PrivateKey
	signed   Prekey
}

// dead reports whether the private half is to be forgotten.
func (p *ownPrekey) dead(now time.Time) bool {
	return !p.replaced.IsZero() && now.Sub(p.replaced) >= PrekeyGrace
}

// newOwnPrekey derives everything from the seed of the KEM key.
func newOwnPrekey(device ed25519.PrivateKey, seed []byte, created time.Time) (*ownPrekey, error) {
	key, err := kem.NewPrivateKey(seed)
	if err != nil {
		return nil, err
	}
	signed, err := signPrekey(device, key.PublicKey().Bytes(), created)
	if err != nil {
		return nil, err
	}
	return &ownPrekey{seed: seed, created: signed.CreatedAt, key: key, signed: signed}, nil
}

// renewPrekey makes this device's next prekey when it is time, or when the clock was
// set back so far that others would not take the one it has.
func (e *Engine) renewPrekey(now time.Time) error {
	if p := e.prekey; p != nil {
		if age := now.Sub(p.created); age < PrekeyLife && age > -MaxFuturePrekey {
			return nil
		}
	}
	seed := make([]byte, kemSeed)
	if err := e.random(seed); err != nil {
		return err
	}
	next, err := newOwnPrekey(e.cfg.Key, seed, now)
	if err != nil {
		return err
	}
	if old := e.prekey; old != nil {
		old.replaced = now
		e.persist(prekeyKey(old.signed.id), old.encode())
	}
	e.prekey = next
	e.prekeys[next.signed.id] = next
	e.persist(prekeyKey(next.signed.id), next.encode())
	e.emit(Publish{Prekey: next.signed})
	return nil
}

// within reports whether less than life has passed since then, and then is not in
// the future by more than a clock may be set back.
func within(now, then time.Time, life time.Duration) bool {
	age := now.Sub(then)
	return age < life && age > -clockSlack
}
