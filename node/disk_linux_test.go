package node_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"earshot/chat"
	"earshot/node"
	"earshot/node/disktest"
)

// smallDisk is the size of a disk, in bytes: a new home takes about a tenth.
const smallDisk = 16 << 20

// mayMount runs the test again where it may mount disks, and returns a directory for
// them; there is none in the process that only waits for the other.
func mayMount(t *testing.T) (dir string, ok bool) {
	t.Helper()
	const at = "EARSHOT_TEST_DISK"
	if dir := os.Getenv(at); dir != "" {
		return dir, true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), at+"="+t.TempDir())
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	disktest.Run(t, cmd)
	return "", false
}

func TestAReadOnlyHomeIsSaidAtStartAndWorksOnceItIsWritable(t *testing.T) {
	home, ok := mayMount(t)
	if !ok {
		return
	}
	if err := disktest.Mount(home, smallDisk); err != nil {
		t.Fatal(err)
	}
	alone := func() (*node.Node, error) {
		return node.Start(t.Context(), node.Config{Home: home, Name: "Ann", Offline: true})
	}
	lobby := chat.OpenRoom(chat.Lobby)
	ann, err := alone()
	if err != nil {
		t.Fatal(err)
	}
	sends(t, ann, lobby, "before")
	if err := ann.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := disktest.ReadOnly(home); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		ann, err := alone()
		if err == nil {
			_ = ann.Close(t.Context())
		}
		if chat.CodeOf(err) != chat.CodeHomeBroken || !strings.Contains(err.Error(), "read-only") || !strings.Contains(err.Error(), "--home") {
			t.Fatalf("it says %v", err)
		}
	}
	if err := disktest.Writable(home); err != nil {
		t.Fatal(err)
	}
	if ann, err = alone(); err != nil {
		t.Fatal(err)
	}
	defer ann.Close(t.Context())
	sends(t, ann, lobby, "after")
	if got := texts(t, ann, lobby); !slices.Equal(got, []string{"before", "after"}) {
		t.Errorf("there is %q", got)
	}
}

func TestAFullDiskCostsNoSealedMessage(t *testing.T) {
	dir, ok := mayMount(t)
	if !ok {
		return
	}
	home := filepath.Join(dir, "Ann")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := disktest.Mount(home, smallDisk); err != nil {
		t.Fatal(err)
	}
	ann, ben, room := pair(t, dir)
	sends(t, ann, room, "before")
	ballast := filepath.Join(home, "ballast")
	if err := disktest.Fill(ballast); err != nil {
		t.Fatal(err)
	}
	var said []string
	long := strings.Repeat("word ", 200)
	for i := 0; ; i++ {
		text := fmt.Sprint(long, i)
		_, err := ann.Send(t.Context(), room, chat.Draft{Text: text})
		if chat.CodeOf(err) == chat.CodeDiskFull {
			break
		}
		if said = append(said, text); err != nil || i > smallDisk/len(long) {
			t.Fatalf("message %d on a full disk: %v", i, err)
		}
	}
	// What comes meanwhile is not lost, and what is said is refused in words.
	for i := range 20 {
		text := fmt.Sprint(long, "from Ben ", i)
		sends(t, ben, room, text)
		said = append(said, text)
	}
	me, err := ann.Me(t.Context())
	if err != nil || len(me.Warnings) == 0 {
		t.Errorf("a full disk is not warned of: %v (%v)", me.Warnings, err)
	}
	if err := os.Truncate(ballast, 0); err != nil {
		t.Fatal(err)
	}
	sends(t, ann, room, "after")
	want := len(said) + 2
	until(t, "all read by Ben", func() bool { return len(texts(t, ben, room)) == want })
	until(t, "all read by Ann", func() bool { return len(texts(t, ann, room)) == want })
}
