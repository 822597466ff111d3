// Package stream carries frames between two connected peers: bounded, with
// deadlines, and never blocking a caller who does not want to wait. It knows
// lengths and time; it does not know what is in a frame or who may send which.
//
// Goroutines: each Stream has one, the writer, which ends when the stream is
// closed or reset, or when a write fails; Close and Reset wait for it. A handler
// runs on the goroutine that go-libp2p made for its stream.
package stream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

const (
	// DefaultQueue bounds the frames waiting to be written where Options leaves
	// it open: at 64 KiB each, 4 MiB.
	DefaultQueue = 64
	// bodyTimeout is how long the body of a frame may take once its header came:
	// 64 KiB at 6.5 kB/s. Slower peers are stuck or mean ill.
	bodyTimeout = 10 * time.Second
	// writeTimeout is how long one write may take before the peer counts as
	// stuck and the stream is reset.
	writeTimeout = 10 * time.Second
	// openTimeout bounds Open where its context has no earlier deadline.
	openTimeout = 10 * time.Second
	// batch is how many bytes of frames the writer gathers for one write.
	batch = 32 << 10
	// readBuffer holds several small frames, so each does not cost two reads.
	readBuffer = 4 << 10
)

// ErrClosed is returned for a stream that this side closed or reset.
var ErrClosed = errors.New("stream: closed")

// ErrNotConnected is returned by Open where there is no connection to the peer.
// Open does not dial.
var ErrNotConnected = errors.New("stream: not connected to this peer")

// Reason tells the other side why a stream is reset.
type Reason uint32

// The reasons are go-libp2p's codes, so that its own resets read the same.
const (
	ReasonNone     = Reason(network.StreamNoError)
	ReasonProtocol = Reason(network.StreamProtocolViolation)     // you broke the protocol
	ReasonBusy     = Reason(network.StreamResourceLimitExceeded) // too much at once, come back later
	ReasonRate     = Reason(network.StreamRateLimited)           // you come too often
	ReasonShutdown = Reason(network.StreamShutdown)              // this node stops
	ReasonDenied   = Reason(network.StreamGated)                 // you may not
	ReasonDone     = Reason(network.StreamGarbageCollected)      // no longer needed
)

// ReasonOf returns the reason for which the other side reset the stream, given an
// error of Receive or Send; false where the error is something else.
func ReasonOf(err error) (Reason, bool) {
	var e *network.StreamError
	if errors.As(err, &e) && e.Remote {
		return Reason(e.ErrorCode), true
	}
	return ReasonNone, false
}

// Options tune one stream. The zero value is good for most.
type Options struct {
	// Queue bounds the frames waiting to be written; 0 means DefaultQueue.
	Queue int
	// Idle is how long Receive waits for a frame to begin; 0 waits for ever.
	Idle time.Duration
}

// Stream is one stream of frames. Receive is for one goroutine, all other methods
// may be called concurrently. Whoever opened it must end it with Close or Reset,
// also after an error.
type Stream struct {
	raw  network.Stream
	r    *bufio.Reader
	idle time.Duration

	slots chan struct{} // one token for each frame queued or being written
	wake  chan struct{} // doorbell of the writer, capacity 1
	done  chan struct{} // closed when the writer has ended

	mu      sync.Mutex
	queue   [][]byte
	closing bool  // no more frames are taken; the writer ends when the queue is empty
	err     error // why the writer ended, nil for a clean close
}

// Open opens a stream to a peer that is connected. The peer sees it with the
// first frame, so whoever opens a stream speaks first.
func Open(ctx context.Context, h host.Host, p peer.ID, proto protocol.ID, o Options) (*Stream, error) {
	if h.Network().Connectedness(p) != network.Connected {
		return nil, ErrNotConnected
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	raw, err := h.NewStream(network.WithNoDial(ctx, "streams do not dial"), p, proto)
	if err != nil {
		return nil, fmt.Errorf("stream: opening %s: %w", proto, err)
	}
	return newStream(raw, o), nil
}

// Handle serves the streams that peers open with a protocol. The handler runs on
// a goroutine of its own for each; when it returns, what it sent is flushed and
// the stream is closed. Call Handle before the host listens.
func Handle(h host.Host, proto protocol.ID, o Options, handler func(*Stream)) {
	h.SetStreamHandler(proto, func(raw network.Stream) {
		s := newStream(raw, o)
		defer s.Close()
		handler(s)
	})
}

// Unhandle refuses further streams of a protocol. Running handlers go on.
func Unhandle(h host.Host, proto protocol.ID) { h.RemoveStreamHandler(proto) }

func newStream(raw network.Stream, o Options) *Stream {
	if o.Queue <= 0 {
		o.Queue = DefaultQueue
	}
	s := &Stream{
		raw: raw, r: bufio.NewReaderSize(raw, readBuffer), idle: o.Idle,
		slots: make(chan struct{}, o.Queue), wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	go s.write()
	return s
}

// Peer returns who is on the other side.
func (s *Stream) Peer() peer.ID { return s.raw.Conn().RemotePeer() }

// Inbound reports whether the other side opened the stream.
func (s *Stream) Inbound() bool { return s.raw.Stat().Direction == network.DirInbound }

// Done is closed when nothing can be sent any more: this side closed or reset the
// stream, or a write failed.
func (s *Stream) Done() <-chan struct{} { return s.done }

// Err returns why the stream ended: nil while it lives and after a clean close,
// ErrClosed after Reset, else the error of the write that failed.
func (s *Stream) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Receive returns the next frame, which the caller owns. io.EOF means that the
// other side closed its half between two frames. After ErrFrame the stream has
// been reset with ReasonProtocol.
func (s *Stream) Receive() ([]byte, error) {
	if s.idle > 0 {
		if err := s.raw.SetReadDeadline(time.Now().Add(s.idle)); err != nil {
			return nil, fmt.Errorf("stream: setting a deadline: %w", err)
		}
	}
	limited := false
	frame, err := readFrame(s.r, func(n int) error {
		if s.r.Buffered() >= n {
			return nil
		}
		limited = true
		return s.raw.SetReadDeadline(time.Now().Add(bodyTimeout))
	})
	if err == nil && limited && s.idle == 0 {
		err = s.raw.SetReadDeadline(time.Time{})
	}
	switch {
	case err == nil:
		return frame, nil
	case errors.Is(err, io.EOF): // not io.ErrUnexpectedEOF, which is another value
		return nil, io.EOF
	case errors.Is(err, ErrFrame):
		s.Reset(ReasonProtocol)
		return nil, err
	}
	return nil, fmt.Errorf("stream: receiving: %w", err)
}

// TrySend queues a frame and returns true, or false at once where the queue is
// full, the stream has ended, or the frame's length is not allowed. The frame
// must not be changed afterwards.
func (s *Stream) TrySend(frame []byte) bool {
	if checkLength(uint64(len(frame))) != nil {
		return false
	}
	select {
	case s.slots <- struct{}{}:
		return s.enqueue(frame) == nil
	default:
		return false
	}
}

// Send queues a frame, and waits for room in the queue for as long as ctx allows.
// Nil means queued, not received. The frame must not be changed afterwards.
func (s *Stream) Send(ctx context.Context, frame []byte) error {
	if err := checkLength(uint64(len(frame))); err != nil {
		return err
	}
	select {
	case s.slots <- struct{}{}:
		return s.enqueue(frame)
	case <-s.done:
		return s.ended()
	case <-ctx.Done():
		return fmt.Errorf("stream: sending: %w", ctx.Err())
	}
}

// enqueue appends a frame for which a slot was taken.
func (s *Stream) enqueue(frame []byte) error {
	s.mu.Lock()
	if s.closing || s.err != nil {
		s.mu.Unlock()
		<-s.slots
		return s.ended()
	}
	s.queue = append(s.queue, frame)
	s.mu.Unlock()
	s.ring()
	return nil
}

func (s *Stream) ended() error {
	if err := s.Err(); err != nil {
		return err
	}
	return ErrClosed
}

func (s *Stream) ring() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// write is the writer: it gathers queued frames into few writes.
func (s *Stream) write() {
	defer close(s.done)
	var buf []byte
	for {
		buf = buf[:0]
		s.mu.Lock()
		n := 0
		for n < len(s.queue) && (n == 0 || len(buf)+headerSize+len(s.queue[n]) <= batch) {
			buf = appendFrame(buf, s.queue[n])
			s.queue[n] = nil
			n++
		}
		s.queue = s.queue[n:]
		closing, failed := s.closing, s.err != nil
		s.mu.Unlock()
		switch {
		case failed:
			return
		case n == 0 && closing:
			s.fail(s.raw.CloseWrite())
			return
		case n == 0:
			<-s.wake
			continue
		}
		err := s.raw.SetWriteDeadline(time.Now().Add(writeTimeout))
		if err == nil {
			_, err = s.raw.Write(buf)
		}
		if err != nil {
			s.fail(fmt.Errorf("stream: sending: %w", err))
			_ = s.raw.Reset() // nothing can be told to a peer that takes nothing
			return
		}
		for range n {
			<-s.slots
		}
		if cap(buf) > batch { // one large frame must not be remembered for ever
			buf = nil
		}
	}
}

// fail records why the writer ends; the first reason stands.
func (s *Stream) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
}

// CloseSend takes no more frames, sends those queued, and tells the other side
// that no more will come; it can still be received. It waits until all are
// handed to the connection, 10 s at most per write, or until ctx ends.
func (s *Stream) CloseSend(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	s.ring()
	select {
	case <-s.done:
		return s.Err()
	case <-ctx.Done():
		return fmt.Errorf("stream: closing: %w", ctx.Err())
	}
}

// Close sends what is queued and closes both halves. It waits for the writer, at
// most 10 s for each write to a peer that reads nothing.
func (s *Stream) Close() error {
	err := s.CloseSend(context.Background())
	if closeErr := s.raw.Close(); err == nil && closeErr != nil {
		err = fmt.Errorf("stream: closing: %w", closeErr)
	}
	return err
}

// Reset drops what is queued, ends the stream in both directions at once, and
// tells the other side why. It may be called at any time, also more than once.
func (s *Stream) Reset(why Reason) {
	s.mu.Lock()
	if s.err == nil {
		s.err = ErrClosed
	}
	s.closing = true
	s.queue = nil
	s.mu.Unlock()
	_ = s.raw.ResetWithError(network.StreamErrorCode(why)) // it may be gone already
	s.ring()
	<-s.done
}
