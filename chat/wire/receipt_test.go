package wire

import (
	"fmt"
	"reflect"
	"testing"

	"earshot/chat"
)

func receiptFrames() map[string]Frame {
	tag := fill(16, 0xda)
	marks := append(fill(8, 0x01), 0xac, 0x02) // up to 300
	return map[string]Frame{
		"receipt": Receipt{
			Tag: tag, Cover: fill(8, 0xdd),
			Statements: []Statement{{Device: []byte{}, Kind: 1, Version: 1_767_225_600_000_000, Marks: marks, Sig: fill(64, 0x5e)}},
		},
		"receipt-passed-on": Receipt{Tag: tag, Statements: []Statement{
			{Device: fill(32, 0x99), Kind: 1, Version: 7, Marks: []byte{}, Sig: fill(64, 0x5e)},
			{Device: fill(32, 0x99), Kind: 3, Version: 8, Marks: marks, Sig: fill(64, 0x5f)},
		}},
		"receipt-have": ReceiptHave{Rooms: []ReceiptRoot{{Tag: tag, Sum: fill(16, 0x33)}}},
		"receipt-want": ReceiptWant{Tag: tag, Lines: []ReceiptLine{
			{Device: fill(8, 0x98), Kind: 4, Version: 2}, {Device: fill(8, 0x99), Kind: 1, Version: 7}, {Device: fill(8, 0x99), Kind: 3, Version: 8},
		}},
		"receipt-want-all": ReceiptWant{Tag: tag, Lines: []ReceiptLine{}},
	}
}

func TestFramesOfReceiptsDoNotChange(t *testing.T) {
	for name, f := range receiptFrames() {
		golden(t, "frame-"+name, EncodeFrame(f))
		got, err := DecodeFrame(readGolden(t, "frame-"+name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !reflect.DeepEqual(got, f) {
			t.Errorf("%s: got %#v, want %#v", name, got, f)
		}
	}
}

func TestFramesOfReceiptsThatBreakTheRulesAreRefused(t *testing.T) {
	tag, sig := fill(16, 1), fill(64, 2)
	line := func(device, kind byte, version uint64) ReceiptLine {
		return ReceiptLine{Device: fill(8, device), Kind: kind, Version: version}
	}
	many := func(n int) (out []Statement) {
		for range n {
			out = append(out, Statement{Device: []byte{}, Kind: 1, Version: 1, Marks: []byte{}, Sig: []byte{}})
		}
		return out
	}
	one := func(s Statement) Receipt { return Receipt{Tag: tag, Statements: []Statement{s}} }
	for i, f := range []Frame{
		Receipt{Tag: tag, Statements: []Statement{}},
		Receipt{Tag: tag, Statements: many(chat.MaxReceipts + 1)},
		Receipt{Tag: tag[1:], Statements: []Statement{{Device: []byte{}, Kind: 1, Version: 1, Marks: []byte{}, Sig: sig}}},
		Receipt{Tag: tag, Statements: []Statement{{Device: []byte{}, Kind: 1, Version: 1, Marks: []byte{}, Sig: sig}}, Cover: fill(7, 1)},
		one(Statement{Device: fill(31, 1), Kind: 1, Version: 1, Marks: []byte{}, Sig: sig}),
		one(Statement{Device: []byte{}, Kind: 0, Version: 1, Marks: []byte{}, Sig: sig}),
		one(Statement{Device: []byte{}, Kind: 1, Version: 0, Marks: []byte{}, Sig: sig}),
		one(Statement{Device: []byte{}, Kind: 1, Version: MaxSeq + 1, Marks: []byte{}, Sig: sig}),
		one(Statement{Device: []byte{}, Kind: 1, Version: 1, Marks: fill(MaxMarkBytes+1, 1), Sig: sig}),
		one(Statement{Device: []byte{}, Kind: 1, Version: 1, Marks: []byte{}, Sig: fill(63, 1)}),
		ReceiptHave{Rooms: []ReceiptRoot{}},
		ReceiptHave{Rooms: []ReceiptRoot{{Tag: tag[1:], Sum: fill(16, 1)}}},
		ReceiptHave{Rooms: []ReceiptRoot{{Tag: tag, Sum: fill(15, 1)}}},
		ReceiptHave{Rooms: make([]ReceiptRoot, chat.MaxRooms+1)},
		ReceiptWant{Tag: tag[1:]},
		ReceiptWant{Tag: tag, Lines: []ReceiptLine{{Device: fill(7, 1), Kind: 1, Version: 1}}},
		ReceiptWant{Tag: tag, Lines: []ReceiptLine{line(1, 0, 1)}},
		ReceiptWant{Tag: tag, Lines: []ReceiptLine{line(1, 1, 0)}},
		ReceiptWant{Tag: tag, Lines: []ReceiptLine{line(1, 1, MaxSeq+1)}},
		ReceiptWant{Tag: tag, Lines: []ReceiptLine{line(2, 1, 1), line(1, 1, 1)}},
		ReceiptWant{Tag: tag, Lines: []ReceiptLine{line(1, 1, 1), line(1, 1, 2)}},
		ReceiptWant{Tag: tag, Lines: make([]ReceiptLine, chat.MaxReceipts+1)},
	} {
		t.Run(fmt.Sprintf("%d %T", i, f), func(t *testing.T) {
			if got, err := DecodeFrame(EncodeFrame(f)); chat.CodeOf(err) != chat.CodeInvalid {
				t.Errorf("taken as %T (%v)", got, err)
			}
		})
	}
}

func TestALongListOfStatementsFitsAFrame(t *testing.T) {
	f := ReceiptWant{Tag: fill(16, 1)}
	for i := range chat.MaxReceipts {
		device := append(fill(6, 0xff), byte(i>>8), byte(i))
		f.Lines = append(f.Lines, ReceiptLine{Device: device, Kind: 5, Version: MaxSeq})
	}
	b := EncodeFrame(f)
	if len(b) > chat.MaxFrame {
		t.Fatalf("it takes %d bytes", len(b))
	}
	if _, err := DecodeFrame(b); err != nil {
		t.Error(err)
	}
}
