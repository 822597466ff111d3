package node

import (
	"crypto/ed25519"
	"encoding/binary"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"earshot/chat"
	"earshot/chat/wire"
)

// Whatever finds no place on a stream, and whatever room, day and company it is for:
// what comes at the other end is what was given, with its tag and its cover.
func TestWhatIsGivenOnAStreamArrivesAsItWasGiven(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	rapid.Check(t, func(t *rapid.T) {
		var heads [2]wire.Header // of two logs
		for i := range heads {
			salt := make([]byte, wire.SaltSize)
			salt[0] = byte(i)
			var d chat.DeviceID
			copy(d[:], key.Public().(ed25519.PublicKey))
			log := chat.NewLogID(d, salt)
			heads[i] = wire.Header{Log: log, Ref: chat.OpenRoom("#x").Ref(log), Seq: 1, HLC: 1, Kind: wire.KindOpen}
		}
		var sender, receiver lastDirect
		brief := 0
		for range rapid.IntRange(1, 20).Draw(t, "entries") {
			h := &heads[rapid.IntRange(0, 1).Draw(t, "log")]
			e, err := wire.Sign(key, *h, []byte{1, byte(h.Seq)})
			if err != nil {
				t.Fatal(err)
			}
			h.Seq, h.Prev, h.HLC, h.Kind = h.Seq+1, e.ID, h.HLC+1, wire.KindMessage
			g := gift{
				entry: &e, cover: rapid.Uint64Range(1, 2).Draw(t, "cover"),
				tag: chat.RoomTag{1, rapid.ByteRange(1, 2).Draw(t, "tag")},
			}
			// Another stream may have had other things on it.
			other := lastDirect{}
			if rapid.Bool().Draw(t, "another first") {
				_ = g.on(&other)
			}
			frame := g.on(&sender)
			if rapid.IntRange(0, 3).Draw(t, "room") == 0 {
				continue // it found no place, and catch-up brings it
			}
			sender = newLastDirect(g.cover, g.tag, &e)
			f, err := wire.DecodeFrame(frame)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := f.(wire.Next); ok {
				brief++
			}
			tag, got, cover, err := receiver.read(f)
			if err != nil {
				t.Fatal(err)
			}
			if err := got.Verify(); err != nil || tag != g.tag || cover != g.cover || !reflect.DeepEqual(*got, e) {
				t.Fatalf("got %v of %x and %d (%v), was given %v of %x and %d", got, tag, cover, err, &e, g.tag, g.cover)
			}
			receiver = newLastDirect(cover, tag, got)
		}
		t.Logf("%d came as what follows", brief)
	})
}

// What follows from an entry is a part of what the whole takes.
func TestWhatFollowsOnAStreamIsBrief(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	log := chat.LogID{1}
	first, err := wire.Sign(key, wire.Header{Log: log, Seq: 1, HLC: 1, Kind: wire.KindOpen}, []byte{1})
	if err != nil {
		t.Fatal(err)
	}
	e, err := wire.Sign(key, wire.Header{Log: log, Seq: 2, Prev: first.ID, HLC: chat.HLC(1 << 50), Kind: wire.KindMessage, Epoch: 1 << 60}, []byte{1})
	if err != nil {
		t.Fatal(err)
	}
	last := newLastDirect(7, chat.RoomTag{2}, &first)
	whole := (&gift{entry: &e, cover: 7, tag: chat.RoomTag{2}}).on(&lastDirect{})
	next := (&gift{entry: &e, cover: 7, tag: chat.RoomTag{2}}).on(&last)
	if len(next) > len(whole)-180 {
		t.Errorf("%d bytes instead of %d", len(next), len(whole))
	}
	if got := (&gift{entry: &e, cover: 8, tag: chat.RoomTag{2}}).on(&last); len(got) != len(next)+2+wire.CoverSize {
		t.Errorf("%d bytes with a cover, %d without", len(got), len(next))
	}
	// Nothing stands for another tag or an entry that is not its predecessor.
	for name, before := range map[string]lastDirect{
		"tag": newLastDirect(7, chat.RoomTag{3}, &first), "itself": newLastDirect(7, chat.RoomTag{2}, &e),
	} {
		if got := (&gift{entry: &e, cover: 7, tag: chat.RoomTag{2}}).on(&before); len(got) != len(whole) {
			t.Errorf("%s: %d bytes, want all %d", name, len(got), len(whole))
		}
	}
	if binary.BigEndian.Uint64(mustDirect(t, whole).Cover) != 7 {
		t.Error("another cover")
	}
}

func mustDirect(t *testing.T, frame []byte) wire.Direct {
	t.Helper()
	f, err := wire.DecodeFrame(frame)
	if err != nil {
		t.Fatal(err)
	}
	return f.(wire.Direct)
}
