// Package chattest runs many room and catch-up engines on one seeded network and
// one fake clock, without goroutines: the network is a priority queue. It loses,
// delays, doubles and reorders live entries, cuts links, fails writes and crashes
// devices, then heals and looks whether everybody holds the same. It knows no real
// network, disk or clock; the same seed gives the same trace, byte for byte.
package chattest

import (
	"container/heap"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"time"

	"earshot/chat"
)

// Config is what a run is made of. The zero values of its numbers mean the
// defaults of Run.
type Config struct {
	Seed    uint64
	Devices int           // 2 and more
	Posts   int           // messages said while things go wrong
	Trouble time.Duration // how long things go wrong
	Heal    time.Duration // how long the healed network may take to agree

	// Defects, to see that a run notices them.
	NoCatchUp      bool // nobody is told what others hold, and nobody asks
	ForgetfulStore bool // a crash loses what was confirmed: what the device last said, and all behind it
	NoDedup        bool // what was stored is stored again when it comes again

	Trace io.Writer // every event as a line, if set
}

// Result is what a run came to.
type Result struct {
	Trace    [32]byte      // hash of all events
	Events   int           //
	Messages int           // said and stored
	Sessions int           // of catch-up
	Healed   time.Duration // from the end of trouble to agreement
	Err      error         // what went wrong, nil if nothing did
}

// Start is when every run begins.
var Start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// side is a sealed room, of every other device.
var side = chat.RoomID{0x51, 0xde}

// Run plays one seed.
func Run(cfg Config) Result {
	rng := rand.New(rand.NewPCG(cfg.Seed, 0xea25407))
	if cfg.Devices == 0 {
		cfg.Devices = 2 + rng.IntN(6)
	}
	if cfg.Posts == 0 {
		cfg.Posts = 60
	}
	if cfg.Trouble == 0 {
		cfg.Trouble = 30 * time.Second
	}
	if cfg.Heal == 0 {
		cfg.Heal = 20 * time.Minute
	}
	w := &world{
		cfg: cfg, rng: rng, now: Start, trace: sha256.New(), ledger: map[chat.EntryID]chat.RoomID{},
		rooms: []chat.RoomID{chat.OpenRoom(chat.Lobby), side},
	}
	w.build()
	w.plan()
	w.play(Start.Add(cfg.Trouble))
	w.calmDown()
	healed := w.heal()
	if w.err == nil {
		w.settled()
	}
	if w.err == nil {
		w.err = w.check()
	}
	return Result{
		Trace: [32]byte(w.trace.Sum(nil)), Events: w.events, Messages: len(w.ledger), Sessions: w.opened, Healed: healed, Err: w.err,
	}
}

type world struct {
	cfg     Config
	rng     *rand.Rand
	now     time.Time
	queue   queue
	order   int // of events made, to break ties
	devices []*device
	links   []*link
	rooms   []chat.RoomID
	ledger  map[chat.EntryID]chat.RoomID // everything stored anywhere
	calm    bool
	split   []bool // which side of the partition a device is on; nil: none
	trace   hash.Hash
	events  int
	opened  int
	err     error
}

// build makes the devices and a connected graph of links between them. The members
// of a room are connected among themselves, as nodes see to: catch-up goes from
// member to member.
func (w *world) build() {
	for i := range w.cfg.Devices {
		seed := sha256.Sum256(fmt.Appendf(nil, "chattest device %d", i))
		d := &device{w: w, index: i, key: ed25519.NewKeyFromSeed(seed[:]), reach: map[chat.DeviceID]*link{}}
		copy(d.id[:], d.key.Public().(ed25519.PublicKey))
		// Clocks differ, but not so much that they are not believed.
		d.skew = w.between(-50*time.Second, 50*time.Second)
		d.rooms = w.rooms[:1+(i+1)%2]
		d.disk.reset()
		w.devices = append(w.devices, d)
		if i > 0 {
			w.link(w.devices[w.rng.IntN(i)], d)
		}
	}
	for i := 2; i < len(w.devices); i += 2 { // the members of side
		if a, b := w.devices[i-2], w.devices[i]; w.linkOf(a, b) == nil {
			w.link(a, b)
		}
	}
	for range w.cfg.Devices / 2 {
		a, b := w.devices[w.rng.IntN(len(w.devices))], w.devices[w.rng.IntN(len(w.devices))]
		if a != b && w.linkOf(a, b) == nil {
			w.link(a, b)
		}
	}
	for _, d := range w.devices {
		d.start()
	}
	w.connect()
	for _, d := range w.devices {
		d.acquaint()
	}
}

// plan schedules what is said and what goes wrong.
func (w *world) plan() {
	within := func() time.Duration { return w.between(0, w.cfg.Trouble) }
	for i := range w.cfg.Posts {
		d := w.devices[w.rng.IntN(len(w.devices))]
		w.after(within(), func() { d.post(fmt.Sprintf("message %d of %d", i, d.index)) })
	}
	for range 2 {
		w.after(within(), w.partition)
	}
	for range 3 {
		d := w.devices[w.rng.IntN(len(w.devices))]
		w.after(within(), func() { d.crash() })
	}
}

// partition cuts the network in two for a while.
func (w *world) partition() {
	if w.calm {
		return
	}
	w.split = make([]bool, len(w.devices))
	for i := range w.split {
		w.split[i] = w.rng.IntN(2) == 0
	}
	w.note("partition %v", w.split)
	for _, l := range w.links {
		if w.split[l.a.index] != w.split[l.b.index] {
			l.cut()
		}
	}
	w.after(w.between(time.Second, 12*time.Second), func() {
		w.split = nil
		w.connect()
	})
}

// connect brings up every link whose ends are up and on one side.
func (w *world) connect() {
	for _, l := range w.links {
		if !l.up && l.a.up && l.b.up && (w.split == nil || w.split[l.a.index] == w.split[l.b.index]) {
			l.join()
		}
	}
}

func (w *world) calmDown() {
	w.calm, w.split = true, nil
	w.note("calm")
	for _, d := range w.devices {
		if !d.up {
			d.start()
		}
	}
	w.connect()
}

// heal plays until all agree and returns how long that took.
func (w *world) heal() time.Duration {
	calm := w.now
	for w.err == nil && !w.agreed() {
		if w.now.Sub(calm) > w.cfg.Heal {
			w.fail("they do not agree %v after the network healed", w.cfg.Heal)
			break
		}
		w.play(w.now.Add(100 * time.Millisecond))
	}
	return w.now.Sub(calm)
}

// rest is longer than a device that has asked in vain may wait before it has another
// look at what it was told before.
const rest = 70 * time.Second

// settled plays on and demands that nobody asks for what all have.
func (w *world) settled() {
	w.play(w.now.Add(rest))
	before := w.opened
	w.play(w.now.Add(10 * time.Minute))
	if w.opened != before {
		w.fail("%d sessions although all agree", w.opened-before)
	}
}

func (w *world) agreed() bool {
	for _, id := range w.rooms {
		var first *device
		for _, d := range w.devices {
			if !d.engine.Entered(id) {
				continue
			}
			if first == nil {
				first = d
			}
			if d.engine.Root(id) != first.engine.Root(id) || d.engine.Pending(id) > 0 || len(d.disk.writes) > 0 {
				return false
			}
		}
	}
	return true
}

func (w *world) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf("after %v: "+format, append([]any{w.now.Sub(Start)}, args...)...)
		w.note("FAIL %v", w.err)
	}
}

// note writes a line of the trace.
func (w *world) note(format string, args ...any) {
	line := fmt.Appendf(nil, "%v "+format+"\n", append([]any{w.now.Sub(Start)}, args...)...)
	w.events++
	_, _ = w.trace.Write(line) // a hash takes everything
	if w.cfg.Trace != nil {
		if _, err := w.cfg.Trace.Write(line); err != nil {
			w.err = errors.Join(w.err, err)
		}
	}
}

func (w *world) between(from, to time.Duration) time.Duration {
	return from + time.Duration(w.rng.Int64N(int64(to-from)))
}

func (w *world) chance(percent int) bool { return !w.calm && w.rng.IntN(100) < percent }

// after has f happen later; at once never happens.
func (w *world) after(d time.Duration, f func()) { w.at(w.now.Add(d), f) }

func (w *world) at(t time.Time, f func()) {
	w.order++
	heap.Push(&w.queue, event{at: t, order: w.order, do: f})
}

// play lets everything happen that is due until end.
func (w *world) play(end time.Time) {
	for w.err == nil && len(w.queue) > 0 && !w.queue[0].at.After(end) {
		ev := heap.Pop(&w.queue).(event)
		w.now = ev.at
		ev.do()
	}
	w.now = end
}

type event struct {
	at    time.Time
	order int
	do    func()
}

type queue []event

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].at.Before(q[j].at) || (q[i].at.Equal(q[j].at) && q[i].order < q[j].order)
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(event)) }
func (q *queue) Pop() any {
	old := *q
	ev := old[len(old)-1]
	*q = old[:len(old)-1]
	return ev
}
