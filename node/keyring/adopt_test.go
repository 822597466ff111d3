package keyring

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/identity"
)

// adopted is a home whose device another person has made theirs.
func adopted(t *testing.T) (home string, before, theirs Keys) {
	t.Helper()
	_, theirs = newHome(t, Options{Name: "Ann"})
	home, before = newHome(t, Options{Name: "laptop"})
	cert, err := identity.Sign(theirs.Root, before.Cert.Device, time.Now(), "laptop")
	if err != nil {
		t.Fatal(err)
	}
	if err := Adopt(home, before, cert, "Ann"); err != nil {
		t.Fatal(err)
	}
	return home, before, theirs
}

func TestAnAdoptedDeviceIsThePersonsAndHoldsNoRootKey(t *testing.T) {
	home, before, theirs := adopted(t)
	got := load(t, home, "")
	if got.Root != nil || got.Name != "Ann" || got.Cert.Person() != theirs.Cert.Person() {
		t.Errorf("it lives as %q (%s), with a root key: %v", got.Name, got.Cert.Person().Short(), got.Root != nil)
	}
	if !got.Device.Equal(before.Device) || !bytes.Equal(got.History, before.History) {
		t.Error("the device or the key of the history has changed")
	}
	// Not in the files either.
	s := got.secret
	plain, err := readSealed(home, keysName, s.derive(domainKeys))
	if err != nil {
		t.Fatal(err)
	}
	for _, seed := range [][]byte{before.Root.Seed(), theirs.Root.Seed()} {
		var k keysJSON
		if err := json.Unmarshal(plain, &k); err != nil || len(k.Root) != 0 || bytes.Contains(plain, seed) {
			t.Error("a root key is still there")
		}
	}
}

func TestADeviceIsNotAdoptedUnderAnothersCertificate(t *testing.T) {
	_, theirs := newHome(t, Options{Name: "Ann"})
	home, keys := newHome(t, Options{Name: "laptop"})
	if err := Adopt(home, keys, theirs.Cert, "Ann"); chat.CodeOf(err) != chat.CodeInvalid {
		t.Errorf("a certificate of another device: %v", err)
	}
	forged := identity.Certificate{Device: keys.Cert.Device, Root: theirs.Cert.Root}
	if err := Adopt(home, keys, forged, "Ann"); chat.CodeOf(err) != chat.CodeInvalid {
		t.Errorf("an unsigned certificate: %v", err)
	}
	samePerson(t, keys, load(t, home, ""))
}

func TestABackupOfADeviceWithoutRootKeyBringsItBack(t *testing.T) {
	home, _, theirs := adopted(t)
	saved := makeBackup(t, load(t, home, ""), good)
	back := filepath.Join(t.TempDir(), "new")
	if _, err := Restore(t.Context(), back, bytes.NewReader(saved), given(good)); err != nil {
		t.Fatal(err)
	}
	got := loadWith(t, back, given(good))
	if got.Root != nil || got.Cert.Person() != theirs.Cert.Person() {
		t.Errorf("restored as %s", got.Cert.Person().Short())
	}
}

func TestKeysWithoutRootAreReadOnlyWhereTheyMayBe(t *testing.T) {
	home, _, _ := adopted(t)
	keys := load(t, home, "")
	plain, err := keys.encode()
	if err != nil {
		t.Fatal(err)
	}
	var k keysJSON
	if err := json.Unmarshal(plain, &k); err != nil {
		t.Fatal(err)
	}
	if k.Version != keysVersion {
		t.Errorf("format %d", k.Version)
	}
	k.Version = keysRootVersion // where an earlier program would miss the root key
	old, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := decodeKeys(old); err == nil {
		t.Error("the earlier format is read without a root key")
	}
	// A home with a root key is written as ever.
	_, with := newHome(t, Options{})
	if plain, err = with.encode(); err != nil || json.Unmarshal(plain, &k) != nil || k.Version != keysRootVersion {
		t.Errorf("format %d with a root key (%v)", k.Version, err)
	}
}

func TestLogsOfBeforeAreNeverGoneOnWithAfterStartingOver(t *testing.T) {
	home := t.TempDir()
	if err := os.Chmod(home, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := Acquire(home)
	if err != nil {
		t.Fatal(err)
	}
	if l.Mark() != 0 {
		t.Fatal("a new home has a mark")
	}
	if err := l.StartOver(7); err != nil {
		t.Fatal(err)
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	if l = acquire(t, home); l.Mark() != 7 || l.Unclean() {
		t.Errorf("mark %d, unclean %v", l.Mark(), l.Unclean())
	}
}

func TestANameIsKeptWithTheTimeItWasChosen(t *testing.T) {
	home, keys := newHome(t, Options{})
	if !keys.NamedAt.IsZero() {
		t.Error("somebody chose the operating system's name")
	}
	at := time.Unix(1_800_000_000, 0)
	if err := SetName(home, keys, "Ann", at); err != nil {
		t.Fatal(err)
	}
	if got := load(t, home, "Ann"); got.Name != "Ann" || !got.NamedAt.Equal(at) { // the same again is no choice
		t.Errorf("%q since %v", got.Name, got.NamedAt)
	}
	if got := load(t, home, "Annabel"); got.Name != "Annabel" || got.NamedAt.IsZero() || got.NamedAt.Equal(at) {
		t.Errorf("%q since %v", got.Name, got.NamedAt)
	}
}
