package mdns

import (
	"context"
	"math/rand/v2"
	"net"
	"time"

	"github.com/grandcat/zeroconf"

	"earshot/discovery"
)

const (
	// maxEntries is how many entries a window takes before it ends early, because zeroconf keeps every one until then.
	maxEntries = 4096
	// fairWindow is how long a window must have been open for silence to mean something.
	fairWindow = 500 * time.Millisecond
	// minRescan is the shortest time from the start of a window to the next one when a rescan was asked for.
	minRescan = 5 * time.Second
	// firstPause and maxPause bound the pause after a window that was flooded or could not be opened; it doubles each
	// time. We go on announcing, so others find us meanwhile.
	firstPause = time.Second
	maxPause   = 5 * time.Minute
)

// A browser runs the windows of one generation.
type browser struct {
	source *Source
	usable []discovery.Interface
	near   discovery.Neighbourhood
	tab    *table
	sets   <-chan []discovery.Interface
}

// run browses until another set of interfaces arrives, which it returns, or ctx ends, for which it returns errEnded.
func (b *browser) run(ctx context.Context) ([]discovery.Interface, error) {
	log := b.source.cfg.Log
	pause, quiet := firstPause, false
	for round := 0; ; round++ {
		length := b.source.cfg.Window(round, b.tab.len())
		length += rand.N(length/4 + 1) // so that the nodes of a LAN do not ask in step
		got := b.window(ctx, length, quiet)
		switch {
		case got.replaced:
			return got.next, nil
		case ctx.Err() != nil:
			return nil, errEnded
		case got.opened && !got.flooded:
			pause, quiet = firstPause, got.valid == 0
			continue
		}
		log.Warn("mdns: browsing pauses", "flooded", got.flooded, "sockets", got.opened, "for", pause)
		select {
		case <-ctx.Done():
			return nil, errEnded
		case next := <-b.sets:
			return next, nil
		case <-time.After(pause):
			pause = min(2*pause, maxPause)
		}
	}
}

// A windowResult says how a window went.
type windowResult struct {
	opened   bool // at least one resolver could open its sockets
	flooded  bool // it ended early because somebody sends nonsense in bulk
	valid    int  // records of others
	refused  int  // records that are no sighting, our own apart
	replaced bool // it ended because the interfaces changed
	next     []discovery.Interface
}

// window asks once who is there and listens until length is over, ctx ends, or a reason to end early comes up.
func (b *browser) window(ctx context.Context, length time.Duration, quiet bool) windowResult {
	var res windowResult
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	start := time.Now()

	with4, with6 := families(b.usable, quiet)
	entries4 := b.resolve(ctx, zeroconf.IPv4, with4)
	if entries4 == nil { // IPv4 multicast is not to be had: try what is left
		_, with6 = families(b.usable, true)
	}
	entries6 := b.resolve(ctx, zeroconf.IPv6, with6)
	res.opened = entries4 != nil || entries6 != nil

	b.tab.begin()
	self := record{instance: b.source.instance, peer: b.source.cfg.Peer}
	heard := 0
	take := func(e *zeroconf.ServiceEntry) {
		if heard++; heard > maxEntries || len(e.AddrIPv4)+len(e.AddrIPv6) > absurdAddrs {
			res.flooded = true
			cancel() // and go on draining, for zeroconf blocks until we took all of it
			return
		}
		r, err := parse(e, self, b.near)
		switch err {
		case nil:
			res.valid++
			b.tab.hear(time.Now(), r)
		case errOwn:
		default:
			res.refused++
		}
	}

	// The channels belong to zeroconf, which closes them when it is done with them, and only then are we.
	var early <-chan time.Time
	for entries4 != nil || entries6 != nil {
		select {
		case e, ok := <-entries4:
			if !ok {
				entries4 = nil
				continue
			}
			take(e)
		case e, ok := <-entries6:
			if !ok {
				entries6 = nil
				continue
			}
			take(e)
		case res.next = <-b.sets:
			res.replaced = true
			cancel()
		case <-b.source.rescan:
			early = time.After(b.source.minRescan - time.Since(start))
		case <-early:
			cancel()
		}
	}
	b.tab.end(time.Now(), res.opened && !res.flooded && !res.replaced && time.Since(start) >= min(length, fairWindow))
	b.source.cfg.Log.Debug("mdns: window over", "after", time.Since(start), "devices", res.valid, "refused", res.refused, "known", b.tab.len())
	return res
}

// families says on which interfaces to ask by IPv4 and by IPv6. Every answer is sent by both and carries the addresses
// of both, so IPv6 is asked only where there is no IPv4, or everywhere if IPv4 found nobody: a switch that filters one
// of the two is not rare, and asking by both would double the traffic.
func families(usable []discovery.Interface, quiet bool) (with4, with6 []net.Interface) {
	for _, it := range usable {
		if it.HasIPv4() {
			with4 = append(with4, it.Net())
		}
		if it.HasIPv6() && (quiet || !it.HasIPv4()) {
			with6 = append(with6, it.Net())
		}
	}
	return with4, with6
}

// resolve opens a resolver and asks. It returns nil if there is nothing to ask on or the sockets cannot be had; else a
// channel that must be drained until zeroconf closes it, which it does once ctx ended.
func (b *browser) resolve(ctx context.Context, family zeroconf.IPType, ifaces []net.Interface) <-chan *zeroconf.ServiceEntry {
	if len(ifaces) == 0 {
		return nil
	}
	r, err := zeroconf.NewResolver(zeroconf.SelectIPTraffic(family), zeroconf.SelectIfaces(ifaces))
	if err != nil {
		b.source.cfg.Log.Debug("mdns: cannot open sockets", "ipv6", family == zeroconf.IPv6, "error", err)
		return nil
	}
	entries := make(chan *zeroconf.ServiceEntry, 64)
	// Lookup of the empty instance is Browse, except that it stops repeating its question after the first answer,
	// which is normally our own. Browse would ask again after 4, 10, 19... s, and every question makes all devices on
	// the LAN answer. The window asks once and then listens, also to what others asked for and to announcements.
	if err := r.Lookup(ctx, "", b.source.cfg.Service, domain, entries); err != nil {
		b.source.cfg.Log.Debug("mdns: cannot ask", "ipv6", family == zeroconf.IPv6, "error", err)
		for range entries { // zeroconf closes it all the same
		}
		return nil
	}
	return entries
}
