package tui

import (
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"earshot/chat"
)

// TestPicture keeps testdata/screen.svg, the picture in the README, what the
// interface really looks like. Write it anew with go test -update.
func TestPicture(t *testing.T) {
	got := picture(t, pictured(t))
	if err := wellFormed(got); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "screen.svg")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Error("the picture is out of date; write it anew with go test -update, and look at it")
	}
}

// pictured is the conversation in the picture.
func pictured(t *testing.T) *stage {
	f := newFake()
	f.people[0].Name, f.me.Name = "Noor", "Noor"
	f.room("#coffee")
	f.room("#放課後")
	lena := f.person("Lena", chat.Here)
	tom := f.person("Tomás", chat.Here)
	haru := f.person("春樹", chat.Here)
	ife := f.person("Ife", chat.Gone)
	f.befriend(lena, chat.RelationVerified)
	f.befriend(ife, chat.RelationContact)
	release := f.private("#release", chat.HistoryAll, chat.RoleOwner, lena, ife)
	noor := chat.Author{Person: f.me.Person, Name: "Noor", Device: f.me.Device}
	f.clock = noon.Add(-4 * time.Minute)
	f.say(chat.Lobby, lena, "The uplink is down again, for the whole building.")
	f.say(chat.Lobby, lena, "No mail, no chat, no build server.")
	f.clock = noon.Add(-3 * time.Minute)
	f.say(chat.Lobby, tom, "And yet I can read you. 🎉")
	f.say(chat.Lobby, haru, "同じ部屋のネットワークだけで動くんだね。サーバーは要らない。")
	f.clock = noon.Add(-2 * time.Minute)
	read := f.say(chat.Lobby, noor, "On my way, with a printout and a ☕").ID
	f.clock = noon.Add(-time.Minute)
	f.say(chat.Lobby, tom, "I have the release notes here. Shall I paste them?")
	f.say(chat.Lobby, lena, "Please, into #release: Ife starts at one and will find them there.")
	f.rooms[0].ReadUpTo, f.rooms[0].Unread = &read, 2
	f.rooms[2].Unread = 11
	f.change(release.RoomID, func(r *chat.Room) { r.Unread = 2 })
	f.clock = noon
	s := open(t, f, 88, 24)
	s.event(chat.TypingEvent{Room: chat.Lobby, RoomID: chat.OpenRoom(chat.Lobby), From: tom, Typing: true})
	s.press("Who else is")
	return s
}

// Sizes in the picture, in its own units.
const (
	cellWide, cellHigh, baseline = 8.4, 18.0, 13.0
	pad                          = 14.0
)

// picture renders what is on the screen as SVG. It follows the reader's choice of
// light or dark, and gives each run its length, so that the columns stand whatever
// font there is.
func picture(t *testing.T, s *stage) string {
	v := s.m.View()
	checkScreen(t, s.m, v.Content)
	var sb strings.Builder
	width, height := float64(s.m.width)*cellWide+2*pad, float64(s.m.height)*cellHigh+2*pad
	fmt.Fprintf(&sb, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.1f %.1f" width="%.0f" height="%.0f">
<title>Earshot in a terminal</title>
<style>
text { font: 14px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #1b1f24; }
.screen { fill: #fdfdfb; stroke: #c9c9c4; } .bar, .cursor { fill: #1b1f24; } .on { fill: #fdfdfb; }
.b { font-weight: bold; } .f { opacity: .62; }
@media (prefers-color-scheme: dark) {
text { fill: #e4e6e8; } .screen { fill: #15181c; stroke: #33383e; } .bar, .cursor { fill: #e4e6e8; } .on { fill: #15181c; }
}
</style>
<rect class="screen" x="0.5" y="0.5" width="%.1f" height="%.1f" rx="8"/>
`, width, height, width, height, width-1, height-1)
	for row, line := range strings.Split(v.Content, "\n") {
		drawLine(t, &sb, line, row)
	}
	if c := v.Cursor; c != nil {
		fmt.Fprintf(&sb, "<rect class=\"cursor\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
			pad+float64(c.X)*cellWide, pad+float64(c.Y)*cellHigh+1, cellWide, cellHigh-2)
	}
	sb.WriteString("</svg>\n")
	return sb.String()
}

// drawLine writes one line of the screen as runs of one style; a wide character is
// a run of its own.
func drawLine(t *testing.T, sb *strings.Builder, line string, row int) {
	var run strings.Builder
	col, from, sgr := 0, 0, ""
	flush := func() {
		text := run.String()
		run.Reset()
		if strings.Contains(sgr, "\x1b[7m") {
			fmt.Fprintf(sb, "<rect class=\"bar\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
				pad+float64(from)*cellWide, pad+float64(row)*cellHigh, float64(col-from)*cellWide, cellHigh)
		}
		for part := range strings.SplitSeq(text, "  ") { // viewers make one space of several
			lead := len(part) - len(strings.TrimLeft(part, " "))
			if words := strings.Trim(part, " "); words != "" {
				fmt.Fprintf(sb, "<text x=\"%.1f\" y=\"%.1f\" textLength=\"%.1f\"%s>", pad+float64(from+lead)*cellWide,
					pad+float64(row)*cellHigh+baseline, float64(ansi.StringWidthWc(words))*cellWide, attributes(t, sgr))
				if err := xml.EscapeText(sb, []byte(words)); err != nil {
					t.Fatal(err)
				}
				sb.WriteString("</text>\n")
			}
			from += ansi.StringWidthWc(part) + 2
		}
		from = col
	}
	state := byte(ansi.NormalState)
	for line != "" {
		seq, width, n, next := ansi.DecodeSequenceWc(line, state, nil)
		line, state = line[n:], next
		switch {
		case strings.HasPrefix(seq, "\x1b["):
			flush()
			sgr = seq
		case width > 1:
			flush()
			run.WriteString(seq)
			col += width
			flush()
		default:
			run.WriteString(seq)
			col += width
		}
	}
	flush()
}

// attributes turns the few styles of this package into SVG.
func attributes(t *testing.T, sgr string) string {
	var r, g, b int
	switch n, _ := fmt.Sscanf(sgr, "\x1b[1;38;2;%d;%d;%dm", &r, &g, &b); {
	case n == 3:
		return fmt.Sprintf(` class="b" style="fill:#%02x%02x%02x"`, r, g, b)
	case sgr == "" || sgr == "\x1b[m":
		return ""
	case sgr == "\x1b[1m":
		return ` class="b"`
	case sgr == "\x1b[2m":
		return ` class="f"`
	case sgr == "\x1b[7m":
		return ` class="on"`
	}
	t.Fatalf("the picture knows no style %q", sgr)
	return ""
}

func wellFormed(svg string) error {
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		if _, err := d.Token(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}
