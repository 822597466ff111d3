package store

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"earshot/chat"
)

// Strangers who said hello and no more go before anybody of whom something is kept, the
// longest unseen first.
func TestForgettingDevicesTakesNobodyOfWhomSomethingIsKept(t *testing.T) {
	s := openStore(t, t.TempDir())
	room, _ := putRoom(t, s, "#office", true)
	row := func(name string, seen int) DeviceRow {
		w := newWriter(room, name)
		return DeviceRow{Device: w.device, Person: w.person, Name: name, LastSeen: noon.Time().Add(time.Duration(seen) * time.Minute)}
	}
	for i, name := range []string{"myself", "a friend", "an author", "an early author", "a reader"} {
		putDevice(t, s, row(name, i))
	}
	for i := range 10 {
		putDevice(t, s, row(fmt.Sprint("stranger ", i), 100-i))
	}
	author, open := opened(room, "an author", noon)
	mustStore(t, s, open, author.say(noon+1, "here I am"))
	ahead, _ := opened(room, "an early author", noon)
	ahead.say(noon+1, "the first, which is not here")
	second := ahead.say(noon+2, "the second")
	mustPutEarly(t, s, second)
	reader := row("a reader", 0)
	s.putReceipts(t, []Receipt{{Room: room, Device: reader.Device, Person: reader.Person, Kind: 1, Version: 1, Marks: []byte{1}, Sig: []byte{2}}}, nil)

	known := map[chat.PersonID]struct{}{row("a friend", 0).Person: {}}
	forget := func(keep int, want ...string) {
		t.Helper()
		c := make(chan error, 1)
		s.ForgetDevices(row("myself", 0).Person, known, keep, func(err error) { c <- err })
		if err := <-c; err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, d := range must(s.Devices(t.Context()))(t) {
			names = append(names, d.Name)
		}
		if got := strings.Join(names, ", "); got != strings.Join(want, ", ") {
			t.Errorf("there are %s", got)
		}
	}
	kept := []string{"myself", "a friend", "an author", "an early author", "a reader"}
	forget(4, append(kept, "stranger 0", "stranger 1", "stranger 2")...)
	forget(1, kept...)
	forget(0, append(kept[:1:1], kept[2:]...)...)
	wantTexts(t, must(s.Messages(t.Context(), room, MessageQuery{}))(t), "here I am", "the second")
	// Who comes again is remembered again.
	putDevice(t, s, row("stranger 9", 0))
	forget(1, append(append(kept[:1:1], kept[2:]...), "stranger 9")...)
}
