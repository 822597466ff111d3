package discovery

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

const lan = net.FlagUp | net.FlagMulticast | net.FlagBroadcast

func iface(index int, name string, flags net.Flags, prefixes ...string) Interface {
	it := Interface{Index: index, Name: name, Flags: flags}
	for _, p := range prefixes {
		it.Prefixes = append(it.Prefixes, netip.MustParsePrefix(p))
	}
	return it
}

func names(ifaces []Interface) string {
	var out []string
	for _, it := range ifaces {
		out = append(out, it.Name)
	}
	return strings.Join(out, " ")
}

func TestUsable(t *testing.T) {
	lo := iface(1, "lo", net.FlagUp|net.FlagLoopback, "127.0.0.1/8", "::1/128")
	eth := iface(2, "eth0", lan, "192.168.1.5/24")
	wifi := iface(3, "wlan0", lan, "fe80::1/64")
	docker := iface(4, "docker0", lan, "172.17.0.1/16")
	veth := iface(5, "veth1a2b", lan, "fe80::2/64")
	bridge := iface(6, "br-lab", lan, "10.9.0.1/24")
	down := iface(7, "eth1", lan&^net.FlagUp, "192.168.2.5/24")
	bare := iface(8, "eth2", lan)
	ppp := iface(9, "ppp0", lan|net.FlagPointToPoint, "10.1.1.1/32")
	deaf := iface(10, "dummy0", net.FlagUp, "10.2.2.2/24")
	awdl := iface(11, "awdl0", lan, "fe80::3/64")
	all := []Interface{awdl, lo, wifi, eth, docker, veth, bridge, down, bare, ppp, deaf}
	for _, c := range []struct {
		what string
		args []string
		all  []Interface
		want string
	}{
		{"real adapters, by index", nil, all, "eth0 wlan0"},
		{"virtual ones when there is nothing else", nil, []Interface{lo, docker, veth, bridge, bare, awdl}, "docker0 veth1a2b br-lab"},
		{"virtual ones when the real ones are left out", []string{"-eth0", "-wlan0", "-docker0"}, all, "veth1a2b br-lab"},
		{"pinned", []string{"docker0"}, all, "docker0"},
		{"several pinned, one of which no default would take", []string{"ppp0", "eth0"}, all, "eth0 ppp0"},
		{"pinned but down, without address, or not there", []string{"eth1", "eth2", "eth9"}, all, ""},
		{"left out", []string{"-eth0"}, all, "wlan0"},
		{"nothing", nil, []Interface{lo, bare, awdl}, ""},
	} {
		s, err := ParseSelection(c.args)
		if err != nil {
			t.Fatal(err)
		}
		if got := names(s.Usable(c.all)); got != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}

func TestParseSelectionRefuses(t *testing.T) {
	for _, args := range [][]string{{""}, {"-"}, {" "}, {"eth0", "-eth0"}} {
		if s, err := ParseSelection(args); err == nil {
			t.Errorf("%q was read as %+v", args, s)
		}
	}
}

func TestUnknownInterfaceIsNamed(t *testing.T) {
	all := []Interface{iface(1, "lo", 0), iface(2, "eth0", 0)}
	var unknown *UnknownInterfaceError
	err := Selection{Pinned: []string{"eth0"}, Excluded: []string{"wlan0"}}.Check(all)
	if !errors.As(err, &unknown) || unknown.Name != "wlan0" || !strings.Contains(err.Error(), "lo, eth0") {
		t.Errorf("error %v", err)
	}
	if err := (Selection{Pinned: []string{"eth0"}}).Check(all); err != nil {
		t.Error(err)
	}
}

func TestSystemInterfaces(t *testing.T) {
	all, err := SystemInterfaces()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(it Interface) bool { return it.Flags&net.FlagLoopback != 0 })
	if i < 0 {
		t.Skip("this machine has no loopback interface")
	}
	if len(all[i].Prefixes) > 0 && !all[i].Prefixes[0].Addr().IsLoopback() {
		t.Errorf("loopback has %v", all[i].Prefixes)
	}
}

func TestNeighbourhood(t *testing.T) {
	n := NeighbourhoodOf([]Interface{
		iface(2, "eth0", lan, "192.168.1.5/24", "2001:db8:1::5/64", "fe80::5/64"),
		iface(3, "eth1", lan, "198.51.100.7/25", "10.0.0.1/32"),
		iface(4, "eth2", lan, "fe80::7/64"),
	})
	for addr, want := range map[string]bool{
		"192.168.1.9":          true,
		"172.16.3.4":           true, // private, though not ours
		"169.254.7.7":          true,
		"fd00::1":              true,
		"fe80::1":              true,
		"198.51.100.100":       true, // global, on our network
		"198.51.100.200":       false,
		"2001:db8:1::77":       true,
		"2001:db8:2::77":       false,
		"8.8.8.8":              false,
		"100.64.0.1":           false,
		"127.0.0.1":            false,
		"::1":                  false,
		"0.0.0.0":              false,
		"::":                   false,
		"224.0.0.251":          false,
		"255.255.255.255":      false,
		"ff02::fb":             false,
		"::ffff:127.0.0.1":     false,
		"::ffff:192.168.1.9":   true,
		"::ffff:8.8.8.8":       false,
		"64:ff9b::808:808":     false,
		"fec0::1":              false,
		"2002:c0a8:0101::0001": false,
	} {
		if got := n.Allows(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s allowed: %v, want %v", addr, got, want)
		}
	}
	var ips []netip.Addr
	for _, s := range []string{"fe80::9", "fd00::9", "2001:db8:1::9", "172.16.0.9", "192.168.1.9", "8.8.8.8", "::ffff:192.168.1.9", "fe80::9", "169.254.0.9"} {
		ips = append(ips, netip.MustParseAddr(s))
	}
	var got []string
	for _, m := range n.Multiaddrs(ips, 9327, 16) {
		got = append(got, m.String())
	}
	want := []string{
		"/ip4/192.168.1.9/tcp/9327",
		"/ip6/2001:db8:1::9/tcp/9327",
		"/ip4/172.16.0.9/tcp/9327",
		"/ip6/fd00::9/tcp/9327",
		"/ip4/169.254.0.9/tcp/9327",
		"/ip6zone/eth2/ip6/fe80::9/tcp/9327",
		"/ip6zone/eth0/ip6/fe80::9/tcp/9327",
	}
	if !slices.Equal(got, want) {
		t.Errorf("addresses to dial:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := n.Multiaddrs(ips, 9327, 2); len(got) != 2 {
		t.Errorf("%d addresses, want the limit of 2", len(got))
	}
	if got := n.Multiaddrs(ips, 22, 16); got != nil {
		t.Errorf("a stranger may make us dial port 22: %v", got)
	}
}
