package tui

import (
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"earshot/chat"
)

// Whatever others call themselves, their rooms and their devices, and whatever they
// write with a request: it stays text, in its place. Every sheet is drawn with it.
func TestForeignWordsStayTextOnEverySheet(t *testing.T) {
	for _, evil := range []string{
		"", "\x1b[2J\x1b]0;gotcha\x07", "a\nb\tc\r", strings.Repeat("漢", 60), strings.Repeat("x", 400), "👩‍👩‍👧‍👦🇩🇪❤️", "\u202Eevil\u2066", "é\u0301\u0302\u0303", "\xff\xfe", "กำ ਕ਼ ",
	} {
		f := circle()
		for i := range f.people[1:] {
			f.people[i+1].Name = evil
		}
		for i := range f.contacts {
			f.contacts[i].Name, f.contacts[i].Note = evil, evil
		}
		for i := range f.rooms {
			f.rooms[i].Topic = evil
			if f.rooms[i].Kind.Sealed() {
				f.rooms[i].Room, f.rooms[i].Ended, f.rooms[i].Unreadable = "#"+evil, evil, 2
			}
			for j := range f.members[f.rooms[i].RoomID] {
				f.members[f.rooms[i].RoomID][j].Name = evil
			}
		}
		f.invitations[0].Room, f.invitations[0].By.Name = evil, evil
		f.devices = []chat.OwnDevice{{Label: evil}, {Device: chat.DeviceID{1}, Label: evil, Revoked: true}}
		s := open(t, f, 80, 24)
		s.event(chat.WarningEvent{Warning: chat.Error{Code: chat.CodeClock, Text: evil}})
		look := func(open func()) {
			t.Helper()
			open()
			for _, size := range [][2]int{{40, 10}, {80, 24}, {133, 50}} {
				s.send(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
				s.screen() // fails unless every line has its width
				if content := s.m.View().Content; strings.ContainsAny(content, "\x07\u202E\u2066\t") || strings.Contains(content, "\x1b]") || strings.Contains(content, "\x1b[2J") {
					t.Fatalf("%q reaches the terminal as more than text: %q", evil, content)
				}
			}
			s.m.sheets = nil
		}
		look(func() {})
		look(s.m.openTray)
		look(s.m.openContacts)
		look(func() { s.m.openInvitation(f.invitations[0].RoomID) })
		look(func() { s.run(s.m.openDevices()) })
		for _, p := range f.people {
			who := p.Person
			look(func() { s.m.openPerson(who) })
			look(func() { s.m.openAsk(who) })
			look(func() { s.m.askBlock(who) })
			for _, state := range []chat.VerificationState{
				"", chat.VerificationWaiting, chat.VerificationCompare, chat.VerificationSaid, chat.VerificationDifferent, chat.VerificationEnded, "from the future",
			} {
				v := chat.Verification{Person: who, State: state, Symbols: []string{evil, evil}, Number: evil, QR: evil, Reason: evil}
				look(func() {
					s.run(s.m.openVerify(who))
					s.event(chat.VerificationEvent{Verification: v})
				})
			}
		}
		for i, c := range s.m.rooms {
			look(func() { s.run(s.m.enter(i)) })
			look(func() { s.m.openRoom(c) })
			look(func() { s.run(s.m.openMembers(c)) })
			look(func() { s.event(chat.RoomChangedEvent{Room: c.room, By: evil, What: evil}) })
			for _, mb := range c.members {
				look(func() { s.m.openMember(c, mb.Person) })
				look(func() { s.m.askRemove(c, mb) })
			}
		}
		for _, state := range []chat.PairingState{chat.PairingCode, chat.PairingConfirm, chat.PairingFailed, "from the future"} {
			look(func() {
				s.run(s.m.openAddDevice())
				s.event(chat.PairingEvent{Pairing: chat.Pairing{State: state, Code: evil, QR: evil, Label: evil, Reason: evil}})
			})
		}
	}
}
