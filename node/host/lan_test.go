package host

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"earshot/chat"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/gologshim"
	ma "github.com/multiformats/go-multiaddr"
)

func TestOnlyTheLocalNetworkIsLAN(t *testing.T) {
	l := newLAN(true, nil)
	l.onLink = []netip.Prefix{netip.MustParsePrefix("2001:db8:1:2::/64")}
	l.taken = time.Now().Add(time.Hour) // the picture is never too old
	for addr, want := range map[string]bool{
		"127.0.0.1": true, "10.1.2.3": true, "172.16.0.1": true, "192.168.1.1": true, "169.254.9.9": true,
		"100.64.0.1": true, "100.127.255.255": true, "::1": true, "fd12::1": true, "fe80::1": true,
		"::ffff:192.168.1.1": true, "2001:db8:1:2::77": true,
		"8.8.8.8": false, "172.32.0.1": false, "100.128.0.1": false, "2001:db8:1:3::77": false,
		"0.0.0.0": false, "::": false, "224.0.0.251": false, "ff02::fb": false, "::ffff:8.8.8.8": false,
	} {
		if got := l.contains(netip.MustParseAddr(addr)); got != want {
			t.Errorf("contains(%s) = %v", addr, got)
		}
	}
}

func TestToldAddressesAreThoseOthersCanUse(t *testing.T) {
	l := newLAN(true, nil)
	l.simulated = false
	l.taken = time.Now().Add(time.Hour)
	l.allowed = func(name string) bool { return name != "docker0" }
	l.owner = map[netip.Addr]string{
		netip.MustParseAddr("192.168.1.5"): "eth0",
		netip.MustParseAddr("172.17.0.1"):  "docker0",
	}
	in := []string{
		"/ip4/127.0.0.1/tcp/1", "/ip4/192.168.1.5/tcp/1", "/ip4/172.17.0.1/tcp/1",
		"/ip4/8.8.8.8/tcp/1", "/ip6zone/eth0/ip6/fe80::1/tcp/1", "/ip6/fe80::1/tcp/1",
	}
	var addrs []ma.Multiaddr
	for _, s := range in {
		addrs = append(addrs, ma.StringCast(s))
	}
	if got := l.told(addrs); len(got) != 1 || got[0].String() != in[1] {
		t.Errorf("told %v, want only %s", got, in[1])
	}
	if got := l.told(addrs[:1]); len(got) != 1 {
		t.Errorf("told %v where loopback is all there is", got)
	}
}

// 30 hosts on one IPv6 link must all get in, and one address must not take all.
func TestManyPeersOnOneIPv6Subnet(t *testing.T) {
	rm, err := resourceManager(false)
	if err != nil {
		t.Fatal(err)
	}
	defer rm.Close()
	connect := func(addr string) error {
		_, err := rm.OpenConnection(network.DirInbound, true, ma.StringCast(addr))
		return err
	}
	for i := range 30 {
		if err := connect(fmt.Sprintf("/ip6/2001:db8::%x/tcp/9327", i+1)); err != nil {
			t.Fatalf("peer %d on one /64: %v", i+1, err)
		}
	}
	var refused error
	for i := 0; refused == nil; i++ {
		if refused = connect("/ip6/2001:db8::ffff/tcp/9327"); i > perAddress {
			t.Fatalf("one address has %d connections", i)
		}
	}
}

func TestThirtyPeersOnIPv6Loopback(t *testing.T) {
	v6 := func(c *Config) { c.ListenAddrs = []ma.Multiaddr{ma.StringCast("/ip6/::1/tcp/0")} }
	hub := start(t, v6)
	var running sync.WaitGroup
	for range 30 {
		h := start(t, v6)
		running.Go(func() {
			if err := h.Dial(t.Context(), hub.Device(), hub.Addrs()); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	for range 30 {
		if ev := <-hub.Events(); !ev.Up {
			t.Errorf("event %+v", ev)
		}
	}
	if n := len(hub.Peers()); n != 30 {
		t.Errorf("%d peers, want 30", n)
	}
}

// Handlers registered before Listen are known to every peer that connects. For the
// first milliseconds identify may tell an older list and then push the new one,
// but a peer takes only 10 pushes at once from one subnet, so those must be few.
func TestHandlersBeforeListenAreKnownToAll(t *testing.T) {
	const proto protocol.ID = "/earshot/test/1"
	const pushesTaken = 10
	hub := start(t, nil)
	updates, err := hub.Libp2p().EventBus().Subscribe(new(event.EvtPeerProtocolsUpdated))
	if err != nil {
		t.Fatal(err)
	}
	defer updates.Close()
	late := 0
	for range 40 {
		h, err := New(Config{Key: newKey(t), ListenAddrs: []ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/0")}})
		if err != nil {
			t.Fatal(err)
		}
		defer stop(t, h)
		h.Libp2p().SetStreamHandler(proto, func(s network.Stream) { _ = s.Close() })
		if err := h.Listen(); err != nil {
			t.Fatal(err)
		}
		dial(t, hub, h)
		known := func() bool {
			protos, err := hub.Libp2p().Peerstore().SupportsProtocols(PeerID(h.Device()), proto)
			return err == nil && len(protos) == 1
		}
		if known() {
			continue
		}
		late++
		for timeout := time.After(10 * time.Second); !known(); {
			select {
			case <-updates.Out():
			case <-timeout:
				t.Fatal("a handler registered before Listen stays unknown")
			}
		}
	}
	if late > pushesTaken {
		t.Errorf("%d of 40 handlers came by push", late)
	}
}

// A goodbye written right before Close arrives.
func TestGoodbyeIsDeliveredBeforeClose(t *testing.T) {
	const proto protocol.ID = "/earshot/test/1"
	for range 10 {
		got := make(chan string, 1)
		a := start(t, nil)
		b, err := New(Config{Key: newKey(t), ListenAddrs: []ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/0")}})
		if err != nil {
			t.Fatal(err)
		}
		b.Libp2p().SetStreamHandler(proto, func(s network.Stream) {
			var buf [7]byte
			if _, err := io.ReadFull(s, buf[:]); err != nil {
				t.Errorf("the goodbye is lost: %v", err)
			}
			got <- string(buf[:])
		})
		if err := b.Listen(); err != nil {
			t.Fatal(err)
		}
		dial(t, a, b)
		expect(t, b, a.Device(), true)
		s, err := a.Libp2p().NewStream(t.Context(), PeerID(b.Device()), proto)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write([]byte("goodbye")); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := a.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d < closeLinger || d > closeLinger+time.Second {
			t.Errorf("Close took %v, want little more than %v", d, closeLinger)
		}
		if text := <-got; text != "goodbye" {
			t.Errorf("got %q", text)
		}
		expect(t, b, a.Device(), false)
		stop(t, b)
	}
}

func TestNetworkKeyClosesTheNetwork(t *testing.T) {
	secret := func(b byte) func(*Config) {
		return func(c *Config) { c.NetworkKey = bytes.Repeat([]byte{b}, 32) }
	}
	a, b, out := start(t, secret(1)), start(t, secret(1)), start(t, secret(2))
	dial(t, a, b)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := out.Dial(ctx, a.Device(), a.Addrs()); chat.CodeOf(err) != chat.CodeUnreachable {
		t.Errorf("a device with another key: %v, want CodeUnreachable", err)
	}
	if _, err := New(Config{Key: newKey(t), NetworkKey: make([]byte, 5)}); err == nil {
		t.Error("a short network key is taken")
	}
}

// Connections whose own address has gone are closed, the others stay.
func TestNetworkChangedClosesWhatHasNoAddress(t *testing.T) {
	a, b := start(t, nil), start(t, nil)
	dial(t, a, b)
	expect(t, a, b.Device(), true)
	a.NetworkChanged()
	if !a.Connected(b.Device()) {
		t.Fatal("a loopback connection was closed")
	}
	a.lan.owner = map[netip.Addr]string{netip.MustParseAddr("10.0.0.7"): "eth0"}
	for addr, want := range map[string]bool{"/ip4/10.0.0.7/tcp/1": false, "/ip4/10.0.0.8/tcp/1": true, "/ip4/127.0.0.1/tcp/1": false} {
		if got := a.lan.gone(ma.StringCast(addr)); got != want {
			t.Errorf("gone(%s) = %v", addr, got)
		}
	}
}

func TestLibraryLogsGoWhereTheyAreSent(t *testing.T) {
	var buf bytes.Buffer
	clear(said.at)
	library := gologshim.Logger("a-library").With("key", "value")
	routeLibraryLogs(slog.New(slog.NewTextHandler(&buf, nil)))
	library.Warn("seen")
	for range 100 {
		library.Warn("seen", "by", "a stranger who does it again and again") // unseen
	}
	library.Info("unseen")
	routeLibraryLogs(slog.New(slog.DiscardHandler))
	library.Error("unseen")
	if got := buf.String(); !strings.Contains(got, "msg=seen logger=a-library key=value") || strings.Contains(got, "unseen") || strings.Contains(got, "stranger") {
		t.Errorf("logged %q", got)
	}
}
