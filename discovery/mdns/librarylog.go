package mdns

import (
	"bytes"
	"io"
	"log"
	"log/slog"
	"sync"
	"sync/atomic"
)

// zeroconf writes to the standard logger, that is: into the terminal UI. These marks tell its lines from others.
var libraryMarks = [][]byte{[]byte("zeroconf"), []byte("mdns:"), []byte("bonjour")}

var (
	libraryLog     atomic.Pointer[slog.Logger]
	libraryLogOnce sync.Once
)

// routeLibraryLog sends zeroconf's lines on the standard logger to l; other lines go where they went before. The
// standard logger belongs to the process, so the newest logger given gets the lines of all sources.
func routeLibraryLog(l *slog.Logger) {
	libraryLog.Store(l)
	libraryLogOnce.Do(func() { log.SetOutput(libraryWriter{rest: log.Writer()}) })
}

// A libraryWriter sorts the lines of the standard logger, which writes one line at a time.
type libraryWriter struct{ rest io.Writer }

func (w libraryWriter) Write(line []byte) (int, error) {
	for _, mark := range libraryMarks {
		if bytes.Contains(line, mark) {
			libraryLog.Load().Debug("zeroconf: " + string(bytes.TrimSpace(line)))
			return len(line), nil
		}
	}
	return w.rest.Write(line)
}
