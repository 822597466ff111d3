package lab_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"earshot/node/lab"
)

func TestProcesses(t *testing.T) {
	l := newLab(t)
	ann, err := l.NewHost("ann")
	if err != nil {
		t.Fatal(err)
	}
	sh := func(script string) lab.Command {
		return lab.Command{Path: "/bin/sh", Args: []string{"-c", script}}
	}
	t.Run("its result", func(t *testing.T) {
		cmd := sh("hostname; echo $HOME $GREETING >&2; cat; exit 3")
		cmd.Env = []string{"GREETING=hi"}
		cmd.Stdin = "input"
		r, err := ann.Run(within(t, 10*time.Second), cmd)
		if err != nil || r.Code != 3 || r.Stdout != "ann\ninput\n" || r.Stderr != ann.Dir()+" hi\n" {
			t.Errorf("got %+v, %v", r, err)
		}
	})
	t.Run("SIGTERM", func(t *testing.T) {
		p, err := ann.Start(t.Context(), sh("trap 'exit 5' TERM; echo ready; while :; do sleep 0.01; done"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Await(within(t, 10*time.Second), said("ready")); err != nil {
			t.Fatal(err)
		}
		if rss, err := p.Resident(); err != nil || rss < 100<<10 {
			t.Errorf("a shell is said to hold %d bytes: %v", rss, err)
		}
		if cpu, err := p.CPU(); err != nil || cpu < 0 || cpu > time.Since(p.Started()) {
			t.Errorf("a shell is said to have used %v: %v", cpu, err)
		}
		took, err := p.Terminate(within(t, 10*time.Second))
		if err != nil || took <= 0 {
			t.Errorf("terminated in %v: %v", took, err)
		}
		if code, err := p.Wait(t.Context()); code != 5 || err != nil {
			t.Errorf("exit code %d, %v", code, err)
		}
	})
	t.Run("SIGKILL", func(t *testing.T) {
		p, err := ann.Start(t.Context(), sh("echo ready; sleep 60"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Await(within(t, 10*time.Second), said("ready")); err != nil {
			t.Fatal(err)
		}
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
		if code, err := p.Wait(within(t, time.Second)); code != -1 || err != nil {
			t.Errorf("exit code %d, %v", code, err)
		}
	})
	t.Run("what never comes", func(t *testing.T) {
		p, err := ann.Start(t.Context(), sh("echo something else; echo sorry >&2"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Await(within(t, 10*time.Second), said("ready"))
		if !errors.Is(err, io.EOF) || !strings.Contains(err.Error(), "something else") || !strings.Contains(err.Error(), "sorry") {
			t.Errorf("the error does not explain itself: %v", err)
		}
	})
}

// gone waits until no process has the id.
func gone(t *testing.T, pid int) {
	t.Helper()
	ctx := within(t, 5*time.Second)
	for syscall.Kill(pid, 0) == nil {
		// A process whose parent has not asked for its end is a zombie, as good as gone.
		if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && bytes.Contains(stat, []byte(") Z ")) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("process %d is still there", pid)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	before, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	l := newLab(t)
	lan, err := l.NewLAN()
	if err != nil {
		t.Fatal(err)
	}
	hosts, err := l.Join(lan, lab.Dual, "ann")
	if err != nil {
		t.Fatal(err)
	}
	after, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	same := func(a, b net.Interface) bool { return a.Name == b.Name && a.Index == b.Index }
	if !slices.EqualFunc(before, after, same) {
		t.Errorf("the machine's own interfaces changed from %v to %v", before, after)
	}
	r, err := hosts[0].Run(within(t, 10*time.Second), program("orphan"))
	if err != nil {
		t.Fatal(err)
	}
	orphan, err := strconv.Atoi(strings.TrimSpace(r.Stdout))
	if err != nil {
		t.Fatal(err, r.Stderr)
	}
	if err := syscall.Kill(orphan, 0); err != nil {
		t.Fatal("the orphan died too early for this test:", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	gone(t, orphan)
	if _, err := os.Stat(l.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is still there: %v", err)
	}
	if _, err := hosts[0].Start(t.Context(), program("echo", ":9000")); err == nil {
		t.Error("a program was started in a closed laboratory")
	}
}

func TestAKilledRunLeavesNoProcessAndIsSwept(t *testing.T) {
	l := newLab(t) // says whether laboratories can be made at all
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), programEnv+"=crash", "TMPDIR="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	var dir string
	if _, err := fmt.Fscan(out, &pid, &dir); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatal("the process in the laboratory does not run:", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed, and says so
	gone(t, pid)

	t.Setenv("TMPDIR", filepath.Dir(dir))
	if _, err := os.Stat(dir); err != nil {
		t.Fatal("there is nothing to sweep:", err)
	}
	next := newLab(t)
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the dead run's directory was not swept: %v", err)
	}
	newLab(t)
	for _, alive := range []*lab.Lab{l, next} {
		if _, err := os.Stat(alive.Dir()); err != nil {
			t.Errorf("a living run's directory was swept: %v", err)
		}
	}
}
