package lab_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"earshot/node/lab"
)

// types says that the person types in a room, or stopped.
func (s *station) types(room string, typing bool) {
	s.t.Helper()
	s.post("/rooms/"+url.PathEscape(room)+"/typing", map[string]bool{"typing": typing}, nil)
}

// seesTyping waits until the person is told that another types, or does not.
func (s *station) seesTyping(lines *lab.LineReader, other *station, typing bool) time.Time {
	s.t.Helper()
	line, err := lines.Await(within(s.t, soon), func(line string) bool {
		var e struct {
			From   struct{ Person string }
			Typing bool
		}
		return strings.HasPrefix(line, `{"type":"typing"`) && json.Unmarshal([]byte(line), &e) == nil &&
			e.From.Person == other.person && e.Typing == typing
	})
	if err != nil {
		s.t.Fatalf("%s is not told that %s types (%v): %v", s.name, other.name, typing, err)
	}
	return line.At
}

// toldTyping is how often the person was told that somebody types.
func (s *station) toldTyping() int {
	return strings.Count(s.follow.Stdout.String(), `{"type":"typing"`)
}

func TestTypingIsShownAndTakenBack(t *testing.T) {
	w := newWorld(t)
	ann, bob, cat := w.station("ann", lab.Dual), w.station("bob", lab.Dual), w.station("cat", lab.Dual)
	meet(soon, ann, bob, cat)
	befriend(ann, bob)
	chat := ann.direct(bob)
	ann.says(chat, "hello") // there is a chat on both sides
	bob.comesToRead(chat, "hello", soon)
	lines := bob.follow.Stdout.Tail()
	again := func(room, what string, end func()) {
		t.Helper()
		begin := time.Now()
		ann.types(room, true)
		shown := bob.seesTyping(lines, ann, true)
		end()
		took := bob.seesTyping(lines, ann, false).Sub(shown)
		t.Logf("shown after %v, and taken back %v after that, when %s", shown.Sub(begin), took, what)
	}
	again(chat, "she stops", func() { ann.types(chat, false) })
	again(chat, "she sends", func() { ann.says(chat, "what was typed") })
	bob.hears("what was typed", soon) // it takes back what is typed until it comes
	again(chat, "nothing follows", func() {})
	again(lobby, "she sends it to all", func() { ann.send("in the open") })
	again(chat, "she appears offline", func() { ann.do("status", "offline") })

	// Offline, and switched off, nobody is told; nor is a stranger ever.
	before := bob.toldTyping()
	ann.types(chat, true)
	ann.says(chat, "from nowhere")
	ann.do("status", "available")
	ann.do("privacy", "typing", "nobody")
	ann.types(chat, true)
	ann.says(chat, "in secret")
	bob.hears("in secret", soon)
	if n := bob.toldTyping(); n != before {
		t.Errorf("bob was told %d times that she types, where he must not know", n-before)
	}
	cat.hears("in the open", soon)
	if n := cat.toldTyping(); n != 0 {
		t.Errorf("a stranger was told %d times that she types", n)
	}
}

func TestTypingIsNotKeptForWhoIsAway(t *testing.T) {
	w := newWorld(t)
	ann, bob := w.station("ann", lab.Dual), w.station("bob", lab.Dual)
	meet(soon, ann, bob)
	befriend(ann, bob)
	chat := ann.direct(bob)
	ann.says(chat, "before")
	bob.comesToRead(chat, "before", soon)
	bob.stop()
	ann.sees(bob, false, soon)
	ann.types(chat, true)
	bob.start()
	ann.sees(bob, true, soon)
	ann.says(chat, "after")
	bob.comesToRead(chat, "after", soon)
	if n := bob.toldTyping(); n != 0 {
		t.Errorf("bob was told %d times that she typed while he was away", n)
	}
}
