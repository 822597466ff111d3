package main

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"
	"strings"

	"earshot/chat"
	"earshot/chat/phrase"
)

// This file lists people as an office does: those one knows by group or department,
// strangers apart.

// section is a part of the list.
type section struct {
	heading string
	people  []chat.Person
}

// Headings of those whom no group or department holds.
const (
	headMe       = "You"
	headContacts = "Contacts"
	headWaiting  = "Asked, or asking"
	headNear     = "Nearby, not known"
	headMet      = "Met before, not known"
	headBlocked  = "Blocked"
)

// office sorts people into sections: a contact stands under each of their groups, else
// under their department. The two are kept apart: groups are this person's own word,
// departments that of others.
func office(people []chat.Person) []section {
	groups, departments, rest := map[string]*section{}, map[string]*section{}, map[string]*section{}
	put := func(in map[string]*section, key, heading string, p chat.Person) {
		if in[key] == nil {
			in[key] = &section{heading: heading}
		}
		in[key].people = append(in[key].people, p)
	}
	for _, p := range people {
		switch {
		case p.Me:
			put(rest, headMe, headMe, p)
		case len(p.Groups) > 0 && p.Relation.Known():
			for _, g := range p.Groups {
				put(groups, strings.ToLower(g), g, p)
			}
		case department(p) != "":
			put(departments, strings.ToLower(department(p)), "Department "+department(p), p)
		case p.Relation.Known():
			put(rest, headContacts, headContacts, p)
		case p.Relation == chat.RelationBlocked:
			put(rest, headBlocked, headBlocked, p)
		case p.Relation == chat.RelationAsking, p.Relation == chat.RelationRequested:
			put(rest, headWaiting, headWaiting, p)
		case p.Presence == chat.Here:
			put(rest, headNear, headNear, p)
		default:
			put(rest, headMet, headMet, p)
		}
	}
	var out []section
	add := func(s *section) {
		if s != nil {
			slices.SortStableFunc(s.people, func(a, b chat.Person) int { return freedom(a) - freedom(b) })
			out = append(out, *s)
		}
	}
	add(rest[headMe])
	for _, named := range []map[string]*section{groups, departments} {
		for _, key := range slices.Sorted(maps.Keys(named)) {
			add(named[key])
		}
	}
	for _, h := range []string{headContacts, headWaiting, headNear, headMet, headBlocked} {
		add(rest[h])
	}
	return out
}

// department is the one that a contact says is theirs; nobody else is believed.
func department(p chat.Person) string {
	if p.Profile == nil || !p.Relation.Known() {
		return ""
	}
	return cell(p.Profile.Department)
}

// freedom ranks people by how likely they can be talked to now.
func freedom(p chat.Person) int {
	return slices.Index([]string{phrase.MarkAvailable, phrase.MarkHere, phrase.MarkAway, phrase.MarkBusy, phrase.MarkGone}, phrase.Mark(p))
}

// inGroup returns who is in a group or, if there is none of this name, in a department.
func inGroup(people []chat.Person, name string) []chat.Person {
	var in, at []chat.Person
	for _, p := range people {
		if slices.ContainsFunc(p.Groups, func(g string) bool { return strings.EqualFold(g, name) }) {
			in = append(in, p)
		}
		if strings.EqualFold(department(p), name) {
			at = append(at, p)
		}
	}
	if len(in) > 0 {
		return in
	}
	return at
}

// holds reports whether something known of somebody holds a text, whatever its case.
func holds(p chat.Person, text string) bool {
	known := append([]string{p.Name, p.Person.String(), p.Status.Text}, p.Groups...)
	for _, row := range profileFields(p.Profile) {
		known = append(known, row[1])
	}
	text = strings.ToLower(text)
	return slices.ContainsFunc(known, func(s string) bool { return strings.Contains(strings.ToLower(s), text) })
}

// office prints the list.
func (p *printer) office(people []chat.Person) error {
	now := p.now().In(p.zone)
	var rows [][]string
	headings := map[int]string{} // by the row below it
	for _, s := range office(people) {
		headings[len(rows)] = s.heading
		for _, who := range s.people {
			state := phrase.Person(who, now)
			if text := phrase.Text(who.Status.At(now), now); text != "" {
				state += ": " + text
			}
			what := cmp.Or(relation(who), "you")
			if who.Team {
				what += ", team"
			}
			rows = append(rows, []string{phrase.Mark(who), who.Name, state, what, who.Person.Short()})
		}
	}
	if len(rows) == 0 {
		p.note("Nobody like that.")
		return nil
	}
	for i, line := range aligned(append([][]string{{"", "NAME", "STATE", "RELATION", "PERSON"}}, rows...)) {
		line = "  " + line
		if h := headings[i-1]; h != "" {
			line = cell(h) + "\n" + line
		}
		if err := p.line("%s", line); err != nil {
			return err
		}
	}
	return nil
}

// sortedNames sorts names as people do, whatever their case.
func sortedNames(names iter.Seq[string]) []string {
	return slices.SortedFunc(names, func(a, b string) int {
		return cmp.Or(strings.Compare(strings.ToLower(a), strings.ToLower(b)), strings.Compare(a, b))
	})
}

func runPeople(ctx context.Context, a *app, args []string) error {
	return a.with(ctx, need{network: true}, func(s *session) error {
		if s.mine() != nil && !a.opt.offline {
			if err := waitForPeople(ctx, s.Client); err != nil {
				return err
			}
		}
		people, err := s.People(ctx)
		if err != nil {
			return err
		}
		if len(args) > 0 {
			if people = findPeople(people, args[0]); len(people) == 0 {
				return chat.Errorf(chat.CodeNotFound, "Nobody here is called %q. `earshot people` lists whom you have met.", cell(args[0]))
			}
		}
		if a.opt.group != "" {
			people = inGroup(people, a.opt.group)
		}
		people = slices.DeleteFunc(people, func(p chat.Person) bool { return a.opt.sought != "" && !holds(p, a.opt.sought) })
		switch {
		case a.p.json:
			for _, p := range people {
				if err := a.p.object(p); err != nil {
					return err
				}
			}
			return nil
		case len(args) > 0:
			return a.p.fields(peopleFields(a.p, people))
		}
		return a.p.office(people)
	})
}
