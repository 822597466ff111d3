package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/clipperhouse/displaywidth"
	"github.com/mattn/go-isatty"

	"earshot/chat"
	"earshot/cmd/earshot/wording"
)

// This file is the one way to a person's eyes. Rules that hold here:
//
//   - What was asked for goes to standard output, everything else to standard
//     error, so that a pipe carries nothing but the answer.
//   - With --json standard output carries objects, one per line, and nothing else.
//   - Text that others wrote passes chat.CleanText once more before it is shown,
//     although it has been cleaned where it came in.
//   - A line is one write: it is there at once, and is never torn.
//   - A column is as wide as what it shows, not as the bytes of that.

// printer writes for one command.
type printer struct {
	out, errs io.Writer
	json      bool
	terminal  bool           // out is one
	ids       bool           // messages bear the beginning of their ids
	me        *chat.PersonID // who this person is, if that is known
	now       func() time.Time
	zone      *time.Location
}

func newPrinter(out, errs io.Writer) *printer {
	return &printer{out: out, errs: errs, terminal: isTerminal(out), now: time.Now, zone: time.Local}
}

func isTerminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && (isatty.IsTerminal(file.Fd()) || isatty.IsCygwinTerminal(file.Fd()))
}

// line prints one line of an answer to a person.
func (p *printer) line(format string, args ...any) error {
	_, err := fmt.Fprintf(p.out, format+"\n", args...)
	return err
}

// object prints v as one line of JSON.
func (p *printer) object(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return p.raw(b)
}

func (p *printer) raw(b []byte) error {
	_, err := p.out.Write(append(b, '\n'))
	return err
}

// note tells a person something that they did not ask for. Programs are spared.
func (p *printer) note(format string, args ...any) {
	if !p.json {
		fmt.Fprintf(p.errs, format+"\n", args...)
	}
}

// fail says what is wrong and what to do next.
func (p *printer) fail(e *chat.Error) {
	if p.json {
		b, _ := json.Marshal(map[string]*chat.Error{"error": e})
		fmt.Fprintf(p.errs, "%s\n", b)
		return
	}
	fmt.Fprintf(p.errs, "earshot: %s\n", chat.CleanText(e.Error()))
}

// cell returns text from others for one place on one line.
func cell(s string) string {
	return strings.Join(strings.Fields(chat.CleanText(s)), " ")
}

// table prints rows under a header, with columns aligned. The last column is not
// padded. Without rows it prints only what to say then, to standard error.
func (p *printer) table(header []string, rows [][]string, none string) error {
	if len(rows) == 0 {
		p.note("%s", none)
		return nil
	}
	_, err := io.WriteString(p.out, strings.Join(aligned(append([][]string{header}, rows...)), "\n")+"\n")
	return err
}

// aligned returns a line for each row, with the columns aligned.
func aligned(rows [][]string) []string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i := range row {
			row[i] = cell(row[i])
			widths[i] = max(widths[i], displaywidth.String(row[i]))
		}
	}
	var lines []string
	for _, row := range rows {
		var line strings.Builder
		for i, c := range row {
			line.WriteString(c)
			if i < len(row)-1 {
				line.WriteString(strings.Repeat(" ", widths[i]-displaywidth.String(c)+2))
			}
		}
		lines = append(lines, line.String())
	}
	return lines
}

// fields prints names and values in two columns; a value may have several lines.
func (p *printer) fields(rows [][2]string) error {
	width := 0
	for _, r := range rows {
		width = max(width, displaywidth.String(r[0]))
	}
	var buf bytes.Buffer
	for _, r := range rows {
		name := r[0]
		for line := range strings.SplitSeq(chat.CleanText(r[1]), "\n") {
			fmt.Fprintf(&buf, "%s%s  %s\n", name, strings.Repeat(" ", width-displaywidth.String(name)), line)
			name = ""
		}
	}
	_, err := p.out.Write(buf.Bytes())
	return err
}

// stamp is a moment as a person wants it: the time, and the day if it is another.
func (p *printer) stamp(t time.Time) string {
	t, now := t.In(p.zone), p.now().In(p.zone)
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format("15:04")
	}
	return t.Format("2006-01-02 15:04")
}

// message prints one message; where says to name its room. Further lines of it are
// indented, so that nobody can write what looks like another message.
func (p *printer) message(m chat.Message, where bool) error {
	if p.json {
		return p.object(typedMessage{"message", m})
	}
	return p.line("%s", p.said(m, where))
}

// said is a message as it is printed.
func (p *printer) said(m chat.Message, where bool) string {
	room := ""
	switch to, direct := strings.CutPrefix(cell(m.Room), "@"); {
	case where && !direct:
		room = " in " + cell(m.Room)
	case where && m.Mine:
		room = " to " + to
	case where:
		room = " to you"
	}
	id := ""
	if p.ids {
		id = m.ID.Short() + " "
	}
	text := strings.ReplaceAll(chat.CleanText(m.Text), "\n", "\n      ")
	if m.Removed != nil {
		by := cell(m.Removed.By.Name)
		if p.me != nil && m.Removed.By.Person == *p.me {
			by = "You"
		}
		text = "(" + wording.Removed(by, 0, 0) + ")"
	}
	line := fmt.Sprintf("%s%s %s%s: %s", id, p.stamp(m.SentAt), cell(m.From.Name), room, text)
	if notes := messageNotes(m); len(notes) > 0 {
		line += "  [" + strings.Join(notes, ", ") + "]"
	}
	var signs []string
	for _, r := range m.Reactions {
		sign := cell(r.Sign)
		if len(r.People) > 1 {
			sign += fmt.Sprintf(" %d", len(r.People))
		}
		signs = append(signs, sign)
	}
	if len(signs) > 0 {
		line += "\n      " + strings.Join(signs, "  ")
	}
	return line
}

// messageNotes is what stands behind a message.
func messageNotes(m chat.Message) (notes []string) {
	if m.ReplyTo != nil {
		notes = append(notes, "answers "+m.ReplyTo.Short())
	}
	if m.MentionsMe {
		notes = append(notes, "calls you")
	}
	if !m.EditedAt.IsZero() {
		notes = append(notes, "edited")
	}
	if m.Late {
		notes = append(notes, "came late")
	}
	if m.State != nil && m.State.Of > 0 && m.Removed == nil {
		notes = append(notes, wording.State(*m.State))
	}
	return notes
}

// typedMessage is a message in the form that events of messages have, without the
// cursor that only a stream knows.
type typedMessage struct {
	Type string `json:"type"`
	chat.Message
}

// event prints one event as JSON.
func (p *printer) event(e chat.Event) error {
	b, err := chat.MarshalEvent(e)
	if err != nil {
		return err
	}
	return p.raw(b)
}
