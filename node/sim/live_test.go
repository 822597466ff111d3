package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"earshot/chat"
	"earshot/node/api"
)

// What is said in a sealed room goes by streams or by gossip, and moves from one to the
// other while people talk. Nobody is to notice.

// talk is what was said in one room meanwhile.
type talk struct {
	room chat.RoomID
	said []chat.Message
}

// round has each of some say a line.
func (x *talk) round(who ...*desk) {
	for _, d := range who {
		x.said = append(x.said, d.tells(x.room, fmt.Sprintf("line %d, %s", len(x.said), d.Name())))
	}
}

// isWhole waits until somebody holds all of it, and fails where they hold or were told
// anything twice, or not in the order in which the others have it.
func (x *talk) isWhole(of ...*desk) {
	var order []chat.EntryID
	for _, d := range of {
		d.t.Helper()
		for _, m := range x.said {
			d.reads(x.room, m.Text)
		}
		page, err := d.Messages(d.ctx, x.room, api.Page{Limit: 500})
		if err != nil {
			d.t.Fatal(err)
		}
		var got []chat.EntryID
		held := map[chat.EntryID]int{}
		for _, m := range page {
			if slices.ContainsFunc(x.said, func(s chat.Message) bool { return s.ID == m.ID }) {
				got = append(got, m.ID)
				held[m.ID]++
			}
		}
		told := map[chat.EntryID]int{}
		for more := true; more; {
			select {
			case e := <-d.events:
				if m, ok := e.(chat.MessageEvent); ok {
					told[m.ID]++
				}
			default:
				more = false
			}
		}
		for _, m := range x.said {
			if held[m.ID] != 1 {
				d.t.Errorf("%s holds %q %d times", d.Name(), m.Text, held[m.ID])
			}
			if told[m.ID] > 1 {
				d.t.Errorf("%s was told %q %d times", d.Name(), m.Text, told[m.ID])
			}
		}
		if order == nil {
			order = got
		}
		if !slices.Equal(got, order) {
			d.t.Errorf("%s has another order than %s", d.Name(), of[0].Name())
		}
	}
}

func TestMovingBetweenStreamsAndGossipLosesAndDoublesNothing(t *testing.T) {
	s := besiege(t)
	room, root := s.besideBen()
	eve := s.spy(t, s.ann)
	eve.goesDirectly(s.ann, room, s.ben)
	x := &talk{room: room}
	x.round(s.ann, s.ben)
	direct := x.said[0]
	var crowd []*stranger
	for range chat.MaxDirect { // and Ben's own is one more
		crowd = append(crowd, s.device(root))
		x.round(s.ann, s.ben)
	}
	s.until("it is gossiped", func() bool {
		x.round(s.ann, s.ben)
		m := x.said[len(x.said)-2] // Ann's
		eve.awaits(s.ann.say("Hello, all"))
		return eve.copies(m) > 0
	})
	gone := crowd[len(crowd)-1]
	for i := range 6 { // over the bound and back, with both talking
		if i%2 == 0 {
			gone.leaves()
		} else {
			crowd = append(crowd, s.device(root))
			gone = crowd[len(crowd)-1]
		}
		x.round(s.ann, s.ben)
		x.round(s.ben, s.ann)
	}
	gone.leaves()
	s.until("it goes directly again", func() bool {
		x.round(s.ann, s.ben)
		m := x.said[len(x.said)-2]
		eve.awaits(s.ann.say("Hello, all"))
		return eve.copies(m) == 0
	})
	x.isWhole(s.ann, s.ben)
	if n := eve.copies(direct); n != 0 {
		t.Errorf("what was said before the crowd came was gossiped %d times", n)
	}
	for _, c := range crowd {
		c.vanish()
	}
}

func TestAPathThatIsLostAndComesBackLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben, cleo := enter("Ann"), enter("Ben"), enter("Cleo")
	befriend(ann, ben)
	befriend(ann, cleo)
	ben.sees("Cleo", chat.Here)
	room := ann.create("garden", "")
	ann.brings(room, ben, cleo)
	all := []*desk{ann, ben, cleo}
	for _, d := range all {
		for _, other := range all {
			d.until(other.Name()+" is in", func() bool { return d.has(room, other.id()) })
		}
	}
	x := &talk{room: room}
	for range 5 {
		x.round(all...)
	}
	// Ann is back elsewhere, from where Cleo can't be seen, and knows nothing of that:
	// what they say to each other goes through Ben.
	x.isWhole(all...)
	o.leave(ann)
	o.Net.Cut([]netip.Addr{netip.MustParseAddr("10.9.0.5")}, []netip.Addr{netip.MustParseAddr("10.9.0.4")})
	x.round(ben, cleo)
	ann = enter("Ann")
	all[0] = ann
	for range 3 {
		x.round(all...)
	}
	ann.sees("Ben", chat.Here)
	for range 10 {
		x.round(all...)
	}
	x.isWhole(all...)
	if who, ok := ann.knows(cleo.id()); ok && who.Presence == chat.Here {
		t.Fatal("Ann has a path to Cleo")
	}
	// The path comes back in the middle of it.
	o.Net.Heal()
	for late := time.Now().Add(patience); ; {
		x.round(all...)
		if who, ok := ann.knows(cleo.id()); ok && who.Presence == chat.Here {
			break
		}
		if time.Now().After(late) {
			t.Fatal("Ann and Cleo never meet again")
		}
		time.Sleep(50 * time.Millisecond) // people do not talk faster
	}
	for range 5 {
		x.round(all...)
	}
	x.isWhole(all...)
}
