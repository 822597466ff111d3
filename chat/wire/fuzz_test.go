package wire

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"earshot/chat"
)

// seeds gives a fuzz target every golden byte string whose name begins so.
func seeds(f *testing.F, prefix string) {
	files, err := filepath.Glob("testdata/" + prefix + "*.hex")
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds", prefix, err)
	}
	for _, file := range files {
		f.Add(readGolden(f, strings.TrimSuffix(filepath.Base(file), ".hex")))
	}
}

// FuzzCanonical: what the strict walk accepts, the decoder must be able to write
// again in the very same bytes.
func FuzzCanonical(f *testing.F) {
	seeds(f, "entry-")
	for _, s := range []string{"\x18\x17", "\x5f\x41a\xff", "\xa2\x01\x01\x01\x02", "\xa1\x01\xf6", "\xf9\x3c\x00", "\xc0\x00", "\x9b\xff\xff\xff\xff\xff\xff\xff\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		rest, err := canonical(b, 0)
		if err != nil {
			return
		}
		if len(rest) >= len(b) {
			t.Fatal("an item of no bytes")
		}
		b = b[:len(b)-len(rest)]
		var v any
		if err := decMode.Unmarshal(b, &v); err != nil {
			return // duplicate or unhashable keys, too many elements, bad UTF-8
		}
		if again := Marshal(v); !bytes.Equal(again, b) {
			t.Fatalf("accepted %x, which is written %x", b, again)
		}
	})
}

func FuzzFrame(f *testing.F) {
	seeds(f, "frame-")
	for _, broken := range peopleFrames() {
		if b := EncodeFrame(broken); len(b) < 4096 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := DecodeFrame(b)
		if err != nil {
			if chat.CodeOf(err) != chat.CodeInvalid {
				t.Fatalf("an error that is not %q: %v", chat.CodeInvalid, err)
			}
			return
		}
		if _, unknown := v.(Unknown); unknown {
			return
		}
		again, err := DecodeFrame(EncodeFrame(v))
		if err != nil {
			t.Fatalf("what was accepted is refused when written anew: %v", err)
		}
		if !bytes.Equal(EncodeFrame(again), EncodeFrame(v)) {
			t.Fatalf("%#v is not stable", v)
		}
	})
}

func FuzzEntry(f *testing.F) {
	for _, e := range goldenLog(f) {
		f.Add(e.Head, e.Sig[:], e.Payload)
	}
	f.Fuzz(func(t *testing.T, head, sig, payload []byte) {
		e, err := DecodeEntry(head, sig, payload)
		if err != nil {
			return
		}
		if err := check(&e.Header); err != nil {
			t.Fatalf("accepted against the rules: %v", err)
		}
		if !bytes.Equal(e.Head, head) || !bytes.Equal(e.Payload, payload) {
			t.Fatal("the entry does not keep its bytes")
		}
		_ = e.Verify()
	})
}

func FuzzLive(f *testing.F) {
	seeds(f, "live-")
	f.Fuzz(func(t *testing.T, b []byte) {
		tag, e, err := DecodeLive(b)
		if err != nil {
			return
		}
		if again := EncodeLive(tag, &e); !bytes.Equal(again, b) {
			t.Fatalf("read %x, wrote %x", b, again)
		}
	})
}

func FuzzOpen(f *testing.F) {
	seeds(f, "entry-open-payload")
	f.Fuzz(func(t *testing.T, b []byte) {
		if o, err := DecodeOpen(b); err == nil && (len(o.Salt) != SaltSize || len(o.Certificate) == 0 || len(o.Name) > chat.MaxName) {
			t.Fatalf("%+v", o)
		}
	})
}

func FuzzMessage(f *testing.F) {
	seeds(f, "entry-message-payload")
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := DecodeMessage(b); err == nil && len(m.Text) > chat.MaxText {
			t.Fatal("too long")
		}
	})
}

func FuzzOperations(f *testing.F) {
	seeds(f, "plain-operations-payload")
	for _, ops := range [][][]byte{{}, {nil}, {{}}, repeat(MaxOperations+1, []byte{1}), {fill(MaxOperation+1, 1)}} {
		f.Add(Marshal(Operations{Ops: ops}))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := DecodeOperations(b)
		if err != nil {
			return
		}
		if len(o.Ops) == 0 || len(o.Ops) > MaxOperations {
			t.Fatalf("%d operations", len(o.Ops))
		}
		for _, op := range o.Ops {
			if len(op) == 0 || len(op) > MaxOperation {
				t.Fatalf("an operation of %d bytes", len(op))
			}
		}
	})
}

func FuzzProfile(f *testing.F) {
	seeds(f, "entry-profile-payload")
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := DecodeProfile(b); err == nil && len(p.Name) > chat.MaxName {
			t.Fatal("too long")
		}
	})
}
