package tui

import (
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"earshot/chat"
)

// circle is a node whose user has contacts, private rooms and things that wait.
func circle() *fake {
	f := newFake()
	f.room("#coffee")
	bob := f.person("Bob", chat.Here)
	carla := f.person("Carla", chat.Gone)
	eve := f.person("Eve", chat.Here)
	zoe := f.person("Zoë", chat.Here)
	f.person("Dan", chat.Here)
	f.person("Bob ✓", chat.Here) // who would like to look verified
	f.befriend(bob, chat.RelationVerified)
	f.befriend(carla, chat.RelationContact)
	f.befriend(zoe, chat.RelationContact)
	f.relate(eve, chat.RelationAsking, "Hi, it's Eve from the second floor. Bob said you know about the printer.")
	plan := f.private("#plan", chat.HistoryNone, chat.RoleOwner, bob, zoe)
	f.private("#choir", chat.HistoryAll, chat.RoleMember, carla)
	f.change(plan.RoomID, func(r *chat.Room) { r.Topic = "The move in March: who carries what, and when" })
	f.invite("#garden", chat.HistorySinceInvited, bob, 4)
	f.clock = noon.Add(-3 * time.Minute)
	f.say("@Bob", bob, "Did you get the key?")
	f.say("@Bob", f.author("Mia"), "Yes, it was under the mat.")
	f.say("#plan", zoe, "I can bring the van.")
	f.say("#plan", bob, "Then I bring the straps.")
	f.clock = noon
	return f
}

// room goes to the conversation of this name.
func (s *stage) to(room string) {
	s.t.Helper()
	for i, c := range s.m.rooms {
		if c.room.Room == room {
			s.run(s.m.enter(i))
			s.send(nil)
			return
		}
	}
	s.t.Fatalf("there is no room %s", room)
}

// pick puts the cursor of the side column, or of the sheet on top, on the row that
// shows these words, and presses Enter.
func (s *stage) pick(words string) {
	s.t.Helper()
	for range 100 {
		if strings.Contains(s.cursorLine(), words) {
			s.press("enter")
			return
		}
		s.press("down")
	}
	s.t.Fatalf("nothing to choose shows %q:\n%s", words, s.screen())
}

var symbols = []string{"🐙 octopus", "🌵 cactus", "🔑 key", "🍄 mushroom", "🚂 train", "🎈 balloon", "🦊 fox"}

const number = "12345 67890 11111 22222 33333 44444 55555 66666 77777 88888 99999 00000"

// cursorLine returns what stands under the cursor of the side column or of a sheet.
func (s *stage) cursorLine() string {
	for _, line := range strings.Split(s.m.View().Content, "\n")[1:] {
		if _, rest, ok := strings.Cut(line, "\x1b[7m"); ok {
			row, _, _ := strings.Cut(rest, "\x1b[m")
			return ansi.Strip(row)
		}
	}
	return ""
}

// socialScenes are kept as text like the others, where there is room for them.
var socialScenes = map[string]func(s *stage){
	"chat":     func(s *stage) { s.to("@Bob") },
	"chat-new": func(s *stage) { s.to("@Carla") },
	"private": func(s *stage) {
		s.f.change(s.f.idOf("#plan"), func(r *chat.Room) { r.Unreadable = 3 })
		s.event(chat.GapEvent{})
		s.to("#plan")
	},
	"side":       func(s *stage) { s.press("f2", "home") },
	"tray":       func(s *stage) { s.press("f4") },
	"request":    func(s *stage) { s.press("f4"); s.pick("Eve") },
	"stranger":   func(s *stage) { s.press("f2"); s.pick("Dan") },
	"ask":        func(s *stage) { s.press("f2"); s.pick("Dan"); s.press("a", "Lunch at one?") },
	"contact":    func(s *stage) { s.to("@Carla"); s.press("f5") },
	"contacts":   func(s *stage) { s.press("/contacts", "enter") },
	"block":      func(s *stage) { s.to("@Carla"); s.press("f5", "b") },
	"invitation": func(s *stage) { s.press("f4"); s.pick("garden") },
	"create":     func(s *stage) { s.press("/create", "enter", "#secret plans") },
	"room":       func(s *stage) { s.to("#plan"); s.press("f5") },
	"members":    func(s *stage) { s.to("#plan"); s.press("f5", "i"); s.pick("Carla"); s.press("m", "/members", "enter") },
	"member":     func(s *stage) { s.to("#plan"); s.press("/members", "enter"); s.pick("Zoë") },
	"remove":     func(s *stage) { s.to("#plan"); s.press("/members", "enter"); s.pick("Zoë"); s.press("r") },
	"invite":     func(s *stage) { s.to("#plan"); s.press("/invite", "enter"); s.pick("Carla") },
	"removed": func(s *stage) {
		s.f.change(s.f.idOf("#plan"), func(r *chat.Room) { r.Role, r.Left, r.Ended = "", true, "Bob removed you." })
		s.event(chat.GapEvent{})
		s.to("#plan")
	},
	"held":  func(s *stage) { s.claim(); s.to("@Bob") },
	"claim": func(s *stage) { s.claim(); s.to("@Bob"); s.press("enter") },
	"verify-ways": func(s *stage) {
		s.f.check = chat.Verification{State: chat.VerificationEnded, Number: number, QR: "earshot:verify:1", Reason: "Carla is not here."}
		s.to("@Carla")
		s.press("/verify", "enter")
	},
	"verify-compare": func(s *stage) {
		s.f.check = chat.Verification{State: chat.VerificationWaiting, Number: number, QR: "earshot:verify:1"}
		s.to("@Bob")
		s.press("/verify", "enter", "s")
		v := s.f.check
		v.Person, v.State, v.Symbols = s.f.author("Bob").Person, chat.VerificationCompare, symbols
		s.event(chat.VerificationEvent{Verification: v})
	},
	"devices": func(s *stage) { s.press("/devices", "enter") },
	"revoke":  func(s *stage) { s.press("/devices", "enter"); s.pick("telephone") },
	"pairing": func(s *stage) { s.press("/devices", "enter", "a") },
	"privacy": func(s *stage) { s.press("/privacy", "enter", "i") },
	"menu":    func(s *stage) { s.press("f9") },
	"unreadable": func(s *stage) {
		s.f.change(s.f.idOf("#plan"), func(r *chat.Room) { r.Unreadable = 3 })
		s.event(chat.GapEvent{})
		s.to("#plan")
		s.press("/unreadable", "enter")
	},
}

// claim has somebody with another key go by Bob's name.
func (s *stage) claim() {
	other := s.f.author("Bob ✓").Person
	for _, k := range s.f.contacts {
		if k.Name == "Bob" {
			k.Claimant = &other
			s.event(chat.ContactEvent{Contact: k})
		}
	}
}

// social opens a stage on circle.
func socialStage(t testing.TB, width, height int) *stage {
	f := circle()
	f.devices = []chat.OwnDevice{
		{Device: chat.DeviceID(f.id("dev")), Label: "laptop", This: true, Presence: chat.Here},
		{Device: chat.DeviceID(f.id("dev")), Label: "telephone", LastSeen: noon.Add(-25 * time.Hour), Presence: chat.Gone},
		{Device: chat.DeviceID(f.id("dev")), Label: "old laptop", Revoked: true, Presence: chat.Gone},
	}
	f.pairing = chat.Pairing{State: chat.PairingCode, Code: "40718325", QR: "earshot:pair:1", Expires: noon.Add(5 * time.Minute)}
	return open(t, f, width, height)
}

func init() {
	for name, play := range socialScenes {
		scenes[name] = func(t *testing.T, w, h int) *stage {
			s := socialStage(t, w, h)
			play(s)
			return s
		}
	}
}

// The views for which 40x10 is too small to be kept are drawn there all the same,
// and at every height between: no line is too long, none is missing.
func TestEveryViewFitsEveryScreen(t *testing.T) {
	for name, play := range socialScenes {
		for _, size := range [][2]int{{40, 10}, {41, 11}, {63, 13}, {64, 15}, {200, 60}} {
			s := socialStage(t, 80, 24)
			play(s)
			s.send(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
			if s.screen() == "" {
				t.Errorf("%s shows nothing at %v", name, size)
			}
		}
	}
}
