package mdns

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/grandcat/zeroconf"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"earshot/discovery"
)

const (
	// version is the value of the TXT key v. It changes only when devices could no longer talk to each other at all.
	version = "1"
	// instanceLen is the length of an instance name in bytes.
	instanceLen = 32
	// maxAddrs is how many of the IP addresses in one record are looked at, and how many a sighting has at most. A
	// machine announces the addresses of one interface; 16 leaves room for IPv6 privacy addresses.
	maxAddrs = 16
	// maxTXT is how many strings of a TXT record are looked at. We send 2.
	maxTXT = 16
	// maxPeerID bounds the text form of a peer id, in bytes; an Ed25519 one has 52.
	maxPeerID = 64
	// absurdAddrs is a number of addresses in one record that no honest machine has. Whoever sends it wants our memory.
	absurdAddrs = 256
)

// Reasons why a record is not a sighting. They are counted, not shown.
var (
	errOwn      = errors.New("our own record")
	errInstance = errors.New("instance name is not 32 characters of a-z and 0-9")
	errVersion  = errors.New("TXT has no v=" + version)
	errPeerID   = errors.New("TXT has no p= with an Ed25519 peer id in base58")
	errAddrs    = errors.New("no TCP address that a stranger may name")
)

// encodeTXT returns the TXT strings that announce id: PROTOCOL.md#records.
func encodeTXT(id peer.ID) ([]string, error) {
	if _, err := decodePeerID(id.String()); err != nil {
		return nil, err
	}
	return []string{"v=" + version, "p=" + id.String()}, nil
}

// A record is what one instance says of itself, checked.
type record struct {
	instance string
	peer     peer.ID
	addrs    []ma.Multiaddr
}

// parse turns what zeroconf heard into a record, as PROTOCOL.md#what-is-believed says. Everything in e was chosen by a stranger. self names the instance and
// the peer id that are our own.
func parse(e *zeroconf.ServiceEntry, self record, near discovery.Neighbourhood) (record, error) {
	if !validInstance(e.Instance) {
		return record{}, errInstance
	}
	if e.Instance == self.instance {
		return record{}, errOwn
	}
	txt := e.Text[:min(len(e.Text), maxTXT)]
	if v, _ := lookupTXT(txt, "v"); v != version {
		return record{}, errVersion
	}
	p, _ := lookupTXT(txt, "p")
	id, err := decodePeerID(p)
	if err != nil {
		return record{}, err
	}
	if id == self.peer {
		return record{}, errOwn
	}
	if e.Port < discovery.MinPort || e.Port > 65535 {
		return record{}, errAddrs
	}
	ips := make([]netip.Addr, 0, maxAddrs)
	for _, list := range [][]net.IP{e.AddrIPv4, e.AddrIPv6} {
		// Half of the room for each family, so that neither can crowd the other out.
		for _, raw := range list[:min(len(list), maxAddrs/2)] {
			if ip, ok := netip.AddrFromSlice(raw); ok { // a record without data arrives as a nil IP
				ips = append(ips, ip)
			}
		}
	}
	addrs := near.Multiaddrs(ips, uint16(e.Port), maxAddrs)
	if len(addrs) == 0 {
		return record{}, errAddrs
	}
	return record{instance: e.Instance, peer: id, addrs: addrs}, nil
}

func validInstance(s string) bool {
	return len(s) == instanceLen && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
}

// lookupTXT returns the value of the first string "key=value". Keys are compared without regard to case (RFC 6763,
// section 6.4); strings of other forms belong to the future and are skipped.
func lookupTXT(txt []string, key string) (string, bool) {
	for _, s := range txt {
		if k, v, ok := strings.Cut(s, "="); ok && strings.EqualFold(k, key) {
			return v, true
		}
	}
	return "", false
}

// decodePeerID reads the one accepted text form of a peer id: base58 of an Ed25519 public key.
func decodePeerID(s string) (peer.ID, error) {
	if len(s) > maxPeerID {
		return "", errPeerID
	}
	id, err := peer.Decode(s)
	if err != nil || id.String() != s {
		return "", errPeerID
	}
	key, err := id.ExtractPublicKey()
	if err != nil {
		return "", fmt.Errorf("%w: %w", errPeerID, err)
	}
	if key.Type() != crypto.Ed25519 {
		return "", errPeerID
	}
	return id, nil
}

func sameAddrs(a, b []ma.Multiaddr) bool { return slices.EqualFunc(a, b, ma.Multiaddr.Equal) }
