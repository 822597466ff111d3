package keyring

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zalando/go-keyring"

	"earshot/chat"
)

// fakeSystem is a keyring in memory. hang makes every call wait for its end.
type fakeSystem struct {
	mu      sync.Mutex
	entries map[string]string
	forgets bool // takes what it does not keep
	panics  bool
	hang    chan struct{}
}

func newFakeSystem() *fakeSystem { return &fakeSystem{entries: map[string]string{}} }

func (f *fakeSystem) call() {
	if f.hang != nil {
		<-f.hang
	}
	if f.panics {
		panic("an answer of another kind")
	}
}

func (f *fakeSystem) Get(service, user string) (string, error) {
	f.call()
	f.mu.Lock()
	defer f.mu.Unlock()
	v, ok := f.entries[service+"/"+user]
	if !ok {
		return "", keyring.ErrNotFound
	}
	return v, nil
}

func (f *fakeSystem) Set(service, user, secret string) error {
	f.call()
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.forgets {
		f.entries[service+"/"+user] = secret
	}
	return nil
}

func (f *fakeSystem) Delete(service, user string) error {
	f.call()
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.entries, service+"/"+user)
	return nil
}

func given(pass string) Options { return Options{Given: []byte(pass)} }

func choose(pass string) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) { return []byte(pass), nil }
}

const good, better = "correct horse", "battery staple"

func newHome(t *testing.T, opt Options) (home string, keys Keys) {
	t.Helper()
	home = t.TempDir()
	if err := os.Chmod(home, 0o700); err != nil {
		t.Fatal(err)
	}
	return home, loadWith(t, home, opt)
}

func loadWith(t *testing.T, home string, opt Options) Keys {
	t.Helper()
	keys, err := Load(t.Context(), home, opt)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func samePerson(t *testing.T, a, b Keys) {
	t.Helper()
	if !a.Root.Equal(b.Root) || !a.Device.Equal(b.Device) || !bytes.Equal(a.History, b.History) {
		t.Error("the home opened to other keys")
	}
}

func protected(t *testing.T, home string, want Protection) {
	t.Helper()
	got, err := Protected(home)
	if err != nil || got != want {
		t.Errorf("protected = %+v, %v, want %+v", got, err, want)
	}
}

func TestANewHomeSaysOnceThatNothingProtectsIt(t *testing.T) {
	var said []string
	opt := Options{Notify: func(text string) { said = append(said, text) }}
	home, keys := newHome(t, opt)
	samePerson(t, keys, loadWith(t, home, opt))
	if len(said) != 1 || !strings.Contains(said[0], "earshot passphrase") {
		t.Errorf("said %q", said)
	}
	protected(t, home, Protection{})
}

func TestTheSystemsKeyringOpensAHomeWithoutAsking(t *testing.T) {
	system := newFakeSystem()
	opt := Options{System: system, Notify: func(text string) { t.Error(text) }}
	home, keys := newHome(t, opt)
	protected(t, home, Protection{System: true})
	samePerson(t, keys, loadWith(t, home, opt))
	_, err := Load(t.Context(), home, Options{})
	wantCode(t, err, chat.CodePassphrase, "keyring of the system")
	clear(system.entries)
	_, err = Load(t.Context(), home, opt)
	wantCode(t, err, chat.CodePassphrase, "holds no key for this home")
}

// A copy of the home opens nothing: half of what wraps the key is in the keyring,
// and the other half only in the home.
func TestNeitherHomeNorSystemKeyringHoldsTheKeyAlone(t *testing.T) {
	system := newFakeSystem()
	home, keys := newHome(t, Options{System: system})
	b, err := os.ReadFile(filepath.Join(home, unlockName))
	if err != nil {
		t.Fatal(err)
	}
	var f unlockFile
	line, _, _ := bytes.Cut(b, []byte("\n"))
	if err := json.Unmarshal(line, &f); err != nil {
		t.Fatal(err)
	}
	if f.Unprotected != nil || bytes.Contains(f.System, keys.secret[:]) {
		t.Error("the file holds the key")
	}
	kek, err := loadEntry(t.Context(), system, f.account())
	if err != nil || bytes.Equal(kek, keys.secret[:]) {
		t.Errorf("the keyring holds the key: %v", err)
	}
}

func TestAKeyringThatDoesNotWorkIsDoneWithout(t *testing.T) {
	for name, system := range map[string]*fakeSystem{
		"forgets": {entries: map[string]string{}, forgets: true},
		"panics":  {panics: true},
	} {
		home, keys := newHome(t, Options{System: system})
		protected(t, home, Protection{})
		samePerson(t, keys, loadWith(t, home, Options{}))
		if t.Failed() {
			t.Fatal(name)
		}
	}
}

func TestAKeyringThatHangsIsWaitedForOnlySoLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		system := newFakeSystem()
		system.hang = make(chan struct{})
		start := time.Now()
		home, _ := newHome(t, Options{System: system})
		if took := time.Since(start); took != systemTimeout {
			t.Errorf("it took %v, want %v", took, systemTimeout)
		}
		protected(t, home, Protection{})
		close(system.hang)
	})
}

func TestAPassphraseOpensTheHomeAndNothingElseDoes(t *testing.T) {
	home, keys := newHome(t, given(good))
	protected(t, home, Protection{Passphrase: true})
	samePerson(t, keys, loadWith(t, home, given(good)))
	before := contents(t, home)
	for name, c := range map[string]struct {
		opt  Options
		says string
	}{
		"wrong":    {given("correct house"), PassphraseVariable},
		"too long": {given(strings.Repeat("x", maxPassphrase+1)), "wrong"},
		"nobody":   {Options{}, "no terminal"},
		"three wrong ones": {Options{Ask: func(_ context.Context, try int) ([]byte, error) {
			return fmt.Append(nil, "a wrong one ", try), nil
		}}, "That passphrase is wrong"},
	} {
		_, err := Load(t.Context(), home, c.opt)
		if chat.CodeOf(err) != chat.CodePassphrase || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if after := contents(t, home); !slices.Equal(before, after) {
		t.Error("files were changed")
	}
	second := Options{Ask: func(_ context.Context, try int) ([]byte, error) {
		return [][]byte{[]byte("a wrong one"), []byte(good)}[try], nil
	}}
	samePerson(t, keys, loadWith(t, home, second))
	interrupted := Options{Ask: func(context.Context, int) ([]byte, error) { return nil, context.Canceled }}
	if _, err := Load(t.Context(), home, interrupted); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestOnePassphraseHoweverItWasComposed(t *testing.T) {
	home, keys := newHome(t, given("caf\u00e9 au lait"))
	samePerson(t, keys, loadWith(t, home, given("cafe\u0301 au lait")))
}

func TestAPassphraseIsSetChangedAndRemoved(t *testing.T) {
	home, keys := newHome(t, Options{})
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	wantCode(t, SetPassphrase(ctx, home, Options{}, choose("short")), chat.CodeUsage, "guessed")
	wantCode(t, RemovePassphrase(ctx, home, Options{}), chat.CodeUsage, "no passphrase")
	must(SetPassphrase(ctx, home, Options{}, choose(good)))
	protected(t, home, Protection{Passphrase: true})
	wantCode(t, SetPassphrase(ctx, home, given("wrong one"), choose(better)), chat.CodePassphrase, "wrong")
	must(SetPassphrase(ctx, home, given(good), choose(better)))
	samePerson(t, keys, loadWith(t, home, given(better)))
	_, err := Load(ctx, home, given(good))
	wantCode(t, err, chat.CodePassphrase, "wrong")
	wantCode(t, RemovePassphrase(ctx, home, given(good)), chat.CodePassphrase, "wrong")
	system := newFakeSystem()
	opt := given(better)
	opt.System = system
	must(RemovePassphrase(ctx, home, opt))
	protected(t, home, Protection{System: true})
	must(SetPassphrase(ctx, home, Options{System: system}, choose(good)))
	protected(t, home, Protection{Passphrase: true, System: true})
	must(RemovePassphrase(ctx, home, given(good)))
	protected(t, home, Protection{System: true})
	samePerson(t, keys, loadWith(t, home, Options{System: system}))
}

func TestLockingForgetsWhatOpensWithoutAsking(t *testing.T) {
	system := newFakeSystem()
	home, keys := newHome(t, Options{System: system})
	ctx := t.Context()
	wantCode(t, Forget(ctx, home, system), chat.CodeDenied, "earshot passphrase")
	if err := SetPassphrase(ctx, home, Options{System: system}, choose(good)); err != nil {
		t.Fatal(err)
	}
	stolen := map[string]string{}
	for k, v := range system.entries {
		stolen[k] = v
	}
	if err := Forget(ctx, home, system); err != nil {
		t.Fatal(err)
	}
	if len(system.entries) != 0 {
		t.Error("the keyring still knows")
	}
	protected(t, home, Protection{Passphrase: true})
	system.entries = stolen // nor does a keyring help that could not be reached
	_, err := Load(ctx, home, Options{System: system})
	wantCode(t, err, chat.CodePassphrase, "no terminal")
	asked := 0
	opt := Options{System: system, Ask: func(context.Context, int) ([]byte, error) { asked++; return []byte(good), nil }}
	for range 2 { // once typed, the keyring knows again
		samePerson(t, keys, loadWith(t, home, opt))
	}
	if asked != 1 {
		t.Errorf("asked %d times, want once", asked)
	}
	// A service's passphrase goes into no keyring.
	if err := Forget(ctx, home, system); err != nil {
		t.Fatal(err)
	}
	opt.Given = []byte(good)
	samePerson(t, keys, loadWith(t, home, opt))
	protected(t, home, Protection{Passphrase: true})
}

// contents reads every file of a home.
func contents(t *testing.T, home string) []string {
	t.Helper()
	files, err := os.ReadDir(home)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(home, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, f.Name()+" "+string(b))
	}
	return out
}

// Whatever bit of the home's files flips: it is said, or nothing has changed, and
// never another person's home; and no file is written.
func TestAFlippedBitInTheHomeIsSaid(t *testing.T) {
	home, keys := newHome(t, given(good))
	for _, name := range []string{unlockName, keysName, profileName} {
		path := filepath.Join(home, name)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(whole); i += 3 {
			bad := bytes.Clone(whole)
			bad[i] ^= 1 << (i % 8)
			write(t, home, name, string(bad))
			before := contents(t, home)
			got, err := Load(t.Context(), home, given(good))
			switch code := chat.CodeOf(err); {
			case err == nil:
				samePerson(t, keys, got)
				t.Errorf("byte %d of %s: nothing said", i, name)
			case code != chat.CodeHomeBroken && code != chat.CodeHomeNewer:
				t.Errorf("byte %d of %s: %v", i, name, err)
			case !slices.Equal(before, contents(t, home)):
				t.Fatalf("byte %d of %s: a file was written", i, name)
			}
		}
		write(t, home, name, string(whole))
	}
	samePerson(t, keys, loadWith(t, home, given(good)))
}

func TestAMissingFileIsNoFirstRun(t *testing.T) {
	for _, name := range []string{unlockName, keysName} {
		home, _ := newHome(t, Options{})
		write(t, home, historyFile, "messages")
		if err := os.Remove(filepath.Join(home, name)); err != nil {
			t.Fatal(err)
		}
		before := contents(t, home)
		_, err := Load(t.Context(), home, Options{})
		wantCode(t, err, chat.CodeHomeBroken, name)
		if !slices.Equal(before, contents(t, home)) {
			t.Errorf("without %s, files were written", name)
		}
	}
}

func TestNewerFilesAreRefused(t *testing.T) {
	home, keys := newHome(t, Options{})
	newer := func(name, content string) {
		t.Helper()
		old, _ := os.ReadFile(filepath.Join(home, name))
		write(t, home, name, content)
		_, err := Load(t.Context(), home, Options{})
		wantCode(t, err, chat.CodeHomeNewer, "Update Earshot")
		write(t, home, name, string(old))
	}
	newer(unlockName, `{"version":2,"else":true}`)
	newer(keysName, "earshot sealed 2\nof another kind")
	newer(profileName, "earshot sealed 2\nof another kind")
	samePerson(t, keys, loadWith(t, home, Options{}))
}

// A home of a version that did not encrypt is taken over, from every state in
// which the take-over may have been cut short.
func TestAPlainHomeIsTakenOver(t *testing.T) {
	plain, k := plainKeys(t)
	const profile = `{"name":"Ann Plain"}` + "\n"
	for cut := range 4 {
		home := t.TempDir()
		acquire(t, home)
		write(t, home, plainKeysName, plain)
		write(t, home, plainProfileName, profile)
		write(t, home, historyFile, "messages")
		s, err := unlock(t.Context(), home, &Options{Given: []byte(good)})
		if err != nil {
			t.Fatal(err)
		}
		switch cut { // what the start before had done when it was killed
		case 1:
			err = writeSealed(home, profileName, s.derive(domainProfile), []byte(profile))
		case 2:
			err = errors.Join(writeSealed(home, profileName, s.derive(domainProfile), []byte(profile)), shred(home, plainProfileName))
		case 3:
			err = writeSealed(home, keysName, s.derive(domainKeys), []byte(plain))
		}
		if err != nil {
			t.Fatal(err)
		}
		got := loadWith(t, home, given(good))
		if !bytes.Equal(got.Cert.Bytes(), k.Certificate) || got.Name != "Ann Plain" {
			t.Errorf("cut %d: another person, called %q", cut, got.Name)
		}
		if exists(filepath.Join(home, plainKeysName)) || exists(filepath.Join(home, plainProfileName)) {
			t.Errorf("cut %d: plain files are left", cut)
		}
		for _, file := range contents(t, home) {
			if strings.Contains(file, "Ann Plain") || strings.Contains(file, string(k.Root)) || strings.Contains(file, `"root"`) {
				t.Errorf("cut %d: plain text is left in %.20q", cut, file)
			}
		}
	}
}

// rewrapForever changes the passphrase to and fro until it is killed, and prints a
// line each time.
func rewrapForever(home string) {
	for {
		for _, pair := range [][2]string{{good, better}, {better, good}} {
			if err := SetPassphrase(context.Background(), home, given(pair[0]), choose(pair[1])); err != nil {
				fmt.Println("failed:", err)
				os.Exit(1)
			}
			fmt.Println("changed")
		}
	}
}

// Killed at any moment of a change, one of the two passphrases opens the home.
func TestAKilledChangeKeepsOneOfThePassphrases(t *testing.T) {
	for round := range 12 {
		home, keys := newHome(t, given(good))
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "KEYRING_TEST_REWRAP="+home)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for range 1 + round {
			if !lines.Scan() || lines.Text() != "changed" {
				t.Fatalf("child: %q", lines.Text())
			}
		}
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = child.Wait() // killed
		got, err := Load(t.Context(), home, given(good))
		if err != nil {
			got, err = Load(t.Context(), home, given(better))
		}
		if err != nil {
			t.Fatal(err)
		}
		samePerson(t, keys, got)
	}
}

func TestHostileCostsAreRefused(t *testing.T) {
	home, _ := newHome(t, given(good))
	f, err := readUnlock(home)
	if err != nil {
		t.Fatal(err)
	}
	for name, hostile := range map[string]func(*passphraseWrap){
		"memory": func(w *passphraseWrap) { w.Memory = maxMemory + 1 },
		"time":   func(w *passphraseWrap) { w.Time = maxTime + 1 },
		"lanes":  func(w *passphraseWrap) { w.Lanes = maxLanes + 1 },
		"zero":   func(w *passphraseWrap) { w.Lanes = 0 },
	} {
		w := *f.Passphrase
		hostile(&w)
		b, err := (&unlockFile{Version: f.Version, Home: f.Home, Passphrase: &w}).encode()
		if err != nil {
			t.Fatal(err)
		}
		write(t, home, unlockName, string(b))
		if _, err := Load(t.Context(), home, given(good)); chat.CodeOf(err) != chat.CodeHomeBroken {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzUnlockFile(f *testing.F) {
	s := newSecret()
	for _, opt := range []Options{{}, given(good), {System: newFakeSystem()}} {
		u, err := newUnlock(f.Context(), &opt, &s)
		if err != nil {
			f.Fatal(err)
		}
		b, err := u.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		u, err := decodeUnlock(b)
		if err != nil {
			return
		}
		if w := u.Passphrase; w != nil && (w.Memory > maxMemory || w.Time > maxTime || w.Lanes > maxLanes || w.Time == 0 || w.Lanes == 0) {
			t.Errorf("accepted costs %+v", w)
		}
		if u.Unprotected == nil && u.Passphrase == nil && u.System == nil {
			t.Error("accepted a home that nothing opens")
		}
	})
}

func FuzzSealed(f *testing.F) {
	s := newSecret()
	key := s.derive(domainKeys)
	f.Add(encodeSealed(key, keysName, []byte("content")))
	f.Add([]byte("earshot sealed 9\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if plain, err := decodeSealed(key, keysName, b); err == nil && string(plain) != "content" {
			t.Errorf("opened a forgery: %q", plain)
		}
	})
}

func BenchmarkPassphrase(b *testing.B) {
	cost := kdfCost{time: 3, memory: 64 << 10, lanes: 4}
	for b.Loop() {
		passphraseKey([]byte(good), make([]byte, saltSize), cost)
	}
}
