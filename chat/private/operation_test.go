package private

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/identity"
	"earshot/chat/membership"
	"earshot/chat/wire"
)

var update = flag.Bool("update", false, "write the vectors anew; the wire format changes with it")

// hexBytes is written as hex in JSON.
type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

func (h *hexBytes) UnmarshalText(b []byte) (err error) {
	*h, err = hex.DecodeString(string(b))
	return err
}

// vectors is chat/testdata/vectors/operations.json.
type vectors struct {
	Room       hexBytes
	Operations []vector
	Root       hexBytes // over all of them
}

type vector struct {
	Does        string
	RootKey     byte // seed: 32 times
	DeviceKey   byte
	Certificate hexBytes
	HLC         uint64
	Payload     hexBytes // what chat/membership encodes
	Body        hexBytes // what is signed
	Signature   hexBytes
	Operation   hexBytes
	ID          hexBytes
}

func numbered(b byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, ed25519.SeedSize))
}

func numberedCert(t testing.TB, root, device byte) identity.Certificate {
	t.Helper()
	d := chat.DeviceID(numbered(device).Public().(ed25519.PublicKey))
	c, err := identity.Sign(numbered(root), d, time.Unix(1_800_000_000, 0), "")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// story of a room: person 1 founds it, names it, and invites person 3, who accepts.
func vectorOps(t testing.TB) (room chat.RoomID, ops []Operation) {
	t.Helper()
	ann, bob := numberedCert(t, 1, 2), numberedCert(t, 3, 4)
	c := membership.Create{Nonce: [16]byte(bytes.Repeat([]byte{5}, 16)), History: membership.HistoryInvited}
	room = membership.RoomOf(ann.Person(), c)
	name := "garden"
	hlc := chat.HLC(1_800_000_000_000_000)
	add := func(device byte, cert identity.Certificate, b membership.Body) {
		var parents []chat.EntryID
		if len(ops) > 0 {
			parents = []chat.EntryID{ops[len(ops)-1].ID}
		}
		o, err := SignOperation(numbered(device), cert, room, hlc, parents, b)
		if err != nil {
			t.Fatal(err)
		}
		ops = append(ops, o)
		hlc++
	}
	add(2, ann, c)
	add(2, ann, membership.Set{Name: &name})
	add(2, ann, membership.Invite{Person: bob.Person(), Role: membership.RoleAdmin})
	add(4, bob, membership.Accept{Invite: ops[2].ID})
	add(4, bob, membership.Attest{})
	return room, ops
}

func TestOperationsAreThePublishedOnes(t *testing.T) {
	room, ops := vectorOps(t)
	got := vectors{Room: room[:]}
	var ids []chat.EntryID
	for i, o := range ops {
		keys := [2]byte{1, 2}
		if i >= 3 {
			keys = [2]byte{3, 4}
		}
		// From the page, without the code of the package.
		payload := encoded(t, o.Parents, o.Body)
		body := wire.Marshal(map[int]any{1: 1, 2: room[:], 3: o.Certificate.Bytes(), 4: uint64(o.HLC), 5: payload})
		sig := ed25519.Sign(numbered(keys[1]), append([]byte("earshot/v1 membership-op\x00"), body...))
		id := sha256.Sum256(append([]byte("earshot/v1 membership-op-id\x00"), body...))
		got.Operations = append(got.Operations, vector{
			Does: reflect.TypeOf(o.Body).Name(), RootKey: keys[0], DeviceKey: keys[1], Certificate: o.Certificate.Bytes(), HLC: uint64(o.HLC),
			Payload: payload, Body: body, Signature: sig, Operation: wire.Marshal([]any{body, sig}), ID: id[:],
		})
		ids = append([]chat.EntryID{o.ID}, ids...) // in any order
	}
	root := OpsRoot(ids)
	got.Root = root[:]
	path := filepath.Join("..", "testdata", "vectors", "operations.json")
	if *update {
		b, err := json.MarshalIndent(got, "", " ")
		must(t, err)
		must(t, os.WriteFile(path, append(b, '\n'), 0o666))
	}
	b, err := os.ReadFile(path)
	must(t, err)
	var want vectors
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	must(t, d.Decode(&want))
	if !reflect.DeepEqual(got, want) {
		t.Error("the vectors are not what is computed now")
	}
	for i, v := range want.Operations {
		o, err := ParseOperation(v.Operation)
		if err != nil || o.Verify() != nil {
			t.Fatalf("%s: %v", v.Does, err)
		}
		if !bytes.Equal(o.ID[:], v.ID) || !bytes.Equal(ops[i].Bytes(), v.Operation) || !reflect.DeepEqual(o, ops[i]) {
			t.Errorf("%s is another one", v.Does)
		}
	}
}

func TestOperationsThatBreakTheRulesAreRefusedWhole(t *testing.T) {
	_, ops := vectorOps(t)
	o := ops[2]
	cert, payload := o.Certificate.Bytes(), encoded(t, o.Parents, o.Body)
	body := func(change func(m map[int]any)) []byte {
		m := map[int]any{1: 1, 2: o.Room[:], 3: cert, 4: uint64(1), 5: payload}
		change(m)
		b := wire.Marshal(m)
		return wire.Marshal([]any{b, ed25519.Sign(numbered(2), signedOp(b))})
	}
	if p, err := ParseOperation(body(func(m map[int]any) { m[99] = "of the future" })); err != nil || p.Verify() != nil {
		t.Errorf("a key of the future: %v", err)
	}
	for name, b := range map[string][]byte{
		"nothing":                  {},
		"too long":                 make([]byte, wire.MaxOperation+1),
		"another version":          body(func(m map[int]any) { m[1] = 2 }),
		"a short room":             body(func(m map[int]any) { m[2] = o.Room[1:] }),
		"no certificate":           body(func(m map[int]any) { m[3] = []byte{} }),
		"a clock out of range":     body(func(m map[int]any) { m[4] = uint64(chat.MaxHLC) + 1 }),
		"no membership operation":  body(func(m map[int]any) { m[5] = []byte{1} }),
		"a missing field":          body(func(m map[int]any) { delete(m, 2) }),
		"a short signature":        wire.Marshal([]any{o.body, o.sig[1:]}),
		"without a signature":      wire.Marshal([]any{o.body}),
		"more than a signature":    wire.Marshal([]any{o.body, o.sig, []byte{1}}),
		"bytes behind it":          append(bytes.Clone(o.raw), 0),
		"a body that is no map":    wire.Marshal([]any{wire.Marshal([]int{1}), o.sig}),
		"a payload without parent": body(func(m map[int]any) { m[5] = wire.Marshal(map[int]any{2: 2, 3: map[int]any{}}) }),
	} {
		if _, err := ParseOperation(b); chat.CodeOf(err) != chat.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := range o.raw {
		b := bytes.Clone(o.raw)
		b[i] ^= 1
		if p, err := ParseOperation(b); err == nil && p.Verify() == nil {
			t.Fatalf("byte %d can be changed", i)
		}
	}
}

func FuzzParseOperation(f *testing.F) {
	_, ops := vectorOps(f)
	for _, o := range ops {
		f.Add(o.Bytes())
	}
	f.Add([]byte{0x82, 0x40, 0x40})
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := ParseOperation(b)
		if err != nil {
			if chat.CodeOf(err) != chat.CodeInvalid {
				t.Fatalf("%v", err)
			}
			return
		}
		again, err := ParseOperation(o.Bytes())
		if err != nil || !reflect.DeepEqual(o, again) || !bytes.Equal(o.Bytes(), b) {
			t.Fatalf("%x is read as another one: %v", b, err)
		}
		if op := o.Op(); op.ID != o.ID || op.Device != o.Certificate.Device {
			t.Fatal("the operation says something else")
		}
	})
}
