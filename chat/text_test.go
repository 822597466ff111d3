package chat

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

func TestWhatPeopleWriteSurvives(t *testing.T) {
	for name, s := range map[string]string{
		"ascii":        "Hello, world! ~{}",
		"lines":        "one\n\ttwo\n\nthree",
		"umlauts":      "Grüße, Ærøskøbing, İstanbul",
		"vietnamese":   "Tiếng Việt",
		"hebrew":       "שָׁלוֹם עוֹלָם",
		"arabic":       "السَّلَامُ عَلَيْكُمْ",
		"persian zwnj": "می\u200cخواهم",
		"devanagari":   "नमस्ते क्ष क्\u200dष",
		"tamil":        "வணக்கம்",
		"tibetan":      "བོད་ཡིག",
		"thai":         "สวัสดีครับ",
		"chinese":      "你好，世界",
		"japanese":     "こんにちは、がぎぐ",
		"korean":       "안녕하세요",
		"emoji":        "👋🏽 😀",
		"family":       "👨\u200d👩\u200d👧\u200d👦",
		"flag":         "🇩🇪🇯🇵",
		"rainbow flag": "🏳\ufe0f\u200d🌈",
		"keycap":       "1\ufe0f\u20e3 #\ufe0f\u20e3",
		"heart":        "❤\ufe0f",
		"text heart":   "❤\ufe0e",
		"maths":        "∀x∈ℝ: ⌈x⌉ = −⌊−x⌋",
		"braille":      "⠓⠑⠇⠇⠕",
		"box":          "┌─┐│└┘█",
	} {
		want := norm.NFC.String(s)
		if got := CleanText(s); got != want {
			t.Errorf("%s: %q became %q", name, s, got)
		}
	}
}

func TestWhatHidesOrReordersDoesNotPass(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"terminal codes":        {"\x1b[31mred\x1b]0;title\x07", "[31mred]0;title"},
		"c1 controls":           {"a\u009bb", "ab"},
		"nul, bell, delete":     {"a\x00\x07\x7fb", "ab"},
		"carriage return":       {"safe\rpwned", "safe\npwned"},
		"windows lines":         {"a\r\nb", "a\nb"},
		"line separators":       {"a\u2028b\u2029c\u0085d", "a\nb\nc\nd"},
		"bidi override":         {"\u202egnp.exe\u202c", "gnp.exe"},
		"bidi isolates":         {"\u2066a\u2069\u2067b\u2068", "ab"},
		"bidi marks":            {"a\u200e\u200f\u061cb", "ab"},
		"zero width":            {"a\u200bb\u2060c\ufeffd", "abcd"},
		"soft hyphen":           {"pass\u00adword", "password"},
		"tags":                  {"hi\U000e0041\U000e0042", "hi"},
		"blank letters":         {"a\u3164\u115f\u1160\uffa0\u2800b", "ab"},
		"private use":           {"a\ue000\U000f0000b", "ab"},
		"not characters":        {"a\uffff\ufdd0b", "ab"},
		"marks without a shape": {"a\u17b4\u17b5\u180bb", "ab"},
		"interlinear":           {"a\ufff9b\ufffac\ufffb", "abc"},
		"invalid utf-8":         {"a\xff\xfeb", "a\uFFFDb"},
		"surrogates":            {"a\xed\xa0\x80b", "a\uFFFDb"},
		"trailing space":        {"a \n\t ", "a"},
		"what composes after":   {"e\u200b\u0301", "é"},
	} {
		if got := CleanText(c.in); got != c.want {
			t.Errorf("%s: %q became %q, not %q", name, c.in, got, c.want)
		}
	}
	zalgo := "a" + strings.Repeat("\u0300\u0316\u0489", 100)
	if n := utf8.RuneCountInString(CleanText(zalgo)); n > 1+maxMarks {
		t.Errorf("%d marks stand on one letter", n-1)
	}
	if n := utf8.RuneCountInString(CleanText("a" + strings.Repeat("\u302e", 100))); n > 1+maxMarks {
		t.Errorf("%d tone marks stand on one letter", n-1)
	}
}

func TestTextIsCutAtItsLimit(t *testing.T) {
	for _, unit := range []string{"x", "é", "你", "👋", "e\u0301"} {
		got := CleanText(strings.Repeat(unit, MaxText))
		if len(got) > MaxText || len(got) < MaxText-4 || !utf8.ValidString(got) {
			t.Errorf("%q: %d bytes", unit, len(got))
		}
		name := CleanName(strings.Repeat(unit, MaxName))
		if len(name) > MaxName || len(name) < MaxName-4 || !utf8.ValidString(name) {
			t.Errorf("%q: a name of %d bytes", unit, len(name))
		}
		status := CleanStatus(strings.Repeat(unit, MaxStatusText))
		if len(status) > MaxStatusText || len(status) < MaxStatusText-4 || !utf8.ValidString(status) {
			t.Errorf("%q: a status text of %d bytes", unit, len(status))
		}
	}
}

func TestAStatusTextStaysOnOneLineAndMayBeEmpty(t *testing.T) {
	for in, want := range map[string]string{
		"at lunch \n until one ": "at lunch until one",
		"\x1b[31mred\u202e":      "[31mred",
		" \u200b\n":              "",
		"":                       "",
	} {
		if got := CleanStatus(in); got != want {
			t.Errorf("%q became %q, not %q", in, got, want)
		}
	}
}

func TestNamesStayOnOneLineAndShowSomething(t *testing.T) {
	for in, want := range map[string]string{
		"Alice":                "Alice",
		"  Alice \n\t B.  ":    "Alice B.",
		"Zoë\u202e":            "Zoë",
		"":                     "(no name)",
		" \u200b\u3164":        "(no name)",
		"\u200d\ufe0f":         "(no name)",
		"\u0301\u0301":         "(no name)",
		"\u00a0\u3000":         "(no name)",
		"👩\u200d🚀":             "👩\u200d🚀",
		"a\u3000b":             "a b",
		"\xff":                 "\uFFFD",
		"太郎":                   "太郎",
		"line\u2028separators": "line separators",
	} {
		if got := CleanName(in); got != want {
			t.Errorf("%q became %q, not %q", in, got, want)
		}
	}
}

func isSafe(t *testing.T, s string, lines bool) {
	t.Helper()
	if !utf8.ValidString(s) || !norm.NFC.IsNormalString(s) {
		t.Fatalf("%q is not UTF-8 in NFC", s)
	}
	for _, r := range s {
		if lines && (r == '\n' || r == '\t') {
			continue
		}
		if unicode.IsControl(r) || (unicode.Is(unicode.Cf, r) && !joiner(r)) || unicode.Is(unicode.Co, r) || unicode.Is(unicode.Bidi_Control, r) {
			t.Fatalf("%q holds %U", s, r)
		}
	}
}

func FuzzCleanText(f *testing.F) {
	for _, s := range []string{"hello", "e\u200b\u0301", "\u202e", "👨\u200d👩\u200d👧", "\xff\xfe", "\u0cc6" + strings.Repeat("\u0300", 9) + "\u0cc2", "\u302e\u302f", "a\r\nb", "\u0344\u0344\u0344\u0344\u0344\u0344"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := CleanText(s)
		isSafe(t, got, true)
		if len(got) > MaxText {
			t.Fatalf("%d bytes", len(got))
		}
		if again := CleanText(got); again != got {
			t.Fatalf("%q becomes %q, then %q", s, got, again)
		}
	})
}

func FuzzCleanName(f *testing.F) {
	for _, s := range []string{"Alice", " a  b ", "\u3000\u0301", "(no name)", strings.Repeat("é ", 60)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := CleanName(s)
		isSafe(t, got, false)
		if len(got) > MaxName || got == "" || strings.ContainsAny(got, "\n\t") {
			t.Fatalf("%q", got)
		}
		if again := CleanName(got); again != got {
			t.Fatalf("%q becomes %q, then %q", s, got, again)
		}
	})
}

func TestRoomNamesHaveOneSpelling(t *testing.T) {
	for in, want := range map[string]string{
		"lobby": "#lobby", "#lobby": "#lobby", "#LOBBY": "#lobby", "#Ｌｏｂｂｙ": "#lobby", "#ﬁsh": "#fish",
		"#a-b_c.d": "#a-b_c.d", "#tür": "#tür", "#tu\u0308r": "#tür", "#部屋": "#部屋", "#हिन्दी": "#हिन्दी", "#2nd": "#2nd",
	} {
		got, err := CanonicalRoomName(in)
		if err != nil || got != want {
			t.Errorf("%q: %q %v", in, got, err)
		}
	}
	for in, code := range map[string]Code{
		"": CodeUsage, "#": CodeUsage, "##a": CodeUsage, "#-a": CodeUsage, "#a b": CodeUsage, "#a/b": CodeUsage, "#a\x00": CodeUsage,
		"#\u0301a": CodeUsage, "#a\xff": CodeUsage, "#lobby\u200d": CodeUsage, "#lobby\ufe0f": CodeUsage, "#lobby\u3164": CodeUsage,
		"#lobby\u034f": CodeUsage, "#lobby\u202e": CodeUsage, "#😀": CodeUsage, "#" + strings.Repeat("a", MaxRoomName+1): CodeTooLong,
	} {
		if got, err := CanonicalRoomName(in); CodeOf(err) != code {
			t.Errorf("%q became %q, %v", in, got, err)
		}
	}
}

func FuzzRoomName(f *testing.F) {
	for _, s := range []string{"#lobby", "İ", "ẞ", "ﷺ", "Å", "#Σς"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := CanonicalRoomName(s)
		if err != nil {
			return
		}
		again, err := CanonicalRoomName(got)
		if err != nil || again != got {
			t.Fatalf("%q becomes %q, then %q %v", s, got, again, err)
		}
		if CleanText(got) != norm.NFC.String(got) {
			t.Fatalf("%q can't be shown as it is: %q", got, CleanText(got))
		}
	})
}
