package chattest

import (
	"container/heap"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/presence"
	"earshot/chat/wire"
)

// A PresenceMeasure is what it costs a network to know who is here, and how well it
// does.
type PresenceMeasure struct {
	Devices, Neighbours int
	// Bytes is what a device sends in a second, on average, and MostBytes what the one
	// does that sends most; without what streams and packets add to it.
	Bytes, MostBytes float64
	Frames           float64 // in a second, of a device
	// Age is how old the newest sign of life is of devices that are not neighbours, in
	// slots of 30 s; ascending.
	Age []int
	// Missed counts devices that were taken for gone, or were not known, and were
	// here; of Looked.
	Missed, Looked int
	// Known is how long it took until another state was known to each device, Gone
	// until a crash was; both ascending.
	Known, Gone []time.Duration
}

// livelyNeighbours is how many neighbours a device has on average in the measurement.
const livelyNeighbours = 24

// presenceWorld is a network of presence engines.
type presenceWorld struct {
	rng   *rand.Rand
	now   time.Time
	nodes []*presenceNode
	by    map[chat.DeviceID]*presenceNode
	due   presenceQueue
	seq   int
	// verified holds what signatures have been checked, which is the same for all.
	verified map[[32]byte]bool
	counting bool
	show     func(n *presenceNode, d chat.DeviceID)
}

type presenceNode struct {
	world  *presenceWorld
	engine *presence.Engine
	id     chat.DeviceID
	person chat.PersonID
	near   map[chat.DeviceID]bool
	gone   bool
	tick   time.Time // that is in the queue
	bytes  int
	frames int
}

// presenceEvent is a frame on its way, or a tick where there is none.
type presenceEvent struct {
	at    time.Time
	seq   int // of two at one time the earlier made comes first
	to    *presenceNode
	from  chat.DeviceID
	frame wire.Frame
}

type presenceQueue []presenceEvent

func (q presenceQueue) Len() int { return len(q) }
func (q presenceQueue) Less(i, j int) bool {
	if q[i].at.Equal(q[j].at) {
		return q[i].seq < q[j].seq
	}
	return q[i].at.Before(q[j].at)
}
func (q presenceQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *presenceQueue) Push(x any)   { *q = append(*q, x.(presenceEvent)) }
func (q *presenceQueue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// Presence has a network of strangers, each connected to some, run for a while, and
// measures it over window. Then one device in a hundred says something else of itself, and
// one in a hundred crashes.
func Presence(seed uint64, devices int, window time.Duration) PresenceMeasure {
	w := newPresenceWorld(seed, devices)
	w.play(2 * time.Minute)
	m := PresenceMeasure{Devices: devices}
	for _, n := range w.nodes {
		m.Neighbours += len(n.near)
	}
	m.Neighbours /= devices

	w.counting = true
	const looks = 40
	for range looks {
		w.play(window / looks)
		w.look(&m)
	}
	w.counting = false
	slices.Sort(m.Age)
	for _, n := range w.nodes {
		rate := float64(n.bytes) / window.Seconds()
		m.Bytes += rate / float64(devices)
		m.Frames += float64(n.frames) / window.Seconds() / float64(devices)
		m.MostBytes = max(m.MostBytes, rate)
	}

	some := max(1, devices/100)
	m.Known = w.until(w.nodes[:some], func(n *presenceNode) { n.say(chat.Busy) },
		func(v presence.View) bool { return v.Status.State == chat.Busy })
	m.Gone = w.until(w.nodes[some:2*some], (*presenceNode).crash, func(v presence.View) bool { return !v.Here })
	return m
}

func newPresenceWorld(seed uint64, devices int) *presenceWorld {
	w := &presenceWorld{
		rng: rand.New(rand.NewPCG(seed, 0x9e3)), now: Start, by: map[chat.DeviceID]*presenceNode{}, verified: map[[32]byte]bool{},
		show: func(*presenceNode, chat.DeviceID) {},
	}
	for i := range devices {
		keySeed := sha256.Sum256(fmt.Append(nil, "presence ", seed, i))
		key := ed25519.NewKeyFromSeed(keySeed[:])
		n := &presenceNode{world: w, near: map[chat.DeviceID]bool{}}
		copy(n.id[:], key.Public().(ed25519.PublicKey))
		binary.BigEndian.PutUint64(n.person[:], uint64(i+1))
		n.engine = presence.New(presence.Config{
			Key: key, Person: n.person, Random: rand.New(rand.NewPCG(seed, uint64(i))), Entropy: rand.NewChaCha8(keySeed),
			May: func(chat.PersonID) bool { return false }, Cares: func(chat.PersonID) bool { return false },
			Owner: func(d chat.DeviceID) (chat.PersonID, bool) {
				if o := w.by[d]; o != nil {
					return o.person, true
				}
				return chat.PersonID{}, false
			},
			Verify: w.verify,
		})
		w.nodes = append(w.nodes, n)
		w.by[n.id] = n
	}
	for i, n := range w.nodes {
		if i > 0 {
			w.link(n, w.nodes[w.rng.IntN(i)])
		}
		for range livelyNeighbours / 2 {
			w.link(n, w.nodes[w.rng.IntN(devices)])
		}
	}
	for _, n := range w.nodes {
		w.at(time.Duration(w.rng.Int64N(int64(time.Minute))), n) // its first tick, at which it says who it is
	}
	return w
}

// verify checks each signature once for all engines.
func (w *presenceWorld) verify(key ed25519.PublicKey, message, sig []byte) bool {
	h := sha256.New()
	h.Write(key)
	h.Write(sig)
	h.Write(message)
	sum := [32]byte(h.Sum(nil))
	ok, seen := w.verified[sum]
	if !seen {
		ok = ed25519.Verify(key, message, sig)
		w.verified[sum] = ok
	}
	return ok
}

func (w *presenceWorld) link(a, b *presenceNode) {
	if a != b {
		a.near[b.id], b.near[a.id] = true, true
	}
}

func (w *presenceWorld) at(after time.Duration, n *presenceNode) {
	n.tick = w.now.Add(after)
	w.push(presenceEvent{at: n.tick, to: n})
}

func (w *presenceWorld) push(e presenceEvent) {
	w.seq++
	e.seq = w.seq
	heap.Push(&w.due, e)
}

// play lets time pass.
func (w *presenceWorld) play(d time.Duration) {
	end := w.now.Add(d)
	for len(w.due) > 0 && !w.due[0].at.After(end) {
		e := heap.Pop(&w.due).(presenceEvent)
		w.now = e.at
		switch {
		case e.to.gone:
		case e.frame != nil:
			e.to.do(presence.Told{From: e.from, Frame: e.frame})
		case !e.at.Equal(e.to.tick): // another one took its place
		case e.to.engine.NextTick().IsZero():
			e.to.begin()
		default:
			e.to.do(presence.Tick{})
		}
	}
	w.now = end
}

// begin has a device come to the network.
func (n *presenceNode) begin() {
	n.say(chat.Available)
	for _, o := range n.world.nodes {
		if n.near[o.id] && !o.engine.NextTick().IsZero() {
			n.do(presence.Connected{Device: o.id, Person: o.person})
			o.do(presence.Connected{Device: n.id, Person: n.person})
		}
	}
}

func (n *presenceNode) say(s chat.Availability) {
	n.do(presence.Own{Status: chat.Status{State: s, Since: n.world.now}, Reach: presence.ReachEveryone})
}

func (n *presenceNode) crash() {
	n.gone = true
	for _, o := range n.world.nodes {
		if n.near[o.id] && !o.gone {
			o.do(presence.Disconnected{Device: n.id})
		}
	}
}

// do hands the engine an input and carries out what it wants.
func (n *presenceNode) do(in presence.Input) {
	w := n.world
	for _, ef := range n.engine.Handle(w.now, in) {
		switch ef := ef.(type) {
		case presence.Send:
			if w.counting {
				n.bytes += len(wire.EncodeFrame(ef.Frame))
				n.frames++
			}
			if to := w.by[ef.To]; !to.gone {
				w.push(presenceEvent{at: w.now.Add(livelyDelay), to: to, from: n.id, frame: ef.Frame})
			}
		case presence.Show:
			w.show(n, ef.Device)
		}
	}
	if next := n.engine.NextTick(); !next.IsZero() && !next.Equal(n.tick) {
		w.at(next.Sub(w.now), n)
	}
}

// look asks devices about others that are not their neighbours.
func (w *presenceWorld) look(m *PresenceMeasure) {
	const pairs = 5000
	for range pairs {
		n, o := w.nodes[w.rng.IntN(len(w.nodes))], w.nodes[w.rng.IntN(len(w.nodes))]
		if n == o || n.near[o.id] {
			continue
		}
		v, _ := n.engine.Device(o.id)
		m.Looked++
		if !v.Here {
			m.Missed++
			continue
		}
		const slot = 30
		m.Age = append(m.Age, int(w.now.Unix()/slot-v.LastSeen.Unix()/slot))
	}
}

// until has something happen to some devices, and returns how long each other took to
// know of it, in the end no more than five minutes.
func (w *presenceWorld) until(some []*presenceNode, happen func(*presenceNode), known func(presence.View) bool) []time.Duration {
	begin := w.now
	var out []time.Duration
	of := map[chat.DeviceID]bool{}
	for _, n := range some {
		of[n.id] = true
	}
	type pair struct{ by, of chat.DeviceID }
	seen := map[pair]bool{}
	w.show = func(n *presenceNode, d chat.DeviceID) {
		if v, _ := n.engine.Device(d); of[d] && !seen[pair{n.id, d}] && known(v) {
			seen[pair{n.id, d}] = true
			out = append(out, w.now.Sub(begin))
		}
	}
	for _, n := range some {
		happen(n)
	}
	all := 0
	for _, n := range w.nodes {
		for _, o := range some {
			if !n.gone && n != o {
				all++
			}
		}
	}
	for len(out) < all && w.now.Sub(begin) < 5*time.Minute {
		w.play(5 * time.Second)
	}
	w.show = func(*presenceNode, chat.DeviceID) {}
	slices.Sort(out)
	return out
}

func (m PresenceMeasure) String() string {
	s := fmt.Sprintf("%d devices of %d neighbours: %.0f B/s (most %.0f), %.2f frames/s; age %d, %d slots (half, 99 of 100); %d of %d missed",
		m.Devices, m.Neighbours, m.Bytes, m.MostBytes, m.Frames, at(m.Age, 50), at(m.Age, 99), m.Missed, m.Looked)
	if len(m.Known) == 0 {
		return s
	}
	return s + fmt.Sprintf("; another state %v, %v; a crash %v, %v", at(m.Known, 50), at(m.Known, 99), at(m.Gone, 50), at(m.Gone, 99))
}

func at[T any](sorted []T, percent int) (v T) {
	if len(sorted) > 0 {
		v = sorted[(len(sorted)-1)*percent/100]
	}
	return v
}
