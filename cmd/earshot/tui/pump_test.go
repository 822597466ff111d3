package tui

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	tea "charm.land/bubbletea/v2"

	"earshot/chat"
)

// flaky is a stream that breaks, mends itself and breaks again.
type flaky struct {
	script []happening
	closed bool
}

func (f *flaky) Close() { f.closed = true }

func (f *flaky) Next(ctx context.Context) (chat.Event, error) {
	if len(f.script) == 0 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	h := f.script[0]
	f.script = f.script[1:]
	return h.event, h.lost
}

// flakyNode is a node of which only the events matter.
type flakyNode struct {
	Client
	stream *flaky
}

func (n flakyNode) Events(context.Context) Events { return n.stream }

func TestThePumpSaysWhatBrokeWaitsAndGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		first, second := chat.ReadyEvent{Run: "1"}, chat.ReadyEvent{Run: "2"}
		stream := &flaky{script: []happening{
			{event: first},
			{}, // of a kind this version does not know
			{lost: broken},
			{lost: broken},
			{event: second},
		}}
		ctx, cancel := context.WithCancel(t.Context())
		p := startPump(ctx, flakyNode{stream: stream})
		synctest.Wait()

		begin := time.Now()
		next := func() eventsMsg { return nextEvents(p.out)().(eventsMsg) }
		if msg := next(); len(msg.events) != 1 || msg.events[0] != first || msg.lost != broken {
			t.Fatalf("first %+v", msg)
		}
		if msg := next(); len(msg.events) != 0 || msg.lost != broken || time.Since(begin) != pumpRetry {
			t.Fatalf("then %+v, after %v", msg, time.Since(begin))
		}
		if msg := next(); len(msg.events) != 1 || msg.events[0] != second || time.Since(begin) != 2*pumpRetry {
			t.Fatalf("at last %+v, after %v", msg, time.Since(begin))
		}
		cancel()
		p.wait()
		if !stream.closed {
			t.Fatal("the stream was left open")
		}
		if msg := nextEvents(p.out)(); msg != nil {
			t.Fatalf("a pump that has ended says %v", msg)
		}
	})
}

func TestABurstIsFewScreens(t *testing.T) {
	out := make(chan happening, pumpBuffer)
	for range pumpBuffer {
		out <- happening{event: chat.ReadyEvent{}}
	}
	if msg := nextEvents(out)().(eventsMsg); len(msg.events) != pumpBuffer {
		t.Fatalf("%d events came at once, want %d", len(msg.events), pumpBuffer)
	}
}

func TestWakingEndsWithTheInterface(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		m := newModel(ctx, newFake(), Options{})
		begin := time.Now()
		if msg := m.wake(time.Minute, tickMsg{1})(); msg != (tickMsg{1}) || time.Since(begin) != time.Minute {
			t.Fatalf("woken with %v after %v", msg, time.Since(begin))
		}
		woken := make(chan tea.Msg, 1)
		go func() { woken <- m.wake(time.Hour, tickMsg{2})() }()
		synctest.Wait()
		cancel()
		m.running.wait()
		if msg := <-woken; msg != nil || time.Since(begin) != time.Minute {
			t.Fatalf("woken with %v although it is over", msg)
		}
		if msg := m.wake(0, tickMsg{3})(); msg != nil {
			t.Fatalf("a command began after the end and said %v", msg)
		}
	})
}
