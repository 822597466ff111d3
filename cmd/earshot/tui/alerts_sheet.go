package tui

import (
	"context"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"earshot/chat"
)

// This file is what may interrupt the user, and how.

// previews are what a notification may show, the most first.
var previews = []string{chat.PreviewText, chat.PreviewName, chat.PreviewNothing}

var previewWords = map[string]string{
	chat.PreviewText: "who, and what they say", chat.PreviewName: "who", chat.PreviewNothing: "that there is something",
}

// levels are what of a conversation may alert, "" for the usual.
var levels = []string{"", chat.AlertAll, chat.AlertMentions, chat.AlertNone}

var levelWords = map[string]string{
	chat.AlertAll: "every message", chat.AlertMentions: "what calls you", chat.AlertNone: "nothing",
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

// openAlerts shows what may interrupt the user, and changes it.
func (m *model) openAlerts() {
	p := &sheet{title: "Alerts"}
	p.build = func() content {
		a := m.alerts
		set := func(change func(*chat.Alerts)) tea.Cmd {
			next := m.alerts
			change(&next)
			return m.setAlerts(p, next, nil)
		}
		flip := func(id, key, label string, of func(*chat.Alerts) *bool, note string) item {
			turn := func(int) tea.Cmd { return set(func(a *chat.Alerts) { *of(a) = !*of(a) }) }
			return item{id: id, key: key, label: label, tag: yesNo(*of(&a)), note: note, do: func() tea.Cmd { return turn(1) }, turn: turn}
		}
		desktop := "Several messages in a row are one notification; what you read elsewhere goes away."
		if a.DesktopProblem != "" {
			desktop = oneLine(safeText(a.DesktopProblem))
		}
		turn := func(delta int) tea.Cmd {
			n := len(previews)
			at := max(0, slices.Index(previews, a.Preview))
			return set(func(a *chat.Alerts) { a.Preview = previews[((at+delta)%n+n)%n] })
		}
		quiet := "never"
		if a.QuietFrom != "" {
			quiet = a.QuietFrom + "-" + a.QuietTo
		}
		return content{
			text: []para{plain("What may interrupt you. Direct chats and private rooms alert with every message, open rooms with what calls you; F5 changes that for one conversation. While your status is do not disturb or in a meeting, nothing does.")},
			items: []item{
				flip("desktop", "d", "Notifications of the desktop", func(a *chat.Alerts) *bool { return &a.Desktop }, desktop),
				{id: "preview", key: "p", label: "They show", tag: previewWords[a.Preview], do: func() tea.Cmd { return turn(1) }, turn: turn},
				flip("bell", "b", "The terminal's bell", func(a *chat.Alerts) *bool { return &a.Bell }, "Rings while you look elsewhere."),
				flip("title", "w", "How much is unread in the window's title", func(a *chat.Alerts) *bool { return &a.Title }, ""),
				{
					id: "quiet", key: "q", label: "Quiet hours" + m.glyphs.pending, tag: quiet, note: "Every day, by this machine's clock: nothing alerts you.",
					do: func() tea.Cmd { m.openQuiet(); return nil },
				},
				flip("team", "t", "Mentions by your team come through", func(a *chat.Alerts) *bool { return &a.TeamMentions }, "Also in quiet hours and while you are not to be disturbed. A contact's own page says whether they are of your team."),
			},
		}
	}
	m.push(p)
}

// setAlerts changes what may interrupt the user, and goes on with then.
func (m *model) setAlerts(p *sheet, next chat.Alerts, then func()) tea.Cmd {
	var now chat.Alerts
	return m.act(p, func(ctx context.Context) (err error) {
		now, err = m.client.SetAlerts(ctx, next)
		return err
	}, func() tea.Cmd {
		m.alerts = now
		if then != nil {
			then()
		}
		return nil
	})
}

// openQuiet asks for the hours in which nothing alerts.
func (m *model) openQuiet() {
	now := ""
	if m.alerts.QuietFrom != "" {
		now = m.alerts.QuietFrom + "-" + m.alerts.QuietTo
	}
	p := &sheet{title: "Quiet hours", field: newField("From and to", now)}
	p.field.empty = "22:00-07:00"
	p.build = func() content {
		return content{
			text: []para{plain("Between these times of day nothing alerts you. What is said waits, as ever.")},
			items: []item{
				{id: "set", label: "Keep these hours", do: func() tea.Cmd {
					next := m.alerts
					var ok bool
					if next.QuietFrom, next.QuietTo, ok = quietHours(p.field.in.text); !ok {
						p.problem = "These are no hours. Write them as 22:00-07:00."
						return nil
					}
					return m.setAlerts(p, next, func() { m.drop(p) })
				}},
				{id: "none", label: "No quiet hours", do: func() tea.Cmd {
					next := m.alerts
					next.QuietFrom, next.QuietTo = "", ""
					return m.setAlerts(p, next, func() { m.drop(p) })
				}},
			},
		}
	}
	m.push(p)
}

// quietHours reads "22:00-07:00".
func quietHours(s string) (from, to string, ok bool) {
	a, b, _ := strings.Cut(strings.ReplaceAll(s, " ", ""), "-")
	begin, err := time.Parse("15:04", a)
	end, err2 := time.Parse("15:04", b)
	if err != nil || err2 != nil || begin.Equal(end) {
		return "", "", false
	}
	return begin.Format("15:04"), end.Format("15:04"), true
}

// levelItem turns what of a conversation may alert.
func (m *model) levelItem(p *sheet, c *conversation) item {
	set := m.alerts.Rooms[c.room.RoomID]
	tag := levelWords[c.room.Alerts]
	if set == "" {
		tag += " (as usual)"
	}
	turn := func(delta int) tea.Cmd {
		n := len(levels)
		next := levels[((slices.Index(levels, set)+delta)%n+n)%n]
		var now chat.Room
		var alerts chat.Alerts
		return m.act(p, func(ctx context.Context) (err error) {
			if now, err = m.client.SetRoomAlerts(ctx, c.room.RoomID, next); err != nil {
				return err
			}
			alerts, err = m.client.Alerts(ctx)
			return err
		}, func() tea.Cmd {
			c.room.Alerts, m.alerts = now.Alerts, alerts
			return nil
		})
	}
	return item{id: "level", key: "a", label: "What alerts you here", tag: strings.TrimSpace(tag), do: func() tea.Cmd { return turn(1) }, turn: turn}
}
