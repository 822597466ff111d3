package private

import (
	"testing"
	"time"

	"earshot/chat"
)

func TestTwoContactsReadEachOther(t *testing.T) {
	w := newWorld(t, 1)
	ann, bob := w.add("ann", ""), w.add("bob", "")
	ann.link(bob)
	id := w.befriend(ann, bob)
	w.rest()
	hello, hi := ann.mustSay(id, "hello"), bob.mustSay(id, "hi")
	w.rest()
	if bob.read[hello] != "hello" || ann.read[hi] != "hi" {
		t.Errorf("bob: %s, ann: %s", bob.closed(hello), ann.closed(hi))
	}
	if info := ann.infos[id]; !info.Direct || !info.Entered || info.With != bob.id() || len(info.Members) != 2 || len(info.Keyless) != 0 {
		t.Errorf("%+v", info)
	}
	ann.restart()
	again := ann.mustSay(id, "again")
	w.rest()
	if bob.read[again] != "again" {
		t.Errorf("after a restart: %s", bob.closed(again))
	}
}

func TestNothingIsSaidToWhomNoKeyIsKnown(t *testing.T) {
	w := newWorld(t, 1)
	ann, bob := w.add("ann", ""), w.add("bob", "")
	id := w.befriend(ann, bob)
	if _, err := ann.say(id, "hello"); chat.CodeOf(err) != chat.CodeNoKey {
		t.Errorf("said to nobody: %v", err)
	}
	ann.link(bob)
	w.play(time.Second)
	ann.mustSay(id, "hello")
}
