package tui

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"earshot/chat"
)

// input is the text being written and the cursor in it: a small editor that moves
// by grapheme clusters and draws at the width the renderer uses.
type input struct {
	text string
	cur  int // byte offset of the cursor, on a cluster's border
	// killed is what was cut last, for yank.
	killed string
	// goal is the column that up and down aim for, -1 when they have not begun.
	goal int

	laid     inputRows
	laidText string
	laidFor  meter
	laidWide int
}

// inputRow is one line on the screen: text[start:end], without its newline.
type inputRow struct{ start, end int }

type inputRows []inputRow

// set replaces the whole text and puts the cursor behind it.
func (in *input) set(text string) { in.text, in.cur, in.goal = text, len(text), -1 }

// insert puts s at the cursor. It refuses, and reports false, when the text would
// become longer than a message may be.
func (in *input) insert(s string) bool {
	if len(in.text)+len(s) > chat.MaxText {
		return false
	}
	in.text = in.text[:in.cur] + s + in.text[in.cur:]
	in.cur += len(s)
	in.goal = -1
	return true
}

// cutRange removes text[from:to] and leaves the cursor there.
func (in *input) cutRange(from, to int) {
	in.text = in.text[:from] + in.text[to:]
	in.cur, in.goal = from, -1
}

func (in *input) kill(from, to int) {
	if from < to {
		in.killed = in.text[from:to]
		in.cutRange(from, to)
	}
}

func (in *input) backspace(mt meter) { in.cutRange(in.before(mt), in.cur) }
func (in *input) delete(mt meter)    { in.cutRange(in.cur, in.after(mt)) }
func (in *input) left(mt meter)      { in.cur, in.goal = in.before(mt), -1 }
func (in *input) right(mt meter)     { in.cur, in.goal = in.after(mt), -1 }
func (in *input) home()              { in.cur, in.goal = in.lineStart(), -1 }
func (in *input) end()               { in.cur, in.goal = in.lineEnd(), -1 }
func (in *input) wordLeft()          { in.cur, in.goal = in.wordStart(), -1 }
func (in *input) wordRight()         { in.cur, in.goal = in.wordEnd(), -1 }
func (in *input) killWordLeft()      { in.kill(in.wordStart(), in.cur) }
func (in *input) killWordRight()     { in.kill(in.cur, in.wordEnd()) }
func (in *input) killToLineStart()   { in.kill(in.lineStart(), in.cur) }
func (in *input) killToLineEnd()     { in.kill(in.cur, in.lineEnd()) }
func (in *input) yank() bool         { return in.insert(in.killed) }
func (in *input) lineStart() int     { return strings.LastIndexByte(in.text[:in.cur], '\n') + 1 }
func (in *input) blank() bool        { return strings.TrimSpace(in.text) == "" }

func (in *input) lineEnd() int {
	if i := strings.IndexByte(in.text[in.cur:], '\n'); i >= 0 {
		return in.cur + i
	}
	return len(in.text)
}

// edit applies a key that moves in the text or takes something from it, and
// reports whether it is one.
func (in *input) edit(key string, mt meter) bool {
	switch key {
	case "left", "ctrl+b":
		in.left(mt)
	case "right", "ctrl+f":
		in.right(mt)
	case "ctrl+left", "alt+left", "alt+b":
		in.wordLeft()
	case "ctrl+right", "alt+right", "alt+f":
		in.wordRight()
	case "ctrl+a", "home":
		in.home()
	case "ctrl+e", "end":
		in.end()
	case "backspace", "ctrl+h", "shift+backspace":
		in.backspace(mt)
	case "delete", "ctrl+d":
		in.delete(mt)
	case "ctrl+w", "alt+backspace", "ctrl+backspace":
		in.killWordLeft()
	case "alt+d", "alt+delete", "ctrl+delete":
		in.killWordRight()
	case "ctrl+u":
		in.killToLineStart()
	case "ctrl+k":
		in.killToLineEnd()
	default:
		return false
	}
	return true
}

// before returns the border of the cluster in front of the cursor.
func (in *input) before(mt meter) int {
	at := in.lineStart()
	if at == in.cur {
		return max(0, in.cur-1) // the newline
	}
	for at < in.cur {
		_, _, size := mt.next(in.text[at:])
		if at+size >= in.cur {
			break
		}
		at += size
	}
	return at
}

// after returns the border of the cluster behind the cursor.
func (in *input) after(mt meter) int {
	if in.cur == len(in.text) {
		return in.cur
	}
	_, _, size := mt.next(in.text[in.cur:])
	return in.cur + size
}

// wordStart returns where the word begins that ends at the cursor, or before the
// spaces there.
func (in *input) wordStart() int {
	s := strings.TrimRightFunc(in.text[:in.cur], unicode.IsSpace)
	if len(s) < in.cur && strings.HasSuffix(s, "\n") {
		return len(s)
	}
	i := strings.LastIndexFunc(s, unicode.IsSpace)
	if i < 0 {
		return 0
	}
	_, size := utf8.DecodeRuneInString(s[i:])
	return i + size
}

func (in *input) wordEnd() int {
	rest := in.text[in.cur:]
	word := strings.TrimLeftFunc(rest, unicode.IsSpace)
	skip := len(rest) - len(word)
	if i := strings.IndexFunc(word, unicode.IsSpace); i >= 0 {
		return in.cur + skip + i
	}
	return len(in.text)
}

// rows breaks the text into screen lines of at most width cells, after spaces
// where there are any.
func (in *input) rows(mt meter, width int) inputRows {
	if in.laid != nil && in.laidText == in.text && in.laidWide == width && in.laidFor == mt {
		return in.laid
	}
	var rows inputRows
	start, used := 0, 0
	brk := -1 // where the row may be broken
	for at := 0; at < len(in.text); {
		if in.text[at] == '\n' {
			rows = append(rows, inputRow{start, at})
			at++
			start, used, brk = at, 0, -1
			continue
		}
		w, size := in.cell(mt, at, used)
		if used+w > width && at > start {
			if brk > start {
				rows = append(rows, inputRow{start, brk})
				start, at, used = brk, brk, 0 // measured anew: a tab's width depends on where it stands
			} else {
				rows = append(rows, inputRow{start, at})
				start, used = at, 0
			}
			brk = -1
			continue
		}
		at += size
		used += w
		if in.text[at-1] == ' ' {
			brk = at
		}
	}
	rows = append(rows, inputRow{start, len(in.text)})
	in.laid, in.laidText, in.laidFor, in.laidWide = rows, in.text, mt, width
	return rows
}

// cell returns the width and the bytes of the cluster at, when it stands in
// column col.
func (in *input) cell(mt meter, at, col int) (width, size int) {
	if in.text[at] == '\t' {
		return tabStop - col%tabStop, 1
	}
	_, width, size = mt.next(in.text[at:])
	return width, size
}

// column returns the cells between the start of row and the byte offset to.
func (in *input) column(mt meter, row inputRow, to int) int {
	col := 0
	for at := row.start; at < to; {
		w, size := in.cell(mt, at, col)
		col += w
		at += size
	}
	return col
}

// row returns the number of the row that holds the cursor.
func (in *input) row(rows inputRows) int {
	for i := len(rows) - 1; i > 0; i-- {
		if in.cur >= rows[i].start {
			return i
		}
	}
	return 0
}

// move takes the cursor up or down by delta rows and reports whether there was a
// row to go to.
func (in *input) move(mt meter, width, delta int) bool {
	rows := in.rows(mt, width)
	from := in.row(rows)
	to := from + delta
	if to < 0 || to >= len(rows) {
		return false
	}
	goal := in.goal
	if goal < 0 {
		goal = in.column(mt, rows[from], in.cur)
	}
	at, col := rows[to].start, 0
	for at < rows[to].end {
		w, size := in.cell(mt, at, col)
		if col+w > goal {
			break
		}
		col += w
		at += size
	}
	if at == rows[to].end && to+1 < len(rows) && rows[to+1].start == at && at > rows[to].start {
		at = rows[to].start + in.lastBorder(mt, rows[to]) // a soft end belongs to the next row
	}
	in.cur, in.goal = at, goal
	return true
}

// lastBorder returns the offset in row of its last cluster.
func (in *input) lastBorder(mt meter, row inputRow) int {
	last := 0
	for at := row.start; at < row.end; {
		last = at - row.start
		_, size := in.cell(mt, at, 0)
		at += size
	}
	return last
}

// view draws at most height rows around the cursor, each of exactly width cells,
// and says where the cursor stands among them.
func (in *input) view(mt meter, width, height int) (lines []string, x, y int) {
	rows := in.rows(mt, width-1) // the last cell is the cursor's
	cur := in.row(rows)
	top := max(0, min(cur-height/2, len(rows)-height))
	if cur < height {
		top = max(0, min(top, cur))
	}
	for i := top; i < len(rows) && i < top+height; i++ {
		var sb strings.Builder
		col := 0
		for at := rows[i].start; at < rows[i].end; {
			w, size := in.cell(mt, at, col)
			if in.text[at] == '\t' {
				sb.WriteString(spaces(w))
			} else {
				c, _, _ := mt.next(in.text[at:])
				sb.WriteString(c)
			}
			col += w
			at += size
		}
		sb.WriteString(spaces(width - col))
		lines = append(lines, sb.String())
	}
	return lines, in.column(mt, rows[cur], in.cur), cur - top
}
