package lab_test

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"earshot/node/lab"
)

// Promises about homes that were copied or put back, kept by real processes.

// warned are the codes of what this person's node warns of.
func (s *station) warned() (codes []string) {
	s.t.Helper()
	var me struct {
		Warnings []struct{ Code, Text, Hint string }
	}
	s.api(http.MethodGet, "/me", nil, &me)
	for _, w := range me.Warnings {
		s.t.Logf("%s is warned: %s %s", s.name, w.Text, w.Hint)
		codes = append(codes, w.Code)
	}
	return codes
}

// comesToWarn waits until this person's node warns of something.
func (s *station) comesToWarn(code string, patience time.Duration) {
	s.t.Helper()
	eventually(s.t, patience, s.name+" is warned: "+code, func() bool { return slices.Contains(s.warned(), code) })
}

// copyHome copies a home, whose node does not run, to another host.
func (w *world) copyHome(from *station, host string) *station {
	w.t.Helper()
	s := w.settle(w.bare(host), "home")
	if err := os.CopyFS(s.home, os.DirFS(from.home)); err != nil {
		w.t.Fatal(err)
	}
	// It gives everybody what it copies.
	if err := filepath.WalkDir(s.home, func(path string, d fs.DirEntry, err error) error {
		mode := fs.FileMode(0o600)
		if err == nil && d.IsDir() {
			mode = 0o700
		}
		return errors.Join(err, os.Chmod(path, mode))
	}); err != nil {
		w.t.Fatal(err)
	}
	s.person = from.person
	return s
}

// pair are two contacts with a private room.
func pair(t *testing.T) (w *world, ann, bob *station, id string) {
	t.Helper()
	w = newWorld(t)
	ann, bob = w.station("ann", lab.Dual), w.station("bob", lab.Dual)
	meet(5*time.Second, ann, bob)
	befriend(ann, bob)
	id = ann.create("inner", "none")
	ann.takeIn(id, bob)
	ann.says(id, "before")
	bob.comesToRead(id, "before", 10*time.Second)
	return w, ann, bob, id
}

func TestAHomeThatWasCopiedAndRunsTwiceIsSaidAndLosesNothing(t *testing.T) {
	w, ann, bob, id := pair(t)
	ann.stop()
	twin := w.copyHome(ann, "twin")
	ann.start()
	twin.nic = w.attach(twin.host, w.newLAN(), "eth0", lab.Dual)
	twin.start()
	ann.says(id, "ann after")
	bob.comesToRead(id, "ann after", 60*time.Second)
	twin.says(id, "twin after")
	// On one network others take the two for one device, and hear now the one, now the
	// other; certainly when one of them is gone.
	w.attach(twin.host, w.lan, "eth1", lab.Dual)
	ann.says(id, "ann beside the twin")
	ann.stop()
	bob.comesToRead(id, "twin after", 60*time.Second)
	twin.comesToWarn("cloned", 60*time.Second)
	twin.says(id, "twin again")
	bob.comesToRead(id, "twin again", 60*time.Second)
	twin.stop()
	ann.start()
	bob.comesToRead(id, "ann beside the twin", 60*time.Second)
	if got := bob.reads(id); len(got) != 5 {
		t.Errorf("bob reads %q", got)
	}
	if slices.Contains(bob.warned(), "cloned") {
		t.Error("two logs of one device are taken for one that contradicts itself")
	}
}

// The copy cannot tell that it is one, as when a whole machine was copied. Both go on
// with one log, apart from each other: what they say contradicts itself below its end.
func TestTwoVersionsOfOneLogAreSaidAndBothGoOnAnew(t *testing.T) {
	w, ann, bob, id := pair(t)
	ann.stop()
	twin := w.copyHome(ann, "twin")
	if err := os.Remove(filepath.Join(twin.home, "place")); err != nil {
		t.Fatal(err)
	}
	// Nobody else is there while the twin speaks.
	elsewhere := w.newLAN()
	twin.nic = w.attach(twin.host, elsewhere, "eth0", lab.Dual)
	twin.start()
	twin.says(id, "twin alone")
	twin.stop()
	ann.start()
	for _, text := range []string{"ann one", "ann two", "ann three"} {
		ann.says(id, text)
		bob.comesToRead(id, text, 30*time.Second)
	}
	ann.stop()
	// Then the twin meets bob.
	nic := w.attach(twin.host, w.lan, "eth1", lab.Dual)
	defer func() { _ = nic.Disable() }()
	twin.start()
	twin.comesToWarn("cloned", 60*time.Second)
	bob.comesToWarn("cloned", 30*time.Second)
	twin.says(id, "twin anew")
	bob.comesToRead(id, "twin anew", 60*time.Second)
	twin.stop()
	ann.start()
	ann.comesToWarn("cloned", 60*time.Second)
	ann.says(id, "ann anew")
	bob.comesToRead(id, "ann anew", 60*time.Second)
	// After restarts it is remembered.
	bob.stop()
	bob.start()
	bob.comesToWarn("cloned", time.Second)
	ann.says(id, "at last")
	bob.comesToRead(id, "at last", 60*time.Second)
	want := []string{"before", "ann one", "ann two", "ann three", "twin anew", "ann anew", "at last"}
	if got := bob.reads(id); !slices.Equal(got, want) {
		t.Errorf("bob reads %q, want %q", got, want)
	}
}

// An old copy of the whole home takes its place, and what was said since is gone here.
func TestAnOldCopyOfAHomeGetsBackWhatWasLost(t *testing.T) {
	w, ann, bob, id := pair(t)
	ann.stop()
	old := w.copyHome(ann, "attic")
	ann.start()
	ann.says(id, "lost one")
	ann.says(id, "lost two")
	bob.comesToRead(id, "lost two", 30*time.Second)
	ann.stop()
	if err := os.RemoveAll(ann.home); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(old.home, ann.home); err != nil {
		t.Fatal(err)
	}
	ann.start()
	ann.comesToWarn("rolled_back", 60*time.Second)
	ann.says(id, "and on")
	bob.comesToRead(id, "and on", 60*time.Second)
	if got := bob.reads(id); !slices.Equal(got, []string{"before", "lost one", "lost two", "and on"}) {
		t.Errorf("bob reads %q", got)
	}
	t.Logf("ann reads %q", ann.reads(id))
}
