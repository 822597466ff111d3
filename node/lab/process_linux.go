package lab

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Command is a program to run on a host.
type Command struct {
	Path  string   // of the executable
	Args  []string // without the program's name
	Env   []string // added to PATH, HOME, USER and LANG, which are the host's; nothing else is inherited
	Stdin string   // what the program reads; then its input ends
}

// A Process is a program running, or having run, on a host.
type Process struct {
	Host   *Host
	Stdout Output
	Stderr Output

	cmd     *exec.Cmd
	started time.Time
	done    chan struct{}
}

// Start starts the program on the host. It is killed when ctx ends, when the
// laboratory is closed, and when the calling process dies.
func (h *Host) Start(ctx context.Context, c Command) (*Process, error) {
	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	cmd.Dir = h.dir
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + h.dir, "USER=" + h.Name, "LANG=C.UTF-8",
		// The keyring and the desktop of whoever runs the laboratory are none of its business.
		"EARSHOT_KEYRING=off", "EARSHOT_DESKTOP=off",
	}, c.Env...)
	cmd.Stdin = strings.NewReader(c.Stdin)
	// A group of its own, so that what it starts can be killed with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGKILL}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	cmd.WaitDelay = 2 * time.Second // a grandchild may hold the pipes open

	p := &Process{Host: h, cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.Stdout, &p.Stderr
	h.mu.Lock()
	defer h.mu.Unlock()
	err := h.ns.do(func() error {
		p.started = time.Now()
		return cmd.Start()
	})
	if err != nil {
		return nil, fmt.Errorf("host %s: could not start %s: %w", h.Name, filepath.Base(c.Path), err)
	}
	h.procs = append(h.procs, p)
	go func() {
		_ = cmd.Wait() // how it ended is in cmd.ProcessState
		p.Stdout.end()
		p.Stderr.end()
		close(p.done)
	}()
	return p, nil
}

// A Result is how a program ended.
type Result struct {
	Stdout, Stderr string
	Code           int // the exit code, or -1 if a signal ended it
	Took           time.Duration
}

// Run runs the program on the host to its end. It fails if the program cannot
// be started or ctx ends first, and not because of the program's exit code.
func (h *Host) Run(ctx context.Context, c Command) (Result, error) {
	p, err := h.Start(ctx, c)
	if err != nil {
		return Result{}, err
	}
	<-p.done
	r := Result{Stdout: p.Stdout.String(), Stderr: p.Stderr.String(), Code: p.cmd.ProcessState.ExitCode(), Took: time.Since(p.started)}
	if ctx.Err() != nil {
		return r, p.explain(context.Cause(ctx))
	}
	return r, nil
}

// killAll kills every process of the host and waits for their ends.
func (h *Host) killAll() {
	h.mu.Lock()
	procs := h.procs
	h.mu.Unlock()
	for _, p := range procs {
		_ = p.Kill() // the only error is that it has ended
	}
	for _, p := range procs {
		<-p.done
	}
}

// PID is the process's id, as seen from outside the laboratory.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Started is when the process was started.
func (p *Process) Started() time.Time { return p.started }

// Done is closed when the process has ended and all its output is read.
func (p *Process) Done() <-chan struct{} { return p.done }

// Await waits for the next line of standard output that matches, reading from
// the beginning. Its error shows what the program printed instead.
func (p *Process) Await(ctx context.Context, matches func(text string) bool) (Line, error) {
	line, err := p.Stdout.Reader().Await(ctx, matches)
	if err != nil {
		return line, p.explain(err)
	}
	return line, nil
}

// Signal sends the process a signal.
func (p *Process) Signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// Kill ends the process and everything in its group at once, without giving it
// a chance to clean up, and returns without waiting for the end.
func (p *Process) Kill() error {
	select {
	case <-p.done:
		return os.ErrProcessDone
	default:
		return unix.Kill(-p.cmd.Process.Pid, unix.SIGKILL)
	}
}

// Terminate asks the process to end with SIGTERM and waits until it has. It
// returns how long that took.
func (p *Process) Terminate(ctx context.Context) (time.Duration, error) {
	begin := time.Now()
	if err := p.Signal(unix.SIGTERM); err != nil {
		return 0, p.explain(err)
	}
	_, err := p.Wait(ctx)
	return time.Since(begin), err
}

// Wait waits for the end of the process and returns its exit code, or -1 if a
// signal ended it.
func (p *Process) Wait(ctx context.Context) (int, error) {
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-ctx.Done():
		return 0, p.explain(context.Cause(ctx))
	}
}

// Resident is the process's resident memory in bytes.
func (p *Process) Resident() (int64, error) {
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		return 0, err
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kib * 1024, err
		}
	}
	return 0, p.explain(errors.New("it has ended and holds no memory"))
}

// CPU is the processor time that the process has used, in user and system mode,
// as far as the kernel's clock tick of 10 ms shows.
func (p *Process) CPU() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
	if err != nil {
		return 0, err
	}
	// The name in parentheses may hold spaces; behind it come the state and ten
	// fields before the two wanted ones, in hundredths of a second.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0, p.explain(errors.New("the kernel does not say what it used"))
	}
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// explain adds to an error which program it is about and the last it printed.
func (p *Process) explain(err error) error {
	state := "still running"
	select {
	case <-p.done:
		state = p.cmd.ProcessState.String()
	default:
	}
	return fmt.Errorf("%s %s on host %s: %w (%s)%s%s", filepath.Base(p.cmd.Path), strings.Join(p.cmd.Args[1:], " "),
		p.Host.Name, err, state, tail("stdout", &p.Stdout), tail("stderr", &p.Stderr))
}

// tail shows the last lines of an output.
func tail(name string, o *Output) string {
	const most = 12
	lines := o.Lines()
	if len(lines) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s, %d lines:", name, len(lines))
	for _, l := range lines[max(0, len(lines)-most):] {
		b.WriteString("\n\t" + l.Text)
	}
	return b.String()
}
