// Package mdns finds devices on the local link by multicast DNS service discovery, and does not know whether what it
// hears is true, nor who the devices belong to.
//
// It announces one random instance name, a port and a libp2p peer id, and nothing about a person. The protocol is in
// discovery/PROTOCOL.md. The work on the wire is done by grandcat/zeroconf, whose defects shape this package:
//
//   - a zeroconf server or resolver never notices that its interfaces changed, so both live for one generation, that
//     is until the set of interfaces or one of their addresses changes;
//   - a resolver reports an instance once and never its loss, so it lives for one window, and our own table decides
//     what is new, changed or lost;
//   - a resolver remembers all it ever heard, so a window ends early when it hears more than a LAN can hold.
//
// Goroutines, all started by Source.Run, which returns after they ended:
//
//	Run       owns the table and calls out; ends with its context
//	watcher   looks for interface changes and tells Run
//	announcer owns the zeroconf server of one generation; ends with it, after the goodbye
//
// zeroconf starts more: those that read sockets end when we close them; the one that probes and announces holds no
// socket of its own but sleeps on for up to 3.5 s after a server that was shut down young.
package mdns

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"earshot/discovery"
)

// Name is the name of the source in sightings.
const Name = "mdns"

// DefaultService is the DNS-SD service type. At most 15 characters between the underscore and the dot (RFC 6335).
const DefaultService = "_earshot._udp"

// domain is spelt without dots: zeroconf makes "x.local.local." of any other spelling.
const domain = "local"

// Config is what a Source needs to know. Peer and Port are required.
type Config struct {
	// Peer is our own libp2p peer id, an Ed25519 one.
	Peer peer.ID
	// Port is the TCP port on which we already accept connections.
	Port int
	// Selection is the person's choice of interfaces.
	Selection discovery.Selection
	// Service is the service type; empty means DefaultService.
	Service string
	// Window says how long a browse window should be, given how many windows this generation had before and how many
	// instances are known; nil means DefaultWindow. Up to a quarter is added at random.
	Window func(round, known int) time.Duration
	// Poll is how often interfaces are looked at; zero means discovery.DefaultPoll.
	Poll time.Duration
	// Log receives what a maintainer may want to know, never more than a few lines per window; nil discards it.
	Log *slog.Logger
}

// DefaultWindow is the interval of PROTOCOL.md#timing: 1, 4, 16 and 64 s at first, because multicast is lossy, then 5 minutes or 6 s for each known
// instance, at most 15 minutes. Each window starts with one query that makes every instance on the LAN answer by
// multicast; every open window hears those answers, so together N nodes look much more often than each alone. While
// nobody is known a window is at most one minute.
func DefaultWindow(round, known int) time.Duration {
	early := time.Second << (2 * min(round, 3)) // 1, 4, 16, 64 s
	if known == 0 {
		return min(early, time.Minute)
	}
	if round <= 3 {
		return early
	}
	return min(max(5*time.Minute, time.Duration(known)*6*time.Second), 15*time.Minute)
}

// A Source announces us and reports others. It implements discovery.Source.
type Source struct {
	cfg       Config
	instance  string
	rescan    chan struct{}
	minRescan time.Duration // minRescan, or less in a test
	quiet     atomic.Bool   // the next Run does not announce
}

var _ discovery.Source = (*Source)(nil)

// New returns a source with a new random instance name. It routes zeroconf's lines on the standard logger to cfg.Log.
func New(cfg Config) (*Source, error) {
	if _, err := encodeTXT(cfg.Peer); err != nil {
		return nil, fmt.Errorf("cannot announce this device: %w", err)
	}
	if cfg.Port < discovery.MinPort || cfg.Port > 65535 {
		return nil, fmt.Errorf("cannot announce TCP port %d: other devices accept %d to 65535 only; listen on such a port", cfg.Port, discovery.MinPort)
	}
	if cfg.Service == "" {
		cfg.Service = DefaultService
	}
	if cfg.Window == nil {
		cfg.Window = DefaultWindow
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	routeLibraryLog(cfg.Log)
	return &Source{cfg: cfg, instance: newInstance(), rescan: make(chan struct{}, 1), minRescan: minRescan}, nil
}

// Name returns "mdns".
func (s *Source) Name() string { return Name }

// Announce says whether the next Run lets others know of this device, which it does unless told otherwise. One that does
// not still asks who is there; the question names nobody.
func (s *Source) Announce(on bool) { s.quiet.Store(!on) }

// Rescan asks for a new query soon, for instance after connections were lost. It never blocks, and asking often is
// harmless: a query is sent at most every few seconds.
func (s *Source) Rescan() {
	select {
	case s.rescan <- struct{}{}:
	default:
	}
}

// newInstance returns 32 random characters of [a-z2-7]. The name says nothing about us, and it is new at each start
// because caches keep the record of a process that died without goodbye for up to 53 minutes.
func newInstance() string {
	const alphabet = "abcdefghijklmnopqrstuvwxyz234567"
	b := make([]byte, instanceLen)
	rand.Read(b) // never fails
	for i := range b {
		b[i] = alphabet[b[i]%32]
	}
	return string(b)
}

// Run announces and browses on all usable interfaces until ctx ends. It lives for at least half a second, because
// zeroconf cannot shut down a server that is still starting.
func (s *Source) Run(ctx context.Context, out func(discovery.Event)) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	// Only the newest set counts, so the watcher replaces one that was not taken yet.
	sets := make(chan []discovery.Interface, 1)
	wg.Go(func() {
		discovery.Watcher{Selection: s.cfg.Selection, Poll: s.cfg.Poll}.Run(ctx, func(usable []discovery.Interface) {
			select {
			case <-sets:
			default:
			}
			sets <- usable
		})
	})

	tab, announce := newTable(s.cfg.Log, out), !s.quiet.Load()
	for {
		var usable []discovery.Interface
		select {
		case <-ctx.Done():
			return nil
		case usable = <-sets:
		}
		for len(usable) > 0 {
			next, err := s.generation(ctx, usable, sets, tab, announce)
			if err != nil {
				return nil // ctx ended
			}
			usable = next
		}
		s.cfg.Log.Info("mdns: no usable network interface, waiting for one")
	}
}

var errEnded = errors.New("the source was told to end")

// generation browses, and announces if it shall, on one set of interfaces. It returns the next set, or errEnded when ctx ended.
func (s *Source) generation(ctx context.Context, usable []discovery.Interface, sets <-chan []discovery.Interface, tab *table, announce bool) ([]discovery.Interface, error) {
	var wg sync.WaitGroup
	defer wg.Wait()
	gctx, cancel := context.WithCancel(ctx)
	defer cancel()

	ifaces := make([]net.Interface, len(usable))
	names := make([]string, len(usable))
	for i, it := range usable {
		ifaces[i], names[i] = it.Net(), it.Name
	}
	doing := "announcing and browsing"
	if !announce {
		doing = "browsing"
	}
	s.cfg.Log.Info("mdns: "+doing, "interfaces", names)

	// The server's sockets are open before the first query goes out, so that nodes that start at the same moment
	// answer each other.
	ready := make(chan struct{})
	if announce {
		wg.Go(func() { s.announce(gctx, usable, ifaces, ready) })
	} else {
		close(ready)
	}
	select {
	case <-ready:
	case <-ctx.Done():
		return nil, errEnded
	}
	b := browser{source: s, usable: usable, tab: tab, near: discovery.NeighbourhoodOf(usable), sets: sets}
	return b.run(gctx)
}
