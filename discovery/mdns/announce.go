package mdns

import (
	"context"
	"net"
	"time"

	"github.com/grandcat/zeroconf"

	"earshot/discovery"
)

// minServerLife is how old a zeroconf server must be before Shutdown: its receiving goroutines join the group that
// Shutdown waits for only once they are scheduled.
const minServerLife = 500 * time.Millisecond

// maxAnnounceRetry bounds the wait before another attempt to open the announcing sockets.
const maxAnnounceRetry = 30 * time.Second

// announce keeps a zeroconf server up until ctx ends, then says goodbye. It closes ready when the server's sockets are
// open, or when the first attempt to open them failed.
//
// One server carries all interfaces: on Linux a socket hears every group that any socket of the machine joined, so
// one server per interface would answer many times.
func (s *Source) announce(ctx context.Context, usable []discovery.Interface, ifaces []net.Interface, ready chan<- struct{}) {
	txt, err := encodeTXT(s.cfg.Peer)
	if err != nil {
		panic("mdns: unreachable: New checked the peer id") // cannot happen
	}
	retry := time.Second
	for {
		// Never zeroconf.Register: it announces <hostname>.local with the addresses of every interface and so
		// poisons that name for the whole LAN.
		server, err := zeroconf.RegisterProxy(s.instance, s.cfg.Service, domain, s.cfg.Port, s.instance, announcedIPs(usable), txt, ifaces)
		if ready != nil {
			close(ready)
			ready = nil
		}
		if err == nil {
			born := time.Now()
			<-ctx.Done()
			time.Sleep(minServerLife - time.Since(born))
			server.Shutdown()
			return
		}
		s.cfg.Log.Warn("mdns: cannot announce, will try again", "error", err, "in", retry)
		select {
		case <-ctx.Done():
			return
		case <-time.After(retry):
			retry = min(2*retry, maxAnnounceRetry)
		}
	}
}
