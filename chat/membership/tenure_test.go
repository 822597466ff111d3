package membership

import (
	"cmp"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"earshot/chat"
)

func TestTenuresTellWhoWasAnAdminWhen(t *testing.T) {
	s := room(t)                                      // anna and adam accept at 3 and 5, mia at 7
	s.does("carol", SetRole{who("mia"), RoleAdmin})   // 8
	s.does("carol", Remove{who("adam")})              // 9
	s.does("carol", SetRole{who("mia"), RoleMember})  // 10
	s.does("mia", SetRole{who("mia"), RoleOwner})     // 11: which she may not
	s.does("carol", Invite{who("adam"), RoleMember})  // 12
	s.does("carol", SetRole{who("anna"), RoleMember}) // 13
	s.does("carol", SetRole{who("anna"), RoleOwner})  // 14
	want := []Tenure{
		{who("carol"), 1, chat.MaxHLC}, {who("anna"), 3, 13}, {who("anna"), 14, chat.MaxHLC}, {who("adam"), 5, 9}, {who("mia"), 8, 10},
	}
	slices.SortFunc(want, func(a, b Tenure) int { return cmp.Or(comparePeople(a.Person, b.Person), cmp.Compare(a.From, b.From)) })
	if got := s.log.Tenures(); !slices.Equal(got, want) {
		t.Errorf("tenures are\n%v, want\n%v", got, want)
	}
}

func TestWhoIsLeftAsTheHeirHasTenure(t *testing.T) {
	s := newStory(t, Create{History: HistoryInvited})
	s.joins("mia", RoleMember)
	left := s.does("carol", Leave{})
	op, _ := s.log.Op(left)
	want := []Tenure{{who("mia"), op.HLC, chat.MaxHLC}, {who("carol"), 1, op.HLC}}
	slices.SortFunc(want, func(a, b Tenure) int { return comparePeople(a.Person, b.Person) })
	if got := s.log.Tenures(); !slices.Equal(got, want) {
		t.Errorf("tenures are\n%v, want\n%v", got, want)
	}
}

func TestMessagesAreKeptAsAdminsSay(t *testing.T) {
	s := room(t)
	day, week := uint64(86400), uint64(7*86400)
	s.does("anna", Retain{Disappear: &day})
	if err := s.log.May(who("mia"), Retain{Keep: &day}); chat.CodeOf(err) != chat.CodeDenied {
		t.Errorf("a member may: %v", err)
	}
	s.does("mia", Retain{Keep: &day}) // all the same
	s.does("carol", Retain{Keep: &week})
	if st := s.log.State(); st.Disappear != 24*time.Hour || st.Keep != 7*24*time.Hour {
		t.Errorf("messages disappear after %v and are kept %v", st.Disappear, st.Keep)
	}
	got := s.log.Retentions()
	if len(got) != 2 || got[0].Disappear != 24*time.Hour || got[0].Keep != 0 || got[1].Disappear != 24*time.Hour || got[1].Keep != 7*24*time.Hour {
		t.Errorf("retentions are %v", got)
	}
}

// What is known of the past does not depend on the order in which it came.
func TestTenuresDoNotDependOnTheOrderOfArrival(t *testing.T) {
	s := room(t)
	hour := uint64(3600)
	heads := s.log.Heads(who("carol"))
	s.after("anna", SetRole{who("mia"), RoleAdmin}, heads...) // which only owners may
	s.after("carol", SetRole{who("mia"), RoleAdmin}, heads...)
	s.after("anna", Remove{who("adam")}, heads...)
	s.after("adam", Remove{who("anna")}, heads...)
	s.after("adam", Retain{Keep: &hour}, heads...)
	s.does("carol", Invite{who("anna"), RoleAdmin})
	s.does("anna", Leave{})
	want, kept := s.log.Tenures(), s.log.Retentions()
	for seed := range uint64(50) {
		ops := slices.Clone(s.ops)
		rand.New(rand.NewPCG(seed, 1)).Shuffle(len(ops), func(i, j int) { ops[i], ops[j] = ops[j], ops[i] })
		l := NewLog(s.log.room)
		for _, op := range ops {
			if _, _, err := l.Add(op); err != nil {
				t.Fatal(err)
			}
		}
		if got := l.Tenures(); !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d: tenures are\n%v, want\n%v", seed, got, want)
		}
		if got := l.Retentions(); !reflect.DeepEqual(got, kept) {
			t.Fatalf("seed %d: retentions are\n%v, want\n%v", seed, got, kept)
		}
	}
}
