package seal

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/identity"
	"earshot/chat/wire"
)

var (
	noon   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	office = chat.RoomID(sha256.Sum256([]byte("office")))
	cellar = chat.RoomID(sha256.Sum256([]byte("cellar")))
)

func keyOf(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("earshot test key " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func deviceOf(name string) (d chat.DeviceID) {
	copy(d[:], keyOf(name).Public().(ed25519.PublicKey))
	return d
}

func certificateOf(t testing.TB, name string) identity.Certificate {
	c, err := identity.Sign(keyOf("person of "+name), deviceOf(name), noon, name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// failure is what testing.T and rapid.T have in common.
type failure interface {
	Helper()
	Fatalf(format string, args ...any)
}

// member is a device's engine, a disk that holds what it persisted, and all that it
// has said and heard.
type member struct {
	*Engine
	t       failure
	name    string
	cert    identity.Certificate
	keeps   bool // in rooms that keep their history
	state   map[string][]byte
	logs    map[chat.RoomID][]wire.Entry
	run     int
	now     time.Time
	read    []string // what was opened, in order
	effects []Effect // of everything
}

func newMember(t testing.TB, name string) *member {
	m := &member{
		t: t, name: name, cert: certificateOf(t, name), now: noon,
		state: map[string][]byte{}, logs: map[chat.RoomID][]wire.Entry{},
	}
	m.start()
	return m
}

// start makes the engine anew from the disk, as a new process does.
func (m *member) start() {
	m.t.Helper()
	seed := sha256.Sum256(append([]byte(m.name), byte(m.run)))
	m.run++
	e, err := New(Config{Key: keyOf(m.name), Random: rand.NewChaCha8(seed)}, m.state)
	if err != nil {
		m.t.Fatalf("%s does not start: %v", m.name, err)
	}
	m.Engine = e
	m.do(Tick{})
}

// do hands the engine an input, carries out the effects, and returns the entries
// that are to go out.
func (m *member) do(in Input) (out []wire.Entry) {
	m.t.Helper()
	effects := m.Handle(m.now, in)
	m.effects = append(m.effects, effects...)
	for _, f := range effects {
		switch f := f.(type) {
		case Persist:
			if m.state[f.Key] = f.Value; f.Value == nil {
				delete(m.state, f.Key)
			}
		case Append:
			out = append(out, m.sign(f.Room, f.Kind, f.Epoch, f.Payload))
		case Opened:
			m.read = append(m.read, string(f.Plaintext))
		}
	}
	return out
}

// sign appends an entry to the member's log of a room.
func (m *member) sign(room chat.RoomID, kind wire.Kind, epoch uint64, payload []byte) wire.Entry {
	m.t.Helper()
	log := chat.NewLogID(m.device, room[:16])
	h := wire.Header{
		Log: log, Ref: room.Ref(log), Seq: uint64(len(m.logs[room])) + 2, HLC: chat.HLCOf(m.now), Kind: kind, Epoch: epoch,
		Prev: chat.EntryID{1},
	}
	en, err := wire.Sign(keyOf(m.name), h, payload)
	if err != nil {
		m.t.Fatalf("%s cannot append: %v", m.name, err)
	}
	m.logs[room] = append(m.logs[room], en)
	return en
}

// share tells the member who reads a room.
func (m *member) share(room chat.RoomID, with ...*member) []wire.Entry {
	m.t.Helper()
	in := Recipients{Room: room, View: viewOf(with...), Keep: m.keeps}
	for _, o := range with {
		in.Devices = append(in.Devices, Recipient{Certificate: o.cert, Prekey: o.Prekey()})
	}
	return m.do(in)
}

func viewOf(members ...*member) [32]byte {
	var names []string
	for _, m := range members {
		names = append(names, m.name)
	}
	slices.Sort(names)
	h := sha256.New()
	for _, n := range names {
		h.Write([]byte(n + ","))
	}
	return [32]byte(h.Sum(nil))
}

// say seals a text and returns the entries it goes out with.
func (m *member) say(room chat.RoomID, text string) []wire.Entry {
	m.t.Helper()
	return m.do(Seal{Room: room, Kind: wire.KindMessage, Plaintext: []byte(text), Ref: 1})
}

// hear takes entries in, and returns what goes out because of them.
func (m *member) hear(room chat.RoomID, entries ...wire.Entry) (out []wire.Entry) {
	m.t.Helper()
	for _, en := range entries {
		out = append(out, m.do(Receive{Room: room, Entry: en})...)
	}
	return out
}

// room lets some members know of each other in a room.
func meet(room chat.RoomID, members ...*member) {
	for _, m := range members {
		m.share(room, members...)
	}
}

func trio(t testing.TB) (alice, bob, carol *member) {
	alice, bob, carol = newMember(t, "alice"), newMember(t, "bob"), newMember(t, "carol")
	meet(office, alice, bob, carol)
	return alice, bob, carol
}

// last returns the newest effect of a type.
func last[T Effect](m *member) (out T, ok bool) {
	for _, f := range m.effects {
		if g, is := f.(T); is {
			out, ok = g, true
		}
	}
	return out, ok
}

func count[T Effect](m *member) (n int) {
	for _, f := range m.effects {
		if _, is := f.(T); is {
			n++
		}
	}
	return n
}

func (m *member) wantRead(want ...string) {
	m.t.Helper()
	if !slices.Equal(m.read, want) {
		m.t.Fatalf("%s has read %q, want %q", m.name, m.read, want)
	}
}

// wantReason checks why the last unreadable entry was not readable.
func (m *member) wantReason(want Reason) {
	m.t.Helper()
	if got, ok := last[Unreadable](m); !ok || got.Reason != want {
		m.t.Fatalf("%s: unreadable because of %q, want %q", m.name, got.Reason, want)
	}
}

func (m *member) wantRefused(from chat.DeviceID) {
	m.t.Helper()
	got, ok := last[Refuse](m)
	if !ok || got.From != from || chat.CodeOf(got.Err) != chat.CodeInvalid {
		m.t.Fatalf("%s refused %+v, want %q of %s", m.name, got, chat.CodeInvalid, from.Short())
	}
}

// wantPersisted checks that the disk holds what the engine believes, and that a new
// run would believe the same.
func (m *member) wantPersisted() {
	m.t.Helper()
	sameState(m.t, m.name+"'s disk", m.state, m.Snapshot())
	again, err := New(m.cfg, m.state)
	if err != nil {
		m.t.Fatalf("%s: %v", m.name, err)
	}
	sameState(m.t, m.name+"'s next run", again.Snapshot(), m.Snapshot())
}

func sameState(t failure, what string, got, want map[string][]byte) {
	t.Helper()
	for k, v := range want {
		if !bytes.Equal(got[k], v) {
			t.Fatalf("%s: %s is %x, want %x", what, k, got[k], v)
		}
	}
	for k := range got {
		if _, ok := want[k]; !ok {
			t.Fatalf("%s: %s should be gone", what, k)
		}
	}
}

// payloads returns the payloads of one kind.
func ofKind(entries []wire.Entry, kind wire.Kind) (out []wire.Entry) {
	for _, en := range entries {
		if en.Kind == kind {
			out = append(out, en)
		}
	}
	return out
}
