package presence

import (
	"testing"
	"time"

	"earshot/chat"
)

// line makes devices each of which is connected to the next only.
func (w *world) chainOf(names ...string) []*node {
	var out []*node
	for i, name := range names {
		out = append(out, w.node(name))
		if i > 0 {
			w.link(out[i-1], out[i])
		}
	}
	return out
}

func TestANeighbourIsSeenAtOnceWithWhatItShows(t *testing.T) {
	w := newWorld(t)
	a, b := w.node("alice"), w.node("bob")
	friends(a, b)
	a.show(chat.Available)
	b.show(chat.Busy)
	w.link(a, b)
	w.run(2 * delay)
	a.mustSee(b, true, chat.Busy)
	b.mustSee(a, true, chat.Available)
	a.show(chat.InMeeting)
	w.run(delay)
	b.mustSee(a, true, chat.InMeeting)
}

func TestAContactIsSeenThroughStrangers(t *testing.T) {
	w := newWorld(t)
	n := w.chainOf("alice", "stranger", "carol")
	a, b, c := n[0], n[1], n[2]
	friends(a, c)
	for _, n := range n {
		n.show(chat.Available)
	}
	w.run(time.Minute)
	a.mustSee(c, true, "") // nobody has given her the key
	if v := b.sees(c); !v.Here || v.Status.State != "" {
		t.Errorf("a stranger sees %+v", v)
	}
	w.run(10 * time.Minute)
	a.mustSee(c, true, "")
	if n := a.shown[c.id]; n != 1 {
		t.Errorf("shown anew %d times", n)
	}
	c.crash()
	w.run(6 * slotLength)
	a.mustSee(c, false, "")
}
