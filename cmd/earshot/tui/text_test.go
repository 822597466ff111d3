package tui

import (
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"

	"earshot/chat"
)

var meters = map[string]meter{"code points": {ansi.WcWidth}, "clusters": {ansi.GraphemeWidth}}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		name, text string
		width      int
		want       []string
	}{
		{"empty", "", 10, []string{""}},
		{"fits", "hello", 10, []string{"hello"}},
		{"at a space", "hello big world", 10, []string{"hello big", "world"}},
		{"exactly", "hello worl", 10, []string{"hello worl"}},
		{"space at the edge", "hello worl d", 10, []string{"hello worl", "d"}},
		{"long word", "abcdefghijklmno", 10, []string{"abcdefghij", "klmno"}},
		{"long word after a short one", "ab abcdefghijklmno", 10, []string{"ab", "abcdefghij", "klmno"}},
		{"newlines", "a\n\nb", 10, []string{"a", "", "b"}},
		{"indentation stays", "    code", 10, []string{"    code"}},
		{"indentation before a long word", "  abcdefghijkl", 10, []string{"  abcdefgh", "ijkl"}},
		{"tab", "a\tb", 10, []string{"a   b"}},
		{"wide", "漢字漢字漢字", 10, []string{"漢字漢字漢", "字"}},
		{"wide does not split", "a漢字漢字漢字", 10, []string{"a漢字漢字", "漢字"}},
		{"wide after words", "see 漢字漢字", 10, []string{"see 漢字漢", "字"}},
		{"closing mark stays", "漢字漢字漢。字", 10, []string{"漢字漢字", "漢。字"}},
		{"flags", "🇩🇪🇫🇷🇯🇵", 4, []string{"🇩🇪🇫🇷", "🇯🇵"}},
		{"combining", strings.Repeat("e\u0323\u0301", 6), 4, []string{strings.Repeat("e\u0323\u0301", 4), strings.Repeat("e\u0323\u0301", 2)}},
		{"lone mark vanishes", "\u0301a", 4, []string{"a"}},
		{"right to left", "שלום לכולם כאן", 10, []string{"שלום לכולם", "כאן"}},
		{"too narrow for it", "漢", 1, []string{"\uFFFD"}},
	} {
		for how, mt := range meters {
			if got := mt.wrap(c.text, c.width); !slices.Equal(got, c.want) {
				t.Errorf("%s, by %s: %q became %q, want %q", c.name, how, c.text, got, c.want)
			}
		}
	}
}

func TestEmojiAreAsWideAsTheTerminalDrawsThem(t *testing.T) {
	for _, c := range []struct {
		text, plain         string
		clusters, codePoint int
	}{
		{"👨‍👩‍👧‍👦", "👨👩👧👦", 2, 8},
		{"👩‍🚀", "👩🚀", 2, 4},
		{"👍🏽", "👍", 2, 2},
		{"❤️", "❤", 2, 1},
		{"🇩🇪", "🇩🇪", 2, 2},
		{"1️⃣", "1⃣", 2, 1},
		{"🏽", "\uFFFD", 1, 1},
		{"漢", "漢", 2, 2},
		{"ශ්\u200d", "ශ්\u200d", 1, 1}, // a script may need its joiner
	} {
		got, w, size := meters["clusters"].next(c.text)
		if got != c.text && got != "\uFFFD" || size != len(c.text) || (c.clusters >= 0 && w != c.clusters) {
			t.Errorf("%q is drawn as %q in %d cells where clusters count", c.text, got, w)
		}
		got, w, _ = meters["code points"].next(c.text)
		if c.codePoint >= 0 && (got != c.plain || w != c.codePoint || ansi.StringWidthWc(got) != w) {
			t.Errorf("%q is drawn as %q in %d cells where code points count", c.text, got, w)
		}
	}
}

func TestFit(t *testing.T) {
	for _, c := range []struct {
		text  string
		width int
		want  string
	}{
		{"abc", 5, "abc  "},
		{"abcdef", 5, "abcd…"},
		{"漢字漢字", 5, "漢字…"},
		{"漢字漢字", 6, "漢字… "},
		{"abc", 1, "…"},
		{"abc", 0, ""},
		{"", 2, "  "},
		{"abc", -3, ""},
	} {
		for how, mt := range meters {
			if got := mt.fit(c.text, c.width); got != c.want {
				t.Errorf("by %s, %q in %d cells is %q, want %q", how, c.text, c.width, got, c.want)
			}
		}
	}
}

// TestIdeographsAreWhatTheRendererThinks holds the short cut to the library.
func TestIdeographsAreWhatTheRendererThinks(t *testing.T) {
	for r := rune(0x3000); r < 0xE000; r++ {
		s := string(r) + "漢"
		if ideograph(s) == 0 {
			continue
		}
		for _, mt := range meters {
			cluster, w := ansi.FirstGraphemeCluster(s, mt.method)
			if got, gotW, size := mt.next(s); got != cluster || gotW != w || size != len(cluster) {
				t.Fatalf("%U is taken for %q of %d cells, the renderer has %q of %d", r, got, gotW, cluster, w)
			}
		}
	}
}

// FuzzScreen: whatever a stranger sends, as text, as a name, as a room, the screen
// keeps its shape and nothing but our own colours reaches the terminal.
func FuzzScreen(f *testing.F) {
	for _, s := range []string{
		"plain", "\x1b[2J\x1b]0;title\x07", "\u202Eevil\u2066", strings.Repeat("e\u0301\u0302", 40),
		"👨‍👩‍👧‍👦🇩🇪🇩❤️\u200d\u200d👍🏽", "漢字\t\t漢", "\u0301\u0301", "a\u0600b\u06DDc", "\xff\xfe\xc0", "क्षि ശ്രീ ဂြိုဟ်",
		"\u1100\u1161\u11A8\uFFA0\u3164", "\U000E0041\U0001F3F4\U000E0067", "\u0D4E", "🏽 🏽", "🇩", "a\u0085b\u2028c\vd\fe", "\x9b31m",
	} {
		f.Add(s, 80, 24, true)
		f.Add(s, 40, 10, false)
	}
	f.Fuzz(func(t *testing.T, text string, width, height int, clusters bool) {
		if width < 1 || width > 200 || height < 1 || height > 60 || len(text) > chat.MaxText {
			t.Skip("not a terminal")
		}
		node := newFake()
		a := node.person("Ann", chat.Here)
		a.Name = text
		node.people[1].Name = text
		node.rooms[0].Room = text
		m := node.say(chat.Lobby, a, "x")
		m.Text = text // as if chat's door had a hole
		s := open(t, node, width, height)
		if clusters {
			s.m.meter = meters["clusters"]
		}
		s.event(chat.MessageEvent{Message: m})
		s.event(chat.TypingEvent{RoomID: m.RoomID, From: a, Typing: true})
		s.event(chat.WarningEvent{Warning: chat.Error{Code: chat.CodeBusy, Text: text}})
		s.press("x", "backspace")
		s.m.onPaste(text)
		for _, key := range []string{"up", "left", "ctrl+left", "backspace", "f2", "f1"} {
			harmless(t, s.m)
			s.press(key)
		}
		harmless(t, s.m)
	})
}

// harmless fails if a screen holds anything but text and SGR sequences, or has
// lost its shape.
func harmless(t *testing.T, m *model) {
	t.Helper()
	v := m.View()
	checkScreen(t, m, v.Content)
	var p []byte
	state := byte(ansi.NormalState)
	for rest := v.Content; rest != ""; {
		seq, _, n, next := ansi.DecodeSequence(rest, state, nil)
		state = next
		rest = rest[n:]
		if strings.HasPrefix(seq, "\x1b[") && strings.HasSuffix(seq, "m") {
			continue
		}
		p = append(p, seq...)
	}
	for _, r := range string(p) + v.WindowTitle {
		if r == '\n' && !strings.ContainsRune(v.WindowTitle, r) {
			continue
		}
		if r == utf8.RuneError || unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) && r != '\u200C' {
			if r == utf8.RuneError {
				continue // the sign for what can't be shown
			}
			t.Fatalf("%U reaches the terminal", r)
		}
	}
	if c := v.Cursor; c != nil && (c.X < 0 || c.Y < 0 || c.X >= m.width || c.Y >= m.height) {
		t.Fatalf("the cursor stands at %d,%d of %dx%d", c.X, c.Y, m.width, m.height)
	}
}
