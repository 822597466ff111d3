package seal

import (
	"bytes"
	"testing"

	"earshot/chat"
	"earshot/chat/wire"
)

func wantInvalid(t *testing.T, err error) {
	t.Helper()
	if chat.CodeOf(err) != chat.CodeInvalid {
		t.Fatalf("an error that is not %q: %v", chat.CodeInvalid, err)
	}
}

func FuzzShare(f *testing.F) {
	v := readVectors(f)
	f.Add([]byte(v.Fresh))
	f.Add([]byte(v.Known))
	f.Add([]byte(v.Empty))
	room := chat.RoomID(v.Chosen.Room)
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decodeShare(room, b)
		if err != nil {
			wantInvalid(t, err)
			return
		}
		again := encodeShare(room, s)
		back, err := decodeShare(room, again[0])
		if err != nil || back.Commit != s.Commit || back.View != s.View || back.N != s.N {
			t.Fatalf("what was accepted is refused when written anew: %v", err)
		}
	})
}

func FuzzSealed(f *testing.F) {
	f.Add([]byte(readVectors(f).Payload))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decodeSealed(b)
		if err != nil {
			wantInvalid(t, err)
			return
		}
		if s.N >= MaxMessages || len(s.Box) < nonceSize+tagSize+64 {
			t.Fatalf("accepted against the rules: %d, %d bytes", s.N, len(s.Box))
		}
		if _, err := openBox(secret{}, s.Box, nil); err == nil {
			t.Fatal("it opened")
		}
	})
}

func FuzzPrekey(f *testing.F) {
	v := readVectors(f)
	f.Add([]byte(v.Prekey))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePrekey(b)
		if err != nil {
			wantInvalid(t, err)
			return
		}
		if !bytes.Equal(p.Bytes(), b) || len(p.public) != kemPublic {
			t.Fatal("the prekey does not keep its bytes")
		}
		if p.Verify() == nil && !bytes.Equal(p.Device[:], v.Recipient) {
			t.Fatal("a forged signature")
		}
	})
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte(readVectors(f).Request))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := decodeRequest(b); err != nil {
			wantInvalid(t, err)
		} else if p.IsZero() {
			t.Fatal("a request without prekey")
		}
	})
}

func FuzzUnpad(f *testing.F) {
	f.Add(pad([]byte("x")))
	f.Add(pad(make([]byte, 2000)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if text, err := unpad(b); err == nil && !bytes.Equal(pad(text), b) {
			t.Fatalf("%x has two forms", text)
		}
	})
}

// FuzzReceive hands an engine that holds a chain whatever its author may sign.
func FuzzReceive(f *testing.F) {
	v := readVectors(f)
	for _, p := range []octets{v.Fresh, v.Known, v.Empty, v.Request, v.Payload} {
		for _, k := range []wire.Kind{wire.KindMessage, wire.KindKeyShare, wire.KindKeyRequest} {
			f.Add(uint8(k), v.Chosen.Epoch, []byte(p))
		}
	}
	author := chat.DeviceID(v.Author)
	state := newMember(f, "bob").Snapshot()
	f.Fuzz(func(t *testing.T, kind uint8, epoch uint64, payload []byte) {
		if len(payload) > chat.MaxPayload {
			return
		}
		e, err := New(Config{Key: keyOf("bob"), Random: broken{}}, state)
		if err != nil {
			t.Fatal(err)
		}
		room := chat.RoomID(v.Chosen.Room)
		for range 2 {
			en := wire.Entry{Header: wire.Header{Device: author, Kind: wire.Kind(kind), Epoch: epoch}, Payload: payload}
			for _, out := range e.Handle(noon, Receive{Room: room, Entry: en}) {
				if o, ok := out.(Opened); ok {
					t.Fatalf("opened %q", o.Plaintext)
				}
			}
		}
	})
}

// FuzzGranted hands an engine that knows an author's commitment whatever a member
// may claim to be the key: only the one that was committed to opens anything.
func FuzzGranted(f *testing.F) {
	v := readVectors(f)
	author, room, true32 := chat.DeviceID(v.Author), chat.RoomID(v.Chosen.Room), secret(v.Chain[v.Chosen.Point].CK)
	f.Add([]byte(v.Author), v.Chosen.Epoch, v.Chosen.Point, true32[:])
	f.Add([]byte(v.Author), v.Chosen.Epoch, v.Chosen.Point+1, true32[:])
	f.Add([]byte(v.Recipient), uint64(0), uint64(1)<<63, []byte{})
	f.Fuzz(func(t *testing.T, device []byte, epoch, n uint64, key []byte) {
		e, err := New(Config{Key: keyOf("bob"), Random: broken{}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		e.Handle(noon, Recipients{Room: room, Keep: true})
		en := wire.Entry{Header: wire.Header{Device: author, Kind: wire.KindKeyShare, Epoch: v.Chosen.Epoch}, Payload: v.Empty}
		e.Handle(noon, Receive{Room: room, Entry: en})
		g := Grant{Epoch: epoch, N: n}
		copy(g.Device[:], device)
		copy(g.Key[:], key)
		isTrue := g == Grant{Device: author, Epoch: v.Chosen.Epoch, N: v.Chosen.Point, Key: true32}
		learned := false
		for _, out := range e.Handle(noon, Granted{Room: room, Grants: []Grant{g, g}}) {
			_, ok := out.(Learned)
			learned = learned || ok
		}
		if learned != isTrue || len(e.Grants(room)) > 1 || e.grants.count > 1 {
			t.Fatalf("learned: %v, true: %v", learned, isTrue)
		}
		if _, err := New(e.cfg, e.Snapshot()); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzState: a damaged disk is an error, and never a crash.
func FuzzState(f *testing.F) {
	alice, bob := newMember(f, "alice"), newMember(f, "bob")
	meet(office, alice, bob)
	sent := append(alice.say(office, "x"), alice.say(office, "y")...)
	bob.hear(office, sent[0], sent[2])
	bob.say(office, "z")
	_, archivist, _, _ := archive(f)
	for _, m := range []*member{bob, archivist} {
		for k, v := range m.state {
			f.Add(k, v)
		}
	}
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		e, err := New(bob.cfg, map[string][]byte{key: value})
		if err != nil {
			if chat.CodeOf(err) != chat.CodeHomeBroken {
				t.Fatal(err)
			}
			return
		}
		e.Handle(noon, Tick{})
		if _, err := New(bob.cfg, e.Snapshot()); err != nil {
			t.Fatalf("what was taken can't be read again: %v", err)
		}
	})
}
