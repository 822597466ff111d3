package identity

import (
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/binary"

	"filippo.io/edwards25519/field"
)

// This file is CPACE-X25519-SHA512 of draft-irtf-cfrg-cpace-21, in the
// initiator-responder setting, with the key confirmation of its section 10.4. A
// guess at the code costs whoever guesses one run with the one who knows it; what
// goes over the wire does not help to guess offline.

// cpaceBlock is SHA-512's input block size: the code's block is padded to it, so
// that the time of hashing does not tell its length.
const cpaceBlock = 128

// lv is lv_cat: each part behind its length as LEB128.
func lv(parts ...[]byte) []byte {
	var out []byte
	for _, p := range parts {
		out = binary.AppendUvarint(out, uint64(len(p)))
		out = append(out, p...)
	}
	return out
}

// cpaceGenerator maps a code, a channel and a session to a point of Curve25519.
func cpaceGenerator(code, channel, session []byte) []byte {
	dsi := []byte("CPace255")
	pad := max(0, cpaceBlock-1-len(lv(code))-len(lv(dsi)))
	h := sha512.Sum512(lv(dsi, code, make([]byte, pad), channel, session))
	var r field.Element
	if _, err := r.SetBytes(h[:32]); err != nil { // ignores the highest bit, as the draft wants
		panic(err) // 32 bytes are always one
	}
	return elligator2(&r).Bytes()
}

// elligator2 is the map of RFC 9380, section 6.7.1, for Curve25519
// (v^2 = u^3 + A u^2 + u, with 2 as the non-square), without its v coordinate. Its
// steps do not depend on r.
func elligator2(r *field.Element) *field.Element {
	var one, a, denominator, first, second, square, ignored field.Element
	one.One()
	a.Mult32(&one, 486662)
	denominator.Square(r)
	denominator.Add(&denominator, &denominator)
	denominator.Add(&denominator, &one) // 1 + 2r^2 is never 0, since -1/2 is no square
	first.Invert(&denominator)
	first.Multiply(&first, &a)
	first.Negate(&first) // -A / (1 + 2r^2)
	second.Negate(&first)
	second.Subtract(&second, &a) // -first - A
	square.Add(&first, &a)
	square.Multiply(&square, &first)
	square.Add(&square, &one)
	square.Multiply(&square, &first) // first^3 + A first^2 + first
	_, isSquare := ignored.SqrtRatio(&square, &one)
	return new(field.Element).Select(&first, &second, isSquare)
}

// cpace is one side of a run. It is used once.
type cpace struct {
	secret  *ecdh.PrivateKey
	share   []byte // Y
	info    []byte // AD: what this side wants bound
	session []byte
}

// startCPace begins a run; scalar is 32 fresh random bytes.
func startCPace(scalar, code, channel, session, info []byte) (*cpace, error) {
	secret, err := ecdh.X25519().NewPrivateKey(scalar)
	if err != nil {
		return nil, err
	}
	g, err := ecdh.X25519().NewPublicKey(cpaceGenerator(code, channel, session))
	if err != nil {
		return nil, err
	}
	share, err := secret.ECDH(g)
	if err != nil {
		return nil, err
	}
	return &cpace{secret: secret, share: share, info: info, session: session}, nil
}

// finish returns the intermediate session key. A share of low order is refused.
func (c *cpace) finish(peerShare, peerInfo []byte, initiator bool) ([]byte, error) {
	peer, err := ecdh.X25519().NewPublicKey(peerShare)
	if err != nil {
		return nil, err
	}
	k, err := c.secret.ECDH(peer) // refuses the all-zero result
	if err != nil {
		return nil, err
	}
	mine, theirs := lv(c.share, c.info), lv(peerShare, peerInfo)
	if !initiator {
		mine, theirs = theirs, mine
	}
	h := sha512.New()
	h.Write(lv([]byte("CPace255_ISK"), c.session, k))
	h.Write(mine)
	h.Write(theirs)
	return h.Sum(nil), nil
}

// cpaceTag is the confirmation by the side that has sent share and info.
func cpaceTag(session, key, share, info []byte) []byte {
	h := sha512.New()
	h.Write([]byte("CPaceMac"))
	h.Write(session)
	h.Write(key)
	mac := hmac.New(sha512.New, h.Sum(nil))
	mac.Write(lv(share, info))
	return mac.Sum(nil)
}
