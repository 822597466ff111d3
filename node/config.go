package node

import (
	"context"
	"log/slog"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"earshot/discovery"
	"earshot/node/desktop"
	"earshot/node/host"
	"earshot/node/keyring"
)

// Config says how a node is to be. Only Home is required.
type Config struct {
	// Home is the directory of keys and history; it is made if it is missing.
	Home string
	// Name is what the person calls themselves; empty keeps what the home says,
	// at first the operating system's name for them.
	Name string
	// Port is the TCP port to listen on; 0 means the default or, where that is
	// taken, any free one.
	Port int
	// Interfaces pins or, with '-', excludes network interfaces by name.
	Interfaces []string
	// Offline keeps the node off the network altogether.
	Offline bool
	// Version is told to neighbours and faces.
	Version string
	// Unlock says how the home is opened: by what keyring of the system, by a
	// passphrase that is given or asked for, and whom to tell what a person should
	// know. Its Name is Config's. The zero value opens a home that nothing protects.
	Unlock keyring.Options
	// Desktop is what the desktop of this machine tells and shows; nil for none.
	Desktop Desktop
	// Logger receives what a maintainer may want to know; nil discards it.
	Logger *slog.Logger

	// What follows is for simulations, which bring their own network and whose computers
	// do not lose power.

	// Volatile has nothing wait for the disk to confirm it.
	Volatile bool

	// Sources replaces mDNS: it is called once, when the node listens.
	Sources func(h *host.Host) ([]discovery.Source, error)
	// Transport replaces TCP.
	Transport host.TransportFunc
	// ListenAddrs replaces the wildcard addresses.
	ListenAddrs []ma.Multiaddr
}

// Desktop is what a node asks of the desktop of its machine. Its methods may be called
// concurrently.
type Desktop interface {
	// Watch tells whether somebody is at the machine, first at once and then whenever
	// that changes, from one goroutine, until ctx ends.
	Watch(ctx context.Context, tell func(desktop.Idle))
	// Show shows a notification. Errors are sentences for the person.
	Show(ctx context.Context, note desktop.Note) error
	// Withdraw takes a notification back; one that is not shown is no error.
	Withdraw(ctx context.Context, key string) error
}

// Limits of the node's own making; what strangers meet stands in chat/limits.go.
const (
	// inboxSize bounds what waits for the loop. Its senders block when it is
	// full, which slows the network down to what the loop can take.
	inboxSize = 1024
	// publishQueue bounds committed entries that wait to be gossiped.
	publishQueue = 4096
	// helloTimeout bounds how long a neighbour may take to say who it is.
	helloTimeout = 10 * time.Second
	// streamsEach and maxPeerStreams bound the peer streams that one device and
	// all together have opened: one each, and some that are about to end.
	streamsEach, maxPeerStreams = 4, 1024
	// maxOwnStreams bounds the streams that devices have opened which may be this
	// person's: all that one can have, and some that only say so.
	maxOwnStreams = 64
	// saidHello and knownBefore are what a connection is worth to the connection
	// manager, in its own points (guess: only their order matters).
	saidHello, knownBefore = 10, 40
	// silence is how long a neighbour whose peer stream broke may take to come
	// back before it is shown as gone; a duplicate connection's end takes half a
	// second.
	silence = 2 * time.Second
	// sessionIdle ends a sync session in which the other side has had a turn for
	// so long and did not take it.
	sessionIdle = 30 * time.Second
	// answeredEach and maxAnswered bound the sync sessions that one device and all
	// together have asked for: one each, and one that is about to end.
	answeredEach, maxAnswered = 2, 8
	// maxTrusted bounds the devices that are looked for without end (guess: an
	// office's worth).
	maxTrusted = 512
	// maxBackOff bounds how long a device that does not answer is left alone: a
	// split network heals as fast as somebody dials across it, and a dial into
	// the void costs a question or two on the wire.
	maxBackOff = 30 * time.Second
	// expireEvery is how often hints that are too old are forgotten.
	expireEvery = time.Minute
	// rescanEvery spaces the questions of a node that has lost everybody.
	rescanEvery = 10 * time.Second
	// farewell bounds how long neighbours are waited for to take a goodbye.
	farewell = 100 * time.Millisecond
)
