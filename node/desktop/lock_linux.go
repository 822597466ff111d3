package desktop

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// This file is how the locking of the screen is told: on the session's bus by whoever
// locks it, and on the system's by logind.

// screenSavers are the names under which desktops tell that the screen is locked or
// dark. Each is the name of an interface, too, and of its object with slashes.
var screenSavers = []string{
	"org.gnome.ScreenSaver", "org.freedesktop.ScreenSaver", "org.cinnamon.ScreenSaver", "org.mate.ScreenSaver", "org.xfce.ScreenSaver",
}

// errBusEnded: the bus, and with it the session, has ended.
var errBusEnded = errors.New("the bus has ended")

func (d *Desktop) watchScreenSavers(ctx context.Context, s *state) error {
	conn, signals, err := d.listen(ctx, d.sessionBus)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer func() {
		for _, name := range screenSavers {
			s.setLock(name, false)
		}
	}()
	for _, name := range screenSavers {
		if err := match(ctx, conn, dbus.WithMatchInterface(name), dbus.WithMatchMember("ActiveChanged")); err != nil {
			return err
		}
		if err := match(ctx, conn, dbus.WithMatchInterface("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, name)); err != nil {
			return err
		}
		var active bool
		path := dbus.ObjectPath("/" + strings.ReplaceAll(name, ".", "/"))
		if answered(ctx, func(ctx context.Context) error { return call(ctx, conn, name, path, name+".GetActive", &active) }) == nil {
			s.setLock(name, active)
		}
	}
	return follow(ctx, signals, func(sig *dbus.Signal) {
		if sig.Name == "org.freedesktop.DBus.NameOwnerChanged" {
			var name, before, after string
			if dbus.Store(sig.Body, &name, &before, &after) == nil && after == "" {
				s.setLock(name, false) // who locked the screen has ended
			}
			return
		}
		name, ok := strings.CutSuffix(sig.Name, ".ActiveChanged")
		var active bool
		if ok && slices.Contains(screenSavers, name) && dbus.Store(sig.Body, &active) == nil {
			s.setLock(name, active)
		}
	})
}

func (d *Desktop) watchLogind(ctx context.Context, s *state) error {
	conn, signals, err := d.listen(ctx, d.systemBus)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer s.askLock(false)
	defer s.setLock(logind, false)
	var path dbus.ObjectPath
	if err := answered(ctx, func(ctx context.Context) (err error) { path, err = findSession(ctx, conn); return err }); err != nil {
		return err
	}
	for _, iface := range []string{logindSession, "org.freedesktop.DBus.Properties"} {
		if err := match(ctx, conn, dbus.WithMatchSender(logind), dbus.WithMatchObjectPath(path), dbus.WithMatchInterface(iface)); err != nil {
			return err
		}
	}
	hint := false
	look := func() error {
		return answered(ctx, func(ctx context.Context) error {
			locked, err := property[bool](ctx, conn, logind, path, logindSession, "LockedHint")
			if err == nil && locked != hint {
				hint = locked
				s.setLock(logind, locked)
				s.askLock(false) // whoever locks it says so
			}
			return err
		})
	}
	if err := look(); err != nil {
		return err
	}
	return follow(ctx, signals, func(sig *dbus.Signal) {
		switch sig.Name {
		case logindSession + ".Lock":
			// Whoever locks it sets the hint a moment later, but not every one does.
			s.askLock(true)
		case logindSession + ".Unlock":
			s.askLock(false)
		case "org.freedesktop.DBus.Properties.PropertiesChanged":
			if err := look(); err != nil {
				d.log.Debug("logind does not say whether the screen is locked", "err", err)
			}
		}
	})
}

// listen connects to a bus and returns the signals that come from it.
func (d *Desktop) listen(ctx context.Context, bus func(context.Context) (*dbus.Conn, error)) (*dbus.Conn, <-chan *dbus.Signal, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	conn, err := bus(ctx)
	if err != nil {
		return nil, nil, err
	}
	signals := make(chan *dbus.Signal, 16)
	conn.Signal(signals)
	return conn, signals, nil
}

func match(ctx context.Context, conn *dbus.Conn, options ...dbus.MatchOption) error {
	return answered(ctx, func(ctx context.Context) error { return conn.AddMatchSignalContext(ctx, options...) })
}

// answered bounds how long an answer is waited for.
func answered(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	return f(ctx)
}

// follow hands over signals until the bus or ctx ends.
func follow(ctx context.Context, signals <-chan *dbus.Signal, take func(*dbus.Signal)) error {
	for {
		select {
		case sig, ok := <-signals:
			if !ok {
				return errBusEnded
			}
			take(sig)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// askLock notes that somebody was asked to lock the screen, or to unlock it.
func (s *state) askLock(yes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked = (time.Time{}); yes {
		s.asked = time.Now()
	}
	s.settle()
}
