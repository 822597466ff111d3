package host

import (
	"time"

	"golang.org/x/sys/unix"
)

// connDropTime is TCP_RXT_CONNDROPTIME of <netinet/tcp.h>, in seconds.
const connDropTime = 0x80

func setUnanswered(fd uintptr, d time.Duration) error {
	return unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, connDropTime, int(d.Seconds()))
}
