package client

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"time"

	"earshot/chat"
	"earshot/node/api"
)

// This file is who is free, profiles, groups, and alerts.

// Presence is how somebody is, see api.Presence.
type Presence = api.Presence

// Whose says whom Presence asks about: one of the two.
type Whose struct {
	Who   string // as in Person
	Email string // of contacts
}

func (w Whose) path() string {
	q := url.Values{}
	if w.Who != "" {
		q.Set("person", w.Who)
	}
	if w.Email != "" {
		q.Set("email", w.Email)
	}
	return "/v1/presence?" + q.Encode()
}

// Presence returns how somebody is; several contacts may have one e-mail address.
func (c *Client) Presence(ctx context.Context, whose Whose) ([]Presence, error) {
	var out api.Presences
	err := c.do(ctx, http.MethodGet, whose.path(), nil, &out)
	return out.Presence, err
}

// FollowPresence calls f with how somebody is now, and whenever that changes; with
// nobody once nobody is meant any more. It returns f's error, ctx's, or why the node
// answers no more: it does not look for another one.
func (c *Client) FollowPresence(ctx context.Context, whose Whose, f func([]Presence) error) error {
	conn, cancel := context.WithCancel(ctx)
	defer cancel()
	watchdog := time.AfterFunc(silence, cancel)
	defer watchdog.Stop()
	resp, err := c.listen(conn, whose.path())
	if err != nil {
		return unreachable(ctx, err)
	}
	defer resp.Body.Close()
	if err := failure(resp); err != nil {
		return err
	}
	err = eachEvent(resp.Body, watchdog, func(_, data []byte) error {
		var now api.Presences
		if err := json.Unmarshal(data, &now); err != nil {
			return notUnderstood(err)
		}
		return f(now.Presence)
	})
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return unreachable(ctx, io.ErrUnexpectedEOF)
}

// Status returns what this person shows, and where that comes from.
func (c *Client) Status(ctx context.Context) (chat.OwnStatus, error) {
	var s chat.OwnStatus
	return s, c.do(ctx, http.MethodGet, "/v1/status", nil, &s)
}

// SetStatus changes what this person shows, on all of their devices.
func (c *Client) SetStatus(ctx context.Context, change chat.StatusChange) (chat.OwnStatus, error) {
	var s chat.OwnStatus
	return s, c.do(ctx, http.MethodPut, "/v1/status", change, &s)
}

// Active says that the person has just touched a face. A face calls it when it is used,
// though not more than twice a minute.
func (c *Client) Active(ctx context.Context) error {
	return c.do(ctx, http.MethodPost, "/v1/active", struct{}{}, nil)
}

// Watch has one chat.FreeEvent come when a contact is free, at once if they are: open
// the stream first.
func (c *Client) Watch(ctx context.Context, who string) error {
	path, err := personPath(who, "/watch")
	if err != nil {
		return err
	}
	return c.do(ctx, http.MethodPost, path, struct{}{}, nil)
}

// Unwatch calls off what Watch began.
func (c *Client) Unwatch(ctx context.Context, who string) error {
	path, err := personPath(who, "/watch")
	if err != nil {
		return err
	}
	return c.do(ctx, http.MethodDelete, path, nil, nil)
}

// Profile returns what this person tells of themselves, and whom.
func (c *Client) Profile(ctx context.Context) (chat.OwnProfile, error) {
	var p chat.OwnProfile
	return p, c.do(ctx, http.MethodGet, "/v1/profile", nil, &p)
}

// SetProfile changes all of it, and returns what holds now.
func (c *Client) SetProfile(ctx context.Context, p chat.OwnProfile) (chat.OwnProfile, error) {
	var now chat.OwnProfile
	return now, c.do(ctx, http.MethodPut, "/v1/profile", p, &now)
}

// setOf changes one thing about a contact.
func (c *Client) setOf(ctx context.Context, who, what string, in any) (chat.Contact, error) {
	var contact chat.Contact
	path, err := personPath(who, what)
	if err != nil {
		return contact, err
	}
	return contact, c.do(ctx, http.MethodPut, path, in, &contact)
}

// SetGroups puts a contact into these groups and no others.
func (c *Client) SetGroups(ctx context.Context, who string, groups []string) (chat.Contact, error) {
	return c.setOf(ctx, who, "/groups", api.Groups{Groups: groups})
}

// SetTeam says whether a contact is of the team: their mentions break through do not
// disturb.
func (c *Client) SetTeam(ctx context.Context, who string, team bool) (chat.Contact, error) {
	return c.setOf(ctx, who, "/team", api.Team{Team: team})
}

// Alerts returns how this person is to be alerted.
func (c *Client) Alerts(ctx context.Context) (chat.Alerts, error) {
	var a chat.Alerts
	return a, c.do(ctx, http.MethodGet, "/v1/alerts", nil, &a)
}

// SetAlerts changes all of it but what is set of single rooms, and returns what holds
// now.
func (c *Client) SetAlerts(ctx context.Context, a chat.Alerts) (chat.Alerts, error) {
	var now chat.Alerts
	return now, c.do(ctx, http.MethodPut, "/v1/alerts", a, &now)
}

// SetRoomAlerts sets what of a conversation may alert: chat.AlertAll or its like, ""
// for the usual.
func (c *Client) SetRoomAlerts(ctx context.Context, room, level string) (chat.Room, error) {
	var now chat.Room
	path, err := roomPath(room, "/alerts")
	if err != nil {
		return now, err
	}
	return now, c.do(ctx, http.MethodPut, path, api.AlertLevel{Level: level}, &now)
}
