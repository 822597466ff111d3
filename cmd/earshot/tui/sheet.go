package tui

import (
	"context"
	"slices"

	tea "charm.land/bubbletea/v2"
)

// sheet covers the screen until it is closed: the help, a request to decide on, a
// form. Sheets lie on one another; the one on top is drawn and has the keys.
type sheet struct {
	title string
	// build says what stands on the sheet now. It is asked whenever the sheet is
	// drawn or has a key, so that a sheet shows what is true while it is open.
	build func() content
	// field is where something can be written, nil for nowhere.
	field *field
	// chosen is the id of the item under the cursor. A name and not a position: an
	// item that comes or goes must not slip another one under the Enter key.
	chosen  string
	top     int  // the first line on the screen
	busy    bool // a call that it began has not returned
	problem string
	// about asks again for what the sheet shows, when that may have changed; nil
	// where events tell it all.
	about func() tea.Cmd
	// also is done by F2, nil for nothing; its label stands in the last line.
	also *item
}

// content is what stands on a sheet, from the top: text, the field, items to choose
// from.
type content struct {
	text  []para
	items []item
}

// para is a piece of text on a sheet.
type para struct {
	text  string
	style func(string) string // nil for plain
	title bool                // stands out to the left
	drawn []string            // lines to be shown as they are, in place of text
}

// item is something that can be chosen on a sheet; one without do is a heading.
type item struct {
	id    string // the same for as long as the sheet is open
	key   string // does it at once where nothing is written, "" for no such key
	label string
	tag   string // stands at the right
	note  string // says what it does, below
	do    func() tea.Cmd
	turn  func(delta int) tea.Cmd // what left and right do, nil for nothing
}

func plain(text string) para  { return para{text: text} }
func faint(text string) para  { return para{text: text, style: styleFaint.Styled} }
func title(text string) para  { return para{text: text, style: styleBold.Styled, title: true} }
func strong(text string) para { return para{text: text, style: styleBold.Styled} }
func alarm(text string) para  { return para{text: text, style: styleAlert.Styled} }

// push puts a sheet on top of those that are open.
func (m *model) push(p *sheet) {
	m.roster = false
	m.side.on = false
	m.sheets = append(m.sheets, p)
	m.sheetTop(p)
}

// pop closes the sheet on top.
func (m *model) pop() { m.sheets = m.sheets[:max(0, len(m.sheets)-1)] }

// drop closes p and whatever lies on it.
func (m *model) drop(p *sheet) {
	if i := slices.Index(m.sheets, p); i >= 0 {
		m.sheets = m.sheets[:i]
	}
}

// sheet returns the sheet on top, nil while none is open.
func (m *model) sheet() *sheet {
	if n := len(m.sheets); n > 0 {
		return m.sheets[n-1]
	}
	return nil
}

// didMsg answers a call that was begun with act.
type didMsg struct {
	sheet *sheet
	err   error
	then  func() tea.Cmd
}

// act makes a call for a sheet, nil for none, and runs then in the model's own
// goroutine when it has succeeded. A sheet makes one call at a time.
func (m *model) act(p *sheet, f func(ctx context.Context) error, then func() tea.Cmd) tea.Cmd {
	if p != nil {
		if p.busy {
			return nil
		}
		p.busy, p.problem = true, ""
	}
	return m.call(sendTimeout, func(ctx context.Context) tea.Msg { return didMsg{p, f(ctx), then} })
}

func (m *model) onDid(r didMsg) tea.Cmd {
	if r.sheet != nil {
		r.sheet.busy = false
	}
	switch {
	case r.err == nil && r.then != nil:
		return r.then()
	case r.err == nil:
	case r.sheet != nil && slices.Contains(m.sheets, r.sheet):
		r.sheet.problem = sentence(r.err)
	default:
		m.say(sentence(r.err), true)
	}
	return nil
}

// sheetTop puts the cursor of a sheet on its first item, unless it stands on one.
func (m *model) sheetTop(p *sheet) {
	items := p.build().items
	if p.index(items) < 0 {
		if i := step(items, -1, 1); i >= 0 {
			p.chosen = items[i].id
		}
	}
}

// index returns the position of the chosen item, -1 if it is gone.
func (p *sheet) index(items []item) int {
	return slices.IndexFunc(items, func(it item) bool { return it.id == p.chosen && it.do != nil })
}

// step returns the next item from i on in a direction, or -1.
func step(items []item, i, delta int) int {
	for i += delta; i >= 0 && i < len(items); i += delta {
		if items[i].do != nil {
			return i
		}
	}
	return -1
}

// onSheetKey applies a key to the sheet on top.
func (m *model) onSheetKey(p *sheet, k tea.KeyPressMsg) tea.Cmd {
	key := k.String()
	m.notice = notice{}
	switch key {
	case "esc":
		m.pop()
		return nil
	case "f1":
		if p.title != helpTitle {
			m.openHelp()
		} else {
			m.pop()
		}
		return nil
	case "f2":
		if p.also != nil {
			return m.doItem(p, *p.also)
		}
		return nil
	case "up", "shift+tab", "down", "tab", "pgup", "pgdown", "enter":
	default:
		if p.field == nil {
			break
		}
		if p.field.key(m, k) {
			p.problem = ""
			m.sheetTop(p)
		}
		return nil
	}
	content := p.build()
	switch key {
	case "up", "shift+tab":
		m.moveSheet(p, content, -1)
		return nil
	case "down", "tab":
		m.moveSheet(p, content, 1)
		return nil
	case "pgup":
		m.scrollSheet(p, -m.sheetful())
		return nil
	case "pgdown":
		m.scrollSheet(p, m.sheetful())
		return nil
	case "enter":
		if i := p.index(content.items); i >= 0 {
			return m.doItem(p, content.items[i])
		}
		if len(content.items) == 0 && p.field == nil {
			m.pop()
		}
		return nil
	}
	if i := p.index(content.items); i >= 0 && content.items[i].turn != nil && !p.busy {
		switch key {
		case "left":
			return content.items[i].turn(-1)
		case "right":
			return content.items[i].turn(1)
		}
	}
	for _, it := range content.items {
		if it.key != "" && it.key == key && it.do != nil {
			p.chosen = it.id
			return m.doItem(p, it)
		}
	}
	switch key {
	case "space":
		m.scrollSheet(p, m.sheetful())
	case "home":
		p.top = 0
	case "end":
		m.scrollSheet(p, 1<<20)
	case "q":
		if len(content.items) == 0 {
			m.pop()
		}
	case "?":
		help := p.title == helpTitle
		m.pop()
		if c := m.conv(); c != nil && help { // the second one was meant for the message
			m.write(c, "?")
		}
	}
	return nil
}

func (m *model) doItem(p *sheet, it item) tea.Cmd {
	if p.busy {
		return nil
	}
	p.problem = ""
	return it.do()
}

// moveSheet moves the cursor to the next item, or scrolls where there is none, or
// where the one under the cursor is not in sight.
func (m *model) moveSheet(p *sheet, c content, delta int) {
	at := p.index(c.items)
	if at < 0 && step(c.items, -1, 1) < 0 {
		m.scrollSheet(p, delta)
		return
	}
	laid := m.laySheet(p, c, m.width)
	space := m.sheetSpace()
	if at >= 0 {
		if from := laid.from[at]; delta > 0 && from >= p.top+space || delta < 0 && from < p.top {
			m.scrollSheet(p, delta)
			return
		}
	}
	next := step(c.items, at, delta)
	if at < 0 {
		next = step(c.items, -1, 1)
	}
	if next < 0 {
		m.scrollSheet(p, delta)
		return
	}
	p.chosen = c.items[next].id
	from, to := laid.from[next], laid.to[next]
	if next == step(c.items, -1, 1) && to <= space {
		from = 0 // what stands above the first one comes along
	}
	p.top = max(min(p.top, from), to-space)
}

// sheetSpace is how many lines of a sheet are on the screen.
func (m *model) sheetSpace() int { return m.height - 2 - len(m.sheetRemark(m.sheet())) }

func (m *model) sheetful() int { return max(1, m.height-3) }

func (m *model) scrollSheet(p *sheet, delta int) {
	most := len(m.laySheet(p, p.build(), m.width).lines) - m.sheetSpace()
	p.top = max(0, min(p.top+delta, most))
}

// clickSheet chooses what was clicked on.
func (m *model) clickSheet(p *sheet, y int) tea.Cmd {
	c := p.build()
	laid := m.laySheet(p, c, m.width)
	line := p.top + y - 1
	for i, it := range c.items {
		if it.do != nil && y > 0 && y <= m.sheetSpace() && line >= laid.from[i] && line < laid.to[i] {
			p.chosen = it.id
			return m.doItem(p, it)
		}
	}
	return nil
}

// question asks before something is done that can't be taken back: it says what
// will happen, and does nothing unless it is told to.
func (m *model) question(title, will, yes string, do func(p *sheet) tea.Cmd) {
	p := &sheet{title: title}
	p.build = func() content {
		return content{
			text: []para{plain(will)},
			items: []item{
				{id: "no", key: "n", label: "No, leave it as it is", do: func() tea.Cmd { m.drop(p); return nil }},
				{id: "yes", key: "y", label: "Yes, " + yes, do: func() tea.Cmd { return do(p) }},
			},
		}
	}
	m.push(p)
}
