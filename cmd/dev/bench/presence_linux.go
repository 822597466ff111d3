package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// join measures how soon a node that starts and one that runs see each other.
func (b *bench) join(ctx context.Context) error {
	f, err := newFleet(ctx, b.program, 2)
	if err != nil {
		return err
	}
	defer f.close()
	running, err := f.start(ctx, 0, f.home(0, "home"))
	if err != nil {
		return err
	}
	defer running.stop(ctx)

	// once starts a node on the other host, waits until both see each other, and
	// stops it again.
	once := func(home string) (time.Duration, error) {
		n, err := f.start(ctx, 1, f.home(1, home))
		if err != nil {
			return 0, err
		}
		last, err := allMet(ctx, []*node{running, n})
		if err != nil {
			return 0, errors.Join(err, n.stop(ctx))
		}
		if err := n.stop(ctx); err != nil {
			return 0, err
		}
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		_, err = running.seen.gone(ctx, n.me.Person)
		return last.Sub(n.proc.Started()), err
	}
	if _, err := once("again"); err != nil { // makes the home
		return err
	}
	var again, first []time.Duration
	for i := range 10 {
		d, err := once("again")
		if err != nil {
			return err
		}
		again = append(again, d)
		if d, err = once(fmt.Sprintf("new%d", i)); err != nil {
			return err
		}
		first = append(first, d)
	}
	b.add(
		row("join", "joining a running node: process start to both see each other", "ms", milliseconds(again)).p50Below(100),
		row("join_first_run", "the same with an empty home: keys and store are made", "ms", milliseconds(first)),
	)
	return nil
}

// coldStart measures how soon nodes that are started at once all see each other.
func (b *bench) coldStart(ctx context.Context) error {
	for _, size := range []int{2, 10} {
		f, err := newFleet(ctx, b.program, size)
		if err != nil {
			return err
		}
		took, err := b.coldStarts(ctx, f, scale(b, 10, 3))
		if err := errors.Join(err, f.close()); err != nil {
			return err
		}
		b.add(row(fmt.Sprintf("cold_start_%d", size), fmt.Sprintf("cold start of %d at once: first process start to all see all", size),
			"ms", milliseconds(took)).maxBelow(500))
	}
	return nil
}

func (b *bench) coldStarts(ctx context.Context, f *fleet, times int) ([]time.Duration, error) {
	all := make([]int, len(f.hosts))
	for i := range all {
		all[i] = i
	}
	var took []time.Duration
	for i := range times + 1 {
		nodes, err := f.startAll(ctx, all, "home")
		if err != nil {
			return nil, err
		}
		last, err := allMet(ctx, nodes)
		if err := errors.Join(err, stopAll(ctx, nodes)); err != nil {
			return nil, err
		}
		begin := last
		for _, n := range nodes {
			if n.proc.Started().Before(begin) {
				begin = n.proc.Started()
			}
		}
		if i > 0 { // the first time made the homes
			took = append(took, last.Sub(begin))
		}
	}
	return took, nil
}

// idle measures what nodes cost that have nothing to say: several networks side
// by side, each its own LAN, after the first minutes' discovery.
func (b *bench) idle(ctx context.Context) error {
	// The query windows of 1, 4, 16 and 64 s are over, and each asks once in the next.
	settle := scale(b, 90*time.Second, 30*time.Second)
	window := scale(b, 300*time.Second, 20*time.Second)
	sizes := []int{2, 5, 10}
	type network struct {
		fleet *fleet
		nodes []*node
	}
	var networks []network
	defer func() {
		for _, n := range networks {
			_ = stopAll(ctx, n.nodes)
			_ = n.fleet.close()
		}
	}()
	for _, size := range sizes {
		f, err := newFleet(ctx, b.program, size)
		if err != nil {
			return err
		}
		networks = append(networks, network{fleet: f})
		var all []int
		for i := range size {
			all = append(all, i)
		}
		nodes, err := f.startAll(ctx, all, "home")
		if err != nil {
			return err
		}
		networks[len(networks)-1].nodes = nodes
		if _, err := allMet(ctx, nodes); err != nil {
			return err
		}
	}
	if err := pause(ctx, settle); err != nil {
		return err
	}
	var sent, heard, used [3][]float64
	for pass := range 2 { // the counters before and after
		for i, n := range networks {
			for j, nic := range n.fleet.nics {
				c, err := nic.Counters()
				if err != nil {
					return err
				}
				cpu, err := n.nodes[j].proc.CPU()
				if err != nil {
					return err
				}
				if pass == 0 {
					sent[i] = append(sent[i], float64(c.TxBytes))
					heard[i] = append(heard[i], float64(c.RxBytes))
					used[i] = append(used[i], cpu.Seconds())
					continue
				}
				sent[i][j] = (float64(c.TxBytes) - sent[i][j]) / window.Seconds()
				heard[i][j] = (float64(c.RxBytes) - heard[i][j]) / window.Seconds()
				used[i][j] = (cpu.Seconds() - used[i][j]) / window.Seconds() * 1000
			}
		}
		if pass == 0 {
			if err := pause(ctx, window); err != nil {
				return err
			}
		}
	}
	for i, size := range sizes {
		tx := row(fmt.Sprintf("idle_sent_%d", size), fmt.Sprintf("idle, %d nodes: sent by each", size), "B/s", sent[i])
		if size == 10 {
			tx = tx.p50Below(150)
		}
		b.add(tx, row(fmt.Sprintf("idle_heard_%d", size), fmt.Sprintf("idle, %d nodes: heard by each", size), "B/s", heard[i]),
			row(fmt.Sprintf("idle_cpu_%d", size), fmt.Sprintf("idle, %d nodes: processor time of each", size), "ms/s", used[i]))
		var memory []float64
		for _, n := range networks[i].nodes {
			rss, err := n.proc.Resident()
			if err != nil {
				return err
			}
			memory = append(memory, float64(rss)/1e6)
		}
		b.add(row(fmt.Sprintf("idle_memory_%d", size), fmt.Sprintf("idle, %d nodes: resident memory of each", size), "MB", memory).p50Below(50))
	}
	return nil
}

// pause waits, unless ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
