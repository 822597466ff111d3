package receipt

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"earshot/chat"
)

var (
	noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	den  = chat.OpenRoom("#den") // any id will do
)

func keyOf(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("earshot test key " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func personOf(name string) (p chat.PersonID) {
	copy(p[:], name)
	return p
}

func logOf(name string) (l chat.LogID) {
	copy(l[:], name)
	return l
}

// failer is a test, of rapid too.
type failer interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// net is a room of devices, with frames on their way between them.
type net struct {
	t     failer
	now   time.Time
	nodes []*node
	links map[[2]int]bool
	ways  map[[2]int][]Input // from one to another, in order
	tells int                // frames with statements
	bytes int                // that these have taken, where that is counted
}

// node is an engine and what its device really holds and has read.
type node struct {
	*Engine
	net    *net
	at     int
	key    ed25519.PrivateKey
	device chat.DeviceID
	person chat.PersonID
	out    bool // not in the room
	kept   bool // somebody in the room is not to know
	skew   time.Duration
	given  map[chat.PersonID]bool // whom reading is told

	holds  map[chat.LogID]uint64
	most   map[chat.LogID]uint64 // that it ever held
	read   map[Kind]map[chat.LogID]uint64
	stored map[key]Kept
	faces  map[chat.LogID]uint64 // read elsewhere
	blamed []chat.DeviceID
}

// newNet makes a room of devices, each named after its person and a number.
func newNet(t failer, persons ...string) *net {
	n := &net{t: t, now: noon, links: map[[2]int]bool{}, ways: map[[2]int][]Input{}}
	for i, who := range persons {
		x := &node{
			net: n, at: i, key: keyOf(fmt.Sprint(who, i)), person: personOf(who), given: map[chat.PersonID]bool{},
			holds: map[chat.LogID]uint64{}, most: map[chat.LogID]uint64{}, read: map[Kind]map[chat.LogID]uint64{},
			stored: map[key]Kept{}, faces: map[chat.LogID]uint64{},
		}
		copy(x.device[:], x.key.Public().(ed25519.PublicKey))
		n.nodes = append(n.nodes, x)
		x.start()
	}
	return n
}

// start makes the engine of what is stored.
func (x *node) start() {
	x.Engine = New(Config{Key: x.key, Person: x.person, World: x, Random: rand.New(rand.NewPCG(1, uint64(x.at)))})
	in := Restore{Room: den}
	for _, k := range x.stored {
		in.Statements = append(in.Statements, k)
	}
	for log, seq := range x.holds {
		in.Holds = append(in.Holds, Mark{PrefixOf(log), seq})
	}
	for _, logs := range x.read {
		for log, seq := range logs {
			in.Read = append(in.Read, Mark{PrefixOf(log), seq})
		}
	}
	x.handle(in)
}

// What the engine asks.

func (x *node) of(d chat.DeviceID) *node {
	for _, o := range x.net.nodes {
		if o.device == d {
			return o
		}
	}
	return nil
}

func (x *node) Shared(d chat.DeviceID) []chat.RoomID {
	if x.Shares(den, d) {
		return []chat.RoomID{den}
	}
	return nil
}

func (x *node) Shares(room chat.RoomID, d chat.DeviceID) bool {
	o := x.of(d)
	return room == den && o != nil && !o.out && !x.out
}

func (x *node) Person(d chat.DeviceID) (chat.PersonID, bool) {
	if o := x.of(d); o != nil {
		return o.person, true
	}
	return chat.PersonID{}, false
}

func (x *node) HeldKind(chat.RoomID) Kind {
	if x.kept {
		return HeldKept
	}
	return Held
}

func (x *node) Gives(k Kind, to chat.PersonID) bool { return k == HeldKept || x.given[to] }

// handle has the engine handle an input and puts frames on their way.
func (x *node) handle(in Input) {
	for _, ef := range x.Handle(x.net.now.Add(x.skew), in) {
		switch ef := ef.(type) {
		case Tell:
			x.net.tells++
			if _, counts := x.net.t.(*testing.B); counts {
				x.net.bytes += x.frameSize(ef)
			}
			x.send(ef.To, Told{From: x.device, Room: ef.Room, Statements: slices.Clone(ef.Statements), Cover: ef.Cover, Covered: ef.Covered})
		case Compare:
			x.send(ef.To, Compared{From: x.device, Sums: ef.Sums})
		case Ask:
			x.send(ef.To, Asked{From: x.device, Room: ef.Room, Lines: ef.Lines})
		case Keep:
			k := key{ef.Device, ef.Kind}
			if old, ok := x.stored[k]; ok && old.compare(&ef.Statement) >= 0 {
				x.net.t.Fatalf("a statement replaces a newer one: %+v by %+v", old, ef)
			}
			x.stored[k] = ef.Kept
		case ReadElsewhere:
			for _, m := range ef.Marks {
				x.faces[x.net.log(m.Log)] = max(x.faces[x.net.log(m.Log)], m.Seq)
			}
		case Refuse:
			x.blamed = append(x.blamed, ef.From)
		}
	}
}

func (x *node) send(to chat.DeviceID, in Input) {
	o := x.of(to)
	if o == nil || !x.net.links[[2]int{x.at, o.at}] {
		x.net.t.Fatalf("a frame to a device that is not near")
	}
	way := [2]int{x.at, o.at}
	x.net.ways[way] = append(x.net.ways[way], in)
}

var logs = []chat.LogID{logOf("log of ann here"), logOf("one of ben here"), logOf("a log of cleo's")}

func (n *net) log(p LogPrefix) chat.LogID {
	for _, l := range logs {
		if PrefixOf(l) == p {
			return l
		}
	}
	return chat.LogID{}
}

func (n *net) link(a, b int, up bool) {
	if a == b || n.links[[2]int{a, b}] == up {
		return
	}
	for _, w := range [][2]int{{a, b}, {b, a}} {
		n.links[w] = up
		n.ways[w] = nil
	}
	for _, w := range [][2]int{{a, b}, {b, a}} {
		if up {
			n.nodes[w[0]].handle(PeerUp{n.nodes[w[1]].device})
		} else {
			n.nodes[w[0]].handle(PeerDown{n.nodes[w[1]].device})
		}
	}
}

// hold has a device store more of a log, and say so.
func (x *node) hold(log chat.LogID, seq uint64) {
	if seq <= x.holds[log] {
		return
	}
	x.holds[log], x.most[log] = seq, max(x.most[log], seq)
	x.handle(Holds{den, []Mark{{PrefixOf(log), seq}}})
}

func (x *node) reads(k Kind, log chat.LogID, seq uint64) {
	if x.read[k] == nil {
		x.read[k] = map[chat.LogID]uint64{}
	}
	x.read[k][log] = max(x.read[k][log], seq)
	x.handle(Reads{den, k, []Mark{{PrefixOf(log), seq}}})
}

// next returns when the engine is due, by the clock of the net.
func (x *node) next() time.Time {
	t := x.NextTick()
	if !t.IsZero() {
		t = t.Add(-x.skew)
	}
	return t
}

func (x *node) tick() {
	if t := x.next(); !t.IsZero() && !x.net.now.Before(t) {
		x.handle(Tick{})
	}
}

// deliver has the first frame on a way arrive, if there is one.
func (n *net) deliver(way [2]int) bool {
	q := n.ways[way]
	if len(q) == 0 {
		return false
	}
	n.ways[way] = q[1:]
	n.nodes[way[1]].handle(q[0])
	return true
}

func (n *net) deliverAll() {
	for more := true; more; {
		more = false
		for a := range n.nodes {
			for b := range n.nodes {
				more = n.deliver([2]int{a, b}) || more
			}
		}
	}
}

// settle lets time pass until nobody has anything to do, for ten minutes at the most.
func (n *net) settle() {
	for late := n.now.Add(10 * time.Minute); ; {
		n.deliverAll()
		var next time.Time
		for _, x := range n.nodes {
			if t := x.next(); !t.IsZero() && (next.IsZero() || t.Before(next)) {
				next = t
			}
		}
		if next.IsZero() {
			return
		}
		if next.After(late) {
			n.t.Fatal("there is no end to what is said")
		}
		if next.After(n.now) {
			n.now = next
		}
		for _, x := range n.nodes {
			x.tick()
		}
	}
}

// honest fails if anybody believes of a device more than ever was.
func (n *net) honest() {
	n.t.Helper()
	for _, x := range n.nodes {
		for _, o := range n.nodes {
			for _, log := range logs {
				if got := x.Holds(den, o.device, log); got > o.most[log] {
					n.t.Fatalf("%d believes that %d holds %d of a log of which it never held more than %d", x.at, o.at, got, o.most[log])
				}
				told := max(o.read[Read][log], o.read[ReadKept][log], o.read[ReadOwn][log])
				if x.person != o.person {
					if told = o.read[Read][log]; o.given[x.person] {
						told = max(told, o.read[ReadKept][log])
					}
				}
				if got := x.HasRead(den, o.device, log); got > told {
					n.t.Fatalf("%d believes that %d has read %d of a log, and may know of %d", x.at, o.at, got, told)
				}
			}
		}
	}
}

// agreed fails if anybody does not know what all devices hold.
func (n *net) agreed() {
	n.t.Helper()
	for _, x := range n.nodes {
		for _, o := range n.nodes {
			for _, log := range logs {
				if got, want := x.Holds(den, o.device, log), o.holds[log]; o.device != x.device && got != want {
					n.t.Fatalf("%d believes that %d holds %d of %s, not %d", x.at, o.at, got, bytes.TrimRight(log[:], "\x00"), want)
				}
			}
		}
	}
}

// shared fails if a device does not know what its person has read on the others.
func (n *net) shared() {
	n.t.Helper()
	for _, x := range n.nodes {
		for _, o := range n.nodes {
			for _, log := range logs {
				read := max(o.read[Read][log], o.read[ReadKept][log], o.read[ReadOwn][log])
				if x != o && x.person == o.person && x.faces[log] < read {
					n.t.Fatalf("%d was told that its person has read %d of a log, not %d", x.at, x.faces[log], read)
				}
			}
		}
	}
}
