package tui

import (
	"context"
	"slices"
	"time"

	"earshot/chat"
)

// desk is what the fake knows of whether people are free, and of alerts.
type desk struct {
	status  chat.OwnStatus
	profile chat.OwnProfile
	alerts  chat.Alerts
}

// clockOf is when something ends, on the clock of the tests.
func clockOf(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.In(zone).Format("15:04")
}

// show changes what is known of somebody, and returns it as an event tells it.
func (f *fake) show(a chat.Author, change func(*chat.Person)) chat.PersonEvent {
	i := slices.IndexFunc(f.people, func(p chat.Person) bool { return p.Person == a.Person })
	change(&f.people[i])
	for k := range f.contacts {
		if f.contacts[k].Person.Person == a.Person {
			f.contacts[k].Person = f.people[i]
		}
	}
	return chat.PersonEvent{Person: f.people[i]}
}

func (f *fake) Status(context.Context) (chat.OwnStatus, error) {
	err := f.enter("status")
	defer f.mu.Unlock()
	return f.status, err
}

func (f *fake) SetStatus(_ context.Context, c chat.StatusChange) (chat.OwnStatus, error) {
	state, text := "-", "-"
	if c.State != nil {
		state = string(*c.State)
	}
	if c.Text != nil {
		text = *c.Text
	}
	err := f.enter("set status", state, clockOf(c.Until), text, clockOf(c.TextUntil))
	defer f.mu.Unlock()
	if err != nil {
		return f.status, err
	}
	if c.State != nil {
		f.status.State, f.status.Chosen, f.status.Until = *c.State, *c.State, c.Until
	}
	if c.Text != nil {
		f.status.Text, f.status.TextUntil = *c.Text, c.TextUntil
	}
	return f.status, nil
}

func (f *fake) Active(context.Context) error {
	defer f.mu.Unlock()
	return f.enter("active")
}

func (f *fake) Watch(_ context.Context, who chat.PersonID, on bool) error {
	defer f.mu.Unlock()
	return f.enter("watch", f.short(who), on)
}

func (f *fake) Profile(context.Context) (chat.OwnProfile, error) {
	err := f.enter("profile")
	defer f.mu.Unlock()
	return f.profile, err
}

func (f *fake) SetProfile(_ context.Context, p chat.OwnProfile) (chat.OwnProfile, error) {
	err := f.enter("set profile", p.Profile, p.For)
	defer f.mu.Unlock()
	if err == nil {
		f.profile = p
	}
	return f.profile, err
}

// sort changes what the user has made of a contact.
func (f *fake) sort(who chat.PersonID, change func(*chat.Person)) chat.Contact {
	f.show(chat.Author{Person: who}, change)
	i := slices.IndexFunc(f.contacts, func(k chat.Contact) bool { return k.Person.Person == who })
	return f.contacts[i]
}

func (f *fake) SetGroups(_ context.Context, who chat.PersonID, groups []string) (chat.Contact, error) {
	err := f.enter("set groups", f.short(who), groups)
	defer f.mu.Unlock()
	if err != nil {
		return chat.Contact{}, err
	}
	return f.sort(who, func(p *chat.Person) { p.Groups = groups }), nil
}

func (f *fake) SetTeam(_ context.Context, who chat.PersonID, team bool) (chat.Contact, error) {
	err := f.enter("set team", f.short(who), team)
	defer f.mu.Unlock()
	if err != nil {
		return chat.Contact{}, err
	}
	return f.sort(who, func(p *chat.Person) { p.Team = team }), nil
}

func (f *fake) Alerts(context.Context) (chat.Alerts, error) {
	err := f.enter("alerts")
	defer f.mu.Unlock()
	return f.alerts, err
}

func (f *fake) SetAlerts(_ context.Context, a chat.Alerts) (chat.Alerts, error) {
	err := f.enter("set alerts", a.Desktop, a.Bell, a.Title, a.Preview, a.QuietFrom+"-"+a.QuietTo, a.TeamMentions)
	defer f.mu.Unlock()
	if err == nil {
		a.Rooms, a.DesktopProblem = f.alerts.Rooms, f.alerts.DesktopProblem
		f.alerts = a
	}
	return f.alerts, err
}

func (f *fake) SetRoomAlerts(_ context.Context, room chat.RoomID, level string) (chat.Room, error) {
	err := f.enter("set room alerts", f.nameOf(room), level)
	defer f.mu.Unlock()
	if f.alerts.Rooms == nil {
		f.alerts.Rooms = map[chat.RoomID]string{}
	}
	f.alerts.Rooms[room] = level
	var now chat.Room
	f.change(room, func(r *chat.Room) {
		if r.Alerts = level; level == "" {
			r.Alerts = chat.AlertAll
		}
		now = *r
	})
	return now, err
}
