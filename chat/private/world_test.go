package private

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/identity"
	"earshot/chat/membership"
	"earshot/chat/room"
	"earshot/chat/wire"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// failure is what testing.T and rapid.T have in common.
type failure interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
	Logf(format string, args ...any)
}

func keyOf(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("earshot test key " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func deviceOf(name string) chat.DeviceID {
	return chat.DeviceID(keyOf(name).Public().(ed25519.PublicKey))
}

// world is a network of nodes with one clock, without goroutines: what is on its way
// stands in a queue. Frames between two connected devices keep their order; entries may
// be lost, and catch-up brings them.
type world struct {
	t     failure
	rng   *rand.Rand
	now   time.Time
	nodes []*node
	queue []func()
	loss  int  // of 100 entries on the live path
	anew  bool // look, after every input, at an engine that is made from the disk
	// watch sees every frame before it is sent.
	watch func(from, to *node, f wire.Frame)
}

// node is a device: the engine, a room engine, and a disk.
type node struct {
	*Engine
	w      *world
	name   string // of the device
	person string
	cert   identity.Certificate
	room   *room.Engine
	run    int
	links  map[*node]bool
	knows  map[chat.PersonID]bool // who may invite

	// The disk.
	state    map[string][]byte
	records  map[chat.RoomID][]Authored
	stored   map[chat.EntryID]chat.RoomID
	unopened map[chat.EntryID]Unopened
	read     map[chat.EntryID]string // what is shown
	// What faces and tests see.
	infos    map[chat.RoomID]Info
	notices  []string
	refusals []error
	denied   map[uint64]error
	done     map[uint64]chat.RoomID
	sent     map[uint64]chat.EntryID
	ref      uint64
	effects  []Effect // of the last input
}

func newWorld(t failure, seed uint64) *world {
	return &world{t: t, rng: rand.New(rand.NewPCG(seed, 7)), now: noon}
}

// add makes a device of a person: "ann" and "ann/phone" are two devices of ann.
func (w *world) add(person, device string) *node {
	w.t.Helper()
	name := person + device
	cert, err := identity.Sign(keyOf("person of "+person), deviceOf(name), noon, name)
	if err != nil {
		w.t.Fatalf("%v", err)
	}
	n := &node{
		w: w, name: name, person: person, cert: cert, links: map[*node]bool{}, knows: map[chat.PersonID]bool{},
		state: map[string][]byte{}, records: map[chat.RoomID][]Authored{}, stored: map[chat.EntryID]chat.RoomID{},
		unopened: map[chat.EntryID]Unopened{}, read: map[chat.EntryID]string{}, infos: map[chat.RoomID]Info{},
		denied: map[uint64]error{}, done: map[uint64]chat.RoomID{}, sent: map[uint64]chat.EntryID{},
	}
	w.nodes = append(w.nodes, n)
	n.start()
	return n
}

func (n *node) id() chat.PersonID { return n.cert.Person() }

func (n *node) dev() chat.DeviceID { return n.cert.Device }

// start makes the engines anew from the disk, as a new process does.
func (n *node) start() {
	n.w.t.Helper()
	seed := sha256.Sum256(append([]byte(n.name), byte(n.run), byte(n.run>>8)))
	n.run++
	random := rand.NewChaCha8(seed)
	e, err := New(Config{Key: keyOf(n.name), Person: n.id(), Certificate: n.cert, Name: n.person, Random: random}, maps.Clone(n.state))
	if err != nil {
		n.w.t.Fatalf("%s does not start: %v", n.name, err)
	}
	n.Engine = e
	n.room = room.New(room.Config{
		Key: keyOf(n.name), Person: n.id(), Certificate: n.cert.Bytes(), Name: n.person,
		Certifier: func(b []byte) (chat.PersonID, chat.DeviceID, error) {
			c, err := identity.Parse(b)
			if err == nil {
				err = c.Verify()
			}
			return c.Person(), c.Device, err
		},
		NewSalt: func() (salt [wire.SaltSize]byte) { random.Read(salt[:]); return salt },
		Writer:  func(r chat.RoomID, p chat.PersonID) bool { return n.MayWrite(r, p) },
	})
	n.do(Start{})
}

// restart ends the process and begins another; connections are lost.
func (n *node) restart() {
	others := slices.DeleteFunc(slices.Clone(n.w.nodes), func(o *node) bool { return !n.links[o] })
	for _, o := range others {
		n.cut(o)
	}
	n.start()
	for _, o := range others {
		n.link(o)
	}
}

// do hands the engine an input and carries out what it wants.
func (n *node) do(in Input) {
	n.w.t.Helper()
	effects := n.Handle(n.w.now, in)
	n.effects = effects
	// One transaction first; then what leaves the device.
	var out []wire.Entry
	var rooms []chat.RoomID
	var retries []Retry
	var sends []Send
	for _, f := range effects {
		switch f := f.(type) {
		case Persist:
			if n.state[f.Key] = f.Value; f.Value == nil {
				delete(n.state, f.Key)
			}
		case Enter:
			n.room.Handle(n.w.now, room.Enter{Room: f.Room, Sealed: true})
			n.room.Handle(n.w.now, room.Restore{Room: f.Room, Logs: n.frontier(f.Room)})
		case Exit:
			n.room.Handle(n.w.now, room.Exit{Room: f.Room})
		case Append:
			for _, en := range n.append(f) {
				out, rooms = append(out, en), append(rooms, f.Room)
			}
		case Opened:
			if delete(n.unopened, f.ID); f.Show && f.Kind == wire.KindMessage {
				n.read[f.ID] = string(f.Plaintext)
			}
			if f.Person.IsZero() {
				n.w.t.Errorf("%s does not know who wrote %s", n.name, f.ID.Short())
			}
		case Unopened:
			if f.Device.IsZero() {
				n.w.t.Errorf("%s does not say whose %s is", n.name, f.ID.Short())
			}
			n.unopened[f.ID] = f
		case Retry:
			retries = append(retries, f)
		case Send:
			sends = append(sends, f)
		case Changed:
			n.infos[f.Info.Room] = f.Info
		case Done:
			n.done[f.Ref] = f.Room
		case Notice:
			n.notices = append(n.notices, f.Text)
		case Deny:
			n.denied[f.Ref] = f.Err
		case Refuse:
			n.refusals = append(n.refusals, f.Err)
		}
	}
	if got := n.Snapshot(); !reflect.DeepEqual(got, n.state) {
		n.w.t.Fatalf("%s after %T: what is stored is not what the engine holds: %s", n.name, in, difference(got, n.state))
	}
	if n.w.anew {
		n.compareAnew()
	}
	for _, s := range sends {
		n.w.send(n, s)
	}
	for i, en := range out {
		n.w.publish(n, rooms[i], en)
	}
	for _, r := range retries {
		n.w.queue = append(n.w.queue, func() { n.retry(r) })
	}
}

// link connects two devices.
func (n *node) link(o *node) {
	if n == o || n.links[o] {
		return
	}
	n.links[o], o.links[n] = true, true
	n.w.queue = append(n.w.queue, func() {
		if n.links[o] {
			n.do(Met{Certificate: o.cert, Prekey: o.Prekey(), Connected: true})
			o.do(Met{Certificate: n.cert, Prekey: n.Prekey(), Connected: true})
		}
	})
}

func (n *node) cut(o *node) {
	if !n.links[o] {
		return
	}
	delete(n.links, o)
	delete(o.links, n)
	n.do(Gone{Device: o.dev()})
	o.do(Gone{Device: n.dev()})
}

func (w *world) byDevice(d chat.DeviceID) *node {
	for _, n := range w.nodes {
		if n.dev() == d {
			return n
		}
	}
	return nil
}

func (w *world) send(from *node, s Send) {
	to := w.byDevice(s.To)
	if to == nil || !from.links[to] {
		return
	}
	f, err := wire.DecodeFrame(wire.EncodeFrame(s.Frame))
	if err != nil {
		w.t.Fatalf("%s sends %T that breaks the protocol: %v", from.name, s.Frame, err)
	}
	if w.watch != nil {
		w.watch(from, to, f)
	}
	run := to.run
	w.queue = append(w.queue, func() {
		if from.links[to] && to.run == run {
			to.do(Heard{Device: from.dev(), Person: from.id(), Frame: f, Known: to.knows[from.id()]})
		}
	})
}

// publish floods an entry to those connected who take part in the room, some of whom
// do not get it.
func (w *world) publish(from *node, id chat.RoomID, en wire.Entry) {
	for _, to := range w.nodes {
		if !from.links[to] || w.rng.IntN(100) < w.loss {
			continue
		}
		w.queue = append(w.queue, func() {
			if to.room.Sealed(id) {
				to.take(id, en, from, false)
			}
		})
	}
}

// play lets everything arrive that is on its way, and time pass for as long.
func (w *world) play(d time.Duration) {
	w.t.Helper()
	end := w.now.Add(d)
	for steps := 0; ; steps++ {
		if steps > 200_000 {
			w.t.Fatalf("there is no end of it")
		}
		if len(w.queue) > 0 {
			f := w.queue[0]
			w.queue = w.queue[1:]
			w.now = w.now.Add(time.Microsecond)
			f()
			continue
		}
		next := end
		for _, n := range w.nodes {
			for _, t := range []time.Time{n.NextTick(), n.room.NextTick()} {
				if !t.IsZero() && t.Before(next) {
					next = t
				}
			}
		}
		if !next.Before(end) {
			break
		}
		if next.After(w.now) {
			w.now = next
		}
		for _, n := range w.nodes {
			if t := n.NextTick(); !t.After(w.now) {
				n.do(Tick{})
				if again := n.NextTick(); !again.After(w.now) {
					w.t.Fatalf("%s has another tick at %v, now %v", n.name, again, w.now)
				}
			}
			if t := n.room.NextTick(); !t.IsZero() && !t.After(w.now) {
				n.follow(n.room.Handle(w.now, room.Tick{}))
			}
		}
	}
	if w.now.Before(end) {
		w.now = end
	}
}

// catchUp brings every two connected devices what the other holds of the rooms that it
// may be given.
func (w *world) catchUp() {
	for _, n := range w.nodes {
		for _, o := range w.nodes {
			if !n.links[o] {
				continue
			}
			for _, id := range sortedRooms(n.records) {
				if !n.Shares(id, o.dev()) || !o.room.Sealed(id) || !o.Shares(id, n.dev()) {
					continue
				}
				have := map[chat.LogID]uint64{}
				for _, l := range o.frontier(id) {
					have[l.Log] = l.Seq
				}
				for _, a := range slices.Clone(n.records[id]) {
					if a.Entry.Seq > have[a.Entry.Log] {
						o.take(id, a.Entry, n, true)
					}
				}
			}
		}
	}
}

// rest lets everybody who is connected come to agree.
func (w *world) rest() {
	for range 6 {
		w.play(3 * time.Second)
		w.catchUp()
	}
	w.play(3 * time.Second)
}

// mesh connects everybody with everybody, as one network does.
func (w *world) mesh() {
	for _, n := range w.nodes {
		for _, o := range w.nodes {
			n.link(o)
		}
	}
}

// befriend makes two people contacts of each other, on all their devices.
func (w *world) befriend(a, b *node) chat.RoomID {
	id := chat.DirectRoom(a.id(), b.id(), sha256.Sum256([]byte("chat")))
	for _, n := range w.nodes {
		if n.person == a.person {
			n.knows[b.id()] = true
			n.do(OpenDirect{Room: id, With: b.id()})
		}
		if n.person == b.person {
			n.knows[a.id()] = true
			n.do(OpenDirect{Room: id, With: a.id()})
		}
	}
	return id
}

// say says something and returns the entry, or why it can't be said.
func (n *node) say(id chat.RoomID, text string) (chat.EntryID, error) {
	n.ref++
	n.do(Say{Room: id, Kind: wire.KindMessage, Plaintext: []byte(text), Ref: n.ref})
	if err := n.denied[n.ref]; err != nil {
		return chat.EntryID{}, err
	}
	if n.sent[n.ref].IsZero() {
		n.w.t.Fatalf("%s said %q and nothing came of it", n.name, text)
	}
	return n.sent[n.ref], nil
}

func (n *node) mustSay(id chat.RoomID, text string) chat.EntryID {
	n.w.t.Helper()
	en, err := n.say(id, text)
	if err != nil {
		n.w.t.Fatalf("%s can't say %q: %v", n.name, text, err)
	}
	return en
}

// found makes a private room.
func (n *node) found(name string, h membership.History) chat.RoomID {
	n.w.t.Helper()
	n.ref++
	n.do(Found{Name: name, History: h, Ref: n.ref})
	id, ok := n.done[n.ref]
	if !ok {
		n.w.t.Fatalf("%s can't make a room: %v", n.name, n.denied[n.ref])
	}
	return id
}

// try hands the engine an input that n.ref answers.
func (n *node) try(in func(ref uint64) Input) error {
	n.ref++
	n.do(in(n.ref))
	_, ok := n.done[n.ref]
	if err := n.denied[n.ref]; (err == nil) != ok {
		n.w.t.Fatalf("%s is not answered: done %v, denied %v", n.name, ok, err)
	}
	return n.denied[n.ref]
}

func (n *node) change(id chat.RoomID, b membership.Body) error {
	return n.try(func(ref uint64) Input { return Change{Room: id, Body: b, Ref: ref} })
}

func (n *node) accept(id chat.RoomID) error {
	return n.try(func(ref uint64) Input { return Accept{Room: id, Ref: ref} })
}

func must(t failure, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v", err)
	}
}

// closed says why an entry is not read, "read" if it is.
func (n *node) closed(id chat.EntryID) string {
	if _, ok := n.read[id]; ok {
		return "read"
	}
	if u, ok := n.unopened[id]; ok {
		return fmt.Sprintf("closed %q", u.Reason)
	}
	return "not there"
}
