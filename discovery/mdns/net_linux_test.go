package mdns

import (
	"slices"
	"testing"
	"time"
)

func TestTwoHostsFindEachOther(t *testing.T) {
	w := newWire(t)
	a, b := w.host("a"), w.host("b")
	w.plug(a, "eth0", "10.7.0.1/24")
	w.plug(b, "eth0", "10.7.0.2/24")
	na := w.start(a, nodeConfig{Seed: 1})
	nb := w.start(b, nodeConfig{Seed: 2})
	for _, ev := range []nodeEvent{nb.await(3*time.Second, "found", na.peer), na.await(3*time.Second, "found", nb.peer)} {
		if len(ev.Dialed) == 0 {
			t.Errorf("none of %v can be dialled", ev.Addrs)
		}
		t.Logf("found after %v: %v", ev.After, ev.Addrs)
	}
}

func TestIPv6OnlyLinkLocal(t *testing.T) {
	w := newWire(t)
	var nodes []*node
	for i, name := range []string{"a", "b", "c"} {
		w.host(name)
		w.plug(name, "eth0")
		nodes = append(nodes, w.start(name, nodeConfig{Seed: byte(i)}))
	}
	for i, n := range nodes {
		want := map[string]bool{}
		for j, o := range nodes {
			if i != j {
				want[o.peer] = true
			}
		}
		for len(want) > 0 {
			ev := n.await(5*time.Second, "found", "")
			if !slices.Equal(ev.Dialed, ev.Addrs) || len(ev.Addrs) == 0 {
				t.Errorf("of %v only %v can be dialled", ev.Addrs, ev.Dialed)
			}
			delete(want, ev.Peer)
			t.Logf("found after %v: %v", ev.After, ev.Addrs)
		}
	}
}
