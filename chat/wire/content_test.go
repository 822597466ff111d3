package wire

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"
	"time"

	"earshot/chat"
)

// goldenContent is what people say and make of what was said, before it is sealed.
var goldenContent = map[string]any{
	"message":  Message{Text: "Yes @Bob, at noon", Reply: fill(32, 0xaa), Mentions: [][]byte{fill(20, 0xbb)}, Expires: 86400},
	"edit":     Edit{Target: fill(32, 0xaa), Text: "Yes @Bob, at one", Mentions: [][]byte{fill(20, 0xbb)}},
	"delete":   Delete{Targets: [][]byte{fill(32, 0xaa), fill(32, 0xcc)}},
	"reaction": Reaction{Target: fill(32, 0xaa), Sign: "👍"},
	"off":      Reaction{Target: fill(32, 0xaa), Sign: "👍", Off: true},
	"setting":  Setting{Disappear: 86400, Keep: 7776000},
}

var contentDecoders = map[string]func([]byte) (any, error){
	"message":  func(b []byte) (any, error) { v, err := DecodeMessage(b); return v, err },
	"edit":     func(b []byte) (any, error) { v, err := DecodeEdit(b); return v, err },
	"delete":   func(b []byte) (any, error) { v, err := DecodeDelete(b); return v, err },
	"reaction": func(b []byte) (any, error) { v, err := DecodeReaction(b); return v, err },
	"off":      func(b []byte) (any, error) { v, err := DecodeReaction(b); return v, err },
	"setting":  func(b []byte) (any, error) { v, err := DecodeSetting(b); return v, err },
}

func TestContentOnTheWireDoesNotChange(t *testing.T) {
	for name, v := range goldenContent {
		golden(t, "plain-"+name+"-payload", Marshal(v))
		got, err := contentDecoders[name](readGolden(t, "plain-"+name+"-payload"))
		if err != nil || !reflect.DeepEqual(got, v) {
			t.Errorf("%s: got %#v, %v", name, got, err)
		}
	}
}

func TestContentThatBreaksTheRulesIsRefused(t *testing.T) {
	id, far := fill(32, 1), uint64(chat.MaxKeep/time.Second)
	long := string(fill(chat.MaxText+1, 'x'))
	for name, bad := range map[string][]any{
		"message": {
			Message{Text: long},
			Message{Text: "\xff"},
			Message{Reply: fill(31, 1)},
			Message{Mentions: repeat(chat.MaxMentions+1, fill(20, 1))},
			Message{Mentions: [][]byte{fill(19, 1)}},
			Message{Expires: far + 1},
			map[int]any{1: "x", 2: []byte{}},
			map[int]any{1: "x", 3: [][]byte{}},
		},
		"edit": {
			Edit{Target: fill(33, 1), Text: "x"},
			Edit{Text: "x"},
			Edit{Target: id, Text: long},
			Edit{Target: id, Text: "\xff"},
			Edit{Target: id, Text: "x", Mentions: repeat(chat.MaxMentions+1, fill(20, 1))},
		},
		"delete":   {Delete{}, Delete{Targets: [][]byte{}}, Delete{Targets: repeat(chat.MaxRemoved+1, id)}, Delete{Targets: [][]byte{id, nil}}},
		"reaction": {Reaction{Target: id}, Reaction{Sign: "👍"}, Reaction{Target: id, Sign: string(fill(chat.MaxSign+1, 'x'))}, Reaction{Target: id, Sign: "\xff"}},
		"setting":  {Setting{Disappear: far + 1}, Setting{Keep: far + 1}, map[int]any{1: -1}},
	} {
		for i, v := range bad {
			if _, err := contentDecoders[name](Marshal(v)); chat.CodeOf(err) != chat.CodeInvalid {
				t.Errorf("%s %d is taken: %v", name, i, err)
			}
		}
	}
	// The limits themselves pass.
	for name, v := range map[string]any{
		"message": Message{Text: long[1:], Mentions: repeat(chat.MaxMentions, fill(20, 1)), Expires: far},
		"delete":  Delete{Targets: repeat(chat.MaxRemoved, id)},
		"setting": Setting{Disappear: far, Keep: far},
	} {
		if _, err := contentDecoders[name](Marshal(v)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What a later version adds is skipped.
	if m, err := DecodeMessage(Marshal(map[int]any{1: "x", 9: "y"})); err != nil || m.Text != "x" {
		t.Errorf("with a key of the future: %+v, %v", m, err)
	}
}

func TestPayloadFramesThatBreakTheRulesAreRefused(t *testing.T) {
	tag, place := fill(16, 1), LogSeq{Log: fill(16, 2), Seq: 3}
	for i, f := range []Frame{
		WantPayloads{Tag: tag},
		WantPayloads{Tag: fill(15, 1), Places: []LogSeq{place}},
		WantPayloads{Tag: tag, Places: repeat(chat.MaxWanted+1, place)},
		WantPayloads{Tag: tag, Places: []LogSeq{{Log: fill(15, 2), Seq: 3}}},
		WantPayloads{Tag: tag, Places: []LogSeq{{Log: place.Log}}},
		Payloads{Tag: fill(17, 1)},
		Payloads{Tag: tag, Payloads: []Payload{{Log: place.Log, Seq: MaxSeq + 1}}},
		Payloads{Tag: tag, Payloads: []Payload{{Log: fill(1, 1), Seq: 1}}},
		Payloads{Tag: tag, Payloads: []Payload{{Log: place.Log, Seq: 1, Bytes: fill(chat.MaxPayload+1, 1)}}},
		Payloads{Tag: tag, Payloads: repeat(chat.MaxWanted+1, Payload{Log: place.Log, Seq: 1})},
	} {
		if _, err := DecodeFrame(EncodeFrame(f)); chat.CodeOf(err) != chat.CodeInvalid {
			t.Errorf("%d: %#v is taken: %v", i, f, err)
		}
	}
}

// Only what people say may come without a payload: keys, names and removals stay.
func TestWhatMayBeRemoved(t *testing.T) {
	may := map[Kind]bool{KindMessage: true, KindEdit: true, 8: true, 200: true}
	for _, k := range []Kind{KindOpen, KindMessage, KindProfile, KindEdit, KindDelete, KindReaction, KindSetting, 8, KindKeyShare, KindKeyRequest, KindPrekey, KindMembership, KindDevices, 200} {
		if k.Removable() != may[k] {
			t.Errorf("kind %d: %v", k, k.Removable())
		}
	}
}

func FuzzContent(f *testing.F) {
	names := []string{"message", "edit", "delete", "reaction", "setting"}
	for i, name := range names {
		f.Add(uint8(i), Marshal(goldenContent[name]))
	}
	f.Fuzz(func(t *testing.T, which uint8, b []byte) {
		decode := contentDecoders[names[int(which)%len(names)]]
		v, err := decode(b)
		if err != nil {
			if chat.CodeOf(err) != chat.CodeInvalid {
				t.Fatalf("an error that is not %q: %v", chat.CodeInvalid, err)
			}
			return
		}
		again, err := decode(Marshal(v))
		if err != nil || !bytes.Equal(Marshal(again), Marshal(v)) {
			t.Fatalf("%s is not stable: %v", fmt.Sprintf("%#v", v), err)
		}
	})
}
