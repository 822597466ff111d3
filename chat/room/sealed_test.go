package room

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"earshot/chat"
	"earshot/chat/wire"
)

// enter returns a member of a sealed room, in which those named may write.
func enter(t testing.TB, name string, writers ...string) *member {
	m := join(t, name)
	m.cfg.Writer = func(_ chat.RoomID, p chat.PersonID) bool {
		return slices.ContainsFunc(writers, func(w string) bool { return personOf(w) == p })
	}
	m.do(noon, Enter{Room: lobby, Sealed: true})
	return m
}

// appends puts an entry into the member's log and returns what goes out.
func (m *member) appends(now time.Time, kind wire.Kind, epoch uint64, payload string) []wire.Entry {
	m.t.Helper()
	records := m.do(now, Append{Room: lobby, Kind: kind, Epoch: epoch, Payload: []byte(payload), Ref: 1})
	if len(records) == 0 {
		m.t.Fatalf("%s could not append: %v", m.name, m.denied)
	}
	return entries(records)
}

func TestASealedRoomKeepsWhatItCannotRead(t *testing.T) {
	alice, bob := enter(t, "alice", "alice", "bob"), enter(t, "bob", "alice", "bob")
	want(t, "sealed", alice.Sealed(lobby), true)
	said := alice.appends(noon, wire.KindMessage, 7, "ciphertext, which is no CBOR")
	want(t, "an opening and a message", len(said), 2)
	want(t, "the reference comes back", alice.refs[1], true)
	want(t, "epoch", said[1].Epoch, 7)
	said = append(said, alice.appends(noon.Add(1), wire.KindPrekey, 0, "a prekey")...)
	got := bob.hears(noon, said...)
	want(t, "bob keeps", len(got), 3)
	for _, r := range got {
		if r.Said.Text != "" || r.Name != "" || r.Person != personOf("alice") {
			t.Errorf("%+v", r)
		}
	}
	want(t, "roots", bob.Root(lobby), alice.Root(lobby))
	want(t, "nobody is blamed", len(bob.refuse), 0)
	// The order is one with what others say.
	answer := bob.appends(noon.Add(time.Second), wire.KindMessage, 9, "an answer")
	want(t, "it names what it answers", answer[1].Deps, []wire.Dep{{Log: said[0].Log, Seq: 3}})
	alice.do(noon, Exit{Room: lobby})
	want(t, "sealed when left", alice.Sealed(lobby), false)
}

// Whatever a person is called and does, the entries that a sealed room's engine
// makes do not tell their name, in any writing.
func TestNothingInASealedRoomTellsAName(t *testing.T) {
	const name = "Zaphod Beeblebrox"
	var out []Record
	cfg := configOf("alice")
	cfg.Name = name
	m := &member{Engine: New(cfg), t: t, name: "alice", refs: map[uint64]bool{}}
	m.do(noon, Enter{Room: lobby, Sealed: true})
	for i, in := range []Input{
		Append{Room: lobby, Kind: wire.KindPrekey, Payload: []byte("a prekey")},
		Append{Room: lobby, Kind: wire.KindMessage, Epoch: 7, Payload: []byte("ciphertext")},
		Rename{Name: name + " II"},
		Append{Room: lobby, Kind: wire.KindProfile, Epoch: 7, Payload: []byte("ciphertext")},
		Restore{Room: lobby}, // which opens a new log with the next
		Append{Room: lobby, Kind: wire.KindMessage, Epoch: 8, Payload: []byte("ciphertext")},
		Post{Room: lobby, Text: "I am " + name},
		Append{Room: lobby, Kind: wire.KindMessage, Payload: wire.Marshal(wire.Message{Text: name})},
		Append{Room: lobby, Kind: wire.KindProfile, Payload: wire.Marshal(wire.Profile{Name: name})},
	} {
		out = append(out, m.do(noon.Add(time.Duration(i)*time.Second), in)...)
	}
	want(t, "entries", len(out), 6)
	want(t, "what would have told it is denied", len(m.denied), 3)
	var wide []byte
	for _, c := range utf16.Encode([]rune(name)) {
		wide = append(wide, byte(c), byte(c>>8))
	}
	for _, r := range out {
		all := slices.Concat(r.Entry.Head, r.Entry.Sig[:], r.Entry.Payload)
		for _, spelling := range [][]byte{[]byte(name), []byte("Zaphod"), wide, []byte(hex.EncodeToString([]byte(name)))} {
			if bytes.Contains(bytes.ToLower(all), bytes.ToLower(spelling)) {
				t.Errorf("%s tells it: %q", r.Entry.String(), all)
			}
		}
		if r.Name != "" || r.Said.Text != "" {
			t.Errorf("%+v", r)
		}
	}
	// Nor does the engine read a name that another puts there.
	open, _ := opening(t, "mallory", chat.HLCOf(noon))
	for _, r := range m.fetches(noon, open) {
		want(t, "mallory's name", r.Name, "")
	}
}

func TestWhatASealedRoomDoesNotTakeIsDeniedWithAReason(t *testing.T) {
	alice := enter(t, "alice", "alice")
	other := chat.OpenRoom("#other")
	for name, c := range map[string]struct {
		in   Input
		code chat.Code
	}{
		"a message in clear":       {Post{Room: lobby, Text: "hello"}, chat.CodeUsage},
		"an entry in clear":        {Append{Room: lobby, Kind: wire.KindMessage, Payload: []byte("x")}, chat.CodeUsage},
		"an entry without kind":    {Append{Room: lobby, Epoch: 1, Payload: []byte("x")}, chat.CodeUsage},
		"an opening":               {Append{Room: lobby, Kind: wire.KindOpen, Epoch: 1, Payload: []byte("x")}, chat.CodeUsage},
		"nothing":                  {Append{Room: lobby, Kind: wire.KindPrekey}, chat.CodeUsage},
		"too much":                 {Append{Room: lobby, Kind: wire.KindMessage, Epoch: 1, Payload: make([]byte, chat.MaxPayload+1)}, chat.CodeTooLong},
		"a room it is no part of":  {Append{Room: other, Kind: wire.KindMessage, Epoch: 1, Payload: []byte("x")}, chat.CodeNotJoined},
		"a room that was left ago": {Append{Room: chat.RoomID{}, Kind: wire.KindMessage, Epoch: 1, Payload: []byte("x")}, chat.CodeNotJoined},
	} {
		alice.denied = nil
		if got := alice.do(noon, c.in); len(got) > 0 || len(alice.denied) != 1 || chat.CodeOf(alice.denied[0].Err) != c.code {
			t.Errorf("%s: %d records, %v", name, len(got), alice.denied)
		}
	}
	want(t, "no log was opened for it", len(alice.Frontier(lobby)), 0)
	// In an open room an entry of another engine takes its place among the posts.
	bob := join(t, "bob")
	first := bob.says(noon, "one")
	second := entries(bob.do(noon, Append{Room: lobby, Kind: 99, Payload: []byte("x")}))
	third := bob.says(noon, "three")
	want(t, "numbers", []uint64{first[1].Seq, second[0].Seq, third[0].Seq}, []uint64{2, 3, 4})
	want(t, "one log", third[0].Log, first[0].Log)
}

// The operation that makes a member of somebody may come after what they say.
func TestWhoMayNotWriteYetIsNeitherBlamedNorFrozen(t *testing.T) {
	bob := enter(t, "bob", "bob")
	alice := enter(t, "alice", "alice")
	said := slices.Concat(alice.appends(noon, wire.KindMessage, 7, "one"), alice.appends(noon, wire.KindMessage, 7, "two"))
	bob.hears(noon, said[2])
	want(t, "it waits", bob.Pending(lobby), 1)
	bob.lacks = nil
	bob.hears(noon, said...)
	bob.fetches(noon, said...)
	want(t, "nothing is kept", len(bob.stored), 0)
	want(t, "nothing waits", bob.Pending(lobby), 0)
	want(t, "nothing is missed", len(bob.lacks), 0)
	want(t, "nobody is blamed", len(bob.refuse), 0)
	want(t, "nothing is frozen", len(bob.forks), 0)
	want(t, "nothing is held", len(bob.Frontier(lobby)), 0)
	// Now it has come, and catch-up brings what lacks.
	bob.cfg.Writer = nil
	bob.fetches(noon.Add(time.Minute), said...)
	want(t, "all is kept", len(bob.stored), 3)
	want(t, "roots", bob.Root(lobby), alice.Root(lobby))
	bob.hears(noon.Add(time.Minute), alice.appends(noon.Add(time.Minute), wire.KindMessage, 7, "three")...)
	want(t, "and what follows", len(bob.stored), 4)
}

// Whoever knows a sealed room's id can make logs for it: what is remembered of them
// is bounded, and forgotten when the room is left.
func TestLogsOfOutsidersCostLittle(t *testing.T) {
	bob := enter(t, "bob", "bob")
	for i := range chat.MaxLogsPerRoom + 100 {
		salt := [wire.SaltSize]byte{byte(i), byte(i >> 8), 1}
		log := chat.NewLogID(deviceOf("mallory"), salt[:])
		h := wire.Header{Log: log, Ref: lobby.Ref(log), Seq: 1, HLC: chat.HLCOf(noon), Kind: wire.KindOpen}
		bob.hears(noon, forge(t, "mallory", h, wire.Open{Certificate: certificateOf("mallory"), Salt: salt[:]}))
	}
	r := bob.rooms[lobby]
	if len(r.barred) > chat.MaxLogsPerRoom || len(r.logs) > 0 || len(r.devices) > 0 || r.count > 0 {
		t.Errorf("%d barred, %d logs, %d devices, %d wait", len(r.barred), len(r.logs), len(r.devices), r.count)
	}
	bob.do(noon, Exit{Room: lobby})
	want(t, "barred after leaving", len(r.barred), 0)
}

// A member makes logs without end, of ever other devices.
func TestOneMemberCannotFillASealedRoomWithLogs(t *testing.T) {
	alice, bob := enter(t, "alice", "alice", "mallory"), enter(t, "bob", "alice", "mallory")
	mallory := personOf("mallory")
	for i := range chat.MaxLogsPerPerson + 100 {
		name, salt := fmt.Sprint("mallory ", i), [wire.SaltSize]byte{1}
		d := deviceOf(name)
		log := chat.NewLogID(d, salt[:])
		h := wire.Header{Log: log, Ref: lobby.Ref(log), Seq: 1, HLC: chat.HLCOf(noon), Kind: wire.KindOpen}
		bob.hears(noon, forge(t, name, h, wire.Open{Certificate: append(mallory[:], d[:]...), Salt: salt[:]}))
	}
	want(t, "logs", len(bob.Frontier(lobby)), chat.MaxLogsPerPerson)
	want(t, "nobody is blamed", len(bob.refuse), 0)
	want(t, "another member's", len(bob.hears(noon, alice.appends(noon, wire.KindMessage, 7, "hello")...)), 2)
	// After a restart likewise.
	var logs []Log
	for _, l := range bob.rooms[lobby].logs {
		logs = append(logs, l.Log)
	}
	bob.do(noon, Restore{Room: lobby, Logs: logs})
	want(t, "counted again", bob.rooms[lobby].people[mallory], chat.MaxLogsPerPerson)
}

// What an open room's entry says is read as ever beside a sealed room.
func TestAnOpenRoomIsNotSealed(t *testing.T) {
	alice, bob := join(t, "alice"), join(t, "bob")
	want(t, "sealed", bob.Sealed(lobby), false)
	bob.hears(noon, alice.says(noon, "hello")...)
	want(t, "read", strings.Join(bob.texts(), "|"), "hello")
}
