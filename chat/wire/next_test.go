package wire

import (
	"crypto/ed25519"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"earshot/chat"
)

// chain draws entries of one log, in its order.
func chain(t *rapid.T, author ed25519.PrivateKey) (out []Entry) {
	log := chat.NewLogID(deviceOf(author), goldenSalt)
	h := Header{Log: log, Ref: goldenRoom.Ref(log), Seq: 1, HLC: chat.HLC(rapid.Uint64Range(1, 1<<50).Draw(t, "hlc")), Kind: KindOpen}
	for range rapid.IntRange(2, 6).Draw(t, "entries") {
		e, err := Sign(author, h, rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, "payload"))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
		h.Seq, h.Prev = h.Seq+1, e.ID
		h.HLC += chat.HLC(rapid.Uint64Range(1, 1<<40).Draw(t, "later"))
		h.Kind = Kind(rapid.SampledFrom([]uint8{2, 3, 16, 18, 255}).Draw(t, "kind"))
		h.Epoch = rapid.SampledFrom([]uint64{0, 1, 1 << 60}).Draw(t, "epoch")
		h.Deps = nil
		for i := range rapid.IntRange(0, chat.MaxDeps).Draw(t, "deps") {
			h.Deps = append(h.Deps, Dep{Log: chat.LogID(fill(16, byte(i+1))), Seq: rapid.Uint64Range(1, MaxSeq).Draw(t, "dep")})
		}
	}
	return out
}

func TestWhatIsSentOfTheNextEntryIsAllOfIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := chain(t, key("alice"))
		for i := range entries[1:] {
			before, e := &entries[i], &entries[i+1]
			n, ok := NextAfter(before, e)
			if !ok {
				t.Fatalf("%v does not follow %v", e, before)
			}
			f, err := DecodeFrame(EncodeFrame(n))
			if err != nil {
				t.Fatal(err)
			}
			n = f.(Next)
			got, err := n.Entry(&Entry{Header: before.Header, ID: before.ID})
			if err != nil {
				t.Fatal(err)
			}
			if err := got.Verify(); err != nil || !reflect.DeepEqual(got, *e) {
				t.Fatalf("got %#v, want %#v (%v)", got, *e, err)
			}
		}
	})
}

// It is refused or does not verify, so that nobody takes what was not signed.
func TestTheNextEntryBehindAnotherIsNotTaken(t *testing.T) {
	entries := goldenLog(t)
	n := next(t, &entries[1], &entries[2])
	h := Header{Log: entries[0].Log, Ref: entries[0].Ref, Seq: 2, Prev: entries[0].ID, HLC: entries[0].HLC + 5, Kind: KindMessage}
	fork, err := Sign(key("alice"), h, []byte("something else"))
	if err != nil {
		t.Fatal(err)
	}
	for name, before := range map[string]Entry{"its own": entries[2], "an earlier one": entries[0], "a fork": fork} {
		if e, err := n.Entry(&before); err == nil && e.Verify() == nil {
			t.Errorf("%s: taken as %v", name, &e)
		}
		if _, ok := NextAfter(&before, &entries[2]); ok {
			t.Errorf("%s: it is said to follow", name)
		}
	}
}

// A header of the future holds what this version would not write again.
func TestAnEntryWithAHeaderOfTheFutureIsSentWhole(t *testing.T) {
	entries := goldenLog(t)
	e := entries[2]
	e.Head = append([]byte(nil), e.Head...)
	e.Head[len(e.Head)-1] ^= 1
	if _, ok := NextAfter(&entries[1], &e); ok {
		t.Error("its header would be lost")
	}
}

func TestNextFramesThatBreakTheRulesAreRefused(t *testing.T) {
	zero, entries := uint64(0), goldenLog(t)
	sig, dep := fill(ed25519.SignatureSize, 1), rawDep{Log: fill(16, 1), Seq: 1}
	for name, n := range map[string]Next{
		"a short cover":         {Cover: fill(7, 1), Later: 1, Sig: sig, Payload: []byte{1}},
		"no signature":          {Later: 1, Payload: []byte{1}},
		"a long signature":      {Later: 1, Sig: append(fill(64, 1), 1), Payload: []byte{1}},
		"no payload":            {Later: 1, Sig: sig, Payload: []byte{}},
		"a payload too long":    {Later: 1, Sig: sig, Payload: fill(chat.MaxPayload+1, 1)},
		"no later":              {Sig: sig, Payload: []byte{1}},
		"too late":              {Later: uint64(chat.MaxHLC), Sig: sig, Payload: []byte{1}},
		"later than any number": {Later: 1<<64 - 1, Sig: sig, Payload: []byte{1}},
		"another opening":       {Later: 1, Kind: uint8(KindOpen), Sig: sig, Payload: []byte{1}},
		"too many dependencies": {Later: 1, Deps: []rawDep{dep, dep, dep, dep, dep}, Sig: sig, Payload: []byte{1}},
		"one of them twice":     {Later: 1, Deps: []rawDep{dep, dep}, Sig: sig, Payload: []byte{1}},
		"one of them short":     {Later: 1, Deps: []rawDep{{Log: fill(15, 1), Seq: 1}}, Sig: sig, Payload: []byte{1}},
		"one of them on itself": {Later: 1, Deps: []rawDep{{Log: entries[1].Log[:], Seq: 1}}, Sig: sig, Payload: []byte{1}},
	} {
		f, err := DecodeFrame(EncodeFrame(n))
		if err == nil {
			n := f.(Next)
			_, err = n.Entry(&entries[1])
		}
		if chat.CodeOf(err) != chat.CodeInvalid {
			t.Errorf("%s is taken (%v)", name, err)
		}
	}
	largest := Next{
		Cover: fill(8, 1), Later: 1 << 40, Kind: 2, Epoch: &zero, Sig: sig, Payload: fill(chat.MaxPayload, 1),
		Deps: []rawDep{{Log: fill(16, 1), Seq: MaxSeq}, {Log: fill(16, 2), Seq: MaxSeq}, {Log: fill(16, 3), Seq: MaxSeq}, {Log: fill(16, 4), Seq: MaxSeq}},
	}
	if _, err := DecodeFrame(EncodeFrame(largest)); err != nil {
		t.Error(err)
	}
}
