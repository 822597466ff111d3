package tui

import (
	"strings"
	"time"

	"earshot/chat"
)

// office is a node with rooms and people of every kind.
func office() *fake {
	f := newFake()
	f.room("#kitchen")
	f.room("#printer-jams")
	f.room("#放課後")
	f.person("Ann", chat.Here)
	f.person("王小明", chat.Here)
	f.person("דנה", chat.Here)
	f.person("Zoë 👩‍🚀", chat.Gone)
	f.person("Ann", chat.Gone)
	return f
}

// author returns the first person of this name.
func (f *fake) author(name string) chat.Author {
	for _, p := range f.people {
		if p.Name == name {
			return chat.Author{Person: p.Person, Name: p.Name, Device: p.Devices[0].Device}
		}
	}
	panic("nobody is called " + name)
}

// script is a conversation with text of every kind, over two days.
func script(f *fake) {
	ann, wang, dana, zoe := f.author("Ann"), f.author("王小明"), f.author("דנה"), f.author("Zoë 👩‍🚀")
	other := f.people[len(f.people)-1]
	f.clock = f.clock.Add(-20 * time.Hour)
	f.say(chat.Lobby, ann, "Is anyone still in the building?")
	f.say(chat.Lobby, ann, "The door downstairs was open.")
	f.say(chat.Lobby, wang, "我還在。十五樓的燈會自動關,所以看起來像沒有人,其實大家都還在工作。")
	f.clock = f.clock.Add(20 * time.Hour)
	f.say(chat.Lobby, dana, "שלום לכולם, הישיבה נדחתה ליום ראשון.")
	f.say(chat.Lobby, zoe, "Emoji: 👨‍👩‍👧‍👦 family, 🇩🇪 flag, ❤️ heart, 👍🏽 thumb, 1️⃣ keycap, e\u0301 accent")
	f.say(chat.Lobby, chat.Author{Person: other.Person, Name: other.Name, Device: other.Devices[0].Device}, "I am the other Ann.")
	f.say(chat.Lobby, ann, "https://example.org/"+strings.Repeat("a-very-long-path/", 8))
	f.say(chat.Lobby, f.author("Mia"), "Two lines:\n\tand an indented one.")
	f.say("#kitchen", ann, "Soup is ready.")
	f.rooms[1].Unread = 3
	f.rooms[2].Unread = 1234
}
