package bench

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"earshot/chat"
)

const (
	// officeSize is how many people there are where it is measured how they are seen: all
	// are members of one private room, and the first is a contact of every other.
	officeSize = 10
	// statusEvery is how often a node may tell others how its person is, and keep on;
	// faster changes are told as one.
	statusEvery = 5 * time.Second
	// typingEvery is how often somebody begins to type, so that the bounds on it do not
	// count: two signs a second.
	typingEvery = time.Second
)

// status measures how soon others are told how somebody is, and that they type: from the
// request of one face to the event of another.
func (b *bench) status(ctx context.Context) error {
	f, err := newFleet(ctx, b.program, officeSize)
	if err != nil {
		return err
	}
	defer f.close()
	nodes, room, err := f.startRoom(ctx, officeSize)
	defer func() { _ = stopAll(ctx, nodes) }()
	if err != nil {
		return err
	}
	owner, others := nodes[0], nodes[1:]
	if err := pause(ctx, statusEvery); err != nil { // what was told at the start counts, too
		return err
	}
	var told []time.Duration
	for i := range scale(b, 20, 4) {
		each := time.NewTimer(statusEvery)
		state, text := []chat.Availability{chat.Busy, chat.Available}[i%2], strconv.Itoa(i)
		for _, n := range nodes {
			to := others
			if n != owner {
				to = nodes[:1]
			}
			took, err := reach(ctx, n, to, text, (*watch).showsOf, func(ctx context.Context) error {
				_, err := n.api.SetStatus(ctx, chat.StatusChange{State: &state, Text: &text})
				return err
			})
			if err != nil {
				return fmt.Errorf("the status of %s: %w", n.me.Name, err)
			}
			told = append(told, took...)
		}
		select {
		case <-each.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}

	var signs [2][]time.Duration // begun, and taken back
	for range scale(b, 50, 10) {
		for i, typing := range []bool{true, false} {
			took, err := reach(ctx, owner, others, strconv.FormatBool(typing), (*watch).typesOf, func(ctx context.Context) error {
				return owner.api.Typing(ctx, room, typing)
			})
			if err != nil {
				return fmt.Errorf("a sign of typing: %w", err)
			}
			signs[i] = append(signs[i], took...)
		}
		if err := pause(ctx, typingEvery); err != nil {
			return err
		}
	}
	for _, r := range []struct {
		name, what string
		took       []time.Duration
		aim        float64
	}{
		{"status", fmt.Sprintf("one of %d shows another status: from the request to each contact's face", officeSize), told, 1000},
		{"typing", "somebody begins to type, until it is shown there", signs[0], 300},
		{"typing_stopped", "they stop, until it is taken back there", signs[1], 300},
	} {
		ms := milliseconds(r.took)
		b.add(row(r.name, r.what, "ms", ms),
			single(r.name+"_p99", "the same, what 99 of 100 need at the most", "ms", quantile(ms, 0.99)).p50Below(r.aim))
	}
	return nil
}

// showsOf and typesOf are what was told of a person last.
func (w *watch) showsOf(who chat.PersonID) shown { return w.shows[who] }
func (w *watch) typesOf(who chat.PersonID) shown { return w.types[who] }

// reach has somebody do something, and returns how long it took until each of the others
// was told what follows from it, as of tells.
func reach(ctx context.Context, n *node, others []*node, what string, of func(*watch, chat.PersonID) shown, do func(context.Context) error) ([]time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	begin := time.Now()
	if err := do(ctx); err != nil {
		return nil, err
	}
	var took []time.Duration
	for _, other := range others {
		var at time.Time
		if err := other.seen.await(ctx, func() bool {
			now := of(other.seen, n.me.Person)
			at = now.at
			return now.what == what && !at.Before(begin)
		}); err != nil {
			return nil, fmt.Errorf("%s was not told %q: %w", other.me.Name, what, err)
		}
		took = append(took, at.Sub(begin))
	}
	return took, nil
}

// departure measures how soon all others show somebody as gone who left, crashed, or
// whose cable was pulled. Cables stay pulled: who comes and goes too often is waited for
// longer.
func (b *bench) departure(ctx context.Context) error {
	f, err := newFleet(ctx, b.program, officeSize)
	if err != nil {
		return err
	}
	defer f.close()
	all := make([]int, officeSize)
	for i := range all {
		all[i] = i
	}
	nodes, err := f.startAll(ctx, all, "home")
	if err != nil {
		return err
	}
	connected := slices.Clone(nodes)
	defer func() { _ = stopAll(ctx, nodes) }()
	for _, way := range []struct {
		name, what string
		hosts      []int
		leave      func(host int, n *node) error
		forGood    bool
		aim        float64
	}{
		{
			name: "seen_exit", what: "somebody quits, until each other shows it: from the signal to the event", hosts: all[1:6], aim: 1000,
			leave: func(_ int, n *node) error { return n.stop(ctx) },
		},
		{
			name: "seen_crash", what: "somebody's Earshot is killed, the same", hosts: all[1:6], aim: 5000,
			leave: func(_ int, n *node) error { return n.crash() },
		},
		{
			name: "seen_cable", what: "somebody's cable is pulled, the same", hosts: all[6:], aim: 15000,
			leave: func(host int, _ *node) error { return f.nics[host].Unplug() }, forGood: true,
		},
	} {
		var took []time.Duration
		for _, host := range way.hosts[:scale(b, len(way.hosts), 1)] {
			if _, err := allMet(ctx, connected); err != nil {
				return err
			}
			gone := nodes[host]
			begin := time.Now()
			if err := way.leave(host, gone); err != nil {
				return err
			}
			at := slices.Index(connected, gone)
			connected = slices.Delete(connected, at, at+1)
			each, err := seenGone(ctx, connected, gone, begin)
			if err != nil {
				return fmt.Errorf("%s: %w", way.name, err)
			}
			took = append(took, each...)
			if way.forGood {
				continue
			}
			if nodes[host], err = f.start(ctx, host, f.home(host, "home")); err != nil {
				return err
			}
			connected = append(connected, nodes[host])
		}
		b.add(row(way.name, way.what, "ms", milliseconds(took)).maxBelow(way.aim))
	}
	return nil
}

// seenGone returns how long it took from a time on until all of them showed somebody as
// gone.
func seenGone(ctx context.Context, nodes []*node, gone *node, begin time.Time) ([]time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var took []time.Duration
	for _, n := range nodes {
		at, err := n.seen.gone(ctx, gone.me.Person)
		if err != nil {
			return nil, fmt.Errorf("%s goes on seeing %s: %w", n.me.Name, gone.me.Name, err)
		}
		took = append(took, at.Sub(begin))
	}
	return took, nil
}
