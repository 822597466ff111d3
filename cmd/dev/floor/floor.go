// Package floor is what Earshot is measured against: programs that do as little
// as bare go-libp2p and bare gossipsub allow, with the libraries' own settings
// except where a comment says why not. It does not know Earshot, and nothing of
// Earshot runs in it.
//
// Every program runs on one host of a laboratory and is told all hosts'
// addresses in advance. It prints a [Stage] as one line of JSON when it listens,
// when it has all its connections, and when it is done.
// It connects to the hosts before it in the list, so they must be started in
// order, each when the one before it listens. Times are read from the one clock
// that all hosts of a laboratory share.
package floor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
)

// port is the TCP port that every program listens on.
const port = 9000

// A Stage is how far a program has come.
type Stage struct {
	Stage  string  `json:"stage"`
	Result *Result `json:"result,omitempty"` // of those that are Done
}

// The stages of every program.
const (
	Listening = "listening"
	Connected = "connected"
	Done      = "done"
)

// Result is what a program measured. Durations are in nanoseconds.
type Result struct {
	Received  int             `json:"received"`             // messages from others
	Began     time.Time       `json:"began,omitzero"`       // when the first was sent by anybody
	Ended     time.Time       `json:"ended,omitzero"`       // when the last was received
	OneWay    []time.Duration `json:"one_way,omitempty"`    // from each message's sending to its receiving
	RoundTrip []time.Duration `json:"round_trip,omitempty"` // from a ping to its answer
}

// newHost makes the bare host number i of hosts, listening on its address: TCP
// with Noise and yamux as Earshot has, everything else by default.
func newHost(hosts []string, i int) (host.Host, error) {
	key, err := keyOf(i)
	if err != nil {
		return nil, err
	}
	return libp2p.New(
		libp2p.Identity(key),
		libp2p.ListenAddrStrings(fmt.Sprintf("/ip4/%s/tcp/%d", hosts[i], port)),
		// Both sides never dial each other here, so port reuse does no harm, but
		// Earshot has it off and the sockets should be alike.
		libp2p.Transport(tcp.NewTCPTransport, tcp.DisableReuseport()),
		libp2p.Security(noise.ID, noise.New),
		// The default one limits connections by address, for the internet.
		libp2p.ResourceManager(&network.NullResourceManager{}),
		libp2p.DisableRelay(),
		libp2p.ForceReachabilityPrivate(),
		libp2p.DisableMetrics(),
	)
}

// keyOf is the key of host i, the same in every process, so that addresses need
// not be exchanged.
func keyOf(i int) (crypto.PrivKey, error) {
	seed := sha256.Sum256(fmt.Appendf(nil, "earshot floor host %d", i))
	key, _, err := crypto.GenerateEd25519Key(bytes.NewReader(seed[:]))
	return key, err
}

// connect dials host i, which must be listening.
func connect(ctx context.Context, h host.Host, hosts []string, i int) (peer.ID, error) {
	key, err := keyOf(i)
	if err != nil {
		return "", err
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return "", err
	}
	addr, err := ma.NewMultiaddr(fmt.Sprintf("/ip4/%s/tcp/%d", hosts[i], port))
	if err != nil {
		return "", err
	}
	if err := h.Connect(ctx, peer.AddrInfo{ID: id, Addrs: []ma.Multiaddr{addr}}); err != nil {
		return "", fmt.Errorf("no connection to %s: %w", addr, err)
	}
	return id, nil
}

// emit prints one stage as a line of JSON.
func emit(w io.Writer, s Stage) error { return json.NewEncoder(w).Encode(s) }
