package host

import (
	"errors"
	"net"
	"testing"
	"time"

	manet "github.com/multiformats/go-multiaddr/net"
)

// TestProbesAreCounted: what hearing builds on.
func TestProbesAreCounted(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	caller, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer caller.Close()
	called, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer called.Close()
	c, err := manet.WrapNetConn(called)
	if err != nil {
		t.Fatal(err)
	}
	h, ok := listenTo(c, false).(*hearing)
	if !ok {
		t.Fatal("this Linux counts no segments")
	}
	defer h.Close()
	before, err := h.count()
	if err != nil {
		t.Fatal(err)
	}
	if err := caller.(*net.TCPConn).SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: time.Second, Interval: time.Second, Count: probes}); err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		n, err := h.count()
		if err != nil {
			t.Fatal(err)
		}
		if n > before {
			return
		}
		if time.Now().After(until) {
			t.Fatal("a probe came and was not counted")
		}
	}
}

// heardBy returns a hearing whose count the test sets, and which has begun at a time.
func heardBy(t *testing.T, at time.Time) (h *hearing, count *uint32, idle *time.Duration, closed *bool) {
	count, idle, closed = new(uint32), new(time.Duration), new(bool)
	h = &hearing{
		Conn:  closing{closed: closed},
		count: func() (uint32, error) { return *count, nil },
		ask:   func(d time.Duration) { *idle = d },
	}
	if !h.start(at) {
		t.Fatal("it does not listen")
	}
	h.timer.Stop() // the test looks
	return h, count, idle, closed
}

type closing struct {
	manet.Conn
	closed *bool
}

func (c closing) Close() error { *c.closed = true; return nil }

func TestWhoIsProbedAsksOnlyWhenNothingComes(t *testing.T) {
	at := time.Now()
	h, count, idle, closed := heardBy(t, at)
	look := func(after time.Duration) { h.look(at.Add(after)); h.timer.Stop() }
	for s := range 60 {
		if s%7 == 0 {
			*count++
		}
		if look(time.Duration(s) * time.Second); *idle != unaskedIdle {
			t.Fatalf("after %d s it asks although it is being probed", s)
		}
	}
	*count++
	look(time.Minute)
	look(time.Minute + silentAfter - 1)
	if *idle != unaskedIdle {
		t.Fatal("it asks too early")
	}
	if look(time.Minute + silentAfter); *idle != probeEvery {
		t.Fatal("nothing came, and it does not ask")
	}
	*count++ // the answer
	if look(time.Minute + silentAfter + probeEvery); *idle != unaskedIdle || *closed {
		t.Fatal("it was answered, and does not leave it at that")
	}
}

func TestWhoHearsNothingHangsUpWithin15Seconds(t *testing.T) {
	at := time.Now()
	h, _, _, closed := heardBy(t, at)
	var after time.Duration
	for ; !*closed && after < time.Minute; after += listenEvery {
		h.look(at.Add(after))
		h.timer.Stop()
	}
	if after < silentAfter+2*probeEvery || after > 12*time.Second {
		t.Fatalf("it hung up after %v", after)
	}
}

// The kernel of who called does not probe while something it sent is on its way.
func TestWhoCalledHangsUpWithin12SecondsWhateverItSaid(t *testing.T) {
	at := time.Now()
	h, count, idle, closed := heardBy(t, at)
	h.called, *idle = true, 0
	look := func(after time.Duration) { h.look(at.Add(after)); h.timer.Stop() }
	for s := range 60 {
		if s%9 == 0 {
			*count++
		}
		if look(time.Duration(s) * time.Second); *closed || *idle != 0 {
			t.Fatalf("after %d s it has hung up (%v), or asks beside the kernel", s, *closed)
		}
	}
	*count++
	look(time.Minute)
	look(time.Minute + deadAfter - 1)
	if *closed {
		t.Fatal("it hung up while a probe may be answered")
	}
	if look(time.Minute + 11*time.Second); !*closed {
		t.Fatal("nothing comes, and it goes on waiting")
	}
}

func TestWhatCountsNoSegmentsIsProbedFromBothSides(t *testing.T) {
	h := &hearing{count: func() (uint32, error) { return 0, errors.ErrUnsupported }}
	if h.start(time.Now()) {
		t.Error("it listens without a count")
	}
}
