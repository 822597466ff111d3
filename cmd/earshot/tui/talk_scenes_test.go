package tui

import (
	"testing"
	"time"

	"earshot/chat"
)

// reach has a message of the user's come as far as s says, and tells.
func (s *stage) reach(m chat.Message, state chat.MessageState) {
	s.f.at(m.ID).State = &state
	s.event(chat.StatesEvent{Room: m.Room, RoomID: m.RoomID})
	s.send(statesDueMsg{m.RoomID}) // the pause is over
}

// planned is a private room in which much has become of what was said.
func planned(t *testing.T, w, h int) (*stage, []chat.Message) {
	f := circle()
	zoe, bob, mia, carla := f.author("Zoë"), f.author("Bob"), f.author("Mia"), f.author("Carla")
	id := f.idOf("#plan")
	f.clock = noon.Add(-2 * time.Minute)
	van := f.said[id][0]
	all := []chat.Message{
		f.say("#plan", mia, "I can carry boxes."),
		f.say("#plan", bob, "@Mia, can you bring tape?"),
		f.say("#plan", mia, "Two rolls, the wide ones."),
		f.say("#plan", zoe, "The lift is broken!"),
		f.say("#plan", bob, "What a day."),
		f.say("#plan", mia, "Then we need more hands."),
	}
	f.clock = noon
	set := func(i int, change func(*chat.Message)) { change(f.at(all[i].ID)) }
	set(0, func(m *chat.Message) {
		m.State = &chat.MessageState{State: chat.StateRead, Of: 2, Delivered: 2, Read: 2}
		m.ReplyTo = &van.ID
	})
	set(1, func(m *chat.Message) { m.MentionsMe, m.Mentions = true, []chat.PersonID{mia.Person} })
	set(2, func(m *chat.Message) {
		m.State = &chat.MessageState{State: chat.StateDelivered, Of: 2, Delivered: 2, Read: 1}
		m.ReplyTo, m.EditedAt = &all[1].ID, noon.Add(-90*time.Second)
		m.Reactions = []chat.Reaction{{Sign: "👍", People: []chat.PersonID{bob.Person, mia.Person}, Mine: true}, {Sign: "🎉", People: []chat.PersonID{bob.Person, zoe.Person, carla.Person}}}
	})
	set(3, func(m *chat.Message) {
		m.Text, m.Removed = "", &chat.Removal{By: zoe, At: noon}
	})
	set(4, func(m *chat.Message) { m.Late = true })
	set(5, func(m *chat.Message) { m.State = &chat.MessageState{State: chat.StateHeld, Of: 2, Held: 2} })
	f.missing = map[chat.RoomID][]chat.Missing{id: {
		{Room: "#plan", RoomID: id, From: bob, Count: 3, Before: &all[1].ID},
		{Room: "#plan", RoomID: id, From: zoe, Count: 4},
	}}
	phone := chat.OwnDevice{Device: chat.DeviceID{1}, Label: "phone"}
	f.devices = []chat.OwnDevice{{Device: f.me.Device, Label: "desk", This: true}, phone}
	f.stories = map[chat.EntryID]chat.MessageDetail{
		all[5].ID: {
			Recipients: []chat.Recipient{
				{Person: bob.Person, Name: "Bob", State: chat.StateHere, Why: "Bob is not here.", Devices: []chat.DeviceState{{Device: bob.Device}}},
				{Person: zoe.Person, Name: "Zoë", State: chat.StateHere, Devices: []chat.DeviceState{{Device: zoe.Device, Full: true}}},
			},
			Holders: []chat.Holder{{Kind: "own", Device: phone.Device}, {Kind: "contact", Name: "Carla", Person: carla.Person}},
		},
		all[2].ID: {
			Recipients: []chat.Recipient{
				{Person: bob.Person, Name: "Bob", State: chat.StateRead, At: noon.Add(-time.Minute)},
				{Person: zoe.Person, Name: "Zoë", State: chat.StateDelivered, At: noon.Add(-time.Minute)},
			},
			Revisions: []chat.Revision{{Text: "Two rolls.", At: noon.Add(-110 * time.Second)}},
		},
		all[3].ID: {RemovedOn: 2, RemovedOf: 3},
	}
	s := open(t, f, w, h)
	s.to("#plan")
	return s, all
}

// talkScenes are kept as text, like the others.
var talkScenes = map[string]func(s *stage, all []chat.Message){
	"talk": func(*stage, []chat.Message) {},
	"pick": func(s *stage, _ []chat.Message) { s.press("f6", "up", "up", "up") },
	"answering": func(s *stage, _ []chat.Message) {
		s.press("f6", "up", "up", "up", "up", "r", "I have some, in red.")
	},
	"editing":      func(s *stage, _ []chat.Message) { s.press("f6", "e") },
	"message":      func(s *stage, _ []chat.Message) { s.press("f6", "enter") },
	"message-told": func(s *stage, _ []chat.Message) { s.press("f6", "up", "up", "up", "enter") },
	"message-gone": func(s *stage, _ []chat.Message) { s.press("f6", "up", "up", "enter") },
	"react":        func(s *stage, _ []chat.Message) { s.press("f6", "up", "up", "up", "+") },
	"delete":       func(s *stage, _ []chat.Message) { s.press("f6", "d") },
	"keeper":       func(s *stage, _ []chat.Message) { s.press("f9"); s.pick("For people who are away") },
	"lasting":      func(s *stage, _ []chat.Message) { s.press("/disappear", "enter") },
	"disappear":    func(s *stage, _ []chat.Message) { s.press("/disappear", "enter"); s.pick("1 day") },
}

func init() {
	for name, play := range talkScenes {
		scenes[name] = func(t *testing.T, w, h int) *stage {
			s, all := planned(t, w, h)
			play(s, all)
			return s
		}
	}
}
