package contacts

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"earshot/chat"
)

// open returns settings that show everything to everybody.
func open() Privacy {
	all := Audience{Kind: EveryoneHere}
	return Privacy{Nearby: all, Presence: all, Typing: all, Read: all}
}

// The rows are relations, the columns what reaches, the cells the narrowest setting
// of privacy at which it does: - never, a always, e everyone here, g groups (and so
// contacts) too.
const wholeTable = `
            request message file typing invitation nearby presence own-typing read
stranger    a       -       -    -      -          e      e        e          e
requested   a       -       -    -      -          e      e        e          e
asking      a       -       -    -      -          e      e        e          e
contact     a       a       a    a      a          g      g        g          g
verified    a       a       a    a      a          g      g        g          g
blocked     -       -       -    -      -          -      -        -          -
`

// settings returns where the audience of something of this person's stands.
func (p *Privacy) setting(what Reach) *Audience {
	return map[Reach]*Audience{ReachNearby: &p.Nearby, ReachPresence: &p.Presence, ReachOwnTyping: &p.Typing, ReachRead: &p.Read}[what]
}

func TestTheWholeTableOfWhatMayReachWhom(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(wholeTable), "\n")
	if len(lines) != 1+len(relationNames) || len(strings.Fields(lines[0])) != reaches {
		t.Fatalf("%d lines", len(lines))
	}
	audiences := []Audience{{}, {Kind: ContactsOnly}, {Kind: EveryoneHere}, {Kind: InGroups, Groups: []string{"sales"}}, {Kind: InGroups, Groups: []string{"board"}}, {Kind: 99}}
	for i, line := range lines[1:] {
		cells := strings.Fields(line)
		r := Record{Person: personID("them"), Relation: Relation(i), Sorting: Sorting{Groups: []string{"Sales"}}}
		if cells[0] != r.Relation.String() {
			t.Fatalf("row %d is %s, not %s", i, cells[0], r.Relation)
		}
		for what := range Reach(reaches) {
			for _, to := range audiences {
				for _, invisible := range []bool{false, true} {
					p := Privacy{Invisible: invisible}
					if s := p.setting(what); s != nil { // only the setting that is meant is open
						*s = to
					}
					want := false
					switch cells[1+what] {
					case "a":
						want = true
					case "e":
						want = to.Kind == EveryoneHere && !invisible
					case "g":
						want = (to.Kind == EveryoneHere || to.Kind == ContactsOnly || slices.Contains(to.Groups, "sales")) && !invisible
					}
					if got := May(r, what, p); got != want {
						t.Errorf("%s, %d, %+v: %v", r.Relation, what, p, got)
					}
				}
			}
		}
	}
	for what := range Reach(255) {
		if May(Record{Relation: 6}, what, open()) || what >= reaches && May(Record{Relation: Verified}, what, open()) {
			t.Error("what is not in the table may pass")
		}
	}
	a, _, _ := pair(t)
	for what := range Reach(255) {
		if got := a.May(a.id(), what, Privacy{Invisible: true}); got != (what != ReachRequest && what < reaches) {
			t.Errorf("one's own devices, %d: %v", what, got)
		}
	}
	if Relation(77).String() != "unknown" {
		t.Error("a relation of the future has a name")
	}
	if b, err := Asking.MarshalText(); err != nil || string(b) != "asking" {
		t.Errorf("%s %v", b, err)
	}
}

func TestANewHomeCanBeFoundAndShowsNoMore(t *testing.T) {
	for what, want := range map[Reach]bool{ReachNearby: true, ReachPresence: false, ReachOwnTyping: false, ReachRead: false} {
		if May(Record{Relation: Stranger}, what, DefaultPrivacy()) != want || !May(Record{Relation: Contact}, what, DefaultPrivacy()) {
			t.Errorf("%d", what)
		}
	}
}

// drawAudience, drawRecord and drawPrivacy draw what may meet.
func drawAudience(t *rapid.T) Audience {
	a := Audience{Kind: AudienceKind(rapid.IntRange(0, int(InGroups)).Draw(t, "kind"))}
	if a.Kind == InGroups {
		a.Groups = drawGroups(t)
	}
	return a
}

func drawGroups(t *rapid.T) []string {
	groups, err := CleanGroups(rapid.SliceOfN(rapid.SampledFrom([]string{"Sales", "sales", "Board", "IT", "ÄRZTE", "ärzte"}), 1, 4).Draw(t, "groups"))
	if err != nil {
		t.Fatal(err)
	}
	return groups
}

func drawRecord(t *rapid.T) Record {
	r := Record{Person: personID(rapid.SampledFrom([]string{"ann", "ben"}).Draw(t, "who")), Relation: Relation(rapid.IntRange(0, int(Blocked)).Draw(t, "relation"))}
	if r.Relation.Known() && rapid.Bool().Draw(t, "sorted") {
		r.Groups = drawGroups(t)
	}
	return r
}

func drawPrivacy(t *rapid.T) Privacy {
	p := Privacy{Nearby: drawAudience(t), Presence: drawAudience(t), Typing: drawAudience(t), Read: drawAudience(t), Invisible: rapid.Bool().Draw(t, "invisible")}
	for _, who := range []string{"ann", "cleo"} {
		if rapid.Bool().Draw(t, "excepted") {
			one := func(what string) *bool {
				return rapid.Ptr(rapid.Bool(), true).Draw(t, what)
			}
			p.Exceptions = append(p.Exceptions, chat.PrivacyException{Person: personID(who), Presence: one("presence"), Typing: one("typing"), Read: one("read")})
		}
	}
	slices.SortFunc(p.Exceptions, func(a, b chat.PrivacyException) int { return compare(a.Person, b.Person) })
	return p
}

// Whatever is set: the blocked and those who look for somebody invisible see nothing;
// who is no contact sees what is for everyone at the most; an exception counts for whom
// it is about and nobody else; and what nobody may see is nobody's.
func TestNobodyMustSeeMoreThanTheirRelationTheirGroupsAndTheirExceptionAllow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, p := drawRecord(t), drawPrivacy(t)
		for what := ReachNearby; what < reaches; what++ {
			to := *p.setting(what)
			got := May(r, what, p)
			var except *bool
			for _, x := range p.Exceptions {
				if x.Person == r.Person {
					except = excepted(x, what)
				}
			}
			want := false
			switch {
			case r.Relation == Blocked || p.Invisible:
			case except != nil && !*except:
			case except != nil && r.Relation.Known():
				want = true
			case to.Kind == EveryoneHere:
				want = true
			case r.Relation.Known() && to.Kind == ContactsOnly:
				want = true
			case r.Relation.Known() && to.Kind == InGroups:
				want = slices.ContainsFunc(r.Groups, func(g string) bool {
					return slices.ContainsFunc(to.Groups, func(h string) bool { return strings.EqualFold(g, h) })
				})
			}
			if got != want {
				t.Fatalf("%+v, %d, %+v: %v", r, what, p, got)
			}
			if got && !p.Shows(what) || !got && p.ShowsAll(what) && r.Relation != Blocked {
				t.Fatalf("%+v, %d: shown to some %v, to all %v, and %v", r, what, p.Shows(what), p.ShowsAll(what), got)
			}
		}
		if again, err := ParsePrivacy(p.Face()); err != nil || !May(r, ReachRead, again) != !May(r, ReachRead, p) || again.Face().Typing != p.Face().Typing {
			t.Fatalf("%+v became %+v (%v)", p, again, err)
		}
	})
}
