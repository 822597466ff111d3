package host

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"earshot/chat"

	ma "github.com/multiformats/go-multiaddr"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func newKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// start runs a host on loopback until the test ends.
func start(t testing.TB, change func(*Config)) *Host {
	t.Helper()
	cfg := Config{Key: newKey(t), ListenAddrs: []ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/0")}, UserAgent: "earshot/test"}
	if change != nil {
		change(&cfg)
	}
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, h) })
	if err := h.Listen(); err != nil {
		t.Fatal(err)
	}
	return h
}

// stop closes a host without the linger.
func stop(t testing.TB, h *Host) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := h.Close(ctx); err != nil {
		t.Error(err)
	}
}

func dial(t testing.TB, from, to *Host) {
	t.Helper()
	if err := from.Dial(t.Context(), to.Device(), to.Addrs()); err != nil {
		t.Fatalf("dial: %v (%v)", err, errors.Unwrap(err))
	}
}

// expect reads the next event and checks it.
func expect(t testing.TB, h *Host, d chat.DeviceID, up bool) PeerEvent {
	t.Helper()
	select {
	case ev := <-h.Events():
		if ev.Device != d || ev.Up != up {
			t.Fatalf("event %+v, want device %s up=%v", ev, d.Short(), up)
		}
		return ev
	case <-time.After(10 * time.Second):
		t.Fatalf("no event for %s up=%v", d.Short(), up)
		return PeerEvent{}
	}
}

func TestDevicesAndPeerIDsConvert(t *testing.T) {
	h := start(t, nil)
	d, ok := DeviceID(PeerID(h.Device()))
	if !ok || d != h.Device() {
		t.Fatalf("DeviceID(PeerID(%v)) = %v, %v", h.Device(), d, ok)
	}
	if PeerID(h.Device()) != h.Libp2p().ID() {
		t.Fatal("PeerID differs from go-libp2p's")
	}
	if _, ok := DeviceID("not a peer id"); ok {
		t.Fatal("rubbish converts")
	}
}

func TestUpAndDownAreReportedOnBothSides(t *testing.T) {
	a, b := start(t, nil), start(t, nil)
	dial(t, a, b)
	if ev := expect(t, a, b.Device(), true); ev.Inbound {
		t.Error("a dialled, yet its event says inbound")
	}
	if ev := expect(t, b, a.Device(), true); !ev.Inbound || ev.Addr == nil {
		t.Errorf("b's event = %+v, want inbound with an address", ev)
	}
	if err := a.Disconnect(b.Device()); err != nil {
		t.Fatal(err)
	}
	expect(t, a, b.Device(), false)
	expect(t, b, a.Device(), false)
}

func TestPinnedPortTwiceIsAPlainError(t *testing.T) {
	port := freePort(t)
	start(t, func(c *Config) { c.ListenAddrs, c.Port = nil, port })
	second, err := New(Config{Key: newKey(t), Port: port})
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, second)
	err = second.Listen()
	if chat.CodeOf(err) != chat.CodePortTaken {
		t.Fatalf("Listen = %v, want CodePortTaken", err)
	}
	if want := fmt.Sprintf("TCP port %d is already in use by another program. Choose another with --port, or leave --port out to let Earshot take a free one.", port); err.Error() != want {
		t.Errorf("text %q, want %q", err, want)
	}
	if second.Port() != 0 {
		t.Errorf("a failed Listen left port %d open", second.Port())
	}
}

func TestTakenDefaultPortFallsBack(t *testing.T) {
	l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", DefaultPort))
	if err == nil {
		defer l.Close()
	}
	h := start(t, func(c *Config) { c.ListenAddrs = nil })
	if p := h.Port(); p == 0 || p == DefaultPort {
		t.Fatalf("port %d, want a free one beside %d", p, DefaultPort)
	}
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// Nobody learns by calling who is at a port whose host is hidden, and it calls whom
// it likes.
func TestAHiddenHostMustNotAnswerACall(t *testing.T) {
	var hidden atomic.Bool
	a := start(t, func(c *Config) { c.Hidden = hidden.Load })
	b := start(t, nil)
	hidden.Store(true)
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", a.Port()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Write([]byte("\x13/multistream/1.0.0\n")); err == nil {
		said, err := io.ReadAll(conn)
		var late net.Error
		if len(said) > 0 || errors.As(err, &late) && late.Timeout() {
			t.Errorf("it said %q (%v)", said, err)
		}
	}
	if err := b.Dial(t.Context(), a.Device(), a.Addrs()); err == nil {
		t.Error("it was reached")
	}
	dial(t, a, b)
}
