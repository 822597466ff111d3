package store

import (
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"earshot/chat"
)

var update = flag.Bool("update", false, "write the history of the newest version to testdata, if it is not there")

func oldHistory(version int) string {
	return filepath.Join("testdata", fmt.Sprintf("v%d.db.gz", version))
}

// writeOld is what every history in testdata holds. It only ever grows: a history
// of an older version lacks what was added later.
func writeOld(t *testing.T, s *Store) {
	t.Helper()
	lobby, _ := putRoom(t, s, "#lobby", true)
	side, _ := putRoom(t, s, "#side", true)
	ann, annOpen := opened(lobby, "ann", noon)
	bob, bobOpen := opened(side, "bob", noon+1)
	putDevice(t, s, DeviceRow{Device: ann.device, Person: ann.person, Cert: []byte("certificate"), Name: "Ann", LastSeen: noon.Time()})
	hello, answer := ann.say(noon+10, "hello, is anybody here?"), ann.say(noon+30, "東京 again")
	hello.ClientID, hello.Mine = "click-1", true
	mustStore(t, s, annOpen, bobOpen, hello, bob.say(noon+20, "on the side"), answer)
	done, get := wait[ReadMark]()
	s.MarkRead(lobby, hello.Entry.ID, done)
	get(t)
	putRoom(t, s, "#side", false)
	// Since version 2.
	cat, catOpen := opened(den, "cat", noon+40)
	read, unread := cat.seal(noon+41, 1), cat.seal(noon+42, 2)
	mustCommit(t, s, Batch{
		Records: []Record{catOpen, read, unread}, Openings: []Opening{opening(read, "in the den")},
		Unopened: []Unopened{{ID: unread.Entry.ID, Room: den, Reason: "not_shared"}},
		Rooms:    []RoomChange{denChange(true)},
		State:    []StateChange{{"seal/a", []byte("secret")}, {"seal/b", []byte("removed")}},
	})
	mustCommit(t, s, Batch{State: []StateChange{{"seal/b", nil}}})
}

// A history of every version that was ever released opens with all it holds, and
// goes on.
func TestOldHistoriesOpen(t *testing.T) {
	newest := len(migrations)
	if *update && !exists(oldHistory(newest)) {
		dir := t.TempDir()
		s := openStore(t, dir)
		writeOld(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		db, err := os.ReadFile(filepath.Join(dir, FileName))
		if err != nil {
			t.Fatal(err)
		}
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		if _, err := z.Write(db); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(oldHistory(newest), packed.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for version := 1; version <= newest; version++ {
		t.Run(fmt.Sprint("v", version), func(t *testing.T) {
			packed, err := os.Open(oldHistory(version))
			if err != nil {
				t.Fatal(err)
			}
			defer packed.Close()
			z, err := gzip.NewReader(packed)
			if err != nil {
				t.Fatal(err)
			}
			db, err := io.ReadAll(z)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, FileName), db, 0o600); err != nil {
				t.Fatal(err)
			}
			checkOld(t, openStore(t, dir), version)
		})
	}
}

func exists(path string) bool { return size(path) >= 0 }

func checkOld(t *testing.T, s *Store, version int) {
	t.Helper()
	ctx := t.Context()
	lobby, side := chat.OpenRoom("#lobby"), chat.OpenRoom("#side")
	page := must(s.Messages(ctx, lobby, MessageQuery{}))(t)
	wantTexts(t, page, "hello, is anybody here?", "東京 again")
	if m := page[0]; m.From.Name != "Ann" || !m.Mine || !m.SentAt.Equal((noon + 10).Time()) {
		t.Errorf("message = %+v", m)
	}
	wantTexts(t, must(s.Search(ctx, "東京", &lobby, 0))(t), "東京 again")
	wantTexts(t, must(s.Search(ctx, "side", nil, 0))(t), "on the side")
	rooms := must(s.Rooms(ctx))(t)
	facts := 6
	if version >= 2 {
		facts = 8
		defer checkDen(t, s, rooms[2])
		rooms = rooms[:2]
	}
	if len(rooms) != 2 || rooms[0].Kind != chat.RoomOpen || rooms[1].Kind != chat.RoomOpen || rooms[0].Unread != 1 || *rooms[0].ReadUpTo != page[0].ID || !rooms[0].Joined || rooms[1].Joined || rooms[1].Unread != 1 {
		t.Errorf("rooms = %+v", rooms)
	}
	if devices := must(s.Devices(ctx))(t); len(devices) < 2 || string(devices[0].Cert) != "certificate" {
		t.Errorf("devices = %+v", devices)
	}
	if got := must(s.Facts(ctx, 0, 0))(t); len(got) != facts {
		t.Errorf("%d facts, want %d", len(got), facts)
	}
	if m, found, err := s.ByClientID(ctx, "click-1"); !found || err != nil || m.ID != page[0].ID {
		t.Errorf("by client id: %v, %v, %v", m, found, err)
	}
	for room, want := range map[chat.RoomID]int{lobby: 3, side: 2} {
		entries, _, err := s.Missing(ctx, room, nil, Position{}, 100, 1<<20)
		if err != nil || len(entries) != want {
			t.Fatalf("%d entries, %v, want %d", len(entries), err, want)
		}
		for _, e := range entries {
			if err := e.Verify(); err != nil {
				t.Error(err)
			}
		}
	}
	logs := must(s.Logs(ctx))(t)
	i := slices.IndexFunc(logs, func(l LogRow) bool { return l.Room == lobby })
	ann := newWriter(lobby, "ann")
	ann.seq, ann.prev = logs[i].LastSeq, logs[i].LastID
	if got := mustStore(t, s, ann.say(logs[i].LastHLC+1, "and on")); !slices.Equal(got, []chat.Cursor{chat.Cursor(facts) + 1}) {
		t.Errorf("the next fact is %v, want %d", got, facts+1)
	}
	wantTexts(t, must(s.Messages(ctx, lobby, MessageQuery{Limit: 1}))(t), "and on")
}

// checkDen checks what a history holds since version 2.
func checkDen(t *testing.T, s *Store, room RoomRow) {
	t.Helper()
	want := RoomRow{Room: den, Name: "#den", Kind: chat.RoomPrivate, Topic: "quiet", Joined: true, Unread: 1, Unreadable: 1, LastAt: (noon + 41).Time()}
	if !reflect.DeepEqual(room, want) {
		t.Errorf("room = %+v, want %+v", room, want)
	}
	wantTexts(t, must(s.Search(t.Context(), "den", nil, 0))(t), "in the den")
	if state := must(s.State(t.Context(), ""))(t); !reflect.DeepEqual(state, map[string][]byte{"seal/a": []byte("secret")}) {
		t.Errorf("state = %q", state)
	}
	page, _, err := s.UnopenedEntries(t.Context(), UnopenedQuery{Room: den})
	if err != nil || len(page) != 1 || page[0].Reason != "not_shared" || page[0].Entry.Epoch != 2 {
		t.Fatalf("unopened = %+v, %v", page, err)
	}
	got := mustCommit(t, s, Batch{Openings: []Opening{{ID: page[0].Entry.ID, Room: den, Text: "at last"}}, State: []StateChange{{"seal/c", []byte("more")}}})
	if got[0] != 10 {
		t.Errorf("cursors = %v", got)
	}
	wantTexts(t, must(s.Messages(t.Context(), den, MessageQuery{}))(t), "in the den", "at last")
}
