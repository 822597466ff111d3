package host

import (
	"errors"
	"syscall"

	"github.com/libp2p/go-libp2p/core/sec"
)

// Refused reports whether a Dial failed because the machine answered that nobody
// listens there.
func Refused(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || isErrno(err, 10061)
}

// WrongDevice reports whether a Dial failed because another device answered.
func WrongDevice(err error) bool {
	var mismatch sec.ErrPeerIDMismatch
	return errors.As(err, &mismatch)
}
