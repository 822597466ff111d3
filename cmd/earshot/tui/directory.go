package tui

import (
	"slices"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"earshot/chat"
)

// directory knows people by id and gives each a name that no one else on this
// screen has: two people of one name are told apart by the start of their ids.
type directory struct {
	me     chat.Author
	local  *time.Location
	people []chat.Person // others and me, sorted for the side column
	called map[chat.PersonID]string
	shared map[string]int // how many people are called this, by folded name
	gen    int            // rises when any name may have changed
}

func newDirectory(local *time.Location) *directory {
	return &directory{local: local, called: map[chat.PersonID]string{}, shared: map[string]int{}}
}

// setPeople replaces what the node knows of people.
func (d *directory) setPeople(people []chat.Person) {
	d.people = slices.Clone(people)
	for i := range d.people {
		d.meet(d.people[i].Person, d.people[i].Name)
	}
	d.sort()
}

// setPerson replaces what the node knows of one person.
func (d *directory) setPerson(p chat.Person) {
	d.meet(p.Person, p.Name)
	if i := slices.IndexFunc(d.people, func(q chat.Person) bool { return q.Person == p.Person }); i >= 0 {
		d.people[i] = p
	} else {
		d.people = append(d.people, p)
	}
	d.sort()
}

func (d *directory) sort() {
	slices.SortStableFunc(d.people, func(a, b chat.Person) int {
		if a.Me != b.Me {
			return one(b.Me) - one(a.Me)
		}
		if ah, bh := a.Presence == chat.Here, b.Presence == chat.Here; ah != bh {
			return one(bh) - one(ah)
		}
		if c := strings.Compare(fold(a.Name), fold(b.Name)); c != 0 {
			return c
		}
		return slices.Compare(a.Person[:], b.Person[:])
	})
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// meet notes what a person calls themselves now.
func (d *directory) meet(p chat.PersonID, name string) {
	name = safeName(name)
	old, known := d.called[p]
	if known && old == name {
		return
	}
	if known {
		d.shared[fold(old)]--
	}
	d.called[p] = name
	d.shared[fold(name)]++
	d.gen++
}

// meetAuthors notes the authors of messages whom the node did not list.
func (d *directory) meetAuthors(msgs []chat.Message) {
	for i := range msgs {
		if _, known := d.called[msgs[i].From.Person]; !known {
			d.meet(msgs[i].From.Person, msgs[i].From.Name)
		}
	}
}

// name returns what an author is called on this screen.
func (d *directory) name(a chat.Author) string {
	if name, known := d.called[a.Person]; known {
		return d.distinct(a.Person, name)
	}
	return d.distinct(a.Person, safeName(a.Name))
}

// distinct adds the start of the id where a name alone would mislead: shared by
// two, or made to look like a remark of ours.
func (d *directory) distinct(p chat.PersonID, name string) string {
	folded := fold(name)
	if d.shared[folded] < 2 && !strings.Contains(folded, "(you)") {
		return name
	}
	return name + " [" + p.Short() + "]"
}

// here counts the people who are reachable now, without the user.
func (d *directory) here() int {
	n := 0
	for i := range d.people {
		if !d.people[i].Me && d.people[i].Presence == chat.Here {
			n++
		}
	}
	return n
}

// fold maps names that look alike in case or width to one.
func fold(name string) string { return strings.ToLower(norm.NFKC.String(name)) }
