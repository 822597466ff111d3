package discovery

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// An Interface is a network interface together with its addresses at one moment.
type Interface struct {
	Index int
	Name  string
	Flags net.Flags
	// Prefixes are the interface's own addresses with the length of their network, in canonical order.
	Prefixes []netip.Prefix
}

// Net returns the interface as package net describes it.
func (i Interface) Net() net.Interface {
	return net.Interface{Index: i.Index, Name: i.Name, Flags: i.Flags}
}

// HasIPv4 reports whether the interface has an IPv4 address that others can reach.
func (i Interface) HasIPv4() bool {
	return slices.ContainsFunc(i.Prefixes, func(p netip.Prefix) bool { return p.Addr().Is4() && !p.Addr().IsLoopback() })
}

// HasIPv6 reports whether the interface has an IPv6 address, link-local or wider.
func (i Interface) HasIPv6() bool {
	return slices.ContainsFunc(i.Prefixes, func(p netip.Prefix) bool { return p.Addr().Is6() && !p.Addr().IsLoopback() })
}

// SystemInterfaces returns all interfaces of this machine. An interface that vanishes while it is read is left out.
func SystemInterfaces() ([]Interface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("cannot list network interfaces: %w", err)
	}
	out := make([]Interface, 0, len(all))
	for _, ni := range all {
		addrs, err := ni.Addrs()
		if err != nil {
			continue // it went away between the two calls
		}
		it := Interface{Index: ni.Index, Name: ni.Name, Flags: ni.Flags}
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok {
				if p, ok := prefixOf(n); ok {
					it.Prefixes = append(it.Prefixes, p)
				}
			}
		}
		slices.SortFunc(it.Prefixes, comparePrefix)
		out = append(out, it)
	}
	return out, nil
}

func prefixOf(n *net.IPNet) (netip.Prefix, bool) {
	a, ok := netip.AddrFromSlice(n.IP)
	if !ok {
		return netip.Prefix{}, false
	}
	ones, bits := n.Mask.Size()
	a = a.Unmap()
	if bits == 128 && a.Is4() {
		ones -= 96
	}
	p := netip.PrefixFrom(a, ones)
	return p, p.IsValid()
}

func comparePrefix(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}

// Names of interfaces that rarely lead to other people: what containers, virtual machines and VPNs make. On a lab
// machine or a bridging laptop one of them can be the only network there is, so they are a second choice, not excluded.
var virtualPrefixes = []string{
	"docker", "br-", "veth", "virbr", "vmnet", "vboxnet", "vEthernet", "lxc", "lxdbr", "cni", "flannel", "cali", "podman",
	"zt", "tailscale", "tun", "tap", "wg", "ham", "nordlynx", "bridge1",
}

// Names of interfaces that are no network between machines in the usual sense: Apple's peer-to-peer radio links and
// tunnels. They are used only when pinned.
var neverPrefixes = []string{"awdl", "llw", "utun", "anpi", "ipsec", "gif", "stf"}

func hasPrefix(name string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

// A Selection is the person's choice of interfaces. The zero value is the default choice.
type Selection struct {
	// Pinned are the names to use, and no others. Empty means: choose.
	Pinned []string
	// Excluded are names that are never used.
	Excluded []string
}

// ParseSelection reads the values of repeated --interface options: NAME pins an interface, -NAME excludes one.
func ParseSelection(args []string) (Selection, error) {
	var s Selection
	for _, arg := range args {
		name, excluded := strings.CutPrefix(arg, "-")
		if strings.TrimSpace(name) == "" {
			return Selection{}, fmt.Errorf("%q names no network interface; write --interface NAME to use one, --interface -NAME to leave one out", arg)
		}
		if excluded {
			s.Excluded = append(s.Excluded, name)
		} else {
			s.Pinned = append(s.Pinned, name)
		}
	}
	for _, name := range s.Pinned {
		if slices.Contains(s.Excluded, name) {
			return Selection{}, fmt.Errorf("network interface %q is both chosen and left out; give only one of --interface %s and --interface -%s", name, name, name)
		}
	}
	return s, nil
}

// Usable returns those of all that should carry traffic, by index. The default choice is every interface that is up,
// can multicast, has an address and is a real adapter; if there is none, the virtual ones. A pinned interface only has
// to be up and have an address.
func (s Selection) Usable(all []Interface) []Interface {
	var chosen, virtual []Interface
	for _, it := range all {
		if slices.Contains(s.Excluded, it.Name) || it.Flags&net.FlagUp == 0 || !it.HasIPv4() && !it.HasIPv6() {
			continue
		}
		if len(s.Pinned) > 0 {
			if slices.Contains(s.Pinned, it.Name) {
				chosen = append(chosen, it)
			}
			continue
		}
		switch {
		case it.Flags&net.FlagMulticast == 0, it.Flags&(net.FlagLoopback|net.FlagPointToPoint) != 0, hasPrefix(it.Name, neverPrefixes):
		case hasPrefix(it.Name, virtualPrefixes):
			virtual = append(virtual, it)
		default:
			chosen = append(chosen, it)
		}
	}
	if len(chosen) == 0 {
		chosen = virtual
	}
	slices.SortFunc(chosen, func(a, b Interface) int { return cmp.Compare(a.Index, b.Index) })
	return chosen
}

// Check returns an *UnknownInterfaceError for the first pinned or excluded name that no interface has, else nil. It is
// a warning rather than a failure: the adapter may be plugged in later.
func (s Selection) Check(all []Interface) error {
	have := make([]string, 0, len(all))
	for _, it := range all {
		have = append(have, it.Name)
	}
	for _, name := range slices.Concat(s.Pinned, s.Excluded) {
		if !slices.Contains(have, name) {
			return &UnknownInterfaceError{Name: name, Have: have}
		}
	}
	return nil
}

// An UnknownInterfaceError says that no network interface has the given name now.
type UnknownInterfaceError struct {
	Name string
	Have []string // the names that exist
}

func (e *UnknownInterfaceError) Error() string {
	have := "This machine has none"
	if len(e.Have) > 0 {
		have = "This machine has: " + strings.Join(e.Have, ", ")
	}
	return fmt.Sprintf("no network interface is called %q now. %s. Check the spelling, or plug the adapter in: it will be used when it appears", e.Name, have)
}

// OnLink returns the networks the interfaces are directly connected to, without duplicates. Link-local ones are left
// out: they are the same on every interface and so say nothing.
func OnLink(ifaces []Interface) []netip.Prefix {
	var out []netip.Prefix
	for _, it := range ifaces {
		for _, p := range it.Prefixes {
			if !p.Addr().IsLinkLocalUnicast() && !p.Addr().IsLoopback() && !p.IsSingleIP() {
				out = append(out, p.Masked())
			}
		}
	}
	slices.SortFunc(out, comparePrefix)
	return slices.Compact(out)
}
