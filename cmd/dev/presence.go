package main

import (
	"context"
	"flag"
	"fmt"
	"time"

	"earshot/chat/chattest"
)

// mostEngines is with how many devices each has an engine of its own: they take 2.4 GB.
const mostEngines = 1000

// runPresence measures what it costs networks of several sizes to know who is here.
func runPresence(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("presence", flag.ContinueOnError)
	seed := flags.Uint64("seed", 1, "the `seed` of the first network")
	window := flags.Duration("window", 2*time.Minute, "for how long to measure, in simulated `time`")
	devices := flags.Int("devices", 0, "how `many` devices; 0 for 10, 100, 1,000 and 10,000")
	model := flags.Bool("model", false, "a model in place of engines, also where there are few")
	if err := flags.Parse(args); err != nil {
		return err
	}
	sizes := []int{10, 100, 1000, 10_000}
	if *devices > 0 {
		sizes = []int{*devices}
	}
	for _, devices := range sizes {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		began := time.Now()
		var m chattest.PresenceMeasure
		how := "engines"
		if devices > mostEngines || *model {
			how = "a model"
			m = chattest.PresenceModel(*seed, devices, *window)
		} else {
			m = chattest.Presence(*seed, devices, *window)
		}
		fmt.Printf("%s\t(%s, %v)\n", m, how, time.Since(began).Round(100*time.Millisecond))
	}
	return nil
}
