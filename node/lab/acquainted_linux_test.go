package lab_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// This file is what stations do with people they know and rooms that not everybody
// can read, by the local API.

// A room is what the tests read of one.
type room struct {
	Room       string
	RoomID     string `json:"room_id"`
	Kind       string
	Unreadable int
}

// A member is what the tests read of one.
type member struct {
	Person  string
	Invited bool
}

// api calls this person's node, which must do it.
func (s *station) api(method, path string, in, out any) {
	s.t.Helper()
	if err := s.poster().do(within(s.t, 20*time.Second), method, path, in, out); err != nil {
		s.t.Fatalf("%s: %s %s: %v", s.name, method, path, err)
	}
}

func (s *station) post(path string, in, out any) {
	s.t.Helper()
	if in == nil {
		in = struct{}{}
	}
	s.api(http.MethodPost, path, in, out)
}

// relation is what another person is to this one.
func (s *station) relation(other *station) string {
	s.t.Helper()
	var all struct {
		Contacts []struct{ Person, Relation string }
	}
	s.api(http.MethodGet, "/contacts", nil, &all)
	for _, c := range all.Contacts {
		if c.Person == other.person {
			return c.Relation
		}
	}
	return "stranger"
}

// befriend makes contacts of two who see each other.
func befriend(a, b *station) {
	a.t.Helper()
	a.post("/people/"+b.person+"/add", map[string]string{"note": "it is me"}, nil)
	eventually(a.t, 5*time.Second, b.name+" is asked", func() bool { return b.relation(a) == "asking" })
	b.post("/people/"+a.person+"/accept", nil, nil)
	for _, pair := range [][2]*station{{a, b}, {b, a}} {
		eventually(a.t, 5*time.Second, pair[0].name+" has a contact", func() bool { return pair[0].relation(pair[1]) == "contact" })
	}
}

// direct is the chat with a contact.
func (s *station) direct(other *station) string {
	s.t.Helper()
	var r room
	s.post("/people/"+other.person+"/chat", nil, &r)
	if r.RoomID == "" || r.Kind != "direct" {
		s.t.Fatalf("%s: the chat with %s is %+v", s.name, other.name, r)
	}
	return r.RoomID
}

// create makes a private room.
func (s *station) create(name, history string) string {
	s.t.Helper()
	var r room
	s.post("/rooms", map[string]any{"name": name, "private": true, "history": history}, &r)
	if r.RoomID == "" || r.Kind != "private" {
		s.t.Fatalf("%s made %+v", s.name, r)
	}
	return r.RoomID
}

// takeIn invites somebody, who accepts, and waits until both see all of them in the
// room.
func (s *station) takeIn(id string, other *station) {
	s.t.Helper()
	s.post("/rooms/"+id+"/invite", map[string]string{"who": other.person}, nil)
	eventually(s.t, 10*time.Second, other.name+" is invited", func() bool {
		var all struct {
			Invitations []struct {
				RoomID string `json:"room_id"`
			}
		}
		other.api(http.MethodGet, "/invitations", nil, &all)
		return slices.ContainsFunc(all.Invitations, func(i struct {
			RoomID string `json:"room_id"`
		},
		) bool {
			return i.RoomID == id
		})
	})
	other.post("/invitations/"+id+"/accept", nil, nil)
	eventually(s.t, 10*time.Second, s.name+" sees "+other.name+" in the room", func() bool { return s.in(id, other) && other.in(id, s) })
}

// in reports whether this person takes another for a member of a room.
func (s *station) in(id string, other *station) bool {
	s.t.Helper()
	var all struct{ Members []member }
	s.api(http.MethodGet, "/rooms/"+id+"/members", nil, &all)
	return slices.ContainsFunc(all.Members, func(m member) bool { return m.Person == other.person && !m.Invited })
}

// says says something in a room, and returns the message's id.
func (s *station) says(id, text string) string {
	s.t.Helper()
	var m message
	s.post("/rooms/"+id+"/messages", map[string]string{"text": text}, &m)
	if m.ID == "" {
		s.t.Fatalf("%s: a message without id", s.name)
	}
	return m.ID
}

// reads are the texts that the person can read in a room, oldest first.
func (s *station) reads(id string) []string {
	s.t.Helper()
	var all struct{ Messages []message }
	s.api(http.MethodGet, "/rooms/"+url.PathEscape(id)+"/messages?limit=500", nil, &all)
	return texts(all.Messages)
}

// comesToRead waits until the person can read a text in a room, which may itself
// be yet to come: a new device learns of it from another.
func (s *station) comesToRead(id, text string, patience time.Duration) {
	s.t.Helper()
	eventually(s.t, patience, s.name+" reads "+text, func() bool {
		var all struct{ Rooms []room }
		s.api(http.MethodGet, "/rooms", nil, &all)
		there := slices.ContainsFunc(all.Rooms, func(r room) bool { return r.RoomID == id })
		return there && slices.Contains(s.reads(id), text)
	})
}

// everything is all that this person's node tells its owner: what the API answers
// about every room and person, and what followers have been told.
func (s *station) everything() string {
	s.t.Helper()
	var b strings.Builder
	get := func(path string) {
		var raw rawAnswer
		if err := s.poster().do(within(s.t, 20*time.Second), http.MethodGet, path, nil, &raw); err != nil {
			s.t.Fatalf("%s: %s: %v", s.name, path, err)
		}
		b.Write(raw)
		b.WriteByte('\n')
	}
	for _, path := range []string{"/me", "/people", "/contacts", "/rooms", "/invitations"} {
		get(path)
	}
	var all struct{ Rooms []room }
	s.api(http.MethodGet, "/rooms", nil, &all)
	for _, r := range all.Rooms {
		get("/rooms/" + r.RoomID + "/messages?limit=500")
	}
	return b.String() + s.follow.Stdout.String() + s.daemon.Stdout.String() + s.daemon.Stderr.String()
}

// rawAnswer keeps an answer as it came.
type rawAnswer []byte

func (r *rawAnswer) UnmarshalJSON(b []byte) error {
	*r = slices.Clone(b)
	return nil
}
