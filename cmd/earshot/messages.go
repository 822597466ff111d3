package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"earshot/chat"
	"earshot/cmd/earshot/wording"
	"earshot/node/api/client"
)

// This file is single messages: their story, and what is done with them.

// inMessage finds the message that ref means, and the room it is in, and runs f. heard
// says that others must hear of it.
func (a *app) inMessage(ctx context.Context, ref string, heard bool, f func(*session, chat.MessageDetail) error) error {
	return a.with(ctx, need{network: heard}, func(s *session) error {
		m, err := s.Message(ctx, ref)
		if err != nil {
			return err
		}
		if !heard {
			return f(s, m)
		}
		room, err := s.Room(ctx, m.RoomID.String())
		if err != nil {
			return err
		}
		return s.passOn(ctx, room, func() error { return f(s, m) })
	})
}

func runMessage(ctx context.Context, a *app, args []string) error {
	return a.inMessage(ctx, args[0], false, func(s *session, m chat.MessageDetail) error {
		if a.p.json {
			return a.p.object(m)
		}
		names, err := peopleNames(ctx, s.Client)
		if err != nil {
			return err
		}
		return a.p.fields(a.p.story(m, names, deviceLabels(ctx, s.Client)))
	})
}

// peopleNames returns how everybody is called.
func peopleNames(ctx context.Context, c *client.Client) (map[chat.PersonID]string, error) {
	people, err := c.People(ctx)
	names := map[chat.PersonID]string{}
	for _, p := range people {
		if names[p.Person] = p.Name; p.Me {
			names[p.Person] = "you"
		}
	}
	return names, err
}

// deviceLabels returns what names this person's devices; of what can't be found out it
// names nothing.
func deviceLabels(ctx context.Context, c *client.Client) func(chat.DeviceID) string {
	labels := map[chat.DeviceID]string{}
	if devices, err := c.Devices(ctx); err == nil {
		for _, d := range devices {
			labels[d.Device] = cell(d.Label)
		}
	}
	return func(d chat.DeviceID) string { return labels[d] }
}

// story puts all that is known of a message in words.
func (p *printer) story(m chat.MessageDetail, names map[chat.PersonID]string, device func(chat.DeviceID) string) [][2]string {
	from := cell(m.From.Name)
	if m.Mine {
		from += " (you)"
	}
	rows := [][2]string{
		{"Message", m.ID.String()},
		{"In", cell(m.Room)},
		{"From", from},
		{"Said", p.exact(m.SentAt)},
	}
	if !m.Mine {
		came := p.exact(m.ReceivedAt)
		if m.Late {
			came += ", late: what follows it had been read"
		}
		rows = append(rows, [2]string{"Came", came})
	}
	if m.ReplyTo != nil {
		rows = append(rows, [2]string{"Answers", m.ReplyTo.String()})
	}
	text := m.Text
	if m.Removed != nil {
		text = wording.Removed(remover(m.Message, names), m.RemovedOn, m.RemovedOf)
	}
	rows = append(rows, [2]string{"Text", text})
	for _, r := range m.Reactions {
		rows = append(rows, [2]string{"", cell(r.Sign) + " " + wording.Names(calledAll(r.People, names))})
	}
	for i, r := range m.Revisions {
		title := ""
		if i == 0 {
			title = "Before"
		}
		rows = append(rows, [2]string{title, p.exact(r.At) + "  " + r.Text})
	}
	if !m.EditedAt.IsZero() {
		rows = append(rows, [2]string{"Edited", p.exact(m.EditedAt)})
	}
	if !m.ExpiresAt.IsZero() && m.Removed == nil {
		rows = append(rows, [2]string{"Disappears", p.exact(m.ExpiresAt)})
	}
	if m.Removed != nil { // where what it said has come is of no use any more
		return rows
	}
	if m.State != nil && m.State.Of > 0 {
		state := wording.Mark(*m.State) + " " + wording.State(*m.State)
		if held := wording.Held(m, device); held != "" {
			state += "\n" + held
		}
		rows = append(rows, [2]string{"State", state})
	}
	for _, r := range m.Recipients {
		at := ""
		if !r.At.IsZero() {
			at = p.stamp(r.At)
		}
		rows = append(rows, [2]string{cell(r.Name), wording.Recipient(r, at)})
	}
	holders := m.Holders
	if m.State != nil && wording.Reached(*m.State, chat.StateDelivered) {
		holders = nil // they have nothing left to do, and let go of it
	}
	for i, h := range holders {
		title := ""
		if i == 0 {
			title = "Held by"
		}
		who := cell(wording.Holder(h, device))
		if !h.Until.IsZero() {
			who += ", until " + p.exact(h.Until)
		}
		rows = append(rows, [2]string{title, who})
	}
	return rows
}

// remover returns how whoever removed a message is called, "" for nobody.
func remover(m chat.Message, names map[chat.PersonID]string) string {
	by := m.Removed.By
	switch name := names[by.Person]; {
	case by.Person.IsZero():
		return ""
	case name == "you":
		return "You"
	case name != "":
		return cell(name)
	}
	return cell(by.Name)
}

func calledAll(people []chat.PersonID, names map[chat.PersonID]string) (out []string) {
	for _, id := range people {
		name := cell(names[id])
		if name == "" {
			name = id.Short()
		}
		out = append(out, name)
	}
	return out
}

// exact is a moment with its day and second.
func (p *printer) exact(t time.Time) string { return t.In(p.zone).Format("2006-01-02 15:04:05") }

// changed prints a message after something was done with it.
func (a *app) changed(m chat.Message, format string, args ...any) error {
	if a.p.json {
		return a.p.object(typedMessage{"message", m})
	}
	return a.p.line(format, args...)
}

func runEdit(ctx context.Context, a *app, args []string) error {
	text, err := a.textOf(args[1:])
	if err != nil {
		return err
	}
	return a.inMessage(ctx, args[0], true, func(s *session, m chat.MessageDetail) error {
		edited, err := s.Edit(ctx, m.ID.String(), text)
		if err != nil {
			return err
		}
		return a.changed(edited, "Edited. Everybody in %s sees the new text, and that it was edited, once they hear of it.", cell(m.Room))
	})
}

// deletion says what deleting a message does.
func deletion(m chat.Message) string {
	whose := "The message of " + cell(m.From.Name)
	if m.Mine {
		whose = "Your message"
	}
	return fmt.Sprintf("%s in %s (%s) is removed on every device that hears of it, and all see that you removed it. Whoever has read it has read it; a device that stays away keeps it until it comes back.",
		whose, cell(m.Room), excerpt(m.Text))
}

// excerptLength bounds an excerpt, in characters.
const excerptLength = 40

// excerpt is the beginning of a text, on one line.
func excerpt(text string) string {
	r := []rune(cell(text))
	if len(r) > excerptLength {
		return "“" + strings.TrimSpace(string(r[:excerptLength])) + "…”"
	}
	return "“" + string(r) + "”"
}

func runDelete(ctx context.Context, a *app, args []string) error {
	return a.inMessage(ctx, args[0], true, func(s *session, m chat.MessageDetail) error {
		if m.Removed == nil {
			if err := a.sure(ctx, deletion(m.Message)); err != nil {
				return err
			}
		}
		removed, err := s.Delete(ctx, m.ID.String())
		if err != nil {
			return err
		}
		return a.changed(removed, "Removed here, and elsewhere as it is heard of: `earshot message %s` tells on how many devices.", m.ID.Short())
	})
}

func runReact(ctx context.Context, a *app, args []string) error {
	return a.inMessage(ctx, args[0], true, func(s *session, m chat.MessageDetail) error {
		now, err := s.React(ctx, m.ID.String(), args[1], !a.opt.off)
		if err != nil {
			return err
		}
		if a.opt.off {
			return a.changed(now, "Your %s is gone from under %s.", cell(args[1]), excerpt(m.Text))
		}
		return a.changed(now, "%s is under %s.", cell(args[1]), excerpt(m.Text))
	})
}

// missingIn returns what is missing in the room that ref means, or in all.
func missingIn(ctx context.Context, c *client.Client, ref string) ([]chat.Missing, error) {
	if ref != "" {
		return c.Missing(ctx, ref)
	}
	rooms, err := c.Rooms(ctx)
	if err != nil {
		return nil, err
	}
	var all []chat.Missing
	for _, r := range rooms {
		if r.Left {
			continue
		}
		some, err := c.Missing(ctx, r.RoomID.String())
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

const nothingMissing = "Nothing is known to be missing: all that anybody you met has told of is here."

func runMissing(ctx context.Context, a *app, args []string) error {
	return a.with(ctx, need{}, func(s *session) error {
		missing, err := missingIn(ctx, s.Client, strings.Join(args, ""))
		if err != nil {
			return err
		}
		var rows [][]string
		for _, m := range missing {
			if a.p.json {
				if err := a.p.object(m); err != nil {
					return err
				}
				continue
			}
			before := "the newest"
			if m.Before != nil {
				before = "before " + m.Before.Short()
			}
			rows = append(rows, []string{m.Room, wording.Missing(m, cell(m.From.Name)), before})
		}
		if a.p.json {
			return nil
		}
		return a.p.table([]string{"ROOM", "WHAT", "WHERE"}, rows, nothingMissing)
	})
}

func sayMissing(ctx context.Context, c *client.Client, room, _ string) (string, error) {
	missing, err := missingIn(ctx, c, room)
	if err != nil {
		return "", err
	}
	var words []string
	for _, m := range missing {
		words = append(words, wording.Missing(m, m.From.Name))
	}
	if len(words) == 0 {
		return nothingMissing, nil
	}
	return strings.Join(words, "; ") + ".", nil
}

// lastingIn finds the room and the time of `room disappear` and `room keep`, says what
// will happen, and does it.
func (a *app) lastingIn(ctx context.Context, args []string, will func(chat.Room, time.Duration) string, do func(*session, string, time.Duration) error) error {
	d, err := wording.ParseLasting(args[1])
	if err != nil {
		return err
	}
	return a.inRoom(ctx, args[0], true, func(s *session, room chat.Room) error {
		what := will(room, d)
		if room.Kind.Sealed() { // else the node says why not
			if err := a.sure(ctx, what); err != nil {
				return err
			}
		}
		if err := do(s, room.RoomID.String(), d); err != nil {
			return err
		}
		return a.roomResult(ctx, s, room.RoomID, "%s", what)
	})
}

// disappearing says what SetDisappear does.
func disappearing(room chat.Room, d time.Duration) string {
	if d == 0 {
		return fmt.Sprintf("What is said in %s from now on does not disappear. What was said before keeps the time it was given.", cell(room.Room))
	}
	return fmt.Sprintf("What is said in %s from now on, by anybody, is removed on every device %s after it was said. It can be read, and copied, until then.", cell(room.Room), wording.Lasting(d))
}

// keeping says what SetRetention does.
func keeping(room chat.Room, d time.Duration) string {
	if d == 0 {
		return fmt.Sprintf("What is in %s now, and comes, is kept. What was removed does not come back.", cell(room.Room))
	}
	return fmt.Sprintf("Everything in %s that is older than %s is removed on every device, at once and from now on. It does not come back.", cell(room.Room), wording.Lasting(d))
}

func runDisappear(ctx context.Context, a *app, args []string) error {
	return a.lastingIn(ctx, args, disappearing, func(s *session, room string, d time.Duration) error { return s.SetDisappear(ctx, room, d) })
}

func runKeep(ctx context.Context, a *app, args []string) error {
	return a.lastingIn(ctx, args, keeping, func(s *session, room string, d time.Duration) error { return s.SetRetention(ctx, room, d) })
}
