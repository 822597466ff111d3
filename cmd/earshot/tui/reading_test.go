package tui

import (
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"earshot/chat"
)

func TestScrollingLoadsHistoryWithoutLimitAndBack(t *testing.T) {
	f := newFake()
	ann := f.person("Ann", chat.Here)
	const n = 3 * windowMessages
	for i := range n {
		f.say(chat.Lobby, ann, fmt.Sprintf("message <%d>", i))
	}
	s := open(t, f, 80, 24)
	s.want(fmt.Sprintf("<%d>", n-1))
	c := s.m.conv()
	for i := 0; !s.shows("<0>"); i++ {
		s.press("pgup")
		if len(c.tl.msgs) > windowMessages {
			t.Fatalf("%d messages are loaded", len(c.tl.msgs))
		}
		if i > n {
			t.Fatalf("the beginning never comes:\n%s", s.screen())
		}
	}
	if !c.tl.newer {
		t.Fatal("nothing was let go of at the newest end")
	}
	for i := 0; !c.follow; i++ {
		s.press("pgdown")
		if i > n {
			t.Fatalf("the end never comes:\n%s", s.screen())
		}
	}
	s.want(fmt.Sprintf("<%d>", n-1))
	s.press("ctrl+home")
	s.wantNot(fmt.Sprintf("<%d>", n-1))
	s.press("end")
	s.want(fmt.Sprintf("<%d>", n-1))
}

func TestEveryLineIsReachedScrollingOneByOne(t *testing.T) {
	f := office()
	script(f)
	for i := range 40 {
		f.say(chat.Lobby, f.author("Ann"), strings.Repeat(fmt.Sprintf("word%d ", i), i))
	}
	s := open(t, f, 64, 16)
	c := s.m.conv()
	var up []string
	for {
		before := s.screen()
		s.send(tea.MouseWheelMsg{Button: tea.MouseWheelUp})
		if s.screen() == before {
			break
		}
		up = append(up, before)
	}
	if p, _ := c.top(s.m.layout().talk, s.m.who); p != (place{}) {
		t.Fatalf("scrolling stopped at %v", p)
	}
	for i := len(up) - 1; i >= 0 && !c.follow; i-- {
		s.send(tea.MouseWheelMsg{Button: tea.MouseWheelDown})
	}
	if !c.follow {
		t.Fatal("going down the same way does not end at the newest message")
	}
}

func TestTheReaderStaysWhenMessagesArrive(t *testing.T) {
	f := newFake()
	ann := f.person("Ann", chat.Here)
	for i := range 200 {
		f.say(chat.Lobby, ann, fmt.Sprintf("message <%d>", i))
	}
	s := open(t, f, 80, 24)
	s.press("pgup", "pgup")
	before := strings.Split(s.screen(), "\n")[:20]
	for i := range 5 {
		s.hear(chat.Lobby, ann, fmt.Sprintf("newer <%d>", i))
	}
	s.want("5 new below")
	if after := strings.Split(s.screen(), "\n")[:20]; strings.Join(after, "\n") != strings.Join(before, "\n") {
		t.Fatalf("the screen moved:\n%s\nto\n%s", strings.Join(before, "\n"), s.screen())
	}
	late := f.said[chat.OpenRoom(chat.Lobby)][0]
	late.ID[0], late.Text = 0xFF, "late" // belongs above the screen
	s.event(chat.MessageEvent{Message: late})
	if after := strings.Split(s.screen(), "\n")[:20]; strings.Join(after, "\n") != strings.Join(before, "\n") {
		t.Fatal("a late message above moved the screen")
	}
	s.press("ctrl+home")
	s.want("(came late)", "late")
	s.press("ctrl+end", "pgup", "pgup")
	before = strings.Split(s.screen(), "\n")[:20]
	s.send(tea.WindowSizeMsg{Width: 50, Height: 12})
	s.send(tea.WindowSizeMsg{Width: 80, Height: 24})
	if after := strings.Split(s.screen(), "\n")[:20]; strings.Join(after, "\n") != strings.Join(before, "\n") {
		t.Fatalf("resizing there and back moved the screen to:\n%s", s.screen())
	}
	s.press("end")
	s.want("newer <4>")
	s.wantNot("new below")
}

func TestReadIsOnlyWhatWasSeenWithFocus(t *testing.T) {
	f := newFake()
	ann := f.person("Ann", chat.Here)
	s := open(t, f, 80, 24)
	seen := s.hear(chat.Lobby, ann, "seen")
	if n := f.called("read #lobby " + seen.ID.Short()); n != 1 {
		t.Fatalf("the message on the screen was marked read %d times: %v", n, f.calls)
	}
	s.send(tea.BlurMsg{})
	unseen := s.hear(chat.Lobby, ann, "unseen")
	s.hear(chat.Lobby, ann, "unseen too")
	if f.called("read") != 1 {
		t.Fatalf("something was marked read without focus: %v", f.calls)
	}
	s.want("new messages")
	if !strings.HasPrefix(s.m.title(), "(2) ") {
		t.Fatalf("the title is %q", s.m.title())
	}
	if s.m.conv().firstNew != unseen.ID {
		t.Fatal("the line stands elsewhere")
	}
	s.send(tea.FocusMsg{})
	if f.called("read") != 2 || strings.HasPrefix(s.m.title(), "(") {
		t.Fatalf("coming back did not mark what is on the screen: %v", f.calls)
	}
	s.want("new messages")
	s.press("reply", "enter")
	s.wantNot("new messages")

	for i := range 100 {
		s.hear(chat.Lobby, ann, fmt.Sprint(i))
	}
	n := f.called("read")
	s.press("pgup", "pgup")
	s.hear(chat.Lobby, ann, "below the screen")
	if f.called("read") != n {
		t.Fatal("a message below the screen was marked read")
	}
}

func TestAGapLongerThanTheScreenIsHeldAtItsBeginning(t *testing.T) {
	f := newFake()
	ann := f.person("Ann", chat.Here)
	f.say(chat.Lobby, ann, "read")
	s := open(t, f, 80, 24)
	for i := range 60 {
		f.say(chat.Lobby, ann, fmt.Sprintf("missed <%d>", i))
	}
	s.event(chat.GapEvent{Missed: 60})
	s.want("new messages", "missed <0>", "new below")
}

func TestUnreadRoomsAreMarkedAndOpenAtTheFirstNewMessage(t *testing.T) {
	f := office()
	ann := f.author("Ann")
	var read chat.Message
	for i := range 1000 {
		m := f.say("#kitchen", ann, fmt.Sprintf("<%d>", i))
		if i == 500 {
			read = m
		}
	}
	f.rooms[1].ReadUpTo, f.rooms[1].Unread = &read.ID, 499
	s := open(t, f, 80, 24)
	s.want("•499")
	s.press("ctrl+n")
	s.want("new messages", "<501>")
	s.wantNot("<999>")
	s.event(chat.ReadEvent{Room: chat.Lobby, RoomID: chat.OpenRoom(chat.Lobby), Unread: 4})
	s.want("•4")
	s.press("ctrl+end")
	s.want("<999>")
}

func TestWhatWasMissedDoesNotScrollPastUnseen(t *testing.T) {
	f := newFake()
	ann := f.person("Ann", chat.Here)
	f.say(chat.Lobby, ann, "read yesterday")
	s := open(t, f, 80, 24)
	var missed []chat.Event
	for i := range 60 {
		missed = append(missed, chat.MessageEvent{Message: f.say(chat.Lobby, ann, fmt.Sprintf("missed <%d>", i))})
	}
	f.clock = f.clock.Add(time.Hour)
	s.event(missed[:5]...)
	s.want("new messages", "missed <0>", "missed <4>")
	s.event(missed[5:]...)
	s.want("new messages", "missed <0>", "new below")
	s.wantNot("missed <59>")
	s.press("end")
	s.want("missed <59>")
	s.wantNot("new below")

	for i := range 60 { // but a lively conversation goes on by itself
		s.hear(chat.Lobby, ann, fmt.Sprintf("live <%d>", i))
	}
	s.want("live <59>")
	s.wantNot("new below")
}

func TestANewcomerStartsAtTheNewestMessage(t *testing.T) {
	f := newFake()
	ann := f.person("Ann", chat.Here)
	s := open(t, f, 80, 24)
	var history []chat.Event
	for i := range 600 {
		history = append(history, chat.MessageEvent{Message: f.say(chat.Lobby, ann, fmt.Sprintf("before <%d>", i))})
	}
	f.clock = f.clock.Add(time.Hour)
	for len(history) > 0 {
		s.event(history[:60]...)
		history = history[60:]
	}
	s.want("before <599>")
	s.wantNot("new below", "new messages")
}

func TestWhatCameWhileTheRoomsWereReadIsNewToo(t *testing.T) {
	for _, n := range []int{60, 300} {
		f := newFake()
		ann := f.person("Ann", chat.Here)
		read := f.say(chat.Lobby, ann, "read")
		f.rooms[0].ReadUpTo = &read.ID // and nothing unread, said the node
		s := &stage{t: t, f: f}
		s.m = newModel(t.Context(), f, Options{Local: zone, Now: func() time.Time { return f.clock }})
		s.m.after = func(time.Duration, tea.Msg) tea.Cmd { return nil }
		s.run(s.m.Init())
		for i := range n {
			f.say(chat.Lobby, ann, fmt.Sprintf("missed <%d>", i))
		}
		f.rooms[0].Unread = n
		s.send(tea.WindowSizeMsg{Width: 80, Height: 24})
		s.want("new messages", "missed <0>", "new below")
	}
}

func TestReloadingDoesNotPullTheReaderDown(t *testing.T) {
	f := newFake()
	ann := f.person("Ann", chat.Here)
	for i := range 300 {
		f.say(chat.Lobby, ann, fmt.Sprintf("message <%d>", i))
	}
	s := open(t, f, 80, 24)
	s.hold = true
	s.event(chat.GapEvent{})
	for len(s.held) > 0 && !s.m.conv().opening { // until the page is on its way
		cmd := s.held[0]
		s.held = s.held[1:]
		if msg := cmd(); msg != nil {
			if batch, ok := msg.(tea.BatchMsg); ok {
				s.held = append(s.held, batch...)
			} else {
				s.send(msg)
			}
		}
	}
	s.press("pgup")
	before, _, _ := strings.Cut(s.screen(), "End")
	f.say(chat.Lobby, ann, "missed")
	s.release()
	if after, _, _ := strings.Cut(s.screen(), "1 new below, End"); strings.TrimSpace(after) != strings.TrimSpace(before) {
		t.Fatalf("the reader was moved from\n%s\nto\n%s", before, after)
	}
	s.press("end")
	s.want("missed")
}

func TestLongMessagesAreFolded(t *testing.T) {
	f := newFake()
	ann := f.person("Ann", chat.Here)
	f.say(chat.Lobby, ann, "before")
	f.say(chat.Lobby, ann, strings.Repeat("x\n", chat.MaxText/2-4)+"finis")
	s := open(t, f, 80, 40)
	s.want("before", "7654 more lines, Ctrl+O")
	s.wantNot("finis")
	s.press("ctrl+o")
	s.want("finis")
	s.wantNot("before", "more lines")
}

func TestRoomsOutOfSightKeepLittle(t *testing.T) {
	f := office()
	ann := f.author("Ann")
	for i := range windowMessages {
		f.say(chat.Lobby, ann, fmt.Sprintf("message <%d>", i))
	}
	s := open(t, f, 80, 24)
	s.press("ctrl+home", "pgup", "ctrl+home", "ctrl+home", "ctrl+end")
	c := s.m.conv()
	if len(c.tl.msgs) <= 2*pageSize {
		t.Fatalf("only %d messages were loaded to begin with", len(c.tl.msgs))
	}
	s.press("ctrl+n")
	for i := range 500 {
		s.hear(chat.Lobby, ann, fmt.Sprintf("meanwhile <%d>", i))
	}
	if n := len(c.tl.msgs); n > 2*pageSize || len(c.blocks) > 0 {
		t.Fatalf("a room out of sight keeps %d messages and %d drawn", n, len(c.blocks))
	}
	s.press("ctrl+p")
	s.want("new messages", "meanwhile <0>", "new below")
	s.press("end")
	s.want("meanwhile <499>")
	for i := 0; !s.shows("message <1>"); i++ {
		s.press("pgup")
		if i > 1000 {
			t.Fatal("its history is gone")
		}
	}
}
