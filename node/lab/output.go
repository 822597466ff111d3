package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// A Line is one line of a program's output, without its end, and when it came.
type Line struct {
	Text string
	At   time.Time
}

// An Output keeps everything a program printed, line by line, for any number of
// readers, each at its own pace. Its zero value is empty and open.
type Output struct {
	mu      sync.Mutex
	lines   []Line
	partial []byte
	ended   bool
	changed chan struct{} // closed when something is added; nil if nobody waits
}

// Write appends what the program printed; it never fails.
func (o *Output) Write(p []byte) (int, error) {
	now := time.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	rest := p
	for {
		line, after, found := bytes.Cut(rest, []byte("\n"))
		o.partial = append(o.partial, line...)
		if !found {
			break
		}
		o.lines = append(o.lines, Line{Text: string(o.partial), At: now})
		o.partial = o.partial[:0]
		rest = after
	}
	o.wake()
	return len(p), nil
}

// end says that nothing more will come; what is left becomes the last line.
func (o *Output) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.partial) > 0 {
		o.lines = append(o.lines, Line{Text: string(o.partial), At: time.Now()})
		o.partial = nil
	}
	o.ended = true
	o.wake()
}

func (o *Output) wake() {
	if o.changed != nil {
		close(o.changed)
		o.changed = nil
	}
}

// Lines are the lines printed so far.
func (o *Output) Lines() []Line {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.lines[:len(o.lines):len(o.lines)]
}

// String is everything printed so far in complete lines.
func (o *Output) String() string {
	var b strings.Builder
	for _, l := range o.Lines() {
		b.WriteString(l.Text)
		b.WriteByte('\n')
	}
	return b.String()
}

// Reader returns a reader of the lines from the first on.
func (o *Output) Reader() *LineReader { return &LineReader{output: o} }

// Tail returns a reader of the lines that come from now on.
func (o *Output) Tail() *LineReader {
	o.mu.Lock()
	defer o.mu.Unlock()
	return &LineReader{output: o, next: len(o.lines)}
}

// A LineReader reads an Output once, line by line. One goroutine may use it at a
// time.
type LineReader struct {
	output *Output
	next   int
}

// Next returns the next line, waiting for it if need be. At the end of the
// output its error is [io.EOF], and if ctx ends first, that of ctx.
func (r *LineReader) Next(ctx context.Context) (Line, error) {
	for {
		o := r.output
		o.mu.Lock()
		if r.next < len(o.lines) {
			line := o.lines[r.next]
			o.mu.Unlock()
			r.next++
			return line, nil
		}
		if o.ended {
			o.mu.Unlock()
			return Line{}, io.EOF
		}
		if o.changed == nil {
			o.changed = make(chan struct{})
		}
		changed := o.changed
		o.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return Line{}, context.Cause(ctx)
		}
	}
}

// Await returns the next line that matches, passing over those that do not.
func (r *LineReader) Await(ctx context.Context, matches func(text string) bool) (Line, error) {
	for {
		line, err := r.Next(ctx)
		if err != nil || matches(line.Text) {
			return line, err
		}
	}
}

// AwaitJSON reads lines, each one JSON value, until one that matches, and
// returns it. A line that is not JSON is an error: the program broke its
// promise.
func AwaitJSON[T any](ctx context.Context, r *LineReader, matches func(T) bool) (T, Line, error) {
	for {
		var value T
		line, err := r.Next(ctx)
		if err != nil {
			return value, line, err
		}
		if err := json.Unmarshal([]byte(line.Text), &value); err != nil {
			return value, line, fmt.Errorf("the program printed a line that is not the JSON expected: %w: %q", err, line.Text)
		}
		if matches(value) {
			return value, line, nil
		}
	}
}
