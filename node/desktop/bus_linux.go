package desktop

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/godbus/dbus/v5"
)

// system is how this machine's desktop is reached.
type system struct {
	getenv func(string) string
	x11    string // where the sockets of X servers are
	notes  *notifications
}

func newSystem() system {
	return system{getenv: os.Getenv, x11: "/tmp/.X11-unix", notes: newNotifications()}
}

func (d *Desktop) end() { d.notes.end() }

// sources are what can be asked whether somebody is there, the best first: a desktop
// knows of its keys and mice, X11 not of those that Wayland has, and logind only what it
// was told.
func (d *Desktop) sources() []source {
	return []source{
		{"gnome", d.openMutter}, {"wayland", d.openWayland}, {"x11", d.openX11}, {"logind", d.openLogind},
	}
}

// watchers follow what tells whether the screen is locked.
func (d *Desktop) watchers() map[string]func(context.Context, *state) error {
	return map[string]func(context.Context, *state) error{"session": d.watchScreenSavers, "logind": d.watchLogind}
}

// runtimeDir is where the session's sockets are.
func (d *Desktop) runtimeDir() string {
	if dir := d.getenv("XDG_RUNTIME_DIR"); dir != "" {
		return dir
	}
	return filepath.Join("/run/user", strconv.Itoa(os.Getuid()))
}

// sessionBus connects to the bus of the desktop's session.
func (d *Desktop) sessionBus(ctx context.Context) (*dbus.Conn, error) {
	address := d.getenv("DBUS_SESSION_BUS_ADDRESS")
	if address == "" || strings.Contains(address, "autolaunch:") { // no bus is launched only to look
		path := filepath.Join(d.runtimeDir(), "bus")
		if _, err := os.Stat(path); err != nil {
			return nil, err
		}
		address = "unix:path=" + path
	}
	return connect(ctx, address)
}

// systemBus connects to the machine's bus.
func (d *Desktop) systemBus(ctx context.Context) (*dbus.Conn, error) {
	address := d.getenv("DBUS_SYSTEM_BUS_ADDRESS")
	if address == "" {
		address = "unix:path=/run/dbus/system_bus_socket"
	}
	return connect(ctx, address)
}

// connect connects to a bus. ctx bounds the attempt, not the life of what is returned.
func connect(ctx context.Context, address string) (*dbus.Conn, error) {
	life, end := context.WithCancel(context.Background())
	stop := context.AfterFunc(ctx, end)
	conn, err := dbus.Connect(address, dbus.WithContext(life), dbus.WithSignalHandler(dbus.NewSequentialSignalHandler()))
	if !stop() {
		err = errors.Join(ctx.Err(), err)
	}
	if err != nil {
		end()
		return nil, err
	}
	return conn, nil
}

// call calls a method of what runs already; nothing is started for it.
func call(ctx context.Context, conn *dbus.Conn, dest string, path dbus.ObjectPath, method string, out ...any) error {
	return conn.Object(dest, path).CallWithContext(ctx, method, dbus.FlagNoAutoStart).Store(out...)
}

// property reads a property of what runs already.
func property[T any](ctx context.Context, conn *dbus.Conn, dest string, path dbus.ObjectPath, iface, name string) (out T, err error) {
	var v dbus.Variant
	err = conn.Object(dest, path).CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", dbus.FlagNoAutoStart, iface, name).Store(&v)
	if err == nil {
		err = dbus.Store([]any{v.Value()}, &out)
	}
	return out, err
}
