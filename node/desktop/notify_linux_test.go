package desktop

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"

	"earshot/chat"
)

const notify = "org.freedesktop.Notifications."

// shower returns a session's bus on which a program shows notifications.
func (p *place) shower(can ...string) *fakeBus {
	bus := p.session()
	if can == nil {
		can = []string{}
	}
	bus.answer(notify+"GetCapabilities", can)
	id := uint32(0)
	bus.reply(notify+"Notify", func(args []any) []any {
		if before := args[1].(uint32); before != 0 {
			return []any{before}
		}
		id++
		return []any{id}
	})
	bus.answer(notify + "CloseNotification")
	return bus
}

func show(t *testing.T, p *place, n Note) {
	t.Helper()
	if err := p.d.Show(t.Context(), n); err != nil {
		t.Fatal(err)
	}
}

func TestANotificationTakesThePlaceOfTheOneBefore(t *testing.T) {
	p := newPlace(t)
	bus := p.shower()
	show(t, p, Note{Key: "a", Title: "Ann", Body: "hello"})
	c := awaitCall(t, bus, notify+"Notify")
	if c.args[0] != "Earshot" || c.args[1] != uint32(0) || c.args[3] != "Ann" || c.args[4] != "hello" {
		t.Errorf("shown: %v", c.args)
	}
	show(t, p, Note{Key: "b", Title: "Bob"})
	if c := awaitCall(t, bus, notify+"Notify"); c.args[1] != uint32(0) {
		t.Errorf("another conversation takes the place: %v", c.args)
	}
	show(t, p, Note{Key: "a", Title: "Ann (2)", Silent: true})
	c = awaitCall(t, bus, notify+"Notify")
	hints := c.args[6].(map[string]dbus.Variant)
	if c.args[1] != uint32(1) || hints["urgency"].Value() != urgencyLow || hints["suppress-sound"].Value() != true {
		t.Errorf("shown: %v", c.args)
	}
	if err := p.d.Withdraw(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if c := awaitCall(t, bus, notify+"CloseNotification"); c.args[0] != uint32(1) {
		t.Errorf("withdrawn: %v", c.args)
	}
	if err := p.d.Withdraw(t.Context(), "a"); err != nil {
		t.Error(err)
	}
}

// A stranger's words are words: nothing in them is markup, a link or an action.
func TestAStrangersWordsCannotBecomeMarkup(t *testing.T) {
	const evil = "<b>Bank</b> & <a href=\"http://evil\">click</a>\u202Egnp.exe\n\x1b[31m\x00"
	for _, tt := range []struct {
		can  []string
		want string
	}{
		{[]string{"body", "body-markup", "body-hyperlinks"}, "&lt;b&gt;Bank&lt;/b&gt; &amp; &lt;a href=\"http://evil\"&gt;click&lt;/a&gt;gnp.exe [31m"},
		{[]string{"body"}, "<b>Bank</b> & <a href=\"http://evil\">click</a>gnp.exe [31m"},
	} {
		p := newPlace(t)
		bus := p.shower(tt.can...)
		show(t, p, Note{Key: "a", Title: evil, Body: evil})
		c := awaitCall(t, bus, notify+"Notify")
		if c.args[4] != tt.want {
			t.Errorf("shown: %q, not %q", c.args[4], tt.want)
		}
		if title := c.args[3].(string); strings.ContainsAny(title, "\n\x1b\x00\u202E") {
			t.Errorf("titled: %q", title)
		}
		if actions := c.args[5].([]string); len(actions) != 0 {
			t.Errorf("it can be clicked: %v", actions)
		}
	}
}

func TestALongNotificationIsCut(t *testing.T) {
	p := newPlace(t)
	bus := p.shower()
	show(t, p, Note{Key: "a", Title: strings.Repeat("ä", maxTitle), Body: strings.Repeat("ä", chat.MaxText)})
	c := awaitCall(t, bus, notify+"Notify")
	if len(c.args[3].(string)) > maxTitle || len(c.args[4].(string)) > maxBody {
		t.Errorf("shown: %d and %d bytes", len(c.args[3].(string)), len(c.args[4].(string)))
	}
}

func TestWhatThePersonHasClosedStaysClosed(t *testing.T) {
	p := newPlace(t)
	bus := p.shower()
	show(t, p, Note{Key: "a", Title: "1"})
	awaitCall(t, bus, notify+"Notify")
	bus.emit(notifyPath, notifications12, "NotificationClosed", uint32(1), uint32(2))
	p.awaitForgotten(t, "a")
	show(t, p, Note{Key: "a", Title: "2", Silent: true}) // would show it anew
	show(t, p, Note{Key: "a", Title: "3"})               // does
	if c := awaitCall(t, bus, notify+"Notify"); c.args[3] != "3" || c.args[1] != uint32(0) {
		t.Errorf("shown: %v", c.args)
	}
}

// awaitForgotten waits until nothing is shown under a key.
func (p *place) awaitForgotten(t *testing.T, key string) {
	t.Helper()
	q := p.d.notes
	q.mu.Lock()
	defer q.mu.Unlock()
	sig := <-q.closed
	again := make(chan *dbus.Signal, 1)
	again <- sig
	was := q.closed
	q.closed = again
	q.drain()
	q.closed = was
	if q.ids[key] != 0 {
		t.Errorf("%q is thought to be shown", key)
	}
}

func TestWhyNothingCanBeShownIsSaidInASentence(t *testing.T) {
	p := newPlace(t)
	err := p.d.Show(t.Context(), Note{Key: "a", Title: "x"})
	if chat.CodeOf(err) != chat.CodeUnreachable || !strings.Contains(err.Error(), "No desktop session") {
		t.Errorf("without a session: %v", err)
	}
	bus := p.session()
	err = p.d.Show(t.Context(), Note{Key: "a", Title: "x"})
	if chat.CodeOf(err) != chat.CodeUnreachable || !strings.Contains(err.Error(), "No program") {
		t.Errorf("without a program that shows them: %v", err)
	}
	bus.end()
	if err := p.d.Withdraw(t.Context(), "a"); err != nil {
		t.Errorf("nothing is shown, and to take that back fails: %v", err)
	}
}

func TestNotificationsComeBackWithTheSession(t *testing.T) {
	p := newPlace(t)
	bus := p.shower()
	show(t, p, Note{Key: "a", Title: "1"})
	bus.end()
	for p.d.notes.conn.Connected() {
		<-p.d.notes.conn.Context().Done()
	}
	bus = p.shower()
	show(t, p, Note{Key: "a", Title: "2"})
	if c := awaitCall(t, bus, notify+"Notify"); c.args[1] != uint32(0) {
		t.Errorf("it takes the place of one of another session: %v", c.args)
	}
}

// server shows notifications on a bus of its own.
type server struct{ shown chan string }

func (s server) GetCapabilities() ([]string, *dbus.Error) { return []string{"body"}, nil }

func (s server) Notify(_ string, before uint32, _, title, body string, _ []string, _ map[string]dbus.Variant, _ int32) (uint32, *dbus.Error) {
	s.shown <- fmt.Sprint(before, " ", title, " ", body)
	return 7, nil
}

func (s server) CloseNotification(id uint32) *dbus.Error {
	s.shown <- fmt.Sprint("closed ", id)
	return nil
}

func TestARealBusCarriesNotifications(t *testing.T) {
	daemon, err := exec.LookPath("dbus-daemon")
	if err != nil {
		t.Skip("there is no dbus-daemon here; the other tests have a bus of their own")
	}
	p := newPlace(t)
	address := "unix:path=" + filepath.Join(p.dir, "bus")
	cmd := exec.CommandContext(t.Context(), daemon, "--session", "--nofork", "--nopidfile", "--print-address", "--address="+address)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if _, err := out.Read(make([]byte, 1)); err != nil { // it listens
		t.Fatal(err)
	}
	conn, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	s := server{make(chan string, 10)}
	if err := conn.Export(s, notifyPath, notifications12); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.RequestName(notifications12, dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
	show(t, p, Note{Key: "a", Title: "Ann", Body: "hello"})
	show(t, p, Note{Key: "a", Title: "Ann (2)", Body: "hello?"})
	if err := p.d.Withdraw(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"0 Ann hello", "7 Ann (2) hello?", "closed 7"} {
		if got := <-s.shown; got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}
