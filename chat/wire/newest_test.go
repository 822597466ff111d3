package wire

import (
	"reflect"
	"testing"

	"earshot/chat"
)

func newestFrames(t testing.TB) map[string]Frame {
	log := goldenLog(t)
	tag := goldenRoom.SessionTag(goldenNonce)
	rooms := []RoomRoot{{Tag: tag[:], Root: fill(32, 0x33)}, {Tag: tag[:], Root: fill(32, 0x34)}}
	return map[string]Frame{
		"want-newest":    WantNewest{Tag: tag[:], Limit: MaxNewest},
		"newest":         Newest{Tag: tag[:], Entries: []RawEntry{raw(log[0]), raw(log[1])}},
		"enough":         Enough{Tag: tag[:]},
		"newest-nothing": Newest{Tag: tag[:], Entries: []RawEntry{}},
		"compare-bases":  Compare{Nonce: goldenNonce, Rooms: rooms, Bases: [][]byte{fill(BaseSize, 0xba), {}}},
		"frontier-delta": Frontier{Tag: tag[:], Logs: []LogHead{{Log: fill(16, 1), Seq: 7, Last: fill(8, 0x77)}}, Delta: true},
	}
}

func TestFramesOfTheNewestDoNotChange(t *testing.T) {
	for name, f := range newestFrames(t) {
		golden(t, "frame-"+name, EncodeFrame(f))
		got, err := DecodeFrame(readGolden(t, "frame-"+name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !reflect.DeepEqual(got, f) {
			t.Errorf("%s: got %#v, want %#v", name, got, f)
		}
	}
}

func TestFramesOfTheNewestThatBreakTheRulesAreRefused(t *testing.T) {
	tag, nonce := fill(16, 1), fill(NonceSize, 2)
	rooms := []RoomRoot{{Tag: tag, Root: fill(32, 3)}}
	refuse(t, map[string]Frame{
		"a wish of no room":           WantNewest{Tag: []byte{}, Limit: 1},
		"enough of no room":           Enough{Tag: []byte{}},
		"a wish for nothing":          WantNewest{Tag: tag},
		"a wish for too much":         WantNewest{Tag: tag, Limit: MaxNewest + 1},
		"the newest of no room":       Newest{Tag: fill(15, 1)},
		"too many of the newest":      Newest{Tag: tag, Entries: repeat(chat.MaxBatch+1, RawEntry{Head: tag, Sig: tag})},
		"bases of more rooms":         Compare{Nonce: nonce, Rooms: rooms, Bases: [][]byte{{}, {}}},
		"bases of fewer rooms":        Compare{Nonce: nonce, Rooms: append(rooms, rooms...), Bases: [][]byte{{}}},
		"a base that is no name":      Compare{Nonce: nonce, Rooms: rooms, Bases: [][]byte{fill(BaseSize-1, 1)}},
		"a base that is longer":       Compare{Nonce: nonce, Rooms: rooms, Bases: [][]byte{fill(BaseSize+1, 1)}},
		"a delta with a log out of 0": Frontier{Tag: tag, Logs: []LogHead{{Log: tag, Seq: 0, Last: fill(8, 1)}}, Delta: true},
	})
}
