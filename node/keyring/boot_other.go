//go:build !linux && !darwin

package keyring

// bootID names this run of the operating system; "" because here it can't be told.
func bootID() string { return "" }
