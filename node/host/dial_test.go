package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"earshot/chat"

	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"
)

func TestDialErrorsAreSentences(t *testing.T) {
	a := start(t, nil)
	b := start(t, func(c *Config) {
		c.Blocked = func(d chat.DeviceID) bool { return d == a.Device() }
	})
	other := start(t, nil)
	mute, err := net.Listen("tcp4", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	at := func(port int) []ma.Multiaddr {
		return []ma.Multiaddr{ma.StringCast(fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", port))}
	}
	stranger := nobody(t)
	tests := []struct {
		name string
		to   chat.DeviceID
		addr []ma.Multiaddr
		code chat.Code
		text string
	}{
		{"nobody listens", stranger, at(freePort(t)), chat.CodeUnreachable, "its machine answers, but Earshot does not run there"},
		{"another device", stranger, other.Addrs(), chat.CodeUnreachable, "another device answers at its address"},
		{"no address", nobody(t), nil, chat.CodeUnreachable, "no usable address of it is known"},
		{"not on the LAN", stranger, []ma.Multiaddr{ma.StringCast("/ip4/8.8.8.8/tcp/9327")}, chat.CodeDenied, "not on the local network"},
		{"ourselves", a.Device(), a.Addrs(), chat.CodeUnreachable, "this device itself"},
		{"no answer", stranger, at(mute.Addr().(*net.TCPAddr).Port), chat.CodeUnreachable, "did not answer in time"},
		{"blocked by them", b.Device(), b.Addrs(), chat.CodeUnreachable, "closed the connection while we said hello"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			patience := 10 * time.Second
			if tt.name == "no answer" {
				patience = 100 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			err := a.Dial(ctx, tt.to, tt.addr)
			if chat.CodeOf(err) != tt.code || !strings.Contains(fmt.Sprint(err), tt.text) {
				t.Errorf("Dial = %v, code %q, want %q with %q\ncause: %v", err, chat.CodeOf(err), tt.code, tt.text, errors.Unwrap(err))
			}
			var e *chat.Error
			if !errors.As(err, &e) || e.Hint == "" {
				t.Error("the error does not say what to do next")
			}
		})
	}
	t.Run("blocked by us", func(t *testing.T) {
		if err := b.Dial(t.Context(), a.Device(), a.Addrs()); chat.CodeOf(err) != chat.CodeDenied {
			t.Errorf("Dial = %v, want CodeDenied", err)
		}
	})
}

// nobody returns a device that nobody runs.
func nobody(t *testing.T) chat.DeviceID {
	return chat.DeviceID(newKey(t)[32:])
}

// A failed dial does not stand in the way of the next one.
func TestNoBackOffBetweenDials(t *testing.T) {
	a := start(t, nil)
	key := newKey(t)
	port := freePort(t)
	addr := []ma.Multiaddr{ma.StringCast(fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", port))}
	device := chat.DeviceID(key[32:])
	if err := a.Dial(t.Context(), device, addr); !Refused(err) {
		t.Fatalf("Dial before the node starts = %v, want refused", err)
	}
	start(t, func(c *Config) { c.Key, c.ListenAddrs = key, addr })
	if err := a.Dial(t.Context(), device, addr); err != nil {
		t.Fatalf("Dial right after the node started: %v", errors.Unwrap(err))
	}
}

// When both sides dial at once, no dial fails, nobody is reported gone, and one
// connection is left, the same for both.
func TestSimultaneousDial100Times(t *testing.T) {
	const pairs, rounds = 10, 10
	var doubles atomic.Int64
	var running sync.WaitGroup
	for range pairs {
		a, b := start(t, nil), start(t, nil)
		running.Go(func() {
			closed := make(chan struct{}, 1)
			var events [2]chan PeerEvent
			for i, h := range []*Host{a, b} {
				// Read at once: what comes and goes unread is not reported.
				events[i] = make(chan PeerEvent, 100)
				go func() {
					for ev := range h.Events() {
						events[i] <- ev
					}
				}()
				h.swarm.Notify(&network.NotifyBundle{DisconnectedF: func(network.Network, network.Conn) {
					select {
					case closed <- struct{}{}:
					default:
					}
				}})
			}
			for range rounds {
				if !meetAtOnce(t, a, b, closed, events, &doubles) {
					return
				}
			}
		})
	}
	running.Wait()
	t.Logf("%d of %d meetings made two connections", doubles.Load(), pairs*rounds)
}

func meetAtOnce(t *testing.T, a, b *Host, closed chan struct{}, events [2]chan PeerEvent, doubles *atomic.Int64) bool {
	errs := make(chan error, 2)
	for _, pair := range [][2]*Host{{a, b}, {b, a}} {
		go func() { errs <- pair[0].Dial(t.Context(), pair[1].Device(), pair[1].Addrs()) }()
	}
	for range 2 {
		if err := <-errs; err != nil {
			t.Errorf("a simultaneous dial failed: %v (%v)", err, errors.Unwrap(err))
			return false
		}
	}
	conns := func(h *Host, of *Host) []network.Conn { return h.swarm.ConnsToPeer(PeerID(of.Device())) }
	if len(conns(a, b)) > 1 || len(conns(b, a)) > 1 {
		doubles.Add(1)
	}
	for timeout := time.After(10 * time.Second); len(conns(a, b)) != 1 || len(conns(b, a)) != 1; {
		select {
		case <-closed:
		case <-timeout:
			t.Errorf("%d and %d connections left, want one", len(conns(a, b)), len(conns(b, a)))
			return false
		}
	}
	if x, y := conns(a, b)[0], conns(b, a)[0]; !x.LocalMultiaddr().Equal(y.RemoteMultiaddr()) {
		t.Errorf("the sides kept different connections: %v and %v", x, y)
		return false
	}
	if err := a.Disconnect(b.Device()); err != nil {
		t.Error(err)
		return false
	}
	for _, came := range events {
		for _, up := range []bool{true, false} {
			select {
			case ev := <-came:
				if ev.Up != up {
					t.Errorf("event up=%v, want up=%v", ev.Up, up)
					return false
				}
			case <-time.After(10 * time.Second):
				t.Errorf("no event up=%v", up)
				return false
			}
		}
	}
	return true
}

func TestLinkLocalAddressesPassTheSwarmInDisguise(t *testing.T) {
	for _, s := range []string{"/ip6zone/eth0/ip6/fe80::1/tcp/9327", "/ip6zone/wlan 0/ip6/fe80::abcd/tcp/1"} {
		a := ma.StringCast(s)
		disguised := encodeLinkLocal(a)
		if disguised.Equal(a) {
			t.Errorf("%s got no disguise", a)
		}
		if back, ok := decodeLinkLocal(disguised); !ok || !back.Equal(a) {
			t.Errorf("%s became %s, and that %v, %v", a, disguised, back, ok)
		}
	}
	for _, s := range []string{
		"/ip4/10.0.0.1/tcp/9327", "/ip6/fe80::1/tcp/9327", "/ip6/fd00::1/tcp/9327",
		"/dns6/example.org/tcp/9327", "/dns6/fd00::1%eth0/tcp/1", "/dns6/fe80::1/tcp/1", "/dns6/fe80::1%eth0/udp/1",
	} {
		a := ma.StringCast(s)
		if !encodeLinkLocal(a).Equal(a) {
			t.Errorf("%s was disguised", a)
		}
		if got, ok := decodeLinkLocal(a); ok {
			t.Errorf("%s was taken for a disguise of %s", a, got)
		}
	}
}

func TestAddressesAreTriedInOrder(t *testing.T) {
	var in []ma.Multiaddr
	for _, s := range []string{
		"/ip6/::1/tcp/1", "/dns6/fe80::1%eth0/tcp/1", "/ip4/169.254.1.1/tcp/1", "/ip6/fd00::1/tcp/1", "/ip4/10.0.0.1/tcp/1",
	} {
		in = append(in, ma.StringCast(s))
	}
	out := rankAddrs(in)
	for i, want := range []int{4, 3, 2, 1, 0} {
		if !out[i].Addr.Equal(in[want]) || out[i].Delay != time.Duration(i)*dialStagger {
			t.Errorf("place %d: %s after %v, want %s", i, out[i].Addr, out[i].Delay, in[want])
		}
	}
}
