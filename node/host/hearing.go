package host

import (
	"net"
	"sync"
	"syscall"
	"time"

	manet "github.com/multiformats/go-multiaddr/net"
)

// A probe is answered by the other side's kernel and not shown to its program, so
// both would have to probe; but Linux counts the segments that come in, and a probe is
// one. So who was called only counts, as long as who called probes, and two that say
// nothing to each other send half as much.
const (
	// listenEvery is how often the count is looked at.
	listenEvery = time.Second
	// silentAfter is how long nothing may have come before this side asks, too: the other
	// side's probe, and its way.
	silentAfter = probeAfter + time.Second/2
	// deafAfter is how long its own probes, one each probeEvery, may then go unanswered.
	deafAfter = probes * probeEvery
	// deadAfter is how long nothing may have come before who called hangs up: its own
	// probes, and half of another. The kernel sends none while something it has sent is
	// not acknowledged, and then counts from the sending: 7 s later at the worst.
	deadAfter = probeAfter + probes*probeEvery + probeEvery/2
	// unaskedIdle and kernelGivesUp are the kernel's own patience meanwhile. Linux takes
	// no notice of the other side's probes there, and would give up after one of its own.
	unaskedIdle, kernelGivesUp = 2 * time.Minute, 5 * time.Minute
)

// hearing is a connection from which something comes at least as often as one of the two
// sides probes.
type hearing struct {
	manet.Conn
	called bool // by this side, which probes all the time
	count  func() (segments uint32, err error)
	ask    func(idle time.Duration) // sets after how long of silence the kernel asks

	mu     sync.Mutex
	timer  *time.Timer
	closed bool
	last   uint32
	heard  time.Time // when last was seen to rise
	asked  time.Time // since when this side probes, zero while it need not
}

// listenTo hangs up where nothing comes any more. It has the side that called probe, and
// the other ask only when nothing comes. Where the system does not count segments both
// sides probe, and the kernel alone hangs up.
func listenTo(c manet.Conn, called bool) manet.Conn {
	raw, ok := c.(syscall.Conn)
	alive, can := c.(interface {
		SetKeepAliveConfig(net.KeepAliveConfig) error
	})
	if !ok || !can {
		return c
	}
	rc, err := raw.SyscallConn()
	if err != nil {
		return c
	}
	h := &hearing{
		Conn: c, called: called,
		count: func() (n uint32, err error) {
			if e := rc.Control(func(fd uintptr) { n, err = segmentsIn(fd) }); e != nil {
				return 0, e
			}
			return n, err
		},
		ask: func(idle time.Duration) {
			_ = alive.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: idle, Interval: probeEvery, Count: 2 * probes})
			_ = rc.Control(func(fd uintptr) { _ = setUnanswered(fd, kernelGivesUp) })
		},
	}
	if !h.start(time.Now()) {
		return c
	}
	return h
}

// start looks at the count for the first time, and reports whether there is one.
func (h *hearing) start(now time.Time) bool {
	n, err := h.count()
	if err != nil {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.last, h.heard = n, now; !h.called {
		h.ask(unaskedIdle)
	}
	h.timer = time.AfterFunc(listenEvery, func() { h.look(time.Now()) })
	return true
}

// look asks where nothing has come for too long, no longer once something has, and hangs
// up where nothing answers.
func (h *hearing) look(now time.Time) {
	n, err := h.count()
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed || err != nil:
		return
	case n != h.last:
		if h.last, h.heard = n, now; !h.asked.IsZero() {
			h.asked = time.Time{}
			h.ask(unaskedIdle)
		}
	case h.called:
		if now.Sub(h.heard) >= deadAfter {
			_ = h.Conn.Close() // which its reader is told
			return
		}
	case h.asked.IsZero() && now.Sub(h.heard) >= silentAfter:
		h.asked = now
		h.ask(probeEvery) // it has been silent for longer: the kernel asks at once
	case !h.asked.IsZero() && now.Sub(h.asked) >= deafAfter:
		_ = h.Conn.Close()
		return
	}
	h.timer.Reset(listenEvery)
}

func (h *hearing) Close() error {
	h.mu.Lock()
	h.closed = true
	h.timer.Stop()
	h.mu.Unlock()
	return h.Conn.Close()
}
