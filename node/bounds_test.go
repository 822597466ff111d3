package node

import (
	"slices"
	"testing"
	"time"

	"earshot/chat"
	"earshot/node/store"
)

// A test at each limit that others, or a flood of keys, can reach.

// However many strangers say hello, the disk remembers so many devices, and those of
// the acquainted outlast them.
func TestStrangersDoNotFillTheDisk(t *testing.T) {
	n := alone(t, t.TempDir())
	foe := numbered(1 << 20)
	if err := n.do(t.Context(), func(c *core) { c.meet(foe, personNo(1<<20), "Eve", time.Unix(1, 0)) }); err != nil {
		t.Fatal(err)
	}
	if err := n.BlockPerson(t.Context(), personNo(1<<20)); err != nil {
		t.Fatal(err)
	}
	const page = 512
	most := 0
	for from := 0; from < chat.MaxRememberedDevices+page; from += page {
		if err := n.do(t.Context(), func(c *core) {
			for i := from; i < from+page; i++ {
				d := numbered(i)
				c.meet(d, personNo(i), "A stranger", c.now)
				c.people.devices[d].lastSeen = c.now.Add(time.Duration(i))
				c.keepDevice(d)
			}
		}); err != nil {
			t.Fatal(err)
		}
		if from < chat.MaxRememberedDevices-4*page {
			continue
		}
		settle(t, n)
		rows, err := n.store.Devices(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		most = max(most, len(rows))
		for _, d := range []chat.DeviceID{n.device, foe, numbered(from + page - 1)} {
			if !slices.ContainsFunc(rows, func(r store.DeviceRow) bool { return r.Device == d }) {
				t.Fatalf("after %d, %s is forgotten", from+page, d.Short())
			}
		}
	}
	if most > chat.MaxRememberedDevices || most < chat.MaxRememberedDevices/4*3 {
		t.Errorf("%d devices were remembered", most)
	}
}

// settle waits until what the store was told is stored.
func settle(t *testing.T, n *Node) {
	t.Helper()
	stored := make(chan error, 1)
	n.store.TouchDevices(nil, func(err error) { stored <- err })
	if err := <-stored; err != nil {
		t.Fatal(err)
	}
}
