//go:build !windows

package keyring

import (
	"errors"
	"os"
	"syscall"
)

// syncDir makes a rename in dir survive a power failure.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func diskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// readOnly reports whether the file system takes no writes at all.
func readOnly(err error) bool { return errors.Is(err, syscall.EROFS) }
