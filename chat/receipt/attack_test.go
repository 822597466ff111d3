package receipt

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

// What members who do not keep to the rules, and those who are out, can do.

func TestALieAboutOneselfStaysThere(t *testing.T) {
	n := newNet(t, "ann", "ben", "cleo")
	for a := range n.nodes {
		for b := range a {
			n.link(a, b, true)
		}
	}
	ann, ben, cleo := n.nodes[0], n.nodes[1], n.nodes[2]
	lie := Sign(cleo.key, den, Held, 77, EncodeMarks([]Mark{{PrefixOf(logs[0]), 1000}}))
	ann.handle(Told{From: cleo.device, Room: den, Statements: []Statement{lie}})
	if got := ann.Holds(den, cleo.device, logs[0]); got != 1000 {
		t.Errorf("of herself Cleo is believed %d", got)
	}
	if got := ann.Holds(den, ben.device, logs[0]); got != 0 {
		t.Errorf("of Ben she is believed %d", got)
	}
}

// hostile is what somebody in the room sends who does not keep to the rules.
func hostile(t *testing.T) (n *net, ann, ben, eve *node) {
	n = newNet(t, "ann", "ben", "eve")
	n.link(0, 2, true)
	ben = n.nodes[1]
	ben.hold(logs[0], 5)
	n.link(0, 1, true)
	n.settle()
	return n, n.nodes[0], ben, n.nodes[2]
}

func TestAForgedReceiptMustNotBeBelieved(t *testing.T) {
	_, ann, ben, eve := hostile(t)
	marks := EncodeMarks([]Mark{{PrefixOf(logs[0]), 900}})
	forged := Sign(eve.key, den, Held, uint64(noon.Add(time.Hour).UnixMicro()), marks)
	forged.Device = ben.device
	elsewhere := Sign(ben.key, chat.OpenRoom("#elsewhere"), Held, uint64(noon.Add(time.Hour).UnixMicro()), marks)
	other := Sign(ben.key, den, Read, uint64(noon.Add(time.Hour).UnixMicro()), marks)
	other.Kind = Held
	for i, s := range []Statement{forged, elsewhere, other} {
		ann.blamed = nil
		ann.handle(Told{From: eve.device, Room: den, Statements: []Statement{s}})
		if got := ann.Holds(den, ben.device, logs[0]); got != 5 {
			t.Errorf("%d: Ben is believed to hold %d", i, got)
		}
		if !slices.Equal(ann.blamed, []chat.DeviceID{eve.device}) {
			t.Errorf("%d: %d are blamed", i, len(ann.blamed))
		}
	}
}

func TestAnOlderReceiptMustNotReplaceANewerOne(t *testing.T) {
	n, ann, ben, eve := hostile(t)
	old := ann.rooms[den].slots[key{ben.device, Held}].Statement
	n.now = n.now.Add(time.Minute)
	ben.hold(logs[0], 9)
	n.settle()
	for range 3 {
		ann.handle(Told{From: eve.device, Room: den, Statements: []Statement{old}})
	}
	if got := ann.Holds(den, ben.device, logs[0]); got != 9 {
		t.Errorf("Ben is believed to hold %d", got)
	}
}

func TestReceiptsOfARoomThatIsNotSharedMustNotBeTakenOrGiven(t *testing.T) {
	_, ann, ben, eve := hostile(t)
	eve.out = true
	lie := Sign(eve.key, den, Held, 77, EncodeMarks([]Mark{{PrefixOf(logs[0]), 1000}}))
	for _, in := range []Input{
		Told{From: eve.device, Room: den, Statements: []Statement{lie}},
		Told{From: ben.device, Room: den, Statements: []Statement{lie}}, // nor by way of Ben
		Compared{From: eve.device, Sums: []Sum{{Room: den}}},
		Asked{From: eve.device, Room: den},
		Told{From: eve.device, Room: chat.OpenRoom("#unknown"), Statements: []Statement{lie}},
	} {
		if effects := ann.Handle(ann.net.now, in); len(effects) != 0 {
			t.Errorf("%T: %+v", in, effects)
		}
	}
	if got := ann.Holds(den, eve.device, logs[0]); got != 0 {
		t.Errorf("Eve, who is out, is believed to hold %d", got)
	}
	if len(ann.rooms) != 1 {
		t.Errorf("%d rooms are remembered", len(ann.rooms))
	}
}

// What is kept is passed on by nobody, so whoever passes it on is not listened to.
func TestWhatIsKeptMustNotComeThroughOthers(t *testing.T) {
	_, ann, ben, eve := hostile(t)
	marks := EncodeMarks([]Mark{{PrefixOf(logs[0]), 5}})
	for _, k := range []Kind{HeldKept, ReadKept, ReadOwn} {
		s := Sign(ben.key, den, k, uint64(noon.Add(time.Hour).UnixMicro()), marks)
		ann.handle(Told{From: eve.device, Room: den, Statements: []Statement{s}})
		if ann.rooms[den].slots[key{ben.device, k}] != nil {
			t.Errorf("kind %d is taken", k)
		}
	}
	own := Sign(ben.key, den, ReadOwn, uint64(noon.Add(time.Hour).UnixMicro()), marks)
	ann.handle(Told{From: ben.device, Room: den, Statements: []Statement{own}})
	if ann.HasRead(den, ben.device, logs[0]) != 0 {
		t.Error("what is for Ben's own devices is taken from him")
	}
}

func TestAFloodOfReceiptsIsBounded(t *testing.T) {
	n, ann, _, eve := hostile(t)
	var marks []Mark
	for i := range chat.MaxReceiptMarks {
		marks = append(marks, Mark{LogPrefix{byte(i >> 8), byte(i), 1}, wire.MaxSeq})
	}
	full := EncodeMarks(marks)
	if len(full) > wire.MaxMarkBytes {
		t.Fatalf("%d marks take %d bytes", len(marks), len(full))
	}
	for v := range 200 {
		for _, k := range kinds {
			ann.handle(Told{From: eve.device, Room: den, Statements: []Statement{Sign(eve.key, den, k, uint64(1+v), full)}})
		}
	}
	r := ann.rooms[den]
	if r.devices[eve.device] > len(kinds) {
		t.Errorf("%d statements of one device are kept", r.devices[eve.device])
	}
	if ann.size > 5*len(full)+1024 {
		t.Errorf("%d bytes of marks are kept", ann.size)
	}
	tooMany := append(slices.Clone(full), EncodeMarks([]Mark{{LogPrefix{0xff}, 1}})...)
	ann.handle(Told{From: eve.device, Room: den, Statements: []Statement{Sign(eve.key, den, Held, 1000, tooMany)}})
	if len(ann.blamed) == 0 {
		t.Error("more marks than there may be are taken")
	}
	// Asking again and again is answered once a second.
	n.deliverAll()
	n.now = n.now.Add(time.Minute)
	n.tells = 0
	for range 500 {
		ann.handle(Asked{From: eve.device, Room: den})
	}
	if n.tells > 8 {
		t.Errorf("500 questions at once are answered in %d frames", n.tells)
	}
}

// What is cheap to send must not be dear to hear.
func TestAFrameOfRepetitionsIsNotWorkedThrough(t *testing.T) {
	n, ann, _, eve := hostile(t)
	var list []Statement
	for v := range 300 {
		list = append(list, Sign(eve.key, den, Held, uint64(1<<40+v), EncodeMarks([]Mark{{PrefixOf(logs[0]), 1}})))
	}
	ann.handle(Told{From: eve.device, Room: den, Statements: list})
	if got := ann.rooms[den].version(key{eve.device, Held}); got != 1<<40 || len(ann.blamed) != 1 {
		t.Errorf("of 300 statements of one kind, number %d counts; blamed are %v", got-1<<40, ann.blamed)
	}
	n.settle()
	ann.handle(Compared{From: eve.device, Sums: []Sum{{Room: den}, {Room: den}, {Room: den}}})
	if next := ann.NextTick(); !next.IsZero() {
		t.Errorf("a room that is named three times is compared again at %v", next)
	}
}

func TestTheStatementsOfARoomAreBounded(t *testing.T) {
	n := newNet(t, "ann", "ben")
	ann := n.nodes[0]
	n.link(0, 1, true)
	crowd := make([]*node, 0, chat.MaxReceipts+8)
	for i := range chat.MaxReceipts + 8 {
		x := &node{net: n, at: len(n.nodes), key: keyOf(string(rune('A'+i%26)) + string(rune(i))), person: personOf("crowd")}
		copy(x.device[:], x.key[32:])
		crowd = append(crowd, x)
		n.nodes = append(n.nodes, x)
	}
	take := func(x *node) bool {
		s := Sign(x.key, den, Held, 1, EncodeMarks([]Mark{{PrefixOf(logs[0]), 1}}))
		ann.handle(Told{From: n.nodes[1].device, Room: den, Statements: []Statement{s}})
		return ann.Holds(den, x.device, logs[0]) == 1
	}
	for i, x := range crowd {
		if got, want := take(x), i < chat.MaxReceipts; got != want {
			t.Fatalf("of %d, the statement of number %d is taken: %v", chat.MaxReceipts, i, got)
		}
	}
	crowd[3].out = true // who is out makes room for who is in
	if !take(crowd[chat.MaxReceipts]) {
		t.Error("there is no room although somebody is out")
	}
	if got := len(ann.rooms[den].slots); got > chat.MaxReceipts {
		t.Errorf("%d statements are kept", got)
	}
}

func TestTheMarksOfAllRoomsAreBoundedTogether(t *testing.T) {
	n := newNet(t, "ann", "ben")
	n.link(0, 1, true)
	ann, ben := n.nodes[0], n.nodes[1]
	ben.hold(logs[0], 1)
	n.settle()
	var marks []Mark
	for i := range chat.MaxReceiptMarks {
		marks = append(marks, Mark{LogPrefix{byte(i >> 8), byte(i), 1}, wire.MaxSeq})
	}
	full := EncodeMarks(marks)
	for i := range chat.MaxReceiptBytes/len(full) + 8 {
		x := &node{net: n, at: len(n.nodes), key: keyOf(fmt.Sprint("crowd ", i)), person: personOf("crowd")}
		copy(x.device[:], x.key[32:])
		n.nodes = append(n.nodes, x)
		ann.handle(Told{From: ben.device, Room: den, Statements: []Statement{Sign(x.key, den, Held, 1, full)}})
	}
	if ann.size > chat.MaxReceiptBytes {
		t.Errorf("%d bytes of marks are kept", ann.size)
	}
	if ann.size < chat.MaxReceiptBytes-2*len(full) {
		t.Errorf("only %d bytes of marks are kept", ann.size)
	}
	// What takes no more than before is heard all the same.
	n.now = n.now.Add(time.Minute)
	ben.hold(logs[0], 2)
	n.deliver([2]int{1, 0})
	if got := ann.Holds(den, ben.device, logs[0]); got != 2 {
		t.Errorf("Ben is believed to hold %d", got)
	}
}
