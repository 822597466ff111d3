package tui

import (
	"image/color"
	"os"
	"runtime"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"earshot/chat"
	"earshot/chat/phrase"
	"earshot/cmd/earshot/wording"
)

// glyphs are the signs that are not letters. Each meaning has a shape of its own,
// so that nothing depends on colour.
type glyphs struct {
	here, gone, selected, unread  string
	free, away, busy, untold      string // how a person is, beside gone
	vertical, horizontal, pointer string
	warning, pending, down        string

	verified, asked, asks, blocked string // behind names, where no name can imitate them
	lock                           string // two cells: a room that only its members can read

	onlyHere, held, delivered string // how far a message has come
	answers                   string // before what a message answers
}

var (
	unicodeGlyphs = glyphs{
		here: "●", gone: phrase.MarkGone, selected: "▸", unread: "•", vertical: "│", horizontal: "─",
		free: phrase.MarkAvailable, away: phrase.MarkAway, busy: phrase.MarkBusy, untold: phrase.MarkHere,
		pointer: "›", warning: "!", pending: "…", down: "↓",
		verified: "✓", asked: "→", asks: "?", blocked: "×", lock: "🔒",
		onlyHere: wording.MarkHere, held: wording.MarkHeld, delivered: wording.MarkDelivered, answers: "↳",
	}
	asciiGlyphs = glyphs{
		here: "*", gone: "-", selected: ">", unread: "+", vertical: "|", horizontal: "-",
		free: "*", away: "/", busy: "#", untold: "o",
		pointer: ">", warning: "!", pending: "~", down: "v",
		verified: "=", asked: "~", asks: "?", blocked: "x", lock: "% ",
		onlyHere: ".", held: "-", delivered: "=", answers: ">",
	}
)

// chooseGlyphs returns ASCII for a terminal that is not in UTF-8, or that draws
// these signs two cells wide (some East Asian settings).
func chooseGlyphs(getenv func(string) string) glyphs {
	if ansi.StringWidth(unicodeGlyphs.vertical) != 1 {
		return asciiGlyphs
	}
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" { // no locale there, or one that says little
		return unicodeGlyphs
	}
	return localeGlyphs(getenv)
}

func localeGlyphs(getenv func(string) string) glyphs {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		v := strings.ToLower(getenv(name))
		if v == "" {
			continue
		}
		if strings.Contains(v, "utf-8") || strings.Contains(v, "utf8") {
			return unicodeGlyphs
		}
		if v == "c" || v == "posix" { // says nothing: containers set it
			return unicodeGlyphs
		}
		return asciiGlyphs
	}
	return unicodeGlyphs
}

func environmentGlyphs() glyphs { return chooseGlyphs(os.Getenv) }

// palette holds the colours of names: the middle of the lightness scale, so that
// each has a contrast of at least 4:1 on black and on white (a test computes it).
// The renderer maps them to what the terminal can show, and drops them under
// NO_COLOR.
var palette = []color.RGBA{
	{0xC8, 0x4B, 0x31, 0xFF}, // brick
	{0xA8, 0x62, 0x00, 0xFF}, // amber
	{0x7A, 0x74, 0x00, 0xFF}, // olive
	{0x3F, 0x80, 0x1E, 0xFF}, // leaf
	{0x00, 0x82, 0x5A, 0xFF}, // jade
	{0x00, 0x7F, 0x86, 0xFF}, // teal
	{0x1D, 0x75, 0xC4, 0xFF}, // blue
	{0x5B, 0x66, 0xD8, 0xFF}, // indigo
	{0x8E, 0x58, 0xCF, 0xFF}, // violet
	{0xB4, 0x48, 0xB0, 0xFF}, // orchid
	{0xC7, 0x43, 0x7C, 0xFF}, // rose
	{0x7B, 0x6E, 0x62, 0xFF}, // clay
}

var (
	styleBold    = ansi.NewStyle().Bold()
	styleFaint   = ansi.NewStyle().Faint()
	styleReverse = ansi.NewStyle().Reverse(true)
	styleAlert   = ansi.NewStyle().Bold().ForegroundColor(palette[0])
	stylePaper   = ansi.NewStyle().ForegroundColor(ansi.Black).BackgroundColor(ansi.BrightWhite)
	styleMark    = ansi.NewStyle().Bold().ForegroundColor(palette[6])

	nameStyles = func() (styles []ansi.Style) {
		for _, c := range palette {
			styles = append(styles, ansi.NewStyle().Bold().ForegroundColor(c))
		}
		return styles
	}()
)

// nameStyle returns the style of a person's name: the same everywhere and always.
func nameStyle(p chat.PersonID) ansi.Style {
	return nameStyles[(int(p[0])<<8|int(p[1]))%len(nameStyles)]
}
