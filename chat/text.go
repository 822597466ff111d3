package chat

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// This file is the one door through which text from strangers passes before any
// face sees it. What comes out holds no control character but '\n' and '\t', no
// character that reorders or hides its neighbours, no more marks on one letter
// than a script needs, and is valid UTF-8 in NFC.

// maxMarks bounds the combining marks in a row: Vietnamese, Hebrew and Tibetan
// need up to 5; stacks of dozens paint over neighbouring lines.
const maxMarks = 8

// CleanText returns message text that is safe to show in a terminal, a page or a
// log, cut to MaxText bytes at a character boundary.
func CleanText(s string) string {
	return strings.TrimRight(clean(s, MaxText, true), " \t\n")
}

// CleanName returns a display name that is safe to show and stays on one line,
// cut to MaxName bytes. A name that has nothing to show becomes "(no name)".
func CleanName(s string) string {
	s = strings.Join(strings.Fields(clean(s, MaxName, false)), " ")
	if strings.IndexFunc(s, visible) < 0 {
		return "(no name)"
	}
	return s
}

func visible(r rune) bool {
	return unicode.IsGraphic(r) && !unicode.IsSpace(r) && !unicode.IsMark(r) && !joiner(r)
}

func clean(s string, limit int, lines bool) string {
	// Twice the limit is more than any cut text needs, and bounds the work.
	if len(s) > 2*limit {
		s = s[:2*limit]
	}
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\r\n", "\n")
	s = norm.NFC.String(s)
	var sb strings.Builder
	marks := 0
	for _, r := range s {
		switch {
		case r == '\n' || r == '\r' || r == '\u2028' || r == '\u2029' || r == '\u0085':
			if r = '\n'; !lines {
				r = ' '
			}
		case r == '\t':
			if !lines {
				r = ' '
			}
		case hidden(r):
			continue
		}
		if unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Me, r) || joiner(r) {
			if marks++; marks > maxMarks {
				continue
			}
		} else {
			marks = 0
		}
		if sb.Len()+utf8.RuneLen(r) > limit {
			break
		}
		sb.WriteRune(r)
	}
	return sb.String()
}

// hidden reports whether r must never be shown: controls, what reorders text
// (bidirectional controls), what is invisible by design, and private or
// unassigned characters. Joiners and variation selectors stay, because emoji and
// many scripts are written with them.
func hidden(r rune) bool {
	switch {
	case joiner(r):
		return false
	case unicode.IsControl(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Co, r), unicode.Is(unicode.Cs, r):
		return true
	case r == '\u115F', r == '\u1160', r == '\u3164', r == '\uFFA0', r == '\u2800', r == '\u034F': // blank letters
		return true
	case r >= 0xE0000 && r <= 0xE0FFF: // tags: invisible text
		return true
	}
	return r != utf8.RuneError && !unicode.IsPrint(r) && !unicode.IsSpace(r) && !unicode.IsMark(r)
}

// joiner reports zero-width characters that shape what stands beside them.
func joiner(r rune) bool {
	return r == '\u200C' || r == '\u200D' || (r >= 0xFE00 && r <= 0xFE0F)
}
