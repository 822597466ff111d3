package tui

import (
	"context"
	"strconv"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"earshot/chat"
)

// The smallest terminal that is drawn, and from where the side column shows.
const (
	minWidth, minHeight = 40, 10
	sideFrom            = 64
)

// model is the whole state of the interface. bubbletea's event loop is the only
// one that touches it.
type model struct {
	ctx    context.Context
	client Client
	opt    Options
	events <-chan happening
	now    func() time.Time
	after  func(time.Duration, tea.Msg) tea.Cmd

	width, height int
	meter         meter
	glyphs        *glyphs
	focused       bool // the terminal has the user's attention, as far as it tells
	mouse         bool
	whole         bool // long messages are not folded

	me      chat.Me
	who     *directory
	rooms   []*conversation // in the order of the side column
	current int

	contacts    map[chat.PersonID]chat.Contact // whoever there is a relation with
	invitations []chat.Invitation
	checks      map[chat.PersonID]chat.Verification // as far as they came in this session
	pairing     chat.Pairing
	devices     []chat.OwnDevice // nil until asked for
	privacy     chat.Privacy
	own         chat.OwnStatus
	alerts      chat.Alerts
	activeAt    time.Time // when the node was last told that the user is here
	arrange     arrangement

	notice    notice
	warnings  []chat.Error // what is wrong now, newest last
	lost      string       // why the node can't be reached, "" while it can
	loaded    bool         // rooms and people were read once
	loading   bool         // they are being read
	reload    bool         // read them again when that is done
	viewed    chat.RoomID  // the room that the node was told is on the screen
	keeper    chat.Keeper
	syncing   int      // entries received while catching up, 0 when idle
	quitArmed bool     // Ctrl+C was pressed once
	ending    bool     // the user wants to quit, a message is still under way
	sheets    []*sheet // open ones, the one on top last
	side      sideCursor
	roster    bool // the side column fills a narrow screen
	completer completer
	ticks     int // ticks asked for
	retrying  bool
	ids       int // client ids given out
	running   running
}

// notice is a sentence in the line above the input.
type notice struct {
	text  string
	alert bool
	at    time.Time
}

func newModel(ctx context.Context, c Client, opt Options) *model {
	if opt.Title == "" {
		opt.Title = "Earshot"
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Local == nil {
		opt.Local = time.Local
	}
	opt.Commands = withBuiltins(opt.Commands)
	g := environmentGlyphs()
	m := &model{
		ctx: ctx, client: c, opt: opt, now: opt.Now, focused: true, mouse: true,
		glyphs: &g, who: newDirectory(opt.Local), meter: meter{ansi.WcWidth},
		contacts: map[chat.PersonID]chat.Contact{}, checks: map[chat.PersonID]chat.Verification{},
	}
	m.after = m.wake
	return m
}

// Init begins to read the rooms, the people and the events.
func (m *model) Init() tea.Cmd {
	m.loading = true
	return tea.Batch(m.loadAll(), nextEvents(m.events), m.tick())
}

// conv returns the conversation on the screen, nil before there is one.
func (m *model) conv() *conversation {
	if m.current >= len(m.rooms) {
		return nil
	}
	return m.rooms[m.current]
}

// frame is how the screen is divided.
type frame struct {
	side   int  // cells of the side column, 0 for none
	main   int  // cells of the conversation
	banner bool // a line below the header
	talk   int  // lines of the conversation
	state  int  // lines above the input
	input  int  // lines of the input
}

const prompt = 2 // cells before the input

// layout divides the screen. It depends on what is being written.
func (m *model) layout() frame {
	f := frame{main: m.width, banner: m.banner() != ""}
	if m.width >= sideFrom {
		f.side = min(28, max(20, m.width/5))
		f.main = m.width - f.side - 1
	}
	body := m.height - 2 // without the header and the help line
	f.input = 1
	if c := m.conv(); c != nil {
		rows := len(c.in.rows(m.meter, f.main-prompt-1))
		if words, _ := m.barred(c); words != "" {
			rows = len(m.meter.wrap(words, f.main-prompt-1))
		}
		f.input = min(rows, max(1, min(8, body/3)))
	}
	f.state = len(m.stateLines(f.main, m.stateLimit()))
	f.talk = body - f.input - f.state - one(f.banner) - len(m.unreadableLines(f.main)) - len(m.missingLines(f.main))
	return f
}

// stateLimit is how many lines there may be above the input.
func (m *model) stateLimit() int { return max(1, min(3, m.height/5)) }

// View draws the screen: exactly width by height cells.
func (m *model) View() tea.View {
	v := tea.View{AltScreen: true, ReportFocus: true, WindowTitle: m.title()}
	if m.mouse {
		v.MouseMode = tea.MouseModeCellMotion
	}
	switch {
	case m.width == 0:
	case m.width < minWidth || m.height < minHeight:
		v.SetContent(joinLines(m.tooSmall()))
	case m.sheet() != nil:
		lines, x, y := m.sheetScreen(m.sheet())
		v.SetContent(joinLines(lines))
		if x >= 0 {
			v.Cursor = tea.NewCursor(x, y)
		}
	default:
		lines, x, y := m.screen()
		v.SetContent(joinLines(lines))
		if !m.side.on && x < m.width {
			v.Cursor = tea.NewCursor(x, y)
		}
	}
	return v
}

// title is what the terminal's window is called: with how much is unread that may alert
// the user, if they want that told.
func (m *model) title() string {
	unread := 0
	for _, c := range m.rooms {
		switch {
		case !m.alerts.Title, c.room.Alerts == chat.AlertNone:
		case c.room.Alerts == chat.AlertMentions:
			unread += c.room.Mentions
		default:
			unread += c.room.Unread
		}
	}
	s := m.opt.Title
	if c := m.conv(); c != nil {
		s += " " + m.roomName(c.room)
	}
	if unread > 0 {
		s = "(" + strconv.Itoa(unread) + ") " + s
	}
	return s
}

// tooSmall is the whole screen of a terminal that is too small to draw in.
func (m *model) tooSmall() []string {
	s := "Earshot needs " + strconv.Itoa(minWidth) + "x" + strconv.Itoa(minHeight) +
		" characters. Make the window larger, or press Ctrl+Q to quit."
	lines := m.meter.wrap(s, m.width)
	out := make([]string, m.height)
	for i := range out {
		if i < len(lines) {
			out[i] = lines[i]
		}
		out[i] = m.meter.fit(out[i], m.width)
	}
	return out
}

// refreshLook tells the conversation on the screen how it is to be drawn.
func (m *model) refreshLook(f frame) {
	if c := m.conv(); c != nil {
		c.setLook(m.lookFor(f))
	}
}

func (m *model) lookFor(f frame) look {
	return look{
		width: f.main, meter: m.meter, airy: m.height >= 20, whole: m.whole,
		today: dayNumber(m.now().In(m.who.local)), names: m.who.gen, style: m.glyphs,
	}
}
