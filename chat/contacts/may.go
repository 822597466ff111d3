package contacts

import (
	"bytes"
	"slices"

	"earshot/chat"
)

// Reach is something that goes from one person to another. The first group is
// theirs and reaches this person, the second this person's and reaches them.
type Reach uint8

const (
	ReachRequest    Reach = iota // a contact request
	ReachMessage                 // a direct message
	ReachFile                    // a file
	ReachTyping                  // the sign that they type
	ReachInvitation              // an invitation to a room

	ReachNearby    // that this person is here at all
	ReachPresence  // since when, and in which state
	ReachOwnTyping // the sign that this person types
	ReachRead      // how far this person has read
	reaches        = iota
)

// Privacy is what this person lets others see.
type Privacy struct {
	Nearby, Presence, Typing, Read Audience
	// Invisible is as if all were Nobody.
	Invisible bool
	// Exceptions are by person, in order of their ids, at most chat.MaxExceptions.
	Exceptions []chat.PrivacyException
}

// DefaultPrivacy is what a new home begins with: one can be found, and only
// contacts see more.
func DefaultPrivacy() Privacy {
	only := Audience{Kind: ContactsOnly}
	return Privacy{Nearby: Audience{Kind: EveryoneHere}, Presence: only, Typing: only, Read: only}
}

// ParsePrivacy reads settings as a person makes them. An exception that changes
// nothing is left out.
func ParsePrivacy(in chat.Privacy) (Privacy, error) {
	p := Privacy{Invisible: in.Invisible}
	for _, f := range []struct {
		what string
		from chat.Audience
		to   *Audience
	}{
		{"Who may see you nearby", in.Nearby, &p.Nearby},
		{"Who may see your presence", in.Presence, &p.Presence},
		{"Who may see that you type", in.Typing, &p.Typing},
		{"Who may see what you have read", in.Read, &p.Read},
	} {
		var err error
		if *f.to, err = ParseAudience(f.what, f.from); err != nil {
			return Privacy{}, err
		}
	}
	for _, x := range in.Exceptions {
		if x.Presence != nil || x.Typing != nil || x.Read != nil {
			p.Exceptions = append(p.Exceptions, x)
		}
	}
	if len(p.Exceptions) > chat.MaxExceptions {
		return Privacy{}, chat.Errorf(chat.CodeUsage, "There can be exceptions for %d people. Put more of them into a group, and choose who may see by groups.", chat.MaxExceptions)
	}
	slices.SortFunc(p.Exceptions, func(a, b chat.PrivacyException) int { return compare(a.Person, b.Person) })
	for i, x := range p.Exceptions {
		if x.Person.IsZero() || i > 0 && x.Person == p.Exceptions[i-1].Person {
			return Privacy{}, chat.Errorf(chat.CodeUsage, "Each exception is for one person, and each person has one. Give the id of a person once.")
		}
	}
	return p, nil
}

// Face returns what ParsePrivacy reads.
func (p Privacy) Face() chat.Privacy {
	return chat.Privacy{
		Nearby: p.Nearby.String(), Presence: p.Presence.String(), Typing: p.Typing.String(), Read: p.Read.String(),
		Invisible: p.Invisible, Exceptions: slices.Clone(p.Exceptions),
	}
}

// Without returns the settings without the exception for somebody, and whether there
// was one.
func (p Privacy) Without(who chat.PersonID) (Privacy, bool) {
	i, found := p.exception(who)
	if found {
		p.Exceptions = slices.Delete(slices.Clone(p.Exceptions), i, i+1)
	}
	return p, found
}

// exception returns where the one for somebody stands.
func (p Privacy) exception(who chat.PersonID) (int, bool) {
	return slices.BinarySearchFunc(p.Exceptions, who, func(x chat.PrivacyException, who chat.PersonID) int {
		return bytes.Compare(x.Person[:], who[:])
	})
}

// table says what of theirs may reach this person. A stranger's request is the only
// thing of theirs that does.
var table = [...][reaches]bool{
	Stranger:  {ReachRequest: true},
	Requested: {ReachRequest: true}, // meets this person's own
	Asking:    {ReachRequest: true}, // the same again
	Contact:   {ReachRequest: true, ReachMessage: true, ReachFile: true, ReachTyping: true, ReachInvitation: true},
	Verified:  {ReachRequest: true, ReachMessage: true, ReachFile: true, ReachTyping: true, ReachInvitation: true},
	Blocked:   {},
}

// May reports whether something may pass between this person, who has these privacy
// settings, and another.
func May(r Record, what Reach, p Privacy) bool {
	if int(r.Relation) >= len(table) || what >= reaches {
		return false
	}
	to, own := p.audience(what)
	if !own {
		return table[r.Relation][what]
	}
	if p.Invisible || r.Relation == Blocked {
		return false
	}
	if i, found := p.exception(r.Person); found {
		if x := excepted(p.Exceptions[i], what); x != nil && (!*x || r.Relation.Known()) {
			return *x
		}
	}
	return to.Has(r)
}

// audience returns who may see something of this person's; own is false for what is
// others'.
func (p Privacy) audience(what Reach) (to Audience, own bool) {
	switch what {
	case ReachNearby:
		return p.Nearby, true
	case ReachPresence:
		return p.Presence, true
	case ReachOwnTyping:
		return p.Typing, true
	case ReachRead:
		return p.Read, true
	}
	return Audience{}, false
}

func excepted(x chat.PrivacyException, what Reach) *bool {
	switch what {
	case ReachPresence:
		return x.Presence
	case ReachOwnTyping:
		return x.Typing
	case ReachRead:
		return x.Read
	}
	return nil
}

// Shows reports whether somebody may see something of this person's, ShowsAll whether
// everybody who is not blocked may.
func (p Privacy) Shows(what Reach) bool {
	to, _ := p.audience(what)
	return !p.Invisible && (to.Kind != Nobody || p.excepts(what, true))
}

func (p Privacy) ShowsAll(what Reach) bool {
	to, _ := p.audience(what)
	return !p.Invisible && to.Kind == EveryoneHere && !p.excepts(what, false)
}

// excepts reports whether an exception makes this of something.
func (p Privacy) excepts(what Reach, may bool) bool {
	return slices.ContainsFunc(p.Exceptions, func(x chat.PrivacyException) bool {
		is := excepted(x, what)
		return is != nil && *is == may
	})
}
