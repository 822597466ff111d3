// Command dev holds what maintainers of Earshot need beside the program itself;
// the people who use Earshot never run it. Its tests check the sources as a
// whole. It does not know how a node works.
//
//	go run ./cmd/dev bench [--json FILE] [--only REGEXP] [--quick]
//	go run ./cmd/dev schedules [-n COUNT] [-seed FIRST] [-v] [-again]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// A command is what the first argument names.
type command struct {
	about string // empty for what people do not call
	run   func(ctx context.Context, args []string) error
}

var commands = map[string]command{
	"bench":     {"measure Earshot beside the floor of its libraries (Linux)", runBench},
	"presence":  {"simulate networks that know who is here", runPresence},
	"schedules": {"play schedules of faults against the engines, without a network", runSchedules},
	// What bench runs on the hosts of its laboratory.
	"floor-stream": {"", floorStream},
	"floor-gossip": {"", floorGossip},
}

func main() { os.Exit(underLab(run)) }

func run() int {
	if len(os.Args) < 2 || commands[os.Args[1]].run == nil {
		fmt.Fprintln(os.Stderr, "usage: go run ./cmd/dev COMMAND, where COMMAND is one of")
		for name, c := range commands {
			if c.about != "" {
				fmt.Fprintf(os.Stderr, "  %s\t%s\n", name, c.about)
			}
		}
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := commands[os.Args[1]].run(ctx, os.Args[2:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 2
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
