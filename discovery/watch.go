package discovery

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"
)

// DefaultPoll is how often a Watcher looks. Polling is portable, and cheap next to the 5 s in which a dead connection
// is noticed; two seconds is the longest that still feels like "at once" after plugging in a cable (a guess).
const DefaultPoll = 2 * time.Second

// A Watcher follows the usable interfaces and their addresses. It knows nothing about what is done with them.
type Watcher struct {
	// Selection is the person's choice.
	Selection Selection
	// Poll is how often to look; zero means DefaultPoll.
	Poll time.Duration
	// List returns all interfaces; nil means SystemInterfaces.
	List func() ([]Interface, error)
}

// Run calls changed with the usable interfaces, once at the start (also when there are none) and again whenever an
// interface, its carrier or one of its addresses came, went or was replaced, until ctx ends. It calls from its own goroutine only,
// one call at a time. A list that cannot be read counts as no news.
func (w Watcher) Run(ctx context.Context, changed func(usable []Interface)) {
	poll, list := w.Poll, w.List
	if poll <= 0 {
		poll = DefaultPoll
	}
	if list == nil {
		list = SystemInterfaces
	}
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	last, first := "", true
	for {
		if all, err := list(); err == nil {
			usable := w.Selection.Usable(all)
			if now := fingerprint(usable); first || now != last {
				last, first = now, false
				changed(usable)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// fingerprint is equal for two lists exactly if what was learnt and joined on the first still holds on the second. The
// index is part of it, because an interface that was removed and made again has the same name and address but deaf
// sockets; and so is whether it has a carrier, because a cable that is plugged in again may lead to another network.
func fingerprint(ifaces []Interface) string {
	var b strings.Builder
	for _, it := range ifaces {
		fmt.Fprintf(&b, "%d/%q/%t/%v;", it.Index, it.Name, it.Flags&net.FlagRunning != 0, it.Prefixes)
	}
	return b.String()
}
