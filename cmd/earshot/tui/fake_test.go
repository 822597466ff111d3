package tui

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"earshot/chat"
)

// fake is a node in memory whose every answer a test decides. Its ids and times
// are the same in every run.
type fake struct {
	mu     sync.Mutex
	me     chat.Me
	people []chat.Person
	rooms  []chat.Room
	social
	told
	desk
	said   map[chat.RoomID][]chat.Message
	sent   map[string]chat.Message // by client id
	calls  []string
	fail   map[string]error // by call
	events chan chat.Event
	clock  time.Time
	serial int
}

// noon is when every test begins: a Friday, in a time zone of its own.
var (
	zone = time.FixedZone("Here", 2*60*60)
	noon = time.Date(2026, 11, 20, 12, 0, 0, 0, zone)
)

func newFake() *fake {
	f := &fake{
		said: map[chat.RoomID][]chat.Message{}, sent: map[string]chat.Message{},
		fail: map[string]error{}, events: make(chan chat.Event, 1024), clock: noon,
	}
	f.privacy = chat.Privacy{Nearby: chat.Everyone, Presence: chat.OnlyContacts, Typing: chat.OnlyContacts, Read: chat.OnlyContacts}
	f.status = chat.OwnStatus{Status: chat.Status{State: chat.Available, Since: noon}, Chosen: chat.Available, IdleBy: "logind"}
	f.alerts = chat.Alerts{Desktop: true, Title: true, Preview: chat.PreviewText, TeamMentions: true}
	me := f.person("Mia", chat.Here)
	f.people[0].Me = true
	f.me = chat.Me{Person: me.Person, Name: me.Name, Device: me.Device}
	f.room(chat.Lobby)
	return f
}

func (f *fake) id(kind string) []byte {
	f.serial++
	b := bytes.Repeat([]byte(kind), 8)[:24]
	return binary.BigEndian.AppendUint64(b, uint64(f.serial)*0x9E3779B97F4A7C15)
}

// person makes somebody known.
func (f *fake) person(name string, p chat.Presence) chat.Author {
	var a chat.Author
	f.serial++
	binary.BigEndian.PutUint64(a.Person[:], uint64(f.serial)*0x9E3779B97F4A7C15)
	copy(a.Device[:], f.id("dev"))
	a.Name = name
	f.people = append(f.people, chat.Person{
		Person: a.Person, Name: name, Presence: p,
		Devices: []chat.Device{{Device: a.Device, Presence: p}},
	})
	return a
}

func (f *fake) room(name string) chat.Room {
	r := chat.Room{Room: name, RoomID: chat.OpenRoom(name), Kind: chat.RoomOpen, Open: true}
	f.rooms = append(f.rooms, r)
	return r
}

// say stores a message at the clock, which moves on by a second.
func (f *fake) say(room string, a chat.Author, text string) chat.Message {
	return f.sayIn(f.idOf(room), room, a, text)
}

func (f *fake) sayIn(id chat.RoomID, room string, a chat.Author, text string) chat.Message {
	f.clock = f.clock.Add(time.Second)
	m := chat.Message{
		ID: chat.EntryID(f.id("msg")), Room: room, RoomID: id, From: a, Text: chat.CleanText(text),
		SentAt: f.clock, ReceivedAt: f.clock, Mine: a.Person == f.me.Person,
	}
	f.said[m.RoomID] = append(f.said[m.RoomID], m)
	f.change(id, func(r *chat.Room) {
		r.LastAt = m.SentAt
		r.Unread += one(!m.Mine)
	})
	return m
}

// enter notes a call and returns how it is to fail.
func (f *fake) enter(name string, args ...any) error {
	f.mu.Lock()
	call := name
	for _, a := range args {
		call += fmt.Sprintf(" %v", a)
	}
	f.calls = append(f.calls, call)
	return f.fail[name]
}

func (f *fake) called(prefix string) (n int) {
	for _, c := range f.calls {
		if strings.HasPrefix(c, prefix) {
			n++
		}
	}
	return n
}

func (f *fake) Me(context.Context) (chat.Me, error) {
	defer f.mu.Unlock()
	return f.me, f.enter("me")
}

func (f *fake) People(context.Context) ([]chat.Person, error) {
	err := f.enter("people")
	defer f.mu.Unlock()
	return slices.Clone(f.people), err
}

func (f *fake) Rooms(context.Context) ([]chat.Room, error) {
	err := f.enter("rooms")
	defer f.mu.Unlock()
	return slices.Clone(f.rooms), err
}

func (f *fake) Join(_ context.Context, name string) (chat.Room, error) {
	err := f.enter("join", name)
	defer f.mu.Unlock()
	if err != nil {
		return chat.Room{}, err
	}
	return f.room(name), nil
}

func (f *fake) Leave(_ context.Context, id chat.RoomID) error {
	err := f.enter("leave", f.nameOf(id))
	defer f.mu.Unlock()
	f.change(id, func(r *chat.Room) { r.Left, r.Role, r.Ended = true, "", "You left." })
	return err
}

func (f *fake) Send(_ context.Context, id chat.RoomID, d chat.Draft) (chat.Message, error) {
	text, clientID := d.Text, d.ClientID
	room := f.nameOf(id)
	err := f.enter("send", room, text)
	defer f.mu.Unlock()
	if err != nil {
		return chat.Message{}, err
	}
	if m, ok := f.sent[clientID]; ok {
		return m, nil
	}
	m := f.sayIn(id, room, chat.Author{Person: f.me.Person, Name: f.me.Name, Device: f.me.Device}, text)
	if stored := f.at(m.ID); d.ReplyTo != nil {
		stored.ReplyTo = d.ReplyTo
		m = *stored
	}
	f.sent[clientID] = m
	return m, nil
}

func (f *fake) Messages(_ context.Context, room chat.RoomID, p Page) ([]chat.Message, error) {
	err := f.enter("messages", f.nameOf(room), p.Limit)
	defer f.mu.Unlock()
	all := f.said[room]
	at := func(id chat.EntryID) int {
		return slices.IndexFunc(all, func(m chat.Message) bool { return m.ID == id })
	}
	if at(p.Before) < 0 && !p.Before.IsZero() || at(p.After) < 0 && !p.After.IsZero() {
		return nil, chat.Errorf(chat.CodeNotFound, "That message is not there.")
	}
	switch {
	case !p.Before.IsZero():
		all = all[:at(p.Before)]
	case !p.After.IsZero():
		all = all[at(p.After)+1:]
		return slices.Clone(all[:min(len(all), p.Limit)]), err
	}
	return slices.Clone(all[max(0, len(all)-p.Limit):]), err
}

func (f *fake) Typing(_ context.Context, room chat.RoomID, on bool) error {
	name := f.nameOf(room)
	defer f.mu.Unlock()
	return f.enter("typing", name, on)
}

func (f *fake) Read(_ context.Context, room chat.RoomID, upTo chat.EntryID) error {
	err := f.enter("read", f.nameOf(room), upTo.Short())
	defer f.mu.Unlock()
	for i := range f.rooms {
		if r := &f.rooms[i]; err == nil && r.RoomID == room {
			r.ReadUpTo, r.Unread = &upTo, 0
			for _, m := range f.said[r.RoomID] {
				if m.ID == upTo {
					r.Unread = 0
				} else if !m.Mine {
					r.Unread++
				}
			}
		}
	}
	return err
}

func (f *fake) Events(context.Context) Events { return fakeEvents{f} }

type fakeEvents struct{ *fake }

func (e fakeEvents) Close() {}

func (e fakeEvents) Next(ctx context.Context) (chat.Event, error) {
	select {
	case ev := <-e.events:
		return ev, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// stage drives a model without a terminal, a clock or a goroutine: commands run
// where they are given, or wait in held.
type stage struct {
	t     testing.TB
	m     *model
	f     *fake
	hold  bool // keep commands back
	held  []tea.Cmd
	wakes []time.Duration
	asked []string // messages to bubbletea itself, by type
	quit  bool
}

// open returns a stage on which the interface has started.
func open(t testing.TB, f *fake, width, height int, commands ...Command) *stage {
	s := &stage{t: t, f: f}
	s.m = newModel(t.Context(), f, Options{Local: zone, Now: func() time.Time { return f.clock }, Commands: commands})
	g := chooseGlyphs(func(string) string { return "" }) // whatever this machine's locale is
	s.m.glyphs = &g
	s.m.after = func(d time.Duration, _ tea.Msg) tea.Cmd {
		s.wakes = append(s.wakes, d)
		return nil
	}
	s.run(s.m.Init())
	s.send(tea.WindowSizeMsg{Width: width, Height: height})
	return s
}

func (s *stage) send(msg tea.Msg) {
	_, cmd := s.m.Update(msg)
	s.run(cmd)
}

func (s *stage) event(events ...chat.Event) { s.send(eventsMsg{events: events}) }

// hear is a message that arrives.
func (s *stage) hear(room string, a chat.Author, text string) chat.Message {
	m := s.f.say(room, a, text)
	s.event(chat.MessageEvent{Message: m})
	return m
}

func (s *stage) run(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	if s.hold {
		s.held = append(s.held, cmd)
		return
	}
	switch msg := cmd().(type) {
	case nil:
	case tea.BatchMsg:
		for _, c := range msg {
			s.run(c)
		}
	case tea.QuitMsg:
		s.quit = true
	default:
		if name := fmt.Sprintf("%T", msg); !strings.HasPrefix(name, "tui.") {
			s.asked = append(s.asked, name)
		}
		s.send(msg)
	}
}

// release runs what was held back.
func (s *stage) release() {
	s.hold = false
	for held := s.held; len(held) > 0; held = held[1:] {
		s.run(held[0])
	}
	s.held = nil
}

var named = map[string]tea.KeyPressMsg{
	"enter": {Code: tea.KeyEnter}, "alt+enter": {Code: tea.KeyEnter, Mod: tea.ModAlt}, "ctrl+j": {Code: 'j', Mod: tea.ModCtrl},
	"tab": {Code: tea.KeyTab}, "shift+tab": {Code: tea.KeyTab, Mod: tea.ModShift}, "esc": {Code: tea.KeyEscape},
	"up": {Code: tea.KeyUp}, "down": {Code: tea.KeyDown}, "left": {Code: tea.KeyLeft}, "right": {Code: tea.KeyRight},
	"alt+up": {Code: tea.KeyUp, Mod: tea.ModAlt}, "alt+down": {Code: tea.KeyDown, Mod: tea.ModAlt},
	"pgup": {Code: tea.KeyPgUp}, "pgdown": {Code: tea.KeyPgDown}, "pgdn": {Code: tea.KeyPgDown}, "home": {Code: tea.KeyHome}, "end": {Code: tea.KeyEnd},
	"ctrl+home": {Code: tea.KeyHome, Mod: tea.ModCtrl}, "ctrl+end": {Code: tea.KeyEnd, Mod: tea.ModCtrl},
	"f1": {Code: tea.KeyF1}, "f2": {Code: tea.KeyF2}, "f3": {Code: tea.KeyF3},
	"f4": {Code: tea.KeyF4}, "f5": {Code: tea.KeyF5}, "f6": {Code: tea.KeyF6}, "f9": {Code: tea.KeyF9},
	"backspace": {Code: tea.KeyBackspace}, "delete": {Code: tea.KeyDelete}, "space": {Code: ' ', Text: " "},
	"ctrl+left": {Code: tea.KeyLeft, Mod: tea.ModCtrl}, "ctrl+right": {Code: tea.KeyRight, Mod: tea.ModCtrl},
}

// press presses keys: named ones, or each character of what is no name.
func (s *stage) press(keys ...string) {
	s.t.Helper()
	for _, k := range keys {
		if msg, ok := named[k]; ok {
			s.send(msg)
		} else if letter, ok := strings.CutPrefix(k, "ctrl+"); ok && len(letter) == 1 {
			s.send(tea.KeyPressMsg{Code: rune(letter[0]), Mod: tea.ModCtrl})
		} else {
			for _, r := range k {
				s.send(tea.KeyPressMsg{Code: r, Text: string(r)})
			}
		}
	}
}

// screen returns what is on the screen, without colours, and checks its shape.
func (s *stage) screen() string {
	s.t.Helper()
	content := s.m.View().Content
	checkScreen(s.t, s.m, content)
	return ansi.Strip(content)
}

// checkScreen fails unless content has exactly the terminal's lines and cells.
func checkScreen(t testing.TB, m *model, content string) {
	t.Helper()
	lines := strings.Split(content, "\n")
	if len(lines) != m.height {
		t.Fatalf("the screen has %d lines, want %d:\n%s", len(lines), m.height, content)
	}
	for i, l := range lines {
		if w := m.meter.width(l); w != m.width {
			t.Fatalf("line %d is %d cells wide, want %d: %q", i, w, m.width, l)
		}
	}
}

func (s *stage) shows(words string) bool { return strings.Contains(s.screen(), words) }

func (s *stage) want(words ...string) {
	s.t.Helper()
	for _, w := range words {
		if !s.shows(w) {
			s.t.Fatalf("the screen does not show %q:\n%s", w, s.screen())
		}
	}
}

func (s *stage) wantNot(words ...string) {
	s.t.Helper()
	for _, w := range words {
		if s.shows(w) {
			s.t.Fatalf("the screen shows %q:\n%s", w, s.screen())
		}
	}
}
