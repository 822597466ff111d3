package node

import (
	"context"
	"slices"
	"time"

	"earshot/chat"
	"earshot/discovery"
	"earshot/discovery/mdns"
	"earshot/node/host"
	"earshot/node/stream"
)

// This file brings a node onto the network.

// goOnline makes the host and registers every handler before it listens, because
// neighbours learn what a node speaks when they connect.
func (n *Node) goOnline() error {
	var err error
	n.host, err = host.New(host.Config{
		Key: n.keys.Device, Port: n.cfg.Port, ListenAddrs: n.cfg.ListenAddrs, Transport: n.cfg.Transport,
		InterfaceAllowed: n.interfaceAllowed,
		Blocked:          func(d chat.DeviceID) bool { return n.standings.banned(time.Now(), d) || n.refuses(d) },
		Hidden:           n.doors.hidden,
		UserAgent:        "earshot/" + n.cfg.Version, Logger: n.log,
	})
	if err != nil {
		return err
	}
	stream.Handle(n.host.Libp2p(), peerProtocol, stream.Options{}, func(s *stream.Stream) {
		n.serve(func(ctx context.Context) { n.hearPeer(ctx, s) })
	})
	stream.Handle(n.host.Libp2p(), syncProtocol, syncOptions, func(s *stream.Stream) {
		n.serve(func(ctx context.Context) { n.answerSession(ctx, s) })
	})
	stream.Handle(n.host.Libp2p(), ownProtocol, stream.Options{}, func(s *stream.Stream) {
		n.serve(func(ctx context.Context) { n.hearOwn(ctx, s) })
	})
	stream.Handle(n.host.Libp2p(), directProtocol, stream.Options{}, func(s *stream.Stream) {
		n.serve(func(ctx context.Context) { n.hearDirect(ctx, s) })
	})
	stream.Handle(n.host.Libp2p(), courierProtocol, stream.Options{}, func(s *stream.Stream) {
		n.serve(func(ctx context.Context) { n.hearCourier(ctx, s) })
	})
	if n.live, err = n.joinLive(n.ctx); err != nil {
		return err
	}
	n.spawn(n.publishAll)
	n.spawn(n.passOffers)
	return nil
}

// seekNeighbours opens the port and starts to look for others.
func (n *Node) seekNeighbours() error {
	n.spawn(n.watchPeers)
	if err := n.host.Listen(); err != nil {
		return err
	}
	sources := n.cfg.Sources
	if sources == nil {
		sources = n.mdns
		n.spawn(func(ctx context.Context) {
			discovery.Watcher{Selection: n.selection}.Run(ctx, func(usable []discovery.Interface) {
				_ = n.tell(ctx, func(c *core) { c.networkChanged(usable) })
			})
		})
	}
	list, err := sources(n.host)
	if err != nil {
		return err
	}
	if err := n.do(n.ctx, func(c *core) { n.sources = list }); err != nil {
		return err
	}
	for _, s := range list {
		n.spawn(func(ctx context.Context) { n.seekBy(ctx, s) })
	}
	return nil
}

func (n *Node) mdns(h *host.Host) ([]discovery.Source, error) {
	s, err := mdns.New(mdns.Config{Peer: host.PeerID(n.device), Port: h.Port(), Selection: n.selection, Log: n.log})
	return []discovery.Source{s}, err
}

// interfaceAllowed keeps addresses of interfaces that the person excluded, did not
// pin, or that lead to no people from being told and used.
func (n *Node) interfaceAllowed(name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Contains(n.networks, name)
}
