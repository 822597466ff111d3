package presence

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

var noon = time.Date(2026, 3, 1, 12, 0, 7, 0, time.UTC)

func keyOf(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("earshot test key " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func personOf(name string) (p chat.PersonID) {
	copy(p[:], name)
	return p
}

// failer is a test, of rapid too.
type failer interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
	Errorf(string, ...any)
}

// world is some devices and the connections between them.
type world struct {
	t     failer
	now   time.Time
	rng   *rand.Rand
	nodes []*node
	by    map[chat.DeviceID]*node
	links map[[2]chat.DeviceID]bool
	queue []parcel // on their way, in order

	hear  func(from, to *node, f wire.Frame) // overhears every frame
	bytes int
}

type parcel struct {
	from, to *node
	frame    wire.Frame
	at       time.Time
}

// node is an engine and what the rest of its device knows.
type node struct {
	*Engine
	w       *world
	name    string
	key     ed25519.PrivateKey
	id      chat.DeviceID
	person  chat.PersonID
	skew    time.Duration // of its clock
	down    bool
	may     map[chat.PersonID]bool
	cares   map[chat.PersonID]bool
	owners  map[chat.DeviceID]chat.PersonID
	shown   map[chat.DeviceID]int // how often
	kept    map[string][]byte
	refused []error
	mute    func(to *node, f wire.Frame) bool // what a malicious node does not send
}

func newWorld(t failer) *world { return newWorldOf(t, 1) }

func newWorldOf(t failer, seed uint64) *world {
	return &world{t: t, now: noon, rng: rand.New(rand.NewPCG(seed, 2)), by: map[chat.DeviceID]*node{}, links: map[[2]chat.DeviceID]bool{}}
}

// node adds a device of a person called as it is; "bob/phone" is Bob's.
func (w *world) node(name string) *node {
	n := &node{
		w: w, name: name, key: keyOf(name), may: map[chat.PersonID]bool{}, cares: map[chat.PersonID]bool{},
		owners: map[chat.DeviceID]chat.PersonID{}, shown: map[chat.DeviceID]int{}, kept: map[string][]byte{},
	}
	person, _, _ := bytes.Cut([]byte(name), []byte("/"))
	n.person = personOf(string(person))
	copy(n.id[:], n.key.Public().(ed25519.PublicKey))
	n.start()
	for _, o := range w.nodes {
		n.owners[o.id], o.owners[n.id] = o.person, n.person
	}
	w.nodes = append(w.nodes, n)
	w.by[n.id] = n
	return n
}

// start gives a node an engine that knows what was kept.
func (n *node) start() {
	n.down = false
	n.Engine = New(Config{
		Key: n.key, Person: n.person, Random: rand.New(rand.NewPCG(n.w.rng.Uint64(), 1)), Kept: n.kept,
		Entropy: rand.NewChaCha8(sha256.Sum256(fmt.Append(nil, n.name, n.w.rng.Uint64()))),
		May:     func(p chat.PersonID) bool { return n.may[p] },
		Cares:   func(p chat.PersonID) bool { return n.cares[p] },
		Owner:   func(d chat.DeviceID) (chat.PersonID, bool) { p, ok := n.owners[d]; return p, ok },
	})
}

// friends have each other as contacts.
func friends(nodes ...*node) {
	for _, a := range nodes {
		for _, b := range nodes {
			if a.person != b.person {
				a.may[b.person], a.cares[b.person] = true, true
			}
		}
	}
}

func (n *node) clock() time.Time { return n.w.now.Add(n.skew) }

// do hands the engine an input and carries out what it wants.
func (n *node) do(in Input) {
	n.w.t.Helper()
	if n.down {
		return
	}
	n.carryOut(n.Handle(n.clock(), in))
}

func (n *node) carryOut(effects []Effect) {
	n.w.t.Helper()
	for _, ef := range effects {
		switch ef := ef.(type) {
		case Send:
			to := n.w.by[ef.To]
			if to == nil || !n.w.links[[2]chat.DeviceID{n.id, to.id}] {
				n.w.t.Fatalf("%s sends %T to a device that is not connected", n.name, ef.Frame)
			}
			n.w.send(n, to, ef.Frame)
		case Show:
			n.shown[ef.Device]++
		case Keep:
			n.kept[ef.Key] = ef.Value
		case Refuse:
			n.refused = append(n.refused, ef.Err)
			if chat.CodeOf(ef.Err) != chat.CodeInvalid {
				n.w.t.Fatalf("refused with %v", ef.Err)
			}
		default:
			n.w.t.Fatalf("effect %T", ef)
		}
	}
}

const delay = 20 * time.Millisecond

func (w *world) send(from, to *node, f wire.Frame) {
	w.t.Helper()
	if from.mute != nil && from.mute(to, f) {
		return
	}
	b := wire.EncodeFrame(f)
	if len(b) > chat.MaxFrame {
		w.t.Fatalf("a frame %T of %d bytes", f, len(b))
	}
	w.bytes += len(b)
	got, err := wire.DecodeFrame(b)
	if err != nil {
		w.t.Fatalf("%T: %v", f, err)
	}
	if w.hear != nil {
		w.hear(from, to, got)
	}
	w.queue = append(w.queue, parcel{from, to, got, w.now.Add(delay)})
}

// link connects two devices, and unlink takes that back: as a crash of the connection,
// or clean, with a goodbye from a.
func (w *world) link(a, b *node) {
	w.links[[2]chat.DeviceID{a.id, b.id}], w.links[[2]chat.DeviceID{b.id, a.id}] = true, true
	a.do(Connected{Device: b.id, Person: b.person, Ahead: b.skew - a.skew})
	b.do(Connected{Device: a.id, Person: a.person, Ahead: a.skew - b.skew})
}

func (w *world) unlink(a, b *node, clean bool) {
	delete(w.links, [2]chat.DeviceID{a.id, b.id})
	delete(w.links, [2]chat.DeviceID{b.id, a.id})
	w.queue = slices.DeleteFunc(w.queue, func(p parcel) bool { return p.from == a && p.to == b || p.from == b && p.to == a })
	a.do(Disconnected{Device: b.id})
	b.do(Disconnected{Device: a.id, Clean: clean})
}

// linkAll connects everybody with everybody.
func (w *world) linkAll(nodes ...*node) {
	for i, a := range nodes {
		for _, b := range nodes[:i] {
			w.link(a, b)
		}
	}
}

// crash ends a node without a word, leave with one.
func (n *node) crash() {
	n.down = true
	for _, o := range n.w.nodes {
		if n.w.links[[2]chat.DeviceID{n.id, o.id}] {
			n.w.unlink(n, o, false)
		}
	}
}

func (n *node) leaveAll() {
	n.do(Leave{})
	n.w.run(2 * delay)
	n.down = true
	for _, o := range n.w.nodes {
		if n.w.links[[2]chat.DeviceID{n.id, o.id}] {
			n.w.unlink(n, o, true)
		}
	}
}

// run lets time pass.
func (w *world) run(d time.Duration) {
	w.t.Helper()
	end := w.now.Add(d)
	for {
		next := end
		var tick *node
		for _, n := range w.nodes {
			if at := n.NextTick(); !n.down && !at.IsZero() {
				if at = at.Add(-n.skew); at.Before(next) || tick == nil && at.Equal(next) {
					next, tick = at, n
				}
			}
		}
		if len(w.queue) > 0 && !w.queue[0].at.After(next) {
			p := w.queue[0]
			w.queue = w.queue[1:]
			w.now = maxTime(w.now, p.at)
			p.to.do(Told{From: p.from.id, Frame: p.frame})
			continue
		}
		w.now = maxTime(w.now, next)
		if tick == nil {
			return
		}
		tick.do(Tick{})
	}
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// show has a node say that it is here, in a state.
func (n *node) show(s chat.Availability) {
	n.showTo(ReachNamed, chat.Status{State: s, Since: n.clock()})
}

func (n *node) showTo(r Reach, s chat.Status) {
	n.w.t.Helper()
	n.do(Own{Status: s, Reach: r})
}

// sees returns what a node knows of another.
func (n *node) sees(o *node) View {
	v, _ := n.Device(o.id)
	return v
}

func (n *node) mustSee(o *node, here bool, state chat.Availability) {
	n.w.t.Helper()
	if v := n.sees(o); v.Here != here || v.Status.State != state {
		n.w.t.Fatalf("%s: %s sees %s as %+v, want here %v and %q", n.w.now.Format(time.TimeOnly), n.name, o.name, v, here, state)
	}
}
