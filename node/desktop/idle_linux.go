package desktop

import (
	"context"
	"errors"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	mutter     = "org.gnome.Mutter.IdleMonitor"
	mutterPath = "/org/gnome/Mutter/IdleMonitor/Core"

	logind        = "org.freedesktop.login1"
	logindSession = "org.freedesktop.login1.Session"
)

// mutterMonitor is GNOME's idle monitor.
type mutterMonitor struct{ conn *dbus.Conn }

func (d *Desktop) openMutter(ctx context.Context) (asker, error) {
	conn, err := d.sessionBus(ctx)
	return mutterMonitor{conn}, err
}

func (m mutterMonitor) ask(ctx context.Context) (reading, error) {
	var millis uint64
	err := call(ctx, m.conn, mutter, mutterPath, mutter+".GetIdletime", &millis)
	return reading{idle: millisIdle(millis)}, err
}

func (m mutterMonitor) close() { _ = m.conn.Close() }

// millisIdle returns a time that somebody else counts; none is longer than a year.
func millisIdle(millis uint64) time.Duration {
	const year = 366 * 24 * time.Hour
	return time.Duration(min(millis, uint64(year/time.Millisecond))) * time.Millisecond
}

// loginSession is the session of this person as logind knows it.
type loginSession struct {
	conn *dbus.Conn
	path dbus.ObjectPath
}

func (d *Desktop) openLogind(ctx context.Context) (asker, error) {
	conn, err := d.systemBus(ctx)
	if err != nil {
		return nil, err
	}
	path, err := findSession(ctx, conn)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return &loginSession{conn, path}, nil
}

// findSession returns the session that this process runs in or, for a service of this
// user's, the one that has the screen.
func findSession(ctx context.Context, conn *dbus.Conn) (dbus.ObjectPath, error) {
	id, err := property[string](ctx, conn, logind, "/org/freedesktop/login1/session/auto", logindSession, "Id")
	if err == nil {
		var path dbus.ObjectPath
		err = conn.Object(logind, "/org/freedesktop/login1").
			CallWithContext(ctx, "org.freedesktop.login1.Manager.GetSession", dbus.FlagNoAutoStart, id).Store(&path)
		if err == nil {
			return path, nil
		}
	}
	var display struct {
		ID   string
		Path dbus.ObjectPath
	}
	display, err2 := property[struct {
		ID   string
		Path dbus.ObjectPath
	}](ctx, conn, logind, "/org/freedesktop/login1/user/self", "org.freedesktop.login1.User", "Display")
	switch {
	case err2 != nil:
		return "", errors.Join(err, err2)
	case display.ID == "":
		return "", errors.New("logind knows no session of this user's with a screen")
	}
	return display.Path, nil
}

// errNeverIdle: on a desktop logind only knows what it is told, and not every desktop
// tells it.
var errNeverIdle = errors.New("logind was never told whether somebody is there")

func (l *loginSession) ask(ctx context.Context) (reading, error) {
	hint, err := property[bool](ctx, l.conn, logind, l.path, logindSession, "IdleHint")
	if err != nil {
		return reading{}, err
	}
	micros, err := property[uint64](ctx, l.conn, logind, l.path, logindSession, "IdleSinceHint")
	if err != nil {
		return reading{}, err
	}
	if !hint {
		kind, err := property[string](ctx, l.conn, logind, l.path, logindSession, "Type")
		if err == nil && micros == 0 && kind != "tty" {
			err = errNeverIdle
		}
		return reading{}, err
	}
	idle := max(time.Since(time.UnixMicro(int64(micros))), Rest) // it says so, whatever its clock does
	return reading{idle: millisIdle(uint64(idle.Milliseconds()))}, nil
}

func (l *loginSession) close() { _ = l.conn.Close() }
