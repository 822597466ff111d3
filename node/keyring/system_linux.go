package keyring

import (
	"os"
	"path/filepath"
	"strconv"
)

// hasSystemKeyring reports whether there is a session bus to find one on. Without
// that question the D-Bus library would launch a bus of its own.
func hasSystemKeyring() bool {
	if bus := os.Getenv("DBUS_SESSION_BUS_ADDRESS"); bus != "" && bus != "autolaunch:" {
		return true
	}
	return exists(filepath.Join("/run/user", strconv.Itoa(os.Getuid()), "bus"))
}
