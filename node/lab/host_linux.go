package lab

import (
	"bufio"
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"
)

// A Host is one computer: a network namespace with a host name and a directory.
type Host struct {
	Name string

	lab *Lab
	ns  *netns
	dir string

	mu    sync.Mutex
	nics  int
	procs []*Process
}

// Dir is the host's home directory, what its processes see as HOME.
func (h *Host) Dir() string { return h.dir }

// Do runs f inside the host's network, on a thread of its own: the sockets that
// f itself opens are the host's, and go on being so afterwards. Goroutines that
// f starts are elsewhere.
func (h *Host) Do(f func() error) error { return h.ns.aside(f) }

// Family says which Internet protocols an adapter speaks.
type Family uint8

// The families an adapter may have.
const (
	Dual     Family = iota // an IPv4 address, an IPv6 one, and the link-local IPv6 one
	OnlyIPv4               // an IPv4 address; IPv6 is switched off
	OnlyIPv6               // a unique local and the link-local IPv6 address
)

// A NIC is a network adapter of a host, and the port it is plugged into.
type NIC struct {
	Name string

	host *Host
	lan  *LAN // nil if it leads nowhere
	port string
	mac  string
	ipv6 bool
	addr []netip.Prefix

	mu   sync.Mutex
	wire wire
}

// wire is the state of an adapter and of the cable between it and its LAN.
type wire struct {
	absent    bool // the host has no such adapter
	disabled  bool // it is down
	unplugged bool // the port is off: the adapter has no carrier
	silent    bool // the port forwards nothing, but the adapter has a carrier
	side      int  // which half of a split LAN the port is in
}

// Attach gives the host an adapter called name, plugged into the LAN. It is up
// and has its addresses when Attach returns.
func (h *Host) Attach(lan *LAN, name string, family Family) (*NIC, error) {
	n := &NIC{Name: name, host: h, lan: lan, port: h.lab.nextPort(), ipv6: family != OnlyIPv4}
	lan.mu.Lock()
	if len(lan.nics) == maxNICs {
		lan.mu.Unlock()
		return nil, fmt.Errorf("a LAN has at most %d adapters", maxNICs)
	}
	lan.nics = append(lan.nics, n)
	number := byte(len(lan.nics))
	lan.mu.Unlock()

	n.mac = fmt.Sprintf("02:77:00:00:%02x:%02x", lan.index, number)
	if family != OnlyIPv6 {
		a := lan.Prefix4().Addr().As4()
		a[3] = number
		n.addr = append(n.addr, netip.PrefixFrom(netip.AddrFrom4(a), 24))
	}
	if family != OnlyIPv4 {
		a := lan.Prefix6().Addr().As16()
		a[15] = number
		n.addr = append(n.addr, netip.PrefixFrom(netip.AddrFrom16(a), 64))
	}
	return n, n.Create()
}

// AttachNowhere gives the host an adapter that is up, has the address and can
// multicast, but on which nobody ever answers: what the adapters of containers,
// virtual machines and forgotten cables look like to a program.
func (h *Host) AttachNowhere(name string, address netip.Prefix) (*NIC, error) {
	h.mu.Lock()
	h.nics++
	number := h.nics
	h.mu.Unlock()
	n := &NIC{
		Name: name, host: h, port: h.lab.nextPort(), ipv6: true,
		addr: []netip.Prefix{address},
		mac:  fmt.Sprintf("02:77:00:01:00:%02x", number),
	}
	return n, n.Create()
}

// Create makes the adapter again after Remove, with the name and the addresses
// it had. The operating system takes it for a new one.
func (n *NIC) Create() error {
	return n.update(func(w *wire) error {
		err := n.host.lab.core.ip([]string{fmt.Sprintf(
			"link add %s type veth peer name %s address %s netns /proc/self/fd/3", n.port, n.Name, n.mac)}, n.host.ns.file)
		if err != nil {
			return err
		}
		if !n.ipv6 {
			err := n.host.ns.set("ipv6/conf/"+n.Name+"/disable_ipv6", "1")
			if err != nil && !os.IsNotExist(err) {
				return err
			}
		}
		w.absent, w.disabled = false, false
		return n.raise()
	})
}

// Remove takes the adapter out of the host, as when a USB adapter is pulled.
func (n *NIC) Remove() error {
	return n.update(func(w *wire) error {
		w.absent = true
		return n.host.ns.ip([]string{"link del " + n.Name})
	})
}

// Disable takes the adapter down on the host, as its administrator would. The
// operating system forgets its IPv6 addresses and all its routes.
func (n *NIC) Disable() error {
	return n.update(func(w *wire) error {
		w.disabled = true
		return n.host.ns.ip([]string{"link set " + n.Name + " down"})
	})
}

// Enable ends Disable and gives the adapter its addresses back.
func (n *NIC) Enable() error {
	return n.update(func(w *wire) error {
		w.disabled = false
		return n.raise()
	})
}

// raise takes the adapter up on the host, with its addresses.
func (n *NIC) raise() error {
	lines := []string{"link set " + n.Name + " up"}
	for _, a := range n.addr {
		line := fmt.Sprintf("addr replace %s dev %s", a, n.Name)
		if a.Addr().Is4() {
			line += " broadcast +"
		}
		lines = append(lines, line)
	}
	return n.host.ns.ip(lines)
}

// Unplug pulls the cable out of the switch: the adapter loses its carrier but
// keeps its addresses.
func (n *NIC) Unplug() error {
	return n.update(func(w *wire) error { w.unplugged = true; return nil })
}

// Silence makes the network swallow every frame from and to the adapter while
// its carrier stays, as when a cable is pulled further away. Nothing tells the
// host.
func (n *NIC) Silence() error {
	return n.update(func(w *wire) error { w.silent = true; return nil })
}

// Plug ends Unplug and Silence.
func (n *NIC) Plug() error {
	return n.update(func(w *wire) error { w.unplugged, w.silent = false, false; return nil })
}

// update makes a change to the adapter, makes its port what the wire's state
// then says, and waits until the kernel has followed.
func (n *NIC) update(change func(*wire) error) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	err := change(&n.wire)
	if err == nil && !n.wire.absent {
		var lines []string
		switch {
		case n.lan == nil:
		case n.wire.silent:
			lines = append(lines, "link set "+n.port+" nomaster")
		default:
			lines = append(lines, "link set "+n.port+" master "+n.lan.bridges[n.wire.side])
		}
		if n.wire.unplugged {
			lines = append(lines, "link set "+n.port+" down")
		} else {
			lines = append(lines, "link set "+n.port+" up")
		}
		err = n.host.lab.core.ip(lines)
		if err == nil {
			err = n.settle()
		}
	}
	if err != nil {
		return fmt.Errorf("adapter %s of host %s: %w", n.Name, n.host.Name, err)
	}
	return nil
}

// settle waits for what the kernel does in its own time, much later when the
// machine is busy: carriers come and go, the bridge starts to forward, and the
// adapter gets its link-local address.
func (n *NIC) settle() error {
	const patience = 5 * time.Second
	carrier := !n.wire.disabled && !n.wire.unplugged
	forwards := carrier && !n.wire.silent && n.lan != nil
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		adapter, err := n.host.ns.state(n.Name)
		if err != nil {
			return err
		}
		port, err := n.host.lab.core.state(n.port)
		if err != nil {
			return err
		}
		located := !carrier || !n.ipv6 || adapter.located()
		if (adapter.Operstate == "UP") == carrier && located && (port.bridgePort() == "forwarding") == forwards {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("after %v it is %+v, and its port %+v", patience, adapter, port)
		}
	}
}

// Limit slows the adapter down to so many bits a second in each direction, with
// a queue of a tenth of a second before frames are dropped. Zero ends the limit.
func (n *NIC) Limit(bitsPerSecond int) error {
	set := func(ns *netns, dev string) error {
		if bitsPerSecond == 0 {
			return ns.tc("qdisc", "del", "dev", dev, "root")
		}
		// The bucket holds 10 ms of the rate, and never less than a few frames.
		burst := max(bitsPerSecond/8/100, 16*1024)
		return ns.tc("qdisc", "replace", "dev", dev, "root", "tbf",
			"rate", fmt.Sprintf("%dbit", bitsPerSecond), "burst", fmt.Sprint(burst), "latency", "100ms")
	}
	if err := set(n.host.ns, n.Name); err != nil {
		return err
	}
	return set(n.host.lab.core, n.port)
}

// Addrs are the addresses the adapter was given, without the link-local one.
func (n *NIC) Addrs() []netip.Addr {
	addrs := make([]netip.Addr, 0, len(n.addr))
	for _, a := range n.addr {
		addrs = append(addrs, a.Addr())
	}
	return addrs
}

// Counters are what an interface has sent and received since it was made, with
// Ethernet headers.
type Counters struct {
	RxBytes, RxPackets uint64
	TxBytes, TxPackets uint64
}

// Sub is what was counted between earlier and c.
func (c Counters) Sub(earlier Counters) Counters {
	return Counters{
		RxBytes: c.RxBytes - earlier.RxBytes, RxPackets: c.RxPackets - earlier.RxPackets,
		TxBytes: c.TxBytes - earlier.TxBytes, TxPackets: c.TxPackets - earlier.TxPackets,
	}
}

// Counters reads the adapter's counters.
func (n *NIC) Counters() (Counters, error) {
	var table []byte
	err := n.host.ns.do(func() (err error) {
		table, err = os.ReadFile("/proc/thread-self/net/dev")
		return err
	})
	if err != nil {
		return Counters{}, err
	}
	return parseCounters(table, n.Name)
}

// parseCounters finds one interface in the kernel's table of all of them: eight
// columns of what was received, eight of what was sent.
func parseCounters(table []byte, name string) (Counters, error) {
	for lines := bufio.NewScanner(bytes.NewReader(table)); lines.Scan(); {
		dev, columns, ok := strings.Cut(lines.Text(), ":")
		if !ok || strings.TrimSpace(dev) != name {
			continue
		}
		var c Counters
		var skip uint64
		_, err := fmt.Sscan(columns, &c.RxBytes, &c.RxPackets, &skip, &skip, &skip, &skip, &skip, &skip,
			&c.TxBytes, &c.TxPackets)
		return c, err
	}
	return Counters{}, fmt.Errorf("the host has no interface %s", name)
}
