package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"earshot/chat"
	"earshot/chat/phrase"
	"earshot/cmd/earshot/wording"
	"earshot/node/api/client"
)

// This file is what this person shows of whether they are free.

// statusWish is what `earshot status` or /status was told.
type statusWish struct {
	state          string  // "" for as it is
	text           *string // nil for as it is
	lasting, until string  // when it ends, as for wording.ParseEnd
	clear          bool
}

func (w statusWish) empty() bool { return w == statusWish{} }

// change is the change that is meant, at a time in whose zone times are read.
func (w statusWish) change(now time.Time) (chat.StatusChange, error) {
	var c chat.StatusChange
	if w.clear {
		if w.state != "" || w.text != nil || w.lasting != "" || w.until != "" {
			return c, chat.Errorf(chat.CodeUsage, "--clear takes the state and the text away, so nothing can stand beside it. Leave out one of them.")
		}
		free, none := chat.Available, ""
		return chat.StatusChange{State: &free, Text: &none}, nil
	}
	end, err := wording.ParseEnd(w.lasting, w.until, now)
	if err != nil {
		return c, err
	}
	state := chat.Availability(strings.ToLower(w.state))
	switch {
	case state != "" && !slices.Contains(chat.Availabilities, state):
		return c, chat.Errorf(chat.CodeUsage, "%q is nothing that you can be. Say %s.", cell(w.state), strings.Join(states, ", "))
	case state == chat.InMeeting && end.IsZero():
		return c, chat.Errorf(chat.CodeUsage, "A meeting ends some time. Say when, with --for 1h or --until 14:00.")
	case !end.IsZero() && (state == "" || state == chat.Available) && w.text == nil:
		return c, chat.Errorf(chat.CodeUsage, "Nothing is given that could end then. Say a state such as busy, or a text with -m.")
	}
	if state != "" {
		c.State = &state
		if state != chat.Available {
			c.Until = end.UTC()
		}
	}
	if c.Text = w.text; w.text != nil && *w.text != "" {
		c.TextUntil = end.UTC()
	}
	return c, nil
}

// parseStatus reads what stands behind /status: a state, -m and a text of any number of
// words, --for, --until, --clear.
func parseStatus(args string) (statusWish, error) {
	var w statusWish
	words := strings.Fields(args)
	for i := 0; i < len(words); i++ {
		next := func() (string, error) {
			if i++; i >= len(words) {
				return "", chat.Errorf(chat.CodeUsage, "Something is missing behind %s. Write for example /status busy --for 1h", cell(words[i-1]))
			}
			return words[i], nil
		}
		var err error
		switch word := words[i]; {
		case word == "-m" || word == "--message":
			var text []string
			for ; i+1 < len(words) && !strings.HasPrefix(words[i+1], "--"); i++ {
				text = append(text, words[i+1])
			}
			all := strings.Trim(strings.Join(text, " "), `'"`)
			w.text = &all
		case word == "--for":
			w.lasting, err = next()
		case word == "--until":
			w.until, err = next()
		case word == "--clear":
			w.clear = true
		case w.state == "" && !strings.HasPrefix(word, "-"):
			w.state = word
		default:
			err = chat.Errorf(chat.CodeUsage, "%q does not belong there. A text stands behind -m: /status busy -m back soon", cell(word))
		}
		if err != nil {
			return w, err
		}
	}
	return w, nil
}

func runStatus(ctx context.Context, a *app, args []string) error {
	w := statusWish{text: a.opt.text, lasting: a.opt.lasting, until: a.opt.until, clear: a.opt.clear}
	if len(args) > 0 {
		w.state = args[0]
	}
	change, err := w.change(a.p.now().In(a.p.zone))
	if err != nil {
		return err
	}
	return a.with(ctx, need{}, func(s *session) error {
		var now chat.OwnStatus
		if w.empty() {
			now, err = s.Status(ctx)
		} else {
			now, err = s.SetStatus(ctx, change)
		}
		if err != nil {
			return err
		}
		if a.p.json {
			return a.p.object(now)
		}
		seen, err := seenBy(ctx, s)
		if err != nil {
			return err
		}
		if err := a.p.fields(statusFields(now, seen, a.p.now().In(a.p.zone))); err != nil {
			return err
		}
		if now.Chosen == chat.Offline {
			a.p.note("%s", offlineMeans)
		}
		return nil
	})
}

// offlineMeans says what appearing offline is worth.
const offlineMeans = "Earshot shows you as gone. What is sent to you still arrives, and its senders see that. People with another program can tell that this machine is connected: `earshot invisible on` hides it, and then nothing reaches you."

// seenBy says who sees the status.
func seenBy(ctx context.Context, s *session) (string, error) {
	p, err := s.Privacy(ctx)
	switch {
	case err != nil:
		return "", err
	case s.mine() != nil:
		return "nobody now: no node is running", nil
	case p.Invisible:
		return "nobody: you are invisible (earshot invisible off)", nil
	}
	who := p.Presence
	if len(p.Exceptions) > 0 {
		who += ", with exceptions"
	}
	return who + " (earshot privacy)", nil
}

func statusFields(s chat.OwnStatus, seen string, now time.Time) [][2]string {
	p := chat.Person{Presence: chat.Here, Status: s.Status}
	rows := [][2]string{{"Shown", strings.TrimSpace(phrase.Mark(p) + " " + phrase.Status(s.Status, now))}}
	if text := phrase.Text(s.Status, now); text != "" {
		rows = append(rows, [2]string{"Text", text})
	}
	return append(rows, [2]string{"Chosen", chosen(s)}, [2]string{"Machine", machine(s, now)}, [2]string{"Seen by", seen})
}

// chosen says what the person chose, and what follows.
func chosen(s chat.OwnStatus) string {
	if s.Chosen == chat.Available || s.Chosen == "" {
		return "available; away comes and goes by itself"
	}
	if !s.Until.IsZero() && s.State == s.Chosen { // of another device's state the end is another one
		return phrase.State(s.Chosen) + "; it ends by itself, or with: earshot status available"
	}
	return phrase.State(s.Chosen) + "; until you choose another: earshot status available"
}

// machine says whether somebody is at this machine, and how that is known.
func machine(s chat.OwnStatus, now time.Time) string {
	how := "as " + s.IdleBy + " tells"
	if s.IdleBy == "" {
		how = "as far as Earshot is used here"
	}
	what := "in use"
	switch {
	case s.Locked:
		what = "its screen is locked"
	case !s.IdleSince.IsZero():
		what = "nobody has touched it since " + phrase.When(s.IdleSince, now)
	}
	what += ", " + how
	if s.IdleProblem != "" {
		what += "\n" + cell(s.IdleProblem)
	}
	return what
}

func sayStatus(ctx context.Context, c *client.Client, _, args string) (string, error) {
	w, err := parseStatus(args)
	if err != nil {
		return "", err
	}
	at := time.Now()
	change, err := w.change(at)
	if err != nil {
		return "", err
	}
	var now chat.OwnStatus
	if w.empty() {
		now, err = c.Status(ctx)
	} else {
		now, err = c.SetStatus(ctx, change)
	}
	if err != nil {
		return "", err
	}
	said := fmt.Sprintf("You are shown as: %s", phrase.Status(now.Status, at))
	if text := phrase.Text(now.Status, at); text != "" {
		said += ": " + text
	}
	if now.Chosen == chat.Offline {
		said += ". " + offlineMeans
	}
	return said, nil
}
