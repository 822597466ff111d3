package keyring

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"earshot/chat"
)

// someHistory stands for a history of several chunks.
var someHistory = bytes.Repeat([]byte("sixteen bytes of"), 10_000)

func makeBackup(t testing.TB, keys Keys, pass string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteBackup(&b, keys, []byte(pass), bytes.NewReader(someHistory), int64(len(someHistory)), time.Unix(1_800_000_000, 0)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestABackupBringsBackWhoLivedThere(t *testing.T) {
	_, keys := newHome(t, Options{Name: "Ann"})
	saved := makeBackup(t, keys, good)
	if err := CheckBackup(t.Context(), bytes.NewReader(saved), given(good)); err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(t.TempDir(), "new")
	got, err := Restore(t.Context(), home, bytes.NewReader(saved), given(good))
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "Ann" || got.Created.Unix() != 1_800_000_000 || got.Cert.Device != keys.Cert.Device {
		t.Errorf("restored %+v", got)
	}
	protected(t, home, Protection{Passphrase: true})
	b, err := os.ReadFile(filepath.Join(home, historyFile))
	if err != nil || !bytes.Equal(b, someHistory) {
		t.Errorf("another history: %d bytes, %v", len(b), err)
	}
	l, err := Acquire(home)
	if err != nil {
		t.Fatal(err)
	}
	if !l.Unclean() {
		t.Error("the restored device goes on with its old logs")
	}
	back := loadWith(t, home, given(good))
	samePerson(t, keys, back)
	if back.Name != "Ann" {
		t.Errorf("called %q", back.Name)
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	_, err = Restore(t.Context(), home, bytes.NewReader(saved), given(good))
	wantCode(t, err, chat.CodeDenied, "--home")
	samePerson(t, keys, loadWith(t, home, given(good)))
}

// refusedBackup checks that a backup is refused and leaves the home empty.
func refusedBackup(t *testing.T, saved []byte, opt Options, code chat.Code, says string) {
	t.Helper()
	home := filepath.Join(t.TempDir(), "new")
	_, err := Restore(t.Context(), home, bytes.NewReader(saved), opt)
	wantCode(t, err, code, says)
	for _, name := range append([]string{restoringName}, restoredFiles...) {
		if exists(filepath.Join(home, name)) {
			t.Errorf("%s is left", name)
		}
	}
}

func TestAChangedBackupIsRefused(t *testing.T) {
	_, keys := newHome(t, Options{})
	saved := makeBackup(t, keys, good)
	refusedBackup(t, saved, given("another one"), chat.CodePassphrase, "not the passphrase of this backup")
	refusedBackup(t, saved, Options{}, chat.CodePassphrase, "--passphrase-file")
	refusedBackup(t, nil, given(good), chat.CodeBackup, "cut short")
	refusedBackup(t, bytes.Repeat([]byte("text "), 100), given(good), chat.CodeBackup, "no backup of Earshot's")
	refusedBackup(t, append(bytes.Clone(saved), 0), given(good), chat.CodeBackup, "changed")
	refusedBackup(t, append(bytes.Clone(saved), saved[headerSize:]...), given(good), chat.CodeBackup, "changed")
	newer := bytes.Clone(saved)
	newer[len(backupMark)]++
	refusedBackup(t, newer, given(good), chat.CodeHomeNewer, "Update Earshot")
	const sealedChunk = chunkSize + 16
	for _, n := range []int{10, headerSize, headerSize + 1, headerSize + 100, headerSize + sealedChunk, headerSize + 2*sealedChunk, len(saved) - sealedChunk, len(saved) - 1} {
		refusedBackup(t, saved[:n], given(good), chat.CodeBackup, "cut short")
	}
	// Two chunks in each other's place.
	swapped := slices.Concat(saved[:headerSize], saved[headerSize+sealedChunk:headerSize+2*sealedChunk], saved[headerSize:headerSize+sealedChunk], saved[headerSize+2*sealedChunk:])
	refusedBackup(t, swapped, given(good), chat.CodeBackup, "changed")
	for at := len(backupMark) + 1; at < len(saved); at += max(1, len(saved)/97) {
		bad := bytes.Clone(saved)
		bad[at] ^= 4
		refusedBackup(t, bad, given(good), chat.CodeBackup, "damaged")
	}
}

// Who knows the passphrase, or makes a backup of their own, still can't speak for
// the device.
func TestABackupOfAnotherDeviceDoesNotPassForThisOne(t *testing.T) {
	_, ann := newHome(t, Options{})
	_, eve := newHome(t, Options{})
	forged := ann
	forged.Device = eve.Device
	refusedBackup(t, makeBackup(t, forged, good), given(good), chat.CodeBackup, "certificate")
}

func TestABackupNeedsAPassphraseWorthTheName(t *testing.T) {
	_, keys := newHome(t, Options{})
	err := WriteBackup(io.Discard, keys, []byte("short"), bytes.NewReader(nil), 0, time.Now())
	wantCode(t, err, chat.CodeUsage, "guessed")
	if err := WriteBackup(io.Discard, keys, []byte(good), bytes.NewReader(nil), 1, time.Now()); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a history that ends early: %v", err)
	}
}

// A restore that is killed leaves a home on which no node starts, and which can be
// restored again.
func TestAKilledRestoreIsDoneAgain(t *testing.T) {
	_, keys := newHome(t, Options{})
	saved := makeBackup(t, keys, good)
	home := t.TempDir()
	write(t, home, lockFile, "")
	write(t, home, restoringName, "")
	write(t, home, historyFile, "half of it")
	write(t, home, unlockName, "half of it")
	l := acquire(t, home)
	_, err := Load(t.Context(), home, Options{})
	wantCode(t, err, chat.CodeHomeBroken, "earshot restore")
	if err := l.file.Unlock(); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(t.Context(), home, bytes.NewReader(saved), given(good)); err != nil {
		t.Fatal(err)
	}
	samePerson(t, keys, loadWith(t, home, given(good)))
	write(t, home, holderFile, "{}") // for the release of l
}

// A log that is left of another history, even one of the same person's, would be taken
// for a part of the restored one.
func TestARestoreIsNotMixedWithWhatIsLeftOfAHistory(t *testing.T) {
	_, keys := newHome(t, Options{})
	saved := makeBackup(t, keys, good)
	for _, left := range strayFiles {
		home := t.TempDir()
		write(t, home, lockFile, "") // of a home
		write(t, home, left, "the last messages")
		_, err := Restore(t.Context(), home, bytes.NewReader(saved), given(good))
		wantCode(t, err, chat.CodeDenied, "empty")
		if !exists(filepath.Join(home, left)) || exists(filepath.Join(home, historyFile)) {
			t.Errorf("with %s: the home was changed", left)
		}
	}
}

func TestARestoreCalledOffLeavesNothing(t *testing.T) {
	_, keys := newHome(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	saved := bytes.NewReader(makeBackup(t, keys, good))
	home := filepath.Join(t.TempDir(), "new")
	opt := Options{Ask: func(context.Context, int) ([]byte, error) { cancel(); return []byte(good), nil }}
	if _, err := Restore(ctx, home, saved, opt); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	for _, name := range append([]string{restoringName}, restoredFiles...) {
		if exists(filepath.Join(home, name)) {
			t.Errorf("%s is left", name)
		}
	}
}

func FuzzBackup(f *testing.F) {
	s := newSecret()
	plain, err := makeKeys(f.TempDir(), &s)
	if err != nil {
		f.Fatal(err)
	}
	keys, err := decodeKeys(plain)
	if err != nil {
		f.Fatal(err)
	}
	keys.secret = s
	var whole bytes.Buffer
	if err := WriteBackup(&whole, keys, []byte(good), bytes.NewReader(someHistory[:100]), 100, time.Unix(1, 0)); err != nil {
		f.Fatal(err)
	}
	f.Add(whole.Bytes())
	f.Add(whole.Bytes()[:200])
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= headerSize {
			// What a header asks for is paid only once it is whole, and within bounds.
			if c, err := checkHeader(b[:headerSize]); err == nil && (c.memory > maxMemory || c.time > maxTime || c.lanes > maxLanes) {
				t.Errorf("accepted costs %+v", c)
			}
		}
		if bytes.HasPrefix(whole.Bytes(), b[:min(len(b), headerSize)]) || len(b) < headerSize {
			if err := CheckBackup(t.Context(), bytes.NewReader(b), given(good)); err == nil && !bytes.Equal(b, whole.Bytes()) {
				t.Error("a forgery passed")
			}
		}
	})
}
