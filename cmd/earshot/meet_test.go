package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"earshot/discovery"
	"earshot/node"
	"earshot/node/host"
)

// meetVariable names a directory where the nodes of a script find each other. They
// listen on loopback only; without it they stay off the network.
const meetVariable = "EARSHOT_MEET"

// startTestNode starts a real node that says nothing on the networks of its machine.
func startTestNode(ctx context.Context, cfg node.Config) (running, error) {
	dir := os.Getenv(meetVariable)
	if dir == "" {
		cfg.Offline = true
	} else {
		cfg.ListenAddrs = []ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/0")}
		cfg.Sources = func(h *host.Host) ([]discovery.Source, error) {
			return []discovery.Source{&noticeboard{dir: dir, host: h, seen: map[string]string{}}}, nil
		}
	}
	return startNode(ctx, cfg)
}

// noticeboard is a source that knows the nodes which have left their address in a
// directory.
type noticeboard struct {
	dir  string
	host *host.Host
	seen map[string]string // the address of each device
}

func (b *noticeboard) Name() string { return "board" }

func (b *noticeboard) Run(ctx context.Context, out func(discovery.Event)) error {
	own := host.PeerID(b.host.Device()).String()
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return err
	}
	notice := filepath.Join(b.dir, own)
	if err := os.WriteFile(notice+".new", []byte(b.host.Addrs()[0].String()), 0o600); err != nil {
		return err
	}
	if err := os.Rename(notice+".new", notice); err != nil {
		return err
	}
	defer func() { _ = os.Remove(notice) }()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for ctx.Err() == nil {
		notices, err := os.ReadDir(b.dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		there := map[string]bool{}
		for _, n := range notices {
			if id, err := peer.Decode(n.Name()); err == nil && n.Name() != own {
				there[n.Name()] = true
				b.read(n.Name(), id, out)
			}
		}
		for name := range b.seen {
			if id, err := peer.Decode(name); err == nil && !there[name] {
				delete(b.seen, name)
				out(discovery.Event{Kind: discovery.Lost, Sighting: discovery.Sighting{Peer: id, Via: b.Name(), Seen: time.Now()}})
			}
		}
		select {
		case <-look.C:
		case <-ctx.Done():
		}
	}
	return nil
}

// read tells of a notice that is new, or says something else than before.
func (b *noticeboard) read(name string, id peer.ID, out func(discovery.Event)) {
	text, err := os.ReadFile(filepath.Join(b.dir, name))
	addr, parsed := ma.NewMultiaddr(string(text))
	if err != nil || parsed != nil || b.seen[name] == string(text) {
		return
	}
	kind := discovery.Found
	if b.seen[name] != "" {
		kind = discovery.Updated
	}
	b.seen[name] = string(text)
	out(discovery.Event{Kind: kind, Sighting: discovery.Sighting{Peer: id, Addrs: []ma.Multiaddr{addr}, Via: b.Name(), Seen: time.Now()}})
}
