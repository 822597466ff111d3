package contacts

import (
	"cmp"
	"slices"
	"strings"

	"earshot/chat"
)

// AudienceKind is what an Audience is made of. The zero one is the narrowest.
type AudienceKind uint8

const (
	Nobody AudienceKind = iota
	ContactsOnly
	EveryoneHere // on this network, but for the blocked
	InGroups     // contacts in one of some groups
)

// Audience is who may see something of this person's. The zero Audience is Nobody.
type Audience struct {
	Kind AudienceKind
	// Groups are those of InGroups, as CleanGroups returns them; one that nobody is
	// in is as good as any.
	Groups []string
}

// ParseAudience reads a chat.Audience. what is the beginning of the sentence that an
// error is, such as "Who may see you nearby".
func ParseAudience(what string, s chat.Audience) (Audience, error) {
	switch s {
	case chat.Everyone:
		return Audience{Kind: EveryoneHere}, nil
	case chat.OnlyContacts:
		return Audience{Kind: ContactsOnly}, nil
	case chat.Nobody:
		return Audience{}, nil
	}
	names, ok := strings.CutPrefix(s, chat.InGroups)
	if !ok {
		return Audience{}, chat.Errorf(chat.CodeUsage, "%s can't be %q. Choose %s, %s, %s or %sNAME,NAME.",
			what, chat.CleanLine(s, chat.MaxGroupName), chat.Everyone, chat.OnlyContacts, chat.Nobody, chat.InGroups)
	}
	if len(names) > 2*chat.MaxGroups*(chat.MaxGroupName+1) {
		return Audience{}, tooManyGroups(what)
	}
	groups, err := CleanGroups(strings.Split(names, ","))
	if err != nil {
		return Audience{}, err
	}
	return Audience{Kind: InGroups, Groups: groups}, nil
}

// String returns what ParseAudience reads.
func (a Audience) String() chat.Audience {
	switch a.Kind {
	case EveryoneHere:
		return chat.Everyone
	case ContactsOnly:
		return chat.OnlyContacts
	case InGroups:
		return chat.InGroups + strings.Join(a.Groups, ",")
	}
	return chat.Nobody
}

// Has reports whether somebody is in the audience.
func (a Audience) Has(r Record) bool {
	switch a.Kind {
	case EveryoneHere:
		return r.Relation != Blocked
	case ContactsOnly:
		return r.Relation.Known()
	case InGroups:
		return r.Relation.Known() && slices.ContainsFunc(r.Groups, func(g string) bool {
			_, in := slices.BinarySearchFunc(a.Groups, g, compareGroups)
			return in
		})
	}
	return false
}

// CleanGroups returns names of groups as they are kept: safe to show, in order, and
// none twice; upper and lower case make no difference. There are at most
// chat.MaxGroups, none is empty or longer than chat.MaxGroupName bytes, and none has
// a comma; else the error has chat.CodeUsage or CodeTooLong.
func CleanGroups(names []string) ([]string, error) {
	if len(names) > 2*chat.MaxGroups {
		return nil, tooManyGroups("These")
	}
	var out []string
	for _, name := range names {
		clean := chat.CleanLine(name, chat.MaxGroupName+1) // one more shows that it is too long
		switch {
		case len(clean) > chat.MaxGroupName || len(name) > 4*chat.MaxGroupName:
			return nil, chat.Errorf(chat.CodeTooLong, "The name of a group has at most %d bytes, and %q is longer. Shorten it.", chat.MaxGroupName, clean)
		case clean == "":
			return nil, chat.Errorf(chat.CodeUsage, "A group needs a name. Give each a name of letters or digits.")
		case strings.Contains(clean, ","):
			return nil, chat.Errorf(chat.CodeUsage, "A comma stands between groups, and %q has one in its name. Leave it out.", clean)
		}
		out = append(out, clean)
	}
	slices.SortFunc(out, func(a, b string) int { return cmp.Or(compareGroups(a, b), strings.Compare(a, b)) })
	out = slices.CompactFunc(out, func(a, b string) bool { return compareGroups(a, b) == 0 })
	if len(out) > chat.MaxGroups {
		return nil, tooManyGroups("These")
	}
	return out, nil
}

func tooManyGroups(what string) error {
	return chat.Errorf(chat.CodeUsage, "%s are more groups than the %d there can be at a time. Leave some out.", what, chat.MaxGroups)
}

// compareGroups orders names of groups. Those that differ in case only are one.
func compareGroups(a, b string) int { return strings.Compare(fold.String(a), fold.String(b)) }
