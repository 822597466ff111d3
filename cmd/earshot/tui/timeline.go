package tui

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"earshot/chat"
)

// windowMessages and windowBytes bound what one room keeps loaded; what falls out
// at one end is loaded again when the reader comes back (guess: thirty screens
// each way, and some megabytes at the worst).
const (
	windowMessages = 2000
	windowBytes    = 4 << 20
)

// timeline is the loaded part of a room's history: a window, without holes, in
// the order shown. It knows nothing of screens; it says where a message is and
// whether there is more on either side.
type timeline struct {
	msgs []chat.Message
	// older and newer say that the node holds messages beyond the window's ends.
	older, newer bool
	// limit bounds the messages kept, 0 meaning windowMessages.
	limit int
	size  int // bytes of text in msgs
}

// reset makes page the whole window.
func (t *timeline) reset(page []chat.Message, older, newer bool) {
	t.msgs, t.size = nil, 0
	t.older, t.newer = older, newer
	t.merge(page)
}

// prepend adds a page that ends where the window begins; older says whether the
// node holds more before it. What no longer fits falls out at the newest end.
func (t *timeline) prepend(page []chat.Message, older bool) {
	t.merge(page)
	t.older = older
	t.dropNewest()
}

// extend adds a page that begins where the window ends; newer says whether the
// node holds more behind it. What no longer fits falls out at the oldest end.
func (t *timeline) extend(page []chat.Message, newer bool) {
	t.merge(page)
	t.newer = newer
	t.dropOldest()
}

// insert adds one message that arrived, in its place, and reports whether it is
// in the window now. Beyond an end with unloaded messages it is left to loading.
// following says that the reader is at the newest message: then the oldest make
// room, else the newest do, so that nothing moves before the reader's eyes.
func (t *timeline) insert(m chat.Message, following bool) bool {
	i, found := t.find(m)
	switch {
	case found:
		t.size += len(m.Text) - len(t.msgs[i].Text)
		if m.State == nil { // an event does not tell it
			m.State = t.msgs[i].State
		}
		t.msgs[i] = m
		return true
	case i == 0 && t.older, i == len(t.msgs) && t.newer:
		return false
	}
	t.msgs = slices.Insert(t.msgs, i, m)
	t.size += len(m.Text)
	if following {
		t.dropOldest()
	} else {
		t.dropNewest()
	}
	_, found = t.find(m)
	return found
}

// remove takes the message with this number out.
func (t *timeline) remove(i int) {
	t.size -= len(t.msgs[i].Text)
	t.msgs = slices.Delete(t.msgs, i, i+1)
}

// find returns where m is, or where it belongs.
func (t *timeline) find(m chat.Message) (int, bool) {
	return slices.BinarySearchFunc(t.msgs, m, compareMessages)
}

// index returns the position of the message with this id, -1 if it isn't loaded.
func (t *timeline) index(id chat.EntryID) int {
	for i := len(t.msgs) - 1; i >= 0; i-- {
		if t.msgs[i].ID == id {
			return i
		}
	}
	return -1
}

// merge adds every message of page that isn't there yet.
func (t *timeline) merge(page []chat.Message) {
	if len(page) == 0 {
		return
	}
	all := append(slices.Clone(page), t.msgs...)
	slices.SortStableFunc(all, compareMessages)
	t.msgs = slices.CompactFunc(all, func(a, b chat.Message) bool { return compareMessages(a, b) == 0 })
	t.size = 0
	for i := range t.msgs {
		t.size += len(t.msgs[i].Text)
	}
}

func (t *timeline) full() bool {
	limit := t.limit
	if limit == 0 {
		limit = windowMessages
	}
	return len(t.msgs) > limit || (t.size > windowBytes && len(t.msgs) > 1)
}

func (t *timeline) dropOldest() {
	n := 0
	for ; t.full(); n++ {
		t.size -= len(t.msgs[0].Text)
		t.msgs = t.msgs[1:]
	}
	if n > 0 {
		t.older = true
	}
}

func (t *timeline) dropNewest() {
	n := len(t.msgs)
	for t.full() {
		last := len(t.msgs) - 1
		t.size -= len(t.msgs[last].Text)
		t.msgs = t.msgs[:last]
	}
	if len(t.msgs) < n {
		clear(t.msgs[len(t.msgs):n])
		t.newer = true
	}
}

// shownAt is the time at which a message stands in the conversation.
func shownAt(m *chat.Message) time.Time {
	if m.ClockAhead {
		return m.ReceivedAt
	}
	return m.SentAt
}

// compareMessages orders messages as they are shown; the id separates those of
// one microsecond, which is all that the node keeps of a time.
func compareMessages(a, b chat.Message) int {
	if c := cmp.Compare(shownAt(&a).UnixMicro(), shownAt(&b).UnixMicro()); c != 0 {
		return c
	}
	return bytes.Compare(a.ID[:], b.ID[:])
}
