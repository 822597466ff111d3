package tui

import "fmt"

// laid is a sheet drawn whole: its lines, and where things stand among them.
type laid struct {
	lines    []string
	from, to []int // the lines of each item
	x, y     int   // the cursor of the field
}

// laySheet draws all of a sheet at a width.
func (m *model) laySheet(p *sheet, c content, width int) laid {
	var l laid
	for _, t := range c.text {
		l.lines = append(l.lines, m.paraLines(t, width)...)
	}
	if len(c.text) > 0 && (p.field != nil || len(c.items) > 0) {
		l.lines = append(l.lines, spaces(width))
	}
	if p.field != nil {
		lines, x, y := p.field.lines(m, width)
		l.x, l.y = x, y+len(l.lines)
		l.lines = append(l.lines, lines...)
	}
	chosen := p.index(c.items)
	for i, it := range c.items {
		if it.do == nil && i > 0 {
			l.lines = append(l.lines, spaces(width))
		}
		l.from = append(l.from, len(l.lines))
		l.lines = append(l.lines, m.itemLines(it, i == chosen, p.field == nil, width)...)
		l.to = append(l.to, len(l.lines))
	}
	return l
}

func (m *model) paraLines(t para, width int) []string {
	var lines []string
	for _, s := range t.drawn {
		lines = append(lines, "  "+s+spaces(width-2-m.meter.width(s)))
	}
	if t.drawn != nil {
		return lines
	}
	indent := 2 - one(t.title)
	for _, s := range m.meter.wrap(t.text, width-4) {
		pad := spaces(width - indent - m.meter.width(s))
		if t.style != nil && s != "" {
			s = t.style(s)
		}
		lines = append(lines, spaces(indent)+s+pad)
	}
	return lines
}

func (m *model) itemLines(it item, chosen, keys bool, width int) []string {
	if it.do == nil {
		return []string{styleBold.Styled(m.meter.fit(" "+it.label, width))}
	}
	label := it.label
	if keys && it.key != "" {
		label = "[" + it.key + "] " + label
	}
	tag := m.meter.cut(it.tag, width/2)
	if tag != "" {
		tag = " " + tag + " "
	}
	mark := " "
	if chosen {
		mark = m.glyphs.selected
	}
	line := mark + " " + m.meter.fit(label, width-2-m.meter.width(tag)) + tag
	if chosen {
		line = styleReverse.Styled(line)
	}
	lines := []string{line}
	if it.note == "" {
		return lines
	}
	for _, s := range m.meter.wrap(it.note, width-8) {
		lines = append(lines, "      "+styleFaint.Styled(s)+spaces(width-6-m.meter.width(s)))
	}
	return lines
}

// sheetRemark is what needs to be said on a sheet now, above its last line.
func (m *model) sheetRemark(p *sheet) []string {
	text, style := "", styleAlert
	switch {
	case m.quitArmed:
		text, style = "Press Ctrl+C again to quit.", styleFaint
	case p.problem != "":
		text = p.problem
	case m.notice.text != "":
		text = m.notice.text
		if !m.notice.alert {
			style = styleMark
		}
	case m.lost != "":
		text = m.lost
	}
	if text == "" {
		return nil
	}
	lines := m.meter.wrap(text, m.width-3)
	if most := max(2, m.height/4); len(lines) > most {
		lines = lines[:most]
		lines[most-1] = m.meter.cut(lines[most-1]+" "+m.glyphs.pending, m.width-3)
	}
	for i, s := range lines {
		lines[i] = "  " + style.Styled(s) + spaces(m.width-2-m.meter.width(s))
	}
	return lines
}

// sheetScreen is the whole screen while a sheet covers it, and where the cursor of
// its field stands; x is negative for nowhere.
func (m *model) sheetScreen(p *sheet) (lines []string, x, y int) {
	c := p.build()
	all := m.laySheet(p, c, m.width)
	remark := m.sheetRemark(p)
	space := m.height - 2 - len(remark)
	top := max(0, min(p.top, len(all.lines)-space))
	lines = []string{styleReverse.Styled(m.meter.fit(" "+p.title, m.width))}
	for i := range space {
		if at := top + i; at < len(all.lines) {
			lines = append(lines, all.lines[at])
		} else {
			lines = append(lines, spaces(m.width))
		}
	}
	x, y = -1, 0
	if p.field != nil && all.y >= top && all.y < top+space {
		x, y = all.x, 1+all.y-top
	}
	foot := "  Esc back"
	if step(c.items, -1, 1) >= 0 {
		foot += "  Up Down choose  Enter do it"
	}
	if i := p.index(c.items); i >= 0 && c.items[i].turn != nil {
		foot += "  Left Right change"
	}
	if p.also != nil {
		foot += "  F2 " + p.also.label
	}
	if len(all.lines) > space {
		scroll := "  PgUp PgDn scroll"
		if len(c.items) == 0 {
			scroll = "  Up Down scroll"
		}
		foot += fmt.Sprintf("%s  %d%%", scroll, 100*top/(len(all.lines)-space))
	}
	if p.busy {
		foot = "  Waiting for the node" + m.glyphs.pending
	}
	lines = append(lines, remark...)
	return append(lines, m.status(foot, m.width)), x, y
}
