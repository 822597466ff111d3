package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"earshot/node/lab"
)

// Options say what to measure.
type Options struct {
	Only     *regexp.Regexp // measurements by name; nil means all
	Quick    bool           // fewer repetitions, shorter windows, a tenth of the history
	Progress io.Writer      // where to say what is being done
}

// A bench is one run.
type bench struct {
	Options
	program string // the earshot binary
	rows    []Row
}

// scale is full, or quick if the run is to be quick.
func scale[T any](b *bench, full, quick T) T {
	if b.Quick {
		return quick
	}
	return full
}

func (b *bench) add(rows ...Row) { b.rows = append(b.rows, rows...) }

// measurements in the order in which they are made and reported.
var measurements = []struct {
	name string
	run  func(*bench, context.Context) error
}{
	{"size", (*bench).size},
	{"join", (*bench).join},
	{"cold", (*bench).coldStart},
	{"sealing", (*bench).sealing},
	{"latency", (*bench).latency},
	{"throughput", (*bench).throughput},
	{"room", (*bench).room},
	{"simulated", (*bench).simulated},
	{"status", (*bench).status},
	{"departure", (*bench).departure},
	{"idle", (*bench).idle},
	{"history", (*bench).history},
}

// Names are the measurements that there are.
func Names() []string {
	var out []string
	for _, m := range measurements {
		out = append(out, m.name)
	}
	return out
}

// Run makes the measurements. If some fail the report still holds the others.
func Run(ctx context.Context, o Options) (Report, error) {
	if err := lab.Available(); err != nil {
		return Report{}, err
	}
	dir, err := os.MkdirTemp("", "earshot-bench-")
	if err != nil {
		return Report{}, err
	}
	defer os.RemoveAll(dir)
	b := &bench{Options: o}
	fmt.Fprintln(b.Progress, "building earshot")
	if b.program, err = lab.Build(ctx, dir, "earshot/cmd/earshot"); err != nil {
		return Report{}, err
	}
	var errs []error
	for _, m := range measurements {
		if b.Only != nil && !b.Only.MatchString(m.name) {
			continue
		}
		begin := time.Now()
		fmt.Fprintf(b.Progress, "measuring %s", m.name)
		err := m.run(b, ctx)
		fmt.Fprintf(b.Progress, ": %.1f s\n", time.Since(begin).Seconds())
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", m.name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	r := machine()
	r.Rows = b.rows
	return r, errors.Join(errs...)
}

// machine describes where and on which sources the measurements are made.
func machine() Report {
	r := Report{At: time.Now().Truncate(time.Second), Go: runtime.Version(), CPUs: runtime.NumCPU()}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		r.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	if out, err := exec.Command("git", "rev-parse", "--short=12", "HEAD").Output(); err == nil {
		r.Commit = strings.TrimSpace(string(out))
		changed, err := exec.Command("git", "status", "--porcelain", "--untracked-files=no").Output()
		if err == nil && len(bytes.TrimSpace(changed)) > 0 {
			r.Commit += "+"
		}
	}
	return r
}

// size measures the program as it is released: stripped, without cgo.
func (b *bench) size(ctx context.Context) error {
	file := b.program + "-stripped"
	defer os.Remove(file)
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", file, "earshot/cmd/earshot")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	b.add(single("binary_size", "size of the stripped program", "MB", float64(info.Size())/1e6))
	return nil
}
