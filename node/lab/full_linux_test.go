package lab_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"earshot/node/disktest"
	"earshot/node/lab"
)

// Promises about disks that are full, kept by real processes.

// smallDisk gives a person's home a disk of its own, of so many bytes. A process that
// ends with the laboratory has it, and nobody else sees it but through that.
func (w *world) smallDisk(s *station, size int) (ballast string) {
	w.t.Helper()
	if err := os.Mkdir(s.home, 0o700); err != nil {
		w.t.Fatal(err)
	}
	p, err := s.host.Start(w.t.Context(), program("disk", s.home, strconv.Itoa(size)))
	if err != nil {
		w.t.Fatal(err)
	}
	line, err := p.Await(within(w.t, 10*time.Second), func(string) bool { return true })
	if err != nil {
		w.t.Fatal(err)
	}
	s.disk = line.Text
	return filepath.Join(s.visible(), "ballast")
}

// visible is where the test finds the home.
func (s *station) visible() string {
	if s.disk == "" {
		return s.home
	}
	return filepath.Join(s.disk, "root", s.home)
}

// inside has a command see the disk that a thread sees.
func inside(thread string, c lab.Command) lab.Command {
	c.Args = append([]string{thread, c.Path}, c.Args...)
	in := program("inside", c.Args...)
	in.Env, in.Stdin = append(in.Env, c.Env...), c.Stdin
	return in
}

// runInside becomes another program that sees the disk which the thread sees.
func runInside(args []string) error {
	runtime.LockOSThread()
	ns, err := os.Open(filepath.Join(args[0], "ns/mnt"))
	if err != nil {
		return err
	}
	if err := errors.Join(unix.Unshare(unix.CLONE_FS), unix.Setns(int(ns.Fd()), unix.CLONE_NEWNS)); err != nil {
		return err
	}
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, programEnv+"=") })
	return unix.Exec(args[1], args[1:], env)
}

// holdDisk mounts a disk where only its own thread sees it, prints where that is in
// /proc, and waits to be killed.
func holdDisk(args []string) error {
	size, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return err
	}
	if err := disktest.Mount(args[0], size); err != nil {
		return err
	}
	fmt.Printf("/proc/%d/task/%d\n", os.Getpid(), unix.Gettid())
	select {} // a signal ends it
}

// whyNot is what stands between a message and whom it is for.
func (s *station) whyNot(id string) (state, why string, full bool) {
	s.t.Helper()
	var m struct {
		State      struct{ State string }
		Recipients []struct {
			Why     string
			Devices []struct{ Full bool }
		}
	}
	s.api(http.MethodGet, "/messages/"+id, nil, &m)
	for _, r := range m.Recipients {
		why += r.Why
		for _, d := range r.Devices {
			full = full || d.Full
		}
	}
	return m.State.State, why, full
}

func TestAFullDiskIsSaidToBothSidesAndRecoversByItself(t *testing.T) {
	w := newWorld(t)
	ann := w.station("ann", lab.Dual)
	h := w.bare("bob")
	nic := w.attach(h, w.lan, "eth0", lab.Dual)
	bob := w.settle(h, "home")
	bob.nic = nic
	ballast := w.smallDisk(bob, 16<<20)
	bob.start("--name", "Bob")
	meet(5*time.Second, ann, bob)
	befriend(ann, bob)
	id := ann.create("inner", "none")
	ann.takeIn(id, bob)
	before := ann.says(id, "before")
	eventually(t, 10*time.Second, "bob has it", func() bool { return ann.state(before) == "delivered" })

	if err := disktest.Fill(ballast); err != nil {
		t.Fatal(err)
	}
	// More than fits what the history has of its own, until something is refused.
	var sent []string
	text := strings.Repeat("all work and no play ", 400)
	eventually(t, 60*time.Second, "bob is warned that his disk is full", func() bool {
		sent = append(sent, ann.says(id, fmt.Sprintf("%d %s", len(sent), text)))
		return slices.Contains(bob.warned(), "disk_full")
	})
	last := ann.says(id, "do you get this?")
	eventually(t, 20*time.Second, "ann is told why he does not have it", func() bool {
		_, why, full := ann.whyNot(last)
		return full && strings.Contains(why, "full")
	})
	state, why, _ := ann.whyNot(last)
	t.Logf("after %d messages it is %q: %s", len(sent), state, why)
	if state == "delivered" {
		t.Error("what bob can't store is said to be delivered")
	}
	said := bob.fails("send", "#inner", text)
	t.Logf("bob is told: %s", said)
	if !strings.Contains(said, "full") {
		t.Errorf("bob is told %q", said)
	}
	bob.reads(id) // what is there can be read all the same

	if err := os.Truncate(ballast, 0); err != nil {
		t.Fatal(err)
	}
	freed := time.Now()
	eventually(t, 40*time.Second, "bob has everything", func() bool { return ann.state(last) == "delivered" })
	took := time.Since(freed)
	t.Logf("%v after there was space bob had everything", took)
	if took > 15*time.Second {
		t.Error("he should not have to wait until somebody asks")
	}
	if _, why, full := ann.whyNot(last); full || why != "" {
		t.Errorf("ann is still told %q, full %v", why, full)
	}
	eventually(t, 10*time.Second, "bob is warned no more", func() bool { return !slices.Contains(bob.warned(), "disk_full") })
	answer := bob.says(id, "space again")
	ann.comesToRead(id, "space again", 20*time.Second)
	got, want := ids(bob.all(id)), append(append([]string{before}, sent...), last, answer)
	if !slices.Equal(got, want) {
		t.Errorf("bob has %d messages, want %d, or in another order", len(got), len(want))
	}
	// And after kill -9 on a disk that was full.
	bob.kill()
	bob.start()
	if again := ids(bob.all(id)); !slices.Equal(again, got) {
		t.Errorf("after a restart bob has %d messages, want %d", len(again), len(got))
	}
}
