package host

import (
	"context"
	"net"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/transport"
	manet "github.com/multiformats/go-multiaddr/net"
)

// How a neighbour that has vanished is noticed. The kernel asks for it: a probe and
// its answer take 132 bytes, where yamux's pings took three times as much and woke
// two programs. Who called probes, and so does who was called unless it can tell that
// it is being probed (hearing.go). yamux asks only now and then, for a program that
// hangs on a machine that lives.
const (
	// probeAfter, probeEvery and probes let a neighbour whose cable was pulled be
	// noticed 10 s after its last byte by who called, and 12 s after it by who was called
	// or has said something since. Ten nodes that say nothing then send 85 B/s each for it.
	probeAfter = 7 * time.Second
	probeEvery = time.Second
	probes     = 3
	// unanswered bounds how long sent bytes may go unacknowledged: while there
	// are any, the kernel does not probe. Linux also gives up after it whatever
	// probes says, so it must be longer than all probes but the last: one that is
	// lost on a bad Wi-Fi must not cost the connection.
	unanswered = probeAfter + (probes-1)*probeEvery + probeEvery/2
)

// probing makes connections notice a vanished neighbour. It takes the upgrader's
// place because that is where go-libp2p lets go of the socket, after it has set
// options of its own.
type probing struct{ transport.Upgrader }

func (p probing) Upgrade(ctx context.Context, t transport.Transport, c manet.Conn, dir network.Direction, id peer.ID, scope network.ConnManagementScope) (transport.CapableConn, error) {
	probe(c)
	return p.Upgrader.Upgrade(ctx, t, listenTo(c, true), dir, id, scope)
}

func (p probing) UpgradeGatedMaListener(t transport.Transport, l transport.GatedMaListener) transport.Listener {
	return p.Upgrader.UpgradeGatedMaListener(t, probingListener{l})
}

type probingListener struct{ transport.GatedMaListener }

func (l probingListener) Accept() (manet.Conn, network.ConnManagementScope, error) {
	c, scope, err := l.GatedMaListener.Accept()
	if err == nil {
		probe(c)
		c = listenTo(c, false)
	}
	return c, scope, err
}

// probe sets what the platform knows of. What it does not is left to yamux.
func probe(c manet.Conn) {
	if k, ok := c.(interface {
		SetKeepAliveConfig(net.KeepAliveConfig) error
	}); ok {
		_ = k.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: probeAfter, Interval: probeEvery, Count: probes})
	}
	if s, ok := c.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { _ = setUnanswered(fd, unanswered) })
		}
	}
}
