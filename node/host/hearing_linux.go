package host

import "golang.org/x/sys/unix"

// segmentsIn counts the segments that came in on a TCP connection, probes too.
func segmentsIn(fd uintptr) (uint32, error) {
	info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return 0, err
	}
	return info.Segs_in, nil
}
