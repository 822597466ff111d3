//go:build !windows

package store

import (
	"errors"
	"os"
	"syscall"
)

// diskFull reports whether the file system had no space, or no quota, left.
func diskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// tooManyFiles reports whether the process, or the system, may open no more files.
func tooManyFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// readOnly reports whether the file system takes no writes at all.
func readOnly(err error) bool { return errors.Is(err, syscall.EROFS) }

// syncDir makes renames in dir survive a power failure.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
