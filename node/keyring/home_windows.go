package keyring

import (
	"errors"

	"golang.org/x/sys/windows"
)

// syncDir does nothing: NTFS journals renames, and directories can't be flushed.
func syncDir(string) error { return nil }

func diskFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}

// readOnly reports whether the disk takes no writes at all.
func readOnly(err error) bool { return errors.Is(err, windows.ERROR_WRITE_PROTECT) }
