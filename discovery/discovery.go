// Package discovery finds devices that may be near, and does not know whether they are who they say: it knows nothing
// of people, rooms, keys or connections.
//
// Finding is not trusting. A [Source] reports what it hears, a [Book] remembers a bounded amount of it for a bounded
// time, and a [Schedule] says when which device should be dialled. Only the handshake of the connection that follows
// proves anything; its result comes back through [Book.Confirm] and [Schedule.Connected].
//
// Book and Schedule are plain values: they take the time as an argument, start no goroutine, hold no lock, and are to
// be used by one goroutine. Sources do I/O and end with the context they are given.
package discovery

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// A Sighting is one claim that a device can be reached at some addresses.
type Sighting struct {
	// Peer is the device the addresses are said to lead to.
	Peer peer.ID
	// Addrs are the addresses to dial, the best first, without a /p2p component.
	Addrs []ma.Multiaddr
	// Via is the name of the Source that made the claim.
	Via string
	// Seen is when the claim was heard.
	Seen time.Time
}

// A Kind says what an Event reports about a Sighting.
type Kind uint8

// The kinds of Event.
const (
	// Found is a device that the source did not know.
	Found Kind = iota + 1
	// Updated is a known device with other addresses than before; they replace the earlier ones of that source.
	Updated
	// Refreshed is a known device heard again with nothing new: its hints stay alive.
	Refreshed
	// Lost is a device that took its leave or was not heard for long. It may well be connected: a source knows nothing
	// of connections.
	Lost
)

// String returns the kind's name in lower case.
func (k Kind) String() string {
	switch k {
	case Found:
		return "found"
	case Updated:
		return "updated"
	case Refreshed:
		return "refreshed"
	case Lost:
		return "lost"
	default:
		return "unknown"
	}
}

// An Event is what a Source reports.
type Event struct {
	Kind Kind
	Sighting
}

// A Source is one way of finding devices.
type Source interface {
	// Name is the source's name, as it stands in Sighting.Via.
	Name() string
	// Run looks for devices until ctx ends and reports them through out, one call at a time. It returns nil when ctx
	// ended, after its goroutines have, and an error only if it can never work; a network that is missing for now is
	// waited for. out must not block for long: nothing is heard meanwhile.
	Run(ctx context.Context, out func(Event)) error
}
