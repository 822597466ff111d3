package host

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"earshot/chat"

	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// sharedSpace is what carriers, and overlay networks, number their own hosts
// with (RFC 6598); netip.Addr.IsPrivate does not count it.
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")

// lan answers which addresses belong to the local network. It keeps a picture of
// this machine's interfaces, since some LANs use globally routed addresses.
type lan struct {
	simulated bool
	allowed   func(name string) bool

	mu     sync.Mutex
	taken  time.Time
	owner  map[netip.Addr]string // address -> interface
	onLink []netip.Prefix
}

func newLAN(simulated bool, allowed func(string) bool) *lan {
	l := &lan{simulated: simulated, allowed: allowed}
	l.refresh()
	return l
}

// refresh takes a new picture of the interfaces.
func (l *lan) refresh() {
	if l.simulated {
		return
	}
	owner, onLink := interfaces()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.taken, l.owner, l.onLink = time.Now(), owner, onLink
}

// interfaces reads the addresses of this machine. An interface that cannot be
// read is left out: it may have vanished while we looked.
func interfaces() (owner map[netip.Addr]string, onLink []netip.Prefix) {
	owner = make(map[netip.Addr]string)
	ifaces, err := net.Interfaces()
	if err != nil {
		return owner, nil
	}
	for _, iface := range ifaces {
		addrs, err := iface.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addrs {
			prefix, err := netip.ParsePrefix(a.String())
			if err != nil {
				continue
			}
			owner[prefix.Addr().Unmap()] = iface.Name
			// A prefix wider than any LAN is a tunnel that claims the internet.
			if p := prefix.Masked(); p.Addr().Is4() && p.Bits() >= 16 || p.Addr().Is6() && p.Bits() >= 48 {
				onLink = append(onLink, p)
			}
		}
	}
	return owner, onLink
}

// contains reports whether a peer at the address is on the local network.
func (l *lan) contains(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || sharedSpace.Contains(a) {
		return true
	}
	if !a.IsValid() || a.IsMulticast() || a.IsUnspecified() {
		return false
	}
	l.mu.Lock()
	stale := time.Since(l.taken) > 2*time.Second
	l.mu.Unlock()
	return l.linked(a) || stale && l.relook(a)
}

func (l *lan) relook(a netip.Addr) bool {
	l.refresh()
	return l.linked(a)
}

func (l *lan) linked(a netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.onLink {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// usable reports whether one of our own addresses is on an interface the person
// wants used. One that we do not know is: the picture may be old.
func (l *lan) usable(a netip.Addr) bool {
	if l.allowed == nil || l.simulated || a.IsLoopback() {
		return true
	}
	l.mu.Lock()
	name, ok := l.owner[a.Unmap().WithZone("")]
	l.mu.Unlock()
	return !ok || l.allowed(name)
}

// gone reports whether a was one of our addresses and is no longer.
func (l *lan) gone(a ma.Multiaddr) bool {
	ip, ok := ipOf(a)
	if !ok || l.simulated || ip.IsLoopback() {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ours := l.owner[ip.Unmap().WithZone("")]
	return !ours && len(l.owner) > 0
}

// told filters the addresses that identify tells to peers. Link-local ones are
// left out, for their zone means nothing on another machine, and loopback ones
// wherever there is something better.
func (l *lan) told(addrs []ma.Multiaddr) []ma.Multiaddr {
	var out, loopback []ma.Multiaddr
	for _, a := range addrs {
		ip, ok := ipOf(a)
		switch {
		case !ok || !l.contains(ip) || !l.usable(ip) || ip.Is6() && ip.IsLinkLocalUnicast():
		case ip.IsLoopback():
			loopback = append(loopback, a)
		default:
			out = append(out, a)
		}
	}
	if len(out) == 0 {
		return loopback
	}
	return out
}

// gater keeps connections inside the local network and blocked devices out.
type gater struct {
	lan     *lan
	blocked func(chat.DeviceID) bool
	hidden  func() bool
}

func (g *gater) InterceptPeerDial(p peer.ID) bool { return g.welcome(p) }

func (g *gater) InterceptAddrDial(_ peer.ID, a ma.Multiaddr) bool {
	if _, ok := decodeLinkLocal(a); ok {
		return true
	}
	ip, ok := ipOf(a)
	return ok && g.lan.contains(ip)
}

func (g *gater) InterceptAccept(c network.ConnMultiaddrs) bool {
	if g.hidden != nil && g.hidden() {
		return false
	}
	remote, ok1 := ipOf(c.RemoteMultiaddr())
	local, ok2 := ipOf(c.LocalMultiaddr())
	return ok1 && ok2 && g.lan.contains(remote) && g.lan.usable(local)
}

func (g *gater) InterceptSecured(_ network.Direction, p peer.ID, _ network.ConnMultiaddrs) bool {
	return g.welcome(p)
}

func (g *gater) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }

// welcome refuses peers that no Earshot device can be, and blocked ones.
func (g *gater) welcome(p peer.ID) bool {
	d, ok := DeviceID(p)
	return ok && (g.blocked == nil || !g.blocked(d))
}

// ipOf returns the IP address, with its zone, that a starts with.
func ipOf(a ma.Multiaddr) (netip.Addr, bool) {
	if len(a) == 0 {
		return netip.Addr{}, false
	}
	ip, err := manet.ToIP(a)
	if err != nil {
		return netip.Addr{}, false
	}
	addr, ok := netip.AddrFromSlice(ip)
	if !ok {
		return netip.Addr{}, false
	}
	if zone, err := a.ValueForProtocol(ma.P_IP6ZONE); err == nil {
		return addr.WithZone(zone), true
	}
	return addr.Unmap(), true
}
