package mdns

import "earshot/discovery"

// announcedIPs returns the addresses of all usable interfaces. Windows does not tell which interface a question came
// in on (golang/go#7175), and an answer without addresses is ignored by everyone.
func announcedIPs(usable []discovery.Interface) []string {
	var out []string
	for _, it := range usable {
		for _, p := range it.Prefixes {
			if len(out) < maxAddrs {
				out = append(out, p.Addr().WithZone("").String())
			}
		}
	}
	return out
}
