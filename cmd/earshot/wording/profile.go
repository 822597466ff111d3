package wording

import "earshot/chat"

// ProfilePart is one part of a profile.
type ProfilePart struct {
	Name  string // as in JSON and in chat.OwnProfile.For
	Label string // as people read it
	Of    func(*chat.Profile) *string
}

// ProfileParts lists every part, in the order in which they are shown.
var ProfileParts = []ProfilePart{
	{"title", "Title", func(p *chat.Profile) *string { return &p.Title }},
	{"department", "Department", func(p *chat.Profile) *string { return &p.Department }},
	{"email", "E-mail", func(p *chat.Profile) *string { return &p.Email }},
	{"location", "Location", func(p *chat.Profile) *string { return &p.Location }},
	{"phone", "Phone", func(p *chat.Profile) *string { return &p.Phone }},
}
