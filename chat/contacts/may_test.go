package contacts

import (
	"strings"
	"testing"
)

// The rows are relations, the columns what reaches, the cells the narrowest setting
// of privacy at which it does: - never, a always, e everyone here, c contacts too.
const wholeTable = `
            request message file typing invitation nearby presence read
stranger    a       -       -    -      -          e      e        e
requested   a       -       -    -      -          e      e        e
asking      a       -       -    -      -          e      e        e
contact     a       a       a    a      a          c      c        c
verified    a       a       a    a      a          c      c        c
blocked     -       -       -    -      -          -      -        -
`

func TestTheWholeTableOfWhatMayReachWhom(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(wholeTable), "\n")
	if len(lines) != 1+len(relationNames) || len(strings.Fields(lines[0])) != reaches {
		t.Fatalf("%d lines", len(lines))
	}
	for i, line := range lines[1:] {
		cells := strings.Fields(line)
		r := Relation(i)
		if cells[0] != r.String() {
			t.Fatalf("row %d is %s, not %s", i, cells[0], r)
		}
		for what := range Reach(reaches) {
			for _, to := range []Audience{Nobody, ContactsOnly, EveryoneHere, 99} {
				for _, invisible := range []bool{false, true} {
					p := Privacy{Invisible: invisible}
					switch what { // only the setting that is meant is open
					case ReachNearby:
						p.Nearby = to
					case ReachPresence:
						p.Presence = to
					case ReachRead:
						p.Read = to
					}
					want := false
					switch cells[1+what] {
					case "a":
						want = true
					case "e":
						want = to == EveryoneHere && !invisible
					case "c":
						want = (to == EveryoneHere || to == ContactsOnly) && !invisible
					}
					if got := May(r, what, p); got != want {
						t.Errorf("%s, %d, %+v: %v", r, what, p, got)
					}
				}
			}
		}
	}
	all := Privacy{EveryoneHere, EveryoneHere, EveryoneHere, false}
	for what := range Reach(255) {
		if May(Relation(6), what, all) || what >= reaches && May(Verified, what, all) {
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
	for what, want := range map[Reach]bool{ReachNearby: true, ReachPresence: false, ReachRead: false} {
		if May(Stranger, what, DefaultPrivacy) != want || !May(Contact, what, DefaultPrivacy) {
			t.Errorf("%d", what)
		}
	}
}
