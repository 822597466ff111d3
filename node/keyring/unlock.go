package keyring

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"earshot/chat"
)

// This file is what opens a home: the store key, wrapped by a passphrase, by the
// operating system's keyring, by both, or by nothing.

// unlockVersion is the version of the unlock file's format.
const unlockVersion = 1

// Unlock file contexts, by which what is sealed for one use can't serve another.
const (
	contextPassphrase = "earshot/v1 store key by passphrase"
	contextSystem     = "earshot/v1 store key by system keyring"
)

// unlockFile is a line of JSON; a second line holds the first one's SHA-256, by
// which damage is told from a wrong passphrase.
type unlockFile struct {
	Version int    `json:"version"`
	Home    []byte `json:"home"` // random; names this home in the system's keyring

	// Unprotected is the store key itself. Then nothing else is set.
	Unprotected []byte          `json:"unprotected,omitempty"`
	Passphrase  *passphraseWrap `json:"passphrase,omitempty"`
	// System is the store key sealed under a key that is in the system's keyring.
	System []byte `json:"system,omitempty"`
	// Remember says to put the key into the system's keyring again when the
	// passphrase has opened the home.
	Remember bool `json:"remember,omitempty"`
}

type passphraseWrap struct {
	Salt   []byte `json:"salt"`
	Time   uint32 `json:"time"`
	Memory uint32 `json:"memory_kib"`
	Lanes  uint8  `json:"lanes"`
	Sealed []byte `json:"sealed"` // the store key
}

// kdfCost is what guessing a passphrase once costs by Argon2id: about a quarter of
// a second on a small machine of two cores.
type kdfCost struct {
	time   uint32 // passes
	memory uint32 // KiB
	lanes  uint8
}

var newCost = kdfCost{time: 3, memory: 64 << 10, lanes: 4}

// Bounds of what a file may ask for; a hostile one must not exhaust the machine.
const (
	maxTime   = 16
	maxMemory = 256 << 10 // KiB
	maxLanes  = 16
	saltSize  = 16
	homeSize  = 16
	wrapSize  = 24 + secretSize + 16 // nonce, key, tag
)

// minPassphrase is how many characters a new passphrase must have; fewer are
// guessed in no time. maxPassphrase bounds it, in bytes.
const (
	minPassphrase = 8
	maxPassphrase = 1 << 10
)

// passphraseKey derives a key. One passphrase is one sequence of characters,
// however the keyboard composed them.
func passphraseKey(pass []byte, salt []byte, c kdfCost) []byte {
	return argon2.IDKey(norm.NFC.Bytes(pass), salt, c.time, c.memory, c.lanes, secretSize)
}

func checkPassphrase(pass []byte) error {
	if len(pass) > maxPassphrase {
		return chat.Errorf(chat.CodeTooLong, "A passphrase may have %d bytes. Choose a shorter one.", maxPassphrase)
	}
	if n := len([]rune(string(pass))); n < minPassphrase {
		return chat.Errorf(chat.CodeUsage, "A passphrase of %d characters is guessed in no time. Choose one of %d at least; four or five words are good.", n, minPassphrase)
	}
	return nil
}

func wrapByPassphrase(pass []byte, s *secret) *passphraseWrap {
	w := &passphraseWrap{Salt: make([]byte, saltSize), Time: newCost.time, Memory: newCost.memory, Lanes: newCost.lanes}
	_, _ = rand.Read(w.Salt)
	w.Sealed = sealBytes(passphraseKey(pass, w.Salt, newCost), contextPassphrase, s[:])
	return w
}

// open returns the store key, and false for a wrong passphrase.
func (w *passphraseWrap) open(pass []byte) (s secret, ok bool) {
	if len(pass) > maxPassphrase {
		return s, false
	}
	plain, err := openBytes(passphraseKey(pass, w.Salt, kdfCost{w.Time, w.Memory, w.Lanes}), contextPassphrase, w.Sealed)
	if err != nil || len(plain) != secretSize {
		return s, false
	}
	return secret(plain), true
}

func (f *unlockFile) encode() ([]byte, error) {
	line, err := json.Marshal(f)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(line)
	return fmt.Appendf(line, "\nsha256:%x\n", sum), nil
}

func decodeUnlock(b []byte) (*unlockFile, error) {
	line, rest, _ := bytes.Cut(b, []byte("\n"))
	var f unlockFile
	if err := json.Unmarshal(line, &f); err != nil {
		return nil, errors.New("it is not what Earshot wrote")
	}
	if f.Version > unlockVersion {
		return nil, newer(unlockName, f.Version, unlockVersion)
	}
	sum := sha256.Sum256(line)
	if want := fmt.Sprintf("sha256:%x\n", sum); string(rest) != want {
		return nil, errors.New("its checksum is wrong")
	}
	bad := f.Version != unlockVersion || len(f.Home) != homeSize
	if f.Unprotected != nil {
		bad = bad || len(f.Unprotected) != secretSize || f.Passphrase != nil || f.System != nil
	} else {
		bad = bad || f.Passphrase == nil && f.System == nil
	}
	if w := f.Passphrase; w != nil {
		bad = bad || len(w.Salt) != saltSize || len(w.Sealed) != wrapSize ||
			w.Time < 1 || w.Time > maxTime || w.Lanes < 1 || w.Lanes > maxLanes || w.Memory < 1 || w.Memory > maxMemory
	}
	bad = bad || f.System != nil && len(f.System) != wrapSize
	if bad {
		return nil, errors.New("a part of it is missing or out of bounds")
	}
	return &f, nil
}

// readUnlock returns how the home is opened; fs.ErrNotExist where it has no key.
func readUnlock(home string) (*unlockFile, error) {
	b, err := readPrivate(home, unlockName)
	if err != nil {
		return nil, err
	}
	f, err := decodeUnlock(b)
	if err != nil && chat.CodeOf(err) != chat.CodeHomeNewer {
		return nil, damaged(home, unlockName, err)
	}
	return f, err
}

// writeUnlock replaces the unlock file, whole or not at all. What the one before
// held may have been the key itself, so it is overwritten where the system can.
func writeUnlock(home string, f *unlockFile) error {
	b, err := f.encode()
	if err != nil {
		return err
	}
	var old *os.File
	if runtime.GOOS != "windows" { // which replaces no open file
		old, _ = os.OpenFile(filepath.Join(home, unlockName), os.O_WRONLY, 0)
	}
	err = writeFile(home, unlockName, b)
	if old != nil {
		if err == nil {
			_ = zero(old) // the new file is in place; this is extra
		}
		_ = old.Close()
	}
	if err != nil {
		return homeFailed(home, err)
	}
	return nil
}

// newUnlock makes a store key for a home without one, and wraps it by what there
// is: the given passphrase, else the system's keyring, else nothing.
func newUnlock(ctx context.Context, opt *Options, s *secret) (*unlockFile, error) {
	f := &unlockFile{Version: unlockVersion, Home: newHomeID()}
	if opt.Given != nil {
		if err := checkPassphrase(opt.Given); err != nil {
			return nil, err
		}
		f.Passphrase = wrapByPassphrase(opt.Given, s)
		return f, nil
	}
	if !f.remember(ctx, opt.System, s) {
		f.Unprotected = s[:]
	}
	return f, ctx.Err()
}

func newHomeID() []byte {
	id := make([]byte, homeSize)
	_, _ = rand.Read(id)
	return id
}

func (f *unlockFile) account() string { return hex.EncodeToString(f.Home) }

// remember puts a key for the store key into the system's keyring, and reports
// whether that worked.
func (f *unlockFile) remember(ctx context.Context, system System, s *secret) bool {
	if system == nil {
		return false
	}
	kek := newSecret()
	if err := storeEntry(ctx, system, f.account(), kek[:]); err != nil {
		return false
	}
	f.System, f.Remember = sealBytes(kek[:], contextSystem, s[:]), true
	return true
}

// bySystem returns the store key by what the system's keyring holds.
func (f *unlockFile) bySystem(ctx context.Context, system System) (s secret, err error) {
	if system == nil {
		return s, errNoSystem
	}
	kek, err := loadEntry(ctx, system, f.account())
	if err != nil {
		return s, err
	}
	plain, err := openBytes(kek, contextSystem, f.System)
	if err != nil || len(plain) != secretSize {
		return s, errors.New("the key in the system's keyring is not the one for this home")
	}
	return secret(plain), nil
}

// open returns the store key. typed says that a person's passphrase opened it.
func (f *unlockFile) open(ctx context.Context, home string, opt *Options) (s secret, typed bool, err error) {
	if f.Unprotected != nil {
		return secret(f.Unprotected), false, nil
	}
	if f.System != nil {
		s, err = f.bySystem(ctx, opt.System)
		if err == nil || ctx.Err() != nil {
			return s, false, errors.Join(err, ctx.Err())
		}
		if f.Passphrase == nil {
			return s, false, chat.Wrap(chat.CodePassphrase, err, "The key to the home "+home+" is in the keyring of the system it was made on, and can't be had: "+err.Error()+".",
				"Log in as its owner on that computer and unlock the keyring; or choose an empty home with --home and restore a backup there with `earshot restore`.")
		}
	}
	return f.byPassphrase(ctx, home, opt)
}

func (f *unlockFile) byPassphrase(ctx context.Context, home string, opt *Options) (s secret, typed bool, err error) {
	if opt.Given != nil {
		s, ok := f.Passphrase.open(opt.Given)
		if !ok {
			return s, false, chat.Errorf(chat.CodePassphrase, "The passphrase in the file that %s names is wrong for the home %s. "+
				"Correct that file, or choose another home with --home.", PassphraseVariable, home)
		}
		return s, false, nil
	}
	if opt.Ask == nil {
		return s, false, chat.Errorf(chat.CodePassphrase, "The home %s is locked, and there is no terminal to ask for its passphrase. "+
			"Run Earshot in a terminal, or name a file that holds the passphrase in %s.", home, PassphraseVariable)
	}
	for try := range maxTries {
		pass, err := opt.Ask(ctx, try)
		if err != nil {
			return s, false, err
		}
		if s, ok := f.Passphrase.open(pass); ok {
			return s, true, nil
		}
	}
	return s, false, chat.Errorf(chat.CodePassphrase, "That passphrase is wrong. Try again; without it, nobody can open the home %s.", home)
}

// unlock returns the store key of a home, which it makes where the home is new or
// was left in plain text by an earlier version.
func unlock(ctx context.Context, home string, opt *Options) (s secret, err error) {
	f, err := readUnlock(home)
	if errors.Is(err, fs.ErrNotExist) {
		return firstUnlock(ctx, home, opt)
	}
	if err != nil {
		return s, err
	}
	s, typed, err := f.open(ctx, home, opt)
	if err != nil {
		return s, err
	}
	if typed && f.Remember && f.System == nil {
		// It was locked; from now on the system's keyring opens it again.
		err = change(ctx, home, func(f *unlockFile) error {
			f.remember(ctx, opt.System, &s)
			return nil
		})
	}
	return s, err
}

func firstUnlock(ctx context.Context, home string, opt *Options) (s secret, err error) {
	if exists(filepath.Join(home, keysName)) {
		return s, chat.Errorf(chat.CodeHomeBroken, "The home %s is encrypted, but the file %s, which holds the key to it, is missing. "+
			"Put that file back from a copy, or choose an empty home with --home and restore a backup there with `earshot restore`.", home, unlockName)
	}
	if _, err := readPlainKeys(home); errors.Is(err, fs.ErrNotExist) {
		err = noMessages(home)
		if err != nil {
			return s, err
		}
	} else if err != nil {
		return s, err
	}
	s = newSecret()
	f, err := newUnlock(ctx, opt, &s)
	if err != nil {
		return s, err
	}
	if err := writeUnlock(home, f); err != nil {
		return s, err
	}
	if f.Unprotected != nil {
		opt.notify("Your keys and history are encrypted, but nothing protects the key to them from whoever can read " + home + ". Protect it with: earshot passphrase")
	}
	return s, nil
}
