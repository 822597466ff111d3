package membership

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"earshot/chat"
)

// war is a room in a network that falls apart: some logs that hear each other
// now and then, and people who do what they may and what they may not.
type war struct {
	t     *rapid.T
	logs  []*Log
	held  [][]Op // by each log
	all   []Op
	past  []State // at each of all, by the log it was made on
	stays bool    // carol does not leave
}

func newWar(t *rapid.T, stays bool) *war {
	s := room(nil)
	w := &war{t: t, all: slices.Clone(s.ops), past: make([]State, len(s.ops)), stays: stays}
	for range rapid.IntRange(1, 3).Draw(t, "partitions") {
		l := NewLog(s.log.room)
		for _, op := range s.ops {
			w.add(l, op)
		}
		w.logs, w.held = append(w.logs, l), append(w.held, slices.Clone(s.ops))
	}
	for i, op := range w.all {
		w.past[i], _ = s.log.At([]chat.EntryID{op.ID})
	}
	return w
}

func (w *war) add(l *Log, op Op) {
	if _, _, err := l.Add(op); err != nil {
		w.t.Fatalf("%T: %v", op.Body, err)
	}
}

func (w *war) pick(what string, n int) int { return rapid.IntRange(0, n-1).Draw(w.t, what) }

// does makes an operation on one log, beside or on top of what it holds.
func (w *war) does(on int, author string, b Body, parents []chat.EntryID) Op {
	hlc := chat.HLC(rapid.IntRange(1, 5).Draw(w.t, "clock"))
	op := seal(Op{Author: who(author), HLC: hlc, Parents: parents, Body: b}, len(w.all))
	w.add(w.logs[on], op)
	w.held[on], w.all = append(w.held[on], op), append(w.all, op)
	at, _ := w.logs[on].At([]chat.EntryID{op.ID})
	w.past = append(w.past, at)
	return op
}

// some returns parents that leave much of the past out, as who backdates does.
func (w *war) some(on int) (out []chat.EntryID) {
	for range rapid.IntRange(1, 2).Draw(w.t, "parents") {
		out = append(out, w.held[on][w.pick("parent", len(w.held[on]))].ID)
	}
	slices.SortFunc(out, compareIDs)
	return slices.Compact(out)
}

var actors = []string{"carol", "anna", "adam", "mia", "bob", "eve", "sock"}

// body draws something to do for author.
func (w *war) body(on int, author string) Body {
	person := func() chat.PersonID { return who(actors[w.pick("whom", len(actors))]) }
	role := func() Role { return Role(1 + w.pick("role", 3)) }
	switch w.pick("what", 12) {
	case 0, 1:
		return Invite{person(), role()}
	case 2, 3, 4:
		var open []chat.EntryID
		for _, op := range w.held[on] {
			if i, ok := op.Body.(Invite); ok && i.Person == who(author) {
				open = append(open, op.ID)
			}
		}
		if len(open) > 0 {
			return Accept{open[w.pick("invitation", len(open))]}
		}
		return Invite{person(), role()}
	case 5, 6, 7:
		return Remove{person()}
	case 8, 9:
		return SetRole{person(), role()}
	case 10:
		if author == "carol" && w.stays {
			return Unknown{200}
		}
		return Leave{}
	}
	return named(fmt.Sprint("name ", w.pick("name", 3)))
}

// rages lets things happen.
func (w *war) rages(steps int) {
	for range rapid.IntRange(1, steps).Draw(w.t, "steps") {
		on := w.pick("log", len(w.logs))
		switch w.pick("event", 8) {
		case 0:
			w.tells(on, w.pick("to", len(w.logs)))
		case 1, 2: // whoever is invited accepts
			for _, i := range w.logs[on].State().Invited {
				w.does(on, nameOf(i.Person), Accept{i.Invite}, w.logs[on].Heads(i.Person))
				break
			}
		case 3:
			author := actors[w.pick("author", len(actors))]
			w.does(on, author, w.body(on, author), w.some(on))
		default:
			author := actors[w.pick("author", len(actors))]
			w.does(on, author, w.body(on, author), w.logs[on].Heads(who(author)))
		}
	}
}

// tells gives all that one log holds to another.
func (w *war) tells(from, to int) {
	for _, op := range w.held[from] {
		if w.logs[to].index[op.ID] == nil {
			w.held[to] = append(w.held[to], op)
			w.add(w.logs[to], op)
		}
	}
}

// ends returns a log that holds everything.
func (w *war) ends() *Log {
	l := NewLog(w.logs[0].room)
	for _, op := range w.all {
		w.add(l, op)
	}
	return l
}

// joined makes one log that holds everything the only one, for what comes next.
func (w *war) joined() *Log {
	w.logs, w.held = []*Log{w.ends()}, [][]Op{slices.Clone(w.all)}
	return w.logs[0]
}

func inside(s State) map[chat.PersonID]bool {
	out := map[chat.PersonID]bool{}
	for _, m := range s.Members {
		out[m.Person] = true
	}
	for _, i := range s.Invited {
		out[i.Person] = true
	}
	return out
}

func TestTheOrderOfArrivalDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWar(rt, false)
		w.rages(25)
		want := w.ends().State()
		for range 3 {
			l := NewLog(w.logs[0].room)
			for _, op := range rapid.Permutation(append(slices.Clone(w.all), w.all[:3]...)).Draw(rt, "order") {
				w.add(l, op)
				l.State()
			}
			if got := l.State(); !reflect.DeepEqual(got, want) {
				rt.Fatalf("one order gives\n%s\nanother\n%s", summary(want), summary(got))
			}
		}
	})
}

func TestPartitionsAgreeOnceTheyHeal(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWar(rt, false)
		w.rages(60)
		for i := range w.logs {
			w.tells(i, 0)
		}
		want := w.logs[0].State()
		for i := range w.logs[1:] {
			w.tells(0, i+1)
			if got := w.logs[i+1].State(); !reflect.DeepEqual(got, want) {
				rt.Fatalf("partition 0 says\n%s\npartition %d says\n%s", summary(want), i+1, summary(got))
			}
		}
	})
}

func TestTheLogAgreesWithTheModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWar(rt, false)
		w.rages(25)
		if got, want := summary(w.ends().State()), newModel(w.all).state(); got != want {
			rt.Fatalf("the log says\n%s\nthe model says\n%s", got, want)
		}
	})
}

func TestNoLaterOperationChangesTheStateInACausalPast(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWar(rt, false)
		w.rages(40)
		l := w.ends()
		for i, op := range w.all {
			if at, _ := l.At([]chat.EntryID{op.ID}); !reflect.DeepEqual(at, w.past[i]) {
				rt.Fatalf("after operation %d it was\n%s\nand became\n%s", i, summary(w.past[i]), summary(at))
			}
		}
	})
}

// Whoever is out, by removal, by leaving or since ever, adds nobody: whatever
// they claim not to have seen, and whomever they use for it.
func TestNobodyOutsideAddsAnyone(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWar(rt, false)
		w.rages(25)
		l := w.joined()
		before := l.State()
		was := inside(before)
		var out []string
		for _, name := range append(slices.Clone(actors), "puppet", "olga") {
			if !was[who(name)] {
				out = append(out, name)
			}
		}
		for range rapid.IntRange(1, 25).Draw(rt, "attempts") {
			author := out[w.pick("outsider", len(out))]
			w.does(0, author, w.body(0, author), w.some(0))
		}
		after := l.State()
		for p := range inside(after) {
			if !was[p] {
				rt.Fatalf("%s got in: before\n%s\nafter\n%s", nameOf(p), summary(before), summary(after))
			}
		}
	})
}

func TestNobodyHasARoleThatNobodyGaveThem(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWar(rt, false)
		w.rages(40)
		l := w.ends()
		var owners int
		s := l.State()
		for _, m := range s.Members {
			if m.Role == RoleOwner {
				owners++
			}
			given := m.Heir
			for _, op := range w.all {
				var role Role
				switch b := op.Body.(type) {
				case Create:
					given = given || op.Author == m.Person
				case Invite:
					if b.Person == m.Person {
						role = b.Role
					} else if n := l.index[op.ID]; n.heir && op.Author == m.Person {
						given = true
					}
				case SetRole:
					if b.Person == m.Person {
						role = b.Role
					} else if n := l.index[op.ID]; n.heir && op.Author == m.Person {
						given = true
					}
				}
				at, _ := l.At(op.Parents)
				giver, _ := at.Member(op.Author)
				given = given || role >= m.Role && giver.Role >= role
			}
			if !given {
				rt.Fatalf("nobody made %s %s:\n%s", nameOf(m.Person), m.Role, summary(s))
			}
		}
		if len(s.Members) > 0 && owners == 0 {
			rt.Fatalf("a room without an owner:\n%s", summary(s))
		}
	})
}

func TestNoInvitationUndoesARemovalThatItHasNotSeen(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWar(rt, true)
		w.rages(15)
		l := w.joined()
		heads := l.Heads(who("carol"))
		person := actors[1+w.pick("whom", len(actors)-1)]
		w.stays = false
		w.rages(20) // without having seen what carol does now
		w.does(0, "carol", Remove{who(person)}, heads)
		if s := l.State(); inside(s)[who(person)] {
			rt.Fatalf("%s is still in:\n%s", person, summary(s))
		}
	})
}

// However bad it got, the creator puts out everybody, invites whom they trust,
// and nothing that the others still come up with changes that.
func TestTheCreatorCanAlwaysRepair(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWar(rt, true)
		w.rages(25)
		l := w.joined()
		top := func(author string, b Body) Op {
			if err := l.May(who(author), b); err != nil {
				rt.Fatalf("%s may not %T: %v", author, b, err)
			}
			return w.does(0, author, b, l.Heads(who(author)))
		}
		var bad []string
		want := []string{"carol owner"}
		for _, name := range actors[1:] {
			top("carol", Remove{who(name)})
		}
		for _, name := range actors[1:] {
			if !rapid.Bool().Draw(rt, "trusted") {
				bad = append(bad, name)
				continue
			}
			role := Role(1 + w.pick("role", 3))
			top(name, Accept{top("carol", Invite{who(name), role}).ID})
			want = append(want, name+" "+role.String())
		}
		bad = append(bad, "puppet")
		for range rapid.IntRange(1, 30).Draw(rt, "attempts") {
			author := bad[w.pick("outsider", len(bad))]
			w.does(0, author, w.body(0, author), w.some(0))
		}
		slices.Sort(want)
		if got := tell(l.State().Members); got != strings.Join(want, ", ") {
			rt.Fatalf("carol made it %s; it became %s", want, got)
		}
	})
}
