package seal

import (
	"bytes"
	"slices"
	"testing"

	"earshot/chat"
	"earshot/chat/identity"
	"earshot/chat/wire"
)

func TestLayoutsThatBreakTheRulesAreRefused(t *testing.T) {
	v := readVectors(t)
	room := chat.RoomID(v.Chosen.Room)
	type refused map[string][]byte
	check := func(what string, good []byte, decode func([]byte) error, bad refused) {
		t.Helper()
		if err := decode(good); err != nil {
			t.Fatalf("%s: a good one is refused: %v", what, err)
		}
		bad["nothing"] = nil
		bad["cut"] = good[:len(good)-1]
		bad["more behind"] = append(bytes.Clone(good), 0)
		for name, b := range bad {
			if err := decode(b); chat.CodeOf(err) != chat.CodeInvalid {
				t.Errorf("%s, %s: %v", what, name, err)
			}
		}
	}

	base := rawShare{Suite: Suite, N: 1, Commit: make([]byte, 32), View: make([]byte, 32), Slots: []rawSlot{
		{To: []byte("recipien"), Key: make([]byte, idSize), Box: make([]byte, boxSize)},
		{To: []byte("to other"), Key: make([]byte, freshSize), Box: make([]byte, boxSize)},
	}}
	spoil := func(change func(*rawShare)) []byte {
		s := base
		s.Slots = slices.Clone(base.Slots)
		change(&s)
		return wire.Marshal(s)
	}
	check("share", wire.Marshal(base), func(b []byte) error { _, err := decodeShare(room, b); return err }, refused{
		"another suite":    spoil(func(s *rawShare) { s.Suite = 2 }),
		"a far point":      spoil(func(s *rawShare) { s.N = MaxMessages }),
		"a short commit":   spoil(func(s *rawShare) { s.Commit = s.Commit[1:] }),
		"a long view":      spoil(func(s *rawShare) { s.View = make([]byte, 33) }),
		"no slots":         spoil(func(s *rawShare) { s.Slots = nil }),
		"slots descend":    spoil(func(s *rawShare) { slices.Reverse(s.Slots) }),
		"one slot twice":   spoil(func(s *rawShare) { s.Slots[1] = s.Slots[0] }),
		"a short name":     spoil(func(s *rawShare) { s.Slots[0].To = []byte("x") }),
		"a key of 9 bytes": spoil(func(s *rawShare) { s.Slots[0].Key = make([]byte, 9) }),
		"a short enc":      spoil(func(s *rawShare) { s.Slots[1].Key = make([]byte, freshSize-1) }),
		"a short box":      spoil(func(s *rawShare) { s.Slots[0].Box = make([]byte, boxSize-1) }),
		"too many slots":   spoil(func(s *rawShare) { s.Slots = make([]rawSlot, 5000) }),
	})

	box := func(n int) []byte { return wire.Marshal(sealed{Suite: Suite, Box: make([]byte, n)}) }
	check("sealed", box(nonceSize+tagSize+64), func(b []byte) error { _, err := decodeSealed(b); return err }, refused{
		"another suite":       wire.Marshal(sealed{Suite: 2, Box: make([]byte, nonceSize+tagSize+64)}),
		"a far number":        wire.Marshal(sealed{Suite: Suite, N: MaxMessages, Box: make([]byte, nonceSize+tagSize+64)}),
		"no box":              box(0),
		"no text":             box(nonceSize + tagSize),
		"no bucket":           box(nonceSize + tagSize + 65),
		"more than the limit": box(nonceSize + tagSize + MaxPlaintext + 1 + 512),
	})

	body := rawPrekeyBody{Suite: Suite, Device: make([]byte, 32), Public: make([]byte, kemPublic), Created: 1}
	prekey := func(change func(*rawPrekeyBody), sig int) []byte {
		b := body
		change(&b)
		return wire.Marshal(rawPrekey{Body: wire.Marshal(b), Sig: make([]byte, sig)})
	}
	same := func(*rawPrekeyBody) {}
	bad := refused{
		"another suite":           prekey(func(b *rawPrekeyBody) { b.Suite = 0 }, 64),
		"a short signature":       prekey(same, 63),
		"a short device":          prekey(func(b *rawPrekeyBody) { b.Device = b.Device[1:] }, 64),
		"a key of another scheme": prekey(func(b *rawPrekeyBody) { b.Public = make([]byte, 32) }, 64),
		"the year 10000":          prekey(func(b *rawPrekeyBody) { b.Created = maxSeconds + 1 }, 64),
		"over the limit":          prekey(func(b *rawPrekeyBody) { b.Public = make([]byte, MaxPrekey) }, 64),
		"no body":                 wire.Marshal(rawPrekey{Sig: make([]byte, 64)}),
	}
	check("prekey", v.Prekey, func(b []byte) error { _, err := ParsePrekey(b); return err }, bad)
	inRequest := refused{"another suite": wire.Marshal(request{Suite: 2, Prekey: v.Prekey})}
	for name, b := range bad {
		inRequest["with a prekey: "+name] = wire.Marshal(request{Suite: Suite, Prekey: b})
	}
	check("request", v.Request, func(b []byte) error { _, err := decodeRequest(b); return err }, inRequest)
}

func TestEverySealedSizeFitsAnEntry(t *testing.T) {
	alice := newMember(t, "alice")
	alice.share(office)
	for _, n := range []int{0, 1, 63, 64, 1023, 1024, chat.MaxText, MaxPlaintext} {
		sent := alice.say(office, string(make([]byte, n)))
		if len(sent) == 0 || len(sent[len(sent)-1].Payload) > chat.MaxPayload {
			t.Errorf("%d bytes do not fit", n)
		}
	}
	// What a message takes beside its text must leave room for the longest.
	if longest := len(wire.Marshal(wire.Message{Text: string(make([]byte, chat.MaxText))})); longest > MaxPlaintext {
		t.Errorf("the longest message takes %d bytes, over %d", longest, MaxPlaintext)
	}
	// The largest share that is not split.
	for n := range 300 {
		s := share{}
		for i := range n {
			s.Slots = append(s.Slots, slot{To: shortID{byte(i >> 8), byte(i)}, Key: make([]byte, idSize), Box: make([]byte, boxSize)})
		}
		slots := 0
		for _, p := range encodeShare(office, s) {
			back, err := decodeShare(office, p)
			if err != nil || len(p) > chat.MaxPayload {
				t.Fatalf("%d slots: %d bytes, %v", n, len(p), err)
			}
			slots += len(back.Slots)
		}
		if slots != n {
			t.Fatalf("%d slots became %d", n, slots)
		}
	}
}

func TestARoomOfTooManyDevicesIsDenied(t *testing.T) {
	alice := newMember(t, "alice")
	var in Recipients
	in.Room = office
	for i := range MaxDevices + 1 {
		in.Devices = append(in.Devices, Recipient{Certificate: identity.Certificate{Device: chat.DeviceID{1, byte(i >> 8), byte(i)}}})
	}
	alice.do(in)
	alice.say(office, "x")
	if d, ok := last[Deny](alice); !ok || chat.CodeOf(d.Err) != chat.CodeBusy {
		t.Errorf("denied with %+v", d)
	}
}
