package main

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"earshot/chat"
	"earshot/cmd/earshot/wording"
	"earshot/node/api/client"
)

// This file is what people tell of themselves, and into which groups this person puts
// them.

// partCalled returns the part of a profile with this name.
func partCalled(name string) (wording.ProfilePart, error) {
	var names []string
	for _, part := range wording.ProfileParts {
		if names = append(names, part.Name); strings.EqualFold(part.Name, name) {
			return part, nil
		}
	}
	return wording.ProfilePart{}, chat.Errorf(chat.CodeUsage, "A profile has no %q. Say %s.", cell(name), strings.Join(names, ", "))
}

// profileFields shows the parts that there are.
func profileFields(p *chat.Profile) (rows [][2]string) {
	if p == nil {
		return nil
	}
	for _, part := range wording.ProfileParts {
		if text := *part.Of(p); text != "" {
			rows = append(rows, [2]string{part.Label, cell(text)})
		}
	}
	return rows
}

func runProfile(ctx context.Context, a *app, args []string) error {
	return a.with(ctx, need{}, func(s *session) error {
		if len(args) == 0 {
			p, err := s.Profile(ctx)
			if err != nil {
				return err
			}
			return a.p.ownProfile(p)
		}
		p, err := findPerson(ctx, s.Client, args[0])
		switch {
		case err != nil:
			return err
		case a.p.json && p.Profile == nil:
			return a.p.object(chat.Profile{})
		case a.p.json:
			return a.p.object(p.Profile)
		}
		rows := profileFields(p.Profile)
		if len(rows) == 0 {
			a.p.note("%s tells you nothing of themselves.", called(p))
			return nil
		}
		return a.p.fields(append([][2]string{{"Name", called(p) + ", " + relation(p)}}, rows...))
	})
}

// ownProfile prints each part and who may see it.
func (p *printer) ownProfile(own chat.OwnProfile) error {
	if p.json {
		return p.object(own)
	}
	var rows [][]string
	for _, part := range wording.ProfileParts {
		text := *part.Of(&own.Profile)
		who := cmp.Or(own.For[part.Name], chat.OnlyContacts)
		if text == "" {
			text, who = "-", ""
		}
		rows = append(rows, []string{part.Label, text, who})
	}
	return p.table([]string{"PART", "YOURS", "WHO MAY SEE IT"}, rows, "")
}

func runSetProfile(ctx context.Context, a *app, args []string) error {
	return a.with(ctx, need{}, func(s *session) error {
		own, err := s.Profile(ctx)
		if err != nil {
			return err
		}
		own.For = maps.Clone(own.For)
		if own.For == nil {
			own.For = map[string]chat.Audience{}
		}
		for _, arg := range args {
			if err := setPart(&own, arg, a.opt.audience); err != nil {
				return err
			}
		}
		if own, err = s.SetProfile(ctx, own); err != nil {
			return err
		}
		return a.p.ownProfile(own)
	})
}

// setPart changes one part: "title=Head of it", or "title" for its audience alone.
func setPart(own *chat.OwnProfile, arg string, audience chat.Audience) error {
	name, text, changed := strings.Cut(arg, "=")
	part, err := partCalled(name)
	if err != nil {
		return err
	}
	if audience != "" {
		own.For[part.Name] = audience
	} else if !changed {
		return chat.Errorf(chat.CodeUsage, "What is your %s? Say %s=TEXT, or who may see it with --for.", part.Name, part.Name)
	}
	if changed {
		*part.Of(&own.Profile) = strings.TrimSpace(text)
	}
	return nil
}

// grouping puts contacts into a group, or takes them out of it.
func grouping(in bool) verb {
	return func(ctx context.Context, a *app, args []string) error {
		return a.with(ctx, need{}, func(s *session) error {
			contacts, err := s.Contacts(ctx)
			if err != nil {
				return err
			}
			name := args[0]
			for have := range groupsOf(contacts) { // as it is spelled already
				if strings.EqualFold(have, name) {
					name = have
				}
			}
			var people []chat.Person
			for _, ref := range args[1:] { // all are known before any is moved
				p, err := findPerson(ctx, s.Client, ref)
				if err != nil {
					return err
				}
				people = append(people, p)
			}
			for _, p := range people {
				groups := slices.DeleteFunc(slices.Clone(p.Groups), func(g string) bool { return strings.EqualFold(g, name) })
				if in {
					groups = append(groups, name)
				}
				c, err := s.SetGroups(ctx, p.Person.String(), groups)
				if err != nil {
					return err
				}
				if err := a.p.grouped(c); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

func (p *printer) grouped(c chat.Contact) error {
	if p.json {
		return p.object(c)
	}
	if len(c.Groups) == 0 {
		return p.line("%s is in no group.", called(c.Person))
	}
	return p.line("%s is in: %s.", called(c.Person), cell(strings.Join(c.Groups, ", ")))
}

// groupsOf returns who is in each group.
func groupsOf(contacts []chat.Contact) map[string][]chat.Person {
	out := map[string][]chat.Person{}
	for _, c := range contacts {
		for _, g := range c.Groups {
			out[g] = append(out[g], c.Person)
		}
	}
	return out
}

// group is one line of `earshot group list --json`.
type group struct {
	Group  string        `json:"group"`
	People []chat.Person `json:"people"`
}

func runGroups(ctx context.Context, a *app, _ []string) error {
	return a.with(ctx, need{}, func(s *session) error {
		contacts, err := s.Contacts(ctx)
		if err != nil {
			return err
		}
		groups := groupsOf(contacts)
		var rows [][]string
		for _, name := range sortedNames(maps.Keys(groups)) {
			if a.p.json {
				if err := a.p.object(group{name, groups[name]}); err != nil {
					return err
				}
				continue
			}
			rows = append(rows, []string{name, names(groups[name])})
		}
		if a.p.json {
			return nil
		}
		return a.p.table([]string{"GROUP", "PEOPLE"}, rows, "You have no groups. Make one with: earshot group add NAME PERSON")
	})
}

func names(people []chat.Person) string {
	var out []string
	for _, p := range people {
		out = append(out, cell(p.Name))
	}
	return strings.Join(out, ", ")
}

// teaming says that a contact is of the team, or is not.
func teaming(in bool) verb {
	return func(ctx context.Context, a *app, args []string) error {
		return a.with(ctx, need{}, func(s *session) error {
			p, err := findPerson(ctx, s.Client, args[0])
			if err != nil {
				return err
			}
			c, err := s.SetTeam(ctx, p.Person.String(), in)
			switch {
			case err != nil:
				return err
			case a.p.json:
				return a.p.object(c)
			case c.Team:
				return a.p.line("%s is of your team: their mentions get through.", called(c.Person))
			}
			return a.p.line("%s is not of your team.", called(c.Person))
		})
	}
}

func runTeam(ctx context.Context, a *app, _ []string) error {
	return a.with(ctx, need{}, func(s *session) error {
		contacts, err := s.Contacts(ctx)
		if err != nil {
			return err
		}
		var rows [][]string
		for _, c := range contacts {
			switch {
			case !c.Team:
			case a.p.json:
				if err := a.p.object(c); err != nil {
					return err
				}
			default:
				rows = append(rows, []string{c.Name, relation(c.Person), c.Person.Person.Short()})
			}
		}
		if a.p.json {
			return nil
		}
		return a.p.table([]string{"NAME", "RELATION", "PERSON"}, rows, "Nobody is of your team. Say who is with: earshot team add PERSON")
	})
}

// completeGroups offers the groups that there are.
func completeGroups(ctx context.Context, c *client.Client) []string {
	contacts, err := c.Contacts(ctx)
	if err != nil {
		return nil
	}
	var out []string
	for _, name := range sortedNames(maps.Keys(groupsOf(contacts))) {
		out = append(out, cell(name))
	}
	return out
}

// completeParts offers the parts of a profile.
func completeParts(context.Context, *client.Client) (out []string) {
	for _, part := range wording.ProfileParts {
		out = append(out, part.Name+"=")
	}
	return out
}
