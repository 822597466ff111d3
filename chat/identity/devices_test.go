package identity

import (
	"bytes"
	"crypto/ed25519"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"earshot/chat"
)

// listed returns devices with these keys, in the order of a list.
func listed(keys ...byte) (out []ListedDevice) {
	for _, k := range keys {
		out = append(out, ListedDevice{Device: device(k), Label: string('a' + rune(k)), Prekey: []byte{k}})
	}
	slices.SortFunc(out, func(a, b ListedDevice) int { return bytes.Compare(a.Device[:], b.Device[:]) })
	return out
}

func ids(devices []ListedDevice) (out []chat.DeviceID) {
	for _, d := range devices {
		out = append(out, d.Device)
	}
	return out
}

// person is one with the root key 1 and what its first device knows.
func person(t testing.TB, steps ...[]ListedDevice) (*Registry, []DeviceList) {
	t.Helper()
	r := NewRegistry(rootOf(1))
	var lists []DeviceList
	for i, devices := range steps {
		l, err := r.Sign(key(1), issued.Add(time.Duration(i)*time.Hour), devices)
		if err != nil {
			t.Fatal(err)
		}
		take(t, r, l)
		lists = append(lists, l)
	}
	return r, lists
}

func take(t testing.TB, r *Registry, l DeviceList) News {
	t.Helper()
	news, err := r.Take(l)
	if err != nil {
		t.Fatal(err)
	}
	return news
}

func TestGoldenDeviceLists(t *testing.T) {
	_, lists := person(t, listed(2), listed(2, 3), listed(3))
	type vector struct {
		Seed byte     `json:"root_seed_byte"` // the root's seed is 32 times this
		List hexBytes `json:"list"`
		Hash hexBytes `json:"hash"`
	}
	var got []vector
	for _, l := range lists {
		hash := l.Hash()
		got = append(got, vector{1, l.Bytes(), hash[:]})
	}
	published(t, "devices.json", got)
}

func TestADeviceListIsReadAsItWasSigned(t *testing.T) {
	_, lists := person(t, listed(2, 3, 4), listed(3))
	for _, want := range lists {
		got, err := ParseDevices(want.Bytes())
		if err != nil || !reflect.DeepEqual(got, want) || got.Verify() != nil || got.Person() != Person(public(1)) {
			t.Errorf("%+v, %v, want %+v", got, err, want)
		}
	}
	if l := lists[1]; l.Seq != 2 || l.Prev != lists[0].Hash() || len(l.Revoked) != 2 || !reflect.DeepEqual(l.Devices, listed(3)) {
		t.Errorf("%+v", l)
	}
}

func TestTheLargestDeviceListFits(t *testing.T) {
	r := NewRegistry(rootOf(1))
	var devices []ListedDevice
	for i := range byte(MaxDevices) {
		devices = append(devices, ListedDevice{
			Device: chat.DeviceID{i}, Label: strings.Repeat("x", MaxLabel), Prekey: make([]byte, MaxPrekey),
		})
	}
	for i := range byte(MaxRevoked) {
		r.revoked[chat.DeviceID{0xff, i}] = struct{}{}
	}
	l, err := r.Sign(key(1), time.Unix(maxIssued, 0), devices)
	if err != nil || len(l.Bytes()) > 26_000 {
		t.Fatalf("%d bytes, %v", len(l.Bytes()), err)
	}
	take(t, r, l)
	if _, err := r.Sign(key(1), issued, devices[1:]); chat.CodeOf(err) != chat.CodeBusy {
		t.Errorf("more revoked than a list holds: %v", err)
	}
	if _, err := r.Sign(key(1), issued, append(devices, ListedDevice{Device: chat.DeviceID{0x77}})); chat.CodeOf(err) != chat.CodeBusy {
		t.Errorf("more devices than a list holds: %v", err)
	}
}

func TestSigningADeviceListRefuses(t *testing.T) {
	r := NewRegistry(rootOf(1))
	long := listed(2)
	long[0].Label = strings.Repeat("x", MaxLabel+1)
	big := listed(2)
	big[0].Prekey = make([]byte, MaxPrekey+1)
	for name, c := range map[string]struct {
		key     ed25519.PrivateKey
		devices []ListedDevice
	}{
		"another root": {key(2), listed(2)}, "no key": {nil, listed(2)}, "a long label": {key(1), long},
		"a large prekey": {key(1), big}, "a device twice": {key(1), append(listed(2), listed(2)...)},
	} {
		if _, err := r.Sign(c.key, issued, c.devices); err == nil {
			t.Errorf("%s is signed", name)
		}
	}
}

func TestDeviceListsThatBreakTheRulesAreRefused(t *testing.T) {
	_, lists := person(t, listed(2), listed(3))
	good := lists[1].Bytes()
	root := rootOf(1)
	prev := make([]byte, 32)
	d := func(b byte) rawDevice { return rawDevice{Device: bytes.Repeat([]byte{b}, 32), Prekey: []byte{}} }
	base := listBody{Version: 1, Root: root[:], Seq: 2, Prev: prev, Issued: 1, Devices: []rawDevice{d(1), d(2)}, Revoked: [][]byte{d(3).Device}}
	wrap := func(b any) []byte {
		return must(encMode.Marshal(envelope{Body: must(encMode.Marshal(b)), Sig: make([]byte, 64)}))
	}
	with := func(f func(*listBody)) []byte {
		b := base
		f(&b)
		return wrap(b)
	}
	if _, err := ParseDevices(wrap(base)); err != nil {
		t.Fatalf("the bad ones are built on this one: %v", err)
	}
	for name, bad := range map[string][]byte{
		"nothing":            nil,
		"bytes behind":       append(bytes.Clone(good), 0),
		"the end missing":    good[:len(good)-1],
		"too much":           make([]byte, MaxDeviceList+1),
		"a certificate":      sign(t, "").Bytes(),
		"a short signature":  must(encMode.Marshal(envelope{Body: must(encMode.Marshal(base)), Sig: make([]byte, 63)})),
		"another version":    with(func(b *listBody) { b.Version = 2 }),
		"a short root":       with(func(b *listBody) { b.Root = b.Root[:31] }),
		"number 0":           with(func(b *listBody) { b.Seq = 0 }),
		"the last number":    with(func(b *listBody) { b.Seq = maxListSeq + 1 }),
		"1 after another":    with(func(b *listBody) { b.Seq = 1 }),
		"2 after nothing":    with(func(b *listBody) { b.Prev = nil }),
		"a far future":       with(func(b *listBody) { b.Issued = maxIssued + 1 }),
		"a long device":      with(func(b *listBody) { b.Devices = []rawDevice{{Device: make([]byte, 33), Prekey: []byte{}}} }),
		"devices descending": with(func(b *listBody) { b.Devices = []rawDevice{d(2), d(1)} }),
		"a device twice":     with(func(b *listBody) { b.Devices = []rawDevice{d(1), d(1)} }),
		"no prekey":          with(func(b *listBody) { b.Devices = []rawDevice{{Device: prev}} }),
		"a large prekey":     with(func(b *listBody) { b.Devices = []rawDevice{{Device: prev, Prekey: make([]byte, MaxPrekey+1)}} }),
		"a long label": with(func(b *listBody) {
			b.Devices = []rawDevice{{Device: prev, Label: strings.Repeat("x", MaxLabel+1), Prekey: []byte{}}}
		}),
		"a revoked one in use": with(func(b *listBody) { b.Revoked = [][]byte{d(2).Device} }),
		"a short revoked one":  with(func(b *listBody) { b.Revoked = [][]byte{{1}} }),
		"revoked descending":   with(func(b *listBody) { b.Revoked = [][]byte{d(9).Device, d(8).Device} }),
		"too many devices": with(func(b *listBody) {
			b.Devices = nil
			for i := range byte(MaxDevices + 1) {
				b.Devices = append(b.Devices, d(i+10))
			}
		}),
		"too many revoked": with(func(b *listBody) {
			b.Revoked = nil
			for i := range byte(MaxRevoked + 1) {
				b.Revoked = append(b.Revoked, d(i+10).Device)
			}
		}),
		"an unknown key": wrap(map[int]any{1: 1, 2: root[:], 3: 1, 5: 1, 9: 1}),
	} {
		if _, err := ParseDevices(bad); chat.CodeOf(err) != chat.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A signature of another kind by the same root is none.
	l, err := ParseDevices(must(encMode.Marshal(envelope{
		Body: lists[1].body, Sig: ed25519.Sign(key(1), append([]byte(domainCertificate), lists[1].body...)),
	})))
	if err != nil || l.Verify() == nil {
		t.Errorf("a signature for a certificate counts for a list: %v", err)
	}
	for _, l := range []DeviceList{l, {}, func() DeviceList { l := lists[1]; l.Root = rootOf(7); return l }()} {
		if _, err := NewRegistry(rootOf(1)).Take(l); chat.CodeOf(err) != chat.CodeInvalid {
			t.Errorf("a list that the root did not sign was taken: %v", err)
		}
	}
}

func TestARevokedDeviceIsNeverInUseAgain(t *testing.T) {
	mine, lists := person(t, listed(2, 3), listed(2))
	if mine.Standing(device(3)) != Revoked || mine.Standing(device(2)) != InUse || mine.Standing(device(9)) != Unlisted {
		t.Fatal("standing")
	}
	if _, err := mine.Sign(key(1), issued, listed(2, 3)); chat.CodeOf(err) != chat.CodeDenied {
		t.Errorf("a revoked device is signed again: %v", err)
	}
	// A copy of the root key signs what the true one refuses to.
	forger := NewRegistry(rootOf(1))
	take(t, forger, lists[0])
	var forged DeviceList
	for range 3 {
		l, err := forger.Sign(key(1), issued, listed(2, 3))
		if err != nil {
			t.Fatal(err)
		}
		take(t, forger, l)
		forged = l
	}
	news := take(t, mine, forged)
	if forged.Seq != 4 || !news.Newer || news.Alarm == nil || !mine.Alarmed() {
		t.Errorf("a higher list that brings back a revoked device: %+v", news)
	}
	if mine.Standing(device(3)) != Revoked || !reflect.DeepEqual(ids(mine.InUse()), []chat.DeviceID{device(2)}) {
		t.Error("a revoked device is in use again")
	}
	// Who saw the forged list first learns the revocation late, and for ever.
	late := NewRegistry(rootOf(1))
	take(t, late, forged)
	if news := take(t, late, lists[1]); news.Newer || news.Alarm == nil || !reflect.DeepEqual(news.Revoked, []chat.DeviceID{device(3)}) {
		t.Errorf("an older list that revokes: %+v", news)
	}
	if late.Standing(device(3)) != Revoked {
		t.Error("an older list does not revoke")
	}
}

func TestAnOlderListDoesNotReplaceANewerOne(t *testing.T) {
	mine, lists := person(t, listed(2), listed(2, 3), listed(2, 3, 4))
	for _, l := range lists[:2] {
		if news := take(t, mine, l); !reflect.DeepEqual(news, News{}) {
			t.Errorf("%+v", news)
		}
	}
	if len(mine.InUse()) != 3 || mine.Alarmed() {
		t.Error("an older list took effect")
	}
	jump := NewRegistry(rootOf(1)) // lists in between need not be seen
	take(t, jump, lists[0])
	if news := take(t, jump, lists[2]); !news.Newer || len(news.Added) != 2 || news.Alarm != nil {
		t.Errorf("%+v", news)
	}
}

func TestTwoListsWithOneNumberRaiseTheAlarm(t *testing.T) {
	_, lists := person(t, listed(2, 3))
	a, b := NewRegistry(rootOf(1)), NewRegistry(rootOf(1))
	take(t, a, lists[0])
	take(t, b, lists[0])
	x, err := a.Sign(key(1), issued, listed(2)) // revokes 3
	if err != nil {
		t.Fatal(err)
	}
	y, err := a.Sign(key(1), issued, listed(3, 4)) // revokes 2
	if err != nil {
		t.Fatal(err)
	}
	take(t, a, x)
	take(t, b, y)
	if news := take(t, a, y); news.Alarm == nil {
		t.Error("no alarm")
	}
	if news := take(t, b, x); news.Alarm == nil {
		t.Error("no alarm")
	}
	if a.List().Hash() != b.List().Hash() || !reflect.DeepEqual(a.InUse(), b.InUse()) {
		t.Error("two who saw both keep different ones")
	}
	if a.Standing(device(2)) != Revoked || a.Standing(device(3)) != Revoked {
		t.Error("a revocation on a losing list is void")
	}
	// The person says what it was, and signs a list that settles it.
	a.Settle()
	for _, l := range []DeviceList{x, y, lists[0]} {
		if news := take(t, a, l); news.Alarm != nil {
			t.Errorf("settled, and again: %v", news.Alarm)
		}
	}
	next, err := a.Sign(key(1), issued, listed(5))
	if err != nil {
		t.Fatal(err)
	}
	if news := take(t, a, next); news.Alarm != nil || a.Alarmed() || !reflect.DeepEqual(news.Added, []chat.DeviceID{device(5)}) {
		t.Errorf("%+v", news)
	}
	if news := take(t, a, y); news.Alarm != nil {
		t.Error("what lost raises the alarm again")
	}
}

func TestAListThatDoesNotFollowRaisesTheAlarm(t *testing.T) {
	_, lists := person(t, listed(2), listed(2, 3))
	_, others := person(t, listed(4), listed(4, 5), listed(4, 5, 6))
	r := NewRegistry(rootOf(1))
	take(t, r, lists[1])
	if news := take(t, r, others[2]); news.Alarm == nil || !news.Newer {
		t.Errorf("number 3 follows another number 2: %+v", news)
	}
	r = NewRegistry(rootOf(1))
	take(t, r, lists[1])
	if news := take(t, r, others[0]); news.Alarm == nil || news.Newer {
		t.Errorf("number 1 is not what number 2 follows: %+v", news)
	}
}

func TestAFloodOfRevocationsTrustsNobody(t *testing.T) {
	r, _ := person(t, listed(2))
	for i := range byte(6) {
		f := NewRegistry(rootOf(1))
		for j := range byte(40) {
			f.revoked[chat.DeviceID{i, j, 1}] = struct{}{}
		}
		l, err := f.Sign(key(1), issued, listed(2))
		if err != nil {
			t.Fatal(err)
		}
		take(t, r, l)
	}
	if len(r.revoked) > maxUnion+1 || len(r.InUse()) != 0 || r.Standing(device(2)) != Revoked {
		t.Errorf("%d revocations kept, %d devices in use", len(r.revoked), len(r.InUse()))
	}
	again, err := LoadRegistry(r.Snapshot())
	if err != nil || !reflect.DeepEqual(again.Snapshot(), r.Snapshot()) || len(again.losers) != len(r.losers) {
		t.Errorf("a full registry can't be stored: %v", err)
	}
}

func TestARegistryIsStoredAndReadBack(t *testing.T) {
	r, lists := person(t, listed(2, 3), listed(2))
	got, err := LoadRegistry(r.Snapshot())
	if err != nil || got.Standing(device(3)) != Revoked || got.List().Hash() != lists[1].Hash() {
		t.Fatal(err)
	}
	if NewRegistry(rootOf(1)).Snapshot() != nil {
		t.Error("a snapshot of nothing")
	}
	bad := bytes.Clone(lists[0].Bytes())
	bad[len(bad)-1] ^= 1
	for name, b := range map[string][]byte{
		"nothing": nil, "too much": make([]byte, MaxDeviceList+maxSnapshot+1),
		"a bad signature": must(encMode.Marshal(snapshot{List: bad, Revoked: [][]byte{}, Losers: [][]byte{}})),
		"a short device":  must(encMode.Marshal(snapshot{List: lists[0].raw, Revoked: [][]byte{{1}}, Losers: [][]byte{}})),
		"a short hash":    must(encMode.Marshal(snapshot{List: lists[0].raw, Revoked: [][]byte{}, Losers: [][]byte{{1}}})),
	} {
		if _, err := LoadRegistry(b); chat.CodeOf(err) != chat.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever a root and a copy of it sign, and in whatever order it comes, all agree
// on the list and on who is revoked, and nobody who was revoked is in use.
func TestDeviceListsConvergeInAnyOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		branches := []*Registry{NewRegistry(rootOf(1)), NewRegistry(rootOf(1))}
		var all []DeviceList
		for range rapid.IntRange(1, 8).Draw(rt, "lists") {
			r := branches[rapid.IntRange(0, 1).Draw(rt, "branch")]
			var use []ListedDevice
			for k := byte(2); k < 7; k++ {
				if rapid.Bool().Draw(rt, "use") && r.Standing(device(k)) != Revoked {
					use = append(use, listed(k)...)
				}
			}
			l, err := r.Sign(key(1), issued, use)
			if err != nil {
				rt.Fatal(err)
			}
			if _, err := r.Take(l); err != nil {
				rt.Fatal(err)
			}
			all = append(all, l)
		}
		var first *Registry
		for range 2 {
			r := NewRegistry(rootOf(1))
			for _, l := range rapid.Permutation(all).Draw(rt, "order") {
				if _, err := r.Take(l); err != nil {
					rt.Fatal(err)
				}
			}
			for _, l := range all {
				for _, d := range l.Revoked {
					if r.Standing(d) != Revoked {
						rt.Fatalf("%s is not revoked", d.Short())
					}
				}
			}
			if first == nil {
				first = r
			} else if first.List().Hash() != r.List().Hash() || !reflect.DeepEqual(first.revoked, r.revoked) {
				rt.Fatal("they disagree")
			}
		}
	})
}

func FuzzParseDevices(f *testing.F) {
	_, lists := person(f, listed(2), listed(2, 3), listed(3))
	for _, l := range lists {
		f.Add(l.Bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := ParseDevices(b)
		if err != nil {
			if chat.CodeOf(err) != chat.CodeInvalid {
				t.Fatalf("error without code: %v", err)
			}
			return
		}
		if !bytes.Equal(l.Bytes(), b) || l.Seq == 0 || len(l.Devices) > MaxDevices {
			t.Fatalf("%+v", l)
		}
		_ = l.Verify() // must not panic
	})
}

func FuzzLoadRegistry(f *testing.F) {
	r, _ := person(f, listed(2, 3), listed(2))
	f.Add(r.Snapshot())
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := LoadRegistry(b); err == nil && r.Snapshot() == nil {
			t.Fatal("a registry of nothing")
		}
	})
}
