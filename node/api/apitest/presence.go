package apitest

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"earshot/chat"
)

// This file is who is free, what people tell of themselves, and alerts.

// Show makes somebody be shown as so; whoever waits for them is told.
func (n *Node) Show(who chat.PersonID, s chat.Status) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.change(who, func(p *chat.Person) { p.Status = s })
	n.tellFree(who)
}

// Doubt makes it unclear whether somebody is still here, or clear again.
func (n *Node) Doubt(who chat.PersonID, suspect bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.change(who, func(p *chat.Person) { p.Suspect = suspect })
}

// Return makes somebody who has departed be here again, and shown as so.
func (n *Node) Return(who chat.PersonID, s chat.Status) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.change(who, func(p *chat.Person) {
		p.Presence, p.Status = chat.Here, s
		for i := range p.Devices {
			p.Devices[i].Presence = chat.Here
		}
	})
	n.tellFree(who)
}

// Tell makes somebody tell this person of themselves.
func (n *Node) Tell(who chat.PersonID, profile chat.Profile) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.change(who, func(p *chat.Person) { p.Profile = &profile })
}

// Idle makes nobody touch this machine since a time, or with zero somebody touch it.
func (n *Node) Idle(since time.Time, locked bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.status.IdleSince, n.status.Locked = since, locked
	n.showStatus()
}

// tellFree publishes that somebody is free who was waited for. n.mu is held.
func (n *Node) tellFree(who chat.PersonID) {
	p, ok := n.known(who)
	if !ok || !p.Watched || p.Presence != chat.Here || !p.Status.State.Free() {
		return
	}
	n.change(who, func(p *chat.Person) { p.Watched = false })
	p, _ = n.known(who)
	n.feed.Publish(chat.FreeEvent{Person: p})
}

// showStatus works out what is shown of this person, and tells. n.mu is held.
func (n *Node) showStatus() chat.OwnStatus {
	s := &n.status
	state := s.Chosen
	if state == chat.Available && !s.IdleSince.IsZero() {
		state = chat.Away
	}
	if state != s.State {
		s.State, s.Since = state, time.Now().UTC()
	}
	n.feed.Publish(chat.StatusEvent{OwnStatus: *s})
	n.change(n.me.Person, func(p *chat.Person) { p.Status = s.Status })
	return *s
}

func (n *Node) Status(context.Context) (chat.OwnStatus, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.status, n.fail
}

func (n *Node) SetStatus(_ context.Context, c chat.StatusChange) (chat.OwnStatus, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fail != nil {
		return chat.OwnStatus{}, n.fail
	}
	now := time.Now()
	for _, at := range []time.Time{c.Until, c.TextUntil} {
		if !at.IsZero() && (!at.After(now) || at.After(now.Add(chat.MaxStatusFor))) {
			return chat.OwnStatus{}, chat.Errorf(chat.CodeUsage, "A status can't end then. Give a time that is not over, and not more than a year ahead.")
		}
	}
	if c.State != nil {
		n.status.Chosen, n.status.Until = *c.State, c.Until
	}
	if c.Text != nil {
		n.status.Text, n.status.TextUntil = chat.CleanText(*c.Text), c.TextUntil
	}
	return n.showStatus(), nil
}

func (n *Node) Active(context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fail != nil {
		return n.fail
	}
	n.status.IdleSince, n.status.Locked = time.Time{}, false
	n.showStatus()
	return nil
}

func (n *Node) Watch(_ context.Context, who chat.PersonID, on bool) error {
	return n.ofContact(who, func(p *chat.Person) { p.Watched = on })
}

// ofContact changes something about a contact.
func (n *Node) ofContact(who chat.PersonID, f func(*chat.Person)) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	p, ok := n.known(who)
	switch {
	case n.fail != nil:
		return n.fail
	case !ok || !p.Relation.Known():
		return chat.Errorf(chat.CodeNotContact, "That works with contacts only. Ask them first: earshot add %s", who.Short())
	}
	n.change(who, f)
	n.tellFree(who)
	return nil
}

// contact is ofContact that answers with the contact, and tells.
func (n *Node) contact(who chat.PersonID, f func(*chat.Person)) (chat.Contact, error) {
	if err := n.ofContact(who, f); err != nil {
		return chat.Contact{}, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	c := *n.contacts[who]
	c.Person, _ = n.known(who)
	n.feed.Publish(chat.ContactEvent{Contact: c})
	return c, nil
}

func (n *Node) SetGroups(_ context.Context, who chat.PersonID, groups []string) (chat.Contact, error) {
	groups = slices.Clone(groups)
	for _, g := range groups {
		if g == "" || len(g) > chat.MaxGroupName || strings.Contains(g, ",") {
			return chat.Contact{}, chat.Errorf(chat.CodeUsage, "%.40q can't be the name of a group. Choose one without commas, of up to %d bytes.", g, chat.MaxGroupName)
		}
	}
	slices.SortFunc(groups, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	groups = slices.CompactFunc(groups, strings.EqualFold)
	return n.contact(who, func(p *chat.Person) { p.Groups = groups })
}

func (n *Node) SetTeam(_ context.Context, who chat.PersonID, team bool) (chat.Contact, error) {
	return n.contact(who, func(p *chat.Person) { p.Team = team })
}

func (n *Node) Profile(context.Context) (chat.OwnProfile, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.profile, n.fail
}

func (n *Node) SetProfile(_ context.Context, p chat.OwnProfile) (chat.OwnProfile, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fail != nil {
		return chat.OwnProfile{}, n.fail
	}
	if p.Email != "" && !strings.Contains(p.Email, "@") {
		return chat.OwnProfile{}, chat.Errorf(chat.CodeUsage, "%.60q is no e-mail address. Give one such as ann@example.org.", p.Email)
	}
	n.profile = p
	n.feed.Publish(chat.ProfileEvent{OwnProfile: p})
	return p, nil
}

func (n *Node) FindEmail(_ context.Context, email string) ([]chat.Person, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []chat.Person
	for _, p := range n.people {
		if p.Relation.Known() && p.Profile != nil && strings.EqualFold(p.Profile.Email, email) {
			out = append(out, p)
		}
	}
	if len(out) == 0 && n.fail == nil {
		return nil, chat.Errorf(chat.CodeNotFound, "No contact shows you %.80q as their e-mail address. Ask for them by name, or by id.", email)
	}
	return out, n.fail
}

func (n *Node) Alerts(context.Context) (chat.Alerts, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.alertsNow(), n.fail
}

// alertsNow is what holds, with the levels of rooms. n.mu is held.
func (n *Node) alertsNow() chat.Alerts {
	a := n.alerts
	for _, r := range n.rooms {
		if r.Alerts != "" && r.Alerts != usualAlerts(r) {
			if a.Rooms == nil {
				a.Rooms = map[chat.RoomID]string{}
			}
			a.Rooms[r.RoomID] = r.Alerts
		}
	}
	return a
}

func usualAlerts(r *room) string {
	if r.Kind.Sealed() {
		return chat.AlertAll
	}
	return chat.AlertMentions
}

func (n *Node) SetAlerts(_ context.Context, a chat.Alerts) (chat.Alerts, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fail != nil {
		return chat.Alerts{}, n.fail
	}
	a.Rooms, a.DesktopProblem = nil, n.alerts.DesktopProblem
	n.alerts = a
	n.feed.Publish(chat.AlertsEvent{Alerts: n.alertsNow()})
	return n.alertsNow(), nil
}

func (n *Node) SetRoomAlerts(_ context.Context, id chat.RoomID, level string) (chat.Room, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r, err := n.byRoomID(id)
	if err != nil || n.fail != nil {
		return chat.Room{}, firstOf(n.fail, err)
	}
	r.Alerts = cmp.Or(level, usualAlerts(r))
	n.feed.Publish(chat.AlertsEvent{Alerts: n.alertsNow()})
	return r.Room, nil
}
