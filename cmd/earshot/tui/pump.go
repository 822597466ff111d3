package tui

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"earshot/chat"
)

const (
	pumpBuffer = 256             // events read ahead (guess: a burst between two frames)
	pumpRetry  = 1 * time.Second // between attempts to reach the node again
)

// eventsMsg carries events in the order they happened. lost says that the stream
// broke after them, and why.
type eventsMsg struct {
	events []chat.Event
	lost   error
}

// happening is one event, or the loss of the stream.
type happening struct {
	event chat.Event
	lost  error
}

// pump reads events on its own goroutine until its context ends. It is the only
// sender on out, and closes it.
type pump struct {
	out  chan happening
	done chan struct{}
}

func startPump(ctx context.Context, c Client) *pump {
	p := &pump{out: make(chan happening, pumpBuffer), done: make(chan struct{})}
	go p.run(ctx, c.Events(ctx))
	return p
}

func (p *pump) run(ctx context.Context, events Events) {
	defer close(p.done)
	defer close(p.out)
	defer events.Close()
	retry := time.NewTimer(0)
	defer retry.Stop()
	for ctx.Err() == nil {
		e, err := events.Next(ctx)
		if err == nil && e == nil { // of a kind this version doesn't know
			continue
		}
		select {
		case p.out <- happening{e, err}:
		case <-ctx.Done():
			return
		}
		if err == nil {
			continue
		}
		retry.Reset(pumpRetry)
		select {
		case <-retry.C:
		case <-ctx.Done():
			return
		}
	}
}

// wait returns when the goroutine has ended; its context must be over.
func (p *pump) wait() {
	for range p.out { // let it go if it stands at the door
	}
	<-p.done
}

// nextEvents waits for an event and takes along all that are there already, so
// that a burst costs few screens.
func nextEvents(out <-chan happening) tea.Cmd {
	if out == nil {
		return nil
	}
	return func() tea.Msg {
		var msg eventsMsg
		h, ok := <-out
		for ok {
			if h.lost != nil {
				msg.lost = h.lost
				return msg
			}
			msg.events = append(msg.events, h.event)
			if len(msg.events) == pumpBuffer {
				return msg
			}
			select {
			case h, ok = <-out:
			default:
				return msg
			}
		}
		if len(msg.events) == 0 {
			return nil
		}
		return msg
	}
}
