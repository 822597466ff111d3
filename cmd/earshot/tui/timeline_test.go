package tui

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"earshot/chat"
)

// at makes message n of a history in which pairs share a moment.
func at(n int) chat.Message {
	m := chat.Message{Text: "x", SentAt: noon.Add(time.Duration(n/2) * time.Second)}
	binary.BigEndian.PutUint64(m.ID[:], uint64(n)+1)
	return m
}

// TestTimelineIsAWindow drives a timeline as a reader and a network do, and holds
// it after each step against the history it is a window of.
func TestTimelineIsAWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const page = 5
		var history []chat.Message // what the node holds, in order
		next := 0
		store := func() chat.Message {
			m := at(next)
			next += rapid.IntRange(1, 3).Draw(t, "step")
			history = append(history, m)
			return m
		}
		for range rapid.IntRange(0, 60).Draw(t, "stored") {
			store()
		}
		tl := timeline{limit: rapid.IntRange(2*page, 30).Draw(t, "limit")}
		first := history[max(0, len(history)-page):]
		tl.reset(first, len(first) < len(history), false)

		t.Repeat(map[string]func(*rapid.T){
			"up": func(t *rapid.T) {
				if !tl.older || len(tl.msgs) == 0 {
					t.Skip("nothing above")
				}
				i := slices.IndexFunc(history, func(m chat.Message) bool { return m.ID == tl.msgs[0].ID })
				from := max(0, i-page)
				tl.prepend(history[from:i], i-from == page)
			},
			"down": func(t *rapid.T) {
				if !tl.newer || len(tl.msgs) == 0 {
					t.Skip("nothing below")
				}
				last := tl.msgs[len(tl.msgs)-1].ID
				i := slices.IndexFunc(history, func(m chat.Message) bool { return m.ID == last }) + 1
				to := min(len(history), i+page)
				tl.extend(history[i:to], to-i == page)
			},
			"arrives": func(t *rapid.T) {
				m := store()
				in := tl.insert(m, rapid.Bool().Draw(t, "following"))
				if in != (tl.index(m.ID) >= 0) {
					t.Fatalf("insert said %v", in)
				}
			},
			"arrives late": func(t *rapid.T) {
				if next == 0 {
					t.Skip("nothing to be late for")
				}
				m := at(rapid.IntRange(0, next-1).Draw(t, "n"))
				m.ID[31] = 1 // not one of those stored in time
				i, found := slices.BinarySearchFunc(history, m, compareMessages)
				if !found {
					history = slices.Insert(history, i, m)
				}
				tl.insert(m, rapid.Bool().Draw(t, "following"))
			},
			"arrives twice": func(t *rapid.T) {
				if len(tl.msgs) == 0 {
					t.Skip("nothing there")
				}
				n := len(tl.msgs)
				if !tl.insert(rapid.SampledFrom(tl.msgs).Draw(t, "known"), true) || len(tl.msgs) != n {
					t.Fatal("a known message was taken for a new one")
				}
			},
			"": func(t *rapid.T) {
				if len(tl.msgs) > tl.limit {
					t.Fatalf("%d messages loaded, limit %d", len(tl.msgs), tl.limit)
				}
				size := 0
				for i := range tl.msgs {
					size += len(tl.msgs[i].Text)
				}
				if size != tl.size {
					t.Fatalf("size is %d, counted %d", tl.size, size)
				}
				if len(tl.msgs) == 0 {
					if len(history) > 0 && !tl.newer && !tl.older {
						t.Fatal("an empty window says there is nothing")
					}
					return
				}
				from := slices.IndexFunc(history, func(m chat.Message) bool { return m.ID == tl.msgs[0].ID })
				to := from + len(tl.msgs)
				if from < 0 || to > len(history) || !slices.EqualFunc(history[from:to], tl.msgs,
					func(a, b chat.Message) bool { return a.ID == b.ID }) {
					t.Fatalf("the window has a hole or is out of order")
				}
				if from > 0 && !tl.older {
					t.Fatal("older messages are denied")
				}
				if to < len(history) && !tl.newer {
					t.Fatal("newer messages are denied")
				}
			},
		})
	})
}

// TestTimelineBoundsBytes: long messages make the window shorter.
func TestTimelineBoundsBytes(t *testing.T) {
	var tl timeline
	text := string(make([]byte, chat.MaxText))
	for i := range 1000 {
		m := at(i)
		m.Text = text
		tl.insert(m, true)
	}
	if tl.size > windowBytes || len(tl.msgs) < 100 || !tl.older {
		t.Fatalf("%d messages of %d bytes are loaded, older=%v", len(tl.msgs), tl.size, tl.older)
	}
}
