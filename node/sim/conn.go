package sim

import (
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// window bounds the bytes on their way in one direction, like TCP's buffers: past
// it a writer waits, so that a reader who stops is noticed.
const window = 256 << 10

// conn is one end of a connection.
type conn struct {
	net           *Net
	local, remote netip.AddrPort
	in, out       *pipe
}

var _ net.Conn = (*conn)(nil)

func (c *conn) Read(b []byte) (int, error) { return c.in.read(b) }

func (c *conn) Write(b []byte) (int, error) {
	c.net.mu.Lock()
	delay := c.net.travel(c.local.Addr(), c.remote.Addr())
	c.net.mu.Unlock()
	return c.out.write(b, delay)
}

// Close lets what is on its way arrive, and then the end of the stream.
func (c *conn) Close() error {
	c.net.mu.Lock()
	delay := c.net.travel(c.local.Addr(), c.remote.Addr())
	delete(c.net.conns, c)
	c.net.mu.Unlock()
	c.in.shutdown()
	c.out.finish(delay)
	return nil
}

func (c *conn) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(c.local) }
func (c *conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

func (c *conn) SetDeadline(t time.Time) error {
	c.in.setReadDeadline(t)
	c.out.setWriteDeadline(t)
	return nil
}

func (c *conn) SetReadDeadline(t time.Time) error  { c.in.setReadDeadline(t); return nil }
func (c *conn) SetWriteDeadline(t time.Time) error { c.out.setWriteDeadline(t); return nil }

// pipe is one direction of a connection: bytes with the time they are due.
type pipe struct {
	mu     sync.Mutex
	chunks []chunk
	size   int       // bytes in chunks
	last   time.Time // when the newest chunk is due
	held   bool      // a cut lies between: nothing arrives
	ended  bool      // nothing follows the chunks
	shut   bool      // the reader is gone: what is written goes nowhere
	err    error     // broken: reads and writes fail with it

	readBy, writeBy    time.Time // deadlines
	readable, writable chan struct{}
}

type chunk struct {
	data []byte
	due  time.Time
}

func newPipe() *pipe {
	return &pipe{readable: make(chan struct{}, 1), writable: make(chan struct{}, 1)}
}

func ring(doorbell chan struct{}) {
	select {
	case doorbell <- struct{}{}:
	default:
	}
}

func (p *pipe) read(b []byte) (int, error) {
	for {
		p.mu.Lock()
		n, wait, err := p.take(b, time.Now())
		p.mu.Unlock()
		if n > 0 || err != nil {
			ring(p.writable)
			return n, err
		}
		p.await(p.readable, wait)
	}
}

// take moves what is due into b. Where that is nothing, it says how long to wait,
// negative for ever. The caller holds mu.
func (p *pipe) take(b []byte, now time.Time) (n int, wait time.Duration, err error) {
	switch {
	case p.err != nil:
		return 0, 0, p.err
	case p.shut:
		return 0, 0, net.ErrClosed
	}
	if expired(p.readBy, now) {
		return 0, 0, os.ErrDeadlineExceeded
	}
	wait = -1
	if !p.held {
		for len(p.chunks) > 0 && n < len(b) {
			c := &p.chunks[0]
			if c.due.After(now) {
				wait = c.due.Sub(now)
				break
			}
			k := copy(b[n:], c.data)
			n += k
			c.data = c.data[k:]
			if len(c.data) == 0 {
				p.chunks[0] = chunk{}
				p.chunks = p.chunks[1:]
			}
		}
		p.size -= n
		if n > 0 || len(b) == 0 {
			return n, 0, nil
		}
		if len(p.chunks) == 0 && p.ended {
			if d := p.last.Sub(now); d > 0 {
				wait = d
			} else {
				return 0, 0, io.EOF
			}
		}
	}
	if !p.readBy.IsZero() {
		if d := p.readBy.Sub(now); wait < 0 || d < wait {
			wait = d
		}
	}
	return 0, wait, nil
}

func (p *pipe) write(b []byte, delay time.Duration) (int, error) {
	written := 0
	for {
		now := time.Now()
		p.mu.Lock()
		err := p.err
		switch {
		case err != nil:
		case p.ended:
			err = net.ErrClosed
		case expired(p.writeBy, now):
			err = os.ErrDeadlineExceeded
		}
		if err != nil {
			p.mu.Unlock()
			return written, err
		}
		if p.shut {
			written = len(b)
		} else if room := window - p.size; room > 0 {
			k := min(room, len(b)-written)
			p.push(append([]byte(nil), b[written:written+k]...), now.Add(delay))
			written += k
		}
		wait := time.Duration(-1)
		if !p.writeBy.IsZero() {
			wait = p.writeBy.Sub(now)
		}
		p.mu.Unlock()
		ring(p.readable)
		if written == len(b) {
			return written, nil
		}
		p.await(p.writable, wait)
	}
}

// push appends data that arrives no sooner than what went before. The caller
// holds mu.
func (p *pipe) push(data []byte, due time.Time) {
	if due.Before(p.last) {
		due = p.last
	}
	p.last = due
	if len(data) > 0 {
		p.chunks = append(p.chunks, chunk{data, due})
		p.size += len(data)
	}
}

// await waits for a doorbell, at most for the given time, where not negative.
func (p *pipe) await(doorbell chan struct{}, wait time.Duration) {
	if wait < 0 {
		<-doorbell
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-doorbell:
	case <-timer.C:
	}
}

func expired(deadline, now time.Time) bool {
	return !deadline.IsZero() && !now.Before(deadline)
}

// finish marks the end of the stream, which arrives like data does.
func (p *pipe) finish(delay time.Duration) {
	p.mu.Lock()
	if !p.ended {
		p.ended = true
		p.push(nil, time.Now().Add(delay))
	}
	p.mu.Unlock()
	p.wake()
}

// shutdown is the reader's end of it. The writer is not told here: the end of the
// other direction tells it, when that arrives.
func (p *pipe) shutdown() {
	p.mu.Lock()
	p.shut = true
	p.chunks, p.size = nil, 0
	p.mu.Unlock()
	p.wake()
}

// fail breaks the pipe at once; the first reason stands.
func (p *pipe) fail(err error) {
	p.mu.Lock()
	if p.err == nil {
		p.err = err
		p.chunks, p.size = nil, 0
	}
	p.mu.Unlock()
	p.wake()
}

func (p *pipe) hold(held bool) {
	p.mu.Lock()
	p.held = held
	p.mu.Unlock()
	ring(p.readable)
}

func (p *pipe) setReadDeadline(t time.Time) {
	p.mu.Lock()
	p.readBy = t
	p.mu.Unlock()
	ring(p.readable)
}

func (p *pipe) setWriteDeadline(t time.Time) {
	p.mu.Lock()
	p.writeBy = t
	p.mu.Unlock()
	ring(p.writable)
}

func (p *pipe) wake() {
	ring(p.readable)
	ring(p.writable)
}
