package mdns

import (
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/grandcat/zeroconf"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-multiaddr/net"

	"earshot/discovery"
)

// testPeer returns a fixed Ed25519 peer id for each seed.
func testPeer(seed byte) peer.ID {
	_, pub, err := crypto.GenerateEd25519Key(strings.NewReader(strings.Repeat(string(rune('a'+seed)), 64)))
	if err != nil {
		panic(err)
	}
	id, err := peer.IDFromPublicKey(pub)
	if err != nil {
		panic(err)
	}
	return id
}

var (
	testInstance = strings.Repeat("a1", 16)
	testSelf     = record{instance: strings.Repeat("me", 16), peer: testPeer(0)}
	testNear     = discovery.Neighbourhood{OnLink: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}, Zones: []string{"eth0", "wlan0"}}
)

func entry(change func(*zeroconf.ServiceEntry)) *zeroconf.ServiceEntry {
	e := zeroconf.NewServiceEntry(testInstance, DefaultService, domain)
	e.Port = 9327
	e.Text = []string{"v=1", "p=" + testPeer(1).String()}
	e.AddrIPv4 = []net.IP{net.IPv4(10, 0, 0, 1)}
	if change != nil {
		change(e)
	}
	return e
}

func TestParse(t *testing.T) {
	type E = zeroconf.ServiceEntry
	rsa := "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"
	for _, c := range []struct {
		what   string
		change func(*E)
		want   error
	}{
		{"as announced", nil, nil},
		{"fields of the future", func(e *E) { e.Text = append([]string{"x", "=", "z=1", ""}, e.Text...) }, nil},
		{"keys in upper case", func(e *E) { e.Text = []string{"V=1", "P=" + testPeer(1).String()} }, nil},
		{"the first of two values counts", func(e *E) { e.Text = append(e.Text, "v=2", "p=x") }, nil},
		{"our own instance", func(e *E) { e.Instance = testSelf.instance }, errOwn},
		{"our own peer id", func(e *E) { e.Text[1] = "p=" + testPeer(0).String() }, errOwn},
		{"short instance", func(e *E) { e.Instance = "abc" }, errInstance},
		{"escaped instance", func(e *E) { e.Instance = `\` + testInstance[1:] }, errInstance},
		{"upper-case instance", func(e *E) { e.Instance = strings.ToUpper(testInstance) }, errInstance},
		{"no version", func(e *E) { e.Text = e.Text[1:] }, errVersion},
		{"other version", func(e *E) { e.Text[0] = "v=2" }, errVersion},
		{"no text", func(e *E) { e.Text = nil }, errVersion},
		{"no peer id", func(e *E) { e.Text = e.Text[:1] }, errPeerID},
		{"text after too many strings", func(e *E) { e.Text = append(make([]string, maxTXT), e.Text...) }, errVersion},
		{"garbage peer id", func(e *E) { e.Text[1] = "p=12D3KooWgarbage" }, errPeerID},
		{"peer id that is not Ed25519", func(e *E) { e.Text[1] = "p=" + rsa }, errPeerID},
		{"peer id in another spelling", func(e *E) { e.Text[1] = "p=" + peer.ToCid(testPeer(1)).String() }, errPeerID},
		{"huge peer id", func(e *E) { e.Text[1] = "p=" + strings.Repeat("1", 200) }, errPeerID},
		{"port 0", func(e *E) { e.Port = 0 }, errAddrs},
		{"privileged port", func(e *E) { e.Port = 25 }, errAddrs},
		{"port too large", func(e *E) { e.Port = 70000 }, errAddrs},
		{"no address", func(e *E) { e.AddrIPv4 = nil }, errAddrs},
		{"nil and short addresses", func(e *E) { e.AddrIPv4 = []net.IP{nil, {1, 2}} }, errAddrs},
		{"an address on the internet", func(e *E) { e.AddrIPv4 = []net.IP{net.IPv4(8, 8, 8, 8)} }, errAddrs},
		{"loopback", func(e *E) { e.AddrIPv6 = []net.IP{net.IPv6loopback}; e.AddrIPv4 = nil }, errAddrs},
	} {
		e := entry(c.change)
		got, err := parse(e, testSelf, testNear)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %v", c.what, err, c.want)
		}
		if c.want == nil && (got.peer != testPeer(1) || len(got.addrs) != 1 || got.addrs[0].String() != "/ip4/10.0.0.1/tcp/9327") {
			t.Errorf("%s: %+v", c.what, got)
		}
	}
}

func TestParseBoundsAddressesOfEachFamily(t *testing.T) {
	got, err := parse(entry(func(e *zeroconf.ServiceEntry) {
		for i := range 200 {
			e.AddrIPv4 = append(e.AddrIPv4, net.IPv4(10, 0, 1, byte(i)))
			e.AddrIPv6 = append(e.AddrIPv6, net.IP{0xfd, 15: byte(i)})
		}
	}), testSelf, testNear)
	if err != nil || len(got.addrs) != maxAddrs {
		t.Fatalf("%d addresses, error %v", len(got.addrs), err)
	}
	v6 := 0
	for _, a := range got.addrs {
		if _, err := a.ValueForProtocol(ma.P_IP6); err == nil {
			v6++
		}
	}
	if v6 != maxAddrs/2 {
		t.Errorf("%d of them are IPv6, want half", v6)
	}
}

func TestEncodeTXT(t *testing.T) {
	got, err := encodeTXT(testPeer(1))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0] != "v=1" || got[1] != "p="+testPeer(1).String() {
		t.Errorf("TXT %q", got)
	}
	for _, bad := range []peer.ID{"", "x"} {
		if _, err := encodeTXT(bad); err == nil {
			t.Errorf("peer id %q can be announced", bad)
		}
	}
}

// The bytes of the TXT record's data, as PROTOCOL.md#records shows them.
func TestTXTBytes(t *testing.T) {
	id, err := peer.Decode("12D3KooWCmBiXQRKqTPiQFZ7YKCxvewPEqWaUyGgemowB5mpeUBC")
	if err != nil {
		t.Fatal(err)
	}
	txt, err := encodeTXT(id)
	if err != nil {
		t.Fatal(err)
	}
	var got []byte
	for _, s := range txt {
		got = append(append(got, byte(len(s))), s...)
	}
	const want = "03763d3136703d313244334b6f6f57436d42695851524b71545069" +
		"51465a37594b437876657750457157615579476765" + "6d6f7742356d7065554243"
	if hex.EncodeToString(got) != want {
		t.Errorf("TXT data\n%x, want\n%s", got, want)
	}
}

// FuzzParse feeds what a stranger can put into records. Whatever it is, only a checked sighting comes out.
func FuzzParse(f *testing.F) {
	good := testPeer(1).String()
	f.Add(testInstance, 9327, "v=1\np="+good, []byte{10, 0, 0, 1}, []byte{0xfe, 0x80, 15: 1})
	f.Add(testInstance, 9327, "v=1\np="+good, []byte{8, 8, 8, 8, 192, 168, 1, 1}, []byte{})
	f.Add(testInstance, 1023, "v=1\np="+good, []byte{10, 0, 0, 1}, []byte{})
	f.Add(testInstance, 9327, "p=Qm\nv=1", []byte{127, 0, 0, 1}, []byte{15: 1})
	f.Add(`a\032b`, -1, "v\n=\n\x00", []byte{1}, []byte{10: 0xff, 0xff, 10, 0, 0, 1})
	f.Fuzz(func(t *testing.T, instance string, port int, txt string, v4, v6 []byte) {
		e := zeroconf.NewServiceEntry(instance, DefaultService, domain)
		e.Port, e.Text = port, strings.Split(txt, "\n")
		e.AddrIPv4, e.AddrIPv6 = cut(v4, 4), cut(v6, 16)
		r, err := parse(e, testSelf, testNear)
		if err != nil {
			if r.instance != "" || r.peer != "" || r.addrs != nil {
				t.Fatalf("a refused record came out: %+v", r)
			}
			return
		}
		if !validInstance(r.instance) || r.instance == testSelf.instance || r.peer == testSelf.peer || r.peer.Validate() != nil {
			t.Fatalf("instance %q, peer %q", r.instance, r.peer)
		}
		if len(r.addrs) == 0 || len(r.addrs) > maxAddrs {
			t.Fatalf("%d addresses", len(r.addrs))
		}
		for _, a := range r.addrs {
			na, err := manet.ToNetAddr(a)
			if err != nil {
				t.Fatal(err)
			}
			tcp := na.(*net.TCPAddr)
			addr := tcp.AddrPort().Addr().Unmap()
			if tcp.Port != port || port < discovery.MinPort || !testNear.Allows(addr.WithZone("")) {
				t.Fatalf("a stranger may make us dial %v", tcp)
			}
			if addr.Is6() && addr.IsLinkLocalUnicast() != (addr.Zone() != "") {
				t.Fatalf("%v cannot be dialled", tcp)
			}
		}
	})
}

// cut splits b into addresses of n bytes; a shorter rest stays, as a malformed one.
func cut(b []byte, n int) []net.IP {
	var out []net.IP
	for len(b) > n {
		out, b = append(out, net.IP(b[:n])), b[n:]
	}
	return append(out, net.IP(b))
}
