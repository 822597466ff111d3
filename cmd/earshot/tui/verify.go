package tui

import (
	"context"
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"earshot/chat"
)

// This file is how the user makes sure of who somebody is.

// openVerify shows the ways to make sure of a contact. Where they want to compare
// symbols, that begins at once; otherwise nobody is told.
func (m *model) openVerify(who chat.PersonID) tea.Cmd {
	p := &sheet{title: "Verify " + m.who.of(who)}
	p.build = func() content { return m.verifyContent(p, who) }
	v, known := m.checks[who]
	if known && v.State.Over() {
		delete(m.checks, who)
	}
	m.push(p)
	if v.State == chat.VerificationAsked {
		return m.compare(p, who)
	}
	return m.check(p, who, m.client.Verification)
}

// compare begins a comparison of symbols, or joins theirs.
func (m *model) compare(p *sheet, who chat.PersonID) tea.Cmd {
	delete(m.checks, who)
	return m.check(p, who, m.client.StartVerification)
}

// check asks the node about a verification. Events that came meanwhile know better.
func (m *model) check(p *sheet, who chat.PersonID, ask func(context.Context, chat.PersonID) (chat.Verification, error)) tea.Cmd {
	var v chat.Verification
	return m.act(p, func(ctx context.Context) (err error) {
		v, err = ask(ctx, who)
		return err
	}, func() tea.Cmd {
		if now, known := m.checks[who]; known && now.State != "" {
			v.State, v.Symbols, v.Reason = now.State, now.Symbols, now.Reason
		}
		m.checks[who] = v
		m.sheetTop(p)
		return nil
	})
}

func (m *model) verifyContent(p *sheet, who chat.PersonID) content {
	v, known := m.checks[who]
	name := m.who.of(who)
	if !known {
		return content{}
	}
	say := func(same bool) func() tea.Cmd {
		return func() tea.Cmd {
			return m.act(p, func(ctx context.Context) error { return m.client.SayVerification(ctx, who, same) }, nil)
		}
	}
	stop := item{
		id: "stop", key: "x", label: "Call it off", do: func() tea.Cmd {
			return m.act(p, func(ctx context.Context) error { return m.client.CancelVerification(ctx, who) }, func() tea.Cmd { m.drop(p); return nil })
		},
	}
	again := item{
		id: "again", key: "s", label: "Compare symbols with " + name, note: "They are asked whether they want to, now.",
		do: func() tea.Cmd { return m.compare(p, who) },
	}
	switch v.State {
	case chat.VerificationWaiting:
		c := content{text: []para{
			strong("Waiting for " + name + m.glyphs.pending), plain(""),
			plain("Tell them to verify you too: they see it among what waits for them (F4). Then seven symbols stand on both screens. Do it in one room, or in a call in which you know the voice."),
		}}
		c.text = append(c.text, m.otherWays(v, name)...)
		c.items = append(m.otherItems(p, v, who), stop)
		return c
	case chat.VerificationCompare, chat.VerificationSaid:
		c := content{text: []para{plain("Read them to each other, in person or in a call. Does " + name + " see the same, in the same order?"), plain("")}}
		c.text = append(c.text, para{drawn: m.symbolLines(v.Symbols)})
		if v.State == chat.VerificationSaid {
			c.text = append(c.text, plain(""), strong("You said that they are the same. Waiting for "+name+" to say it too"+m.glyphs.pending))
			c.items = []item{stop}
			return c
		}
		c.items = []item{
			{id: "later", label: "I have not compared them yet", note: "Do not guess: whoever stands between you two wins by it.", do: func() tea.Cmd { return nil }},
			{id: "same", key: "y", label: "Yes, they are the same", do: say(true)},
			{id: "different", key: "n", label: "No, they differ", do: say(false)},
			stop,
		}
		return c
	case chat.VerificationVerified:
		return content{text: []para{
			strong(name + " is verified " + m.glyphs.verified), plain(""),
			plain("Both of you hold each other's true key. From now on their name bears that sign, and should another key ever go by it, sending stops until you decide."),
		}}
	case chat.VerificationDifferent:
		return content{
			text: []para{
				alarm("The symbols differ: " + name + " is not verified."), plain(""),
				plain("Either one of you misread them, or somebody stands between you two and reads along. Say nothing here that must stay between you. Try again in person; if they differ again, believe it."),
			},
			items: []item{again},
		}
	}
	c := content{}
	if v.Reason != "" {
		c.text = append(c.text, strong(safeText(v.Reason)), plain(""))
	}
	if m.who.verified[who] {
		c.text = append(c.text, plain("You have verified "+name+" "+m.glyphs.verified), plain(""))
	}
	c.text = append(c.text, plain("The quickest way: compare seven symbols, side by side or in a call. Both of you have to be here."))
	c.text = append(c.text, m.otherWays(v, name)...)
	c.items = append([]item{again}, m.otherItems(p, v, who)...)
	return c
}

// symbolLines draws the symbols large enough to be read out: two to a line where
// there is room.
func (m *model) symbolLines(symbols []string) []string {
	var lines []string
	for i, s := range symbols {
		s = oneLine(safeText(s))
		picture, word, ok := strings.Cut(s, " ")
		if !ok {
			picture, word = "", s
		}
		lines = append(lines, fmt.Sprintf("  %d   %s %s", i+1, m.meter.fit(picture, 3), styleBold.Styled(m.meter.cut(word, m.width-16))))
	}
	return lines
}

// otherWays are the ways to verify that need nobody to be here.
func (m *model) otherWays(v chat.Verification, name string) []para {
	if v.Number == "" {
		return nil
	}
	text := []para{
		plain(""), strong("Or compare this number, by any way on which you know it is " + name + ":"),
		{drawn: m.numberLines(v.Number, m.width-6)},
		faint("It is the same on both devices, always. To compare it here, choose below and type or paste theirs."),
	}
	return text
}

// numberLines breaks a number of groups into lines of whole groups, four to a line.
func (m *model) numberLines(number string, width int) []string {
	groups := strings.Fields(safeText(number))
	per := max(1, min(4, (width-2)/6))
	var lines []string
	for len(groups) > 0 {
		n := min(per, len(groups))
		lines = append(lines, "  "+styleBold.Styled(m.meter.cut(strings.Join(groups[:n], " "), width-2)))
		groups = groups[n:]
	}
	return lines
}

func (m *model) otherItems(p *sheet, v chat.Verification, who chat.PersonID) []item {
	var items []item
	name := m.who.of(who)
	if v.Number != "" {
		items = append(items, item{
			id: "type", key: "t", label: "Type " + name + "'s number, or the text of their QR code" + m.glyphs.pending,
			do: func() tea.Cmd { m.openEvidence(who, ""); return nil },
		})
	}
	if v.QR != "" {
		items = append(items, item{
			id: "qr", key: "q", label: "Show my QR code" + m.glyphs.pending,
			do: func() tea.Cmd { m.openQR("For "+name+" to scan", v.QR); return nil },
		})
	}
	return items
}

// openEvidence takes the other's number.
func (m *model) openEvidence(who chat.PersonID, text string) {
	name := m.who.of(who)
	p := &sheet{title: "Verify " + name, field: newField("Their 60 digits, or the text of their QR code", text)}
	p.field.bytes = 1024
	p.build = func() content {
		return content{
			text: []para{plain("Take it from " + name + " by a way on which you know it is them: read out in a call, on paper, from their screen. What comes through Earshot itself proves nothing.")},
			items: []item{{
				id: "check", label: "Check it", do: func() tea.Cmd {
					evidence := strings.TrimSpace(p.field.in.text)
					if evidence == "" {
						p.problem = "Type or paste the number first."
						return nil
					}
					return m.act(p, func(ctx context.Context) error { return m.client.MarkVerified(ctx, who, evidence) }, func() tea.Cmd {
						delete(m.checks, who)
						return m.doneAll(name + " is verified " + m.glyphs.verified)()
					})
				},
			}},
		}
	}
	m.push(p)
}

// onVerification notes how far a comparison has come.
func (m *model) onVerification(v chat.Verification) {
	old := m.checks[v.Person]
	if v.Number == "" {
		v.Number, v.QR = old.Number, old.QR
	}
	m.checks[v.Person] = v
	if v.State == chat.VerificationAsked && old.State != v.State {
		m.say(m.who.of(v.Person)+" wants to compare symbols with you, to make sure of each other. F4 shows it.", false)
	}
	if v.State == chat.VerificationEnded && old.State == chat.VerificationAsked {
		delete(m.checks, v.Person)
	}
	if p := m.sheet(); p != nil {
		m.sheetTop(p)
	}
}
