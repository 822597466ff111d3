package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"earshot/chat/chattest"
)

// runSchedules plays schedules of faults against the engines, one for each seed.
func runSchedules(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("schedules", flag.ContinueOnError)
	n := flags.Uint64("n", 1000, "how many `schedules` to play")
	first := flags.Uint64("seed", 1, "the `seed` of the first; the others follow")
	verbose := flags.Bool("v", false, "write every event, one schedule after the other")
	again := flags.Bool("again", false, "play each twice, and demand the same trace byte for byte")
	if err := flags.Parse(args); err != nil {
		return err
	}
	s := schedules{first: *first, n: *n, again: *again, out: os.Stdout}
	if s.workers = runtime.GOMAXPROCS(0); *verbose {
		s.workers, s.trace = 1, os.Stdout
	}
	return s.run(ctx)
}

// schedules plays the seeds from first to first+n-1.
type schedules struct {
	first, n uint64
	workers  int
	again    bool
	out      io.Writer
	trace    io.Writer // nil for none
}

func (s *schedules) run(ctx context.Context) error {
	began := time.Now()
	seeds := make(chan uint64)
	results := make(chan outcome, s.workers)
	var wg sync.WaitGroup
	for range s.workers {
		wg.Go(func() {
			for seed := range seeds {
				results <- s.play(seed)
			}
		})
	}
	go func() { // ends when all seeds are taken or ctx ends, both of which the caller waits for
		defer close(results)
		defer wg.Wait()
		defer close(seeds)
		for i := range s.n {
			select {
			case seeds <- s.first + i:
			case <-ctx.Done():
				return
			}
		}
	}()
	var sum summary
	said := began
	for r := range results {
		sum.add(r)
		if r.err != nil {
			_, _ = fmt.Fprintf(s.out, "seed %d: %v\nreplay: go run ./cmd/dev schedules -seed %d -n 1 -v\n", r.seed, r.err, r.seed)
		}
		if s.trace == nil && time.Since(said) > 10*time.Second {
			said = time.Now()
			_, _ = fmt.Fprintf(s.out, "%d of %d schedules\n", sum.played, s.n)
		}
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("stopped after %d of %d schedules, of which %d failed", sum.played, s.n, sum.failed)
	}
	_, _ = fmt.Fprintf(s.out, "%s in %v\n", &sum, time.Since(began).Round(time.Second))
	if sum.failed > 0 {
		return fmt.Errorf("%d of %d schedules failed", sum.failed, s.n)
	}
	return nil
}

// outcome is what came of a seed.
type outcome struct {
	seed    uint64
	devices int
	result  chattest.Result
	err     error
}

func (s *schedules) play(seed uint64) outcome {
	cfg := chattest.Schedule(seed)
	cfg.Trace = s.trace
	r := chattest.Run(cfg)
	out := outcome{seed: seed, devices: cfg.Devices, result: r, err: r.Err}
	if s.again && out.err == nil {
		cfg.Trace = nil
		if second := chattest.Run(cfg); second.Trace != r.Trace {
			out.err = fmt.Errorf("the same seed gives two traces, of %d and %d events", r.Events, second.Events)
		}
	}
	return out
}

// summary is what came of all.
type summary struct {
	played, failed            int
	devices, largest          int
	events, messages, session int
	healed                    []time.Duration
}

func (s *summary) add(o outcome) {
	s.played++
	if o.err != nil {
		s.failed++
	}
	s.devices += o.devices
	s.largest = max(s.largest, o.devices)
	s.events += o.result.Events
	s.messages += o.result.Messages
	s.session += o.result.Sessions
	s.healed = append(s.healed, o.result.Healed)
}

func (s *summary) String() string {
	if s.played == 0 {
		return "no schedules"
	}
	slices.Sort(s.healed)
	at := func(percent int) time.Duration { return s.healed[(len(s.healed)-1)*percent/100] }
	return fmt.Sprintf("%d schedules, %d failed: %d devices (up to %d), %d events, %d entries, %d sessions; healed within %v (half), %v (99 of 100), %v (all)",
		s.played, s.failed, s.devices, s.largest, s.events, s.messages, s.session, at(50), at(99), at(100))
}
