package contacts

import (
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Skeleton returns what a name looks like: two names that a hurried reader can take
// for each other mostly have one skeleton. It is the skeleton of Unicode TR39 with
// a table of our own instead of its 6,000 pairs (the letters of other scripts that
// pass for Latin ones, the digits, the dashes, and a few more), and coarser: case,
// width, accents and spacing do not count. It is for comparing only, never shown.
// Skeleton(Skeleton(s)) is Skeleton(s).
func Skeleton(name string) string {
	// Each step can make work for another; few names need a second turn, and what
	// does not settle is as good as any other name.
	for range 8 {
		next := skeleton(name)
		if next == name {
			break
		}
		name = next
	}
	return name
}

func skeleton(s string) string {
	// Before folding, since capitals look like other letters than small ones do, and
	// before composing, which takes some for what they mean and not how they look.
	s = mapLetters(norm.NFKC.String(mapLetters(s)))
	s = norm.NFKD.String(fold.String(s))
	s = mapLetters(s)
	s = strings.ReplaceAll(strings.ReplaceAll(s, "rn", "m"), "vv", "w")
	return strings.Join(strings.Fields(s), " ")
}

var fold = cases.Fold()

// mapLetters drops what is not seen and replaces what is taken for something else.
func mapLetters(s string) string {
	var sb strings.Builder
	sb.Grow(len(s))
	for _, r := range s {
		switch to, ok := lookalikes[r]; {
		case ok:
			sb.WriteString(to)
		case unseen(r):
		default:
			sb.WriteRune(r)
		}
	}
	return sb.String()
}

// unseen reports whether r has no ink of its own, or is an accent.
func unseen(r rune) bool {
	return r >= 0x300 && r <= 0x36F || r == 0x2800 || r < ' ' && !unicode.IsSpace(r) || r == 0x7F ||
		unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

// Alike reports whether one name can be taken for the other, written as they are or
// in another case.
func Alike(a, b string) bool { return looksOf(a).alike(looksOf(b)) }

// looks are the skeletons of a name as it is and in small letters: a Greek Η is
// taken for an H, a small η for an n.
type looks struct{ asWritten, small string }

func looksOf(name string) looks {
	return looks{Skeleton(name), Skeleton(strings.ToLower(name))}
}

func (l looks) alike(m looks) bool { return l.asWritten == m.asWritten || l.small == m.small }

// Mixed reports whether a word of the name holds letters of two of the scripts that
// pass for each other. No language is written so; names that deceive are.
func Mixed(name string) bool {
	for _, word := range strings.Fields(name) {
		first := -1
		for _, r := range word {
			for i, script := range alphabets {
				if unicode.Is(script, r) {
					if first >= 0 && first != i {
						return true
					}
					first = i
				}
			}
		}
	}
	return false
}

var alphabets = []*unicode.RangeTable{
	unicode.Latin, unicode.Cyrillic, unicode.Greek, unicode.Armenian, unicode.Cherokee, unicode.Coptic, unicode.Lisu, unicode.Georgian,
}

// lookalikes says what each character is taken for.
var lookalikes = func() map[rune]string {
	out := map[rune]string{}
	for line := range strings.Lines(lookalikeTable) {
		to, from, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		for _, r := range from {
			if r != ' ' {
				out[r] = to
			}
		}
	}
	return out
}()

// lookalikeTable has in each line what is seen, and behind it the characters that
// are taken for it. l, I, i, 1 and | are one, and so are o, O and 0: capitals and
// small letters may not be told apart.
const lookalikeTable = `a аɑαᴀ
a ΑАᎪꓮ
ae æӕ
b ЬВвᏏʙꞵβЪ
b ΒᏴꓐ
c сϲᴄⲥꓚСϹᏟ
d ԁᴅđᏧꓒꓓᎠ
e еεєҽᴇꓰΕЕᎬ℮
f ƒꜰꓝϜſ
g ɡɢցԍꓖᏀ
h һнНհħʜꓧΗᎻ
j јյᴊꓙЈᎫ
k кκᴋⲕꓗΚКᏦ
l iıɩιіӏ1|ǀ׀ו١۱ןاＩΙІӀᏆꓲłʟꓡᏞⅼ∣│┃❘
m мᴍⲙꓟΜМᎷ
n ոпηпɴⲛꓠΝ
o оοσօ0ο०০੦૦ఠ๐໐ဝ၀סهہہᴏⲟꓳΟОՕøⵔ〇٥٠۰ⲞѳѲө
oe œ
p рρᴘⲣꓑРΡᏢ
q ԛզգ
r гʀᴦꓣᎡ
s ѕꜱѕꓢЅᏚՏ
t тτᴛⲧꓔТΤᎢŧ
u υսᴜꓴՍцʊ
v νѵᴠꓦᏙѴ
w ωѡԝᴡꓪᎳԜա
x хχⲭꓫХΧ×
y уγүʏყꓬУΥҮʎ
z ᴢꓜΖᏃζ
3 ЗзӠӡꓱɜʒʒȝ
4 Ꮞ
6 бᏮ
- ‐‑‒–—―−⁃ー一﹣ｰ─━
' ’‘ʼʹ′` + "`" + `´ʻʽˈˊˋ
" “”″„
. ․·•∙・᛫
, ٫‚
口 ロ
工 エ
力 カ
卜 ト
二 ニ
八 ハ
夕 タ
`
