package node

import (
	"bytes"
	"slices"
	"strings"
	"sync"
	"unicode"

	"earshot/chat"
	"earshot/chat/contacts"
)

// This file is how people whose names look alike are told apart wherever one of
// them is shown, as contacts.DisplayAll does it, but without looking at everybody
// each time: identities are free, and thousands may come by one name.

// lookalikes holds, for each look that a name can have, who looks so, in ascending
// order of ids. Of all others in that order the two beside a person share the
// longest beginning of an id with theirs.
type lookalikes map[string][]*person

// setName gives a person a name, and everybody whose display name that changes
// theirs.
func (p *people) setName(per *person, name string) {
	p.unplace(per)
	per.name = name
	per.odd = name == "" || contacts.Mixed(name) || strings.ContainsFunc(name, opening)
	per.looks = [2]string{contacts.Skeleton(name), contacts.Skeleton(strings.ToLower(name))}
	for i, look := range per.looks {
		group := p.looks[i][look]
		at, _ := slices.BinarySearchFunc(group, per, compareIDs)
		p.looks[i][look] = slices.Insert(group, at, per)
	}
	p.rewrite([]*person{per})
	for i := range per.looks {
		p.rewrite(p.beside(i, per))
	}
}

// opening reports opening punctuation, as before an id.
func opening(r rune) bool { return unicode.Is(unicode.Ps, r) || unicode.Is(unicode.Pi, r) }

// unplace takes a person's name out of the comparison.
func (p *people) unplace(per *person) {
	for i, look := range per.looks {
		group := p.looks[i][look]
		at, found := slices.BinarySearchFunc(group, per, compareIDs)
		if !found {
			return
		}
		beside := p.beside(i, per)
		if group = slices.Delete(group, at, at+1); len(group) == 0 {
			delete(p.looks[i], look)
		} else {
			p.looks[i][look] = group
		}
		p.rewrite(beside)
	}
}

func compareIDs(a, b *person) int { return bytes.Compare(a.id[:], b.id[:]) }

// beside returns who stands next to a person among those of one look.
func (p *people) beside(i int, per *person) []*person {
	group := p.looks[i][per.looks[i]]
	at, found := slices.BinarySearchFunc(group, per, compareIDs)
	if !found {
		return nil
	}
	out := make([]*person, 0, 2)
	if at > 0 {
		out = append(out, group[at-1])
	}
	if at+1 < len(group) {
		out = append(out, group[at+1])
	}
	return out
}

// rewrite works out display names anew and notes which have changed.
func (p *people) rewrite(some []*person) {
	for _, per := range some {
		if display := p.written(per); display != per.display {
			per.display = display
			p.names.put(per.id, display)
			p.renamed = append(p.renamed, per.id)
		}
	}
}

// takeRenamed returns whose display name has changed.
func (p *people) takeRenamed() []chat.PersonID {
	out := p.renamed
	p.renamed = nil
	return out
}

// written returns a name with as much of the id as tells the person from all who
// look alike.
func (p *people) written(per *person) string {
	chunk := len(per.id.Short())
	id, cut := per.id.String(), 0
	if per.odd {
		cut = chunk
	}
	for i := range per.looks {
		for _, other := range p.beside(i, per) {
			theirs := other.id.String()
			cut = max(cut, chunk)
			for cut < len(id) && id[:cut] == theirs[:cut] {
				cut += chunk + 1
			}
		}
	}
	switch id = id[:min(cut, len(id))]; {
	case per.name == "": // nobody can take that for a name: one with brackets has an id behind it
		return "(" + id + ")"
	case cut == 0:
		return per.name
	}
	return per.name + " (" + id + ")"
}

// nameless returns how a person is written of whom nothing is known.
func nameless(who chat.PersonID) string { return "(" + who.Short() + ")" }

// displayNames are how people are written, for those outside the loop. Safe for
// concurrent use.
type displayNames struct {
	self chat.PersonID // this person
	mu   sync.RWMutex
	of   map[chat.PersonID]string
}

func (n *displayNames) put(who chat.PersonID, display string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.of[who] = display
}

func (n *displayNames) drop(who chat.PersonID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.of, who)
}

// sign writes the authors of stored messages as they are written today.
func (n *displayNames) sign(page []chat.Message) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	for i := range page {
		n.message(&page[i])
	}
}

// signFacts does the same for stored facts.
func (n *displayNames) signFacts(facts []chat.Event) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	for i, f := range facts {
		switch e := f.(type) {
		case chat.MessageEvent:
			n.message(&e.Message)
			facts[i] = e
		case chat.MessageChangedEvent:
			n.message(&e.Message)
			facts[i] = e
		}
	}
}

// message writes everybody's name into a message, and which reactions are one's own.
func (n *displayNames) message(m *chat.Message) {
	n.author(&m.From)
	if m.Removed != nil && !m.Removed.By.Person.IsZero() {
		n.author(&m.Removed.By)
	}
	for i := range m.Reactions {
		r := &m.Reactions[i]
		r.Mine = slices.Contains(r.People, n.self)
	}
}

func (n *displayNames) author(a *chat.Author) {
	display, ok := n.of[a.Person]
	if !ok { // forgotten, one of very many: the name is not compared with others
		display = strings.TrimSpace(a.Name + " " + nameless(a.Person))
	}
	a.Name = display
}
