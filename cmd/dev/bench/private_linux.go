package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"

	"golang.org/x/sync/errgroup"

	"earshot/chat"
)

// sealing measures what end-to-end encryption costs by itself, with the benchmarks
// of its engine: nothing is signed, stored or sent in them.
func (b *bench) sealing(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "go", "test", "earshot/chat/seal", "-run", "^$",
		"-bench", "^(BenchmarkSeal|BenchmarkOpen|BenchmarkRekey)$",
		"-benchtime", scale(b, "300ms", "50ms"), "-count", scale(b, "5", "1"))
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w: %s%s", err, out.String(), complaint.String())
	}
	g, err := parseGoBench(&out)
	if err != nil {
		return err
	}
	var errs []error
	add := func(benchmark, from string, by float64, name, what, unit string) *Row {
		r, err := g.row(benchmark, from, by, name, what, unit)
		if err != nil {
			errs = append(errs, err)
			return &Row{}
		}
		b.add(r)
		return &b.rows[len(b.rows)-1]
	}
	message := fmt.Sprintf("message of %d B", messageSize)
	sealed := add("Seal", "ns/op", 1e3, "seal", "sealing a "+message, "us")
	if bytes := g["Seal"]["wire-B/op"]; len(bytes) > 0 {
		*sealed = sealed.noted("becomes %.0f B", bytes[0])
	}
	add("Open", "ns/op", 1e3, "open", "opening it", "us")
	for _, devices := range []int{10, 100, 250} {
		for _, roots := range []struct{ of, name, what string }{
			{"known", "", "new keys for %d devices"},
			{"new", "_weekly", "the same with the week's pair keys for each"},
		} {
			name, what := fmt.Sprintf("rekey_%d%s", devices, roots.name), roots.what
			if roots.of == "known" {
				what = fmt.Sprintf(what, devices)
			}
			benchmark := fmt.Sprintf("Rekey/devices=%d/roots=%s", devices, roots.of)
			r := add(benchmark, "ns/op", 1e6, name, what, "ms")
			if wire := g[benchmark]["wire-B/op"]; len(wire) > 0 {
				*r = r.noted("%.1f kB to send", wire[0]/1e3)
			}
		}
	}
	return errors.Join(errs...)
}

// startRoom starts size nodes, each on a host of its own, has all of them meet, and
// puts them into one private room. The caller stops the nodes, whatever the error.
func (f *fleet) startRoom(ctx context.Context, size int) (nodes []*node, room string, err error) {
	hosts := make([]int, size)
	for i := range hosts {
		hosts[i] = i
	}
	if nodes, err = f.startAll(ctx, hosts, "home"); err != nil {
		return nil, "", err
	}
	if _, err = allMet(ctx, nodes); err != nil {
		return nodes, "", err
	}
	room, err = privateRoom(ctx, nodes)
	return nodes, room, err
}

// privateRoom makes a private room of all nodes, who have met. When it returns,
// each has read a message of every other there, so that all have each other's keys.
func privateRoom(ctx context.Context, nodes []*node) (room string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	owner, others := nodes[0], nodes[1:]
	for _, n := range others {
		if err := befriend(ctx, n, owner); err != nil {
			return "", fmt.Errorf("%s and %s: %w", n.me.Name, owner.me.Name, err)
		}
	}
	r, err := owner.api.Create(ctx, "#bench", chat.HistoryNone)
	if err != nil {
		return "", err
	}
	room = r.RoomID.String()
	for _, n := range others {
		if err := owner.api.Invite(ctx, room, n.me.Person.String(), chat.RoleMember); err != nil {
			return "", err
		}
	}
	group, groupCtx := errgroup.WithContext(ctx)
	for _, n := range others {
		group.Go(func() error {
			if err := n.seen.await(groupCtx, func() bool { return n.seen.invited[r.RoomID] }); err != nil {
				return fmt.Errorf("%s was not invited: %w", n.me.Name, err)
			}
			if _, err := n.api.AcceptInvitation(groupCtx, room); err != nil {
				return err
			}
			// Events tell what changes from then on.
			members, err := n.api.Members(groupCtx, room)
			if err != nil {
				return err
			}
			n.seen.joined(r.RoomID, members)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return "", err
	}
	for _, n := range nodes {
		if err := n.seen.await(ctx, func() bool { return n.seen.members[r.RoomID] == len(nodes) }); err != nil {
			return "", fmt.Errorf("%s does not see all members: %w", n.me.Name, err)
		}
	}
	before := heard(nodes)
	for _, n := range nodes {
		if _, err := n.api.Send(ctx, room, chat.Draft{Text: "hello"}); err != nil {
			return "", err
		}
	}
	return room, awaitHeard(ctx, nodes, before, len(nodes)-1)
}

// befriend makes contacts of two.
func befriend(ctx context.Context, a, b *node) error {
	knows := func(n, other *node, want chat.Relation) error {
		return n.seen.await(ctx, func() bool { return n.seen.relations[other.me.Person] == want })
	}
	if _, err := a.api.Add(ctx, b.me.Person.String(), ""); err != nil {
		return err
	}
	if err := knows(b, a, chat.RelationAsking); err != nil {
		return fmt.Errorf("the request did not come: %w", err)
	}
	if err := b.api.Accept(ctx, a.me.Person.String()); err != nil {
		return err
	}
	if err := knows(a, b, chat.RelationContact); err != nil {
		return fmt.Errorf("the answer did not come: %w", err)
	}
	return nil
}
