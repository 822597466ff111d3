package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"earshot/chat"
	"earshot/node/api"
)

// talks has somebody say many things, and returns once they are stored.
func (d *desk) talks(room chat.RoomID, from, to int) {
	d.t.Helper()
	var wg sync.WaitGroup
	for lane := range 16 {
		wg.Go(func() {
			for i := from + lane; i < to; i += 16 {
				if _, err := d.Send(d.ctx, room, chat.Draft{Text: fmt.Sprint("line ", i)}); err != nil {
					d.t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// all returns all of a room, oldest first.
func (d *desk) all(room chat.RoomID) (out []chat.Message) {
	d.t.Helper()
	var p api.Page
	for {
		p.Limit = 1000
		page, err := d.Messages(d.ctx, room, p)
		d.must(err)
		out = append(page, out...)
		if len(page) < p.Limit {
			return out
		}
		p.Before = page[0].ID
	}
}

// enterAlone starts a node that reaches nobody until the net is healed.
func (o *Office) enterAlone(enter func(string) *desk, name string) *desk {
	o.mu.Lock()
	next := o.next + 1
	o.mu.Unlock()
	o.Net.Cut(o.hosts(1, next-1), o.hosts(next, next))
	return enter(name)
}

// hosts returns the addresses of those who came as number from to number to.
func (o *Office) hosts(from, to int) (out []netip.Addr) {
	for i := from; i <= to; i++ {
		out = append(out, netip.AddrFrom4([4]byte{10, 9, byte(i / 250), byte(i%250 + 1)}))
	}
	return out
}

// Whoever was away for long and looks at a room sees its end first, knows how much is
// missing and of whom, and in the end has all of it, once, even if the node ends while
// most is missing.
func TestTheScreenFillsFromTheNewest(t *testing.T) {
	for _, kind := range []chat.RoomKind{chat.RoomOpen, chat.RoomDirect} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			const lines = 3000
			o, enter := newOffice(t)
			ann, ben := enter("Ann"), enter("Ben")
			befriend(ann, ben)
			room := lobby
			if kind.Sealed() {
				room = ann.chatWith(ben.id()).RoomID
			}
			ann.tells(room, "before")
			ben.reads(room, "before")
			o.leave(ben)
			ann.talks(room, 0, lines)

			ben = o.enterAlone(enter, "Ben")
			ben.must(ben.View(ben.ctx, room))
			o.Net.Heal()
			first := ben.await("something", func(e chat.Event) bool {
				m, ok := e.(chat.MessageEvent)
				return ok && m.RoomID == room && strings.HasPrefix(m.Text, "line ")
			}).(chat.MessageEvent)
			if page := ann.all(room); !slices.ContainsFunc(page[len(page)-200:], func(m chat.Message) bool { return m.ID == first.ID }) {
				t.Errorf("the first is %q", first.Text)
			}
			missing, err := ben.Missing(ben.ctx, room)
			ben.must(err)
			if len(missing) != 1 || missing[0].From.Name != "Ann" || missing[0].Count < 1 || missing[0].Count > lines || missing[0].Before == nil {
				t.Errorf("missing: %+v", missing)
			}
			o.leave(ben)
			ben = enter("Ben")
			ben.until("reads all", func() bool {
				missing, err := ben.Missing(ben.ctx, room)
				ben.must(err)
				return len(missing) == 0 && len(ben.all(room)) == lines+1
			})
			theirs, mine := ann.all(room), ben.all(room)
			for i := range theirs {
				if theirs[i].ID != mine[i].ID || theirs[i].Text != mine[i].Text {
					t.Fatalf("%d is %q there and %q here", i, theirs[i].Text, mine[i].Text)
				}
			}
			// Each is one fact, and unread once.
			facts, after := map[chat.EntryID]int{}, chat.Cursor(0)
			for {
				page, err := ben.Facts(ben.ctx, after, 1000)
				ben.must(err)
				for _, e := range page {
					if m, ok := e.(chat.MessageEvent); ok {
						facts[m.ID]++
					}
					after = factOf(e)
				}
				if len(page) == 0 {
					break
				}
			}
			for _, m := range mine {
				if facts[m.ID] != 1 {
					t.Fatalf("%q is %d facts", m.Text, facts[m.ID])
				}
			}
			rooms, err := ben.Rooms(ben.ctx)
			ben.must(err)
			for _, r := range rooms {
				if r.RoomID == room && (r.Unread != lines+1 || r.Unreadable != 0) {
					t.Errorf("%d unread, %d unreadable", r.Unread, r.Unreadable)
				}
			}
		})
	}
}

// What is missing is told as it is, and that it is not any more.
func TestWhatIsMissingIsCountedUntilItComes(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	ann.say("before")
	ben.hears("before")
	o.leave(ben)
	ann.talks(lobby, 0, 2000)
	ben = o.enterAlone(enter, "Ben")
	ben.must(ben.View(ben.ctx, lobby))
	o.Net.Heal()
	ben.await("something", func(e chat.Event) bool {
		m, ok := e.(chat.MessageEvent)
		return ok && m.Text != "before"
	})
	o.Net.Cut(o.hosts(1, 2), o.hosts(3, 3))
	last := 0
	ben.await("what is missing", func(e chat.Event) bool {
		m, ok := e.(chat.MissingEvent)
		if ok && len(m.Missing) == 1 {
			last = m.Missing[0].Count
		}
		return last > 0
	})
	o.Net.Heal()
	ben.await("nothing missing any more", func(e chat.Event) bool {
		m, ok := e.(chat.MissingEvent)
		if !ok || m.RoomID != lobby {
			return false
		}
		if len(m.Missing) == 0 {
			return true
		}
		if m.Missing[0].From.Name != "Ann" || m.Missing[0].Count > last {
			t.Errorf("missing: %+v", m.Missing)
		}
		last = m.Missing[0].Count
		return false
	})
	ben.until("reads all", func() bool { return len(ben.all(lobby)) == 2001 })
	for i, m := range ben.all(lobby)[1:] {
		if _, err := strconv.Atoi(strings.TrimPrefix(m.Text, "line ")); err != nil {
			t.Fatalf("message %d is %q", i, m.Text)
		}
	}
}

func factOf(e chat.Event) chat.Cursor {
	c, _ := chat.Fact(e)
	return c
}

// catchesUp waits until so much of a room is unread, asking for what a screen shows all
// the time, and returns how long the 99th of 100 such requests takes.
func (d *desk) catchesUp(room chat.RoomID, unread int) time.Duration {
	d.t.Helper()
	var took []time.Duration
	late := time.Now().Add(patience)
	for {
		begin := time.Now()
		r, err := d.FindRoom(d.ctx, room.String())
		d.must(err)
		_, err = d.Messages(d.ctx, room, api.Page{Limit: 50})
		d.must(err)
		took = append(took, time.Since(begin))
		if r.Unread == unread {
			slices.Sort(took)
			return took[len(took)*99/100]
		}
		if begin.After(late) {
			d.t.Fatalf("%s has %d of %d", d.Name(), r.Unread, unread)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Whoever has much to catch up with can use their node meanwhile.
func TestANodeThatCatchesUpAnswersAllTheSame(t *testing.T) { // alone: time is measured
	const lines = 6000
	o, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	befriend(ann, ben)
	room := ann.chatWith(ben.id()).RoomID
	ann.tells(room, "before")
	ben.reads(room, "before")
	o.leave(ben)
	ann.talks(room, 0, lines)
	ben = o.enterAlone(enter, "Ben")
	o.Net.Heal()
	inTime(t, "the 99th of 100 requests", ben.catchesUp(room, lines+1), 50*time.Millisecond)
}
