package keyring

import (
	"bytes"
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

// keysVersion is the version of the key file's format.
const keysVersion = 1

// Keys are who this node is.
type Keys struct {
	Root   ed25519.PrivateKey // the person
	Device ed25519.PrivateKey
	Cert   identity.Certificate // of Device by Root, verified
	Name   string               // what the person calls themselves; clean and not empty
}

// keysJSON is the key file. Root and device are Ed25519 seeds; the certificate
// binds their public keys, so a flipped bit in any of the three is noticed.
type keysJSON struct {
	Version     int    `json:"version"`
	Root        []byte `json:"root"`
	Device      []byte `json:"device"`
	Certificate []byte `json:"certificate"`
}

type profileJSON struct {
	Name string `json:"name"`
}

// Load returns the keys and name in a home whose lock the caller holds. In an
// empty one it makes a new person with a new device, and takes the name from the
// operating system. A name that is not empty replaces the one stored. Files that
// are damaged, newer, or readable for others are refused and left as they are.
func Load(home, name string) (Keys, error) {
	keys, err := readKeys(home)
	if errors.Is(err, fs.ErrNotExist) {
		keys, err = makeKeys(home)
	}
	if err != nil {
		return Keys{}, err
	}
	keys.Name, err = loadName(home, name)
	return keys, err
}

func readKeys(home string) (Keys, error) {
	path := filepath.Join(home, keyFile)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Keys{}, err
	}
	if err != nil {
		return Keys{}, homeFailed(home, err)
	}
	if openToOthers(info) {
		return Keys{}, chat.Errorf(chat.CodeHomeBroken, "Others on this computer can read or change your keys in %s. "+
			"Close the file to them with: chmod 600 %s (or, if somebody may have copied it, move it away and start as a new person).", path, path)
	}
	b, err := readSmall(path)
	if err != nil {
		return Keys{}, homeFailed(home, err)
	}
	keys, err := decodeKeys(b)
	if code := chat.CodeOf(err); code == chat.CodeHomeNewer {
		return Keys{}, err
	} else if err != nil {
		return Keys{}, chat.Wrap(chat.CodeHomeBroken, err, "The keys in "+path+" are damaged: "+err.Error()+". Nothing was changed.",
			"Put the file back from a backup; if there is none, move it and "+historyFile+" away to start as a new person.")
	}
	return keys, nil
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
	if in.Version != keysVersion || len(in.Root) != ed25519.SeedSize || len(in.Device) != ed25519.SeedSize {
		return Keys{}, errors.New("a key is missing or has the wrong length")
	}
	cert, err := identity.Parse(in.Certificate)
	if err == nil {
		err = cert.Verify()
	}
	if err != nil {
		return Keys{}, errors.New("the device's certificate can't be read or is not signed by the person's key")
	}
	keys := Keys{Root: ed25519.NewKeyFromSeed(in.Root), Device: ed25519.NewKeyFromSeed(in.Device), Cert: cert}
	if !bytes.Equal(cert.Root[:], public(keys.Root)) || !bytes.Equal(cert.Device[:], public(keys.Device)) {
		return Keys{}, errors.New("the keys are not those of the certificate")
	}
	return keys, nil
}

func public(key ed25519.PrivateKey) []byte { return key.Public().(ed25519.PublicKey) }

func makeKeys(home string) (Keys, error) {
	if exists(filepath.Join(home, historyFile)) {
		return Keys{}, chat.Errorf(chat.CodeHomeBroken, "The home %s holds messages, but the keys of their owner are missing. "+
			"Put %s back from a backup, or move %s away to start as a new person.", home, keyFile, historyFile)
	}
	_, root, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Keys{}, err
	}
	_, device, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Keys{}, err
	}
	cert, err := identity.Sign(root, chat.DeviceID(public(device)), time.Now(), "")
	if err != nil {
		return Keys{}, err
	}
	b, err := json.Marshal(keysJSON{Version: keysVersion, Root: root.Seed(), Device: device.Seed(), Certificate: cert.Bytes()})
	if err != nil {
		return Keys{}, err
	}
	if err := writeFile(home, keyFile, append(b, '\n')); err != nil {
		return Keys{}, homeFailed(home, err)
	}
	return Keys{Root: root, Device: device, Cert: cert}, nil
}

// loadName returns the stored name, after storing the given one or, at first, the
// operating system's.
func loadName(home, given string) (string, error) {
	path := filepath.Join(home, profileFile)
	b, err := readSmall(path)
	var stored profileJSON
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return "", homeFailed(home, err)
	default:
		if err := json.Unmarshal(b, &stored); err != nil && given == "" {
			return "", chat.Wrap(chat.CodeHomeBroken, err, "The name in "+path+" can't be read.",
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
		return name, nil
	}
	if b, err = json.Marshal(profileJSON{Name: name}); err != nil {
		return "", err
	}
	if err := writeFile(home, profileFile, append(b, '\n')); err != nil {
		return "", homeFailed(home, err)
	}
	return name, nil
}
