package wire

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"earshot/chat"
)

var update = flag.Bool("update", false, "write testdata anew; the wire format changes with it")

// key returns a device key that is the same in every run.
func key(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("earshot test key " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func deviceOf(k ed25519.PrivateKey) (d chat.DeviceID) {
	copy(d[:], k.Public().(ed25519.PublicKey))
	return d
}

func fill(n int, b byte) []byte { return bytes.Repeat([]byte{b}, n) }

var (
	goldenRoom  = chat.OpenRoom(chat.Lobby)
	goldenSalt  = fill(SaltSize, 0x5a)
	goldenCert  = []byte("a certificate")
	goldenNonce = fill(NonceSize, 0x11)
)

// goldenLog is Alice's log in the lobby: it opens, she speaks, and she changes
// her name.
func goldenLog(t testing.TB) []Entry {
	alice := key("alice")
	log := chat.NewLogID(deviceOf(alice), goldenSalt)
	h := Header{Log: log, Ref: goldenRoom.Ref(log), Seq: 1, HLC: 1_767_225_600_000_000, Kind: KindOpen}
	var out []Entry
	add := func(payload any) {
		e, err := Sign(alice, h, Marshal(payload))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
		h.Seq, h.Prev, h.HLC = h.Seq+1, e.ID, h.HLC+1_000_000
	}
	add(Open{Certificate: goldenCert, Name: "Alice", Salt: goldenSalt})
	h.Kind = KindMessage
	h.Deps = []Dep{{Log: chat.LogID(fill(16, 0x01)), Seq: 7}, {Log: chat.LogID(fill(16, 0x02)), Seq: 300}}
	add(Message{Text: "Good morning 👋"})
	h.Kind, h.Deps, h.Epoch = KindProfile, nil, 3
	add(Profile{Name: "Alice B."})
	return out
}

func raw(e Entry) RawEntry { return RawEntry{Head: e.Head, Sig: e.Sig[:], Payload: e.Payload} }

func goldenFrames(t testing.TB) map[string]Frame {
	log := goldenLog(t)
	tag := goldenRoom.SessionTag(goldenNonce)
	day := chat.RoomTag(fill(16, 0xda))
	rooms := []RoomRoot{{Tag: tag[:], Root: fill(32, 0x33)}}
	return map[string]Frame{
		"hello":          Hello{Certificate: goldenCert, Name: "Alice", Now: 1_767_225_600_000_000, Agent: "earshot 1.0"},
		"have":           Have{Nonce: goldenNonce, Rooms: rooms},
		"have-nothing":   Have{Nonce: goldenNonce, Rooms: []RoomRoot{}},
		"typing":         Typing{Room: day[:], Typing: true},
		"goodbye":        Goodbye{},
		"compare":        Compare{Nonce: goldenNonce, Rooms: rooms},
		"frontier":       Frontier{Tag: tag[:], Logs: []LogHead{{Log: fill(16, 1), Seq: 7, Last: fill(8, 0x77)}, {Log: fill(16, 2), Seq: MaxSeq, Last: []byte{}}}},
		"frontier-more":  Frontier{Tag: tag[:], Logs: []LogHead{{Log: fill(16, 1), Seq: 1, Last: fill(8, 0x11)}}, More: true},
		"frontier-empty": Frontier{Tag: tag[:], Logs: []LogHead{}},
		"entries":        Entries{Tag: tag[:], Entries: []RawEntry{raw(log[0]), {Head: log[1].Head, Sig: log[1].Sig[:]}}},
		"done":           Done{Sent: 2},
		"direct":         Direct{Cover: fill(8, 0xdd), Message: []byte("a live message")},
		"next":           next(t, &log[0], &log[1]),
		"next-cover":     cover(next(t, &log[1], &log[2]), fill(8, 0xdd)),

		"hello-prekey":    Hello{Certificate: goldenCert, Now: 1_767_225_600_000_000, Agent: "earshot 1.0", Prekey: []byte("a prekey")},
		"key-ack":         KeyAck{Root: fill(8, 0x44)},
		"contact":         Contact{Message: []byte("a contact message")},
		"contact-ack":     ContactAck{ID: fill(32, 0x55)},
		"ops-have":        OpsHave{Room: fill(32, 0x66), Root: fill(32, 0x77)},
		"ops-want":        OpsWant{Room: fill(32, 0x66), Have: fill(2*OpPrefix, 0x88)},
		"ops-want-all":    OpsWant{Room: fill(32, 0x66), Have: []byte{}},
		"ops":             Ops{Room: fill(32, 0x66), Ops: [][]byte{[]byte("an operation"), []byte("another")}},
		"ops-more":        Ops{Room: fill(32, 0x66), Ops: [][]byte{[]byte("an operation")}, More: true},
		"devices":         Devices{List: []byte("a device list")},
		"verify":          Verify{Message: []byte("a commitment")},
		"pairing":         Pairing{Message: []byte("a share")},
		"welcome":         Welcome{Certificate: goldenCert, List: []byte("a device list"), Name: "Alice"},
		"history":         History{Room: fill(32, 0x66), Grants: []HistoryGrant{{Device: fill(32, 0x99), Epoch: 1 << 40, N: 7, Key: fill(32, 0xaa)}}, More: true},
		"history-nothing": History{Room: fill(32, 0x66), Grants: []HistoryGrant{}},
		"history-want":    HistoryWant{Room: fill(32, 0x66)},
		"knock":           Knock{},
		"want-payloads":   WantPayloads{Tag: tag[:], Places: []LogSeq{{Log: fill(16, 1), Seq: 7}, {Log: fill(16, 2), Seq: 300}}},
		"payloads":        Payloads{Tag: tag[:], Payloads: []Payload{{Log: fill(16, 1), Seq: 7, Bytes: []byte("a payload")}}},
	}
}

// next is what is sent of an entry behind another.
func next(t testing.TB, before, e *Entry) Next {
	n, ok := NextAfter(before, e)
	if !ok {
		t.Fatalf("%v does not follow %v", e, before)
	}
	return n
}

func cover(n Next, c []byte) Next {
	n.Cover = c
	return n
}

// goldenOperations is the plaintext of an entry of kind membership.
var goldenOperations = Operations{Ops: [][]byte{[]byte("an operation"), []byte("another")}}

// golden compares b with testdata/name.hex, or writes it there.
func golden(t *testing.T, name string, b []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".hex")
	var sb strings.Builder
	for line := range bytesOf(b, 32) {
		fmt.Fprintf(&sb, "%x\n", line)
	}
	if *update {
		if err := os.WriteFile(path, []byte(sb.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := sb.String(); got != string(want) {
		t.Errorf("%s: the bytes on the wire have changed:\ngot\n%swant\n%s", name, got, want)
	}
}

func bytesOf(b []byte, n int) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(b) > 0 {
			k := min(n, len(b))
			if !yield(b[:k]) {
				return
			}
			b = b[k:]
		}
	}
}

func readGolden(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".hex"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBytesOnTheWireDoNotChange(t *testing.T) {
	for name, f := range goldenFrames(t) {
		golden(t, "frame-"+name, EncodeFrame(f))
	}
	log := goldenLog(t)
	for i, name := range []string{"open", "message", "profile"} {
		golden(t, "entry-"+name+"-head", log[i].Head)
		golden(t, "entry-"+name+"-sig", log[i].Sig[:])
		golden(t, "entry-"+name+"-payload", log[i].Payload)
		golden(t, "entry-"+name+"-id", log[i].ID[:])
	}
	golden(t, "plain-operations-payload", Marshal(goldenOperations))
	golden(t, "live-message", EncodeLive(chat.RoomTag(fill(16, 0xda)), &log[1]))
	// What is derived and never sent, but must be the same everywhere.
	tag := goldenRoom.Tag(log[0].HLC.Time())
	golden(t, "room-lobby-id", goldenRoom[:])
	golden(t, "room-lobby-tag-2026-01-01", tag[:])
	golden(t, "log-alice-id", log[0].Log[:])
}

func TestGoldenFramesDecodeToWhatTheyWere(t *testing.T) {
	for name, f := range goldenFrames(t) {
		got, err := DecodeFrame(readGolden(t, "frame-"+name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !reflect.DeepEqual(got, f) {
			t.Errorf("%s: got %#v, want %#v", name, got, f)
		}
	}
	for i, name := range []string{"open", "message", "profile"} {
		want := goldenLog(t)[i]
		got, err := DecodeEntry(readGolden(t, "entry-"+name+"-head"), readGolden(t, "entry-"+name+"-sig"), readGolden(t, "entry-"+name+"-payload"))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := got.Verify(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %#v, want %#v", name, got, want)
		}
	}
	if ops, err := DecodeOperations(readGolden(t, "plain-operations-payload")); err != nil || !reflect.DeepEqual(ops, goldenOperations) {
		t.Errorf("operations: %v %v", ops, err)
	}
	tag, e, err := DecodeLive(readGolden(t, "live-message"))
	if err != nil || tag != chat.RoomTag(fill(16, 0xda)) || e.ID != goldenLog(t)[1].ID {
		t.Errorf("live: %v %v %v", tag, e, err)
	}
}

// The transcript is the golden bytes in CBOR's diagnostic notation, for people.
func TestTranscriptShowsTheGoldenBytes(t *testing.T) {
	files, err := filepath.Glob("testdata/*.hex")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d golden files, %v", len(files), err)
	}
	var sb strings.Builder
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".hex")
		b := readGolden(t, name)
		switch kind, _, _ := strings.Cut(name, "-"); {
		case kind == "frame":
			text, err := cbor.Diagnose(b[1:])
			if err != nil {
				t.Fatal(name, err)
			}
			fmt.Fprintf(&sb, "%s: type %d, %d bytes\n  %s\n", name, b[0], len(b), text)
		case kind == "live", strings.HasSuffix(name, "-head"), strings.HasSuffix(name, "-payload"):
			text, err := cbor.Diagnose(b)
			if err != nil {
				t.Fatal(name, err)
			}
			fmt.Fprintf(&sb, "%s: %d bytes\n  %s\n", name, len(b), text)
		default:
			fmt.Fprintf(&sb, "%s: %d bytes\n  %x\n", name, len(b), b)
		}
	}
	path := "testdata/transcript.txt"
	if *update {
		if err := os.WriteFile(path, []byte(sb.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if sb.String() != string(want) {
		t.Errorf("%s does not show the golden bytes; run go test ./chat/wire -update", path)
	}
}
