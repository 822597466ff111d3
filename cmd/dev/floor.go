package main

import (
	"context"
	"flag"
	"os"
	"os/signal"
	"strings"
	"time"

	"earshot/cmd/dev/floor"
)

// floorFlags are what the floor programs are told.
type floorFlags struct {
	hosts                      []string
	self, senders, count, size int
	interval                   time.Duration
}

func parseFloor(name string, args []string) (floorFlags, error) {
	var f floorFlags
	set := flag.NewFlagSet(name, flag.ContinueOnError)
	hosts := set.String("hosts", "", "the addresses of all hosts, separated by commas")
	set.IntVar(&f.self, "self", 0, "which of them this one is, from 0")
	set.IntVar(&f.senders, "senders", 1, "how many of them, the first, send")
	set.IntVar(&f.count, "count", 1, "how many messages each of those sends")
	set.IntVar(&f.size, "size", 200, "how long a message is, in bytes")
	set.DurationVar(&f.interval, "interval", 0, "how often one is sent; 0 for as fast as possible")
	err := set.Parse(args)
	f.hosts = strings.Split(*hosts, ",")
	return f, err
}

func floorStream(ctx context.Context, args []string) error {
	f, err := parseFloor("floor-stream", args)
	if err != nil {
		return err
	}
	return floor.Stream(ctx, os.Stdout, f.hosts, f.self, f.count, f.size, f.interval)
}

// floorGossip begins to send when it is signalled that all others are ready.
func floorGossip(ctx context.Context, args []string) error {
	f, err := parseFloor("floor-gossip", args)
	if err != nil {
		return err
	}
	begin := make(chan struct{})
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, floor.Begin)
	go func() { // ends with the process, whose only work this is
		<-signals
		close(begin)
	}()
	return floor.Gossip(ctx, os.Stdout, begin, f.hosts, f.self, f.senders, f.count, f.size, f.interval)
}
