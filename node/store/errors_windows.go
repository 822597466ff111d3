package store

import (
	"errors"

	"golang.org/x/sys/windows"
)

// diskFull reports whether the file system had no space, or no quota, left.
func diskFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL) ||
		errors.Is(err, windows.ERROR_DISK_QUOTA_EXCEEDED)
}

// tooManyFiles reports whether the process may open no more files.
func tooManyFiles(err error) bool { return errors.Is(err, windows.ERROR_TOO_MANY_OPEN_FILES) }

// readOnly reports whether the file system takes no writes at all.
func readOnly(err error) bool { return errors.Is(err, windows.ERROR_WRITE_PROTECT) }

// syncDir does nothing: NTFS journals renames, and directories can't be flushed.
func syncDir(string) error { return nil }
