package node

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"earshot/chat"
	"earshot/node/api"
	"earshot/node/store"
)

// damagedHome returns a home with a history of some pages, and its file as it was.
func damagedHome(t *testing.T) (home, path string, good []byte) {
	t.Helper()
	home = t.TempDir()
	n := alone(t, home)
	for range 50 {
		say(t, n, strings.Repeat("words ", 300))
	}
	if err := n.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(home, store.FileName)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return home, path, good
}

// spoil flips a bit in every page but the first, without a change of size.
func spoil(t *testing.T, path string, good []byte) []byte {
	t.Helper()
	bad := slices.Clone(good)
	for at := 4096 + 700; at < len(bad); at += 4096 {
		bad[at] ^= 0x10
	}
	overwrite(t, path, bad)
	return bad
}

func overwrite(t *testing.T, path string, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b, 0); err != nil {
		t.Fatal(err)
	}
}

func saysDamaged(t *testing.T, err error) {
	t.Helper()
	if chat.CodeOf(err) != chat.CodeHomeBroken || !strings.Contains(err.Error(), "damaged") || !strings.Contains(err.Error(), "restore a backup") {
		t.Errorf("it says %v", err)
	}
}

func TestADamagedHistoryIsSaidAtStartAndNotOverwritten(t *testing.T) {
	home, path, good := damagedHome(t)
	bad := spoil(t, path, good)
	for range 2 {
		n, err := Start(t.Context(), Config{Home: home, Name: "Ann", Offline: true})
		if err == nil {
			_ = n.Close(context.Background())
		}
		saysDamaged(t, err)
		if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, bad) {
			t.Fatalf("the file was changed (%v)", err)
		}
	}
	overwrite(t, path, good)
	if got := texts(t, alone(t, home)); len(got) != 50 {
		t.Errorf("%d messages are back", len(got))
	}
}

func TestAHistoryThatIsDamagedMeanwhileConfirmsNothingThatIsLost(t *testing.T) {
	home, path, good := damagedHome(t)
	n := alone(t, home)
	bad := spoil(t, path, good)
	_, err := n.Messages(t.Context(), lobby, api.Page{Limit: 500})
	saysDamaged(t, err)
	var confirmed []string
	for _, text := range []string{"one", "two", "three"} {
		if _, err := n.Send(t.Context(), lobby, chat.Draft{Text: text}); err == nil {
			confirmed = append(confirmed, text)
		} else {
			saysDamaged(t, err)
		}
	}
	now, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(now, bad) {
		t.Errorf("the file was changed (%v)", err)
	}
	t.Logf("confirmed %q", confirmed)
	// As when a disk or its cable fails for a while.
	overwrite(t, path, good)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(20 * time.Second); ; {
		if _, err = n.Send(t.Context(), lobby, chat.Draft{Text: "at last"}); err == nil {
			break
		}
		saysDamaged(t, err)
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("nothing is taken any more")
		}
	}
	if got := texts(t, n); len(got) != 51+len(confirmed) || !slices.Equal(got[50:], append(confirmed, "at last")) {
		t.Errorf("%d messages are back, %q confirmed", len(got), confirmed)
	}
	me, err := n.Me(t.Context())
	if err != nil || len(me.Warnings) != 0 {
		t.Errorf("it still warns of %v (%v)", me.Warnings, err)
	}
}
