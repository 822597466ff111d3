package desktop

import (
	"bytes"
	"strconv"
	"time"
)

// This file reads what macOS prints of its registry of devices. It stands apart so that
// it is tested on every system.

// hidIdle returns for how long nobody has touched a Mac, from what `ioreg -r -c IOHIDSystem -d1`
// prints: the smallest of all HIDIdleTime, in nanoseconds.
func hidIdle(out []byte) (idle time.Duration, ok bool) {
	for line := range bytes.Lines(out) {
		value, found := ioregValue(line, "HIDIdleTime")
		if !found {
			continue
		}
		nanos, err := strconv.ParseInt(string(value), 10, 64)
		if err == nil && nanos >= 0 && (!ok || time.Duration(nanos) < idle) {
			idle, ok = time.Duration(nanos), true
		}
	}
	return idle, ok
}

// consoleLocked reports whether the screen of a Mac is locked, from what
// `ioreg -n Root -d1` prints. Where it does not say so, it is not.
func consoleLocked(out []byte) bool {
	for line := range bytes.Lines(out) {
		if value, found := ioregValue(line, "IOConsoleLocked"); found {
			return string(value) == "Yes"
		}
	}
	return false
}

// ioregValue returns the value of a line such as `  | "HIDIdleTime" = 1234`.
func ioregValue(line []byte, key string) ([]byte, bool) {
	_, value, found := bytes.Cut(line, []byte(`"`+key+`" = `))
	return bytes.TrimSpace(value), found
}
