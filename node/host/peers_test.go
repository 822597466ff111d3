package host

import (
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"earshot/chat"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// fakeNet is a network of which the tracker sees what a test tells it.
type fakeNet struct {
	network.Network
	self  peer.ID
	conns []network.Conn
}

func (n *fakeNet) LocalPeer() peer.ID          { return n.self }
func (n *fakeNet) Conns() []network.Conn       { return n.conns }
func (n *fakeNet) Notify(network.Notifiee)     {}
func (n *fakeNet) StopNotify(network.Notifiee) {}

type fakeConn struct {
	network.Conn
	remote peer.ID
	stat   network.ConnStats
	closed bool
}

func (c *fakeConn) RemotePeer() peer.ID           { return c.remote }
func (c *fakeConn) RemoteMultiaddr() ma.Multiaddr { return nil }
func (c *fakeConn) Stat() network.ConnStats       { return c.stat }
func (c *fakeConn) IsClosed() bool                { return c.closed }

func fake(remote peer.ID, dir network.Direction, age time.Duration) *fakeConn {
	return &fakeConn{remote: remote, stat: network.ConnStats{Stats: network.Stats{Direction: dir, Opened: time.Now().Add(-age)}}}
}

func device(b byte) chat.DeviceID { return chat.DeviceID{0: b} }

func TestConnectionsBeforeTheTrackerAreReported(t *testing.T) {
	n := &fakeNet{conns: []network.Conn{fake(PeerID(device(1)), network.DirInbound, 0)}}
	tr := newTracker(n, slog.New(slog.DiscardHandler))
	defer tr.close()
	if ev := <-tr.out; !ev.Up || !ev.Inbound || ev.Device != device(1) {
		t.Fatalf("event %+v", ev)
	}
}

// However connections come and go and however slowly events are read, Up and Down
// alternate for each device, the last one says what is true, and the tracker
// remembers nobody who is gone.
func TestEventsAlternateAndEndTrue(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	tr := newTracker(&fakeNet{}, slog.New(slog.DiscardHandler))
	const devices = 5
	open := make([][]*fakeConn, devices)
	up := make([]bool, devices)
	read := func(ev PeerEvent) {
		i := int(ev.Device[0])
		if ev.Up == up[i] {
			t.Fatalf("device %d: up=%v twice", i, ev.Up)
		}
		up[i] = ev.Up
	}
	change := func(i int) {
		if len(open[i]) > 0 && rng.IntN(2) == 0 {
			c := open[i][0]
			open[i] = open[i][1:]
			tr.disconnected(c)
			tr.disconnected(c) // twice does no harm
			return
		}
		c := fake(PeerID(device(byte(i))), network.DirOutbound, 0)
		open[i] = append(open[i], c)
		tr.connected(c)
	}
	for range 10000 {
		change(rng.IntN(devices))
		select {
		case ev := <-tr.out:
			read(ev)
		default:
		}
	}
	for i := range open {
		for len(open[i]) > 0 {
			tr.disconnected(open[i][0])
			open[i] = open[i][1:]
		}
	}
	// A last device marks the end: events come in the order devices got news.
	last := fake(PeerID(device(devices)), network.DirInbound, 0)
	tr.connected(last)
	for ev := range tr.out {
		if ev.Device == device(devices) {
			break
		}
		read(ev)
	}
	for i, u := range up {
		if u {
			t.Errorf("device %d is gone and was last reported up", i)
		}
	}
	tr.disconnected(last)
	if ev := <-tr.out; ev.Up {
		t.Errorf("event %+v", ev)
	}
	tr.close()
	if _, ok := <-tr.out; ok {
		t.Error("an event after close")
	}
	if n := len(tr.peers); n > 1 { // the last one may be remembered until the next look
		t.Errorf("%d peers are remembered", n)
	}
}

func TestDuplicatesAreClosedByWhoeverDialledThem(t *testing.T) {
	low, high := peer.ID("a"), peer.ID("b")
	const in, out = network.DirInbound, network.DirOutbound
	type conn struct {
		dir network.Direction
		age time.Duration
	}
	tests := []struct {
		name    string
		self    peer.ID
		conns   []conn
		victims []int
	}{
		{"one", high, []conn{{out, 0}}, nil},
		{"crossed, we are high", high, []conn{{out, 0}, {in, 0}}, []int{0}},
		{"crossed, we are low", low, []conn{{out, 0}, {in, 0}}, nil},
		{"two of ours", low, []conn{{out, 2}, {out, 1}}, []int{0}},
		{"two of ours, we are high", high, []conn{{out, 1}, {out, 2}}, []int{1}},
		{"two of theirs: they must", low, []conn{{in, 2}, {in, 1}}, nil},
		{"three", high, []conn{{out, 2}, {in, 1}, {out, 0}}, []int{0, 2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			other := low
			if tt.self == low {
				other = high
			}
			conns := make(map[network.Conn]struct{})
			index := make(map[network.Conn]int)
			for i, c := range tt.conns {
				f := fake(other, c.dir, c.age*time.Second)
				conns[f] = struct{}{}
				index[f] = i
			}
			got := make(map[int]bool)
			for _, c := range duplicates(tt.self, other, conns) {
				got[index[c]] = true
			}
			if len(got) != len(tt.victims) {
				t.Fatalf("victims %v, want %v", got, tt.victims)
			}
			for _, i := range tt.victims {
				if !got[i] {
					t.Errorf("victims %v, want %v", got, tt.victims)
				}
			}
		})
	}
}
