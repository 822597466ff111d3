package identity

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"time"
	"unicode/utf8"

	"earshot/chat"
)

const (
	domainList   = "earshot/v1 device-list\x00"
	domainListID = "earshot/v1 device-list-id\x00"
)

// Bounds of a device list.
const (
	// MaxDevices bounds the devices of one person that are in use (guess).
	MaxDevices = 16
	// MaxRevoked bounds the devices that one list declares revoked (guess: one a
	// quarter for ten years, and some to spare).
	MaxRevoked = 48
	// MaxPrekey bounds the prekey slot of a device, in bytes; a hybrid one takes
	// 1,336.
	MaxPrekey = 1400
	// MaxDeviceList bounds the encoding, in bytes: 16 devices with the largest
	// prekeys and 48 revoked ones take under 26,000, and a list fits one frame.
	MaxDeviceList = 32 << 10
	// maxListSeq bounds the number of a list, so that none is the last.
	maxListSeq = 1 << 62
)

// ListHash names one device list: the hash of what its root signed.
type ListHash [32]byte

// ListedDevice is a device in use.
type ListedDevice struct {
	Device chat.DeviceID
	Label  string // as in Certificate
	// Prekey is what others wrap keys to; opaque here, empty for none, at most
	// MaxPrekey bytes.
	Prekey []byte
}

// DeviceList is the statement of a root key which devices are its person's and
// which no longer are (PROTOCOL.md#device-lists). Only Registry.Sign and
// ParseDevices make one that can be encoded.
type DeviceList struct {
	Root     [ed25519.PublicKeySize]byte
	Seq      uint64   // from 1
	Prev     ListHash // of the list before; zero for the first
	IssuedAt time.Time
	Devices  []ListedDevice  // in use, ascending
	Revoked  []chat.DeviceID // for ever, ascending

	raw, body, sig []byte
}

// listBody is the signed part: a map with integer keys.
type listBody struct {
	Version uint8       `cbor:"1,keyasint"`
	Root    []byte      `cbor:"2,keyasint"`
	Seq     uint64      `cbor:"3,keyasint"`
	Prev    []byte      `cbor:"4,keyasint,omitempty"`
	Issued  uint64      `cbor:"5,keyasint"`
	Devices []rawDevice `cbor:"6,keyasint,omitempty"`
	Revoked [][]byte    `cbor:"7,keyasint,omitempty"`
}

type rawDevice struct {
	_      struct{} `cbor:",toarray"`
	Device []byte
	Label  string
	Prekey []byte
}

// ParseDevices reads what DeviceList.Bytes returned and checks everything but the
// signature, which Verify does. Any but the one encoding is refused with
// chat.CodeInvalid.
func ParseDevices(b []byte) (DeviceList, error) {
	const what = "a device list"
	if len(b) > MaxDeviceList {
		return DeviceList{}, invalid("%s of %d bytes, over %d", what, len(b), MaxDeviceList)
	}
	var env envelope
	if err := strict(what, b, &env); err != nil {
		return DeviceList{}, err
	}
	var in listBody
	if err := strict(what, env.Body, &in); err != nil {
		return DeviceList{}, err
	}
	switch {
	case len(env.Sig) != ed25519.SignatureSize:
		return DeviceList{}, invalid("%s with a signature of %d bytes", what, len(env.Sig))
	case in.Version != Version:
		return DeviceList{}, invalid("device list version %d, this is version %d", in.Version, Version)
	case len(in.Root) != ed25519.PublicKeySize:
		return DeviceList{}, invalid("%s with a root key of %d bytes", what, len(in.Root))
	case in.Seq == 0 || in.Seq > maxListSeq:
		return DeviceList{}, invalid("%s with the number %d", what, in.Seq)
	case in.Seq == 1 && in.Prev != nil || in.Seq > 1 && len(in.Prev) != len(ListHash{}):
		return DeviceList{}, invalid("%s with the number %d after one whose hash has %d bytes", what, in.Seq, len(in.Prev))
	case in.Issued > maxIssued:
		return DeviceList{}, invalid("%s issued after the year 9999", what)
	case len(in.Devices) > MaxDevices || len(in.Revoked) > MaxRevoked:
		return DeviceList{}, invalid("%s of %d devices and %d revoked ones", what, len(in.Devices), len(in.Revoked))
	}
	out := DeviceList{
		Root: [ed25519.PublicKeySize]byte(in.Root), Seq: in.Seq, IssuedAt: time.Unix(int64(in.Issued), 0).UTC(),
		raw: bytes.Clone(b), body: env.Body, sig: env.Sig,
	}
	copy(out.Prev[:], in.Prev)
	revoked := map[chat.DeviceID]bool{}
	for i, d := range in.Revoked {
		if len(d) != len(chat.DeviceID{}) || i > 0 && bytes.Compare(in.Revoked[i-1], d) >= 0 {
			return DeviceList{}, invalid("%s whose revoked devices are malformed or do not ascend", what)
		}
		out.Revoked = append(out.Revoked, chat.DeviceID(d))
		revoked[chat.DeviceID(d)] = true
	}
	for i, d := range in.Devices {
		switch {
		case len(d.Device) != len(chat.DeviceID{}) || i > 0 && bytes.Compare(in.Devices[i-1].Device, d.Device) >= 0:
			return DeviceList{}, invalid("%s whose devices are malformed or do not ascend", what)
		case revoked[chat.DeviceID(d.Device)]:
			return DeviceList{}, invalid("%s with a device both in use and revoked", what)
		case len(d.Label) > MaxLabel || !utf8.ValidString(d.Label):
			return DeviceList{}, invalid("%s with a label that is too long or not UTF-8", what)
		case d.Prekey == nil || len(d.Prekey) > MaxPrekey:
			return DeviceList{}, invalid("%s with a prekey of %d bytes", what, len(d.Prekey))
		}
		out.Devices = append(out.Devices, ListedDevice{Device: chat.DeviceID(d.Device), Label: d.Label, Prekey: d.Prekey})
	}
	return out, nil
}

// Verify reports, with chat.CodeInvalid, if the root did not sign the list.
func (l DeviceList) Verify() error {
	if !ed25519.Verify(l.Root[:], append([]byte(domainList), l.body...), l.sig) {
		return invalid("a device list whose signature is not its root's")
	}
	return nil
}

// Bytes returns the exact encoding, to be stored and sent; nil for the zero
// DeviceList. The caller must not change it.
func (l DeviceList) Bytes() []byte { return l.raw }

// Person returns whose devices these are, if the list verifies.
func (l DeviceList) Person() chat.PersonID { return Person(l.Root[:]) }

// Hash returns the name of the list. It does not cover the signature: two
// signatures of one content are one list.
func (l DeviceList) Hash() ListHash {
	return sha256.Sum256(append([]byte(domainListID), l.body...))
}
