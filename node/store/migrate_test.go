package store

import (
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
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
			checkOld(t, openStore(t, dir))
		})
	}
}

func exists(path string) bool { return size(path) >= 0 }

func checkOld(t *testing.T, s *Store) {
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
	if len(rooms) != 2 || rooms[0].Unread != 1 || *rooms[0].ReadUpTo != page[0].ID || !rooms[0].Joined || rooms[1].Joined || rooms[1].Unread != 1 {
		t.Errorf("rooms = %+v", rooms)
	}
	if devices := must(s.Devices(ctx))(t); len(devices) != 2 || string(devices[0].Cert) != "certificate" {
		t.Errorf("devices = %+v", devices)
	}
	if facts := must(s.Facts(ctx, 0, 0))(t); len(facts) != 6 {
		t.Errorf("%d facts, want 6", len(facts))
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
	if got := mustStore(t, s, ann.say(logs[i].LastHLC+1, "and on")); !slices.Equal(got, []chat.Cursor{7}) {
		t.Errorf("the next fact is %v, want 7", got)
	}
	wantTexts(t, must(s.Messages(ctx, lobby, MessageQuery{Limit: 1}))(t), "and on")
}
