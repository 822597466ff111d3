//go:build !windows

package mdns

import "earshot/discovery"

// announcedIPs returns nil: each answer then carries the addresses of the interface the question came in on.
func announcedIPs([]discovery.Interface) []string { return nil }
