package lab_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"earshot/node/lab"
)

// stands is where a message of this person's is, as "delivered: 2 of 2 have it, 1 read
// it".
func (s *station) stands(id string) string {
	s.t.Helper()
	var m struct {
		State struct {
			State               string
			Of, Delivered, Read int
		}
	}
	s.api(http.MethodGet, "/messages/"+id, nil, &m)
	return fmt.Sprintf("%s: %d of %d have it, %d read it", m.State.State, m.State.Delivered, m.State.Of, m.State.Read)
}

// What is said of messages is true at any moment, whoever is killed.
func TestWhereMessagesAreIsToldTrulyWhoeverIsKilled(t *testing.T) {
	w := newWorld(t)
	ann, bob, cat := w.station("ann", lab.Dual), w.station("bob", lab.Dual), w.station("cat", lab.Dual)
	for _, other := range []*station{bob, cat} {
		ann.sees(other, true, 20*time.Second)
		befriend(ann, other)
	}
	room := ann.create("garden", "")
	ann.takeIn(room, bob)
	ann.takeIn(room, cat)
	becomes := func(id, want string) {
		t.Helper()
		eventually(t, 20*time.Second, want, func() bool { return ann.stands(id) == want })
	}
	first := ann.says(room, "for both of you")
	becomes(first, "delivered: 2 of 2 have it, 0 read it")
	bob.comesToRead(room, "for both of you", 10*time.Second)
	bob.api(http.MethodPost, "/rooms/"+room+"/read", map[string]string{"up_to": first}, nil)
	becomes(first, "delivered: 2 of 2 have it, 1 read it")

	cat.kill()
	second := ann.says(room, "for who is left")
	becomes(second, "held: 1 of 2 have it, 0 read it")
	ann.stands(second) // what is told is stored
	bob.kill()
	ann.kill()
	ann.start()
	if got, want := ann.stands(first), "delivered: 2 of 2 have it, 1 read it"; got != want {
		t.Errorf("after SIGKILL, and alone, it is %s, not %s", got, want)
	}
	if got, want := ann.stands(second), "held: 1 of 2 have it, 0 read it"; got != want {
		t.Errorf("after SIGKILL, and alone, it is %s, not %s", got, want)
	}
	third := ann.says(room, "for who comes back")
	if got, want := ann.stands(third), "here: 0 of 2 have it, 0 read it"; got != want {
		t.Errorf("what nobody can have is %s, not %s", got, want)
	}
	cat.start()
	becomes(third, "held: 1 of 2 have it, 0 read it")
	becomes(second, "delivered: 2 of 2 have it, 0 read it")
	bob.start()
	becomes(third, "delivered: 2 of 2 have it, 0 read it")
	bob.comesToRead(room, "for who comes back", 10*time.Second)
	for _, reader := range []*station{bob, cat} {
		reader.api(http.MethodPost, "/rooms/"+room+"/read", map[string]string{"up_to": third}, nil)
	}
	becomes(third, "read: 2 of 2 have it, 2 read it")
}
