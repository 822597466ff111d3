package store

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"earshot/chat"
)

// Readers see a history that only grows, whole operations at a time, while many
// write: cursors without holes, pages in order, counters that agree.
func TestReadersDuringWrites(t *testing.T) {
	s := openStore(t, t.TempDir())
	lobby, _ := putRoom(t, s, "#lobby", true)
	const writers, pairs = 4, 60
	var writing, reading sync.WaitGroup
	finished := make(chan struct{})
	for i := range writers {
		writing.Go(func() {
			w, open := opened(lobby, fmt.Sprint("writer ", i), noon)
			if _, err := s.store(open); err != nil {
				t.Error(err)
			}
			for n := range pairs {
				hlc := noon + chat.HLC(10*n) + 1
				// Two messages at a time: nobody may see one of them alone.
				if _, err := s.store(w.say(hlc, "left"), w.say(hlc+1, "right")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 2 * readers {
		reading.Go(func() {
			seen := chat.Cursor(0)
			for ended := false; !ended; {
				select {
				case <-finished:
					ended = true // one more round, which must see everything
				default:
				}
				if err := readOnce(t, s, lobby, &seen); err != nil {
					t.Error(err)
					return
				}
			}
			if want := chat.Cursor(1 + 2*writers*pairs); seen != want {
				t.Errorf("a reader saw facts up to %d, want %d", seen, want)
			}
		})
	}
	writing.Wait()
	close(finished)
	reading.Wait()
	if rooms := must(s.Rooms(t.Context()))(t); rooms[0].Unread != 2*writers*pairs {
		t.Errorf("unread = %d, want %d", rooms[0].Unread, 2*writers*pairs)
	}
}

func readOnce(t *testing.T, s *Store, lobby chat.RoomID, seen *chat.Cursor) error {
	ctx := t.Context()
	for {
		facts, err := s.Facts(ctx, *seen, 100)
		if err != nil {
			return err
		}
		for _, e := range facts {
			cursor, _ := chat.Fact(e)
			if *seen++; cursor != *seen {
				return fmt.Errorf("fact %d where %d should be", cursor, *seen)
			}
		}
		if len(facts) < 100 {
			break
		}
	}
	rooms, err := s.Rooms(ctx)
	if err != nil {
		return err
	}
	if rooms[0].Unread%2 != 0 {
		return errors.New("half of an operation was seen")
	}
	page, err := s.Messages(ctx, lobby, MessageQuery{Limit: 20})
	if err != nil {
		return err
	}
	for i := range page {
		if i > 0 && page[i].SentAt.Before(page[i-1].SentAt) {
			return errors.New("a page out of order")
		}
	}
	if _, err := s.Search(ctx, "left", &lobby, 5); err != nil {
		return err
	}
	_, _, err = s.Missing(ctx, lobby, nil, Position{}, 20, 1<<20)
	return err
}

// Close during reads and writes: each is answered, none hangs, none is lost.
func TestCloseAmongCallers(t *testing.T) {
	s := openStore(t, t.TempDir())
	lobby, _ := putRoom(t, s, "#lobby", true)
	var callers sync.WaitGroup
	started := make(chan struct{}, 8)
	for i := range 4 {
		callers.Go(func() {
			w, open := opened(lobby, fmt.Sprint("writer ", i), noon)
			_, err := s.store(open)
			started <- struct{}{}
			for n := chat.HLC(1); err == nil; n++ {
				_, err = s.store(w.say(noon+n, "text"))
			}
			if chat.CodeOf(err) != chat.CodeStopping {
				t.Error(err)
			}
		})
		callers.Go(func() {
			_, err := s.Rooms(t.Context())
			started <- struct{}{}
			for err == nil {
				_, err = s.Messages(t.Context(), lobby, MessageQuery{})
			}
			if chat.CodeOf(err) != chat.CodeStopping {
				t.Error(err)
			}
		})
	}
	for range 8 {
		<-started
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	callers.Wait()
}
