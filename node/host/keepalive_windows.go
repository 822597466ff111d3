package host

import (
	"time"

	"golang.org/x/sys/windows"
)

// maxRetransmit is TCP_MAXRT of <ws2ipdef.h>, in seconds.
const maxRetransmit = 5

func setUnanswered(fd uintptr, d time.Duration) error {
	return windows.SetsockoptInt(windows.Handle(fd), windows.IPPROTO_TCP, maxRetransmit, int(d.Seconds()))
}
