package identity

import (
	"bytes"
	"crypto/ecdh"
	"math/big"
	"testing"

	"filippo.io/edwards25519/field"
)

type cpaceVectors struct {
	Source string     `json:"source"`
	PRS    hexBytes   `json:"prs"`
	CI     hexBytes   `json:"ci"`
	SID    hexBytes   `json:"sid"`
	Hash   hexBytes   `json:"hash"`
	G      hexBytes   `json:"g"`
	ADa    hexBytes   `json:"ada"`
	ScalA  hexBytes   `json:"ya"`
	Ya     hexBytes   `json:"Ya"`
	ADb    hexBytes   `json:"adb"`
	ScalB  hexBytes   `json:"yb"`
	Yb     hexBytes   `json:"Yb"`
	K      hexBytes   `json:"K"`
	ISK    hexBytes   `json:"isk"`
	S      hexBytes   `json:"s"`
	U      []hexBytes `json:"u"`
	Q      []hexBytes `json:"q"`
}

func TestCPaceComputesTheDraftsVectors(t *testing.T) {
	v := readVectors[cpaceVectors](t, "cpace.json")
	if g := cpaceGenerator(v.PRS, v.CI, v.SID); !bytes.Equal(g, v.G) {
		t.Errorf("generator %x, want %x", g, v.G)
	}
	a, err := startCPace(v.ScalA, v.PRS, v.CI, v.SID, v.ADa)
	if err != nil {
		t.Fatal(err)
	}
	b, err := startCPace(v.ScalB, v.PRS, v.CI, v.SID, v.ADb)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.share, v.Ya) || !bytes.Equal(b.share, v.Yb) {
		t.Errorf("shares %x %x", a.share, b.share)
	}
	ka, err := a.finish(b.share, v.ADb, true)
	if err != nil {
		t.Fatal(err)
	}
	kb, err := b.finish(a.share, v.ADa, false)
	if err != nil || !bytes.Equal(ka, v.ISK) || !bytes.Equal(kb, v.ISK) {
		t.Errorf("session keys %x %x, want %x", ka, kb, v.ISK)
	}
}

// The draft's points of low order must end a run; those that only seem to be must
// give its results.
func TestALowOrderShareEndsTheRun(t *testing.T) {
	v := readVectors[cpaceVectors](t, "cpace.json")
	if len(v.U) != 12 || len(v.Q) != len(v.U) {
		t.Fatalf("%d points", len(v.U))
	}
	a, err := startCPace(v.S, v.PRS, v.CI, v.SID, v.ADa)
	if err != nil {
		t.Fatal(err)
	}
	for i, u := range v.U {
		p, err := ecdh.X25519().NewPublicKey(u)
		if err != nil {
			t.Fatal(err)
		}
		q, err := a.secret.ECDH(p)
		low := bytes.Equal(v.Q[i], make([]byte, 32))
		if low != (err != nil) || !low && !bytes.Equal(q, v.Q[i]) {
			t.Errorf("u%x: %x, %v", i, q, err)
		}
		if _, err := a.finish(u, v.ADb, true); low != (err != nil) {
			t.Errorf("u%x: %v", i, err)
		}
	}
	if _, err := a.finish(v.Ya[:31], v.ADb, true); err == nil {
		t.Error("31 bytes are a point")
	}
}

// The map is checked against the textbook formula in plain integers.
func TestElligator2IsTheTextbooks(t *testing.T) {
	p, _ := new(big.Int).SetString("7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed", 16)
	a := big.NewInt(486662)
	for i := range 40 {
		raw := make([]byte, 32)
		if _, err := seeded("elligator" + string(rune('A'+i))).Read(raw); err != nil {
			t.Fatal(err)
		}
		switch i { // the corners: 0, 1, p-1, p, 2^255-1
		case 0, 1:
			clear(raw)
			raw[0] = byte(i)
		case 2, 3:
			copy(raw, bytes.Repeat([]byte{0xff}, 32))
			raw[0], raw[31] = byte(0xec+i-2), 0x7f
		case 4:
			copy(raw, bytes.Repeat([]byte{0xff}, 32))
		}
		raw[31] &= 0x7f
		var e field.Element
		if _, err := e.SetBytes(raw); err != nil {
			t.Fatal(err)
		}
		le := bytes.Clone(raw)
		for i := range 16 {
			le[i], le[31-i] = le[31-i], le[i]
		}
		r := new(big.Int).SetBytes(le)
		v := new(big.Int).Mul(r, r)
		v.Lsh(v, 1).Add(v, big.NewInt(1)).Mod(v, p)
		v.ModInverse(v, p).Mul(v, a).Neg(v).Mod(v, p)
		w := new(big.Int).Add(v, a)
		w.Mul(w, v).Add(w, big.NewInt(1)).Mul(w, v).Mod(w, p)
		if big.Jacobi(w, p) == -1 {
			v.Neg(v).Sub(v, a).Mod(v, p)
		}
		got := elligator2(&e).Bytes()
		for i := range 16 {
			got[i], got[31-i] = got[31-i], got[i]
		}
		if new(big.Int).SetBytes(got).Cmp(v) != 0 {
			t.Errorf("%x: %x, want %x", raw, got, v)
		}
	}
}
