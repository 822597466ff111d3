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
	people []chat.Person                  // others and me; list returns them in order
	byID   map[chat.PersonID]*chat.Person // copies: people moves
	sorted bool
	called map[chat.PersonID]calling
	shared map[string]int // how many people are called this, by folded name
	gen    int            // rises when any name, or what stands behind it, may have changed

	verified map[chat.PersonID]bool
}

// calling is what a person calls themselves: as shown, and as compared.
type calling struct{ name, folded string }

func newDirectory(local *time.Location) *directory {
	return &directory{local: local, byID: map[chat.PersonID]*chat.Person{}, called: map[chat.PersonID]calling{}, shared: map[string]int{}, verified: map[chat.PersonID]bool{}}
}

// setPeople replaces what the node knows of people.
func (d *directory) setPeople(people []chat.Person) {
	d.people, d.sorted = slices.Clone(people), false
	clear(d.byID)
	for i := range d.people {
		p := d.people[i]
		d.byID[p.Person] = &p
		d.meet(d.people[i].Person, d.people[i].Name)
	}
}

// setPerson replaces what the node knows of one person.
func (d *directory) setPerson(p chat.Person) {
	d.meet(p.Person, p.Name)
	d.sorted = false
	d.byID[p.Person] = &p
	if i := slices.IndexFunc(d.people, func(q chat.Person) bool { return q.Person == p.Person }); i >= 0 {
		d.people[i] = p
	} else {
		d.people = append(d.people, p)
	}
}

// list returns everybody: the user, then who is free, then the others who are here,
// then those who are gone, each by name. A thousand changes between two screens are
// sorted once.
func (d *directory) list() []chat.Person {
	if d.sorted {
		return d.people
	}
	d.sorted = true
	slices.SortStableFunc(d.people, func(a, b chat.Person) int {
		if a.Me != b.Me {
			return one(b.Me) - one(a.Me)
		}
		if c := distance(&a) - distance(&b); c != 0 {
			return c
		}
		if c := strings.Compare(d.called[a.Person].folded, d.called[b.Person].folded); c != 0 {
			return c
		}
		return slices.Compare(a.Person[:], b.Person[:])
	})
	return d.people
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// meet notes what a person calls themselves now.
func (d *directory) meet(p chat.PersonID, name string) {
	name = shownName(name)
	old, known := d.called[p]
	if known && old.name == name {
		return
	}
	if known {
		if d.shared[old.folded]--; d.shared[old.folded] == 0 {
			delete(d.shared, old.folded)
		}
	}
	now := calling{name, fold(name)}
	d.called[p] = now
	d.shared[now.folded]++
	d.gen++
	d.sorted = false
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
	name, tag := d.call(a)
	if tag != "" {
		return name + " " + tag
	}
	return name
}

// call returns an author's name and, where the name alone would mislead, the
// start of their id: when two share it, or when it is made to look like a remark or
// a sign of ours. The user needs none: no other name is followed by "(you)".
func (d *directory) call(a chat.Author) (name, tag string) {
	c, known := d.called[a.Person]
	if !known {
		name := shownName(a.Name)
		c = calling{name, fold(name)}
	}
	if a.Person != d.me.Person && (d.shared[c.folded] > 1 || strings.Contains(c.folded, "(you)") || strings.Contains(c.name, notASign)) {
		tag = "[" + a.Person.Short() + "]"
	}
	return c.name, tag
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

// person returns what the node knows of somebody.
func (d *directory) person(p chat.PersonID) (chat.Person, bool) {
	if known := d.byID[p]; known != nil {
		return *known, true
	}
	return chat.Person{}, false
}

// listed reports whether the node named somebody among the people it knows.
func (d *directory) listed(p chat.PersonID) bool {
	_, ok := d.byID[p]
	return ok
}

// of returns what somebody is called on this screen.
func (d *directory) of(p chat.PersonID) string {
	if _, known := d.called[p]; !known {
		return "[" + p.Short() + "]"
	}
	return d.name(chat.Author{Person: p})
}

// setVerified notes whether the user has verified somebody.
func (d *directory) setVerified(p chat.PersonID, verified bool) {
	if d.verified[p] == verified {
		return
	}
	if verified {
		d.verified[p] = true
	} else {
		delete(d.verified, p)
	}
	d.gen++
}

// fold maps names that look alike in case or width to one.
func fold(name string) string { return strings.ToLower(norm.NFKC.String(name)) }
