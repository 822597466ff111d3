package lab

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// errClosed is what a namespace answers after it was closed.
var errClosed = errors.New("the laboratory is closed")

// A netns is a network namespace without a name, together with the one thread
// that lives in it. The thread outlasts every process started from it, which
// matters because the kernel sends a process its parent-death signal when the
// parent's thread ends, not when the parent does.
type netns struct {
	file  *os.File // keeps the namespace alive, and lets interfaces be moved into it
	inode uint64

	calls   chan func()
	closing chan struct{}
	closed  chan struct{}
	once    sync.Once
}

// onOwnThread runs f on a thread that no other goroutine ever uses and that
// ends with f, so that f may enter other namespaces.
func onOwnThread(f func()) {
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			f() // Returning while locked ends the thread.
			return
		}
		// The main thread cannot end, and /proc/self describes it, so it must
		// not change its namespace. While this goroutine occupies it, another
		// one is sure to get another thread.
		elsewhere := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			close(elsewhere)
			f()
		}()
		<-elsewhere
		runtime.UnlockOSThread()
	}()
}

// newNetns makes an empty network namespace whose processes see hostname as the
// machine's name. The loopback interface is up.
func newNetns(hostname string) (*netns, error) {
	n := &netns{
		calls:   make(chan func()),
		closing: make(chan struct{}),
		closed:  make(chan struct{}),
	}
	ready := make(chan error, 1)
	onOwnThread(func() {
		defer close(n.closed)
		err := n.enter(hostname)
		ready <- err
		if err != nil {
			return
		}
		for {
			select {
			case call := <-n.calls:
				call()
			case <-n.closing:
				return
			}
		}
	})
	if err := <-ready; err != nil {
		<-n.closed
		return nil, err
	}
	return n, nil
}

// enter moves the calling thread into a new namespace and prepares it.
func (n *netns) enter(hostname string) error {
	if err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWUTS); err != nil {
		return fmt.Errorf("the kernel refused a new network namespace (%w): run as root, or allow unprivileged user namespaces", err)
	}
	if err := unix.Sethostname([]byte(hostname)); err != nil {
		return fmt.Errorf("could not set the host name %q: %w", hostname, err)
	}
	file, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	var own, process unix.Stat_t
	if err := errors.Join(unix.Fstat(int(file.Fd()), &own), unix.Stat("/proc/self/ns/net", &process)); err != nil {
		return errors.Join(err, file.Close())
	}
	if own.Ino == process.Ino {
		return errors.Join(errors.New("the new network namespace is the process's own: refusing to work on the machine's real network"), file.Close())
	}
	n.file, n.inode = file, own.Ino
	if err := prepare(); err != nil {
		return errors.Join(err, file.Close())
	}
	return nil
}

// prepare configures the calling thread's namespace before it has interfaces.
func prepare() error {
	for _, set := range []struct{ name, value string }{
		// Duplicate address detection makes a new IPv6 address useless for a
		// second or more; addresses here are unique by construction.
		{"ipv6/conf/default/accept_dad", "0"},
		{"ipv6/conf/all/accept_dad", "0"},
		// There is no router to ask for, and the questions would be counted as
		// traffic of the program under test.
		{"ipv6/conf/default/router_solicitations", "0"},
	} {
		err := os.WriteFile("/proc/sys/net/"+set.name, []byte(set.value), 0)
		if err != nil && !errors.Is(err, os.ErrNotExist) { // without IPv6 there is nothing to set
			return fmt.Errorf("could not set net/%s in a new namespace: %w", set.name, err)
		}
	}
	return run("ip", nil, nil, "link", "set", "lo", "up")
}

// do runs f on the namespace's own thread and returns its error. Calls are
// made one after the other; f must not call do.
func (n *netns) do(f func() error) error {
	result := make(chan error, 1)
	select {
	case n.calls <- func() { result <- f() }:
		return <-result
	case <-n.closing:
		return errClosed
	}
}

// aside runs f in the namespace on a thread of its own, so that f may take its
// time without holding up others.
func (n *netns) aside(f func() error) error {
	result := make(chan error, 1)
	onOwnThread(func() {
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			result <- fmt.Errorf("could not enter the namespace: %w", err)
			return
		}
		result <- f()
	})
	return <-result
}

// ip runs the ip command's batch lines in the namespace, stopping at the first
// that fails. Files, if given, can be named as /proc/self/fd/3 and following.
func (n *netns) ip(lines []string, files ...*os.File) error {
	return n.do(func() error {
		return run("ip", []byte(strings.Join(lines, "\n")+"\n"), files, "-batch", "-")
	})
}

// A linkState is what ip tells of an interface, as far as it matters here.
type linkState struct {
	Operstate string
	Linkinfo  struct {
		SlaveData struct{ State string } `json:"info_slave_data"`
	}
	Addrs []struct{ Family, Scope string } `json:"addr_info"`
}

// bridgePort is what the interface does as a port of a bridge.
func (s linkState) bridgePort() string { return s.Linkinfo.SlaveData.State }

// located reports whether the interface has its IPv6 link-local address.
func (s linkState) located() bool {
	for _, a := range s.Addrs {
		if a.Family == "inet6" && a.Scope == "link" {
			return true
		}
	}
	return false
}

// state asks for the state of an interface of the namespace.
func (n *netns) state(dev string) (linkState, error) {
	var links []linkState
	err := n.do(func() error {
		out, err := exec.Command("ip", "-json", "-details", "addr", "show", "dev", dev).Output()
		if err != nil {
			return fmt.Errorf("ip addr show dev %s: %w", dev, err)
		}
		return json.Unmarshal(out, &links)
	})
	if err == nil && len(links) != 1 {
		err = fmt.Errorf("ip shows %d interfaces called %s", len(links), dev)
	}
	if err != nil {
		return linkState{}, err
	}
	return links[0], nil
}

// tc runs one tc command in the namespace.
func (n *netns) tc(args ...string) error {
	return n.do(func() error { return run("tc", nil, nil, args...) })
}

// set writes one sysctl of the namespace, named below net/.
func (n *netns) set(name, value string) error {
	return n.do(func() error { return os.WriteFile("/proc/sys/net/"+name, []byte(value), 0) })
}

// close lets go of the namespace and waits for its thread to end. Closing
// again does nothing.
func (n *netns) close() error {
	var err error
	n.once.Do(func() {
		close(n.closing)
		<-n.closed
		err = n.file.Close()
	})
	return err
}

// run runs one short command of the system to its end.
func run(name string, stdin []byte, files []*os.File, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	cmd.ExtraFiles = files
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s%s: %w: %s", name, strings.Join(args, " "), indent(stdin), err, bytes.TrimSpace(out))
	}
	return nil
}

// indent shows batch lines below the command that was given them.
func indent(lines []byte) string {
	if len(lines) == 0 {
		return ""
	}
	return "\n\t" + strings.ReplaceAll(string(bytes.TrimSpace(lines)), "\n", "\n\t") + "\n"
}
