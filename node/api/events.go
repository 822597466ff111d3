package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"earshot/chat"
	"earshot/node/feed"
)

// keepAlive is how often a stream without events shows that it lives; readers
// give up on it after three of them.
const keepAlive = 15 * time.Second

// events streams the feed to one caller until it goes or the server closes.
func (s *Server) events(w http.ResponseWriter, r *http.Request) error {
	f := s.cfg.Backend.Feed()
	newest := f.Newest()
	after, resumed, err := position(r, newest)
	if err != nil {
		return err
	}
	ctx, end, err := s.openStream(r)
	if err != nil {
		return err
	}
	defer end()

	// The place in the feed is taken before people are read, so that a change in
	// between comes twice rather than not at all.
	sub := f.Subscribe(after, s.cfg.Backend.Facts)
	defer sub.Close()
	people, err := s.cfg.Backend.People(ctx)
	if err != nil {
		return err
	}
	first := []chat.Event{chat.ReadyEvent{Run: f.Run(), Cursor: newest}}
	if resumed {
		first = append(first, chat.GapEvent{Cursor: after})
	}
	for _, p := range people {
		first = append(first, chat.PersonEvent{Person: p})
	}

	out, err := newStream(w)
	if err != nil {
		return err
	}
	for batch := first; ; {
		if err := out.write(batch); err != nil {
			s.log.Debug("event stream ended by its reader", "err", err)
			return nil
		}
		if batch, err = nextWithin(ctx, sub, keepAlive); err != nil {
			if ctx.Err() == nil && !errors.Is(err, feed.ErrClosed) {
				s.log.Error("event stream ended", "err", err)
			}
			return nil // too late for an error: the caller sees the stream end
		}
	}
}

// openStream returns the context of one more stream, and what ends that.
func (s *Server) openStream(r *http.Request) (context.Context, func(), error) {
	select {
	case s.streams <- struct{}{}:
	default:
		return nil, nil, chat.Errorf(chat.CodeBusy, "%d event streams are open already. Close one of them.", maxStreams)
	}
	ctx, cancel := context.WithCancel(r.Context())
	stay := context.AfterFunc(s.stopping, cancel)
	return ctx, func() { stay(); cancel(); <-s.streams }, nil
}

// position returns the cursor to start after, and whether that continues a stream
// of which weather may have been missed.
func position(r *http.Request, newest chat.Cursor) (after chat.Cursor, resumed bool, err error) {
	q := r.URL.Query()
	last := r.Header.Get("Last-Event-ID") // a browser repeats its first URL
	resumed = last != "" || q.Get("run") != ""
	if last == "" {
		last = q.Get("after")
	}
	if last == "" {
		return newest, resumed, nil
	}
	n, err := strconv.ParseUint(last, 10, 63)
	if err != nil {
		return 0, false, chat.Errorf(chat.CodeUsage, "%.30q is not a cursor. Use the id of an event, or 0 for all.", last)
	}
	return chat.Cursor(n), resumed, nil
}

// nextWithin returns the next events, or none after d.
func nextWithin(ctx context.Context, sub *feed.Subscription, d time.Duration) ([]chat.Event, error) {
	wait, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	batch, err := sub.Next(wait)
	if ctx.Err() == nil && wait.Err() != nil && errors.Is(err, context.DeadlineExceeded) {
		return nil, nil
	}
	return batch, err
}

// eventStream is the media type of server-sent events.
const eventStream = "text/event-stream"

// stream writes server-sent events.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	buf     []byte
}

// newStream begins an answer that is a stream.
func newStream(w http.ResponseWriter) (*stream, error) {
	w.Header().Set("Content-Type", eventStream)
	s := &stream{w: w, control: http.NewResponseController(w)}
	// The deadline of the request's body would end the stream.
	return s, s.control.SetReadDeadline(time.Time{})
}

// write sends a batch at once, or a comment if it is empty.
func (s *stream) write(batch []chat.Event) error {
	for _, e := range batch {
		data, err := chat.MarshalEvent(e)
		if err != nil {
			return err
		}
		if cursor, fact := chat.Fact(e); fact {
			s.buf = append(s.buf, "id: "...)
			s.buf = strconv.AppendUint(s.buf, uint64(cursor), 10)
			s.buf = append(s.buf, '\n')
		}
		s.add(data)
	}
	return s.flush()
}

// add puts an event's data, one line, behind what is to be sent.
func (s *stream) add(data []byte) {
	s.buf = append(s.buf, "data: "...)
	s.buf = append(s.buf, data...)
	s.buf = append(s.buf, "\n\n"...)
}

// flush sends what was added, or a comment if that is nothing.
func (s *stream) flush() error {
	if len(s.buf) == 0 {
		s.buf = append(s.buf, ": still here\n\n"...)
	}
	if err := s.control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := s.w.Write(s.buf)
	if s.buf = s.buf[:0]; err != nil {
		return err
	}
	return s.control.Flush()
}
