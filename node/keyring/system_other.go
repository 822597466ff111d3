//go:build !linux

package keyring

import "runtime"

// hasSystemKeyring reports whether the operating system brings one.
func hasSystemKeyring() bool { return runtime.GOOS == "darwin" || runtime.GOOS == "windows" }
