package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"earshot/chat"
	earshot "earshot/node"
)

// history measures what many stored messages cost: at start, in memory, and for
// somebody who has to catch up with them.
func (b *bench) history(ctx context.Context) error {
	few := scale(b, 100_000, 10_000)
	many := scale(b, 1_000_000, 100_000)
	f, err := newFleet(ctx, b.program, 2)
	if err != nil {
		return err
	}
	defer f.close()

	empty, err := b.starts(ctx, f, "empty")
	if err != nil {
		return err
	}
	b.add(row("start_0", "process start to ready, 0 messages stored", "ms", milliseconds(empty)).maxBelow(300))

	full := f.home(0, "full")
	fmt.Fprintf(b.Progress, ", storing %d messages", few)
	if err := fill(ctx, full, 0, few); err != nil {
		return err
	}
	if err := b.catchUp(ctx, f, full, few); err != nil {
		return err
	}
	fmt.Fprintf(b.Progress, ", storing %d messages", many)
	begin := time.Now()
	if err := fill(ctx, full, few, many); err != nil {
		return err
	}
	b.add(single("author", "messages made, signed, stored and indexed, in process", "1/s", float64(many-few)/time.Since(begin).Seconds()))
	if err := b.noteHomeSize(full, many); err != nil {
		return err
	}
	ready, err := b.starts(ctx, f, "full")
	if err != nil {
		return err
	}
	b.add(row(fmt.Sprintf("start_%d", many), fmt.Sprintf("process start to ready, %d messages stored", many), "ms", milliseconds(ready)).maxBelow(300))
	return nil
}

// starts starts a daemon on the home of that name on the first host ten times,
// and tells how long each took to be ready. The first time, which may have to
// make the home, does not count.
func (b *bench) starts(ctx context.Context, f *fleet, home string) ([]time.Duration, error) {
	var took []time.Duration
	for i := range 11 {
		n, err := f.start(ctx, 0, f.home(0, home))
		if err != nil {
			return nil, err
		}
		if i > 0 {
			took = append(took, n.up)
		}
		if err := n.stop(ctx); err != nil {
			return nil, err
		}
	}
	return took, nil
}

// fill makes a node without a network in this process say something in the
// lobby, for each number from the first up to the last.
func fill(ctx context.Context, home string, first, last int) (err error) {
	const writers = 256 // how many messages may wait for the store at once
	n, err := earshot.Start(ctx, earshot.Config{Home: home, Offline: true, Version: "bench"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close(ctx)) }()
	lobby, err := n.FindRoom(ctx, chat.Lobby)
	if err != nil {
		return err
	}
	numbers := make(chan int, writers)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(numbers)
		for i := first; i < last; i++ {
			select {
			case numbers <- i:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
	for range writers {
		group.Go(func() error {
			for i := range numbers {
				if _, err := n.Send(ctx, lobby.RoomID, chat.Draft{Text: text(i)}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// catchUp measures how fast a newcomer on the second host gets the history of
// the first, and what the two then hold in memory.
func (b *bench) catchUp(ctx context.Context, f *fleet, full string, count int) error {
	author, err := f.start(ctx, 0, full)
	if err != nil {
		return err
	}
	defer author.stop(ctx)
	newcomer, err := f.start(ctx, 1, f.home(1, "newcomer"))
	if err != nil {
		return err
	}
	defer newcomer.stop(ctx)
	begin, err := newcomer.seen.here(ctx, author.me.Person)
	if err != nil {
		return err
	}
	deadline, cancel := context.WithTimeout(ctx, 5*patience)
	defer cancel()
	_, newest, err := newcomer.seen.messages(deadline, count)
	if err != nil {
		return err
	}
	b.add(single("catch_up", fmt.Sprintf("catching up with %d messages", count), "1/s", float64(count)/newest.Sub(begin).Seconds()).p50Above(10_000))
	for _, each := range []struct {
		name, what string
		n          *node
	}{{"memory_newcomer", "who just caught up with them", newcomer}, {"memory_author", "who gave them", author}} {
		rss, err := each.n.proc.Resident()
		if err != nil {
			return err
		}
		b.add(single(fmt.Sprintf("%s_%d", each.name, count), fmt.Sprintf("resident memory with %d messages, %s", count, each.what), "MB", float64(rss)/1e6))
	}
	return nil
}

// noteHomeSize measures what a home with so many messages takes on disk.
func (b *bench) noteHomeSize(home string, count int) error {
	entries, err := os.ReadDir(home)
	if err != nil {
		return err
	}
	total := int64(0)
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return err
		}
		total += info.Size()
	}
	b.add(single(fmt.Sprintf("disk_%d", count), fmt.Sprintf("home with %d messages of %d B on disk", count, messageSize), "MB", float64(total)/1e6))
	return nil
}
