package lab_test

import (
	"slices"
	"testing"
	"time"

	"earshot/node/lab"
)

// A second device reads along, speaks as the same person, and reads nothing that is
// said once it has been revoked.
func TestAnotherDeviceReadsAlongUntilItIsRevoked(t *testing.T) {
	w := newWorld(t)
	ann, bob := w.named("host1", "Ann"), w.named("host2", "Bob")
	phone := w.station("phone", lab.Dual)
	meet(5*time.Second, ann, bob, phone)
	befriend(ann, bob)
	id := ann.direct(bob)
	ann.says(id, "before the phone")
	bob.comesToRead(id, "before the phone", 10*time.Second)

	add, err := ann.host.Start(t.Context(), ann.command("device", "add", "--yes", "--json"))
	if err != nil {
		t.Fatal(err)
	}
	shown, _, err := lab.AwaitJSON(within(t, 10*time.Second), add.Stdout.Reader(), func(p struct{ Code string }) bool { return p.Code != "" })
	if err != nil {
		t.Fatal(err)
	}
	phone.stop()
	phone.do("device", "join", shown.Code, "--yes", "--label", "phone")
	if code, err := add.Wait(within(t, 10*time.Second)); err != nil || code != 0 {
		t.Fatalf("device add ended with %d (%v): %s", code, err, add.Stderr.String())
	}
	phone.person = ""
	phone.start()
	if phone.person != ann.person || phone.device == ann.device {
		t.Fatalf("the phone is %s of %s, not a device of %s", phone.device, phone.person, ann.person)
	}
	eventually(t, 20*time.Second, "the phone has the chat with bob", func() bool { return phone.has(id) })
	phone.comesToRead(id, "before the phone", 20*time.Second)
	bob.says(id, "to both devices")
	for _, s := range []*station{ann, phone} {
		s.comesToRead(id, "to both devices", 10*time.Second)
	}
	phone.says(id, "from the phone")
	for _, s := range []*station{ann, bob} {
		s.comesToRead(id, "from the phone", 10*time.Second)
	}

	ann.do("device", "revoke", "phone", "--yes")
	eventually(t, 10*time.Second, "the phone is revoked", func() bool {
		var all struct {
			Devices []struct {
				Device  string
				Revoked bool
			}
		}
		ann.api("GET", "/devices", nil, &all)
		return slices.ContainsFunc(all.Devices, func(d struct {
			Device  string
			Revoked bool
		},
		) bool {
			return d.Device == phone.device && d.Revoked
		})
	})
	ann.says(id, "henceforth1 from ann")
	bob.comesToRead(id, "henceforth1 from ann", 10*time.Second)
	bob.says(id, "henceforth2 from bob")
	ann.comesToRead(id, "henceforth2 from bob", 10*time.Second)
	// What a stranger says in the open afterwards comes after it.
	cid := w.station("cid", lab.Dual)
	cid.sees(phone, true, 10*time.Second)
	cid.send("in the open")
	phone.hears("in the open", 10*time.Second)
	phone.knowsNothingOf(id, "in the open", "henceforth1", "henceforth2")
}
