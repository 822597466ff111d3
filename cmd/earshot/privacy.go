package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"earshot/chat"
	"earshot/node/api/client"
)

// This file is what this person lets others see.

var audiences = []string{chat.Everyone, chat.OnlyContacts, chat.Nobody}

// privacySettings are what has an audience, and what each is.
var privacySettings = []struct {
	name, what string
	of         func(*chat.Privacy) *chat.Audience
}{
	{"nearby", "that you are here; with nobody, nothing reaches you or leaves", func(p *chat.Privacy) *chat.Audience { return &p.Nearby }},
	{"presence", "whether you are free, and your status text", func(p *chat.Privacy) *chat.Audience { return &p.Presence }},
	{"typing", "when you are typing; never strangers", func(p *chat.Privacy) *chat.Audience { return &p.Typing }},
	{"read", "how far you have read what they wrote", func(p *chat.Privacy) *chat.Audience { return &p.Read }},
}

// exceptable are what one person can see more or less of than others.
var exceptable = []string{"presence", "typing", "read"}

// setPrivacy changes one thing that others can see, or Invisible.
func setPrivacy(ctx context.Context, c *client.Client, what, who string) (chat.Privacy, error) {
	p, err := c.Privacy(ctx)
	if err != nil {
		return p, err
	}
	if what == "invisible" {
		if who != "on" && who != "off" {
			return p, chat.Errorf(chat.CodeUsage, "Invisible is on or off, not %q.", cell(who))
		}
		p.Invisible = who == "on"
		return c.SetPrivacy(ctx, p)
	}
	for _, s := range privacySettings {
		if s.name != what {
			continue
		}
		if !isAudience(who) {
			return p, chat.Errorf(chat.CodeUsage, "%q is nobody who could see that. Say %s.", cell(who), audienceList)
		}
		*s.of(&p) = who
		return c.SetPrivacy(ctx, p)
	}
	return p, chat.Errorf(chat.CodeUsage, "There is no setting %q. Say nearby, presence, typing or read.", cell(what))
}

// audienceList is what can be said for whom something is.
var audienceList = strings.Join(audiences, ", ") + " or " + chat.InGroups + "NAME,NAME"

func isAudience(who string) bool {
	groups, ok := strings.CutPrefix(who, chat.InGroups)
	return ok && groups != "" || slices.Contains(audiences, who)
}

// exception returns what counts for one person, for it to be changed.
func exception(p *chat.Privacy, who chat.PersonID) *chat.PrivacyException {
	i := slices.IndexFunc(p.Exceptions, func(e chat.PrivacyException) bool { return e.Person == who })
	if i < 0 {
		i = len(p.Exceptions)
		p.Exceptions = append(p.Exceptions, chat.PrivacyException{Person: who})
	}
	return &p.Exceptions[i]
}

// part returns what an exception says of one setting.
func part(e *chat.PrivacyException, what string) **bool {
	switch what {
	case "presence":
		return &e.Presence
	case "typing":
		return &e.Typing
	}
	return &e.Read
}

// setException lets one person see more or less than others: show, hide, usual.
func setException(ctx context.Context, c *client.Client, who chat.Person, what, how string) (chat.Privacy, error) {
	p, err := c.Privacy(ctx)
	if err != nil {
		return p, err
	}
	show := how == "show"
	to := &show
	if how == usual {
		to = nil
	}
	*part(exception(&p, who.Person), what) = to
	p.Exceptions = slices.DeleteFunc(p.Exceptions, func(e chat.PrivacyException) bool {
		return e.Presence == nil && e.Typing == nil && e.Read == nil
	})
	return c.SetPrivacy(ctx, p)
}

func runExcept(ctx context.Context, a *app, args []string) error {
	what, how := args[1], args[2]
	switch {
	case !slices.Contains(exceptable, what):
		return chat.Errorf(chat.CodeUsage, "There are no exceptions for %q. Say presence, typing or read.", cell(what))
	case how != "show" && how != "hide" && how != usual:
		return chat.Errorf(chat.CodeUsage, "Shall they see it? Say show, hide or usual, not %q.", cell(how))
	}
	return a.with(ctx, need{}, func(s *session) error {
		p, err := findPerson(ctx, s.Client, args[0])
		if err != nil {
			return err
		}
		if how == "show" && !p.Relation.Known() {
			return chat.Errorf(chat.CodeNotContact, "%s is not a contact, and nobody else is shown more than others are. Ask with: earshot add %s", called(p), p.Person.Short())
		}
		now, err := setException(ctx, s.Client, p, what, how)
		if err != nil {
			return err
		}
		return a.privacyNow(ctx, s, now)
	})
}

// privacyNow prints what others can see.
func (a *app) privacyNow(ctx context.Context, s *session, now chat.Privacy) error {
	if a.p.json {
		return a.p.object(now)
	}
	width := 10
	for _, set := range privacySettings {
		width = max(width, len(*set.of(&now))+2)
	}
	var rows [][2]string
	for _, set := range privacySettings {
		rows = append(rows, [2]string{set.name, fmt.Sprintf("%-*s%s", width, cell(*set.of(&now)), set.what)})
	}
	invisible := "off"
	if now.Invisible {
		invisible = "on: nobody sees you, whatever stands here"
	}
	rows = append(rows, [2]string{"invisible", invisible})
	if len(now.Exceptions) > 0 {
		people, err := s.People(ctx)
		if err != nil {
			return err
		}
		for _, e := range now.Exceptions {
			rows = append(rows, [2]string{"except", excepted(e, people)})
		}
	}
	return a.p.fields(rows)
}

// excepted puts an exception in words: "Bob (K7Q2LM) sees presence, not read".
func excepted(e chat.PrivacyException, people []chat.Person) string {
	who := e.Person.Short()
	if i := slices.IndexFunc(people, func(p chat.Person) bool { return p.Person == e.Person }); i >= 0 {
		who = called(people[i])
	}
	var sees, not []string
	for _, what := range exceptable {
		switch is := *part(&e, what); {
		case is == nil:
		case *is:
			sees = append(sees, what)
		default:
			not = append(not, what)
		}
	}
	switch {
	case len(not) == 0:
		return who + " sees " + strings.Join(sees, " and ")
	case len(sees) == 0:
		return who + " does not see " + strings.Join(not, " or ")
	}
	return who + " sees " + strings.Join(sees, " and ") + ", and not " + strings.Join(not, " or ")
}

func runPrivacy(ctx context.Context, a *app, args []string) error {
	if len(args) == 1 {
		return chat.Errorf(chat.CodeUsage, "Who shall see that? Say `earshot privacy %s`, and %s.", cell(args[0]), audienceList)
	}
	return a.with(ctx, need{}, func(s *session) error {
		var now chat.Privacy
		var err error
		if len(args) == 0 {
			now, err = s.Privacy(ctx)
		} else {
			now, err = setPrivacy(ctx, s.Client, args[0], args[1])
		}
		if err != nil {
			return err
		}
		return a.privacyNow(ctx, s, now)
	})
}

func runInvisible(ctx context.Context, a *app, args []string) error {
	return a.with(ctx, need{}, func(s *session) error {
		now, err := setPrivacy(ctx, s.Client, "invisible", args[0])
		if err != nil {
			return err
		}
		if a.p.json {
			return a.p.object(now)
		}
		return a.p.line("%s", invisibleNow(now))
	})
}

func invisibleNow(p chat.Privacy) string {
	if p.Invisible {
		return "You are invisible: nobody sees you, nothing reaches you, and what you send waits until you end it."
	}
	return "You are visible, as far as `earshot privacy` says."
}

// completeAudiences offers who may see something, with the groups that there are.
func completeAudiences(ctx context.Context, c *client.Client) []string {
	out := slices.Clone(audiences)
	for _, g := range completeGroups(ctx, c) {
		out = append(out, chat.InGroups+g)
	}
	return out
}
