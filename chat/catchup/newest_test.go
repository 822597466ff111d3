package catchup

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"earshot/chat"
	"earshot/chat/wire"
)

func TestTheNewestComeBeforeTheRest(t *testing.T) {
	for name, c := range map[string]struct {
		asker, answerer chat.RoomID // on their screens
		lacks, shown    int         // what the asker lacks, and is shown
	}{
		"on the asker's screen":     {asker: lobby, lacks: 1000, shown: 2},
		"on nobody's":               {lacks: 1000},
		"of another room":           {asker: other, lacks: 1000},
		"less than comes at once":   {asker: lobby, lacks: pageful},
		"on the other's, who lacks": {answerer: lobby, lacks: -1000, shown: -2},
	} {
		a := holdings{lobby: {logID(1): 1, logID(2): 1}, other: {logID(3): 1}}
		b := clone(a)
		if c.lacks > 0 {
			b[lobby][logID(1)] += uint64(c.lacks - 1)
			b[lobby][logID(2)]++
		} else {
			a[lobby][logID(1)] += uint64(-c.lacks - 1)
			a[lobby][logID(2)]++
		}
		asker := &side{t: t, name: "asker", holds: a, page: 100, screen: c.asker}
		answerer := &side{t: t, name: "answerer", holds: b, page: 100, screen: c.answerer}
		talk(t, asker, answerer)
		if asker.shown != max(0, c.shown) || answerer.shown != max(0, -c.shown) {
			t.Errorf("%s: %d and %d shown", name, asker.shown, answerer.shown)
		}
		if asker.shown > 0 && !asker.early || answerer.shown > 0 && !answerer.early {
			t.Errorf("%s: not before the rest", name)
		}
		if !reflect.DeepEqual(a, b) || asker.finished != 1 || answerer.finished != 1 {
			t.Errorf("%s: not all is settled", name)
		}
	}
}

// A room can come on a screen while a session runs.
func TestARoomThatIsLookedAtLateIsAskedForTheNewest(t *testing.T) {
	a := holdings{lobby: {logID(1): 1}}
	asker, _ := Ask(nonce, a.states())
	tag, id := lobby.SessionTag(nonce), logID(1)
	for _, f := range []wire.Frame{
		wire.Compare{Nonce: nonce, Rooms: []wire.RoomRoot{{Tag: tag[:], Root: make([]byte, 32)}}},
		wire.Frontier{Tag: tag[:], Logs: []wire.LogHead{{Log: id[:], Seq: 5000, Last: last(5000)}}},
	} {
		if effects, err := asker.Handle(f); err != nil {
			t.Fatal(err)
		} else if wishes(effects) > 0 {
			t.Error("a wish for what nobody looks at")
		}
	}
	// It has sent all it has, so the other side need not answer: it does not ask.
	if n := wishes(asker.View(lobby)); n != 0 {
		t.Errorf("%d wishes behind the end", n)
	}
	b := holdings{lobby: {logID(1): 1, logID(2): 600}}
	asker, _ = Ask(nonce, b.states())
	for _, f := range []wire.Frame{
		wire.Compare{Nonce: nonce, Rooms: []wire.RoomRoot{{Tag: tag[:], Root: make([]byte, 32)}}},
		wire.Frontier{Tag: tag[:], Logs: []wire.LogHead{{Log: id[:], Seq: 5000, Last: last(5000)}}},
	} {
		if _, err := asker.Handle(f); err != nil {
			t.Fatal(err)
		}
	}
	if n := wishes(asker.View(other)); n != 0 {
		t.Errorf("%d wishes for another room", n)
	}
	if n := wishes(asker.View(lobby)); n != 1 {
		t.Errorf("%d wishes", n)
	}
	if n := wishes(asker.View(lobby)); n != 0 {
		t.Errorf("%d wishes again", n)
	}
}

func wishes(effects []SessionEffect) (n int) {
	for _, ef := range effects {
		if s, ok := ef.(Send); ok {
			if _, ok := s.Frame.(wire.WantNewest); ok {
				n++
			}
		}
	}
	return n
}

func TestWhatComesAheadUnaskedIsRefused(t *testing.T) {
	tag := lobby.SessionTag(nonce)
	compare := wire.Compare{Nonce: nonce, Rooms: []wire.RoomRoot{{Tag: tag[:], Root: make([]byte, 32)}}}
	l := logID(2)
	whole := wire.Frontier{Tag: tag[:], Logs: []wire.LogHead{{Log: l[:], Seq: 900, Last: last(900)}}}
	otherTag := other.SessionTag(nonce)
	for name, frames := range map[string][]wire.Frame{
		"nobody asked":            {compare, whole, wire.Newest{Tag: tag[:]}},
		"a room not named":        {compare, whole, wire.Newest{Tag: otherTag[:]}},
		"a wish for such a room":  {compare, whole, wire.WantNewest{Tag: otherTag[:], Limit: 1}},
		"a wish before anything":  {wire.WantNewest{Tag: tag[:], Limit: 1}},
		"a wish twice":            {compare, wire.WantNewest{Tag: tag[:], Limit: 1}, wire.WantNewest{Tag: tag[:], Limit: 1}},
		"a wish behind their end": {compare, whole, wire.Done{}, wire.WantNewest{Tag: tag[:], Limit: 1}},
	} {
		asker, _ := Ask(nonce, holdings{lobby: {logID(1): 1000}}.states())
		if script(t, asker, frames...) == nil {
			t.Errorf("%s: it goes on", name)
		}
	}
	asker, _ := Ask(nonce, holdings{lobby: {logID(1): 1000}}.states())
	asker.View(lobby)
	if err := script(t, asker, compare, whole, wire.Newest{Tag: tag[:]}); err != nil {
		t.Error(err)
	}
	if script(t, asker, wire.Newest{Tag: tag[:]}) == nil {
		t.Error("twice: it goes on")
	}
}

func TestFrontiersAfterTheFirstAreSmall(t *testing.T) {
	a, b := holdings{lobby: {}}, holdings{lobby: {}}
	for i := range 30 { // the roots of these tests tell 32 apart
		a[lobby][logID(byte(i))] = uint64(i + 1)
		b[lobby][logID(byte(i))] = uint64(31 - i)
	}
	asker := &side{t: t, name: "asker", holds: a, page: 500}
	answerer := &side{t: t, name: "answerer", holds: b, page: 500}
	size := func(transcript []string) (frontiers int) {
		for _, line := range transcript {
			if strings.Contains(line, "Frontier  30 logs") {
				frontiers++
			}
		}
		return frontiers
	}
	if n := size(talk(t, asker, answerer)); n != 2 {
		t.Errorf("%d whole frontiers first", n)
	}
	if asker.bases[lobby] == nil || asker.bases[lobby].ID != answerer.bases[lobby].ID {
		t.Fatal("they do not remember the same")
	}
	a[lobby][logID(7)]++
	b[lobby][logID(9)]++
	transcript := talk(t, answerer, asker)
	if !reflect.DeepEqual(a, b) {
		t.Error("they do not hold the same")
	}
	for _, line := range transcript {
		if strings.Contains(line, "Frontier") && !strings.Contains(line, "Frontier  1 logs, 5") {
			t.Error(line)
		}
	}
	// Who has forgotten is told all.
	asker.bases = nil
	a[lobby][logID(7)]++
	if n := size(talk(t, asker, answerer)); n != 2 || !reflect.DeepEqual(a, b) {
		t.Errorf("%d whole frontiers to who has forgotten", n)
	}
}

func TestALogOfWhichAsMuchIsHeldAndNotTheSameIsSentWhole(t *testing.T) {
	tag := lobby.SessionTag(nonce)
	one, two := logID(1), logID(2)
	states := holdings{lobby: {one: 3, two: 2}}.states()
	for name, other := range map[string]bool{"the same": false, "another": true} {
		asker, _ := Ask(nonce, states)
		theirs := []wire.LogHead{{Log: one[:], Seq: 3, Last: last(3)}, {Log: two[:], Seq: 2, Last: last(2)}}
		if other {
			theirs[0].Last = last(99)
		}
		var load *Load
		for _, f := range []wire.Frame{
			wire.Compare{Nonce: nonce, Rooms: []wire.RoomRoot{{Tag: tag[:], Root: make([]byte, 32)}}}, wire.Frontier{Tag: tag[:], Logs: theirs},
		} {
			effects, err := asker.Handle(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, ef := range effects {
				if l, is := ef.(Load); is {
					load = &l
				}
			}
		}
		if (load != nil) != other || other && (load.Have[one] != 0 || load.Have[two] != 2) {
			t.Errorf("%s: it loads %+v", name, load)
		}
		if asker.Said(lobby, one) != 3 || asker.Said(lobby, logID(3)) != 0 {
			t.Errorf("%s: it has said %d", name, asker.Said(lobby, one))
		}
	}
	// And what both then remember is the same, whoever computes it.
	at := func(b byte) []wire.LogHead {
		var out []wire.LogHead
		for i := range byte(minBase) {
			id := logID(i + 1)
			out = append(out, wire.LogHead{Log: id[:], Seq: 3, Last: last(uint64(b))})
		}
		return out
	}
	base := func(mine, theirs []wire.LogHead) *Base {
		seqs, lasts, order := map[chat.LogID]uint64{}, map[chat.LogID][]byte{}, []chat.LogID{}
		for _, l := range theirs {
			id := chat.LogID(l.Log)
			seqs[id], lasts[id], order = l.Seq, l.Last, append(order, id)
		}
		return union(mine, seqs, lasts, order)
	}
	if a, b := base(at(1), at(2)), base(at(2), at(1)); a == nil || a.ID != b.ID {
		t.Error("two remember different bases of one comparison")
	}
}

func TestADeltaWithoutItsBaseIsRefused(t *testing.T) {
	tag := lobby.SessionTag(nonce)
	l := logID(2)
	states := holdings{lobby: {logID(1): 1, logID(2): 1, logID(3): 1, logID(4): 1}}.states()
	states[0].Base = union(states[0].Frontier, nil, nil, nil)
	compare := func(base []byte) wire.Compare {
		return wire.Compare{Nonce: nonce, Rooms: []wire.RoomRoot{{Tag: tag[:], Root: make([]byte, 32)}}, Bases: [][]byte{base}}
	}
	delta := wire.Frontier{Tag: tag[:], Logs: []wire.LogHead{{Log: l[:], Seq: 3, Last: last(3)}}, Delta: true}
	for name, base := range map[string][]byte{"none": {}, "another": bytes.Repeat([]byte{1}, wire.BaseSize)} {
		asker, _ := Ask(nonce, states)
		if script(t, asker, compare(base), delta) == nil {
			t.Errorf("%s: it goes on", name)
		}
	}
	for name, f := range map[string]wire.Frontier{
		"half a delta": {Tag: tag[:], Logs: []wire.LogHead{{Log: l[:], Seq: 3, Last: last(3)}}, Delta: true, More: true},
		"half a whole": {Tag: tag[:], Logs: []wire.LogHead{{Log: l[:], Seq: 3, Last: last(3)}}, More: true},
	} {
		asker, _ := Ask(nonce, states)
		if err := script(t, asker, compare(states[0].Base.ID[:]), f); err != nil {
			t.Fatal(err)
		}
		next := logID(9)
		if script(t, asker, wire.Frontier{Tag: tag[:], Logs: []wire.LogHead{{Log: next[:], Seq: 3, Last: last(3)}}, Delta: !f.Delta}) == nil {
			t.Errorf("%s: it goes on", name)
		}
	}
}

// Whatever two hold, and whatever they have compared before, both end with all of it.
func TestSessionsSettleWhateverIsRemembered(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		hold := func(what string) holdings {
			h := holdings{lobby: {}, other: {}}
			for _, room := range []chat.RoomID{lobby, other} {
				for i := range 8 {
					if n := rapid.IntRange(-3, 9).Draw(rt, what); n > 0 {
						h[room][logID(byte(i))] = uint64(n)
					}
				}
			}
			return h
		}
		people := []*side{
			{t: t, name: "ann", holds: hold("ann's"), page: 7}, {t: t, name: "ben", holds: hold("ben's"), page: 7}, {t: t, name: "cleo", holds: hold("cleo's"), page: 7},
		}
		remembered := map[[2]int]map[chat.RoomID]*Base{}
		for range rapid.IntRange(1, 6).Draw(rt, "sessions") {
			i := rapid.IntRange(0, 2).Draw(rt, "asker")
			j := (i + rapid.IntRange(1, 2).Draw(rt, "answerer")) % 3
			a, b := people[i], people[j]
			a.bases, b.bases = remembered[[2]int{i, j}], remembered[[2]int{j, i}]
			if rapid.Bool().Draw(rt, "one forgets") {
				b.bases = nil
			}
			// What was held may be less than it was: a backup was restored.
			if rapid.Bool().Draw(rt, "a backup") {
				delete(a.holds[lobby], logID(byte(rapid.IntRange(0, 7).Draw(rt, "log"))))
			}
			a.finished, b.finished = 0, 0
			talk(t, a, b)
			if !reflect.DeepEqual(a.holds, b.holds) || a.finished != 1 || b.finished != 1 {
				rt.Fatalf("%v and %v", a.holds, b.holds)
			}
			remembered[[2]int{i, j}], remembered[[2]int{j, i}] = a.bases, b.bases
		}
	})
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	b := NewBases()
	of := func(lines int, salt byte) *Base {
		base := &Base{ID: [wire.BaseSize]byte{salt, byte(lines), byte(lines >> 8)}, Frontier: make([]wire.LogHead, lines)}
		return base
	}
	big := maxBaseLines / 8
	for i := range byte(20) {
		b.Put(chat.DeviceID{i}, lobby, of(big, i))
		if b.lines > maxBaseLines {
			t.Fatalf("%d lines", b.lines)
		}
	}
	if b.Get(chat.DeviceID{0}, lobby) != nil || b.Get(chat.DeviceID{19}, lobby) == nil || b.lines != 8*big {
		t.Errorf("not the oldest is gone; %d lines", b.lines)
	}
	// The same with all costs once.
	for i := range byte(200) {
		b.Put(chat.DeviceID{i}, lobby, of(big, 1))
	}
	if b.lines != big {
		t.Errorf("%d lines for one base", b.lines)
	}
	for i := range byte(200) {
		b.Put(chat.DeviceID{i}, lobby, nil)
	}
	if b.lines != 0 || len(b.of) != 0 {
		t.Errorf("%d lines, %d bases for nothing", b.lines, len(b.of))
	}
	b.Put(chat.DeviceID{1}, lobby, of(maxBaseLines, 3))
	if b.lines != 0 {
		t.Error("one that takes all")
	}
	// Who comes as one device after the other takes no more either.
	for i := range maxBases + 10 {
		b.Put(chat.DeviceID{byte(i), byte(i >> 8)}, lobby, of(minBase, 4))
	}
	if len(b.of) != maxBases || b.lines != minBase {
		t.Errorf("%d bases are remembered, %d lines", len(b.of), b.lines)
	}
}

// Of what many hold one is enough: the others stop when they are told to.
func TestWhatAnotherBringsIsNotSent(t *testing.T) {
	a, b := holdings{lobby: {logID(1): 1}, other: {}}, holdings{lobby: {logID(1): 5000}, other: {logID(2): 3000}}
	asker := &side{t: t, name: "asker", holds: a, page: 100, declines: map[chat.RoomID]bool{lobby: true}}
	answerer := &side{t: t, name: "answerer", holds: b, page: 100, lazy: true}
	talk(t, asker, answerer)
	if got := a[lobby][logID(1)]; got > 1000 || a[other][logID(2)] != 3000 {
		t.Errorf("got %d of what was declined, %d of the rest", got, a[other][logID(2)])
	}
	if asker.finished != 1 || answerer.finished != 1 || len(asker.coming) != 2 || len(answerer.coming) != 0 {
		t.Errorf("finished %d and %d, coming %v", asker.finished, answerer.finished, asker.coming)
	}
	a, b = holdings{lobby: {logID(1): 1}}, holdings{lobby: {logID(1): plenty}}
	asker = &side{t: t, name: "asker", holds: a, page: 100}
	talk(t, asker, &side{t: t, name: "answerer", holds: b, page: 100})
	if len(asker.coming) != 0 {
		t.Error("little is not announced")
	}
	tag := lobby.SessionTag(nonce)
	compare := wire.Compare{Nonce: nonce, Rooms: []wire.RoomRoot{{Tag: tag[:], Root: make([]byte, 32)}}}
	enough := wire.Enough{Tag: tag[:]}
	for name, frames := range map[string][]wire.Frame{"before anything": {enough}, "twice": {compare, enough, enough}} {
		asker, _ := Ask(nonce, holdings{lobby: {logID(1): 1000}}.states())
		if script(t, asker, frames...) == nil {
			t.Errorf("%s: it goes on", name)
		}
	}
}
