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
	if s = CleanLine(s, MaxName); s == "" {
		return "(no name)"
	}
	return s
}

// CleanStatus returns a status text that is safe to show and stays on one line, cut to
// MaxStatusText bytes; "" where it has nothing to show.
func CleanStatus(s string) string { return CleanLine(s, MaxStatusText) }

// CleanLine returns text that is safe to show and stays on one line, cut to limit
// bytes; "" if it has nothing to show.
func CleanLine(s string, limit int) string {
	s = strings.Join(strings.Fields(clean(s, limit, false)), " ")
	if strings.IndexFunc(s, visible) < 0 {
		return ""
	}
	return s
}

func visible(r rune) bool {
	return unicode.IsGraphic(r) && !unicode.IsSpace(r) && !unicode.IsMark(r) && !joiner(r)
}

func clean(s string, limit int, lines bool) string {
	if len(s) <= limit && plain(s) {
		return s
	}
	// Twice the limit is more than any cut text needs, and bounds the work.
	s = strings.ReplaceAll(strings.ToValidUTF8(cut(s, 2*limit), "\uFFFD"), "\r\n", "\n")
	// What is dropped can bring together what composes, and what is composed can
	// be too much again. Every turn but the first drops something or is the last.
	for {
		next := norm.NFC.String(filter(s, lines))
		if next == s {
			return cut(s, limit)
		}
		s = next
	}
}

// plain reports whether s is printable ASCII, which passes as it is.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// cut returns the longest prefix of s of at most limit bytes that does not end
// within a character.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// filter drops what must not be shown, and marks beyond maxMarks.
func filter(s string, lines bool) string {
	var sb strings.Builder
	sb.Grow(len(s))
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
		if mark(r) {
			if marks++; marks > maxMarks {
				continue
			}
		} else {
			marks = 0
		}
		sb.WriteRune(r)
	}
	return sb.String()
}

// mark reports whether r is drawn over or joined to what stands before it.
func mark(r rune) bool {
	return unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Me, r) || joiner(r) ||
		// Some marks that take space still don't start a character of their own.
		unicode.Is(unicode.Mc, r) && norm.NFC.PropertiesString(string(r)).CCC() != 0
}

// hidden reports whether r must never be shown: controls, what reorders text
// (bidirectional controls), what is invisible by design, and private or
// unassigned characters. Joiners and variation selectors stay, because emoji and
// many scripts are written with them. The flags of England, Scotland and Wales are
// spelt with invisible tags and become plain black flags.
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
	case r == '\u17B4', r == '\u17B5', r >= 0x180B && r <= 0x180F: // marks without a shape
		return true
	}
	return r != utf8.RuneError && !unicode.IsPrint(r) && !unicode.IsSpace(r) && !unicode.IsMark(r)
}

// joiner reports zero-width characters that shape what stands beside them.
func joiner(r rune) bool {
	return r == '\u200C' || r == '\u200D' || (r >= 0xFE00 && r <= 0xFE0F)
}
