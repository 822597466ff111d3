// Package chattest runs the engines of many devices on one seeded network and one fake
// clock, without goroutines: the network is a priority queue. It loses, delays, doubles
// and reorders live entries, cuts links, splits the network, fails writes, crashes
// devices, sets their clocks and has one of them lie; then it heals the network and
// looks whether everybody holds the same, in the same order, reads what was for them
// and nothing else, knows how far the others are, and remembers no more than it may. Open rooms, private rooms and
// chats of two are composed as package node does. It knows no real network, disk or
// clock; the same seed gives the same trace, byte for byte.
package chattest

import (
	"container/heap"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"time"

	"earshot/chat"
	"earshot/chat/identity"
)

// Config is what a run is made of. The zero values of its numbers mean the
// defaults of Run.
type Config struct {
	Seed    uint64
	Devices int           // 2 and more
	Posts   int           // messages said while things go wrong
	Trouble time.Duration // how long things go wrong
	Heal    time.Duration // how long the healed network may take to agree
	Liar    bool          // the last of three and more devices lies

	// Defects, to see that a run notices them.
	NoCatchUp      bool // nobody is told what others hold, and nobody asks
	ForgetfulStore bool // a crash loses what was confirmed: what the device last said, and all behind it
	NoDedup        bool // what was stored is stored again when it comes again
	ForgetfulKeys  bool // a crash loses what the private engine kept last
	NoSecrets      bool // sealed rooms are named to everybody
	Gullible       bool // what neighbours say is not verified
	OrderOfArrival bool // entries are shown in the order in which they came
	DeafToRemoval  bool // to throw somebody out does nothing
	Incurious      bool // nobody asks for payloads that entries came without
	Obedient       bool // what anybody wants removed is removed
	Boastful       bool // what is about to be stored counts as held
	Incomparable   bool // nobody compares what is known of who holds what

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

// lobby is the open room that everybody is in.
var lobby = chat.OpenRoom(chat.Lobby)

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
	w := newWorld(cfg, rng)
	w.most = mostEvents * cfg.Devices
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

// mostEvents is how many things may happen in one run for each device, over ten times
// what was seen of any: two that answer each other for ever are told of, and do not fill
// the memory first.
const mostEvents = 20_000

func newWorld(cfg Config, rng *rand.Rand) *world {
	return &world{
		cfg: cfg, rng: rng, now: Start, trace: sha256.New(), stored: map[chat.EntryID]bool{}, removable: map[chat.EntryID]bool{},
		loss: 20, delay: 120 * time.Millisecond, storedAt: map[chat.EntryID]time.Time{}, byID: map[chat.DeviceID]*device{}, gone: map[*device]bool{}, contacts: map[chat.PersonID][]chat.PersonID{}, certified: map[string]identity.Certificate{},
	}
}

type world struct {
	cfg     Config
	rng     *rand.Rand
	now     time.Time
	queue   queue
	order   int // of events made, to break ties
	most    int // of them; 0 for any number
	devices []*device
	links   []*link
	byID    map[chat.DeviceID]*device
	sealed  []*sealedRoom
	office  *sealedRoom      // of those, the private room
	invited []*device        // who is to be in it
	gone    map[*device]bool // who was thrown out or has left, if that was stored
	// contacts are those who have a direct chat.
	contacts  map[chat.PersonID][]chat.PersonID
	certified map[string]identity.Certificate // that have been verified
	ledger    []confirmed                     // everything stored anywhere
	stored    map[chat.EntryID]bool           // likewise
	said      []*saying                       // everything said and confirmed
	removals  []*removal                      // likewise
	removable map[chat.EntryID]bool           // messages that somebody removes who may
	calm      bool
	split     []bool // which side of the partition a device is on; nil: none
	trace     hash.Hash
	events    int
	records   int           // stored by anybody
	loss      int           // of 100 entries on the live path
	delay     time.Duration // that one may have there
	// plain says that nothing goes wrong but that, as in measurements.
	plain     bool
	storedAt  map[chat.EntryID]time.Time // when an entry was stored first, of a plain world
	delivered []time.Duration            // and how long after that by others
	opened    int                        // sessions of honest devices with each other
	vain      int                        // and with the liar
	err       error
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
	w.inviteAll()
}

// heal plays until all agree and returns how long that took.
func (w *world) heal() time.Duration {
	calm := w.now
	for w.err == nil && !w.agreed() {
		if w.now.Sub(calm) > w.cfg.Heal {
			w.fail("they do not agree %v after the network healed%s", w.cfg.Heal, w.why())
			break
		}
		w.play(w.now.Add(100 * time.Millisecond))
	}
	return w.now.Sub(calm)
}

// rest is longer than a device goes on saying that payloads have come (a minute), and
// then another that has asked in vain may wait before it has another look at what it was
// told before (a minute, and a bit).
const rest = 130 * time.Second

// settled plays on and demands that nobody asks for what all have.
func (w *world) settled() {
	w.play(w.now.Add(rest))
	before, vain, records, wishing := w.opened, w.vain, w.records, w.wishing()
	w.play(w.now.Add(10 * time.Minute))
	// What a liar alone held may come late.
	if w.opened != before && !wishing && (!w.cfg.Liar || w.records == records) {
		w.fail("%d sessions although all agree", w.opened-before)
	}
	// Whoever answers a lie asks in vain once in a minute.
	if most := 40 * len(w.devices[len(w.devices)-1].links); w.vain-vain > most {
		w.fail("%d sessions with the liar, over %d", w.vain-vain, most)
	}
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
	if w.order++; w.most > 0 && w.order > w.most {
		w.fail("more than %d events: it does not come to rest", w.most)
		return
	}
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
