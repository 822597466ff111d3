package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"earshot/chat"
	"earshot/node/api"
	"earshot/node/store"
)

// alone starts a node off the network.
func alone(t *testing.T, home string) *Node {
	t.Helper()
	n, err := Start(t.Context(), Config{Home: home, Name: "Ann", Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close(context.Background()) })
	return n
}

func say(t *testing.T, n *Node, text string) {
	t.Helper()
	if _, err := n.Send(t.Context(), lobby, chat.Draft{Text: text}); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
}

func texts(t *testing.T, n *Node) (out []string) {
	t.Helper()
	page, err := n.Messages(t.Context(), lobby, api.Page{Limit: 500})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range page {
		out = append(out, m.Text)
	}
	return out
}

func TestOneActionAtTheSameTimeIsOneMessage(t *testing.T) {
	n := alone(t, t.TempDir())
	const actions, retries = 20, 8
	ids := make([][retries]chat.EntryID, actions)
	var wg sync.WaitGroup
	for i := range actions {
		for j := range retries {
			wg.Go(func() {
				m, err := n.Send(t.Context(), lobby, chat.Draft{Text: fmt.Sprint("action ", i), ClientID: fmt.Sprint("client ", i)})
				if err != nil {
					t.Error(err)
				}
				ids[i][j] = m.ID
			})
		}
	}
	wg.Wait()
	for i := range ids {
		for j := range ids[i] {
			if ids[i][j] != ids[i][0] || ids[i][j].IsZero() {
				t.Fatalf("action %d made %v", i, ids[i])
			}
		}
	}
	if got := texts(t, n); len(got) != actions {
		t.Errorf("%d messages: %q", len(got), got)
	}
	if len(n.posts) != 0 {
		t.Errorf("%d posts are on their way for ever", len(n.posts))
	}
}

func TestWhatTheStoreDidNotTakeIsNotCounted(t *testing.T) {
	n := alone(t, t.TempDir())
	say(t, n, "before")
	// The engine accepts it, and the store does not: as when the disk is full.
	refused := errors.New("no")
	lost := make(chan struct{})
	if err := n.do(t.Context(), func(c *core) {
		at := c.rooms.Frontier(lobby)[0]
		n.store.Append([]store.Record{{Room: lobby, Entry: entry(t, cleo, time.Now(), 7)}}, func(_ []chat.Cursor, err error) {
			if err == nil {
				t.Error("the store took an entry without a predecessor")
			}
			n.storeFailed([]chat.RoomID{lobby}, refused)
			close(lost)
		})
		if at.Seq != 2 {
			t.Errorf("the log stands at %d", at.Seq)
		}
	}); err != nil {
		t.Fatal(err)
	}
	<-lost
	for i := range 50 { // also while it is restored
		say(t, n, fmt.Sprint("after ", i))
	}
	if got := texts(t, n); len(got) != 51 || got[50] != "after 49" {
		t.Errorf("%q", got)
	}
	me, err := n.Me(t.Context())
	if err != nil || len(me.Warnings) != 0 {
		t.Errorf("it still warns of %v (%v)", me.Warnings, err)
	}
}

func TestAClosedStoreIsSaidAndStopsNothingElse(t *testing.T) {
	n := alone(t, t.TempDir())
	say(t, n, "before")
	if err := n.store.Close(); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if _, err := n.Send(t.Context(), lobby, chat.Draft{Text: "after"}); chat.CodeOf(err) != chat.CodeStopping {
			t.Fatal(err)
		}
	}
	if people, err := n.People(t.Context()); err != nil || len(people) != 1 {
		t.Errorf("%v %v", people, err)
	}
	if err := n.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// stuck keeps the store from writing until release, as a slow disk does.
func stuck(n *Node) (release func()) {
	begun, end := make(chan struct{}), make(chan struct{})
	n.store.TouchDevices(nil, func(error) { close(begun); <-end })
	<-begun
	return func() { close(end) }
}

func TestABusyDiskHoldsUpWhatIsSentAndNothingElse(t *testing.T) {
	n := alone(t, t.TempDir())
	say(t, n, "before")
	release := stuck(n)
	const waiting = 300
	var wg sync.WaitGroup
	for i := range waiting {
		wg.Go(func() {
			if _, err := n.Send(t.Context(), lobby, chat.Draft{Text: fmt.Sprint(i)}); err != nil {
				t.Error(err)
			}
		})
	}
	for n.store.Backlog() < waiting { // each Send has come so far
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		if _, err := n.People(ctx); err != nil {
			t.Fatalf("the loop waits for the disk: %v", err)
		}
		cancel()
	}
	if got := texts(t, n); len(got) != 1 {
		t.Errorf("%d messages are shown before they are stored", len(got))
	}
	release()
	wg.Wait()
	if got := texts(t, n); len(got) != waiting+1 {
		t.Errorf("%d messages are left", len(got))
	}
}

func TestCloseEndsEverythingWhateverGoesOn(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	home := t.TempDir()
	for range 10 {
		n, err := Start(t.Context(), Config{Home: home, Name: "Ann", Offline: true})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		begun := make(chan struct{}, 8)
		for i := range 8 {
			wg.Go(func() {
				for j := 0; ; j++ {
					_, err := n.Send(t.Context(), lobby, chat.Draft{Text: fmt.Sprint(i, j)})
					if j == 0 {
						begun <- struct{}{}
					}
					if err != nil {
						if chat.CodeOf(err) != chat.CodeStopping {
							t.Error(err)
						}
						return
					}
				}
			})
		}
		for range 8 {
			<-begun
		}
		if err := n.Close(t.Context()); err != nil {
			t.Error(err)
		}
		wg.Wait()
		if err := n.Close(t.Context()); err != nil {
			t.Error("the second Close:", err)
		}
	}
}

func TestASlowDiskLeavesTheLivePathToCatchUp(t *testing.T) {
	n := alone(t, t.TempDir())
	say(t, n, "before")
	release := stuck(n)
	many := map[chat.DeviceID]time.Time{}
	for i := range maxBacklog + 1 {
		many[numbered(i)] = time.Now()
	}
	stored := make(chan error, 1)
	n.store.TouchDevices(many, func(err error) { stored <- err })
	e := entry(t, cleo, time.Now(), 1)
	n.deliver(t.Context(), deviceOf(ben), live(e, time.Now()))
	select {
	case d := <-n.offers:
		if d != deviceOf(ben) {
			t.Errorf("%s is told what is held here", d.Short())
		}
	default:
		t.Error("Ben is not told that what he passed on was dropped")
	}
	release()
	if err := <-stored; err != nil {
		t.Error(err)
	}
	n.deliver(t.Context(), deviceOf(ben), live(e, time.Now()))
	if len(n.offers) != 0 {
		t.Error("an idle disk is taken for a slow one")
	}
}
