package membership

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"earshot/chat"
	"earshot/chat/wire"
)

var update = flag.Bool("update", false, "write testdata anew; the wire format changes with it")

type goldenOp struct {
	name    string
	parents []chat.EntryID
	body    Body
}

func id(b byte) chat.EntryID { return chat.EntryID(bytes.Repeat([]byte{b}, 32)) }

func goldenOps() []goldenOp {
	name, topic, none := "garden", "Who waters when? 🌱", ""
	one, two := []chat.EntryID{id(1)}, []chat.EntryID{id(1), id(2)}
	nonce := [16]byte(bytes.Repeat([]byte{0x5a}, 16))
	return []goldenOp{
		{"create", nil, Create{Nonce: nonce, History: HistoryInvited}},
		{"create-direct", nil, Create{Nonce: nonce, With: who("anna"), History: HistoryAll}},
		{"invite", one, Invite{who("anna"), RoleAdmin}},
		{"accept", one, Accept{id(1)}},
		{"leave", two, Leave{}},
		{"remove", two, Remove{who("anna")}},
		{"set-role", one, SetRole{who("anna"), RoleOwner}},
		{"set", one, Set{Name: &name, Topic: &topic}},
		{"set-topic-to-nothing", one, Set{Topic: &none}},
		{"attest", one, Attest{}},
		{"retain", one, Retain{Disappear: seconds64(86400), Keep: seconds64(0)}},
	}
}

func seconds64(n uint64) *uint64 { return &n }

func TestOperationsOnTheWireDoNotChange(t *testing.T) {
	var sb strings.Builder
	for _, g := range goldenOps() {
		b, err := Encode(g.parents, g.body)
		if err != nil {
			t.Fatalf("%s: %v", g.name, err)
		}
		fmt.Fprintf(&sb, "%s %x\n", g.name, b)
		parents, body, err := Decode(b)
		if err != nil || !slices.Equal(parents, g.parents) || !reflect.DeepEqual(body, g.body) {
			t.Errorf("%s is read as %v %#v, %v", g.name, parents, body, err)
		}
	}
	s := room(t)
	fmt.Fprintf(&sb, "room-id %x\n", s.log.room[:])
	view := s.log.State().View
	fmt.Fprintf(&sb, "view %x\n", view[:])
	path := filepath.Join("testdata", "golden.txt")
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
		t.Errorf("the bytes on the wire have changed:\ngot\n%swant\n%s", got, want)
	}
}

// payload writes an operation as nobody should.
func payload(parents [][]byte, kind int, body any) []byte {
	m := map[int]any{2: kind, 3: body}
	if parents != nil {
		m[1] = parents
	}
	return wire.Marshal(m)
}

func TestOperationsThatBreakTheRulesAreRefused(t *testing.T) {
	p32 := func(bs ...byte) (out [][]byte) {
		for _, b := range bs {
			out = append(out, bytes.Repeat([]byte{b}, 32))
		}
		return out
	}
	type m = map[int]any
	anna := who("anna")
	nonce := make([]byte, 16)
	many := make([]byte, 17)
	for i := range many {
		many[i] = byte(i + 1)
	}
	for name, b := range map[string][]byte{
		"nothing":                   nil,
		"no map":                    {0x80},
		"no kind":                   wire.Marshal(m{1: p32(1), 3: m{}}),
		"no body":                   wire.Marshal(m{1: p32(1), 2: 4}),
		"kind 0":                    payload(p32(1), 0, m{}),
		"kind 256":                  payload(p32(1), 256, m{}),
		"no past":                   payload(nil, 4, m{}),
		"an empty past":             payload([][]byte{}, 4, m{}),
		"a creation with a past":    payload(p32(1), 1, m{1: nonce, 3: 1}),
		"17 parents":                payload(p32(many...), 4, m{}),
		"parents twice":             payload(p32(1, 1), 4, m{}),
		"parents out of order":      payload(p32(2, 1), 4, m{}),
		"a parent of zeros":         payload(p32(0), 4, m{}),
		"a parent of 31 bytes":      payload([][]byte{make([]byte, 31)}, 4, m{}),
		"a body that is no map":     payload(p32(1), 4, 7),
		"a nonce of 15 bytes":       payload(nil, 1, m{1: nonce[1:], 3: 1}),
		"no nonce":                  payload(nil, 1, m{3: 1}),
		"no history":                payload(nil, 1, m{1: nonce}),
		"history 4":                 payload(nil, 1, m{1: nonce, 3: 4}),
		"a chat with zeros":         payload(nil, 1, m{1: nonce, 2: make([]byte, 20), 3: 1}),
		"a chat with 19 bytes":      payload(nil, 1, m{1: nonce, 2: anna[1:], 3: 1}),
		"a creation with more":      payload(nil, 1, m{1: nonce, 3: 1, 9: 1}),
		"an invitation of nobody":   payload(p32(1), 2, m{1: make([]byte, 20), 2: 1}),
		"an invitation as nothing":  payload(p32(1), 2, m{1: anna[:], 2: 0}),
		"an invitation as king":     payload(p32(1), 2, m{1: anna[:], 2: 4}),
		"an acceptance of nothing":  payload(p32(1), 3, m{}),
		"an acceptance of zeros":    payload(p32(1), 3, m{1: make([]byte, 32)}),
		"a removal of nobody":       payload(p32(1), 5, m{}),
		"a removal of 21 bytes":     payload(p32(1), 5, m{1: make([]byte, 21)}),
		"a role of nobody":          payload(p32(1), 6, m{2: 1}),
		"a role of 300":             payload(p32(1), 6, m{1: anna[:], 2: 300}),
		"a change of nothing":       payload(p32(1), 7, m{}),
		"a name too long":           payload(p32(1), 7, m{1: strings.Repeat("x", chat.MaxRoomName+1)}),
		"a topic too long":          payload(p32(1), 7, m{2: strings.Repeat("x", chat.MaxTopic+1)}),
		"a name of bytes":           payload(p32(1), 7, m{1: []byte("x")}),
		"a name that is not UTF-8":  bytes.Replace(payload(p32(1), 7, m{1: "xx"}), []byte("xx"), []byte("\xff\xfe"), 1),
		"bytes behind it":           append(payload(p32(1), 4, m{}), 0),
		"more than a payload holds": make([]byte, chat.MaxPayload+1),
	} {
		if _, body, err := Decode(b); chat.CodeOf(err) != chat.CodeInvalid {
			t.Errorf("%s: %#v, %v", name, body, err)
		}
	}
}

func TestKeysAndKindsOfTheFutureAreRead(t *testing.T) {
	parents := [][]byte{bytes.Repeat([]byte{1}, 32)}
	if _, b, err := Decode(payload(parents, 4, map[int]any{9: "new"})); err != nil || b != (Leave{}) {
		t.Errorf("%#v, %v", b, err)
	}
	if _, b, err := Decode(payload(parents, 200, []any{"what", true})); err != nil || b != (Unknown{200}) {
		t.Errorf("%#v, %v", b, err)
	}
	if _, err := Encode([]chat.EntryID{id(1)}, Unknown{200}); err == nil {
		t.Error("it can be written, without what it held")
	}
}

func FuzzDecode(f *testing.F) {
	for _, g := range goldenOps() {
		b, err := Encode(g.parents, g.body)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add(payload([][]byte{bytes.Repeat([]byte{1}, 32)}, 200, []any{"what", true}))
	f.Fuzz(func(t *testing.T, b []byte) {
		parents, body, err := Decode(b)
		if err != nil {
			if chat.CodeOf(err) != chat.CodeInvalid {
				t.Fatalf("an error that is not %q: %v", chat.CodeInvalid, err)
			}
			return
		}
		if err := wellFormed(parents, body); err != nil {
			t.Fatalf("accepted against the rules: %v", err)
		}
		if _, unknown := body.(Unknown); unknown {
			return
		}
		again, err := Encode(parents, body)
		if err != nil {
			t.Fatalf("what was accepted can't be written: %v", err)
		}
		p, c, err := Decode(again)
		if err != nil || !slices.Equal(p, parents) || !reflect.DeepEqual(c, body) {
			t.Fatalf("%#v became %#v, %v", body, c, err)
		}
		if _, founds := body.(Create); founds && !bytes.Equal(again, b) && !skipped(b) {
			t.Fatalf("a creation with two encodings: %x and %x", again, b)
		}
	})
}

// skipped reports whether b has keys beside those of an operation, which readers
// skip.
func skipped(b []byte) bool {
	var m map[int]any
	return wire.Unmarshal(b, &m) != nil || len(m) > 3
}

func TestEveryBodyHasAKindAndALayout(t *testing.T) {
	seen := map[uint8]bool{}
	for _, g := range goldenOps() {
		seen[kindOf(g.body)] = true
	}
	for kind := uint8(1); kind < kindEnd; kind++ {
		if !seen[kind] {
			t.Errorf("kind %d has no golden bytes", kind)
		}
	}
}

func TestRolesAndHistoryAreReadAsTheyAreWritten(t *testing.T) {
	for r := RoleMember; r <= RoleOwner; r++ {
		if got, err := ParseRole(r.String()); err != nil || got != r {
			t.Errorf("%v: %v, %v", r, got, err)
		}
	}
	for h := HistoryNone; h <= HistoryAll; h++ {
		if got, err := ParseHistory(h.String()); err != nil || got != h {
			t.Errorf("%v: %v, %v", h, got, err)
		}
	}
	for _, s := range []string{"", "nobody", "unknown", "Owner", strings.Repeat("x", 1000)} {
		if _, err := ParseRole(s); chat.CodeOf(err) != chat.CodeUsage || len(err.Error()) > 200 {
			t.Errorf("%q: %v", s, err)
		}
		if _, err := ParseHistory(s); chat.CodeOf(err) != chat.CodeUsage || len(err.Error()) > 200 {
			t.Errorf("%q: %v", s, err)
		}
	}
}
