package feed

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"earshot/chat"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// disk stands in for the store: what it holds was committed.
type disk struct {
	mu    sync.Mutex
	facts []chat.Event
	reads int
	err   error
}

func (d *disk) commit(e chat.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.facts = append(d.facts, e)
}

func (d *disk) read(_ context.Context, after chat.Cursor, limit int) ([]chat.Event, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reads++
	if d.err != nil {
		return nil, d.err
	}
	var page []chat.Event
	for _, e := range d.facts {
		if c, _ := chat.Fact(e); c > after && len(page) < limit {
			page = append(page, e)
		}
	}
	return page, nil
}

func message(n int) chat.MessageEvent {
	return chat.MessageEvent{Cursor: chat.Cursor(n), Message: chat.Message{Text: fmt.Sprint("text ", n)}}
}

func warning(code string, n int) chat.WarningEvent {
	return chat.WarningEvent{Warning: chat.Error{Code: chat.Code(code), Text: fmt.Sprint(n)}}
}

// next fails the test unless something is there at once.
func next(t *testing.T, s *Subscription) []chat.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	events, err := s.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// collect reads until it has seen the fact numbered last, and returns the cursors
// and everything else.
func collect(t *testing.T, s *Subscription, last chat.Cursor) (cursors []chat.Cursor, rest []chat.Event) {
	t.Helper()
	for {
		for _, e := range next(t, s) {
			if c, fact := chat.Fact(e); fact {
				cursors = append(cursors, c)
			} else {
				rest = append(rest, e)
			}
		}
		if len(cursors) > 0 && cursors[len(cursors)-1] >= last {
			return cursors, rest
		}
	}
}

func wantEach(t *testing.T, cursors []chat.Cursor, first, last int) {
	t.Helper()
	if len(cursors) != last-first+1 {
		t.Fatalf("got %d facts, want %d to %d once each", len(cursors), first, last)
	}
	for i, c := range cursors {
		if c != chat.Cursor(first+i) {
			t.Fatalf("fact %d has cursor %d, want %d", i, c, first+i)
		}
	}
}

func TestFactsAndWeatherKeepTheirOrder(t *testing.T) {
	f := New(0)
	s := f.Subscribe(0, (&disk{}).read)
	f.Publish(warning("a", 1))
	f.Publish(message(1))
	f.Publish(warning("b", 1))
	f.Publish(message(2))
	got := next(t, s)
	want := []string{"warning", "message", "warning", "message"}
	if len(got) != len(want) {
		t.Fatalf("got %d events, want %d", len(got), len(want))
	}
	for i, e := range got {
		if e.EventType() != want[i] {
			t.Errorf("event %d is %s, want %s", i, e.EventType(), want[i])
		}
	}
}

func TestWeatherKeepsOnlyItsLatestValue(t *testing.T) {
	f := New(0)
	s := f.Subscribe(0, (&disk{}).read)
	for i := range 10 * maxWeather {
		f.Publish(warning("same", i))
	}
	f.Publish(warning("other", 7))
	got := next(t, s)
	if len(got) != 2 {
		t.Fatalf("got %d events, want the latest of two keys", len(got))
	}
	if text := got[0].(chat.WarningEvent).Warning.Text; text != fmt.Sprint(10*maxWeather-1) {
		t.Errorf("the conflated value is %s, not the latest", text)
	}
	if n := f.weather.Len(); n != 2 {
		t.Errorf("the feed holds %d values, want 2", n)
	}
}

func TestWeatherIsNotReplayed(t *testing.T) {
	f := New(0)
	first := f.Subscribe(0, (&disk{}).read)
	defer first.Close()
	f.Publish(warning("past", 1))
	s := f.Subscribe(0, (&disk{}).read)
	f.Publish(message(1))
	if got := next(t, s); len(got) != 1 || got[0].EventType() != "message" {
		t.Fatalf("got %v, want the message alone", got)
	}
}

func TestReplayFromTheStoreThenLive(t *testing.T) {
	d := &disk{}
	const stored = 3*maxBatch + 17
	for i := 1; i <= stored; i++ {
		d.commit(message(i))
	}
	f := New(stored)
	s := f.Subscribe(100, d.read)
	for i := stored + 1; i <= stored+5; i++ {
		d.commit(message(i))
		f.Publish(message(i))
	}
	cursors, rest := collect(t, s, stored+5)
	wantEach(t, cursors, 101, stored+5)
	if len(rest) != 0 {
		t.Errorf("unexpected %v", rest)
	}
}

// The store may be ahead of what was published: what a replay already returned
// must not come again when it is published.
func TestNoDoubleAtTheSeam(t *testing.T) {
	d := &disk{}
	for i := 1; i <= 10; i++ {
		d.commit(message(i))
	}
	f := New(5)
	s := f.Subscribe(0, d.read)
	if cursors, _ := collect(t, s, 10); len(cursors) != 10 {
		t.Fatalf("replay returned %d facts, want 10", len(cursors))
	}
	for i := 6; i <= 12; i++ {
		f.Publish(message(i))
	}
	cursors, _ := collect(t, s, 12)
	wantEach(t, cursors, 11, 12)
}

func TestCursorsMayHaveHoles(t *testing.T) {
	d := &disk{}
	d.commit(message(3))
	f := New(9) // 4 to 9 are numbers that no fact has
	s := f.Subscribe(0, d.read)
	cursors, _ := collect(t, s, 3)
	wantEach(t, cursors, 3, 3)
	f.Publish(message(12))
	cursors, _ = collect(t, s, 12)
	wantEach(t, cursors, 12, 12)
}

func TestCursorAboveTheNewestIsAGap(t *testing.T) {
	f := New(5)
	s := f.Subscribe(99, (&disk{}).read)
	got := next(t, s)
	if gap, ok := got[0].(chat.GapEvent); !ok || gap.Cursor != 5 {
		t.Fatalf("got %v, want a gap at 5", got)
	}
	f.Publish(message(6))
	cursors, _ := collect(t, s, 6)
	wantEach(t, cursors, 6, 6)
}

func TestFactPublishedTwiceIsToldOnce(t *testing.T) {
	f := New(0)
	s := f.Subscribe(0, (&disk{}).read)
	f.Publish(message(1))
	f.Publish(message(1))
	f.Publish(message(2))
	cursors, _ := collect(t, s, 2)
	wantEach(t, cursors, 1, 2)
}

// A reader that stalls costs the publisher nothing and loses no fact; the weather
// it can't be told any more is counted in a gap that comes first.
func TestStalledReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		f := New(0)
		stalled := f.Subscribe(0, d.read)
		quick := f.Subscribe(0, d.read)
		quickDone := make(chan int)
		const facts, keys = 5 * maxFacts, maxWeather + 300
		go func() {
			n, gaps := 0, 0
			for n < facts {
				events, err := quick.Next(t.Context())
				if err != nil {
					break
				}
				for _, e := range events {
					if _, fact := chat.Fact(e); fact {
						n++
					}
					if e.EventType() == "gap" {
						gaps++
					}
				}
			}
			quickDone <- n*1000 + gaps
		}()
		for i := 1; i <= facts; i++ {
			d.commit(message(i))
			f.Publish(message(i))
			if i <= keys {
				f.Publish(warning(fmt.Sprint("key ", i), i))
			}
			if i%64 == 0 {
				synctest.Wait() // the quick reader catches up, the stalled one never reads
			}
		}
		if got := <-quickDone; got != facts*1000 {
			t.Errorf("quick reader: facts*1000+gaps = %d, want %d", got, facts*1000)
		}
		if len(f.facts) > maxFacts || f.weather.Len() > maxWeather {
			t.Errorf("the feed holds %d facts and %d values: over its bounds", len(f.facts), f.weather.Len())
		}
		got := next(t, stalled)
		if gap, ok := got[0].(chat.GapEvent); !ok || gap.Missed != 300 || gap.Cursor != 0 {
			t.Fatalf("first event is %#v, want a gap with 300 missed", got[0])
		}
		var cursors []chat.Cursor
		weather := 0
		for {
			for _, e := range got {
				if c, fact := chat.Fact(e); fact {
					cursors = append(cursors, c)
				} else if e.EventType() == "warning" {
					weather++
				}
			}
			if len(cursors) == facts && weather == maxWeather {
				break
			}
			got = next(t, stalled)
		}
		wantEach(t, cursors, 1, facts)
	})
}

func TestLongMessagesAreBoundedByBytes(t *testing.T) {
	f := New(0)
	long := strings.Repeat("x", chat.MaxText)
	for i := 1; i <= maxFacts; i++ {
		e := message(i)
		e.Text = long
		f.Publish(e)
	}
	if f.bytes > maxFactBytes || len(f.facts)*chat.MaxText != f.bytes {
		t.Fatalf("%d facts, %d bytes counted, bound %d", len(f.facts), f.bytes, maxFactBytes)
	}
}

func TestNextWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := New(0)
		s := f.Subscribe(0, (&disk{}).read)
		got := make(chan error)
		go func() { _, err := s.Next(t.Context()); got <- err }()
		synctest.Wait()
		select {
		case err := <-got:
			t.Fatalf("Next returned %v with nothing to tell", err)
		default:
		}
		f.Publish(message(1))
		if err := <-got; err != nil {
			t.Fatal(err)
		}
		go func() { _, err := s.Next(t.Context()); got <- err }()
		synctest.Wait()
		s.Close()
		s.Close()
		if err := <-got; !errors.Is(err, ErrClosed) {
			t.Fatalf("after Close: %v, want ErrClosed", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := f.Subscribe(1, (&disk{}).read).Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("past its deadline: %v", err)
		}
	})
}

func TestCloseTellsTheRestFirst(t *testing.T) {
	f := New(0)
	s := f.Subscribe(0, (&disk{}).read)
	f.Publish(message(1))
	f.Close()
	f.Publish(message(2))
	cursors, _ := collect(t, s, 1)
	wantEach(t, cursors, 1, 1)
	if _, err := s.Next(t.Context()); !errors.Is(err, ErrClosed) {
		t.Fatalf("got %v, want ErrClosed", err)
	}
}

func TestStoreErrorLosesNothing(t *testing.T) {
	d := &disk{err: errors.New("disk on fire")}
	for i := 1; i <= 3; i++ {
		d.facts = append(d.facts, message(i))
	}
	f := New(3)
	s := f.Subscribe(0, d.read)
	if _, err := s.Next(t.Context()); err == nil {
		t.Fatal("a store that fails must be told")
	}
	d.err = nil
	cursors, _ := collect(t, s, 3)
	wantEach(t, cursors, 1, 3)
}

// Many readers come, lag and go while facts and weather are published.
func TestManyReaders(t *testing.T) {
	d := &disk{}
	f := New(0)
	const facts, readers = 3000, 8
	var wg sync.WaitGroup
	for r := range readers {
		wg.Go(func() {
			after := chat.Cursor(r * 100)
			s := f.Subscribe(min(after, f.Newest()), d.read)
			last := s.cursor
			defer func() { s.Close() }()
			for last < facts {
				events, err := s.Next(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				for _, e := range events {
					c, fact := chat.Fact(e)
					if !fact {
						continue
					}
					if c != last+1 {
						t.Errorf("reader %d: fact %d after %d", r, c, last)
						return
					}
					last = c
				}
				if r%2 == 0 { // comes back with its cursor
					s.Close()
					s = f.Subscribe(last, d.read)
				}
			}
		})
	}
	wg.Go(func() {
		for i := range facts {
			f.Publish(warning(fmt.Sprint(i%7), i))
		}
	})
	for i := 1; i <= facts; i++ {
		d.commit(message(i))
		f.Publish(message(i))
	}
	wg.Wait()
}

func BenchmarkPublish(b *testing.B) {
	f := New(0)
	for range 4 {
		defer f.Subscribe(0, (&disk{}).read).Close()
	}
	i := 0
	for b.Loop() {
		i++
		f.Publish(message(i))
	}
}

// The node reads its own feed for alerts. What only faces want is not kept for that.
func TestWeatherThatNobodyWantsIsNotKept(t *testing.T) {
	d := &disk{}
	f := New(0)
	wants := func(e chat.Event) bool { _, ok := e.(chat.ReadEvent); return ok }
	some := f.SubscribeTo(0, d.read, wants)
	defer some.Close()
	f.Publish(warning("a", 1))
	f.Publish(chat.ReadEvent{Unread: 1})
	if n := f.weather.Len(); n != 1 {
		t.Errorf("%d events are kept", n)
	}
	all := f.Subscribe(0, d.read)
	defer all.Close()
	f.Publish(warning("a", 2))
	f.Publish(message(1))
	f.Publish(chat.ReadEvent{Unread: 2})
	if got := next(t, some); fmt.Sprintf("%T %T", got[0], got[len(got)-1]) != "chat.MessageEvent chat.ReadEvent" || len(got) != 2 {
		t.Errorf("who wants some is told %+v", got)
	}
	if got := next(t, all); len(got) != 3 {
		t.Errorf("who wants all is told %+v", got)
	}
	for i := range maxWeather + 1 { // what is forgotten of what it did not want is no gap
		f.Publish(warning(fmt.Sprint(i), i))
	}
	f.Publish(message(2))
	if got := next(t, some); len(got) != 1 || got[0].EventType() != "message" {
		t.Errorf("who wants some is told %+v", got)
	}
}
