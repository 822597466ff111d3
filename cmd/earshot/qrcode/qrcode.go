// Package qrcode draws a text as a QR code in the cells of a terminal. It does not
// know what the text says, nor which colours the terminal has: who shows the lines
// makes them black on white.
package qrcode

import (
	"strings"

	"rsc.io/qr"

	"earshot/chat"
)

const (
	// quiet is the empty margin that a code needs around it, in modules (ISO
	// 18004).
	quiet = 4
	// MaxText bounds the text, in bytes: what a code of 60 cells in width holds,
	// which fits an old terminal with its margin.
	MaxText = 192
)

// Lines returns the code as lines of one width, each showing two rows of modules:
// " " for light, "█" for dark, "▀" and "▄" for dark in the upper or lower row. The
// margin that a code needs is part of them. They are meant to be shown black on
// white whatever the terminal's colours are: some cameras read no other code.
func Lines(text string) ([]string, error) {
	if len(text) > MaxText {
		return nil, chat.Errorf(chat.CodeTooLong, "The text has %d bytes, and a code in a terminal holds %d. Copy the text itself.", len(text), MaxText)
	}
	code, err := qr.Encode(text, qr.L) // a screen is never torn or stained
	if err != nil {
		return nil, err
	}
	var lines []string
	for y := -quiet; y < code.Size+quiet; y += 2 {
		var line strings.Builder
		for x := -quiet; x < code.Size+quiet; x++ {
			switch upper, lower := code.Black(x, y), code.Black(x, y+1); {
			case upper && lower:
				line.WriteString("█")
			case upper:
				line.WriteString("▀")
			case lower:
				line.WriteString("▄")
			default:
				line.WriteByte(' ')
			}
		}
		lines = append(lines, line.String())
	}
	return lines, nil
}
