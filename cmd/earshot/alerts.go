package main

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"earshot/chat"
	"earshot/node/api/client"
)

// This file is what may interrupt this person, and how.

// usual is what a conversation's level is called that nobody has set.
const usual = "usual"

var alertLevels = []string{chat.AlertAll, chat.AlertMentions, chat.AlertNone, usual}

// alertSettings are what is set for all conversations.
var alertSettings = []string{"desktop", "bell", "title", "preview", "quiet", "team-mentions"}

// alertValues are all that a setting or a conversation may be given.
var alertValues = []string{"on", "off", chat.PreviewText, chat.PreviewName, chat.PreviewNothing, "22:00-07:00", chat.AlertAll, chat.AlertMentions, chat.AlertNone, usual}

func runAlerts(ctx context.Context, a *app, args []string) error {
	return a.with(ctx, need{}, func(s *session) error {
		if len(args) == 2 && slices.Contains(alertLevels, args[1]) {
			return a.alertsOf(ctx, s, args[0], args[1])
		}
		now, err := s.Alerts(ctx)
		if err == nil && len(args) > 0 {
			if err = setAlerts(&now, args); err == nil {
				now, err = s.SetAlerts(ctx, now)
			}
		}
		switch {
		case err != nil:
			return err
		case a.p.json:
			return a.p.object(now)
		}
		rooms, err := s.Rooms(ctx)
		if err != nil {
			return err
		}
		return a.p.fields(alertFields(now, roomNames(rooms)))
	})
}

// alertsOf sets what of one conversation may alert.
func (a *app) alertsOf(ctx context.Context, s *session, to, level string) error {
	if level == usual {
		level = ""
	}
	r, err := s.SetRoomAlerts(ctx, to, level)
	switch {
	case err != nil:
		return notContact(ctx, s.Client, to, err)
	case a.p.json:
		return a.p.object(r)
	}
	return a.p.line("%s: %s.", cell(r.Room), alertsNow(r.Alerts))
}

// alertsNow says what a level means.
func alertsNow(level string) string {
	switch level {
	case chat.AlertAll:
		return "every message alerts you"
	case chat.AlertMentions:
		return "only what calls you alerts you"
	}
	return "nothing alerts you"
}

// setAlerts changes one setting as the arguments say.
func setAlerts(now *chat.Alerts, args []string) error {
	if len(args) == 1 {
		switch args[0] {
		case "on":
			now.Desktop = true
		case "off":
			now.Desktop, now.Bell, now.Title = false, false, false
		default:
			return chat.Errorf(chat.CodeUsage, "What shall %q be? Say on or off for all, or a setting (%s) or a conversation and what it shall be.", cell(args[0]), strings.Join(alertSettings, ", "))
		}
		return nil
	}
	name, value := args[0], args[1]
	switches := map[string]*bool{"desktop": &now.Desktop, "bell": &now.Bell, "title": &now.Title, "team-mentions": &now.TeamMentions}
	switch {
	case switches[name] != nil && (value == "on" || value == "off"):
		*switches[name] = value == "on"
		return nil
	case switches[name] != nil:
		return chat.Errorf(chat.CodeUsage, "%s is on or off, not %q.", name, cell(value))
	case name == "preview" && slices.Contains([]string{chat.PreviewText, chat.PreviewName, chat.PreviewNothing}, value):
		now.Preview = value
		return nil
	case name == "preview":
		return chat.Errorf(chat.CodeUsage, "A notification can't show %q. Say text, name or nothing.", cell(value))
	case name == "quiet":
		return setQuiet(now, value)
	}
	return chat.Errorf(chat.CodeUsage, "There is no setting %q with %q. Settings are %s; a conversation has one of %s.", cell(name), cell(value), strings.Join(alertSettings, ", "), strings.Join(alertLevels, ", "))
}

// setQuiet sets the hours in which nothing alerts: "22:00-07:00", or off.
func setQuiet(now *chat.Alerts, value string) error {
	if value == "off" {
		now.QuietFrom, now.QuietTo = "", ""
		return nil
	}
	from, to, _ := strings.Cut(value, "-")
	begin, err := time.Parse("15:04", from)
	end, err2 := time.Parse("15:04", to)
	if err != nil || err2 != nil || begin.Equal(end) {
		return chat.Errorf(chat.CodeUsage, "%q are no quiet hours. Give them as 22:00-07:00, or say off.", cell(value))
	}
	now.QuietFrom, now.QuietTo = begin.Format("15:04"), end.Format("15:04")
	return nil
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func alertFields(now chat.Alerts, names map[chat.RoomID]string) [][2]string {
	desktop, quiet := onOff(now.Desktop), "off"
	if now.DesktopProblem != "" {
		desktop += "\n" + cell(now.DesktopProblem)
	}
	if now.QuietFrom != "" {
		quiet = now.QuietFrom + "-" + now.QuietTo
	}
	rows := [][2]string{
		{"desktop", desktop},
		{"bell", onOff(now.Bell)},
		{"title", onOff(now.Title)},
		{"preview", now.Preview},
		{"quiet", quiet},
		{"team-mentions", onOff(now.TeamMentions)},
	}
	ids := slices.SortedFunc(maps.Keys(now.Rooms), func(a, b chat.RoomID) int { return strings.Compare(names[a], names[b]) })
	for _, id := range ids {
		if names[id] != "" {
			rows = append(rows, [2]string{names[id], now.Rooms[id]})
		}
	}
	return rows
}

// completeAlerts offers settings and conversations.
func completeAlerts(ctx context.Context, c *client.Client) []string {
	return append(append([]string{"on", "off"}, alertSettings...), completeTo(ctx, c)...)
}
