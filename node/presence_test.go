package node

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"earshot/chat"
	"earshot/chat/presence"
	"earshot/node/store"
)

func TestFramesThatWaitForTheStoreAreBounded(t *testing.T) {
	s := sight{storing: 1}
	for range maxWaiting + 10 {
		s.wait(letter{frame: []byte("a beat")})
	}
	if len(s.waiting) != maxWaiting {
		t.Errorf("%d wait", len(s.waiting))
	}
}

func TestWhatPresenceGoesOnWithIsStoredOnceTheDiskTakesIt(t *testing.T) {
	at(t, t.TempDir(), 0, func(t *testing.T, n *Node) {
		const key = presence.KeyPrefix + "test"
		change := func(value string) []store.StateChange { return []store.StateChange{{Key: key, Value: []byte(value)}} }
		run := func(f func(c *core)) {
			t.Helper()
			synctest.Wait()
			if err := n.do(t.Context(), f); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		refused := func(value string) {
			t.Helper()
			run(func(c *core) {
				c.sight.storing, c.sight.kept[key] = c.sight.storing+1, []byte(value)
				c.keptPresence(change(value), errors.New("no space left"))
			})
		}
		holds := func(want string) {
			t.Helper()
			run(func(c *core) {
				if c.sight.storing != 0 {
					t.Errorf("%d are on their way into the store", c.sight.storing)
				}
			})
			if state, err := n.store.State(t.Context(), key); err != nil || string(state[key]) != want {
				t.Errorf("the store holds %q (%v), not %q", state[key], err, want)
			}
		}
		refused("one")
		holds("")
		time.Sleep(saveAgain)
		holds("one")
		// What is newer is not undone by what is tried again.
		run(func(c *core) { c.keepPresence(change("three")) })
		run(func(c *core) {
			c.sight.storing++
			c.keptPresence(change("two"), errors.New("no space left"))
		})
		time.Sleep(2 * saveAgain)
		holds("three")
	})
}

func TestAPersonWhoLooksAsBeforeIsNotToldOfAgain(t *testing.T) {
	per := &person{}
	here := chat.Person{Name: "Ben", Presence: chat.Here, LastSeen: noon, Devices: []chat.Device{{Presence: chat.Here, LastSeen: noon}}}
	later := here
	later.LastSeen = noon.Add(time.Second)
	later.Devices = []chat.Device{{Presence: chat.Here, LastSeen: noon.Add(time.Second)}}
	busy := later
	busy.Status.State = chat.Busy
	gone := busy
	gone.Presence, gone.Devices = chat.Gone, []chat.Device{{Presence: chat.Gone, LastSeen: noon}}
	longGone := gone
	longGone.LastSeen = noon.Add(-time.Hour)
	for i, c := range []struct {
		p    chat.Person
		same bool
	}{{here, false}, {here, true}, {later, true}, {busy, false}, {gone, false}, {gone, true}, {longGone, false}, {here, false}} {
		if got := per.unchanged(c.p); got != c.same {
			t.Errorf("%d: unchanged is %v", i, got)
		}
	}
}
