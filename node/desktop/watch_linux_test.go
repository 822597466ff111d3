package desktop

import (
	"context"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

const getIdle = "org.gnome.Mutter.IdleMonitor.GetIdletime"

func TestGNOMETellsWhoIsThere(t *testing.T) {
	p := newPlace(t)
	bus := p.session()
	bus.answer(getIdle, uint64(200))
	seen := p.watch()
	seen.until("somebody", func(i Idle) bool { return i.By == "gnome" && i.Since.IsZero() && i.Problem == "" })
	bus.answer(getIdle, uint64(5*time.Minute/time.Millisecond))
	i := seen.until("nobody", func(i Idle) bool { return !i.Since.IsZero() })
	if ago := time.Since(i.Since); ago < 5*time.Minute || ago > 6*time.Minute {
		t.Errorf("nobody is there for %v", ago)
	}
	bus.answer(getIdle, uint64(0))
	seen.until("somebody", func(i Idle) bool { return i.Since.IsZero() })
}

// An answer differs by a little each time; that is nothing new.
func TestThatNobodyIsThereIsToldOnce(t *testing.T) {
	p := newPlace(t)
	bus := p.session()
	began := time.Now().Add(-time.Hour)
	bus.reply(getIdle, func([]any) []any { return []any{uint64(time.Since(began).Milliseconds())} })
	seen := p.watch()
	seen.until("nobody", func(i Idle) bool { return !i.Since.IsZero() })
	for n := 0; n < 50; {
		if c := <-bus.calls; c.method == getIdle {
			n++
		}
	}
	if n := len(seen.told); n != 0 {
		t.Errorf("it was told %d more times: %+v", n, <-seen.told)
	}
}

func TestADaemonThatStartsBeforeTheDesktopFindsIt(t *testing.T) {
	p := newPlace(t)
	seen := p.watch()
	seen.until("why nothing is known", func(i Idle) bool { return i.By == "" && i.Problem != "" })
	bus := p.session()
	bus.answer(getIdle, uint64(0))
	seen.until("somebody", func(i Idle) bool { return i.By == "gnome" && i.Problem == "" })
	bus.end() // they log out
	seen.until("why nothing is known", func(i Idle) bool { return i.By == "" && i.Problem != "" })
	again := p.session()
	again.answer(getIdle, uint64(0))
	seen.until("somebody", func(i Idle) bool { return i.By == "gnome" })
}

func TestLockingTheScreenIsToldAtOnce(t *testing.T) {
	for _, name := range screenSavers {
		p := newPlace(t)
		bus := p.session()
		bus.answer(getIdle, uint64(0))
		bus.answer(name+".GetActive", true)
		seen := p.watch()
		seen.until(name+": a screen that was locked before", func(i Idle) bool { return i.Locked })
		bus.emit("/", name, "ActiveChanged", false)
		seen.until(name+": unlocked", func(i Idle) bool { return !i.Locked })
		bus.emit("/", name, "ActiveChanged", true)
		seen.until(name+": locked", func(i Idle) bool { return i.Locked })
		bus.emit("/org/freedesktop/DBus", "org.freedesktop.DBus", "NameOwnerChanged", name, ":1.5", "")
		seen.until(name+": who locked it has ended", func(i Idle) bool { return !i.Locked })
		bus.emit("/", name, "ActiveChanged", true)
		seen.until(name+": locked", func(i Idle) bool { return i.Locked })
		bus.end()
		seen.until(name+": the session has ended", func(i Idle) bool { return !i.Locked })
	}
}

// login returns a system bus with a logind on it that knows a session.
func (p *place) login(kind string) *fakeBus {
	bus := p.machine()
	bus.answer("get Id", dbus.MakeVariant("c1"))
	bus.answer("org.freedesktop.login1.Manager.GetSession", dbus.ObjectPath("/org/freedesktop/login1/session/c1"))
	bus.answer("get IdleHint", dbus.MakeVariant(false))
	bus.answer("get IdleSinceHint", dbus.MakeVariant(uint64(0)))
	bus.answer("get LockedHint", dbus.MakeVariant(false))
	bus.answer("get Type", dbus.MakeVariant(kind))
	return bus
}

const sessionPath = "/org/freedesktop/login1/session/c1"

func TestLogindTellsOfATerminal(t *testing.T) {
	p := newPlace(t)
	bus := p.login("tty")
	seen := p.watch()
	seen.until("somebody", func(i Idle) bool { return i.By == "logind" && i.Since.IsZero() })
	since := time.Now().Add(-10 * time.Minute)
	bus.answer("get IdleSinceHint", dbus.MakeVariant(uint64(since.UnixMicro())))
	bus.answer("get IdleHint", dbus.MakeVariant(true))
	i := seen.until("nobody", func(i Idle) bool { return !i.Since.IsZero() })
	if off := i.Since.Sub(since).Abs(); off > time.Second {
		t.Errorf("since %v, not %v", i.Since, since)
	}
}

// Otherwise whoever's desktop tells logind nothing would be there for ever.
func TestLogindIsNotBelievedOfADesktopThatTellsItNothing(t *testing.T) {
	p := newPlace(t)
	bus := p.login("wayland")
	seen := p.watch()
	seen.until("why nothing is known", func(i Idle) bool { return i.By == "" && i.Problem != "" })
	bus.answer("get IdleSinceHint", dbus.MakeVariant(uint64(time.Now().UnixMicro())))
	seen.until("somebody", func(i Idle) bool { return i.By == "logind" })
}

func TestAServiceFindsTheSessionThatHasTheScreen(t *testing.T) {
	p := newPlace(t)
	bus := p.login("tty")
	bus.reply("get Id", nil) // this process runs in no session
	bus.answer("get Display", dbus.MakeVariant(struct {
		ID   string
		Path dbus.ObjectPath
	}{"c1", sessionPath}))
	p.watch().until("somebody", func(i Idle) bool { return i.By == "logind" })
}

func TestLogindTellsOfLocking(t *testing.T) {
	p := newPlace(t)
	bus := p.login("tty")
	seen := p.watch()
	seen.until("somebody", func(i Idle) bool { return i.By == "logind" })
	awaitCall(t, bus, "get LockedHint")
	bus.answer("get LockedHint", dbus.MakeVariant(true))
	bus.emit(sessionPath, "org.freedesktop.DBus.Properties", "PropertiesChanged", logindSession, map[string]dbus.Variant{}, []string{"LockedHint"})
	seen.until("locked", func(i Idle) bool { return i.Locked })
	bus.answer("get LockedHint", dbus.MakeVariant(false))
	bus.emit(sessionPath, "org.freedesktop.DBus.Properties", "PropertiesChanged", logindSession, map[string]dbus.Variant{}, []string{"LockedHint"})
	seen.until("unlocked", func(i Idle) bool { return !i.Locked })
	bus.emit(sessionPath, logindSession, "Lock")
	seen.until("locked", func(i Idle) bool { return i.Locked })
	bus.emit(sessionPath, logindSession, "Unlock")
	seen.until("unlocked", func(i Idle) bool { return !i.Locked })
}

func awaitCall(t *testing.T, bus *fakeBus, method string) busCall {
	t.Helper()
	for late := time.After(30 * time.Second); ; {
		select {
		case c := <-bus.calls:
			if c.method == method {
				return c
			}
		case <-late:
			t.Fatalf("%s is not called", method)
		}
	}
}

// Not every program that is asked to lock the screen tells when it has been unlocked.
func TestALockThatNobodySpeaksOfAnyMoreEndsWithInput(t *testing.T) {
	s := &state{tell: func(Idle) {}, locks: map[string]bool{}}
	s.set(time.Now(), "x11", "")
	s.askLock(true)
	if !s.told.Locked {
		t.Fatal("not locked")
	}
	s.set(time.Now(), "x11", "")
	if !s.told.Locked {
		t.Error("the key that locked it has unlocked it")
	}
	s.asked = s.asked.Add(-2 * Rest)
	s.set(time.Now().Add(-2*Rest), "x11", "")
	if !s.told.Locked {
		t.Error("nobody is there, and it is unlocked")
	}
	s.set(time.Now(), "x11", "")
	if s.told.Locked {
		t.Error("somebody is at it, and it is locked for ever")
	}
}

func TestABusThatNeverAnswersHoldsUpNothing(t *testing.T) {
	p := newPlace(t)
	l, err := net.Listen("unix", filepath.Join(p.dir, "bus"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan net.Conn, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- conn
		}
	}()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); p.d.Watch(ctx, func(Idle) {}) }()
	first := <-accepted
	cancel()
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Error("Watch does not end")
	}
	ctx, cancel = context.WithCancel(context.Background())
	shown := make(chan error, 1)
	go func() { shown <- p.d.Show(ctx, Note{Key: "a", Title: "b"}) }()
	second := <-accepted
	cancel()
	select {
	case err := <-shown:
		if err == nil {
			t.Error("a bus that never answers has shown something")
		}
	case <-time.After(30 * time.Second):
		t.Error("Show does not end")
	}
	_ = l.Close()
	<-done
	for conn := range accepted {
		_ = conn.Close()
	}
	_, _ = first.Close(), second.Close()
}
