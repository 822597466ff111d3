package tui

import (
	"fmt"
	"strings"

	"earshot/cmd/earshot/qrcode"
)

// openQR shows a text as a QR code, and the text itself for whoever can't scan.
func (m *model) openQR(title, text string) {
	m.push(&sheet{title: title, build: func() content {
		lines, err := qrcode.Lines(text)
		if err != nil {
			return content{text: []para{plain("This can't be drawn as a QR code. Copy the text instead:"), plain(""), plain(safeText(text))}}
		}
		if len(lines) > m.height-2 { // most readers do with half the margin
			lines = lines[1 : len(lines)-1]
			for i, l := range lines {
				r := []rune(l)
				lines[i] = string(r[2 : len(r)-2])
			}
		}
		if last := len(lines) - 1; last == m.height-2 && strings.TrimSpace(lines[last]) == "" {
			lines = lines[:last] // half a line of margin is left: the code has an odd height
		}
		if wide := m.meter.width(lines[0]); wide > m.width-2 || len(lines) > m.height-2 {
			return content{text: []para{
				plain(fmt.Sprintf("The QR code needs a window of %dx%d characters, and this one has %dx%d. Make it larger, or copy the text instead:",
					wide+2, len(lines)+2, m.width, m.height)),
				plain(""), plain(safeText(text)),
			}}
		}
		for i, l := range lines {
			lines[i] = stylePaper.Styled(l)
		}
		return content{text: []para{{drawn: lines}, plain(""), faint(safeText(text))}}
	}})
}

// digits are the ten digits, five lines high.
var digits = [10][5]string{
	{"███", "█ █", "█ █", "█ █", "███"},
	{" █ ", "██ ", " █ ", " █ ", "███"},
	{"███", "  █", "███", "█  ", "███"},
	{"███", "  █", " ██", "  █", "███"},
	{"█ █", "█ █", "███", "  █", "  █"},
	{"███", "█  ", "███", "  █", "███"},
	{"███", "█  ", "███", "█ █", "███"},
	{"███", "  █", "  █", " █ ", " █ "},
	{"███", "█ █", "███", "█ █", "███"},
	{"███", "█ █", "███", "  █", "███"},
}

// bigDigits draws a code of digits large enough to be read across a table; a code
// of anything else, or a window too narrow, gets it in ordinary size.
func (m *model) bigDigits(code string) []string {
	code = oneLine(safeText(code))
	plainly := []string{"    " + styleBold.Styled(m.meter.cut(code, m.width-8))}
	lines := make([]string, 5)
	for i, r := range code {
		gap := "  "
		switch {
		case r == ' ' || r == '-':
			gap = "   "
			for l := range lines {
				lines[l] += gap
			}
			continue
		case r < '0' || r > '9':
			return plainly
		case i == 4 && len(code) == 8: // two groups of four are easier to keep in mind
			gap = "     "
		}
		for l := range lines {
			lines[l] += gap + digits[r-'0'][l]
		}
	}
	if m.meter.width(lines[0]) > m.width-4 || m.glyphs.vertical == asciiGlyphs.vertical {
		return plainly
	}
	for i := range lines {
		lines[i] = styleBold.Styled(lines[i])
	}
	return append(lines, "", "    "+code)
}
