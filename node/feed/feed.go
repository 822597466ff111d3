// Package feed carries what happens in a node to the faces that show it. It does
// not know what a face is, where facts are stored, or what any event means beyond
// whether it is a fact.
//
// Two kinds of event pass through and are never mixed up. Facts are stored and
// numbered: every reader gets each of them once, in order, however slow it is,
// because what has left the feed's memory is read again from the store. Weather
// (typing, presence, progress) is only worth its latest value: a newer one
// replaces an older one of the same key, and what a slow reader missed for good is
// announced to it with a chat.GapEvent, never passed over in silence.
//
// # What holds under concurrency
//
//   - Publish never blocks on a reader, and costs no more when one stalls.
//   - Facts must be published in the order of their cursors, after they can be
//     read from the store; one owner publishes them. Weather may be published
//     from anywhere.
//   - A Subscription belongs to one goroutine: its Next is not called twice at the
//     same time. Close may be called from anywhere, any number of times, and ends
//     a waiting Next.
//   - A reader that keeps up sees facts and weather in the order in which they
//     were published. One that reads again from the store sees the facts in order
//     and the newest weather between them.
//   - What a feed holds is bounded (maxFacts, maxFactBytes, maxWeather), whatever
//     the number of its readers and however far they lag behind.
//   - The package starts no goroutine.
package feed

import (
	"container/list"
	"context"
	"crypto/rand"
	"errors"
	"sort"
	"sync"

	"earshot/chat"
)

const (
	// maxFacts bounds the facts held in memory (guess: a reader a second behind
	// in a busy room still needs no store).
	maxFacts = 1024
	// maxFactBytes bounds the text of the same, in bytes, so that the longest
	// messages do not cost 1,024 x 15 KiB.
	maxFactBytes = 2 << 20
	// maxWeather bounds the keys of weather held: a thousand people who come
	// and type in several rooms fit (guess).
	maxWeather = 4096
	// maxBatch bounds the events that one Next returns.
	maxBatch = 256
)

// ErrClosed ends a Subscription: it or its feed was closed.
var ErrClosed = errors.New("feed: closed")

// Reader returns up to limit facts after a cursor, in order, from wherever they
// are stored; none means that there are none yet.
type Reader func(ctx context.Context, after chat.Cursor, limit int) ([]chat.Event, error)

// Feed is where one run of a node publishes its events. Make one with New.
type Feed struct {
	run string

	mu     sync.Mutex
	seq    uint64 // of the newest event
	closed bool
	subs   map[*Subscription]struct{}

	facts  []entry     // oldest first, cursors rising
	bytes  int         // text held by facts
	floor  chat.Cursor // facts up to here are only in the store
	newest chat.Cursor

	weather *list.List // of entry, oldest change first
	byKey   map[string]*list.Element
}

// entry is an event and its place among all that were published.
type entry struct {
	seq    uint64
	cursor chat.Cursor // of a fact
	event  chat.Event
}

// New returns a feed for a node whose newest stored fact is newest. It has a new
// run id: weather does not outlive a run.
func New(newest chat.Cursor) *Feed {
	return &Feed{
		run: rand.Text(), floor: newest, newest: newest,
		subs:    make(map[*Subscription]struct{}),
		weather: list.New(), byKey: make(map[string]*list.Element),
	}
}

// Run returns the id of this run, different in every process.
func (f *Feed) Run() string { return f.run }

// Newest returns the cursor of the newest fact published or stored before.
func (f *Feed) Newest() chat.Cursor {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.newest
}

// Publish hands e to every reader and returns at once. A fact whose cursor is not
// above the newest was published before, and is left out. After Close it does
// nothing.
func (f *Feed) Publish(e chat.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	if cursor, fact := chat.Fact(e); fact {
		if cursor <= f.newest {
			return
		}
		f.addFact(cursor, e)
	} else {
		if !f.wanted(e) {
			return // nobody to tell, and nobody who comes later is told the past
		}
		f.addWeather(e)
	}
	for s := range f.subs {
		s.ring()
	}
}

// wanted reports whether anybody is to be told of weather. f.mu is held.
func (f *Feed) wanted(e chat.Event) bool {
	for s := range f.subs {
		if s.wants(e) {
			return true
		}
	}
	return false
}

func (f *Feed) addFact(cursor chat.Cursor, e chat.Event) {
	f.seq++
	f.newest = cursor
	f.facts = append(f.facts, entry{f.seq, cursor, e})
	f.bytes += textLen(e)
	for len(f.facts) > maxFacts || f.bytes > maxFactBytes {
		f.floor = f.facts[0].cursor
		f.bytes -= textLen(f.facts[0].event)
		f.facts[0] = entry{} // the array lives on until append moves it
		f.facts = f.facts[1:]
	}
}

func (f *Feed) addWeather(e chat.Event) {
	f.seq++
	key := e.Key()
	if el, ok := f.byKey[key]; ok {
		el.Value = entry{seq: f.seq, event: e}
		f.weather.MoveToBack(el)
		return
	}
	f.byKey[key] = f.weather.PushBack(entry{seq: f.seq, event: e})
	if f.weather.Len() <= maxWeather {
		return
	}
	oldest := f.weather.Remove(f.weather.Front()).(entry)
	delete(f.byKey, oldest.event.Key())
	for s := range f.subs {
		if s.seen < oldest.seq && s.wants(oldest.event) {
			s.missed++
		}
	}
}

func textLen(e chat.Event) int {
	switch m := e.(type) {
	case chat.MessageEvent:
		return len(m.Text)
	case chat.MessageChangedEvent:
		return len(m.Text)
	}
	return 0
}

// Close ends every subscription once it has returned what was published before.
func (f *Feed) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for s := range f.subs {
		s.ring()
	}
}

// Subscribe returns a reader of all facts after a cursor and of the weather from
// now on. read serves the facts that the feed no longer holds. Pass Newest for the
// facts from now on, 0 for all of them. A cursor above the newest belongs to
// another home or to one that was set back: the first event is then a GapEvent with
// the newest cursor, and facts follow from there.
func (f *Feed) Subscribe(after chat.Cursor, read Reader) *Subscription {
	return f.SubscribeTo(after, read, func(chat.Event) bool { return true })
}

// SubscribeTo is Subscribe for a reader that wants all facts, and of the weather only
// what wants says. wants is called while the feed is locked, and gives always the same
// answer for the same type of event.
func (f *Feed) SubscribeTo(after chat.Cursor, read Reader, wants func(chat.Event) bool) *Subscription {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := &Subscription{feed: f, read: read, wants: wants, cursor: after, seen: f.seq, bell: make(chan struct{}, 1)}
	if after > f.newest {
		s.cursor, s.ahead = f.newest, true
	}
	f.subs[s] = struct{}{}
	return s
}

// Subscription is one reader's place in a feed.
type Subscription struct {
	feed *Feed
	read Reader
	// wants reports whether the reader is to be told of weather.
	wants func(chat.Event) bool
	// bell has room for one ring: who is already rung for looks at everything.
	bell chan struct{}

	// Guarded by feed.mu.
	cursor chat.Cursor // the newest fact returned
	seen   uint64      // the newest weather returned or passed over
	missed int         // weather that was forgotten before it was returned
	ahead  bool        // subscribed after a cursor that does not exist
	closed bool
}

func (s *Subscription) ring() {
	select {
	case s.bell <- struct{}{}:
	default:
	}
}

// Close gives up the reader's place; a waiting Next returns ErrClosed.
func (s *Subscription) Close() {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	s.closed = true
	delete(s.feed.subs, s)
	s.ring()
}

// Next waits until there is something to tell and returns it: at least one event,
// at most a few hundred, the reader's to keep. A chat.GapEvent stands before what
// follows the gap. The error is ErrClosed, ctx's, or the store's; after one of the
// last two Next may be called again and nothing is lost.
func (s *Subscription) Next(ctx context.Context) ([]chat.Event, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		batch, behind, err := s.take()
		if err != nil {
			return nil, err
		}
		if behind {
			if batch, err = s.replay(ctx, batch); err != nil {
				return nil, err
			}
		}
		if len(batch) > 0 {
			return batch, nil
		}
		if behind {
			continue
		}
		select {
		case <-s.bell:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// take returns what the feed has for the reader. behind says that facts must be
// read from the store first; then nothing but a gap is taken.
func (s *Subscription) take() (batch []chat.Event, behind bool, err error) {
	f := s.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.closed {
		return nil, false, ErrClosed
	}
	if s.missed > 0 || s.ahead {
		batch = append(batch, chat.GapEvent{Cursor: s.cursor, Missed: s.missed})
		s.missed, s.ahead = 0, false
	}
	if s.cursor < f.floor {
		return batch, true, nil
	}
	batch = s.merge(batch, f.newFacts(s.cursor))
	if len(batch) == 0 && f.closed {
		return nil, false, ErrClosed
	}
	return batch, false, nil
}

// newFacts returns the facts held that come after a cursor. f.mu is held.
func (f *Feed) newFacts(after chat.Cursor) []entry {
	i := sort.Search(len(f.facts), func(i int) bool { return f.facts[i].cursor > after })
	return f.facts[i:]
}

// merge appends facts and the weather not yet seen in the order of publication, up
// to a full batch, and moves the reader's place behind them. feed.mu is held.
func (s *Subscription) merge(batch []chat.Event, facts []entry) []chat.Event {
	el := s.feed.weather.Back()
	for el != nil && el.Prev() != nil && el.Prev().Value.(entry).seq > s.seen {
		el = el.Prev()
	}
	if el != nil && el.Value.(entry).seq <= s.seen {
		el = nil
	}
	for len(batch) < maxBatch && (len(facts) > 0 || el != nil) {
		if el == nil || len(facts) > 0 && facts[0].seq < el.Value.(entry).seq {
			batch = append(batch, facts[0].event)
			s.cursor = facts[0].cursor
			facts = facts[1:]
			continue
		}
		e := el.Value.(entry)
		if s.wants(e.event) {
			batch = append(batch, e.event)
		}
		s.seen = e.seq
		el = el.Next()
	}
	return batch
}

// replay appends a page of facts from the store, then the newest weather. What the
// feed had forgotten before the page was read is in the store, so an empty page
// means that nothing lies between the reader's place and the feed's memory.
func (s *Subscription) replay(ctx context.Context, batch []chat.Event) ([]chat.Event, error) {
	f := s.feed
	f.mu.Lock()
	after, floor := s.cursor, f.floor
	f.mu.Unlock()

	page, err := s.read(ctx, after, maxBatch-len(batch))

	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		// The gap was taken but will not be told: tell it next time.
		for _, e := range batch {
			s.missed, s.ahead = e.(chat.GapEvent).Missed, true
		}
		return nil, err
	}
	for _, e := range page {
		// The store may already hold more than was published; merge leaves out
		// what is passed here.
		if cursor, fact := chat.Fact(e); fact && cursor > s.cursor {
			batch = append(batch, e)
			s.cursor = cursor
		}
	}
	if s.cursor == after {
		s.cursor = max(after, floor)
	}
	return s.merge(batch, nil), nil
}
