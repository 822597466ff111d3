package host

import (
	"fmt"
	"net/netip"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/x/rate"
)

// The defaults are made for the internet: 8 connections per IPv6 /56 and one new
// one in 5 s, dials included, which shuts most of a LAN out. Here the gater has
// already confined addresses to the LAN.
const (
	limitMemory = 256 << 20 // bytes all connections and streams may hold
	limitFDs    = 1024

	// perAddress bounds connections from one address: many nodes behind one
	// (a laptop with containers), but no single machine takes all.
	perAddress = 64
	// perSubnet bounds connections from one IPv6 /64, where a stranger has as
	// many addresses as they like: one link.
	perSubnet = 512

	newPerSecond, newBurst       = 50, 400 // new connections from one IPv6 /64, dials included
	newPerSecond4, newBurst4     = 10, 100 // the same from one IPv4 address
	newPerSecondAll, newBurstAll = 100, 800
)

// resourceManager bounds what all peers together may take of this machine. A
// simulated wire has none: a thousand nodes in one process share its limits, and
// its timers would keep a test's fake clock from advancing.
func resourceManager(simulated bool) (network.ResourceManager, error) {
	if simulated {
		return &network.NullResourceManager{}, nil
	}
	base := rcmgr.DefaultLimits
	libp2p.SetDefaultServiceLimits(&base)
	limits := rcmgr.PartialLimitConfig{
		System:    rcmgr.ResourceLimits{Conns: 512, ConnsInbound: 384, ConnsOutbound: 256, FD: limitFDs},
		Transient: rcmgr.ResourceLimits{Conns: 256, ConnsInbound: 160, ConnsOutbound: 160, FD: 256},
	}.Build(base.Scale(limitMemory, limitFDs))

	loopback := []rate.PrefixLimit{
		{Prefix: netip.MustParsePrefix("127.0.0.0/8")},
		{Prefix: netip.MustParsePrefix("::1/128")},
	}
	rm, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(limits),
		rcmgr.WithLimitPerSubnet(
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 32, ConnCount: perAddress}},
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 128, ConnCount: perAddress}, {PrefixLength: 64, ConnCount: perSubnet}}),
		rcmgr.WithConnRateLimiters(&rate.Limiter{
			NetworkPrefixLimits: loopback, // no limit: zero means none
			GlobalLimit:         rate.Limit{RPS: newPerSecondAll, Burst: newBurstAll},
			SubnetRateLimiter: rate.SubnetLimiter{
				IPv4SubnetLimits: []rate.SubnetLimit{{PrefixLength: 32, Limit: rate.Limit{RPS: newPerSecond4, Burst: newBurst4}}},
				IPv6SubnetLimits: []rate.SubnetLimit{{PrefixLength: 64, Limit: rate.Limit{RPS: newPerSecond, Burst: newBurst}}},
			},
		}))
	if err != nil {
		return nil, fmt.Errorf("host: resource manager: %w", err)
	}
	return rm, nil
}
