package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// reexecEnv marks a process that [Main] has already moved into a user
// namespace, so that it is not moved again.
const reexecEnv = "EARSHOT_LAB_USERNS"

// Available returns nil if laboratories can be made by this process, or else a
// sentence that says why not.
var Available = sync.OnceValue(func() error {
	for _, tool := range []string{"ip", "tc"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("no laboratory: the command %q is missing: install iproute2", tool)
		}
	}
	n, err := newNetns("probe")
	if err != nil {
		return fmt.Errorf("no laboratory: %w", err)
	}
	probe := n.ip([]string{"link add bridge type bridge", "link add port type veth peer name adapter", "link set port master bridge"})
	if err := errors.Join(probe, n.close()); err != nil {
		return fmt.Errorf("no laboratory: this kernel cannot make a bridge and a veth pair: %w", err)
	}
	return nil
})

// Main calls run where laboratories can be made and returns its result, to be
// handed to [os.Exit]: at once if the process has the rights, else in a copy of
// the process, with the same arguments, as root of a new user namespace. If
// the kernel allows neither, run is called all the same and finds out from
// [Available]. Call it before anything else, in TestMain or main.
func Main(run func() int) int {
	if os.Getenv(reexecEnv) != "" || Available() == nil {
		return run()
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = os.Args
	cmd.Env = append(os.Environ(), reexecEnv+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	// The copy gets the terminal's signals itself, and what it does about them
	// decides; signals sent to this process alone are passed on.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return run()
	}
	ended := make(chan struct{})
	relayed := make(chan struct{})
	go func() {
		defer close(relayed)
		for {
			select {
			case s := <-signals:
				_ = cmd.Process.Signal(s) // it may just have ended, which is what was asked for
			case <-ended:
				return
			}
		}
	}()
	err := cmd.Wait()
	close(ended)
	<-relayed
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return exit.ExitCode()
	default:
		fmt.Fprintln(os.Stderr, "the copy of this program in a user namespace failed:", err)
		return 1
	}
}
