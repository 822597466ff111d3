package main

import (
	"context"
	"slices"
	"strings"

	"earshot/chat"
	"earshot/node/api/client"
)

var audiences = []string{chat.Everyone, chat.OnlyContacts, chat.Nobody}

// setPrivacy changes one thing that others can see, or Invisible.
func setPrivacy(ctx context.Context, c *client.Client, what, who string) (chat.Privacy, error) {
	p, err := c.Privacy(ctx)
	if err != nil {
		return p, err
	}
	settings := map[string]*string{"nearby": &p.Nearby, "presence": &p.Presence, "read": &p.Read}
	switch {
	case what == "invisible" && (who == "on" || who == "off"):
		p.Invisible = who == "on"
	case what == "invisible":
		return p, chat.Errorf(chat.CodeUsage, "Invisible is on or off, not %q.", cell(who))
	case settings[what] == nil:
		return p, chat.Errorf(chat.CodeUsage, "There is no setting %q. Say nearby, presence or read.", cell(what))
	case !slices.Contains(audiences, who):
		return p, chat.Errorf(chat.CodeUsage, "%q is nobody who could see that. Say %s.", cell(who), strings.Join(audiences, ", "))
	default:
		*settings[what] = who
	}
	return c.SetPrivacy(ctx, p)
}

func privacyFields(p chat.Privacy) [][2]string {
	invisible := "off"
	if p.Invisible {
		invisible = "on: nobody sees you, whatever stands above"
	}
	return [][2]string{
		{"nearby", p.Nearby + "\t" + "that you are here; with nobody, nothing reaches you or leaves"},
		{"presence", p.Presence + "\t" + "when you are typing"},
		{"read", p.Read + "\t" + "how far you have read what they wrote"},
		{"invisible", invisible},
	}
}

func (p *printer) privacy(now chat.Privacy) error {
	if p.json {
		return p.object(now)
	}
	rows := privacyFields(now)
	for i, r := range rows {
		who, what, ok := strings.Cut(r[1], "\t")
		if ok {
			rows[i][1] = who + strings.Repeat(" ", max(1, 10-len(who))) + what
		}
	}
	return p.fields(rows)
}

func runPrivacy(ctx context.Context, a *app, args []string) error {
	if len(args) == 1 {
		return chat.Errorf(chat.CodeUsage, "Who shall see that? Say `earshot privacy %s`, and %s.", cell(args[0]), strings.Join(audiences, ", "))
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
		return a.p.privacy(now)
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
