package mdns

import (
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"earshot/discovery"
)

const (
	// maxInstances bounds the table; a record takes about 1 KiB.
	maxInstances = 2048
	// maxPerPeer is how many instances may claim one peer id at a time: a restarted device has two until the old one
	// is forgotten. More is somebody trying to bury the true one.
	maxPerPeer = 4
	// maxMissed is after how many windows of silence in a row an instance is lost.
	maxMissed = 3
)

// A table remembers the instances heard and turns what is heard into events. It is used by one goroutine.
type table struct {
	out       func(discovery.Event)
	log       *slog.Logger
	instances map[string]*instance
	peers     map[peer.ID][]*instance // the newest heard last; what counts for the peer
	evictions int                     // in this window
}

type instance struct {
	record
	heard  bool // in this window
	missed int  // windows in a row without a word
}

func newTable(log *slog.Logger, out func(discovery.Event)) *table {
	return &table{out: out, log: log, instances: map[string]*instance{}, peers: map[peer.ID][]*instance{}}
}

// len returns how many instances are known.
func (t *table) len() int { return len(t.instances) }

// begin starts a window.
func (t *table) begin() {
	t.evictions = 0
	for _, in := range t.instances {
		in.heard = false
	}
}

// hear takes one valid record.
func (t *table) hear(now time.Time, r record) {
	in, known := t.instances[r.instance]
	if known && in.peer != r.peer {
		// An instance never changes its peer id. One of the two is lying; the older one at least was first.
		return
	}
	if known {
		changed := !sameAddrs(in.addrs, r.addrs)
		again := in.heard
		in.record, in.heard, in.missed = r, true, 0
		switch {
		case changed:
			t.emit(now, discovery.Updated, in.peer)
		case !again:
			t.emit(now, discovery.Refreshed, in.peer)
		}
		return
	}
	siblings := t.peers[r.peer]
	if len(siblings) == maxPerPeer {
		t.drop(siblings[0])
	} else if len(t.instances) == maxInstances {
		t.evict()
	}
	in = &instance{record: r, heard: true}
	t.instances[r.instance] = in
	t.peers[r.peer] = append(t.peers[r.peer], in)
	if len(siblings) == 0 {
		t.emit(now, discovery.Found, r.peer)
	} else {
		t.emit(now, discovery.Updated, r.peer)
	}
}

// end finishes a window. It counts silence only if the window was a fair chance to be heard.
func (t *table) end(now time.Time, fair bool) {
	if t.evictions > 0 {
		t.log.Warn("mdns: more instances than can be kept; some were forgotten", "kept", len(t.instances), "forgotten", t.evictions)
	}
	if !fair {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(t.instances)) {
		in := t.instances[name]
		if in.heard {
			continue
		}
		if in.missed++; in.missed < maxMissed {
			continue
		}
		t.drop(in)
		if len(t.peers[in.peer]) > 0 {
			t.emit(now, discovery.Updated, in.peer)
		} else {
			t.out(discovery.Event{Kind: discovery.Lost, Sighting: discovery.Sighting{Peer: in.peer, Via: Name, Seen: now}})
		}
	}
}

// evict makes room in a full table. It is silent, because the device may well be there: the book has its own memory,
// and if it is heard again it is simply found again. Which one goes is Go's map order, that is: nobody's choice.
func (t *table) evict() {
	for _, in := range t.instances {
		t.evictions++
		t.drop(in)
		return
	}
}

func (t *table) drop(in *instance) {
	delete(t.instances, in.instance)
	left := slices.DeleteFunc(t.peers[in.peer], func(o *instance) bool { return o == in })
	if len(left) == 0 {
		delete(t.peers, in.peer)
	} else {
		t.peers[in.peer] = left
	}
}

// emit reports a peer with the addresses of all its instances, those of the newest instance first.
func (t *table) emit(now time.Time, kind discovery.Kind, id peer.ID) {
	s := discovery.Sighting{Peer: id, Via: Name, Seen: now}
	for _, in := range slices.Backward(t.peers[id]) {
		for _, a := range in.addrs {
			if len(s.Addrs) < maxAddrs && !slices.ContainsFunc(s.Addrs, a.Equal) {
				s.Addrs = append(s.Addrs, a)
			}
		}
	}
	t.out(discovery.Event{Kind: kind, Sighting: s})
}
