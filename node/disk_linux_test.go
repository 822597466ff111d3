package node_test

import (
	"context"
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
	"earshot/node/sim"
	"earshot/node/store"
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
	t.Parallel()
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

// warned reports whether a node warns of something.
func warned(t *testing.T, n *node.Node, code chat.Code) bool {
	t.Helper()
	me, err := n.Me(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(me.Warnings, func(w chat.Error) bool { return w.Code == code })
}

// held returns where a message is, and whether a device of whom it is for takes nothing.
func held(t *testing.T, n *node.Node, id chat.EntryID) (state chat.MessageState, full bool) {
	t.Helper()
	m, err := n.Message(t.Context(), id)
	if err != nil || m.State == nil {
		t.Fatalf("a message of one's own is %+v: %v", m, err)
	}
	for _, r := range m.Recipients {
		full = full || slices.ContainsFunc(r.Devices, func(d chat.DeviceState) bool { return d.Full })
	}
	return *m.State, full
}

func TestADiskThatBecomesReadOnlyIsSaidAndTakenUpAgain(t *testing.T) {
	t.Parallel()
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
	want := []string{"before"}
	sends(t, ann, room, want[0])
	stopped, err := disktest.Stop(home, store.FileName, store.FileName+"-wal")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		_, err := ann.Send(t.Context(), room, chat.Draft{Text: "refused"})
		if chat.CodeOf(err) != chat.CodeHomeBroken || !strings.Contains(err.Error(), "read-only") {
			t.Fatalf("a message on a disk that is read-only: %v", err)
		}
	}
	if !warned(t, ann, chat.CodeHomeBroken) {
		t.Error("a disk that is read-only is not warned of")
	}
	var last chat.Message
	for i := range 20 {
		text := fmt.Sprint("from Ben ", i)
		if last, err = ben.Send(t.Context(), room, chat.Draft{Text: text}); err != nil {
			t.Fatal(err)
		}
		want = append(want, text)
	}
	until(t, "said to Ben", func() bool { _, full := held(t, ben, last.ID); return full })
	if got := texts(t, ann, room); !slices.Equal(got, want[:1]) {
		t.Errorf("Ann reads %q from a disk that takes nothing", got)
	}
	if s, _ := held(t, ben, last.ID); s.State != chat.StateHere {
		t.Errorf("what Ann can't store is %+v to Ben", s)
	}
	if err := stopped.Resume(); err != nil {
		t.Fatal(err)
	}
	until(t, "taken up", func() bool { return len(texts(t, ann, room)) == len(want) })
	until(t, "delivered", func() bool { s, full := held(t, ben, last.ID); return s.Delivered == 1 && !full })
	until(t, "warned of no more", func() bool { return !warned(t, ann, chat.CodeHomeBroken) })
	sends(t, ann, room, "after")
	want = append(want, "after")
	for _, n := range []*node.Node{ann, ben} {
		until(t, "read", func() bool { return len(texts(t, n, room)) >= len(want) })
		if got := texts(t, n, room); !slices.Equal(got, want) {
			t.Errorf("there is %q", got)
		}
	}
}

func TestACourierWithAFullDiskSaysSoAndIsAskedAgain(t *testing.T) {
	t.Parallel()
	dir, ok := mayMount(t)
	if !ok {
		return
	}
	home := filepath.Join(dir, "Cat")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := disktest.Mount(home, smallDisk); err != nil {
		t.Fatal(err)
	}
	o := sim.NewOffice(dir, nil)
	defer func() {
		if err := o.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	enter := func(name string) *node.Node {
		n, err := o.Enter(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	ann, ben, cat := enter("Ann"), enter("Ben"), enter("Cat")
	room := befriend(t, ann, ben)
	befriend(t, ann, cat)
	sends(t, ann, room, "before")
	if err := o.Leave(t.Context(), ben); err != nil {
		t.Fatal(err)
	}
	ballast := filepath.Join(home, "ballast")
	if err := disktest.Fill(ballast); err != nil {
		t.Fatal(err)
	}
	m, err := ann.Send(t.Context(), room, chat.Draft{Text: strings.Repeat("word ", 1000)})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "said by Cat", func() bool { return warned(t, cat, chat.CodeDiskFull) })
	keeps := func() int {
		k, err := cat.Keeper(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return k.Held
	}
	until(t, "refused by Cat", func() bool { return keeps() == 0 }) // it has its place until the disk has answered
	if s, _ := held(t, ann, m.ID); s.Held != 0 {
		t.Errorf("Ann is told %+v of what Cat's disk did not take", s)
	}
	if err := os.Truncate(ballast, 0); err != nil {
		t.Fatal(err)
	}
	until(t, "held by Cat", func() bool { s, _ := held(t, ann, m.ID); return s.State == chat.StateHeld && keeps() == 1 })
	if err := o.Leave(t.Context(), ann); err != nil {
		t.Fatal(err)
	}
	ben = enter("Ben")
	until(t, "brought by Cat", func() bool { return len(texts(t, ben, room)) == 2 })
}

func TestAFullDiskCostsNoSealedMessage(t *testing.T) {
	t.Parallel()
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
