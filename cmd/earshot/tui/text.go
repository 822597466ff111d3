package tui

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"

	"earshot/chat"
)

// This file is how text becomes cells: the door that foreign text passes once
// more, and measuring, wrapping and cutting at the width the renderer uses.

const (
	tabStop = 4
	zwj     = '\u200D' // joins emoji into one picture
	vs16    = '\uFE0F' // asks for the coloured picture of a character
)

// safeText is the door for text of several lines: chat's own, passed once more
// because it costs little here and a terminal obeys whatever gets through.
func safeText(s string) string { return chat.CleanText(s) }

// safeName is the door for names, of people and of rooms.
func safeName(s string) string { return chat.CleanName(s) }

// notASign stands in a name for what would look like a sign of the interface.
const notASign = "·"

// shownName is the door for what people call themselves: a name that holds one of
// the signs that the interface puts behind names would vouch for itself.
func shownName(s string) string {
	s = safeName(s)
	if ascii(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch r {
		case '✓', '✔', '✅', '☑', '🗸', '🗹', '✗', '×', '🔒', '🔐', '🔏', '🔓':
			return []rune(notASign)[0]
		}
		return r
	}, s)
}

// safeTyped is the door for what the user types or pastes: the same, but keeps
// spaces and newlines at the end, where the next word will follow.
func safeTyped(s string) string {
	const guard = "."
	if len(s) >= chat.MaxText { // no room for the guard, nor for a next word
		return chat.CleanText(s)
	}
	return strings.TrimSuffix(chat.CleanText(s+guard), guard)
}

// meter measures text as the renderer does. Terminals that report mode 2027 draw
// a grapheme cluster as one thing; the others advance by each code point.
type meter struct{ method ansi.Method }

// width returns the cells that s takes; escape sequences take none.
func (mt meter) width(s string) int {
	if ascii(s) {
		return len(s)
	}
	return mt.method.StringWidth(s)
}

// next returns the first grapheme cluster of s as it should be drawn, its width
// in cells and its length in s in bytes. What would not show comes back empty.
func (mt meter) next(s string) (cluster string, width, size int) {
	if c := s[0]; c >= ' ' && c < utf8.RuneSelf && (len(s) == 1 || s[1] < utf8.RuneSelf) {
		return s[:1], 1, 1
	}
	if size := ideograph(s); size > 0 && (len(s) == size || s[size] < utf8.RuneSelf || ideograph(s[size:]) > 0) {
		return s[:size], 2, size
	}
	cluster, width = ansi.FirstGraphemeCluster(s, mt.method)
	size = len(cluster)
	if mt.method == ansi.WcWidth && size > utf8.UTFMax-1 {
		if plain := withoutJoins(cluster); plain != cluster {
			cluster, width = plain, mt.method.StringWidth(plain)
		}
	}
	switch {
	case width == 0:
		cluster = ""
	case leans(cluster), size == len(s) && mt.reaches(cluster), size < len(s) && s[size] < ' ' && mt.reaches(cluster):
		cluster, width = mt.unshowable(), 1
	}
	return cluster, width, size
}

// unshowable stands for what can't be drawn, in one cell.
func (mt meter) unshowable() string {
	const sign = "\uFFFD"
	if mt.method.StringWidth(sign) != 1 { // some East Asian settings
		return "?"
	}
	return sign
}

// leans reports a cluster that begins with what belongs to a letter before it.
// There is none, so that it would merge with whatever the screen has there.
func leans(cluster string) bool {
	r, _ := utf8.DecodeRuneInString(cluster)
	return unicode.Is(unicode.M, r) || r >= 0x1F3FB && r <= 0x1F3FF || // skin tones
		r == 0xFF9E || r == 0xFF9F || r == 0x0E33 || r == 0x0EB3 // letters that attach
}

// reaches reports a cluster that would merge with whatever follows it on the
// screen: some signs of Indic scripts do.
func (mt meter) reaches(cluster string) bool {
	whole, _ := ansi.FirstGraphemeCluster(cluster+" ", mt.method)
	return len(whole) > len(cluster)
}

// ideograph returns the bytes of the kana, ideograph or Hangul syllable that s
// begins with, 0 if it is none. They are most of a Chinese, Japanese or Korean
// text, always wide, and never merge with one another.
func ideograph(s string) int {
	switch r, size := utf8.DecodeRuneInString(s); {
	case r < 0x3041:
		return 0
	case r <= 0x3096, r >= 0x30A1 && r <= 0x30FA, r >= 0x4E00 && r <= 0x9FFF, r >= 0xAC00 && r <= 0xD7A3:
		return size
	}
	return 0
}

// withoutJoins takes apart an emoji sequence for terminals that don't join them:
// each draws such a sequence in a width of its own, and the line would shift.
// Its parts, side by side, have one width everywhere.
func withoutJoins(cluster string) string {
	first, _ := utf8.DecodeRuneInString(cluster)
	if first < 0x2190 && !strings.ContainsRune(cluster, vs16) { // a script, not a symbol
		return cluster
	}
	return strings.Map(func(r rune) rune {
		if r == zwj || r == vs16 || (r >= 0x1F3FB && r <= 0x1F3FF && r != first) { // skin tones
			return -1
		}
		return r
	}, cluster)
}

// fit returns s in exactly width cells: cut with an ellipsis, or padded. s holds
// no escape sequences.
func (mt meter) fit(s string, width int) string {
	s = mt.cut(s, width)
	return s + spaces(width-mt.width(s))
}

// cut returns s in at most width cells, with an ellipsis where something is
// missing. s holds no escape sequences.
func (mt meter) cut(s string, width int) string {
	if width <= 0 {
		return ""
	}
	const ellipsis = "…"
	room := width - mt.width(ellipsis)
	var sb strings.Builder
	kept, used := 0, 0 // bytes that stay if an ellipsis must follow, and cells so far
	for rest := s; rest != ""; {
		c, w, size := mt.next(rest)
		if used+w > width {
			if room < 0 {
				return ""
			}
			return sb.String()[:kept] + ellipsis
		}
		sb.WriteString(c)
		if used += w; used <= room {
			kept = sb.Len()
		}
		rest = rest[size:]
	}
	return sb.String()
}

// wrap breaks text into lines of at most width cells: at spaces, between wide
// characters, and inside a word only when it is longer than a line. Newlines
// stand, tabs become spaces, an indentation is kept on its first line.
func (mt meter) wrap(text string, width int) []string {
	var lines []string
	for par := range strings.SplitSeq(text, "\n") {
		lines = mt.wrapLine(lines, par, max(1, width))
	}
	return lines
}

func (mt meter) wrapLine(lines []string, par string, width int) []string {
	if len(par) <= width && ascii(par) { // the common line
		return append(lines, strings.TrimRight(par, " "))
	}
	var line strings.Builder
	used := 0                 // cells in line
	brk, brkUsed := 0, 0      // where line may be broken: bytes and cells before it
	inked, after := false, "" // whether line holds more than spaces; the last cluster
	emit := func(s string) { lines = append(lines, strings.TrimRight(s, " ")) }
	for par != "" {
		c, w, size := mt.next(par)
		if par[0] == '\t' {
			w, size = tabStop-used%tabStop, 1
			c = spaces(w)
		}
		par = par[size:]
		if c == "" {
			continue
		}
		if w > width {
			c, w = mt.unshowable(), 1
		}
		blank := c[0] == ' '
		if !blank && inked && (w > 1 || mt.width(after) > 1) && !closing(c) {
			brk, brkUsed = line.Len(), used
		}
		if used+w > width {
			whole := line.String()
			line.Reset()
			switch {
			case blank:
				emit(whole)
				used, brk, brkUsed, inked, after = 0, 0, 0, false, ""
				continue
			case brk > 0:
				emit(whole[:brk])
				line.WriteString(whole[brk:])
				used -= brkUsed
			default:
				emit(whole)
				used = 0
			}
			brk, brkUsed = 0, 0
		}
		line.WriteString(c)
		used, after = used+w, c
		if !blank {
			inked = true
		} else if inked {
			brk, brkUsed = line.Len(), used
		}
	}
	emit(line.String())
	return lines
}

// closing reports punctuation that must not begin a line.
func closing(cluster string) bool {
	r, _ := utf8.DecodeRuneInString(cluster)
	return strings.ContainsRune("、。，．：；？！）」』】〉》…", r)
}

// ascii reports whether s is printable ASCII, whose width is its length.
func ascii(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7F {
			return false
		}
	}
	return true
}

const blanks = "                                                                                "

// spaces returns n spaces, none for a negative n.
func spaces(n int) string {
	if n <= len(blanks) {
		return blanks[:max(0, n)]
	}
	return strings.Repeat(" ", n)
}
