package contacts

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"earshot/chat"
)

// Named is a person by the name that a face shows.
type Named struct {
	Person chat.PersonID
	Name   string // cleaned
}

// Display returns how a name is written wherever others may stand beside it: with
// as much of the id as tells the person from all others who look alike. Also a
// name that mixes alphabets or pretends to hold an id gets its own.
func Display(n Named, others []Named) string {
	return DisplayAll(append([]Named{n}, others...))[0]
}

// DisplayAll returns how each of these people is written among the others. It takes
// time in proportion to their number.
func DisplayAll(people []Named) []string {
	// Who shares either look is a rival.
	asWritten, small := map[string][]chat.PersonID{}, map[string][]chat.PersonID{}
	seen := make([]looks, len(people))
	for i, n := range people {
		l := looksOf(n.Name)
		seen[i] = l
		asWritten[l.asWritten] = append(asWritten[l.asWritten], n.Person)
		small[l.small] = append(small[l.small], n.Person)
	}
	out := make([]string, len(people))
	for i, n := range people {
		other := func(p chat.PersonID) bool { return p != n.Person }
		a, b := asWritten[seen[i].asWritten], small[seen[i].small]
		if slices.ContainsFunc(a, other) || slices.ContainsFunc(b, other) || Mixed(n.Name) || strings.ContainsFunc(n.Name, bracket) {
			out[i] = n.Name + " (" + shortest(n.Person, a, b) + ")"
		} else {
			out[i] = n.Name
		}
	}
	return out
}

// bracket reports opening punctuation, as before an id.
func bracket(r rune) bool { return unicode.Is(unicode.Ps, r) || unicode.Is(unicode.Pi, r) }

// shortest returns as many chunks of an id as no other one begins with.
func shortest(p chat.PersonID, others ...[]chat.PersonID) string {
	id := p.String()
	for cut := len(p.Short()); cut < len(id); cut += len(p.Short()) + 1 {
		same := func(o chat.PersonID) bool { return o != p && strings.HasPrefix(o.String(), id[:cut]) }
		if !slices.ContainsFunc(others, func(o []chat.PersonID) bool { return slices.ContainsFunc(o, same) }) {
			return id[:cut]
		}
	}
	return id
}

// minIDPrefix is how much of an id names a person: what Short returns.
const minIDPrefix = 6

// maxCandidates bounds the people whom an error lists.
const maxCandidates = 8

// Ambiguous is the cause of Resolve's error when more than one contact fits.
type Ambiguous struct {
	Query      string
	Candidates []Named // all of them, by id
}

func (a *Ambiguous) Error() string {
	return fmt.Sprintf("%d contacts fit %q", len(a.Candidates), a.Query)
}

// Resolve finds the one contact that a query means: by id, whole or at least its
// first 6 characters; by name, if nobody else's looks like it; by the name and the
// beginning of the id, as Display writes them; or by the beginning of the name, if
// no other begins so. A name finds nobody who is not a contact. More than one: an
// Ambiguous in the chain of an error that lists them.
func Resolve(query string, contacts []Named) (Named, error) {
	query = strings.TrimSpace(query)
	if query == "" {
		return Named{}, chat.Errorf(chat.CodeUsage, "Say who is meant: give a contact's name or id.")
	}
	if len(query) > 4*chat.MaxName {
		return Named{}, unknown(query)
	}
	if id, err := chat.ParsePersonID(query); err == nil {
		for _, c := range contacts {
			if c.Person == id {
				return c, nil
			}
		}
		return Named{}, unknown(query)
	}
	// No name gets past an id that is given: whoever takes another's id for a name
	// makes the query ambiguous.
	want, prefix := looksOf(query), idPrefix(query)
	named, behind := splitID(query)
	found := choose(contacts, func(c Named) bool {
		return want.alike(looksOf(c.Name)) || begins(c.Person, prefix) ||
			begins(c.Person, behind) && Alike(named, c.Name)
	})
	if found == nil {
		small := fold.String(query)
		found = choose(contacts, func(c Named) bool { return strings.HasPrefix(fold.String(c.Name), small) })
	}
	switch len(found) {
	case 0:
		return Named{}, unknown(query)
	case 1:
		return found[0], nil
	}
	return Named{}, ambiguous(query, found)
}

func choose(contacts []Named, fits func(Named) bool) (out []Named) {
	for _, c := range contacts {
		if fits(c) && !slices.ContainsFunc(out, func(o Named) bool { return o.Person == c.Person }) {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b Named) int { return strings.Compare(a.Person.String(), b.Person.String()) })
	return out
}

// idPrefix returns the beginning of an id as Display writes it, without dashes; ""
// if s is none.
func idPrefix(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '-' || r == ' ':
			return -1
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r == '0':
			return 'O'
		case r == '1':
			return 'I'
		case r == '8':
			return 'B'
		case r >= 'A' && r <= 'Z' || r >= '2' && r <= '7':
			return r
		}
		return '?'
	}, s)
	if len(s) < minIDPrefix || strings.Contains(s, "?") {
		return ""
	}
	return s
}

// splitID splits "Bob (K7Q2LM)" into the name and the beginning of the id.
func splitID(s string) (name, prefix string) {
	s, closed := strings.CutSuffix(s, ")")
	i := strings.LastIndexByte(s, '(')
	if !closed || i < 0 {
		return "", ""
	}
	return strings.TrimSpace(s[:i]), idPrefix(s[i+1:])
}

func begins(p chat.PersonID, prefix string) bool {
	return prefix != "" && strings.HasPrefix(strings.ReplaceAll(p.String(), "-", ""), prefix)
}

func unknown(query string) error {
	return chat.Errorf(chat.CodeNotFound, "No contact is called %q. Give the name of a contact, or the id of the person.", chat.CleanName(query))
}

func ambiguous(query string, found []Named) error {
	query = chat.CleanName(query)
	var everyone []chat.PersonID
	for _, f := range found {
		everyone = append(everyone, f.Person)
	}
	var list []string
	for _, f := range found[:min(len(found), maxCandidates)] {
		list = append(list, fmt.Sprintf("%s (%s)", f.Name, shortest(f.Person, everyone)))
	}
	if more := len(found) - len(list); more > 0 {
		list = append(list, fmt.Sprintf("and %d more", more))
	}
	return chat.Wrap(chat.CodeUsage, &Ambiguous{Query: query, Candidates: found},
		fmt.Sprintf("%d contacts fit %q: %s.", len(found), query, strings.Join(list, ", ")),
		fmt.Sprintf("Give the id of the one that is meant, such as %s.", shortest(found[0].Person, everyone)))
}
