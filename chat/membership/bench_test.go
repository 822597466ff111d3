package membership

import (
	"fmt"
	"testing"
	"time"

	"earshot/chat"
)

// busy is a room of 200 people and n operations by its owner and ten admins, who
// now and then act without having seen each other.
func busy(t testing.TB, n int) *story {
	s := newStory(t, Create{History: HistoryAll})
	for i := range 10 {
		s.joins(fmt.Sprint("admin ", i), RoleAdmin)
	}
	tips := []chat.EntryID{s.now()}
	for i := 0; len(s.ops) < n; i++ {
		if i%20 == 0 {
			tips = s.log.Heads(who("carol"))
		}
		admin, guest := fmt.Sprint("admin ", i%10), fmt.Sprint("guest ", i%190)
		var tip chat.EntryID
		switch {
		case i%7 == 6:
			tip = s.after(admin, named(guest), tips...)
		case i/190%2 == 0:
			tip = s.after(admin, Invite{who(guest), RoleMember}, tips...)
			tip = s.after(guest, Accept{tip}, tip)
		default:
			tip = s.after("carol", Remove{who(guest)}, tips...)
		}
		if i%4 != 3 { // else the next one acts beside it
			tips = []chat.EntryID{tip}
		}
	}
	return s
}

func load(t testing.TB, s *story) *Log {
	l := NewLog(s.log.room)
	for _, op := range s.ops {
		if _, missing, err := l.Add(op); err != nil || len(missing) > 0 {
			t.Fatal(missing, err)
		}
	}
	return l
}

// The bound is generous, for slow machines under load; BenchmarkResolve2000 says
// how long it takes.
func TestABusyRoomIsResolvedAtOnce(t *testing.T) {
	s := busy(t, 2000)
	start := time.Now()
	if members := load(t, s).State().Members; len(members) < 50 {
		t.Fatalf("only %d members", len(members))
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("it took %s", took)
	}
}

// A malicious owner makes all the cuts and counter-cuts of one person that they
// can; it must not cost others much.
func TestAnAttackOnTheResolverCostsLittle(t *testing.T) {
	s := room(t)
	s.joins("otto", RoleOwner)
	s.joins("olga", RoleOwner)
	parent := s.now()
	s.fill("otto", func(i int) Body { return SetRole{who("anna"), Role(1 + i%3)} }, parent)
	s.fill("olga", func(i int) Body { return Remove{who("anna")} }, parent)
	s.fill("adam", func(i int) Body { return Invite{who("anna"), RoleMember} }, s.lastBy("olga"))
	s.fill("anna", func(i int) Body { return named("x") }, parent)
	start := time.Now()
	s.log.State()
	s.does("carol", named("y"))
	s.log.State()
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("it took %s", took)
	}
}

// lastBy returns the last operation by somebody.
func (s *story) lastBy(author string) chat.EntryID {
	for i := len(s.log.nodes) - 1; ; i-- {
		if n := s.log.nodes[i]; n.Author == who(author) {
			return n.ID
		}
	}
}

func BenchmarkResolve2000(b *testing.B) {
	s := busy(b, 2000)
	for b.Loop() {
		load(b, s).State()
	}
}

func BenchmarkAddAndStateAfter2000(b *testing.B) {
	s := busy(b, 2000)
	var next []Op
	parents := s.log.Heads(who("carol"))
	for i := range 200 {
		op := seal(Op{Author: who("carol"), Parents: parents, Body: named(fmt.Sprint(i))}, i)
		next, parents = append(next, op), []chat.EntryID{op.ID}
	}
	var l *Log
	for i := 0; b.Loop(); i++ {
		if i%len(next) == 0 {
			b.StopTimer()
			l = load(b, s)
			b.StartTimer()
		}
		if _, _, err := l.Add(next[i%len(next)]); err != nil {
			b.Fatal(err)
		}
		l.State()
	}
}

func BenchmarkState2000(b *testing.B) {
	l := load(b, busy(b, 2000))
	for b.Loop() {
		l.state = nil
		l.State()
	}
}
