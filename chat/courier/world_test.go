package courier

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/identity"
	"earshot/chat/wire"
)

// world is some nodes' engines, with the disks and wires that they need. Whatever is
// sent arrives at once, in order, unless a wire is cut.
type world struct {
	t     testing.TB
	now   time.Time
	nodes []*node
	queue []func()
}

// node is one device.
type node struct {
	w      *world
	name   string
	e      *Engine
	device chat.DeviceID
	person chat.PersonID
	by     Depositor
	near   map[*node]Standing // what they are to this one
	rooms  []Room
	wants  []Want
	disk   map[string][]byte // envelopes, by kind and id
	full   bool
	said   map[Range]string // what is in the logs that this one writes
	logs   map[chat.LogID]uint64
	read   []string // what came, in order
	proved [][]byte
	judged []uint8
	blamed map[*node]int
	sent   []wire.Frame
	whole  bool // what comes is whole
	deaf   bool // hears nothing
	// receipts says that others learn of what has come.
	receipts bool
	saved    map[string]int
	reply    []byte
}

func newWorld(t testing.TB) *world {
	return &world{t: t, now: time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)}
}

func (w *world) node(name string) *node {
	seed := sha256.Sum256([]byte("device of " + name))
	rootSeed := sha256.Sum256([]byte("root of " + strings.TrimRight(name, "0123456789")))
	key, root := ed25519.NewKeyFromSeed(seed[:]), ed25519.NewKeyFromSeed(rootSeed[:])
	n := &node{
		w: w, name: name, near: map[*node]Standing{}, disk: map[string][]byte{}, said: map[Range]string{}, blamed: map[*node]int{},
		logs:  map[chat.LogID]uint64{},
		whole: true, saved: map[string]int{},
	}
	copy(n.device[:], key.Public().(ed25519.PublicKey))
	cert, err := identity.Sign(root, n.device, w.now, "")
	if err != nil {
		w.t.Fatal(err)
	}
	random := rand.NewChaCha8(seed)
	n.person, n.by = cert.Person(), Depositor{Key: key, Certificate: cert, Random: random}
	n.e = New(Config{Device: n.device, Person: n.person, Random: random})
	w.nodes = append(w.nodes, n)
	return n
}

// meet puts two within reach of each other: b is to a what it is told, and so is a to b.
func (w *world) meet(a, b *node, s Standing) {
	a.near[b], b.near[a] = s, s
	a.in(Met{Device: b.device, Person: b.person, Standing: s})
	b.in(Met{Device: a.device, Person: a.person, Standing: s})
	w.run()
}

func (w *world) part(a, b *node) {
	delete(a.near, b)
	delete(b.near, a)
	a.in(Left{Device: b.device})
	b.in(Left{Device: a.device})
	w.run()
}

func (w *world) at(d chat.DeviceID) *node {
	for _, n := range w.nodes {
		if n.device == d {
			return n
		}
	}
	return nil
}

func (w *world) run() {
	for len(w.queue) > 0 {
		next := w.queue[0]
		w.queue = w.queue[1:]
		next()
	}
}

// pass lets time go by, in steps in which everybody looks who lacks what.
func (w *world) pass(d time.Duration) {
	for end := w.now.Add(d); w.now.Before(end); {
		w.now = w.now.Add(min(5*time.Second, end.Sub(w.now)))
		for _, n := range w.nodes {
			for other := range n.near {
				n.learn(other.person)
			}
			if next := n.e.NextTick(); !next.IsZero() && !w.now.Before(next) {
				n.in(Tick{})
			}
			n.in(Survey{Wants: n.wants})
		}
		w.run()
	}
}

// learn has a node know what somebody holds of what it has said, as their receipt would.
func (n *node) learn(who chat.PersonID) {
	for _, other := range n.w.nodes {
		if other.person != who || !other.receipts {
			continue
		}
		n.wants = slices.DeleteFunc(n.wants, func(w Want) bool {
			r := w.Ranges[0]
			return w.Person == who && slices.Contains(other.read, n.said[Range{Log: r.Log, From: r.To, To: r.To}])
		})
	}
}

// join has nodes take part in a direct chat of two people, or a private room.
func (w *world) join(name string, direct bool, nodes ...*node) chat.RoomID {
	id := chat.RoomID(sha256.Sum256([]byte(name)))
	for _, n := range nodes {
		r := Room{ID: id}
		for _, other := range nodes {
			if direct && other.person != n.person {
				r.With = other.person
			}
		}
		n.rooms = append(n.rooms, r)
		n.in(Rooms{Rooms: n.rooms})
	}
	return id
}

// say has a node write entries that a recipient lacks, in one log for each room.
func (n *node) say(k Key, texts ...string) {
	sum := sha256.Sum256(append(slices.Clone(n.device[:]), k.Room[:]...))
	log := chat.LogID(sum[:16])
	at := slices.IndexFunc(n.wants, func(w Want) bool { return w.Key == k })
	if at < 0 {
		n.wants = append(n.wants, Want{Key: k, Ranges: []Range{{Log: log, From: n.logs[log] + 1, To: n.logs[log]}}})
		at = len(n.wants) - 1
	}
	n.wants[at].Ranges = slices.Clone(n.wants[at].Ranges) // the engine has the old one
	r := &n.wants[at].Ranges[0]
	for _, text := range texts {
		r.To++
		n.logs[log] = r.To
		n.said[Range{Log: log, From: r.To, To: r.To}] = text
	}
}

func (n *node) in(in Input) {
	for _, ef := range n.e.Handle(n.w.now, in) {
		n.do(ef)
	}
}

func (n *node) do(ef Effect) {
	w := n.w
	later := func(f func()) { w.queue = append(w.queue, f) }
	send := func(to chat.DeviceID, f wire.Frame) {
		other := w.at(to)
		n.sent = append(n.sent, f)
		if _, here := n.near[other]; !here {
			w.t.Errorf("%s says something to %s, who is not here", n.name, other.name)
			return
		}
		decoded, err := wire.DecodeFrame(wire.EncodeFrame(f))
		if err != nil {
			w.t.Errorf("%s sends what can't be read: %v", n.name, err)
		}
		later(func() {
			if _, here := n.near[other]; here && !other.deaf {
				other.in(Heard{Device: n.device, Frame: decoded})
			}
		})
	}
	switch ef := ef.(type) {
	case Send:
		send(ef.To, ef.Frame)
	case Bring:
		for _, id := range ef.IDs {
			env, err := Parse(n.disk["held"+string(id[:])])
			if err != nil {
				w.t.Fatalf("%s brings what it does not hold: %v", n.name, err)
			}
			send(ef.To, env.HandOver())
		}
	case Give:
		f := wire.Deposit{Envelope: n.disk["parcel"+string(ef.ID[:])]}
		for _, id := range ef.Drop {
			f.Dropped = append(f.Dropped, id[:]...)
		}
		send(ef.To, f)
	case Keep:
		later(func() {
			if n.full {
				n.in(Kept{ID: ef.Held.ID, Err: fmt.Errorf("disk full")})
				return
			}
			n.disk["held"+string(ef.Held.ID[:])] = ef.Bytes
			for _, id := range ef.Drop {
				delete(n.disk, "held"+string(id[:]))
			}
			n.in(Kept{ID: ef.Held.ID})
		})
	case Pack:
		later(func() { n.pack(ef) })
	case Open:
		for _, e := range ef.Entries {
			n.read = append(n.read, string(e.Payload))
		}
		later(func() { n.in(Opened{ID: ef.ID, Whole: n.whole, Reply: n.reply}) })
	case Proved:
		n.proved = append(n.proved, ef.Reply)
		n.learn(ef.Key.Person)
	case Save:
		if ef.Parcel != nil && ef.Bytes != nil {
			n.disk["parcel"+string(ef.Parcel.ID[:])] = ef.Bytes
		}
	case Drop:
		delete(n.disk, "held"+string(ef.Held[:]))
		delete(n.disk, "parcel"+string(ef.Parcel[:]))
	case Judged:
		n.judged = append(n.judged, ef.Says)
	case Refuse:
		n.blamed[w.at(ef.From)]++
	}
}

// pack makes an envelope of what this node has said.
func (n *node) pack(ef Pack) {
	out := Packed{Key: ef.Key, Replaces: ef.Replaces}
	var p wire.Packet
	size := 0
	for _, r := range ef.Ranges {
		done := Range{Log: r.Log, From: r.From}
		for seq := r.From; seq <= r.To; seq++ {
			text := n.said[Range{Log: r.Log, From: seq, To: seq}]
			if size += len(text) + 100; size > MaxContent || len(p.Entries) == wire.MaxPacketEntries {
				break
			}
			p.Entries = append(p.Entries, wire.RawEntry{Head: []byte("a header"), Sig: []byte("a signature"), Payload: []byte(text)})
			done.To = seq
		}
		if done.To > 0 {
			out.Ranges = append(out.Ranges, done)
		}
	}
	env, err := n.by.Seal(n.w.now, Room{ID: ef.Key.Room, With: ef.Key.Person}, ef.Key.Person, wire.Marshal(p))
	if err != nil {
		n.w.t.Fatal(err)
	}
	out.Envelope = env
	n.in(out)
}

// envelope makes one of n's for somebody in a room.
func (n *node) envelope(r Room, to chat.PersonID, text string) Envelope {
	n.w.t.Helper()
	p := wire.Packet{Entries: []wire.RawEntry{{Head: []byte("a header"), Sig: []byte("a signature"), Payload: []byte(text)}}}
	env, err := n.by.Seal(n.w.now, r, to, wire.Marshal(p))
	if err != nil {
		n.w.t.Fatal(err)
	}
	return env
}

// holds checks how many envelopes a node holds, and that its books are right.
func (n *node) holds(want int) {
	n.w.t.Helper()
	k := n.e.Keeper()
	if k.Held != want {
		n.w.t.Errorf("%s holds %d envelopes, not %d", n.name, k.Held, want)
	}
	n.balanced()
}

func (n *node) balanced() {
	n.w.t.Helper()
	var used int64
	count := map[chat.PersonID]int{}
	var strangers int64
	for id, h := range n.e.held {
		used += h.Size
		count[h.Person]++
		if h.Standing == Stranger {
			strangers += h.Size
		}
		if _, storing := n.e.keeping[id]; !storing && n.disk["held"+string(id[:])] == nil {
			n.w.t.Errorf("%s believes to hold %s, which is not on its disk", n.name, id.Short())
		}
	}
	if used != n.e.used || strangers != n.e.usedBy[Stranger] || len(count) != len(n.e.countOf) {
		n.w.t.Errorf("%s counts %d bytes (%d of strangers) of %d people, and has %d (%d) of %d", n.name, n.e.used, n.e.usedBy[Stranger],
			len(n.e.countOf), used, strangers, len(count))
	}
	if strangers > n.e.space*StrangerShare/100 {
		n.w.t.Errorf("strangers fill %d of %s's %d bytes", strangers, n.name, n.e.space)
	}
	for tag, ids := range n.e.order {
		for _, id := range ids {
			if n.e.held[id] == nil || n.e.held[id].Tag != tag {
				n.w.t.Errorf("%s lists %s, which it does not hold", n.name, id.Short())
			}
		}
	}
}
