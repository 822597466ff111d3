package node

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/alert"
	"earshot/chat/contacts"
	"earshot/node/desktop"
	"earshot/node/store"
)

// screen is a desktop of a test's.
type screen struct {
	shown  chan desktop.Note
	taken  chan string
	tell   chan func(desktop.Idle)
	fails  error
	silent bool // never answers
}

func newScreen() *screen {
	return &screen{shown: make(chan desktop.Note, 100), taken: make(chan string, 100), tell: make(chan func(desktop.Idle), 1)}
}

func (s *screen) Watch(ctx context.Context, tell func(desktop.Idle)) {
	s.tell <- tell
	<-ctx.Done()
}

func (s *screen) Show(ctx context.Context, n desktop.Note) error {
	if s.silent {
		<-ctx.Done()
		return ctx.Err()
	}
	s.shown <- n
	return s.fails
}

func (s *screen) Withdraw(_ context.Context, key string) error {
	s.taken <- key
	return nil
}

// awaited returns what comes next, or fails the test.
func awaited[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(30 * time.Second):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// before starts a node off the network, before a screen.
func before(t *testing.T, s Desktop, home string) *Node {
	t.Helper()
	n, err := Start(t.Context(), Config{Home: home, Name: "Ann", Offline: true, Desktop: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close(context.Background()) })
	return n
}

// know makes somebody known to a node, and nobody else.
func know(t *testing.T, n *Node, i int, name string, r contacts.Relation, team bool) chat.Author {
	t.Helper()
	err := n.do(t.Context(), func(c *core) {
		c.people.remember(personNo(i), name)
		rec := contacts.Record{Person: personNo(i), Name: name, Relation: r}
		rec.Team = team
		c.circle.engine.Handle(c.now, contacts.Restore{Records: []contacts.Record{rec}})
		if r == contacts.Blocked {
			c.circle.blocked[rec.Person] = struct{}{}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return chat.Author{Person: personNo(i), Name: name}
}

// written returns a message that somebody wrote in the lobby.
func written(n *Node, from chat.Author, text string) chat.MessageEvent {
	saidLast++
	return chat.MessageEvent{Cursor: n.feed.Newest() + 1, Message: chat.Message{
		ID: chat.EntryID{saidLast}, Room: chat.Lobby, RoomID: lobby, From: from, Text: text, SentAt: time.Now(),
		MentionsMe: strings.Contains(text, "@Ann"),
	}}
}

// said has the loop know of a message that somebody wrote in the lobby.
func said(t *testing.T, n *Node, from chat.Author, text string) {
	t.Helper()
	if err := n.do(t.Context(), func(c *core) { c.alertOf(written(n, from, text)) }); err != nil {
		t.Fatal(err)
	}
}

var saidLast byte

// alertsOf returns what faces of a node are told of alerts.
func alertsOf(t *testing.T, n *Node) <-chan chat.Event {
	t.Helper()
	sub := n.feed.Subscribe(n.feed.Newest(), n.Facts)
	out := make(chan chat.Event, 1000)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			batch, err := sub.Next(context.Background())
			if err != nil {
				return
			}
			for _, ev := range batch {
				switch ev.(type) {
				case chat.AlertEvent, chat.AlertsEvent:
					out <- ev
				}
			}
		}
	}()
	t.Cleanup(func() { sub.Close(); <-done })
	return out
}

func TestAMentionReachesTheDesktopAndAReadTakesItBack(t *testing.T) {
	s := newScreen()
	n := before(t, s, t.TempDir())
	told := alertsOf(t, n)
	bob := know(t, n, 1, "Bob", contacts.Contact, false)
	n.feed.Publish(written(n, bob, "nothing of yours")) // an open room alerts by mentions
	n.feed.Publish(written(n, bob, "@Ann lunch?"))
	note := awaited(t, s.shown)
	if note.Title != "Bob in #lobby" || note.Body != "@Ann lunch?" || note.Silent {
		t.Errorf("shown: %+v", note)
	}
	a, ok := awaited(t, told).(chat.AlertEvent)
	if !ok || a.Count != 1 || !a.Mention || a.RoomID != lobby || a.From != bob {
		t.Errorf("faces are told %+v", a)
	}
	n.feed.Publish(chat.ReadEvent{Room: chat.Lobby, RoomID: lobby})
	if key := awaited(t, s.taken); key != note.Key {
		t.Errorf("withdrawn: %q, not %q", key, note.Key)
	}
	if a, ok := awaited(t, told).(chat.AlertEvent); !ok || !a.Gone {
		t.Errorf("faces are told %+v", a)
	}
}

func TestStrangersAndBlockedPeopleNeverAlert(t *testing.T) {
	s := newScreen()
	n := before(t, s, t.TempDir())
	if _, err := n.SetRoomAlerts(t.Context(), lobby, chat.AlertAll); err != nil {
		t.Fatal(err)
	}
	for i, r := range []contacts.Relation{contacts.Stranger, contacts.Blocked, contacts.Asking, contacts.Requested} {
		said(t, n, know(t, n, i+1, fmt.Sprint("Eve ", i), r, true), "@Ann look here")
	}
	said(t, n, know(t, n, 9, "Bob", contacts.Verified, false), "hello")
	if note := awaited(t, s.shown); note.Title != "Bob in #lobby" {
		t.Errorf("shown: %+v", note)
	}
}

func TestTheTeamBreaksThroughDoNotDisturb(t *testing.T) {
	s := newScreen()
	n := before(t, s, t.TempDir())
	dnd := chat.DoNotDisturb
	if _, err := n.SetStatus(t.Context(), chat.StatusChange{State: &dnd}); err != nil {
		t.Fatal(err)
	}
	said(t, n, know(t, n, 1, "Bob", contacts.Contact, false), "@Ann lunch?")
	said(t, n, know(t, n, 2, "Cleo", contacts.Contact, true), "@Ann the server is down")
	if note := awaited(t, s.shown); note.Title != "Cleo in #lobby (2)" {
		t.Errorf("shown: %+v", note)
	}
}

func TestWhatIsBeforeThePersonsEyesDoesNotAlert(t *testing.T) {
	s := newScreen()
	n := before(t, s, t.TempDir())
	tell := awaited(t, s.tell)
	bob := know(t, n, 1, "Bob", contacts.Contact, false)
	if err := n.View(t.Context(), lobby); err != nil {
		t.Fatal(err)
	}
	said(t, n, bob, "@Ann seen")
	tell(desktop.Idle{By: "a test", Locked: true}) // nobody looks at it any more
	awaitStatus(t, n, func(s chat.OwnStatus) bool { return s.Locked })
	said(t, n, bob, "@Ann not seen")
	if note := awaited(t, s.shown); note.Body != "@Ann not seen" {
		t.Errorf("shown: %+v", note)
	}
}

// awaitStatus waits until the own status is so.
func awaitStatus(t *testing.T, n *Node, is func(chat.OwnStatus) bool) {
	t.Helper()
	for late := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		s, err := n.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if is(s) {
			return
		}
		if time.Now().After(late) {
			t.Fatalf("the status is still %+v", s)
		}
	}
}

func TestWhoLeavesTheMachineIsAway(t *testing.T) {
	s := newScreen()
	n := before(t, s, t.TempDir())
	tell := awaited(t, s.tell)
	tell(desktop.Idle{By: "a test"})
	awaitStatus(t, n, func(s chat.OwnStatus) bool { return s.State == chat.Available && s.IdleBy == "a test" })
	tell(desktop.Idle{By: "a test", Locked: true})
	awaitStatus(t, n, func(s chat.OwnStatus) bool { return s.State == chat.Away && s.Locked })
	tell(desktop.Idle{By: "a test"})
	awaitStatus(t, n, func(s chat.OwnStatus) bool { return s.State == chat.Available && !s.Locked })
	tell(desktop.Idle{Problem: "No desktop is here."})
	awaitStatus(t, n, func(s chat.OwnStatus) bool { return s.IdleBy == "" && s.IdleProblem == "No desktop is here." })
}

func TestADesktopThatHangsHoldsUpNobody(t *testing.T) {
	s := newScreen()
	s.silent = true
	n := before(t, s, t.TempDir())
	told := alertsOf(t, n)
	for i := range 50 {
		said(t, n, know(t, n, i+1, fmt.Sprint("Bob ", i), contacts.Contact, false), "@Ann")
	}
	for awaited(t, told).(chat.AlertEvent).Count < 1 {
		t.Error("faces are told of nothing")
	}
	n.notes.mu.Lock()
	waiting := len(n.notes.next)
	n.notes.mu.Unlock()
	if waiting > 1 {
		t.Errorf("%d notifications of one room wait", waiting)
	}
	closed := make(chan error, 1)
	go func() { closed <- n.Close(context.Background()) }()
	if err := awaited(t, closed); err != nil {
		t.Error(err)
	}
}

func TestWhyNothingIsShownIsSaid(t *testing.T) {
	s := newScreen()
	s.fails = chat.Errorf(chat.CodeUnreachable, "This desktop shows no notifications. Start one that does.")
	n := before(t, s, t.TempDir())
	told := alertsOf(t, n)
	said(t, n, know(t, n, 1, "Bob", contacts.Contact, false), "@Ann")
	for {
		if a, ok := awaited(t, told).(chat.AlertsEvent); ok {
			if a.DesktopProblem != s.fails.Error() {
				t.Errorf("said: %q", a.DesktopProblem)
			}
			break
		}
	}
}

func TestANoteThatWaitsIsReplacedByTheNewerOne(t *testing.T) {
	q := newNotes(newScreen())
	q.show(alert.Notify{Key: "a", Title: "1"})
	q.show(alert.Notify{Key: "b", Title: "2"})
	q.show(alert.Notify{Key: "a", Title: "3", Silent: true})
	if key, n, ok := q.take(); !ok || key != "a" || n.Title != "3" || n.Silent {
		t.Errorf("%q %+v: it has not rung yet", key, n)
	}
	q.withdraw("b")
	if key, n, ok := q.take(); !ok || key != "b" || n != nil {
		t.Errorf("%q %+v", key, n)
	}
	if _, _, ok := q.take(); ok {
		t.Error("something is left")
	}
	none := newNotes(nil)
	none.show(alert.Notify{Key: "a"})
	if len(none.next) != 0 {
		t.Error("notes are kept although there is no desktop")
	}
}

func TestAlertsAreAsTheyWereSetAfterARestart(t *testing.T) {
	home := t.TempDir()
	n := before(t, newScreen(), home)
	if a, err := n.Alerts(t.Context()); err != nil || !a.Desktop || a.Preview != chat.PreviewText || !a.TeamMentions || a.DesktopProblem != "" {
		t.Errorf("who has not chosen gets %+v, %v", a, err)
	}
	set, err := n.SetAlerts(t.Context(), chat.Alerts{
		Bell: true, Preview: chat.PreviewName, QuietFrom: "9:30", QuietTo: "06:05", Rooms: map[chat.RoomID]string{{1}: chat.AlertNone}, DesktopProblem: "x",
	})
	if err != nil {
		t.Fatal(err)
	}
	room, err := n.SetRoomAlerts(t.Context(), lobby, chat.AlertAll)
	if err != nil || room.Alerts != chat.AlertAll {
		t.Errorf("the room alerts by %q, %v", room.Alerts, err)
	}
	if err := n.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	n = before(t, nil, home)
	got, err := n.Alerts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.Desktop || !got.Bell || got.Title || got.TeamMentions || got.Preview != chat.PreviewName || got.QuietFrom != "09:30" || got.QuietTo != "06:05" {
		t.Errorf("%+v, not %+v", got, set)
	}
	if len(got.Rooms) != 1 || got.Rooms[lobby] != chat.AlertAll {
		t.Errorf("rooms: %v", got.Rooms)
	}
	if got.DesktopProblem == "" {
		t.Error("nobody says that there is no desktop")
	}
	if room, err = n.SetRoomAlerts(t.Context(), lobby, ""); err != nil || room.Alerts != chat.AlertMentions {
		t.Errorf("the usual is %q, %v", room.Alerts, err)
	}
}

func TestAlertsThatMakeNoSenseAreRefused(t *testing.T) {
	n := before(t, newScreen(), t.TempDir())
	for what, a := range map[string]chat.Alerts{
		"no preview":     {},
		"half a night":   {Preview: chat.PreviewText, QuietFrom: "22:00"},
		"no such time":   {Preview: chat.PreviewText, QuietFrom: "22:00", QuietTo: "25:00"},
		"no time at all": {Preview: chat.PreviewText, QuietFrom: "22:00", QuietTo: "22:00"},
	} {
		if _, err := n.SetAlerts(t.Context(), a); chat.CodeOf(err) != chat.CodeUsage {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := n.SetRoomAlerts(t.Context(), lobby, "loud"); chat.CodeOf(err) != chat.CodeUsage {
		t.Error(err)
	}
	if _, err := n.SetRoomAlerts(t.Context(), chat.RoomID{9}, chat.AlertAll); chat.CodeOf(err) != chat.CodeNotFound {
		t.Error(err)
	}
	if a, err := n.Alerts(t.Context()); err != nil || a.Preview != chat.PreviewText || len(a.Rooms) != 0 {
		t.Errorf("something was changed all the same: %+v, %v", a, err)
	}
}

func TestAHomeWhoseAlertsCannotBeReadIsNotOpened(t *testing.T) {
	home := t.TempDir()
	n := before(t, nil, home)
	stored := make(chan error, 1)
	n.store.Commit(store.Batch{State: []store.StateChange{{Key: alertsKey, Value: []byte("{")}}}, func(_ []chat.Cursor, err error) { stored <- err })
	if err := <-stored; err != nil {
		t.Fatal(err)
	}
	if err := n.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	again, err := Start(t.Context(), Config{Home: home, Offline: true})
	if chat.CodeOf(err) != chat.CodeHomeBroken || !strings.Contains(err.Error(), "backup") {
		t.Error(err)
	}
	if err == nil {
		_ = again.Close(context.Background())
	}
}
