package content

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"earshot/chat"
)

// Named is somebody who can be called in a room.
type Named struct {
	Person chat.PersonID
	Name   string
}

// Called returns whom text calls by "@" and the whole of their name, in the order in
// which it does, each once and at most chat.MaxMentions. A name that two of those
// present bear calls nobody. Upper and lower case do not matter; of names that begin
// alike the longest that stands there counts.
func Called(text string, present []Named) (out []chat.PersonID) {
	if !strings.Contains(text, "@") {
		return nil
	}
	byName := map[string][]chat.PersonID{}
	longest := 0
	for _, n := range present {
		name := fold(n.Name)
		if name != "" && !slices.Contains(byName[name], n.Person) {
			byName[name] = append(byName[name], n.Person)
			longest = max(longest, len(name))
		}
	}
	text = fold(text)
	for i := 0; i < len(text) && len(out) < chat.MaxMentions; i++ {
		before, _ := utf8.DecodeLastRuneInString(text[:i])
		if text[i] != '@' || i > 0 && wordRune(before) {
			continue // also in addresses, such as ann@example.org
		}
		rest := text[i+1:]
		for n := min(len(rest), longest); n > 0; n-- {
			after, _ := utf8.DecodeRuneInString(rest[n:])
			if len(rest) > n && (!utf8.RuneStart(rest[n]) || wordRune(after)) {
				continue
			}
			if who, ok := byName[rest[:n]]; ok {
				if len(who) == 1 && !slices.Contains(out, who[0]) {
					out = append(out, who[0])
				}
				break
			}
		}
	}
	return out
}

func fold(s string) string { return strings.ToLower(s) }

func wordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' }
