package keyring

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/crypto/chacha20poly1305"

	"earshot/chat"
)

// secretSize is the length of every symmetric key, in bytes.
const secretSize = 32

// secret is a home's store key: random, made once, and what everything in the home
// is encrypted under, through keys derived from it. What opens the home opens it.
type secret [secretSize]byte

// Domains of the keys that are derived from the store key.
const (
	domainKeys    = "earshot/v1 at rest: keys"
	domainProfile = "earshot/v1 at rest: profile"
	domainHistory = "earshot/v1 at rest: history"
)

func newSecret() (s secret) {
	_, _ = rand.Read(s[:]) // never fails
	return s
}

// derive returns the key for one use. Keys for different domains tell nothing of
// each other.
func (s *secret) derive(domain string) []byte {
	key, err := hkdf.Expand(sha256.New, s[:], domain, secretSize)
	if err != nil {
		panic(err) // only for a length that HKDF can't make
	}
	return key
}

// A sealed file is a line that says so with the format's version, a nonce, and the
// content encrypted and authenticated by XChaCha20-Poly1305 together with that line
// and the file's name.
const (
	sealedMark    = "earshot sealed "
	sealedVersion = 1
)

var errUnsealed = errors.New("it can't be decrypted with this home's key")

// sealBytes encrypts under key what belongs to context.
func sealBytes(key []byte, context string, plain []byte) []byte {
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		panic(err) // only for a wrong length of key
	}
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(plain)+aead.Overhead())
	_, _ = rand.Read(nonce)
	return aead.Seal(nonce, nonce, plain, []byte(context))
}

// openBytes undoes sealBytes.
func openBytes(key []byte, context string, b []byte) ([]byte, error) {
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, err
	}
	if len(b) < aead.NonceSize() {
		return nil, errUnsealed
	}
	plain, err := aead.Open(nil, b[:aead.NonceSize()], b[aead.NonceSize():], []byte(context))
	if err != nil {
		return nil, errUnsealed
	}
	return plain, nil
}

func sealedLine() string { return fmt.Sprintf("%s%d\n", sealedMark, sealedVersion) }

func encodeSealed(key []byte, name string, plain []byte) []byte {
	return append([]byte(sealedLine()), sealBytes(key, sealedLine()+name, plain)...)
}

// decodeSealed returns the content of a sealed file; CodeHomeNewer where a newer
// version wrote it.
func decodeSealed(key []byte, name string, b []byte) ([]byte, error) {
	line, rest, found := bytes.Cut(b, []byte("\n"))
	number, marked := bytes.CutPrefix(line, []byte(sealedMark))
	version, err := strconv.Atoi(string(number))
	switch {
	case !found || !marked || err != nil || version < 1:
		return nil, errors.New("this is not a file that Earshot sealed")
	case version > sealedVersion:
		return nil, newer(name, version, sealedVersion)
	}
	return openBytes(key, string(line)+"\n"+name, rest)
}

// writeSealed writes a sealed file, whole or not at all.
func writeSealed(home, name string, key, plain []byte) error {
	if err := writeFile(home, name, encodeSealed(key, name, plain)); err != nil {
		return homeFailed(home, err)
	}
	return nil
}

// readSealed returns the content of a sealed file, and fs.ErrNotExist where there
// is none.
func readSealed(home, name string, key []byte) ([]byte, error) {
	b, err := readPrivate(home, name)
	if err != nil {
		return nil, err
	}
	plain, err := decodeSealed(key, name, b)
	if err != nil && chat.CodeOf(err) != chat.CodeHomeNewer {
		return nil, damaged(home, name, err)
	}
	return plain, err
}

func newer(name string, is, known int) error {
	return chat.Errorf(chat.CodeHomeNewer, "The file %s was written by a newer Earshot (format %d, this one reads up to %d). "+
		"Update Earshot, or choose another home with --home.", name, is, known)
}

func damaged(home, name string, cause error) error {
	return chat.Wrap(chat.CodeHomeBroken, cause, "The file "+filepath.Join(home, name)+" is damaged: "+cause.Error()+". Nothing was changed.",
		"Put it back from a copy, or choose an empty home with --home and restore a backup there with `earshot restore`.")
}

// shred overwrites a file with zeros, as far as the disk lets anybody do that, and
// removes it. A file that is not there is no error.
func shred(home, name string) error {
	path := filepath.Join(home, name)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return homeFailed(home, err)
	}
	if err := errors.Join(zero(f), f.Close(), os.Remove(path), syncDir(home)); err != nil {
		return homeFailed(home, err)
	}
	return nil
}

// zero overwrites a small file.
func zero(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if _, err := f.WriteAt(make([]byte, min(info.Size(), maxSmallFile)), 0); err != nil {
		return err
	}
	return f.Sync()
}
