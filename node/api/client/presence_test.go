package client_test

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"earshot/chat"
	"earshot/node/api/apitest"
	"earshot/node/api/client"
)

func TestOwnStatusIsChosenAndEnds(t *testing.T) {
	n, c := start(t)
	ctx := t.Context()
	events := c.Events(ctx, client.EventsFrom{})
	defer events.Close()
	expect(t, events, "ready", "person")
	busy, text, until := chat.Busy, "budget", time.Now().Add(time.Hour).UTC()
	got, err := c.SetStatus(ctx, chat.StatusChange{State: &busy, Until: until, Text: &text})
	if err != nil || got.State != chat.Busy || got.Chosen != chat.Busy || !got.Until.Equal(until) || got.Text != text {
		t.Errorf("SetStatus: %+v, %v", got, err)
	}
	if e := expect(t, events, "status").(chat.StatusEvent); e.Chosen != chat.Busy {
		t.Errorf("told %+v", e)
	}
	free := chat.Available
	if got, err = c.SetStatus(ctx, chat.StatusChange{State: &free}); err != nil || got.Text != text {
		t.Errorf("a text that was not to change: %+v, %v", got, err)
	}
	n.Idle(time.Now(), true)
	if got, err = c.Status(ctx); err != nil || got.State != chat.Away || !got.Locked {
		t.Errorf("Status: %+v, %v", got, err)
	}
	if err := c.Active(ctx); err != nil {
		t.Error(err)
	}
	if got, err = c.Status(ctx); err != nil || got.State != chat.Available {
		t.Errorf("Status once somebody was active: %+v, %v", got, err)
	}
	_, err = c.SetStatus(ctx, chat.StatusChange{State: &busy, Until: time.Now().Add(-time.Minute)})
	wantCode(t, "an end that is over", err, chat.CodeUsage)
}

// butPeople returns the next event that is not how somebody is.
func butPeople(t *testing.T, events *client.Stream) chat.Event {
	t.Helper()
	for {
		e := next(t, events)
		if _, ok := e.(chat.PersonEvent); !ok {
			return e
		}
	}
}

func TestWatchingTellsOnce(t *testing.T) {
	n, c := start(t)
	ctx := t.Context()
	bob, eve := n.Befriend("Bob"), n.Appear("Eve")
	n.Show(bob.Person, chat.Status{State: chat.Busy})
	if err := c.Watch(ctx, "Bob"); err != nil {
		t.Fatal(err)
	}
	if p, err := c.Person(ctx, "Bob"); err != nil || !p.Watched {
		t.Errorf("Person: %+v, %v", p, err)
	}
	events := c.Events(ctx, client.EventsFrom{})
	defer events.Close()
	expect(t, events, "ready", "person", "person", "person")
	n.Show(bob.Person, chat.Status{State: chat.Available})
	if e, ok := butPeople(t, events).(chat.FreeEvent); !ok || e.Person.Person != bob.Person || e.Watched {
		t.Errorf("told %+v", e)
	}
	n.Show(bob.Person, chat.Status{State: chat.Busy})
	if err := c.Watch(ctx, "Bob"); err != nil {
		t.Fatal(err)
	}
	if err := c.Unwatch(ctx, "Bob"); err != nil {
		t.Fatal(err)
	}
	n.Show(bob.Person, chat.Status{State: chat.Available})
	n.Publish(chat.TypingEvent{From: bob})
	if e := butPeople(t, events); e.EventType() != "typing" {
		t.Errorf("told %+v of somebody who is watched no more", e)
	}
	wantCode(t, "watching a stranger", c.Watch(ctx, eve.Person.Short()), chat.CodeNotContact)
	wantCode(t, "watching nobody", c.Unwatch(ctx, "nobody"), chat.CodeNotFound)
}

func TestProfileGroupsAndTeamAreKept(t *testing.T) {
	n, c := start(t)
	ctx := t.Context()
	n.Befriend("Bob")
	own := chat.OwnProfile{Profile: chat.Profile{Title: "Head of it", Email: "ann@example.org"}, For: map[string]chat.Audience{"title": chat.Everyone}}
	if got, err := c.SetProfile(ctx, own); err != nil || !reflect.DeepEqual(got, own) {
		t.Errorf("SetProfile: %+v, %v", got, err)
	}
	if got, err := c.Profile(ctx); err != nil || !reflect.DeepEqual(got, own) {
		t.Errorf("Profile: %+v, %v", got, err)
	}
	if got, err := c.SetGroups(ctx, "Bob", []string{"sales", "Board"}); err != nil || !reflect.DeepEqual(got.Groups, []string{"Board", "sales"}) {
		t.Errorf("SetGroups: %+v, %v", got, err)
	}
	if got, err := c.SetTeam(ctx, "Bob", true); err != nil || !got.Team || len(got.Groups) != 2 {
		t.Errorf("SetTeam: %+v, %v", got, err)
	}
	_, err := c.SetTeam(ctx, "nobody", true)
	wantCode(t, "the team of nobody", err, chat.CodeNotFound)
}

func TestAlertsAreKept(t *testing.T) {
	_, c := start(t)
	ctx := t.Context()
	want := chat.Alerts{Bell: true, Preview: chat.PreviewName, QuietFrom: "22:00", QuietTo: "07:00"}
	if got, err := c.SetAlerts(ctx, want); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("SetAlerts: %+v, %v", got, err)
	}
	r, err := c.SetRoomAlerts(ctx, "lobby", chat.AlertNone)
	if err != nil || r.Alerts != chat.AlertNone {
		t.Errorf("SetRoomAlerts: %+v, %v", r, err)
	}
	if got, err := c.Alerts(ctx); err != nil || got.Rooms[r.RoomID] != chat.AlertNone {
		t.Errorf("Alerts: %+v, %v", got, err)
	}
	if r, err = c.SetRoomAlerts(ctx, "lobby", ""); err != nil || r.Alerts != chat.AlertMentions {
		t.Errorf("back to the usual: %+v, %v", r, err)
	}
}

func TestPresenceIsFollowedUntilTheNodeEnds(t *testing.T) {
	home, n := t.TempDir(), apitest.New("Ann")
	stop := serve(t, home, n)
	c := open(t, home)
	bob := n.Befriend("Bob")
	if got, err := c.Presence(t.Context(), client.Whose{Who: "Bob"}); err != nil || len(got) != 1 || got[0].Line != "◇ Bob here" {
		t.Errorf("Presence: %+v, %v", got, err)
	}
	_, err := c.Presence(t.Context(), client.Whose{Email: "b&person=Bob@example.org"})
	wantCode(t, "an address that holds a query", err, chat.CodeNotFound)

	var told []string
	err = c.FollowPresence(t.Context(), client.Whose{Who: "Bob"}, func(now []client.Presence) error {
		told = append(told, now[0].Line)
		switch len(told) {
		case 1:
			n.Show(bob.Person, chat.Status{State: chat.Away})
		case 2:
			stop()
		}
		return nil
	})
	wantCode(t, "the end of the node", err, chat.CodeUnreachable)
	if want := []string{"◇ Bob here", "◐ Bob away"}; !reflect.DeepEqual(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	err = c.FollowPresence(t.Context(), client.Whose{Who: "Bob"}, nil)
	wantCode(t, "no node", err, chat.CodeUnreachable)
}

func TestWhoFollowsPresenceEndsIt(t *testing.T) {
	n, c := start(t)
	n.Befriend("Bob")
	enough := errors.New("enough")
	if err := c.FollowPresence(t.Context(), client.Whose{Who: "Bob"}, func([]client.Presence) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("ended by its reader: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := c.FollowPresence(ctx, client.Whose{Who: "Bob"}, func([]client.Presence) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("ended by its context: %v", err)
	}
}
