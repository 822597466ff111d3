package keyring

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"earshot/chat"
)

// TestMain lets the test binary be the other process that holds a home.
func TestMain(m *testing.M) {
	if home := os.Getenv("KEYRING_TEST_HOLD"); home != "" {
		l, err := Acquire(home)
		if err != nil {
			os.Stdout.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Stdout.WriteString("held\n")
		_, _ = os.Stdin.Read(make([]byte, 1)) // until the parent closes it or kills us
		if l.Release() != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	newCost = kdfCost{time: 1, memory: 64, lanes: 1} // a test guesses often
	if home := os.Getenv("KEYRING_TEST_REWRAP"); home != "" {
		rewrapForever(home)
	}
	os.Exit(m.Run())
}

func TestHomeIsWhereItIsNamed(t *testing.T) {
	t.Setenv(HomeVariable, "")
	t.Setenv("XDG_DATA_HOME", "/data")
	if runtime.GOOS == "linux" {
		if got, err := Home(""); err != nil || got != "/data/earshot" {
			t.Errorf("platform's home = %q, %v", got, err)
		}
	}
	env := t.TempDir()
	t.Setenv(HomeVariable, env)
	if got, err := Home(""); err != nil || got != env {
		t.Errorf("home by variable = %q, %v, want %q", got, err, env)
	}
	flag := t.TempDir()
	if got, err := Home(flag); err != nil || got != flag {
		t.Errorf("home by flag = %q, %v, want %q", got, err, flag)
	}
	t.Chdir(flag)
	if got, err := Home("sub"); err != nil || !filepath.IsAbs(got) || filepath.Base(got) != "sub" {
		t.Errorf("a relative home = %q, %v, want an absolute path", got, err)
	}
}

func TestPlatformHomes(t *testing.T) {
	user := func() (string, error) { return filepath.FromSlash("/u/ann"), nil }
	nobody := func() (string, error) { return "", errors.New("$HOME is not defined") }
	absolute, _ := filepath.Abs("data")
	for _, c := range []struct {
		goos string
		env  map[string]string
		user func() (string, error)
		want string // "" for an error
	}{
		{"linux", nil, user, "/u/ann/.local/share/earshot"},
		{"linux", map[string]string{"XDG_DATA_HOME": absolute}, nobody, filepath.Join(absolute, "earshot")},
		{"linux", map[string]string{"XDG_DATA_HOME": "relative"}, user, "/u/ann/.local/share/earshot"},
		{"linux", nil, nobody, ""},
		{"darwin", map[string]string{"XDG_DATA_HOME": absolute}, user, "/u/ann/Library/Application Support/Earshot"},
		{"windows", map[string]string{"LocalAppData": "/u/ann/AppData/Local"}, user, "/u/ann/AppData/Local/Earshot"},
		{"windows", nil, user, ""},
	} {
		got, err := platformHome(c.goos, func(k string) string { return c.env[k] }, c.user)
		if (err != nil) != (c.want == "") || (err == nil && got != filepath.FromSlash(c.want)) {
			t.Errorf("%s %v: %q, %v, want %q", c.goos, c.env, got, err, c.want)
		}
	}
}

func TestFirstRunMakesAPersonAndKeepsThem(t *testing.T) {
	home := filepath.Join(t.TempDir(), "deep", "home")
	acquire(t, home)
	first := load(t, home, "")
	if first.Name == "" || first.Name != chat.CleanName(first.Name) {
		t.Errorf("name = %q", first.Name)
	}
	if err := first.Cert.Verify(); err != nil {
		t.Error(err)
	}
	if !bytes.Equal(first.Cert.Device[:], public(first.Device)) || !bytes.Equal(first.Cert.Root[:], public(first.Root)) {
		t.Error("the certificate is for other keys")
	}
	again := load(t, home, "")
	if !again.Root.Equal(first.Root) || !again.Device.Equal(first.Device) || !bytes.Equal(again.Cert.Bytes(), first.Cert.Bytes()) || again.Name != first.Name {
		t.Error("the second run is another person")
	}
	other := t.TempDir()
	acquire(t, other)
	if stranger := load(t, other, ""); stranger.Root.Equal(first.Root) || stranger.Device.Equal(first.Device) {
		t.Error("two homes, one person")
	}
	if runtime.GOOS == "windows" {
		return
	}
	for path, want := range map[string]os.FileMode{home: 0o700, filepath.Join(home, keysName): 0o600, filepath.Join(home, profileName): 0o600, filepath.Join(home, unlockName): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want %v", path, info.Mode().Perm(), err, want)
		}
	}
}

func TestNamesAreStoredClean(t *testing.T) {
	home := t.TempDir()
	acquire(t, home)
	for _, c := range []struct{ given, want string }{
		{"Ann", "Ann"},
		{"", "Ann"},
		{" B\x1b[31mob\n", "B[31mob"},
		{"", "B[31mob"},
		{"\u202e", "(no name)"},
	} {
		if got := load(t, home, c.given).Name; got != c.want {
			t.Errorf("given %q: %q, want %q", c.given, got, c.want)
		}
	}
	write(t, home, profileName, "{")
	_, err := Load(t.Context(), home, Options{})
	wantCode(t, err, chat.CodeHomeBroken, "--name")
	if got := load(t, home, "Cay").Name; got != "Cay" {
		t.Errorf("a given name does not replace a damaged one: %q", got)
	}
}

func TestPickName(t *testing.T) {
	for _, c := range []struct{ full, login, want string }{
		{"Ann Lee", "ann", "Ann Lee"},
		{"", "ann", "ann"},
		{"  ", `OFFICE\ann`, "ann"},
		{"", "ann@office.example", "ann"},
		{"& Lee", "ann", "Ann Lee"},
		{"\u200b\u202e", "", nobody},
		{"", "", nobody},
		{"山田 太郎", "yamada", "山田 太郎"},
	} {
		if got := pickName(c.full, c.login); got != c.want {
			t.Errorf("%q, %q: %q, want %q", c.full, c.login, got, c.want)
		}
	}
}

func TestDamagedKeysAreRefusedAndKept(t *testing.T) {
	good, mine := plainKeys(t)
	_, theirs := plainKeys(t)
	change := func(f func(*keysJSON)) string {
		k := mine
		k.Root, k.Device, k.Certificate = bytes.Clone(k.Root), bytes.Clone(k.Device), bytes.Clone(k.Certificate)
		f(&k)
		b, err := json.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	home := t.TempDir()
	acquire(t, home)
	for name, c := range map[string]struct {
		content string
		code    chat.Code
	}{
		"empty":               {"", chat.CodeHomeBroken},
		"cut":                 {good[:len(good)/2], chat.CodeHomeBroken},
		"null":                {"null", chat.CodeHomeBroken},
		"huge":                {strings.Repeat(" ", maxSmallFile+1), chat.CodeHomeBroken},
		"newer":               {change(func(k *keysJSON) { k.Version = keysVersion + 1 }), chat.CodeHomeNewer},
		"short root":          {change(func(k *keysJSON) { k.Root = k.Root[1:] }), chat.CodeHomeBroken},
		"bit in root":         {change(func(k *keysJSON) { k.Root[3] ^= 1 }), chat.CodeHomeBroken},
		"bit in device":       {change(func(k *keysJSON) { k.Device[3] ^= 1 }), chat.CodeHomeBroken},
		"bit in certificate":  {change(func(k *keysJSON) { k.Certificate[60] ^= 1 }), chat.CodeHomeBroken},
		"foreign certificate": {change(func(k *keysJSON) { k.Certificate = theirs.Certificate }), chat.CodeHomeBroken},
		"foreign root":        {change(func(k *keysJSON) { k.Root = theirs.Root }), chat.CodeHomeBroken},
	} {
		write(t, home, plainKeysName, c.content)
		_, err := Load(t.Context(), home, Options{})
		if chat.CodeOf(err) != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
		if after, _ := os.ReadFile(filepath.Join(home, plainKeysName)); string(after) != c.content {
			t.Errorf("%s: the file was changed", name)
		}
		if exists(filepath.Join(home, unlockName)) || exists(filepath.Join(home, keysName)) {
			t.Errorf("%s: files were made", name)
		}
	}
	write(t, home, plainKeysName, good)
	if got := load(t, home, ""); !bytes.Equal(got.Cert.Bytes(), mine.Certificate) {
		t.Error("the good file, put back, is another person's")
	}
}

// plainKeys returns a key file as versions wrote it that did not encrypt.
func plainKeys(t *testing.T) (content string, k keysJSON) {
	t.Helper()
	s := newSecret()
	b, err := makeKeys(t.TempDir(), &s)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &k); err != nil {
		t.Fatal(err)
	}
	return string(b) + "\n", k
}

func TestKeysOpenToOthersAreRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no permission bits")
	}
	home := t.TempDir()
	acquire(t, home)
	want := load(t, home, "")
	for _, name := range []string{unlockName, keysName} {
		path := filepath.Join(home, name)
		for _, mode := range []os.FileMode{0o604, 0o640, 0o620} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			_, err := Load(t.Context(), home, Options{})
			wantCode(t, err, chat.CodeHomeBroken, "chmod 600 "+path)
		}
		if err := os.Chmod(path, 0o600); err != nil { // what the error says to do
			t.Fatal(err)
		}
	}
	if got := load(t, home, ""); !got.Root.Equal(want.Root) {
		t.Error("the keys changed")
	}
}

// Without keys, a home with messages is not taken for a new one: a new person
// would appear in the place of the old.
func TestMessagesWithoutKeysAreNoFirstRun(t *testing.T) {
	home := t.TempDir()
	acquire(t, home)
	write(t, home, historyFile, "messages")
	_, err := Load(t.Context(), home, Options{})
	wantCode(t, err, chat.CodeHomeBroken, keysName)
	if exists(filepath.Join(home, keysName)) || exists(filepath.Join(home, unlockName)) {
		t.Error("keys were made")
	}
}

func TestAHomeOpenToOthersIsClosedOrRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no permission bits")
	}
	ours := t.TempDir()
	if err := os.Chmod(ours, 0o755); err != nil {
		t.Fatal(err)
	}
	acquire(t, ours)
	if info, _ := os.Stat(ours); info.Mode().Perm() != 0o700 {
		t.Errorf("an empty home stays open: %v", info.Mode())
	}
	theirs := t.TempDir()
	if err := os.Chmod(theirs, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, theirs, "somebody's.txt", "text")
	_, err := Acquire(theirs)
	wantCode(t, err, chat.CodeHomeBroken, "--home")
	if info, _ := os.Stat(theirs); info.Mode().Perm() != 0o755 {
		t.Errorf("a directory that is not ours was changed: %v", info.Mode())
	}
	if names, _ := os.ReadDir(theirs); len(names) != 1 {
		t.Errorf("files were made in a directory that is not ours: %v", names)
	}
}

func TestAHomeThatCantBeMade(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Acquire(filepath.Join(file, "home"))
	wantCode(t, err, chat.CodeHomeBroken, "--home")
}

func TestOneNodePerHome(t *testing.T) {
	home := t.TempDir()
	l := acquire(t, home)
	if l.Unclean() {
		t.Error("a new home counts as unclean")
	}
	_, err := Acquire(home) // in one process, too
	wantCode(t, err, chat.CodeHomeLocked, "earshot stop")
}

func TestTheLockNamesItsHolderAndEndsWithIt(t *testing.T) {
	home := t.TempDir()
	for _, kill := range []bool{false, true} {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "KEYRING_TEST_HOLD="+home)
		in, err := child.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		line := make([]byte, 5)
		if _, err := out.Read(line); err != nil || string(line) != "held\n" {
			t.Fatalf("child: %q, %v", line, err)
		}
		_, err = Acquire(home)
		wantCode(t, err, chat.CodeHomeLocked, fmt.Sprintf("process %d,", child.Process.Pid))
		wantCode(t, err, chat.CodeHomeLocked, time.Now().Format("2006-01-02"))
		if kill {
			err = child.Process.Kill()
		} else {
			err = in.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Wait(); (err != nil) != kill {
			t.Fatalf("child: %v", err)
		}
		l, err := Acquire(home)
		if err != nil {
			t.Fatalf("after the holder's end: %v", err)
		}
		// Where the system can tell its runs apart, a mere death is not unclean.
		if want := kill && bootID() == ""; l.Unclean() != want {
			t.Errorf("killed %v: unclean = %v, want %v", kill, l.Unclean(), want)
		}
		if err := l.Release(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnotherRunOfTheSystemIsUnclean(t *testing.T) {
	for name, c := range map[string]struct {
		content string
		want    bool
	}{
		"released":        {"", false},
		"another boot":    {`{"pid":1,"since":"2026-01-02T03:04:05Z","boot":"another"}`, true},
		"an unknown boot": {`{"pid":1,"since":"2026-01-02T03:04:05Z"}`, true},
		"damaged":         {`{"pid`, true},
	} {
		home := t.TempDir()
		if c.content != "" {
			write(t, home, holderFile, c.content)
		}
		if l := acquire(t, home); l.Unclean() != c.want {
			t.Errorf("%s: unclean = %v, want %v", name, l.Unclean(), c.want)
		}
	}
}

// A start that fails, for want of the passphrase perhaps, does not make the next
// one believe that all is well.
func TestUncleanLastsUntilANodeHasHeededItAndItsMarkForEver(t *testing.T) {
	home := t.TempDir()
	write(t, home, holderFile, `{"pid":1,"since":"2026-01-02T03:04:05Z","boot":"another"}`)
	if err := os.Chmod(home, 0o700); err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{true, true, false} {
		l, err := Acquire(home)
		if err != nil {
			t.Fatal(err)
		}
		if l.Unclean() != want {
			t.Errorf("start %d: unclean = %v, want %v", i, l.Unclean(), want)
		}
		if i == 1 {
			if err := l.Begin(42); err != nil {
				t.Fatal(err)
			}
		}
		if mark := l.Mark(); (mark == 42) != (i > 0) {
			t.Errorf("start %d: the mark is %d", i, mark)
		}
		if err := l.Release(); err != nil {
			t.Fatal(err)
		}
	}
}

func acquire(t *testing.T, home string) *Lock {
	t.Helper()
	if info, err := os.Stat(home); err == nil && openToOthers(info) && runtime.GOOS != "windows" {
		// t.TempDir is open to others; a home that holds files must not be.
		if names, _ := os.ReadDir(home); len(names) > 0 {
			if err := os.Chmod(home, 0o700); err != nil {
				t.Fatal(err)
			}
		}
	}
	l, err := Acquire(home)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Release(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func load(t *testing.T, home, name string) Keys {
	t.Helper()
	keys, err := Load(t.Context(), home, Options{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, code chat.Code, says string) {
	t.Helper()
	if chat.CodeOf(err) != code || !strings.Contains(err.Error(), says) {
		t.Fatalf("error = %v (%s), want %s that says %q", err, chat.CodeOf(err), code, says)
	}
}
