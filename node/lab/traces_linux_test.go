package lab_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"golang.org/x/sys/unix"

	"earshot/node/lab"
)

// A spelling is one way in which a word can stand in bytes.
type spelling struct {
	how   string
	bytes []byte
}

// spellings are those in which a program could have written a word without meaning to
// hide it.
func spellings(word string) []spelling {
	var little, big []byte
	for _, c := range utf16.Encode([]rune(word)) {
		little, big = binary.LittleEndian.AppendUint16(little, c), binary.BigEndian.AppendUint16(big, c)
	}
	out := []spelling{
		{"UTF-8", []byte(word)},
		{"capitals", []byte(strings.ToUpper(word))},
		{"UTF-16LE", little},
		{"UTF-16BE", big},
		{"hex", []byte(hex.EncodeToString([]byte(word)))},
		{"HEX", []byte(strings.ToUpper(hex.EncodeToString([]byte(word))))},
	}
	// Base64 depends on where in a text the word begins; what its first and last
	// characters are depends on its neighbours.
	for before := range 3 {
		for how, enc := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64url": base64.RawURLEncoding} {
			text := enc.EncodeToString(append(make([]byte, before), word...))
			out = append(out, spelling{fmt.Sprintf("%s at %d", how, before), []byte(text[(before*8+5)/6 : len(text)-1])})
		}
	}
	return out
}

// noTrace fails the test if one of the words is in b, however spelled.
func noTrace(t *testing.T, where string, b []byte, words ...string) {
	t.Helper()
	for _, w := range words {
		for _, s := range spellings(w) {
			if i := bytes.Index(b, s.bytes); i >= 0 {
				t.Errorf("%s: %q stands there as %s: %q", where, w, s.how, b[max(0, i-40):min(len(b), i+80)])
			}
		}
	}
}

func TestTracesAreFoundHoweverAWordIsSpelled(t *testing.T) {
	const word = "marzipan"
	for name, b := range map[string][]byte{
		"plain":  []byte("some marzipan here"),
		"hex":    []byte(hex.EncodeToString([]byte("some marzipan here"))),
		"utf-16": {'m', 0, 'a', 0, 'r', 0, 'z', 0, 'i', 0, 'p', 0, 'a', 0, 'n', 0},
		"json 0": []byte(base64.StdEncoding.EncodeToString([]byte("marzipan here"))),
		"json 1": []byte(base64.StdEncoding.EncodeToString([]byte("1marzipan here"))),
		"json 2": []byte(base64.URLEncoding.EncodeToString([]byte("12marzipan here"))),
		"json 3": []byte(base64.URLEncoding.EncodeToString([]byte("123marzipan"))),
	} {
		found := false
		for _, s := range spellings(word) {
			found = found || bytes.Contains(b, s.bytes)
		}
		if !found {
			t.Errorf("%s: not found", name)
		}
	}
}

// files are the contents of all regular files below a directory, by name.
func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it has been replaced in the meantime
		}
		out[strings.TrimPrefix(path, dir+"/")] = b
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// memory calls f with every part of a process's memory that it can write to. It skips
// the test where the system does not let this process look.
func memory(t *testing.T, p *lab.Process, f func(b []byte)) {
	t.Helper()
	maps, err := os.Open(fmt.Sprintf("/proc/%d/maps", p.PID()))
	if err != nil {
		t.Fatal(err)
	}
	defer maps.Close()
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", p.PID()))
	if errors.Is(err, fs.ErrPermission) {
		t.Skip("the memory of the node can't be read here:", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	total := 0
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		var from, to uint64
		var access string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &access); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(access, "rw") {
			continue
		}
		b := make([]byte, to-from)
		n, err := mem.ReadAt(b, int64(from))
		switch {
		case errors.Is(err, unix.EIO), errors.Is(err, unix.EFAULT): // reserved, or gone since
		case err != nil:
			t.Fatal(err)
		}
		total += n
		f(b[:n])
	}
	if total < 1<<20 {
		t.Fatalf("only %d bytes of memory could be read", total)
	}
}
