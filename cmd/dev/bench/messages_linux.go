package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"earshot/chat"
	"earshot/cmd/dev/floor"
	"earshot/node/lab"
)

const (
	messageSize = 200 // bytes of text, about three lines
	rate        = 20  // messages a second, about as fast as a large room ever is
)

// text is a message of messageSize bytes that begins with a number.
func text(number int) string {
	s := strconv.Itoa(number) + " "
	return s + strings.Repeat("x", messageSize-len(s))
}

// latency measures how long a message takes from one face to another, beside
// what the same bytes take over a bare stream and bare gossipsub.
func (b *bench) latency(ctx context.Context) error {
	f, err := newFleet(ctx, b.program, 2)
	if err != nil {
		return err
	}
	defer f.close()
	count := scale(b, 600, 100)

	stream, err := f.floorStream(ctx, count)
	if err != nil {
		return err
	}
	gossip, err := f.floorGossip(ctx, 2, 1, count, time.Second/rate)
	if err != nil {
		return err
	}
	bare := row("floor_gossip", "floor: bare gossipsub, one way", "ms", milliseconds(gossip[1].OneWay))

	nodes, err := f.startAll(ctx, []int{0, 1}, "home")
	if err != nil {
		return err
	}
	defer stopAll(ctx, nodes)
	if _, err := allMet(ctx, nodes); err != nil {
		return err
	}
	private, err := privateRoom(ctx, nodes)
	if err != nil {
		return err
	}
	spoken, err := speak(ctx, nodes, []string{chat.Lobby, private}, count)
	if err != nil {
		return err
	}
	open, sealed := spoken[0], spoken[1]
	what := fmt.Sprintf("message of %d B at %d/s, send to event, one way", messageSize, rate)
	b.add(
		row("floor_stream", "floor: bare stream, one way", "ms", milliseconds(stream.OneWay)),
		bare,
		row("floor_api", "floor: local API, question and answer", "ms", milliseconds(append(open.asked, sealed.asked...))).noted("part of every send"),
		row("latency", what, "ms", milliseconds(open.oneWay)).p50Below(1.5*bare.P50),
		row("send", "the same, send to stored", "ms", milliseconds(open.stored)),
		row("latency_private", "the same in a private room, send to event", "ms", milliseconds(sealed.oneWay)).p50Below(private13*open.p50()),
		row("send_private", "the same in a private room, send to stored", "ms", milliseconds(sealed.stored)),
	)
	for _, r := range []struct{ room, name, where string }{{chat.Lobby, "wire_open", "an open"}, {private, "wire_private", "a private"}} {
		perMessage, err := f.bytesPerMessage(ctx, nodes, r.room, scale(b, 200, 50))
		if err != nil {
			return err
		}
		b.add(single(r.name, fmt.Sprintf("sent for a message of %d B in %s room of two", messageSize, r.where), "B", perMessage).
			noted("with all that TCP, Noise and gossip put around it"))
	}
	return nil
}

// private13 is how much more time a private room may take than an open one.
const private13 = 1.3

// spoken is how long messages in one room took.
type spoken struct {
	asked, oneWay, stored []time.Duration
	sent                  map[chat.EntryID]time.Time
}

// p50 is the median of the way from face to face, in milliseconds.
func (s *spoken) p50() float64 { return quantile(milliseconds(s.oneWay), 0.5) }

// speak has the first of two nodes say count messages in each room, in turns so
// that whatever else the machine does befalls all rooms.
func speak(ctx context.Context, nodes []*node, rooms []string, count int) ([]spoken, error) {
	out := make([]spoken, len(rooms))
	before := heard(nodes)
	tick := time.NewTicker(time.Second / rate)
	defer tick.Stop()
	for i := range count * len(rooms) {
		s, room := &out[i%len(rooms)], rooms[i%len(rooms)]
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		begin := time.Now()
		if _, err := nodes[0].api.Version(ctx); err != nil {
			return nil, err
		}
		s.asked = append(s.asked, time.Since(begin))
		if err := pause(ctx, time.Second/rate/2); err != nil { // idle again, as before each message of a person
			return nil, err
		}
		begin = time.Now()
		m, err := nodes[0].api.Send(ctx, room, chat.Draft{Text: text(i)})
		if err != nil {
			return nil, err
		}
		s.stored = append(s.stored, time.Since(begin))
		if s.sent == nil {
			s.sent = map[chat.EntryID]time.Time{}
		}
		s.sent[m.ID] = begin
	}
	deadline, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := awaitHeard(deadline, nodes[1:], before[1:], count*len(rooms)); err != nil {
		return nil, err
	}
	seen := nodes[1].seen
	seen.mu.Lock()
	defer seen.mu.Unlock()
	for i := range out {
		for id, begin := range out[i].sent {
			out[i].oneWay = append(out[i].oneWay, seen.arrived[id].Sub(begin))
		}
	}
	return out, nil
}

// bytesPerMessage returns how much the first host sends for each message that its
// node says in a room.
func (f *fleet) bytesPerMessage(ctx context.Context, nodes []*node, room string, count int) (float64, error) {
	before, err := f.nics[0].Counters()
	if err != nil {
		return 0, err
	}
	if _, err := speak(ctx, nodes, []string{room}, count); err != nil {
		return 0, err
	}
	after, err := f.nics[0].Counters()
	return float64(after.TxBytes-before.TxBytes) / float64(count), err
}

// throughput measures how many messages a room of ten can take, all speaking at
// once, with nothing lost: an open room, then a private one of the same nodes.
func (b *bench) throughput(ctx context.Context) error {
	const size = 10
	each := scale(b, 500, 100) // messages of each node
	f, err := newFleet(ctx, b.program, size)
	if err != nil {
		return err
	}
	defer f.close()

	bare, err := f.floorGossip(ctx, size, size, each, 0)
	if err != nil {
		return err
	}
	floorRow, err := deliveries(bare, size*each)
	if err != nil {
		return err
	}
	b.add(floorRow)

	nodes, private, err := f.startRoom(ctx, size)
	defer func() { _ = stopAll(ctx, nodes) }()
	if err != nil {
		return err
	}
	var perSecond [2]float64
	for i, r := range []struct{ room, name, what string }{
		{chat.Lobby, "throughput", "room of %d, all speak: messages delivered"},
		{private, "throughput_private", "the same in a private room"},
	} {
		what := r.what
		if i == 0 {
			what = fmt.Sprintf(what, size)
		}
		told, stored, err := allSpeak(ctx, nodes, r.room, each)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		perSecond[i] = float64(size*(size-1)*each) / told.Seconds()
		b.add(single(r.name, what, "1/s", perSecond[i]).
			noted("%d messages to %d others each; lost 0; all stored by their authors after %.1f s", size*each, size-1, stored.Seconds()))
	}
	b.add(single("throughput_ratio", "open room's throughput over the private room's", "", perSecond[0]/perSecond[1]).p50Below(private13))
	return nil
}

// allSpeak has every node say each messages in a room, as fast as it takes them. It
// returns how long it took until all were told to all, and until all were stored by
// their authors.
func allSpeak(ctx context.Context, nodes []*node, room string, each int) (told, stored time.Duration, err error) {
	const writers = 8 // on each node, each waiting for one message to be stored before it sends the next
	before := heard(nodes)
	begin := time.Now()
	group, groupCtx := errgroup.WithContext(ctx)
	for _, n := range nodes {
		numbers := make(chan int, each)
		for i := range each {
			numbers <- i
		}
		close(numbers)
		for range writers {
			group.Go(func() error {
				for i := range numbers {
					if _, err := n.api.Send(groupCtx, room, chat.Draft{Text: text(i)}); err != nil {
						return err
					}
				}
				return nil
			})
		}
	}
	if err := group.Wait(); err != nil {
		return 0, 0, err
	}
	stored = time.Since(begin)
	deadline, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	if err := awaitHeard(deadline, nodes, before, (len(nodes)-1)*each); err != nil {
		return 0, 0, err
	}
	twice := 0
	var last time.Time
	for _, n := range nodes {
		n.seen.mu.Lock()
		if n.seen.newest.After(last) {
			last = n.seen.newest
		}
		twice += n.seen.twice
		n.seen.mu.Unlock()
	}
	if twice > 0 {
		return 0, 0, fmt.Errorf("%d messages were told more than once", twice)
	}
	return last.Sub(begin), stored, nil
}

// deliveries sums up a bare run in which so many messages were sent in all.
func deliveries(results []floor.Result, sent int) (Row, error) {
	var began, ended time.Time
	received := 0
	for _, r := range results {
		received += r.Received
		if r.Received == 0 {
			return Row{}, errors.New("a node of the floor received nothing")
		}
		if began.IsZero() || r.Began.Before(began) {
			began = r.Began
		}
		if r.Ended.After(ended) {
			ended = r.Ended
		}
	}
	expected := sent * (len(results) - 1)
	return single("floor_throughput", fmt.Sprintf("floor: bare gossipsub, %d nodes: messages delivered", len(results)), "1/s",
		float64(received)/ended.Sub(began).Seconds()).
		noted("of %d lost %.1f%%; nothing is stored or signed by us", expected, 100-100*float64(received)/float64(expected)), nil
}

// floorStream runs the bare ping-pong between the first two hosts.
func (f *fleet) floorStream(ctx context.Context, count int) (floor.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	var r floor.Result
	for self := range 2 {
		p, err := f.startFloor(ctx, self, "floor-stream",
			"-hosts", strings.Join(f.addresses()[:2], ","), "-self", strconv.Itoa(self),
			"-count", strconv.Itoa(count), "-size", strconv.Itoa(messageSize), "-interval", (time.Second / rate).String())
		if err != nil {
			return r, err
		}
		defer p.Kill()
		if self == 0 {
			err = awaitStage(ctx, p, floor.Listening)
		} else {
			r, err = awaitResult(ctx, p)
		}
		if err != nil {
			return r, err
		}
	}
	return r, nil
}

// floorGossip runs bare gossipsub on the first size hosts, of which the first
// senders publish count messages each, one every interval.
func (f *fleet) floorGossip(ctx context.Context, size, senders, count int, interval time.Duration) ([]floor.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	var procs []*lab.Process
	for self := range size {
		p, err := f.startFloor(ctx, self, "floor-gossip",
			"-hosts", strings.Join(f.addresses()[:size], ","), "-self", strconv.Itoa(self), "-senders", strconv.Itoa(senders),
			"-count", strconv.Itoa(count), "-size", strconv.Itoa(messageSize), "-interval", interval.String())
		if err != nil {
			return nil, err
		}
		defer p.Kill()
		if err := awaitStage(ctx, p, floor.Listening); err != nil {
			return nil, err
		}
		procs = append(procs, p)
	}
	for _, p := range procs {
		if err := awaitStage(ctx, p, floor.Connected); err != nil {
			return nil, err
		}
	}
	for _, p := range procs {
		if err := p.Signal(floor.Begin); err != nil { // begin
			return nil, err
		}
	}
	results := make([]floor.Result, size)
	errs := make([]error, size)
	var wait sync.WaitGroup
	for i, p := range procs {
		wait.Go(func() { results[i], errs[i] = awaitResult(ctx, p) })
	}
	wait.Wait()
	return results, errors.Join(errs...)
}

// startFloor runs one of this program's own hidden commands on host i.
func (f *fleet) startFloor(ctx context.Context, i int, args ...string) (*lab.Process, error) {
	return f.hosts[i].Start(ctx, lab.Command{Path: "/proc/self/exe", Args: args})
}

// awaitStage waits until a floor program has come so far.
func awaitStage(ctx context.Context, p *lab.Process, want string) error {
	_, err := stageOf(ctx, p, want)
	return err
}

// awaitResult waits until a floor program is done.
func awaitResult(ctx context.Context, p *lab.Process) (floor.Result, error) {
	s, err := stageOf(ctx, p, floor.Done)
	if err != nil {
		return floor.Result{}, err
	}
	return *s.Result, nil
}

func stageOf(ctx context.Context, p *lab.Process, want string) (s floor.Stage, err error) {
	_, err = p.Await(ctx, func(line string) bool {
		s = floor.Stage{}
		return json.Unmarshal([]byte(line), &s) == nil && s.Stage == want
	})
	return s, err
}
