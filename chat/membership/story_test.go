package membership

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"

	"earshot/chat"
)

// who returns a person that is the same in every run.
func who(name string) chat.PersonID {
	h := sha256.Sum256([]byte("earshot test person " + name))
	return chat.PersonID(h[:20])
}

// seal gives op an id such as its entry's hash would be.
func seal(op Op, salt int) Op {
	slices.SortFunc(op.Parents, compareIDs)
	h := sha256.New()
	fmt.Fprintf(h, "%x %x %d %d %T", op.Author, op.Parents, op.HLC, salt, op.Body)
	if s, ok := op.Body.(Set); ok {
		fmt.Fprintf(h, "%q %q", deref(s.Name), deref(s.Topic))
	} else {
		fmt.Fprintf(h, "%v", op.Body)
	}
	op.ID = chat.EntryID(h.Sum(nil))
	return op
}

func deref(s *string) string {
	if s == nil {
		return "(none)"
	}
	return *s
}

func named(name string) Set { return Set{Name: &name} }

// story is a room as it is told operation by operation. Carol creates it.
type story struct {
	t    testing.TB
	log  *Log
	ops  []Op
	root chat.EntryID
	hlc  chat.HLC
}

func newStory(t testing.TB, c Create) *story {
	s := &story{t: t, log: NewLog(RoomOf(who("carol"), c))}
	s.root = s.does("carol", c)
	return s
}

// room is a story with carol, the admins anna and adam, and the member mia.
func room(t testing.TB) *story {
	s := newStory(t, Create{History: HistoryInvited})
	s.joins("anna", RoleAdmin)
	s.joins("adam", RoleAdmin)
	s.joins("mia", RoleMember)
	return s
}

// does adds an operation on top of everything.
func (s *story) does(author string, b Body) chat.EntryID {
	return s.after(author, b, s.log.Heads(who(author))...)
}

// after adds an operation whose author had seen parents and what is behind them.
func (s *story) after(author string, b Body, parents ...chat.EntryID) chat.EntryID {
	s.hlc++
	op := seal(Op{Author: who(author), HLC: s.hlc, Parents: slices.Clone(parents), Body: b}, len(s.ops))
	if _, missing, err := s.log.Add(op); err != nil || len(missing) > 0 {
		s.t.Helper()
		s.t.Fatalf("%s: %T: missing %v, %v", author, b, missing, err)
	}
	s.ops = append(s.ops, op)
	return op.ID
}

// joins lets carol invite somebody, who accepts.
func (s *story) joins(name string, role Role) chat.EntryID {
	return s.does(name, Accept{s.does("carol", Invite{who(name), role})})
}

// branch lets somebody be invited and accept beside everything since parent.
func (s *story) branch(by, name string, role Role, parent chat.EntryID) chat.EntryID {
	i := s.after(by, Invite{who(name), role}, parent)
	return s.after(name, Accept{i}, i)
}

// heads returns the only newest operation there is.
func (s *story) now() chat.EntryID {
	s.t.Helper()
	heads := s.log.Heads(chat.PersonID{})
	if len(heads) != 1 {
		s.t.Fatalf("%d heads", len(heads))
	}
	return heads[0]
}

var cast = []string{"carol", "anna", "adam", "mia", "bob", "eve", "sock", "puppet", "olga", "otto"}

func nameOf(p chat.PersonID) string {
	for _, n := range cast {
		if who(n) == p {
			return n
		}
	}
	return p.Short()
}

// tell writes members with their roles, in order of name.
func tell(members []Member) string {
	var out []string
	for _, m := range members {
		out = append(out, nameOf(m.Person)+" "+m.Role.String())
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// has asks for exactly these members, "name role" in order of name.
func (s *story) has(members ...string) {
	s.t.Helper()
	slices.Sort(members)
	if got, want := tell(s.log.State().Members), strings.Join(members, ", "); got != want {
		s.t.Errorf("members are %s; want %s", got, want)
	}
	s.agrees()
}

// invites asks for exactly these to be invited.
func (s *story) invites(want ...string) {
	s.t.Helper()
	var got []string
	for _, i := range s.log.State().Invited {
		got = append(got, nameOf(i.Person)+" "+i.Role.String())
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		s.t.Errorf("invited are %v; want %v", got, want)
	}
	s.agrees()
}

// refuses asks that author may not do b, and that they are told why and what
// next.
func (s *story) refuses(author string, b Body) {
	s.t.Helper()
	err := s.log.May(who(author), b)
	if chat.CodeOf(err) != chat.CodeDenied && chat.CodeOf(err) != chat.CodeNotFound {
		s.t.Errorf("%s may %T %v: %v", author, b, b, err)
		return
	}
	if text := err.Error(); strings.Count(text, ". ")+strings.Count(text, ": ") == 0 || !strings.HasSuffix(text, ".") {
		s.t.Errorf("%q does not say what to do next", text)
	}
	before := s.log.State().View
	s.does(author, b)
	if s.log.State().View != before {
		s.t.Errorf("%T by %s had an effect although they may not", b, author)
	}
}

// allows asks that author may do b, and does it.
func (s *story) allows(author string, b Body) chat.EntryID {
	s.t.Helper()
	if err := s.log.May(who(author), b); err != nil {
		s.t.Errorf("%s may not %T: %v", author, b, err)
	}
	before := s.log.State().View
	id := s.does(author, b)
	if s.log.State().View == before {
		s.t.Errorf("%T by %s had no effect although they may", b, author)
	}
	return id
}

// agrees asks the model, and a log that hears everything backwards.
func (s *story) agrees() {
	s.t.Helper()
	got := summary(s.log.State())
	if want := newModel(s.ops).state(); got != want {
		s.t.Errorf("the log says\n%s\nthe model says\n%s", got, want)
	}
	back := NewLog(s.log.room)
	for _, op := range slices.Backward(s.ops) {
		if _, _, err := back.Add(op); err != nil {
			s.t.Fatal(err)
		}
	}
	if again := summary(back.State()); again != got || back.State().View != s.log.State().View {
		s.t.Errorf("told backwards it says\n%s\ninstead of\n%s", again, got)
	}
}

// summary writes what the model and the log must agree on.
func summary(s State) string {
	var sb strings.Builder
	fmt.Fprintf(&sb, "%q %q", s.Name, s.Topic)
	line := func(list []string) {
		slices.Sort(list)
		fmt.Fprintf(&sb, "\n%s", strings.Join(list, ", "))
	}
	var members, invited, removed []string
	for _, m := range s.Members {
		members = append(members, fmt.Sprintf("%s %s since %s", nameOf(m.Person), m.Role, m.Since.Short()))
	}
	for _, i := range s.Invited {
		invited = append(invited, fmt.Sprintf("%s invited as %s", nameOf(i.Person), i.Role))
	}
	for _, r := range s.Removed {
		removed = append(removed, nameOf(r.Person)+" removed")
	}
	line(members)
	line(invited)
	line(removed)
	return sb.String()
}

func byID(a, b Op) int { return cmp.Compare(string(a.ID[:]), string(b.ID[:])) }
