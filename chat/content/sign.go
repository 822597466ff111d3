package content

import (
	"unicode"
	"unicode/utf8"

	"earshot/chat"
)

// Characters that emoji are built with.
const (
	joiner   = '\u200d'
	keycap   = '\u20e3'
	textual  = '\ufe0e' // draw what stands before as text
	colourer = '\ufe0f' // or as an emoji
)

// ValidSign reports whether s is what a reaction puts under a message: one emoji,
// which may be composed of several by joiners, skin tones and the like, of at most
// chat.MaxSign bytes.
func ValidSign(s string) bool {
	if s == "" || len(s) > chat.MaxSign || !utf8.ValidString(s) || chat.CleanText(s) != s {
		return false
	}
	var (
		count    int // of emoji side by side
		flags    int // letters of flags in a row
		digit    bool
		before   rune
		finished bool // a keycap
	)
	for _, r := range s {
		switch {
		case finished:
			return false
		case r == keycap:
			if !digit {
				return false
			}
			finished = true
		case r == joiner || r == textual || r == colourer || tone(r):
			if before == 0 || r == joiner && before == joiner {
				return false
			}
		case r >= '0' && r <= '9' || r == '#' || r == '*':
			digit = true
			count++
		case r >= 0x1f1e6 && r <= 0x1f1ff:
			if flags++; flags%2 == 1 {
				count++
			}
		case picture(r):
			if before != joiner {
				count++
			}
		default:
			return false
		}
		before = r
	}
	return count == 1 && before != joiner && flags%2 == 0 && digit == finished
}

// tone reports whether r colours the skin of what stands before it.
func tone(r rune) bool { return r >= 0x1f3fb && r <= 0x1f3ff }

// picture reports whether r is drawn as a sign of its own.
func picture(r rune) bool {
	switch r {
	case '\u203c', '\u2049', '\u3030', '\u303d': // punctuation that is drawn as emoji
		return true
	}
	return r >= 0xa0 && (unicode.Is(unicode.So, r) || unicode.Is(unicode.Sm, r))
}
