package wire

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"runtime"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"earshot/chat"
)

// value draws a value such as Earshot's messages are made of.
func value(depth int) *rapid.Generator[any] {
	gens := []*rapid.Generator[any]{
		rapid.Uint64().AsAny(), rapid.Int64().AsAny(), rapid.Bool().AsAny(),
		rapid.SliceOfN(rapid.Byte(), 0, 300).AsAny(), rapid.StringN(0, 40, 120).AsAny(),
	}
	if depth > 0 {
		gens = append(gens, rapid.SliceOfN(value(depth-1), 0, 30).AsAny(),
			rapid.MapOfN(rapid.Int64(), value(depth-1), 0, 30).AsAny(),
			rapid.MapOfN(rapid.StringN(0, 10, 30), value(depth-1), 0, 5).AsAny())
	}
	return rapid.OneOf(gens...)
}

func TestCanonicalAcceptsWhatTheEncoderWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := Marshal(value(3).Draw(t, "value"))
		if rest, err := canonical(b, 0); err != nil || len(rest) != 0 {
			t.Fatalf("%x: %v, %d bytes left", b, err, len(rest))
		}
	})
}

// A byte changed anywhere gives another value or a refusal, never the same value:
// equal meaning is equal bytes.
func TestCanonicalRefusesOtherBytesForTheSameValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := Marshal(value(2).Draw(t, "value"))
		c := bytes.Clone(b)
		c[rapid.IntRange(0, len(c)-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "by"))
		if rest, err := canonical(c, 0); err != nil || len(rest) != 0 {
			return
		}
		var v, w any
		if decMode.Unmarshal(b, &v) != nil || decMode.Unmarshal(c, &w) != nil {
			return
		}
		if bytes.Equal(Marshal(v), Marshal(w)) {
			t.Fatalf("%x and %x mean the same", b, c)
		}
	})
}

func TestWhatIsNotDeterministicIsRefused(t *testing.T) {
	deep := strings.Repeat("\x81", maxDepth+1) + "\x00"
	for name, c := range map[string]struct {
		bytes string
		want  error
	}{
		"nothing":             {"", errShort},
		"a number too long":   {"\x18\x17", errLong},
		"two bytes for one":   {"\x19\x00\xff", errLong},
		"four for two":        {"\x1a\x00\x00\xff\xff", errLong},
		"eight for four":      {"\x1b\x00\x00\x00\x00\xff\xff\xff\xff", errLong},
		"a length too long":   {"\x58\x01a", errLong},
		"a number cut off":    {"\x19\x01", errShort},
		"a string cut off":    {"\x42a", errBadLength},
		"a list cut off":      {"\x82\x01", errBadLength},
		"a map cut off":       {"\xa2\x01\x01", errBadLength},
		"no end":              {"\x5f\x41a\xff", errKind},
		"a tag":               {"\xc0\x00", errKind},
		"a float":             {"\xf9\x3c\x00", errKind},
		"undefined":           {"\xf7", errKind},
		"a reserved length":   {"\x1c", errKind},
		"a key twice":         {"\xa2\x01\x01\x01\x02", errKeyOrder},
		"keys out of order":   {"\xa2\x02\x01\x01\x02", errKeyOrder},
		"null in a map":       {"\xa1\x01\xf6", errNull},
		"too deep":            {deep, errDeep},
		"a list without end":  {"\x9b\xff\xff\xff\xff\xff\xff\xff\xff", errBadLength},
		"a map without end":   {"\xbb\xff\xff\xff\xff\xff\xff\xff\xff", errBadLength},
		"a string of 2^64-1":  {"\x5b\xff\xff\xff\xff\xff\xff\xff\xff", errBadLength},
		"a deep map in a key": {"\xa1" + deep + "\x00", errDeep},
	} {
		if _, err := canonical([]byte(c.bytes), 0); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	var v any
	if err := Unmarshal([]byte("\x01\x02"), &v); chat.CodeOf(err) != chat.CodeInvalid {
		t.Errorf("bytes behind the end: %v", err)
	}
}

func TestKeysOfTheFutureAreSkippedAndTheirBytesKept(t *testing.T) {
	alice := key("alice")
	e := goldenLog(t)[0]
	head := append([]byte{}, e.Head...)
	head[0]++ // one more pair
	head = append(head, 0x18, 99, 0x63, 'n', 'e', 'w')
	sig := ed25519.Sign(alice, signedBytes(head))
	got, err := DecodeEntry(head, sig, e.Payload)
	if err != nil {
		t.Fatal(err)
	}
	if err := got.Verify(); err != nil {
		t.Error(err)
	}
	if !bytes.Equal(got.Head, head) || got.ID == e.ID {
		t.Error("the bytes of the future are lost")
	}
	if f, err := DecodeFrame([]byte{200, 1, 2, 3}); err != nil || f != (Unknown{Type: 200}) {
		t.Errorf("a frame of the future: %v %v", f, err)
	}
}

// sign signs a header that breaks the rules, as a stranger would.
func sign(t *testing.T, change func(*rawHeader)) (head, sig, payload []byte) {
	t.Helper()
	e := goldenLog(t)[1]
	var r rawHeader
	if err := Unmarshal(e.Head, &r); err != nil {
		t.Fatal(err)
	}
	change(&r)
	head = Marshal(r)
	return head, ed25519.Sign(key("alice"), signedBytes(head)), e.Payload
}

func TestEntriesThatBreakTheRulesAreRefused(t *testing.T) {
	zero := uint64(0)
	for name, change := range map[string]func(*rawHeader){
		"another version":      func(r *rawHeader) { r.Version = 2 },
		"a short device":       func(r *rawHeader) { r.Device = r.Device[1:] },
		"a long log":           func(r *rawHeader) { r.Log = fill(17, 1) },
		"no room":              func(r *rawHeader) { r.Ref = []byte{} },
		"sequence number 0":    func(r *rawHeader) { r.Seq = 0 },
		"number out of range":  func(r *rawHeader) { r.Seq = MaxSeq + 1 },
		"clock out of range":   func(r *rawHeader) { r.HLC = uint64(chat.MaxHLC) + 1 },
		"no predecessor":       func(r *rawHeader) { r.Prev = nil },
		"a zero predecessor":   func(r *rawHeader) { r.Prev = make([]byte, 32) },
		"a first with a past":  func(r *rawHeader) { r.Seq, r.Kind = 1, uint8(KindOpen) },
		"a second opening":     func(r *rawHeader) { r.Kind = uint8(KindOpen) },
		"kind 0":               func(r *rawHeader) { r.Kind = 0 },
		"epoch 0":              func(r *rawHeader) { r.Epoch = &zero },
		"deps out of order":    func(r *rawHeader) { r.Deps[0], r.Deps[1] = r.Deps[1], r.Deps[0] },
		"a dep twice":          func(r *rawHeader) { r.Deps[1] = r.Deps[0] },
		"a dep on itself":      func(r *rawHeader) { r.Deps = []rawDep{{Log: r.Log, Seq: 1}} },
		"a dep on nothing":     func(r *rawHeader) { r.Deps[0].Seq = 0 },
		"a short dep":          func(r *rawHeader) { r.Deps[0].Log = []byte{1} },
		"an empty list":        func(r *rawHeader) { r.Deps = []rawDep{} },
		"five deps":            func(r *rawHeader) { r.Deps = deps(5) },
		"a short hash":         func(r *rawHeader) { r.Hash = r.Hash[:31] },
		"another payload":      func(r *rawHeader) { r.Hash = fill(32, 9) },
		"another payload size": func(r *rawHeader) { r.Size++ },
		"a huge payload":       func(r *rawHeader) { r.Size = chat.MaxPayload + 1 },
	} {
		head, sig, payload := sign(t, change)
		if name == "an empty list" { // omitempty leaves it out
			head = bytes.Replace(goldenLog(t)[1].Head, goldenDeps(), []byte{0x07, 0x80}, 1)
		}
		if _, err := DecodeEntry(head, sig, payload); chat.CodeOf(err) != chat.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	head, sig, payload := sign(t, func(r *rawHeader) { r.Deps = deps(4) })
	if _, err := DecodeEntry(head, sig, payload); err != nil {
		t.Errorf("four deps: %v", err)
	}
	if _, err := DecodeEntry(head, sig[:63], payload); chat.CodeOf(err) != chat.CodeInvalid {
		t.Errorf("a short signature: %v", err)
	}
	if _, err := DecodeEntry(make([]byte, chat.MaxHeader+1), sig, payload); chat.CodeOf(err) != chat.CodeInvalid {
		t.Errorf("a long header: %v", err)
	}
	if _, err := DecodeEntry(head, sig, make([]byte, chat.MaxPayload+1)); chat.CodeOf(err) != chat.CodeInvalid {
		t.Errorf("a long payload: %v", err)
	}
	if e, err := DecodeEntry(head, sig, nil); err != nil || e.Payload != nil {
		t.Errorf("a removed payload: %v", err)
	}
}

func deps(n int) (out []rawDep) {
	for i := range n {
		out = append(out, rawDep{Log: fill(16, byte(i+1)), Seq: uint64(i) + 1})
	}
	return out
}

func goldenDeps() []byte {
	return append([]byte{0x07}, Marshal([]rawDep{{Log: fill(16, 1), Seq: 7}, {Log: fill(16, 2), Seq: 300}})...)
}

func TestASignatureIsItsAuthors(t *testing.T) {
	e := goldenLog(t)[1]
	for i := range e.Head {
		head := bytes.Clone(e.Head)
		head[i] ^= 1
		if got, err := DecodeEntry(head, e.Sig[:], e.Payload); err == nil && got.Verify() == nil {
			t.Fatalf("byte %d of the header can be changed", i)
		}
	}
	e.Sig = [64]byte(ed25519.Sign(key("mallory"), signedBytes(e.Head)))
	if e.Verify() == nil {
		t.Error("another's signature counts")
	}
	e.Sig = [64]byte(ed25519.Sign(key("alice"), e.Head))
	if e.Verify() == nil {
		t.Error("a signature without its domain counts")
	}
}

func TestFramesThatBreakTheRulesAreRefused(t *testing.T) {
	tag, nonce := fill(16, 1), fill(16, 2)
	rooms := func(n int) []RoomRoot { return repeat(n, RoomRoot{Tag: tag, Root: fill(32, 3)}) }
	logs := func(seqs ...uint64) (out []LogHead) {
		for i, s := range seqs {
			out = append(out, LogHead{Log: fill(16, byte(i)), Seq: s, Last: fill(8, 1)})
		}
		return out
	}
	refuse(t, map[string]Frame{
		"hello without certificate":    Hello{Certificate: []byte{}, Name: "x"},
		"hello with a long one":        Hello{Certificate: fill(maxCertificate+1, 1)},
		"hello with a long name":       Hello{Certificate: tag, Name: strings.Repeat("x", chat.MaxName+1)},
		"hello with a long agent":      Hello{Certificate: tag, Agent: strings.Repeat("x", chat.MaxName+1)},
		"hello that is not UTF-8":      Hello{Certificate: tag, Name: "\xff"},
		"have without nonce":           Have{Nonce: []byte{}},
		"have with a short tag":        Have{Nonce: nonce, Rooms: []RoomRoot{{Tag: tag[1:], Root: fill(32, 3)}}},
		"have with a short root":       Have{Nonce: nonce, Rooms: []RoomRoot{{Tag: tag, Root: fill(31, 3)}}},
		"have with too many rooms":     Have{Nonce: nonce, Rooms: rooms(chat.MaxRooms + 1)},
		"compare with a long nonce":    Compare{Nonce: fill(17, 2)},
		"compare with too many rooms":  Compare{Nonce: nonce, Rooms: rooms(chat.MaxRooms + 1)},
		"typing in no room":            Typing{Room: []byte{}},
		"frontier of no room":          Frontier{Tag: []byte{}},
		"frontier with sequence 0":     Frontier{Tag: tag, Logs: logs(0)},
		"frontier out of range":        Frontier{Tag: tag, Logs: logs(MaxSeq + 1)},
		"frontier with a short log":    Frontier{Tag: tag, Logs: []LogHead{{Log: tag[1:], Seq: 1, Last: fill(8, 1)}}},
		"frontier with a log twice":    Frontier{Tag: tag, Logs: repeat(2, LogHead{Log: tag, Seq: 1, Last: fill(8, 1)})},
		"frontier with a short id":     Frontier{Tag: tag, Logs: []LogHead{{Log: tag, Seq: 1, Last: fill(7, 1)}}},
		"frontier without an id":       Frontier{Tag: tag, Logs: []LogHead{{Log: tag, Seq: 1}}},
		"frontier with too many logs":  Frontier{Tag: tag, Logs: repeat(MaxLogs+1, LogHead{Log: tag, Seq: 1, Last: fill(8, 1)})},
		"entries of no room":           Entries{Tag: []byte{}},
		"entries over the batch limit": Entries{Tag: tag, Entries: repeat(chat.MaxBatch+1, RawEntry{Head: tag, Sig: tag})},
	})
	refuse(t, peopleFrames())
	for name, b := range map[string][]byte{"empty": {}, "too long": make([]byte, chat.MaxFrame+1), "no body": {1}, "a list": {1, 0x80}} {
		if _, err := DecodeFrame(b); chat.CodeOf(err) != chat.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	full := Frontier{Tag: tag, Logs: make([]LogHead, MaxLogs)}
	for i := range full.Logs {
		full.Logs[i] = LogHead{Log: append([]byte{byte(i >> 8), byte(i)}, fill(14, 0)...), Seq: MaxSeq, Last: fill(8, 1)}
	}
	if b := EncodeFrame(full); len(b) > chat.MaxFrame {
		t.Errorf("a full frontier takes %d bytes", len(b))
	} else if _, err := DecodeFrame(b); err != nil {
		t.Error(err)
	}
}

func repeat[T any](n int, v T) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = v
	}
	return out
}

func TestLiveEntriesThatBreakTheRulesAreRefused(t *testing.T) {
	e := goldenLog(t)[1]
	b := EncodeLive(chat.RoomTag{}, &e)
	e.Payload = nil
	removed := EncodeLive(chat.RoomTag{}, &e)
	for name, b := range map[string][]byte{
		"too long": append(b, make([]byte, MaxLive)...), "cut off": b[:len(b)-1], "more behind": append(bytes.Clone(b), 0),
		"without payload": removed, "a short tag": Marshal(live{Tag: []byte{1}, Head: e.Head, Sig: e.Sig[:], Payload: []byte{}}),
	} {
		if _, _, err := DecodeLive(b); chat.CodeOf(err) != chat.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDirectFramesThatBreakTheRulesAreRefused(t *testing.T) {
	for i, f := range []Direct{
		{Cover: fill(7, 1), Message: fill(9, 1)},
		{Cover: fill(9, 1), Message: fill(9, 1)},
		{Message: fill(9, 1)},
		{Cover: fill(8, 1), Message: []byte{}},
		{Cover: fill(8, 1), Message: fill(MaxLive+1, 1)},
	} {
		if got, err := DecodeFrame(EncodeFrame(f)); chat.CodeOf(err) != chat.CodeInvalid {
			t.Errorf("%d is taken as %T (%v)", i, got, err)
		}
	}
	largest := Direct{Cover: fill(8, 1), Message: fill(MaxLive, 1)}
	if _, err := DecodeFrame(EncodeFrame(largest)); err != nil {
		t.Error(err)
	}
}

// The costliest frames a stranger can make: lists of the smallest elements, in
// the place of every list there is.
func TestAStrangersFrameCostsLittleMemory(t *testing.T) {
	const limit = 1 << 20 // bytes; a frame has 64 KiB
	for name, element := range map[string]byte{"null": 0xf6, "empty list": 0x80, "number": 0x00, "empty string": 0x40} {
		for _, typ := range []FrameType{TypeHello, TypeHave, TypeTyping, TypeCompare, TypeFrontier, TypeEntries, TypeDone, TypeOpsWant, TypeOps, TypeHistory} {
			for _, n := range []int{65000, maxArray} {
				first := []byte{0x50}
				if typ == TypeOps || typ == TypeHistory || typ == TypeOpsWant { // which begin with a RoomID
					first = []byte{0x58, 32}
				}
				body := append([]byte{byte(typ), 0xa2, 0x01}, first...)
				body = append(append(body, fill(int(first[len(first)-1]&63), 1)...), 0x02, 0x99, byte(n>>8), byte(n))
				body = append(body, fill(n, element)...)
				if got := allocated(func() { _, _ = DecodeFrame(body) }); got > limit {
					t.Errorf("frame %d with %d of %s costs %d bytes", typ, n, name, got)
				}
			}
		}
	}
	// And an honest one, at its largest, costs a small multiple of itself.
	e := goldenLog(t)[1]
	full := EncodeFrame(Entries{Tag: fill(16, 1), Entries: repeat(180, raw(e))})
	if got := allocated(func() { _, _ = DecodeFrame(full) }); got > 4*chat.MaxFrame {
		t.Errorf("a full frame of %d bytes costs %d", len(full), got)
	}
}

func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestSignRefusesWhatOthersWould(t *testing.T) {
	h := goldenLog(t)[1].Header
	if _, err := Sign(key("alice"), h, make([]byte, chat.MaxPayload+1)); chat.CodeOf(err) != chat.CodeTooLong {
		t.Errorf("a payload too long: %v", err)
	}
	h.Seq = 0
	if _, err := Sign(key("alice"), h, nil); chat.CodeOf(err) != chat.CodeInvalid {
		t.Errorf("sequence number 0: %v", err)
	}
}

func BenchmarkSign(b *testing.B) {
	alice, e := key("alice"), goldenLog(b)[1]
	payload := Marshal(Message{Text: strings.Repeat("x", 200)})
	for b.Loop() {
		signed, _ := Sign(alice, e.Header, payload)
		b.ReportMetric(float64(len(EncodeLive(chat.RoomTag{}, &signed))), "bytes/message")
	}
}

func BenchmarkDecodeAndVerify(b *testing.B) {
	e, err := Sign(key("alice"), goldenLog(b)[1].Header, Marshal(Message{Text: strings.Repeat("x", 200)}))
	if err != nil {
		b.Fatal(err)
	}
	msg := EncodeLive(chat.RoomTag{}, &e)
	b.ReportAllocs()
	for b.Loop() {
		_, got, err := DecodeLive(msg)
		if err != nil || got.Verify() != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	e := goldenLog(b)[1]
	msg := EncodeLive(chat.RoomTag{}, &e)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := DecodeLive(msg); err != nil {
			b.Fatal(err)
		}
	}
}
