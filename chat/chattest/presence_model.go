package chattest

import (
	"math/rand/v2"
	"slices"
	"time"

	"earshot/chat/wire"
)

// PresenceModel is Presence for networks that are too large for as many engines: with
// one byte for what a device knows of another, the slot of its newest beat. Whom a
// device asks and when, what is summed up, given and asked for is as the engine does
// it, in full and without delay; records are not played, and nothing changes.
func PresenceModel(seed uint64, devices int, window time.Duration) PresenceMeasure {
	w := newPresenceModel(seed, devices)
	m := PresenceMeasure{Devices: devices}
	for _, n := range w.near {
		m.Neighbours += len(n)
	}
	m.Neighbours /= devices
	const warm = 3 * time.Minute
	w.play(warm)
	w.counting = true
	const looks = 20
	for i := range looks {
		w.play(warm + window*time.Duration(i+1)/looks)
		w.look(&m)
	}
	slices.Sort(m.Age)
	for _, b := range w.bytes {
		rate := float64(b) / window.Seconds()
		m.Bytes += rate / float64(devices)
		m.MostBytes = max(m.MostBytes, rate)
	}
	m.Frames = float64(w.frames) / window.Seconds() / float64(devices)
	return m
}

// presenceModel is a network of devices that know of each other the newest slot.
type presenceModel struct {
	rng   *rand.Rand
	now   time.Duration // since it began
	near  [][]int
	met   [][]time.Duration // by device and neighbour
	next  []time.Duration   // when a device asks
	known [][]uint8         // by device: the newest slot of each other, from 1
	bytes []int
	// place is into which cell a device falls, and newest what stands there on either
	// side of an exchange.
	place       []int
	asks, gives []uint8
	frames      int
	counting    bool
}

const (
	modelSlot  = 30 * time.Second
	modelAlive = 4 // slots
	modelRound = 5 * time.Second
	modelTick  = 250 * time.Millisecond
	// What frames take beside cells, beats and bits: as the golden bytes show.
	modelWant, modelDigest = 34, 14
)

func newPresenceModel(seed uint64, devices int) *presenceModel {
	w := &presenceModel{
		rng: rand.New(rand.NewPCG(seed, 0x6d0)), near: make([][]int, devices), met: make([][]time.Duration, devices),
		next: make([]time.Duration, devices), known: make([][]uint8, devices), bytes: make([]int, devices), place: make([]int, devices),
	}
	link := func(a, b int) {
		if a != b && !slices.Contains(w.near[a], b) {
			w.near[a], w.near[b] = append(w.near[a], b), append(w.near[b], a)
		}
	}
	for i := range devices {
		if i > 0 {
			link(i, w.rng.IntN(i))
		}
		for range livelyNeighbours / 2 {
			link(i, w.rng.IntN(devices))
		}
	}
	cells := (devices + devices/4 + 31) / 8 * 8
	w.asks, w.gives = make([]uint8, cells), make([]uint8, cells)
	for i := range devices {
		w.met[i] = make([]time.Duration, len(w.near[i]))
		w.next[i] = time.Duration(w.rng.Int64N(int64(modelRound)))
		w.known[i] = make([]uint8, devices)
	}
	return w
}

func (w *presenceModel) slot() uint8 { return uint8(1 + w.now/modelSlot) }

// play lets time pass until then.
func (w *presenceModel) play(until time.Duration) {
	for ; w.now < until; w.now += modelTick {
		for i := range w.next {
			if w.next[i] <= w.now {
				w.next[i] = w.now + time.Duration((0.75+0.5*w.rng.Float64())*float64(modelRound))
				w.round(i)
			}
		}
	}
}

// round has a device ask the neighbour that it has not met for the longest time.
func (w *presenceModel) round(a int) {
	at := w.rng.IntN(len(w.near[a]))
	for i := range w.near[a] {
		if j := (at + i) % len(w.near[a]); w.met[a][j] < w.met[a][at] {
			at = j
		}
	}
	b := w.near[a][at]
	w.met[a][at] = w.now
	w.met[b][slices.Index(w.near[b], a)] = w.now
	w.exchange(a, b)
}

// exchange is a summary of a's, what b gives and asks for, and what a brings.
func (w *presenceModel) exchange(a, b int) {
	slot := w.slot()
	w.known[a][a], w.known[b][b] = slot, slot
	oldest := slot - min(slot, modelAlive+1) // what is no newer is not alive
	salt, n := w.rng.Uint64(), len(w.asks)
	clear(w.asks)
	clear(w.gives)
	for i := range w.place {
		w.place[i] = modelCell(uint64(i), salt, n)
		if s := w.known[a][i]; s > oldest && i != b {
			w.asks[w.place[i]] = max(w.asks[w.place[i]], s)
		}
		if s := w.known[b][i]; s > oldest && i != a {
			w.gives[w.place[i]] = max(w.gives[w.place[i]], s)
		}
	}
	given, brought := 0, 0
	for turn, i := w.rng.IntN(len(w.place)), 0; i < len(w.place); i++ {
		d := (turn + i) % len(w.place)
		c := w.place[d]
		knows, lacks := w.known[b][d], w.known[a][d]
		switch {
		case knows > oldest && knows > w.asks[c] && d != a:
			if given < wire.MaxBeats {
				w.known[a][d] = max(lacks, knows)
				given++
			}
		case lacks > oldest && lacks == w.asks[c] && lacks > w.gives[c] && d != b:
			if brought < wire.MaxBeats {
				w.known[b][d] = max(knows, lacks)
				brought++
				w.asks[c] = 0xff // one of a cell
			}
		}
	}
	if !w.counting {
		return
	}
	w.bytes[a] += modelWant + n/2
	w.bytes[b] += modelDigest + n/8 + given*wire.BeatLine
	w.frames += 2
	if brought > 0 {
		w.bytes[a] += modelDigest + brought*wire.BeatLine
		w.frames++
	}
}

// modelCell spreads devices over cells, under a salt.
func modelCell(i, salt uint64, n int) int {
	x := i ^ salt
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return int((x ^ x>>31) % uint64(n))
}

func (w *presenceModel) look(m *PresenceMeasure) {
	for range 5000 {
		a, b := w.rng.IntN(len(w.near)), w.rng.IntN(len(w.near))
		if a == b || slices.Contains(w.near[a], b) {
			continue
		}
		m.Looked++
		age := int(w.slot()) - int(w.known[a][b])
		if w.known[a][b] == 0 || age > modelAlive {
			m.Missed++
			continue
		}
		m.Age = append(m.Age, age)
	}
}
