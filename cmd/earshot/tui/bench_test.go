package tui

import (
	"fmt"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"earshot/chat"
)

// loaded is a stage with n messages of all kinds in the window.
func loaded(b *testing.B, n int) *stage {
	f := office()
	authors := []chat.Author{f.author("Ann"), f.author("王小明"), f.author("דנה")}
	for i := range n {
		f.say(chat.Lobby, authors[i%3], fmt.Sprintf("Message %d 漢字 👨‍👩‍👧 %s", i, strings.Repeat("words ", i%40)))
	}
	s := open(b, f, 160, 50)
	c := s.m.conv()
	c.tl.limit = n
	c.tl.reset(f.said[c.room.RoomID], false, false)
	return s
}

// BenchmarkKeystroke is what one key costs, from the key to the screen handed to
// the renderer, with 10,000 messages loaded. It must stay under 2 ms.
func BenchmarkKeystroke(b *testing.B) {
	for name, text := range map[string]string{
		"empty": "", "full": strings.Repeat("漢字 words ", chat.MaxText/14),
	} {
		b.Run(name, func(b *testing.B) {
			s := loaded(b, 10_000)
			s.m.conv().in.set(text)
			keys := []tea.KeyPressMsg{{Code: 'x', Text: "x"}, {Code: tea.KeyBackspace}}
			for i := 0; b.Loop(); i++ {
				s.m.Update(keys[i%2])
				s.m.View()
			}
		})
	}
}

// BenchmarkScroll is what a page up costs where nothing was drawn before.
func BenchmarkScroll(b *testing.B) {
	s := loaded(b, 10_000)
	for b.Loop() {
		s.m.Update(named["pgup"])
		s.m.View()
	}
}

// BenchmarkArrival is what a message that arrives costs.
func BenchmarkArrival(b *testing.B) {
	s := loaded(b, 10_000)
	ann := s.f.author("Ann")
	for b.Loop() {
		m := s.f.say(chat.Lobby, ann, "Another message, of an ordinary length.")
		s.m.Update(eventsMsg{events: []chat.Event{chat.MessageEvent{Message: m}}})
		s.m.View()
	}
}

// BenchmarkPeople is what it costs that 1,000 people come into sight at once.
func BenchmarkPeople(b *testing.B) {
	s := loaded(b, 1000)
	var events []chat.Event
	for i := range 1000 {
		s.f.person(fmt.Sprintf("Colleague %d", i%900), chat.Here)
		events = append(events, chat.PersonEvent{Person: s.f.people[len(s.f.people)-1]})
	}
	for b.Loop() {
		s.m.who = newDirectory(zone)
		s.m.Update(eventsMsg{events: events})
		s.m.View()
	}
}

// BenchmarkContacts is what a key costs for somebody with 1,000 contacts, each with a
// chat, while they write and while they look for one.
func BenchmarkContacts(b *testing.B) {
	f := office()
	for i := range 1000 {
		f.befriend(f.person(fmt.Sprintf("Colleague %d 漢字", i%900), []chat.Presence{chat.Here, chat.Gone}[i%2]), chat.RelationContact)
	}
	for name, keys := range map[string][]string{"writing": nil, "finding": {"/contacts", "enter", "coll"}} {
		b.Run(name, func(b *testing.B) {
			s := open(b, f, 160, 50)
			s.press(keys...)
			keys := []tea.KeyPressMsg{{Code: 'e', Text: "e"}, {Code: tea.KeyBackspace}}
			for i := 0; b.Loop(); i++ {
				s.m.Update(keys[i%2])
				s.m.View()
			}
		})
	}
}

// BenchmarkResize is what drawing everything at another width costs.
func BenchmarkResize(b *testing.B) {
	s := loaded(b, 10_000)
	for i := 0; b.Loop(); i++ {
		s.m.Update(tea.WindowSizeMsg{Width: 150 + i%2, Height: 50})
		s.m.View()
	}
}
