package keyring

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"earshot/chat"
	"earshot/chat/identity"
)

// Versions of the format of what the key file holds. The second one is written only
// where there is no root key, so that earlier programs go on reading what they can.
const (
	keysVersion     = 2
	keysRootVersion = 1
)

// Keys are who this node is.
type Keys struct {
	// Root is the person's key, which signs certificates and device lists. It is
	// on their first device only, and nil on those that joined it.
	Root   ed25519.PrivateKey
	Device ed25519.PrivateKey
	Cert   identity.Certificate // of Device by the root, verified
	Name   string               // what the person calls themselves; clean and not empty
	// NamedAt is since when, in whole seconds; zero if it was not said when.
	NamedAt time.Time
	// History is the key that the history is encrypted under.
	History []byte

	secret secret
}

// keysJSON is what the key file holds, sealed. Root and device are Ed25519 seeds; the certificate
// binds their public keys, so a flipped bit in any of the three is noticed.
type keysJSON struct {
	Version     int    `json:"version"`
	Root        []byte `json:"root,omitempty"`
	Device      []byte `json:"device"`
	Certificate []byte `json:"certificate"`
}

type profileJSON struct {
	Name string `json:"name"`
	At   int64  `json:"at,omitempty"` // seconds since 1970
}

func (p profileJSON) at() time.Time {
	if p.At == 0 {
		return time.Time{}
	}
	return time.Unix(p.At, 0)
}

// PassphraseVariable is the environment variable that names a file with the
// passphrase, for services.
const PassphraseVariable = "EARSHOT_PASSPHRASE_FILE"

// maxTries is how often a person may mistype a passphrase.
const maxTries = 3

// Options say how a home is opened.
type Options struct {
	// Name, unless it is empty, replaces what the person calls themselves.
	Name string
	// System is the keyring of the operating system; nil for none.
	System System
	// Given is a passphrase known without asking. A new home is protected by it.
	Given []byte
	// Ask asks the person for the passphrase; try counts from 0, and is above it
	// when the answer before was wrong. nil where nobody can be asked.
	Ask func(ctx context.Context, try int) ([]byte, error)
	// Notify tells the person what they should know once. It may be nil.
	Notify func(text string)
}

func (o *Options) notify(text string) {
	if o.Notify != nil {
		o.Notify(text)
	}
}

// Load opens a home whose lock the caller holds and returns who lives there. In an
// empty one it makes a new person with a new device, and takes the name from the
// operating system; what an earlier version left in plain text it encrypts first.
// Files that are damaged, newer, or readable for others are refused and left as
// they are: CodeHomeBroken, CodeHomeNewer. CodePassphrase says that the passphrase
// is wrong or can't be had.
func Load(ctx context.Context, home string, opt Options) (Keys, error) {
	if exists(filepath.Join(home, restoringName)) {
		return Keys{}, chat.Errorf(chat.CodeHomeBroken, "Restoring a backup into %s was interrupted. Run `earshot restore` again.", home)
	}
	s, err := unlock(ctx, home, &opt)
	if err != nil {
		return Keys{}, err
	}
	if err := takeOver(home, &s); err != nil {
		return Keys{}, err
	}
	plain, err := readSealed(home, keysName, s.derive(domainKeys))
	if errors.Is(err, fs.ErrNotExist) {
		plain, err = makeKeys(home, &s)
	}
	if err != nil {
		return Keys{}, err
	}
	keys, err := decodeKeys(plain)
	if chat.CodeOf(err) == chat.CodeHomeNewer {
		return Keys{}, err
	} else if err != nil {
		return Keys{}, damaged(home, keysName, err)
	}
	keys.History, keys.secret = s.derive(domainHistory), s
	profile, err := loadName(home, opt.Name, &s)
	keys.Name, keys.NamedAt = profile.Name, profile.at()
	return keys, err
}

// readPrivate reads a file that nobody but its owner may read or change;
// fs.ErrNotExist where there is none.
func readPrivate(home, name string) ([]byte, error) {
	path := filepath.Join(home, name)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err != nil {
		return nil, homeFailed(home, err)
	}
	if openToOthers(info) {
		return nil, chat.Errorf(chat.CodeHomeBroken, "Others on this computer can read or change your keys in %s. "+
			"Close the file to them with: chmod 600 %s (or, if somebody may have copied it, move it away and start as a new person).", path, path)
	}
	b, err := readSmall(path)
	if err != nil {
		return nil, homeFailed(home, err)
	}
	return b, nil
}

// readPlainKeys reads the key file of versions that did not encrypt it.
func readPlainKeys(home string) (plain []byte, err error) {
	plain, err = readPrivate(home, plainKeysName)
	if err != nil {
		return nil, err
	}
	if _, err = decodeKeys(plain); err != nil && chat.CodeOf(err) != chat.CodeHomeNewer {
		return nil, chat.Wrap(chat.CodeHomeBroken, err, "The keys in "+filepath.Join(home, plainKeysName)+" are damaged: "+err.Error()+". Nothing was changed.",
			"Put the file back from a copy; if there is none, move it and "+historyFile+" away to start as a new person.")
	}
	return plain, err
}

// takeOver encrypts what an earlier version left in plain text. Cut short at any
// moment, it goes on at the next start: the plain file goes when its content is
// safe in the sealed one.
func takeOver(home string, s *secret) error {
	for _, f := range []struct{ plain, sealed, domain string }{
		{plainProfileName, profileName, domainProfile},
		{plainKeysName, keysName, domainKeys},
	} {
		var plain []byte
		var err error
		if f.plain == plainKeysName {
			plain, err = readPlainKeys(home)
		} else if plain, err = readSmall(filepath.Join(home, f.plain)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			err = homeFailed(home, err)
		}
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		held, err := readSealed(home, f.sealed, s.derive(f.domain))
		if errors.Is(err, fs.ErrNotExist) {
			err = writeSealed(home, f.sealed, s.derive(f.domain), plain)
			held = plain
		}
		if err != nil {
			return err
		}
		if bytes.Equal(held, plain) { // another file is not ours to remove
			if err := shred(home, f.plain); err != nil {
				return err
			}
		}
	}
	return nil
}

func decodeKeys(b []byte) (Keys, error) {
	var in keysJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return Keys{}, fmt.Errorf("this is not a key file (%w)", err)
	}
	if in.Version > keysVersion {
		return Keys{}, chat.Errorf(chat.CodeHomeNewer, "The keys were written by a newer Earshot (format %d, this one reads up to %d). "+
			"Update Earshot, or choose another home with --home.", in.Version, keysVersion)
	}
	rootless := in.Version == keysVersion && len(in.Root) == 0
	if in.Version < keysRootVersion || !rootless && len(in.Root) != ed25519.SeedSize || len(in.Device) != ed25519.SeedSize {
		return Keys{}, errors.New("a key is missing or has the wrong length")
	}
	cert, err := identity.Parse(in.Certificate)
	if err == nil {
		err = cert.Verify()
	}
	if err != nil {
		return Keys{}, errors.New("the device's certificate can't be read or is not signed by the person's key")
	}
	keys := Keys{Device: ed25519.NewKeyFromSeed(in.Device), Cert: cert}
	if !rootless {
		keys.Root = ed25519.NewKeyFromSeed(in.Root)
	}
	if keys.Root != nil && !bytes.Equal(cert.Root[:], public(keys.Root)) || !bytes.Equal(cert.Device[:], public(keys.Device)) {
		return Keys{}, errors.New("the keys are not those of the certificate")
	}
	return keys, nil
}

// encode returns what decodeKeys reads.
func (k *Keys) encode() ([]byte, error) {
	out := keysJSON{Version: keysVersion, Device: k.Device.Seed(), Certificate: k.Cert.Bytes()}
	if k.Root != nil {
		out.Version, out.Root = keysRootVersion, k.Root.Seed()
	}
	return json.Marshal(out)
}

// Adopt makes the device of a home, whose lock the caller holds and whose keys Load
// returned, one of another person, who has certified it and goes by name. The root
// key that was there is gone with that. Cut short at any moment, it has happened or
// has not.
func Adopt(home string, keys Keys, cert identity.Certificate, name string) error {
	if err := cert.Verify(); err != nil {
		return err
	}
	if !bytes.Equal(cert.Device[:], public(keys.Device)) {
		return chat.Errorf(chat.CodeInvalid, "A certificate of another device was offered to this one. Start the pairing again.")
	}
	next := Keys{Device: keys.Device, Cert: cert}
	plain, err := next.encode()
	if err != nil {
		return err
	}
	if err := writeName(home, profileJSON{Name: chat.CleanName(name)}, &keys.secret); err != nil {
		return err
	}
	return writeSealed(home, keysName, keys.secret.derive(domainKeys), plain)
}

func public(key ed25519.PrivateKey) []byte { return key.Public().(ed25519.PublicKey) }

// noMessages refuses a home that holds messages, but not the keys of their owner.
func noMessages(home string) error {
	if exists(filepath.Join(home, historyFile)) {
		return chat.Errorf(chat.CodeHomeBroken, "The home %s holds messages, but the keys of their owner are missing. "+
			"Put %s and %s back from a copy, or move %s away to start as a new person.", home, keysName, unlockName, historyFile)
	}
	return nil
}

func makeKeys(home string, s *secret) (plain []byte, err error) {
	if err := noMessages(home); err != nil {
		return nil, err
	}
	_, root, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	_, device, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	cert, err := identity.Sign(root, chat.DeviceID(public(device)), time.Now(), "")
	if err != nil {
		return nil, err
	}
	keys := Keys{Root: root, Device: device, Cert: cert}
	if plain, err = keys.encode(); err != nil {
		return nil, err
	}
	return plain, writeSealed(home, keysName, s.derive(domainKeys), plain)
}

// loadName returns the stored name, after storing the given one or, at first, the
// operating system's.
func loadName(home, given string, s *secret) (profileJSON, error) {
	b, err := readSealed(home, profileName, s.derive(domainProfile))
	var stored profileJSON
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case given != "" && chat.CodeOf(err) == chat.CodeHomeBroken: // is replaced
	case err != nil:
		return profileJSON{}, chat.Wrap(chat.CodeOf(err), err, err.Error(), "Or give a name with --name.")
	default:
		if err := json.Unmarshal(b, &stored); err != nil && given == "" {
			return profileJSON{}, chat.Wrap(chat.CodeHomeBroken, err, "The name in "+filepath.Join(home, profileName)+" can't be read.",
				"Give a name with --name, or move the file away to take the operating system's name for you.")
		}
	}
	name := stored.Name
	switch {
	case given != "":
		name = given
	case name == "":
		name = systemName()
	}
	name = chat.CleanName(name)
	if name == stored.Name {
		return stored, nil
	}
	next := profileJSON{Name: name}
	if given != "" || stored.Name != "" { // else nobody has said it yet
		next.At = time.Now().Unix()
	}
	return next, writeName(home, next, s)
}

func writeName(home string, p profileJSON, s *secret) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return writeSealed(home, profileName, s.derive(domainProfile), b)
}

// SetName stores what the person calls themselves since a moment, in a home whose
// lock the caller holds and whose keys Load returned.
func SetName(home string, keys Keys, name string, since time.Time) error {
	return writeName(home, profileJSON{Name: chat.CleanName(name), At: since.Unix()}, &keys.secret)
}
