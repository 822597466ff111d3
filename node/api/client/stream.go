package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/url"
	"strconv"
	"time"

	"earshot/chat"
)

const (
	// silence is how long a stream may say nothing, three keep-alives of the
	// server, before the connection counts as dead.
	silence = 45 * time.Second
	// retryFirst and retryMost bound the pause before the node is looked for
	// again; it doubles.
	retryFirst = 20 * time.Millisecond
	retryMost  = 2 * time.Second
	// maxLine bounds one event, in bytes: the longest message is under 128 KiB.
	maxLine = 1 << 20
	// readAhead is how many events may wait for a face that is drawing.
	readAhead = 64
)

// EventsFrom says where a Stream starts: with the zero value at what happens from
// now on, with a Cursor after that fact, with Beginning at the first of all.
type EventsFrom struct {
	Cursor    chat.Cursor
	Beginning bool
}

// Stream is what happens at the node. It belongs to one goroutine; Close may be
// called from any.
type Stream struct {
	client *Client
	events chan chat.Event
	cancel context.CancelFunc
	done   chan struct{} // closed when the reading goroutine has ended
	err    error         // why it did; read after done

	// Of the reading goroutine.
	cursor  chat.Cursor
	started bool // cursor says where to go on
	run     string
	lost    bool // the face was told that the node does not answer
}

// Events returns the events of the node: a ReadyEvent, everybody as PersonEvents,
// then what happens. When the connection breaks the stream goes on after the last
// fact by itself: until then a WarningEvent with chat.CodeUnreachable stands, and
// then a GapEvent follows the new ReadyEvent, since weather was missed. Each fact
// comes once. Close the stream; it ends with ctx too.
func (c *Client) Events(ctx context.Context, from EventsFrom) *Stream {
	ctx, cancel := context.WithCancel(ctx)
	s := &Stream{
		client: c, cancel: cancel,
		events: make(chan chat.Event, readAhead), done: make(chan struct{}),
		cursor: from.Cursor, started: from.Beginning || from.Cursor > 0,
	}
	go s.follow(ctx) // ends with ctx; Close waits for it
	return s
}

// Next waits for the next event. Its error is ctx's, or why the stream ended:
// context.Canceled after Close, a *chat.Error if the node refuses it.
func (s *Stream) Next(ctx context.Context) (chat.Event, error) {
	select {
	case e, ok := <-s.events:
		if !ok {
			<-s.done
			return nil, s.err
		}
		return e, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Close ends the stream and waits until nothing of it runs any more.
func (s *Stream) Close() {
	s.cancel()
	<-s.done
}

// follow reads one connection after the other.
func (s *Stream) follow(ctx context.Context) {
	defer close(s.done)
	defer close(s.events)
	pause := retryFirst
	for {
		heard, err := s.connect(ctx)
		if ctx.Err() != nil {
			s.err = ctx.Err()
			return
		}
		if err != nil && !lost(err) && chat.CodeOf(err) != chat.CodeBusy {
			s.err = err
			return
		}
		if heard {
			pause = retryFirst
		}
		s.client.forget()
		restarted := !heard && s.client.revive != nil && s.client.restart(ctx) == nil
		if !heard && !restarted && !s.lost {
			s.lost = true
			s.tell(ctx, chat.WarningEvent{Warning: *chat.AsError(unreachable(ctx, err))})
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, retryMost)
	}
}

// connect reads events until the connection breaks. heard says that some came.
func (s *Stream) connect(ctx context.Context) (heard bool, err error) {
	conn, cancel := context.WithCancel(ctx)
	defer cancel()
	watchdog := time.AfterFunc(silence, cancel)
	defer watchdog.Stop()

	q := url.Values{}
	if s.started {
		q.Set("after", strconv.FormatUint(uint64(s.cursor), 10))
	}
	if s.run != "" {
		q.Set("run", s.run)
	}
	resp, err := s.client.listen(conn, "/v1/events?"+q.Encode())
	if err != nil {
		return false, unreachable(ctx, err)
	}
	defer resp.Body.Close()
	if err := failure(resp); err != nil {
		return false, err
	}
	err = eachEvent(resp.Body, watchdog, func(id, data []byte) error {
		err := s.handle(ctx, id, data)
		heard = heard || err == nil
		return err
	})
	return heard, err
}

// eachEvent calls f for each server-sent event until the body ends; f may not keep what
// it is given. The watchdog runs while nothing comes.
func eachEvent(body io.Reader, watchdog *time.Timer, f func(id, data []byte) error) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 0, 16<<10), maxLine)
	var id, data []byte
	for lines.Scan() {
		watchdog.Reset(silence)
		line := lines.Bytes()
		switch {
		case bytes.HasPrefix(line, []byte("id: ")):
			id = append(id[:0], line[4:]...)
		case bytes.HasPrefix(line, []byte("data: ")):
			data = append(data[:0], line[6:]...)
		case len(line) == 0 && len(data) > 0:
			watchdog.Stop() // a face that is slow does not make the node dead
			if err := f(id, data); err != nil {
				return err
			}
			id, data = id[:0], data[:0]
			watchdog.Reset(silence)
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return chat.Wrap(chat.CodeInternal, lines.Err(), "The node sent an event longer than any.", "Report this.")
	}
	return nil
}

// handle tells the face one event and remembers where to go on after it.
func (s *Stream) handle(ctx context.Context, id, data []byte) error {
	e, err := chat.UnmarshalEvent(data)
	if err != nil {
		return chat.Wrap(chat.CodeInternal, err, "The node sent an event that can't be understood.",
			"It may be of another version: restart it.")
	}
	switch e := e.(type) {
	case chat.ReadyEvent:
		s.run = e.Run
		if !s.started {
			s.cursor, s.started = e.Cursor, true
		}
		if s.lost {
			s.lost = false
			s.tell(ctx, chat.WarningEvent{Warning: chat.Error{Code: chat.CodeUnreachable}, Clear: true})
		}
	case chat.GapEvent:
		s.cursor = min(s.cursor, e.Cursor)
	}
	if e != nil { // else of a type from the future
		s.tell(ctx, e)
	}
	if n, err := strconv.ParseUint(string(id), 10, 64); err == nil {
		s.cursor = chat.Cursor(n)
	}
	return nil
}

func (s *Stream) tell(ctx context.Context, e chat.Event) {
	select {
	case s.events <- e:
	case <-ctx.Done():
	}
}
