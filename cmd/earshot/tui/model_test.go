package tui

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"earshot/chat"
)

func TestEnterShowsTheMessageAtOnceAndOnceOnly(t *testing.T) {
	s := open(t, newFake(), 80, 24)
	s.press("hello")
	s.hold = true
	s.press("enter")
	if got := strings.Count(s.screen(), "hello"); got != 1 || !s.shows(unicodeGlyphs.pending) {
		t.Fatalf("before the node has answered the message shows %d times, or has no mark:\n%s", got, s.screen())
	}
	s.release()
	said := s.f.said[chat.OpenRoom(chat.Lobby)]
	if len(said) != 1 || said[0].Text != "hello" {
		t.Fatalf("the node was sent %v", said)
	}
	s.event(chat.MessageEvent{Message: said[0]})
	if got := strings.Count(s.screen(), "hello"); got != 1 || s.shows("hello"+unicodeGlyphs.pending) {
		t.Fatalf("the message shows %d times:\n%s", got, s.screen())
	}
}

func TestTheEventMayComeBeforeTheAnswer(t *testing.T) {
	s := open(t, newFake(), 80, 24)
	s.hold = true
	s.press("same", "enter", "same", "enter")
	s.held, s.hold = nil, false // the calls never return
	me := chat.Author{Person: s.f.me.Person, Name: "Mia", Device: s.f.me.Device}
	s.hear(chat.Lobby, me, "same")
	if got := strings.Count(s.screen(), " same"); got != 2 {
		t.Fatalf("two sent messages show %d times:\n%s", got, s.screen())
	}
	s.hear(chat.Lobby, me, "same")
	if got := strings.Count(s.screen(), " same"); got != 2 || len(s.m.conv().out) != 0 {
		t.Fatalf("two stored messages show %d times:\n%s", got, s.screen())
	}
}

func TestAFailedSendKeepsTheTextAndItsID(t *testing.T) {
	s := open(t, newFake(), 80, 24)
	s.f.fail["send"] = chat.Errorf(chat.CodeDiskFull, "There is no space left on the disk.")
	s.press("precious", "enter")
	s.want("precious", "Not sent. There is no space left")
	id := s.m.conv().out[0].clientID
	delete(s.f.fail, "send")
	s.press("ctrl+r")
	s.wantNot("Not sent")
	if _, ok := s.f.sent[id]; !ok {
		t.Fatal("it was sent again under another id, so it could arrive twice")
	}

	s.f.fail["send"] = errors.New("broken pipe")
	s.press("again", "enter")
	s.press("up")
	s.wantNot("Not sent")
	if got := s.m.conv().in.text; got != "again" {
		t.Fatalf("Up took back %q", got)
	}
}

func TestDraftsStayWithTheirRooms(t *testing.T) {
	s := open(t, office(), 80, 24)
	s.press("for the lobby", "ctrl+n")
	s.want("Write to #kitchen")
	s.press("for the kitchen", "alt+up")
	s.want("for the lobby")
	s.wantNot("for the kitchen")
	s.press("tab") // completes nothing, and must not leave either
	s.want("for the lobby")
	s.press("ctrl+p", "ctrl+p", "ctrl+p")
	s.want("for the kitchen")
}

func TestAFailingNodeIsNotAskedInALoop(t *testing.T) {
	lost := chat.Errorf(chat.CodeUnreachable, "The Earshot node does not answer.")
	for _, call := range []string{"me", "messages", "read"} {
		t.Run(call, func(t *testing.T) {
			f := newFake()
			f.say(chat.Lobby, f.person("Ann", chat.Here), "hi")
			f.fail[call] = lost
			s := open(t, f, 80, 24)
			for range 10 {
				s.event(chat.PersonEvent{Person: f.people[1]})
			}
			if n := f.called(call); n != 1 {
				t.Fatalf("%q was asked %d times before the pause was over", call, n)
			}
			if len(s.wakes) == 0 {
				t.Fatal("no other attempt is planned")
			}
			clear(f.fail)
			s.send(retryMsg{})
			s.want("hi")
			if n := f.called("read"); n == 0 {
				t.Fatal("it is not marked read after all")
			}
		})
	}
}

func TestALostNodeIsSaidPlainlyAndForgottenWhenBack(t *testing.T) {
	s := open(t, office(), 80, 24)
	lost := chat.Error{Code: chat.CodeUnreachable, Text: "The Earshot node does not answer."}
	s.event(chat.WarningEvent{Warning: lost})
	s.want("does not answer", "keeps trying")
	s.f.say(chat.Lobby, s.f.author("Ann"), "said meanwhile")
	s.event(chat.WarningEvent{Warning: lost, Clear: true}, chat.ReadyEvent{Run: "b"}, chat.GapEvent{})
	s.wantNot("does not answer")
	s.want("said meanwhile")
}

func TestAReadOfTheRoomsThatFailedIsRepeatedWhateverHappensBetween(t *testing.T) {
	s := open(t, office(), 80, 24)
	s.f.room("#added")
	s.f.fail["rooms"] = chat.Errorf(chat.CodeBusy, "Too many calls.")
	s.event(chat.RoomEvent{Room: "#added", Joined: true})
	s.event(chat.PersonEvent{Person: s.f.people[1]}) // the node lives, so it is not lost
	clear(s.f.fail)
	s.send(retryMsg{})
	s.want("#added")
}

func TestAMessageThatArrivesWhileAPageIsReadIsNotLost(t *testing.T) {
	f := newFake()
	ann := f.person("Ann", chat.Here)
	s := &stage{t: t, f: f}
	s.m = newModel(t.Context(), f, Options{Local: zone, Now: func() time.Time { return f.clock }})
	s.m.after = func(time.Duration, tea.Msg) tea.Cmd { return nil }
	s.run(s.m.Init())
	s.hold = true
	s.send(tea.WindowSizeMsg{Width: 80, Height: 24})
	page := s.held[0]() // the node answers
	s.held, s.hold = nil, false
	s.hear(chat.Lobby, ann, "in between")
	s.send(page)
	s.want("in between")
}

func TestNamesThatCollideAreToldApart(t *testing.T) {
	f := newFake()
	ann := f.person("Ann", chat.Here)
	s := open(t, f, 80, 24)
	s.hear(chat.Lobby, ann, "first")
	s.wantNot("Ann [")
	other := f.person("ＡＮＮ", chat.Here)
	s.event(chat.PersonEvent{Person: f.people[len(f.people)-1]})
	s.hear(chat.Lobby, other, "second")
	s.want("Ann ["+ann.Person.Short()+"]", "ＡＮＮ ["+other.Person.Short()+"]")
	fake := f.person("Mia (you)", chat.Here)
	s.hear(chat.Lobby, fake, "I am you")
	s.want("Mia (you) [" + fake.Person.Short() + "]")
	p := f.people[2]
	p.Name = "Bob"
	s.event(chat.PersonEvent{Person: p})
	s.want("Bob")
	s.wantNot("Ann [")
}

func TestAGapReadsEverythingAgain(t *testing.T) {
	f := office()
	s := open(t, f, 80, 24)
	f.room("#added")
	f.person("Newcomer", chat.Here)
	f.say(chat.Lobby, f.author("Ann"), "missed")
	s.event(chat.GapEvent{Missed: 10})
	s.want("#added", "Newcomer", "missed")
}

func TestClicksAndTheNarrowRoster(t *testing.T) {
	s := open(t, office(), 80, 24)
	s.send(tea.MouseClickMsg{X: 3, Y: 3, Button: tea.MouseLeft})
	s.want("Write to #kitchen")
	s.send(tea.WindowSizeMsg{Width: 40, Height: 10})
	s.wantNot("Open to anyone")
	s.press("f2")
	s.want("Open to anyone", "Nearby")
	s.send(tea.MouseClickMsg{X: 3, Y: 2, Button: tea.MouseLeft})
	s.want("Write to #lobby")
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := newFake()
	in, keyboard := io.Pipe()
	defer keyboard.Close()
	done := make(chan error)
	go func() {
		done <- Run(ctx, f, Options{Input: in, Output: io.Discard, Environ: []string{"TERM=xterm"}})
	}()
	for range cap(f.events) + 1 + pumpBuffer { // more than fits anywhere: Run takes them
		f.events <- chat.ReadyEvent{}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
