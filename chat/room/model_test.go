package room

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"earshot/chat"
	"earshot/chat/wire"
)

// world is a few engines that get each other's entries late, twice, in any order
// or not at all, until a fair end. The model is simple: what was committed
// anywhere is in the end committed everywhere, once, and shown in one order.
type world struct {
	members []*member
	flying  [][]wire.Entry // for each member, what is on its way to it
	all     map[chat.EntryID]wire.Entry
	now     time.Time
	said    int
	effects []string // of everything, for comparing runs
	sealed  bool
	// knows says, of a sealed room, whom each member knows for one.
	knows []map[chat.PersonID]bool
}

func newWorld(t testing.TB, n int) *world {
	w := &world{flying: make([][]wire.Entry, n), all: map[chat.EntryID]wire.Entry{}, now: noon}
	for i := range n {
		w.members = append(w.members, join(t, fmt.Sprintf("member %d", i)))
	}
	return w
}

// newSealedWorld is the same of a sealed room, whose members hear of each other as it
// comes.
func newSealedWorld(t testing.TB, n int) *world {
	w := newWorld(t, n)
	w.sealed = true
	for _, m := range w.members {
		knows := map[chat.PersonID]bool{personOf(m.name): true}
		w.knows = append(w.knows, knows)
		m.cfg.Writer = func(id chat.RoomID, p chat.PersonID) bool { return id == lobby && knows[p] }
		m.do(noon, Enter{Room: lobby, Sealed: true})
	}
	return w
}

// say returns what one says.
func (w *world) say() Input {
	w.said++
	if !w.sealed {
		return Post{Room: lobby, Text: fmt.Sprint("message ", w.said)}
	}
	a := Append{Room: lobby, Kind: wire.KindMessage, Epoch: 7, Payload: fmt.Append(nil, "ciphertext ", w.said)}
	if w.said%5 == 0 {
		a.Kind, a.Epoch = wire.KindPrekey, 0
	}
	return a
}

func (w *world) do(i int, in Input) {
	m := w.members[i]
	before := len(m.stored)
	m.do(w.now, in)
	for _, r := range m.stored[before:] {
		w.effects = append(w.effects, fmt.Sprintf("%d stores %s", i, r.Entry.String()))
		w.all[r.Entry.ID] = r.Entry
		if !r.Mine {
			continue
		}
		for j := range w.members {
			if j != i {
				w.flying[j] = append(w.flying[j], r.Entry)
			}
		}
	}
}

func (w *world) step(pick func(name string, from, to int) int) {
	i := pick("who", 0, len(w.members)-1)
	w.now = w.now.Add(time.Duration(pick("ms", 0, 1500)) * time.Millisecond)
	switch what := pick("what", 0, 9); {
	case what < 3:
		w.do(i, w.say())
	case what == 3:
		w.do(i, Tick{})
	case what == 4: // the store fails, or the node restarts: what was committed stays
		w.do(i, Restore{Room: lobby, Logs: frontier(w.members[i].stored)})
	case what == 5 && w.sealed:
		w.knows[i][personOf(w.members[pick("whom", 0, len(w.members)-1)].name)] = true
	case what == 5:
		w.do(i, Rename{Name: fmt.Sprint("name ", w.said)})
	default:
		if n := len(w.flying[i]); n > 0 {
			k := pick("which", 0, n-1)
			e := w.flying[i][k]
			if pick("fate", 0, 4) > 0 { // else it comes again later
				w.flying[i] = slices.Delete(w.flying[i], k, k+1)
			}
			if pick("loss", 0, 5) > 0 {
				w.do(i, Receive{Room: lobby, Entry: e, From: deviceOf("relay")})
			}
		}
	}
}

// heal gives everybody everything, as catch-up does.
func (w *world) heal() {
	w.now = w.now.Add(time.Second)
	list := make([]wire.Entry, 0, len(w.all))
	for _, e := range w.all {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b wire.Entry) int {
		return cmp.Or(cmp.Compare(string(a.Log[:]), string(b.Log[:])), cmp.Compare(a.Seq, b.Seq))
	})
	for i := range w.members {
		for _, m := range w.members {
			if w.sealed {
				w.knows[i][personOf(m.name)] = true
			}
		}
		for _, e := range list {
			w.do(i, Receive{Room: lobby, Entry: e, From: deviceOf("relay"), Solicited: true})
		}
	}
}

func (w *world) check(t interface{ Fatalf(string, ...any) }) {
	first := w.members[0]
	order := func(m *member) (out []string) {
		for _, r := range shown(m.stored) {
			out = append(out, r.Entry.ID.String())
		}
		return out
	}
	for i, m := range w.members {
		if len(m.refuse) > 0 || len(m.forks) > 0 {
			t.Fatalf("member %d refused %v, saw forks %v", i, m.refuse, m.forks)
		}
		if m.Pending(lobby) != 0 || m.pendingBytes != 0 || !m.NextTick().IsZero() {
			t.Fatalf("member %d still waits for something", i)
		}
		if len(m.stored) != len(w.all) {
			t.Fatalf("member %d holds %d of %d", i, len(m.stored), len(w.all))
		}
		seen := map[chat.EntryID]bool{}
		for _, r := range m.stored {
			if seen[r.Entry.ID] {
				t.Fatalf("member %d stored %s twice", i, r.Entry.String())
			}
			seen[r.Entry.ID] = true
		}
		if m.Root(lobby) != first.Root(lobby) || !reflect.DeepEqual(m.Frontier(lobby), first.Frontier(lobby)) {
			t.Fatalf("member %d has another frontier than member 0", i)
		}
		if !reflect.DeepEqual(order(m), order(first)) {
			t.Fatalf("member %d shows another order than member 0", i)
		}
		if want := frontier(m.stored); len(want) > 0 && !reflect.DeepEqual(m.Frontier(lobby), want) {
			t.Fatalf("member %d believes %v but stored %v", i, m.Frontier(lobby), want)
		}
	}
}

func TestAllConvergeWhateverTheNetworkDoes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		make := newWorld
		if rapid.Bool().Draw(rt, "sealed") {
			make = newSealedWorld
		}
		w := make(t, rapid.IntRange(2, 5).Draw(rt, "members"))
		pick := func(name string, from, to int) int { return rapid.IntRange(from, to).Draw(rt, name) }
		for range rapid.IntRange(1, 120).Draw(rt, "steps") {
			w.step(pick)
			for i, m := range w.members {
				if m.Pending(lobby) > chat.MaxPending {
					rt.Fatalf("%d wait at member %d", m.Pending(lobby), i)
				}
			}
		}
		w.heal()
		w.check(rt)
	})
}

// The same inputs give the same effects in the same order, whatever order the
// runtime gives maps in.
func TestTheSameInputsGiveTheSameEffects(t *testing.T) {
	run := func(seed uint64) []string {
		w := newWorld(t, 4)
		if seed%2 == 1 {
			w = newSealedWorld(t, 4)
		}
		state := seed
		pick := func(_ string, from, to int) int {
			state = state*6364136223846793005 + 1442695040888963407
			return from + int(state>>33)%(to-from+1)
		}
		for range 400 {
			w.step(pick)
		}
		w.heal()
		w.check(t)
		return w.effects
	}
	for seed := range uint64(10) {
		if !slices.Equal(run(seed), run(seed)) {
			t.Fatalf("seed %d: two runs differ", seed)
		}
	}
}

// The order shown never goes against the order in a log, even with clocks ahead.
func TestALogIsShownInItsOwnOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		alice, bob := join(t, "alice"), join(t, "bob")
		hers, his := noon, noon
		var last Record
		for range rapid.IntRange(2, 30).Draw(rt, "entries") {
			hers = hers.Add(time.Duration(rapid.IntRange(-600, 600).Draw(rt, "her clock")) * time.Second)
			his = his.Add(time.Duration(rapid.IntRange(0, 600).Draw(rt, "his clock")) * time.Second)
			for _, r := range bob.hears(his, alice.says(hers, "x")...) {
				if r.Entry.Log == last.Entry.Log && r.Sort < last.Sort {
					rt.Fatalf("%v stands before its predecessor", r.Entry.String())
				}
				last = r
			}
		}
	})
}
