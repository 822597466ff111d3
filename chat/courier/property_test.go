package courier

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"earshot/chat"
	"earshot/chat/wire"
)

func TestSumsOfRangesAreThoseOfSets(t *testing.T) {
	const logs, seqs = 3, 12
	draw := rapid.Custom(func(t *rapid.T) []Range {
		return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Range {
			from := rapid.Uint64Range(1, seqs).Draw(t, "from")
			return Range{
				Log: chat.LogID{byte(rapid.IntRange(1, logs).Draw(t, "log"))}, From: from, To: rapid.Uint64Range(from, seqs).Draw(t, "to"),
			}
		}), 0, 6).Draw(t, "ranges")
	})
	type item struct {
		log byte
		seq uint64
	}
	set := func(rs []Range) map[item]bool {
		out := map[item]bool{}
		for _, r := range rs {
			for seq := r.From; seq <= r.To; seq++ {
				out[item{r.Log[0], seq}] = true
			}
		}
		return out
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw.Draw(t, "a"), draw.Draw(t, "b")
		inA, inB := set(a), set(b)
		for name, op := range map[string]struct {
			got  []Range
			want func(item) bool
		}{
			"join":  {join(a, b), func(i item) bool { return inA[i] || inB[i] }},
			"minus": {minus(a, b), func(i item) bool { return inA[i] && !inB[i] }},
			"cut":   {cut(a, b), func(i item) bool { return inA[i] && inB[i] }},
		} {
			got := set(op.got)
			for log := range byte(logs + 1) {
				for seq := range uint64(seqs + 1) {
					if i := (item{log, seq}); got[i] != op.want(i) {
						t.Fatalf("%s of %v and %v is %v", name, a, b, op.got)
					}
				}
			}
			for i := 1; i < len(op.got); i++ {
				if p, r := op.got[i-1], op.got[i]; compareLogs(p.Log, r.Log) > 0 || p.Log == r.Log && p.To+1 >= r.From {
					t.Fatalf("%s of %v and %v is in disorder: %v", name, a, b, op.got)
				}
			}
		}
	})
}

// Whatever depositors do, a courier stays within its bounds, and its books are right.
func TestWhateverIsLeftACourierKeepsWithinItsBounds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		cat := w.node("Cat")
		cat.in(Settings{Space: MinSpace})
		var others []*node
		for i := range 6 {
			n := w.node("Other" + string(rune('a'+i)))
			others = append(others, n)
			w.meet(cat, n, Standing(i%4))
		}
		var left []Envelope
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			n := rapid.SampledFrom(others).Draw(rt, "who")
			switch rapid.IntRange(0, 9).Draw(rt, "what") {
			case 0:
				w.pass(rapid.SampledFrom([]time.Duration{time.Minute, 24 * time.Hour}).Draw(rt, "time"))
			case 1:
				cat.full = !cat.full
			case 2:
				cat.in(Forget{Person: n.person})
			case 3:
				cat.in(Settings{Space: rapid.SampledFrom([]int64{MinSpace, 2 * MinSpace}).Draw(rt, "space")})
			case 4:
				if len(left) > 0 {
					env := rapid.SampledFrom(left).Draw(rt, "envelope")
					cat.in(Heard{Device: n.device, Frame: wire.Deposit{Dropped: env.ID[:]}})
				}
			case 5:
				if len(left) > 0 {
					env := rapid.SampledFrom(left).Draw(rt, "envelope")
					secret := (Room{ID: chat.RoomID{1}, With: n.person}).secret(env.Salt)
					cat.in(Heard{Device: n.device, Frame: wire.Taken{ID: env.ID[:], Secret: secret[:]}})
				}
			default:
				size := rapid.IntRange(1, MaxContent-200).Draw(rt, "size")
				env := n.envelope(Room{ID: chat.RoomID{1}, With: n.person}, n.person, strings.Repeat("x", min(size, chat.MaxPayload)))
				f := wire.Deposit{Envelope: env.Bytes()}
				if len(left) > 0 && rapid.Bool().Draw(rt, "replaces") {
					old := rapid.SampledFrom(left).Draw(rt, "envelope")
					f.Dropped = old.ID[:]
				}
				left = append(left, env)
				cat.in(Heard{Device: n.device, Frame: f})
			}
			if rapid.Bool().Draw(rt, "stored") {
				w.run()
			}
			cat.balanced()
		}
		w.run()
		cat.balanced()
		for _, n := range others {
			if n.near[cat] != Own && cat.e.countOf[n.person] > quota(n.near[cat]) {
				rt.Fatalf("%s has %d envelopes there", n.name, cat.e.countOf[n.person])
			}
		}
		if cat.e.used > cat.e.space {
			rt.Fatalf("%d bytes of %d are used", cat.e.used, cat.e.space)
		}
	})
}

// Whoever meets whom, whatever they lack comes to all once, and nothing is left behind
// in the end.
func TestInTheEndEverybodyHasWhatWasForThem(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		w := newWorld(t)
		var people []*node
		for i := range 5 {
			people = append(people, w.node("Person "+string(rune('a'+i))))
			people[i].receipts = true
		}
		rooms := map[[2]string]chat.RoomID{}
		key := func(a, b *node) chat.RoomID {
			if a.name > b.name {
				a, b = b, a
			}
			if _, known := rooms[[2]string{a.name, b.name}]; !known {
				rooms[[2]string{a.name, b.name}] = w.join(a.name+" and "+b.name, true, a, b)
			}
			return rooms[[2]string{a.name, b.name}]
		}
		want := map[*node]int{}
		for step := range 120 {
			a, b := people[r.IntN(5)], people[r.IntN(5)]
			if a == b {
				continue
			}
			switch _, near := a.near[b]; {
			case r.IntN(4) == 0:
				a.say(Key{key(a, b), b.person}, fmt.Sprintf("%d from %s", step, a.name))
				want[b]++
			case near:
				w.part(a, b)
			default:
				w.meet(a, b, Contact)
			}
			w.pass(time.Duration(r.IntN(30)) * time.Second)
		}
		for range 2 { // everybody meets everybody, one after the other
			for i, a := range people {
				for _, b := range people[:i] {
					if _, near := a.near[b]; !near {
						w.meet(a, b, Contact)
					}
				}
				w.pass(time.Minute)
			}
		}
		for _, n := range people {
			seen := map[string]bool{}
			for _, text := range n.read {
				seen[text] = true // an envelope that replaced another brings some twice
			}
			if len(seen) != want[n] {
				t.Errorf("seed %d: %s has %d of %d", seed, n.name, len(seen), want[n])
			}
			n.holds(0)
			if len(n.blamed) > 0 {
				t.Errorf("seed %d: %s blames %v", seed, n.name, n.blamed)
			}
		}
	}
}

func TestTheSameInputsHaveTheSameEffects(t *testing.T) {
	trace := func() string {
		var out strings.Builder
		w := newWorld(t)
		ann, ben := w.node("Ann"), w.node("Ben")
		room := w.join("Ann and Ben", true, ann, ben)
		for i := range 9 {
			w.meet(ann, w.node("Cat"+string(rune('a'+i))), Contact)
		}
		for i := range 5 {
			ann.say(Key{room, ben.person}, fmt.Sprint(i))
			w.pass(time.Minute)
		}
		for _, n := range w.nodes[2:] {
			w.part(ann, n)
			w.meet(ben, n, Contact)
		}
		for _, n := range w.nodes {
			for _, f := range n.sent {
				fmt.Fprintf(&out, "%s %x\n", n.name, wire.EncodeFrame(f))
			}
		}
		return out.String()
	}
	if a, b := trace(), trace(); a != b {
		t.Error("two runs differ")
	}
}

// Every input and effect has its place.
func TestEveryInputIsHandled(t *testing.T) {
	for _, in := range []Input{
		Restore{},
		Settings{Space: MinSpace},
		Rooms{},
		Met{Device: chat.DeviceID{1}},
		Heard{Device: chat.DeviceID{1}, Frame: wire.Unknown{}},
		Left{Device: chat.DeviceID{1}},
		Survey{},
		Packed{},
		Kept{},
		Opened{},
		CarriedProof{Taken: wire.Taken{ID: make([]byte, 16), Secret: make([]byte, 32)}},
		Carried{},
		Forget{},
		Tick{},
	} {
		e := New(Config{Random: rand.NewChaCha8([32]byte{})})
		e.Handle(time.Unix(1e9, 0), in)
		if e.out != nil {
			t.Errorf("%s leaves effects behind", reflect.TypeOf(in))
		}
	}
}

var update = flag.Bool("update", false, "write testdata anew; what is left with others changes with it")

// vector is an envelope with all that goes into it.
type vector struct{ Room, Recipient, Tag, Salt, Secret, Proof, Lock, Key, Content, Box, Body, ID string }

func TestVectors(t *testing.T) {
	w := newWorld(t)
	ann, ben := w.node("Ann"), w.node("Ben")
	var got []vector
	for _, r := range []Room{{ID: chat.RoomID(bytes.Repeat([]byte{7}, 32)), With: ben.person}, {ID: chat.RoomID(bytes.Repeat([]byte{8}, 32))}} {
		content := wire.Marshal(wire.Packet{Entries: []wire.RawEntry{{Head: []byte("head"), Sig: []byte("sig"), Payload: []byte("payload")}}})
		env, err := ann.by.Seal(w.now, r, ben.person, content)
		if err != nil {
			t.Fatal(err)
		}
		secret, proof, key := r.secret(env.Salt), r.proof(env.Salt), r.key(env.Salt)
		v := vector{
			Room: hex.EncodeToString(r.ID[:]), Recipient: hex.EncodeToString(ben.person[:]), Tag: hex.EncodeToString(env.Tag[:]),
			Salt: hex.EncodeToString(env.Salt[:]), Secret: hex.EncodeToString(secret[:]), Proof: hex.EncodeToString(proof[:]),
			Lock: hex.EncodeToString(env.Lock[:]), Key: hex.EncodeToString(key[:]), Content: hex.EncodeToString(content),
			Box: hex.EncodeToString(env.Box), Body: hex.EncodeToString(env.body), ID: hex.EncodeToString(env.ID[:]),
		}
		if !r.direct() {
			v.Secret, v.Recipient = "", ""
		}
		got = append(got, v)
	}
	const path = "../testdata/vectors/envelopes.json"
	if *update {
		b, _ := json.MarshalIndent(got, "", "  ")
		if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var want []vector
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("envelopes are made of other bytes: %+v", got)
	}
}

func FuzzParse(f *testing.F) {
	w := newWorld(f)
	ann := w.node("Ann")
	env := ann.envelope(Room{ID: chat.RoomID{1}, With: ann.person}, ann.person, "one")
	f.Add(env.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		env, err := Parse(b)
		if err != nil {
			if chat.CodeOf(err) != chat.CodeInvalid {
				t.Fatalf("an error that is not %q: %v", chat.CodeInvalid, err)
			}
			return
		}
		if !bytes.Equal(env.Bytes(), b) {
			t.Fatal("what is passed on is not what came")
		}
		f := env.HandOver()
		if over, err := handedOver(&f); err != nil || over.ID != env.ID {
			t.Fatalf("handed over it is %s, not %s: %v", over.ID.Short(), env.ID.Short(), err)
		}
	})
}
