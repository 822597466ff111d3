package host

import (
	"context"
	"log/slog"
	"sync/atomic"

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
	if l == nil {
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
