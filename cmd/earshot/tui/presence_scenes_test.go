package tui

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"earshot/chat"
)

// desks is a node whose user has contacts of every kind of presence, in groups and in
// departments.
func desks() *fake {
	f := newFake()
	f.room("#coffee")
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	contact := func(name string, p chat.Presence, s chat.Status, groups []string, profile *chat.Profile) chat.Author {
		a := f.person(name, p)
		f.befriend(a, chat.RelationContact)
		f.show(a, func(p *chat.Person) { p.Status, p.Groups, p.Profile = s, groups, profile })
		return a
	}
	contact("Ann", chat.Here, chat.Status{State: chat.Available, Text: "lunch", TextUntil: at(90)}, []string{"sales", "board"},
		&chat.Profile{Title: "Head of sales", Department: "Sales", Email: "ann@example.org", Location: "Room 12", Phone: "+49 30 1234"})
	contact("Bob", chat.Here, chat.Status{State: chat.Busy, Since: at(-20)}, []string{"sales"}, &chat.Profile{Department: "sales"})
	contact("Carla", chat.Here, chat.Status{State: chat.Away, Since: at(-12)}, nil, &chat.Profile{Department: "Logistics"})
	contact("Dora", chat.Here, chat.Status{State: chat.InMeeting, Until: at(60), Text: "budget"}, nil, nil)
	emil := contact("Emil", chat.Gone, chat.Status{Text: "back on Monday"}, []string{"sales"}, nil)
	f.show(emil, func(p *chat.Person) { p.LastSeen = at(-18 * 60) })
	flo := contact("Flo", chat.Here, chat.Status{State: chat.Available}, nil, nil)
	f.show(flo, func(p *chat.Person) { p.Suspect = true })
	contact("Gus", chat.Here, chat.Status{}, nil, nil)
	f.person("Stranger", chat.Here)
	f.show(f.author("Ann"), func(p *chat.Person) {
		p.Devices[0].State = chat.Available
		p.Devices = append(p.Devices, chat.Device{Device: chat.DeviceID(f.id("dev")), Presence: chat.Gone, LastSeen: at(-30)})
	})
	f.own(chat.Available, "")
	return f
}

// own is what the user shows.
func (f *fake) own(state chat.Availability, text string) {
	f.status.State, f.status.Chosen, f.status.Text = state, state, text
}

// presenceScenes are kept as text like the others, narrow ones too.
var presenceScenes = map[string]func(s *stage){
	"desks":             func(s *stage) {},
	"desks-departments": func(s *stage) { s.press("/contacts department", "enter", "esc") },
	"desks-side":        func(s *stage) { s.press("f2", "home") },
	"desks-list":        func(s *stage) { s.press("/contacts", "enter") },
	"desks-search":      func(s *stage) { s.press("/contacts", "enter", "SALES", "f2") },
	"desks-typing": func(s *stage) {
		s.to("@Ann")
		r := s.m.conv().room
		s.event(chat.TypingEvent{Room: r.Room, RoomID: r.RoomID, From: s.f.author("Ann"), Typing: true})
	},
	"desks-person": func(s *stage) { s.to("@Ann"); s.press("f5") },
	"desks-gone":   func(s *stage) { s.to("@Emil"); s.press("f5") },
	"desks-exception": func(s *stage) {
		s.to("@Ann")
		s.press("f5", "s", "left")
	},
	"desks-groups": func(s *stage) { s.to("@Ann"); s.press("f5", "g", "rowing") },
	"status":       func(s *stage) { s.press("/status", "enter", "soup") },
	"status-busy": func(s *stage) {
		s.f.own(chat.Busy, "budget")
		s.f.status.Until = noon.Add(time.Hour)
		s.event(chat.StatusEvent{OwnStatus: s.f.status})
	},
	"alerts": func(s *stage) { s.press("/alerts", "enter") },
	"quiet":  func(s *stage) { s.press("/alerts", "enter", "q", "22:00-07:00") },
	"profile": func(s *stage) {
		s.f.profile = chat.OwnProfile{Profile: chat.Profile{Title: "Clerk", Phone: "12"}, For: map[string]chat.Audience{"phone": "groups:sales"}}
		s.press("/profile", "enter")
	},
}

func deskStage(t testing.TB, width, height int) *stage { return open(t, desks(), width, height) }

func init() {
	for name, play := range presenceScenes {
		scenes[name] = func(t *testing.T, w, h int) *stage {
			s := deskStage(t, w, h)
			play(s)
			return s
		}
	}
}

func TestEveryViewOfPresenceFitsEveryScreen(t *testing.T) {
	for name, play := range presenceScenes {
		for _, size := range [][2]int{{40, 10}, {41, 11}, {63, 13}, {64, 15}, {200, 60}} {
			s := deskStage(t, 80, 24)
			play(s)
			s.send(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
			if s.screen() == "" {
				t.Errorf("%s shows nothing at %v", name, size)
			}
		}
	}
}

// What is told with colour alone is told to few: each state has a shape of its own, in
// ASCII too.
func TestEveryStateHasAShapeOfItsOwn(t *testing.T) {
	for _, g := range []glyphs{unicodeGlyphs, asciiGlyphs} {
		s := deskStage(t, 80, 24)
		s.m.glyphs = &g
		seen := map[string]chat.Availability{}
		for _, state := range []chat.Availability{chat.Available, chat.Away, chat.Busy, ""} {
			mark := s.m.mark(&chat.Person{Presence: chat.Here, Status: chat.Status{State: state}})
			if other, twice := seen[mark]; twice {
				t.Errorf("%q and %q look the same: %s", state, other, mark)
			}
			seen[mark] = state
		}
		if _, twice := seen[s.m.mark(&chat.Person{Presence: chat.Gone})]; twice {
			t.Error("who is gone looks like somebody who is here")
		}
	}
}

func TestWhoIsFreeStandsFirstAndWhoIsGoneLast(t *testing.T) {
	s := deskStage(t, 80, 40)
	s.press("/contacts name", "enter")
	screen := s.screen()
	at := -1
	for _, name := range []string{"Ann", "Flo", "Gus", "Bob", "Carla", "Dora", "Emil"} {
		i := strings.Index(screen, " "+name)
		if i < at {
			t.Fatalf("%s stands too early:\n%s", name, screen)
		}
		at = i
	}
}

func TestAStatusTextAndItsEndGoWhenTheyAreOver(t *testing.T) {
	s := deskStage(t, 120, 40)
	s.press("f2")
	s.want("Ann: lunch", "Dora: budget")
	s.f.clock = noon.Add(2 * time.Hour)
	s.send(tickMsg{s.m.ticks})
	s.wantNot("lunch")
}

func TestAWatchIsToldOnceAndCanBeCalledOff(t *testing.T) {
	s := deskStage(t, 80, 30)
	s.to("@Bob")
	s.press("f5", "t")
	s.want1("watch Bob true")
	s.want("you will be told")
	s.press("t")
	s.want1("watch Bob false")
	s.wantNot("you will be told")
	s.press("t", "esc")
	e := s.f.show(s.f.author("Bob"), func(p *chat.Person) { p.Status = chat.Status{State: chat.Available, Text: "free at last"} })
	s.event(chat.FreeEvent(e))
	s.want("Bob is free now: free at last.")
	if len(s.asked) > 0 {
		t.Errorf("the terminal was told %v, and the bell is off", s.asked)
	}
	s.press("f5")
	s.wantNot("you will be told")
}

func TestTheStatusSheetSetsStateTextAndEnd(t *testing.T) {
	s := deskStage(t, 80, 30)
	s.press("/status", "enter", "soup")
	s.pick("It ends") // half an hour
	s.pick("It ends") // an hour
	s.press("home")
	for range 6 {
		s.press("up")
	}
	s.pick("Busy")
	s.want1("set status busy 13:00 soup 13:00")
	s.want("You are shown as busy until 13:00: soup", "⊘ busy")
	s.press("/status", "enter")
	s.pick("In a meeting")
	s.want1("set status meeting 13:00 - -")
	s.press("/status", "enter", "ctrl+u")
	for range 6 {
		s.press("up")
	}
	s.pick("Available")
	s.want1("set status available -  -")
	s.f.fail["set status"] = chat.Errorf(chat.CodeDiskFull, "There is no space left on the disk.")
	s.press("/status", "enter")
	s.pick("Busy")
	s.want("There is no space left")
}

func TestAStatusThatIsWrittenIsLeftToTheCommand(t *testing.T) {
	var got string
	run := func(_ context.Context, _ chat.RoomID, args string) (string, error) { got = args; return "done", nil }
	s := open(t, desks(), 80, 24, Command{Name: "status", Args: "[STATE]", Help: "…", Run: run})
	s.press("/status busy -m soup --for 1h", "enter")
	s.want("done")
	if got != "busy -m soup --for 1h" {
		t.Errorf("the command got %q", got)
	}
	s.press("/status", "enter")
	s.want("Your status", "Appear offline")
}

func TestTheBellRingsForAlertsOnlyIfItIsWanted(t *testing.T) {
	alert := chat.AlertEvent{Alert: chat.Alert{RoomID: chat.OpenRoom("#coffee"), Count: 1}}
	for _, c := range []struct {
		name string
		bell bool
		do   func(s *stage, e *chat.AlertEvent)
		want int
	}{
		{"off", false, nil, 0},
		{"on", true, nil, 1},
		{"told before", true, func(_ *stage, e *chat.AlertEvent) { e.Silent = true }, 0},
		{"gone", true, func(_ *stage, e *chat.AlertEvent) { e.Gone = true }, 0},
		{"on the screen", true, func(s *stage, _ *chat.AlertEvent) { s.to("#coffee") }, 0},
		{"on a screen that nobody looks at", true, func(s *stage, _ *chat.AlertEvent) { s.to("#coffee"); s.send(tea.BlurMsg{}) }, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := deskStage(t, 80, 24)
			s.f.alerts.Bell = c.bell
			s.event(chat.AlertsEvent{Alerts: s.f.alerts})
			e := alert
			if c.do != nil {
				c.do(s, &e)
			}
			s.event(e)
			if len(s.asked) != c.want {
				t.Errorf("the bell rang %d times, want %d: %v", len(s.asked), c.want, s.asked)
			}
		})
	}
}

func TestAMessageByItselfRingsNothing(t *testing.T) {
	s := deskStage(t, 80, 24)
	s.f.alerts.Bell = true
	s.event(chat.AlertsEvent{Alerts: s.f.alerts})
	s.send(tea.BlurMsg{})
	s.hear(chat.Lobby, s.f.author("Ann"), "hello")
	if len(s.asked) != 0 {
		t.Errorf("the node did not say that it alerts, and the terminal was told %v", s.asked)
	}
}

func TestTheTitleCountsWhatMayAlert(t *testing.T) {
	s := deskStage(t, 80, 24)
	title := func(want string) {
		t.Helper()
		if got := s.m.View().WindowTitle; got != want {
			t.Errorf("the title is %q, want %q", got, want)
		}
	}
	for i, r := range s.f.rooms {
		switch r.Room {
		case "#coffee":
			s.f.rooms[i].Unread, s.f.rooms[i].Mentions, s.f.rooms[i].Alerts = 9, 2, chat.AlertMentions
		case "@Ann":
			s.f.rooms[i].Unread, s.f.rooms[i].Alerts = 3, chat.AlertAll
		case "@Bob":
			s.f.rooms[i].Unread, s.f.rooms[i].Alerts = 70, chat.AlertNone
		}
	}
	s.event(chat.GapEvent{})
	title("(5) Earshot #lobby")
	s.want("@2 •9")
	s.f.alerts.Title = false
	s.event(chat.AlertsEvent{Alerts: s.f.alerts})
	title("Earshot #lobby")
}

func TestAlertsAreSetOnTheirSheet(t *testing.T) {
	s := deskStage(t, 80, 30)
	s.press("/alerts", "enter", "b")
	s.want1("set alerts true true true text - true")
	s.press("p")
	s.want1("set alerts true true true name - true")
	s.press("q", "22.00", "enter")
	s.want("These are no hours")
	s.press("ctrl+u", "22:00 - 7:00", "enter")
	s.want1("set alerts true true true name 22:00-07:00 true")
	s.want("22:00-07:00")
	s.press("esc")
	s.to("#coffee")
	s.press("f5", "a")
	s.want1("set room alerts #coffee all")
	s.want("every message")
	s.press("left", "left")
	s.want1("set room alerts #coffee none")
	s.want("nothing")
}

func TestTheNodeHearsOfTheUserAtMostTwiceAMinute(t *testing.T) {
	s := deskStage(t, 80, 24)
	s.press("a long message that nobody sends")
	s.send(tea.PasteMsg{Content: "and more"})
	if n := s.f.called("active"); n != 1 {
		t.Fatalf("it heard %d times of one moment", n)
	}
	s.f.clock = s.f.clock.Add(activeEvery)
	s.press("x", "y")
	if n := s.f.called("active"); n != 2 {
		t.Fatalf("it heard %d times of two moments", n)
	}
}

func TestGroupsAndTeamAreSetOnAContactsPage(t *testing.T) {
	s := deskStage(t, 80, 40)
	s.to("@Ann")
	s.press("f5", "m")
	s.want1("set team Ann true")
	s.press("g", "rowing", "enter")
	s.want1("set groups Ann [sales board rowing]")
	s.pick("board")
	s.want1("set groups Ann [sales rowing]")
	s.press("esc")
	s.want("sales, rowing")
}

func TestOnePersonMaySeeMoreOrLess(t *testing.T) {
	s := deskStage(t, 80, 40)
	s.to("@Ann")
	see := func(presence, typing string) {
		t.Helper()
		words := func(b *bool) string {
			if b == nil {
				return "-"
			}
			return yesNo(*b)
		}
		var got []string
		for _, e := range s.f.privacy.Exceptions {
			if e.Person != s.f.author("Ann").Person {
				t.Fatal("an exception for somebody else")
			}
			got = append(got, words(e.Presence), words(e.Typing), words(e.Read))
		}
		want := []string{presence, typing, "-"}
		if presence == "" {
			want = nil
		}
		if !slices.Equal(got, want) {
			t.Fatalf("Ann's exceptions are %v, want %v", got, want)
		}
	}
	s.press("f5", "s", "left")
	see("no", "-")
	s.press("t")
	see("no", "yes")
	s.press("esc")
	s.want("status: no, typing: yes")
	s.press("s", "right", "down", "left")
	see("", "")
	s.press("esc")
	s.want("as your privacy says")
}

func TestWhoAppearsOfflineIsToldSo(t *testing.T) {
	s := deskStage(t, 80, 30)
	s.press("/status", "enter", "soup")
	s.pick("Appear offline")
	s.want("You are shown as gone.", "○ appears offline")
	s.wantNot("gone: soup")
}

func TestAnEndOfStateAndTextIsSaidOnce(t *testing.T) {
	s := deskStage(t, 120, 40)
	s.f.own(chat.Busy, "budget")
	s.f.status.Until = noon.Add(time.Hour)
	s.f.status.TextUntil = s.f.status.Until
	s.event(chat.StatusEvent{OwnStatus: s.f.status})
	s.want("busy until 13:00: budget ")
	s.wantNot("budget until")
}

func TestAProfileIsWrittenPartByPart(t *testing.T) {
	s := deskStage(t, 80, 30)
	s.press("/profile", "enter", "d", "Sales", "enter")
	s.want1("set profile { Sales   } map[department:contacts]")
	s.want("Department: Sales")
	s.press("right")
	s.want1("set profile { Sales   } map[department:groups:board]")
	s.press("e")
	s.f.fail["set profile"] = chat.Errorf(chat.CodeUsage, "That is no e-mail address.")
	s.press("nonsense", "enter")
	s.want("That is no e-mail address")
}

// What others write of themselves commands no terminal and imitates no line.
func TestAProfileAndAStatusPassTheDoor(t *testing.T) {
	s := deskStage(t, 120, 40)
	e := s.f.show(s.f.author("Ann"), func(p *chat.Person) {
		p.Status.Text = "a\x1b[31mb\nc"
		p.Profile = &chat.Profile{Title: "x\x1b]0;evil\a\ny", Department: "d\n\x9b2Je"}
		p.Groups = nil
	})
	s.event(e)
	s.press("/contacts department", "enter")
	for _, r := range s.m.View().Content {
		if r == '\a' || r == '\u009b' {
			t.Fatalf("%q reached the terminal", r)
		}
	}
	s.screen()
	s.press("esc")
	s.to("@Ann")
	s.press("f5")
	s.screen()
	s.wantNot("evil\a")
}
