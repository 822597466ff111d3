package chat

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write testdata anew; scripts rely on what is in it")

var (
	at     = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)
	entry  = EntryID{0xe1}
	author = Author{Person: PersonID{0xa1}, Name: "Alice", Device: DeviceID{0xd1}}
	roomID = OpenRoom(Lobby)
)

// full holds every event with every field set: what scripts can meet.
var full = []Event{
	MessageEvent{Cursor: 7, Message: Message{
		ID: entry, Room: Lobby, RoomID: roomID, From: author, Text: "hi <b> & \"bye\"\n你好", SentAt: at, ReceivedAt: at.Add(time.Second), Mine: true, ClockAhead: true,
	}},
	RoomEvent{Cursor: 8, Room: "#go", RoomID: OpenRoom("#go"), Joined: true, At: at},
	PersonEvent{Person{Person: PersonID{0xa1}, Name: "Alice", Me: true, Presence: Here, LastSeen: at, Devices: []Device{
		{Device: DeviceID{0xd1}, Presence: Gone, LastSeen: at, Address: "/ip4/10.0.0.7/tcp/9327"},
	}}},
	TypingEvent{Room: Lobby, RoomID: roomID, From: author, Typing: true, Until: at.Add(TypingExpiry)},
	ReadEvent{Room: Lobby, RoomID: roomID, Unread: 3, ReadUpTo: &entry},
	WarningEvent{Warning: Error{Code: CodeNoNetwork, Text: "There is no network.", Hint: "Plug one in."}, Clear: true},
	SyncEvent{Device: DeviceID{0xd1}, Received: 12, Done: true},
	ContactEvent{Contact{
		Person: Person{Person: PersonID{0xb0}, Name: "Bob", Relation: RelationVerified, Presence: Gone, LastSeen: at, Devices: []Device{{Device: DeviceID{0xd2}, Presence: Gone}}},
		Note:   "Bob of the first floor", Since: at, Waiting: true, Claimant: &PersonID{0xee},
	}},
	TrayEvent{Requests: []Contact{{Person: Person{Person: PersonID{0xc0}, Name: "Carol", Relation: RelationAsking, Presence: Here, Devices: []Device{}}, Note: "hi", Since: at}}},
	InvitationEvent{Invitation{
		RoomID: RoomID{0x50}, Room: "#plan", By: author, Role: RoleAdmin, Members: 3, History: HistorySinceInvited, At: at,
	}, true},
	RoomChangedEvent{
		Room: Room{
			Room: "#plan", RoomID: RoomID{0x50}, Kind: RoomPrivate, Person: &PersonID{0xb0}, Topic: "what next", History: HistoryAll, Role: RoleOwner,
			Members: 2, Unread: 1, Unreadable: 4, LastAt: at, ReadUpTo: &entry,
		},
		Members: []Member{{Person: PersonID{0xa1}, Name: "Alice", Role: RoleOwner, Me: true}, {Person: PersonID{0xb0}, Name: "Bob", Role: RoleMember, Invited: true, By: &PersonID{0xa1}}},
		By:      "Alice", What: "invited Bob",
	},
	VerificationEvent{Verification{
		Person: PersonID{0xb0}, Name: "Bob", State: VerificationEnded, Symbols: []string{"🐙 octopus"}, Number: "00001 00002", QR: "EARSHOT", Reason: "Bob is gone.",
	}},
	PairingEvent{Pairing{
		State: PairingFailed, Code: "1234-5678", QR: "EARSHOT", Device: DeviceID{0xd3}, Label: "laptop", Reason: "The code has expired.", Expires: at,
	}},
	PrivacyEvent{Privacy{Nearby: Everyone, Presence: OnlyContacts, Read: Nobody, Invisible: true}},
	MessageChangedEvent{Cursor: 9, Message: Message{
		ID: entry, Room: Lobby, RoomID: roomID, From: author, SentAt: at, ReceivedAt: at, Late: true, ReplyTo: &EntryID{0xe0},
		Mentions: []PersonID{{0xb0}}, MentionsMe: true, EditedAt: at, Removed: &Removal{By: author, At: at},
		Reactions: []Reaction{{Sign: "👍", People: []PersonID{{0xb0}}, Mine: true}}, ExpiresAt: at,
		State: &MessageState{State: StateDelivered, Of: 4, Held: 3, Delivered: 2, Read: 1},
	}},
	StatesEvent{Room: Lobby, RoomID: roomID},
	MissingEvent{Room: Lobby, RoomID: roomID, Missing: []Missing{{Room: Lobby, RoomID: roomID, From: author, Count: 4, Before: &entry}}},
	KeeperEvent{Keeper{On: true, Space: 1 << 30, Used: 4096, Held: 2}},
	StatusEvent{OwnStatus{
		Status: Status{State: InMeeting, Since: at, Until: at.Add(time.Hour), Text: "budget", TextUntil: at.Add(time.Hour)},
		Chosen: InMeeting, IdleSince: at, Locked: true, IdleBy: "logind", IdleProblem: "No desktop tells.",
	}},
	ProfileEvent{OwnProfile{Profile{"Head of it", "Sales", "ann@example.org", "Room 3", "+1 555"}, map[string]Audience{"phone": InGroups + "sales"}}},
	AlertEvent{Alert{Room: "#plan", RoomID: RoomID{0x50}, From: author, Count: 3, Text: "come", Mention: true}, true},
	AlertsEvent{Alerts{
		Desktop: true, Bell: true, Title: true, Preview: PreviewName, QuietFrom: "22:00", QuietTo: "07:00", TeamMentions: true,
		Rooms: map[RoomID]string{{0x50}: AlertNone}, DesktopProblem: "There is no desktop.",
	}},
	FreeEvent{Person{
		Person: PersonID{0xb0}, Name: "Bob", Relation: RelationContact, Presence: Here, Status: Status{State: Available, Since: at, Text: "back"}, Suspect: true, LastSeen: at,
		Devices: []Device{{Device: DeviceID{0xd2}, Presence: Here, State: Available}}, Profile: &Profile{Email: "bob@example.org"}, Groups: []string{"sales"}, Team: true, Watched: true,
	}},
	ReadyEvent{Run: "k3v9", Cursor: 9},
	GapEvent{Cursor: 9, Missed: 4},
}

func TestEventsInJSONDoNotChange(t *testing.T) {
	var sb strings.Builder
	for i, e := range full {
		for _, v := range []Event{e, events[i]} {
			b, err := MarshalEvent(v)
			if err != nil {
				t.Fatal(err)
			}
			sb.Write(b)
			sb.WriteByte('\n')
			got, err := UnmarshalEvent(b)
			if err != nil || !reflect.DeepEqual(got, v) {
				t.Errorf("%s is read as %#v, %v", b, got, err)
			}
			var m map[string]any
			if err := json.Unmarshal(b, &m); err != nil || m["type"] != v.EventType() || !strings.HasPrefix(string(b), `{"type":`) {
				t.Errorf("%s: %v", b, err)
			}
		}
	}
	const path = "testdata/events.jsonl"
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
		t.Errorf("events have changed:\n%s\nwant\n%s", sb.String(), want)
	}
}

// Every type that has isEvent must stand in the list that UnmarshalEvent and this
// file walk.
func TestNoEventIsForgotten(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	declared := map[string]bool{}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == "isEvent" && fn.Recv != nil {
				declared[fn.Recv.List[0].Type.(*ast.Ident).Name] = true
			}
		}
	}
	if len(declared) < len(events) {
		t.Fatalf("found %d events in the source", len(declared))
	}
	types := map[string]bool{}
	for i, e := range events {
		delete(declared, reflect.TypeOf(e).Name())
		if types[e.EventType()] {
			t.Errorf("two events are called %q", e.EventType())
		}
		types[e.EventType()] = true
		if reflect.TypeOf(full[i]) != reflect.TypeOf(e) {
			t.Errorf("the examples lack %T", e)
		}
	}
	if len(declared) > 0 || len(full) != len(events) {
		t.Errorf("events that are not in the list: %v", declared)
	}
}

func TestFactsHaveNumbersAndWeatherHasKeys(t *testing.T) {
	keys := map[string]bool{}
	for _, e := range full {
		cursor, fact := Fact(e)
		if fact != (e.Key() == "") || fact != (cursor > 0) {
			t.Errorf("%s: fact %v, cursor %d, key %q", e.EventType(), fact, cursor, e.Key())
		}
		if !fact && keys[e.Key()] {
			t.Errorf("%s shares its key", e.EventType())
		}
		keys[e.Key()] = true
		e.isEvent()
	}
	other := TypingEvent{RoomID: roomID, From: Author{Person: PersonID{2}}}
	if other.Key() == (TypingEvent{RoomID: roomID, From: author}).Key() {
		t.Error("two people's typing is one")
	}
}

func TestAnEventOfTheFutureIsSkipped(t *testing.T) {
	if e, err := UnmarshalEvent([]byte(`{"type":"hologram","x":1}`)); e != nil || err != nil {
		t.Error(e, err)
	}
	for _, s := range []string{"", "[]", `{"type":1}`, `{"type":"message","id":"x"}`} {
		if _, err := UnmarshalEvent([]byte(s)); err == nil {
			t.Errorf("%s is read", s)
		}
	}
}

func TestErrorsSpeakToPeopleAndPrograms(t *testing.T) {
	cause := errors.New("boom")
	e := Wrap(CodeDiskFull, cause, "The disk is full.", "Free some space.")
	if e.Error() != "The disk is full. Free some space." || !errors.Is(e, cause) || CodeOf(fmt.Errorf("x: %w", e)) != CodeDiskFull {
		t.Error(e)
	}
	if got := Errorf(CodeUsage, "No %s.", "way").Error(); got != "No way." {
		t.Error(got)
	}
	if AsError(nil) != nil || CodeOf(nil) != "" {
		t.Error("nil is an error")
	}
	if got := AsError(cause); got.Code != CodeInternal || got.Hint == "" || !errors.Is(got, cause) {
		t.Error(got)
	}
	b, err := json.Marshal(e)
	if err != nil || string(b) != `{"code":"disk_full","text":"The disk is full.","hint":"Free some space."}` {
		t.Errorf("%s %v", b, err)
	}
}

func TestClocksGoForward(t *testing.T) {
	h := HLCOf(at)
	if !h.Time().Equal(at.Truncate(time.Microsecond)) {
		t.Error(h.Time())
	}
	if got := h.Next(at.Add(-time.Hour)); got != h+1 {
		t.Error("a clock behind what was seen", got)
	}
	if got := h.Next(at.Add(time.Hour)); got != HLCOf(at.Add(time.Hour)) {
		t.Error("a clock ahead of what was seen", got)
	}
	if HLCOf(time.Unix(-5, 0)) != 0 || HLC(1<<63).Time().Before(at) {
		t.Error("out of range")
	}
}

func TestTagsTellNothingAndChangeDaily(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	tags := map[string]string{}
	add := func(name string, b []byte) {
		if was, ok := tags[string(b)]; ok {
			t.Errorf("%s is the same as %s", name, was)
		}
		tags[string(b)] = name
	}
	for _, r := range []RoomID{roomID, OpenRoom("#other")} {
		for _, when := range []time.Time{noon, noon.AddDate(0, 0, 1), noon.AddDate(0, 0, -1)} {
			tag := r.Tag(when)
			add("tag", tag[:])
		}
		for _, nonce := range []string{"a", "b"} {
			tag := r.SessionTag([]byte(nonce))
			add("session tag", tag[:])
		}
		for _, l := range []LogID{{1}, {2}} {
			ref := r.Ref(l)
			add("ref", ref[:])
		}
	}
	if roomID.Tag(noon) != roomID.Tag(noon.Add(11*time.Hour)) {
		t.Error("the tag changes within a day")
	}
}

// What a face is told of each message, and what it reads of it.
func BenchmarkMessageEvent(b *testing.B) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 123456000, time.UTC)
	e := MessageEvent{Cursor: 12345, Message: Message{
		ID: EntryID{1}, Room: "#garden", RoomID: RoomID{2}, From: Author{Person: PersonID{3}, Name: "Ann", Device: DeviceID{4}},
		Text: strings.Repeat("text ", 40), SentAt: now, ReceivedAt: now,
	}}
	written, err := MarshalEvent(e)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("write", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := MarshalEvent(e); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := UnmarshalEvent(written); err != nil {
				b.Fatal(err)
			}
		}
	})
}
