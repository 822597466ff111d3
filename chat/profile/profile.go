// Package profile is what people tell of themselves beside their name: its parts, who
// may see which, and when an e-mail address is one. It knows no network, no disk, and
// of other people no more than whether they are in an audience.
package profile

import (
	"earshot/chat"
	"earshot/chat/contacts"
	"earshot/chat/wire"
)

// Part is a part of a profile. The numbers are those of PROTOCOL.md#profiles.
type Part uint8

const (
	Title Part = iota + 2
	Department
	Email
	Location
	Phone
	end
)

var partNames = map[Part]string{Title: "title", Department: "department", Email: "email", Location: "location", Phone: "phone"}

// String returns the part's name in JSON.
func (p Part) String() string { return partNames[p] }

// in returns where a part stands in a profile.
func (p Part) in(of *chat.Profile) *string {
	switch p {
	case Title:
		return &of.Title
	case Department:
		return &of.Department
	case Email:
		return &of.Email
	case Location:
		return &of.Location
	default:
		return &of.Phone
	}
}

// Own is this person's profile, and who may see each part of it.
type Own struct {
	// Version is when it was last changed, on one of the person's devices: 0 for
	// never. The latest counts on all of them.
	Version   chat.HLC
	parts     chat.Profile
	audiences map[Part]contacts.Audience // what is not there is for contacts
}

var onlyContacts = contacts.Audience{Kind: contacts.ContactsOnly}

// For returns who may see a part.
func (o Own) For(p Part) contacts.Audience {
	if a, ok := o.audiences[p]; ok {
		return a
	}
	return onlyContacts
}

// Parse reads a profile as a person writes it. Its Version is 0. The error has
// chat.CodeTooLong or chat.CodeUsage.
func Parse(in chat.OwnProfile) (Own, error) {
	o := Own{audiences: map[Part]contacts.Audience{}}
	for p := Title; p < end; p++ {
		text := *p.in(&in.Profile)
		clean := chat.CleanLine(text, chat.MaxProfilePart+1) // one more shows that it is too long
		if len(clean) > chat.MaxProfilePart || len(text) > 4*chat.MaxProfilePart {
			return Own{}, chat.Errorf(chat.CodeTooLong, "The %s of a profile has at most %d bytes. Shorten it.", p, chat.MaxProfilePart)
		}
		*p.in(&o.parts) = clean
	}
	if e := o.parts.Email; e != "" {
		if _, err := Address(e); err != nil {
			return Own{}, err
		}
	}
	for name, who := range in.For {
		p, ok := partNamed(name)
		if !ok {
			return Own{}, chat.Errorf(chat.CodeUsage, "A profile has no part %q. Choose title, department, email, location or phone.", chat.CleanLine(name, chat.MaxGroupName))
		}
		a, err := contacts.ParseAudience("Who may see your "+name, who)
		if err != nil {
			return Own{}, err
		}
		if a.Kind != contacts.ContactsOnly {
			o.audiences[p] = a
		}
	}
	return o, nil
}

func partNamed(name string) (Part, bool) {
	for p, n := range partNames {
		if n == name {
			return p, true
		}
	}
	return 0, false
}

// Face returns what Parse reads.
func (o Own) Face() chat.OwnProfile {
	out := chat.OwnProfile{Profile: o.parts}
	for p, a := range o.audiences {
		if out.For == nil {
			out.For = map[string]chat.Audience{}
		}
		out.For[p.String()] = a.String()
	}
	return out
}

// Frame returns the profile as other devices of the person are told it, and as it is
// stored: every part that has a text, or is not for contacts.
func (o Own) Frame() wire.OwnProfile {
	f := wire.OwnProfile{Version: uint64(o.Version)}
	for p := Title; p < end; p++ {
		text, a := *p.in(&o.parts), o.For(p)
		if text != "" || a.Kind != contacts.ContactsOnly {
			f.Parts = append(f.Parts, wire.ProfilePart{Part: uint8(p), Text: text, For: a.String()})
		}
	}
	return f
}

// FromFrame reads what Frame returned, here or on another device. Parts of a newer
// version are left out; the error, of what Parse would refuse, has chat.CodeInvalid.
func FromFrame(f wire.OwnProfile) (Own, error) {
	in := chat.OwnProfile{For: map[string]chat.Audience{}}
	for _, part := range f.Parts {
		if p := Part(part.Part); p >= Title && p < end {
			*p.in(&in.Profile) = part.Text
			in.For[p.String()] = part.For
		}
	}
	o, err := Parse(in)
	if err != nil {
		return Own{}, chat.Wrap(chat.CodeInvalid, err, "Another device of yours told a profile that can't be read.", "Update Earshot on it.")
	}
	o.Version = chat.HLC(f.Version)
	return o, nil
}

// View returns what somebody is shown who may see what is for the audiences that sees
// accepts, and whether that is anything.
func (o Own) View(sees func(contacts.Audience) bool) (f wire.ShownProfile, something bool) {
	var shown chat.Profile
	for p := Title; p < end; p++ {
		if text := *p.in(&o.parts); text != "" && sees(o.For(p)) {
			*p.in(&shown) = text
		}
	}
	f = wire.ShownProfile{
		Version: uint64(o.Version), Title: shown.Title, Department: shown.Department, Email: shown.Email, Location: shown.Location, Phone: shown.Phone,
	}
	return f, shown != (chat.Profile{})
}

// Clean returns what another person tells of themselves so that it is safe to show; an
// e-mail address that is none is left out.
func Clean(f wire.ShownProfile) chat.Profile {
	line := func(s string) string { return chat.CleanLine(s, chat.MaxProfilePart) }
	out := chat.Profile{Title: line(f.Title), Department: line(f.Department), Location: line(f.Location), Phone: line(f.Phone)}
	if _, err := Address(f.Email); err == nil {
		out.Email = line(f.Email)
	}
	return out
}
