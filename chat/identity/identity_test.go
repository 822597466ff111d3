package identity

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"earshot/chat"
)

var update = flag.Bool("update", false, "write the golden bytes anew")

// key returns the key whose seed is 32 times b.
func key(b byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, ed25519.SeedSize))
}

func device(b byte) (d chat.DeviceID) {
	copy(d[:], key(b).Public().(ed25519.PublicKey))
	return d
}

var issued = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func sign(t testing.TB, label string) Certificate {
	t.Helper()
	c, err := Sign(key(1), device(2), issued.Add(999*time.Millisecond), label)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestGoldenCertificates(t *testing.T) {
	for name, label := range map[string]string{"plain": "", "label": "Ann's laptop ☂"} {
		got := hex.EncodeToString(sign(t, label).Bytes())
		if want := golden(t, name, got); got != want {
			t.Errorf("%s:\n%s, want\n%s", name, got, want)
		}
	}
}

func TestPersonIsTheFingerprintOfTheRoot(t *testing.T) {
	id := sign(t, "").Person()
	got := hex.EncodeToString(id[:])
	if want := golden(t, "person", got); got != want {
		t.Errorf("person = %s, want %s", got, want)
	}
}

// golden returns the published hex in testdata/NAME.hex.
func golden(t *testing.T, name, got string) string {
	t.Helper()
	path := filepath.Join("testdata", name+".hex")
	if *update {
		if err := os.WriteFile(path, []byte(got+"\n"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(want))
}

func TestParseReadsWhatSignWrote(t *testing.T) {
	for _, label := range []string{"", "laptop", strings.Repeat("x", MaxLabel)} {
		want := sign(t, label)
		got, err := Parse(want.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("parsed %+v, want %+v", got, want)
		}
		if err := got.Verify(); err != nil {
			t.Fatal(err)
		}
		if got.Device != device(2) || !got.IssuedAt.Equal(issued) || got.Label != label || got.Person() != Person(key(1).Public().(ed25519.PublicKey)) {
			t.Fatalf("certificate = %+v", got)
		}
	}
	if n := len(sign(t, strings.Repeat("x", MaxLabel)).Bytes()); n > MaxCertificate {
		t.Fatalf("the largest certificate has %d bytes", n)
	}
}

func TestSignRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		root  ed25519.PrivateKey
		at    time.Time
		label string
	}{
		"a long label":         {key(1), issued, strings.Repeat("x", MaxLabel+1)},
		"a label not in UTF-8": {key(1), issued, "\xff"},
		"a far future":         {key(1), time.Unix(maxIssued+1, 0), ""},
		"half a key":           {key(1)[:32], issued, ""},
	} {
		if _, err := Sign(c.root, device(2), c.at, c.label); err == nil {
			t.Errorf("%s was signed", name)
		}
	}
}

// No bit of a certificate can be turned without Parse or Verify noticing.
func TestEveryBitCounts(t *testing.T) {
	good := sign(t, "laptop").Bytes()
	for i := range 8 * len(good) {
		bad := bytes.Clone(good)
		bad[i/8] ^= 1 << (i % 8)
		c, err := Parse(bad)
		if err == nil {
			err = c.Verify()
		}
		if chat.CodeOf(err) != chat.CodeInvalid {
			t.Fatalf("bit %d turned: %v", i, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	good := sign(t, "").Bytes()
	mal := func(v any) []byte { return must(encMode.Marshal(v)) }
	b := body{Version: Version, Root: make([]byte, 32), Device: make([]byte, 32), Issued: 1}
	wrap := func(b any) []byte { return mal(envelope{Body: mal(b), Sig: make([]byte, 64)}) }
	with := func(f func(*body)) []byte {
		c := b
		f(&c)
		return wrap(c)
	}
	if _, err := Parse(wrap(b)); err != nil {
		t.Fatalf("the bad ones are built on this one: %v", err)
	}
	for name, bad := range map[string][]byte{
		"nothing":             nil,
		"an empty one":        {0x80},
		"bytes behind":        append(bytes.Clone(good), 0),
		"the end missing":     good[:len(good)-1],
		"too much":            make([]byte, MaxCertificate+1),
		"a short signature":   mal(envelope{Body: mal(b), Sig: make([]byte, 63)}),
		"a third element":     mal([][]byte{mal(b), make([]byte, 64), {}}),
		"another version":     with(func(b *body) { b.Version = 2 }),
		"a short root":        with(func(b *body) { b.Root = b.Root[:31] }),
		"a long device":       with(func(b *body) { b.Device = make([]byte, 33) }),
		"a far future":        with(func(b *body) { b.Issued = maxIssued + 1 }),
		"a long label":        with(func(b *body) { b.Label = strings.Repeat("x", MaxLabel+1) }),
		"an unknown key":      wrap(map[int]any{1: 1, 2: b.Root, 3: b.Device, 4: 1, 6: 1}),
		"an empty label":      wrap(map[int]any{1: 1, 2: b.Root, 3: b.Device, 4: 1, 5: ""}),
		"a body that is none": mal(envelope{Body: []byte{0x01}, Sig: make([]byte, 64)}),
	} {
		if _, err := Parse(bad); chat.CodeOf(err) != chat.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestVerifyRefusesForeignSignatures(t *testing.T) {
	c := sign(t, "")
	other, err := Sign(key(3), device(2), issued, "")
	if err != nil {
		t.Fatal(err)
	}
	stolen := must(encMode.Marshal(envelope{Body: c.body, Sig: other.sig}))
	got, err := Parse(stolen)
	if err != nil {
		t.Fatal(err)
	}
	if err := got.Verify(); chat.CodeOf(err) != chat.CodeInvalid {
		t.Fatalf("another root's signature: %v", err)
	}
	if (Certificate{}).Verify() == nil {
		t.Fatal("the zero certificate verifies")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sign(f, "").Bytes())
	f.Add(sign(f, "Ann's laptop").Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Parse(b)
		if err != nil {
			if chat.CodeOf(err) != chat.CodeInvalid {
				t.Fatalf("error without code: %v", err)
			}
			return
		}
		if !bytes.Equal(c.Bytes(), b) {
			t.Fatal("a certificate that is not its bytes")
		}
		_ = c.Verify() // must not panic
	})
}
