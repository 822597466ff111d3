package identity

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// seeded returns bytes that look random and are the same in every run:
// SHA-256(seed || counter), counter being a byte that starts at 0.
func seeded(seed string) io.Reader {
	var out []byte
	for i := range 64 {
		sum := sha256.Sum256(append([]byte(seed), byte(i)))
		out = append(out, sum[:]...)
	}
	return bytes.NewReader(out)
}

func public(b byte) ed25519.PublicKey { return key(b).Public().(ed25519.PublicKey) }

func rootOf(b byte) (r [32]byte) {
	copy(r[:], public(b))
	return r
}

// hexBytes is written as hex in JSON.
type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

func (h *hexBytes) UnmarshalText(b []byte) (err error) {
	*h, err = hex.DecodeString(string(b))
	return err
}

// published compares got with the vectors in chat/testdata/vectors/NAME.
func published[T any](t *testing.T, name string, got T) {
	t.Helper()
	path := filepath.Join("..", "testdata", "vectors", name)
	if *update {
		b, err := json.MarshalIndent(got, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(b, '\n'), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if want := readVectors[T](t, name); !reflect.DeepEqual(got, want) {
		t.Errorf("%s does not hold what is computed now: got\n%+v\nwant\n%+v", name, got, want)
	}
}

func readVectors[T any](t *testing.T, name string) (v T) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "testdata", "vectors", name))
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}
