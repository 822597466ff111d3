package sim

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"earshot/chat"
	"earshot/node/host"

	ma "github.com/multiformats/go-multiaddr"
	"go.uber.org/goleak"
)

// together is how many tests run at a time that need not be alone: mostly they wait.
const together = 8

func TestMain(m *testing.M) {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		if err := flag.Set("test.parallel", strconv.Itoa(together)); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}

var (
	alpha = netip.MustParseAddr("10.0.0.1")
	beta  = netip.MustParseAddr("10.0.0.2")
	gamma = netip.MustParseAddr("10.0.0.3")
)

// wired returns both ends of a connection from alpha to beta.
func wired(t *testing.T, n *Net) (near, far *conn) {
	t.Helper()
	at := netip.AddrPortFrom(beta, 9327)
	l, err := n.listen(at)
	if err != nil {
		t.Fatal(err)
	}
	if near, err = n.connect(t.Context(), alpha, at); err != nil {
		t.Fatal(err)
	}
	if _, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for c := range n.conns {
		if c != near {
			far = c
		}
	}
	return near, far
}

func TestBytesArriveInOrderAndNoSoonerThanDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New()
		rng := rand.New(rand.NewPCG(1, 2))
		n.SetLatency(func(_, _ netip.Addr) time.Duration {
			return 5*time.Millisecond + time.Duration(rng.IntN(5))*time.Millisecond
		})
		began := time.Now()
		near, far := wired(t, n)
		if d := time.Since(began); d < 10*time.Millisecond || d > 20*time.Millisecond {
			t.Errorf("connecting took %v, want one round trip of 10 to 20 ms", d)
		}
		want := make([]byte, 3*window) // more than the wire holds: the writer waits
		for i := range want {
			want[i] = byte(rng.Uint32())
		}
		began = time.Now()
		go func() {
			for rest := want; len(rest) > 0; {
				k := min(len(rest), 1+rng.IntN(9000))
				if _, err := near.Write(rest[:k]); err != nil {
					t.Error(err)
				}
				rest = rest[k:]
			}
			near.Close()
		}()
		got, err := io.ReadAll(far)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("read %d bytes, %v; want %d", len(got), err, len(want))
		}
		if d := time.Since(began); d < 10*time.Millisecond {
			t.Errorf("arrived after %v, yet the writer had to wait for the reader", d)
		}
	})
}

func TestACutHoldsBytesUntilHeal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New()
		near, far := wired(t, n)
		n.Cut([]netip.Addr{alpha}, []netip.Addr{beta, gamma})
		if _, err := near.Write([]byte("late")); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 8)
		far.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := far.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("Read across a cut = %v, want a timeout", err)
		}
		far.SetReadDeadline(time.Time{})
		// Nobody is told of a close either.
		near.Close()
		go func() { time.Sleep(time.Second); n.Heal() }()
		began := time.Now()
		got, err := io.ReadAll(far)
		if err != nil || string(got) != "late" || time.Since(began) != time.Second {
			t.Fatalf("after Heal: %q, %v, after %v", got, err, time.Since(began))
		}
	})
}

func TestDialsAcrossACutGoUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New()
		at := netip.AddrPortFrom(beta, 9327)
		l, err := n.listen(at)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := n.connect(t.Context(), alpha, at); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dial to a host without a listener = %v, want refused", err)
		}
		if _, err := n.listen(at); err != nil {
			t.Fatal(err)
		}
		if _, err := n.listen(at); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("listening twice = %v, want address in use", err)
		}
		n.Cut([]netip.Addr{alpha}, []netip.Addr{beta})
		began := time.Now()
		if _, err := n.connect(t.Context(), alpha, at); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != dialTimeout {
			t.Errorf("dial across a cut = %v after %v, want a timeout after %v", err, time.Since(began), dialTimeout)
		}
		go func() { time.Sleep(time.Second); n.Heal() }()
		if _, err := n.connect(t.Context(), alpha, at); err != nil {
			t.Errorf("dial during which the cut healed = %v", err)
		}
		n.CloseAll()
		if _, err := n.connect(t.Context(), alpha, at); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dial after CloseAll = %v, want refused", err)
		}
	})
}

func TestAWriterIntoTheVoidTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, _ := wired(t, New())
		near.SetWriteDeadline(time.Now().Add(time.Second))
		k, err := near.Write(make([]byte, window+1))
		if !errors.Is(err, os.ErrDeadlineExceeded) || k != window {
			t.Fatalf("Write = %d, %v, want %d and a timeout", k, err, window)
		}
	})
}

// startHost puts a real host on the simulated LAN.
func startHost(t *testing.T, n *Net, self netip.Addr, seed byte) *host.Host {
	t.Helper()
	h := newHost(t, n, self, seed)
	if err := h.Listen(); err != nil {
		t.Fatal(err)
	}
	return h
}

func newHost(t *testing.T, n *Net, self netip.Addr, seed byte) *host.Host {
	t.Helper()
	h, err := host.New(host.Config{
		Key:         ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize)),
		ListenAddrs: []ma.Multiaddr{ma.StringCast("/ip4/" + self.String() + "/tcp/9327")},
		Transport:   n.Transport(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// Real hosts meet, lose the wire, notice it within the 10 s that presence
// promises, and meet again.
func TestHostsNoticeACutAndMeetAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New()
		n.SetLatency(func(_, _ netip.Addr) time.Duration { return time.Millisecond })
		a, b := startHost(t, n, alpha, 1), startHost(t, n, beta, 2)
		dial := func() error { return a.Dial(t.Context(), b.Device(), b.Addrs()) }
		if err := dial(); err != nil {
			t.Fatal(err)
		}
		for _, h := range []*host.Host{a, b} {
			if ev := <-h.Events(); !ev.Up {
				t.Fatalf("first event %+v", ev)
			}
		}
		n.Cut([]netip.Addr{alpha}, []netip.Addr{beta})
		cutAt := time.Now()
		for _, h := range []*host.Host{a, b} {
			if ev := <-h.Events(); ev.Up {
				t.Fatalf("second event %+v", ev)
			}
		}
		if d := time.Since(cutAt); d > 11*time.Second || d < time.Second {
			t.Errorf("a cut was noticed after %v, want 1 to 11 s", d)
		}
		if err := dial(); chat.CodeOf(err) != chat.CodeUnreachable {
			t.Errorf("dial across a cut = %v, want CodeUnreachable", err)
		}
		n.Heal()
		if err := dial(); err != nil {
			t.Fatal(err)
		}
		for _, h := range []*host.Host{a, b} {
			if ev := <-h.Events(); !ev.Up {
				t.Fatalf("third event %+v", ev)
			}
		}
		n.CloseAll()
		for _, h := range []*host.Host{a, b} {
			if err := h.Close(context.Background()); err != nil {
				t.Error(err)
			}
		}
	})
}

// The same in real time, as the demo runs it, and without CloseAll.
func TestHostsMeetInRealTime(t *testing.T) {
	n := New()
	a, b := startHost(t, n, alpha, 1), startHost(t, n, beta, 2)
	if err := a.Dial(t.Context(), b.Device(), b.Addrs()); err != nil {
		t.Fatal(err)
	}
	if ev := <-b.Events(); !ev.Up || ev.Device != a.Device() {
		t.Fatalf("event %+v", ev)
	}
	if err := a.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if ev := <-b.Events(); ev.Up {
		t.Fatalf("event %+v", ev)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
