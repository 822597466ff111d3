package tui

import (
	"context"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"earshot/chat"
)

func TestTypingIsToldRarelyAndShownUntilItLapses(t *testing.T) {
	f := office()
	s := open(t, f, 80, 24)
	s.press("hello there")
	if n := f.called("typing #lobby true"); n != 1 {
		t.Fatalf("typing was told %d times in a moment", n)
	}
	f.clock = f.clock.Add(chat.TypingRenew)
	s.press("!")
	if n := f.called("typing #lobby true"); n != 2 {
		t.Fatalf("typing was not renewed: %v", f.calls)
	}
	s.press("ctrl+u")
	if n := f.called("typing #lobby false"); n != 1 {
		t.Fatalf("the end of typing was told %d times", n)
	}
	s.press("/join #x")
	if n := f.called("typing #lobby true"); n != 2 {
		t.Fatal("a command was announced as typing")
	}

	s.event(chat.TypingEvent{Room: chat.Lobby, RoomID: chat.OpenRoom(chat.Lobby), From: f.author("王小明"), Typing: true})
	s.want("王小明 is typing")
	if last := s.wakes[len(s.wakes)-1]; last > chat.TypingExpiry {
		t.Fatalf("the sign is looked at again after %v only", last)
	}
	f.clock = f.clock.Add(chat.TypingExpiry)
	s.send(tickMsg{s.m.ticks - 1}) // an earlier one, of no meaning any more
	s.send(tickMsg{s.m.ticks})
	s.wantNot("is typing")
}

func TestCommands(t *testing.T) {
	ran := ""
	f := office()
	s := open(t, f, 80, 24, Command{
		Name: "echo", Args: "words", Help: "say them back",
		Run: func(_ context.Context, room chat.RoomID, args string) (string, error) {
			ran = f.nameOf(room) + " " + args
			return "You said \x1b[31m" + args, nil
		},
	})
	s.press("/join #tea", "enter")
	s.want("▸  #tea", "Write to #tea")
	s.press("/leave", "enter")
	s.want("You have left #tea")
	s.wantNot("▸  #tea", "Write to #tea")
	s.press("/leave", "enter")
	s.want("Everyone is in the lobby")
	s.press("ctrl+u", "/nonsense", "enter")
	s.want("no command /nonsense", "/nonsense")
	s.press("ctrl+u", "/join not a room", "enter")
	s.want("A room name can't hold")
	s.press("ctrl+u", "/echo one two", "enter")
	if ran != "#lobby one two" {
		t.Fatalf("the command was given %q", ran)
	}
	s.want("You said [31mone two")
	s.press("//slash", "enter")
	if f.called("send #lobby /slash") != 1 {
		t.Fatalf("two slashes did not send one: %v", f.calls)
	}
	s.press("/usr/bin is a path", "enter")
	if f.called("send #lobby /usr/bin is a path") != 1 {
		t.Fatalf("a path was taken for a command: %v", f.calls)
	}
	s.press("/help", "enter", "end")
	s.want("/echo words", "say them back")
	s.press("esc", "/echo "+strings.Repeat("long ", 100), "enter")
	s.want(" /echo", "Esc back")
	s.press("esc", "/quit", "enter")
	if !s.quit {
		t.Fatal("/quit does not quit")
	}
}

func TestTabCompletes(t *testing.T) {
	s := open(t, office(), 80, 24)
	for _, c := range []struct {
		typed string
		tabs  int
		want  string
	}{
		{"/jo", 1, "/join "},
		{"/join #k", 1, "/join #kitchen "},
		{"see #p", 1, "see #printer-jams "},
		{"see #放", 1, "see #放課後 "},
		{"an", 1, "Ann: "},
		{"ask an", 1, "ask Ann "},
		{"@王", 1, "@王小明 "},
		{"/", 2, "/leave "},
		{"/", len(builtins) + 1, "/"},
		{"xyz", 1, "xyz"},
		{"word ", 1, "word "},
	} {
		s.m.conv().in.set(c.typed)
		for range c.tabs {
			s.press("tab")
		}
		if got := s.m.conv().in.text; got != c.want {
			t.Errorf("%q and %d tabs became %q, want %q", c.typed, c.tabs, got, c.want)
		}
		s.m.completer = completer{}
	}
	s.m.conv().in.set("/")
	s.press("tab", "tab", "shift+tab")
	if got := s.m.conv().in.text; got != "/join " {
		t.Errorf("Shift+Tab does not go back: %q", got)
	}
}

func TestPaste(t *testing.T) {
	s := open(t, newFake(), 80, 24)
	s.send(tea.PasteMsg{Content: "one\r\ntwo\rthree\x1b[2J\x07 "})
	if got := s.m.conv().in.text; got != "one\ntwo\nthree[2J " {
		t.Fatalf("the paste became %q", got)
	}
	if s.f.called("send") != 0 {
		t.Fatal("a newline in a paste sent the message")
	}
	s.press("enter")
	if got := s.f.said[chat.OpenRoom(chat.Lobby)][0].Text; got != "one\ntwo\nthree[2J" {
		t.Fatalf("sent %q", got)
	}
	for _, size := range []int{chat.MaxText + 1, 50 << 20} {
		s.send(tea.PasteMsg{Content: strings.Repeat("x", size)})
		s.want("15,360")
		if s.m.conv().in.text != "" {
			t.Fatal("part of it was taken")
		}
	}
	s.send(tea.PasteMsg{Content: strings.Repeat("x", chat.MaxText)})
	s.press("y")
	s.want("has no room")
}

func TestQuittingLetsTheLastMessageThrough(t *testing.T) {
	for _, c := range []struct {
		name string
		then func(s *stage)
		quit bool
	}{
		{"it is sent", func(s *stage) { s.release() }, true},
		{"it fails, which must be seen", func(s *stage) {
			s.f.fail["send"] = chat.Errorf(chat.CodeDiskFull, "There is no space left.")
			s.release()
			s.send(endMsg{})
		}, false},
		{"it takes long", func(s *stage) { s.hold = false; s.send(endMsg{}) }, true},
		{"the user insists", func(s *stage) { s.hold = false; s.press("ctrl+q") }, true},
	} {
		s := open(t, newFake(), 80, 24)
		s.hold = true
		s.press("last words", "enter", "ctrl+q")
		s.want("Sending what was written last")
		c.then(s)
		if s.quit != c.quit {
			t.Errorf("%s: quit is %v", c.name, s.quit)
		}
	}
}

func TestQuitting(t *testing.T) {
	s := open(t, newFake(), 80, 24)
	s.press("ctrl+c")
	s.want("Ctrl+C again")
	s.press("x", "ctrl+c")
	if s.quit {
		t.Fatal("Ctrl+C quit although another key came between")
	}
	s.press("ctrl+c")
	if !s.quit {
		t.Fatal("Ctrl+C twice does not quit")
	}
	s = open(t, newFake(), 20, 5)
	s.want("Earshot needs")
	s.press("ctrl+q")
	if !s.quit {
		t.Fatal("Ctrl+Q does not quit")
	}
}
