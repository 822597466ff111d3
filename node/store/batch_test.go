package store

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"

	"earshot/chat"
	"earshot/chat/wire"
)

// commit waits until a batch is stored.
func (s *Store) commit(b Batch) ([]chat.Cursor, error) {
	type answer struct {
		cursors []chat.Cursor
		err     error
	}
	c := make(chan answer, 1)
	s.Commit(b, func(cursors []chat.Cursor, err error) { c <- answer{cursors, err} })
	a := <-c
	return a.cursors, a.err
}

func mustCommit(t testing.TB, s *Store, b Batch) []chat.Cursor {
	t.Helper()
	return must(s.commit(b))(t)
}

// seal returns the next entry of the log, sealed and not readable.
func (w *writerOf) seal(hlc chat.HLC, epoch uint64) Record {
	w.seq++
	h := wire.Header{Log: w.log, Ref: w.room.Ref(w.log), Seq: w.seq, Prev: w.prev, HLC: hlc, Kind: wire.KindMessage, Epoch: epoch}
	e, err := wire.Sign(w.key, h, fmt.Append(nil, "sealed ", w.seq))
	if err != nil {
		panic(err)
	}
	w.prev = e.ID
	return Record{Room: w.room, Entry: e, Person: w.person, ReceivedAt: hlc.Time(), Sort: hlc, Unopened: true}
}

// den is a private room.
var den = chat.RoomID{0xde}

func denChange(joined bool) RoomChange {
	return RoomChange{Room: den, Name: "#den", Kind: chat.RoomPrivate, Topic: "quiet", Joined: joined, At: noon.Time()}
}

func TestABatchIsOfOnePiece(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	ann, open := opened(den, "ann", noon)
	first, second, spoken := ann.seal(noon+1, 1), ann.seal(noon+2, 2), ann.say(noon+3, "spoken")
	ann.say(noon+4, "lost")
	after := ann.say(noon+5, "after a hole")
	whole := Batch{
		Records:  []Record{open, first, second, spoken},
		Unopened: []Unopened{{ID: second.Entry.ID, Room: den, Reason: "not_shared"}, {ID: chat.EntryID{1}, Room: den, Reason: "unknown"}},
		Openings: []Opening{{ID: first.Entry.ID, Room: den, Text: "opened"}, {ID: chat.EntryID{1}, Room: den, Text: "unknown"}},
		Rooms:    []RoomChange{denChange(true)},
		State:    []StateChange{{Key: "a", Value: []byte("1")}, {Key: "b", Value: []byte{}}, {Key: "c", Value: []byte("3")}, {Key: "c"}},
	}
	broken := whole
	broken.Records = append(slices.Clone(whole.Records), after)
	if _, err := s.commit(broken); chat.CodeOf(err) != chat.CodeInternal {
		t.Fatalf("a batch with a hole: %v", err)
	}
	broken = whole
	broken.State = append(slices.Clone(whole.State), StateChange{Key: strings.Repeat("k", MaxStateKey+1), Value: []byte("1")})
	if _, err := s.commit(broken); chat.CodeOf(err) != chat.CodeInternal {
		t.Fatalf("a batch with a key too long: %v", err)
	}
	if rooms, state := must(s.Rooms(t.Context()))(t), must(s.State(t.Context(), ""))(t); len(rooms) != 0 || len(state) != 0 {
		t.Fatalf("half a batch is stored: %+v, %v", rooms, state)
	}
	// Records, then openings, then rooms; 0 where nothing became a fact.
	if got, want := mustCommit(t, s, whole), []chat.Cursor{0, 0, 0, 1, 2, 0, 3}; !slices.Equal(got, want) {
		t.Fatalf("cursors = %v, want %v", got, want)
	}
	check := func(s *Store) {
		t.Helper()
		wantTexts(t, must(s.Messages(t.Context(), den, MessageQuery{}))(t), "opened", "spoken")
		want := []RoomRow{{
			Room: den, Name: "#den", Kind: chat.RoomPrivate, Topic: "quiet", Joined: true, Unread: 2, Unreadable: 1, LastAt: (noon + 3).Time(),
		}}
		if rooms := must(s.Rooms(t.Context()))(t); !reflect.DeepEqual(rooms, want) {
			t.Fatalf("rooms = %+v, want %+v", rooms, want)
		}
		if state, want := must(s.State(t.Context(), ""))(t), (map[string][]byte{"a": []byte("1"), "b": {}}); !reflect.DeepEqual(state, want) {
			t.Fatalf("state = %q, want %q", state, want)
		}
		page, _, err := s.UnopenedEntries(t.Context(), UnopenedQuery{Room: den})
		if err != nil || len(page) != 1 || page[0].Reason != "not_shared" || page[0].Entry.ID != second.Entry.ID {
			t.Fatalf("unopened = %+v, %v", page, err)
		}
	}
	check(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	check(openStore(t, dir))
}

// Batches behind one that failed hold states of an engine that is thrown away.
func TestAGuardCallsBackTheBatchesBehindAFailedOne(t *testing.T) {
	gate := make(chan struct{})
	s, err := Open(t.Context(), t.TempDir(), Options{Key: testKey, hold: func() { <-gate }})
	if err != nil {
		t.Fatal(err)
	}
	failed, errGone := false, errors.New("the engine is gone") // the writer's
	guard := func() error {
		if failed {
			return errGone
		}
		return nil
	}
	ann, _ := opened(den, "ann", noon)
	errs := make(chan error, 4)
	for i, recs := range [][]Record{nil, {ann.say(noon+1, "no opening")}, nil, nil} {
		b := Batch{Records: recs, State: []StateChange{{Key: fmt.Sprint("batch ", i), Value: []byte{1}}}, Guard: guard}
		s.Commit(b, func(cursors []chat.Cursor, err error) {
			if failed = failed || err != nil; err != nil && cursors != nil {
				t.Error("cursors of a failed batch")
			}
			errs <- err
		})
	}
	close(gate)
	for i := range 4 {
		if err := <-errs; (err == nil) != (i == 0) || (i > 1) != errors.Is(err, errGone) {
			t.Errorf("batch %d: %v", i, err)
		}
	}
	if state := must(s.State(t.Context(), "batch"))(t); len(state) != 1 || state["batch 0"] == nil {
		t.Errorf("state = %v, want that of the first batch", state)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestStateIsFoundByPrefix(t *testing.T) {
	s := openStore(t, t.TempDir())
	var changes []StateChange
	for _, key := range []string{"seal/a", "seal/b", "seal0", "seal", "sea\xff", "sea\xff\xff", "\xff\xff"} {
		changes = append(changes, StateChange{key, []byte(key)})
	}
	mustCommit(t, s, Batch{State: changes})
	for prefix, want := range map[string][]string{
		"":         {"sea\xff", "sea\xff\xff", "seal", "seal/a", "seal/b", "seal0", "\xff\xff"},
		"seal/":    {"seal/a", "seal/b"},
		"seal":     {"seal", "seal/a", "seal/b", "seal0"},
		"sea\xff":  {"sea\xff", "sea\xff\xff"},
		"\xff":     {"\xff\xff"},
		"nothing/": nil,
	} {
		var got []string
		for key, value := range must(s.State(t.Context(), prefix))(t) {
			if got = append(got, key); string(value) != key {
				t.Errorf("%q holds %q", key, value)
			}
		}
		if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			t.Errorf("with prefix %q: %q, want %q", prefix, got, want)
		}
	}
}

// plainStore opens a history that is not encrypted, so that a test can look for
// what its file holds.
func plainStore(t *testing.T, dir string) *Store {
	t.Helper()
	c := must(openWriter(t.Context(), filepath.Join(dir, FileName), nil))(t)
	s := must(start(dir, Options{}, c))(t)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// slotKeys returns the keys of the values in the file.
func slotKeys(t *testing.T, s *Store) map[string][]byte {
	t.Helper()
	keys := map[string][]byte{}
	if err := s.read(t.Context(), func(c *conn) error {
		return c.query(func(stmt *sqlite3.Stmt) error {
			keys[stmt.ColumnText(0)] = stmt.ColumnBlob(1, nil)
			return nil
		}, fmt.Sprintf(`SELECT s.name, substr(k.slots, %d + s.slot %% %d * %d, %d) FROM state s JOIN state_key k ON k.id = 1 + s.slot / %d`,
			slotHead+1, slotsPerBlob, slotSize, slotSize, slotsPerBlob))
	}); err != nil {
		t.Fatal(err)
	}
	return keys
}

// The file holds no value but encrypted, and no key of one that was removed or
// replaced; the log holds neither once it was emptied.
func TestRemovedStateIsNotReadFromTheFile(t *testing.T) {
	dir := t.TempDir()
	s := plainStore(t, dir)
	r := rand.New(rand.NewPCG(3, 5))
	held := map[string][]byte{}
	var gone [][]byte // keys of values
	for round := range 60 {
		var changes []StateChange
		before := slotKeys(t, s)
		for _, n := range r.Perm(1500)[:60] {
			c := StateChange{Key: fmt.Sprint("seal/", n)}
			if r.IntN(3) > 0 { // of all sizes: in a page, and over several
				c.Value = bytes.Repeat([]byte("<secret>"), r.IntN(1<<r.IntN(10)))
				held[c.Key] = c.Value
			} else {
				delete(held, c.Key)
			}
			if key := before[c.Key]; key != nil {
				gone = append(gone, key)
			}
			changes = append(changes, c)
		}
		mustCommit(t, s, Batch{State: changes})
		if round%15 != 14 {
			continue
		}
		if state := must(s.State(t.Context(), ""))(t); !reflect.DeepEqual(state, held) {
			t.Fatal("the state is not what was stored")
		}
		if err := s.bare(t.Context(), (*writer).emptyLog); err != nil {
			t.Fatal(err)
		}
		files := contents(t, dir)
		file := files[FileName]
		if n := len(files[FileName+"-wal"]); n != 0 {
			t.Fatalf("the write-ahead log holds %d bytes", n)
		}
		if bytes.Contains(file, []byte("<secret>")) {
			t.Fatal("a value stands in the file as it is")
		}
		for name, key := range slotKeys(t, s) {
			// Some stand on two pages.
			if !bytes.Contains(file, key) && !bytes.Contains(file, key[:slotSize/2]) && !bytes.Contains(file, key[slotSize/2:]) {
				t.Fatalf("the key of %s is not in the file: is this the file?", name)
			}
		}
		for _, key := range gone {
			if bytes.Contains(file, key[:8]) || bytes.Contains(file, key[slotSize-8:]) {
				t.Fatal("the key of a value that was removed stands in the file")
			}
		}
	}
	if len(gone) < 500 || len(slotKeys(t, s)) < 500 {
		t.Errorf("only %d values were removed, and %d are left", len(gone), len(held))
	}
}

// What can be told of slots after the start is what was known before.
func TestSlotsAreUsedAgain(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	put := func(from, to int, value []byte) {
		t.Helper()
		var b Batch
		for i := from; i < to; i++ {
			b.State = append(b.State, StateChange{fmt.Sprint(i), value})
		}
		mustCommit(t, s, b)
	}
	put(0, slotsPerBlob+10, []byte("v"))
	put(5, slotsPerBlob, nil)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir)
	put(2000, 2000+slotsPerBlob+20, []byte("w"))
	most, n := int64(0), 0
	if err := s.read(t.Context(), func(c *conn) error {
		return c.query(func(stmt *sqlite3.Stmt) error {
			most, n = max(most, stmt.ColumnInt64(0)), n+1
			return nil
		}, `SELECT DISTINCT slot FROM state`)
	}); err != nil {
		t.Fatal(err)
	}
	if want := slotsPerBlob + 35; n != want || most != int64(want)-1 {
		t.Errorf("%d values have slots up to %d, want %d values up to %d", n, most, want, want-1)
	}
	if state := must(s.State(t.Context(), ""))(t); len(state) != n || string(state["3"]) != "v" || string(state["2900"]) != "w" {
		t.Errorf("%d values", len(state))
	}
}

func TestAPersonGoesByOneName(t *testing.T) {
	s := openStore(t, t.TempDir())
	lobby, _ := putRoom(t, s, "#lobby", true)
	laptop, open := opened(lobby, "ann", noon)
	phone, phoneOpen := opened(lobby, "ann's phone", noon)
	phoneOpen.Person = laptop.person
	said := phone.say(noon+2, "from the phone")
	said.Person = laptop.person
	mustStore(t, s, open, laptop.say(noon+1, "from the laptop"))
	names := func() (out []string) {
		for _, m := range must(s.Messages(t.Context(), lobby, MessageQuery{}))(t) {
			out = append(out, m.From.Name)
		}
		return out
	}
	putDevice(t, s, DeviceRow{Device: laptop.device, Person: laptop.person, Name: "Ann"})
	mustStore(t, s, phoneOpen, said)
	if got := names(); !slices.Equal(got, []string{"Ann", "Ann"}) {
		t.Errorf("a new device is called %q", got)
	}
	putDevice(t, s, DeviceRow{Device: phone.device, Person: laptop.person, Name: "Ann B."})
	if got := names(); !slices.Equal(got, []string{"Ann B.", "Ann B."}) {
		t.Errorf("after a new name on one device: %q", got)
	}
	other := newWriter(lobby, "another")
	putDevice(t, s, DeviceRow{Device: other.device, Person: other.person, Name: "Another"})
	if got := names(); !slices.Equal(got, []string{"Ann B.", "Ann B."}) {
		t.Errorf("after another person's name: %q", got)
	}
}

// The first version let a person have a name for each device.
func TestTheNewestNameIsKeptForAPersonOfTheFirstVersion(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c := must(open(t.Context(), path, testKey, sqlite3.OPEN_READWRITE))(t)
	if err := c.db.Exec(migrations[0] + fmt.Sprintf("PRAGMA user_version = 1; PRAGMA application_id = %d;", applicationID)); err != nil {
		t.Fatal(err)
	}
	ann, bob := newWriter(den, "ann"), newWriter(den, "bob")
	for i, d := range []struct {
		of   *writerOf
		name string
		seen int
	}{{ann, "Old", 1}, {ann, "New", 3}, {ann, "", 4}, {bob, "", 9}, {bob, "Bob", 2}} {
		if err := c.exec(`INSERT INTO device (device, person, name, last_seen) VALUES (?, ?, ?, ?)`,
			bytes.Repeat([]byte{byte(i)}, len(ann.device)), d.of.person[:], d.name, d.seen); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range must(openStore(t, dir).Devices(t.Context()))(t) {
		names = append(names, d.Name)
	}
	if want := []string{"New", "New", "New", "Bob", "Bob"}; !slices.Equal(names, want) {
		t.Errorf("names = %q, want %q", names, want)
	}
}

func TestADirectChatIsKeptWithItsPerson(t *testing.T) {
	s := openStore(t, t.TempDir())
	bob := newWriter(den, "bob")
	c := RoomChange{Room: den, Name: "@Bob", Kind: chat.RoomDirect, Person: &bob.person, Joined: true, At: noon.Time()}
	if got := mustCommit(t, s, Batch{Rooms: []RoomChange{c}}); got[0] != 1 {
		t.Fatalf("cursors = %v", got)
	}
	c.Name = "@Robert"
	if got := mustCommit(t, s, Batch{Rooms: []RoomChange{c}}); got[0] != 0 {
		t.Fatalf("a new name became fact %d", got[0])
	}
	r := must(s.Rooms(t.Context()))(t)[0]
	if r.Name != "@Robert" || r.Kind != chat.RoomDirect || r.Person == nil || *r.Person != bob.person {
		t.Fatalf("room = %+v", r)
	}
}
