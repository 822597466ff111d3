package wire

import (
	"crypto/ed25519"
	"reflect"
	"testing"

	"earshot/chat"
)

// branches are entries 1 and 2 of a log, another 2, and what follows each.
func branches(t testing.TB) (open, one, other, afterOne, afterOther Entry) {
	t.Helper()
	key := ed25519.NewKeyFromSeed(fill(32, 7))
	sign := func(seq uint64, prev chat.EntryID, kind Kind, text string) Entry {
		e, err := Sign(key, Header{Log: chat.LogID(fill(16, 3)), Ref: chat.RoomRef(fill(16, 4)), Seq: seq, Prev: prev, HLC: chat.HLC(1_767_225_600_000_000 + seq), Kind: kind}, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	open = sign(1, chat.EntryID{}, KindOpen, "open")
	one, other = sign(2, open.ID, KindMessage, "one"), sign(2, open.ID, KindMessage, "other")
	return open, one, other, sign(3, one.ID, KindMessage, "after"), sign(3, other.ID, KindMessage, "after")
}

func troubleFrames(t testing.TB) map[string]Frame {
	_, one, other, _, afterOther := branches(t)
	tag := chat.RoomTag(fill(16, 0xda))
	return map[string]Frame{
		"full":           Full{Full: true},
		"full-no-more":   Full{},
		"evidence":       NewEvidence(tag, &one, &other),
		"evidence-after": NewEvidence(tag, &one, &afterOther),
	}
}

func TestFramesOfTroubleDoNotChange(t *testing.T) {
	for name, f := range troubleFrames(t) {
		golden(t, "frame-"+name, EncodeFrame(f))
		got, err := DecodeFrame(readGolden(t, "frame-"+name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !reflect.DeepEqual(got, f) {
			t.Errorf("%s: got %#v, want %#v", name, got, f)
		}
	}
}

func TestEvidenceOfNothingIsRefused(t *testing.T) {
	open, one, other, afterOne, afterOther := branches(t)
	tag := chat.RoomTag(fill(16, 0xda))
	ev := func(a, b Entry) Evidence { return NewEvidence(tag, &a, &b) }
	for name, f := range map[string]Evidence{
		"an entry and itself":      ev(one, one),
		"one that follows":         ev(one, afterOne),
		"the first and the second": ev(open, other),
		"further apart":            ev(open, afterOther),
		"in the wrong order":       ev(afterOther, one),
		"no header":                {Tag: tag[:], One: ev(one, other).One, Two: SignedHeader{Head: []byte{}, Sig: fill(64, 1)}},
		"no tag":                   {Tag: []byte{}, One: ev(one, other).One, Two: ev(one, other).Two},
	} {
		if _, err := DecodeFrame(EncodeFrame(f)); chat.CodeOf(err) != chat.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	good := ev(one, other)
	if a, b, err := good.Headers(); err != nil || a.ID != one.ID || b.ID != other.ID {
		t.Errorf("%v, %v, %v", a.ID, b.ID, err)
	}
	// Nobody convicts a device of what it has not signed.
	for _, h := range []*SignedHeader{&good.One, &good.Two} {
		h.Sig = append([]byte(nil), h.Sig...)
		h.Sig[5] ^= 1
		if _, _, err := good.Headers(); chat.CodeOf(err) != chat.CodeInvalid {
			t.Error("a forged signature passes")
		}
		h.Sig[5] ^= 1
	}
}
