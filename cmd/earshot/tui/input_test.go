package tui

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"earshot/chat"
)

// cursorShown returns the text with a bar at the cursor.
func cursorShown(in *input) string { return in.text[:in.cur] + "|" + in.text[in.cur:] }

func TestEditing(t *testing.T) {
	for _, c := range []struct {
		name, start string // a bar stands for the cursor
		keys        []string
		want        string
	}{
		{"type", "|", []string{"ab"}, "ab|"},
		{"in the middle", "ac|", []string{"left", "b"}, "ab|c"},
		{"a family is one", "👨‍👩‍👧‍👦|", []string{"backspace"}, "|"},
		{"a flag is one", "🇩🇪🇫🇷|", []string{"left", "delete"}, "🇩🇪|"},
		{"an accent goes with its letter", "e\u0323\u0301x|", []string{"left", "left", "delete"}, "|x"},
		{"over a newline", "a\n|b", []string{"backspace"}, "a|b"},
		{"join lines", "a|\nb", []string{"delete"}, "a|b"},
		{"word left", "one two  |", []string{"ctrl+left"}, "one |two  "},
		{"word right", "|one two", []string{"ctrl+right", "ctrl+right"}, "one two|"},
		{"cut a word", "one two|", []string{"ctrl+w"}, "one |"},
		{"cut and put back", "one two|", []string{"ctrl+w", "ctrl+a", "ctrl+y"}, "two|one "},
		{"cut to the start", "one\ntwo three| four", []string{"ctrl+u"}, "one\n| four"},
		{"cut to the end", "one| two\nthree", []string{"ctrl+k"}, "one|\nthree"},
		{"start of the line", "one\ntwo|", []string{"home"}, "one\n|two"},
		{"end of the line", "|one\ntwo", []string{"end"}, "one|\ntwo"},
		{"up keeps its column", "long line\nx\nlong line|", []string{"up", "up"}, "long line|\nx\nlong line"},
		{"new line", "a|", []string{"alt+enter", "ctrl+j", "b"}, "a\n\nb|"},
		{"a question", "why|", []string{"?"}, "why?|"},
		{"help asked twice is a question mark", "|", []string{"?", "?"}, "?|"},
	} {
		s := open(t, newFake(), 80, 24)
		in := &s.m.conv().in
		in.text = strings.Replace(c.start, "|", "", 1)
		in.cur = strings.IndexByte(c.start, '|')
		s.press(c.keys...)
		if got := cursorShown(in); got != c.want {
			t.Errorf("%s: %q became %q, want %q", c.name, c.start, got, c.want)
		}
	}
}

// TestTheCursorStaysOnBorders: no key moves it into a cluster or off the screen,
// and what is written is what comes out.
func TestTheCursorStaysOnBorders(t *testing.T) {
	pieces := []string{"a", " ", "\n", "\t", "漢", "é", "👨‍👩‍👧", "🇩🇪", "word ", strings.Repeat("x", 50)}
	keys := []string{
		"left", "right", "up", "down", "ctrl+a", "ctrl+e", "ctrl+left", "ctrl+right", "backspace",
		"delete", "ctrl+w", "ctrl+u", "ctrl+k", "ctrl+y",
	}
	rapid.Check(t, func(rt *rapid.T) {
		s := open(t, newFake(), rapid.IntRange(40, 90).Draw(rt, "width"), rapid.IntRange(10, 30).Draw(rt, "height"))
		in := &s.m.conv().in
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			if rapid.Bool().Draw(rt, "write") {
				in.insert(rapid.SampledFrom(pieces).Draw(rt, "piece"))
			} else {
				s.press(rapid.SampledFrom(keys).Draw(rt, "key"))
			}
			if in.cur < 0 || in.cur > len(in.text) || len(in.text) > chat.MaxText {
				rt.Fatalf("the cursor is at %d of %d", in.cur, len(in.text))
			}
			f := s.m.layout()
			rows := in.rows(s.m.meter, f.main-prompt-1)
			for i := 1; i < len(rows); i++ {
				if gap := in.text[rows[i-1].end:rows[i].start]; gap != "" && gap != "\n" {
					rt.Fatalf("%q is on no line", gap)
				}
			}
			_, x, y := in.view(s.m.meter, f.main-prompt, f.input)
			if x < 0 || x >= f.main-prompt || y < 0 || y >= f.input {
				rt.Fatalf("the cursor is shown at %d,%d of %dx%d in %q", x, y, f.main-prompt, f.input, cursorShown(in))
			}
			checkScreen(t, s.m, s.m.View().Content)
		}
	})
}
