package main

import (
	"cmp"
	"context"
	"iter"
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
// under their department.
func office(people []chat.Person) []section {
	named, rest := map[string]*section{}, map[string]*section{}
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
		case p.Relation.Known():
			under := headings(p)
			for _, h := range under {
				put(named, strings.ToLower(h), h, p)
			}
			if len(under) == 0 {
				put(rest, headContacts, headContacts, p)
			}
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
	keys := make([]string, 0, len(named))
	for key := range named {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		add(named[key])
	}
	for _, h := range []string{headContacts, headWaiting, headNear, headMet, headBlocked} {
		add(rest[h])
	}
	return out
}

// headings are the groups of a contact, else their department.
func headings(p chat.Person) []string {
	if len(p.Groups) > 0 {
		return p.Groups
	}
	if p.Profile != nil && cell(p.Profile.Department) != "" {
		return []string{cell(p.Profile.Department)}
	}
	return nil
}

// freedom ranks people by how likely they can be talked to now.
func freedom(p chat.Person) int {
	return slices.Index([]string{phrase.MarkAvailable, phrase.MarkHere, phrase.MarkAway, phrase.MarkBusy, phrase.MarkGone}, phrase.Mark(p))
}

// inGroup reports whether somebody stands under a heading of this name.
func inGroup(p chat.Person, name string) bool {
	return slices.ContainsFunc(p.Groups, func(g string) bool { return strings.EqualFold(g, name) }) ||
		p.Profile != nil && p.Relation.Known() && strings.EqualFold(cell(p.Profile.Department), name)
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
		people = slices.DeleteFunc(people, func(p chat.Person) bool {
			return a.opt.group != "" && !inGroup(p, a.opt.group) || a.opt.sought != "" && !holds(p, a.opt.sought)
		})
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
