package receipt

import (
	"testing"
	"time"

	"earshot/chat"
)

// writes returns what a device writes to a person whom it does not meet.
func (x *node) writes(to chat.PersonID) (out []Statement) {
	x.net.t.Helper()
	written := false
	for _, ef := range x.Handle(x.net.now, Write{Room: den, To: to}) {
		switch ef := ef.(type) {
		case Written:
			out, written = ef.Statements, true
		case Tell:
			x.send(ef.To, Told{From: x.device, Room: ef.Room, Statements: ef.Statements, Cover: ef.Cover, Covered: ef.Covered})
		}
	}
	if !written {
		x.net.t.Fatal("a letter was never written")
	}
	return out
}

func TestALetterTellsWhomNobodyMeets(t *testing.T) {
	n := newNet(t, "ann", "ben")
	ann, ben := n.nodes[0], n.nodes[1]
	ben.hold(logs[0], 7)
	ben.reads(Read, logs[0], 4)
	ann.handle(Letter{Room: den, Statements: ben.writes(ann.person)})
	if held, read := ann.Holds(den, ben.device, logs[0]), ann.HasRead(den, ben.device, logs[0]); held != 7 || read != 4 {
		t.Errorf("Ann believes that Ben holds %d and has read %d", held, read)
	}
	ben.hold(logs[0], 9) // within the time in which nothing is said again
	ann.handle(Letter{Room: den, Statements: ben.writes(ann.person)})
	if held := ann.Holds(den, ben.device, logs[0]); held != 9 {
		t.Errorf("Ann believes that Ben holds %d", held)
	}
}

func TestALetterIsPassedOn(t *testing.T) {
	n := newNet(t, "ann", "ben", "cleo")
	ann, ben, cleo := n.nodes[0], n.nodes[1], n.nodes[2]
	n.link(0, 2, true)
	ben.hold(logs[0], 7)
	ann.handle(Letter{Room: den, Statements: ben.writes(ann.person)})
	for range 100 {
		n.now = n.now.Add(100 * time.Millisecond)
		ann.tick()
		cleo.tick()
		n.deliverAll()
	}
	if held := cleo.Holds(den, ben.device, logs[0]); held != 7 {
		t.Errorf("Cleo believes that Ben holds %d", held)
	}
}

func TestALetterMustNotTellWhatIsKept(t *testing.T) {
	n := newNet(t, "ann", "ben")
	ann, ben := n.nodes[0], n.nodes[1]
	ben.hold(logs[0], 7)
	ben.reads(ReadOwn, logs[0], 4)
	ben.reads(ReadKept, logs[0], 3)
	for _, s := range ben.writes(ann.person) {
		if s.Kind.Reads() {
			t.Errorf("Ann is told of reading, by kind %d", s.Kind)
		}
	}
	ben.given[ann.person] = true
	told := false
	for _, s := range ben.writes(ann.person) {
		told = told || s.Kind == ReadKept
		if s.Kind == ReadOwn {
			t.Error("Ann is told what is for Ben's own devices")
		}
	}
	if !told {
		t.Error("Ann is not told what she may know")
	}
}

func TestAForgedLetterMustNotBeBelieved(t *testing.T) {
	_, ann, ben, eve := hostile(t)
	marks := EncodeMarks([]Mark{{PrefixOf(logs[0]), 900}})
	version := uint64(noon.Add(time.Hour).UnixMicro())
	forged := Sign(eve.key, den, Held, version, marks)
	forged.Device = ben.device
	elsewhere := Sign(ben.key, chat.OpenRoom("#elsewhere"), Held, version, marks)
	own := Sign(ben.key, den, ReadOwn, version, marks)
	stranger := Sign(keyOf("a stranger"), den, Held, version, marks)
	claimed := Sign(ann.key, den, Held, version, marks)
	ann.handle(Letter{Room: den, Statements: []Statement{forged, elsewhere, own, stranger, claimed}})
	if got := ann.Holds(den, ben.device, logs[0]); got != 5 {
		t.Errorf("Ben is believed to hold %d", got)
	}
	if ann.HasRead(den, ben.device, logs[0]) != 0 || ann.Holds(den, stranger.Device, logs[0]) != 0 {
		t.Error("what is not Ann's business is believed")
	}
	if len(ann.blamed) > 0 {
		t.Error("somebody is blamed for what others have written")
	}
}
