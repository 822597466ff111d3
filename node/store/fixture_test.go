package store

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"slices"
	"testing"

	"earshot/chat"
	"earshot/chat/wire"
)

// writerOf is somebody who writes a log, with keys that follow from a name.
type writerOf struct {
	person chat.PersonID
	key    ed25519.PrivateKey
	device chat.DeviceID
	room   chat.RoomID
	log    chat.LogID
	seq    uint64
	prev   chat.EntryID
}

func newWriter(room chat.RoomID, name string) *writerOf {
	seed := sha256.Sum256([]byte(name))
	w := &writerOf{key: ed25519.NewKeyFromSeed(seed[:]), room: room}
	copy(w.device[:], w.key.Public().(ed25519.PublicKey))
	copy(w.person[:], seed[:])
	log := sha256.Sum256(append(seed[:], room[:]...))
	copy(w.log[:], log[:])
	return w
}

// say returns the next entry of the log; the first one opens it.
func (w *writerOf) say(hlc chat.HLC, text string) Record {
	w.seq++
	h := wire.Header{Log: w.log, Ref: w.room.Ref(w.log), Seq: w.seq, Prev: w.prev, HLC: hlc, Kind: wire.KindMessage}
	payload := wire.Marshal(wire.Message{Text: text})
	if w.seq == 1 {
		h.Kind, text = wire.KindOpen, ""
		payload = wire.Marshal(wire.Open{Certificate: []byte{1}, Name: "somebody"})
	}
	e, err := wire.Sign(w.key, h, payload)
	if err != nil {
		panic(err)
	}
	w.prev = e.ID
	return Record{Room: w.room, Entry: e, Person: w.person, ReceivedAt: hlc.Time(), Sort: hlc, Text: text}
}

// entry returns the next entry of the log, of a kind and an epoch.
func (w *writerOf) entry(hlc chat.HLC, kind wire.Kind, epoch uint64) Record {
	return w.sign(wire.Header{HLC: hlc, Kind: kind, Epoch: epoch}, []byte("sealed"))
}

// naming returns the next entry of the log, a message that names others as seen.
func (w *writerOf) naming(hlc chat.HLC, deps ...wire.Dep) Record {
	return w.sign(wire.Header{HLC: hlc, Kind: wire.KindMessage, Deps: deps}, wire.Marshal(wire.Message{Text: "seen"}))
}

func (w *writerOf) sign(h wire.Header, payload []byte) Record {
	w.seq++
	h.Log, h.Ref, h.Seq, h.Prev = w.log, w.room.Ref(w.log), w.seq, w.prev
	e, err := wire.Sign(w.key, h, payload)
	if err != nil {
		panic(err)
	}
	w.prev = e.ID
	return Record{Room: w.room, Entry: e, Person: w.person, ReceivedAt: h.HLC.Time(), Sort: h.HLC}
}

// opened is a writer whose log is open since hlc, and that first record.
func opened(room chat.RoomID, name string, hlc chat.HLC) (*writerOf, Record) {
	w := newWriter(room, name)
	return w, w.say(hlc, "")
}

// testKey is the key of every history in these tests.
var testKey = bytes.Repeat([]byte{7, 19, 31, 5}, KeySize/4)

const noon chat.HLC = 1_750_000_000_000_000

func openStore(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(t.Context(), dir, Options{Key: testKey})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// store waits until recs are stored.
func (s *Store) store(recs ...Record) ([]chat.Cursor, error) {
	type answer struct {
		cursors []chat.Cursor
		err     error
	}
	c := make(chan answer, 1)
	s.Append(recs, func(cursors []chat.Cursor, err error) { c <- answer{cursors, err} })
	a := <-c
	return a.cursors, a.err
}

func mustStore(t testing.TB, s *Store, recs ...Record) []chat.Cursor {
	t.Helper()
	cursors, err := s.store(recs...)
	if err != nil {
		t.Fatal(err)
	}
	return cursors
}

// wait returns a done function and one that waits for it.
func wait[T any]() (done func(T, error), get func(testing.TB) T) {
	type answer struct {
		v   T
		err error
	}
	c := make(chan answer, 1)
	return func(v T, err error) { c <- answer{v, err} }, func(t testing.TB) T {
		t.Helper()
		a := <-c
		if a.err != nil {
			t.Fatal(a.err)
		}
		return a.v
	}
}

func putRoom(t testing.TB, s *Store, name string, joined bool) (chat.RoomID, chat.Cursor) {
	t.Helper()
	id := chat.OpenRoom(name)
	done, get := wait[chat.Cursor]()
	s.PutRoom(RoomChange{Room: id, Name: name, Kind: chat.RoomOpen, Joined: joined, At: noon.Time()}, done)
	return id, get(t)
}

func putDevice(t testing.TB, s *Store, d DeviceRow) {
	t.Helper()
	c := make(chan error, 1)
	s.PutDevice(d, func(err error) { c <- err })
	if err := <-c; err != nil {
		t.Fatal(err)
	}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func texts(page []chat.Message) []string {
	var out []string
	for _, m := range page {
		out = append(out, m.Text)
	}
	return out
}

func wantTexts(t testing.TB, page []chat.Message, want ...string) {
	t.Helper()
	if got := texts(page); !slices.Equal(got, want) {
		t.Fatalf("texts = %q, want %q", got, want)
	}
}
