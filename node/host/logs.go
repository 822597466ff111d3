package host

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/gologshim"
)

// libraryLogs is where go-libp2p's loggers write. They are package variables
// that pick their handler once, at their first line, and would else take
// standard error, which is the person's screen.
var libraryLogs atomic.Pointer[slog.Logger]

func init() {
	gologshim.SetDefaultHandler(&lateHandler{})
}

func routeLibraryLogs(l *slog.Logger) { libraryLogs.Store(l) }

// libraryQuiet is how long a line is not repeated, whatever its attributes: most
// of what go-libp2p warns of a stranger can cause as often as they like.
const libraryQuiet = time.Minute

// maxSaid bounds the lines remembered; go-libp2p has fewer.
const maxSaid = 512

var said = struct {
	mu sync.Mutex
	at map[string]time.Time // by message
}{at: map[string]time.Time{}}

// saidLately reports whether a line was logged lately, and notes that it is now.
func saidLately(line string, now time.Time) bool {
	said.mu.Lock()
	defer said.mu.Unlock()
	if at, ok := said.at[line]; ok && now.Sub(at) < libraryQuiet {
		return true
	}
	if len(said.at) >= maxSaid {
		clear(said.at)
	}
	said.at[line] = now
	return false
}

// lateHandler looks its target up at every line. Only warnings and errors pass:
// below them go-libp2p speaks on every connection.
type lateHandler struct {
	attrs []slog.Attr
}

func (h *lateHandler) Enabled(ctx context.Context, level slog.Level) bool {
	l := libraryLogs.Load()
	return l != nil && level >= slog.LevelWarn && l.Enabled(ctx, level)
}

func (h *lateHandler) Handle(ctx context.Context, r slog.Record) error {
	l := libraryLogs.Load()
	if l == nil || saidLately(r.Message, time.Now()) {
		return nil
	}
	r = r.Clone()
	r.AddAttrs(h.attrs...)
	return l.Handler().Handle(ctx, r)
}

func (h *lateHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &lateHandler{attrs: append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...)}
}

// WithGroup drops the group: go-libp2p uses none, and a flat name is readable.
func (h *lateHandler) WithGroup(string) slog.Handler { return h }
