package discovery

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"pgregory.net/rapid"
)

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func addr(last, port int) ma.Multiaddr {
	return ma.StringCast(fmt.Sprintf("/ip4/10.0.0.%d/tcp/%d", last, port))
}

func found(id, via string, addrs ...ma.Multiaddr) Event {
	return Event{Kind: Found, Sighting: Sighting{Peer: peer.ID(id), Via: via, Addrs: addrs}}
}

func lost(id, via string) Event {
	return Event{Kind: Lost, Sighting: Sighting{Peer: peer.ID(id), Via: via}}
}

func wantAddrs(t *testing.T, b *Book, id string, want ...ma.Multiaddr) {
	t.Helper()
	if got := b.Addrs(peer.ID(id)); !slices.EqualFunc(got, want, ma.Multiaddr.Equal) {
		t.Errorf("addresses of %s: %v, want %v", id, got, want)
	}
}

func TestBookFollowsASource(t *testing.T) {
	b := NewBook(BookConfig{})
	for i, step := range []struct {
		ev   Event
		want Change
	}{
		{found("a", "mdns", addr(1, 9327)), Added},
		{found("a", "mdns", addr(1, 9327)), Unchanged},
		{found("a", "mdns", addr(2, 9327)), Moved},
		{found("a", "mdns", addr(2, 9327)), Unchanged},
		{found("a", "dht", addr(2, 9327)), Unchanged},
		{lost("a", "mdns"), Unchanged},
		{lost("a", "dht"), Removed},
		{lost("a", "dht"), Unchanged},
		{found("a", "mdns"), Refused},
		{found("", "mdns", addr(1, 9327)), Refused},
	} {
		if got := b.Apply(t0, step.ev); got != step.want {
			t.Errorf("step %d: change %d, want %d", i, got, step.want)
		}
	}
	if b.Len() != 0 || b.RefusedEvents() != 2 {
		t.Errorf("%d devices, %d refused; want none and 2", b.Len(), b.RefusedEvents())
	}
}

func TestBookOrdersAddresses(t *testing.T) {
	b := NewBook(BookConfig{MaxAddrs: 4})
	b.Apply(t0, found("a", "dht", addr(1, 9327), addr(2, 9327)))
	b.Apply(t0.Add(1), found("a", "mdns", addr(3, 9327), addr(2, 9327), addr(4, 9327)))
	wantAddrs(t, b, "a", addr(3, 9327), addr(2, 9327), addr(4, 9327), addr(1, 9327))
	b.Confirm(t0.Add(2), "a", addr(9, 9327))
	b.Confirm(t0.Add(3), "a", addr(2, 9327))
	wantAddrs(t, b, "a", addr(2, 9327), addr(9, 9327), addr(3, 9327), addr(4, 9327))
	if b.Reject("a", addr(2, 9327)) {
		t.Error("a device with other addresses was forgotten")
	}
	wantAddrs(t, b, "a", addr(9, 9327), addr(3, 9327), addr(4, 9327), addr(1, 9327))
	for _, last := range []int{1, 3, 4} {
		b.Reject("a", addr(last, 9327))
	}
	if !b.Reject("a", addr(9, 9327)) || b.Len() != 0 {
		t.Error("a device without addresses was kept")
	}
}

func TestBookExpires(t *testing.T) {
	b := NewBook(BookConfig{HintTTL: time.Hour, ConfirmedTTL: 3 * time.Hour})
	b.Apply(t0, found("a", "mdns", addr(1, 9327)))
	b.Apply(t0, found("b", "mdns", addr(2, 9327)))
	b.Apply(t0, found("c", "mdns", addr(3, 9327)))
	b.Confirm(t0, "b", addr(2, 9327))
	b.Apply(t0.Add(30*time.Minute), found("c", "mdns", addr(3, 9327)))
	for _, step := range []struct {
		after time.Duration
		gone  []peer.ID
	}{
		{59 * time.Minute, nil},
		{time.Hour, []peer.ID{"a"}},
		{90 * time.Minute, []peer.ID{"c"}},
		{3 * time.Hour, []peer.ID{"b"}},
	} {
		if got := b.Expire(t0.Add(step.after)); !slices.Equal(got, step.gone) {
			t.Errorf("after %v these went: %q, want %q", step.after, got, step.gone)
		}
	}
}

// A flood of invented devices displaces neither those we were connected to nor those of another source.
func TestBookFlood(t *testing.T) {
	b := NewBook(BookConfig{MaxPeers: 256})
	b.Apply(t0, found("other source", "dht", addr(1, 9327)))
	b.Apply(t0, found("dialled", "mdns", addr(2, 9327)))
	b.Confirm(t0, "dialled", addr(2, 9327))
	b.Apply(t0, found("dialled us", "mdns", addr(3, 9327)))
	b.Confirm(t0, "dialled us", nil)
	for i := range 100_000 {
		b.Apply(t0.Add(time.Duration(i)), found(fmt.Sprint("invented ", i), "mdns", addr(4, 2000+i%60_000)))
	}
	for _, id := range []peer.ID{"other source", "dialled", "dialled us"} {
		if len(b.Addrs(id)) == 0 {
			t.Errorf("%q was displaced", id)
		}
	}
	if b.Len() != 128+3 {
		t.Errorf("%d devices, want the quota of one source and 3", b.Len())
	}
	// A stranger who knows the id of a device cannot bury the address that worked.
	for i := range 100 {
		b.Apply(t0.Add(time.Hour), found("dialled", fmt.Sprint("source ", i), addr(66, 2000+i)))
	}
	if got := b.Addrs("dialled"); !got[0].Equal(addr(2, 9327)) || len(got) > 16 {
		t.Errorf("addresses after the flood: %v", got)
	}
}

func TestBookConfirmedAreBounded(t *testing.T) {
	b := NewBook(BookConfig{MaxPeers: 16})
	for i := range 100 {
		b.Confirm(t0.Add(time.Duration(i)), peer.ID(fmt.Sprint(i)), addr(1, 2000+i))
	}
	if got, want := b.Peers(), []peer.ID{"96", "97", "98", "99"}; !slices.Equal(got, want) {
		t.Errorf("kept %q, want %q", got, want)
	}
}

// Whatever happens, the book keeps its bounds and its lists agree with its map.
func TestBookInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := BookConfig{MaxPeers: 12, MaxAddrs: 4}
		b, now := NewBook(cfg), t0
		id := rapid.Map(rapid.IntRange(0, 30), func(i int) string { return fmt.Sprint("p", i) })
		via := rapid.SampledFrom([]string{"mdns", "dht", "invite"})
		address := rapid.Map(rapid.IntRange(0, 9), func(i int) ma.Multiaddr { return addr(i, 9327) })
		t.Repeat(map[string]func(*rapid.T){
			"found": func(t *rapid.T) {
				b.Apply(now, found(id.Draw(t, "id"), via.Draw(t, "via"), rapid.SliceOfN(address, 1, 8).Draw(t, "addrs")...))
			},
			"lost":    func(t *rapid.T) { b.Apply(now, lost(id.Draw(t, "id"), via.Draw(t, "via"))) },
			"confirm": func(t *rapid.T) { b.Confirm(now, peer.ID(id.Draw(t, "id")), address.Draw(t, "addr")) },
			"inbound": func(t *rapid.T) { b.Confirm(now, peer.ID(id.Draw(t, "id")), nil) },
			"reject":  func(t *rapid.T) { b.Reject(peer.ID(id.Draw(t, "id")), address.Draw(t, "addr")) },
			"forget":  func(t *rapid.T) { b.Forget(peer.ID(id.Draw(t, "id"))) },
			"expire":  func(*rapid.T) { b.Expire(now) },
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.Int64Range(0, int64(10*time.Hour)).Draw(t, "wait")))
			},
			"": func(t *rapid.T) { checkBook(t, b) },
		})
	})
}

func checkBook(t *rapid.T, b *Book) {
	listed := b.confirmed.Len()
	if listed > b.cfg.MaxConfirmed {
		t.Fatalf("%d confirmed devices", listed)
	}
	for via, l := range b.sources {
		if l.Len() > b.cfg.MaxPerSource {
			t.Fatalf("%d unconfirmed devices of %s", l.Len(), via)
		}
		listed += l.Len()
	}
	if b.Len() > b.cfg.MaxPeers || b.Len() != listed {
		t.Fatalf("%d devices, of which %d are in a list", b.Len(), listed)
	}
	for _, id := range b.Peers() {
		if n := len(b.Addrs(id)); n == 0 || n > b.cfg.MaxAddrs {
			t.Fatalf("%s has %d addresses", id, n)
		}
		if e := b.peers[id]; (e.in == b.confirmed) == e.confirmed.IsZero() {
			t.Fatalf("%s is in the wrong list", id)
		}
	}
}
