package tui

import (
	"strconv"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
)

// fieldLines is how many lines of a field are shown at once.
const fieldLines = 3

// field is a line on a sheet where something can be written, with a bound that
// shows.
type field struct {
	in    input
	label string
	empty string // stands in it while nothing is written
	most  int    // characters, 0 for no bound but that of in
	bytes int    // the same in bytes
}

func newField(label, text string) *field {
	f := &field{label: label, in: input{goal: -1}}
	f.in.set(text)
	return f
}

// key applies a key to what is written and reports whether that has changed.
func (f *field) key(m *model, k tea.KeyPressMsg) bool {
	before := f.in.text
	if f.in.edit(k.String(), m.meter) {
		return f.in.text != before
	}
	return f.write(m, k.Text)
}

// write writes text at the cursor, as far as there is room; a field has no lines.
func (f *field) write(m *model, text string) bool {
	text = oneLine(safeTyped(text))
	wrote := false
	for text != "" {
		_, _, size := m.meter.next(text)
		part := text[:size]
		if f.full(part) || !f.in.insert(part) {
			break
		}
		wrote = true
		text = text[size:]
	}
	return wrote
}

func (f *field) full(more string) bool {
	return f.most > 0 && utf8.RuneCountInString(f.in.text)+utf8.RuneCountInString(more) > f.most ||
		f.bytes > 0 && len(f.in.text)+len(more) > f.bytes
}

// count says how much of the room is used, "" where there is no bound.
func (f *field) count() string {
	switch {
	case f.most > 0:
		return strconv.Itoa(utf8.RuneCountInString(f.in.text)) + "/" + strconv.Itoa(f.most)
	case f.bytes > 0 && len(f.in.text) > f.bytes/2:
		return strconv.Itoa(len(f.in.text)) + "/" + strconv.Itoa(f.bytes)
	}
	return ""
}

// lines draws a field at a width, and says where the cursor stands in it.
func (f *field) lines(m *model, width int) (lines []string, x, y int) {
	const indent = 2
	lines = []string{" " + styleBold.Styled(m.meter.fit(f.label, width-1))}
	count := f.count()
	rows, cx, cy := f.in.view(m.meter, width-indent-prompt-len(count)-2, fieldLines)
	if f.in.text == "" {
		rows[0] = styleFaint.Styled(m.meter.fit(f.empty, width-indent-prompt-len(count)-2))
	}
	for i, r := range rows {
		mark, tail := spaces(prompt), spaces(len(count))
		if i == 0 {
			mark, tail = styleBold.Styled(m.glyphs.pointer)+" ", styleFaint.Styled(count)
		}
		lines = append(lines, spaces(indent)+mark+r+" "+tail+" ")
	}
	return append(lines, spaces(width)), indent + prompt + cx, 1 + cy
}

// oneLine puts a space in place of each newline and tab.
func oneLine(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c == '\n' || c == '\t' {
			b[i] = ' '
		}
	}
	return string(b)
}
