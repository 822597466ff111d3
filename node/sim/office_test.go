package sim

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"time"

	"earshot/chat"
	"earshot/node"
	"earshot/node/api"
)

// These are promises of whole nodes, kept on the simulated LAN in real time. The
// laboratory keeps them with real processes.

var lobby = chat.OpenRoom(chat.Lobby)

type desk struct {
	*node.Node
	t      testing.TB
	ctx    context.Context
	events <-chan chat.Event
}

func newOffice(t testing.TB) (*Office, func(name string) *desk) {
	t.Helper()
	return newOfficeFor(t, 3*patience)
}

// newOfficeFor returns an office in which nothing is to take longer than that.
func newOfficeFor(t testing.TB, long time.Duration) (*Office, func(name string) *desk) {
	t.Helper()
	// What goes wrong in a node is worth reading beside what a test says.
	o := NewOffice(t.TempDir(), slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})))
	ctx, cancel := context.WithTimeout(context.Background(), long)
	t.Cleanup(func() {
		if err := o.Close(ctx); err != nil {
			t.Error(err)
		}
		cancel()
	})
	return o, func(name string) *desk {
		t.Helper()
		n, err := o.Enter(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		return watch(t, ctx, n)
	}
}

// watch collects what a node tells its faces, from the beginning.
func watch(t testing.TB, ctx context.Context, n *node.Node) *desk {
	events := make(chan chat.Event, 16384)
	sub := n.Feed().Subscribe(0, n.Facts)
	ended := make(chan struct{})
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer close(ended)
		for {
			batch, err := sub.Next(ctx)
			if err != nil {
				return
			}
			for _, e := range batch {
				events <- e
			}
		}
	}()
	t.Cleanup(func() { cancel(); sub.Close(); <-ended })
	return &desk{Node: n, t: t, ctx: ctx, events: events}
}

func (d *desk) say(text string) chat.Message {
	d.t.Helper()
	m, err := d.Send(d.ctx, lobby, chat.Draft{Text: text})
	if err != nil {
		d.t.Fatal(err)
	}
	return m
}

// await returns the first event that ok accepts.
func (d *desk) await(what string, ok func(chat.Event) bool) chat.Event {
	d.t.Helper()
	late := time.After(patience)
	for {
		select {
		case e := <-d.events:
			if ok(e) {
				return e
			}
		case <-late:
			d.t.Fatalf("%s never saw %s", d.Name(), what)
		}
	}
}

func (d *desk) hears(text string) chat.MessageEvent {
	d.t.Helper()
	return d.await(fmt.Sprintf("%q", text), func(e chat.Event) bool {
		m, ok := e.(chat.MessageEvent)
		return ok && m.Text == text
	}).(chat.MessageEvent)
}

// sees waits until somebody is shown so. What was told of them before may be over.
func (d *desk) sees(name string, p chat.Presence) {
	d.t.Helper()
	d.until(fmt.Sprintf("shown %s %s", name, p), func() bool {
		people, err := d.People(d.ctx)
		d.must(err)
		return slices.ContainsFunc(people, func(who chat.Person) bool { return who.Name == name && who.Presence == p })
	})
}

func TestTheFirstMessageAfterMeetingArrives(t *testing.T) {
	t.Parallel()
	_, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	m := ann.say("Hello, Ben")
	got := ben.hears("Hello, Ben")
	if got.ID != m.ID || got.From.Name != "Ann" || got.From.Person != m.From.Person || got.Mine || !m.Mine {
		t.Errorf("Ben was told %+v of %+v", got, m)
	}
	ben.say("Hello, Ann")
	ann.hears("Hello, Ann")
}

func TestALateJoinerReadsWhatWasSaidFromAMemberThatIsNotTheAuthor(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	for i := range 300 {
		ann.say(fmt.Sprint("line ", i))
	}
	ben.hears("line 299")
	if err := o.Leave(ann.ctx, ann.Node); err != nil {
		t.Fatal(err)
	}
	cleo := enter("Cleo")
	for i := range 300 {
		if e := cleo.hears(fmt.Sprint("line ", i)); e.From.Name != "Ann" {
			t.Fatalf("line %d is said to be from %q", i, e.From.Name)
		}
	}
}

func TestABurstArrivesWholeAndInOrder(t *testing.T) {
	t.Parallel()
	const burst = 5000
	_, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	ben.sees("Ann", chat.Here)
	sent := make(chan error, 1)
	go func() {
		var err error
		for i := 0; i < burst && err == nil; i++ {
			_, err = ann.Send(ann.ctx, lobby, chat.Draft{Text: fmt.Sprint(i)})
		}
		sent <- err
	}()
	for i := range burst {
		e := ben.await("the next message", func(e chat.Event) bool { _, ok := e.(chat.MessageEvent); return ok })
		if got := e.(chat.MessageEvent).Text; got != fmt.Sprint(i) {
			t.Fatalf("message %d is %q", i, got)
		}
	}
	ann.must(<-sent)
}

func TestARestartKeepsWhoOneIsAndWhatWasSaid(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann := enter("Ann")
	before, _ := ann.Me(ann.ctx)
	first := ann.say("Before the restart")
	if err := o.Leave(ann.ctx, ann.Node); err != nil {
		t.Fatal(err)
	}
	again := enter("Ann")
	after, _ := again.Me(again.ctx)
	if before.Person != after.Person || before.Device != after.Device {
		t.Error("the restart made somebody else of Ann")
	}
	second := again.say("After the restart")
	page, err := again.Messages(again.ctx, lobby, api.Page{Limit: 10})
	if err != nil || len(page) != 2 || page[0].ID != first.ID || page[1].ID != second.ID {
		t.Errorf("the history is %v (%v)", page, err)
	}
	ben := enter("Ben")
	ben.hears("Before the restart")
	ben.hears("After the restart")
}

func TestWhoLeavesIsShownGoneAtOnce(t *testing.T) {
	o, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	ben.sees("Ann", chat.Here)
	start := time.Now()
	left := make(chan error, 1)
	go func() { left <- o.Leave(context.Background(), ann.Node) }()
	ben.sees("Ann", chat.Gone)
	inTime(t, "for Ben to see Ann gone", time.Since(start), time.Second)
	if err := <-left; err != nil {
		t.Error(err)
	}
}

func TestAHealedSplitConverges(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	ann.sees("Ben", chat.Here)
	ben.sees("Ann", chat.Here)
	a, b := netip.MustParseAddr("10.9.0.2"), netip.MustParseAddr("10.9.0.3")
	o.Net.Cut([]netip.Addr{a}, []netip.Addr{b})
	ann.sees("Ben", chat.Gone)
	ann.say("from one side")
	ben.say("from the other")
	o.Net.Heal()
	ann.hears("from the other")
	ben.hears("from one side")
}

func TestRoomsAreApart(t *testing.T) {
	t.Parallel()
	_, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	room, err := ann.JoinRoom(ann.ctx, "#Garden")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ann.Send(ann.ctx, room.RoomID, chat.Draft{Text: "Only here"}); err != nil {
		t.Fatal(err)
	}
	ann.say("Everywhere")
	ben.await("the lobby before anything of the garden", func(e chat.Event) bool {
		m, ok := e.(chat.MessageEvent)
		if ok && m.Room != chat.Lobby {
			t.Fatalf("Ben, who is not in %s, was told %q", m.Room, m.Text)
		}
		return ok && m.Text == "Everywhere"
	})
	if _, err := ben.JoinRoom(ben.ctx, "garden"); err != nil {
		t.Fatal(err)
	}
	if m := ben.hears("Only here"); m.Room != "#garden" || m.RoomID != room.RoomID {
		t.Errorf("it is said to be in %s %v", m.Room, m.RoomID)
	}
}

func TestTheSameActionTwiceIsOneMessage(t *testing.T) {
	t.Parallel()
	_, enter := newOffice(t)
	ann := enter("Ann")
	first, err := ann.Send(ann.ctx, lobby, chat.Draft{Text: "once", ClientID: "client-1"})
	if err != nil {
		t.Fatal(err)
	}
	again, err := ann.Send(ann.ctx, lobby, chat.Draft{Text: "once", ClientID: "client-1"})
	if err != nil || again.ID != first.ID {
		t.Errorf("the retry made %v (%v), not %v", again.ID, err, first.ID)
	}
	// The same words with another intent are another message.
	other, err := ann.Send(ann.ctx, lobby, chat.Draft{Text: "once", ClientID: "client-2"})
	if err != nil || other.ID == first.ID {
		t.Errorf("the same text twice within two minutes was swallowed: %v", err)
	}
}
