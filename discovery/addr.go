package discovery

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	ma "github.com/multiformats/go-multiaddr"
)

// MinPort is the lowest TCP port a stranger can make us dial. Earshot listens on 9327 or on a port the system picks,
// never on a privileged one, so a claim that names one can only be meant for somebody else's service.
const MinPort = 1024

// MaxZones bounds how many interfaces a link-local address without a zone is tried on.
const MaxZones = 4

// A Neighbourhood is what a machine knows about the networks it is on, as far as it decides which addresses a stranger
// may name.
type Neighbourhood struct {
	// OnLink are the networks we are directly connected to.
	OnLink []netip.Prefix
	// Zones are the names of interfaces with IPv6, on which a link-local address may live.
	Zones []string
}

// NeighbourhoodOf derives a Neighbourhood from the usable interfaces.
func NeighbourhoodOf(ifaces []Interface) Neighbourhood {
	n := Neighbourhood{OnLink: OnLink(ifaces)}
	// Interfaces without IPv4 first: there a link-local address is the likeliest to be the only one.
	for _, withIPv4 := range []bool{false, true} {
		for _, it := range ifaces {
			if it.HasIPv6() && it.HasIPv4() == withIPv4 && len(n.Zones) < MaxZones {
				n.Zones = append(n.Zones, it.Name)
			}
		}
	}
	return n
}

// Contains reports whether addr is in one of the networks we are directly connected to.
func (n Neighbourhood) Contains(addr netip.Addr) bool {
	return slices.ContainsFunc(n.OnLink, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// Allows reports whether a stranger may make us dial addr: private (RFC 1918), unique local (RFC 4193) and link-local
// addresses always, others only in a network we are directly connected to. Everything else would let anyone on the LAN
// point all its nodes at a host on the internet.
func (n Neighbourhood) Allows(addr netip.Addr) bool {
	addr = addr.Unmap()
	switch {
	case !addr.IsValid(), addr.IsUnspecified(), addr.IsLoopback(), addr.IsMulticast():
		return false
	case addr.Is4() && addr.As4()[0] >= 240: // reserved, and the limited broadcast address
		return false
	case addr.IsPrivate(), addr.IsLinkLocalUnicast():
		return true
	default:
		return n.Contains(addr)
	}
}

// Multiaddrs returns the TCP addresses to dial for the given IP addresses, best first, at most limit of them: those
// of our own networks, then other private ones, then link-local ones; IPv4 before IPv6. Addresses that Allows
// refuses and duplicates are left out. An IPv6 link-local address without a zone stands for one candidate per zone.
func (n Neighbourhood) Multiaddrs(ips []netip.Addr, port uint16, limit int) []ma.Multiaddr {
	if port < MinPort {
		return nil
	}
	var ok []netip.Addr
	known := make(map[netip.Addr]bool, len(ips))
	for _, ip := range ips {
		ip = ip.Unmap()
		if known[ip] || !n.Allows(ip) {
			continue
		}
		known[ip] = true
		if !ip.Is6() || !ip.IsLinkLocalUnicast() || ip.Zone() != "" {
			ok = append(ok, ip)
			continue
		}
		for _, zone := range n.Zones {
			ok = append(ok, ip.WithZone(zone))
		}
	}
	slices.SortStableFunc(ok, func(a, b netip.Addr) int {
		return cmp.Or(cmp.Compare(n.rank(a), n.rank(b)), a.WithZone("").Compare(b.WithZone("")))
	})
	var out []ma.Multiaddr
	for _, ip := range ok {
		if len(out) == limit {
			break
		}
		if m, err := tcpMultiaddr(ip, port); err == nil { // an interface name may hold what a multiaddr cannot
			out = append(out, m)
		}
	}
	return out
}

// rank orders addresses by how likely a dial is to succeed; lower is better.
func (n Neighbourhood) rank(a netip.Addr) int {
	r := 2
	switch {
	case a.IsLinkLocalUnicast():
		r = 4
	case n.Contains(a):
		r = 0
	}
	if a.Is6() {
		r++
	}
	return r
}

func tcpMultiaddr(ip netip.Addr, port uint16) (ma.Multiaddr, error) {
	switch {
	case ip.Is4():
		return ma.NewMultiaddr(fmt.Sprintf("/ip4/%s/tcp/%d", ip, port))
	case ip.Zone() != "":
		return ma.NewMultiaddr(fmt.Sprintf("/ip6zone/%s/ip6/%s/tcp/%d", ip.Zone(), ip.WithZone(""), port))
	default:
		return ma.NewMultiaddr(fmt.Sprintf("/ip6/%s/tcp/%d", ip, port))
	}
}
