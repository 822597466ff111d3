package lab_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"earshot/node/lab"
)

// programEnv makes the test binary be one of the programs below instead.
const programEnv = "EARSHOT_LAB_PROGRAM"

// programs are what the tests of the laboratory itself run on its hosts.
var programs = map[string]func(args []string) error{
	"echo":      echo,
	"multicast": hearMulticast,
	"orphan":    leaveOrphan,
	"crash":     holdLab,
	"flood":     flood,
	"disk":      holdDisk,
	"inside":    runInside,
}

func TestMain(m *testing.M) {
	if name := os.Getenv(programEnv); name != "" {
		if err := programs[name](os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	flag.Parse()
	os.Exit(lab.Main(func() int {
		// The promises wait far more than they compute, so more of them than
		// there are processors run side by side.
		if err := flag.Set("test.parallel", strconv.Itoa(2*runtime.NumCPU())); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		code := m.Run()
		if builtInto != "" {
			_ = os.RemoveAll(builtInto)
		}
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
		return code
	}))
}

// program is a command that runs one of the programs.
func program(name string, args ...string) lab.Command {
	return lab.Command{Path: "/proc/self/exe", Args: args, Env: []string{programEnv + "=" + name}}
}

// echo answers every TCP connection to the address with what it says.
func echo(args []string) error {
	l, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	fmt.Println("listening")
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			_, _ = io.Copy(c, c)
		}()
	}
}

// hearMulticast prints what is said to a multicast group on an interface.
func hearMulticast(args []string) error {
	dev, err := net.InterfaceByName(args[0])
	if err != nil {
		return err
	}
	group, err := net.ResolveUDPAddr("udp", args[1])
	if err != nil {
		return err
	}
	c, err := net.ListenMulticastUDP("udp", dev, group)
	if err != nil {
		return err
	}
	fmt.Println("listening")
	for buf := make([]byte, 1500); ; {
		n, _, err := c.ReadFrom(buf)
		if err != nil {
			return err
		}
		fmt.Println(string(buf[:n]))
	}
}

// leaveOrphan starts a process of another group, prints its id and ends.
func leaveOrphan([]string) error {
	cmd := exec.Command("setsid", "sleep", "60")
	if err := cmd.Start(); err != nil {
		return err
	}
	fmt.Println(cmd.Process.Pid)
	return nil
}

// holdLab makes a laboratory with a process in it, prints the id of the process
// and the laboratory's directory, and waits to be killed.
func holdLab([]string) error {
	l, err := lab.New(context.Background())
	if err != nil {
		return err
	}
	h, err := l.NewHost("ann")
	if err != nil {
		return err
	}
	p, err := h.Start(context.Background(), program("echo", "127.0.0.1:9000"))
	if err != nil {
		return err
	}
	fmt.Println(p.PID(), l.Dir())
	time.Sleep(time.Minute)
	return nil
}

// newLab makes a laboratory that is closed at the end of the test, or skips the
// test with the reason. In continuous integration it never skips.
func newLab(t *testing.T) *lab.Lab {
	t.Helper()
	if err := lab.Available(); err != nil && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	l, err := lab.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error("closing the laboratory:", err)
		}
	})
	return l
}

// within is a context that ends after d, or with the test.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), d, fmt.Errorf("it did not happen within %v", d))
	t.Cleanup(cancel)
	return ctx
}
