package tui

import (
	"fmt"
	"strings"

	"rsc.io/qr"
)

// quiet is the empty border of a code, in modules. Four are asked for; two are what
// readers do with, and leave room on an ordinary screen.
const quiet = 2

// openQR shows a text as a QR code.
func (m *model) openQR(title, text string) {
	m.push(&sheet{title: title, build: func() content {
		lines, size, err := qrLines(text)
		switch {
		case err != nil:
			return content{text: []para{plain("This can't be drawn as a QR code. Copy the text instead:"), plain(""), plain(safeText(text))}}
		case size > m.width-2 || len(lines) > m.height-2:
			return content{text: []para{
				plain(fmt.Sprintf("The QR code needs a window of %dx%d characters, and this one has %dx%d. Make it larger, or copy the text instead:", size+2, len(lines)+2, m.width, m.height)),
				plain(""), plain(safeText(text)),
			}}
		}
		return content{text: []para{{drawn: lines}, faint(safeText(text))}}
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
	code = safeText(code)
	plainly := []string{"    " + styleBold.Styled(code)}
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

// qrLines draws a text as a QR code, dark on light: two rows of modules make one
// line of characters. size is the width in cells.
func qrLines(text string) (lines []string, size int, err error) {
	code, err := qr.Encode(text, qr.L) // a screen is clean: more text in fewer modules
	if err != nil {
		return nil, 0, err
	}
	size = code.Size
	for y := -quiet; y < size+quiet; y += 2 {
		var sb strings.Builder
		for x := -quiet; x < size+quiet; x++ {
			switch top, bottom := code.Black(x, y), code.Black(x, y+1); {
			case top && bottom:
				sb.WriteString("█")
			case top:
				sb.WriteString("▀")
			case bottom:
				sb.WriteString("▄")
			default:
				sb.WriteString(" ")
			}
		}
		lines = append(lines, stylePaper.Styled(sb.String()))
	}
	return lines, size + 2*quiet, nil
}
