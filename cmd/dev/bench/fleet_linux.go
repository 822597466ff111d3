package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"earshot/chat"
	"earshot/node/api/client"
	"earshot/node/lab"
)

// patience bounds everything that is waited for and should take a moment.
const patience = 60 * time.Second

// A fleet is a laboratory with hosts n0, n1, ... on one LAN.
type fleet struct {
	lab     *lab.Lab
	lan     *lab.LAN
	program string // the earshot binary
	hosts   []*lab.Host
	nics    []*lab.NIC
}

// newFleet makes a laboratory with so many hosts. Close it.
func newFleet(ctx context.Context, program string, size int) (*fleet, error) {
	l, err := lab.New(ctx)
	if err != nil {
		return nil, err
	}
	f := &fleet{lab: l, program: program}
	f.lan, err = l.NewLAN()
	for i := 0; i < size && err == nil; i++ {
		err = f.addHost()
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return f, nil
}

func (f *fleet) addHost() error {
	h, err := f.lab.NewHost(fmt.Sprintf("n%d", len(f.hosts)))
	if err != nil {
		return err
	}
	nic, err := h.Attach(f.lan, "eth0", lab.Dual)
	if err != nil {
		return err
	}
	f.hosts, f.nics = append(f.hosts, h), append(f.nics, nic)
	return nil
}

func (f *fleet) close() error { return f.lab.Close() }

// addresses are the hosts' IPv4 addresses.
func (f *fleet) addresses() []string {
	var out []string
	for _, nic := range f.nics {
		out = append(out, nic.Addrs()[0].String())
	}
	return out
}

// home is where host i keeps its home of that name.
func (f *fleet) home(i int, name string) string { return filepath.Join(f.hosts[i].Dir(), name) }

// A node is a running daemon and a face on it.
type node struct {
	proc *lab.Process
	api  *client.Client
	me   chat.Me
	seen *watch
	up   time.Duration // from the start of the process to its word that it is ready
}

// start runs a daemon with the given home on host i and waits until it is ready.
func (f *fleet) start(ctx context.Context, i int, home string) (*node, error) {
	deadline, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	proc, err := f.hosts[i].Start(ctx, lab.Command{
		Path: f.program, Args: []string{"daemon"}, Env: []string{"EARSHOT_HOME=" + home},
	})
	if err != nil {
		return nil, err
	}
	ready, err := proc.Await(deadline, func(string) bool { return true })
	if err != nil {
		return nil, err
	}
	n := &node{proc: proc, up: ready.At.Sub(proc.Started())}
	if n.api, err = client.Open(deadline, home); err != nil {
		return nil, err
	}
	n.seen = newWatch(ctx, n.api)
	if n.me, err = n.api.Me(deadline); err != nil {
		return nil, errors.Join(err, n.stop(ctx))
	}
	return n, nil
}

// startAll runs one daemon on each of the hosts, all at once.
func (f *fleet) startAll(ctx context.Context, hosts []int, home string) ([]*node, error) {
	nodes := make([]*node, len(hosts))
	var group errgroup.Group
	for at, i := range hosts {
		group.Go(func() (err error) {
			nodes[at], err = f.start(ctx, i, f.home(i, home))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, errors.Join(err, stopAll(ctx, nodes))
	}
	return nodes, nil
}

// crash ends the daemon as a power cut would.
func (n *node) crash() error {
	err := n.proc.Kill()
	n.seen.close()
	n.api.Close()
	return err
}

// stop ends the daemon cleanly.
func (n *node) stop(ctx context.Context) error {
	if n == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	n.seen.close()
	n.api.Close()
	_, err := n.proc.Terminate(ctx)
	return err
}

func stopAll(ctx context.Context, nodes []*node) error {
	errs := make([]error, len(nodes))
	var wait sync.WaitGroup
	for i, n := range nodes {
		wait.Go(func() { errs[i] = n.stop(ctx) })
	}
	wait.Wait()
	return errors.Join(errs...)
}

// allMet waits until every node sees every other, and returns when the last saw
// the last.
func allMet(ctx context.Context, nodes []*node) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var last time.Time
	for _, n := range nodes {
		for _, other := range nodes {
			if other == n {
				continue
			}
			at, err := n.seen.here(ctx, other.me.Person)
			if err != nil {
				return last, fmt.Errorf("%s does not see %s: %w", n.me.Name, other.me.Name, err)
			}
			if at.After(last) {
				last = at
			}
		}
	}
	return last, nil
}

// A watch follows what a node tells its faces, and remembers when it was told.
type watch struct {
	stream *client.Stream
	done   chan struct{}

	mu      sync.Mutex
	present map[chat.PersonID]time.Time // who is here, and since when
	left    map[chat.PersonID]time.Time // who is not, and since when
	shows   map[chat.PersonID]shown     // the text of their status
	types   map[chat.PersonID]shown     // whether they type, as "true" or "false"
	arrived map[chat.EntryID]time.Time  // messages of others
	twice   int                         // messages told more than once
	newest  time.Time                   // when the newest message was told
	// Of contacts and private rooms:
	relations map[chat.PersonID]chat.Relation
	invited   map[chat.RoomID]bool
	members   map[chat.RoomID]int // without those who are only invited
	err       error               // why the stream ended
	waiting   map[*waiter]bool
}

// shown is something that a person shows, and when it was told first.
type shown struct {
	what string
	at   time.Time
}

// A waiter is closed when its condition, asked after each event, is true.
type waiter struct {
	met  func() bool
	done chan struct{}
}

// newWatch follows the node's events from now on until ctx ends or it is closed.
func newWatch(ctx context.Context, api *client.Client) *watch {
	w := &watch{
		stream: api.Events(ctx, client.EventsFrom{}), done: make(chan struct{}),
		present: map[chat.PersonID]time.Time{}, left: map[chat.PersonID]time.Time{},
		shows: map[chat.PersonID]shown{}, types: map[chat.PersonID]shown{}, arrived: map[chat.EntryID]time.Time{}, waiting: map[*waiter]bool{},
		relations: map[chat.PersonID]chat.Relation{}, invited: map[chat.RoomID]bool{}, members: map[chat.RoomID]int{},
	}
	go w.follow(ctx)
	return w
}

func (w *watch) follow(ctx context.Context) {
	defer close(w.done)
	for {
		event, err := w.stream.Next(ctx)
		now := time.Now()
		w.mu.Lock()
		if err != nil {
			w.err = err
			for each := range w.waiting {
				close(each.done)
			}
			w.waiting = nil
			w.mu.Unlock()
			return
		}
		w.note(event, now)
		for each := range w.waiting {
			if each.met() {
				close(each.done)
				delete(w.waiting, each)
			}
		}
		w.mu.Unlock()
	}
}

// note remembers one event.
func (w *watch) note(event chat.Event, now time.Time) {
	switch e := event.(type) {
	case chat.PersonEvent:
		_, was := w.present[e.Person.Person]
		switch {
		case e.Presence == chat.Gone:
			if was {
				w.left[e.Person.Person] = now
			}
			delete(w.present, e.Person.Person)
		case !was:
			w.present[e.Person.Person] = now
		}
		show(w.shows, e.Person.Person, e.Status.Text, now)
	case chat.TypingEvent:
		show(w.types, e.From.Person, strconv.FormatBool(e.Typing), now)
	case chat.MessageEvent:
		if e.Mine {
			return
		}
		if _, was := w.arrived[e.ID]; was {
			w.twice++
		}
		w.arrived[e.ID], w.newest = now, now
	case chat.ContactEvent:
		w.relations[e.Person.Person] = e.Person.Relation
	case chat.TrayEvent:
		for _, c := range e.Requests {
			w.relations[c.Person.Person] = c.Person.Relation
		}
	case chat.InvitationEvent:
		w.invited[e.RoomID] = !e.Gone
	case chat.RoomChangedEvent:
		w.count(e.RoomID, e.Members)
	}
}

// show notes what somebody shows, and since when.
func show(all map[chat.PersonID]shown, who chat.PersonID, what string, now time.Time) {
	if was, ok := all[who]; !ok || was.what != what {
		all[who] = shown{what, now}
	}
}

// count remembers how many members a room has, which are never fewer here.
func (w *watch) count(room chat.RoomID, members []chat.Member) {
	n := 0
	for _, m := range members {
		if !m.Invited {
			n++
		}
	}
	w.members[room] = max(w.members[room], n)
}

// joined notes the members that a room has when one enters it.
func (w *watch) joined(room chat.RoomID, members []chat.Member) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count(room, members)
}

// await waits until met, which is called with the lock held, is true.
func (w *watch) await(ctx context.Context, met func() bool) error {
	w.mu.Lock()
	if met() {
		w.mu.Unlock()
		return nil
	}
	if w.err != nil {
		defer w.mu.Unlock()
		return w.err
	}
	each := &waiter{met: met, done: make(chan struct{})}
	w.waiting[each] = true
	w.mu.Unlock()
	select {
	case <-each.done:
		w.mu.Lock()
		defer w.mu.Unlock()
		if !met() {
			return w.err
		}
		return nil
	case <-ctx.Done():
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.waiting, each)
		return context.Cause(ctx)
	}
}

// here waits until the person is here and returns since when.
func (w *watch) here(ctx context.Context, who chat.PersonID) (at time.Time, err error) {
	err = w.await(ctx, func() (ok bool) { at, ok = w.present[who]; return ok })
	return at, err
}

// gone waits until the person is not here, and returns since when, if they ever were.
func (w *watch) gone(ctx context.Context, who chat.PersonID) (at time.Time, err error) {
	err = w.await(ctx, func() bool { _, ok := w.present[who]; at = w.left[who]; return !ok })
	return at, err
}

// messages waits for so many messages of others, and returns how many there
// are. Fewer than wanted is an error.
func (w *watch) messages(ctx context.Context, want int) (got int, newest time.Time, err error) {
	err = w.await(ctx, func() bool { got, newest = len(w.arrived), w.newest; return got >= want })
	if err != nil {
		err = fmt.Errorf("%d of %d messages: %w", got, want, err)
	}
	return got, newest, err
}

// heard returns how many messages of others each node has told of.
func heard(nodes []*node) []int {
	counts := make([]int, len(nodes))
	for i, n := range nodes {
		n.seen.mu.Lock()
		counts[i] = len(n.seen.arrived)
		n.seen.mu.Unlock()
	}
	return counts
}

// awaitHeard waits until each node has told of so many messages more than before.
func awaitHeard(ctx context.Context, nodes []*node, before []int, more int) error {
	for i, n := range nodes {
		if _, _, err := n.seen.messages(ctx, before[i]+more); err != nil {
			return fmt.Errorf("%s lacks messages: %w", n.me.Name, err)
		}
	}
	return nil
}

func (w *watch) close() {
	w.stream.Close()
	<-w.done
}
