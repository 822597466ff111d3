//go:build !linux

package keyring

// machine names this installation of the operating system; here it can't be told.
func machine() string { return unknown }

// fileNumber names a file for as long as it is there; here it can't be told.
func fileNumber(string) string { return unknown }
