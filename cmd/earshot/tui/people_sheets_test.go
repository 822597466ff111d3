package tui

import (
	"fmt"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"earshot/chat"
	"earshot/chat/contacts"
)

// want1 fails unless exactly one call of this kind was made.
func (s *stage) want1(call string) {
	s.t.Helper()
	if n := s.f.called(call); n != 1 {
		s.t.Fatalf("%q was called %d times: %v", call, n, s.f.calls)
	}
}

func (s *stage) wantNone(calls ...string) {
	s.t.Helper()
	for _, call := range calls {
		if n := s.f.called(call); n != 0 {
			s.t.Fatalf("%q was called %d times", call, n)
		}
	}
}

func TestTheFirstScreenIsTheLobbyAndNoPrivateChat(t *testing.T) {
	s := socialStage(t, 80, 24)
	s.want("Write to #lobby")
	if got := s.m.rooms[0].room.Room; got != "@Bob" {
		t.Fatalf("%s is first in the list: the test shows nothing", got)
	}
}

func TestChoosingAContactOpensTheChat(t *testing.T) {
	s := socialStage(t, 80, 24)
	s.press("f2")
	s.pick("Carla")
	s.want("Write to Carla", "only you and Carla can read this · not verified")
	s.press("hello", "enter")
	s.want1("send @Carla hello")

	f := newFake()
	f.relate(f.person("Nora", chat.Here), chat.RelationContact, "")
	s = open(t, f, 80, 24)
	s.press("f2")
	s.pick("Nora")
	s.want1("chat Nora")
	s.want("Write to Nora")
}

func TestTheSideColumnIsWalkedAndSwallowsNoWord(t *testing.T) {
	s := socialStage(t, 80, 24)
	s.press("f2", "end", "down")
	if line := s.cursorLine(); !strings.Contains(line, "waiting") {
		t.Fatalf("below the last is %q", line)
	}
	s.press("up")
	if line := s.cursorLine(); !strings.Contains(line, "Eve") {
		t.Fatalf("above the first is %q", line)
	}
	s.press("typed")
	s.want("› typed")
	s.press("f2")
	s.send(tea.PasteMsg{Content: " and pasted"})
	s.want("› typed and pasted")
}

func TestAStrangerIsAskedWithANoteThatIsNotTooLong(t *testing.T) {
	s := socialStage(t, 80, 24)
	s.press("f2")
	s.pick("Dan")
	s.want("is a stranger", s.f.author("Dan").Person.String())
	s.press("a")
	s.want("0/140")
	s.press(strings.Repeat("ä", contacts.MaxNote+20))
	s.want("140/140")
	s.press("ctrl+u", "Lunch?", "enter")
	s.want1("add Dan Lunch?")
	s.want("You have asked Dan", "Dan →")
	s.press("f2")
	s.pick("Dan")
	s.want("Withdraw the request")
	s.press("w")
	s.want1("forget Dan")
	s.wantNot("Dan →")
}

func TestARequestIsReadAndAnswered(t *testing.T) {
	for key, call := range map[string]string{"a": "accept Eve", "d": "decline Eve"} {
		s := socialStage(t, 80, 24)
		s.want("2 waiting: F4")
		s.press("f4")
		s.pick("Eve")
		s.want("it's Eve from the second floor", s.f.author("Eve").Person.String())
		s.press(key)
		s.want1(call)
		s.press("esc")
		s.want("1 waiting: F4")
		if key == "a" {
			s.press("f2")
			s.pick("Eve")
			s.want("Write to Eve")
		}
	}
}

func TestANoteIsTextAndNothingElse(t *testing.T) {
	s := socialStage(t, 80, 24)
	mallory := s.f.person("Mallory\x1b[31m\n✓", chat.Here)
	s.event(chat.TrayEvent{Requests: []chat.Contact{s.f.relate(mallory, chat.RelationAsking, "\x1b]0;gotcha\x07one\ntwo\u202Eeerht")}})
	s.want("asks to become your contact. F4")
	s.press("f4")
	if content := s.m.View().Content; strings.Contains(content, "\x1b]0;") || strings.Contains(content, "\u202E") || strings.Contains(s.screen(), "✓ ") {
		t.Fatalf("a note reaches the terminal as more than text:\n%q", content)
	}
	s.want("one two", "Mallory")
}

// Whatever Enter was about to do, a request that comes or goes meanwhile must not
// put another person under the cursor.
func TestARequestThatComesDoesNotMoveTheCursor(t *testing.T) {
	s := socialStage(t, 80, 24)
	s.press("f4")
	before := s.cursorLine()
	early := s.f.relate(s.f.author("Dan"), chat.RelationAsking, "me first")
	early.Since = early.Since.Add(-1000)
	s.event(chat.TrayEvent{Requests: []chat.Contact{early, s.f.contacts[3]}})
	if after := s.cursorLine(); after != before {
		t.Fatalf("the cursor went from %q to %q", before, after)
	}
	s.press("enter")
	s.want("Eve asks to become your contact")
}

func TestNothingDangerousHappensBeforeItIsSaid(t *testing.T) {
	for _, c := range []struct {
		way         []string
		says, calls string
	}{
		{[]string{"@Carla", "/block", "enter"}, "see of you what they would see of somebody who is away", "block Carla"},
		{[]string{"@Carla", "/forget", "enter"}, "neither of you can write to the other directly", "forget Carla"},
		{[]string{"#plan", "/remove Zoë", "enter"}, "nothing can take it back", "remove #plan Zoë"},
		{[]string{"#plan", "/leave", "enter"}, "and only a new invitation", "leave #plan"},
		{[]string{"#plan", "/role Zoë owner", "enter"}, "do everything here that you may", "role #plan Zoë owner"},
		{[]string{chat.Lobby, "/devices", "enter", "down", "enter"}, "reads nothing that is said from now on", "revoke"},
	} {
		s := socialStage(t, 80, 24)
		s.to(c.way[0])
		s.press(c.way[1:]...)
		s.want(c.says)
		s.wantNone(c.calls)
		s.press("enter") // the cursor stands on no
		s.wantNone(c.calls)
		s.wantNot(c.says)
		s.press("esc", "esc")
		s.to(c.way[0])
		s.press(c.way[1:]...)
		s.press("y")
		s.want1(c.calls)
		s.wantNot(c.says)
	}
}

func TestBlockingEndsAChatInPlainWords(t *testing.T) {
	s := socialStage(t, 80, 24)
	s.to("@Carla")
	s.press("/block", "enter", "y")
	s.want("Carla is blocked", "You have blocked Carla: nothing is sent")
	s.press("secret", "enter")
	s.wantNone("send")
	s.want("Unblock Carla") // what Enter showed
	s.press("u")
	s.want1("unblock Carla")
	s.want("Carla is not your contact")
	s.f.change(s.f.idOf("@Carla"), func(r *chat.Room) { r.LastAt, r.Left, r.Ended = noon, true, "Carla is no contact any more." })
	s.event(chat.GapEvent{}) // the node has let go of the chat
	s.want("Carla is not your contact", " Ended", "Carla is no contact any more.")
}

func TestAnotherKeyUnderAVerifiedNameHoldsSendingUntilDecided(t *testing.T) {
	s := socialStage(t, 80, 24)
	s.to("@Bob")
	s.press("a draft")
	s.claim()
	s.want("another key goes by the", "3 waiting: F4", "Bob !")
	s.press("esc", " more", "ctrl+a", "ctrl+k") // no key reaches the draft
	s.send(tea.PasteMsg{Content: "pasted"})
	s.wantNone("send")
	s.press("enter")
	s.want("Who is Bob?", s.f.author("Bob").Person.String(), s.f.author("Bob ✓").Person.String(), "nothing is sent to either")
	s.press("s")
	s.want("Give up Bob's old key?", "given up, for good")
	s.press("enter", "o")
	s.want1("decide Bob false")
	s.want("a draft")
	s.press("enter")
	s.want1("send @Bob a draft")
}

func TestSendingToWhomAnotherKeyClaimsFailsWithTheReason(t *testing.T) {
	s := socialStage(t, 80, 24)
	s.f.fail["send"] = chat.Errorf(chat.CodeHeld, "Nothing is sent: another key goes by the name of Bob. Decide who it is.")
	s.to("#plan")
	s.press("hello", "enter")
	s.want("Not sent. Nothing is sent: another key goes by the")
}

func TestACommandCanBeWrittenWhereNothingCanBeSent(t *testing.T) {
	s := socialStage(t, 80, 24)
	s.to("@Bob")
	s.claim()
	s.press("/person", "enter")
	s.want("Decide who it is")
	s.press("esc", "//not a command", "enter")
	s.wantNone("send")
}

func TestNoNameBearsASignOfOurs(t *testing.T) {
	for _, name := range []string{"Bob ✓", "✔ Bob", "Bob 🔒", "Bob ×", "Bob ✅"} {
		if got := shownName(name); strings.ContainsAny(got, "✓✔🔒×✅") {
			t.Errorf("%q is shown as %q", name, got)
		}
	}
	s := socialStage(t, 80, 24)
	s.hear(chat.Lobby, s.f.author("Bob ✓"), "trust me")
	s.hear(chat.Lobby, s.f.author("Bob"), "it is me")
	s.want("Bob · ["+s.f.author("Bob ✓").Person.Short()+"]", "Bob ✓  12:00")
}

func TestWhoAcceptsIsSaidAndTheirChatIsThere(t *testing.T) {
	s := socialStage(t, 80, 24)
	dan := s.f.author("Dan")
	s.event(chat.ContactEvent{Contact: s.f.relate(dan, chat.RelationRequested, "")})
	k := s.f.relate(dan, chat.RelationContact, "")
	s.f.direct(dan)
	s.event(chat.ContactEvent{Contact: k})
	s.want("Dan has accepted")
	s.press("f2")
	s.pick("Dan")
	s.want("Write to Dan")
}

func TestAnAmbiguousNameListsTheCandidates(t *testing.T) {
	s := socialStage(t, 80, 24)
	s.f.fail["find"] = chat.Errorf(chat.CodeAmbiguous, "2 contacts fit \"ann\": Ann (AAAAAA), Ann (BBBBBB). Give the id of the one that is meant.")
	s.press("/chat ann", "enter")
	s.want("Ann (AAAAAA), Ann (BBBBBB)")
}

func TestInvisibleIsSaidOnEveryScreen(t *testing.T) {
	s := socialStage(t, 80, 24)
	s.wantNot("you are invisible")
	s.press("/invisible", "enter")
	s.want1("set privacy {everyone contacts contacts contacts true []}")
	for _, key := range []string{"f1", "esc", "f4", "esc", "f9", "esc", "f2"} {
		s.press(key)
		s.want("you are invisible")
	}
	s.send(tea.WindowSizeMsg{Width: 40, Height: 10})
	s.want("you are invisible")
	s.event(chat.PrivacyEvent{Privacy: chat.Privacy{Nearby: chat.Everyone}})
	s.wantNot("you are invisible")
}

// The warning of the node is in the last line already, and must not hide others.
func TestBeingInvisibleHidesNoOtherWarning(t *testing.T) {
	s := socialStage(t, 80, 24)
	s.f.privacy.Nearby = chat.Nobody
	s.event(chat.PrivacyEvent{Privacy: s.f.privacy},
		chat.WarningEvent{Warning: chat.Error{Code: chat.CodeDiskFull, Text: "There is little space left."}},
		chat.WarningEvent{Warning: chat.Error{Code: chat.CodeInvisible, Text: "Nothing reaches you."}})
	s.want("you are invisible", "There is little space left", "it waits until you are visible")
	s.wantNot("Nothing reaches you")
}

func TestPrivacyIsTurnedWithTheArrows(t *testing.T) {
	s := socialStage(t, 80, 24)
	s.press("/privacy", "enter", "down", "right")
	s.want1("set privacy {contacts contacts contacts contacts false []}")
	s.want("Strangers do not see who you are")
	s.press("left", "left")
	s.want1("set privacy {nobody contacts contacts contacts false []}")
	s.f.fail["set privacy"] = chat.Errorf(chat.CodeDiskFull, "There is no space left on the disk.")
	s.press("right")
	s.want("no space left", "nobody")
}

func TestOneOfManyContactsIsFoundByTyping(t *testing.T) {
	f := newFake()
	for i := range 3 * maxListed {
		f.relate(f.person(fmt.Sprintf("Colleague %03d", i), chat.Here), chat.RelationContact, "")
	}
	s := open(t, f, 80, 24)
	s.press("/chat", "enter", "end")
	for range maxListed + 1 {
		s.press("down")
	}
	s.want("Colleague 199", "400 more: write a part of the name")
	s.press("league 57")
	s.want("Colleague 570", "Colleague 579")
	s.wantNot("more: write")
	s.press("8")
	s.pick("Colleague 578")
	s.want1("chat Colleague 578")
	s.want("Write to Colleague 578")
}

func TestSheetsAreClickedAndScrolledToo(t *testing.T) {
	s := socialStage(t, 80, 24)
	click := func(words string) {
		t.Helper()
		for y, line := range strings.Split(s.screen(), "\n") {
			if strings.Contains(line, words) {
				s.send(tea.MouseClickMsg{X: 5, Y: y, Button: tea.MouseLeft})
				return
			}
		}
		t.Fatalf("%q is not on the screen:\n%s", words, s.screen())
	}
	click("2 waiting")
	click("◇ Eve ?")
	click("Anyone can call themselves") // text is not for choosing
	s.want("Eve asks to become your contact")
	click("[d] Decline")
	s.want1("decline Eve")
	s.send(tea.WindowSizeMsg{Width: 60, Height: 12})
	s.press("f1")
	before := s.screen()
	s.send(tea.MouseWheelMsg{Button: tea.MouseWheelDown})
	if s.screen() == before {
		t.Error("the wheel does not scroll a sheet")
	}
}

func TestASignIsTheSameWithoutUnicode(t *testing.T) {
	s := socialStage(t, 80, 24)
	s.m.glyphs = &asciiGlyphs
	s.to("#plan")
	s.want("% #plan", "o Bob =", "- Carla", "o Eve ?", "| ")
	for i, r := range s.screen() {
		if r > 0x7F && r != 'ë' && r != '·' && r != '…' { // names and words keep their letters
			t.Fatalf("%q stands at %d:\n%s", r, i, s.screen())
		}
	}
}

func TestAnAnswerThatTakesLongIsNotAskedForTwice(t *testing.T) {
	s := socialStage(t, 80, 24)
	s.press("f4")
	s.pick("Eve")
	s.hold = true
	s.press("a", "enter", "d", "a")
	s.want("Waiting for the node")
	s.release()
	s.want1("accept Eve")
	s.wantNone("decline Eve")
}

func TestWhatFailsIsSaidOnTheSheet(t *testing.T) {
	s := socialStage(t, 80, 24)
	s.f.fail["accept"] = chat.Errorf(chat.CodeNotFound, "There is no request of Eve. Look at the requests that wait.")
	s.press("f4")
	s.pick("Eve")
	s.press("a")
	s.want("There is no request of Eve", "[a] Accept")
	clear(s.f.fail)
	s.press("a")
	s.want("is your contact now")
}
