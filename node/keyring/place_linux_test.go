package keyring

import (
	"os"
	"path/filepath"
	"testing"
)

// A home that is copied holds the keys of one device in two places: neither copy may
// go on with logs that the other goes on with.
func TestACopiedHomeIsUncleanAndItsOriginalIsNot(t *testing.T) {
	home := filepath.Join(t.TempDir(), "home")
	run := func(home string) (unclean bool) {
		t.Helper()
		l, err := Acquire(home)
		if err != nil {
			t.Fatal(err)
		}
		unclean = l.Unclean()
		if err := l.Begin(1); err != nil {
			t.Fatal(err)
		}
		if err := l.Release(); err != nil {
			t.Fatal(err)
		}
		return unclean
	}
	if run(home) {
		t.Error("a new home is unclean")
	}
	if err := os.WriteFile(filepath.Join(home, historyFile), []byte("history"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if run(home) {
			t.Error("a home that stays where it is became unclean")
		}
	}
	copied := filepath.Join(t.TempDir(), "copied")
	if err := os.CopyFS(copied, os.DirFS(home)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(copied, 0o700); err != nil {
		t.Fatal(err)
	}
	if !run(copied) {
		t.Error("a copied home is clean")
	}
	if run(copied) {
		t.Error("it is unclean twice")
	}
	if run(home) {
		t.Error("the original became unclean")
	}
	// An old copy of the history takes its place.
	old := filepath.Join(home, "old")
	if err := os.WriteFile(old, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(old, filepath.Join(home, historyFile)); err != nil {
		t.Fatal(err)
	}
	if !run(home) {
		t.Error("a home whose history was put back is clean")
	}
	// Another name for the same place.
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.Rename(home, elsewhere); err != nil {
		t.Fatal(err)
	}
	if run(elsewhere) {
		t.Error("a home that was renamed is unclean")
	}
}
