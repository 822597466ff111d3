package wire

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"earshot/chat"
)

func ownFrames() map[string]Frame {
	return map[string]Frame{
		"code-shown":     CodeShown{Shown: true},
		"confirm":        Confirm{Yes: true},
		"own-hello":      OwnHello{Root: true, List: []byte("a device list"), Contacts: fill(32, 0xcc), Name: "Alice", NamedAt: 1_767_225_600},
		"own-hello-bare": OwnHello{Contacts: fill(32, 0xcc)},
		"own-contacts":   OwnContacts{Records: [][]byte{[]byte("a record"), []byte("another")}},
		"own-want":       OwnWant{Room: fill(32, 1), IDs: fill(64, 2)},
		"own-texts":      OwnTexts{Room: fill(32, 1), Texts: []OwnText{{ID: fill(32, 2), Text: "Hello"}, {ID: fill(32, 3)}}, More: true},
		"own-texts-none": OwnTexts{Room: fill(32, 1), Texts: []OwnText{}},
		"own-status":     OwnStatus{At: 1_767_225_600_000_001, State: "meeting", Since: 1_767_225_600_000_000, Until: 1_767_229_200_000_000, Text: "Planning", TextUntil: 1_767_232_800_000_000},
		"own-status-end": OwnStatus{At: 1, State: "available"},
	}
}

func TestFramesBetweenOwnDevicesDoNotChange(t *testing.T) {
	for name, f := range ownFrames() {
		golden(t, "frame-"+name, EncodeFrame(f))
		got, err := DecodeFrame(readGolden(t, "frame-"+name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !reflect.DeepEqual(got, f) {
			t.Errorf("%s: got %#v, want %#v", name, got, f)
		}
	}
}

func TestFramesBetweenOwnDevicesThatBreakTheRulesAreRefused(t *testing.T) {
	many := func(n, size int) (out [][]byte) {
		for range n {
			out = append(out, fill(size, 1))
		}
		return out
	}
	room, id := fill(32, 1), fill(32, 2)
	var crowd []OwnText
	for range MaxOwnIDs + 1 {
		crowd = append(crowd, OwnText{ID: id})
	}
	for i, f := range []Frame{
		OwnHello{Contacts: fill(31, 1)},
		OwnHello{Contacts: fill(32, 1), List: fill(MaxDeviceList+1, 1)},
		OwnHello{Contacts: fill(32, 1), Name: strings.Repeat("x", chat.MaxName+1)},
		OwnHello{Contacts: fill(32, 1), NamedAt: maxNamedAt + 1},
		OwnContacts{Records: [][]byte{}},
		OwnContacts{Records: many(MaxOwnRecords+1, 1)},
		OwnContacts{Records: many(1, 0)},
		OwnContacts{Records: many(1, MaxOwnRecord+1)},
		OwnWant{Room: fill(31, 1), IDs: id},
		OwnWant{Room: room, IDs: []byte{}},
		OwnWant{Room: room, IDs: fill(33, 1)},
		OwnWant{Room: room, IDs: fill(32*(MaxOwnIDs+1), 1)},
		OwnTexts{Room: nil, Texts: []OwnText{{ID: id}}},
		OwnTexts{Room: room, Texts: crowd},
		OwnTexts{Room: room, Texts: []OwnText{{ID: fill(31, 1)}}},
		OwnTexts{Room: room, Texts: []OwnText{{ID: id, Text: strings.Repeat("x", chat.MaxText+1)}}},
		OwnStatus{State: "busy"},
		OwnStatus{At: uint64(chat.MaxHLC) + 1, State: "busy"},
		OwnStatus{At: 1, State: "busy", Since: uint64(chat.MaxHLC) + 1},
		OwnStatus{At: 1, State: "busy", Until: uint64(chat.MaxHLC) + 1},
		OwnStatus{At: 1, State: "busy", TextUntil: uint64(chat.MaxHLC) + 1},
		OwnStatus{At: 1, State: strings.Repeat("x", maxAvailability+1)},
		OwnStatus{At: 1, State: "busy", Text: strings.Repeat("x", chat.MaxStatusText+1)},
	} {
		t.Run(fmt.Sprintf("%d %T", i, f), func(t *testing.T) {
			if got, err := DecodeFrame(EncodeFrame(f)); chat.CodeOf(err) != chat.CodeInvalid {
				t.Errorf("taken as %T (%v)", got, err)
			}
		})
	}
}
