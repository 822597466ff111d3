package node

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
	"earshot/node/api"
	"earshot/node/store"
)

func create(t *testing.T, n *Node, name string) chat.RoomID {
	t.Helper()
	r, err := n.CreateRoom(t.Context(), name, "")
	if err != nil {
		t.Fatal(err)
	}
	return r.RoomID
}

func textsIn(t *testing.T, n *Node, id chat.RoomID) (out []string) {
	t.Helper()
	page, err := n.Messages(t.Context(), id, api.Page{Limit: 500})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range page {
		out = append(out, m.Text)
	}
	return out
}

// entriesIn returns what is stored of a room.
func entriesIn(t *testing.T, n *Node, id chat.RoomID) []wire.Entry {
	t.Helper()
	entries, _, err := n.store.Missing(t.Context(), id, nil, store.Position{}, 1<<16, 64<<20)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// refuseNext has the store refuse what the private engine wants stored next, as a
// full disk does.
func refuseNext(t *testing.T, n *Node, why error) {
	t.Helper()
	if err := n.do(t.Context(), func(c *core) { c.life.failure.Store(&why) }); err != nil {
		t.Fatal(err)
	}
}

func TestAFailedWriteUsesNoKeyTwice(t *testing.T) {
	n := alone(t, t.TempDir())
	id := create(t, n, "garden")
	want := []string{}
	for i := range 20 {
		text := string(rune('a' + i))
		full := chat.Errorf(chat.CodeDiskFull, "The disk is full. Make room, and send it again.")
		if i%3 == 1 {
			refuseNext(t, n, full)
			if _, err := n.Send(t.Context(), id, chat.Draft{Text: text}); !errors.Is(err, full) && chat.CodeOf(err) != chat.CodeDiskFull {
				t.Fatalf("%s: %v", text, err)
			}
			for { // it recovers by itself
				if _, err := n.Send(t.Context(), id, chat.Draft{Text: text}); err == nil {
					break
				} else if chat.CodeOf(err) != chat.CodeDiskFull {
					t.Fatal(err)
				}
			}
		} else if _, err := n.Send(t.Context(), id, chat.Draft{Text: text}); err != nil {
			t.Fatal(err)
		}
		want = append(want, text)
	}
	if got := textsIn(t, n, id); !slices.Equal(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
	for warned := time.Now(); ; time.Sleep(10 * time.Millisecond) { // the disk is looked at now and then
		me, err := n.Me(t.Context())
		if err == nil && len(me.Warnings) == 0 {
			break
		}
		if err != nil || time.Since(warned) > 30*time.Second {
			t.Fatalf("it still warns of %v (%v)", me.Warnings, err)
		}
	}
	type use struct{ epoch, n uint64 }
	used := map[use]bool{}
	epochs := map[uint64]bool{}
	for _, e := range entriesIn(t, n, id) {
		if e.Kind != wire.KindMessage {
			continue
		}
		var sealed struct {
			N uint64 `cbor:"2,keyasint"`
		}
		if err := wire.Unmarshal(e.Payload, &sealed); err != nil {
			t.Fatal(err)
		}
		u := use{e.Epoch, sealed.N}
		if used[u] {
			t.Errorf("key %d of epoch %d was used twice", u.n, u.epoch)
		}
		used[u], epochs[e.Epoch] = true, true
	}
	if len(used) != 20 || len(epochs) < 8 {
		t.Errorf("%d messages in %d epochs: an engine was not made anew", len(used), len(epochs))
	}
}

// Of an engine that holds what was not stored nothing is said, not even what there is
// nothing to store of: the acknowledgement of a key would be for a lost one.
func TestAnEngineThatWasNotStoredSaysNothing(t *testing.T) {
	n := alone(t, t.TempDir())
	id := create(t, n, "garden")
	full := chat.Errorf(chat.CodeDiskFull, "The disk is full. Make room, and send it again.")
	refuseNext(t, n, full)
	says := func() error { return n.handOver(t.Context(), func(w *change) { w.life = w.c.life }) }
	if err := says(); chat.CodeOf(err) != chat.CodeDiskFull {
		t.Errorf("it is said all the same: %v", err)
	}
	if _, err := n.Send(t.Context(), id, chat.Draft{Text: "lost"}); chat.CodeOf(err) != chat.CodeDiskFull {
		t.Errorf("said: %v", err)
	}
	for says() != nil { // until it has been made anew
	}
}

func TestWhatWasQueuedBehindAFailedWriteIsNotStored(t *testing.T) {
	n := alone(t, t.TempDir())
	id := create(t, n, "garden")
	release := stuck(n)
	answers := make(chan error, 3)
	for range 3 {
		p, _ := n.posting("")
		n.send(t.Context(), id, chat.Draft{Text: "behind"}, p)
		go func() {
			_, err := n.await(t.Context(), p)
			answers <- err
		}()
	}
	refuseNext(t, n, chat.Errorf(chat.CodeDiskFull, "The disk is full. Make room, and send it again."))
	release()
	for range 3 {
		if err := <-answers; chat.CodeOf(err) != chat.CodeDiskFull {
			t.Errorf("it ended with %v", err)
		}
	}
	for {
		_, err := n.Send(t.Context(), id, chat.Draft{Text: "after"})
		if err == nil {
			break
		}
		if chat.CodeOf(err) != chat.CodeDiskFull {
			t.Fatal(err)
		}
	}
	if got := textsIn(t, n, id); !slices.Equal(got, []string{"after"}) {
		t.Errorf("%q", got)
	}
}

func TestARoomThatWasNotStoredIsNotThere(t *testing.T) {
	n := alone(t, t.TempDir())
	refuseNext(t, n, chat.Errorf(chat.CodeDiskFull, "The disk is full. Make room, and try again."))
	if _, err := n.CreateRoom(t.Context(), "garden", ""); chat.CodeOf(err) != chat.CodeDiskFull {
		t.Fatal(err)
	}
	for {
		_, err := n.CreateRoom(t.Context(), "shed", "")
		if err == nil {
			break
		}
		if chat.CodeOf(err) != chat.CodeDiskFull {
			t.Fatal(err)
		}
	}
	rooms, err := n.Rooms(t.Context())
	if err != nil || len(rooms) != 2 || rooms[1].Room != "#shed" {
		t.Errorf("%+v (%v)", rooms, err)
	}
	if err := n.do(t.Context(), func(c *core) {
		if in := c.rooms.Rooms(); len(in) != 2 {
			t.Errorf("the engine is in %d rooms", len(in))
		}
	}); err != nil {
		t.Fatal(err)
	}
}

func TestARestartOpensNothingTwice(t *testing.T) {
	home := t.TempDir()
	n := alone(t, home)
	id := create(t, n, "garden")
	if _, err := n.Send(t.Context(), id, chat.Draft{Text: "before", ClientID: "client-1"}); err != nil {
		t.Fatal(err)
	}
	if err := n.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	n = alone(t, home)
	m, err := n.Send(t.Context(), id, chat.Draft{Text: "before", ClientID: "client-1"})
	if err != nil || m.Text != "before" {
		t.Errorf("the same action again is %+v (%v)", m, err)
	}
	if _, err := n.Send(t.Context(), id, chat.Draft{Text: "after"}); err != nil {
		t.Fatal(err)
	}
	if got := textsIn(t, n, id); !slices.Equal(got, []string{"before", "after"}) {
		t.Errorf("%q", got)
	}
	r, err := n.FindRoom(t.Context(), "#garden")
	if err != nil || r.RoomID != id || r.Kind != chat.RoomPrivate || r.Unreadable != 0 || r.Role != chat.RoleOwner {
		t.Errorf("%+v (%v)", r, err)
	}
}

func TestWhatIsToBeOpenedIsNotForgottenInARestart(t *testing.T) {
	home := t.TempDir()
	n := alone(t, home)
	id := create(t, n, "garden")
	r := reopening{room: id, device: n.device, epoch: 7}
	if got, ok := parseReopening(r.key()); !ok || got != r {
		t.Errorf("%+v is read back as %+v", r, got)
	}
	if _, ok := parseReopening(reopenState + "short"); ok {
		t.Error("a key of another kind is taken for a reopening")
	}
	remembered := func() int {
		state, err := n.store.State(t.Context(), reopenState)
		if err != nil {
			t.Fatal(err)
		}
		return len(state)
	}
	// As if the node had ended between the commit and its reopening.
	if err := n.handOver(t.Context(), func(w *change) {
		w.batch.State = append(w.batch.State, store.StateChange{Key: r.key(), Value: []byte{1}})
	}); err != nil {
		t.Fatal(err)
	}
	if remembered() != 1 {
		t.Fatal("it is not remembered")
	}
	if err := n.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	n = alone(t, home)
	for late := time.Now().Add(10 * time.Second); remembered() != 0; {
		if time.Now().After(late) {
			t.Fatal("it is never done")
		}
		if err := n.do(t.Context(), func(*core) {}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFacesAreToldWhatCanBeReadNow(t *testing.T) {
	n := alone(t, t.TempDir())
	id := create(t, n, "garden")
	if _, err := n.Send(t.Context(), id, chat.Draft{Text: "hello"}); err != nil {
		t.Fatal(err)
	}
	sub := n.Feed().Subscribe(n.Feed().Newest(), n.Facts)
	defer sub.Close()
	if err := n.handOver(t.Context(), func(w *change) {
		w.batch.Openings = append(w.batch.Openings, store.Opening{Room: id})
	}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		events, err := sub.Next(ctx)
		if err != nil {
			t.Fatal("nothing was told: ", err)
		}
		for _, ev := range events {
			if r, ok := ev.(chat.RoomChangedEvent); ok {
				if r.RoomID != id || r.LastAt.IsZero() || r.Room.Room != "#garden" || len(r.Members) != 1 || r.What != "" {
					t.Errorf("%+v", r)
				}
				return
			}
		}
	}
}
