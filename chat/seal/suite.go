package seal

import (
	"crypto/hmac"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"golang.org/x/crypto/chacha20poly1305"

	"earshot/chat"
	"earshot/chat/wire"
)

// Suite is the one set of primitives of today, named in everything that depends on
// it: HPKE with MLKEM768-X25519 and HKDF-SHA256, HMAC-SHA-256, SHA-256,
// ChaCha20-Poly1305, Ed25519.
const Suite = 1

// Domains separate what is hashed, keyed and signed here from everything else.
const (
	domainPrekey   = "earshot/v1 prekey\x00"
	domainPrekeyID = "earshot/v1 prekey-id\x00"
	domainPair     = "earshot/v1 pair\x00"
	domainRoot     = "earshot/v1 pair-root\x00"
	domainRootID   = "earshot/v1 pair-root-id\x00"
	domainCommit   = "earshot/v1 chain-commit\x00"
	domainView     = "earshot/v1 view\x00"
	domainSlotTo   = "earshot/v1 slot-to\x00"
	domainWrap     = "earshot/v1 wrap\x00"
	domainSlot     = "earshot/v1 slot\x00"
	domainSealed   = "earshot/v1 sealed\x00"
)

var (
	kem  = hpke.MLKEM768X25519()
	kdf  = hpke.HKDFSHA256()
	none = hpke.ExportOnly()
)

// Sizes in bytes, of this suite.
const (
	secretSize = 32
	kemSeed    = 32
	kemPublic  = 1216
	encSize    = 1120
	idSize     = 8 // of prekeys, pair roots and slots: enough to find, never to trust
	nonceSize  = chacha20poly1305.NonceSize
	tagSize    = chacha20poly1305.Overhead
)

// secret is a symmetric key: of a pair, of a chain's point, of one message.
type secret [secretSize]byte

// shortID names something to those who may know it. It is a truncated hash:
// what it finds is always proved by what it opens.
type shortID [idSize]byte

func mac(key []byte, parts ...[]byte) secret {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	return secret(h.Sum(nil))
}

func hash(domain string, parts ...[]byte) [32]byte {
	h := sha256.New()
	h.Write([]byte(domain))
	for _, p := range parts {
		h.Write(p)
	}
	return [32]byte(h.Sum(nil))
}

func uint64Bytes(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// The three things that a point of a chain is good for.
var (
	labelMessage = []byte{1}
	labelNext    = []byte{2}
	labelNonce   = []byte{3}
)

func messageKey(ck secret) secret { return mac(ck[:], labelMessage) }
func nextPoint(ck secret) secret  { return mac(ck[:], labelNext) }

// advance returns the point that lies n steps after ck.
func advance(ck secret, n uint64) secret {
	for range n {
		ck = nextPoint(ck)
	}
	return ck
}

// commitment binds a point of a chain to its room, author, epoch and number. It is
// public, and hides the key: 32 random bytes.
func commitment(room chat.RoomID, author chat.DeviceID, epoch, n uint64, ck secret) [32]byte {
	return hash(domainCommit, []byte{Suite}, room[:], author[:], uint64Bytes(epoch), uint64Bytes(n), ck[:])
}

// slotTo is what a slot's recipient looks for. Only who knows the room can tell
// whom it names, so that relays do not learn who is in it.
func slotTo(room chat.RoomID, commit [32]byte, to chat.DeviceID) shortID {
	m := mac(room[:], []byte(domainSlotTo), commit[:], to[:])
	return shortID(m[:idSize])
}

// veil hides a view from who does not know the room, and is its own inverse: one
// view stands in the shares of many logs, and must not tie them together.
func veil(room chat.RoomID, commit, view [32]byte) [32]byte {
	m := mac(room[:], []byte(domainView), commit[:])
	for i := range view {
		view[i] ^= m[i]
	}
	return view
}

// rootID names a pair root by the encapsulation that made it.
func rootID(enc []byte) shortID {
	h := hash(domainRootID, enc)
	return shortID(h[:idSize])
}

// pairInfo binds a pair root to its direction.
func pairInfo(from, to chat.DeviceID) []byte {
	info := append([]byte(domainPair), Suite)
	return append(append(info, from[:]...), to[:]...)
}

// encapsulate makes a pair root for the holder of a KEM key. The randomness is the
// system's: crypto/hpke takes no other.
func encapsulate(public []byte, from, to chat.DeviceID) (enc []byte, root secret, err error) {
	pk, err := kem.NewPublicKey(public)
	if err != nil {
		return nil, secret{}, err
	}
	enc, s, err := hpke.NewSender(pk, kdf, none, pairInfo(from, to))
	if err != nil {
		return nil, secret{}, err
	}
	b, err := s.Export(domainRoot, secretSize)
	if err != nil {
		return nil, secret{}, err
	}
	return enc, secret(b), nil
}

// decapsulate is what the holder does with enc.
func decapsulate(key hpke.PrivateKey, enc []byte, from, to chat.DeviceID) (secret, error) {
	r, err := hpke.NewRecipient(enc, key, kdf, none, pairInfo(from, to))
	if err != nil {
		return secret{}, err
	}
	b, err := r.Export(domainRoot, secretSize)
	if err != nil {
		return secret{}, err
	}
	return secret(b), nil
}

var (
	errOpen    = errors.New("it does not open")
	errPadding = errors.New("its padding is not ours")
)

// zeroNonce serves keys that encrypt one plaintext only.
var zeroNonce [nonceSize]byte

// wrapKey is used for one chain point only, since it depends on the commitment:
// wrapping the same again gives the same bytes.
func wrapKey(root secret, commit, view [32]byte, to chat.DeviceID) secret {
	return mac(root[:], []byte(domainWrap), commit[:], view[:], to[:])
}

func slotAD(commit, view [32]byte, from, to chat.DeviceID) []byte {
	ad := append([]byte(domainSlot), Suite)
	ad = append(ad, commit[:]...)
	ad = append(ad, view[:]...)
	ad = append(ad, from[:]...)
	return append(ad, to[:]...)
}

// wrap encrypts a chain point to one device.
func wrap(root, ck secret, commit, view [32]byte, from, to chat.DeviceID) []byte {
	k := wrapKey(root, commit, view, to)
	return aead(k).Seal(nil, zeroNonce[:], ck[:], slotAD(commit, view, from, to))
}

func unwrap(root secret, box []byte, commit, view [32]byte, from, to chat.DeviceID) (secret, error) {
	k := wrapKey(root, commit, view, to)
	b, err := aead(k).Open(nil, zeroNonce[:], box, slotAD(commit, view, from, to))
	if err != nil || len(b) != secretSize {
		return secret{}, errOpen
	}
	return secret(b), nil
}

func sealedAD(room chat.RoomID, author chat.DeviceID, epoch, n uint64, kind wire.Kind) []byte {
	ad := append([]byte(domainSealed), Suite)
	ad = append(ad, author[:]...)
	ad = binary.BigEndian.AppendUint64(ad, epoch)
	ad = binary.BigEndian.AppendUint64(ad, n)
	ad = append(ad, room[:]...)
	return append(ad, byte(kind))
}

// sealBox encrypts a message under the chain point ck. The nonce is random, and
// made with the plaintext: should a copied machine draw the same random bytes
// twice, two different messages still get two nonces.
func sealBox(ck secret, random [nonceSize]byte, plaintext, ad []byte) []byte {
	padded := pad(plaintext)
	hedge := mac(ck[:], labelNonce)
	nonce := mac(hedge[:], random[:], padded)
	box := make([]byte, nonceSize, nonceSize+len(padded)+tagSize)
	copy(box, nonce[:])
	return aead(messageKey(ck)).Seal(box, box[:nonceSize], padded, ad)
}

// openBox decrypts a message with its key.
func openBox(mk secret, box, ad []byte) ([]byte, error) {
	if len(box) < nonceSize+tagSize {
		return nil, errOpen
	}
	padded, err := aead(mk).Open(nil, box[:nonceSize], box[nonceSize:], ad)
	if err != nil {
		return nil, errOpen
	}
	return unpad(padded)
}

type sealer interface {
	Seal(dst, nonce, plaintext, additionalData []byte) []byte
	Open(dst, nonce, ciphertext, additionalData []byte) ([]byte, error)
}

func aead(k secret) sealer {
	a, err := chacha20poly1305.New(k[:])
	if err != nil { // of the length of k, which is an array's
		panic(err)
	}
	return a
}

// bucket returns the length that n bytes and the mark behind them are padded to:
// a power of two from 64 to 1,024 bytes, then a multiple of 512.
func bucket(n int) int {
	for size := 64; size <= 1024; size *= 2 {
		if n < size {
			return size
		}
	}
	return (n/512 + 1) * 512
}

func pad(b []byte) []byte {
	out := make([]byte, bucket(len(b)))
	out[copy(out, b)] = 0x80
	return out
}

func unpad(b []byte) ([]byte, error) {
	for i := len(b) - 1; i >= 0; i-- {
		switch {
		case b[i] == 0x80 && bucket(i) == len(b):
			return b[:i], nil
		case b[i] != 0:
			return nil, errPadding
		}
	}
	return nil, errPadding
}
