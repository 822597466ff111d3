package catchup

import (
	"bytes"
	"reflect"
	"testing"

	"earshot/chat"
	"earshot/chat/wire"
)

// wanting returns two sides of the lobby that hold the same; the first wants
// payloads, so that its root is another one.
func wanting(wanted ...wire.LogSeq) (a, b []RoomState) {
	log := logID(1)
	frontier := []wire.LogHead{{Log: log[:], Seq: 9, Last: last(9)}}
	return []RoomState{{Room: lobby, Root: [32]byte{1}, Frontier: frontier, Wanted: wanted}},
		[]RoomState{{Room: lobby, Root: [32]byte{2}, Frontier: frontier}}
}

func step(t *testing.T, s *Session, f wire.Frame) []SessionEffect {
	t.Helper()
	out, err := s.Handle(f)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func sent(effects []SessionEffect) (out []wire.Frame) {
	for _, ef := range effects {
		if s, ok := ef.(Send); ok {
			out = append(out, s.Frame)
		}
	}
	return out
}

func TestPayloadsAreAskedForBeforeTheFrontierAndAnsweredBeforeTheEnd(t *testing.T) {
	log := logID(1)
	wish := wire.LogSeq{Log: log[:], Seq: 4}
	mine, theirs := wanting(wish)
	asker, effects := Ask(nonce, mine)
	answerer := Answer(theirs)
	answer := sent(step(t, answerer, sent(effects)[0]))
	effects = step(t, asker, answer[0])
	if _, ok := effects[1].(Asked); !ok {
		t.Errorf("nobody is told that it was asked for: %#v", effects)
	}
	out := sent(effects)
	want, ok := out[0].(wire.WantPayloads)
	if !ok || !reflect.DeepEqual(want.Places, []wire.LogSeq{wish}) {
		t.Fatalf("said is %#v", out)
	}
	supply := step(t, answerer, want)
	if s, ok := supply[0].(Supply); !ok || s.Room != lobby || len(s.Places) != 1 {
		t.Fatalf("done is %#v", supply)
	}
	// Only behind the frontier the answerer is done: what it supplies goes before.
	if out := sent(supply); len(out) != 0 {
		t.Errorf("said is %#v", out)
	}
	if out := sent(step(t, answerer, out[1])); len(out) != 1 || !reflect.DeepEqual(out[0], wire.Done{}) {
		t.Errorf("said is %#v", out)
	}
	frames := PayloadFrames(want.Tag, []wire.Entry{{Header: wire.Header{Log: log, Seq: 4}, Payload: []byte("text")}})
	fill := step(t, asker, frames[0])
	if f, ok := fill[0].(Fill); !ok || f.Room != lobby || string(f.Payloads[0].Bytes) != "text" {
		t.Errorf("done is %#v", fill)
	}
	if _, err := asker.Handle(frames[0]); chat.CodeOf(err) != chat.CodeInvalid {
		t.Errorf("the same again is taken: %v", err)
	}
}

func TestWishesOutOfPlaceEndTheSession(t *testing.T) {
	log := logID(1)
	tag := lobby.SessionTag(nonce)
	want := wire.WantPayloads{Tag: tag[:], Places: []wire.LogSeq{{Log: log[:], Seq: 4}}}
	begun := func() *Session {
		mine, theirs := wanting()
		_, effects := Ask(nonce, mine)
		s := Answer(theirs)
		step(t, s, sent(effects)[0])
		return s
	}
	for name, frames := range map[string][]wire.Frame{
		"twice":                       {want, want},
		"behind the frontier":         {wire.Frontier{Tag: tag[:]}, want},
		"of a room that is not named": {wire.WantPayloads{Tag: bytes.Repeat([]byte{9}, 16), Places: want.Places}},
		"payloads unasked":            {wire.Payloads{Tag: tag[:], Payloads: []wire.Payload{{Log: log[:], Seq: 4, Bytes: []byte("x")}}}},
	} {
		s := begun()
		var err error
		for _, f := range frames {
			if err == nil {
				_, err = s.Handle(f)
			}
		}
		if chat.CodeOf(err) != chat.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Answer(nil).Handle(want); chat.CodeOf(err) != chat.CodeInvalid {
		t.Errorf("before the comparison: %v", err)
	}
}

// However much is wanted and given, what is said at one time is bounded.
func TestWishesAreBounded(t *testing.T) {
	log := logID(1)
	var many []wire.LogSeq
	for seq := range uint64(3 * chat.MaxWanted) {
		many = append(many, wire.LogSeq{Log: log[:], Seq: seq + 1})
	}
	var mine []RoomState
	for i := range 2 * maxWishes {
		mine = append(mine, RoomState{Room: chat.RoomID{byte(i)}, Root: [32]byte{1}, Wanted: many})
	}
	s, effects := Ask(nonce, mine)
	n := 0
	for _, f := range sent(step(t, s, sent(effects)[0])) {
		if w, ok := f.(wire.WantPayloads); ok {
			if n++; len(w.Places) > chat.MaxWanted {
				t.Errorf("%d are wanted", len(w.Places))
			}
		}
	}
	if n != maxWishes {
		t.Errorf("asked for %d rooms", n)
	}
	var long []wire.Entry
	for seq := range uint64(chat.MaxWanted) {
		long = append(long, wire.Entry{Header: wire.Header{Log: log, Seq: seq + 1}, Payload: make([]byte, chat.MaxPayload)})
	}
	given := 0
	tag := lobby.SessionTag(nonce)
	for _, f := range PayloadFrames(tag[:], long) {
		if b := wire.EncodeFrame(f); len(b) > chat.MaxFrame {
			t.Errorf("a frame of %d bytes", len(b))
		}
		given += len(f.(wire.Payloads).Payloads)
	}
	if given != len(long) {
		t.Errorf("%d of %d are given", given, len(long))
	}
}
