package mdns

import (
	"fmt"
	"io"
	"log"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"earshot/discovery"
)

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func rec(name string, seed byte, addrs ...string) record {
	r := record{instance: name, peer: testPeer(seed)}
	for _, a := range addrs {
		r.addrs = append(r.addrs, ma.StringCast("/ip4/"+a+"/tcp/9327"))
	}
	return r
}

// A recorder keeps events as "kind seed addresses".
type recorder struct {
	t   *testing.T
	got []string
}

func (r *recorder) out(ev discovery.Event) {
	if ev.Via != Name || ev.Seen.IsZero() {
		r.t.Errorf("event %+v", ev)
	}
	line := ev.Kind.String()
	for seed := range byte(8) {
		if ev.Peer == testPeer(seed) {
			line += fmt.Sprint(" ", seed)
		}
	}
	for _, a := range ev.Addrs {
		v, _ := a.ValueForProtocol(ma.P_IP4)
		line += " " + v
	}
	r.got = append(r.got, line)
}

func (r *recorder) expect(what string, want ...string) {
	r.t.Helper()
	if !slices.Equal(r.got, want) {
		r.t.Errorf("%s: events %q, want %q", what, r.got, want)
	}
	r.got = nil
}

func newTestTable(t *testing.T) (*table, *recorder) {
	r := &recorder{t: t}
	return newTable(slog.New(slog.DiscardHandler), r.out), r
}

func TestTableFoundUpdatedLost(t *testing.T) {
	tab, r := newTestTable(t)
	window := func(records ...record) {
		tab.begin()
		for _, x := range records {
			tab.hear(t0, x)
		}
		tab.end(t0, true)
	}
	window(rec("a", 1, "10.0.0.1"), rec("b", 2, "10.0.0.2"), rec("a", 1, "10.0.0.1"))
	r.expect("first window", "found 1 10.0.0.1", "found 2 10.0.0.2")
	window(rec("a", 1, "10.0.0.1"))
	r.expect("one heard again", "refreshed 1 10.0.0.1")
	window(rec("a", 1, "10.0.0.3"))
	r.expect("one moved", "updated 1 10.0.0.3")
	window(rec("a", 1, "10.0.0.3"))
	r.expect("the other silent for the third time", "refreshed 1 10.0.0.3", "lost 2")
	window()
	window(rec("a", 1, "10.0.0.3"))
	window()
	window()
	r.expect("silence counts in a row only", "refreshed 1 10.0.0.3")
	window()
	r.expect("third silence in a row", "lost 1")
	if tab.len() != 0 || len(tab.peers) != 0 {
		t.Errorf("%d instances and %d peers remain", tab.len(), len(tab.peers))
	}
}

func TestTableUnfairWindowsDoNotCount(t *testing.T) {
	tab, r := newTestTable(t)
	tab.hear(t0, rec("a", 1, "10.0.0.1"))
	for range 10 {
		tab.begin()
		tab.end(t0, false)
	}
	r.expect("windows that were too short", "found 1 10.0.0.1")
}

// A device that restarted has two instances for a while: it is not lost when the old one is.
func TestTableRestartedDevice(t *testing.T) {
	tab, r := newTestTable(t)
	tab.begin()
	tab.hear(t0, rec("old", 1, "10.0.0.1"))
	tab.hear(t0, rec("new", 1, "10.0.0.2"))
	r.expect("restart", "found 1 10.0.0.1", "updated 1 10.0.0.2 10.0.0.1")
	for range maxMissed {
		tab.begin()
		tab.hear(t0, rec("new", 1, "10.0.0.2"))
		tab.end(t0, true)
	}
	r.expect("the old one fades", "refreshed 1 10.0.0.2 10.0.0.1", "refreshed 1 10.0.0.2 10.0.0.1", "refreshed 1 10.0.0.2 10.0.0.1", "updated 1 10.0.0.2")
}

func TestTableFlood(t *testing.T) {
	tab, _ := newTestTable(t)
	tab.out = func(discovery.Event) {}
	for i := range 3 * maxInstances { // all claim to be one device
		tab.hear(t0, rec(fmt.Sprint(i), 1, "10.0.0.1"))
	}
	if tab.len() != maxPerPeer {
		t.Errorf("%d instances of one device", tab.len())
	}
	tab, _ = newTestTable(t)
	tab.out = func(ev discovery.Event) {
		if ev.Kind != discovery.Found {
			t.Errorf("a full table reports %v", ev.Kind)
		}
	}
	addrs := rec("", 1, "10.0.0.1").addrs
	for i := range 3 * maxInstances { // each claims to be another
		tab.hear(t0, record{instance: fmt.Sprint(i), peer: peer.ID(fmt.Sprint(i)), addrs: addrs})
	}
	if tab.len() != maxInstances || len(tab.peers) != maxInstances {
		t.Errorf("%d instances, %d peers", tab.len(), len(tab.peers))
	}
	tab.hear(t0, record{instance: fmt.Sprint(3*maxInstances - 1), peer: testPeer(5), addrs: addrs})
	if len(tab.peers[testPeer(5)]) != 0 {
		t.Error("an instance changed its peer id")
	}
}

func TestDefaultWindow(t *testing.T) {
	for _, c := range []struct {
		round, known int
		want         time.Duration
	}{
		{0, 0, time.Second},
		{1, 3, 4 * time.Second},
		{2, 3, 16 * time.Second},
		{3, 3, 64 * time.Second},
		{4, 3, 5 * time.Minute},
		{1000, 80, 8 * time.Minute},
		{1000, 5000, 15 * time.Minute},
		{1000, 0, time.Minute},
	} {
		if got := DefaultWindow(c.round, c.known); got != c.want {
			t.Errorf("window %d with %d known: %v, want %v", c.round, c.known, got, c.want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, cfg := range []Config{{}, {Peer: "x", Port: 9327}, {Peer: testPeer(1)}, {Peer: testPeer(1), Port: 80}, {Peer: testPeer(1), Port: 1 << 16}} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%+v was accepted", cfg)
		}
	}
}

func TestInstanceNames(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		s, err := New(Config{Peer: testPeer(1), Port: 9327})
		if err != nil {
			t.Fatal(err)
		}
		if !validInstance(s.instance) || seen[s.instance] {
			t.Fatalf("instance %q", s.instance)
		}
		seen[s.instance] = true
	}
}

func TestLibraryLogIsRouted(t *testing.T) {
	var library, rest strings.Builder
	w := libraryWriter{rest: &rest}
	old := libraryLog.Swap(slog.New(slog.NewTextHandler(&library, &slog.HandlerOptions{Level: slog.LevelDebug})))
	defer libraryLog.Store(old)
	l := log.New(w, "", log.LstdFlags)
	l.Print("[ERR] zeroconf: failed to send probe")
	l.Print("[WARN] mdns: Failed to set multicast interface")
	l.Print("something else")
	if strings.Count(library.String(), "\n") != 2 || strings.Count(rest.String(), "\n") != 1 || !strings.Contains(rest.String(), "something else") {
		t.Errorf("routed %q, kept %q", &library, &rest)
	}
	if log.Writer() == io.Discard {
		t.Error("the standard logger was silenced for everybody")
	}
}
