package keyring

import "golang.org/x/sys/unix"

// bootID names this run of the operating system; "" if it can't be told.
func bootID() string {
	id, err := unix.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return ""
	}
	return id
}
