package sim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"earshot/discovery"
	"earshot/node"
	"earshot/node/host"
)

// Office is a simulated LAN with whole nodes on it: real engines, Noise, gossip
// and stores, on a wire that exists only in this process.
type Office struct {
	Net *Net
	dir string
	log *slog.Logger

	mu      sync.Mutex
	next    int // of the last host number given
	present map[peer.ID]discovery.Sighting
	hearing map[*ear]struct{}
	nodes   map[*node.Node]peer.ID
}

// NewOffice returns an empty office whose homes are made below dir. A nil logger
// discards.
func NewOffice(dir string, log *slog.Logger) *Office {
	return &Office{
		Net: New(), dir: dir, log: log,
		present: map[peer.ID]discovery.Sighting{}, hearing: map[*ear]struct{}{}, nodes: map[*node.Node]peer.ID{},
	}
}

// Home returns where somebody's home is, which is made when they enter.
func (o *Office) Home(name string) string { return filepath.Join(o.dir, name) }

// Enter starts a node for somebody; the same name again has the same home.
func (o *Office) Enter(ctx context.Context, name string) (*node.Node, error) {
	return o.enter(ctx, name, name)
}

// enter starts a node on a home for somebody who goes by name, or by what the home
// says if that is empty.
func (o *Office) enter(ctx context.Context, home, name string) (*node.Node, error) {
	o.mu.Lock()
	o.next++
	addr := fmt.Sprintf("/ip4/10.9.%d.%d/tcp/%d", o.next/250, o.next%250+1, host.DefaultPort)
	o.mu.Unlock()
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return nil, err
	}
	listen, err := ma.NewMultiaddr(addr)
	if err != nil {
		return nil, err
	}
	var self peer.ID
	n, err := node.Start(ctx, node.Config{
		Home: o.Home(home), Name: name, Version: "sim", Logger: o.log, Volatile: true,
		Transport: o.Net.Transport(), ListenAddrs: []ma.Multiaddr{listen},
		Sources: func(h *host.Host) ([]discovery.Source, error) {
			self = host.PeerID(h.Device())
			return []discovery.Source{&ear{office: o, self: self, addr: listen, heard: make(chan discovery.Event, 1024)}}, nil
		},
	})
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	o.nodes[n] = self
	o.mu.Unlock()
	return n, nil
}

// Leave stops a node as a person does who goes home: it says goodbye.
func (o *Office) Leave(ctx context.Context, n *node.Node) error {
	o.mu.Lock()
	p, ok := o.nodes[n]
	delete(o.nodes, n)
	o.withdraw(p)
	o.mu.Unlock()
	if !ok {
		return nil
	}
	return n.Close(ctx)
}

// Close stops every node that is still there.
func (o *Office) Close(ctx context.Context) error {
	o.mu.Lock()
	var left []*node.Node
	for n := range o.nodes {
		left = append(left, n)
	}
	o.mu.Unlock()
	var wg sync.WaitGroup
	errs := make([]error, len(left))
	for i, n := range left {
		wg.Go(func() { errs[i] = o.Leave(ctx, n) })
	}
	wg.Wait()
	o.Net.CloseAll()
	return errors.Join(errs...)
}

// announce tells everybody that somebody is there; o.mu is held.
func (o *Office) announce(p peer.ID, addr ma.Multiaddr) {
	s := discovery.Sighting{Peer: p, Addrs: []ma.Multiaddr{addr}, Via: "office", Seen: time.Now()}
	o.present[p] = s
	o.tell(discovery.Event{Kind: discovery.Found, Sighting: s})
}

// withdraw takes that back; o.mu is held.
func (o *Office) withdraw(p peer.ID) {
	if gone, there := o.present[p]; there {
		delete(o.present, p)
		o.tell(discovery.Event{Kind: discovery.Lost, Sighting: gone})
	}
}

// tell has every ear hear an event; o.mu is held.
func (o *Office) tell(ev discovery.Event) {
	for e := range o.hearing {
		e.hear(ev)
	}
}

// ear is what one node hears of the office.
type ear struct {
	office *Office
	self   peer.ID
	addr   ma.Multiaddr
	heard  chan discovery.Event
}

func (e *ear) Name() string { return "office" }

// Announce says whether the node is to be seen in the office.
func (e *ear) Announce(on bool) {
	e.office.mu.Lock()
	defer e.office.mu.Unlock()
	if on {
		e.office.announce(e.self, e.addr)
	} else {
		e.office.withdraw(e.self)
	}
}

func (e *ear) hear(ev discovery.Event) {
	if ev.Peer == e.self {
		return
	}
	select {
	case e.heard <- ev:
	default: // as on a real LAN, what comes too fast is lost
	}
}

// Run reports who is there, and who comes and goes, until ctx ends.
func (e *ear) Run(ctx context.Context, out func(discovery.Event)) error {
	o := e.office
	o.mu.Lock()
	o.hearing[e] = struct{}{}
	for _, s := range o.present {
		e.hear(discovery.Event{Kind: discovery.Found, Sighting: s})
	}
	o.mu.Unlock()
	defer func() {
		o.mu.Lock()
		delete(o.hearing, e)
		o.mu.Unlock()
	}()
	for {
		select {
		case ev := <-e.heard:
			out(ev)
		case <-ctx.Done():
			return nil
		}
	}
}
