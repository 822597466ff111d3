package lab_test

import (
	"net/netip"
	"testing"
	"time"

	"earshot/node/lab"
)

// clutter gives the host adapters as real computers have them: up, with an
// address, and leading nowhere. Every host has the same address on docker0.
func clutter(t *testing.T, h *lab.Host) {
	t.Helper()
	for _, a := range []struct{ name, address string }{
		{"docker0", "172.17.0.1/16"},
		{"wrong0", "192.168.56.1/24"},
	} {
		if _, err := h.AttachNowhere(a.name, netip.MustParsePrefix(a.address)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestThreeInterfacesAndAVirtualAdapter(t *testing.T) {
	w := newWorld(t)
	second, third := w.newLAN(), w.newLAN()

	ann := w.bare("ann")
	clutter(t, ann)
	w.attach(ann, w.lan, "eth0", lab.Dual)
	w.attach(ann, second, "eth1", lab.OnlyIPv4)
	w.attach(ann, third, "wlan0", lab.Dual)
	middle := w.settle(ann, "home")
	middle.start()

	var others []*station
	for name, lan := range map[string]*lab.LAN{"bob": w.lan, "cid": second, "dan": third} {
		h := w.bare(name)
		clutter(t, h)
		w.attach(h, lan, "eth0", lab.Dual)
		s := w.settle(h, "home")
		s.start()
		others = append(others, s)
	}
	for _, s := range others {
		meet(5*time.Second, middle, s)
	}
	middle.send("to all three networks")
	for _, s := range others {
		s.hears("to all three networks", 2*time.Second)
		s.send("back from " + s.name)
		middle.hears("back from "+s.name, 2*time.Second)
	}
	// What one says reaches those on the other networks through the middle.
	for _, s := range others {
		for _, other := range others {
			other.hears("back from "+s.name, 5*time.Second)
		}
	}
	agree(append(others, middle)...)
}

func TestAPinnedInterfaceIsTheOnlyOneUsed(t *testing.T) {
	w := newWorld(t)
	second := w.newLAN()
	ann := w.bare("ann")
	w.attach(ann, w.lan, "eth0", lab.Dual)
	w.attach(ann, second, "eth1", lab.Dual)
	pinned := w.settle(ann, "home")
	pinned.start("--interface", "eth1")
	bob := w.station("bob", lab.Dual) // on the LAN that is not used

	h := w.bare("cid")
	w.attach(h, second, "eth0", lab.Dual)
	cid := w.settle(h, "home")
	cid.start()
	meet(5*time.Second, pinned, cid)
	if pinned.here[bob.person] {
		t.Error("somebody was met over an interface that is not pinned")
	}
	pinned.stop()

	pinned.start("--interface", "-eth1")
	meet(5*time.Second, pinned, bob)
	if pinned.here[cid.person] {
		t.Error("somebody was met over an interface that is excluded")
	}
}

func TestAnInterfaceThatIsMadeAgainWorks(t *testing.T) {
	w := newWorld(t)
	ann := w.station("ann", lab.Dual)
	bob := w.station("bob", lab.Dual)
	meet(5*time.Second, ann, bob)
	if err := bob.nic.Remove(); err != nil {
		t.Fatal(err)
	}
	ann.sees(bob, false, 17*time.Second)
	if err := bob.nic.Create(); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	at := ann.sees(bob, true, 15*time.Second)
	t.Logf("bob was seen %v after the interface was back", at.Sub(begin))
	bob.send("back on a new interface")
	ann.hears("back on a new interface", 2*time.Second)

	// Those who come later must find bob, too: his announcements work again.
	cid := w.station("cid", lab.Dual)
	meet(5*time.Second, bob, cid)
}

func TestANodeThatStartsWithoutANetworkJoinsOneLater(t *testing.T) {
	w := newWorld(t)
	ann := w.station("ann", lab.Dual)
	h := w.bare("bob")
	bob := w.settle(h, "home")
	bob.start() // there is nothing but loopback
	bob.send("said to nobody")
	w.attach(h, w.lan, "eth0", lab.Dual)
	begin := time.Now()
	meet(10*time.Second, ann, bob)
	t.Logf("they met %v after the network came", time.Since(begin))
	eventually(t, 5*time.Second, "ann reads what bob said before", func() bool { return len(ann.history()) == 1 })
	ann.send("welcome")
	bob.hears("welcome", 2*time.Second)
}
