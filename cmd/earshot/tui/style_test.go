package tui

import (
	"image/color"
	"math"
	"strings"
	"testing"

	"earshot/chat"
)

// luminance is WCAG's relative luminance.
func luminance(c color.RGBA) float64 {
	part := func(v uint8) float64 {
		x := float64(v) / 255
		if x <= 0.04045 {
			return x / 12.92
		}
		return math.Pow((x+0.055)/1.055, 2.4)
	}
	return 0.2126*part(c.R) + 0.7152*part(c.G) + 0.0722*part(c.B)
}

func TestNamesAreReadableOnDarkAndOnLight(t *testing.T) {
	for i, c := range palette {
		l := luminance(c)
		onBlack, onWhite := (l+0.05)/0.05, 1.05/(l+0.05)
		if onBlack < 4 || onWhite < 4 {
			t.Errorf("colour %d (%02x%02x%02x) has a contrast of %.2f on black and %.2f on white", i, c.R, c.G, c.B, onBlack, onWhite)
		}
	}
}

func TestPeopleHaveAllTheColours(t *testing.T) {
	seen := map[string]bool{}
	for i := range 256 {
		p := chat.PersonID{byte(i), byte(i * 7)}
		seen[nameStyle(p).String()] = true
	}
	if len(seen) != len(palette) {
		t.Errorf("%d of %d colours are used", len(seen), len(palette))
	}
}

func TestGlyphsFitTheLocale(t *testing.T) {
	for _, c := range []struct {
		env  string
		want *glyphs
	}{
		{"LANG=en_US.UTF-8", &unicodeGlyphs},
		{"LC_ALL=C.utf8 LANG=en_US.ISO-8859-1", &unicodeGlyphs},
		{"LC_ALL=de_DE.ISO-8859-15 LANG=de_DE.UTF-8", &asciiGlyphs},
		{"LANG=ja_JP.eucJP", &asciiGlyphs},
		{"LANG=C", &unicodeGlyphs},
		{"", &unicodeGlyphs},
	} {
		env := map[string]string{}
		for _, kv := range strings.Fields(c.env) {
			k, v, _ := strings.Cut(kv, "=")
			env[k] = v
		}
		if got := localeGlyphs(func(k string) string { return env[k] }); got != *c.want {
			t.Errorf("%q chose %+v", c.env, got)
		}
	}
}
