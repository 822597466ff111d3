package node

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"time"

	"earshot/chat"
	"earshot/chat/alert"
	"earshot/chat/contacts"
	"earshot/node/feed"
	"earshot/node/store"
)

// This file is how this person is called to what concerns them. What happens reaches
// the engine as it reaches a face, through the feed, so that nothing alerts before it is
// stored.

// alertsKey is the key of State under which stands how this person is to be alerted, as
// JSON: what a newer version adds is skipped by an older one.
const alertsKey = "alerts"

// attention is how long a person looks at the room on a screen without touching
// anything (guess: reading a screenful).
const attention = 2 * time.Minute

// alerts is how this person is alerted. The loop owns it.
type alerts struct {
	engine   *alert.Engine
	settings chat.Alerts
	viewedAt time.Time   // when a room was last put on a screen
	attended chat.RoomID // as the engine was told
}

// usualAlerts is how somebody is alerted who has not chosen.
var usualAlerts = chat.Alerts{Desktop: true, Title: true, Preview: chat.PreviewText, TeamMentions: true}

// loadAlerts reads how this person is to be alerted.
func (n *Node) loadAlerts(ctx context.Context) (alerts, error) {
	a := alerts{engine: alert.New(), settings: usualAlerts}
	state, err := n.store.State(ctx, alertsKey)
	if err != nil {
		return alerts{}, err
	}
	if b, ok := state[alertsKey]; ok {
		if err := json.Unmarshal(b, &a.settings); err != nil {
			return alerts{}, chat.Wrap(chat.CodeHomeBroken, err, "How this home is to alert you can't be read.", "Restore a backup: earshot restore FILE")
		}
	}
	if n.cfg.Desktop == nil {
		a.settings.DesktopProblem = "Nothing is shown on a desktop: this Earshot runs without one."
	}
	return a, nil
}

// startAlerts lets this person be alerted. What they were told of in an earlier run is
// not told again.
func (c *core) startAlerts() {
	var asking []chat.Author
	for _, r := range c.circle.engine.Tray() {
		asking = append(asking, chat.Author{Person: r.Person, Name: c.displayName(r.Person)})
	}
	c.alert(alert.Requests{From: asking})
	for _, info := range c.private.Infos() {
		if info.Invitation != nil {
			c.alert(alert.Invited{RoomID: info.Room})
		}
	}
	c.alert(alert.Status{Status: c.status.device})
	c.alert(alert.Settings{Alerts: c.alerts.settings, Zone: time.Local})
}

// alerting reports whether weather may have to do with alerts.
func alerting(ev chat.Event) bool {
	switch ev.(type) {
	case chat.ReadEvent, chat.TrayEvent, chat.InvitationEvent, chat.FreeEvent:
		return true
	}
	return false
}

// passAlerts tells the loop what may alert this person.
func (n *Node) passAlerts(ctx context.Context, news *feed.Subscription) {
	defer news.Close()
	for {
		batch, err := news.Next(ctx)
		switch {
		case ctx.Err() != nil || errors.Is(err, feed.ErrClosed):
			return
		case err != nil:
			n.rarely("alerts", slog.LevelError, "reading what may alert failed", "err", err)
			select {
			case <-time.After(saveAgain):
			case <-ctx.Done():
				return
			}
			continue
		}
		if n.tell(ctx, func(c *core) {
			for _, ev := range batch {
				c.alertOf(ev)
			}
		}) != nil {
			return
		}
	}
}

// alertOf tells the engine what a face is told.
func (c *core) alertOf(ev chat.Event) {
	switch ev := ev.(type) {
	case chat.MessageEvent:
		c.alertOfMessage(&ev.Message)
	case chat.MessageChangedEvent:
		if ev.Removed != nil || !ev.EditedAt.IsZero() {
			c.alert(alert.Removed{Room: ev.RoomID, ID: ev.ID})
		}
	case chat.ReadEvent:
		c.alert(alert.Read{Room: ev.RoomID, Unread: ev.Unread})
	case chat.RoomEvent:
		if !ev.Joined {
			c.alert(alert.Left{Room: ev.RoomID})
		}
	case chat.TrayEvent:
		in := alert.Requests{}
		for _, r := range ev.Requests {
			in.From = append(in.From, chat.Author{Person: r.Person.Person, Name: r.Name})
		}
		c.alert(in)
	case chat.InvitationEvent:
		if !ev.Gone {
			c.alert(alert.Invited{Room: ev.Room, RoomID: ev.RoomID, By: ev.By})
		}
	case chat.FreeEvent:
		c.alert(alert.Free{Person: chat.Author{Person: ev.Person.Person, Name: ev.Name}})
	}
}

func (c *core) alertOfMessage(m *chat.Message) {
	who := m.From.Person
	if m.Mine || m.Removed != nil || c.hidden(who) {
		return
	}
	kind := c.kindOf(m.RoomID)
	rec := c.circle.engine.Record(who)
	known := rec.Relation == contacts.Contact || rec.Relation == contacts.Verified
	c.attend()
	c.alert(alert.Message{
		ID: m.ID, Room: m.Room, RoomID: m.RoomID, Kind: kind, From: m.From,
		Known: known || kind.Sealed(), Team: known && rec.Team, Mention: m.MentionsMe,
		Text: m.Text, Fleeting: !m.ExpiresAt.IsZero(), SentAt: m.SentAt, Late: m.Late,
	})
}

// kindOf returns who can read a room that this node is or was in.
func (c *core) kindOf(id chat.RoomID) chat.RoomKind {
	if row, ok := c.rows[id]; ok {
		return row.Kind
	}
	return chat.RoomOpen
}

// attend tells the engine which room is before this person's eyes: one that is on a
// screen, while somebody looks at that.
func (c *core) attend() {
	a, id := &c.alerts, c.viewed
	touched := a.viewedAt
	if c.status.touched.After(touched) {
		touched = c.status.touched
	}
	if c.status.machine != chat.Available || c.now.Sub(touched) >= attention {
		id = chat.RoomID{}
	}
	if id != a.attended {
		a.attended = id
		c.alert(alert.View{Room: id})
	}
}

// alert hands an input to the engine of alerts and carries out what it wants.
func (c *core) alert(in alert.Input) {
	for _, eff := range c.alerts.engine.Handle(c.now, in) {
		switch eff := eff.(type) {
		case alert.Tell:
			c.n.feed.Publish(eff.AlertEvent)
		case alert.Notify:
			c.n.notes.show(eff)
		case alert.Withdraw:
			c.n.notes.withdraw(eff.Key)
		}
	}
}

func (c *core) tickAlerts() {
	if next := c.alerts.engine.NextTick(); !next.IsZero() && !c.now.Before(next) {
		c.alert(alert.Tick{})
	}
}

// Alerts returns how this person is alerted.
func (n *Node) Alerts(ctx context.Context) (chat.Alerts, error) {
	return inLoop(ctx, n, func(c *core) (chat.Alerts, error) { return c.faceAlerts(), nil })
}

// faceAlerts returns what faces are told of the settings, theirs to keep.
func (c *core) faceAlerts() chat.Alerts {
	out := c.alerts.settings
	out.Rooms = maps.Clone(out.Rooms)
	return out
}

// SetAlerts changes all settings at once, but for those of single rooms. It returns when
// that is stored and in force.
func (n *Node) SetAlerts(ctx context.Context, in chat.Alerts) (chat.Alerts, error) {
	from, ok1 := alert.TimeOfDay(in.QuietFrom)
	to, ok2 := alert.TimeOfDay(in.QuietTo)
	never := in.QuietFrom == "" && in.QuietTo == ""
	switch {
	case in.Preview != chat.PreviewText && in.Preview != chat.PreviewName && in.Preview != chat.PreviewNothing:
		return chat.Alerts{}, chat.Errorf(chat.CodeUsage, "A notification can't show %q. Choose %s, %s or %s.",
			chat.CleanName(in.Preview), chat.PreviewText, chat.PreviewName, chat.PreviewNothing)
	case !never && (!ok1 || !ok2):
		return chat.Alerts{}, chat.Errorf(chat.CodeUsage, "Quiet hours go from one time of day to another. Give both, such as 22:00 and 07:00, or none.")
	case !never && from == to:
		return chat.Alerts{}, chat.Errorf(chat.CodeUsage, "Quiet hours that end when they begin are none. Give two times, or set your status to dnd.")
	}
	if !never {
		in.QuietFrom, in.QuietTo = clockTime(from), clockTime(to)
	}
	return n.setAlerts(ctx, func(_ *core, a *chat.Alerts) error {
		in.Rooms, in.DesktopProblem = a.Rooms, a.DesktopProblem
		*a = in
		return nil
	})
}

// clockTime writes a time of day as the settings have it.
func clockTime(d time.Duration) string { return time.Time{}.Add(d).Format("15:04") }

// SetRoomAlerts sets what of a conversation alerts; "" for the usual.
func (n *Node) SetRoomAlerts(ctx context.Context, id chat.RoomID, level string) (chat.Room, error) {
	switch level {
	case "", chat.AlertAll, chat.AlertMentions, chat.AlertNone:
	default:
		return chat.Room{}, chat.Errorf(chat.CodeUsage, "A room can't alert by %q. Choose %s, %s or %s.",
			chat.CleanName(level), chat.AlertAll, chat.AlertMentions, chat.AlertNone)
	}
	_, err := n.setAlerts(ctx, func(c *core, a *chat.Alerts) error {
		if !c.rooms.Entered(id) {
			return notIn()
		}
		rooms := map[chat.RoomID]string{}
		for other, level := range a.Rooms {
			if c.rooms.Entered(other) { // what was left is forgotten
				rooms[other] = level
			}
		}
		if delete(rooms, id); level != "" {
			rooms[id] = level
		}
		a.Rooms = rooms
		return nil
	})
	if err != nil {
		return chat.Room{}, err
	}
	return n.FindRoom(ctx, id.String())
}

// setAlerts stores settings as change makes them of those in force, which it must not
// write to, and puts them in force.
func (n *Node) setAlerts(ctx context.Context, change func(*core, *chat.Alerts) error) (chat.Alerts, error) {
	n.settingAlerts.Lock() // what is stored last must be what is in force
	defer n.settingAlerts.Unlock()
	next, err := inLoop(ctx, n, func(c *core) (chat.Alerts, error) {
		a := c.alerts.settings
		return a, change(c, &a)
	})
	if err != nil {
		return chat.Alerts{}, err
	}
	kept := next
	kept.DesktopProblem = ""
	b, err := json.Marshal(kept)
	if err != nil {
		return chat.Alerts{}, err
	}
	stored := make(chan error, 1)
	n.store.Commit(store.Batch{State: []store.StateChange{{Key: alertsKey, Value: b}}}, func(_ []chat.Cursor, err error) { stored <- err })
	if err := <-stored; err != nil {
		return chat.Alerts{}, err
	}
	return inLoop(ctx, n, func(c *core) (chat.Alerts, error) {
		next.DesktopProblem = c.alerts.settings.DesktopProblem
		c.alerts.settings = next
		c.alert(alert.Settings{Alerts: next, Zone: time.Local})
		out := c.faceAlerts()
		n.feed.Publish(chat.AlertsEvent{Alerts: c.faceAlerts()})
		return out, nil
	})
}
