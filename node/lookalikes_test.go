package node

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"earshot/chat"
	"earshot/chat/contacts"
)

// Whatever names come, change and are forgotten, all are written as the contacts
// package writes them when it looks at everybody.
func TestDisplayNamesAreThoseThatLookingAtEverybodyGives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newPeople(personNo(0), nil)
		at := time.Now()
		told := map[chat.PersonID]string{}
		name := rapid.SampledFrom([]string{"Bob", "bob", "B0b", "Воb", "Ann", "Ann (K7Q2LM)", "Änn", "rn", "m", "Раul", "Paul", "ᏴOB"})
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			at = at.Add(time.Second)
			// Ids with a long beginning in common, and others.
			id := personNo(rapid.IntRange(1, 12).Draw(t, "who"))
			if rapid.Bool().Draw(t, "elsewhere") {
				id[0] = 0xff
			}
			p.meet(numbered(int(id[19])), id, name.Draw(t, "name"), at)
			if rapid.IntRange(0, 9).Draw(t, "forget") == 0 {
				if per := p.persons[id]; per != nil {
					p.unplace(per)
					p.names.drop(id)
					delete(p.persons, id)
					delete(told, id)
				}
			}
			for _, who := range p.takeRenamed() {
				told[who] = p.displayName(who)
			}
		}
		var all []contacts.Named
		for id, per := range p.persons {
			all = append(all, contacts.Named{Person: id, Name: per.name})
		}
		for i, want := range contacts.DisplayAll(all) {
			if got := p.displayName(all[i].Person); got != want || told[all[i].Person] != want || p.names.of[all[i].Person] != want {
				t.Fatalf("%v is written %q, faces were told %q, and it should be %q", all[i], got, told[all[i].Person], want)
			}
		}
	})
}

func TestSomebodyWithoutANameMustNotPassForSomebodyElse(t *testing.T) {
	p := newPeople(personNo(0), nil)
	p.know(personNo(1), "", time.Time{})
	short := personNo(1).Short()
	if got := p.displayName(personNo(1)); got != "("+short+")" {
		t.Errorf("written %q", got)
	}
	p.know(personNo(1<<40), "", time.Time{})
	p.meet(numbered(3), personNo(3), "("+short+")", time.Now())
	for _, id := range []chat.PersonID{personNo(1 << 40), personNo(3)} {
		if p.displayName(id) == p.displayName(personNo(1)) {
			t.Errorf("%v is written %q too", id, p.displayName(id))
		}
	}
	if got := p.displayName(personNo(7)); got != "("+personNo(7).Short()+")" {
		t.Errorf("somebody nobody has met is written %q", got)
	}
}

func TestStoredMessagesAreSignedWithTodaysNames(t *testing.T) {
	p := newPeople(personNo(0), nil)
	p.meet(numbered(1), personNo(1), "Bob", time.Now())
	p.meet(numbered(2), personNo(2), "Bоb", time.Now())
	page := []chat.Message{{From: chat.Author{Person: personNo(1), Name: "Bobby"}}, {From: chat.Author{Person: personNo(9), Name: "Old"}}, {From: chat.Author{Person: personNo(8)}}}
	facts := []chat.Event{chat.MessageEvent{Message: page[0]}, chat.RoomEvent{Room: "#lobby"}}
	p.names.sign(page)
	p.names.signFacts(facts)
	want := []string{p.displayName(personNo(1)), "Old (" + personNo(9).Short() + ")", "(" + personNo(8).Short() + ")"}
	for i := range page {
		if page[i].From.Name != want[i] {
			t.Errorf("signed %q, not %q", page[i].From.Name, want[i])
		}
	}
	if m := facts[0].(chat.MessageEvent); m.From.Name != want[0] || !strings.HasPrefix(want[0], "Bob (") {
		t.Errorf("signed %q", m.From.Name)
	}
}

// A person with whom there is a relation is not pushed out by a crowd, nor is a
// crowd of devices of one person remembered.
func TestACrowdMustNotPushOutContacts(t *testing.T) {
	now := time.Now()
	p := newPeople(personNo(0), nil)
	friend := personNo(-7)
	p.relation = func(who chat.PersonID) contacts.Relation {
		if who == friend {
			return contacts.Blocked
		}
		return contacts.Stranger
	}
	p.meet(numbered(-1), friend, "Eve", now.Add(-time.Hour))
	for i := range 2 * maxPeople {
		p.meet(numbered(i), personNo(i+1), "Mallory", now.Add(time.Duration(i)))
	}
	if p.devices[numbered(-1)] == nil || p.persons[friend] == nil {
		t.Error("who is blocked was forgotten, and would be let in")
	}
	if len(p.devices) > maxPeople || len(p.names.of) != len(p.persons) || len(p.looks[0]["mallory"])+2 < len(p.persons) {
		t.Errorf("%d devices, %d persons, %d names, %d look alike", len(p.devices), len(p.persons), len(p.names.of), len(p.looks[0]["mallory"]))
	}
	for i := range 1000 {
		p.meet(numbered(-1000-i), friend, "Eve", now)
	}
	if n := len(p.persons[friend].devices); n != maxDevicesEach {
		t.Errorf("%d devices of one person are remembered", n)
	}
	if !slices.ContainsFunc(p.persons[friend].devices, func(d *device) bool { return d.id == numbered(-1999) }) {
		t.Error("the newest is not")
	}
}

// A flood of hellos by one name: what each costs the loop, among as many people as
// are remembered.
func BenchmarkMeetAmongLookalikes(b *testing.B) {
	for _, others := range []int{16, maxPeople - 1} {
		b.Run(fmt.Sprint(others), func(b *testing.B) {
			p := newPeople(personNo(0), nil)
			at := time.Now()
			for i := range others {
				p.meet(numbered(i), personNo(i+1), "Mallory", at)
			}
			p.takeRenamed()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				at = at.Add(1)
				p.meet(numbered(i%others), personNo(i%others+1), []string{"Ma11ory", "Mallory", "Ben"}[(i+i/others)%3], at)
				p.takeRenamed()
			}
		})
	}
}
