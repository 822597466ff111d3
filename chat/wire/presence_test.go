package wire

import (
	"fmt"
	"reflect"
	"testing"

	"earshot/chat"
)

func presenceFrames() map[string]Frame {
	record := PresenceRecord{Link: fill(16, 0x11), Anchor: fill(16, 0x22), First: 58_907_520, Body: []byte("a signed statement")}
	sealed := record
	sealed.Sealed, sealed.Body = true, []byte("a box")
	line := append(append(fill(BeatName, 0x33), 1), fill(BeatSize, 0x44)...)
	return map[string]Frame{
		"presence-records":        PresenceRecords{Records: []PresenceRecord{record, sealed}},
		"presence-digest":         PresenceDigest{Slot: 58_907_521, Beats: line},
		"presence-digest-ask":     PresenceDigest{Slot: 0, Beats: []byte{}, Ask: []byte{0x81}},
		"presence-want-brief":     PresenceWant{Root: fill(8, 0x55), Near: true},
		"presence-want":           PresenceWant{Root: fill(8, 0x55), Near: true, Relays: true, Salt: 7, Cells: []byte{0x01, 0x00, 0xf0, 0x00}},
		"presence-want-of-record": PresenceWant{Records: fill(2*BeatName, 0x33)},
		"presence-key":            PresenceKey{Key: fill(32, 0x66)},
	}
}

func TestFramesOfPresenceDoNotChange(t *testing.T) {
	for name, f := range presenceFrames() {
		golden(t, "frame-"+name, EncodeFrame(f))
		got, err := DecodeFrame(readGolden(t, "frame-"+name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !reflect.DeepEqual(got, f) {
			t.Errorf("%s: got %#v, want %#v", name, got, f)
		}
	}
}

func TestFramesOfPresenceThatBreakTheRulesAreRefused(t *testing.T) {
	one := func(change func(*PresenceRecord)) Frame {
		r := PresenceRecord{Link: fill(16, 1), Anchor: fill(16, 2), First: 1, Body: []byte{1}}
		change(&r)
		return PresenceRecords{Records: []PresenceRecord{r}}
	}
	for i, f := range []Frame{
		PresenceRecords{Records: []PresenceRecord{}},
		PresenceRecords{Records: make([]PresenceRecord, MaxPresenceRecords+1)},
		one(func(r *PresenceRecord) { r.Link = r.Link[1:] }),
		one(func(r *PresenceRecord) { r.Anchor = append(r.Anchor, 1) }),
		one(func(r *PresenceRecord) { r.Body = nil }),
		one(func(r *PresenceRecord) { r.Body = make([]byte, MaxPresenceRecord+1) }),
		one(func(r *PresenceRecord) { r.First = MaxSlot + 1 }),
		PresenceDigest{Slot: MaxSlot + 1},
		PresenceDigest{Beats: make([]byte, BeatLine-1)},
		PresenceDigest{Beats: make([]byte, (MaxBeats+1)*BeatLine)},
		PresenceDigest{Ask: make([]byte, MaxPresenceCells/8+1)},
		PresenceWant{Root: fill(7, 1)},
		PresenceWant{Cells: make([]byte, 3)},
		PresenceWant{Cells: make([]byte, MaxPresenceCells/2+4)},
		PresenceWant{Records: make([]byte, BeatName+1)},
		PresenceWant{Records: make([]byte, (MaxPresenceNames+1)*BeatName)},
		PresenceKey{Key: fill(31, 1)},
	} {
		t.Run(fmt.Sprintf("%d %T", i, f), func(t *testing.T) {
			if got, err := DecodeFrame(EncodeFrame(f)); chat.CodeOf(err) != chat.CodeInvalid {
				t.Errorf("taken as %T (%v)", got, err)
			}
		})
	}
}

func TestTheLargestFramesOfPresenceFit(t *testing.T) {
	for _, f := range []Frame{
		PresenceDigest{Slot: MaxSlot, Beats: make([]byte, MaxBeats*BeatLine), Ask: make([]byte, MaxPresenceCells/8)},
		PresenceWant{Root: fill(8, 1), Salt: 1 << 63, Cells: make([]byte, MaxPresenceCells/2), Records: make([]byte, MaxPresenceNames*BeatName)},
	} {
		b := EncodeFrame(f)
		if len(b) > chat.MaxFrame {
			t.Errorf("%T takes %d bytes", f, len(b))
		}
		if _, err := DecodeFrame(b); err != nil {
			t.Error(err)
		}
	}
}
