package lab_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"earshot/node/lab"
)

const service = "_earshot._udp.local."

// mdnsSocket opens a socket on the host that speaks and hears multicast DNS on
// eth0 as a full participant does, from port 5353.
func mdnsSocket(t *testing.T, h *lab.Host, network, group string) (*net.UDPConn, *net.UDPAddr) {
	t.Helper()
	to, err := net.ResolveUDPAddr(network, group)
	if err != nil {
		t.Fatal(err)
	}
	var c *net.UDPConn
	err = h.Do(func() error {
		dev, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		if c, err = net.ListenMulticastUDP(network, dev, to); err != nil {
			return err
		}
		if network == "udp4" {
			return ipv4.NewPacketConn(c).SetMulticastInterface(dev)
		}
		return ipv6.NewPacketConn(c).SetMulticastInterface(dev)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, to
}

// records asks for everything about the service, again after each second, until
// enough says that what was heard is enough.
func records(t *testing.T, c *net.UDPConn, to *net.UDPAddr, enough func([]dns.RR) bool) []dns.RR {
	t.Helper()
	var query dns.Msg
	query.SetQuestion(service, dns.TypePTR)
	query.Id, query.RecursionDesired = 0, false
	packed, err := query.Pack()
	if err != nil {
		t.Fatal(err)
	}
	var heard []dns.RR
	buf := make([]byte, 9000)
	for range 10 {
		if _, err := c.WriteTo(packed, to); err != nil {
			t.Fatal(err)
		}
		if err := c.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		for {
			n, _, err := c.ReadFromUDP(buf)
			if err != nil {
				break // the second is over: ask again
			}
			var answer dns.Msg
			if err := answer.Unpack(buf[:n]); err != nil {
				t.Fatalf("a message that is not DNS: %v", err)
			}
			if !answer.Response {
				continue
			}
			if n > 1200 {
				t.Errorf("an answer of %d bytes; more than 1200 may not get through", n)
			}
			heard = append(append(heard, answer.Answer...), answer.Extra...)
			if enough(heard) {
				return heard
			}
		}
	}
	t.Fatalf("not enough was answered within 10 s: %v", heard)
	return nil
}

func TestAnIndependentMDNSClientSeesUs(t *testing.T) {
	w := newWorld(t)
	ann := w.station("ann", lab.Dual)
	bob := w.station("bob", lab.Dual)
	observer := w.bare("observer")
	w.attach(observer, w.lan, "eth0", lab.Dual)

	for _, over := range []struct{ network, group string }{{"udp4", "224.0.0.251:5353"}, {"udp6", "[ff02::fb]:5353"}} {
		t.Run("by hand over "+over.network, func(t *testing.T) {
			c, to := mdnsSocket(t, observer, over.network, over.group)
			both := func(rrs []dns.RR) bool { return len(ports(rrs)) == 2 }
			heard := records(t, c, to, both)
			want := []int{ann.port, bob.port}
			got := ports(heard)
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("announced ports %v, want %v", got, want)
			}
			checkRecords(t, heard)
		})
	}
	t.Run("avahi-browse", func(t *testing.T) {
		for _, tool := range []string{"avahi-daemon", "avahi-browse", "dbus-daemon", "unshare"} {
			if _, err := exec.LookPath(tool); err != nil {
				if os.Getenv("CI") != "" {
					t.Fatal(err)
				}
				t.Skip(err)
			}
		}
		// Avahi gives its files to a user of its own, which a user namespace with
		// a single user does not have; nothing can be installed to change that.
		if err := os.Chown(t.TempDir(), 1, 1); err != nil {
			t.Skip("Avahi needs more than one user:", err)
		}
		browse(t, observer, ann, bob)
	})
}

// ports are those of the service's instances that have an address, too.
func ports(rrs []dns.RR) []int {
	var out []int
	seen := map[string]bool{}
	for _, rr := range rrs {
		srv, ok := rr.(*dns.SRV)
		if !ok || !strings.HasSuffix(srv.Hdr.Name, "."+service) || seen[srv.Hdr.Name] {
			continue
		}
		located := slices.ContainsFunc(rrs, func(rr dns.RR) bool {
			kind := rr.Header().Rrtype
			return rr.Header().Name == srv.Target && (kind == dns.TypeA || kind == dns.TypeAAAA)
		})
		if located {
			seen[srv.Hdr.Name] = true
			out = append(out, int(srv.Port))
		}
	}
	return out
}

var (
	instanceName = regexp.MustCompile(`^[a-z0-9]{32}$`)
	peerID       = regexp.MustCompile(`^p=12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$`)
)

// checkRecords checks that records say what is documented, and nothing about the
// person or the machine.
func checkRecords(t *testing.T, rrs []dns.RR) {
	t.Helper()
	for _, rr := range rrs {
		for _, telling := range []string{"ann", "bob", "root"} { // host names and the user's name
			if slices.Contains(dns.SplitDomainName(rr.Header().Name), telling) {
				t.Errorf("a record tells a name: %v", rr)
			}
		}
		switch rr := rr.(type) {
		case *dns.PTR:
			if rr.Hdr.Name == service && !instanceName.MatchString(dns.SplitDomainName(rr.Ptr)[0]) {
				t.Errorf("an instance whose name is not 32 random letters and digits: %v", rr)
			}
		case *dns.TXT:
			slices.Sort(rr.Txt)
			if len(rr.Txt) != 2 || !peerID.MatchString(rr.Txt[0]) || rr.Txt[1] != "v=1" {
				t.Errorf("a TXT record with more or less than the peer id and the version: %v", rr)
			}
		case *dns.A:
			if !strings.HasPrefix(rr.A.String(), "10.77.") {
				t.Errorf("an address that is not on the LAN: %v", rr)
			}
		}
	}
}

// dbusConfig is a message bus that needs no user of its own and allows all.
const dbusConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>
  </policy>
</busconfig>
`

// browse runs Avahi on the observer, in a mount namespace so that it meets no
// other Avahi or message bus, and looks for the service.
func browse(t *testing.T, observer *lab.Host, want ...*station) {
	t.Helper()
	config := observer.Dir() + "/dbus.conf"
	if err := os.WriteFile(config, []byte(dbusConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	const script = `
		mount -t tmpfs tmpfs /run && mkdir -p /run/dbus /run/avahi-daemon || exit 1
		dbus-daemon --config-file="$0" --nofork --nopidfile &
		until [ -S /run/dbus/system_bus_socket ]; do sleep 0.05; done
		avahi-daemon --no-drop-root --no-rlimits --no-chroot &
		until avahi-browse --version >/dev/null && [ -S /run/avahi-daemon/socket ]; do sleep 0.05; done
		exec avahi-browse --parsable --resolve --no-db-lookup _earshot._udp
	`
	p, err := observer.Start(t.Context(), lab.Command{
		Path: "unshare", Args: []string{"--mount", "sh", "-c", script, config},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	ctx := within(t, 15*time.Second)
	for _, s := range want {
		// =;eth0;IPv4;<instance>;_earshot._udp;local;<host>;<address>;<port>;<text>
		_, err := p.Await(ctx, func(line string) bool {
			field := strings.Split(line, ";")
			return len(field) > 9 && field[0] == "=" && field[8] == fmt.Sprint(s.port) &&
				field[7] == s.nic.Addrs()[0].String() && strings.Contains(field[9], `"v=1"`)
		})
		if err != nil {
			t.Fatalf("avahi-browse does not see %s: %v", s.name, err)
		}
	}
}
