package receipt

import (
	"crypto/ed25519"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"earshot/chat"
	"earshot/chat/wire"
)

// Whatever is lost, late, doubled or forgotten: nobody ever believes more than was, and
// all agree in the end and fall silent.
func TestAllComeToKnowWhatAllHoldWhateverHappens(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		persons := []string{"ann", "ann", "ben", "cleo", "dan"}[:rapid.IntRange(2, 5).Draw(rt, "devices")]
		n := newNet(rt, persons...)
		all := len(n.nodes)
		for _, x := range n.nodes {
			x.skew = time.Duration(rapid.IntRange(-3600, 3600).Draw(rt, "clock")) * time.Second
			x.kept = rapid.IntRange(0, 3).Draw(rt, "kept") == 0
			for _, o := range n.nodes {
				x.given[o.person] = x.person == o.person || rapid.Bool().Draw(rt, "given")
			}
			for _, o := range n.nodes { // of one person
				if o.person == x.person && o.at < x.at {
					x.given, x.kept = o.given, o.kept
				}
			}
		}
		node := rapid.IntRange(0, all-1)
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			a, b := node.Draw(rt, "a"), node.Draw(rt, "b")
			x := n.nodes[a]
			log := rapid.SampledFrom(logs).Draw(rt, "log")
			switch rapid.SampledFrom([]string{"hold", "hold", "read", "link", "link", "cut", "deliver", "deliver", "twice", "time", "restart", "rollback"}).Draw(rt, "step") {
			case "hold":
				x.hold(log, x.holds[log]+rapid.Uint64Range(1, 400).Draw(rt, "more"))
			case "read":
				if x.holds[log] > 0 {
					k := rapid.SampledFrom([]Kind{Read, ReadKept, ReadOwn}).Draw(rt, "kind")
					x.reads(k, log, rapid.Uint64Range(1, x.holds[log]).Draw(rt, "up to"))
				}
			case "link":
				n.link(a, b, true)
			case "cut":
				n.link(a, b, false)
			case "deliver":
				n.deliver([2]int{a, b})
			case "twice": // a frame that comes again
				if q := n.ways[[2]int{a, b}]; len(q) > 0 {
					n.nodes[b].handle(q[0])
				}
			case "time":
				n.now = n.now.Add(time.Duration(rapid.IntRange(1, 5000).Draw(rt, "ms")) * time.Millisecond)
				for _, x := range n.nodes {
					x.tick()
				}
			case "restart", "rollback":
				for b := range n.nodes {
					n.link(a, b, false)
				}
				if rapid.Bool().Draw(rt, "crash") { // what was not stored yet is lost
					for _, k := range slices.SortedFunc(maps.Keys(x.stored), compareKeys) {
						if rapid.Bool().Draw(rt, "lost") {
							delete(x.stored, k)
						}
					}
				}
				if rapid.Bool().Draw(rt, "backup") { // a home that was restored
					for _, log := range logs {
						x.holds[log] = rapid.Uint64Range(0, x.holds[log]).Draw(rt, "held then")
						if x.holds[log] == 0 {
							delete(x.holds, log)
						}
					}
				}
				n.now = n.now.Add(time.Millisecond) // it takes at least that
				x.start()
			}
			n.honest()
		}
		for a := range n.nodes { // a line: most never meet
			for b := range a {
				n.link(a, b, b == a-1)
			}
		}
		n.settle()
		n.honest()
		// Who gives what is kept gives it to their neighbours only.
		line := true
		for _, x := range n.nodes {
			line = line && !x.kept
		}
		if !line {
			for a := range n.nodes {
				for b := range a {
					n.link(a, b, true)
				}
			}
			n.settle()
			n.honest()
		}
		n.agreed()
		n.shared()
		for _, x := range n.nodes {
			if len(x.blamed) > 0 {
				rt.Fatalf("%d blames somebody honest", x.at)
			}
		}
	})
}

func TestTheFirstReceiptGoesAtOnceAndLaterOnesTogether(t *testing.T) {
	n := newNet(t, "ann", "ben")
	n.link(0, 1, true)
	n.deliverAll()
	ann, ben := n.nodes[0], n.nodes[1]
	ben.hold(logs[0], 1)
	n.deliverAll()
	if got := ann.Holds(den, ben.device, logs[0]); got != 1 {
		t.Fatalf("Ann was told of %d", got)
	}
	n.tells = 0
	start := n.now
	for i := range 100 {
		n.now = start.Add(time.Duration(i) * 10 * time.Millisecond)
		for _, x := range n.nodes {
			x.tick()
		}
		ben.hold(logs[0], uint64(2+i))
	}
	n.settle()
	if got := ann.Holds(den, ben.device, logs[0]); got != 101 {
		t.Errorf("Ann was told of %d", got)
	}
	if n.tells > 6 {
		t.Errorf("it took %d frames for a second of talk", n.tells)
	}
}

func TestWhatIsReadWhileNobodyIsNearIsToldLater(t *testing.T) {
	for _, stops := range []bool{false, true} {
		n := newNet(t, "ann", "ben")
		ann, ben := n.nodes[0], n.nodes[1]
		ben.hold(logs[0], 9)
		for seq := range uint64(5) { // faster than it is said
			n.now = n.now.Add(time.Millisecond)
			ben.reads(Read, logs[0], 1+seq)
		}
		if stops {
			ben.handle(Last{})
		} else {
			n.settle()
		}
		n.now = n.now.Add(time.Hour)
		ben.start()
		n.link(0, 1, true)
		n.settle()
		if got := ann.HasRead(den, ben.device, logs[0]); got != 5 {
			t.Errorf("Ann is told that %d are read", got)
		}
	}
}

func TestNothingIsSaidInSilence(t *testing.T) {
	n := newNet(t, "ann", "ben", "cleo")
	for a := range n.nodes {
		for b := range a {
			n.link(a, b, true)
		}
	}
	n.nodes[0].hold(logs[1], 5)
	n.settle()
	n.tells = 0
	for range 100 {
		n.now = n.now.Add(time.Hour)
		for _, x := range n.nodes {
			if t := x.NextTick(); !t.IsZero() {
				n.t.Fatal("somebody still wants to be woken")
			}
			x.handle(Tick{})
		}
	}
	if n.tells != 0 {
		t.Errorf("%d frames in silence", n.tells)
	}
}

// Where all reach all, nobody passes anything on.
func TestWhereAllAreReachedNobodyPassesReceiptsOn(t *testing.T) {
	n := newNet(t, "ann", "ben", "cleo", "dan", "eve")
	for a := range n.nodes {
		for b := range a {
			n.link(a, b, true)
		}
	}
	n.settle()
	n.tells = 0
	n.nodes[0].hold(logs[1], 5)
	n.deliverAll()
	n.agreed()
	n.settle()
	if n.tells != 4 {
		t.Errorf("it took %d frames to four others", n.tells)
	}
}

// A room of more logs than a statement names: the busiest are named.
func TestALargeRoomIsToldOfByItsBusiestLogs(t *testing.T) {
	n := newNet(t, "ann", "ben")
	n.link(0, 1, true)
	ben := n.nodes[1]
	for i := range chat.MaxReceiptMarks + 50 {
		ben.handle(Holds{den, []Mark{{LogPrefix{byte(i >> 8), byte(i), 7}, 3}}})
	}
	n.settle()
	ann := n.nodes[0]
	if got := len(ann.rooms[den].slots[key{ben.device, Held}].marks); got != chat.MaxReceiptMarks {
		t.Errorf("%d logs are named", got)
	}
	if first, last := (chat.LogID{0, 0, 7}), (chat.LogID{byte((chat.MaxReceiptMarks + 49) >> 8), byte((chat.MaxReceiptMarks + 49) & 0xff), 7}); ann.Holds(den, ben.device, first) != 0 || ann.Holds(den, ben.device, last) != 3 {
		t.Error("the one that has been silent the longest is named, or the last is not")
	}
}

// A home that was restored from a backup does not let stand what it said before.
func TestARestoredHomeMustNotClaimWhatItLost(t *testing.T) {
	n, ann, ben, _ := hostile(t)
	n.now = n.now.Add(time.Minute)
	n.link(0, 1, false)
	ben.holds[logs[0]], ben.stored = 2, map[key]Kept{}
	ben.skew = -24 * time.Hour // and its clock is wrong
	ben.start()
	n.link(0, 1, true)
	n.settle()
	if got := ann.Holds(den, ben.device, logs[0]); got != 2 {
		t.Errorf("Ben is believed to hold %d", got)
	}
}

// Everybody tells it of what it has forgotten, again and again until it speaks.
func TestWhoForgotWhatItSaidMustNotFallSilent(t *testing.T) {
	n := newNet(t, "ann", "ben", "cleo", "dan", "eve")
	ann := n.nodes[0]
	for i := range n.nodes[1:] {
		n.link(0, i+1, true)
	}
	ann.hold(logs[1], 1)
	n.settle()
	for i := range n.nodes[1:] {
		n.link(0, i+1, false)
	}
	ann.stored, ann.skew = map[key]Kept{}, -time.Hour
	ann.start()
	for i := range n.nodes[1:] {
		n.link(0, i+1, true)
	}
	n.deliverAll()
	ann.hold(logs[1], 2)
	for late := n.now.Add(2 * time.Second); n.now.Before(late); n.now = n.now.Add(10 * time.Millisecond) {
		n.deliverAll()
		for _, x := range n.nodes {
			x.tick()
		}
	}
	n.agreed()
}

func TestTwoCopiesOfAHomeDoNotContradictEachOtherForEver(t *testing.T) {
	n := newNet(t, "ann", "ben", "cleo")
	ann, ben := n.nodes[0], n.nodes[1]
	n.link(0, 1, true)
	ben.hold(logs[0], 5)
	n.settle()
	n.tells = 0
	for i := range 60 { // the other copy says something else each second
		n.now = n.now.Add(time.Second)
		v := ann.rooms[den].slots[key{ben.device, Held}].Version + 1
		s := Sign(ben.key, den, Held, v, EncodeMarks([]Mark{{PrefixOf(logs[0]), uint64(100 + i)}}))
		ben.handle(Told{From: ann.device, Room: den, Statements: []Statement{s}})
		n.deliverAll()
		for _, x := range n.nodes {
			x.tick()
		}
		n.deliverAll()
	}
	if n.tells > 4 {
		t.Errorf("in a minute it is contradicted %d times", n.tells)
	}
}

// Something is to be compared later, and something to be said that nobody may hear any
// more: until then there is nothing to do.
func TestWhatNobodyHearsMustNotKeepTheEngineBusy(t *testing.T) {
	n := newNet(t, "ann", "ben")
	ann, ben := n.nodes[0], n.nodes[1]
	n.link(0, 1, true)
	ann.hold(logs[1], 1)
	n.settle()
	n.now = n.now.Add(time.Minute)
	ann.handle(Lost{ben.device})
	n.now = ann.next()
	ann.tick()
	ann.handle(Lost{ben.device}) // rests first
	n.now = n.now.Add(leastRest / 2)
	ben.out = true
	ann.hold(logs[1], 2)
	ann.tick()
	if next := ann.next(); !next.After(n.now) {
		t.Errorf("it is busy %v before it compares", n.now.Sub(next))
	}
	ben.out = false
	ann.handle(Shared{[]chat.RoomID{den}})
	n.settle()
	n.agreed()
}

func TestMarksHaveOneEncoding(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seen := map[LogPrefix]uint64{}
		for range rapid.IntRange(0, 40).Draw(rt, "marks") {
			seen[LogPrefix(rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(rt, "log"))] = rapid.Uint64Range(1, wire.MaxSeq).Draw(rt, "seq")
		}
		var marks []Mark
		for p, seq := range seen {
			marks = append(marks, Mark{p, seq})
		}
		b := EncodeMarks(marks)
		got, err := DecodeMarks(b)
		if err != nil || !slices.Equal(got, marks) {
			t.Fatalf("%v became %v (%v)", marks, got, err)
		}
		for p, seq := range seen {
			if find(got, p) != seq {
				t.Fatalf("%x is found at %d", p, find(got, p))
			}
		}
	})
	zero := LogPrefix{1}
	for name, b := range map[string][]byte{
		"short":          zero[:],
		"no number":      append(zero[:], 0x80),
		"number 0":       append(zero[:], 0),
		"longer form":    append(zero[:], 0x81, 0x00),
		"out of range":   append(zero[:], 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f),
		"twice":          append(append(zero[:], 1), append(zero[:], 2)...),
		"wrong order":    append(append([]byte{2, 0, 0, 0, 0, 0, 0, 0}, 1), append(zero[:], 2)...),
		"bytes too many": append(append(zero[:], 1), 0),
	} {
		if got, err := DecodeMarks(b); chat.CodeOf(err) != chat.CodeInvalid {
			t.Errorf("%s: %v (%v)", name, got, err)
		}
	}
}

func TestAStatementIsSignedAsThePageSays(t *testing.T) {
	key := keyOf("alice")
	marks := []byte("\x01\x02\x03\x04\x05\x06\x07\x08\xac\x02") // up to 300
	s := Sign(key, den, Read, 0x0102030405060708, marks)
	signed := slices.Concat([]byte("earshot/v1 receipt\x00"), den[:], []byte{3, 1, 2, 3, 4, 5, 6, 7, 8}, marks)
	if !ed25519.Verify(s.Device[:], signed, s.Sig[:]) {
		t.Error("it is something else that is signed")
	}
	if err := s.Verify(den); err != nil {
		t.Error(err)
	}
	if got, err := DecodeMarks(s.Marks); err != nil || !slices.Equal(got, []Mark{{LogPrefix{1, 2, 3, 4, 5, 6, 7, 8}, 300}}) {
		t.Errorf("it says %v (%v)", got, err)
	}
}

func FuzzMarks(f *testing.F) {
	f.Add([]byte{})
	f.Add(EncodeMarks([]Mark{{LogPrefix{1}, 1}, {LogPrefix{2}, 300}}))
	f.Add(append(make([]byte, 8), 0x81, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		marks, err := DecodeMarks(b)
		if err != nil {
			return
		}
		if again := EncodeMarks(marks); string(again) != string(b) {
			t.Fatalf("read %x, wrote %x", b, again)
		}
	})
}
